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

impl Begun {
    /// How long ago that was.
    pub(super) fn ago(&self, now: Time) -> Duration {
        now.since(self.at)
    }
}

impl Outflow {
    /// A chunk is begun.
    pub(super) fn begin(&self, now: Time) -> Begun {
        Begun {
            at: now,
            before: self.sent,
        }
    }

    /// A chunk of `len` bytes has gone. Answers whether its receiver was slow: it took far longer than a chunk does that
    /// has the uplink for itself, even among as many as are usually under way.
    pub(super) fn end(&mut self, begun: Begun, len: u64, now: Time) -> bool {
        self.sent += len;
        if len < CHUNK_SIZE {
            return false;
        }
        let took = now.since(begun.at);
        self.quickest = Some(self.quickest.map_or(took, |quickest| quickest.min(took)));
        let flowed = u128::from(self.sent - begun.before);
        let sample = flowed * 1_000_000 / took.as_micros().max(1);
        let sample = u64::try_from(sample).unwrap_or(u64::MAX);
        self.rate = sample.max(self.rate / 16 * 15);
        self.quickest.is_some_and(|quickest| took > quickest * SLOW)
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

/// A receiver is slow that takes so many times as long as the quickest: twice what two chunks at once make of it.
const SLOW: u32 = 4;

#[cfg(all(test, not(target_arch = "wasm32")))]
mod tests {
    use proptest::prelude::*;
    use proptest::sample::Index;

    use super::*;

    /// What happens at an uplink, one step.
    #[derive(Debug, Clone)]
    enum Step {
        Begin,
        /// One of those under way has gone, whole or the short last chunk of its blob.
        End(Index, bool),
        Wait(u64),
    }

    fn step() -> impl Strategy<Value = Step> {
        prop_oneof![
            3 => Just(Step::Begin),
            3 => (any::<Index>(), prop::bool::weighted(0.8)).prop_map(|(which, whole)| Step::End(which, whole)),
            2 => (0u64..3_000_000).prop_map(Step::Wait),
            1 => (0u64..3).prop_map(Step::Wait),
        ]
    }

    /// Every whole chunk that went: the microseconds it took, and the bytes that went meanwhile, its own among them.
    #[derive(Default)]
    struct History(Vec<(u64, u64)>);

    impl History {
        fn quickest(&self) -> Option<u64> {
            self.0.iter().map(|(took, _)| *took).min()
        }

        /// The highest of all rates, each forgotten by a sixteenth for every chunk since.
        fn rate(&self) -> u64 {
            let newest_first = self.0.iter().rev().zip(0..);
            let rates = newest_first.map(|((took, flowed), age)| {
                (0..age).fold(flowed * 1_000_000 / (*took).max(1), |rate, _| {
                    rate / 16 * 15
                })
            });
            rates.max().unwrap_or(0)
        }

        /// The least number of chunks, within the bounds, that covers the time.
        fn window(&self, config: &Config) -> usize {
            let (least, most) = (config.serving_min, config.serving_max);
            let Some(quickest) = self.quickest() else {
                return least;
            };
            let time = quickest * 3 / 2 + config.serving_slack.as_micros() as u64;
            let bytes = u128::from(self.rate()) * u128::from(time) / 1_000_000;
            let covers = |chunks: &usize| *chunks as u128 * u128::from(CHUNK_SIZE) >= bytes;
            (least..most).find(covers).unwrap_or(most)
        }
    }

    proptest! {
        /// Against all that ever went, gone through anew at each step.
        #[test]
        fn the_window_is_what_the_whole_history_says(steps in prop::collection::vec(step(), 1..150)) {
            let config = Config::default();
            let mut outflow = Outflow::default();
            let mut now = Time(7_000_000);
            let mut under_way: Vec<(Begun, Time, usize)> = Vec::new();
            let mut gone: Vec<u64> = Vec::new();
            let mut history = History::default();
            for step in steps {
                match step {
                    Step::Begin => under_way.push((outflow.begin(now), now, gone.len())),
                    Step::End(_, _) if under_way.is_empty() => {}
                    Step::End(which, whole) => {
                        let (begun, at, before) = under_way.swap_remove(which.index(under_way.len()));
                        let len = if whole { CHUNK_SIZE } else { CHUNK_SIZE / 5 };
                        gone.push(len);
                        let took = now.since(at).as_micros() as u64;
                        if whole {
                            history.0.push((took, gone[before..].iter().sum()));
                        }
                        let slow = history.quickest().is_some_and(|quickest| took > 4 * quickest);
                        prop_assert_eq!(outflow.end(begun, len, now), whole && slow);
                    }
                    Step::Wait(micros) => now = now + Duration::from_micros(micros),
                }
                prop_assert_eq!(outflow.window(&config), history.window(&config));
            }
        }
    }

    #[test]
    fn a_fast_uplink_with_a_long_way_gets_a_window_that_fills_it() {
        let config = Config::default();
        let mut outflow = Outflow::default();
        assert_eq!(outflow.window(&config), config.serving_min);
        // Ten chunks a second, each a whole second under way.
        let gap = Duration::from_millis(100);
        let mut under_way = std::collections::VecDeque::new();
        let mut now = Time(0);
        for at in 0..100 {
            under_way.push_back(outflow.begin(now));
            if at >= 10
                && let Some(begun) = under_way.pop_front()
            {
                assert!(!outflow.end(begun, CHUNK_SIZE, now), "as quick as any");
            }
            now = now + gap;
        }
        let filled = outflow.window(&config);
        assert!((10..=config.serving_max).contains(&filled), "{filled}");
    }
}
