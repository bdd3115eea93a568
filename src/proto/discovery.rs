//! Finding peers for one blob: when to look up, whom to connect, when to say that nobody is there.
//!
//! While peers are wanted it looks up at once and then ever less often, connects a few candidates at a time up to a
//! target, and backs off from those that fail. After a bounded wait without any session it says so once, and goes on
//! looking: a holder may still come.

use std::collections::VecDeque;
use std::time::Duration;

use super::types::{PeerKey, Time};
use crate::proto::ordered::Map;
use crate::proto::random::Random;
use crate::proto::sorting::sort_by;

/// Sessions that are enough. Ours: a browser's uplink shared by more leeches only makes each slower, and every link costs
/// a peer connection of which a tab should hold at most 40.
pub const TARGET_SESSIONS: usize = 12;

/// Links being made at once for one blob. Ours: each costs a relay circuit and an ICE run.
pub const MAX_DIALLING: usize = 4;

/// Sessions that are enough at the start. Ours: nine pages on two cores took five seconds to link each to each before bytes
/// flowed; a few links pass a blob on as well, and the rest come while it flows.
pub const FIRST_SESSIONS: usize = 3;

/// One session more is wanted each time this has passed since the first came up, until the target is reached.
pub const SESSION_PACE: Duration = Duration::from_millis(1500);

/// Candidates remembered for one blob.
pub const MAX_CANDIDATES: usize = 256;

/// First pause between look-ups; grows by half each time, up to [`LOOKUP_PAUSE_MAX`]: somebody who has just agreed to serve
/// is found soon.
pub const LOOKUP_PAUSE: Duration = Duration::from_millis(500);

/// Longest pause between look-ups while peers are wanted.
pub const LOOKUP_PAUSE_MAX: Duration = Duration::from_secs(60);

/// Longest pause while there is nobody at all. Ours: a person is looking at a page that does not move, and a holder may
/// have come a moment after the last look.
pub const LOOKUP_PAUSE_ALONE: Duration = Duration::from_secs(12);

/// First pause before a failed candidate is tried again; doubles up to [`RETRY_PAUSE_MAX`].
pub const RETRY_PAUSE: Duration = Duration::from_secs(5);

/// Longest pause before a failed candidate is tried again.
pub const RETRY_PAUSE_MAX: Duration = Duration::from_secs(300);

/// How long nobody may be found before the person is told. Ours: a look-up takes up to 10 s, a link up to 20 s.
pub const NOBODY_AFTER: Duration = Duration::from_secs(25);

/// What the edges tell it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Input {
    /// Whether sessions are wanted (a fetch is under way). Turning it on anew starts the bounded wait again.
    Want(bool),
    /// A look-up or a peer named these.
    Found(Vec<PeerKey>),
    /// A look-up has ended.
    LookupEnded,
    /// A session with this peer is up.
    Connected(PeerKey),
    /// The session with this peer is gone.
    Disconnected(PeerKey),
    /// No session came up with this peer.
    Failed(PeerKey),
    /// Never again this peer.
    Banned(PeerKey),
    /// Relays came (back) in reach: look up again at once.
    NetworkUp,
    /// The deadline of the last `WakeAt` has come (harmless at any time).
    Tick,
}

/// What the edges must do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Output {
    /// Ask the index who holds the blob.
    Lookup,
    /// Bring up a session with this peer, then say `Connected` or `Failed`.
    Connect(PeerKey),
    /// Nobody could be reached within [`NOBODY_AFTER`].
    Nobody,
    /// Come back with `Tick` at this time, unless another `WakeAt` follows.
    WakeAt(Time),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Idle,
    Dialling,
    Connected,
    Banned,
}

#[derive(Debug, Clone, Copy)]
struct Candidate {
    state: State,
    failures: u32,
    not_before: Time,
}

/// The look-ups and candidates of one blob.
#[derive(Debug)]
pub struct Discovery {
    target: usize,
    wanted: bool,
    /// When the first session came up, while there is one.
    linked_since: Option<Time>,
    waiting_since: Time,
    told: bool,
    looking: bool,
    next_lookup: Time,
    pause: Duration,
    candidates: Map<PeerKey, Candidate>,
    rng: Random,
    out: VecDeque<Output>,
}

impl Discovery {
    /// Nothing wanted yet. `seed` decides only the order in which candidates are tried and the jitter of pauses.
    pub fn new(seed: u64) -> Self {
        Self::with_target(seed, TARGET_SESSIONS)
    }

    /// As [`new`](Self::new), for another number of sessions that are enough.
    pub fn with_target(seed: u64, target: usize) -> Self {
        Self {
            target,
            wanted: false,
            linked_since: None,
            waiting_since: Time::default(),
            told: false,
            looking: false,
            next_lookup: Time::default(),
            pause: LOOKUP_PAUSE,
            candidates: Map::new(),
            rng: Random::new(seed),
            out: VecDeque::new(),
        }
    }

    /// The next thing to do; drain it after every [`handle`](Self::handle).
    pub fn poll_output(&mut self) -> Option<Output> {
        self.out.pop_front()
    }

    /// Takes in what happened.
    pub fn handle(&mut self, input: Input, now: Time) {
        match input {
            Input::Want(true) => {
                self.wanted = true;
                self.waiting_since = now;
                self.told = false;
                self.look_now(now);
            }
            Input::Want(false) => self.wanted = false,
            Input::Found(peers) => peers.into_iter().for_each(|peer| self.add(peer)),
            Input::LookupEnded => self.looking = false,
            Input::Connected(peer) => {
                self.add(peer);
                if let Some(candidate) = self.live(peer) {
                    *candidate = Candidate {
                        state: State::Connected,
                        failures: 0,
                        not_before: now,
                    };
                }
            }
            Input::Disconnected(peer) => {
                self.back_off(peer, State::Connected, now);
                self.look_now(now);
            }
            Input::Failed(peer) => self.back_off(peer, State::Dialling, now),
            Input::Banned(peer) => {
                self.add(peer);
                if let Some(candidate) = self.candidates.get_mut(&peer) {
                    candidate.state = State::Banned;
                }
            }
            Input::NetworkUp => self.look_now(now),
            Input::Tick => {}
        }
        self.advance(now);
    }

    /// Whether peers are being looked up, or sessions with them made.
    pub fn is_busy(&self) -> bool {
        self.wanted && (self.looking || self.count(State::Dialling) > 0)
    }

    fn look_now(&mut self, now: Time) {
        self.pause = LOOKUP_PAUSE;
        self.next_lookup = now;
    }

    fn add(&mut self, peer: PeerKey) {
        let fresh = Candidate {
            state: State::Idle,
            failures: 0,
            not_before: Time::default(),
        };
        if self.candidates.len() < MAX_CANDIDATES {
            self.candidates.entry(peer).or_insert(fresh);
        } else if !self.candidates.contains_key(&peer) {
            // The worst idle candidate makes room; bans and sessions are never forgotten.
            let worst = self
                .candidates
                .iter()
                .filter(|(_, known)| known.state == State::Idle && known.failures > 0)
                .max_by_key(|(_, known)| known.failures)
                .map(|(peer, _)| *peer);
            if let Some(worst) = worst {
                self.candidates.remove(&worst);
                self.candidates.insert(peer, fresh);
            }
        }
    }

    fn live(&mut self, peer: PeerKey) -> Option<&mut Candidate> {
        self.candidates
            .get_mut(&peer)
            .filter(|candidate| candidate.state != State::Banned)
    }

    fn back_off(&mut self, peer: PeerKey, from: State, now: Time) {
        let jitter = self.jitter();
        let Some(candidate) = self.live(peer).filter(|candidate| candidate.state == from) else {
            return;
        };
        candidate.state = State::Idle;
        let pause = RETRY_PAUSE
            .saturating_mul(1 << candidate.failures.min(10))
            .min(RETRY_PAUSE_MAX);
        candidate.not_before = now + pause + pause.mul_f64(jitter);
        candidate.failures += 1;
    }

    /// From 0 to 0.25: peers that failed together must not come back together.
    fn jitter(&mut self) -> f64 {
        f64::from(self.rng.word()) / f64::from(u32::MAX) / 4.0
    }

    fn count(&self, state: State) -> usize {
        self.candidates
            .values()
            .filter(|candidate| candidate.state == state)
            .count()
    }

    fn advance(&mut self, now: Time) {
        if !self.wanted {
            return;
        }
        let connected = self.count(State::Connected);
        self.linked_since = match connected {
            0 => None,
            _ => self.linked_since.or(Some(now)),
        };
        let enough = self.enough(now);
        if connected < self.target && !self.looking && now >= self.next_lookup {
            self.looking = true;
            self.next_lookup = now + self.pause + self.pause.mul_f64(self.jitter());
            let longest = match connected {
                0 => LOOKUP_PAUSE_ALONE,
                _ => LOOKUP_PAUSE_MAX,
            };
            self.pause = (self.pause * 3 / 2).min(longest);
            self.out.push_back(Output::Lookup);
        }
        let mut dialling = self.count(State::Dialling);
        let mut ready: Vec<_> = self
            .candidates
            .iter()
            .filter(|(_, known)| known.state == State::Idle && known.not_before <= now)
            .map(|(peer, known)| (known.failures, *peer))
            .collect();
        // Those that never failed first; among equals at random, so that a crowd spreads over the holders.
        let mut ready: Vec<_> = ready
            .drain(..)
            .map(|(failures, peer)| (failures, self.rng.word(), peer))
            .collect();
        sort_by(&mut ready, Ord::cmp);
        for (_, _, peer) in ready {
            if dialling >= MAX_DIALLING || connected + dialling >= enough {
                break;
            }
            if let Some(candidate) = self.live(peer) {
                candidate.state = State::Dialling;
                dialling += 1;
                self.out.push_back(Output::Connect(peer));
            }
        }
        if connected > 0 {
            self.waiting_since = now;
        } else if !self.told && now.since(self.waiting_since) >= NOBODY_AFTER {
            self.told = true;
            self.out.push_back(Output::Nobody);
        }
        self.out
            .push_back(Output::WakeAt(self.deadline(now, connected)));
    }

    /// Whole paces since the first session came up.
    fn paces(&self, now: Time) -> u32 {
        let since = self.linked_since.map(|since| now.since(since));
        let paces = since.map_or(0, |since| since.as_millis() / SESSION_PACE.as_millis());
        u32::try_from(paces).unwrap_or(u32::MAX)
    }

    /// How many sessions are enough for now.
    fn enough(&self, now: Time) -> usize {
        let wanted = FIRST_SESSIONS.saturating_add(self.paces(now) as usize);
        self.target.min(wanted)
    }

    fn deadline(&self, now: Time, connected: usize) -> Time {
        let verdict = (!self.told && connected == 0).then(|| self.waiting_since + NOBODY_AFTER);
        let retries = self
            .candidates
            .values()
            .filter(|known| known.state == State::Idle)
            .map(|known| known.not_before);
        let lookup = (!self.looking).then_some(self.next_lookup);
        let more = self.enough(now) < self.target;
        let paced = self.linked_since.filter(|_| more);
        let paced = paced.map(|since| since + SESSION_PACE * (self.paces(now) + 1));
        // A moment that has passed waits for something else (a free place), not for the clock.
        let next = verdict
            .into_iter()
            .chain(retries)
            .chain(lookup)
            .chain(paced)
            .filter(|at| *at > now)
            .min();
        next.unwrap_or(now + LOOKUP_PAUSE_MAX)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const A: PeerKey = PeerKey(1);

    fn drain(discovery: &mut Discovery) -> Vec<Output> {
        std::iter::from_fn(|| discovery.poll_output())
            .filter(|out| !matches!(out, Output::WakeAt(_)))
            .collect()
    }

    fn at(seconds: u64) -> Time {
        Time::default() + Duration::from_secs(seconds)
    }

    fn wanting() -> Discovery {
        let mut discovery = Discovery::new(7);
        discovery.handle(Input::Want(true), at(0));
        assert_eq!(drain(&mut discovery), [Output::Lookup]);
        discovery
    }

    #[test]
    fn looks_up_and_connects_whom_it_finds() {
        let mut discovery = wanting();
        discovery.handle(Input::Found(vec![A]), at(1));
        assert_eq!(drain(&mut discovery), [Output::Connect(A)]);
        discovery.handle(Input::Found(vec![A]), at(1));
        assert_eq!(drain(&mut discovery), []);
    }

    #[test]
    fn says_once_that_nobody_is_there_and_goes_on_looking() {
        let mut discovery = wanting();
        discovery.handle(Input::LookupEnded, at(1));
        let mut told = 0;
        let mut lookups = 0;
        for second in 1..300 {
            discovery.handle(Input::Tick, at(second));
            for output in drain(&mut discovery) {
                match output {
                    Output::Nobody => {
                        assert!(second >= NOBODY_AFTER.as_secs());
                        told += 1;
                    }
                    Output::Lookup => {
                        lookups += 1;
                        discovery.handle(Input::LookupEnded, at(second));
                    }
                    _ => {}
                }
            }
        }
        assert_eq!(told, 1);
        assert!((20..=45).contains(&lookups), "{lookups} look-ups in 300 s");
    }

    #[test]
    fn a_failed_candidate_waits_longer_each_time() {
        let mut discovery = wanting();
        discovery.handle(Input::Found(vec![A]), at(0));
        let mut tried_at = vec![0];
        assert_eq!(drain(&mut discovery), [Output::Connect(A)]);
        discovery.handle(Input::Failed(A), at(0));
        for second in 1..120 {
            discovery.handle(Input::Tick, at(second));
            if drain(&mut discovery).contains(&Output::Connect(A)) {
                tried_at.push(second);
                discovery.handle(Input::Failed(A), at(second));
            }
        }
        let pauses: Vec<_> = tried_at.windows(2).map(|pair| pair[1] - pair[0]).collect();
        assert!(pauses.len() >= 3, "{pauses:?}");
        assert!(
            pauses.windows(2).all(|pair| pair[1] > pair[0]),
            "{pauses:?}"
        );
    }

    #[test]
    fn a_banned_peer_is_never_tried_again() {
        let mut discovery = wanting();
        discovery.handle(Input::Banned(A), at(0));
        discovery.handle(Input::Found(vec![A]), at(1));
        discovery.handle(Input::Disconnected(A), at(2));
        discovery.handle(Input::Tick, at(1000));
        assert!(!drain(&mut discovery).contains(&Output::Connect(A)));
    }

    #[test]
    fn links_are_made_a_few_at_a_time_up_to_the_target() {
        let mut discovery = wanting();
        discovery.handle(Input::Found((1..100).map(PeerKey).collect()), at(0));
        let mut sessions = 0;
        for second in 1..120 {
            discovery.handle(Input::Tick, at(second));
            let connects: Vec<_> = drain(&mut discovery)
                .into_iter()
                .filter_map(|out| match out {
                    Output::Connect(peer) => Some(peer),
                    _ => None,
                })
                .collect();
            assert!(connects.len() <= MAX_DIALLING);
            for peer in connects {
                sessions += 1;
                discovery.handle(Input::Connected(peer), at(second));
            }
            let steps = (second - 1) as usize * 1000 / SESSION_PACE.as_millis() as usize;
            assert!(
                sessions <= FIRST_SESSIONS + steps,
                "{sessions} after {second} s"
            );
        }
        assert_eq!(sessions, TARGET_SESSIONS);
    }

    #[test]
    fn foreign_names_cannot_grow_it_without_bound() {
        let mut discovery = wanting();
        discovery.handle(Input::Found((0..10_000).map(PeerKey).collect()), at(0));
        assert!(discovery.candidates.len() <= MAX_CANDIDATES);
    }

    #[test]
    fn the_deadline_always_lies_ahead() {
        let mut discovery = wanting();
        discovery.handle(Input::Found((1..50).map(PeerKey).collect()), at(0));
        for second in 0..50 {
            discovery.handle(Input::Tick, at(second));
            while let Some(output) = discovery.poll_output() {
                if let Output::WakeAt(time) = output {
                    assert!(time > at(second));
                }
            }
        }
    }
}
