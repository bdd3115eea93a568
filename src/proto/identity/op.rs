//! One operation: what it says, its one encoding, and its hash.
//!
//! An operation is an array of its body and a signature. The body is an array of version, kind, and what the kind needs; its hash
//! is the operation's id, so that the same operation signed twice is the same. What a signature covers begins with a text of its
//! own, so that nothing signed elsewhere passes for an operation.

use super::{Commitment, IdentityError, Key, MAX_TIME, OpId};
use crate::proto::cbor::{Reader, Writer};
use crate::proto::keys::SiteKey;

/// Version of the format.
pub const VERSION: u64 = 1;

/// What an operation does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Act {
    /// The beginning. Signed by `key`.
    Genesis(Keys),
    /// Another key. Signed by it; it must be the one that was committed to.
    Rotate(Keys),
    /// Another key, by whoever has the recovery key. Signed by `shown`, which must be the one that was committed to.
    Recover {
        /// The recovery key, never to be used again.
        shown: Key,
        /// The keys from now on.
        keys: Keys,
    },
    /// A device that signs mail.
    AddDevice(Key),
    /// A device that no longer does.
    RemoveDevice(Key),
    /// The key that signs the mail record, or none any more.
    SetMail(Option<Key>),
    /// The key that signs the records of a site of this identity, or none any more.
    SetSite {
        /// Which site: its address is the identity and this number.
        site: u32,
        /// The name (an IPNS key) that it is published under now.
        key: Option<Key>,
    },
    /// The end. Signed by the key that was committed to.
    Tombstone(Key),
}

/// The keys of an identity: the current one, and what commits to those that may follow it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Keys {
    /// Signs operations.
    pub key: Key,
    /// Signs the next rotation.
    pub next: Commitment,
    /// Signs a recovery.
    pub recovery: Commitment,
}

/// An operation. That its signature holds is for a [`chain`](super::chain) to say, which knows whose it must be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Op {
    prev: Option<OpId>,
    time: u64,
    act: Act,
    body: Vec<u8>,
    signature: [u8; 64],
}

impl Op {
    /// Signs the first operation of a chain.
    pub fn genesis(keys: Keys, signer: &SiteKey) -> Self {
        Self::sign(None, 0, Act::Genesis(keys), signer)
    }

    /// Signs an operation that follows `prev`, at `time` in seconds since 1970.
    pub fn after(prev: OpId, time: u64, act: Act, signer: &SiteKey) -> Self {
        Self::sign(Some(prev), time, act, signer)
    }

    fn sign(prev: Option<OpId>, time: u64, act: Act, signer: &SiteKey) -> Self {
        let body = write_body(prev, time, &act);
        let signature = signer.sign(&signed(&body));
        Self {
            prev,
            time,
            act,
            body,
            signature,
        }
    }

    /// Reads one; its signature is not checked.
    pub(super) fn read(bytes: &[u8], reader: &mut Reader<'_>) -> Result<Self, IdentityError> {
        exactly(reader.array()?, 2)?;
        let start = reader.at();
        let (prev, time, act) = read_body(reader)?;
        let body = bytes[start..reader.at()].to_vec();
        let signature = reader.fixed_bytes()?;
        Ok(Self {
            prev,
            time,
            act,
            body,
            signature,
        })
    }

    pub(super) fn write(&self, out: &mut Writer) {
        out.array(2);
        out.0.extend_from_slice(&self.body);
        out.bytes(&self.signature);
    }

    /// Bytes that it takes in a chain.
    pub(super) fn encoded_len(&self) -> usize {
        1 + self.body.len() + 2 + self.signature.len()
    }

    /// What names it.
    pub fn id(&self) -> OpId {
        OpId(*blake3::hash(&self.body).as_bytes())
    }

    /// The one before it; none for the first.
    pub fn prev(&self) -> Option<OpId> {
        self.prev
    }

    /// When, in seconds since 1970 by the clock of whoever signed it; 0 for the first, which says nothing.
    pub fn time(&self) -> u64 {
        self.time
    }

    /// What it does.
    pub fn act(&self) -> &Act {
        &self.act
    }

    /// Whether this key signed it.
    pub fn is_signed_by(&self, key: &Key) -> bool {
        key.signed(&signed(&self.body), &self.signature)
    }

    /// What may overrule what: 2 for a recovery, 1 for what the next key signs, 0 for the rest.
    pub fn rank(&self) -> u8 {
        match self.act {
            Act::Recover { .. } => 2,
            Act::Genesis(_) | Act::Rotate(_) | Act::Tombstone(_) => 1,
            _ => 0,
        }
    }
}

fn signed(body: &[u8]) -> Vec<u8> {
    [SIGNED, body].concat()
}

fn write_body(prev: Option<OpId>, time: u64, act: &Act) -> Vec<u8> {
    let (kind, fields) = match act {
        Act::Genesis(_) => (GENESIS, 5),
        Act::Rotate(_) => (ROTATE, 7),
        Act::Recover { .. } => (RECOVER, 8),
        Act::AddDevice(_) => (ADD_DEVICE, 5),
        Act::RemoveDevice(_) => (REMOVE_DEVICE, 5),
        Act::SetMail(_) => (SET_MAIL, 5),
        Act::SetSite { .. } => (SET_SITE, 6),
        Act::Tombstone(_) => (TOMBSTONE, 5),
    };
    let mut out = Writer::default();
    out.array(fields);
    out.uint(VERSION);
    out.uint(kind);
    if let Some(prev) = prev {
        out.bytes(&prev.0);
        out.uint(time);
    }
    let mut keys = |shown: Option<&Key>, keys: &Keys| {
        if let Some(shown) = shown {
            out.bytes(&shown.0);
        }
        for part in [&keys.key.0, &keys.next.0, &keys.recovery.0] {
            out.bytes(part);
        }
    };
    match act {
        Act::Genesis(new) | Act::Rotate(new) => keys(None, new),
        Act::Recover { shown, keys: new } => keys(Some(shown), new),
        Act::AddDevice(key) | Act::RemoveDevice(key) | Act::Tombstone(key) => out.bytes(&key.0),
        Act::SetMail(key) => write_optional(&mut out, key.as_ref()),
        Act::SetSite { site, key } => {
            out.uint(u64::from(*site));
            write_optional(&mut out, key.as_ref());
        }
    }
    out.0
}

fn read_body(reader: &mut Reader<'_>) -> Result<(Option<OpId>, u64, Act), IdentityError> {
    let fields = reader.array()?;
    match reader.uint()? {
        VERSION => {}
        other => return Err(IdentityError::Version(other)),
    }
    let kind = reader.uint()?;
    let (prev, time) = match kind {
        GENESIS => (None, 0),
        ROTATE..=TOMBSTONE => (Some(OpId(reader.fixed_bytes()?)), reader.uint()?),
        other => return Err(IdentityError::UnknownOp(other)),
    };
    if time > MAX_TIME {
        return Err(IdentityError::OutOfTime);
    }
    let expected = match kind {
        SET_SITE => 6,
        ROTATE => 7,
        RECOVER => 8,
        _ => 5,
    };
    exactly(fields, expected)?;
    let act = match kind {
        GENESIS => Act::Genesis(read_keys(reader)?),
        ROTATE => Act::Rotate(read_keys(reader)?),
        RECOVER => Act::Recover {
            shown: Key(reader.fixed_bytes()?),
            keys: read_keys(reader)?,
        },
        ADD_DEVICE => Act::AddDevice(Key(reader.fixed_bytes()?)),
        REMOVE_DEVICE => Act::RemoveDevice(Key(reader.fixed_bytes()?)),
        SET_MAIL => Act::SetMail(read_optional(reader)?),
        SET_SITE => {
            let site = u32::try_from(reader.uint()?).map_err(|_| IdentityError::Malformed)?;
            let key = read_optional(reader)?;
            Act::SetSite { site, key }
        }
        _ => Act::Tombstone(Key(reader.fixed_bytes()?)),
    };
    Ok((prev, time, act))
}

fn read_keys(reader: &mut Reader<'_>) -> Result<Keys, IdentityError> {
    Ok(Keys {
        key: Key(reader.fixed_bytes()?),
        next: Commitment(reader.fixed_bytes()?),
        recovery: Commitment(reader.fixed_bytes()?),
    })
}

/// No bytes for no key.
fn read_optional(reader: &mut Reader<'_>) -> Result<Option<Key>, IdentityError> {
    match reader.bytes()? {
        [] => Ok(None),
        key => {
            let key = key.try_into().map_err(|_| IdentityError::Malformed)?;
            Ok(Some(Key(key)))
        }
    }
}

fn write_optional(out: &mut Writer, key: Option<&Key>) {
    out.bytes(key.map_or(&[][..], |key| &key.0));
}

pub(super) fn exactly(count: usize, expected: usize) -> Result<(), IdentityError> {
    match count == expected {
        true => Ok(()),
        false => Err(IdentityError::Malformed),
    }
}

/// What a signature covers begins with this.
const SIGNED: &[u8] = b"gyre identity operation 1:";

const GENESIS: u64 = 0;
const ROTATE: u64 = 1;
const RECOVER: u64 = 2;
const ADD_DEVICE: u64 = 3;
const REMOVE_DEVICE: u64 = 4;
const SET_MAIL: u64 = 5;
const SET_SITE: u64 = 6;
const TOMBSTONE: u64 = 7;
