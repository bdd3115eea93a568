#![allow(clippy::unwrap_used)]

use proptest::prelude::*;

use super::*;

fn key(seed: u8) -> ShareKey {
    ShareKey::new([seed; KEY_LEN])
}

fn header() -> ShareHeader {
    ShareHeader::new("holiday.jpg", "image/jpeg").unwrap()
}

fn content(len: usize) -> Vec<u8> {
    (0..len).map(|at| (at % 251) as u8).collect()
}

fn seal(key: &ShareKey, header: &ShareHeader, content: &[u8], step: usize) -> Vec<Bytes> {
    let mut sealer = Sealer::new(key, header);
    let mut chunks = Vec::new();
    for part in content.chunks(step) {
        sealer.push(part, &mut chunks).unwrap();
    }
    chunks.extend(sealer.finish());
    chunks
}

fn size_of(chunks: &[Bytes]) -> BlobSize {
    BlobSize::new(chunks.iter().map(|chunk| chunk.len() as u64).sum()).unwrap()
}

/// Opens everything and reads the content through the map, as a reader does.
fn open(key: &ShareKey, chunks: &[Bytes]) -> Result<(ShareHeader, Vec<u8>), ShareError> {
    let size = size_of(chunks);
    let opener = Opener::new(key, size);
    let (header, header_len) = Opener::header(&opener.open_chunk(ChunkIndex(0), &chunks[0])?)?;
    let map = ContentMap::sealed(size, header_len)?;
    let mut content = Vec::new();
    for piece in map.pieces(0..u64::MAX) {
        let plain = opener.open_chunk(piece.index, &chunks[piece.index.0 as usize])?;
        content.extend_from_slice(&plain[piece.range]);
    }
    assert_eq!(content.len() as u64, map.content_size());
    Ok((header, content))
}

fn header_len() -> usize {
    let mut encoded = Vec::new();
    header().encode_to(&mut encoded);
    encoded.len()
}

#[test]
fn every_boundary_survives() {
    let first = PLAIN_CHUNK - header_len();
    for len in [
        0,
        1,
        first - 1,
        first,
        first + 1,
        first + PLAIN_CHUNK,
        first + PLAIN_CHUNK + 1,
    ] {
        let content = content(len);
        let chunks = seal(&key(1), &header(), &content, 100_000);
        let (last, whole) = chunks.split_last().unwrap();
        assert!(whole.iter().all(|chunk| chunk.len() as u64 == CHUNK_SIZE));
        assert!(last.len() > TAG_LEN && last.len() as u64 <= CHUNK_SIZE);
        assert_eq!(chunks.len(), (header_len() + len).div_ceil(PLAIN_CHUNK));
        assert_eq!(
            open(&key(1), &chunks).unwrap(),
            (header(), content),
            "{len} bytes"
        );
    }
}

#[test]
fn another_key_is_named() {
    let chunks = seal(&key(1), &header(), &content(600_000), 9999);
    assert_eq!(open(&key(2), &chunks), Err(ShareError::WrongKey));
    let opener = Opener::new(&key(2), size_of(&chunks));
    let verdict = opener.open_chunk(ChunkIndex(1), &chunks[1]);
    assert_eq!(verdict, Err(ShareError::Damaged(ChunkIndex(1))));
}

#[test]
fn chunks_open_in_their_place_only() {
    let chunks = seal(&key(1), &header(), &content(3 * PLAIN_CHUNK), 1 << 20);
    assert_eq!(chunks.len(), 4);
    let opener = Opener::new(&key(1), size_of(&chunks));
    let verdict = opener.open_chunk(ChunkIndex(1), &chunks[2]);
    assert_eq!(verdict, Err(ShareError::Damaged(ChunkIndex(1))));
    assert_eq!(
        opener.open_chunk(ChunkIndex(0), &chunks[1]),
        Err(ShareError::WrongKey)
    );
    // Cut off after a whole chunk: the new end was not sealed as the last.
    let cut = Opener::new(&key(1), size_of(&chunks[..2]));
    let verdict = cut.open_chunk(ChunkIndex(1), &chunks[1]);
    assert_eq!(verdict, Err(ShareError::Damaged(ChunkIndex(1))));
    // A chunk that was the last, with something after it.
    let longer = [&chunks[..], &chunks[3..]].concat();
    let longer = Opener::new(&key(1), size_of(&longer));
    let verdict = longer.open_chunk(ChunkIndex(3), &chunks[3]);
    assert_eq!(verdict, Err(ShareError::ChunkLength(ChunkIndex(3))));
}

#[test]
fn lengths_that_no_share_has_are_refused() {
    for len in [0, 1, TAG_LEN] {
        let opener = Opener::new(&key(1), BlobSize::new(len as u64).unwrap());
        let verdict = opener.open_chunk(ChunkIndex(0), &vec![0; len]);
        assert_eq!(verdict, Err(ShareError::ChunkLength(ChunkIndex(0))));
    }
    let opener = Opener::new(&key(1), BlobSize::new(100).unwrap());
    let verdict = opener.open_chunk(ChunkIndex(0), &[0; 99]);
    assert_eq!(verdict, Err(ShareError::ChunkLength(ChunkIndex(0))));
    let verdict = opener.open_chunk(ChunkIndex(1), &[0; 100]);
    assert_eq!(verdict, Err(ShareError::ChunkLength(ChunkIndex(1))));
}

#[test]
fn sealer_stops_at_the_largest_blob() {
    let mut sealer = Sealer::new(&key(1), &header());
    let mut out = Vec::new();
    sealer
        .push(&content(PLAIN_CHUNK - header_len()), &mut out)
        .unwrap();
    sealer.sealed_bytes = MAX_BLOB_SIZE - CHUNK_SIZE;
    assert_eq!(sealer.push(&[1], &mut out), Err(ShareError::TooLarge));
    assert!(out.is_empty());
    assert_eq!(sealer.finish()[0].len() as u64, CHUNK_SIZE);
}

#[test]
fn secrets_are_not_printed() {
    let key = ShareKey::new([0xab; KEY_LEN]);
    let sealer = Sealer::new(&key, &header());
    let opener = Opener::new(&key, BlobSize::new(100).unwrap());
    let printed = format!("{key:?} {sealer:?} {opener:?}");
    for secret in ["ab", "171", "holiday"] {
        assert!(!printed.to_lowercase().contains(secret), "{printed}");
    }
    assert_ne!(key, ShareKey::new([0xac; KEY_LEN]));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn any_file_survives_any_cutting(len in 0..3 * PLAIN_CHUNK, step in 1..2 * PLAIN_CHUNK, seed: u8) {
        let content = content(len);
        let chunks = seal(&key(seed), &header(), &content, step);
        prop_assert_eq!(&chunks, &seal(&key(seed), &header(), &content, usize::MAX));
        prop_assert_eq!(open(&key(seed), &chunks).unwrap(), (header(), content));
    }

    #[test]
    fn a_flipped_bit_is_refused(len in 0..2 * PLAIN_CHUNK, which: prop::sample::Index, at: prop::sample::Index) {
        let chunks = seal(&key(1), &header(), &content(len), usize::MAX);
        let index = which.index(chunks.len());
        let mut chunk = chunks[index].to_vec();
        let at = at.index(chunk.len());
        chunk[at] ^= 1;
        let index = ChunkIndex(index as u32);
        let verdict = Opener::new(&key(1), size_of(&chunks)).open_chunk(index, &chunk);
        let expected = if index.0 == 0 { ShareError::WrongKey } else { ShareError::Damaged(index) };
        prop_assert_eq!(verdict, Err(expected));
    }
}

proptest! {
    #[test]
    fn any_bytes_are_refused(seed: u8, bytes in prop::collection::vec(any::<u8>(), 0..300), index in 0..3u32) {
        let opener = Opener::new(&key(seed), BlobSize::new(bytes.len() as u64).unwrap());
        prop_assert!(opener.open_chunk(ChunkIndex(index), &bytes).is_err());
    }
}
