//! A polite host: what the person's limits let through, what leaves the cache, and what is found to be damaged. Whole
//! nodes over the in-memory WebRTC and a real relay.

#![cfg(not(target_arch = "wasm32"))]
#![allow(clippy::unwrap_used)]

mod cache;
#[path = "../kit/mod.rs"]
mod kit;
mod limits;
mod privacy;
