//! What a run came to.

use crate::proto::custody::message::Message;

/// Counts of one run; bytes as they are encoded, without what links and look-ups cost.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Report {
    /// Messages sent.
    pub messages: usize,
    /// Those that counted as stored.
    pub stored: usize,
    /// Those whose reader came.
    pub came: usize,
    /// Those that were read in the reader's first session.
    pub first: usize,
    /// Those that were read within a day of its beginning.
    pub day: usize,
    /// Those that were read within three days.
    pub three_days: usize,
    /// Those that were read at all.
    pub read: usize,
    /// Those of which the sender saw that they were.
    pub confirmed: usize,
    /// What was handed out and never sent.
    pub wrong: usize,
    /// First custodians that were gone before the reader came.
    pub replaced: usize,
    /// Envelopes that senders and custodians sent to custodians.
    pub puts: usize,
    /// Those of them that custodians sent.
    pub upkeep_puts: usize,
    /// Bytes of these.
    pub put_bytes: u64,
    /// Bytes of envelopes sent to readers.
    pub letter_bytes: u64,
    /// Bytes of all other messages.
    pub other_bytes: u64,
    /// Look-ups.
    pub lookups: usize,
    /// Links that somebody tried to open.
    pub links: usize,
    pub(super) online_share: f64,
    pub(super) seconds: f64,
}

impl Report {
    pub(super) fn count(&mut self, message: &Message, of_custodian: bool) {
        let bytes = message.wire_len() as u64;
        match message {
            Message::Put(_) => {
                self.puts += 1;
                self.upkeep_puts += usize::from(of_custodian);
                self.put_bytes += bytes;
            }
            Message::Letter(_) => self.letter_bytes += bytes,
            _ => self.other_bytes += bytes,
        }
    }

    /// Part of the messages that were there in the reader's first session.
    pub fn first_share(&self) -> f64 {
        self.first as f64 / self.came as f64
    }

    /// Part of the messages that were there within a day.
    pub fn day_share(&self) -> f64 {
        self.day as f64 / self.came as f64
    }

    /// Part of the machines that were online, on average.
    pub fn online(&self) -> f64 {
        self.online_share / self.seconds
    }

    /// Copies sent of a message.
    pub fn copies(&self) -> f64 {
        self.puts as f64 / self.messages as f64
    }

    /// Bytes sent for a message.
    pub fn bytes_per_mail(&self) -> f64 {
        (self.put_bytes + self.letter_bytes + self.other_bytes) as f64 / self.messages as f64
    }

    /// One line.
    pub fn line(&self) -> String {
        let per = |count: usize| count as f64 / self.messages as f64;
        format!(
            "online {:.3} | first {:.3} day {:.3} 3 days {:.3} of {} | copies {:.1} ({:.1} by custodians), {:.0} kB a mail ({:.1} kB beside envelopes), look-ups {:.0}, links {:.0} | stored {}, confirmed {}, wrong {}",
            self.online(),
            self.first_share(),
            self.day_share(),
            self.three_days as f64 / self.came as f64,
            self.came,
            self.copies(),
            per(self.upkeep_puts),
            self.bytes_per_mail() / 1000.0,
            self.other_bytes as f64 / self.messages as f64 / 1000.0,
            per(self.lookups),
            per(self.links),
            self.stored,
            self.confirmed,
            self.wrong,
        )
    }
}
