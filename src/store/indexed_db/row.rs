//! Rows as plain JavaScript objects, readable in the browser's own inspector.

use bytes::Bytes;
use js_sys::{Object, Reflect, Uint8Array};
use rexie::{KeyRange, Transaction};
use wasm_bindgen::JsValue;

use super::counter::{self, from_number, to_number};
use super::schema::{HASH_INDEX, ROWS};
use super::transaction::{Step, failed, step, store};
use super::{bytes_of, chunk, malformed};
use crate::proto::types::{BlobHash, BlobSize};
use crate::store::{BlobRow, Result, RowId, StoreError};

pub(super) const ID: &str = "id";
pub(super) const HASH: &str = "hash";
const SIZE: &str = "size";
const TREE: &str = "tree";
const PINNED: &str = "pinned";
const META: &str = "meta";
const STORED: &str = "stored";

/// Rows read in one request: a row may carry the tree of a large blob (32 KiB for each GiB).
const ROWS_PER_READ: u32 = 64;

/// Every row in order of its id, unfinished imports included.
pub(super) async fn all(tx: &Transaction) -> Result<Vec<BlobRow>> {
    let rows = store(tx, ROWS)?;
    let mut all: Vec<BlobRow> = Vec::new();
    loop {
        let after = match all.last() {
            Some(row) => Some(
                KeyRange::lower_bound(&from_number(row.id.0), Some(true))
                    .map_err(|error| failed(error.into()))?,
            ),
            None => None,
        };
        let read = rows
            .get_all(after, Some(ROWS_PER_READ))
            .await
            .map_err(failed)?;
        let is_last = read.len() < ROWS_PER_READ as usize;
        for value in read {
            all.push(decode(&value)?);
        }
        if is_last {
            return Ok(all);
        }
    }
}

/// The row `id`, or `NotFound`.
pub(super) fn get(tx: &Transaction, id: RowId) -> Step<'_, BlobRow> {
    step(async move {
        let value = store(tx, ROWS)?
            .get(from_number(id.0))
            .await
            .map_err(failed)?;
        decode(&value.ok_or(StoreError::NotFound)?)
    })
}

/// The row of the blob with this hash.
pub(super) fn find(tx: &Transaction, hash: BlobHash) -> Step<'_, Option<BlobRow>> {
    step(async move {
        let index = store(tx, ROWS)?.index(HASH_INDEX).map_err(failed)?;
        let value = index
            .get(Uint8Array::from(&hash.0[..]).into())
            .await
            .map_err(failed)?;
        value.as_ref().map(decode).transpose()
    })
}

/// Adds an empty row under an id that was never used.
pub(super) fn add(tx: &Transaction, hash: Option<BlobHash>, meta: Bytes) -> Step<'_, BlobRow> {
    step(async move {
        let id = RowId(counter::get(tx, counter::NEXT_ROW).await?);
        if id > chunk::MAX_ROW {
            return Err(StoreError::Backend("no row ids are left".into()));
        }
        let tree = Bytes::new();
        let row = BlobRow {
            id,
            hash,
            size: None,
            tree,
            pinned: false,
            meta,
            stored_bytes: 0,
        };
        put(tx, &row).await?;
        counter::put(tx, counter::NEXT_ROW, id.0 + 1).await?;
        Ok(row)
    })
}

pub(super) fn put<'a>(tx: &'a Transaction, row: &'a BlobRow) -> Step<'a, ()> {
    step(async move {
        let value = encode(row)?;
        store(tx, ROWS)?
            .put(&value, None)
            .await
            .map(drop)
            .map_err(failed)
    })
}

pub(super) fn remove(tx: &Transaction, id: RowId) -> Step<'_, ()> {
    step(async move {
        store(tx, ROWS)?
            .delete(from_number(id.0))
            .await
            .map_err(failed)
    })
}

fn encode(row: &BlobRow) -> Result<JsValue> {
    let object = Object::new();
    let set = |name: &str, value: JsValue| {
        Reflect::set(&object, &name.into(), &value)
            .map(drop)
            .map_err(|_| StoreError::Backend(format!("cannot set {name}")))
    };
    set(ID, from_number(row.id.0))?;
    // An absent property keeps the row out of the index over hashes.
    if let Some(hash) = row.hash {
        set(HASH, Uint8Array::from(&hash.0[..]).into())?;
    }
    if let Some(size) = row.size {
        set(SIZE, from_number(size.get()))?;
    }
    set(TREE, Uint8Array::from(&row.tree[..]).into())?;
    set(PINNED, row.pinned.into())?;
    set(META, Uint8Array::from(&row.meta[..]).into())?;
    set(STORED, from_number(row.stored_bytes))?;
    Ok(object.into())
}

fn decode(value: &JsValue) -> Result<BlobRow> {
    let get = |name: &str| Reflect::get(value, &name.into()).map_err(|_| malformed("row"));
    let number = |value: &JsValue| to_number(value).ok_or_else(|| malformed("number in a row"));
    let hash = match get(HASH)? {
        value if value.is_undefined() => None,
        value => {
            let bytes = <[u8; 32]>::try_from(&bytes_of(&value)?[..]);
            Some(BlobHash(bytes.map_err(|_| malformed("hash"))?))
        }
    };
    let size = match get(SIZE)? {
        value if value.is_undefined() => None,
        value => Some(BlobSize::new(number(&value)?).ok_or_else(|| malformed("size"))?),
    };
    Ok(BlobRow {
        id: RowId(number(&get(ID)?)?),
        hash,
        size,
        tree: bytes_of(&get(TREE)?)?,
        pinned: get(PINNED)?.as_bool().ok_or_else(|| malformed("pin"))?,
        meta: bytes_of(&get(META)?)?,
        stored_bytes: number(&get(STORED)?)?,
    })
}
