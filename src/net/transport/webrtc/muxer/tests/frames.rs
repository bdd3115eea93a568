//! One side against a foreign one: which frames are sent, and what those do that arrive.

use super::*;

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
        assert_eq!(
            error.kind(),
            ErrorKind::BrokenPipe,
            "the remote stopped reading"
        );
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
        assert!(
            stream.close().now_or_never().is_none(),
            "closed only when confirmed"
        );
    });
    let (frames, ..) = foreigner.take(&mut channel);
    let first = Frame {
        flag: None,
        max_frame: Some(MAX_FRAME as u32),
        message: Some(Bytes::from_static(b"hi")),
    };
    assert_eq!(
        frames,
        [
            first,
            Frame {
                flag: Some(Flag::Fin),
                ..Frame::default()
            }
        ]
    );
    for _ in 0..3 {
        channel.send(&flag(Flag::Fin)).unwrap();
        a.poll();
        let (frames, _, closed) = foreigner.take(&mut channel);
        assert_eq!(
            frames,
            [Frame {
                flag: Some(Flag::FinAck),
                ..Frame::default()
            }]
        );
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
fn close_waits_while_bytes_still_leave() {
    let (_network, a, mut foreigner) = with_foreigner();
    let mut stream = run(&[&a], a.open()).unwrap();
    let mut channel = foreigner.accept();
    run(&[&a], stream.write_all(&pattern(200_000, 0))).unwrap();
    for _ in 0..6 {
        let closed = run(&[&a], async { stream.close().now_or_never() });
        assert!(closed.is_none(), "gave up while bytes were leaving");
        std::thread::sleep(SHORT.fin_ack / 2);
        assert!(matches!(
            poll_channel(&mut channel),
            Some(ChannelEvent::Message(_))
        ));
    }
    let start = Instant::now();
    run(&[&a], stream.close()).unwrap();
    assert!(start.elapsed() < SHORT.fin_ack * 3, "nothing left any more");
}

#[test]
fn dropped_streams_do_not_wait_without_number() {
    // Their number is what ends them here, not the time that the others may still wait.
    let (_network, a, mut foreigner) = with_foreigner_in(Timing::default());
    let mut pairs = (0..MAX_LINGERING + 20)
        .map(|_| (run(&[&a], a.open()).unwrap(), foreigner.accept()))
        .collect::<Vec<_>>();
    for (stream, _) in &mut pairs {
        assert!(run(&[&a], async { stream.close().now_or_never() }).is_none());
    }
    let mut channels = pairs
        .into_iter()
        .map(|(_, channel)| channel)
        .collect::<Vec<_>>();
    a.poll();
    let reset = |channel: &mut MemChannel| foreigner.flags(channel).contains(&Flag::ResetStream);
    assert_eq!(
        channels
            .iter_mut()
            .map(reset)
            .filter(|reset| *reset)
            .count(),
        20
    );
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
    let flags = frames
        .iter()
        .filter_map(|frame| frame.flag)
        .collect::<Vec<_>>();
    assert_eq!(flags, [Flag::Fin, Flag::StopSending]);
    channel.send(&payload(b"thrown away")).unwrap();
    channel.send(&flag(Flag::FinAck)).unwrap();
    channel.send(&flag(Flag::Fin)).unwrap();
    a.poll();
    assert_eq!((a.open_channels(), a.unread()), (1, 0));
    let (frames, _, closed) = foreigner.take(&mut channel);
    assert_eq!(
        frames,
        [Frame {
            flag: Some(Flag::FinAck),
            ..Frame::default()
        }]
    );
    assert!(closed);
    a.poll();
    assert_eq!(a.open_channels(), 0);
}

#[test]
fn what_came_before_a_reset_is_read_first() {
    let (_network, a, mut foreigner) = with_foreigner();
    let mut channel = foreigner.open();
    let mut stream = run(&[&a], a.accept()).unwrap();
    channel.send(&payload(b"part")).unwrap();
    channel.send(&flag(Flag::ResetStream)).unwrap();
    a.poll();
    let mut part = [0; 8];
    assert_eq!(run(&[&a], stream.read(&mut part)).unwrap(), 4);
    assert_eq!(&part[..4], b"part");
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
        assert_eq!(
            outcome.unwrap_err().kind(),
            ErrorKind::ConnectionReset,
            "{bytes:?}"
        );
        assert!(
            matches!(stream.error(), Some(StreamError::Frame(_))),
            "{bytes:?}"
        );
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
    assert!(
        sizes.iter().any(|size| *size > INTEROP_FRAME - 16),
        "{sizes:?}"
    );

    // Announced on another channel, it holds for all of them.
    let mut other = foreigner.open();
    let _inbound = run(&[&a], a.accept()).unwrap();
    other
        .send(
            &Frame {
                max_frame: Some(1 << 30),
                ..Frame::default()
            }
            .encode(),
        )
        .unwrap();
    a.poll();
    run(&[&a], stream.write_all(&pattern(500_000, 4))).unwrap();
    let (_, sizes, _) = foreigner.take(&mut channel);
    assert!(
        sizes.iter().all(|size| *size <= CAUTIOUS_FRAME),
        "{sizes:?}"
    );
    assert!(
        sizes.iter().any(|size| *size > CAUTIOUS_FRAME - 16),
        "{sizes:?}"
    );
}

#[test]
fn frames_grow_as_far_as_the_link_is_fast() {
    let (network, a, b) = pair();
    let (mut stream, mut remote) = run(&[&a, &b], async {
        let stream = a.open().await.unwrap();
        (stream, b.accept().await.unwrap())
    });
    // Both sides have announced what they accept after this.
    run(&[&a, &b], async {
        stream.write_all(b"first").await.unwrap();
        stream.flush().await.unwrap();
        remote.write_all(b"first").await.unwrap();
        remote.flush().await.unwrap();
        let mut answer = [0; 5];
        let (one, other) = join(stream.read_exact(&mut answer), async {
            remote.read_exact(&mut [0; 5]).await
        })
        .await;
        one.and(other).unwrap();
    });
    let mut mean_after = |bytes: usize, pause: Duration| {
        let before = network.sent();
        let sent = pattern(bytes, 7);
        network.set_held(true);
        run(&[&a, &b], async {
            let mut write = std::pin::pin!(stream.write_all(&sent));
            let begun = poll_fn(|cx| Poll::Ready(write.as_mut().poll(cx))).await;
            std::thread::sleep(pause);
            network.set_held(false);
            let mut received = vec![0; bytes];
            let rest = async {
                if begun.is_pending() {
                    write.await.unwrap();
                }
            };
            let ((), read) = join(rest, remote.read_exact(&mut received)).await;
            read.unwrap();
            assert!(received == sent);
        });
        let after = network.sent();
        (after.1 - before.1) / (after.0 - before.0)
    };
    // A machine that is slow itself takes a fast link for a slow one, but not every time.
    assert!((0..100).any(|_| mean_after(4 << 20, Duration::ZERO) > 2 * CAUTIOUS_FRAME));
    // At a quarter of a mebibyte a second, 64 KiB take longer than wanted, and are the least all the same.
    mean_after(2 * HIGH_WATER, Duration::from_secs(4));
    let mean = mean_after(900_000, Duration::ZERO);
    assert!(mean <= CAUTIOUS_FRAME, "{mean}");
}

#[test]
fn less_than_everybody_accepts_is_not_believed() {
    let (_network, a, mut foreigner) = with_foreigner();
    let mut stream = run(&[&a], a.open()).unwrap();
    let mut channel = foreigner.accept();
    channel
        .send(
            &Frame {
                max_frame: Some(1),
                ..Frame::default()
            }
            .encode(),
        )
        .unwrap();
    a.poll();
    run(&[&a], stream.write_all(&pattern(100_000, 5))).unwrap();
    let (_, sizes, _) = foreigner.take(&mut channel);
    let largest = sizes.iter().max().copied().unwrap();
    assert!(
        (INTEROP_FRAME - 16..=INTEROP_FRAME).contains(&largest),
        "{sizes:?}"
    );
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
        assert!(
            poll_fn(|cx| Poll::Ready(write.as_mut().poll(cx)))
                .await
                .is_pending()
        );
        let in_flight = network.sent().1 - before;
        assert!(
            (HIGH_WATER..HIGH_WATER + MAX_SENT_FRAME).contains(&in_flight),
            "{in_flight}"
        );
        network.set_held(false);
        let mut received = vec![0; sent.len()];
        let (written, read) = join(write, remote.read_exact(&mut received)).await;
        written.unwrap();
        read.unwrap();
        assert_eq!(received, sent);
    });
}
