//! A native peer's transports: websocket or TCP to relays. Whoever runs it brings the WebRTC backend.

use std::io;

use libp2p::identity::Keypair;
use libp2p::{Transport, tcp, websocket};

use super::webrtc::rtc::RtcFactory;
use super::{Parts, compose, webrtc};

/// Builds the transport stack of a native peer.
///
/// # Errors
/// If Noise refuses the key.
pub fn build<F: RtcFactory>(
    key: &Keypair,
    config: webrtc::Config,
    factory: F,
) -> io::Result<Parts> {
    let tcp = || tcp::tokio::Transport::new(tcp::Config::default().nodelay(true));
    // Websocket first: a plain TCP transport would take `/tcp/…/ws` for `/tcp/…`.
    compose(
        key,
        config,
        factory,
        websocket::Config::new(tcp()).or_transport(tcp()),
    )
}

/// Settings of a swarm whose connections are polled by tokio.
pub fn swarm_config() -> libp2p::swarm::Config {
    libp2p::swarm::Config::with_tokio_executor()
}
