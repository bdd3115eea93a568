//! What arrives: opened, proved to be its sender's, let in once, handed out until it is stored, and then deleted at its custodians.
//!
//! A letter stays with its custodians until the page has said that it is durable here, and until every active device of the person has
//! it. What cannot be a letter to the person is deleted at once; what only cannot be read now is left where it is.

use super::Post;
use super::notes::Notes;
use super::outbox::Stage as Sent;
use super::people::Standing;
use super::types::{Letter, Output, Ref};
use crate::proto::custody::MessageId as DepositId;
use crate::proto::custody::collector::Input as Collecting;
use crate::proto::custody::deposit::{Deposit, Expiry};
use crate::proto::custody::requests::Admitted;
use crate::proto::custody::tag::{Lane, MAX_STAMP_BITS, Tag, Terms};
use crate::proto::identity::{Id, record as identities};
use crate::proto::mail::envelope::Envelope;
use crate::proto::mail::message::{Body, Fate, Message, MessageId, Unverified};
use crate::proto::mail::{MailError, Suite};

use super::outbox::Kind;

/// Letters whose senders are being looked up, at once: 4 MiB.
const MAX_PENDING: usize = 256;

/// Milliseconds for which a sender is looked for in a run; in the next the letter is fetched again.
const PENDING_FOR: u64 = 60 * 60 * 1000;

/// Milliseconds for which a sender's chain is good enough to tell their devices by.
const KNOWN_FOR: u64 = 24 * 60 * 60 * 1000;

/// Milliseconds after which an unknown device makes a sender's chain looked up anew.
const LOOK_ANEW: u64 = 10 * 60 * 1000;

/// The same for one's own chain: until then a new machine is not believed. Anybody who can leave mail here can claim to be one, so this is
/// also how often they can have it looked up.
const LOOK_OWN_ANEW: u64 = 60 * 1000;

/// How a letter stands that lies at custodians, or lay there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Lies {
    /// The page was given it, and has not said that it is durable.
    Handed,
    /// It is here.
    Stored,
    /// It was deleted.
    Buried,
    /// A note of a device of the person's, of which a later one takes the place.
    Note,
}

/// Whether something is to be told to the sender.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Owed {
    No,
    Yes,
    Done,
}

/// A letter that is known.
#[derive(Debug, Clone)]
pub(super) struct Held {
    pub(super) tag: Tag,
    pub(super) from: Id,
    pub(super) message: MessageId,
    /// In seconds since 1970.
    pub(super) written: u64,
    /// When custodians let go of it, in seconds since 1970.
    pub(super) until: u64,
    pub(super) lies: Lies,
    /// Of somebody who waits for the person: the strength of the stamp.
    pub(super) request: Option<u8>,
    pub(super) delivered: Owed,
    pub(super) read: Owed,
}

/// An envelope that was opened, whose sender is being looked up.
#[derive(Debug, Clone)]
pub(super) struct Pending {
    unverified: Unverified,
    tag: Tag,
    until: u64,
    /// Of the strangers' lane.
    strength: Option<u8>,
    since: u64,
}

impl Post {
    pub(super) fn arrived(&mut self, deposit: &Deposit) {
        let header = deposit.header();
        let id = header.id();
        if !self.is_ready() || self.held.contains_key(&id) || self.pending.contains_key(&id) {
            return;
        }
        let stranger = header.terms().lane() == Lane::Stranger;
        let (tag, until) = (header.tag(), header.expiry().unix());
        let opened = Envelope::parse(deposit.envelope().clone()).and_then(|envelope| {
            let opened = envelope.open(self.id, &self.me.keys, Suite::X_WING);
            match &self.me.former {
                Some(former) => {
                    opened.or_else(|_| envelope.open(self.id, &former.keys, Suite::X_WING))
                }
                None => opened,
            }
        });
        match opened {
            Ok(_) if self.pending.len() >= MAX_PENDING => self.refuse(MailError::Full),
            Ok(unverified) => {
                let pending = Pending {
                    unverified,
                    tag,
                    until,
                    strength: stranger.then(|| header.strength()),
                    since: self.now,
                };
                self.pending.insert(id, pending);
                self.verify(id);
            }
            Err(error) => {
                self.refuse(error);
                if is_junk(error) {
                    self.bury_unread(id, tag, until);
                }
            }
        }
    }

    /// Goes on with what waits for its sender's identity.
    pub(super) fn look_out(&mut self) {
        self.timers.pending = None;
        let waiting: Vec<_> = self.pending.keys().copied().collect();
        waiting.into_iter().for_each(|id| self.verify(id));
    }

    fn verify(&mut self, id: DepositId) {
        let Some(pending) = self.pending.get(&id) else {
            return;
        };
        let from = pending.unverified.from();
        let since = pending.since;
        let too_long = since + PENDING_FOR < self.now;
        let key = identities::routing_key(from);
        let known = self.is_me(from) || self.person(from).is_some();
        let looked = known && self.look(&key, KNOWN_FOR);
        let chain = match self.is_me(from) {
            true => self.me.chain(),
            false => self.people.get(&from).and_then(|person| person.chain()),
        };
        let Some(pending) = self.pending.get(&id) else {
            return;
        };
        match chain.map(|chain| pending.unverified.clone().verify(chain)) {
            Some(Ok(message)) => {
                if let Some(pending) = self.pending.remove(&id) {
                    self.proved(id, &pending, message);
                }
            }
            Some(Err(MailError::UnknownDevice)) | None => {
                if looked {
                    let pause = match self.is_me(from) {
                        true => LOOK_OWN_ANEW,
                        false => LOOK_ANEW,
                    };
                    let again = self.look_anew(&key, pause, since);
                    let due = self.timers.pending.into_iter().chain(again).min();
                    self.timers.pending = due;
                }
                if too_long {
                    self.pending.remove(&id);
                    self.refuse(MailError::UnknownDevice);
                }
            }
            Some(Err(error)) => {
                let (tag, until) = (pending.tag, pending.until);
                self.pending.remove(&id);
                self.refuse(error);
                self.bury_unread(id, tag, until);
            }
        }
    }

    /// Its sender wrote it.
    fn proved(&mut self, id: DepositId, pending: &Pending, message: Message) {
        let letter = message.letter();
        let (tag, until) = (pending.tag, pending.until);
        let notes = match Notes::parse(&letter.notes) {
            Ok(notes) => notes,
            Err(error) => {
                self.refuse(error);
                return self.bury_unread(id, tag, until);
            }
        };
        let standing = self.people.get(&letter.from).map(|person| person.standing);
        if standing == Some(Standing::Blocked) {
            self.refuse(MailError::Blocked);
            return self.bury_unread(id, tag, until);
        }
        match self.seen.take(&message, self.now / 1000) {
            Ok(()) => {}
            Err(error) => {
                self.refuse(error);
                if error == MailError::Replayed {
                    self.bury_unread(id, tag, until);
                }
                return;
            }
        }
        let mut held = Held {
            tag,
            from: letter.from,
            message: letter.id,
            written: letter.time_millis / 1000,
            until,
            lies: Lies::Handed,
            request: None,
            delivered: Owed::No,
            read: Owed::No,
        };
        if self.is_me(letter.from) {
            return self.of_ours(id, held, &message, notes);
        }
        if !self.admit(id, &mut held, pending, &message, &notes) {
            self.refuse(MailError::Closed);
            return self.bury_unread(id, tag, until);
        }
        self.learn(&message, &notes);
        match is_mail(&message) {
            true => self.hand_out(id, held, &message, notes),
            false => {
                held.lies = Lies::Stored;
                self.hold(id, held);
                self.has_soon();
                self.settle();
            }
        }
    }

    /// Whether somebody may write: contacts, and strangers as far as there is room.
    fn admit(
        &mut self,
        id: DepositId,
        held: &mut Held,
        pending: &Pending,
        message: &Message,
        notes: &Notes,
    ) -> bool {
        let from = held.from;
        let Some(person) = self.people.get(&from) else {
            return false;
        };
        if person.is_contact() {
            return true;
        }
        let known = person.standing == Standing::Request;
        let closed = !self.me.policy.open && pending.strength.is_some();
        if closed || !is_mail(message) {
            return false;
        }
        // Who had a pass and is not known any more waits before all others.
        let strength = pending.strength.unwrap_or(MAX_STAMP_BITS + 1);
        match self.requests.add(id, strength) {
            Admitted::Weaker => return false,
            Admitted::Waits(Some(weakest)) => self.bury(weakest),
            Admitted::Waits(None) | Admitted::Known => {}
        }
        held.request = Some(strength);
        if let Some(person) = self.people.get_mut(&from) {
            person.standing = Standing::Request;
            if let Some(name) = &notes.name {
                person.name = Some(name.clone());
            }
        }
        if !known {
            self.save_person(from);
            self.tell_contact(from);
        }
        true
    }

    /// What a sender tells by the way.
    fn learn(&mut self, message: &Message, notes: &Notes) {
        let letter = message.letter();
        let mut renamed = false;
        if let Some(person) = self.people.get_mut(&letter.from) {
            person.weakest = person.weakest.max(message.suite());
            // Letters come in any order: what was written last counts.
            if letter.time_millis > person.given {
                if !notes.passes.is_empty() {
                    person.passes.clone_from(&notes.passes);
                    person.given = letter.time_millis;
                }
                renamed = notes.name.is_some() && person.name != notes.name;
                if renamed {
                    person.name.clone_from(&notes.name);
                }
            }
            self.save_person(letter.from);
        }
        if renamed {
            self.tell_contact(letter.from);
        }
        for receipt in &letter.receipts {
            let stage = match receipt.fate {
                Fate::Delivered => Sent::Delivered,
                Fate::Read => Sent::Read,
            };
            match self.outbox.contains_key(&receipt.message) {
                true => self.settle_parcel(receipt.message, letter.from, stage, None),
                // Another device sent it.
                false => self.tell_elsewhere(receipt.message, letter.from, stage),
            }
        }
    }

    /// Hands a letter to the page, which says when it is durable.
    pub(super) fn hand_out(&mut self, id: DepositId, held: Held, message: &Message, notes: Notes) {
        let to = notes.recipients;
        let letter = message.letter();
        let standing = self.people.get(&letter.from).map(|person| person.standing);
        let own = self.is_me(letter.from);
        let reference = Ref::of(letter.from, letter.id);
        let out = Letter {
            message: reference,
            thread: letter.thread,
            from: letter.from,
            device: message.device(),
            to: match to.is_empty() {
                true => vec![self.id],
                false => to,
            },
            time_millis: letter.time_millis,
            body: letter.body.clone(),
            enclosures: letter.enclosures.clone(),
            request: held.request.is_some(),
            own,
            muted: standing == Some(Standing::Muted),
            origin: notes.origin,
        };
        self.refs.insert(reference, id);
        self.held.insert(id, held);
        self.out.push_back(Output::Letter(Box::new(out)));
    }

    /// The page has it.
    pub(super) fn stored(&mut self, message: Ref) {
        let Some(id) = self.refs.get(&message).copied() else {
            return;
        };
        let Some(held) = self
            .held
            .get_mut(&id)
            .filter(|held| held.lies == Lies::Handed)
        else {
            return;
        };
        held.lies = Lies::Stored;
        let contact = self
            .people
            .get(&held.from)
            .is_some_and(|person| person.is_contact());
        if contact && held.request.is_none() {
            held.delivered = Owed::Yes;
            self.receipts_soon();
        }
        self.save_held(id);
        self.has_soon();
        self.settle();
    }

    /// The person read it.
    pub(super) fn was_read(&mut self, message: Ref) {
        let Some(id) = self.refs.get(&message).copied() else {
            return;
        };
        let tells = self.me.policy.read_receipts;
        let Some(held) = self
            .held
            .get_mut(&id)
            .filter(|held| tells && held.read == Owed::No)
        else {
            return;
        };
        if self
            .people
            .get(&held.from)
            .is_some_and(|person| person.is_contact())
        {
            held.read = Owed::Yes;
            self.save_held(id);
            self.receipts_soon();
        }
    }

    /// The person deletes it for good, on all devices.
    pub(super) fn remove(&mut self, message: Ref) {
        self.cancel(message);
        self.forget_ref(message);
        if let Some(id) = self.refs.get(&message).copied() {
            self.bury(id);
        }
        self.note_removed(message);
    }

    /// Whoever is answered is a contact.
    pub(super) fn answered(&mut self, message: Ref) {
        let held = self.refs.get(&message).and_then(|id| self.held.get(id));
        if let Some(from) = held.map(|held| held.from).filter(|from| !self.is_me(*from)) {
            self.befriend(from);
        }
    }

    /// Remembers a letter that needs nobody's word any more.
    pub(super) fn hold(&mut self, id: DepositId, held: Held) {
        self.refs.insert(Ref::of(held.from, held.message), id);
        self.held.insert(id, held);
        self.save_held(id);
    }

    /// A parcel to oneself is known before it lies anywhere.
    pub(super) fn lies_for_us(
        &mut self,
        id: DepositId,
        terms: &Terms,
        expiry: Expiry,
        message: MessageId,
        kind: Kind,
    ) {
        let copy = self
            .outbox
            .get_mut(&message)
            .and_then(|outgoing| outgoing.parcel(self.id));
        let lies = match kind {
            // The person wrote to themselves, and is to get it.
            Kind::Mail if copy.is_none_or(|copy| !copy.copy) => return,
            Kind::Mail => Lies::Stored,
            _ => Lies::Note,
        };
        let held = Held {
            tag: terms.tag(),
            from: self.id,
            message,
            written: self.unix(),
            until: expiry.unix(),
            lies,
            request: None,
            delivered: Owed::No,
            read: Owed::No,
        };
        self.hold(id, held);
        self.collect(Collecting::Known(vec![id]));
        if lies == Lies::Stored {
            self.has_soon();
        }
    }

    pub(super) fn refuse(&mut self, why: MailError) {
        self.out.push_back(Output::Refused(why.code()));
    }
}

/// Whether there is something to show.
pub(super) fn is_mail(message: &Message) -> bool {
    let letter = message.letter();
    let nothing = matches!(&letter.body, Body::Here(bytes) if bytes.is_empty());
    !nothing || !letter.enclosures.is_empty()
}

/// Whether no program of ours, now or later, will make a letter of it.
fn is_junk(error: MailError) -> bool {
    use MailError::*;
    matches!(
        error,
        WrongLength
            | Downgraded
            | DoesNotOpen
            | WrongRecipient
            | Malformed
            | NotCanonical
            | TooMany
            | Forged
    )
}
