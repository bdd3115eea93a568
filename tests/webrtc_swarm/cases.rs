//! What two browsers and a relay must get right, and what they must survive.

use std::time::Duration;

use bytes::BytesMut;
use futures::{AsyncReadExt, AsyncWriteExt};
use gyre::net::transport::webrtc::{
    self, Event, HandshakeError, Step, UpgradeError, is_relayed, is_webrtc,
    rtc::{PeerEvent, RtcConfig, RtcFactory, RtcPeer, SdpKind, mem::MemNetwork},
    signal::{Decoder, Message, SignalError},
};
use libp2p::{
    Multiaddr, PeerId,
    multiaddr::Protocol,
    swarm::{
        DialError, SwarmEvent,
        dial_opts::{DialOpts, PeerCondition},
    },
};

use crate::{
    peers::{Browser, Node, browser, memory_addr, raw, relay},
    raw::{OpenOn, Raw, RawPeer},
};

fn defaults(_: &mut webrtc::Config) {}

fn failure(event: Event) -> (PeerId, bool, UpgradeError) {
    match event {
        Event::Failed {
            peer,
            outbound,
            reason,
        } => (peer, outbound, reason),
        other => panic!("no failure but {other:?}"),
    }
}

/// The plain circuit address of a `/webrtc` one.
fn circuit(addr: &Multiaddr) -> Multiaddr {
    webrtc::addr::WebRtcAddr::parse(addr).unwrap().circuit
}

/// A dial that no other connection or dial stops.
fn always(peer: PeerId, addr: Multiaddr) -> DialOpts {
    DialOpts::peer_id(peer)
        .condition(PeerCondition::Always)
        .addresses(vec![addr])
        .build()
}

async fn connections(node: &Node<Browser>, peer: PeerId) -> u32 {
    node.with(move |swarm| {
        assert!(swarm.is_connected(&peer));
        swarm.network_info().connection_counters().num_established()
    })
    .await
}

#[tokio::test]
async fn a_dial_ends_in_a_direct_connection_and_the_circuit_is_closed() {
    let network = MemNetwork::new();
    let (_relay, relay) = relay().await;
    let (mut a, mut b) = (
        browser(&network, defaults).await,
        browser(&network, defaults).await,
    );
    let addr = b.reserve(&relay).await;
    a.dial(addr.clone()).await;
    a.upgraded(b.id, true).await;
    b.upgraded(a.id, false).await;
    a.wait_closed("the circuit's end at A", is_relayed).await;
    b.wait_closed("the circuit's end at B", is_relayed).await;
    // The link to the relay, and the one that pings run on.
    assert_eq!(connections(&a, b.id).await, 2);
    assert_eq!(connections(&b, a.id).await, 2);
    let over = a.pinged(b.id).await;
    b.pinged(a.id).await;
    assert_eq!(a.pinged(b.id).await, over);
}

#[tokio::test]
async fn the_direct_connection_outlives_the_relay() {
    let network = MemNetwork::new();
    let (relay, relay_addr) = relay().await;
    let (mut a, mut b) = (
        browser(&network, defaults).await,
        browser(&network, defaults).await,
    );
    let addr = b.reserve(&relay_addr).await;
    a.dial(addr.clone()).await;
    a.upgraded(b.id, true).await;
    relay.kill().await;
    b.wait("the address to expire", |event| match event {
        SwarmEvent::ExternalAddrExpired { address } => (*address == addr).then_some(()),
        _ => None,
    })
    .await;
    a.pinged(b.id).await;
    b.pinged(a.id).await;
    assert_eq!(connections(&a, b.id).await, 1);
}

#[tokio::test]
async fn of_two_crossing_dials_one_connection_is_kept() {
    let network = MemNetwork::new();
    // Both handshakes must still be going on when they meet.
    network.set_candidate_latency(Duration::from_secs(1));
    let (_relay, relay) = relay().await;
    let (mut a, mut b) = (
        browser(&network, defaults).await,
        browser(&network, defaults).await,
    );
    let (to_a, to_b) = (a.reserve(&relay).await, b.reserve(&relay).await);
    tokio::join!(a.dial(to_b), b.dial(to_a));
    let (a_id, b_id) = (a.id, b.id);
    for (node, other) in [(&mut a, b_id), (&mut b, a_id)] {
        let keeps_own = node.id < other;
        node.wait_closed("the loser's end", move |endpoint| {
            is_webrtc(endpoint) && endpoint.is_dialer() != keeps_own
        })
        .await;
    }
    a.pinged(b.id).await;
    b.pinged(a.id).await;
    // The circuits go; exactly one direct connection and the relay's stay.
    for (node, other) in [(&a, b.id), (&b, a.id)] {
        while connections(node, other).await > 2 {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        assert_eq!(connections(node, other).await, 2);
    }
    assert_eq!(network.open_peers(), 2);
}

#[tokio::test]
async fn a_peer_that_never_answers_is_given_up_in_time_and_says_why() {
    let network = MemNetwork::new();
    let (_relay, relay) = relay().await;
    let (signalling, mut streams) = Raw::new(OpenOn::None);
    let b = raw(|relay| RawPeer { relay, signalling });
    let addr = listen_raw(&b, &relay).await;
    let mut a = browser(&network, |config| {
        config.handshake_timeout = Duration::from_secs(3);
    })
    .await;
    a.dial(addr.clone()).await;
    let _silent = streams.recv().await.unwrap();
    let (peer, outbound, reason) = failure(a.outcome().await);
    assert_eq!((peer, outbound), (b.id, true));
    assert!(matches!(
        reason,
        UpgradeError::Handshake(HandshakeError::Timeout { step: Step::Answer })
    ));
    assert_eq!(network.open_peers(), 0);
    let peer = b.id;
    assert!(
        a.with(move |swarm| swarm.behaviour().webrtc.next_attempt(&peer))
            .await
            .is_some()
    );
}

#[tokio::test]
async fn garbage_from_the_answering_peer_ends_the_dial() {
    let network = MemNetwork::new();
    let (_relay, relay) = relay().await;
    for (bytes, error) in [
        (&[0xff; 8][..], SignalError::TooLong),
        (&[0x02, 0x0b, 0x0c], SignalError::Malformed),
    ] {
        let (signalling, mut streams) = Raw::new(OpenOn::None);
        let b = raw(|relay| RawPeer { relay, signalling });
        let addr = listen_raw(&b, &relay).await;
        let mut a = browser(&network, defaults).await;
        a.dial(addr).await;
        let mut stream = streams.recv().await.unwrap();
        stream.write_all(bytes).await.unwrap();
        stream.flush().await.unwrap();
        let (_, _, reason) = failure(a.outcome().await);
        assert!(
            matches!(
                reason,
                UpgradeError::Handshake(HandshakeError::Signal(e)) if e == error
            ),
            "{reason}"
        );
    }
}

#[tokio::test]
async fn garbage_from_a_dialling_peer_costs_nothing_and_others_still_get_in() {
    let network = MemNetwork::new();
    let (_relay, relay) = relay().await;
    let mut b = browser(&network, defaults).await;
    let addr = b.reserve(&relay).await;
    // The longest that is allowed, of which only the head comes, and one that is longer.
    for bytes in [&[0xff, 0xff, 0xff, 0x7f][..], &[0x05, 0x0a, 0xff]] {
        let (signalling, mut streams) = Raw::new(OpenOn::Relayed);
        let c = raw(|relay| RawPeer { relay, signalling });
        c.dial(circuit(&addr)).await;
        let mut stream = streams.recv().await.unwrap();
        stream.write_all(bytes).await.unwrap();
        stream.close().await.unwrap();
        let (peer, outbound, reason) = failure(b.outcome().await);
        assert_eq!((peer, outbound), (c.id, false));
        assert!(matches!(
            reason,
            UpgradeError::Handshake(HandshakeError::Signal(_) | HandshakeError::Refused { .. })
        ));
        // It is not held against the pair: the remote shall not choose whom we may dial.
        let peer = c.id;
        assert_eq!(
            b.with(move |swarm| swarm.behaviour().webrtc.next_attempt(&peer))
                .await,
            None
        );
    }
    assert_eq!(network.open_peers(), 0);
    let mut a = browser(&network, defaults).await;
    a.dial(addr).await;
    a.upgraded(b.id, true).await;
}

#[tokio::test]
async fn candidates_may_come_before_the_answer() {
    let network = MemNetwork::new();
    let (_relay, relay) = relay().await;
    let (signalling, mut streams) = Raw::new(OpenOn::None);
    let b = raw(|relay| RawPeer { relay, signalling });
    let addr = listen_raw(&b, &relay).await;
    let mut a = browser(&network, defaults).await;
    a.dial(addr).await;
    let mut stream = streams.recv().await.unwrap();
    // The answering side by hand, with the order of its messages turned round.
    let mut peer = network.create(&RtcConfig::default()).unwrap();
    let mut decoder = Decoder::default();
    let offer = loop {
        if let Some(Message::Offer(sdp)) = decoder.next_message().unwrap() {
            break sdp;
        }
        let mut chunk = [0; 256];
        let n = stream.read(&mut chunk).await.unwrap();
        decoder.push(&chunk[..n]);
    };
    peer.set_remote(SdpKind::Offer, offer).await.unwrap();
    let answer = peer.create_answer().await.unwrap();
    peer.set_local(SdpKind::Answer, answer.clone())
        .await
        .unwrap();
    let candidate = loop {
        let event = std::future::poll_fn(|cx| peer.poll_event(cx))
            .await
            .unwrap();
        if let PeerEvent::Candidate(Some(json)) = event {
            break json;
        }
    };
    let mut bytes = BytesMut::new();
    Message::Candidate(candidate).encode(&mut bytes).unwrap();
    stream.write_all(&bytes).await.unwrap();
    stream.flush().await.unwrap();
    tokio::time::sleep(Duration::from_millis(50)).await;
    bytes.clear();
    Message::Answer(answer).encode(&mut bytes).unwrap();
    stream.write_all(&bytes).await.unwrap();
    stream.flush().await.unwrap();
    a.upgraded(b.id, true).await;
}

#[tokio::test]
async fn a_pair_without_a_path_says_so_and_is_left_alone_for_a_while() {
    let network = MemNetwork::new();
    network.set_unreachable(true);
    let (_relay, relay) = relay().await;
    let (mut a, mut b) = (
        browser(&network, defaults).await,
        browser(&network, defaults).await,
    );
    let addr = b.reserve(&relay).await;
    a.dial(addr.clone()).await;
    // Both have made their connection and exchanged descriptions; then ICE gives up.
    while network.open_peers() < 2 {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    tokio::time::sleep(Duration::from_millis(500)).await;
    network.fail();
    let (a_id, b_id) = (a.id, b.id);
    for (node, other, dialled) in [(&mut a, b_id, true), (&mut b, a_id, false)] {
        let (peer, outbound, reason) = failure(node.outcome().await);
        assert_eq!((peer, outbound), (other, dialled));
        assert!(
            matches!(reason, UpgradeError::Handshake(HandshakeError::IceFailed)),
            "{reason}"
        );
        assert!(
            node.with(move |swarm| swarm.behaviour().webrtc.next_attempt(&other))
                .await
                .is_some()
        );
    }
    assert_eq!(network.open_peers(), 0);

    // Dialled again at once it is refused, without a peer connection or a circuit.
    network.set_unreachable(false);
    let again = always(b.id, addr.clone());
    let id = again.connection_id();
    a.with(move |swarm| swarm.dial(again).unwrap()).await;
    let text = a
        .wait("the refusal", |event| match event {
            SwarmEvent::OutgoingConnectionError {
                connection_id,
                error: DialError::Transport(causes),
                ..
            } if *connection_id == id => Some(format!("{causes:?}")),
            _ => None,
        })
        .await;
    assert!(text.contains("BackOff"), "{text}");

    // Unless the user asks.
    let peer = b.id;
    a.with(move |swarm| swarm.behaviour_mut().webrtc.forget_failures(&peer))
        .await;
    let again = always(b.id, addr);
    a.with(move |swarm| swarm.dial(again).unwrap()).await;
    a.upgraded(b.id, true).await;
    assert_eq!(
        a.with(move |swarm| swarm.behaviour().webrtc.next_attempt(&peer))
            .await,
        None
    );
}

#[tokio::test]
async fn a_hundred_handshakes_at_once_stay_within_the_limits() {
    let network = MemNetwork::new();
    network.set_unreachable(true);
    let (_relay, relay) = relay().await;
    let mut b = browser(&network, |config| {
        // Only the number at a time is under test here.
        config.inbound_per_minute = 1_000;
        config.handshake_timeout = Duration::from_secs(5);
    })
    .await;
    let addr = b.reserve(&relay).await;
    let mut crowd = Vec::new();
    for _ in 0..100 {
        let (signalling, streams) = Raw::new(OpenOn::Relayed);
        let peer = raw(|relay| RawPeer { relay, signalling });
        peer.dial(circuit(&addr)).await;
        crowd.push((peer, streams));
    }
    // Everyone offers what B can answer, and then nothing connects.
    let (mut theirs, mut held, mut most) = (Vec::new(), Vec::new(), 0);
    for (_, streams) in &mut crowd {
        let mut stream = streams.recv().await.unwrap();
        let mut peer = network.create(&RtcConfig::default()).unwrap();
        let sdp = peer.create_offer().await.unwrap();
        let mut offer = BytesMut::new();
        Message::Offer(sdp).encode(&mut offer).unwrap();
        // A stream that was refused may be reset before this.
        let _ = stream.write_all(&offer).await;
        let _ = stream.flush().await;
        theirs.push(peer);
        held.push(stream);
        let handshakes = b.with(|swarm| swarm.behaviour().webrtc.handshakes()).await;
        most = most.max(handshakes);
        assert!(network.open_peers() <= theirs.len() + 16);
    }
    assert_eq!(most, 16);
    // They are given up when their time is over, and then there is room again.
    for _ in 0..16 {
        let (_, outbound, reason) = failure(b.outcome().await);
        assert!(!outbound);
        assert!(
            matches!(
                reason,
                UpgradeError::Handshake(HandshakeError::Timeout { .. })
            ),
            "{reason}"
        );
    }
    while b.with(|swarm| swarm.behaviour().webrtc.handshakes()).await > 0 {
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    assert_eq!(network.open_peers(), theirs.len());
    drop((held, theirs));
    network.set_unreachable(false);
    let mut a = browser(&network, defaults).await;
    a.dial(addr).await;
    a.upgraded(b.id, true).await;
}

#[tokio::test]
async fn a_peer_gets_one_inbound_handshake_at_a_time() {
    let network = MemNetwork::new();
    let (_relay, relay) = relay().await;
    let mut b = browser(&network, defaults).await;
    let addr = b.reserve(&relay).await;
    let (signalling, mut streams) = Raw::new(OpenOn::Relayed);
    let c = raw(|relay| RawPeer { relay, signalling });
    c.dial(circuit(&addr)).await;
    let first = streams.recv().await.unwrap();
    while b.with(|swarm| swarm.behaviour().webrtc.handshakes()).await == 0 {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    let again = always(b.id, circuit(&addr));
    c.with(move |swarm| swarm.dial(again).unwrap()).await;
    let mut second = streams.recv().await.unwrap();
    // The second ends without a word, the first goes on.
    assert!(!matches!(second.read(&mut [0; 1]).await, Ok(1)));
    assert_eq!(
        b.with(|swarm| swarm.behaviour().webrtc.handshakes()).await,
        1
    );
    drop(first);
    let (_, outbound, reason) = failure(b.outcome().await);
    assert!(!outbound);
    assert!(matches!(
        reason,
        UpgradeError::Handshake(HandshakeError::Refused { step: Step::Offer })
    ));
}

#[tokio::test]
async fn two_relays_to_one_peer_make_one_connection_and_no_failure() {
    let network = MemNetwork::new();
    // Both addresses of the dial must be at work at the same time.
    network.set_candidate_latency(Duration::from_millis(200));
    let ((_relay1, relay1), (_relay2, relay2)) = (relay().await, relay().await);
    let (mut a, mut b) = (
        browser(&network, defaults).await,
        browser(&network, defaults).await,
    );
    let addrs = vec![b.reserve(&relay1).await, b.reserve(&relay2).await];
    let both = DialOpts::peer_id(b.id).addresses(addrs).build();
    a.with(move |swarm| swarm.dial(both).unwrap()).await;
    for node in [&mut a, &mut b] {
        assert!(matches!(node.outcome().await, Event::Upgraded { .. }));
    }
    a.wait_closed("the circuit's end", is_relayed).await;
    a.pinged(b.id).await;
    assert_eq!(network.open_peers(), 2);
    let peer = b.id;
    let next = a.with(move |swarm| swarm.behaviour().webrtc.next_attempt(&peer));
    assert_eq!(next.await, None);
}

#[tokio::test]
async fn signalling_on_a_direct_connection_is_answered() {
    let network = MemNetwork::new();
    let b = browser(&network, defaults).await;
    let addr = memory_addr();
    b.with({
        let addr = addr.clone();
        move |swarm| swarm.listen_on(addr).unwrap()
    })
    .await;
    let (signalling, mut streams) = Raw::new(OpenOn::Direct);
    let c = raw(|relay| RawPeer { relay, signalling });
    c.dial(addr).await;
    let mut stream = streams.recv().await.unwrap();
    let mut peer = network.create(&RtcConfig::default()).unwrap();
    let mut offer = BytesMut::new();
    Message::Offer(peer.create_offer().await.unwrap())
        .encode(&mut offer)
        .unwrap();
    stream.write_all(&offer).await.unwrap();
    stream.flush().await.unwrap();
    let mut answer = [0; 4];
    stream.read_exact(&mut answer).await.unwrap();
    // Behind the length: the type field, an answer, the data field.
    assert_eq!(answer[1..], [0x08, 0x01, 0x12]);
}

#[tokio::test]
async fn strangers_cannot_use_up_the_peer_connections_of_a_page() {
    let network = MemNetwork::new();
    let (_relay, relay) = relay().await;
    let mut b = browser(&network, |config| config.inbound_per_minute = 2).await;
    let addr = b.reserve(&relay).await;
    for admitted in [true, true, false] {
        let (signalling, mut streams) = Raw::new(OpenOn::Relayed);
        let c = raw(|relay| RawPeer { relay, signalling });
        c.dial(circuit(&addr)).await;
        let mut stream = streams.recv().await.unwrap();
        if admitted {
            stream.close().await.unwrap();
            failure(b.outcome().await);
        } else {
            assert!(!matches!(stream.read(&mut [0; 1]).await, Ok(1)));
            assert_eq!(
                b.with(|swarm| swarm.behaviour().webrtc.handshakes()).await,
                0
            );
        }
    }
}

#[tokio::test]
async fn a_circuit_without_signalling_is_closed() {
    let network = MemNetwork::new();
    let (_relay, relay) = relay().await;
    let mut b = browser(&network, |config| {
        config.circuit_idle = Duration::from_millis(300);
    })
    .await;
    let addr = b.reserve(&relay).await;
    let (signalling, _streams) = Raw::new(OpenOn::None);
    let mut c = raw(|relay| RawPeer { relay, signalling });
    c.dial(circuit(&addr)).await;
    b.wait_closed("the idle circuit's end", is_relayed).await;
    c.wait_closed("the idle circuit's end", is_relayed).await;
}

#[tokio::test]
async fn a_peer_that_is_not_there_or_does_not_signal_is_an_error_with_a_reason() {
    let network = MemNetwork::new();
    let (_relay, relay) = relay().await;
    let mut a = browser(&network, defaults).await;
    let nobody = PeerId::random();
    let addr = relay
        .clone()
        .with(Protocol::P2pCircuit)
        .with(Protocol::WebRTC)
        .with(Protocol::P2p(nobody));
    a.dial(addr).await;
    let (peer, outbound, reason) = failure(a.outcome().await);
    assert_eq!((peer, outbound), (nobody, true));
    assert!(matches!(reason, UpgradeError::Circuit(_)), "{reason}");

    let mute = raw(|relay| relay);
    let listen = relay.clone().with(Protocol::P2pCircuit);
    let addr = listen
        .clone()
        .with(Protocol::WebRTC)
        .with(Protocol::P2p(mute.id));
    let mut mute = mute;
    mute.with(move |swarm| swarm.listen_on(listen).unwrap())
        .await;
    mute.wait("a reservation", |event| match event {
        SwarmEvent::ExternalAddrConfirmed { .. } => Some(()),
        _ => None,
    })
    .await;
    a.dial(addr).await;
    let (_, _, reason) = failure(a.outcome().await);
    assert!(matches!(reason, UpgradeError::Unsupported), "{reason}");
    assert_eq!(network.open_peers(), 0);
}

#[tokio::test]
async fn an_environment_without_webrtc_says_so() {
    let network = MemNetwork::new();
    let (_relay, relay) = relay().await;
    let mut b = browser(&network, defaults).await;
    let nowhere = MemNetwork::new();
    nowhere.set_unavailable(true);
    let mut worker = browser(&nowhere, defaults).await;
    let addr = b.reserve(&relay).await;
    worker.dial(addr.clone()).await;
    let (_, _, reason) = failure(worker.outcome().await);
    assert!(
        matches!(
            reason,
            UpgradeError::Handshake(HandshakeError::Rtc {
                error: webrtc::rtc::RtcError::Unavailable,
                ..
            })
        ),
        "{reason}"
    );
}

/// Takes a reservation for a raw peer; gives the `/webrtc` address that it does not announce itself.
async fn listen_raw(node: &Node<RawPeer>, relay: &Multiaddr) -> Multiaddr {
    let listen = relay.clone().with(Protocol::P2pCircuit);
    node.with({
        let listen = listen.clone();
        move |swarm| swarm.listen_on(listen).unwrap()
    })
    .await;
    while node.with(|swarm| swarm.external_addresses().count()).await == 0 {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    listen.with(Protocol::WebRTC).with(Protocol::P2p(node.id))
}
