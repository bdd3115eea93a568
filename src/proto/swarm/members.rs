//! Which peers take part: who comes in, who makes room, who is sent away.

use super::peer::Peer;
use super::{Misconduct, Output, Swarm};
use crate::proto::availability::Holds;
use crate::proto::message::{Message, REVISION};
use crate::proto::types::{PeerKey, Time};

impl Swarm {
    pub(super) fn on_connected(&mut self, peer: PeerKey, now: Time) {
        self.forget(peer);
        if self.banned.contains(&peer) || !self.make_room(now) {
            self.outputs.push_back(Output::Close { peer });
            return;
        }
        let tie = self.random.bits();
        let fresh = Peer::new(&self.config, tie, now);
        self.peers.insert(peer, Box::new(fresh));
        let hello = Message::Hello {
            version: REVISION,
            blob: self.blob,
            size: self.ledger.as_ref().map(|ledger| ledger.size),
            credit: self.config.credit_initial,
        };
        self.send(peer, hello);
        self.announce(peer);
    }

    /// Makes sure that there is room for one more peer, if need be at the cost of one that is of no use: it never said
    /// hello, or both sides have everything.
    fn make_room(&mut self, now: Time) -> bool {
        if self.peers.len() < self.config.peers_max {
            return true;
        }
        let complete = self.is_complete();
        let useless = |peer: &Peer| match peer.greeted {
            true => complete && peer.holds == Holds::All,
            false => now.since(peer.since) >= self.config.greeting_max,
        };
        let Some(key) = self
            .peers
            .iter()
            .find(|(_, peer)| useless(peer))
            .map(|(key, _)| *key)
        else {
            return false;
        };
        self.forget(key);
        self.outputs.push_back(Output::Close { peer: key });
        true
    }

    /// Drops a peer and gives back what it was asked for.
    pub(super) fn forget(&mut self, key: PeerKey) {
        let Some(peer) = self.peers.remove(&key) else {
            return;
        };
        if let Some(ledger) = &mut self.ledger {
            ledger.picker.remove_holds(&peer.holds, &mut self.random);
        }
        for asked in &peer.source.asked {
            self.release(asked.index);
        }
        self.spread.take_back(&peer.client);
        self.slots_stale = true;
        self.may_ask = true;
        self.may_serve = true;
    }

    pub(super) fn ban(&mut self, peer: PeerKey, reason: Misconduct) {
        self.forget(peer);
        while self.banned.len() >= self.config.banned_max {
            self.banned.pop_front();
        }
        self.banned.push_back(peer);
        self.outputs.push_back(Output::Ban { peer, reason });
    }
}
