//! What is here, what is on its way and what is wanted, once the size is proved.
//!
//! Every chunk is in one of four states: wanted (in the picker), in flight, verified and not yet durable, durable. A chunk
//! whose last request is gone, or that the store could not keep, is wanted again.

use super::chart::Bringers;
use super::{Output, Swarm};
use crate::proto::bitfield::Bitfield;
use crate::proto::ordered::Map;
use crate::proto::picker::Picker;
use crate::proto::types::{BlobSize, ChunkIndex, PeerKey, Time};

/// What is known once the size is proved. Every chunk is wanted (in the picker), in flight, unstored or stored.
#[derive(Debug)]
pub(super) struct Ledger {
    pub size: BlobSize,
    /// What is here and right: told to others and served.
    pub verified: Bitfield,
    /// What is durable: a part of `verified`.
    pub stored: Bitfield,
    pub picker: Picker,
    pub unstored: Map<ChunkIndex, Unstored>,
    pub flights: Map<ChunkIndex, Flight>,
    pub bringers: Bringers,
}

/// A chunk that is verified and on its way into the store.
#[derive(Debug)]
pub(super) struct Unstored {
    pub from: PeerKey,
    pub len: u64,
}

/// A chunk that was asked for.
#[derive(Debug, Default)]
pub(super) struct Flight {
    pub copies: usize,
}

impl Ledger {
    pub(super) fn has(&self, index: ChunkIndex) -> bool {
        self.verified.contains(index.0)
    }

    pub(super) fn unstored_bytes(&self) -> u64 {
        self.unstored.values().map(|unstored| unstored.len).sum()
    }
}

impl Swarm {
    /// The size is proved: from here on there is a set of chunks to complete.
    pub(super) fn open_ledger(&mut self, size: BlobSize) {
        let mut stored = Bitfield::new(size.chunk_count());
        for index in std::mem::take(&mut self.kept) {
            stored.insert(index.0);
        }
        let mut picker = Picker::new(size.chunk_count(), &stored, &mut self.random);
        picker.set_focus(self.focus.clone());
        let mut flights = Map::new();
        // Last chunks that were asked for to learn the size.
        for asked in self.peers.values().flat_map(|peer| &peer.source.asked) {
            picker.take(asked.index.0);
            let flight = flights.entry(asked.index).or_insert(Flight { copies: 0 });
            flight.copies += 1;
        }
        self.ledger = Some(Ledger {
            size,
            verified: stored.clone(),
            stored,
            picker,
            unstored: Map::new(),
            flights,
            bringers: Bringers::default(),
        });
        self.spread.start(size.chunk_count(), &mut self.random);
    }

    pub(super) fn on_stored(&mut self, index: ChunkIndex) {
        let Some(ledger) = &mut self.ledger else {
            return;
        };
        let Some(unstored) = ledger.unstored.remove(&index) else {
            return;
        };
        ledger.stored.insert(index.0);
        ledger.picker.advance_focus(&ledger.stored);
        let complete = ledger.stored.is_full();
        self.settle(&unstored);
        if complete {
            self.outputs.push_back(Output::Complete);
        }
    }

    pub(super) fn on_store_failed(&mut self, index: ChunkIndex, now: Time) {
        let Some(ledger) = &mut self.ledger else {
            return;
        };
        let Some(unstored) = ledger.unstored.remove(&index) else {
            return;
        };
        ledger.verified.remove(index.0);
        self.want_again(index);
        self.settle(&unstored);
        self.pause(now);
    }

    /// The bytes of an unstored chunk are off our hands.
    fn settle(&mut self, unstored: &Unstored) {
        if let Some(peer) = self.peers.get_mut(&unstored.from) {
            peer.source.unstored = peer.source.unstored.saturating_sub(unstored.len);
            self.top_up(unstored.from);
        }
    }

    /// One request for the chunk is gone; if it was the last, the chunk is wanted again.
    pub(super) fn release(&mut self, index: ChunkIndex) {
        let Some(ledger) = &mut self.ledger else {
            return;
        };
        if let Some(flight) = ledger.flights.get_mut(&index) {
            flight.copies -= 1;
            if flight.copies > 0 {
                return;
            }
            ledger.flights.remove(&index);
        }
        if !ledger.has(index) {
            self.want_again(index);
        }
    }

    pub(super) fn want_again(&mut self, index: ChunkIndex) {
        let Some(ledger) = &mut self.ledger else {
            return;
        };
        self.may_ask = true;
        ledger.picker.put_back(index.0, &mut self.random);
        let mut able = Vec::new();
        for (key, peer) in &mut self.peers {
            if peer.holds.contains(index.0) {
                peer.source.dry = false;
                if !peer.source.interested {
                    able.push(*key);
                }
            }
        }
        for key in able {
            self.reconsider(key);
        }
    }
}
