#![allow(clippy::unwrap_used)]

mod enclosures;
mod keys;
mod vectors;

use std::time::Instant;

use bytes::Bytes;
use ipld_core::ipld::Ipld;
use proptest::prelude::*;

use super::enclosure::{
    Enclosure, EnclosureSealer, MAX_ENCLOSURES, MAX_ENCLOSURES_LEN, padded_len,
};
use super::envelope::{Envelope, MAX_MESSAGE_LEN};
use super::kem::{Entropy, PublicKey};
use super::message::{Body, Fate, Letter, Message, MessageId, Receipt, Unverified};
use super::prekey::{KEPT_AFTER, Prekeys, RESTORED_WEEKS};
use super::record::{self, Draft, MAX_VALIDITY, MailRecord, Prekey, Recipient};
use super::seen::{MAX_AGE, Seen};
use super::*;
use crate::proto::cbor::Writer;
use crate::proto::identity::chain::Chain;
use crate::proto::identity::op::Act;
use crate::proto::identity::owner::Owner;
use crate::proto::identity::{Id, Key};
use crate::proto::keys::{RootSecret, SiteKey};
use crate::proto::random::Random;
use crate::proto::share::{ShareKey, TAG_LEN};
use crate::proto::types::{BlobHash, CHUNK_SIZE, ChunkIndex};

/// 2026-11-22, by the second.
const NOW: u64 = 1_795_305_600;
const DAY: u64 = 24 * 3600;
const WEEK: u64 = 7 * DAY;

/// Somebody with one device.
struct Person {
    root: RootSecret,
    chain: Chain,
    keys: Prekeys,
}

impl Person {
    fn new(seed: u8) -> Self {
        let root = RootSecret::new([seed; 32]);
        let owner = Owner::new(&root, 0);
        let mut chain = owner.begin();
        let device = Act::AddDevice(Key::from(root.device_key(0, 0).name()));
        owner.act(&mut chain, NOW - 9 * WEEK, device).unwrap();
        let mail = Act::SetMail(Some(Key::from(root.mail_key(0, 0).name())));
        owner.act(&mut chain, NOW - 9 * WEEK, mail).unwrap();
        let keys = Prekeys::new(&root.mailbox_secret(0, 0), NOW);
        Self { root, chain, keys }
    }

    fn id(&self) -> Id {
        self.chain.id()
    }

    fn device(&self) -> SiteKey {
        self.root.device_key(0, 0)
    }

    fn record(&mut self, now: u64) -> MailRecord {
        let (week, key) = self.keys.due(now).unwrap();
        self.keys.published(week, now);
        let says = says(self.id(), now, week, &key);
        MailRecord::sign(&self.root.mail_key(0, 0), says).unwrap()
    }

    fn recipient(&self, now: u64) -> Recipient {
        let week = Week::of(now);
        Recipient {
            id: self.id(),
            suite: Suite::X_WING,
            week,
            key: self.keys.secret(week).unwrap().public(),
        }
    }

    fn open(&self, envelope: &Envelope, sender: &Person) -> Result<Message, MailError> {
        envelope
            .open(self.id(), &self.keys, Suite::X_WING)?
            .verify(&sender.chain)
    }
}

fn says(id: Id, now: u64, week: Week, key: &PublicKey) -> Draft {
    Draft {
        id,
        issued: now,
        until: now + MAX_VALIDITY,
        keys: vec![Prekey {
            suite: Suite::X_WING,
            week,
            key: key.to_bytes(),
        }],
        custody: b"tags".to_vec(),
    }
}

fn letter(from: &Person, number: u8) -> Letter {
    Letter {
        from: from.id(),
        id: MessageId([number; 16]),
        thread: MessageId([1; 16]),
        sequence: number.into(),
        time_millis: NOW * 1000 + u64::from(number),
        body: Body::Here(b"Subject: Hello\r\n\r\nHow are you?\r\n".to_vec()),
        enclosures: Vec::new(),
        receipts: vec![Receipt {
            message: MessageId([9; 16]),
            fate: Fate::Delivered,
        }],
        notes: Vec::new(),
    }
}

fn entropy(seed: u8) -> Entropy {
    Entropy::new([seed; 64])
}

fn bytes(seed: u64, len: usize) -> Vec<u8> {
    let mut random = Random::new(seed);
    (0..len).map(|_| random.bits() as u8).collect()
}

#[test]
fn a_letter_arrives() {
    let (alice, mut bob) = (Person::new(1), Person::new(2));
    let record = bob.record(NOW);
    let to = record.recipient(&bob.chain, Suite::X_WING).unwrap();
    let sent = letter(&alice, 1);
    let envelope = sent.seal(&alice.device(), &to, entropy(3)).unwrap();
    assert_eq!(envelope.bytes().len(), ENVELOPE_LEN);
    let arrived = Envelope::parse(envelope.bytes().clone()).unwrap();
    assert_eq!((&arrived, arrived.week()), (&envelope, Week::of(NOW)));
    let message = bob.open(&arrived, &alice).unwrap();
    assert_eq!(message.letter(), &sent);
    assert_eq!((message.to(), message.suite()), (bob.id(), Suite::X_WING));
    assert_eq!(message.device(), Key::from(alice.device().name()));
    // The sender keeps one for the other devices.
    let own = sent
        .seal(&alice.device(), &alice.recipient(NOW), entropy(4))
        .unwrap();
    assert_eq!(alice.open(&own, &alice).unwrap().letter(), &sent);
}

#[test]
fn the_bytes_are_those_of_the_document() {
    let (alice, mut bob) = (Person::new(1), Person::new(2));
    let record = bob.record(NOW);
    let hash = |bytes: &[u8]| blake3::hash(bytes).to_hex().to_string();
    let envelope = letter(&alice, 1)
        .seal(&alice.device(), &bob.recipient(NOW), entropy(3))
        .unwrap();
    let found = [hash(record.bytes()), hash(envelope.bytes())];
    assert_eq!(found, GOLDEN);
    assert_eq!(envelope.bytes()[..7], [1, 0, 1, 0, 0, 0x0b, 0x98]);
    let value: Ipld = serde_ipld_dagcbor::from_slice(record.bytes()).unwrap();
    assert_eq!(serde_ipld_dagcbor::to_vec(&value).unwrap(), record.bytes());
}

/// In `docs/mail.md`.
const GOLDEN: [&str; 2] = [
    "a60ebae32a90f0c2a26a627044891d03612a17b8dc5754946ae11f2c40d12683",
    "cfedb318100b751a618b1792d116dbcdbd04c61f948400efc44e4505e7c933c6",
];

#[test]
fn every_refusal_has_a_code_of_its_own() {
    let broken = ShareError::WrongKey;
    let all = [
        MailError::WrongLength,
        MailError::Version(1),
        MailError::UnknownSuite(1),
        MailError::Downgraded,
        MailError::KeyDeleted,
        MailError::NoSuchKey,
        MailError::DoesNotOpen,
        MailError::WrongRecipient,
        MailError::Malformed,
        MailError::NotCanonical,
        MailError::UnknownDevice,
        MailError::Forged,
        MailError::OtherIdentity,
        MailError::Replayed,
        MailError::Expired,
        MailError::FromTheFuture,
        MailError::Full,
        MailError::TooLong,
        MailError::TooMany,
        MailError::BrokenEnclosure(broken),
        MailError::EnclosureCutOff,
        MailError::NotReady,
        MailError::UnknownRecipient,
        MailError::Closed,
        MailError::Blocked,
        MailError::Cancelled,
        MailError::OutboxFull,
        MailError::StateDamaged,
    ];
    let document = include_str!("../../../docs/mail.md");
    let codes: std::collections::BTreeSet<_> = all.iter().map(MailError::code).collect();
    assert_eq!(codes.len(), all.len());
    for code in codes {
        assert!(document.contains(&format!("`{code}`")), "{code}");
    }
}

/// Printed, not asserted: a loaded machine takes as long as it takes.
#[test]
fn sealing_and_opening_are_quick() {
    let (alice, bob) = (Person::new(1), Person::new(2));
    let (letter, to) = (letter(&alice, 1), bob.recipient(NOW));
    let started = Instant::now();
    let envelope = letter.seal(&alice.device(), &to, entropy(1)).unwrap();
    let sealed = started.elapsed();
    bob.open(&envelope, &alice).unwrap();
    println!(
        "sealed in {sealed:?}, opened in {:?}",
        started.elapsed() - sealed
    );
}

#[test]
fn nothing_of_the_sender_is_outside() {
    let (alice, carol, bob) = (Person::new(1), Person::new(3), Person::new(2));
    let to = bob.recipient(NOW);
    let [one, other] = [&alice, &carol].map(|person| {
        letter(person, 1)
            .seal(&person.device(), &to, entropy(5))
            .unwrap()
    });
    // Of equal randomness, all that is not encrypted is equal.
    let open = 7 + kem::ENCAPSULATED_LEN;
    assert_eq!(one.bytes()[..open], other.bytes()[..open]);
    for secret in [
        &alice.id().0[..],
        &alice.device().name().0,
        &bob.id().0,
        b"Hello",
        b"How are you?",
        &[1; 16],
    ] {
        let found = one
            .bytes()
            .windows(secret.len())
            .any(|found| found == secret);
        assert!(!found);
    }
    // Of fresh randomness, nothing is.
    let again = letter(&alice, 1)
        .seal(&alice.device(), &to, entropy(6))
        .unwrap();
    let same = one.bytes()[7..]
        .iter()
        .zip(&again.bytes()[7..])
        .filter(|(a, b)| a == b)
        .count();
    assert!(same < ENVELOPE_LEN / 100, "{same}");
}

#[test]
fn what_is_not_for_us_does_not_open() {
    let (alice, bob, carol) = (Person::new(1), Person::new(2), Person::new(3));
    let envelope = letter(&alice, 1)
        .seal(&alice.device(), &bob.recipient(NOW), entropy(1))
        .unwrap();
    assert_eq!(
        carol.open(&envelope, &alice).unwrap_err(),
        MailError::DoesNotOpen
    );
    // Bob's key under another name.
    let wrong = envelope.open(carol.id(), &bob.keys, Suite::X_WING);
    assert_eq!(wrong.unwrap_err(), MailError::DoesNotOpen);
    // Bob seals what Alice signed for him to Carol, as if she had written to her.
    let to = bob.recipient(NOW);
    let signed = letter(&alice, 1)
        .signed(&alice.device(), to.id, to.suite, to.week)
        .unwrap();
    let passed_on = seal_raw(&signed, &carol.recipient(NOW), 0);
    assert_eq!(
        carol.open(&passed_on, &alice).unwrap_err(),
        MailError::WrongRecipient
    );
}

/// Seals any bytes, as somebody would who does not run this program.
fn seal_raw(message: &[u8], to: &Recipient, padding: u8) -> Envelope {
    let mut plain = (message.len() as u16).to_be_bytes().to_vec();
    plain.extend_from_slice(message);
    plain.resize(MAX_MESSAGE_LEN + 2, padding);
    let [w0, w1, w2, w3] = to.week.0.to_be_bytes();
    let head = [1, 0, 1, w0, w1, w2, w3];
    let info = [&b"gyre mail envelope:"[..], &head, &to.id.0].concat();
    let (encapsulated, sealed) = to.key.seal(&info, &head, &plain, entropy(8));
    Envelope::parse([&head[..], &encapsulated, &sealed].concat().into()).unwrap()
}

#[test]
fn forged_senders_are_refused() {
    let (alice, bob, carol) = (Person::new(1), Person::new(2), Person::new(3));
    let to = bob.recipient(NOW);
    // Carol writes in Alice's name, with her own device.
    let forged = letter(&alice, 1)
        .seal(&carol.device(), &to, entropy(1))
        .unwrap();
    assert_eq!(
        bob.open(&forged, &alice).unwrap_err(),
        MailError::UnknownDevice
    );
    assert_eq!(
        bob.open(&forged, &carol).unwrap_err(),
        MailError::OtherIdentity
    );
    // And with Alice's, whose key she does not have.
    let mut signed = letter(&alice, 1)
        .signed(&alice.device(), to.id, to.suite, to.week)
        .unwrap();
    let last = signed.len() - 1;
    signed[last] ^= 1;
    let forged = seal_raw(&signed, &to, 0);
    assert_eq!(bob.open(&forged, &alice).unwrap_err(), MailError::Forged);
    // A device that was removed.
    let mut later = Person::new(1);
    let removed = Act::RemoveDevice(Key::from(alice.device().name()));
    Owner::new(&alice.root, 0)
        .act(&mut later.chain, NOW, removed)
        .unwrap();
    let honest = letter(&alice, 1)
        .seal(&alice.device(), &to, entropy(1))
        .unwrap();
    assert_eq!(
        bob.open(&honest, &later).unwrap_err(),
        MailError::UnknownDevice
    );
    assert!(bob.open(&honest, &alice).is_ok());
}

#[test]
fn cut_off_and_changed_envelopes_are_refused() {
    let (alice, bob) = (Person::new(1), Person::new(2));
    let to = bob.recipient(NOW);
    let envelope = letter(&alice, 1)
        .seal(&alice.device(), &to, entropy(1))
        .unwrap();
    let whole = envelope.bytes();
    for len in [0, 1, ENVELOPE_LEN - 1] {
        assert_eq!(
            Envelope::parse(whole.slice(..len)),
            Err(MailError::WrongLength)
        );
    }
    let longer = [&whole[..], &[0]].concat();
    assert_eq!(Envelope::parse(longer.into()), Err(MailError::WrongLength));
    let with = |at: usize, value: u8| {
        let mut bytes = whole.to_vec();
        bytes[at] = value;
        let envelope = Envelope::parse(bytes.into())?;
        bob.open(&envelope, &alice)
    };
    assert_eq!(with(0, 2).unwrap_err(), MailError::Version(2));
    assert_eq!(with(1, 1).unwrap_err(), MailError::UnknownSuite(0x101));
    // Another week: the key is another, or is none.
    assert_eq!(with(6, 0x97).unwrap_err(), MailError::DoesNotOpen);
    assert_eq!(with(5, 0).unwrap_err(), MailError::KeyDeleted);
    assert_eq!(with(3, 1).unwrap_err(), MailError::NoSuchKey);
    // Two blocks that changed places.
    let mut moved = whole.to_vec();
    moved[2000..4000].rotate_left(1000);
    let moved = Envelope::parse(moved.into()).unwrap();
    assert_eq!(
        bob.open(&moved, &alice).unwrap_err(),
        MailError::DoesNotOpen
    );
    // What an honest program does not write.
    let signed = letter(&alice, 1)
        .signed(&alice.device(), to.id, to.suite, to.week)
        .unwrap();
    let padded = seal_raw(&signed, &to, 7);
    assert_eq!(
        bob.open(&padded, &alice).unwrap_err(),
        MailError::NotCanonical
    );
    let cut = seal_raw(&signed[..signed.len() - 1], &to, 0);
    assert_eq!(bob.open(&cut, &alice).unwrap_err(), MailError::Malformed);
    let more = seal_raw(&[&signed[..], &[0]].concat(), &to, 0);
    assert_eq!(bob.open(&more, &alice).unwrap_err(), MailError::Malformed);
}

#[test]
fn a_weaker_suite_is_refused() {
    let (alice, mut bob) = (Person::new(1), Person::new(2));
    let to = bob.recipient(NOW);
    let envelope = letter(&alice, 1)
        .seal(&alice.device(), &to, entropy(1))
        .unwrap();
    // We have published keys for a stronger one only.
    let opened = envelope.open(bob.id(), &bob.keys, Suite(2));
    assert_eq!(opened.unwrap_err(), MailError::Downgraded);
    // The outside says another suite than the inside.
    let signed = letter(&alice, 1)
        .signed(&alice.device(), to.id, Suite(2), to.week)
        .unwrap();
    let lying = seal_raw(&signed, &to, 0);
    assert_eq!(bob.open(&lying, &alice).unwrap_err(), MailError::Downgraded);
    // A record without the suite that was used with this contact before.
    let record = bob.record(NOW);
    let weaker = record.recipient(&bob.chain, Suite(2));
    assert_eq!(weaker.unwrap_err(), MailError::Downgraded);
    // One with a stronger suite that we do not know, and ours.
    let mut says = record.says().clone();
    says.keys.insert(
        0,
        Prekey {
            suite: Suite(2),
            week: Week::of(NOW),
            key: vec![1; 32],
        },
    );
    let key = bob.root.mail_key(0, 0);
    let both = MailRecord::sign(&key, says.clone()).unwrap();
    let chosen = both.recipient(&bob.chain, Suite::X_WING).unwrap();
    assert_eq!(chosen, to);
    says.keys.remove(1);
    let newer = MailRecord::sign(&key, says.clone()).unwrap();
    let unknown = newer.recipient(&bob.chain, Suite::X_WING);
    assert_eq!(unknown.unwrap_err(), MailError::UnknownSuite(2));
    // Nobody but Bob can leave one out: the record is signed.
    let cut = MailRecord::sign(&alice.device(), says).unwrap();
    assert_eq!(
        cut.recipient(&bob.chain, Suite::X_WING).unwrap_err(),
        MailError::OtherIdentity
    );
}

#[test]
fn what_was_there_before_is_refused() {
    let (alice, bob, carol) = (Person::new(1), Person::new(2), Person::new(3));
    let to = bob.recipient(NOW);
    let message = |person: &Person, number: u8| {
        let envelope = letter(person, number)
            .seal(&person.device(), &to, entropy(number))
            .unwrap();
        bob.open(&envelope, person).unwrap()
    };
    let mut seen = Seen::new(4, 3);
    let first = message(&alice, 1);
    assert_eq!(seen.take(&first, NOW), Ok(()));
    assert_eq!(seen.take(&first, NOW), Err(MailError::Replayed));
    // Sealed once more, for a new week: the same message.
    assert_eq!(
        seen.take(&message(&alice, 1), NOW + WEEK),
        Err(MailError::Replayed)
    );
    // Carol cannot make Bob miss one by using its number.
    assert_eq!(seen.take(&message(&carol, 1), NOW), Ok(()));
    assert_eq!(
        seen.take(&message(&alice, 2), NOW - MAX_AHEAD - 2),
        Err(MailError::FromTheFuture)
    );
    // A clock that is a day off.
    assert_eq!(seen.take(&message(&alice, 2), NOW - DAY), Ok(()));
    assert_eq!(seen.take(&message(&alice, 3), NOW + DAY), Ok(()));
    assert_eq!(seen.take(&message(&alice, 4), NOW), Err(MailError::Full));
    assert_eq!(seen.take(&message(&carol, 4), NOW), Err(MailError::Full));
    // Nothing is forgotten before it would be refused as too old.
    seen.sweep(NOW + MAX_AGE);
    assert_eq!(seen.len(), 4);
    assert_eq!(seen.take(&first, NOW + MAX_AGE), Err(MailError::Replayed));
    assert_eq!(
        seen.take(&first, NOW + MAX_AGE + 1),
        Err(MailError::Expired)
    );
    let mut restored = Seen::new(4, 3);
    for (from, id, written) in seen.iter() {
        restored.restore(from, id, written);
    }
    assert_eq!(restored.take(&first, NOW), Err(MailError::Replayed));
    seen.sweep(NOW + MAX_AGE + 1);
    assert!(seen.is_empty());
}

#[test]
fn another_order_of_arrival_is_put_right() {
    let (alice, bob) = (Person::new(1), Person::new(2));
    let to = bob.recipient(NOW);
    let mut messages: Vec<_> = [3, 1, 4, 2]
        .map(|number| {
            let envelope = letter(&alice, number)
                .seal(&alice.device(), &to, entropy(number))
                .unwrap();
            bob.open(&envelope, &alice).unwrap()
        })
        .into();
    messages.sort_by_key(Message::order);
    let order: Vec<_> = messages.iter().map(|m| m.letter().sequence).collect();
    assert_eq!(order, [1, 2, 3, 4]);
}

#[test]
fn a_letter_is_as_long_as_it_is_and_no_longer() {
    let (alice, bob) = (Person::new(1), Person::new(2));
    let to = bob.recipient(NOW);
    let mut full = letter(&alice, 1);
    full.receipts.clear();
    let frame = full
        .signed(&alice.device(), to.id, to.suite, to.week)
        .unwrap()
        .len()
        - 32;
    // The length of a longer body takes a byte more.
    let most = MAX_MESSAGE_LEN - frame - 1;
    full.body = Body::Here(bytes(1, most));
    let envelope = full.seal(&alice.device(), &to, entropy(1)).unwrap();
    assert_eq!(bob.open(&envelope, &alice).unwrap().letter(), &full);
    assert!(most > 14_900, "{most}");
    full.body = Body::Here(bytes(1, most + 1));
    assert_eq!(
        full.seal(&alice.device(), &to, entropy(1)).unwrap_err(),
        MailError::TooLong
    );
    let mut many = letter(&alice, 1);
    many.enclosures = vec![enclosures::enclosure(1, 10).0; MAX_ENCLOSURES + 1];
    assert_eq!(
        many.seal(&alice.device(), &to, entropy(1)).unwrap_err(),
        MailError::TooMany
    );
    many.enclosures.truncate(MAX_ENCLOSURES);
    let envelope = many.seal(&alice.device(), &to, entropy(1)).unwrap();
    assert_eq!(bob.open(&envelope, &alice).unwrap().letter(), &many);
    many.receipts = vec![many.receipts[0]; 101];
    assert_eq!(
        many.seal(&alice.device(), &to, entropy(1)).unwrap_err(),
        MailError::TooMany
    );
}

proptest! {
    // Each case signs, seals and opens, unoptimised.
    #![proptest_config(ProptestConfig::with_cases(8))]

    #[test]
    fn any_letter_comes_back(body in prop::collection::vec(any::<u8>(), 0..14_000), id in any::<[u8; 16]>(), sequence in any::<u64>(), seed in any::<u8>()) {
        let (alice, bob) = (Person::new(1), Person::new(2));
        let mut sent = letter(&alice, 1);
        sent.body = Body::Here(body);
        sent.id = MessageId(id);
        sent.sequence = sequence;
        let envelope = sent.seal(&alice.device(), &bob.recipient(NOW), entropy(seed)).unwrap();
        prop_assert_eq!(envelope.bytes().len(), ENVELOPE_LEN);
        let message = bob.open(&envelope, &alice).unwrap();
        prop_assert_eq!(message.letter(), &sent);
    }

    #[test]
    fn a_flipped_bit_is_refused(at in 0..ENVELOPE_LEN, bit in 0u8..8) {
        let (alice, bob) = (Person::new(1), Person::new(2));
        let envelope = letter(&alice, 1).seal(&alice.device(), &bob.recipient(NOW), entropy(1)).unwrap();
        let mut bytes = envelope.bytes().to_vec();
        bytes[at] ^= 1 << bit;
        let opened = Envelope::parse(bytes.into()).and_then(|envelope| bob.open(&envelope, &alice));
        prop_assert!(opened.is_err());
    }

    #[test]
    fn a_record_with_a_flipped_bit_is_refused(at in any::<prop::sample::Index>(), bit in 0u8..8) {
        let record = Person::new(2).record(NOW);
        let mut bytes = record.bytes().to_vec();
        let at = at.index(bytes.len());
        bytes[at] ^= 1 << bit;
        prop_assert!(MailRecord::verify(record.key(), &bytes).is_err());
    }

    #[test]
    fn any_bytes_are_looked_at_without_panic(bytes in prop::collection::vec(any::<u8>(), 0..400)) {
        prop_assert!(MailRecord::verify(Key([3; 32]), &bytes).is_err());
        let framed = [&[0x82, 0x86, 1][..], &bytes].concat();
        prop_assert!(MailRecord::verify(Key([3; 32]), &framed).is_err());
        let _ = Prekeys::parse(&bytes);
        prop_assert!(Unverified::read(&bytes).is_err());
        let mut message = Writer::default();
        message.array(2);
        message.array(14);
        message.uint(1);
        (0..3).for_each(|_| message.bytes(&[7; 32]));
        message.0.extend_from_slice(&bytes);
        prop_assert!(Unverified::read(&message.0).is_err());
    }

    #[test]
    fn a_changed_message_is_looked_at_without_panic(at in any::<prop::sample::Index>(), value in any::<u8>(), cut in any::<prop::sample::Index>()) {
        let mut sent = letter(&Person::new(1), 1);
        sent.enclosures = vec![Enclosure::new(BlobHash([1; 32]), ShareKey::new([2; 32]), 3, "a", "b/c")];
        let whole = sent.signed(&SiteKey::from_seed([1; 32]), Id([2; 32]), Suite::X_WING, Week(3)).unwrap();
        prop_assert!(Unverified::read(&whole).is_ok());
        let mut changed = whole.clone();
        let at = at.index(whole.len());
        changed[at] = value;
        let _ = Unverified::read(&changed);
        prop_assert!(Unverified::read(&whole[..cut.index(whole.len())]).is_err());
    }
}
