//! Events in the order of their times; those of the same time in the order in which they were added.
//!
//! What happens soon lies in buckets of a fraction of a millisecond, sorted when their time comes, and the rest in a heap: a
//! run of thousands of peers has a million events to come, and a heap of so many spends its time waiting for memory
//! (Brown, "Calendar Queues", 1988).

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use crate::proto::types::Time;

/// What is still to happen.
#[derive(Debug)]
pub(in crate::proto) struct Agenda<E> {
    /// One bucket after the other in a ring, the one of `present` sorted with the first event last.
    near: Vec<Vec<Key>>,
    /// One bit for each of them that holds anything: a run of few events must not look into every bucket.
    filled: Vec<u64>,
    /// The bucket of the last event.
    present: u64,
    /// What comes after the ring, earliest first.
    far: BinaryHeap<Reverse<Key>>,
    /// The events themselves: they are large, and what holds keys moves them.
    slots: Vec<Option<E>>,
    free: Vec<usize>,
    added: u64,
}

/// When an event happens, which of those of the same time, and its place in `slots`.
type Key = (Time, u64, usize);

/// Microseconds of one bucket: some dozens of events in a run of ten thousand peers.
const WIDTH: u64 = 128;

/// Buckets of the ring: two seconds, beyond which there are only timeouts.
const BUCKETS: u64 = 1 << 14;

/// Bits of one word of `filled`.
const WORD: usize = u64::BITS as usize;

impl<E> Agenda<E> {
    pub(in crate::proto) fn add(&mut self, at: Time, event: E) {
        self.added += 1;
        let slot = match self.free.pop() {
            Some(slot) => {
                self.slots[slot] = Some(event);
                slot
            }
            None => {
                self.slots.push(Some(event));
                self.slots.len() - 1
            }
        };
        self.place((at, self.added, slot));
    }

    /// Takes out the next event.
    pub(in crate::proto) fn next(&mut self) -> Option<(Time, E)> {
        let (time, _, slot) = loop {
            let here = ring(self.present);
            if let Some(key) = self.near[here].pop() {
                break key;
            }
            self.filled[here / WORD] &= !(1 << (here % WORD));
            self.present = match self.following() {
                Some(bucket) => bucket,
                None => bucket(self.far.peek()?.0.0),
            };
            while let Some(Reverse(key)) = self.far.peek()
                && bucket(key.0) < self.present + BUCKETS
            {
                let place = ring(bucket(key.0));
                self.near[place].push(*key);
                self.filled[place / WORD] |= 1 << (place % WORD);
                self.far.pop();
            }
            self.near[ring(self.present)].sort_unstable_by_key(|key| Reverse(*key));
        };
        let event = self.slots[slot].take()?;
        self.free.push(slot);
        Some((time, event))
    }

    fn place(&mut self, key: Key) {
        // What should have happened happens now.
        let bucket = bucket(key.0).max(self.present);
        if bucket >= self.present + BUCKETS {
            return self.far.push(Reverse(key));
        }
        let at = ring(bucket);
        self.filled[at / WORD] |= 1 << (at % WORD);
        let keys = &mut self.near[at];
        let place = match bucket == self.present {
            true => keys.partition_point(|other| *other > key),
            false => keys.len(),
        };
        keys.insert(place, key);
    }

    /// The next bucket of the ring that holds anything; what lies in the heap comes after all of them.
    fn following(&self) -> Option<u64> {
        let (mut bucket, end) = (self.present + 1, self.present + BUCKETS);
        while bucket < end {
            let at = ring(bucket);
            let word = self.filled[at / WORD] >> (at % WORD);
            if word != 0 {
                return Some(bucket + u64::from(word.trailing_zeros()));
            }
            bucket += (WORD - at % WORD) as u64;
        }
        None
    }
}

impl<E> Default for Agenda<E> {
    fn default() -> Self {
        Self {
            near: (0..BUCKETS).map(|_| Vec::new()).collect(),
            filled: vec![0; BUCKETS as usize / WORD],
            present: 0,
            far: BinaryHeap::new(),
            slots: Vec::new(),
            free: Vec::new(),
            added: 0,
        }
    }
}

fn bucket(time: Time) -> u64 {
    time.0 / WIDTH
}

fn ring(bucket: u64) -> usize {
    (bucket % BUCKETS) as usize
}

#[cfg(all(test, not(target_arch = "wasm32")))]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;

    proptest! {
        /// Against one sorted map: each step adds some events, from now to far beyond the ring, and takes some out.
        #[test]
        fn events_come_in_order(steps in prop::collection::vec((prop::collection::vec((0u64..10_000_000, 0u32..4), 0..6), 0usize..6), 1..80)) {
            let mut agenda = Agenda::default();
            let mut model = BTreeMap::new();
            let (mut now, mut number) = (0, 0u32);
            for (add, take) in steps {
                for (delay, shrink) in add {
                    // Most are near, some at the very same time.
                    let at = now + (delay >> (shrink * 8));
                    agenda.add(Time(at), number);
                    model.insert((at, number), number);
                    number += 1;
                }
                for _ in 0..take {
                    let expected = model.pop_first().map(|((at, _), event)| (Time(at), event));
                    let found = agenda.next();
                    prop_assert_eq!(found, expected);
                    now = found.map_or(now, |(time, _)| time.0);
                }
            }
            while let Some(((at, _), event)) = model.pop_first() {
                prop_assert_eq!(agenda.next(), Some((Time(at), event)));
            }
            prop_assert_eq!(agenda.next(), None);
        }
    }
}
