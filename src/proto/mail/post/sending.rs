//! How a message becomes a parcel: the recipient is found, the lane chosen, the letter sealed and saved.

use super::Post;
use super::notes::Notes;
use super::offer::Offer;
use super::outbox::{Kind, Outgoing, Sealed, Stage};
use super::people::{Standing, weeks};
use crate::proto::custody::deposit::{Deposit, Expiry};
use crate::proto::custody::keep::Keep;
use crate::proto::custody::tag::{Lane, Pass, Terms};
use crate::proto::custody::{MessageId as DepositId, PeerId};
use crate::proto::identity::{Id, Key, record as identities};
use crate::proto::mail::kem::Entropy;
use crate::proto::mail::message::{Body, Letter, MessageId};
use crate::proto::mail::record::{self, Recipient};
use crate::proto::mail::{MailError, Suite, Week};

/// Milliseconds for which what is known of a recipient is good enough to write to them.
const KNOWN_FOR: u64 = 6 * 60 * 60 * 1000;

/// How a parcel is left.
enum Way {
    Contact(Pass),
    Stranger(Terms),
}

/// What is known of a recipient now.
enum Found {
    /// All that is needed.
    Yes(Box<Recipient>, Way, Vec<PeerId>),
    /// It is being looked up.
    NotYet,
    /// It cannot be had now: a try later may.
    No(MailError),
    /// It will not be had.
    Never(MailError),
}

impl Post {
    pub(super) fn seal_due(&mut self) {
        for (message, to) in self.unsealed.clone() {
            match self.find(to) {
                Found::Yes(recipient, way, relays) => {
                    if let Err(error) = self.seal(message, to, &recipient, way, relays) {
                        self.settle_parcel(message, to, Stage::Refused, Some(error));
                    }
                }
                Found::NotYet => self.waits(message, to, None),
                Found::No(error) => self.waits(message, to, Some(error)),
                Found::Never(error) => self.settle_parcel(message, to, Stage::Refused, Some(error)),
            }
        }
    }

    fn waits(&mut self, message: MessageId, to: Id, why: Option<MailError>) {
        let why = why.map(|why| why.code().to_owned());
        let outgoing = self.outbox.get_mut(&message);
        let Some(parcel) = outgoing.and_then(|outgoing| outgoing.parcel(to)) else {
            self.unsealed.remove(&(message, to));
            return;
        };
        if parcel.why != why {
            parcel.why = why;
            self.tell(message, to);
        }
    }

    fn find(&mut self, to: Id) -> Found {
        if self.is_me(to) {
            return self.find_me();
        }
        if self.person(to).is_none() {
            return Found::No(MailError::Full);
        }
        if !self.look(&identities::routing_key(to), KNOWN_FOR) {
            return Found::NotYet;
        }
        let unknown = MailError::UnknownRecipient;
        let mail = match self.people.get(&to).and_then(|person| person.chain()) {
            None => return Found::No(unknown),
            Some(chain) if chain.state().ended => return Found::Never(MailError::Ended),
            Some(chain) => chain.state().mail,
        };
        let Some(mail) = mail else {
            return Found::No(unknown);
        };
        if !self.look(&record::routing_key(mail), KNOWN_FOR) {
            return Found::NotYet;
        }
        let now = self.unix();
        let Some(person) = self.people.get(&to) else {
            return Found::No(unknown);
        };
        if person.standing == Standing::Blocked {
            return Found::Never(MailError::Blocked);
        }
        let record = person
            .record
            .as_ref()
            .filter(|record| record.check_time(now).is_ok());
        let (Some(record), Some(chain)) = (record, person.chain()) else {
            return Found::No(unknown);
        };
        let recipient = match record.recipient(chain, person.weakest) {
            Ok(recipient) => recipient,
            Err(MailError::OtherIdentity) => return Found::No(unknown),
            Err(error) => return Found::Never(error),
        };
        let offer = Offer::parse(&record.says().custody);
        let relays = offer
            .as_ref()
            .map_or(Vec::new(), |offer| offer.relays.clone());
        match (person.pass(now), offer) {
            (Some(pass), _) => Found::Yes(Box::new(recipient), Way::Contact(pass.clone()), relays),
            (None, Ok(offer)) if !offer.open => Found::Never(MailError::Closed),
            (None, Ok(offer)) => match terms_now(&offer, now) {
                Some(terms) => Found::Yes(Box::new(recipient), Way::Stranger(terms), relays),
                None => Found::No(unknown),
            },
            (None, Err(_)) => Found::No(unknown),
        }
    }

    /// One's own mailbox: nothing to look up.
    fn find_me(&self) -> Found {
        let week = self.week();
        let generation = self.me.generations[0].0;
        match self.me.keys.secret(week) {
            Ok(secret) => {
                let recipient = Recipient {
                    id: self.id,
                    suite: Suite::X_WING,
                    week,
                    key: secret.public(),
                };
                let pass = self.mailbox.pass(generation, week);
                Found::Yes(Box::new(recipient), Way::Contact(pass), self.own_relays())
            }
            Err(error) => Found::No(error),
        }
    }

    fn own_relays(&self) -> Vec<PeerId> {
        let record = self.me.record.as_ref();
        let offer = record.and_then(|record| Offer::parse(&record.says().custody).ok());
        offer.map_or(Vec::new(), |offer| offer.relays)
    }

    fn seal(
        &mut self,
        message: MessageId,
        to: Id,
        recipient: &Recipient,
        way: Way,
        relays: Vec<PeerId>,
    ) -> Result<(), MailError> {
        let entropy = Entropy::new(self.draw.bytes());
        let Some(outgoing) = self.outbox.get(&message) else {
            self.unsealed.remove(&(message, to));
            return Ok(());
        };
        let letter = self.letter_for(message, outgoing, Some(to));
        let envelope = letter.seal(&self.me.key(), recipient, entropy)?;
        let envelope = envelope.bytes().clone();
        let blobs = outgoing.blobs();
        let unix = self.unix();
        let sealed = match way {
            Way::Contact(pass) => {
                let terms = pass.terms();
                let expiry = expiry(&terms, unix);
                let deposit = Deposit::by_contact(&pass, expiry, envelope.clone());
                Sealed {
                    terms,
                    expiry,
                    envelope,
                    keep: Keep::by_contact(&pass, expiry, deposit.id(), blobs),
                    deposit: Some(deposit),
                    relays,
                }
            }
            Way::Stranger(terms) => {
                let expiry = expiry(&terms, unix);
                let id = DepositId::of(terms.tag(), &envelope);
                Sealed {
                    terms,
                    expiry,
                    envelope,
                    deposit: None,
                    keep: Keep::by_stranger(terms, expiry, 0, id, blobs),
                    relays,
                }
            }
        };
        let id = sealed.id();
        let stamping = sealed.owes().is_some();
        let (terms, expiry) = (sealed.terms, sealed.expiry);
        let Some(outgoing) = self.outbox.get_mut(&message) else {
            return Ok(());
        };
        let kind = outgoing.kind;
        if let Some(parcel) = outgoing.parcel(to) {
            parcel.sealed = Some(sealed);
            parcel.why = None;
            parcel.stage = if stamping {
                Stage::Stamping
            } else {
                Stage::Looking
            };
        }
        // What is only passed on stays with nobody but its recipient.
        if outgoing.origin.take().is_some() {
            outgoing.body = None;
        }
        self.unsealed.remove(&(message, to));
        self.under_way.insert(id, (message, to));
        self.save_sealed(message, to);
        self.save_outgoing(message);
        if self.is_me(to) {
            self.lies_for_us(id, &terms, expiry, message, kind);
        }
        self.tell(message, to);
        if stamping {
            self.search(id);
        }
        Ok(())
    }

    /// The letter of a message, with what its recipient is told by the way; `None` for the longest that any of them is sent.
    pub(super) fn letter_for(&self, id: MessageId, outgoing: &Outgoing, to: Option<Id>) -> Letter {
        let own = to.is_some_and(|to| self.is_me(to));
        let notes = Notes {
            name: (!own && !self.me.name.is_empty()).then(|| self.me.name.clone()),
            recipients: match outgoing.kind {
                Kind::Mail => outgoing.recipients(),
                _ => Vec::new(),
            },
            passes: match own {
                true => Vec::new(),
                false => self.passes(),
            },
            has: (outgoing.kind == Kind::Has).then(|| self.has(outgoing.number)),
            part: outgoing.part.clone(),
            origin: outgoing.origin.clone(),
        };
        Letter {
            from: self.id,
            id,
            thread: outgoing.thread,
            sequence: outgoing.sequence,
            time_millis: outgoing.time_millis,
            body: outgoing.body.clone().unwrap_or(Body::Here(Vec::new())),
            enclosures: outgoing.enclosures.clone(),
            receipts: outgoing.receipts.clone(),
            notes: notes.to_bytes(),
        }
    }

    /// The key of this device.
    pub fn device(&self) -> Key {
        Key::from(self.me.key().name())
    }

    /// One's own card.
    pub fn card(&self) -> String {
        let card = crate::proto::identity::card::Card {
            id: self.id,
            name: self.me.name.clone(),
            hints: Vec::new(),
            admission: None,
        };
        let link = card.to_link();
        link.unwrap_or_else(|_| format!("{}{}", crate::proto::identity::SCHEME, self.id))
    }

    /// Tells nobody that a search is on that nobody waits for: says it again after a restart.
    pub(super) fn search_again(&mut self) {
        let unstamped: Vec<_> = self
            .under_way
            .iter()
            .filter(|(_, (message, to))| {
                let outgoing = self.outbox.get(message);
                let mut parcels = outgoing.into_iter().flat_map(|outgoing| &outgoing.parcels);
                let sealed = parcels.find(|parcel| parcel.to == *to);
                let sealed = sealed.and_then(|parcel| parcel.sealed.as_ref());
                sealed.is_some_and(|sealed| sealed.owes().is_some())
            })
            .map(|(id, _)| *id)
            .collect();
        unstamped.into_iter().for_each(|id| self.search(id));
    }
}

/// The strangers' lane now, of this week if it is known.
fn terms_now(offer: &Offer, unix: u64) -> Option<Terms> {
    let (first, last) = weeks(unix);
    let around = (first.0..=last.0)
        .map(Week)
        .filter_map(|week| offer.terms(week));
    around.min_by_key(|terms| terms.week.0.abs_diff(Week::of(unix).0))
}

/// The longest time that the lane allows, and its terms.
fn expiry(terms: &Terms, unix: u64) -> Expiry {
    let lane: Lane = terms.lane();
    let latest = u32::try_from(terms.latest() / crate::proto::custody::HOUR).unwrap_or(u32::MAX);
    Expiry(Expiry::from_now(lane, unix).0.min(latest))
}
