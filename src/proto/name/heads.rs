//! The best record known of each name, and what is not taken.
//!
//! A record replaces another of its name if it outranks it; one with a lower number is refused whoever brings it, so that nobody is
//! led back. Two values under one number are a fork: the rule of [`Record::rank`] decides, the other is kept beside it, and
//! it is reported once. What is kept is bounded in names, in bytes, for each source, and for strangers' names in time. A
//! source has a budget that is asked before a signature costs anything.

use std::cmp::Ordering;
use std::time::Duration;

use super::Name;
use super::record::{Record, RecordError};
use crate::proto::budget::Budget;
use crate::proto::ordered::Map;
use crate::proto::types::Time;

/// How much is kept, and how fast a source may bring more.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Names at most.
    pub names: usize,
    /// Bytes of records at most.
    pub bytes: usize,
    /// Names that one source may bring.
    pub names_per_source: usize,
    /// Records that a source may bring at once; then one in each `every`.
    pub burst: u32,
    /// See `burst`.
    pub every: Duration,
    /// How long a record is kept that nobody brings again.
    pub keep: Duration,
}

impl Limits {
    /// What a node follows itself: what it was asked to, and only its own bounds.
    pub const FOLLOWED: Self = Self {
        names: MAX_FOLLOWED,
        bytes: MAX_FOLLOWED * TYPICAL,
        names_per_source: MAX_FOLLOWED,
        burst: 32,
        every: Duration::from_secs(1),
        keep: Duration::MAX,
    };

    /// What a node keeps for others in the peers' index.
    pub const NODE: Self = Self {
        names: 4096,
        bytes: 4 * 1024 * 1024,
        names_per_source: 128,
        burst: 32,
        every: Duration::from_secs(2),
        keep: KEEP,
    };

    /// What a relay keeps for others.
    pub const RELAY: Self = Self {
        names: 64 * 1024,
        bytes: 64 * 1024 * 1024,
        names_per_source: 1024,
        burst: 128,
        every: Duration::from_secs(1),
        keep: KEEP,
    };
}

/// Names that one node follows. Ours: sites that a person made, visits or keeps.
pub const MAX_FOLLOWED: usize = 1024;

/// Bytes taken of a usual record, rounded up: it has about 300.
const TYPICAL: usize = 1024;

/// How long a holder keeps what nobody brings again (IPFS Kademlia specification: 48 hours).
pub const KEEP: Duration = Duration::from_secs(48 * 60 * 60);

/// Sources whose budgets are remembered. Ours: more than have links at once.
const MAX_SOURCES: usize = 4096;

/// Who brought a record: a number that the edges give to each peer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Source(pub u64);

/// What became of a record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Taken {
    /// The name leads somewhere else now, or is new here.
    New,
    /// The same value under the same number, for longer.
    Renewed,
    /// Nothing new.
    Same,
    /// Another value under the same number; whether it is the one that counts now.
    Fork {
        /// It outranks the one that was known.
        counts: bool,
    },
}

impl Taken {
    /// Whether what is held is another record than before.
    pub fn changed(self) -> bool {
        matches!(
            self,
            Self::New | Self::Renewed | Self::Fork { counts: true }
        )
    }
}

/// What is known of a name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Held {
    /// The record that counts.
    pub record: Record,
    /// Another that the same key signed under the same number.
    pub fork: Option<Record>,
    /// When it last came.
    pub seen: Time,
    source: Option<Source>,
}

impl Held {
    fn size(&self) -> usize {
        let fork = self.fork.as_ref().map_or(0, |other| other.bytes().len());
        self.record.bytes().len() + fork
    }
}

#[derive(Debug)]
struct Quota {
    names: usize,
    budget: Budget,
    used: Time,
}

/// The heads of many names.
#[derive(Debug)]
pub struct Heads {
    limits: Limits,
    held: Map<Name, Held>,
    bytes: usize,
    sources: Map<Source, Quota>,
}

impl Heads {
    /// Nothing yet.
    pub fn new(limits: Limits) -> Self {
        Self {
            limits,
            held: Map::new(),
            bytes: 0,
            sources: Map::new(),
        }
    }

    /// What is known of a name, expired or not.
    pub fn get(&self, name: &Name) -> Option<&Held> {
        self.held.get(name)
    }

    /// The record to hand on: the best one, while it holds.
    pub fn valid(&self, name: &Name, unix_millis: u64) -> Option<&Record> {
        let record = &self.held.get(name)?.record;
        (!record.is_over(unix_millis)).then_some(record)
    }

    /// Names that have a record.
    pub fn len(&self) -> usize {
        self.held.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.held.is_empty()
    }

    /// All of them.
    pub fn iter(&self) -> impl Iterator<Item = &Held> {
        self.held.values()
    }

    /// Reads, checks and takes the record that a source brought.
    ///
    /// # Errors
    /// Any [`RecordError`]; nothing is changed then.
    pub fn bring(
        &mut self,
        name: Name,
        bytes: &[u8],
        source: Source,
        now: Time,
        unix_millis: u64,
    ) -> Result<Taken, RecordError> {
        // What is held already costs neither a signature nor a part of the budget.
        if let Some(held) = self.held.get_mut(&name)
            && held.record.bytes() == bytes
            && !held.record.is_over(unix_millis)
        {
            held.seen = now;
            return Ok(Taken::Same);
        }
        if !self.admits(source, now) {
            return Err(RecordError::Full);
        }
        let record = Record::verify(name, bytes)?;
        self.offer(record, Some(source), now, unix_millis)
    }

    /// Takes a record that has been verified, from a source or from ourselves.
    ///
    /// # Errors
    /// `Expired`, `Stale` or `Full`; nothing is changed then.
    pub fn offer(
        &mut self,
        record: Record,
        source: Option<Source>,
        now: Time,
        unix_millis: u64,
    ) -> Result<Taken, RecordError> {
        if record.is_over(unix_millis) {
            return Err(RecordError::Expired);
        }
        self.remember(record, source, now)
    }

    /// As [`offer`](Self::offer), for one that may be over: so that after a restart nobody is led back either.
    ///
    /// # Errors
    /// `Stale` or `Full`.
    pub fn remember(
        &mut self,
        record: Record,
        source: Option<Source>,
        now: Time,
    ) -> Result<Taken, RecordError> {
        let size = record.bytes().len();
        let Some(held) = self.held.get_mut(&record.name()) else {
            let crowded = source.is_some_and(|source| {
                self.sources
                    .get(&source)
                    .is_some_and(|quota| quota.names >= self.limits.names_per_source)
            });
            if crowded
                || self.held.len() >= self.limits.names
                || self.bytes + size > self.limits.bytes
            {
                return Err(RecordError::Full);
            }
            if let Some(source) = source {
                self.quota(source, now).names += 1;
            }
            self.bytes += size;
            let held = Held {
                record,
                fork: None,
                seen: now,
                source,
            };
            self.held.insert(held.record.name(), held);
            return Ok(Taken::New);
        };
        let (sequence, known) = (record.sequence(), held.record.sequence());
        if sequence < known {
            return Err(RecordError::Stale { sequence, known });
        }
        let rank = record.rank(&held.record);
        if rank == Ordering::Equal {
            held.seen = now;
            return Ok(Taken::Same);
        }
        let forks = record.contradicts(&held.record);
        if forks && held.fork.as_ref().is_some_and(|other| *other == record) {
            return Ok(Taken::Same);
        }
        if rank == Ordering::Less && !forks {
            return Ok(Taken::Same);
        }
        let mut next = held.clone();
        next.seen = now;
        let taken = match (rank, forks) {
            (Ordering::Greater, false) => {
                next.record = record;
                match sequence > known {
                    true => {
                        next.fork = None;
                        Taken::New
                    }
                    false => Taken::Renewed,
                }
            }
            (Ordering::Greater, true) => {
                next.fork = Some(std::mem::replace(&mut next.record, record));
                Taken::Fork { counts: true }
            }
            _ => {
                next.fork = Some(record);
                Taken::Fork { counts: false }
            }
        };
        let (before, after) = (held.size(), next.size());
        if after > before && self.bytes - before + after > self.limits.bytes {
            return Err(RecordError::Full);
        }
        self.bytes = self.bytes - before + after;
        *held = next;
        Ok(taken)
    }

    /// Forgets a name and what was known of it.
    pub fn forget(&mut self, name: &Name) {
        let Some(held) = self.held.remove(name) else {
            return;
        };
        self.bytes -= held.size();
        if let Some(quota) = held.source.and_then(|from| self.sources.get_mut(&from)) {
            quota.names -= 1;
        }
    }

    /// Drops what has expired or was not brought for too long, and sources that brought nothing for as long.
    pub fn sweep(&mut self, now: Time, unix_millis: u64) {
        let keep = self.limits.keep;
        let gone: Vec<_> = self
            .held
            .values()
            .filter(|held| now.since(held.seen) > keep || held.record.is_over(unix_millis))
            .map(|held| held.record.name())
            .collect();
        gone.iter().for_each(|name| self.forget(name));
        self.sources
            .retain(|_, quota| quota.names > 0 || now.since(quota.used) < SOURCE_KEPT);
    }

    fn admits(&mut self, source: Source, now: Time) -> bool {
        if !self.sources.contains_key(&source) && self.sources.len() >= MAX_SOURCES {
            self.sources
                .retain(|_, quota| quota.names > 0 || now.since(quota.used) < SOURCE_KEPT);
            if self.sources.len() >= MAX_SOURCES {
                return false;
            }
        }
        self.quota(source, now).budget.try_take(now)
    }

    fn quota(&mut self, source: Source, now: Time) -> &mut Quota {
        let Limits { burst, every, .. } = self.limits;
        let quota = self.sources.entry(source).or_insert_with(|| Quota {
            names: 0,
            budget: Budget::new(burst, every),
            used: now,
        });
        quota.used = now;
        quota
    }
}

/// How long a source without names is remembered: until its budget is full again in any case.
const SOURCE_KEPT: Duration = Duration::from_secs(10 * 60);

#[cfg(all(test, not(target_arch = "wasm32")))]
mod tests {
    #![allow(clippy::unwrap_used)]
    use proptest::prelude::*;

    use super::*;
    use crate::proto::keys::SiteKey;
    use crate::proto::name::record::Draft;
    use crate::proto::name::validity::Validity;

    const NOW: Time = Time(1_000_000_000);
    const UNIX: u64 = 1_000;

    fn record(seed: u8, sequence: u64, value: &str, end: u64) -> Record {
        let draft = Draft {
            value: value.into(),
            sequence,
            validity: Validity::from_unix_millis(end),
            ttl_nanos: 0,
        };
        Record::sign(&SiteKey::from_seed([seed; 32]), draft).unwrap()
    }

    fn small() -> Heads {
        Heads::new(Limits {
            names: 3,
            bytes: 1000,
            names_per_source: 2,
            burst: 4,
            every: Duration::from_secs(10),
            keep: KEEP,
        })
    }

    fn bring(heads: &mut Heads, record: &Record, source: u64) -> Result<Taken, RecordError> {
        heads.bring(record.name(), record.bytes(), Source(source), NOW, UNIX)
    }

    #[test]
    fn nobody_is_led_back() {
        let mut heads = Heads::new(Limits::NODE);
        let (first, second) = (record(1, 1, "/ipfs/a", 9000), record(1, 2, "/ipfs/b", 9000));
        assert_eq!(bring(&mut heads, &first, 1), Ok(Taken::New));
        assert_eq!(bring(&mut heads, &second, 2), Ok(Taken::New));
        assert_eq!(bring(&mut heads, &second, 2), Ok(Taken::Same));
        let stale = Err(RecordError::Stale {
            sequence: 1,
            known: 2,
        });
        assert_eq!(bring(&mut heads, &first, 1), stale);
        assert_eq!(heads.get(&first.name()).unwrap().record, second);
        // Not even once the newer one is over, which is remembered but not handed on.
        assert_eq!(heads.valid(&first.name(), 9001), None);
        let later = heads.offer(record(1, 1, "/ipfs/a", 99_000), None, NOW, 9_001);
        assert_eq!(later, stale);
    }

    #[test]
    fn expired_and_forged_records_are_refused() {
        let mut heads = Heads::new(Limits::NODE);
        let over = record(1, 1, "/ipfs/a", UNIX - 1);
        assert_eq!(bring(&mut heads, &over, 1), Err(RecordError::Expired));
        let good = record(1, 1, "/ipfs/a", 9000);
        let other = SiteKey::from_seed([2; 32]).name();
        let forged = heads.bring(other, good.bytes(), Source(1), NOW, UNIX);
        assert_eq!(forged, Err(RecordError::BadSignature));
        assert!(heads.is_empty());
    }

    #[test]
    fn a_fork_is_reported_once_and_everybody_chooses_the_same() {
        let (one, two) = (record(1, 5, "/ipfs/a", 9000), record(1, 5, "/ipfs/b", 9500));
        for order in [[&one, &two], [&two, &one]] {
            let mut heads = Heads::new(Limits::NODE);
            assert_eq!(bring(&mut heads, order[0], 1), Ok(Taken::New));
            let counts = order[1] == &two;
            assert_eq!(bring(&mut heads, order[1], 1), Ok(Taken::Fork { counts }));
            assert_eq!(bring(&mut heads, order[0], 1), Ok(Taken::Same));
            assert_eq!(bring(&mut heads, order[1], 1), Ok(Taken::Same));
            let held = heads.get(&one.name()).unwrap();
            assert_eq!((&held.record, held.fork.as_ref()), (&two, Some(&one)));
            let after = record(1, 6, "/ipfs/a", 9000);
            assert_eq!(bring(&mut heads, &after, 1), Ok(Taken::New));
            assert_eq!(heads.get(&one.name()).unwrap().fork, None);
        }
        let mut heads = Heads::new(Limits::NODE);
        bring(&mut heads, &one, 1).unwrap();
        let renewed = record(1, 5, "/ipfs/a", 9900);
        assert_eq!(bring(&mut heads, &renewed, 1), Ok(Taken::Renewed));
    }

    #[test]
    fn a_source_has_its_share_only() {
        let mut heads = small();
        for seed in 0..2 {
            assert!(bring(&mut heads, &record(seed, 1, "/ipfs/a", 9000), 1).is_ok());
        }
        let third = record(3, 1, "/ipfs/a", 9000);
        assert_eq!(bring(&mut heads, &third, 1), Err(RecordError::Full));
        // Its rate is used up too, even for what it holds already; another's is not.
        let next = record(0, 2, "/ipfs/a", 9000);
        assert_eq!(bring(&mut heads, &next, 1), Ok(Taken::New));
        let next = record(0, 3, "/ipfs/a", 9000);
        assert_eq!(bring(&mut heads, &next, 1), Err(RecordError::Full));
        assert_eq!(bring(&mut heads, &third, 2), Ok(Taken::New));
        let fourth = record(4, 1, "/ipfs/a", 9000);
        assert_eq!(bring(&mut heads, &fourth, 2), Err(RecordError::Full));
    }

    #[test]
    fn what_nobody_brings_again_is_forgotten() {
        let mut heads = small();
        let record = record(1, 1, "/ipfs/a", u64::MAX);
        bring(&mut heads, &record, 1).unwrap();
        heads.sweep(NOW + KEEP, UNIX);
        assert_eq!(heads.len(), 1);
        heads.sweep(NOW + KEEP + Duration::from_secs(1), UNIX);
        assert_eq!((heads.len(), heads.bytes, heads.sources.len()), (0, 0, 0));
    }

    proptest! {
    // Each case signs and verifies dozens of times, unoptimised.
    #![proptest_config(ProptestConfig::with_cases(24))]

        #[test]
        fn counts_agree_and_numbers_never_fall(steps in prop::collection::vec((0u8..5, 0u64..4, 0u8..3, 0u64..3, 0u64..3, 0u64..60), 1..60)) {
            let mut heads = small();
            let mut highest = Map::new();
            for (seed, sequence, value, end, source, seconds) in steps {
                let record = record(seed, sequence, ["/ipfs/a", "/ipfs/b", "/ipfs/c"][usize::from(value)], 9000 + end);
                let now = NOW + Duration::from_secs(seconds);
                let taken = heads.bring(record.name(), record.bytes(), Source(source), now, UNIX);
                let held = heads.get(&record.name()).map(|held| held.record.sequence());
                let before = highest.get(&record.name()).copied();
                prop_assert!(held >= before);
                if let Err(RecordError::Stale { .. }) = taken {
                    prop_assert!(Some(sequence) < before);
                }
                highest.extend(held.map(|held| (record.name(), held)));
                let bytes: usize = heads.iter().flat_map(|held| [Some(&held.record), held.fork.as_ref()]).flatten().map(|record| record.bytes().len()).sum();
                prop_assert_eq!(bytes, heads.bytes);
                prop_assert!(heads.bytes <= 1000 && heads.len() <= 3);
                let names: usize = heads.sources.values().map(|quota| quota.names).sum();
                prop_assert_eq!(names, heads.len());
            }
        }
    }
}
