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
