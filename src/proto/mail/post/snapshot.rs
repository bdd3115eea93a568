//! What a device tells the others, and the machine that comes after it: contacts, and what the page wants known.
//!
//! A snapshot is all of it, in parts of one envelope each, and takes the place of the device's former one once its custodians have signed for
//! every part. It is not deleted until then and is left anew each week, so who has the 24 words finds it for as long as
//! custodians keep mail.

use super::inbox::{Held, Lies};
use super::notes::{MAX_PARTS, PART_LEN, Part};
use super::outbox::Kind;
use super::people::Standing;
use super::types::{Output, Ref};
use super::{MAX_PEOPLE, Post};
use crate::proto::cbor::{Reader, Writer};
use crate::proto::custody::MessageId as DepositId;
use crate::proto::identity::card::MAX_NAME_LEN;
use crate::proto::identity::{Id, Key};
use crate::proto::mail::{MailError, Suite, VERSION, exactly};
use crate::proto::ordered::Map;
use crate::proto::sorting::sort_by_key;

/// Bytes that the page can have told, beside the contacts.
pub const MAX_SYNC: usize = 192 * 1024;

/// Milliseconds that a snapshot waits for more to say.
const GATHER: u64 = 30_000;

/// Milliseconds between two snapshots: each is left at eight peers.
const PAUSE: u64 = 2 * 60 * 1000;

/// Devices whose snapshots are put together at once.
const MAX_BEGUN: usize = crate::proto::identity::MAX_DEVICES;

/// What is told, and what is being put together.
#[derive(Debug, Clone, Default)]
pub(super) struct Snapshots {
    /// What the page said.
    pub(super) data: Vec<u8>,
    /// Counts the notes and the snapshots of this device.
    pub(super) has: u64,
    pub(super) number: u64,
    /// Messages that the person removed here, the newest last.
    pub(super) removed: Vec<Ref>,
    begun: Map<Key, Begun>,
    last: u64,
}

/// A snapshot of which parts are here.
#[derive(Debug, Clone, Default)]
struct Begun {
    number: u64,
    of: usize,
    parts: Map<usize, (Part, DepositId, Held)>,
}

impl Post {
    pub(super) fn sync(&mut self, data: Vec<u8>) {
        if data.len() > MAX_SYNC {
            return self.refuse(MailError::TooLong);
        }
        if self.snapshots.data != data {
            self.snapshots.data = data;
            self.save_sync();
            self.snapshot_soon();
        }
    }

    pub(super) fn snapshot_soon(&mut self) {
        let at = (self.now + GATHER).max(self.snapshots.last + PAUSE);
        self.timers.snapshot.get_or_insert(at);
    }

    pub(super) fn snapshot_due(&mut self) {
        if self.timers.snapshot.is_none_or(|at| at > self.now) {
            return;
        }
        self.timers.snapshot = None;
        self.snapshots.last = self.now;
        let bytes = self.snapshot();
        let parts: Vec<_> = bytes.chunks(PART_LEN).collect();
        let of = parts.len();
        if of > MAX_PARTS {
            return self.refuse(MailError::TooLong);
        }
        self.drop_unsealed(Kind::Snapshot);
        self.snapshots.number += 1;
        let sequence = self.snapshots.number;
        self.save_counts();
        for (place, bytes) in parts.into_iter().enumerate() {
            let part = Part {
                sequence,
                place,
                of,
                bytes: bytes.to_vec(),
            };
            self.tell_own(Kind::Snapshot, sequence, Some(part));
        }
    }

    /// `[version, [[id, standing, petname, name, since, changed, weakest], …], what the page said]`, the contacts that were changed last first, as many as fit.
    fn snapshot(&self) -> Vec<u8> {
        let mut said: Vec<_> = self
            .people
            .iter()
            .filter(|(_, person)| person.changed > 0)
            .collect();
        sort_by_key(&mut said, |(id, person)| (u64::MAX - person.changed, **id));
        let mut room = (MAX_PARTS * PART_LEN).saturating_sub(self.snapshots.data.len() + 64);
        let mut contacts = Vec::new();
        for (id, person) in said {
            let mut out = Writer::default();
            out.array(7);
            out.bytes(&id.0);
            out.uint(person.standing.code());
            out.text(person.petname.as_deref().unwrap_or_default());
            out.text(person.name.as_deref().unwrap_or_default());
            out.uint(person.since);
            out.uint(person.changed);
            out.uint(person.weakest.0.into());
            let Some(left) = room.checked_sub(out.0.len()) else {
                break;
            };
            room = left;
            contacts.push(out.0);
        }
        let mut out = Writer::default();
        out.array(3);
        out.uint(VERSION);
        out.array(contacts.len());
        out.0.extend(contacts.concat());
        out.bytes(&self.snapshots.data);
        out.0
    }

    pub(super) fn take_part(&mut self, key: Key, part: Part, id: DepositId, mut held: Held) {
        held.lies = Lies::Note;
        let known = self.devices.get(&key).map_or(0, |device| device.snapshot);
        if part.sequence <= known {
            let here = self
                .devices
                .get(&key)
                .is_some_and(|device| device.parts.contains(&id));
            self.hold(id, held);
            if !here {
                self.bury(id);
            }
            return;
        }
        if self.snapshots.begun.len() >= MAX_BEGUN && !self.snapshots.begun.contains_key(&key) {
            return;
        }
        let begun = self.snapshots.begun.entry(key).or_default();
        if part.sequence < begun.number {
            return;
        }
        if part.sequence > begun.number || part.of != begun.of {
            *begun = Begun {
                number: part.sequence,
                of: part.of,
                parts: Map::new(),
            };
        }
        begun.parts.insert(part.place, (part, id, held));
        if begun.parts.len() < begun.of {
            return;
        }
        let Some(begun) = self.snapshots.begun.remove(&key) else {
            return;
        };
        self.whole(key, begun);
    }

    /// All parts are here.
    fn whole(&mut self, key: Key, begun: Begun) {
        let parts = begun.parts.values();
        let bytes: Vec<u8> = parts.flat_map(|(part, ..)| part.bytes.clone()).collect();
        if let Err(error) = self.take_snapshot(key, &bytes) {
            self.refuse(error);
        }
        let ids: Vec<_> = begun.parts.values().map(|(_, id, _)| *id).collect();
        let device = self.devices.entry(key).or_default();
        device.snapshot = begun.number;
        let before = std::mem::replace(&mut device.parts, ids.clone());
        for (_, id, held) in begun.parts.into_values() {
            self.hold(id, held);
        }
        self.save_device(key);
        for id in before.into_iter().filter(|id| !ids.contains(id)) {
            self.bury(id);
        }
    }

    fn take_snapshot(&mut self, key: Key, bytes: &[u8]) -> Result<(), MailError> {
        let mut reader = Reader::new(bytes);
        let fields = reader.array()?;
        match reader.uint()? {
            VERSION => exactly(fields, 3)?,
            other => return Err(MailError::Version(other)),
        }
        let count = reader.array()?;
        if count > MAX_PEOPLE {
            return Err(MailError::TooMany);
        }
        let mut told = Vec::new();
        for _ in 0..count {
            told.push(Told::read(&mut reader)?);
        }
        let data = reader.bytes()?.to_vec();
        exactly(usize::from(reader.is_at_end()), 1)?;
        for contact in told {
            self.take_contact(contact);
        }
        if !data.is_empty() {
            self.out.push_back(Output::Sync(key, data));
        }
        Ok(())
    }

    /// What was said last of somebody counts on all devices.
    fn take_contact(&mut self, told: Told) {
        let now = self.now;
        if self.is_me(told.id) {
            return;
        }
        let Some(person) = self.person(told.id) else {
            return;
        };
        person.weakest = person.weakest.max(told.weakest);
        if told.changed.min(now) <= person.changed {
            return;
        }
        person.changed = told.changed.min(now);
        person.since = person.since.min(told.since);
        person.petname = told.petname;
        if person.name.is_none() {
            person.name = told.name;
        }
        let before = std::mem::replace(&mut person.standing, told.standing);
        self.stands(told.id, before);
    }
}

/// A contact, as another device tells of it.
struct Told {
    id: Id,
    standing: Standing,
    petname: Option<String>,
    name: Option<String>,
    since: u64,
    changed: u64,
    weakest: Suite,
}

impl Told {
    fn read(reader: &mut Reader<'_>) -> Result<Self, MailError> {
        exactly(reader.array()?, 7)?;
        Ok(Self {
            id: Id(reader.fixed_bytes()?),
            standing: Standing::of_code(reader.uint()?)?,
            petname: name(reader)?,
            name: name(reader)?,
            since: reader.uint()?,
            changed: reader.uint()?,
            weakest: Suite(u16::try_from(reader.uint()?).map_err(|_| MailError::Malformed)?),
        })
    }
}

/// A name, or none for no letters.
pub(super) fn name(reader: &mut Reader<'_>) -> Result<Option<String>, MailError> {
    let name = reader.text()?;
    match name.len() > MAX_NAME_LEN {
        true => Err(MailError::TooMany),
        false => Ok((!name.is_empty()).then(|| name.to_owned())),
    }
}

impl Standing {
    pub(super) fn code(self) -> u64 {
        match self {
            Self::Unknown => 0,
            Self::Request => 1,
            Self::Accepted => 2,
            Self::Muted => 3,
            Self::Blocked => 4,
        }
    }

    pub(super) fn of_code(code: u64) -> Result<Self, MailError> {
        Ok(match code {
            0 => Self::Unknown,
            1 => Self::Request,
            2 => Self::Accepted,
            3 => Self::Muted,
            4 => Self::Blocked,
            _ => return Err(MailError::Malformed),
        })
    }
}
