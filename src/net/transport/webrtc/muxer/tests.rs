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
use proptest::prelude::*;

use super::{
    super::{
        frame::{Decoder, Flag, Frame, INTEROP_FRAME, MAX_FRAME},
        rtc::{
            ChannelEvent,
            mem::{MemChannel, MemNetwork, MemPeer},
        },
        stream::{HIGH_WATER, MAX_SENT_FRAME, MAX_STREAM_UNREAD, StreamError},
    },
    *,
};

/// Deadlines that a test can wait for.
const SHORT: Timing = Timing {
    fin_ack: Duration::from_millis(50),
    linger: Duration::from_millis(50),
    channel_close: Duration::from_millis(50),
    disconnected: Duration::from_millis(50),
};

type MemStream = Stream<MemChannel>;

/// A muxer that a test and the background share, in one task as in a swarm.
#[derive(Clone)]
struct Side(Rc<RefCell<Muxer<MemPeer>>>);

impl Side {
    fn new(peer: MemPeer) -> Self {
        Self(Rc::new(RefCell::new(Muxer::with_timing(peer, Vec::new(), SHORT))))
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
    let network = MemNetwork::new();
    let (a, b) = network.connected_pair();
    (network, Side::new(a), Foreigner { peer: b, decoder: Decoder::default() })
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
        self.take(channel).0.iter().filter_map(|frame| frame.flag).collect()
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
    Frame { flag: Some(flag), ..Frame::default() }.encode()
}

fn payload(bytes: &[u8]) -> Vec<u8> {
    Frame { message: Some(Bytes::copy_from_slice(bytes)), ..Frame::default() }.encode()
}

fn pattern(length: usize, seed: usize) -> Vec<u8> {
    (0..length).map(|index| (index * 31 + index / 251 + seed * 7) as u8).collect()
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

#[test]
fn a_mebibyte_is_echoed_after_half_close() {
    let (network, a, b) = pair();
    run(&[&a, &b], async {
        let client = async {
            let mut stream = a.open().await.unwrap();
            let sent = pattern(1 << 20, 0);
            stream.write_all(&sent).await.unwrap();
            stream.close().await.unwrap();
            let mut received = Vec::new();
            stream.read_to_end(&mut received).await.unwrap();
            assert_eq!(received, sent);
            for _ in 0..3 {
                assert_eq!(stream.read(&mut [0; 8]).await.unwrap(), 0, "the end stays the end");
            }
            let error = stream.write(b"x").await.unwrap_err();
            assert_eq!(error.kind(), ErrorKind::BrokenPipe);
        };
        join(client, async { echo(b.accept().await.unwrap()).await }).await;
    });
    settle(&[&a, &b], Duration::from_secs(1), || network.open_channels() == 0);
    assert_eq!((a.unread(), b.unread()), (0, 0));
}

#[test]
fn sixty_four_streams_at_once_do_not_mix() {
    let (network, a, b) = pair();
    run(&[&a, &b], async {
        let clients = join_all((0..64).map(|seed| {
            let a = &a;
            async move {
                let mut stream = a.open().await.unwrap();
                let sent = pattern(10_000 + seed * 997, seed);
                stream.write_all(&sent).await.unwrap();
                stream.close().await.unwrap();
                let mut received = Vec::new();
                stream.read_to_end(&mut received).await.unwrap();
                assert_eq!(received, sent, "stream {seed}");
            }
        }));
        let servers = join_all((0..64).map(|_| async { echo(b.accept().await.unwrap()).await }));
        join(clients, servers).await;
    });
    settle(&[&a, &b], Duration::from_secs(1), || network.open_channels() == 0);
}

#[test]
fn five_hundred_streams_leave_no_channel_open() {
    let (network, a, b) = pair();
    run(&[&a, &b], async {
        for index in 0..500 {
            let (stream, remote) = join(a.open(), b.accept()).await;
            let (mut stream, mut remote) = (stream.unwrap(), remote.unwrap());
            match index % 4 {
                0 => {
                    let (left, right) = join(stream.close(), remote.close()).await;
                    left.unwrap();
                    right.unwrap();
                }
                1 => {
                    stream.write_all(b"unfinished").await.unwrap();
                    drop(stream);
                    let error = remote.read(&mut [0; 16]).await.unwrap_err();
                    assert_eq!(error.kind(), ErrorKind::ConnectionReset);
                }
                2 => {
                    stream.close().await.unwrap();
                    drop(stream);
                    remote.close().await.unwrap();
                }
                _ => drop((stream, remote)),
            }
        }
    });
    settle(&[&a, &b], Duration::from_secs(1), || network.open_channels() == 0);
    assert_eq!((a.open_channels(), b.open_channels()), (0, 0));
}

#[test]
fn a_slow_reader_gets_a_burst_of_two_mebibytes() {
    let (_network, a, b) = pair();
    run(&[&a, &b], async {
        let mut stream = a.open().await.unwrap();
        let mut remote = b.accept().await.unwrap();
        let sent = pattern(2 << 20, 1);
        stream.write_all(&sent).await.unwrap();
        stream.close().await.unwrap();
        assert!(b.unread() >= sent.len());
        let mut received = Vec::new();
        let mut piece = [0; 1000];
        loop {
            let length = remote.read(&mut piece).await.unwrap();
            if length == 0 {
                break;
            }
            received.extend_from_slice(&piece[..length]);
        }
        assert_eq!(received, sent);
        assert_eq!(b.unread(), 0);
    });
}

#[test]
fn a_stream_that_nobody_reads_is_reset_at_its_limit() {
    let (_network, a, b) = pair();
    run(&[&a, &b], async {
        let mut stream = a.open().await.unwrap();
        let mut remote = b.accept().await.unwrap();
        let error = stream.write_all(&vec![0; MAX_STREAM_UNREAD + (1 << 20)]).await.err();
        let error = match error {
            Some(error) => error,
            None => stream.close().await.unwrap_err(),
        };
        assert_eq!(error.kind(), ErrorKind::ConnectionReset);
        let error = remote.read(&mut [0; 8]).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::ConnectionReset);
        assert_eq!(remote.error(), Some(StreamError::Overflow(MAX_STREAM_UNREAD)));
        assert_eq!(b.unread(), 0);
    });
}

#[test]
fn the_connection_limit_resets_the_stream_that_exceeds_it() {
    let (_network, a, b) = pair();
    run(&[&a, &b], async {
        let mut streams = Vec::new();
        for index in 0..5 {
            let mut stream = a.open().await.unwrap();
            let remote = b.accept().await.unwrap();
            let sent = stream.write_all(&vec![0; 3_800_000]).await;
            let closed = if sent.is_ok() { stream.close().await } else { sent };
            assert_eq!(closed.is_ok(), index < 4, "stream {index}");
            streams.push((stream, remote));
        }
        let overflow = StreamError::Overflow(16 << 20);
        assert_eq!(streams[4].1.error(), Some(overflow));
        assert!(streams[..4].iter().all(|(_, remote)| remote.error().is_none()));
    });
}

#[test]
fn tiny_pieces_count_for_what_they_cost() {
    let (_network, a, mut foreigner) = with_foreigner();
    let mut channel = foreigner.open();
    let mut stream = run(&[&a], a.accept()).unwrap();
    // One message with many one-byte frames must not keep many times its size in memory.
    let message = payload(b"x").repeat(16 * 1024);
    for _ in 0..3 {
        channel.send(&message).unwrap();
        a.poll();
    }
    assert_eq!(stream.error(), Some(StreamError::Overflow(MAX_STREAM_UNREAD)));
    let outcome = run(&[&a], stream.read(&mut [0; 8]));
    assert_eq!(outcome.unwrap_err().kind(), ErrorKind::ConnectionReset);
}

#[test]
fn frames_without_payload_are_no_end() {
    let (_network, a, mut foreigner) = with_foreigner();
    let mut channel = foreigner.open();
    let mut stream = run(&[&a], a.accept()).unwrap();
    channel.send(&Frame::default().encode()).unwrap();
    channel.send(&payload(b"")).unwrap();
    channel.send(&flag(Flag::StopSending)).unwrap();
    channel.send(&flag(Flag::FinAck)).unwrap();
    let mut buf = [0; 8];
    run(&[&a], async {
        assert!(stream.read(&mut buf).now_or_never().is_none());
        let error = stream.write(b"x").await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::BrokenPipe, "the remote stopped reading");
        channel.send(&payload(b"data")).unwrap();
        assert_eq!(stream.read(&mut buf).await.unwrap(), 4);
    });
}

#[test]
fn the_exact_frames_of_a_short_stream() {
    let (_network, a, mut foreigner) = with_foreigner();
    let mut stream = run(&[&a], a.open()).unwrap();
    let mut channel = foreigner.accept();
    run(&[&a], async {
        stream.write_all(b"hi").await.unwrap();
        stream.flush().await.unwrap();
        assert!(stream.close().now_or_never().is_none(), "closed only when confirmed");
    });
    let (frames, ..) = foreigner.take(&mut channel);
    let first = Frame {
        flag: None,
        max_frame: Some(MAX_FRAME as u32),
        message: Some(Bytes::from_static(b"hi")),
    };
    assert_eq!(frames, [first, Frame { flag: Some(Flag::Fin), ..Frame::default() }]);
    for _ in 0..3 {
        channel.send(&flag(Flag::Fin)).unwrap();
        a.poll();
        let (frames, _, closed) = foreigner.take(&mut channel);
        assert_eq!(frames, [Frame { flag: Some(Flag::FinAck), ..Frame::default() }]);
        assert!(!closed, "our direction is not confirmed yet");
    }
    channel.send(&flag(Flag::FinAck)).unwrap();
    run(&[&a], stream.close()).unwrap();
    a.poll();
    assert!(foreigner.take(&mut channel).2, "both directions have ended");
}

#[test]
fn close_gives_up_waiting_for_the_confirmation() {
    let (network, a, mut foreigner) = with_foreigner();
    let mut stream = run(&[&a], a.open()).unwrap();
    let mut channel = foreigner.accept();
    let start = Instant::now();
    run(&[&a], stream.close()).unwrap();
    assert!(start.elapsed() >= SHORT.fin_ack);
    // Reading goes on.
    channel.send(&payload(b"late")).unwrap();
    let mut buf = [0; 8];
    assert_eq!(run(&[&a], stream.read(&mut buf)).unwrap(), 4);
    drop(stream);
    a.poll();
    let flags = foreigner.flags(&mut channel);
    assert_eq!(flags, [Flag::Fin, Flag::StopSending]);
    settle(&[&a], Duration::from_secs(1), || a.open_channels() == 0);
    assert_eq!(foreigner.flags(&mut channel), [Flag::ResetStream]);
    drop(channel);
    assert_eq!(network.open_channels(), 0);
}

#[test]
fn a_dropped_stream_ends_in_order() {
    let (_network, a, mut foreigner) = with_foreigner();
    let mut stream = run(&[&a], a.open()).unwrap();
    let mut channel = foreigner.accept();
    // Closing has begun when the owner drops it: what it wrote still goes out, then `Fin`.
    run(&[&a], async {
        stream.write_all(b"last words").await.unwrap();
        assert!(stream.close().now_or_never().is_none());
    });
    drop(stream);
    a.poll();
    let (frames, ..) = foreigner.take(&mut channel);
    assert_eq!(frames[0].message.as_deref(), Some(&b"last words"[..]));
    let flags = frames.iter().filter_map(|frame| frame.flag).collect::<Vec<_>>();
    assert_eq!(flags, [Flag::Fin, Flag::StopSending]);
    channel.send(&payload(b"thrown away")).unwrap();
    channel.send(&flag(Flag::FinAck)).unwrap();
    channel.send(&flag(Flag::Fin)).unwrap();
    a.poll();
    assert_eq!((a.open_channels(), a.unread()), (1, 0));
    let (frames, _, closed) = foreigner.take(&mut channel);
    assert_eq!(frames, [Frame { flag: Some(Flag::FinAck), ..Frame::default() }]);
    assert!(closed);
    a.poll();
    assert_eq!(a.open_channels(), 0);
}

#[test]
fn a_reset_hides_what_was_not_read() {
    let (_network, a, mut foreigner) = with_foreigner();
    let mut channel = foreigner.open();
    let mut stream = run(&[&a], a.accept()).unwrap();
    channel.send(&payload(b"part")).unwrap();
    channel.send(&flag(Flag::Fin)).unwrap();
    channel.send(&flag(Flag::ResetStream)).unwrap();
    a.poll();
    let outcome = run(&[&a], stream.read(&mut [0; 8]));
    assert_eq!(outcome.unwrap_err().kind(), ErrorKind::ConnectionReset);
    let outcome = run(&[&a], stream.write(b"x"));
    assert_eq!(outcome.unwrap_err().kind(), ErrorKind::ConnectionReset);
    a.poll();
    assert_eq!(a.open_channels(), 0);
}

#[test]
fn a_channel_that_closes_without_fin_is_no_end() {
    let (_network, a, mut foreigner) = with_foreigner();
    let mut channel = foreigner.open();
    let mut stream = run(&[&a], a.accept()).unwrap();
    channel.send(&payload(b"part")).unwrap();
    channel.close();
    let mut buf = [0; 8];
    run(&[&a], async {
        assert_eq!(stream.read(&mut buf).await.unwrap(), 4);
        let error = stream.read(&mut buf).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::ConnectionReset);
        assert_eq!(stream.error(), Some(StreamError::ChannelClosed));
    });
}

#[test]
fn malformed_and_oversized_frames_reset_the_stream() {
    let cases: [&[u8]; 3] = [&[0x81, 0x80, 0x10], &[2, 0x12, 9], &[0xff; 12]];
    for bytes in cases {
        let (_network, a, mut foreigner) = with_foreigner();
        let mut channel = foreigner.open();
        let mut stream = run(&[&a], a.accept()).unwrap();
        channel.send(bytes).unwrap();
        let outcome = run(&[&a], stream.read(&mut [0; 8]));
        assert_eq!(outcome.unwrap_err().kind(), ErrorKind::ConnectionReset, "{bytes:?}");
        assert!(matches!(stream.error(), Some(StreamError::Frame(_))), "{bytes:?}");
        a.poll();
        assert_eq!(foreigner.flags(&mut channel), [Flag::ResetStream]);
    }
}

#[test]
fn small_writes_leave_together_even_without_flush() {
    let (network, a, b) = pair();
    let (mut stream, mut remote) = run(&[&a, &b], async {
        let stream = a.open().await.unwrap();
        (stream, b.accept().await.unwrap())
    });
    let before = network.sent().0;
    let sent = pattern(1000, 2);
    let mut received = vec![0; 1000];
    run(&[&a, &b], async {
        for byte in &sent {
            stream.write_all(&[*byte]).await.unwrap();
        }
        remote.read_exact(&mut received).await.unwrap();
    });
    assert_eq!(received, sent);
    assert_eq!(network.sent().0 - before, 1);
}

#[test]
fn frames_grow_when_the_remote_says_so() {
    let (_network, a, mut foreigner) = with_foreigner();
    let mut stream = run(&[&a], a.open()).unwrap();
    let mut channel = foreigner.accept();
    run(&[&a], stream.write_all(&pattern(100_000, 3))).unwrap();
    let (_, sizes, _) = foreigner.take(&mut channel);
    assert!(sizes.iter().all(|size| *size <= INTEROP_FRAME), "{sizes:?}");
    assert!(sizes.iter().any(|size| *size > INTEROP_FRAME - 16), "{sizes:?}");

    // Announced on another channel, it holds for all of them.
    let mut other = foreigner.open();
    let _inbound = run(&[&a], a.accept()).unwrap();
    other.send(&Frame { max_frame: Some(1 << 30), ..Frame::default() }.encode()).unwrap();
    a.poll();
    run(&[&a], stream.write_all(&pattern(500_000, 4))).unwrap();
    let (_, sizes, _) = foreigner.take(&mut channel);
    assert!(sizes.iter().all(|size| *size <= MAX_SENT_FRAME), "{sizes:?}");
    assert!(sizes.iter().any(|size| *size > MAX_SENT_FRAME - 16), "{sizes:?}");

    // Less than everybody accepts is not believed.
    other.send(&Frame { max_frame: Some(1), ..Frame::default() }.encode()).unwrap();
    a.poll();
    run(&[&a], stream.write_all(&pattern(100_000, 5))).unwrap();
    let (_, sizes, _) = foreigner.take(&mut channel);
    assert!(sizes.contains(&(INTEROP_FRAME - 8)) || sizes.iter().any(|s| *s > 16_000), "{sizes:?}");
}

#[test]
fn a_writer_waits_at_the_high_water_mark() {
    let (network, a, b) = pair();
    let (mut stream, mut remote) = run(&[&a, &b], async {
        let stream = a.open().await.unwrap();
        (stream, b.accept().await.unwrap())
    });
    network.set_held(true);
    let sent = pattern(3 << 20, 6);
    let before = network.sent().1;
    run(&[&a, &b], async {
        let mut write = std::pin::pin!(stream.write_all(&sent));
        assert!(poll_fn(|cx| Poll::Ready(write.as_mut().poll(cx))).await.is_pending());
        let in_flight = network.sent().1 - before;
        assert!((HIGH_WATER..HIGH_WATER + MAX_SENT_FRAME).contains(&in_flight), "{in_flight}");
        network.set_held(false);
        let mut received = vec![0; sent.len()];
        let (written, read) = join(write, remote.read_exact(&mut received)).await;
        written.unwrap();
        read.unwrap();
        assert_eq!(received, sent);
    });
}

#[test]
fn early_channels_with_early_bytes_and_early_end_are_read() {
    let network = MemNetwork::new();
    let (mut a, mut b) = network.connected_pair();
    let mut early = Vec::new();
    for _ in 0..2 {
        let mut channel = a.open_channel("").unwrap();
        assert_eq!(poll_channel(&mut channel), Some(ChannelEvent::Open));
        channel.send(&payload(b"before ")).unwrap();
        channel.send(&[payload(b"anybody listened"), flag(Flag::Fin)].concat()).unwrap();
        early.push(channel);
    }
    // One was polled out by the handshake, the other still waits in the peer.
    let waker = noop_waker();
    let mut cx = Context::from_waker(&waker);
    let Poll::Ready(Ok(PeerEvent::Channel(polled_out))) = b.poll_event(&mut cx) else {
        panic!("the channel is not there");
    };
    let muxer = Muxer::with_timing(b, vec![polled_out], SHORT);
    let b = Side(Rc::new(RefCell::new(muxer)));
    run(&[&b], async {
        for _ in 0..2 {
            let mut stream = b.accept().await.unwrap();
            let mut bytes = Vec::new();
            stream.read_to_end(&mut bytes).await.unwrap();
            assert_eq!(bytes, b"before anybody listened");
        }
    });
}

#[test]
fn init_and_a_flood_of_channels_are_closed() {
    let (network, a, mut foreigner) = with_foreigner();
    let mut init = foreigner.peer.open_channel(INIT_LABEL).unwrap();
    a.poll();
    assert!(foreigner.take(&mut init).2);
    assert_eq!(a.open_channels(), 0);

    let mut channels =
        (0..MAX_INBOUND_BACKLOG + 10).map(|_| foreigner.open()).collect::<Vec<_>>();
    a.poll();
    assert_eq!(a.open_channels(), MAX_INBOUND_BACKLOG);
    let closed = channels.iter_mut().filter_map(poll_channel).collect::<Vec<_>>();
    assert_eq!(closed, vec![ChannelEvent::Closed; 10]);
    drop(channels);
    a.poll();
    assert_eq!(network.open_channels(), 0);
    // A stream that came and went is still handed out, and fails by itself.
    let mut stream = run(&[&a], a.accept()).unwrap();
    let outcome = run(&[&a], stream.read(&mut [0; 8]));
    assert_eq!(outcome.unwrap_err().kind(), ErrorKind::ConnectionReset);
}

#[test]
fn a_channel_that_cannot_be_opened_is_an_error() {
    let (network, a, _b) = pair();
    network.set_channel_limit(1);
    let _first = run(&[&a], a.open()).unwrap();
    assert!(matches!(run(&[&a], a.open()), Err(MuxerError::Rtc(RtcError::Platform(_)))));
}

#[test]
fn opening_waits_when_too_many_channels_are_open() {
    let (network, a, b) = pair();
    run(&[&a, &b], async {
        let mut streams = Vec::new();
        for _ in 0..MAX_OUTBOUND_CHANNELS {
            streams.push((a.open().await.unwrap(), b.accept().await.unwrap()));
        }
        assert!(a.open().now_or_never().is_none());
        let (next, ()) = join(a.open(), async { drop(streams.pop()) }).await;
        next.unwrap();
    });
    settle(&[&a, &b], Duration::from_secs(1), || network.open_channels() == 0);
}

#[test]
fn disconnected_then_recovered_goes_on() {
    let (network, a, b) = pair();
    run(&[&a, &b], async {
        let mut stream = a.open().await.unwrap();
        let mut remote = b.accept().await.unwrap();
        network.disconnect();
        stream.write_all(b"across").await.unwrap();
        stream.flush().await.unwrap();
        let mut buf = [0; 6];
        assert!(remote.read_exact(&mut buf).now_or_never().is_none());
        assert!(a.poll().is_none() && b.poll().is_none());
        network.recover();
        remote.read_exact(&mut buf).await.unwrap();
        assert_eq!(&buf, b"across");
    });
    // The deadline of the interruption is over and must not fire.
    a.poll();
    std::thread::sleep(SHORT.disconnected * 2);
    assert!(a.poll().is_none() && b.poll().is_none());
}

#[test]
fn disconnected_for_too_long_is_lost() {
    let (network, a, b) = pair();
    let (mut stream, _remote) = run(&[&a, &b], async {
        let stream = a.open().await.unwrap();
        (stream, b.accept().await.unwrap())
    });
    network.disconnect();
    let start = Instant::now();
    let outcome = run(&[&a], stream.read(&mut [0; 8]));
    assert_eq!(outcome.unwrap_err().kind(), ErrorKind::ConnectionReset);
    assert!(start.elapsed() >= SHORT.disconnected);
    assert!(matches!(a.poll(), Some(MuxerError::Lost)));
    assert_eq!(network.open_peers(), 1);
}

#[test]
fn a_failed_connection_ends_and_wakes_everything() {
    let (network, a, b) = pair();
    run(&[&a, &b], async {
        let mut reader = a.open().await.unwrap();
        let mut remote = b.accept().await.unwrap();
        remote.write_all(b"left").await.unwrap();
        remote.flush().await.unwrap();
        let mut buf = [0; 4];
        reader.read_exact(&mut buf).await.unwrap();
        let mut writer = a.open().await.unwrap();
        network.set_held(true);
        let large = vec![0; 3 << 20];
        let parked = async {
            let (read, written) = join(reader.read(&mut buf), writer.write_all(&large)).await;
            assert_eq!(read.unwrap_err().kind(), ErrorKind::ConnectionReset);
            assert_eq!(written.unwrap_err().kind(), ErrorKind::BrokenPipe);
        };
        join(parked, async { network.fail() }).await;
        assert!(matches!(a.poll(), Some(MuxerError::Failed)));
        assert!(matches!(a.open().await, Err(MuxerError::Failed)));
        assert!(matches!(a.accept().await, Err(MuxerError::Failed)));
        assert_eq!(writer.close().await.unwrap_err().kind(), ErrorKind::BrokenPipe);
    });
    assert_eq!((a.open_channels(), network.open_channels()), (0, 0));
}

#[test]
fn the_end_of_the_remote_muxer_is_noticed() {
    let (network, a, b) = pair();
    let mut stream = run(&[&a, &b], a.open()).unwrap();
    drop(b);
    assert_eq!(network.open_peers(), 1);
    let outcome = run(&[&a], stream.read(&mut [0; 8]));
    assert_eq!(outcome.unwrap_err().kind(), ErrorKind::ConnectionReset);
    assert!(matches!(a.poll(), Some(MuxerError::Failed)));
}

#[test]
fn dropping_the_muxer_ends_streams_that_outlive_it() {
    let (network, a, b) = pair();
    let mut stream = run(&[&a, &b], a.open()).unwrap();
    drop((a, b));
    assert_eq!((network.open_peers(), network.open_channels()), (0, 0));
    let error = block_on(stream.read(&mut [0; 8])).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::ConnectionReset);
}

#[test]
fn closing_the_muxer_closes_the_connection() {
    let (network, a, b) = pair();
    let close = poll_fn(|cx| a.0.borrow_mut().poll_close_unpin(cx));
    block_on(close).unwrap();
    assert_eq!(network.open_peers(), 1);
    assert!(matches!(a.poll(), Some(MuxerError::Closed)));
    assert!(matches!(b.poll(), Some(MuxerError::Failed)));
}

#[derive(Debug, Clone)]
enum Step {
    Write(usize),
    Flush,
    Close,
    Read(usize),
    Hold(bool),
    Poll,
}

fn steps() -> impl Strategy<Value = Vec<(bool, Step)>> {
    let step = prop_oneof![
        4 => (1usize..40_000).prop_map(Step::Write),
        2 => Just(Step::Flush),
        1 => Just(Step::Close),
        4 => (1usize..40_000).prop_map(Step::Read),
        1 => any::<bool>().prop_map(Step::Hold),
        4 => Just(Step::Poll),
    ];
    proptest::collection::vec((any::<bool>(), step), 0..60)
}

proptest! {
    #[test]
    fn whatever_the_order_bytes_arrive_whole_and_channels_end(steps in steps()) {
        let (network, a, b) = pair();
        let (left, right) = run(&[&a, &b], async {
            let stream = a.open().await.unwrap();
            (stream, b.accept().await.unwrap())
        });
        let sides = [&a, &b];
        let mut streams = [left, right];
        let (mut sent, mut received) = ([vec![], vec![]], [vec![], vec![]]);
        let mut closed = [false; 2];
        for (which, step) in steps {
            let which = usize::from(which);
            let stream = &mut streams[which];
            match step {
                Step::Write(length) if !closed[which] => {
                    let bytes = pattern(length, sent[which].len());
                    if let Some(written) = stream.write(&bytes).now_or_never() {
                        let written = written.unwrap();
                        sent[which].extend_from_slice(&bytes[..written]);
                    }
                }
                Step::Flush => drop(stream.flush().now_or_never()),
                Step::Close => {
                    closed[which] = true;
                    drop(stream.close().now_or_never());
                }
                Step::Read(length) => {
                    let mut buf = vec![0; length];
                    if let Some(read) = stream.read(&mut buf).now_or_never() {
                        received[1 - which].extend_from_slice(&buf[..read.unwrap()]);
                    }
                }
                Step::Hold(held) => network.set_held(held),
                Step::Write(_) => {}
                Step::Poll => drop(sides[which].poll()),
            }
        }
        network.set_held(false);
        let [left, right] = &mut streams;
        run(&sides, async {
            let [to_right, to_left] = &mut received;
            let (left_closed, right_closed) = join(left.close(), right.close()).await;
            left_closed.unwrap();
            right_closed.unwrap();
            left.read_to_end(to_left).await.unwrap();
            right.read_to_end(to_right).await.unwrap();
        });
        prop_assert_eq!(&received[0], &sent[0]);
        prop_assert_eq!(&received[1], &sent[1]);
        settle(&sides, Duration::from_secs(1), || network.open_channels() == 0);
        prop_assert_eq!((a.unread(), b.unread()), (0, 0));
    }

    #[test]
    fn garbage_on_a_channel_stays_within_bounds(
        messages in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 1..200), 1..30),
    ) {
        let (_network, a, mut foreigner) = with_foreigner();
        let mut channel = foreigner.open();
        let mut stream = run(&[&a], a.accept()).unwrap();
        for message in messages {
            if channel.send(&message).is_err() {
                break;
            }
            a.poll();
            prop_assert!(a.unread() <= MAX_STREAM_UNREAD);
        }
        drop(stream.read(&mut [0; 64]).now_or_never());
        drop(stream);
        channel.close();
        a.poll();
        prop_assert_eq!((a.open_channels(), a.unread()), (0, 0));
    }
}
