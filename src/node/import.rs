//! From a stream of bytes to a stored blob: seal, hash and store chunk by chunk, never the whole file in memory.

use bytes::{Bytes, BytesMut};
use futures::stream::FuturesUnordered;
use futures::{Stream, StreamExt};

use super::error::{Error, Result};
use super::meta::BlobMeta;
use crate::proto::share::{Sealer, ShareError, ShareHeader, ShareKey};
use crate::proto::tree::{TreeBuilder, TreeError};
use crate::proto::types::{CHUNK_SIZE, ChunkIndex};
use crate::rt;
use crate::store::{BlobRow, RowId, Store, StoredChunk};

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
) -> Result<(BlobRow, BlobMeta)> {
    let row = store.begin_import().await?;
    let mut abandon = Abandon {
        store: store.clone(),
        row: Some(row),
    };
    let key = (!options.public).then(|| ShareKey::new(rt::random()));
    let mut encoder = match &key {
        Some(key) => Encoder::Sealed(Box::new(Sealer::new(key, &options.header))),
        None => Encoder::Plain(BytesMut::new()),
    };
    let mut tree = TreeBuilder::new();
    let mut batch = Vec::with_capacity(BATCH);
    let mut writing = FuturesUnordered::new();
    let mut ready = Vec::new();
    let mut next = 0;
    let mut taken = 0;
    let mut source = std::pin::pin!(source.fuse());
    let mut more = true;
    while more {
        match source.next().await {
            Some(content) => {
                let content = content.map_err(Error::Source)?;
                encoder.push(&content, &mut ready)?;
                taken += content.len() as u64;
                progress(taken);
            }
            None => {
                let last = std::mem::replace(&mut encoder, Encoder::Plain(BytesMut::new()));
                ready.extend(last.finish());
                more = false;
            }
        }
        for data in ready.drain(..) {
            tree.push_chunk(&data).map_err(tree_error)?;
            batch.push(StoredChunk {
                index: ChunkIndex(next),
                data,
                proof: Bytes::new(),
            });
            next += 1;
            if batch.len() == BATCH {
                if writing.len() == MAX_WRITING {
                    writing.next().await.unwrap_or(Ok(()))?;
                }
                let full = std::mem::replace(&mut batch, Vec::with_capacity(BATCH));
                writing.push(store.put_chunks(row, full));
            }
        }
    }
    writing.push(store.put_chunks(row, batch));
    while let Some(result) = writing.next().await {
        result?;
    }
    let tree = tree.finish();
    let mut meta = BlobMeta::new(key.as_ref(), &options.header, rt::unix_millis());
    meta.content_size = Some(taken);
    let stored = store
        .finish_import(row, tree.root(), tree.size(), tree.encode(), meta.encode())
        .await?;
    abandon.row = None;
    let meta = BlobMeta::decode(&stored.meta).unwrap_or(meta);
    Ok((stored, meta))
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
