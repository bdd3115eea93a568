//! Who may ask whom: interest on our side, slots on the other's, and the news of chunks that make others ask.

use std::time::Duration;

use super::choke::Applicant;
use super::peer::{Client, Peer, Serving, Stage};
use super::{Output, Swarm};
use crate::proto::availability::Holds;
use crate::proto::message::{MAX_HAVES, Message};
use crate::proto::types::{CHUNK_SIZE, ChunkIndex, PeerKey, Time};

impl Swarm {
    /// Whether we have every chunk, durable or not.
    pub(super) fn has_everything(&self) -> bool {
        self.ledger
            .as_ref()
            .is_some_and(|ledger| ledger.verified.is_full())
    }

    /// Tells a peer that we want something of it, if that is so now.
    pub(super) fn reconsider(&mut self, key: PeerKey) {
        let Some(peer) = self.peers.get(&key) else {
            return;
        };
        let source = &peer.source;
        if source.interested || self.paused || !peer.chokes {
            return;
        }
        let wants = match &self.ledger {
            None => peer
                .claim
                .is_some_and(|claim| peer.holds.contains(claim.last_chunk().0)),
            Some(ledger) => ledger.picker.wants_any(&peer.holds),
        };
        if wants {
            self.express(key, true);
        }
    }

    /// Tells everybody that we want nothing.
    pub(super) fn lose_interest(&mut self) {
        let keys: Vec<PeerKey> = self.peers.keys().copied().collect();
        for key in keys {
            self.express(key, false);
        }
    }

    /// Tells those that serve us and have nothing for us that their slot is free: all, or this one if it is.
    pub(super) fn give_slots_back(&mut self, whom: Option<PeerKey>) {
        let idle = |peer: &Peer| {
            let source = &peer.source;
            let useless = source.dry || peer.holds == Holds::Nothing;
            source.interested && !source.choked && useless && source.asked.is_empty()
        };
        let mut keys: Vec<PeerKey> = match whom {
            Some(key) => vec![key],
            None => self.peers.keys().copied().collect(),
        };
        keys.retain(|key| self.peers.get(key).is_some_and(|peer| idle(peer)));
        for key in keys {
            self.express(key, false);
        }
    }

    fn express(&mut self, key: PeerKey, interested: bool) {
        let Some(peer) = self.peers.get_mut(&key) else {
            return;
        };
        if !peer.chokes || peer.source.interested == interested {
            return;
        }
        peer.source.interested = interested;
        let message = match interested {
            true => Message::Interested,
            false => Message::NotInterested,
        };
        self.send(key, message);
    }

    /// A peer says whether it wants something of us.
    pub(super) fn on_interest(&mut self, key: PeerKey, interested: bool) {
        if let Some(peer) = self.peers.get_mut(&key)
            && peer.client.interested != interested
        {
            peer.client.interested = interested;
            self.slots_stale = true;
            if !interested {
                // What it was to pass on and did not ask for is given to somebody anew.
                self.spread.take_back_hints(&mut peer.client);
            }
        }
    }

    /// Hands out the slots anew if interest has changed or it is time.
    pub(super) fn rechoke(&mut self, now: Time) {
        let due = self.choker.is_due(now);
        if !self.upload_allowed || self.ledger.is_none() || !(due || self.slots_stale) {
            return;
        }
        self.slots_stale = false;
        let chunks = self.ledger.as_ref().map_or(0, |l| l.size.chunk_count());
        let best = self.peers.values().map(|peer| peer.source.recent).max();
        let best = best.unwrap_or(0);
        for peer in self.peers.values_mut() {
            let given = peer.source.recent;
            peer.client.gives = given > 0 && given * self.config.gives_share >= best;
        }
        let applicants: Vec<Applicant> = self
            .peers
            .iter()
            .filter(|(_, peer)| peer.greeted && peer.chokes)
            .map(|(key, peer)| Applicant {
                peer: *key,
                interested: peer.client.interested,
                gives: peer.client.gives,
                // Among equals whoever holds a slot stands behind those that wait.
                since: if peer.client.choked {
                    peer.client.since
                } else {
                    now
                },
                // Who gives nothing may say that it has nothing for as long as it likes.
                has: match peer.client.gives {
                    true => peer.holds.count(chunks),
                    false => u32::MAX,
                },
                tie: peer.client.tie,
            })
            .collect();
        let change = self.choker.turn(&applicants, &self.config, now);
        if due {
            for peer in self.peers.values_mut() {
                peer.source.recent -= peer.source.recent / self.config.gives_memory;
                // A page that is frozen keeps its links: what it alone was to pass on is for others.
                let client = &mut peer.client;
                if !client.sleeps && client.is_stuck(now, self.config.rechoke) {
                    client.sleeps = true;
                    self.spread.take_back_unsent(client);
                    client.hints.clear();
                }
            }
        }
        self.may_serve |= !change.choke.is_empty();
        for key in change.choke {
            self.choke(key, now);
        }
        for key in change.unchoke {
            if let Some(peer) = self.peers.get_mut(&key) {
                peer.client.choked = false;
                peer.client.since = now;
                self.outputs.extend(peer.client.news(key, now));
                // Hints first: without one a leech would say that it wants nothing of a seed that spreads.
                self.suggest(key);
                self.send(key, Message::Unchoke);
            }
        }
        let served: Vec<PeerKey> = self
            .peers
            .iter()
            .filter(|(_, peer)| !peer.client.choked)
            .map(|(key, _)| *key)
            .collect();
        for key in served {
            self.suggest(key);
        }
    }

    /// The holders of the slots are too slow for the uplink: one more is served, if anybody waits.
    pub(super) fn open_slot(&mut self, now: Time) {
        let waiting = |peer: &Peer| peer.client.choked && peer.client.interested;
        if now >= self.opened + self.config.slot_gap
            && self.peers.values().any(|peer| waiting(peer))
        {
            self.opened = now;
            self.choker.open(&self.config);
            self.slots_stale = true;
        }
    }

    /// Nobody is served any more.
    pub(super) fn take_slots(&mut self) {
        self.choker = Default::default();
        let keys: Vec<PeerKey> = self
            .peers
            .iter()
            .filter(|(_, peer)| peer.chokes && !peer.client.choked)
            .map(|(key, _)| *key)
            .collect();
        for key in keys {
            if let Some(peer) = self.peers.get_mut(&key) {
                peer.client.choked = true;
                self.send(key, Message::Choke);
            }
        }
    }

    /// Serves a peer no longer: what it asked for and has not begun is dropped.
    fn choke(&mut self, key: PeerKey, now: Time) {
        let Some(peer) = self.peers.get_mut(&key) else {
            return;
        };
        self.spread.take_back_unsent(&peer.client);
        let client = &mut peer.client;
        client.choked = true;
        client.since = now;
        client.hints.clear();
        client.queue.clear();
        for serving in &mut client.serving {
            if serving.stage == Stage::Loading {
                serving.stage = Stage::Cancelled;
            }
        }
        self.send(key, Message::Choke);
    }

    /// A chunk is verified: others hear of it at once if they lack it, in company if they have it.
    pub(super) fn tell(&mut self, index: ChunkIndex, now: Time) {
        if !self.upload_allowed {
            return;
        }
        for peer in self.peers.values_mut() {
            if peer.announced_by_us == 0 {
                continue;
            }
            let lacks = !peer.holds.contains(index.0);
            // Who waits for a slot cannot ask for it yet, and hears of it before it is served.
            let waits = peer.chokes && peer.client.choked && peer.client.interested;
            let due = match lacks && !waits {
                true => now.max(peer.client.told + self.config.have_gap),
                false => now + self.config.have_idle,
            };
            if lacks && !peer.client.interested {
                peer.client.interested = true;
                self.slots_stale = true;
            }
            peer.client.untold.push(index);
            let tell = peer.client.tell.map_or(due, |tell| tell.min(due));
            peer.client.tell = Some(tell);
            self.tell = Some(self.tell.map_or(tell, |first| first.min(tell)));
        }
    }

    /// Sends the news that is due.
    pub(super) fn tell_due(&mut self, now: Time) {
        if self.tell.is_none_or(|at| at > now) {
            return;
        }
        self.tell = None;
        for (key, peer) in &mut self.peers {
            let client = &mut peer.client;
            if client.tell.is_some_and(|at| at <= now) {
                self.outputs.extend(client.news(*key, now));
            }
            self.tell = match (self.tell, client.tell) {
                (Some(a), Some(b)) => Some(a.min(b)),
                (a, b) => a.or(b),
            };
        }
    }
}

impl Client {
    /// Whether it says nothing and does not take what it was suggested, or has asked for: nothing more of that is sent to it.
    fn is_stuck(&self, now: Time, patience: Duration) -> bool {
        let under_way = |serving: &Serving| serving.begun.ago(now) >= patience;
        let full = self.serving.iter().any(under_way)
            || self.serving.is_empty() && self.credit < CHUNK_SIZE;
        let waits = !self.hints.is_empty() || (!self.queue.is_empty() && full);
        waits && now.since(self.heard) >= patience
    }

    /// What it has not been told of yet.
    fn news(&mut self, key: PeerKey, now: Time) -> Vec<Output> {
        self.tell = None;
        self.told = now;
        let untold = std::mem::take(&mut self.untold);
        let messages = untold.chunks(MAX_HAVES).map(|some| Output::Send {
            peer: key,
            message: Message::Have {
                indexes: some.to_vec(),
            },
        });
        messages.collect()
    }
}
