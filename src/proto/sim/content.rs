//! The blob that a simulation exchanges: real bytes, hashes and proofs, made from the seed.

use bytes::Bytes;

use crate::proto::tree::TreeBuilder;
use crate::proto::types::{BlobHash, BlobSize, ChunkIndex, MAX_BLOB_SIZE};

/// A blob in memory, shared by all peers.
#[derive(Debug, Clone)]
pub struct Content {
    /// Its hash.
    pub hash: BlobHash,
    /// Its size.
    pub size: BlobSize,
    chunks: Vec<(Bytes, Bytes)>,
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
        let data = indexes.clone().map(|index| {
            let start = index.offset() as usize;
            whole.slice(start..start + size.chunk_len(index).unwrap_or(0))
        });
        let data: Vec<Bytes> = data.collect();
        let mut builder = TreeBuilder::new();
        for chunk in &data {
            builder.push_chunk(chunk).expect("the size was checked");
        }
        let tree = builder.finish();
        let proofs = indexes.map(|index| tree.proof(index).unwrap_or_default());
        let chunks = data.into_iter().zip(proofs).collect();
        Self {
            hash: tree.root(),
            size,
            chunks,
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

    /// All indexes.
    pub fn indexes(&self) -> impl Iterator<Item = ChunkIndex> {
        (0..self.size.chunk_count()).map(ChunkIndex)
    }
}
