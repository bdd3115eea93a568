//! Which messages were there before: each is let in once.
//!
//! A message is remembered for as long as one of its age is let in at all, so nothing is ever forgotten too early: older ones are
//! refused by their date. Where there is no room the message is refused for now, and custodians keep it.

use std::collections::BTreeMap;

use super::message::{Message, MessageId};
use super::{MAX_AHEAD, MailError};
use crate::proto::identity::Id;

/// How old a message may be, in seconds: a recipient who is away for as long as a record holds, 60 days, gets what was written on the
/// first of them after the 30 days that custodians keep it.
pub const MAX_AGE: u64 = 90 * 24 * 3600;

/// Messages that are remembered: 700 a day for [`MAX_AGE`], about 5 MB.
pub const MAX_SEEN: usize = 64 * 1024;

/// Messages of one sender that are remembered: 90 a day for [`MAX_AGE`].
pub const MAX_SEEN_OF_ONE: usize = 8 * 1024;

/// The messages that were let in.
#[derive(Debug, Clone)]
pub struct Seen {
    /// When each was written, in seconds since 1970.
    known: BTreeMap<(Id, MessageId), u64>,
    most: usize,
    most_of_one: usize,
}

impl Default for Seen {
    fn default() -> Self {
        Self::new(MAX_SEEN, MAX_SEEN_OF_ONE)
    }
}

impl Seen {
    /// Nothing yet, with room for so many, and for so many of one sender.
    pub fn new(most: usize, most_of_one: usize) -> Self {
        Self {
            known: BTreeMap::new(),
            most,
            most_of_one,
        }
    }

    /// Lets a message in, at `now` in seconds since 1970.
    ///
    /// # Errors
    /// `Expired`, `FromTheFuture`, `Replayed` or `Full`; nothing is changed then.
    pub fn take(&mut self, message: &Message, now: u64) -> Result<(), MailError> {
        let letter = message.letter();
        let written = letter.time_millis / 1000;
        if written.saturating_add(MAX_AGE) < now {
            return Err(MailError::Expired);
        }
        if written > now.saturating_add(MAX_AHEAD) {
            return Err(MailError::FromTheFuture);
        }
        if self.known.contains_key(&(letter.from, letter.id)) {
            return Err(MailError::Replayed);
        }
        if self.known.len() >= self.most {
            self.sweep(now);
        }
        if self.known.len() >= self.most || self.of(letter.from) >= self.most_of_one {
            return Err(MailError::Full);
        }
        self.known.insert((letter.from, letter.id), written);
        Ok(())
    }

    /// Lets in again what was stored: a sender, a message, and when it was written, in seconds since 1970.
    pub fn restore(&mut self, from: Id, message: MessageId, written: u64) {
        if self.known.len() < self.most {
            self.known.insert((from, message), written);
        }
    }

    /// Forgets what would be refused as too old.
    pub fn sweep(&mut self, now: u64) {
        self.known
            .retain(|_, written| written.saturating_add(MAX_AGE) >= now);
    }

    /// All of them.
    pub fn iter(&self) -> impl Iterator<Item = (Id, MessageId, u64)> {
        self.known
            .iter()
            .map(|((from, message), written)| (*from, *message, *written))
    }

    /// Messages that are remembered.
    pub fn len(&self) -> usize {
        self.known.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.known.is_empty()
    }

    fn of(&self, from: Id) -> usize {
        let (first, last) = (MessageId([0; 16]), MessageId([0xff; 16]));
        self.known.range((from, first)..=(from, last)).count()
    }
}
