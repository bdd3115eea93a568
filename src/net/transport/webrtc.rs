//! Browser-to-browser WebRTC (`/webrtc`) for rust-libp2p.
//!
//! Layers, one direction: `frame` and `signal` (pure codecs and state machines) → `rtc` (trait, web and in-memory backends)
//! → `muxer` and `stream` → `handshake` → `transport`, `behaviour` and `handler` (the swarm glue).
//! Spec: <https://github.com/libp2p/specs/blob/master/webrtc/webrtc.md>.

pub mod frame;
pub mod muxer;
pub mod rtc;
pub mod stream;
