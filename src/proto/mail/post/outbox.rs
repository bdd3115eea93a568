//! What is under way: messages, and for each recipient how far it has come.
//!
//! A message is saved once, with all its recipients, before anybody is told that it is safe. It is sealed to each recipient once; the sealed
//! parcel is saved before it leaves, so what is sent after a restart is the same, and custodians know it again. It stays until the
//! recipient's tombstone or receipt shows that it arrived, until it expires, or until the person stops it.

use bytes::Bytes;

use super::notes::{MAX_RECIPIENTS, Part};
use super::types::{Draft, Job, Ref, Status};
use super::{MESSAGE, Output, Post};
use crate::proto::custody::deposit::{Deposit, Expiry};
use crate::proto::custody::depositor::{Input as Depositing, MAX_LETTERS};
use crate::proto::custody::keep::{Blob, Keep};
use crate::proto::custody::tag::{Gate, Terms};
use crate::proto::custody::{KEPT_MIN, MessageId as DepositId, PeerId, is_enough, stamp};
use crate::proto::identity::Id;
use crate::proto::mail::MailError;
use crate::proto::mail::enclosure::Enclosure;
use crate::proto::mail::envelope::MAX_MESSAGE_LEN;
use crate::proto::mail::message::{Body, MessageId, Receipt};
use crate::proto::mail::seen::MAX_AGE;

/// Messages that are remembered in the outbox, under way or arrived: a receipt that one was read may come later.
pub const MAX_OUTGOING: usize = 4096;

/// Parcels under way at once: 16 MiB of envelopes.
const MAX_PARCELS: usize = 1024;

/// Parcels that custody is given at once; it has room for as many, and some are of one's own devices.
pub(super) const FED: usize = MAX_LETTERS - 16;

/// What a message is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// The person wrote it.
    Mail,
    /// Receipts and passes for a contact.
    Service,
    /// What this device has, for the others.
    Has,
    /// A part of what this device knows, for the others.
    Snapshot,
}

/// How far a message has come on its way to one recipient.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Stage {
    /// Nothing can be done now.
    Waiting,
    /// On its way to custodians.
    Looking,
    /// A stamp is searched for.
    Stamping,
    /// Enough custodians signed that they hold it.
    Stored,
    /// The recipient has it.
    Delivered,
    /// The recipient read it.
    Read,
    /// Its time is over, and no sign came of the recipient.
    Expired,
    /// It cannot be sent.
    Refused,
}

/// A message in the outbox.
#[derive(Debug, Clone)]
pub(super) struct Outgoing {
    pub(super) kind: Kind,
    pub(super) thread: MessageId,
    pub(super) sequence: u64,
    pub(super) time_millis: u64,
    /// `None` once all have it.
    pub(super) body: Option<Body>,
    pub(super) enclosures: Vec<Enclosure>,
    pub(super) receipts: Vec<Receipt>,
    /// Of the kinds for one's own devices: which of its kind, and the part.
    pub(super) number: u64,
    pub(super) part: Option<Part>,
    /// Where it came in, of what is passed on; until it is sealed.
    pub(super) origin: Option<String>,
    pub(super) parcels: Vec<Parcel>,
}

/// A message for one recipient.
#[derive(Debug, Clone)]
pub(super) struct Parcel {
    pub(super) to: Id,
    /// One's own, beside those that the person named.
    pub(super) copy: bool,
    pub(super) stage: Stage,
    pub(super) peers: usize,
    pub(super) relays: usize,
    /// Peers that signed for what is attached, as far as was heard in this run.
    pub(super) kept: usize,
    pub(super) why: Option<String>,
    /// While it is under way. Saved by itself.
    pub(super) sealed: Option<Sealed>,
    /// Whether custody has it.
    pub(super) fed: bool,
}

/// A parcel that was sealed.
#[derive(Debug, Clone)]
pub(super) struct Sealed {
    pub(super) terms: Terms,
    pub(super) expiry: Expiry,
    pub(super) envelope: Bytes,
    /// `None` while the stamp is searched for.
    pub(super) deposit: Option<Deposit>,
    /// What custodians are to keep with it; of a stranger with a stamp of its own, searched after that of the deposit.
    pub(super) keep: Option<Keep>,
    pub(super) relays: Vec<PeerId>,
}

/// A message in the outbox, as it is shown.
#[derive(Debug, Clone)]
pub struct ParcelView {
    /// Which conversation.
    pub thread: MessageId,
    /// When it was written, in milliseconds since 1970.
    pub time_millis: u64,
    /// How far it has come.
    pub status: Status,
}

impl Stage {
    /// Whether nothing more is done for it.
    pub fn is_final(self) -> bool {
        self >= Self::Delivered
    }
}

impl Sealed {
    pub(super) fn id(&self) -> DepositId {
        DepositId::of(self.terms.tag(), &self.envelope)
    }

    /// What it still pays for: over this, with so many bits. `None` once all of it can be left.
    pub(super) fn owes(&self) -> Option<([u8; 32], u8)> {
        let Gate::Stamp(bits) = self.terms.gate else {
            return None;
        };
        if self.deposit.is_none() {
            let prefix = stamp::prefix(self.terms.tag(), self.id(), self.expiry);
            return Some((prefix, bits));
        }
        let keep = self.keep.as_ref();
        let keep = keep.filter(|keep| keep.header().strength() < bits)?;
        Some((keep.prefix(), bits))
    }
}

impl Parcel {
    pub(super) fn new(to: Id, copy: bool) -> Self {
        Self {
            to,
            copy,
            stage: Stage::Waiting,
            peers: 0,
            relays: 0,
            kept: 0,
            why: None,
            sealed: None,
            fed: false,
        }
    }
}

impl Outgoing {
    pub(super) fn parcel(&mut self, to: Id) -> Option<&mut Parcel> {
        self.parcels.iter_mut().find(|parcel| parcel.to == to)
    }

    /// To whom, as the person named them.
    pub(super) fn recipients(&self) -> Vec<Id> {
        let named = self.parcels.iter().filter(|parcel| !parcel.copy);
        named.map(|parcel| parcel.to).collect()
    }

    fn is_over(&self) -> bool {
        self.parcels.iter().all(|parcel| parcel.stage.is_final())
    }
}

impl Post {
    pub(super) fn send(&mut self, draft: Draft, token: String) {
        let id = MessageId(self.vault.id(MESSAGE, token.as_bytes()));
        let message = Ref::of(self.id, id);
        let thread = match self.outbox.get(&id) {
            Some(known) => Ok(known.thread),
            None => self.take(id, draft),
        };
        self.say_taken(token, message, thread);
    }

    /// Answers whoever handed in a message, which may be said twice.
    pub(super) fn say_taken(
        &mut self,
        token: String,
        message: Ref,
        thread: Result<MessageId, MailError>,
    ) {
        self.out.push_back(match thread {
            Ok(thread) => Output::Sent {
                token,
                message,
                thread,
            },
            Err(error) => Output::Failed {
                token,
                code: error.code(),
            },
        });
    }

    fn take(&mut self, id: MessageId, draft: Draft) -> Result<MessageId, MailError> {
        if !self.is_ready() {
            return Err(MailError::NotReady);
        }
        let mut to = Vec::new();
        for recipient in &draft.to {
            if !to.contains(recipient) {
                to.push(*recipient);
            }
        }
        if to.is_empty() {
            return Err(MailError::UnknownRecipient);
        }
        if to.len() > MAX_RECIPIENTS {
            return Err(MailError::TooMany);
        }
        let blocked = |id: &Id| {
            let person = self.people.get(id);
            person.is_some_and(|person| person.standing == super::Standing::Blocked)
        };
        if to.iter().any(blocked) {
            return Err(MailError::Blocked);
        }
        let thread = draft.thread.unwrap_or(id);
        let copy = !to.contains(&self.id) && !self.active_others().is_empty();
        let copy = copy.then(|| Parcel::new(self.id, true));
        let parcels = to.iter().map(|to| Parcel::new(*to, false)).chain(copy);
        let outgoing = Outgoing {
            kind: Kind::Mail,
            thread,
            sequence: self.next_sequence(),
            time_millis: self.now,
            body: Some(draft.body),
            enclosures: draft.enclosures,
            receipts: Vec::new(),
            number: 0,
            part: None,
            origin: None,
            parcels: parcels.collect(),
        };
        self.check_fits(id, &outgoing)?;
        self.make_room_for(to.len())?;
        for blob in outgoing.blobs() {
            self.out
                .push_back(Output::Keep(blob.hash, u64::from(blob.size)));
        }
        self.add_outgoing(id, outgoing);
        for recipient in to {
            if !self.is_me(recipient) {
                self.befriend(recipient);
            }
            self.tell(id, recipient);
        }
        if let Some(answered) = draft.answers {
            self.answered(answered);
        }
        Ok(thread)
    }

    pub(super) fn make_room_for(&mut self, parcels: usize) -> Result<(), MailError> {
        if self.outbox.len() >= MAX_OUTGOING {
            self.drop_oldest();
        }
        let all = self.outbox.values().flat_map(|outgoing| &outgoing.parcels);
        let busy = all.filter(|parcel| !parcel.stage.is_final()).count();
        match self.outbox.len() >= MAX_OUTGOING || busy + parcels > MAX_PARCELS {
            true => Err(MailError::OutboxFull),
            false => Ok(()),
        }
    }

    pub(super) fn add_outgoing(&mut self, id: MessageId, outgoing: Outgoing) {
        let to: Vec<_> = outgoing.parcels.iter().map(|parcel| parcel.to).collect();
        self.outbox.insert(id, outgoing);
        self.save_outgoing(id);
        self.unsealed.extend(to.into_iter().map(|to| (id, to)));
    }

    pub(super) fn next_sequence(&mut self) -> u64 {
        self.sequence += 1;
        self.save_counts();
        self.sequence
    }

    /// Bytes of a body that go into an envelope with so many recipients and these enclosures.
    pub fn room(&self, recipients: usize, enclosures: &[Enclosure]) -> usize {
        let to = (0..recipients.min(MAX_RECIPIENTS)).map(|_| Parcel::new(self.id, false));
        let outgoing = Outgoing {
            kind: Kind::Mail,
            thread: MessageId([0; 16]),
            sequence: u64::MAX,
            time_millis: self.now,
            body: Some(Body::Here(vec![0; 256])),
            enclosures: enclosures.to_vec(),
            receipts: Vec::new(),
            number: 0,
            part: None,
            origin: None,
            parcels: to.collect(),
        };
        let letter = self.letter_for(MessageId([0; 16]), &outgoing, None);
        let taken = letter.signed_len(&self.me.key()).unwrap_or(MAX_MESSAGE_LEN);
        (MAX_MESSAGE_LEN + 256).saturating_sub(taken)
    }

    pub(super) fn check_fits(&self, id: MessageId, outgoing: &Outgoing) -> Result<(), MailError> {
        let letter = self.letter_for(id, outgoing, None);
        match letter.signed_len(&self.me.key())? > MAX_MESSAGE_LEN {
            true => Err(MailError::TooLong),
            false => Ok(()),
        }
    }

    pub(super) fn receipts_signed(
        &mut self,
        id: DepositId,
        peers: usize,
        relays: usize,
        kept: usize,
        stored: bool,
    ) {
        let Some((message, to)) = self.under_way.get(&id).copied() else {
            return;
        };
        let Some(outgoing) = self.outbox.get_mut(&message) else {
            return;
        };
        let kind = outgoing.kind;
        let Some(parcel) = outgoing.parcel(to) else {
            return;
        };
        (parcel.peers, parcel.relays, parcel.kept) = (peers, relays, kept);
        let newly = stored && parcel.stage < Stage::Stored;
        if newly {
            parcel.stage = Stage::Stored;
            self.save_outgoing(message);
        }
        self.tell(message, to);
        if newly && matches!(kind, Kind::Has | Kind::Snapshot) {
            self.superseded(message);
        }
    }

    /// Nothing more is done for a parcel.
    pub(super) fn finish(&mut self, id: DepositId, stage: Stage, why: Option<MailError>) {
        if let Some((message, to)) = self.under_way.get(&id).copied() {
            self.settle_parcel(message, to, stage, why);
        }
    }

    pub(super) fn settle_parcel(
        &mut self,
        message: MessageId,
        to: Id,
        stage: Stage,
        why: Option<MailError>,
    ) {
        let Some(outgoing) = self.outbox.get_mut(&message) else {
            return;
        };
        let Some(parcel) = outgoing.parcel(to) else {
            return;
        };
        if parcel.stage.is_final() && (parcel.stage >= stage || stage > Stage::Read) {
            return;
        }
        let stamping = parcel.stage == Stage::Stamping;
        parcel.stage = stage;
        parcel.why = why.map(|why| why.code().to_owned());
        parcel.fed = false;
        let sealed = parcel.sealed.take();
        let over = outgoing.is_over();
        let arrived = outgoing
            .parcels
            .iter()
            .all(|parcel| matches!(parcel.stage, Stage::Delivered | Stage::Read));
        if arrived {
            outgoing.body = None;
        }
        let kind = outgoing.kind;
        // What was to be passed on, and could not be sealed.
        let dropped = outgoing.origin.is_some();
        self.unsealed.remove(&(message, to));
        if let Some(sealed) = sealed {
            let id = sealed.id();
            if stamping {
                self.out.push_back(Output::Unstamp(Job(id)));
            }
            self.under_way.remove(&id);
            self.deposit(Depositing::Done(id));
        }
        self.tell(message, to);
        match dropped || over && kind != Kind::Mail {
            true => self.forget_outgoing(message),
            false => {
                self.save_outgoing(message);
                self.unsave_sealed(message, to);
            }
        }
    }

    /// The page is told how far a message of the person's has come.
    pub(super) fn tell(&mut self, message: MessageId, to: Id) {
        let Some(outgoing) = self.outbox.get(&message) else {
            return;
        };
        let parcel = outgoing.parcels.iter().find(|parcel| parcel.to == to);
        let Some(parcel) = parcel.filter(|parcel| outgoing.kind == Kind::Mail && !parcel.copy)
        else {
            return;
        };
        let status = self.status(message, parcel);
        self.out.push_back(Output::Status(status));
    }

    fn status(&self, message: MessageId, parcel: &Parcel) -> Status {
        let sealed = parcel.sealed.as_ref();
        let passing_on = parcel.stage == Stage::Looking
            && is_enough(parcel.peers, parcel.relays)
            && sealed.is_some_and(|sealed| sealed.keep.is_some());
        Status {
            message: Ref::of(self.id, message),
            to: parcel.to,
            stage: parcel.stage,
            peers: parcel.peers,
            relays: parcel.relays,
            kept: passing_on.then_some((parcel.kept, KEPT_MIN)),
            why: parcel.why.clone(),
        }
    }

    /// All messages of the person's that are remembered, and how far they have come for each recipient.
    pub fn outbox(&self) -> impl Iterator<Item = ParcelView> + '_ {
        let mail = self
            .outbox
            .iter()
            .filter(|(_, outgoing)| outgoing.kind == Kind::Mail);
        mail.flat_map(|(id, outgoing)| {
            let named = outgoing.parcels.iter().filter(|parcel| !parcel.copy);
            named.map(|parcel| ParcelView {
                thread: outgoing.thread,
                time_millis: outgoing.time_millis,
                status: self.status(*id, parcel),
            })
        })
    }

    pub(super) fn cancel(&mut self, message: Ref) {
        for (id, to) in self.parcels_of(message, |stage| !stage.is_final()) {
            self.settle_parcel(id, to, Stage::Refused, Some(MailError::Cancelled));
        }
    }

    pub(super) fn retry(&mut self, message: Ref) {
        let again = |stage| matches!(stage, Stage::Expired | Stage::Refused);
        for (id, to) in self.parcels_of(message, again) {
            let Some(outgoing) = self
                .outbox
                .get_mut(&id)
                .filter(|outgoing| outgoing.body.is_some())
            else {
                continue;
            };
            if let Some(parcel) = outgoing.parcel(to) {
                *parcel = Parcel::new(to, parcel.copy);
            }
            self.unsealed.insert((id, to));
            self.save_outgoing(id);
            self.tell(id, to);
        }
    }

    fn parcels_of(&self, message: Ref, wanted: impl Fn(Stage) -> bool) -> Vec<(MessageId, Id)> {
        let found = self
            .outbox
            .iter()
            .find(|(id, _)| Ref::of(self.id, **id) == message);
        let Some((id, outgoing)) = found else {
            return Vec::new();
        };
        let parcels = outgoing
            .parcels
            .iter()
            .filter(|parcel| wanted(parcel.stage));
        parcels.map(|parcel| (*id, parcel.to)).collect()
    }

    /// Forgets what arrived longer ago than a receipt may come.
    pub(super) fn sweep_outbox(&mut self) {
        let now = self.now;
        let old = |outgoing: &Outgoing| outgoing.time_millis.saturating_add(MAX_AGE * 1000) < now;
        let gone: Vec<_> = self
            .outbox
            .iter()
            .filter(|(_, outgoing)| outgoing.is_over() && old(outgoing))
            .map(|(id, _)| *id)
            .collect();
        gone.into_iter().for_each(|id| self.forget_outgoing(id));
    }

    fn drop_oldest(&mut self) {
        let over = self
            .outbox
            .iter()
            .filter(|(_, outgoing)| outgoing.is_over());
        let oldest = over.min_by_key(|(_, outgoing)| outgoing.time_millis);
        if let Some(id) = oldest.map(|(id, _)| *id) {
            self.forget_outgoing(id);
        }
    }
}

impl Outgoing {
    /// What of it is in the swarm.
    pub(super) fn blobs(&self) -> Vec<Blob> {
        let all = self.enclosures.iter().chain(self.there());
        let blob = |enclosure: &Enclosure| Blob {
            hash: enclosure.hash(),
            // Longer ones than a wish may name make it none.
            size: u32::try_from(enclosure.sealed_len().get()).unwrap_or(u32::MAX),
        };
        all.map(blob).collect()
    }

    fn there(&self) -> Option<&Enclosure> {
        match &self.body {
            Some(Body::There(enclosure)) => Some(enclosure),
            _ => None,
        }
    }
}
