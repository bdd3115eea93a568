//! What a swarm knows of one connected peer.

use std::collections::VecDeque;
use std::time::Duration;

use super::outflow::Begun;
use crate::proto::availability::Holds;
use crate::proto::config::Config;
use crate::proto::rate::Rate;
use crate::proto::types::{BlobSize, CHUNK_SIZE, ChunkIndex, PeerKey, Time};

/// What the user interface shows of one peer of a blob.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PeerView {
    /// Who.
    pub peer: PeerKey,
    /// Bytes of chunk data sent to it in this connection.
    pub up_bytes: u64,
    /// Bytes of chunk data received from it in this connection.
    pub down_bytes: u64,
    /// Bytes per second to it, over the last seconds.
    pub up_rate: u64,
    /// Bytes per second from it, over the last seconds.
    pub down_rate: u64,
    /// Whether it says it has every chunk.
    pub has_all: bool,
    /// Chunks it says it has; 0 while the blob's size is unknown, unless `has_all`.
    pub chunks: u32,
    /// Whether it let requests stall and has not delivered since.
    pub snubbed: bool,
}

/// One connected peer.
#[derive(Debug)]
pub(super) struct Peer {
    /// When it was connected.
    pub since: Time,
    /// Whether its `Hello` has come.
    pub greeted: bool,
    /// Whether it knows of choking.
    pub chokes: bool,
    /// Whether it does not know the size, and waits for the tail.
    pub sizeless: bool,
    /// The size it says the blob has.
    pub claim: Option<BlobSize>,
    /// What it says it has.
    pub holds: Holds,
    /// How often it told, and was told, the whole set.
    pub announced_to_us: u32,
    pub announced_by_us: u32,
    pub source: Source,
    pub client: Client,
}

/// The peer as one that we fetch from.
#[derive(Debug)]
pub(super) struct Source {
    /// Outstanding requests, oldest first.
    pub asked: Vec<Asked>,
    /// Requests cancelled or given to others: their chunks may still come, until then. Oldest first.
    pub forgiven: VecDeque<(ChunkIndex, Time)>,
    /// Bytes it may still send.
    pub granted: u64,
    /// Bytes it sent that are verified and not yet durable.
    pub unstored: u64,
    /// Stalls since it last delivered.
    pub strikes: u32,
    /// Refusals since it last delivered.
    pub rejects: u32,
    /// The shortest time from a request to its chunk.
    pub quickest: Option<Duration>,
    pub last_arrival: Time,
    pub rate: Rate,
    /// Bytes per second at the last arrival; 0 before the first.
    pub pace: u64,
    /// Bytes per second delivered between a request and its chunk: the highest, slowly forgotten.
    pub burst: u64,
    pub bytes: u64,
    /// Bytes it gave, those of long ago counting less (`Config::gives_memory`).
    pub recent: u64,
    /// Whether it serves us now.
    pub choked: bool,
    /// Whether it was told that we want something.
    pub interested: bool,
    /// Chunks it would like to be asked for first.
    pub hints: VecDeque<ChunkIndex>,
    /// It gives hints, and wants to be asked for nothing else until it announces its set anew.
    pub spreading: bool,
    /// Nothing that it has is wanted, since the last change of either.
    pub dry: bool,
    /// When it was last considered for what others were asked for.
    pub looked: Time,
}

/// One outstanding request.
#[derive(Debug, Clone, Copy)]
pub(super) struct Asked {
    pub index: ChunkIndex,
    pub len: u64,
    pub at: Time,
    /// Bytes that the peer had delivered when it was asked.
    pub before: u64,
}

/// The peer as one that we serve.
#[derive(Debug, Default)]
pub(super) struct Client {
    /// Requests not begun, in the order they came.
    pub queue: VecDeque<ChunkIndex>,
    /// Requests begun: at the store, or on their way out.
    pub serving: Vec<Serving>,
    /// Bytes that it lets us send, those being served already taken off.
    pub credit: u64,
    pub rate: Rate,
    pub bytes: u64,
    /// Requests refused or dropped since the last chunk that was sent.
    pub refused: u32,
    /// Whether it is not served now.
    pub choked: bool,
    /// Whether it says that it wants something.
    pub interested: bool,
    /// Whether it gave its part of late.
    pub gives: bool,
    /// Since when it has been choked or not.
    pub since: Time,
    /// Decides between it and its equals.
    pub tie: u64,
    /// When it last said anything.
    pub heard: Time,
    /// It says nothing although something was suggested to it, or it does not take what it has asked for: its page may be frozen.
    pub sleeps: bool,
    /// Whether chunks were suggested to it and it has not been told the whole set since.
    pub hinted: bool,
    /// Verified chunks that it has not been told of, and when it is.
    pub untold: Vec<ChunkIndex>,
    pub told: Time,
    pub tell: Option<Time>,
    /// Chunks that were suggested to it alone and that it has not asked for yet.
    pub hints: Vec<ChunkIndex>,
}

/// One chunk being served.
#[derive(Debug, Clone, Copy)]
pub(super) struct Serving {
    pub index: ChunkIndex,
    pub len: u64,
    pub stage: Stage,
    pub begun: Begun,
}

/// Where a served chunk is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Stage {
    /// The store was asked for it.
    Loading,
    /// As `Loading`, but the peer no longer wants it.
    Cancelled,
    /// It was given out to be sent.
    Sending,
    /// The store was asked for it to cut the tail from.
    Tail,
}

impl Peer {
    pub(super) fn new(config: &Config, tie: u64, now: Time) -> Self {
        Self {
            since: now,
            greeted: false,
            chokes: true,
            sizeless: false,
            claim: None,
            holds: Holds::Nothing,
            announced_to_us: 0,
            announced_by_us: 0,
            source: Source {
                asked: Vec::new(),
                forgiven: VecDeque::new(),
                granted: u64::from(config.credit_initial),
                unstored: 0,
                strikes: 0,
                rejects: 0,
                quickest: None,
                last_arrival: now,
                rate: Rate::default(),
                pace: 0,
                burst: 0,
                bytes: 0,
                recent: 0,
                choked: true,
                interested: false,
                hints: VecDeque::new(),
                spreading: false,
                dry: false,
                looked: Time(0),
            },
            client: Client {
                choked: true,
                since: now,
                heard: now,
                tie,
                ..Client::default()
            },
        }
    }

    pub(super) fn view(&self, peer: PeerKey, now: Time) -> PeerView {
        PeerView {
            peer,
            up_bytes: self.client.bytes,
            down_bytes: self.source.bytes,
            up_rate: self.client.rate.per_second(now),
            down_rate: self.source.rate.per_second(now),
            has_all: self.holds == Holds::All,
            chunks: self
                .holds
                .count(self.claim.map_or(0, BlobSize::chunk_count)),
            snubbed: self.source.snubbed(),
        }
    }
}

impl Source {
    /// Whether it is worth looking for a request that it should take over: it has nothing to do, and some time has passed.
    pub(super) fn may_look(&self, now: Time) -> bool {
        self.asked.is_empty() && now >= self.looked + LOOK
    }

    pub(super) fn snubbed(&self) -> bool {
        self.strikes > 0
    }

    pub(super) fn asked_bytes(&self) -> u64 {
        self.asked.iter().map(|asked| asked.len).sum()
    }

    /// Requests to keep outstanding: what the peer delivers in one and a half of its shortest response times and a
    /// moment of slack. The surplus lets the measured rate rise until the peer or the path is the limit.
    pub(super) fn depth(&self, config: &Config) -> usize {
        if self.snubbed() {
            return 1;
        }
        let in_flight = self.quickest.map_or(0, |quickest| {
            let covered = quickest * 3 / 2 + config.pipeline_slack;
            let bytes = u128::from(self.burst) * covered.as_micros() / 1_000_000;
            usize::try_from(bytes.div_ceil(u128::from(CHUNK_SIZE))).unwrap_or(usize::MAX)
        });
        in_flight.clamp(config.pipeline_min, config.pipeline_max)
    }

    /// When the outstanding requests count as stalled: the wait starts anew with each chunk that arrives, and doubles
    /// with each stall in a row.
    pub(super) fn stalls_at(&self, config: &Config) -> Option<Time> {
        let oldest = self.asked.first()?;
        // A blob's short last chunk, which comes first, says nothing of the pace.
        let rate = if self.bytes < CHUNK_SIZE {
            config.assumed_rate
        } else {
            self.pace.max(config.slowest_rate)
        };
        let expected =
            Duration::from_micros(self.asked_bytes().saturating_mul(1_000_000) / rate.max(1));
        let wait = config
            .stall_min
            .max(expected.saturating_mul(config.stall_factor));
        Some(oldest.at.max(self.last_arrival) + wait.saturating_mul(1 << self.strikes.min(8)))
    }

    /// Removes an outstanding request.
    pub(super) fn answered(&mut self, index: ChunkIndex) -> Option<Asked> {
        let at = self.asked.iter().position(|asked| asked.index == index)?;
        Some(self.asked.remove(at))
    }

    /// Measures the peer by an answer: its delivery rate is what it delivered since the request, over that time. This
    /// finds the capacity of a path within a few round trips (Cardwell et al., "BBR", 2016, section 4.1).
    pub(super) fn measure(&mut self, asked: &Asked, now: Time) {
        let took = now.since(asked.at);
        self.quickest = Some(self.quickest.map_or(took, |quickest| quickest.min(took)));
        let delivered = u128::from(self.bytes - asked.before);
        let sample = delivered * 1_000_000 / took.as_micros().max(1);
        self.burst = u64::try_from(sample)
            .unwrap_or(u64::MAX)
            .max(self.burst / 8 * 7);
    }

    /// Remembers that the chunk may still come although it is no longer waited for.
    pub(super) fn forgive(&mut self, index: ChunkIndex, config: &Config, now: Time) {
        while self.forgiven.len() >= config.grace_max
            || self.forgiven.front().is_some_and(|(_, until)| *until < now)
        {
            self.forgiven.pop_front();
        }
        self.forgiven.push_back((index, now + config.grace));
    }

    /// Uses up one forgiveness for the chunk, if there is one.
    pub(super) fn use_forgiveness(&mut self, index: ChunkIndex, now: Time) -> bool {
        let found = self
            .forgiven
            .iter()
            .position(|(which, until)| *which == index && *until >= now);
        found.is_some_and(|at| self.forgiven.remove(at).is_some())
    }
}

/// Time between looks for what a source that is out of work could take over: a frame or two, since each look goes through
/// all that is asked for.
const LOOK: Duration = Duration::from_millis(50);

impl Client {
    pub(super) fn stage(&self, index: ChunkIndex, stage: Stage) -> Option<usize> {
        self.serving
            .iter()
            .position(|serving| serving.index == index && serving.stage == stage)
    }
}
