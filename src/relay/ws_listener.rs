//! A libp2p transport that is handed its connections: the HTTP server accepts and upgrades websockets, this passes them on.
//!
//! One TCP port can so serve the app and libp2p. It listens on whatever address it is told, because the listening is done
//! elsewhere, and dials nothing. The queue between the two is bounded; the HTTP side takes a place in it before it agrees to an
//! upgrade, so a flood is refused with a status instead of being queued.

use std::collections::VecDeque;
use std::future::{Pending, Ready, ready};
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use libp2p::Multiaddr;
use libp2p::core::Transport;
use libp2p::core::transport::{DialOpts, ListenerId, TransportError, TransportEvent};
use tokio::sync::mpsc;

use super::ws_stream::WsStream;

/// An upgraded websocket and its two ends.
#[derive(Debug)]
pub(crate) struct Accepted {
    pub(crate) stream: WsStream,
    pub(crate) local: Multiaddr,
    /// The client's own address, as far as it is known.
    pub(crate) remote: Multiaddr,
}

/// The libp2p side.
#[derive(Debug)]
pub(crate) struct WsListener {
    queue: mpsc::Receiver<Accepted>,
    listeners: Vec<(ListenerId, Multiaddr)>,
    events: VecDeque<Event>,
}

type Event = TransportEvent<Ready<io::Result<WsStream>>, io::Error>;

/// Makes the queue.
pub(crate) fn channel() -> (mpsc::Sender<Accepted>, WsListener) {
    let (sender, queue) = mpsc::channel(QUEUE);
    (
        sender,
        WsListener {
            queue,
            listeners: Vec::new(),
            events: VecDeque::new(),
        },
    )
}

impl Transport for WsListener {
    type Output = WsStream;
    type Error = io::Error;
    type ListenerUpgrade = Ready<io::Result<WsStream>>;
    type Dial = Pending<io::Result<WsStream>>;

    fn listen_on(
        &mut self,
        listener_id: ListenerId,
        address: Multiaddr,
    ) -> Result<(), TransportError<io::Error>> {
        self.listeners.push((listener_id, address.clone()));
        self.events.push_back(TransportEvent::NewAddress {
            listener_id,
            listen_addr: address,
        });
        Ok(())
    }

    fn remove_listener(&mut self, id: ListenerId) -> bool {
        let Some(at) = self
            .listeners
            .iter()
            .position(|(listener, _)| *listener == id)
        else {
            return false;
        };
        self.listeners.remove(at);
        self.events.push_back(TransportEvent::ListenerClosed {
            listener_id: id,
            reason: Ok(()),
        });
        true
    }

    fn dial(
        &mut self,
        address: Multiaddr,
        _: DialOpts,
    ) -> Result<Self::Dial, TransportError<io::Error>> {
        Err(TransportError::MultiaddrNotSupported(address))
    }

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Event> {
        let this = self.get_mut();
        if let Some(event) = this.events.pop_front() {
            return Poll::Ready(event);
        }
        while let Poll::Ready(Some(accepted)) = this.queue.poll_recv(cx) {
            // A listener on an unspecified address names no local address of its own, so any listener stands for it.
            let listener = this
                .listeners
                .iter()
                .find(|(_, address)| *address == accepted.local);
            let Some((listener_id, _)) = listener.or(this.listeners.first()) else {
                continue;
            };
            return Poll::Ready(TransportEvent::Incoming {
                listener_id: *listener_id,
                upgrade: ready(Ok(accepted.stream)),
                local_addr: accepted.local,
                send_back_addr: accepted.remote,
            });
        }
        Poll::Pending
    }
}

/// Websockets that may wait for libp2p: what a busy second brings, and 300 KiB at most in buffers of idle sockets each.
const QUEUE: usize = 256;
