//! The lines of an SMTP connection, each bounded, and the data of a mail with its dots taken out.
//!
//! A mail ends at CRLF, dot, CRLF and nowhere else, and a CR or LF that stands alone is refused: servers that disagree on where a mail
//! ends can be made to take one mail for two.

use std::io;
use std::time::Duration;

use bytes::{Buf, BytesMut};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpStream;
use zeroize::{Zeroize, Zeroizing};

/// Longest line of a command or an answer in bytes. RFC 5321 has 512 and lets extensions add to it; RFC 4954 has 12,288 for AUTH, of which
/// nothing here needs more than this.
pub(super) const MAX_LINE: usize = 2048;

/// Bytes that are read at once.
const READ: usize = 16 * 1024;

/// Any stream.
pub(super) trait Stream: AsyncRead + AsyncWrite + Unpin {}
impl<T: AsyncRead + AsyncWrite + Unpin> Stream for T {}

/// What a connection runs over.
pub(super) enum Link {
    /// As it was accepted.
    Plain(TcpStream),
    /// After STARTTLS.
    Tls(Box<dyn Stream>),
}

/// One connection.
pub(super) struct Wire {
    link: Link,
    buffer: BytesMut,
    patience: Duration,
}

/// Why nothing more can be read.
#[derive(Debug, thiserror::Error)]
pub(super) enum WireError {
    #[error("the other side is gone: {0}")]
    Io(#[from] io::Error),
    #[error("a line is too long")]
    LineTooLong,
    #[error("nothing was said for too long")]
    TooSlow,
}

/// What came of the data of a mail.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Data {
    /// The mail, its lines ending in CRLF.
    Mail(Zeroizing<Vec<u8>>),
    /// More bytes than allowed; all of them were read.
    TooLong,
    /// There was no room for more.
    NoRoom,
    /// A CR or LF stands alone.
    BareLineEnd,
}

impl Wire {
    pub(super) fn new(socket: TcpStream, patience: Duration) -> Self {
        Self {
            link: Link::Plain(socket),
            buffer: BytesMut::new(),
            patience,
        }
    }

    pub(super) fn is_tls(&self) -> bool {
        matches!(self.link, Link::Tls(_))
    }

    /// Goes on over another stream that is made of the socket. What was said before that is forgotten.
    pub(super) async fn upgrade<F, S>(
        self,
        upgrade: impl FnOnce(TcpStream) -> F,
    ) -> io::Result<Self>
    where
        F: Future<Output = io::Result<S>>,
        S: Stream + 'static,
    {
        let Link::Plain(socket) = self.link else {
            return Err(io::Error::other("there is TLS already"));
        };
        let secured = tokio::time::timeout(self.patience, upgrade(socket)).await;
        let secured = secured.map_err(|_| io::Error::from(io::ErrorKind::TimedOut))??;
        Ok(Self {
            link: Link::Tls(Box::new(secured)),
            buffer: BytesMut::new(),
            patience: self.patience,
        })
    }

    /// The next line, without its end.
    pub(super) async fn line(&mut self) -> Result<Zeroizing<Vec<u8>>, WireError> {
        loop {
            if let Some(end) = self.buffer.iter().position(|byte| *byte == b'\n') {
                let mut line = Zeroizing::new(self.buffer.split_to(end + 1).to_vec());
                line.pop();
                if line.last() == Some(&b'\r') {
                    line.pop();
                }
                return match line.len() > MAX_LINE {
                    true => Err(WireError::LineTooLong),
                    false => Ok(line),
                };
            }
            if self.buffer.len() > MAX_LINE {
                return Err(WireError::LineTooLong);
            }
            self.fill().await?;
        }
    }

    /// The data of a mail, up to its end. `room` is asked for each further piece of so many bytes.
    pub(super) async fn data(
        &mut self,
        most: usize,
        mut room: impl FnMut(usize) -> bool,
    ) -> Result<Data, WireError> {
        let (mut mail, mut lines) = (Zeroizing::new(Vec::new()), Lines::default());
        let (mut given, mut fault) = (0, None);
        loop {
            let (taken, ended) = lines.take(&self.buffer, &mut mail);
            self.buffer.advance(taken);
            if lines.bare {
                fault.get_or_insert(Data::BareLineEnd);
            }
            if mail.len() > most {
                fault.get_or_insert(Data::TooLong);
            }
            if fault.is_none() && mail.len() + READ > given {
                match room(ROOM_STEP) {
                    true => given += ROOM_STEP,
                    false => fault = Some(Data::NoRoom),
                }
            }
            if fault.is_some() {
                // It is read to its end, so that the answer is heard.
                mail.zeroize();
                mail.shrink_to_fit();
            }
            if ended {
                return Ok(fault.unwrap_or(Data::Mail(mail)));
            }
            self.fill().await?;
        }
    }

    pub(super) async fn say(&mut self, line: &str) -> Result<(), WireError> {
        self.send(format!("{line}\r\n").as_bytes()).await
    }

    pub(super) async fn send(&mut self, bytes: &[u8]) -> Result<(), WireError> {
        let write = async {
            match &mut self.link {
                Link::Plain(socket) => {
                    socket.write_all(bytes).await?;
                    socket.flush().await
                }
                Link::Tls(stream) => {
                    stream.write_all(bytes).await?;
                    stream.flush().await
                }
            }
        };
        tokio::time::timeout(self.patience, write)
            .await
            .map_err(|_| WireError::TooSlow)??;
        Ok(())
    }

    async fn fill(&mut self) -> Result<(), WireError> {
        self.buffer.reserve(READ);
        let read = async {
            match &mut self.link {
                Link::Plain(socket) => socket.read_buf(&mut self.buffer).await,
                Link::Tls(stream) => stream.read_buf(&mut self.buffer).await,
            }
        };
        let read = tokio::time::timeout(self.patience, read)
            .await
            .map_err(|_| WireError::TooSlow)??;
        match read {
            0 => Err(io::Error::from(io::ErrorKind::UnexpectedEof).into()),
            _ => Ok(()),
        }
    }
}

/// Bytes for which room is asked at a time.
pub(super) const ROOM_STEP: usize = 256 * 1024;

/// Where in the data of a mail the reading is.
#[derive(Debug, Default)]
struct Lines {
    place: Place,
    bare: bool,
}

#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
enum Place {
    /// A line begins.
    #[default]
    Start,
    Within,
    /// After CR.
    Cr,
    /// After a dot at the start of a line, not written yet.
    Dot,
    /// After that and CR.
    DotCr,
}

impl Lines {
    /// Takes what is there up to the end of the mail; how many bytes, and whether it has ended.
    fn take(&mut self, bytes: &[u8], mail: &mut Vec<u8>) -> (usize, bool) {
        for (at, byte) in bytes.iter().enumerate() {
            self.place = match (self.place, *byte) {
                (Place::DotCr, b'\n') => return (at + 1, true),
                (Place::Dot, b'\r') => Place::DotCr,
                (Place::DotCr, other) => {
                    // The dot was one of its text, and a CR stands alone.
                    self.bare = true;
                    mail.extend([b'\r', other]);
                    Place::Within
                }
                (Place::Start, b'.') => Place::Dot,
                (Place::Cr, b'\n') => {
                    mail.push(b'\n');
                    Place::Start
                }
                (place, byte) => {
                    self.bare |= place == Place::Cr || byte == b'\n';
                    mail.push(byte);
                    match byte {
                        b'\r' => Place::Cr,
                        _ => Place::Within,
                    }
                }
            };
        }
        (bytes.len(), false)
    }
}

/// A mail as it is sent: a dot more where a line begins with one, and the end.
pub(super) fn dotted(mail: &[u8]) -> Zeroizing<Vec<u8>> {
    let mut out = Zeroizing::new(Vec::with_capacity(mail.len() + 64));
    let mut start = true;
    for byte in mail {
        if start && *byte == b'.' {
            out.push(b'.');
        }
        out.push(*byte);
        start = *byte == b'\n';
    }
    if !start {
        out.extend(b"\r\n");
    }
    out.extend(b".\r\n");
    out
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use proptest::prelude::*;

    use super::*;

    fn read(bytes: &[u8], cut: usize) -> (Vec<u8>, bool, bool, usize) {
        let (mut lines, mut mail) = (Lines::default(), Vec::new());
        let cut = cut.min(bytes.len());
        let (taken, ended) = lines.take(&bytes[..cut], &mut mail);
        if ended {
            return (mail, true, lines.bare, taken);
        }
        let (more, ended) = lines.take(&bytes[cut..], &mut mail);
        (mail, ended, lines.bare, taken + more)
    }

    #[test]
    fn a_mail_ends_at_its_one_end() {
        let fine = |wire: &[u8]| {
            let (mail, ended, bare, _) = read(wire, 3);
            (ended && !bare).then_some(mail)
        };
        assert_eq!(fine(b"a\r\n..b\r\n.\r\n").unwrap(), b"a\r\n.b\r\n");
        assert_eq!(fine(b".\r\n").unwrap(), b"");
        // None of these is an end; what they are used for is to hide a second mail in one.
        for smuggled in ["a\n.\nMAIL", "a\r\n.\nMAIL", "a\n.\r\nMAIL", "a\r.\r\nMAIL"] {
            let (_, _, bare, _) = read(format!("{smuggled}\r\n.\r\n").as_bytes(), 4);
            assert!(bare, "{smuggled:?}");
        }
    }

    proptest! {
        #[test]
        fn what_is_sent_is_what_is_read(text in "([a-z.\r\n]|\r\n){0,60}", cut in 0usize..80) {
            let wire = dotted(text.as_bytes());
            let (mail, ended, bare, taken) = read(&wire, cut);
            let rest = text.replace("\r\n", "");
            if rest.contains(['\r', '\n']) {
                prop_assert!(bare);
            } else {
                prop_assert!(ended && !bare && taken == wire.len());
                let whole = match text.is_empty() || text.ends_with("\r\n") {
                    true => text,
                    false => format!("{text}\r\n"),
                };
                // An empty text is sent as nothing but the end.
                prop_assert_eq!(mail, whole.into_bytes());
            }
        }
    }
}
