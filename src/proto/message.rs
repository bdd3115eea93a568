//! The messages of `/gyre/swarm/1.0.0` and their bytes.
//!
//! A message is a big-endian `u32` length, a `u8` tag and fixed fields, as in the BitTorrent peer protocol (BEP 3). What
//! a well-formed message may contain is decided here (sizes, spare bits, the largest index); whether it may be sent now
//! is decided by `swarm`. The table of bytes is docs/protocol.md.

use bytes::{BufMut, Bytes, BytesMut};

mod codec;

pub use codec::{Decoder, MessageError};

use super::bitfield::Bitfield;
use super::tail::Tail;
use super::types::{BlobHash, BlobSize, CHUNK_SIZE, ChunkIndex, MAX_BLOB_SIZE};

/// The libp2p protocol name. Its major version changes when an old peer could not follow.
pub const PROTOCOL: &str = "/gyre/swarm/1.0.0";

/// The revision within the major version: says which further tags the sender knows.
pub const REVISION: u16 = 2;

/// The first revision that chokes: a peer of an older one is served without, and serves without.
pub const CHOKING: u16 = 2;

/// Chunks of the largest blob; every index is below.
pub const MAX_CHUNKS: u32 = (MAX_BLOB_SIZE / CHUNK_SIZE) as u32;

/// Longest proof in bytes: 32 for each level above a chunk of the largest blob.
pub const MAX_PROOF: usize = 32 * MAX_CHUNKS.ilog2() as usize;

/// Most indexes in one `Have`.
pub const MAX_HAVES: usize = 1024;

/// Longest body in bytes (tag and fields) of a tag that this revision does not know, which is then skipped.
pub const MAX_UNKNOWN: usize = 4096;

/// Longest body in bytes of any message: a `Bitfield` of the largest blob.
pub const MAX_BODY: usize = 1 + 8 + (MAX_CHUNKS as usize).div_ceil(8);

/// One message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Message {
    /// The first message of each side, and only the first.
    Hello {
        /// The sender's [`REVISION`].
        version: u16,
        /// The blob that this stream is about.
        blob: BlobHash,
        /// Its size, if the sender has proved it.
        size: Option<BlobSize>,
        /// Bytes of chunk data that the receiver of this message may send.
        credit: u32,
    },
    /// What the sender has verified and would serve now; replaces what it said before.
    Bitfield {
        /// The blob's size as the sender has proved it.
        size: BlobSize,
        /// One bit for each chunk.
        bits: Bitfield,
    },
    /// The sender has verified every chunk and would serve it.
    HaveAll {
        /// The blob's size as the sender has proved it.
        size: BlobSize,
    },
    /// The sender has verified these chunks too. One to [`MAX_HAVES`].
    Have {
        /// Their indexes.
        indexes: Vec<ChunkIndex>,
    },
    /// The sender wants this chunk. It is answered by `Chunk` or `Reject`, unless cancelled.
    Request {
        /// Which.
        index: ChunkIndex,
    },
    /// A chunk that was requested.
    Chunk {
        /// Which.
        index: ChunkIndex,
        /// Chaining values of the siblings from the chunk up to the root, 32 bytes each.
        proof: Bytes,
        /// The chunk's bytes.
        data: Bytes,
    },
    /// The sender no longer wants this chunk; it may arrive all the same.
    Cancel {
        /// Which.
        index: ChunkIndex,
    },
    /// The receiver of this message may send so many more bytes of chunk data.
    Credit {
        /// How many more.
        bytes: u32,
    },
    /// This request will not be answered with a chunk.
    Reject {
        /// Which.
        index: ChunkIndex,
        /// Why.
        reason: RejectReason,
    },
    /// A hint: of the chunks you want, ask me for this one first, nobody else has it yet.
    Suggest {
        /// Which.
        index: ChunkIndex,
    },
    /// The sender drops every request of the receiver that it has not begun to answer, and those that follow, until
    /// `Unchoke`. The state at the start, from [`CHOKING`] on.
    Choke,
    /// The sender answers the receiver's requests from here on.
    Unchoke,
    /// The sender would ask the receiver for something if it were let.
    Interested,
    /// The sender would not.
    NotInterested,
    /// Proves the blob's size to a receiver that does not know it.
    Tail(Tail),
}

/// Why a request is not answered with a chunk.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum RejectReason {
    /// The chunk is not, or no longer, stored: do not ask for it again unless a `Have` follows.
    NotStored = 0,
    /// The peer does not upload now, whatever it has.
    NotServing = 1,
}

impl Message {
    /// The whole wire form in one piece; copies a chunk's bytes once.
    pub fn encode(&self) -> Bytes {
        let (head, data) = self.encode_parts();
        if data.is_empty() {
            return head;
        }
        let mut whole = BytesMut::with_capacity(head.len() + data.len());
        whole.extend_from_slice(&head);
        whole.extend_from_slice(&data);
        whole.freeze()
    }

    /// The wire form in two pieces to be sent one after the other; the second is a chunk's bytes, shared and not copied,
    /// and empty for every other message.
    pub fn encode_parts(&self) -> (Bytes, Bytes) {
        let mut body = BytesMut::with_capacity(64);
        body.put_u32(0);
        body.put_u8(self.tag());
        let mut tail = Bytes::new();
        match self {
            Self::Hello {
                version,
                blob,
                size,
                credit,
            } => {
                body.put_u16(*version);
                body.put_slice(&blob.0);
                body.put_u64(size.map_or(NO_SIZE, BlobSize::get));
                body.put_u32(*credit);
            }
            Self::Bitfield { size, bits } => {
                body.put_u64(size.get());
                body.put_slice(bits.as_bytes());
            }
            Self::HaveAll { size } => body.put_u64(size.get()),
            Self::Have { indexes } => indexes.iter().for_each(|index| body.put_u32(index.0)),
            Self::Request { index } | Self::Cancel { index } | Self::Suggest { index } => {
                body.put_u32(index.0)
            }
            Self::Chunk { index, proof, data } => {
                body.put_u32(index.0);
                body.put_u16(proof.len() as u16);
                body.put_slice(proof);
                tail = data.clone();
            }
            Self::Credit { bytes } => body.put_u32(*bytes),
            Self::Choke | Self::Unchoke | Self::Interested | Self::NotInterested => {}
            Self::Tail(Tail { size, proof, leaf }) => {
                body.put_u64(size.get());
                body.put_slice(proof);
                body.put_slice(leaf);
            }
            Self::Reject { index, reason } => {
                body.put_u32(index.0);
                body.put_u8(*reason as u8);
            }
        }
        let length = (body.len() - 4 + tail.len()) as u32;
        body[..4].copy_from_slice(&length.to_be_bytes());
        (body.freeze(), tail)
    }

    /// The tag on the wire.
    pub fn tag(&self) -> u8 {
        match self {
            Self::Hello { .. } => tag::HELLO,
            Self::Bitfield { .. } => tag::BITFIELD,
            Self::HaveAll { .. } => tag::HAVE_ALL,
            Self::Have { .. } => tag::HAVE,
            Self::Request { .. } => tag::REQUEST,
            Self::Chunk { .. } => tag::CHUNK,
            Self::Cancel { .. } => tag::CANCEL,
            Self::Credit { .. } => tag::CREDIT,
            Self::Reject { .. } => tag::REJECT,
            Self::Suggest { .. } => tag::SUGGEST,
            Self::Choke => tag::CHOKE,
            Self::Unchoke => tag::UNCHOKE,
            Self::Interested => tag::INTERESTED,
            Self::NotInterested => tag::NOT_INTERESTED,
            Self::Tail(_) => tag::TAIL,
        }
    }

    /// Length in bytes of the whole wire form.
    pub fn wire_len(&self) -> usize {
        4 + 1
            + match self {
                Self::Hello { .. } => 2 + 32 + 8 + 4,
                Self::Bitfield { bits, .. } => 8 + bits.as_bytes().len(),
                Self::HaveAll { .. } => 8,
                Self::Have { indexes } => 4 * indexes.len(),
                Self::Request { .. }
                | Self::Cancel { .. }
                | Self::Suggest { .. }
                | Self::Credit { .. } => 4,
                Self::Chunk { proof, data, .. } => 4 + 2 + proof.len() + data.len(),
                Self::Reject { .. } => 5,
                Self::Choke | Self::Unchoke | Self::Interested | Self::NotInterested => 0,
                Self::Tail(tail) => 8 + tail.proof.len() + tail.leaf.len(),
            }
    }
}

/// The size field of a `Hello` whose sender does not know the size.
const NO_SIZE: u64 = u64::MAX;

/// Tags on the wire. 0 is never used, so that a zeroed buffer is no message.
mod tag {
    pub(super) const HELLO: u8 = 1;
    pub(super) const BITFIELD: u8 = 2;
    pub(super) const HAVE_ALL: u8 = 3;
    pub(super) const HAVE: u8 = 4;
    pub(super) const REQUEST: u8 = 5;
    pub(super) const CHUNK: u8 = 6;
    pub(super) const CANCEL: u8 = 7;
    pub(super) const CREDIT: u8 = 8;
    pub(super) const REJECT: u8 = 9;
    pub(super) const SUGGEST: u8 = 10;
    pub(super) const CHOKE: u8 = 11;
    pub(super) const UNCHOKE: u8 = 12;
    pub(super) const INTERESTED: u8 = 13;
    pub(super) const NOT_INTERESTED: u8 = 14;
    pub(super) const TAIL: u8 = 15;
}
