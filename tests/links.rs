//! What becomes of pairs of nodes whose networks have no path, lose it, or have it again: whole nodes and a real relay over loopback
//! websockets; only WebRTC itself is the in-memory backend.

#![cfg(not(target_arch = "wasm32"))]
#![allow(clippy::unwrap_used)]

use std::future::Future;
use std::time::Duration;

use bytes::Bytes;
use gyre::net::transport;
use gyre::net::transport::webrtc::rtc::mem::MemNetwork;
use gyre::node::snapshot::{JoinState, PeerInfo, Via};
use gyre::node::{Config, File, ImportOptions, MAX_READ, Node};
use gyre::proto::share::ShareHeader;
use gyre::relay::{self, Listen, Relay, Stun};
use gyre::store::memory::MemoryStore;

/// Attempts that come to nothing take some seconds each; a loaded machine takes longer.
const PATIENCE: Duration = Duration::from_secs(240);

/// How long an attempt may take here: the in-memory backend connects at once or never.
const ATTEMPT: Duration = Duration::from_secs(3);

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

async fn node(relay: &Relay, network: &MemNetwork) -> Node<MemoryStore> {
    let config = Config {
        relays: vec![relay.address().clone()],
        ..Config::default()
    };
    let network = network.clone();
    let node = Node::start(config, MemoryStore::new(), move |key, mut webrtc| {
        webrtc.handshake_timeout = ATTEMPT;
        transport::build(key, webrtc, network)
    })
    .await
    .unwrap();
    node.set_upload(true).await.unwrap();
    until("joined", || node.stats().state == JoinState::Joined).await;
    node
}

async fn until(what: &str, mut ready: impl FnMut() -> bool) {
    for _ in 0..1200 {
        if ready() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    panic!("never: {what}");
}

async fn share(node: &Node<MemoryStore>, content: &Bytes) -> String {
    let options = ImportOptions {
        header: ShareHeader::cleaned("a file.bin", "application/x-test"),
        public: false,
    };
    let pieces = content
        .chunks(100_000)
        .map(|piece| Ok(Bytes::copy_from_slice(piece)));
    let pieces: Vec<_> = pieces.collect();
    let share = node.import(futures::stream::iter(pieces), options, |_| {});
    share.await.unwrap().link.url("http://localhost:8080")
}

fn content(size: usize) -> Bytes {
    let byte = |at: usize| (at.wrapping_mul(2_654_435_761) >> 13) as u8;
    (0..size).map(byte).collect::<Vec<_>>().into()
}

async fn read(file: &File<MemoryStore>) -> Bytes {
    let mut whole = Vec::new();
    while (whole.len() as u64) < file.size() {
        whole.extend_from_slice(&file.read(whole.len() as u64, MAX_READ).await.unwrap());
    }
    whole.into()
}

fn seen(of: &Node<MemoryStore>, by: &Node<MemoryStore>) -> Option<PeerInfo> {
    let id = of.peer_id().to_string();
    by.peers().into_iter().find(|peer| peer.peer_id == id)
}

#[test]
fn a_pair_without_a_path_goes_through_the_relay_and_says_so_until_there_is_one() {
    run(async {
        let (relay, _data) = a_relay().await;
        let network = MemNetwork::new();
        // From the start, or they would have linked as neighbours.
        network.set_unreachable(true);
        let (seed, leech) = (node(&relay, &network).await, node(&relay, &network).await);
        let content = content(700_000);
        let link = share(&seed, &content).await;
        let file = leech.open(&link).await.unwrap();
        assert_eq!(read(&file).await, content);
        until("the figures", || {
            seen(&seed, &leech).is_some_and(|peer| peer.down >= content.len() as u64)
        })
        .await;
        let peer = seen(&seed, &leech).unwrap();
        assert_eq!(peer.via, Via::Relayed);
        assert!(peer.detail.contains("through the relay"), "{}", peer.detail);
        assert_eq!(network.sent(), (0, 0), "nothing went directly");

        // A path appears: when the pair may be tried again a file goes directly, and nothing is left of the other way.
        network.set_unreachable(false);
        let direct = || {
            seen(&seed, &leech)
                .is_some_and(|peer| peer.via == Via::Direct && peer.detail.is_empty())
        };
        for from in 1.. {
            let more = content.slice(from..);
            let link = share(&seed, &more).await;
            let file = leech.open(&link).await.unwrap();
            assert_eq!(read(&file).await, more);
            if direct() {
                break;
            }
            tokio::time::sleep(ATTEMPT).await;
        }
        assert!(network.sent().1 > 0);
    });
}

#[test]
fn a_transfer_goes_on_over_a_new_link_when_the_path_of_the_old_one_is_lost() {
    run(async {
        let (relay, _data) = a_relay().await;
        let network = MemNetwork::new();
        let (seed, leech) = (node(&relay, &network).await, node(&relay, &network).await);
        let content = content(6_000_000);
        let link = share(&seed, &content).await;
        let file = leech.open(&link).await.unwrap();
        until("direct", || {
            seen(&seed, &leech).is_some_and(|peer| peer.via == Via::Direct)
        })
        .await;
        network.cut();
        let began = std::time::Instant::now();
        assert_eq!(read(&file).await, content);
        // Sooner than the old connection was given up, which takes 15 s; slow machines get no verdict.
        println!("went on and ended after {:?}", began.elapsed());
        let peer = seen(&seed, &leech).unwrap();
        assert_eq!(peer.via, Via::Direct);
        until("the old link's end", || network.open_peers() == 2).await;
    });
}
