//! The BLAKE3 tree of a blob, cut at chunks: what proves that a chunk belongs to a hash.
//!
//! A blob's address is the plain BLAKE3 hash of its bytes. BLAKE3 is itself a binary tree over 1 KiB leaves (section 2.1
//! of the [BLAKE3 paper]), and a chunk of [`CHUNK_SIZE`] bytes is an aligned, complete subtree of it, the last one cut
//! short. So the tree above the chunks needs no format of its own: neighbours are merged pair by pair, an odd one out
//! moves up unchanged, and the last merge, marked as root, gives the address. A *proof* is the list of the siblings met
//! on the way from a chunk to the root, lowest first. A blob of one chunk has no tree and an empty proof.
//!
//! # What a verified chunk proves
//!
//! A peer names the size of the blob along with its chunks, and may lie. Let `size` be its claim, and suppose that
//! [`verify_chunk`] accepts. As long as nobody finds a collision of BLAKE3's compression function:
//!
//! 1. **The bytes are the blob's own at that offset, whatever the size.** Go down from the root: two equal outputs have
//!    equal inputs, so the real tree has the same two children, and so on along the claimed path. A parent is never
//!    taken for a leaf, nor a root for either, because the flags of the node are an input. At the bottom each 1 KiB leaf
//!    has its own number in the blob as an input (the counter), which fixes the offset.
//! 2. **The last chunk, verified as the last, proves the size.** The path to the last chunk of the claimed tree only ever
//!    turns right, and so does the path on from there to its last 1 KiB leaf. By 1 the same path exists in the real tree
//!    and ends at the same leaf, which is therefore the real blob's last one. Its counter says how many whole leaves come
//!    before it, and its length is bound too: every 64-byte block has its length and its first/last marks as inputs. Count
//!    and length together are the size. [`proves_size`] says when this holds.
//! 3. **Any other chunk proves only that the blob is longer.** Its path turns left somewhere, so something lies to the
//!    right of it. The size remains a claim, and two chunks may verify under two different claims.
//!
//! The tests hold 2 against every wrong claim of up to 40 chunks.
//!
//! Nothing below depends on the chunk being 256 KiB: verification of smaller groups is the same walk from a smaller,
//! equally aligned subtree.
//!
//! [BLAKE3 paper]: https://github.com/BLAKE3-team/BLAKE3-specs/blob/master/blake3.pdf

use std::fmt;

use blake3::Hasher;
use blake3::hazmat::{
    ChainingValue, HasherExt, Mode, merge_subtrees_non_root, merge_subtrees_root,
};
use bytes::Bytes;

use super::types::{BlobHash, BlobSize, CHUNK_SIZE, ChunkIndex, MAX_BLOB_SIZE};

/// Bytes of one hash in a proof or in an encoded tree.
pub const HASH_LEN: usize = 32;

/// Most siblings in a proof: the tree over the chunks of the largest blob is this high.
pub const MAX_PROOF_HASHES: usize = (MAX_BLOB_SIZE / CHUNK_SIZE).ilog2() as usize;

/// Longest proof in bytes (704).
pub const MAX_PROOF_LEN: usize = MAX_PROOF_HASHES * HASH_LEN;

/// Why bytes do not belong to a blob, or cannot be one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum TreeError {
    /// The blob, as its size is given, has no such chunk.
    #[error("chunk {index} lies past the end of a blob of {count} chunks")]
    NoSuchChunk {
        /// The chunk asked for.
        index: ChunkIndex,
        /// Chunks in the blob.
        count: u32,
    },
    /// The chunk's bytes are too many or too few.
    #[error("chunk {index} has {found} bytes, not {expected}")]
    DataLength {
        /// The chunk.
        index: ChunkIndex,
        /// Bytes it must have.
        expected: usize,
        /// Bytes it has.
        found: usize,
    },
    /// The proof has too many or too few bytes.
    #[error("the proof of chunk {index} has {found} bytes, not {expected}")]
    ProofLength {
        /// The chunk.
        index: ChunkIndex,
        /// Bytes it must have.
        expected: usize,
        /// Bytes it has.
        found: usize,
    },
    /// The encoded tree has too many or too few bytes.
    #[error("the tree has {found} bytes, not {expected}")]
    TreeLength {
        /// Bytes it must have.
        expected: u64,
        /// Bytes it has.
        found: u64,
    },
    /// Everything has the right length and leads to another hash.
    #[error("the bytes do not lead to the blob's hash")]
    WrongHash,
    /// The blob would exceed [`MAX_BLOB_SIZE`].
    #[error("the blob is larger than {MAX_BLOB_SIZE} bytes")]
    TooLarge,
}

/// Builds the tree of a blob whose chunks come one after the other. Keeps 32 bytes a chunk.
#[derive(Debug, Default)]
pub struct TreeBuilder {
    /// The first chunk stays in its hasher: only the end tells whether it is the whole blob, and so hashed as a root.
    first: Hasher,
    rest: Vec<ChainingValue>,
    bytes: u64,
}

impl TreeBuilder {
    /// Starts with an empty blob.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds the next chunk: exactly [`CHUNK_SIZE`] bytes, fewer only in the last call. Empty `data` changes nothing.
    ///
    /// # Errors
    /// [`TreeError::TooLarge`] if the blob would exceed [`MAX_BLOB_SIZE`]; nothing is added then.
    ///
    /// # Panics
    /// If `data` is longer than a chunk, or follows a chunk that was short: the caller cuts the chunks.
    pub fn push_chunk(&mut self, data: &[u8]) -> Result<(), TreeError> {
        if data.is_empty() {
            return Ok(());
        }
        assert!(
            data.len() as u64 <= CHUNK_SIZE,
            "a chunk of {} bytes",
            data.len()
        );
        assert!(
            self.bytes.is_multiple_of(CHUNK_SIZE),
            "a chunk after the last one"
        );
        if self.bytes + data.len() as u64 > MAX_BLOB_SIZE {
            return Err(TreeError::TooLarge);
        }
        if self.bytes == 0 {
            self.first.update(data);
        } else {
            self.rest.push(subtree(self.bytes, data));
        }
        self.bytes += data.len() as u64;
        Ok(())
    }

    /// Bytes added so far.
    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Ends the blob.
    pub fn finish(self) -> Tree {
        let size = BlobSize::new(self.bytes).expect("push_chunk refuses what exceeds the limit");
        let leaves = if self.rest.is_empty() {
            vec![*self.first.finalize().as_bytes()]
        } else {
            let mut leaves = Vec::with_capacity(1 + self.rest.len());
            leaves.push(self.first.finalize_non_root());
            leaves.extend(self.rest);
            leaves
        };
        Tree::over(leaves, size)
    }
}

/// The hashes of all chunks of a blob and everything above them: makes the proof of any chunk at once.
///
/// Takes about 64 bytes a chunk.
#[derive(Clone, PartialEq, Eq)]
pub struct Tree {
    root: BlobHash,
    size: BlobSize,
    /// Chunks first, each level half as long as the one before, down to two nodes (or the one of a one-chunk blob).
    levels: Vec<Vec<ChainingValue>>,
}

impl Tree {
    /// The blob's address.
    pub fn root(&self) -> BlobHash {
        self.root
    }

    /// The blob's length.
    pub fn size(&self) -> BlobSize {
        self.size
    }

    /// The proof of a chunk, for [`verify_chunk`]; `None` past the end.
    pub fn proof(&self, index: ChunkIndex) -> Option<Bytes> {
        if index.0 >= self.size.chunk_count() {
            return None;
        }
        let mut proof = Vec::with_capacity(MAX_PROOF_LEN);
        for step in path(self.size, index) {
            proof.extend_from_slice(&self.levels[step.level][step.sibling as usize]);
        }
        Some(proof.into())
    }

    /// The chunk hashes in order, 32 bytes each: the chaining values of their subtrees, or the blob's own hash where it
    /// is a single chunk.
    pub fn encode(&self) -> Bytes {
        self.levels[0].concat().into()
    }

    /// Reads what [`Tree::encode`] wrote.
    ///
    /// # Errors
    /// [`TreeError::TreeLength`] if it is not 32 bytes a chunk, [`TreeError::WrongHash`] if it leads to another root. A
    /// wrong size with the right number of chunks is not noticed: this format holds no lengths.
    pub fn decode(root: BlobHash, size: BlobSize, encoded: &[u8]) -> Result<Self, TreeError> {
        let expected = u64::from(size.chunk_count()) * HASH_LEN as u64;
        if encoded.len() as u64 != expected {
            return Err(TreeError::TreeLength {
                expected,
                found: encoded.len() as u64,
            });
        }
        let (leaves, _) = encoded.as_chunks::<HASH_LEN>();
        let tree = Self::over(leaves.to_vec(), size);
        if tree.root == root {
            Ok(tree)
        } else {
            Err(TreeError::WrongHash)
        }
    }

    fn over(leaves: Vec<ChainingValue>, size: BlobSize) -> Self {
        let mut levels = vec![leaves];
        while let Some(below) = levels.last().filter(|level| level.len() > 2) {
            let above = below.chunks(2).map(|pair| match pair {
                [left, right] => merge_subtrees_non_root(left, right, Mode::Hash),
                odd => odd[0],
            });
            levels.push(above.collect());
        }
        let root = match levels[levels.len() - 1][..] {
            [left, right] => *merge_subtrees_root(&left, &right, Mode::Hash).as_bytes(),
            [ref whole, ..] => *whole,
            [] => unreachable!("a blob has at least one chunk"),
        };
        Self {
            root: BlobHash(root),
            size,
            levels,
        }
    }
}

impl fmt::Debug for Tree {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tree")
            .field("root", &self.root)
            .field("size", &self.size)
            .finish()
    }
}

/// Checks that `data` is chunk `index` of the blob `root`, whose size is said to be `size`. The module's own text says
/// what a success proves about that size.
///
/// # Errors
/// A [`TreeError`] that names what is wrong. Each of them means that whoever sent this broke the protocol, unless the
/// size came from somebody else.
pub fn verify_chunk(
    root: BlobHash,
    size: BlobSize,
    index: ChunkIndex,
    data: &[u8],
    proof: &[u8],
) -> Result<(), TreeError> {
    let count = size.chunk_count();
    let expected = size
        .chunk_len(index)
        .ok_or(TreeError::NoSuchChunk { index, count })?;
    if data.len() != expected {
        return Err(TreeError::DataLength {
            index,
            expected,
            found: data.len(),
        });
    }
    let expected = path(size, index).count() * HASH_LEN;
    if proof.len() != expected {
        return Err(TreeError::ProofLength {
            index,
            expected,
            found: proof.len(),
        });
    }
    let found = if count == 1 {
        *blake3::hash(data).as_bytes()
    } else {
        let mut node = subtree(index.offset(), data);
        let (siblings, _) = proof.as_chunks::<HASH_LEN>();
        for (step, sibling) in path(size, index).zip(siblings) {
            let (left, right) = if step.from_right {
                (sibling, &node)
            } else {
                (&node, sibling)
            };
            node = if step.is_root {
                *merge_subtrees_root(left, right, Mode::Hash).as_bytes()
            } else {
                merge_subtrees_non_root(left, right, Mode::Hash)
            };
        }
        node
    };
    if found == root.0 {
        Ok(())
    } else {
        Err(TreeError::WrongHash)
    }
}

/// Length in bytes of the proof of a chunk, at most [`MAX_PROOF_LEN`]; `None` past the end.
pub fn proof_len(size: BlobSize, index: ChunkIndex) -> Option<usize> {
    (index.0 < size.chunk_count()).then(|| path(size, index).count() * HASH_LEN)
}

/// Whether a success of [`verify_chunk`] with this size and index proves the size.
pub fn proves_size(size: BlobSize, index: ChunkIndex) -> bool {
    index == size.last_chunk()
}

/// One merge on the way from a chunk to the root.
struct Step {
    /// Levels above the chunks at which the two nodes lie.
    level: usize,
    /// Position of the sibling in that level.
    sibling: u32,
    /// The node we come from is the right one of the two.
    from_right: bool,
    is_root: bool,
}

/// The merges from a chunk up to the root, none if there is only one chunk.
fn path(size: BlobSize, index: ChunkIndex) -> impl Iterator<Item = Step> {
    let mut level = 0;
    let mut count = size.chunk_count();
    let mut position = index.0;
    std::iter::from_fn(move || {
        while count > 1 {
            let step = Step {
                level,
                sibling: position ^ 1,
                from_right: position & 1 == 1,
                is_root: count == 2,
            };
            let has_sibling = step.sibling < count;
            level += 1;
            count = count.div_ceil(2);
            position /= 2;
            if has_sibling {
                return Some(step);
            }
        }
        None
    })
}

/// The chaining value of the subtree of `data`, which starts `offset` bytes into a blob of more than this.
fn subtree(offset: u64, data: &[u8]) -> ChainingValue {
    Hasher::new()
        .set_input_offset(offset)
        .update(data)
        .finalize_non_root()
}

#[cfg(all(test, not(target_arch = "wasm32")))]
mod tests;
