//! Counts bytes and says how fast they come.

use std::time::Duration;

use crate::proto::types::Time;

/// Time constant of the rate: long enough to be readable, short enough to follow a change.
const WINDOW: Duration = Duration::from_secs(3);

/// A total and a smoothed rate.
#[derive(Debug, Clone, Copy, Default)]
pub struct Meter {
    total: u64,
    since: u64,
    rate: f64,
    at: Time,
}

impl Meter {
    /// Counts `bytes`.
    pub fn add(&mut self, bytes: u64) {
        self.total += bytes;
        self.since += bytes;
    }

    /// Bytes since the start.
    pub fn total(&self) -> u64 {
        self.total
    }

    /// Bytes a second, as of the last [`tick`](Self::tick).
    pub fn rate(&self) -> u64 {
        self.rate as u64
    }

    /// Takes what was counted since the last tick into the rate.
    pub fn tick(&mut self, now: Time) {
        let passed = now.since(self.at).as_secs_f64();
        if passed <= 0.0 {
            return;
        }
        let weight = 1.0 - (-passed / WINDOW.as_secs_f64()).exp();
        self.rate += (self.since as f64 / passed - self.rate) * weight;
        if self.rate < 1.0 {
            self.rate = 0.0;
        }
        self.since = 0;
        self.at = now;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn follows_a_steady_flow_and_its_end() {
        let mut meter = Meter::default();
        let mut now = Time::default();
        for _ in 0..40 {
            now = now + Duration::from_millis(500);
            meter.add(500);
            meter.tick(now);
        }
        assert!((950..=1000).contains(&meter.rate()), "{}", meter.rate());
        for _ in 0..100 {
            now = now + Duration::from_millis(500);
            meter.tick(now);
        }
        assert_eq!(meter.rate(), 0);
        assert_eq!(meter.total(), 20_000);
    }
}
