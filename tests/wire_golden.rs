//! The bytes of every message, as docs/protocol.md has them, and what the decoder makes of other bytes.
#![cfg(not(target_arch = "wasm32"))]
#![allow(clippy::unwrap_used)]

use bytes::Bytes;
use gyre::proto::bitfield::{Bitfield, BitfieldError};
use gyre::proto::message::{
    Decoder, MAX_BODY, MAX_CHUNKS, MAX_HAVES, MAX_PROOF, MAX_UNKNOWN, Message, MessageError,
    RejectReason,
};
use gyre::proto::tail::{Tail, proof_len};
use gyre::proto::types::{BlobHash, BlobSize, CHUNK_SIZE, ChunkIndex, MAX_BLOB_SIZE};
use proptest::prelude::*;

fn hex(text: &str) -> Vec<u8> {
    let digits: Vec<u8> = text
        .bytes()
        .filter(|byte| !byte.is_ascii_whitespace())
        .collect();
    digits
        .chunks(2)
        .map(|pair| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap())
        .collect()
}

fn size(bytes: u64) -> BlobSize {
    BlobSize::new(bytes).unwrap()
}

fn decode(bytes: &[u8]) -> Result<Vec<Message>, MessageError> {
    let mut decoder = Decoder::new();
    decoder.push(bytes);
    let mut messages = Vec::new();
    while let Some(message) = decoder.next()? {
        messages.push(message);
    }
    Ok(messages)
}

fn golden(text: &str, message: Message) {
    let bytes = hex(text);
    assert_eq!(message.encode(), bytes, "{message:?}");
    assert_eq!(message.wire_len(), bytes.len());
    let (head, data) = message.encode_parts();
    assert_eq!([head, data].concat(), bytes);
    assert_eq!(decode(&bytes), Ok(vec![message]));
}

#[test]
fn every_message_has_these_bytes() {
    let blob = BlobHash([0xab; 32]);
    let digest = "abababababababababababababababababababababababababababababababab";
    let hello = |size| Message::Hello {
        version: 1,
        blob,
        size,
        credit: 4_194_304,
    };
    golden(
        &format!("0000002f 01 0001 {digest} 0000000000100001 00400000"),
        hello(Some(size(0x10_0001))),
    );
    golden(
        &format!("0000002f 01 0001 {digest} ffffffffffffffff 00400000"),
        hello(None),
    );
    let mut bits = Bitfield::new(9);
    assert!([0, 7, 8].into_iter().all(|index| bits.insert(index)));
    golden(
        "0000000b 02 0000000000200001 8180",
        Message::Bitfield {
            size: size(0x20_0001),
            bits,
        },
    );
    golden(
        "00000009 03 0000000000200001",
        Message::HaveAll {
            size: size(0x20_0001),
        },
    );
    golden(
        "00000009 04 00000003 003fffff",
        Message::Have {
            indexes: vec![ChunkIndex(3), ChunkIndex(0x3f_ffff)],
        },
    );
    golden(
        "00000005 05 00000102",
        Message::Request {
            index: ChunkIndex(258),
        },
    );
    let proof = Bytes::from(vec![0x11; 32]);
    let chunk = Message::Chunk {
        index: ChunkIndex(1),
        proof,
        data: Bytes::from_static(b"gyre"),
    };
    golden(
        &format!("0000002b 06 00000001 0020 {} 67797265", "11".repeat(32)),
        chunk,
    );
    let empty = Message::Chunk {
        index: ChunkIndex(0),
        proof: Bytes::new(),
        data: Bytes::new(),
    };
    golden("00000007 06 00000000 0000", empty);
    golden(
        "00000005 07 00000102",
        Message::Cancel {
            index: ChunkIndex(258),
        },
    );
    golden("00000005 08 00100000", Message::Credit { bytes: 1 << 20 });
    let reject = |reason| Message::Reject {
        index: ChunkIndex(2),
        reason,
    };
    golden("00000006 09 00000002 00", reject(RejectReason::NotStored));
    golden("00000006 09 00000002 01", reject(RejectReason::NotServing));
    golden(
        "00000005 0a 00000102",
        Message::Suggest {
            index: ChunkIndex(258),
        },
    );
    golden("00000001 0b", Message::Choke);
    golden("00000001 0c", Message::Unchoke);
    golden("00000001 0d", Message::Interested);
    golden("00000001 0e", Message::NotInterested);
    let tail = Tail {
        size: size(2049),
        proof: vec![0x11; 32].into(),
        leaf: Bytes::from_static(b"!"),
    };
    golden(
        &format!("0000002a 0f 0000000000000801 {} 21", "11".repeat(32)),
        Message::Tail(tail),
    );
}

#[test]
fn what_a_later_revision_adds_is_skipped() {
    let unknown = hex("00000004 7f 010203");
    let reason = hex("00000006 09 00000002 63");
    let request = Message::Request {
        index: ChunkIndex(1),
    };
    let bytes = [unknown, request.encode().to_vec(), reason].concat();
    let reject = Message::Reject {
        index: ChunkIndex(2),
        reason: RejectReason::NotStored,
    };
    assert_eq!(decode(&bytes), Ok(vec![request, reject]));
}

#[test]
fn malformed_messages_are_refused() {
    let cases = [
        ("00000000", MessageError::Empty),
        (
            "00000002 0b 00",
            MessageError::TooLong {
                tag: 11,
                length: 2,
                limit: 1,
            },
        ),
        (
            "00000006 05 0000000100",
            MessageError::TooLong {
                tag: 5,
                length: 6,
                limit: 5,
            },
        ),
        ("00000004 05 000001", MessageError::Length { tag: 5 }),
        ("00000005 05 00400000", MessageError::Index(MAX_CHUNKS)),
        ("00000001 04", MessageError::Length { tag: 4 }),
        ("00000006 04 00000001 00", MessageError::Length { tag: 4 }),
        (
            "00000009 03 0000010000000001",
            MessageError::Size(MAX_BLOB_SIZE + 1),
        ),
        (
            "0000000a 02 0000000000200001 81",
            BitfieldError::Length {
                chunks: 9,
                bytes: 1,
            }
            .into(),
        ),
        (
            "0000000b 02 0000000000200001 81c0",
            BitfieldError::SpareBits.into(),
        ),
        (
            "00000027 06 00000001 001f 0000000000000000000000000000000000000000000000000000000000000000",
            MessageError::Proof(31),
        ),
        ("00000007 06 00000001 0020", MessageError::Length { tag: 6 }),
        ("00000007 06 00000001 ffff", MessageError::Proof(0xffff)),
        (
            "00001001 7f",
            MessageError::TooLong {
                tag: 0x7f,
                length: 4097,
                limit: MAX_UNKNOWN,
            },
        ),
        (
            "ffffffff 06",
            MessageError::TooLong {
                tag: 6,
                length: u32::MAX as usize,
                limit: 7 + MAX_PROOF + 262_144,
            },
        ),
    ];
    for (text, error) in cases {
        assert_eq!(decode(&hex(text)), Err(error), "{text}");
    }
}

#[test]
fn an_oversized_chunk_is_refused_even_if_a_proof_would_have_fitted() {
    let chunk = Message::Chunk {
        index: ChunkIndex(0),
        proof: Bytes::new(),
        data: vec![0; CHUNK_SIZE as usize + 1].into(),
    };
    assert_eq!(
        decode(&chunk.encode()),
        Err(MessageError::Length { tag: 6 })
    );
}

#[test]
fn the_largest_messages_pass() {
    let largest = size(MAX_BLOB_SIZE);
    let bitfield = Message::Bitfield {
        size: largest,
        bits: Bitfield::full(MAX_CHUNKS),
    };
    assert_eq!(bitfield.wire_len(), 4 + MAX_BODY);
    let have = Message::Have {
        indexes: (0..MAX_HAVES as u32).map(ChunkIndex).collect(),
    };
    let (proof, data) = (
        vec![1; MAX_PROOF].into(),
        vec![2; CHUNK_SIZE as usize].into(),
    );
    let chunk = Message::Chunk {
        index: ChunkIndex(MAX_CHUNKS - 1),
        proof,
        data,
    };
    for message in [bitfield, have, chunk] {
        assert_eq!(decode(&message.encode()), Ok(vec![message]));
    }
}

#[test]
fn after_an_error_nothing_more_is_read() {
    let mut decoder = Decoder::new();
    decoder.push(&[0; 4]);
    assert_eq!(decoder.next(), Err(MessageError::Empty));
    decoder.push(&Message::Credit { bytes: 1 }.encode());
    assert_eq!(decoder.next(), Err(MessageError::Empty));
}

fn message() -> impl Strategy<Value = Message> {
    let index = || (0..MAX_CHUNKS).prop_map(ChunkIndex);
    let any_size = || (0..=MAX_BLOB_SIZE).prop_map(size);
    let bitfield = prop::collection::vec(any::<bool>(), 1..300).prop_map(|set| {
        let mut bits = Bitfield::new(set.len() as u32);
        (0..)
            .zip(&set)
            .filter(|(_, set)| **set)
            .for_each(|(index, _)| {
                bits.insert(index);
            });
        Message::Bitfield {
            size: size(set.len() as u64 * CHUNK_SIZE),
            bits,
        }
    });
    let chunk = (
        index(),
        0..=22usize,
        prop::collection::vec(any::<u8>(), 0..3000),
    )
        .prop_map(|(index, levels, data)| Message::Chunk {
            index,
            proof: vec![7; levels * 32].into(),
            data: data.into(),
        });
    prop_oneof![
        (
            any::<u16>(),
            any::<[u8; 32]>(),
            prop::option::of(any_size()),
            any::<u32>()
        )
            .prop_map(|(version, blob, size, credit)| Message::Hello {
                version,
                blob: BlobHash(blob),
                size,
                credit
            }),
        bitfield,
        any_size().prop_map(|size| Message::HaveAll { size }),
        prop::collection::vec(index(), 1..50).prop_map(|indexes| Message::Have { indexes }),
        index().prop_map(|index| Message::Request { index }),
        chunk,
        index().prop_map(|index| Message::Cancel { index }),
        any::<u32>().prop_map(|bytes| Message::Credit { bytes }),
        (
            index(),
            prop_oneof![
                Just(RejectReason::NotStored),
                Just(RejectReason::NotServing)
            ]
        )
            .prop_map(|(index, reason)| Message::Reject { index, reason }),
        index().prop_map(|index| Message::Suggest { index }),
        Just(Message::Choke),
        Just(Message::Unchoke),
        Just(Message::Interested),
        Just(Message::NotInterested),
        (
            0..1_000_000u64,
            prop::collection::vec(any::<u8>(), 0..=1024)
        )
            .prop_map(|(bytes, leaf)| {
                Message::Tail(Tail {
                    size: size(bytes),
                    proof: vec![3; proof_len(bytes)].into(),
                    leaf: leaf.into(),
                })
            }),
    ]
}

proptest! {
    #[test]
    fn what_is_encoded_is_decoded_however_it_is_split(
        messages in prop::collection::vec(message(), 0..12), cuts in prop::collection::vec(1usize..2000, 1..50),
    ) {
        let bytes: Vec<u8> = messages.iter().flat_map(|message| message.encode()).collect();
        let (mut decoder, mut decoded, mut rest) = (Decoder::new(), Vec::new(), &bytes[..]);
        for cut in cuts.iter().cycle() {
            if rest.is_empty() {
                break;
            }
            let (piece, later) = rest.split_at((*cut).min(rest.len()));
            decoder.push(piece);
            while let Some(message) = decoder.next().unwrap() {
                decoded.push(message);
            }
            rest = later;
        }
        prop_assert_eq!(decoded, messages);
    }

    /// Garbage never panics, and whatever is read from it is a message with the same bytes.
    #[test]
    fn garbage_is_refused_or_is_a_message(mut bytes in prop::collection::vec(any::<u8>(), 0..200), tag in 0u8..16) {
        if bytes.len() > 5 {
            // Most random lengths are refused at once: let half of the cases get further.
            if bytes[5] & 1 == 0 {
                let length = (bytes.len() - 4) as u32;
                bytes[..4].copy_from_slice(&length.to_be_bytes());
                bytes[4] = tag;
            }
        }
        if let Ok(messages) = decode(&bytes) {
            for message in messages {
                prop_assert_eq!(decode(&message.encode()), Ok(vec![message]));
            }
        }
    }

    #[test]
    fn a_flipped_bit_never_panics(message in message(), at in any::<prop::sample::Index>(), bit in 0u8..8) {
        let mut bytes = message.encode().to_vec();
        let at = at.index(bytes.len());
        bytes[at] ^= 1u8 << bit;
        if let Ok(messages) = decode(&bytes) {
            prop_assert!(messages.len() <= bytes.len() / 5 + 1);
        }
    }
}
