//! The mail record: to which key letters for an identity are sealed now.
//!
//! It is signed by the mail key that the identity's chain names, and stands in an index under that key: so a holder can check it
//! without the chain, and whoever has the chain finds it. What custodians need of it (tags, stamps, mailbox relays) is
//! opaque here.

use std::cmp::Ordering;

#[cfg(feature = "mail")]
use super::kem::PublicKey;
use super::{MAX_AHEAD, MailError, Suite, VERSION, Week, exactly, read_week};
use crate::proto::cbor::{Reader, Writer};
#[cfg(feature = "mail")]
use crate::proto::identity::chain::Chain;
use crate::proto::identity::{Id, Key};
use crate::proto::keys::SiteKey;

/// Longest record in bytes: two keys of the size of X-Wing's and what custodians need.
pub const MAX_RECORD_LEN: usize = 6 * 1024;

/// Longest part for custodians, in bytes. Ours: eight weeks of tags of two lanes and two relays.
pub const MAX_CUSTODY_LEN: usize = 2 * 1024;

/// Keys of different suites at most.
pub const MAX_KEYS: usize = 2;

/// How long a record holds at most, in seconds: an owner who is away for 60 days stays reachable.
pub const MAX_VALIDITY: u64 = 60 * 24 * 3600;

/// What the key of a record in an index begins with.
pub const NAMESPACE: &[u8] = b"/gyre/mail/";

/// Bytes of a key in an index.
pub const ROUTING_KEY_LEN: usize = NAMESPACE.len() + 32;

/// A public key to seal to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Prekey {
    /// For which suite.
    pub suite: Suite,
    /// Of which week.
    pub week: Week,
    /// Its bytes, which only who knows the suite can read.
    pub key: Vec<u8>,
}

/// What a record says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Draft {
    /// Whose.
    pub id: Id,
    /// Since when, in seconds since 1970; of two records the later counts.
    pub issued: u64,
    /// Until when.
    pub until: u64,
    /// The keys, the strongest suite first.
    pub keys: Vec<Prekey>,
    /// What custodians need.
    pub custody: Vec<u8>,
}

/// A record whose signature holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MailRecord {
    says: Draft,
    key: Key,
    bytes: Vec<u8>,
}

/// To whom a letter is sealed.
#[cfg(feature = "mail")]
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Recipient {
    /// Who.
    pub id: Id,
    /// How.
    pub suite: Suite,
    /// The week of the key.
    pub week: Week,
    /// The key.
    pub key: PublicKey,
}

impl MailRecord {
    /// Signs a record.
    ///
    /// # Errors
    /// `TooMany` or `Malformed` if it says what no record may.
    pub fn sign(key: &SiteKey, says: Draft) -> Result<Self, MailError> {
        says.check()?;
        let body = says.write();
        let signature = key.sign(&[SIGNED, &body].concat());
        let mut out = Writer::default();
        out.array(2);
        out.0.extend_from_slice(&body);
        out.bytes(&signature);
        Ok(Self {
            says,
            key: Key::from(key.name()),
            bytes: out.0,
        })
    }

    /// Reads the record of a mail key and checks its signature.
    ///
    /// # Errors
    /// `TooMany`, `Malformed`, `NotCanonical`, `Version` or `Forged`.
    pub fn verify(key: Key, bytes: &[u8]) -> Result<Self, MailError> {
        if bytes.len() > MAX_RECORD_LEN {
            return Err(MailError::TooMany);
        }
        let mut reader = Reader::new(bytes);
        exactly(reader.array()?, 2)?;
        let start = reader.at();
        let says = Draft::read(&mut reader)?;
        let body = &bytes[start..reader.at()];
        let signature: [u8; 64] = reader.fixed_bytes()?;
        if !reader.is_at_end() {
            return Err(MailError::Malformed);
        }
        says.check()?;
        match key.signed(&[SIGNED, body].concat(), &signature) {
            true => Ok(Self {
                says,
                key,
                bytes: bytes.to_vec(),
            }),
            false => Err(MailError::Forged),
        }
    }

    /// Whether it holds at `now`, in seconds since 1970.
    ///
    /// # Errors
    /// `Expired` or `FromTheFuture`.
    pub fn check_time(&self, now: u64) -> Result<(), MailError> {
        if self.says.until < now {
            return Err(MailError::Expired);
        }
        match self.says.issued > now.saturating_add(MAX_AHEAD) {
            true => Err(MailError::FromTheFuture),
            false => Ok(()),
        }
    }

    /// What it says.
    pub fn says(&self) -> &Draft {
        &self.says
    }

    /// The mail key that signed it.
    pub fn key(&self) -> Key {
        self.key
    }

    /// As it travels and is stored.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// How it stands to another record of the same key: the later one counts, then the one that holds longer, and last the greater bytes.
    pub fn rank(&self, other: &Self) -> Ordering {
        let rank = |record: &Self| (record.says.issued, record.says.until);
        rank(self)
            .cmp(&rank(other))
            .then_with(|| self.bytes.cmp(&other.bytes))
    }

    /// To whom letters for this identity are sealed: with the strongest suite that both know, and none weaker than `weakest`, which is
    /// what was used with this contact before.
    ///
    /// # Errors
    /// `OtherIdentity` if the chain does not name this record's key, `Downgraded`, `UnknownSuite`, `Malformed`.
    #[cfg(feature = "mail")]
    pub fn recipient(&self, chain: &Chain, weakest: Suite) -> Result<Recipient, MailError> {
        if chain.id() != self.says.id || chain.state().mail != Some(self.key) || chain.state().ended
        {
            return Err(MailError::OtherIdentity);
        }
        let mut refused = MailError::Malformed;
        for prekey in &self.says.keys {
            match prekey.suite.check(weakest) {
                Ok(()) => {
                    return Ok(Recipient {
                        id: self.says.id,
                        suite: prekey.suite,
                        week: prekey.week,
                        key: PublicKey::parse(&prekey.key)?,
                    });
                }
                Err(error) => refused = error,
            }
        }
        Err(refused)
    }
}

impl Draft {
    fn check(&self) -> Result<(), MailError> {
        if self.keys.len() > MAX_KEYS || self.custody.len() > MAX_CUSTODY_LEN {
            return Err(MailError::TooMany);
        }
        let long = self
            .keys
            .iter()
            .any(|prekey| prekey.key.len() > MAX_KEY_LEN);
        let descending = self.keys.is_sorted_by(|a, b| a.suite > b.suite);
        let lasting = self
            .until
            .checked_sub(self.issued)
            .is_some_and(|seconds| seconds <= MAX_VALIDITY);
        match !self.keys.is_empty() && !long && descending && lasting {
            true => Ok(()),
            false => Err(MailError::Malformed),
        }
    }

    fn write(&self) -> Vec<u8> {
        let mut out = Writer::default();
        out.array(6);
        out.uint(VERSION);
        out.bytes(&self.id.0);
        out.uint(self.issued);
        out.uint(self.until);
        out.array(self.keys.len());
        for prekey in &self.keys {
            out.array(3);
            out.uint(prekey.suite.0.into());
            out.uint(prekey.week.0.into());
            out.bytes(&prekey.key);
        }
        out.bytes(&self.custody);
        out.0
    }

    fn read(reader: &mut Reader<'_>) -> Result<Self, MailError> {
        let fields = reader.array()?;
        match reader.uint()? {
            VERSION => exactly(fields, 6)?,
            other => return Err(MailError::Version(other)),
        }
        let id = Id(reader.fixed_bytes()?);
        let (issued, until) = (reader.uint()?, reader.uint()?);
        let count = reader.array()?;
        if count > MAX_KEYS {
            return Err(MailError::TooMany);
        }
        let mut keys = Vec::with_capacity(count);
        for _ in 0..count {
            exactly(reader.array()?, 3)?;
            let suite = u16::try_from(reader.uint()?).map_err(|_| MailError::Malformed)?;
            keys.push(Prekey {
                suite: Suite(suite),
                week: read_week(reader)?,
                key: reader.bytes()?.to_vec(),
            });
        }
        Ok(Self {
            id,
            issued,
            until,
            keys,
            custody: reader.bytes()?.to_vec(),
        })
    }
}

/// The key under which the record of a mail key stands in an index.
pub fn routing_key(key: Key) -> [u8; ROUTING_KEY_LEN] {
    let mut routing = [0; ROUTING_KEY_LEN];
    routing[..NAMESPACE.len()].copy_from_slice(NAMESPACE);
    routing[NAMESPACE.len()..].copy_from_slice(&key.0);
    routing
}

/// The mail key of a key in an index; `None` for keys of other namespaces.
pub fn of_routing_key(key: &[u8]) -> Option<Key> {
    let key = key.strip_prefix(NAMESPACE)?;
    Some(Key(key.try_into().ok()?))
}

/// Checks a value that was put under a key, at `now` in seconds since 1970.
///
/// # Errors
/// Any [`MailError`] of [`MailRecord::verify`] and [`MailRecord::check_time`]; `OtherIdentity` for a key of another namespace.
pub fn validate(key: &[u8], value: &[u8], now: u64) -> Result<MailRecord, MailError> {
    let key = of_routing_key(key).ok_or(MailError::OtherIdentity)?;
    let record = MailRecord::verify(key, value)?;
    record.check_time(now)?;
    Ok(record)
}

/// Which of the answers counts, by its place; those that are not valid do not.
pub fn select(key: &[u8], values: &[&[u8]], now: u64) -> Option<usize> {
    let valid = values
        .iter()
        .enumerate()
        .filter_map(|(place, value)| Some((place, validate(key, value, now).ok()?)));
    // Of equal ones the first.
    let best = valid.reduce(|best, other| match other.1.rank(&best.1) {
        Ordering::Greater => other,
        _ => best,
    });
    best.map(|(place, _)| place)
}

/// What a signature covers begins with this.
const SIGNED: &[u8] = b"gyre mail record 1:";

/// Longest key in bytes: ML-KEM-1024 with X448 has 1,624.
const MAX_KEY_LEN: usize = 1700;
