//! Properties: any order of steps, any bytes.

use proptest::prelude::*;

use super::*;

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
