//! What a mail record says for custody: where strangers leave mail, at which price, and which relays keep it besides.
//!
//! `[1, open, bits, week, keys, relays]`: from `week` on, one fetch key of the strangers' lane a week, and the keys of relays.

use super::super::read_week;
use super::super::{MailError, Week, exactly};
use crate::proto::cbor::{Reader, Writer};
use crate::proto::custody::tag::{Gate, MAX_STAMP_BITS, MailboxSecret, Terms, WEEKS_AHEAD};
use crate::proto::custody::{PeerId, RELAYS_MAX};

/// What strangers, and all others, need to know to leave mail.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Offer {
    /// Whether strangers may write at all.
    pub open: bool,
    /// The stamp that they pay, in bits.
    pub bits: u8,
    /// The first week.
    pub week: Week,
    /// The fetch keys of the strangers' lane, week by week.
    pub fetch: Vec<[u8; 32]>,
    /// Relays that keep mail too.
    pub relays: Vec<PeerId>,
}

impl Offer {
    /// That of a mailbox, from this week on.
    pub fn new(
        mailbox: &MailboxSecret,
        open: bool,
        bits: u8,
        week: Week,
        relays: Vec<PeerId>,
    ) -> Self {
        let bits = bits.min(MAX_STAMP_BITS);
        let weeks = (week.0..week.0 + WEEKS_AHEAD).map(Week);
        Self {
            open,
            bits,
            week,
            fetch: weeks
                .map(|week| mailbox.strangers(bits, week).terms.fetch)
                .collect(),
            relays: relays.into_iter().take(RELAYS_MAX).collect(),
        }
    }

    /// The strangers' lane of a week, if it is one of those named.
    pub fn terms(&self, week: Week) -> Option<Terms> {
        let place = week.0.checked_sub(self.week.0)?;
        Some(Terms {
            week,
            fetch: *self.fetch.get(place as usize)?,
            gate: Gate::Stamp(self.bits),
        })
    }

    /// The bytes.
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut out = Writer::default();
        out.array(6);
        out.uint(VERSION);
        out.uint(self.open.into());
        out.uint(self.bits.into());
        out.uint(self.week.0.into());
        out.bytes(&self.fetch.concat());
        out.bytes(
            &self
                .relays
                .iter()
                .flat_map(|peer| peer.0)
                .collect::<Vec<_>>(),
        );
        out.0
    }

    /// Reads one.
    ///
    /// # Errors
    /// `Malformed`, `NotCanonical`, `TooMany` or `Version`.
    pub fn parse(bytes: &[u8]) -> Result<Self, MailError> {
        let mut reader = Reader::new(bytes);
        let fields = reader.array()?;
        match reader.uint()? {
            VERSION => exactly(fields, 6)?,
            other => return Err(MailError::Version(other)),
        }
        let open = match reader.uint()? {
            0 => false,
            1 => true,
            _ => return Err(MailError::Malformed),
        };
        let bits = u8::try_from(reader.uint()?).ok();
        let bits = bits.filter(|bits| *bits <= MAX_STAMP_BITS);
        let offer = Self {
            open,
            bits: bits.ok_or(MailError::Malformed)?,
            week: read_week(&mut reader)?,
            fetch: keys(reader.bytes()?, WEEKS_AHEAD as usize)?,
            relays: keys(reader.bytes()?, RELAYS_MAX)?
                .into_iter()
                .map(PeerId)
                .collect(),
        };
        match reader.is_at_end() {
            true => Ok(offer),
            false => Err(MailError::Malformed),
        }
    }
}

fn keys(bytes: &[u8], most: usize) -> Result<Vec<[u8; 32]>, MailError> {
    let (keys, rest) = bytes.as_chunks::<32>();
    exactly(rest.len(), 0)?;
    match keys.len() > most {
        true => Err(MailError::TooMany),
        false => Ok(keys.to_vec()),
    }
}

const VERSION: u64 = 1;

#[cfg(all(test, not(target_arch = "wasm32")))]
mod tests {
    #![allow(clippy::unwrap_used)]
    use proptest::prelude::*;

    use super::*;

    fn offer() -> Offer {
        let mailbox = MailboxSecret::new([7; 32]);
        Offer::new(&mailbox, true, 22, Week(2976), vec![PeerId([3; 32])])
    }

    #[test]
    fn strangers_find_the_lane_that_the_reader_reads() {
        let mailbox = MailboxSecret::new([7; 32]);
        for week in 2976..2984 {
            let terms = offer().terms(Week(week)).unwrap();
            assert_eq!(terms, mailbox.strangers(22, Week(week)).terms);
        }
        assert_eq!(offer().terms(Week(2975)), None);
        assert_eq!(offer().terms(Week(2984)), None);
        let bytes = offer().to_bytes();
        // In docs/mail.md.
        assert_eq!(bytes.len(), 300);
        assert_eq!(Offer::parse(&bytes), Ok(offer()));
    }

    proptest! {
        #[test]
        fn any_bytes_are_looked_at_without_panic(bytes in prop::collection::vec(any::<u8>(), 0..120), at in 0usize..300, flip in 1u8..) {
            let _ = Offer::parse(&bytes);
            let mut damaged = offer().to_bytes();
            damaged[at] ^= flip;
            if let Ok(offer) = Offer::parse(&damaged) {
                prop_assert_eq!(offer.to_bytes(), damaged);
            }
        }
    }
}
