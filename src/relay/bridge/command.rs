//! What a client of SMTP says: one line, read once (RFC 5321, RFC 1870, RFC 3207, RFC 4954).

use data_encoding::BASE64;
use zeroize::Zeroizing;

/// A command.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Command {
    /// Who the client says it is; whether it knows extensions.
    Hello(String, bool),
    /// Who sends, empty for nobody, and how many bytes they announce.
    Mail(String, Option<u64>),
    /// A recipient.
    Rcpt(String),
    Data,
    Rset,
    Noop,
    Quit,
    /// Whether somebody is there, which is not said.
    Verify,
    StartTls,
    /// A mechanism in capitals, and what comes with it.
    Auth(String, Option<Zeroizing<Vec<u8>>>),
    /// A known command with arguments that are none.
    BadArguments,
    Unknown,
}

/// Longest address in bytes: RFC 5321 has 256 for a path, with its brackets.
pub(super) const MAX_ADDRESS: usize = 254;

impl Command {
    pub(super) fn parse(line: &[u8]) -> Self {
        let Ok(line) = std::str::from_utf8(line) else {
            return Self::BadArguments;
        };
        let line = line.trim_end_matches([' ', '\t']);
        let (verb, rest) = line.split_once(' ').unwrap_or((line, ""));
        let rest = rest.trim();
        let bare = |command: Self| match rest.is_empty() {
            true => command,
            false => Self::BadArguments,
        };
        match verb.to_ascii_uppercase().as_str() {
            "EHLO" => hello(rest, true),
            "HELO" => hello(rest, false),
            "MAIL" => mail(rest).unwrap_or(Self::BadArguments),
            "RCPT" => rcpt(rest).unwrap_or(Self::BadArguments),
            "DATA" => bare(Self::Data),
            "RSET" => bare(Self::Rset),
            "NOOP" => Self::Noop,
            "QUIT" => bare(Self::Quit),
            "VRFY" => Self::Verify,
            "STARTTLS" => bare(Self::StartTls),
            "AUTH" => auth(rest).unwrap_or(Self::BadArguments),
            _ => Self::Unknown,
        }
    }
}

fn hello(name: &str, extended: bool) -> Command {
    let fine = |byte: u8| byte.is_ascii_graphic() && byte != b';' && byte != b'(' && byte != b')';
    match !name.is_empty() && name.len() <= MAX_ADDRESS && name.bytes().all(fine) {
        true => Command::Hello(name.to_ascii_lowercase(), extended),
        false => Command::BadArguments,
    }
}

fn mail(rest: &str) -> Option<Command> {
    let (path, parameters) = path(rest, "FROM:")?;
    if !(path.is_empty() || is_address(path)) {
        return None;
    }
    let mut size = None;
    for parameter in parameters.split_ascii_whitespace() {
        let (name, value) = parameter.split_once('=').unwrap_or((parameter, ""));
        match name.to_ascii_uppercase().as_str() {
            "SIZE" => size = Some(value.parse().ok()?),
            "BODY" | "AUTH" => {}
            _ => return None,
        }
    }
    Some(Command::Mail(path.to_owned(), size))
}

fn rcpt(rest: &str) -> Option<Command> {
    let (path, parameters) = path(rest, "TO:")?;
    let fine = is_address(path) && parameters.trim().is_empty();
    fine.then(|| Command::Rcpt(path.to_owned()))
}

/// What stands in angle brackets behind a word, and what follows.
fn path<'a>(rest: &'a str, word: &str) -> Option<(&'a str, &'a str)> {
    let (head, tail) = rest.split_at_checked(word.len())?;
    if !head.eq_ignore_ascii_case(word) {
        return None;
    }
    let tail = tail.trim_start().strip_prefix('<')?;
    let (path, parameters) = tail.split_once('>')?;
    // A route before the address says nothing any more (RFC 5321, appendix C).
    let path = match path.starts_with('@') {
        true => path.split_once(':')?.1,
        false => path,
    };
    Some((path, parameters))
}

/// Whether this can be an address: a part before the last `@` in the letters of an atom, and a domain. Quoted ones are not taken.
pub(super) fn is_address(text: &str) -> bool {
    let Some((local, domain)) = text.rsplit_once('@') else {
        return false;
    };
    let atom = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-/=?^_`{|}~.".contains(&byte);
    let name = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'.';
    text.len() <= MAX_ADDRESS
        && (1..=64).contains(&local.len())
        && local.bytes().all(atom)
        && !domain.is_empty()
        && domain.bytes().all(name)
}

/// The domain of an address, in small letters; empty for none.
pub(super) fn domain_of(address: &str) -> String {
    let domain = address.rsplit_once('@').map_or("", |(_, domain)| domain);
    domain.to_ascii_lowercase()
}

fn auth(rest: &str) -> Option<Command> {
    let (mechanism, initial) = rest.split_once(' ').unwrap_or((rest, ""));
    let initial = match initial.trim() {
        "" => None,
        "=" => Some(Zeroizing::new(Vec::new())),
        text => Some(Zeroizing::new(BASE64.decode(text.as_bytes()).ok()?)),
    };
    let fine = !mechanism.is_empty() && mechanism.len() <= 20;
    fine.then(|| Command::Auth(mechanism.to_ascii_uppercase(), initial))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn commands_are_read_as_they_are_written() {
        let read = |line: &str| Command::parse(line.as_bytes());
        assert_eq!(
            read("ehlo Host.Example"),
            Command::Hello("host.example".into(), true)
        );
        assert_eq!(
            read("MAIL FROM:<a.b+c@d.example> SIZE=12 BODY=8BITMIME"),
            Command::Mail("a.b+c@d.example".into(), Some(12))
        );
        assert_eq!(read("mail from: <>"), Command::Mail(String::new(), None));
        assert_eq!(
            read("RCPT TO:<@other.example:a@b.example>"),
            Command::Rcpt("a@b.example".into())
        );
        assert_eq!(read("quit"), Command::Quit);
        for wrong in [
            "MAIL FROM:a@b",
            "MAIL FROM:<a b@c>",
            "MAIL FROM:<a@b> SIZE=many",
            "MAIL FROM:<a@b> RET=FULL",
            "RCPT TO:<>",
            "RCPT TO:<a@>",
            "RCPT TO:<\"a b\"@c>",
            "EHLO",
            "EHLO a (b",
            "DATA now",
            "AUTH PLAIN not-base64!",
        ] {
            assert_eq!(read(wrong), Command::BadArguments, "{wrong}");
        }
        assert_eq!(read("EXPN all"), Command::Unknown);
    }

    proptest! {
        #[test]
        fn any_line_is_read_without_panic(line in prop::collection::vec(any::<u8>(), 0..300), verb in 0usize..5) {
            let _ = Command::parse(&line);
            let verb = ["MAIL FROM:", "RCPT TO:", "AUTH ", "EHLO ", "MAIL FROM:<"][verb];
            let _ = Command::parse(&[verb.as_bytes(), &line].concat());
        }
    }
}
