//! What every store must do, as one suite that runs over each backend.
//!
//! A backend implements [`Backend`] in its test and calls [`store_conformance!`](crate::store_conformance), which makes
//! one named test of every case below. Each case starts from an empty store of its own.
#![allow(clippy::unwrap_used, missing_docs)]

use std::future::{Future, poll_fn};
use std::pin::pin;
use std::task::Poll;

use bytes::Bytes;

pub use self::imports::*;
pub use self::kept::*;
use super::{BlobRow, RowId, SmallBlob, Store, StoreError, StoredChunk};
use crate::proto::types::{BlobHash, BlobSize, CHUNK_SIZE, ChunkIndex};

mod imports;
mod kept;

/// How the suite gets at the stores of one backend.
#[allow(async_fn_in_trait)]
pub trait Backend {
    /// The store under test.
    type Store: Store;

    /// An empty store; `name` is different for every case, the same from run to run.
    async fn fresh(&self, name: &str) -> Self::Store;

    /// Closes the store and opens its content again; `None` where nothing outlives the store.
    async fn reopen(&self, name: &str, store: Self::Store) -> Option<Self::Store>;
}

/// Makes one test of each conformance case: `store_conformance!(tokio::test, MemoryBackend);`
#[macro_export]
macro_rules! store_conformance {
    ($test:meta, $backend:expr) => {
        $crate::store_conformance!(@cases $test, $backend,
            created_rows_are_found_and_never_doubled
            rows_come_in_order_of_creation
            an_import_becomes_a_row_at_its_end
            an_import_of_a_complete_blob_yields_the_present_row
            an_import_replaces_an_incomplete_row
            an_import_of_nothing_is_complete_with_its_empty_chunk
            an_import_ends_once
            an_unfinished_import_is_gone_after_reopening
            everything_else_is_there_after_reopening
            putting_twice_changes_nothing
            a_batch_may_name_a_chunk_twice
            chunks_that_are_not_there_are_not_found
            rows_that_are_not_there_are_not_found
            a_batch_over_the_quota_leaves_nothing
            the_quota_bounds_only_what_is_new
            removing_frees_the_bytes_and_the_hash
            removed_chunks_can_be_put_again
            row_ids_are_never_reused
            size_meta_and_pin_are_kept
            values_are_set_replaced_and_removed
            concurrent_puts_all_arrive
            a_big_batch_arrives_whole
            clones_share_one_content
            a_closed_store_says_so
            small_blobs_are_kept_many_at_once
            many_pins_are_set_at_once
            what_is_kept_for_others_is_found_and_removed
            what_is_kept_for_others_counts_and_is_bounded
            what_is_kept_for_others_is_there_after_reopening
        );
    };
    (@cases $test:meta, $backend:expr, $($case:ident)*) => {
        $(
            #[$test]
            async fn $case() {
                $crate::store::conformance::$case(&$backend).await;
            }
        )*
    };
}

pub async fn created_rows_are_found_and_never_doubled<B: Backend>(backend: &B) {
    let store = backend.fresh("created").await;
    assert_eq!(store.row_of(hash(1)).await.unwrap(), None);
    let row = store
        .create(hash(1), Bytes::from_static(b"first"))
        .await
        .unwrap();
    let expected = BlobRow {
        id: row.id,
        hash: Some(hash(1)),
        size: None,
        tree: Bytes::new(),
        pinned: false,
        meta: Bytes::from_static(b"first"),
        stored_bytes: 0,
    };
    assert_eq!(row, expected);
    assert_eq!(
        store
            .create(hash(1), Bytes::from_static(b"second"))
            .await
            .unwrap(),
        expected
    );
    assert_eq!(store.row_of(hash(1)).await.unwrap(), Some(expected.clone()));
    assert_eq!(store.row_of(hash(2)).await.unwrap(), None);
    assert_eq!(store.rows().await.unwrap(), [expected]);
    store.close().await;
}

pub async fn rows_come_in_order_of_creation<B: Backend>(backend: &B) {
    let store = backend.fresh("order").await;
    let mut ids = Vec::new();
    // Hashes fall while ids grow, and there are more rows than any backend reads at once.
    for n in (0..150).rev() {
        ids.push(store.create(hash(n), Bytes::new()).await.unwrap().id);
    }
    assert!(ids.is_sorted());
    let listed: Vec<RowId> = store
        .rows()
        .await
        .unwrap()
        .iter()
        .map(|row| row.id)
        .collect();
    assert_eq!(listed, ids);
    store.close().await;
}

pub async fn everything_else_is_there_after_reopening<B: Backend>(backend: &B) {
    let store = backend.fresh("reopened").await;
    let import = store.begin_import().await.unwrap();
    store.put_chunks(import, chunks(0..2)).await.unwrap();
    let tree = Bytes::from(vec![9; 64]);
    store
        .finish_import(import, hash(1), size(2), tree, Bytes::from_static(b"a"))
        .await
        .unwrap();
    let fetch = store
        .create(hash(2), Bytes::from_static(b"b"))
        .await
        .unwrap()
        .id;
    store.put_chunks(fetch, chunks(5..7)).await.unwrap();
    store.set_pinned(fetch, true).await.unwrap();
    store
        .set_value("identity", Some(Bytes::from_static(b"key")))
        .await
        .unwrap();
    store.set_quota(64 * CHUNK_SIZE).await.unwrap();
    let rows = store.rows().await.unwrap();
    let usage = store.usage().await.unwrap();

    let Some(store) = backend.reopen("reopened", store).await else {
        return;
    };
    assert_eq!(store.rows().await.unwrap(), rows);
    assert_eq!(store.usage().await.unwrap(), usage);
    assert_eq!(
        store.stored_chunks(fetch).await.unwrap(),
        [ChunkIndex(5), ChunkIndex(6)]
    );
    assert_eq!(store.chunk(import, ChunkIndex(1)).await.unwrap(), chunk(1));
    assert_eq!(store.chunk(fetch, ChunkIndex(6)).await.unwrap(), chunk(6));
    assert_eq!(store.value("identity").await.unwrap().unwrap(), "key");
    store.close().await;
}

pub async fn putting_twice_changes_nothing<B: Backend>(backend: &B) {
    let store = backend.fresh("twice").await;
    let id = store.create(hash(1), Bytes::new()).await.unwrap().id;
    store.put_chunks(id, chunks(0..2)).await.unwrap();
    let other = StoredChunk {
        data: Bytes::from_static(b"other"),
        ..chunk(1)
    };
    store.put_chunks(id, vec![other, chunk(2)]).await.unwrap();
    assert_eq!(store.chunk(id, ChunkIndex(1)).await.unwrap(), chunk(1));
    assert_eq!(
        store.row_of(hash(1)).await.unwrap().unwrap().stored_bytes,
        3 * CHUNK_SIZE
    );
    assert_eq!(store.usage().await.unwrap().used, 3 * CHUNK_SIZE);
    store.put_chunks(id, Vec::new()).await.unwrap();
    assert_eq!(store.usage().await.unwrap().used, 3 * CHUNK_SIZE);
    store.close().await;
}

pub async fn a_batch_may_name_a_chunk_twice<B: Backend>(backend: &B) {
    let store = backend.fresh("named-twice").await;
    let id = store.create(hash(1), Bytes::new()).await.unwrap().id;
    let other = StoredChunk {
        data: Bytes::from_static(b"other"),
        ..chunk(3)
    };
    store.put_chunks(id, vec![chunk(3), other]).await.unwrap();
    assert_eq!(store.chunk(id, ChunkIndex(3)).await.unwrap(), chunk(3));
    assert_eq!(store.usage().await.unwrap().used, CHUNK_SIZE);
    store.close().await;
}

pub async fn chunks_that_are_not_there_are_not_found<B: Backend>(backend: &B) {
    let store = backend.fresh("no-chunk").await;
    let id = store.create(hash(1), Bytes::new()).await.unwrap().id;
    let next = store.create(hash(2), Bytes::new()).await.unwrap().id;
    store.put_chunks(next, chunks(0..1)).await.unwrap();
    assert_eq!(store.stored_chunks(id).await.unwrap(), []);
    // 1 << 22 is one past the last chunk of the largest blob: it must not reach into the next row.
    for index in [0, 1, 1 << 22, u32::MAX] {
        assert_not_found(store.chunk(id, ChunkIndex(index)).await);
    }
    store.close().await;
}

pub async fn rows_that_are_not_there_are_not_found<B: Backend>(backend: &B) {
    let store = backend.fresh("no-row").await;
    for id in [RowId(99), RowId(u64::MAX)] {
        assert_not_found(store.put_chunks(id, chunks(0..1)).await);
        assert_not_found(store.chunk(id, ChunkIndex(0)).await);
        assert_not_found(store.stored_chunks(id).await);
        assert_not_found(store.set_size(id, size(1)).await);
        assert_not_found(store.set_meta(id, Bytes::new()).await);
        assert_not_found(store.set_pinned(id, true).await);
        assert_not_found(store.remove(id).await);
        assert_not_found(store.remove_chunks(id, vec![ChunkIndex(0)]).await);
        let finished = store
            .finish_import(id, hash(1), size(1), Bytes::new(), Bytes::new())
            .await;
        assert_not_found(finished);
    }
    assert_eq!(store.rows().await.unwrap(), []);
    assert_eq!(store.usage().await.unwrap().used, 0);
    store.close().await;
}

pub async fn a_batch_over_the_quota_leaves_nothing<B: Backend>(backend: &B) {
    let store = backend.fresh("quota").await;
    store.set_quota(3 * CHUNK_SIZE).await.unwrap();
    let id = store.create(hash(1), Bytes::new()).await.unwrap().id;
    store.put_chunks(id, chunks(0..2)).await.unwrap();
    let refused = store.put_chunks(id, chunks(2..4)).await;
    assert!(
        matches!(refused, Err(StoreError::QuotaExceeded)),
        "{refused:?}"
    );
    assert_eq!(
        store.stored_chunks(id).await.unwrap(),
        [ChunkIndex(0), ChunkIndex(1)]
    );
    assert_not_found(store.chunk(id, ChunkIndex(2)).await);
    assert_eq!(
        store.row_of(hash(1)).await.unwrap().unwrap().stored_bytes,
        2 * CHUNK_SIZE
    );
    let usage = store.usage().await.unwrap();
    assert_eq!((usage.used, usage.quota), (2 * CHUNK_SIZE, 3 * CHUNK_SIZE));

    store.set_quota(4 * CHUNK_SIZE).await.unwrap();
    store.put_chunks(id, chunks(2..4)).await.unwrap();
    assert_eq!(store.usage().await.unwrap().used, 4 * CHUNK_SIZE);
    store.close().await;
}

pub async fn the_quota_bounds_only_what_is_new<B: Backend>(backend: &B) {
    let store = backend.fresh("quota-new").await;
    let id = store.create(hash(1), Bytes::new()).await.unwrap().id;
    store.put_chunks(id, chunks(0..3)).await.unwrap();
    store.set_quota(CHUNK_SIZE).await.unwrap();
    assert_eq!(
        store.stored_chunks(id).await.unwrap().len(),
        3,
        "lowering it removes nothing"
    );
    store.put_chunks(id, chunks(0..3)).await.unwrap();
    assert!(matches!(
        store.put_chunks(id, chunks(3..4)).await,
        Err(StoreError::QuotaExceeded)
    ));
    store
        .set_meta(id, Bytes::from_static(b"still writable"))
        .await
        .unwrap();
    store.close().await;
}

pub async fn removing_frees_the_bytes_and_the_hash<B: Backend>(backend: &B) {
    let store = backend.fresh("removed").await;
    let gone = store.create(hash(1), Bytes::new()).await.unwrap().id;
    let kept = store.create(hash(2), Bytes::new()).await.unwrap().id;
    store.put_chunks(gone, chunks(0..3)).await.unwrap();
    store.put_chunks(kept, chunks(0..2)).await.unwrap();
    store.remove(gone).await.unwrap();
    assert_eq!(store.usage().await.unwrap().used, 2 * CHUNK_SIZE);
    assert_eq!(store.row_of(hash(1)).await.unwrap(), None);
    assert_not_found(store.chunk(gone, ChunkIndex(0)).await);
    assert_not_found(store.put_chunks(gone, chunks(0..1)).await);
    assert_not_found(store.remove(gone).await);
    assert_eq!(store.chunk(kept, ChunkIndex(1)).await.unwrap(), chunk(1));
    let again = store.create(hash(1), Bytes::new()).await.unwrap();
    assert_eq!(store.stored_chunks(again.id).await.unwrap(), []);
    store.close().await;
}

pub async fn removed_chunks_can_be_put_again<B: Backend>(backend: &B) {
    let store = backend.fresh("removed-chunks").await;
    let id = store.create(hash(1), Bytes::new()).await.unwrap().id;
    store.put_chunks(id, chunks(0..4)).await.unwrap();
    // One twice, one that was never there, one that cannot be.
    let gone = [1, 3, 1, 9, u32::MAX].map(ChunkIndex).to_vec();
    store.remove_chunks(id, gone).await.unwrap();
    assert_eq!(
        store.stored_chunks(id).await.unwrap(),
        [ChunkIndex(0), ChunkIndex(2)]
    );
    assert_not_found(store.chunk(id, ChunkIndex(1)).await);
    let row = store.row_of(hash(1)).await.unwrap().unwrap();
    assert_eq!(row.stored_bytes, 2 * CHUNK_SIZE);
    assert_eq!(store.usage().await.unwrap().used, 2 * CHUNK_SIZE);
    let other = StoredChunk {
        data: Bytes::from_static(b"other"),
        ..chunk(1)
    };
    store.put_chunks(id, vec![other.clone()]).await.unwrap();
    assert_eq!(store.chunk(id, ChunkIndex(1)).await.unwrap(), other);
    store.close().await;
}

pub async fn row_ids_are_never_reused<B: Backend>(backend: &B) {
    let store = backend.fresh("ids").await;
    let first = store.create(hash(1), Bytes::new()).await.unwrap().id;
    store.remove(first).await.unwrap();
    let second = store.create(hash(1), Bytes::new()).await.unwrap().id;
    assert!(second > first);
    store.remove(second).await.unwrap();
    let Some(store) = backend.reopen("ids", store).await else {
        return;
    };
    assert!(store.begin_import().await.unwrap() > second);
    store.close().await;
}

pub async fn size_meta_and_pin_are_kept<B: Backend>(backend: &B) {
    let store = backend.fresh("fields").await;
    let id = store
        .create(hash(1), Bytes::from_static(b"old"))
        .await
        .unwrap()
        .id;
    let largest = BlobSize::new(crate::proto::types::MAX_BLOB_SIZE).unwrap();
    store.set_size(id, largest).await.unwrap();
    store
        .set_meta(id, Bytes::from_static(b"new"))
        .await
        .unwrap();
    store.set_pinned(id, true).await.unwrap();
    let row = store.row_of(hash(1)).await.unwrap().unwrap();
    assert_eq!(
        (row.size, &row.meta[..], row.pinned),
        (Some(largest), &b"new"[..], true)
    );
    store.set_pinned(id, false).await.unwrap();
    assert!(!store.row_of(hash(1)).await.unwrap().unwrap().pinned);
    store.close().await;
}

pub async fn values_are_set_replaced_and_removed<B: Backend>(backend: &B) {
    let store = backend.fresh("values").await;
    assert_eq!(store.value("a").await.unwrap(), None);
    store
        .set_value("a", Some(Bytes::from_static(b"1")))
        .await
        .unwrap();
    store.set_value("b", Some(Bytes::new())).await.unwrap();
    store
        .set_value("a", Some(Bytes::from_static(b"2")))
        .await
        .unwrap();
    assert_eq!(store.value("a").await.unwrap().unwrap(), "2");
    assert_eq!(store.value("b").await.unwrap().unwrap(), "");
    store.set_value("a", None).await.unwrap();
    store.set_value("never there", None).await.unwrap();
    assert_eq!(store.value("a").await.unwrap(), None);
    assert_eq!(
        store.usage().await.unwrap().used,
        0,
        "values are not chunk data"
    );
    store.close().await;
}

pub async fn concurrent_puts_all_arrive<B: Backend>(backend: &B) {
    let store = backend.fresh("concurrent").await;
    let one = store.create(hash(1), Bytes::new()).await.unwrap().id;
    let two = store.create(hash(2), Bytes::new()).await.unwrap().id;
    // The first two overlap in chunks 2 and 3, which must be counted once.
    let overlapping = join(
        store.put_chunks(one, chunks(0..4)),
        store.put_chunks(one, chunks(2..6)),
    );
    let ((first, second), third) = join(overlapping, store.put_chunks(two, chunks(0..4))).await;
    first.and(second).and(third).unwrap();
    assert_eq!(
        store.row_of(hash(1)).await.unwrap().unwrap().stored_bytes,
        6 * CHUNK_SIZE
    );
    assert_eq!(
        store.row_of(hash(2)).await.unwrap().unwrap().stored_bytes,
        4 * CHUNK_SIZE
    );
    assert_eq!(store.usage().await.unwrap().used, 10 * CHUNK_SIZE);

    let (created, again) = join(
        store.create(hash(3), Bytes::new()),
        store.create(hash(3), Bytes::new()),
    )
    .await;
    assert_eq!(created.unwrap().id, again.unwrap().id);
    store.close().await;
}

pub async fn a_big_batch_arrives_whole<B: Backend>(backend: &B) {
    let store = backend.fresh("big-batch").await;
    let id = store.create(hash(1), Bytes::new()).await.unwrap().id;
    store.put_chunks(id, chunks(0..64)).await.unwrap();
    let indexes: Vec<ChunkIndex> = (0..64).map(ChunkIndex).collect();
    assert_eq!(store.stored_chunks(id).await.unwrap(), indexes);
    for index in [0, 31, 63] {
        assert_eq!(
            store.chunk(id, ChunkIndex(index)).await.unwrap(),
            chunk(index)
        );
    }
    store.close().await;
}

pub async fn clones_share_one_content<B: Backend>(backend: &B) {
    let store = backend.fresh("clones").await;
    let clone = store.clone();
    let id = clone.create(hash(1), Bytes::new()).await.unwrap().id;
    drop(clone);
    store.put_chunks(id, chunks(0..1)).await.unwrap();
    assert_eq!(store.clone().usage().await.unwrap().used, CHUNK_SIZE);
    store.close().await;
}

pub async fn small_blobs_are_kept_many_at_once<B: Backend>(backend: &B) {
    let store = backend.fresh("small").await;
    let small = |n: u8, pinned| SmallBlob {
        hash: hash(n),
        data: Bytes::from(vec![n; 100 + usize::from(n)]),
        tree: Bytes::from(vec![n; 32]),
        meta: Bytes::from(vec![n]),
        pinned,
    };
    // One is there whole, one in part.
    let whole = store.put_small(vec![small(1, false)]).await.unwrap();
    let part = store
        .create(hash(2), Bytes::from_static(b"old"))
        .await
        .unwrap();
    let rows = store
        .put_small((1..=50).map(|n| small(n, n % 2 == 1)).collect())
        .await
        .unwrap();
    assert_eq!(rows.len(), 50);
    assert_eq!(rows[0].id, whole[0].id, "it was there");
    assert_ne!(rows[1].id, part.id, "it was replaced");
    let mut used = 0;
    for (n, row) in (1..=50u8).zip(&rows) {
        let expected = BlobRow {
            id: row.id,
            hash: Some(hash(n)),
            size: BlobSize::new(100 + u64::from(n)),
            tree: Bytes::from(vec![n; 32]),
            pinned: n % 2 == 1,
            meta: Bytes::from(vec![n]),
            stored_bytes: 100 + u64::from(n),
        };
        assert_eq!(row, &expected);
        assert_eq!(store.row_of(hash(n)).await.unwrap(), Some(expected));
        let chunk = store.chunk(row.id, ChunkIndex(0)).await.unwrap();
        assert_eq!(chunk.data, vec![n; 100 + usize::from(n)]);
        used += row.stored_bytes;
    }
    assert_eq!(store.usage().await.unwrap().used, used);
    // A pin is not taken away, and what does not fit is not there.
    let again = store.put_small(vec![small(1, false)]).await.unwrap();
    assert!(again[0].pinned);
    store.set_quota(used + 10).await.unwrap();
    let full = store.put_small(vec![small(60, true)]).await;
    assert!(matches!(full, Err(StoreError::QuotaExceeded)));
    assert_eq!(store.row_of(hash(60)).await.unwrap(), None);
    assert_eq!(store.usage().await.unwrap().used, used);
    store.close().await;
}

pub async fn many_pins_are_set_at_once<B: Backend>(backend: &B) {
    let store = backend.fresh("pins").await;
    let mut ids = Vec::new();
    for n in 0..5 {
        ids.push(store.create(hash(n), Bytes::new()).await.unwrap().id);
    }
    store.remove(ids[4]).await.unwrap();
    store.set_all_pinned(ids[1..].to_vec(), true).await.unwrap();
    let pinned: Vec<_> = store
        .rows()
        .await
        .unwrap()
        .iter()
        .map(|row| row.pinned)
        .collect();
    assert_eq!(pinned, [false, true, true, true]);
    store.set_all_pinned(vec![ids[2]], false).await.unwrap();
    let row = store.row_of(hash(2)).await.unwrap().unwrap();
    assert!(!row.pinned);
    store.close().await;
}

pub async fn a_closed_store_says_so<B: Backend>(backend: &B) {
    let store = backend.fresh("closed").await;
    let clone = store.clone();
    let id = store.create(hash(1), Bytes::new()).await.unwrap().id;
    store.close().await;
    store.close().await;
    assert!(matches!(clone.rows().await, Err(StoreError::Backend(_))));
    assert!(matches!(
        clone.put_chunks(id, chunks(0..1)).await,
        Err(StoreError::Backend(_))
    ));
    assert!(matches!(
        clone.set_value("a", None).await,
        Err(StoreError::Backend(_))
    ));
}

fn hash(n: u8) -> BlobHash {
    BlobHash([n; 32])
}

fn size(chunks: u64) -> BlobSize {
    BlobSize::new(chunks * CHUNK_SIZE).unwrap()
}

/// A full chunk whose bytes and proof tell its index.
fn chunk(index: u32) -> StoredChunk {
    let data = index.to_le_bytes().repeat(CHUNK_SIZE as usize / 4);
    let proof = index.to_be_bytes().repeat(16);
    StoredChunk {
        index: ChunkIndex(index),
        data: data.into(),
        proof: proof.into(),
    }
}

fn chunks(range: std::ops::Range<u32>) -> Vec<StoredChunk> {
    range.map(chunk).collect()
}

fn assert_not_found<T: std::fmt::Debug>(result: Result<T, StoreError>) {
    assert!(matches!(result, Err(StoreError::NotFound)), "{result:?}");
}

/// Polls both until both are ready; the suite must build without an async library.
async fn join<A: Future, B: Future>(a: A, b: B) -> (A::Output, B::Output) {
    let (mut a, mut b) = (pin!(a), pin!(b));
    let (mut out_a, mut out_b) = (None, None);
    poll_fn(move |cx| {
        if out_a.is_none()
            && let Poll::Ready(output) = a.as_mut().poll(cx)
        {
            out_a = Some(output);
        }
        if out_b.is_none()
            && let Poll::Ready(output) = b.as_mut().poll(cx)
        {
            out_b = Some(output);
        }
        match (out_a.take(), out_b.take()) {
            (Some(a), Some(b)) => Poll::Ready((a, b)),
            (a, b) => {
                (out_a, out_b) = (a, b);
                Poll::Pending
            }
        }
    })
    .await
}
