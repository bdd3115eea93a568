//! Keeping others' messages: what is taken, given, deleted, and copied on before the last copy goes offline.
//!
//! A message is taken if its terms let it in and its mailbox, its sender and the store have room; the receipt is signed when it is
//! durable. Only whoever signs with the fetch key of a tag gets its list and its messages, and what that key deletes stays deleted:
//! the signature is kept as a tombstone and shown to whoever would bring the message back. Each message is looked after
//! (`upkeep`): while it is fresh, whoever holds it wants to know one other copy online.

mod blobs;
mod clients;
mod shelf;
mod upkeep;

use std::collections::VecDeque;
use std::time::Duration;

use self::blobs::Blobs;
use self::clients::Clients;
use self::shelf::Shelf;
use self::upkeep::Upkeep;
use super::deposit::Deposit;
use super::keep::{Blob, Keep};
use super::kept::Contents;
use super::message::{MAX_IDS, Message, Nonce, may_delete, may_list, possession, sign_receipt};
use super::placement::nonce;
use super::region::{Candidate, PUZZLE_BITS};
use super::sign::{Signature, Signer};
use super::tag::{Tag, Terms};
use super::{HOUR, MessageId, PeerId, Refusal};
use crate::proto::ordered::Map;
use crate::proto::random::Random;
use crate::proto::types::{BlobHash, Time};

pub use blobs::{MAX_CONTACT_BYTES, MAX_KEPT, MAX_STRANGER_BYTES};
pub use clients::{MAX_CLIENTS, MAX_REMEMBERED, MAX_TAGS};
pub use shelf::{MAX_ALL_TOMBS, MAX_CONTACT, MAX_STRANGER, MAX_TOMBS, Tombstone};
pub use upkeep::{CHECKS_AT_ONCE, LOOKUP_FRESH, PROBES};

/// What may be tuned.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Config {
    /// Work that the ids of other custodians must show, in bits.
    pub puzzle_bits: u8,
    /// Messages that are kept in all. Default 12,800: 200 MiB, what a page gives to others unless the person says otherwise.
    pub capacity: usize,
    /// Bytes of attachments that are kept in all; 0 for none. Default 512 MiB: twenty messages with as much as there may be.
    pub blob_bytes: u64,
    /// Copies of a fresh message that are to be online, this one included; 1 looks after nothing (a relay). Default 2.
    pub online: usize,
    /// Time for which a message is fresh. Default 48 h: most readers come within a day.
    pub fresh: Duration,
    /// Time between looks after a fresh message whose copies seem to be online. Default 60 min.
    pub look_fresh: Duration,
    /// The same for older ones. Default 6 h: readers who are away for long come for what others still hold.
    pub look_later: Duration,
    /// Time for which a lone copy waits before it is copied on. Default 60 s: most who go soon are gone by then.
    pub settle: Duration,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            puzzle_bits: PUZZLE_BITS,
            capacity: 12_800,
            blob_bytes: 512 << 20,
            online: 2,
            fresh: Duration::from_secs(48 * HOUR),
            look_fresh: Duration::from_secs(HOUR),
            look_later: Duration::from_secs(6 * HOUR),
            settle: Duration::from_secs(60),
        }
    }
}

impl Config {
    /// A relay that keeps mailboxes: always there, so it copies nothing on; room for 4 GiB. It is in no swarm, so it keeps no attachments.
    pub fn relay() -> Self {
        Self {
            capacity: 256 * 1024,
            blob_bytes: 0,
            online: 1,
            ..Self::default()
        }
    }
}

/// What the edges tell it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Input {
    /// A peer opened a stream to us.
    Opened(PeerId),
    /// It has ended.
    Closed(PeerId),
    /// A message came: a request on its stream or an answer on ours.
    Received(PeerId, Message),
    /// Our stream to this peer has ended, or none came about.
    Unreachable(PeerId),
    /// The message or wish is durable.
    Stored(MessageId),
    /// It could not be stored.
    StoreFailed(MessageId),
    /// The message from the store; `None` if it is not there or damaged.
    Loaded(MessageId, Option<Deposit>),
    /// A blob is here whole; or will not be.
    Fetched(BlobHash, bool),
    /// The peers nearest to a tag, nearest first, so many as [`READ_WIDTH`](super::READ_WIDTH).
    Found(Tag, Vec<Candidate>),
    /// The deadline of the last `WakeAt` has come (harmless at any time).
    Tick,
}

/// What the edges must do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Output {
    /// Send this; a request on a stream of ours, opened if there is none, an answer on the peer's.
    Send(PeerId, Message),
    /// Store it, then say `Stored` or `StoreFailed`.
    Store(Deposit),
    /// Store this wish, then say the same of its id.
    StoreKeep(Keep),
    /// Fetch this blob and keep it, then say `Fetched`; harmless if it is here.
    Fetch(Blob),
    /// This blob is kept for nobody any more.
    Release(BlobHash),
    /// Store this tombstone.
    Bury(Tombstone),
    /// Remove the tombstone of this message under this tag from the store.
    Exhume(Tag, MessageId),
    /// Remove the message or the wish from the store.
    Forget(MessageId),
    /// Read it, then say `Loaded`.
    Load(MessageId),
    /// Find the peers nearest to a tag, then say `Found`.
    Lookup(Tag),
    /// End the peer's stream: it sends what no honest one does, or there are too many.
    Drop(PeerId),
    /// Come back with `Tick` at this time, unless another `WakeAt` follows.
    WakeAt(Time),
}

/// What is done with a message once it is read from the store.
#[derive(Debug, Clone, Copy)]
enum Job {
    Serve(PeerId),
    Prove(PeerId, Nonce),
    Look,
}

/// Jobs that wait for the store: bounds the memory that askers can take, 4 MiB of envelopes.
const MAX_JOBS: usize = 256;

/// Time between two looks at what has expired.
const SWEEP: Duration = Duration::from_secs(10 * 60);

/// One node's custody.
#[derive(Debug)]
pub struct Custodian {
    me: PeerId,
    signer: Signer,
    config: Config,
    random: Random,
    shelf: Shelf,
    blobs: Blobs,
    clients: Clients,
    upkeep: Upkeep,
    /// Who waits for a receipt.
    storing: Map<MessageId, Vec<PeerId>>,
    jobs: Map<MessageId, Vec<Job>>,
    swept: Time,
    out: VecDeque<Output>,
}

impl Custodian {
    /// An empty shelf. `signer` holds the node's own key, by which others know it.
    pub fn new(signer: Signer, config: Config, seed: u64) -> Self {
        Self {
            me: PeerId(signer.public()),
            signer,
            shelf: Shelf::new(config.capacity),
            blobs: Blobs::default(),
            upkeep: Upkeep::default(),
            config,
            random: Random::new(seed),
            clients: Clients::default(),
            storing: Map::new(),
            jobs: Map::new(),
            swept: Time::default(),
            out: VecDeque::new(),
        }
    }

    /// Takes back what the store holds from before; what has no room any more is forgotten.
    pub fn restore(&mut self, contents: Contents, now: Time, unix: u64) {
        for tomb in contents.tombs {
            if !matches!(self.shelf.put_tomb(tomb), Ok(None)) {
                // One too many, which bounds cannot meet unless they were lowered.
                self.out.push_back(Output::Exhume(tomb.tag, tomb.id));
            }
        }
        for header in contents.headers {
            let id = header.id();
            match self.shelf.admit(header, None) {
                Ok(evicted) => {
                    self.out.extend(evicted.map(Output::Forget));
                    if let Some(item) = self.shelf.get_mut(id) {
                        item.stored = true;
                    }
                    self.look_again(id, now, unix);
                }
                Err(_) => self.out.push_back(Output::Forget(id)),
            }
        }
        for keep in contents.keeps {
            self.restore_keep(keep, now);
        }
        self.sweep(now, unix);
        self.out.extend(self.deadline().map(Output::WakeAt));
    }

    /// The person gives another amount of room: messages and bytes of attachments that are kept in all. Where it is less, what ends first goes.
    pub fn set_room(&mut self, capacity: usize, blob_bytes: u64) {
        (self.config.capacity, self.config.blob_bytes) = (capacity, blob_bytes);
        for id in self.shelf.set_capacity(capacity) {
            self.forget(id);
        }
        for id in self.shelf.by_end() {
            if self.blobs.held() <= blob_bytes {
                break;
            }
            self.let_go(id);
        }
    }

    /// Messages that are kept.
    pub fn len(&self) -> usize {
        self.shelf.len()
    }

    /// Whether none is.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The next thing to do; drain it after every [`handle`](Self::handle).
    pub fn poll_output(&mut self) -> Option<Output> {
        self.out.pop_front()
    }

    /// Takes in what happened; `unix` is the clock by which messages expire, in seconds since 1970.
    pub fn handle(&mut self, input: Input, now: Time, unix: u64) {
        match input {
            Input::Opened(peer) => {
                let nonce = nonce(&mut self.random);
                let answer = match self.clients.open(peer, nonce) {
                    true => Output::Send(peer, Message::Challenge(nonce)),
                    false => Output::Drop(peer),
                };
                self.out.push_back(answer);
            }
            Input::Closed(peer) => self.clients.close(peer),
            Input::Received(from, message) if message.is_request() => {
                self.request(from, message, now, unix);
            }
            Input::Received(from, message) => self.answered(from, &message, now, unix),
            Input::Unreachable(peer) => self.unreachable(peer, now, unix),
            Input::Stored(id) => self.stored(id, now),
            Input::StoreFailed(id) => {
                if let Some(message) = self.blobs.message_of(id) {
                    self.let_go(message);
                }
                self.shelf.remove(id);
                for peer in self.storing.remove(&id).unwrap_or_default() {
                    self.refuse(peer, id, Refusal::NotStored);
                }
            }
            Input::Loaded(id, deposit) => self.loaded(id, deposit, now, unix),
            Input::Fetched(blob, whole) => self.fetched(blob, whole),
            Input::Found(tag, peers) => self.found(tag, peers, now, unix),
            Input::Tick => {}
        }
        if now.since(self.swept) >= SWEEP {
            self.sweep(now, unix);
        }
        self.look_after(now, unix);
        self.out.extend(self.deadline().map(Output::WakeAt));
    }

    fn request(&mut self, from: PeerId, message: Message, now: Time, unix: u64) {
        match message {
            Message::Put(deposit) => self.put(from, deposit, now, unix),
            Message::List {
                terms,
                watch,
                signature,
            } => self.list(from, &terms, watch, &signature, now),
            Message::Get(tag, ids) => {
                for id in ids {
                    self.get(from, tag, id, now);
                }
            }
            Message::Delete(terms, items) => self.delete(from, &terms, items, now),
            Message::Probe(id, nonce) => self.probe(from, id, nonce, now),
            Message::Keep(keep) => self.keep(from, keep, now, unix),
            _ => {}
        }
    }

    fn put(&mut self, from: PeerId, deposit: Deposit, now: Time, unix: u64) {
        let header = *deposit.header();
        let id = header.id();
        if !self.clients.may_put(from, now) {
            return self.refuse(from, id, Refusal::TooFast);
        }
        if let Some(signature) = self.shelf.tomb(id, header.tag()) {
            return self.send(from, Message::Buried(id, signature));
        }
        if let Some(waiting) = self.storing.get_mut(&id) {
            if !waiting.contains(&from) {
                waiting.push(from);
            }
            return;
        }
        if self.shelf.get(id).is_some() {
            return self.give_receipt(from, id);
        }
        let admitted = header
            .check(unix)
            .and_then(|()| self.shelf.admit(header, Some(from)));
        match admitted {
            Ok(evicted) => {
                evicted.into_iter().for_each(|gone| self.forget(gone));
                self.storing.insert(id, vec![from]);
                self.out.push_back(Output::Store(deposit));
            }
            Err(refusal) => self.refuse(from, id, refusal),
        }
    }

    fn stored(&mut self, id: MessageId, now: Time) {
        if self.keep_stored(id) {
            return;
        }
        let waiting = self.storing.remove(&id).unwrap_or_default();
        let Some(item) = self.shelf.get_mut(id) else {
            // Deleted or evicted meanwhile.
            return self.out.push_back(Output::Forget(id));
        };
        item.stored = true;
        let tag = item.header.tag();
        for peer in waiting {
            self.give_receipt(peer, id);
        }
        for peer in self.clients.watchers(tag) {
            self.send(peer, Message::New(tag, id));
        }
        self.look_later(id, now);
    }

    fn give_receipt(&mut self, to: PeerId, id: MessageId) {
        if let Some(item) = self.shelf.get(id) {
            let expiry = item.header.expiry();
            let signature = sign_receipt(&self.signer, id, expiry);
            self.send(to, Message::Receipt(id, expiry, signature));
        }
    }

    fn list(&mut self, from: PeerId, terms: &Terms, watch: bool, signature: &Signature, now: Time) {
        let tag = terms.tag();
        let about = MessageId(tag.0);
        if !self.clients.may_ask(from, now) {
            return self.refuse(from, about, Refusal::TooFast);
        }
        let Some(client) = self.clients.get_mut(from) else {
            return;
        };
        let shown = client
            .nonce
            .is_some_and(|nonce| may_list(terms, &nonce, self.me, signature));
        if !shown {
            return self.refuse(from, about, Refusal::BadSignature);
        }
        if !client.reads.contains(&tag) {
            if client.reads.len() >= MAX_TAGS {
                return self.refuse(from, about, Refusal::TooFast);
            }
            client.reads.push(tag);
        }
        client.watches.retain(|other| *other != tag);
        if watch {
            client.watches.push(tag);
        }
        let ids: Vec<_> = self.shelf.stored(tag).collect();
        let mut parts = ids.chunks(MAX_IDS).peekable();
        if parts.peek().is_none() {
            let ids = Vec::new();
            let more = false;
            self.send(from, Message::Listing { tag, more, ids });
        }
        while let Some(part) = parts.next() {
            let (more, ids) = (parts.peek().is_some(), part.to_vec());
            self.send(from, Message::Listing { tag, more, ids });
        }
    }

    fn get(&mut self, from: PeerId, tag: Tag, id: MessageId, now: Time) {
        if !self.clients.may_ask(from, now) {
            return self.refuse(from, id, Refusal::TooFast);
        }
        let Some(client) = self.clients.get_mut(from) else {
            return;
        };
        if !client.reads.contains(&tag) {
            return self.refuse(from, id, Refusal::NotShown);
        }
        let here = |item: &&shelf::Item| item.stored && item.header.tag() == tag;
        match self.shelf.get(id).filter(here) {
            Some(_) => self.load(id, Job::Serve(from)),
            None => self.send(from, Message::Absent(id)),
        }
    }

    fn delete(
        &mut self,
        from: PeerId,
        terms: &Terms,
        items: Vec<(MessageId, Signature)>,
        now: Time,
    ) {
        let tag = terms.tag();
        let mut gone = Vec::new();
        for (id, signature) in items.into_iter().take(MAX_IDS) {
            if !self.clients.may_ask(from, now) {
                self.refuse(from, id, Refusal::TooFast);
            } else if self.shelf.tomb(id, tag).is_some() {
                gone.push(id);
            } else if !may_delete(terms, id, &signature) {
                self.refuse(from, id, Refusal::BadSignature);
            } else {
                self.bury(terms, id, signature);
                gone.push(id);
            }
        }
        if !gone.is_empty() {
            self.send(from, Message::Deleted(gone));
        }
    }

    /// Deletes what the reader of the tag signed for: the signature was checked.
    fn bury(&mut self, terms: &Terms, id: MessageId, signature: Signature) {
        if let Some((tomb, gone)) = self.shelf.bury(terms, id, signature) {
            self.out.push_back(Output::Bury(tomb));
            let exhume = |(tag, id)| Output::Exhume(tag, id);
            self.out.extend(gone.map(exhume));
        }
        let tag = terms.tag();
        if self
            .shelf
            .get(id)
            .is_some_and(|item| item.header.tag() == tag)
        {
            self.shelf.remove(id);
            self.upkeep.forget(id);
            self.let_go(id);
            if !self.storing.contains_key(&id) {
                self.out.push_back(Output::Forget(id));
            }
        }
    }

    fn probe(&mut self, from: PeerId, id: MessageId, nonce: Nonce, now: Time) {
        if !self.clients.may_ask(from, now) {
            return self.refuse(from, id, Refusal::TooFast);
        }
        if self.shelf.get(id).is_some_and(|item| item.stored) {
            return self.load(id, Job::Prove(from, nonce));
        }
        let answer = match self.shelf.any_tomb(id) {
            Some(signature) => Message::Buried(id, signature),
            None => Message::Absent(id),
        };
        self.send(from, answer);
    }

    fn load(&mut self, id: MessageId, job: Job) {
        let waiting: usize = self.jobs.values().map(Vec::len).sum();
        if waiting >= MAX_JOBS {
            if let Job::Serve(peer) | Job::Prove(peer, _) = job {
                self.refuse(peer, id, Refusal::TooFast);
            }
            return;
        }
        let jobs = self.jobs.entry(id).or_default();
        if jobs.is_empty() {
            self.out.push_back(Output::Load(id));
        }
        jobs.push(job);
    }

    fn loaded(&mut self, id: MessageId, deposit: Option<Deposit>, now: Time, unix: u64) {
        let jobs = self.jobs.remove(&id).unwrap_or_default();
        let held = self.shelf.get(id).is_some();
        let deposit = deposit.filter(|deposit| held && deposit.id() == id);
        if deposit.is_none() && held {
            // The store has lost or spoilt it.
            self.shelf.remove(id);
            self.upkeep.forget(id);
            self.forget(id);
        }
        for job in jobs {
            match (job, &deposit) {
                (Job::Serve(peer), Some(deposit)) => {
                    self.send(peer, Message::Letter(deposit.clone()));
                }
                (Job::Prove(peer, nonce), Some(deposit)) => {
                    let proof = possession(self.me, &nonce, deposit.envelope());
                    self.send(peer, Message::Held(id, proof));
                }
                (Job::Serve(peer) | Job::Prove(peer, _), None) => {
                    self.send(peer, Message::Absent(id));
                }
                (Job::Look, Some(deposit)) => self.looked_up(id, deposit.clone(), now, unix),
                (Job::Look, None) => {}
            }
        }
    }

    fn sweep(&mut self, now: Time, unix: u64) {
        self.swept = now;
        let over = self.shelf.expire(unix);
        for id in over.messages {
            self.upkeep.forget(id);
            self.forget(id);
        }
        self.sweep_blobs(now);
        let exhume = |(tag, id)| Output::Exhume(tag, id);
        self.out.extend(over.tombs.into_iter().map(exhume));
    }

    /// A message is here no more.
    fn forget(&mut self, id: MessageId) {
        self.let_go(id);
        self.out.push_back(Output::Forget(id));
    }

    fn refuse(&mut self, to: PeerId, id: MessageId, refusal: Refusal) {
        self.send(to, Message::Refused(id, refusal));
    }

    fn send(&mut self, to: PeerId, message: Message) {
        self.out.push_back(Output::Send(to, message));
    }
}
