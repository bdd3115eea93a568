//! Chunks to serve on their way out of the store: what is asked for next is read together with what is asked for now.
//!
//! A transaction costs the browser about as much as reading a chunk, and whoever waits for a read leaves the wire idle. So a
//! read takes the next requests of the same peer along, and what nobody is sent yet waits here for its turn.

use std::collections::VecDeque;

use crate::proto::ordered::Map;
use crate::proto::types::{ChunkIndex, PeerKey};
use crate::store::StoredChunk;

/// Chunks read in one transaction. Measured for IndexedDB: more than eight large values gain little.
pub(super) const READ_BATCH: usize = 8;

/// Chunks of one blob that wait for their turn: two batches, 4 MiB.
const MAX_AHEAD: usize = 2 * READ_BATCH;

/// What is being read of one blob, and what has been.
#[derive(Debug, Default)]
pub(super) struct Reading {
    /// Read before it was their turn.
    ahead: Map<ChunkIndex, StoredChunk>,
    /// Their keys, oldest first.
    order: VecDeque<ChunkIndex>,
    /// In a transaction now.
    under_way: Vec<ChunkIndex>,
    /// Whose turn it is for what is being read. Bounded by `Config::serving_max`.
    waiting: Vec<(PeerKey, ChunkIndex)>,
}

impl Reading {
    /// It is the turn of this chunk: handed out if it was read already.
    pub fn take(&mut self, index: ChunkIndex) -> Option<StoredChunk> {
        let chunk = self.ahead.remove(&index)?;
        self.order.retain(|read| *read != index);
        Some(chunk)
    }

    /// The peer waits for a chunk. Answers what to read for it now, with as many of `upcoming` as there is room for; nothing
    /// if it is being read already.
    pub fn wait(
        &mut self,
        peer: PeerKey,
        index: ChunkIndex,
        upcoming: impl Iterator<Item = ChunkIndex>,
    ) -> Vec<ChunkIndex> {
        self.waiting.push((peer, index));
        if self.under_way.contains(&index) {
            return Vec::new();
        }
        let room = MAX_AHEAD.saturating_sub(self.ahead.len() + self.under_way.len());
        let absent = |next: &ChunkIndex| {
            *next != index && !self.ahead.contains_key(next) && !self.under_way.contains(next)
        };
        let company = upcoming.filter(absent).take(room.min(READ_BATCH - 1));
        let batch: Vec<_> = std::iter::once(index).chain(company).collect();
        self.under_way.extend(&batch);
        batch
    }

    /// A read has ended. Answers who waited for the chunk.
    pub fn arrived(&mut self, index: ChunkIndex) -> Vec<PeerKey> {
        self.under_way.retain(|reading| *reading != index);
        let mut peers = Vec::new();
        self.waiting.retain(|(peer, waited)| {
            if *waited == index {
                peers.push(*peer);
            }
            *waited != index
        });
        peers
    }

    /// Keeps a chunk until it is its turn; the oldest goes if there are too many.
    pub fn keep(&mut self, chunk: StoredChunk) {
        if !self.ahead.contains_key(&chunk.index) {
            self.order.push_back(chunk.index);
            if self.order.len() > MAX_AHEAD
                && let Some(oldest) = self.order.pop_front()
            {
                self.ahead.remove(&oldest);
            }
        }
        self.ahead.insert(chunk.index, chunk);
    }

    /// Nobody asks for anything any more.
    pub fn forget(&mut self) {
        self.ahead.clear();
        self.order.clear();
    }
}

#[cfg(all(test, not(target_arch = "wasm32")))]
mod tests {
    use bytes::Bytes;
    use proptest::prelude::*;
    use proptest::sample::Index;

    use super::*;

    fn chunk(index: u32) -> StoredChunk {
        StoredChunk {
            index: ChunkIndex(index),
            data: Bytes::from(vec![index as u8; 4]),
            proof: Bytes::new(),
        }
    }

    #[test]
    fn the_next_requests_are_read_along_and_handed_out_in_their_turn() {
        let mut reading = Reading::default();
        let upcoming = (1..20).map(ChunkIndex);
        let batch = reading.wait(PeerKey(1), ChunkIndex(0), upcoming);
        assert_eq!(batch, (0..8).map(ChunkIndex).collect::<Vec<_>>());
        assert_eq!(
            reading.wait(PeerKey(2), ChunkIndex(3), std::iter::empty()),
            []
        );
        assert_eq!(reading.arrived(ChunkIndex(0)), [PeerKey(1)]);
        assert_eq!(reading.arrived(ChunkIndex(3)), [PeerKey(2)]);
        assert_eq!(reading.arrived(ChunkIndex(1)), []);
        reading.keep(chunk(1));
        assert_eq!(reading.take(ChunkIndex(1)), Some(chunk(1)));
        assert_eq!(reading.take(ChunkIndex(1)), None);
    }

    proptest! {
        /// Whoever waits is answered exactly once, nothing is read twice at a time, and what is kept is bounded.
        #[test]
        fn everybody_is_answered_once(steps in prop::collection::vec((0u8..3, 0u64..4, any::<Index>()), 1..200)) {
            let mut reading = Reading::default();
            let mut under_way: Vec<ChunkIndex> = Vec::new();
            let mut waiting: Vec<(PeerKey, ChunkIndex)> = Vec::new();
            for (step, peer, which) in steps {
                let index = ChunkIndex(which.index(40) as u32);
                match step {
                    0 if reading.take(index).is_none() => {
                        let batch = reading.wait(PeerKey(peer), index, (0..40).map(ChunkIndex));
                        waiting.push((PeerKey(peer), index));
                        prop_assert!(batch.len() <= READ_BATCH);
                        for index in batch {
                            prop_assert!(!under_way.contains(&index));
                            under_way.push(index);
                        }
                    }
                    1 if !under_way.is_empty() => {
                        let index = under_way.swap_remove(which.index(under_way.len()));
                        let told = reading.arrived(index);
                        let expected: Vec<_> = waiting.iter().filter(|(_, waited)| *waited == index).map(|(peer, _)| *peer).collect();
                        prop_assert_eq!(&told, &expected);
                        waiting.retain(|(_, waited)| *waited != index);
                        if told.is_empty() {
                            reading.keep(chunk(index.0));
                        }
                    }
                    2 if which.index(10) == 0 => reading.forget(),
                    _ => {}
                }
                prop_assert!(reading.ahead.len() <= MAX_AHEAD);
                prop_assert_eq!(reading.ahead.len(), reading.order.len());
                prop_assert!(waiting.iter().all(|(_, waited)| under_way.contains(waited)));
            }
        }
    }
}
