//! Streams of one protocol, `/gyre/swarm/1.0.0` or another: opens them to a peer and accepts them.
//!
//! The behaviour only hands over streams; what is said on them is `proto::message`, who says it is the node.

use std::collections::VecDeque;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use crate::proto::ordered::Map;
use libp2p::core::Endpoint;
use libp2p::core::transport::PortUse;
use libp2p::core::upgrade::ReadyUpgrade;
use libp2p::swarm::handler::{ConnectionEvent, FullyNegotiatedInbound, FullyNegotiatedOutbound};
use libp2p::swarm::{
    ConnectionClosed, ConnectionDenied, ConnectionHandler, ConnectionHandlerEvent, ConnectionId,
    FromSwarm, NetworkBehaviour, NotifyHandler, Stream, StreamProtocol, SubstreamProtocol,
    THandler, THandlerInEvent, THandlerOutEvent, ToSwarm,
};
use libp2p::{Multiaddr, PeerId};

/// The exchange of chunks, `docs/protocol.md`.
pub const PROTOCOL: StreamProtocol = StreamProtocol::new("/gyre/swarm/1.0.0");

/// What a node has of a site, `docs/protocol.md`.
pub const SITE_PROTOCOL: StreamProtocol = StreamProtocol::new("/gyre/site/1.0.0");

/// Time to negotiate a stream.
const OPEN_TIMEOUT: Duration = Duration::from_secs(15);

/// Streams waiting to be handed over, for each connection; more are refused. A pair shares few blobs at a time.
const MAX_PENDING: usize = 64;

/// Correlates [`Behaviour::open`] with its outcome.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct OpenId(pub u64);

/// A stream, or why there is none.
#[derive(Debug)]
pub enum Event {
    /// The remote opened a stream.
    Inbound {
        /// Who.
        peer: PeerId,
        /// The stream; the first message names the blob.
        stream: Stream,
    },
    /// What `open` asked for.
    Opened {
        /// The call.
        id: OpenId,
        /// The stream.
        stream: Stream,
    },
    /// `open` came to nothing: not connected, refused, or too slow.
    Failed {
        /// The call.
        id: OpenId,
    },
}

/// Keeps the direct connections of each peer and opens streams on the newest.
#[derive(Debug)]
pub struct Behaviour {
    protocol: StreamProtocol,
    connections: Map<PeerId, Vec<ConnectionId>>,
    opening: Map<OpenId, (PeerId, ConnectionId)>,
    out: VecDeque<ToSwarm<Event, OpenId>>,
    waker: Option<Waker>,
}

impl Behaviour {
    /// Streams of `protocol`.
    pub fn new(protocol: StreamProtocol) -> Self {
        Self {
            protocol,
            connections: Map::new(),
            opening: Map::new(),
            out: VecDeque::new(),
            waker: None,
        }
    }

    /// Opens a stream to a connected peer; `Opened` or `Failed` follows.
    pub fn open(&mut self, peer: PeerId, id: OpenId) {
        let event = match self.connections.get(&peer).and_then(|known| known.last()) {
            Some(connection) => {
                self.opening.insert(id, (peer, *connection));
                ToSwarm::NotifyHandler {
                    peer_id: peer,
                    handler: NotifyHandler::One(*connection),
                    event: id,
                }
            }
            None => ToSwarm::GenerateEvent(Event::Failed { id }),
        };
        self.out.push_back(event);
        self.waker.take().into_iter().for_each(Waker::wake);
    }

    /// Whether there is a connection on which `open` can work.
    pub fn is_connected(&self, peer: &PeerId) -> bool {
        self.connections.contains_key(peer)
    }

    fn established(&mut self, peer: PeerId, id: ConnectionId) -> Handler {
        self.connections.entry(peer).or_default().push(id);
        Handler {
            protocol: self.protocol.clone(),
            wanted: VecDeque::new(),
            out: VecDeque::new(),
        }
    }
}

impl NetworkBehaviour for Behaviour {
    type ConnectionHandler = Handler;
    type ToSwarm = Event;

    fn handle_established_inbound_connection(
        &mut self,
        id: ConnectionId,
        peer: PeerId,
        _: &Multiaddr,
        _: &Multiaddr,
    ) -> Result<THandler<Self>, ConnectionDenied> {
        Ok(self.established(peer, id))
    }

    fn handle_established_outbound_connection(
        &mut self,
        id: ConnectionId,
        peer: PeerId,
        _: &Multiaddr,
        _: Endpoint,
        _: PortUse,
    ) -> Result<THandler<Self>, ConnectionDenied> {
        Ok(self.established(peer, id))
    }

    fn on_swarm_event(&mut self, event: FromSwarm) {
        let FromSwarm::ConnectionClosed(ConnectionClosed {
            peer_id,
            connection_id,
            ..
        }) = event
        else {
            return;
        };
        if let Some(known) = self.connections.get_mut(&peer_id) {
            known.retain(|other| *other != connection_id);
            if known.is_empty() {
                self.connections.remove(&peer_id);
            }
        }
        let lost: Vec<_> = self
            .opening
            .iter()
            .filter(|(_, (_, on))| *on == connection_id)
            .map(|(id, _)| *id)
            .collect();
        for id in lost {
            self.opening.remove(&id);
            self.out
                .push_back(ToSwarm::GenerateEvent(Event::Failed { id }));
        }
    }

    fn on_connection_handler_event(
        &mut self,
        peer: PeerId,
        _: ConnectionId,
        event: THandlerOutEvent<Self>,
    ) {
        let event = match event {
            FromHandler::Inbound(stream) => Event::Inbound { peer, stream },
            FromHandler::Opened(id, stream) => {
                self.opening.remove(&id);
                Event::Opened { id, stream }
            }
            FromHandler::Failed(id) => {
                self.opening.remove(&id);
                Event::Failed { id }
            }
        };
        self.out.push_back(ToSwarm::GenerateEvent(event));
    }

    fn poll(
        &mut self,
        cx: &mut Context<'_>,
    ) -> Poll<ToSwarm<Self::ToSwarm, THandlerInEvent<Self>>> {
        match self.out.pop_front() {
            Some(event) => Poll::Ready(event),
            None => {
                self.waker = Some(cx.waker().clone());
                Poll::Pending
            }
        }
    }
}

/// What a connection's handler reports.
#[derive(Debug)]
pub enum FromHandler {
    /// The remote opened a stream.
    Inbound(Stream),
    /// A stream that we asked for.
    Opened(OpenId, Stream),
    /// A stream that we asked for and did not get.
    Failed(OpenId),
}

/// The part that stands at one connection.
#[derive(Debug)]
pub struct Handler {
    protocol: StreamProtocol,
    wanted: VecDeque<OpenId>,
    out: VecDeque<FromHandler>,
}

impl ConnectionHandler for Handler {
    type FromBehaviour = OpenId;
    type ToBehaviour = FromHandler;
    type InboundProtocol = ReadyUpgrade<StreamProtocol>;
    type OutboundProtocol = ReadyUpgrade<StreamProtocol>;
    type InboundOpenInfo = ();
    type OutboundOpenInfo = OpenId;

    fn listen_protocol(&self) -> SubstreamProtocol<Self::InboundProtocol> {
        SubstreamProtocol::new(ReadyUpgrade::new(self.protocol.clone()), ())
    }

    fn on_behaviour_event(&mut self, id: OpenId) {
        if self.wanted.len() < MAX_PENDING {
            self.wanted.push_back(id);
        } else {
            self.out.push_back(FromHandler::Failed(id));
        }
    }

    fn on_connection_event(
        &mut self,
        event: ConnectionEvent<Self::InboundProtocol, Self::OutboundProtocol, (), OpenId>,
    ) {
        match event {
            // A stream over the bound is dropped, which resets it.
            ConnectionEvent::FullyNegotiatedInbound(FullyNegotiatedInbound {
                protocol, ..
            }) if self.out.len() < MAX_PENDING => {
                self.out.push_back(FromHandler::Inbound(protocol));
            }
            ConnectionEvent::FullyNegotiatedOutbound(FullyNegotiatedOutbound {
                protocol,
                info,
            }) => {
                self.out.push_back(FromHandler::Opened(info, protocol));
            }
            ConnectionEvent::DialUpgradeError(error) => {
                self.out.push_back(FromHandler::Failed(error.info))
            }
            _ => {}
        }
    }

    fn poll(
        &mut self,
        _: &mut Context<'_>,
    ) -> Poll<ConnectionHandlerEvent<Self::OutboundProtocol, OpenId, Self::ToBehaviour>> {
        if let Some(event) = self.out.pop_front() {
            return Poll::Ready(ConnectionHandlerEvent::NotifyBehaviour(event));
        }
        if let Some(id) = self.wanted.pop_front() {
            let protocol = SubstreamProtocol::new(ReadyUpgrade::new(self.protocol.clone()), id)
                .with_timeout(OPEN_TIMEOUT);
            return Poll::Ready(ConnectionHandlerEvent::OutboundSubstreamRequest { protocol });
        }
        Poll::Pending
    }
}
