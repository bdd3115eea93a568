//! From files as they come to a stored site: each is read once and kept unless it is here already, then the manifest.
//!
//! Small files are kept many in one transaction, large ones piece by piece; no file is ever in memory whole unless it is one chunk.
//! Nothing is kept on purpose before there is a manifest: given up or broken off at any moment it leaves whole files behind that
//! make way when room is needed; until then the next attempt finds them by their hash.

use bytes::{Bytes, BytesMut};
use futures::stream::LocalBoxStream;
use futures::{Stream, StreamExt, TryStreamExt};

use crate::node::Node;
use crate::node::command::Command;
use crate::node::error::{Error, Result};
use crate::node::import::Intake;
use crate::node::meta::BlobMeta;
use crate::proto::holding::Holding;
use crate::proto::manifest::build::Builder;
use crate::proto::manifest::diff::Diff;
use crate::proto::manifest::headers::Headers;
use crate::proto::manifest::media::media_type_of;
use crate::proto::manifest::{Extra, Manifest};
use crate::proto::site::header_rules::{HeaderRuleError, HeaderRules};
use crate::proto::site::redirects::{RuleError, Rules};
use crate::proto::tree::TreeBuilder;
use crate::proto::types::{BlobHash, CHUNK_SIZE};
use crate::rt;
use crate::store::{BlobRow, SmallBlob, Store, StoreError};

/// Small files kept in one transaction.
const BATCH: usize = 128;

/// Bytes of them: bounds what waits in memory.
const BATCH_BYTES: usize = 4 * 1024 * 1024;

/// Times that a batch is tried, as for single chunks.
const TRIES: usize = 3;

/// The file that holds redirect rules.
const REDIRECTS: &str = "_redirects";

/// The file that holds header rules.
const HEADERS: &str = "_headers";

/// The file that is shown where there is none, unless the publisher says otherwise.
const MISSING: &str = "404.html";

/// One file on its way in.
pub struct SiteFile<'a> {
    /// Its path in the site, segments joined by `/`.
    pub path: String,
    /// Its media type; by its name if that is not given.
    pub media_type: Option<String>,
    /// Further headers.
    pub headers: Option<Headers>,
    /// Its bytes.
    pub content: LocalBoxStream<'a, Result<Bytes, String>>,
}

impl std::fmt::Debug for SiteFile<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SiteFile")
            .field("path", &self.path)
            .finish_non_exhaustive()
    }
}

/// What a publisher says beside the files.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct PublishOptions {
    /// What the site is called, or empty.
    pub name: String,
    /// The manifest of the version before, if there is one; where it is here and the files are the same, no new one is made.
    pub previous: Option<BlobHash>,
    /// The file that stands for its folder; empty for `index.html`.
    pub index: String,
    /// The file that is shown where there is none, with 404; `404.html` if that is there and nothing else is said.
    pub missing: Option<String>,
    /// The file that is shown where there is none, with 200.
    pub fallback: Option<String>,
    /// Whether the manifest says when it was made.
    pub dated: bool,
}

/// How far it has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Publishing {
    /// Files read whole.
    pub files: usize,
    /// Bytes read.
    pub bytes: u64,
    /// Of these files, the ones that were not here before.
    pub new_files: usize,
    /// Their bytes.
    pub new_bytes: u64,
}

/// What came of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Published {
    /// The manifest.
    pub manifest: Manifest,
    /// What was read, and what of it was new.
    pub done: Publishing,
    /// Whether it is another version than the one before.
    pub changed: bool,
    /// Paths that differ in case only, one of each group.
    pub same_but_for_case: Vec<String>,
    /// Lines of the redirects file, counted from 1, that are not understood.
    pub skipped_redirects: Vec<(usize, RuleError)>,
    /// Lines of the headers file, counted from 1, that do not count or not wholly.
    pub skipped_headers: Vec<(usize, HeaderRuleError)>,
}

impl<S: Store> Node<S> {
    /// Publishes files as one version of a site and serves it. Dropping the future gives it up; files that were taken stay until
    /// room is needed or the next attempt finds them. `progress` hears how far it has come.
    ///
    /// # Errors
    /// `BadSite` for paths, media types or headers that no site may have, `BadOptions` if there is no file, `Source` if a file cannot be
    /// read, `Denied` if one of them is, `Store` if there is no room.
    pub async fn publish<'a>(
        &self,
        files: impl Stream<Item = Result<SiteFile<'a>, String>>,
        options: PublishOptions,
        progress: impl FnMut(Publishing),
    ) -> Result<Published> {
        let mut taking = Taking {
            node: self,
            builder: Builder::new(rt::normalise),
            batch: Vec::new(),
            batch_bytes: 0,
            done: Publishing::default(),
            taken: Vec::new(),
            rules: Rules::default(),
            header_rules: HeaderRules::default(),
            has_missing: false,
            progress,
        };
        let mut files = std::pin::pin!(files);
        while let Some(file) = files.next().await {
            taking.take(file.map_err(Error::Source)?).await?;
        }
        taking.keep_batch().await?;
        let mut builder = std::mem::replace(&mut taking.builder, Builder::new(rt::normalise));
        let rules = std::mem::take(&mut taking.rules);
        let mut header_rules = std::mem::take(&mut taking.header_rules);
        let (done, has_missing) = (taking.done, taking.has_missing);
        if builder.is_empty() {
            return Err(Error::BadOptions("there is no file to publish".into()));
        }
        let same_but_for_case = builder.same_but_for_case(rt::lower_case);
        let mut extra = Extra {
            name: options.name,
            time: 0,
            previous: None,
            index: match options.index.as_str() {
                crate::proto::manifest::DEFAULT_INDEX => String::new(),
                _ => options.index,
            },
            missing: options
                .missing
                .or_else(|| has_missing.then(|| MISSING.to_owned())),
            fallback: options.fallback,
            redirects: rules.rules,
        };
        let previous = match options.previous {
            Some(previous) => self.site_here(previous).await?,
            None => None,
        };
        let previous = previous.map(|site| site.manifest().clone());
        let unchanged = previous.filter(|previous| {
            let same_extra = Extra {
                time: previous.extra().time,
                previous: previous.extra().previous,
                ..extra.clone()
            };
            *previous.extra() == same_extra
        });
        extra.previous = options.previous;
        if options.dated {
            extra.time = rt::unix_millis() / 1000;
        }
        let index = match extra.index.as_str() {
            "" => crate::proto::manifest::DEFAULT_INDEX,
            index => index,
        };
        if !header_rules.is_empty() {
            builder.set_headers(|path, own| header_rules.apply(path, index, own))?;
        }
        let manifest = builder.finish(&extra)?;
        let same = unchanged.filter(|previous| Diff::between(previous, &manifest).is_empty());
        let changed = same.is_none();
        let manifest = same.unwrap_or(manifest);
        self.check_blob(manifest.hash())?;
        for entry in manifest.entries() {
            self.check_blob(entry.blob)?;
        }
        self.keep_manifest(&manifest).await?;
        taking.keep_on_purpose().await?;
        drop(taking);
        let files = manifest.len() as u32;
        let holding = Holding {
            manifest: manifest.hash(),
            files,
            of: files,
        };
        self.tell(Command::Hold(holding)).await?;
        Ok(Published {
            manifest,
            done,
            changed,
            same_but_for_case,
            skipped_redirects: rules.skipped,
            skipped_headers: header_rules.skipped,
        })
    }

    /// The list of files of a version, if all of it is here; whether it is denied does not matter.
    ///
    /// # Errors
    /// `BadSite` if it is no such list, `Store`, `Closed`.
    pub async fn manifest_here(&self, manifest: BlobHash) -> Result<Option<Manifest>> {
        match self.whole(manifest).await? {
            Some((_, meta)) => Ok(Some(self.read_manifest(manifest, meta).await?)),
            None => Ok(None),
        }
    }

    async fn keep_manifest(&self, manifest: &Manifest) -> Result<()> {
        let make_room = async |bytes| self.make_room(bytes).await;
        let mut intake = Intake::begin(&self.store, &make_room).await?;
        let bytes = manifest.bytes();
        for at in (0..bytes.len()).step_by(CHUNK_SIZE as usize) {
            let end = bytes.len().min(at + CHUNK_SIZE as usize);
            intake.push(bytes.slice(at..end)).await?;
        }
        let mut meta = BlobMeta::manifest(rt::unix_millis());
        meta.content_size = Some(bytes.len() as u64);
        let (row, meta) = intake.finish(Some(manifest.hash()), meta).await?;
        self.keep((row, meta)).await.map(drop)
    }
}

/// The files that have been taken so far.
struct Taking<'n, S: Store, P: FnMut(Publishing)> {
    node: &'n Node<S>,
    builder: Builder,
    /// Small files that wait for others to share a transaction with.
    batch: Vec<SmallBlob>,
    batch_bytes: usize,
    done: Publishing,
    /// What was taken so far, and is let go of unless a site comes of it.
    taken: Vec<BlobHash>,
    rules: Rules,
    header_rules: HeaderRules,
    has_missing: bool,
    progress: P,
}

impl<S: Store, P: FnMut(Publishing)> Taking<'_, S, P> {
    async fn take(&mut self, file: SiteFile<'_>) -> Result<()> {
        let SiteFile {
            path,
            media_type,
            headers,
            mut content,
        } = file;
        let path = self.builder.path(&path)?;
        let mut start = BytesMut::new();
        while start.len() as u64 <= CHUNK_SIZE {
            let Some(piece) = content.try_next().await.map_err(Error::Source)? else {
                break;
            };
            self.count(piece.len() as u64);
            start.extend_from_slice(&piece);
        }
        let start = start.freeze();
        match path.as_str() {
            REDIRECTS => self.rules = Rules::parse(&String::from_utf8_lossy(&start)),
            HEADERS => self.header_rules = HeaderRules::parse(&String::from_utf8_lossy(&start)),
            _ => {}
        }
        self.has_missing |= path == MISSING;
        let (blob, size) = match start.len() as u64 <= CHUNK_SIZE {
            true => self.take_small(start).await?,
            false => self.take_large(start, content).await?,
        };
        let media_type = media_type.unwrap_or_else(|| media_type_of(&path).to_owned());
        self.builder.add(&path, blob, size, &media_type, headers)?;
        self.done.files += 1;
        (self.progress)(self.done);
        Ok(())
    }

    fn count(&mut self, bytes: u64) {
        self.done.bytes += bytes;
        (self.progress)(self.done);
    }

    async fn take_small(&mut self, data: Bytes) -> Result<(BlobHash, u64)> {
        let mut tree = TreeBuilder::new();
        tree.push_chunk(&data)
            .map_err(|error| Error::Internal(error.to_string()))?;
        let tree = tree.finish();
        let (hash, size) = (tree.root(), data.len());
        if self.batch.iter().any(|blob| blob.hash == hash) {
            return Ok((hash, size as u64));
        }
        self.batch.push(SmallBlob {
            hash,
            data,
            tree: tree.encode(),
            meta: BlobMeta::part(size as u64, rt::unix_millis()).encode(),
            pinned: false,
        });
        self.batch_bytes += size;
        if self.batch.len() >= BATCH || self.batch_bytes >= BATCH_BYTES {
            self.keep_batch().await?;
        }
        Ok((hash, size as u64))
    }

    async fn take_large(
        &mut self,
        start: Bytes,
        mut rest: LocalBoxStream<'_, Result<Bytes, String>>,
    ) -> Result<(BlobHash, u64)> {
        let node = self.node;
        let make_room = async |bytes| node.make_room(bytes).await;
        let mut intake = Intake::begin(&node.store, &make_room).await?;
        let mut pending = BytesMut::from(start);
        let mut size = pending.len() as u64;
        loop {
            while pending.len() as u64 > CHUNK_SIZE {
                let chunk = pending.split_to(CHUNK_SIZE as usize).freeze();
                intake.push(chunk).await?;
            }
            let Some(piece) = rest.try_next().await.map_err(Error::Source)? else {
                break;
            };
            size += piece.len() as u64;
            self.count(piece.len() as u64);
            pending.extend_from_slice(&piece);
        }
        intake.push(pending.freeze()).await?;
        let meta = BlobMeta::part(size, rt::unix_millis());
        let mine = intake.row();
        let (row, _) = intake.finish(None, meta).await?;
        let hash = row
            .hash
            .ok_or_else(|| Error::Internal("an import without a hash".into()))?;
        if row.id == mine {
            self.done.new_files += 1;
            self.done.new_bytes += size;
        }
        self.reserve(vec![hash]).await?;
        node.rest(&[row]).await?;
        Ok((hash, size))
    }

    /// Stores what is not here yet, and sees to it that nothing of it goes meanwhile.
    async fn keep_batch(&mut self) -> Result<()> {
        let mut batch = std::mem::take(&mut self.batch);
        self.batch_bytes = 0;
        let hashes: Vec<_> = batch.iter().map(|blob| blob.hash).collect();
        self.reserve(hashes.clone()).await?;
        let mut held = self.node.held(&hashes).await?.into_iter();
        batch.retain(|_| held.next().flatten().is_none());
        if batch.is_empty() {
            return Ok(());
        }
        self.done.new_files += batch.len();
        self.done.new_bytes += batch.iter().map(|blob| blob.data.len() as u64).sum::<u64>();
        let rows = self.put(batch).await?;
        self.node.rest(&rows).await?;
        (self.progress)(self.done);
        Ok(())
    }

    /// Nothing of this makes way until it is over.
    async fn reserve(&mut self, blobs: Vec<BlobHash>) -> Result<()> {
        self.taken.extend_from_slice(&blobs);
        let reserve = Command::Reserve { blobs, taken: true };
        self.node.tell(reserve).await
    }

    /// There is a site that has all of it: kept from now on.
    async fn keep_on_purpose(&self) -> Result<()> {
        self.node.pin_parts(self.taken.clone(), true).await
    }

    /// Writes a batch; makes room for it where there is none.
    async fn put(&self, batch: Vec<SmallBlob>) -> Result<Vec<BlobRow>> {
        let store = &self.node.store;
        let bytes: u64 = batch.iter().map(|blob| blob.data.len() as u64).sum();
        for _ in 1..TRIES {
            match store.put_small(batch.clone()).await {
                Err(StoreError::QuotaExceeded) => {}
                result => return Ok(result?),
            }
            let usage = store.usage().await?;
            let missing = usage.used.saturating_add(bytes).saturating_sub(usage.quota);
            let need = if missing == 0 { bytes } else { missing };
            if !self.node.make_room(need).await {
                return Err(StoreError::QuotaExceeded.into());
            }
        }
        Ok(store.put_small(batch).await?)
    }
}

impl<S: Store, P: FnMut(Publishing)> Drop for Taking<'_, S, P> {
    fn drop(&mut self) {
        let blobs = std::mem::take(&mut self.taken);
        let done = Command::Reserve {
            blobs,
            taken: false,
        };
        // With the node stopped there is nobody to tell.
        let _ = self.node.commands.clone().try_send(done);
    }
}
