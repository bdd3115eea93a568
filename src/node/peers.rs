//! Everybody this node knows by name: who is linked, how, and what went wrong.

use libp2p::swarm::ConnectionId;
use libp2p::{Multiaddr, PeerId};

use super::meter::Meter;
use super::snapshot::{PeerInfo, Role, Via};
use crate::proto::ordered::{Map, Set};
use crate::proto::sorting::sort_by;
use crate::proto::types::{BlobHash, PeerKey, Time};

/// Peers remembered. Ours: what a look-up can name for a few dozen blobs, at under 1 KiB each.
const MAX_PEERS: usize = 2048;

/// Addresses kept of one peer: one for each relay that it may be reserved at.
const MAX_ADDRESSES: usize = 8;

/// Tellers kept of one peer: as many as are tried as introducers.
const MAX_TELLERS: usize = 2;

/// How long a peer without a link is shown with the reason: the index may name those that left for two hours.
const COMPLAINT_MILLIS: u64 = 60_000;

/// Characters of a remote's agent name that are shown.
const MAX_AGENT: usize = 64;

/// One peer.
#[derive(Debug)]
pub(super) struct Peer {
    pub key: PeerKey,
    pub id: PeerId,
    pub addresses: Vec<Multiaddr>,
    pub connections: Map<ConnectionId, Via>,
    pub is_relay: bool,
    pub dialling: bool,
    pub banned: bool,
    /// Its websockets are links: it was dialled there for itself, or has dialled us.
    pub takes_sockets: bool,
    /// A link is wanted for its own sake.
    pub near: bool,
    /// It introduces others, as it says.
    pub introduces: bool,
    /// Linked peers that named it: who was named by a neighbour may be introduced by it.
    pub told_by: Vec<PeerId>,
    /// Blobs for which a session is wanted as soon as a direct link is up.
    pub awaited_by: Set<BlobHash>,
    pub agent: String,
    pub rtt: Option<u32>,
    pub up: Meter,
    pub down: Meter,
    pub since: u64,
    detail: String,
    /// When `detail` was set, milliseconds since 1970.
    told_at: u64,
}

impl Peer {
    pub fn is_direct(&self) -> bool {
        self.connections.values().any(|via| *via == Via::Direct)
    }

    /// Whether sessions with it have a connection to run on that is nobody else's.
    pub fn is_linked(&self) -> bool {
        let by_socket = |via: &Via| self.takes_sockets && *via == Via::Websocket;
        self.is_direct() || self.connections.values().any(by_socket)
    }

    pub fn via(&self) -> Via {
        let has = |via| self.connections.values().any(|other| *other == via);
        match () {
            () if has(Via::Direct) => Via::Direct,
            () if has(Via::Websocket) => Via::Websocket,
            () if self.dialling => Via::Connecting,
            () if has(Via::Relayed) => Via::Relayed,
            () => Via::Failed,
        }
    }

    fn forgettable(&self) -> bool {
        self.connections.is_empty()
            && !self.dialling
            && !self.is_relay
            && self.awaited_by.is_empty()
            && !self.near
    }

    /// Remembers who named it; the latest survive.
    pub fn add_teller(&mut self, teller: PeerId) {
        self.told_by.retain(|known| *known != teller);
        self.told_by.insert(0, teller);
        self.told_by.truncate(MAX_TELLERS);
    }

    /// Says what is wrong, in a sentence; shown for as long as it matters.
    pub fn complain(&mut self, detail: String, now_millis: u64) {
        self.detail = detail;
        self.told_at = now_millis;
    }

    /// Nothing is wrong (any more).
    pub fn settle(&mut self) {
        self.detail.clear();
    }

    /// Whether there is something to be told that is still news.
    pub fn is_complaining(&self, now_millis: u64) -> bool {
        !self.detail.is_empty() && now_millis.saturating_sub(self.told_at) < COMPLAINT_MILLIS
    }

    pub fn set_agent(&mut self, agent: &str) {
        // A remote's own words, shown to a person: short, and nothing that moves the cursor.
        self.agent = agent
            .chars()
            .filter(|c| !c.is_control())
            .take(MAX_AGENT)
            .collect();
    }
}

/// The table.
#[derive(Debug, Default)]
pub(super) struct Peers {
    keys: Map<PeerId, PeerKey>,
    table: Map<PeerKey, Peer>,
    next: u64,
}

impl Peers {
    /// The peer of this name, entered if it is new. Room is made by forgetting those without a link.
    pub fn enter(&mut self, id: PeerId, now_millis: u64) -> &mut Peer {
        let key = match self.keys.get(&id) {
            Some(key) => *key,
            None => {
                if self.table.len() >= MAX_PEERS {
                    self.forget_some();
                }
                self.next += 1;
                let key = PeerKey(self.next);
                self.keys.insert(id, key);
                key
            }
        };
        self.table.entry(key).or_insert_with(|| Peer {
            key,
            id,
            addresses: Vec::new(),
            connections: Map::new(),
            is_relay: false,
            dialling: false,
            banned: false,
            takes_sockets: false,
            near: false,
            introduces: false,
            told_by: Vec::new(),
            awaited_by: Set::new(),
            agent: String::new(),
            rtt: None,
            up: Meter::default(),
            down: Meter::default(),
            since: now_millis,
            detail: String::new(),
            told_at: 0,
        })
    }

    pub fn get(&self, key: PeerKey) -> Option<&Peer> {
        self.table.get(&key)
    }

    pub fn get_mut(&mut self, key: PeerKey) -> Option<&mut Peer> {
        self.table.get_mut(&key)
    }

    pub fn by_id(&mut self, id: &PeerId) -> Option<&mut Peer> {
        self.table.get_mut(self.keys.get(id)?)
    }

    pub fn iter(&self) -> impl Iterator<Item = &Peer> {
        self.table.values()
    }

    pub fn iter_mut(&mut self) -> impl Iterator<Item = &mut Peer> {
        self.table.values_mut()
    }

    /// Adds addresses; the newest survive.
    pub fn add_addresses(&mut self, key: PeerKey, addresses: Vec<Multiaddr>) {
        let Some(peer) = self.table.get_mut(&key) else {
            return;
        };
        for address in addresses {
            peer.addresses.retain(|known| *known != address);
            peer.addresses.insert(0, address);
        }
        peer.addresses.truncate(MAX_ADDRESSES);
    }

    pub fn tick(&mut self, now: Time) {
        for peer in self.table.values_mut() {
            peer.up.tick(now);
            peer.down.tick(now);
        }
    }

    /// What a person sees: links, attempts and failures; mere names are left out.
    pub fn infos(&self, now_millis: u64) -> Vec<PeerInfo> {
        let mut infos: Vec<_> = self
            .table
            .values()
            .filter(|peer| {
                !peer.connections.is_empty() || peer.dialling || peer.is_complaining(now_millis)
            })
            .map(|peer| PeerInfo {
                peer_id: peer.id.to_string(),
                role: if peer.is_relay || (peer.via() == Via::Websocket && !peer.takes_sockets) {
                    Role::Relay
                } else {
                    Role::Browser
                },
                via: peer.via(),
                agent: peer.agent.clone(),
                rtt: peer.rtt,
                up: peer.up.total(),
                down: peer.down.total(),
                up_rate: peer.up.rate(),
                down_rate: peer.down.rate(),
                since: peer.since,
                detail: peer.detail.clone(),
            })
            .collect();
        sort_by(&mut infos, |a, b| {
            (a.since, &a.peer_id).cmp(&(b.since, &b.peer_id))
        });
        infos
    }

    fn forget_some(&mut self) {
        let mut gone: Vec<_> = self
            .table
            .values()
            .filter(|peer| peer.forgettable())
            .map(|peer| (peer.banned, peer.key, peer.id))
            .collect();
        // Bans go last: identities are free, so a table full of them must not keep everybody else out.
        sort_by(&mut gone, Ord::cmp);
        for (_, key, id) in gone.into_iter().take(MAX_PEERS / 8) {
            self.table.remove(&key);
            self.keys.remove(&id);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_peer_keeps_its_key() {
        let mut peers = Peers::default();
        let id = PeerId::random();
        let key = peers.enter(id, 0).key;
        assert_eq!(peers.enter(id, 1).key, key);
        assert_ne!(peers.enter(PeerId::random(), 1).key, key);
    }

    #[test]
    fn names_do_not_grow_the_table_without_bound() {
        let mut peers = Peers::default();
        for _ in 0..MAX_PEERS + 100 {
            peers.enter(PeerId::random(), 0);
        }
        assert!(peers.table.len() <= MAX_PEERS);
        assert_eq!(peers.table.len(), peers.keys.len());
    }

    #[test]
    fn one_that_left_is_shown_for_a_minute() {
        let mut peers = Peers::default();
        peers
            .enter(PeerId::random(), 0)
            .complain("It has left.".into(), 1000);
        assert_eq!(peers.infos(2000).len(), 1);
        assert_eq!(peers.infos(62_000).len(), 0);
    }

    #[test]
    fn an_agent_name_is_made_harmless() {
        let mut peers = Peers::default();
        let peer = peers.enter(PeerId::random(), 0);
        peer.set_agent(&format!("x\u{1b}[2J{}", "y".repeat(500)));
        assert!(peer.agent.len() <= MAX_AGENT && !peer.agent.contains('\u{1b}'));
    }
}
