//! The connection as a whole: early channels, limits, interruption, end.

use super::*;

#[test]
fn early_channels_with_early_bytes_and_early_end_are_read() {
    let network = MemNetwork::new();
    let (mut a, mut b) = network.connected_pair();
    let mut early = Vec::new();
    for _ in 0..2 {
        let mut channel = a.open_channel("").unwrap();
        assert_eq!(poll_channel(&mut channel), Some(ChannelEvent::Open));
        channel.send(&payload(b"before ")).unwrap();
        channel
            .send(&[payload(b"anybody listened"), flag(Flag::Fin)].concat())
            .unwrap();
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
fn init_is_left_to_the_dialer_and_a_flood_of_channels_is_closed() {
    let (network, a, mut foreigner) = with_foreigner();
    let mut init = foreigner.peer.open_channel(INIT_LABEL).unwrap();
    let mut second = foreigner.peer.open_channel(INIT_LABEL).unwrap();
    a.poll();
    assert!(
        !foreigner.take(&mut init).2,
        "only the dialer closes `init`"
    );
    assert!(
        foreigner.take(&mut second).2,
        "there is one `init` to a connection"
    );
    assert_eq!(a.open_channels(), 0);
    init.close();
    a.poll();
    assert_eq!(network.open_channels(), 0);

    let mut channels = (0..MAX_INBOUND_BACKLOG + 10)
        .map(|_| foreigner.open())
        .collect::<Vec<_>>();
    a.poll();
    assert_eq!(a.open_channels(), MAX_INBOUND_BACKLOG);
    let closed = channels
        .iter_mut()
        .filter_map(poll_channel)
        .collect::<Vec<_>>();
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
    assert!(matches!(
        run(&[&a], a.open()),
        Err(MuxerError::Rtc(RtcError::Platform(_)))
    ));
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
    settle(&[&a, &b], Duration::from_secs(1), || {
        network.open_channels() == 0
    });
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
        assert_eq!(
            writer.close().await.unwrap_err().kind(),
            ErrorKind::BrokenPipe
        );
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
