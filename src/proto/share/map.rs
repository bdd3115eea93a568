//! Where the bytes of a file lie in the chunks of its blob.
//!
//! A public blob is the file. In a share every chunk gives [`TAG_LEN`] bytes to its tag and the first one begins with the
//! header, so offsets shift; both are one formula with different numbers.

use std::ops::Range;

use super::{MAX_HEADER_LEN, PLAIN_CHUNK, ShareError, TAG_LEN};
use crate::proto::types::{BlobSize, CHUNK_SIZE, ChunkIndex};

/// Maps ranges of a file's content to chunks, for public blobs and for shares.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ContentMap {
    /// Plaintext bytes in a whole chunk.
    per_chunk: u64,
    /// Plaintext bytes before the content.
    skip: u64,
    content: u64,
}

/// A stretch of content that lies in one chunk.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Piece {
    /// The chunk.
    pub index: ChunkIndex,
    /// The bytes within the chunk's plaintext (of a public blob: within the chunk).
    pub range: Range<usize>,
}

impl ContentMap {
    /// The map of a public blob: the content is the blob.
    pub fn public(size: BlobSize) -> Self {
        Self {
            per_chunk: CHUNK_SIZE,
            skip: 0,
            content: size.get(),
        }
    }

    /// The map of a share whose header, its length field included, takes `header_len` bytes. Both numbers must be
    /// certain: the size proved, the header read from a verified chunk.
    ///
    /// # Errors
    /// [`ShareError::ImpossibleSize`] if no share with this header has that size.
    pub fn sealed(size: BlobSize, header_len: usize) -> Result<Self, ShareError> {
        let impossible = ShareError::ImpossibleSize(size.get());
        let tags = u64::from(size.chunk_count()) * TAG_LEN as u64;
        let last = size.chunk_len(size.last_chunk()).ok_or(impossible)?;
        if last <= TAG_LEN || header_len > MAX_HEADER_LEN + 4 {
            return Err(impossible);
        }
        let plain = size.get() - tags;
        let skip = header_len as u64;
        let content = plain.checked_sub(skip).ok_or(impossible)?;
        Ok(Self {
            per_chunk: PLAIN_CHUNK as u64,
            skip,
            content,
        })
    }

    /// Length of the content in bytes.
    pub fn content_size(&self) -> u64 {
        self.content
    }

    /// The pieces that make up `range` of the content, in order; what lies past the end is left out.
    pub fn pieces(&self, range: Range<u64>) -> impl Iterator<Item = Piece> + use<> {
        let Self {
            per_chunk,
            skip,
            content,
        } = *self;
        let end = range.end.min(content) + skip;
        let mut at = range.start.min(content) + skip;
        std::iter::from_fn(move || {
            if at >= end {
                return None;
            }
            let chunk = at / per_chunk;
            let chunk_start = chunk * per_chunk;
            let until = end.min(chunk_start + per_chunk);
            let piece = Piece {
                index: ChunkIndex(u32::try_from(chunk).expect("content lies within the blob")),
                range: (at - chunk_start) as usize..(until - chunk_start) as usize,
            };
            at = until;
            Some(piece)
        })
    }
}

#[cfg(all(test, not(target_arch = "wasm32")))]
mod tests {
    #![allow(clippy::unwrap_used)]

    use proptest::prelude::*;

    use super::*;
    use crate::proto::types::MAX_BLOB_SIZE;

    fn size(bytes: u64) -> BlobSize {
        BlobSize::new(bytes).unwrap()
    }

    #[test]
    fn public_is_the_identity() {
        let map = ContentMap::public(size(2 * CHUNK_SIZE + 3));
        assert_eq!(map.content_size(), 2 * CHUNK_SIZE + 3);
        let pieces: Vec<_> = map.pieces(CHUNK_SIZE - 1..u64::MAX).collect();
        let whole = CHUNK_SIZE as usize;
        let expected = [(0, whole - 1..whole), (1, 0..whole), (2, 0..3)];
        assert_eq!(
            pieces,
            expected.map(|(i, range)| Piece {
                index: ChunkIndex(i),
                range
            })
        );
        assert_eq!(ContentMap::public(size(0)).pieces(0..10).count(), 0);
    }

    #[test]
    fn sealed_shifts_by_header_and_tags() {
        let map = ContentMap::sealed(size(CHUNK_SIZE + 16 + 5), 100).unwrap();
        assert_eq!(map.content_size(), PLAIN_CHUNK as u64 - 100 + 5);
        let pieces: Vec<_> = map.pieces(0..map.content_size()).collect();
        let expected = [(0, 100..PLAIN_CHUNK), (1, 0..5)];
        assert_eq!(
            pieces,
            expected.map(|(i, range)| Piece {
                index: ChunkIndex(i),
                range
            })
        );
    }

    #[test]
    fn impossible_sizes_are_refused() {
        for (bytes, header) in [
            (0, 0),
            (16, 0),
            (17, 2),
            (CHUNK_SIZE + 1, 20),
            (CHUNK_SIZE + 16, 20),
            (MAX_BLOB_SIZE, MAX_HEADER_LEN + 5),
            (MAX_BLOB_SIZE, usize::MAX),
        ] {
            let verdict = ContentMap::sealed(size(bytes), header);
            assert_eq!(
                verdict,
                Err(ShareError::ImpossibleSize(bytes)),
                "{bytes}, {header}"
            );
        }
        assert_eq!(ContentMap::sealed(size(36), 20).unwrap().content_size(), 0);
        let largest = ContentMap::sealed(size(MAX_BLOB_SIZE), 20).unwrap();
        let last = largest
            .pieces(largest.content_size() - 1..u64::MAX)
            .last()
            .unwrap();
        assert_eq!(last.index, size(MAX_BLOB_SIZE).last_chunk());
    }

    proptest! {
        #[test]
        fn pieces_tile_the_range(
            bytes in 0..=MAX_BLOB_SIZE, header in 0..5000usize, sealed: bool,
            start: u64, from_end in 0..2_000_000u64, near_end: bool, len in 0..2_000_000u64,
        ) {
            let blob = size(bytes);
            let map = match ContentMap::sealed(blob, header) {
                Ok(map) if sealed => map,
                _ => ContentMap::public(blob),
            };
            let start = if near_end { map.content_size().saturating_sub(from_end) } else { start };
            let range = start..start.saturating_add(len);
            let clipped = range.end.min(map.content_size()).saturating_sub(start);
            let mut total = 0;
            let mut before: Option<Piece> = None;
            for piece in map.pieces(range) {
                prop_assert!(!piece.range.is_empty());
                let tag = if map.per_chunk == CHUNK_SIZE { 0 } else { TAG_LEN };
                prop_assert!(piece.range.end <= blob.chunk_len(piece.index).unwrap() - tag);
                if let Some(before) = before {
                    prop_assert_eq!(piece.index.0, before.index.0 + 1);
                    prop_assert_eq!((before.range.end as u64, piece.range.start), (map.per_chunk, 0));
                }
                total += piece.range.len() as u64;
                before = Some(piece);
            }
            prop_assert_eq!(total, clipped);
        }
    }
}
