//! A deterministic discrete-event simulator: many swarms of one blob, a virtual network and virtual stores between them.
//!
//! Time is virtual and moves from event to event. Each pair of peers has a latency, each peer an uplink and a downlink
//! that its transfers share equally (a fluid model); messages to one peer keep their order, so a small one waits behind
//! a chunk as it does on a real stream. The bytes, hashes and proofs are real. The same scenario and seed give the same
//! run, event for event: [`Report::trace`] is a hash over all of them.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

pub(in crate::proto) mod agenda;
mod content;
mod liar;
mod network;
mod node;
mod report;
mod scenario;
mod web;

pub use content::{Content, verify_marked};
pub use liar::Lie;
pub use report::Report;
pub use scenario::{Leave, PeerSpec, Role, Scenario, size_of_chunks};
pub use web::WebServer;

use self::agenda::Agenda;
use self::network::{Delivery, Network, Way};
use self::node::{Behaviour, Effect, Node};
use super::message::Message;
use super::random::Random;
use super::swarm::{Input, Misconduct};
use super::types::{PeerKey, Time};
use super::web_seed::{Fault, Fetch};

/// One run of a scenario.
#[derive(Debug)]
pub struct Simulation {
    scenario: Scenario,
    content: Content,
    random: Random,
    now: Time,
    agenda: Agenda<Event>,
    /// Peers that the run waits for.
    missing_peers: usize,
    flow: Vec<u64>,
    nodes: Vec<Node>,
    network: Network,
    /// What the network has announced and is not on the agenda yet.
    deliveries: Vec<Delivery>,
    /// What a peer has done and is not carried out yet.
    effects: Vec<Effect>,
    web: Option<web::Pipe>,
    /// Pairs that will not be linked again, since one banned the other.
    apart: BTreeSet<(usize, usize)>,
    bans: Vec<(usize, usize, Misconduct)>,
    peak_unstored: u64,
    trace: u64,
    events: u64,
}

#[derive(Debug)]
enum Event {
    Join(usize),
    Leave(usize),
    /// Look for more neighbours, as discovery would.
    Link(usize),
    /// A transfer may have ended; the version tells whether it is still the same.
    Transfer {
        way: Way,
        version: u64,
    },
    Arrive {
        way: Way,
        message: Message,
    },
    /// A peer may ask the web server for something.
    Web(usize),
    /// The web server's answer is here.
    Fetched {
        node: usize,
        fetch: Fetch,
        fault: Option<Fault>,
    },
    /// Something a peer set for itself, or that has waited for it.
    Own {
        node: usize,
        input: Input,
    },
}

/// Peers drawn to find neighbours among, in a swarm that is larger.
const SAMPLE: usize = 200;

/// Time that discovery takes to name another peer.
const DISCOVERY: Duration = Duration::from_secs(1);

impl Simulation {
    /// Prepares a run.
    pub fn new(scenario: Scenario) -> Self {
        let content = match scenario.marked {
            true => Content::marked(scenario.size),
            false => Content::new(scenario.seed, scenario.size),
        };
        let mut random = Random::new(scenario.seed);
        let config = Arc::new(scenario.config.clone());
        let nodes = scenario.peers.iter().map(|spec| {
            let seed = random.bits();
            Node::new(spec.clone(), &config, &content, seed)
        });
        let mut nodes: Vec<Node> = nodes.collect();
        if scenario.web.is_some() {
            for (at, node) in nodes.iter_mut().enumerate() {
                node.web = Some(web::seed_of(at, random.bits()));
            }
        }
        let network = Network::new(
            scenario
                .peers
                .iter()
                .map(|spec| (spec.up, spec.down))
                .collect(),
        );
        let mut simulation = Self {
            content,
            random,
            now: Time(0),
            agenda: Agenda::default(),
            missing_peers: nodes.iter().filter(|node| !node.is_done()).count(),
            flow: Vec::new(),
            nodes,
            network,
            deliveries: Vec::new(),
            effects: Vec::new(),
            web: scenario.web.map(web::Pipe::new),
            apart: BTreeSet::new(),
            bans: Vec::new(),
            peak_unstored: 0,
            trace: 0,
            events: 0,
            scenario,
        };
        for at in 0..simulation.nodes.len() {
            let spec = &simulation.scenario.peers[at];
            let (join, leave) = (spec.join, spec.leave);
            simulation.later(join, Event::Join(at));
            if let Leave::At(time) = leave {
                simulation.later(time, Event::Leave(at));
            }
        }
        simulation
    }

    /// Runs until every honest leech that is there is complete and nobody is still to come, or the limit.
    pub fn run(mut self) -> Report {
        let limit = Time(0) + self.scenario.limit;
        while let Some((time, event)) = self.agenda.next() {
            if time > limit || self.missing_peers == 0 {
                break;
            }
            self.now = time;
            self.events += 1;
            self.step(event);
        }
        Report {
            completed: self
                .nodes
                .iter()
                .map(|node| node.completed.map(|at| at.since(Time(0))))
                .collect(),
            up_bytes: self.nodes.iter().map(Node::up_bytes).collect(),
            web_bytes: self.web.as_ref().map_or(0, |web| web.sent),
            down_bytes: self.nodes.iter().map(Node::down_bytes).collect(),
            wasted_bytes: self.nodes.iter().map(Node::wasted_bytes).sum(),
            peak_unstored: self.peak_unstored,
            bans: self.bans,
            ended: self.now.since(Time(0)),
            events: self.events,
            trace: self.trace,
            flow: self.flow,
        }
    }

    fn step(&mut self, event: Event) {
        match event {
            Event::Join(at) => {
                self.nodes[at].online = true;
                self.look_at_web(at);
                match self.scenario.link_after {
                    Duration::ZERO => self.link(at),
                    wait => self.later(wait, Event::Link(at)),
                }
            }
            Event::Leave(at) => self.leave(at),
            Event::Link(at) => self.link(at),
            Event::Web(at) => self.look_at_web(at),
            Event::Fetched { node, fetch, fault } => self.on_fetched(node, fetch, fault),
            Event::Transfer { way, version } => {
                self.network
                    .finish(way, version, self.now, &mut self.deliveries);
                self.deliver();
            }
            Event::Arrive { way, message } => {
                if self.network.stands(way) {
                    self.record(way, &message);
                    let peer = PeerKey(way.from.into());
                    self.input(way.to as usize, Input::Received { peer, message });
                }
            }
            Event::Own { node, input } => {
                // A timer that was set anew since.
                if matches!(input, Input::Tick) && self.nodes[node].wake != Some(self.now) {
                    return;
                }
                self.input(node, input);
            }
        }
    }

    /// Connects a peer to random others until it has enough neighbours.
    fn link(&mut self, at: usize) {
        if !self.nodes[at].online {
            return;
        }
        // Each end starts half of its links; the other half are started by others.
        let missing = self
            .scenario
            .neighbours
            .div_ceil(2)
            .saturating_sub(self.network.degree(at));
        let others = match missing {
            0 => Vec::new(),
            _ => self.candidates(at, missing),
        };
        for other in others {
            let (min, max) = self.scenario.latency;
            let spread = (max - min).as_micros() as u32;
            let latency =
                min + Duration::from_micros(u64::from(self.random.below(spread.saturating_add(1))));
            self.network.connect(at, other, latency);
            self.input(
                at,
                Input::Connected {
                    peer: PeerKey(other as u64),
                },
            );
            self.input(
                other,
                Input::Connected {
                    peer: PeerKey(at as u64),
                },
            );
        }
        self.later(DISCOVERY, Event::Link(at));
    }

    /// Random others that a peer could link to.
    fn candidates(&mut self, at: usize, count: usize) -> Vec<usize> {
        let able = |simulation: &Self, other: usize| {
            other != at
                && simulation.nodes[other].online
                && !simulation.network.is_connected(at, other)
                && !simulation.apart.contains(&pair(at, other))
        };
        let all = self.nodes.len();
        if all > SAMPLE {
            let mut found = Vec::new();
            for _ in 0..SAMPLE {
                let other = self.random.below(all as u32) as usize;
                if found.len() < count && able(self, other) && !found.contains(&other) {
                    found.push(other);
                }
            }
            return found;
        }
        let mut others: Vec<usize> = (0..all).filter(|other| able(self, *other)).collect();
        self.random.shuffle(&mut others);
        others.truncate(count);
        others
    }

    fn leave(&mut self, at: usize) {
        let missing_peers = !self.nodes[at].is_done();
        self.nodes[at].online = false;
        self.nodes[at].left = true;
        self.missing_peers -= usize::from(missing_peers);
        for other in self.network.neighbours(at) {
            self.unlink(at, other);
        }
    }

    fn unlink(&mut self, a: usize, b: usize) {
        self.network
            .disconnect(a, b, self.now, &mut self.deliveries);
        self.deliver();
        self.input(
            a,
            Input::Disconnected {
                peer: PeerKey(b as u64),
            },
        );
        self.input(
            b,
            Input::Disconnected {
                peer: PeerKey(a as u64),
            },
        );
    }

    fn input(&mut self, at: usize, input: Input) {
        let node = &mut self.nodes[at];
        if !node.online && !matches!(input, Input::Disconnected { .. }) {
            return;
        }
        if let Some((from, to)) = node.spec.frozen
            && (Time(0) + from..Time(0) + to).contains(&self.now)
        {
            let wait = (Time(0) + to).since(self.now);
            if matches!(input, Input::Tick) {
                node.wake = Some(self.now + wait);
            }
            return self.later(wait, Event::Own { node: at, input });
        }
        let missing_peers = !node.is_done();
        // What an effect brings about may come back here, and then finds none.
        let mut effects = std::mem::take(&mut self.effects);
        node.handle(input, self.now, &self.content, &mut effects);
        let done = missing_peers && node.is_done();
        self.missing_peers -= usize::from(done);
        if !self.scenario.marked {
            self.peak_unstored = self.peak_unstored.max(node.unstored_bytes());
        }
        for effect in effects.drain(..) {
            match effect {
                Effect::Send { to, message } => {
                    self.network
                        .send(at, to, message, self.now, &mut self.deliveries);
                    self.deliver();
                }
                Effect::Later { at: time, input } => {
                    self.later(time.since(self.now), Event::Own { node: at, input });
                }
                Effect::Ban { peer, reason } => {
                    self.bans.push((at, peer, reason));
                    self.apart.insert(pair(at, peer));
                    self.unlink(at, peer);
                }
                Effect::Close { peer } => self.unlink(at, peer),
            }
        }
        self.effects = effects;
        let goes = match self.nodes[at].spec.leave {
            Leave::AfterUpload(bytes) => self.nodes[at].up_bytes() >= bytes,
            Leave::WhenDone => done,
            Leave::Never | Leave::At(_) => false,
        };
        if goes && self.nodes[at].online {
            self.leave(at);
        }
    }

    /// Puts what the network has announced on the agenda.
    fn deliver(&mut self) {
        let mut deliveries = std::mem::take(&mut self.deliveries);
        for delivery in deliveries.drain(..) {
            match delivery {
                Delivery::Transfer { way, version, done } => {
                    self.agenda.add(done, Event::Transfer { way, version });
                }
                Delivery::Gone {
                    way,
                    latency,
                    message,
                } => {
                    if let Message::Chunk { index, data, .. } = &message {
                        let second = (self.now.0 / 1_000_000) as usize;
                        self.flow.resize(self.flow.len().max(second + 1), 0);
                        self.flow[second] += data.len() as u64;
                        let peer = PeerKey(way.to.into());
                        let input = Input::Sent {
                            peer,
                            index: *index,
                        };
                        let node = way.from as usize;
                        self.later(Duration::ZERO, Event::Own { node, input });
                    }
                    self.later(latency, Event::Arrive { way, message });
                }
            }
        }
        // Its room is used again.
        self.deliveries = deliveries;
    }

    fn later(&mut self, delay: Duration, event: Event) {
        self.agenda.add(self.now + delay, event);
    }

    fn record(&mut self, way: Way, message: &Message) {
        let detail = match message {
            Message::Chunk { index, .. }
            | Message::Request { index }
            | Message::Cancel { index }
            | Message::Suggest { index }
            | Message::Reject { index, .. } => u64::from(index.0),
            Message::Have { indexes } => indexes.iter().map(|index| u64::from(index.0)).sum(),
            Message::Credit { bytes } => u64::from(*bytes),
            _ => 0,
        };
        let tag = u64::from(message.tag());
        for value in [self.now.0, way.from.into(), way.to.into(), tag, detail] {
            // FNV-1a, a word at a time: only to tell runs apart.
            self.trace = (self.trace ^ value).wrapping_mul(0x0000_0100_0000_01b3);
        }
    }
}

impl Node {
    /// Whether the run need not wait for it.
    fn is_done(&self) -> bool {
        let harmless = matches!(self.behaviour, Behaviour::Liar(_)) || self.left;
        harmless || self.completed.is_some()
    }
}

fn pair(a: usize, b: usize) -> (usize, usize) {
    (a.min(b), a.max(b))
}
