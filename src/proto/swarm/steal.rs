//! The end of a transfer: who should deliver what is asked for already.
//!
//! When nothing is left to be asked for, a source that runs dry takes requests over from the one that would deliver them
//! last, from the end of its queue, where nothing has been begun: the other is told (`Cancel`), so nothing comes twice.
//! What the slow one has probably begun is only asked for a second time when it is late by far, and only a few times in
//! a transfer.

use std::time::Duration;

use crate::proto::types::{CHUNK_SIZE, ChunkIndex, PeerKey};

/// One source and what it was asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Load {
    pub peer: PeerKey,
    /// Outstanding requests, in the order in which they will be answered, with their lengths in bytes.
    pub queue: Vec<(ChunkIndex, u64)>,
    /// Bytes per second, measured or assumed.
    pub rate: u64,
    /// From a request to its answer when nothing else waits, measured or assumed.
    pub delay: Duration,
    /// How long nothing has come, while something was asked for.
    pub silent: Duration,
}

/// A request that should go to somebody else.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Steal {
    pub from: PeerKey,
    pub index: ChunkIndex,
    /// The other has probably begun to send it: it may come twice.
    pub begun: bool,
}

impl Load {
    /// When it will have delivered everything up to this place, and `extra` bytes: the time for the bytes, but a source
    /// that has been silent is expected to stay so for as long again.
    fn expects(&self, place: usize, extra: u64) -> Duration {
        let bytes: u64 = self.queue.iter().take(place).map(|(_, len)| len).sum();
        let micros = u128::from(bytes + extra) * 1_000_000 / u128::from(self.rate.max(1));
        let time = Duration::from_micros(u64::try_from(micros).unwrap_or(u64::MAX));
        time.max(self.silent)
    }

    /// Requests at the front that are probably on their way: what it delivers in one and a half of its delay.
    /// A source that has been silent for long is sending nothing.
    fn begun(&self) -> usize {
        let chunk = Duration::from_micros(CHUNK_SIZE * 1_000_000 / self.rate.max(1));
        if self.silent > SILENT.max(chunk * LATE_BY_FAR) {
            return 0;
        }
        let bytes = u128::from(self.rate) * (self.delay * 3 / 2).as_micros() / 1_000_000;
        usize::try_from(bytes.div_ceil(u128::from(CHUNK_SIZE)))
            .unwrap_or(usize::MAX)
            .max(1)
    }
}

/// What `thief`, which has room, should take over: the request that would be answered last of all that it `could` answer,
/// if it would answer much sooner. What was probably begun only if `twice` is allowed.
pub(super) fn choose(
    thief: &Load,
    others: &[Load],
    could: impl Fn(ChunkIndex) -> bool,
    twice: bool,
) -> Option<Steal> {
    let mut best: Option<(Duration, Steal)> = None;
    for other in others.iter().filter(|other| other.peer != thief.peer) {
        let begun = other.begun();
        for (place, (index, len)) in other.queue.iter().enumerate().rev() {
            let begun = place < begun;
            let mine = thief.delay + thief.expects(thief.queue.len(), *len);
            let theirs = other.expects(place + 1, 0);
            let margin = if begun { LATE_BY_FAR } else { CLEARLY_SOONER };
            let worth = theirs > mine * margin + MARGIN;
            let longest = best.is_none_or(|(longest, _)| theirs > longest);
            let known = thief.queue.iter().any(|(asked, _)| asked == index);
            if worth && longest && (twice || !begun) && !known && could(*index) {
                let from = other.peer;
                best = Some((
                    theirs,
                    Steal {
                        from,
                        index: *index,
                        begun,
                    },
                ));
                break;
            }
        }
    }
    best.map(|(_, steal)| steal)
}

/// How many of `left` chunks a source may hold that delivers `rate` of `total` bytes per second: its share, rounded up.
pub(super) fn fair_share(left: usize, rate: u64, total: u64) -> usize {
    if total == 0 {
        return left;
    }
    let share = (left as u128 * u128::from(rate)).div_ceil(u128::from(total));
    usize::try_from(share).unwrap_or(usize::MAX)
}

/// A request changes hands if the other would take this many times as long: estimates are rough, and what goes to and fro
/// helps nobody.
const CLEARLY_SOONER: u32 = 2;

/// What was probably begun is asked for again if it would take this many times as long.
const LATE_BY_FAR: u32 = 4;

/// A source that is not known to be slow counts as sending nothing after so long: a chunk at 85 KiB/s.
const SILENT: Duration = Duration::from_secs(3);

/// And so much longer at least: two busy pages may each be late by a few frames.
const MARGIN: Duration = Duration::from_millis(100);

#[cfg(all(test, not(target_arch = "wasm32")))]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn load(peer: u64, first: u32, count: u32, rate: u64, silent: u64) -> Load {
        Load {
            peer: PeerKey(peer),
            queue: (first..first + count)
                .map(|index| (ChunkIndex(index), CHUNK_SIZE))
                .collect(),
            rate,
            delay: Duration::from_millis(50),
            silent: Duration::from_millis(silent),
        }
    }

    proptest! {
        /// Against a look at every request of every other: the one that would come last of those that are worth it.
        #[test]
        fn takes_what_would_come_last(
            rates in prop::collection::vec((10_000u64..10_000_000, 0u32..8, 0u64..5_000), 1..5), rate in 10_000u64..10_000_000,
            forbidden in 0u32..40, twice: bool,
        ) {
            let thief = load(99, 900, 0, rate, 0);
            let others: Vec<Load> = (0..).zip(&rates)
                .map(|(at, (rate, count, silent))| load(u64::from(at), at * 10, *count, *rate, *silent)).collect();
            let could = |index: ChunkIndex| index.0 != forbidden;
            let mine = Duration::from_millis(50) + Duration::from_micros(CHUNK_SIZE * 1_000_000 / rate);
            let mut naive: Option<Duration> = None;
            for other in &others {
                for place in 0..other.queue.len() {
                    let bytes = CHUNK_SIZE * (place as u64 + 1);
                    let theirs = Duration::from_micros(bytes * 1_000_000 / other.rate).max(other.silent);
                    let begun = place < other.begun();
                    let factor = if begun { LATE_BY_FAR } else { CLEARLY_SOONER };
                    if could(other.queue[place].0) && (twice || !begun) && theirs > mine * factor + MARGIN {
                        naive = naive.max(Some(theirs));
                    }
                }
            }
            let found = choose(&thief, &others, could, twice);
            prop_assert_eq!(found.is_some(), naive.is_some());
            if let Some(steal) = found {
                let from = others.iter().find(|other| other.peer == steal.from).map(|other| {
                    let place = other.queue.iter().position(|(index, _)| *index == steal.index).unwrap_or(0);
                    (other.expects(place + 1, 0), place < other.begun())
                });
                prop_assert_eq!(from, naive.map(|longest| (longest, steal.begun)));
                prop_assert!(could(steal.index) && (twice || !steal.begun));
            }
        }

        #[test]
        fn shares_cover_what_is_left(left in 0usize..1000, rates in prop::collection::vec(1u64..1_000_000, 1..8)) {
            let total = rates.iter().sum();
            let shares: Vec<usize> = rates.iter().map(|rate| fair_share(left, *rate, total)).collect();
            let sum: usize = shares.iter().sum();
            prop_assert!(sum >= left && sum <= left + rates.len());
        }
    }
}
