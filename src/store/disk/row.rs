//! The tables of a [`DiskStore`](super::DiskStore), and what happens to a row within a transaction.

use bytes::Bytes;
use redb::{ReadableTable, TableDefinition, WriteTransaction};
use serde::{Deserialize, Serialize};

use super::{DiskError, failed};
use crate::proto::types::{BlobHash, BlobSize, ChunkIndex};
use crate::store::{BlobRow, Result, RowId, StoreError, StoredChunk};

/// Row number to record.
pub(super) const ROWS: TableDefinition<'_, u64, &[u8]> = TableDefinition::new("rows");

/// Row number to the chunk hashes of an imported blob.
pub(super) const TREES: TableDefinition<'_, u64, &[u8]> = TableDefinition::new("trees");

/// Blob hash to row number.
pub(super) const HASHES: TableDefinition<'_, &[u8; 32], u64> = TableDefinition::new("hashes");

/// Row number and chunk index to proof and data, up to [`PAGEFUL`] bytes of both.
pub(super) const CHUNKS: TableDefinition<'_, (u64, u32), &[u8]> = TableDefinition::new("chunks");

/// Row number and chunk index to what did not fit in there.
pub(super) const ENDS: TableDefinition<'_, (u64, u32), &[u8]> = TableDefinition::new("chunk ends");

/// Bytes of a value of [`CHUNKS`]. redb gives a large value a page of its own, of a power of two of bytes, key and lengths included:
/// a chunk of 256 KiB in one piece takes 512.
pub(super) const PAGEFUL: usize = 255 * 1024;

/// Small named values.
pub(super) const VALUES: TableDefinition<'_, &str, &[u8]> = TableDefinition::new("values");

/// Counters.
pub(super) const COUNTERS: TableDefinition<'_, &str, u64> = TableDefinition::new("counters");

/// Bytes of chunk data.
pub(super) const USED: &str = "used";

/// The person's cap.
pub(super) const CAP: &str = "cap";

/// The number of the next row.
const NEXT: &str = "next";

/// A row as it is kept, without its number and its tree.
#[derive(Serialize, Deserialize)]
struct Record {
    hash: Option<[u8; 32]>,
    size: Option<u64>,
    pinned: bool,
    meta: Vec<u8>,
    stored: u64,
}

pub(super) fn decode(id: RowId, bytes: &[u8]) -> Result<BlobRow> {
    let record: Record = serde_ipld_dagcbor::from_slice(bytes).map_err(|_| damaged())?;
    Ok(BlobRow {
        id,
        hash: record.hash.map(BlobHash),
        size: record.size.and_then(BlobSize::new),
        tree: Bytes::new(),
        pinned: record.pinned,
        meta: record.meta.into(),
        stored_bytes: record.stored,
    })
}

/// Writes all of a row but its tree.
pub(super) fn put(tx: &WriteTransaction, row: &BlobRow) -> Result<()> {
    let record = Record {
        hash: row.hash.map(|hash| hash.0),
        size: row.size.map(BlobSize::get),
        pinned: row.pinned,
        meta: row.meta.to_vec(),
        stored: row.stored_bytes,
    };
    let bytes = serde_ipld_dagcbor::to_vec(&record).map_err(|_| damaged())?;
    let mut rows = tx.open_table(ROWS).map_err(failed)?;
    rows.insert(row.id.0, &bytes[..]).map_err(failed)?;
    Ok(())
}

pub(super) fn tree(trees: &impl ReadableTable<u64, &'static [u8]>, id: RowId) -> Result<Bytes> {
    let tree = trees.get(id.0).map_err(failed)?;
    Ok(tree.map_or_else(Bytes::new, |tree| Bytes::copy_from_slice(tree.value())))
}

pub(super) fn get(tx: &WriteTransaction, id: RowId) -> Result<BlobRow> {
    let rows = tx.open_table(ROWS).map_err(failed)?;
    let stored = rows.get(id.0).map_err(failed)?;
    let mut row = decode(id, stored.ok_or(StoreError::NotFound)?.value())?;
    row.tree = tree(&tx.open_table(TREES).map_err(failed)?, id)?;
    Ok(row)
}

pub(super) fn find(tx: &WriteTransaction, hash: BlobHash) -> Result<Option<BlobRow>> {
    let hashes = tx.open_table(HASHES).map_err(failed)?;
    let id = hashes.get(&hash.0).map_err(failed)?.map(|id| id.value());
    id.map(|id| get(tx, RowId(id))).transpose()
}

pub(super) fn add(tx: &WriteTransaction, hash: Option<BlobHash>, meta: Bytes) -> Result<BlobRow> {
    let id = counter(tx, NEXT)?.unwrap_or_default() + 1;
    set_counter(tx, NEXT, id)?;
    let row = BlobRow {
        id: RowId(id),
        hash,
        size: None,
        tree: Bytes::new(),
        pinned: false,
        meta,
        stored_bytes: 0,
    };
    put(tx, &row)?;
    if let Some(hash) = hash {
        let mut hashes = tx.open_table(HASHES).map_err(failed)?;
        hashes.insert(&hash.0, id).map_err(failed)?;
    }
    Ok(row)
}

/// What `Store::finish_import` says.
pub(super) fn finish(
    tx: &WriteTransaction,
    id: RowId,
    hash: BlobHash,
    size: BlobSize,
    tree: Bytes,
    meta: Bytes,
) -> Result<BlobRow> {
    let import = get(tx, id)?;
    if import.hash.is_some() {
        return Err(StoreError::NotFound);
    }
    let mut pinned = false;
    if let Some(present) = find(tx, hash)? {
        if is_complete(tx, &present)? {
            remove(tx, &import)?;
            return Ok(present);
        }
        pinned = present.pinned;
        remove(tx, &present)?;
    }
    let row = BlobRow {
        hash: Some(hash),
        size: Some(size),
        tree,
        pinned,
        meta,
        ..import
    };
    put(tx, &row)?;
    let mut trees = tx.open_table(TREES).map_err(failed)?;
    trees.insert(id.0, &row.tree[..]).map_err(failed)?;
    let mut hashes = tx.open_table(HASHES).map_err(failed)?;
    hashes.insert(&hash.0, id.0).map_err(failed)?;
    Ok(row)
}

/// What `Store::put_chunks` says.
pub(super) fn put_chunks(tx: &WriteTransaction, id: RowId, batch: Vec<StoredChunk>) -> Result<()> {
    let mut row = get(tx, id)?;
    let used = counter(tx, USED)?.unwrap_or_default();
    let cap = counter(tx, CAP)?.unwrap_or(u64::MAX);
    let mut added = 0;
    let mut chunks = tx.open_table(CHUNKS).map_err(failed)?;
    let mut ends = tx.open_table(ENDS).map_err(failed)?;
    for chunk in batch {
        let key = (id.0, chunk.index.0);
        if chunks.get(key).map_err(failed)?.is_some() {
            continue;
        }
        let bytes = encode_chunk(&chunk)?;
        let (most, end) = bytes.split_at(bytes.len().min(PAGEFUL));
        chunks.insert(key, most).map_err(failed)?;
        if !end.is_empty() {
            ends.insert(key, end).map_err(failed)?;
        }
        added += chunk.data.len() as u64;
    }
    if added > 0 && used.saturating_add(added) > cap {
        return Err(StoreError::QuotaExceeded);
    }
    drop((chunks, ends));
    row.stored_bytes += added;
    put(tx, &row)?;
    set_counter(tx, USED, used + added)
}

/// Removes chunks of a row that stays; returns their bytes, which the caller takes off the row.
pub(super) fn remove_chunks(
    tx: &WriteTransaction,
    id: RowId,
    indexes: &[ChunkIndex],
) -> Result<u64> {
    let mut removed = 0;
    let mut chunks = tx.open_table(CHUNKS).map_err(failed)?;
    let mut ends = tx.open_table(ENDS).map_err(failed)?;
    for index in indexes {
        if let Some(chunk) = chunk(&chunks, &ends, id, *index)? {
            removed += chunk.data.len() as u64;
            chunks.remove((id.0, index.0)).map_err(failed)?;
            ends.remove((id.0, index.0)).map_err(failed)?;
        }
    }
    drop((chunks, ends));
    let used = counter(tx, USED)?.unwrap_or_default();
    set_counter(tx, USED, used.saturating_sub(removed))?;
    Ok(removed)
}

pub(super) fn remove(tx: &WriteTransaction, row: &BlobRow) -> Result<()> {
    let all = indexes(&tx.open_table(CHUNKS).map_err(failed)?, row.id)?;
    remove_chunks(tx, row.id, &all)?;
    tx.open_table(ROWS)
        .map_err(failed)?
        .remove(row.id.0)
        .map_err(failed)?;
    tx.open_table(TREES)
        .map_err(failed)?
        .remove(row.id.0)
        .map_err(failed)?;
    if let Some(hash) = row.hash {
        tx.open_table(HASHES)
            .map_err(failed)?
            .remove(&hash.0)
            .map_err(failed)?;
    }
    Ok(())
}

pub(super) fn indexes(
    chunks: &impl ReadableTable<(u64, u32), &'static [u8]>,
    id: RowId,
) -> Result<Vec<ChunkIndex>> {
    let mut indexes = Vec::new();
    for entry in chunks.range((id.0, 0)..=(id.0, u32::MAX)).map_err(failed)? {
        let (key, _) = entry.map_err(failed)?;
        indexes.push(ChunkIndex(key.value().1));
    }
    Ok(indexes)
}

pub(super) fn counter(tx: &WriteTransaction, name: &str) -> Result<Option<u64>> {
    let counters = tx.open_table(COUNTERS).map_err(failed)?;
    let count = counters.get(name).map_err(failed)?;
    Ok(count.map(|count| count.value()))
}

pub(super) fn set_counter(tx: &WriteTransaction, name: &str, count: u64) -> Result<()> {
    let mut counters = tx.open_table(COUNTERS).map_err(failed)?;
    counters.insert(name, count).map_err(failed)?;
    Ok(())
}

/// The proof's length as u16, the proof, the data.
fn encode_chunk(chunk: &StoredChunk) -> Result<Vec<u8>> {
    let proof = u16::try_from(chunk.proof.len()).map_err(|_| damaged())?;
    let mut bytes = Vec::with_capacity(2 + chunk.proof.len() + chunk.data.len());
    bytes.extend_from_slice(&proof.to_be_bytes());
    bytes.extend_from_slice(&chunk.proof);
    bytes.extend_from_slice(&chunk.data);
    Ok(bytes)
}

/// Reads a chunk from [`CHUNKS`] and [`ENDS`]. Schema 2 kept all of it in the former, so an end may be missing that would be due today.
pub(super) fn chunk(
    chunks: &impl ReadableTable<(u64, u32), &'static [u8]>,
    ends: &impl ReadableTable<(u64, u32), &'static [u8]>,
    id: RowId,
    index: ChunkIndex,
) -> Result<Option<StoredChunk>> {
    let key = (id.0, index.0);
    let Some(most) = chunks.get(key).map_err(failed)? else {
        return Ok(None);
    };
    let most = most.value();
    let end = match most.len() == PAGEFUL {
        true => ends.get(key).map_err(failed)?,
        false => None,
    };
    let end = end.as_ref().map_or(&[][..], |end| end.value());
    let mut bytes = Vec::with_capacity(most.len() + end.len());
    bytes.extend_from_slice(most);
    bytes.extend_from_slice(end);
    decode_chunk(index, bytes.into()).map(Some)
}

fn decode_chunk(index: ChunkIndex, bytes: Bytes) -> Result<StoredChunk> {
    let len = bytes.first_chunk().ok_or_else(damaged)?;
    let end = 2 + usize::from(u16::from_be_bytes(*len));
    match end <= bytes.len() {
        true => Ok(StoredChunk {
            index,
            proof: bytes.slice(2..end),
            data: bytes.slice(end..),
        }),
        false => Err(damaged()),
    }
}

fn is_complete(tx: &WriteTransaction, row: &BlobRow) -> Result<bool> {
    let Some(size) = row.size else {
        return Ok(false);
    };
    let stored = indexes(&tx.open_table(CHUNKS).map_err(failed)?, row.id)?;
    Ok(stored.len() == size.chunk_count() as usize)
}

fn damaged() -> StoreError {
    failed(DiskError::Damaged)
}
