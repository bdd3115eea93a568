#![allow(clippy::unwrap_used)]

use bytes::Bytes;
use futures::{executor::block_on, task::noop_waker};

use super::*;

fn events(peer: &mut MemPeer) -> Vec<PeerEvent<MemChannel>> {
    let waker = noop_waker();
    let mut cx = Context::from_waker(&waker);
    std::iter::from_fn(|| match peer.poll_event(&mut cx) {
        Poll::Ready(event) => Some(event.unwrap()),
        Poll::Pending => None,
    })
    .collect()
}

fn channel_events(channel: &mut MemChannel) -> Vec<ChannelEvent> {
    let waker = noop_waker();
    let mut cx = Context::from_waker(&waker);
    std::iter::from_fn(|| match channel.poll_event(&mut cx) {
        Poll::Ready(event) => Some(event),
        Poll::Pending => None,
    })
    .collect()
}

/// Exchanges descriptions; returns the candidate of the answerer.
fn exchange(a: &mut MemPeer, b: &mut MemPeer) -> String {
    block_on(async {
        let offer = a.create_offer().await.unwrap();
        a.set_local(SdpKind::Offer, offer.clone()).await.unwrap();
        b.set_remote(SdpKind::Offer, offer).await.unwrap();
        let answer = b.create_answer().await.unwrap();
        b.set_local(SdpKind::Answer, answer.clone()).await.unwrap();
        a.set_remote(SdpKind::Answer, answer).await.unwrap();
    });
    let candidates = events(b).into_iter().filter_map(|event| match event {
        PeerEvent::Candidate(candidate) => candidate,
        PeerEvent::State(_) | PeerEvent::Channel(_) => None,
    });
    candidates.last().unwrap()
}

fn create(network: &MemNetwork) -> MemPeer {
    network.create(&RtcConfig::default()).unwrap()
}

#[test]
fn descriptions_and_one_candidate_connect() {
    let network = MemNetwork::new();
    let (mut a, mut b) = (create(&network), create(&network));
    let mut init = a.open_channel("init").unwrap();
    let candidate = exchange(&mut a, &mut b);
    assert_eq!(a.state(), ConnectionState::Connecting);
    block_on(a.add_candidate(Some(candidate))).unwrap();
    assert_eq!(a.state(), ConnectionState::Connected);
    assert_eq!(channel_events(&mut init), [ChannelEvent::Open]);
    let events = events(&mut b);
    let [
        PeerEvent::State(ConnectionState::Connected),
        PeerEvent::Channel(remote),
    ] = &events[..]
    else {
        panic!("{events:?}");
    };
    assert_eq!(remote.label(), "init");
}

#[test]
fn nonsense_is_refused() {
    let network = MemNetwork::new();
    let (mut a, mut b) = (create(&network), create(&network));
    assert!(block_on(a.create_answer()).is_err());
    assert!(block_on(a.set_remote(SdpKind::Offer, "v=0".into())).is_err());
    assert!(
        block_on(a.add_candidate(None)).is_err(),
        "before the description"
    );
    exchange(&mut a, &mut b);
    assert!(block_on(a.add_candidate(Some("{}".into()))).is_err());
    a.close();
    assert!(matches!(a.open_channel(""), Err(RtcError::Closed)));
    network.set_unavailable(true);
    assert!(matches!(
        network.create(&RtcConfig::default()),
        Err(RtcError::Unavailable)
    ));
}

#[test]
fn an_unreachable_pair_connects_when_there_is_a_path() {
    let network = MemNetwork::new();
    network.set_unreachable(true);
    let (mut a, mut b) = (create(&network), create(&network));
    let candidate = exchange(&mut a, &mut b);
    block_on(a.add_candidate(Some(candidate))).unwrap();
    assert_eq!(b.state(), ConnectionState::Connecting);
    network.set_unreachable(false);
    assert_eq!(b.state(), ConnectionState::Connected);
}

#[test]
fn candidates_take_their_time() {
    let network = MemNetwork::new();
    network.set_candidate_latency(Duration::from_millis(20));
    let mut peer = create(&network);
    block_on(peer.set_local(SdpKind::Offer, String::new())).unwrap();
    let state = events(&mut peer);
    assert!(
        matches!(state[..], [PeerEvent::State(ConnectionState::Connecting)]),
        "{state:?}"
    );
    let event = block_on(future::poll_fn(|cx| peer.poll_event(cx))).unwrap();
    assert!(matches!(event, PeerEvent::Candidate(Some(_))), "{event:?}");
}

#[test]
fn channels_and_messages_may_come_before_connected() {
    let network = MemNetwork::new();
    network.set_early_channels(true);
    let (mut a, mut b) = (create(&network), create(&network));
    let candidate = exchange(&mut a, &mut b);
    block_on(a.add_candidate(Some(candidate))).unwrap();
    let mut channel = a.open_channel("").unwrap();
    channel.send(b"early").unwrap();
    assert_eq!(b.state(), ConnectionState::Connecting);
    let mut arrived = events(&mut b);
    let Some(PeerEvent::Channel(early)) = arrived.first_mut() else {
        panic!("{arrived:?}")
    };
    let message = ChannelEvent::Message(Bytes::from_static(b"early"));
    assert_eq!(channel_events(early), [ChannelEvent::Open, message]);
    network.set_early_channels(false);
    assert_eq!(b.state(), ConnectionState::Connected);
}

#[test]
fn a_closed_channel_delivers_what_was_sent() {
    let network = MemNetwork::new();
    let (mut a, mut b) = network.connected_pair();
    let mut channel = a.open_channel("").unwrap();
    channel.set_low_threshold(0);
    channel.send(b"last").unwrap();
    channel.close();
    assert!(matches!(channel.send(b"more"), Err(RtcError::Closed)));
    assert_eq!(channel_events(&mut channel), [ChannelEvent::Open]);
    let mut arrived = events(&mut b);
    let Some(PeerEvent::Channel(remote)) = arrived.first_mut() else {
        panic!("{arrived:?}")
    };
    let message = ChannelEvent::Message(Bytes::from_static(b"last"));
    assert_eq!(
        channel_events(remote),
        [ChannelEvent::Open, message, ChannelEvent::Closed]
    );
    let rest = [ChannelEvent::BufferedAmountLow, ChannelEvent::Closed];
    assert_eq!(channel_events(&mut channel), rest);
    assert_eq!(network.open_channels(), 0);
}
