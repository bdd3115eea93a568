//! A token bucket: so many at once, and one more in every interval.

use std::time::Duration;

use super::types::Time;

/// What is left to be spent.
#[derive(Debug, Clone)]
pub struct Budget {
    burst: u32,
    every: Duration,
    left: u32,
    /// When `left` was last right.
    counted_at: Time,
}

impl Budget {
    /// A full bucket of `burst`, refilled by one in each `every`.
    pub fn new(burst: u32, every: Duration) -> Self {
        Self {
            burst,
            every,
            left: burst,
            counted_at: Time::default(),
        }
    }

    /// Takes one if there is one.
    pub fn try_take(&mut self, now: Time) -> bool {
        let passed = now.since(self.counted_at).as_micros();
        let every = self.every.as_micros().max(1);
        let earned = passed / every;
        if earned >= u128::from(self.burst - self.left) {
            self.left = self.burst;
            self.counted_at = self.counted_at.max(now);
        } else {
            self.left += earned as u32;
            self.counted_at = self.counted_at + self.every * earned as u32;
        }
        let some = self.left > 0;
        self.left = self.left.saturating_sub(1);
        some
    }
}

#[cfg(all(test, not(target_arch = "wasm32")))]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_burst_and_then_one_at_a_time() {
        let mut budget = Budget::new(3, Duration::from_secs(10));
        let at = |seconds| Time::default() + Duration::from_secs(seconds);
        let taken =
            |budget: &mut Budget, seconds| (0..5).filter(|_| budget.try_take(at(seconds))).count();
        assert_eq!(taken(&mut budget, 100), 3);
        assert_eq!(taken(&mut budget, 109), 0);
        assert_eq!(taken(&mut budget, 110), 1);
        assert_eq!(taken(&mut budget, 10_000), 3);
        // A clock that jumps back gives nothing and takes nothing.
        assert_eq!(taken(&mut budget, 5), 0);
        assert_eq!(taken(&mut budget, 10_010), 1);
    }

    proptest! {
        #[test]
        fn never_more_than_the_burst_and_what_was_earned(
            burst in 1u32..10,
            every in 1u64..50,
            steps in prop::collection::vec(0u64..30, 1..200),
        ) {
            let mut budget = Budget::new(burst, Duration::from_secs(every));
            let (mut clock, mut taken) = (1_000u64, 0u64);
            let start = clock;
            for step in steps {
                clock += step;
                taken += u64::from(budget.try_take(Time::default() + Duration::from_secs(clock)));
                prop_assert!(taken <= u64::from(burst) + (clock - start) / every + 1);
            }
        }
    }
}
