//! Looking after copies: a custodian that holds a fresh message wants to know others online that prove to hold it, and copies it
//! on if there are none.
//!
//! Whoever proved to hold a message is a partner while the stream to it stands, and nothing is sent. When the last partner goes, the
//! neighbourhood is probed in the message's order, since copies are at its head; only if nobody has it, the next in order gets it. So
//! of several who are online only a lone one sends anything.

use std::time::Duration;

use super::{Custodian, Job, Output};
use crate::proto::custody::deposit::Deposit;
use crate::proto::custody::message::Message;
use crate::proto::custody::placement::{Answer, Placement, about};
use crate::proto::custody::region::{Candidate, Density, is_qualified};
use crate::proto::custody::tag::Tag;
use crate::proto::custody::{ANSWER_WITHIN, MessageId, NEIGHBOURHOOD, PeerId, READ_WIDTH};
use crate::proto::ordered::{Map, Set};
use crate::proto::sorting::sort_by_key;
use crate::proto::types::Time;

/// Messages that are looked after at once: bounds envelopes in memory, and links made for them.
pub const CHECKS_AT_ONCE: usize = 8;

/// Time for which a look-up holds: as often as a tab comes or goes among twenty.
pub const LOOKUP_FRESH: Duration = Duration::from_secs(2 * 60);

/// Peers that are probed before a message is copied on. All of the neighbourhood: a probe costs 100 bytes, a copy that was not needed
/// 16 KiB, and in the simulator a fifth of the copies was not.
pub const PROBES: usize = NEIGHBOURHOOD;

/// Look-ups that are remembered. Ours: as many as checks of different mailboxes.
const MAX_FOUND: usize = 2 * CHECKS_AT_ONCE;

#[derive(Debug)]
struct Check {
    tag: Tag,
    deposit: Option<Deposit>,
    order: Option<Vec<Candidate>>,
    placement: Option<Placement>,
    until: Time,
}

/// When each message is looked after, and what is under way.
#[derive(Debug, Default)]
pub(super) struct Upkeep {
    due: Set<(Time, MessageId)>,
    due_of: Map<MessageId, Time>,
    checks: Map<MessageId, Check>,
    found: Map<Tag, (Time, Vec<Candidate>)>,
    density: Density,
}

impl Upkeep {
    /// The message is here no more.
    pub(super) fn forget(&mut self, id: MessageId) {
        if let Some(at) = self.due_of.remove(&id) {
            self.due.remove(&(at, id));
        }
        self.checks.remove(&id);
    }

    fn schedule(&mut self, id: MessageId, at: Time) {
        if let Some(old) = self.due_of.insert(id, at) {
            self.due.remove(&(old, id));
        }
        self.due.insert((at, id));
    }
}

impl Custodian {
    /// Looks after a message once those who come and go within a minute have gone.
    pub(super) fn look_soon(&mut self, id: MessageId, now: Time) {
        if self.config.online > 1 {
            let at = now + self.config.settle + self.jitter(self.config.settle);
            self.upkeep.schedule(id, at);
        }
    }

    /// Looks after what was stored before: at once if it is fresh. Of older messages only those who stay take care, or each visit of
    /// any holder would cost a copy.
    pub(super) fn look_again(&mut self, id: MessageId, now: Time, unix: u64) {
        let sent = self.shelf.get(id).map(|item| item.header.sent());
        if sent.is_none_or(|sent| self.is_fresh(sent, unix)) {
            self.look_soon(id, now);
        } else if self.config.online > 1 {
            let at = now + self.jitter(self.config.look_later);
            self.upkeep.schedule(id, at);
        }
    }

    /// Looks after a message when it may be due: others were given it at the same time.
    pub(super) fn look_later(&mut self, id: MessageId, now: Time) {
        if self.config.online > 1 {
            let at = now + self.config.look_fresh / 4 + self.jitter(self.config.look_fresh / 4);
            self.upkeep.schedule(id, at);
        }
    }

    /// Starts what is due, sends what is next, ends what is over.
    pub(super) fn look_after(&mut self, now: Time, unix: u64) {
        self.upkeep
            .checks
            .retain(|_, check| check.placement.is_some() || check.until > now);
        while self.upkeep.checks.len() < CHECKS_AT_ONCE {
            let Some((_, id)) = self.upkeep.due.first().filter(|(at, _)| *at <= now) else {
                break;
            };
            let id = *id;
            self.start(id, now, unix);
        }
        let going: Vec<_> = self.upkeep.checks.keys().copied().collect();
        for id in going {
            self.advance(id, now, unix);
        }
    }

    /// When [`look_after`](Self::look_after) has something to do, or the shelf to be swept.
    pub(super) fn deadline(&self) -> Option<Time> {
        let free = self.upkeep.checks.len() < CHECKS_AT_ONCE;
        let due = self.upkeep.due.first().filter(|_| free).map(|(at, _)| *at);
        let checks = self
            .upkeep
            .checks
            .values()
            .map(|check| match &check.placement {
                Some(placement) => placement.deadline().unwrap_or(check.until),
                None => check.until,
            });
        let sweep = (!self.is_empty()).then_some(self.swept + super::SWEEP);
        due.into_iter().chain(checks).chain(sweep).min()
    }

    fn start(&mut self, id: MessageId, now: Time, unix: u64) {
        let wait = self.pause(id, unix);
        let Some(item) = self.shelf.get(id).filter(|item| item.stored) else {
            return self.upkeep.forget(id);
        };
        let tag = item.header.tag();
        let enough = self.blobs.copies(id, &item.partners) + 1 >= self.config.online
            && self.blobs.is_shared(id, &item.partners);
        let next = now + wait + self.jitter(wait / 4);
        self.upkeep.schedule(id, next);
        // Those that went would have been told of; only now and then is one asked again.
        if enough && self.random.below(4) != 0 {
            return;
        }
        let fresh = |(at, _): &&(Time, Vec<Candidate>)| now.since(*at) < LOOKUP_FRESH;
        let found = self.upkeep.found.get(&tag).filter(fresh);
        let found = found.map(|(_, found)| found.clone());
        let order = found.map(|found| self.order(tag, id, &found));
        if order.is_none() {
            self.out.push_back(Output::Lookup(tag));
        }
        let check = Check {
            tag,
            deposit: None,
            order,
            placement: None,
            until: now + 2 * ANSWER_WITHIN,
        };
        self.upkeep.checks.insert(id, check);
        self.load(id, Job::Look);
    }

    /// Whom to ask, those first who are known to hold it.
    fn order(&mut self, tag: Tag, id: MessageId, found: &[Candidate]) -> Vec<Candidate> {
        let mut order = self.upkeep.density.choose(tag, id, found).order;
        if let Some(item) = self.shelf.get(id) {
            sort_by_key(&mut order, |candidate| {
                !item.partners.contains(&candidate.peer)
            });
        }
        order
    }

    pub(super) fn found(&mut self, tag: Tag, mut peers: Vec<Candidate>, now: Time, unix: u64) {
        let (me, bits) = (self.me, self.config.puzzle_bits);
        peers.retain(|candidate| candidate.peer != me && is_qualified(candidate.peer, bits));
        peers.truncate(READ_WIDTH);
        self.upkeep.density.observe(tag, &peers);
        let waits = |check: &Check| check.tag == tag && check.order.is_none();
        let ids: Vec<_> = self
            .upkeep
            .checks
            .iter()
            .filter(|(_, check)| waits(check))
            .map(|(id, _)| *id)
            .collect();
        for id in ids {
            let order = self.order(tag, id, &peers);
            if let Some(check) = self.upkeep.checks.get_mut(&id) {
                check.order = Some(order);
            }
            self.begin(id, now, unix);
        }
        if self.upkeep.found.len() >= MAX_FOUND && !self.upkeep.found.contains_key(&tag) {
            let oldest = self.upkeep.found.iter().min_by_key(|(_, (at, _))| *at);
            if let Some(oldest) = oldest.map(|(tag, _)| *tag) {
                self.upkeep.found.remove(&oldest);
            }
        }
        self.upkeep.found.insert(tag, (now, peers));
    }

    pub(super) fn looked_up(&mut self, id: MessageId, deposit: Deposit, now: Time, unix: u64) {
        if let Some(check) = self.upkeep.checks.get_mut(&id) {
            check.deposit = Some(deposit);
            self.begin(id, now, unix);
        }
    }

    /// Begins once both the envelope and the neighbourhood are there.
    fn begin(&mut self, id: MessageId, now: Time, unix: u64) {
        // Who holds the message without what is attached to it is no copy of it.
        let partners = self.shelf.get(id).map_or(&[][..], |item| &item.partners);
        let without = partners.len() - self.blobs.copies(id, partners);
        let goal = self.config.online.saturating_sub(1) + without;
        let Some(check) = self.upkeep.checks.get_mut(&id) else {
            return;
        };
        if let (Some(_), Some(_)) = (&check.deposit, &check.order)
            && let (Some(deposit), Some(order)) = (check.deposit.take(), check.order.take())
        {
            check.placement = Some(Placement::new(deposit, goal, order, PROBES));
            self.advance(id, now, unix);
        }
    }

    /// An answer on a stream of ours.
    pub(super) fn answered(&mut self, from: PeerId, message: &Message, now: Time, unix: u64) {
        if self.kept_by(from, message) {
            return;
        }
        let Some(id) = about(message) else { return };
        let Some(check) = self.upkeep.checks.get_mut(&id) else {
            return;
        };
        let Some(placement) = check.placement.as_mut() else {
            return;
        };
        let terms = *placement.deposit().header().terms();
        match placement.answer(from, message) {
            Answer::Buried(signature) => self.bury(&terms, id, signature),
            Answer::Receipt(_) | Answer::Nothing => self.advance(id, now, unix),
        }
    }

    pub(super) fn unreachable(&mut self, peer: PeerId, now: Time, unix: u64) {
        for (_, found) in self.upkeep.found.values_mut() {
            found.retain(|candidate| candidate.peer != peer);
        }
        let going: Vec<_> = self.upkeep.checks.keys().copied().collect();
        for id in going {
            let check = self.upkeep.checks.get_mut(&id);
            if let Some(placement) = check.and_then(|check| check.placement.as_mut()) {
                placement.unreachable(peer);
                self.advance(id, now, unix);
            }
        }
        let mut lone = Vec::new();
        let online = self.config.online;
        for (id, item) in self.shelf.items_mut() {
            let before = item.partners.len();
            item.partners.retain(|partner| *partner != peer);
            let copies = self.blobs.copies(*id, &item.partners);
            if item.partners.len() < before && copies + 1 < online {
                lone.push((*id, item.header.sent()));
            }
        }
        for (id, sent) in lone {
            if self.is_fresh(sent, unix) {
                self.look_soon(id, now);
            }
        }
    }

    fn advance(&mut self, id: MessageId, now: Time, unix: u64) {
        let Some(check) = self.upkeep.checks.get_mut(&id) else {
            return;
        };
        let Some(placement) = check.placement.as_mut() else {
            return;
        };
        let mut sends = Vec::new();
        placement.advance(now, &mut self.random, &mut sends);
        let over = placement.is_over();
        let holds = over.then(|| placement.holds().to_vec());
        for (peer, message) in sends {
            self.send(peer, message);
        }
        let Some(holds) = holds else { return };
        self.upkeep.checks.remove(&id);
        self.hand_on(id, &holds);
        let enough = self.blobs.copies(id, &holds) + 1 >= self.config.online;
        let sent = self.shelf.get_mut(id).map(|item| {
            item.partners = holds;
            item.header.sent()
        });
        if !enough && sent.is_some_and(|sent| self.is_fresh(sent, unix)) {
            self.look_soon(id, now);
        }
    }

    fn is_fresh(&self, sent: u64, unix: u64) -> bool {
        unix.saturating_sub(sent) < self.config.fresh.as_secs()
    }

    /// Time until a message is looked after again.
    fn pause(&self, id: MessageId, unix: u64) -> Duration {
        match self.shelf.get(id) {
            Some(item) if self.is_fresh(item.header.sent(), unix) => self.config.look_fresh,
            _ => self.config.look_later,
        }
    }

    fn jitter(&mut self, most: Duration) -> Duration {
        let millis = u32::try_from(most.as_millis()).unwrap_or(u32::MAX);
        Duration::from_millis(u64::from(self.random.below(millis)))
    }
}
