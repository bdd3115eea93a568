//! Bytes a day, counted so that neither a reload nor a crash begins the day again.
//!
//! The day is that of UTC. While there is a cap, amounts are *booked* before they are used: the stored record says how
//! much may have been sent at most, and nothing goes beyond it until a higher record is durable. A page that dies is
//! charged what it had booked; one that ends in order writes the exact figure.

use bytes::Bytes;

use crate::proto::types::CHUNK_SIZE;

/// Milliseconds in a day.
const DAY: u64 = 86_400_000;

/// Share of the cap that is booked at a time: what a crash may cost of the day, under 2 % (two chunks for a small cap).
const STEPS: u64 = 64;

/// Most bytes booked at a time.
const MAX_STEP: u64 = 8 * 1024 * 1024;

/// Bytes counted, without a cap, until the record is worth writing again.
const WRITE_EVERY: u64 = 8 * 1024 * 1024;

/// Version of the stored record, its first byte; `docs/limits.md` has the table.
const VERSION: u8 = 1;

/// Bytes of a record: version, day, sent, received.
const RECORD_LEN: usize = 1 + 4 + 8 + 8;

/// Whether a piece may go today.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Admission {
    /// It may.
    Yes,
    /// It may once the booking is durable.
    Later,
    /// Not today.
    No,
}

/// What was sent and received today.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DayLedger {
    day: u32,
    up: u64,
    down: u64,
    /// On the way: admitted, not yet sent.
    under_way: u64,
    /// Sent bytes that the durable record covers.
    booked: u64,
    /// Sent bytes that the record being written covers.
    booking: Option<u64>,
    /// Both amounts together when the record was last asked for.
    written: u64,
}

impl DayLedger {
    /// Opens the ledger at `unix_millis` with the record that the store kept, if any.
    pub fn open(record: Option<&[u8]>, unix_millis: u64) -> Self {
        let today = day_of(unix_millis);
        let (day, up, down) = record.and_then(decode).unwrap_or((today, 0, 0));
        let mut ledger = Self {
            day,
            up,
            down,
            under_way: 0,
            booked: up,
            booking: None,
            written: up.saturating_add(down),
        };
        ledger.turn(unix_millis);
        ledger
    }

    /// Bytes sent today.
    pub fn up(&self) -> u64 {
        self.up
    }

    /// Bytes received today.
    pub fn down(&self) -> u64 {
        self.down
    }

    /// Begins a new day if there is one; tells whether there was. A clock that is set back keeps the old day running,
    /// unless it had been ahead by more than a day: then it was wrong before.
    pub fn turn(&mut self, unix_millis: u64) -> bool {
        let today = day_of(unix_millis);
        let was_ahead = self.day > today.saturating_add(1);
        if was_ahead {
            // The amount stays: a clock that is moved about must not give the day twice.
            self.day = today;
            return false;
        }
        if today <= self.day {
            return false;
        }
        self.day = today;
        (self.up, self.down, self.booked, self.written) = (0, 0, 0, 0);
        // A record under way is yesterday's and covers nothing of today.
        self.booking = self.booking.map(|_| 0);
        true
    }

    /// Whether `bytes` more may be sent under the cap.
    pub fn admit(&mut self, bytes: u64, cap: Option<u64>) -> Admission {
        let Some(cap) = cap else {
            self.under_way += bytes;
            return Admission::Yes;
        };
        let after = self.up.saturating_add(self.under_way).saturating_add(bytes);
        if after > cap {
            Admission::No
        } else if after > self.booked {
            Admission::Later
        } else {
            self.under_way += bytes;
            Admission::Yes
        }
    }

    /// What was admitted has been sent.
    pub fn sent(&mut self, bytes: u64) {
        self.under_way = self.under_way.saturating_sub(bytes);
        self.up = self.up.saturating_add(bytes);
    }

    /// What was admitted will not be sent.
    pub fn dropped(&mut self, bytes: u64) {
        self.under_way = self.under_way.saturating_sub(bytes);
    }

    /// Counts what has come.
    pub fn received(&mut self, bytes: u64) {
        self.down = self.down.saturating_add(bytes);
    }

    /// The record to write now, if it is time; [`recorded`](Self::recorded) must follow when it is durable, or not.
    pub fn to_record(&mut self, cap: Option<u64>) -> Option<Bytes> {
        if self.booking.is_some() {
            return None;
        }
        let used = self.up.saturating_add(self.under_way);
        let booking = match cap {
            Some(cap) => {
                let step = (cap / STEPS).clamp(2 * CHUNK_SIZE, MAX_STEP);
                let next = used.saturating_add(step).min(cap).max(used);
                // Ahead of need, so that sending does not wait for the store at every step.
                let low = used.saturating_add(step / 2);
                (next > self.booked && self.booked < low).then_some(next)
            }
            None => None,
        };
        let counted = self.up.saturating_add(self.down);
        let worth_it = counted >= self.written.saturating_add(WRITE_EVERY);
        let covers = booking.or(worth_it.then_some(used.max(self.booked.min(cap.unwrap_or(0)))))?;
        self.booking = Some(covers);
        self.written = counted;
        Some(encode(self.day, covers, self.down))
    }

    /// The record of the last [`to_record`](Self::to_record) is durable, or could not be written.
    pub fn recorded(&mut self, durable: bool) {
        if let Some(covers) = self.booking.take()
            && durable
        {
            self.booked = covers;
        }
    }

    /// The exact record, for an end in order.
    pub fn last_record(&self) -> Bytes {
        encode(self.day, self.up, self.down)
    }
}

fn day_of(unix_millis: u64) -> u32 {
    u32::try_from(unix_millis / DAY).unwrap_or(u32::MAX)
}

fn encode(day: u32, up: u64, down: u64) -> Bytes {
    let mut record = Vec::with_capacity(RECORD_LEN);
    record.push(VERSION);
    record.extend_from_slice(&day.to_le_bytes());
    record.extend_from_slice(&up.to_le_bytes());
    record.extend_from_slice(&down.to_le_bytes());
    record.into()
}

fn decode(record: &[u8]) -> Option<(u32, u64, u64)> {
    let record: &[u8; RECORD_LEN] = record.try_into().ok()?;
    let (version, rest) = record.split_first()?;
    let (day, rest) = rest.split_first_chunk()?;
    let (up, down) = rest.split_first_chunk()?;
    let down = down.try_into().ok()?;
    (*version == VERSION).then(|| {
        (
            u32::from_le_bytes(*day),
            u64::from_le_bytes(*up),
            u64::from_le_bytes(down),
        )
    })
}

#[cfg(all(test, not(target_arch = "wasm32")))]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const NOON: u64 = 20_000 * DAY + DAY / 2;

    #[derive(Debug, Clone)]
    enum Step {
        Send(u64),
        Drop(u64),
        Receive(u64),
        Wrote(bool),
        Reload,
        Crash,
        NextDay,
        ClockBack(u64),
    }

    fn step() -> impl Strategy<Value = Step> {
        prop_oneof![
            8 => (1..=CHUNK_SIZE).prop_map(Step::Send),
            1 => (1..=CHUNK_SIZE).prop_map(Step::Drop),
            2 => (1..=CHUNK_SIZE).prop_map(Step::Receive),
            6 => prop::bool::weighted(0.9).prop_map(Step::Wrote),
            1 => Just(Step::Reload),
            1 => Just(Step::Crash),
            1 => Just(Step::NextDay),
            1 => (1..DAY).prop_map(Step::ClockBack),
        ]
    }

    proptest! {
        /// The model only adds up what has gone on each day, by the true calendar of the test.
        #[test]
        fn no_day_exceeds_its_cap(cap in 64 * CHUNK_SIZE..400 * CHUNK_SIZE, steps in prop::collection::vec(step(), 1..400)) {
            let (mut clock, mut day_sent, mut crashes) = (NOON, 0u64, 0u64);
            let mut durable: Option<Bytes> = None;
            let mut pending: Option<Bytes> = None;
            let mut ledger = DayLedger::open(None, clock);
            for step in steps {
                if pending.is_none() {
                    pending = ledger.to_record(Some(cap));
                }
                match step {
                    Step::Send(bytes) => match ledger.admit(bytes, Some(cap)) {
                        Admission::Yes => {
                            ledger.sent(bytes);
                            day_sent += bytes;
                            prop_assert!(day_sent <= cap, "{day_sent} of {cap}");
                        }
                        Admission::Later => prop_assert!(pending.is_some(), "waits for a record that nobody writes"),
                        // Refused only when it is true, but for what crashes were charged.
                        Admission::No => prop_assert!(day_sent + bytes + crashes * (cap / STEPS).max(2 * CHUNK_SIZE) > cap),
                    },
                    Step::Drop(bytes) => if ledger.admit(bytes, Some(cap)) == Admission::Yes {
                        ledger.dropped(bytes);
                    },
                    Step::Receive(bytes) => ledger.received(bytes),
                    Step::Wrote(works) => if let Some(record) = pending.take() {
                        if works {
                            durable = Some(record);
                        }
                        ledger.recorded(works);
                    },
                    Step::Reload => {
                        durable = Some(ledger.last_record());
                        pending = None;
                        ledger = DayLedger::open(durable.as_deref(), clock);
                        prop_assert!(ledger.up() >= day_sent, "a reload gave something back");
                    }
                    Step::Crash => {
                        crashes += 1;
                        pending = None;
                        ledger = DayLedger::open(durable.as_deref(), clock);
                        prop_assert!(ledger.up() >= day_sent, "a crash gave {} back", day_sent - ledger.up());
                    }
                    Step::NextDay => {
                        clock = (clock / DAY + 1) * DAY + DAY / 2;
                        prop_assert!(ledger.turn(clock));
                        (day_sent, crashes) = (0, 0);
                        prop_assert_eq!((ledger.up(), ledger.down()), (0, 0));
                    }
                    Step::ClockBack(by) => {
                        prop_assert!(!ledger.turn(clock - by));
                    }
                }
            }
        }

        #[test]
        fn any_bytes_open(record in prop::collection::vec(any::<u8>(), 0..40), clock in any::<u64>()) {
            let ledger = DayLedger::open(Some(&record), clock);
            let again = DayLedger::open(Some(&ledger.last_record()), clock);
            prop_assert_eq!((again.up(), again.down()), (ledger.up(), ledger.down()));
        }
    }

    #[test]
    fn the_whole_cap_can_be_used() {
        let cap = 1000 * CHUNK_SIZE;
        let (mut ledger, mut sent) = (DayLedger::open(None, NOON), 0);
        loop {
            if ledger.to_record(Some(cap)).is_some() {
                ledger.recorded(true);
            }
            match ledger.admit(CHUNK_SIZE, Some(cap)) {
                Admission::Yes => ledger.sent(CHUNK_SIZE),
                Admission::Later => panic!("nothing is written"),
                Admission::No => break,
            }
            sent += CHUNK_SIZE;
        }
        assert_eq!(sent, cap);
        let after_reload = DayLedger::open(Some(&ledger.last_record()), NOON);
        assert_eq!(after_reload.up(), cap);
    }

    #[test]
    fn a_clock_from_the_far_future_does_not_stop_the_count_for_years() {
        let mut ledger = DayLedger::open(None, NOON + 900 * DAY);
        ledger.admit(5, None);
        ledger.sent(5);
        assert!(!ledger.turn(NOON));
        assert_eq!(ledger.up(), 5, "moving the clock gives nothing back");
        assert!(ledger.turn(NOON + DAY));
        assert_eq!(ledger.up(), 0);
    }

    #[test]
    fn without_a_cap_the_record_is_written_now_and_then() {
        let mut ledger = DayLedger::open(None, NOON);
        assert_eq!(ledger.to_record(None), None);
        assert_eq!(ledger.admit(WRITE_EVERY, None), Admission::Yes);
        ledger.sent(WRITE_EVERY);
        let record = ledger.to_record(None).expect("it is time");
        assert_eq!(ledger.to_record(None), None, "one at a time");
        ledger.recorded(true);
        assert_eq!(DayLedger::open(Some(&record), NOON).up(), WRITE_EVERY);
    }
}
