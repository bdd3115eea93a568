//! Writing where room may have to be made first.

use crate::store::{Kept, RowId, Store, StoreError, StoredChunk};

/// Times that a batch is tried. Ours: once after room was made for it, once more if another write took that room.
const TRIES: usize = 3;

/// Writes a batch; if it does not fit, asks `make_room` for the bytes that are missing and tries again.
///
/// # Errors
/// As `Store::put_chunks`; `QuotaExceeded` when no more room can be made.
pub(super) async fn put<S: Store>(
    store: &S,
    row: RowId,
    chunks: Vec<StoredChunk>,
    make_room: impl AsyncFn(u64) -> bool,
) -> Result<(), StoreError> {
    let bytes = chunks.iter().map(|chunk| chunk.data.len() as u64).sum();
    let write = async || store.put_chunks(row, chunks.clone()).await;
    tried(store, bytes, write, make_room).await
}

/// The same for something that is kept for others.
///
/// # Errors
/// As `Store::put_kept`.
pub(super) async fn put_kept<S: Store>(
    store: &S,
    kept: Kept,
    make_room: impl AsyncFn(u64) -> bool,
) -> Result<(), StoreError> {
    let write = async || store.put_kept(kept.clone()).await;
    tried(store, kept.len(), write, make_room).await
}

async fn tried<S: Store>(
    store: &S,
    bytes: u64,
    write: impl AsyncFn() -> Result<(), StoreError>,
    make_room: impl AsyncFn(u64) -> bool,
) -> Result<(), StoreError> {
    for _ in 1..TRIES {
        match write().await {
            Err(StoreError::QuotaExceeded) => {}
            result => return result,
        }
        let usage = store.usage().await?;
        let missing = usage.used.saturating_add(bytes).saturating_sub(usage.quota);
        // The platform may refuse what its own estimate would allow: then the batch itself is what must find room.
        let need = if missing == 0 { bytes } else { missing };
        if !make_room(need).await {
            return Err(StoreError::QuotaExceeded);
        }
    }
    write().await
}
