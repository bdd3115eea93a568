//! Chains of identities and mail records in the indexes.

use std::time::Duration;

use bytes::Bytes;
use gyre::proto::identity::chain::Chain;
use gyre::proto::identity::op::Act;
use gyre::proto::identity::owner::Owner;
use gyre::proto::identity::{self, Id, Key};
use gyre::proto::keys::RootSecret;
use gyre::proto::mail::record::{self, Draft, MailRecord, Prekey};
use gyre::proto::mail::{Suite, Week};

use super::kit::{Peer, run};
use super::mail::unix;
use super::node;

fn chains(seed: u8) -> (Chain, Chain) {
    let root = RootSecret::new([seed; 32]);
    let owner = Owner::new(&root, 0);
    let short = owner.begin();
    let mut long = short.clone();
    let device = Act::AddDevice(Key::from(root.device_key(0, 0).name()));
    owner.act(&mut long, unix() - 60, device).unwrap();
    (short, long)
}

fn mail_record(seed: u8, issued: u64) -> (Vec<u8>, Bytes) {
    let key = RootSecret::new([seed; 32]).mail_key(0, 0);
    let says = Draft {
        id: Id([seed; 32]),
        issued,
        until: issued + 3600,
        keys: vec![Prekey {
            suite: Suite::X_WING,
            week: Week::of(issued),
            key: vec![1; 1216],
        }],
        custody: Vec::new(),
    };
    let record = MailRecord::sign(&key, says).unwrap();
    let routing = record::routing_key(Key::from(key.name()));
    (routing.to_vec(), Bytes::copy_from_slice(record.bytes()))
}

/// Asks until what comes is what is expected.
async fn until_found(peer: &Peer, key: &[u8], expected: &[u8]) {
    let mut last = Vec::new();
    for _ in 0..400 {
        last = peer.custody().record(key).await.unwrap();
        if last.len() == 1 && last[0] == expected {
            return;
        }
        tokio::time::sleep(Duration::from_millis(250)).await;
    }
    panic!("found {} others", last.len());
}

#[test]
fn who_knows_the_key_finds_the_record() {
    run(async |scene| {
        let (author, reader) = (node(&scene).await, node(&scene).await);
        let (key, first) = mail_record(1, unix() - 10);
        let (_, second) = mail_record(1, unix());
        assert_eq!(
            reader.custody().record(&key).await.unwrap(),
            Vec::<Bytes>::new()
        );
        let held = author
            .custody()
            .put_record(&key, first.clone())
            .await
            .unwrap();
        assert!(held >= 1, "{held}");
        until_found(&reader, &key, &first).await;
        author
            .custody()
            .put_record(&key, second.clone())
            .await
            .unwrap();
        until_found(&reader, &key, &second).await;
        // An old one brought by somebody else changes nothing.
        reader.custody().put_record(&key, first).await.unwrap();
        let third = node(&scene).await;
        until_found(&third, &key, &second).await;
    });
}

#[test]
fn a_chain_goes_on_and_a_relay_that_forgot_is_told_again() {
    run(async |mut scene| {
        let (author, reader) = (node(&scene).await, node(&scene).await);
        let (short, long) = chains(2);
        let key = identity::record::routing_key(short.id());
        let bytes = |chain: &Chain| Bytes::from(chain.to_bytes());
        author
            .custody()
            .put_record(&key, bytes(&short))
            .await
            .unwrap();
        until_found(&reader, &key, &bytes(&short)).await;
        author
            .custody()
            .put_record(&key, bytes(&long))
            .await
            .unwrap();
        until_found(&reader, &key, &bytes(&long)).await;
        // What a relay knows is in its memory alone; the author is still there.
        scene.relay.stop().await;
        scene.relay.restart().await;
        let late = node(&scene).await;
        until_found(&late, &key, &bytes(&long)).await;
    });
}

#[test]
fn what_is_not_signed_or_not_a_record_is_not_brought() {
    run(async |scene| {
        let author = node(&scene).await;
        let (key, good) = mail_record(3, unix());
        let mut forged = good.to_vec();
        let last = forged.len() - 1;
        forged[last] ^= 1;
        let (_, foreign) = mail_record(4, unix());
        let (_, over) = mail_record(3, unix() - 4000);
        for (key, value) in [
            (key.clone(), Bytes::from(forged)),
            (key.clone(), foreign),
            (key.clone(), over),
            (b"/gyre/other/".to_vec(), good),
        ] {
            let put = author.custody().put_record(&key, value).await;
            assert_eq!(put.unwrap_err().code(), "INVALID_RECORD");
        }
        let other = author.custody().record(b"/pk/anything").await;
        assert_eq!(other.unwrap_err().code(), "BAD_OPTIONS");
        assert_eq!(
            author.custody().record(&key).await.unwrap(),
            Vec::<Bytes>::new()
        );
    });
}
