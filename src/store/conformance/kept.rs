//! What is kept for others.

use bytes::Bytes;

use super::{Backend, assert_not_found};
use crate::store::{Kept, Store, StoreError};

fn kept(key: u8, head: &'static [u8], bytes: usize) -> Kept {
    Kept {
        key: [key; 32],
        head: Bytes::from_static(head),
        body: vec![key; bytes].into(),
    }
}

pub async fn what_is_kept_for_others_is_found_and_removed<B: Backend>(backend: &B) {
    let store = backend.fresh("kept").await;
    assert_eq!(store.kept_heads().await.unwrap(), []);
    assert_not_found(store.kept_body([1; 32]).await);
    for n in [9, 1, 5] {
        store.put_kept(kept(n, b"head", 16_384)).await.unwrap();
    }
    store.put_kept(kept(5, b"another", 0)).await.unwrap();
    let heads = store.kept_heads().await.unwrap();
    let expected: Vec<([u8; 32], Bytes)> = [(1, &b"head"[..]), (5, b"another"), (9, b"head")]
        .into_iter()
        .map(|(key, head)| ([key; 32], Bytes::from_static(head)))
        .collect();
    assert_eq!(heads, expected);
    assert_eq!(store.kept_body([9; 32]).await.unwrap(), vec![9; 16_384]);
    assert_eq!(store.kept_body([5; 32]).await.unwrap(), Bytes::new());
    store
        .remove_kept(vec![[9; 32], [2; 32], [5; 32]])
        .await
        .unwrap();
    assert_not_found(store.kept_body([9; 32]).await);
    assert_eq!(store.kept_heads().await.unwrap().len(), 1);
    assert_eq!(store.usage().await.unwrap().used, 16_384 + 4);
    store.close().await;
}

pub async fn what_is_kept_for_others_counts_and_is_bounded<B: Backend>(backend: &B) {
    let store = backend.fresh("kept quota").await;
    store.set_quota(2_000).await.unwrap();
    store.put_kept(kept(1, b"", 1_000)).await.unwrap();
    store.put_kept(kept(2, b"ten bytes!", 990)).await.unwrap();
    let full = store.put_kept(kept(3, b"", 1)).await;
    assert!(matches!(full, Err(StoreError::QuotaExceeded)), "{full:?}");
    assert_not_found(store.kept_body([3; 32]).await);
    // What replaces something larger fits.
    store.put_kept(kept(1, b"", 500)).await.unwrap();
    assert_eq!(store.usage().await.unwrap().used, 1_500);
    let full = store.put_kept(kept(1, b"", 1_001)).await;
    assert!(matches!(full, Err(StoreError::QuotaExceeded)), "{full:?}");
    assert_eq!(store.kept_body([1; 32]).await.unwrap().len(), 500);
    store
        .remove_kept(vec![[1; 32], [2; 32], [2; 32]])
        .await
        .unwrap();
    assert_eq!(store.usage().await.unwrap().used, 0);
    store.close().await;
}

pub async fn what_is_kept_for_others_is_there_after_reopening<B: Backend>(backend: &B) {
    let store = backend.fresh("kept again").await;
    store.put_kept(kept(7, b"seven", 3_000)).await.unwrap();
    let Some(store) = backend.reopen("kept again", store).await else {
        return;
    };
    let heads = store.kept_heads().await.unwrap();
    assert_eq!(heads, [([7; 32], Bytes::from_static(b"seven"))]);
    assert_eq!(store.kept_body([7; 32]).await.unwrap(), vec![7; 3_000]);
    assert_eq!(store.usage().await.unwrap().used, 3_005);
    store.close().await;
}
