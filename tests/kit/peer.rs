//! A node of a scene: how it starts, and what tests ask of it.

use std::future::IntoFuture;
use std::ops::Deref;

use bytes::Bytes;
use futures::StreamExt;
use futures::future::{FutureExt, LocalBoxFuture};
use gyre::net::transport;
use gyre::net::transport::webrtc;
use gyre::net::transport::webrtc::rtc::mem::MemNetwork;
use gyre::node::snapshot::{JoinState, PeerInfo, SwarmInfo, TransferState, Via};
use gyre::node::{Config, File, ImportOptions, MAX_READ, Node, Share};
use gyre::proto::link::blob_cid;
use gyre::proto::share::ShareHeader;
use gyre::store::memory::MemoryStore;

use super::{RelayHost, until};

/// What the files that tests share are called, and their media type.
pub const NAME: &str = "a file.bin";
pub const MEDIA_TYPE: &str = "application/x-test";

/// A node that is about to start; awaiting it starts it.
pub struct Newcomer {
    config: Config,
    store: MemoryStore,
    network: MemNetwork,
    links: Box<dyn FnOnce(&mut webrtc::Config)>,
    sends: bool,
    joins: bool,
}

impl Newcomer {
    pub(super) fn new(network: &MemNetwork, relay: &RelayHost) -> Self {
        Self {
            config: Config {
                relays: vec![relay.address().clone()],
                ..Config::default()
            },
            store: MemoryStore::new(),
            network: network.clone(),
            links: Box::new(|_| ()),
            sends: true,
            joins: true,
        }
    }

    /// On a store that the test keeps a hand on; the clones of a `MemoryStore` are one store.
    pub fn on(mut self, store: &MemoryStore) -> Self {
        self.store = store.clone();
        self
    }

    /// At these relays instead of the scene's.
    pub fn at(mut self, relays: &[&RelayHost]) -> Self {
        self.config.relays = relays.iter().map(|relay| relay.address().clone()).collect();
        self
    }

    /// On a network of its own: it reaches relays, and no other node.
    pub fn apart(mut self) -> Self {
        self.network = MemNetwork::new();
        self
    }

    /// With something else set otherwise.
    pub fn with(mut self, change: impl FnOnce(&mut Config)) -> Self {
        change(&mut self.config);
        self
    }

    /// With other settings of its links.
    pub fn links(mut self, change: impl FnOnce(&mut webrtc::Config) + 'static) -> Self {
        self.links = Box::new(change);
        self
    }

    /// It has not been asked whether it sends.
    pub fn silent(mut self) -> Self {
        self.sends = false;
        self
    }

    /// Handed out at once, before it has joined.
    pub fn early(mut self) -> Self {
        self.joins = false;
        self
    }
}

impl IntoFuture for Newcomer {
    type Output = Peer;
    type IntoFuture = LocalBoxFuture<'static, Peer>;

    fn into_future(self) -> Self::IntoFuture {
        async move {
            let (network, links) = (self.network, self.links);
            let node = Node::start(self.config, self.store, move |key, mut webrtc| {
                links(&mut webrtc);
                transport::build(key, webrtc, network)
            });
            let peer = Peer(node.await.unwrap());
            if self.sends {
                peer.set_upload(true).await.unwrap();
            }
            if self.joins {
                peer.joined().await;
            }
            peer
        }
        .boxed_local()
    }
}

/// A running node, and what tests ask of it besides.
#[derive(Clone)]
pub struct Peer(Node<MemoryStore>);

impl Deref for Peer {
    type Target = Node<MemoryStore>;

    fn deref(&self) -> &Self::Target {
        &self.0
    }
}

impl Peer {
    /// Waits until it has a relay.
    pub async fn joined(&self) {
        until("joined", || self.stats().state == JoinState::Joined).await;
    }

    /// Shares a file, encrypted.
    pub async fn share(&self, content: &Bytes) -> Share {
        self.share_as(content, false).await
    }

    /// Shares a file, public or encrypted.
    pub async fn share_as(&self, content: &Bytes, public: bool) -> Share {
        let options = ImportOptions {
            header: ShareHeader::cleaned(NAME, MEDIA_TYPE),
            public,
        };
        self.import(pieces(content), options, |_| {}).await.unwrap()
    }

    /// Opens a share, as whoever has its link.
    pub async fn file(&self, share: &Share) -> File<MemoryStore> {
        self.open(&share.link.fragment()).await.unwrap()
    }

    /// Opens a share and reads all of it.
    pub async fn fetch(&self, share: &Share) -> Bytes {
        read(&self.file(share).await).await
    }

    /// What is shown of a share, if anything of it is here.
    pub fn info(&self, share: &Share) -> Option<SwarmInfo> {
        let cid = blob_cid(share.blob);
        self.swarms().into_iter().find(|swarm| swarm.cid == cid)
    }

    /// Waits until all of a share is durable here.
    pub async fn complete(&self, share: &Share) {
        let state = || self.info(share).map(|info| info.state);
        until("complete", || state() == Some(TransferState::Complete)).await;
    }

    /// What is shown of another.
    pub fn seen(&self, other: &Peer) -> Option<PeerInfo> {
        let id = other.peer_id().to_string();
        self.peers().into_iter().find(|peer| peer.peer_id == id)
    }

    /// Whether there is a direct link to another.
    pub fn is_linked(&self, other: &Peer) -> bool {
        self.seen(other).is_some_and(|peer| peer.via == Via::Direct)
    }

    /// How many direct links there are.
    pub fn links(&self) -> usize {
        let peers = self.peers();
        peers.iter().filter(|peer| peer.via == Via::Direct).count()
    }

    /// Everything that an export hands out.
    pub async fn exported(&self, share: &Share) -> Bytes {
        let export = self.export(share.blob).await.unwrap();
        let pieces: Vec<_> = export.stream().map(|piece| piece.unwrap()).collect().await;
        let whole = pieces.concat();
        assert_eq!(whole.len() as u64, export.len());
        whole.into()
    }
}

/// A file as a page hands it in.
pub fn pieces(content: &Bytes) -> impl futures::Stream<Item = Result<Bytes, String>> + use<> {
    let pieces: Vec<_> = content
        .chunks(100_000)
        .map(|piece| Ok(Bytes::copy_from_slice(piece)))
        .collect();
    futures::stream::iter(pieces)
}

/// All of a file.
pub async fn read(file: &File<MemoryStore>) -> Bytes {
    let mut whole = Vec::new();
    while (whole.len() as u64) < file.size() {
        whole.extend_from_slice(&file.read(whole.len() as u64, MAX_READ).await.unwrap());
    }
    whole.into()
}
