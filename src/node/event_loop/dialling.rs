//! Dialling other browsers: which ways lead to one, and how many are tried.
//!
//! What others say of addresses costs a bounded number of dials, however much of it there is and whoever says it: a few ways for
//! each dial, each peer with a back-off of its own (`proto::discovery`), and relays that are not ours from a budget.

use std::time::Duration;

use libp2p::swarm::DialError;
use libp2p::swarm::dial_opts::{DialOpts, PeerCondition};
use libp2p::{Multiaddr, PeerId};

use super::{EventLoop, now};
use crate::net::addresses::{Route, socket_of};
use crate::proto::budget::Budget;
use crate::proto::sorting::sort_by_key;
use crate::proto::types::PeerKey;
use crate::proto::uplink;
use crate::store::Store;

/// Ways tried at once for one peer. Ours: each is a circuit, and the first that signals wins.
const MAX_WAYS: usize = 3;

/// Of these, the ones through linked peers: they cost no relay anything, but may lead nowhere.
const MAX_PEER_WAYS: usize = 2;

/// Of these, the sockets of native nodes.
const MAX_SOCKETS: usize = 2;

/// Relays that are not ours and sockets, dialled at once because a record named them; then one more in each [`STRANGE_INTERVAL`].
const STRANGE_BURST: u32 = 8;

/// Time in which one more strange relay may be dialled.
const STRANGE_INTERVAL: Duration = Duration::from_secs(10);

pub(super) fn strange_dials() -> Budget {
    Budget::new(STRANGE_BURST, STRANGE_INTERVAL)
}

impl<S: Store> EventLoop<S> {
    /// We listen at an address: others are told, unless they were told another one.
    pub(super) fn on_listening(&mut self, address: Multiaddr) {
        let local = *self.swarm.local_peer_id();
        if !self.announces_sockets || self.hide_address.is_on() {
            return;
        }
        if let Some(socket) = socket_of(&address, local) {
            tracing::info!(%socket, "listening");
            self.swarm.add_external_address(socket);
            self.sign_record();
        }
    }

    /// Dials another browser.
    pub(super) fn dial(&mut self, key: PeerKey) {
        if !self.may_dial(key) {
            return self.give_up(key);
        }
        let ways = self.ways_to(key);
        let Some(peer) = self.peers.get_mut(key) else {
            return;
        };
        peer.dialling = true;
        let id = peer.id;
        // A relayed connection may be there already; it must not keep the direct one from being made.
        let opts = DialOpts::peer_id(id)
            .addresses(ways)
            .condition(PeerCondition::NotDialing)
            .build();
        if let Err(error) = self.swarm.dial(opts) {
            if matches!(error, DialError::DialPeerConditionFalse(_)) {
                return;
            }
            self.on_dial_error(id, None, &error);
        }
    }

    /// The best ways to a peer: by its own sockets, through linked peers that it or they name, through our relays that it names, through one other
    /// relay; if it named none, through any that might know it.
    fn ways_to(&mut self, key: PeerKey) -> Vec<Multiaddr> {
        let Some(peer) = self.peers.get(key) else {
            return Vec::new();
        };
        let id = peer.id;
        let sockets: Vec<Multiaddr> = peer
            .addresses
            .iter()
            .filter_map(|address| socket_of(address, id))
            .take(MAX_SOCKETS)
            .collect();
        let named: Vec<Route> = peer
            .addresses
            .iter()
            .filter_map(|address| Route::read(address, id))
            .collect();
        let tellers: Vec<PeerId> = peer.told_by.clone();

        let mut through: Vec<PeerId> = Vec::new();
        let introducers = named.iter().filter_map(|route| match route {
            Route::Peer(peer) => Some(*peer),
            Route::Relay(..) => None,
        });
        for peer in introducers.chain(tellers) {
            let linked = self.peers.by_id(&peer).is_some_and(|peer| peer.is_direct());
            if linked && !through.contains(&peer) && through.len() < MAX_PEER_WAYS {
                through.push(peer);
            }
        }
        let mut ways = Vec::new();
        for socket in sockets {
            // It would see our address; and what a record says may be anybody's socket.
            if !self.hide_address.is_on() && self.strange_dials.try_take(now()) {
                ways.push(socket);
            }
        }
        ways.extend(through.iter().map(|peer| Route::Peer(*peer).to(id)));

        let is_up = |relay: &PeerId| {
            self.relays
                .iter()
                .any(|own| own.peer == *relay && own.uplink.state() == uplink::State::Reserved)
        };
        let mut relays: Vec<&Route> = named
            .iter()
            .filter(|route| matches!(route, Route::Relay(..)))
            .collect();
        sort_by_key(&mut relays, |route| !is_up(&route.through()));
        let mut strange = false;
        for route in relays {
            if ways.len() >= MAX_WAYS {
                break;
            }
            let ours = self.relay_of(&route.through()).is_some();
            if !ours {
                if strange || !self.strange_dials.try_take(now()) {
                    continue;
                }
                strange = true;
            }
            ways.push(route.to(id));
        }
        if ways.is_empty() {
            ways = self.guesses(id);
        }
        ways
    }

    /// Ways to a peer of which nothing but the name is known.
    fn guesses(&self, id: PeerId) -> Vec<Multiaddr> {
        let relays = self
            .relays
            .iter()
            .filter(|relay| relay.uplink.state() == uplink::State::Reserved)
            .map(|relay| Route::Relay(relay.peer, relay.address.clone()).to(id));
        let peers = self
            .peers
            .iter()
            .filter(|peer| peer.is_direct() && peer.introduces && peer.id != id)
            .map(|peer| Route::Peer(peer.id).to(id));
        relays
            .take(MAX_WAYS - 1)
            .chain(peers)
            .take(MAX_WAYS)
            .collect()
    }
}
