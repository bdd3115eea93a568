//! Sites: thousands of small blobs that are found together.
//!
//! The files of a site are blobs like any other, with a session for each that is fetched, but they are neither announced nor
//! looked up: whoever has the manifest is asked for the files, over the link that is there. So a page of thirty files costs one
//! look-up at most, one link and thirty streams. A file is *asleep*, a row in the store and an entry here, unless somebody reads
//! it or asks for it; it goes back to sleep when nothing happens to it any more.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use libp2p::PeerId;

use super::{Event, EventLoop, now};
use crate::node::error::Error;
use crate::node::meta::{BlobMeta, Kind};
use crate::node::session::Halves;
use crate::proto::cache::Held;
use crate::proto::discovery::{
    Input, LOOKUP_PAUSE, LOOKUP_PAUSE_MAX, MAX_CANDIDATES, TARGET_SESSIONS,
};
use crate::proto::holding::Holding;
use crate::proto::message::Message;
use crate::proto::ordered::{Map, Set};
use crate::proto::sightings::Sightings;
use crate::proto::types::{BlobHash, CHUNK_SIZE, PeerKey, Time};
use crate::store::{BlobRow, RowId, Store};

/// Sites whose peers are remembered; the one looked at longest ago makes room. Ours: more than a person has open.
const MAX_SITES: usize = 64;

/// How long nothing happens to a file of a site before it goes to sleep. Ours: a page's next request for it, or another reader
/// behind the same peer, comes within seconds; each that is awake costs some 10 KiB.
const REST_AFTER: Duration = Duration::from_secs(10);

/// Linked peers that are asked for a site of which nobody is known. Ours: a page keeps a few links while it does nothing.
const ASKED_ANYWAY: usize = 8;

/// Sessions that are enough for a file of one chunk: one, and one more should it be slow.
const FEW_SESSIONS: usize = 2;

/// Chunks of a file up to which a few sessions are enough.
const FEW_CHUNKS: u64 = 8;

/// A file of a site that is asleep.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::node) struct Part {
    pub blob: BlobHash,
    pub row: RowId,
    /// Bytes of chunks that are here.
    pub bytes: u64,
    /// Whether that is all.
    pub whole: bool,
    pub pinned: bool,
    /// When it was last of use, milliseconds since 1970.
    pub used_at: u64,
}

impl Part {
    /// What the store knows of it; `None` for an import without an end.
    pub fn of(row: &BlobRow, meta: &BlobMeta) -> Option<Self> {
        Some(Self {
            blob: row.hash?,
            row: row.id,
            bytes: row.stored_bytes,
            whole: row.size.is_some_and(|size| size.get() == row.stored_bytes),
            pinned: row.pinned,
            used_at: meta.last_used.unwrap_or(meta.added_at),
        })
    }
}

/// Who has a site.
#[derive(Debug, Default)]
struct Peers {
    /// Peers that announce its manifest, or spoke with us of it. At most [`MAX_CANDIDATES`].
    known: Set<PeerKey>,
    looking: bool,
    next_lookup: Time,
    pause: Duration,
    used: Time,
    /// What we have told them that we have.
    own: Option<Holding>,
    /// Those of the known that say that they have everything, and when they said so last.
    whole: Map<PeerKey, Time>,
}

/// The files that are asleep, and the peers of the sites that are open.
#[derive(Debug, Default)]
pub(super) struct Sites {
    asleep: BTreeMap<BlobHash, Part>,
    open: Map<BlobHash, Peers>,
    /// Files that a publication has taken and that no site has yet: they must not make way meanwhile.
    taken: BTreeSet<BlobHash>,
    pub sightings: Sightings,
    /// When they were written last, and whether they have changed since.
    pub recorded: (Time, bool),
}

impl Sites {
    pub fn new(sightings: Sightings) -> Self {
        Self {
            sightings,
            ..Self::default()
        }
    }

    /// A publication has taken these, or is done with them.
    pub fn reserve(&mut self, blobs: Vec<BlobHash>, taken: bool) {
        for blob in blobs {
            match taken {
                true => self.taken.insert(blob),
                false => self.taken.remove(&blob),
            };
        }
    }

    /// Whether a publication has taken it.
    pub fn is_taken(&self, blob: &BlobHash) -> bool {
        self.taken.contains(blob)
    }

    /// It is awake now, or gone.
    pub fn wake(&mut self, blob: &BlobHash) -> Option<Part> {
        self.asleep.remove(blob)
    }

    /// A manifest is gone.
    pub fn forget(&mut self, manifest: &BlobHash) {
        self.open.remove(manifest);
    }

    /// What could make room.
    pub fn held(&self) -> impl Iterator<Item = Held> + '_ {
        self.asleep.values().map(|part| Held {
            blob: part.blob,
            bytes: part.bytes,
            used_at: part.used_at,
            pinned: part.pinned,
            active: self.is_taken(&part.blob),
        })
    }

    /// Remembers what we have of a site; answers with the peers to be told.
    pub fn set_own(&mut self, holding: Holding) -> Vec<PeerKey> {
        let peers = self.peers(holding.manifest, now());
        match peers.own.replace(holding) == Some(holding) {
            true => Vec::new(),
            false => peers.known.iter().copied().collect(),
        }
    }

    /// What we have of a site.
    pub fn own(&self, manifest: &BlobHash) -> Option<Holding> {
        self.open.get(manifest)?.own
    }

    /// A peer has said what it has; whether that is everything.
    pub fn heard(&mut self, holding: Holding, peer: PeerKey) -> bool {
        let now = now();
        let peers = self.peers(holding.manifest, now);
        let whole = holding.is_whole() && peers.known.contains(&peer);
        match whole {
            true => peers.whole.insert(peer, now),
            false => peers.whole.remove(&peer),
        };
        whole
    }

    /// Who said last that they have all of a site, and when.
    pub fn whole(&self, manifest: &BlobHash) -> impl Iterator<Item = (PeerKey, Time)> + '_ {
        let peers = self.open.get(manifest).into_iter();
        peers.flat_map(|peers| peers.whole.iter().map(|(peer, said)| (*peer, *said)))
    }

    fn peers(&mut self, manifest: BlobHash, now: Time) -> &mut Peers {
        if !self.open.contains_key(&manifest) && self.open.len() >= MAX_SITES {
            let oldest = self.open.iter().min_by_key(|(_, peers)| peers.used);
            if let Some(oldest) = oldest.map(|(manifest, _)| *manifest) {
                self.open.remove(&oldest);
            }
        }
        let peers = self.open.entry(manifest).or_default();
        peers.used = now;
        peers
    }
}

/// Sessions that are enough for a file of this many bytes.
pub(super) fn sessions_for(bytes: u64) -> usize {
    match bytes.div_ceil(CHUNK_SIZE) <= FEW_CHUNKS {
        true => FEW_SESSIONS,
        false => TARGET_SESSIONS,
    }
}

impl<S: Store> EventLoop<S> {
    pub(super) fn is_part(&self, blob: BlobHash) -> bool {
        let transfer = self.transfers.get(&blob);
        transfer.is_some_and(|transfer| transfer.is_part())
    }

    /// Takes note of files that are here and asleep.
    pub(super) fn rest(&mut self, parts: Vec<Part>) {
        for part in parts {
            match self.transfers.get_mut(&part.blob) {
                Some(transfer) if transfer.row == part.row => transfer.pinned |= part.pinned,
                Some(_) => {
                    // A publication has brought all of what was being fetched, in a row of its own.
                    if let Some(mut old) = self.let_go(part.blob) {
                        old.fail(|| Error::Aborted);
                    }
                    self.sites.asleep.insert(part.blob, part);
                }
                None => drop(self.sites.asleep.insert(part.blob, part)),
            }
        }
        self.usage_stale = true;
    }

    pub(super) fn is_manifest(&self, blob: BlobHash) -> bool {
        let transfer = self.transfers.get(&blob);
        transfer.is_some_and(|transfer| transfer.meta.kind == Kind::Manifest)
    }

    /// The rows and sizes of those that are here whole.
    pub(super) fn held_parts(&self, blobs: &[BlobHash]) -> Vec<Option<(RowId, u64)>> {
        let row_of = |blob: &BlobHash| match self.transfers.get(blob) {
            Some(transfer) => {
                let (size, _) = transfer.whole()?;
                Some((transfer.row, size.get()))
            }
            None => {
                let part = self.sites.asleep.get(blob)?;
                part.whole.then_some((part.row, part.bytes))
            }
        };
        blobs.iter().map(row_of).collect()
    }

    /// Sets the pin of those that are here; answers with the rows in which it is news.
    pub(super) fn pin_parts(&mut self, blobs: &[BlobHash], pinned: bool) -> Vec<RowId> {
        let mut rows = Vec::new();
        for blob in blobs {
            if let Some(transfer) = self.transfers.get_mut(blob) {
                // What the person keeps for its own sake is not the site's to let go.
                if transfer.pinned != pinned && (transfer.is_part() || pinned) {
                    transfer.pinned = pinned;
                    rows.push(transfer.row);
                }
            } else if let Some(part) = self.sites.asleep.get_mut(blob)
                && part.pinned != pinned
            {
                part.pinned = pinned;
                rows.push(part.row);
            }
        }
        rows
    }

    /// Drops those that are here for the sake of sites; answers with their rows.
    pub(super) fn drop_parts(&mut self, blobs: &[BlobHash]) -> Vec<RowId> {
        let mut rows = Vec::new();
        for blob in blobs {
            if self.is_part(*blob) || self.sites.asleep.contains_key(blob) {
                rows.extend(self.remove(*blob));
            }
        }
        rows
    }

    pub(super) fn manifests(&self) -> Vec<(BlobHash, bool)> {
        let sites = self
            .transfers
            .values()
            .filter(|transfer| transfer.meta.kind == Kind::Manifest);
        sites.map(|site| (site.blob, site.pinned)).collect()
    }

    /// Something is read through a site that is awake already.
    pub(super) fn open_through(&mut self, blob: BlobHash, site: Option<BlobHash>) {
        let Some(transfer) = self.transfers.get_mut(&blob) else {
            return;
        };
        if !transfer.is_part() || site.is_none() {
            return;
        }
        transfer.stirred = now();
        let nobody = transfer.has_problem(Error::NotFound.code())
            || transfer.has_problem(Error::NoRelay.code());
        if transfer.site != site || nobody {
            transfer.site = site;
            transfer.clear_problem();
            self.set_wanted(blob);
        }
    }

    /// Who may have this blob.
    pub(super) fn look_up_for(&mut self, blob: BlobHash) {
        let Some(transfer) = self.transfers.get_mut(&blob) else {
            return;
        };
        transfer.lookups += 1;
        let again = transfer.lookups > 1;
        let Some(site) = transfer.site else {
            if again && transfer.meta.kind == Kind::Manifest {
                // Indexes know of nobody, or there are none: who is linked anyway may have read it.
                let near = self.peers.iter().filter(|peer| peer.is_linked());
                let near: Vec<_> = near.take(ASKED_ANYWAY).map(|peer| peer.key).collect();
                self.tell_discovery(blob, Input::Found(near));
            }
            return self.look_up(blob);
        };
        let now = now();
        let peers = self.sites.peers(site, now);
        let known: Vec<_> = peers.known.iter().copied().collect();
        let linked = |peer: &PeerKey| self.peers.get(*peer).is_some_and(|peer| peer.is_linked());
        let near: Vec<_> = known.iter().copied().filter(linked).collect();
        // Who is linked is asked first; a further link is worth its price only if that was in vain.
        let enough = !near.is_empty() && !again;
        let peers = self.sites.peers(site, now);
        let look = !enough && !peers.looking && now >= peers.next_lookup;
        if look {
            peers.looking = true;
            peers.pause = (peers.pause * 3 / 2).clamp(LOOKUP_PAUSE, LOOKUP_PAUSE_MAX);
            peers.next_lookup = now + peers.pause;
        }
        let looking = peers.looking;
        if look {
            self.look_up(site);
        }
        self.tell_discovery(blob, Input::Found(if enough { near } else { known }));
        if !looking {
            self.tell_discovery(blob, Input::LookupEnded);
        }
    }

    /// Peers of a blob have become known: if it is a manifest, its files may be had from them.
    pub(super) fn on_site_peers(&mut self, manifest: BlobHash, found: Vec<PeerKey>) {
        if !self.is_manifest(manifest) || found.is_empty() {
            return;
        }
        let known = &mut self.sites.peers(manifest, now()).known;
        for peer in &found {
            if known.len() < MAX_CANDIDATES {
                known.insert(*peer);
            }
        }
        for blob in self.waiting_for(manifest) {
            self.tell_discovery(blob, Input::Found(found.clone()));
        }
    }

    pub(super) fn on_site_lookup_ended(&mut self, manifest: BlobHash) {
        if let Some(peers) = self.sites.open.get_mut(&manifest) {
            peers.looking = false;
            for blob in self.waiting_for(manifest) {
                self.tell_discovery(blob, Input::LookupEnded);
            }
        }
    }

    /// A peer has spoken with us of a site, or of a file of one.
    pub(super) fn on_site_session(&mut self, blob: BlobHash, peer: PeerKey) {
        let Some(transfer) = self.transfers.get(&blob) else {
            return;
        };
        let site = match transfer.meta.kind {
            Kind::File | Kind::Kept => None,
            Kind::Manifest => Some(blob),
            Kind::Part => transfer.site,
        };
        if let Some(site) = site {
            let peers = self.sites.peers(site, now());
            // The lookups of a site that is being read begin anew with every visit.
            peers.pause = Duration::ZERO;
            if !peers.known.contains(&peer) {
                self.on_site_peers(site, vec![peer]);
            }
            if site == blob {
                self.tell_holding(site, peer);
            }
        }
    }

    /// A remote asks for a blob that is not awake.
    pub(super) fn wake_for(
        &mut self,
        blob: BlobHash,
        peer: PeerId,
        halves: Halves,
        hello: Option<Message>,
    ) {
        if !self.sites.asleep.contains_key(&blob) || !self.gate.may_send() {
            return;
        }
        self.accepting += 1;
        let store = self.store.clone();
        self.spawn(async move {
            let read = async {
                let row = store.row_of(blob).await.ok()??;
                let stored = store.stored_chunks(row.id).await.ok()?;
                Some((row, stored))
            };
            Event::Woken {
                row: read.await,
                peer,
                halves,
                hello,
            }
        });
    }

    pub(super) fn on_woken(
        &mut self,
        row: Option<(BlobRow, Vec<crate::proto::types::ChunkIndex>)>,
        peer: PeerId,
        halves: Halves,
        hello: Option<Message>,
    ) {
        let read = row.and_then(|(row, stored)| {
            let meta = BlobMeta::decode(&row.meta)?;
            Some((row, stored, meta))
        });
        let Some((row, stored, meta)) = read else {
            self.accepting -= 1;
            return;
        };
        // It may have been removed while it was read.
        let blob = row.hash;
        let here =
            |blob| self.sites.asleep.contains_key(&blob) || self.transfers.contains_key(&blob);
        if !blob.is_some_and(here) {
            self.accepting -= 1;
            return;
        }
        self.add(row, &stored, meta, None);
        self.on_accepted(peer, halves, hello);
    }

    /// A file is here whole: the streams that were opened for it have nothing more to carry.
    pub(super) fn finish_part(&mut self, blob: BlobHash) {
        if !self.is_part(blob) {
            return;
        }
        let ours: Vec<_> = self
            .sessions
            .iter()
            .filter(|(_, session)| session.blob == blob && session.outbound)
            .map(|(id, _)| *id)
            .collect();
        ours.into_iter().for_each(|id| self.end_session(id));
    }

    /// Lets files of sites go to sleep to which nothing happens any more.
    pub(super) fn rest_idle_parts(&mut self) {
        let now = now();
        let mut idle = Vec::new();
        for (blob, transfer) in self.transfers.iter_mut() {
            let quiet = now.since(transfer.stirred) >= REST_AFTER;
            if transfer.is_part() && quiet && transfer.is_idle() && !self.gate.is_serving(*blob) {
                idle.push(*blob);
            }
        }
        for blob in idle {
            let Some(transfer) = self.let_go(blob) else {
                continue;
            };
            let progress = transfer.swarm.progress();
            let whole = transfer.swarm.is_complete();
            let part = Part {
                blob,
                row: transfer.row,
                bytes: match progress.size {
                    Some(_) => progress.stored_bytes,
                    None => u64::from(progress.stored) * CHUNK_SIZE,
                },
                whole,
                pinned: transfer.pinned,
                used_at: transfer.used_at(),
            };
            self.sites.asleep.insert(blob, part);
        }
    }

    fn waiting_for(&self, site: BlobHash) -> Vec<BlobHash> {
        let waiting = self
            .transfers
            .values()
            .filter(|transfer| transfer.site == Some(site) && transfer.wants_peers());
        waiting.map(|transfer| transfer.blob).collect()
    }
}
