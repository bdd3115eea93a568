//! Mail left at whole nodes, with relays and without: who keeps it, who gets it, and what is refused.

#![cfg(not(target_arch = "wasm32"))]
#![allow(clippy::unwrap_used)]

mod attachments;
#[path = "../kit/mod.rs"]
mod kit;
mod mail;
mod records;
mod refusals;
#[cfg(feature = "mail")]
mod sealed;

use std::time::Duration;

use gyre::net::custody::key_of;
use gyre::node::Config;
use gyre::node::snapshot::JoinState;
use gyre::proto::custody::PeerId;
use gyre::proto::custody::custodian;
use gyre::proto::custody::deposit::Deposit;
use gyre::proto::custody::region::is_qualified;
use gyre::proto::custody::tag::{MailboxSecret, Tag};
use gyre::store::Store;
use gyre::store::memory::MemoryStore;
use libp2p::identity::Keypair;

use kit::{Newcomer, Peer, Scene, native, run, until};
use mail::{Mail, envelope, letter};

/// What is kept is looked after sooner than in life.
fn quick(config: &mut Config) {
    config.serve_after = Some(Duration::from_millis(500));
    config.custodian = Some(custodian::Config {
        look_fresh: Duration::from_secs(4),
        settle: Duration::from_secs(1),
        ..custodian::Config::default()
    });
}

fn node(scene: &Scene) -> Newcomer {
    scene.node().with(quick)
}

fn kept(peer: &Peer) -> usize {
    peer.custody().kept().envelopes
}

/// Nodes of a network in which ids show no work, ready to keep.
async fn keepers<const N: usize>(scene: &Scene) -> [Peer; N] {
    let mut all = Vec::new();
    for _ in 0..N {
        all.push(node(scene).await);
    }
    all.try_into().ok().unwrap()
}

/// Sends a message from a node that leaves as soon as so many have signed.
async fn leave_at(scene: &Scene, deposit: &Deposit, relays: &[PeerId], receipts: usize) {
    let sender = node(scene).await;
    let mail = Mail::at(&*sender).await;
    mail.send(deposit, relays);
    until("so many have signed", || mail.receipts(deposit) >= receipts).await;
    sender.stop().await;
}

/// Comes, waits for a message and takes it.
async fn comes_for(
    scene: &Scene,
    mailbox: &MailboxSecret,
    relays: &[PeerId],
    deposit: &Deposit,
) -> Mail {
    let reader = node(scene).await;
    let read = Mail::at(&*reader).await;
    read.read(mailbox, relays);
    until("it is there", || read.has(deposit)).await;
    read
}

#[test]
fn who_is_never_there_at_the_same_time_writes_to_each_other() {
    run(async |scene| {
        let keepers = keepers::<3>(&scene).await;
        let mailbox = MailboxSecret::new([1; 32]);
        let sent = letter(&mailbox, envelope(1), 0);
        leave_at(&scene, &sent, &[], 3).await;
        until("all keep it", || keepers.iter().all(|one| kept(one) == 1)).await;

        let read = comes_for(&scene, &mailbox, &[], &sent).await;
        read.delete(&sent);
        until("nobody keeps it", || {
            keepers.iter().all(|one| kept(one) == 0)
        })
        .await;
        // What is deleted stays so, whoever brings it again.
        let again = node(&scene).await;
        let mail = Mail::at(&*again).await;
        mail.send(&sent, &[]);
        until("told that it was read", || {
            mail.seen.borrow().delivered.contains(&sent.id())
        })
        .await;
    });
}

#[test]
fn nothing_is_kept_before_the_person_agreed() {
    run(async |scene| {
        let store = MemoryStore::new();
        let silent = node(&scene).on(&store).silent().early().await;
        let [willing] = keepers(&scene).await;
        let mailbox = MailboxSecret::new([2; 32]);
        let sent = letter(&mailbox, envelope(2), 0);
        leave_at(&scene, &sent, &[], 1).await;
        until("kept", || kept(&willing) == 1).await;
        tokio::time::sleep(Duration::from_secs(3)).await;
        assert_eq!((kept(&silent), store.all_kept()), (0, vec![]));
        // And no longer once they do not.
        willing.set_upload(false).await.unwrap();
        until("it says so", || kept(&willing) == 0).await;
        let reader = node(&scene).await;
        let read = Mail::at(&*reader).await;
        read.read(&mailbox, &[]);
        tokio::time::sleep(Duration::from_secs(3)).await;
        assert!(!read.has(&sent));
        willing.set_upload(true).await.unwrap();
        comes_for(&scene, &mailbox, &[], &sent).await;
    });
}

#[test]
fn every_custodian_is_replaced_one_after_the_other() {
    run(async |scene| {
        let first = keepers::<2>(&scene).await;
        let mailbox = MailboxSecret::new([3; 32]);
        let sent = letter(&mailbox, envelope(3), 0);
        leave_at(&scene, &sent, &[], 2).await;
        let mut there = Vec::from(first);
        for _ in 0..3 {
            let newcomer = node(&scene).await;
            // One of those that have it goes: the other is alone then, and looks for somebody else.
            there.remove(0).stop().await;
            until("the newcomer keeps it", || kept(&newcomer) == 1).await;
            there.push(newcomer);
        }
        comes_for(&scene, &mailbox, &[], &sent).await;
    });
}

#[test]
fn mail_goes_its_way_without_any_relay() {
    run(async |mut scene| {
        let mut nodes = Vec::from(keepers::<8>(&scene).await);
        until("everybody has neighbours", || {
            nodes.iter().all(|node| node.links() >= 2)
        })
        .await;
        scene.relay.stop().await;
        until("everybody says so", || {
            nodes
                .iter()
                .all(|node| node.stats().state == JoinState::Peers)
        })
        .await;
        let mailbox = MailboxSecret::new([4; 32]);
        let sent = letter(&mailbox, envelope(4), 0);
        let sender = nodes.remove(0);
        let mail = Mail::at(&*sender).await;
        mail.send(&sent, &[]);
        until("three have signed", || mail.receipts(&sent) >= 3).await;
        sender.stop().await;
        let reader = nodes.remove(0);
        let read = Mail::at(&*reader).await;
        read.read(&mailbox, &[]);
        until("it is there", || read.has(&sent)).await;
    });
}

#[test]
fn custodians_that_lose_and_spoil_what_they_keep_keep_nobody_from_reading() {
    run(async |scene| {
        let stores = [(); 3].map(|()| MemoryStore::new());
        let mut keepers = Vec::new();
        for store in &stores {
            keepers.push(node(&scene).on(store).await);
        }
        let mailbox = MailboxSecret::new([5; 32]);
        let sent = letter(&mailbox, envelope(5), 0);
        leave_at(&scene, &sent, &[], 3).await;
        let id = sent.id().0;
        // One has signed and dropped it, one has something else in its place.
        stores[0].remove_kept(vec![id]).await.unwrap();
        let mut other = stores[1].all_kept().remove(0);
        other.body = envelope(6);
        stores[1].put_kept(other).await.unwrap();
        comes_for(&scene, &mailbox, &[], &sent).await;
    });
}

#[test]
fn a_custodian_on_disk_has_everything_after_a_restart() {
    run(async |scene| {
        let folder = tempfile::tempdir().unwrap();
        let keeper = native(&scene, folder.path(), "keeper", true).await;
        let mailbox = MailboxSecret::new([6; 32]);
        let sent = letter(&mailbox, envelope(7), 0);
        leave_at(&scene, &sent, &[], 1).await;
        keeper.stop().await;
        let keeper = native(&scene, folder.path(), "keeper", true).await;
        until("it has it", || keeper.custody().kept().envelopes == 1).await;
        let read = comes_for(&scene, &mailbox, &[], &sent).await;
        read.delete(&sent);
        until("it is deleted", || keeper.custody().kept().envelopes == 0).await;
        keeper.stop().await;
        // The tombstone is there too.
        let keeper = native(&scene, folder.path(), "keeper", true).await;
        let [sender] = keepers(&scene).await;
        let mail = Mail::at(&*sender).await;
        mail.send(&sent, &[]);
        until("told that it was read", || {
            mail.seen.borrow().delivered.contains(&sent.id())
        })
        .await;
        keeper.stop().await;
    });
}

#[test]
fn a_relay_keeps_mail_when_nobody_else_is_there() {
    run(async |mut scene| {
        scene.relay.stop().await;
        scene.relay.keep_mail(10_000_000);
        scene.relay.restart().await;
        let mailbox = MailboxSecret::new([7; 32]);
        let sent = letter(&mailbox, envelope(8), 0);
        let sender = node(&scene).await;
        let mut relays = Vec::new();
        for _ in 0..1000 {
            relays = sender.custody().relays().await.unwrap();
            if !relays.is_empty() {
                break;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        assert_eq!(relays.len(), 1);
        let mail = Mail::at(&*sender).await;
        mail.send(&sent, &relays);
        let relayed = || mail.seen.borrow().receipts.get(&sent.id()).copied();
        until("the relay has signed", || {
            relayed().is_some_and(|(_, relays)| relays == 1)
        })
        .await;
        sender.stop().await;
        scene.relay.stop().await;
        scene.relay.restart().await;
        let read = comes_for(&scene, &mailbox, &relays, &sent).await;
        read.delete(&sent);
        tokio::time::sleep(Duration::from_secs(1)).await;
        let late = node(&scene).await;
        let late = Mail::at(&*late).await;
        late.read(&mailbox, &relays);
        tokio::time::sleep(Duration::from_secs(2)).await;
        assert!(!late.has(&sent));
    });
}

#[test]
fn ids_that_show_the_work_are_searched_for_and_count() {
    run(async |scene| {
        let work = |config: &mut Config| {
            quick(config);
            config.puzzle_bits = 4;
        };
        let first = |config: &mut Config| config.work_first = true;
        let shows = |peer: &Peer| is_qualified(key_of(&peer.peer_id()).unwrap(), 4);
        let native = scene.node().with(work).with(first).await;
        assert!(shows(&native));
        // A page starts with any, and has a better one at its next start.
        let store = loop {
            let store = MemoryStore::new();
            let page = scene.node().with(work).on(&store).await;
            if shows(&page) {
                page.stop().await;
                continue;
            }
            let nearest = native.custody().nearest(Tag([1; 32])).await.unwrap();
            if nearest.contains(&key_of(&page.peer_id()).unwrap()) {
                until("named for being linked, not as a custodian", || {
                    native.is_linked(&page)
                })
                .await;
            }
            let begun = page.peer_id();
            let mut found = false;
            for _ in 0..2000 {
                let stored = store.value("identity").await.unwrap().unwrap();
                let key = Keypair::from_protobuf_encoding(&stored).unwrap();
                found = key.public().to_peer_id() != begun;
                if found {
                    break;
                }
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
            assert!(found);
            page.stop().await;
            break store;
        };
        let page = scene.node().with(work).on(&store.reopen()).await;
        assert!(shows(&page));
    });
}
