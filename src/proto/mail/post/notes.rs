//! Notes: what the programs of two people, or of two devices, tell each other inside a sealed message.
//!
//! A list of `[kind, bytes]`; a kind that is not known is passed over, so that later versions can say more. What the notes of one's
//! own devices say counts only in messages to oneself.

use super::super::{MailError, exactly};
use super::Ref;
use crate::proto::cbor::{Reader, Writer};
use crate::proto::custody::tag::{PASS_LEN, Pass, WEEKS_AHEAD};
use crate::proto::identity::Id;
use crate::proto::identity::card::MAX_NAME_LEN;
use crate::proto::share::clean_name;

/// Recipients of a message at most: their ids take 1,600 bytes of each envelope.
pub const MAX_RECIPIENTS: usize = 50;

/// Notes in one message at most. Ours.
const MAX_NOTES: usize = 16;

/// Letters that a device can say it has, by the first bytes of their hashes: two weeks of 50 a day, in one envelope.
pub const MAX_HAVE: usize = 700;

/// Messages that a device can say were removed for good.
pub const MAX_REMOVED: usize = 100;

/// Bytes of a snapshot in one envelope.
pub const PART_LEN: usize = 14_000;

/// Parts of a snapshot at most: 215 KiB of contacts and what the page says.
pub const MAX_PARTS: usize = 16;

/// Bytes of where a mail came in from outside: the longest name of a domain.
pub const MAX_ORIGIN_LEN: usize = 253;

/// All notes of a message.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Notes {
    /// What the sender calls themselves.
    pub name: Option<String>,
    /// To whom the message goes.
    pub recipients: Vec<Id>,
    /// What admits to the sender's lane of contacts, week by week.
    pub passes: Vec<Pass>,
    /// What a device of one's own has.
    pub has: Option<Has>,
    /// A part of what a device of one's own knows.
    pub part: Option<Part>,
    /// Where the mail came in, if whoever signed it only passed it on.
    pub origin: Option<String>,
}

/// What a device has, so that the others know when a letter can be deleted. The later replaces the earlier.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Has {
    /// Counts them.
    pub sequence: u64,
    /// Letters at custodians that it has, by the first 16 bytes of their hashes.
    pub letters: Vec<[u8; 16]>,
    /// Messages that the person removed for good: sender and id, hashed.
    pub removed: Vec<Ref>,
}

/// A part of a snapshot: contacts, and what the page wants its other devices to know.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Part {
    /// Which snapshot of this device; the later replaces the earlier.
    pub sequence: u64,
    /// Which part.
    pub place: usize,
    /// Of how many.
    pub of: usize,
    /// Its bytes.
    pub bytes: Vec<u8>,
}

impl Notes {
    /// The bytes; none for nothing.
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut notes: Vec<(u64, Vec<u8>)> = Vec::new();
        if let Some(name) = &self.name {
            notes.push((NAME, name.as_bytes().to_vec()));
        }
        if !self.recipients.is_empty() {
            let ids = self.recipients.iter().flat_map(|id| id.0);
            notes.push((RECIPIENTS, ids.collect()));
        }
        if !self.passes.is_empty() {
            let passes = self.passes.iter().flat_map(|pass| *pass.encode());
            notes.push((PASSES, passes.collect()));
        }
        if let Some(has) = &self.has {
            let mut out = Writer::default();
            out.array(3);
            out.uint(has.sequence);
            out.bytes(&has.letters.concat());
            let removed: Vec<_> = has.removed.iter().map(|id| id.0).collect();
            out.bytes(&removed.concat());
            notes.push((HAS, out.0));
        }
        if let Some(part) = &self.part {
            let mut out = Writer::default();
            out.array(4);
            out.uint(part.sequence);
            out.uint(part.place as u64);
            out.uint(part.of as u64);
            out.bytes(&part.bytes);
            notes.push((PART, out.0));
        }
        if let Some(origin) = &self.origin {
            notes.push((ORIGIN, origin.as_bytes().to_vec()));
        }
        if notes.is_empty() {
            return Vec::new();
        }
        let mut out = Writer::default();
        out.array(notes.len());
        for (kind, bytes) in notes {
            out.array(2);
            out.uint(kind);
            out.bytes(&bytes);
        }
        out.0
    }

    /// Reads notes.
    ///
    /// # Errors
    /// `Malformed`, `NotCanonical` or `TooMany`.
    pub fn parse(bytes: &[u8]) -> Result<Self, MailError> {
        let mut notes = Self::default();
        if bytes.is_empty() {
            return Ok(notes);
        }
        let mut reader = Reader::new(bytes);
        let count = reader.array()?;
        if count > MAX_NOTES {
            return Err(MailError::TooMany);
        }
        for _ in 0..count {
            exactly(reader.array()?, 2)?;
            let kind = reader.uint()?;
            notes.take(kind, reader.bytes()?)?;
        }
        match reader.is_at_end() {
            true => Ok(notes),
            false => Err(MailError::Malformed),
        }
    }

    fn take(&mut self, kind: u64, bytes: &[u8]) -> Result<(), MailError> {
        match kind {
            NAME => {
                let name = std::str::from_utf8(bytes).map_err(|_| MailError::Malformed)?;
                if name.len() > MAX_NAME_LEN || clean_name(name) != name {
                    return Err(MailError::Malformed);
                }
                self.name = Some(name.to_owned());
            }
            RECIPIENTS => self.recipients = pieces(bytes, MAX_RECIPIENTS)?.map(Id).collect(),
            PASSES => {
                let passes = pieces::<PASS_LEN>(bytes, WEEKS_AHEAD as usize)?;
                self.passes = passes.map(|pass| Pass::decode(&pass)).collect();
            }
            HAS => {
                let mut reader = Reader::new(bytes);
                exactly(reader.array()?, 3)?;
                self.has = Some(Has {
                    sequence: reader.uint()?,
                    letters: pieces(reader.bytes()?, MAX_HAVE)?.collect(),
                    removed: pieces(reader.bytes()?, MAX_REMOVED)?.map(Ref).collect(),
                });
                exactly(usize::from(reader.is_at_end()), 1)?;
            }
            PART => {
                let mut reader = Reader::new(bytes);
                exactly(reader.array()?, 4)?;
                let part = Part {
                    sequence: reader.uint()?,
                    place: usize::try_from(reader.uint()?).map_err(|_| MailError::Malformed)?,
                    of: usize::try_from(reader.uint()?).map_err(|_| MailError::Malformed)?,
                    bytes: reader.bytes()?.to_vec(),
                };
                let fine = part.place < part.of && part.of <= MAX_PARTS && reader.is_at_end();
                if !fine || part.bytes.len() > PART_LEN {
                    return Err(MailError::Malformed);
                }
                self.part = Some(part);
            }
            ORIGIN => {
                let origin = std::str::from_utf8(bytes).map_err(|_| MailError::Malformed)?;
                if !is_origin(origin) {
                    return Err(MailError::Malformed);
                }
                self.origin = Some(origin.to_owned());
            }
            _ => {}
        }
        Ok(())
    }
}

/// Whether this can be where a mail came in: a domain in small ASCII letters.
pub fn is_origin(text: &str) -> bool {
    let letter = |byte: u8| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.');
    (1..=MAX_ORIGIN_LEN).contains(&text.len()) && text.bytes().all(letter)
}

fn pieces<const N: usize>(
    bytes: &[u8],
    most: usize,
) -> Result<impl Iterator<Item = [u8; N]>, MailError> {
    let (pieces, rest) = bytes.as_chunks::<N>();
    if !rest.is_empty() {
        return Err(MailError::Malformed);
    }
    match pieces.len() > most {
        true => Err(MailError::TooMany),
        false => Ok(pieces.iter().copied()),
    }
}

const NAME: u64 = 1;
const RECIPIENTS: u64 = 2;
const PASSES: u64 = 3;
const HAS: u64 = 4;
const PART: u64 = 5;
const ORIGIN: u64 = 6;

#[cfg(all(test, not(target_arch = "wasm32")))]
mod tests {
    #![allow(clippy::unwrap_used)]
    use proptest::prelude::*;

    use super::*;
    use crate::proto::custody::tag::{MailboxSecret, Week};

    fn all() -> Notes {
        let mailbox = MailboxSecret::new([5; 32]);
        Notes {
            name: Some("Zoë".into()),
            recipients: vec![Id([1; 32]), Id([2; 32])],
            passes: (0..8)
                .map(|week| mailbox.pass(0, Week(2976 + week)))
                .collect(),
            has: Some(Has {
                sequence: 300,
                letters: vec![[7; 16], [8; 16]],
                removed: vec![Ref([9; 16])],
            }),
            part: Some(Part {
                sequence: 4,
                place: 1,
                of: 2,
                bytes: b"part".to_vec(),
            }),
            origin: Some("mail.example".into()),
        }
    }

    #[test]
    fn notes_are_read_as_they_were_written() {
        let bytes = all().to_bytes();
        assert_eq!(Notes::parse(&bytes), Ok(all()));
        assert_eq!(Notes::parse(&[]), Ok(Notes::default()));
        assert!(Notes::default().to_bytes().is_empty());
        // In docs/mail.md.
        assert_eq!(bytes.len(), 711);
        // A kind of a later version is passed over.
        assert_eq!(
            Notes::parse(&[0x81, 0x82, 9, 0x41, 0]),
            Ok(Notes::default())
        );
    }

    proptest! {
        #[test]
        fn any_bytes_are_looked_at_without_panic(bytes in prop::collection::vec(any::<u8>(), 0..120), at in 0usize..711, flip in 1u8..) {
            let _ = Notes::parse(&bytes);
            let mut damaged = all().to_bytes();
            damaged[at] ^= flip;
            if let Ok(notes) = Notes::parse(&damaged) {
                prop_assert_eq!(Notes::parse(&notes.to_bytes()), Ok(notes));
            }
        }
    }
}
