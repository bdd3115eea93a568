//! Until when a record holds: RFC 3339 in UTC with up to nine fractional digits, as IPNS writes it.
//!
//! Only that form is read. Offsets, leap seconds and years before 1970 are refused: no publisher of records writes them, and what
//! has one reading cannot be read in two ways.

use std::fmt;

/// Bytes of the form that is written: `2033-05-18T03:33:20.000000000Z`.
const WRITTEN_LEN: usize = 30;

/// Seconds in a day.
const DAY: u64 = 24 * 60 * 60;

/// The first second of the year 10000, which the form cannot write.
const END: u64 = 253_402_300_800;

/// A moment, in nanoseconds; orders as time does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Validity {
    seconds: u64,
    nanos: u32,
}

impl Validity {
    /// So many milliseconds since 1970; no later than the end of the year 9999.
    pub fn from_unix_millis(millis: u64) -> Self {
        Self {
            seconds: (millis / 1000).min(END - 1),
            nanos: (millis % 1000) as u32 * 1_000_000,
        }
    }

    /// Milliseconds since 1970.
    pub fn unix_millis(&self) -> u64 {
        self.seconds * 1000 + u64::from(self.nanos / 1_000_000)
    }

    /// Whether it has passed by a clock of milliseconds since 1970.
    pub fn is_over(&self, unix_millis: u64) -> bool {
        self.unix_millis() < unix_millis
    }

    /// Reads it; `None` for whatever is not of the form.
    pub fn parse(text: &[u8]) -> Option<Self> {
        if text.len() > WRITTEN_LEN {
            return None;
        }
        let text = text.strip_suffix(b"Z")?;
        let (whole, fraction) = text.split_at_checked(19)?;
        let [
            year @ ..,
            b'-',
            m1,
            m2,
            b'-',
            d1,
            d2,
            b'T',
            h1,
            h2,
            b':',
            i1,
            i2,
            b':',
            s1,
            s2,
        ] = whole
        else {
            return None;
        };
        let year = number(year)?;
        let [month, day, hour, minute, second] =
            [[m1, m2], [d1, d2], [h1, h2], [i1, i2], [s1, s2]].map(|[a, b]| number(&[*a, *b]));
        let (month, day, hour, minute, second) = (month?, day?, hour?, minute?, second?);
        let fits = year >= 1970
            && (1..=12).contains(&month)
            && (1..=days_in(year, month)).contains(&day)
            && hour < 24
            && minute < 60
            && second < 60;
        if !fits {
            return None;
        }
        let nanos = match fraction {
            [] => 0,
            [b'.', digits @ ..] if !digits.is_empty() => {
                number(digits)? * 10u64.pow(9 - digits.len() as u32)
            }
            _ => return None,
        };
        let seconds = days_before(year, month, day) * DAY + hour * 3600 + minute * 60 + second;
        Some(Self {
            seconds,
            nanos: nanos as u32,
        })
    }
}

impl fmt::Display for Validity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (year, month, day) = date(self.seconds / DAY);
        let second = self.seconds % DAY;
        write!(
            f,
            "{year:04}-{month:02}-{day:02}T{:02}:{:02}:{:02}.{:09}Z",
            second / 3600,
            second / 60 % 60,
            second % 60,
            self.nanos
        )
    }
}

fn number(digits: &[u8]) -> Option<u64> {
    digits.iter().try_fold(0, |sum, digit| {
        digit
            .is_ascii_digit()
            .then(|| sum * 10 + u64::from(digit - b'0'))
    })
}

fn is_leap(year: u64) -> bool {
    year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400))
}

fn days_in(year: u64, month: u64) -> u64 {
    match month {
        2 if is_leap(year) => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

/// Days from 1970 to the first of January.
fn days_to_year(year: u64) -> u64 {
    let leaps = |year: u64| year / 4 - year / 100 + year / 400;
    (year - 1970) * 365 + leaps(year - 1) - leaps(1969)
}

fn days_before(year: u64, month: u64, day: u64) -> u64 {
    let months: u64 = (1..month).map(|month| days_in(year, month)).sum();
    days_to_year(year) + months + day - 1
}

fn date(days: u64) -> (u64, u64, u64) {
    // Never too late by more than a few years, as no year is shorter than 365 days.
    let mut year = 1970 + days / 366;
    while days_to_year(year + 1) <= days {
        year += 1;
    }
    let mut left = days - days_to_year(year);
    let mut month = 1;
    while left >= days_in(year, month) {
        left -= days_in(year, month);
        month += 1;
    }
    (year, month, left + 1)
}

#[cfg(all(test, not(target_arch = "wasm32")))]
mod tests {
    #![allow(clippy::unwrap_used)]
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn known_moments() {
        for (text, seconds) in [
            ("1970-01-01T00:00:00.000000000Z", 0),
            ("2000-02-29T23:59:59.000000000Z", 951_868_799),
            ("2033-05-18T03:33:20.000000000Z", 2_000_000_000),
            ("9999-12-31T23:59:59.000000000Z", END - 1),
        ] {
            let moment = Validity::parse(text.as_bytes()).unwrap();
            assert_eq!(moment.unix_millis(), seconds * 1000);
            assert_eq!(moment.to_string(), text);
        }
        let short = Validity::parse(b"2033-05-18T03:33:20.25Z").unwrap();
        assert_eq!(short.unix_millis(), 2_000_000_000_250);
    }

    #[test]
    fn one_form_only() {
        for text in [
            "",
            "Z",
            "2033-05-18",
            "2033-05-18T03:33:20",
            "2033-05-18T03:33:20+01:00",
            "2033-05-18 03:33:20Z",
            "2033-02-29T00:00:00Z",
            "2033-13-01T00:00:00Z",
            "2033-00-01T00:00:00Z",
            "2033-05-18T24:00:00Z",
            "2033-05-18T03:33:60Z",
            "2033-05-18T03:33:20.Z",
            "2033-05-18T03:33:20.0000000000Z",
            "1969-12-31T23:59:59Z",
            "12033-05-18T03:33:20Z",
        ] {
            assert_eq!(Validity::parse(text.as_bytes()), None, "{text}");
        }
    }

    proptest! {
        #[test]
        fn comes_back_and_keeps_its_order(a in 0..END, b in 0..END, nanos in 0u32..1_000_000_000) {
            let (a, b) = (Validity { seconds: a, nanos }, Validity { seconds: b, nanos: 0 });
            prop_assert_eq!(Validity::parse(a.to_string().as_bytes()), Some(a));
            prop_assert_eq!(a < b, a.to_string() < b.to_string());
        }

        #[test]
        fn any_bytes_are_looked_at_without_panic(bytes in prop::collection::vec(any::<u8>(), 0..40), text in "[0-9TZ:.-]{0,32}") {
            let _ = Validity::parse(&bytes);
            let _ = Validity::parse(text.as_bytes());
        }
    }
}
