//! Newtypes shared by the whole protocol: hashes, indexes, sizes and times. Parse once at the edge, then typed.

use std::fmt;
use std::ops::{Add, Sub};
use std::time::Duration;

/// Bytes in a chunk: the unit stored, requested, counted and placed. Aligned on the BLAKE3 tree.
pub const CHUNK_SIZE: u64 = 256 * 1024;

/// Bytes in a group: the smallest unit that can be verified on its own.
pub const GROUP_SIZE: u64 = 16 * 1024;

/// Largest blob this version handles, in bytes (1 TiB): bounds every size that a peer may claim.
pub const MAX_BLOB_SIZE: u64 = 1 << 40;

/// The plain BLAKE3-256 hash of a blob's bytes, what `b3sum` prints.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct BlobHash(pub [u8; 32]);

impl fmt::Display for BlobHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for BlobHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "BlobHash({self})")
    }
}

/// A length in bytes of a whole blob, at most [`MAX_BLOB_SIZE`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct BlobSize(u64);

impl BlobSize {
    /// Accepts `bytes` up to [`MAX_BLOB_SIZE`], `None` above.
    pub fn new(bytes: u64) -> Option<Self> {
        (bytes <= MAX_BLOB_SIZE).then_some(Self(bytes))
    }

    /// The length in bytes.
    pub fn get(self) -> u64 {
        self.0
    }

    /// Number of chunks; an empty blob has one, empty, chunk.
    pub fn chunk_count(self) -> u32 {
        self.0.div_ceil(CHUNK_SIZE).max(1) as u32
    }

    /// Index of the last chunk, the one whose verification proves the size.
    pub fn last_chunk(self) -> ChunkIndex {
        ChunkIndex(self.chunk_count() - 1)
    }

    /// Length in bytes of chunk `index`: [`CHUNK_SIZE`] but for the last; `None` past the end.
    pub fn chunk_len(self, index: ChunkIndex) -> Option<usize> {
        (index.0 < self.chunk_count()).then(|| (self.0 - index.offset()).min(CHUNK_SIZE) as usize)
    }
}

/// The position of a chunk in its blob, from 0.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ChunkIndex(pub u32);

impl ChunkIndex {
    /// Offset in bytes of the chunk's first byte in the blob.
    pub fn offset(self) -> u64 {
        u64::from(self.0) * CHUNK_SIZE
    }
}

impl fmt::Display for ChunkIndex {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// A peer as the protocol sees it: the same number means the same identity for as long as the process runs.
/// The edges map it to a network identity.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PeerKey(pub u64);

/// Microseconds since an arbitrary origin of this process. Only the edges read a clock.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Time(pub u64);

impl Time {
    /// Time passed since `earlier`; zero if `earlier` lies ahead.
    pub fn since(self, earlier: Time) -> Duration {
        Duration::from_micros(self.0.saturating_sub(earlier.0))
    }
}

impl Add<Duration> for Time {
    type Output = Time;
    fn add(self, rhs: Duration) -> Time {
        Time(
            self.0
                .saturating_add(u64::try_from(rhs.as_micros()).unwrap_or(u64::MAX)),
        )
    }
}

impl Sub<Duration> for Time {
    type Output = Time;
    fn sub(self, rhs: Duration) -> Time {
        Time(
            self.0
                .saturating_sub(u64::try_from(rhs.as_micros()).unwrap_or(u64::MAX)),
        )
    }
}
