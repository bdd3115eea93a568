//! A platform that does as it is told and writes down what it did, and a remote at the end of an in-memory stream.

use std::{
    collections::VecDeque,
    io,
    pin::Pin,
    sync::{Arc, Mutex},
    task::{Context, Poll, Waker},
};

use bytes::BytesMut;
use futures::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, FutureExt, future::BoxFuture};

use super::super::super::{
    muxer::INIT_LABEL,
    rtc::{
        ChannelEvent, ConnectionState, PeerEvent, RtcChannel, RtcConfig, RtcError, RtcFactory,
        RtcPeer, SdpKind,
    },
    signal::{Decoder, Message},
};

/// What the platform was asked to do, in order, and what it shall say.
#[derive(Default)]
pub(super) struct Script {
    log: Vec<String>,
    pub(super) created: usize,
    events: VecDeque<PeerEvent<FakeChannel>>,
    pub(super) state: Option<ConnectionState>,
    init_events: VecDeque<ChannelEvent>,
    pub(super) bad_candidates: Vec<String>,
    wakers: Vec<Waker>,
}

#[derive(Clone, Default)]
pub(super) struct Platform(Arc<Mutex<Script>>);

impl Platform {
    pub(super) fn with<T>(&self, f: impl FnOnce(&mut Script) -> T) -> T {
        let mut script = self.0.lock().unwrap();
        let result = f(&mut script);
        script.wakers.drain(..).for_each(Waker::wake);
        result
    }

    pub(super) fn state(&self, state: ConnectionState) {
        self.with(|s| {
            s.state = Some(state);
            s.events.push_back(PeerEvent::State(state));
        });
    }

    pub(super) fn channel(&self, label: &'static str) {
        let channel = FakeChannel {
            platform: self.clone(),
            label,
        };
        self.with(|s| s.events.push_back(PeerEvent::Channel(channel)));
    }

    pub(super) fn init(&self, event: ChannelEvent) {
        self.with(|s| s.init_events.push_back(event));
    }

    pub(super) fn candidate(&self, json: &str) {
        self.with(|s| {
            s.events
                .push_back(PeerEvent::Candidate(Some(json.to_owned())));
        });
    }

    pub(super) fn log(&self) -> Vec<String> {
        self.with(|s| s.log.clone())
    }

    pub(super) fn did(&self, what: &str) -> bool {
        self.log().iter().any(|line| line == what)
    }

    pub(super) fn op<T: Send + 'static>(
        &self,
        line: String,
        result: Result<T, RtcError>,
    ) -> BoxFuture<'static, Result<T, RtcError>> {
        self.with(|s| s.log.push(line));
        async move { result }.boxed()
    }
}

impl RtcFactory for Platform {
    type Peer = FakePeer;

    fn create(&self, _: &RtcConfig) -> Result<FakePeer, RtcError> {
        self.with(|s| s.created += 1);
        Ok(FakePeer(self.clone()))
    }
}

pub(super) struct FakePeer(pub(super) Platform);

impl Drop for FakePeer {
    fn drop(&mut self) {
        self.0.with(|s| s.log.push("drop".to_owned()));
    }
}

impl RtcPeer for FakePeer {
    type Channel = FakeChannel;

    fn open_channel(&mut self, label: &str) -> Result<FakeChannel, RtcError> {
        assert_eq!(label, INIT_LABEL);
        self.0.with(|s| s.log.push("open init".to_owned()));
        Ok(FakeChannel {
            platform: self.0.clone(),
            label: INIT_LABEL,
        })
    }

    fn create_offer(&mut self) -> BoxFuture<'static, Result<String, RtcError>> {
        self.0.op("create offer".to_owned(), Ok("v=0".to_owned()))
    }

    fn create_answer(&mut self) -> BoxFuture<'static, Result<String, RtcError>> {
        self.0.op("create answer".to_owned(), Ok("v=1".to_owned()))
    }

    fn set_local(&mut self, _: SdpKind, sdp: String) -> BoxFuture<'static, Result<(), RtcError>> {
        self.0.op(format!("local {sdp}"), Ok(()))
    }

    fn set_remote(&mut self, _: SdpKind, sdp: String) -> BoxFuture<'static, Result<(), RtcError>> {
        self.0.op(format!("remote {sdp}"), Ok(()))
    }

    fn add_candidate(
        &mut self,
        candidate: Option<String>,
    ) -> BoxFuture<'static, Result<(), RtcError>> {
        let json = candidate.unwrap();
        let result = match self.0.with(|s| s.bad_candidates.contains(&json)) {
            true => Err(RtcError::Platform("bad candidate".into())),
            false => Ok(()),
        };
        self.0.op(format!("add {json}"), result)
    }

    fn state(&self) -> ConnectionState {
        self.0.with(|s| s.state).unwrap_or(ConnectionState::New)
    }

    fn poll_event(
        &mut self,
        cx: &mut Context<'_>,
    ) -> Poll<Result<PeerEvent<FakeChannel>, RtcError>> {
        let mut script = self.0.0.lock().unwrap();
        match script.events.pop_front() {
            Some(event) => Poll::Ready(Ok(event)),
            None => {
                script.wakers.push(cx.waker().clone());
                Poll::Pending
            }
        }
    }

    fn close(&mut self) {}
}

pub(super) struct FakeChannel {
    platform: Platform,
    label: &'static str,
}

impl RtcChannel for FakeChannel {
    fn label(&self) -> &str {
        self.label
    }

    fn send(&mut self, _: &[u8]) -> Result<(), RtcError> {
        Err(RtcError::Closed)
    }

    fn buffered_amount(&self) -> usize {
        0
    }

    fn set_low_threshold(&mut self, _: usize) {}

    fn poll_event(&mut self, cx: &mut Context<'_>) -> Poll<ChannelEvent> {
        let mut script = self.platform.0.lock().unwrap();
        match script.init_events.pop_front() {
            Some(event) => Poll::Ready(event),
            None => {
                script.wakers.push(cx.waker().clone());
                Poll::Pending
            }
        }
    }

    fn close(&mut self) {
        self.platform.with(|s| s.log.push("close init".to_owned()));
    }
}

#[derive(Default)]
pub(super) struct Half {
    bytes: VecDeque<u8>,
    closed: bool,
    waker: Option<Waker>,
}

/// One end of an in-memory stream.
pub(super) struct Pipe {
    read: Arc<Mutex<Half>>,
    write: Arc<Mutex<Half>>,
}

pub(super) fn pipe() -> (Pipe, Remote) {
    let (a, b) = <(Arc<Mutex<Half>>, Arc<Mutex<Half>>)>::default();
    let ours = Pipe {
        read: a.clone(),
        write: b.clone(),
    };
    let remote = Remote {
        pipe: Pipe { read: b, write: a },
        decoder: Decoder::default(),
    };
    (ours, remote)
}

impl Drop for Pipe {
    fn drop(&mut self) {
        close(&self.write);
    }
}

pub(super) fn close(half: &Mutex<Half>) {
    let mut half = half.lock().unwrap();
    half.closed = true;
    half.waker.take().into_iter().for_each(Waker::wake);
}

impl AsyncRead for Pipe {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        out: &mut [u8],
    ) -> Poll<io::Result<usize>> {
        let mut half = self.read.lock().unwrap();
        if half.bytes.is_empty() && !half.closed {
            half.waker = Some(cx.waker().clone());
            return Poll::Pending;
        }
        Poll::Ready(io::Read::read(&mut half.bytes, out))
    }
}

impl AsyncWrite for Pipe {
    fn poll_write(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let mut half = self.write.lock().unwrap();
        if half.closed {
            return Poll::Ready(Err(io::ErrorKind::BrokenPipe.into()));
        }
        half.bytes.extend(bytes);
        half.waker.take().into_iter().for_each(Waker::wake);
        Poll::Ready(Ok(bytes.len()))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_close(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        close(&self.write);
        Poll::Ready(Ok(()))
    }
}

pub(super) struct Remote {
    pub(super) pipe: Pipe,
    decoder: Decoder,
}

impl Remote {
    pub(super) async fn send(&mut self, message: Message) {
        let mut bytes = BytesMut::new();
        message.encode(&mut bytes).unwrap();
        self.pipe.write_all(&bytes).await.unwrap();
    }

    /// The next message, or `None` at the end of the stream.
    pub(super) async fn receive(&mut self) -> Option<Message> {
        loop {
            if let Some(message) = self.decoder.next_message().unwrap() {
                return Some(message);
            }
            let mut chunk = [0; 64];
            match self.pipe.read(&mut chunk).await.unwrap() {
                0 => return None,
                n => self.decoder.push(&chunk[..n]),
            }
        }
    }

    /// Lets the other side run until it waits.
    pub(super) async fn settle() {
        for _ in 0..50 {
            tokio::task::yield_now().await;
        }
    }
}
