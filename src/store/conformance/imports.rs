//! What begins as an import and ends as a blob, or does not.

use super::*;

pub async fn an_import_becomes_a_row_at_its_end<B: Backend>(backend: &B) {
    let store = backend.fresh("import").await;
    let id = store.begin_import().await.unwrap();
    assert_eq!(store.rows().await.unwrap(), []);
    store.put_chunks(id, chunks(0..3)).await.unwrap();
    let tree = Bytes::from(vec![7; 96]);
    let meta = Bytes::from_static(b"name");
    let row = store
        .finish_import(id, hash(1), size(3), tree.clone(), meta.clone())
        .await
        .unwrap();
    let expected = BlobRow {
        id,
        hash: Some(hash(1)),
        size: Some(size(3)),
        tree,
        pinned: false,
        meta,
        stored_bytes: 3 * CHUNK_SIZE,
    };
    assert_eq!(row, expected);
    assert_eq!(store.row_of(hash(1)).await.unwrap(), Some(expected.clone()));
    assert_eq!(store.rows().await.unwrap(), [expected]);
    assert_eq!(store.chunk(id, ChunkIndex(2)).await.unwrap(), chunk(2));
    // Several at once, as asked for; one that is missing spoils none of the others.
    let wanted = [ChunkIndex(2), ChunkIndex(7), ChunkIndex(0), ChunkIndex(2)];
    let mut read = store.chunks(id, &wanted).await.into_iter();
    assert_eq!(read.next().unwrap().unwrap(), chunk(2));
    assert_not_found(read.next().unwrap());
    assert_eq!(read.next().unwrap().unwrap(), chunk(0));
    assert_eq!(read.next().unwrap().unwrap(), chunk(2));
    assert!(read.next().is_none());
    store.close().await;
}

pub async fn an_import_of_a_complete_blob_yields_the_present_row<B: Backend>(backend: &B) {
    let store = backend.fresh("import-again").await;
    let fetched = store
        .create(hash(1), Bytes::from_static(b"fetched"))
        .await
        .unwrap();
    store.put_chunks(fetched.id, chunks(0..2)).await.unwrap();
    store.set_size(fetched.id, size(2)).await.unwrap();

    let import = store.begin_import().await.unwrap();
    store.put_chunks(import, chunks(0..2)).await.unwrap();
    assert_eq!(store.usage().await.unwrap().used, 4 * CHUNK_SIZE);
    let row = store
        .finish_import(import, hash(1), size(2), Bytes::new(), Bytes::new())
        .await
        .unwrap();
    assert_eq!(row.id, fetched.id);
    assert_eq!(row.meta, "fetched");
    assert_eq!(store.usage().await.unwrap().used, 2 * CHUNK_SIZE);
    assert_not_found(store.chunk(import, ChunkIndex(0)).await);
    assert_not_found(store.stored_chunks(import).await);
    assert_eq!(store.rows().await.unwrap(), [row]);
    store.close().await;
}

pub async fn an_import_replaces_an_incomplete_row<B: Backend>(backend: &B) {
    let store = backend.fresh("import-replaces").await;
    let fetched = store
        .create(hash(1), Bytes::from_static(b"fetched"))
        .await
        .unwrap();
    store.put_chunks(fetched.id, chunks(0..1)).await.unwrap();
    store.set_size(fetched.id, size(2)).await.unwrap();
    store.set_pinned(fetched.id, true).await.unwrap();

    let import = store.begin_import().await.unwrap();
    store.put_chunks(import, chunks(0..2)).await.unwrap();
    let meta = Bytes::from_static(b"imported");
    let row = store
        .finish_import(import, hash(1), size(2), Bytes::new(), meta)
        .await
        .unwrap();
    assert_eq!((row.id, &row.meta[..]), (import, &b"imported"[..]));
    assert!(row.pinned, "what was kept on purpose stays so");
    assert_eq!(store.rows().await.unwrap(), std::slice::from_ref(&row));
    assert_eq!(store.row_of(hash(1)).await.unwrap(), Some(row));
    assert_not_found(store.chunk(fetched.id, ChunkIndex(0)).await);
    assert_eq!(store.usage().await.unwrap().used, 2 * CHUNK_SIZE);
    store.close().await;
}

pub async fn an_import_of_nothing_is_complete_with_its_empty_chunk<B: Backend>(backend: &B) {
    let store = backend.fresh("import-empty").await;
    let empty = || StoredChunk {
        index: ChunkIndex(0),
        data: Bytes::new(),
        proof: Bytes::new(),
    };
    let nothing = BlobSize::new(0).unwrap();
    let fetched = store.create(hash(1), Bytes::new()).await.unwrap();
    store.set_size(fetched.id, nothing).await.unwrap();

    let first = store.begin_import().await.unwrap();
    store.put_chunks(first, vec![empty()]).await.unwrap();
    let row = store
        .finish_import(first, hash(1), nothing, Bytes::new(), Bytes::new())
        .await
        .unwrap();
    assert_eq!(
        row.id, first,
        "the present row had no chunk yet: incomplete"
    );
    assert_eq!(store.chunk(first, ChunkIndex(0)).await.unwrap(), empty());

    let second = store.begin_import().await.unwrap();
    store.put_chunks(second, vec![empty()]).await.unwrap();
    let row = store
        .finish_import(second, hash(1), nothing, Bytes::new(), Bytes::new())
        .await
        .unwrap();
    assert_eq!(row.id, first);
    store.close().await;
}

pub async fn an_import_ends_once<B: Backend>(backend: &B) {
    let store = backend.fresh("import-once").await;
    let id = store.begin_import().await.unwrap();
    store.put_chunks(id, chunks(0..1)).await.unwrap();
    store
        .finish_import(id, hash(1), size(1), Bytes::new(), Bytes::new())
        .await
        .unwrap();
    for other in [1, 2] {
        let again = store
            .finish_import(id, hash(other), size(1), Bytes::new(), Bytes::new())
            .await;
        assert_not_found(again);
    }
    assert_eq!(store.row_of(hash(2)).await.unwrap(), None);
    assert_eq!(store.stored_chunks(id).await.unwrap(), [ChunkIndex(0)]);
    store.close().await;
}

pub async fn an_unfinished_import_is_gone_after_reopening<B: Backend>(backend: &B) {
    let store = backend.fresh("import-unfinished").await;
    let kept = store.create(hash(1), Bytes::new()).await.unwrap().id;
    store.put_chunks(kept, chunks(0..1)).await.unwrap();
    let lost = store.begin_import().await.unwrap();
    store.put_chunks(lost, chunks(0..4)).await.unwrap();
    let Some(store) = backend.reopen("import-unfinished", store).await else {
        return;
    };
    assert_eq!(store.usage().await.unwrap().used, CHUNK_SIZE);
    assert_not_found(store.chunk(lost, ChunkIndex(0)).await);
    assert_not_found(store.put_chunks(lost, chunks(4..5)).await);
    assert_eq!(store.rows().await.unwrap().len(), 1);
    assert!(
        store.begin_import().await.unwrap() > lost,
        "the handle of a lost import stays unused"
    );
    store.close().await;
}
