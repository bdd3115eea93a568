#![allow(clippy::unwrap_used)]

use std::{
    cell::RefCell,
    future::poll_fn,
    io::ErrorKind,
    rc::Rc,
    time::{Duration, Instant},
};

use bytes::Bytes;
use futures::{
    AsyncReadExt, AsyncWriteExt, FutureExt,
    executor::block_on,
    future::{join, join_all},
    task::noop_waker,
};
use libp2p::core::muxing::StreamMuxerExt;

use super::{
    super::{
        frame::{Decoder, Flag, Frame, INTEROP_FRAME, MAX_FRAME},
        rtc::{
            ChannelEvent,
            mem::{MemChannel, MemNetwork, MemPeer},
        },
        stream::{
            CAUTIOUS_FRAME, HIGH_WATER, MAX_LINGERING, MAX_SENT_FRAME, MAX_STREAM_UNREAD,
            StreamError,
        },
    },
    *,
};

mod any_order;
mod connection;
mod frames;
mod transfer;

/// Deadlines that a test can wait for.
const SHORT: Timing = Timing {
    fin_ack: Duration::from_millis(50),
    linger: Duration::from_millis(50),
    channel_close: Duration::from_millis(50),
    disconnected: Duration::from_millis(150),
};

type MemStream = Stream<MemChannel>;

/// A muxer that a test and the background share, in one task as in a swarm.
#[derive(Clone)]
struct Side(Rc<RefCell<Muxer<MemPeer>>>);

impl Side {
    fn new(peer: MemPeer) -> Self {
        Self::with_timing(peer, SHORT)
    }

    fn with_timing(peer: MemPeer, timing: Timing) -> Self {
        Self(Rc::new(RefCell::new(Muxer::with_timing(
            peer,
            Vec::new(),
            timing,
        ))))
    }

    async fn open(&self) -> Result<MemStream, MuxerError> {
        poll_fn(|cx| self.0.borrow_mut().poll_outbound_unpin(cx)).await
    }

    async fn accept(&self) -> Result<MemStream, MuxerError> {
        poll_fn(|cx| self.0.borrow_mut().poll_inbound_unpin(cx)).await
    }

    fn poll(&self) -> Option<MuxerError> {
        let waker = noop_waker();
        let mut cx = Context::from_waker(&waker);
        match self.0.borrow_mut().poll_unpin(&mut cx) {
            Poll::Ready(Err(error)) => Some(error),
            Poll::Ready(Ok(_)) | Poll::Pending => None,
        }
    }

    fn open_channels(&self) -> usize {
        self.0.borrow().open_channels()
    }

    fn unread(&self) -> usize {
        self.0.borrow().unread()
    }
}

/// Runs `test` while the muxers are polled, all in one task.
fn run<T>(sides: &[&Side], test: impl Future<Output = T>) -> T {
    let mut test = Box::pin(test);
    block_on(poll_fn(|cx| {
        for side in sides {
            let _ = side.0.borrow_mut().poll_unpin(cx);
        }
        test.poll_unpin(cx)
    }))
}

/// Polls the muxers until nothing changes any more, waiting for deadlines, `limit` at most.
fn settle(sides: &[&Side], limit: Duration, done: impl Fn() -> bool) {
    let start = Instant::now();
    while !done() {
        assert!(start.elapsed() < limit, "not settled in {limit:?}");
        sides.iter().for_each(|side| {
            side.poll();
        });
        std::thread::sleep(Duration::from_millis(1));
    }
}

fn pair() -> (MemNetwork, Side, Side) {
    let network = MemNetwork::new();
    let (a, b) = network.connected_pair();
    (network, Side::new(a), Side::new(b))
}

/// A muxer that talks to somebody else's implementation, whose bytes the test writes itself.
fn with_foreigner() -> (MemNetwork, Side, Foreigner) {
    with_foreigner_in(SHORT)
}

fn with_foreigner_in(timing: Timing) -> (MemNetwork, Side, Foreigner) {
    let network = MemNetwork::new();
    let (a, b) = network.connected_pair();
    (
        network,
        Side::with_timing(a, timing),
        Foreigner {
            peer: b,
            decoder: Decoder::default(),
        },
    )
}

struct Foreigner {
    peer: MemPeer,
    decoder: Decoder,
}

impl Foreigner {
    fn open(&mut self) -> MemChannel {
        let mut channel = self.peer.open_channel("").unwrap();
        assert_eq!(poll_channel(&mut channel), Some(ChannelEvent::Open));
        channel
    }

    fn accept(&mut self) -> MemChannel {
        let waker = noop_waker();
        let mut cx = Context::from_waker(&waker);
        match self.peer.poll_event(&mut cx) {
            Poll::Ready(Ok(PeerEvent::Channel(mut channel))) => {
                assert_eq!(poll_channel(&mut channel), Some(ChannelEvent::Open));
                channel
            }
            other => panic!("no channel: {other:?}"),
        }
    }

    /// Frames that have arrived, the size of each message, and whether the channel is closed.
    fn take(&mut self, channel: &mut MemChannel) -> (Vec<Frame>, Vec<usize>, bool) {
        let (mut frames, mut sizes, mut closed) = (Vec::new(), Vec::new(), false);
        while let Some(event) = poll_channel(channel) {
            match event {
                ChannelEvent::Message(message) => {
                    sizes.push(message.len());
                    frames.extend(self.decoder.feed(message).map(Result::unwrap));
                }
                ChannelEvent::Closed => closed = true,
                ChannelEvent::Open | ChannelEvent::BufferedAmountLow => {}
            }
        }
        (frames, sizes, closed)
    }

    fn flags(&mut self, channel: &mut MemChannel) -> Vec<Flag> {
        self.take(channel)
            .0
            .iter()
            .filter_map(|frame| frame.flag)
            .collect()
    }
}

fn poll_channel(channel: &mut MemChannel) -> Option<ChannelEvent> {
    let waker = noop_waker();
    match channel.poll_event(&mut Context::from_waker(&waker)) {
        Poll::Ready(event) => Some(event),
        Poll::Pending => None,
    }
}

fn flag(flag: Flag) -> Vec<u8> {
    Frame {
        flag: Some(flag),
        ..Frame::default()
    }
    .encode()
}

fn payload(bytes: &[u8]) -> Vec<u8> {
    Frame {
        message: Some(Bytes::copy_from_slice(bytes)),
        ..Frame::default()
    }
    .encode()
}

fn pattern(length: usize, seed: usize) -> Vec<u8> {
    (0..length)
        .map(|index| (index * 31 + index / 251 + seed * 7) as u8)
        .collect()
}

async fn echo(mut stream: MemStream) {
    let mut bytes = Vec::new();
    stream.read_to_end(&mut bytes).await.unwrap();
    stream.write_all(&bytes).await.unwrap();
    stream.close().await.unwrap();
}

#[test]
fn muxer_and_stream_can_be_boxed_for_a_swarm() {
    fn assert_send<T: Send + 'static>() {}
    assert_send::<Muxer<MemPeer>>();
    assert_send::<MemStream>();
    let (a, _b) = MemNetwork::new().connected_pair();
    let boxed = libp2p::core::muxing::StreamMuxerBox::new(Muxer::new(a));
    assert!(format!("{boxed:?}").contains("StreamMuxerBox"));
}
