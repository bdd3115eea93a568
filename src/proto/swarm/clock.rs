//! A clock that never runs backwards and never leaps: what timeouts are measured by.
//!
//! The edges' clock may be set, and a page may be frozen for minutes. Neither says anything about a peer, so neither may
//! count as its silence. A step back counts as no time at all; a step past the moment for which we asked to be woken
//! counts as [`LATE`] at most.

use std::time::Duration;

use crate::proto::types::Time;

/// How late a wake-up may be and still count as time that has passed: timers of a background page fire once a second,
/// and a busy one is late by as much again.
pub(super) const LATE: Duration = Duration::from_secs(2);

/// From the edges' time to ours, and back.
#[derive(Debug, Default)]
pub(super) struct Clock {
    theirs: Option<Time>,
    ours: Time,
    /// Until when, in our time, nothing need have happened.
    wake: Option<Time>,
}

impl Clock {
    /// Our time at the edges' `now`; moves the clock.
    pub(super) fn advance(&mut self, now: Time) -> Time {
        self.ours = self.peek(now);
        self.theirs = Some(now);
        self.ours
    }

    /// Our time at the edges' `now`, without moving the clock.
    pub(super) fn peek(&self, now: Time) -> Time {
        let Some(theirs) = self.theirs else {
            return now;
        };
        let later = self.ours + now.since(theirs);
        match self.wake {
            Some(wake) => later.min(self.ours.max(wake) + LATE),
            None => later,
        }
    }

    /// We asked to be woken then, in our time; answers with the edges' time of it.
    pub(super) fn wake_at(&mut self, wake: Time) -> Time {
        self.wake = Some(wake);
        self.theirs.unwrap_or(self.ours) + wake.since(self.ours)
    }

    /// Nothing is waited for.
    pub(super) fn no_wake(&mut self) {
        self.wake = None;
    }
}

#[cfg(all(test, not(target_arch = "wasm32")))]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_frozen_page_and_a_set_clock_are_no_time() {
        let mut clock = Clock::default();
        let second = Duration::from_secs(1);
        let start = clock.advance(Time(1_000_000_000));
        clock.wake_at(start + second);
        let woken = clock.advance(Time(1_000_000_000) + 300 * second);
        assert_eq!(woken.since(start), second + LATE);
        clock.wake_at(woken + second);
        assert_eq!(clock.advance(Time(5)), woken, "set back");
        assert_eq!(clock.advance(Time(5) + second).since(woken), second);
    }

    proptest! {
        /// Against the plain sum of the steps that count.
        #[test]
        fn time_is_the_sum_of_what_counts(steps in prop::collection::vec((0u64..20_000_000, any::<bool>(), prop::option::of(0u64..5_000_000)), 1..50)) {
            let mut clock = Clock::default();
            let mut theirs = Time(100_000_000_000);
            let mut model = clock.advance(theirs);
            let mut wake: Option<Time> = None;
            for (micros, back, next) in steps {
                let step = Duration::from_micros(micros);
                theirs = if back { theirs - step } else { theirs + step };
                if !back {
                    let allowed = wake.map_or(step, |wake| step.min(wake.since(model) + LATE));
                    model = model + allowed;
                }
                prop_assert_eq!(clock.advance(theirs), model);
                wake = next.map(|ahead| model + Duration::from_micros(ahead));
                match wake {
                    Some(at) => prop_assert_eq!(clock.wake_at(at).since(theirs), at.since(model)),
                    None => clock.no_wake(),
                }
            }
        }
    }
}
