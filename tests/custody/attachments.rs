//! What is attached to mail, at whole nodes: kept with it, handed on, given up with it, and refused.

use bytes::Bytes;
use gyre::node::{ImportOptions, Share};
use gyre::proto::custody::custodian;
use gyre::proto::custody::deposit::Deposit;
use gyre::proto::custody::keep::{Blob, Keep};
use gyre::proto::custody::tag::{MailboxSecret, Week};
use gyre::proto::share::ShareHeader;
use gyre::proto::types::{BlobHash, ChunkIndex};
use gyre::store::memory::MemoryStore;
use gyre::store::{Store, StoredChunk};

use super::kit::{Peer, Scene, content, pieces, read, run, until};
use super::mail::{Mail, envelope, letter, unix};
use super::{comes_for, node};

const BYTES: usize = 700_000;

/// The wish that this be kept with a message.
fn wish(mailbox: &MailboxSecret, message: &Deposit, blob: BlobHash, bytes: usize) -> Keep {
    let pass = mailbox.pass(0, Week::of(unix()));
    let size = u32::try_from(bytes).unwrap();
    let blobs = vec![Blob { hash: blob, size }];
    Keep::by_contact(&pass, message.header().expiry(), message.id(), blobs).unwrap()
}

async fn share(peer: &Peer, content: &Bytes) -> Share {
    let options = ImportOptions {
        header: ShareHeader::cleaned("mail", "application/octet-stream"),
        public: true,
    };
    let share = peer.import(pieces(content), options, |_| {}).await;
    share.unwrap()
}

fn blobs(peer: &Peer) -> (usize, u64) {
    let kept = peer.custody().kept();
    (kept.blobs, kept.blob_bytes)
}

/// A sender who leaves as soon as so many keep letter and attachment.
async fn leaves_with(
    scene: &Scene,
    mailbox: &MailboxSecret,
    sent: &Deposit,
    attached: &Bytes,
    receipts: usize,
) -> Share {
    let sender = node(scene).await;
    let share = share(&sender, attached).await;
    let mail = Mail::at(&*sender).await;
    mail.send_with(sent, &wish(mailbox, sent, share.blob, attached.len()));
    until("so many keep it", || {
        let seen = mail.seen.borrow();
        seen.kept
            .get(&sent.id())
            .is_some_and(|(kept, _)| *kept >= receipts)
    })
    .await;
    sender.stop().await;
    share
}

#[test]
fn what_is_attached_outlives_its_sender_and_every_first_custodian() {
    run(async |scene| {
        let stores = [(); 5].map(|()| MemoryStore::new());
        let mut there = Vec::new();
        for store in &stores[..2] {
            there.push(node(&scene).on(store).await);
        }
        let mailbox = MailboxSecret::new([21; 32]);
        let sent = letter(&mailbox, envelope(21), 0);
        let attached = content(BYTES, 21);
        let share = leaves_with(&scene, &mailbox, &sent, &attached, 2).await;
        for peer in &there {
            until("it says so", || blobs(peer) == (1, BYTES as u64)).await;
            assert!(peer.swarms().is_empty(), "it is no file of the person's");
        }
        for store in &stores[2..] {
            let newcomer = node(&scene).on(store).await;
            there.remove(0).stop().await;
            until("the newcomer keeps both", || {
                newcomer.custody().kept().envelopes == 1 && blobs(&newcomer).0 == 1
            })
            .await;
            there.push(newcomer);
        }
        // The reader takes all of it before anything is deleted.
        let reader = node(&scene).await;
        let mail = Mail::at(&*reader).await;
        mail.read(&mailbox, &[]);
        until("the letter", || mail.has(&sent)).await;
        let file = reader.open(&share.link.fragment()).await.unwrap();
        assert_eq!(read(&file).await, attached);
        mail.delete(&sent);
        until("nobody keeps anything", || {
            there
                .iter()
                .all(|peer| peer.custody().kept() == Default::default())
        })
        .await;
        for store in &stores[3..] {
            for _ in 0..200 {
                if store.rows().await.unwrap().is_empty() {
                    break;
                }
                tokio::time::sleep(std::time::Duration::from_millis(50)).await;
            }
            assert_eq!(store.rows().await.unwrap(), [], "nothing of it is left");
        }
        let again = reader.open(&share.link.fragment()).await.unwrap();
        assert_eq!(read(&again).await, attached, "the reader's is the reader's");
    });
}

#[test]
fn who_has_no_room_for_it_keeps_the_letter_alone() {
    run(async |scene| {
        let small = scene.node().with(|config| {
            super::quick(config);
            config.custodian = config.custodian.take().map(|custodian| custodian::Config {
                blob_bytes: BYTES as u64 - 1,
                ..custodian
            });
        });
        let small = small.await;
        let large = node(&scene).await;
        let mailbox = MailboxSecret::new([22; 32]);
        let sent = letter(&mailbox, envelope(22), 0);
        leaves_with(&scene, &mailbox, &sent, &content(BYTES, 22), 1).await;
        until("both have the letter", || {
            small.custody().kept().envelopes == 1 && large.custody().kept().envelopes == 1
        })
        .await;
        until("one has what is attached", || blobs(&large).0 == 1).await;
        assert_eq!(blobs(&small).0, 0);
    });
}

#[test]
fn what_is_another_length_than_was_said_is_not_kept() {
    run(async |scene| {
        let store = MemoryStore::new();
        let keeper = node(&scene).on(&store).await;
        let sender = node(&scene).await;
        let attached = content(BYTES, 23);
        let share = share(&sender, &attached).await;
        let mailbox = MailboxSecret::new([23; 32]);
        let mail = Mail::at(&*sender).await;
        let [honest, lie] = [1, 2].map(|n| letter(&mailbox, envelope(230 + n), 0));
        mail.send_with(&lie, &wish(&mailbox, &lie, share.blob, 65_536));
        until("the letter is there", || {
            keeper.custody().kept().envelopes == 1
        })
        .await;
        // Refused once the true length is proved; then the truth is taken.
        let mut gone = false;
        for _ in 0..600 {
            let heads = store.all_kept().len();
            gone = heads == 1 && store.rows().await.unwrap().is_empty();
            if gone {
                break;
            }
            tokio::time::sleep(std::time::Duration::from_millis(50)).await;
        }
        assert!(gone, "nothing is left of the lie");
        mail.send_with(&honest, &wish(&mailbox, &honest, share.blob, BYTES));
        until("the truth is kept", || blobs(&keeper) == (1, BYTES as u64)).await;
    });
}

#[test]
fn a_custodian_whose_copy_is_spoilt_does_no_harm() {
    run(async |scene| {
        let store = MemoryStore::new();
        let spoilt = node(&scene).on(&store).await;
        let sound = node(&scene).await;
        let mailbox = MailboxSecret::new([24; 32]);
        let sent = letter(&mailbox, envelope(24), 0);
        let attached = content(BYTES, 24);
        let share = leaves_with(&scene, &mailbox, &sent, &attached, 2).await;
        let row = store.row_of(share.blob).await.unwrap().unwrap().id;
        for index in [0, 1, 2].map(ChunkIndex) {
            let chunk = store.chunk(row, index).await.unwrap();
            store.remove_chunks(row, vec![index]).await.unwrap();
            let data = Bytes::from(vec![0xa5; chunk.data.len()]);
            let garbage = StoredChunk { data, ..chunk };
            store.put_chunks(row, vec![garbage]).await.unwrap();
        }
        let reader = comes_for(&scene, &mailbox, &[], &sent).await;
        drop(reader);
        let reader = node(&scene).await;
        let file = reader.open(&share.link.fragment()).await.unwrap();
        assert_eq!(read(&file).await, attached);
        until("the sound one says so", || blobs(&sound).0 == 1).await;
        drop(spoilt);
    });
}

#[test]
fn it_is_served_only_with_the_persons_word_and_again_after_a_restart() {
    run(async |scene| {
        let store = MemoryStore::new();
        let keeper = node(&scene).on(&store).await;
        let mailbox = MailboxSecret::new([25; 32]);
        let sent = letter(&mailbox, envelope(25), 0);
        let attached = content(BYTES, 25);
        let share = leaves_with(&scene, &mailbox, &sent, &attached, 1).await;
        keeper.set_upload(false).await.unwrap();
        until("it says so", || blobs(&keeper).0 == 0).await;
        assert_eq!(store.rows().await.unwrap().len(), 1, "it sleeps");
        keeper.set_upload(true).await.unwrap();
        until("it is back", || blobs(&keeper).0 == 1).await;
        keeper.stop().await;
        let keeper = node(&scene).on(&store.reopen()).await;
        until("it is back", || blobs(&keeper).0 == 1).await;
        let reader = node(&scene).await;
        let file = reader.open(&share.link.fragment()).await.unwrap();
        assert_eq!(read(&file).await, attached);
        // What the keeper opens is its own from then on, whatever becomes of the letter.
        let own = keeper.open(&share.link.fragment()).await.unwrap();
        assert_eq!(read(&own).await, attached);
        keeper.complete(&share).await;
        let read = comes_for(&scene, &mailbox, &[], &sent).await;
        read.delete(&sent);
        until("it is kept no longer", || blobs(&keeper).0 == 0).await;
        assert!(keeper.info(&share).is_some());
    });
}
