//! The keys of the weeks: where they come from, which is published, and when one is deleted.
//!
//! They follow from the mailbox secret by a ratchet that only turns forward: from the state of a week come its key and the state of
//! the next week. A machine keeps the state of the oldest week that it still opens, so the keys before cannot be had from it; the
//! 24 words, which are not on it, give them all again. A key is deleted [`KEPT_AFTER`] after its successor was published: until
//! then envelopes sealed to it may still lie with custodians. Who is away publishes nothing and deletes nothing.

use zeroize::Zeroizing;

use super::kem::{PublicKey, SecretKey};
use super::{MailError, VERSION, Week, exactly, read_week};
use crate::proto::cbor::{Reader, Writer};

/// How long a key is kept after its successor was published, in seconds: the 30 days that custodians keep mail, and a week in which
/// senders may still hold the former record.
pub const KEPT_AFTER: u64 = 37 * 24 * 3600;

/// Weeks back from which a restored machine opens mail: a record holds for 60 days, and mail lies for 30 more.
pub const RESTORED_WEEKS: u32 = 13;

/// Weeks whose keys are kept at most: more than a year without publishing.
pub const MAX_WEEKS: u32 = 64;

/// The week in which the ratchet starts: 2026-05-07, before there was any mail.
pub const FIRST_WEEK: Week = Week(2940);

/// Turns of the ratchet at most, from the first week on: two centuries, a tenth of a second.
const MAX_TURNS: u32 = 10_000;

/// The secret keys of the weeks.
#[derive(Clone, PartialEq, Eq)]
pub struct Prekeys {
    week: Week,
    state: Zeroizing<[u8; 32]>,
    /// What was published and when, in seconds since 1970, ascending in both. The first is the oldest that is kept.
    published: Vec<(Week, u64)>,
}

impl Prekeys {
    /// The keys of a mailbox, from its secret, at `now` in seconds since 1970: with those of the last [`RESTORED_WEEKS`], as mail for
    /// them may still lie somewhere.
    pub fn new(mailbox_secret: &[u8; 32], now: u64) -> Self {
        let mut keys = Self {
            week: FIRST_WEEK,
            state: Zeroizing::new(blake3::derive_key(START_CONTEXT, mailbox_secret)),
            published: Vec::new(),
        };
        keys.turn_to(Week(Week::of(now).0.saturating_sub(RESTORED_WEEKS)));
        keys
    }

    /// The key to publish, if that of this week was not published yet.
    pub fn due(&self, now: u64) -> Option<(Week, PublicKey)> {
        let week = Week::of(now);
        let known = self.published.last().is_some_and(|(last, _)| *last >= week);
        match known {
            true => None,
            false => Some((week, self.secret(week).ok()?.public())),
        }
    }

    /// Notes that the key of a week was published, by us or by another device of ours.
    pub fn published(&mut self, week: Week, at: u64) {
        let newer = self
            .published
            .last()
            .is_none_or(|(last, before)| *last < week && *before <= at);
        if newer && week >= self.week {
            self.published.push((week, at));
        }
        if self.published.len() > MAX_WEEKS as usize {
            let oldest = self.published.remove(0);
            self.turn_to(Week(oldest.0.0 + 1));
        }
    }

    /// Deletes the keys whose successor was published long enough ago.
    pub fn sweep(&mut self, now: u64) {
        while let [_, (successor, at), ..] = self.published[..]
            && at.saturating_add(KEPT_AFTER) <= now
        {
            self.turn_to(successor);
            self.published.remove(0);
        }
    }

    /// The oldest week whose key is kept.
    pub fn oldest(&self) -> Week {
        self.week
    }

    /// The key of a week.
    ///
    /// # Errors
    /// `KeyDeleted` or, for weeks to which the ratchet will not be turned for one envelope, `NoSuchKey`.
    pub fn secret(&self, week: Week) -> Result<SecretKey, MailError> {
        let turns = week
            .0
            .checked_sub(self.week.0)
            .ok_or(MailError::KeyDeleted)?;
        if turns > 2 * MAX_WEEKS {
            return Err(MailError::NoSuchKey);
        }
        let state = (0..turns).fold(self.state.clone(), |state, _| after(&state));
        Ok(SecretKey::new(blake3::derive_key(KEY_CONTEXT, &*state)))
    }

    /// As a machine stores it, to be sealed like every secret.
    pub fn to_bytes(&self) -> Zeroizing<Vec<u8>> {
        let mut out = Writer(Vec::with_capacity(64 + 16 * self.published.len()));
        out.array(4);
        out.uint(VERSION);
        out.uint(self.week.0.into());
        out.bytes(&*self.state);
        out.array(self.published.len());
        for (week, at) in &self.published {
            out.array(2);
            out.uint(week.0.into());
            out.uint(*at);
        }
        Zeroizing::new(out.0)
    }

    /// Reads what was stored.
    ///
    /// # Errors
    /// `Malformed`, `NotCanonical`, `Version` or `TooMany`.
    pub fn parse(bytes: &[u8]) -> Result<Self, MailError> {
        let mut reader = Reader::new(bytes);
        let fields = reader.array()?;
        match reader.uint()? {
            VERSION => exactly(fields, 4)?,
            other => return Err(MailError::Version(other)),
        }
        let week = read_week(&mut reader)?;
        let state = Zeroizing::new(reader.fixed_bytes()?);
        let count = reader.array()?;
        if count > MAX_WEEKS as usize {
            return Err(MailError::TooMany);
        }
        let mut published = Vec::with_capacity(count);
        for _ in 0..count {
            exactly(reader.array()?, 2)?;
            published.push((read_week(&mut reader)?, reader.uint()?));
        }
        let ascending = published.is_sorted_by(|a, b| a.0 < b.0 && a.1 <= b.1)
            && published.first().is_none_or(|first| first.0 >= week);
        match reader.is_at_end() && ascending {
            true => Ok(Self {
                week,
                state,
                published,
            }),
            false => Err(MailError::Malformed),
        }
    }

    /// Deletes everything before a week.
    fn turn_to(&mut self, week: Week) {
        for _ in 0..week.0.saturating_sub(self.week.0).min(MAX_TURNS) {
            self.state = after(&self.state);
            self.week.0 += 1;
        }
    }
}

impl std::fmt::Debug for Prekeys {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Prekeys")
            .field("week", &self.week)
            .field("published", &self.published)
            .finish_non_exhaustive()
    }
}

fn after(state: &[u8; 32]) -> Zeroizing<[u8; 32]> {
    Zeroizing::new(blake3::derive_key(TURN_CONTEXT, state))
}

const START_CONTEXT: &str = "gyre 2026-11-22 mail ratchet start";
const TURN_CONTEXT: &str = "gyre 2026-11-22 mail ratchet next week";
const KEY_CONTEXT: &str = "gyre 2026-11-22 mail ratchet key of a week";
