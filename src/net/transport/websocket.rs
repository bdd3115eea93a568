//! A dial-only websocket transport for the page, used for the link to a relay.
//!
//! It replaces `libp2p-websocket-websys`, whose flush waits for a 100 ms poll of `bufferedAmount` and whose reader is not
//! woken by a close or an overflow (`docs/websocket.md` has what was measured). Here a flush hands over and returns,
//! every end of the socket wakes both directions, and what is received but not read is bounded.

mod connection;

use std::pin::Pin;
use std::task::{Context, Poll};

use futures::future::{BoxFuture, FutureExt};
use libp2p::Multiaddr;
use libp2p::core::transport::{DialOpts, ListenerId, TransportError, TransportEvent};
use send_wrapper::SendWrapper;

pub use connection::Connection;

use super::websocket_url;

/// Why a websocket could not be opened.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The browser refused the URL, for example `ws://` from an `https://` page.
    #[error("the browser refused {url}: {reason}")]
    Refused {
        /// The URL that was tried.
        url: String,
        /// The browser's words.
        reason: String,
    },
    /// The socket closed before it opened; browsers do not tell why.
    #[error("could not connect to {0}")]
    Unreachable(String),
    /// No answer within the time allowed.
    #[error("no answer from {0}")]
    TimedOut(String),
}

/// Dials `/…/tcp/…/ws` and `/…/tcp/…/tls/ws` addresses through the browser's `WebSocket`.
#[derive(Debug, Clone, Default)]
pub struct Transport;

impl libp2p::Transport for Transport {
    type Output = Connection;
    type Error = Error;
    type ListenerUpgrade = BoxFuture<'static, Result<Self::Output, Self::Error>>;
    type Dial = BoxFuture<'static, Result<Self::Output, Self::Error>>;

    fn listen_on(
        &mut self,
        _: ListenerId,
        address: Multiaddr,
    ) -> Result<(), TransportError<Self::Error>> {
        Err(TransportError::MultiaddrNotSupported(address))
    }

    fn remove_listener(&mut self, _: ListenerId) -> bool {
        false
    }

    fn dial(
        &mut self,
        address: Multiaddr,
        _: DialOpts,
    ) -> Result<Self::Dial, TransportError<Self::Error>> {
        let url = websocket_url::to_url(&address)
            .ok_or(TransportError::MultiaddrNotSupported(address))?;
        Ok(SendWrapper::new(Connection::open(url)).boxed())
    }

    fn poll(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<TransportEvent<Self::ListenerUpgrade, Self::Error>> {
        Poll::Pending
    }
}
