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

use std::{
    collections::{HashMap, HashSet},
    task::{Context, Poll, ready},
};

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
    direct: HashMap<PeerId, Vec<ConnectionId>>,
    /// Peers that may be met over a relay; the caller bounds them.
    permitted: HashSet<PeerId>,
    /// Relayed connections that the inner behaviour knows.
    admitted: HashSet<ConnectionId>,
}

impl<B> DirectOnly<B> {
    /// Wraps `inner`.
    pub fn new(inner: B) -> Self {
        Self {
            inner,
            direct: HashMap::new(),
            permitted: HashSet::new(),
            admitted: HashSet::new(),
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
mod tests {
    #![allow(clippy::unwrap_used)]

    use std::collections::VecDeque;

    use futures::task::noop_waker;
    use libp2p::swarm::{ConnectionHandler, behaviour::AddressChange};

    use super::*;

    /// Writes down what it is told, and says what it is given to say.
    #[derive(Default)]
    struct Recorder {
        heard: Vec<String>,
        commands: VecDeque<ToSwarm<(), &'static str>>,
    }

    /// A handler of one's own, so that the wrapper's choice is visible in the types.
    struct Real;

    impl ConnectionHandler for Real {
        type FromBehaviour = &'static str;
        type ToBehaviour = String;
        type InboundProtocol = libp2p::core::upgrade::DeniedUpgrade;
        type OutboundProtocol = libp2p::core::upgrade::DeniedUpgrade;
        type InboundOpenInfo = ();
        type OutboundOpenInfo = ();

        fn listen_protocol(&self) -> libp2p::swarm::SubstreamProtocol<Self::InboundProtocol> {
            libp2p::swarm::SubstreamProtocol::new(libp2p::core::upgrade::DeniedUpgrade, ())
        }

        fn poll(
            &mut self,
            _: &mut Context<'_>,
        ) -> Poll<libp2p::swarm::ConnectionHandlerEvent<Self::OutboundProtocol, (), String>>
        {
            Poll::Pending
        }

        fn on_behaviour_event(&mut self, _: &'static str) {}

        fn on_connection_event(
            &mut self,
            _: libp2p::swarm::handler::ConnectionEvent<
                Self::InboundProtocol,
                Self::OutboundProtocol,
            >,
        ) {
        }
    }

    impl NetworkBehaviour for Recorder {
        type ConnectionHandler = Real;
        type ToSwarm = ();

        fn handle_established_inbound_connection(
            &mut self,
            _: ConnectionId,
            _: PeerId,
            _: &Multiaddr,
            _: &Multiaddr,
        ) -> Result<Real, ConnectionDenied> {
            Ok(Real)
        }

        fn handle_established_outbound_connection(
            &mut self,
            _: ConnectionId,
            _: PeerId,
            _: &Multiaddr,
            _: Endpoint,
            _: PortUse,
        ) -> Result<Real, ConnectionDenied> {
            Ok(Real)
        }

        fn on_swarm_event(&mut self, event: FromSwarm) {
            self.heard.push(match event {
                FromSwarm::ConnectionEstablished(up) => {
                    assert!(
                        !up.endpoint.is_relayed(),
                        "libp2p would refuse to run on it"
                    );
                    format!("up {} others {}", up.connection_id, up.other_established)
                }
                FromSwarm::ConnectionClosed(down) => {
                    format!(
                        "down {} left {}",
                        down.connection_id, down.remaining_established
                    )
                }
                FromSwarm::AddressChange(change) => format!("moved {}", change.connection_id),
                _ => "other".to_owned(),
            });
        }

        fn on_connection_handler_event(&mut self, _: PeerId, id: ConnectionId, event: String) {
            self.heard.push(format!("{id} says {event}"));
        }

        fn poll(&mut self, _: &mut Context<'_>) -> Poll<ToSwarm<(), &'static str>> {
            self.commands.pop_front().map_or(Poll::Pending, Poll::Ready)
        }
    }

    const RELAY: &str = "/memory/1/p2p/12D3KooWDpJ7As7BWAwRMfu1VU2WCqNjvq387JEYKDBj4kx6nXTN";

    fn addr(text: &str) -> Multiaddr {
        text.parse().unwrap()
    }

    fn relayed_out(peer: PeerId) -> ConnectedPoint {
        dialed(addr(&format!("{RELAY}/p2p-circuit/p2p/{peer}")))
    }

    fn webrtc_out(peer: PeerId) -> ConnectedPoint {
        dialed(addr(&format!("{RELAY}/p2p-circuit/webrtc/p2p/{peer}")))
    }

    fn dialed(address: Multiaddr) -> ConnectedPoint {
        ConnectedPoint::Dialer {
            address,
            role_override: Endpoint::Dialer,
            port_use: PortUse::Reuse,
        }
    }

    fn relayed_in(peer: PeerId) -> ConnectedPoint {
        ConnectedPoint::Listener {
            local_addr: addr(&format!("{RELAY}/p2p-circuit")),
            send_back_addr: addr(&format!("/p2p/{peer}")),
        }
    }

    fn id(n: usize) -> ConnectionId {
        ConnectionId::new_unchecked(n)
    }

    fn up(
        wrapper: &mut DirectOnly<Recorder>,
        n: usize,
        peer: PeerId,
        endpoint: &ConnectedPoint,
        others: usize,
    ) {
        wrapper.on_swarm_event(FromSwarm::ConnectionEstablished(ConnectionEstablished {
            peer_id: peer,
            connection_id: id(n),
            endpoint,
            failed_addresses: &[],
            other_established: others,
        }));
    }

    fn down(
        wrapper: &mut DirectOnly<Recorder>,
        n: usize,
        peer: PeerId,
        endpoint: &ConnectedPoint,
        left: usize,
    ) {
        wrapper.on_swarm_event(FromSwarm::ConnectionClosed(ConnectionClosed {
            peer_id: peer,
            connection_id: id(n),
            endpoint,
            cause: None,
            remaining_established: left,
        }));
    }

    fn next(wrapper: &mut DirectOnly<Recorder>) -> Option<(ConnectionId, &'static str)> {
        let waker = noop_waker();
        match wrapper.poll(&mut Context::from_waker(&waker)) {
            Poll::Ready(ToSwarm::NotifyHandler {
                handler: NotifyHandler::One(id),
                event: Either::Left(event),
                ..
            }) => Some((id, event)),
            Poll::Ready(other) => panic!("unexpected {other:?}"),
            Poll::Pending => None,
        }
    }

    #[test]
    fn relayed_connections_get_a_dummy_handler_in_both_directions() {
        let mut wrapper = DirectOnly::new(Recorder::default());
        let peer = PeerId::random();
        let mut handler = |endpoint: &ConnectedPoint| match endpoint {
            ConnectedPoint::Dialer { address, .. } => wrapper
                .handle_established_outbound_connection(
                    id(1),
                    peer,
                    address,
                    Endpoint::Dialer,
                    PortUse::Reuse,
                )
                .unwrap(),
            ConnectedPoint::Listener {
                local_addr,
                send_back_addr,
            } => wrapper
                .handle_established_inbound_connection(id(1), peer, local_addr, send_back_addr)
                .unwrap(),
        };
        assert!(handler(&relayed_out(peer)).is_right());
        assert!(handler(&relayed_in(peer)).is_right());
        assert!(handler(&webrtc_out(peer)).is_left());
        assert!(handler(&dialed(addr(RELAY))).is_left());
    }

    #[test]
    fn only_a_permitted_peer_is_met_over_a_relay_and_only_from_then_on() {
        let mut wrapper = DirectOnly::new(Recorder::default());
        let (peer, other) = (PeerId::random(), PeerId::random());
        let inbound = |wrapper: &mut DirectOnly<Recorder>, n, peer| {
            let (local, remote) = (addr(&format!("{RELAY}/p2p-circuit")), addr("/p2p-circuit"));
            wrapper
                .handle_established_inbound_connection(id(n), peer, &local, &remote)
                .unwrap()
                .is_left()
        };
        assert!(!inbound(&mut wrapper, 1, peer));
        up(&mut wrapper, 1, peer, &relayed_in(peer), 0);
        wrapper.permit_relayed(peer);
        assert!(inbound(&mut wrapper, 2, peer));
        up(&mut wrapper, 2, peer, &relayed_in(peer), 1);
        assert!(!inbound(&mut wrapper, 3, other));
        up(&mut wrapper, 3, other, &relayed_in(other), 0);
        up(&mut wrapper, 4, peer, &webrtc_out(peer), 2);
        // What is for any connection goes over the direct one.
        wrapper
            .get_mut()
            .commands
            .push_back(ToSwarm::NotifyHandler {
                peer_id: peer,
                handler: NotifyHandler::Any,
                event: "any",
            });
        assert_eq!(next(&mut wrapper), Some((id(4), "any")));
        wrapper.forbid_relayed(&peer);
        assert!(!inbound(&mut wrapper, 5, peer));
        down(&mut wrapper, 2, peer, &relayed_in(peer), 2);
        down(&mut wrapper, 1, peer, &relayed_in(peer), 1);
        assert_eq!(
            wrapper.get_ref().heard,
            ["up 2 others 0", "up 4 others 1", "down 2 left 1"]
        );
        assert!(wrapper.admitted.is_empty());
    }

    #[test]
    fn the_inner_behaviour_counts_direct_connections_only() {
        let mut wrapper = DirectOnly::new(Recorder::default());
        let peer = PeerId::random();
        let (circuit, direct) = (relayed_out(peer), webrtc_out(peer));
        up(&mut wrapper, 1, peer, &circuit, 0);
        up(&mut wrapper, 2, peer, &direct, 1);
        up(&mut wrapper, 3, peer, &direct, 2);
        wrapper.on_swarm_event(FromSwarm::AddressChange(AddressChange {
            peer_id: peer,
            connection_id: id(1),
            old: &circuit,
            new: &circuit,
        }));
        down(&mut wrapper, 2, peer, &direct, 2);
        down(&mut wrapper, 3, peer, &direct, 1);
        down(&mut wrapper, 1, peer, &circuit, 0);
        assert_eq!(
            wrapper.get_ref().heard,
            [
                "up 2 others 0",
                "up 3 others 1",
                "down 2 left 1",
                "down 3 left 0"
            ]
        );
        assert!(wrapper.direct.is_empty());
    }

    #[test]
    fn commands_never_reach_a_relayed_connection() {
        let mut wrapper = DirectOnly::new(Recorder::default());
        let peer = PeerId::random();
        let say = |handler, event| ToSwarm::NotifyHandler {
            peer_id: peer,
            handler,
            event,
        };
        up(&mut wrapper, 1, peer, &relayed_out(peer), 0);
        let commands = &mut wrapper.get_mut().commands;
        commands.push_back(say(NotifyHandler::Any, "lost"));
        commands.push_back(say(NotifyHandler::One(id(1)), "lost too"));
        assert_eq!(next(&mut wrapper), None);

        up(&mut wrapper, 2, peer, &webrtc_out(peer), 1);
        let commands = &mut wrapper.get_mut().commands;
        commands.push_back(say(NotifyHandler::One(id(1)), "lost again"));
        commands.push_back(say(NotifyHandler::Any, "any"));
        commands.push_back(say(NotifyHandler::One(id(2)), "one"));
        commands.push_back(ToSwarm::NotifyHandler {
            peer_id: PeerId::random(),
            handler: NotifyHandler::One(id(2)),
            event: "by its id",
        });
        assert_eq!(next(&mut wrapper), Some((id(2), "any")));
        assert_eq!(next(&mut wrapper), Some((id(2), "one")));
        assert_eq!(next(&mut wrapper), Some((id(2), "by its id")));
        assert_eq!(next(&mut wrapper), None);

        wrapper.on_connection_handler_event(peer, id(2), Either::Left("hello".to_owned()));
        assert_eq!(wrapper.get_ref().heard, ["up 2 others 0", "2 says hello"]);
    }
}
