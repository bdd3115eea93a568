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
    fn begun(&self) -> usize {
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

/// And so much longer at least: two busy pages may each be late by a few frames.
const MARGIN: Duration = Duration::from_millis(100);
