//! MIME and files of many mails.

use js_sys::{Array, Uint8Array};
use wasm_bindgen::prelude::*;

use super::NO_SUCH_PART;
use super::objects::{self, Object, Reader, array, error};
use crate::proto::mail::mime::{self, Draft, Mail, Part, Person, mbox};

use super::enclosures::Chunks;

#[wasm_bindgen]
extern "C" {
    /// `MimeDraft`
    #[wasm_bindgen(typescript_type = "MimeDraft")]
    pub type MimeDraft;
    /// `MimeMail`
    #[wasm_bindgen(typescript_type = "MimeMail")]
    pub type MimeMail;
    /// What the platform reads charsets with.
    type TextDecoder;
    #[wasm_bindgen(constructor, catch)]
    fn new(label: &str) -> Result<TextDecoder, JsValue>;
    #[wasm_bindgen(method, catch)]
    fn decode(this: &TextDecoder, bytes: &[u8]) -> Result<String, JsValue>;
}

/// All charsets of the WHATWG's list; what is not on it throws.
fn tables(label: &str, bytes: &[u8]) -> Option<String> {
    TextDecoder::new(label).ok()?.decode(bytes).ok()
}

/// Writes and reads mails.
#[wasm_bindgen]
#[derive(Debug)]
pub struct Mime;

/// Takes a file of many mails apart as it comes.
#[wasm_bindgen]
#[derive(Debug, Default)]
pub struct MboxReader(mbox::MboxReader);

#[wasm_bindgen]
impl Mime {
    /// Writes a mail.
    pub fn build(draft: MimeDraft) -> Result<Uint8Array, JsValue> {
        Ok(array(&mime::build(&read_draft(&Reader::new(&draft))?)))
    }

    /// Reads a mail; what is none is shown as text.
    pub fn parse(bytes: &[u8]) -> MimeMail {
        write_mail(&mime::parse_with(bytes, &tables)).unchecked_into()
    }

    /// The content of an attachment.
    pub fn attachment(bytes: &[u8], index: u32) -> Result<Uint8Array, JsValue> {
        let content = mime::attachment_with(bytes, index, &tables);
        let content = content.map_err(|_| error("no such attachment", NO_SUCH_PART))?;
        Ok(array(&content))
    }
}

#[wasm_bindgen]
impl MboxReader {
    /// Nothing read yet.
    #[wasm_bindgen(constructor)]
    pub fn new() -> Self {
        Self::default()
    }

    /// Takes the next bytes; the mails that are complete.
    pub fn push(&mut self, bytes: &[u8]) -> Chunks {
        mails(self.0.push(bytes)).unchecked_into()
    }

    /// What is left at the end.
    pub fn finish(&mut self) -> Chunks {
        mails(self.0.finish()).unchecked_into()
    }

    /// Mails that were left out because they are too long.
    #[wasm_bindgen(getter)]
    pub fn skipped(&self) -> usize {
        self.0.skipped()
    }
}

/// A mail as it stands in a file of many.
#[wasm_bindgen(js_name = mboxEntry)]
pub fn mbox_entry(raw: &[u8], from: &str, time_ms: f64) -> Uint8Array {
    array(&mbox::entry(raw, from, (time_ms / 1000.0) as u64))
}

fn mails(mails: impl IntoIterator<Item = Vec<u8>>) -> JsValue {
    let all: Array = mails
        .into_iter()
        .map(|mail| JsValue::from(array(&mail)))
        .collect();
    all.into()
}

fn read_draft(draft: &Reader<'_>) -> Result<Draft, JsValue> {
    let from = draft.get("from").unwrap_or(JsValue::UNDEFINED);
    let cc = match draft.get("cc") {
        Some(_) => read_people(draft, "cc")?,
        None => Vec::new(),
    };
    let references = match draft.get("references") {
        Some(_) => draft
            .list("references")?
            .iter()
            .map(objects::text)
            .collect::<Result<_, _>>()?,
        None => Vec::new(),
    };
    let part = |value: &JsValue| {
        let part = Reader::new(value);
        Ok::<_, JsValue>(Part {
            name: part.text("name")?,
            media_type: part.text("type")?,
            content: part.bytes("content")?,
        })
    };
    let parts = match draft.get("parts") {
        Some(_) => draft
            .list("parts")?
            .iter()
            .map(part)
            .collect::<Result<_, _>>()?,
        None => Vec::new(),
    };
    Ok(Draft {
        from: read_person(&from)?,
        to: read_people(draft, "to")?,
        cc,
        subject: draft.text("subject")?,
        text: draft.text("text")?,
        html: draft.some_text("html")?,
        message_id: draft.text("messageId")?,
        in_reply_to: draft.some_text("inReplyTo")?,
        references,
        date_millis: draft.number("dateMs")? as i64,
        parts,
    })
}

fn read_people(draft: &Reader<'_>, name: &str) -> Result<Vec<Person>, JsValue> {
    draft.list(name)?.iter().map(read_person).collect()
}

fn read_person(value: &JsValue) -> Result<Person, JsValue> {
    let person = Reader::new(value);
    Ok(Person {
        name: person.text("name")?,
        address: person.text("address")?,
    })
}

fn write_mail(mail: &Mail) -> JsValue {
    let attachments = Array::new();
    for attachment in &mail.attachments {
        let entry = Object::new()
            .with("name", attachment.name.as_str())
            .with("type", attachment.media_type.as_str())
            .with("size", attachment.size as f64)
            .with("contentId", or_null(attachment.content_id.as_deref()))
            .with("index", attachment.index);
        attachments.push(&entry.value());
    }
    Object::new()
        .with("subject", mail.subject.as_str())
        .with("from", people(&mail.from))
        .with("to", people(&mail.to))
        .with("cc", people(&mail.cc))
        .with(
            "dateMs",
            mail.date_millis
                .map_or(JsValue::NULL, |date| JsValue::from(date as f64)),
        )
        .with("messageId", or_null(mail.message_id.as_deref()))
        .with("inReplyTo", texts(&mail.in_reply_to))
        .with("references", texts(&mail.references))
        .with("text", mail.text.as_str())
        .with("html", or_null(mail.html.as_deref()))
        .with("attachments", attachments)
        .value()
}

fn people(people: &[Person]) -> Array {
    let person = |person: &Person| {
        Object::new()
            .with("name", person.name.as_str())
            .with("address", person.address.as_str())
            .value()
    };
    people.iter().map(person).collect()
}

fn texts(texts: &[String]) -> Array {
    texts
        .iter()
        .map(|text| JsValue::from(text.as_str()))
        .collect()
}

fn or_null(text: Option<&str>) -> JsValue {
    text.map_or(JsValue::NULL, JsValue::from)
}
