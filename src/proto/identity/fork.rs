//! Where two operations follow one: which counts, for everybody the same.
//!
//! Both carry good signatures, so only a rule decides. Of chains, the one that goes on counts before one that stops. Of
//! operations after the same one, in this order:
//!
//! 1. a recovery overrules everything else, and what the committed next key signs (a rotation, the end) overrules what the current
//!    key signs, unless it comes too late: more than [`WINDOW`] after what it would overrule;
//! 2. of equals, one that has been known for longer than [`WINDOW`], then the one that claims the earlier time, then the smaller
//!    hash.
//!
//! Times are the word of who signed, which a thief can set as he likes. So whoever remembers when an operation was first seen
//! ([`Seen`]) goes by that too: a recovery that turns up when its victim has been known for more than the window is late whatever it
//! claims, and one that was there before its victim is never late. Given the same chains and the same memory, the order of
//! arrival decides nothing.

use super::chain::Chain;
use super::op::{Act, Op};
use super::{Id, IdentityError, Key, OpId, WINDOW};
use crate::proto::ordered::{Map, Set};
use crate::proto::sorting::sort_by;

/// Most branches of one identity that are remembered. Ours: more than one is rare, and the one that counts always stays.
pub const MAX_BRANCHES: usize = 4;

/// Seconds for which what does not count may be that of a machine which has not yet heard so. Ours: four times the six hours after which
/// a machine looks its own chain up.
pub const SETTLE: u64 = 24 * 3600;

/// When operations were first seen, in seconds since 1970.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Seen {
    first: Map<OpId, u64>,
    now: u64,
}

/// What a fork is a sign of, the worst first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Sort {
    /// Two who do not know of each other's doing, or do not agree to it.
    Contradiction,
    /// Machines of one person can have signed at the same moment: the one whose operation does not count has not yet signed again.
    Open,
    /// All that the side which does not count has done was done again after what counts.
    Settled,
}

/// Two operations after the same one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Fork {
    /// The last that both sides share.
    pub after: OpId,
    /// What counts.
    pub counts: OpId,
    /// What does not.
    pub refused: OpId,
    /// What it is a sign of.
    pub sort: Sort,
}

/// What a chain that was brought changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Brought {
    /// Nothing new.
    Same,
    /// The identity went on.
    Longer,
    /// It contradicts what is known; whether it is what counts now.
    Forked {
        /// It overruled what counted before.
        counts: bool,
    },
}

/// What is known of one identity: its branches, and when their operations were first seen.
#[derive(Debug, Clone)]
pub struct Lineage {
    branches: Vec<Chain>,
    counts: usize,
    seen: Seen,
}

impl Seen {
    /// Notes when an operation was first seen; a later time changes nothing.
    pub fn note(&mut self, op: OpId, at: u64) {
        self.now = self.now.max(at);
        self.first.entry(op).or_insert(at);
    }

    /// All of them, to be stored.
    pub fn iter(&self) -> impl Iterator<Item = (&OpId, &u64)> {
        self.first.iter()
    }

    fn settled(&self, op: OpId) -> bool {
        self.first
            .get(&op)
            .is_some_and(|at| self.now.saturating_sub(*at) > WINDOW)
    }

    /// Whether `by` comes too late to overrule `victim`.
    fn late(&self, (by, by_op): (OpId, &Op), (victim, victim_op): (OpId, &Op)) -> bool {
        if let (Some(by), Some(victim)) = (self.first.get(&by), self.first.get(&victim)) {
            if by < victim {
                return false;
            }
            if by - victim > WINDOW {
                return true;
            }
        }
        by_op.time().saturating_sub(victim_op.time()) > WINDOW
    }
}

/// Which of these chains of one identity counts; `None` if there is none.
pub fn choose<'a>(chains: &'a [Chain], seen: &Seen) -> Option<&'a Chain> {
    let mut left: Vec<&Chain> = chains.iter().collect();
    let mut place = 1;
    while left.iter().any(|chain| chain.ops().len() > place) {
        left.retain(|chain| chain.ops().len() > place);
        let winner = best(&left, place, seen);
        left.retain(|chain| chain.ids()[place] == winner);
        place += 1;
    }
    left.first().copied()
}

/// Where these chains part from the one that counts, each fork once, at `now` in seconds since 1970.
pub fn forks(chains: &[Chain], counts: &Chain, seen: &Seen, now: u64) -> Vec<Fork> {
    let mut found: Vec<_> = chains
        .iter()
        .filter_map(|other| {
            let pairs = counts.ids().iter().zip(other.ids());
            let place = pairs.clone().position(|(ours, theirs)| ours != theirs)?;
            Some(Fork {
                after: counts.ids()[place.checked_sub(1)?],
                counts: counts.ids()[place],
                refused: other.ids()[place],
                sort: sort(counts, other, place, seen, now),
            })
        })
        .collect();
    // Of branches that begin alike, the worst comes first.
    sort_by(&mut found, Ord::cmp);
    found.dedup_by_key(|fork| fork.refused);
    found
}

/// What it is a sign of that `other` parts from what counts at `place`.
fn sort(counts: &Chain, other: &Chain, place: usize, seen: &Seen, now: u64) -> Sort {
    let (ours, theirs) = (&counts.ops()[place..], &other.ops()[place..]);
    let base = place.checked_sub(1).and_then(|last| counts.back_to(last));
    let Some(base) = base.filter(|_| theirs.iter().all(|op| op.rank() == 0)) else {
        return Sort::Contradiction;
    };
    // All machines that have the key of an epoch name one key for mail in it.
    let epoch = ours.iter().take_while(|op| op.rank() == 0);
    let mail = epoch.chain(theirs).filter_map(|op| match op.act() {
        Act::SetMail(key) => *key,
        _ => None,
    });
    let mail: Set<Key> = base.state().mail.into_iter().chain(mail).collect();
    let last = other.ids()[other.ids().len() - 1];
    let fresh = seen
        .first
        .get(&last)
        .is_some_and(|at| now.saturating_sub(*at) <= SETTLE);
    let done = |act: &Act| ours.iter().any(|op| op.act() == act);
    match mail.len() <= 1 {
        true if differences(&base, other).iter().all(done) => Sort::Settled,
        true if fresh && ours[0].rank() == 0 => Sort::Open,
        _ => Sort::Contradiction,
    }
}

/// What leads from what one chain says to what the other does, but for its keys.
fn differences(from: &Chain, to: &Chain) -> Vec<Act> {
    let (from, to) = (from.state(), to.state());
    let added = to.devices.iter().filter(|key| !from.devices.contains(*key));
    let removed = from.devices.iter().filter(|key| !to.devices.contains(*key));
    let mail = (from.mail != to.mail).then_some(Act::SetMail(to.mail));
    let sites: Set<u32> = from.sites.keys().chain(to.sites.keys()).copied().collect();
    let moved = sites.iter().filter_map(|site| {
        let key = to.sites.get(site).copied();
        (from.sites.get(site).copied() != key).then_some(Act::SetSite { site: *site, key })
    });
    added
        .map(|key| Act::AddDevice(*key))
        .chain(removed.map(|key| Act::RemoveDevice(*key)))
        .chain(mail)
        .chain(moved)
        .collect()
}

fn best(chains: &[&Chain], place: usize, seen: &Seen) -> OpId {
    let ops: Map<OpId, &Op> = chains
        .iter()
        .map(|chain| (chain.ids()[place], &chain.ops()[place]))
        .collect();
    let in_time = |id: OpId, op: &Op| {
        !ops.iter().any(|(other, victim)| {
            victim.rank() < op.rank() && seen.late((id, op), (*other, victim))
        })
    };
    // Of the lowest rank none is late for anything, so one is always left.
    let winner = ops
        .iter()
        .filter(|(id, op)| in_time(**id, op))
        .min_by_key(|(id, op)| (u8::MAX - op.rank(), !seen.settled(**id), op.time(), **id));
    *winner
        .expect("an operation of the lowest rank is in time")
        .0
}

impl Lineage {
    /// Starts with a chain, first seen `now`, in seconds since 1970.
    ///
    /// # Errors
    /// `FromTheFuture`.
    pub fn new(chain: Chain, now: u64) -> Result<Self, IdentityError> {
        chain.check_time(now)?;
        let mut lineage = Self {
            branches: vec![chain],
            counts: 0,
            seen: Seen::default(),
        };
        lineage.note(now);
        Ok(lineage)
    }

    /// Starts with what was stored; further branches are brought.
    pub fn restore(chain: Chain, seen: Seen) -> Self {
        Self {
            branches: vec![chain],
            counts: 0,
            seen,
        }
    }

    /// Whose.
    pub fn id(&self) -> Id {
        self.chain().id()
    }

    /// The chain that counts.
    pub fn chain(&self) -> &Chain {
        &self.branches[self.counts]
    }

    /// All branches, the one that counts among them.
    pub fn branches(&self) -> &[Chain] {
        &self.branches
    }

    /// When their operations were first seen.
    pub fn seen(&self) -> &Seen {
        &self.seen
    }

    /// Where its branches part, to be shown, at `now` in seconds since 1970.
    pub fn forks(&self, now: u64) -> Vec<Fork> {
        forks(&self.branches, self.chain(), &self.seen, now)
    }

    /// Whether it contradicts itself, at `now` in seconds since 1970.
    pub fn contradicts(&self, now: u64) -> bool {
        let mut forks = self.forks(now).into_iter();
        forks.any(|fork| fork.sort == Sort::Contradiction)
    }

    /// Takes a chain that has been checked, at `now` in seconds since 1970.
    ///
    /// # Errors
    /// `OtherIdentity` or `FromTheFuture`; nothing is changed then.
    pub fn bring(&mut self, chain: Chain, now: u64) -> Result<Brought, IdentityError> {
        if chain.id() != self.id() {
            return Err(IdentityError::OtherIdentity);
        }
        chain.check_time(now)?;
        if self.branches.iter().any(|known| known.continues(&chain)) {
            return Ok(Brought::Same);
        }
        let goes_on = chain.continues(self.chain());
        self.branches.retain(|known| !chain.continues(known));
        let head = chain.head();
        self.branches.push(chain);
        self.note(now);
        self.choose();
        while self.branches.len() > MAX_BRANCHES {
            self.drop_worst();
        }
        let counts = self.chain().head() == head;
        Ok(match goes_on && counts {
            true => Brought::Longer,
            false => Brought::Forked { counts },
        })
    }

    fn note(&mut self, now: u64) {
        for op in self.branches.iter().flat_map(|chain| chain.ids()) {
            self.seen.note(*op, now);
        }
        self.seen.now = self.seen.now.max(now);
    }

    fn choose(&mut self) {
        let chosen = choose(&self.branches, &self.seen).map(Chain::head);
        let place = self
            .branches
            .iter()
            .position(|chain| Some(chain.head()) == chosen);
        self.counts = place.unwrap_or_default();
    }

    /// Drops the branch that would count last.
    fn drop_worst(&mut self) {
        let mut left = self.branches.clone();
        while left.len() > 1 {
            let best = choose(&left, &self.seen).map(Chain::head);
            left.retain(|chain| Some(chain.head()) != best);
        }
        let worst = left.first().map(Chain::head);
        self.branches.retain(|chain| Some(chain.head()) != worst);
        let kept: Vec<OpId> = self
            .branches
            .iter()
            .flat_map(|chain| chain.ids())
            .copied()
            .collect();
        self.seen.first.retain(|op, _| kept.contains(op));
        self.choose();
    }
}
