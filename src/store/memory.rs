//! The store in memory: for tests, for the simulator, and for a peer that keeps nothing.
//!
//! It is also the reference for what the trait means: every backend must answer as this one does
//! (the `conformance` suite holds them to it). Nothing survives the last clone.

use std::cell::{Cell, RefCell, RefMut};
use std::collections::{BTreeMap, HashMap};
use std::rc::Rc;

use bytes::Bytes;

use super::{BlobRow, Kept, Result, RowId, Store, StoreError, StoredChunk, Usage};
use crate::proto::ordered::Map;
use crate::proto::types::{BlobHash, BlobSize, ChunkIndex};

/// A store whose clones share one content in memory, bounded by its quota only.
#[derive(Debug, Clone)]
pub struct MemoryStore {
    content: Rc<RefCell<Content>>,
    closed: Rc<Cell<bool>>,
}

impl MemoryStore {
    /// An empty store without a limit.
    pub fn new() -> Self {
        Self::with_quota(u64::MAX)
    }

    /// An empty store that holds at most `bytes` of chunk data, whatever `set_quota` allows later.
    pub fn with_quota(bytes: u64) -> Self {
        Self {
            content: Rc::new(RefCell::new(Content {
                offered: bytes,
                cap: u64::MAX,
                ..Content::default()
            })),
            closed: Rc::default(),
        }
    }

    /// Opens again what [`close`](Store::close) let go of, as a page does after a reload: imports that never ended go.
    pub fn reopen(&self) -> Self {
        let mut content = self.content.borrow_mut();
        let unended = |(id, entry): (&RowId, &Entry)| entry.row.hash.is_none().then_some(*id);
        let gone: Vec<_> = content.entries.iter().filter_map(unended).collect();
        for id in gone {
            let entry = content.entries.remove(&id);
            content.used -= entry.map_or(0, |entry| entry.row.stored_bytes);
        }
        Self {
            content: Rc::clone(&self.content),
            closed: Rc::default(),
        }
    }

    /// Reports this much more room than there is, as Chromium's estimate does.
    #[cfg(any(test, feature = "test-utils"))]
    pub fn promise(&self, more: u64) {
        self.content.borrow_mut().promised = more;
    }

    /// Flips a bit of every stored chunk that `choose` names, as a rotting disk would; returns how many.
    #[cfg(any(test, feature = "test-utils"))]
    pub fn damage(&self, choose: impl Fn(ChunkIndex) -> bool) -> usize {
        let mut content = self.content.borrow_mut();
        let mut damaged = 0;
        for chunk in content
            .entries
            .values_mut()
            .flat_map(|entry| entry.chunks.values_mut())
            .filter(|chunk| choose(chunk.index) && !chunk.data.is_empty())
        {
            let mut bytes = chunk.data.to_vec();
            bytes[0] ^= 1;
            chunk.data = bytes.into();
            damaged += 1;
        }
        damaged
    }

    /// Everything that is kept for others, as a thief of the machine would find it.
    #[cfg(any(test, feature = "test-utils"))]
    pub fn all_kept(&self) -> Vec<Kept> {
        self.content.borrow().kept.values().cloned().collect()
    }

    /// The content, unless the store is closed. Never held over an `await`: nothing here awaits.
    fn content(&self) -> Result<RefMut<'_, Content>> {
        match self.closed.get() {
            true => Err(StoreError::Backend("the store is closed".into())),
            false => Ok(self.content.borrow_mut()),
        }
    }
}

impl Default for MemoryStore {
    fn default() -> Self {
        Self::new()
    }
}

impl Store for MemoryStore {
    async fn rows(&self) -> Result<Vec<BlobRow>> {
        let content = self.content()?;
        let finished = content
            .entries
            .values()
            .filter(|entry| entry.row.hash.is_some());
        Ok(finished.map(|entry| entry.row.clone()).collect())
    }

    async fn row_of(&self, hash: BlobHash) -> Result<Option<BlobRow>> {
        let content = self.content()?;
        Ok(content
            .by_hash
            .get(&hash)
            .map(|id| content.entries[id].row.clone()))
    }

    async fn create(&self, hash: BlobHash, meta: Bytes) -> Result<BlobRow> {
        if let Some(row) = self.row_of(hash).await? {
            return Ok(row);
        }
        let mut content = self.content()?;
        let id = content.add_entry(Some(hash), meta);
        content.by_hash.insert(hash, id);
        Ok(content.entries[&id].row.clone())
    }

    async fn begin_import(&self) -> Result<RowId> {
        Ok(self.content()?.add_entry(None, Bytes::new()))
    }

    async fn finish_import(
        &self,
        id: RowId,
        hash: BlobHash,
        size: BlobSize,
        tree: Bytes,
        meta: Bytes,
    ) -> Result<BlobRow> {
        let mut content = self.content()?;
        if content.entry(id)?.row.hash.is_some() {
            return Err(StoreError::NotFound);
        }
        let mut pinned = false;
        if let Some(present) = content.by_hash.get(&hash).copied() {
            if content.entries[&present].is_complete() {
                content.remove_entry(id)?;
                return Ok(content.entries[&present].row.clone());
            }
            pinned = content.remove_entry(present)?.row.pinned;
        }
        content.by_hash.insert(hash, id);
        let row = &mut content.entry(id)?.row;
        *row = BlobRow {
            hash: Some(hash),
            size: Some(size),
            tree,
            pinned,
            meta,
            ..row.clone()
        };
        Ok(row.clone())
    }

    async fn set_size(&self, id: RowId, size: BlobSize) -> Result<()> {
        self.content()?.entry(id)?.row.size = Some(size);
        Ok(())
    }

    async fn set_meta(&self, id: RowId, meta: Bytes) -> Result<()> {
        self.content()?.entry(id)?.row.meta = meta;
        Ok(())
    }

    async fn set_pinned(&self, id: RowId, pinned: bool) -> Result<()> {
        self.content()?.entry(id)?.row.pinned = pinned;
        Ok(())
    }

    async fn put_chunks(&self, id: RowId, chunks: Vec<StoredChunk>) -> Result<()> {
        let mut content = self.content()?;
        let stored = &content.entry(id)?.chunks;
        let mut missing = Map::new();
        for chunk in chunks
            .into_iter()
            .filter(|chunk| !stored.contains_key(&chunk.index))
        {
            missing.entry(chunk.index).or_insert(chunk);
        }
        let added: u64 = missing.values().map(|chunk| chunk.data.len() as u64).sum();
        if added > 0 && content.used.saturating_add(added) > content.quota() {
            return Err(StoreError::QuotaExceeded);
        }
        content.used += added;
        let entry = content.entry(id)?;
        entry.row.stored_bytes += added;
        entry.chunks.extend(missing);
        Ok(())
    }

    async fn chunk(&self, id: RowId, index: ChunkIndex) -> Result<StoredChunk> {
        let mut content = self.content()?;
        content
            .entry(id)?
            .chunks
            .get(&index)
            .cloned()
            .ok_or(StoreError::NotFound)
    }

    async fn stored_chunks(&self, id: RowId) -> Result<Vec<ChunkIndex>> {
        Ok(self.content()?.entry(id)?.chunks.keys().copied().collect())
    }

    async fn remove_chunks(&self, id: RowId, chunks: Vec<ChunkIndex>) -> Result<()> {
        let mut content = self.content()?;
        let entry = content.entry(id)?;
        let removed = chunks
            .iter()
            .filter_map(|index| entry.chunks.remove(index))
            .map(|chunk| chunk.data.len() as u64)
            .sum::<u64>();
        entry.row.stored_bytes -= removed;
        content.used -= removed;
        Ok(())
    }

    async fn remove(&self, id: RowId) -> Result<()> {
        self.content()?.remove_entry(id).map(drop)
    }

    async fn put_kept(&self, kept: Kept) -> Result<()> {
        let mut content = self.content()?;
        let before = content.kept.get(&kept.key).map_or(0, Kept::len);
        let used = (content.used - before).saturating_add(kept.len());
        if kept.len() > before && used > content.quota() {
            return Err(StoreError::QuotaExceeded);
        }
        content.used = used;
        content.kept.insert(kept.key, kept);
        Ok(())
    }

    async fn kept_heads(&self) -> Result<Vec<([u8; 32], Bytes)>> {
        let content = self.content()?;
        let all = content.kept.iter();
        Ok(all.map(|(key, kept)| (*key, kept.head.clone())).collect())
    }

    async fn kept_body(&self, key: [u8; 32]) -> Result<Bytes> {
        let content = self.content()?;
        let kept = content.kept.get(&key).ok_or(StoreError::NotFound)?;
        Ok(kept.body.clone())
    }

    async fn remove_kept(&self, keys: Vec<[u8; 32]>) -> Result<()> {
        let mut content = self.content()?;
        for key in keys {
            content.used -= content.kept.remove(&key).map_or(0, |kept| kept.len());
        }
        Ok(())
    }

    async fn usage(&self) -> Result<Usage> {
        let content = self.content()?;
        Ok(Usage {
            used: content.used,
            quota: content
                .cap
                .min(content.offered.saturating_add(content.promised)),
        })
    }

    async fn set_quota(&self, bytes: u64) -> Result<()> {
        self.content()?.cap = bytes;
        Ok(())
    }

    async fn value(&self, name: &str) -> Result<Option<Bytes>> {
        Ok(self.content()?.values.get(name).cloned())
    }

    async fn set_value(&self, name: &str, value: Option<Bytes>) -> Result<()> {
        let mut content = self.content()?;
        match value {
            Some(value) => content.values.insert(name.to_owned(), value),
            None => content.values.remove(name),
        };
        Ok(())
    }

    async fn close(&self) {
        self.closed.set(true);
    }
}

#[cfg(feature = "mail")]
impl super::shelf::Shelf for MemoryStore {
    async fn values(&self, prefix: &str) -> Result<Vec<(String, Bytes)>> {
        let content = self.content()?;
        let from = content.values.range(prefix.to_owned()..);
        let alike = from.take_while(|(name, _)| name.starts_with(prefix));
        Ok(alike
            .map(|(name, value)| (name.clone(), value.clone()))
            .collect())
    }

    async fn set_values(&self, values: Vec<(String, Option<Bytes>)>) -> Result<()> {
        for (name, value) in values {
            self.set_value(&name, value).await?;
        }
        Ok(())
    }
}

#[derive(Debug, Default)]
struct Content {
    /// In order of creation, as `RowId` grows.
    entries: BTreeMap<RowId, Entry>,
    by_hash: HashMap<BlobHash, RowId>,
    values: BTreeMap<String, Bytes>,
    kept: BTreeMap<[u8; 32], Kept>,
    next_row: u64,
    used: u64,
    offered: u64,
    /// Bytes that are offered and not granted.
    promised: u64,
    cap: u64,
}

#[derive(Debug)]
struct Entry {
    row: BlobRow,
    chunks: Map<ChunkIndex, StoredChunk>,
}

impl Content {
    fn quota(&self) -> u64 {
        self.cap.min(self.offered)
    }

    fn entry(&mut self, id: RowId) -> Result<&mut Entry> {
        self.entries.get_mut(&id).ok_or(StoreError::NotFound)
    }

    fn add_entry(&mut self, hash: Option<BlobHash>, meta: Bytes) -> RowId {
        let id = RowId(self.next_row);
        self.next_row += 1;
        let row = BlobRow {
            id,
            hash,
            size: None,
            tree: Bytes::new(),
            pinned: false,
            meta,
            stored_bytes: 0,
        };
        self.entries.insert(
            id,
            Entry {
                row,
                chunks: Map::new(),
            },
        );
        id
    }

    fn remove_entry(&mut self, id: RowId) -> Result<Entry> {
        let entry = self.entries.remove(&id).ok_or(StoreError::NotFound)?;
        self.used -= entry.row.stored_bytes;
        if let Some(hash) = entry.row.hash {
            self.by_hash.remove(&hash);
        }
        Ok(entry)
    }
}

impl Entry {
    fn is_complete(&self) -> bool {
        self.row
            .size
            .is_some_and(|size| self.chunks.len() == size.chunk_count() as usize)
    }
}
