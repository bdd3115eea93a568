//! Chunks under their rows: one record each, `[data, proof]`, keyed by one number.
//!
//! The key `row * 2^22 + index` sorts by row, then by position, so a row is one range. Array and binary keys were neither
//! faster nor slower; a number is the shortest. A record holds a whole chunk because four records of 64 KiB took two to
//! three times as long to write in Chromium.

use futures::future::join_all;
use js_sys::{Array, Uint8Array};
use rexie::{KeyRange, Transaction};
use wasm_bindgen::{JsCast, JsValue};

use super::counter::{from_number, to_number};
use super::schema::CHUNKS;
use super::transaction::{Step, failed, step, store};
use super::{bytes_of, malformed};
use crate::proto::ordered::Map;
use crate::proto::types::{CHUNK_SIZE, ChunkIndex, MAX_BLOB_SIZE};
use crate::store::{Result, RowId, StoreError, StoredChunk};

/// Keys of one row: as many as the largest blob has chunks (2^22).
const KEYS_PER_ROW: u64 = MAX_BLOB_SIZE / CHUNK_SIZE;

/// The last row whose keys are exact as JavaScript numbers (2^31 - 1: keys stay below 2^53).
pub(super) const MAX_ROW: RowId = RowId((1 << 53) / KEYS_PER_ROW - 1);

/// Keys read in one request, 4 GiB worth of chunks.
const KEYS_PER_READ: u32 = 16 * 1024;

/// Leaves of `chunks` those that are not stored yet.
pub(super) async fn missing(
    tx: &Transaction,
    id: RowId,
    chunks: Map<ChunkIndex, StoredChunk>,
) -> Result<Vec<StoredChunk>> {
    let store = store(tx, CHUNKS)?;
    let mut keys = Vec::with_capacity(chunks.len());
    for index in chunks.keys() {
        keys.push(key(id, *index).ok_or_else(|| StoreError::Backend("no such chunk".into()))?);
    }
    let present = join_all(keys.into_iter().map(|key| store.key_exists(key))).await;
    let mut missing = Vec::with_capacity(chunks.len());
    for (chunk, present) in chunks.into_values().zip(present) {
        if !present.map_err(failed)? {
            missing.push(chunk);
        }
    }
    Ok(missing)
}

/// Writes chunks that are known to be missing.
pub(super) async fn add(tx: &Transaction, id: RowId, chunks: Vec<StoredChunk>) -> Result<()> {
    let store = &store(tx, CHUNKS)?;
    // All requests are waited for, also after a failure: a handler must not be dropped before its event.
    let added = join_all(chunks.iter().map(async |chunk| {
        let data = Uint8Array::from(&chunk.data[..]);
        let proof = Uint8Array::from(&chunk.proof[..]);
        store
            .add(&Array::of2(&data, &proof), key(id, chunk.index).as_ref())
            .await
    }));
    added
        .await
        .into_iter()
        .try_for_each(|added| added.map(drop).map_err(failed))
}

/// Reads one chunk; each byte is copied once, from the page into wasm.
pub(super) fn get(tx: &Transaction, id: RowId, index: ChunkIndex) -> Step<'_, StoredChunk> {
    step(async move {
        let key = key(id, index).ok_or(StoreError::NotFound)?;
        let value = store(tx, CHUNKS)?.get(key).await.map_err(failed)?;
        let value = value.ok_or(StoreError::NotFound)?;
        let pair: &Array = value.dyn_ref().ok_or_else(|| malformed("chunk"))?;
        Ok(StoredChunk {
            index,
            data: bytes_of(&pair.get(0))?,
            proof: bytes_of(&pair.get(1))?,
        })
    })
}

/// The positions of all stored chunks of a row, ascending.
pub(super) async fn indexes(tx: &Transaction, id: RowId) -> Result<Vec<ChunkIndex>> {
    let store = store(tx, CHUNKS)?;
    let mut indexes: Vec<ChunkIndex> = Vec::new();
    loop {
        let from = indexes.last().map_or(0, |index| u64::from(index.0) + 1);
        if from == KEYS_PER_ROW {
            return Ok(indexes);
        }
        let keys = store
            .get_all_keys(Some(range(id, from)?), Some(KEYS_PER_READ))
            .await;
        let keys = keys.map_err(failed)?;
        for key in &keys {
            let number = to_number(key).ok_or_else(|| malformed("chunk key"))?;
            indexes.push(ChunkIndex((number % KEYS_PER_ROW) as u32));
        }
        if keys.len() < KEYS_PER_READ as usize {
            return Ok(indexes);
        }
    }
}

/// How many chunks of a row are stored.
pub(super) async fn count(tx: &Transaction, id: RowId) -> Result<u32> {
    store(tx, CHUNKS)?
        .count(Some(range(id, 0)?))
        .await
        .map_err(failed)
}

/// Removes these chunks as far as they are there; returns the bytes of data that went with them.
pub(super) async fn remove(tx: &Transaction, id: RowId, chunks: &[ChunkIndex]) -> Result<u64> {
    let store = store(tx, CHUNKS)?;
    let mut removed = 0;
    for index in chunks {
        let Some(key) = key(id, *index) else { continue };
        let value = store.get(key.clone()).await.map_err(failed)?;
        let Some(value) = value else { continue };
        // Whatever the record has become, it goes; what it counted is what can still be read of it.
        let data: Option<Uint8Array> = value
            .dyn_ref::<Array>()
            .and_then(|pair| pair.get(0).dyn_into().ok());
        removed += data.map_or(0, |data| u64::from(data.length()));
        store.delete(key).await.map_err(failed)?;
    }
    Ok(removed)
}

/// Removes every chunk of a row.
pub(super) fn remove_all(tx: &Transaction, id: RowId) -> Step<'_, ()> {
    step(async move {
        store(tx, CHUNKS)?
            .delete(range(id, 0)?.into())
            .await
            .map_err(failed)
    })
}

fn key(id: RowId, index: ChunkIndex) -> Option<JsValue> {
    let index = u64::from(index.0);
    (id <= MAX_ROW && index < KEYS_PER_ROW).then(|| from_number(id.0 * KEYS_PER_ROW + index))
}

/// The keys of a row from position `from` on.
fn range(id: RowId, from: u64) -> Result<KeyRange> {
    if id > MAX_ROW {
        return Err(StoreError::NotFound);
    }
    let first = from_number(id.0 * KEYS_PER_ROW + from);
    let last = from_number(id.0 * KEYS_PER_ROW + KEYS_PER_ROW - 1);
    KeyRange::bound(&first, &last, None, None).map_err(|error| failed(error.into()))
}
