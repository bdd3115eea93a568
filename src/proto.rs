//! The protocol as IO-less state machines: `handle(input, now)`, then drain the outputs.
//!
//! Nothing here is async, reads a clock, draws global randomness or knows libp2p or the web. The clock is an argument
//! ([`types::Time`]), randomness is a seed, and a whole swarm can therefore run in one deterministic test.
//!
//! The driving law: every `handle` is followed by a full drain of the outputs, and the next deadline is one of them.

pub mod address;
pub mod availability;
pub mod bitfield;
pub mod book;
pub mod budget;
pub mod cache;
mod cbor;
pub mod config;
pub mod container;
pub mod custody;
pub mod denylist;
pub mod discovery;
pub mod fair;
pub mod focus;
pub mod holding;
pub mod identity;
pub mod keeping;
pub mod keys;
pub mod limits;
pub mod link;
pub mod mail;
pub mod manifest;
pub mod message;
pub mod name;
pub mod neighbours;
pub mod ordered;
pub mod pex;
pub mod picker;
pub mod pool;
pub mod random;
pub mod rate;
pub mod records;
pub mod share;
#[cfg(feature = "test-utils")]
pub mod sim;
pub mod site;
pub(crate) mod sorting;
pub mod swarm;
pub mod tail;
pub mod tree;
pub mod types;
pub mod uplink;
pub mod web_seed;
pub mod web_source;
pub mod web_tree;
