//! Who is near a tag: looked up in the sectors of the key space under which custodians announce themselves.
//!
//! An answer names at most some twenty of a sector, whichever they are. So where a sector names that many a half of it is asked about,
//! until one is told in full, and then its other half: together they are the nearest. Where the last look-up ended, the next begins:
//! most networks do not change much within a day. Peers that are linked and say that they keep mail count too.

use std::time::Duration;

use futures::channel::oneshot;
use libp2p::PeerId;

use super::super::{EventLoop, now};
use crate::net::custody::key_of;
use crate::proto::custody::custodian::Input;
use crate::proto::custody::region::{
    Candidate, SECTOR_DEPTH, beside, distance, location, position, sector,
};
use crate::proto::custody::tag::Tag;
use crate::proto::custody::{self, READ_WIDTH};
use crate::proto::ordered::Map;
use crate::proto::sorting::sort_by_key;
use crate::proto::types::{BlobHash, PeerKey, Time};
use crate::store::Store;

/// Peers of a sector that may not be all: as many as an answer names (Kademlia's k).
const FULL: usize = 20;

/// Peers of a sector below which a wider one is looked at, if the look-up began there.
const FEW: usize = 5;

/// Peers of a sector that are remembered: answers of a dozen servers.
const MAX_NAMED: usize = 256;

/// Sectors that are remembered: those of the look-ups for a mailbox and for what is kept.
const MAX_SECTORS: usize = 64;

/// Look-ups under way at once; further ones are answered with those that are linked.
const MAX_SEARCHES: usize = 64;

/// How long what is known of a sector counts. Ours: a mailbox has up to 14 tags, which are looked up one after the other.
const FRESH: Duration = Duration::from_secs(30);

/// Longest time for a look-up, after which it ends with what was found: several of an index, of ten seconds at most.
const PATIENCE: Duration = Duration::from_secs(15);

/// Who waits for a look-up.
#[derive(Debug)]
pub(in super::super) enum Seeker {
    /// The custodian of this node.
    Custodian,
    /// The person's mail.
    Person(oneshot::Sender<Vec<custody::PeerId>>),
}

/// Look-ups and what is known of sectors.
#[derive(Debug, Default)]
pub(super) struct Seeking {
    searches: Map<Tag, Search>,
    sectors: Map<BlobHash, Sector>,
    /// How deep the last look-up ended.
    depth: u32,
}

#[derive(Debug, Default)]
struct Sector {
    /// Indexes that have not answered yet.
    pending: u8,
    /// When the last one did.
    at: Time,
    named: Vec<PeerKey>,
}

#[derive(Debug)]
struct Search {
    seekers: Vec<Seeker>,
    depth: u32,
    /// It only goes on deeper, or only wider.
    deeper: bool,
    wider: bool,
    /// The sector that is waited for.
    waits: BlobHash,
    beside: bool,
    found: Vec<PeerKey>,
    until: Time,
}

impl Search {
    /// Which sector to look at after one that named so many.
    fn next(&mut self, place: &[u8; 32], named: usize) -> Option<BlobHash> {
        if self.beside {
            return None;
        }
        if named >= FULL && self.depth < SECTOR_DEPTH && !self.wider {
            self.deeper = true;
            self.depth += 1;
        } else if named < FEW && self.depth > 0 && !self.deeper {
            self.wider = true;
            self.depth -= 1;
        } else if self.depth > 0 {
            self.beside = true;
            return Some(sector(&beside(place, self.depth), self.depth));
        } else {
            return None;
        }
        Some(sector(place, self.depth))
    }
}

impl<S: Store> EventLoop<S> {
    /// Finds the peers nearest to a tag.
    pub(in super::super) fn seek(&mut self, tag: Tag, seeker: Seeker) {
        if let Some(search) = self.custody.seeking.searches.get_mut(&tag) {
            return search.seekers.push(seeker);
        }
        let depth = self.custody.seeking.depth;
        let waits = sector(&location(tag), depth);
        let search = Search {
            seekers: vec![seeker],
            depth,
            deeper: false,
            wider: false,
            waits,
            beside: false,
            found: Vec::new(),
            until: now() + PATIENCE,
        };
        if self.custody.seeking.searches.len() >= MAX_SEARCHES {
            return self.found_near(tag, search);
        }
        self.custody.seeking.searches.insert(tag, search);
        self.look_at_custody_within(PATIENCE);
        self.look_into(waits);
    }

    /// Asks both indexes about a sector, unless it is known.
    fn look_into(&mut self, sector: BlobHash) {
        let sectors = &mut self.custody.seeking.sectors;
        if let Some(known) = sectors.get(&sector) {
            if known.pending > 0 {
                return;
            }
            if now().since(known.at) < FRESH {
                return self.sector_known(sector);
            }
        }
        if sectors.len() >= MAX_SECTORS {
            let idle = sectors.iter().filter(|(_, sector)| sector.pending == 0);
            let oldest = idle.min_by_key(|(_, sector)| sector.at);
            if let Some(oldest) = oldest.map(|(key, _)| *key) {
                sectors.remove(&oldest);
            }
        }
        let looking = Sector {
            pending: 2,
            ..Sector::default()
        };
        sectors.insert(sector, looking);
        self.look_up(sector);
    }

    /// Peers that an index names; false if it was not asked about a sector.
    pub(in super::super) fn on_sector_named(&mut self, key: BlobHash, peers: &[PeerKey]) -> bool {
        let Some(sector) = self.custody.seeking.sectors.get_mut(&key) else {
            return false;
        };
        for peer in peers {
            if sector.named.len() < MAX_NAMED && !sector.named.contains(peer) {
                sector.named.push(*peer);
            }
        }
        true
    }

    /// An index has answered.
    pub(in super::super) fn on_sector_ended(&mut self, key: BlobHash) {
        let Some(sector) = self.custody.seeking.sectors.get_mut(&key) else {
            return;
        };
        sector.pending = sector.pending.saturating_sub(1);
        sector.at = now();
        if sector.pending == 0 {
            self.sector_known(key);
        }
    }

    /// Look-ups that waited for a sector go on.
    fn sector_known(&mut self, key: BlobHash) {
        let Some(sector) = self.custody.seeking.sectors.get(&key) else {
            return;
        };
        let named = sector.named.clone();
        let reachable = named.iter().filter(|peer| self.nearby(**peer).is_some());
        let count = reachable.count();
        let searches = self.custody.seeking.searches.iter();
        let waiting: Vec<Tag> = searches
            .filter(|(_, search)| search.waits == key)
            .map(|(tag, _)| *tag)
            .collect();
        for tag in waiting {
            let Some(search) = self.custody.seeking.searches.get_mut(&tag) else {
                continue;
            };
            search.found.extend(&named);
            match search.next(&location(tag), count) {
                Some(next) => {
                    search.waits = next;
                    self.look_into(next);
                }
                None => {
                    self.custody.seeking.depth = search.depth;
                    self.end_search(tag);
                }
            }
        }
    }

    pub(super) fn end_late_searches(&mut self) {
        let searches = self.custody.seeking.searches.iter();
        let late: Vec<Tag> = searches
            .filter(|(_, search)| search.until <= now())
            .map(|(tag, _)| *tag)
            .collect();
        late.into_iter().for_each(|tag| self.end_search(tag));
        let next = self.custody.seeking.searches.values();
        if let Some(next) = next.map(|search| search.until).min() {
            self.look_at_custody_within(next.since(now()));
        }
    }

    fn end_search(&mut self, tag: Tag) {
        if let Some(search) = self.custody.seeking.searches.remove(&tag) {
            self.found_near(tag, search);
        }
    }

    fn found_near(&mut self, tag: Tag, search: Search) {
        let place = location(tag);
        let named = search.found.into_iter();
        let named = named.filter_map(|peer| self.nearby(peer));
        let linked = self.custody.offering.iter().filter_map(key_of);
        let linked = linked.filter(|peer| !self.is_left_out(peer));
        let mut near: Vec<(u64, custody::PeerId)> = named
            .chain(linked)
            .map(|peer| (distance(&place, &position(peer)), peer))
            .collect();
        sort_by_key(&mut near, |peer| *peer);
        near.dedup();
        near.truncate(READ_WIDTH);
        let peers = near.into_iter().map(|(_, peer)| peer);
        for seeker in search.seekers {
            match seeker {
                Seeker::Custodian => {
                    let peers = peers.clone().map(Candidate::new).collect();
                    self.tell_custodian(Input::Found(tag, peers));
                }
                Seeker::Person(reply) => drop(reply.send(peers.clone().collect())),
            }
        }
    }

    /// The key of a peer that may be asked.
    fn nearby(&self, peer: PeerKey) -> Option<custody::PeerId> {
        let peer = self.peers.get(peer).filter(|peer| !peer.banned)?;
        let local: &PeerId = self.swarm.local_peer_id();
        let key = key_of(&peer.id).filter(|_| peer.id != *local)?;
        (!self.is_left_out(&key)).then_some(key)
    }

    fn is_left_out(&self, peer: &custody::PeerId) -> bool {
        let left_out = self.custody.left_out.get(peer);
        left_out.is_some_and(|at| now().since(*at) < super::LEFT_OUT)
    }
}
