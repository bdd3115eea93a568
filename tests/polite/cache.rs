//! What stays, what goes, what is found to be damaged, and what comes back from a file.

use std::time::Duration;

use bytes::Bytes;
use gyre::node::snapshot::TransferState;
use gyre::node::{Error, Share};
use gyre::proto::types::CHUNK_SIZE;
use gyre::store::memory::MemoryStore;
use gyre::store::{Store, StoreError};

use super::kit::*;

const MB: u64 = 1_000_000;

/// Fetches a file of `size` bytes that the first has, and reads all of it.
async fn fetched(from: &Peer, to: &Peer, size: usize, seed: usize) -> Share {
    let content = content(size, seed);
    let share = from.share(&content).await;
    assert_eq!(to.fetch(&share).await, content);
    to.complete(&share).await;
    share
}

/// A reader counts as active for a minute after its last read; a node that was started again has no readers.
async fn again(scene: &Scene, node: Peer, store: &MemoryStore) -> (Peer, MemoryStore) {
    node.stop().await;
    let store = store.reopen();
    let node = scene.node().on(&store).silent().await;
    (node, store)
}

#[test]
fn what_was_used_longest_ago_goes_first_and_what_is_kept_stays() {
    run(async |scene| {
        let first = scene.node().await;
        let store = MemoryStore::new();
        let second = scene.node().on(&store).await;
        let mut shares = Vec::new();
        for seed in 0..4 {
            shares.push(fetched(&first, &second, 2_000_000, seed).await);
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        // The oldest is kept on purpose, the second oldest is read once more.
        second.set_pinned(shares[0].blob, true).await.unwrap();
        let file = second.file(&shares[1]).await;
        file.read(0, 10).await.unwrap();
        let (second, store) = again(&scene, second, &store).await;
        second.set_quota(9 * MB).await.unwrap();

        let fifth = fetched(&first, &second, 2_000_000, 9).await;
        let held: Vec<bool> = shares
            .iter()
            .map(|share| second.info(share).is_some())
            .collect();
        assert_eq!(held, [true, true, false, true]);
        assert!(second.info(&fifth).is_some());
        let used = store.usage().await.unwrap().used;
        assert!(used <= 9 * MB, "{used}");

        // Its own import makes room as well, and is kept.
        let (second, store) = again(&scene, second, &store).await;
        let own = second.share(&content(3_000_000, 11)).await;
        assert!(second.info(&own).unwrap().pinned);
        assert!(second.info(&shares[0]).is_some(), "what is pinned stays");
        assert!(store.usage().await.unwrap().used <= 9 * MB);
    });
}

#[test]
fn a_platform_that_grants_less_than_it_says_costs_only_what_may_go() {
    run(async |scene| {
        let first = scene.node().await;
        let store = MemoryStore::with_quota(5 * MB);
        store.promise(10_000 * MB);
        let second = scene.node().on(&store).await;
        let old = fetched(&first, &second, 2_000_000, 1).await;
        let newer = fetched(&first, &second, 2_000_000, 2).await;
        let (second, store) = again(&scene, second, &store).await;
        let third = fetched(&first, &second, 2_000_000, 3).await;
        assert!(second.info(&old).is_none(), "the oldest made way");
        assert!(second.info(&newer).is_some() && second.info(&third).is_some());
        assert!(store.usage().await.unwrap().used <= 5 * MB);
    });
}

#[test]
fn a_quota_lowered_while_full_lets_go_at_once_of_what_may_go() {
    run(async |scene| {
        let first = scene.node().await;
        let store = MemoryStore::new();
        let second = scene.node().on(&store).await;
        let mut shares = Vec::new();
        for seed in 0..3 {
            shares.push(fetched(&first, &second, 2_000_000, seed).await);
        }
        second.set_pinned(shares[1].blob, true).await.unwrap();
        let (second, store) = again(&scene, second, &store).await;
        second.set_quota(5 * MB).await.unwrap();
        until("the oldest has gone", || second.info(&shares[0]).is_none()).await;
        let shown = || second.stats().storage.used <= 5 * MB;
        until("the figures say so", shown).await;
        assert!(second.info(&shares[2]).is_some(), "no more than was needed");

        // What is kept on purpose stays even where that is over the cap, and the figures say so.
        second.set_quota(MB).await.unwrap();
        until("all that may go has gone", || {
            second.info(&shares[2]).is_none()
        })
        .await;
        until("the rest is shown as over", || {
            let storage = second.stats().storage;
            storage.used > storage.quota && storage.quota == MB
        })
        .await;
        assert_eq!(second.fetch(&shares[1]).await, content(2_000_000, 1));
        assert!(store.usage().await.unwrap().used > MB);
    });
}

#[test]
fn a_quota_lowered_under_a_running_transfer_stops_it_and_raised_lets_it_go_on() {
    run(async |scene| {
        let (first, second) = scene.pair().await;
        let whole = content(12_000_000, 1);
        let share = first.share(&whole).await;
        let slow = gyre::proto::limits::Limits {
            down_rate: Some(4_000_000),
            ..Default::default()
        };
        second.set_limits(slow).await.unwrap();
        let file = second.file(&share).await;
        file.read(2_000_000, 10).await.unwrap();
        second.set_quota(MB).await.unwrap();
        let full = || {
            second.info(&share).is_some_and(|info| {
                info.state == TransferState::Failed
                    && info
                        .error
                        .is_some_and(|error| error.code == "QUOTA_EXCEEDED")
            })
        };
        until("stands still and says why", full).await;
        // Nothing of it was thrown away, and whoever comes now is told at once.
        assert!(second.info(&share).unwrap().have > 0);
        let error = read_all(&file).await.unwrap_err();
        assert!(
            matches!(error, Error::Store(StoreError::QuotaExceeded)),
            "{error}"
        );
        assert!(full());

        second.set_quota(100 * MB).await.unwrap();
        second.complete(&share).await;
        assert_eq!(read(&file).await, whole);
    });
}

async fn read_all(file: &gyre::node::File<MemoryStore>) -> Result<(), Error> {
    let mut at = 0;
    while at < file.size() {
        at += file.read(at, 200_000).await?.len() as u64;
    }
    Ok(())
}

#[test]
fn damaged_chunks_are_found_when_they_are_read_or_served_and_fetched_again() {
    run(async |scene| {
        let store = MemoryStore::new();
        let first = scene.node().on(&store).await;
        let second = scene.node().await;
        for (seed, public) in [(1, false), (2, true)] {
            let content = content(4_000_000, seed);
            let share = first.share_as(&content, public).await;
            let link = share.link.fragment();
            let theirs = second.open(&link).await.unwrap();
            assert_eq!(read(&theirs).await, content);
            second.complete(&share).await;

            // Read by the person: repaired from the other.
            assert!(store.damage(|index| index.0 % 3 == 0) > 0);
            let file = first.open(&link).await.unwrap();
            assert_eq!(read(&file).await, content, "public: {public}");
            first.complete(&share).await;

            // Asked for by a third: it gets good bytes only, and nobody is taken for a liar.
            assert!(store.damage(|index| index.0 % 2 == 1) > 0);
            let third = scene.node().await;
            let got = third.open(&link).await.unwrap();
            assert_eq!(read(&got).await, content);
            // The end of a transfer may cost a chunk that comes twice.
            assert!(third.info(&share).unwrap().wasted <= 2 * CHUNK_SIZE);
            let complaints = third.peers();
            let banned = complaints
                .iter()
                .any(|peer| peer.detail.contains("avoided"));
            assert!(!banned, "{complaints:#?}");
            third.stop().await;
        }
    });
}

#[test]
fn an_exported_file_comes_back_elsewhere_with_nobody_else_there() {
    run(async |scene| {
        let first = scene.node().await;
        for (size, public) in [(0, true), (10, false), (262_144, true), (3_000_000, false)] {
            let content = content(size, 3);
            let share = first.share_as(&content, public).await;
            let file = first.exported(&share).await;
            let other = scene.node().silent().early().await;
            let back = other.import_exported(pieces(&file), |_| {}).await.unwrap();
            assert_eq!(back, share);
            let info = other.info(&back).unwrap();
            assert_eq!(info.name.as_deref(), Some("a file.bin"));
            assert!(info.pinned && info.state == TransferState::Complete);
            assert_eq!(other.fetch(&share).await, content, "{size} bytes");
            other.stop().await;
        }
    });
}

#[test]
fn a_damaged_export_is_refused_and_leaves_nothing() {
    run(async |scene| {
        let first = scene.node().await;
        let share = first.share(&content(700_000, 4)).await;
        let good = first.exported(&share).await;
        let store = MemoryStore::new();
        let other = scene.node().on(&store).silent().early().await;
        let flipped = |at: usize| {
            let mut bytes = good.to_vec();
            bytes[at] ^= 4;
            Bytes::from(bytes)
        };
        let bad = [
            Bytes::new(),
            Bytes::from_static(b"just some text that somebody dropped here"),
            flipped(2),
            flipped(good.len() - 1),
            flipped(good.len() / 2),
            good.slice(..good.len() - 1),
            good.slice(..20),
            [&good[..], b"x"].concat().into(),
        ];
        for bytes in bad {
            let error = other
                .import_exported(pieces(&bytes), |_| {})
                .await
                .unwrap_err();
            assert!(
                ["BAD_OPTIONS", "WRONG_KEY"].contains(&error.code()),
                "{error}"
            );
            let gone = async || store.usage().await.unwrap().used == 0;
            for _ in 0..100 {
                if gone().await {
                    break;
                }
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
            assert!(gone().await, "something stayed");
            assert!(other.swarms().is_empty());
        }
        other.import_exported(pieces(&good), |_| {}).await.unwrap();
    });
}
