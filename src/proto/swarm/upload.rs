//! The serving half: which request is answered next, and with what.
//!
//! Those that hold a slot (`choke`) take turns, one chunk each, as many at once as keep the uplink busy (`outflow`); while
//! one that gives its part is served, the others get one turn in a few. What is verified is served, durable or not. A lone seed also spreads its chunks: it suggests to each peer chunks that it has suggested
//! to no other, so that one copy of everything is out after little more than one blob of upload, and the swarm lives on
//! if the seed leaves (the aim of BEP 16, with the hint of BEP 6 in place of hiding chunks). A seed that is asked only for what several
//! leeches could have of each other sends no more at once than keeps a link busy.

use std::ops::Bound;

use bytes::Bytes;

use super::peer::{Client, Peer, Serving, Stage};
use super::{Misconduct, Output, Swarm};
use crate::proto::availability::Holds;
use crate::proto::bitfield::Bitfield;
use crate::proto::message::{Message, RejectReason};
use crate::proto::random::Random;
use crate::proto::types::{ChunkIndex, PeerKey, Time};

/// Which chunks have been suggested to somebody.
#[derive(Debug, Default)]
pub(super) struct Spread {
    given: Bitfield,
    /// Chunks that were served to somebody, or are being.
    sent: Bitfield,
    next: u32,
    exhausted: bool,
}

impl Spread {
    pub(super) fn start(&mut self, chunks: u32, random: &mut Random) {
        *self = Self {
            given: Bitfield::new(chunks),
            sent: Bitfield::new(chunks),
            next: random.below(chunks),
            exhausted: false,
        };
    }

    /// A peer is served no longer: what it was to pass on and has not been begun is free for others.
    pub(super) fn take_back_unsent(&mut self, client: &Client) {
        for index in client.hints.iter().chain(&client.queue) {
            self.free(*index);
        }
    }

    /// A peer wants nothing more: what it was to pass on and has not asked for is free for others, and for itself.
    pub(super) fn take_back_hints(&mut self, client: &mut Client) {
        for index in std::mem::take(&mut client.hints) {
            self.free(index);
        }
    }

    /// Nobody is about to be sent this chunk any more: if it has not been sent at all, it is to be given to somebody anew.
    fn free(&mut self, index: ChunkIndex) {
        self.exhausted &= self.sent.contains(index.0) || !self.given.remove(index.0);
    }

    /// A peer left: what it was to pass on and has not been sent is free for others.
    pub(super) fn take_back(&mut self, client: &Client) {
        let unsent = client
            .queue
            .iter()
            .chain(client.serving.iter().map(|serving| &serving.index));
        for index in client.hints.iter().chain(unsent) {
            self.exhausted &= !self.given.remove(index.0);
        }
        for serving in &client.serving {
            self.sent.remove(serving.index.0);
        }
    }

    /// The place in a queue of the first chunk that nobody was sent yet.
    fn fresh(&self, client: &Client) -> Option<usize> {
        client
            .queue
            .iter()
            .position(|index| !self.sent.contains(index.0))
    }

    /// The next chunk nobody was told of and `elsewhere` does not know of.
    fn draw(&mut self, elsewhere: impl Fn(u32) -> bool) -> Option<ChunkIndex> {
        let chunks = self.given.len();
        let found = (0..chunks)
            .map(|step| ((u64::from(self.next) + u64::from(step)) % u64::from(chunks)) as u32)
            .find(|index| !self.given.contains(*index) && !elsewhere(*index));
        match found {
            Some(index) => {
                self.given.insert(index);
                self.next = index + 1;
            }
            None => self.exhausted = true,
        }
        found.map(ChunkIndex)
    }
}

/// Leeches that serve each other as fast as a seed could: each of fewer has too few others to ask.
const SEVERAL: usize = 4;

impl Swarm {
    pub(super) fn on_request(&mut self, key: PeerKey, index: ChunkIndex) -> Result<(), Misconduct> {
        let Some(peer) = self.peers.get_mut(&key) else {
            return Ok(());
        };
        let refusal = match &self.ledger {
            None => Some(RejectReason::NotStored),
            Some(ledger) if index.0 >= ledger.size.chunk_count() => {
                return Err(Misconduct::Impossible);
            }
            Some(_) if !self.upload_allowed => Some(RejectReason::NotServing),
            Some(ledger) => (!ledger.has(index)).then_some(RejectReason::NotStored),
        };
        let client = &mut peer.client;
        if client.choked && refusal != Some(RejectReason::NotServing) {
            client.refused += 1;
            return match client.refused > self.config.refusals_max {
                true => Err(Misconduct::Flood),
                false => Ok(()),
            };
        }
        if let Some(reason) = refusal {
            client.refused += 1;
            if client.refused > self.config.refusals_max {
                return Err(Misconduct::Flood);
            }
            self.send(key, Message::Reject { index, reason });
            return Ok(());
        }
        client.hints.retain(|hint| *hint != index);
        if !client.queue.contains(&index) {
            if client.queue.len() + client.serving.len() >= self.config.queue_max {
                return Err(Misconduct::Flood);
            }
            client.queue.push_back(index);
        }
        if !client.interested {
            client.interested = true;
            self.slots_stale = true;
        }
        self.suggest(key);
        Ok(())
    }

    pub(super) fn on_cancel(&mut self, key: PeerKey, index: ChunkIndex) {
        let Some(peer) = self.peers.get_mut(&key) else {
            return;
        };
        let client = &mut peer.client;
        if client.queue.contains(&index) {
            client.queue.retain(|queued| *queued != index);
            self.spread.free(index);
        }
        if let Some(at) = client.stage(index, Stage::Loading) {
            client.serving[at].stage = Stage::Cancelled;
        }
        self.suggest(key);
    }

    pub(super) fn on_loaded(
        &mut self,
        key: PeerKey,
        index: ChunkIndex,
        data: Bytes,
        proof: Bytes,
        now: Time,
    ) {
        if self.end_tail_load(key, index) {
            return self.on_last_chunk(index, &data, &proof);
        }
        let expected = self
            .ledger
            .as_ref()
            .and_then(|ledger| ledger.size.chunk_len(index));
        if expected != Some(data.len()) {
            return self.on_load_failed(key, index, now);
        }
        if !self.upload_allowed {
            return self.drop_load(key, index, RejectReason::NotServing);
        }
        let Some(peer) = self.peers.get_mut(&key) else {
            return;
        };
        match peer.client.stage(index, Stage::Loading) {
            Some(at) => {
                peer.client.serving[at].stage = Stage::Sending;
                self.send(key, Message::Chunk { index, proof, data });
            }
            None => self.drop_load(key, index, RejectReason::NotStored),
        }
    }

    pub(super) fn on_load_failed(&mut self, key: PeerKey, index: ChunkIndex, now: Time) {
        self.end_tail_load(key, index);
        self.drop_load(key, index, RejectReason::NotStored);
        let Some(ledger) = &mut self.ledger else {
            return;
        };
        // What is still on its way into the store is not lost by not being there yet.
        if ledger.stored.remove(index.0) {
            ledger.verified.remove(index.0);
            self.want_again(index);
        } else if ledger.has(index)
            && let Some(peer) = self.peers.get_mut(&key)
        {
            // The refusal makes the peer think that it is not here: it hears again when the store may have it.
            let tell = now + self.config.have_idle;
            peer.client.untold.push(index);
            peer.client.tell.get_or_insert(tell);
            self.tell.get_or_insert(tell);
        }
    }

    /// Ends a load without a chunk: its credit is free again, and whoever still waits is told.
    fn drop_load(&mut self, key: PeerKey, index: ChunkIndex, reason: RejectReason) {
        let Some(peer) = self.peers.get_mut(&key) else {
            return;
        };
        let client = &mut peer.client;
        let found = client
            .stage(index, Stage::Cancelled)
            .or_else(|| client.stage(index, Stage::Loading));
        let Some(at) = found else { return };
        let serving = client.serving.remove(at);
        client.credit = client.credit.saturating_add(serving.len);
        self.may_serve = true;
        if serving.stage == Stage::Cancelled {
            self.spread.sent.remove(index.0);
            self.spread.free(index);
            self.suggest(key);
        }
        if serving.stage == Stage::Loading {
            self.send(key, Message::Reject { index, reason });
        }
    }

    pub(super) fn on_sent(&mut self, key: PeerKey, index: ChunkIndex, now: Time) {
        let Some(peer) = self.peers.get_mut(&key) else {
            return;
        };
        let Some(at) = peer.client.stage(index, Stage::Sending) else {
            return;
        };
        let serving = peer.client.serving.remove(at);
        peer.client.bytes += serving.len;
        peer.client.rate.add(serving.len, now);
        peer.client.refused = 0;
        self.up += serving.len;
        let slow = self.outflow.end(serving.begun, serving.len, now);
        if slow && !self.is_spare() {
            self.open_slot(now);
        }
    }

    /// Answers every request that has not begun with a refusal.
    pub(super) fn refuse_queue(&mut self, key: PeerKey, reason: RejectReason) {
        let Some(peer) = self.peers.get_mut(&key) else {
            return;
        };
        for index in std::mem::take(&mut peer.client.queue) {
            self.send(key, Message::Reject { index, reason });
        }
    }

    /// Begins as many requests as the bounds allow, one from each peer in turn. A lone seed serves what it has not sent
    /// to anybody before the rest.
    pub(super) fn serve(&mut self, now: Time) {
        let clients = || self.peers.values().map(|peer| &peer.client);
        let mut busy: usize = clients().map(|client| client.serving.len()).sum();
        let window = match self.is_spare() {
            true => self.config.serving_min,
            false => self.outflow.window(&self.config),
        };
        if busy >= window || clients().all(|client| client.queue.is_empty()) {
            return;
        }
        // A slow receiver among several must not hold everything that may be under way.
        let active =
            clients().filter(|client| !client.queue.is_empty() || !client.serving.is_empty());
        let each = match active.count() {
            0 | 1 => self.config.serving_per_peer,
            _ => self.config.serving_per_peer.min(window - 1).max(1),
        };
        let lone = self.is_lone_seed() && !self.spread.sent.is_full();
        while busy < window {
            let fresh =
                lone.then(|| self.next_in_turn(each, |spread, client| spread.fresh(client)));
            // Most turns are for those that give their part, the others share the rest.
            let generous = self.turns.is_multiple_of(self.config.generous_every.max(1));
            let giving =
                (!generous).then(|| self.next_in_turn(each, |_, client| client.gives.then_some(0)));
            // While one that gives is being served, the others have to wait for their turn.
            let giver = |peer: &Peer| peer.client.gives && !peer.client.serving.is_empty();
            let contended = !generous && self.peers.values().any(|peer| giver(peer));
            let found = fresh.flatten().or_else(|| giving.flatten()).or_else(|| {
                (!contended)
                    .then(|| self.next_in_turn(each, |_, _| Some(0)))
                    .flatten()
            });
            let Some((key, place)) = found else { break };
            self.turn = key;
            self.turns = self.turns.wrapping_add(1);
            busy += usize::from(self.begin(key, place, now));
        }
        if lone && self.spread.sent.is_full() {
            self.spread_is_over();
        }
    }

    /// The next peer in turn with a request that `choose` likes and the bounds allow, and the request's place.
    fn next_in_turn(
        &self,
        each: usize,
        choose: impl Fn(&Spread, &Client) -> Option<usize>,
    ) -> Option<(PeerKey, usize)> {
        let size = self.ledger.as_ref()?.size;
        let ready = |key: &PeerKey, peer: &Peer| {
            let client = &peer.client;
            if client.queue.is_empty() || client.serving.len() >= each {
                return None;
            }
            let place = choose(&self.spread, client)?;
            let len = size.chunk_len(*client.queue.get(place)?)? as u64;
            (len <= client.credit).then_some((*key, place))
        };
        let after = (Bound::Excluded(self.turn), Bound::Unbounded);
        let later = self
            .peers
            .range(after)
            .find_map(|(key, peer)| ready(key, peer));
        let mut before = self.peers.range(..=self.turn);
        later.or_else(|| before.find_map(|(key, peer)| ready(key, peer)))
    }

    /// Begins to serve the request at this place of a peer's queue.
    fn begin(&mut self, key: PeerKey, place: usize, now: Time) -> bool {
        let (Some(ledger), Some(peer)) = (&self.ledger, self.peers.get_mut(&key)) else {
            return false;
        };
        let client = &mut peer.client;
        let Some(index) = client.queue.remove(place) else {
            return false;
        };
        if !ledger.has(index) {
            let reason = RejectReason::NotStored;
            self.send(key, Message::Reject { index, reason });
            return false;
        }
        let len = ledger.size.chunk_len(index).unwrap_or(0) as u64;
        client.credit = client.credit.saturating_sub(len);
        let stage = Stage::Loading;
        let begun = self.outflow.begin(now);
        client.serving.push(Serving {
            index,
            len,
            stage,
            begun,
        });
        self.spread.sent.insert(index.0);
        self.outputs.push_back(Output::Load { peer: key, index });
        true
    }

    /// Everything has been sent to somebody: from here on every leech may ask for anything.
    fn spread_is_over(&mut self) {
        let told: Vec<PeerKey> = self
            .peers
            .iter()
            .filter(|(_, peer)| peer.client.hinted)
            .map(|(key, _)| *key)
            .collect();
        for key in told {
            self.announce(key);
        }
    }

    /// Whether we have everything and no connected peer has.
    pub(super) fn is_lone_seed(&self) -> bool {
        self.is_complete()
            && self
                .ledger
                .as_ref()
                .is_some_and(|ledger| ledger.picker.availability().complete() == 0)
    }

    /// Whether this is a seed that several leeches ask only for what they could have of each other.
    fn is_spare(&self) -> bool {
        let Some(ledger) = &self.ledger else {
            return false;
        };
        let availability = ledger.picker.availability();
        let elsewhere = |index: &ChunkIndex| availability.count(index.0) > 0;
        self.is_complete()
            && self.leeches() >= SEVERAL
            && self
                .peers
                .values()
                .all(|peer| peer.client.queue.iter().all(elsewhere))
    }

    fn leeches(&self) -> usize {
        let leech = |peer: &Peer| peer.greeted && peer.holds != Holds::All;
        self.peers.values().filter(|peer| leech(peer)).count()
    }

    /// As the only seed of several leeches: tells a leech which chunks nobody else was told of. One that is left alone may ask for
    /// anything from then on.
    pub(super) fn suggest(&mut self, key: PeerKey) {
        let hinted = self.peers.get(&key).is_some_and(|peer| peer.client.hinted);
        let over = self.spread.exhausted && !hinted;
        if over || !self.upload_allowed || !self.is_lone_seed() {
            return;
        }
        let leeches = self.leeches();
        if leeches < 2 && hinted {
            if let Some(peer) = self.peers.get_mut(&key) {
                self.spread.take_back_hints(&mut peer.client);
            }
            return self.announce(key);
        }
        let Some(ledger) = &self.ledger else { return };
        let availability = ledger.picker.availability();
        let Some(peer) = self.peers.get_mut(&key) else {
            return;
        };
        if leeches < 2 || peer.holds == Holds::All || peer.client.choked || peer.client.sleeps {
            return;
        }
        // Who is given hints has to be told once more when they end.
        if peer.announced_by_us + 1 >= self.config.announcements_max || self.spread.exhausted {
            return;
        }
        while peer.client.hints.len() < self.config.hints_per_peer {
            let Some(index) = self.spread.draw(|index| availability.count(index) > 0) else {
                return;
            };
            peer.client.hints.push(index);
            peer.client.hinted = true;
            self.outputs.push_back(Output::Send {
                peer: key,
                message: Message::Suggest { index },
            });
        }
    }
}
