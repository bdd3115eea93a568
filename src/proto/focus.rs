//! The chunks that readers wait for, in the order in which they want them: ranges that may overlap, the first most urgent.
//!
//! They come before all others, so the start of each range moves on with what is stored, and a range that is through is
//! dropped: what is left stays short however far a reader has come.

use std::ops::Range;

use super::bitfield::Bitfield;

/// Ranges of one wish at most: two for each of the readers that a node keeps track of.
pub const MAX_RANGES: usize = 128;

/// Chunks that come before all others.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Focus {
    ranges: Vec<Range<u32>>,
}

impl Focus {
    /// The chunks in order, those of several ranges once for each.
    pub fn iter(&self) -> impl Iterator<Item = u32> {
        self.ranges.iter().flat_map(Range::clone)
    }

    /// Leaves out what will not be wanted again.
    pub fn advance(&mut self, stored: &Bitfield) {
        for range in &mut self.ranges {
            while range.start < range.end && stored.contains(range.start) {
                range.start += 1;
            }
        }
        self.ranges.retain(|range| !range.is_empty());
    }
}

impl From<Range<u32>> for Focus {
    fn from(range: Range<u32>) -> Self {
        std::iter::once(range).collect()
    }
}

impl FromIterator<Range<u32>> for Focus {
    /// Keeps the first [`MAX_RANGES`] that are not empty.
    fn from_iter<I: IntoIterator<Item = Range<u32>>>(ranges: I) -> Self {
        let full = |range: &Range<u32>| !range.is_empty();
        Self {
            ranges: ranges.into_iter().filter(full).take(MAX_RANGES).collect(),
        }
    }
}

#[cfg(all(test, not(target_arch = "wasm32")))]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        /// Against the naive model: the flat list without what is stored at the start of its range.
        #[test]
        fn keeps_the_order_and_leaves_out_what_is_through(
            ranges in prop::collection::vec((0..40u32, 0..20u32), 0..12), stored in prop::collection::btree_set(0..60u32, 0..60),
        ) {
            let ranges: Vec<Range<u32>> = ranges.into_iter().map(|(start, len)| start..start + len).collect();
            let mut focus: Focus = ranges.iter().cloned().collect();
            prop_assert_eq!(focus.iter().collect::<Vec<_>>(), ranges.iter().cloned().flatten().collect::<Vec<_>>());
            let mut bits = Bitfield::new(60);
            stored.iter().for_each(|index| { bits.insert(*index); });
            focus.advance(&bits);
            let left = ranges.into_iter().flat_map(|range| range.skip_while(|index| stored.contains(index)));
            prop_assert_eq!(focus.iter().collect::<Vec<_>>(), left.collect::<Vec<_>>());
        }
    }

    #[test]
    fn is_bounded() {
        let focus: Focus = (0..1000u32).map(|start| start..start + 1).collect();
        assert_eq!(focus.iter().count(), MAX_RANGES);
    }
}
