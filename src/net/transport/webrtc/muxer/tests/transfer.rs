//! Two of our own sides: bytes arrive whole, within limits, and no channel stays open.

use super::*;

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
                assert_eq!(
                    stream.read(&mut [0; 8]).await.unwrap(),
                    0,
                    "the end stays the end"
                );
            }
            let error = stream.write(b"x").await.unwrap_err();
            assert_eq!(error.kind(), ErrorKind::BrokenPipe);
        };
        join(client, async { echo(b.accept().await.unwrap()).await }).await;
    });
    settle(&[&a, &b], Duration::from_secs(1), || {
        network.open_channels() == 0
    });
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
    settle(&[&a, &b], Duration::from_secs(1), || {
        network.open_channels() == 0
    });
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
                    let error = remote.read_to_end(&mut Vec::new()).await.unwrap_err();
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
    settle(&[&a, &b], Duration::from_secs(1), || {
        network.open_channels() == 0
    });
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
        let error = stream
            .write_all(&vec![0; MAX_STREAM_UNREAD + (1 << 20)])
            .await
            .err();
        let error = match error {
            Some(error) => error,
            None => stream.close().await.unwrap_err(),
        };
        assert_eq!(error.kind(), ErrorKind::ConnectionReset);
        let error = remote.read(&mut [0; 8]).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::ConnectionReset);
        assert_eq!(
            remote.error(),
            Some(StreamError::Overflow(MAX_STREAM_UNREAD))
        );
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
            let closed = if sent.is_ok() {
                stream.close().await
            } else {
                sent
            };
            assert_eq!(closed.is_ok(), index < 4, "stream {index}");
            streams.push((stream, remote));
        }
        let overflow = StreamError::Overflow(16 << 20);
        assert_eq!(streams[4].1.error(), Some(overflow));
        assert!(
            streams[..4]
                .iter()
                .all(|(_, remote)| remote.error().is_none())
        );
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
    channel.send(&flag(Flag::Fin)).unwrap();
    a.poll();
    assert_eq!(
        stream.error(),
        Some(StreamError::Overflow(MAX_STREAM_UNREAD))
    );
    let outcome = run(&[&a], stream.read(&mut [0; 8]));
    assert_eq!(outcome.unwrap_err().kind(), ErrorKind::ConnectionReset);
}
