//! What readers wait for, asked of whoever brings it in time.
//!
//! Chunks in focus are asked for in order, but a slow peer that took the first of them would hold up the reader for as
//! long as it takes. So a peer gets the chunk that will be next by the time its own answer comes: it leaves out as many
//! as others will have brought in half that time. A chunk in front that is with a slow peer already is asked for once more of
//! one that brings it in half the time; the slower answer is cancelled. libtorrent picks its time-critical pieces alike.

use super::Swarm;
use super::peer::Source;
use crate::proto::config::Config;
use crate::proto::types::{CHUNK_SIZE, ChunkIndex, PeerKey};

impl Swarm {
    /// The chunk in focus that this peer should be asked for next.
    pub(super) fn urgent(&self, key: PeerKey) -> Option<ChunkIndex> {
        let (ledger, peer) = (self.ledger.as_ref()?, self.peers.get(&key)?);
        // Nobody reads: that is how it is for most blobs at most times.
        ledger.picker.focus().next()?;
        if let Some(late) = self.late(key) {
            return Some(late);
        }
        let own = micros(
            peer.source.asked_bytes() + CHUNK_SIZE,
            pace(&peer.source, &self.config),
        );
        let others = self.peers.iter().filter(|(other, _)| **other != key);
        let before = others.map(|(_, other)| {
            let source = &other.source;
            // In half the time, so that equals take turns in order.
            let brings = u128::from(pace(source, &self.config)) * (own / 2) / SECOND;
            brings.saturating_sub(u128::from(source.asked_bytes())) / u128::from(CHUNK_SIZE)
        });
        let skip = usize::try_from(before.sum::<u128>()).unwrap_or(usize::MAX);
        ledger.picker.in_focus(&peer.holds, skip).map(ChunkIndex)
    }

    /// One of the first chunks in focus that another peer was asked for and this one would bring much sooner.
    fn late(&self, key: PeerKey) -> Option<ChunkIndex> {
        let (ledger, peer) = (self.ledger.as_ref()?, self.peers.get(&key)?);
        if peer.source.snubbed() {
            return None;
        }
        let own = peer.source.asked_bytes() + CHUNK_SIZE;
        let own = micros(own, pace(&peer.source, &self.config));
        let front = ledger.picker.focus().map(ChunkIndex).take(FRONT);
        let held = |index: &ChunkIndex| peer.holds.contains(index.0);
        front.filter(held).find(|index| {
            let asked_of = |source: &Source| source.asked.iter().any(|asked| asked.index == *index);
            let mut holders = self.peers.values().filter(|peer| asked_of(&peer.source));
            let (Some(holder), None) = (holders.next(), holders.next()) else {
                return false;
            };
            let source = &holder.source;
            let ahead = source
                .asked
                .iter()
                .take_while(|asked| asked.index != *index);
            let bytes = ahead.map(|asked| asked.len).sum::<u64>() + CHUNK_SIZE;
            !asked_of(&peer.source) && micros(bytes, pace(source, &self.config)) > 2 * own + MARGIN
        })
    }
}

/// Bytes per second that a peer is expected to bring.
fn pace(source: &Source, config: &Config) -> u64 {
    // A blob's short last chunk, which comes first, says nothing of the pace.
    if source.bytes < CHUNK_SIZE {
        config.assumed_rate.max(1)
    } else {
        source.pace.max(config.slowest_rate).max(1)
    }
}

/// Microseconds for `bytes` at `pace`.
fn micros(bytes: u64, pace: u64) -> u128 {
    u128::from(bytes) * SECOND / u128::from(pace)
}

/// Microseconds in a second.
const SECOND: u128 = 1_000_000;
/// Microseconds that an answer must come sooner, beyond half the time: less than that a player's own buffer covers.
const MARGIN: u128 = SECOND / 2;
/// Chunks in front of the focus that may be asked for twice: the megabyte that one read waits for. Bounds what is sent
/// in vain to as much for each place that a reader jumps to.
const FRONT: usize = 4;
