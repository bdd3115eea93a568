//! Which pairs failed lately and when they may be tried again: base, twice that, four times, up to a cap.

use std::{collections::HashMap, time::Duration};

use libp2p::PeerId;
use web_time::Instant;

#[derive(Debug)]
pub(super) struct Backoff {
    base: Duration,
    cap: Duration,
    failures: HashMap<PeerId, Failures>,
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
            failures: HashMap::new(),
        }
    }

    /// Notes a failure.
    pub(super) fn fail(&mut self, peer: PeerId, now: Instant) {
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
        let next = now + wait;
        self.failures.insert(peer, Failures { next, wait });
    }

    /// Forgets a pair: it has connected, or the user wants it tried now.
    pub(super) fn clear(&mut self, peer: &PeerId) {
        self.failures.remove(peer);
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
            backoff.fail(peer, now);
            // A second report of the same attempt does not count twice.
            backoff.fail(peer, now + Duration::from_secs(1));
            let next = now + Duration::from_secs(seconds);
            assert_eq!(backoff.next(&peer, now), Some(next));
            assert_eq!(backoff.next(&peer, next), None);
            now = next;
        }
        now += CAP;
        backoff.fail(peer, now);
        assert_eq!(backoff.next(&peer, now), Some(now + BASE));
        backoff.clear(&peer);
        assert_eq!(backoff.next(&peer, now), None);
    }

    #[test]
    fn remembers_no_more_pairs_than_its_bound() {
        let mut backoff = Backoff::new(BASE, CAP);
        let now = Instant::now();
        let first = PeerId::random();
        backoff.fail(first, now);
        for i in 0..MAX_PAIRS as u64 {
            backoff.fail(PeerId::random(), now + Duration::from_millis(i + 1));
        }
        assert_eq!(backoff.failures.len(), MAX_PAIRS);
        assert_eq!(backoff.next(&first, now), None);
    }
}
