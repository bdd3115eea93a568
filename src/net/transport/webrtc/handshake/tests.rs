//! The handshake against a scripted platform and a scripted remote.

#![allow(clippy::unwrap_used)]

use std::{
    collections::VecDeque,
    io,
    pin::Pin,
    sync::{Arc, Mutex},
    task::{Context, Poll, Waker},
};

use bytes::BytesMut;
use futures::{AsyncReadExt, AsyncWriteExt, FutureExt, future::BoxFuture, join};
use libp2p::PeerId;

use super::{
    super::{
        config::Config,
        rtc::{
            ChannelEvent, ConnectionState, PeerEvent, RtcChannel, RtcConfig, RtcError, RtcFactory,
            SdpKind,
        },
        signal::{Decoder, MAX_MESSAGE, Message, SignalError},
    },
    *,
};

// ---- the platform --------------------------------------------------------------------------------------------------

/// What the platform was asked to do, in order, and what it shall say.
#[derive(Default)]
struct Script {
    log: Vec<String>,
    created: usize,
    events: VecDeque<PeerEvent<FakeChannel>>,
    state: Option<ConnectionState>,
    init_events: VecDeque<ChannelEvent>,
    bad_candidates: Vec<String>,
    wakers: Vec<Waker>,
}

#[derive(Clone, Default)]
struct Platform(Arc<Mutex<Script>>);

impl Platform {
    fn with<T>(&self, f: impl FnOnce(&mut Script) -> T) -> T {
        let mut script = self.0.lock().unwrap();
        let result = f(&mut script);
        script.wakers.drain(..).for_each(Waker::wake);
        result
    }

    fn state(&self, state: ConnectionState) {
        self.with(|s| {
            s.state = Some(state);
            s.events.push_back(PeerEvent::State(state));
        });
    }

    fn channel(&self, label: &'static str) {
        let channel = FakeChannel {
            platform: self.clone(),
            label,
        };
        self.with(|s| s.events.push_back(PeerEvent::Channel(channel)));
    }

    fn init(&self, event: ChannelEvent) {
        self.with(|s| s.init_events.push_back(event));
    }

    fn candidate(&self, json: &str) {
        self.with(|s| {
            s.events
                .push_back(PeerEvent::Candidate(Some(json.to_owned())));
        });
    }

    fn log(&self) -> Vec<String> {
        self.with(|s| s.log.clone())
    }

    fn did(&self, what: &str) -> bool {
        self.log().iter().any(|line| line == what)
    }

    fn op<T: Send + 'static>(
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

struct FakePeer(Platform);

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

struct FakeChannel {
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

// ---- the remote ----------------------------------------------------------------------------------------------------

#[derive(Default)]
struct Half {
    bytes: VecDeque<u8>,
    closed: bool,
    waker: Option<Waker>,
}

/// One end of an in-memory stream.
struct Pipe {
    read: Arc<Mutex<Half>>,
    write: Arc<Mutex<Half>>,
}

fn pipe() -> (Pipe, Remote) {
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

fn close(half: &Mutex<Half>) {
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

struct Remote {
    pipe: Pipe,
    decoder: Decoder,
}

impl Remote {
    async fn send(&mut self, message: Message) {
        let mut bytes = BytesMut::new();
        message.encode(&mut bytes).unwrap();
        self.pipe.write_all(&bytes).await.unwrap();
    }

    /// The next message, or `None` at the end of the stream.
    async fn receive(&mut self) -> Option<Message> {
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
    async fn settle() {
        for _ in 0..50 {
            tokio::task::yield_now().await;
        }
    }
}

fn config() -> Config {
    Config {
        max_candidates: 4,
        ..Config::new(PeerId::random())
    }
}

fn candidate(json: &str) -> Message {
    Message::Candidate(json.to_owned())
}

/// Runs the offerer against `remote`.
async fn offering<R>(
    platform: &Platform,
    remote: impl AsyncFnOnce(Remote) -> R,
) -> (Result<Established<FakePeer>, HandshakeError>, R) {
    let (stream, end) = pipe();
    let (config, progress) = (config(), Progress::default());
    join!(
        offer(platform.clone(), &config, stream, &progress),
        remote(end)
    )
}

/// Runs the answerer against `remote`.
async fn answering<R>(
    platform: &Platform,
    remote: impl AsyncFnOnce(Remote) -> R,
) -> (Result<Established<FakePeer>, HandshakeError>, R) {
    let (stream, end) = pipe();
    let (config, progress) = (config(), Progress::default());
    join!(
        answer(platform.clone(), &config, stream, &progress),
        remote(end)
    )
}

// ---- the tests -----------------------------------------------------------------------------------------------------

#[tokio::test]
async fn the_offerer_goes_through_the_steps_in_order() {
    let platform = Platform::default();
    platform.candidate("c1");
    let (up, ()) = offering(&platform, async |mut remote| {
        assert_eq!(remote.receive().await, Some(Message::Offer("v=0".into())));
        Remote::settle().await;
        // Before the answer no candidate of ours leaves and none of theirs is added.
        remote.send(candidate("r1")).await;
        Remote::settle().await;
        assert_eq!(platform.log(), ["open init", "create offer", "local v=0"]);
        remote.send(Message::Answer("v=1".into())).await;
        assert_eq!(remote.receive().await, Some(candidate("c1")));
        remote.send(candidate("r2")).await;
        Remote::settle().await;
        assert_eq!(
            platform.log()[3..],
            ["remote v=1", "add r1", "add r2"].map(str::to_owned)
        );
        platform.channel("");
        platform.state(ConnectionState::Connecting);
        platform.state(ConnectionState::Connected);
        Remote::settle().await;
        assert!(!platform.did("close init"));
        platform.init(ChannelEvent::Open);
        Remote::settle().await;
        assert!(platform.did("close init"));
        // Its close event must have come before the id is used again.
        assert_eq!(remote.receive().now_or_never(), None);
        platform.init(ChannelEvent::Closed);
        assert_eq!(remote.receive().await, None);
    })
    .await;
    let up = up.unwrap();
    assert_eq!(up.channels.len(), 1);
    assert!(!platform.did("drop"));
    drop(up);
    assert!(platform.did("drop"));
}

#[tokio::test]
async fn the_answerer_sends_nothing_before_its_answer() {
    let platform = Platform::default();
    platform.candidate("c1");
    let (up, ()) = answering(&platform, async |mut remote| {
        Remote::settle().await;
        assert_eq!(platform.with(|s| s.created), 0);
        remote.send(candidate("r0")).await;
        remote.send(Message::Offer("v=0".into())).await;
        remote.send(candidate("r1")).await;
        assert_eq!(remote.receive().await, Some(Message::Answer("v=1".into())));
        assert_eq!(remote.receive().await, Some(candidate("c1")));
        Remote::settle().await;
        assert_eq!(
            platform.log(),
            [
                "remote v=0",
                "create answer",
                "local v=1",
                "add r0",
                "add r1"
            ]
        );
        platform.channel(INIT_LABEL);
        platform.channel("");
        platform.state(ConnectionState::Connected);
        assert_eq!(remote.receive().await, None);
    })
    .await;
    let up = up.unwrap();
    let labels: Vec<_> = up.channels.iter().map(RtcChannel::label).collect();
    assert_eq!(labels, [""]);
}

#[tokio::test]
async fn the_end_of_signalling_and_a_short_loss_are_survived() {
    let platform = Platform::default();
    let (up, ()) = answering(&platform, async |mut remote| {
        remote.send(Message::Offer("v=0".into())).await;
        remote.receive().await.unwrap();
        drop(remote);
        Remote::settle().await;
        platform.candidate("nobody hears this");
        platform.state(ConnectionState::Disconnected);
        Remote::settle().await;
        platform.state(ConnectionState::Connected);
    })
    .await;
    assert!(up.is_ok());
}

#[tokio::test]
async fn an_offerer_that_is_connected_before_anything_is_polled_notices() {
    let platform = Platform::default();
    platform.with(|s| s.state = Some(ConnectionState::Connected));
    platform.init(ChannelEvent::Open);
    platform.init(ChannelEvent::Closed);
    let (up, ()) = offering(&platform, async |mut remote| {
        remote.receive().await.unwrap();
        remote.send(Message::Answer("v=1".into())).await;
        remote.receive().await;
    })
    .await;
    assert!(up.is_ok());
}

#[tokio::test]
async fn failed_and_closed_end_the_attempt() {
    for (state, is_ice) in [
        (ConnectionState::Failed, true),
        (ConnectionState::Closed, false),
    ] {
        let platform = Platform::default();
        let (up, ()) = answering(&platform, async |mut remote| {
            remote.send(Message::Offer("v=0".into())).await;
            remote.receive().await.unwrap();
            platform.state(state);
            remote.receive().await;
        })
        .await;
        let error = up.err().unwrap();
        assert_eq!(matches!(error, HandshakeError::IceFailed), is_ice);
        assert_eq!(matches!(error, HandshakeError::Closed), !is_ice);
        assert!(platform.did("drop"));
    }
}

#[tokio::test]
async fn a_remote_that_ends_before_its_description_refuses() {
    let platform = Platform::default();
    let (up, ()) = offering(&platform, async |mut remote| {
        remote.receive().await.unwrap();
    })
    .await;
    let refused_at = |step: Step, up: Result<_, _>| matches!(up, Err(HandshakeError::Refused { step: at }) if at == step);
    assert!(refused_at(Step::Answer, up));
    let platform = Platform::default();
    let (up, ()) = answering(&platform, async |_| ()).await;
    assert!(refused_at(Step::Offer, up));
    assert_eq!(platform.with(|s| s.created), 0);
}

#[tokio::test]
async fn a_timeout_names_the_step() {
    let short = std::time::Duration::from_millis(20);
    let config = config();
    let expect = |result: Result<Established<FakePeer>, HandshakeError>, step: Step| {
        assert!(
            matches!(result, Err(HandshakeError::Timeout { step: at }) if at == step),
            "not {step}"
        );
    };

    let (platform, progress) = (Platform::default(), Progress::default());
    let (stream, _silent) = pipe();
    let run = offer(platform.clone(), &config, stream, &progress);
    expect(within(short, &progress, run).await, Step::Answer);
    assert!(platform.did("drop"));

    let (platform, progress) = (Platform::default(), Progress::default());
    let (stream, _silent) = pipe();
    let run = answer(platform.clone(), &config, stream, &progress);
    expect(within(short, &progress, run).await, Step::Offer);

    let (platform, progress) = (Platform::default(), Progress::default());
    let (stream, mut remote) = pipe();
    remote.send(Message::Answer("v=1".into())).await;
    let run = offer(platform.clone(), &config, stream, &progress);
    expect(within(short, &progress, run).await, Step::Connect);

    platform.with(|s| s.state = Some(ConnectionState::Connected));
    let (stream, mut remote) = pipe();
    remote.send(Message::Answer("v=1".into())).await;
    let run = offer(platform.clone(), &config, stream, &progress);
    expect(within(short, &progress, run).await, Step::Init);
}

#[tokio::test]
async fn messages_out_of_order_and_broken_ones_end_the_attempt() {
    let (up, ()) = offering(&Platform::default(), async |mut remote| {
        remote.send(Message::Offer("v=0".into())).await;
        while remote.receive().await.is_some() {}
    })
    .await;
    assert!(matches!(
        up,
        Err(HandshakeError::Unexpected {
            got: "offer",
            step: Step::Answer
        })
    ));

    let (up, ()) = answering(&Platform::default(), async |mut remote| {
        remote.send(Message::Offer("v=0".into())).await;
        remote.send(Message::Offer("v=0".into())).await;
        while remote.receive().await.is_some() {}
    })
    .await;
    assert!(matches!(up, Err(HandshakeError::Unexpected { .. })));

    for (bytes, error) in [
        (&[0xff; 4][..], SignalError::TooLong),
        (&[0x02, 0x0b, 0x0c], SignalError::Malformed),
    ] {
        let (up, ()) = answering(&Platform::default(), async |mut remote| {
            remote.pipe.write_all(bytes).await.unwrap();
            assert_eq!(remote.receive().await, None);
        })
        .await;
        assert!(matches!(up, Err(HandshakeError::Signal(e)) if e == error));
    }
}

#[tokio::test]
async fn more_candidates_than_agreed_end_the_attempt() {
    let (up, ()) = answering(&Platform::default(), async |mut remote| {
        remote.send(Message::Offer("v=0".into())).await;
        for n in 0..5 {
            remote.send(candidate(&n.to_string())).await;
        }
        while remote.receive().await.is_some() {}
    })
    .await;
    assert!(matches!(up, Err(HandshakeError::TooManyMessages)));
    // Messages of a type that nobody knows count as well, and so does what precedes the offer.
    let (up, ()) = answering(&Platform::default(), async |mut remote| {
        for _ in 0..4 {
            remote.send(candidate("")).await;
        }
        remote.send(Message::Offer("v=0".into())).await;
        remote.send(Message::Other(9)).await;
        while remote.receive().await.is_some() {}
    })
    .await;
    assert!(matches!(up, Err(HandshakeError::TooManyMessages)));
}

#[tokio::test]
async fn of_our_own_candidates_no_more_than_agreed_are_sent() {
    let platform = Platform::default();
    for n in 0..9 {
        platform.candidate(&n.to_string());
    }
    let (up, sent) = answering(&platform, async |mut remote| {
        remote.send(Message::Offer("v=0".into())).await;
        remote.receive().await.unwrap();
        Remote::settle().await;
        platform.state(ConnectionState::Connected);
        let mut sent = 0;
        while remote.receive().await.is_some() {
            sent += 1;
        }
        sent
    })
    .await;
    assert!(up.is_ok());
    assert_eq!(sent, 4);
}

#[tokio::test]
async fn ends_of_candidates_are_neither_sent_nor_added() {
    const ENDS: [&str; 4] = ["", "null", "\"\"", r#"{"candidate":"","sdpMid":"0"}"#];
    let platform = Platform::default();
    for json in ENDS {
        platform.candidate(json);
    }
    let (up, ()) = answering(&platform, async |mut remote| {
        remote.send(Message::Offer("v=0".into())).await;
        remote.receive().await.unwrap();
        for json in ENDS {
            remote.send(candidate(json)).await;
        }
        Remote::settle().await;
        platform.state(ConnectionState::Connected);
        assert_eq!(remote.receive().await, None);
    })
    .await;
    assert!(up.is_ok());
    assert!(!platform.log().iter().any(|line| line.starts_with("add")));
}

#[tokio::test]
async fn one_bad_candidate_does_not_spoil_the_others() {
    let platform = Platform::default();
    platform.with(|s| s.bad_candidates.push("bad".into()));
    let (up, ()) = answering(&platform, async |mut remote| {
        remote.send(Message::Offer("v=0".into())).await;
        remote.send(candidate("bad")).await;
        remote.send(candidate("good")).await;
        remote.receive().await.unwrap();
        Remote::settle().await;
        platform.state(ConnectionState::Connected);
        remote.receive().await;
    })
    .await;
    assert!(up.is_ok());
    assert!(platform.did("add good"));
}

#[tokio::test]
async fn early_channels_are_kept_up_to_the_bound() {
    let platform = Platform::default();
    for _ in 0..MAX_INBOUND_BACKLOG + 9 {
        platform.channel("");
    }
    let (up, ()) = answering(&platform, async |mut remote| {
        remote.send(Message::Offer("v=0".into())).await;
        remote.receive().await.unwrap();
        platform.state(ConnectionState::Connected);
        remote.receive().await;
    })
    .await;
    assert_eq!(up.unwrap().channels.len(), MAX_INBOUND_BACKLOG);
}

#[tokio::test]
async fn a_description_too_long_for_a_message_is_an_error_of_ours() {
    let (stream, _remote) = pipe();
    let progress = Progress::default();
    let mut session = session::Session::new(
        FakePeer(Platform::default()),
        wire::Wire::new(stream),
        &progress,
        4,
    );
    let long = Message::Offer("x".repeat(MAX_MESSAGE));
    assert!(matches!(
        session.send(&long).await,
        Err(HandshakeError::Signal(SignalError::TooLong))
    ));
}
