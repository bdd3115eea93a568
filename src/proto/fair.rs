//! Whose turn it is to upload, among the swarms of one node: equal shares of what is sent, whoever asks loudest.
//!
//! Start-time fair queueing (Goyal, Vin and Cheng, 1996): each swarm has a tag, the virtual time up to which it has had its
//! share. The one that is ready and has the lowest tag is served next, and its tag moves on by what it sends. A swarm that
//! had nothing to send starts at the present: it neither owes nor is owed for the time in which it was idle.

use crate::proto::ordered::Map;

/// The shares of swarms `K`, in bytes.
#[derive(Debug, Clone)]
pub struct Fair<K> {
    tags: Map<K, u64>,
    present: u64,
}

impl<K: Ord + Clone> Default for Fair<K> {
    fn default() -> Self {
        Self {
            tags: Map::new(),
            present: 0,
        }
    }
}

impl<K: Ord + Clone> Fair<K> {
    /// Starts with no swarm.
    pub fn new() -> Self {
        Self::default()
    }

    /// The swarm to be served next of those that have something to send; equals in the order of their keys.
    pub fn next(&self, ready: impl IntoIterator<Item = K>) -> Option<K> {
        ready
            .into_iter()
            .min_by(|a, b| (self.start(a), a).cmp(&(self.start(b), b)))
    }

    /// This swarm begins to send so many bytes.
    pub fn spend(&mut self, swarm: K, bytes: u64) {
        self.present = self.start(&swarm);
        self.tags.insert(swarm, self.present.saturating_add(bytes));
    }

    /// The swarm is gone.
    pub fn remove(&mut self, swarm: &K) {
        self.tags.remove(swarm);
    }

    fn start(&self, swarm: &K) -> u64 {
        self.tags.get(swarm).copied().unwrap_or(0).max(self.present)
    }
}

#[cfg(all(test, not(target_arch = "wasm32")))]
mod tests {
    #![allow(clippy::unwrap_used)]
    use proptest::prelude::*;

    use super::*;

    proptest! {
        /// Against the definition, computed anew from everything that was ever sent.
        #[test]
        fn the_choice_is_that_of_the_definition(
            steps in prop::collection::vec((prop::collection::btree_set(0u8..5, 0..=5), 1u64..1000), 0..100),
        ) {
            let mut fair = Fair::new();
            let mut sent: Vec<(u8, u64)> = Vec::new();
            for (ready, bytes) in steps {
                let (mut present, mut tags) = (0, [0u64; 5]);
                for (swarm, bytes) in &sent {
                    present = tags[usize::from(*swarm)].max(present);
                    tags[usize::from(*swarm)] = present + bytes;
                }
                let naive = ready.iter().copied().min_by_key(|swarm| (tags[usize::from(*swarm)].max(present), *swarm));
                prop_assert_eq!(fair.next(ready), naive);
                if let Some(swarm) = naive {
                    fair.spend(swarm, bytes);
                    sent.push((swarm, bytes));
                }
            }
        }

        /// Swarms that always have something to send get the same, but for one chunk.
        #[test]
        fn the_busy_get_equal_shares(sizes in prop::collection::vec(1u64..=1000, 1..300)) {
            let (mut fair, mut totals) = (Fair::new(), [0u64; 4]);
            for bytes in sizes {
                let swarm = fair.next(0..4usize).unwrap();
                fair.spend(swarm, bytes);
                totals[swarm] += bytes;
                prop_assert!(totals.iter().max().unwrap() - totals.iter().min().unwrap() <= 1000);
            }
        }
    }

    #[test]
    fn who_was_idle_is_not_owed() {
        let mut fair = Fair::new();
        (0..100).for_each(|_| fair.spend('a', 10));
        fair.spend('b', 10);
        assert_eq!(fair.next(['a', 'b']), Some('a'), "b is not 990 behind");
    }
}
