//! The machines of the product and what they ask of their edges.

use std::time::Duration;

use super::actor::Role;
use super::churn::hours;
use super::{Event, LATENCY, Simulation, VISIT};
use crate::proto::custody::deposit::Deposit;
use crate::proto::custody::message::Message;
use crate::proto::custody::{MessageId, collector, custodian, depositor};

impl Simulation {
    pub(super) fn arrive(&mut self, from: usize, to: usize, message: Message) {
        let peer = self.actors[from].id;
        if message.is_request() {
            return self.custodian(to, custodian::Input::Received(peer, message));
        }
        if self.actors[to].depositor.is_some() {
            self.depositor(to, depositor::Input::Received(peer, message));
        } else if self.actors[to].collector.is_some() {
            self.collector(to, collector::Input::Received(peer, message));
        } else {
            self.custodian(to, custodian::Input::Received(peer, message));
        }
    }

    pub(super) fn custodian(&mut self, at: usize, input: custodian::Input) {
        let now = self.now;
        let unix = self.actors[at].unix(now);
        if let Some(custodian) = &mut self.actors[at].custodian {
            custodian.handle(input, now, unix);
            self.drain_custodian(at);
        }
    }

    pub(super) fn drain_custodian(&mut self, at: usize) {
        use custodian::{Input, Output};
        while let Some(output) = self.actors[at]
            .custodian
            .as_mut()
            .and_then(|machine| machine.poll_output())
        {
            match output {
                Output::Send(peer, message) => {
                    if let Some(message) = self.actors[at].spoken(message) {
                        self.send(at, peer, message, true);
                    }
                }
                Output::Store(deposit) => {
                    let id = deposit.id();
                    self.actors[at].store(deposit);
                    self.custodian(at, Input::Stored(id));
                }
                Output::StoreKeep(_) | Output::Fetch(_) | Output::Release(_) => {}
                Output::Bury(tomb) => self.actors[at].tombs.push(tomb),
                Output::Exhume(tag, id) => {
                    let others = |tomb: &custodian::Tombstone| (tomb.tag, tomb.id) != (tag, id);
                    self.actors[at].tombs.retain(others);
                }
                Output::Forget(id) => {
                    self.actors[at].kept.remove(&id);
                }
                Output::Load(id) => {
                    let deposit = self.actors[at].kept.get(&id).cloned();
                    self.custodian(at, Input::Loaded(id, deposit));
                }
                Output::Lookup(tag) => self.lookup(at, Role::Custodian, tag),
                Output::Drop(peer) => {
                    if let Some(other) = self.by_id.get(&peer).copied() {
                        self.actors[at].accepted.remove(&other);
                        self.actors[other].opened.remove(&at);
                        self.agenda
                            .add(self.now + LATENCY, Event::Unreachable(other, at));
                    }
                }
                Output::WakeAt(time) => self.wake(at, Role::Custodian, time),
            }
        }
    }

    pub(super) fn depositor(&mut self, at: usize, input: depositor::Input) {
        use depositor::Output;
        let now = self.now;
        let unix = self.actors[at].unix(now);
        let Some(depositor) = &mut self.actors[at].depositor else {
            return;
        };
        depositor.handle(input, now, unix);
        while let Some(output) = self.actors[at]
            .depositor
            .as_mut()
            .and_then(|machine| machine.poll_output())
        {
            match output {
                Output::Lookup(tag) => self.lookup(at, Role::Depositor, tag),
                Output::Send(peer, message) => self.send(at, peer, message, false),
                Output::Receipts { id, stored, .. } => self.receipts(at, id, stored),
                Output::Delivered(id) => {
                    if let Some(letter) = self
                        .letters
                        .iter_mut()
                        .find(|letter| letter.deposit.id() == id)
                    {
                        letter.delivered = true;
                        self.report.confirmed += 1;
                    }
                }
                Output::Expired(_) | Output::Full(_) => {}
                Output::WakeAt(time) => self.wake(at, Role::Depositor, time),
            }
        }
    }

    pub(super) fn receipts(&mut self, at: usize, id: MessageId, stored: bool) {
        let Some(letter) = self.letters.iter_mut().find(|letter| letter.sender == at) else {
            return;
        };
        if !stored || !letter.keepers.is_empty() {
            return;
        }
        self.report.stored += 1;
        let holds = |at: &&usize| self.actors[**at].kept.contains_key(&id);
        letter.keepers = self.online.iter().filter(holds).copied().collect();
        letter.keepers.retain(|keeper| !self.actors[*keeper].relay);
        if self.scenario.replace_all {
            // One after the other, every twenty minutes, for good.
            for (number, keeper) in letter.keepers.clone().into_iter().enumerate() {
                self.gone[keeper] = true;
                let leaves = self.now + Duration::from_secs(1200) * (number as u32 + 1);
                self.agenda
                    .add(leaves, Event::Off(keeper, self.actors[keeper].session));
            }
        }
    }

    pub(super) fn collector(&mut self, at: usize, input: collector::Input) {
        use collector::Output;
        let now = self.now;
        let unix = self.actors[at].unix(now);
        let Some(collector) = &mut self.actors[at].collector else {
            return;
        };
        collector.handle(input, now, unix);
        while let Some(output) = self.actors[at]
            .collector
            .as_mut()
            .and_then(|machine| machine.poll_output())
        {
            match output {
                Output::Lookup(tag) => self.lookup(at, Role::Collector, tag),
                Output::Open(peer) => {
                    if let Some(other) = self.by_id.get(&peer).copied() {
                        self.link(at, other);
                    }
                }
                Output::Send(peer, message) => self.send(at, peer, message, false),
                Output::Letter(deposit) => self.got(at, &deposit),
                Output::Settled(_) => {}
                Output::WakeAt(time) => self.wake(at, Role::Collector, time),
            }
        }
    }

    pub(super) fn got(&mut self, at: usize, deposit: &Deposit) {
        let found = self
            .letters
            .iter()
            .position(|letter| letter.readers.contains(&at));
        let Some(number) = found else { return };
        let letter = &mut self.letters[number];
        if letter.deposit.id() != deposit.id() || letter.deposit.envelope() != deposit.envelope() {
            self.report.wrong += 1;
            return;
        }
        if letter.got.is_none() {
            letter.got = Some(self.now);
            self.report.read += 1;
            let first = letter
                .first_visit
                .is_some_and(|first| self.now.since(first) <= hours(VISIT));
            letter.got_in_first = first;
        }
        let session = self.actors[at].session;
        let event = Event::Deleted {
            letter: number,
            device: at,
            session,
        };
        self.agenda.add(self.now + Duration::from_secs(2), event);
    }
}
