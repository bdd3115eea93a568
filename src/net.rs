//! The network edge: libp2p behaviours, wire codecs and transports.

pub mod behaviour;
pub mod direct_only;
pub mod index;
pub mod session;
pub mod transport;

/// Who polls the connections: the page's event loop.
#[cfg(target_arch = "wasm32")]
fn executor() -> libp2p::swarm::Config {
    libp2p::swarm::Config::with_wasm_executor()
}

/// Who polls the connections: tokio.
#[cfg(not(target_arch = "wasm32"))]
fn executor() -> libp2p::swarm::Config {
    libp2p::swarm::Config::with_tokio_executor()
}
