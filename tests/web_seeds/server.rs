//! A web server with one file and its tree, well or badly behaved, that counts what it sends.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use axum::Router;
use axum::body::Body;
use axum::extract::State;
use axum::http::header::{CONTENT_LENGTH, RANGE};
use axum::http::{HeaderMap, StatusCode, Uri};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;

/// How it behaves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mood {
    Good,
    /// Has other bytes than it should.
    Lies,
    /// Sends the whole file whatever it is asked for.
    IgnoresRanges,
    /// Its first answers, so many, end in the middle.
    BreaksOff(u64),
    /// Has the file, but not its tree.
    NoTree,
}

/// The running server; ends with the runtime.
pub struct Server {
    port: u16,
    state: Arc<Shared>,
}

struct Shared {
    content: Bytes,
    tree: Bytes,
    mood: Mood,
    requests: AtomicU64,
    chunks: AtomicU64,
    trees: AtomicU64,
    broken: AtomicU64,
}

impl Server {
    pub async fn start(content: Bytes, tree: Bytes, mood: Mood) -> Self {
        let state = Arc::new(Shared {
            content,
            tree,
            mood,
            requests: AtomicU64::new(0),
            chunks: AtomicU64::new(0),
            trees: AtomicU64::new(0),
            broken: AtomicU64::new(0),
        });
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let app = Router::new().fallback(answer).with_state(state.clone());
        tokio::spawn(async move { axum::serve(listener, app).await });
        Self { port, state }
    }

    pub fn address(&self) -> String {
        format!("http://127.0.0.1:{}/a%20film.bin?v=1", self.port)
    }

    pub fn requests(&self) -> u64 {
        self.state.requests.load(Ordering::Relaxed)
    }

    /// Bytes of the file that were sent.
    pub fn chunk_bytes(&self) -> u64 {
        self.state.chunks.load(Ordering::Relaxed)
    }

    /// Bytes of file and tree.
    pub fn all_bytes(&self) -> u64 {
        self.chunk_bytes() + self.state.trees.load(Ordering::Relaxed)
    }

    pub fn broken(&self) -> u64 {
        self.state.broken.load(Ordering::Relaxed)
    }
}

async fn answer(State(state): State<Arc<Shared>>, uri: Uri, headers: HeaderMap) -> Response {
    state.requests.fetch_add(1, Ordering::Relaxed);
    assert_eq!(uri.query(), Some("v=1"));
    match uri.path() {
        "/a%20film.bin.b3tree" if state.mood == Mood::NoTree => {
            StatusCode::NOT_FOUND.into_response()
        }
        "/a%20film.bin.b3tree" => {
            state
                .trees
                .fetch_add(state.tree.len() as u64, Ordering::Relaxed);
            state.tree.clone().into_response()
        }
        "/a%20film.bin" => part(state, &headers),
        _ => StatusCode::NOT_FOUND.into_response(),
    }
}

fn part(state: Arc<Shared>, headers: &HeaderMap) -> Response {
    let range = headers.get(RANGE).and_then(|range| range.to_str().ok());
    let (from, to) = range
        .and_then(|range| range.strip_prefix("bytes=")?.split_once('-'))
        .expect("parts are asked for");
    let (from, to): (usize, usize) = (from.parse().unwrap(), to.parse().unwrap());
    let mut part = state.content.slice(from..to + 1);
    match state.mood {
        Mood::Lies => part = vec![7; part.len()].into(),
        Mood::IgnoresRanges => return counted(state.clone(), state.content.clone(), None),
        Mood::BreaksOff(times) => {
            let first = |broken| (broken < times).then_some(broken + 1);
            let broken = &state.broken;
            if broken
                .fetch_update(Ordering::Relaxed, Ordering::Relaxed, first)
                .is_ok()
            {
                let half = part.slice(..part.len() / 2);
                return counted(state.clone(), half, Some(part.len()));
            }
        }
        Mood::Good | Mood::NoTree => {}
    }
    let mut answer = counted(state, part, None);
    *answer.status_mut() = StatusCode::PARTIAL_CONTENT;
    answer
}

/// Sends it piece by piece, each counted when it is given out; `claim` is a length that it does not keep.
fn counted(state: Arc<Shared>, whole: Bytes, claim: Option<usize>) -> Response {
    let length = claim.unwrap_or(whole.len());
    let pieces: Vec<Bytes> = whole.chunks(16_384).map(Bytes::copy_from_slice).collect();
    let pieces = pieces.into_iter().map(move |piece| {
        state
            .chunks
            .fetch_add(piece.len() as u64, Ordering::Relaxed);
        Ok::<_, io::Error>(piece)
    });
    let end = claim.map(|_| Err(io::ErrorKind::ConnectionReset.into()));
    let stream = futures::stream::iter(pieces.chain(end));
    let mut answer = Body::from_stream(stream).into_response();
    answer.headers_mut().insert(CONTENT_LENGTH, length.into());
    if claim.is_some() {
        *answer.status_mut() = StatusCode::PARTIAL_CONTENT;
    }
    answer
}
