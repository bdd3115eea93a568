//! The libp2p side of the relay: circuits, identify, ping, the provider index and the links to other relays, in one loop.
//!
//! Browsers reach it as Kademlia clients only. No peer enters the routing table by itself; the relays the operator named do,
//! so an answer never sends a browser to another browser for routing.

use std::collections::HashSet;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::{Duration, Instant};

use futures::StreamExt;
use libp2p::core::Transport;
use libp2p::core::upgrade::Version;
use libp2p::identity::Keypair;
use libp2p::multiaddr::Protocol;
use libp2p::swarm::behaviour::toggle::Toggle;
use libp2p::swarm::{NetworkBehaviour, SwarmEvent};
use libp2p::{
    Multiaddr, PeerId, StreamProtocol, Swarm, connection_limits, dns, identify, kad, noise, ping,
    tcp, yamux,
};
use tokio::sync::{mpsc, watch};

use super::addresses::{is_websocket, socket_multiaddr};
use super::index::Server;
use super::links::{LinkEvent, Links};
use super::mailboxes::{Mailboxes, Report};
use super::metrics::Metrics;
use super::names::Names;
use super::rate::{Buckets, address_group};
use super::ws_listener::WsListener;
use super::{Limits, stopped};
use crate::net::index::providers::{self, ProviderIndex};
use crate::net::{custody, names, session};
use crate::proto::denylist::Denylist;
use crate::proto::name::heads;
use crate::proto::records;

/// Protocol name of the provider index.
pub const INDEX_PROTOCOL: StreamProtocol = StreamProtocol::new("/gyre/kad/1.0.0");
/// Protocol version told by identify.
pub const PROTOCOL_VERSION: &str = "/gyre/1.0.0";

/// A wish from outside the loop.
#[derive(Debug)]
pub(crate) enum Command {
    /// Keep a link to this relay.
    Link(PeerId, Multiaddr),
}

#[derive(NetworkBehaviour)]
struct Behaviour {
    limits: connection_limits::Behaviour,
    relay: libp2p::relay::Behaviour,
    identify: identify::Behaviour,
    ping: ping::Behaviour,
    index: Server,
    names: session::Behaviour,
    custody: Toggle<session::Behaviour>,
    links: Links,
}

/// The swarm and what it shares with the HTTP side.
pub(crate) struct Node {
    swarm: Swarm<Behaviour>,
    metrics: Arc<Metrics>,
    linked: Arc<RwLock<Vec<Multiaddr>>>,
    reserved: HashSet<PeerId>,
    /// External addresses found on accepted sockets; `None` when the operator named them.
    learned: Option<HashSet<Multiaddr>>,
    names: Names,
    mailboxes: Option<Mailboxes>,
}

/// What the node is told while it runs.
pub(crate) struct Inputs {
    pub(crate) commands: mpsc::Receiver<Command>,
    pub(crate) local_seen: mpsc::Receiver<std::net::SocketAddr>,
    /// What the index neither keeps nor tells; marked as changed at first.
    pub(crate) denylist: watch::Receiver<Arc<Denylist>>,
    pub(crate) stop: watch::Receiver<bool>,
}

impl Node {
    /// Builds the swarm. `external` are the addresses told to others; with `learn`, those found on sockets are added.
    pub(crate) fn new(
        key: &Keypair,
        limits: &Limits,
        listener: WsListener,
        external: Vec<Multiaddr>,
        learn: bool,
        metrics: Arc<Metrics>,
        linked: Arc<RwLock<Vec<Multiaddr>>>,
    ) -> Result<Self, noise::Error> {
        let noise = noise::Config::new(key)?;
        let mut muxer = yamux::Config::default();
        muxer.set_max_num_streams(MAX_STREAMS);
        let transport = listener
            .or_transport(libp2p::websocket::Config::new(dialler()))
            .upgrade(Version::V1)
            .authenticate(noise)
            .multiplex(muxer)
            .timeout(HANDSHAKE_TIMEOUT)
            .boxed();
        let local = key.public().to_peer_id();
        let config = libp2p::swarm::Config::with_tokio_executor()
            .with_idle_connection_timeout(IDLE_TIMEOUT)
            .with_max_negotiating_inbound_streams(MAX_NEGOTIATING_STREAMS);
        let mut swarm = Swarm::new(transport, behaviour(key, limits), local, config);
        for address in &external {
            swarm.add_external_address(address.clone());
        }
        let learned = learn.then(|| external.into_iter().collect());
        Ok(Self {
            swarm,
            metrics,
            linked,
            reserved: HashSet::new(),
            learned,
            names: Names::new(),
            mailboxes: None,
        })
    }

    /// Keeps mail from now on; to be said before anybody is connected.
    pub(crate) fn offer(&mut self, mailboxes: Mailboxes) {
        let streams = session::Behaviour::new(custody::PROTOCOL);
        self.swarm.behaviour_mut().custody = Some(streams).into();
        self.mailboxes = Some(mailboxes);
    }

    /// Tells the listener transport about an address the HTTP server is bound to.
    pub(crate) fn listen(&mut self, address: Multiaddr) {
        if let Err(error) = self.swarm.listen_on(address) {
            tracing::warn!(%error, "libp2p does not take the listen address");
        }
    }

    /// Runs until told to stop, then closes the connections.
    pub(crate) async fn run(mut self, mut inputs: Inputs) {
        let mut tick = tokio::time::interval(TICK);
        let mut swept = Instant::now();
        loop {
            tokio::select! {
                event = self.swarm.select_next_some() => self.on_event(event),
                said = self.names.inbox.select_next_some() => {
                    let index = self.swarm.behaviour_mut().index.0.store_mut();
                    let denylist = index.denylist();
                    self.names.on_said(said, index.heads(), &denylist);
                }
                Some(report) = reported(&mut self.mailboxes) => {
                    if let Some(mailboxes) = &mut self.mailboxes {
                        mailboxes.on_report(report);
                    }
                }
                Some(Command::Link(relay, address)) = inputs.commands.recv() => self.link(relay, address),
                Some(local) = inputs.local_seen.recv() => self.learn(local),
                Ok(()) = inputs.denylist.changed() => {
                    let denylist = inputs.denylist.borrow_and_update().clone();
                    self.swarm.behaviour_mut().index.0.store_mut().set_denylist(denylist);
                }
                _ = tick.tick() => {
                    let index = self.swarm.behaviour_mut().index.0.store_mut();
                    if swept.elapsed() >= SWEEP_INTERVAL {
                        swept = Instant::now();
                        index.sweep(swept);
                    }
                    if let Some(mailboxes) = &mut self.mailboxes {
                        mailboxes.tick();
                        self.metrics.kept_messages.set(mailboxes.len() as i64);
                    }
                    let index = self.swarm.behaviour_mut().index.0.store_mut();
                    self.metrics.people.set(index.people() as i64);
                    self.metrics.provider_records.set(index.records() as i64);
                    self.metrics.provider_keys.set(index.keys() as i64);
                    self.metrics.names.set(index.heads().len() as i64);
                    self.metrics.name_followers.set(self.names.followers() as i64);
                }
                () = stopped(&mut inputs.stop) => break,
            }
        }
        let connected: Vec<PeerId> = self.swarm.connected_peers().copied().collect();
        for peer in connected {
            let _ = self.swarm.disconnect_peer_id(peer);
        }
        let closing = async {
            while self.swarm.network_info().num_peers() > 0 {
                self.swarm.select_next_some().await;
            }
        };
        let _ = tokio::time::timeout(CLOSE_TIMEOUT, closing).await;
    }

    fn link(&mut self, relay: PeerId, address: Multiaddr) {
        // One list of relays may be given to all of them.
        if relay == *self.swarm.local_peer_id() {
            return;
        }
        let behaviour = self.swarm.behaviour_mut();
        behaviour.limits.bypass_peer_id(&relay);
        behaviour.links.add(relay, address);
    }

    fn learn(&mut self, local: std::net::SocketAddr) {
        let ip = local.ip().to_canonical();
        let Some(learned) = self
            .learned
            .as_mut()
            .filter(|known| known.len() < MAX_LEARNED)
        else {
            return;
        };
        if ip.is_loopback() || ip.is_unspecified() {
            return;
        }
        let address = socket_multiaddr(local);
        if learned.insert(address.clone()) {
            tracing::info!(%address, "reached under a new address");
            self.swarm.add_external_address(address);
        }
    }

    fn on_event(&mut self, event: SwarmEvent<BehaviourEvent>) {
        match event {
            SwarmEvent::ConnectionEstablished { .. } => {
                self.metrics.connections_total.inc();
                self.count_connections();
            }
            SwarmEvent::ConnectionClosed {
                peer_id,
                num_established: 0,
                ..
            } => {
                self.count_connections();
                self.unreserve(&peer_id);
            }
            SwarmEvent::ConnectionClosed { .. } => self.count_connections(),
            SwarmEvent::IncomingConnectionError { error, .. } => {
                self.metrics.handshakes_failed.inc();
                tracing::debug!(%error, "an incoming connection failed");
            }
            SwarmEvent::OutgoingConnectionError { peer_id, error, .. } => {
                tracing::info!(?peer_id, %error, "a relay cannot be reached");
            }
            SwarmEvent::Behaviour(BehaviourEvent::Relay(event)) => self.on_relay_event(event),
            SwarmEvent::Behaviour(BehaviourEvent::Links(event)) => self.on_link_event(event),
            SwarmEvent::Behaviour(BehaviourEvent::Index(_)) => {
                let index = self.swarm.behaviour_mut().index.0.store_mut();
                for name in index.take_changed() {
                    self.names.on_changed(name, index.heads());
                }
            }
            SwarmEvent::Behaviour(BehaviourEvent::Names(event)) => {
                let index = self.swarm.behaviour_mut().index.0.store_mut();
                self.names.on_stream(event, index.heads());
            }
            SwarmEvent::Behaviour(BehaviourEvent::Custody(event)) => {
                if let Some(mailboxes) = &mut self.mailboxes {
                    mailboxes.on_stream(event);
                }
            }
            SwarmEvent::Behaviour(BehaviourEvent::Ping(ping::Event {
                connection,
                result: Err(ping::Failure::Timeout),
                ..
            })) => {
                // A machine that went to sleep says nothing, and its reservation would last an hour.
                self.swarm.close_connection(connection);
            }
            _ => {}
        }
    }

    fn on_relay_event(&mut self, event: libp2p::relay::Event) {
        use libp2p::relay::Event;
        match event {
            Event::ReservationReqAccepted { src_peer_id, .. } => {
                self.metrics.reservations_total.inc();
                self.reserved.insert(src_peer_id);
                self.metrics.reservations.set(self.reserved.len() as i64);
            }
            Event::ReservationReqDenied {
                src_peer_id,
                status,
            } => {
                self.metrics.reservations_denied.inc();
                tracing::debug!(peer = %src_peer_id, ?status, "reservation denied");
            }
            Event::ReservationTimedOut { src_peer_id } => self.unreserve(&src_peer_id),
            Event::CircuitReqAccepted { .. } => {
                self.metrics.circuits_total.inc();
                self.metrics.circuits.inc();
            }
            Event::CircuitClosed { .. } => {
                self.metrics.circuits.dec();
            }
            Event::CircuitReqDenied {
                src_peer_id,
                status,
                ..
            } => {
                self.metrics.circuits_denied.inc();
                tracing::debug!(peer = %src_peer_id, ?status, "circuit denied");
            }
            _ => {}
        }
    }

    fn on_link_event(&mut self, event: LinkEvent) {
        let behaviour = self.swarm.behaviour_mut();
        match event {
            LinkEvent::Up(relay) => {
                tracing::info!(%relay, "linked");
                for address in behaviour.links.addresses(&relay) {
                    behaviour.index.0.add_address(&relay, address.clone());
                }
            }
            LinkEvent::Down(relay) => {
                tracing::info!(%relay, "link lost");
                // Browsers would be sent there in vain.
                behaviour.index.0.remove_peer(&relay);
            }
        }
        let connected = behaviour.links.connected();
        let linked: Vec<Multiaddr> = connected
            .flat_map(|(relay, addresses)| {
                addresses
                    .iter()
                    .map(move |a| a.clone().with(Protocol::P2p(relay)))
            })
            .filter(is_websocket)
            .collect();
        self.metrics
            .linked_relays
            .set(behaviour.links.connected().count() as i64);
        *self.linked.write().unwrap_or_else(PoisonError::into_inner) = linked;
    }

    fn unreserve(&mut self, peer: &PeerId) {
        self.reserved.remove(peer);
        self.metrics.reservations.set(self.reserved.len() as i64);
    }

    fn count_connections(&self) {
        let open = self
            .swarm
            .network_info()
            .connection_counters()
            .num_established();
        self.metrics.connections.set(i64::from(open));
    }
}

/// What the tasks of the mailboxes report, if there are any.
async fn reported(mailboxes: &mut Option<Mailboxes>) -> Option<Report> {
    match mailboxes {
        Some(mailboxes) => mailboxes.inbox.next().await,
        None => std::future::pending().await,
    }
}

fn behaviour(key: &Keypair, limits: &Limits) -> Behaviour {
    let local = key.public().to_peer_id();
    let connections = connection_limits::ConnectionLimits::default()
        .with_max_pending_incoming(Some(MAX_PENDING_INCOMING))
        .with_max_established_incoming(Some(limits.max_connections))
        .with_max_established_per_peer(Some(MAX_CONNECTIONS_PER_PEER));
    let mut relay = libp2p::relay::Behaviour::new(local, relay_config(limits));
    relay.set_status(Some(libp2p::relay::Status::Enable));
    let identify = identify::Config::new(PROTOCOL_VERSION.to_owned(), key.public())
        .with_agent_version(format!("gyre-relay/{}", env!("CARGO_PKG_VERSION")))
        .with_hide_listen_addrs(true)
        .with_cache_size(0);
    let mut index_config = kad::Config::new(INDEX_PROTOCOL);
    index_config
        .set_kbucket_inserts(kad::BucketInserts::Manual)
        .set_provider_record_ttl(Some(limits.provider_ttl))
        .set_provider_publication_interval(None)
        .set_periodic_bootstrap_interval(None)
        .set_replication_interval(None)
        .set_publication_interval(None);
    let store = ProviderIndex::new(
        local,
        providers::Limits {
            max_records: limits.max_provider_records,
            max_keys_per_provider: MAX_KEYS_PER_PROVIDER,
            max_own: 0,
            heads: heads::Limits::RELAY,
            people: records::Limits::RELAY,
        },
        fastrand::u64(..),
    );
    let mut index = kad::Behaviour::with_config(local, store, index_config);
    index.set_mode(Some(kad::Mode::Server));
    Behaviour {
        limits: connection_limits::Behaviour::new(connections),
        relay,
        identify: identify::Behaviour::new(identify),
        ping: ping::Behaviour::new(
            ping::Config::new()
                .with_interval(PING_INTERVAL)
                .with_timeout(PING_TIMEOUT),
        ),
        index: Server(index),
        names: session::Behaviour::new(names::PROTOCOL),
        custody: None.into(),
        links: Links::new(),
    }
}

fn relay_config(limits: &Limits) -> libp2p::relay::Config {
    libp2p::relay::Config {
        max_reservations: limits.max_reservations,
        // The behaviour refuses above the limit, not at it, and so would give one more.
        max_reservations_per_peer: limits.max_reservations_per_peer.saturating_sub(1),
        reservation_duration: limits.reservation_duration,
        reservation_rate_limiters: rate_limiters(limits),
        max_circuits: limits.max_circuits,
        max_circuits_per_peer: limits.max_circuits_per_peer.saturating_sub(1),
        max_circuit_duration: limits.circuit_duration,
        max_circuit_bytes: limits.circuit_bytes,
        circuit_src_rate_limiters: rate_limiters(limits),
    }
}

fn rate_limiters(limits: &Limits) -> Vec<Box<dyn libp2p::relay::RateLimiter>> {
    fn checked(
        limiter: impl FnMut(PeerId, &Multiaddr, Instant) -> bool + Send + 'static,
    ) -> Box<dyn libp2p::relay::RateLimiter> {
        Box::new(limiter)
    }
    let mut per_peer = Buckets::new(limits.rate_per_peer);
    let mut per_ip = Buckets::new(limits.rate_per_ip);
    vec![
        checked(move |peer, _, now| per_peer.try_take(peer, now)),
        checked(move |_, address, now| {
            let ip = address.iter().find_map(|part| match part {
                Protocol::Ip4(ip) => Some(ip.into()),
                Protocol::Ip6(ip) => Some(ip.into()),
                _ => None,
            });
            // Every connection comes through the listener, which knows its IP.
            ip.is_none_or(|ip| per_ip.try_take(address_group(ip), now))
        }),
    ]
}

fn dialler() -> dns::tokio::Transport<tcp::tokio::Transport> {
    let tcp = || tcp::tokio::Transport::new(tcp::Config::default().nodelay(true));
    dns::tokio::Transport::system(tcp()).unwrap_or_else(|error| {
        tracing::warn!(%error, "the system's DNS settings cannot be read; other relays are looked up without them");
        dns::tokio::Transport::custom(tcp(), dns::ResolverConfig::default(), dns::ResolverOpts::default())
    })
}

/// Time for websocket, Noise and Yamux on a new connection.
const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(20);
/// A connection without reservation, circuit or stream is closed after this.
const IDLE_TIMEOUT: Duration = Duration::from_secs(120);
/// How often a peer is pinged; proxies commonly drop a websocket that is silent for a minute.
const PING_INTERVAL: Duration = Duration::from_secs(25);
/// Time for the answer; two missing in a row close the connection.
const PING_TIMEOUT: Duration = Duration::from_secs(30);
/// Handshakes at once; each may hold a few tens of KiB.
const MAX_PENDING_INCOMING: u32 = 1_024;
/// Connections of one peer: a tab that reconnects while its old connection has not been noticed as dead.
const MAX_CONNECTIONS_PER_PEER: u32 = 4;
/// Streams on one connection: a seed's incoming circuits are one each.
const MAX_STREAMS: usize = 256;
/// Incoming streams on one connection that have not agreed on a protocol.
const MAX_NEGOTIATING_STREAMS: usize = 32;
/// External addresses at most when they are learned; a reservation's answer has room for 4 KiB.
const MAX_LEARNED: usize = 8;
/// How often the gauges of the index are set.
const TICK: Duration = Duration::from_secs(5);
/// Keys one provider may announce: a large library of files, and a thousandth of the default ceiling.
const MAX_KEYS_PER_PROVIDER: usize = 1_000;
/// How often expired provider records are dropped.
const SWEEP_INTERVAL: Duration = Duration::from_secs(60);
/// Time to close connections at a shutdown.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(1);

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn node(learn: bool) -> Node {
        let key = Keypair::generate_ed25519();
        let (_, listener) = super::super::ws_listener::channel();
        let external = vec!["/ip4/127.0.0.1/tcp/8080/ws".parse().unwrap()];
        let metrics = Arc::new(Metrics::new());
        Node::new(
            &key,
            &Limits::default(),
            listener,
            external,
            learn,
            metrics,
            Arc::default(),
        )
        .unwrap()
    }

    #[tokio::test]
    async fn addresses_found_on_sockets_are_told_when_none_was_named() {
        let mut node = node(true);
        node.learn("[::ffff:192.0.2.7]:8080".parse().unwrap());
        node.learn("192.0.2.7:8080".parse().unwrap());
        node.learn("127.0.0.1:8080".parse().unwrap());
        let mut told: Vec<String> = node
            .swarm
            .external_addresses()
            .map(Multiaddr::to_string)
            .collect();
        told.sort();
        assert_eq!(
            told,
            ["/ip4/127.0.0.1/tcp/8080/ws", "/ip4/192.0.2.7/tcp/8080/ws"]
        );
        for n in 0..100u8 {
            node.learn(([192, 0, 2, n], 8080).into());
        }
        assert_eq!(node.swarm.external_addresses().count(), MAX_LEARNED);
    }

    #[tokio::test]
    async fn a_named_address_stays_the_only_one() {
        let mut node = node(false);
        node.learn("192.0.2.7:8080".parse().unwrap());
        assert_eq!(node.swarm.external_addresses().count(), 1);
    }

    #[tokio::test]
    async fn a_relay_does_not_link_to_itself() {
        let mut node = node(false);
        let own = *node.swarm.local_peer_id();
        node.link(own, Multiaddr::empty());
        assert!(node.swarm.behaviour().links.addresses(&own).is_empty());
    }
}
