//! What is saved, and how it is taken back: one value for each thing that changes by itself.
//!
//! Each is an array that begins with a version. A value that does not open or cannot be read is left out and counted, but for the
//! identity: without it nothing is what it seems.

use zeroize::Zeroizing;

use super::Post;
use super::identity::Stage as IdentityStage;
use super::inbox::{Lies, Owed};
use super::outbox::{Kind, Sealed, Stage};
use super::people::Standing;
use super::renewal::Decided;
use super::types::Ref;
use crate::proto::cbor::Writer;
use crate::proto::custody::MessageId as DepositId;
use crate::proto::custody::keep::Keep;
use crate::proto::identity::fork::Lineage;
use crate::proto::identity::op::Act;
use crate::proto::identity::{Id, Key};
use crate::proto::mail::MailError;
use crate::proto::mail::message::{Body, Fate, MessageId};
use crate::proto::mail::record::MailRecord;

mod read;

use self::read::{Entry, STAGES, read};

const ME: char = 'i';
const COUNTS: char = 'n';
const SYNC: char = 'y';
const PERSON: char = 'c';
const DEVICE: char = 'd';
const OUTGOING: char = 'o';
const SEALED: char = 'e';
const HELD: char = 'l';

const VERSION: u64 = 1;

impl Post {
    /// Takes back what was saved.
    pub(super) fn restore(&mut self, entries: Vec<(String, Vec<u8>)>) -> Result<(), MailError> {
        let mut sealed = Vec::new();
        let any = !entries.is_empty();
        let mut opened = false;
        for (name, value) in entries {
            let entry = self.vault.open(&name, &value);
            opened |= entry.is_some();
            let entry = entry.and_then(|plain| read(&name, &plain).ok());
            match entry {
                None if name.starts_with(ME) => return Err(MailError::StateDamaged),
                None => self.damaged += 1,
                Some(Entry::Me(me)) => self.me = *me,
                Some(Entry::Counts(sequence, has, number, removed)) => {
                    self.sequence = sequence;
                    self.snapshots.has = has;
                    self.snapshots.number = number;
                    self.snapshots.removed = removed;
                }
                Some(Entry::Sync(data)) => self.snapshots.data = data,
                Some(Entry::Person(id, person)) => {
                    self.people.insert(id, *person);
                }
                Some(Entry::Device(key, device)) => {
                    self.devices.insert(key, device);
                }
                Some(Entry::Outgoing(id, outgoing)) => {
                    self.outbox.insert(id, *outgoing);
                }
                Some(Entry::Sealed(message, to, parcel)) => sealed.push((message, to, parcel)),
                Some(Entry::Held(id, held)) => {
                    self.held.insert(id, held);
                }
            }
        }
        if any && !opened {
            return Err(MailError::StateDamaged);
        }
        for (message, to, parcel) in sealed {
            self.take_sealed(message, to, parcel);
        }
        self.take_back();
        Ok(())
    }

    fn take_sealed(&mut self, message: MessageId, to: Id, sealed: Sealed) {
        let found = self
            .outbox
            .get_mut(&message)
            .and_then(|outgoing| outgoing.parcel(to));
        match found.filter(|parcel| !parcel.stage.is_final()) {
            Some(parcel) => {
                // The parcel may have been sealed, or stamped, just before this machine stopped.
                if parcel.stage < Stage::Stored {
                    parcel.stage = match sealed.owes() {
                        None => Stage::Looking,
                        Some(_) => Stage::Stamping,
                    };
                }
                self.under_way.insert(sealed.id(), (message, to));
                parcel.sealed = Some(sealed);
            }
            None => self.unsave_sealed(message, to),
        }
    }

    /// Makes the rest from what was read.
    fn take_back(&mut self) {
        for (id, outgoing) in &mut self.outbox {
            for parcel in &mut outgoing.parcels {
                if parcel.sealed.is_none() && !parcel.stage.is_final() {
                    parcel.stage = Stage::Waiting;
                    self.unsealed.insert((*id, parcel.to));
                }
            }
        }
        let mut owed = false;
        for (id, held) in &self.held {
            let message = Ref::of(held.from, held.message);
            self.refs.insert(message, *id);
            self.seen.restore(held.from, held.message, held.written);
            owed |= held.delivered == Owed::Yes || held.read == Owed::Yes;
            if let Some(strength) = held.request
                && held.lies != Lies::Buried
            {
                self.requests.add(*id, strength);
            }
        }
        if owed {
            self.receipts_soon();
        }
        // A parcel to oneself that was sealed just before this machine stopped is known all the same.
        let mine: Vec<_> = self
            .under_way
            .iter()
            .filter(|(id, (_, to))| *to == self.id && !self.held.contains_key(id))
            .map(|(id, (message, _))| (*id, *message))
            .collect();
        for (id, message) in mine {
            let outgoing = self.outbox.get_mut(&message);
            let Some((kind, parcel)) = outgoing.and_then(|outgoing| {
                let kind = outgoing.kind;
                Some((kind, outgoing.parcel(self.id)?.sealed.clone()?))
            }) else {
                continue;
            };
            self.lies_for_us(id, &parcel.terms, parcel.expiry, message, kind);
        }
        let snapshots = self
            .outbox
            .values()
            .filter(|outgoing| outgoing.kind == Kind::Snapshot);
        let last = snapshots.map(|outgoing| outgoing.time_millis).max();
        let changed = self.people.values().map(|person| person.changed);
        let changed = changed.filter(|at| *at > 0).max();
        // What changed shortly before the last run ended was not told.
        if self.is_ready() && (changed > last || (last.is_none() && self.snapshots.number > 0)) {
            self.snapshot_soon();
        }
        self.search_again();
    }

    pub(super) fn save_me(&mut self) {
        let me = &self.me;
        let mut out = begin(15);
        out.uint(match me.stage {
            IdentityStage::None => 0,
            IdentityStage::Looking => 1,
            IdentityStage::Ready => 2,
            IdentityStage::Removed => 3,
            IdentityStage::Ended => 4,
        });
        out.text(&me.name);
        out.bytes(&*me.device);
        write_lineage(&mut out, me.lineage.as_ref());
        out.bytes(&me.keys.to_bytes());
        out.array(4);
        out.uint(me.policy.stamp_bits.into());
        out.uint(me.policy.read_receipts.into());
        out.uint(me.policy.open.into());
        out.bytes(
            &me.policy
                .relays
                .iter()
                .flat_map(|relay| relay.0)
                .collect::<Vec<_>>(),
        );
        write_pairs(
            &mut out,
            me.generations
                .iter()
                .map(|(number, until)| (u64::from(*number), *until)),
        );
        write_pairs(
            &mut out,
            me.prices
                .iter()
                .map(|(bits, until)| (u64::from(*bits), *until)),
        );
        out.bytes(me.record.as_ref().map_or(&[][..], MailRecord::bytes));
        out.bytes(&me.offered);
        out.bytes(me.held.as_ref().map_or(&[][..], |head| &head.0));
        match &me.turn {
            None => out.array(0),
            Some(turn) => {
                out.array(3);
                out.bytes(&*turn.identity);
                out.bytes(&*turn.mail);
                out.bytes(&*turn.mailbox);
            }
        }
        match &me.former {
            None => out.array(0),
            Some(former) => {
                out.array(5);
                out.bytes(&*former.mailbox);
                out.bytes(&former.keys.to_bytes());
                out.uint(former.generation.into());
                out.uint(former.bits.into());
                out.uint(former.until);
            }
        }
        out.array(me.decided.len());
        for Decided { op, act } in &me.decided {
            out.array(3);
            out.bytes(&op.0);
            let (site, key) = match act {
                Act::SetSite { site, key } => (1 + u64::from(*site), *key),
                Act::RemoveDevice(key) => (0, Some(*key)),
                _ => unreachable!("people decide about sites and machines"),
            };
            out.uint(site);
            out.bytes(key.as_ref().map_or(&[][..], |key| &key.0));
        }
        let name = self.vault.name(ME, &[]);
        let plain = Zeroizing::new(out.0);
        self.save(name, &plain);
    }

    pub(super) fn save_counts(&mut self) {
        let mut out = begin(5);
        out.uint(self.sequence);
        out.uint(self.snapshots.has);
        out.uint(self.snapshots.number);
        let removed: Vec<_> = self
            .snapshots
            .removed
            .iter()
            .map(|message| message.0)
            .collect();
        out.bytes(&removed.concat());
        let name = self.vault.name(COUNTS, &[]);
        self.save(name, &out.0);
    }

    pub(super) fn save_sync(&mut self) {
        let mut out = begin(2);
        out.bytes(&self.snapshots.data);
        let name = self.vault.name(SYNC, &[]);
        self.save(name, &out.0);
    }

    /// Saves what is known of somebody, unless that is nothing but their keys.
    pub(super) fn save_person(&mut self, id: Id) {
        let Some(person) = self.people.get(&id) else {
            return;
        };
        let name = self.vault.name(PERSON, &[&id.0]);
        if person.standing == Standing::Unknown && person.changed == 0 {
            return;
        }
        let mut out = begin(12);
        out.bytes(&id.0);
        out.uint(person.standing.code());
        out.text(person.name.as_deref().unwrap_or_default());
        out.text(person.petname.as_deref().unwrap_or_default());
        out.uint(person.since);
        out.uint(person.changed);
        write_lineage(&mut out, person.lineage.as_ref());
        out.bytes(person.record.as_ref().map_or(&[][..], MailRecord::bytes));
        out.bytes(
            &person
                .passes
                .iter()
                .flat_map(|pass| *pass.encode())
                .collect::<Vec<_>>(),
        );
        out.uint(person.given);
        out.uint(person.weakest.0.into());
        self.save(name, &Zeroizing::new(out.0));
    }

    pub(super) fn save_device(&mut self, key: Key) {
        let Some(device) = self.devices.get(&key) else {
            return;
        };
        let mut out = begin(9);
        out.bytes(&key.0);
        out.uint(device.seen);
        out.uint(device.sequence);
        out.bytes(device.note.as_ref().map_or(&[][..], |note| &note.0));
        out.bytes(&device.letters.iter().copied().collect::<Vec<_>>().concat());
        out.bytes(
            &device
                .removed
                .iter()
                .flat_map(|message| message.0)
                .collect::<Vec<_>>(),
        );
        out.uint(device.snapshot);
        out.bytes(
            &device
                .parts
                .iter()
                .flat_map(|part| part.0)
                .collect::<Vec<_>>(),
        );
        let name = self.vault.name(DEVICE, &[&key.0]);
        self.save(name, &out.0);
    }

    pub(super) fn save_outgoing(&mut self, id: MessageId) {
        let outgoing = self.outbox.get(&id);
        // What is passed on is not kept before it is sealed.
        let Some(outgoing) = outgoing.filter(|outgoing| outgoing.origin.is_none()) else {
            return;
        };
        let mut out = begin(12);
        out.bytes(&id.0);
        out.uint(kind_code(outgoing.kind));
        out.bytes(&outgoing.thread.0);
        out.uint(outgoing.sequence);
        out.uint(outgoing.time_millis);
        match &outgoing.body {
            None => out.array(0),
            Some(Body::Here(bytes)) => {
                out.array(1);
                out.bytes(bytes);
            }
            Some(Body::There(enclosure)) => {
                out.array(2);
                out.uint(0);
                enclosure.write(&mut out);
            }
        }
        out.array(outgoing.enclosures.len());
        outgoing
            .enclosures
            .iter()
            .for_each(|enclosure| enclosure.write(&mut out));
        out.array(outgoing.receipts.len());
        for receipt in &outgoing.receipts {
            out.array(2);
            out.bytes(&receipt.message.0);
            out.uint((receipt.fate == Fate::Read).into());
        }
        out.uint(outgoing.number);
        out.bytes(
            &super::notes::Notes {
                part: outgoing.part.clone(),
                ..Default::default()
            }
            .to_bytes(),
        );
        out.array(outgoing.parcels.len());
        for parcel in &outgoing.parcels {
            out.array(6);
            out.bytes(&parcel.to.0);
            out.uint(parcel.copy.into());
            out.uint(stage_code(parcel.stage));
            out.uint(parcel.peers as u64);
            out.uint(parcel.relays as u64);
            out.text(parcel.why.as_deref().unwrap_or_default());
        }
        let name = self.vault.name(OUTGOING, &[&id.0]);
        self.save(name, &Zeroizing::new(out.0));
    }

    pub(super) fn forget_outgoing(&mut self, id: MessageId) {
        if let Some(outgoing) = self.outbox.remove(&id) {
            for parcel in &outgoing.parcels {
                self.unsealed.remove(&(id, parcel.to));
                self.unsave_sealed(id, parcel.to);
            }
            let name = self.vault.name(OUTGOING, &[&id.0]);
            self.unsave(name);
        }
    }

    /// Forgets a message of one's own, by what the page calls it.
    pub(super) fn forget_ref(&mut self, message: Ref) {
        let found = self
            .outbox
            .keys()
            .find(|id| Ref::of(self.id, **id) == message);
        if let Some(id) = found.copied() {
            self.forget_outgoing(id);
        }
    }

    pub(super) fn save_sealed(&mut self, message: MessageId, to: Id) {
        let outgoing = self.outbox.get_mut(&message);
        let Some(sealed) = outgoing.and_then(|outgoing| outgoing.parcel(to)?.sealed.clone()) else {
            return;
        };
        let mut out = begin(9);
        out.bytes(&message.0);
        out.bytes(&to.0);
        out.bytes(&sealed.terms.encode());
        out.uint(sealed.expiry.0.into());
        out.bytes(&sealed.envelope);
        let mut deposit = bytes::BytesMut::new();
        if let Some(sealed) = &sealed.deposit {
            sealed.encode_into(&mut deposit);
            // The envelope stands there already.
            deposit.truncate(deposit.len() - sealed.envelope().len());
        }
        out.bytes(&deposit);
        out.bytes(
            &sealed
                .relays
                .iter()
                .flat_map(|relay| relay.0)
                .collect::<Vec<_>>(),
        );
        let keep = sealed.keep.as_ref().map(Keep::encode);
        out.bytes(&keep.unwrap_or_default());
        let name = self.vault.name(SEALED, &[&message.0, &to.0]);
        self.save(name, &out.0);
    }

    pub(super) fn unsave_sealed(&mut self, message: MessageId, to: Id) {
        let name = self.vault.name(SEALED, &[&message.0, &to.0]);
        self.unsave(name);
    }

    pub(super) fn save_held(&mut self, id: DepositId) {
        let Some(held) = self.held.get(&id) else {
            return;
        };
        let mut out = begin(11);
        out.bytes(&id.0);
        out.bytes(&held.tag.0);
        out.bytes(&held.from.0);
        out.bytes(&held.message.0);
        out.uint(held.written);
        out.uint(held.until);
        out.uint(match held.lies {
            // What the page has not said to have is fetched again.
            Lies::Handed => return,
            Lies::Stored => 1,
            Lies::Buried => 2,
            Lies::Note => 3,
        });
        out.uint(held.request.map_or(0, |strength| u64::from(strength) + 1));
        out.uint(owed_code(held.delivered));
        out.uint(owed_code(held.read));
        let name = self.vault.name(HELD, &[&id.0]);
        self.save(name, &out.0);
    }

    pub(super) fn unsave_held(&mut self, id: DepositId) {
        let name = self.vault.name(HELD, &[&id.0]);
        self.unsave(name);
    }
}

fn begin(fields: usize) -> Writer {
    let mut out = Writer::default();
    out.array(fields);
    out.uint(VERSION);
    out
}

fn write_lineage(out: &mut Writer, lineage: Option<&Lineage>) {
    let branches = lineage.map(Lineage::branches).unwrap_or_default();
    out.array(branches.len());
    branches
        .iter()
        .for_each(|branch| out.bytes(&branch.to_bytes()));
    let seen: Vec<_> = lineage
        .into_iter()
        .flat_map(|lineage| lineage.seen().iter())
        .collect();
    out.array(seen.len());
    for (op, at) in seen {
        out.array(2);
        out.bytes(&op.0);
        out.uint(*at);
    }
}

fn write_pairs(out: &mut Writer, pairs: impl ExactSizeIterator<Item = (u64, u64)>) {
    out.array(pairs.len());
    for (first, second) in pairs {
        out.array(2);
        out.uint(first);
        out.uint(second);
    }
}

fn owed_code(owed: Owed) -> u64 {
    match owed {
        Owed::No => 0,
        Owed::Yes => 1,
        Owed::Done => 2,
    }
}

fn kind_code(kind: Kind) -> u64 {
    match kind {
        Kind::Mail => 0,
        Kind::Service => 1,
        Kind::Has => 2,
        Kind::Snapshot => 3,
    }
}

fn stage_code(stage: Stage) -> u64 {
    let place = STAGES.iter().position(|other| *other == stage);
    place.unwrap_or_default() as u64
}
