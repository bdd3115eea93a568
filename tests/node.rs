//! Whole nodes against a real relay over loopback websockets; only WebRTC itself is the in-memory backend.

#![cfg(not(target_arch = "wasm32"))]
#![allow(clippy::unwrap_used)]

use std::time::Duration;

use gyre::node::snapshot::{JoinState, TransferState, Via};
use gyre::node::{Error, File};
use gyre::proto::limits::Limits;
use gyre::proto::link::blob_cid;
use gyre::store::memory::MemoryStore;
use gyre::store::{Store, StoreError};

mod kit;

use kit::{content, read, run, until};

#[test]
fn a_file_passes_from_one_to_the_next_after_the_first_has_gone() {
    run(async |scene| {
        let (first, second) = scene.pair().await;
        let content = content(5_000_000, 0);
        let share = first.share(&content).await;
        let link = share.link.url("http://localhost:8080");

        let file = second.open(&link).await.unwrap();
        assert_eq!(file.header().name(), "a file.bin");
        assert_eq!(file.header().media_type(), "application/x-test");
        assert_eq!(file.size(), content.len() as u64);
        assert_eq!(read(&file).await, content);
        second.complete(&share).await;
        let seed = second.seen(&first).unwrap();
        assert_eq!(seed.via, Via::Direct);
        assert!(seed.down >= content.len() as u64);

        first.stop().await;
        let third = scene.node().early().await;
        let file = third.open(&link).await.unwrap();
        assert_eq!(read(&file).await, content);
    });
}

#[test]
fn a_chart_tells_who_has_what_and_who_brought_it() {
    run(async |scene| {
        let (first, second) = scene.pair().await;
        let content = content(5_000_000, 0);
        let share = first.share(&content).await;
        assert!(matches!(
            second.chart(share.blob).await,
            Err(Error::NotFound)
        ));
        let seeding = first.chart(share.blob).await.unwrap();
        assert_eq!(seeding.chunks, 20);
        assert_eq!(seeding.stored.0, vec![255; 20]);
        assert!(seeding.bringers.is_empty() && seeding.peers.is_empty());

        let _file = second.open(&share.link.fragment()).await.unwrap();
        second.complete(&share).await;
        let chart = second.chart(share.blob).await.unwrap();
        assert_eq!((chart.chunks, chart.chunks_have), (20, 20));
        assert_eq!(chart.stored.0, vec![255; 20]);
        assert_eq!(chart.brought_by.0, vec![1; 20]);
        let [bringer] = &chart.bringers[..] else {
            panic!("{:?}", chart.bringers)
        };
        assert_eq!(bringer.peer_id, Some(first.peer_id().to_string()));
        assert_eq!(bringer.chunks, 20);
        let [peer] = &chart.peers[..] else {
            panic!("{:?}", chart.peers)
        };
        assert_eq!(peer.peer_id, first.peer_id().to_string());
        assert_eq!((peer.via, peer.chunks), (Via::Direct, 20));
        assert!(peer.has_all && peer.has.0.is_empty());
        // Of this session: what came in one before, on a link that was replaced, is not in it.
        let down = second.swarms()[0].down;
        assert!(
            peer.down <= down && down >= content.len() as u64,
            "{peer:?}"
        );
    });
}

#[test]
fn a_public_blob_has_the_hash_of_its_content() {
    run(async |scene| {
        let (first, second) = (scene.node().await, scene.node().early().await);
        for size in [0, 1, 256 * 1024, 256 * 1024 + 1, 1_000_000] {
            let content = content(size, 0);
            let share = first.share_as(&content, true).await;
            assert_eq!(share.blob.0, *blake3::hash(&content).as_bytes());
            let file = second.file(&share).await;
            assert_eq!(file.header().name(), "a file.bin");
            assert_eq!(read(&file).await, content, "{size} bytes");
        }
    });
}

#[test]
fn nothing_is_uploaded_before_the_person_agrees() {
    run(async |scene| {
        let first = scene.node().silent().await;
        let second = scene.node().early().await;
        assert_eq!(first.stats().upload_allowed, None);
        let content = content(600_000, 0);
        let share = first.share(&content).await;
        let link = share.link.fragment();
        let early = tokio::time::timeout(Duration::from_secs(4), second.open(&link)).await;
        assert!(early.is_err(), "opened although nothing may be uploaded");
        assert_eq!(first.stats().up, 0);

        first.set_upload(true).await.unwrap();
        let file = second.open(&link).await.unwrap();
        assert_eq!(read(&file).await, content);
        until("counted", || first.stats().up >= content.len() as u64).await;
    });
}

#[test]
fn the_transfer_goes_on_when_the_relay_is_killed_and_others_join_when_it_is_back() {
    run(async |mut scene| {
        let (first, second) = (scene.node().await, scene.node().early().await);
        let content = content(40_000_000, 0);
        let share = first.share(&content).await;
        let file = second.file(&share).await;
        scene.relay.stop().await;
        assert_eq!(read(&file).await, content);
        until("the loss is noticed", || {
            first.stats().state != JoinState::Joined
        })
        .await;

        scene.relay.restart().await;
        first.joined().await;
        let third = scene.node().early().await;
        assert_eq!(third.fetch(&share).await, content);
    });
}

#[test]
fn links_that_lead_nowhere_say_so() {
    run(async |scene| {
        let (first, second) = scene.pair().await;
        let code = |error: Result<File<MemoryStore>, Error>| error.map(|_| ()).unwrap_err().code();
        assert_eq!(code(second.open("hello").await), "BAD_LINK");
        assert_eq!(code(second.open("#/f/bafkr4ic").await), "BAD_LINK");

        let share = first.share(&content(300_000, 0)).await;
        let wrong = format!(
            "#/f/{}?k={}",
            blob_cid(share.blob),
            data_encoding::BASE64URL_NOPAD.encode(&[7; 32])
        );
        assert_eq!(code(second.open(&wrong).await), "WRONG_KEY");
        let gone = || second.swarms().is_empty();
        until("nothing is kept that nobody could read", gone).await;
        // The right link works afterwards.
        assert_eq!(second.fetch(&share).await, content(300_000, 0));

        let unknown = blob_cid(gyre::proto::types::BlobHash([9; 32]));
        assert_eq!(
            code(second.open(&format!("#/f/{unknown}")).await),
            "NOT_FOUND"
        );
        let failed = || {
            second
                .swarms()
                .iter()
                .any(|swarm| swarm.cid == unknown && swarm.state == TransferState::Failed)
        };
        until("shown as failed", failed).await;
    });
}

#[test]
fn a_pair_without_a_path_says_so() {
    run(async |scene| {
        scene.network.set_unreachable(true);
        let (first, second) = (scene.node().await, scene.node().early().await);
        let share = first.share(&content(300_000, 0)).await;
        let link = share.link.fragment();
        let opening = second.open(&link);
        let told = until("the reason is shown", || {
            second
                .peers()
                .iter()
                .any(|peer| peer.via != Via::Direct && peer.detail.contains("No direct link"))
        });
        // It comes through the relay all the same; the reason stays to be seen.
        let (opened, ()) = tokio::join!(opening, told);
        opened.unwrap();
    });
}

async fn loop_until_error(file: &File<MemoryStore>) -> Error {
    let mut at = 0;
    while at < file.size() {
        match file.read(at, 100_000).await {
            Ok(bytes) => at += bytes.len() as u64,
            Err(error) => return error,
        }
    }
    panic!("all of it was read")
}

#[test]
fn a_full_store_pauses_and_resumes_when_room_is_made() {
    run(async |scene| {
        let (first, second) = (scene.node().await, scene.node().early().await);
        second.set_quota(1_000_000).await.unwrap();
        let content = content(4_000_000, 0);
        let share = first.share(&content).await;
        // Which chunks still fit is chance, so it may be the opening or the reading that fails, sooner or later.
        let error = match second.open(&share.link.fragment()).await {
            Ok(file) => loop_until_error(&file).await,
            Err(error) => error,
        };
        assert!(
            matches!(error, Error::Store(StoreError::QuotaExceeded)),
            "{error}"
        );
        let state = || second.info(&share).map(|info| info.state);
        until("shown as failed", || state() == Some(TransferState::Failed)).await;

        second.set_quota(10_000_000).await.unwrap();
        second.set_paused(share.blob, false).await.unwrap();
        assert_eq!(second.fetch(&share).await, content);
    });
}

#[test]
fn a_node_resumes_what_it_had() {
    run(async |scene| {
        let first = scene.node().await;
        let content = content(8_000_000, 0);
        let share = first.share(&content).await;
        let store = MemoryStore::new();
        let second = scene.node().on(&store).silent().early().await;
        let file = second.file(&share).await;
        file.read(1_000_000, 10).await.unwrap();
        second.stop().await;

        let store = store.reopen();
        assert_eq!(store.rows().await.unwrap().len(), 1);
        let again = scene.node().on(&store).silent().early().await;
        assert_eq!(again.peer_id(), second.peer_id(), "the identity is kept");
        again.complete(&share).await;
        let info = again.info(&share).unwrap();
        assert_eq!(info.name.as_deref(), Some("a file.bin"));
        assert_eq!(info.fragment, Some(share.link.fragment()));
        assert!(
            info.down < content.len() as u64,
            "chunks that were there are not fetched again"
        );
    });
}

#[test]
fn a_pause_outlives_a_reload() {
    run(async |scene| {
        let first = scene.node().await;
        let content = content(30_000_000, 0);
        let share = first.share(&content).await;
        let store = MemoryStore::new();
        let second = scene.node().on(&store).silent().early().await;
        // Slow enough for the pause to come before the end.
        let slow = Limits {
            down_rate: Some(4_000_000),
            ..Limits::default()
        };
        second.set_limits(slow).await.unwrap();
        second.file(&share).await;
        second.set_paused(share.blob, true).await.unwrap();
        second.stop().await;

        let again = scene.node().on(&store.reopen()).silent().await;
        again.set_limits(Limits::default()).await.unwrap();
        tokio::time::sleep(Duration::from_secs(1)).await;
        let info = again.info(&share).unwrap();
        assert_eq!(info.state, TransferState::Paused);
        assert_eq!(again.stats().down, 0);
        again.set_paused(share.blob, false).await.unwrap();
        again.complete(&share).await;
    });
}

#[test]
fn a_blob_removed_while_it_is_fetched_can_be_fetched_again() {
    run(async |scene| {
        let (first, second) = (scene.node().await, scene.node().early().await);
        let content = content(20_000_000, 0);
        let share = first.share(&content).await;
        for _ in 0..3 {
            second.file(&share).await;
            second.remove(share.blob).await.unwrap();
        }
        assert_eq!(second.fetch(&share).await, content);
        second.complete(&share).await;
    });
}

#[test]
fn several_sources_share_the_work() {
    run(async |scene| {
        let first = scene.node().await;
        let content = content(20_000_000, 0);
        let share = first.share(&content).await;
        let second = scene.node().early().await;
        second.fetch(&share).await;
        second.complete(&share).await;
        let third = scene.node().early().await;
        tokio::time::sleep(Duration::from_millis(500)).await;
        assert_eq!(third.fetch(&share).await, content);
        until("both have given", || {
            third.peers().iter().filter(|peer| peer.down > 0).count() == 2
        })
        .await;
        let down = third.stats().down;
        assert!(
            down < content.len() as u64 * 11 / 10,
            "{down} bytes for {}",
            content.len()
        );
    });
}
