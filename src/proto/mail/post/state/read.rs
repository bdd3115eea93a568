//! Reading what was saved.

use super::super::devices::Device;
use super::super::identity::{Me, Stage as IdentityStage};
use super::super::inbox::{Held, Lies, Owed};
use super::super::notes::Notes;
use super::super::outbox::{Kind, Outgoing, Parcel, Sealed, Stage};
use super::super::people::{Person, Standing};
use super::super::renewal::{Decided, Former, Turn};
use super::super::snapshot::name;
use super::super::types::{Policy, Ref};
use super::{COUNTS, DEVICE, HELD, ME, OUTGOING, PERSON, SEALED, SYNC, VERSION};
use bytes::Bytes;
use zeroize::Zeroizing;

use crate::proto::cbor::Reader;
use crate::proto::custody::deposit::{Deposit, Expiry};
use crate::proto::custody::keep::Keep;
use crate::proto::custody::tag::{PASS_LEN, Pass, TERMS_LEN, Tag, Terms};
use crate::proto::custody::{MessageId as DepositId, PeerId, RELAYS_MAX};
use crate::proto::identity::chain::Chain;
use crate::proto::identity::fork::{Lineage, Seen};
use crate::proto::identity::op::Act;
use crate::proto::identity::{Id, Key, OpId};
use crate::proto::mail::enclosure::Enclosure;
use crate::proto::mail::message::{Body, Fate, MessageId, Receipt};
use crate::proto::mail::prekey::Prekeys;
use crate::proto::mail::record::MailRecord;
use crate::proto::mail::{MailError, Suite, exactly};

/// What stands under one name.
pub(super) enum Entry {
    Me(Box<Me>),
    Counts(u64, u64, u64, Vec<Ref>),
    Sync(Vec<u8>),
    Person(Id, Box<Person>),
    Device(Key, Device),
    Outgoing(MessageId, Box<Outgoing>),
    Sealed(MessageId, Id, Sealed),
    Held(DepositId, Held),
}

pub(super) fn read(name: &str, plain: &[u8]) -> Result<Entry, MailError> {
    let mut reader = Reader::new(plain);
    let fields = reader.array()?;
    match reader.uint()? {
        VERSION => {}
        other => return Err(MailError::Version(other)),
    }
    let kind = name.chars().next().ok_or(MailError::Malformed)?;
    let entry = match kind {
        ME => Entry::Me(Box::new(read_me(&mut reader, fields)?)),
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

fn read_me(reader: &mut Reader<'_>, fields: usize) -> Result<Me, MailError> {
    let stage = match reader.uint()? {
        0 => IdentityStage::None,
        1 => IdentityStage::Looking,
        2 => IdentityStage::Ready,
        3 => IdentityStage::Removed,
        4 => IdentityStage::Ended,
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
    let generations: Result<_, MailError> = generations
        .map(|(number, until)| Ok((small(number)?, until)))
        .collect();
    let prices = read_pairs(reader)?.into_iter();
    let prices: Result<_, MailError> = prices
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
        generations: generations?,
        prices: prices?,
        record: read_record(reader, mail)?,
        offered: reader.bytes()?.to_vec(),
        held: match reader.bytes()? {
            [] => None,
            head => Some(OpId(head.try_into().map_err(|_| MailError::Malformed)?)),
        },
        lineage,
        lost: false,
        // Before there were these, all keys followed from the secret of the machine.
        turn: match fields < FIELDS_WITH_TURN {
            true => None,
            false => read_turn(reader)?,
        },
        former: match fields < FIELDS_WITH_TURN {
            true => None,
            false => read_former(reader)?,
        },
        // Before there were these, what did not count was lost.
        decided: match fields < FIELDS_WITH_DECIDED {
            true => Vec::new(),
            false => read_decided(reader)?,
        },
    })
}

/// Fields of the identity since its keys may follow from another secret.
const FIELDS_WITH_TURN: usize = 14;

/// Fields of the identity since what the person decided is signed again.
const FIELDS_WITH_DECIDED: usize = 15;

fn read_decided(reader: &mut Reader<'_>) -> Result<Vec<Decided>, MailError> {
    let mut all = Vec::new();
    for _ in 0..reader.array()? {
        exactly(reader.array()?, 3)?;
        let op = OpId(reader.fixed_bytes()?);
        let site = reader.uint()?;
        let key = arrays(reader.bytes()?)?.map(Key).next();
        let act = match (site.checked_sub(1), key) {
            (Some(site), key) => Act::SetSite {
                site: small(site)?,
                key,
            },
            (None, Some(key)) => Act::RemoveDevice(key),
            (None, None) => return Err(MailError::Malformed),
        };
        all.push(Decided { op, act });
    }
    Ok(all)
}

fn read_turn(reader: &mut Reader<'_>) -> Result<Option<Turn>, MailError> {
    Ok(match reader.array()? {
        0 => None,
        fields => {
            exactly(fields, 3)?;
            Some(Turn {
                identity: Zeroizing::new(reader.fixed_bytes()?),
                mail: Zeroizing::new(reader.fixed_bytes()?),
                mailbox: Zeroizing::new(reader.fixed_bytes()?),
            })
        }
    })
}

fn read_former(reader: &mut Reader<'_>) -> Result<Option<Former>, MailError> {
    Ok(match reader.array()? {
        0 => None,
        fields => {
            exactly(fields, 5)?;
            Some(Former {
                mailbox: Zeroizing::new(reader.fixed_bytes()?),
                keys: Prekeys::parse(reader.bytes()?)?,
                generation: small(reader.uint()?)?,
                bits: small(reader.uint()?)?,
                until: reader.uint()?,
            })
        }
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
    let part = Notes::parse(reader.bytes()?)?.part;
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
        origin: None,
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
        // Older ones say nothing of what is attached.
        keep: match reader.is_at_end() {
            true => None,
            false => match reader.bytes()? {
                [] => None,
                bytes => Some(Keep::decode(bytes).ok_or(MailError::Malformed)?),
            },
        },
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

pub(super) const STAGES: [Stage; 8] = [
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
