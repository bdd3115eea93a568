//! Names that this node follows: what is known of each, who waits for it, and when it is looked after.
//!
//! A name is followed while somebody resolves or watches it, or while it is held. Its head comes from the store, from the indexes
//! ([`sync`]), and from peers over streams ([`links`]) to those that are linked anyway and to a few found at the name's
//! meeting point ([`meeting`]). Every so often the indexes are asked, and who lags there is given the newest: that is also how
//! a holder publishes it again.

mod links;
mod meeting;
mod sync;

use std::time::Duration;

use cid::Cid;
use futures::channel::{mpsc, oneshot};
use libp2p::PeerId;

use super::{Alarm, EventLoop, now};
use crate::net::session::OpenId;
use crate::node::error::{Error, Result};
use crate::node::names::{Head, LIFETIME_MILLIS, Stored, TTL_NANOS, stored_as};
use crate::proto::discovery::Discovery;
use crate::proto::keys::SiteKey;
use crate::proto::name::Name;
use crate::proto::name::follow::{Follow, Input, LinkId, Message};
use crate::proto::name::heads::{Heads, Limits, MAX_FOLLOWED};
use crate::proto::name::record::{Draft, Record, RecordError};
use crate::proto::name::validity::Validity;
use crate::proto::ordered::{Map, Set};
use crate::proto::random::Random;
use crate::proto::types::{BlobHash, Time};
use crate::rt;
use crate::store::Store;

/// How often a name that somebody watches is looked up though nobody told of a newer head. Ours: those who tell are linked, and
/// this catches what they miss.
const WATCH_INTERVAL: Duration = Duration::from_secs(5 * 60);

/// How often what is held is published again (BEP 44 asks for an hour, IPFS holders keep 48 hours): four hours, more or less.
const HOLD_INTERVAL: Duration = Duration::from_secs(4 * 60 * 60);

/// Names looked up at once.
const MAX_SYNCS: usize = 8;

/// Longest wait for somebody who knows a name.
const RESOLVE_PATIENCE: Duration = Duration::from_secs(15);

/// Longest wait for news of a name of which something is known here already, and before the first number is chosen for one of
/// which nobody can be asked.
const KNOWN_PATIENCE: Duration = Duration::from_secs(4);

/// Pause between look-ups while somebody waits.
const RESOLVE_PAUSE: Duration = Duration::from_millis(1500);

/// How long a name is followed after the last who asked for it.
const LINGER: Duration = Duration::from_secs(2 * 60);

/// After a relay came back those who hold names tell it within this, not all at once.
const REJOIN_SPREAD: Duration = Duration::from_secs(2);

/// What was known this long ago is asked for again before the next number is chosen.
const FRESH: Duration = Duration::from_secs(30 * 60);

/// Those who may wait for or watch one name.
const MAX_WAITING: usize = 64;

type Reply = oneshot::Sender<Result<Head>>;

/// Everything about names.
#[derive(Debug)]
pub(super) struct Names {
    heads: Heads,
    follow: Follow,
    followed: Map<Name, Followed>,
    links: Map<LinkId, Stream>,
    opening: Map<OpenId, PeerId>,
    /// Linked peers that speak the protocol, and when a stream may be opened to them.
    offering: Map<PeerId, Time>,
    meeting: Map<BlobHash, Name>,
    random: Random,
}

#[derive(Debug)]
struct Stream {
    peer: PeerId,
    opened: bool,
    outgoing: mpsc::Sender<Message>,
}

/// One name.
#[derive(Debug)]
struct Followed {
    held: bool,
    watchers: Vec<mpsc::Sender<Head>>,
    /// Who waits for a head, and since when.
    resolving: Vec<(Time, Reply)>,
    /// What is to be signed once it is known what was signed before, and since when.
    publishing: Vec<(Time, Box<SiteKey>, Cid, Reply)>,
    /// What was signed and is being told.
    confirming: Vec<Reply>,
    reads: usize,
    writes: usize,
    /// Changed while it was being looked after.
    again: bool,
    /// The servers that have the head.
    holders: Set<PeerId>,
    /// When somebody else was last heard of it.
    reached: Option<Time>,
    due: Time,
    until: Time,
    discovery: Discovery,
}

impl Names {
    pub fn new() -> Self {
        Self {
            heads: Heads::new(Limits::FOLLOWED),
            follow: Follow::node(),
            followed: Map::new(),
            links: Map::new(),
            opening: Map::new(),
            offering: Map::new(),
            meeting: Map::new(),
            random: Random::new(u64::from_le_bytes(rt::random())),
        }
    }

    fn head(&self, name: &Name) -> Option<Head> {
        let held = self.heads.get(name)?;
        let holders = self.followed.get(name).map_or(0, |one| one.holders.len());
        Some(Head::new(&held.record, held.fork.as_ref(), holders))
    }

    fn valid_head(&self, name: &Name) -> Option<Head> {
        self.heads.valid(name, rt::unix_millis())?;
        self.head(name)
    }

    /// A pause around `interval`, a quarter more or less.
    fn around(&mut self, interval: Duration) -> Duration {
        let spread = (interval.as_millis() / 2).min(u128::from(u32::MAX)) as u32;
        interval * 3 / 4 + Duration::from_millis(u64::from(self.random.below(spread)))
    }
}

impl Followed {
    fn is_wanted(&self) -> bool {
        self.held
            || !self.watchers.is_empty()
            || !self.resolving.is_empty()
            || !self.publishing.is_empty()
            || !self.confirming.is_empty()
    }

    /// Whether somebody was asked lately; else those who wait for that wait, for so long.
    fn is_fresh(&self) -> bool {
        self.reached.is_some_and(|at| now().since(at) < FRESH)
    }

    /// When those who wait must be told something.
    fn deadline(&self, is_known: bool) -> Option<Time> {
        let patience = match is_known {
            true => KNOWN_PATIENCE,
            false => RESOLVE_PATIENCE,
        };
        let resolving = self.resolving.iter().map(|(since, _)| *since + patience);
        let publishing = self
            .publishing
            .iter()
            .map(|(since, ..)| *since + KNOWN_PATIENCE);
        resolving.chain(publishing).min()
    }

    fn is_busy(&self) -> bool {
        self.reads + self.writes > 0
    }
}

impl<S: Store> EventLoop<S> {
    pub(super) fn hold_name(
        &mut self,
        name: Name,
        known: Option<Box<Stored>>,
        hold: bool,
    ) -> Result<Vec<Name>> {
        if hold || self.names.followed.contains_key(&name) {
            let followed = self.follow_name(name, known)?;
            followed.held = hold;
            self.look_after_names();
            self.meet_or_leave(name);
        }
        let held = self.names.followed.iter().filter(|(_, one)| one.held);
        Ok(held.map(|(name, _)| *name).collect())
    }

    pub(super) fn watch_name(
        &mut self,
        name: Name,
        known: Option<Box<Stored>>,
        mut heads: mpsc::Sender<Head>,
    ) -> Result<()> {
        if let Some(followed) = self.names.followed.get(&name)
            && followed.watchers.len() >= MAX_WAITING
        {
            return Err(RecordError::Full.into());
        }
        self.follow_name(name, known)?;
        if let Some(head) = self.names.head(&name) {
            let _ = heads.try_send(head);
        }
        if let Some(followed) = self.names.followed.get_mut(&name) {
            followed.watchers.push(heads);
        }
        self.look_after_names();
        self.meet_or_leave(name);
        Ok(())
    }

    pub(super) fn resolve_name(&mut self, name: Name, known: Option<Box<Stored>>, reply: Reply) {
        match self.follow_name(name, known) {
            Ok(followed) if followed.resolving.len() < MAX_WAITING => {
                followed.resolving.push((now(), reply));
                // Asked anew, even if somebody was just heard.
                followed.reached = None;
                followed.due = now();
            }
            Ok(_) => drop(reply.send(Err(RecordError::Full.into()))),
            Err(error) => drop(reply.send(Err(error))),
        }
        self.look_after_names();
        self.meet_or_leave(name);
    }

    pub(super) fn publish_name(
        &mut self,
        key: Box<SiteKey>,
        cid: Cid,
        known: Option<Box<Stored>>,
        reply: Reply,
    ) {
        let name = key.name();
        let followed = match self.follow_name(name, known) {
            Ok(followed) if followed.publishing.len() < MAX_WAITING => followed,
            Ok(_) => return drop(reply.send(Err(RecordError::Full.into()))),
            Err(error) => return drop(reply.send(Err(error))),
        };
        followed.publishing.push((now(), key, cid, reply));
        followed.due = now();
        if followed.reads == 0 {
            self.sign_pending(name);
        }
        self.look_after_names();
    }

    /// Signs what waits for it, and has it told, if it is known what was signed before or nobody can be asked.
    fn sign_pending(&mut self, name: Name) {
        let Some(followed) = self.names.followed.get_mut(&name) else {
            return;
        };
        let waited = |since: &Time| now().since(*since) >= KNOWN_PATIENCE;
        let late = followed.publishing.iter().any(|(since, ..)| waited(since));
        if !followed.is_fresh() && !late {
            return;
        }
        for (_, key, cid, reply) in std::mem::take(&mut followed.publishing) {
            if let Err(error) = self.sign_head(&key, &cid) {
                let _ = reply.send(Err(error));
            } else if let Some(followed) = self.names.followed.get_mut(&name) {
                followed.confirming.push(reply);
                followed.due = now();
                // Confirmed by the next round, which tells it; not by one that is under way.
                followed.again = true;
            }
        }
    }

    fn sign_head(&mut self, key: &SiteKey, cid: &Cid) -> Result<()> {
        let (name, unix) = (key.name(), rt::unix_millis());
        let mut validity = Validity::from_unix_millis(unix.saturating_add(LIFETIME_MILLIS));
        let sequence = match self.names.heads.get(&name) {
            // The same again: the number stays, the end moves, and never back. A fork is settled by the next number.
            Some(known) if known.record.cid() == Some(*cid) && known.fork.is_none() => {
                validity = validity.max(known.record.validity());
                known.record.sequence()
            }
            Some(known) => known
                .record
                .sequence()
                .checked_add(1)
                .ok_or_else(|| Error::BadOptions("this name has used up its numbers".into()))?,
            None => 0,
        };
        let record = Record::sign(key, Draft::to(cid, sequence, validity, TTL_NANOS))?;
        let taken = self.names.heads.offer(record, None, now(), unix)?;
        if taken.changed() {
            self.tell_follow(Input::Changed(name));
            self.on_head(name);
        }
        Ok(())
    }

    /// Begins to follow a name, with what the store has of it.
    fn follow_name(&mut self, name: Name, known: Option<Box<Stored>>) -> Result<&mut Followed> {
        let fresh = !self.names.followed.contains_key(&name);
        if fresh && self.names.followed.len() >= MAX_FOLLOWED {
            return Err(RecordError::Full.into());
        }
        if fresh && let Some(stored) = known {
            // Also one that is over: so that nobody is led back.
            self.names.heads.remember(stored.record, None, now())?;
            if let Some(fork) = stored.fork {
                self.names.heads.remember(fork, None, now())?;
            }
        }
        let seed = self.names.random.bits();
        let followed = self.names.followed.entry(name).or_insert_with(|| Followed {
            held: false,
            watchers: Vec::new(),
            resolving: Vec::new(),
            publishing: Vec::new(),
            confirming: Vec::new(),
            reads: 0,
            writes: 0,
            again: false,
            holders: Default::default(),
            reached: None,
            due: now(),
            until: now() + LINGER,
            discovery: Discovery::with_target(seed, meeting::TARGET),
        });
        followed.until = now() + LINGER;
        if fresh {
            self.tell_follow(Input::Follow(name));
            self.open_name_links();
        }
        self.names
            .followed
            .get_mut(&name)
            .ok_or_else(|| Error::Internal("a name that was just followed".into()))
    }

    /// The head of a name is another, or is contradicted: remembered, and told to who watches.
    fn on_head(&mut self, name: Name) {
        if let Some(held) = self.names.heads.get(&name) {
            let stored = Stored {
                record: held.record.clone(),
                fork: held.fork.clone(),
            };
            let (store, bytes) = (self.store.clone(), stored.encode());
            rt::spawn(async move {
                if let Err(error) = store.set_value(&stored_as(name), Some(bytes)).await {
                    rt::warning!(error = error, "a head is not remembered");
                }
            });
        }
        let Some(head) = self.names.valid_head(&name) else {
            return;
        };
        if let Some(followed) = self.names.followed.get_mut(&name) {
            followed.holders.clear();
            followed
                .watchers
                .retain_mut(|watcher| watcher.try_send(head.clone()).is_ok());
        }
        self.answer_resolvers(name);
    }

    /// Answers those who wait for a name, if there is an answer or no more time.
    fn answer_resolvers(&mut self, name: Name) {
        let joined = self.is_joined();
        let head = self.names.valid_head(&name);
        let Some(followed) = self.names.followed.get_mut(&name) else {
            return;
        };
        if followed.reads > 0 {
            return; // what the others have is still to come
        }
        let fresh = followed.is_fresh();
        for (since, reply) in std::mem::take(&mut followed.resolving) {
            let waited = now().since(since);
            match &head {
                Some(head) if fresh || waited >= KNOWN_PATIENCE => {
                    let _ = reply.send(Ok(head.clone()));
                }
                None if waited >= RESOLVE_PATIENCE => {
                    let _ = reply.send(Err(match joined {
                        true => Error::NotFound,
                        false => Error::NoRelay,
                    }));
                }
                _ => followed.resolving.push((since, reply)),
            }
        }
    }

    /// Looks after the names that are due, forgets those that nobody wants, and sets the next deadline.
    pub(super) fn look_after_names(&mut self) {
        let at = now();
        let names: Vec<_> = self.names.followed.keys().copied().collect();
        for name in names {
            let is_known = self.names.heads.get(&name).is_some();
            let late = self.names.followed.get(&name).is_some_and(|one| {
                one.reads == 0 && one.deadline(is_known).is_some_and(|due| due <= at)
            });
            if late {
                self.sign_pending(name);
                self.answer_resolvers(name);
            }
            let busy = self
                .names
                .followed
                .values()
                .filter(|one| one.is_busy())
                .count();
            let Some(followed) = self.names.followed.get_mut(&name) else {
                continue;
            };
            followed.watchers.retain(|watcher| !watcher.is_closed());
            if followed.is_wanted() {
                followed.until = at + LINGER;
            } else if followed.until <= at && !followed.is_busy() {
                self.names.followed.remove(&name);
                self.names.heads.forget(&name);
                self.leave_meeting(name);
                self.tell_follow(Input::Leave(name));
                continue;
            }
            if followed.due <= at && !followed.is_busy() && busy < MAX_SYNCS {
                self.sync_name(name);
            }
        }
        self.open_name_links();
        let next = self.names.followed.iter().map(|(name, one)| {
            let due = match one.is_busy() {
                true => one.until.max(at + LINGER),
                false => one.due.min(one.until),
            };
            let is_known = self.names.heads.get(name).is_some();
            due.min(one.deadline(is_known).unwrap_or(due))
        });
        let reopen = self.next_name_link();
        if let Some(next) = next.chain(reopen).min() {
            // Those that are due and wait for their turn are woken by the end of another.
            self.set_alarm(Alarm::Names, next.max(at + Duration::from_millis(100)));
        }
    }

    /// A relay or peers are there (again), and may have forgotten.
    pub(super) fn names_rejoined(&mut self) {
        let at = now();
        let spread = REJOIN_SPREAD.as_millis() as u32;
        for followed in self.names.followed.values_mut() {
            let pause = Duration::from_millis(u64::from(self.names.random.below(spread)));
            followed.due = followed.due.min(at + pause);
        }
        let names: Vec<_> = self.names.followed.keys().copied().collect();
        for name in names {
            self.meet_or_leave(name);
        }
        self.look_after_names();
    }
}
