//! What to fetch of a blob from web servers, from which, and when.
//!
//! A server is a floor, not a peer: it is asked for what nobody in the swarm has, and for little else. Visitors who come
//! together divide what is missing without a word: a chunk belongs to whoever's ticket (from its identity) goes best with
//! it, among those that lack something and are linked (rendezvous hashing: Thaler and Ravishankar, "A Name-Based Mapping
//! Scheme for Rendezvous", 1996). Everybody fetches their own chunks first, and takes over those of others one at a time,
//! and only after having had nothing of their own to do for a while; so nobody depends on anybody, and a peer that claims
//! chunks by a false ticket delays them by seconds.
//!
//! The division needs links, and links need seconds. Until somebody new has had time to be found, or to find that it is
//! alone, the server only tops up what the swarm brings to a slow trickle; so it goes on later wherever peers hold what is
//! missing and do not bring it.
//!
//! A server must show the blob's tree before it is asked for anything else: a link cannot make its readers load a
//! stranger's server with more than that request. One that sends wrong bytes or ignores ranges is not asked again.

use std::time::Duration;

use super::random::Random;
use super::rate::Rate;
use super::types::{ChunkIndex, Time};
use super::web_source::WebSource;
use crate::proto::ordered::Map;

/// What is known of the swarm when a decision is due.
#[derive(Debug, Clone, Copy)]
pub struct View<'a> {
    /// Chunks of the blob; `None` while its size is not proved.
    pub chunks: Option<u32>,
    /// Whether some chunk is here, so that others can find us.
    pub has_some: bool,
    /// Wanted chunks, in no flight, that no linked peer has.
    pub unheld: &'a [ChunkIndex],
    /// The wanted chunk that a reader waits for first.
    pub next_read: Option<ChunkIndex>,
    /// A wanted chunk that peers have.
    pub held: Option<ChunkIndex>,
    /// Tickets of the linked peers that lack something.
    pub rivals: &'a [u64],
    /// Whether peers are being looked up or linked.
    pub linking: bool,
    /// Chunk bytes received so far, from whomever.
    pub received: u64,
}

/// What to fetch. `server` is the place of the source in the list that [`WebSeed::new`] was given.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fetch {
    /// The blob's tree; answer with [`WebSeed::on_tree`].
    Tree {
        /// From whom.
        server: usize,
    },
    /// One chunk; answer with [`WebSeed::on_chunk`].
    Chunk {
        /// From whom.
        server: usize,
        /// Which.
        index: ChunkIndex,
    },
}

/// Why a server did not deliver. The words end a sentence about it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, thiserror::Error)]
#[non_exhaustive]
pub enum Fault {
    /// The network, the browser's rules for foreign servers (CORS) or mixed content.
    #[error("cannot be reached from this page")]
    Unreachable,
    /// 401, 403, 404, 410 and other refusals.
    #[error("does not offer this file")]
    Missing,
    /// 408, 429 or 5xx.
    #[error("is overloaded or out of order")]
    Busy,
    /// No answer, or no end of it, in time.
    #[error("is too slow")]
    Slow,
    /// The answer ended too early.
    #[error("breaks off in the middle")]
    Broken,
    /// It sent something other than the range it was asked for.
    #[error("does not serve parts of files")]
    NoRanges,
    /// What it sent is not the blob's.
    #[error("has another file under this address")]
    WrongBytes,
}

impl Fault {
    /// Whether the server is not asked again.
    pub fn is_final(self) -> bool {
        matches!(self, Self::NoRanges | Self::WrongBytes)
    }
}

/// What the user interface shows of one server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServerView<'a> {
    /// Which.
    pub source: &'a WebSource,
    /// Chunk bytes it delivered that were of use.
    pub bytes: u64,
    /// Whether something is being fetched from it.
    pub busy: bool,
    /// Why it did not deliver the last time.
    pub fault: Option<Fault>,
}

/// The servers of one blob.
#[derive(Debug)]
pub struct WebSeed {
    ticket: u64,
    random: Random,
    servers: Vec<Server>,
    /// Places of servers in the order in which they are tried: a crowd spreads over mirrors.
    order: Vec<usize>,
    flights: Map<ChunkIndex, Flight>,
    /// When the first request may be made.
    start: Option<Time>,
    /// Since when others could find us.
    findable: Option<Time>,
    settled: bool,
    /// Since when there has been nothing of our own to fetch.
    idle: Option<Time>,
    rate: Rate,
    received: u64,
    asked: u32,
}

#[derive(Debug)]
struct Server {
    source: WebSource,
    tree: Tree,
    failures: u32,
    not_before: Time,
    fault: Option<Fault>,
    bytes: u64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Tree {
    Unknown,
    Asked,
    Shown,
}

#[derive(Debug, Clone, Copy)]
struct Flight {
    server: usize,
    since: Time,
}

impl WebSeed {
    /// Nothing is asked yet. `ticket` is ours; `seed` decides the order of servers and the jitter of pauses.
    pub fn new(sources: Vec<WebSource>, ticket: u64, seed: u64) -> Self {
        let mut random = Random::new(seed);
        let mut order: Vec<usize> = (0..sources.len()).collect();
        random.shuffle(&mut order);
        let server = |source| Server {
            source,
            tree: Tree::Unknown,
            failures: 0,
            not_before: Time::default(),
            fault: None,
            bytes: 0,
        };
        Self {
            ticket,
            random,
            servers: sources.into_iter().map(server).collect(),
            order,
            flights: Map::new(),
            start: None,
            findable: None,
            settled: false,
            idle: None,
            rate: Rate::default(),
            received: 0,
            asked: 0,
        }
    }

    /// The next thing to fetch now, if any. Ask until there is none, and again every [`POLL`] while something is missing.
    pub fn next(&mut self, view: &View, now: Time) -> Option<Fetch> {
        self.observe(view, now);
        if self.start.is_none_or(|start| now < start) || self.flights.len() >= PARALLEL {
            return None;
        }
        let index = match view.chunks {
            Some(_) => Some(self.choose(view, now)?),
            // The tree tells the size.
            None => None,
        };
        let usable = |at: &&usize| self.servers[**at].is_usable(now);
        let server = *self.order.iter().find(usable)?;
        match (self.servers[server].tree, index) {
            (Tree::Shown, Some(index)) => {
                let flight = Flight { server, since: now };
                self.flights.insert(index, flight);
                self.asked = self.asked.wrapping_add(1);
                Some(Fetch::Chunk { server, index })
            }
            (Tree::Unknown, _) => {
                self.servers[server].tree = Tree::Asked;
                Some(Fetch::Tree { server })
            }
            _ => None,
        }
    }

    /// A tree has come and is the blob's, or it has not.
    pub fn on_tree(&mut self, server: usize, result: Result<(), Fault>, now: Time) {
        let Some(asked) = self.servers.get_mut(server) else {
            return;
        };
        asked.tree = match result {
            Ok(()) => Tree::Shown,
            Err(_) => Tree::Unknown,
        };
        self.judge(server, result, now);
    }

    /// A chunk of so many bytes has come and was right, or it has not.
    pub fn on_chunk(&mut self, index: ChunkIndex, result: Result<u64, Fault>, now: Time) {
        let Some(flight) = self.flights.remove(&index) else {
            return;
        };
        if let Some(server) = self.servers.get_mut(flight.server) {
            server.bytes += result.unwrap_or(0);
        }
        self.judge(flight.server, result.map(drop), now);
    }

    /// A fetch was given up here, without anybody's fault.
    pub fn on_given_up(&mut self, index: ChunkIndex) {
        self.flights.remove(&index);
    }

    /// Everything was given up here.
    pub fn stop(&mut self) {
        self.flights.clear();
        for server in &mut self.servers {
            if server.tree == Tree::Asked {
                server.tree = Tree::Unknown;
            }
        }
    }

    /// The tree that was shown is here no longer.
    pub fn forget_trees(&mut self) {
        for server in &mut self.servers {
            server.tree = Tree::Unknown;
        }
    }

    /// Chunks that take long and that a peer has by now: give them up and ask the peer.
    pub fn overtaken(&self, held: impl Fn(ChunkIndex) -> bool, now: Time) -> Vec<ChunkIndex> {
        let late = |flight: &Flight| now.since(flight.since) >= OVERTAKEN;
        let flights = self.flights.iter();
        flights
            .filter(|(index, flight)| late(flight) && held(**index))
            .map(|(index, _)| *index)
            .collect()
    }

    /// Where it lies.
    pub fn source(&self, server: usize) -> Option<&WebSource> {
        self.servers.get(server).map(|server| &server.source)
    }

    /// Whether some server works, or has not been tried.
    pub fn is_hopeful(&self) -> bool {
        self.servers.iter().any(|server| server.fault.is_none())
    }

    /// The servers, in the order of the link.
    pub fn servers(&self) -> impl Iterator<Item = ServerView<'_>> {
        self.servers.iter().enumerate().map(|(at, server)| {
            let busy = self.flights.values().any(|flight| flight.server == at);
            ServerView {
                source: &server.source,
                bytes: server.bytes,
                busy: busy || server.tree == Tree::Asked,
                fault: server.fault,
            }
        })
    }

    /// Takes in what has changed since the last look.
    fn observe(&mut self, view: &View, now: Time) {
        let jitter = START_JITTER / 16 * self.random.below(17);
        self.start.get_or_insert(now + START_AFTER + jitter);
        let more = view.received.saturating_sub(self.received);
        self.received = view.received;
        if more > 0 {
            self.rate.add(more, now);
        }
        if view.has_some {
            self.findable.get_or_insert(now);
        }
        let alone_for = self.findable.map(|since| now.since(since));
        let known = alone_for
            .is_some_and(|passed| passed >= SETTLE_MAX || passed >= SETTLE_MIN && !view.linking);
        self.settled |= known || view.chunks.is_some_and(|chunks| chunks <= SMALL);
    }

    /// The chunk that a server should be asked for now.
    fn choose(&mut self, view: &View, now: Time) -> Option<ChunkIndex> {
        let floor = match view.next_read {
            Some(_) if self.settled => READER_FLOOR,
            _ => FLOOR,
        };
        let short = self.flights.is_empty() && self.rate.per_second(now) < floor;
        let turn = best_turn(view, self.ticket);
        if !self.settled {
            let mine = turn.map(|turn| turn.index);
            // Half of the trickle is spread, so that visitors who all read from the start have something to exchange.
            let wish = match self.asked % 2 {
                0 => view.next_read.or(mine),
                _ => mine.or(view.next_read),
            };
            return wish.or(view.held).filter(|_| short);
        }
        match turn {
            Some(Turn { rank: 0, index, .. }) => {
                self.idle = None;
                return Some(index);
            }
            Some(turn) => {
                let idle = *self.idle.get_or_insert(now);
                let wait = HEDGE * turn.rank.min(RANKS);
                if self.flights.is_empty() && now.since(idle) >= wait {
                    return Some(turn.index);
                }
            }
            None => {}
        }
        view.next_read.or(view.held).filter(|_| short)
    }

    fn judge(&mut self, server: usize, result: Result<(), Fault>, now: Time) {
        let share = self.random.below(1 << 16);
        let Some(server) = self.servers.get_mut(server) else {
            return;
        };
        if server.fault.is_some_and(Fault::is_final) {
            return;
        }
        let Err(fault) = result else {
            server.failures = 0;
            server.fault = None;
            return;
        };
        server.fault = Some(fault);
        // Requests that fail together count once.
        if now < server.not_before {
            return;
        }
        let least = match fault {
            Fault::Missing => MISSING_PAUSE,
            _ => PAUSE,
        };
        let pause = least.saturating_mul(1 << server.failures.min(10));
        let pause = pause.min(PAUSE_MAX.max(least));
        server.failures += 1;
        server.not_before = now + pause + pause / 2 * share / (1 << 16);
    }
}

impl Server {
    fn is_usable(&self, now: Time) -> bool {
        !self.fault.is_some_and(Fault::is_final) && now >= self.not_before
    }
}

/// Whose turn a chunk is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Turn {
    index: ChunkIndex,
    /// Rivals whose chunk it is rather than ours.
    rank: u32,
}

/// The chunk that is ours before all others: of lowest rank; of our own the one a reader waits for, else the one that
/// goes best with our ticket; of the others' the one that its owner will come to last.
fn best_turn(view: &View, ticket: u64) -> Option<Turn> {
    let key = |index: &ChunkIndex| {
        let mine = affinity(*index, ticket);
        let others = view.rivals.iter().map(|rival| affinity(*index, *rival));
        let (mut rank, mut best) = (0, mine);
        for other in others.filter(|other| *other > mine) {
            rank += 1;
            best = best.max(other);
        }
        let late = match rank {
            0 if Some(*index) == view.next_read => 0,
            0 => u64::MAX - mine,
            _ => best,
        };
        (rank, late)
    };
    let keyed = view.unheld.iter().map(|index| (key(index), *index));
    let ((rank, _), index) = keyed.min_by_key(|(key, index)| (*key, *index))?;
    Some(Turn { index, rank })
}

/// How well a chunk goes with a ticket: the mixer of SplitMix64 (Steele, Lea, Flood, "Fast Splittable Pseudorandom Number
/// Generators", 2014).
fn affinity(index: ChunkIndex, ticket: u64) -> u64 {
    let mut mixed = ticket ^ (u64::from(index.0) + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    mixed ^ (mixed >> 31)
}

/// Time between two looks while something is missing. Ours: short against the time in which a chunk comes.
pub const POLL: Duration = Duration::from_millis(250);
/// Requests under way at once. Ours: leaves two of a browser's six connections to a host to the page.
pub const PARALLEL: usize = 4;
/// Time from opening a blob to the first request: a swarm that is there may have answered by then.
const START_AFTER: Duration = Duration::from_millis(500);
/// As much again at most, so that visitors who come together do not ask together.
const START_JITTER: Duration = Duration::from_millis(500);
/// Chunks of a blob for which nobody waits: linking costs as much as fetching a megabyte.
const SMALL: u32 = 4;
/// Time from having something that others may look for to using the server freely: look-ups follow each other at first
/// within two seconds (`discovery`), and a link takes about two.
const SETTLE_MIN: Duration = Duration::from_secs(4);
/// The same at most, while links are still being made: what one attempt to link may take.
const SETTLE_MAX: Duration = Duration::from_secs(20);
/// Bytes a second to which the server tops up what the swarm brings. Ours: a chunk every eight seconds.
const FLOOR: u64 = 32 * 1024;
/// The same while a reader waits, for a peer that has had time to be found.
const READER_FLOOR: u64 = 64 * 1024;
/// Time without anything of our own to fetch, for each rival that comes first, before a chunk of others is fetched.
const HEDGE: Duration = Duration::from_secs(2);
/// Rivals that are waited for at most.
const RANKS: u32 = 3;
/// Age of a request after which a peer that has the chunk is asked instead: twenty times what a good server takes.
const OVERTAKEN: Duration = Duration::from_secs(5);
/// First pause after a failure; doubles with each in a row.
const PAUSE: Duration = Duration::from_secs(5);
/// Longest pause after failures that may pass.
const PAUSE_MAX: Duration = Duration::from_secs(300);
/// Pause after a refusal: what is not there does not appear in a moment.
const MISSING_PAUSE: Duration = Duration::from_secs(600);

#[cfg(all(test, not(target_arch = "wasm32")))]
mod tests;
