//! The blob that a simulation exchanges: real bytes, hashes and proofs, made from the seed.

use bytes::Bytes;

use crate::proto::tree::{TreeBuilder, TreeError};
use crate::proto::types::{BlobHash, BlobSize, ChunkIndex, MAX_BLOB_SIZE};

/// Takes the place of the tree in [`Content::marked`].
///
/// # Errors
/// If the bytes do not carry the chunk's mark, or are too many or too few.
pub fn verify_marked(
    _blob: BlobHash,
    size: BlobSize,
    index: ChunkIndex,
    data: &[u8],
    _proof: &[u8],
) -> Result<(), TreeError> {
    let expected = size.chunk_len(index).unwrap_or(0);
    let mark = index.0.to_be_bytes();
    let marked = data.iter().zip(mark).all(|(byte, mark)| *byte == mark);
    if data.len() != expected || !marked {
        return Err(TreeError::DataLength {
            index,
            expected,
            found: data.len(),
        });
    }
    Ok(())
}

/// A blob in memory, shared by all peers.
#[derive(Debug, Clone)]
pub struct Content {
    /// Its hash.
    pub hash: BlobHash,
    /// Its size.
    pub size: BlobSize,
    chunks: Vec<(Bytes, Bytes)>,
    /// Whether chunks are told apart by their first bytes instead of their hashes.
    pub marked: bool,
}

impl Content {
    /// Makes a blob of `bytes` bytes, different for each seed.
    ///
    /// # Panics
    /// If `bytes` exceeds [`MAX_BLOB_SIZE`].
    pub fn new(seed: u64, bytes: u64) -> Self {
        let size = BlobSize::new(bytes.min(MAX_BLOB_SIZE)).expect("it was cut to what is allowed");
        assert_eq!(
            size.get(),
            bytes,
            "a simulated blob is far below the largest"
        );
        let mut whole = vec![0; bytes as usize];
        blake3::Hasher::new()
            .update(&seed.to_be_bytes())
            .finalize_xof()
            .fill(&mut whole);
        let whole = Bytes::from(whole);
        let indexes = (0..size.chunk_count()).map(ChunkIndex);
        let data = indexes.map(|index| {
            let start = index.offset() as usize;
            whole.slice(start..start + size.chunk_len(index).unwrap_or(0))
        });
        Self::of(data.collect())
    }

    fn of(data: Vec<Bytes>) -> Self {
        let mut builder = TreeBuilder::new();
        for chunk in &data {
            builder.push_chunk(chunk).expect("the size was checked");
        }
        let tree = builder.finish();
        let size = tree.size();
        let indexes = (0..size.chunk_count()).map(ChunkIndex);
        let proofs = indexes.map(|index| tree.proof(index).unwrap_or_default());
        let chunks = data.into_iter().zip(proofs).collect();
        Self {
            hash: tree.root(),
            size,
            chunks,
            marked: false,
        }
    }

    /// Makes a blob whose chunks are told apart by their first bytes, for runs in which hashing would take all the time:
    /// [`verify_marked`] takes the place of the tree.
    ///
    /// # Panics
    /// If `bytes` exceeds [`MAX_BLOB_SIZE`].
    pub fn marked(bytes: u64) -> Self {
        let size = BlobSize::new(bytes.min(MAX_BLOB_SIZE)).expect("it was cut to what is allowed");
        let data = (0..size.chunk_count()).map(|index| {
            let mut data = vec![0; size.chunk_len(ChunkIndex(index)).unwrap_or(0)];
            for (byte, mark) in data.iter_mut().zip(index.to_be_bytes()) {
                *byte = mark;
            }
            Bytes::from(data)
        });
        Self {
            marked: true,
            ..Self::of(data.collect())
        }
    }

    /// The bytes of a chunk.
    pub fn data(&self, index: ChunkIndex) -> Bytes {
        self.chunks[index.0 as usize].0.clone()
    }

    /// The proof of a chunk.
    pub fn proof(&self, index: ChunkIndex) -> Bytes {
        self.chunks[index.0 as usize].1.clone()
    }

    /// Whether these are the bytes of a chunk.
    pub fn is(&self, index: ChunkIndex, data: &Bytes) -> bool {
        let (own, _) = &self.chunks[index.0 as usize];
        own.as_ptr() == data.as_ptr() && own.len() == data.len() || own == data
    }

    /// All indexes.
    pub fn indexes(&self) -> impl Iterator<Item = ChunkIndex> {
        (0..self.size.chunk_count()).map(ChunkIndex)
    }
}
