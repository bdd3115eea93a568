//! Attachments and long bodies: sealed once, opened by many, refused if damaged.

use super::*;

/// An enclosure with random content, its content, and its chunks.
pub(super) fn enclosure(seed: u64, len: usize) -> (Enclosure, Vec<u8>, Vec<Bytes>) {
    let content = bytes(seed, len);
    let mut sealer = EnclosureSealer::new(ShareKey::new([seed as u8; 32]), len as u64).unwrap();
    let mut chunks = Vec::new();
    for piece in content.chunks(70_000) {
        sealer.push(piece, &mut chunks).unwrap();
    }
    let enclosure = sealer
        .finish("photo.jpg", "image/jpeg", &mut chunks)
        .unwrap();
    (enclosure, content, chunks)
}

fn open_all(enclosure: &Enclosure, chunks: &[Bytes]) -> Result<Vec<u8>, MailError> {
    enclosure
        .opener()
        .open_all(chunks.iter().map(|chunk| &chunk[..]))
}

#[test]
fn enclosures_are_sealed_once_for_all_and_show_a_rough_size_only() {
    for len in [
        0, 1, 65_499, 65_500, 65_501, 262_108, 262_109, 700_000, 1_500_000,
    ] {
        let (enclosure, content, chunks) = enclosure(7, len);
        let sealed: usize = chunks.iter().map(Bytes::len).sum();
        assert_eq!(enclosure.sealed_len().get(), sealed as u64, "{len}");
        assert_eq!(chunks.len() as u32, enclosure.opener().chunks());
        assert_eq!(
            enclosure.hash().0,
            *blake3::hash(&chunks.concat()).as_bytes()
        );
        assert_eq!(open_all(&enclosure, &chunks), Ok(content), "{len}");
    }
    let sizes: std::collections::BTreeSet<_> = (0..=MAX_ENCLOSURES_LEN)
        .step_by(5000)
        .chain([MAX_ENCLOSURES_LEN])
        .map(|len| padded_len(len).unwrap())
        .collect();
    assert_eq!(sizes.len(), 30);
    assert!(sizes.iter().all(|size| size % (CHUNK_SIZE / 4) == 0));
    assert_eq!(padded_len(MAX_ENCLOSURES_LEN + 1), None);
    let key = ShareKey::new([1; 32]);
    assert_eq!(
        EnclosureSealer::new(key.clone(), MAX_ENCLOSURES_LEN + 1).unwrap_err(),
        MailError::TooMany
    );
    let mut out = Vec::new();
    let mut sealer = EnclosureSealer::new(key.clone(), 2).unwrap();
    assert_eq!(sealer.push(b"abc", &mut out), Err(MailError::TooMany));
    let sealer = EnclosureSealer::new(key, 2).unwrap();
    let short = sealer.finish("", "", &mut out);
    assert_eq!(short.unwrap_err(), MailError::EnclosureCutOff);
}

#[test]
fn damaged_enclosures_are_refused() {
    let (enclosure, _, chunks) = enclosure(7, 1_000_000);
    assert_eq!(chunks.len(), 4, "a MiB");
    let mut moved = chunks.clone();
    moved.swap(1, 2);
    let broken = |chunks: &[Bytes]| open_all(&enclosure, chunks).unwrap_err();
    assert_eq!(
        broken(&moved),
        MailError::BrokenEnclosure(ShareError::Damaged(ChunkIndex(1)))
    );
    assert_eq!(broken(&chunks[..3]), MailError::EnclosureCutOff);
    let mut changed = chunks.clone();
    let mut last = changed[3].to_vec();
    last[5] ^= 1;
    changed[3] = last.into();
    assert_eq!(
        broken(&changed),
        MailError::BrokenEnclosure(ShareError::Damaged(ChunkIndex(3)))
    );
    let other = super::enclosures::enclosure(8, 1_000_000).2;
    assert_eq!(
        broken(&[&other[..1], &chunks[1..]].concat()),
        MailError::BrokenEnclosure(ShareError::WrongKey)
    );
    // A length that is shorter than what was sealed shows content where zeros must be.
    let lying = Enclosure::new(enclosure.hash(), enclosure.key().clone(), 999_999, "", "");
    assert_eq!(open_all(&lying, &chunks), Err(MailError::NotCanonical));
    assert_eq!(TAG_LEN, 16);
}

#[test]
fn a_long_body_goes_into_the_swarm() {
    let (alice, bob, carol) = (Person::new(1), Person::new(2), Person::new(3));
    let (body, content, chunks) = enclosure(9, 40_000);
    let mut long = letter(&alice, 1);
    long.body = Body::There(body);
    long.enclosures = vec![enclosure(10, 90_000).0];
    // One upload, an envelope for each.
    for (person, seed) in [(&bob, 1), (&carol, 2)] {
        let envelope = long
            .seal(&alice.device(), &person.recipient(NOW), entropy(seed))
            .unwrap();
        let message = person.open(&envelope, &alice).unwrap();
        let Body::There(found) = &message.letter().body else {
            panic!("the body is elsewhere");
        };
        assert_eq!(open_all(found, &chunks).unwrap(), content);
        assert_eq!(message.letter().enclosures[0].name(), "photo.jpg");
    }
    let named = Enclosure::new(
        long.enclosures[0].hash(),
        ShareKey::new([1; 32]),
        1,
        &"ä".repeat(200),
        "a/b",
    );
    assert_eq!(named.name().len(), 254);
    assert_eq!(named.media_type(), "a/b");
}
