//! The head of a mail, as far as a bridge reads it: which fields there are, where they end, and whose word on authenticity is to go.

use mail_parser::{HeaderName, MessageParser};

/// Mails of whom others have taken in as often as this go round in circles (RFC 5321, 6.3, has 100).
pub(super) const MAX_RECEIVED: usize = 50;

/// The fields of a mail, with their folds and line ends, in order. What follows the last is the empty line.
pub(super) fn fields(mail: &[u8]) -> Vec<&[u8]> {
    let mut fields: Vec<(usize, usize)> = Vec::new();
    let mut at = 0;
    while at < mail.len() {
        let rest = &mail[at..];
        let len = rest.iter().position(|byte| *byte == b'\n');
        let end = at + len.map_or(rest.len(), |len| len + 1);
        let line = &mail[at..end];
        if line == b"\r\n" || line == b"\n" {
            break;
        }
        match fields.last_mut() {
            Some(field) if line.starts_with(b" ") || line.starts_with(b"\t") => field.1 = end,
            _ => fields.push((at, end)),
        }
        at = end;
    }
    fields
        .into_iter()
        .map(|(from, to)| &mail[from..to])
        .collect()
}

/// Whether a field has this name.
pub(super) fn is(field: &[u8], name: &str) -> bool {
    let colon = field.iter().position(|byte| *byte == b':');
    let found = colon.map(|colon| field[..colon].trim_ascii());
    found.is_some_and(|found| found.eq_ignore_ascii_case(name.as_bytes()))
}

/// How often the mail was taken in already.
pub(super) fn times_received(mail: &[u8]) -> usize {
    let fields = fields(mail);
    fields.iter().filter(|field| is(field, "Received")).count()
}

/// The mail without what somebody else says in our name (RFC 8601, section 5).
pub(super) fn without_results_of<'a>(mail: &'a [u8], host: &str) -> Vec<&'a [u8]> {
    let (mut kept, mut end) = (Vec::new(), 0);
    for field in fields(mail) {
        end += field.len();
        let ours = is(field, "Authentication-Results") && names(field, host);
        if !ours {
            kept.push(field);
        }
    }
    kept.push(&mail[end..]);
    kept
}

/// Whether a host stands anywhere before the first semicolon of a field: what is found there may be folded and have remarks.
fn names(field: &[u8], host: &str) -> bool {
    let text = String::from_utf8_lossy(field).to_ascii_lowercase();
    let value = text.split_once(':').map_or("", |(_, value)| value);
    let first = value.split(';').next().unwrap_or_default();
    let apart = |letter: char| letter.is_whitespace() || letter == '(' || letter == ')';
    first
        .split(apart)
        .any(|word| word.trim_end_matches('.') == host)
}

/// The id of the mail with which its conversation began, by its own word.
pub(super) fn root(mail: &[u8]) -> Option<String> {
    let message = MessageParser::default().parse_headers(mail)?;
    let first = |name: HeaderName<'static>| {
        let value = message.header(name)?;
        let ids = value.as_text_list()?;
        Some(ids.first()?.to_string())
    };
    first(HeaderName::References)
        .or_else(|| first(HeaderName::InReplyTo))
        .or_else(|| message.message_id().map(str::to_owned))
}

/// The one author's address, in small letters; none if there are several or none.
pub(super) fn author(mail: &[u8]) -> Option<String> {
    let message = MessageParser::default().parse_headers(mail)?;
    let mut from = message.from()?.iter();
    match (from.next(), from.next()) {
        (Some(one), None) => one.address().map(str::to_ascii_lowercase),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use proptest::prelude::*;

    use super::*;

    const MAIL: &[u8] = b"Received: from a\r\n\tby b\r\nauthentication-results: \r\n mx.example; spf=pass\r\nAuthentication-Results: other.example; spf=pass\r\n\
        From: Zoe <Zoe@a.example>\r\nReferences: <root@a> <next@a>\r\nMessage-ID: <third@a>\r\n\r\nReceived: body\r\n";

    #[test]
    fn what_others_say_in_our_name_goes() {
        let kept = without_results_of(MAIL, "mx.example").concat();
        let kept = String::from_utf8(kept).unwrap();
        assert!(!kept.contains("mx.example") && kept.contains("other.example"));
        assert!(kept.ends_with("\r\n\r\nReceived: body\r\n"));
        assert_eq!(times_received(MAIL), 1);
        assert_eq!(root(MAIL).as_deref(), Some("root@a"));
        assert_eq!(
            root(b"Message-ID: <one@a>\r\n\r\n").as_deref(),
            Some("one@a")
        );
        assert_eq!(author(MAIL).as_deref(), Some("zoe@a.example"));
        assert_eq!(author(b"From: a@b, c@d\r\n\r\n"), None);
    }

    proptest! {
        #[test]
        fn any_bytes_are_looked_at_without_panic(mail in "([A-Za-z:;<>@ \t]|\r\n|\\PC){0,120}") {
            let mail = mail.as_bytes();
            let whole = without_results_of(mail, "mx.example").concat();
            prop_assert!(whole.len() <= mail.len());
            let _ = (root(mail), author(mail), times_received(mail));
        }
    }
}
