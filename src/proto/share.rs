//! Encrypted file shares: what a blob holds when only the link's key opens it.
//!
//! The plaintext of a share is its header ([`ShareHeader`]) and then the file's bytes, cut into pieces of
//! [`PLAIN_CHUNK`] bytes, the last one shorter. Each piece is sealed by itself with XChaCha20-Poly1305 and so becomes
//! exactly one chunk of the blob: peers exchange, verify and store chunks without the key, and a reader opens the one it
//! needs. The nonce holds the chunk's index and whether it is the last, as in STREAM (Hoang, Reyhanitabar, Rogaway,
//! Vizár: *Online Authenticated-Encryption and its Nonce-Reuse Misuse-Resistance*, CRYPTO 2015): chunks moved, left out
//! or cut off at the end do not open. The file's size is in no header, as it follows from the blob's ([`ContentMap`]), so
//! that a stream of unknown length can be sealed as it comes.
//!
//! The nonces have no random part. **A key seals one share, ever**: a second use would reveal the difference of the two
//! files. Draw it fresh for each.
//!
//! The cipher does not commit to its key: whoever makes a share can make one blob that opens to two files under two keys.
//! A link names blob and key together, so each link still opens to one file only.

mod header;
mod map;

use std::fmt;

use bytes::Bytes;
use chacha20poly1305::{AeadInPlace, KeyInit, Tag, XChaCha20Poly1305, XNonce};
use zeroize::{Zeroize, ZeroizeOnDrop};

use super::types::{BlobSize, CHUNK_SIZE, ChunkIndex, MAX_BLOB_SIZE};

pub use header::{
    MAX_HEADER_LEN, MAX_NAME_LEN, MAX_TYPE_LEN, ShareHeader, clean_media_type, clean_name,
};
pub use map::{ContentMap, Piece};

/// Bytes of a [`ShareKey`].
pub const KEY_LEN: usize = 32;

/// Bytes that sealing adds to each chunk: the Poly1305 tag.
pub const TAG_LEN: usize = 16;

/// Bytes of plaintext in a whole chunk.
pub const PLAIN_CHUNK: usize = CHUNK_SIZE as usize - TAG_LEN;

/// Why a share cannot be made or opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ShareError {
    /// The first chunk does not open: the key belongs to another file, or the blob is no share at all.
    #[error("the key does not open this file")]
    WrongKey,
    /// A later chunk does not open, though the first does: the share was made wrongly.
    #[error("chunk {0} of the file cannot be decrypted")]
    Damaged(ChunkIndex),
    /// The blob has no such chunk, or the chunk has another length.
    #[error("chunk {0} does not have the length it must have")]
    ChunkLength(ChunkIndex),
    /// No share has this size: a chunk, or the header, would be cut off.
    #[error("a blob of {0} bytes cannot be an encrypted file")]
    ImpossibleSize(u64),
    /// The header is not what the format says.
    #[error("the file's header is malformed")]
    MalformedHeader,
    /// A later version of the format wrote the header.
    #[error("the file was shared with version {0} of the format, this is version {SHARE_VERSION}")]
    UnsupportedVersion(u64),
    /// The name is too long or has characters that no file name may have.
    #[error("the file name is too long or has characters that are not allowed")]
    BadName,
    /// The media type is too long or has characters that no media type may have.
    #[error("the media type is too long or has characters that are not allowed")]
    BadMediaType,
    /// The sealed file would exceed [`MAX_BLOB_SIZE`].
    #[error("the file is too large: encrypted it would exceed {MAX_BLOB_SIZE} bytes")]
    TooLarge,
}

/// The secret that opens one share. Wiped from memory when dropped, and never printed.
#[derive(Clone, Zeroize, ZeroizeOnDrop)]
pub struct ShareKey([u8; KEY_LEN]);

impl ShareKey {
    /// Takes 32 bytes: fresh from a cryptographic random generator to seal, or out of a link to open.
    pub fn new(bytes: [u8; KEY_LEN]) -> Self {
        Self(bytes)
    }

    /// The secret itself, for the link and for the node's own memory.
    pub fn expose(&self) -> &[u8; KEY_LEN] {
        &self.0
    }

    fn cipher(&self) -> XChaCha20Poly1305 {
        XChaCha20Poly1305::new((&self.0).into())
    }
}

impl fmt::Debug for ShareKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ShareKey(secret)")
    }
}

impl PartialEq for ShareKey {
    /// Takes the same time wherever the keys differ.
    fn eq(&self, other: &Self) -> bool {
        self.0
            .iter()
            .zip(&other.0)
            .fold(0, |differ, (a, b)| differ | (a ^ b))
            == 0
    }
}

impl Eq for ShareKey {}

/// Seals a file into the chunks of a blob as its bytes come. Holds one chunk in memory.
pub struct Sealer {
    cipher: XChaCha20Poly1305,
    /// Plaintext of the chunk at `next`. A full one waits until more bytes come, as only then it is not the last.
    pending: Vec<u8>,
    next: ChunkIndex,
    sealed_bytes: u64,
}

impl Sealer {
    /// Starts a share. `key` must never have sealed another.
    pub fn new(key: &ShareKey, header: &ShareHeader) -> Self {
        let mut pending = Vec::with_capacity(CHUNK_SIZE as usize);
        header.encode_to(&mut pending);
        Self {
            cipher: key.cipher(),
            pending,
            next: ChunkIndex(0),
            sealed_bytes: 0,
        }
    }

    /// Adds the next bytes of the file, of any length, and appends to `out` the chunks that are ready, in order.
    ///
    /// # Errors
    /// [`ShareError::TooLarge`] if the share would exceed [`MAX_BLOB_SIZE`]: give it up then.
    pub fn push(&mut self, mut plain: &[u8], out: &mut Vec<Bytes>) -> Result<(), ShareError> {
        while !plain.is_empty() {
            if self.pending.len() == PLAIN_CHUNK {
                // The chunk that follows needs room for its tag and at least one byte.
                let room = MAX_BLOB_SIZE - self.sealed_bytes;
                if room < CHUNK_SIZE + TAG_LEN as u64 + 1 {
                    return Err(ShareError::TooLarge);
                }
                out.push(self.seal_pending(false));
            }
            let take = plain.len().min(PLAIN_CHUNK - self.pending.len());
            let (now, later) = plain.split_at(take);
            self.pending.extend_from_slice(now);
            plain = later;
        }
        Ok(())
    }

    /// Ends the file and returns what is left to be appended: always one chunk, the last.
    pub fn finish(mut self) -> Vec<Bytes> {
        vec![self.seal_pending(true)]
    }

    fn seal_pending(&mut self, last: bool) -> Bytes {
        let capacity = if last { 0 } else { CHUNK_SIZE as usize };
        let mut chunk = std::mem::replace(&mut self.pending, Vec::with_capacity(capacity));
        let tag = self
            .cipher
            .encrypt_in_place_detached(&nonce(self.next, last), ASSOCIATED_DATA, &mut chunk)
            .expect("a chunk is far below the cipher's limit of 256 GiB");
        chunk.extend_from_slice(&tag);
        // A small file must not hold the memory of a whole chunk for as long as its bytes live.
        chunk.shrink_to_fit();
        self.next.0 += 1;
        self.sealed_bytes += chunk.len() as u64;
        chunk.into()
    }
}

impl fmt::Debug for Sealer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sealer")
            .field("next", &self.next)
            .finish_non_exhaustive()
    }
}

/// Opens the chunks of a share, in any order.
///
/// The chunks must have been verified against the blob's hash. Then the size may still be a mere claim: whether a
/// verified chunk is the last one is certain, and nothing else about the size enters here.
pub struct Opener {
    cipher: XChaCha20Poly1305,
    size: BlobSize,
}

impl Opener {
    /// Opens chunks of a blob of `size` bytes with `key`. Whether the key is right shows at chunk 0.
    pub fn new(key: &ShareKey, size: BlobSize) -> Self {
        Self {
            cipher: key.cipher(),
            size,
        }
    }

    /// Decrypts one chunk. Chunk 0 begins with the header.
    ///
    /// # Errors
    /// [`ShareError::WrongKey`] if chunk 0 does not open, [`ShareError::Damaged`] if another does not,
    /// [`ShareError::ChunkLength`] if `sealed` is not as long as this chunk of a share must be.
    pub fn open_chunk(&self, index: ChunkIndex, sealed: &[u8]) -> Result<Vec<u8>, ShareError> {
        if self.size.chunk_len(index) != Some(sealed.len()) {
            return Err(ShareError::ChunkLength(index));
        }
        // Even an empty file has a header, and no share ends in an empty chunk.
        let Some((body, tag)) = sealed
            .split_last_chunk::<TAG_LEN>()
            .filter(|(b, _)| !b.is_empty())
        else {
            return Err(ShareError::ChunkLength(index));
        };
        let mut plain = body.to_vec();
        let nonce = nonce(index, index == self.size.last_chunk());
        let tag = Tag::from_slice(tag);
        match self
            .cipher
            .decrypt_in_place_detached(&nonce, ASSOCIATED_DATA, &mut plain, tag)
        {
            Ok(()) => Ok(plain),
            Err(_) if index.0 == 0 => Err(ShareError::WrongKey),
            Err(_) => Err(ShareError::Damaged(index)),
        }
    }

    /// Reads the header off the plaintext of chunk 0; the number is its length in bytes, where the content begins.
    ///
    /// # Errors
    /// [`ShareError::MalformedHeader`] or [`ShareError::UnsupportedVersion`].
    pub fn header(first_chunk_plain: &[u8]) -> Result<(ShareHeader, usize), ShareError> {
        ShareHeader::decode_from(first_chunk_plain)
    }
}

impl fmt::Debug for Opener {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Opener")
            .field("size", &self.size)
            .finish_non_exhaustive()
    }
}

/// 19 zero bytes, the index as a big-endian u32, 1 for the last chunk and 0 for all others.
fn nonce(index: ChunkIndex, last: bool) -> XNonce {
    let mut nonce = XNonce::default();
    nonce[19..23].copy_from_slice(&index.0.to_be_bytes());
    nonce[23] = u8::from(last);
    nonce
}

/// The version of the format: of the header, the chunking and the cipher together.
const SHARE_VERSION: u64 = 1;

/// Bound into every chunk, so that bytes sealed for another purpose or version never pass for a share.
const ASSOCIATED_DATA: &[u8] = b"gyre share 1";

#[cfg(all(test, not(target_arch = "wasm32")))]
mod tests;
