//! Who has what: what peers say they hold, and what we say we would serve.
//!
//! What a peer holds is in its own record and, once the size is proved, in the picker's counts; both change together.

use super::{Misconduct, Swarm};
use crate::proto::availability::Holds;
use crate::proto::bitfield::Bitfield;
use crate::proto::message::{Message, RejectReason};
use crate::proto::types::{BlobSize, ChunkIndex, PeerKey};

impl Swarm {
    pub(super) fn on_announcement(
        &mut self,
        key: PeerKey,
        size: BlobSize,
        holds: Holds,
    ) -> Result<(), Misconduct> {
        self.on_claim(key, size)?;
        let Some(peer) = self.peers.get_mut(&key) else {
            return Ok(());
        };
        peer.announced_to_us += 1;
        if peer.announced_to_us > self.config.announcements_max {
            return Err(Misconduct::Flood);
        }
        peer.source.spreading = false;
        self.set_holds(key, holds);
        Ok(())
    }

    pub(super) fn on_have(
        &mut self,
        key: PeerKey,
        indexes: &[ChunkIndex],
    ) -> Result<(), Misconduct> {
        let Some(peer) = self.peers.get_mut(&key) else {
            return Ok(());
        };
        let chunks = peer.claim.ok_or(Misconduct::Impossible)?.chunk_count();
        if indexes.iter().any(|index| index.0 >= chunks) {
            return Err(Misconduct::Impossible);
        }
        peer.client.hints.retain(|hint| !indexes.contains(hint));
        let wanted = match &self.ledger {
            Some(ledger) => indexes.iter().any(|index| ledger.picker.wants(index.0)),
            None => true,
        };
        peer.source.dry &= !wanted;
        if wanted && !peer.source.choked {
            self.may_ask_of = Some(key);
        }
        if peer.holds == Holds::Nothing {
            peer.holds = Holds::Some(Bitfield::new(chunks));
        }
        let Holds::Some(bits) = &mut peer.holds else {
            return Ok(());
        };
        for index in indexes {
            if bits.insert(index.0)
                && let Some(ledger) = &mut self.ledger
            {
                ledger.picker.add_have(index.0, &mut self.random);
            }
        }
        let full = bits.is_full();
        if full {
            self.set_holds(key, Holds::All);
        } else if wanted {
            self.reconsider(key);
        }
        Ok(())
    }

    /// Replaces what a peer has, in its own record and in the counts.
    pub(super) fn set_holds(&mut self, key: PeerKey, holds: Holds) {
        let Some(peer) = self.peers.get_mut(&key) else {
            return;
        };
        if let Some(ledger) = &mut self.ledger {
            ledger.picker.remove_holds(&peer.holds, &mut self.random);
            ledger.picker.add_holds(&holds, &mut self.random);
        }
        peer.holds = holds;
        peer.source.dry = false;
        self.reconsider(key);
    }

    /// A peer turns out not to have a chunk.
    pub(super) fn lose(&mut self, key: PeerKey, index: ChunkIndex) {
        let Some(peer) = self.peers.get_mut(&key) else {
            return;
        };
        match &mut peer.holds {
            Holds::Nothing => {}
            Holds::All => {
                let mut bits = Bitfield::full(peer.claim.map_or(0, BlobSize::chunk_count));
                bits.remove(index.0);
                self.set_holds(key, Holds::from_bitfield(bits));
            }
            Holds::Some(bits) => {
                if bits.remove(index.0)
                    && let Some(ledger) = &mut self.ledger
                {
                    ledger.picker.remove_have(index.0, &mut self.random);
                }
            }
        }
    }

    pub(super) fn on_allow_upload(&mut self, allowed: bool) {
        if self.upload_allowed == allowed {
            return;
        }
        self.upload_allowed = allowed;
        let keys: Vec<PeerKey> = self.peers.keys().copied().collect();
        for key in keys {
            if !allowed {
                self.refuse_queue(key, RejectReason::NotServing);
            }
            self.announce(key);
        }
        if !allowed {
            self.take_slots();
        }
        self.slots_stale = true;
    }

    /// Says what we would serve, unless it is nothing and always was. A peer accepts only so many announcements; after
    /// that it learns by refusals.
    pub(super) fn announce(&mut self, key: PeerKey) {
        let (Some(ledger), Some(peer)) = (&self.ledger, self.peers.get_mut(&key)) else {
            return;
        };
        let silent = !self.upload_allowed && peer.announced_by_us == 0;
        if silent || peer.announced_by_us >= self.config.announcements_max {
            return;
        }
        peer.announced_by_us += 1;
        peer.client.hinted = false;
        peer.client.untold.clear();
        peer.client.tell = None;
        let size = ledger.size;
        let message = if !self.upload_allowed {
            Message::Bitfield {
                size,
                bits: Bitfield::new(size.chunk_count()),
            }
        } else if ledger.verified.is_full() {
            Message::HaveAll { size }
        } else {
            Message::Bitfield {
                size,
                bits: ledger.verified.clone(),
            }
        };
        self.send(key, message);
    }
}
