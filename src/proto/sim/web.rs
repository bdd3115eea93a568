//! A web server beside the swarm: one pipe that its answers share one after the other, and what each peer asks of it.

use std::time::Duration;

use bytes::Bytes;

use super::node::{Behaviour, Node};
use super::{Content, Event, Simulation};
use crate::proto::swarm::Input;
use crate::proto::tail::Tail;
use crate::proto::types::{ChunkIndex, Time};
use crate::proto::web_seed::{Fault, Fetch, POLL, View, WebSeed};
use crate::proto::web_source::WebSource;

/// A web server that has the blob, and its tree.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct WebServer {
    /// Uplink in bytes per second.
    pub up: u64,
    /// Time from a request to the first byte, when nothing else waits.
    pub latency: Duration,
    /// Sends other bytes than the blob's.
    pub lies: bool,
    /// Every so many requests for a chunk it fails; 0 for never.
    pub fails_every: u32,
}

/// The server's side.
#[derive(Debug)]
pub(super) struct Pipe {
    spec: WebServer,
    free_at: Time,
    requests: u32,
    /// Bytes of chunks that it sent.
    pub sent: u64,
}

impl Pipe {
    pub(super) fn new(spec: WebServer) -> Self {
        Self {
            spec,
            free_at: Time(0),
            requests: 0,
            sent: 0,
        }
    }

    /// When an answer of so many bytes will have arrived.
    fn send(&mut self, bytes: u64, now: Time) -> Time {
        let takes = Duration::from_secs_f64(bytes as f64 / self.spec.up as f64);
        self.free_at = self.free_at.max(now) + takes;
        self.free_at + self.spec.latency
    }
}

/// The peer's side.
pub(super) fn seed_of(at: usize, seed: u64) -> WebSeed {
    let address = WebSource::parse("https://server.example/blob");
    WebSeed::new(address.into_iter().collect(), ticket(at), seed)
}

impl Simulation {
    /// Lets a peer ask the server for what is due, now and from time to time.
    pub(super) fn look_at_web(&mut self, at: usize) {
        if !self.nodes[at].online || self.nodes[at].completed.is_some() {
            return;
        }
        self.ask_web(at);
        self.later(POLL, Event::Web(at));
    }

    fn ask_web(&mut self, at: usize) {
        let now = self.now;
        let linking = now < Time(0) + self.scenario.peers[at].join + self.scenario.link_after;
        while let Some(fetch) = self.nodes[at].next_fetch(linking, now) {
            let Some(pipe) = &mut self.web else { return };
            let bytes = match fetch {
                Fetch::Tree { .. } => u64::from(self.content.size.chunk_count()) * 32,
                Fetch::Chunk { index, .. } => self.content.data(index).len() as u64,
            };
            let mut fault = None;
            if let Fetch::Chunk { .. } = fetch {
                pipe.requests += 1;
                let every = pipe.spec.fails_every;
                fault = (every > 0 && pipe.requests.is_multiple_of(every)).then_some(Fault::Busy);
                pipe.sent += if fault.is_none() { bytes } else { 0 };
            }
            let arrives = pipe.send(if fault.is_none() { bytes } else { 0 }, now);
            self.later(
                arrives.since(now),
                Event::Fetched {
                    node: at,
                    fetch,
                    fault,
                },
            );
            if let Fetch::Chunk { index, .. } = fetch {
                self.input(at, Input::Fetching { index });
            }
        }
    }

    /// An answer has arrived.
    pub(super) fn on_fetched(&mut self, at: usize, fetch: Fetch, fault: Option<Fault>) {
        let lies = self.web.as_ref().is_some_and(|pipe| pipe.spec.lies);
        let now = self.now;
        let Some(web) = &mut self.nodes[at].web else {
            return;
        };
        match (fetch, fault) {
            (Fetch::Tree { server }, _) => {
                web.on_tree(server, Ok(()), now);
                self.input(at, Input::Prove(tail(&self.content)));
            }
            (Fetch::Chunk { index, .. }, Some(fault)) => {
                web.on_chunk(index, Err(fault), now);
                self.input(at, Input::FetchFailed { index });
            }
            (Fetch::Chunk { index, .. }, None) => {
                let (mut data, proof) = (self.content.data(index), self.content.proof(index));
                let len = data.len() as u64;
                if lies {
                    data = Bytes::from(vec![0; data.len()]);
                }
                self.input(at, Input::Fetched { index, data, proof });
                if let Some(web) = &mut self.nodes[at].web {
                    web.on_chunk(index, Ok(len), now);
                }
            }
        }
        self.ask_web(at);
    }
}

impl Node {
    fn next_fetch(&mut self, linking: bool, now: Time) -> Option<Fetch> {
        let (Some(web), Behaviour::Honest(swarm)) = (&mut self.web, &self.behaviour) else {
            return None;
        };
        if !swarm.has_room_for_web() {
            return None;
        }
        let progress = swarm.progress();
        let unheld: Vec<ChunkIndex> = swarm.unheld().collect();
        let rivals: Vec<u64> = swarm
            .incomplete_peers()
            .map(|peer| ticket(peer.0 as usize))
            .collect();
        let view = View {
            chunks: progress.size.map(|size| size.chunk_count()),
            has_some: progress.stored > 0,
            unheld: &unheld,
            next_read: swarm.next_read(),
            held: swarm.rarest(),
            rivals: &rivals,
            linking,
            received: progress.down_bytes + progress.web_bytes,
        };
        web.next(&view, now)
    }
}

fn tail(content: &Content) -> Tail {
    let last = content.size.last_chunk();
    Tail::cut(content.size, &content.data(last), &content.proof(last))
}

fn ticket(at: usize) -> u64 {
    (at as u64 + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15)
}
