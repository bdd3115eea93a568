//! How many connected peers have each chunk.
//!
//! Peers that have everything are counted once for all chunks, so that a seed that comes or goes costs nothing and never
//! changes which chunk is rarer than another.

use super::bitfield::Bitfield;

/// What one peer says it has.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Holds {
    /// Nothing that it would serve, or it has not said yet.
    #[default]
    Nothing,
    /// Every chunk.
    All,
    /// These chunks.
    Some(Bitfield),
}

impl Holds {
    /// Takes the shortest form that says the same.
    pub fn from_bitfield(bits: Bitfield) -> Self {
        if bits.is_full() {
            Self::All
        } else if bits.is_empty() {
            Self::Nothing
        } else {
            Self::Some(bits)
        }
    }

    /// Whether it has this chunk.
    pub fn contains(&self, index: u32) -> bool {
        match self {
            Self::Nothing => false,
            Self::All => true,
            Self::Some(bits) => bits.contains(index),
        }
    }

    /// Number of chunks it has of a blob of `chunks` chunks.
    pub fn count(&self, chunks: u32) -> u32 {
        match self {
            Self::Nothing => 0,
            Self::All => chunks,
            Self::Some(bits) => bits.count(),
        }
    }
}

/// The number of peers that have each chunk.
#[derive(Debug, Clone)]
pub struct Availability {
    counts: Vec<u16>,
    everywhere: u16,
}

impl Availability {
    /// Starts with nobody having any of `chunks` chunks.
    pub fn new(chunks: u32) -> Self {
        Self {
            counts: vec![0; chunks as usize],
            everywhere: 0,
        }
    }

    /// Peers that have chunk `index`, complete peers included.
    pub fn count(&self, index: u32) -> u32 {
        u32::from(self.partial(index)) + u32::from(self.everywhere)
    }

    /// Peers that have chunk `index`, complete peers left out: what rarity is measured by.
    pub fn partial(&self, index: u32) -> u16 {
        self.counts.get(index as usize).copied().unwrap_or(0)
    }

    /// Peers that have every chunk.
    pub fn complete(&self) -> u16 {
        self.everywhere
    }

    /// A complete peer came.
    pub fn add_complete(&mut self) {
        self.everywhere = self.everywhere.saturating_add(1);
    }

    /// A complete peer went.
    pub fn remove_complete(&mut self) {
        self.everywhere = self.everywhere.saturating_sub(1);
    }

    /// An incomplete peer has chunk `index`.
    pub fn add(&mut self, index: u32) {
        if let Some(count) = self.counts.get_mut(index as usize) {
            *count = count.saturating_add(1);
        }
    }

    /// An incomplete peer no longer has chunk `index`, or went.
    pub fn remove(&mut self, index: u32) {
        if let Some(count) = self.counts.get_mut(index as usize) {
            *count = count.saturating_sub(1);
        }
    }
}

#[cfg(all(test, not(target_arch = "wasm32")))]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn counts_what_the_peers_have(peers in prop::collection::vec(prop::collection::btree_set(0u32..20, 0..=20), 0..10)) {
            let mut availability = Availability::new(20);
            for peer in &peers {
                if peer.len() == 20 {
                    availability.add_complete();
                } else {
                    peer.iter().for_each(|index| availability.add(*index));
                }
            }
            for index in 0..20 {
                let naive = peers.iter().filter(|peer: &&BTreeSet<u32>| peer.contains(&index)).count() as u32;
                prop_assert_eq!(availability.count(index), naive);
            }
        }
    }

    #[test]
    fn nothing_goes_below_zero_or_past_the_end() {
        let mut availability = Availability::new(1);
        availability.remove(0);
        availability.remove_complete();
        availability.add(9);
        assert_eq!((availability.count(0), availability.count(9)), (0, 0));
    }

    #[test]
    fn holds_takes_its_shortest_form() {
        assert_eq!(Holds::from_bitfield(Bitfield::full(9)), Holds::All);
        assert_eq!(Holds::from_bitfield(Bitfield::new(9)), Holds::Nothing);
        let mut one = Bitfield::new(9);
        one.insert(3);
        let holds = Holds::from_bitfield(one);
        assert!(holds.contains(3) && !holds.contains(4) && holds.count(9) == 1);
    }
}
