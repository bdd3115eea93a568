//! Which pairs failed lately and when they may be tried again: base, twice that, four times, up to a cap, each shortened by a
//! random part. What failed together (a relay went, a network changed) shall not come back together; and as nothing is made
//! longer, whoever waits the full time is never refused.

use std::time::Duration;

use crate::proto::ordered::Map;
use libp2p::PeerId;
use web_time::Instant;

#[derive(Debug)]
pub(super) struct Backoff {
    base: Duration,
    cap: Duration,
    failures: Map<PeerId, Failures>,
}

#[derive(Debug, Clone, Copy)]
struct Failures {
    next: Instant,
    wait: Duration,
}

impl Backoff {
    pub(super) fn new(base: Duration, cap: Duration) -> Self {
        Self {
            base,
            cap,
            failures: Map::new(),
        }
    }

    /// Notes a failure. `jitter`, from 0 to 1, says how much of [`JITTER`] the wait is shortened by.
    pub(super) fn fail(&mut self, peer: PeerId, now: Instant, jitter: f64) {
        let wait = match self.failures.get(&peer) {
            // Both sides of one attempt, or several addresses of one dial, are one failure.
            Some(before) if now < before.next => return,
            // A pair that was left alone for as long as the longest wait starts anew.
            Some(before) if now < before.next + self.cap => (before.wait * 2).min(self.cap),
            _ => self.base.min(self.cap),
        };
        if self.failures.len() >= MAX_PAIRS && !self.failures.contains_key(&peer) {
            self.forget_earliest();
        }
        let next = now + wait.mul_f64(1.0 - JITTER * jitter.clamp(0.0, 1.0));
        self.failures.insert(peer, Failures { next, wait });
    }

    /// Forgets a pair: it has connected, or the user wants it tried now.
    pub(super) fn clear(&mut self, peer: &PeerId) {
        self.failures.remove(peer);
    }

    /// Forgets every pair: the network is another one.
    pub(super) fn clear_all(&mut self) {
        self.failures.clear();
    }

    /// When the pair may be tried again, if not now.
    pub(super) fn next(&self, peer: &PeerId, now: Instant) -> Option<Instant> {
        self.failures
            .get(peer)
            .map(|failures| failures.next)
            .filter(|next| now < *next)
    }

    fn forget_earliest(&mut self) {
        let earliest = self.failures.iter().min_by_key(|(_, f)| f.next);
        if let Some(peer) = earliest.map(|(peer, _)| *peer) {
            self.failures.remove(&peer);
        }
    }
}

/// The largest part by which a wait is shortened.
const JITTER: f64 = 0.25;

/// Pairs remembered; at two attempts a second and five minutes of longest wait there are no more than 600 of interest.
const MAX_PAIRS: usize = 1024;

#[cfg(all(test, not(target_arch = "wasm32")))]
mod tests {
    use super::*;

    const BASE: Duration = Duration::from_secs(5);
    const CAP: Duration = Duration::from_secs(300);

    #[test]
    fn doubles_up_to_the_cap_and_starts_anew_after_a_rest() {
        let mut backoff = Backoff::new(BASE, CAP);
        let peer = PeerId::random();
        let mut now = Instant::now();
        assert_eq!(backoff.next(&peer, now), None);
        for seconds in [5, 10, 20, 40, 80, 160, 300, 300] {
            backoff.fail(peer, now, 0.0);
            // A second report of the same attempt does not count twice.
            backoff.fail(peer, now + Duration::from_secs(1), 0.0);
            let next = now + Duration::from_secs(seconds);
            assert_eq!(backoff.next(&peer, now), Some(next));
            assert_eq!(backoff.next(&peer, next), None);
            now = next;
        }
        now += CAP;
        backoff.fail(peer, now, 0.0);
        assert_eq!(backoff.next(&peer, now), Some(now + BASE));
        backoff.clear(&peer);
        assert_eq!(backoff.next(&peer, now), None);
    }

    #[test]
    fn pairs_that_failed_together_come_back_apart_and_never_late() {
        let mut backoff = Backoff::new(BASE, CAP);
        let now = Instant::now();
        let mut waits = Vec::new();
        for part in 0..=10 {
            let peer = PeerId::random();
            backoff.fail(peer, now, f64::from(part) / 10.0);
            waits.push(backoff.next(&peer, now).unwrap_or(now) - now);
        }
        waits.sort_unstable();
        waits.dedup();
        assert_eq!(waits.len(), 11);
        assert!(waits[0] >= BASE.mul_f64(1.0 - JITTER) && waits[10] == BASE);
    }

    #[test]
    fn remembers_no_more_pairs_than_its_bound() {
        let mut backoff = Backoff::new(BASE, CAP);
        let now = Instant::now();
        let first = PeerId::random();
        backoff.fail(first, now, 0.0);
        for i in 0..MAX_PAIRS as u64 {
            backoff.fail(PeerId::random(), now + Duration::from_millis(i + 1), 0.0);
        }
        assert_eq!(backoff.failures.len(), MAX_PAIRS);
        assert_eq!(backoff.next(&first, now), None);
    }
}
