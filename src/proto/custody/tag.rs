//! Where a person's mail is left, week by week: tags, the two lanes, and what each lets in.
//!
//! A [`Tag`] is the hash of [`Terms`]: the week, the public half of a key that only the reader has, and what a sender must show. So
//! whoever keeps a message sees by itself, offline, whether somebody may leave, list or delete there, and two weeks of one person
//! cannot be told to belong together. In the contacts' lane a sender signs with a key that all contacts share ([`Pass`]); in the
//! strangers' lane it pays with a stamp of the strength that the terms name.

use std::fmt;

use zeroize::{Zeroize, ZeroizeOnDrop, Zeroizing};

use super::sign::Signer;
use super::{CONTACT_HOURS, HOUR, STRANGER_HOURS};

/// Bytes of encoded terms.
pub const TERMS_LEN: usize = 1 + 4 + 32 + 32;

/// Bytes of an encoded pass.
pub const PASS_LEN: usize = 4 + 32 + 32;

/// Strongest stamp that terms may ask for, in bits: at 3.3 million hashes a second, what a page does, one takes 21 minutes.
pub const MAX_STAMP_BITS: u8 = 32;

/// Weeks for which a reader gives passes and terms in advance.
pub const WEEKS_AHEAD: u32 = 8;

/// Weeks back in which messages may still lie: those of the last one that was over 30 days ago, and the part of a week.
pub const WEEKS_BACK: u32 = 5;

/// Seconds in a week.
const WEEK: u64 = 7 * 24 * HOUR;

/// A week, counted from 1970-01-01; it begins on a Thursday at midnight UTC.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Week(pub u32);

impl Week {
    /// The week of a time in seconds since 1970.
    pub fn of(unix: u64) -> Self {
        Self(u32::try_from(unix / WEEK).unwrap_or(u32::MAX))
    }

    /// When it begins, in seconds since 1970.
    pub fn start(self) -> u64 {
        u64::from(self.0) * WEEK
    }

    /// When the next one begins.
    pub fn end(self) -> u64 {
        self.start() + WEEK
    }
}

/// Who may leave messages, and how.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Lane {
    /// Whoever was given a pass.
    Contact,
    /// Anybody who pays with work.
    Stranger,
}

impl Lane {
    /// Hours for which a message is kept at most.
    pub fn hours(self) -> u32 {
        match self {
            Self::Contact => CONTACT_HOURS,
            Self::Stranger => STRANGER_HOURS,
        }
    }
}

/// What a sender must show.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Gate {
    /// A signature by this key.
    Write([u8; 32]),
    /// A stamp of so many bits, at most [`MAX_STAMP_BITS`].
    Stamp(u8),
}

/// What a tag stands for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Terms {
    /// When.
    pub week: Week,
    /// Who may list, get and delete: an Ed25519 public key used in this week and lane only.
    pub fetch: [u8; 32],
    /// Who may leave messages.
    pub gate: Gate,
}

/// The place of a mailbox for a week.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Tag(pub [u8; 32]);

impl fmt::Debug for Tag {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        super::short("Tag", &self.0, f)
    }
}

impl Terms {
    /// Which lane.
    pub fn lane(&self) -> Lane {
        match self.gate {
            Gate::Write(_) => Lane::Contact,
            Gate::Stamp(_) => Lane::Stranger,
        }
    }

    /// The tag.
    pub fn tag(&self) -> Tag {
        Tag(blake3::derive_key(TAG_CONTEXT, &self.encode()))
    }

    /// The latest time at which anything under them may end, in seconds since 1970.
    pub fn latest(&self) -> u64 {
        self.week.end() + u64::from(self.lane().hours()) * HOUR
    }

    /// The bytes.
    pub fn encode(&self) -> [u8; TERMS_LEN] {
        let mut out = [0; TERMS_LEN];
        out[1..5].copy_from_slice(&self.week.0.to_be_bytes());
        out[5..37].copy_from_slice(&self.fetch);
        match &self.gate {
            Gate::Write(key) => {
                out[0] = CONTACT;
                out[37..].copy_from_slice(key);
            }
            Gate::Stamp(bits) => {
                out[0] = STRANGER;
                out[37] = *bits;
            }
        }
        out
    }

    /// Reads terms; `None` if these are no such bytes.
    pub fn decode(bytes: &[u8; TERMS_LEN]) -> Option<Self> {
        let (week, rest) = bytes[1..].split_first_chunk::<4>()?;
        let (fetch, gate) = rest.split_first_chunk::<32>()?;
        let gate = match (bytes[0], gate) {
            (CONTACT, key) => Gate::Write(key.try_into().ok()?),
            (STRANGER, [bits, zeros @ ..])
                if *bits <= MAX_STAMP_BITS && zeros.iter().all(|byte| *byte == 0) =>
            {
                Gate::Stamp(*bits)
            }
            _ => return None,
        };
        Some(Self {
            week: Week(u32::from_be_bytes(*week)),
            fetch: *fetch,
            gate,
        })
    }
}

/// What contacts are given for one week, sealed inside a message: where to leave messages and the key to sign them with. Wiped when
/// it is dropped.
#[derive(Clone, PartialEq, Eq, Zeroize, ZeroizeOnDrop)]
pub struct Pass {
    week: u32,
    fetch: [u8; 32],
    write: [u8; 32],
    #[cfg(feature = "test-utils")]
    marked: bool,
}

impl Pass {
    /// For which week.
    pub fn week(&self) -> Week {
        Week(self.week)
    }

    /// The terms that it fulfils.
    pub fn terms(&self) -> Terms {
        Terms {
            week: Week(self.week),
            fetch: self.fetch,
            gate: Gate::Write(self.signer().public()),
        }
    }

    /// The key that signs deposits.
    pub fn signer(&self) -> Signer {
        #[cfg(feature = "test-utils")]
        if self.marked {
            return Signer::marked(self.write);
        }
        Signer::from_seed(self.write)
    }

    /// The bytes, secret ones among them.
    pub fn encode(&self) -> Zeroizing<[u8; PASS_LEN]> {
        let mut out = Zeroizing::new([0; PASS_LEN]);
        out[..4].copy_from_slice(&self.week.to_be_bytes());
        out[4..36].copy_from_slice(&self.fetch);
        out[36..].copy_from_slice(&self.write);
        out
    }

    /// Reads a pass: any bytes are one, if only to a mailbox that nobody reads.
    pub fn decode(bytes: &[u8; PASS_LEN]) -> Self {
        let part = |at: usize| {
            let mut part = [0; 32];
            part.copy_from_slice(&bytes[at..at + 32]);
            part
        };
        Self {
            week: u32::from_be_bytes([bytes[0], bytes[1], bytes[2], bytes[3]]),
            fetch: part(4),
            write: part(36),
            #[cfg(feature = "test-utils")]
            marked: false,
        }
    }
}

impl fmt::Debug for Pass {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Pass").field(&self.week).finish()
    }
}

/// The one secret of a mailbox, the same on all devices of its reader. Wiped when it is dropped.
#[derive(Clone, Zeroize, ZeroizeOnDrop)]
pub struct MailboxSecret {
    secret: [u8; 32],
    #[cfg(feature = "test-utils")]
    marked: bool,
}

/// A mailbox of one week and lane, to its reader.
#[derive(Debug, Clone)]
pub struct Reading {
    /// Where, and who may leave messages.
    pub terms: Terms,
    /// The key that lists and deletes.
    pub signer: Signer,
}

impl MailboxSecret {
    /// Takes 32 secret bytes.
    pub fn new(secret: [u8; 32]) -> Self {
        Self {
            secret,
            #[cfg(feature = "test-utils")]
            marked: false,
        }
    }

    /// One whose keys are for simulations only.
    #[cfg(feature = "test-utils")]
    pub fn marked(secret: [u8; 32]) -> Self {
        Self {
            secret,
            marked: true,
        }
    }

    /// What contacts are given for a week. Another `generation` makes those of the earlier one useless, for when one was misused.
    pub fn pass(&self, generation: u32, week: Week) -> Pass {
        Pass {
            week: week.0,
            fetch: self.signer(CONTACT, generation, week).public(),
            write: *self.derive(WRITE, generation, week),
            #[cfg(feature = "test-utils")]
            marked: self.marked,
        }
    }

    /// The contacts' lane of a week.
    pub fn contacts(&self, generation: u32, week: Week) -> Reading {
        Reading {
            terms: self.pass(generation, week).terms(),
            signer: self.signer(CONTACT, generation, week),
        }
    }

    /// The strangers' lane of a week, at a price in bits (above [`MAX_STAMP_BITS`] counts as that).
    pub fn strangers(&self, bits: u8, week: Week) -> Reading {
        let bits = bits.min(MAX_STAMP_BITS);
        let signer = self.signer(STRANGER, u32::from(bits), week);
        let terms = Terms {
            week,
            fetch: signer.public(),
            gate: Gate::Stamp(bits),
        };
        Reading { terms, signer }
    }

    /// All that a reader looks through at a time in seconds since 1970: both lanes of this week, of the next (somebody's clock may be
    /// ahead) and of those before in which messages may still lie, the newest first.
    pub fn readings(&self, generation: u32, bits: u8, unix: u64) -> Vec<Reading> {
        let Week(next) = Week::of(unix + super::CLOCK_ERROR);
        (next.saturating_sub(WEEKS_BACK + 1)..=next)
            .rev()
            .flat_map(|week| {
                let week = Week(week);
                [self.contacts(generation, week), self.strangers(bits, week)]
            })
            .filter(|reading| reading.terms.latest() + super::CLOCK_ERROR > unix)
            .collect()
    }

    fn signer(&self, lane: u8, number: u32, week: Week) -> Signer {
        let seed = self.derive(lane, number, week);
        #[cfg(feature = "test-utils")]
        if self.marked {
            return Signer::marked(*seed);
        }
        Signer::from_seed(*seed)
    }

    fn derive(&self, purpose: u8, number: u32, week: Week) -> Zeroizing<[u8; 32]> {
        let mut material = Zeroizing::new([0; 32 + 1 + 4 + 4]);
        material[..32].copy_from_slice(&self.secret);
        material[32] = purpose;
        material[33..37].copy_from_slice(&number.to_be_bytes());
        material[37..].copy_from_slice(&week.0.to_be_bytes());
        Zeroizing::new(blake3::derive_key(KEY_CONTEXT, material.as_ref()))
    }
}

impl fmt::Debug for MailboxSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("MailboxSecret")
    }
}

const CONTACT: u8 = 1;
const STRANGER: u8 = 2;
const WRITE: u8 = 3;

/// What BLAKE3's key derivation is told it is for (BLAKE3 specification, section 2.3).
const TAG_CONTEXT: &str = "gyre 2026-11-22 mailbox tag";
const KEY_CONTEXT: &str = "gyre 2026-11-22 mailbox week key";

#[cfg(all(test, not(target_arch = "wasm32")))]
mod tests {
    #![allow(clippy::unwrap_used)]
    use proptest::prelude::*;

    use super::*;

    const NOW: u64 = 1_800_000_000;

    #[test]
    fn tags_follow_from_the_secret_and_say_nothing_of_each_other() {
        let secret = MailboxSecret::new([7; 32]);
        let week = Week::of(NOW);
        assert_eq!(week, Week(2976));
        let contacts = secret.contacts(0, week).terms.tag();
        assert_eq!(
            contacts,
            MailboxSecret::new([7; 32]).contacts(0, week).terms.tag()
        );
        let others = [
            secret.contacts(1, week),
            secret.contacts(0, Week(week.0 + 1)),
            secret.strangers(22, week),
            secret.strangers(23, week),
            MailboxSecret::new([8; 32]).contacts(0, week),
        ];
        let mut tags: Vec<_> = others.iter().map(|other| other.terms.tag()).collect();
        tags.push(contacts);
        tags.sort_unstable();
        tags.dedup();
        assert_eq!(tags.len(), 6);
    }

    /// In `docs/custody.md`.
    #[test]
    fn golden() {
        let secret = MailboxSecret::new([7; 32]);
        let hex = |bytes: &[u8]| -> String { bytes.iter().map(|b| format!("{b:02x}")).collect() };
        let contacts = secret.contacts(0, Week(2976)).terms.tag();
        let strangers = secret.strangers(22, Week(2976)).terms.tag();
        assert_eq!(
            (hex(&contacts.0), hex(&strangers.0)),
            (GOLDEN[0].into(), GOLDEN[1].into())
        );
    }

    const GOLDEN: [&str; 2] = [
        "83b71f0dd7ea408a405bb425a9a1a6abbc24fe7a82ddf806f3a813695097d4ce",
        "046483f66618f9bd54a6130780df477b9a327269b1dd5a64d9541233a5c4339c",
    ];

    #[test]
    fn a_pass_is_for_its_mailbox() {
        let secret = MailboxSecret::new([7; 32]);
        let pass = secret.pass(3, Week(9));
        let read = Pass::decode(&pass.encode());
        assert_eq!(read.terms(), secret.contacts(3, Week(9)).terms);
        assert!(!format!("{pass:?} {secret:?}").contains("write"));
    }

    #[test]
    fn a_reader_looks_wherever_a_message_may_lie() {
        let secret = MailboxSecret::new([7; 32]);
        for hours in 0..24 * 7 {
            let now = NOW + hours * HOUR;
            let tags: Vec<_> = secret
                .readings(0, 22, now)
                .iter()
                .map(|r| r.terms.tag())
                .collect();
            assert!(tags.len() <= 14, "{}", tags.len());
            for (age, lane) in [(0, 0), (29, 0), (30, 0), (0, 1), (13, 1), (14, 1)] {
                let week = Week::of(now - age * 24 * HOUR);
                let tag = [secret.contacts(0, week), secret.strangers(22, week)][lane]
                    .terms
                    .tag();
                assert!(
                    tags.contains(&tag),
                    "{age} days old, lane {lane}, hour {hours}"
                );
            }
        }
    }

    proptest! {
        #[test]
        fn terms_have_one_spelling(bytes in prop::collection::vec(any::<u8>(), TERMS_LEN), lane in 0u8..4, zeros: bool) {
            let mut bytes: [u8; TERMS_LEN] = bytes.try_into().unwrap();
            bytes[0] = lane;
            if zeros {
                bytes[38..].fill(0);
                bytes[37] &= 31;
            }
            if let Some(terms) = Terms::decode(&bytes) {
                prop_assert_eq!(terms.encode(), bytes);
            }
        }
    }
}
