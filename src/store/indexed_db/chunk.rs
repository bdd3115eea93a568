//! Chunks under their rows: one record each, `[data, proof]`, or `[length, proof]` where the data lies in a file; keyed by one number.
//!
//! The key `row * 2^22 + index` sorts by row, then by position, so a row is one range. Array and binary keys were neither
//! faster nor slower; a number is the shortest. A record holds a whole chunk because four records of 64 KiB took two to
//! three times as long to write in Chromium.

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;
use futures::future::join_all;
use js_sys::{Array, Uint8Array};
use rexie::{KeyRange, Transaction};
use wasm_bindgen::{JsCast, JsValue};

use super::counter::{from_number, to_number};
use super::files::{FILE_MIN, Place};
use super::schema::CHUNKS;
use super::transaction::{Step, failed, step, store};
use super::{bytes_of, malformed};
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
    chunks: BTreeMap<ChunkIndex, StoredChunk>,
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

/// A chunk as its record has it.
#[derive(Debug)]
pub(super) enum Found {
    /// All of it.
    Here(StoredChunk),
    /// Its proof; its data is in the row's file.
    InFile(Place, Bytes),
}

/// Whether the data of a chunk goes into a file where there are files.
pub(super) fn is_for_file(chunk: &StoredChunk) -> bool {
    chunk.data.len() >= FILE_MIN
}

/// Writes chunks that are known to be missing. The data of those `in_file` is there already.
pub(super) async fn add(
    tx: &Transaction,
    id: RowId,
    chunks: Vec<StoredChunk>,
    in_file: &BTreeSet<ChunkIndex>,
) -> Result<()> {
    let store = &store(tx, CHUNKS)?;
    // All requests are waited for, also after a failure: a handler must not be dropped before its event.
    let added = join_all(chunks.iter().map(async |chunk| {
        let data: JsValue = match in_file.contains(&chunk.index) {
            true => chunk.data.len().into(),
            false => Uint8Array::from(&chunk.data[..]).into(),
        };
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

/// Reads the record of one chunk; each byte is copied once, from the page into wasm.
pub(super) fn get(tx: &Transaction, id: RowId, index: ChunkIndex) -> Step<'_, Found> {
    step(async move {
        let key = key(id, index).ok_or(StoreError::NotFound)?;
        let value = store(tx, CHUNKS)?.get(key).await.map_err(failed)?;
        let value = value.ok_or(StoreError::NotFound)?;
        let pair: &Array = value.dyn_ref().ok_or_else(|| malformed("chunk"))?;
        let (data, proof) = (pair.get(0), bytes_of(&pair.get(1))?);
        match to_number(&data) {
            Some(len) if len <= CHUNK_SIZE => {
                let len = len as usize;
                Ok(Found::InFile(Place { index, len }, proof))
            }
            Some(_) => Err(malformed("length")),
            None => {
                let data = bytes_of(&data)?;
                Ok(Found::Here(StoredChunk { index, data, proof }))
            }
        }
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
        let data = value.dyn_ref::<Array>().map(|pair| pair.get(0));
        let len = |data: JsValue| match data.dyn_ref::<Uint8Array>() {
            Some(data) => Some(data.length().into()),
            None => to_number(&data).filter(|len| *len <= CHUNK_SIZE),
        };
        removed += data.and_then(len).unwrap_or(0);
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
