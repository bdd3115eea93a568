//! Keeps a behaviour off relayed connections.
//!
//! rust-libp2p does not know limited connections: every protocol would run over a 128 KiB circuit, and its streams would
//! die when the circuit is closed after the upgrade. Under this wrapper the inner behaviour never learns of a relayed
//! connection: it has a dummy handler there, and the events, the counts in them and the commands that come back speak of
//! the other connections only. Signalling and identify stay unwrapped.
//!
//! The one exception is a pair between whose networks there is no path: [`DirectOnly::permit_relayed`] lets the inner behaviour
//! see the relayed connections to that peer that come up from then on, and [`DirectOnly::forbid_relayed`] ends that.
//!
//! A link of the `/webrtc` transport was dialled under an address with `p2p-circuit` in it, which libp2p's own behaviours take
//! for a relayed connection. They are told the address by which the other side knows such a link, `/webrtc/p2p/<peer>`:
//! whoever introduced the two has no part in it any more.

use std::task::{Context, Poll, ready};

use either::Either;
use libp2p::{
    Multiaddr, PeerId,
    core::{ConnectedPoint, Endpoint, transport::PortUse},
    swarm::{
        ConnectionClosed, ConnectionDenied, ConnectionId, FromSwarm, NetworkBehaviour,
        NotifyHandler, THandler, THandlerInEvent, THandlerOutEvent, ToSwarm,
        behaviour::ConnectionEstablished, dummy,
    },
};

use super::transport::webrtc::addr::{is_relayed, is_relayed_addr, is_webrtc, remote_addr};
use crate::proto::ordered::{Map, Set};

/// Wraps a behaviour so that it runs on connections that no relay carries.
///
/// A dial of the inner behaviour under [`PeerCondition::Disconnected`] is still refused by the swarm while only a relayed
/// connection is up: that condition is the swarm's and counts every connection.
///
/// [`PeerCondition::Disconnected`]: libp2p::swarm::dial_opts::PeerCondition::Disconnected
#[derive(Debug)]
pub struct DirectOnly<B> {
    inner: B,
    /// The connections that the inner behaviour knows, oldest first; the swarm bounds them.
    direct: Map<PeerId, Vec<ConnectionId>>,
    /// Peers that may be met over a relay; the caller bounds them.
    permitted: Set<PeerId>,
    /// Relayed connections that the inner behaviour knows.
    admitted: Set<ConnectionId>,
}

impl<B> DirectOnly<B> {
    /// Wraps `inner`.
    pub fn new(inner: B) -> Self {
        Self {
            inner,
            direct: Map::new(),
            permitted: Set::new(),
            admitted: Set::new(),
        }
    }

    /// Lets relayed connections to `peer` that come up from now on be used, because there can be no other. The caller bounds how
    /// many peers it says this of.
    pub fn permit_relayed(&mut self, peer: PeerId) {
        self.permitted.insert(peer);
    }

    /// Keeps relayed connections to `peer` that come up from now on out again.
    pub fn forbid_relayed(&mut self, peer: &PeerId) {
        self.permitted.remove(peer);
    }

    /// Whether a connection is kept from the inner behaviour; asked once, when it comes up.
    fn keeps_out(&mut self, id: ConnectionId, peer: &PeerId, relayed: bool) -> bool {
        if !relayed {
            return false;
        }
        let admitted = self.permitted.contains(peer);
        if admitted {
            self.admitted.insert(id);
        }
        !admitted
    }

    /// The wrapped behaviour.
    pub fn get_ref(&self) -> &B {
        &self.inner
    }

    /// The wrapped behaviour, for commands.
    pub fn get_mut(&mut self) -> &mut B {
        &mut self.inner
    }

    /// Whether the inner behaviour knows this connection. Of whom it is does not count, as for the swarm: libp2p's relay names the
    /// peer that asked for a circuit when it speaks to the connection of the peer that shall get it.
    fn knows(&self, id: ConnectionId) -> bool {
        self.direct.values().any(|ids| ids.contains(&id))
    }

    /// The connection of the inner behaviour that a command is for, if it is up.
    fn addressee(&self, peer: &PeerId, handler: &NotifyHandler) -> Option<ConnectionId> {
        match handler {
            NotifyHandler::One(id) => self.knows(*id).then_some(*id),
            // The swarm's choice might be a relayed one, whose handler is a dummy.
            NotifyHandler::Any => {
                let known = self.direct.get(peer)?;
                let direct = known.iter().find(|id| !self.admitted.contains(id));
                direct.or(known.first()).copied()
            }
        }
    }
}

impl<B: NetworkBehaviour> NetworkBehaviour for DirectOnly<B> {
    type ConnectionHandler = Either<THandler<B>, dummy::ConnectionHandler>;
    type ToSwarm = B::ToSwarm;

    fn handle_pending_inbound_connection(
        &mut self,
        id: ConnectionId,
        local_addr: &Multiaddr,
        remote_addr: &Multiaddr,
    ) -> Result<(), ConnectionDenied> {
        if is_relayed_addr(local_addr) {
            return Ok(());
        }
        self.inner
            .handle_pending_inbound_connection(id, local_addr, remote_addr)
    }

    fn handle_established_inbound_connection(
        &mut self,
        id: ConnectionId,
        peer: PeerId,
        local_addr: &Multiaddr,
        remote_addr: &Multiaddr,
    ) -> Result<THandler<Self>, ConnectionDenied> {
        if self.keeps_out(id, &peer, is_relayed_addr(local_addr)) {
            return Ok(Either::Right(dummy::ConnectionHandler));
        }
        self.inner
            .handle_established_inbound_connection(id, peer, local_addr, remote_addr)
            .map(Either::Left)
    }

    fn handle_pending_outbound_connection(
        &mut self,
        id: ConnectionId,
        peer: Option<PeerId>,
        addresses: &[Multiaddr],
        role: Endpoint,
    ) -> Result<Vec<Multiaddr>, ConnectionDenied> {
        // Which of the addresses will answer is not known yet.
        self.inner
            .handle_pending_outbound_connection(id, peer, addresses, role)
    }

    fn handle_established_outbound_connection(
        &mut self,
        id: ConnectionId,
        peer: PeerId,
        addr: &Multiaddr,
        role: Endpoint,
        port_use: PortUse,
    ) -> Result<THandler<Self>, ConnectionDenied> {
        if self.keeps_out(id, &peer, is_relayed_addr(addr)) {
            return Ok(Either::Right(dummy::ConnectionHandler));
        }
        let endpoint = ConnectedPoint::Dialer {
            address: addr.clone(),
            role_override: role,
            port_use,
        };
        let told = as_told(peer, &endpoint);
        self.inner
            .handle_established_outbound_connection(
                id,
                peer,
                told.get_remote_address(),
                role,
                port_use,
            )
            .map(Either::Left)
    }

    fn on_swarm_event(&mut self, event: FromSwarm) {
        let told;
        let event = match event {
            FromSwarm::ConnectionEstablished(up) => {
                if is_relayed(up.endpoint) && !self.admitted.contains(&up.connection_id) {
                    return;
                }
                let known = self.direct.entry(up.peer_id).or_default();
                let other_established = known.len();
                known.push(up.connection_id);
                told = as_told(up.peer_id, up.endpoint);
                FromSwarm::ConnectionEstablished(ConnectionEstablished {
                    other_established,
                    endpoint: &told,
                    ..up
                })
            }
            FromSwarm::ConnectionClosed(down) => {
                self.admitted.remove(&down.connection_id);
                let Some(known) = self.direct.get_mut(&down.peer_id) else {
                    return;
                };
                let before = known.len();
                known.retain(|id| *id != down.connection_id);
                let remaining_established = known.len();
                if remaining_established == 0 {
                    self.direct.remove(&down.peer_id);
                }
                if remaining_established == before {
                    return;
                }
                told = as_told(down.peer_id, down.endpoint);
                FromSwarm::ConnectionClosed(ConnectionClosed {
                    remaining_established,
                    endpoint: &told,
                    ..down
                })
            }
            FromSwarm::AddressChange(change)
                if is_relayed(change.new) && !self.admitted.contains(&change.connection_id) =>
            {
                return;
            }
            other => other,
        };
        self.inner.on_swarm_event(event);
    }

    fn on_connection_handler_event(
        &mut self,
        peer: PeerId,
        id: ConnectionId,
        event: THandlerOutEvent<Self>,
    ) {
        match event {
            Either::Left(event) => self.inner.on_connection_handler_event(peer, id, event),
            Either::Right(never) => match never {},
        }
    }

    fn poll(
        &mut self,
        cx: &mut Context<'_>,
    ) -> Poll<ToSwarm<Self::ToSwarm, THandlerInEvent<Self>>> {
        loop {
            let action = match ready!(self.inner.poll(cx)) {
                ToSwarm::NotifyHandler {
                    peer_id,
                    handler,
                    event,
                } => {
                    // As the swarm does with a command for a connection that is gone.
                    let Some(id) = self.addressee(&peer_id, &handler) else {
                        continue;
                    };
                    ToSwarm::NotifyHandler {
                        peer_id,
                        handler: NotifyHandler::One(id),
                        event,
                    }
                }
                other => other,
            };
            return Poll::Ready(action.map_in(Either::Left));
        }
    }
}

/// A connection as the inner behaviour is told of it.
fn as_told(peer: PeerId, endpoint: &ConnectedPoint) -> ConnectedPoint {
    match endpoint {
        ConnectedPoint::Dialer {
            role_override,
            port_use,
            ..
        } if is_webrtc(endpoint) => ConnectedPoint::Dialer {
            address: remote_addr(peer),
            role_override: *role_override,
            port_use: *port_use,
        },
        other => other.clone(),
    }
}

#[cfg(all(test, not(target_arch = "wasm32")))]
mod tests;
