//! The seeded randomness of the state machines: the same seed gives the same choices on every platform.

/// A deterministic generator for choices that need to be spread, not secret: ChaCha with eight rounds.
///
/// Its numbers are those of `rand_chacha::ChaCha8Rng`, whose code for vectors and for other platforms a page need not load.
#[derive(Debug, Clone)]
pub struct Random {
    key: [u32; 8],
    block: u64,
    words: [u32; 16],
    /// How many of `words` are used up.
    used: usize,
}

impl Random {
    /// Starts the sequence that belongs to `seed`.
    pub fn new(seed: u64) -> Self {
        let mut state = seed;
        Self {
            key: std::array::from_fn(|_| pcg32(&mut state)),
            block: 0,
            words: [0; 16],
            used: 16,
        }
    }

    /// Draws 32 uniform bits.
    pub fn word(&mut self) -> u32 {
        if self.used == self.words.len() {
            self.words = chacha8(&self.key, self.block);
            self.block += 1;
            self.used = 0;
        }
        self.used += 1;
        self.words[self.used - 1]
    }

    /// Draws a number below `bound`, nearly uniform (bias below 2^-32); 0 if `bound` is 0.
    pub fn below(&mut self, bound: u32) -> u32 {
        ((u128::from(self.bits()) * u128::from(bound)) >> 64) as u32
    }

    /// Draws 64 uniform bits.
    pub fn bits(&mut self) -> u64 {
        let low = self.word();
        u64::from(self.word()) << 32 | u64::from(low)
    }

    /// Puts `items` in a uniformly random order (Fisher-Yates).
    pub fn shuffle<T>(&mut self, items: &mut [T]) {
        for last in (1..items.len()).rev() {
            items.swap(last, self.below(last as u32 + 1) as usize);
        }
    }
}

/// The next 32 bits of a seed stretched to a key: PCG XSH RR (O'Neill 2014).
fn pcg32(state: &mut u64) -> u32 {
    *state = state
        .wrapping_mul(6_364_136_223_846_793_005)
        .wrapping_add(11_634_580_027_462_260_723);
    let shifted = (((*state >> 18) ^ *state) >> 27) as u32;
    shifted.rotate_right((*state >> 59) as u32)
}

/// One block of ChaCha (Bernstein 2008) with eight rounds and a counter of 64 bits.
fn chacha8(key: &[u32; 8], block: u64) -> [u32; 16] {
    let mut start = [0; 16];
    start[..4].copy_from_slice(&[0x6170_7865, 0x3320_646e, 0x7962_2d32, 0x6b20_6574]);
    start[4..12].copy_from_slice(key);
    start[12] = block as u32;
    start[13] = (block >> 32) as u32;
    let mut words = start;
    for _ in 0..4 {
        for column in 0..4 {
            quarter(&mut words, [0, 4, 8, 12].map(|row| row + column));
        }
        for diagonal in 0..4 {
            let place = |row: usize| 4 * row + (diagonal + row) % 4;
            quarter(&mut words, [0, 1, 2, 3].map(place));
        }
    }
    std::array::from_fn(|at| words[at].wrapping_add(start[at]))
}

fn quarter(words: &mut [u32; 16], [a, b, c, d]: [usize; 4]) {
    for (to, from, changed, by) in [(a, b, d, 16), (c, d, b, 12), (a, b, d, 8), (c, d, b, 7)] {
        words[to] = words[to].wrapping_add(words[from]);
        words[changed] = (words[changed] ^ words[to]).rotate_left(by);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[cfg(not(target_arch = "wasm32"))]
    #[test]
    fn the_numbers_are_those_of_chacha8() {
        use rand_chacha::rand_core::{RngCore, SeedableRng};
        for seed in [0, 1, 7, u64::MAX, 0x0123_4567_89ab_cdef] {
            let (mut ours, mut theirs) = (
                Random::new(seed),
                rand_chacha::ChaCha8Rng::seed_from_u64(seed),
            );
            for draw in 0..1000 {
                if draw % 3 == 0 {
                    assert_eq!(ours.word(), theirs.next_u32(), "{seed} {draw}");
                } else {
                    assert_eq!(ours.bits(), theirs.next_u64(), "{seed} {draw}");
                }
            }
        }
    }

    #[test]
    fn same_seed_same_choices() {
        let (mut a, mut b) = (Random::new(7), Random::new(7));
        assert!((0..100).all(|bound| a.below(bound) == b.below(bound)));
        assert_ne!(Random::new(7).bits(), Random::new(8).bits());
    }

    #[test]
    fn shuffle_keeps_every_item_and_moves_some() {
        let mut items: Vec<u32> = (0..100).collect();
        Random::new(1).shuffle(&mut items);
        assert_ne!(items, (0..100).collect::<Vec<_>>());
        items.sort_unstable();
        assert_eq!(items, (0..100).collect::<Vec<_>>());
    }
}
