//! Whole swarms over the in-memory WebRTC backend: a relay and browsers, composed by hand in the order that matters.
//!
//! Everything runs in one process on memory transports; the only clock is the one of the timeouts under test.

#![cfg(all(not(target_arch = "wasm32"), feature = "node", feature = "test-utils"))]
#![allow(clippy::unwrap_used)]

mod cases;
mod peers;
mod raw;
