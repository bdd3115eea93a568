//! From bytes to messages, as they come: any split, bounded memory, no trust.
//!
//! A length is checked against its tag's limit before anything is gathered for it, so a peer can make the decoder hold
//! at most one message. A chunk's bytes are copied once, from the network's buffer into the decoder's, and shared from
//! there on.

use bytes::{Buf, Bytes, BytesMut};

use super::super::bitfield::{Bitfield, BitfieldError};
use super::super::tail::{LEAF_SIZE, MAX_TAIL_PROOF, Tail, proof_len};
use super::super::types::{BlobHash, BlobSize, CHUNK_SIZE, ChunkIndex};
use super::{
    MAX_BODY, MAX_CHUNKS, MAX_HAVES, MAX_PROOF, MAX_UNKNOWN, Message, NO_SIZE, RejectReason, tag,
};

/// Why bytes are no message. The stream cannot be read on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum MessageError {
    /// The length is zero: there is no tag.
    #[error("a message without a tag")]
    Empty,
    /// Longer than the tag allows.
    #[error("a message with tag {tag} and {length} bytes, at most {limit} are allowed")]
    TooLong {
        /// The tag.
        tag: u8,
        /// Bytes of tag and fields that were announced.
        length: usize,
        /// Bytes allowed.
        limit: usize,
    },
    /// The fields do not fill the message exactly.
    #[error("a message with tag {tag} has fields of the wrong length")]
    Length {
        /// The tag.
        tag: u8,
    },
    /// A size above the largest blob.
    #[error("a blob of {0} bytes is larger than any")]
    Size(u64),
    /// An index that no blob reaches.
    #[error("chunk {0} is past the end of every blob")]
    Index(u32),
    /// A proof that is too long or not made of whole hashes.
    #[error("a proof of {0} bytes")]
    Proof(usize),
    /// A bitfield that does not fit its size.
    #[error(transparent)]
    Bitfield(#[from] BitfieldError),
}

/// Gathers bytes and gives out messages.
#[derive(Debug, Default)]
pub struct Decoder {
    buffer: BytesMut,
    failed: Option<MessageError>,
}

impl Decoder {
    /// Starts at a message's first byte.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds bytes that arrived. Drain [`next`](Self::next) after each call: what is not drained is kept.
    pub fn push(&mut self, bytes: &[u8]) {
        if self.failed.is_none() {
            self.buffer.extend_from_slice(bytes);
        }
    }

    /// The next whole message; `None` until more bytes have arrived.
    ///
    /// # Errors
    /// If the bytes are no message; every later call then fails the same way.
    #[allow(clippy::should_implement_trait)]
    pub fn next(&mut self) -> Result<Option<Message>, MessageError> {
        match self.failed {
            Some(error) => Err(error),
            None => self.advance().inspect_err(|error| {
                self.failed = Some(*error);
                self.buffer = BytesMut::new();
            }),
        }
    }

    fn advance(&mut self) -> Result<Option<Message>, MessageError> {
        loop {
            let Some((length, rest)) = self.buffer.split_first_chunk::<4>() else {
                return Ok(None);
            };
            let length = u32::from_be_bytes(*length) as usize;
            if length == 0 {
                return Err(MessageError::Empty);
            }
            let Some(tag) = rest.first().copied() else {
                return Ok(None);
            };
            let limit = limit(tag);
            if length > limit {
                return Err(MessageError::TooLong { tag, length, limit });
            }
            if rest.len() < length {
                self.buffer.reserve(4 + length - self.buffer.len());
                return Ok(None);
            }
            let mut body = self.buffer.split_to(4 + length).freeze();
            body.advance(5);
            if let Some(message) = parse(tag, body)? {
                return Ok(Some(message));
            }
        }
    }
}

/// Most bytes of tag and fields.
fn limit(tag: u8) -> usize {
    1 + match tag {
        tag::HELLO => 2 + 32 + 8 + 4,
        tag::BITFIELD => MAX_BODY - 1,
        tag::HAVE_ALL => 8,
        tag::HAVE => 4 * MAX_HAVES,
        tag::REQUEST | tag::CANCEL | tag::CREDIT | tag::SUGGEST => 4,
        tag::CHUNK => 4 + 2 + MAX_PROOF + CHUNK_SIZE as usize,
        tag::REJECT => 5,
        tag::CHOKE | tag::UNCHOKE | tag::INTERESTED | tag::NOT_INTERESTED => 0,
        tag::TAIL => 8 + MAX_TAIL_PROOF + LEAF_SIZE as usize,
        _ => MAX_UNKNOWN - 1,
    }
}

/// Reads the fields; `None` for a tag or value of a later revision, to be skipped.
fn parse(tag: u8, body: Bytes) -> Result<Option<Message>, MessageError> {
    let mut fields = Fields { tag, body };
    let message = match tag {
        tag::HELLO => {
            let version = fields.u16()?;
            let blob = fields.hash()?;
            let size = match fields.u64()? {
                NO_SIZE => None,
                bytes => Some(BlobSize::new(bytes).ok_or(MessageError::Size(bytes))?),
            };
            Message::Hello {
                version,
                blob,
                size,
                credit: fields.u32()?,
            }
        }
        tag::BITFIELD => {
            let size = fields.size()?;
            let bits = Bitfield::from_bytes(&fields.rest(), size.chunk_count())?;
            Message::Bitfield { size, bits }
        }
        tag::HAVE_ALL => Message::HaveAll {
            size: fields.size()?,
        },
        tag::HAVE => {
            let mut indexes = Vec::with_capacity(fields.body.len() / 4);
            indexes.push(fields.index()?);
            while !fields.body.is_empty() {
                indexes.push(fields.index()?);
            }
            Message::Have { indexes }
        }
        tag::REQUEST => Message::Request {
            index: fields.index()?,
        },
        tag::CHUNK => {
            let index = fields.index()?;
            let length = usize::from(fields.u16()?);
            if length > MAX_PROOF || !length.is_multiple_of(32) {
                return Err(MessageError::Proof(length));
            }
            let proof = fields.take(length)?;
            let data = fields.rest();
            if data.len() > CHUNK_SIZE as usize {
                return Err(MessageError::Length { tag });
            }
            Message::Chunk { index, proof, data }
        }
        tag::CANCEL => Message::Cancel {
            index: fields.index()?,
        },
        tag::CREDIT => Message::Credit {
            bytes: fields.u32()?,
        },
        tag::REJECT => {
            let index = fields.index()?;
            // A reason of a later revision counts as the one that is about this chunk alone.
            let reason = if fields.u8()? == 1 {
                RejectReason::NotServing
            } else {
                RejectReason::NotStored
            };
            Message::Reject { index, reason }
        }
        tag::SUGGEST => Message::Suggest {
            index: fields.index()?,
        },
        tag::CHOKE => Message::Choke,
        tag::UNCHOKE => Message::Unchoke,
        tag::INTERESTED => Message::Interested,
        tag::NOT_INTERESTED => Message::NotInterested,
        tag::TAIL => {
            let size = fields.size()?;
            let proof = fields.take(proof_len(size.get()))?;
            let leaf = fields.rest();
            if leaf.len() as u64 > LEAF_SIZE {
                return Err(MessageError::Length { tag });
            }
            Message::Tail(Tail { size, proof, leaf })
        }
        _ => return Ok(None),
    };
    if fields.body.is_empty() {
        Ok(Some(message))
    } else {
        Err(MessageError::Length { tag })
    }
}

/// Reads fixed fields from the front of a body.
struct Fields {
    tag: u8,
    body: Bytes,
}

impl Fields {
    fn take(&mut self, length: usize) -> Result<Bytes, MessageError> {
        if self.body.len() < length {
            return Err(MessageError::Length { tag: self.tag });
        }
        Ok(self.body.split_to(length))
    }

    fn rest(&mut self) -> Bytes {
        std::mem::take(&mut self.body)
    }

    fn u8(&mut self) -> Result<u8, MessageError> {
        Ok(self.take(1)?.get_u8())
    }

    fn u16(&mut self) -> Result<u16, MessageError> {
        Ok(self.take(2)?.get_u16())
    }

    fn u32(&mut self) -> Result<u32, MessageError> {
        Ok(self.take(4)?.get_u32())
    }

    fn u64(&mut self) -> Result<u64, MessageError> {
        Ok(self.take(8)?.get_u64())
    }

    fn hash(&mut self) -> Result<BlobHash, MessageError> {
        let mut hash = [0; 32];
        self.take(32)?.copy_to_slice(&mut hash);
        Ok(BlobHash(hash))
    }

    fn size(&mut self) -> Result<BlobSize, MessageError> {
        let bytes = self.u64()?;
        BlobSize::new(bytes).ok_or(MessageError::Size(bytes))
    }

    fn index(&mut self) -> Result<ChunkIndex, MessageError> {
        let index = self.u32()?;
        if index < MAX_CHUNKS {
            Ok(ChunkIndex(index))
        } else {
            Err(MessageError::Index(index))
        }
    }
}
