//! Whom we serve now: a few of those that want something, the rest wait.
//!
//! An uplink that is split among few peers hands each of them whole chunks soon, which they can pass on; split among many
//! it hands all of them the same chunk late. So a few hold a slot at a time and the others may not ask. Regular slots go to
//! those that gave us most of late (tit for tat, Cohen, "Incentives Build Robustness in BitTorrent", 2003), and among equals
//! to whoever has waited longest, which is rotation for a seed and for everybody at the start. The last slot is the
//! optimistic one: it goes to whoever has waited longest, whatever they gave, so that nobody starves and newcomers get
//! something to give. A slot whose holder wants nothing goes to the next at once.

use crate::proto::config::Config;
use crate::proto::types::{PeerKey, Time};

/// A peer that may be given a slot.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Applicant {
    pub peer: PeerKey,
    /// Whether it wants anything.
    pub interested: bool,
    /// What it gave us of late, in bytes; the same for all if we want nothing ourselves.
    pub worth: u64,
    /// Since when it has been waiting, or holding its slot.
    pub since: Time,
    /// Decides between equals; random, so that not everybody prefers the same peer.
    pub tie: u64,
}

/// Who loses and who gets a slot.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Change {
    pub choke: Vec<PeerKey>,
    pub unchoke: Vec<PeerKey>,
}

/// The slots.
#[derive(Debug, Default)]
pub(super) struct Choker {
    regular: Vec<PeerKey>,
    optimistic: Option<PeerKey>,
    rechoke: Option<Time>,
    rotate: Option<Time>,
}

impl Choker {
    /// When the slots are reconsidered even if nobody's interest changes.
    pub(super) fn deadline(&self) -> Option<Time> {
        self.rechoke
    }

    /// Whether a rechoke is due: what peers are worth should be known then.
    pub(super) fn is_due(&self, now: Time) -> bool {
        self.rechoke.is_none_or(|at| at <= now)
    }

    /// Hands out the slots anew, as far as that is due.
    pub(super) fn turn(&mut self, applicants: &[Applicant], config: &Config, now: Time) -> Change {
        let before: Vec<PeerKey> = self.holders().collect();
        let here = |key: &PeerKey| applicants.iter().any(|applicant| applicant.peer == *key);
        self.regular.retain(here);
        self.optimistic = self.optimistic.filter(here);
        if self.is_due(now) {
            self.rechoke = Some(now + config.rechoke);
            self.rank(applicants, config);
        }
        if self.rotate.is_none_or(|at| at <= now) {
            self.rotate = Some(now + config.rotate);
            if self.next(applicants, by_wait).is_some() {
                self.optimistic = None;
            }
        }
        self.yield_idle(applicants, config);
        while self.regular.len() < config.slots {
            let Some(best) = self.next(applicants, by_worth) else {
                break;
            };
            self.regular.push(best);
        }
        if self.optimistic.is_none() {
            self.optimistic = self.next(applicants, by_wait);
        }
        Change {
            choke: before
                .iter()
                .copied()
                .filter(|key| here(key) && !self.holds(*key))
                .collect(),
            unchoke: self.holders().filter(|key| !before.contains(key)).collect(),
        }
    }

    fn holders(&self) -> impl Iterator<Item = PeerKey> + '_ {
        self.regular.iter().copied().chain(self.optimistic)
    }

    fn holds(&self, key: PeerKey) -> bool {
        self.holders().any(|holder| holder == key)
    }

    /// Takes regular slots from those that somebody who waits should have instead.
    fn rank(&mut self, applicants: &[Applicant], config: &Config) {
        let mut ranked: Vec<&Applicant> = applicants
            .iter()
            .filter(|applicant| applicant.interested && self.optimistic != Some(applicant.peer))
            .collect();
        ranked.sort_by_key(|applicant| by_worth(applicant));
        ranked.truncate(config.slots);
        let waits = ranked.iter().any(|best| !self.holds(best.peer));
        if waits {
            self.regular
                .retain(|key| ranked.iter().any(|best| best.peer == *key));
        }
    }

    /// Takes slots from holders that want nothing, as many as somebody waits for.
    fn yield_idle(&mut self, applicants: &[Applicant], config: &Config) {
        let waiting = applicants
            .iter()
            .filter(|applicant| applicant.interested && !self.holds(applicant.peer))
            .count();
        let free = config.slots.saturating_sub(self.regular.len())
            + usize::from(self.optimistic.is_none());
        let mut needed = waiting.saturating_sub(free);
        let idle = |key: PeerKey| {
            applicants
                .iter()
                .any(|applicant| applicant.peer == key && !applicant.interested)
        };
        if needed > 0 && self.optimistic.is_some_and(idle) {
            self.optimistic = None;
            needed -= 1;
        }
        self.regular.retain(|key| {
            let goes = needed > 0 && idle(*key);
            needed -= usize::from(goes);
            !goes
        });
    }

    /// The first by this order that wants something and has no slot.
    fn next<K: Ord>(
        &self,
        applicants: &[Applicant],
        order: impl Fn(&Applicant) -> K,
    ) -> Option<PeerKey> {
        applicants
            .iter()
            .filter(|applicant| applicant.interested && !self.holds(applicant.peer))
            .min_by_key(|applicant| order(applicant))
            .map(|applicant| applicant.peer)
    }
}

/// Who gave most, then who has waited longest.
fn by_worth(applicant: &Applicant) -> (std::cmp::Reverse<u64>, Time, u64) {
    let worth = std::cmp::Reverse(applicant.worth);
    (worth, applicant.since, applicant.tie)
}

/// Who has waited longest.
fn by_wait(applicant: &Applicant) -> (Time, u64) {
    (applicant.since, applicant.tie)
}
