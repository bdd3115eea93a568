//! The handshake against a scripted platform and a scripted remote.

#![allow(clippy::unwrap_used)]

mod fakes;

use bytes::BytesMut;
use futures::{AsyncWriteExt, join};
use libp2p::PeerId;
use proptest::prelude::*;

use self::fakes::{FakePeer, Platform, Remote, pipe};
use super::{
    super::{
        config::Config,
        rtc::{ChannelEvent, ConnectionState, RtcChannel},
        signal::{MAX_MESSAGE, Message, SignalError},
    },
    *,
};

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
    offering_as(&config(), platform, remote).await
}

async fn offering_as<R>(
    config: &Config,
    platform: &Platform,
    remote: impl AsyncFnOnce(Remote) -> R,
) -> (Result<Established<FakePeer>, HandshakeError>, R) {
    let (stream, end) = pipe();
    let progress = Progress::default();
    join!(
        offer(platform.clone(), config, stream, &progress),
        remote(end)
    )
}

/// Runs the answerer against `remote`.
async fn answering<R>(
    platform: &Platform,
    remote: impl AsyncFnOnce(Remote) -> R,
) -> (Result<Established<FakePeer>, HandshakeError>, R) {
    answering_as(&config(), platform, remote).await
}

async fn answering_as<R>(
    config: &Config,
    platform: &Platform,
    remote: impl AsyncFnOnce(Remote) -> R,
) -> (Result<Established<FakePeer>, HandshakeError>, R) {
    let (stream, end) = pipe();
    let progress = Progress::default();
    join!(
        answer(platform.clone(), config, stream, &progress),
        remote(end)
    )
}

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
        // Its close event may take long; whoever has the connection then keeps the channel until it has come.
        assert_eq!(remote.receive().await, None);
    })
    .await;
    let up = up.unwrap();
    let labels: Vec<_> = up.channels.iter().map(|channel| channel.label()).collect();
    assert_eq!(labels, ["init", ""]);
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
    assert_eq!(
        labels,
        [INIT_LABEL, ""],
        "the offerer closes `init`, not we"
    );
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

/// Candidates of every kind, as Chromium and Firefox write them; only the last shows nobody's address but the relay's.
const KINDS: [&str; 6] = [
    "candidate:1 1 udp 2113937151 192.168.1.7 54321 typ host generation 0 ufrag a network-cost 999",
    "candidate:2 1 udp 2113937151 2b0c2a3d-0c21-4a6c-9d17-1f8e3f0f9f51.local 54321 typ host",
    "candidate:3 1 udp 1677729535 203.0.113.9 54321 typ srflx raddr 0.0.0.0 rport 0",
    "candidate:4 1 udp 1677729535 203.0.113.9 54321 typ prflx raddr 192.168.1.7 rport 1",
    "candidate:5 1 udp 41885439 198.51.100.1 60000 typ relay raddr 203.0.113.9 rport 54321",
    "candidate:6 1 udp 41885439 198.51.100.1 60000 typ relay raddr 0.0.0.0 rport 0",
];

#[tokio::test]
async fn no_candidate_leaves_that_shows_an_address_where_it_shall_be_hidden() {
    let hidden = config();
    hidden.rtc.relay_only.set(true);
    let json = |line: &str| serde_json::json!({ "candidate": line, "sdpMid": "0" }).to_string();
    let relayed = json(KINDS[5]);
    for offers in [true, false] {
        let platform = Platform::default();
        // What the platform should not even gather, and what cannot be told.
        for line in KINDS {
            platform.candidate(&json(line));
        }
        platform.candidate("no candidate that anybody knows");
        let script = async |mut remote: Remote| {
            if offers {
                remote.receive().await.unwrap();
                remote.send(Message::Answer("v=1".into())).await;
            } else {
                remote.send(Message::Offer("v=0".into())).await;
                remote.receive().await.unwrap();
            }
            let mut left = vec![remote.receive().await];
            Remote::settle().await;
            platform.state(ConnectionState::Failed);
            while let Some(message) = remote.receive().await {
                left.push(Some(message));
            }
            left
        };
        let (_, left) = if offers {
            offering_as(&hidden, &platform, script).await
        } else {
            answering_as(&hidden, &platform, script).await
        };
        assert_eq!(left, [Some(candidate(&relayed))]);
    }
}

#[tokio::test]
async fn an_attempt_that_began_in_the_open_ends_when_the_address_shall_be_hidden() {
    let config = config();
    let platform = Platform::default();
    let (up, ()) = offering_as(&config, &platform, async |mut remote| {
        remote.receive().await.unwrap();
        config.rtc.relay_only.set(true);
        platform.candidate(KINDS[0]);
        remote.send(Message::Answer("v=1".into())).await;
        assert_eq!(remote.receive().await, None);
    })
    .await;
    assert!(matches!(up, Err(HandshakeError::Closed)));
    assert!(platform.did("drop"));
}

#[tokio::test]
async fn a_description_too_long_for_a_message_is_an_error_of_ours() {
    let (stream, _remote) = pipe();
    let progress = Progress::default();
    let mut session = session::Session::new(
        FakePeer(Platform::default()),
        wire::Wire::new(stream),
        &progress,
        &config(),
    );
    let long = Message::Offer("x".repeat(MAX_MESSAGE));
    assert!(matches!(
        session.send(&long).await,
        Err(HandshakeError::Signal(SignalError::TooLong))
    ));
}

/// What a remote may do to us, in bytes.
fn mischief() -> impl Strategy<Value = Vec<u8>> {
    let encoded = |message: Message| {
        let mut bytes = BytesMut::new();
        message.encode(&mut bytes).unwrap();
        bytes.to_vec()
    };
    prop_oneof![
        prop::collection::vec(any::<u8>(), 0..40),
        Just(encoded(Message::Offer("v=0".into()))),
        Just(encoded(Message::Answer("v=1".into()))),
        "[{}\\[\\]:\"a-z0-9]{0,40}".prop_map(move |json| encoded(Message::Candidate(json))),
        (0u64..9).prop_map(move |kind| encoded(Message::Other(kind))),
    ]
}

proptest! {
    #[test]
    fn whatever_a_remote_sends_the_attempt_ends_and_takes_its_connection_with_it(
        pieces in prop::collection::vec(mischief(), 0..12),
    ) {
        for offers in [true, false] {
            // Whoever gets as far as connecting is told that it does not work.
            let platform = Platform::default();
            platform.with(|s| s.state = Some(ConnectionState::Failed));
            let bytes = pieces.concat();
            let remote = async move |mut remote: Remote| {
                // The other side may be gone before all is written.
                let _ = remote.pipe.write_all(&bytes).await;
            };
            let (up, ()) = futures::executor::block_on(async {
                if offers {
                    offering(&platform, remote).await
                } else {
                    answering(&platform, remote).await
                }
            });
            prop_assert!(up.is_err());
            let dropped = platform.log().iter().filter(|line| *line == "drop").count();
            prop_assert_eq!(dropped, platform.with(|s| s.created));
        }
    }
}
