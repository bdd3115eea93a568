//! Opens and accepts signalling streams on one connection.
//!
//! It decides nothing: outbound streams go to whoever asked for them, inbound ones to the behaviour. It never asks for
//! the connection to be kept; a live signalling stream keeps it up by itself.

use std::{
    collections::VecDeque,
    convert::Infallible,
    task::{Context, Poll, Waker},
};

use futures::channel::oneshot;
use libp2p::{
    StreamProtocol,
    core::upgrade::ReadyUpgrade,
    swarm::{
        ConnectionHandler, ConnectionHandlerEvent, Stream, StreamUpgradeError, SubstreamProtocol,
        handler::{
            ConnectionEvent, DialUpgradeError, FullyNegotiatedInbound, FullyNegotiatedOutbound,
        },
    },
};

use super::{error::UpgradeError, signal};

/// Where an opened signalling stream goes.
pub type Reply = oneshot::Sender<Result<Stream, UpgradeError>>;

/// Asks the handler for a signalling stream on its connection.
#[derive(Debug)]
pub struct Open(pub(crate) Reply);

/// The remote opened a signalling stream.
#[derive(Debug)]
pub struct Opened(pub(crate) Stream);

/// The handler of the paired behaviour.
#[derive(Debug, Default)]
pub struct Handler {
    requests: VecDeque<Reply>,
    inbound: VecDeque<Stream>,
    waker: Option<Waker>,
}

impl Handler {
    fn wake(&mut self) {
        if let Some(waker) = self.waker.take() {
            waker.wake();
        }
    }
}

impl ConnectionHandler for Handler {
    type FromBehaviour = Open;
    type ToBehaviour = Opened;
    type InboundProtocol = ReadyUpgrade<StreamProtocol>;
    type OutboundProtocol = ReadyUpgrade<StreamProtocol>;
    type InboundOpenInfo = ();
    type OutboundOpenInfo = Reply;

    fn listen_protocol(&self) -> SubstreamProtocol<Self::InboundProtocol> {
        SubstreamProtocol::new(ReadyUpgrade::new(signal::PROTOCOL), ())
    }

    fn on_behaviour_event(&mut self, Open(reply): Open) {
        // The behaviour bounds the attempts, and each asks once.
        self.requests.push_back(reply);
        self.wake();
    }

    fn poll(
        &mut self,
        cx: &mut Context<'_>,
    ) -> Poll<ConnectionHandlerEvent<Self::OutboundProtocol, Reply, Opened>> {
        if let Some(stream) = self.inbound.pop_front() {
            return Poll::Ready(ConnectionHandlerEvent::NotifyBehaviour(Opened(stream)));
        }
        while let Some(reply) = self.requests.pop_front() {
            if !reply.is_canceled() {
                return Poll::Ready(ConnectionHandlerEvent::OutboundSubstreamRequest {
                    protocol: SubstreamProtocol::new(ReadyUpgrade::new(signal::PROTOCOL), reply),
                });
            }
        }
        self.waker = Some(cx.waker().clone());
        Poll::Pending
    }

    fn on_connection_event(
        &mut self,
        event: ConnectionEvent<Self::InboundProtocol, Self::OutboundProtocol, (), Reply>,
    ) {
        match event {
            // Over the bound the stream is dropped, which resets it: the remote sees a refusal.
            ConnectionEvent::FullyNegotiatedInbound(FullyNegotiatedInbound {
                protocol: stream,
                ..
            }) if self.inbound.len() < MAX_QUEUED_STREAMS => {
                self.inbound.push_back(stream);
                self.wake();
            }
            ConnectionEvent::FullyNegotiatedOutbound(FullyNegotiatedOutbound {
                protocol: stream,
                info: reply,
            }) => {
                // An attempt that is gone drops the stream.
                let _ = reply.send(Ok(stream));
            }
            ConnectionEvent::DialUpgradeError(DialUpgradeError { info: reply, error }) => {
                let _ = reply.send(Err(refused(error)));
            }
            _ => {}
        }
    }
}

fn refused(error: StreamUpgradeError<Infallible>) -> UpgradeError {
    match error {
        StreamUpgradeError::NegotiationFailed => UpgradeError::Unsupported,
        StreamUpgradeError::Timeout | StreamUpgradeError::Io(_) => UpgradeError::CircuitLost,
        StreamUpgradeError::Apply(never) => match never {},
    }
}

/// Inbound streams that wait for the behaviour; it takes one per peer at a time.
const MAX_QUEUED_STREAMS: usize = 2;
