//! Sending a message: until its reader has it, its sender sees to it that it lies where the reader will look.
//!
//! At first as many peers as [`COPIES`] get it, and the relays that the reader named. It counts as stored with
//! enough signed receipts. Some minutes later the peers that signed must prove that they hold it, and others get it in place of those
//! that do not. From then on, whenever the sender is online, it looks whether copies are online and leaves more if
//! not. A tombstone signed by the reader ends it, as does the delivery receipt in a message of the reader's. What is attached is to be kept
//! by those that signed for the message; who has no room for it is made up for by another.

use std::collections::VecDeque;
use std::time::Duration;

use super::deposit::Deposit;
use super::keep::Keep;
use super::message::{Message, is_receipt, may_delete};
use super::placement::{Answer, Placement, about};
use super::region::{Candidate, Density, is_qualified};
use super::tag::Tag;
use super::{
    ANSWER_WITHIN, COPIES, HOUR, KEPT_MIN, MessageId, PeerId, READ_WIDTH, RECEIPTS_MIN, RELAYS_MAX,
    Refusal, is_enough,
};
use crate::proto::ordered::{Map, Set};
use crate::proto::random::Random;
use crate::proto::types::Time;

/// Messages under way at most: 4 MiB of envelopes.
pub const MAX_LETTERS: usize = 256;

/// Time after which those that signed receipts are asked to prove them.
pub const AUDIT_AFTER: Duration = Duration::from_secs(2 * 60);

/// Time between looks after a message of the last two days, while the sender is online.
pub const LOOK_FRESH: Duration = Duration::from_secs(30 * 60);

/// The same for older ones.
pub const LOOK_LATER: Duration = Duration::from_secs(6 * HOUR);

/// Copies that are to be online besides the sender's own.
pub const ONLINE: usize = 2;

/// First pause after a deposit that found too few peers; each is twice the one before, up to [`LOOK_FRESH`], unless it was for want of time:
/// a custodian takes one envelope a second of a peer, so many letters at once go out in so many of these pauses.
const RETRY: Duration = Duration::from_secs(30);

/// What the edges tell it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Input {
    /// Bring this to its reader.
    Send {
        /// The message.
        deposit: Deposit,
        /// Relays that the reader named.
        relays: Vec<PeerId>,
        /// What is attached.
        keep: Option<Keep>,
        /// Whether it was stored before this run began.
        stored: bool,
    },
    /// The peers nearest to a tag, nearest first.
    Found(Tag, Vec<Candidate>),
    /// An answer came.
    Received(PeerId, Message),
    /// The stream to this peer has ended, or none came about.
    Unreachable(PeerId),
    /// The reader has it, or the person takes no more interest.
    Done(MessageId),
    /// The deadline of the last `WakeAt` has come (harmless at any time).
    Tick,
}

/// What the edges must do, and what the person is told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Output {
    /// Find the peers nearest to a tag, then say `Found`.
    Lookup(Tag),
    /// Send this request on a stream of ours, opened if there is none.
    Send(PeerId, Message),
    /// So many peers and relays have signed that they hold it; enough to say that it is stored, or not yet.
    Receipts {
        /// Which message.
        id: MessageId,
        /// Peers.
        peers: usize,
        /// Relays.
        relays: usize,
        /// Peers that signed that they keep what is attached.
        kept: usize,
        /// Whether it counts as stored.
        stored: bool,
    },
    /// Its reader has deleted it, and so has had it.
    Delivered(MessageId),
    /// Its time has passed, and no sign came of its reader.
    Expired(MessageId),
    /// There is no room for another: say it again when one is done.
    Full(MessageId),
    /// Come back with `Tick` at this time, unless another `WakeAt` follows.
    WakeAt(Time),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stage {
    /// Peers are given it.
    Deposit,
    /// Those that signed for it are to prove it.
    Audit,
    /// It is seen to that some are online.
    Watch,
}

#[derive(Debug)]
struct Letter {
    deposit: Deposit,
    relays: Vec<PeerId>,
    /// Relays that have not answered yet.
    asked: Set<PeerId>,
    at_relays: Set<PeerId>,
    at_peers: Set<PeerId>,
    keep: Option<Keep>,
    /// Asked to keep what is attached since the last round began, those that do, and those that do not.
    asked_to_keep: Set<PeerId>,
    kept_by: Set<PeerId>,
    kept_not_by: Set<PeerId>,
    stored: bool,
    stage: Stage,
    looking: bool,
    placement: Option<Placement>,
    next: Time,
    retry: Duration,
    /// Somebody had no time for it, and will soon.
    busy: bool,
}

/// All messages of one sender that are under way.
#[derive(Debug)]
pub struct Depositor {
    puzzle_bits: u8,
    random: Random,
    letters: Map<MessageId, Letter>,
    density: Density,
    out: VecDeque<Output>,
}

impl Depositor {
    /// None under way. `puzzle_bits` is the work that custodians' ids must show, in bits.
    pub fn new(puzzle_bits: u8, seed: u64) -> Self {
        Self {
            puzzle_bits,
            random: Random::new(seed),
            letters: Map::new(),
            density: Density::default(),
            out: VecDeque::new(),
        }
    }

    /// Messages under way.
    pub fn len(&self) -> usize {
        self.letters.len()
    }

    /// Whether none is.
    pub fn is_empty(&self) -> bool {
        self.letters.is_empty()
    }

    /// The next thing to do; drain it after every [`handle`](Self::handle).
    pub fn poll_output(&mut self) -> Option<Output> {
        self.out.pop_front()
    }

    /// Takes in what happened; `unix` is the clock by which messages expire, in seconds since 1970.
    pub fn handle(&mut self, input: Input, now: Time, unix: u64) {
        match input {
            Input::Send {
                deposit,
                relays,
                keep,
                stored,
            } => self.send(deposit, relays, keep, stored, now),
            Input::Found(tag, found) => self.found(tag, found),
            Input::Received(from, message) => self.received(from, &message),
            Input::Unreachable(peer) => {
                for letter in self.letters.values_mut() {
                    letter.asked.remove(&peer);
                    if let Some(placement) = &mut letter.placement {
                        placement.unreachable(peer);
                    }
                }
            }
            Input::Done(id) => {
                self.letters.remove(&id);
            }
            Input::Tick => {}
        }
        let ids: Vec<_> = self.letters.keys().copied().collect();
        for id in ids {
            self.advance(id, now, unix);
        }
        let deadlines = self.letters.values().map(|letter| match &letter.placement {
            Some(placement) => placement.deadline().unwrap_or(letter.next),
            None => letter.next,
        });
        self.out.extend(deadlines.min().map(Output::WakeAt));
    }

    fn send(
        &mut self,
        deposit: Deposit,
        relays: Vec<PeerId>,
        keep: Option<Keep>,
        stored: bool,
        now: Time,
    ) {
        let id = deposit.id();
        if self.letters.contains_key(&id) {
            return;
        }
        if self.letters.len() >= MAX_LETTERS {
            return self.out.push_back(Output::Full(id));
        }
        let relays: Vec<_> = relays.into_iter().take(RELAYS_MAX).collect();
        let letter = Letter {
            deposit,
            relays,
            asked: Set::new(),
            at_relays: Set::new(),
            at_peers: Set::new(),
            keep,
            asked_to_keep: Set::new(),
            kept_by: Set::new(),
            kept_not_by: Set::new(),
            stored,
            stage: if stored { Stage::Watch } else { Stage::Deposit },
            looking: false,
            placement: None,
            next: now,
            retry: RETRY,
            busy: false,
        };
        self.letters.insert(id, letter);
    }

    fn found(&mut self, tag: Tag, mut found: Vec<Candidate>) {
        found.retain(|candidate| is_qualified(candidate.peer, self.puzzle_bits));
        found.truncate(READ_WIDTH);
        self.density.observe(tag, &found);
        let (density, letters) = (&self.density, &mut self.letters);
        for (id, letter) in letters.iter_mut() {
            if letter.deposit.header().tag() != tag || !letter.looking {
                continue;
            }
            letter.looking = false;
            let mut found = found.clone();
            found.retain(|candidate| !letter.relays.contains(&candidate.peer));
            let mut choice = density.choose(tag, *id, &found);
            let signed = &letter.at_peers;
            let (goal, probes) = match letter.stage {
                Stage::Deposit => {
                    choice
                        .order
                        .retain(|candidate| !signed.contains(&candidate.peer));
                    // Who keeps only the letter of a message counts for half of it.
                    let only = signed
                        .iter()
                        .filter(|peer| letter.kept_not_by.contains(peer));
                    let there = signed.len() - only.count();
                    (choice.copies.saturating_sub(there), 0)
                }
                Stage::Audit => (RECEIPTS_MIN, choice.copies),
                Stage::Watch => (ONLINE, COPIES),
            };
            choice
                .order
                .sort_by_key(|candidate| !signed.contains(&candidate.peer));
            if letter.stage == Stage::Audit {
                // A receipt counts once more when it was proved.
                letter.at_peers.clear();
            }
            let placement = Placement::new(letter.deposit.clone(), goal, choice.order, probes);
            letter.placement = Some(placement);
        }
    }

    fn received(&mut self, from: PeerId, message: &Message) {
        let Some(id) = about(message) else { return };
        if self.about_blobs(from, id, message) {
            return;
        }
        let Some(letter) = self.letters.get_mut(&id) else {
            return;
        };
        if letter.asked.remove(&from) {
            let terms = letter.deposit.header().terms();
            match message {
                Message::Receipt(_, expiry, signature)
                    if is_receipt(from, id, *expiry, signature) =>
                {
                    letter.at_relays.insert(from);
                    self.tell(id);
                }
                Message::Buried(_, signature) if may_delete(terms, id, signature) => {
                    self.delivered(id);
                }
                _ => {}
            }
            return;
        }
        letter.busy |= matches!(message, Message::Refused(_, Refusal::TooFast));
        let Some(placement) = &mut letter.placement else {
            return;
        };
        match placement.answer(from, message) {
            Answer::Buried(_) => self.delivered(id),
            Answer::Receipt(_) => {
                letter.at_peers.insert(from);
                self.tell(id);
            }
            Answer::Nothing => {}
        }
    }

    /// An answer to the wish that something be kept with a message; false if it is none.
    fn about_blobs(&mut self, from: PeerId, id: MessageId, message: &Message) -> bool {
        let is = |letter: &Letter| letter.keep.as_ref().is_some_and(|keep| keep.id() == id);
        let mut letters = self.letters.iter_mut();
        let Some((of, letter)) = letters.find(|(_, letter)| is(letter)) else {
            return false;
        };
        let of = *of;
        if !letter.asked_to_keep.contains(&from) {
            return true;
        }
        match message {
            Message::Receipt(_, expiry, signature) if is_receipt(from, id, *expiry, signature) => {
                letter.kept_by.insert(from);
                letter.kept_not_by.remove(&from);
                self.tell(of);
            }
            _ => {
                letter.kept_not_by.insert(from);
            }
        }
        true
    }

    fn delivered(&mut self, id: MessageId) {
        self.letters.remove(&id);
        self.out.push_back(Output::Delivered(id));
    }

    fn tell(&mut self, id: MessageId) {
        let Some(letter) = self.letters.get_mut(&id) else {
            return;
        };
        let (peers, relays) = (letter.at_peers.len(), letter.at_relays.len());
        let kept = letter.kept_by.len();
        let whole = letter.keep.is_none() || kept >= KEPT_MIN;
        letter.stored |= whole && is_enough(peers, relays);
        let stored = letter.stored;
        self.out.push_back(Output::Receipts {
            id,
            peers,
            relays,
            kept,
            stored,
        });
    }

    fn advance(&mut self, id: MessageId, now: Time, unix: u64) {
        let Some(letter) = self.letters.get_mut(&id) else {
            return;
        };
        if letter.deposit.header().expiry().unix() <= unix {
            self.letters.remove(&id);
            return self.out.push_back(Output::Expired(id));
        }
        if let Some(placement) = &mut letter.placement {
            let mut sends = Vec::new();
            placement.advance(now, &mut self.random, &mut sends);
            self.out.extend(
                sends
                    .into_iter()
                    .map(|(peer, message)| Output::Send(peer, message)),
            );
            if placement.is_over() {
                letter.at_peers.extend(placement.holds().iter().copied());
                letter.placement = None;
                letter.rest(now, unix);
            }
        } else if letter.next <= now {
            // Whoever went away, or had no room, is asked once more.
            if letter.kept_by.len() < RECEIPTS_MIN {
                letter.asked_to_keep.clear();
            }
            // A look-up that does not come back is made again.
            letter.looking = true;
            letter.next = now + 2 * ANSWER_WITHIN;
            self.out
                .push_back(Output::Lookup(letter.deposit.header().tag()));
            for relay in &letter.relays {
                if !letter.at_relays.contains(relay) {
                    letter.asked.insert(*relay);
                    let put = Message::Put(letter.deposit.clone());
                    self.out.push_back(Output::Send(*relay, put));
                }
            }
        }
        if let Some(keep) = &letter.keep {
            for peer in letter.at_peers.iter() {
                if !letter.kept_by.contains(peer) && letter.asked_to_keep.insert(*peer) {
                    let wish = Message::Keep(keep.clone());
                    self.out.push_back(Output::Send(*peer, wish));
                }
            }
        }
    }
}

impl Letter {
    /// What comes next, and when.
    fn rest(&mut self, now: Time, unix: u64) {
        let fresh = unix.saturating_sub(self.deposit.header().sent()) < 48 * HOUR;
        let pause = if fresh { LOOK_FRESH } else { LOOK_LATER };
        let wait = match self.stage {
            Stage::Deposit if self.stored => {
                self.stage = Stage::Audit;
                AUDIT_AFTER
            }
            Stage::Deposit => {
                let wait = self.retry;
                if !std::mem::take(&mut self.busy) {
                    self.retry = (wait * 2).min(LOOK_FRESH);
                }
                wait
            }
            Stage::Audit | Stage::Watch => {
                self.stage = Stage::Watch;
                pause
            }
        };
        self.next = now + wait;
    }
}
