//! The size of the blob: claimed, proved, and handed on to those that do not know it.
//!
//! It is only a claim until the last chunk has been verified, so that chunk is asked for first, from peers with different
//! claims, unless a peer proves the size with the tail of it (`tail`).

use bytes::Bytes;

use super::asking::Ask;
use super::peer::{Serving, Stage};
use super::{Misconduct, Output, Swarm};
use crate::proto::availability::Holds;
use crate::proto::message::Message;
use crate::proto::sorting::sort_by_key;
use crate::proto::tail::Tail;
use crate::proto::types::{BlobSize, ChunkIndex, PeerKey, Time};

impl Swarm {
    /// A size stays as it was first claimed, and must be the proved one.
    pub(super) fn on_claim(&mut self, key: PeerKey, size: BlobSize) -> Result<(), Misconduct> {
        let proved = self.ledger.as_ref().map(|ledger| ledger.size);
        let Some(peer) = self.peers.get_mut(&key) else {
            return Ok(());
        };
        if proved.or(peer.claim).is_some_and(|known| known != size) {
            return Err(Misconduct::Impossible);
        }
        peer.claim = Some(size);
        peer.sizeless = false;
        Ok(())
    }

    /// Before the size is proved: asks for the last chunk as claimed, from one peer for each different claim, and from a
    /// second if the first takes long.
    pub(super) fn probe(&mut self, now: Time) {
        let mut candidates: Vec<(u32, PeerKey)> = self
            .peers
            .iter()
            .map(|(key, peer)| (peer.source.strikes, *key))
            .collect();
        self.random.shuffle(&mut candidates);
        sort_by_key(&mut candidates, |(strikes, _)| *strikes);
        let mut young: Vec<BlobSize> = Vec::new();
        let mut outstanding = 0;
        for peer in self.peers.values() {
            for asked in &peer.source.asked {
                outstanding += 1;
                if now.since(asked.at) < self.config.probe_hedge {
                    young.extend(peer.claim);
                }
            }
        }
        for (_, key) in candidates {
            let Some(peer) = self.peers.get(&key) else {
                continue;
            };
            let Some(claim) = peer.claim else { continue };
            let last = claim.last_chunk();
            if young.len() >= self.config.probes_max || outstanding >= 2 * self.config.probes_max {
                return;
            }
            if young.contains(&claim)
                || peer.source.choked
                || !peer.source.asked.is_empty()
                || !peer.holds.contains(last.0)
            {
                continue;
            }
            if self.ask(key, last, now) == Ask::Sent {
                young.push(claim);
                outstanding += 1;
            }
        }
    }

    pub(super) fn prove(&mut self, size: BlobSize) {
        self.open_ledger(size);
        self.outputs.push_back(Output::SizeProved(size));
        let (mut liars, mut honest) = (Vec::new(), Vec::new());
        for (key, peer) in &self.peers {
            if peer.claim.is_some_and(|claim| claim != size) {
                &mut liars
            } else {
                &mut honest
            }
            .push(*key);
        }
        // Their sets have another length and were never counted.
        for key in liars {
            if let Some(peer) = self.peers.get_mut(&key) {
                peer.holds = Holds::Nothing;
            }
            self.ban(key, Misconduct::Impossible);
        }
        for key in honest {
            if let (Some(ledger), Some(peer)) = (&mut self.ledger, self.peers.get(&key)) {
                ledger.picker.add_holds(&peer.holds, &mut self.random);
            }
            self.announce(key);
            self.reconsider(key);
        }
    }

    /// Tells a peer the size, if it does not know it; the store may have to be asked first.
    pub(super) fn give_tail(&mut self, key: PeerKey, now: Time) {
        let (Some(ledger), Some(peer)) = (&self.ledger, self.peers.get_mut(&key)) else {
            return;
        };
        if !peer.sizeless || !self.upload_allowed {
            return;
        }
        let index = ledger.size.last_chunk();
        if let Some(tail) = self.tail.clone() {
            peer.sizeless = false;
            self.send(key, Message::Tail(tail));
        } else if ledger.has(index) {
            // It counts as being served, so that it is bounded like everything that is.
            peer.client.serving.push(Serving {
                index,
                len: 0,
                stage: Stage::Tail,
                begun: self.outflow.begin(now),
            });
            self.outputs.push_back(Output::Load { peer: key, index });
        }
    }

    /// Tells it to everybody who does not know it.
    pub(super) fn give_tail_to_all(&mut self) {
        let Some(tail) = self.tail.clone().filter(|_| self.upload_allowed) else {
            return;
        };
        for (key, peer) in &mut self.peers {
            if std::mem::take(&mut peer.sizeless) {
                let message = Message::Tail(tail.clone());
                self.outputs.push_back(Output::Send {
                    peer: *key,
                    message,
                });
            }
        }
    }

    /// A load for the tail is over; whether there was one.
    pub(super) fn end_tail_load(&mut self, key: PeerKey, index: ChunkIndex) -> bool {
        let Some(peer) = self.peers.get_mut(&key) else {
            return false;
        };
        let serving = &mut peer.client.serving;
        let found = peer_tail(serving, index);
        if let Some(at) = found {
            serving.remove(at);
            self.may_serve = true;
        }
        found.is_some()
    }

    /// Here is a chunk that was verified: the tail is cut from it if it is the last.
    pub(super) fn on_last_chunk(&mut self, index: ChunkIndex, data: &Bytes, proof: &Bytes) {
        let Some(size) = self.ledger.as_ref().map(|ledger| ledger.size) else {
            return;
        };
        let whole = size.chunk_len(index) == Some(data.len());
        if index == size.last_chunk() && self.tail.is_none() && whole {
            self.tail = Some(Tail::cut(size, data, proof));
        }
        self.give_tail_to_all();
    }

    /// A peer proves the size.
    pub(super) fn on_tail(&mut self, key: PeerKey, tail: Tail) -> Result<(), Misconduct> {
        self.on_claim(key, tail.size)?;
        if self.ledger.is_some() {
            return Ok(());
        }
        if !tail.proves(self.blob) {
            return Err(Misconduct::WrongBytes);
        }
        let size = tail.size;
        self.tail = Some(tail);
        self.prove(size);
        self.give_tail_to_all();
        Ok(())
    }
}

fn peer_tail(serving: &[Serving], index: ChunkIndex) -> Option<usize> {
    serving
        .iter()
        .position(|serving| serving.index == index && serving.stage == Stage::Tail)
}
