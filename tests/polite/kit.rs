//! Nodes that these tests can stop, start again and fill.

use std::future::Future;
use std::time::Duration;

use bytes::Bytes;
use futures::StreamExt;
use gyre::net::transport;
use gyre::net::transport::webrtc::rtc::mem::MemNetwork;
use gyre::node::snapshot::{JoinState, SwarmInfo, TransferState};
use gyre::node::{Config, File, ImportOptions, MAX_READ, Node, Share};
use gyre::proto::link::blob_cid;
use gyre::proto::share::ShareHeader;
use gyre::relay::{self, Listen, Relay, Stun};
use gyre::store::memory::MemoryStore;

/// Most of this takes seconds; a loaded machine takes longer.
const PATIENCE: Duration = Duration::from_secs(300);

pub type Peer = Node<MemoryStore>;

pub struct Scene {
    pub relay: Relay,
    pub network: MemNetwork,
    _data: tempfile::TempDir,
}

pub fn run<F: Future<Output = ()>>(test: impl FnOnce(Scene) -> F) {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .unwrap();
    let local = tokio::task::LocalSet::new();
    local.block_on(&runtime, async {
        let data = tempfile::tempdir().unwrap();
        let config = relay::Config {
            listen: Listen::At(vec!["127.0.0.1:0".parse().unwrap()]),
            stun: Stun::Off,
            ..relay::Config::local(data.path().to_path_buf())
        };
        let scene = Scene {
            relay: relay::start(config).await.unwrap(),
            network: MemNetwork::new(),
            _data: data,
        };
        tokio::time::timeout(PATIENCE, test(scene))
            .await
            .expect("ends in time")
    });
}

impl Scene {
    /// A node that has not been asked whether it sends.
    pub async fn silent(&self, store: MemoryStore) -> Peer {
        self.with(store, Config::default()).await
    }

    pub async fn with(&self, store: MemoryStore, config: Config) -> Peer {
        let config = Config {
            relays: vec![self.relay.address().clone()],
            ..config
        };
        let network = self.network.clone();
        Node::start(config, store, move |key, webrtc| {
            transport::build(key, webrtc, network)
        })
        .await
        .unwrap()
    }

    /// One that may send, and has joined.
    pub async fn node(&self) -> Peer {
        self.node_on(MemoryStore::new()).await
    }

    pub async fn node_on(&self, store: MemoryStore) -> Peer {
        let node = self.silent(store).await;
        node.set_upload(true).await.unwrap();
        joined(&node).await;
        node
    }
}

pub async fn until(what: &str, mut ready: impl FnMut() -> bool) {
    for _ in 0..2400 {
        if ready() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    panic!("never: {what}");
}

pub async fn joined(node: &Peer) {
    until("joined", || node.stats().state == JoinState::Joined).await;
}

/// Bytes that differ from seed to seed and from place to place.
pub fn content(size: usize, seed: usize) -> Bytes {
    (0..size)
        .map(|at| ((at + seed * 7_919).wrapping_mul(2_654_435_761) >> 13) as u8)
        .collect::<Vec<_>>()
        .into()
}

pub fn pieces(content: &Bytes) -> impl futures::Stream<Item = Result<Bytes, String>> + use<> {
    let pieces: Vec<_> = content
        .chunks(100_000)
        .map(|piece| Ok(Bytes::copy_from_slice(piece)))
        .collect();
    futures::stream::iter(pieces)
}

pub async fn share(node: &Peer, content: &Bytes) -> Share {
    share_as(node, content, false).await
}

pub async fn share_as(node: &Peer, content: &Bytes, public: bool) -> Share {
    let options = ImportOptions {
        header: ShareHeader::cleaned("a file.bin", "application/x-test"),
        public,
    };
    node.import(pieces(content), options, |_| {}).await.unwrap()
}

pub async fn read(file: &File<MemoryStore>) -> Bytes {
    let mut whole = Vec::new();
    while (whole.len() as u64) < file.size() {
        whole.extend_from_slice(&file.read(whole.len() as u64, MAX_READ).await.unwrap());
    }
    whole.into()
}

pub fn info(node: &Peer, share: &Share) -> Option<SwarmInfo> {
    let cid = blob_cid(share.blob);
    node.swarms().into_iter().find(|swarm| swarm.cid == cid)
}

pub async fn complete(node: &Peer, share: &Share) {
    let done = || info(node, share).is_some_and(|info| info.state == TransferState::Complete);
    until("complete", done).await;
}

/// Everything that an export hands out.
pub async fn exported(node: &Peer, share: &Share) -> Bytes {
    let export = node.export(share.blob).await.unwrap();
    let pieces: Vec<_> = export.stream().map(|piece| piece.unwrap()).collect().await;
    let whole = pieces.concat();
    assert_eq!(whole.len() as u64, export.len());
    whole.into()
}
