//! The provider indexes: who holds a blob, asked of and told to a Kademlia of relays and another one of nodes.
//!
//! A thin wrapper around `kad`, of which a node runs two. In the relays' index it is a client. In the peers' index it is a client
//! until the node has stayed long enough, then a server too (the rule is [`proto::neighbours`](crate::proto::neighbours)). They are
//! apart so that lies among nodes cannot displace what the relays know, and a newcomer who reaches only relays finds everything.
//!
//! Beside providers an index holds the records of names: [`Behaviour::read`] asks the servers closest to a name and hands out what each
//! of them has, [`Behaviour::write`] gives a record to those that lag. Which of them counts is the caller's to decide. The records of
//! people ([`records`]) go the same way under their own keys.
//!
//! It differs from the plain behaviour in three ways: a look-up never dials the providers that it finds (kad would contact each
//! of them, through a relay and ICE, merely because an answer names them); servers that an answer names it dials within a
//! budget, and nodes only where a linked peer introduces them; and it hands out the providers' addresses, which kad keeps to
//! itself.

pub mod providers;

use std::collections::HashMap;
use std::num::NonZeroUsize;
use std::task::{Context, Poll};
use std::time::Duration;

use libp2p::core::Endpoint;
use libp2p::core::transport::PortUse;
use libp2p::kad::{
    self, GetProvidersOk, GetRecordError, GetRecordOk, Mode, PutRecordError, QueryId, QueryResult,
    Quorum, RecordKey,
};
use libp2p::multiaddr::Protocol;
use libp2p::swarm::{
    ConnectionDenied, ConnectionId, DialError, DialFailure, FromSwarm, NetworkBehaviour, THandler,
    THandlerInEvent, THandlerOutEvent, ToSwarm,
};
use libp2p::{Multiaddr, PeerId, StreamProtocol};

use self::providers::{Limits, ProviderIndex};
use super::addresses::{Route, is_behind_relay, is_own_socket, is_told};
use super::heard::Told;
use crate::proto::budget::Budget;
use crate::proto::name::Name;
use crate::proto::name::heads;
use crate::proto::name::record::Record;
use crate::proto::ordered::Set;
use crate::proto::records;
use crate::proto::sorting::sort_by;
use crate::proto::types::{BlobHash, Time};
use crate::rt;

/// The relays' index. Nothing else speaks it, so public IPFS peers never enter its tables.
pub const PROTOCOL: StreamProtocol = StreamProtocol::new("/gyre/kad/1.0.0");

/// The peers' index. Only its servers offer the protocol.
pub const PEERS_PROTOCOL: StreamProtocol = StreamProtocol::new("/gyre/peers/kad/1.0.0");

/// Which of the two indexes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scope {
    /// The relays'.
    Relays,
    /// The nodes' own.
    Peers,
}

/// The key under which nodes that want neighbours are found: `b3sum` of the text, so that it is nobody's blob.
pub fn neighbourhood() -> BlobHash {
    BlobHash(*blake3::hash(b"gyre neighbourhood 1").as_bytes())
}

/// Multihash code and length of BLAKE3-256, which make a hash an IPFS-style provider key.
const BLAKE3_256: [u8; 2] = [0x1e, 32];

/// Blobs one node can announce. Ours: a tab that serves more should be a keeper.
const MAX_ANNOUNCED: usize = 16 * 1024;

/// How often what we hold is announced anew; relays forget a provider after two hours.
const ANNOUNCE_INTERVAL: Duration = Duration::from_secs(30 * 60);

/// The same among nodes, which come and go faster.
const PEERS_ANNOUNCE_INTERVAL: Duration = Duration::from_secs(10 * 60);

/// How long a node remembers a provider.
const PEERS_TTL: Duration = Duration::from_secs(30 * 60);

/// What a node that serves the peers' index keeps: at about 400 bytes each, 3 MiB at most. One provider gets a thirty-second of it.
const PEERS_MAX_RECORDS: usize = 8 * 1024;

/// Keys one provider may put on one node.
const PEERS_MAX_KEYS: usize = 256;

/// Servers of the peers' index that look-ups may link to at once beside those that are linked; then one more in each
/// [`DIAL_INTERVAL`]. Ours: a look-up asks some three to six servers, each link costs an ICE run, and an index full of lies
/// costs no more than this.
const DIAL_BURST: u32 = 12;

/// Time in which look-ups may link to one more.
const DIAL_INTERVAL: Duration = Duration::from_secs(5);

/// Addresses under which a node of an answer is dialled.
const MAX_DIALLED: usize = 2;

/// Addresses of ours that an announcement carries; relays keep four.
const MAX_TOLD: usize = 4;

/// How often provider records that have ended are dropped.
const SWEEP_INTERVAL: Duration = Duration::from_secs(60);

/// A look-up that found nothing ends after this.
const QUERY_TIMEOUT: Duration = Duration::from_secs(10);

/// Servers that a provider record is put on, and that a look-up asks at least.
const REPLICATION: NonZeroUsize = NonZeroUsize::new(4).expect("4 is not 0");

/// Answers kept of one read: more than there are servers asked, fewer than a liar could send.
const MAX_ANSWERS: usize = 32;

/// What one server has for a name; unverified.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    /// Who; `None` is our own store.
    pub peer: Option<PeerId>,
    /// The record's bytes.
    pub bytes: Vec<u8>,
}

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
    /// A read has ended.
    Read {
        /// The name.
        name: Name,
        /// What servers have.
        answers: Vec<Answer>,
        /// Servers close to the name that have nothing.
        lacking: Vec<PeerId>,
    },
    /// A write has ended.
    Wrote {
        /// The name.
        name: Name,
        /// Servers that took it.
        took: Vec<PeerId>,
    },
    /// A read of what stands under a key that is no name has ended.
    Found {
        /// The key.
        key: Vec<u8>,
        /// What servers have.
        answers: Vec<Answer>,
        /// Servers close to the key that have nothing.
        lacking: Vec<PeerId>,
    },
    /// A write under such a key has ended.
    Put {
        /// The key.
        key: Vec<u8>,
        /// Servers that took it.
        took: Vec<PeerId>,
    },
    /// A record that somebody put here changed the head of this name.
    Heard(Name),
}

/// One of the indexes and the look-ups in it.
pub struct Behaviour {
    scope: Scope,
    local: PeerId,
    kad: kad::Behaviour<ProviderIndex>,
    lookups: HashMap<QueryId, BlobHash>,
    reads: HashMap<QueryId, (RecordKey, Vec<Answer>)>,
    writes: HashMap<QueryId, (RecordKey, Vec<PeerId>)>,
    /// Relays that the node links to by itself, in its own time.
    uplinks: Set<PeerId>,
    linked: Set<PeerId>,
    told: Told,
    budget: Budget,
    swept_at: Time,
}

impl std::fmt::Debug for Behaviour {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("index::Behaviour")
            .field("lookups", &self.lookups.len())
            .finish_non_exhaustive()
    }
}

impl Behaviour {
    /// A client that knows no server yet.
    ///
    /// With `sockets_only` it tells no way to us but our own sockets.
    pub fn new(local: PeerId, scope: Scope, sockets_only: bool) -> Self {
        let (protocol, interval, ttl) = match scope {
            Scope::Relays => (PROTOCOL, ANNOUNCE_INTERVAL, providers::DEFAULT_TTL),
            Scope::Peers => (PEERS_PROTOCOL, PEERS_ANNOUNCE_INTERVAL, PEERS_TTL),
        };
        let keep = match scope {
            _ if sockets_only => is_own_socket,
            Scope::Relays => is_told_to_relays,
            Scope::Peers => is_told,
        };
        let mut config = kad::Config::new(protocol);
        config
            .set_query_timeout(QUERY_TIMEOUT)
            .set_replication_factor(REPLICATION)
            .set_provider_publication_interval(Some(interval))
            .set_provider_record_ttl(Some(ttl))
            .set_kbucket_inserts(kad::BucketInserts::Manual)
            .set_periodic_bootstrap_interval(None)
            .set_replication_interval(None)
            .set_publication_interval(None)
            .set_caching(kad::Caching::Enabled {
                max_peers: REPLICATION.get() as u16,
            });
        let limits = Limits {
            max_records: PEERS_MAX_RECORDS,
            max_keys_per_provider: PEERS_MAX_KEYS,
            max_own: MAX_ANNOUNCED,
            heads: heads::Limits::NODE,
            people: records::Limits::NODE,
        };
        let store = ProviderIndex::new(local, limits, u64::from_le_bytes(rt::random()));
        let mut kad = kad::Behaviour::with_config(local, store, config);
        // A reservation gives us an external address, which would make kad a server by itself.
        kad.set_mode(Some(Mode::Client));
        Self {
            scope,
            local,
            kad,
            lookups: HashMap::new(),
            reads: HashMap::new(),
            writes: HashMap::new(),
            uplinks: Set::new(),
            linked: Set::new(),
            told: Told::new(keep, MAX_TOLD),
            budget: Budget::new(DIAL_BURST, DIAL_INTERVAL),
            swept_at: Time::default(),
        }
    }

    /// Adds a relay to ask and to tell. Look-ups do not dial it: after its restart everybody's would, at once.
    pub fn add_relay(&mut self, peer: PeerId, address: Multiaddr) {
        self.uplinks.insert(peer);
        self.kad.add_address(&peer, address);
    }

    /// A linked peer serves the peers' index, or no longer. It is told to others as one that we introduce.
    pub fn set_server(&mut self, peer: PeerId, serves: bool) {
        if serves {
            let through_us = Route::Peer(self.local).to(peer);
            self.kad.add_address(&peer, through_us);
        } else {
            self.kad.remove_peer(&peer);
        }
    }

    /// Whether we introduce a peer to others.
    pub fn set_introduced(&mut self, peer: PeerId, introduced: bool) {
        self.kad.store_mut().set_introduced(peer, introduced);
    }

    /// Answers others, or only asks them.
    pub fn serve(&mut self, serves: bool) {
        let mode = if serves { Mode::Server } else { Mode::Client };
        self.kad.set_mode(Some(mode));
    }

    /// Provider records of others that are kept here.
    pub fn records(&mut self) -> usize {
        self.kad.store_mut().records()
    }

    /// Asks who holds `blob`; a look-up that is under way already is not repeated.
    pub fn find(&mut self, blob: BlobHash) {
        if self.lookups.values().all(|other| *other != blob) {
            let id = self.kad.get_providers(key_of(blob));
            self.lookups.insert(id, blob);
        }
    }

    /// Tells the servers that we hold `blob`, and again every 30 minutes, or 10 among nodes. `false` if too many are announced
    /// already.
    pub fn announce(&mut self, blob: BlobHash) -> bool {
        self.kad.start_providing(key_of(blob)).is_ok()
    }

    /// Stops telling; relays forget within two hours, nodes within half an hour.
    pub fn withdraw(&mut self, blob: BlobHash) {
        self.kad.stop_providing(&key_of(blob));
    }

    /// Asks the servers closest to a name what they have; `Read` follows. One that is under way already is not repeated.
    pub fn read(&mut self, name: Name) {
        self.get(&name.routing_key());
    }

    /// Asks the servers closest to a key what they have; `Found` follows, or `Read` if it is that of a name. One that is under way
    /// already is not repeated.
    pub fn get(&mut self, key: &[u8]) {
        let key = RecordKey::from(key.to_vec());
        if self.reads.values().all(|(other, _)| *other != key) {
            let id = self.kad.get_record(key.clone());
            self.reads.insert(id, (key, Vec::new()));
        }
    }

    /// Gives a record to these servers; `Wrote` follows. Who gives it does not go along.
    pub fn write(&mut self, record: &Record, to: Vec<PeerId>) {
        self.put(&record.name().routing_key(), record.bytes(), to);
    }

    /// Gives a value to these servers; `Put` follows, or `Wrote` if the key is that of a name.
    pub fn put(&mut self, key: &[u8], value: &[u8], to: Vec<PeerId>) {
        let key = RecordKey::from(key.to_vec());
        let value = kad::Record::new(key.clone(), value.to_vec());
        let id = self
            .kad
            .put_record_to(value, to.clone().into_iter(), Quorum::All);
        self.writes.insert(id, (key, to));
    }

    /// What somebody put here for a name.
    pub fn kept(&mut self, name: &Name) -> Option<Record> {
        let held = self.kad.store_mut().heads().get(name)?;
        Some(held.record.clone())
    }

    fn translate(&mut self, event: kad::Event) -> Vec<Event> {
        let kad::Event::OutboundQueryProgressed {
            id, result, step, ..
        } = event
        else {
            let changed = self.kad.store_mut().take_changed();
            return changed.into_iter().map(Event::Heard).collect();
        };
        let mut events = Vec::new();
        match result {
            QueryResult::GetRecord(result) => {
                let Some((_, answers)) = self.reads.get_mut(&id) else {
                    return events;
                };
                let mut lacking = Vec::new();
                match result {
                    Ok(GetRecordOk::FoundRecord(found)) => {
                        if answers.len() < MAX_ANSWERS {
                            answers.push(Answer {
                                peer: found.peer,
                                bytes: found.record.value,
                            });
                        }
                    }
                    Ok(GetRecordOk::FinishedWithNoAdditionalRecord { cache_candidates }) => {
                        lacking = cache_candidates.into_values().collect();
                    }
                    Err(GetRecordError::NotFound { closest_peers, .. }) => {
                        lacking = closest_peers;
                        lacking.truncate(REPLICATION.get());
                    }
                    Err(_) => {}
                }
                if step.last
                    && let Some((key, answers)) = self.reads.remove(&id)
                {
                    events.push(match Name::of_routing_key(key.as_ref()) {
                        Some(name) => Event::Read {
                            name,
                            answers,
                            lacking,
                        },
                        None => Event::Found {
                            key: key.to_vec(),
                            answers,
                            lacking,
                        },
                    });
                }
            }
            QueryResult::PutRecord(result) => {
                if let Some((key, to)) = self.writes.remove(&id) {
                    let took = match result {
                        Ok(_) => to,
                        Err(
                            PutRecordError::QuorumFailed { success, .. }
                            | PutRecordError::Timeout { success, .. },
                        ) => success,
                    };
                    events.push(match Name::of_routing_key(key.as_ref()) {
                        Some(name) => Event::Wrote { name, took },
                        None => Event::Put {
                            key: key.to_vec(),
                            took,
                        },
                    });
                }
            }
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
        addresses.extend(self.kad.store_mut().addresses(&peer));
        sort_by(&mut addresses, Ord::cmp);
        addresses.dedup();
        addresses
    }

    /// Where a server may be dialled: a relay under an address that is not behind a circuit, a node where a peer that we are linked to
    /// introduces it. Whatever else an answer may say leads nowhere from here.
    fn ways_to(&mut self, peer: PeerId) -> Vec<Multiaddr> {
        let direct = |address: &Multiaddr| address.iter().all(|part| part != Protocol::P2pCircuit);
        if self.uplinks.contains(&peer) {
            return Vec::new();
        }
        let mut addresses = self.addresses_of(peer);
        match self.scope {
            Scope::Relays => addresses.retain(direct),
            Scope::Peers => addresses.retain(|address| {
                Route::read(address, peer).is_some_and(
                    |route| matches!(route, Route::Peer(through) if self.linked.contains(&through)),
                )
            }),
        }
        addresses.truncate(MAX_DIALLED);
        addresses
    }

    fn sweep(&mut self) {
        let now = Time::default() + rt::now();
        if now.since(self.swept_at) >= SWEEP_INTERVAL {
            self.swept_at = now;
            self.kad.store_mut().sweep(web_time::Instant::now());
        }
    }
}

/// A relay is told where anybody can reach us, not which peers introduce us.
fn is_told_to_relays(address: &Multiaddr) -> bool {
    is_behind_relay(address) || is_own_socket(address)
}

fn key_of(blob: BlobHash) -> RecordKey {
    RecordKey::from([&BLAKE3_256[..], &blob.0[..]].concat())
}

fn blob_of(key: &RecordKey) -> Option<BlobHash> {
    let digest = key.as_ref().strip_prefix(&BLAKE3_256)?;
    Some(BlobHash(digest.try_into().ok()?))
}

impl NetworkBehaviour for Behaviour {
    type ConnectionHandler = <kad::Behaviour<ProviderIndex> as NetworkBehaviour>::ConnectionHandler;
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

    fn handle_pending_outbound_connection(
        &mut self,
        _: ConnectionId,
        peer: Option<PeerId>,
        _: &[Multiaddr],
        _: Endpoint,
    ) -> Result<Vec<Multiaddr>, ConnectionDenied> {
        Ok(peer.map(|peer| self.ways_to(peer)).unwrap_or_default())
    }

    fn on_swarm_event(&mut self, event: FromSwarm) {
        // What an announcement carries must fit and be of use: no address twice in its two forms, none that we only listen on.
        if !self.told.passes(&event) {
            return;
        }
        match &event {
            FromSwarm::NewListenAddr(_) | FromSwarm::ExpiredListenAddr(_) => return,
            FromSwarm::ConnectionEstablished(up) => {
                self.linked.insert(up.peer_id);
            }
            FromSwarm::ConnectionClosed(down) if down.remaining_established == 0 => {
                self.linked.remove(&down.peer_id);
            }
            _ => {}
        }
        self.kad.on_swarm_event(event);
    }

    fn on_connection_handler_event(
        &mut self,
        peer: PeerId,
        id: ConnectionId,
        event: THandlerOutEvent<Self>,
    ) {
        self.kad.store_mut().set_source(&peer);
        self.kad.on_connection_handler_event(peer, id, event);
    }

    fn poll(
        &mut self,
        cx: &mut Context<'_>,
    ) -> Poll<ToSwarm<Self::ToSwarm, THandlerInEvent<Self>>> {
        self.sweep();
        loop {
            match std::task::ready!(self.kad.poll(cx)) {
                ToSwarm::Dial { opts } => {
                    let now = Time::default() + rt::now();
                    let there_is_a_way = opts
                        .get_peer_id()
                        .is_some_and(|peer| !self.ways_to(peer).is_empty());
                    if there_is_a_way && self.budget.try_take(now) {
                        return Poll::Ready(ToSwarm::Dial { opts });
                    }
                    // Told at once, or the look-up would wait ten seconds for an answer that cannot come.
                    self.kad.on_swarm_event(FromSwarm::DialFailure(DialFailure {
                        peer_id: opts.get_peer_id(),
                        error: &DialError::Aborted,
                        connection_id: opts.connection_id(),
                    }));
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

#[cfg(all(test, not(target_arch = "wasm32")))]
mod tests {
    #![allow(clippy::unwrap_used)]
    use futures::task::noop_waker;

    use super::*;

    /// Looks blobs up, lets every dial fail, and counts the dials.
    fn dials(index: &mut Behaviour) -> usize {
        let waker = noop_waker();
        let mut dials = 0;
        for n in 0..20 {
            index.find(BlobHash([n; 32]));
            while let Poll::Ready(action) = index.poll(&mut Context::from_waker(&waker)) {
                let ToSwarm::Dial { opts } = action else {
                    continue;
                };
                dials += 1;
                index.on_swarm_event(FromSwarm::DialFailure(DialFailure {
                    peer_id: opts.get_peer_id(),
                    error: &DialError::Aborted,
                    connection_id: opts.connection_id(),
                }));
            }
        }
        dials
    }

    fn full_of(scope: Scope, address: impl Fn(PeerId) -> Multiaddr) -> Behaviour {
        let mut index = Behaviour::new(PeerId::random(), scope, false);
        for _ in 0..300 {
            let peer = PeerId::random();
            index.kad.add_address(&peer, address(peer));
        }
        index
    }

    #[test]
    fn an_index_full_of_dead_servers_costs_no_more_than_the_budget() {
        let began = rt::now();
        let dead = |_| "/ip4/192.0.2.1/tcp/80/ws".parse().unwrap();
        let made = dials(&mut full_of(Scope::Relays, dead));
        let earned = (rt::now() - began).as_secs() / DIAL_INTERVAL.as_secs() + 1;
        assert!(
            made > 0 && made as u64 <= u64::from(DIAL_BURST) + earned,
            "{made}"
        );
    }

    #[test]
    fn nodes_are_dialled_only_where_a_linked_peer_introduces_them() {
        let dead = |_| "/ip4/192.0.2.1/tcp/80/ws".parse().unwrap();
        assert_eq!(dials(&mut full_of(Scope::Peers, dead)), 0);
        let stranger = PeerId::random();
        let through = |peer| Route::Peer(stranger).to(peer);
        let mut index = full_of(Scope::Peers, through);
        assert_eq!(dials(&mut index), 0);
        let began = rt::now();
        index.linked.insert(stranger);
        let made = dials(&mut index);
        let earned = (rt::now() - began).as_secs() / DIAL_INTERVAL.as_secs() + 1;
        assert!(made as u64 <= u64::from(DIAL_BURST) + earned, "{made}");
    }

    #[test]
    fn our_own_relays_are_left_to_their_uplinks() {
        let mut index = Behaviour::new(PeerId::random(), Scope::Relays, false);
        for _ in 0..5 {
            index.add_relay(
                PeerId::random(),
                "/ip4/192.0.2.1/tcp/80/ws".parse().unwrap(),
            );
        }
        assert_eq!(dials(&mut index), 0);
    }

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
