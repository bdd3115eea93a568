//! How many bytes one address may send through its websockets: so much at once, then at a rate.
//!
//! Nothing is refused: whoever is ahead of the rate is read from later, so that the sender slows down. What circuits carry comes in
//! through some address's websocket, so this bounds what a relay passes on for that address. Kept as [`super::rate`] keeps its
//! buckets, in bytes instead of requests.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use super::rate::address_group;

/// Bytes at once, and bytes a second after that.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ByteRate {
    /// Bytes that may come at once.
    pub burst: u64,
    /// Bytes a second, at least 1.
    pub per_second: u64,
}

/// What every address has used up.
#[derive(Debug)]
pub(crate) struct Allowance {
    rate: ByteRate,
    whole_at: Mutex<HashMap<IpAddr, Instant>>,
}

/// The part of one websocket.
#[derive(Debug, Clone)]
pub(crate) struct Share {
    address: IpAddr,
    allowance: Arc<Allowance>,
}

impl Allowance {
    pub(crate) fn new(rate: ByteRate) -> Arc<Self> {
        Arc::new(Self {
            rate,
            whole_at: Mutex::default(),
        })
    }

    pub(crate) fn share(self: &Arc<Self>, address: IpAddr) -> Share {
        Share {
            address: address_group(address),
            allowance: self.clone(),
        }
    }

    fn cost(&self, bytes: u64) -> Duration {
        // A message has at most 1 MiB, so this is far from the end of either type.
        Duration::from_secs_f64(bytes as f64 / self.rate.per_second.max(1) as f64)
    }
}

impl Share {
    /// Notes that `bytes` came; how long nothing more should be read.
    pub(crate) fn spend(&self, bytes: usize, now: Instant) -> Option<Duration> {
        let allowance = &self.allowance;
        let mut known = allowance
            .whole_at
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        if known.len() >= MAX_ADDRESSES && !known.contains_key(&self.address) {
            known.retain(|_, whole_at| *whole_at > now);
            if known.len() >= MAX_ADDRESSES {
                // Its own pace then, without an allowance: a flood of addresses locks nobody out and gains nothing.
                return Some(allowance.cost(bytes as u64));
            }
        }
        let whole_at = known.entry(self.address).or_insert(now);
        *whole_at = (*whole_at).max(now) + allowance.cost(bytes as u64);
        let ahead = whole_at.duration_since(now);
        ahead
            .checked_sub(allowance.cost(allowance.rate.burst))
            .filter(|wait| !wait.is_zero())
    }
}

/// Addresses kept at once, as many as buckets of a rate.
const MAX_ADDRESSES: usize = 65_536;

#[cfg(test)]
mod tests {
    use super::*;

    const RATE: ByteRate = ByteRate {
        burst: 1_000,
        per_second: 100,
    };

    #[test]
    fn so_much_at_once_then_at_the_rate() {
        let allowance = Allowance::new(RATE);
        let one = allowance.share([192, 0, 2, 1].into());
        let other = allowance.share([192, 0, 2, 2].into());
        let now = Instant::now();
        assert_eq!(one.spend(1_000, now), None);
        assert_eq!(one.spend(200, now), Some(Duration::from_secs(2)));
        assert_eq!(one.clone().spend(100, now), Some(Duration::from_secs(3)));
        assert_eq!(other.spend(1_000, now), None, "addresses are separate");
        // Whole again after as long as all of it takes.
        let later = now + Duration::from_secs(13);
        assert_eq!(one.spend(1_000, later), None);
    }

    #[test]
    fn memory_is_bounded() {
        let allowance = Allowance::new(RATE);
        let now = Instant::now();
        let address = |n: usize| IpAddr::from((n as u32).to_be_bytes());
        for n in 0..MAX_ADDRESSES {
            assert_eq!(allowance.share(address(n)).spend(1, now), None);
        }
        let one_more = allowance.share(address(MAX_ADDRESSES));
        assert_eq!(one_more.spend(100, now), Some(Duration::from_secs(1)));
        let later = now + Duration::from_secs(1);
        assert_eq!(one_more.spend(100, later), None, "the others have expired");
    }
}
