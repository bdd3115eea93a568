//! From a stream of bytes to a stored blob: seal, hash and store chunk by chunk, never the whole file in memory.

use bytes::{Bytes, BytesMut};
use futures::future::LocalBoxFuture;
use futures::stream::FuturesUnordered;
use futures::{FutureExt, Stream, StreamExt};

use super::error::{Error, Result};
use super::meta::BlobMeta;
use super::room;
use crate::proto::share::{Sealer, ShareError, ShareHeader, ShareKey};
use crate::proto::tree::{TreeBuilder, TreeError};
use crate::proto::types::{BlobHash, CHUNK_SIZE, ChunkIndex};
use crate::rt;
use crate::store::{BlobRow, RowId, Store, StoreError, StoredChunk};

/// Chunks written in one transaction.
const BATCH: usize = 8;

/// Transactions under way at once: the store writes while the next batch is sealed and hashed. With [`BATCH`] this bounds
/// the memory of an import at 6 MiB of chunks.
const MAX_WRITING: usize = 2;

/// What is to be imported.
#[derive(Debug, Clone)]
pub struct ImportOptions {
    /// File name and media type.
    pub header: ShareHeader,
    /// Store it as it is: anybody who has the link without a key, or the file's hash, can read it.
    pub public: bool,
}

/// Turns content into the blob's chunks.
enum Encoder {
    Sealed(Box<Sealer>),
    Plain(BytesMut),
}

impl Encoder {
    fn push(&mut self, content: &[u8], out: &mut Vec<Bytes>) -> Result<()> {
        match self {
            Self::Sealed(sealer) => sealer.push(content, out).map_err(share_error),
            Self::Plain(pending) => {
                pending.extend_from_slice(content);
                while pending.len() > CHUNK_SIZE as usize {
                    out.push(pending.split_to(CHUNK_SIZE as usize).freeze());
                }
                Ok(())
            }
        }
    }

    fn finish(self) -> Vec<Bytes> {
        match self {
            Self::Sealed(sealer) => sealer.finish(),
            Self::Plain(pending) => vec![pending.freeze()],
        }
    }
}

/// Removes an import that was given up, also when its future is dropped.
struct Abandon<S: Store> {
    store: S,
    row: Option<RowId>,
}

impl<S: Store> Drop for Abandon<S> {
    fn drop(&mut self) {
        if let Some(row) = self.row.take() {
            let store = self.store.clone();
            rt::spawn(async move {
                if let Err(error) = store.remove(row).await {
                    tracing::debug!(%error, "an abandoned import stays until the store opens again");
                }
            });
        }
    }
}

/// What an import leaves: the row with its hash, and the description that counts.
pub(super) type Taken = (BlobRow, BlobMeta);

/// Chunks on their way into the store, in order: hashed, batched, written while the next are made. Dropping it gives the
/// import up and removes what was written.
pub(super) struct Intake<'a, S: Store, R: AsyncFn(u64) -> bool> {
    store: &'a S,
    make_room: &'a R,
    abandon: Abandon<S>,
    row: RowId,
    tree: TreeBuilder,
    batch: Vec<StoredChunk>,
    writing: FuturesUnordered<LocalBoxFuture<'a, Result<(), StoreError>>>,
    next: u32,
    first: Bytes,
}

impl<'a, S: Store, R: AsyncFn(u64) -> bool> Intake<'a, S, R> {
    pub async fn begin(store: &'a S, make_room: &'a R) -> Result<Self> {
        let row = store.begin_import().await?;
        Ok(Self {
            store,
            make_room,
            abandon: Abandon {
                store: store.clone(),
                row: Some(row),
            },
            row,
            tree: TreeBuilder::new(),
            batch: Vec::with_capacity(BATCH),
            writing: FuturesUnordered::new(),
            next: 0,
            first: Bytes::new(),
        })
    }

    /// Takes the next chunk; waits while enough is being written.
    pub async fn push(&mut self, data: Bytes) -> Result<()> {
        self.tree.push_chunk(&data).map_err(tree_error)?;
        if self.next == 0 {
            self.first = data.clone();
        }
        self.batch.push(StoredChunk {
            index: ChunkIndex(self.next),
            data,
            proof: Bytes::new(),
        });
        self.next += 1;
        if self.batch.len() == BATCH {
            if self.writing.len() == MAX_WRITING {
                self.writing.next().await.unwrap_or(Ok(()))?;
            }
            self.write();
        }
        Ok(())
    }

    /// The row that is being written.
    pub fn row(&self) -> RowId {
        self.row
    }

    /// The bytes of the first chunk.
    pub fn first(&self) -> &[u8] {
        &self.first
    }

    /// Ends the import under the hash that its bytes have, which must be `expected` if that is given.
    pub async fn finish(mut self, expected: Option<BlobHash>, meta: BlobMeta) -> Result<Taken> {
        self.write();
        while let Some(result) = self.writing.next().await {
            result?;
        }
        let tree = self.tree.finish();
        if expected.is_some_and(|expected| expected != tree.root()) {
            return Err(super::export::damaged());
        }
        let (root, size) = (tree.root(), tree.size());
        let finished = self
            .store
            .finish_import(self.row, root, size, tree.encode(), meta.encode());
        let stored = finished.await?;
        self.abandon.row = None;
        let meta = BlobMeta::decode(&stored.meta).unwrap_or(meta);
        Ok((stored, meta))
    }

    fn write(&mut self) {
        let batch = std::mem::replace(&mut self.batch, Vec::with_capacity(BATCH));
        let (store, row, make_room) = (self.store, self.row, self.make_room);
        let put = async move { room::put(store, row, batch, make_room).await };
        self.writing.push(put.boxed_local());
    }
}

/// Imports `source`. `progress` hears how many bytes of it have been taken.
///
/// Dropping the future gives the import up and removes what was written.
///
/// # Errors
/// `Source` if the source fails, `Store` if the store does; nothing of the blob remains then.
pub(super) async fn import<S: Store>(
    store: &S,
    source: impl Stream<Item = Result<Bytes, String>>,
    options: ImportOptions,
    mut progress: impl FnMut(u64),
    make_room: impl AsyncFn(u64) -> bool,
) -> Result<Taken> {
    let mut intake = Intake::begin(store, &make_room).await?;
    let key = (!options.public).then(|| ShareKey::new(rt::random()));
    let mut encoder = match &key {
        Some(key) => Encoder::Sealed(Box::new(Sealer::new(key, &options.header))),
        None => Encoder::Plain(BytesMut::new()),
    };
    let mut ready = Vec::new();
    let mut taken = 0;
    let mut source = std::pin::pin!(source.fuse());
    while let Some(content) = source.next().await {
        let content = content.map_err(Error::Source)?;
        encoder.push(&content, &mut ready)?;
        taken += content.len() as u64;
        progress(taken);
        for data in ready.drain(..) {
            intake.push(data).await?;
        }
    }
    for data in encoder.finish() {
        intake.push(data).await?;
    }
    let mut meta = BlobMeta::new(key.as_ref(), &options.header, rt::unix_millis());
    meta.content_size = Some(taken);
    intake.finish(None, meta).await
}

fn share_error(error: ShareError) -> Error {
    match error {
        ShareError::WrongKey => Error::WrongKey,
        other => Error::BadOptions(other.to_string()),
    }
}

fn tree_error(error: TreeError) -> Error {
    Error::BadOptions(error.to_string())
}
