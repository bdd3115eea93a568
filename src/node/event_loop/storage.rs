//! Chunks on their way to and from the store: batched, a bounded number at a time.

use std::time::Duration;

use super::integrity::Finder;
use super::{Alarm, Event, EventLoop, now};
use crate::node::error::Error;
use crate::node::reading::READ_BATCH;
use crate::node::room;
use crate::proto::swarm::Input;
use crate::proto::types::{BlobHash, ChunkIndex, PeerKey};
use crate::rt;
use crate::store::{RowId, Store, StoreError, StoredChunk};

/// Chunks in one transaction. Measured for IndexedDB: several large values a transaction are ten times as fast as one.
const BATCH: usize = 8;

/// How long a chunk waits for others to share its transaction with, unless somebody waits for it. Every transaction costs
/// the browser about as much as writing a chunk; others hear of the chunk this much later.
const LINGER: Duration = Duration::from_millis(100);

/// Transactions of one blob under way at once: one is being written while the next fills.
const MAX_WRITING: usize = 2;

impl<S: Store> EventLoop<S> {
    pub(super) fn store_chunk(&mut self, blob: BlobHash, chunk: StoredChunk) {
        if let Some(transfer) = self.transfers.get_mut(&blob) {
            transfer.unstored.insert(chunk.index, chunk.clone());
            transfer.to_store.push_back(chunk);
            if transfer.to_store.len() == 1 || transfer.should_write_now(BATCH) {
                self.write_or_linger(blob);
            }
        }
    }

    /// Writes what should wait no longer, and sees to it that the rest is written in a moment.
    fn write_or_linger(&mut self, blob: BlobHash) {
        let transfer = self.transfers.get(&blob);
        if transfer.is_some_and(|transfer| transfer.should_write_now(BATCH)) {
            self.write_some(blob);
        }
        if self
            .transfers
            .get(&blob)
            .is_some_and(|transfer| !transfer.to_store.is_empty())
        {
            self.set_alarm(Alarm::Write(blob), now() + LINGER);
        }
    }

    pub(super) fn write_some(&mut self, blob: BlobHash) {
        let Some(transfer) = self.transfers.get_mut(&blob) else {
            return;
        };
        if transfer.writing >= MAX_WRITING || transfer.to_store.is_empty() {
            return;
        }
        transfer.writing += 1;
        let count = transfer.to_store.len().min(BATCH);
        transfer.being_written += count;
        let batch: Vec<_> = transfer.to_store.drain(..count).collect();
        let (store, row) = (self.store.clone(), transfer.row);
        let make_room = self.room_maker();
        self.spawn(async move {
            let chunks = batch.iter().map(|chunk| chunk.index).collect();
            Event::Wrote {
                blob,
                row,
                chunks,
                result: room::put(&store, row, batch, make_room).await,
            }
        });
    }

    pub(super) fn on_wrote(
        &mut self,
        blob: BlobHash,
        row: RowId,
        chunks: Vec<ChunkIndex>,
        result: Result<(), StoreError>,
    ) {
        // A blob that was removed and opened again meanwhile has a new row: what was written to the old one is gone.
        let transfer = self.transfers.get_mut(&blob);
        let Some(transfer) = transfer.filter(|transfer| transfer.row == row) else {
            return;
        };
        transfer.writing -= 1;
        transfer.being_written -= chunks.len();
        for index in &chunks {
            transfer.unstored.remove(index);
        }
        self.usage_stale = true;
        match result {
            Ok(()) => {
                for index in chunks {
                    self.tell_swarm(blob, Input::Stored { index });
                }
                if let Some(transfer) = self.transfers.get_mut(&blob) {
                    transfer.answer();
                }
                self.announce_if_due(blob);
                // What came meanwhile goes on lingering, unless it is enough.
                return self.write_or_linger(blob);
            }
            Err(error) => {
                rt::warning!(error = error, "chunks could not be stored");
                let error = Error::from(error);
                transfer.set_problem(&error);
                // What else was verified meets the same end; it will be fetched again after a resume.
                let waiting: Vec<_> = transfer
                    .to_store
                    .drain(..)
                    .map(|chunk| chunk.index)
                    .collect();
                transfer.unstored.clear();
                let full = matches!(error, Error::Store(StoreError::QuotaExceeded));
                transfer.fail(|| match full {
                    true => StoreError::QuotaExceeded.into(),
                    false => Error::Store(StoreError::Backend("chunks could not be stored".into())),
                });
                for index in chunks.into_iter().chain(waiting) {
                    self.tell_swarm(blob, Input::StoreFailed { index });
                }
                self.set_wanted(blob);
                self.kept_is_lost(blob);
                self.urgent = true;
            }
        }
        self.write_some(blob);
    }

    /// A chunk is to be served: from memory if it is on its way into the store or was read before, else from the store.
    pub(super) fn load_chunk(&mut self, blob: BlobHash, peer: PeerKey, index: ChunkIndex) {
        let Some(transfer) = self.transfers.get_mut(&blob) else {
            return;
        };
        if let Some(chunk) = transfer.unstored.get(&index).cloned() {
            return self.on_loaded(blob, peer, index, Ok(chunk));
        }
        if let Some(chunk) = transfer.reading.take(index) {
            return self.serve_loaded(blob, peer, index, Ok(chunk));
        }
        let upcoming = transfer.swarm.upcoming(peer, READ_BATCH);
        let batch = transfer.reading.wait(peer, index, upcoming.into_iter());
        if batch.is_empty() {
            return;
        }
        let (store, row) = (self.store.clone(), transfer.row);
        self.spawn(async move {
            let results = store.chunks(row, &batch).await;
            Event::Loaded {
                blob,
                loads: batch.into_iter().zip(results).collect(),
            }
        });
    }

    /// One of the chunks of a read: for those whose turn it is, or for later.
    pub(super) fn on_read(
        &mut self,
        blob: BlobHash,
        index: ChunkIndex,
        result: Result<StoredChunk, StoreError>,
    ) {
        let Some(transfer) = self.transfers.get_mut(&blob) else {
            return;
        };
        let mut peers = transfer.reading.arrived(index).into_iter();
        let first = peers.next();
        match (result, first) {
            // What could not be read ahead is read again, and seen to, when it is its turn.
            (Err(_), None) => {}
            (Ok(chunk), None) => transfer.reading.keep(chunk),
            (result, Some(first)) => {
                if let Ok(chunk) = &result
                    && !peers.as_slice().is_empty()
                {
                    transfer.reading.keep(chunk.clone());
                }
                self.serve_loaded(blob, first, index, result);
                for peer in peers {
                    self.load_chunk(blob, peer, index);
                }
            }
        }
    }

    fn serve_loaded(
        &mut self,
        blob: BlobHash,
        peer: PeerKey,
        index: ChunkIndex,
        result: Result<StoredChunk, StoreError>,
    ) {
        if self.is_fit_to_serve(blob, &result) {
            self.on_loaded(blob, peer, index, result);
        } else {
            self.drop_chunk(blob, index, Finder::Peer(peer));
        }
    }

    pub(super) fn on_loaded(
        &mut self,
        blob: BlobHash,
        peer: PeerKey,
        index: ChunkIndex,
        result: Result<StoredChunk, StoreError>,
    ) {
        let Some(transfer) = self.transfers.get(&blob) else {
            return;
        };
        let input = match result {
            Ok(chunk) => {
                let proof = match &transfer.tree {
                    Some(tree) => tree.proof(index).unwrap_or_default(),
                    None => chunk.proof,
                };
                Input::Loaded {
                    peer,
                    index,
                    data: chunk.data,
                    proof,
                }
            }
            Err(error) => {
                rt::warning!(
                    error = error,
                    index = index,
                    "a stored chunk could not be read"
                );
                Input::LoadFailed { peer, index }
            }
        };
        self.tell_swarm(blob, input);
        self.settle_load(blob, peer, index);
    }
}
