//! The fetching half: what to ask for, from whom, and what to believe.
//!
//! The size of a blob is only a claim until its last chunk has been verified, so that chunk is asked for first, from
//! peers with different claims, unless a peer proves the size (`size`); then every chunk, by `picker`. A request that
//! stalls is given to others, its chunk may still come late. When nothing is left to ask of a peer, it takes over what
//! others were asked for (`endgame`).

use std::collections::BTreeMap;
use std::time::Duration;

use bytes::Bytes;

use super::endgame::ENDGAME_POLL;
use super::peer::{Asked, Peer};
use super::{Misconduct, Output, Swarm};
use crate::proto::availability::Holds;
use crate::proto::bitfield::Bitfield;
use crate::proto::message::{Message, RejectReason};
use crate::proto::picker::Picker;
use crate::proto::tree;
use crate::proto::types::{BlobSize, CHUNK_SIZE, ChunkIndex, PeerKey, Time};

/// What is known once the size is proved. Every chunk is wanted (in the picker), in flight, unstored or stored.
#[derive(Debug)]
pub(super) struct Ledger {
    pub size: BlobSize,
    /// What is here and right: told to others and served.
    pub verified: Bitfield,
    /// What is durable: a part of `verified`.
    pub stored: Bitfield,
    pub picker: Picker,
    pub unstored: BTreeMap<ChunkIndex, Unstored>,
    pub flights: BTreeMap<ChunkIndex, Flight>,
}

/// A chunk that is verified and on its way into the store.
#[derive(Debug)]
pub(super) struct Unstored {
    from: PeerKey,
    len: u64,
}

/// A chunk that was asked for.
#[derive(Debug, Default)]
pub(super) struct Flight {
    pub copies: usize,
}

/// What became of a request that was to be sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Ask {
    Sent,
    /// The peer could not send so much.
    NoCredit,
    /// The bound on all peers together is reached.
    NoMemory,
}

impl Ledger {
    pub(super) fn has(&self, index: ChunkIndex) -> bool {
        self.verified.contains(index.0)
    }

    pub(super) fn unstored_bytes(&self) -> u64 {
        self.unstored.values().map(|unstored| unstored.len).sum()
    }
}

impl Swarm {
    /// The size is proved: from here on there is a set of chunks to complete.
    pub(super) fn open_ledger(&mut self, size: BlobSize) {
        let mut stored = Bitfield::new(size.chunk_count());
        for index in std::mem::take(&mut self.kept) {
            stored.insert(index.0);
        }
        let mut picker = Picker::new(size.chunk_count(), &stored, &mut self.random);
        picker.set_focus(self.focus.clone());
        self.ledger = Some(Ledger {
            size,
            verified: stored.clone(),
            stored,
            picker,
            unstored: BTreeMap::new(),
            flights: BTreeMap::new(),
        });
        self.spread.start(size.chunk_count(), &mut self.random);
    }

    pub(super) fn on_chunk(
        &mut self,
        key: PeerKey,
        index: ChunkIndex,
        proof: Bytes,
        data: Bytes,
        now: Time,
    ) -> Result<(), Misconduct> {
        let Some(peer) = self.peers.get_mut(&key) else {
            return Ok(());
        };
        let source = &mut peer.source;
        let len = data.len() as u64;
        self.down += len;
        // Until it proves useful.
        self.wasted += len;
        source.granted = source
            .granted
            .checked_sub(len)
            .ok_or(Misconduct::OverCredit)?;
        source.bytes += len;
        source.recent += len;
        source.rate.add(len, now);
        let asked = source.answered(index);
        if let Some(asked) = &asked {
            source.measure(asked, now);
        } else if !source.use_forgiveness(index, now) {
            return Err(Misconduct::Unrequested);
        }
        source.last_arrival = now;
        source.pace = source.rate.per_second(now).max(1);
        let size = self
            .ledger
            .as_ref()
            .map(|ledger| ledger.size)
            .or(peer.claim);
        let had = self.ledger.as_ref().is_some_and(|l| l.has(index));
        // A late chunk has no place reserved: peers that hold back must not add up beyond the memory bound.
        let no_place = asked.is_none() && self.pending_bytes() + len > self.config.unstored_max;
        let believed = match size {
            _ if had || no_place => None,
            None => None,
            Some(size) => {
                let verified = (self.verify)(self.blob, size, index, &data, &proof);
                Some(verified.map(|()| size).map_err(|_| Misconduct::WrongBytes))
            }
        };
        if let Some(Ok(size)) = believed {
            self.wasted -= len;
            self.accept(key, size, index, proof, data, now);
        } else if asked.is_some() {
            self.release(index);
        }
        self.top_up(key);
        believed.map_or(Ok(()), |verified| verified.map(drop))
    }

    /// Takes in a chunk that belongs to the blob.
    pub(super) fn accept(
        &mut self,
        key: PeerKey,
        size: BlobSize,
        index: ChunkIndex,
        proof: Bytes,
        data: Bytes,
        now: Time,
    ) {
        if self.ledger.is_none() {
            // Before the size is proved only last chunks are asked for, and a last chunk proves its size.
            if !tree::proves_size(size, index) {
                return;
            }
            self.prove(size);
        }
        let Some(ledger) = &mut self.ledger else {
            return;
        };
        let len = data.len() as u64;
        ledger.picker.take(index.0);
        ledger.flights.remove(&index);
        ledger.unstored.insert(index, Unstored { from: key, len });
        ledger.verified.insert(index.0);
        let complete = ledger.verified.is_full();
        for (other, peer) in &mut self.peers {
            if *other == key {
                peer.source.unstored += len;
                peer.source.strikes = 0;
                peer.source.rejects = 0;
            } else if peer.source.answered(index).is_some() {
                peer.source.forgive(index, &self.config, now);
                self.outputs.push_back(Output::Send {
                    peer: *other,
                    message: Message::Cancel { index },
                });
            }
        }
        self.on_last_chunk(index, &data, &proof);
        self.outputs.push_back(Output::Store { index, data, proof });
        self.tell(index, now);
        if complete {
            self.lose_interest();
        }
    }

    pub(super) fn prove(&mut self, size: BlobSize) {
        self.open_ledger(size);
        self.outputs.push_back(Output::SizeProved(size));
        let (mut liars, mut honest) = (Vec::new(), Vec::new());
        for (key, peer) in &self.peers {
            if peer.claim.is_some_and(|claim| claim != size) {
                &mut liars
            } else {
                &mut honest
            }
            .push(*key);
        }
        // Their sets have another length and were never counted.
        for key in liars {
            if let Some(peer) = self.peers.get_mut(&key) {
                peer.holds = Holds::Nothing;
            }
            self.ban(key, Misconduct::Impossible);
        }
        for key in honest {
            if let (Some(ledger), Some(peer)) = (&mut self.ledger, self.peers.get(&key)) {
                ledger.picker.add_holds(&peer.holds, &mut self.random);
            }
            self.announce(key);
            self.reconsider(key);
        }
    }

    pub(super) fn on_stored(&mut self, index: ChunkIndex) {
        let Some(ledger) = &mut self.ledger else {
            return;
        };
        let Some(unstored) = ledger.unstored.remove(&index) else {
            return;
        };
        ledger.stored.insert(index.0);
        ledger.picker.advance_focus(&ledger.stored);
        let complete = ledger.stored.is_full();
        self.settle(&unstored);
        if complete {
            self.outputs.push_back(Output::Complete);
        }
    }

    pub(super) fn on_store_failed(&mut self, index: ChunkIndex, now: Time) {
        let Some(ledger) = &mut self.ledger else {
            return;
        };
        let Some(unstored) = ledger.unstored.remove(&index) else {
            return;
        };
        ledger.verified.remove(index.0);
        self.want_again(index);
        self.settle(&unstored);
        self.pause(now);
    }

    /// The bytes of an unstored chunk are off our hands.
    fn settle(&mut self, unstored: &Unstored) {
        if let Some(peer) = self.peers.get_mut(&unstored.from) {
            peer.source.unstored = peer.source.unstored.saturating_sub(unstored.len);
            self.top_up(unstored.from);
        }
    }

    /// Grants a peer what its window has room for, in steps.
    fn top_up(&mut self, key: PeerKey) {
        let Some(peer) = self.peers.get_mut(&key) else {
            return;
        };
        let source = &mut peer.source;
        // One chunk of the pipeline may be on its way when the next is asked for.
        let wish = (source.depth(&self.config) as u64 + 1) * CHUNK_SIZE;
        let window = wish.max(u64::from(self.config.credit_initial));
        let room = window.saturating_sub(source.granted + source.unstored);
        if room >= u64::from(self.config.credit_step) {
            source.granted += room;
            let bytes = u32::try_from(room).unwrap_or(u32::MAX);
            self.send(key, Message::Credit { bytes });
        }
    }

    pub(super) fn on_reject(
        &mut self,
        key: PeerKey,
        index: ChunkIndex,
        reason: RejectReason,
        now: Time,
    ) -> Result<(), Misconduct> {
        let Some(peer) = self.peers.get_mut(&key) else {
            return Ok(());
        };
        if peer.source.answered(index).is_none() {
            peer.source.use_forgiveness(index, now);
            return Ok(());
        }
        peer.source.rejects += 1;
        let too_many = peer.source.rejects > self.config.rejects_max;
        match reason {
            RejectReason::NotStored => self.lose(key, index),
            RejectReason::NotServing => self.set_holds(key, Holds::Nothing),
        }
        self.release(index);
        if too_many {
            Err(Misconduct::FalseClaim)
        } else {
            Ok(())
        }
    }

    /// A peer turns out not to have a chunk.
    fn lose(&mut self, key: PeerKey, index: ChunkIndex) {
        let Some(peer) = self.peers.get_mut(&key) else {
            return;
        };
        match &mut peer.holds {
            Holds::Nothing => {}
            Holds::All => {
                let mut bits = Bitfield::full(peer.claim.map_or(0, BlobSize::chunk_count));
                bits.remove(index.0);
                self.set_holds(key, Holds::from_bitfield(bits));
            }
            Holds::Some(bits) => {
                if bits.remove(index.0)
                    && let Some(ledger) = &mut self.ledger
                {
                    ledger.picker.remove_have(index.0, &mut self.random);
                }
            }
        }
    }

    /// One request for the chunk is gone; if it was the last, the chunk is wanted again.
    pub(super) fn release(&mut self, index: ChunkIndex) {
        let Some(ledger) = &mut self.ledger else {
            return;
        };
        if let Some(flight) = ledger.flights.get_mut(&index) {
            flight.copies -= 1;
            if flight.copies > 0 {
                return;
            }
            ledger.flights.remove(&index);
        }
        if !ledger.has(index) {
            self.want_again(index);
        }
    }

    pub(super) fn want_again(&mut self, index: ChunkIndex) {
        let Some(ledger) = &mut self.ledger else {
            return;
        };
        self.may_ask = true;
        ledger.picker.put_back(index.0, &mut self.random);
        let mut able = Vec::new();
        for (key, peer) in &mut self.peers {
            if peer.holds.contains(index.0) {
                peer.source.dry = false;
                if !peer.source.interested {
                    able.push(*key);
                }
            }
        }
        for key in able {
            self.reconsider(key);
        }
    }

    pub(super) fn pause(&mut self, now: Time) {
        self.paused = true;
        let keys: Vec<PeerKey> = self.peers.keys().copied().collect();
        for key in keys {
            self.withdraw(key, now);
        }
        self.lose_interest();
    }

    pub(super) fn resume(&mut self) {
        self.paused = false;
        let keys: Vec<PeerKey> = self.peers.keys().copied().collect();
        for key in keys {
            self.reconsider(key);
        }
    }

    /// A peer serves us no longer: what it was asked for is asked of others.
    pub(super) fn on_choked(&mut self, key: PeerKey, now: Time) {
        let Some(peer) = self.peers.get_mut(&key) else {
            return;
        };
        if !peer.chokes {
            return;
        }
        peer.source.choked = true;
        for asked in std::mem::take(&mut peer.source.asked) {
            if let Some(peer) = self.peers.get_mut(&key) {
                peer.source.forgive(asked.index, &self.config, now);
            }
            self.release(asked.index);
        }
        self.reconsider(key);
    }

    /// Takes back every request to a peer.
    fn withdraw(&mut self, key: PeerKey, now: Time) {
        let Some(peer) = self.peers.get_mut(&key) else {
            return;
        };
        for Asked { index, .. } in std::mem::take(&mut peer.source.asked) {
            if let Some(peer) = self.peers.get_mut(&key) {
                peer.source.forgive(index, &self.config, now);
            }
            self.send(key, Message::Cancel { index });
            self.release(index);
        }
    }

    /// Requests that have stalled are withdrawn, and a peer that only ever stalls is done with.
    pub(super) fn on_tick(&mut self, now: Time) {
        let stalled: Vec<PeerKey> = self
            .peers
            .iter()
            .filter(|(_, peer)| {
                peer.source
                    .stalls_at(&self.config)
                    .is_some_and(|at| at <= now)
            })
            .map(|(key, _)| *key)
            .collect();
        for key in stalled {
            self.withdraw(key, now);
            let Some(peer) = self.peers.get_mut(&key) else {
                continue;
            };
            peer.source.strikes += 1;
            if peer.source.strikes < self.config.strikes_max {
                continue;
            }
            // Who has delivered is no liar: its page sleeps, or its network is gone. It may come back.
            if peer.source.bytes >= CHUNK_SIZE {
                self.forget(key);
                self.outputs.push_back(Output::Close { peer: key });
            } else {
                self.ban(key, Misconduct::FalseClaim);
            }
        }
    }

    /// Asks for as much as pipelines, credits and the memory bound allow.
    pub(super) fn fill(&mut self, now: Time) {
        if self.paused || self.has_everything() {
            return;
        }
        if self.ledger.is_none() {
            self.probe(now);
            return;
        }
        let mut able: Vec<PeerKey> = self
            .peers
            .keys()
            .copied()
            .filter(|key| self.has_room(*key, now))
            .collect();
        self.random.shuffle(&mut able);
        while !able.is_empty() {
            let mut still = Vec::with_capacity(able.len());
            for key in able {
                if self.has_room(key, now)
                    && let Some(index) = self.choose(key, now)
                {
                    match self.ask(key, index, now) {
                        Ask::Sent => still.push(key),
                        Ask::NoCredit => {}
                        Ask::NoMemory => return,
                    }
                }
            }
            able = still;
        }
        self.give_slots_back();
    }

    fn has_room(&self, key: PeerKey, now: Time) -> bool {
        self.peers.get(&key).is_some_and(|peer| {
            let source = &peer.source;
            !source.choked
                && (!source.dry || source.may_look(now))
                && peer.holds != Holds::Nothing
                && source.asked.len() < self.room(peer)
        })
    }

    /// The next chunk to ask this peer for.
    fn choose(&mut self, key: PeerKey, now: Time) -> Option<ChunkIndex> {
        if let Some(index) = self.urgent(key) {
            return Some(index);
        }
        let (Some(ledger), Some(peer)) = (&self.ledger, self.peers.get_mut(&key)) else {
            return None;
        };
        let (picker, source) = (&ledger.picker, &mut peer.source);
        // A hint that is asked of another now may be needed yet.
        source
            .hints
            .retain(|hint| !ledger.verified.contains(hint.0));
        let wanted = |hint: &ChunkIndex| picker.wants(hint.0) && peer.holds.contains(hint.0);
        if let Some(at) = source.hints.iter().position(wanted) {
            return source.hints.remove(at);
        }
        let found = match source.spreading {
            true => None,
            false => picker.rarest(&peer.holds, &mut self.random).map(ChunkIndex),
        };
        source.dry = found.is_none();
        if found.is_none() && source.may_look(now) {
            source.looked = now;
            return self.take_over(key, now);
        }
        found
    }

    /// Bytes asked for, and bytes verified and not yet durable, over all peers.
    pub(super) fn pending_bytes(&self) -> u64 {
        let asked = self.peers.values().map(|peer| peer.source.asked_bytes());
        let unstored = self.ledger.as_ref().map_or(0, Ledger::unstored_bytes);
        asked.sum::<u64>() + unstored + self.web_bytes()
    }

    /// Sends a request unless a bound forbids it.
    pub(super) fn ask(&mut self, key: PeerKey, index: ChunkIndex, now: Time) -> Ask {
        let pending = self.pending_bytes();
        let Some(peer) = self.peers.get_mut(&key) else {
            return Ask::NoCredit;
        };
        let size = self
            .ledger
            .as_ref()
            .map(|ledger| ledger.size)
            .or(peer.claim);
        let Some(len) = size.and_then(|size| size.chunk_len(index)) else {
            return Ask::NoCredit;
        };
        let len = len as u64;
        if pending + len > self.config.unstored_max {
            return Ask::NoMemory;
        }
        if peer.source.asked_bytes() + len > peer.source.granted {
            return Ask::NoCredit;
        }
        let before = peer.source.bytes;
        peer.source.asked.push(Asked {
            index,
            len,
            at: now,
            before,
        });
        if let Some(ledger) = &mut self.ledger {
            ledger.picker.take(index.0);
            ledger.flights.entry(index).or_default().copies += 1;
        }
        self.send(key, Message::Request { index });
        Ask::Sent
    }

    /// Before the size is proved: asks for the last chunk as claimed, from one peer for each different claim, and from a
    /// second if the first takes long.
    fn probe(&mut self, now: Time) {
        let mut candidates: Vec<(u32, PeerKey)> = self
            .peers
            .iter()
            .map(|(key, peer)| (peer.source.strikes, *key))
            .collect();
        self.random.shuffle(&mut candidates);
        candidates.sort_by_key(|(strikes, _)| *strikes);
        let mut young: Vec<BlobSize> = Vec::new();
        let mut outstanding = 0;
        for peer in self.peers.values() {
            for asked in &peer.source.asked {
                outstanding += 1;
                if now.since(asked.at) < self.config.probe_hedge {
                    young.extend(peer.claim);
                }
            }
        }
        for (_, key) in candidates {
            let Some(peer) = self.peers.get(&key) else {
                continue;
            };
            let Some(claim) = peer.claim else { continue };
            let last = claim.last_chunk();
            if young.len() >= self.config.probes_max || outstanding >= 2 * self.config.probes_max {
                return;
            }
            if young.contains(&claim)
                || peer.source.choked
                || !peer.source.asked.is_empty()
                || !peer.holds.contains(last.0)
            {
                continue;
            }
            if self.ask(key, last, now) == Ask::Sent {
                young.push(claim);
                outstanding += 1;
            }
        }
    }

    /// When something must be looked at again even if nothing arrives.
    pub(super) fn deadline(&self, now: Time) -> Option<Time> {
        let sources = || self.peers.values().map(|peer| &peer.source);
        let stall = sources()
            .filter_map(|source| source.stalls_at(&self.config))
            .min();
        let poll = stall.and_then(|_| match &self.ledger {
            Some(ledger) => ledger.picker.is_empty().then_some(now + ENDGAME_POLL),
            None => Some(now + self.config.probe_hedge),
        });
        let waiting = |peer: &Peer| peer.client.choked && peer.client.interested;
        let slots = match self.upload_allowed && self.peers.values().any(waiting) {
            true => self.choker.deadline(),
            false => None,
        };
        let first = [stall, poll, slots, self.tell]
            .into_iter()
            .flatten()
            .min()?;
        Some(first.max(now + MIN_WAIT))
    }
}

/// A deadline is at least so far away, so that a late tick cannot turn into a busy loop.
const MIN_WAIT: Duration = Duration::from_millis(10);
