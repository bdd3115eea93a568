//! Where verified chunks rest: one trait, one file per backend.
//!
//! The store is dumb on purpose. It keeps rows, chunks and small values durable and consistent; what a hash, a proof or
//! a key means is decided in `proto`. Everything written through it has been verified by the caller.

use std::fmt;

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use crate::proto::types::{BlobHash, BlobSize, ChunkIndex};

#[cfg(any(test, feature = "test-utils"))]
pub mod conformance;
#[cfg(all(feature = "relay", not(target_arch = "wasm32")))]
pub mod disk;
#[cfg(all(feature = "node", target_arch = "wasm32"))]
pub mod indexed_db;
pub mod memory;
#[cfg(feature = "mail")]
pub mod shelf;

/// The handle of one blob's row in this store, never reused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct RowId(pub u64);

/// One chunk as it is stored: the bytes of the blob, and the proof that they belong to it.
#[derive(Clone, PartialEq, Eq)]
pub struct StoredChunk {
    /// Position in the blob.
    pub index: ChunkIndex,
    /// The chunk's bytes, at most `CHUNK_SIZE`.
    pub data: Bytes,
    /// The sibling hashes up to the root as `proto::tree` encodes them; empty where the row holds the whole tree.
    pub proof: Bytes,
}

impl fmt::Debug for StoredChunk {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "StoredChunk({}, {} + {} bytes)",
            self.index,
            self.data.len(),
            self.proof.len()
        )
    }
}

/// What the store knows of a blob.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BlobRow {
    /// Handle for chunk reads and writes.
    pub id: RowId,
    /// The blob's hash; `None` while an import has not reached its end.
    pub hash: Option<BlobHash>,
    /// The proved size; `None` until the last chunk is verified or the import has ended.
    pub size: Option<BlobSize>,
    /// The chunk hashes of the whole blob, as `proto::tree` encodes them; empty for a blob that was fetched.
    pub tree: Bytes,
    /// Kept on purpose: never evicted.
    pub pinned: bool,
    /// What the node wants to remember of this blob (name, key, when added): opaque here.
    pub meta: Bytes,
    /// Bytes of chunk data durable under this row.
    pub stored_bytes: u64,
}

/// A blob of one chunk, ready to be kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SmallBlob {
    /// Its hash.
    pub hash: BlobHash,
    /// All its bytes, at most `CHUNK_SIZE`.
    pub data: Bytes,
    /// Its tree, as for [`Store::finish_import`].
    pub tree: Bytes,
    /// What the node wants to remember of it.
    pub meta: Bytes,
    /// Kept on purpose.
    pub pinned: bool,
}

/// Something small that is kept for others; what it is only the node knows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Kept {
    /// Under which it is found.
    pub key: [u8; 32],
    /// What is read of all of them when a node starts.
    pub head: Bytes,
    /// The rest.
    pub body: Bytes,
}

impl Kept {
    /// Bytes that count as used.
    pub fn len(&self) -> u64 {
        (self.head.len() + self.body.len()) as u64
    }

    /// Whether it has none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// Bytes in use and allowed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Usage {
    /// Bytes of chunk data and of what is kept for others.
    pub used: u64,
    /// Bytes it may hold: the smaller of the person's cap and what the platform offers.
    pub quota: u64,
}

/// Why the store could not do it.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StoreError {
    /// The platform or the person's cap leaves no room; nothing of the batch was written.
    #[error("storage is full")]
    QuotaExceeded,
    /// Another tab of this origin owns the database.
    #[error("the store is open in another tab")]
    Busy,
    /// The database was written by a newer version of Gyre.
    #[error("the store has schema version {found}, this version knows {known}")]
    Newer {
        /// Version found on disk.
        found: u32,
        /// Highest version this code can read.
        known: u32,
    },
    /// No such row or chunk.
    #[error("not in the store")]
    NotFound,
    /// The backend failed; the text is the platform's.
    #[error("the store failed: {0}")]
    Backend(String),
}

/// Result of a store call.
pub type Result<T, E = StoreError> = std::result::Result<T, E>;

/// A durable home for chunks and a few small values. Every write is atomic: after a crash it happened or it did not.
///
/// Futures are not `Send`: in the page everything lives on one thread, and natively the node runs on a `LocalSet`.
#[allow(async_fn_in_trait)]
pub trait Store: Clone + 'static {
    /// All rows, imports that never ended excluded: those are removed when the store opens.
    async fn rows(&self) -> Result<Vec<BlobRow>>;

    /// The row of a blob, if there is one.
    async fn row_of(&self, hash: BlobHash) -> Result<Option<BlobRow>>;

    /// Starts a row for a blob whose hash is known (a fetch). Returns the present row if there already is one.
    async fn create(&self, hash: BlobHash, meta: Bytes) -> Result<BlobRow>;

    /// Starts a row for an import, whose hash is known only at its end.
    async fn begin_import(&self) -> Result<RowId>;

    /// Gives an import its hash, size, tree and metadata, durably. If the blob is there already and complete, the
    /// import's chunks are removed and the present row is returned; an incomplete present row is replaced.
    async fn finish_import(
        &self,
        id: RowId,
        hash: BlobHash,
        size: BlobSize,
        tree: Bytes,
        meta: Bytes,
    ) -> Result<BlobRow>;

    /// Keeps whole blobs in one transaction, where that saves something: a site has thousands of small files. Of a blob that is
    /// there already and complete only the pin is set, never taken away; an incomplete one is replaced. The rows come in the
    /// order of `blobs`.
    ///
    /// # Errors
    /// `QuotaExceeded` if they do not fit; then, or after any other error, those before it may have been kept.
    async fn put_small(&self, blobs: Vec<SmallBlob>) -> Result<Vec<BlobRow>> {
        let mut rows = Vec::with_capacity(blobs.len());
        for blob in blobs {
            let id = self.begin_import().await?;
            let size = BlobSize::new(blob.data.len() as u64).ok_or(StoreError::NotFound)?;
            let chunk = StoredChunk {
                index: ChunkIndex(0),
                data: blob.data,
                proof: Bytes::new(),
            };
            if let Err(error) = self.put_chunks(id, vec![chunk]).await {
                self.remove(id).await?;
                return Err(error);
            }
            let finished = self.finish_import(id, blob.hash, size, blob.tree, blob.meta);
            let mut row = finished.await?;
            if blob.pinned && !row.pinned {
                self.set_pinned(row.id, true).await?;
                row.pinned = true;
            }
            rows.push(row);
        }
        Ok(rows)
    }

    /// Records the proved size of a fetched blob.
    async fn set_size(&self, id: RowId, size: BlobSize) -> Result<()>;

    /// Replaces what the node remembers of this blob.
    async fn set_meta(&self, id: RowId, meta: Bytes) -> Result<()>;

    /// Marks a row as kept on purpose, or not.
    async fn set_pinned(&self, id: RowId, pinned: bool) -> Result<()>;

    /// The same for many rows; those that are gone are left out.
    async fn set_all_pinned(&self, ids: Vec<RowId>, pinned: bool) -> Result<()> {
        for id in ids {
            match self.set_pinned(id, pinned).await {
                Ok(()) | Err(StoreError::NotFound) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    /// Writes chunks in one transaction. A chunk that is there already is left as it is.
    ///
    /// # Errors
    /// `QuotaExceeded` if they do not fit, `NotFound` if the row is gone; then none of them was written.
    async fn put_chunks(&self, id: RowId, chunks: Vec<StoredChunk>) -> Result<()>;

    /// Reads one chunk.
    ///
    /// # Errors
    /// `NotFound` if it is not stored.
    async fn chunk(&self, id: RowId, index: ChunkIndex) -> Result<StoredChunk>;

    /// Reads several chunks, each with its own result, in the order asked for. A backend in which a transaction costs
    /// something reads them in one.
    async fn chunks(&self, id: RowId, indexes: &[ChunkIndex]) -> Vec<Result<StoredChunk>> {
        let mut chunks = Vec::with_capacity(indexes.len());
        for index in indexes {
            chunks.push(self.chunk(id, *index).await);
        }
        chunks
    }

    /// Which chunks of the row are stored, in ascending order.
    async fn stored_chunks(&self, id: RowId) -> Result<Vec<ChunkIndex>>;

    /// Removes these chunks of a row, as far as they are there, in one transaction.
    ///
    /// # Errors
    /// `NotFound` if the row is gone.
    async fn remove_chunks(&self, id: RowId, chunks: Vec<ChunkIndex>) -> Result<()>;

    /// Removes a row and all its chunks.
    async fn remove(&self, id: RowId) -> Result<()>;

    /// Keeps something for others; what stood under its key makes way.
    ///
    /// # Errors
    /// `QuotaExceeded` if it does not fit; then nothing was written.
    async fn put_kept(&self, kept: Kept) -> Result<()>;

    /// Key and head of all that is kept for others, in the order of the keys.
    async fn kept_heads(&self) -> Result<Vec<([u8; 32], Bytes)>>;

    /// The body of what is kept under a key.
    ///
    /// # Errors
    /// `NotFound`.
    async fn kept_body(&self, key: [u8; 32]) -> Result<Bytes>;

    /// Removes what is kept under these keys, as far as it is there.
    async fn remove_kept(&self, keys: Vec<[u8; 32]>) -> Result<()>;

    /// Bytes used and allowed.
    async fn usage(&self) -> Result<Usage>;

    /// Sets the person's cap in bytes; it bounds later writes and removes nothing.
    async fn set_quota(&self, bytes: u64) -> Result<()>;

    /// Reads a small named value (the identity key, settings).
    async fn value(&self, name: &str) -> Result<Option<Bytes>>;

    /// Writes a small named value; `None` removes it.
    async fn set_value(&self, name: &str, value: Option<Bytes>) -> Result<()>;

    /// Lets go of the database and of its lock; later calls fail.
    async fn close(&self);
}
