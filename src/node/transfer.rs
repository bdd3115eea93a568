//! One blob on this node: its swarm and discovery machines, and what waits for it.

use std::collections::VecDeque;

use futures::channel::oneshot;

use super::error::{Error, Result};
use super::meta::{BlobMeta, Kind};
use super::meter::Meter;
use super::readers::Readers;
use super::reading::Reading;
use super::snapshot::{Problem, SwarmInfo, TransferState};
use super::web::Web;
use crate::proto::discovery::Discovery;
use crate::proto::link::blob_cid;
use crate::proto::ordered::Map;
use crate::proto::swarm::Swarm;
use crate::proto::tree::Tree;
use crate::proto::types::{BlobHash, BlobSize, ChunkIndex, Time};
use crate::rt;
use crate::store::{RowId, StoreError, StoredChunk};

/// Readers waiting for chunks of one blob.
const MAX_WAITERS: usize = 1024;

/// Someone who waits for a chunk to be stored.
type Waiter = (ChunkIndex, oneshot::Sender<Result<(RowId, BlobSize)>>);

/// The node's side of one blob.
#[derive(Debug)]
pub(super) struct Transfer {
    pub blob: BlobHash,
    pub row: RowId,
    pub meta: BlobMeta,
    pub pinned: bool,
    pub error: Option<Problem>,
    pub swarm: Swarm,
    pub discovery: Discovery,
    /// Known for what was imported here: proofs are computed instead of read.
    pub tree: Option<Tree>,
    pub to_store: VecDeque<StoredChunk>,
    /// Verified and not yet durable, waiting or being written: served from here meanwhile. Bounded by
    /// `Config::unstored_max`.
    pub unstored: Map<ChunkIndex, StoredChunk>,
    /// Chunks to be served, on their way out of the store.
    pub reading: Reading,
    /// Transactions under way.
    pub writing: usize,
    /// Chunks in them.
    pub being_written: usize,
    pub announced: bool,
    pub up: Meter,
    pub down: Meter,
    pub readers: Readers,
    /// The site that it was opened through, if it is a file of one.
    pub site: Option<BlobHash>,
    /// Look-ups so far.
    pub lookups: u32,
    /// When something last happened to it.
    pub stirred: Time,
    /// The web servers that may be asked for it.
    pub web: Option<Web>,
    waiters: Vec<Waiter>,
    /// When it was last read here, and when the last use was recorded; milliseconds since 1970.
    read_at: u64,
    use_written: u64,
}

impl Transfer {
    pub fn new(
        blob: BlobHash,
        row: RowId,
        meta: BlobMeta,
        pinned: bool,
        swarm: Swarm,
        discovery: Discovery,
    ) -> Self {
        Self {
            blob,
            row,
            meta,
            pinned,
            error: None,
            swarm,
            discovery,
            tree: None,
            to_store: VecDeque::new(),
            unstored: Map::new(),
            reading: Reading::default(),
            writing: 0,
            being_written: 0,
            announced: false,
            up: Meter::default(),
            down: Meter::default(),
            readers: Readers::default(),
            site: None,
            lookups: 0,
            stirred: Time::default() + rt::now(),
            web: None,
            waiters: Vec::new(),
            read_at: 0,
            use_written: rt::unix_millis(),
        }
    }

    /// Whether peers are wanted for it.
    pub fn wants_peers(&self) -> bool {
        let reachable = !self.is_part() || self.site.is_some();
        reachable && !self.meta.paused && !self.swarm.is_complete()
    }

    /// Whether it is a file of a site.
    pub fn is_part(&self) -> bool {
        self.meta.kind == Kind::Part
    }

    /// Whether nothing is under way, and nobody here waits for it.
    pub fn is_idle(&mut self) -> bool {
        self.waiters.retain(|(_, waiting)| !waiting.is_canceled());
        self.waiters.is_empty() && self.writing == 0 && self.to_store.is_empty()
    }

    /// Answers when the chunk is stored; at once if it is, or if it cannot come.
    pub fn wait_for(
        &mut self,
        chunk: ChunkIndex,
        reply: oneshot::Sender<Result<(RowId, BlobSize)>>,
    ) {
        self.waiters.retain(|(_, waiting)| !waiting.is_canceled());
        if self.waiters.len() >= MAX_WAITERS {
            let _ = reply.send(Err(Error::Internal("too many readers of one blob".into())));
            return;
        }
        self.waiters.push((chunk, reply));
        self.answer();
        // What is still waiting will not come by itself: the error may well have been there before the waiter.
        if self.meta.paused {
            return self.fail(|| Error::Aborted);
        }
        let full = self.has_problem(Error::Store(StoreError::QuotaExceeded).code());
        let broken = self
            .error
            .as_ref()
            .filter(|problem| problem.code == Error::Store(StoreError::NotFound).code());
        if full {
            self.fail(|| StoreError::QuotaExceeded.into());
        } else if let Some(words) = broken.map(|problem| problem.message.clone()) {
            self.fail(|| StoreError::Backend(words.clone()).into());
        }
    }

    /// It was read just now.
    pub fn touch(&mut self) {
        self.read_at = rt::unix_millis();
        self.stirred = Time::default() + rt::now();
        self.used();
    }

    /// It was of use just now, here or to somebody else.
    pub fn used(&mut self) {
        self.meta.last_used = Some(rt::unix_millis());
    }

    /// When it was last of use, milliseconds since 1970.
    pub fn used_at(&self) -> u64 {
        self.meta.last_used.unwrap_or(self.meta.added_at)
    }

    /// Whether somebody is at it: it is being fetched, written, or was read in the last `reading` milliseconds.
    pub fn is_active(&self, now: u64, reading: u64) -> bool {
        self.wants_peers()
            || self.writing > 0
            || !self.waiters.is_empty()
            || now.saturating_sub(self.read_at) < reading
    }

    /// Whether the last use is not recorded yet.
    pub fn use_unwritten(&self) -> bool {
        self.meta.last_used.is_some_and(|at| at > self.use_written)
    }

    /// Whether to record the last use now: at most once in `every` milliseconds.
    pub fn take_use_to_write(&mut self, now: u64, every: u64) -> bool {
        let due = self.use_unwritten() && now.saturating_sub(self.use_written) >= every;
        if due {
            self.use_written = now;
        }
        due
    }

    /// Takes over what the node has learnt of it.
    pub fn describe(&mut self, meta: BlobMeta) {
        let last_used = self.meta.last_used.max(meta.last_used);
        self.meta = meta;
        self.meta.last_used = last_used;
    }

    /// Size and description, if all of it is here.
    pub fn whole(&self) -> Option<(BlobSize, BlobMeta)> {
        let size = self.swarm.progress().size?;
        self.swarm.is_complete().then(|| (size, self.meta.clone()))
    }

    /// Whether it stands still for this reason.
    pub fn has_problem(&self, code: &str) -> bool {
        self.error
            .as_ref()
            .is_some_and(|problem| problem.code == code)
    }

    /// The reason has gone.
    pub fn clear_problem(&mut self) {
        self.error = None;
    }

    /// Whether what waits to be stored should wait no longer: there is a batch of it, somebody waits for a chunk, or it is
    /// all that was missing.
    pub fn should_write_now(&self, batch: usize) -> bool {
        let progress = self.swarm.progress();
        let accounted = progress.stored as usize + self.to_store.len() + self.being_written;
        let is_rest = progress.chunks > 0 && accounted >= progress.chunks as usize;
        !self.to_store.is_empty()
            && (self.to_store.len() >= batch || !self.waiters.is_empty() || is_rest)
    }

    /// Answers everybody whose chunk is there.
    pub fn answer(&mut self) {
        let Some(size) = self.swarm.progress().size else {
            return;
        };
        for (chunk, reply) in std::mem::take(&mut self.waiters) {
            if self
                .swarm
                .stored()
                .is_some_and(|stored| stored.contains(chunk.0))
            {
                let _ = reply.send(Ok((self.row, size)));
            } else {
                self.waiters.push((chunk, reply));
            }
        }
    }

    /// Answers everybody with an error: what they wait for will not come by itself.
    pub fn fail(&mut self, error: impl Fn() -> Error) {
        for (_, reply) in self.waiters.drain(..) {
            let _ = reply.send(Err(error()));
        }
    }

    /// Remembers why it stands still.
    pub fn set_problem(&mut self, error: &Error) {
        self.error = Some(Problem {
            code: error.code(),
            message: error.to_string(),
        });
    }

    /// Somebody is there after all.
    pub fn found(&mut self) {
        let nobody = [Error::NotFound.code(), Error::NoRelay.code()];
        if self
            .error
            .as_ref()
            .is_some_and(|problem| nobody.contains(&problem.code))
        {
            self.error = None;
        }
    }

    /// What a person sees of it.
    pub fn info(&self, now: Time) -> SwarmInfo {
        let progress = self.swarm.progress();
        let peers: Vec<_> = self.swarm.peers(now).collect();
        let state = match () {
            () if self.swarm.is_complete() => TransferState::Complete,
            () if self.meta.paused && self.error.is_none() => TransferState::Paused,
            () if self.error.is_some() => TransferState::Failed,
            () if peers.is_empty() && !self.web.as_ref().is_some_and(Web::is_busy) => {
                TransferState::Finding
            }
            () => TransferState::Fetching,
        };
        let content = self.meta.content_size;
        let have = match content {
            // Sealing adds a few bytes to every chunk; a person thinks in bytes of the file.
            Some(content) if progress.chunks > 0 => {
                (u128::from(content) * u128::from(progress.stored) / u128::from(progress.chunks))
                    as u64
            }
            _ => 0,
        };
        SwarmInfo {
            cid: blob_cid(self.blob),
            fragment: Some(self.meta.fragment(self.blob)),
            name: self.meta.name.clone(),
            media_type: self.meta.media_type.clone(),
            size: content,
            have,
            state,
            error: self.error.clone(),
            pinned: self.pinned,
            public: self.meta.key.is_none(),
            up: self.up.total(),
            down: self.down.total(),
            up_rate: self.up.rate(),
            down_rate: self.down.rate(),
            wasted: progress.wasted_bytes,
            peers: peers.len(),
            servers: self.web.as_ref().map(Web::infos).unwrap_or_default(),
            sources: peers.iter().filter(|peer| peer.has_all).count(),
            added_at: self.meta.added_at,
            chunks: progress.chunks,
            chunks_have: progress.stored,
        }
    }
}
