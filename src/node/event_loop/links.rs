//! Links to other browsers as a budget: which are made, which are closed, and what becomes of a pair without a path.
//!
//! Where ICE has found no path between two networks, and only there, the pair may speak through the relay that introduced it:
//! slowly, and a little at a time, because a relay ends a circuit after some bytes. The dialler knows that it failed; the other
//! side lets it in once it has seen the attempt. A direct link ends that state, and the sessions move to it. They move as well
//! when the path of a link was lost and another link came up.

use libp2p::multiaddr::Protocol;
use libp2p::swarm::ConnectionId;
use libp2p::swarm::dial_opts::{DialOpts, PeerCondition};
use libp2p::{Multiaddr, PeerId};

use super::{EventLoop, now};
use crate::net::transport::webrtc;
use crate::node::snapshot::Via;
use crate::proto::discovery;
use crate::proto::ordered::Map;
use crate::proto::pool::{Pool, Verdict};
use crate::proto::types::{PeerKey, Time};
use crate::rt;
use crate::store::Store;

/// Peers that may be met over a relay at a time; the one that waited longest makes room. Ours: each costs a circuit.
const MAX_RELAYED: usize = 32;

/// Between two attempts to replace a link whose path is lost. Ours: an attempt that is bound to fail ends sooner.
const REDIAL_PAUSE: std::time::Duration = std::time::Duration::from_secs(3);

/// What a person is told of a pair that speaks through a relay.
pub(super) const RELAYED_WORDS: &str = "No direct link, as the two networks have no path: through the relay, slow and only a little at a time.";

/// What a person is told when the budget is spent.
const FULL_WORDS: &str = "No link: as many as one page should hold are busy.";

/// The state of the links.
#[derive(Debug, Default)]
pub(super) struct Links {
    pub pool: Pool,
    relayed: Map<PeerId, Relayed>,
    /// Peers whose link lost its path, and when it was last dialled anew.
    shaky: Map<PeerId, Time>,
}

/// A pair that may speak through a relay.
#[derive(Debug)]
struct Relayed {
    since: Time,
    /// The circuit that is being dialled for it.
    dial: Option<ConnectionId>,
}

impl<S: Store> EventLoop<S> {
    /// What the WebRTC transport reports, apart from the words for people.
    pub(super) fn on_link(&mut self, event: &webrtc::Event) {
        match event {
            webrtc::Event::Offered { peer } => {
                if !self.peers.by_id(peer).is_some_and(|peer| peer.is_linked()) {
                    self.permit_relayed(*peer);
                }
            }
            webrtc::Event::Failed { peer, reason, .. } if reason.is_no_path() => {
                if !self.peers.by_id(peer).is_some_and(|peer| peer.is_linked()) {
                    self.permit_relayed(*peer);
                }
            }
            webrtc::Event::Shaky { peer } => {
                // Both sides notice; one of them waits a little, so that one link is made and not two.
                let first = self.swarm.local_peer_id() < peer;
                let last = if first { Time::default() } else { now() };
                self.links.shaky.insert(*peer, last);
                self.mend_links();
            }
            webrtc::Event::Steady { peer } => {
                self.links.shaky.remove(peer);
            }
            webrtc::Event::NetworkChanged => {
                // A websocket of the old network stays silent for a minute before anybody misses it.
                for relay in &self.relays {
                    let _ = self.swarm.disconnect_peer_id(relay.peer);
                }
                self.mend_links();
                let blobs: Vec<_> = self.transfers.keys().copied().collect();
                for blob in blobs {
                    self.tell_discovery(blob, discovery::Input::NetworkUp);
                }
            }
            webrtc::Event::Upgraded { .. } | webrtc::Event::Failed { .. } => {}
        }
    }

    fn permit_relayed(&mut self, peer: PeerId) {
        if self.links.relayed.contains_key(&peer) {
            return;
        }
        if self.links.relayed.len() >= MAX_RELAYED {
            let oldest = self.links.relayed.iter().min_by_key(|(_, pair)| pair.since);
            if let Some(oldest) = oldest.map(|(peer, _)| *peer) {
                self.forbid_relayed(oldest);
            }
        }
        let pair = Relayed {
            since: now(),
            dial: None,
        };
        self.links.relayed.insert(peer, pair);
        let behaviour = self.swarm.behaviour_mut();
        behaviour.session.permit_relayed(peer);
        behaviour.webrtc.spare_circuits(peer, true);
    }

    fn forbid_relayed(&mut self, peer: PeerId) -> bool {
        let was = self.links.relayed.remove(&peer).is_some();
        if was {
            let behaviour = self.swarm.behaviour_mut();
            behaviour.session.forbid_relayed(&peer);
            behaviour.webrtc.spare_circuits(peer, false);
        }
        was
    }

    /// A dial to `peer` has failed: goes through the relay instead, where that is the only way. False if nothing is to come.
    pub(super) fn fall_back(&mut self, id: PeerId, failed: Option<ConnectionId>) -> bool {
        let Some(pair) = self.links.relayed.get_mut(&id) else {
            return false;
        };
        if let Some(dial) = pair.dial {
            // Only the end of the circuit's own dial is the end.
            if Some(dial) == failed {
                pair.dial = None;
            }
            return Some(dial) != failed;
        }
        let Some(peer) = self.peers.by_id(&id) else {
            return false;
        };
        let known = peer.addresses.iter().filter_map(through_a_relay);
        let mut circuits: Vec<Multiaddr> = known.collect();
        if circuits.is_empty() {
            circuits = self
                .relays
                .iter()
                .map(|relay| circuit(&relay.address, id))
                .collect();
        }
        let opts = DialOpts::peer_id(id)
            .addresses(circuits)
            .condition(PeerCondition::Always)
            .build();
        let dial = opts.connection_id();
        if self.swarm.dial(opts).is_err() {
            return false;
        }
        if let Some(pair) = self.links.relayed.get_mut(&id) {
            pair.dial = Some(dial);
        }
        true
    }

    /// A connection to another browser is up.
    pub(super) fn on_linked(
        &mut self,
        id: PeerId,
        key: PeerKey,
        connection: ConnectionId,
        via: Via,
    ) {
        match via {
            Via::Direct => self.on_direct(id, key),
            Via::Relayed => {
                let Some(pair) = self.links.relayed.get_mut(&id) else {
                    return;
                };
                if pair.dial != Some(connection) {
                    return;
                }
                pair.dial = None;
                self.links.pool.dial_ended(key);
                let Some(peer) = self.peers.get_mut(key) else {
                    return;
                };
                peer.dialling = false;
                peer.complain(RELAYED_WORDS.into(), rt::unix_millis());
                for blob in std::mem::take(&mut peer.awaited_by) {
                    self.open_session(blob, key);
                }
            }
            Via::Websocket | Via::Connecting | Via::Failed => {}
        }
    }

    /// A link is up on which sessions may run without limit.
    pub(super) fn on_direct(&mut self, id: PeerId, key: PeerKey) {
        let was_relayed = self.forbid_relayed(id);
        let was_shaky = self.links.shaky.remove(&id).is_some();
        if was_relayed || was_shaky {
            self.move_sessions(key);
        }
        if let Some(victim) = self.links.pool.up(key, now()) {
            self.close_link(victim);
        }
    }

    /// Whether sessions with this peer run through a relay.
    pub(super) fn speaks_through_relay(&mut self, id: &PeerId) -> bool {
        let Some(peer) = self.peers.by_id(id).filter(|peer| !peer.is_linked()) else {
            return false;
        };
        let key = peer.key;
        self.sessions.values().any(|session| session.peer == key)
    }

    /// A connection to another browser is gone.
    pub(super) fn on_unlinked(&mut self, id: PeerId) {
        let Some(peer) = self.peers.by_id(&id) else {
            return;
        };
        if !peer.is_linked() {
            let key = peer.key;
            self.links.pool.down(key);
            self.links.shaky.remove(&id);
        }
    }

    /// Whether a link to `peer` may be made now; room is made for it where that is fair.
    pub(super) fn may_dial(&mut self, peer: PeerKey) -> bool {
        match self.links.pool.may_dial(peer, now()) {
            Verdict::Go => true,
            Verdict::Instead(victim) => {
                self.close_link(victim);
                true
            }
            Verdict::Wait => {
                if let Some(peer) = self.peers.get_mut(peer) {
                    peer.complain(FULL_WORDS.into(), rt::unix_millis());
                }
                false
            }
        }
    }

    /// Dials a peer if a link to it may be made now; nobody is told if not.
    pub(super) fn dial_if_there_is_room(&mut self, peer: PeerKey) {
        match self.links.pool.may_dial(peer, now()) {
            Verdict::Go => self.dial(peer),
            Verdict::Instead(victim) => {
                self.close_link(victim);
                self.dial(peer);
            }
            Verdict::Wait => {}
        }
    }

    fn close_link(&mut self, peer: PeerKey) {
        let Some(peer) = self.peers.get(peer) else {
            return;
        };
        tracing::debug!(peer = %peer.id, "link closed, another is worth more");
        let direct = peer
            .connections
            .iter()
            .filter(|(_, via)| matches!(via, Via::Direct | Via::Websocket));
        let direct: Vec<_> = direct.map(|(connection, _)| *connection).collect();
        for connection in direct {
            self.swarm.close_connection(connection);
        }
    }

    /// Dials anew where the path is lost and something is under way.
    pub(super) fn mend_links(&mut self) {
        let now = now();
        let due: Vec<_> = self
            .links
            .shaky
            .iter()
            .filter(|(_, last)| **last == Time::default() || now >= **last + REDIAL_PAUSE)
            .map(|(peer, _)| *peer)
            .collect();
        for id in due {
            self.links.shaky.insert(id, now);
            let Some(peer) = self.peers.by_id(&id) else {
                continue;
            };
            let key = peer.key;
            if !peer.dialling && self.sessions.values().any(|session| session.peer == key) {
                self.dial(key);
            }
        }
    }

    /// Lets the sessions with this peer go on over its newest link. Each side moves those that it opened.
    fn move_sessions(&mut self, peer: PeerKey) {
        let moving: Vec<_> = self
            .sessions
            .iter()
            .filter(|(_, session)| session.peer == peer && session.outbound)
            .map(|(id, session)| (*id, session.blob))
            .collect();
        for (id, blob) in moving {
            self.end_session(id);
            self.open_session(blob, peer);
        }
    }
}

/// `<relay>/p2p-circuit/p2p/<peer>`.
fn circuit(relay: &Multiaddr, peer: PeerId) -> Multiaddr {
    relay
        .clone()
        .with(Protocol::P2pCircuit)
        .with(Protocol::P2p(peer))
}

/// The circuit behind a `/webrtc` address, if a relay proper has it: what other browsers introduce carries signalling only.
fn through_a_relay(address: &Multiaddr) -> Option<Multiaddr> {
    let circuit = webrtc::addr::WebRtcAddr::parse(address).ok()?.circuit;
    let mut parts = circuit.iter();
    let is_transport = !matches!(parts.next()?, Protocol::P2p(_) | Protocol::WebRTC);
    let is_proper = is_transport && !parts.any(|part| part == Protocol::WebRTC);
    is_proper.then_some(circuit)
}

#[cfg(all(test, not(target_arch = "wasm32")))]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn data_goes_through_relays_proper_only() {
        let [relay, middle, peer] = [(); 3].map(|()| PeerId::random());
        let through = |text: String| through_a_relay(&text.parse().unwrap());
        let proper = format!("/ip4/203.0.113.1/tcp/8080/ws/p2p/{relay}/p2p-circuit");
        assert_eq!(
            through(format!("{proper}/webrtc/p2p/{peer}")),
            Some(format!("{proper}/p2p/{peer}").parse().unwrap())
        );
        assert_eq!(through(format!("{proper}/p2p/{peer}")), None);
        for other in [
            format!("/webrtc/p2p/{middle}/p2p-circuit/webrtc/p2p/{peer}"),
            format!("{proper}/webrtc/p2p/{middle}/p2p-circuit/webrtc/p2p/{peer}"),
        ] {
            assert_eq!(through(other.clone()), None, "{other}");
        }
    }
}
