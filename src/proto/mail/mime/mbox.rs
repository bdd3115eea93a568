//! Files of many mails (RFC 4155): each after a line that begins with `From `, in the form *mboxrd*, which escapes such lines so that they
//! can be told from others again.
//!
//! A mail is given as it stands, but for what was escaped. One that does not end with a line gets an end.

/// Longest mail that is taken from a file, in bytes: 25 MiB of attachments in base64, and as much again. Longer ones are skipped.
pub const MAX_MAIL_LEN: usize = 64 * 1024 * 1024;

/// Takes a file apart as it comes.
#[derive(Debug, Default)]
pub struct MboxReader {
    /// The beginning of a line whose end is not here.
    line: Vec<u8>,
    mail: Option<Vec<u8>>,
    skipped: usize,
    too_long: bool,
}

impl MboxReader {
    /// Takes the next bytes; the mails that are complete.
    pub fn push(&mut self, bytes: &[u8]) -> Vec<Vec<u8>> {
        let mut mails = Vec::new();
        for piece in bytes.split_inclusive(|byte| *byte == b'\n') {
            // A line that is never to end must not grow without end either.
            if self.line.len() + piece.len() <= MAX_MAIL_LEN {
                self.line.extend_from_slice(piece);
            } else {
                self.too_long = true;
            }
            if piece.ends_with(b"\n") {
                mails.extend(self.end_line());
            }
        }
        mails
    }

    /// The last mail, once the file is at its end.
    pub fn finish(&mut self) -> Option<Vec<u8>> {
        let mut last = None;
        if !self.line.is_empty() {
            last = self.end_line();
        }
        last.or_else(|| self.end_mail())
    }

    /// Mails that were left out because they are too long.
    pub fn skipped(&self) -> usize {
        self.skipped
    }

    fn end_line(&mut self) -> Option<Vec<u8>> {
        let line = std::mem::take(&mut self.line);
        if line.starts_with(FROM) {
            let before = self.end_mail();
            self.mail = Some(Vec::new());
            return before;
        }
        let mail = self.mail.as_mut()?;
        if mail.len() + line.len() > MAX_MAIL_LEN {
            self.too_long = true;
        } else if !self.too_long {
            let escaped = escapes(&line) > 0;
            mail.extend_from_slice(&line[usize::from(escaped)..]);
        }
        None
    }

    fn end_mail(&mut self) -> Option<Vec<u8>> {
        let mut mail = self.mail.take()?;
        if std::mem::take(&mut self.too_long) {
            self.skipped += 1;
            return None;
        }
        // The empty line between two mails belongs to neither.
        if mail.ends_with(b"\n\r\n") {
            mail.truncate(mail.len() - 2);
        } else if mail.ends_with(b"\n\n") || mail == b"\n" {
            mail.pop();
        }
        (!mail.is_empty()).then_some(mail)
    }
}

/// A mail as it stands in such a file. `from` is an address, without spaces; `seconds` when it came, since 1970.
pub fn entry(mail: &[u8], from: &str, seconds: u64) -> Vec<u8> {
    let from = match from.is_empty() || from.contains(|letter: char| !letter.is_ascii_graphic()) {
        true => "MAILER-DAEMON",
        false => from,
    };
    let mut out = format!("From {from} {}\n", asctime(seconds)).into_bytes();
    for line in mail.split_inclusive(|byte| *byte == b'\n') {
        if escapes(line) > 0 || line.starts_with(FROM) {
            out.push(b'>');
        }
        out.extend_from_slice(line);
    }
    if !out.ends_with(b"\n") {
        out.push(b'\n');
    }
    out.push(b'\n');
    out
}

/// How many `>` stand before `From `; 0 for another line.
fn escapes(line: &[u8]) -> usize {
    let count = line.iter().take_while(|byte| **byte == b'>').count();
    match line[count..].starts_with(FROM) {
        true => count,
        false => 0,
    }
}

/// As C's `asctime` writes it, in UTC.
fn asctime(seconds: u64) -> String {
    const DAYS: [&str; 7] = ["Thu", "Fri", "Sat", "Sun", "Mon", "Tue", "Wed"];
    const MONTHS: [&str; 12] = [
        "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec",
    ];
    // Beyond the year 9999 nobody reads it.
    let seconds = seconds.min(253_402_300_799);
    let (days, of_day) = (seconds / 86_400, seconds % 86_400);
    // Howard Hinnant, "chrono-Compatible Low-Level Date Algorithms": days to a date, with years that begin in March.
    let shifted = days + 719_468;
    let (era, of_era) = (shifted / 146_097, shifted % 146_097);
    let year_of_era = (of_era - of_era / 1460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let march = (5 * of_year + 2) / 153;
    let day = of_year - (153 * march + 2) / 5 + 1;
    let month = (march + 2) % 12;
    let year = year_of_era + era * 400 + u64::from(month < 2);
    format!(
        "{} {} {day:2} {:02}:{:02}:{:02} {year}",
        DAYS[(days % 7) as usize],
        MONTHS[month as usize],
        of_day / 3600,
        of_day / 60 % 60,
        of_day % 60,
    )
}

const FROM: &[u8] = b"From ";
