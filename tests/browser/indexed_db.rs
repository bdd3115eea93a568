//! The store in IndexedDB: the conformance suite, then what is particular to a database that outlives its page.
#![allow(clippy::unwrap_used)]

use bytes::Bytes;
use futures::{StreamExt, TryStreamExt};
use gyre::proto::types::{BlobHash, BlobSize, CHUNK_SIZE, ChunkIndex};
use gyre::store::conformance::Backend;
use gyre::store::indexed_db::IndexedDbStore;
use gyre::store::indexed_db::schema::{CHUNKS, COUNTERS, Migration, ROWS, Schema};
use gyre::store::{Kept, RowId, Store, StoreError, StoredChunk};
use js_sys::{Object, Reflect, Uint8Array};
use rexie::{Rexie, Transaction, TransactionMode};
use wasm_bindgen::{JsCast, JsValue};
use wasm_bindgen_test::{console_log, wasm_bindgen_test};

struct IndexedDb;

impl Backend for IndexedDb {
    type Store = IndexedDbStore;

    async fn fresh(&self, name: &str) -> IndexedDbStore {
        fresh(name).await
    }

    async fn reopen(&self, name: &str, store: IndexedDbStore) -> Option<IndexedDbStore> {
        store.close().await;
        Some(IndexedDbStore::open(name).await.unwrap())
    }
}

gyre::store_conformance!(wasm_bindgen_test, IndexedDb);

#[wasm_bindgen_test]
async fn a_database_has_one_owner() {
    let store = fresh("owner").await;
    assert!(matches!(
        IndexedDbStore::open("owner").await,
        Err(StoreError::Busy)
    ));
    let other = fresh("another owner").await;
    other.close().await;

    store.close().await;
    let store = IndexedDbStore::open("owner").await.unwrap();
    assert!(matches!(
        IndexedDbStore::open("owner").await,
        Err(StoreError::Busy)
    ));
    store.close().await;
}

#[wasm_bindgen_test]
async fn dropping_the_last_clone_frees_the_database() {
    let store = fresh("dropped").await;
    let clone = store.clone();
    drop(store);
    assert!(matches!(
        IndexedDbStore::open("dropped").await,
        Err(StoreError::Busy)
    ));
    drop(clone);
    // The platform frees the lock in a task of its own, so one attempt may still come too early.
    for _ in 0..100 {
        match IndexedDbStore::open("dropped").await {
            Ok(store) => return store.close().await,
            Err(StoreError::Busy) => {}
            Err(error) => panic!("{error}"),
        }
    }
    panic!("the lock is still held");
}

#[wasm_bindgen_test]
async fn closing_waits_for_writes_under_way() {
    let store = fresh("close-while-writing").await;
    let id = store.create(hash(1), Bytes::new()).await.unwrap().id;
    let (put, ()) = futures::join!(store.put_chunks(id, chunks(0..8)), store.close());
    put.unwrap();
    let store = IndexedDbStore::open("close-while-writing").await.unwrap();
    assert_eq!(store.stored_chunks(id).await.unwrap().len(), 8);
    store.close().await;
}

#[wasm_bindgen_test]
async fn a_put_whose_caller_left_is_whole() {
    let store = fresh("caller-left").await;
    let id = store.create(hash(1), Bytes::new()).await.unwrap().id;
    for turn in 0..20_u32 {
        let mut put = Box::pin(store.put_chunks(id, chunks(turn * 4..turn * 4 + 4)));
        // Leave after 0 to 4 steps of another task of the page.
        for _ in 0..turn % 5 {
            if futures::poll!(put.as_mut()).is_ready() {
                break;
            }
            store.value("a step").await.unwrap();
        }
        drop(put);
    }
    store.close().await;
    let store = IndexedDbStore::open("caller-left").await.unwrap();
    let stored = store.stored_chunks(id).await.unwrap();
    assert!(!stored.is_empty());
    for batch in stored.chunk_by(|a, b| a.0 / 4 == b.0 / 4) {
        assert_eq!(batch.len(), 4, "half a batch: {batch:?}");
    }
    let row = store.row_of(hash(1)).await.unwrap().unwrap();
    assert_eq!(row.stored_bytes, stored.len() as u64 * CHUNK_SIZE);
    assert_eq!(store.usage().await.unwrap().used, row.stored_bytes);
    store.close().await;
}

#[wasm_bindgen_test]
async fn large_chunks_lie_in_a_file_of_their_row() {
    let name = "large/chunks";
    let store = fresh(name).await;
    let id = store.create(hash(1), Bytes::new()).await.unwrap().id;
    let tail = StoredChunk {
        index: ChunkIndex(3),
        data: Bytes::from_static(b"the rest"),
        proof: Bytes::new(),
    };
    store
        .put_chunks(id, [chunks(0..3), vec![tail.clone()]].concat())
        .await
        .unwrap();
    let other = store.create(hash(2), Bytes::new()).await.unwrap().id;
    store.put_chunks(other, chunks(0..1)).await.unwrap();
    assert_eq!(files(name).await, [id.0.to_string(), other.0.to_string()]);

    // Only where the data is stands in the database, but for a small one.
    let raw = Rexie::builder(name).build().await.unwrap();
    let tx = raw
        .transaction(&[CHUNKS], TransactionMode::ReadOnly)
        .unwrap();
    let records = tx.store(CHUNKS).unwrap().get_all(None, None).await.unwrap();
    let lengths: Vec<_> = records
        .iter()
        .map(|r| js_sys::Array::from(r).get(0).as_f64())
        .collect();
    let whole = Some(CHUNK_SIZE as f64);
    assert_eq!(lengths, [whole, whole, whole, None, whole]);
    drop(tx);
    raw.close();

    // In any order, with what is small and what is not there among them; again by whoever opens it next.
    let mut store = store;
    for _ in 0..2 {
        let wanted = [2, 3, 9, 0].map(ChunkIndex);
        let read = store.chunks(id, &wanted).await;
        assert_eq!(*read[0].as_ref().unwrap(), chunk(2));
        assert_eq!(*read[1].as_ref().unwrap(), tail);
        assert!(matches!(read[2], Err(StoreError::NotFound)));
        assert_eq!(*read[3].as_ref().unwrap(), chunk(0));
        store.close().await;
        store = IndexedDbStore::open(name).await.unwrap();
    }
    store.close().await;
}

#[wasm_bindgen_test]
async fn a_file_goes_with_its_row_and_what_it_lost_reads_as_zeros() {
    let name = "files-go";
    let store = fresh(name).await;
    let id = store.create(hash(1), Bytes::new()).await.unwrap().id;
    store.put_chunks(id, chunks(0..2)).await.unwrap();
    let gone = store.create(hash(2), Bytes::new()).await.unwrap().id;
    store.put_chunks(gone, chunks(0..2)).await.unwrap();
    store.remove(gone).await.unwrap();
    assert_eq!(files(name).await, [id.0.to_string()]);
    store.close().await;

    // A file of nobody, and one that was cut off behind our back.
    in_folder(
        name,
        &format!(
            "(await folder.getFileHandle('77', {{ create: true }})); \
             const cut = await (await folder.getFileHandle('{}')).createWritable(); await cut.truncate({CHUNK_SIZE}); await cut.close();",
            id.0
        ),
    )
    .await;
    let store = IndexedDbStore::open(name).await.unwrap();
    assert_eq!(
        store.chunk(id, ChunkIndex(0)).await.unwrap().data,
        chunk(0).data
    );
    let lost = store.chunk(id, ChunkIndex(1)).await.unwrap();
    assert_eq!(lost.data, vec![0; CHUNK_SIZE as usize]);
    assert_eq!(files(name).await, [id.0.to_string()]);
    // What is damaged is removed by whoever notices, and written anew.
    store.remove_chunks(id, vec![ChunkIndex(1)]).await.unwrap();
    assert_eq!(store.usage().await.unwrap().used, CHUNK_SIZE);
    store.put_chunks(id, chunks(0..2)).await.unwrap();
    assert_eq!(store.chunk(id, ChunkIndex(1)).await.unwrap(), chunk(1));
    store.close().await;
}

#[wasm_bindgen_test]
async fn an_older_database_is_migrated_step_by_step() {
    let name = "older";
    let id = with_one_row(name).await;
    const STEPS: &[Migration] = &[append_meta::<2>, append_meta::<3>];
    let store = IndexedDbStore::open_with(name, Schema { migrations: STEPS })
        .await
        .unwrap();
    assert_eq!(
        store.row_of(hash(1)).await.unwrap().unwrap().meta,
        &[1, 2, 3][..]
    );
    assert_eq!(store.chunk(id, ChunkIndex(1)).await.unwrap(), chunk(1));
    store.close().await;

    // Nothing is migrated twice, and a further version takes only the further step.
    const MORE: &[Migration] = &[append_meta::<2>, append_meta::<3>, append_meta::<4>];
    for _ in 0..2 {
        let store = IndexedDbStore::open_with(name, Schema { migrations: MORE })
            .await
            .unwrap();
        assert_eq!(
            store.row_of(hash(1)).await.unwrap().unwrap().meta,
            &[1, 2, 3, 4][..]
        );
        store.close().await;
    }
}

#[wasm_bindgen_test]
async fn a_database_of_the_first_version_keeps_things_for_others_too() {
    let name = "first";
    let id = with_one_row(name).await;
    let store = IndexedDbStore::open(name).await.unwrap();
    assert_eq!(store.chunk(id, ChunkIndex(1)).await.unwrap(), chunk(1));
    let kept = Kept {
        key: [1; 32],
        head: Bytes::from_static(b"head"),
        body: Bytes::from_static(b"body"),
    };
    store.put_kept(kept).await.unwrap();
    store.close().await;
    let store = IndexedDbStore::open(name).await.unwrap();
    assert_eq!(store.kept_body([1; 32]).await.unwrap(), &b"body"[..]);
    assert_eq!(store.usage().await.unwrap().used, 2 * CHUNK_SIZE + 8);
    store.close().await;
}

#[wasm_bindgen_test]
async fn a_newer_database_is_refused_and_left_alone() {
    let name = "newer";
    with_one_row(name).await;
    const STEPS: &[Migration] = &[append_meta::<2>, append_meta::<3>];
    IndexedDbStore::open_with(name, Schema { migrations: STEPS })
        .await
        .unwrap()
        .close()
        .await;
    for _ in 0..2 {
        let refused = IndexedDbStore::open(name).await;
        assert!(
            matches!(refused, Err(StoreError::Newer { found: 3, known: 2 })),
            "{refused:?}"
        );
    }
    let store = IndexedDbStore::open_with(name, Schema { migrations: STEPS })
        .await
        .unwrap();
    assert_eq!(
        store.row_of(hash(1)).await.unwrap().unwrap().meta,
        &[1, 2, 3][..]
    );
    store.close().await;
}

#[wasm_bindgen_test]
async fn a_migration_cut_short_changes_nothing_and_starts_over() {
    let name = "cut-short";
    with_one_row(name).await;
    const FAILING: &[Migration] = &[append_meta::<2>, |_| {
        Box::pin(async { Err(StoreError::Backend("the power went out".into())) })
    }];
    let failed = IndexedDbStore::open_with(
        name,
        Schema {
            migrations: FAILING,
        },
    )
    .await;
    assert!(matches!(failed, Err(StoreError::Backend(text)) if text.contains("power")));

    const STEPS: &[Migration] = &[append_meta::<2>, append_meta::<3>];
    let store = IndexedDbStore::open_with(name, Schema { migrations: STEPS })
        .await
        .unwrap();
    assert_eq!(
        store.row_of(hash(1)).await.unwrap().unwrap().meta,
        &[1, 2, 3][..]
    );
    store.close().await;
}

#[wasm_bindgen_test]
async fn wrong_books_are_put_in_order() {
    let name = "books";
    with_one_row(name).await;
    let raw = Rexie::builder(name).build().await.unwrap();
    let tx = raw
        .transaction(&[COUNTERS], TransactionMode::ReadWrite)
        .unwrap();
    let counters = tx.store(COUNTERS).unwrap();
    for counter in ["used", "next_row"] {
        counters
            .put(&0.into(), Some(&counter.into()))
            .await
            .unwrap();
    }
    tx.commit().await.unwrap();
    raw.close();

    let store = IndexedDbStore::open(name).await.unwrap();
    assert_eq!(store.usage().await.unwrap().used, 2 * CHUNK_SIZE);
    let present = store.row_of(hash(1)).await.unwrap().unwrap().id;
    assert!(store.begin_import().await.unwrap() > present);
    store.close().await;
}

#[wasm_bindgen_test]
async fn malformed_records_are_errors() {
    let name = "malformed";
    let id = with_one_row(name).await;
    let store = IndexedDbStore::open(name).await.unwrap();
    let raw = Rexie::builder(name).build().await.unwrap();

    let wrong: [(&str, JsValue); 12] = [
        ("hash", Uint8Array::new_with_length(31).into()),
        ("size", (-1).into()),
        ("size", 0.5.into()),
        ("size", f64::INFINITY.into()),
        ("size", "1".into()),
        ("size", JsValue::from_f64(2f64.powi(41))),
        ("tree", JsValue::UNDEFINED),
        ("pinned", 1.into()),
        ("meta", "text".into()),
        ("meta", Object::new().into()),
        ("stored", f64::NAN.into()),
        ("stored", JsValue::NULL),
    ];
    for (field, value) in wrong {
        let tx = raw
            .transaction(&[ROWS], TransactionMode::ReadWrite)
            .unwrap();
        let rows = tx.store(ROWS).unwrap();
        let sound = rows.get((id.0 as f64).into()).await.unwrap().unwrap();
        let broken = Object::assign(&Object::new(), sound.unchecked_ref());
        Reflect::set(&broken, &field.into(), &value).unwrap();
        rows.put(&broken, None).await.unwrap();
        tx.commit().await.unwrap();

        assert!(
            matches!(store.rows().await, Err(StoreError::Backend(_))),
            "{field}: {value:?}"
        );
        let put = store.put_chunks(id, chunks(0..1)).await;
        assert!(
            matches!(put, Err(StoreError::Backend(_))),
            "{field}: {value:?}"
        );

        let tx = raw
            .transaction(&[ROWS], TransactionMode::ReadWrite)
            .unwrap();
        tx.store(ROWS).unwrap().put(&sound, None).await.unwrap();
        tx.commit().await.unwrap();
    }

    let wrong = [7.into(), Object::new().into(), js_sys::Array::new().into()];
    for value in wrong {
        let tx = raw
            .transaction(&[CHUNKS], TransactionMode::ReadWrite)
            .unwrap();
        let key = JsValue::from_f64((id.0 << 22) as f64);
        tx.store(CHUNKS)
            .unwrap()
            .put(&value, Some(&key))
            .await
            .unwrap();
        tx.commit().await.unwrap();
        let read = store.chunk(id, ChunkIndex(0)).await;
        assert!(matches!(read, Err(StoreError::Backend(_))), "{value:?}");
    }
    raw.close();
    store.close().await;
}

/// Prints what this browser does; a figure is no reason to fail.
#[wasm_bindgen_test]
async fn throughput() {
    const COUNT: u32 = 256;
    const BATCH: u32 = 8;
    // Noise (xorshift), because the platforms compress what can be compressed.
    let noise = std::iter::successors(Some(0x2545_f491_u32), |x| {
        let x = x ^ (x << 13);
        let x = x ^ (x >> 17);
        Some(x ^ (x << 5))
    });
    let data: Vec<u8> = noise
        .flat_map(u32::to_le_bytes)
        .take(CHUNK_SIZE as usize)
        .collect();
    let content = StoredChunk {
        data: data.into(),
        ..chunk(0)
    };
    let batch = |first: u32| -> Vec<StoredChunk> {
        let indexes = (first..first + BATCH).map(ChunkIndex);
        indexes
            .map(|index| StoredChunk {
                index,
                ..content.clone()
            })
            .collect()
    };
    let rate = |start: f64| {
        let megabytes = f64::from(COUNT) * CHUNK_SIZE as f64 / 1e6;
        megabytes * 1000.0 / (js_sys::Date::now() - start)
    };

    let store = fresh("throughput").await;
    for in_flight in [1, 2, 4] {
        let id = store.create(hash(1), Bytes::new()).await.unwrap().id;
        let start = js_sys::Date::now();
        futures::stream::iter((0..COUNT).step_by(BATCH as usize))
            .map(|first| store.put_chunks(id, batch(first)))
            .buffered(in_flight)
            .try_for_each(async |()| Ok(()))
            .await
            .unwrap();
        let put = rate(start);

        let start = js_sys::Date::now();
        let read = futures::stream::iter(0..COUNT)
            .map(|index| store.chunk(id, ChunkIndex(index)))
            .buffered(in_flight)
            .try_fold(0, async |sum, chunk| Ok(sum + chunk.data.len() as u64))
            .await
            .unwrap();
        let get = rate(start);
        assert_eq!(read, u64::from(COUNT) * CHUNK_SIZE);
        console_log!("{in_flight} in flight: put {put:.0} MB/s, read {get:.0} MB/s");

        store.remove(id).await.unwrap();
        assert_eq!(store.usage().await.unwrap().used, 0);
    }
    store.close().await;
}

/// Appends the version it leads to, so that the order and number of steps can be seen.
fn append_meta<'tx, const VERSION: u8>(
    tx: &'tx Transaction,
) -> futures::future::LocalBoxFuture<'tx, gyre::store::Result<()>> {
    Box::pin(async move {
        let rows = tx.store(ROWS).unwrap();
        for row in rows.get_all(None, None).await.unwrap() {
            let meta: Uint8Array = Reflect::get(&row, &"meta".into()).unwrap().into();
            let longer = [&meta.to_vec()[..], &[VERSION]].concat();
            Reflect::set(&row, &"meta".into(), &Uint8Array::from(&longer[..])).unwrap();
            rows.put(&row, None).await.unwrap();
        }
        Ok(())
    })
}

/// A database of the first version with one complete row of two chunks and the meta `[1]`.
/// In a database of version 1.
async fn with_one_row(name: &str) -> RowId {
    fresh(name).await.close().await;
    Rexie::delete(name).await.unwrap();
    let store = IndexedDbStore::open_with(name, Schema { migrations: &[] })
        .await
        .unwrap();
    let id = store.begin_import().await.unwrap();
    store.put_chunks(id, chunks(0..2)).await.unwrap();
    let size = BlobSize::new(2 * CHUNK_SIZE).unwrap();
    let meta = Bytes::from_static(&[1]);
    store
        .finish_import(id, hash(1), size, Bytes::new(), meta)
        .await
        .unwrap();
    store.close().await;
    id
}

async fn fresh(name: &str) -> IndexedDbStore {
    Rexie::delete(name).await.unwrap();
    IndexedDbStore::open(name).await.unwrap()
}

/// The names of the files of a store, sorted.
async fn files(name: &str) -> Vec<String> {
    let names = in_folder(
        name,
        "const names = []; for await (const name of folder.keys()) names.push(name); return names.sort();",
    );
    js_sys::Array::from(&names.await)
        .iter()
        .map(|name| name.as_string().unwrap())
        .collect()
}

/// Runs a script that knows the folder of a store's files.
async fn in_folder(name: &str, script: &str) -> JsValue {
    let folder = js_sys::encode_uri_component(&format!("gyre-{name}"));
    let script = format!(
        "(async () => {{ const root = await navigator.storage.getDirectory(); \
         const folder = await root.getDirectoryHandle('{folder}', {{ create: true }}); {script} }})()"
    );
    let promise: js_sys::Promise = js_sys::eval(&script).unwrap().into();
    wasm_bindgen_futures::JsFuture::from(promise).await.unwrap()
}

fn hash(n: u8) -> BlobHash {
    BlobHash([n; 32])
}

fn chunk(index: u32) -> StoredChunk {
    let data = index.to_le_bytes().repeat(CHUNK_SIZE as usize / 4);
    StoredChunk {
        index: ChunkIndex(index),
        data: data.into(),
        proof: Bytes::from(vec![1; 416]),
    }
}

fn chunks(range: std::ops::Range<u32>) -> Vec<StoredChunk> {
    range.map(chunk).collect()
}
