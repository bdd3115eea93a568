//! Two peer connections in one page, joined directly: the web backend, the muxer and its streams.

#![allow(clippy::unwrap_used)]

use std::{
    cell::RefCell,
    future::{Future, poll_fn},
    rc::Rc,
    task::Poll,
    time::Duration,
};

use futures::{
    AsyncReadExt, AsyncWriteExt,
    future::{join, join_all},
};
use futures_timer::Delay;
use gyre::net::transport::webrtc::{
    muxer::{Muxer, MuxerError},
    rtc::{
        ChannelEvent, ConnectionState, PeerEvent, RtcChannel, RtcConfig, RtcError, RtcFactory,
        RtcPeer, SdpKind,
        web::{WebChannel, WebFactory, WebPeer, constructed},
    },
    stream::Stream,
};
use libp2p::core::muxing::StreamMuxerExt;
use wasm_bindgen_test::wasm_bindgen_test;

type WebStream = Stream<WebChannel>;

/// A muxer whose background runs in a task of its own, woken together with whoever opens and accepts.
#[derive(Clone)]
struct Side {
    muxer: Rc<RefCell<Muxer<WebPeer>>>,
    ended: Rc<RefCell<Option<MuxerError>>>,
}

impl Side {
    fn new(peer: WebPeer, early: Vec<WebChannel>) -> Self {
        let muxer = Rc::new(RefCell::new(Muxer::with_channels(peer, early)));
        Self {
            muxer,
            ended: Rc::default(),
        }
    }

    async fn open(&self) -> WebStream {
        poll_fn(|cx| self.muxer.borrow_mut().poll_outbound_unpin(cx))
            .await
            .unwrap()
    }

    async fn accept(&self) -> WebStream {
        poll_fn(|cx| self.muxer.borrow_mut().poll_inbound_unpin(cx))
            .await
            .unwrap()
    }
}

/// Runs `test` and the muxers in one task, as a swarm does with a connection.
async fn run<T>(sides: &[&Side], test: impl Future<Output = T>) -> T {
    let mut test = Box::pin(test);
    poll_fn(|cx| {
        for side in sides {
            if side.ended.borrow().is_none()
                && let Poll::Ready(Err(error)) = side.muxer.borrow_mut().poll_unpin(cx)
            {
                *side.ended.borrow_mut() = Some(error);
            }
        }
        test.as_mut().poll(cx)
    })
    .await
}

/// Joins two connections until both are connected; channels that came meanwhile are returned with the second.
async fn connect() -> (WebPeer, WebPeer, Vec<WebChannel>) {
    let config = RtcConfig::default();
    let mut a = WebFactory.create(&config).unwrap();
    let mut b = WebFactory.create(&config).unwrap();
    let mut init = a.open_channel("init").unwrap();
    assert_eq!(init.label(), "init");
    let offer = a.create_offer().await.unwrap();
    a.set_local(SdpKind::Offer, offer.clone()).await.unwrap();
    b.set_remote(SdpKind::Offer, offer).await.unwrap();
    let answer = b.create_answer().await.unwrap();
    b.set_local(SdpKind::Answer, answer.clone()).await.unwrap();
    a.set_remote(SdpKind::Answer, answer).await.unwrap();
    let mut early = Vec::new();
    while a.state() != ConnectionState::Connected || b.state() != ConnectionState::Connected {
        for side in 0..2 {
            let event = poll_fn(|cx| {
                let peer = if side == 0 { &mut a } else { &mut b };
                Poll::Ready(peer.poll_event(cx))
            });
            match event.await {
                Poll::Ready(Ok(PeerEvent::Candidate(candidate))) => {
                    let other = if side == 0 { &mut b } else { &mut a };
                    other.add_candidate(candidate).await.unwrap();
                }
                Poll::Ready(Ok(PeerEvent::Channel(channel))) => early.push(channel),
                Poll::Ready(Ok(PeerEvent::State(state))) => assert!(!state.is_terminal()),
                Poll::Ready(Err(error)) => panic!("{error}"),
                Poll::Pending => Delay::new(Duration::from_millis(5)).await,
            }
        }
    }
    assert_eq!(poll_fn(|cx| init.poll_event(cx)).await, ChannelEvent::Open);
    init.close();
    while poll_fn(|cx| init.poll_event(cx)).await != ChannelEvent::Closed {}
    (a, b, early)
}

async fn pair() -> (Side, Side) {
    let (a, b, early) = connect().await;
    (Side::new(a, Vec::new()), Side::new(b, early))
}

fn pattern(length: usize, seed: usize) -> Vec<u8> {
    (0..length)
        .map(|index| (index * 31 + index / 251 + seed * 7) as u8)
        .collect()
}

async fn echo(mut stream: WebStream) {
    let mut buf = vec![0; 64 * 1024];
    loop {
        match stream.read(&mut buf).await.unwrap() {
            0 => break,
            length => stream.write_all(&buf[..length]).await.unwrap(),
        }
    }
    stream.close().await.unwrap();
}

async fn closed_channels(sides: &[&Side]) {
    run(sides, async {
        for _ in 0..500 {
            if sides
                .iter()
                .all(|side| side.muxer.borrow().open_channels() == 0)
            {
                return;
            }
            Delay::new(Duration::from_millis(10)).await;
        }
        panic!(
            "channels stay open: {:?}",
            sides
                .iter()
                .map(|s| s.muxer.borrow().open_channels())
                .collect::<Vec<_>>()
        );
    })
    .await;
}

#[wasm_bindgen_test]
async fn a_mebibyte_is_echoed_and_half_close_leaves_reading_open() {
    let before = constructed();
    let (a, b) = pair().await;
    assert_eq!(constructed() - before, 2);
    run(&[&a, &b], async {
        let client = async {
            let stream = a.open().await;
            let sent = pattern(1 << 20, 0);
            let (mut reader, mut writer) = stream.split();
            let write = async {
                writer.write_all(&sent).await.unwrap();
                writer.close().await.unwrap();
            };
            let read = async {
                let mut received = Vec::new();
                reader.read_to_end(&mut received).await.unwrap();
                assert_eq!(reader.read(&mut [0; 8]).await.unwrap(), 0);
                received
            };
            let ((), received) = join(write, read).await;
            assert!(received == sent);
        };
        join(client, async { echo(b.accept().await).await }).await;
    })
    .await;
    closed_channels(&[&a, &b]).await;
}

#[wasm_bindgen_test]
async fn closing_first_and_reading_afterwards() {
    let (a, b) = pair().await;
    run(&[&a, &b], async {
        let client = async {
            let mut stream = a.open().await;
            stream.write_all(b"question").await.unwrap();
            stream.close().await.unwrap();
            let mut received = Vec::new();
            stream.read_to_end(&mut received).await.unwrap();
            assert_eq!(received, b"answer");
        };
        let server = async {
            let mut stream = b.accept().await;
            let mut received = Vec::new();
            stream.read_to_end(&mut received).await.unwrap();
            assert_eq!(received, b"question");
            stream.write_all(b"answer").await.unwrap();
            stream.close().await.unwrap();
        };
        join(client, server).await;
    })
    .await;
    closed_channels(&[&a, &b]).await;
}

#[wasm_bindgen_test]
async fn two_hundred_streams_leave_no_channel_open() {
    let (a, b) = pair().await;
    run(&[&a, &b], async {
        for batch in 0..20 {
            let clients = join_all((0..10).map(|index| {
                let a = &a;
                async move {
                    let mut stream = a.open().await;
                    let sent = pattern(1000 + batch * 10 + index, index);
                    stream.write_all(&sent).await.unwrap();
                    stream.close().await.unwrap();
                    let mut received = Vec::new();
                    stream.read_to_end(&mut received).await.unwrap();
                    assert!(received == sent);
                }
            }));
            let servers = join_all((0..10).map(|_| async { echo(b.accept().await).await }));
            join(clients, servers).await;
        }
    })
    .await;
    closed_channels(&[&a, &b]).await;
}

#[wasm_bindgen_test]
async fn a_reset_is_seen_and_a_burst_waits_for_a_slow_reader() {
    let (a, b) = pair().await;
    run(&[&a, &b], async {
        let mut dropped = a.open().await;
        dropped.write_all(b"x").await.unwrap();
        dropped.flush().await.unwrap();
        let mut remote = b.accept().await;
        let mut buf = [0; 8];
        assert_eq!(remote.read(&mut buf).await.unwrap(), 1);
        drop(dropped);
        let error = remote.read(&mut buf).await.unwrap_err();
        assert_eq!(error.kind(), std::io::ErrorKind::ConnectionReset);

        let mut stream = a.open().await;
        let sent = pattern(2 << 20, 3);
        let send = async {
            stream.write_all(&sent).await.unwrap();
            stream.close().await.unwrap();
        };
        let receive = async {
            let mut slow = b.accept().await;
            Delay::new(Duration::from_millis(500)).await;
            let mut received = Vec::new();
            slow.read_to_end(&mut received).await.unwrap();
            assert!(received == sent);
            slow.close().await.unwrap();
        };
        join(send, receive).await;
        drop(stream);
    })
    .await;
    closed_channels(&[&a, &b]).await;
}

#[wasm_bindgen_test]
async fn the_end_of_the_remote_is_noticed() {
    let (a, b) = pair().await;
    run(&[&a, &b], async {
        let mut stream = a.open().await;
        stream.write_all(b"x").await.unwrap();
        stream.flush().await.unwrap();
        drop(b.accept().await);
    })
    .await;
    let start = js_sys::Date::now();
    drop(b);
    let ended = a.ended.clone();
    run(&[&a], async {
        while ended.borrow().is_none() {
            assert!(js_sys::Date::now() - start < 30_000.0, "not noticed");
            Delay::new(Duration::from_millis(20)).await;
        }
    })
    .await;
    wasm_bindgen_test::console_log!("noticed after {} ms", js_sys::Date::now() - start);
}

#[wasm_bindgen_test]
async fn misuse_is_an_error_and_no_exception() {
    let mut peer = WebFactory.create(&RtcConfig::default()).unwrap();
    assert!(matches!(
        peer.create_answer().await,
        Err(RtcError::Platform(_))
    ));
    let nonsense = peer.set_remote(SdpKind::Offer, "nonsense".into()).await;
    assert!(matches!(nonsense, Err(RtcError::Platform(_))));
    let nonsense = peer.add_candidate(Some("{".into())).await;
    assert!(matches!(nonsense, Err(RtcError::Platform(_))));
    let mut channel = peer.open_channel("").unwrap();
    assert!(matches!(
        channel.send(b"too early"),
        Err(RtcError::Platform(_))
    ));
    peer.close();
    assert_eq!(peer.state(), ConnectionState::Closed);
    assert!(matches!(peer.open_channel(""), Err(RtcError::Platform(_))));
    let bad = RtcConfig {
        ice_servers: vec!["nonsense:".into()],
        ..RtcConfig::default()
    };
    assert!(WebFactory.create(&bad).is_err());
}

/// One way, a stream beside a bare channel with messages of the same size; printed, because the figures depend on the
/// machine. On one that is busy with other things they say nothing, so only the bytes are asserted.
#[wasm_bindgen_test]
async fn bulk_beside_a_bare_channel() {
    for round in 0..3 {
        let bare = bare_channel(64 * 1024).await;
        let stream = bulk_stream().await;
        wasm_bindgen_test::console_log!(
            "round {round}: bare channel {bare:.1} MiB/s, stream {stream:.1} MiB/s"
        );
    }
}

const BULK: usize = 32 << 20;

fn rate(start: f64) -> f64 {
    BULK as f64 / f64::from(1 << 20) / ((js_sys::Date::now() - start) / 1000.0)
}

async fn bare_channel(size: usize) -> f64 {
    let (mut a, mut b, _) = connect().await;
    let mut sender = a.open_channel("").unwrap();
    sender.set_low_threshold(512 * 1024);
    while poll_fn(|cx| sender.poll_event(cx)).await != ChannelEvent::Open {}
    let mut receiver = loop {
        match poll_fn(|cx| b.poll_event(cx)).await.unwrap() {
            PeerEvent::Channel(channel) if channel.label().is_empty() => break channel,
            _ => {}
        }
    };
    let message = pattern(size, 0);
    let start = js_sys::Date::now();
    let send = async {
        for _ in 0..BULK / size {
            while sender.buffered_amount() >= 1 << 20 {
                poll_fn(|cx| sender.poll_event(cx)).await;
            }
            sender.send(&message).unwrap();
        }
    };
    let receive = async {
        let mut total = 0;
        while total < BULK {
            if let ChannelEvent::Message(message) = poll_fn(|cx| receiver.poll_event(cx)).await {
                total += message.len();
            }
        }
    };
    join(send, receive).await;
    rate(start)
}

async fn bulk_stream() -> f64 {
    let (a, b) = pair().await;
    run(&[&a, &b], async {
        let (mut stream, mut remote) = {
            let mut stream = a.open().await;
            stream.write_all(b"x").await.unwrap();
            stream.flush().await.unwrap();
            (stream, b.accept().await)
        };
        // The first frame of the other side tells how large frames may be.
        remote.write_all(b"y").await.unwrap();
        remote.flush().await.unwrap();
        stream.read_exact(&mut [0]).await.unwrap();
        remote.read_exact(&mut [0]).await.unwrap();
        let start = js_sys::Date::now();
        let send = async {
            let piece = pattern(256 * 1024, 0);
            for _ in 0..BULK / piece.len() {
                stream.write_all(&piece).await.unwrap();
            }
            stream.close().await.unwrap();
        };
        let receive = async {
            let mut buf = vec![0; 256 * 1024];
            let mut total = 0;
            loop {
                match remote.read(&mut buf).await.unwrap() {
                    0 => break,
                    length => total += length,
                }
            }
            assert_eq!(total, BULK);
            rate(start)
        };
        join(send, receive).await.1
    })
    .await
}
