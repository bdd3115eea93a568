//! The network edge: libp2p behaviours, wire codecs and transports.

pub mod addresses;
pub mod behaviour;
pub mod causes;
pub mod custody;
pub mod direct_only;
pub mod fetch;
pub mod framed;
pub mod heard;
pub mod index;
pub mod introductions;
pub mod names;
pub mod pex;
pub mod session;
pub mod transport;
