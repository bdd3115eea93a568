//! The conformance suite over the native backends.
#![cfg(all(not(target_arch = "wasm32"), feature = "test-utils"))]

use gyre::store::conformance::Backend;
use gyre::store::memory::MemoryStore;

struct Memory;

impl Backend for Memory {
    type Store = MemoryStore;

    async fn fresh(&self, _name: &str) -> MemoryStore {
        MemoryStore::new()
    }

    async fn reopen(&self, _name: &str, _store: MemoryStore) -> Option<MemoryStore> {
        None
    }
}

gyre::store_conformance!(tokio::test, Memory);

#[cfg(feature = "relay")]
mod disk {
    #![allow(clippy::unwrap_used)]

    use bytes::Bytes;
    use gyre::proto::types::{BlobHash, CHUNK_SIZE, ChunkIndex};
    use gyre::store::conformance::Backend;
    use gyre::store::disk::DiskStore;
    use gyre::store::{Store, StoreError, StoredChunk};
    use redb::{ReadableTable, TableDefinition};
    use tempfile::TempDir;

    struct Disk(TempDir);

    fn disk() -> Disk {
        Disk(tempfile::tempdir().unwrap())
    }

    impl Disk {
        async fn open(&self, name: &str) -> Result<DiskStore, StoreError> {
            DiskStore::open(&self.0.path().join(name).join("store.redb")).await
        }
    }

    impl Backend for Disk {
        type Store = DiskStore;

        async fn fresh(&self, name: &str) -> DiskStore {
            self.open(name).await.unwrap()
        }

        async fn reopen(&self, name: &str, store: DiskStore) -> Option<DiskStore> {
            store.close().await;
            Some(self.open(name).await.unwrap())
        }
    }

    gyre::store_conformance!(tokio::test, disk());

    #[tokio::test]
    async fn a_second_opener_is_told_that_it_is_busy() {
        let disk = disk();
        let store = disk.open("busy").await.unwrap();
        assert!(matches!(disk.open("busy").await, Err(StoreError::Busy)));
        store.close().await;
        disk.open("busy").await.unwrap().close().await;
    }

    /// Random, so that no file system can keep them in less than they have.
    fn chunks(count: u32, proof: usize) -> Vec<StoredChunk> {
        let chunk = |index| {
            let mut data = vec![0; CHUNK_SIZE as usize];
            fastrand::Rng::with_seed(index).fill(&mut data);
            StoredChunk {
                index: ChunkIndex(index as u32),
                data: data.into(),
                proof: vec![9; proof].into(),
            }
        };
        (0..u64::from(count)).map(chunk).collect()
    }

    /// A chunk whose place on the disk is twice its size would halve what a keeper can keep.
    #[cfg(unix)]
    #[tokio::test]
    async fn chunks_take_little_more_of_the_disk_than_they_have() {
        use std::os::unix::fs::MetadataExt;

        const COUNT: u32 = 192;
        let disk = disk();
        let store = disk.open("size").await.unwrap();
        let row = store.create(BlobHash([1; 32]), Bytes::new()).await.unwrap();
        for batch in chunks(COUNT, 448).chunks(16) {
            store.put_chunks(row.id, batch.to_vec()).await.unwrap();
        }
        store.close().await;
        let about = std::fs::metadata(disk.0.path().join("size/store.redb")).unwrap();
        let (taken, had) = (about.blocks() * 512, u64::from(COUNT) * CHUNK_SIZE);
        assert!(taken > had, "{taken} bytes for {had}");
        assert!(taken < had * 5 / 4, "{taken} bytes for {had}");
    }

    /// As a store of schema 2 has them: whole, in one table.
    #[tokio::test]
    async fn chunks_of_an_earlier_schema_are_read_and_removed() {
        const CHUNKS: TableDefinition<'_, (u64, u32), &[u8]> = TableDefinition::new("chunks");
        const ENDS: TableDefinition<'_, (u64, u32), &[u8]> = TableDefinition::new("chunk ends");
        const COUNTERS: TableDefinition<'_, &str, u64> = TableDefinition::new("counters");
        let disk = disk();
        let store = disk.open("earlier").await.unwrap();
        let row = store.create(BlobHash([1; 32]), Bytes::new()).await.unwrap();
        let all = chunks(3, 64);
        store.put_chunks(row.id, all.clone()).await.unwrap();
        store.close().await;

        let path = disk.0.path().join("earlier/store.redb");
        let database = redb::Database::open(&path).unwrap();
        let tx = database.begin_write().unwrap();
        {
            let mut pieces = tx.open_table(CHUNKS).unwrap();
            let ends = tx.open_table(ENDS).unwrap();
            for chunk in &all {
                let key = (row.id.0, chunk.index.0);
                let piece =
                    |found: Option<redb::AccessGuard<'_, &[u8]>>| found.unwrap().value().to_vec();
                let whole = [
                    piece(pieces.get(key).unwrap()),
                    piece(ends.get(key).unwrap()),
                ]
                .concat();
                assert_eq!(whole.len(), 2 + chunk.proof.len() + chunk.data.len());
                pieces.insert(key, &whole[..]).unwrap();
            }
        }
        tx.delete_table(ENDS).unwrap();
        tx.open_table(COUNTERS)
            .unwrap()
            .insert("schema", 2)
            .unwrap();
        tx.commit().unwrap();
        drop(database);

        let store = disk.open("earlier").await.unwrap();
        for chunk in &all {
            assert_eq!(store.chunk(row.id, chunk.index).await.unwrap(), *chunk);
        }
        let more = chunks(4, 64).split_off(3);
        store.put_chunks(row.id, more.clone()).await.unwrap();
        assert_eq!(store.chunk(row.id, ChunkIndex(3)).await.unwrap(), more[0]);
        store.remove(row.id).await.unwrap();
        assert_eq!(store.usage().await.unwrap().used, 0);
        store.close().await;
    }

    #[tokio::test]
    async fn what_is_no_store_is_refused() {
        let disk = disk();
        let folder = disk.0.path().join("junk");
        std::fs::create_dir_all(&folder).unwrap();
        std::fs::write(folder.join("store.redb"), [7; 5000]).unwrap();
        assert!(matches!(
            disk.open("junk").await,
            Err(StoreError::Backend(_))
        ));
    }
}
