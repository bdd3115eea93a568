#![allow(clippy::unwrap_used)]

use bao_tree::{BlockSize, io::outboard::PreOrderMemOutboard};
use proptest::prelude::*;

use super::*;

const CHUNK: usize = CHUNK_SIZE as usize;

/// Bytes without a short period, different for every seed.
fn bytes(len: usize, seed: u64) -> Vec<u8> {
    let mut out = vec![0; len];
    Hasher::new()
        .update(&seed.to_le_bytes())
        .finalize_xof()
        .fill(&mut out);
    out
}

fn build(data: &[u8]) -> Tree {
    let mut builder = TreeBuilder::new();
    for chunk in data.chunks(CHUNK) {
        builder.push_chunk(chunk).unwrap();
    }
    builder.finish()
}

fn size(bytes: usize) -> BlobSize {
    BlobSize::new(bytes as u64).unwrap()
}

fn chunk_of(data: &[u8], index: u32) -> &[u8] {
    data.chunks(CHUNK).nth(index as usize).unwrap_or_default()
}

/// The root equals `b3sum`, every chunk verifies with its proof, the encoding survives a round trip.
fn check_whole(data: &[u8]) {
    let tree = build(data);
    assert_eq!(
        tree.root().0,
        *blake3::hash(data).as_bytes(),
        "{} bytes",
        data.len()
    );
    assert_eq!(tree.size(), size(data.len()));
    for index in (0..tree.size().chunk_count()).map(ChunkIndex) {
        let proof = tree.proof(index).unwrap();
        assert_eq!(proof_len(tree.size(), index), Some(proof.len()));
        assert!(proof.len() <= MAX_PROOF_LEN);
        let chunk = chunk_of(data, index.0);
        verify_chunk(tree.root(), tree.size(), index, chunk, &proof)
            .unwrap_or_else(|error| panic!("{} bytes, chunk {index}: {error}", data.len()));
    }
    let past = ChunkIndex(tree.size().chunk_count());
    assert_eq!(tree.proof(past), None);
    assert_eq!(proof_len(tree.size(), past), None);
    assert_eq!(
        Tree::decode(tree.root(), tree.size(), &tree.encode()).unwrap(),
        tree
    );
}

#[test]
fn root_is_the_plain_hash_at_every_boundary() {
    let data = bytes(9 * CHUNK + 2, 1);
    check_whole(&[]);
    for len in [
        1,
        63,
        64,
        65,
        1023,
        1024,
        1025,
        2048,
        2049,
        CHUNK / 2,
        CHUNK / 2 + 1,
    ] {
        check_whole(&data[..len]);
    }
    for chunks in 1..=9 {
        for len in [
            chunks * CHUNK - 1,
            chunks * CHUNK,
            chunks * CHUNK + 1,
            chunks * CHUNK + 1025,
        ] {
            check_whole(&data[..len.min(data.len())]);
        }
    }
}

#[test]
fn root_is_the_plain_hash_of_many_chunks() {
    check_whole(&bytes(37 * CHUNK + 12_345, 2));
}

/// Siblings of a chunk, lowest first, out of a pre-order outboard with one pair of hashes per parent.
fn siblings_from_outboard(pairs: &[u8], count: usize, index: usize) -> Vec<u8> {
    if count == 1 {
        return Vec::new();
    }
    let left = count.next_power_of_two() / 2;
    let (pair, below) = pairs.split_at(64);
    let (left_pairs, right_pairs) = below.split_at((left - 1) * 64);
    let (mut found, sibling) = if index < left {
        (siblings_from_outboard(left_pairs, left, index), &pair[32..])
    } else {
        (
            siblings_from_outboard(right_pairs, count - left, index - left),
            &pair[..32],
        )
    };
    found.extend_from_slice(sibling);
    found
}

#[test]
fn proofs_are_those_of_bao_tree() {
    let block = BlockSize::from_chunk_log(8);
    assert_eq!(block.bytes(), CHUNK);
    for (len, seed) in [
        (1, 0),
        (CHUNK, 1),
        (CHUNK + 1, 2),
        (5 * CHUNK, 3),
        (13 * CHUNK + 77, 4),
    ] {
        let data = bytes(len, seed);
        let reference = PreOrderMemOutboard::create(&data, block);
        let tree = build(&data);
        assert_eq!(tree.root().0, *reference.root.as_bytes());
        let count = tree.size().chunk_count();
        for index in 0..count {
            let expected = siblings_from_outboard(&reference.data, count as usize, index as usize);
            assert_eq!(
                tree.proof(ChunkIndex(index)).unwrap(),
                expected,
                "{len} bytes, {index}"
            );
        }
    }
}

/// Argument 2 of the module's text: the true last chunk, cut or filled up to the claimed length, with every proof a liar
/// could make from the true hashes, is never accepted under a wrong size.
#[test]
fn every_wrong_size_is_refused_at_the_last_chunk() {
    for true_len in [
        0,
        1,
        1024,
        CHUNK - 1,
        CHUNK,
        CHUNK + 1,
        2 * CHUNK,
        3 * CHUNK,
        3 * CHUNK + 1024,
        4 * CHUNK,
        6 * CHUNK + 5,
        7 * CHUNK,
        8 * CHUNK,
        12 * CHUNK,
        13 * CHUNK + 1,
    ] {
        let data = bytes(true_len, 5);
        let tree = build(&data);
        let true_size = tree.size();
        let true_last = true_size.last_chunk();
        let tail = chunk_of(&data, true_last.0);
        let proof = tree.proof(true_last).unwrap();
        verify_chunk(tree.root(), true_size, true_last, tail, &proof).unwrap();
        assert!(proves_size(true_size, true_last));

        let residues = [
            tail.len(),
            tail.len() + 1,
            tail.len().saturating_sub(1),
            1,
            1024,
            CHUNK,
        ];
        for claimed_count in 1..=40 {
            for residue in residues.into_iter().filter(|len| (1..=CHUNK).contains(len)) {
                let claimed = size((claimed_count - 1) * CHUNK + residue);
                if claimed == true_size {
                    continue;
                }
                for index in [claimed.last_chunk(), true_last] {
                    let Some(len) = claimed.chunk_len(index) else {
                        continue;
                    };
                    let mut shown = tail.to_vec();
                    shown.resize(len, 0);
                    // The true proof as it is, and fitted to the length that the claimed shape demands.
                    let mut fitted = proof.to_vec();
                    fitted.resize(proof_len(claimed, index).unwrap(), 0);
                    for proof in [&proof[..], &fitted] {
                        let verdict = verify_chunk(tree.root(), claimed, index, &shown, proof);
                        assert!(
                            verdict.is_err(),
                            "{true_size:?} as {claimed:?}, chunk {index}"
                        );
                    }
                }
            }
        }
    }
}

/// Argument 3: a chunk that is not the last may verify under a wrong size, and says so.
#[test]
fn other_chunks_do_not_prove_the_size() {
    let data = bytes(3 * CHUNK, 6);
    let tree = build(&data);
    let claimed = size(2 * CHUNK + 1);
    let first = ChunkIndex(0);
    let proof = tree.proof(first).unwrap();
    verify_chunk(tree.root(), claimed, first, &data[..CHUNK], &proof).unwrap();
    assert!(!proves_size(claimed, first));
}

#[test]
fn lengths_are_named_in_the_error() {
    let data = bytes(2 * CHUNK + 10, 7);
    let tree = build(&data);
    let (root, size) = (tree.root(), tree.size());
    let index = ChunkIndex(2);
    let (chunk, proof) = (chunk_of(&data, 2), tree.proof(index).unwrap());
    let verdict = verify_chunk(root, size, ChunkIndex(3), chunk, &proof);
    assert_eq!(
        verdict,
        Err(TreeError::NoSuchChunk {
            index: ChunkIndex(3),
            count: 3
        })
    );
    let verdict = verify_chunk(root, size, index, &chunk[1..], &proof);
    assert_eq!(
        verdict,
        Err(TreeError::DataLength {
            index,
            expected: 10,
            found: 9
        })
    );
    let verdict = verify_chunk(root, size, index, chunk, &[0; 64]);
    assert_eq!(
        verdict,
        Err(TreeError::ProofLength {
            index,
            expected: 32,
            found: 64
        })
    );
    let verdict = verify_chunk(root, size, index, chunk, &[0; 32]);
    assert_eq!(verdict, Err(TreeError::WrongHash));
    let verdict = Tree::decode(root, size, &tree.encode()[1..]);
    assert_eq!(
        verdict,
        Err(TreeError::TreeLength {
            expected: 96,
            found: 95
        })
    );
}

#[test]
fn builder_refuses_more_than_the_largest_blob() {
    let mut builder = TreeBuilder {
        bytes: MAX_BLOB_SIZE,
        ..TreeBuilder::new()
    };
    assert_eq!(builder.push_chunk(&[1]), Err(TreeError::TooLarge));
    assert_eq!(builder.bytes(), MAX_BLOB_SIZE);
}

#[test]
fn proofs_of_the_largest_blob_fit_the_limit() {
    let largest = BlobSize::new(MAX_BLOB_SIZE).unwrap();
    assert_eq!(
        proof_len(largest, largest.last_chunk()),
        Some(MAX_PROOF_LEN)
    );
    assert_eq!(proof_len(largest, ChunkIndex(0)), Some(704));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn any_length_verifies(len in 0..6 * CHUNK, seed: u64) {
        check_whole(&bytes(len, seed));
    }

    #[test]
    fn a_flipped_bit_is_refused(
        len in 1..6 * CHUNK, seed: u64, at: prop::sample::Index, which: prop::sample::Index, bit in 0..8u8,
    ) {
        let data = bytes(len, seed);
        let tree = build(&data);
        let index = ChunkIndex(which.index(tree.size().chunk_count() as usize) as u32);
        let mut chunk = chunk_of(&data, index.0).to_vec();
        let mut proof = tree.proof(index).unwrap().to_vec();
        let at = at.index(chunk.len());
        chunk[at] ^= 1u8 << bit;
        let verdict = verify_chunk(tree.root(), tree.size(), index, &chunk, &proof);
        prop_assert_eq!(verdict, Err(TreeError::WrongHash));
        chunk[at] ^= 1u8 << bit;
        for at in 0..proof.len() {
            proof[at] ^= 1u8 << bit;
            let verdict = verify_chunk(tree.root(), tree.size(), index, &chunk, &proof);
            prop_assert_eq!(verdict, Err(TreeError::WrongHash));
            proof[at] ^= 1u8 << bit;
        }
        let mut root = tree.root();
        root.0[at % HASH_LEN] ^= 1u8 << bit;
        let verdict = verify_chunk(root, tree.size(), index, &chunk, &proof);
        prop_assert_eq!(verdict, Err(TreeError::WrongHash));
        for other in (0..9).map(ChunkIndex).filter(|other| *other != index) {
            prop_assert!(verify_chunk(tree.root(), tree.size(), other, &chunk, &proof).is_err());
        }
    }

    #[test]
    fn a_flipped_bit_in_an_encoded_tree_is_refused(len in 1..9 * CHUNK, seed: u64, at: prop::sample::Index) {
        let tree = build(&bytes(len, seed));
        let mut encoded = tree.encode().to_vec();
        let at = at.index(encoded.len());
        encoded[at] ^= 1;
        prop_assert_eq!(Tree::decode(tree.root(), tree.size(), &encoded), Err(TreeError::WrongHash));
    }

    #[test]
    fn a_wrong_size_is_refused_at_the_last_chunk(len in 0..5 * CHUNK, claimed in 0..9 * CHUNK, seed: u64) {
        prop_assume!(len != claimed);
        let data = bytes(len, seed);
        let tree = build(&data);
        let claimed = size(claimed);
        let index = claimed.last_chunk();
        let mut shown = chunk_of(&data, tree.size().last_chunk().0).to_vec();
        shown.resize(claimed.chunk_len(index).unwrap(), 0);
        let mut proof = tree.proof(tree.size().last_chunk()).unwrap().to_vec();
        proof.resize(proof_len(claimed, index).unwrap(), 0);
        let verdict = verify_chunk(tree.root(), claimed, index, &shown, &proof);
        prop_assert_eq!(verdict, Err(TreeError::WrongHash));
    }
}

proptest! {
    #[test]
    fn any_bytes_are_refused_without_a_panic(
        root: [u8; 32], claimed in 0..=MAX_BLOB_SIZE, index: u32, near in any::<bool>(),
        data in prop::collection::vec(any::<u8>(), 0..3000), proof in prop::collection::vec(any::<u8>(), 0..800),
    ) {
        let claimed = BlobSize::new(claimed).unwrap();
        let index = if near { claimed.last_chunk() } else { ChunkIndex(index) };
        prop_assert!(verify_chunk(BlobHash(root), claimed, index, &data, &proof).is_err());
        let small = size(data.len());
        prop_assert!(verify_chunk(BlobHash(root), small, ChunkIndex(0), &data, &proof).is_err());
        prop_assert!(Tree::decode(BlobHash(root), small, &proof).is_err());
        prop_assert!(Tree::decode(BlobHash(root), claimed, &proof).is_err());
    }
}
