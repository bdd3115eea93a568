//! Chunks that come from a web server: taken off the peers' hands while they are fetched, and believed like any other.
//!
//! Which ones, and when, is decided outside (`web_seed`), from what can be seen here.

use bytes::Bytes;

use super::{Output, Swarm};
use crate::proto::availability::Holds;
use crate::proto::picker::PICK_SCAN;
use crate::proto::tail::Tail;
use crate::proto::types::{CHUNK_SIZE, ChunkIndex, PeerKey, Time};

/// A key that no peer has.
const NOBODY: PeerKey = PeerKey(u64::MAX);

impl Swarm {
    /// Wanted chunks that no connected peer has, in no particular order, a bounded number of them. None while an initial
    /// seed hands chunks out: it has them all, and does not say so.
    pub fn unheld(&self) -> impl Iterator<Item = ChunkIndex> + '_ {
        let spreading = self.peers.values().any(|peer| peer.source.spreading);
        let ledger = self.ledger.as_ref().filter(|_| !spreading);
        let picker = ledger.map(|ledger| &ledger.picker);
        picker.into_iter().flat_map(|picker| {
            let nobody = |index: &u32| picker.availability().count(*index) == 0;
            let rarest = picker.rarest_first().take(PICK_SCAN);
            rarest.take_while(nobody).map(ChunkIndex)
        })
    }

    /// The first chunk that a reader waits for and that is asked of nobody.
    pub fn next_read(&self) -> Option<ChunkIndex> {
        let picker = &self.ledger.as_ref()?.picker;
        picker.in_focus(&Holds::All, 0).map(ChunkIndex)
    }

    /// The rarest wanted chunk that is asked of nobody.
    pub fn rarest(&self) -> Option<ChunkIndex> {
        let picker = &self.ledger.as_ref()?.picker;
        picker.rarest_first().next().map(ChunkIndex)
    }

    /// Whether a connected peer has this chunk.
    pub fn is_held(&self, index: ChunkIndex) -> bool {
        let count = |picker: &crate::proto::picker::Picker| picker.availability().count(index.0);
        self.ledger
            .as_ref()
            .is_some_and(|ledger| count(&ledger.picker) > 0)
    }

    /// The connected peers that lack something.
    pub fn incomplete_peers(&self) -> impl Iterator<Item = PeerKey> + '_ {
        let lacking = self
            .peers
            .iter()
            .filter(|(_, peer)| peer.holds != Holds::All);
        lacking
            .filter(|(_, peer)| peer.greeted)
            .map(|(key, _)| *key)
    }

    /// Whether the bounds let one more chunk be fetched.
    pub fn has_room_for_web(&self) -> bool {
        !self.paused && self.pending_bytes() + CHUNK_SIZE <= self.config.unstored_max
    }

    /// Bytes of chunks that are being fetched from web servers.
    pub(super) fn web_bytes(&self) -> u64 {
        self.web.values().sum()
    }

    /// The size is proved from outside.
    pub(super) fn on_prove(&mut self, tail: Tail) {
        if self.ledger.is_none() && tail.proves(self.blob) {
            let size = tail.size;
            self.tail = Some(tail);
            self.prove(size);
            self.give_tail_to_all();
        }
    }

    pub(super) fn on_fetching(&mut self, index: ChunkIndex) {
        let Some(ledger) = &mut self.ledger else {
            return;
        };
        let Some(len) = ledger.size.chunk_len(index) else {
            return;
        };
        if ledger.picker.wants(index.0) {
            self.web.insert(index, len as u64);
            ledger.picker.take(index.0);
            let flight = ledger.flights.entry(index).or_default();
            flight.copies += 1;
        }
    }

    pub(super) fn on_fetched(&mut self, index: ChunkIndex, data: Bytes, proof: Bytes, now: Time) {
        if self.web.remove(&index).is_none() {
            return;
        }
        let len = data.len() as u64;
        self.from_web += len;
        let Some(ledger) = &self.ledger else { return };
        let size = ledger.size;
        if ledger.has(index) {
            self.wasted += len;
        } else if (self.verify)(self.blob, size, index, &data, &proof).is_ok() {
            self.accept(NOBODY, size, index, proof, data, now);
        } else {
            self.wasted += len;
            self.release(index);
            self.outputs.push_back(Output::WrongFetch { index });
        }
    }

    pub(super) fn on_fetch_failed(&mut self, index: ChunkIndex) {
        if self.web.remove(&index).is_some() {
            self.release(index);
        }
    }
}
