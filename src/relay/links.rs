//! Links to the other relays that share one index.
//!
//! Each configured relay is dialled until it is connected, again after a loss, with a delay that doubles up to
//! [`MAX_DELAY`] and is drawn at random from its upper half, so that relays which fell together do not come back together.
//! Connections to these relays, whoever dialled, are kept though nothing runs on them.

use std::collections::HashMap;
use std::convert::Infallible;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use futures::FutureExt;
use futures_timer::Delay;
use libp2p::core::Endpoint;
use libp2p::core::transport::PortUse;
use libp2p::core::upgrade::DeniedUpgrade;
use libp2p::swarm::behaviour::{ConnectionClosed, ConnectionEstablished, FromSwarm};
use libp2p::swarm::dial_opts::{DialOpts, PeerCondition};
use libp2p::swarm::handler::{ConnectionEvent, ConnectionHandler, ConnectionHandlerEvent};
use libp2p::swarm::{
    ConnectionDenied, ConnectionId, NetworkBehaviour, SubstreamProtocol, THandler, THandlerInEvent,
    THandlerOutEvent, ToSwarm,
};
use libp2p::{Multiaddr, PeerId};

/// Keeps the links.
#[derive(Debug)]
pub(crate) struct Links {
    relays: HashMap<PeerId, Link>,
    events: Vec<LinkEvent>,
    timer: Delay,
}

/// What became of a link.
#[derive(Debug)]
pub(crate) enum LinkEvent {
    /// The relay is connected.
    Up(PeerId),
    /// Its last connection is gone.
    Down(PeerId),
}

#[derive(Debug)]
struct Link {
    addresses: Vec<Multiaddr>,
    connected: bool,
    delay: Duration,
    next: Instant,
}

impl Links {
    pub(crate) fn new() -> Self {
        Self {
            relays: HashMap::new(),
            events: Vec::new(),
            timer: Delay::new(Duration::ZERO),
        }
    }

    /// Adds an address of a relay to keep a link to.
    pub(crate) fn add(&mut self, relay: PeerId, address: Multiaddr) {
        let link = self.relays.entry(relay).or_insert_with(|| Link {
            addresses: Vec::new(),
            connected: false,
            delay: MIN_DELAY,
            next: Instant::now(),
        });
        if !link.addresses.contains(&address) {
            link.addresses.push(address);
        }
        self.timer.reset(Duration::ZERO);
    }

    /// The relays that are connected, with their configured addresses.
    pub(crate) fn connected(&self) -> impl Iterator<Item = (PeerId, &[Multiaddr])> {
        self.relays
            .iter()
            .filter(|(_, link)| link.connected)
            .map(|(relay, link)| (*relay, &link.addresses[..]))
    }

    /// The configured addresses of one relay.
    pub(crate) fn addresses(&self, relay: &PeerId) -> &[Multiaddr] {
        self.relays.get(relay).map_or(&[], |link| &link.addresses)
    }

    fn handler(&self, peer: &PeerId) -> KeepAlive {
        KeepAlive(self.relays.contains_key(peer))
    }
}

impl NetworkBehaviour for Links {
    type ConnectionHandler = KeepAlive;
    type ToSwarm = LinkEvent;

    fn handle_established_inbound_connection(
        &mut self,
        _: ConnectionId,
        peer: PeerId,
        _: &Multiaddr,
        _: &Multiaddr,
    ) -> Result<THandler<Self>, ConnectionDenied> {
        Ok(self.handler(&peer))
    }

    fn handle_established_outbound_connection(
        &mut self,
        _: ConnectionId,
        peer: PeerId,
        _: &Multiaddr,
        _: Endpoint,
        _: PortUse,
    ) -> Result<THandler<Self>, ConnectionDenied> {
        Ok(self.handler(&peer))
    }

    fn on_swarm_event(&mut self, event: FromSwarm) {
        match event {
            FromSwarm::ConnectionEstablished(ConnectionEstablished {
                peer_id,
                other_established: 0,
                ..
            }) => {
                if let Some(link) = self.relays.get_mut(&peer_id) {
                    link.connected = true;
                    link.delay = MIN_DELAY;
                    self.events.push(LinkEvent::Up(peer_id));
                }
            }
            FromSwarm::ConnectionClosed(ConnectionClosed {
                peer_id,
                remaining_established: 0,
                ..
            }) => {
                if let Some(link) = self.relays.get_mut(&peer_id) {
                    link.connected = false;
                    link.next = Instant::now() + upper_half(MIN_DELAY);
                    self.events.push(LinkEvent::Down(peer_id));
                    self.timer.reset(Duration::ZERO);
                }
            }
            _ => {}
        }
    }

    fn on_connection_handler_event(
        &mut self,
        _: PeerId,
        _: ConnectionId,
        event: THandlerOutEvent<Self>,
    ) {
        match event {}
    }

    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<ToSwarm<LinkEvent, THandlerInEvent<Self>>> {
        if !self.events.is_empty() {
            return Poll::Ready(ToSwarm::GenerateEvent(self.events.remove(0)));
        }
        loop {
            let now = Instant::now();
            let waiting = self.relays.iter_mut().filter(|(_, link)| !link.connected);
            if let Some((relay, link)) = waiting.min_by_key(|(_, link)| link.next) {
                if link.next <= now {
                    link.next = now + upper_half(link.delay);
                    link.delay = (link.delay * 2).min(MAX_DELAY);
                    let opts = DialOpts::peer_id(*relay)
                        .addresses(link.addresses.clone())
                        .condition(PeerCondition::DisconnectedAndNotDialing)
                        .build();
                    return Poll::Ready(ToSwarm::Dial { opts });
                }
                self.timer.reset(link.next - now);
            } else {
                self.timer.reset(MAX_DELAY);
            }
            if self.timer.poll_unpin(cx).is_pending() {
                return Poll::Pending;
            }
        }
    }
}

/// Keeps the connection of a linked relay, and leaves others to the rest.
#[derive(Debug)]
pub(crate) struct KeepAlive(bool);

impl ConnectionHandler for KeepAlive {
    type FromBehaviour = Infallible;
    type ToBehaviour = Infallible;
    type InboundProtocol = DeniedUpgrade;
    type OutboundProtocol = DeniedUpgrade;
    type InboundOpenInfo = ();
    type OutboundOpenInfo = ();

    fn listen_protocol(&self) -> SubstreamProtocol<DeniedUpgrade> {
        SubstreamProtocol::new(DeniedUpgrade, ())
    }

    fn connection_keep_alive(&self) -> bool {
        self.0
    }

    fn on_behaviour_event(&mut self, event: Infallible) {
        match event {}
    }

    fn poll(
        &mut self,
        _: &mut Context<'_>,
    ) -> Poll<ConnectionHandlerEvent<DeniedUpgrade, (), Infallible>> {
        Poll::Pending
    }

    fn on_connection_event(&mut self, _: ConnectionEvent<DeniedUpgrade, DeniedUpgrade>) {}
}

fn upper_half(delay: Duration) -> Duration {
    delay.mul_f64(0.5 + fastrand::f64() / 2.0)
}

/// Wait before the first second try.
const MIN_DELAY: Duration = Duration::from_secs(1);
/// Longest wait between tries: a relay that comes back is found within five minutes.
const MAX_DELAY: Duration = Duration::from_secs(5 * 60);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn delays_grow_and_are_jittered() {
        let mut links = Links::new();
        let relay = PeerId::random();
        links.add(relay, Multiaddr::empty());
        let mut cx = Context::from_waker(futures::task::noop_waker_ref());
        let mut longest = Duration::ZERO;
        for _ in 0..20 {
            assert!(matches!(
                links.poll(&mut cx),
                Poll::Ready(ToSwarm::Dial { .. })
            ));
            assert!(links.poll(&mut cx).is_pending());
            let link = links.relays.get_mut(&relay).expect("added above");
            longest = longest.max(link.next.saturating_duration_since(Instant::now()));
            link.next = Instant::now();
        }
        assert!(longest > MAX_DELAY / 3 && longest <= MAX_DELAY);
    }
}
