//! What is kept for others: heads apart from bodies, so that a node that starts reads the former only.

use bytes::Bytes;
use redb::{ReadTransaction, ReadableTable, TableDefinition, WriteTransaction};

use super::failed;
use super::row::{CAP, USED, counter, set_counter};
use crate::store::{Kept, Result, StoreError};

/// Key to four bytes of what it counts, and the head.
pub(super) const HEADS: TableDefinition<'_, &[u8; 32], &[u8]> = TableDefinition::new("kept heads");

/// Key to body.
pub(super) const BODIES: TableDefinition<'_, &[u8; 32], &[u8]> =
    TableDefinition::new("kept bodies");

/// What `Store::put_kept` says.
pub(super) fn put(tx: &WriteTransaction, kept: &Kept) -> Result<()> {
    let count = u32::try_from(kept.len()).map_err(|_| StoreError::QuotaExceeded)?;
    let mut heads = tx.open_table(HEADS).map_err(failed)?;
    let head = [&count.to_be_bytes()[..], &kept.head].concat();
    let before = heads.insert(&kept.key, &head[..]).map_err(failed)?;
    let before = before.map_or(0, |before| counted(before.value()));
    drop(heads);
    let used = counter(tx, USED)?
        .unwrap_or_default()
        .saturating_sub(before);
    let cap = counter(tx, CAP)?.unwrap_or(u64::MAX);
    let used = used.saturating_add(count.into());
    if u64::from(count) > before && used > cap {
        return Err(StoreError::QuotaExceeded);
    }
    let mut bodies = tx.open_table(BODIES).map_err(failed)?;
    bodies.insert(&kept.key, &kept.body[..]).map_err(failed)?;
    set_counter(tx, USED, used)
}

/// What `Store::kept_heads` says.
pub(super) fn heads(tx: &ReadTransaction) -> Result<Vec<([u8; 32], Bytes)>> {
    let heads = tx.open_table(HEADS).map_err(failed)?;
    let mut all = Vec::new();
    for entry in heads.iter().map_err(failed)? {
        let (key, head) = entry.map_err(failed)?;
        let head = head.value().get(4..).unwrap_or_default();
        all.push((*key.value(), Bytes::copy_from_slice(head)));
    }
    Ok(all)
}

/// What `Store::remove_kept` says.
pub(super) fn remove(tx: &WriteTransaction, keys: &[[u8; 32]]) -> Result<()> {
    let mut freed = 0;
    let mut heads = tx.open_table(HEADS).map_err(failed)?;
    let mut bodies = tx.open_table(BODIES).map_err(failed)?;
    for key in keys {
        if let Some(head) = heads.remove(key).map_err(failed)? {
            freed += counted(head.value());
        }
        bodies.remove(key).map_err(failed)?;
    }
    drop((heads, bodies));
    let used = counter(tx, USED)?.unwrap_or_default();
    set_counter(tx, USED, used.saturating_sub(freed))
}

fn counted(head: &[u8]) -> u64 {
    head.first_chunk()
        .map_or(0, |count| u32::from_be_bytes(*count).into())
}
