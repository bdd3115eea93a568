//! Token buckets, one for each address or peer that asks for something.
//!
//! A bucket is kept as one instant, the moment at which it would be full again (the generic cell rate algorithm, ITU-T I.371):
//! a request moves that moment on by one interval and is refused when the moment would lie more than a full bucket ahead. A
//! bucket that is full again carries no information, so it is dropped; that and [`MAX_KEYS`] bound the memory.

use std::collections::HashMap;
use std::hash::Hash;
use std::net::{IpAddr, Ipv6Addr};
use std::num::NonZeroU32;
use std::str::FromStr;
use std::time::{Duration, Instant};

/// How often something may be asked for: `burst` times at once, then once every `interval`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rate {
    /// Requests that may come at once.
    pub burst: NonZeroU32,
    /// Time after which one more request is allowed.
    pub interval: Duration,
}

impl Rate {
    /// Builds a rate; a burst of zero becomes one, because a rate that refuses everything is a switch, not a rate.
    pub fn new(burst: u32, interval: Duration) -> Self {
        Self {
            burst: NonZeroU32::new(burst).unwrap_or(NonZeroU32::MIN),
            interval,
        }
    }
}

/// Parses `BURST/SECONDS`, for example `600/1` or `240/0.5`.
impl FromStr for Rate {
    type Err = RateSyntax;

    fn from_str(text: &str) -> Result<Self, RateSyntax> {
        let (burst, seconds) = text.split_once('/').ok_or(RateSyntax)?;
        let burst: NonZeroU32 = burst.trim().parse().map_err(|_| RateSyntax)?;
        let seconds: f64 = seconds.trim().parse().map_err(|_| RateSyntax)?;
        if !(0.000_001..=86_400.0).contains(&seconds) {
            return Err(RateSyntax);
        }
        Ok(Self {
            burst,
            interval: Duration::from_secs_f64(seconds),
        })
    }
}

/// A rate was not written as `BURST/SECONDS`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a rate is written BURST/SECONDS, for example 600/1: 600 at once, then one a second")]
pub struct RateSyntax;

/// The buckets of everybody who asked lately.
#[derive(Debug)]
pub(crate) struct Buckets<K> {
    rate: Rate,
    full_again: HashMap<K, Instant>,
    swept: Option<Instant>,
}

impl<K: Eq + Hash> Buckets<K> {
    pub(crate) fn new(rate: Rate) -> Self {
        Self {
            rate,
            full_again: HashMap::new(),
            swept: None,
        }
    }

    /// Takes one token for `key`; false when it has none left.
    ///
    /// When [`MAX_KEYS`] others hold a bucket, a new key passes untracked: refusing it would let a flood of made-up addresses
    /// lock everybody out, and the limits on totals still hold.
    pub(crate) fn try_take(&mut self, key: K, now: Instant) -> bool {
        if self.full_again.len() >= MAX_KEYS && !self.full_again.contains_key(&key) {
            self.sweep(now);
            if self.full_again.len() >= MAX_KEYS {
                return true;
            }
        }
        let full_again = self.full_again.entry(key).or_insert(now);
        let next = (*full_again).max(now) + self.rate.interval;
        let allowed = next.duration_since(now) <= self.rate.interval * self.rate.burst.get();
        if allowed {
            *full_again = next;
        }
        allowed
    }

    fn sweep(&mut self, now: Instant) {
        let due = self
            .swept
            .is_none_or(|swept| now.duration_since(swept) >= SWEEP_INTERVAL);
        if due {
            self.swept = Some(now);
            self.full_again.retain(|_, full_again| *full_again > now);
        }
    }
}

/// What counts as one address: an IPv4 address, or the /64 of an IPv6 address, which is what one household or server gets.
pub(crate) fn address_group(ip: IpAddr) -> IpAddr {
    match ip.to_canonical() {
        IpAddr::V6(v6) => {
            let [a, b, c, d, ..] = v6.segments();
            IpAddr::V6(Ipv6Addr::new(a, b, c, d, 0, 0, 0, 0))
        }
        v4 => v4,
    }
}

/// Buckets kept at once: 65 536 of about 50 bytes are 3 MiB, and three times the reservations a relay gives.
const MAX_KEYS: usize = 65_536;
/// At most one sweep of a full table in this time: a sweep visits every bucket.
const SWEEP_INTERVAL: Duration = Duration::from_secs(1);

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn burst_then_one_each_interval() {
        let mut buckets = Buckets::new(Rate::new(3, Duration::from_secs(2)));
        let start = Instant::now();
        assert!((0..3).all(|_| buckets.try_take("a", start)));
        assert!(!buckets.try_take("a", start));
        assert!(buckets.try_take("b", start), "buckets are separate");
        assert!(!buckets.try_take("a", start + Duration::from_millis(1_999)));
        assert!(buckets.try_take("a", start + Duration::from_secs(2)));
        assert!(!buckets.try_take("a", start + Duration::from_secs(2)));
    }

    #[test]
    fn memory_is_bounded_and_a_flood_locks_nobody_out() {
        let mut buckets = Buckets::new(Rate::new(1, Duration::from_secs(60)));
        let start = Instant::now();
        for key in 0..MAX_KEYS + 10 {
            assert!(buckets.try_take(key, start));
        }
        assert_eq!(buckets.full_again.len(), MAX_KEYS);
        assert!(!buckets.try_take(0, start), "a tracked key stays limited");
        assert!(buckets.try_take(usize::MAX, start + Duration::from_secs(61)));
        assert_eq!(buckets.full_again.len(), 1, "full buckets are forgotten");
    }

    #[test]
    fn ipv6_counts_by_64() {
        let group = |text: &str| address_group(text.parse().unwrap());
        assert_eq!(group("2001:db8:1:2:3:4:5:6"), group("2001:db8:1:2::9"));
        assert_ne!(group("2001:db8:1:2::9"), group("2001:db8:1:3::9"));
        assert_eq!(group("::ffff:192.0.2.1"), group("192.0.2.1"));
    }

    #[test]
    fn syntax() {
        assert_eq!("600/1".parse(), Ok(Rate::new(600, Duration::from_secs(1))));
        assert_eq!(
            "240 / 0.5".parse(),
            Ok(Rate::new(240, Duration::from_millis(500)))
        );
        for bad in [
            "", "600", "0/1", "1/0", "1/-1", "1/inf", "1/NaN", "x/1", "1/1e99",
        ] {
            assert_eq!(bad.parse::<Rate>(), Err(RateSyntax), "{bad}");
        }
    }
}
