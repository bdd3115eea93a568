//! The small relay hop that every node runs: it introduces two peers to which it has links, and carries nothing else.
//!
//! It is the server of libp2p's circuit relay v2 with limits that fit signalling and no data. It runs on direct links only
//! ([`DirectOnly`](super::direct_only::DirectOnly)), so introductions are never chained.

use std::num::NonZeroU32;
use std::time::Duration;

use libp2p::relay;
use libp2p::swarm::behaviour::ExternalAddrConfirmed;
use libp2p::swarm::{FromSwarm, NetworkBehaviour, StreamProtocol};
use libp2p::{Multiaddr, PeerId};

use super::heard::Heard;
use super::transport::webrtc::addr::listen_addr;

/// The protocol by which a peer is asked for an introduction; a peer that offers it, as identify says, can be reserved at.
pub const PROTOCOL: StreamProtocol = relay::HOP_PROTOCOL_NAME;

/// The hop, hearing of no address but `/webrtc`.
pub type Behaviour = Heard<relay::Behaviour>;

/// A hop that is shut until [`set_open`].
pub fn new(local: PeerId) -> Behaviour {
    let config = relay::Config {
        max_reservations: MAX_RESERVATIONS,
        // The behaviour refuses above the limit, not at it: this is one for each connection, two while a link is replaced.
        max_reservations_per_peer: 1,
        reservation_duration: RESERVATION,
        reservation_rate_limiters: Vec::new(),
        max_circuits: MAX_CIRCUITS,
        max_circuits_per_peer: MAX_CIRCUITS_PER_PEER - 1,
        max_circuit_duration: CIRCUIT_DURATION,
        max_circuit_bytes: CIRCUIT_BYTES,
        circuit_src_rate_limiters: Vec::new(),
    }
    .reservation_rate_per_peer(RATE_BURST, RATE_INTERVAL)
    .circuit_src_per_peer(RATE_BURST, RATE_INTERVAL);
    let mut hop = relay::Behaviour::new(local, config);
    hop.set_status(Some(relay::Status::Disable));
    // A reservation is granted under the hop's addresses, and one without any is a violation of the protocol. Those of the
    // relays would promise what only the relays can keep, and end with them.
    let addr = &listen_addr();
    hop.on_swarm_event(FromSwarm::ExternalAddrConfirmed(ExternalAddrConfirmed {
        addr,
    }));
    Heard::new(hop, |_: &Multiaddr| false, 0)
}

/// Opens or shuts the hop; circuits that are up end by themselves.
pub fn set_open(hop: &mut Behaviour, open: bool) {
    let status = match open {
        true => relay::Status::Enable,
        false => relay::Status::Disable,
    };
    hop.get_mut().set_status(Some(status));
}

/// Peers that can be introduced through this node. Ours: each keeps a link open, of which a tab should hold at most 40.
pub const MAX_RESERVATIONS: usize = 16;

/// How long a reservation lasts; the other side renews it at three quarters.
const RESERVATION: Duration = Duration::from_secs(20 * 60);

/// Circuits at a time.
const MAX_CIRCUITS: usize = 8;

/// Circuits at a time that one peer asked for.
const MAX_CIRCUITS_PER_PEER: usize = 3;

/// Longest life of a circuit: the 20 s of a handshake, and what a busy page needs beside it.
const CIRCUIT_DURATION: Duration = Duration::from_secs(30);

/// Bytes on one circuit, both ways together: two session descriptions of 2 KiB, some dozens of candidates of 0.2 KiB, Noise, and
/// identify at up to 4 KiB each. A quarter of a chunk.
const CIRCUIT_BYTES: u64 = 64 * 1024;

/// Reservations or circuits that one peer may ask for at once; afterwards one in each [`RATE_INTERVAL`].
const RATE_BURST: NonZeroU32 = NonZeroU32::new(16).expect("16 is not 0");

/// Time in which a peer gets one more.
const RATE_INTERVAL: Duration = Duration::from_secs(4);
