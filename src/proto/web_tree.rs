//! The tree of a blob as a file, to lie beside it on a web server: what proves the chunks that the server sends.
//!
//! All integers are little-endian (docs/web-seeds.md). The file proves itself against the blob's hash, its size included:
//! the chunk hashes lead to the root, and the last leaf with its way up is the proof of the size (`tail`).

use bytes::Bytes;

use super::tail::{self, LEAF_SIZE, Tail};
use super::tree::{self, HASH_LEN, Tree};
use super::types::{BlobHash, BlobSize, CHUNK_SIZE};

/// Bytes of the longest file that is read: the tree of a blob of 16 GiB, which takes twice as much memory.
pub const MAX_WEB_TREE: usize = 8 + 65_536 * HASH_LEN + INNER_MAX + LEAF_SIZE as usize;

/// A tree and the proof of its size, both held against the blob's hash.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WebTree {
    /// The hashes.
    pub tree: Tree,
    /// The size.
    pub tail: Tail,
}

impl WebTree {
    /// Takes the tree of a whole blob and its last chunk.
    pub fn new(tree: Tree, last_chunk: &Bytes) -> Option<Self> {
        let size = tree.size();
        let proof = tree.proof(size.last_chunk())?;
        let tail = Tail::cut(size, last_chunk, &proof);
        Some(Self { tree, tail })
    }

    /// As the file holds it.
    pub fn encode(&self) -> Bytes {
        let size = self.tail.size;
        let inner = &self.tail.proof[..inner_len(size)];
        let mut file = size.get().to_le_bytes().to_vec();
        file.extend_from_slice(&self.tree.encode());
        file.extend_from_slice(inner);
        file.extend_from_slice(&self.tail.leaf);
        file.into()
    }

    /// Reads such a file; `None` if it is no tree of this blob.
    pub fn decode(blob: BlobHash, file: &Bytes) -> Option<Self> {
        let (head, rest) = file.split_first_chunk::<8>()?;
        let size = BlobSize::new(u64::from_le_bytes(*head))?;
        let leaves = (size.chunk_count() as usize).checked_mul(HASH_LEN)?;
        let inner = inner_len(size);
        let leaf = (size.get() - leaf_start(size)) as usize;
        if file.len() > MAX_WEB_TREE || rest.len() != leaves.checked_add(inner + leaf)? {
            return None;
        }
        let tree = Tree::decode(blob, size, &rest[..leaves]).ok()?;
        let above = tree.proof(size.last_chunk())?;
        let mut proof = rest[leaves..leaves + inner].to_vec();
        proof.extend_from_slice(&above);
        let tail = Tail {
            size,
            proof: proof.into(),
            leaf: file.slice(8 + leaves + inner..),
        };
        tail.proves(blob).then_some(Self { tree, tail })
    }
}

/// Bytes of the hashes between the last leaf and its chunk.
fn inner_len(size: BlobSize) -> usize {
    let above = tree::proof_len(size, size.last_chunk()).unwrap_or(0);
    tail::proof_len(size.get()).saturating_sub(above)
}

fn leaf_start(size: BlobSize) -> u64 {
    size.get().saturating_sub(1) / LEAF_SIZE * LEAF_SIZE
}

/// Hashes between a leaf and its chunk at most.
const INNER_MAX: usize = (CHUNK_SIZE / LEAF_SIZE).ilog2() as usize * HASH_LEN;

#[cfg(all(test, not(target_arch = "wasm32")))]
mod tests {
    #![allow(clippy::unwrap_used)]
    use proptest::prelude::*;

    use super::*;
    use crate::proto::tree::TreeBuilder;

    fn made(len: usize) -> (BlobHash, WebTree) {
        let bytes: Vec<u8> = (0..len).map(|at| (at / 5) as u8).collect();
        let mut builder = TreeBuilder::new();
        let mut last = Bytes::new();
        for chunk in bytes.chunks(CHUNK_SIZE as usize) {
            builder.push_chunk(chunk).unwrap();
            last = Bytes::copy_from_slice(chunk);
        }
        let tree = builder.finish();
        (tree.root(), WebTree::new(tree, &last).unwrap())
    }

    #[test]
    fn a_tree_of_any_shape_comes_back() {
        for len in [
            0, 1, 1024, 1025, 262_144, 262_145, 263_169, 786_432, 1_000_000,
        ] {
            let (blob, web) = made(len);
            let file = web.encode();
            assert!(file.len() <= MAX_WEB_TREE);
            assert_eq!(WebTree::decode(blob, &file), Some(web), "{len}");
            assert_eq!(WebTree::decode(BlobHash([1; 32]), &file), None);
        }
    }

    #[test]
    fn the_format_does_not_change() {
        let (_, web) = made(300_000);
        let file = web.encode();
        // 8 of the size, 2 chunk hashes, 2 hashes above the last leaf within its chunk, a leaf of 992 bytes.
        assert_eq!(file.len(), 8 + 2 * 32 + 2 * 32 + 992);
        assert_eq!(file[..8], 300_000u64.to_le_bytes());
        let hash = blake3::hash(&file).to_hex();
        assert_eq!(hash.as_str(), GOLDEN);
    }

    const GOLDEN: &str = "bd30da8e3ed136057b93b37ee0b75a65745f0222996393e5bcc09d0825e1dcf8";

    proptest! {
        /// One bit elsewhere, a byte more or less, anything at all: no tree of this blob.
        #[test]
        fn foreign_files_are_refused(len in 0usize..600_000, at in any::<prop::sample::Index>(), bit in 0u8..8, cut in 1usize..40, junk in prop::collection::vec(any::<u8>(), 0..200)) {
            let (blob, web) = made(len);
            let file = web.encode();
            let mut wrong = file.to_vec();
            let at = at.index(wrong.len());
            wrong[at] ^= 1 << bit;
            prop_assert_eq!(WebTree::decode(blob, &wrong.into()), None);
            prop_assert_eq!(WebTree::decode(blob, &file.slice(..file.len().saturating_sub(cut))), None);
            let mut longer = file.to_vec();
            longer.extend_from_slice(&[0; 3]);
            prop_assert_eq!(WebTree::decode(blob, &longer.into()), None);
            prop_assert_eq!(WebTree::decode(blob, &junk.into()), None);
        }
    }
}
