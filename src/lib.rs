//! Gyre: a peer that lives in a web page.
//!
//! Four rings, one direction: [`proto`] is the protocol as IO-less state machines; `net`, `store` and `rt` are the edges;
//! `node` is the one async loop that joins them; `wasm` (the page) and `relay` (the native server) stand on top.
//! `ARCHITECTURE.md` has the arrows, the glossary and where to change what.

pub mod proto;
pub mod store;

#[cfg(feature = "relay")]
pub mod cli;
#[cfg(feature = "node")]
pub mod net;
#[cfg(feature = "node")]
pub mod node;
#[cfg(feature = "relay")]
pub mod relay;
#[cfg(feature = "node")]
pub mod rt;
#[cfg(all(feature = "node", target_arch = "wasm32"))]
pub mod wasm;
#[cfg(all(feature = "mail-module", target_arch = "wasm32"))]
pub mod wasm_mail;
