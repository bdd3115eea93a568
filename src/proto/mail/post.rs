//! The mail of one person on one device: joins identity, records, keys, custody and contacts, and decides what is done when.
//!
//! [`Post`] has no network and no store. What must be known is asked for ([`Output::Get`], [`Output::Nearest`]), what must last is
//! [saved](Output::Save) before anything that rests on it goes out, and [`Post::new`] takes all of it back: a machine may stop between any two
//! outputs. A message waits in the outbox until its recipient is found, is sealed once, and stays there until the recipient's
//! signature or receipt says that it arrived ([`outbox`]). What arrives is let in once, handed out until the page has stored it, and
//! deleted at its custodians when every active device of the person has it ([`inbox`], [`devices`]). Whoever was written to or accepted
//! is a contact, and is given what admits to the contacts' lane with every message ([`people`]). What is said to whom is in
//! `docs/mail.md`.

use std::collections::{BTreeMap, VecDeque};
use std::fmt;

use bytes::Bytes;

use super::message::MessageId;
use super::seen::{MAX_AGE, Seen};
use super::{MailError, Week};
use crate::proto::custody::collector::{self, Collector};
use crate::proto::custody::depositor::{self, Depositor};
use crate::proto::custody::message::{Message as Asked, Nonce};
use crate::proto::custody::region::Candidate;
use crate::proto::custody::requests::Requests;
use crate::proto::custody::tag::{MailboxSecret, Tag};
use crate::proto::custody::{MessageId as DepositId, PeerId};
use crate::proto::identity::owner::Owner;
use crate::proto::identity::{Id, Key};
use crate::proto::keys::RootSecret;
use crate::proto::ordered::{Map, Set};
use crate::proto::types::Time;

mod burial;
mod devices;
mod feeding;
mod forwarding;
mod identity;
mod inbox;
mod lookup;
pub mod notes;
pub mod offer;
mod outbox;
mod people;
mod record;
mod renewal;
mod sending;
mod snapshot;
mod state;
mod types;
mod vault;

use self::devices::Device;
use self::identity::Me;
use self::inbox::{Held, Pending};
use self::lookup::{Look, Put};
use self::outbox::Outgoing;
use self::people::Person;
use self::snapshot::Snapshots;
use self::vault::{Draw, Vault};

pub use identity::Stage as IdentityStage;
pub use outbox::{Kind, MAX_OUTGOING, ParcelView, Stage};
pub use people::{MAX_PEOPLE, Standing, safety};
pub use renewal::{Change, Step};
pub use snapshot::MAX_SYNC;
pub use types::{
    Contact, DeviceView, Draft, Forwarded, Input, Job, Letter, Output, Policy, Ref, Status,
};
pub use vault::hex;

/// One person's mail on one device.
pub struct Post {
    root: RootSecret,
    id: Id,
    mailbox: MailboxSecret,
    vault: Vault,
    draw: Draw,
    /// Milliseconds since 1970; never runs backwards in a run.
    now: u64,
    me: Me,
    people: Map<Id, Person>,
    devices: Map<Key, Device>,
    outbox: Map<MessageId, Outgoing>,
    /// Parcels that are to be sealed.
    unsealed: Set<(MessageId, Id)>,
    /// Sealed parcels, by what custodians know them by.
    under_way: Map<DepositId, (MessageId, Id)>,
    held: BTreeMap<DepositId, Held>,
    refs: BTreeMap<Ref, DepositId>,
    seen: Seen,
    pending: Map<DepositId, Pending>,
    requests: Requests,
    looks: Map<Vec<u8>, Look>,
    puts: Map<Vec<u8>, Put>,
    depositor: Depositor,
    collector: Collector,
    /// The challenges of streams that are open.
    challenges: Map<PeerId, Nonce>,
    relays: Vec<PeerId>,
    snapshots: Snapshots,
    timers: Timers,
    /// Counts the messages of this device.
    sequence: u64,
    /// Entries that did not open.
    damaged: usize,
    /// What the collector was last told to read, and what the record was last made of: both cost keys.
    reading: Option<(u64, Lanes)>,
    offer: Option<(Week, Policy)>,
    draining: bool,
    out: VecDeque<Output>,
}

/// Generations and prices that are read, and until when.
type Lanes = (Vec<(u32, u64)>, Vec<(u8, u64)>);

/// When something is due, in milliseconds since 1970.
#[derive(Debug, Clone, Copy, Default)]
struct Timers {
    depositor: Option<u64>,
    collector: Option<u64>,
    receipts: Option<u64>,
    has: Option<u64>,
    snapshot: Option<u64>,
    /// The next look-up for what waits for its sender's identity.
    pending: Option<u64>,
    review: u64,
    woken: Option<u64>,
}

/// Challenges that are remembered: as many peers as a collector knows.
const MAX_CHALLENGES: usize = collector::MAX_PEERS;

/// Milliseconds between two looks at what time alone changes: weeks, keys, what has expired.
const REVIEW: u64 = 10 * 60 * 1000;

/// For what ids of messages follow from tokens.
const MESSAGE: char = 'm';

/// As [`MAX_AGE`], in milliseconds.
const MAX_AGE_MILLIS: u64 = MAX_AGE * 1000;

impl Post {
    /// The mail of whoever has this secret, with everything that it ever asked to [save](Output::Save), at `now` in milliseconds since 1970.
    /// `seed` are 32 random bytes, others each time; `puzzle_bits` is the work that custodians' ids must show.
    ///
    /// # Errors
    /// `StateDamaged` if the entries were saved by somebody else.
    pub fn new(
        secret: [u8; 32],
        entries: Vec<(String, Vec<u8>)>,
        seed: [u8; 32],
        puzzle_bits: u8,
        now: u64,
    ) -> Result<Self, MailError> {
        let root = RootSecret::new(secret);
        let mailbox = root.mailbox_secret(0, 0);
        let mut draw = Draw::new(&seed);
        let depositor = Depositor::new(puzzle_bits, u64::from_le_bytes(draw.bytes()));
        let mut post = Self {
            id: Owner::new(&root, 0).id(),
            vault: Vault::new(&secret),
            me: Me::new(&mailbox, draw.bytes(), now),
            mailbox: MailboxSecret::new(*mailbox),
            root,
            draw,
            now,
            people: Map::new(),
            devices: Map::new(),
            outbox: Map::new(),
            unsealed: Set::new(),
            under_way: Map::new(),
            held: BTreeMap::new(),
            refs: BTreeMap::new(),
            seen: Seen::default(),
            pending: Map::new(),
            requests: Requests::default(),
            looks: Map::new(),
            puts: Map::new(),
            depositor,
            collector: Collector::new(puzzle_bits),
            challenges: Map::new(),
            relays: Vec::new(),
            snapshots: Snapshots::default(),
            timers: Timers::default(),
            sequence: 0,
            damaged: 0,
            reading: None,
            offer: None,
            draining: false,
            out: VecDeque::new(),
        };
        post.restore(entries)?;
        post.mailbox = MailboxSecret::new(*post.mailbox_secret());
        post.tell_identity();
        post.start();
        post.pump();
        Ok(post)
    }

    /// Who it is.
    pub fn id(&self) -> Id {
        self.id
    }

    /// Whether mail is sent and read.
    pub fn is_ready(&self) -> bool {
        self.me.stage == IdentityStage::Ready
    }

    /// Saved values that did not open, and are left out.
    pub fn damaged(&self) -> usize {
        self.damaged
    }

    /// The next thing to do; drain it after every [`handle`](Self::handle).
    pub fn poll_output(&mut self) -> Option<Output> {
        self.out.pop_front()
    }

    /// Takes in what happened, at `now` in milliseconds since 1970.
    pub fn handle(&mut self, input: Input, now: u64) {
        self.now = self.now.max(now);
        match input {
            Input::Begin(name) => self.begin(&name),
            Input::Recover(name) => self.recover(&name),
            Input::Tick => self.timers.woken = None,
            Input::Online => self.online(),
            Input::Random(bytes) => self.draw.mix(&bytes),
            Input::Nearest(tag, found) => self.nearest(tag, found),
            Input::Answer(peer, message) => self.answer(peer, message),
            Input::Records(key, values) => self.records(&key, values),
            Input::Put(key, holders) => self.was_put(&key, holders),
            Input::Relays(relays) => self.relays_changed(relays),
            Input::Stamped(job, nonce) => self.stamped(job, nonce),
            Input::Send(draft, token) => self.send(draft, token),
            Input::Forward(mail, token) => self.forward(mail, token),
            Input::Cancel(message) => self.cancel(message),
            Input::Retry(message) => self.retry(message),
            Input::Stored(message) => self.stored(message),
            Input::Read(message) => self.was_read(message),
            Input::Remove(message) => self.remove(message),
            Input::Contact(contact) => self.contact(contact),
            Input::Policy(policy) => self.policy(policy),
            Input::RemoveDevice(key) => self.remove_device(key),
            Input::Change(change) => {
                if let Err(error) = self.changed(change) {
                    self.out.push_back(Output::Refused(error.code()));
                }
            }
            Input::Sync(data) => self.sync(data),
        }
        self.pump();
    }

    /// Does all that can be done now.
    fn pump(&mut self) {
        if self.timers.review <= self.now {
            self.timers.review = self.now + REVIEW;
            self.review();
        }
        self.look_out();
        self.put_due();
        if self.is_ready() {
            self.receipts_due();
            self.has_due();
            self.snapshot_due();
            self.seal_due();
            self.feed();
        }
        self.tick_custody();
        self.drain();
        self.wake();
    }

    /// What is done once in a run.
    fn start(&mut self) {
        let known: Vec<_> = self.held.keys().copied().collect();
        self.collect(collector::Input::Known(known));
        self.read_mailboxes();
        self.say_deleted();
    }

    fn nearest(&mut self, tag: Tag, found: Vec<Candidate>) {
        self.deposit(depositor::Input::Found(tag, found.clone()));
        self.collect(collector::Input::Found(tag, found));
    }

    /// Both ends of custody ask on the same streams.
    fn answer(&mut self, peer: PeerId, message: Option<Bytes>) {
        let message = message.map(|bytes| Asked::decode(&bytes));
        match message {
            Some(Ok(message)) => {
                if let Asked::Challenge(nonce) = message
                    && self.challenges.len() < MAX_CHALLENGES
                {
                    self.challenges.insert(peer, nonce);
                }
                self.deposit(depositor::Input::Received(peer, message.clone()));
                self.collect(collector::Input::Received(peer, message));
            }
            // What nobody says who keeps to the protocol counts as silence.
            Some(Err(_)) | None => {
                self.challenges.remove(&peer);
                self.deposit(depositor::Input::Unreachable(peer));
                self.collect(collector::Input::Unreachable(peer));
            }
        }
    }

    fn deposit(&mut self, input: depositor::Input) {
        let (now, unix) = (self.time(), self.unix());
        self.depositor.handle(input, now, unix);
        self.drain();
    }

    fn collect(&mut self, input: collector::Input) {
        let (now, unix) = (self.time(), self.unix());
        self.collector.handle(input, now, unix);
        self.drain();
    }

    fn tick_custody(&mut self) {
        let due = |at: Option<u64>| at.is_some_and(|at| at <= self.now);
        let (depositor, collector) = (due(self.timers.depositor), due(self.timers.collector));
        if depositor {
            self.timers.depositor = None;
            self.deposit(depositor::Input::Tick);
        }
        if collector {
            self.timers.collector = None;
            self.collect(collector::Input::Tick);
        }
    }

    /// Does what both ends of custody want; what that makes them want too.
    fn drain(&mut self) {
        if std::mem::replace(&mut self.draining, true) {
            return;
        }
        loop {
            if let Some(output) = self.depositor.poll_output() {
                self.depositor_wants(output);
            } else if let Some(output) = self.collector.poll_output() {
                self.collector_wants(output);
            } else {
                break;
            }
        }
        self.draining = false;
    }

    fn depositor_wants(&mut self, output: depositor::Output) {
        use depositor::Output as Wants;
        match output {
            Wants::Lookup(tag) => self.out.push_back(Output::Nearest(tag)),
            Wants::Send(peer, message) => self.ask(peer, &message),
            Wants::Receipts {
                id,
                peers,
                relays,
                kept,
                stored,
            } => self.receipts_signed(id, peers, relays, kept, stored),
            Wants::Delivered(id) => self.finish(id, Stage::Delivered, None),
            Wants::Expired(id) => self.finish(id, Stage::Expired, None),
            Wants::Full(id) => self.not_taken(id),
            Wants::WakeAt(at) => self.timers.depositor = Some(millis(at)),
        }
    }

    fn collector_wants(&mut self, output: collector::Output) {
        use collector::Output as Wants;
        match output {
            Wants::Lookup(tag) => self.out.push_back(Output::Nearest(tag)),
            Wants::Open(peer) => match self.challenges.get(&peer).copied() {
                // A stream is open already, for what we left there.
                Some(nonce) => {
                    let again = Asked::Challenge(nonce);
                    self.collect(collector::Input::Received(peer, again));
                }
                None => self.out.push_back(Output::Open(peer)),
            },
            Wants::Send(peer, message) => self.ask(peer, &message),
            Wants::Letter(deposit) => self.arrived(&deposit),
            Wants::Settled(_) => {}
            Wants::WakeAt(at) => self.timers.collector = Some(millis(at)),
        }
    }

    fn ask(&mut self, peer: PeerId, message: &Asked) {
        // Without the two bytes of its length, which streams add.
        let bytes = message.encode().slice(2..);
        self.out.push_back(Output::Ask(peer, bytes));
    }

    fn wake(&mut self) {
        let timers = self.timers;
        let times = [
            timers.depositor,
            timers.collector,
            timers.receipts,
            timers.has,
            timers.snapshot,
            timers.pending,
            Some(timers.review),
            self.lookups_due(),
        ];
        let Some(at) = times.into_iter().flatten().min() else {
            return;
        };
        let at = at.max(self.now + 1);
        // A wake that is later than the one before must be said too.
        if self.timers.woken != Some(at) {
            self.timers.woken = Some(at);
            self.out.push_back(Output::Wake(at));
        }
    }

    /// Seconds since 1970.
    fn unix(&self) -> u64 {
        self.now / 1000
    }

    fn time(&self) -> Time {
        Time(self.now.saturating_mul(1000))
    }

    fn week(&self) -> Week {
        Week::of(self.unix())
    }

    fn save(&mut self, name: String, plain: &[u8]) {
        let sealed = self.vault.seal(&name, plain, &mut self.draw);
        self.out.push_back(Output::Save(name, Some(sealed)));
    }

    fn unsave(&mut self, name: String) {
        self.out.push_back(Output::Save(name, None));
    }
}

fn millis(at: Time) -> u64 {
    at.0.div_ceil(1000)
}

impl fmt::Debug for Post {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Post")
            .field("id", &self.id)
            .field("stage", &self.me.stage)
            .field("outbox", &self.outbox.len())
            .field("held", &self.held.len())
            .finish_non_exhaustive()
    }
}
