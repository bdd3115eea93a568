//! What determines a run: the peers, the blob and the network between them.

use std::time::Duration;

use super::liar::Lie;
use super::web::WebServer;
use crate::proto::config::Config;
use crate::proto::types::CHUNK_SIZE;

/// What a simulated peer is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// Honest, with the whole blob from the start.
    Seed,
    /// Honest, with nothing at the start.
    Leech,
    /// Out to harm.
    Liar(Lie),
}

/// When a peer goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Leave {
    /// Not at all.
    Never,
    /// At this time of the simulation.
    At(Duration),
    /// Once it has sent so many bytes of chunk data.
    AfterUpload(u64),
    /// As soon as it has everything.
    WhenDone,
}

/// One peer of a scenario.
#[derive(Debug, Clone)]
pub struct PeerSpec {
    /// What it is.
    pub role: Role,
    /// Uplink in bytes per second.
    pub up: u64,
    /// Downlink in bytes per second.
    pub down: u64,
    /// When it comes.
    pub join: Duration,
    /// When it goes.
    pub leave: Leave,
    /// Time its store takes to make a chunk durable.
    pub write_delay: Duration,
    /// Time its store takes to read a chunk.
    pub read_delay: Duration,
    /// Every so many writes its store fails; 0 for never. The person resumes after a second.
    pub write_fails_every: u32,
    /// Whether it uploads anything.
    pub uploads: bool,
    /// Times at which its page is frozen, from and to: what arrives waits, nothing is decided.
    pub frozen: Option<(Duration, Duration)>,
    /// Its clock is set at this time of the simulation, forward or back by so many seconds.
    pub clock_set: Option<(Duration, i64)>,
}

impl PeerSpec {
    /// A peer with this role and bandwidth (bytes per second), there from the start to the end, with a quick store.
    pub fn new(role: Role, up: u64, down: u64) -> Self {
        Self {
            role,
            up,
            down,
            join: Duration::ZERO,
            leave: Leave::Never,
            write_delay: Duration::from_millis(5),
            read_delay: Duration::from_millis(2),
            write_fails_every: 0,
            uploads: true,
            frozen: None,
            clock_set: None,
        }
    }
}

/// Everything that determines a run.
#[derive(Debug, Clone)]
pub struct Scenario {
    /// Determines all choices.
    pub seed: u64,
    /// The blob's size in bytes.
    pub size: u64,
    /// The peers.
    pub peers: Vec<PeerSpec>,
    /// A web server that has the blob; every peer knows of it.
    pub web: Option<WebServer>,
    /// Time from a peer's coming to its first links.
    pub link_after: Duration,
    /// Links that each peer tries to have.
    pub neighbours: usize,
    /// Shortest and longest one-way latency of a pair.
    pub latency: (Duration, Duration),
    /// The run ends here at the latest.
    pub limit: Duration,
    /// The tunables of every honest peer.
    pub config: Config,
    /// Whether chunks are only marked instead of hashed: for large runs.
    pub marked: bool,
}

impl Scenario {
    /// A blob of `size` bytes among `peers`: 8 neighbours each, 10 to 80 ms apart, an hour at most.
    pub fn new(seed: u64, size: u64, peers: Vec<PeerSpec>) -> Self {
        Self {
            seed,
            size,
            peers,
            web: None,
            link_after: Duration::ZERO,
            neighbours: 8,
            latency: (Duration::from_millis(10), Duration::from_millis(80)),
            limit: Duration::from_secs(3600),
            config: Config::default(),
            marked: false,
        }
    }

    /// The least time in which fluid could reach all leeches: the seeds, and a web server, must send every byte once, the slowest downlink
    /// must take it in, and all uplinks together must carry all copies (Kumar and Ross, "Peer-Assisted File
    /// Distribution", 2006).
    pub fn fluid_bound(&self) -> Duration {
        let honest = |role: Role| self.peers.iter().filter(move |peer| peer.role == role);
        let server = self.web.map_or(0, |server| server.up);
        let seeds: u64 = honest(Role::Seed).map(|peer| peer.up).sum::<u64>() + server;
        let leeches: u64 = honest(Role::Leech).map(|peer| peer.up).sum();
        let slowest = honest(Role::Leech)
            .map(|peer| peer.down)
            .min()
            .unwrap_or(u64::MAX);
        let size = self.size as f64;
        let copies = honest(Role::Leech).count() as f64;
        let bound = (size / seeds as f64)
            .max(size / slowest as f64)
            .max(copies * size / (seeds + leeches) as f64);
        Duration::from_secs_f64(bound)
    }
}

/// Bytes of this many whole chunks and a short one: a blob whose last chunk is not like the others.
pub fn size_of_chunks(chunks: u64) -> u64 {
    chunks * CHUNK_SIZE - CHUNK_SIZE / 3
}
