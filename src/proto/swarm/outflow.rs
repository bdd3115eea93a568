//! How many chunks to have under way to all peers together: as few as keep the uplink busy.
//!
//! What is under way is split among its receivers, so every chunk more makes all of them later, and a chunk that is there
//! late is passed on late. Too few leave the uplink idle while the store reads. The bound is what the uplink carries in
//! one and a half of the shortest time a chunk took, plus a moment of slack: the surplus lets the measured rate rise
//! until the uplink, not this bound, is the limit (Cardwell et al., "BBR", 2016).

use std::time::Duration;

use crate::proto::config::Config;
use crate::proto::types::{CHUNK_SIZE, Time};

/// What the uplink was seen to carry.
#[derive(Debug, Default)]
pub(super) struct Outflow {
    sent: u64,
    /// Bytes per second between the start of a chunk and its end: the highest, slowly forgotten.
    rate: u64,
    /// The shortest time a whole chunk took.
    quickest: Option<Duration>,
}

/// The moment at which a chunk was begun.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Begun {
    at: Time,
    before: u64,
}

impl Outflow {
    /// A chunk is begun.
    pub(super) fn begin(&self, now: Time) -> Begun {
        Begun {
            at: now,
            before: self.sent,
        }
    }

    /// A chunk of `len` bytes has gone.
    pub(super) fn end(&mut self, begun: Begun, len: u64, now: Time) {
        self.sent += len;
        if len < CHUNK_SIZE {
            return;
        }
        let took = now.since(begun.at);
        self.quickest = Some(self.quickest.map_or(took, |quickest| quickest.min(took)));
        let flowed = u128::from(self.sent - begun.before);
        let sample = flowed * 1_000_000 / took.as_micros().max(1);
        let sample = u64::try_from(sample).unwrap_or(u64::MAX);
        self.rate = sample.max(self.rate / 16 * 15);
    }

    /// Chunks that may be under way at once.
    pub(super) fn window(&self, config: &Config) -> usize {
        let Some(quickest) = self.quickest else {
            return config.serving_min;
        };
        let covered = quickest * 3 / 2 + config.serving_slack;
        let bytes = u128::from(self.rate) * covered.as_micros() / 1_000_000;
        let chunks = usize::try_from(bytes.div_ceil(u128::from(CHUNK_SIZE))).unwrap_or(usize::MAX);
        chunks.clamp(config.serving_min, config.serving_max)
    }
}
