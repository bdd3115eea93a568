//! A deterministic simulator of mail between people who are hardly ever online together.
//!
//! Machines come and go as `churn` says, and forget all but their stores; between them the very state machines of the
//! product run, over links that take a second to come up, fail sometimes, and whose end is noticed late. A look-up finds who is near a
//! tag, with a part missing and some who have just left. Each message goes from a sender of its own to a reader of its own. The same
//! scenario and seed give the same run.

mod actor;
mod churn;
mod machines;
mod network;
mod report;

use std::collections::VecDeque;
use std::time::Duration;

use bytes::Bytes;

use self::actor::{Actor, Role};
use self::churn::{Habit, exponential, hours, uniform};
use super::collector::{self, Collector};
use super::custodian::{self, Config};
use super::deposit::{Deposit, Expiry};
use super::depositor::{self, Depositor};
use super::message::Message;
use super::sign::Signer;
use super::tag::{Lane, MailboxSecret, Tag, Week};
use super::{CLOCK_ERROR, ENVELOPE_LEN};
use crate::proto::random::Random;
use crate::proto::sim::agenda::Agenda;
use crate::proto::types::Time;

pub use report::Report;

/// How some machines misbehave, while they speak correctly otherwise.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Lie {
    /// Signs receipts and keeps nothing; claims to hold whatever it is asked for.
    Drops,
    /// Sends other bytes than were left.
    Garbage,
    /// Keeps and proves all, and lists nothing to the reader.
    Hides,
}

/// What is simulated.
#[derive(Debug, Clone)]
pub struct Scenario {
    /// Decides everything that is left to chance.
    pub seed: u64,
    /// Machines that keep messages.
    pub nodes: usize,
    /// Part of the time that they are online, on average.
    pub online: f64,
    /// Minutes of a session, on average.
    pub session: f64,
    /// Days after which a machine's store is wiped, on average.
    pub life: f64,
    /// Hours after which a reader comes for the first time, on average.
    pub absence: f64,
    /// Messages.
    pub messages: usize,
    /// Mailbox relays, each up for 98 % of the time.
    pub relays: usize,
    /// Whether senders come back, three times a day.
    pub senders_return: bool,
    /// Part of the machines that misbehave, and how.
    pub liars: (f64, Lie),
    /// Part of all clocks, people's too, that are a day wrong, to either side.
    pub wrong_clocks: f64,
    /// All that were first given a message are gone for good before its reader comes: machines leave one after the other.
    pub replace_all: bool,
    /// Two devices of a reader, both of which read and delete.
    pub two_devices: bool,
    /// Whether signatures are real; else they are hashes, see [`sign`](super::sign).
    pub real_keys: bool,
    /// The custodians' tunables.
    pub config: Config,
}

impl Scenario {
    /// 4000 machines that are online for a part of the time in sessions of so many minutes; readers away for 12 h.
    pub fn new(seed: u64, online: f64, session: f64) -> Self {
        Self {
            seed,
            nodes: 4000,
            online,
            session,
            life: 30.0,
            absence: 12.0,
            messages: 500,
            relays: 0,
            senders_return: true,
            liars: (0.0, Lie::Drops),
            wrong_clocks: 0.0,
            replace_all: false,
            two_devices: false,
            real_keys: false,
            config: Config {
                puzzle_bits: 0,
                ..Config::default()
            },
        }
    }
}

/// When the simulation begins, in seconds since 1970: a Saturday, so that some messages are fetched in another week.
const UNIX: u64 = 1_800_000_000;
/// First and last hour in which a message is sent: before, the population settles.
const SENT: (f64, f64) = (24.0, 96.0);
/// Longest absence of a reader in hours.
const LONGEST: f64 = 13.0 * 24.0;
/// Hours that are simulated after the last reader's first session.
const AFTER: f64 = 73.0;
/// A reader's session, and a sender's who comes back, hours.
const VISIT: f64 = 10.0 / 60.0;
/// Mean pause between them, hours.
const VISITS_APART: f64 = 8.0;
/// Time until a link is up.
const CONNECT: Duration = Duration::from_secs(1);
/// Time until a link that does not come up is given up.
const GIVE_UP: Duration = Duration::from_secs(10);
/// One way.
const LATENCY: Duration = Duration::from_millis(100);
/// Time until an end notices that the other is gone.
const NOTICE: Duration = Duration::from_secs(20);
/// Time that a look-up takes.
const LOOKUP: Duration = Duration::from_secs(2);
/// Time for which look-ups still find who has left.
const STALE: Duration = Duration::from_secs(120);
/// Part of the links that do not come up.
const LINK_FAILS: f64 = 0.05;
/// Part of the peers that a look-up misses.
const MISSED: f64 = 0.05;

#[derive(Debug)]
enum Event {
    On(usize),
    Off(usize, u64),
    Visit(usize),
    Arrive {
        from: usize,
        to: usize,
        session: u64,
        message: Message,
    },
    Opened {
        from: usize,
        to: usize,
        session: u64,
    },
    Closed(usize, usize),
    Unreachable(usize, usize),
    Found {
        at: usize,
        session: u64,
        role: Role,
        tag: Tag,
    },
    Wake(usize, Role, Time),
    Deleted {
        letter: usize,
        device: usize,
        session: u64,
    },
}

/// A message and its two people, who are the machines after the nodes and relays.
#[derive(Debug)]
struct Letter {
    deposit: Deposit,
    secret: MailboxSecret,
    sender: usize,
    /// One for each device.
    readers: Vec<usize>,
    delivered: bool,
    first_visit: Option<Time>,
    got: Option<Time>,
    got_in_first: bool,
    keepers: Vec<usize>,
}

/// One run of a scenario.
#[derive(Debug)]
pub struct Simulation {
    scenario: Scenario,
    random: Random,
    now: Time,
    agenda: Agenda<Event>,
    actors: Vec<Actor>,
    relays: Vec<usize>,
    online: Vec<usize>,
    nodes_online: usize,
    left: VecDeque<(Time, usize)>,
    letters: Vec<Letter>,
    /// Machines that have left for good.
    gone: Vec<bool>,
    by_id: std::collections::BTreeMap<super::PeerId, usize>,
    report: Report,
}

impl Simulation {
    /// Prepares a run.
    pub fn new(scenario: Scenario) -> Self {
        let mut simulation = Self {
            random: Random::new(scenario.seed),
            now: Time(0),
            agenda: Agenda::default(),
            actors: Vec::new(),
            relays: Vec::new(),
            online: Vec::new(),
            nodes_online: 0,
            left: VecDeque::new(),
            letters: Vec::new(),
            gone: Vec::new(),
            by_id: std::collections::BTreeMap::new(),
            report: Report::default(),
            scenario,
        };
        for _ in 0..simulation.scenario.nodes {
            simulation.add_node();
        }
        for _ in 0..simulation.scenario.relays {
            let relay = simulation.add_actor();
            simulation.actors[relay].relay = true;
            simulation.relays.push(relay);
            simulation.agenda.add(Time(0), Event::On(relay));
        }
        for _ in 0..simulation.scenario.messages {
            simulation.add_letter();
        }
        simulation.gone = vec![false; simulation.actors.len()];
        simulation
    }

    /// Runs until three days after the last reader came for the first time, or until all is read.
    pub fn run(mut self) -> Report {
        let limit = hours(SENT.1 + LONGEST + AFTER);
        while let Some((time, event)) = self.agenda.next() {
            if time > Time(0) + limit || self.report.read == self.letters.len() {
                break;
            }
            self.account(time);
            self.now = time;
            self.step(event);
        }
        for letter in &self.letters {
            let Some(first) = letter.first_visit else {
                continue;
            };
            self.report.came += 1;
            let within = |limit: f64| letter.got.is_some_and(|at| at.since(first) <= hours(limit));
            self.report.first += usize::from(letter.got_in_first);
            self.report.day += usize::from(within(24.0));
            self.report.three_days += usize::from(within(72.0));
        }
        self.report.messages = self.letters.len();
        self.report
    }

    fn account(&mut self, until: Time) {
        let nodes = self.nodes_online;
        let share = nodes as f64 / self.scenario.nodes as f64;
        let passed = until.since(self.now).as_secs_f64();
        self.report.online_share += share * passed;
        self.report.seconds += passed;
    }

    fn add_actor(&mut self) -> usize {
        let mut seed = [0; 32];
        for part in seed.chunks_mut(8) {
            part.copy_from_slice(&self.random.bits().to_be_bytes());
        }
        let signer = match self.scenario.real_keys {
            true => Signer::from_seed(seed),
            false => Signer::marked(seed),
        };
        let mut actor = Actor::new(signer);
        if uniform(&mut self.random) < self.scenario.wrong_clocks {
            let day = 24 * 3600;
            actor.skew = if self.random.below(2) == 0 { day } else { -day };
        }
        let at = self.actors.len();
        self.by_id.insert(actor.id, at);
        self.actors.push(actor);
        at
    }

    fn add_node(&mut self) {
        let at = self.add_actor();
        let (share, session) = (self.scenario.online, self.scenario.session / 60.0);
        let habit = Habit::draw(&mut self.random, share, session);
        let begins = match habit.is_online(&mut self.random) {
            true => Duration::ZERO,
            false => habit.pause(&mut self.random),
        };
        let actor = &mut self.actors[at];
        actor.habit = Some(habit);
        actor.wiped = Time(0) + exponential(&mut self.random, self.scenario.life * 24.0);
        let (part, lie) = self.scenario.liars;
        if uniform(&mut self.random) < part {
            actor.lie = Some(lie);
        }
        self.agenda.add(Time(0) + begins, Event::On(at));
    }

    fn add_letter(&mut self) {
        let sender = self.add_actor();
        let devices = 1 + usize::from(self.scenario.two_devices);
        let readers: Vec<_> = (0..devices).map(|_| self.add_actor()).collect();
        let mut secret = [0; 32];
        secret[..8].copy_from_slice(&self.random.bits().to_be_bytes());
        let secret = match self.scenario.real_keys {
            true => MailboxSecret::new(secret),
            false => MailboxSecret::marked(secret),
        };
        let at = SENT.0 + (SENT.1 - SENT.0) * uniform(&mut self.random);
        let sent = Time(0) + hours(at);
        let unix = self.actors[sender].unix(sent);
        let pass = secret.pass(0, Week::of(unix));
        let mut envelope = vec![0; ENVELOPE_LEN];
        envelope[..8].copy_from_slice(&(self.letters.len() as u64).to_be_bytes());
        let expiry = Expiry::from_now(Lane::Contact, unix);
        let deposit = Deposit::by_contact(&pass, expiry, Bytes::from(envelope));
        let absence = loop {
            let absence = exponential(&mut self.random, self.scenario.absence);
            if absence <= hours(LONGEST) {
                // The last of the first keepers leaves after 160 minutes or so.
                break absence + hours(if self.scenario.replace_all { 4.0 } else { 0.0 });
            }
        };
        self.agenda.add(sent, Event::Visit(sender));
        for reader in &readers {
            self.agenda.add(sent + absence, Event::Visit(*reader));
        }
        self.letters.push(Letter {
            deposit,
            secret,
            sender,
            readers,
            delivered: false,
            first_visit: None,
            got: None,
            got_in_first: false,
            keepers: Vec::new(),
        });
    }

    fn step(&mut self, event: Event) {
        match event {
            Event::On(at) => self.on(at),
            Event::Off(at, session) if self.actors[at].session == session => self.off(at),
            Event::Off(..) => {}
            Event::Visit(at) => self.visit(at),
            Event::Arrive {
                from,
                to,
                session,
                message,
            } => {
                if self.actors[to].online && self.actors[to].session == session {
                    self.arrive(from, to, message);
                }
            }
            Event::Opened { from, to, session } => {
                if self.actors[to].online && self.actors[to].session == session {
                    let peer = self.actors[from].id;
                    self.custodian(to, custodian::Input::Opened(peer));
                }
            }
            Event::Closed(at, other) => {
                let peer = self.actors[other].id;
                self.custodian(at, custodian::Input::Closed(peer));
            }
            Event::Unreachable(at, other) => {
                let peer = self.actors[other].id;
                self.actors[at].opened.remove(&other);
                self.custodian(at, custodian::Input::Unreachable(peer));
                self.depositor(at, depositor::Input::Unreachable(peer));
                self.collector(at, collector::Input::Unreachable(peer));
            }
            Event::Found {
                at,
                session,
                role,
                tag,
            } => {
                if self.actors[at].session == session {
                    let peers = self.nearest(tag, at);
                    match role {
                        Role::Custodian => self.custodian(at, custodian::Input::Found(tag, peers)),
                        Role::Depositor => self.depositor(at, depositor::Input::Found(tag, peers)),
                        Role::Collector => self.collector(at, collector::Input::Found(tag, peers)),
                    }
                }
            }
            Event::Wake(at, role, time) => {
                if self.actors[at].wakes.get(&role) == Some(&time) {
                    self.actors[at].wakes.remove(&role);
                    match role {
                        Role::Custodian => self.custodian(at, custodian::Input::Tick),
                        Role::Depositor => self.depositor(at, depositor::Input::Tick),
                        Role::Collector => self.collector(at, collector::Input::Tick),
                    }
                }
            }
            Event::Deleted {
                letter,
                device,
                session,
            } => {
                if self.actors[device].session == session {
                    let deposit = &self.letters[letter].deposit;
                    let (tag, ids) = (deposit.header().tag(), vec![deposit.id()]);
                    self.collector(device, collector::Input::Delete(tag, ids));
                }
            }
        }
    }

    fn on(&mut self, at: usize) {
        if self.gone[at] {
            return;
        }
        let now = self.now;
        let life = exponential(&mut self.random, self.scenario.life * 24.0);
        let up = match &self.actors[at].habit {
            Some(habit) => habit.session(&mut self.random),
            // A relay that is down for an hour in fifty.
            None => exponential(&mut self.random, 49.0),
        };
        let seed = self.random.bits();
        let config = match self.actors[at].relay {
            true => Config {
                puzzle_bits: 0,
                ..Config::relay()
            },
            false => self.scenario.config.clone(),
        };
        let actor = &mut self.actors[at];
        if actor.wiped <= now && !actor.relay {
            actor.kept.clear();
            actor.tombs.clear();
            actor.wiped = now + life;
        }
        actor.online = true;
        actor.restart(&config, now, seed);
        let session = actor.session;
        self.online.push(at);
        self.nodes_online += usize::from(self.actors[at].habit.is_some());
        self.agenda.add(now + up, Event::Off(at, session));
        self.drain_custodian(at);
    }

    fn off(&mut self, at: usize) {
        let now = self.now;
        self.actors[at].close();
        let before = self.online.len();
        self.online.retain(|other| *other != at);
        if self.online.len() < before && self.actors[at].habit.is_some() {
            self.nodes_online -= 1;
        }
        self.left.push_back((now, at));
        let opened: Vec<_> = std::mem::take(&mut self.actors[at].opened)
            .into_keys()
            .collect();
        for other in opened {
            self.actors[other].accepted.remove(&at);
            self.agenda.add(now + NOTICE, Event::Closed(other, at));
        }
        let accepted = std::mem::take(&mut self.actors[at].accepted);
        for other in accepted {
            self.actors[other].opened.remove(&at);
            self.agenda.add(now + NOTICE, Event::Unreachable(other, at));
        }
        let pause = match &self.actors[at].habit {
            Some(habit) => habit.pause(&mut self.random),
            None if self.actors[at].relay => exponential(&mut self.random, 1.0),
            None => return,
        };
        self.agenda.add(now + pause, Event::On(at));
    }

    /// A sender or reader opens the page.
    fn visit(&mut self, at: usize) {
        let first = self.scenario.nodes + self.scenario.relays;
        let devices = self.letters[0].readers.len();
        let number = (at - first) / (1 + devices);
        let is_sender = (at - first).is_multiple_of(1 + devices);
        let (now, seed) = (self.now, self.random.bits());
        let relays: Vec<_> = self
            .relays
            .iter()
            .map(|relay| self.actors[*relay].id)
            .collect();
        let letter = &mut self.letters[number];
        if letter.delivered || self.actors[at].online {
            return;
        }
        self.actors[at].online = true;
        let session = self.actors[at].session;
        self.agenda.add(now + hours(VISIT), Event::Off(at, session));
        let pause = exponential(&mut self.random, VISITS_APART);
        let next = now + hours(VISIT) + pause;
        if is_sender {
            if self.scenario.senders_return {
                self.agenda.add(next, Event::Visit(at));
            }
            self.actors[at].depositor = Some(Depositor::new(0, seed));
            let deposit = letter.deposit.clone();
            let stored = letter.keepers.len() >= super::RECEIPTS_MIN;
            let input = depositor::Input::Send {
                deposit,
                relays,
                keep: None,
                stored,
            };
            return self.depositor(at, input);
        }
        self.agenda.add(next, Event::Visit(at));
        if letter.first_visit.is_none() {
            letter.first_visit = Some(now);
            if self.scenario.replace_all {
                let keepers = letter.keepers.clone();
                self.report.replaced += keepers.len();
            }
        }
        self.actors[at].collector = Some(Collector::new(0));
        let unix = self.actors[at].unix(now);
        let mut readings = letter.secret.readings(0, 20, unix);
        // What came before this message was read before.
        let sent = letter.deposit.header().terms();
        let (week, lane) = (sent.week, sent.lane());
        readings.retain(|reading| reading.terms.week >= week && reading.terms.lane() == lane);
        self.collector(at, collector::Input::Relays(relays));
        self.collector(at, collector::Input::Read(readings));
    }
}

const _: () = assert!(
    CLOCK_ERROR > 24 * 3600,
    "a day is within what clocks may err by"
);
