//! Other people: who they are to the person, what is known of their identities and mailboxes, and what they gave.
//!
//! Whoever the person wrote to, accepted or added by a card is a contact. What strangers send makes a request, which is one of a bounded
//! queue until the person says what they are.

use super::outbox::Stage;
use super::types::Contact;
use super::{Output, Post};
use crate::proto::custody::CLOCK_ERROR;
use crate::proto::custody::tag::{Pass, Week};
use crate::proto::identity::chain::Chain;
use crate::proto::identity::fork::Lineage;
use crate::proto::identity::{Id, record as index};
use crate::proto::mail::record::MailRecord;
use crate::proto::mail::{MailError, Suite};

/// People that are remembered: as many as petnames.
pub const MAX_PEOPLE: usize = 10_000;

/// Milliseconds after which a contact's chain is looked up though nothing is written to them.
const LOOK_CONTACTS: u64 = 24 * 60 * 60 * 1000;

/// Strangers whose identities are remembered in a run: four for each request that waits.
const MAX_STRANGERS: usize = 256;

/// Who somebody is to the person.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Standing {
    /// Nobody: their identity is known, no more.
    Unknown,
    /// They wrote, and wait for an answer.
    Request,
    /// A contact.
    Accepted,
    /// A contact of whose mail the person is not told.
    Muted,
    /// Their mail is deleted unread.
    Blocked,
}

/// Somebody.
#[derive(Debug, Clone)]
pub(super) struct Person {
    pub(super) standing: Standing,
    /// What they call themselves.
    pub(super) name: Option<String>,
    pub(super) petname: Option<String>,
    /// In milliseconds since 1970.
    pub(super) since: u64,
    /// When the person last said something of them: the later counts on all devices.
    pub(super) changed: u64,
    pub(super) lineage: Option<Lineage>,
    pub(super) record: Option<MailRecord>,
    /// What admits to their lane of contacts.
    pub(super) passes: Vec<Pass>,
    /// When they were given, in milliseconds since 1970, by the clock of who gave them.
    pub(super) given: u64,
    /// The weakest way of sealing that is accepted of them and used for them.
    pub(super) weakest: Suite,
}

impl Person {
    pub(super) fn new(now: u64) -> Self {
        Self {
            standing: Standing::Unknown,
            name: None,
            petname: None,
            since: now,
            changed: 0,
            lineage: None,
            record: None,
            passes: Vec::new(),
            given: 0,
            weakest: Suite::X_WING,
        }
    }

    pub(super) fn is_contact(&self) -> bool {
        matches!(self.standing, Standing::Accepted | Standing::Muted)
    }

    pub(super) fn chain(&self) -> Option<&Chain> {
        self.lineage.as_ref().map(Lineage::chain)
    }

    /// Whether their identity contradicts itself, at `unix` in seconds since 1970.
    pub(super) fn forked(&self, unix: u64) -> bool {
        self.lineage
            .as_ref()
            .is_some_and(|lineage| lineage.contradicts(unix))
    }

    pub(super) fn ended(&self) -> bool {
        self.chain().is_some_and(|chain| chain.state().ended)
    }

    /// What admits to their lane now: of the weeks in which they look often, the latest that has begun by somebody's clock.
    pub(super) fn pass(&self, unix: u64) -> Option<&Pass> {
        let (first, last) = weeks(unix);
        let passes = self.passes.iter().map(|pass| (pass.week(), pass));
        let good = passes.filter(|(week, _)| (first..=last).contains(week));
        // That of this week rather than of the next.
        good.min_by_key(|(week, _)| week.0.abs_diff(Week::of(unix).0))
            .map(|(_, pass)| pass)
    }
}

/// The weeks in which mail can be left: the last, this one, and the next where it has begun by a clock that is ahead.
pub(super) fn weeks(unix: u64) -> (Week, Week) {
    (
        Week(Week::of(unix).0.saturating_sub(1)),
        Week::of(unix + CLOCK_ERROR),
    )
}

impl Post {
    /// Somebody, remembered from now on if there is room.
    pub(super) fn person(&mut self, id: Id) -> Option<&mut Person> {
        if !self.people.contains_key(&id) {
            let unknown = |person: &Person| person.standing == Standing::Unknown;
            let strangers = self.people.iter().filter(|(_, person)| unknown(person));
            let strangers: Vec<_> = strangers.map(|(id, person)| (person.since, *id)).collect();
            if strangers.len() >= MAX_STRANGERS {
                let busy = |id: Id| self.unsealed.iter().any(|(_, to)| *to == id);
                let free = strangers.into_iter().filter(|(_, id)| !busy(*id));
                let (_, oldest) = free.min()?;
                self.people.remove(&oldest);
            }
            if self.people.len() >= MAX_PEOPLE {
                return None;
            }
            self.people.insert(id, Person::new(self.now));
        }
        self.people.get_mut(&id)
    }

    /// The person says who somebody is to them.
    pub(super) fn contact(&mut self, contact: Contact) {
        let Contact {
            id,
            petname,
            standing,
            card,
        } = contact;
        if self.is_me(id) {
            return;
        }
        let now = self.now;
        let Some(person) = self.person(id) else {
            return self.out.push_back(Output::Refused("MAIL_TOO_MANY"));
        };
        let before = std::mem::replace(&mut person.standing, standing);
        person.changed = now;
        if let Some(petname) = petname {
            let petname = super::identity::proper_name(&petname);
            person.petname = (!petname.is_empty()).then_some(petname);
        }
        if let Some(card) = card.filter(|card| card.id == id && !card.name.is_empty()) {
            person.name.get_or_insert(card.name);
        }
        if standing == Standing::Unknown {
            person.petname = None;
        }
        self.stands(id, before);
        self.snapshot_soon();
    }

    /// Whoever the person writes to is a contact from then on.
    pub(super) fn befriend(&mut self, id: Id) {
        let now = self.now;
        let Some(person) = self.person(id) else {
            return;
        };
        if person.is_contact() || person.standing == Standing::Blocked {
            return;
        }
        let before = std::mem::replace(&mut person.standing, Standing::Accepted);
        person.changed = now;
        self.stands(id, before);
        self.snapshot_soon();
    }

    /// What follows from what somebody is now.
    pub(super) fn stands(&mut self, id: Id, before: Standing) {
        let standing = self
            .people
            .get(&id)
            .map_or(Standing::Unknown, |person| person.standing);
        self.save_person(id);
        self.tell_contact(id);
        if standing == before {
            return;
        }
        match standing {
            Standing::Accepted | Standing::Muted => self.accepted(id),
            Standing::Blocked => {
                self.blocked(id);
                if matches!(before, Standing::Accepted | Standing::Muted) {
                    self.new_generation();
                }
            }
            Standing::Unknown => self.blocked(id),
            Standing::Request => {}
        }
    }

    pub(super) fn tell_contact(&mut self, id: Id) {
        let Some(person) = self.people.get(&id) else {
            return;
        };
        self.out.push_back(Output::Contact {
            id,
            standing: person.standing,
            name: person.name.clone(),
            petname: person.petname.clone(),
            since: person.since,
            forked: person.forked(self.unix()),
            ended: person.ended(),
        });
    }

    /// Everybody who is something to the person.
    pub fn contacts(&self) -> impl Iterator<Item = Output> + '_ {
        let known = self
            .people
            .iter()
            .filter(|(_, person)| person.standing != Standing::Unknown);
        known.map(|(id, person)| Output::Contact {
            id: *id,
            standing: person.standing,
            name: person.name.clone(),
            petname: person.petname.clone(),
            since: person.since,
            forked: person.forked(self.unix()),
            ended: person.ended(),
        })
    }

    /// Answers about the chains and records of others.
    pub(super) fn records(&mut self, key: &[u8], values: Vec<Vec<u8>>) {
        match index::of_routing_key(key) {
            Some(id) if self.is_me(id) => self.own_chains(key, &values),
            Some(id) => self.chains(id, key, &values),
            None => self.mail_records(key, &values),
        }
    }

    fn chains(&mut self, id: Id, key: &[u8], values: &[Vec<u8>]) {
        let now = self.unix();
        let mut good = false;
        let mut changed = false;
        let Some(person) = self.people.get_mut(&id) else {
            return;
        };
        let before = (person.forked(now), person.ended());
        for value in values {
            let Ok(chain) = index::validate(key, value, person.chain(), now) else {
                continue;
            };
            good = true;
            changed |= match &mut person.lineage {
                Some(lineage) => {
                    let brought = lineage.bring(chain, now);
                    brought
                        .is_ok_and(|brought| brought != crate::proto::identity::fork::Brought::Same)
                }
                None => {
                    person.lineage = Lineage::new(chain, now).ok();
                    true
                }
            };
        }
        let after = (person.forked(now), person.ended());
        self.looked(key, good);
        if changed {
            self.save_person(id);
        }
        // What time alone has made a contradiction was none when it was told last.
        if after != before || after.0 {
            self.tell_contact(id);
        }
        if after.1 && !before.1 {
            self.stop_sending(id);
        }
    }

    /// Somebody has given their identity up: nobody reads what is under way to them.
    fn stop_sending(&mut self, to: Id) {
        let to_them = self.outbox.iter().filter(|(_, outgoing)| {
            let mut parcels = outgoing.parcels.iter();
            parcels.any(|parcel| parcel.to == to && !parcel.stage.is_final())
        });
        let messages: Vec<_> = to_them.map(|(id, _)| *id).collect();
        for message in messages {
            self.settle_parcel(message, to, Stage::Refused, Some(MailError::Ended));
        }
    }

    /// Looks one contact's identity up, if it was not for a day: who does not write to them still learns that their keys are others, or that
    /// they have given it up.
    pub(super) fn review_people(&mut self) {
        let contacts = self.people.iter().filter(|(_, person)| person.is_contact());
        let keys: Vec<_> = contacts.map(|(id, _)| index::routing_key(*id)).collect();
        for key in keys {
            if !self.look(&key, LOOK_CONTACTS) {
                return;
            }
        }
    }
}

/// Digits to compare by telephone: thirty of them in groups of five, as Signal has for each side.
pub fn safety(id: Id) -> String {
    let hash = blake3::derive_key(SAFETY_CONTEXT, &id.0);
    let group = |bytes: &[u8]| {
        let number = bytes
            .iter()
            .fold(0u64, |number, byte| number << 8 | u64::from(*byte));
        format!("{:05}", number % 100_000)
    };
    let groups: Vec<_> = hash[..30].chunks(5).map(group).collect();
    groups.join(" ")
}

const SAFETY_CONTEXT: &str = "gyre 2026-11-23 identity safety digits";
