//! What a person allows this peer to take from their connection, and when it must hold back.
//!
//! Three questions, each answered by a pure part: may anything be sent at all ([`Limits::hold`]), may a chunk go now
//! ([`Pacer`], bytes a second), and is there something left for today ([`DayLedger`], bytes a day). The node asks all
//! three before it reads a chunk for somebody, and counts what really leaves.

mod day;
mod pacer;

use bytes::Bytes;
use serde::Serialize;

pub use day::{Admission, DayLedger};
pub use pacer::Pacer;

use super::cbor::{CborError, Record, Writer};
use super::types::CHUNK_SIZE;

/// Smallest cap on a rate, in bytes a second: at half of it a single chunk takes as long as peers wait for one.
pub const MIN_RATE: u64 = 32 * 1024;

/// Smallest amount a day, in bytes: chunks are sent whole, so what cannot be used of it stays under 2 %.
pub const MIN_DAY: u64 = 64 * CHUNK_SIZE;

/// Largest of either, in bytes: what a JavaScript number holds exactly.
pub const MAX_LIMIT: u64 = (1 << 53) - 1;

/// Version of the stored record; `docs/limits.md` has the table.
const VERSION: u64 = 1;

/// Largest record that is read back, in bytes.
const MAX_LEN: usize = 1024;

/// What the person has set. The default is what a guest would do: nothing capped, nothing sent where data costs money.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Limits {
    /// Chunk bytes sent a second at most.
    pub up_rate: Option<u64>,
    /// Chunk bytes asked for a second at most.
    pub down_rate: Option<u64>,
    /// Chunk bytes sent in a day (UTC) at most.
    pub up_per_day: Option<u64>,
    /// Send also where the connection is metered or asks to save data.
    pub send_on_metered: bool,
    /// Do not send while the machine runs on its battery.
    pub pause_on_battery: bool,
    /// Show no address to peers: offer no host and no reflexive candidate.
    pub hide_address: bool,
}

/// What the page tells of the machine it runs on; all `false` where the browser says nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Surroundings {
    /// The connection is metered, cellular, or the browser asks to save data.
    pub metered: bool,
    /// The machine runs on its battery.
    pub on_battery: bool,
}

/// Why nothing is sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Hold {
    /// The person has not been asked yet.
    Unasked,
    /// The person said no.
    Refused,
    /// The connection is metered, and sending there is off.
    Metered,
    /// The machine runs on its battery, and sending then is off.
    Battery,
    /// Today's amount has been sent.
    Day,
}

impl Limits {
    /// The reason that nothing may be sent now, consent before everything else; `None` if sending is allowed.
    /// `up_today` is what has been sent today.
    pub fn hold(
        &self,
        consent: Option<bool>,
        surroundings: Surroundings,
        up_today: u64,
    ) -> Option<Hold> {
        let left = self.up_per_day.map(|cap| cap.saturating_sub(up_today));
        match consent {
            None => Some(Hold::Unasked),
            Some(false) => Some(Hold::Refused),
            Some(true) if surroundings.metered && !self.send_on_metered => Some(Hold::Metered),
            Some(true) if surroundings.on_battery && self.pause_on_battery => Some(Hold::Battery),
            Some(true) if left.is_some_and(|left| left < CHUNK_SIZE) => Some(Hold::Day),
            Some(true) => None,
        }
    }

    /// With every figure within its bounds: too small a one becomes the smallest.
    pub fn bounded(self) -> Self {
        let within = |least: u64| move |figure: u64| figure.clamp(least, MAX_LIMIT);
        Self {
            up_rate: self.up_rate.map(within(MIN_RATE)),
            down_rate: self.down_rate.map(within(MIN_RATE)),
            up_per_day: self.up_per_day.map(within(MIN_DAY)),
            ..self
        }
    }

    /// As the store keeps them.
    pub fn encode(&self) -> Bytes {
        self.encode_as(VERSION).into()
    }

    fn encode_as(&self, version: u64) -> Vec<u8> {
        let mut out = Writer::default();
        out.map(2);
        out.text("limits");
        out.map(6);
        for (name, figure) in [
            ("upRate", self.up_rate),
            ("downRate", self.down_rate),
            ("upPerDay", self.up_per_day),
        ] {
            out.text(name);
            out.optional_uint(figure);
        }
        for (name, switch) in [
            ("hideAddress", self.hide_address),
            ("sendOnMetered", self.send_on_metered),
            ("pauseOnBattery", self.pause_on_battery),
        ] {
            out.text(name);
            out.bool(switch);
        }
        out.text("version");
        out.uint(version);
        out.0
    }

    /// Reads what the store kept; `None` if it is not ours or from a newer version.
    pub fn decode(bytes: &[u8]) -> Option<Self> {
        if bytes.len() > MAX_LEN {
            return None;
        }
        Self::read(bytes).ok().flatten().map(Self::bounded)
    }

    /// `None` for another version; what is missing is as by default.
    fn read(bytes: &[u8]) -> Result<Option<Self>, CborError> {
        let record = Record::read(bytes)?;
        if record.field("version")?.uint()? != VERSION {
            return Ok(None);
        }
        let limits = Record::read_from(&mut record.field("limits")?)?;
        let figure = |name| {
            limits
                .optional(name)
                .map(|mut field| field.uint())
                .transpose()
        };
        let switch = |name| {
            limits
                .optional(name)
                .map_or(Ok(false), |mut field| field.bool())
        };
        Ok(Some(Self {
            up_rate: figure("upRate")?,
            down_rate: figure("downRate")?,
            up_per_day: figure("upPerDay")?,
            send_on_metered: switch("sendOnMetered")?,
            pause_on_battery: switch("pauseOnBattery")?,
            hide_address: switch("hideAddress")?,
        }))
    }
}

#[cfg(all(test, not(target_arch = "wasm32")))]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[derive(Serialize)]
    struct Whole {
        version: u64,
        limits: Limits,
    }

    fn limits() -> impl Strategy<Value = Limits> {
        let figure = || prop::option::of(any::<u64>());
        let switch = any::<bool>;
        (figure(), figure(), figure(), switch(), switch(), switch()).prop_map(
            |(up_rate, down_rate, up_per_day, send_on_metered, pause_on_battery, hide_address)| {
                Limits {
                    up_rate,
                    down_rate,
                    up_per_day,
                    send_on_metered,
                    pause_on_battery,
                    hide_address,
                }
            },
        )
    }

    proptest! {
        #[test]
        fn come_back_as_they_were(limits in limits()) {
            let limits = limits.bounded();
            prop_assert_eq!(limits.bounded(), limits);
            prop_assert_eq!(Limits::decode(&limits.encode()), Some(limits));
            // What a general codec makes of the same fields.
            let whole = Whole { version: VERSION, limits };
            prop_assert_eq!(serde_ipld_dagcbor::to_vec(&whole).ok(), Some(limits.encode().to_vec()));
        }

        #[test]
        fn a_broken_record_is_no_record(mut bytes in prop::collection::vec(any::<u8>(), 0..80), limits in limits(), at in any::<prop::sample::Index>(), flip in 1u8..) {
            // Read or refused, never a panic, and never a figure out of bounds.
            let check = |bytes: &[u8]| Limits::decode(bytes).is_none_or(|read| read == read.bounded());
            prop_assert!(check(&bytes));
            bytes = limits.encode().to_vec();
            let at = at.index(bytes.len());
            bytes[at] ^= flip;
            prop_assert!(check(&bytes));
            bytes.truncate(at);
            prop_assert_eq!(Limits::decode(&bytes), None);
        }

        #[test]
        fn nothing_goes_without_a_yes(limits in limits(), metered: bool, on_battery: bool, up in any::<u64>(), refused: bool) {
            let around = Surroundings { metered, on_battery };
            let consent = refused.then_some(false);
            let reason = if refused { Hold::Refused } else { Hold::Unasked };
            prop_assert_eq!(limits.hold(consent, around, up), Some(reason));
            if let Some(hold) = limits.hold(Some(true), around, up) {
                match hold {
                    Hold::Metered => prop_assert!(metered && !limits.send_on_metered),
                    Hold::Battery => prop_assert!(on_battery && limits.pause_on_battery),
                    Hold::Day => prop_assert!(limits.up_per_day.is_some_and(|cap| up.saturating_add(CHUNK_SIZE) > cap)),
                    Hold::Unasked | Hold::Refused => prop_assert!(false, "{hold:?}"),
                }
            }
        }
    }

    #[test]
    fn a_newer_record_is_left_alone() {
        let bytes = Limits::default().encode_as(VERSION + 1);
        assert_eq!(Limits::decode(&bytes), None);
    }
}
