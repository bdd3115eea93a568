//! The end of a transfer, applied: shares of what is left, and requests that change hands.

use std::time::Duration;

use super::Swarm;
use super::peer::{Peer, Source};
use super::steal::{self, Load};
use crate::proto::availability::Holds;
use crate::proto::types::{CHUNK_SIZE, ChunkIndex, PeerKey, Time};

/// Time between looks for slow requests at the end: short against the seconds after which a request is slow.
pub(super) const ENDGAME_POLL: Duration = Duration::from_millis(500);

impl Swarm {
    /// Requests that a peer may have outstanding: its pipeline, but no more than its share of what is left, so that the
    /// others have something to do as well.
    pub(super) fn room(&self, peer: &Peer) -> usize {
        let depth = peer.source.depth(&self.config);
        let Some(ledger) = &self.ledger else {
            return depth;
        };
        if depth <= self.config.pipeline_min {
            return depth;
        }
        let usual = self.usual_rate();
        let useful = |peer: &Peer| {
            !peer.source.choked && !peer.source.snubbed() && peer.holds != Holds::Nothing
        };
        let total = self
            .peers
            .values()
            .filter(|peer| useful(peer))
            .map(|peer| peer.source.measured_rate().unwrap_or(usual))
            .sum();
        let left = ledger.picker.len() + ledger.flights.len();
        let rate = peer.source.measured_rate().unwrap_or(usual);
        let share = steal::fair_share(left, rate, total);
        depth.min(share.max(self.config.pipeline_min))
    }

    /// Nothing is left unasked: the request that this peer, which has room, should take over from another.
    pub(super) fn take_over(&mut self, key: PeerKey, now: Time) -> Option<ChunkIndex> {
        let ledger = self.ledger.as_ref()?;
        let peer = self.peers.get(&key)?;
        if peer.source.snubbed() {
            return None;
        }
        let (rate, delay) = (self.usual_rate(), self.usual_delay());
        let load = |key: PeerKey, source: &Source| Load {
            peer: key,
            queue: source
                .asked
                .iter()
                .map(|asked| (asked.index, asked.len))
                .collect(),
            rate: source.measured_rate().unwrap_or(rate),
            delay: source.quickest.unwrap_or(delay),
            silent: source.asked.first().map_or(Duration::ZERO, |oldest| {
                now.since(oldest.at.max(source.last_arrival))
            }),
        };
        let others: Vec<Load> = self
            .peers
            .iter()
            .filter(|(other, peer)| **other != key && !peer.source.asked.is_empty())
            .map(|(other, peer)| load(*other, &peer.source))
            .collect();
        let could = |index: ChunkIndex| {
            let single = ledger.flights.get(&index).is_some_and(|f| f.copies < 2);
            single && peer.holds.contains(index.0)
        };
        let chunks = ledger.size.chunk_count();
        let bound = self.config.duplicates_min;
        let bound = bound.max(chunks / self.config.duplicates_share.max(1));
        let twice = self.duplicates < bound;
        let found = steal::choose(&load(key, &peer.source), &others, could, twice)?;
        if found.begun {
            self.duplicates += 1;
        } else {
            self.call_off(found.from, found.index, now);
        }
        Some(found.index)
    }

    /// The mean rate of the sources that have delivered, for those that have not.
    fn usual_rate(&self) -> u64 {
        let rates = self.peers.values().filter_map(|p| p.source.measured_rate());
        mean(rates).unwrap_or(self.config.assumed_rate)
    }

    /// The mean delay of the sources that have answered, for those that have not.
    fn usual_delay(&self) -> Duration {
        let delays = self.peers.values().filter_map(|peer| peer.source.quickest);
        let micros = delays.map(|delay| delay.as_micros() as u64);
        mean(micros).map_or(self.config.assumed_delay, Duration::from_micros)
    }
}

impl Source {
    /// Bytes per second that it delivers while something is asked of it; `None` before its first whole chunk.
    pub(super) fn measured_rate(&self) -> Option<u64> {
        (self.bytes >= CHUNK_SIZE).then_some(self.burst.max(1))
    }
}

fn mean(values: impl Iterator<Item = u64>) -> Option<u64> {
    let (sum, count) = values.fold((0u128, 0u128), |(sum, count), value| {
        (sum + u128::from(value), count + 1)
    });
    (count > 0).then(|| u64::try_from(sum / count).unwrap_or(u64::MAX))
}
