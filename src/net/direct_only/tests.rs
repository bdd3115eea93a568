//! What the inner behaviour hears, and which connection its commands reach.
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
    /// It is one of those that know what a relayed connection is.
    knows_relays: bool,
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
    ) -> Poll<libp2p::swarm::ConnectionHandlerEvent<Self::OutboundProtocol, (), String>> {
        Poll::Pending
    }

    fn on_behaviour_event(&mut self, _: &'static str) {}

    fn on_connection_event(
        &mut self,
        _: libp2p::swarm::handler::ConnectionEvent<Self::InboundProtocol, Self::OutboundProtocol>,
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
                    self.knows_relays || !up.endpoint.is_relayed(),
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
    let mut wrapper = DirectOnly::new(Recorder {
        knows_relays: true,
        ..Recorder::default()
    });
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
