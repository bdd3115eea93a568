//! Which of our external addresses a behaviour hears of.
//!
//! libp2p's behaviours repeat every external address that they hear of, in both of the forms in which the swarm has them, and
//! would overflow the messages that carry them.

use std::task::{Context, Poll};

use libp2p::core::Endpoint;
use libp2p::core::transport::PortUse;
use libp2p::swarm::{
    ConnectionDenied, ConnectionId, FromSwarm, NetworkBehaviour, THandler, THandlerInEvent,
    THandlerOutEvent, ToSwarm,
};
use libp2p::{Multiaddr, PeerId};

/// The external addresses that a behaviour was told of.
pub(super) struct Told {
    keep: fn(&Multiaddr) -> bool,
    max: usize,
    addresses: Vec<Multiaddr>,
}

impl Told {
    /// The first `max` that `keep` says yes to.
    pub(super) fn new(keep: fn(&Multiaddr) -> bool, max: usize) -> Self {
        Self {
            keep,
            max,
            addresses: Vec::new(),
        }
    }

    /// Whether the behaviour hears of this; says no to nothing but addresses, and remembers those.
    pub(super) fn passes(&mut self, event: &FromSwarm) -> bool {
        match event {
            FromSwarm::ExternalAddrConfirmed(new) => {
                let told = &self.addresses;
                let passes =
                    (self.keep)(new.addr) && told.len() < self.max && !told.contains(new.addr);
                if passes {
                    self.addresses.push(new.addr.clone());
                }
                passes
            }
            FromSwarm::ExternalAddrExpired(old) => {
                let before = self.addresses.len();
                self.addresses.retain(|told| told != old.addr);
                self.addresses.len() != before
            }
            _ => true,
        }
    }
}

/// Lets a behaviour hear of a few of our external addresses only.
pub struct Heard<B> {
    inner: B,
    told: Told,
}

impl<B> std::fmt::Debug for Heard<B> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Heard")
            .field("told", &self.told.addresses)
            .finish_non_exhaustive()
    }
}

impl<B: NetworkBehaviour> Heard<B> {
    /// Wraps `inner`, which hears of the first `max` external addresses that `keep` says yes to.
    pub fn new(inner: B, keep: fn(&Multiaddr) -> bool, max: usize) -> Self {
        Self {
            inner,
            told: Told::new(keep, max),
        }
    }

    /// The wrapped behaviour.
    pub fn get_ref(&self) -> &B {
        &self.inner
    }

    /// The wrapped behaviour, for commands.
    pub fn get_mut(&mut self) -> &mut B {
        &mut self.inner
    }
}

impl<B: NetworkBehaviour> NetworkBehaviour for Heard<B> {
    type ConnectionHandler = B::ConnectionHandler;
    type ToSwarm = B::ToSwarm;

    fn handle_pending_inbound_connection(
        &mut self,
        id: ConnectionId,
        local: &Multiaddr,
        remote: &Multiaddr,
    ) -> Result<(), ConnectionDenied> {
        self.inner
            .handle_pending_inbound_connection(id, local, remote)
    }

    fn handle_established_inbound_connection(
        &mut self,
        id: ConnectionId,
        peer: PeerId,
        local: &Multiaddr,
        remote: &Multiaddr,
    ) -> Result<THandler<Self>, ConnectionDenied> {
        self.inner
            .handle_established_inbound_connection(id, peer, local, remote)
    }

    fn handle_pending_outbound_connection(
        &mut self,
        id: ConnectionId,
        peer: Option<PeerId>,
        addresses: &[Multiaddr],
        role: Endpoint,
    ) -> Result<Vec<Multiaddr>, ConnectionDenied> {
        self.inner
            .handle_pending_outbound_connection(id, peer, addresses, role)
    }

    fn handle_established_outbound_connection(
        &mut self,
        id: ConnectionId,
        peer: PeerId,
        address: &Multiaddr,
        role: Endpoint,
        port_use: PortUse,
    ) -> Result<THandler<Self>, ConnectionDenied> {
        self.inner
            .handle_established_outbound_connection(id, peer, address, role, port_use)
    }

    fn on_swarm_event(&mut self, event: FromSwarm) {
        if self.told.passes(&event) {
            self.inner.on_swarm_event(event);
        }
    }

    fn on_connection_handler_event(
        &mut self,
        peer: PeerId,
        id: ConnectionId,
        event: THandlerOutEvent<Self>,
    ) {
        self.inner.on_connection_handler_event(peer, id, event);
    }

    fn poll(
        &mut self,
        cx: &mut Context<'_>,
    ) -> Poll<ToSwarm<Self::ToSwarm, THandlerInEvent<Self>>> {
        self.inner.poll(cx)
    }
}

#[cfg(all(test, not(target_arch = "wasm32")))]
mod tests {
    use libp2p::swarm::behaviour::{ExternalAddrConfirmed, ExternalAddrExpired};
    use libp2p::swarm::dummy;

    use super::super::addresses::{Route, is_dialable};
    use super::*;

    #[test]
    fn only_so_many_addresses_are_heard_and_room_is_made_by_those_that_end() {
        let mut heard = Heard::new(dummy::Behaviour, is_dialable, 2);
        let target = PeerId::random();
        let all: Vec<_> = (0..4)
            .map(|_| Route::Peer(PeerId::random()).to(target))
            .collect();
        for addr in &all {
            heard.on_swarm_event(FromSwarm::ExternalAddrConfirmed(ExternalAddrConfirmed {
                addr,
            }));
        }
        assert_eq!(heard.told.addresses, all[..2]);
        let addr = &all[0];
        heard.on_swarm_event(FromSwarm::ExternalAddrExpired(ExternalAddrExpired { addr }));
        let addr = &all[3];
        heard.on_swarm_event(FromSwarm::ExternalAddrConfirmed(ExternalAddrConfirmed {
            addr,
        }));
        let addr = &Multiaddr::empty();
        heard.on_swarm_event(FromSwarm::ExternalAddrConfirmed(ExternalAddrConfirmed {
            addr,
        }));
        assert_eq!(heard.told.addresses, [all[1].clone(), all[3].clone()]);
    }
}
