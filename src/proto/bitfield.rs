//! Which chunks of a blob a peer has: one bit a chunk, most significant bit first, as in BEP 3.

use std::ops::Range;

/// A set of chunk indexes below a fixed length, with its size counted.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Bitfield {
    bytes: Vec<u8>,
    len: u32,
    ones: u32,
}

/// Why bytes are no bitfield.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum BitfieldError {
    /// The number of bytes does not fit the number of chunks.
    #[error("a bitfield of {chunks} chunks cannot have {bytes} bytes")]
    Length {
        /// Chunks that the blob has.
        chunks: u32,
        /// Bytes that came.
        bytes: usize,
    },
    /// A bit past the last chunk is set.
    #[error("a bitfield has a bit set past its last chunk")]
    SpareBits,
}

impl Bitfield {
    /// Makes an empty set for indexes below `len`.
    pub fn new(len: u32) -> Self {
        Self {
            bytes: vec![0; byte_len(len)],
            len,
            ones: 0,
        }
    }

    /// Makes the set of all indexes below `len`.
    pub fn full(len: u32) -> Self {
        let mut bytes = vec![0xff; byte_len(len)];
        if let Some(last) = bytes.last_mut() {
            *last = !spare_mask(len);
        }
        Self {
            bytes,
            len,
            ones: len,
        }
    }

    /// Reads the wire form of a set for `len` chunks.
    ///
    /// # Errors
    /// If the length is not exactly `len` bits rounded up to bytes, or a spare bit is set.
    pub fn from_bytes(bytes: &[u8], len: u32) -> Result<Self, BitfieldError> {
        if bytes.len() != byte_len(len) {
            return Err(BitfieldError::Length {
                chunks: len,
                bytes: bytes.len(),
            });
        }
        if bytes.last().is_some_and(|last| last & spare_mask(len) != 0) {
            return Err(BitfieldError::SpareBits);
        }
        let ones = bytes.iter().map(|byte| byte.count_ones()).sum();
        Ok(Self {
            bytes: bytes.to_vec(),
            len,
            ones,
        })
    }

    /// The wire form.
    pub fn as_bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// Number of indexes that the set can hold.
    pub fn len(&self) -> u32 {
        self.len
    }

    /// Whether nothing is in the set.
    pub fn is_empty(&self) -> bool {
        self.ones == 0
    }

    /// Number of indexes in the set.
    pub fn count(&self) -> u32 {
        self.ones
    }

    /// Number of indexes of the set from `range`.
    pub fn count_in(&self, range: Range<u32>) -> u32 {
        let whole = range.start.div_ceil(8)..range.end / 8;
        let one_by_one =
            |range: Range<u32>| range.filter(|index| self.contains(*index)).count() as u32;
        if whole.start >= whole.end {
            return one_by_one(range);
        }
        let bytes = self.bytes.get(whole.start as usize..whole.end as usize);
        let inner: u32 = bytes.unwrap_or(&[]).iter().map(|b| b.count_ones()).sum();
        one_by_one(range.start..whole.start * 8) + inner + one_by_one(whole.end * 8..range.end)
    }

    /// Whether every index is in the set.
    pub fn is_full(&self) -> bool {
        self.ones == self.len
    }

    /// Whether `index` is in the set; `false` past the end.
    pub fn contains(&self, index: u32) -> bool {
        index < self.len && self.bytes[(index / 8) as usize] & bit(index) != 0
    }

    /// Adds `index`; returns whether that changed anything. Past the end nothing changes.
    pub fn insert(&mut self, index: u32) -> bool {
        let new = index < self.len && !self.contains(index);
        if new {
            self.bytes[(index / 8) as usize] |= bit(index);
            self.ones += 1;
        }
        new
    }

    /// Removes `index`; returns whether that changed anything.
    pub fn remove(&mut self, index: u32) -> bool {
        let there = self.contains(index);
        if there {
            self.bytes[(index / 8) as usize] &= !bit(index);
            self.ones -= 1;
        }
        there
    }

    /// The indexes in the set, ascending.
    pub fn iter(&self) -> impl Iterator<Item = u32> + '_ {
        self.bytes
            .iter()
            .enumerate()
            .filter(|(_, byte)| **byte != 0)
            .flat_map(|(at, byte)| {
                let base = at as u32 * 8;
                (base..base + 8).filter(move |index| byte & bit(*index) != 0)
            })
    }

    /// Some index that is in the set and not in `without`, searched upwards from near `from` and round the end.
    /// Looks at eight indexes at a time; `None` only if there is no such index.
    pub fn first_without(&self, without: &Bitfield, from: u32) -> Option<u32> {
        let count = self.bytes.len();
        let start = if self.len == 0 {
            0
        } else {
            ((from % self.len) / 8) as usize
        };
        (0..count)
            .map(|step| (start + step) % count)
            .find_map(|at| {
                let rest = self.bytes[at] & !without.bytes.get(at).copied().unwrap_or(0);
                (rest != 0).then(|| at as u32 * 8 + rest.leading_zeros())
            })
    }
}

fn byte_len(len: u32) -> usize {
    len.div_ceil(8) as usize
}

fn bit(index: u32) -> u8 {
    0x80 >> (index % 8)
}

fn spare_mask(len: u32) -> u8 {
    if len.is_multiple_of(8) {
        0
    } else {
        0xff >> (len % 8)
    }
}

#[cfg(all(test, not(target_arch = "wasm32")))]
mod tests {
    #![allow(clippy::unwrap_used)]
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn behaves_as_a_set(len in 0u32..200, steps in prop::collection::vec((any::<bool>(), 0u32..220), 0..300)) {
            let (mut bits, mut model) = (Bitfield::new(len), BTreeSet::new());
            for (add, index) in steps {
                if add {
                    prop_assert_eq!(bits.insert(index), index < len && model.insert(index));
                } else {
                    prop_assert_eq!(bits.remove(index), model.remove(&index));
                }
                prop_assert_eq!(bits.contains(index), model.contains(&index));
            }
            prop_assert_eq!(bits.count() as usize, model.len());
            prop_assert_eq!(bits.is_full(), model.len() == len as usize);
            prop_assert_eq!(bits.iter().collect::<Vec<_>>(), model.iter().copied().collect::<Vec<_>>());
            prop_assert_eq!(Bitfield::from_bytes(bits.as_bytes(), len).unwrap(), bits);
        }

        #[test]
        fn counts_in_a_range(len in 0u32..200, ones in prop::collection::vec(0u32..200, 0..100), from in 0u32..200, width in 0u32..200) {
            let mut bits = Bitfield::new(len);
            ones.iter().for_each(|index| { bits.insert(*index); });
            let range = from.min(len)..(from + width).min(len);
            let naive = range.clone().filter(|index| bits.contains(*index)).count() as u32;
            prop_assert_eq!(bits.count_in(range), naive);
        }

        #[test]
        fn first_without_finds_one_if_there_is_one(
            len in 1u32..200, a in prop::collection::vec(0u32..200, 0..60), b in prop::collection::vec(0u32..200, 0..60), from in 0u32..300,
        ) {
            let (mut has, mut not) = (Bitfield::new(len), Bitfield::new(len));
            a.iter().for_each(|index| { has.insert(*index); });
            b.iter().for_each(|index| { not.insert(*index); });
            let exists = has.iter().any(|index| !not.contains(index));
            match has.first_without(&not, from) {
                Some(found) => prop_assert!(has.contains(found) && !not.contains(found)),
                None => prop_assert!(!exists),
            }
        }

        #[test]
        fn foreign_bytes_are_read_exactly_or_refused(len in 0u32..100, bytes in prop::collection::vec(any::<u8>(), 0..16)) {
            if let Ok(bits) = Bitfield::from_bytes(&bytes, len) {
                prop_assert_eq!(bits.as_bytes(), &bytes[..]);
                prop_assert!(bits.iter().all(|index| index < len));
                prop_assert_eq!(bits.iter().count() as u32, bits.count());
            }
        }
    }

    #[test]
    fn full_is_full_and_spare_bits_are_refused() {
        for len in [0, 1, 7, 8, 9, 64, 65] {
            let full = Bitfield::full(len);
            assert!(full.is_full());
            assert_eq!(full.iter().count() as u32, len);
            assert_eq!(Bitfield::from_bytes(full.as_bytes(), len).unwrap(), full);
        }
        assert_eq!(
            Bitfield::from_bytes(&[0b0000_0001], 7),
            Err(BitfieldError::SpareBits)
        );
        assert_eq!(
            Bitfield::from_bytes(&[0, 0], 7),
            Err(BitfieldError::Length {
                chunks: 7,
                bytes: 2
            })
        );
    }
}
