//! What is inside an envelope: who wrote what to whom, signed by a device of the sender.
//!
//! The signature covers the recipient, the suite and the week too, so whoever gets a letter cannot seal it anew as if its sender had
//! written it to somebody else. What is read is [`Unverified`] until the sender's identity says that the device is theirs; only
//! a [`Message`] can be shown.

use super::enclosure::{Enclosure, MAX_ENCLOSURES, MAX_ENCLOSURES_LEN};
use super::{MailError, Suite, VERSION, Week, exactly, read_week};
use crate::proto::cbor::{Reader, Writer};
use crate::proto::identity::chain::Chain;
use crate::proto::identity::{Id, Key};
use crate::proto::keys::SiteKey;

/// Receipts that one message carries at most. Ours: two days of mail.
pub const MAX_RECEIPTS: usize = 100;

/// Milliseconds since 1970 that a message may claim at most, as for versions of sites.
pub const MAX_TIME_MILLIS: u64 = (1 << 40) * 1000;

/// One message, or one conversation: random, and the same in the envelopes to all recipients.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct MessageId(pub [u8; 16]);

/// The text of a message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Body {
    /// A MIME entity (RFC 5322, RFC 2045), or nothing for a message that only carries receipts.
    Here(Vec<u8>),
    /// The same, in the swarm, as it is too long.
    There(Enclosure),
}

/// What happened to a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Fate {
    /// A device of the recipient has it.
    Delivered,
    /// It was read, if the recipient tells.
    Read,
}

/// Tells the sender of a message what happened to it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Receipt {
    /// Which.
    pub message: MessageId,
    /// What.
    pub fate: Fate,
}

/// What somebody writes, before it is sealed to each recipient.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Letter {
    /// Who writes.
    pub from: Id,
    /// Which message.
    pub id: MessageId,
    /// Which conversation: the id of its first message.
    pub thread: MessageId,
    /// Counts the messages of this device.
    pub sequence: u64,
    /// When, in milliseconds since 1970.
    pub time_millis: u64,
    /// The text.
    pub body: Body,
    /// What is attached.
    pub enclosures: Vec<Enclosure>,
    /// What is told by the way.
    pub receipts: Vec<Receipt>,
    /// What the programs of both tell each other; see [`notes`](super::post::notes).
    pub notes: Vec<u8>,
}

/// A letter, by whom it was signed, and to whom.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Message {
    letter: Letter,
    device: Key,
    to: Id,
    suite: Suite,
    week: Week,
}

/// What an envelope held, before anybody has said that its sender wrote it.
#[derive(Debug, Clone)]
pub struct Unverified {
    message: Message,
    signed: Vec<u8>,
    signature: [u8; 64],
}

impl Unverified {
    /// Who is said to have written it: whose identity to look up.
    pub fn from(&self) -> Id {
        self.message.letter.from
    }

    /// Checks it against the sender's identity.
    ///
    /// # Errors
    /// `OtherIdentity` for the chain of somebody else, `UnknownDevice` for a device that is not, or no longer, theirs, `Forged`.
    pub fn verify(self, sender: &Chain) -> Result<Message, MailError> {
        if sender.id() != self.message.letter.from {
            return Err(MailError::OtherIdentity);
        }
        let state = sender.state();
        if state.ended || !state.devices.contains(&self.message.device) {
            return Err(MailError::UnknownDevice);
        }
        match self.message.device.signed(&self.signed, &self.signature) {
            true => Ok(self.message),
            false => Err(MailError::Forged),
        }
    }

    pub(super) fn read(bytes: &[u8]) -> Result<Self, MailError> {
        let mut reader = Reader::new(bytes);
        exactly(reader.array()?, 2)?;
        let start = reader.at();
        let message = Message::read(&mut reader)?;
        let signed = [SIGNED, &bytes[start..reader.at()]].concat();
        let signature = reader.fixed_bytes()?;
        match reader.is_at_end() {
            true => Ok(Self {
                message,
                signed,
                signature,
            }),
            false => Err(MailError::Malformed),
        }
    }

    pub(super) fn to(&self) -> Id {
        self.message.to
    }

    pub(super) fn sealed_as(&self) -> (Suite, Week) {
        (self.message.suite, self.message.week)
    }
}

impl Message {
    /// What was written.
    pub fn letter(&self) -> &Letter {
        &self.letter
    }

    /// The device that signed it.
    pub fn device(&self) -> Key {
        self.device
    }

    /// To whom.
    pub fn to(&self) -> Id {
        self.to
    }

    /// How it was sealed: the weakest way to accept from this sender from now on.
    pub fn suite(&self) -> Suite {
        self.suite
    }

    /// What messages are ordered by, so that custodians who hand them over in another order change nothing.
    pub fn order(&self) -> (u64, u64, MessageId) {
        let letter = &self.letter;
        (letter.time_millis, letter.sequence, letter.id)
    }

    fn read(reader: &mut Reader<'_>) -> Result<Self, MailError> {
        let fields = reader.array()?;
        match reader.uint()? {
            VERSION => exactly(fields, FIELDS)?,
            other => return Err(MailError::Version(other)),
        }
        let from = Id(reader.fixed_bytes()?);
        let device = Key(reader.fixed_bytes()?);
        let to = Id(reader.fixed_bytes()?);
        let suite = u16::try_from(reader.uint()?).map_err(|_| MailError::Malformed)?;
        let week = read_week(reader)?;
        let id = MessageId(reader.fixed_bytes()?);
        let thread = MessageId(reader.fixed_bytes()?);
        let (sequence, time_millis) = (reader.uint()?, reader.uint()?);
        let here = reader.bytes()?.to_vec();
        let mut there = read_enclosures(reader, 1)?;
        let body = match there.pop() {
            None => Body::Here(here),
            Some(enclosure) if here.is_empty() => Body::There(enclosure),
            Some(_) => return Err(MailError::Malformed),
        };
        let enclosures = read_enclosures(reader, MAX_ENCLOSURES)?;
        let receipts = read_receipts(reader)?;
        let notes = reader.bytes()?.to_vec();
        let letter = Letter {
            from,
            id,
            thread,
            sequence,
            time_millis,
            body,
            enclosures,
            receipts,
            notes,
        };
        letter.check()?;
        Ok(Self {
            letter,
            device,
            to,
            suite: Suite(suite),
            week,
        })
    }
}

impl Letter {
    /// Bytes of the signed message at most, whoever it is sealed to.
    pub(super) fn signed_len(&self, device: &SiteKey) -> Result<usize, MailError> {
        let (suite, week) = (Suite(u16::MAX), Week(u32::MAX));
        let signed = self.signed(device, self.from, suite, week)?;
        Ok(signed.len())
    }

    /// Signs it as written to somebody, as it will be sealed.
    pub(super) fn signed(
        &self,
        device: &SiteKey,
        to: Id,
        suite: Suite,
        week: Week,
    ) -> Result<Vec<u8>, MailError> {
        self.check()?;
        let mut out = Writer::default();
        out.array(FIELDS);
        out.uint(VERSION);
        out.bytes(&self.from.0);
        out.bytes(&device.name().0);
        out.bytes(&to.0);
        out.uint(suite.0.into());
        out.uint(week.0.into());
        out.bytes(&self.id.0);
        out.bytes(&self.thread.0);
        out.uint(self.sequence);
        out.uint(self.time_millis);
        let (here, there) = match &self.body {
            Body::Here(bytes) => (&bytes[..], None),
            Body::There(enclosure) => (&[][..], Some(enclosure)),
        };
        out.bytes(here);
        write_enclosures(&mut out, there.as_slice());
        write_enclosures(&mut out, &self.enclosures.iter().collect::<Vec<_>>());
        out.array(self.receipts.len());
        for receipt in &self.receipts {
            out.array(2);
            out.bytes(&receipt.message.0);
            out.uint(match receipt.fate {
                Fate::Delivered => DELIVERED,
                Fate::Read => READ,
            });
        }
        out.bytes(&self.notes);
        let signature = device.sign(&[SIGNED, &out.0].concat());
        let mut whole = Writer::default();
        whole.array(2);
        whole.0.extend_from_slice(&out.0);
        whole.bytes(&signature);
        Ok(whole.0)
    }

    fn check(&self) -> Result<(), MailError> {
        let body = match &self.body {
            Body::Here(_) => None,
            Body::There(enclosure) => Some(enclosure),
        };
        let bytes: u64 = self.enclosures.iter().chain(body).map(Enclosure::len).sum();
        if self.enclosures.len() > MAX_ENCLOSURES
            || self.receipts.len() > MAX_RECEIPTS
            || bytes > MAX_ENCLOSURES_LEN
        {
            return Err(MailError::TooMany);
        }
        match self.time_millis <= MAX_TIME_MILLIS {
            true => Ok(()),
            false => Err(MailError::Malformed),
        }
    }
}

impl std::fmt::Debug for MessageId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("MessageId(")?;
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))?;
        f.write_str(")")
    }
}

fn read_enclosures(reader: &mut Reader<'_>, most: usize) -> Result<Vec<Enclosure>, MailError> {
    let count = reader.array()?;
    if count > most {
        return Err(MailError::TooMany);
    }
    (0..count).map(|_| Enclosure::read(reader)).collect()
}

fn write_enclosures(out: &mut Writer, enclosures: &[&Enclosure]) {
    out.array(enclosures.len());
    enclosures.iter().for_each(|enclosure| enclosure.write(out));
}

fn read_receipts(reader: &mut Reader<'_>) -> Result<Vec<Receipt>, MailError> {
    let count = reader.array()?;
    if count > MAX_RECEIPTS {
        return Err(MailError::TooMany);
    }
    let mut receipts = Vec::with_capacity(count);
    for _ in 0..count {
        exactly(reader.array()?, 2)?;
        receipts.push(Receipt {
            message: MessageId(reader.fixed_bytes()?),
            fate: match reader.uint()? {
                DELIVERED => Fate::Delivered,
                READ => Fate::Read,
                _ => return Err(MailError::Malformed),
            },
        });
    }
    Ok(receipts)
}

/// What a signature covers begins with this.
const SIGNED: &[u8] = b"gyre mail message 1:";

/// Fields of a message.
const FIELDS: usize = 15;

const DELIVERED: u64 = 1;
const READ: u64 = 2;
