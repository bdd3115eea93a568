//! How fast content is hashed, sealed and opened: `cargo bench --no-default-features --bench content`.

#![allow(clippy::unwrap_used)]

use std::hint::black_box;
use std::time::{Duration, Instant};

use gyre::proto::share::{Opener, Sealer, ShareHeader, ShareKey};
use gyre::proto::tree::{Tree, TreeBuilder, verify_chunk};
use gyre::proto::types::{BlobSize, CHUNK_SIZE, ChunkIndex};

fn main() {
    let data: Vec<u8> = (0..BYTES).map(|at| (at % 251) as u8).collect();
    let key = ShareKey::new([7; 32]);
    let header = ShareHeader::new("bench.bin", "").unwrap();

    let plain_hash = fastest(|| blake3::hash(&data));
    report("blake3::hash in one go", plain_hash.0);
    let (time, tree) = fastest(|| hash(data.chunks(CHUNK_SIZE as usize)));
    report("tree", time);
    assert_eq!(tree.root().0, *plain_hash.1.as_bytes());
    let (time, ()) = fastest(|| verify(&tree, &data));
    report("proofs and verification", time);

    let (time, chunks) = fastest(|| {
        let mut sealer = Sealer::new(&key, &header);
        let mut chunks = Vec::new();
        // The sizes in which a page's streams deliver.
        for part in data.chunks(64 * 1024) {
            sealer.push(part, &mut chunks).unwrap();
        }
        chunks.extend(sealer.finish());
        chunks
    });
    report("seal", time);
    let size = BlobSize::new(chunks.iter().map(|chunk| chunk.len() as u64).sum()).unwrap();
    let (time, ()) = fastest(|| {
        let opener = Opener::new(&key, size);
        for (index, chunk) in (0..).map(ChunkIndex).zip(&chunks) {
            black_box(opener.open_chunk(index, chunk).unwrap());
        }
    });
    report("open", time);
}

fn hash<'a>(chunks: impl Iterator<Item = &'a [u8]>) -> Tree {
    let mut builder = TreeBuilder::new();
    for chunk in chunks {
        builder.push_chunk(chunk).unwrap();
    }
    builder.finish()
}

fn verify(tree: &Tree, data: &[u8]) {
    for (index, chunk) in (0..).map(ChunkIndex).zip(data.chunks(CHUNK_SIZE as usize)) {
        let proof = tree.proof(index).unwrap();
        verify_chunk(tree.root(), tree.size(), index, chunk, &proof).unwrap();
    }
}

/// The fastest of a few rounds, and what the last one made.
fn fastest<T>(mut work: impl FnMut() -> T) -> (Duration, T) {
    let mut once = || {
        let start = Instant::now();
        let made = black_box(work());
        (start.elapsed(), made)
    };
    (1..ROUNDS).fold(once(), |best, _| {
        let (time, made) = once();
        (best.0.min(time), made)
    })
}

fn report(what: &str, time: Duration) {
    println!(
        "{what:<24} {:>8.0} MB/s",
        BYTES as f64 / 1e6 / time.as_secs_f64()
    );
}

const BYTES: usize = 64 << 20;

const ROUNDS: usize = 5;
