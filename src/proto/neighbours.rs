//! The standing links of a node: those through which it is found, and finds, when no relay answers.
//!
//! While the person lets the node serve others it keeps a few links to other nodes, whatever it fetches, found like the peers of a
//! blob ([`Discovery`]). At linked peers that introduce others it asks for reservations, the oldest links first, because who has
//! stayed long is likely to stay (Maymounkov and Mazières, "Kademlia", section 4.1, on the uptimes of Gnutella nodes). When it has
//! had enough links for long enough it becomes a server of the peers' index, and stops when they are nearly gone.

use std::collections::VecDeque;
use std::time::Duration;

use super::discovery::{self, Discovery};
use super::types::{PeerKey, Time};
use crate::proto::ordered::Map;
use crate::proto::sorting::sort_by_key;

/// Links that are looked for. Ours: the graph of 20 to 10,000 nodes with four random links each is connected but for one in
/// thousands, and each link costs a peer connection of which a tab should hold at most 40.
pub const TARGET_LINKS: usize = 4;

/// Reservations at peers that are asked for. Ours: half of them may leave in a minute and the rest still introduce us.
pub const MAX_INTRODUCERS: usize = 6;

/// Pause before a peer is asked again on which a reservation was lost: another connection to it may still be there.
pub const LOST_PAUSE: Duration = Duration::from_secs(1);

/// Pause before a peer that refused a reservation is asked again.
pub const REFUSED_PAUSE: Duration = Duration::from_secs(60);

/// Direct links that a server of the peers' index has had for [`SERVE_AFTER`].
pub const SERVE_LINKS: usize = 3;

/// Direct links below which a server stops being one.
pub const STOP_LINKS: usize = 1;

/// How long the links must have been there. Ours: most visits to a page end within a minute, and one that has lasted ten will
/// mostly last ten more.
pub const SERVE_AFTER: Duration = Duration::from_secs(10 * 60);

/// What the edges tell it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Input {
    /// Whether this node may serve others, and so have standing links at all.
    Allow(bool),
    /// A look-up, a peer or the address book named these nodes.
    Found(Vec<PeerKey>),
    /// A look-up has ended.
    LookupEnded,
    /// A direct link to this peer is up, for whatever reason it was made.
    Linked(PeerKey),
    /// The last direct link to this peer is gone.
    Unlinked(PeerKey),
    /// No link came up with this peer.
    Failed(PeerKey),
    /// Never again this peer.
    Banned(PeerKey),
    /// Whether a linked peer introduces others, as it says.
    Introduces(PeerKey, bool),
    /// A linked peer granted the reservation.
    Reserved(PeerKey),
    /// The reservation was refused.
    Refused(PeerKey),
    /// The reservation is gone, with the connection that it was on.
    Unreserved(PeerKey),
    /// Relays or peers came (back) in reach: look up again at once.
    NetworkUp,
    /// The deadline of the last `WakeAt` has come (harmless at any time).
    Tick,
}

/// What the edges must do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Output {
    /// Ask the indexes for nodes.
    Lookup,
    /// Bring up a link to this peer, then say `Linked` or `Failed`.
    Connect(PeerKey),
    /// Ask this linked peer for a reservation, then say `Reserved` or `Unreserved`.
    Reserve(PeerKey),
    /// Introduce others and tell so, or not.
    Introduce(bool),
    /// Answer for the peers' index, or only ask it.
    ServeIndex(bool),
    /// Come back with `Tick` at this time, unless another `WakeAt` follows.
    WakeAt(Time),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Reservation {
    None,
    Asked,
    Held,
}

#[derive(Debug, Clone, Copy)]
struct Link {
    since: Time,
    introduces: bool,
    reservation: Reservation,
    not_before: Time,
}

/// The links of one node.
#[derive(Debug)]
pub struct Neighbours {
    allowed: bool,
    serve_after: Duration,
    finding: Discovery,
    finding_wake: Option<Time>,
    links: Map<PeerKey, Link>,
    steady_since: Option<Time>,
    serving: bool,
    out: VecDeque<Output>,
}

impl Neighbours {
    /// No links, not allowed anything. `seed` decides the order of candidates and the jitter of pauses.
    pub fn new(seed: u64, serve_after: Duration) -> Self {
        Self {
            allowed: false,
            serve_after,
            finding: Discovery::with_target(seed, TARGET_LINKS),
            finding_wake: None,
            links: Map::new(),
            steady_since: None,
            serving: false,
            out: VecDeque::new(),
        }
    }

    /// Peers at which others can reach us.
    pub fn introducers(&self) -> usize {
        self.count(Reservation::Held)
    }

    /// Whether this node answers for the peers' index.
    pub fn is_serving(&self) -> bool {
        self.serving
    }

    /// The next thing to do; drain it after every [`handle`](Self::handle).
    pub fn poll_output(&mut self) -> Option<Output> {
        self.out.pop_front()
    }

    /// Takes in what happened.
    pub fn handle(&mut self, input: Input, now: Time) {
        let tell = match input {
            Input::Allow(allowed) if allowed != self.allowed => {
                self.allowed = allowed;
                self.out.push_back(Output::Introduce(allowed));
                Some(discovery::Input::Want(allowed))
            }
            Input::Allow(_) => None,
            Input::Found(peers) => Some(discovery::Input::Found(peers)),
            Input::LookupEnded => Some(discovery::Input::LookupEnded),
            Input::Linked(peer) => {
                self.links.entry(peer).or_insert(Link {
                    since: now,
                    introduces: false,
                    reservation: Reservation::None,
                    not_before: now,
                });
                Some(discovery::Input::Connected(peer))
            }
            Input::Unlinked(peer) => self
                .links
                .remove(&peer)
                .map(|_| discovery::Input::Disconnected(peer)),
            Input::Failed(peer) => Some(discovery::Input::Failed(peer)),
            Input::Banned(peer) => Some(discovery::Input::Banned(peer)),
            Input::Introduces(peer, introduces) => {
                if let Some(link) = self.links.get_mut(&peer) {
                    link.introduces = introduces;
                }
                None
            }
            Input::Reserved(peer) => {
                if let Some(link) = self.links.get_mut(&peer) {
                    link.reservation = Reservation::Held;
                }
                None
            }
            Input::Refused(peer) => self.unreserve(peer, now + REFUSED_PAUSE),
            Input::Unreserved(peer) => self.unreserve(peer, now + LOST_PAUSE),
            Input::NetworkUp => Some(discovery::Input::NetworkUp),
            Input::Tick => Some(discovery::Input::Tick),
        };
        if let Some(input) = tell {
            self.find(input, now);
        }
        self.reserve(now);
        self.weigh(now);
        if let Some(at) = self.deadline(now) {
            self.out.push_back(Output::WakeAt(at));
        }
    }

    fn count(&self, reservation: Reservation) -> usize {
        let same = |link: &&Link| link.reservation == reservation;
        self.links.values().filter(same).count()
    }

    fn unreserve(&mut self, peer: PeerKey, not_before: Time) -> Option<discovery::Input> {
        if let Some(link) = self.links.get_mut(&peer) {
            link.reservation = Reservation::None;
            link.not_before = not_before;
        }
        None
    }

    fn find(&mut self, input: discovery::Input, now: Time) {
        self.finding.handle(input, now);
        while let Some(output) = self.finding.poll_output() {
            match output {
                discovery::Output::Lookup => self.out.push_back(Output::Lookup),
                discovery::Output::Connect(peer) => self.out.push_back(Output::Connect(peer)),
                // A node without neighbours is told of as such by the state of the whole.
                discovery::Output::Nobody => {}
                discovery::Output::WakeAt(at) => self.finding_wake = Some(at),
            }
        }
    }

    fn reserve(&mut self, now: Time) {
        if !self.allowed {
            return;
        }
        let wanted = self.count(Reservation::Asked) + self.count(Reservation::Held);
        let mut ready: Vec<_> = self
            .links
            .iter_mut()
            .filter(|(_, link)| {
                link.introduces && link.reservation == Reservation::None && link.not_before <= now
            })
            .collect();
        sort_by_key(&mut ready, |(peer, link)| (link.since, **peer));
        let room = MAX_INTRODUCERS.saturating_sub(wanted);
        for (peer, link) in ready.into_iter().take(room) {
            link.reservation = Reservation::Asked;
            self.out.push_back(Output::Reserve(*peer));
        }
    }

    /// The rule of who serves the peers' index.
    fn weigh(&mut self, now: Time) {
        let steady = self.allowed && self.links.len() >= SERVE_LINKS;
        self.steady_since = steady.then(|| self.steady_since.unwrap_or(now));
        let due = self
            .steady_since
            .is_some_and(|since| now.since(since) >= self.serve_after);
        let over = !self.allowed || self.links.len() < STOP_LINKS;
        let serving = (self.serving || due) && !over;
        if serving != self.serving {
            self.serving = serving;
            self.out.push_back(Output::ServeIndex(serving));
        }
    }

    fn deadline(&self, now: Time) -> Option<Time> {
        if !self.allowed {
            return None;
        }
        let refused = self
            .links
            .values()
            .filter(|link| link.introduces && link.reservation == Reservation::None)
            .map(|link| link.not_before);
        let serve = self
            .steady_since
            .filter(|_| !self.serving)
            .map(|since| since + self.serve_after);
        self.finding_wake
            .into_iter()
            .chain(refused)
            .chain(serve)
            .filter(|at| *at > now)
            .min()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: u64) -> Time {
        Time::default() + Duration::from_secs(seconds)
    }

    fn drain(neighbours: &mut Neighbours) -> Vec<Output> {
        std::iter::from_fn(|| neighbours.poll_output())
            .filter(|out| !matches!(out, Output::WakeAt(_)))
            .collect()
    }

    fn peers(range: std::ops::Range<u64>) -> Vec<PeerKey> {
        range.map(PeerKey).collect()
    }

    fn allowed() -> Neighbours {
        let mut neighbours = Neighbours::new(7, SERVE_AFTER);
        neighbours.handle(Input::Allow(true), at(0));
        assert_eq!(
            drain(&mut neighbours),
            [Output::Introduce(true), Output::Lookup]
        );
        neighbours
    }

    #[test]
    fn nothing_happens_before_the_person_agrees() {
        let mut neighbours = Neighbours::new(7, SERVE_AFTER);
        for input in [
            Input::Found(peers(1..9)),
            Input::Linked(PeerKey(1)),
            Input::Introduces(PeerKey(1), true),
            Input::NetworkUp,
            Input::Tick,
        ] {
            neighbours.handle(input, at(1));
        }
        neighbours.handle(Input::Tick, at(100_000));
        assert_eq!(drain(&mut neighbours), []);
    }

    #[test]
    fn a_few_links_are_made_and_lost_ones_replaced() {
        let mut neighbours = allowed();
        neighbours.handle(Input::Found(peers(1..20)), at(1));
        let mut linked = Vec::new();
        for second in 1..20 {
            neighbours.handle(Input::Tick, at(second));
            let connects: Vec<_> = drain(&mut neighbours)
                .into_iter()
                .filter_map(|out| match out {
                    Output::Connect(peer) => Some(peer),
                    _ => None,
                })
                .collect();
            for peer in connects {
                linked.push(peer);
                neighbours.handle(Input::Linked(peer), at(second));
            }
        }
        assert_eq!(linked.len(), TARGET_LINKS);
        neighbours.handle(Input::LookupEnded, at(20));
        neighbours.handle(Input::Unlinked(linked[0]), at(21));
        let next = drain(&mut neighbours);
        assert!(next.contains(&Output::Lookup), "{next:?}");
        assert!(next.iter().any(|out| matches!(out, Output::Connect(_))));
    }

    #[test]
    fn the_oldest_links_are_asked_first_and_no_more_than_needed() {
        let mut neighbours = allowed();
        for n in 1..=10 {
            neighbours.handle(Input::Linked(PeerKey(n)), at(20 - n));
        }
        drain(&mut neighbours);
        let mut asked = Vec::new();
        for n in 1..=10 {
            neighbours.handle(Input::Introduces(PeerKey(n), true), at(30));
            asked.extend(drain(&mut neighbours));
        }
        assert_eq!(asked.len(), MAX_INTRODUCERS);
        neighbours.handle(Input::Reserved(PeerKey(1)), at(31));
        assert_eq!(neighbours.introducers(), 1);
        // One refuses: the oldest of the others is next, and the one that refused waits.
        neighbours.handle(Input::Refused(PeerKey(2)), at(32));
        assert_eq!(drain(&mut neighbours), [Output::Reserve(PeerKey(10))]);
        for n in 3..=10 {
            neighbours.handle(Input::Unlinked(PeerKey(n)), at(33));
        }
        drain(&mut neighbours);
        neighbours.handle(Input::Tick, at(90));
        assert!(!drain(&mut neighbours).contains(&Output::Reserve(PeerKey(2))));
        neighbours.handle(Input::Tick, at(93));
        assert!(drain(&mut neighbours).contains(&Output::Reserve(PeerKey(2))));
    }

    #[test]
    fn who_stays_long_with_enough_links_serves_the_index() {
        let mut neighbours = allowed();
        for n in 1..=SERVE_LINKS as u64 {
            neighbours.handle(Input::Linked(PeerKey(n)), at(10));
        }
        neighbours.handle(Input::Tick, at(10 + SERVE_AFTER.as_secs() - 1));
        assert!(!neighbours.is_serving());
        neighbours.handle(Input::Tick, at(10 + SERVE_AFTER.as_secs()));
        assert!(drain(&mut neighbours).contains(&Output::ServeIndex(true)));
        // A link that is replaced does not end it; being alone does, and so does the person.
        neighbours.handle(Input::Unlinked(PeerKey(1)), at(2000));
        assert!(neighbours.is_serving());
        neighbours.handle(Input::Allow(false), at(2001));
        let last = drain(&mut neighbours);
        assert!(last.contains(&Output::ServeIndex(false)), "{last:?}");
        assert!(last.contains(&Output::Introduce(false)), "{last:?}");
    }

    #[test]
    fn a_gap_starts_the_wait_again() {
        let mut neighbours = allowed();
        for n in 1..=3 {
            neighbours.handle(Input::Linked(PeerKey(n)), at(0));
        }
        neighbours.handle(Input::Unlinked(PeerKey(1)), at(500));
        neighbours.handle(Input::Linked(PeerKey(1)), at(501));
        neighbours.handle(Input::Tick, at(700));
        assert!(!neighbours.is_serving());
        neighbours.handle(Input::Tick, at(1101));
        assert!(neighbours.is_serving());
    }

    #[test]
    fn the_deadline_always_lies_ahead() {
        let mut neighbours = allowed();
        for n in 1..=8u64 {
            neighbours.handle(Input::Linked(PeerKey(n)), at(n));
            neighbours.handle(Input::Introduces(PeerKey(n), true), at(n));
            neighbours.handle(Input::Refused(PeerKey(n)), at(n));
            while let Some(output) = neighbours.poll_output() {
                if let Output::WakeAt(time) = output {
                    assert!(time > at(n));
                }
            }
        }
    }
}
