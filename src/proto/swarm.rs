//! The exchange of one blob: who has what, who is asked for which chunk, what is served to whom.
//!
//! A [`Swarm`] is the per-blob state machine behind `/gyre/swarm/1.0.0`. It verifies every chunk before it asks the store
//! to keep it, and tells of it and serves it from then on; only what the store has confirmed counts as progress. The edges give it inputs, drain its outputs, and come back
//! at the deadline it names.
//!
//! `download` decides what to ask for and what to believe, `endgame` what changes hands, `upload` what to serve, `slots`
//! to whom, `size` hands on the proof of the size; this file holds the handshake, the announcements and the peers. Invariant: bytes asked for plus bytes verified but not yet durable never exceed
//! `Config::unstored_max`, and nothing a peer sends is kept unless it was asked for.

use std::collections::{BTreeMap, VecDeque};

mod choke;
mod clock;
mod download;
mod endgame;
mod event;
mod outflow;
mod peer;
mod size;
mod slots;
mod steal;
#[cfg(all(test, not(target_arch = "wasm32")))]
mod tests;
mod upload;
mod urgent;
mod web;

pub use event::{Input, Misconduct, Output};
pub use peer::PeerView;

use self::choke::Choker;
use self::clock::Clock;
use self::download::Ledger;
use self::outflow::Outflow;
use self::peer::{Peer, Stage};
use self::upload::Spread;
use super::availability::Holds;
use super::bitfield::Bitfield;
use super::config::Config;
use super::focus::Focus;
use super::message::{CHOKING, MAX_HAVES, Message, REVISION, RejectReason};
use super::random::Random;
use super::tail::Tail;
use super::tree::{self, TreeError};
use super::types::{BlobHash, BlobSize, CHUNK_SIZE, ChunkIndex, PeerKey, Time};

/// How far a blob has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Progress {
    /// The blob's size, once proved.
    pub size: Option<BlobSize>,
    /// Chunks in the blob; 0 while the size is not proved.
    pub chunks: u32,
    /// Chunks that are durable here.
    pub stored: u32,
    /// Bytes that are durable here.
    pub stored_bytes: u64,
    /// Requests outstanding, duplicates included.
    pub in_flight: u32,
    /// Bytes of chunk data received and not used: duplicates and wrong bytes.
    pub wasted_bytes: u64,
    /// Bytes of chunk data sent.
    pub up_bytes: u64,
    /// Bytes of chunk data received from peers.
    pub down_bytes: u64,
    /// Bytes of chunk data received from web servers.
    pub web_bytes: u64,
    /// Whether asking is paused.
    pub paused: bool,
}

/// How a chunk is held against the blob's hash: [`tree::verify_chunk`].
pub type Verify = fn(BlobHash, BlobSize, ChunkIndex, &[u8], &[u8]) -> Result<(), TreeError>;

/// The exchange of one blob with all its peers.
#[derive(Debug)]
pub struct Swarm {
    config: Config,
    blob: BlobHash,
    random: Random,
    peers: BTreeMap<PeerKey, Peer>,
    /// Oldest first.
    banned: VecDeque<PeerKey>,
    /// What is known once the size is.
    ledger: Option<Ledger>,
    /// Chunks that were stored before the size is known.
    kept: Vec<ChunkIndex>,
    focus: Focus,
    paused: bool,
    upload_allowed: bool,
    /// The peer that was served last.
    turn: PeerKey,
    /// Chunks begun to be served.
    turns: u32,
    spread: Spread,
    outflow: Outflow,
    choker: Choker,
    /// When a slot was last opened because the holders were too slow.
    opened: Time,
    /// Who is interested has changed since the slots were handed out.
    slots_stale: bool,
    /// When the next `Have` that waits is due.
    tell: Option<Time>,
    /// Chunks that were asked for twice at the end.
    duplicates: u32,
    /// Whether something has changed by which more could be asked for, or served.
    may_ask: bool,
    may_serve: bool,
    /// What proves the size to others, once it has been cut or received.
    tail: Option<Tail>,
    clock: Clock,
    verify: Verify,
    /// Chunks that are being fetched from web servers, with their lengths in bytes.
    web: BTreeMap<ChunkIndex, u64>,
    from_web: u64,
    wasted: u64,
    up: u64,
    down: u64,
    wake: Option<Time>,
    outputs: VecDeque<Output>,
}

impl Swarm {
    /// Starts the exchange of `blob`, of which the store has the chunks `stored`. `size` is the proved size if it is
    /// known; without it `stored` is usually empty. Nothing is uploaded before `Input::AllowUpload(true)`.
    pub fn new(
        config: Config,
        blob: BlobHash,
        size: Option<BlobSize>,
        stored: impl IntoIterator<Item = ChunkIndex>,
        seed: u64,
    ) -> Self {
        let mut swarm = Self {
            config,
            blob,
            random: Random::new(seed),
            peers: BTreeMap::new(),
            banned: VecDeque::new(),
            ledger: None,
            kept: stored.into_iter().collect(),
            focus: Focus::default(),
            paused: false,
            upload_allowed: false,
            turn: PeerKey(0),
            turns: 0,
            spread: Spread::default(),
            outflow: Outflow::default(),
            choker: Choker::default(),
            opened: Time(0),
            slots_stale: false,
            tell: None,
            duplicates: 0,
            may_ask: false,
            may_serve: false,
            tail: None,
            clock: Clock::default(),
            verify: tree::verify_chunk,
            web: BTreeMap::new(),
            from_web: 0,
            wasted: 0,
            up: 0,
            down: 0,
            wake: None,
            outputs: VecDeque::new(),
        };
        if let Some(size) = size {
            swarm.open_ledger(size);
        }
        swarm
    }

    /// Holds chunks against the hash in another way: for simulations so large that hashing would be all they do.
    #[cfg(feature = "test-utils")]
    pub fn set_verify(&mut self, verify: Verify) {
        self.verify = verify;
    }

    /// Takes one input; the outputs must be drained before the next.
    pub fn handle(&mut self, input: Input, now: Time) {
        let now = self.clock.advance(now);
        // Most inputs are news of a chunk that is not wanted: they must not cost a look at every peer.
        self.may_ask |= !matches!(
            &input,
            Input::Sent { .. }
                | Input::Loaded { .. }
                | Input::LoadFailed { .. }
                | Input::Received { .. }
        );
        self.may_serve |= !matches!(&input, Input::Received { .. } | Input::Stored { .. });
        match input {
            Input::Connected { peer } => self.on_connected(peer, now),
            Input::Disconnected { peer } => self.forget(peer),
            Input::Received { peer, message } => {
                if let Err(reason) = self.on_message(peer, message, now) {
                    self.ban(peer, reason);
                }
            }
            Input::Sent { peer, index } => self.on_sent(peer, index, now),
            Input::Stored { index } => self.on_stored(index),
            Input::StoreFailed { index } => self.on_store_failed(index, now),
            Input::Loaded {
                peer,
                index,
                data,
                proof,
            } => self.on_loaded(peer, index, data, proof, now),
            Input::LoadFailed { peer, index } => self.on_load_failed(peer, index, now),
            Input::Focus { chunks } => {
                self.focus = chunks.clone();
                if let Some(ledger) = &mut self.ledger {
                    ledger.picker.set_focus(chunks);
                }
            }
            Input::Prove(tail) => self.on_prove(tail),
            Input::Fetching { index } => self.on_fetching(index),
            Input::Fetched { index, data, proof } => self.on_fetched(index, data, proof, now),
            Input::FetchFailed { index } => self.on_fetch_failed(index),
            Input::AllowUpload(allowed) => self.on_allow_upload(allowed),
            Input::Pause => self.pause(now),
            Input::Resume => self.resume(),
            Input::Tick => self.on_tick(now),
        }
        let may_wake = self.may_ask || self.slots_stale || self.tell.is_some_and(|at| at <= now);
        if std::mem::take(&mut self.may_ask) {
            self.fill(now);
        }
        self.rechoke(now);
        if std::mem::take(&mut self.may_serve) {
            self.serve(now);
        }
        self.tell_due(now);
        if may_wake || self.wake.is_none_or(|wake| wake <= now) {
            self.schedule(now);
        }
    }

    /// The next thing to do.
    pub fn poll_output(&mut self) -> Option<Output> {
        self.outputs.pop_front()
    }

    /// Bounds what may be asked for and not yet durable, in bytes; `None` goes back to the default. For caps on the rate.
    pub fn bound_unstored(&mut self, bytes: Option<u64>) {
        let usual = Config::default().unstored_max;
        self.config.unstored_max = bytes.map_or(usual, |bytes| bytes.min(usual));
    }

    /// The blob this is about.
    pub fn blob(&self) -> BlobHash {
        self.blob
    }

    /// How far it has come.
    pub fn progress(&self) -> Progress {
        let mut progress = Progress {
            in_flight: self
                .peers
                .values()
                .map(|peer| peer.source.asked.len() as u32)
                .sum::<u32>()
                + self.web.len() as u32,
            stored: self.kept.len() as u32,
            wasted_bytes: self.wasted,
            up_bytes: self.up,
            down_bytes: self.down,
            web_bytes: self.from_web,
            paused: self.paused,
            ..Progress::default()
        };
        if let Some(ledger) = &self.ledger {
            let last = ledger.size.last_chunk();
            let short = CHUNK_SIZE - ledger.size.chunk_len(last).unwrap_or(0) as u64;
            progress.size = Some(ledger.size);
            progress.chunks = ledger.size.chunk_count();
            progress.stored = ledger.stored.count();
            progress.stored_bytes = u64::from(progress.stored) * CHUNK_SIZE
                - if ledger.stored.contains(last.0) {
                    short
                } else {
                    0
                };
        }
        progress
    }

    /// The connected peers and what flows between us; rates are as of `now`.
    pub fn peers(&self, now: Time) -> impl Iterator<Item = PeerView> + '_ {
        self.peers
            .iter()
            .map(move |(key, peer)| peer.view(*key, self.clock.peek(now)))
    }

    /// Whether every chunk is stored.
    pub fn is_complete(&self) -> bool {
        self.ledger
            .as_ref()
            .is_some_and(|ledger| ledger.stored.is_full())
    }

    /// Chunks that were given out to be sent and have not left.
    pub fn sending(&self) -> usize {
        let sending = |peer: &Peer| {
            let stages = peer.client.serving.iter().map(|serving| serving.stage);
            stages.filter(|stage| *stage == Stage::Sending).count()
        };
        self.peers.values().map(sending).sum()
    }

    /// Which chunks are stored; `None` while the size is not proved.
    pub fn stored(&self) -> Option<&Bitfield> {
        self.ledger.as_ref().map(|ledger| &ledger.stored)
    }

    fn on_connected(&mut self, peer: PeerKey, now: Time) {
        self.forget(peer);
        if self.banned.contains(&peer) || !self.make_room(now) {
            self.outputs.push_back(Output::Close { peer });
            return;
        }
        let tie = self.random.bits();
        self.peers.insert(peer, Peer::new(&self.config, tie, now));
        let hello = Message::Hello {
            version: REVISION,
            blob: self.blob,
            size: self.ledger.as_ref().map(|ledger| ledger.size),
            credit: self.config.credit_initial,
        };
        self.send(peer, hello);
        self.announce(peer);
    }

    /// Makes sure that there is room for one more peer, if need be at the cost of one that is of no use: it never said
    /// hello, or both sides have everything.
    fn make_room(&mut self, now: Time) -> bool {
        if self.peers.len() < self.config.peers_max {
            return true;
        }
        let complete = self.is_complete();
        let useless = |peer: &Peer| match peer.greeted {
            true => complete && peer.holds == Holds::All,
            false => now.since(peer.since) >= self.config.greeting_max,
        };
        let Some(key) = self
            .peers
            .iter()
            .find(|(_, peer)| useless(peer))
            .map(|(key, _)| *key)
        else {
            return false;
        };
        self.forget(key);
        self.outputs.push_back(Output::Close { peer: key });
        true
    }

    fn on_message(&mut self, key: PeerKey, message: Message, now: Time) -> Result<(), Misconduct> {
        let Some(peer) = self.peers.get_mut(&key) else {
            return Ok(());
        };
        if !peer.greeted && !matches!(message, Message::Hello { .. }) {
            return Err(Misconduct::Malformed);
        }
        self.may_ask |= !matches!(
            message,
            Message::Have { .. }
                | Message::Request { .. }
                | Message::Cancel { .. }
                | Message::Credit { .. }
                | Message::Interested
                | Message::NotInterested
        );
        self.may_serve |= matches!(
            message,
            Message::Hello { .. }
                | Message::Request { .. }
                | Message::Cancel { .. }
                | Message::Credit { .. }
        );
        match message {
            Message::Hello {
                version,
                blob,
                size,
                credit,
            } => {
                if peer.greeted {
                    return Err(Misconduct::Malformed);
                }
                if blob != self.blob {
                    return Err(Misconduct::Impossible);
                }
                peer.greeted = true;
                peer.client.credit = u64::from(credit);
                if version < CHOKING {
                    peer.chokes = false;
                    peer.source.choked = false;
                    peer.client.choked = false;
                }
                peer.sizeless = size.is_none() && peer.chokes;
                if let Some(size) = size {
                    self.on_claim(key, size)?;
                }
                self.give_tail(key, now);
                self.suggest(key);
            }
            Message::Bitfield { size, bits } => {
                self.on_announcement(key, size, Holds::from_bitfield(bits))?
            }
            Message::HaveAll { size } => self.on_announcement(key, size, Holds::All)?,
            Message::Have { indexes } => self.on_have(key, &indexes)?,
            Message::Request { index } => self.on_request(key, index)?,
            Message::Chunk { index, proof, data } => self.on_chunk(key, index, proof, data, now)?,
            Message::Cancel { index } => self.on_cancel(key, index),
            Message::Credit { bytes } => {
                peer.client.credit = peer.client.credit.saturating_add(u64::from(bytes));
            }
            Message::Reject { index, reason } => self.on_reject(key, index, reason, now)?,
            Message::Suggest { index } => {
                let source = &mut peer.source;
                source.spreading = true;
                source.dry = false;
                while source.hints.len() >= self.config.hints_max {
                    source.hints.pop_front();
                }
                source.hints.push_back(index);
                self.reconsider(key);
            }
            Message::Choke => self.on_choked(key, now),
            Message::Unchoke => {
                peer.source.choked = false;
                peer.source.dry = false;
                // Whoever gives a slot presumes interest: it must hear if there is none.
                peer.source.interested = true;
            }
            Message::Tail(tail) => self.on_tail(key, tail)?,
            Message::Interested => self.on_interest(key, true),
            Message::NotInterested => self.on_interest(key, false),
        }
        Ok(())
    }

    /// A size stays as it was first claimed, and must be the proved one.
    fn on_claim(&mut self, key: PeerKey, size: BlobSize) -> Result<(), Misconduct> {
        let proved = self.ledger.as_ref().map(|ledger| ledger.size);
        let Some(peer) = self.peers.get_mut(&key) else {
            return Ok(());
        };
        if proved.or(peer.claim).is_some_and(|known| known != size) {
            return Err(Misconduct::Impossible);
        }
        peer.claim = Some(size);
        peer.sizeless = false;
        Ok(())
    }

    fn on_announcement(
        &mut self,
        key: PeerKey,
        size: BlobSize,
        holds: Holds,
    ) -> Result<(), Misconduct> {
        self.on_claim(key, size)?;
        let Some(peer) = self.peers.get_mut(&key) else {
            return Ok(());
        };
        peer.announced_to_us += 1;
        if peer.announced_to_us > self.config.announcements_max {
            return Err(Misconduct::Flood);
        }
        peer.source.spreading = false;
        self.set_holds(key, holds);
        Ok(())
    }

    /// Replaces what a peer has, in its own record and in the counts.
    fn set_holds(&mut self, key: PeerKey, holds: Holds) {
        let Some(peer) = self.peers.get_mut(&key) else {
            return;
        };
        if let Some(ledger) = &mut self.ledger {
            ledger.picker.remove_holds(&peer.holds, &mut self.random);
            ledger.picker.add_holds(&holds, &mut self.random);
        }
        peer.holds = holds;
        peer.source.dry = false;
        self.reconsider(key);
    }

    fn on_have(&mut self, key: PeerKey, indexes: &[ChunkIndex]) -> Result<(), Misconduct> {
        let Some(peer) = self.peers.get_mut(&key) else {
            return Ok(());
        };
        let chunks = peer.claim.ok_or(Misconduct::Impossible)?.chunk_count();
        if indexes.iter().any(|index| index.0 >= chunks) {
            return Err(Misconduct::Impossible);
        }
        peer.client.hints.retain(|hint| !indexes.contains(hint));
        let wanted = match &self.ledger {
            Some(ledger) => indexes.iter().any(|index| ledger.picker.wants(index.0)),
            None => true,
        };
        peer.source.dry &= !wanted;
        self.may_ask |= !peer.source.choked;
        if peer.holds == Holds::Nothing {
            peer.holds = Holds::Some(Bitfield::new(chunks));
        }
        let Holds::Some(bits) = &mut peer.holds else {
            return Ok(());
        };
        for index in indexes {
            if bits.insert(index.0)
                && let Some(ledger) = &mut self.ledger
            {
                ledger.picker.add_have(index.0, &mut self.random);
            }
        }
        let full = bits.is_full();
        if full {
            self.set_holds(key, Holds::All);
        } else if wanted {
            self.reconsider(key);
        }
        Ok(())
    }

    fn on_allow_upload(&mut self, allowed: bool) {
        if self.upload_allowed == allowed {
            return;
        }
        self.upload_allowed = allowed;
        let keys: Vec<PeerKey> = self.peers.keys().copied().collect();
        for key in keys {
            if !allowed {
                self.refuse_queue(key, RejectReason::NotServing);
            }
            self.announce(key);
        }
        if !allowed {
            self.take_slots();
        }
        self.slots_stale = true;
    }

    /// Says what we would serve, unless it is nothing and always was. A peer accepts only so many announcements; after
    /// that it learns by refusals.
    fn announce(&mut self, key: PeerKey) {
        let (Some(ledger), Some(peer)) = (&self.ledger, self.peers.get_mut(&key)) else {
            return;
        };
        let silent = !self.upload_allowed && peer.announced_by_us == 0;
        if silent || peer.announced_by_us >= self.config.announcements_max {
            return;
        }
        peer.announced_by_us += 1;
        peer.client.hinted = false;
        peer.client.untold.clear();
        peer.client.tell = None;
        let size = ledger.size;
        let message = if !self.upload_allowed {
            Message::Bitfield {
                size,
                bits: Bitfield::new(size.chunk_count()),
            }
        } else if ledger.verified.is_full() {
            Message::HaveAll { size }
        } else {
            Message::Bitfield {
                size,
                bits: ledger.verified.clone(),
            }
        };
        self.send(key, message);
    }

    /// Drops a peer and gives back what it was asked for.
    fn forget(&mut self, key: PeerKey) {
        let Some(peer) = self.peers.remove(&key) else {
            return;
        };
        if let Some(ledger) = &mut self.ledger {
            ledger.picker.remove_holds(&peer.holds, &mut self.random);
        }
        for asked in &peer.source.asked {
            self.release(asked.index);
        }
        self.spread.take_back(&peer.client);
        self.slots_stale = true;
        self.may_ask = true;
        self.may_serve = true;
    }

    fn ban(&mut self, peer: PeerKey, reason: Misconduct) {
        self.forget(peer);
        while self.banned.len() >= self.config.banned_max {
            self.banned.pop_front();
        }
        self.banned.push_back(peer);
        self.outputs.push_back(Output::Ban { peer, reason });
    }

    fn send(&mut self, peer: PeerKey, message: Message) {
        self.outputs.push_back(Output::Send { peer, message });
    }

    /// Names the next deadline if it is sooner than the one that stands: a tick too early is harmless.
    fn schedule(&mut self, now: Time) {
        self.wake = self.wake.filter(|wake| *wake > now);
        let deadline = self.deadline(now);
        if let Some(deadline) = deadline
            && self.wake.is_none_or(|wake| deadline < wake)
        {
            self.wake = Some(deadline);
            let at = self.clock.wake_at(deadline);
            self.outputs.push_back(Output::WakeAt(at));
        } else if self.wake.is_none() {
            self.clock.no_wake();
        }
    }
}
