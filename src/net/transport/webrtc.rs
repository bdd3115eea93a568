//! Browser-to-browser WebRTC (`/webrtc`) for rust-libp2p.
//!
//! Layers, one direction: `frame` and `signal` (pure codecs and state machines) → `rtc` (trait, web and in-memory backends)
//! → `muxer` and `stream` → `handshake` → `transport`, `behaviour` and `handler` (the swarm glue).
//! Spec: <https://github.com/libp2p/specs/blob/master/webrtc/webrtc.md>.
//!
//! ```text
//! Transport ── OpenRequest ──▶ Behaviour ── Open ──▶ Handler        (a dial wants a signalling stream)
//! Transport ◀── Inbound ────── Behaviour ◀─ Opened ─ Handler        (a remote opened one)
//! ```
//!
//! The swarm's transports must be composed in the order webrtc, relay client, the others: the relay client takes any
//! address with `p2p-circuit` in it, and some websocket transports any that starts like theirs. `docs/webrtc-signalling.md`
//! has the sequence and every limit.

use std::sync::Arc;

use futures::channel::mpsc;

pub mod addr;
mod backoff;
pub mod behaviour;
pub mod config;
pub mod error;
pub mod frame;
pub mod handler;
pub mod handshake;
mod links;
pub mod muxer;
pub mod rtc;
pub mod signal;
pub mod stream;
pub mod transport;

pub use self::{
    addr::{is_relayed, is_webrtc},
    behaviour::{Behaviour, Event},
    config::Config,
    error::{HandshakeError, Step, UpgradeError},
    transport::Transport,
};

/// Makes the transport and the behaviour that belongs to it; both must be given to the same swarm.
pub fn new<F: rtc::RtcFactory>(config: Config, factory: F) -> (Transport<F>, Behaviour) {
    let config = Arc::new(config);
    // Every dial has a slot of its own besides; inbound handshakes are admitted up to the bound.
    let (to_behaviour, from_transport) = mpsc::channel(config.max_outbound);
    let (to_transport, from_behaviour) = mpsc::channel(config.max_inbound);
    // Every connection has a slot of its own besides.
    let (reports, health) = mpsc::channel(0);
    let changes = factory.network_changes();
    (
        Transport::new(
            Arc::clone(&config),
            factory,
            to_behaviour,
            from_behaviour,
            reports,
        ),
        Behaviour::new(config, from_transport, to_transport, health, changes),
    )
}
