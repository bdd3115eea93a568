//! What a node is told when it starts.

use std::rc::Rc;
use std::time::Duration;

use libp2p::Multiaddr;

use crate::net::fetch::Fetch;
use crate::proto::custody::custodian;
use crate::proto::limits::Surroundings;

/// Relays that are linked at once; more are spares. Ours: two survive the loss of one, more only cost them memory.
pub const MAX_RELAYS: usize = 8;

/// Settings of one node.
#[derive(Debug, Clone, Default)]
pub struct Config {
    /// Relay addresses, each ending in `/p2p/<relay id>`; at most [`MAX_RELAYS`] are used.
    pub relays: Vec<Multiaddr>,
    /// Peers to link to at the start, as the address of a socket of theirs and `/p2p/<peer id>`. That takes no relay.
    pub peers: Vec<Multiaddr>,
    /// Where to listen for other nodes by websocket or TCP; native nodes only.
    pub listen: Vec<Multiaddr>,
    /// Where others reach what listens; if none is named, the addresses of this machine at which it does.
    pub announce: Vec<Multiaddr>,
    /// STUN servers as `stun:host:port`.
    pub stun: Vec<String>,
    /// Show no address to peers in this run, whatever the person's limits say: only relayed ICE candidates.
    pub relay_only: bool,
    /// What the platform says of the connection and the battery.
    pub surroundings: Surroundings,
    /// How long enough links must have been there before this node serves the peers' index; `None` is
    /// [`SERVE_AFTER`](crate::proto::neighbours::SERVE_AFTER).
    pub serve_after: Option<Duration>,
    /// Bytes of chunks to keep at most; `None` leaves what the store has.
    pub quota: Option<u64>,
    /// Work that the ids of custodians must show in this network, in bits, as its relays say; 0 asks for none.
    pub puzzle_bits: u8,
    /// Search for an id that shows this work before the node starts for the first time, not beside what it does: it takes some seconds.
    pub work_first: bool,
    /// How what is kept for others is looked after; `None` is the default. Its bits of work are not read: see `puzzle_bits`.
    pub custodian: Option<custodian::Config>,
    /// How web servers are asked for what links say that they have; `None` leaves them alone.
    pub fetch: Option<Rc<dyn Fetch>>,
}
