//! Whom we serve now: a few of those that want something, the rest wait.
//!
//! An uplink that is split among few peers hands each of them whole chunks soon, which they can pass on; split among many
//! it hands all of them the same chunk late. So a few hold a slot at a time and the others may not ask. Regular slots go to
//! those that gave us their part (tit for tat, Cohen, "Incentives Build Robustness in BitTorrent", 2003; whoever has everything
//! remembers it and serves them first as well), among them to
//! whoever has least (Massoulie et al., "Randomized Decentralized Broadcasting Algorithms", 2007, serve the most deprived),
//! then to whoever has waited longest, which is rotation for a seed and for everybody at the start. The last slot is the
//! optimistic one: it goes to whoever has waited longest, whatever they gave, so that nobody starves and newcomers get
//! something to give. A slot whose holder wants nothing goes to the next at once.

use crate::proto::config::Config;
use crate::proto::sorting::sort_by_key;
use crate::proto::types::{PeerKey, Time};

/// A peer that may be given a slot.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Applicant {
    pub peer: PeerKey,
    /// Whether it wants anything.
    pub interested: bool,
    /// Whether it gives its part: at least one in `Config::gives_share` of what the best one gave us.
    pub gives: bool,
    /// Chunks it has, if it gives its part; the most if not.
    pub has: u32,
    /// Since when it has been waiting; the present for whoever holds a slot.
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
    /// Regular slots beyond the usual number.
    extra: usize,
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

    /// One regular slot more until the next rechoke takes it back: the holders are too slow for the uplink.
    pub(super) fn open(&mut self, config: &Config) {
        self.extra = (self.extra + 1).min(config.slots_max.saturating_sub(config.slots));
    }

    /// Hands out the slots anew, as far as that is due.
    pub(super) fn turn(&mut self, applicants: &[Applicant], config: &Config, now: Time) -> Change {
        let before: Vec<PeerKey> = self.holders().collect();
        let here = |key: &PeerKey| applicants.iter().any(|applicant| applicant.peer == *key);
        self.regular.retain(here);
        self.optimistic = self.optimistic.filter(here);
        if self.is_due(now) {
            self.rechoke = Some(now + config.rechoke);
            self.extra = self.extra.saturating_sub(1);
            self.rank(applicants, config);
        }
        if self.rotate.is_none_or(|at| at <= now) {
            self.rotate = Some(now + config.rotate);
            if self.next(applicants, by_wait).is_some() {
                self.optimistic = None;
            }
        }
        self.yield_idle(applicants, config);
        while self.regular.len() < config.slots + self.extra {
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
        sort_by_key(&mut ranked, |applicant| by_worth(applicant));
        ranked.truncate(config.slots + self.extra);
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
        let free = (config.slots + self.extra).saturating_sub(self.regular.len())
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

/// Who gives its part, then who has least.
fn by_worth(applicant: &Applicant) -> (bool, u32, Time, u64) {
    let Applicant {
        gives,
        has,
        since,
        tie,
        ..
    } = *applicant;
    (!gives, has, since, tie)
}

/// Who has waited longest.
fn by_wait(applicant: &Applicant) -> (Time, u64) {
    (applicant.since, applicant.tie)
}

#[cfg(all(test, not(target_arch = "wasm32")))]
mod tests {
    use std::collections::BTreeMap;
    use std::time::Duration;

    use proptest::prelude::*;

    use super::*;

    const PEERS: u64 = 8;

    fn applicant(peer: u64, interested: bool, gives: bool, since: Time) -> Applicant {
        Applicant {
            peer: PeerKey(peer),
            interested,
            gives,
            has: 0,
            since,
            tie: peer * 7 % 5,
        }
    }

    proptest! {
        /// Against the rules, counted the slow way: what changes is told, no slot is wasted while somebody waits, the
        /// bound holds, and whoever keeps waiting is served within one rotation for each that waits.
        #[test]
        fn slots_follow_the_rules(steps in prop::collection::vec((1u64..15, prop::collection::vec((any::<bool>(), any::<bool>(), 0u8..10), PEERS as usize)), 1..60)) {
            let config = Config::default();
            let mut choker = Choker::default();
            let mut held: BTreeMap<PeerKey, bool> = BTreeMap::new();
            let mut since: BTreeMap<u64, Time> = BTreeMap::new();
            let mut waits: BTreeMap<u64, Time> = BTreeMap::new();
            let mut now = Time(1_000_000);
            for (seconds, peers) in steps {
                now = now + Duration::from_secs(seconds);
                let applicants: Vec<Applicant> = (0..PEERS).zip(&peers)
                    .filter(|(_, (_, _, here))| *here > 0)
                    .map(|(peer, (wants, gives, _))| {
                        let always = peer == 0;
                        applicant(peer, *wants || always, *gives && !always, since.get(&peer).copied().unwrap_or(Time(0)))
                    })
                    .collect();
                let here = |key: &PeerKey| applicants.iter().any(|applicant| applicant.peer == *key);
                held.retain(|key, _| here(key));
                let change = choker.turn(&applicants, &config, now);
                for key in &change.choke {
                    prop_assert!(held.remove(key).is_some(), "took a slot from one that had none");
                    since.insert(key.0, now);
                }
                for key in &change.unchoke {
                    prop_assert!(here(key) && held.insert(*key, true).is_none(), "gave a slot to one that had it");
                    since.insert(key.0, now);
                }
                prop_assert!(held.len() <= config.slots + 1);
                let waiting = applicants.iter().filter(|a| a.interested && !held.contains_key(&a.peer)).count();
                let idle = applicants.iter().filter(|a| !a.interested && held.contains_key(&a.peer)).count();
                prop_assert!(waiting == 0 || held.len() == config.slots + 1 && idle == 0);
                for applicant in &applicants {
                    if applicant.interested && !held.contains_key(&applicant.peer) {
                        let began = *waits.entry(applicant.peer.0).or_insert(now);
                        let longest = (config.rotate + Duration::from_secs(15)) * PEERS as u32;
                        prop_assert!(now.since(began) <= longest, "starved");
                    } else {
                        waits.remove(&applicant.peer.0);
                    }
                }
                let gone: Vec<u64> = waits.keys().copied().filter(|peer| !here(&PeerKey(*peer))).collect();
                gone.iter().for_each(|peer| { waits.remove(peer); });
            }
        }
    }

    #[test]
    fn who_gives_comes_first_and_who_does_not_is_not_forgotten() {
        let config = Config::default();
        let mut choker = Choker::default();
        let peers: Vec<Applicant> = (0..6)
            .map(|peer| applicant(peer, true, peer >= 4, Time(peer)))
            .collect();
        let change = choker.turn(&peers, &config, Time(1_000_000));
        assert_eq!(change.unchoke, [PeerKey(4), PeerKey(5), PeerKey(0)]);
    }
}
