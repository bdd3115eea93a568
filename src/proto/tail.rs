//! The proof of a blob's size: its last KiB, and the way from there to the root.
//!
//! The last leaf of the BLAKE3 tree carries its number and its length, so whoever can hash from it to the root knows how
//! long the blob is (`tree` gives the argument for the last chunk; it holds for the last leaf alone). Two kilobytes tell
//! in the first round trip what would otherwise take a whole chunk, the same one for everybody who comes.

use blake3::Hasher;
use blake3::hazmat::{
    ChainingValue, HasherExt, Mode, merge_subtrees_non_root, merge_subtrees_root,
};
use bytes::Bytes;

use super::tree::HASH_LEN;
use super::types::{BlobHash, BlobSize, MAX_BLOB_SIZE};

/// Bytes in a leaf of the BLAKE3 tree.
pub const LEAF_SIZE: u64 = 1024;

/// Longest proof of a tail in bytes: the tree of the largest blob is this high over its leaves.
pub const MAX_TAIL_PROOF: usize = (MAX_BLOB_SIZE / LEAF_SIZE).ilog2() as usize * HASH_LEN;

/// What proves a size.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tail {
    /// The size it proves.
    pub size: BlobSize,
    /// Chaining values of the subtrees to the left of the way from the last leaf to the root, lowest first.
    pub proof: Bytes,
    /// The last leaf: at most [`LEAF_SIZE`] bytes, none only of an empty blob.
    pub leaf: Bytes,
}

impl Tail {
    /// Cuts the tail out of a blob's last chunk and its proof, both verified.
    pub fn cut(size: BlobSize, last_chunk: &Bytes, chunk_proof: &Bytes) -> Self {
        let start = size.last_chunk().offset();
        let leaf_at = leaf_start(size.get()) - start;
        let mut lefts: Vec<ChainingValue> = Vec::new();
        let (mut from, end) = (0u64, last_chunk.len() as u64);
        while end - from > LEAF_SIZE {
            let left = left_len(end - from);
            let bytes = &last_chunk[from as usize..(from + left) as usize];
            lefts.push(subtree(start + from, bytes));
            from += left;
        }
        let inner = lefts.iter().rev().flat_map(|value| value.iter().copied());
        Self {
            size,
            proof: inner.chain(chunk_proof.iter().copied()).collect(),
            leaf: last_chunk.slice((leaf_at as usize).min(last_chunk.len())..),
        }
    }

    /// Whether it proves its size for the blob with this hash.
    pub fn proves(&self, blob: BlobHash) -> bool {
        let size = self.size.get();
        let start = leaf_start(size);
        if self.leaf.len() as u64 != size - start || self.proof.len() != proof_len(size) {
            return false;
        }
        if self.proof.is_empty() {
            return *blake3::hash(&self.leaf).as_bytes() == blob.0;
        }
        let mut value = subtree(start, &self.leaf);
        let (lefts, _) = self.proof.as_chunks::<HASH_LEN>();
        let Some((top, lower)) = lefts.split_last() else {
            return false;
        };
        for left in lower {
            value = merge_subtrees_non_root(left, &value, Mode::Hash);
        }
        *merge_subtrees_root(top, &value, Mode::Hash).as_bytes() == blob.0
    }
}

/// Bytes of the proof for a blob of `size` bytes: a hash for each turn to the right.
pub fn proof_len(size: u64) -> usize {
    let (mut rest, mut turns) = (size, 0);
    while rest > LEAF_SIZE {
        rest -= left_len(rest);
        turns += 1;
    }
    turns * HASH_LEN
}

/// Where the last leaf begins.
fn leaf_start(size: u64) -> u64 {
    size.saturating_sub(1) / LEAF_SIZE * LEAF_SIZE
}

/// Bytes of the left subtree of a tree over `len` bytes, more than one leaf (BLAKE3 paper, section 2.1).
fn left_len(len: u64) -> u64 {
    let leaves = (len - 1) / LEAF_SIZE;
    LEAF_SIZE << leaves.ilog2()
}

fn subtree(offset: u64, bytes: &[u8]) -> ChainingValue {
    let mut hasher = Hasher::new();
    hasher.set_input_offset(offset);
    hasher.update(bytes);
    hasher.finalize_non_root()
}

#[cfg(all(test, not(target_arch = "wasm32")))]
mod tests {
    #![allow(clippy::unwrap_used)]
    use proptest::prelude::*;

    use super::*;
    use crate::proto::tree::TreeBuilder;
    use crate::proto::types::CHUNK_SIZE;

    fn tail(len: usize) -> (BlobHash, Tail) {
        let bytes: Vec<u8> = (0..len).map(|at| (at / 7) as u8).collect();
        let mut builder = TreeBuilder::new();
        let mut last = Bytes::new();
        for chunk in bytes.chunks(CHUNK_SIZE as usize) {
            builder.push_chunk(chunk).unwrap();
            last = Bytes::copy_from_slice(chunk);
        }
        let tree = builder.finish();
        let proof = tree.proof(tree.size().last_chunk()).unwrap();
        (tree.root(), Tail::cut(tree.size(), &last, &proof))
    }

    #[test]
    fn the_tail_of_a_blob_of_any_shape_proves_its_size() {
        let k = 1024;
        for len in [
            0,
            1,
            k - 1,
            k,
            k + 1,
            2 * k,
            3 * k + 5,
            256 * k,
            256 * k + 1,
            257 * k,
            300 * k + 3,
            1024 * k,
            1300 * k - 1,
        ] {
            let (root, tail) = tail(len);
            assert!(tail.proves(root), "{len}");
            assert!(!tail.proves(BlobHash([1; 32])));
            assert!(tail.proof.len() <= MAX_TAIL_PROOF && tail.leaf.len() as u64 <= LEAF_SIZE);
        }
    }

    proptest! {
        /// The plain BLAKE3 of the whole is the reference; another size, leaf or proof is refused.
        #[test]
        fn nothing_else_proves_anything(len in 0usize..600_000, other in 0u64..1_200_000, at in any::<prop::sample::Index>(), bit in 0u8..8) {
            let (root, tail) = tail(len);
            prop_assert!(tail.proves(root));
            if other != len as u64 {
                let wrong = Tail { size: BlobSize::new(other).unwrap(), ..tail.clone() };
                prop_assert!(!wrong.proves(root));
            }
            let mut wrong = tail.clone();
            let mut bytes: Vec<u8> = [&wrong.proof[..], &wrong.leaf[..]].concat();
            if !bytes.is_empty() {
                let at = at.index(bytes.len());
                bytes[at] ^= 1 << bit;
                let leaf = bytes.split_off(wrong.proof.len());
                (wrong.proof, wrong.leaf) = (bytes.into(), leaf.into());
                prop_assert!(!wrong.proves(root));
            }
        }
    }
}
