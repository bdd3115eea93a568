//! The provider index: who holds a blob, asked of and told to the relays' Kademlia.
//!
//! A thin wrapper around `kad` as a *client*. It differs from the plain behaviour in two ways: it never lets a look-up
//! dial the providers that it finds (kad would contact each of them, through a relay and ICE, merely because an answer
//! names them; other relays it may dial), and it hands out the providers' addresses, which kad keeps to itself.

use std::collections::HashMap;
use std::num::NonZeroUsize;
use std::task::{Context, Poll};
use std::time::Duration;

use libp2p::core::Endpoint;
use libp2p::core::transport::PortUse;
use libp2p::kad::store::{MemoryStore, MemoryStoreConfig};
use libp2p::kad::{self, GetProvidersOk, Mode, QueryId, QueryResult, RecordKey};
use libp2p::multiaddr::Protocol;
use libp2p::swarm::{
    ConnectionDenied, ConnectionId, FromSwarm, NetworkBehaviour, THandler, THandlerInEvent,
    THandlerOutEvent, ToSwarm,
};
use libp2p::{Multiaddr, PeerId, StreamProtocol};

use crate::proto::types::BlobHash;

/// Our own DHT: nothing else speaks it, so public IPFS peers never enter its tables.
pub const PROTOCOL: StreamProtocol = StreamProtocol::new("/gyre/kad/1.0.0");

/// Multihash code and length of BLAKE3-256, which make a hash an IPFS-style provider key.
const BLAKE3_256: [u8; 2] = [0x1e, 32];

/// Blobs one node can announce. Ours: a tab that serves more should be a keeper.
const MAX_ANNOUNCED: usize = 16 * 1024;

/// How often what we hold is announced anew; relays forget a provider after two hours.
const ANNOUNCE_INTERVAL: Duration = Duration::from_secs(30 * 60);

/// A look-up that found nothing ends after this.
const QUERY_TIMEOUT: Duration = Duration::from_secs(10);

/// Relays that a provider record is put on.
const REPLICATION: NonZeroUsize = NonZeroUsize::new(4).expect("4 is not 0");

/// What a look-up or an announcement came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// Peers that say they hold the blob, with the addresses they gave. Several events may come for one look-up.
    Providers {
        /// The blob.
        blob: BlobHash,
        /// Who, and where.
        providers: Vec<(PeerId, Vec<Multiaddr>)>,
    },
    /// The look-up has ended.
    LookupEnded {
        /// The blob.
        blob: BlobHash,
    },
    /// The announcement has ended; whether at least one relay took it.
    Announced {
        /// The blob.
        blob: BlobHash,
        /// Whether it worked.
        ok: bool,
    },
}

/// The kad client and its look-ups.
pub struct Behaviour {
    kad: kad::Behaviour<MemoryStore>,
    lookups: HashMap<QueryId, BlobHash>,
}

impl std::fmt::Debug for Behaviour {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("index::Behaviour")
            .field("lookups", &self.lookups.len())
            .finish_non_exhaustive()
    }
}

impl Behaviour {
    /// An index client with an empty list of relays.
    pub fn new(local: PeerId) -> Self {
        let mut config = kad::Config::new(PROTOCOL);
        config
            .set_query_timeout(QUERY_TIMEOUT)
            .set_replication_factor(REPLICATION)
            .set_provider_publication_interval(Some(ANNOUNCE_INTERVAL))
            .set_kbucket_inserts(kad::BucketInserts::Manual)
            .set_periodic_bootstrap_interval(None);
        let store = MemoryStoreConfig {
            max_provided_keys: MAX_ANNOUNCED,
            max_records: 0,
            ..Default::default()
        };
        let mut kad =
            kad::Behaviour::with_config(local, MemoryStore::with_config(local, store), config);
        // A reservation gives us an external address, which would make kad a server by itself.
        kad.set_mode(Some(Mode::Client));
        Self {
            kad,
            lookups: HashMap::new(),
        }
    }

    /// Adds a relay to ask and to tell.
    pub fn add_relay(&mut self, peer: PeerId, address: Multiaddr) {
        self.kad.add_address(&peer, address);
    }

    /// Asks who holds `blob`; a look-up that is under way already is not repeated.
    pub fn find(&mut self, blob: BlobHash) {
        if self.lookups.values().all(|other| *other != blob) {
            let id = self.kad.get_providers(key_of(blob));
            self.lookups.insert(id, blob);
        }
    }

    /// Tells the relays that we hold `blob`, and again every 30 minutes. `false` if too many are announced already.
    pub fn announce(&mut self, blob: BlobHash) -> bool {
        self.kad.start_providing(key_of(blob)).is_ok()
    }

    /// Stops telling; the relays forget within two hours.
    pub fn withdraw(&mut self, blob: BlobHash) {
        self.kad.stop_providing(&key_of(blob));
    }

    fn translate(&mut self, event: kad::Event) -> Vec<Event> {
        let kad::Event::OutboundQueryProgressed {
            id, result, step, ..
        } = event
        else {
            return Vec::new();
        };
        let mut events = Vec::new();
        match result {
            QueryResult::GetProviders(result) => {
                let Some(blob) = self.lookups.get(&id).copied() else {
                    return events;
                };
                if let Ok(GetProvidersOk::FoundProviders { providers, .. }) = result {
                    let providers: Vec<_> = providers
                        .into_iter()
                        .map(|peer| (peer, self.addresses_of(peer)))
                        .collect();
                    if !providers.is_empty() {
                        events.push(Event::Providers { blob, providers });
                    }
                }
                if step.last {
                    self.lookups.remove(&id);
                    events.push(Event::LookupEnded { blob });
                }
            }
            QueryResult::StartProviding(result) | QueryResult::RepublishProvider(result) => {
                let (key, ok) = match result {
                    Ok(done) => (done.key, true),
                    Err(error) => (error.into_key(), false),
                };
                events.extend(blob_of(&key).map(|blob| Event::Announced { blob, ok }));
            }
            _ => {}
        }
        events
    }

    /// The addresses that a running look-up has learnt: kad gives them to whoever is about to dial.
    fn addresses_of(&mut self, peer: PeerId) -> Vec<Multiaddr> {
        let mut addresses = self
            .kad
            .handle_pending_outbound_connection(
                ConnectionId::new_unchecked(0),
                Some(peer),
                &[],
                Endpoint::Dialer,
            )
            .unwrap_or_default();
        addresses.sort();
        addresses.dedup();
        addresses
    }
}

impl Behaviour {
    /// Only relays have an address that is not behind a circuit; the node decides which other peer is worth a link.
    fn is_relay(&mut self, peer: PeerId) -> bool {
        let direct = |address: &Multiaddr| address.iter().all(|part| part != Protocol::P2pCircuit);
        self.addresses_of(peer).iter().any(direct)
    }
}

fn key_of(blob: BlobHash) -> RecordKey {
    RecordKey::from([&BLAKE3_256[..], &blob.0[..]].concat())
}

fn blob_of(key: &RecordKey) -> Option<BlobHash> {
    let digest = key.as_ref().strip_prefix(&BLAKE3_256)?;
    Some(BlobHash(digest.try_into().ok()?))
}

impl NetworkBehaviour for Behaviour {
    type ConnectionHandler = <kad::Behaviour<MemoryStore> as NetworkBehaviour>::ConnectionHandler;
    type ToSwarm = Vec<Event>;

    fn handle_established_inbound_connection(
        &mut self,
        id: ConnectionId,
        peer: PeerId,
        local: &Multiaddr,
        remote: &Multiaddr,
    ) -> Result<THandler<Self>, ConnectionDenied> {
        self.kad
            .handle_established_inbound_connection(id, peer, local, remote)
    }

    fn handle_established_outbound_connection(
        &mut self,
        id: ConnectionId,
        peer: PeerId,
        address: &Multiaddr,
        role: Endpoint,
        port_use: PortUse,
    ) -> Result<THandler<Self>, ConnectionDenied> {
        self.kad
            .handle_established_outbound_connection(id, peer, address, role, port_use)
    }

    fn on_swarm_event(&mut self, event: FromSwarm) {
        self.kad.on_swarm_event(event);
    }

    fn on_connection_handler_event(
        &mut self,
        peer: PeerId,
        id: ConnectionId,
        event: THandlerOutEvent<Self>,
    ) {
        self.kad.on_connection_handler_event(peer, id, event);
    }

    fn poll(
        &mut self,
        cx: &mut Context<'_>,
    ) -> Poll<ToSwarm<Self::ToSwarm, THandlerInEvent<Self>>> {
        loop {
            match std::task::ready!(self.kad.poll(cx)) {
                ToSwarm::Dial { opts } => {
                    if opts.get_peer_id().is_some_and(|peer| self.is_relay(peer)) {
                        return Poll::Ready(ToSwarm::Dial { opts });
                    }
                }
                ToSwarm::GenerateEvent(event) => {
                    let events = self.translate(event);
                    if !events.is_empty() {
                        return Poll::Ready(ToSwarm::GenerateEvent(events));
                    }
                }
                other => return Poll::Ready(other.map_out(|_| Vec::new())),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn provider_keys_are_multihashes() {
        let blob = BlobHash([7; 32]);
        let key = key_of(blob);
        assert_eq!(key.as_ref()[..3], [0x1e, 0x20, 7]);
        assert_eq!(blob_of(&key), Some(blob));
    }

    #[test]
    fn foreign_keys_are_not_blobs() {
        assert_eq!(blob_of(&RecordKey::from(vec![0x12, 32, 1])), None);
        assert_eq!(blob_of(&RecordKey::from(vec![])), None);
    }
}
