//! The swarm's rules, one by one, and then in any order.
#![allow(clippy::unwrap_used)]

use std::time::Duration;

use bytes::Bytes;

use super::*;
use crate::proto::availability::Holds;
use crate::proto::message::{CHOKING, REVISION, RejectReason};
use crate::proto::tree::{Tree, TreeBuilder};

mod charting;
mod choking;
mod exchange;
mod invariants;
mod misconduct;
mod urgent;
mod web;

const CHUNKS: u32 = 40;

/// The defaults, but for what would make the number of requests depend on how fast a test is: the slack.
fn exact() -> Config {
    Config {
        pipeline_min: 2,
        pipeline_slack: Duration::ZERO,
        serving_min: 8,
        serving_per_peer: 4,
        serving_max: 8,
        ..Config::default()
    }
}

/// A blob and one swarm of it; every input is followed by a full drain.
struct Bench {
    data: Vec<Bytes>,
    tree: Tree,
    swarm: Swarm,
    now: Time,
    log: Vec<Output>,
}

impl Bench {
    fn new(complete: bool) -> Self {
        Self::with(complete, exact())
    }

    fn with(complete: bool, config: Config) -> Self {
        let lengths = (0..CHUNKS).map(|at| {
            if at + 1 == CHUNKS {
                1000
            } else {
                CHUNK_SIZE as usize
            }
        });
        let data: Vec<Bytes> = lengths
            .zip(0..)
            .map(|(len, fill)| vec![fill; len].into())
            .collect();
        let mut builder = TreeBuilder::new();
        data.iter()
            .for_each(|chunk| builder.push_chunk(chunk).unwrap());
        let tree = builder.finish();
        let size = complete.then_some(tree.size());
        let stored = (0..CHUNKS).filter(|_| complete).map(ChunkIndex);
        let mut swarm = Swarm::new(config, tree.root(), size, stored, 1);
        swarm.handle(Input::AllowUpload(true), Time(0));
        Self {
            data,
            tree,
            swarm,
            now: Time(1_000_000),
            log: Vec::new(),
        }
    }

    fn input(&mut self, input: Input) -> Vec<Output> {
        self.swarm.handle(input, self.now);
        let outputs: Vec<Output> = std::iter::from_fn(|| self.swarm.poll_output()).collect();
        self.log.extend(outputs.iter().cloned());
        outputs
    }

    fn receive(&mut self, peer: u64, message: Message) -> Vec<Output> {
        self.input(Input::Received {
            peer: PeerKey(peer),
            message,
        })
    }

    /// A peer that knows nothing of choking: `tests::choking` has those that do.
    fn hello(&mut self, peer: u64, size: Option<BlobSize>, credit: u32) -> Vec<Output> {
        let mut outputs = self.input(Input::Connected {
            peer: PeerKey(peer),
        });
        let hello = Message::Hello {
            version: CHOKING - 1,
            blob: self.tree.root(),
            size,
            credit,
        };
        outputs.extend(self.receive(peer, hello));
        outputs
    }

    /// A peer that says it has everything.
    fn seed(&mut self, peer: u64) -> Vec<Output> {
        let size = self.tree.size();
        self.hello(peer, Some(size), 1 << 24);
        self.receive(peer, Message::HaveAll { size })
    }

    fn chunk(&self, index: u32) -> Message {
        let at = ChunkIndex(index);
        Message::Chunk {
            index: at,
            proof: self.tree.proof(at).unwrap(),
            data: self.data[index as usize].clone(),
        }
    }

    /// What proves the size.
    fn tail(&self) -> Tail {
        let last = ChunkIndex(CHUNKS - 1);
        let proof = self.tree.proof(last).unwrap();
        Tail::cut(self.tree.size(), &self.data[last.0 as usize], &proof)
    }

    /// A leech past the proof of the size, with one seed (peer 1).
    fn leech() -> Self {
        let mut bench = Self::new(false);
        let outputs = bench.seed(1);
        assert_eq!(requests(&outputs, 1), [CHUNKS - 1]);
        let message = bench.chunk(CHUNKS - 1);
        let outputs = bench.receive(1, message);
        assert!(outputs.contains(&Output::SizeProved(bench.tree.size())));
        bench.input(Input::Stored {
            index: ChunkIndex(CHUNKS - 1),
        });
        bench
    }

    fn asked(&self, peer: u64) -> Vec<u32> {
        self.swarm.peers[&PeerKey(peer)]
            .source
            .asked
            .iter()
            .map(|asked| asked.index.0)
            .collect()
    }
}

fn requests(outputs: &[Output], to: u64) -> Vec<u32> {
    let asked = |output: &Output| match output {
        Output::Send {
            peer,
            message: Message::Request { index },
        } if peer.0 == to => Some(index.0),
        _ => None,
    };
    outputs.iter().filter_map(asked).collect()
}

fn sent(outputs: &[Output], to: u64) -> Vec<Message> {
    let message = |output: &Output| match output {
        Output::Send { peer, message } if peer.0 == to => Some(message.clone()),
        _ => None,
    };
    outputs.iter().filter_map(message).collect()
}

fn bans(outputs: &[Output]) -> Vec<(u64, Misconduct)> {
    let ban = |output: &Output| match output {
        Output::Ban { peer, reason } => Some((peer.0, *reason)),
        _ => None,
    };
    outputs.iter().filter_map(ban).collect()
}

fn stores(outputs: &[Output]) -> Vec<u32> {
    let store = |output: &Output| match output {
        Output::Store { index, .. } => Some(index.0),
        _ => None,
    };
    outputs.iter().filter_map(store).collect()
}
