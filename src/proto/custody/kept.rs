//! What a custodian keeps, as it is stored: one record for each message, tombstone and wish that blobs be kept, whatever the store.
//!
//! The heads of all records are read when a node starts, a body only when it is asked for. `docs/custody.md` has the bytes.

use bytes::{Bytes, BytesMut};

use super::MessageId;
use super::custodian::Tombstone;
use super::deposit::{Deposit, Header};
use super::keep::Keep;
use super::tag::Tag;

/// Where a record is found.
pub type Key = [u8; 32];

/// One record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Record {
    /// Where it is found.
    pub key: Key,
    /// What it is.
    pub head: Bytes,
    /// The whole message; nothing of anything else.
    pub body: Bytes,
}

/// What the heads of a store say.
#[derive(Debug, Default)]
pub struct Contents {
    /// Messages.
    pub headers: Vec<Header>,
    /// Tombstones.
    pub tombs: Vec<Tombstone>,
    /// What is kept with messages.
    pub keeps: Vec<Keep>,
    /// Where something stands that is none of these.
    pub unknown: Vec<Key>,
}

impl Record {
    /// Of a message: found under its id.
    pub fn of_message(deposit: &Deposit) -> Self {
        let mut body = BytesMut::with_capacity(deposit.encoded_len());
        deposit.encode_into(&mut body);
        Self {
            key: deposit.id().0,
            head: [&[MESSAGE][..], &deposit.header().encode()].concat().into(),
            body: body.freeze(),
        }
    }

    /// Of a tombstone.
    pub fn of_tombstone(tomb: &Tombstone) -> Self {
        Self {
            key: of_tombstone(tomb.tag, tomb.id),
            head: [&[TOMBSTONE][..], &tomb.encode()].concat().into(),
            body: Bytes::new(),
        }
    }

    /// Of a wish: found under its id.
    pub fn of_keep(keep: &Keep) -> Self {
        Self {
            key: keep.id().0,
            head: [&[KEEP][..], &keep.encode()].concat().into(),
            body: Bytes::new(),
        }
    }
}

impl Contents {
    /// Reads heads; an unknown kind or damaged bytes are no error, but to be removed.
    pub fn read(heads: impl IntoIterator<Item = (Key, Bytes)>) -> Self {
        let mut contents = Self::default();
        for (key, head) in heads {
            let known = match head.split_first() {
                Some((&MESSAGE, head)) => Header::of_kept(MessageId(key), head)
                    .map(|header| contents.headers.push(header)),
                Some((&TOMBSTONE, head)) => Tombstone::decode(head)
                    .filter(|tomb| of_tombstone(tomb.tag, tomb.id) == key)
                    .map(|tomb| contents.tombs.push(tomb)),
                Some((&KEEP, head)) => Keep::decode(head)
                    .filter(|keep| keep.id().0 == key)
                    .map(|keep| contents.keeps.push(keep)),
                _ => None,
            };
            if known.is_none() {
                contents.unknown.push(key);
            }
        }
        contents
    }
}

/// Where the tombstone of a message under a tag is found.
pub fn of_tombstone(tag: Tag, id: MessageId) -> Key {
    let mut material = [0; 64];
    material[..32].copy_from_slice(&tag.0);
    material[32..].copy_from_slice(&id.0);
    blake3::derive_key(TOMBSTONE_CONTEXT, &material)
}

const MESSAGE: u8 = 1;
const TOMBSTONE: u8 = 2;
const KEEP: u8 = 3;

const TOMBSTONE_CONTEXT: &str = "gyre 2026-11-23 where a tombstone is stored";

#[cfg(all(test, not(target_arch = "wasm32")))]
mod tests {
    #![allow(clippy::unwrap_used)]
    use proptest::prelude::*;

    use super::super::deposit::Expiry;
    use super::super::message::sign_delete;
    use super::super::tag::{MailboxSecret, Week};
    use super::super::{ENVELOPE_LEN, HOUR};
    use super::*;
    use crate::proto::custody::keep::Blob;
    use crate::proto::types::BlobHash;

    fn deposits() -> [Deposit; 2] {
        let (mailbox, week) = (MailboxSecret::new([7; 32]), Week(2976));
        let end = Expiry(u32::try_from(week.end() / HOUR).unwrap());
        let envelope = Bytes::from(vec![0x5a; ENVELOPE_LEN]);
        let terms = mailbox.strangers(22, week).terms;
        [
            Deposit::by_contact(&mailbox.pass(0, week), end, envelope.clone()),
            Deposit::by_stranger(terms, end, 77, envelope),
        ]
    }

    fn tombstone(deposit: &Deposit) -> Tombstone {
        let signer = MailboxSecret::new([7; 32]).contacts(0, Week(2976)).signer;
        let (tag, id) = (deposit.header().tag(), deposit.id());
        Tombstone {
            tag,
            id,
            signature: sign_delete(&signer, tag, id),
            until: Expiry(500_000),
        }
    }

    #[test]
    fn what_is_stored_is_read_again() {
        let deposits = deposits();
        let tomb = tombstone(&deposits[0]);
        let records = deposits.iter().map(Record::of_message);
        let pass = MailboxSecret::new([7; 32]).pass(0, Week(2976));
        let blob = Blob {
            hash: BlobHash([1; 32]),
            size: 65_536,
        };
        let end = deposits[0].header().expiry();
        let keep = Keep::by_contact(&pass, end, deposits[0].id(), vec![blob]).unwrap();
        let others = [Record::of_tombstone(&tomb), Record::of_keep(&keep)];
        let records: Vec<_> = records.chain(others).collect();
        let heads = records.iter().map(|one| (one.key, one.head.clone()));
        let contents = Contents::read(heads);
        let headers: Vec<_> = deposits.iter().map(|one| *one.header()).collect();
        assert_eq!(contents.headers, headers);
        assert_eq!((contents.tombs, contents.unknown), (vec![tomb], vec![]));
        assert_eq!(contents.keeps, std::slice::from_ref(&keep));
        // Under another key it is not what it says.
        let Record { head, .. } = Record::of_keep(&keep);
        assert_eq!(head, [&[3][..], &keep.encode()].concat());
        assert_eq!(Contents::read([([3; 32], head)]).unknown, [[3; 32]]);
        for (deposit, record) in deposits.iter().zip(&records) {
            assert_eq!(Deposit::decode(&record.body).as_ref(), Some(deposit));
        }
    }

    /// In `docs/custody.md`.
    #[test]
    fn golden() {
        let [contact, stranger] = deposits();
        let hex = |bytes: &[u8]| -> String { bytes.iter().map(|b| format!("{b:02x}")).collect() };
        let of = |record: Record| (hex(&record.key), hex(blake3::hash(&record.head).as_bytes()));
        let found = [
            of(Record::of_tombstone(&tombstone(&contact))),
            of(Record::of_message(&contact)),
            of(Record::of_message(&stranger)),
        ];
        assert_eq!(found, GOLDEN.map(|(key, head)| (key.into(), head.into())));
    }

    const GOLDEN: [(&str, &str); 3] = [
        (
            "30da39175297b4db1d0d4ab653b0d0abe8306c7971acb613949b86e1a0130c98",
            "dd6f8db122cebb18a5a0398ffd66eef59eefe34042e7fb3918af94a64ad4a149",
        ),
        (
            "73cf87fc26104b1ebb6e43da5ea89b65f190fe40a42b176b4bf92860ff0f6a12",
            "6c2fbe3953d7ee5389ff9faa610b8c60eec11051df4a4c545cba908d31a4aa8f",
        ),
        (
            "863938f120b990362250c329974dd386c31cd3576051eaadcc1077c8617a1394",
            "21d5db1170644bcf905ecb969098a11178351eca73319365cb39a54007bec334",
        ),
    ];

    proptest! {
        #[test]
        fn any_bytes_are_read_or_left(kind in 0u8..4, head in prop::collection::vec(any::<u8>(), 0..200)) {
            let head = [&[kind][..], &head].concat();
            let contents = Contents::read([([3; 32], Bytes::from(head))]);
            let known = contents.headers.len() + contents.tombs.len() + contents.keeps.len();
            let count = known + contents.unknown.len();
            prop_assert_eq!(count, 1);
            if let Some(header) = contents.headers.first() {
                prop_assert_eq!(Header::of_kept(header.id(), &header.encode()), Some(*header));
            }
        }
    }
}
