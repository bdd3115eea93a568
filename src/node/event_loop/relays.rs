//! Links to relays: what the uplink machines ask for, and what the network says of it.

use libp2p::multiaddr::Protocol;
use libp2p::swarm::dial_opts::{DialOpts, PeerCondition};

use super::{Alarm, EventLoop, now};
use crate::net::causes;
use crate::proto::uplink::{Input, Output, State};
use crate::proto::{discovery, neighbours};
use crate::rt;
use crate::store::Store;

impl<S: Store> EventLoop<S> {
    pub(super) fn start_relays(&mut self) {
        for relay in 0..self.relays.len() {
            let (peer, address) = (self.relays[relay].peer, self.relays[relay].address.clone());
            self.peers.enter(peer, rt::unix_millis()).is_relay = true;
            self.swarm
                .behaviour_mut()
                .index
                .get_mut()
                .add_relay(peer, address);
            self.tell_uplink(relay, Input::Tick);
        }
    }

    pub(super) fn relay_of(&self, peer: &libp2p::PeerId) -> Option<usize> {
        self.relays.iter().position(|relay| relay.peer == *peer)
    }

    /// Whether others can reach us, through a relay or through a peer.
    pub(super) fn is_joined(&self) -> bool {
        self.neighbours.introducers() > 0
            || self
                .relays
                .iter()
                .any(|relay| relay.uplink.state() == State::Reserved)
    }

    pub(super) fn tell_uplink(&mut self, index: usize, input: Input) {
        let before = self.relays[index].uplink.state();
        self.relays[index].uplink.handle(input, now());
        while let Some(output) = self.relays[index].uplink.poll_output() {
            match output {
                Output::Dial => self.dial_relay(index),
                Output::Reserve => self.reserve(index),
                Output::Drop => {
                    self.unlisten(index);
                    let _ = self.swarm.disconnect_peer_id(self.relays[index].peer);
                }
                Output::WakeAt(at) => self.set_alarm(Alarm::Uplink(index), at),
            }
        }
        let after = self.relays[index].uplink.state();
        if before != after {
            self.urgent = true;
            if after == State::Waiting {
                self.take_spare();
            }
            if after == State::Reserved {
                self.relays[index].detail.clear();
                self.remember_relay(index);
                self.on_joined();
            }
        }
    }

    fn dial_relay(&mut self, index: usize) {
        let relay = &self.relays[index];
        let opts = DialOpts::peer_id(relay.peer)
            .addresses(vec![relay.address.clone()])
            .condition(PeerCondition::Always)
            .build();
        if let Err(error) = self.swarm.dial(opts) {
            self.relays[index].detail = causes::of_dial(&error);
            self.tell_uplink(index, Input::Lost);
        }
    }

    fn reserve(&mut self, index: usize) {
        self.unlisten(index);
        let address = self.relays[index]
            .address
            .clone()
            .with(Protocol::P2pCircuit);
        match self.swarm.listen_on(address) {
            Ok(listener) => self.relays[index].listener = Some(listener),
            Err(error) => {
                self.relays[index].detail = causes::of_transport(&error);
                self.tell_uplink(index, Input::Unreserved);
            }
        }
    }

    fn unlisten(&mut self, index: usize) {
        if let Some(listener) = self.relays[index].listener.take() {
            self.swarm.remove_listener(listener);
        }
    }

    /// A reservation is there (again): tell the index what we hold under the address we have now, and look around.
    pub(super) fn on_joined(&mut self) {
        self.announce_all();
        let blobs: Vec<_> = self.transfers.keys().copied().collect();
        for blob in blobs {
            self.tell_discovery(blob, discovery::Input::NetworkUp);
        }
        self.tell_neighbours(neighbours::Input::NetworkUp);
        self.names_rejoined();
        self.records_rejoined();
    }

    /// Tells the indexes what we hold, and that we are here.
    pub(super) fn announce_all(&mut self) {
        self.announce_neighbourhood();
        self.announce_keeper();
        self.announce_custody();
        let blobs: Vec<_> = self.transfers.keys().copied().collect();
        for blob in blobs {
            if let Some(transfer) = self.transfers.get_mut(&blob) {
                transfer.announced = false;
            }
            self.announce_if_due(blob);
        }
    }
}
