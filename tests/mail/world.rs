//! A toy network in virtual time: custodians as they ship, an index of records, and people whose pages may stop at any moment.

mod keepers;
mod performing;

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;
use gyre::proto::custody::custodian::{Config, Custodian, Input as Keeping, Output as Kept};
use gyre::proto::custody::deposit::Deposit;
use gyre::proto::custody::message::Message;
use gyre::proto::custody::region::{Candidate, distance, location, position};
use gyre::proto::custody::sign::Signer;
use gyre::proto::custody::tag::Tag;
use gyre::proto::custody::{MessageId as DepositId, PeerId, READ_WIDTH};
use gyre::proto::identity::{Id, Key};
use gyre::proto::mail::message::Body;
use gyre::proto::mail::post::{
    Contact, Draft, IdentityStage, Input, Letter, Policy, Post, Ref, Stage, Standing, Status,
};
use gyre::proto::random::Random;
use gyre::proto::types::{BlobHash, Time};

use keepers::keeper;
pub use keepers::{Habit, Keeper};

/// 2026-11-26 00:00 UTC, a Thursday: a week begins.
pub const START: u64 = 1_795_651_200_000;
pub const MINUTE: u64 = 60_000;
pub const HOUR: u64 = 60 * MINUTE;
pub const DAY: u64 = 24 * HOUR;

/// One device of somebody, and the page that it runs.
pub struct Device {
    secret: [u8; 32],
    pub post: Option<Post>,
    pub online: bool,
    /// By how much its clock is wrong, in milliseconds.
    pub skew: i64,
    peer: PeerId,
    /// What was saved, and survives.
    pub saved: BTreeMap<String, Vec<u8>>,
    /// The letters that the page stored, and which of them the mailer was told of.
    pub letters: BTreeMap<Ref, Letter>,
    acknowledged: BTreeSet<Ref>,
    /// Letters that came again after they had been acknowledged.
    pub twice: usize,
    pub statuses: BTreeMap<(Ref, Id), Status>,
    pub contacts: BTreeMap<Id, Standing>,
    pub names: BTreeMap<Id, Option<String>>,
    /// Those whose identities contradict themselves, and how often one's own does.
    pub forked: BTreeSet<Id>,
    pub forks: usize,
    /// Forks of one's own machines: those that wait to be signed again, and those of which nothing is lost.
    pub open: usize,
    pub settled: usize,
    /// Who has given theirs up.
    pub ended: BTreeMap<Id, bool>,
    /// Keys that were looked up, and when.
    pub looked_up: Vec<(Vec<u8>, u64)>,
    pub sent: BTreeMap<String, Ref>,
    pub failed: Vec<&'static str>,
    pub refused: Vec<&'static str>,
    pub gone: BTreeSet<Ref>,
    pub synced: Vec<Vec<u8>>,
    /// Attachments that it serves.
    pub shares: BTreeSet<BlobHash>,
    pub stage: Option<IdentityStage>,
    pub devices: Vec<Key>,
    pub on_paper: bool,
    pub stamps: usize,
    wake: Option<u64>,
    restart: Option<u64>,
    runs: u64,
    /// Out of so many outputs, one stops the page; 0 for never.
    pub fragile: u32,
    /// Whether the page says by itself that a letter is stored.
    pub stores: bool,
}

enum Event {
    ToKeeper(usize, PeerId, Bytes),
    ToDevice(usize, u64, Input),
    Opened(usize, PeerId),
    Closed(usize, PeerId),
    Exchange,
}

pub struct World {
    pub now: u64,
    pub random: Random,
    pub keepers: Vec<Keeper>,
    pub people: Vec<Device>,
    pub records: BTreeMap<Vec<u8>, Vec<u8>>,
    /// Streams: who asks whom.
    streams: BTreeSet<(PeerId, PeerId)>,
    events: BTreeMap<(u64, u64), Event>,
    counter: u64,
    pub puts: u64,
}

impl World {
    pub fn new(seed: u64, keepers: usize) -> Self {
        let keepers = (0..keepers).map(|n| keeper(seed, n as u64)).collect();
        Self {
            now: START,
            random: Random::new(seed),
            keepers,
            people: Vec::new(),
            records: BTreeMap::new(),
            streams: BTreeSet::new(),
            events: BTreeMap::new(),
            counter: 0,
            puts: 0,
        }
    }

    /// A page of whoever has this secret, without an identity yet.
    pub fn device(&mut self, _name: &str, secret: u8) -> usize {
        let n = self.people.len();
        self.people.push(Device {
            secret: [secret; 32],
            post: None,
            online: true,
            skew: 0,
            peer: PeerId(Signer::from_seed([200 + n as u8; 32]).public()),
            saved: BTreeMap::new(),
            letters: BTreeMap::new(),
            acknowledged: BTreeSet::new(),
            twice: 0,
            statuses: BTreeMap::new(),
            contacts: BTreeMap::new(),
            names: BTreeMap::new(),
            forked: BTreeSet::new(),
            forks: 0,
            open: 0,
            settled: 0,
            ended: BTreeMap::new(),
            on_paper: false,
            looked_up: Vec::new(),
            sent: BTreeMap::new(),
            failed: Vec::new(),
            refused: Vec::new(),
            gone: BTreeSet::new(),
            synced: Vec::new(),
            shares: BTreeSet::new(),
            stage: None,
            devices: Vec::new(),
            stamps: 0,
            wake: None,
            restart: None,
            runs: 0,
            fragile: 0,
            stores: true,
        });
        self.start(n);
        n
    }

    /// Somebody with an identity.
    pub fn person(&mut self, name: &str, secret: u8) -> usize {
        let n = self.device(name, secret);
        self.say(n, Input::Begin(name.to_owned()));
        self.say(n, Input::Policy(policy()));
        n
    }

    pub fn id(&self, n: usize) -> Id {
        self.people[n].post.as_ref().expect("a page that runs").id()
    }

    /// Begins a run of a page from what was saved.
    pub fn start(&mut self, n: usize) {
        let seed = self.random.bits();
        let device = &mut self.people[n];
        device.runs += 1;
        device.restart = None;
        let mut bytes = [0; 32];
        bytes[..8].copy_from_slice(&seed.to_le_bytes());
        let entries = device.saved.clone().into_iter().collect();
        let now = self.now.saturating_add_signed(device.skew);
        let post = Post::new(device.secret, entries, bytes, 0, now);
        device.post = Some(post.expect("what was saved opens"));
        self.drain(n);
    }

    /// The page stops: what was not saved is lost.
    pub fn stop(&mut self, n: usize) {
        let peer = self.people[n].peer;
        self.people[n].post = None;
        self.people[n].wake = None;
        self.close_all(peer);
    }

    /// The page is loaded anew, after a second in which its streams end.
    pub fn restart(&mut self, n: usize) {
        self.stop(n);
        self.run(1_000);
        self.start(n);
    }

    pub fn go_offline(&mut self, n: usize) {
        self.people[n].online = false;
        self.stop(n);
    }

    pub fn come_online(&mut self, n: usize) {
        self.people[n].online = true;
        self.start(n);
    }

    /// The same machine, on which everything was deleted.
    pub fn wipe(&mut self, n: usize) {
        self.stop(n);
        let device = &mut self.people[n];
        device.saved.clear();
        device.letters.clear();
        device.acknowledged.clear();
        self.start(n);
    }

    pub fn keeper_goes(&mut self, n: usize) {
        let peer = self.keepers[n].peer;
        self.keepers[n].online = false;
        self.close_all(peer);
    }

    pub fn keeper_comes(&mut self, n: usize) {
        self.keepers[n].online = true;
        self.keepers[n].wake = self.now;
        self.swarm_soon();
    }

    fn close_all(&mut self, peer: PeerId) {
        let gone: Vec<_> = self
            .streams
            .iter()
            .filter(|(asker, asked)| *asker == peer || *asked == peer)
            .copied()
            .collect();
        for (asker, asked) in gone {
            self.streams.remove(&(asker, asked));
            if asker == peer {
                if let Some(keeper) = self.keeper_of(asked) {
                    self.later(Event::Closed(keeper, asker));
                }
            } else {
                self.ended(asker, asked);
            }
        }
    }

    /// Tells whoever asked that its stream has ended.
    fn ended(&mut self, asker: PeerId, asked: PeerId) {
        if let Some(n) = self.device_of(asker) {
            let run = self.people[n].runs;
            self.later(Event::ToDevice(n, run, Input::Answer(asked, None)));
        } else if let Some(n) = self.keeper_of(asker) {
            self.keep(n, Keeping::Unreachable(asked));
        }
    }

    fn device_of(&self, peer: PeerId) -> Option<usize> {
        self.people.iter().position(|device| device.peer == peer)
    }

    /// The swarms get on.
    pub fn swarm_soon(&mut self) {
        self.counter += 1;
        let at = (self.now + 3000, self.counter);
        self.events.insert(at, Event::Exchange);
    }

    fn later(&mut self, event: Event) {
        let delay = 20 + u64::from(self.random.below(180));
        self.counter += 1;
        self.events.insert((self.now + delay, self.counter), event);
    }

    /// Says something to a mailer, as its page would.
    pub fn say(&mut self, n: usize, input: Input) {
        let now = self.now.saturating_add_signed(self.people[n].skew);
        if let Some(post) = &mut self.people[n].post {
            post.handle(input, now);
            self.drain(n);
        }
    }

    /// Writes a letter; the token is the text.
    pub fn write(&mut self, n: usize, to: &[usize], text: &str) {
        let to = to.iter().map(|to| self.id(*to)).collect();
        self.write_to(n, to, text);
    }

    pub fn write_to(&mut self, n: usize, to: Vec<Id>, text: &str) {
        let draft = draft(to, text);
        self.say(n, Input::Send(draft, text.to_owned()));
    }

    pub fn accept(&mut self, n: usize, whom: Id) {
        self.say(n, Input::Contact(contact(whom, Standing::Accepted)));
    }

    /// Does everything that happens within a time.
    pub fn run(&mut self, millis: u64) {
        let end = self.now + millis;
        self.run_until(end, |_| false);
        self.now = end;
    }

    /// Runs until something is so; whether it became so within a time.
    pub fn until(&mut self, millis: u64, so: impl Fn(&Self) -> bool) -> bool {
        let end = self.now + millis;
        self.run_until(end, &so)
    }

    fn run_until(&mut self, end: u64, so: impl Fn(&Self) -> bool) -> bool {
        loop {
            if so(self) {
                return true;
            }
            let event = self.events.keys().next().map(|(at, _)| *at);
            let keepers = self.keepers.iter().filter(|keeper| keeper.online);
            let keeper = keepers.map(|keeper| keeper.wake).min();
            let device = self.people.iter().filter_map(|device| {
                let skew = device.skew;
                let wake = device.wake.filter(|_| device.post.is_some());
                let wake = wake.map(|at| at.saturating_add_signed(-skew));
                wake.into_iter().chain(device.restart).min()
            });
            let next = [event, keeper, device.min()].into_iter().flatten().min();
            let Some(next) = next.filter(|next| *next <= end) else {
                return false;
            };
            self.now = self.now.max(next);
            self.step();
        }
    }

    fn step(&mut self) {
        let due = self.events.keys().next().copied();
        if let Some(key) = due.filter(|(at, _)| *at <= self.now)
            && let Some(event) = self.events.remove(&key)
        {
            return self.happen(event);
        }
        for n in 0..self.keepers.len() {
            if self.keepers[n].online && self.keepers[n].wake <= self.now {
                self.keepers[n].wake = u64::MAX;
                self.keep(n, Keeping::Tick);
            }
        }
        for n in 0..self.people.len() {
            let device = &mut self.people[n];
            if device.restart.is_some_and(|at| at <= self.now) {
                self.start(n);
                continue;
            }
            let due = device
                .wake
                .is_some_and(|at| at.saturating_add_signed(-device.skew) <= self.now);
            if due && device.post.is_some() {
                device.wake = None;
                self.say(n, Input::Tick);
            }
        }
    }

    fn happen(&mut self, event: Event) {
        match event {
            Event::ToKeeper(n, from, bytes) => {
                if !self.keepers[n].online {
                    return self.ended(from, self.keepers[n].peer);
                }
                if let Ok(message) = Message::decode(&bytes) {
                    self.keep(n, Keeping::Received(from, message));
                }
            }
            Event::ToDevice(n, run, input) => {
                // What was meant for a page that is gone reaches nobody.
                if self.people[n].runs == run && self.people[n].online {
                    self.say(n, input);
                }
            }
            Event::Opened(n, peer) => match self.keepers[n].online {
                true => self.keep(n, Keeping::Opened(peer)),
                false => {
                    let asked = self.keepers[n].peer;
                    self.streams.remove(&(peer, asked));
                    self.ended(peer, asked);
                }
            },
            Event::Closed(n, peer) => self.keep(n, Keeping::Closed(peer)),
            Event::Exchange => self.exchange(),
        }
    }

    fn time(&self) -> Time {
        Time(self.now * 1000)
    }

    fn open(&mut self, asker: PeerId, asked: PeerId) -> bool {
        let Some(n) = self.keeper_of(asked).filter(|n| self.keepers[*n].online) else {
            self.ended(asker, asked);
            return false;
        };
        if self.streams.insert((asker, asked)) {
            // A stream keeps its order: it is open before anything comes on it.
            self.happen(Event::Opened(n, asker));
        }
        true
    }

    fn request(&mut self, asker: PeerId, asked: PeerId, bytes: Bytes) {
        if self.open(asker, asked)
            && let Some(n) = self.keeper_of(asked)
        {
            self.later(Event::ToKeeper(n, asker, bytes));
        }
    }

    /// Those that are online, nearest first.
    pub fn near(&self, tag: Tag) -> Vec<Candidate> {
        let place = location(tag);
        let online = self.keepers.iter().filter(|keeper| keeper.online);
        let mut near: Vec<_> = online.map(|keeper| keeper.peer).collect();
        near.sort_by_key(|peer| distance(&place, &position(*peer)));
        near.into_iter()
            .take(READ_WIDTH)
            .map(Candidate::new)
            .collect()
    }

    pub fn texts(&self, n: usize) -> BTreeSet<String> {
        self.people[n].letters.values().map(text).collect()
    }

    pub fn status(&self, n: usize, token: &str, to: Id) -> Option<&Status> {
        let message = self.people[n].sent.get(token)?;
        self.people[n].statuses.get(&(*message, to))
    }

    pub fn stage(&self, n: usize, token: &str, to: Id) -> Option<Stage> {
        Some(self.status(n, token, to)?.stage)
    }

    pub fn stored(&self, n: usize, token: &str, to: Id) -> bool {
        self.stage(n, token, to)
            .is_some_and(|stage| stage >= Stage::Stored)
    }

    pub fn delivered(&self, n: usize, token: &str, to: Id) -> bool {
        matches!(
            self.stage(n, token, to),
            Some(Stage::Delivered | Stage::Read)
        )
    }
}

pub fn draft(to: Vec<Id>, text: &str) -> Draft {
    Draft {
        to,
        thread: None,
        answers: None,
        body: Body::Here(text.as_bytes().to_vec()),
        enclosures: Vec::new(),
    }
}

pub fn contact(id: Id, standing: Standing) -> Contact {
    Contact {
        id,
        petname: None,
        standing,
        card: None,
    }
}

pub fn policy() -> Policy {
    Policy {
        stamp_bits: 4,
        read_receipts: true,
        open: true,
        relays: Vec::new(),
    }
}

pub fn text(letter: &Letter) -> String {
    match &letter.body {
        Body::Here(bytes) => String::from_utf8_lossy(bytes).into_owned(),
        Body::There(enclosure) => format!("at {}", enclosure.hash()),
    }
}
