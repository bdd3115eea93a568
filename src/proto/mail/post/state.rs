//! What is saved, and how it is taken back: one value for each thing that changes by itself.
//!
//! Each is an array that begins with a version. A value that does not open or cannot be read is left out and counted, but for the
//! identity: without it nothing is what it seems.

use bytes::Bytes;
use zeroize::Zeroizing;

use super::Post;
use super::devices::Device;
use super::identity::{Me, Stage as IdentityStage};
use super::inbox::{Held, Lies, Owed};
use super::outbox::{Kind, Outgoing, Parcel, Sealed, Stage};
use super::people::{Person, Standing};
use super::snapshot::name;
use super::types::{Policy, Ref};
use crate::proto::cbor::{Reader, Writer};
use crate::proto::custody::deposit::{Deposit, Expiry};
use crate::proto::custody::tag::{PASS_LEN, Pass, TERMS_LEN, Tag, Terms};
use crate::proto::custody::{MessageId as DepositId, PeerId, RELAYS_MAX};
use crate::proto::identity::chain::Chain;
use crate::proto::identity::fork::{Lineage, Seen};
use crate::proto::identity::{Id, Key, OpId};
use crate::proto::mail::enclosure::Enclosure;
use crate::proto::mail::message::{Body, Fate, MessageId, Receipt};
use crate::proto::mail::prekey::Prekeys;
use crate::proto::mail::record::MailRecord;
use crate::proto::mail::{MailError, Suite, exactly};

const ME: char = 'i';
const COUNTS: char = 'n';
const SYNC: char = 'y';
const PERSON: char = 'c';
const DEVICE: char = 'd';
const OUTGOING: char = 'o';
const SEALED: char = 'e';
const HELD: char = 'l';

const VERSION: u64 = 1;

/// What stands under one name.
enum Entry {
    Me(Box<Me>),
    Counts(u64, u64, u64, Vec<Ref>),
    Sync(Vec<u8>),
    Person(Id, Box<Person>),
    Device(Key, Device),
    Outgoing(MessageId, Box<Outgoing>),
    Sealed(MessageId, Id, Sealed),
    Held(DepositId, Held),
}

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
                    parcel.stage = match sealed.deposit {
                        Some(_) => Stage::Looking,
                        None => Stage::Stamping,
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
        if self.is_ready() && self.snapshots.number > 0 {
            let last = self
                .outbox
                .values()
                .filter(|outgoing| outgoing.kind == Kind::Snapshot);
            if last.max_by_key(|outgoing| outgoing.number).is_none() {
                self.snapshot_soon();
            }
        }
        self.search_again();
    }

    pub(super) fn save_me(&mut self) {
        let me = &self.me;
        let mut out = begin(12);
        out.uint(match me.stage {
            IdentityStage::None => 0,
            IdentityStage::Looking => 1,
            IdentityStage::Ready => 2,
            IdentityStage::Removed => 3,
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
        let Some(outgoing) = self.outbox.get(&id) else {
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
        let mut out = begin(8);
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

fn read_lineage(reader: &mut Reader<'_>) -> Result<Option<Lineage>, MailError> {
    let damaged = |_| MailError::StateDamaged;
    let mut chains = Vec::new();
    for _ in 0..reader.array()? {
        let bytes = reader.bytes()?;
        // Sealed by us, so whose it is stands in its first operation.
        let chain = match chains.first() {
            None => Chain::parse_stored(bytes).map_err(damaged)?,
            Some(known) => Chain::parse_after(known, bytes).map_err(damaged)?,
        };
        chains.push(chain);
    }
    let mut seen = Seen::default();
    let mut last = 0;
    for _ in 0..reader.array()? {
        exactly(reader.array()?, 2)?;
        let op = OpId(reader.fixed_bytes()?);
        let at = reader.uint()?;
        last = last.max(at);
        seen.note(op, at);
    }
    let mut chains = chains.into_iter();
    let Some(first) = chains.next() else {
        return Ok(None);
    };
    let mut lineage = Lineage::restore(first, seen);
    for chain in chains {
        lineage.bring(chain, last).map_err(damaged)?;
    }
    Ok(Some(lineage))
}

fn write_pairs(out: &mut Writer, pairs: impl ExactSizeIterator<Item = (u64, u64)>) {
    out.array(pairs.len());
    for (first, second) in pairs {
        out.array(2);
        out.uint(first);
        out.uint(second);
    }
}

fn read_pairs(reader: &mut Reader<'_>) -> Result<Vec<(u64, u64)>, MailError> {
    let mut pairs = Vec::new();
    for _ in 0..reader.array()? {
        exactly(reader.array()?, 2)?;
        pairs.push((reader.uint()?, reader.uint()?));
    }
    match pairs.is_empty() {
        true => Err(MailError::Malformed),
        false => Ok(pairs),
    }
}

fn read(name: &str, plain: &[u8]) -> Result<Entry, MailError> {
    let mut reader = Reader::new(plain);
    reader.array()?;
    match reader.uint()? {
        VERSION => {}
        other => return Err(MailError::Version(other)),
    }
    let kind = name.chars().next().ok_or(MailError::Malformed)?;
    let entry = match kind {
        ME => Entry::Me(Box::new(read_me(&mut reader)?)),
        COUNTS => Entry::Counts(
            reader.uint()?,
            reader.uint()?,
            reader.uint()?,
            arrays(reader.bytes()?)?.map(Ref).collect(),
        ),
        SYNC => Entry::Sync(reader.bytes()?.to_vec()),
        PERSON => {
            let id = Id(reader.fixed_bytes()?);
            Entry::Person(id, Box::new(read_person(&mut reader)?))
        }
        DEVICE => {
            let key = Key(reader.fixed_bytes()?);
            Entry::Device(key, read_device(&mut reader)?)
        }
        OUTGOING => {
            let id = MessageId(reader.fixed_bytes()?);
            Entry::Outgoing(id, Box::new(read_outgoing(&mut reader)?))
        }
        SEALED => {
            let (message, to) = (MessageId(reader.fixed_bytes()?), Id(reader.fixed_bytes()?));
            Entry::Sealed(message, to, read_sealed(&mut reader)?)
        }
        HELD => {
            let id = DepositId(reader.fixed_bytes()?);
            Entry::Held(id, read_held(&mut reader)?)
        }
        _ => return Err(MailError::Malformed),
    };
    match reader.is_at_end() {
        true => Ok(entry),
        false => Err(MailError::Malformed),
    }
}

fn read_me(reader: &mut Reader<'_>) -> Result<Me, MailError> {
    let stage = match reader.uint()? {
        0 => IdentityStage::None,
        1 => IdentityStage::Looking,
        2 => IdentityStage::Ready,
        3 => IdentityStage::Removed,
        _ => return Err(MailError::Malformed),
    };
    let name = reader.text()?.to_owned();
    let device = Zeroizing::new(reader.fixed_bytes()?);
    let lineage = read_lineage(reader)?;
    let keys = Prekeys::parse(reader.bytes()?)?;
    exactly(reader.array()?, 4)?;
    let policy = Policy {
        stamp_bits: small(reader.uint()?)?,
        read_receipts: reader.uint()? == 1,
        open: reader.uint()? == 1,
        relays: peers(reader.bytes()?)?,
    };
    let generations = read_pairs(reader)?.into_iter();
    let generations: Result<_, _> = generations
        .map(|(number, until)| Ok((small(number)?, until)))
        .collect();
    let prices = read_pairs(reader)?.into_iter();
    let prices: Result<_, _> = prices
        .map(|(bits, until)| Ok((small(bits)?, until)))
        .collect();
    let mail = lineage
        .as_ref()
        .and_then(|lineage| lineage.chain().state().mail);
    Ok(Me {
        stage,
        name,
        device,
        keys,
        policy,
        generations: generations.and_then(|list: Vec<_>| Ok::<_, MailError>(list))?,
        prices: prices.and_then(|list: Vec<_>| Ok::<_, MailError>(list))?,
        record: read_record(reader, mail)?,
        offered: reader.bytes()?.to_vec(),
        held: match reader.bytes()? {
            [] => None,
            head => Some(OpId(head.try_into().map_err(|_| MailError::Malformed)?)),
        },
        lineage,
        lost: false,
    })
}

fn read_record(reader: &mut Reader<'_>, key: Option<Key>) -> Result<Option<MailRecord>, MailError> {
    match (reader.bytes()?, key) {
        ([], _) | (_, None) => Ok(None),
        // One of a key that counts no more is looked up again.
        (bytes, Some(key)) => Ok(MailRecord::verify(key, bytes).ok()),
    }
}

fn read_person(reader: &mut Reader<'_>) -> Result<Person, MailError> {
    let standing = Standing::of_code(reader.uint()?)?;
    let (own, petname) = (name(reader)?, name(reader)?);
    let (since, changed) = (reader.uint()?, reader.uint()?);
    let lineage = read_lineage(reader)?;
    let mail = lineage
        .as_ref()
        .and_then(|lineage| lineage.chain().state().mail);
    Ok(Person {
        standing,
        name: own,
        petname,
        since,
        changed,
        record: read_record(reader, mail)?,
        passes: arrays::<PASS_LEN>(reader.bytes()?)?
            .map(|pass| Pass::decode(&pass))
            .collect(),
        given: reader.uint()?,
        weakest: Suite(small(reader.uint()?)?),
        lineage,
    })
}

fn read_device(reader: &mut Reader<'_>) -> Result<Device, MailError> {
    Ok(Device {
        seen: reader.uint()?,
        sequence: reader.uint()?,
        note: arrays(reader.bytes()?)?.map(DepositId).next(),
        letters: arrays(reader.bytes()?)?.collect(),
        removed: arrays(reader.bytes()?)?.map(Ref).collect(),
        snapshot: reader.uint()?,
        parts: arrays(reader.bytes()?)?.map(DepositId).collect(),
    })
}

fn read_outgoing(reader: &mut Reader<'_>) -> Result<Outgoing, MailError> {
    let kind = match reader.uint()? {
        0 => Kind::Mail,
        1 => Kind::Service,
        2 => Kind::Has,
        3 => Kind::Snapshot,
        _ => return Err(MailError::Malformed),
    };
    let thread = MessageId(reader.fixed_bytes()?);
    let (sequence, time_millis) = (reader.uint()?, reader.uint()?);
    let body = match reader.array()? {
        0 => None,
        1 => Some(Body::Here(reader.bytes()?.to_vec())),
        _ => {
            reader.uint()?;
            Some(Body::There(Enclosure::read(reader)?))
        }
    };
    let mut enclosures = Vec::new();
    for _ in 0..reader.array()? {
        enclosures.push(Enclosure::read(reader)?);
    }
    let mut receipts = Vec::new();
    for _ in 0..reader.array()? {
        exactly(reader.array()?, 2)?;
        receipts.push(Receipt {
            message: MessageId(reader.fixed_bytes()?),
            fate: match reader.uint()? {
                0 => Fate::Delivered,
                _ => Fate::Read,
            },
        });
    }
    let number = reader.uint()?;
    let part = super::notes::Notes::parse(reader.bytes()?)?.part;
    let mut parcels = Vec::new();
    for _ in 0..reader.array()? {
        exactly(reader.array()?, 6)?;
        let mut parcel = Parcel::new(Id(reader.fixed_bytes()?), reader.uint()? == 1);
        parcel.stage = *STAGES
            .get(usize::try_from(reader.uint()?).map_err(|_| MailError::Malformed)?)
            .ok_or(MailError::Malformed)?;
        parcel.peers = reader.uint()? as usize;
        parcel.relays = reader.uint()? as usize;
        let why = reader.text()?;
        parcel.why = (!why.is_empty()).then(|| why.to_owned());
        parcels.push(parcel);
    }
    Ok(Outgoing {
        kind,
        thread,
        sequence,
        time_millis,
        body,
        enclosures,
        receipts,
        number,
        part,
        parcels,
    })
}

fn read_sealed(reader: &mut Reader<'_>) -> Result<Sealed, MailError> {
    let terms: [u8; TERMS_LEN] = reader.fixed_bytes()?;
    let terms = Terms::decode(&terms).ok_or(MailError::Malformed)?;
    let expiry = Expiry(small(reader.uint()?)?);
    let envelope = Bytes::copy_from_slice(reader.bytes()?);
    let head = reader.bytes()?;
    let deposit = match head {
        [] => None,
        head => {
            let whole = Bytes::from([head, &envelope].concat());
            Some(Deposit::decode(&whole).ok_or(MailError::Malformed)?)
        }
    };
    Ok(Sealed {
        terms,
        expiry,
        envelope,
        deposit,
        relays: peers(reader.bytes()?)?,
    })
}

fn read_held(reader: &mut Reader<'_>) -> Result<Held, MailError> {
    Ok(Held {
        tag: Tag(reader.fixed_bytes()?),
        from: Id(reader.fixed_bytes()?),
        message: MessageId(reader.fixed_bytes()?),
        written: reader.uint()?,
        until: reader.uint()?,
        lies: match reader.uint()? {
            1 => Lies::Stored,
            2 => Lies::Buried,
            3 => Lies::Note,
            _ => return Err(MailError::Malformed),
        },
        request: match reader.uint()? {
            0 => None,
            strength => Some(small(strength - 1)?),
        },
        delivered: read_owed(reader)?,
        read: read_owed(reader)?,
    })
}

fn read_owed(reader: &mut Reader<'_>) -> Result<Owed, MailError> {
    Ok(match reader.uint()? {
        0 => Owed::No,
        1 => Owed::Yes,
        2 => Owed::Done,
        _ => return Err(MailError::Malformed),
    })
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

const STAGES: [Stage; 8] = [
    Stage::Waiting,
    Stage::Looking,
    Stage::Stamping,
    Stage::Stored,
    Stage::Delivered,
    Stage::Read,
    Stage::Expired,
    Stage::Refused,
];

fn small<T: TryFrom<u64>>(number: u64) -> Result<T, MailError> {
    T::try_from(number).map_err(|_| MailError::Malformed)
}

fn peers(bytes: &[u8]) -> Result<Vec<PeerId>, MailError> {
    Ok(arrays(bytes)?.map(PeerId).take(RELAYS_MAX).collect())
}

fn arrays<const N: usize>(bytes: &[u8]) -> Result<impl Iterator<Item = [u8; N]>, MailError> {
    let (arrays, rest) = bytes.as_chunks::<N>();
    exactly(rest.len(), 0)?;
    Ok(arrays.iter().copied())
}
