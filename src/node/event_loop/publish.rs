//! Telling whoever watches: a snapshot a few times a second, and only when something changed.

use std::rc::Rc;
use std::time::Duration;

use super::{Event, EventLoop, now};
use crate::node::snapshot::{JoinState, RelayInfo, RelayState, Snapshot, Stats};
use crate::proto::keys::RootSecret;
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
    /// The person's secret, while it is unlocked.
    pub root: Option<RootSecret>,
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
        let (changed, listener) = {
            let mut shared = self.shared.borrow_mut();
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

    fn stats(&self) -> Stats {
        let relays: Vec<_> = self
            .relays
            .iter()
            .map(|relay| RelayInfo {
                address: relay.address.to_string(),
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
