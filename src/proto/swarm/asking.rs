//! What to ask for, and of whom.
//!
//! While the size of the blob is only a claim, its last chunk is asked for (`size`); then what readers wait for
//! (`urgent`), what a peer hinted at, and the rarest of the rest (`picker`). When nothing is left to ask of a peer, it
//! takes over what others were asked for (`endgame`). Pipelines, credits and the memory bound say how much.

use super::Swarm;
use super::ledger::Ledger;
use super::peer::Asked;
use crate::proto::availability::Holds;
use crate::proto::message::Message;
use crate::proto::types::{ChunkIndex, PeerKey, Time};

/// What became of a request that was to be sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Ask {
    Sent,
    /// The peer could not send so much.
    NoCredit,
    /// The bound on all peers together is reached.
    NoMemory,
}

impl Swarm {
    /// Asks one peer, or all, for as much as pipelines, credits and the memory bound allow.
    pub(super) fn fill(&mut self, whom: Option<PeerKey>, now: Time) {
        if self.paused || self.has_everything() {
            return;
        }
        if self.ledger.is_none() {
            self.probe(now);
            return;
        }
        let mut able: Vec<PeerKey> = match whom {
            Some(key) => vec![key],
            None => self.peers.keys().copied().collect(),
        };
        able.retain(|key| self.has_room(*key, now));
        self.random.shuffle(&mut able);
        while !able.is_empty() {
            let mut still = Vec::with_capacity(able.len());
            for key in able {
                if self.has_room(key, now)
                    && let Some(index) = self.choose(key, now)
                {
                    match self.ask(key, index, now) {
                        Ask::Sent => still.push(key),
                        Ask::NoCredit => self.held_back = true,
                        Ask::NoMemory => {
                            self.held_back = true;
                            return;
                        }
                    }
                }
            }
            able = still;
        }
        self.give_slots_back(whom);
    }

    fn has_room(&self, key: PeerKey, now: Time) -> bool {
        self.peers.get(&key).is_some_and(|peer| {
            let source = &peer.source;
            !source.choked
                && (!source.dry || source.may_look(now))
                && peer.holds != Holds::Nothing
                && source.asked.len() < source.depth(&self.config)
                && source.asked.len() < self.room(peer)
        })
    }

    /// The next chunk to ask this peer for.
    fn choose(&mut self, key: PeerKey, now: Time) -> Option<ChunkIndex> {
        if let Some(index) = self.urgent(key) {
            return Some(index);
        }
        let (Some(ledger), Some(peer)) = (&self.ledger, self.peers.get_mut(&key)) else {
            return None;
        };
        let (picker, source) = (&ledger.picker, &mut peer.source);
        // A hint that is asked of another now may be needed yet.
        source
            .hints
            .retain(|hint| !ledger.verified.contains(hint.0));
        let wanted = |hint: &ChunkIndex| picker.wants(hint.0) && peer.holds.contains(hint.0);
        // It stays a hint until it has been asked for, which a bound may forbid now.
        if let Some(hint) = source.hints.iter().find(|hint| wanted(hint)) {
            return Some(*hint);
        }
        let found = match source.spreading {
            true => None,
            false => picker.rarest(&peer.holds, &mut self.random).map(ChunkIndex),
        };
        source.dry = found.is_none();
        if found.is_none() && source.may_look(now) {
            source.looked = now;
            return self.take_over(key, now);
        }
        found
    }

    /// Sends a request unless a bound forbids it.
    pub(super) fn ask(&mut self, key: PeerKey, index: ChunkIndex, now: Time) -> Ask {
        let pending = self.pending_bytes();
        let Some(peer) = self.peers.get_mut(&key) else {
            return Ask::NoCredit;
        };
        let size = self
            .ledger
            .as_ref()
            .map(|ledger| ledger.size)
            .or(peer.claim);
        let Some(len) = size.and_then(|size| size.chunk_len(index)) else {
            return Ask::NoCredit;
        };
        let len = len as u64;
        if pending + len > self.config.unstored_max {
            return Ask::NoMemory;
        }
        if peer.source.asked_bytes() + len > peer.source.granted {
            return Ask::NoCredit;
        }
        let before = peer.source.bytes;
        peer.source.hints.retain(|hint| *hint != index);
        peer.source.asked.push(Asked {
            index,
            len,
            at: now,
            before,
        });
        if let Some(ledger) = &mut self.ledger {
            ledger.picker.take(index.0);
            ledger.flights.entry(index).or_default().copies += 1;
        }
        self.send(key, Message::Request { index });
        Ask::Sent
    }

    /// Bytes asked for, and bytes verified and not yet durable, over all peers and web servers.
    pub(super) fn pending_bytes(&self) -> u64 {
        let asked = self.peers.values().map(|peer| peer.source.asked_bytes());
        let unstored = self.ledger.as_ref().map_or(0, Ledger::unstored_bytes);
        asked.sum::<u64>() + unstored + self.web_bytes()
    }
}
