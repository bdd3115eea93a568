//! Chunks that are no longer what was verified: a disk may rot, and a store may lose a record.
//!
//! Every chunk is checked against its proof when it is read, for a person or for a peer. One that does not lead to the
//! blob's hash any more is removed and fetched again like any other that is missing; nobody is sent it.

use futures::channel::oneshot;

use super::{Event, EventLoop};
use crate::node::transfer::Transfer;
use crate::proto::swarm::Input;
use crate::proto::tree;
use crate::proto::types::{BlobHash, ChunkIndex, PeerKey};
use crate::rt;
use crate::store::{Store, StoreError, StoredChunk};

/// Who noticed.
#[derive(Debug)]
pub(in crate::node) enum Finder {
    /// It was to be served.
    Peer(PeerKey),
    /// It was to be read; answered when it is out of the store.
    Reader(oneshot::Sender<Option<StoredChunk>>),
}

/// A key that no peer has.
const NOBODY: PeerKey = PeerKey(u64::MAX);

impl<S: Store> EventLoop<S> {
    /// Hands a chunk that was read back if it is whole; else sees to it that it is fetched again.
    pub(super) fn check(
        &mut self,
        blob: BlobHash,
        index: ChunkIndex,
        chunk: Option<StoredChunk>,
        reply: oneshot::Sender<Option<StoredChunk>>,
    ) {
        let Some(transfer) = self.transfers.get_mut(&blob) else {
            let _ = reply.send(chunk);
            return;
        };
        transfer.touch();
        match chunk.filter(|chunk| is_whole(transfer, chunk)) {
            Some(chunk) => drop(reply.send(Some(chunk))),
            None => self.drop_chunk(blob, index, Finder::Reader(reply)),
        }
    }

    /// Whether what was read for a peer may be sent to it.
    pub(super) fn is_fit_to_serve(
        &self,
        blob: BlobHash,
        result: &Result<StoredChunk, StoreError>,
    ) -> bool {
        match (self.transfers.get(&blob), result) {
            (Some(transfer), Ok(chunk)) => is_whole(transfer, chunk),
            (_, Err(StoreError::NotFound)) => false,
            // Not the chunk's fault.
            _ => true,
        }
    }

    pub(super) fn drop_chunk(&mut self, blob: BlobHash, index: ChunkIndex, finder: Finder) {
        let Some(transfer) = self.transfers.get(&blob) else {
            return;
        };
        rt::warning!(
            index = index,
            "a stored chunk is damaged: fetching it again"
        );
        let (store, row) = (self.store.clone(), transfer.row);
        self.spawn(async move {
            // First out of the store, then wanted again: what is there is never overwritten.
            if let Err(error) = store.remove_chunks(row, vec![index]).await {
                rt::warning!(error = error, "a damaged chunk could not be removed");
            }
            Event::Dropped {
                blob,
                index,
                finder,
            }
        });
    }

    pub(super) fn on_dropped(&mut self, blob: BlobHash, index: ChunkIndex, finder: Finder) {
        let (peer, reader) = match finder {
            Finder::Peer(peer) => (peer, None),
            Finder::Reader(reply) => (NOBODY, Some(reply)),
        };
        self.tell_swarm(blob, Input::LoadFailed { peer, index });
        self.settle_load(blob, peer, index);
        self.set_wanted(blob);
        let sources = self.transfers.get(&blob).map(|t| t.meta.sources());
        self.set_sources(blob, sources.unwrap_or_default());
        self.usage_stale = true;
        self.urgent = true;
        if let Some(reply) = reader {
            let _ = reply.send(None);
        }
    }
}

fn is_whole(transfer: &Transfer, chunk: &StoredChunk) -> bool {
    let Some(size) = transfer.swarm.progress().size else {
        return true; // Nothing can be said yet, and nothing is served.
    };
    let proof = match &transfer.tree {
        Some(tree) => tree.proof(chunk.index).unwrap_or_default(),
        None => chunk.proof.clone(),
    };
    tree::verify_chunk(transfer.blob, size, chunk.index, &chunk.data, &proof).is_ok()
}
