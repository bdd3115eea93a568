//! Nodes that lose their relays: what has formed goes on finding, linking and fetching.
//!
//! Whole nodes and real relays over loopback websockets; only WebRTC itself is the in-memory backend.

#![cfg(not(target_arch = "wasm32"))]
#![allow(clippy::unwrap_used)]

use std::future::Future;
use std::time::Duration;

use bytes::Bytes;
use gyre::net::transport;
use gyre::net::transport::webrtc::rtc::mem::MemNetwork;
use gyre::node::snapshot::{JoinState, RelayState, Via};
use gyre::node::{Config, File, ImportOptions, MAX_READ, Node, Share};
use gyre::proto::share::ShareHeader;
use gyre::relay::{self, Listen, Relay, Stun};
use gyre::store::memory::MemoryStore;
use libp2p::Multiaddr;

/// Most of this takes some seconds; a loaded machine takes longer.
const PATIENCE: Duration = Duration::from_secs(400);

/// Nodes become servers of the peers' index sooner than in life.
const SERVE_AFTER: Duration = Duration::from_millis(500);

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

async fn a_relay() -> (Relay, tempfile::TempDir) {
    let data = tempfile::tempdir().unwrap();
    let config = relay::Config {
        listen: Listen::At(vec!["127.0.0.1:0".parse().unwrap()]),
        stun: Stun::Off,
        ..relay::Config::local(data.path().to_path_buf())
    };
    (relay::start(config).await.unwrap(), data)
}

async fn node_at(relays: &[&Relay], network: &MemNetwork, store: MemoryStore) -> Node<MemoryStore> {
    let relays = relays.iter().map(|relay| relay.address().clone()).collect();
    node_told(relays, network, store).await
}

async fn node_told(
    relays: Vec<Multiaddr>,
    network: &MemNetwork,
    store: MemoryStore,
) -> Node<MemoryStore> {
    let config = Config {
        relays,
        serve_after: Some(SERVE_AFTER),
        ..Config::default()
    };
    let network = network.clone();
    let node = Node::start(config, store, move |key, webrtc| {
        transport::build(key, webrtc, network)
    })
    .await
    .unwrap();
    node.set_upload(true).await.unwrap();
    node
}

async fn until(what: &str, mut ready: impl FnMut() -> bool) {
    for _ in 0..4000 {
        if ready() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    panic!("never: {what}");
}

fn links(node: &Node<MemoryStore>) -> usize {
    node.peers()
        .iter()
        .filter(|peer| peer.via == Via::Direct)
        .count()
}

fn is_linked(node: &Node<MemoryStore>, other: &Node<MemoryStore>) -> bool {
    let other = other.peer_id().to_string();
    node.peers()
        .iter()
        .any(|peer| peer.peer_id == other && peer.via == Via::Direct)
}

fn content(seed: usize, size: usize) -> Bytes {
    (seed..seed + size)
        .map(|at| (at.wrapping_mul(2_654_435_761) >> 13) as u8)
        .collect::<Vec<_>>()
        .into()
}

async fn share(node: &Node<MemoryStore>, content: &Bytes) -> Share {
    let options = ImportOptions {
        header: ShareHeader::cleaned("a file.bin", "application/x-test"),
        public: false,
    };
    node.import(
        futures::stream::iter([Ok(content.clone())]),
        options,
        |_| {},
    )
    .await
    .unwrap()
}

/// Opens a link as a person does who tries again when told that nobody was found.
async fn open(node: &Node<MemoryStore>, link: &str) -> File<MemoryStore> {
    loop {
        match node.open(link).await {
            Ok(file) => return file,
            Err(error) => assert!(["NOT_FOUND", "NO_RELAY"].contains(&error.code()), "{error}"),
        }
    }
}

async fn read(file: &File<MemoryStore>) -> Bytes {
    let mut whole = Vec::new();
    while (whole.len() as u64) < file.size() {
        whole.extend_from_slice(&file.read(whole.len() as u64, MAX_READ).await.unwrap());
    }
    whole.into()
}

#[test]
fn two_that_share_no_relay_are_introduced_by_their_peers() {
    run(async {
        let (one, _data_one) = a_relay().await;
        let (other, _data_other) = a_relay().await;
        let network = MemNetwork::new();
        let first = node_at(&[&one], &network, MemoryStore::new()).await;
        let second = node_at(&[&other], &network, MemoryStore::new()).await;
        let both = [&one, &other];
        let common = [
            node_at(&both, &network, MemoryStore::new()).await,
            node_at(&both, &network, MemoryStore::new()).await,
        ];
        until("everybody has the two in common as neighbours", || {
            common
                .iter()
                .all(|peer| is_linked(peer, &first) && is_linked(peer, &second))
        })
        .await;
        one.shutdown().await;
        other.shutdown().await;
        until("told so", || {
            [&first, &second]
                .iter()
                .all(|node| node.stats().state == JoinState::Peers)
        })
        .await;

        // Those in common may have introduced them already; if not, they do so now.
        let content = content(1, 1_000_000);
        let share = share(&first, &content).await;
        let file = open(&second, &share.link.fragment()).await;
        assert_eq!(read(&file).await, content);
        assert!(is_linked(&first, &second));
    });
}

#[test]
fn a_relay_that_is_remembered_or_heard_of_stands_in_for_those_that_are_gone() {
    run(async {
        let (one, _data_one) = a_relay().await;
        let (other, _data_other) = a_relay().await;
        let network = MemNetwork::new();
        let store = MemoryStore::new();
        let first = node_at(&[&one, &other], &network, store.clone()).await;
        let heard_store = MemoryStore::new();
        let second = node_at(&[&one], &network, heard_store.clone()).await;
        until("both relays hold a reservation", || {
            first
                .stats()
                .relays
                .iter()
                .all(|relay| relay.state == RelayState::Reserved)
        })
        .await;
        // A session, in which the first tells the second where it can be met: at the other relay too.
        let content = content(3, 300_000);
        let share = share(&first, &content).await;
        let file = open(&second, &share.link.fragment()).await;
        assert_eq!(read(&file).await, content);
        tokio::time::sleep(Duration::from_secs(2)).await;
        first.stop().await;
        second.stop().await;
        let gone = vec![one.address().clone()];
        one.shutdown().await;

        let again = node_told(gone.clone(), &network, store.reopen()).await;
        let heard = node_told(gone, &network, heard_store.reopen()).await;
        for (name, node) in [("remembered", again), ("heard of", heard)] {
            until(name, || node.stats().state == JoinState::Joined).await;
            let reserved = |state| state == RelayState::Reserved;
            let relays = node.stats().relays;
            assert_eq!(relays.len(), 2);
            assert!(
                relays
                    .iter()
                    .any(|relay| reserved(relay.state)
                        && relay.address == other.address().to_string())
            );
        }
    });
}

#[test]
fn twenty_nodes_go_on_without_any_relay() {
    run(async {
        let (relay, _data) = a_relay().await;
        let network = MemNetwork::new();
        let mut nodes = Vec::new();
        for _ in 0..20 {
            nodes.push(node_at(&[&relay], &network, MemoryStore::new()).await);
        }
        until("everybody has neighbours", || {
            nodes.iter().all(|node| links(node) >= 2)
        })
        .await;
        relay.shutdown().await;
        until("everybody says so", || {
            nodes
                .iter()
                .all(|node| node.stats().state == JoinState::Peers)
        })
        .await;

        // New blobs, at nodes of which the others knew nothing but that they are there.
        for round in 0..5 {
            let content = content(round, 600_000);
            let share = share(&nodes[round * 4], &content).await;
            for reader in [round * 4 + 1, (round * 7 + 10) % 20, (round * 3 + 19) % 20] {
                let file = open(&nodes[reader], &share.link.fragment()).await;
                assert_eq!(read(&file).await, content, "round {round}, node {reader}");
            }
        }

        // The first seed leaves, and so do others: what it shared is still found.
        let content = content(77, 600_000);
        let share = share(&nodes[0], &content).await;
        for reader in [5, 11] {
            let file = open(&nodes[reader], &share.link.fragment()).await;
            assert_eq!(read(&file).await, content);
        }
        for gone in [0, 1, 2, 3] {
            nodes[gone].stop().await;
        }
        let file = open(&nodes[16], &share.link.fragment()).await;
        assert_eq!(read(&file).await, content);
    });
}
