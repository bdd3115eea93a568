//! MIME: what the text of a message is made of (RFC 5322, RFC 2045), written by us and read whoever wrote it.
//!
//! What was received is kept as it came; what is read of it here is for showing. Nothing is refused: what is no mail is shown as a mail
//! of which all is text. HTML is given as it was sent, for the page to sanitise. [`mbox`] has files of many mails.

use std::borrow::Cow;

use mail_builder::MessageBuilder;
use mail_builder::headers::address::Address;
use mail_builder::headers::date::Date;
use mail_builder::headers::message_id::MessageId;
use mail_builder::headers::raw::Raw;
use mail_builder::mime::BodyPart;
use mail_parser::{Addr, HeaderValue, Message, MessageParser, MimeHeaders, PartType};

use super::MailError;
use crate::proto::share::{clean_media_type, clean_name};

mod charset;
pub mod mbox;

pub use charset::Tables;

/// Attachments that are listed of one mail. Ours: more is no mail that a person wrote.
pub const MAX_PARTS: usize = 256;

/// Addresses that are listed of one field. Ours.
pub const MAX_ADDRESSES: usize = 256;

/// Somebody, by the word of who wrote the mail.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Person {
    /// What they are called; may be empty.
    pub name: String,
    /// Their address; may be empty.
    pub address: String,
}

/// A mail to be written.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Draft {
    /// Who writes.
    pub from: Person,
    /// To whom.
    pub to: Vec<Person>,
    /// Whom else.
    pub cc: Vec<Person>,
    /// What about.
    pub subject: String,
    /// The text.
    pub text: String,
    /// The same as HTML.
    pub html: Option<String>,
    /// Its id, without brackets.
    pub message_id: String,
    /// That of the mail that it answers.
    pub in_reply_to: Option<String>,
    /// Those of the mails before it.
    pub references: Vec<String>,
    /// When, in milliseconds since 1970.
    pub date_millis: i64,
    /// Attachments.
    pub parts: Vec<Part>,
}

/// An attachment to be written.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Part {
    /// What it is called.
    pub name: String,
    /// Its media type.
    pub media_type: String,
    /// Its bytes.
    pub content: Vec<u8>,
}

/// A mail as it is shown.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Mail {
    /// What about.
    pub subject: String,
    /// Who wrote it, by its own word.
    pub from: Vec<Person>,
    /// To whom.
    pub to: Vec<Person>,
    /// Whom else.
    pub cc: Vec<Person>,
    /// When, in milliseconds since 1970, if it says so.
    pub date_millis: Option<i64>,
    /// Its id, without brackets.
    pub message_id: Option<String>,
    /// Those of the mails that it answers.
    pub in_reply_to: Vec<String>,
    /// Those of the mails before it.
    pub references: Vec<String>,
    /// The text, made from the HTML if there is no other.
    pub text: String,
    /// The HTML, as it was sent.
    pub html: Option<String>,
    /// What is attached.
    pub attachments: Vec<Attachment>,
}

/// What is attached to a mail.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Attachment {
    /// What it is called: one path segment; may be empty.
    pub name: String,
    /// Its media type; may be empty.
    pub media_type: String,
    /// Bytes of its content.
    pub size: usize,
    /// How the HTML names it.
    pub content_id: Option<String>,
    /// By what [`attachment`] finds it.
    pub index: u32,
}

/// Writes a mail.
pub fn build(draft: &Draft) -> Vec<u8> {
    let mut builder = MessageBuilder::new()
        .from(address(&draft.from))
        .to(addresses(&draft.to))
        .message_id(one_line(&draft.message_id))
        .date(Date::new(draft.date_millis.div_euclid(1000)));
    let subject = one_line(&draft.subject);
    builder = match is_like_encoded(&subject) {
        true => builder.header("Subject", Raw::new(encoded(&subject))),
        false => builder.subject(subject),
    };
    if !draft.cc.is_empty() {
        builder = builder.cc(addresses(&draft.cc));
    }
    if let Some(answered) = &draft.in_reply_to {
        builder = builder.in_reply_to(one_line(answered));
    }
    if !draft.references.is_empty() {
        let references = draft.references.iter().map(|id| one_line(id));
        builder = builder.references(MessageId::new_list(references));
    }
    builder = builder.text_body(draft.text.as_str());
    if let Some(html) = &draft.html {
        builder = builder.html_body(html.as_str());
    }
    for part in &draft.parts {
        let media_type = match clean_media_type(&part.media_type) {
            "" => "application/octet-stream",
            known => known,
        };
        let content = BodyPart::Binary(Cow::Borrowed(&part.content));
        builder = builder.attachment(media_type, clean_name(&part.name), content);
    }
    builder
        .write_to_vec()
        .expect("writing to memory does not fail")
}

/// Reads a mail for showing it, with the charsets that the parser knows: all of them natively, those of one byte in a page.
pub fn parse(bytes: &[u8]) -> Mail {
    parse_with(bytes, &|_, _| None)
}

/// Reads a mail for showing it, with somebody's tables for charsets.
pub fn parse_with(bytes: &[u8], tables: Tables<'_>) -> Mail {
    let Some(message) = message(bytes, tables) else {
        return plain(bytes);
    };
    let ids = |value: &HeaderValue<'_>| match value {
        HeaderValue::Text(id) => vec![id.to_string()],
        HeaderValue::TextList(ids) => {
            let ids = ids.iter().take(MAX_ADDRESSES);
            ids.map(|id| id.to_string()).collect()
        }
        _ => Vec::new(),
    };
    let of = |bodies: usize, body: &dyn Fn(usize) -> Option<String>| {
        (0..bodies.min(MAX_PARTS))
            .filter_map(body)
            .collect::<Vec<_>>()
    };
    let texts = of(message.text_body_count(), &|at| {
        message.body_text(at).map(Cow::into_owned)
    });
    let htmls = of(message.html_body_count(), &|at| {
        let part = message.html_part(at as u32)?;
        // A text alone is no HTML, though it could be made into some.
        matches!(part.body, PartType::Html(_))
            .then(|| message.body_html(at).map(Cow::into_owned))
            .flatten()
    });
    Mail {
        subject: message.subject().unwrap_or_default().to_owned(),
        from: people(message.from()),
        to: people(message.to()),
        cc: people(message.cc()),
        date_millis: message
            .date()
            .and_then(|date| date.to_timestamp().checked_mul(1000)),
        message_id: message.message_id().map(str::to_owned),
        in_reply_to: ids(message.in_reply_to()),
        references: ids(message.references()),
        text: texts.join("\n"),
        html: (!htmls.is_empty()).then(|| htmls.concat()),
        attachments: attachments(&message),
    }
}

/// The content of an attachment; of a text in UTF-8.
///
/// # Errors
/// `Malformed` if there is none of this index.
pub fn attachment(bytes: &[u8], index: u32) -> Result<Vec<u8>, MailError> {
    attachment_with(bytes, index, &|_, _| None)
}

/// The same with somebody's tables for charsets.
///
/// # Errors
/// As of [`attachment`].
pub fn attachment_with(bytes: &[u8], index: u32, tables: Tables<'_>) -> Result<Vec<u8>, MailError> {
    let message = message(bytes, tables).ok_or(MailError::Malformed)?;
    let part = message.attachment(index).ok_or(MailError::Malformed)?;
    Ok(content(&message, part).to_vec())
}

fn message<'a>(bytes: &'a [u8], tables: Tables<'_>) -> Option<Message<'a>> {
    let parser = MessageParser::default();
    let mut message = parser.parse(bytes)?;
    charset::read_again(&mut message, &parser, tables);
    Some(message)
}

/// What is no mail, shown as one.
fn plain(bytes: &[u8]) -> Mail {
    Mail {
        text: String::from_utf8_lossy(bytes).into_owned(),
        ..Mail::default()
    }
}

fn attachments(message: &Message<'_>) -> Vec<Attachment> {
    let all = message.attachments().take(MAX_PARTS).zip(0..);
    all.map(|(part, index)| {
        let kind = part.content_type().map(|kind| match kind.subtype() {
            Some(subtype) => format!("{}/{subtype}", kind.ctype()).to_ascii_lowercase(),
            None => kind.ctype().to_ascii_lowercase(),
        });
        let fallback = match part.body {
            PartType::Message(_) => "message/rfc822",
            PartType::Text(_) => "text/plain",
            PartType::Html(_) => "text/html",
            _ => "",
        };
        let kind = kind.unwrap_or_else(|| fallback.to_owned());
        Attachment {
            name: clean_name(part.attachment_name().unwrap_or_default()),
            media_type: clean_media_type(&kind).to_owned(),
            size: content(message, part).len(),
            content_id: part.content_id().map(str::to_owned),
            index,
        }
    })
    .collect()
}

/// A mail within a mail is what stands there, headers and all.
fn content<'a>(message: &'a Message<'_>, part: &'a mail_parser::MessagePart<'_>) -> &'a [u8] {
    match &part.body {
        PartType::Message(inner) if part.encoding == mail_parser::Encoding::None => {
            let (from, to) = (part.raw_body_offset(), part.raw_end_offset());
            let stands = message.raw_message.get(from as usize..to as usize);
            stands.unwrap_or(inner.raw_message.as_ref())
        }
        PartType::Message(inner) => inner.raw_message.as_ref(),
        _ => part.contents(),
    }
}

fn people(address: Option<&mail_parser::Address<'_>>) -> Vec<Person> {
    let text = |text: &Option<Cow<'_, str>>| text.as_deref().unwrap_or_default().to_owned();
    let person = |addr: &Addr<'_>| Person {
        name: text(&addr.name),
        address: text(&addr.address),
    };
    let all = address.into_iter().flat_map(|address| address.iter());
    all.take(MAX_ADDRESSES).map(person).collect()
}

fn address(person: &Person) -> Address<'static> {
    let name = (!person.name.is_empty()).then(|| one_line(&person.name));
    Address::new_address(name, one_line(&person.address))
}

fn addresses(people: &[Person]) -> Address<'static> {
    Address::new_list(people.iter().map(address).collect())
}

/// Without what would begin another header.
/// Whether a reader would decode what was meant as it stands. What is not ASCII is encoded in any case.
fn is_like_encoded(text: &str) -> bool {
    text.is_ascii() && text.contains("=?")
}

/// Encoded words (RFC 2047) of at most 72 characters; the spaces between them do not count.
fn encoded(text: &str) -> String {
    let words = text.as_bytes().chunks(20).map(|bytes| {
        let digits: String = bytes.iter().map(|byte| format!("={byte:02X}")).collect();
        format!("=?utf-8?Q?{digits}?=")
    });
    words.collect::<Vec<_>>().join(" ")
}

fn one_line(text: &str) -> String {
    text.chars()
        .map(|letter| if letter.is_control() { ' ' } else { letter })
        .collect()
}

#[cfg(all(test, not(target_arch = "wasm32")))]
mod tests;
