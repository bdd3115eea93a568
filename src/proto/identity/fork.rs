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
use super::op::Op;
use super::{Id, IdentityError, OpId, WINDOW};
use crate::proto::ordered::Map;
use crate::proto::sorting::sort_by;

/// Most branches of one identity that are remembered. Ours: more than one is rare, and the one that counts always stays.
pub const MAX_BRANCHES: usize = 4;

/// When operations were first seen, in seconds since 1970.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Seen {
    first: Map<OpId, u64>,
    now: u64,
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

/// Where these chains part from the one that counts, each contradiction once.
pub fn forks(chains: &[Chain], counts: &Chain) -> Vec<Fork> {
    let mut found: Vec<_> = chains
        .iter()
        .filter_map(|other| {
            let pairs = counts.ids().iter().zip(other.ids());
            let place = pairs.clone().position(|(ours, theirs)| ours != theirs)?;
            Some(Fork {
                after: counts.ids()[place.checked_sub(1)?],
                counts: counts.ids()[place],
                refused: other.ids()[place],
            })
        })
        .collect();
    sort_by(&mut found, Ord::cmp);
    found.dedup();
    found
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

    /// The contradictions, to be shown.
    pub fn forks(&self) -> Vec<Fork> {
        forks(&self.branches, self.chain())
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
