//! The page's backend: `RTCPeerConnection` and `RTCDataChannel` through web-sys.
//!
//! Every handler is installed when its object is made and only pushes into a bounded queue; the queue is polled. A waker
//! is called when the queue is no longer borrowed. Handlers are unset before their closures are freed, because an event
//! that is already queued by the browser would call into freed memory. JavaScript handles live on one thread, which is
//! the only one a page gives to wasm; `SendWrapper` asserts it.

use futures::stream::BoxStream;
use js_sys::{Array, Reflect};
use web_sys::{RtcConfiguration, RtcIceServer, RtcIceTransportPolicy, RtcPeerConnection};

use super::{RtcConfig, RtcError, RtcFactory};

mod census;
mod channel;
mod js;
mod network;
mod peer;
mod queue;
mod transport_watch;

pub use census::{MAX_UNCOLLECTED, constructed, uncollected};
pub use channel::{MAX_QUEUED_BYTES, WebChannel, open_channels};
pub use peer::WebPeer;
pub use queue::MAX_PEER_QUEUE;

use self::js::platform;

/// Makes peer connections of the page.
#[derive(Debug, Clone, Copy, Default)]
pub struct WebFactory;

impl RtcFactory for WebFactory {
    type Peer = WebPeer;

    fn create(&self, config: &RtcConfig) -> Result<WebPeer, RtcError> {
        let available = Reflect::get(&js_sys::global(), &"RTCPeerConnection".into())
            .is_ok_and(|constructor| constructor.is_function());
        if !available {
            return Err(RtcError::Unavailable);
        }
        if uncollected() >= MAX_UNCOLLECTED {
            return Err(RtcError::Exhausted);
        }
        let connection =
            RtcPeerConnection::new_with_configuration(&configuration(config)).map_err(platform)?;
        Ok(WebPeer::new(connection))
    }

    fn network_changes(&self) -> BoxStream<'static, ()> {
        network::changes()
    }
}

fn configuration(config: &RtcConfig) -> RtcConfiguration {
    let servers = Array::new();
    for url in &config.ice_servers {
        let server = RtcIceServer::new();
        server.set_urls(&url.as_str().into());
        servers.push(&server);
    }
    let configuration = RtcConfiguration::new();
    configuration.set_ice_servers(&servers);
    if config.relay_only.is_on() {
        configuration.set_ice_transport_policy(RtcIceTransportPolicy::Relay);
    }
    configuration
}
