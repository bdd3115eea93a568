//! Keepers: finding some and asking them, and being one.
//!
//! Nothing waits here: whoever asks looks again until it has heard enough, and each look goes one step further with every keeper
//! that is known: dial it, ask it, remember what it says.

use std::time::Duration;

use bytes::Bytes;
use futures::channel::mpsc;
use libp2p::{Multiaddr, PeerId};

use super::{EventLoop, now};
use crate::net::session as streams;
use crate::node::keepers::Asked;
use crate::proto::address::Address;
use crate::proto::keeping::{Verdict, encode_verdict, encode_wish, meeting_point};
use crate::proto::ordered::Map;
use crate::proto::types::{BlobHash, PeerKey, Time};
use crate::rt;
use crate::store::Store;

/// Keepers that are remembered; the first that were found. Ours: one that takes a site is enough.
const MAX_FOUND: usize = 16;

/// Keepers that are asked about one address.
const MAX_ASKED: usize = 3;

/// Addresses about which something is remembered; the one asked about longest ago makes room.
const MAX_WISHES: usize = 64;

/// Pause between two look-ups of keepers.
const LOOKUP_PAUSE: Duration = Duration::from_secs(10);

/// Pause before a keeper is dialled, or asked, once more.
const TRY_PAUSE: Duration = Duration::from_secs(15);

/// How long what a keeper said counts; who asks after that asks anew.
const SAID_LASTS: Duration = Duration::from_secs(120);

/// What is known of keepers.
#[derive(Debug, Default)]
pub(super) struct Keepers {
    /// Hears what peers ask, if this node is a keeper.
    asked: Option<mpsc::Sender<Asked>>,
    /// Those that were found, and when each may be dialled.
    found: Map<PeerKey, Time>,
    next_lookup: Time,
    wishes: Map<Address, Wish>,
}

#[derive(Debug, Default)]
struct Wish {
    since: Time,
    /// Who was asked and when, and the answer.
    asked: Map<PeerKey, (Time, Option<Verdict>)>,
}

impl Keepers {
    /// Whether a peer is known as a keeper.
    pub fn is_one(&self, peer: PeerKey) -> bool {
        self.found.contains_key(&peer)
    }
}

impl<S: Store> EventLoop<S> {
    pub(super) fn ask_keepers(
        &mut self,
        address: Address,
        at: Vec<(PeerId, Multiaddr)>,
    ) -> Vec<Verdict> {
        let at_once = now();
        for (id, socket) in at {
            let key = self.peers.enter(id, rt::unix_millis()).key;
            self.peers.add_addresses(key, vec![socket]);
            self.on_keepers_found(vec![key]);
        }
        if at_once >= self.keepers.next_lookup {
            self.keepers.next_lookup = at_once + LOOKUP_PAUSE;
            self.look_up(meeting_point());
        }
        self.keepers
            .wishes
            .retain(|_, wish| at_once.since(wish.since) < SAID_LASTS);
        if self.keepers.wishes.len() >= MAX_WISHES {
            let oldest = self
                .keepers
                .wishes
                .iter()
                .min_by_key(|(_, wish)| wish.since);
            if let Some(oldest) = oldest.map(|(address, _)| *address) {
                self.keepers.wishes.remove(&oldest);
            }
        }
        let found: Vec<_> = self
            .keepers
            .found
            .iter()
            .map(|(key, from)| (*key, *from))
            .collect();
        for (key, from) in found {
            let Some(peer) = self.peers.get(key).filter(|peer| !peer.banned) else {
                self.keepers.found.remove(&key);
                continue;
            };
            let (id, linked, dialling) = (peer.id, peer.is_linked(), peer.dialling);
            let wish = self.keepers.wishes.entry(address).or_insert_with(|| Wish {
                since: at_once,
                asked: Map::new(),
            });
            let due = match wish.asked.get(&key) {
                Some((_, Some(_))) => false,
                Some((when, None)) => at_once.since(*when) >= TRY_PAUSE,
                None => wish.asked.len() < MAX_ASKED,
            };
            if !due {
                continue;
            }
            if linked {
                wish.asked.insert(key, (at_once, None));
                self.send_about_sites(id, encode_wish(&address));
            } else if !dialling && at_once >= from {
                self.keepers.found.insert(key, at_once + TRY_PAUSE);
                self.dial(key);
            }
        }
        let wish = self.keepers.wishes.get(&address);
        let asked = wish.into_iter().flat_map(|wish| wish.asked.values());
        asked.filter_map(|(_, said)| *said).collect()
    }

    pub(super) fn on_keepers_found(&mut self, found: Vec<PeerKey>) {
        for key in found {
            if self.keepers.found.len() < MAX_FOUND {
                self.keepers.found.entry(key).or_default();
            }
        }
    }

    pub(super) fn be_keeper(&mut self, asked: mpsc::Sender<Asked>) {
        self.keepers.asked = Some(asked);
        self.announce_keeper();
    }

    /// Tells the indexes that keepers are found here, if this is one and can be reached.
    pub(super) fn announce_keeper(&mut self) {
        if self.keepers.asked.is_some() && self.is_joined() && self.gate.may_send() {
            let behaviour = self.swarm.behaviour_mut();
            behaviour.index.get_mut().announce(meeting_point());
            behaviour.peers_index.get_mut().announce(meeting_point());
        }
    }

    /// A peer asks for something to be kept.
    pub(super) fn on_wish(&mut self, address: Address, from: PeerId) {
        let Some(asked) = self.keepers.asked.as_mut() else {
            return;
        };
        // With a full queue the asker asks again.
        let _ = asked.try_send(Asked::Keep(address, from));
    }

    /// A peer reads a site.
    pub(super) fn on_reader(&mut self, manifest: BlobHash) {
        if let Some(asked) = self.keepers.asked.as_mut() {
            let _ = asked.try_send(Asked::Read(manifest));
        }
    }

    pub(super) fn answer_wish(&mut self, address: Address, peer: PeerId, verdict: Verdict) {
        self.send_about_sites(peer, encode_verdict(&address, verdict));
    }

    /// A keeper has answered, if it was asked.
    pub(super) fn on_verdict(&mut self, address: Address, verdict: Verdict, from: PeerKey) {
        let wish = self.keepers.wishes.get_mut(&address);
        if let Some((_, said)) = wish.and_then(|wish| wish.asked.get_mut(&from)) {
            *said = Some(verdict);
        }
    }

    /// Sends one message about sites on a stream of its own, if there is a link.
    pub(super) fn send_about_sites(&mut self, to: PeerId, message: Bytes) {
        let linked = self.peers.by_id(&to).is_some_and(|peer| peer.is_linked());
        if !linked || self.holdings.len() >= super::holders::MAX_SENDING || !self.gate.may_send() {
            return;
        }
        let open = streams::OpenId(self.fresh_id());
        self.holdings.insert(open, message);
        self.swarm.behaviour_mut().sites.get_mut().open(to, open);
    }
}
