//! The messages of `/gyre/names/1.0.0` and their bytes: `docs/names.md` has the table.

use bytes::{BufMut, Bytes, BytesMut};

use crate::proto::name::Name;
use crate::proto::name::record::{MAX_RECORD, RecordError};

/// Longest message in bytes, without the two of its length: a tag, a name and the longest record.
pub const MAX_MESSAGE: usize = 1 + 32 + MAX_RECORD;

/// One message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Message {
    /// Tell me the head of this name, now and whenever it changes.
    Follow(Name),
    /// No longer.
    Leave(Name),
    /// A record of this name.
    Head(Name, Bytes),
    /// No record of this name is known here yet.
    Nothing(Name),
    /// What was sent about this name was not taken.
    Refused(Name, Refusal),
}

/// Why a record was not taken, as it is told to the other end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Refusal(pub u8);

impl From<RecordError> for Refusal {
    fn from(error: RecordError) -> Self {
        Self(match error {
            RecordError::Full => 1,
            RecordError::TooLarge => 2,
            RecordError::Malformed(_) => 3,
            RecordError::WrongName => 4,
            RecordError::BadSignature => 5,
            RecordError::Expired => 6,
            RecordError::Stale { .. } => 7,
        })
    }
}

/// Bytes that are no message.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum MessageError {
    /// More than [`MAX_MESSAGE`], or less than a tag and a name.
    #[error("a message of {0} bytes")]
    Length(usize),
    /// A tag that this version does not know.
    #[error("a message with tag {0}")]
    Tag(u8),
}

impl Message {
    /// The name that it is about.
    pub fn name(&self) -> Name {
        match self {
            Self::Follow(name)
            | Self::Leave(name)
            | Self::Head(name, _)
            | Self::Nothing(name)
            | Self::Refused(name, _) => *name,
        }
    }

    /// The bytes, those of the length before them included.
    pub fn encode(&self) -> Bytes {
        let (tag, name, rest) = match self {
            Self::Follow(name) => (FOLLOW, name, &[][..]),
            Self::Leave(name) => (LEAVE, name, &[][..]),
            Self::Head(name, record) => (HEAD, name, &record[..record.len().min(MAX_RECORD)]),
            Self::Nothing(name) => (NOTHING, name, &[][..]),
            Self::Refused(name, code) => (REFUSED, name, std::slice::from_ref(&code.0)),
        };
        let mut out = BytesMut::with_capacity(2 + SHORT + rest.len());
        out.put_u16((SHORT + rest.len()) as u16);
        out.put_u8(tag);
        out.put_slice(&name.0);
        out.put_slice(rest);
        out.freeze()
    }

    /// How many bytes follow two that say it.
    ///
    /// # Errors
    /// `Length` if no message has as many.
    pub fn length(bytes: [u8; 2]) -> Result<usize, MessageError> {
        let length = usize::from(u16::from_be_bytes(bytes));
        match length {
            SHORT..=MAX_MESSAGE => Ok(length),
            _ => Err(MessageError::Length(length)),
        }
    }

    /// Reads a message, without the bytes of its length.
    ///
    /// # Errors
    /// Any [`MessageError`].
    pub fn decode(bytes: &[u8]) -> Result<Self, MessageError> {
        let wrong = MessageError::Length(bytes.len());
        let (tag, rest) = bytes.split_first().ok_or(wrong)?;
        let (name, rest) = rest.split_first_chunk::<32>().ok_or(wrong)?;
        let name = Name(*name);
        match (*tag, rest) {
            (FOLLOW, []) => Ok(Self::Follow(name)),
            (LEAVE, []) => Ok(Self::Leave(name)),
            (HEAD, record) if record.len() <= MAX_RECORD => {
                Ok(Self::Head(name, Bytes::copy_from_slice(record)))
            }
            (NOTHING, []) => Ok(Self::Nothing(name)),
            (REFUSED, [code]) => Ok(Self::Refused(name, Refusal(*code))),
            (FOLLOW | LEAVE | HEAD | NOTHING | REFUSED, _) => Err(wrong),
            (tag, _) => Err(MessageError::Tag(tag)),
        }
    }
}

const FOLLOW: u8 = 1;
const LEAVE: u8 = 2;
const HEAD: u8 = 3;
const NOTHING: u8 = 4;
const REFUSED: u8 = 5;

/// Bytes of a message with a name only.
const SHORT: usize = 1 + 32;

#[cfg(all(test, not(target_arch = "wasm32")))]
mod tests {
    #![allow(clippy::unwrap_used)]
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_bytes_are_as_documented() {
        let name = Name([0xab; 32]);
        let bytes = Message::Head(name, Bytes::from_static(b"xyz")).encode();
        assert_eq!(bytes[..3], [0, 36, 3]);
        assert_eq!(bytes[3..35], [0xab; 32]);
        assert_eq!(bytes[35..], b"xyz"[..]);
        assert_eq!(Message::Follow(name).encode()[..3], [0, 33, 1]);
        assert_eq!(Message::Leave(name).encode()[2], 2);
        assert_eq!(Message::Nothing(name).encode()[2], 4);
        let refused = Message::Refused(name, RecordError::Expired.into()).encode();
        assert_eq!((refused[2], refused[35]), (5, 6));
    }

    #[test]
    fn lengths_are_bounded_before_anything_is_read() {
        assert_eq!(Message::length([0, 32]), Err(MessageError::Length(32)));
        assert_eq!(Message::length([0, 33]), Ok(33));
        let longest = (MAX_MESSAGE as u16).to_be_bytes();
        assert_eq!(Message::length(longest), Ok(MAX_MESSAGE));
        assert!(Message::length([0xff, 0xff]).is_err());
        assert_eq!(Message::decode(&[9; 33]), Err(MessageError::Tag(9)));
    }

    proptest! {
        #[test]
        fn what_is_read_has_one_spelling(bytes in prop::collection::vec(any::<u8>(), 0..80), tag in 1u8..6) {
            let mut bytes = bytes;
            if let Some(first) = bytes.first_mut() {
                *first = tag;
            }
            if let Ok(message) = Message::decode(&bytes) {
                prop_assert_eq!(&message.encode()[2..], &bytes[..]);
            }
        }
    }
}
