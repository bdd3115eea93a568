//! Which chunk to ask a peer for next: what a reader waits for in order, else the rarest, ties at random.
//!
//! The chunks that are still to be asked for stand in one array, sorted by how many peers have them; chunks of equal
//! rarity form a bucket in random order. A change of rarity by one is one swap across a bucket's border, so a `Have`
//! costs O(1) and a pick usually looks at one entry, however large the blob. Rarest first with random ties is what keeps
//! every chunk alive in a swarm (Legout, Urvoy-Keller, Michiardi, "Rarest First and Choke Algorithms Are Enough", 2006).

use super::availability::{Availability, Holds};
use super::bitfield::Bitfield;
use super::focus::Focus;
use super::random::Random;

/// Entries of the rarity order looked at for one pick before any chunk that the peer has will do: bounds the work that a
/// peer with few chunks of a huge blob can cause.
pub const PICK_SCAN: usize = 4096;

/// The wanted chunks of one blob, rarest first.
#[derive(Debug, Clone)]
pub struct Picker {
    availability: Availability,
    /// Wanted chunks, ascending by the number of incomplete peers that have them.
    order: Vec<u32>,
    /// Place of each chunk in `order`; `ABSENT` if it is not wanted.
    place: Vec<u32>,
    /// `ends[n]` is one past the last entry of `order` with rarity `n`; the last entry is `order.len()`.
    ends: Vec<u32>,
    /// The complement of `order`, for the fallback.
    unwanted: Bitfield,
    focus: Focus,
}

impl Picker {
    /// Wants all of `chunks` chunks but those in `unwanted`, in random order.
    pub fn new(chunks: u32, unwanted: &Bitfield, random: &mut Random) -> Self {
        let mut order: Vec<u32> = (0..chunks)
            .filter(|index| !unwanted.contains(*index))
            .collect();
        random.shuffle(&mut order);
        let mut place = vec![ABSENT; chunks as usize];
        order
            .iter()
            .enumerate()
            .for_each(|(at, index)| place[*index as usize] = at as u32);
        let ends = vec![order.len() as u32];
        let mut skip = Bitfield::new(chunks);
        unwanted.iter().for_each(|index| {
            skip.insert(index);
        });
        Self {
            availability: Availability::new(chunks),
            order,
            place,
            ends,
            unwanted: skip,
            focus: Focus::default(),
        }
    }

    /// How many peers have which chunk.
    pub fn availability(&self) -> &Availability {
        &self.availability
    }

    /// Whether no chunk is left to be asked for.
    pub fn is_empty(&self) -> bool {
        self.order.is_empty()
    }

    /// Chunks left to be asked for.
    pub fn len(&self) -> usize {
        self.order.len()
    }

    /// The chunks that are left to be asked for, those that the fewest incomplete peers have first.
    pub fn rarest_first(&self) -> impl Iterator<Item = u32> {
        self.order.iter().copied()
    }

    /// Whether chunk `index` is still to be asked for.
    pub fn wants(&self, index: u32) -> bool {
        self.place
            .get(index as usize)
            .is_some_and(|place| *place != ABSENT)
    }

    /// Chunks that come before all others, in this order.
    pub fn set_focus(&mut self, focus: Focus) {
        self.focus = focus;
    }

    /// Moves the focus past chunks that will not be wanted again.
    pub fn advance_focus(&mut self, stored: &Bitfield) {
        self.focus.advance(stored);
    }

    /// The chunks in focus, whether still to be asked for or not.
    pub fn focus(&self) -> impl Iterator<Item = u32> {
        self.focus.iter()
    }

    /// A wanted chunk in focus that a peer with `holds` has: the first that nobody else has, or the one after `skip`
    /// others. It stays wanted until [`Self::take`].
    pub fn in_focus(&self, holds: &Holds, skip: usize) -> Option<u32> {
        let mut left = skip;
        self.focus
            .iter()
            .take(PICK_SCAN)
            .filter(|index| self.wants(*index) && holds.contains(*index))
            .find(|index| {
                let alone = self.availability.count(*index) <= 1;
                let found = alone || left == 0;
                left = left.saturating_sub(1);
                found
            })
    }

    /// The rarest wanted chunk that a peer with `holds` has; it stays wanted until [`Self::take`].
    pub fn rarest(&self, holds: &Holds, random: &mut Random) -> Option<u32> {
        if *holds == Holds::Nothing {
            return None;
        }
        let found = self
            .order
            .iter()
            .take(PICK_SCAN)
            .copied()
            .find(|index| holds.contains(*index));
        match holds {
            Holds::Some(bits) if found.is_none() && self.order.len() > PICK_SCAN => {
                bits.first_without(&self.unwanted, random.below(bits.len()))
            }
            _ => found,
        }
    }

    /// Whether a peer with `holds` has any wanted chunk.
    pub fn wants_any(&self, holds: &Holds) -> bool {
        match holds {
            Holds::Nothing => false,
            Holds::All => !self.order.is_empty(),
            Holds::Some(bits) => {
                let mut near = self.order.iter().take(PICK_SCAN);
                near.any(|index| bits.contains(*index))
                    || self.order.len() > PICK_SCAN
                        && bits.first_without(&self.unwanted, 0).is_some()
            }
        }
    }

    /// Takes a chunk out: it is being fetched or has come.
    pub fn take(&mut self, index: u32) {
        if !self.wants(index) {
            return;
        }
        let rarity = self.rarity(index);
        // The hole moves to the end of its bucket, then to the end of each later bucket.
        for bucket in rarity..self.ends.len() {
            let last = self.ends[bucket] - 1;
            self.swap(self.place[index as usize], last);
            self.ends[bucket] = last;
        }
        self.order.pop();
        self.place[index as usize] = ABSENT;
        self.unwanted.insert(index);
    }

    /// Wants a chunk again that was taken.
    pub fn put_back(&mut self, index: u32, random: &mut Random) {
        if self.wants(index) || index as usize >= self.place.len() {
            return;
        }
        self.unwanted.remove(index);
        let rarity = usize::from(self.availability.partial(index));
        self.grow(rarity);
        self.place[index as usize] = self.order.len() as u32;
        self.order.push(index);
        for bucket in (rarity..self.ends.len()).rev() {
            if bucket > rarity {
                self.swap(self.place[index as usize], self.ends[bucket - 1]);
            }
            self.ends[bucket] += 1;
        }
        self.mix(index, random);
    }

    /// A peer came, or says more than before, with `holds`.
    pub fn add_holds(&mut self, holds: &Holds, random: &mut Random) {
        match holds {
            Holds::Nothing => {}
            Holds::All => self.availability.add_complete(),
            Holds::Some(bits) => bits.iter().for_each(|index| self.add_have(index, random)),
        }
    }

    /// A peer with `holds` went.
    pub fn remove_holds(&mut self, holds: &Holds, random: &mut Random) {
        match holds {
            Holds::Nothing => {}
            Holds::All => self.availability.remove_complete(),
            Holds::Some(bits) => bits
                .iter()
                .for_each(|index| self.remove_have(index, random)),
        }
    }

    /// One more incomplete peer has chunk `index`.
    pub fn add_have(&mut self, index: u32, random: &mut Random) {
        let rarity = self.rarity(index);
        self.availability.add(index);
        if !self.wants(index) || self.rarity(index) == rarity {
            return;
        }
        self.grow(rarity + 1);
        let last = self.ends[rarity] - 1;
        self.swap(self.place[index as usize], last);
        self.ends[rarity] = last;
        self.mix(index, random);
    }

    /// One incomplete peer fewer has chunk `index`.
    pub fn remove_have(&mut self, index: u32, random: &mut Random) {
        let rarity = self.rarity(index);
        self.availability.remove(index);
        if !self.wants(index) || self.rarity(index) == rarity {
            return;
        }
        let first = self.ends[rarity - 1];
        self.swap(self.place[index as usize], first);
        self.ends[rarity - 1] = first + 1;
        self.mix(index, random);
    }

    fn rarity(&self, index: u32) -> usize {
        usize::from(self.availability.partial(index))
    }

    /// Makes sure that there is a bucket for `rarity`.
    fn grow(&mut self, rarity: usize) {
        let end = self.order.len() as u32;
        while self.ends.len() <= rarity {
            self.ends.push(end);
        }
    }

    /// Swaps a chunk with a random one of its bucket, so that ties stay random.
    fn mix(&mut self, index: u32, random: &mut Random) {
        let rarity = self.rarity(index);
        let start = if rarity == 0 {
            0
        } else {
            self.ends[rarity - 1]
        };
        let other = start + random.below(self.ends[rarity] - start);
        self.swap(self.place[index as usize], other);
    }

    fn swap(&mut self, a: u32, b: u32) {
        self.order.swap(a as usize, b as usize);
        self.place[self.order[a as usize] as usize] = a;
        self.place[self.order[b as usize] as usize] = b;
    }
}

const ABSENT: u32 = u32::MAX;

#[cfg(all(test, not(target_arch = "wasm32")))]
mod tests {
    use std::collections::{BTreeMap, BTreeSet};

    use proptest::prelude::*;

    use super::*;

    const CHUNKS: u32 = 24;

    #[derive(Debug, Clone)]
    enum Step {
        Take(u32),
        PutBack(u32),
        Have(usize, u32),
        Lose(usize, u32),
        Pick(usize),
    }

    fn step() -> impl Strategy<Value = Step> {
        prop_oneof![
            (0..CHUNKS).prop_map(Step::Take),
            (0..CHUNKS).prop_map(Step::PutBack),
            (0..4usize, 0..CHUNKS).prop_map(|(peer, index)| Step::Have(peer, index)),
            (0..4usize, 0..CHUNKS).prop_map(|(peer, index)| Step::Lose(peer, index)),
            (0..4usize).prop_map(Step::Pick),
        ]
    }

    proptest! {
        /// Against the naive model: recount everything, and check that the pick is one of the rarest wanted chunks.
        #[test]
        fn picks_the_rarest_wanted_chunk(seed: u64, steps in prop::collection::vec(step(), 0..400), focus in 0..CHUNKS) {
            let mut random = Random::new(seed);
            let mut picker = Picker::new(CHUNKS, &Bitfield::new(CHUNKS), &mut random);
            let mut wanted: BTreeSet<u32> = (0..CHUNKS).collect();
            let mut peers = vec![Bitfield::new(CHUNKS); 4];
            for step in steps {
                match step {
                    Step::Take(index) => { picker.take(index); wanted.remove(&index); }
                    Step::PutBack(index) => { picker.put_back(index, &mut random); wanted.insert(index); }
                    Step::Have(peer, index) => if peers[peer].insert(index) { picker.add_have(index, &mut random) },
                    Step::Lose(peer, index) => if peers[peer].remove(index) { picker.remove_have(index, &mut random) },
                    Step::Pick(peer) => {
                        let counts: BTreeMap<u32, usize> = wanted.iter().filter(|index| peers[peer].contains(**index))
                            .map(|index| (*index, peers.iter().filter(|other| other.contains(*index)).count())).collect();
                        match picker.rarest(&Holds::Some(peers[peer].clone()), &mut random) {
                            Some(index) => prop_assert_eq!(counts.get(&index), counts.values().min()),
                            None => prop_assert!(counts.is_empty()),
                        }
                    }
                }
                prop_assert_eq!(picker.order.iter().copied().collect::<BTreeSet<_>>(), wanted.clone());
                prop_assert!(picker.order.windows(2).all(|pair| picker.rarity(pair[0]) <= picker.rarity(pair[1])));
                prop_assert!(picker.order.iter().enumerate().all(|(at, index)| picker.place[*index as usize] == at as u32));
            }
            picker.set_focus((focus..CHUNKS).into());
            let first = wanted.range(focus..).next().copied();
            prop_assert_eq!(picker.in_focus(&Holds::All, 0), first);
            prop_assert_eq!(picker.rarest(&Holds::All, &mut random).is_some(), !wanted.is_empty());
        }
    }

    #[test]
    fn a_peer_with_one_chunk_of_a_huge_blob_is_found_out_quickly() {
        let chunks = 3 * PICK_SCAN as u32;
        let mut random = Random::new(3);
        let mut picker = Picker::new(chunks, &Bitfield::new(chunks), &mut random);
        let last = picker.order[chunks as usize - 1];
        let mut only = Bitfield::new(chunks);
        only.insert(last);
        assert_eq!(
            picker.rarest(&Holds::Some(only.clone()), &mut random),
            Some(last)
        );
        picker.take(last);
        assert_eq!(picker.rarest(&Holds::Some(only), &mut random), None);
    }

    #[test]
    fn a_focus_is_taken_in_order_and_a_slow_peer_leaves_out_what_others_have() {
        let mut random = Random::new(3);
        let mut picker = Picker::new(64, &Bitfield::new(64), &mut random);
        picker.set_focus([40..42, 3..5].into_iter().collect());
        let mut order = Vec::new();
        while let Some(index) = picker.in_focus(&Holds::All, 0) {
            order.push(index);
            picker.take(index);
        }
        assert_eq!(order, [40, 41, 3, 4]);
        for index in order {
            picker.put_back(index, &mut random);
        }
        picker.add_holds(&Holds::All, &mut random);
        assert_eq!(
            picker.in_focus(&Holds::All, 2),
            Some(40),
            "nobody else has it"
        );
        picker.add_holds(&Holds::All, &mut random);
        assert_eq!(picker.in_focus(&Holds::All, 2), Some(3));
        assert_eq!(picker.in_focus(&Holds::All, 4), None);
    }

    #[test]
    fn ties_fall_differently_for_different_seeds() {
        let first = |seed| {
            let mut random = Random::new(seed);
            Picker::new(64, &Bitfield::new(64), &mut random).rarest(&Holds::All, &mut random)
        };
        assert!((0..20).map(first).collect::<BTreeSet<_>>().len() > 10);
    }
}
