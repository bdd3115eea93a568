//! Bytes: deposits, messages, and what is made of other bytes.

use bytes::{Bytes, BytesMut};
use proptest::prelude::*;

use super::*;
use crate::proto::custody::message::{MAX_IDS, MAX_MESSAGE, Message, MessageError};
use crate::proto::custody::tag::{TERMS_LEN, Tag};
use crate::proto::custody::{MessageId, Refusal};

fn real_mailbox() -> MailboxSecret {
    MailboxSecret::new([7; 32])
}

fn real_contact() -> Deposit {
    let pass = real_mailbox().pass(0, Week::of(UNIX));
    let expiry = Expiry::from_now(Lane::Contact, UNIX);
    Deposit::by_contact(&pass, expiry, envelope(1))
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn golden(start: &str, length: usize, message: Message) {
    let bytes = message.encode();
    let shown = hex(&bytes[..bytes.len().min(120)]);
    assert!(shown.starts_with(start), "{shown} {message:?}");
    assert_eq!(
        (bytes.len(), message.wire_len()),
        (length, length),
        "{message:?}"
    );
    let body = Message::length([bytes[0], bytes[1]]).unwrap();
    assert_eq!(body, bytes.len() - 2);
    assert_eq!(Message::decode(&bytes.slice(2..)), Ok(message));
}

/// The table of `docs/custody.md`.
#[test]
fn every_message_has_these_bytes() {
    let (id, tag) = (MessageId([0xab; 32]), Tag([0xcd; 32]));
    let (ab, cd) = ("ab".repeat(32), "cd".repeat(32));
    golden(
        &format!("0011 01 {}", "11".repeat(16)).replace(' ', ""),
        19,
        Message::Challenge([0x11; 16]),
    );
    golden("408a0201", 16_524, Message::Put(real_contact()));
    golden("40520202", 16_468, Message::Put(stranger(1, 4)));
    let expiry = Expiry(500_000);
    golden(
        &format!("006503{ab}0007a12055"),
        103,
        Message::Receipt(id, expiry, [0x55; 64]),
    );
    golden(
        &format!("002204{ab}06"),
        36,
        Message::Refused(id, Refusal::TooFast),
    );
    let terms = real_contact().header().terms().to_owned();
    let list = Message::List {
        terms,
        watch: true,
        signature: [0x55; 64],
    };
    golden(&format!("008705{}0155", hex(&terms.encode())), 137, list);
    let listing = Message::Listing {
        tag,
        more: false,
        ids: vec![id; 2],
    };
    golden(&format!("006206{cd}00{ab}{ab}"), 100, listing);
    golden(&format!("004107{cd}{ab}"), 67, Message::Get(tag, vec![id]));
    golden("408a0801", 16_524, Message::Letter(real_contact()));
    golden(&format!("002109{ab}"), 35, Message::Absent(id));
    let delete = Message::Delete(terms, vec![(id, [0x55; 64])]);
    golden(
        &format!("00a60a{}{ab}55", hex(&terms.encode())),
        168,
        delete,
    );
    golden(&format!("00210b{ab}"), 35, Message::Deleted(vec![id]));
    golden(&format!("00310c{ab}22"), 51, Message::Probe(id, [0x22; 16]));
    golden(&format!("00310d{ab}33"), 51, Message::Held(id, [0x33; 16]));
    golden(
        &format!("00610e{ab}55"),
        99,
        Message::Buried(id, [0x55; 64]),
    );
    golden(&format!("00410f{cd}{ab}"), 67, Message::New(tag, id));
    let pass = real_mailbox().pass(0, Week::of(UNIX));
    let expiry = real_contact().header().expiry();
    let blobs = vec![blob(2, 3 << 20), blob(1, 65_536)];
    let wish = Keep::by_contact(&pass, expiry, id, blobs).unwrap();
    let bytes = Message::Keep(wish.clone()).encode();
    let shown = format!("{ab}{}00010000{}00300000", "01".repeat(32), "02".repeat(32));
    assert!(hex(&bytes).ends_with(&shown));
    golden(
        &format!("00f21{}{}", 0, hex(&terms.encode())),
        244,
        Message::Keep(wish.clone()),
    );
    assert_eq!(hex(&wish.id().0), GOLDEN_KEEP);
}

#[test]
fn signatures_and_ids_are_as_documented() {
    let deposit = real_contact();
    let mut bytes = BytesMut::new();
    deposit.encode_into(&mut bytes);
    let header = &bytes[..TERMS_LEN + 4 + 64];
    let hash = blake3::hash(header);
    assert_eq!(
        [hex(&deposit.id().0), hash.to_string()],
        [GOLDEN_ID, GOLDEN_HEADER]
    );
}

/// In `docs/custody.md`.
const GOLDEN_ID: &str = "7fef6434289f637dbdbbb60c2e899d172fa45699a41cd0f39380cdcc7a3b48c4";
const GOLDEN_KEEP: &str = "053ce0583e7b6c67fc03041f8bb94b23a9b88c08eac8c770efc0084048d14921";
const GOLDEN_HEADER: &str = "770efbf9166724dae0c541bbdb3cca958180bd2de1abdccab56b069d4258259d";

#[test]
fn lengths_are_bounded_before_anything_is_read() {
    assert_eq!(Message::length([0, 0]), Err(MessageError::Length(0)));
    assert_eq!(
        Message::length([0xff, 0xff]),
        Err(MessageError::Length(65_535))
    );
    let longest = Message::Put(real_contact()).encode();
    assert_eq!(Message::length([longest[0], longest[1]]), Ok(MAX_MESSAGE));
    assert_eq!(Message::decode(&Bytes::new()), Err(MessageError::Length(0)));
    assert_eq!(
        Message::decode(&Bytes::from_static(&[77])),
        Err(MessageError::Tag(77))
    );
    let short = longest.slice(2..longest.len() - 1);
    assert_eq!(Message::decode(&short), Err(MessageError::Malformed(2)));
    let many = vec![MessageId([1; 32]); MAX_IDS + 1];
    let cut = Message::Deleted(many).encode();
    assert_eq!(cut.len(), 3 + 32 * MAX_IDS);
    let over = [&cut[2..], &[1; 32]].concat();
    assert_eq!(
        Message::decode(&over.into()),
        Err(MessageError::Malformed(11))
    );
}

#[test]
fn what_is_left_must_be_let_in_by_its_terms() {
    assert_eq!(real_contact().header().check(UNIX), Ok(()));
    assert_eq!(stranger(1, 4).header().check(UNIX), Ok(()));
    // A page whose clock is a day wrong, either way, takes and leaves what others do.
    for hours in [-24, 24] {
        assert_eq!(real_contact().header().check(in_hours(hours)), Ok(()));
        let pass = real_mailbox().pass(0, Week::of(in_hours(hours)));
        let expiry = Expiry::from_now(Lane::Contact, in_hours(hours));
        let deposit = Deposit::by_contact(&pass, expiry, envelope(1));
        assert_eq!(deposit.header().check(UNIX), Ok(()), "{hours}");
    }
    assert_eq!(
        real_contact().header().check(in_hours(30 * 24)),
        Err(Refusal::Expired)
    );
    assert_eq!(
        stranger(1, 4).header().check(in_hours(14 * 24)),
        Err(Refusal::Expired)
    );
    let pass = real_mailbox().pass(0, Week::of(UNIX));
    let long = Expiry::from_now(Lane::Contact, in_hours(8 * 24));
    let deposit = Deposit::by_contact(&pass, long, envelope(1));
    assert_eq!(deposit.header().check(UNIX), Err(Refusal::TooLong));
    let pass = real_mailbox().pass(0, Week::of(in_hours(15 * 24)));
    let deposit = Deposit::by_contact(&pass, Expiry::from_now(Lane::Contact, UNIX), envelope(1));
    assert_eq!(deposit.header().check(UNIX), Err(Refusal::TooLong));
}

#[test]
fn a_forged_writer_and_a_weak_stamp_are_told() {
    // Somebody else's pass, shown under this mailbox's terms.
    let mut bytes = BytesMut::new();
    real_contact().encode_into(&mut bytes);
    for at in [TERMS_LEN + 5, TERMS_LEN + 3, 200] {
        let mut forged = bytes.to_vec();
        forged[at] ^= 1;
        let forged = Deposit::decode(&forged.into()).unwrap();
        assert_eq!(
            forged.header().check(UNIX),
            Err(Refusal::BadSignature),
            "byte {at}"
        );
    }
    // Other terms are another mailbox, whose reader is never asked for it.
    let mut moved = bytes.to_vec();
    moved[6] ^= 1;
    let moved = Deposit::decode(&moved.into()).unwrap();
    assert_ne!(moved.header().tag(), real_contact().header().tag());
    assert_ne!(moved.id(), real_contact().id());
    let strong = stranger(3, 4);
    let weak = (0..)
        .map(|stamp| {
            let header = strong.header();
            Deposit::by_stranger(*header.terms(), header.expiry(), stamp, envelope(3))
        })
        .find(|deposit| deposit.header().strength() < 4);
    assert_eq!(weak.unwrap().header().check(UNIX), Err(Refusal::WeakStamp));
}

proptest! {
    #[test]
    fn what_is_read_has_one_spelling(bytes in prop::collection::vec(any::<u8>(), 0..300), tag in 0u8..18) {
        let mut bytes = bytes;
        if let Some(first) = bytes.first_mut() {
            *first = tag;
        }
        let bytes = Bytes::from(bytes);
        if let Ok(message) = Message::decode(&bytes) {
            // Codes of later versions are read as one, and sent by nobody.
            if !matches!(message, Message::Refused(_, Refusal::Other)) {
                prop_assert_eq!(&message.encode()[2..], &bytes[..]);
            }
            prop_assert_eq!(message.wire_len(), bytes.len() + 2);
        }
    }

    #[test]
    fn a_wish_has_one_spelling(at in any::<prop::sample::Index>(), bit in 0u8..8, sizes in prop::collection::vec(1u64..1 << 20, 1..18)) {
        let blobs: Vec<_> = sizes.iter().enumerate().map(|(n, size)| blob(n as u8, *size)).collect();
        let wish = keep(1, &blobs);
        prop_assert_eq!(Keep::decode(&wish.encode()), Some(wish.clone()));
        let mut bytes = wish.encode();
        let at = at.index(bytes.len());
        bytes[at] ^= 1 << bit;
        if let Some(other) = Keep::decode(&bytes) {
            prop_assert_eq!(other.encode(), bytes);
            prop_assert!(other != wish);
            prop_assert!(other.header().check(UNIX).is_err() || at < TERMS_LEN);
        }
    }

    #[test]
    fn a_deposit_has_one_spelling(at in any::<prop::sample::Index>(), bit in 0u8..8, by_stranger: bool) {
        let deposit = if by_stranger { stranger(5, 0) } else { contact(5) };
        let mut bytes = BytesMut::new();
        deposit.encode_into(&mut bytes);
        let mut bytes = bytes.to_vec();
        let at = at.index(bytes.len());
        bytes[at] ^= 1 << bit;
        if let Some(other) = Deposit::decode(&bytes.clone().into()) {
            let mut again = BytesMut::new();
            other.encode_into(&mut again);
            prop_assert_eq!(again, bytes);
            prop_assert!(other != deposit);
        }
    }
}
