//! The store in IndexedDB: what a tab keeps between visits.
//!
//! One database per name, owned by one tab at a time through a Web Lock. Every write is one readwrite transaction over
//! all object stores, so that chunks and the bookkeeping about them change together or not at all, and the next write
//! sees its result. Every transaction runs in a task of its own: a caller that goes away midway neither cuts a batch in
//! two nor leaves a transaction open. Nothing but IndexedDB is awaited inside of one, because the platform commits a
//! transaction that has nothing to do. The data of larger chunks lies in files of the origin, where it has such. `docs/storage.md` has the schema and what "stored" means here.

use std::cell::{Cell, RefCell};
use std::future::Future;
use std::rc::Rc;

use bytes::Bytes;
use futures::channel::oneshot;
use futures::future::join3;
use futures::lock::Mutex;
use js_sys::{Reflect, Uint8Array};
use rexie::{Rexie, Transaction};
use wasm_bindgen::JsValue;

use self::data::room_for;
use self::files::{FILE_MIN, Files, Place};
use self::known::Known;
use self::lock::WebLock;
use self::quota::PlatformQuota;
use self::schema::{CHUNKS, COUNTERS, KEPT_BODIES, KEPT_HEADS, ROWS, Schema, VALUES};
use self::transaction::Step;
use super::{BlobRow, Kept, Result, RowId, SmallBlob, Store, StoreError, StoredChunk, Usage};
use crate::proto::ordered::{Map, Set};
use crate::proto::types::{BlobHash, BlobSize, ChunkIndex};
use crate::rt;

mod chunk;
mod counter;
mod data;
mod files;
mod kept;
mod known;
mod lock;
mod quota;
mod row;
pub mod schema;
mod transaction;

/// A store in the IndexedDB of this origin. Clones share it; it is let go when closed or when the last clone is dropped.
#[derive(Debug, Clone)]
pub struct IndexedDbStore {
    connection: Rc<RefCell<Option<Rc<Connection>>>>,
}

impl IndexedDbStore {
    /// Opens the database `name`, making or migrating it as needed, and removes imports that never ended.
    ///
    /// # Errors
    /// `Busy` while another tab has it open, `Newer` if a newer version of Gyre wrote it, `Backend` where the page has
    /// no IndexedDB or no Web Locks (a page that is neither https nor on localhost has none).
    pub async fn open(name: &str) -> Result<Self> {
        Self::open_schema(name, schema::CURRENT).await
    }

    /// Opens with another history of the schema than the current one, to test migrations.
    ///
    /// # Errors
    /// As [`IndexedDbStore::open`], and what a migration returns.
    #[cfg(feature = "test-utils")]
    pub async fn open_with(name: &str, schema: Schema) -> Result<Self> {
        Self::open_schema(name, schema).await
    }

    async fn open_schema(name: &str, schema: Schema) -> Result<Self> {
        let name = name.to_owned();
        detached(async move {
            let lock = WebLock::acquire(&format!("gyre-store:{name}")).await?;
            let database = match schema.open(&name).await {
                Ok(database) => database,
                Err(error) => {
                    // Waited for, so that whoever is told of the failure can try again at once.
                    lock.release().await;
                    return Err(error);
                }
            };
            let connection = Connection {
                name,
                files: Mutex::default(),
                known: Known::default(),
                room: Cell::new(0),
                database: Some(database),
                lock: Some(lock),
                closing: RefCell::default(),
                platform: PlatformQuota::default(),
            };
            Ok(Self {
                connection: Rc::new(RefCell::new(Some(Rc::new(connection)))),
            })
        })
        .await
    }

    fn connection(&self) -> Result<Rc<Connection>> {
        let connection = self.connection.borrow().clone();
        connection.ok_or_else(|| StoreError::Backend("the store is closed".into()))
    }

    async fn read<T: 'static>(
        &self,
        stores: &'static [&'static str],
        body: impl AsyncFnOnce(&Transaction) -> Result<T> + 'static,
    ) -> Result<T> {
        let connection = self.connection()?;
        detached(async move { transaction::read(connection.database(), stores, body).await }).await
    }

    async fn write<T: 'static>(
        &self,
        body: impl AsyncFnOnce(&Transaction) -> Result<T> + 'static,
    ) -> Result<T> {
        let connection = self.connection()?;
        detached(async move { transaction::write(connection.database(), body).await }).await
    }

    /// As [`write`](Self::write); `body` says besides which row it removed.
    async fn replace<T: 'static>(
        &self,
        body: impl AsyncFnOnce(&Transaction) -> Result<(T, Option<BlobRow>)> + 'static,
    ) -> Result<T> {
        let connection = self.connection()?;
        detached(async move {
            let (value, gone) = transaction::write(connection.database(), body).await?;
            if let Some(row) = &gone {
                connection.known.forget(row.id);
            }
            if let Some(row) = gone.filter(|row| row.stored_bytes >= FILE_MIN as u64)
                && let Some(files) = connection.files().await
            {
                // What cannot be removed now is at the next start.
                files.remove(row.id).await.ok();
            }
            Ok(value)
        })
        .await
    }

    /// Changes one row and nothing else.
    async fn change(&self, id: RowId, change: impl FnOnce(&mut BlobRow) + 'static) -> Result<()> {
        self.write(async move |tx| {
            let mut row = row::get(tx, id).await?;
            change(&mut row);
            row::put(tx, &row).await
        })
        .await
    }
}

impl Store for IndexedDbStore {
    async fn rows(&self) -> Result<Vec<BlobRow>> {
        let mut rows = self.read(&[ROWS], async |tx| row::all(tx).await).await?;
        rows.retain(|row| row.hash.is_some());
        Ok(rows)
    }

    async fn row_of(&self, hash: BlobHash) -> Result<Option<BlobRow>> {
        self.read(&[ROWS], async move |tx| row::find(tx, hash).await)
            .await
    }

    async fn create(&self, hash: BlobHash, meta: Bytes) -> Result<BlobRow> {
        self.write(async move |tx| match row::find(tx, hash).await? {
            Some(row) => Ok(row),
            None => row::add(tx, Some(hash), meta).await,
        })
        .await
    }

    async fn begin_import(&self) -> Result<RowId> {
        self.write(async |tx| Ok(row::add(tx, None, Bytes::new()).await?.id))
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
        self.replace(async move |tx| {
            let import = row::get(tx, id).await?;
            if import.hash.is_some() {
                return Err(StoreError::NotFound);
            }
            let (mut pinned, mut gone) = (false, None);
            if let Some(present) = row::find(tx, hash).await? {
                if is_complete(tx, &present).await? {
                    remove(tx, &import).await?;
                    return Ok((present, Some(import)));
                }
                pinned = present.pinned;
                remove(tx, &present).await?;
                gone = Some(present);
            }
            let row = BlobRow {
                hash: Some(hash),
                size: Some(size),
                tree,
                pinned,
                meta,
                ..import
            };
            row::put(tx, &row).await?;
            Ok((row, gone))
        })
        .await
    }

    async fn put_small(&self, blobs: Vec<SmallBlob>) -> Result<Vec<BlobRow>> {
        let connection = self.connection()?;
        detached(async move {
            let bytes = blobs.iter().map(|blob| blob.data.len() as u64).sum();
            let offered = connection.offered(bytes).await?;
            transaction::write(connection.database(), async |tx| {
                let mut rows = Vec::with_capacity(blobs.len());
                for blob in blobs {
                    rows.push(put_one(tx, blob, offered).await?);
                }
                Ok(rows)
            })
            .await
        })
        .await
    }

    async fn set_all_pinned(&self, ids: Vec<RowId>, pinned: bool) -> Result<()> {
        if ids.is_empty() {
            return Ok(());
        }
        self.write(async move |tx| {
            for id in ids {
                match row::get(tx, id).await {
                    Ok(mut row) => {
                        row.pinned = pinned;
                        row::put(tx, &row).await?;
                    }
                    Err(StoreError::NotFound) => {}
                    Err(error) => return Err(error),
                }
            }
            Ok(())
        })
        .await
    }

    async fn set_size(&self, id: RowId, size: BlobSize) -> Result<()> {
        self.change(id, move |row| row.size = Some(size)).await
    }

    async fn set_meta(&self, id: RowId, meta: Bytes) -> Result<()> {
        self.change(id, move |row| row.meta = meta).await
    }

    async fn set_pinned(&self, id: RowId, pinned: bool) -> Result<()> {
        self.change(id, move |row| row.pinned = pinned).await
    }

    async fn put_chunks(&self, id: RowId, chunks: Vec<StoredChunk>) -> Result<()> {
        let mut batch = Map::new();
        for chunk in chunks {
            batch.entry(chunk.index).or_insert(chunk);
        }
        let connection = self.connection()?;
        detached(async move {
            let offered = connection.offered(data_len(batch.values())).await?;
            let in_file = connection.write_files(id, &batch, offered).await?;
            let noted: Vec<_> = in_file
                .iter()
                .filter_map(|index| batch.get(index))
                .map(Place::with_proof)
                .collect();
            let written = transaction::write(connection.database(), async |tx| {
                let room = room_for(tx, id, batch, offered).await?;
                let (chunks, row, used) = join3(
                    chunk::add(tx, id, room.missing, &in_file),
                    row::put(tx, &room.row),
                    counter::put(tx, counter::USED, room.used),
                )
                .await;
                chunks.and(row).and(used)?;
                Ok(room.left)
            });
            connection.room.set(written.await?);
            for (place, proof) in noted {
                connection.known.note(id, place, proof);
            }
            Ok(())
        })
        .await
    }

    async fn chunk(&self, id: RowId, index: ChunkIndex) -> Result<StoredChunk> {
        let mut chunks = self.chunks(id, &[index]).await;
        chunks.pop().unwrap_or(Err(StoreError::NotFound))
    }

    async fn chunks(&self, id: RowId, indexes: &[ChunkIndex]) -> Vec<Result<StoredChunk>> {
        let wanted = indexes.to_vec();
        let read = async {
            let connection = self.connection()?;
            detached(async move { connection.read_chunks(id, wanted).await }).await
        };
        match read.await {
            Ok(chunks) => chunks,
            // It failed as a whole; each reader is told, in words.
            Err(error) => {
                let words = error.to_string();
                let failed = |_: &ChunkIndex| Err(StoreError::Backend(words.clone()));
                indexes.iter().map(failed).collect()
            }
        }
    }

    async fn stored_chunks(&self, id: RowId) -> Result<Vec<ChunkIndex>> {
        self.read(&[ROWS, CHUNKS], async move |tx| {
            row::get(tx, id).await?;
            chunk::indexes(tx, id).await
        })
        .await
    }

    async fn remove_chunks(&self, id: RowId, chunks: Vec<ChunkIndex>) -> Result<()> {
        // Before and after: a read that runs meanwhile may note what is about to go.
        let connection = self.connection()?;
        connection.known.forget(id);
        let removed = self.write(async move |tx| {
            let mut row = row::get(tx, id).await?;
            let removed = chunk::remove(tx, id, &chunks).await?;
            row.stored_bytes = row.stored_bytes.saturating_sub(removed);
            row::put(tx, &row).await?;
            let used = counter::get(tx, counter::USED).await?;
            counter::put(tx, counter::USED, used.saturating_sub(removed)).await
        });
        let removed = removed.await;
        connection.known.forget(id);
        removed
    }

    async fn remove(&self, id: RowId) -> Result<()> {
        self.replace(async move |tx| {
            let row = row::get(tx, id).await?;
            remove(tx, &row).await?;
            Ok(((), Some(row)))
        })
        .await
    }

    async fn put_kept(&self, kept: Kept) -> Result<()> {
        let connection = self.connection()?;
        detached(async move {
            let offered = connection.offered(kept.len()).await?;
            transaction::write(connection.database(), async |tx| {
                kept::put(tx, kept, offered).await
            })
            .await
        })
        .await
    }

    async fn kept_heads(&self) -> Result<Vec<([u8; 32], Bytes)>> {
        self.read(&[KEPT_HEADS], async |tx| kept::heads(tx).await)
            .await
    }

    async fn kept_body(&self, key: [u8; 32]) -> Result<Bytes> {
        self.read(&[KEPT_BODIES], async move |tx| kept::body(tx, key).await)
            .await
    }

    async fn remove_kept(&self, keys: Vec<[u8; 32]>) -> Result<()> {
        self.write(async move |tx| kept::remove(tx, keys).await)
            .await
    }

    async fn usage(&self) -> Result<Usage> {
        let connection = self.connection()?;
        detached(async move {
            let (used, cap) = transaction::read(connection.database(), &[COUNTERS], async |tx| {
                Ok((
                    counter::get(tx, counter::USED).await?,
                    counter::cap(tx).await?,
                ))
            })
            .await?;
            connection.platform.refresh(used).await;
            Ok(Usage {
                used,
                quota: cap.min(connection.platform.offered()),
            })
        })
        .await
    }

    async fn set_quota(&self, bytes: u64) -> Result<()> {
        self.connection()?.room.set(0);
        self.write(async move |tx| counter::put(tx, counter::CAP, bytes).await)
            .await
    }

    async fn value(&self, name: &str) -> Result<Option<Bytes>> {
        let name = JsValue::from_str(name);
        self.read(&[VALUES], async move |tx| {
            let value = transaction::store(tx, VALUES)?.get(name).await;
            value
                .map_err(transaction::failed)?
                .map(|value| bytes_of(&value))
                .transpose()
        })
        .await
    }

    async fn set_value(&self, name: &str, value: Option<Bytes>) -> Result<()> {
        let name = JsValue::from_str(name);
        self.write(async move |tx| {
            let values = transaction::store(tx, VALUES)?;
            match value {
                Some(value) => {
                    let value = Uint8Array::from(&value[..]);
                    values.put(&value, Some(&name)).await.map(drop)
                }
                None => values.delete(name).await,
            }
            .map_err(transaction::failed)
        })
        .await
    }

    async fn close(&self) {
        let Some(connection) = self.connection.borrow_mut().take() else {
            return;
        };
        let (handed, lock) = oneshot::channel();
        connection.closing.replace(Some(handed));
        // Transactions that still run hold the connection; the last of them hands over the lock.
        drop(connection);
        if let Ok(lock) = lock.await {
            lock.release().await;
        }
    }
}

/// The open database and the right to it. Dropping it closes the first, then gives up the second.
#[derive(Debug)]
struct Connection {
    name: String,
    /// Opened when a chunk is first written or read that belongs there; `Some(None)` where there are none.
    files: Mutex<Option<Option<Rc<Files>>>>,
    known: Known,
    /// Bytes that may go into files before the database is asked whether they fit; what counts is what the database says when
    /// they are recorded.
    room: Cell<u64>,
    /// `None` only while it is dropped.
    database: Option<Rexie>,
    lock: Option<WebLock>,
    /// Who waits for the lock to be free.
    closing: RefCell<Option<oneshot::Sender<WebLock>>>,
    platform: PlatformQuota,
}

impl Connection {
    fn database(&self) -> &Rexie {
        self.database.as_ref().expect("taken in drop only")
    }

    /// Bytes that the platform would let this store hold, asked again every now and then.
    async fn offered(&self, incoming: u64) -> Result<u64> {
        if self.platform.is_stale(incoming) {
            let used = transaction::read(self.database(), &[COUNTERS], async |tx| {
                counter::get(tx, counter::USED).await
            });
            self.platform.refresh(used.await?).await;
        }
        Ok(self.platform.offered())
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        if let Some(database) = self.database.take() {
            database.close();
        }
        if let (Some(lock), Some(closing)) = (self.lock.take(), self.closing.take()) {
            // If the closer is gone the lock comes back as the error and is released by its own drop.
            drop(closing.send(lock));
        }
    }
}

/// Runs `work` to its end whether or not the caller stays to see it.
async fn detached<T: 'static>(work: impl Future<Output = Result<T>> + 'static) -> Result<T> {
    let work = transaction::step(work);
    let (sender, receiver) = oneshot::channel();
    rt::spawn(async move {
        // The caller may be gone: then nobody wants the outcome.
        drop(sender.send(work.await));
    });
    receiver
        .await
        .unwrap_or_else(|_| Err(StoreError::Backend("the task was dropped".into())))
}

fn remove<'a>(tx: &'a Transaction, row: &'a BlobRow) -> Step<'a, ()> {
    transaction::step(async move {
        chunk::remove_all(tx, row.id).await?;
        row::remove(tx, row.id).await?;
        let used = counter::get(tx, counter::USED).await?;
        counter::put(tx, counter::USED, used.saturating_sub(row.stored_bytes)).await
    })
}

/// Keeps one of many small blobs; `offered` is what the platform has for all of them and what is there.
fn put_one(tx: &Transaction, blob: SmallBlob, offered: u64) -> Step<'_, BlobRow> {
    transaction::step(async move {
        let mut pinned = blob.pinned;
        if let Some(mut present) = row::find(tx, blob.hash).await? {
            if is_complete(tx, &present).await? {
                if pinned && !present.pinned {
                    present.pinned = true;
                    row::put(tx, &present).await?;
                }
                return Ok(present);
            }
            pinned |= present.pinned;
            remove(tx, &present).await?;
        }
        let bytes = blob.data.len() as u64;
        let used = counter::get(tx, counter::USED).await?;
        let cap = counter::cap(tx).await?;
        if bytes > 0 && used.saturating_add(bytes) > cap.min(offered) {
            return Err(StoreError::QuotaExceeded);
        }
        let row = BlobRow {
            size: BlobSize::new(bytes),
            tree: blob.tree,
            pinned,
            stored_bytes: bytes,
            ..row::add(tx, Some(blob.hash), blob.meta).await?
        };
        let chunk = StoredChunk {
            index: ChunkIndex(0),
            data: blob.data,
            proof: Bytes::new(),
        };
        let (chunks, stored, used) = join3(
            chunk::add(tx, row.id, vec![chunk], &Set::new()),
            row::put(tx, &row),
            counter::put(tx, counter::USED, used + bytes),
        )
        .await;
        chunks.and(stored).and(used)?;
        Ok(row)
    })
}

async fn is_complete(tx: &Transaction, row: &BlobRow) -> Result<bool> {
    match row.size {
        Some(size) => Ok(chunk::count(tx, row.id).await? == size.chunk_count()),
        None => Ok(false),
    }
}

fn data_len<'a>(chunks: impl Iterator<Item = &'a StoredChunk>) -> u64 {
    chunks.map(|chunk| chunk.data.len() as u64).sum()
}

/// A property of `navigator`, of a page or of a worker; `None` where the platform lacks it.
fn navigator(property: &str) -> Option<JsValue> {
    let navigator = Reflect::get(&js_sys::global(), &"navigator".into()).ok()?;
    let value = Reflect::get(&navigator, &property.into()).ok()?;
    (!value.is_null() && !value.is_undefined()).then_some(value)
}

/// The bytes of a stored `Uint8Array`, copied once.
fn bytes_of(value: &JsValue) -> Result<Bytes> {
    use wasm_bindgen::JsCast;
    let array: &Uint8Array = value.dyn_ref().ok_or_else(|| malformed("bytes"))?;
    Ok(array.to_vec().into())
}

fn malformed(what: &str) -> StoreError {
    StoreError::Backend(format!("the database holds malformed {what}"))
}
