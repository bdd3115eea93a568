//! Mail left at whole nodes, with relays and without: who keeps it, who gets it, and what is refused.

#![cfg(not(target_arch = "wasm32"))]
#![allow(clippy::unwrap_used)]

#[path = "../kit/mod.rs"]
mod kit;
mod mail;

use std::time::Duration;

use gyre::node::Config;
use gyre::proto::custody::custodian;
use gyre::proto::custody::tag::MailboxSecret;
use gyre::store::memory::MemoryStore;

use kit::{Newcomer, Peer, Scene, run, until};
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

async fn kept(peer: &Peer) -> usize {
    peer.custody().kept().await.unwrap().envelopes
}

async fn until_kept(what: &str, nodes: &[Peer], copies: usize) {
    for _ in 0..2000 {
        let mut count = 0;
        for node in nodes {
            count += kept(node).await;
        }
        if count >= copies {
            return;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    panic!("never {copies} copies: {what}");
}

#[test]
fn who_is_never_there_at_the_same_time_writes_to_each_other() {
    run(async |scene| {
        let keepers = [node(&scene).await, node(&scene).await, node(&scene).await];
        let mailbox = MailboxSecret::new([1; 32]);
        let sent = letter(&mailbox, envelope(1), 0);

        let sender = node(&scene).await;
        let mail = Mail::at(&*sender).await;
        mail.send(&sent, &[]);
        until("all have signed", || mail.receipts(&sent) == 3).await;
        until_kept("at those that signed", &keepers, 3).await;
        sender.stop().await;

        let reader = node(&scene).await;
        let read = Mail::at(&*reader).await;
        read.read(&mailbox, &[]);
        until("it is there", || read.has(&sent)).await;
        read.delete(&sent);
        for keeper in &keepers {
            for _ in 0..1000 {
                if kept(keeper).await == 0 {
                    break;
                }
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
            assert_eq!(kept(keeper).await, 0);
        }
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
        let willing = node(&scene).await;
        let sender = node(&scene).await;
        let mail = Mail::at(&*sender).await;
        let sent = letter(&MailboxSecret::new([2; 32]), envelope(2), 0);
        mail.send(&sent, &[]);
        until("one has signed", || mail.receipts(&sent) == 1).await;
        sender.stop().await;
        tokio::time::sleep(Duration::from_secs(3)).await;
        assert_eq!((kept(&silent).await, store.all_kept()), (0, vec![]));
        assert_eq!(kept(&willing).await, 1);
        // And no longer once they do not.
        willing.set_upload(false).await.unwrap();
        let reader = node(&scene).await;
        let read = Mail::at(&*reader).await;
        read.read(&MailboxSecret::new([2; 32]), &[]);
        tokio::time::sleep(Duration::from_secs(3)).await;
        assert!(!read.has(&sent));
        willing.set_upload(true).await.unwrap();
        let again = Mail::at(&*node(&scene).await).await;
        again.read(&MailboxSecret::new([2; 32]), &[]);
        until("given again", || again.has(&sent)).await;
    });
}
