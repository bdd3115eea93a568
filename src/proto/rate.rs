//! Bytes per second over the last few seconds, in integers so that every platform computes the same.

use super::types::Time;

/// Seconds that count: long enough to smooth over whole chunks, short enough to follow a peer that slows down.
pub const RATE_WINDOW: u64 = 5;

/// A sliding sum of bytes in one-second slots.
#[derive(Debug, Clone, Default)]
pub struct Rate {
    slots: [u64; RATE_WINDOW as usize],
    newest: u64,
    since: Option<Time>,
}

impl Rate {
    /// Counts `bytes` moved at `now`.
    pub fn add(&mut self, bytes: u64, now: Time) {
        self.since.get_or_insert(now);
        self.advance(now);
        self.slots[(self.newest % RATE_WINDOW) as usize] += bytes;
    }

    /// Bytes per second at `now`, over the window or the time since the first byte, at least one second.
    pub fn per_second(&self, now: Time) -> u64 {
        let Some(since) = self.since else { return 0 };
        let mut copy = self.clone();
        copy.advance(now);
        let age = now.since(since).as_micros() as u64;
        let partial = now.0 % SECOND;
        let span = age.clamp(SECOND, (RATE_WINDOW - 1) * SECOND + partial);
        (u128::from(copy.slots.iter().sum::<u64>()) * u128::from(SECOND) / u128::from(span)) as u64
    }

    fn advance(&mut self, now: Time) {
        let current = (now.0 / SECOND).max(self.newest);
        for step in 0..(current - self.newest).min(RATE_WINDOW) {
            self.slots[((current - step) % RATE_WINDOW) as usize] = 0;
        }
        self.newest = current;
    }
}

/// Microseconds in a second.
const SECOND: u64 = 1_000_000;

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn steady_flow_is_measured_and_forgotten() {
        let mut rate = Rate::default();
        let start = Time(123_456_789);
        for tenth in 0..100u32 {
            rate.add(100, start + Duration::from_millis(100) * tenth);
        }
        let now = start + Duration::from_secs(10);
        let measured = rate.per_second(now);
        assert!((900..=1100).contains(&measured), "{measured}");
        assert_eq!(rate.per_second(now + Duration::from_secs(6)), 0);
        assert_eq!(Rate::default().per_second(now), 0);
    }

    #[test]
    fn time_that_goes_back_changes_nothing() {
        let mut rate = Rate::default();
        rate.add(10, Time(9_000_000));
        rate.add(10, Time(1_000_000));
        assert_eq!(rate.per_second(Time(9_000_000)), 20);
    }
}
