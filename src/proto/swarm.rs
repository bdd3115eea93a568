//! The exchange of one blob: who has what, who is asked for which chunk, what is served to whom.
//!
//! A [`Swarm`] is the per-blob state machine behind `/gyre/swarm/1.0.0`. It verifies every chunk before it asks the store
//! to keep it, and tells of it and serves it from then on; only what the store has confirmed counts as progress. The
//! edges give it inputs, drain its outputs, and come back at the deadline it names (`wake`).
//!
//! Peers come and go in `members`, and what they send is taken apart in `receive`. Of fetching, `announce` knows who has
//! what, `ledger` what is here and what is wanted, `size` how large the blob is; `asking` decides what to ask for,
//! `intake` what to believe, `withdraw` what to take back, `endgame` what changes hands; `web` takes in what servers bring. Of serving, `slots` decides to
//! whom and `upload` what. Invariant: bytes asked for plus bytes verified but not yet durable never exceed
//! `Config::unstored_max`, and nothing a peer sends is kept unless it was asked for.

use std::collections::VecDeque;
use std::sync::Arc;

mod announce;
mod asking;
pub mod chart;
mod choke;
mod clock;
mod endgame;
mod event;
mod intake;
mod ledger;
mod members;
mod outflow;
mod peer;
mod receive;
mod size;
mod slots;
mod steal;
#[cfg(all(test, not(target_arch = "wasm32")))]
mod tests;
mod upload;
mod urgent;
mod wake;
mod web;
mod withdraw;

pub use event::{Input, Misconduct, Output};
pub use peer::PeerView;

use self::choke::Choker;
use self::clock::Clock;
use self::ledger::Ledger;
use self::outflow::Outflow;
use self::peer::Peer;
use self::upload::Spread;
use super::bitfield::Bitfield;
use super::config::Config;
use super::focus::Focus;
use super::message::Message;
use super::ordered::Map;
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
    /// Shared by the peers of a simulation, whose caches it would crowd otherwise.
    config: Arc<Config>,
    blob: BlobHash,
    random: Random,
    /// Boxed, so that the keys stand close together: looking one up should not cost a line of the cache for each step.
    peers: Map<PeerKey, Box<Peer>>,
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
    /// The peer that could be asked for more, if it is this one alone.
    may_ask_of: Option<PeerKey>,
    /// A bound kept something from being asked for.
    held_back: bool,
    may_serve: bool,
    /// What proves the size to others, once it has been cut or received.
    tail: Option<Tail>,
    clock: Clock,
    verify: Verify,
    /// Chunks that are being fetched from web servers, with their lengths in bytes.
    web: Map<ChunkIndex, u64>,
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
        config: impl Into<Arc<Config>>,
        blob: BlobHash,
        size: Option<BlobSize>,
        stored: impl IntoIterator<Item = ChunkIndex>,
        seed: u64,
    ) -> Self {
        let mut swarm = Self {
            config: config.into(),
            blob,
            random: Random::new(seed),
            peers: Map::new(),
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
            may_ask_of: None,
            held_back: false,
            may_serve: false,
            tail: None,
            clock: Clock::default(),
            verify: tree::verify_chunk,
            web: Map::new(),
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
        self.may_ask |= match &input {
            Input::Sent { .. }
            | Input::Loaded { .. }
            | Input::LoadFailed { .. }
            | Input::Received { .. } => false,
            Input::Stored { .. } => std::mem::take(&mut self.held_back),
            _ => true,
        };
        self.may_serve |= !matches!(
            &input,
            Input::Received { .. }
                | Input::Stored { .. }
                | Input::Loaded { .. }
                | Input::LoadFailed { .. }
        );
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
        let asks = self.take_may_ask();
        let may_wake =
            asks == Some(None) || self.slots_stale || self.tell.is_some_and(|at| at <= now);
        if let Some(whom) = asks {
            self.fill(whom, now);
        }
        self.rechoke(now);
        if std::mem::take(&mut self.may_serve) {
            self.serve(now);
        }
        self.tell_due(now);
        if may_wake || self.wake.is_none_or(|wake| wake <= now) {
            self.schedule(now);
        } else if let Some(Some(key)) = asks {
            self.schedule_stall(key, now);
        }
    }

    /// Whether there may be something to ask for, and of whom if it is one peer alone. At the end, without the size, or at a bound,
    /// what one peer brings concerns all.
    fn take_may_ask(&mut self) -> Option<Option<PeerKey>> {
        let (all, one) = (std::mem::take(&mut self.may_ask), self.may_ask_of.take());
        let ends = self
            .ledger
            .as_ref()
            .is_none_or(|ledger| ledger.picker.is_empty());
        match one {
            _ if all => Some(None),
            Some(_) if ends || std::mem::take(&mut self.held_back) => Some(None),
            Some(key) => Some(Some(key)),
            None => None,
        }
    }

    /// The next thing to do.
    pub fn poll_output(&mut self) -> Option<Output> {
        self.outputs.pop_front()
    }

    /// Bounds what may be asked for and not yet durable, in bytes; `None` goes back to the default. For caps on the rate.
    pub fn bound_unstored(&mut self, bytes: Option<u64>) {
        let usual = Config::default().unstored_max;
        Arc::make_mut(&mut self.config).unstored_max =
            bytes.map_or(usual, |bytes| bytes.min(usual));
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

    /// What this peer will probably be served next: its share of `count`, if others are served too.
    pub fn upcoming(&self, key: PeerKey, count: usize) -> Vec<ChunkIndex> {
        let Some(peer) = self.peers.get(&key) else {
            return Vec::new();
        };
        let is_waiting = |peer: &Peer| !peer.client.queue.is_empty();
        let waiting = self.peers.values().filter(|peer| is_waiting(peer)).count();
        let share = count / waiting.max(1);
        peer.client.queue.iter().take(share).copied().collect()
    }

    /// Whether any peer has requests that were not begun.
    pub fn is_asked(&self) -> bool {
        let mut peers = self.peers.values();
        peers.any(|peer| !peer.client.queue.is_empty())
    }

    /// Which chunks are stored; `None` while the size is not proved.
    pub fn stored(&self) -> Option<&Bitfield> {
        self.ledger.as_ref().map(|ledger| &ledger.stored)
    }

    fn send(&mut self, peer: PeerKey, message: Message) {
        self.outputs.push_back(Output::Send { peer, message });
    }
}
