//! Who reads a blob, and which chunks they want before all others.
//!
//! Every reader waits for some chunks now and will want those behind them next. What is waited for comes first, the
//! latest wish before the earlier ones: a person who has just jumped to another place in a film looks at that place.
//! Then come the windows ahead, in the same order. All else is the swarm's to choose (rarest first).
//!
//! A window covers the time in which the swarm can be late: a swarm that brings many times what the reader takes needs
//! ten seconds of it, one that barely keeps up a minute. Windows are chunks in the store, not in memory; their bound keeps
//! a reader from turning the whole exchange into a download in order, which the other peers would pay for.

use std::ops::Range;

use crate::proto::types::CHUNK_SIZE;

/// One reader of one node.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct ReaderId(pub u64);

/// What one reader wants.
#[derive(Debug, Clone)]
struct Wish {
    reader: ReaderId,
    /// Chunks it waits for.
    waited: Range<u32>,
    /// Bytes a second that it has taken lately.
    pace: u64,
}

/// The readers of one blob, the one that asked last at the end.
#[derive(Debug, Default)]
pub(super) struct Readers {
    wishes: Vec<Wish>,
}

impl Readers {
    /// A reader waits for `waited` and takes `pace` bytes a second. Replaces its former wish.
    pub fn want(&mut self, reader: ReaderId, waited: Range<u32>, pace: u64) {
        self.leave(reader);
        if self.wishes.len() >= MAX_READERS {
            self.wishes.remove(0);
        }
        self.wishes.push(Wish {
            reader,
            waited,
            pace,
        });
    }

    /// A reader is gone. Tells whether it was there.
    pub fn leave(&mut self, reader: ReaderId) -> bool {
        let before = self.wishes.len();
        self.wishes.retain(|wish| wish.reader != reader);
        self.wishes.len() < before
    }

    /// Chunks in the order in which they are wanted, when `down` bytes of the blob arrive a second.
    pub fn order(&self, down: u64) -> Vec<Range<u32>> {
        let newest_first = || self.wishes.iter().rev();
        let waited = newest_first().map(|wish| wish.waited.clone());
        let ahead = newest_first().map(|wish| {
            let chunks = window(wish.pace, down).div_ceil(CHUNK_SIZE) as u32;
            wish.waited.end..wish.waited.end.saturating_add(chunks)
        });
        waited
            .chain(ahead)
            .filter(|range| !range.is_empty())
            .collect()
    }
}

/// Bytes that a reader wants ahead of where it stands, when it takes `pace` and the swarm brings `down` bytes a second.
fn window(pace: u64, down: u64) -> u64 {
    let seconds = match pace.saturating_mul(EVEN_SECONDS).checked_div(down) {
        Some(seconds) => seconds.clamp(MIN_SECONDS, MAX_SECONDS),
        None => MAX_SECONDS,
    };
    pace.saturating_mul(seconds).clamp(MIN_WINDOW, MAX_WINDOW)
}

/// Readers of one blob: a player keeps two or three requests open, and a few tabs may show the same film.
const MAX_READERS: usize = 64;
/// Seconds of a window when the swarm brings just what the reader takes.
const EVEN_SECONDS: u64 = 40;
/// Seconds of a window at least: what a peer's slow spell lasts before its requests go to others (`Config::stall_min`).
const MIN_SECONDS: u64 = 10;
/// Seconds of a window at most: beyond it a swarm that is too slow will not catch up either.
const MAX_SECONDS: u64 = 60;
/// Bytes of a window at least: what one fast peer has outstanding at once.
const MIN_WINDOW: u64 = 16 * CHUNK_SIZE;
/// Bytes of a window at most: ten seconds of the densest video in use, 50 Mbit/s.
const MAX_WINDOW: u64 = 256 * CHUNK_SIZE;

#[cfg(all(test, not(target_arch = "wasm32")))]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const MIB: u64 = 1024 * 1024;

    #[test]
    fn what_is_waited_for_comes_before_every_window_and_the_latest_wish_first() {
        let mut readers = Readers::default();
        readers.want(ReaderId(1), 0..4, 0);
        readers.want(ReaderId(2), 500..501, 0);
        assert_eq!(readers.order(0), [500..501, 0..4, 501..517, 4..20]);
        readers.want(ReaderId(1), 4..8, 0);
        assert_eq!(readers.order(0), [4..8, 500..501, 8..24, 501..517]);
        assert!(readers.leave(ReaderId(1)));
        assert!(!readers.leave(ReaderId(1)));
        assert_eq!(readers.order(0), [500..501, 501..517]);
    }

    #[test]
    fn a_window_follows_the_reader_and_the_swarm() {
        // Unknown: the least.
        assert_eq!(window(0, 0), MIN_WINDOW);
        // A film of 8 Mbit/s from a swarm that brings ten times as much: ten seconds.
        assert_eq!(window(MIB, 10 * MIB), 10 * MIB);
        // From one that barely keeps up, and one that does not: longer.
        assert_eq!(window(MIB, MIB), 40 * MIB);
        assert_eq!(window(MIB, MIB / 2), 60 * MIB);
        // Bounded, whatever comes.
        assert_eq!(window(u64::MAX, 1), MAX_WINDOW);
        assert_eq!(window(u64::MAX, u64::MAX), MAX_WINDOW);
    }

    proptest! {
        #[test]
        fn readers_are_bounded_and_every_newest_wish_is_first(
            steps in prop::collection::vec((0..200u64, any::<bool>(), 0..u32::MAX, 0..64u32, any::<u64>()), 0..400), down: u64,
        ) {
            let mut readers = Readers::default();
            for (id, leaves, from, count, pace) in steps {
                if leaves {
                    readers.leave(ReaderId(id));
                } else {
                    let waited = from..from.saturating_add(count);
                    readers.want(ReaderId(id), waited.clone(), pace);
                    let order = readers.order(down);
                    prop_assert!(order.len() <= 2 * MAX_READERS);
                    prop_assert!(order.iter().all(|range| !range.is_empty() && u64::from(range.end - range.start) * CHUNK_SIZE <= MAX_WINDOW));
                    if !waited.is_empty() {
                        prop_assert_eq!(&order[0], &waited);
                    }
                }
            }
        }
    }
}
