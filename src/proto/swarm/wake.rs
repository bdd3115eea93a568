//! When the swarm must be looked at again even if nothing arrives.

use std::time::Duration;

use super::endgame::ENDGAME_POLL;
use super::peer::Peer;
use super::{Output, Swarm};
use crate::proto::types::{PeerKey, Time};

impl Swarm {
    /// Names the next deadline if it is sooner than the one that stands: a tick too early is harmless.
    pub(super) fn schedule(&mut self, now: Time) {
        self.wake = self.wake.filter(|wake| *wake > now);
        let deadline = self.deadline(now);
        if let Some(deadline) = deadline
            && self.wake.is_none_or(|wake| deadline < wake)
        {
            self.wake = Some(deadline);
            let at = self.clock.wake_at(deadline);
            self.outputs.push_back(Output::WakeAt(at));
        } else if self.wake.is_none() {
            self.clock.no_wake();
        }
    }

    /// The same after a peer was asked for more, and nothing else has changed.
    pub(super) fn schedule_stall(&mut self, key: PeerKey, now: Time) {
        let peer = self.peers.get(&key);
        let stall = peer.and_then(|peer| peer.source.stalls_at(&self.config));
        let first = [stall, self.tell].into_iter().flatten().min();
        if let Some(first) = first.map(|first| first.max(now + MIN_WAIT))
            && self.wake.is_none_or(|wake| first < wake)
        {
            self.wake = Some(first);
            let at = self.clock.wake_at(first);
            self.outputs.push_back(Output::WakeAt(at));
        }
    }

    /// When something must be looked at again even if nothing arrives.
    fn deadline(&self, now: Time) -> Option<Time> {
        let sources = || self.peers.values().map(|peer| &peer.source);
        let stall = sources()
            .filter_map(|source| source.stalls_at(&self.config))
            .min();
        let poll = stall.and_then(|_| match &self.ledger {
            Some(ledger) => ledger.picker.is_empty().then_some(now + ENDGAME_POLL),
            None => Some(now + self.config.probe_hedge),
        });
        let waiting = |peer: &Peer| {
            let client = &peer.client;
            let has_asked = !client.hints.is_empty() || !client.queue.is_empty();
            client.choked && client.interested || has_asked && !client.sleeps
        };
        let slots = match self.upload_allowed && self.peers.values().any(|peer| waiting(peer)) {
            true => self.choker.deadline(),
            false => None,
        };
        let first = [stall, poll, slots, self.tell]
            .into_iter()
            .flatten()
            .min()?;
        Some(first.max(now + MIN_WAIT))
    }
}

/// A deadline is at least so far away, so that a late tick cannot turn into a busy loop.
const MIN_WAIT: Duration = Duration::from_millis(10);
