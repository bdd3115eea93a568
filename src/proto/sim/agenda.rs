//! Events in the order of their times; those of the same time in the order in which they were added.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use crate::proto::types::Time;

/// What is still to happen.
#[derive(Debug)]
pub(in crate::proto) struct Agenda<E> {
    /// Earliest first; the last number is the event's place in `slots`.
    queue: BinaryHeap<Reverse<(Time, u64, usize)>>,
    /// The events themselves: they are large, and a heap moves what it holds.
    slots: Vec<Option<E>>,
    free: Vec<usize>,
    added: u64,
}

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
        self.queue.push(Reverse((at, self.added, slot)));
    }

    /// Takes out the next event.
    pub(in crate::proto) fn next(&mut self) -> Option<(Time, E)> {
        let Reverse((time, _, slot)) = self.queue.pop()?;
        let event = self.slots[slot].take()?;
        self.free.push(slot);
        Some((time, event))
    }
}

impl<E> Default for Agenda<E> {
    fn default() -> Self {
        Self {
            queue: BinaryHeap::new(),
            slots: Vec::new(),
            free: Vec::new(),
            added: 0,
        }
    }
}
