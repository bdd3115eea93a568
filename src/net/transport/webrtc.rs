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

pub mod addr;
pub mod config;
pub mod error;
pub mod handshake;
pub mod rtc;
pub mod signal;

pub use self::{
    addr::{is_relayed, is_webrtc},
    config::Config,
    error::{HandshakeError, Step, UpgradeError},
};
