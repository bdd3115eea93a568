use proptest::prelude::*;

use super::*;

fn at(seconds: u64) -> Time {
    Time::default() + Duration::from_secs(seconds)
}

/// A pool with a full set of links that came up at 0.
fn full() -> Pool {
    let mut pool = Pool::default();
    for peer in 0..MAX_LINKS as u64 {
        assert_eq!(pool.up(PeerKey(peer), at(0)), None);
    }
    pool
}

#[test]
fn the_longest_idle_makes_room_then_the_useless_then_the_slow() {
    let mut pool = full();
    for peer in 0..MAX_LINKS as u64 {
        pool.sessions(PeerKey(peer), 1);
        pool.moved(PeerKey(peer), USEFUL, at(60));
    }
    // Idle since different times, useless, slow.
    for (peer, last) in [(7, 50), (3, 55)] {
        pool.down(PeerKey(peer));
        pool.up(PeerKey(peer), at(last - 25));
        pool.moved(PeerKey(peer), USEFUL, at(last));
    }
    for (peer, bytes) in [(9, 0), (5, 100)] {
        pool.down(PeerKey(peer));
        pool.up(PeerKey(peer), at(30));
        pool.sessions(PeerKey(peer), 1);
        pool.moved(PeerKey(peer), bytes, at(60));
    }
    let mut order = Vec::new();
    for fresh in 100.. {
        match pool.may_dial(PeerKey(fresh), at(61)) {
            Verdict::Instead(victim) => order.push(victim.0),
            Verdict::Wait => break,
            Verdict::Go => panic!("there was room"),
        }
        pool.dial_ended(PeerKey(fresh));
        assert_eq!(pool.up(PeerKey(fresh), at(61)), None);
    }
    assert_eq!(order, [7, 3, 9, 5]);
    assert_eq!(pool.links(), MAX_LINKS);
}

#[test]
fn a_newcomer_is_let_go_when_all_others_are_in_use() {
    let mut pool = full();
    assert_eq!(pool.up(PeerKey(99), at(1)), Some(PeerKey(99)));
    assert_eq!(pool.up(PeerKey(99), at(30)), Some(PeerKey(0)));
    assert_eq!(pool.links(), MAX_LINKS);
}

#[test]
fn dials_are_bounded_at_a_time_and_in_the_long_run() {
    let mut pool = Pool::default();
    for peer in 0..MAX_DIALLING as u64 {
        assert_eq!(pool.may_dial(PeerKey(peer), at(0)), Verdict::Go);
    }
    assert_eq!(pool.may_dial(PeerKey(99), at(0)), Verdict::Wait);
    // The same dial again is the same dial.
    assert_eq!(pool.may_dial(PeerKey(0), at(0)), Verdict::Go);
    let mut made = MAX_DIALLING as u32;
    for peer in 0..10_000 {
        pool.dial_ended(PeerKey(peer % MAX_DIALLING as u64));
        if pool.may_dial(PeerKey(peer % MAX_DIALLING as u64), at(0)) != Verdict::Go {
            break;
        }
        made += 1;
    }
    assert_eq!(made, BURST);
    let later = Time::default() + INTERVAL;
    let one = |pool: &mut Pool, now| {
        let verdict = pool.may_dial(PeerKey(50), now);
        pool.dial_ended(PeerKey(50));
        verdict
    };
    for peer in 0..MAX_DIALLING as u64 {
        pool.dial_ended(PeerKey(peer));
    }
    assert_eq!(one(&mut pool, at(0)), Verdict::Wait);
    assert_eq!(one(&mut pool, later), Verdict::Go);
    assert_eq!(one(&mut pool, later), Verdict::Wait);
}

#[test]
fn a_link_may_be_dialled_anew_though_there_is_no_room() {
    let mut pool = full();
    assert_eq!(pool.may_dial(PeerKey(5), at(1)), Verdict::Go);
    assert_eq!(pool.up(PeerKey(5), at(2)), None);
    assert_eq!(pool.links(), MAX_LINKS);
}

/// The same rules from a log of everything that happened, searched anew for every question.
#[derive(Default)]
struct Naive {
    links: Vec<(u64, Time, usize)>,
    dialling: Vec<u64>,
    made: Vec<Time>,
    moved: Vec<(u64, Time, u64)>,
}

impl Naive {
    fn has(&self, peer: u64) -> bool {
        self.links.iter().any(|(other, ..)| *other == peer)
    }

    fn drop_link(&mut self, peer: u64) {
        self.links.retain(|(other, ..)| *other != peer);
        self.moved.retain(|(other, ..)| *other != peer);
    }

    fn least(&self, now: Time) -> Option<u64> {
        let seconds = |time: Time| time.0 / 1_000_000 / 10;
        let mut free = Vec::new();
        for (peer, since, sessions) in &self.links {
            let moves = self.moved.iter().filter(|(other, ..)| other == peer);
            let recent: u64 = moves
                .clone()
                .filter(|(_, when, _)| seconds(*when) + 1 >= seconds(now))
                .map(|(.., bytes)| bytes)
                .sum();
            let last = moves.map(|(_, when, _)| *when).max().unwrap_or(*since);
            let busy = *sessions > 0;
            if now.0 - since.0 < 20_000_000 || (busy && recent >= 65_536) {
                continue;
            }
            free.push((busy, if busy { recent } else { 0 }, last, *peer));
        }
        free.into_iter().min().map(|(.., peer)| peer)
    }

    /// Whether one more may be made: replays the leaking bucket from the beginning.
    fn paced(&self, now: Time) -> bool {
        let (mut level, mut last) = (0u64, 0u64);
        for when in self.made.iter().chain([&now]) {
            level = level.saturating_sub(when.0 - last) + 2_000_000;
            last = when.0;
        }
        level <= 2_000_000 * 120
    }

    fn may_dial(&mut self, peer: u64, now: Time) -> Verdict {
        if self.dialling.contains(&peer) {
            return Verdict::Go;
        }
        if self.dialling.len() >= 8 || !self.paced(now) {
            return Verdict::Wait;
        }
        let coming = self
            .dialling
            .iter()
            .filter(|peer| !self.has(**peer))
            .count();
        let mut verdict = Verdict::Go;
        if !self.has(peer) && self.links.len() + coming >= 40 {
            let Some(victim) = self.least(now) else {
                return Verdict::Wait;
            };
            self.drop_link(victim);
            verdict = Verdict::Instead(PeerKey(victim));
        }
        self.made.push(now);
        self.dialling.push(peer);
        verdict
    }

    fn up(&mut self, peer: u64, now: Time) -> Option<PeerKey> {
        self.dialling.retain(|other| *other != peer);
        if self.has(peer) {
            return None;
        }
        let victim = (self.links.len() >= 40).then(|| self.least(now).unwrap_or(peer));
        if let Some(victim) = victim {
            self.drop_link(victim);
        }
        if victim != Some(peer) {
            self.links.push((peer, now, 0));
        }
        victim.map(PeerKey)
    }
}

#[derive(Debug, Clone)]
enum Step {
    Wait(u64),
    Dial(u64),
    DialEnded(u64),
    Up(u64),
    Down(u64),
    Sessions(u64, usize),
    Moved(u64, u64),
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let peer = 0u64..60;
    let step = prop_oneof![
        2 => (0u64..6_000_000).prop_map(Step::Wait),
        4 => peer.clone().prop_map(Step::Dial),
        2 => peer.clone().prop_map(Step::DialEnded),
        6 => peer.clone().prop_map(Step::Up),
        1 => peer.clone().prop_map(Step::Down),
        4 => (peer.clone(), 0usize..3).prop_map(|(peer, count)| Step::Sessions(peer, count)),
        4 => (peer, 0u64..200_000).prop_map(|(peer, bytes)| Step::Moved(peer, bytes)),
    ];
    proptest::collection::vec(step, 0..600)
}

proptest! {
    #[test]
    fn decides_as_a_search_of_the_whole_log_does(steps in steps()) {
        let (mut pool, mut naive) = (Pool::default(), Naive::default());
        let mut now = Time::default();
        for step in steps {
            match step {
                Step::Wait(micros) => now = now + Duration::from_micros(micros),
                Step::Dial(peer) => {
                    prop_assert_eq!(pool.may_dial(PeerKey(peer), now), naive.may_dial(peer, now));
                }
                Step::DialEnded(peer) => {
                    pool.dial_ended(PeerKey(peer));
                    naive.dialling.retain(|other| *other != peer);
                }
                Step::Up(peer) => prop_assert_eq!(pool.up(PeerKey(peer), now), naive.up(peer, now)),
                Step::Down(peer) => {
                    pool.down(PeerKey(peer));
                    naive.drop_link(peer);
                }
                Step::Sessions(peer, count) => {
                    pool.sessions(PeerKey(peer), count);
                    let known = naive.links.iter_mut().find(|(other, ..)| *other == peer);
                    known.into_iter().for_each(|link| link.2 = count);
                }
                Step::Moved(peer, bytes) => {
                    pool.moved(PeerKey(peer), bytes, now);
                    if naive.has(peer) {
                        naive.moved.push((peer, now, bytes));
                    }
                }
            }
            prop_assert!(pool.links() <= MAX_LINKS);
            prop_assert_eq!(pool.links(), naive.links.len());
        }
    }
}
