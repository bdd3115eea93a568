//! What libp2p reports.

use libp2p::core::ConnectedPoint;
use libp2p::swarm::{ConnectionId, DialError, SwarmEvent};
use libp2p::{PeerId, identify, ping, relay};

use super::EventLoop;
use crate::net::addresses::{is_dialable, socket_of};
use crate::net::behaviour::BehaviourEvent;
use crate::net::index::Scope;
use crate::net::transport::webrtc;
use crate::net::{causes, custody, index, introductions, names};
use crate::node::snapshot::Via;
use crate::proto::types::PeerKey;
use crate::proto::{discovery, keeping, neighbours, uplink};
use crate::rt;
use crate::store::Store;

impl<S: Store> EventLoop<S> {
    pub(super) fn on_network(&mut self, event: SwarmEvent<BehaviourEvent>) {
        match event {
            SwarmEvent::Behaviour(event) => self.on_behaviour(event),
            SwarmEvent::ConnectionEstablished {
                peer_id,
                connection_id,
                endpoint,
                ..
            } => {
                self.on_connected(peer_id, connection_id, &endpoint);
            }
            SwarmEvent::ConnectionClosed {
                peer_id,
                connection_id,
                ..
            } => self.on_closed(peer_id, connection_id),
            SwarmEvent::OutgoingConnectionError {
                peer_id: Some(peer),
                connection_id,
                error,
                ..
            } => self.on_dial_error(peer, Some(connection_id), &error),
            SwarmEvent::NewListenAddr { address, .. } => self.on_listening(address),
            SwarmEvent::ExternalAddrConfirmed { .. } | SwarmEvent::ExternalAddrExpired { .. } => {
                self.sign_record()
            }
            SwarmEvent::ListenerClosed {
                listener_id,
                reason,
                ..
            } => {
                if let Some(relay) = self
                    .relays
                    .iter()
                    .position(|relay| relay.listener == Some(listener_id))
                {
                    self.relays[relay].listener = None;
                    if let Err(error) = &reason {
                        self.relays[relay].detail = error.to_string();
                    }
                    self.tell_uplink(relay, uplink::Input::Unreserved);
                } else {
                    self.on_unreserved(listener_id, reason.is_err());
                }
            }
            SwarmEvent::ListenerError { listener_id, error } => {
                if let Some(relay) = self
                    .relays
                    .iter_mut()
                    .find(|relay| relay.listener == Some(listener_id))
                {
                    relay.detail = error.to_string();
                }
            }
            _ => {}
        }
    }

    fn on_behaviour(&mut self, event: BehaviourEvent) {
        match event {
            BehaviourEvent::Session(event) => self.on_stream(event),
            BehaviourEvent::Pex(event) => self.on_pex_stream(event),
            BehaviourEvent::Names(event) => self.on_names_stream(event),
            BehaviourEvent::Sites(event) => self.on_holding_stream(event),
            BehaviourEvent::Custody(event) => self.on_custody_stream(event),
            BehaviourEvent::Index(events) => events
                .into_iter()
                .for_each(|event| self.on_index(event, Scope::Relays)),
            BehaviourEvent::PeersIndex(events) => events
                .into_iter()
                .for_each(|event| self.on_index(event, Scope::Peers)),
            BehaviourEvent::Introductions(event) => self.on_introductions(event),
            BehaviourEvent::Webrtc(event) => self.on_webrtc(event),
            BehaviourEvent::Relay(relay::client::Event::ReservationReqAccepted {
                relay_peer_id,
                ..
            }) => {
                if let Some(relay) = self.relay_of(&relay_peer_id) {
                    self.tell_uplink(relay, uplink::Input::Reserved);
                } else {
                    self.on_reserved_at(relay_peer_id);
                }
            }
            BehaviourEvent::Relay(_) => {}
            BehaviourEvent::Identify(identify::Event::Received { peer_id, info, .. }) => {
                if let Some(peer) = self.peers.by_id(&peer_id) {
                    peer.set_agent(&info.agent_version);
                }
                let offers = |protocol| info.protocols.contains(&protocol);
                self.on_offers(
                    peer_id,
                    offers(introductions::PROTOCOL),
                    offers(index::PEERS_PROTOCOL),
                );
                self.on_names_offer(peer_id, offers(names::PROTOCOL));
                self.on_custody_offer(peer_id, offers(custody::PROTOCOL));
            }
            BehaviourEvent::Identify(_) => {}
            BehaviourEvent::Ping(ping::Event {
                peer,
                connection,
                result: Err(ping::Failure::Timeout),
            }) if self.relay_of(&peer).is_some() => {
                self.swarm.close_connection(connection);
            }
            BehaviourEvent::Ping(ping::Event { peer, result, .. }) => {
                if let (Some(peer), Ok(rtt)) = (self.peers.by_id(&peer), result) {
                    peer.rtt = Some(u32::try_from(rtt.as_millis()).unwrap_or(u32::MAX));
                }
            }
        }
    }

    fn on_index(&mut self, event: index::Event, scope: Scope) {
        match event {
            index::Event::Providers { blob, providers } => {
                let local = *self.swarm.local_peer_id();
                let mut found = Vec::new();
                for (id, addresses) in providers.into_iter().filter(|(id, _)| *id != local) {
                    let peer = self.peers.enter(id, rt::unix_millis());
                    if !peer.is_relay {
                        let key = peer.key;
                        found.push(key);
                        self.peers.add_addresses(
                            key,
                            addresses
                                .into_iter()
                                .filter(|address| {
                                    is_dialable(address) || socket_of(address, id).is_some()
                                })
                                .collect(),
                        );
                    }
                }
                if blob == index::neighbourhood() {
                    self.tell_neighbours(neighbours::Input::Found(found));
                } else if self.on_sector_named(blob, &found) {
                    // Its end is what is waited for.
                } else if blob == keeping::meeting_point() {
                    self.on_keepers_found(found);
                } else {
                    self.tell_discovery(blob, discovery::Input::Found(found.clone()));
                    self.on_site_peers(blob, found);
                }
            }
            index::Event::LookupEnded { blob } if blob == index::neighbourhood() => {
                self.tell_neighbours(neighbours::Input::LookupEnded)
            }
            index::Event::LookupEnded { blob } => {
                self.on_sector_ended(blob);
                self.tell_discovery(blob, discovery::Input::LookupEnded);
                self.on_site_lookup_ended(blob);
            }
            index::Event::Announced { blob, ok } => {
                // Not taken by any server: due again at the next occasion.
                if scope == Scope::Relays
                    && let Some(transfer) = self.transfers.get_mut(&blob)
                {
                    transfer.announced &= ok;
                }
            }
            index::Event::Read {
                name,
                answers,
                lacking,
            } => self.on_names_read(scope, name, answers, lacking),
            index::Event::Wrote { name, took } => self.on_names_wrote(name, took),
            index::Event::Found {
                key,
                answers,
                lacking,
            } => self.on_record_found(scope, key, answers, lacking),
            index::Event::Put { key, took } => self.on_record_put(key, took),
            index::Event::Heard(name) => self.on_names_heard(scope, name),
        }
    }

    fn on_webrtc(&mut self, event: webrtc::Event) {
        self.on_link(&event);
        match event {
            webrtc::Event::Upgraded { peer, .. } => {
                if let Some(peer) = self.peers.by_id(&peer) {
                    peer.settle();
                }
            }
            webrtc::Event::Failed { peer, reason, .. } => {
                let words = match self.speaks_through_relay(&peer) {
                    true => super::links::RELAYED_WORDS.into(),
                    false => in_words(&reason),
                };
                let now = rt::unix_millis();
                self.peers.enter(peer, now).complain(words, now);
            }
            // The rest is for the links alone.
            _ => {}
        }
        self.urgent = true;
    }

    fn on_connected(&mut self, id: PeerId, connection: ConnectionId, endpoint: &ConnectedPoint) {
        self.urgent = true;
        let relay = self.relay_of(&id);
        let via = match () {
            () if webrtc::is_webrtc(endpoint) => Via::Direct,
            () if webrtc::is_relayed(endpoint) => Via::Relayed,
            // Ours, or one through which somebody else is reached.
            () => Via::Websocket,
        };
        let now = rt::unix_millis();
        let peer = self.peers.enter(id, now);
        if peer.connections.is_empty() {
            peer.since = now;
        }
        let first = via == Via::Direct && !peer.is_direct();
        // A relay's websocket carries what a relay is for; only one that was dialled for itself, or dials us, is a link.
        let is_socket = via == Via::Websocket && !peer.is_relay;
        peer.takes_sockets |= is_socket && (peer.dialling || endpoint.is_listener());
        peer.connections.insert(connection, via);
        let (key, banned) = (peer.key, peer.banned);
        let is_link = via == Via::Direct || (is_socket && peer.takes_sockets);
        if banned {
            let _ = self.swarm.disconnect_peer_id(id);
            return;
        }
        if is_link {
            peer.dialling = false;
            peer.near = false;
            peer.settle();
            for blob in std::mem::take(&mut peer.awaited_by) {
                match self.is_meeting(&blob) {
                    true => self.on_met(blob, key),
                    false => self.open_session(blob, key),
                }
            }
            if first {
                self.on_neighbour(key);
            }
        }
        match relay {
            Some(relay) => self.tell_uplink(relay, uplink::Input::Connected),
            None if is_link => self.on_direct(id, key),
            None => self.on_linked(id, key, connection, via),
        }
        self.on_custody_linked(&id);
    }

    fn on_closed(&mut self, id: PeerId, connection: ConnectionId) {
        self.urgent = true;
        let relay = self.relay_of(&id);
        let Some(peer) = self.peers.by_id(&id) else {
            return;
        };
        let was_direct = peer.is_direct();
        peer.connections.remove(&connection);
        let (key, unlinked) = (peer.key, was_direct && !peer.is_direct());
        let gone = peer.connections.is_empty();
        if gone {
            peer.rtt = None;
            self.on_names_unlinked(&id);
            self.on_custody_unlinked(&id);
        }
        if unlinked {
            self.on_neighbour_lost(id, key);
        }
        if let Some(relay) = relay.filter(|_| gone) {
            self.tell_uplink(relay, uplink::Input::Lost);
        }
        self.on_unlinked(id);
    }

    pub(super) fn on_dial_error(
        &mut self,
        id: PeerId,
        dial: Option<ConnectionId>,
        error: &DialError,
    ) {
        // Another dial to the same peer is under way: its outcome counts.
        if matches!(error, DialError::DialPeerConditionFalse(_)) {
            return;
        }
        self.urgent = true;
        if let Some(relay) = self.relay_of(&id) {
            self.relays[relay].detail = causes::of_dial(error);
            let connected = self
                .peers
                .by_id(&id)
                .is_some_and(|peer| !peer.connections.is_empty());
            if !connected {
                self.tell_uplink(relay, uplink::Input::Lost);
            }
            return;
        }
        let Some(peer) = self.peers.by_id(&id) else {
            return;
        };
        let (key, direct, dialling) = (peer.key, peer.is_linked(), peer.dialling);
        if !direct && dialling && self.fall_back(id, dial) {
            return;
        }
        self.links.pool.dial_ended(key);
        let Some(peer) = self.peers.get_mut(key).filter(|peer| peer.dialling) else {
            return;
        };
        peer.dialling = false;
        if direct {
            return;
        }
        let now = rt::unix_millis();
        if !peer.is_complaining(now) {
            peer.complain(format!("No link: {}.", causes::of_dial(error)), now);
        }
        self.give_up(key);
    }

    /// Nothing came of the link that these sessions, or the neighbourhood, wait for.
    pub(super) fn give_up(&mut self, key: PeerKey) {
        let Some(peer) = self.peers.get_mut(key) else {
            return;
        };
        let near = std::mem::take(&mut peer.near);
        for blob in std::mem::take(&mut peer.awaited_by) {
            self.tell_discovery(blob, discovery::Input::Failed(key));
        }
        if near {
            self.tell_neighbours(neighbours::Input::Failed(key));
        }
        self.on_custody_given_up(key);
    }
}

/// What a person is told of a link that did not come up.
fn in_words(reason: &webrtc::UpgradeError) -> String {
    match reason {
        webrtc::UpgradeError::Circuit(words) => {
            tracing::debug!(words, "no circuit");
            "No link: it has left, or its relay has lost sight of it.".into()
        }
        other => {
            let other = other.to_string();
            format!("No direct link: {}.", other.trim_end_matches('.'))
        }
    }
}
