//! Deleting at custodians, and what becomes of those who wait when the person says who they are.

use super::inbox::{Held, Lies, Owed};
use super::outbox::{Kind, Stage as Sent};
use super::types::Ref;
use super::{MAX_AGE_MILLIS, Post};
use crate::proto::custody::collector::Input as Collecting;
use crate::proto::custody::tag::Tag;
use crate::proto::custody::{CLOCK_ERROR, MessageId as DepositId};
use crate::proto::identity::Id;
use crate::proto::mail::MailError;
use crate::proto::mail::message::MessageId;
use crate::proto::mail::seen::MAX_SEEN;

impl Post {
    /// Deletes a letter wherever it lies.
    pub(super) fn bury(&mut self, id: DepositId) {
        let Some(held) = self
            .held
            .get_mut(&id)
            .filter(|held| held.lies != Lies::Buried)
        else {
            return;
        };
        held.lies = Lies::Buried;
        let tag = held.tag;
        self.save_held(id);
        self.collect(Collecting::Delete(tag, vec![id]));
    }

    /// Deletes what was never handed out.
    pub(super) fn bury_unread(&mut self, id: DepositId, tag: Tag, until: u64) {
        if self.held.len() >= MAX_SEEN {
            return;
        }
        let held = Held {
            tag,
            from: Id([0; 32]),
            message: MessageId([0; 16]),
            written: self.unix(),
            until,
            lies: Lies::Buried,
            request: None,
            delivered: Owed::No,
            read: Owed::No,
        };
        self.held.insert(id, held);
        self.save_held(id);
        self.collect(Collecting::Delete(tag, vec![id]));
    }

    /// What was deleted in former runs is deleted wherever it turns up.
    pub(super) fn say_deleted(&mut self) {
        let buried: Vec<_> = self
            .held
            .iter()
            .filter(|(_, held)| held.lies == Lies::Buried)
            .map(|(id, held)| (held.tag, *id))
            .collect();
        for (tag, id) in buried {
            self.collect(Collecting::Delete(tag, vec![id]));
        }
    }

    /// Forgets what can be neither at a custodian nor let in again.
    pub(super) fn sweep_held(&mut self) {
        let (unix, now) = (self.unix(), self.now);
        let over = |held: &Held| {
            let let_in = held
                .written
                .saturating_mul(1000)
                .saturating_add(MAX_AGE_MILLIS)
                >= now;
            held.until + CLOCK_ERROR < unix && !let_in
        };
        let gone: Vec<_> = self
            .held
            .iter()
            .filter(|(_, held)| over(held))
            .map(|(id, held)| (*id, Ref::of(held.from, held.message)))
            .collect();
        for (id, message) in gone {
            self.held.remove(&id);
            self.refs.remove(&message);
            self.unsave_held(id);
        }
        self.seen.sweep(unix);
    }

    /// Somebody became a contact: what waits of them waits no longer, and they are given passes.
    pub(super) fn accepted(&mut self, from: Id) {
        for id in self.requests_of(from) {
            self.requests.remove(id);
            if let Some(held) = self.held.get_mut(&id) {
                held.request = None;
                if held.lies == Lies::Stored {
                    held.delivered = Owed::Yes;
                }
            }
            self.save_held(id);
        }
        if self
            .people
            .get(&from)
            .is_some_and(|person| !person.passes.is_empty())
        {
            self.give_passes(from);
        }
    }

    /// Nothing of them waits any more.
    pub(super) fn blocked(&mut self, from: Id) {
        for id in self.requests_of(from) {
            self.requests.remove(id);
            self.bury(id);
        }
        let parcels = self
            .outbox
            .iter()
            .filter(|(_, outgoing)| outgoing.kind == Kind::Service);
        let service: Vec<_> = parcels
            .filter(|(_, outgoing)| outgoing.parcels.iter().any(|parcel| parcel.to == from))
            .map(|(id, _)| *id)
            .collect();
        for id in service {
            self.settle_parcel(id, from, Sent::Refused, Some(MailError::Blocked));
        }
    }

    fn requests_of(&self, from: Id) -> Vec<DepositId> {
        let held = self.held.iter();
        let theirs = held.filter(|(_, held)| held.from == from && held.request.is_some());
        theirs.map(|(id, _)| *id).collect()
    }
}
