//! A site opened for reading: its manifest, and its files as they are asked for.

use std::rc::Rc;

use bytes::{Bytes, BytesMut};
use futures::stream::FuturesUnordered;
use futures::{StreamExt, stream};

use super::command::Command;
use super::error::{Error, Result};
use super::event_loop::Part;
use super::meta::{BlobMeta, Kind};
use super::{File, MAX_READ, Node};
use crate::proto::holding::Holding;
use crate::proto::manifest::{Entry, MAX_MANIFEST_LEN, Manifest};
use crate::proto::ordered::Set;
use crate::proto::site::{Answer, Site as Resolver};
use crate::proto::types::{BlobHash, CHUNK_SIZE, ChunkIndex};
use crate::rt;
use crate::store::{BlobRow, Store, StoreError};

mod owner;
mod publish;
pub(super) mod shelf;

pub use owner::SiteOwner;
pub use publish::{PublishOptions, Published, Publishing, SiteFile};

/// Files fetched at once when a whole site is. Ours: enough that a small file's few round trips do not count, few enough that the
/// other side's streams suffice for several such readers.
const MAX_FETCHING: usize = 32;

/// Files asked about in one command.
const ASKED_AT_ONCE: usize = 1024;

/// One version of a site.
pub struct Site<S: Store> {
    node: Node<S>,
    manifest: Rc<Manifest>,
}

impl<S: Store> Clone for Site<S> {
    fn clone(&self) -> Self {
        Self {
            node: self.node.clone(),
            manifest: self.manifest.clone(),
        }
    }
}

impl<S: Store> std::fmt::Debug for Site<S> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Site")
            .field("manifest", &self.manifest)
            .finish_non_exhaustive()
    }
}

/// How many other peers had all of a site, as far as they have said so.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Holders {
    /// They are linked, or said so within the last minutes.
    pub now: usize,
    /// Of these, the ones that are known as keepers.
    pub keepers: usize,
    /// That, or said so within the last hour.
    pub hour: usize,
    /// That, or said so within the last day.
    pub day: usize,
}

/// How much of a site is here.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Fetching {
    /// Files whose bytes are here.
    pub files: usize,
    /// Their bytes.
    pub bytes: u64,
    /// Files of the site.
    pub all_files: usize,
    /// Their bytes.
    pub all_bytes: u64,
}

impl Fetching {
    /// Whether nothing is missing.
    pub fn is_whole(&self) -> bool {
        self.files == self.all_files
    }
}

impl<S: Store> Node<S> {
    /// Opens a site: starts fetching its manifest, and ends when that is here and has been read. Files come when they are asked for.
    ///
    /// # Errors
    /// `Denied`, `BadSite` if it is no manifest, `NotFound` or `NoRelay` after a bounded wait (the node goes on looking), `Store`.
    pub async fn site(&self, manifest: BlobHash) -> Result<Site<S>> {
        self.check_blob(manifest)?;
        let known = self
            .ask(|reply| Command::Lookup {
                blob: manifest,
                reply,
            })
            .await?;
        let fresh = known.is_none();
        let at_hand = self.shared.borrow_mut().shelf.get(manifest);
        if let (Some(manifest), false) = (at_hand, fresh) {
            return Ok(Site {
                node: self.clone(),
                manifest,
            });
        }
        let meta = match known {
            Some((row, mut meta)) => {
                if meta.kind != Kind::Manifest {
                    meta.kind = Kind::Manifest;
                    self.describe(manifest, row, &meta).await?;
                }
                self.set_paused(manifest, false).await?;
                meta
            }
            None => {
                let meta = BlobMeta::manifest(rt::unix_millis());
                let row = self.store.create(manifest, meta.encode()).await?;
                self.add(row, meta.clone()).await?;
                meta
            }
        };
        let read = self.read_manifest(manifest, meta).await;
        if fresh && matches!(read, Err(Error::BadSite(_))) {
            // Nobody could ever open it.
            self.remove(manifest).await?;
        }
        Ok(self.shelve(read?))
    }

    /// Opens a site if its list of files is here whole.
    ///
    /// # Errors
    /// `BadSite`, `Closed`, `Store`.
    pub async fn site_here(&self, manifest: BlobHash) -> Result<Option<Site<S>>> {
        let Some((_, meta)) = self.whole(manifest).await? else {
            return Ok(None);
        };
        if meta.kind != Kind::Manifest {
            return Ok(None);
        }
        let at_hand = self.shared.borrow_mut().shelf.get(manifest);
        if let Some(manifest) = at_hand {
            let node = self.clone();
            return Ok(Some(Site { node, manifest }));
        }
        let read = self.read_manifest(manifest, meta).await?;
        Ok(Some(self.shelve(read)))
    }

    /// Remembers a list of files that was just read or made.
    fn shelve(&self, manifest: Manifest) -> Site<S> {
        let manifest = Rc::new(manifest);
        let node = self.clone();
        node.shared.borrow_mut().shelf.put(manifest.clone());
        Site { node, manifest }
    }

    /// The sites that are here, each by its manifest, and whether it is kept on purpose.
    ///
    /// # Errors
    /// `Closed` once stopped.
    pub async fn sites(&self) -> Result<Vec<(BlobHash, bool)>> {
        self.ask(|reply| Command::Manifests { reply }).await
    }

    /// How many other peers have said that they have all of a site.
    ///
    /// # Errors
    /// `Closed` once stopped.
    pub async fn holders(&self, manifest: BlobHash) -> Result<Holders> {
        self.ask(|reply| Command::Holders { manifest, reply }).await
    }

    /// Keeps a site that is here whole on purpose, or lets what no other kept site has be evictable again.
    ///
    /// # Errors
    /// `NotFound` if its manifest is not here, `Store`.
    pub async fn set_site_pinned(&self, manifest: BlobHash, pinned: bool) -> Result<()> {
        self.set_pinned(manifest, pinned).await?;
        let site = self.site(manifest).await?;
        if pinned {
            return self.pin_parts(site.blobs(), true).await;
        }
        let loose = self.only_in(&site, |kept| kept).await?;
        self.pin_parts(loose, false).await
    }

    /// Drops a site, and the files of it that no other site here has.
    ///
    /// # Errors
    /// `NotFound` if it is not here, `Store`.
    pub async fn remove_site(&self, manifest: BlobHash) -> Result<()> {
        let files = match self.site_here(manifest).await? {
            Some(site) => self.only_in(&site, |_| true).await?,
            None => Vec::new(),
        };
        self.remove(manifest).await?;
        self.shared.borrow_mut().shelf.drop(manifest);
        for some in files.chunks(ASKED_AT_ONCE) {
            let rows = self.ask(|reply| Command::DropParts {
                blobs: some.to_vec(),
                reply,
            });
            for row in rows.await? {
                self.store.remove(row).await?;
            }
        }
        Ok(())
    }

    /// The files of a site that are in no other site here; `counts` says which others count, by whether they are kept on purpose.
    async fn only_in(
        &self,
        site: &Site<S>,
        counts: impl Fn(bool) -> bool,
    ) -> Result<Vec<BlobHash>> {
        let mut only = site.blobs();
        for (other, kept) in self.sites().await? {
            if other == site.manifest.hash() || !counts(kept) {
                continue;
            }
            // One whose list has not come yet has no files here either.
            if let Some(other) = self.site_here(other).await? {
                let others = other.blobs();
                only.retain(|blob| others.binary_search(blob).is_err());
            }
        }
        Ok(only)
    }

    async fn read_manifest(&self, blob: BlobHash, meta: BlobMeta) -> Result<Manifest> {
        let file = File::open(self.clone(), blob, meta).await?;
        if file.size() > MAX_MANIFEST_LEN as u64 {
            return Err(Error::BadSite("its list of files is too long".into()));
        }
        let bytes = read_all(&file).await?;
        Ok(Manifest::parse(bytes, rt::normalise)?)
    }

    /// How many bytes those of these have that are here whole.
    async fn held(&self, blobs: &[BlobHash]) -> Result<Vec<Option<u64>>> {
        let mut held = Vec::with_capacity(blobs.len());
        for some in blobs.chunks(ASKED_AT_ONCE) {
            let rows = self.ask(|reply| Command::Held {
                blobs: some.to_vec(),
                reply,
            });
            let sizes = rows
                .await?
                .into_iter()
                .map(|held| held.map(|(_, size)| size));
            held.extend(sizes);
        }
        Ok(held)
    }

    async fn pin_parts(&self, blobs: Vec<BlobHash>, pinned: bool) -> Result<()> {
        for some in blobs.chunks(ASKED_AT_ONCE) {
            let rows = self.ask(|reply| Command::PinParts {
                blobs: some.to_vec(),
                pinned,
                reply,
            });
            self.store.set_all_pinned(rows.await?, pinned).await?;
        }
        Ok(())
    }

    /// Takes note of rows of files of sites.
    async fn rest(&self, rows: &[BlobRow]) -> Result<()> {
        let parts = rows.iter().filter_map(|row| {
            let meta = BlobMeta::decode(&row.meta)?;
            Part::of(row, &meta)
        });
        self.tell(Command::Rest(parts.collect())).await
    }
}

impl<S: Store> Site<S> {
    /// Its manifest.
    pub fn manifest(&self) -> &Manifest {
        &self.manifest
    }

    /// What it answers to a request: see [`Resolver::resolve`].
    pub fn resolve(&self, target: &str) -> Answer<'_> {
        Resolver::new(&self.manifest, rt::normalise).resolve(target)
    }

    /// Opens a file of it: starts fetching what is missing, and ends when its size is proved.
    ///
    /// # Errors
    /// `BadSite` if the blob is not as long as the manifest says, `NotFound` or `NoRelay` after a bounded wait, `Store`.
    pub async fn open(&self, entry: &Entry<'_>) -> Result<File<S>> {
        let meta = self.awake(entry).await?;
        let file = File::open(self.node.clone(), entry.blob, meta).await?;
        match file.size() == entry.size {
            true => Ok(file),
            false => Err(Error::BadSite(format!(
                "{} is not as long as it says",
                entry.path
            ))),
        }
    }

    /// Reads of a file from `offset` at most `length` bytes, at most [`MAX_READ`], fewer at its end. For one read of a small file: who
    /// goes on reading opens it.
    ///
    /// # Errors
    /// As [`open`](Self::open) and [`File::read`].
    pub async fn read(&self, entry: &Entry<'_>, offset: u64, length: u64) -> Result<Bytes> {
        if entry.size <= CHUNK_SIZE
            && let Some(bytes) = self.at_hand(entry).await?
        {
            let from = offset.min(entry.size) as usize;
            let to = offset.saturating_add(length).min(entry.size) as usize;
            return Ok(bytes.slice(from..to.max(from)));
        }
        self.open(entry).await?.read(offset, length).await
    }

    /// How much of it is here.
    ///
    /// # Errors
    /// `Closed` once stopped.
    pub async fn progress(&self) -> Result<Fetching> {
        let blobs: Vec<_> = self.manifest.entries().map(|entry| entry.blob).collect();
        let held = self.node.held(&blobs).await?;
        let mut progress = self.nothing();
        for (entry, held) in self.manifest.entries().zip(held) {
            if held == Some(entry.size) {
                progress.files += 1;
                progress.bytes += entry.size;
            }
        }
        self.hold(progress).await?;
        Ok(progress)
    }

    /// Fetches all of it, a bounded number of files at a time. `progress` hears how much there is. Dropping the future stops it;
    /// what is here stays, and counts when it is called again.
    ///
    /// # Errors
    /// The first that a file has; files that came before stay.
    pub async fn fetch(&self, mut progress: impl FnMut(Fetching)) -> Result<()> {
        let blobs: Vec<_> = self.manifest.entries().map(|entry| entry.blob).collect();
        let held = self.node.held(&blobs).await?;
        let mut done = self.nothing();
        let mut missing = Vec::new();
        for (at, (entry, held)) in self.manifest.entries().zip(held).enumerate() {
            if held == Some(entry.size) {
                done.files += 1;
                done.bytes += entry.size;
            } else {
                missing.push(at);
            }
        }
        progress(done);
        let mut fetching = FuturesUnordered::new();
        let mut next = missing.into_iter().filter_map(|at| self.manifest.entry(at));
        loop {
            while fetching.len() < MAX_FETCHING {
                let Some(entry) = next.next() else { break };
                fetching.push(async move { self.fetch_one(&entry).await.map(|()| entry.size) });
            }
            match fetching.next().await {
                Some(size) => {
                    done.files += 1;
                    done.bytes += size?;
                    progress(done);
                }
                None => return self.hold(done).await,
            }
        }
    }

    /// The bytes of a file, piece by piece.
    ///
    /// # Errors
    /// In the stream, as [`File::read`].
    pub fn stream<'a>(
        &'a self,
        entry: &Entry<'a>,
    ) -> impl futures::Stream<Item = Result<Bytes>> + 'a {
        let entry = *entry;
        stream::try_unfold((None, 0), move |(file, at)| async move {
            if at >= entry.size {
                return Ok(None);
            }
            let file = match file {
                Some(file) => file,
                None if at == 0 && entry.size <= CHUNK_SIZE => {
                    let bytes = self.read(&entry, 0, CHUNK_SIZE).await?;
                    return Ok(Some((bytes, (None, entry.size))));
                }
                None => self.open(&entry).await?,
            };
            let bytes = file.read(at, MAX_READ).await?;
            let at = at + bytes.len() as u64;
            Ok(Some((bytes, (Some(file), at))))
        })
    }

    fn check(&self, entry: &Entry<'_>) -> Result<()> {
        let denylist = self.node.denylist();
        let denied = denylist.denies_path(self.manifest.hash(), entry.path)
            || denylist.denies_blob(entry.blob);
        match denied {
            true => Err(Error::Denied),
            false => Ok(()),
        }
    }

    /// Tells the site's peers how much is here.
    async fn hold(&self, progress: Fetching) -> Result<()> {
        let holding = Holding {
            manifest: self.manifest.hash(),
            files: progress.files as u32,
            of: progress.all_files as u32,
        };
        self.node.tell(Command::Hold(holding)).await
    }

    /// Its blobs in order, each once.
    fn blobs(&self) -> Vec<BlobHash> {
        let blobs: Set<_> = self.manifest.entries().map(|entry| entry.blob).collect();
        blobs.into_iter().collect()
    }

    fn nothing(&self) -> Fetching {
        Fetching {
            all_files: self.manifest.len(),
            all_bytes: self.manifest.size(),
            ..Fetching::default()
        }
    }

    async fn fetch_one(&self, entry: &Entry<'_>) -> Result<()> {
        self.awake(entry).await?;
        let (_, size) = self.node.wait_for(entry.blob, ChunkIndex(0)).await?;
        if size.get() != entry.size {
            return Err(Error::BadSite(format!(
                "{} is not as long as it says",
                entry.path
            )));
        }
        for index in 1..size.chunk_count() {
            self.node.wait_for(entry.blob, ChunkIndex(index)).await?;
        }
        Ok(())
    }

    /// Sees to it that the event loop has the file, and asks for what is missing.
    async fn awake(&self, entry: &Entry<'_>) -> Result<BlobMeta> {
        self.check(entry)?;
        let blob = entry.blob;
        let known = self
            .node
            .ask(|reply| Command::Lookup { blob, reply })
            .await?;
        let meta = BlobMeta::part(entry.size, rt::unix_millis());
        let row = match &known {
            // Only its site is news.
            Some((row, _)) => BlobRow {
                id: *row,
                hash: Some(blob),
                size: None,
                tree: Bytes::new(),
                pinned: false,
                meta: Bytes::new(),
                stored_bytes: 0,
            },
            None => self.node.store.create(blob, meta.encode()).await?,
        };
        let site = Some(self.manifest.hash());
        if let Some((_, meta)) = known {
            let add = Command::Add {
                row,
                stored: Vec::new(),
                meta: meta.clone(),
                site,
            };
            self.node.tell(add).await?;
            return Ok(meta);
        }
        let meta = BlobMeta::decode(&row.meta).unwrap_or(meta);
        self.node.add_to(row, meta.clone(), site).await?;
        Ok(meta)
    }

    /// A small file that is here and asleep, straight from the store: nobody else need hear of it.
    async fn at_hand(&self, entry: &Entry<'_>) -> Result<Option<Bytes>> {
        self.check(entry)?;
        let held = self.node.ask(|reply| Command::Held {
            blobs: vec![entry.blob],
            reply,
        });
        let Some((row, _)) = held.await?.into_iter().flatten().next() else {
            return Ok(None);
        };
        let chunk = match self.node.store.chunk(row, ChunkIndex(0)).await {
            Ok(chunk) => chunk,
            Err(StoreError::NotFound) => return Ok(None),
            Err(error) => return Err(error.into()),
        };
        let is_whole = *blake3::hash(&chunk.data).as_bytes() == entry.blob.0
            && chunk.data.len() as u64 == entry.size;
        // One that is damaged is fetched again by whoever opens it.
        Ok(is_whole.then_some(chunk.data))
    }
}

async fn read_all<S: Store>(file: &File<S>) -> Result<Bytes> {
    let mut bytes = BytesMut::new();
    while (bytes.len() as u64) < file.size() {
        let read = file.read(bytes.len() as u64, MAX_READ).await?;
        if bytes.is_empty() && read.len() as u64 == file.size() {
            return Ok(read);
        }
        bytes.extend_from_slice(&read);
    }
    Ok(bytes.freeze())
}
