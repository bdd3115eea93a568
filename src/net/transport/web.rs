//! The page's transports: the browser's own WebRTC and websocket.

use std::io;

use libp2p::identity::Keypair;

use super::webrtc::rtc::web::WebFactory;
use super::{Parts, SETUP_TIMEOUT, compose, webrtc, websocket};

/// Builds the transport stack of a page.
///
/// # Errors
/// If Noise refuses the key.
pub fn build(key: &Keypair, config: webrtc::Config) -> io::Result<Parts> {
    compose(key, config, WebFactory, websocket::Transport, SETUP_TIMEOUT)
}

/// Settings of a swarm whose connections are polled by the page's event loop.
pub fn swarm_config() -> libp2p::swarm::Config {
    libp2p::swarm::Config::with_wasm_executor()
}
