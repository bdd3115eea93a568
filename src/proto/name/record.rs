//! Signed records: what a name leads to, since when in order, and until when.
//!
//! IPNS records of version 2 with ed25519 keys (IPNS record specification, 2026-04): read, verified, written and compared. A record
//! of both versions is read too, if both say the same. What is kept and passed on is always the same bytes for the same
//! signed document: the signature and the document, without what anybody could add around them.

use std::cmp::Ordering;

use bytes::Bytes;
use cid::Cid;

use super::Name;
use super::entry::{Document, Entry};
use super::validity::Validity;
use crate::proto::base::{cid_from_text, cid_text};
use crate::proto::keys::SiteKey;

/// Longest record in bytes (IPNS record specification, "Record Size Limit").
pub const MAX_RECORD: usize = 10 * 1024;

/// Longest value that is written, in bytes: `/ipfs/` and a CID of 128 letters.
pub const MAX_VALUE: usize = 256;

/// What a signature covers begins with this (IPNS record specification, "Record Creation").
const SIGNED: &[u8] = b"ipns-signature:";

/// The one kind of validity: an end of life.
const END_OF_LIFE: u64 = 0;

/// A record whose signature holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Record {
    name: Name,
    bytes: Bytes,
    value: String,
    sequence: u64,
    validity: Validity,
    ttl_nanos: u64,
}

/// What a new record is to say.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Draft {
    /// What the name leads to: a path, `/ipfs/<cid>` for a site.
    pub value: String,
    /// Higher than that of every record before it, or the same for the same value with a later end.
    pub sequence: u64,
    /// Until when it holds.
    pub validity: Validity,
    /// How long a reader may do without asking again, in nanoseconds.
    pub ttl_nanos: u64,
}

impl Draft {
    /// One that leads to this CID.
    pub fn to(cid: &Cid, sequence: u64, validity: Validity, ttl_nanos: u64) -> Self {
        Self {
            value: format!("/ipfs/{}", cid_text(cid)),
            sequence,
            validity,
            ttl_nanos,
        }
    }
}

/// Why bytes are no record of a name, or a record is not taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RecordError {
    /// More than [`MAX_RECORD`] bytes.
    #[error("a record of more than {MAX_RECORD} bytes")]
    TooLarge,
    /// Not the bytes of a record.
    #[error("not a record: {0}")]
    Malformed(&'static str),
    /// It brings a key that is not the name's.
    #[error("a record that was signed for another name")]
    WrongName,
    /// The name's key did not sign it.
    #[error("a record whose signature does not hold")]
    BadSignature,
    /// Its end has passed.
    #[error("a record that has expired")]
    Expired,
    /// A newer one is known: somebody lags, or leads back.
    #[error("a record older than one that is known: {sequence} after {known}")]
    Stale {
        /// Its number.
        sequence: u64,
        /// The number of the one that is known.
        known: u64,
    },
    /// No room for another name, or for more from this source now.
    #[error("no room for this record now")]
    Full,
}

impl RecordError {
    /// A code that does not change between versions; `docs/names.md` lists them.
    pub fn code(&self) -> &'static str {
        match self {
            Self::TooLarge => "RECORD_TOO_LARGE",
            Self::Malformed(_) => "RECORD_MALFORMED",
            Self::WrongName => "RECORD_WRONG_NAME",
            Self::BadSignature => "RECORD_BAD_SIGNATURE",
            Self::Expired => "RECORD_EXPIRED",
            Self::Stale { .. } => "RECORD_STALE",
            Self::Full => "RECORD_REFUSED",
        }
    }
}

impl Record {
    /// Signs a record.
    ///
    /// # Errors
    /// `TooLarge` for a value of more than [`MAX_VALUE`] bytes.
    pub fn sign(key: &SiteKey, draft: Draft) -> Result<Self, RecordError> {
        if draft.value.len() > MAX_VALUE {
            return Err(RecordError::TooLarge);
        }
        let document = Document {
            value: draft.value.as_bytes(),
            validity: draft.validity.to_string().as_bytes(),
            validity_type: END_OF_LIFE,
            sequence: draft.sequence,
            ttl: draft.ttl_nanos,
        }
        .write();
        let signature = key.sign(&[SIGNED, &document].concat());
        Ok(Self {
            name: key.name(),
            bytes: Entry::write(&signature, &document).into(),
            value: draft.value,
            sequence: draft.sequence,
            validity: draft.validity,
            ttl_nanos: draft.ttl_nanos,
        })
    }

    /// Reads the record of a name and checks its signature. Whether it still holds is another question:
    /// [`is_over`](Self::is_over).
    ///
    /// # Errors
    /// `TooLarge`, `Malformed`, `WrongName` or `BadSignature`.
    pub fn verify(name: Name, bytes: &[u8]) -> Result<Self, RecordError> {
        if bytes.len() > MAX_RECORD {
            return Err(RecordError::TooLarge);
        }
        let entry = Entry::read(bytes)?;
        let (Some(signature), Some(data)) = (entry.signature, entry.data) else {
            return Err(RecordError::Malformed("nothing signed as version 2"));
        };
        // An ed25519 key stands in the name; one that comes along all the same must be that one.
        if entry
            .public_key
            .is_some_and(|key| !name.routing_key().ends_with(key) || key.len() != 36)
        {
            return Err(RecordError::WrongName);
        }
        let document = Document::read(data)?;
        if document.validity_type != END_OF_LIFE {
            return Err(RecordError::Malformed("a validity of unknown kind"));
        }
        let first_version = entry.signature_v1.is_some() || entry.value.is_some();
        let same = entry.value == Some(document.value)
            && entry.validity == Some(document.validity)
            && entry.validity_type.unwrap_or(END_OF_LIFE) == document.validity_type
            && entry.sequence.unwrap_or_default() == document.sequence
            && entry.ttl.unwrap_or_default() == document.ttl;
        if first_version && !same {
            return Err(RecordError::Malformed("two versions that differ"));
        }
        let value = std::str::from_utf8(document.value)
            .map_err(|_| RecordError::Malformed("a value that is no text"))?;
        let validity = Validity::parse(document.validity)
            .ok_or(RecordError::Malformed("an end that cannot be read"))?;
        if !name.signed(&[SIGNED, data].concat(), signature) {
            return Err(RecordError::BadSignature);
        }
        Ok(Self {
            name,
            bytes: Entry::write(signature, data).into(),
            value: value.to_owned(),
            sequence: document.sequence,
            validity,
            ttl_nanos: document.ttl,
        })
    }

    /// Whose.
    pub fn name(&self) -> Name {
        self.name
    }

    /// As it travels and is stored.
    pub fn bytes(&self) -> &Bytes {
        &self.bytes
    }

    /// What the name leads to, as it was signed.
    pub fn value(&self) -> &str {
        &self.value
    }

    /// The CID, if the value is `/ipfs/<cid>` and nothing else.
    pub fn cid(&self) -> Option<Cid> {
        cid_from_text(self.value.strip_prefix("/ipfs/")?)
    }

    /// Its number: a higher one is newer.
    pub fn sequence(&self) -> u64 {
        self.sequence
    }

    /// Until when it holds.
    pub fn validity(&self) -> Validity {
        self.validity
    }

    /// How long a reader may do without asking again, in nanoseconds.
    pub fn ttl_nanos(&self) -> u64 {
        self.ttl_nanos
    }

    /// Whether its end has passed by a clock of milliseconds since 1970.
    pub fn is_over(&self, unix_millis: u64) -> bool {
        self.validity.is_over(unix_millis)
    }

    /// How it stands to another record of the same name: the higher number, then the later end (IPNS record specification,
    /// "Record Selection"), and last the greater bytes, so that everybody chooses the same one of two.
    pub fn rank(&self, other: &Self) -> Ordering {
        (self.sequence, self.validity, &self.bytes).cmp(&(
            other.sequence,
            other.validity,
            &other.bytes,
        ))
    }

    /// Whether the key's holder signed two things under one number: two machines with one key, or a stolen one.
    pub fn contradicts(&self, other: &Self) -> bool {
        self.sequence == other.sequence && self.value != other.value
    }
}

#[cfg(all(test, not(target_arch = "wasm32")))]
mod tests {
    #![allow(clippy::unwrap_used)]
    use proptest::prelude::*;

    use super::*;

    fn record(sequence: u64, value: &str, millis: u64) -> Record {
        let draft = Draft {
            value: value.to_owned(),
            sequence,
            validity: Validity::from_unix_millis(millis),
            ttl_nanos: 60_000_000_000,
        };
        Record::sign(&SiteKey::from_seed([7; 32]), draft).unwrap()
    }

    #[test]
    fn a_signed_record_is_read_back() {
        let record = record(3, "/ipfs/bafkqaaa", 2_000_000_000_000);
        let read = Record::verify(record.name(), record.bytes()).unwrap();
        assert_eq!(read, record);
        assert_eq!(read.cid().unwrap().to_string(), "bafkqaaa");
        assert!(!read.is_over(2_000_000_000_000));
        assert!(read.is_over(2_000_000_000_001));
    }

    #[test]
    fn another_name_did_not_sign_it() {
        let record = record(3, "/ipfs/bafkqaaa", 5);
        let other = SiteKey::from_seed([8; 32]).name();
        assert_eq!(
            Record::verify(other, record.bytes()),
            Err(RecordError::BadSignature)
        );
        // A key that comes along must be the name's.
        let key = |name: Name| {
            [
                &record.bytes()[..],
                &[7 << 3 | 2, 36],
                &name.routing_key()[8..],
            ]
            .concat()
        };
        assert_eq!(
            Record::verify(record.name(), &key(other)),
            Err(RecordError::WrongName)
        );
        let read = Record::verify(record.name(), &key(record.name())).unwrap();
        assert_eq!(
            read.bytes(),
            record.bytes(),
            "what nobody signed is not kept"
        );
    }

    #[test]
    fn bounds_hold() {
        let record = record(0, "/ipfs/bafkqaaa", 5);
        let padded = [
            &record.bytes()[..],
            &[15 << 3 | 2, 0x80, 0x50],
            &[0; 10 * 1024],
        ]
        .concat();
        assert_eq!(
            Record::verify(record.name(), &padded),
            Err(RecordError::TooLarge)
        );
        let draft = Draft {
            value: "/".repeat(MAX_VALUE + 1),
            sequence: 0,
            validity: Validity::from_unix_millis(0),
            ttl_nanos: 0,
        };
        assert_eq!(
            Record::sign(&SiteKey::from_seed([7; 32]), draft),
            Err(RecordError::TooLarge)
        );
    }

    #[test]
    fn the_higher_number_counts_and_then_the_later_end() {
        let newer = record(2, "/ipfs/a", 1);
        let longer = record(1, "/ipfs/a", 9);
        let shorter = record(1, "/ipfs/b", 8);
        assert_eq!(newer.rank(&longer), Ordering::Greater);
        assert_eq!(longer.rank(&shorter), Ordering::Greater);
        assert_eq!(longer.rank(&longer), Ordering::Equal);
        assert!(longer.contradicts(&shorter) && !longer.contradicts(&newer));
        let twin = record(1, "/ipfs/c", 9);
        assert_ne!(longer.rank(&twin), Ordering::Equal);
        assert_eq!(longer.rank(&twin), twin.rank(&longer).reverse());
    }

    proptest! {
        #[test]
        fn a_flipped_bit_is_no_record(at in any::<prop::sample::Index>(), bit in 0u8..8) {
            let record = record(9, "/ipfs/bafkqaaa", 2_000_000_000_000);
            let mut bytes = record.bytes().to_vec();
            let at = at.index(bytes.len());
            bytes[at] ^= 1 << bit;
            prop_assert!(Record::verify(record.name(), &bytes).is_err());
        }

        #[test]
        fn any_bytes_are_looked_at_without_panic(bytes in prop::collection::vec(any::<u8>(), 0..400)) {
            prop_assert!(Record::verify(Name([3; 32]), &bytes).is_err());
        }
    }
}
