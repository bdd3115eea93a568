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

    use gyre::store::conformance::Backend;
    use gyre::store::disk::DiskStore;
    use gyre::store::{Store, StoreError};
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
