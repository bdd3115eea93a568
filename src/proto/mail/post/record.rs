//! One's own mail record, week by week, and which mailboxes are read.

use super::offer::Offer;
use super::types::Policy;
use super::{IdentityStage, Post};
use crate::proto::custody::tag::{MAX_STAMP_BITS, Pass, WEEKS_AHEAD, WEEKS_BACK, Week};
use crate::proto::custody::{CLOCK_ERROR, HOUR, PeerId, RELAYS_MAX, collector};
use crate::proto::identity::Key;
use crate::proto::mail::Suite;
use crate::proto::mail::record::{self, Draft, MAX_VALIDITY, MailRecord, Prekey};
use crate::proto::ordered::Set;

/// Seconds for which a lane is read on after nobody is told of it any more: the 60 days of a record.
pub(super) const READ_ON: u64 = MAX_VALIDITY;

/// Former generations or prices that are read besides the current one. Ours.
const FORMER: usize = 1;

/// Lanes that are read: those of contacts and of strangers, and as many former ones. With more, a stream would be asked for more tags than
/// custodians answer.
const LANES: usize = 2 * (1 + FORMER);

/// Seconds in a day: mailboxes end and begin by weeks.
const DAY: u64 = 24 * HOUR;

impl Post {
    pub(super) fn policy(&mut self, policy: Policy) {
        let bits = policy.stamp_bits.min(MAX_STAMP_BITS);
        let policy = Policy {
            stamp_bits: bits,
            relays: policy.relays.into_iter().take(RELAYS_MAX).collect(),
            ..policy
        };
        if self.me.policy == policy {
            return;
        }
        self.me.policy = policy;
        self.reads_price(bits);
        self.save_me();
        self.read_mailboxes();
        self.review();
    }

    pub(super) fn relays_changed(&mut self, relays: Vec<PeerId>) {
        self.relays = relays;
        self.read_relays();
        self.review();
    }

    /// The passes that were given out are worth nothing from now on.
    pub(super) fn new_generation(&mut self) {
        let until = self.unix() + READ_ON;
        let current = self.me.generations[0].0;
        self.me.generations[0].1 = until;
        self.me.generations.insert(0, (current + 1, u64::MAX));
        self.me.generations.truncate(1 + FORMER);
        self.save_me();
        self.read_mailboxes();
        self.give_all_passes();
    }

    /// The contacts who could write to us without a stamp can do so again.
    pub(super) fn give_all_passes(&mut self) {
        let contacts: Vec<_> = self
            .people
            .iter()
            .filter(|(_, person)| person.is_contact() && !person.passes.is_empty())
            .map(|(id, _)| *id)
            .collect();
        for contact in contacts {
            self.give_passes(contact);
        }
    }

    fn reads_price(&mut self, bits: u8) {
        let until = self.unix() + READ_ON;
        let prices = &mut self.me.prices;
        if prices[0].0 == bits {
            return;
        }
        prices[0].1 = until;
        prices.retain(|(other, _)| *other != bits);
        prices.insert(0, (bits, u64::MAX));
        prices.truncate(1 + FORMER);
    }

    /// Reads both lanes of all weeks in which mail may lie.
    pub(super) fn read_mailboxes(&mut self) {
        if !self.is_ready() {
            return;
        }
        let unix = self.unix();
        self.read_relays();
        let lanes = (self.me.generations.clone(), self.me.prices.clone());
        let reading = Some((unix / DAY, lanes));
        if self.reading == reading {
            return;
        }
        self.reading = reading;
        let Week(next) = Week::of(unix + CLOCK_ERROR);
        let former = self.me.former.as_ref().filter(|former| former.until > unix);
        let weeks = || (next.saturating_sub(WEEKS_BACK + 1)..=next).rev().map(Week);
        let current = |until: &u64| *until > unix;
        let mailbox = &self.mailbox;
        let mut lanes: Vec<Vec<_>> = Vec::new();
        // Those that most is left in first.
        for place in 0..=FORMER {
            if let Some((generation, _)) = self
                .me
                .generations
                .get(place)
                .filter(|(_, until)| current(until))
            {
                lanes.push(
                    weeks()
                        .map(|week| mailbox.contacts(*generation, week))
                        .collect(),
                );
            }
            if let Some((bits, _)) = self
                .me
                .prices
                .get(place)
                .filter(|(_, until)| current(until))
            {
                lanes.push(weeks().map(|week| mailbox.strangers(*bits, week)).collect());
            }
            if let Some(former) = former.filter(|_| place == 0) {
                let mailbox = former.secret();
                let (generation, bits) = (former.generation, former.bits);
                lanes.push(
                    weeks()
                        .map(|week| mailbox.contacts(generation, week))
                        .collect(),
                );
                lanes.push(weeks().map(|week| mailbox.strangers(bits, week)).collect());
            }
        }
        lanes.truncate(LANES);
        let mut readings: Vec<_> = lanes.into_iter().flatten().collect();
        readings.retain(|reading| reading.terms.latest() + CLOCK_ERROR > unix);
        self.collect(collector::Input::Read(readings));
    }

    fn read_relays(&mut self) {
        let relays = self.mail_relays();
        self.collect(collector::Input::Relays(relays));
    }

    /// The relays that the record names: those that the person chose, or else those that are connected.
    fn mail_relays(&self) -> Vec<PeerId> {
        let named = self.me.record.as_ref();
        let named = named.and_then(|record| Offer::parse(&record.says().custody).ok());
        let mut relays = match self.me.policy.relays.is_empty() {
            true => self.relays.clone(),
            false => self.me.policy.relays.clone(),
        };
        // Senders go by the record, so whom it names is asked as long as there is room.
        relays.extend(named.map(|offer| offer.relays).unwrap_or_default());
        let mut seen = Set::new();
        relays.retain(|relay| seen.insert(*relay));
        relays.truncate(RELAYS_MAX);
        relays
    }

    /// What time alone changes.
    pub(super) fn review(&mut self) {
        if self.me.stage == IdentityStage::Looking {
            return self.look_own();
        }
        if !self.is_ready() {
            // What left this machine out may be overruled; that the identity has ended, others may still have to hear.
            self.look_own();
            return self.review_identity();
        }
        self.look_own();
        self.publish();
        let keys = self.me.keys.to_bytes();
        self.me.keys.sweep(self.unix());
        let unix = self.unix();
        self.me.former.take_if(|former| former.until <= unix);
        if self.me.keys.to_bytes() != keys {
            self.save_me();
        }
        self.read_mailboxes();
        self.sweep_held();
        self.sweep_outbox();
        self.review_devices();
        self.review_people();
    }

    /// Signs a record for this week, unless there is one that says all that it would.
    fn publish(&mut self) {
        let now = self.unix();
        let week = self.week();
        let mut policy = self.me.policy.clone();
        if policy.relays.is_empty() {
            policy.relays = self.relays.iter().copied().take(RELAYS_MAX).collect();
        }
        let current = self.me.record.as_ref().is_some_and(|record| {
            let keys = &record.says().keys;
            let newest = keys.first().is_some_and(|key| key.week >= week);
            newest && record.says().until > now + MAX_VALIDITY / 2
        });
        let offer = Some((week, policy));
        if current && self.offer == offer {
            return self.put_record();
        }
        let Some((week, policy)) = &offer else { return };
        let (week, relays) = (*week, policy.relays.clone());
        let says = Offer::new(&self.mailbox, policy.open, policy.stamp_bits, week, relays);
        let custody = says.to_bytes();
        self.offer = offer;
        // What another device offers stands until this one has something new to say.
        if current && self.me.offered == custody {
            return self.put_record();
        }
        let bits = says.bits;
        let issued = self
            .me
            .record
            .as_ref()
            .map_or(now, |record| now.max(record.says().issued + 1));
        let Ok(secret) = self.me.keys.secret(week) else {
            return;
        };
        let says = Draft {
            id: self.id,
            issued,
            until: issued + MAX_VALIDITY,
            keys: vec![Prekey {
                suite: Suite::X_WING,
                week,
                key: secret.public().to_bytes(),
            }],
            custody: custody.clone(),
        };
        if let Ok(record) = MailRecord::sign(&self.mail_key(), says) {
            self.me.record = Some(record);
            self.me.offered = custody;
            self.reads_price(bits);
            self.save_me();
            self.put_record();
        }
    }

    fn put_record(&mut self) {
        let Some(record) = &self.me.record else {
            return;
        };
        let key = record::routing_key(record.key());
        let value = record.bytes().to_vec();
        let same = self.puts.get(&key[..]).is_some_and(|put| put.is(&value));
        if !same {
            self.put(&key, value);
        }
    }

    /// Others hold the record, so they seal to its key from now on, and the ones before can go when their time comes.
    pub(super) fn record_published(&mut self, key: &[u8]) {
        let Some(record) = &self.me.record else {
            return;
        };
        if key != record::routing_key(record.key()) {
            return;
        }
        let week = record.says().keys.first().map(|key| key.week);
        let before = self.me.keys.to_bytes();
        if let Some(week) = week {
            self.me.keys.published(week, self.now / 1000);
        }
        if self.me.keys.to_bytes() != before {
            self.save_me();
        }
    }

    pub(super) fn look_own_record(&mut self, age: u64) {
        let key = Key::from(self.mail_key().name());
        self.look(&record::routing_key(key), age);
    }

    /// Answers about mail records: one's own, which another device may have signed, or somebody's.
    pub(super) fn mail_records(&mut self, key: &[u8], values: &[Vec<u8>]) {
        let now = self.unix();
        let Some(owner) = record::of_routing_key(key) else {
            return;
        };
        let valid: Vec<_> = values
            .iter()
            .filter_map(|value| record::validate(key, value, now).ok())
            .collect();
        let best = valid
            .into_iter()
            .reduce(|best, other| match other.rank(&best) {
                std::cmp::Ordering::Greater => other,
                _ => best,
            });
        self.looked(key, best.is_some());
        let Some(record) = best else { return };
        if owner == Key::from(self.mail_key().name()) {
            return self.own_record(record);
        }
        let id = record.says().id;
        let Some(person) = self.people.get_mut(&id) else {
            return;
        };
        let newer = person
            .record
            .as_ref()
            .is_none_or(|known| known.key() != owner || record.rank(known).is_gt());
        let theirs = person
            .chain()
            .is_some_and(|chain| chain.state().mail == Some(owner));
        if newer && theirs {
            person.record = Some(record);
            self.save_person(id);
        }
    }

    fn own_record(&mut self, record: MailRecord) {
        let known = self.me.record.as_ref();
        if record.says().id != self.id || known.is_some_and(|known| record.rank(known).is_le()) {
            return;
        }
        if let Ok(offer) = Offer::parse(&record.says().custody) {
            // Strangers go by what the other device offers.
            self.reads_price(offer.bits);
        }
        let key = record::routing_key(record.key());
        self.me.record = Some(record);
        self.puts.remove(&key[..]);
        self.record_published(&key);
        self.save_me();
        self.review();
    }

    /// What a contact is given for the coming weeks.
    pub(super) fn passes(&self) -> Vec<Pass> {
        let generation = self.me.generations[0].0;
        let Week(first) = self.week();
        (first..first + WEEKS_AHEAD)
            .map(|week| self.mailbox.pass(generation, Week(week)))
            .collect()
    }
}
