//! The network edge: libp2p behaviours, wire codecs and transports.

pub mod direct_only;
pub mod transport;
