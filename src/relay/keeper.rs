//! The keeper beside a relay: a node of its own that keeps sites on disk and serves them through the relay's port.
//!
//! It has an identity and a store of its own and knows the relay as any node does. Others reach it at the relay's public addresses,
//! under the path [`KEEPER_PATH`]: the relay's HTTP side hands those websockets over, so that TLS, proxies and limits are the
//! relay's. What it keeps is what its operator pinned and what it is asked for ([`proto::keeping`](crate::proto::keeping)); names are
//! followed, and a version is let go of only when the next one is here whole.

mod sites;

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::rc::Rc;
use std::sync::Arc;

use futures::StreamExt;
use libp2p::multiaddr::Protocol;
use libp2p::{Multiaddr, PeerId};
use tokio::sync::{oneshot, watch};

use super::metrics::Metrics;
use super::stopped;
use super::ws_listener::WsListener;
use crate::net::transport;
use crate::node::keepers::Asked;
use crate::node::{self, Node};
use crate::proto::address::Address;
use crate::proto::denylist::Denylist;
use crate::store::StoreError;
use crate::store::disk::DiskStore;

use sites::Sites;

/// What a keeper keeps.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct KeeperConfig {
    /// Sites that are kept whatever happens.
    pub pins: Vec<Address>,
    /// Bytes of what others ask for; with 0 nobody is listened to.
    pub keep: u64,
    /// The file of its store; by default `keeper.redb` in the relay's data directory.
    pub store: Option<PathBuf>,
}

impl KeeperConfig {
    /// Whether there is anything to be done.
    pub fn is_wanted(&self) -> bool {
        self.keep > 0 || !self.pins.is_empty()
    }
}

/// Why a keeper did not start.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum KeeperError {
    /// Its store cannot be opened.
    #[error("the keeper's store: {0}")]
    Store(#[from] StoreError),
    /// The node did not start.
    #[error("the keeper: {0}")]
    Node(#[from] node::Error),
    /// The bridge on it did not start.
    #[cfg(feature = "bridge")]
    #[error(transparent)]
    Bridge(#[from] super::BridgeError),
    /// The system gave no thread.
    #[error("the keeper: {0}")]
    Thread(#[from] std::io::Error),
}

/// What a keeper is started with.
pub(super) struct Start {
    pub config: KeeperConfig,
    pub store: PathBuf,
    /// Websockets that are handed over.
    pub sockets: WsListener,
    /// Addresses at which others reach it, without its name.
    pub announce: Vec<Multiaddr>,
    /// The relay, and others.
    pub relays: Vec<Multiaddr>,
    pub metrics: Arc<Metrics>,
    /// Work that the ids of custodians must show in this network, in bits.
    pub puzzle_bits: u8,
    /// What runs on it besides.
    #[cfg(feature = "bridge")]
    pub bridge: Option<super::bridge::Start>,
    /// What is not kept; marked as changed at first.
    pub denylist: watch::Receiver<Arc<Denylist>>,
    pub stop: watch::Receiver<bool>,
}

/// Starts a keeper on a thread of its own: a node stays on one. Gives its name, and what ends when it has ended.
pub(super) async fn start(start: Start) -> Result<(PeerId, oneshot::Receiver<()>), KeeperError> {
    let (ready, started) = oneshot::channel();
    let (ending, ended) = oneshot::channel::<()>();
    let work = move || {
        let _ending = ending;
        // Two: one for the node, one for what the connections compute.
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(2)
            .enable_all()
            .build();
        let runtime = match runtime {
            Ok(runtime) => runtime,
            Err(error) => return drop(ready.send(Err(error.into()))),
        };
        tokio::task::LocalSet::new().block_on(&runtime, async {
            match Keeper::begin(start).await {
                Ok(keeper) => {
                    let _ = ready.send(Ok(keeper.node.peer_id()));
                    keeper.run().await;
                }
                Err(error) => drop(ready.send(Err(error))),
            }
        });
    };
    std::thread::Builder::new()
        .name("keeper".into())
        .spawn(work)?;
    let peer = started
        .await
        .map_err(|_| node::Error::Internal("the keeper ended as it began".into()))??;
    Ok((peer, ended))
}

struct Keeper {
    node: Node<DiskStore>,
    sites: Rc<Sites>,
    pins: BTreeSet<Address>,
    metrics: Arc<Metrics>,
    denylist: watch::Receiver<Arc<Denylist>>,
    stop: watch::Receiver<bool>,
}

impl Keeper {
    async fn begin(start: Start) -> Result<Self, KeeperError> {
        let store = DiskStore::open(&start.store).await?;
        let config = node::Config {
            relays: start.relays,
            listen: start.announce.clone(),
            announce: start.announce,
            puzzle_bits: start.puzzle_bits,
            work_first: true,
            ..node::Config::default()
        };
        let sockets = start.sockets;
        let node = Node::start(config, store.clone(), |key, webrtc| {
            transport::sockets_behind(key, webrtc, sockets)
        })
        .await?;
        // Whoever runs a keeper means to serve what it keeps.
        node.set_upload(true).await?;
        let mut denylist = start.denylist;
        let first = denylist.borrow_and_update().clone();
        node.set_denylist(first).await?;
        #[cfg(feature = "bridge")]
        if let Some(bridge) = start.bridge {
            let stop = start.stop.clone();
            super::bridge::Bridge::start(bridge, node.clone(), store.clone(), stop).await?;
        }
        let sites = Sites::open(
            node.clone(),
            store,
            start.config.keep,
            start.metrics.clone(),
        )
        .await?;
        Ok(Self {
            node,
            sites: Rc::new(sites),
            pins: start.config.pins.into_iter().collect(),
            metrics: start.metrics,
            denylist,
            stop: start.stop,
        })
    }

    async fn run(mut self) {
        let mut asked = match self.node.be_keeper().await {
            Ok(asked) => asked,
            Err(error) => return tracing::error!(%error, "the keeper cannot begin"),
        };
        self.sites.begin(&self.pins).await;
        self.sites.drop_denied().await;
        let mut look = tokio::time::interval(LOOK);
        let mut sent = 0;
        loop {
            tokio::select! {
                Some(asked) = asked.next() => match asked {
                    Asked::Keep(address, peer) => self.sites.wish(address, peer),
                    Asked::Read(version) => self.sites.on_read(version),
                },
                Ok(()) = self.denylist.changed() => {
                    let denylist = self.denylist.borrow_and_update().clone();
                    if self.node.set_denylist(denylist).await.is_ok() {
                        self.sites.drop_denied().await;
                    }
                }
                _ = look.tick() => {
                    let up = self.node.stats().up;
                    self.metrics.keeper_sent.inc_by(up.saturating_sub(sent));
                    sent = up;
                    self.sites.count();
                    self.sites.remember().await;
                }
                () = stopped(&mut self.stop) => break,
            }
        }
        self.sites.end().await;
        self.node.stop().await;
    }
}

/// How often what is counted is told, and what changed is written down.
const LOOK: std::time::Duration = std::time::Duration::from_secs(1);

/// The keeper's address with its name.
pub(super) fn named(address: &Multiaddr, peer: PeerId) -> Multiaddr {
    address.clone().with(Protocol::P2p(peer))
}
