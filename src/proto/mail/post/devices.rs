//! The person's other devices: what they have, when a letter can go, and the receipts that contacts are owed.

use super::Post;
use super::inbox::{Held, Lies, Owed, is_mail};
use super::notes::{Has, MAX_HAVE, MAX_REMOVED, Notes};
use super::outbox::{Kind, Outgoing, Parcel, Stage};
use super::types::{Output, Ref, Status};
use crate::proto::custody::MessageId as DepositId;
use crate::proto::identity::{Id, Key};
use crate::proto::mail::MailError;
use crate::proto::mail::message::{Body, Fate, MAX_RECEIPTS, Message, MessageId, Receipt};
use crate::proto::ordered::Set;
use crate::proto::sorting::sort_by_key;

/// Milliseconds for which a device that was not heard of still counts: mail is kept at custodians for it.
pub const ACTIVE_FOR: u64 = 14 * 24 * 60 * 60 * 1000;

/// Milliseconds after which a device says that it is there, even if it has nothing new.
const HEARTBEAT: u64 = 24 * 60 * 60 * 1000;

/// Milliseconds that notes for one's own devices wait for more.
const GATHER: u64 = 20_000;

/// Milliseconds that receipts wait for more.
const RECEIPTS_GATHER: u64 = 15_000;

/// Another device.
#[derive(Debug, Clone, Default)]
pub(super) struct Device {
    /// When it was last heard of, in milliseconds since 1970.
    pub(super) seen: u64,
    /// Its last note, and where that lies.
    pub(super) sequence: u64,
    pub(super) note: Option<DepositId>,
    pub(super) letters: Set<[u8; 16]>,
    pub(super) removed: Vec<Ref>,
    /// Its last snapshot that is whole, and where its parts lie.
    pub(super) snapshot: u64,
    pub(super) parts: Vec<DepositId>,
}

impl Post {
    /// Other devices that count.
    pub(super) fn active_others(&self) -> Vec<Key> {
        let mine = self.device();
        let mut others = self.device_keys();
        others.retain(|key| {
            let seen = self.devices.get(key).map_or(0, |device| device.seen);
            *key != mine && seen.max(self.added(*key)) + ACTIVE_FOR > self.now
        });
        others
    }

    /// A message of one's own: of another device, or to oneself.
    pub(super) fn of_ours(
        &mut self,
        id: DepositId,
        mut held: Held,
        message: &Message,
        mut notes: Notes,
    ) {
        let key = message.device();
        let time = message.letter().time_millis.min(self.now);
        let other = key != self.device();
        if other {
            let device = self.devices.entry(key).or_default();
            let told = device.seen / HEARTBEAT != time / HEARTBEAT;
            device.seen = device.seen.max(time);
            self.save_device(key);
            if told {
                self.tell_identity();
            }
        }
        if let Some(has) = notes.has.take() {
            held.lies = Lies::Note;
            self.hold(id, held);
            return match other {
                true => self.take_has(key, has, id),
                false => self.bury(id),
            };
        }
        if let Some(part) = notes.part.take() {
            return match other {
                true => self.take_part(key, part, id, held),
                false => {
                    held.lies = Lies::Note;
                    self.hold(id, held);
                }
            };
        }
        match is_mail(message) {
            true => self.hand_out(id, held, message, notes),
            false => self.bury_unread(id, held.tag, held.until),
        }
    }

    fn take_has(&mut self, key: Key, has: Has, id: DepositId) {
        let device = self.devices.entry(key).or_default();
        if has.sequence <= device.sequence && device.note != Some(id) {
            return self.bury(id);
        }
        let before = device.note.replace(id);
        device.sequence = has.sequence;
        device.letters = has.letters.into_iter().collect();
        let known = std::mem::replace(&mut device.removed, has.removed);
        let new: Vec<_> = device
            .removed
            .iter()
            .filter(|message| !known.contains(message))
            .copied()
            .collect();
        for message in new {
            if let Some(letter) = self.refs.get(&message).copied() {
                self.bury(letter);
            }
            self.out.push_back(Output::Gone(message));
        }
        self.save_device(key);
        if let Some(before) = before.filter(|before| *before != id) {
            self.bury(before);
        }
        self.settle();
    }

    /// Deletes what every active device has.
    pub(super) fn settle(&mut self) {
        let others = self.active_others();
        let stored = self
            .held
            .iter()
            .filter(|(_, held)| held.lies == Lies::Stored);
        let everywhere = stored.filter(|(id, _)| {
            others.iter().all(|key| {
                let device = self.devices.get(key);
                device.is_some_and(|device| device.letters.contains(&short(id)))
            })
        });
        // A request waits at its custodians for its answer no longer than others do.
        let gone: Vec<_> = everywhere.map(|(id, _)| *id).collect();
        gone.into_iter().for_each(|id| self.bury(id));
    }

    /// What this device has now.
    pub(super) fn has(&self, sequence: u64) -> Has {
        let stored = self
            .held
            .iter()
            .filter(|(_, held)| held.lies == Lies::Stored);
        let mut stored: Vec<_> = stored.map(|(id, held)| (held.written, short(id))).collect();
        // The oldest first: they are waited for longest.
        sort_by_key(&mut stored, |letter| *letter);
        stored.truncate(MAX_HAVE);
        Has {
            sequence,
            letters: stored.into_iter().map(|(_, id)| id).collect(),
            removed: self.snapshots.removed.clone(),
        }
    }

    pub(super) fn has_soon(&mut self) {
        if !self.active_others().is_empty() {
            self.timers.has.get_or_insert(self.now + GATHER);
        }
    }

    pub(super) fn has_due(&mut self) {
        if self.timers.has.is_none_or(|at| at > self.now) {
            return;
        }
        self.timers.has = None;
        self.drop_unsealed(Kind::Has);
        self.snapshots.has += 1;
        let number = self.snapshots.has;
        self.save_counts();
        self.tell_own(Kind::Has, number, None);
    }

    /// A message to one's own devices.
    pub(super) fn tell_own(&mut self, kind: Kind, number: u64, part: Option<super::notes::Part>) {
        let outgoing = Outgoing {
            number,
            part,
            origin: None,
            parcels: vec![Parcel::new(self.id, true)],
            ..self.service_letter(kind)
        };
        let id = MessageId(self.draw.bytes());
        self.add_outgoing(id, outgoing);
    }

    fn service_letter(&mut self, kind: Kind) -> Outgoing {
        Outgoing {
            kind,
            thread: MessageId([0; 16]),
            sequence: self.next_sequence(),
            time_millis: self.now,
            body: Some(Body::Here(Vec::new())),
            enclosures: Vec::new(),
            receipts: Vec::new(),
            number: 0,
            part: None,
            origin: None,
            parcels: Vec::new(),
        }
    }

    /// Those of a kind that nobody has seen yet are replaced by what comes.
    pub(super) fn drop_unsealed(&mut self, kind: Kind) {
        let me = self.id;
        let unsealed: Vec<_> = self
            .unsealed
            .iter()
            .filter(|(id, to)| {
                let outgoing = self.outbox.get(id);
                *to == me && outgoing.is_some_and(|outgoing| outgoing.kind == kind)
            })
            .map(|(id, _)| *id)
            .collect();
        for id in unsealed {
            self.settle_parcel(id, me, Stage::Refused, Some(MailError::Cancelled));
        }
    }

    /// What is stored of a kind for one's own devices takes the place of what was there before.
    pub(super) fn superseded(&mut self, message: MessageId) {
        let Some(outgoing) = self.outbox.get(&message) else {
            return;
        };
        let (kind, number) = (outgoing.kind, outgoing.number);
        let of_kind = || {
            self.outbox
                .iter()
                .filter(|(_, outgoing)| outgoing.kind == kind)
        };
        let mut same = of_kind().filter(|(_, outgoing)| outgoing.number == number);
        let stored = |outgoing: &Outgoing| {
            outgoing
                .parcels
                .iter()
                .all(|parcel| parcel.stage >= Stage::Stored)
        };
        if !same.all(|(_, outgoing)| stored(outgoing)) {
            return;
        }
        let old: Vec<_> = of_kind()
            .filter(|(_, outgoing)| outgoing.number < number)
            .map(|(id, outgoing)| {
                let sealed = outgoing
                    .parcels
                    .iter()
                    .find_map(|parcel| parcel.sealed.as_ref());
                (*id, sealed.map(|sealed| sealed.id()))
            })
            .collect();
        for (id, deposit) in old {
            if let Some(deposit) = deposit {
                self.bury(deposit);
            }
            self.settle_parcel(id, self.id, Stage::Delivered, None);
        }
    }

    /// Says now and then that this device is there; and what a week changes.
    pub(super) fn review_devices(&mut self) {
        let newest = |kind: Kind| {
            let of_kind = self
                .outbox
                .values()
                .filter(|outgoing| outgoing.kind == kind);
            of_kind.map(|outgoing| outgoing.time_millis).max()
        };
        let said = newest(Kind::Has).unwrap_or(0);
        let snapshot = newest(Kind::Snapshot).unwrap_or(0);
        if said + HEARTBEAT <= self.now {
            self.has_soon();
        }
        if super::Week::of(snapshot / 1000) < self.week() {
            self.snapshot_soon();
        }
        self.settle();
    }

    pub(super) fn note_removed(&mut self, message: Ref) {
        let removed = &mut self.snapshots.removed;
        removed.retain(|other| *other != message);
        removed.push(message);
        let extra = removed.len().saturating_sub(MAX_REMOVED);
        removed.drain(..extra);
        self.save_counts();
        self.has_soon();
    }

    pub(super) fn receipts_soon(&mut self) {
        self.timers
            .receipts
            .get_or_insert(self.now + RECEIPTS_GATHER);
    }

    pub(super) fn receipts_due(&mut self) {
        if self.timers.receipts.is_none_or(|at| at > self.now) {
            return;
        }
        self.timers.receipts = None;
        let unix = self.unix();
        let owed = self
            .held
            .values()
            .filter(|held| held.delivered == Owed::Yes || held.read == Owed::Yes);
        let owed: Set<Id> = owed.map(|held| held.from).collect();
        for to in owed {
            // Without a pass it would take a stamp; the tombstone tells the same.
            if self
                .people
                .get(&to)
                .is_some_and(|person| person.pass(unix).is_some())
            {
                self.give_passes(to);
            }
        }
    }

    /// Sends a contact what they are owed: receipts, and passes for the coming weeks.
    pub(super) fn give_passes(&mut self, to: Id) {
        let mut receipts = Vec::new();
        let mut told = Vec::new();
        for (id, held) in self.held.iter_mut().filter(|(_, held)| held.from == to) {
            if receipts.len() + 2 > MAX_RECEIPTS {
                break;
            }
            for (owed, fate) in [
                (&mut held.delivered, Fate::Delivered),
                (&mut held.read, Fate::Read),
            ] {
                if *owed == Owed::Yes {
                    *owed = Owed::Done;
                    receipts.push(Receipt {
                        message: held.message,
                        fate,
                    });
                    told.push(*id);
                }
            }
        }
        let outgoing = Outgoing {
            receipts,
            parcels: vec![Parcel::new(to, false)],
            ..self.service_letter(Kind::Service)
        };
        let id = MessageId(self.draw.bytes());
        self.add_outgoing(id, outgoing);
        // Said twice rather than not at all, if this machine stops here.
        told.into_iter().for_each(|id| self.save_held(id));
    }

    pub(super) fn tell_elsewhere(&mut self, message: MessageId, to: Id, stage: Stage) {
        self.out.push_back(Output::Status(Status {
            message: Ref::of(self.id, message),
            to,
            stage,
            peers: 0,
            relays: 0,
            kept: None,
            why: None,
        }));
    }
}

/// By what a letter is named among one's own devices.
fn short(id: &DepositId) -> [u8; 16] {
    let mut out = [0; 16];
    out.copy_from_slice(&id.0[..16]);
    out
}
