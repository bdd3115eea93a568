//! Enclosures: attachments and long bodies, sealed once into the swarm for any number of recipients.
//!
//! An enclosure is a share ([`share`](crate::proto::share)) under a key of its own, without a name, whose content is filled up with zeros to one of
//! [30 sizes](padded_len). What it is, how long, and its key stand in the envelope of each recipient. Chunks that were moved,
//! left out or cut off do not open; zeros that are none are refused.

use bytes::Bytes;

use super::{MailError, exactly};
use crate::proto::cbor::{Reader, Writer};
use crate::proto::share::{
    Opener, PLAIN_CHUNK, Sealer, ShareError, ShareHeader, ShareKey, TAG_LEN, clean_media_type,
    clean_name,
};
use crate::proto::types::{BlobHash, BlobSize, CHUNK_SIZE, ChunkIndex};

/// Enclosures of one message at most. Ours.
pub const MAX_ENCLOSURES: usize = 16;

/// Bytes of all enclosures of one message together: what large mail services allow.
pub const MAX_ENCLOSURES_LEN: u64 = 25 * 1024 * 1024;

/// Longest name of an enclosure in bytes: what common file systems allow.
pub const MAX_ENCLOSURE_NAME: usize = 255;

/// Longest media type of an enclosure in bytes. Ours: the longest registered ones are below.
pub const MAX_ENCLOSURE_TYPE: usize = 127;

/// An enclosure, as an envelope names it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Enclosure {
    hash: BlobHash,
    len: u64,
    key: ShareKey,
    name: String,
    media_type: String,
}

/// Seals an enclosure as its bytes come.
#[derive(Debug)]
pub struct EnclosureSealer {
    sealer: Sealer,
    key: ShareKey,
    hasher: blake3::Hasher,
    len: u64,
    left: u64,
    padding: u64,
}

/// Opens the chunks of an enclosure, in any order.
#[derive(Debug)]
pub struct EnclosureOpener {
    opener: Opener,
    len: u64,
    chunks: u32,
}

impl Enclosure {
    /// Names an enclosure that was sealed: [`EnclosureSealer::finish`] gives the hash.
    pub fn new(hash: BlobHash, key: ShareKey, len: u64, name: &str, media_type: &str) -> Self {
        Self {
            hash,
            len,
            key,
            name: shortened(clean_name(name)),
            media_type: match clean_media_type(media_type) {
                long if long.len() > MAX_ENCLOSURE_TYPE => String::new(),
                short => short.to_owned(),
            },
        }
    }

    /// The blob that holds it.
    pub fn hash(&self) -> BlobHash {
        self.hash
    }

    /// Bytes of the blob.
    pub fn sealed_len(&self) -> BlobSize {
        padded_len(self.len)
            .and_then(BlobSize::new)
            .expect("a length that was checked")
    }

    /// Bytes of its content.
    pub fn len(&self) -> u64 {
        self.len
    }

    /// Whether it has no content.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// What opens it.
    pub fn key(&self) -> &ShareKey {
        &self.key
    }

    /// What its sender calls it: one path segment, or empty.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Its media type as its sender states it, or empty. Not to be trusted.
    pub fn media_type(&self) -> &str {
        &self.media_type
    }

    /// Opens its chunks.
    pub fn opener(&self) -> EnclosureOpener {
        EnclosureOpener {
            opener: Opener::new(&self.key, self.sealed_len()),
            len: self.len,
            chunks: self.sealed_len().chunk_count(),
        }
    }

    pub(super) fn write(&self, out: &mut Writer) {
        out.array(5);
        out.bytes(&self.hash.0);
        out.uint(self.len);
        out.bytes(self.key.expose());
        out.text(&self.name);
        out.text(&self.media_type);
    }

    pub(super) fn read(reader: &mut Reader<'_>) -> Result<Self, MailError> {
        exactly(reader.array()?, 5)?;
        let hash = BlobHash(reader.fixed_bytes()?);
        let len = reader.uint()?;
        if len > MAX_ENCLOSURES_LEN {
            return Err(MailError::TooMany);
        }
        let key = ShareKey::new(reader.fixed_bytes()?);
        let (name, media_type) = (reader.text()?, reader.text()?);
        let enclosure = Self::new(hash, key, len, name, media_type);
        // A sender who writes what shows otherwise than it is does not run this program.
        match enclosure.name == name && enclosure.media_type == media_type {
            true => Ok(enclosure),
            false => Err(MailError::Malformed),
        }
    }
}

impl EnclosureSealer {
    /// Starts an enclosure of exactly `len` bytes. `key` must never have sealed another.
    ///
    /// # Errors
    /// `TooMany` above [`MAX_ENCLOSURES_LEN`].
    pub fn new(key: ShareKey, len: u64) -> Result<Self, MailError> {
        let sealed = padded_len(len).ok_or(MailError::TooMany)?;
        Ok(Self {
            sealer: Sealer::new(&key, &ShareHeader::default()),
            key,
            hasher: blake3::Hasher::new(),
            len,
            left: len,
            padding: capacity(sealed) - len,
        })
    }

    /// Adds the next bytes and appends to `out` the chunks that are ready, in order.
    ///
    /// # Errors
    /// `TooMany` for more bytes than were announced: give it up then.
    pub fn push(&mut self, plain: &[u8], out: &mut Vec<Bytes>) -> Result<(), MailError> {
        self.left = self
            .left
            .checked_sub(plain.len() as u64)
            .ok_or(MailError::TooMany)?;
        self.put(plain, out)
    }

    /// Ends the enclosure: what is left to be appended, and what names it.
    ///
    /// # Errors
    /// `EnclosureCutOff` for fewer bytes than were announced.
    pub fn finish(
        mut self,
        name: &str,
        media_type: &str,
        out: &mut Vec<Bytes>,
    ) -> Result<Enclosure, MailError> {
        if self.left > 0 {
            return Err(MailError::EnclosureCutOff);
        }
        let zeros = [0; 4096];
        while self.padding > 0 {
            let now = self.padding.min(zeros.len() as u64);
            self.put(&zeros[..now as usize], out)?;
            self.padding -= now;
        }
        let last = self.sealer.finish();
        last.iter().for_each(|chunk| {
            self.hasher.update(chunk);
        });
        out.extend(last);
        let hash = BlobHash(*self.hasher.finalize().as_bytes());
        Ok(Enclosure::new(hash, self.key, self.len, name, media_type))
    }

    fn put(&mut self, plain: &[u8], out: &mut Vec<Bytes>) -> Result<(), MailError> {
        let before = out.len();
        self.sealer
            .push(plain, out)
            .map_err(MailError::BrokenEnclosure)?;
        out[before..].iter().for_each(|chunk| {
            self.hasher.update(chunk);
        });
        Ok(())
    }
}

impl EnclosureOpener {
    /// Chunks of the blob.
    pub fn chunks(&self) -> u32 {
        self.chunks
    }

    /// Opens one chunk, which has been verified against the blob's hash, and gives the content in it.
    ///
    /// # Errors
    /// `BrokenEnclosure` if it does not open at this place, `NotCanonical` if what fills it up is not zero.
    pub fn open_chunk(&self, index: ChunkIndex, sealed: &[u8]) -> Result<Vec<u8>, MailError> {
        let mut plain = self
            .opener
            .open_chunk(index, sealed)
            .map_err(MailError::BrokenEnclosure)?;
        // Where the chunk's plaintext begins in the content; the header comes before it.
        let start = u64::from(index.0) * PLAIN_CHUNK as u64;
        if index.0 == 0 {
            let (header, len) = Opener::header(&plain).map_err(MailError::BrokenEnclosure)?;
            if header != ShareHeader::default() || len != HEADER_LEN {
                return Err(MailError::BrokenEnclosure(ShareError::MalformedHeader));
            }
        }
        let skip = HEADER_LEN.saturating_sub(start as usize).min(plain.len());
        let end = (self.len + HEADER_LEN as u64)
            .saturating_sub(start)
            .min(plain.len() as u64) as usize;
        if plain[end.max(skip)..].iter().any(|byte| *byte != 0) {
            return Err(MailError::NotCanonical);
        }
        plain.truncate(end.max(skip));
        plain.drain(..skip);
        Ok(plain)
    }

    /// Opens all chunks, in order.
    ///
    /// # Errors
    /// As [`open_chunk`](Self::open_chunk), and `EnclosureCutOff` for fewer or more chunks than there must be.
    pub fn open_all<'a>(
        &self,
        chunks: impl ExactSizeIterator<Item = &'a [u8]>,
    ) -> Result<Vec<u8>, MailError> {
        if chunks.len() != self.chunks as usize {
            return Err(MailError::EnclosureCutOff);
        }
        let mut content = Vec::with_capacity(self.len as usize);
        for (index, chunk) in (0..).map(ChunkIndex).zip(chunks) {
            content.extend(self.open_chunk(index, chunk)?);
        }
        Ok(content)
    }
}

/// Bytes of the blob of an enclosure with so much content: 64 KiB, the multiples of 256 KiB up to 1 MiB, and then whole MiB. `None` for more
/// content than [`MAX_ENCLOSURES_LEN`].
pub fn padded_len(len: u64) -> Option<u64> {
    const MIB: u64 = 1024 * 1024;
    if len > MAX_ENCLOSURES_LEN {
        return None;
    }
    let small = [CHUNK_SIZE / 4, CHUNK_SIZE, 2 * CHUNK_SIZE, 3 * CHUNK_SIZE];
    let large = (1..).map(|number| number * MIB);
    small
        .into_iter()
        .chain(large)
        .find(|size| capacity(*size) >= len)
}

/// Content that a blob of this size holds.
fn capacity(sealed: u64) -> u64 {
    sealed - sealed.div_ceil(CHUNK_SIZE) * TAG_LEN as u64 - HEADER_LEN as u64
}

/// The longest beginning that is short enough; the end of a name says what it is, but a name this long says nothing.
fn shortened(mut name: String) -> String {
    let end = (0..=MAX_ENCLOSURE_NAME.min(name.len()))
        .rev()
        .find(|end| name.is_char_boundary(*end));
    name.truncate(end.unwrap_or_default());
    name
}

/// Bytes of a header without name and type, its length field included.
const HEADER_LEN: usize = 20;
