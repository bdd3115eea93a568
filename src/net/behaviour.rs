//! Everything that runs on a node's connections.

// The derived event enum has no place for documentation.
#![allow(missing_docs)]

use std::io;
use std::time::Duration;

use libp2p::identity::Keypair;
use libp2p::multiaddr::Protocol;
use libp2p::swarm::NetworkBehaviour;
use libp2p::{Multiaddr, Swarm, identify, ping, relay};

use super::addresses::{is_own_socket, is_told};
use super::direct_only::DirectOnly;
use super::heard::Heard;
use super::index::Scope;
use super::transport::{Parts, swarm_config, webrtc};
use super::{causes, custody, index, introductions, names, pex, session};

/// What identify says of us.
const IDENTIFY_PROTOCOL: &str = "/gyre/1.0.0";

/// Our name and version, as peers see it.
const AGENT: &str = concat!("gyre/", env!("CARGO_PKG_VERSION"));

/// A direct link with no stream on it is closed after this: long enough to be reused for the next blob.
const IDLE_TIMEOUT: Duration = Duration::from_secs(60);

/// Addresses of ours that identify repeats; its message has room for 4 KiB.
const MAX_IDENTIFY_ADDRESSES: usize = 8;

/// How often a link is measured. Ours; timers of a hidden tab are late anyway.
const PING_INTERVAL: Duration = Duration::from_secs(20);

/// The behaviours of a node. Only signalling and identify may run on a relayed connection: a circuit is small, short and
/// somebody else's.
#[derive(NetworkBehaviour)]
pub struct Behaviour {
    pub webrtc: webrtc::Behaviour,
    pub relay: DirectOnly<relay::client::Behaviour>,
    pub introductions: DirectOnly<introductions::Behaviour>,
    pub identify: Heard<identify::Behaviour>,
    pub ping: DirectOnly<ping::Behaviour>,
    pub index: DirectOnly<index::Behaviour>,
    pub peers_index: DirectOnly<index::Behaviour>,
    pub session: DirectOnly<session::Behaviour>,
    pub pex: DirectOnly<session::Behaviour>,
    pub names: DirectOnly<session::Behaviour>,
    pub sites: DirectOnly<session::Behaviour>,
    pub custody: DirectOnly<session::Behaviour>,
}

impl std::fmt::Debug for Behaviour {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Behaviour").finish_non_exhaustive()
    }
}

/// Puts the transports and the behaviours together. With `sockets_only` others are told no way to us but our own sockets: a node
/// that says where it is reached needs nobody to introduce it, and may know its relay by an address that is of no use elsewhere.
///
/// # Errors
/// If `/webrtc` cannot be listened on, which would be our own mistake.
pub fn swarm(key: &Keypair, parts: Parts, sockets_only: bool) -> io::Result<Swarm<Behaviour>> {
    let local = key.public().to_peer_id();
    let identify = identify::Config::new(IDENTIFY_PROTOCOL.to_owned(), key.public())
        .with_agent_version(AGENT.to_owned())
        .with_hide_listen_addrs(true);
    let behaviour = Behaviour {
        webrtc: parts.webrtc,
        relay: DirectOnly::new(parts.relay),
        introductions: DirectOnly::new(introductions::new(local)),
        identify: Heard::new(
            identify::Behaviour::new(identify),
            if sockets_only { is_own_socket } else { is_told },
            MAX_IDENTIFY_ADDRESSES,
        ),
        ping: DirectOnly::new(ping::Behaviour::new(
            ping::Config::new().with_interval(PING_INTERVAL),
        )),
        index: DirectOnly::new(index::Behaviour::new(local, Scope::Relays, sockets_only)),
        peers_index: DirectOnly::new(index::Behaviour::new(local, Scope::Peers, sockets_only)),
        session: DirectOnly::new(session::Behaviour::new(session::PROTOCOL)),
        pex: DirectOnly::new(session::Behaviour::new(pex::PROTOCOL)),
        names: DirectOnly::new(session::Behaviour::new(names::PROTOCOL)),
        sites: DirectOnly::new(session::Behaviour::new(session::SITE_PROTOCOL)),
        custody: DirectOnly::new(session::Behaviour::new(custody::PROTOCOL)),
    };
    let config = swarm_config().with_idle_connection_timeout(IDLE_TIMEOUT);
    let mut swarm = Swarm::new(parts.transport, behaviour, local, config);
    let webrtc = Multiaddr::empty().with(Protocol::WebRTC);
    swarm
        .listen_on(webrtc)
        .map_err(|error| io::Error::other(causes::of_transport(&error)))?;
    Ok(swarm)
}
