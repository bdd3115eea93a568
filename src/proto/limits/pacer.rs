//! Bytes a second: when may the next piece go?
//!
//! A token bucket, kept as the one moment at which it will be full enough again (the "virtual scheduling" form of ITU-T
//! I.371). A piece may go as soon as that moment has come, and moves it on by the time the piece takes at the cap. Pieces
//! are whole chunks, larger than what most caps give in a second, so a piece is paid for after it has gone. In any time
//! `t` no more than `rate * (t + BURST)` and one piece pass.

use std::time::Duration;

use crate::proto::types::Time;

/// Time whose allowance may be saved up. Ours: covers the gap between two turns of a busy page, and no more.
const BURST: Duration = Duration::from_millis(100);

/// Paces one direction.
#[derive(Debug, Clone, Copy, Default)]
pub struct Pacer {
    /// Bytes a second; `None` lets everything pass.
    rate: Option<u64>,
    /// When the next piece may go.
    free_at: Time,
}

impl Pacer {
    /// Bytes a second, if there is a cap.
    pub fn rate(&self) -> Option<u64> {
        self.rate
    }

    /// Sets the cap, which must not be zero, or takes it away. What is still owed is owed at the new rate.
    pub fn set_rate(&mut self, rate: Option<u64>, now: Time) {
        let owed = self.free_at.since(now).as_micros();
        let micros = match (self.rate, rate) {
            (Some(old), Some(new)) => owed * u128::from(old) / u128::from(new.max(1)),
            _ => 0,
        };
        self.free_at = now + micros_of(micros);
        self.rate = rate.map(|rate| rate.max(1));
    }

    /// When the next piece may go; `now` or earlier if it may go at once.
    pub fn ready_at(&self) -> Time {
        match self.rate {
            Some(_) => self.free_at,
            None => Time::default(),
        }
    }

    /// Books a piece that goes now.
    pub fn spend(&mut self, bytes: u64, now: Time) {
        let Some(rate) = self.rate else { return };
        let earliest = now - BURST;
        self.free_at = self.free_at.max(earliest) + cost(bytes, rate);
    }

    /// Takes back a piece that was booked and did not go.
    pub fn refund(&mut self, bytes: u64) {
        let Some(rate) = self.rate else { return };
        self.free_at = self.free_at - cost(bytes, rate);
    }
}

/// The time that `bytes` take, rounded up: never faster than the cap.
fn cost(bytes: u64, rate: u64) -> Duration {
    micros_of((u128::from(bytes) * 1_000_000).div_ceil(u128::from(rate)))
}

fn micros_of(micros: u128) -> Duration {
    Duration::from_micros(u64::try_from(micros).unwrap_or(u64::MAX))
}

#[cfg(all(test, not(target_arch = "wasm32")))]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// The bucket as one would draw it: a level in byte-microseconds that fills with time and may go below zero.
    struct Bucket {
        rate: u64,
        level: i128,
        at: u64,
    }

    impl Bucket {
        fn fill(&mut self, now: u64) {
            let full = i128::from(self.rate) * BURST.as_micros() as i128;
            let gained = i128::from(self.rate) * i128::from(now - self.at);
            self.level = (self.level + gained).min(full);
            self.at = now;
        }
    }

    proptest! {
        #[test]
        fn is_the_token_bucket(rate in 1_000u64..50_000_000, steps in prop::collection::vec((0u64..3_000_000, 1u64..300_000), 1..200)) {
            let start = 10_000_000;
            let mut pacer = Pacer::default();
            pacer.set_rate(Some(rate), Time(start));
            let mut bucket = Bucket { rate, level: 0, at: start };
            let mut now = start;
            for (pause, bytes) in steps {
                now += pause;
                bucket.fill(now);
                let may = pacer.ready_at() <= Time(now);
                // Rounding makes the pacer late by at most a microsecond for each piece since the bucket was full.
                let slack = 200 * i128::from(rate);
                prop_assert!(!may || bucket.level >= 0, "too early: {}", bucket.level);
                prop_assert!(may || bucket.level < slack, "too late: {}", bucket.level);
                if may {
                    pacer.spend(bytes, Time(now));
                    bucket.level -= i128::from(bytes) * 1_000_000;
                }
            }
        }

        #[test]
        fn a_hungry_sender_gets_the_rate_and_no_more(rate in 32_768u64..20_000_000, seconds in 20u64..60) {
            const PIECE: u64 = 262_144;
            let (mut pacer, mut now, mut sent) = (Pacer::default(), Time(1_000_000), 0);
            pacer.set_rate(Some(rate), now);
            let end = now + Duration::from_secs(seconds);
            while now < end {
                pacer.spend(PIECE, now);
                sent += PIECE;
                now = now.max(pacer.ready_at());
            }
            let fair = rate * seconds;
            prop_assert!(sent <= fair + rate / 10 + PIECE, "{sent} of {fair}");
            prop_assert!(sent + PIECE >= fair, "{sent} of {fair}");
        }

        #[test]
        fn a_refund_leaves_no_trace(rate in 1_000u64..10_000_000, bytes in 1u64..300_000) {
            let now = Time(5_000_000);
            let mut pacer = Pacer::default();
            pacer.set_rate(Some(rate), now);
            pacer.spend(1_000, now);
            let before = pacer.ready_at();
            pacer.spend(bytes, now);
            pacer.refund(bytes);
            prop_assert_eq!(pacer.ready_at(), before);
        }
    }

    #[test]
    fn a_new_rate_holds_at_once() {
        let now = Time(1_000_000);
        let mut pacer = Pacer::default();
        assert!(pacer.ready_at() <= now);
        pacer.set_rate(Some(1_000), now);
        pacer.spend(100_000, now);
        let late = pacer.ready_at().since(now);
        assert!(late > Duration::from_secs(90), "{late:?}");
        pacer.set_rate(Some(1_000_000), now);
        let soon = pacer.ready_at().since(now);
        assert!(soon < Duration::from_millis(110), "{soon:?}");
        pacer.set_rate(None, now);
        assert!(pacer.ready_at() <= now);
    }
}
