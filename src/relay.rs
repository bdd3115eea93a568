//! The native relay as a library: it introduces browsers to each other and keeps the index of who holds what.
//!
//! One TCP port serves the app, `/bootstrap.json`, `/healthz`, `/metrics` and libp2p over websocket; one UDP port answers STUN.
//! [`start`] binds everything before it returns, so an error means that nothing runs, and [`Relay`] is the handle.
//! The relay stores its key, and mail if it is given room for it; circuits carry signalling, or a little content of a pair that has no other path, and
//! are short and small by [`Limits`].

mod addresses;
mod allowance;
mod app;
#[cfg(feature = "bridge")]
mod bridge;
mod client_address;
mod denylists;
mod http;
mod index;
mod keeper;
mod key;
mod links;
mod mailboxes;
mod metrics;
mod names;
mod rate;
mod seats;
mod server;
mod site;
mod stun;
mod swarm;
mod tls;
mod ws_listener;
mod ws_stream;

use std::io;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::PathBuf;
use std::sync::{Arc, RwLock};
use std::time::Duration;

use libp2p::multiaddr::Protocol;
use libp2p::{Multiaddr, PeerId};
use tokio::net::{TcpListener, UdpSocket};
use tokio::sync::{Semaphore, mpsc, watch};
use tokio::task::JoinSet;

pub use addresses::{Host, PublicAddress, PublicAddressSyntax};
pub use allowance::ByteRate;
#[cfg(feature = "bridge")]
pub use bridge::{BridgeConfig, BridgeError, BridgeLimits, SubmissionConfig};
pub use client_address::ClientAddress;
pub use denylists::DenylistFileError;
pub use keeper::{KeeperConfig, KeeperError};
pub use key::KeyError;
pub use rate::{Rate, RateSyntax};
pub use stun::answer as stun_answer;
pub use swarm::{INDEX_PROTOCOL, PROTOCOL_VERSION};
pub use tls::{TlsConfig, TlsError};

/// How a relay runs.
#[derive(Debug, Clone)]
pub struct Config {
    /// Where the one TCP port is.
    pub listen: Listen,
    /// Public addresses; empty for local use, where each visitor is told the address it used.
    pub advertise: Vec<PublicAddress>,
    /// Other relays to share the index with, each ending in `/p2p/<id>`.
    pub peers: Vec<Multiaddr>,
    /// Where STUN is answered.
    pub stun: Stun,
    /// STUN URLs to tell instead of the own responder's.
    pub stun_urls: Vec<String>,
    /// Directory of the built app.
    pub app: Option<PathBuf>,
    /// Directory of the key.
    pub data: PathBuf,
    /// Whose address counts.
    pub client_address: ClientAddress,
    /// TLS on the TCP port.
    pub tls: Option<TlsConfig>,
    /// What peers may use.
    pub limits: Limits,
    /// What the keeper beside it keeps, if there is to be one.
    pub keeper: KeeperConfig,
    /// Bytes of sealed mail that it keeps for its readers; with 0 it offers no mailboxes.
    pub mailboxes: u64,
    /// Work that the ids of those who keep mail must show in this network, in bits: told to pages, and searched for when the relay makes
    /// a key to keep mail itself.
    pub puzzle_bits: u8,
    /// Files of what is not introduced and not kept here, in the compact denylist format; later ones override earlier ones.
    pub denylists: Vec<PathBuf>,
    /// A bridge to SMTP.
    #[cfg(feature = "bridge")]
    pub bridge: Option<BridgeConfig>,
}

impl Config {
    /// A relay for this machine on `http://localhost:8080/`, with its key in `data`.
    pub fn local(data: PathBuf) -> Self {
        Self {
            listen: Listen::Localhost(DEFAULT_PORT),
            advertise: Vec::new(),
            peers: Vec::new(),
            stun: Stun::Auto(DEFAULT_STUN_PORT),
            stun_urls: Vec::new(),
            app: None,
            data,
            client_address: ClientAddress::direct(),
            tls: None,
            limits: Limits::default(),
            keeper: KeeperConfig::default(),
            mailboxes: 0,
            puzzle_bits: crate::proto::custody::region::PUZZLE_BITS,
            denylists: Vec::new(),
            #[cfg(feature = "bridge")]
            bridge: None,
        }
    }
}

/// Where to listen.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Listen {
    /// `127.0.0.1` at this port, and `::1` where there is one: browsers take `localhost` for either.
    Localhost(u16),
    /// Exactly these.
    At(Vec<SocketAddr>),
}

/// Where STUN is answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Stun {
    /// Nowhere.
    Off,
    /// This port, on loopback when the HTTP server is on loopback only, else on every address. A port in use is reported and
    /// the relay runs without.
    Auto(u16),
    /// Exactly these.
    At(Vec<SocketAddr>),
}

/// What peers may use. The defaults are for thousands of browsers; see `docs/relay.md` for what they cost.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Limits {
    /// Websockets open in all.
    pub max_connections: u32,
    /// Sockets open from one address, an IPv6 /64 being one.
    pub max_connections_per_ip: u32,
    /// Reservations in all. When it is reached renewals are refused as well, so it stands well above the expected peak.
    pub max_reservations: usize,
    /// Reservations of one peer, at least 1.
    pub max_reservations_per_peer: usize,
    /// How long a reservation lasts before it must be renewed.
    pub reservation_duration: Duration,
    /// Circuits open in all.
    pub max_circuits: usize,
    /// Circuits opened by one peer and open at once, at least 1.
    pub max_circuits_per_peer: usize,
    /// How long a circuit may last.
    pub circuit_duration: Duration,
    /// Bytes a circuit may carry, both ways together.
    pub circuit_bytes: u64,
    /// Bytes taken from the websockets of one address, what circuits carry included.
    pub bytes_per_ip: ByteRate,
    /// Reservations, and apart from them circuits, asked for from one address.
    pub rate_per_ip: Rate,
    /// Reservations, and apart from them circuits, asked for by one peer.
    pub rate_per_peer: Rate,
    /// Provider records held in all.
    pub max_provider_records: usize,
    /// How long a provider record lasts.
    pub provider_ttl: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            max_connections: 24_000,
            max_connections_per_ip: 1_024,
            max_reservations: 20_000,
            max_reservations_per_peer: 2,
            reservation_duration: Duration::from_secs(60 * 60),
            max_circuits: 4_096,
            max_circuits_per_peer: 32,
            circuit_duration: Duration::from_secs(60),
            circuit_bytes: 2 << 20,
            bytes_per_ip: ByteRate {
                burst: 32 << 20,
                per_second: 128 << 10,
            },
            rate_per_ip: Rate::new(600, Duration::from_secs(1)),
            rate_per_peer: Rate::new(240, Duration::from_secs(2)),
            max_provider_records: 1_000_000,
            provider_ttl: crate::net::index::providers::DEFAULT_TTL,
        }
    }
}

/// Why a relay did not start.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A port could not be bound.
    #[error("cannot listen on {address} ({protocol}): {source}")]
    Bind {
        /// The address wanted.
        address: SocketAddr,
        /// `TCP` or `UDP`.
        protocol: &'static str,
        /// What the system said.
        source: io::Error,
    },
    /// No address to listen on was given.
    #[error("no address to listen on")]
    NoAddress,
    /// There is no identity.
    #[error(transparent)]
    Key(#[from] KeyError),
    /// The app's directory has no `index.html`.
    #[error("{0} holds no index.html")]
    App(PathBuf),
    /// A relay to link to was named without its peer id.
    #[error("{0} does not end in /p2p/<id>")]
    PeerAddress(Multiaddr),
    /// TLS could not be set up.
    #[error(transparent)]
    Tls(#[from] TlsError),
    /// A denylist cannot be read.
    #[error(transparent)]
    Denylist(#[from] DenylistFileError),
    /// The keeper did not start.
    #[error(transparent)]
    Keeper(#[from] KeeperError),
    /// The store of the mailboxes cannot be opened.
    #[error("the mailboxes' store: {0}")]
    Mailboxes(#[from] crate::store::StoreError),
    /// The bridge did not start.
    #[cfg(feature = "bridge")]
    #[error(transparent)]
    Bridge(#[from] BridgeError),
    /// The key cannot be used for Noise.
    #[error("the key cannot be used: {0}")]
    Noise(#[from] libp2p::noise::Error),
}

/// A running relay. Dropping it stops everything at once; [`Relay::shutdown`] does so in order.
#[derive(Debug)]
pub struct Relay {
    /// The relay's identity.
    pub peer_id: PeerId,
    /// The first TCP address bound.
    pub http_addr: SocketAddr,
    /// The first UDP address bound, if STUN is answered.
    pub stun_addr: Option<SocketAddr>,
    url: String,
    address: Multiaddr,
    keeper: Option<Multiaddr>,
    #[cfg(feature = "bridge")]
    bridge: Option<(Vec<SocketAddr>, Option<SocketAddr>)>,
    commands: mpsc::Sender<swarm::Command>,
    stop: watch::Sender<bool>,
    tasks: JoinSet<()>,
    tls: Option<tls::Tls>,
    denylists_again: watch::Sender<()>,
}

/// Starts a relay on the current tokio runtime.
///
/// # Errors
/// Whatever keeps it from running: see [`Error`]. Nothing is left running then.
pub async fn start(config: Config) -> Result<Relay, Error> {
    if let Some(app) = &config.app
        && !app.join("index.html").is_file()
    {
        return Err(Error::App(app.clone()));
    }
    let links = config
        .peers
        .iter()
        .map(split_peer)
        .collect::<Result<Vec<_>, _>>()?;
    let (lists, mut denylist) = watch::channel(Arc::new(denylists::read(&config.denylists)?));
    denylist.mark_changed();
    let work = if config.mailboxes > 0 {
        config.puzzle_bits
    } else {
        0
    };
    let key = key::load_or_create(&config.data, work)?;
    let mailboxes = match config.mailboxes {
        0 => None,
        bytes => {
            let file = config.data.join("mailboxes.redb");
            Some(mailboxes::Mailboxes::open(&key, &file, bytes).await?)
        }
    };
    let peer_id = key.public().to_peer_id();
    let listeners = bind_tcp(&config.listen).await?;
    let bound: Vec<SocketAddr> = listeners
        .iter()
        .filter_map(|listener| listener.local_addr().ok())
        .collect();
    let http_addr = *bound.first().ok_or(Error::NoAddress)?;
    let stun_sockets = bind_stun(&config.stun, &bound).await?;
    let stun_addr = stun_sockets
        .first()
        .and_then(|socket| socket.local_addr().ok());

    let (stop, stopped) = watch::channel(false);
    let tls = config
        .tls
        .as_ref()
        .map(|tls| tls::Tls::new(tls, stopped.clone()))
        .transpose()?;
    let own = if config.advertise.is_empty() {
        vec![local_address(&bound, tls.is_some())]
    } else {
        config.advertise
    };
    let learn = own.len() == 1 && bound.iter().any(|a| a.ip().is_unspecified());
    let learn = learn && own[0].host.is_loopback();
    let advertised = if own[0].host.is_loopback() {
        Vec::new()
    } else {
        own.clone()
    };
    let external: Vec<Multiaddr> = own.iter().map(PublicAddress::multiaddr).collect();
    let address = external[0].clone().with(Protocol::P2p(peer_id));
    let url = own[0]
        .url()
        .replace("//127.0.0.1", "//localhost")
        .replace("//[::1]", "//localhost");

    let policy = app::policy(&advertised);
    let metrics = Arc::new(metrics::Metrics::new());
    let linked = Arc::new(RwLock::new(Vec::new()));
    let (websockets, listener) = ws_listener::channel();
    #[cfg(feature = "bridge")]
    let bridge = config
        .bridge
        .map(|bridge| bridge::Start::new(bridge, tls.clone(), stopped.clone()))
        .transpose()?;
    #[cfg(feature = "bridge")]
    let bridge_bound = bridge
        .as_ref()
        .map(|bridge| (bridge.bound.clone(), bridge.submission));
    #[cfg(feature = "bridge")]
    let bridges = bridge.is_some();
    #[cfg(not(feature = "bridge"))]
    let bridges = false;
    // A bridge leaves mail from the node beside the relay, which pages can dial.
    let keeps = config.keeper.is_wanted() || bridges;
    let (for_keeper, handed_over) = ws_listener::channel();
    let keeper_addresses: Vec<Multiaddr> =
        own.iter().map(PublicAddress::keeper_multiaddr).collect();
    let mut node = swarm::Node::new(
        &key,
        &config.limits,
        listener,
        external,
        learn,
        metrics.clone(),
        linked.clone(),
    )?;
    if let Some(mailboxes) = mailboxes {
        node.offer(mailboxes);
    }
    bound
        .iter()
        .for_each(|address| node.listen(addresses::socket_multiaddr(*address)));

    let seats = seats::Seats::new(config.limits.max_connections_per_ip);
    let surface = http::Surface {
        peer_id,
        advertised,
        stun_urls: config.stun_urls,
        stun_port: stun_addr.map(|address| address.port()),
        ipv4: bound.iter().any(SocketAddr::is_ipv4)
            || bound.iter().any(|a| a.ip().is_unspecified()),
        linked,
        client_address: config.client_address.clone(),
        seats: seats.clone(),
        allowance: allowance::Allowance::new(config.limits.bytes_per_ip),
        websockets,
        keeper: keeps.then(|| (for_keeper, allowance::Allowance::new(TO_KEEPER))),
        metrics: metrics.clone(),
        puzzle_bits: config.puzzle_bits,
        app: app::App::new(config.app.as_deref()),
        loader: site::Loader::new(config.app.as_deref()),
        policy,
    };
    let (local_seen, seen) = mpsc::channel(COMMANDS);
    let (commands, wishes) = mpsc::channel(COMMANDS);
    let server = server::Server {
        router: http::router(Arc::new(surface)),
        tls: tls.clone(),
        client_address: config.client_address,
        seats,
        sockets: Arc::new(Semaphore::new(server::MAX_SOCKETS)),
        local_seen,
        stop: stopped.clone(),
    };
    let mut tasks = JoinSet::new();
    tasks.spawn(node.run(swarm::Inputs {
        commands: wishes,
        local_seen: seen,
        denylist: denylist.clone(),
        stop: stopped.clone(),
    }));
    for listener in listeners {
        tasks.spawn(server.clone().run(listener));
    }
    let (denylists_again, again) = watch::channel(());
    tasks.spawn(denylists::follow(
        config.denylists,
        lists,
        again,
        stopped.clone(),
    ));
    let mut keeper = None;
    if keeps {
        // Whatever the relay is reached by from outside, the keeper beside it takes the short way, without TLS.
        let short = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await;
        let short = short.map_err(KeeperError::from)?;
        let relay = short.local_addr().map(addresses::socket_multiaddr);
        let relay = relay
            .map_err(KeeperError::from)?
            .with(Protocol::P2p(peer_id));
        let inside = server::Server {
            tls: None,
            ..server.clone()
        };
        tasks.spawn(inside.run(short));
        let start = keeper::Start {
            store: config
                .keeper
                .store
                .clone()
                .unwrap_or_else(|| config.data.join("keeper.redb")),
            config: config.keeper,
            sockets: handed_over,
            announce: keeper_addresses.clone(),
            relays: std::iter::once(relay).chain(config.peers).collect(),
            metrics: metrics.clone(),
            denylist,
            puzzle_bits: config.puzzle_bits,
            #[cfg(feature = "bridge")]
            bridge,
            stop: stopped.clone(),
        };
        let (peer, ended) = keeper::start(start).await?;
        keeper = keeper_addresses
            .first()
            .map(|address| keeper::named(address, peer));
        tasks.spawn(async move { drop(ended.await) });
    }
    for socket in stun_sockets {
        tasks.spawn(stun::serve(socket, metrics.clone(), stopped.clone()));
    }
    let relay = Relay {
        peer_id,
        http_addr,
        stun_addr,
        url,
        address,
        keeper,
        #[cfg(feature = "bridge")]
        bridge: bridge_bound,
        commands,
        stop,
        tasks,
        tls,
        denylists_again,
    };
    for (peer, address) in links {
        relay.send(swarm::Command::Link(peer, address)).await;
    }
    Ok(relay)
}

impl Relay {
    /// The app's web address, for a person to open.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// The first public address, with the peer id.
    pub fn address(&self) -> &Multiaddr {
        &self.address
    }

    /// The first public address of the keeper beside it, with its peer id.
    pub fn keeper(&self) -> Option<&Multiaddr> {
        self.keeper.as_ref()
    }

    /// Where servers bring mail to the bridge, and where people of this machine hand it in.
    #[cfg(feature = "bridge")]
    pub fn bridge(&self) -> Option<(&[SocketAddr], Option<SocketAddr>)> {
        let (inside, outside) = self.bridge.as_ref()?;
        Some((inside, *outside))
    }

    /// Keeps a link to another relay from now on.
    ///
    /// # Errors
    /// [`Error::PeerAddress`] when the address does not end in `/p2p/<id>`.
    pub async fn link(&self, relay: &Multiaddr) -> Result<(), Error> {
        let (peer, address) = split_peer(relay)?;
        self.send(swarm::Command::Link(peer, address)).await;
        Ok(())
    }

    /// Reads the certificate files again, if TLS uses files.
    pub fn reload_certificates(&self) {
        if let Some(tls) = &self.tls {
            tls.reload();
        }
    }

    /// Reads the denylists again.
    pub fn reload_denylists(&self) {
        self.denylists_again.send_replace(());
    }

    /// Returns when a part of the relay ends by itself, which only a defect makes it do. Cancel-safe.
    pub async fn failed(&mut self) {
        if let Some(Err(error)) = self.tasks.join_next().await {
            tracing::error!(%error, "a part of the relay ended");
        }
    }

    /// Stops accepting, closes what is open, and returns within five seconds.
    pub async fn shutdown(mut self) {
        self.stop.send_replace(true);
        let ended = async { while self.tasks.join_next().await.is_some() {} };
        if tokio::time::timeout(SHUTDOWN_TIMEOUT, ended).await.is_err() {
            tracing::warn!("some connections did not end in time");
        }
    }

    async fn send(&self, command: swarm::Command) {
        // The loop is gone only at a shutdown, when there is nothing to link any more.
        let _ = self.commands.send(command).await;
    }
}

fn split_peer(address: &Multiaddr) -> Result<(PeerId, Multiaddr), Error> {
    let mut bare = address.clone();
    match bare.pop() {
        Some(Protocol::P2p(peer)) => Ok((peer, bare)),
        _ => Err(Error::PeerAddress(address.clone())),
    }
}

async fn bind_tcp(listen: &Listen) -> Result<Vec<TcpListener>, Error> {
    let bind = |address| async move {
        TcpListener::bind(address)
            .await
            .map_err(|source| Error::Bind {
                address,
                protocol: "TCP",
                source,
            })
    };
    let mut listeners = Vec::new();
    match listen {
        Listen::Localhost(port) => {
            let first = bind((Ipv4Addr::LOCALHOST, *port).into()).await?;
            let port = first.local_addr().map_or(*port, |address| address.port());
            listeners.push(first);
            match bind((Ipv6Addr::LOCALHOST, port).into()).await {
                Ok(second) => listeners.push(second),
                Err(Error::Bind { source, .. })
                    if source.kind() == io::ErrorKind::AddrNotAvailable => {}
                // Somebody else answers there, and a browser may ask them instead of us.
                Err(error) => tracing::warn!(%error, "only 127.0.0.1 is served"),
            }
        }
        Listen::At(addresses) => {
            for address in addresses {
                listeners.push(bind(*address).await?);
            }
        }
    }
    Ok(listeners)
}

async fn bind_stun(stun: &Stun, http: &[SocketAddr]) -> Result<Vec<UdpSocket>, Error> {
    let bind = |address| async move {
        UdpSocket::bind(address)
            .await
            .map_err(|source| Error::Bind {
                address,
                protocol: "UDP",
                source,
            })
    };
    let mut sockets = Vec::new();
    match stun {
        Stun::Off => {}
        Stun::At(addresses) => {
            for address in addresses {
                sockets.push(bind(*address).await?);
            }
        }
        Stun::Auto(port) => {
            let loopback = http.iter().all(|address| address.ip().is_loopback());
            // The unspecified IPv6 address takes IPv4 as well where the system allows it, so IPv4 is tried after it.
            let wanted: [SocketAddr; 2] = if loopback {
                [
                    (Ipv4Addr::LOCALHOST, *port).into(),
                    (Ipv6Addr::LOCALHOST, *port).into(),
                ]
            } else {
                [
                    (Ipv6Addr::UNSPECIFIED, *port).into(),
                    (Ipv4Addr::UNSPECIFIED, *port).into(),
                ]
            };
            let mut failed = None;
            for address in wanted {
                match bind(address).await {
                    Ok(socket) => sockets.push(socket),
                    Err(error) => failed = failed.or(Some(error)),
                }
            }
            if let (true, Some(error)) = (sockets.is_empty(), failed) {
                tracing::warn!(%error, "STUN is not answered");
            }
        }
    }
    Ok(sockets)
}

/// Returns once the relay is told to stop. Cancel-safe.
async fn stopped(stop: &mut watch::Receiver<bool>) {
    // An error means that the handle is gone, which stops everything as well.
    let _ = stop.wait_for(|stop| *stop).await;
}

/// What a visitor on this machine uses, or the one address bound.
fn local_address(bound: &[SocketAddr], tls: bool) -> PublicAddress {
    let best = bound
        .iter()
        .find(|address| address.is_ipv4())
        .or(bound.first());
    let best = best
        .copied()
        .unwrap_or(SocketAddr::from((Ipv4Addr::LOCALHOST, DEFAULT_PORT)));
    let ip = if best.ip().is_unspecified() {
        Ipv4Addr::LOCALHOST.into()
    } else {
        best.ip().to_canonical()
    };
    PublicAddress {
        host: Host::Ip(ip),
        port: best.port(),
        tls,
    }
}

/// Default TCP port.
pub const DEFAULT_PORT: u16 = 8080;
/// Default UDP port: STUN's own (RFC 8489 section 18.6).
pub const DEFAULT_STUN_PORT: u16 = 3478;
/// Wishes that may wait for the loop.
const COMMANDS: usize = 64;
/// What one address may send to the keeper: sites come in this way. Ours: as fast as a disk, for the largest of common sites.
const TO_KEEPER: ByteRate = ByteRate {
    burst: 1 << 30,
    per_second: 16 << 20,
};
/// Longest shutdown.
const SHUTDOWN_TIMEOUT: Duration = Duration::from_secs(5);
