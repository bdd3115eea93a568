//! Telling whoever watches: a snapshot a few times a second, and only when something changed.

use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use super::{Event, EventLoop, now};
use crate::net::addresses;
use crate::node::custody::Kept;
use crate::node::site::shelf::Shelf;
use crate::node::snapshot::{
    Bringer, Cells, ChartPeer, JoinState, RelayInfo, RelayState, Snapshot, Stats, SwarmChart,
};
use crate::proto::denylist::Denylist;
use crate::proto::keys::RootSecret;
use crate::proto::link::blob_cid;
use crate::proto::types::BlobHash;
use crate::proto::uplink::State;
use crate::store::Store;

/// Least time between two snapshots: nobody reads faster.
const MIN_SPACING: Duration = Duration::from_millis(100);

/// Least time between two looks at how full the store is: the platform's estimate is not cheap.
const USAGE_SPACING: Duration = Duration::from_secs(2);

/// What the handles share with the loop.
pub(in crate::node) struct Shared {
    /// The last snapshot.
    pub snapshot: Snapshot,
    /// Called after a snapshot that differs in this part.
    pub listener: Option<Rc<dyn Fn(Changed)>>,
    /// Readers that there have been: the next one's id.
    pub readers: u64,
    /// What is not to be had here.
    pub denylist: Arc<Denylist>,
    /// The person's secret, while it is unlocked.
    pub root: Option<RootSecret>,
    /// What is kept for others.
    pub kept: Kept,
    /// See `Config::puzzle_bits`.
    pub puzzle_bits: u8,
    /// The node has ended.
    pub stopped: bool,
    /// The lists of files of sites that were read last.
    pub shelf: Shelf,
}

/// Which part of the snapshot changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Changed {
    /// The node as a whole.
    State,
    /// Its blobs.
    Swarms,
    /// Its peers.
    Peers,
}

impl<S: Store> EventLoop<S> {
    /// Publishes unless the last snapshot is too fresh; then it stays due.
    pub(super) fn publish(&mut self) {
        if now().since(self.published_at) >= MIN_SPACING {
            self.publish_now();
        }
    }

    pub(super) fn publish_now(&mut self) {
        let now = now();
        self.urgent = false;
        self.published_at = now;
        for meter in [&mut self.up, &mut self.down] {
            meter.tick(now);
        }
        for transfer in self.transfers.values_mut() {
            transfer.up.tick(now);
            transfer.down.tick(now);
        }
        self.peers.tick(now);
        if self.usage_stale && now.since(self.usage_at) >= USAGE_SPACING {
            self.usage_stale = false;
            self.usage_at = now;
            let store = self.store.clone();
            let fallback = self.storage;
            self.spawn(async move {
                let fallback = crate::store::Usage {
                    used: fallback.used,
                    quota: fallback.quota,
                };
                Event::Usage(store.usage().await.unwrap_or(fallback))
            });
        }
        let next = self.snapshot_of(self.stats());
        let kept = self.kept_for_others();
        let (changed, listener) = {
            let mut shared = self.shared.borrow_mut();
            shared.kept = kept;
            let last = std::mem::replace(&mut shared.snapshot, next);
            let next = &shared.snapshot;
            let changed = [
                (last.stats != next.stats).then_some(Changed::State),
                (last.swarms != next.swarms).then_some(Changed::Swarms),
                (last.peers != next.peers).then_some(Changed::Peers),
            ];
            (changed, shared.listener.clone())
        };
        // Outside the borrow: the listener may well ask for the snapshot.
        if let Some(listener) = listener {
            changed
                .into_iter()
                .flatten()
                .for_each(|part| listener(part));
        }
    }

    /// Who has what of a blob, now.
    pub(super) fn chart(&self, blob: BlobHash) -> Option<SwarmChart> {
        let swarm = &self.transfers.get(&blob)?.swarm;
        let chart = swarm.chart(now());
        let bringer = |(key, chunks)| Bringer {
            peer_id: self.peers.get(key).map(|peer| peer.id.to_string()),
            chunks,
        };
        let peers = chart.peers.into_iter().filter_map(|charted| {
            let peer = self.peers.get(charted.view.peer)?;
            Some(ChartPeer {
                peer_id: peer.id.to_string(),
                via: peer.via(),
                rtt: peer.rtt,
                connected: charted.connected.as_millis() as u64,
                chunks: match charted.view.has_all {
                    true => chart.chunks,
                    false => charted.view.chunks,
                },
                has_all: charted.view.has_all,
                has: Cells(charted.has),
                up: charted.view.up_bytes,
                down: charted.view.down_bytes,
                up_rate: charted.view.up_rate,
                down_rate: charted.view.down_rate,
                serves_us: charted.serves_us,
                wanted: charted.wanted,
                is_served: charted.is_served,
                wants: charted.wants,
                asked: charted.asked,
                serving: charted.serving,
                stalled: charted.view.snubbed,
            })
        });
        Some(SwarmChart {
            cid: blob_cid(blob),
            chunks: chart.chunks,
            chunks_have: swarm.progress().stored,
            unstored: chart.unstored,
            asked: chart.asked,
            stored: Cells(chart.stored),
            asked_of: Cells(chart.asked_of),
            brought_by: Cells(chart.brought_by),
            copies: Cells(chart.copies),
            bringers: chart.bringers.into_iter().map(bringer).collect(),
            peers: peers.collect(),
            peers_total: chart.peers_total,
        })
    }

    fn stats(&self) -> Stats {
        let relays: Vec<_> = self
            .relays
            .iter()
            .map(|relay| RelayInfo {
                address: addresses::text(&relay.address),
                state: match relay.uplink.state() {
                    State::Reserved => RelayState::Reserved,
                    State::Connected => RelayState::Connected,
                    State::Connecting => RelayState::Connecting,
                    State::Waiting if relay.uplink.failures() == 0 => RelayState::Connecting,
                    State::Waiting => RelayState::Failed,
                },
                detail: relay.detail.clone(),
            })
            .collect();
        let state = match () {
            () if relays
                .iter()
                .any(|relay| relay.state == RelayState::Reserved) =>
            {
                JoinState::Joined
            }
            () if self.neighbours.introducers() > 0 => JoinState::Peers,
            () if self.relays.iter().all(|relay| relay.uplink.failures() > 1) => JoinState::Offline,
            () => JoinState::Connecting,
        };
        Stats {
            peer_id: self.swarm.local_peer_id().to_string(),
            state,
            relays,
            upload_allowed: self.gate.consent,
            upload_hold: self.gate.hold(),
            limits: self.gate.limits,
            today: self.gate.today(),
            up: self.up.total(),
            down: self.down.total(),
            up_rate: self.up.rate(),
            down_rate: self.down.rate(),
            storage: self.storage,
        }
    }
}
