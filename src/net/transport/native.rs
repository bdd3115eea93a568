//! A native peer's transports: websocket or TCP to relays. Whoever runs it brings the WebRTC backend.

use std::io;

use libp2p::identity::Keypair;
use libp2p::{Transport, dns, tcp, websocket};

use super::webrtc::rtc::RtcFactory;
use super::webrtc::rtc::none::NoRtc;
use super::{Parts, SETUP_TIMEOUT, compose, webrtc};

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
        SETUP_TIMEOUT,
    )
}

/// The same without WebRTC, for a node of its own: names are looked up, and its sockets can be listened on.
///
/// # Errors
/// If Noise refuses the key, or the system does not say how to look up names.
pub fn sockets(key: &Keypair, config: webrtc::Config) -> io::Result<Parts> {
    let named = || {
        let tcp = tcp::tokio::Transport::new(tcp::Config::default().nodelay(true));
        dns::tokio::Transport::system(tcp)
    };
    compose(
        key,
        config,
        NoRtc,
        websocket::Config::new(named()?).or_transport(named()?),
        SETUP_TIMEOUT,
    )
}

/// The same for a node that is handed its connections: `first` takes what is listened on, and is asked first.
///
/// # Errors
/// As [`sockets`].
pub fn sockets_behind<T>(key: &Keypair, config: webrtc::Config, first: T) -> io::Result<Parts>
where
    T: Transport + Send + Unpin + 'static,
    T::Output: futures::AsyncRead + futures::AsyncWrite + Unpin + Send + 'static,
    T::Error: Send + Sync + 'static,
    T::Dial: Send + 'static,
    T::ListenerUpgrade: Send + 'static,
{
    let tcp = tcp::tokio::Transport::new(tcp::Config::default().nodelay(true));
    let named = dns::tokio::Transport::system(tcp)?;
    compose(
        key,
        config,
        NoRtc,
        first.or_transport(websocket::Config::new(named)),
        SETUP_TIMEOUT,
    )
}

/// Settings of a swarm whose connections are polled by tokio.
pub fn swarm_config() -> libp2p::swarm::Config {
    libp2p::swarm::Config::with_tokio_executor()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use std::time::{Duration, Instant};

    use futures::StreamExt;
    use futures::executor::block_on;
    use futures::future::{Either, select};
    use libp2p::Multiaddr;
    use libp2p::core::Endpoint;
    use libp2p::core::transport::{DialOpts, ListenerId, MemoryTransport, PortUse, TransportEvent};

    use super::*;
    use crate::net::transport::webrtc::rtc::mem::MemNetwork;

    #[test]
    fn a_relay_that_takes_the_socket_and_says_nothing_is_given_up() {
        const LIMIT: Duration = Duration::from_millis(200);
        let mut mute = MemoryTransport::default().boxed();
        mute.listen_on(ListenerId::next(), "/memory/0".parse().unwrap())
            .unwrap();
        let Some(TransportEvent::NewAddress { listen_addr, .. }) = block_on(mute.next()) else {
            panic!("no address")
        };

        let key = Keypair::generate_ed25519();
        let config = webrtc::Config::new(key.public().to_peer_id());
        let mut parts = compose(
            &key,
            config,
            MemNetwork::new(),
            MemoryTransport::default(),
            LIMIT,
        )
        .unwrap();
        let address: Multiaddr = listen_addr;
        let began = Instant::now();
        let dial = parts
            .transport
            .dial(
                address,
                DialOpts {
                    role: Endpoint::Dialer,
                    port_use: PortUse::New,
                },
            )
            .unwrap();
        let accepted = Box::pin(async {
            let mut sockets = Vec::new();
            while let Some(event) = mute.next().await {
                if let TransportEvent::Incoming { upgrade, .. } = event {
                    sockets.push(upgrade.await);
                }
            }
        });
        let Either::Left((dialled, _)) = block_on(select(dial, accepted)) else {
            panic!("the listener ended")
        };
        assert!(dialled.is_err(), "linked to a relay that said nothing");
        assert!(
            began.elapsed() >= LIMIT,
            "failed for another reason: {:?}",
            dialled.err()
        );
    }
}
