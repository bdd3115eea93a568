//! The sites of a keeper: one task for each address, which follows it and brings its versions.

use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use futures::StreamExt;
use futures::future::{AbortHandle, abortable};
use libp2p::PeerId;
use tokio::sync::Semaphore;

use super::super::metrics::Metrics;
use crate::node::names::Head;
use crate::node::{Error, Node, Result};
use crate::proto::address::Address;
use crate::proto::budget::Budget;
use crate::proto::keeping::{Kept, Shelf, Verdict};
use crate::proto::link::manifest_from_cid_bytes;
use crate::proto::manifest::Manifest;
use crate::proto::types::{BlobHash, Time};
use crate::rt;
use crate::store::disk::DiskStore;
use crate::store::{Store, StoreError};

/// Name of the stored value that holds the shelf.
const SHELF: &str = "shelf";

/// Sites that are brought at once; each fetches dozens of files.
const MAX_BRINGING: usize = 4;

/// Wishes that are being looked at; more are dropped, and asked again by whoever has them.
const MAX_WISHES: usize = 32;

/// Wishes of one peer among them.
const MAX_WISHES_OF_PEER: usize = 4;

/// New addresses that are looked at at once, and the time in which there is one more. Ours: each costs a look-up and a list of files.
const WISH_BURST: u32 = 64;
const WISH_INTERVAL: Duration = Duration::from_secs(2);

/// Pause before a site that could not be brought is tried again: doubled each time, up to the second.
const RETRY: Duration = Duration::from_secs(5);
const RETRY_MAX: Duration = Duration::from_secs(600);

/// What a keeper keeps, and what is under way.
pub(super) struct Sites {
    node: Node<DiskStore>,
    store: DiskStore,
    shelf: RefCell<Shelf>,
    changed: Cell<bool>,
    tasks: RefCell<BTreeMap<Address, AbortHandle>>,
    /// What is being looked at, and for whom.
    wishes: RefCell<BTreeMap<(Address, PeerId), AbortHandle>>,
    budget: RefCell<Budget>,
    bringing: Semaphore,
    metrics: Arc<Metrics>,
}

impl Sites {
    /// Takes up what was kept before.
    pub async fn open(
        node: Node<DiskStore>,
        store: DiskStore,
        keep: u64,
        metrics: Arc<Metrics>,
    ) -> Result<Self, StoreError> {
        let stored = store.value(SHELF).await?;
        let shelf = stored.and_then(|stored| {
            let shelf = Shelf::decode(keep, &stored);
            if shelf.is_none() {
                tracing::warn!("what was kept cannot be read: beginning anew");
            }
            shelf
        });
        Ok(Self {
            node,
            store,
            shelf: RefCell::new(shelf.unwrap_or_else(|| Shelf::new(keep))),
            changed: Cell::new(true),
            tasks: RefCell::default(),
            wishes: RefCell::default(),
            budget: RefCell::new(Budget::new(WISH_BURST, WISH_INTERVAL)),
            bringing: Semaphore::new(MAX_BRINGING),
            metrics,
        })
    }

    /// Begins to keep what the operator named, and goes on with the rest.
    pub async fn begin(self: &Rc<Self>, pins: &BTreeSet<Address>) {
        let at = rt::unix_millis();
        let known: Vec<_> = {
            let shelf = self.shelf.borrow();
            shelf.iter().map(|(address, _)| *address).collect()
        };
        for address in known.iter().chain(pins) {
            let gone = self
                .shelf
                .borrow_mut()
                .pin(*address, pins.contains(address), at);
            self.let_go(gone).await;
        }
        // An address that was never brought and is named no longer is nobody's.
        let empty: Vec<_> = {
            let shelf = self.shelf.borrow();
            let empty = shelf.iter().filter(|(_, kept)| is_empty(kept));
            empty.map(|(address, _)| *address).collect()
        };
        for address in empty {
            self.shelf.borrow_mut().remove(&address);
            if let Address::Name(name) = address {
                let _ = self.node.names().hold(name, false).await;
            }
        }
        let kept: Vec<_> = {
            let shelf = self.shelf.borrow();
            shelf.iter().map(|(address, _)| *address).collect()
        };
        for version in self.node.sites().await.unwrap_or_default() {
            if !self.shelf.borrow().keeps(version.0) {
                self.drop_version(version.0).await;
            }
        }
        for address in kept {
            self.follow(address);
        }
        self.changed.set(true);
    }

    /// Lets go of what is denied by now.
    pub async fn drop_denied(self: &Rc<Self>) {
        let denylist = self.node.denylist();
        let denied: Vec<_> = {
            let shelf = self.shelf.borrow();
            let denied = shelf.iter().filter(|(address, kept)| {
                let by_address = match address {
                    Address::Manifest(version) => denylist.denies_blob(*version),
                    Address::Name(name) => denylist.denies_name(*name),
                };
                by_address
                    || kept
                        .version
                        .is_some_and(|version| denylist.denies_blob(version))
            });
            denied.map(|(address, _)| *address).collect()
        };
        for address in denied {
            self.metrics.keeper_denied.inc();
            let kept = self.shelf.borrow_mut().remove(&address);
            if let Some(kept) = kept {
                self.let_go(vec![(address, kept)]).await;
            }
        }
    }

    /// A peer wants an address to be kept.
    pub fn wish(self: &Rc<Self>, address: Address, peer: PeerId) {
        self.metrics.keeper_asked.inc();
        let known = {
            let mut shelf = self.shelf.borrow_mut();
            shelf.touch(&address, rt::unix_millis())
        };
        if known {
            self.changed.set(true);
            let sites = self.clone();
            return rt::spawn(async move { sites.answer(address, peer, Verdict::Taken).await });
        }
        let mut wishes = self.wishes.borrow_mut();
        let of_peer = wishes.keys().filter(|(_, other)| *other == peer).count();
        let busy = wishes.len() >= MAX_WISHES || of_peer >= MAX_WISHES_OF_PEER;
        let now = Time::default() + rt::now();
        if wishes.contains_key(&(address, peer)) || busy || !self.budget.borrow_mut().try_take(now)
        {
            return;
        }
        let sites = self.clone();
        let (work, handle) = abortable(async move {
            let verdict = sites.consider(address).await;
            if verdict != Verdict::Taken {
                sites.metrics.keeper_refused.inc();
            }
            sites.answer(address, peer, verdict).await;
            sites.wishes.borrow_mut().remove(&(address, peer));
        });
        wishes.insert((address, peer), handle);
        rt::spawn(async move {
            let _ = work.await;
        });
    }

    /// A peer reads a version.
    pub fn on_read(&self, version: BlobHash) {
        self.shelf
            .borrow_mut()
            .touch_version(version, rt::unix_millis());
        self.changed.set(true);
    }

    /// Tells how much is kept.
    pub fn count(&self) {
        let shelf = self.shelf.borrow();
        let whole = shelf.iter().filter(|(_, kept)| kept.version.is_some());
        let (sites, bytes) = whole.fold((0, 0), |(sites, bytes), (_, kept)| {
            (sites + 1, bytes + kept.bytes)
        });
        self.metrics.keeper_sites.set(sites);
        self.metrics.keeper_bytes.set(bytes as i64);
        let wanted = shelf.iter().count() as i64;
        self.metrics.keeper_unfinished.set(wanted - sites);
    }

    /// Writes down what changed.
    pub async fn remember(&self) {
        if !self.changed.replace(false) {
            return;
        }
        let bytes = self.shelf.borrow().encode();
        if let Err(error) = self.store.set_value(SHELF, Some(bytes)).await {
            tracing::warn!(%error, "what is kept is not written down");
            self.changed.set(true);
        }
    }

    /// Stops all that is under way.
    pub async fn end(&self) {
        self.tasks.take().values().for_each(AbortHandle::abort);
        self.wishes.take().values().for_each(AbortHandle::abort);
        self.remember().await;
    }

    async fn answer(&self, address: Address, peer: PeerId, verdict: Verdict) {
        tracing::debug!(%address, ?verdict, "asked to keep");
        // The node is gone only at a shutdown.
        let _ = self.node.answer(address, peer, verdict).await;
    }

    /// Looks at what an address leads to, and keeps it if there is room.
    async fn consider(self: &Rc<Self>, address: Address) -> Verdict {
        let looked = async {
            let version = match address {
                Address::Manifest(version) => version,
                Address::Name(name) => {
                    let head = self.node.names().resolve(name).await?;
                    version_of(&head).ok_or(Error::NotFound)?
                }
            };
            let was_here = self.is_here(version).await;
            let site = self.node.site(version).await?;
            Ok((version, size_of(site.manifest()), was_here))
        };
        let (version, bytes, was_here) = match looked.await {
            Ok(found) => found,
            Err(error) => {
                let error: Error = error;
                if matches!(error, Error::Denied) {
                    return Verdict::Refused;
                }
                tracing::info!(%address, %error, "asked to keep what cannot be had");
                return Verdict::NotFound;
            }
        };
        let expected = self
            .shelf
            .borrow_mut()
            .expect(address, bytes, rt::unix_millis());
        match expected {
            Ok(gone) => {
                self.changed.set(true);
                self.follow(address);
                self.let_go(gone).await;
                Verdict::Taken
            }
            Err(error) => {
                tracing::info!(%address, bytes, %error, "asked to keep");
                if !was_here {
                    self.drop_version(version).await;
                }
                Verdict::Full
            }
        }
    }

    async fn is_here(&self, version: BlobHash) -> bool {
        let sites = self.node.sites().await.unwrap_or_default();
        sites.iter().any(|(here, _)| *here == version)
    }

    /// Keeps an address from now on, until its task is ended.
    fn follow(self: &Rc<Self>, address: Address) {
        let mut tasks = self.tasks.borrow_mut();
        if tasks.contains_key(&address) {
            return;
        }
        let sites = self.clone();
        let (work, handle) = abortable(async move {
            match address {
                Address::Manifest(version) => sites.bring(address, version).await,
                Address::Name(name) => {
                    if let Err(error) = sites.follow_name(address, name).await {
                        tracing::warn!(%address, %error, "a name is not followed");
                    }
                }
            }
        });
        tasks.insert(address, handle);
        rt::spawn(async move {
            let _ = work.await;
        });
    }

    async fn follow_name(
        self: &Rc<Self>,
        address: Address,
        name: crate::proto::name::Name,
    ) -> Result<()> {
        self.node.names().hold(name, true).await?;
        let heads = self.node.names().watch(name).await?;
        let mut heads = std::pin::pin!(heads);
        let mut next = heads.next().await;
        while let Some(head) = next {
            let Some(version) = version_of(&head) else {
                tracing::info!(%address, value = head.value, "a name leads to no site");
                next = heads.next().await;
                continue;
            };
            // A newer head ends the wait for a version that perhaps nobody has any more.
            let bringing = std::pin::pin!(self.bring(address, version));
            let newer = heads.next();
            next = match futures::future::select(bringing, newer).await {
                futures::future::Either::Left(((), newer)) => newer.await,
                futures::future::Either::Right((newer, _)) => newer,
            };
        }
        Ok(())
    }

    /// Brings a version of an address, however long it takes, and lets go of the one before.
    async fn bring(self: &Rc<Self>, address: Address, version: BlobHash) {
        let mut pause = RETRY;
        loop {
            match self.try_bring(version).await {
                Ok(bytes) => return self.put(address, version, bytes).await,
                Err(error) => {
                    tracing::info!(%address, %error, "a version is not here yet");
                    self.metrics.keeper_failures.inc();
                    rt::sleep(pause).await;
                    pause = (pause * 2).min(RETRY_MAX);
                }
            }
        }
    }

    async fn try_bring(&self, version: BlobHash) -> Result<u64> {
        let closed = |_| Error::Closed;
        let _turn = self.bringing.acquire().await.map_err(closed)?;
        let site = self.node.site(version).await?;
        site.fetch(|_| {}).await?;
        self.node.set_site_pinned(version, true).await?;
        Ok(size_of(site.manifest()))
    }

    async fn put(self: &Rc<Self>, address: Address, version: BlobHash, bytes: u64) {
        let before = self.shelf.borrow().get(&address).copied();
        let fresh = before.is_none_or(|before| before.version != Some(version));
        let at = match fresh {
            true => rt::unix_millis(),
            false => before.map_or(0, |before| before.asked_at),
        };
        let put = self.shelf.borrow_mut().put(address, version, bytes, at);
        self.changed.set(true);
        match put {
            Ok(gone) => {
                if fresh {
                    self.metrics.keeper_brought.inc();
                    tracing::info!(%address, bytes, "a version is here whole");
                }
                self.let_go(gone).await;
                let old = before.and_then(|before| before.version);
                if let Some(old) = old.filter(|old| *old != version) {
                    self.retire(old).await;
                }
            }
            Err(error) => {
                tracing::info!(%address, bytes, %error, "a version is too large");
                self.retire(version).await;
            }
        }
    }

    /// Stops keeping these.
    async fn let_go(&self, gone: Vec<(Address, Kept)>) {
        for (address, kept) in gone {
            tracing::info!(%address, "makes way");
            self.metrics.keeper_let_go.inc();
            if let Some(task) = self.tasks.borrow_mut().remove(&address) {
                task.abort();
            }
            if let Address::Name(name) = address {
                let _ = self.node.names().hold(name, false).await;
            }
            if let Some(version) = kept.version {
                self.retire(version).await;
            }
            self.changed.set(true);
        }
    }

    /// Drops a version unless another address leads to it.
    async fn retire(&self, version: BlobHash) {
        if !self.shelf.borrow().keeps(version) {
            self.drop_version(version).await;
        }
    }

    async fn drop_version(&self, version: BlobHash) {
        if let Err(error) = self.try_drop(version).await {
            tracing::warn!(%error, "a version could not be dropped");
        }
    }

    /// Removes a manifest and the files that no other version here has.
    async fn try_drop(&self, version: BlobHash) -> Result<()> {
        let here = self.node.sites().await?;
        if here.iter().all(|(other, _)| *other != version) {
            return Ok(());
        }
        // One whose list of files is not here whole has no files.
        if let Some(manifest) = self.node.manifest_here(version).await? {
            let mut loose = blobs_of(&manifest);
            for (other, _) in here {
                if other == version {
                    continue;
                }
                if let Some(others) = self.node.manifest_here(other).await? {
                    for entry in others.entries() {
                        loose.remove(&entry.blob);
                    }
                }
            }
            for blob in loose {
                self.removed(blob).await?;
            }
        }
        self.removed(version).await
    }

    async fn removed(&self, blob: BlobHash) -> Result<()> {
        match self.node.remove(blob).await {
            Err(Error::NotFound) | Ok(()) => Ok(()),
            Err(error) => Err(error),
        }
    }
}

fn is_empty(kept: &Kept) -> bool {
    kept.version.is_none() && kept.bytes == 0 && !kept.pinned
}

fn version_of(head: &Head) -> Option<BlobHash> {
    manifest_from_cid_bytes(&head.cid?.to_bytes())
}

/// Bytes that a version takes: its files, and the list of them.
fn size_of(manifest: &Manifest) -> u64 {
    manifest
        .size()
        .saturating_add(manifest.bytes().len() as u64)
}

fn blobs_of(manifest: &Manifest) -> BTreeSet<BlobHash> {
    manifest.entries().map(|entry| entry.blob).collect()
}
