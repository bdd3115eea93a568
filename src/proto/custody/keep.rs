//! A wish that blobs be kept with a message that lies here already: which ones, and why they may be.
//!
//! What is attached to a message is no part of its envelope, but a blob that anybody can serve and nobody reads without the key inside.
//! A wish is let in as a message is: signed by the contacts' key or paid with a stamp, both over an id of its own. It names the
//! message, and ends with it: what deletes the message lets its blobs go.

use std::sync::Arc;

use super::MessageId;
use super::deposit::{Expiry, Header, Proof, parse};
use super::stamp;
use super::tag::{Pass, Tag, Terms};
use crate::proto::types::BlobHash;

/// Blobs of one message: sixteen attachments and a long body.
pub const MAX_BLOBS: usize = 17;

/// Bytes of the blobs of one message: 25 MiB, and what each of them is filled up by, less than 1 MiB.
pub const MAX_BYTES: u64 = (25 + MAX_BLOBS as u64) << 20;

/// A blob and its length in bytes, which the swarm proves.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Blob {
    /// Its hash.
    pub hash: BlobHash,
    /// Its length.
    pub size: u32,
}

/// The wish.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Keep(Arc<Parts>);

/// Shared, as what is sent to several peers is.
#[derive(Debug, PartialEq, Eq)]
struct Parts {
    header: Header,
    message: MessageId,
    blobs: Vec<Blob>,
}

impl Keep {
    /// For a contact's message; `None` if there are no blobs, too many, or too large ones.
    pub fn by_contact(
        pass: &Pass,
        expiry: Expiry,
        message: MessageId,
        blobs: Vec<Blob>,
    ) -> Option<Self> {
        let (terms, blobs) = (pass.terms(), in_order(blobs)?);
        let id = id_of(terms.tag(), message, &blobs);
        Some(Self::new(
            Header::signed(terms, &pass.signer(), expiry, id),
            message,
            blobs,
        ))
    }

    /// For a stranger's message, with the number that was found for [`prefix`](Self::prefix); `None` as above.
    pub fn by_stranger(
        terms: Terms,
        expiry: Expiry,
        stamp: u64,
        message: MessageId,
        blobs: Vec<Blob>,
    ) -> Option<Self> {
        let blobs = in_order(blobs)?;
        let id = id_of(terms.tag(), message, &blobs);
        Some(Self::new(
            Header::with_id(terms, expiry, Proof::Stamp(stamp), id),
            message,
            blobs,
        ))
    }

    fn new(header: Header, message: MessageId, blobs: Vec<Blob>) -> Self {
        Self(Arc::new(Parts {
            header,
            message,
            blobs,
        }))
    }

    /// What a stranger's stamp is searched over.
    pub fn prefix(&self) -> [u8; 32] {
        stamp::prefix(self.0.header.tag(), self.id(), self.0.header.expiry())
    }

    /// By what it is known: another id than that of the message.
    pub fn id(&self) -> MessageId {
        self.0.header.id()
    }

    /// Why it may be, where and until when.
    pub fn header(&self) -> &Header {
        &self.0.header
    }

    /// With which message.
    pub fn message(&self) -> MessageId {
        self.0.message
    }

    /// What, by their hashes.
    pub fn blobs(&self) -> &[Blob] {
        &self.0.blobs
    }

    /// Bytes of all of them.
    pub fn bytes(&self) -> u64 {
        sum(&self.0.blobs)
    }

    /// Bytes of its encoding.
    pub fn encoded_len(&self) -> usize {
        self.0.header.encoded_len() + 32 + self.0.blobs.len() * BLOB_LEN
    }

    /// The bytes.
    pub fn encode(&self) -> Vec<u8> {
        let mut out = self.0.header.encode();
        out.extend_from_slice(&self.0.message.0);
        for blob in &self.0.blobs {
            out.extend_from_slice(&blob.hash.0);
            out.extend_from_slice(&blob.size.to_be_bytes());
        }
        out
    }

    /// Reads a wish; `None` if these are no such bytes.
    pub fn decode(bytes: &[u8]) -> Option<Self> {
        let (terms, expiry, proof, rest) = parse(bytes)?;
        let (message, rest) = rest.split_first_chunk()?;
        let message = MessageId(*message);
        let (chunks, rest) = rest.as_chunks::<BLOB_LEN>();
        if !rest.is_empty() || chunks.len() > MAX_BLOBS {
            return None;
        }
        let read = |chunk: &[u8; BLOB_LEN]| {
            let (hash, size) = chunk.split_first_chunk()?;
            Some(Blob {
                hash: BlobHash(*hash),
                size: u32::from_be_bytes(size.try_into().ok()?),
            })
        };
        let blobs: Option<Vec<_>> = chunks.iter().map(read).collect();
        let blobs = blobs?;
        // One spelling.
        if in_order(blobs.clone())? != blobs {
            return None;
        }
        let id = id_of(terms.tag(), message, &blobs);
        Some(Self::new(
            Header::with_id(terms, expiry, proof, id),
            message,
            blobs,
        ))
    }
}

/// Each once, by their hashes; `None` if there are none, too many, or too large ones.
fn in_order(mut blobs: Vec<Blob>) -> Option<Vec<Blob>> {
    crate::proto::sorting::sort_by_key(&mut blobs, |blob| *blob);
    blobs.dedup_by_key(|blob| blob.hash);
    let fits = sum(&blobs) <= MAX_BYTES && blobs.iter().all(|blob| blob.size > 0);
    (fits && (1..=MAX_BLOBS).contains(&blobs.len())).then_some(blobs)
}

fn sum(blobs: &[Blob]) -> u64 {
    blobs.iter().map(|blob| u64::from(blob.size)).sum()
}

fn id_of(tag: Tag, message: MessageId, blobs: &[Blob]) -> MessageId {
    let mut hasher = blake3::Hasher::new_derive_key(CONTEXT);
    hasher.update(&tag.0).update(&message.0);
    for blob in blobs {
        hasher.update(&blob.hash.0).update(&blob.size.to_be_bytes());
    }
    MessageId(*hasher.finalize().as_bytes())
}

/// Bytes of a blob in a wish.
const BLOB_LEN: usize = 36;

const CONTEXT: &str = "gyre 2026-11-23 mailbox keep";
