//! Links that take a second to come up, fail sometimes, and look-ups that lag behind.

use std::time::Duration;

use super::actor::Role;
use super::churn::uniform;
use super::{CONNECT, Event, GIVE_UP, LATENCY, LINK_FAILS, LOOKUP, MISSED, STALE, Simulation};
use crate::proto::custody::message::Message;
use crate::proto::custody::region::{Candidate, distance, location};
use crate::proto::custody::tag::Tag;
use crate::proto::custody::{PeerId, READ_WIDTH};
use crate::proto::types::Time;

impl Simulation {
    pub(super) fn lookup(&mut self, at: usize, role: Role, tag: Tag) {
        self.report.lookups += 1;
        let session = self.actors[at].session;
        let event = Event::Found {
            at,
            session,
            role,
            tag,
        };
        self.agenda.add(self.now + LOOKUP, event);
    }

    pub(super) fn nearest(&mut self, tag: Tag, asker: usize) -> Vec<Candidate> {
        while self
            .left
            .front()
            .is_some_and(|(at, _)| self.now.since(*at) > STALE)
        {
            self.left.pop_front();
        }
        let place = location(tag);
        let stale = self.left.iter().map(|(_, at)| *at);
        let mut found: Vec<(u64, usize)> = self
            .online
            .iter()
            .copied()
            .chain(stale)
            .filter(|at| self.actors[*at].habit.is_some() && *at != asker)
            .map(|at| (distance(&place, &self.actors[at].place), at))
            .collect();
        found.sort_unstable();
        found.dedup();
        let random = &mut self.random;
        found.retain(|_| uniform(random) >= MISSED);
        found.truncate(READ_WIDTH);
        let candidate = |(_, at): (u64, usize)| Candidate::new(self.actors[at].id);
        found.into_iter().map(candidate).collect()
    }

    pub(super) fn wake(&mut self, at: usize, role: Role, time: Time) {
        let time = time.max(self.now + Duration::from_millis(1));
        if self.actors[at].wakes.insert(role, time) != Some(time) {
            self.agenda.add(time, Event::Wake(at, role, time));
        }
    }

    /// When the link that `from` opened is up; `None` if it will not come up.
    pub(super) fn link(&mut self, from: usize, to: usize) -> Option<Time> {
        if let Some(up) = self.actors[from].opened.get(&to) {
            return Some(*up);
        }
        self.report.links += 1;
        if !self.actors[to].online || uniform(&mut self.random) < LINK_FAILS {
            self.agenda
                .add(self.now + GIVE_UP, Event::Unreachable(from, to));
            return None;
        }
        let up = self.now + CONNECT;
        self.actors[from].opened.insert(to, up);
        self.actors[to].accepted.insert(from);
        let session = self.actors[to].session;
        self.agenda.add(up, Event::Opened { from, to, session });
        Some(up)
    }

    pub(super) fn send(&mut self, from: usize, to: PeerId, message: Message, of_custodian: bool) {
        let Some(to) = self.by_id.get(&to).copied() else {
            return;
        };
        let ready = match message.is_request() {
            true => self.link(from, to),
            false => self.actors[from].accepted.contains(&to).then_some(self.now),
        };
        let Some(ready) = ready else { return };
        self.report.count(&message, of_custodian);
        let session = self.actors[to].session;
        let arrives = ready.max(self.now) + LATENCY;
        let event = Event::Arrive {
            from,
            to,
            session,
            message,
        };
        self.agenda.add(arrives, event);
    }
}
