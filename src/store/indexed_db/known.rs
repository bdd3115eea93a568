//! What is known of chunks whose data lies in a file, so that reading them again asks the file alone.
//!
//! A transaction for a record of half a kilobyte costs as much processor time as reading the chunk itself.

use std::cell::RefCell;

use bytes::Bytes;

use super::files::Place;
use crate::proto::ordered::Map;
use crate::proto::types::ChunkIndex;
use crate::store::RowId;

/// Chunks known at most: 1 GiB of data, some 2 MB at the most with their proofs.
const KNOWN_MAX: usize = 4096;

/// Where chunks lie, and their proofs.
#[derive(Debug, Default)]
pub(super) struct Known(RefCell<Map<(RowId, ChunkIndex), (usize, Bytes)>>);

impl Known {
    pub(super) fn note(&self, row: RowId, place: Place, proof: Bytes) {
        let mut known = self.0.borrow_mut();
        if known.len() >= KNOWN_MAX {
            known.clear();
        }
        known.insert((row, place.index), (place.len, proof));
    }

    pub(super) fn get(&self, row: RowId, index: ChunkIndex) -> Option<(Place, Bytes)> {
        let known = self.0.borrow();
        let (len, proof) = known.get(&(row, index))?;
        Some((Place { index, len: *len }, proof.clone()))
    }

    /// Chunks of this row are not what they were.
    pub(super) fn forget(&self, row: RowId) {
        self.0.borrow_mut().retain(|(known, _), _| *known != row);
    }
}
