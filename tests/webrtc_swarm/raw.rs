//! A peer that opens and accepts signalling streams and leaves the talking to the test.

use std::{
    convert::Infallible,
    task::{Context, Poll},
};

use gyre::net::transport::webrtc::{addr::is_relayed_addr, signal::PROTOCOL};
use libp2p::{
    Multiaddr, PeerId, StreamProtocol,
    core::{Endpoint, transport::PortUse, upgrade::ReadyUpgrade},
    relay,
    swarm::{
        ConnectionDenied, ConnectionHandler, ConnectionHandlerEvent, ConnectionId, FromSwarm,
        NetworkBehaviour, Stream, SubstreamProtocol, ToSwarm,
        handler::{ConnectionEvent, FullyNegotiatedInbound, FullyNegotiatedOutbound},
    },
};
use tokio::sync::mpsc;

/// Speaks signalling by hand.
#[derive(NetworkBehaviour)]
pub struct RawPeer {
    pub relay: relay::client::Behaviour,
    pub signalling: Raw,
}

/// Hands every signalling stream, inbound or outbound, to the test.
pub struct Raw {
    streams: mpsc::UnboundedSender<Stream>,
    opens: OpenOn,
}

/// On which of the connections that it dialled the peer opens a signalling stream.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum OpenOn {
    None,
    Relayed,
    Direct,
}

impl Raw {
    pub fn new(opens: OpenOn) -> (Self, mpsc::UnboundedReceiver<Stream>) {
        let (streams, taken) = mpsc::unbounded_channel();
        (Self { streams, opens }, taken)
    }
}

impl NetworkBehaviour for Raw {
    type ConnectionHandler = RawHandler;
    type ToSwarm = Infallible;

    fn handle_established_inbound_connection(
        &mut self,
        _: ConnectionId,
        _: PeerId,
        _: &Multiaddr,
        _: &Multiaddr,
    ) -> Result<RawHandler, ConnectionDenied> {
        Ok(RawHandler {
            streams: self.streams.clone(),
            open: false,
        })
    }

    fn handle_established_outbound_connection(
        &mut self,
        _: ConnectionId,
        _: PeerId,
        addr: &Multiaddr,
        _: Endpoint,
        _: PortUse,
    ) -> Result<RawHandler, ConnectionDenied> {
        Ok(RawHandler {
            streams: self.streams.clone(),
            open: match is_relayed_addr(addr) {
                true => self.opens == OpenOn::Relayed,
                false => self.opens == OpenOn::Direct,
            },
        })
    }

    fn on_swarm_event(&mut self, _: FromSwarm) {}

    fn on_connection_handler_event(&mut self, _: PeerId, _: ConnectionId, event: Infallible) {
        match event {}
    }

    fn poll(&mut self, _: &mut Context<'_>) -> Poll<ToSwarm<Infallible, Infallible>> {
        Poll::Pending
    }
}

pub struct RawHandler {
    streams: mpsc::UnboundedSender<Stream>,
    open: bool,
}

impl ConnectionHandler for RawHandler {
    type FromBehaviour = Infallible;
    type ToBehaviour = Infallible;
    type InboundProtocol = ReadyUpgrade<StreamProtocol>;
    type OutboundProtocol = ReadyUpgrade<StreamProtocol>;
    type InboundOpenInfo = ();
    type OutboundOpenInfo = ();

    fn listen_protocol(&self) -> SubstreamProtocol<Self::InboundProtocol> {
        SubstreamProtocol::new(ReadyUpgrade::new(PROTOCOL), ())
    }

    fn on_behaviour_event(&mut self, event: Infallible) {
        match event {}
    }

    fn poll(
        &mut self,
        _: &mut Context<'_>,
    ) -> Poll<ConnectionHandlerEvent<Self::OutboundProtocol, (), Infallible>> {
        if std::mem::take(&mut self.open) {
            return Poll::Ready(ConnectionHandlerEvent::OutboundSubstreamRequest {
                protocol: SubstreamProtocol::new(ReadyUpgrade::new(PROTOCOL), ()),
            });
        }
        Poll::Pending
    }

    fn on_connection_event(
        &mut self,
        event: ConnectionEvent<Self::InboundProtocol, Self::OutboundProtocol>,
    ) {
        if let ConnectionEvent::FullyNegotiatedInbound(FullyNegotiatedInbound {
            protocol: stream,
            ..
        })
        | ConnectionEvent::FullyNegotiatedOutbound(FullyNegotiatedOutbound {
            protocol: stream,
            ..
        }) = event
        {
            // A test that has ended takes no more.
            let _ = self.streams.send(stream);
        }
    }
}
