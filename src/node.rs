//! The one async loop that joins proto, net and store, and the handle to talk to it.
//!
//! [`Node`] is cheap to clone. Calls that need the loop send it a command and wait for the answer; bulk work (importing,
//! reading) runs in the caller's own future, straight against the store.

mod command;
mod config;
pub mod custody;
pub mod denylists;
mod error;
mod event_loop;
mod export;
mod file;
mod identity;
mod import;
pub mod keepers;
pub mod keys;
#[cfg(feature = "mail")]
pub mod mail;
mod meta;
mod meter;
pub mod names;
#[cfg(target_arch = "wasm32")]
mod page;
mod peers;
mod read_ahead;
mod readers;
mod reading;
mod room;
mod session;
mod site;
pub mod snapshot;
mod starting;
mod transfer;
mod web;

#[cfg(all(feature = "interop", target_arch = "wasm32"))]
pub mod interop;

use std::cell::RefCell;
use std::ops::Range;
use std::rc::Rc;

use bytes::Bytes;
use futures::channel::{mpsc, oneshot};
use futures::{SinkExt, Stream};
use libp2p::PeerId;

pub use crate::net::addresses::{NotAnAddress, parse as parse_address, text as address_text};
pub use config::{Config, MAX_RELAYS};
pub use error::{Error, Result};
pub use event_loop::Changed;
pub use export::Export;
pub use file::{File, MAX_READ};
pub use import::ImportOptions;
#[cfg(target_arch = "wasm32")]
pub use page::{PageExport, PageFile, PageNode, PageSite};
pub use site::{
    Fetching, Holders, PublishOptions, Published, Publishing, Site, SiteFile, SiteOwner,
};

use command::Command;
use event_loop::Shared;
use file::Located;
use meta::{BlobMeta, Kind};
use readers::ReaderId;
use snapshot::{PeerInfo, Stats, SwarmChart, SwarmInfo};

use crate::proto::limits::{Limits, Surroundings};
use crate::proto::link::Link;
use crate::proto::share::ShareHeader;
use crate::proto::tree::TreeBuilder;
use crate::proto::types::{BlobHash, BlobSize, ChunkIndex};
use crate::proto::web_source::{self, WebSource};
use crate::proto::web_tree::WebTree;
use crate::rt;
use crate::store::{BlobRow, RowId, Store, StoreError, StoredChunk};

/// Name of the stored value that holds the person's word on uploads.
const UPLOAD: &str = "upload";

/// Name of the stored value that holds the person's limits.
const LIMITS: &str = "limits";

/// Name of the stored value that holds who was seen to have sites.
const SIGHTINGS: &str = "sightings";

/// Name of the stored value that holds what was sent and received today.
const TRAFFIC: &str = "traffic";

/// Times that a chunk is read again after it was found damaged and fetched anew.
const READ_TRIES: usize = 3;

/// What came of an import.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Share {
    /// The blob.
    pub blob: BlobHash,
    /// What others open; holds the key unless public.
    pub link: Link,
    /// Content bytes.
    pub size: u64,
}

/// A running node.
pub struct Node<S: Store> {
    commands: mpsc::Sender<Command>,
    store: S,
    shared: Rc<RefCell<Shared>>,
    peer_id: PeerId,
}

impl<S: Store> Clone for Node<S> {
    fn clone(&self) -> Self {
        let Self {
            commands,
            store,
            shared,
            peer_id,
        } = self;
        Self {
            commands: commands.clone(),
            store: store.clone(),
            shared: shared.clone(),
            peer_id: *peer_id,
        }
    }
}

impl<S: Store> std::fmt::Debug for Node<S> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Node")
            .field("peer_id", &self.peer_id)
            .finish_non_exhaustive()
    }
}

impl<S: Store> Node<S> {
    /// Our identity on the network.
    pub fn peer_id(&self) -> PeerId {
        self.peer_id
    }

    /// Imports content and serves it. Dropping the future gives it up. `progress` hears how many bytes were taken.
    ///
    /// # Errors
    /// `Source` if the source fails, `Store` if there is no room.
    pub async fn import(
        &self,
        source: impl Stream<Item = Result<Bytes, String>>,
        options: ImportOptions,
        progress: impl FnMut(u64),
    ) -> Result<Share> {
        let make_room = async |bytes| self.make_room(bytes).await;
        let taken = import::import(&self.store, source, options, progress, make_room);
        self.keep(taken.await?).await
    }

    /// Opens a blob that is here whole for export: a file that holds it and its link, and so its key.
    ///
    /// # Errors
    /// `NotFound` if it is not here, or not all of it.
    pub async fn export(&self, blob: BlobHash) -> Result<Export<S>> {
        export::export(self, blob).await
    }

    /// Takes back what [`export`](Self::export) made, checks it and serves it. `progress` hears how many bytes were taken.
    ///
    /// # Errors
    /// `BadOptions` if it is no such file or damaged, `WrongKey`, `Source`, `Store`.
    pub async fn import_exported(
        &self,
        source: impl Stream<Item = Result<Bytes, String>>,
        progress: impl FnMut(u64),
    ) -> Result<Share> {
        let make_room = async |bytes| self.make_room(bytes).await;
        let taken = export::import(&self.store, source, progress, make_room);
        self.keep(taken.await?).await
    }

    /// Opens a link: starts fetching what is missing, and ends when name and size are known.
    ///
    /// # Errors
    /// `BadLink`, `WrongKey`, `NotFound` or `NoRelay` after a bounded wait (the node goes on looking), `Store`.
    pub async fn open(&self, link: &str) -> Result<File<S>> {
        let sources = web_source::of_link(link);
        let link = Link::parse(link)?;
        let blob = link.blob();
        self.check_blob(blob)?;
        let (key, header) = match &link {
            Link::Share { key, .. } => (Some(key), ShareHeader::default()),
            Link::Public { header, .. } => (None, header.clone()),
        };
        let known = self.ask(|reply| Command::Lookup { blob, reply }).await?;
        let mut meta = BlobMeta::new(key, &header, rt::unix_millis());
        let fresh = known.is_none();
        match known {
            // The key in the link counts, not one that an earlier, perhaps wrong, link brought.
            Some((row, mut known)) => {
                known.key = meta.key;
                known.paused = false;
                if known.kind.is_incidental() {
                    // Until now it was a site's only, or others'.
                    known.kind = Kind::File;
                    known.set_header(&header);
                    self.describe(blob, row, &known).await?;
                }
                meta = known;
                meta.add_sources(sources);
                let sources = meta.sources();
                self.tell(Command::SetSources { blob, sources }).await?;
            }
            None => {
                meta.add_sources(sources);
                let row = self.store.create(blob, meta.encode()).await?;
                self.add(row, meta.clone()).await?;
            }
        }
        if !fresh {
            self.set_paused(blob, false).await?;
        }
        let opened = File::open(self.clone(), blob, meta).await;
        if fresh && matches!(opened, Err(Error::WrongKey)) {
            // Nobody could ever read what it would fetch.
            self.remove(blob).await?;
        }
        opened
    }

    /// Remembers where on the web a blob lies that is here, for the links that are made of it: at each of these addresses, and
    /// its tree ([`web_tree`](Self::web_tree)) beside it. Returns the fragment of the link.
    ///
    /// # Errors
    /// `NotFound` if the blob is not here.
    pub async fn add_sources(&self, blob: BlobHash, sources: Vec<WebSource>) -> Result<String> {
        let known = self.ask(|reply| Command::Lookup { blob, reply }).await?;
        let (row, mut meta) = known.ok_or(Error::NotFound)?;
        meta.add_sources(sources);
        let sources = meta.sources();
        self.tell(Command::SetSources { blob, sources }).await?;
        self.store.set_meta(row, meta.encode()).await?;
        Ok(meta.fragment(blob))
    }

    /// The file that has to lie beside a blob on a web server, so that others can use that server as a source.
    ///
    /// # Errors
    /// `NotFound` if it is not here, or not all of it.
    pub async fn web_tree(&self, blob: BlobHash) -> Result<Bytes> {
        let (size, _) = self.whole(blob).await?.ok_or(Error::NotFound)?;
        let (mut builder, mut last) = (TreeBuilder::new(), Bytes::new());
        for index in 0..size.chunk_count() {
            last = self.checked_chunk(blob, ChunkIndex(index)).await?.data;
            let pushed = builder.push_chunk(&last);
            pushed.map_err(|error| Error::Internal(error.to_string()))?;
        }
        WebTree::new(builder.finish(), &last)
            .map(|tree| tree.encode())
            .ok_or_else(|| Error::Internal("a blob without a last chunk".into()))
    }

    /// Keeps a blob on purpose, or lets it be evictable again.
    ///
    /// # Errors
    /// `NotFound` if it is not here.
    pub async fn set_pinned(&self, blob: BlobHash, pinned: bool) -> Result<()> {
        let row = self
            .ask(|reply| Command::SetPinned {
                blob,
                pinned,
                reply,
            })
            .await??;
        Ok(self.store.set_pinned(row, pinned).await?)
    }

    /// Stops fetching a blob, or goes on (also after a failure).
    ///
    /// # Errors
    /// `NotFound` if it is not here.
    pub async fn set_paused(&self, blob: BlobHash, paused: bool) -> Result<()> {
        let (row, meta) = self
            .ask(|reply| Command::SetPaused {
                blob,
                paused,
                reply,
            })
            .await??;
        // Remembered, so that a reload does not go on with what the person stopped.
        Ok(self.store.set_meta(row, meta.encode()).await?)
    }

    /// Drops a blob with all its chunks.
    ///
    /// # Errors
    /// `NotFound` if it is not here.
    pub async fn remove(&self, blob: BlobHash) -> Result<()> {
        let row = self.ask(|reply| Command::Remove { blob, reply }).await??;
        Ok(self.store.remove(row).await?)
    }

    /// Remembers whether the person agrees to uploads. Without it nothing is announced and no chunk is sent.
    ///
    /// # Errors
    /// `Store` if it cannot be remembered; then nothing changes.
    pub async fn set_upload(&self, allowed: bool) -> Result<()> {
        self.store
            .set_value(UPLOAD, Some(Bytes::copy_from_slice(&[u8::from(allowed)])))
            .await?;
        self.tell(Command::SetUpload(allowed)).await
    }

    /// Sets what the person allows of their connection; figures out of bounds are brought within. Holds at once, and
    /// after a reload.
    ///
    /// # Errors
    /// `Store` if it cannot be remembered; then nothing changes.
    pub async fn set_limits(&self, limits: Limits) -> Result<()> {
        let limits = limits.bounded();
        self.store.set_value(LIMITS, Some(limits.encode())).await?;
        self.tell(Command::SetLimits(limits)).await
    }

    /// Tells what the platform says of the connection and the battery.
    ///
    /// # Errors
    /// `Closed` once stopped.
    pub async fn set_surroundings(&self, surroundings: Surroundings) -> Result<()> {
        self.tell(Command::SetSurroundings(surroundings)).await
    }

    /// Sets the person's cap in bytes; what is over it and may go goes at once.
    ///
    /// # Errors
    /// `Store` if it cannot be remembered.
    pub async fn set_quota(&self, bytes: u64) -> Result<()> {
        self.store.set_quota(bytes).await?;
        self.tell(Command::QuotaChanged).await
    }

    /// The node as a whole, as of the last few hundred milliseconds.
    pub fn stats(&self) -> Stats {
        self.shared.borrow().snapshot.stats.clone()
    }

    /// Its blobs.
    pub fn swarms(&self) -> Vec<SwarmInfo> {
        self.shared.borrow().snapshot.swarms.clone()
    }

    /// Its peers.
    pub fn peers(&self) -> Vec<PeerInfo> {
        self.shared.borrow().snapshot.peers.clone()
    }

    /// Who has what of one blob, as far as this node knows, drawn now: for whoever watches, a few times a second.
    ///
    /// # Errors
    /// `NotFound` if it is not here.
    pub async fn chart(&self, blob: BlobHash) -> Result<SwarmChart> {
        self.ask(|reply| Command::Chart { blob, reply }).await?
    }

    /// Calls `listener` when a part of the snapshot changed; replaces a former listener.
    pub fn on_change(&self, listener: impl Fn(Changed) + 'static) {
        self.shared.borrow_mut().listener = Some(Rc::new(listener));
    }

    /// Stops: closes every link, lets go of the store. Later calls fail with `Closed`.
    pub async fn stop(&self) {
        self.shared.borrow_mut().root = None;
        let _ = self.ask(|reply| Command::Stop { reply }).await;
    }

    async fn add(&self, row: BlobRow, meta: BlobMeta) -> Result<()> {
        self.add_to(row, meta, None).await
    }

    async fn add_to(&self, row: BlobRow, meta: BlobMeta, site: Option<BlobHash>) -> Result<()> {
        let stored = self.store.stored_chunks(row.id).await?;
        let add = Command::Add {
            row,
            stored,
            meta,
            site,
        };
        self.tell(add).await
    }

    /// Takes up what an import left, kept on purpose: it may be the only copy there is.
    async fn keep(&self, (mut row, mut meta): (BlobRow, BlobMeta)) -> Result<Share> {
        let blob = row
            .hash
            .ok_or_else(|| Error::Internal("an import without a hash".into()))?;
        if let Err(denied) = self.check_blob(blob) {
            if self
                .ask(|reply| Command::Lookup { blob, reply })
                .await?
                .is_none()
            {
                self.store.remove(row.id).await?;
            }
            return Err(denied);
        }
        self.store.set_pinned(row.id, true).await?;
        row.pinned = true;
        if meta.kind.is_incidental() {
            // Until now it was a site's only, or others'.
            meta.kind = Kind::File;
            self.describe(blob, row.id, &meta).await?;
        }
        let share = Share {
            blob,
            link: meta.link(blob),
            size: meta.content_size.unwrap_or_default(),
        };
        self.add(row, meta).await?;
        // It may have been here before, as something that may go.
        self.ask(|reply| Command::SetPinned {
            blob,
            pinned: true,
            reply,
        })
        .await??;
        Ok(share)
    }

    async fn make_room(&self, bytes: u64) -> bool {
        let asked = self.ask(|reply| Command::MakeRoom { bytes, reply });
        asked.await.unwrap_or(false)
    }

    async fn whole(&self, blob: BlobHash) -> Result<Option<(BlobSize, BlobMeta)>> {
        self.ask(|reply| Command::Whole { blob, reply }).await
    }

    /// Waits for a chunk, reads it and makes sure that it is still what was verified; one that is not is fetched again.
    async fn checked_chunk(&self, blob: BlobHash, index: ChunkIndex) -> Result<StoredChunk> {
        for _ in 0..READ_TRIES {
            let (row, _) = self.wait_for(blob, index).await?;
            let chunk = match self.store.chunk(row, index).await {
                Ok(chunk) => Some(chunk),
                Err(StoreError::NotFound) => None,
                Err(error) => return Err(error.into()),
            };
            let checked = self.ask(|reply| Command::Check {
                blob,
                index,
                chunk,
                reply,
            });
            if let Some(chunk) = checked.await? {
                return Ok(chunk);
            }
        }
        Err(StoreError::Backend("a chunk is damaged again and again".into()).into())
    }

    /// A chunk that is stored and whole, without waiting for one that is not.
    async fn chunk_here(
        &self,
        blob: BlobHash,
        row: RowId,
        index: ChunkIndex,
    ) -> Result<Option<StoredChunk>> {
        let chunk = match self.store.chunk(row, index).await {
            Ok(chunk) => Some(chunk),
            Err(StoreError::NotFound) => return Ok(None),
            Err(error) => return Err(error.into()),
        };
        self.ask(|reply| Command::Check {
            blob,
            index,
            chunk,
            reply,
        })
        .await
    }

    async fn wait_for(&self, blob: BlobHash, chunk: ChunkIndex) -> Result<Located> {
        self.ask(|reply| Command::Await { blob, chunk, reply })
            .await?
    }

    /// A reader's chunks come before all others until it leaves.
    async fn want(
        &self,
        blob: BlobHash,
        reader: ReaderId,
        chunks: Range<u32>,
        pace: u64,
    ) -> Result<()> {
        self.tell(Command::Read {
            blob,
            reader,
            chunks,
            pace,
        })
        .await
    }

    /// A reader is gone; from a destructor, so it cannot wait.
    fn leave(&self, blob: BlobHash, reader: ReaderId) {
        // With a full queue the wish stays: it is one of a bounded number, and others push it out.
        let _ = self
            .commands
            .clone()
            .try_send(Command::Leave { blob, reader });
    }

    fn new_reader(&self) -> ReaderId {
        let mut shared = self.shared.borrow_mut();
        shared.readers += 1;
        ReaderId(shared.readers)
    }

    async fn describe(&self, blob: BlobHash, row: RowId, meta: &BlobMeta) -> Result<()> {
        self.store.set_meta(row, meta.encode()).await?;
        self.tell(Command::Describe {
            blob,
            meta: meta.clone(),
        })
        .await
    }

    async fn tell(&self, command: Command) -> Result<()> {
        self.commands
            .clone()
            .send(command)
            .await
            .map_err(|_| Error::Closed)
    }

    async fn ask<T>(&self, command: impl FnOnce(oneshot::Sender<T>) -> Command) -> Result<T> {
        let (reply, answer) = oneshot::channel();
        self.tell(command(reply)).await?;
        answer.await.map_err(|_| Error::Closed)
    }
}
