//! Room for chunks: what nobody keeps on purpose makes way for what is wanted now.
//!
//! A write that does not fit asks here for room and is tried again; a cap that was lowered below what is held lets go at
//! once. `proto::cache` chooses; what cannot go stays, and the write fails with `QuotaExceeded`.

use futures::SinkExt;
use futures::channel::oneshot;

use super::{Event, EventLoop};
use crate::node::error::Error;
use crate::proto::cache::{self, Held};
use crate::proto::swarm::Input;
use crate::proto::types::{BlobHash, CHUNK_SIZE};
use crate::rt;
use crate::store::{RowId, Store, StoreError, Usage};

/// Milliseconds that a blob counts as being read after the last read of it.
const READING: u64 = 60_000;

/// Milliseconds between two records of when a blob was last used: exact order matters little, transactions cost.
const USE_EVERY: u64 = 60_000;

/// Who waits for room while something is being removed.
#[derive(Debug, Default)]
pub(super) struct Eviction {
    running: bool,
    waiting: Vec<oneshot::Sender<bool>>,
}

impl<S: Store> EventLoop<S> {
    /// How a task of the loop asks for room.
    pub(super) fn room_maker(&self) -> impl AsyncFn(u64) -> bool + 'static {
        let outbox = self.outbox.clone();
        async move |bytes| {
            let (reply, answer) = oneshot::channel();
            let asked = Event::NeedRoom { bytes, reply };
            outbox.clone().send(asked).await.is_ok() && answer.await.unwrap_or(false)
        }
    }

    /// Frees `bytes`, and answers whether to try again. Nothing goes if it would not be enough.
    pub(super) fn make_room(&mut self, bytes: u64, reply: oneshot::Sender<bool>) {
        if self.eviction.running {
            // What goes now may be enough for both.
            return self.eviction.waiting.push(reply);
        }
        let plan = cache::plan(self.held(), bytes);
        if plan.short > 0 {
            let _ = reply.send(false);
            return;
        }
        self.eviction.waiting.push(reply);
        self.evict(plan.evict);
    }

    /// The store has counted: if it holds more than the cap that was set since, as much goes as may go.
    pub(super) fn shrink_to(&mut self, usage: Usage) {
        let over = usage.used.saturating_sub(usage.quota);
        if over > 0 && !self.eviction.running {
            let plan = cache::plan(self.held(), over);
            self.evict(plan.evict);
        }
    }

    /// The cap has changed: counts at once, and goes on with what the lack of room has stopped.
    pub(super) fn on_quota_changed(&mut self) {
        self.usage_stale = true;
        self.usage_at = Default::default();
        let full = Error::Store(StoreError::QuotaExceeded).code();
        let stopped: Vec<_> = self
            .transfers
            .iter()
            .filter(|(_, transfer)| transfer.has_problem(full) && !transfer.meta.paused)
            .map(|(blob, _)| *blob)
            .collect();
        for blob in stopped {
            if let Some(transfer) = self.transfers.get_mut(&blob) {
                transfer.clear_problem();
            }
            self.tell_swarm(blob, Input::Resume);
            self.set_wanted(blob);
        }
    }

    pub(super) fn on_evicted(&mut self) {
        self.eviction.running = false;
        self.usage_stale = true;
        self.usage_at = Default::default();
        self.urgent = true;
        for waiting in self.eviction.waiting.drain(..) {
            let _ = waiting.send(true);
        }
    }

    /// Remembers now and then when blobs were last used.
    pub(super) fn record_use(&mut self) {
        let now = rt::unix_millis();
        let mut due = Vec::new();
        for transfer in self.transfers.values_mut() {
            if transfer.take_use_to_write(now, USE_EVERY) {
                due.push((transfer.row, transfer.meta.encode()));
            }
        }
        for (row, meta) in due {
            let store = self.store.clone();
            rt::spawn(async move {
                if let Err(error) = store.set_meta(row, meta).await {
                    tracing::debug!(%error, "the last use could not be stored");
                }
            });
        }
    }

    fn evict(&mut self, blobs: Vec<BlobHash>) {
        if blobs.is_empty() {
            // Somebody may still wait: there is nothing to be had.
            for waiting in self.eviction.waiting.drain(..) {
                let _ = waiting.send(false);
            }
            return;
        }
        tracing::debug!(count = blobs.len(), "making room");
        self.eviction.running = true;
        let rows: Vec<RowId> = blobs
            .into_iter()
            .filter_map(|blob| self.remove(blob))
            .collect();
        let store = self.store.clone();
        self.spawn(async move {
            for row in rows {
                if let Err(error) = store.remove(row).await {
                    rt::warning!(error = error, "a blob could not be evicted");
                }
            }
            Event::Evicted
        });
    }

    fn held(&self) -> Vec<Held> {
        let now = rt::unix_millis();
        let transfers = self.transfers.iter();
        let asleep = self.sites.held();
        transfers
            .map(|(blob, transfer)| {
                let progress = transfer.swarm.progress();
                let counted = u64::from(progress.stored) * CHUNK_SIZE;
                Held {
                    blob: *blob,
                    // Before the size is proved only the chunks are counted.
                    bytes: progress.size.map_or(counted, |_| progress.stored_bytes),
                    used_at: transfer.used_at(),
                    pinned: transfer.pinned || self.is_kept(blob),
                    active: transfer.is_active(now, READING)
                        || self.gate.is_serving(*blob)
                        || self.sites.is_taken(blob),
                }
            })
            .chain(asleep)
            .collect()
    }
}
