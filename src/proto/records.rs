//! Records of people in the indexes, beside those of names: the chains of identities and the mail records that they name.
//!
//! Each proves itself, so anybody may put one there again. A holder of a chain goes by its lineage, which remembers since when it
//! has known what; of mail records the later counts. Whoever is told by several holders takes the best of what is valid. What is kept is
//! bounded in number, in bytes and for each source, and a source has a budget that is asked before a signature costs
//! anything.

use crate::proto::ordered::Map;
use std::cmp::Ordering;
use std::time::Duration;

use super::budget::Budget;
use super::identity::fork::{Brought, Lineage};
use super::identity::{self, record as chain};
use super::mail::record::{self as mail, MailRecord};
use super::name::heads::Source;
use super::types::Time;

/// How much a holder keeps, and how fast a source may bring more.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Records at most.
    pub records: usize,
    /// Bytes of them at most.
    pub bytes: usize,
    /// Records that one source may bring.
    pub per_source: usize,
    /// Records that a source may bring at once; then one in each `every`.
    pub burst: u32,
    /// See `burst`.
    pub every: Duration,
}

impl Limits {
    /// What a node keeps in the peers' index: with its parsed form a chain of the usual length takes 4 KiB.
    pub const NODE: Self = Self {
        records: 512,
        bytes: 1024 * 1024,
        per_source: 32,
        burst: 16,
        every: Duration::from_secs(4),
    };

    /// What a relay keeps.
    pub const RELAY: Self = Self {
        records: 32 * 1024,
        bytes: 64 * 1024 * 1024,
        per_source: 512,
        burst: 64,
        every: Duration::from_secs(1),
    };
}

/// Longest value in bytes: that of a chain.
pub const MAX_VALUE: usize = identity::MAX_CHAIN_LEN;

/// How long a holder keeps what nobody brings again, as for names.
pub const KEEP: Duration = super::name::heads::KEEP;

/// Sources whose budgets are remembered. Ours: more than have links at once.
const MAX_SOURCES: usize = 4096;

/// Why a value is not taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Refused {
    /// No key of a record.
    #[error("no record stands under this key")]
    OtherKey,
    /// Not signed, too old, or not in its one encoding.
    #[error("this record is not valid")]
    Invalid,
    /// A better one is known.
    #[error("a newer record is known")]
    Stale,
    /// No room for it, or not now.
    #[error("no room for more records")]
    Full,
}

/// Whether records of this kind stand under a key.
pub fn is_key(key: &[u8]) -> bool {
    chain::of_routing_key(key).is_some() || mail::of_routing_key(key).is_some()
}

/// Whether a value may stand under a key at `now`, in seconds since 1970.
pub fn is_valid(key: &[u8], value: &[u8], now: u64) -> bool {
    select(key, &[value], now).is_some()
}

/// Which of the answers counts for somebody who knows nothing yet, by its place; those that are not valid do not.
pub fn select(key: &[u8], values: &[&[u8]], now: u64) -> Option<usize> {
    match chain::of_routing_key(key) {
        Some(_) => chain::select(key, values, now),
        None => mail::select(key, values, now),
    }
}

#[derive(Debug)]
enum What {
    Chain(Box<Lineage>, Vec<u8>),
    Mail(Box<MailRecord>),
}

#[derive(Debug)]
struct Held {
    what: What,
    /// When it last came.
    seen: Time,
    source: Source,
}

impl Held {
    fn bytes(&self) -> &[u8] {
        match &self.what {
            What::Chain(_, bytes) => bytes,
            What::Mail(record) => record.bytes(),
        }
    }
}

#[derive(Debug)]
struct Quota {
    records: usize,
    budget: Budget,
    used: Time,
}

/// What a holder keeps, in memory only: authors bring theirs again.
#[derive(Debug)]
pub struct Records {
    limits: Limits,
    held: Map<Vec<u8>, Held>,
    bytes: usize,
    sources: Map<Source, Quota>,
}

impl Records {
    /// Nothing yet.
    pub fn new(limits: Limits) -> Self {
        Self {
            limits,
            held: Map::new(),
            bytes: 0,
            sources: Map::new(),
        }
    }

    /// Records that are kept.
    pub fn len(&self) -> usize {
        self.held.len()
    }

    /// Whether none is.
    pub fn is_empty(&self) -> bool {
        self.held.is_empty()
    }

    /// What stands under a key at `now`, in seconds since 1970.
    pub fn get(&self, key: &[u8], now: u64) -> Option<&[u8]> {
        let held = self.held.get(key)?;
        match &held.what {
            What::Mail(record) if record.check_time(now).is_err() => None,
            _ => Some(held.bytes()),
        }
    }

    /// Reads, checks and takes a value that a source brought; whether it is another than was there.
    ///
    /// # Errors
    /// Any [`Refused`]; nothing is changed then.
    pub fn bring(
        &mut self,
        key: &[u8],
        value: &[u8],
        source: Source,
        at: Time,
        now: u64,
    ) -> Result<bool, Refused> {
        if !is_key(key) {
            return Err(Refused::OtherKey);
        }
        // What is held already costs neither a signature nor a part of the budget.
        if let Some(held) = self.held.get_mut(key).filter(|held| held.bytes() == value) {
            held.seen = at;
            return Ok(false);
        }
        if value.len() > MAX_VALUE {
            return Err(Refused::Invalid);
        }
        if !self.admits(source, at) {
            return Err(Refused::Full);
        }
        let before = self.held.get(key);
        let what = read(key, value, before.map(|held| &held.what), now)?;
        let (old, bringer) = match before {
            Some(held) => (held.bytes().len(), held.source),
            None => (0, source),
        };
        let held = Held {
            what,
            seen: at,
            source: bringer,
        };
        let new = held.bytes().len();
        let fresh = before.is_none();
        let crowded = fresh
            && (self.held.len() >= self.limits.records
                || self.quota(source, at).records >= self.limits.per_source);
        if crowded || self.bytes - old + new > self.limits.bytes {
            return Err(Refused::Full);
        }
        if fresh {
            self.quota(source, at).records += 1;
        }
        self.bytes = self.bytes - old + new;
        self.held.insert(key.to_vec(), held);
        Ok(true)
    }

    /// Drops what nobody brought for long, and what is over at `now`, in seconds since 1970.
    pub fn sweep(&mut self, at: Time, now: u64) {
        let over = |held: &Held| match &held.what {
            What::Mail(record) => record.check_time(now).is_err(),
            What::Chain(..) => false,
        };
        let (bytes, sources) = (&mut self.bytes, &mut self.sources);
        self.held.retain(|_, held| {
            let keep = at.since(held.seen) < KEEP && !over(held);
            if !keep {
                *bytes -= held.bytes().len();
                if let Some(quota) = sources.get_mut(&held.source) {
                    quota.records -= 1;
                }
            }
            keep
        });
    }

    fn admits(&mut self, source: Source, at: Time) -> bool {
        self.quota(source, at).budget.try_take(at)
    }

    fn quota(&mut self, source: Source, at: Time) -> &mut Quota {
        if self.sources.len() >= MAX_SOURCES && !self.sources.contains_key(&source) {
            // Those that brought something that is still here are counted on.
            let idle = self.sources.iter().filter(|(_, quota)| quota.records == 0);
            let oldest = idle.min_by_key(|(_, quota)| quota.used);
            if let Some(oldest) = oldest.map(|(source, _)| *source) {
                self.sources.remove(&oldest);
            }
        }
        let Limits { burst, every, .. } = self.limits;
        let quota = self.sources.entry(source).or_insert_with(|| Quota {
            records: 0,
            budget: Budget::new(burst, every),
            used: at,
        });
        quota.used = at;
        quota
    }
}

/// What a key stands for after this value came, beside what was known.
fn read(key: &[u8], value: &[u8], known: Option<&What>, now: u64) -> Result<What, Refused> {
    if chain::of_routing_key(key).is_some() {
        let known = match known {
            Some(What::Chain(lineage, _)) => Some(lineage),
            _ => None,
        };
        let counts = known.map(|lineage| lineage.chain());
        let chain = chain::validate(key, value, counts, now).map_err(|_| Refused::Invalid)?;
        let lineage = match known {
            None => Lineage::new(chain, now).map_err(|_| Refused::Invalid)?,
            Some(known) => {
                let mut lineage = known.clone();
                match lineage.bring(chain, now) {
                    Ok(Brought::Longer | Brought::Forked { .. }) => *lineage,
                    Ok(Brought::Same) => return Err(Refused::Stale),
                    Err(_) => return Err(Refused::Invalid),
                }
            }
        };
        let bytes = lineage.chain().to_bytes();
        return Ok(What::Chain(Box::new(lineage), bytes));
    }
    let record = mail::validate(key, value, now).map_err(|_| Refused::Invalid)?;
    match known {
        Some(What::Mail(known)) if record.rank(known) != Ordering::Greater => Err(Refused::Stale),
        _ => Ok(What::Mail(Box::new(record))),
    }
}

#[cfg(all(test, not(target_arch = "wasm32")))]
mod tests {
    #![allow(clippy::unwrap_used)]
    use proptest::prelude::*;

    use super::*;
    use crate::proto::identity::chain::Chain;
    use crate::proto::identity::op::Act;
    use crate::proto::identity::owner::Owner;
    use crate::proto::identity::{Id, Key};
    use crate::proto::keys::{RootSecret, SiteKey};
    use crate::proto::mail::record::{Draft, Prekey};
    use crate::proto::mail::{Suite, Week};

    const NOW: u64 = 1_800_000_000;

    fn at(seconds: u64) -> Time {
        Time::default() + Duration::from_secs(seconds)
    }

    fn record(key: &SiteKey, issued: u64) -> MailRecord {
        let says = Draft {
            id: Id([3; 32]),
            issued,
            until: issued + 1000,
            keys: vec![Prekey {
                suite: Suite(1),
                week: Week(2976),
                key: vec![5; 1216],
            }],
            custody: Vec::new(),
        };
        MailRecord::sign(key, says).unwrap()
    }

    #[test]
    fn the_later_mail_record_counts_until_it_is_over() {
        let mut records = Records::new(Limits::NODE);
        let author = SiteKey::from_seed([1; 32]);
        let key = mail::routing_key(Key::from(author.name()));
        let [first, second] = [NOW - 10, NOW].map(|issued| record(&author, issued));
        let bring = |records: &mut Records, record: &MailRecord| {
            records.bring(&key, record.bytes(), Source(1), at(0), NOW)
        };
        assert_eq!(bring(&mut records, &first), Ok(true));
        assert_eq!(bring(&mut records, &first), Ok(false));
        assert_eq!(bring(&mut records, &second), Ok(true));
        assert_eq!(bring(&mut records, &first), Err(Refused::Stale));
        let forged = record(&SiteKey::from_seed([2; 32]), NOW);
        assert_eq!(bring(&mut records, &forged), Err(Refused::Invalid));
        assert_eq!(records.get(&key, NOW), Some(second.bytes()));
        assert_eq!(records.get(&key, NOW + 2000), None);
        records.sweep(at(1), NOW + 2000);
        assert!(records.is_empty() && records.bytes == 0);
        let other = records.bring(b"/gyre/else/0", second.bytes(), Source(1), at(0), NOW);
        assert_eq!(other, Err(Refused::OtherKey));
    }

    #[test]
    fn a_longer_chain_counts_and_a_shorter_is_stale() {
        let mut records = Records::new(Limits::NODE);
        let secret = RootSecret::new([7; 32]);
        let owner = Owner::new(&secret, 0);
        let short = owner.begin();
        let mut long = short.clone();
        let device = Key::from(SiteKey::from_seed([9; 32]).name());
        owner
            .act(&mut long, NOW - 50, Act::AddDevice(device))
            .unwrap();
        let key = identity::record::routing_key(short.id());
        let bring = |records: &mut Records, chain: &Chain| {
            records.bring(&key, &chain.to_bytes(), Source(1), at(0), NOW)
        };
        assert_eq!(bring(&mut records, &short), Ok(true));
        assert_eq!(bring(&mut records, &long), Ok(true));
        assert_eq!(bring(&mut records, &short), Err(Refused::Stale));
        assert_eq!(records.get(&key, NOW), Some(&long.to_bytes()[..]));
        let values = [short.to_bytes(), long.to_bytes(), vec![1]];
        let values: Vec<_> = values.iter().map(Vec::as_slice).collect();
        assert_eq!(select(&key, &values, NOW), Some(1));
    }

    #[test]
    fn everything_is_bounded() {
        let limits = Limits {
            records: 6,
            per_source: 4,
            burst: 5,
            ..Limits::NODE
        };
        let mut records = Records::new(limits);
        let bring = |records: &mut Records, n: u8, source: u64| {
            let author = SiteKey::from_seed([n; 32]);
            let key = mail::routing_key(Key::from(author.name()));
            let record = record(&author, NOW);
            records.bring(&key, record.bytes(), Source(source), at(0), NOW)
        };
        for n in 0..4 {
            assert_eq!(bring(&mut records, n, 1), Ok(true));
        }
        assert_eq!(bring(&mut records, 4, 1), Err(Refused::Full), "its part");
        assert_eq!(bring(&mut records, 5, 1), Err(Refused::Full), "its budget");
        for n in 6..8 {
            assert_eq!(bring(&mut records, n, 2), Ok(true));
        }
        assert_eq!(bring(&mut records, 9, 3), Err(Refused::Full), "all");
        records.sweep(at(0) + KEEP, NOW);
        assert_eq!((records.len(), records.bytes), (0, 0));
        assert!(records.sources.values().all(|quota| quota.records == 0));
    }

    proptest! {
        #[test]
        fn foreign_bytes_are_refused(mail: bool, value in prop::collection::vec(any::<u8>(), 0..300)) {
            let key = match mail {
                true => mail::routing_key(Key([4; 32])).to_vec(),
                false => identity::record::routing_key(Id([4; 32])).to_vec(),
            };
            prop_assert!(!is_valid(&key, &value, NOW));
            let mut records = Records::new(Limits::NODE);
            let taken = records.bring(&key, &value, Source(1), at(0), NOW);
            prop_assert_eq!(taken, Err(Refused::Invalid));
        }
    }
}
