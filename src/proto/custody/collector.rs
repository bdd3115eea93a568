//! Reading: whom to ask for a mailbox, what to believe, what to delete.
//!
//! For each tag the nearest peers and the relays are asked; each is shown a signature over its own challenge. What one of them lists
//! is fetched from whoever answers first and checked against its id and its terms, so nobody can slip in what no sender left; who
//! serves anything else is asked for nothing more. Each message is handed out once, however many hold it. What the reader deletes is
//! signed once and sent to every peer that lists it, now or later. The tags of this week are watched at a few peers, so that what
//! comes while the reader is online is there at once.

use std::collections::VecDeque;
use std::time::Duration;

use super::deposit::Deposit;
use super::message::{MAX_IDS, Message, Nonce, sign_delete, sign_list};
use super::region::{Candidate, is_qualified};
use super::tag::{Reading, Tag, Week};
use super::{ANSWER_WITHIN, CLOCK_ERROR, MessageId, PeerId, READ_WIDTH, RELAYS_MAX, Refusal};
use crate::proto::ordered::{Map, Set};
use crate::proto::types::Time;

/// Tags that are looked through at once: each costs up to [`READ_WIDTH`] links.
pub const TAGS_AT_ONCE: usize = 2;

/// Peers of one tag that are told to tell of new messages: with 8 copies among 20 peers one message in 250 reaches none of eight
/// watchers, and one in ten none of four.
pub const WATCHERS: usize = 8;

/// Messages asked for at once, over all peers: 1 MiB.
pub const GETS_AT_ONCE: usize = 64;

/// Ids believed of one peer under one tag: a full mailbox.
pub const MAX_LISTED: usize = 256;

/// Ids remembered as known or deleted: the mailboxes of five weeks, both lanes.
pub const MAX_KNOWN: usize = 16 * 1024;

/// Messages that are wanted at once: more than an honest mailbox holds.
pub const MAX_WANTED: usize = 4096;

/// Peers that are remembered, so that who lied does not start anew.
pub const MAX_PEERS: usize = 1024;

/// Failures after which a peer is asked for nothing more: what it lists may have expired or been deleted meanwhile, but not often.
pub const STRIKES_MAX: u32 = 3;

/// Time between looks at the tags of this week and the last.
pub const LOOK_AGAIN: Duration = Duration::from_secs(10 * 60);

/// The same after a look in which somebody could not be reached, twice as long after the next: who has it may only have been slow. Longer than
/// such a peer is left out of look-ups.
pub const LOOK_SOON: Duration = Duration::from_secs(150);

/// What the edges tell it.
#[derive(Debug, Clone)]
pub enum Input {
    /// Read these mailboxes, and no others: see [`MailboxSecret::readings`](super::tag::MailboxSecret::readings).
    Read(Vec<Reading>),
    /// Ask these relays too.
    Relays(Vec<PeerId>),
    /// These were handed out before this run began.
    Known(Vec<MessageId>),
    /// Delete this message of this mailbox wherever it turns up: all devices have it. Say it again in each run until it expires.
    Delete(Tag, Vec<MessageId>),
    /// The peers nearest to a tag, nearest first.
    Found(Tag, Vec<Candidate>),
    /// A message came on a stream of ours.
    Received(PeerId, Message),
    /// The stream to this peer has ended, or none came about.
    Unreachable(PeerId),
    /// The deadline of the last `WakeAt` has come (harmless at any time).
    Tick,
}

/// What the edges must do, and what the person is given.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Output {
    /// Find the peers nearest to a tag, then say `Found`.
    Lookup(Tag),
    /// Open a stream to this peer; its challenge comes by itself.
    Open(PeerId),
    /// Send this request on the stream.
    Send(PeerId, Message),
    /// A message that was not handed out before.
    Letter(Deposit),
    /// All that could be asked about this tag have answered.
    Settled(Tag),
    /// Come back with `Tick` at this time, unless another `WakeAt` follows.
    WakeAt(Time),
}

#[derive(Debug)]
struct Mailbox {
    reading: Reading,
    state: State,
    next: Time,
    /// Somebody could not be reached in this look, and in how many before it.
    missed: bool,
    misses: u32,
    /// Whether it is of a week in which messages still come.
    lively: bool,
    /// Peers that tell of new messages.
    watchers: Set<PeerId>,
    deleted: Set<MessageId>,
}

impl Mailbox {
    /// Time until the next look, after one that has ended.
    fn pause(&mut self) -> Duration {
        let soon = LOOK_SOON * (1 << self.misses.min(8));
        self.misses = if self.missed { self.misses + 1 } else { 0 };
        match self.missed {
            true => soon.min(LOOK_AGAIN),
            false => LOOK_AGAIN,
        }
    }
}

#[derive(Debug, PartialEq, Eq)]
enum State {
    Idle,
    Looking,
    /// Peers that have yet to answer.
    Asking(Set<PeerId>),
}

#[derive(Debug, Default)]
struct Peer {
    nonce: Option<Nonce>,
    /// Opened, or asked for something, at this time.
    since: Time,
    /// Tags to be asked for once the challenge is here.
    waiting: Vec<Tag>,
    /// What it lists.
    listed: Map<Tag, Set<MessageId>>,
    /// What it was told is deleted.
    told: Set<MessageId>,
    /// What of that it had no time for: it is told again with the next look at the tag.
    again: Set<MessageId>,
    strikes: u32,
}

#[derive(Debug)]
struct Wanted {
    tag: Tag,
    sources: VecDeque<PeerId>,
    asked: Option<(PeerId, Time)>,
}

/// The reader of some mailboxes, on one device.
#[derive(Debug)]
pub struct Collector {
    puzzle_bits: u8,
    relays: Vec<PeerId>,
    boxes: Map<Tag, Mailbox>,
    peers: Map<PeerId, Peer>,
    known: Set<MessageId>,
    wanted: Map<MessageId, Wanted>,
    out: VecDeque<Output>,
}

impl Collector {
    /// Reads nothing yet. `puzzle_bits` is the work that custodians' ids must show, in bits.
    pub fn new(puzzle_bits: u8) -> Self {
        Self {
            puzzle_bits,
            relays: Vec::new(),
            boxes: Map::new(),
            peers: Map::new(),
            known: Set::new(),
            wanted: Map::new(),
            out: VecDeque::new(),
        }
    }

    /// The next thing to do; drain it after every [`handle`](Self::handle).
    pub fn poll_output(&mut self) -> Option<Output> {
        self.out.pop_front()
    }

    /// Takes in what happened; `unix` is the clock by which weeks pass, in seconds since 1970.
    pub fn handle(&mut self, input: Input, now: Time, unix: u64) {
        match input {
            Input::Read(readings) => self.read(readings, now),
            Input::Relays(relays) => self.relays = relays.into_iter().take(RELAYS_MAX).collect(),
            Input::Known(ids) => {
                let room = MAX_KNOWN.saturating_sub(self.known.len());
                self.known.extend(ids.into_iter().take(room));
            }
            Input::Delete(tag, ids) => self.delete(tag, ids),
            Input::Found(tag, found) => self.found(tag, found, now),
            Input::Received(from, message) => self.received(from, message, now),
            Input::Unreachable(peer) => self.unreachable(peer),
            Input::Tick => {}
        }
        self.expire(now);
        self.look(now, unix);
        self.fetch(now);
        self.settle(now, unix);
        self.out.extend(self.deadline(now).map(Output::WakeAt));
    }

    fn read(&mut self, readings: Vec<Reading>, now: Time) {
        let mut old = std::mem::take(&mut self.boxes);
        for reading in readings {
            let tag = reading.terms.tag();
            let mailbox = old.remove(&tag).unwrap_or_else(|| Mailbox {
                reading,
                state: State::Idle,
                next: now,
                missed: false,
                misses: 0,
                lively: false,
                watchers: Set::new(),
                deleted: Set::new(),
            });
            self.boxes.insert(tag, mailbox);
        }
        let boxes = &self.boxes;
        self.wanted
            .retain(|_, wanted| boxes.contains_key(&wanted.tag));
    }

    /// Begins with the newest mailboxes that are due.
    fn look(&mut self, now: Time, unix: u64) {
        let this_week = Week::of(unix);
        loop {
            let busy = |mailbox: &&Mailbox| mailbox.state != State::Idle;
            if self.boxes.values().filter(busy).count() >= TAGS_AT_ONCE {
                return;
            }
            let due = self
                .boxes
                .iter_mut()
                .filter(|(_, mailbox)| mailbox.state == State::Idle && mailbox.next <= now)
                // Those of the coming week have something only from senders whose clock is ahead.
                .max_by_key(|(tag, mailbox)| {
                    let week = mailbox.reading.terms.week;
                    (week <= this_week, week, **tag)
                });
            let Some((tag, mailbox)) = due else { return };
            mailbox.state = State::Looking;
            mailbox.lively = mailbox.reading.terms.week.0 + 1 >= this_week.0;
            mailbox.next = now + 2 * ANSWER_WITHIN;
            self.out.push_back(Output::Lookup(*tag));
        }
    }

    fn found(&mut self, tag: Tag, mut found: Vec<Candidate>, now: Time) {
        let bits = self.puzzle_bits;
        found.retain(|candidate| is_qualified(candidate.peer, bits));
        let near = found
            .iter()
            .take(READ_WIDTH)
            .map(|candidate| candidate.peer);
        let all: Vec<_> = self.relays.iter().copied().chain(near).collect();
        let Some(mailbox) = self.boxes.get_mut(&tag) else {
            return;
        };
        if mailbox.state != State::Looking {
            return;
        }
        let watchers = &mailbox.watchers;
        let good = |peer: &PeerId| {
            let known = self.peers.get(peer);
            known.is_none_or(|known| known.strikes < STRIKES_MAX) && !watchers.contains(peer)
        };
        let ask: Set<_> = all.into_iter().filter(good).collect();
        mailbox.state = State::Asking(ask.clone());
        mailbox.missed = false;
        mailbox.next = now + 3 * ANSWER_WITHIN;
        let deleted = &mailbox.deleted;
        let again: Vec<_> = self
            .peers
            .iter_mut()
            .map(|(to, peer)| {
                let here: Vec<_> = peer
                    .again
                    .iter()
                    .filter(|id| deleted.contains(*id))
                    .copied()
                    .collect();
                peer.again.retain(|id| !deleted.contains(id));
                (*to, here)
            })
            .collect();
        for (peer, ids) in again {
            self.tell_deleted(peer, tag, ids);
        }
        for peer in ask {
            if self.peers.len() >= MAX_PEERS && !self.peers.contains_key(&peer) {
                break;
            }
            let entry = self.peers.entry(peer).or_default();
            if !entry.waiting.contains(&tag) {
                entry.waiting.push(tag);
            }
            if entry.nonce.is_some() {
                self.ask(peer, now);
            } else if entry.waiting.len() == 1 {
                entry.since = now;
                self.out.push_back(Output::Open(peer));
            }
        }
    }

    /// Asks a peer for what it is to be asked.
    fn ask(&mut self, to: PeerId, now: Time) {
        let Some(peer) = self.peers.get_mut(&to) else {
            return;
        };
        let Some(nonce) = peer.nonce else { return };
        peer.since = now;
        for tag in std::mem::take(&mut peer.waiting) {
            let Some(mailbox) = self.boxes.get_mut(&tag) else {
                continue;
            };
            let watch = mailbox.lively && mailbox.watchers.len() < WATCHERS;
            if watch {
                mailbox.watchers.insert(to);
            }
            let signature = sign_list(&mailbox.reading.signer, &nonce, to, tag);
            let message = Message::List {
                terms: mailbox.reading.terms,
                watch,
                signature,
            };
            self.out.push_back(Output::Send(to, message));
        }
    }

    fn received(&mut self, from: PeerId, message: Message, now: Time) {
        let Some(peer) = self.peers.get_mut(&from) else {
            return;
        };
        match message {
            Message::Challenge(nonce) => {
                peer.nonce = Some(nonce);
                self.ask(from, now);
            }
            Message::Listing { tag, more, ids } => {
                if !more {
                    self.answered(from, tag);
                }
                self.listed(from, tag, ids);
            }
            Message::New(tag, id) => self.listed(from, tag, vec![id]),
            Message::Letter(deposit) => self.letter(from, deposit),
            Message::Absent(id) => self.missing(from, id, false),
            Message::Refused(id, refusal) => {
                if refusal == Refusal::TooFast && peer.told.contains(&id) {
                    peer.again.insert(id);
                }
                self.answered(from, Tag(id.0));
                self.missing(from, id, true);
            }
            _ => {}
        }
    }

    fn listed(&mut self, from: PeerId, tag: Tag, ids: Vec<MessageId>) {
        let Some(mailbox) = self.boxes.get(&tag) else {
            return;
        };
        let Some(peer) = self.peers.get_mut(&from) else {
            return;
        };
        let listed = peer.listed.entry(tag).or_default();
        let mut delete = Vec::new();
        for id in ids {
            if listed.len() >= MAX_LISTED && !listed.contains(&id) {
                break;
            }
            listed.insert(id);
            if mailbox.deleted.contains(&id) {
                if peer.told.insert(id) {
                    delete.push(id);
                }
            } else if !self.known.contains(&id) && peer.strikes < STRIKES_MAX {
                if self.wanted.len() >= MAX_WANTED && !self.wanted.contains_key(&id) {
                    continue;
                }
                let wanted = self.wanted.entry(id).or_insert_with(|| Wanted {
                    tag,
                    sources: VecDeque::new(),
                    asked: None,
                });
                if wanted.tag == tag && !wanted.sources.contains(&from) {
                    wanted.sources.push_back(from);
                }
            }
        }
        self.tell_deleted(from, tag, delete);
    }

    /// Asks for what is wanted, each message of one peer at a time.
    fn fetch(&mut self, now: Time) {
        let mut asked = self
            .wanted
            .values()
            .filter(|wanted| wanted.asked.is_some())
            .count();
        let mut gets: Map<(PeerId, Tag), Vec<MessageId>> = Map::new();
        self.wanted.retain(|id, wanted| {
            if wanted.asked.is_some() || asked >= GETS_AT_ONCE {
                return true;
            }
            let Some(source) = wanted.sources.pop_front() else {
                return false;
            };
            asked += 1;
            wanted.asked = Some((source, now + ANSWER_WITHIN));
            gets.entry((source, wanted.tag)).or_default().push(*id);
            true
        });
        for ((peer, tag), ids) in gets {
            for part in ids.chunks(MAX_IDS) {
                let message = Message::Get(tag, part.to_vec());
                self.out.push_back(Output::Send(peer, message));
            }
        }
    }

    fn letter(&mut self, from: PeerId, deposit: Deposit) {
        let id = deposit.id();
        let header = deposit.header();
        let asked = |wanted: &Wanted| {
            wanted.asked.is_some_and(|(peer, _)| peer == from) && wanted.tag == header.tag()
        };
        if !self.wanted.get(&id).is_some_and(asked) {
            // Not asked for: something else than what was, or late.
            if !self.known.contains(&id) {
                self.strike(from);
            }
            return;
        }
        // Whether its time is over is for custodians to decide, by their clocks: it is here. The earliest time at which one may have
        // taken it stands for that: whoever left it with an odd end must not make its custodians look like liars.
        let taken = header.terms().week.start().saturating_sub(CLOCK_ERROR);
        if header.check(taken).is_err() {
            self.missing(from, id, true);
            return self.strike(from);
        }
        self.wanted.remove(&id);
        remember(&mut self.known, id);
        self.out.push_back(Output::Letter(deposit));
    }

    /// A peer does not give what it lists; by its fault or not.
    fn missing(&mut self, from: PeerId, id: MessageId, refused: bool) {
        let Some(wanted) = self.wanted.get_mut(&id) else {
            return;
        };
        if wanted.asked.is_none_or(|(peer, _)| peer != from) {
            return;
        }
        wanted.asked = None;
        if !refused {
            self.strike(from);
        }
    }

    fn strike(&mut self, peer: PeerId) {
        let Some(entry) = self.peers.get_mut(&peer) else {
            return;
        };
        entry.strikes += 1;
        if entry.strikes < STRIKES_MAX {
            return;
        }
        for wanted in self.wanted.values_mut() {
            wanted.sources.retain(|source| *source != peer);
            if wanted.asked.is_some_and(|(asked, _)| asked == peer) {
                wanted.asked = None;
            }
        }
    }

    fn delete(&mut self, tag: Tag, ids: Vec<MessageId>) {
        let Some(mailbox) = self.boxes.get_mut(&tag) else {
            return;
        };
        for id in &ids {
            if mailbox.deleted.len() < MAX_KNOWN {
                mailbox.deleted.insert(*id);
            }
            remember(&mut self.known, *id);
            self.wanted.remove(id);
        }
        // Those that hold it, and the others that would be given it next.
        let tell: Vec<_> = self
            .peers
            .iter_mut()
            .filter(|(_, peer)| peer.nonce.is_some() && peer.listed.contains_key(&tag))
            .map(|(to, peer)| {
                let new = ids.iter().copied().filter(|id| peer.told.insert(*id));
                (*to, new.collect::<Vec<_>>())
            })
            .collect();
        for (peer, ids) in tell {
            self.tell_deleted(peer, tag, ids);
        }
    }

    fn tell_deleted(&mut self, to: PeerId, tag: Tag, ids: Vec<MessageId>) {
        let Some(mailbox) = self.boxes.get(&tag) else {
            return;
        };
        // What is deleted takes no place among what is believed of a peer.
        let listed = self
            .peers
            .get_mut(&to)
            .and_then(|peer| peer.listed.get_mut(&tag));
        if let Some(listed) = listed {
            listed.retain(|id| !mailbox.deleted.contains(id));
        }
        let reading = &mailbox.reading;
        for part in ids.chunks(MAX_IDS) {
            let sign = |id: &MessageId| (*id, sign_delete(&reading.signer, tag, *id));
            let message = Message::Delete(reading.terms, part.iter().map(sign).collect());
            self.out.push_back(Output::Send(to, message));
        }
    }

    fn answered(&mut self, from: PeerId, tag: Tag) {
        if let Some(mailbox) = self.boxes.get_mut(&tag)
            && let State::Asking(asked) = &mut mailbox.state
        {
            asked.remove(&from);
        }
    }

    fn unreachable(&mut self, peer: PeerId) {
        // Its strikes stay, as long as there is room for them.
        let strikes = self.peers.remove(&peer).map_or(0, |gone| gone.strikes);
        if strikes > 0 && self.peers.len() < MAX_PEERS {
            let entry = Peer {
                strikes,
                ..Peer::default()
            };
            self.peers.insert(peer, entry);
        }
        for mailbox in self.boxes.values_mut() {
            mailbox.watchers.remove(&peer);
            if let State::Asking(asked) = &mut mailbox.state {
                mailbox.missed |= asked.remove(&peer);
            }
        }
        for wanted in self.wanted.values_mut() {
            wanted.sources.retain(|source| *source != peer);
            if wanted.asked.is_some_and(|(asked, _)| asked == peer) {
                wanted.asked = None;
            }
        }
    }

    /// Gives up on what was not answered in time.
    fn expire(&mut self, now: Time) {
        let mut late = Vec::new();
        for wanted in self.wanted.values_mut() {
            if let Some((peer, until)) = wanted.asked.filter(|(_, until)| *until <= now) {
                debug_assert!(until <= now);
                wanted.asked = None;
                late.push(peer);
            }
        }
        late.into_iter().for_each(|peer| self.strike(peer));
        for mailbox in self.boxes.values_mut() {
            if mailbox.next > now {
                continue;
            }
            match &mut mailbox.state {
                State::Idle => {}
                State::Looking => mailbox.state = State::Idle,
                State::Asking(asked) => {
                    mailbox.missed |= !asked.is_empty();
                    asked.clear();
                }
            }
        }
    }

    fn settle(&mut self, now: Time, unix: u64) {
        for (tag, mailbox) in &mut self.boxes {
            let wanted = |wanted: &Wanted| wanted.tag == *tag;
            let done = matches!(&mailbox.state, State::Asking(asked) if asked.is_empty());
            if !done || self.wanted.values().any(wanted) {
                continue;
            }
            mailbox.state = State::Idle;
            // Older weeks get nothing new but what their senders leave again: once in a run is enough.
            mailbox.next = match mailbox.lively {
                true => now + mailbox.pause(),
                false => Time(u64::MAX),
            };
            self.out.push_back(Output::Settled(*tag));
        }
        self.look(now, unix);
    }

    fn deadline(&self, now: Time) -> Option<Time> {
        let gets = self
            .wanted
            .values()
            .filter_map(|wanted| wanted.asked.map(|(_, until)| until));
        let busy = self
            .boxes
            .values()
            .filter(|mailbox| mailbox.state != State::Idle)
            .count();
        let boxes = self
            .boxes
            .values()
            .filter(|mailbox| mailbox.state != State::Idle || busy < TAGS_AT_ONCE)
            .map(|mailbox| mailbox.next)
            .filter(|next| *next < Time(u64::MAX));
        gets.chain(boxes)
            .min()
            .map(|at| at.max(now + Duration::from_millis(1)))
    }
}

/// The page knows all that it was ever given; here it is bounded.
fn remember(known: &mut Set<MessageId>, id: MessageId) {
    if known.len() >= MAX_KNOWN && !known.contains(&id) {
        known.pop_first();
    }
    known.insert(id);
}
