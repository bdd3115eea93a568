//! What is kept for others: heads apart from bodies, so that a node that starts reads the former only.

use bytes::Bytes;
use js_sys::Uint8Array;
use rexie::{KeyRange, Transaction};
use wasm_bindgen::JsValue;

use super::schema::{KEPT_BODIES, KEPT_HEADS};
use super::transaction::{Step, failed, step, store};
use super::{bytes_of, counter, malformed};
use crate::store::{Kept, StoreError};

/// Heads read in one request: some 200 bytes each.
const HEADS_PER_READ: u32 = 4096;

/// What stands in front of a head: its key, and what it counts.
const PREFIX: usize = 32 + 4;

/// What `Store::put_kept` says; the platform has `offered` bytes for all that is here.
pub(super) fn put(tx: &Transaction, kept: Kept, offered: u64) -> Step<'_, ()> {
    step(async move {
        let key = name(&kept.key);
        let before = counted(tx, &key).await?;
        let (used, all) = (
            counter::get(tx, counter::USED).await?,
            counter::get(tx, counter::KEPT).await?,
        );
        let cap = counter::cap(tx).await?.min(offered);
        let after = used.saturating_sub(before) + kept.len();
        if kept.len() > before && after > cap {
            return Err(StoreError::QuotaExceeded);
        }
        let count = u32::try_from(kept.len()).map_err(|_| StoreError::QuotaExceeded)?;
        let head = [&kept.key[..], &count.to_be_bytes(), &kept.head].concat();
        write(tx, KEPT_HEADS, &key, &head).await?;
        write(tx, KEPT_BODIES, &key, &kept.body).await?;
        counter::put(tx, counter::KEPT, all.saturating_sub(before) + kept.len()).await?;
        counter::put(tx, counter::USED, after).await
    })
}

/// What `Store::kept_heads` says.
pub(super) fn heads(tx: &Transaction) -> Step<'_, Vec<([u8; 32], Bytes)>> {
    step(async move {
        let heads = store(tx, KEPT_HEADS)?;
        let mut all: Vec<([u8; 32], Bytes)> = Vec::new();
        loop {
            let after = match all.last() {
                Some((key, _)) => Some(
                    KeyRange::lower_bound(&name(key), Some(true))
                        .map_err(|error| failed(error.into()))?,
                ),
                None => None,
            };
            let read = heads.get_all(after, Some(HEADS_PER_READ)).await;
            let read = read.map_err(failed)?;
            let is_last = read.len() < HEADS_PER_READ as usize;
            for value in read {
                let bytes = bytes_of(&value)?;
                let key = bytes.first_chunk().ok_or_else(|| malformed("head"))?;
                all.push((*key, bytes.slice(PREFIX.min(bytes.len())..)));
            }
            if is_last {
                return Ok(all);
            }
        }
    })
}

/// What `Store::kept_body` says.
pub(super) fn body(tx: &Transaction, key: [u8; 32]) -> Step<'_, Bytes> {
    step(async move {
        let body = store(tx, KEPT_BODIES)?.get(name(&key)).await;
        bytes_of(&body.map_err(failed)?.ok_or(StoreError::NotFound)?)
    })
}

/// What `Store::remove_kept` says.
pub(super) fn remove(tx: &Transaction, keys: Vec<[u8; 32]>) -> Step<'_, ()> {
    step(async move {
        let mut freed = 0;
        for key in &keys {
            let key = name(key);
            freed += counted(tx, &key).await?;
            for name in [KEPT_HEADS, KEPT_BODIES] {
                let deleted = store(tx, name)?.delete(key.clone()).await;
                deleted.map_err(failed)?;
            }
        }
        for name in [counter::KEPT, counter::USED] {
            let count = counter::get(tx, name).await?;
            counter::put(tx, name, count.saturating_sub(freed)).await?;
        }
        Ok(())
    })
}

/// What is counted under a key; 0 if nothing is there.
fn counted<'a>(tx: &'a Transaction, key: &'a JsValue) -> Step<'a, u64> {
    step(async move {
        let head = store(tx, KEPT_HEADS)?.get(key.clone()).await;
        let Some(head) = head.map_err(failed)? else {
            return Ok(0);
        };
        let head = bytes_of(&head)?;
        let count = head.get(32..PREFIX).and_then(|count| count.try_into().ok());
        Ok(count.map_or(0, |count| u32::from_be_bytes(count).into()))
    })
}

fn write<'a>(tx: &'a Transaction, to: &'a str, key: &'a JsValue, bytes: &'a [u8]) -> Step<'a, ()> {
    step(async move {
        let value = Uint8Array::from(bytes);
        let written = store(tx, to)?.put(&value, Some(key)).await;
        written.map(drop).map_err(failed)
    })
}

fn name(key: &[u8; 32]) -> JsValue {
    Uint8Array::from(&key[..]).into()
}
