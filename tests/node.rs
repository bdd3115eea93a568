//! Whole nodes against a real relay over loopback websockets; only WebRTC itself is the in-memory backend.

#![cfg(not(target_arch = "wasm32"))]
#![allow(clippy::unwrap_used)]

use std::future::Future;
use std::time::Duration;

use bytes::Bytes;
use gyre::net::transport;
use gyre::net::transport::webrtc::rtc::mem::MemNetwork;
use gyre::node::snapshot::{JoinState, TransferState, Via};
use gyre::node::{Config, Error, File, ImportOptions, MAX_READ, Node, Share};
use gyre::proto::share::ShareHeader;
use gyre::relay::{self, Listen, Relay, Stun};
use gyre::store::memory::MemoryStore;
use gyre::store::{Store, StoreError};

/// Most of this takes a second or two, and half a minute where a verdict is waited for; a loaded machine takes longer.
const PATIENCE: Duration = Duration::from_secs(240);

fn run<F: Future<Output = ()>>(test: F) {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .unwrap();
    let local = tokio::task::LocalSet::new();
    local.block_on(&runtime, async {
        tokio::time::timeout(PATIENCE, test)
            .await
            .expect("ends in time")
    });
}

async fn relay_at(data: &tempfile::TempDir, address: &str) -> Relay {
    let config = relay::Config {
        listen: Listen::At(vec![address.parse().unwrap()]),
        stun: Stun::Off,
        ..relay::Config::local(data.path().to_path_buf())
    };
    relay::start(config).await.unwrap()
}

async fn a_relay() -> (Relay, tempfile::TempDir) {
    let data = tempfile::tempdir().unwrap();
    (relay_at(&data, "127.0.0.1:0").await, data)
}

async fn node_on(relay: &Relay, network: &MemNetwork, store: MemoryStore) -> Node<MemoryStore> {
    let config = Config {
        relays: vec![relay.address().clone()],
        ..Config::default()
    };
    let network = network.clone();
    Node::start(config, store, move |key, webrtc| {
        transport::build(key, webrtc, network)
    })
    .await
    .unwrap()
}

async fn node(relay: &Relay, network: &MemNetwork) -> Node<MemoryStore> {
    let node = node_on(relay, network, MemoryStore::new()).await;
    node.set_upload(true).await.unwrap();
    node
}

async fn until(what: &str, mut ready: impl FnMut() -> bool) {
    for _ in 0..600 {
        if ready() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    panic!("never: {what}");
}

async fn joined(node: &Node<MemoryStore>) {
    until("joined", || node.stats().state == JoinState::Joined).await;
}

fn content(size: usize) -> Bytes {
    (0..size)
        .map(|at| (at.wrapping_mul(2_654_435_761) >> 13) as u8)
        .collect::<Vec<_>>()
        .into()
}

async fn share(node: &Node<MemoryStore>, content: &Bytes, public: bool) -> Share {
    let pieces: Vec<_> = content
        .chunks(100_000)
        .map(|piece| Ok(Bytes::copy_from_slice(piece)))
        .collect();
    let options = ImportOptions {
        header: ShareHeader::cleaned("a file.bin", "application/x-test"),
        public,
    };
    node.import(futures::stream::iter(pieces), options, |_| {})
        .await
        .unwrap()
}

async fn read(file: &File<MemoryStore>) -> Bytes {
    let mut whole = Vec::new();
    while (whole.len() as u64) < file.size() {
        whole.extend_from_slice(&file.read(whole.len() as u64, MAX_READ).await.unwrap());
    }
    whole.into()
}

async fn complete(node: &Node<MemoryStore>, cid: &str) {
    until("complete", || {
        node.swarms()
            .iter()
            .any(|swarm| swarm.cid == cid && swarm.state == TransferState::Complete)
    })
    .await;
}

fn cid(share: &Share) -> String {
    gyre::proto::link::blob_cid(share.blob)
}

#[test]
fn a_file_passes_from_one_to_the_next_after_the_first_has_gone() {
    run(async {
        let (relay, _data) = a_relay().await;
        let network = MemNetwork::new();
        let first = node(&relay, &network).await;
        let second = node(&relay, &network).await;
        joined(&first).await;
        joined(&second).await;
        let content = content(5_000_000);
        let share = share(&first, &content, false).await;
        let link = share.link.url("http://localhost:8080");

        let file = second.open(&link).await.unwrap();
        assert_eq!(file.header().name(), "a file.bin");
        assert_eq!(file.header().media_type(), "application/x-test");
        assert_eq!(file.size(), content.len() as u64);
        assert_eq!(read(&file).await, content);
        complete(&second, &cid(&share)).await;
        let peers = second.peers();
        let seed = peers
            .iter()
            .find(|peer| peer.peer_id == first.peer_id().to_string())
            .unwrap();
        assert_eq!(seed.via, Via::Direct);
        assert!(seed.down >= content.len() as u64);

        first.stop().await;
        let third = node(&relay, &network).await;
        let file = third.open(&link).await.unwrap();
        assert_eq!(read(&file).await, content);
    });
}

#[test]
fn a_chart_tells_who_has_what_and_who_brought_it() {
    run(async {
        let (relay, _data) = a_relay().await;
        let network = MemNetwork::new();
        let (first, second) = (node(&relay, &network).await, node(&relay, &network).await);
        joined(&first).await;
        let content = content(5_000_000);
        let share = share(&first, &content, true).await;
        assert!(matches!(
            second.chart(share.blob).await,
            Err(Error::NotFound)
        ));
        let seeding = first.chart(share.blob).await.unwrap();
        assert_eq!(seeding.chunks, 20);
        assert_eq!(seeding.stored.0, vec![255; 20]);
        assert!(seeding.bringers.is_empty() && seeding.peers.is_empty());

        let _file = second.open(&share.link.fragment()).await.unwrap();
        complete(&second, &cid(&share)).await;
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
    run(async {
        let (relay, _data) = a_relay().await;
        let network = MemNetwork::new();
        let (first, second) = (node(&relay, &network).await, node(&relay, &network).await);
        joined(&first).await;
        for size in [0, 1, 256 * 1024, 256 * 1024 + 1, 1_000_000] {
            let content = content(size);
            let share = share(&first, &content, true).await;
            assert_eq!(share.blob.0, *blake3::hash(&content).as_bytes());
            let file = second.open(&share.link.fragment()).await.unwrap();
            assert_eq!(file.header().name(), "a file.bin");
            assert_eq!(read(&file).await, content, "{size} bytes");
        }
    });
}

#[test]
fn nothing_is_uploaded_before_the_person_agrees() {
    run(async {
        let (relay, _data) = a_relay().await;
        let network = MemNetwork::new();
        let first = node_on(&relay, &network, MemoryStore::new()).await;
        let second = node(&relay, &network).await;
        joined(&first).await;
        assert_eq!(first.stats().upload_allowed, None);
        let content = content(600_000);
        let share = share(&first, &content, false).await;
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
    run(async {
        let (relay, data) = a_relay().await;
        let address = relay.http_addr;
        let network = MemNetwork::new();
        let (first, second) = (node(&relay, &network).await, node(&relay, &network).await);
        joined(&first).await;
        let content = content(40_000_000);
        let share = share(&first, &content, false).await;
        let file = second.open(&share.link.fragment()).await.unwrap();
        relay.shutdown().await;
        assert_eq!(read(&file).await, content);
        until("the loss is noticed", || {
            first.stats().state != JoinState::Joined
        })
        .await;

        let relay = relay_at(&data, &address.to_string()).await;
        joined(&first).await;
        let third = node(&relay, &network).await;
        let file = third.open(&share.link.fragment()).await.unwrap();
        assert_eq!(read(&file).await, content);
    });
}

#[test]
fn links_that_lead_nowhere_say_so() {
    run(async {
        let (relay, _data) = a_relay().await;
        let network = MemNetwork::new();
        let (first, second) = (node(&relay, &network).await, node(&relay, &network).await);
        joined(&first).await;
        joined(&second).await;
        let code = |error: Result<File<MemoryStore>, Error>| error.map(|_| ()).unwrap_err().code();
        assert_eq!(code(second.open("hello").await), "BAD_LINK");
        assert_eq!(code(second.open("#/f/bafkr4ic").await), "BAD_LINK");

        let share = share(&first, &content(300_000), false).await;
        let wrong = format!(
            "#/f/{}?k={}",
            cid(&share),
            data_encoding::BASE64URL_NOPAD.encode(&[7; 32])
        );
        assert_eq!(code(second.open(&wrong).await), "WRONG_KEY");
        let gone = || second.swarms().is_empty();
        until("nothing is kept that nobody could read", gone).await;
        // The right link works afterwards.
        let file = second.open(&share.link.fragment()).await.unwrap();
        assert_eq!(read(&file).await, content(300_000));

        let unknown = gyre::proto::link::blob_cid(gyre::proto::types::BlobHash([9; 32]));
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
    run(async {
        let (relay, _data) = a_relay().await;
        let network = MemNetwork::new();
        network.set_unreachable(true);
        let (first, second) = (node(&relay, &network).await, node(&relay, &network).await);
        joined(&first).await;
        let share = share(&first, &content(300_000), false).await;
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
    run(async {
        let (relay, _data) = a_relay().await;
        let network = MemNetwork::new();
        let first = node(&relay, &network).await;
        let second = node(&relay, &network).await;
        second.set_quota(1_000_000).await.unwrap();
        joined(&first).await;
        let content = content(4_000_000);
        let share = share(&first, &content, false).await;
        // Which chunks still fit is chance, so it may be the opening or the reading that fails, sooner or later.
        let error = match second.open(&share.link.fragment()).await {
            Ok(file) => loop_until_error(&file).await,
            Err(error) => error,
        };
        assert!(
            matches!(error, Error::Store(StoreError::QuotaExceeded)),
            "{error}"
        );
        let failed = |node: &Node<MemoryStore>| {
            node.swarms()
                .iter()
                .any(|swarm| swarm.state == TransferState::Failed)
        };
        until("shown as failed", || failed(&second)).await;

        second.set_quota(10_000_000).await.unwrap();
        second.set_paused(share.blob, false).await.unwrap();
        let file = second.open(&share.link.fragment()).await.unwrap();
        assert_eq!(read(&file).await, content);
    });
}

#[test]
fn a_node_resumes_what_it_had() {
    run(async {
        let (relay, _data) = a_relay().await;
        let network = MemNetwork::new();
        let first = node(&relay, &network).await;
        joined(&first).await;
        let content = content(8_000_000);
        let share = share(&first, &content, false).await;
        let store = MemoryStore::new();
        let second = node_on(&relay, &network, store.clone()).await;
        let file = second.open(&share.link.fragment()).await.unwrap();
        file.read(1_000_000, 10).await.unwrap();
        second.stop().await;

        let store = store.reopen();
        assert_eq!(store.rows().await.unwrap().len(), 1);
        let again = node_on(&relay, &network, store).await;
        assert_eq!(again.peer_id(), second.peer_id(), "the identity is kept");
        complete(&again, &cid(&share)).await;
        let info = again.swarms().into_iter().next().unwrap();
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
    run(async {
        let (relay, _data) = a_relay().await;
        let network = MemNetwork::new();
        let first = node(&relay, &network).await;
        joined(&first).await;
        let content = content(30_000_000);
        let share = share(&first, &content, false).await;
        let store = MemoryStore::new();
        let second = node_on(&relay, &network, store.clone()).await;
        second.open(&share.link.fragment()).await.unwrap();
        second.set_paused(share.blob, true).await.unwrap();
        second.stop().await;

        let again = node_on(&relay, &network, store.reopen()).await;
        joined(&again).await;
        tokio::time::sleep(Duration::from_secs(1)).await;
        let info = again.swarms().into_iter().next().unwrap();
        assert_eq!(info.state, TransferState::Paused);
        assert_eq!(again.stats().down, 0);
        again.set_paused(share.blob, false).await.unwrap();
        complete(&again, &cid(&share)).await;
    });
}

#[test]
fn a_blob_removed_while_it_is_fetched_can_be_fetched_again() {
    run(async {
        let (relay, _data) = a_relay().await;
        let network = MemNetwork::new();
        let (first, second) = (node(&relay, &network).await, node(&relay, &network).await);
        joined(&first).await;
        let content = content(20_000_000);
        let share = share(&first, &content, false).await;
        for _ in 0..3 {
            second.open(&share.link.fragment()).await.unwrap();
            second.remove(share.blob).await.unwrap();
        }
        let file = second.open(&share.link.fragment()).await.unwrap();
        assert_eq!(read(&file).await, content);
        complete(&second, &cid(&share)).await;
    });
}

#[test]
fn several_sources_share_the_work() {
    run(async {
        let (relay, _data) = a_relay().await;
        let network = MemNetwork::new();
        let first = node(&relay, &network).await;
        joined(&first).await;
        let content = content(20_000_000);
        let share = share(&first, &content, false).await;
        let second = node(&relay, &network).await;
        read(&second.open(&share.link.fragment()).await.unwrap()).await;
        complete(&second, &cid(&share)).await;
        let third = node(&relay, &network).await;
        tokio::time::sleep(Duration::from_millis(500)).await;
        assert_eq!(
            read(&third.open(&share.link.fragment()).await.unwrap()).await,
            content
        );
        let sources = third.peers().iter().filter(|peer| peer.down > 0).count();
        assert_eq!(sources, 2, "{:#?}", third.peers());
        let down = third.stats().down;
        assert!(
            down < content.len() as u64 * 11 / 10,
            "{down} bytes for {}",
            content.len()
        );
    });
}
