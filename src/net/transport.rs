//! How bytes reach another peer: `/webrtc` between browsers, websocket to a relay.
//!
//! The order of composition is part of the meaning: webrtc, then relay client, then websocket. The relay client takes any
//! address that holds `/p2p-circuit` and ignores what follows, and a websocket dialler would take a circuit address for
//! the relay's own; in any other order `/webrtc` addresses silently become something else.

pub mod webrtc;

#[cfg(not(target_arch = "wasm32"))]
mod native;
#[cfg(target_arch = "wasm32")]
mod web;
#[cfg(target_arch = "wasm32")]
pub mod websocket;
#[cfg(any(target_arch = "wasm32", test))]
mod websocket_url;

use std::io;
use std::time::Duration;

use libp2p::core::muxing::StreamMuxerBox;
use libp2p::core::transport::Boxed;
use libp2p::core::upgrade::Version;
use libp2p::identity::Keypair;
use libp2p::{PeerId, Transport, noise, relay, yamux};

#[cfg(not(target_arch = "wasm32"))]
pub use native::{build, sockets, sockets_behind, swarm_config};
#[cfg(target_arch = "wasm32")]
pub use web::{build, swarm_config};

use webrtc::rtc::RtcFactory;

/// The composed transport and the behaviours that are its other halves.
pub struct Parts {
    /// Everything that can be dialled and listened on, authenticated and multiplexed.
    pub transport: Boxed<(PeerId, StreamMuxerBox)>,
    /// The other half of the `/webrtc` transport.
    pub webrtc: webrtc::Behaviour,
    /// The other half of the circuit transport.
    pub relay: relay::client::Behaviour,
}

impl std::fmt::Debug for Parts {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Parts").finish_non_exhaustive()
    }
}

/// Time for a link to a relay, or a circuit through one, from the dial until Noise and Yamux stand. Ours: twice the time that a
/// websocket has to open. Without a limit, a relay that takes the socket and says nothing holds its dial for ever, and a peer that
/// is being dialled is not dialled again.
const SETUP_TIMEOUT: Duration = Duration::from_secs(30);

/// Joins the three transports in the one right order. `base` reaches relays; `limit` is for it and for circuits.
fn compose<F, T>(
    key: &Keypair,
    config: webrtc::Config,
    factory: F,
    base: T,
    limit: Duration,
) -> io::Result<Parts>
where
    F: RtcFactory,
    T: Transport + Send + Unpin + 'static,
    T::Output: futures::AsyncRead + futures::AsyncWrite + Unpin + Send + 'static,
    T::Error: Send + Sync + 'static,
    T::Dial: Send + 'static,
    T::ListenerUpgrade: Send + 'static,
{
    let local = key.public().to_peer_id();
    let (circuit, relay) = relay::client::new(local);
    let (direct, webrtc) = webrtc::new(config, factory);
    let noise = noise::Config::new(key).map_err(io::Error::other)?;
    let transport = direct
        .map(|(peer, muxer), _| (peer, StreamMuxerBox::new(muxer)))
        .or_transport(
            circuit
                .or_transport(base)
                .upgrade(Version::V1)
                .authenticate(noise)
                .multiplex(yamux::Config::default())
                .timeout(limit)
                .map(|(peer, muxer), _| (peer, StreamMuxerBox::new(muxer))),
        )
        .map(|either, _| either.into_inner())
        .boxed();
    Ok(Parts {
        transport,
        webrtc,
        relay,
    })
}
