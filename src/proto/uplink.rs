//! The link to one relay: dial, reserve, hold, and come back after a loss without a thundering herd.

use std::collections::VecDeque;
use std::time::Duration;

use super::types::Time;
use crate::proto::random::Random;

/// First pause after a failure; doubles up to [`PAUSE_MAX`]. Three quarters of every pause are random, so that the tabs of a
/// restarted relay do not all come back in the same second.
pub const PAUSE: Duration = Duration::from_secs(2);

/// Time over which the tabs of a relay that was lost come back, each at a moment of its own. Ours: a relay that serves a thousand
/// tabs gets a hundred handshakes in a second, and a person waits five seconds on average.
pub const LOST_SPREAD: Duration = Duration::from_secs(10);

/// Longest pause between attempts: a person who comes back to a tab should not wait longer.
pub const PAUSE_MAX: Duration = Duration::from_secs(30);

/// Time for the dial or the reservation before it counts as failed.
pub const STEP_TIMEOUT: Duration = Duration::from_secs(20);

/// How far the link has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    /// Not tried yet, or waiting after a failure.
    Waiting,
    /// Being dialled.
    Connecting,
    /// Connected; the reservation is asked for.
    Connected,
    /// Other peers can reach us through this relay.
    Reserved,
}

/// What the edges tell it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Input {
    /// The connection to the relay is up.
    Connected,
    /// The relay granted or renewed the reservation.
    Reserved,
    /// The reservation is gone or was refused; the connection may still be there.
    Unreserved,
    /// The dial failed, or the connection is gone.
    Lost,
    /// Try at once (the machine came online, the person asked).
    Now,
    /// The deadline of the last `WakeAt` has come (harmless at any time).
    Tick,
}

/// What the edges must do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Output {
    /// Dial the relay.
    Dial,
    /// Ask for a reservation on the connection.
    Reserve,
    /// Close what is there: it does not answer.
    Drop,
    /// Come back with `Tick` at this time, unless another `WakeAt` follows.
    WakeAt(Time),
}

/// One relay's link.
#[derive(Debug)]
pub struct Uplink {
    state: State,
    failures: u32,
    deadline: Time,
    connected: bool,
    rng: Random,
    out: VecDeque<Output>,
}

impl Uplink {
    /// Not connected; the first `Tick` dials. `seed` decides the jitter only.
    pub fn new(seed: u64) -> Self {
        Self {
            state: State::Waiting,
            failures: 0,
            deadline: Time::default(),
            connected: false,
            rng: Random::new(seed),
            out: VecDeque::new(),
        }
    }

    /// How far it is.
    pub fn state(&self) -> State {
        self.state
    }

    /// Attempts that failed since the last reservation.
    pub fn failures(&self) -> u32 {
        self.failures
    }

    /// The next thing to do; drain it after every [`handle`](Self::handle).
    pub fn poll_output(&mut self) -> Option<Output> {
        self.out.pop_front()
    }

    /// Takes in what happened.
    pub fn handle(&mut self, input: Input, now: Time) {
        match input {
            Input::Connected => {
                self.connected = true;
                if self.state != State::Reserved {
                    self.reserve(now);
                }
            }
            Input::Reserved => {
                self.state = State::Reserved;
                self.failures = 0;
            }
            Input::Unreserved if self.state != State::Waiting => self.wait(now),
            Input::Lost => {
                self.connected = false;
                if self.state == State::Reserved {
                    self.state = State::Waiting;
                    self.deadline = now + LOST_SPREAD.mul_f64(self.random());
                } else if self.state != State::Waiting {
                    self.wait(now);
                }
            }
            Input::Now if self.state == State::Waiting => self.deadline = now,
            Input::Unreserved | Input::Now | Input::Tick => {}
        }
        if self.state != State::Reserved && now >= self.deadline {
            match self.state {
                State::Waiting if self.connected => self.reserve(now),
                State::Waiting => {
                    self.state = State::Connecting;
                    self.deadline = now + STEP_TIMEOUT;
                    self.out.push_back(Output::Dial);
                }
                // No answer in time: a half-open connection would block every later attempt.
                State::Connecting | State::Connected => {
                    self.out.push_back(Output::Drop);
                    self.connected = false;
                    self.wait(now);
                }
                State::Reserved => {}
            }
        }
        if self.state != State::Reserved {
            self.out.push_back(Output::WakeAt(self.deadline));
        }
    }

    fn reserve(&mut self, now: Time) {
        self.state = State::Connected;
        self.deadline = now + STEP_TIMEOUT;
        self.out.push_back(Output::Reserve);
    }

    fn wait(&mut self, now: Time) {
        let pause = PAUSE
            .saturating_mul(1 << self.failures.min(10))
            .min(PAUSE_MAX);
        self.state = State::Waiting;
        self.failures = self.failures.saturating_add(1);
        self.deadline = now + pause / 4 + pause.mul_f64(self.random() * 0.75);
    }

    /// From 0 to 1.
    fn random(&mut self) -> f64 {
        f64::from(self.rng.word()) / f64::from(u32::MAX)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: u64) -> Time {
        Time::default() + Duration::from_secs(seconds)
    }

    fn drain(uplink: &mut Uplink) -> Vec<Output> {
        std::iter::from_fn(|| uplink.poll_output())
            .filter(|out| !matches!(out, Output::WakeAt(_)))
            .collect()
    }

    fn reserved() -> Uplink {
        let mut uplink = Uplink::new(1);
        uplink.handle(Input::Tick, at(0));
        assert_eq!(drain(&mut uplink), [Output::Dial]);
        uplink.handle(Input::Connected, at(0));
        assert_eq!(drain(&mut uplink), [Output::Reserve]);
        uplink.handle(Input::Reserved, at(0));
        assert_eq!(uplink.state(), State::Reserved);
        uplink
    }

    #[test]
    fn dials_reserves_and_rests() {
        let mut uplink = reserved();
        uplink.handle(Input::Tick, at(100));
        assert_eq!(drain(&mut uplink), []);
    }

    #[test]
    fn comes_back_after_a_loss_with_growing_jittered_pauses() {
        let mut uplink = reserved();
        uplink.handle(Input::Lost, at(10));
        let mut dials = 0;
        for second in 10..300 {
            uplink.handle(Input::Tick, at(second));
            if drain(&mut uplink).contains(&Output::Dial) {
                dials += 1;
                uplink.handle(Input::Lost, at(second));
            }
        }
        assert!((10..40).contains(&dials), "{dials} dials in 290 s");
    }

    #[test]
    fn two_tabs_do_not_come_back_together() {
        let waits: Vec<_> = (0..20)
            .map(|seed| {
                let mut uplink = Uplink::new(seed);
                uplink.handle(Input::Tick, at(0));
                uplink.handle(Input::Lost, at(0));
                uplink.deadline
            })
            .collect();
        let distinct: std::collections::BTreeSet<_> = waits.iter().collect();
        assert!(distinct.len() > 15, "{waits:?}");
    }

    #[test]
    fn a_lost_reservation_is_asked_for_again_on_the_same_connection() {
        let mut uplink = reserved();
        uplink.handle(Input::Unreserved, at(5));
        uplink.handle(Input::Tick, at(60));
        assert_eq!(drain(&mut uplink), [Output::Reserve]);
    }

    #[test]
    fn a_relay_that_does_not_answer_is_dropped_and_tried_again() {
        let mut uplink = Uplink::new(1);
        uplink.handle(Input::Tick, at(0));
        uplink.handle(Input::Connected, at(1));
        drain(&mut uplink);
        uplink.handle(Input::Tick, at(60));
        assert_eq!(drain(&mut uplink), [Output::Drop]);
        uplink.handle(Input::Lost, at(60));
        uplink.handle(Input::Tick, at(120));
        assert_eq!(drain(&mut uplink), [Output::Dial]);
    }

    /// Takes a thousand tabs through the restart of their relay and returns how many dials came in each second after it was back.
    fn restart(away: u64) -> Vec<usize> {
        const TABS: u64 = 1000;
        let step = Duration::from_millis(50);
        let mut tabs: Vec<_> = (0..TABS)
            .map(|seed| {
                let mut uplink = Uplink::new(seed);
                uplink.handle(Input::Tick, at(0));
                uplink.handle(Input::Connected, at(0));
                uplink.handle(Input::Reserved, at(0));
                drain(&mut uplink);
                uplink
            })
            .collect();
        let lost = at(100);
        tabs.iter_mut()
            .for_each(|tab| tab.handle(Input::Lost, lost));
        let mut dials = vec![0; 120];
        let mut now = lost;
        while now.since(lost) < Duration::from_secs(away + 60) {
            now = now + step;
            for tab in &mut tabs {
                tab.handle(Input::Tick, now);
                if !drain(tab).contains(&Output::Dial) {
                    continue;
                }
                match now.since(lost).as_secs().checked_sub(away) {
                    // A port that nobody listens on says so at once.
                    None => tab.handle(Input::Lost, now),
                    Some(second) => {
                        dials[second as usize] += 1;
                        tab.handle(Input::Connected, now);
                        tab.handle(Input::Reserved, now);
                        drain(tab);
                    }
                }
            }
        }
        assert_eq!(dials.iter().sum::<usize>(), TABS as usize, "all are back");
        dials
    }

    #[test]
    fn a_thousand_tabs_come_back_to_a_restarted_relay_spread_over_time() {
        for away in [0, 2, 30, 55] {
            let dials = restart(away);
            let busiest = dials.iter().max().copied().unwrap_or_default();
            let last = dials.iter().rposition(|dials| *dials > 0);
            println!("away {away} s: at most {busiest} dials in a second, all within {last:?} s");
            assert!(busiest <= 250, "away {away} s: {dials:?}");
            assert!(last <= Some(32), "away {away} s: {dials:?}");
        }
    }

    #[test]
    fn waits_no_longer_when_told_to_try_now() {
        let mut uplink = Uplink::new(1);
        uplink.handle(Input::Tick, at(0));
        for _ in 0..6 {
            uplink.handle(Input::Lost, at(1));
            uplink.handle(Input::Now, at(1));
        }
        assert!(drain(&mut uplink).contains(&Output::Dial));
    }
}
