//! Standing links: what the neighbours machine asks for, reservations at peers, and the peers' index.

use libp2p::core::transport::ListenerId;
use libp2p::{PeerId, relay};

use super::{Alarm, EventLoop, now};
use crate::net::addresses::listen_at;
use crate::net::{causes, index, introductions};
use crate::proto::neighbours::{Input, Output};
use crate::proto::types::PeerKey;
use crate::store::Store;

impl<S: Store> EventLoop<S> {
    pub(super) fn start_neighbours(&mut self) {
        self.tell_neighbours(Input::Allow(self.gate.may_send()));
    }

    pub(super) fn tell_neighbours(&mut self, input: Input) {
        let before = self.neighbours.introducers();
        self.neighbours.handle(input, now());
        let outputs: Vec<_> = std::iter::from_fn(|| self.neighbours.poll_output()).collect();
        for output in outputs {
            match output {
                Output::Lookup => self.look_up(index::neighbourhood()),
                Output::Connect(peer) => self.link_to(peer),
                Output::Reserve(peer) => self.reserve_at(peer),
                Output::Introduce(open) => self.introduce(open),
                Output::ServeIndex(serve) => {
                    tracing::info!(serve, "serving the peers' index");
                    let index = &mut self.swarm.behaviour_mut().peers_index;
                    index.get_mut().serve(serve);
                }
                Output::WakeAt(at) => self.set_alarm(Alarm::Neighbours, at),
            }
        }
        let after = self.neighbours.introducers();
        self.urgent |= before != after;
        if before == 0 && after > 0 {
            self.on_joined();
        }
    }

    /// Asks both indexes.
    pub(super) fn look_up(&mut self, blob: crate::proto::types::BlobHash) {
        let behaviour = self.swarm.behaviour_mut();
        behaviour.index.get_mut().find(blob);
        behaviour.peers_index.get_mut().find(blob);
    }

    /// What a linked peer says that it does.
    pub(super) fn on_offers(&mut self, id: PeerId, introduces: bool, serves: bool) {
        let Some(peer) = self.peers.by_id(&id).filter(|peer| peer.is_direct()) else {
            return;
        };
        peer.introduces = introduces;
        let key = peer.key;
        self.tell_neighbours(Input::Introduces(key, introduces));
        self.set_server(id, serves);
    }

    /// A first direct link to this peer is up.
    pub(super) fn on_neighbour(&mut self, key: PeerKey) {
        self.tell_neighbours(Input::Linked(key));
    }

    /// No direct link to this peer is left.
    pub(super) fn on_neighbour_lost(&mut self, id: PeerId, key: PeerKey) {
        self.reservations.remove(&id);
        self.set_server(id, false);
        let index = &mut self.swarm.behaviour_mut().peers_index;
        index.get_mut().set_introduced(id, false);
        self.tell_neighbours(Input::Unlinked(key));
    }

    /// What the hop that we run has done.
    pub(super) fn on_introductions(&mut self, event: relay::Event) {
        let (peer, introduced) = match event {
            relay::Event::ReservationReqAccepted { src_peer_id, .. } => (src_peer_id, true),
            relay::Event::ReservationTimedOut { src_peer_id } => (src_peer_id, false),
            _ => return,
        };
        let index = &mut self.swarm.behaviour_mut().peers_index;
        index.get_mut().set_introduced(peer, introduced);
    }

    /// A peer granted us a reservation.
    pub(super) fn on_reserved_at(&mut self, id: PeerId) {
        if let Some(key) = self.peers.by_id(&id).map(|peer| peer.key) {
            self.tell_neighbours(Input::Reserved(key));
        }
    }

    /// The listener of a reservation has ended; `refused` if it never was one.
    pub(super) fn on_unreserved(&mut self, listener: ListenerId, refused: bool) {
        let Some(id) = self
            .reservations
            .iter()
            .find(|(_, other)| **other == listener)
            .map(|(id, _)| *id)
        else {
            return;
        };
        self.reservations.remove(&id);
        if let Some(key) = self.peers.by_id(&id).map(|peer| peer.key) {
            self.tell_neighbours(match refused {
                true => Input::Refused(key),
                false => Input::Unreserved(key),
            });
        }
    }

    fn reserve_at(&mut self, key: PeerKey) {
        let Some(id) = self.peers.get(key).map(|peer| peer.id) else {
            return;
        };
        match self.swarm.listen_on(listen_at(id)) {
            Ok(listener) => {
                self.reservations.insert(id, listener);
            }
            Err(error) => {
                let cause = causes::of_transport(&error);
                tracing::debug!(%id, cause, "no reservation");
                self.tell_neighbours(Input::Refused(key));
            }
        }
    }

    fn link_to(&mut self, key: PeerKey) {
        let Some(peer) = self.peers.get_mut(key) else {
            return;
        };
        if peer.is_direct() {
            return self.on_neighbour(key);
        }
        peer.near = true;
        if !peer.dialling {
            self.dial(key);
        }
    }

    fn introduce(&mut self, open: bool) {
        let behaviour = self.swarm.behaviour_mut();
        introductions::set_open(behaviour.introductions.get_mut(), open);
        if open {
            self.announce_neighbourhood();
        } else {
            let behaviour = self.swarm.behaviour_mut();
            behaviour.index.get_mut().withdraw(index::neighbourhood());
            behaviour
                .peers_index
                .get_mut()
                .withdraw(index::neighbourhood());
        }
    }

    /// Says that we are here, to whoever wants neighbours.
    pub(super) fn announce_neighbourhood(&mut self) {
        if self.gate.may_send() && self.is_joined() {
            let behaviour = self.swarm.behaviour_mut();
            behaviour.index.get_mut().announce(index::neighbourhood());
            behaviour
                .peers_index
                .get_mut()
                .announce(index::neighbourhood());
        }
    }

    fn set_server(&mut self, id: PeerId, serves: bool) {
        let changed = match serves {
            true => self.servers.insert(id),
            false => self.servers.remove(&id),
        };
        if !changed {
            return;
        }
        let index = &mut self.swarm.behaviour_mut().peers_index;
        index.get_mut().set_server(id, serves);
        // Whoever looks something up now asks servers that were not told of it. Each time that there are twice as many
        // they are told; in between the regular announcements must do.
        if self.servers.len() >= (self.announced_to * 2).max(1) {
            self.announced_to = self.servers.len();
            self.announce_all();
        }
        self.announced_to = self.announced_to.min(self.servers.len());
    }
}
