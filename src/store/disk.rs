//! The store of a native node: one redb file, every call one transaction on a thread of its own.
//!
//! Rows, their trees and chunks are apart, so that a small change to a row does not write its tree again. What counts as used
//! is counted in the transaction that changes it. redb keeps a second process out. `docs/storage.md` has the tables.

mod kept;
mod row;

use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use redb::{Builder, Database, Durability, ReadTransaction, ReadableTable, WriteTransaction};

use self::row::{CHUNKS, COUNTERS, ENDS, HASHES, ROWS, TREES, VALUES};
use super::{BlobRow, Kept, Result, RowId, SmallBlob, Store, StoreError, StoredChunk, Usage};
use crate::proto::types::{BlobHash, BlobSize, ChunkIndex};

/// Version of the layout; a newer one is refused. Version 1 had nothing that is kept for others, version 2 no chunks in two pieces: the
/// tables that they lack are made as they are opened, and what they have stays as it is.
const SCHEMA: u64 = 3;

/// Bytes of the file that redb keeps in memory, a tenth of them for what is to be written. Its own default of 1 GiB fills as a large
/// site is published, and the system keeps the file's pages besides; a batch of chunks has some 4 MiB.
const CACHE: usize = 64 << 20;

/// Name of the counter that holds it.
const SCHEMA_KEY: &str = "schema";

/// A store in one file; clones share it.
#[derive(Clone)]
pub struct DiskStore {
    database: Arc<Mutex<Option<Arc<Database>>>>,
}

impl std::fmt::Debug for DiskStore {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("DiskStore").finish_non_exhaustive()
    }
}

impl DiskStore {
    /// Opens the store in the file `path`, made if it is not there, its folder too. Imports that never ended are removed.
    ///
    /// # Errors
    /// `Busy` if another process has it, `Newer`, `Backend` if it cannot be read.
    pub async fn open(path: &Path) -> Result<Self> {
        let path = path.to_owned();
        let opened = tokio::task::spawn_blocking(move || {
            if let Some(folder) = path.parent() {
                std::fs::create_dir_all(folder).map_err(failed)?;
            }
            let opened = Builder::new().set_cache_size(CACHE).create(&path);
            let database = opened.map_err(|error| match error {
                redb::DatabaseError::DatabaseAlreadyOpen => StoreError::Busy,
                other => failed(other),
            })?;
            let tx = database.begin_write().map_err(failed)?;
            prepare(&tx)?;
            tx.commit().map_err(failed)?;
            Ok(database)
        });
        let database = opened.await.map_err(failed)??;
        Ok(Self {
            database: Arc::new(Mutex::new(Some(Arc::new(database)))),
        })
    }

    fn database(&self) -> Result<Arc<Database>> {
        let database = self.database.lock().unwrap_or_else(PoisonError::into_inner);
        database
            .clone()
            .ok_or_else(|| StoreError::Backend("the store is closed".into()))
    }

    async fn read<T: Send + 'static>(
        &self,
        body: impl FnOnce(&ReadTransaction) -> Result<T> + Send + 'static,
    ) -> Result<T> {
        let database = self.database()?;
        let run = move || body(&database.begin_read().map_err(failed)?);
        tokio::task::spawn_blocking(run).await.map_err(failed)?
    }

    /// Runs `body` and commits; an error leaves nothing behind. It runs to its end even if nobody waits for it any more.
    async fn write<T: Send + 'static>(
        &self,
        body: impl FnOnce(&WriteTransaction) -> Result<T> + Send + 'static,
    ) -> Result<T> {
        self.write_with(Durability::Immediate, body).await
    }

    /// The same for what is worth nothing before a later write, with which it reaches the disk: an empty row, a size that the last
    /// chunk proves again. To wait for the disk each time would cost more than writing a small file.
    async fn write_soon<T: Send + 'static>(
        &self,
        body: impl FnOnce(&WriteTransaction) -> Result<T> + Send + 'static,
    ) -> Result<T> {
        self.write_with(Durability::None, body).await
    }

    async fn write_with<T: Send + 'static>(
        &self,
        durability: Durability,
        body: impl FnOnce(&WriteTransaction) -> Result<T> + Send + 'static,
    ) -> Result<T> {
        let database = self.database()?;
        let run = move || {
            let mut tx = database.begin_write().map_err(failed)?;
            tx.set_durability(durability);
            let done = body(&tx)?;
            tx.commit().map_err(failed)?;
            Ok(done)
        };
        tokio::task::spawn_blocking(run).await.map_err(failed)?
    }

    async fn change(
        &self,
        id: RowId,
        change: impl FnOnce(&mut BlobRow) + Send + 'static,
    ) -> Result<()> {
        self.write(move |tx| {
            let mut row = row::get(tx, id)?;
            change(&mut row);
            row::put(tx, &row)
        })
        .await
    }
}

impl Store for DiskStore {
    async fn rows(&self) -> Result<Vec<BlobRow>> {
        self.read(|tx| {
            let table = tx.open_table(ROWS).map_err(failed)?;
            let trees = tx.open_table(TREES).map_err(failed)?;
            let mut rows = Vec::new();
            for entry in table.iter().map_err(failed)? {
                let (id, stored) = entry.map_err(failed)?;
                let mut row = row::decode(RowId(id.value()), stored.value())?;
                if row.hash.is_some() {
                    row.tree = row::tree(&trees, row.id)?;
                    rows.push(row);
                }
            }
            Ok(rows)
        })
        .await
    }

    async fn row_of(&self, hash: BlobHash) -> Result<Option<BlobRow>> {
        self.read(move |tx| {
            let found = tx.open_table(HASHES).map_err(failed)?;
            let Some(id) = found.get(&hash.0).map_err(failed)? else {
                return Ok(None);
            };
            let id = RowId(id.value());
            let rows = tx.open_table(ROWS).map_err(failed)?;
            let Some(stored) = rows.get(id.0).map_err(failed)? else {
                return Ok(None);
            };
            let mut row = row::decode(id, stored.value())?;
            row.tree = row::tree(&tx.open_table(TREES).map_err(failed)?, id)?;
            Ok(Some(row))
        })
        .await
    }

    async fn create(&self, hash: BlobHash, meta: Bytes) -> Result<BlobRow> {
        self.write_soon(move |tx| match row::find(tx, hash)? {
            Some(row) => Ok(row),
            None => row::add(tx, Some(hash), meta),
        })
        .await
    }

    async fn begin_import(&self) -> Result<RowId> {
        self.write_soon(|tx| Ok(row::add(tx, None, Bytes::new())?.id))
            .await
    }

    async fn finish_import(
        &self,
        id: RowId,
        hash: BlobHash,
        size: BlobSize,
        tree: Bytes,
        meta: Bytes,
    ) -> Result<BlobRow> {
        self.write(move |tx| row::finish(tx, id, hash, size, tree, meta))
            .await
    }

    async fn put_small(&self, blobs: Vec<SmallBlob>) -> Result<Vec<BlobRow>> {
        self.write(move |tx| {
            let mut rows = Vec::with_capacity(blobs.len());
            for blob in blobs {
                let size = BlobSize::new(blob.data.len() as u64).ok_or(StoreError::NotFound)?;
                let id = row::add(tx, None, Bytes::new())?.id;
                let chunk = StoredChunk {
                    index: ChunkIndex(0),
                    data: blob.data,
                    proof: Bytes::new(),
                };
                row::put_chunks(tx, id, vec![chunk])?;
                let mut row = row::finish(tx, id, blob.hash, size, blob.tree, blob.meta)?;
                if blob.pinned && !row.pinned {
                    row.pinned = true;
                    row::put(tx, &row)?;
                }
                rows.push(row);
            }
            Ok(rows)
        })
        .await
    }

    async fn set_size(&self, id: RowId, size: BlobSize) -> Result<()> {
        self.write_soon(move |tx| {
            let mut row = row::get(tx, id)?;
            row.size = Some(size);
            row::put(tx, &row)
        })
        .await
    }

    async fn set_meta(&self, id: RowId, meta: Bytes) -> Result<()> {
        self.change(id, move |row| row.meta = meta).await
    }

    async fn set_pinned(&self, id: RowId, pinned: bool) -> Result<()> {
        self.change(id, move |row| row.pinned = pinned).await
    }

    async fn set_all_pinned(&self, ids: Vec<RowId>, pinned: bool) -> Result<()> {
        if ids.is_empty() {
            return Ok(());
        }
        self.write(move |tx| {
            for id in ids {
                match row::get(tx, id) {
                    Ok(mut row) => {
                        row.pinned = pinned;
                        row::put(tx, &row)?;
                    }
                    Err(StoreError::NotFound) => {}
                    Err(error) => return Err(error),
                }
            }
            Ok(())
        })
        .await
    }

    async fn put_chunks(&self, id: RowId, chunks: Vec<StoredChunk>) -> Result<()> {
        self.write(move |tx| row::put_chunks(tx, id, chunks)).await
    }

    async fn chunk(&self, id: RowId, index: ChunkIndex) -> Result<StoredChunk> {
        let mut chunks = self.chunks(id, &[index]).await;
        chunks.pop().unwrap_or(Err(StoreError::NotFound))
    }

    async fn chunks(&self, id: RowId, indexes: &[ChunkIndex]) -> Vec<Result<StoredChunk>> {
        let wanted = indexes.to_vec();
        let read = self
            .read(move |tx| {
                let chunks = tx.open_table(CHUNKS).map_err(failed)?;
                let ends = tx.open_table(ENDS).map_err(failed)?;
                let read = |index: ChunkIndex| {
                    row::chunk(&chunks, &ends, id, index)?.ok_or(StoreError::NotFound)
                };
                Ok(wanted.into_iter().map(read).collect())
            })
            .await;
        match read {
            Ok(chunks) => chunks,
            // The transaction failed as a whole; each reader is told, in words.
            Err(error) => {
                let words = error.to_string();
                let failed = |_: &ChunkIndex| Err(StoreError::Backend(words.clone()));
                indexes.iter().map(failed).collect()
            }
        }
    }

    async fn stored_chunks(&self, id: RowId) -> Result<Vec<ChunkIndex>> {
        self.read(move |tx| {
            let rows = tx.open_table(ROWS).map_err(failed)?;
            if rows.get(id.0).map_err(failed)?.is_none() {
                return Err(StoreError::NotFound);
            }
            row::indexes(&tx.open_table(CHUNKS).map_err(failed)?, id)
        })
        .await
    }

    async fn remove_chunks(&self, id: RowId, chunks: Vec<ChunkIndex>) -> Result<()> {
        self.write(move |tx| {
            let mut row = row::get(tx, id)?;
            let removed = row::remove_chunks(tx, id, &chunks)?;
            row.stored_bytes = row.stored_bytes.saturating_sub(removed);
            row::put(tx, &row)
        })
        .await
    }

    async fn remove(&self, id: RowId) -> Result<()> {
        self.write(move |tx| {
            let row = row::get(tx, id)?;
            row::remove(tx, &row)
        })
        .await
    }

    async fn put_kept(&self, kept: Kept) -> Result<()> {
        self.write(move |tx| kept::put(tx, &kept)).await
    }

    async fn kept_heads(&self) -> Result<Vec<([u8; 32], Bytes)>> {
        self.read(kept::heads).await
    }

    async fn kept_body(&self, key: [u8; 32]) -> Result<Bytes> {
        self.read(move |tx| {
            let bodies = tx.open_table(kept::BODIES).map_err(failed)?;
            let body = bodies.get(&key).map_err(failed)?;
            let body = body.ok_or(StoreError::NotFound)?;
            Ok(Bytes::copy_from_slice(body.value()))
        })
        .await
    }

    async fn remove_kept(&self, keys: Vec<[u8; 32]>) -> Result<()> {
        self.write(move |tx| kept::remove(tx, &keys)).await
    }

    async fn usage(&self) -> Result<Usage> {
        self.read(|tx| {
            let counters = tx.open_table(COUNTERS).map_err(failed)?;
            let count = |name| {
                Ok(counters
                    .get(name)
                    .map_err(failed)?
                    .map(|count| count.value()))
            };
            Ok(Usage {
                used: count(row::USED)?.unwrap_or_default(),
                quota: count(row::CAP)?.unwrap_or(u64::MAX),
            })
        })
        .await
    }

    async fn set_quota(&self, bytes: u64) -> Result<()> {
        self.write(move |tx| row::set_counter(tx, row::CAP, bytes))
            .await
    }

    async fn value(&self, name: &str) -> Result<Option<Bytes>> {
        let name = name.to_owned();
        self.read(move |tx| {
            let values = tx.open_table(VALUES).map_err(failed)?;
            let value = values.get(name.as_str()).map_err(failed)?;
            Ok(value.map(|value| Bytes::copy_from_slice(value.value())))
        })
        .await
    }

    async fn set_value(&self, name: &str, value: Option<Bytes>) -> Result<()> {
        let name = name.to_owned();
        self.write(move |tx| {
            let mut values = tx.open_table(VALUES).map_err(failed)?;
            match value {
                Some(value) => values.insert(name.as_str(), &value[..]),
                None => values.remove(name.as_str()),
            }
            .map_err(failed)?;
            Ok(())
        })
        .await
    }

    async fn close(&self) {
        // What was left for a later write reaches the disk with this one.
        let _ = self.write(|_| Ok(())).await;
        let database = self
            .database
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take();
        // The file is let go of when the last transaction has ended; closing it may write.
        let _ = tokio::task::spawn_blocking(move || drop(database)).await;
    }
}

#[cfg(feature = "mail")]
impl super::shelf::Shelf for DiskStore {
    async fn values(&self, prefix: &str) -> Result<Vec<(String, Bytes)>> {
        let prefix = prefix.to_owned();
        self.read(move |tx| {
            let values = tx.open_table(VALUES).map_err(failed)?;
            let mut alike = Vec::new();
            for entry in values.range(prefix.as_str()..).map_err(failed)? {
                let (name, value) = entry.map_err(failed)?;
                if !name.value().starts_with(&prefix) {
                    break;
                }
                let value = Bytes::copy_from_slice(value.value());
                alike.push((name.value().to_owned(), value));
            }
            Ok(alike)
        })
        .await
    }

    async fn set_values(&self, values: Vec<(String, Option<Bytes>)>) -> Result<()> {
        self.write(move |tx| {
            let mut table = tx.open_table(VALUES).map_err(failed)?;
            for (name, value) in values {
                match value {
                    Some(value) => table.insert(name.as_str(), &value[..]),
                    None => table.remove(name.as_str()),
                }
                .map_err(failed)?;
            }
            Ok(())
        })
        .await
    }
}

/// Makes the tables, checks the version, removes imports that never ended.
fn prepare(tx: &WriteTransaction) -> Result<()> {
    let found = row::counter(tx, SCHEMA_KEY)?;
    match found {
        None | Some(1 | 2) => row::set_counter(tx, SCHEMA_KEY, SCHEMA)?,
        Some(SCHEMA) => {}
        Some(other) => {
            return Err(StoreError::Newer {
                found: u32::try_from(other).unwrap_or(u32::MAX),
                known: SCHEMA as u32,
            });
        }
    }
    tx.open_table(HASHES).map_err(failed)?;
    tx.open_table(VALUES).map_err(failed)?;
    tx.open_table(TREES).map_err(failed)?;
    tx.open_table(CHUNKS).map_err(failed)?;
    tx.open_table(ENDS).map_err(failed)?;
    tx.open_table(kept::HEADS).map_err(failed)?;
    tx.open_table(kept::BODIES).map_err(failed)?;
    let mut unended = Vec::new();
    let rows = tx.open_table(ROWS).map_err(failed)?;
    for entry in rows.iter().map_err(failed)? {
        let (id, stored) = entry.map_err(failed)?;
        let row = row::decode(RowId(id.value()), stored.value())?;
        if row.hash.is_none() {
            unended.push(row);
        }
    }
    drop(rows);
    unended.iter().try_for_each(|row| row::remove(tx, row))
}

/// The backend's own words, or that the disk is full.
fn failed(error: impl Into<DiskError>) -> StoreError {
    match error.into() {
        DiskError::Redb(redb::Error::Io(error)) | DiskError::Io(error)
            if error.kind() == std::io::ErrorKind::StorageFull =>
        {
            StoreError::QuotaExceeded
        }
        other => StoreError::Backend(other.to_string()),
    }
}

/// What can fail below the store.
#[derive(Debug, thiserror::Error)]
enum DiskError {
    #[error(transparent)]
    Redb(redb::Error),
    #[error(transparent)]
    Io(#[from] std::io::Error),
    #[error(transparent)]
    Task(#[from] tokio::task::JoinError),
    #[error("a record of the store cannot be read")]
    Damaged,
}

macro_rules! from_redb {
    ($($error:ident)*) => {
        $(impl From<redb::$error> for DiskError {
            fn from(error: redb::$error) -> Self {
                Self::Redb(error.into())
            }
        })*
    };
}
from_redb!(DatabaseError TransactionError TableError StorageError CommitError);
