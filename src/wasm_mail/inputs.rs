//! What JavaScript says, as the mailer understands it.

use bytes::Bytes;
use js_sys::{Array, BigInt};
use wasm_bindgen::{JsCast, JsValue};

use super::objects::{Reader, bytes, error, text};
use super::{BAD_INPUT, objects};
use crate::proto::custody::region::Candidate;
use crate::proto::custody::tag::Tag;
use crate::proto::custody::{MessageId as DepositId, PeerId};
use crate::proto::identity::card::Card;
use crate::proto::identity::{Id, Key};
use crate::proto::mail::enclosure::{Enclosure, MAX_ENCLOSURES, MAX_ENCLOSURES_LEN};
use crate::proto::mail::message::{Body, MessageId};
use crate::proto::mail::post::{Contact, Draft, Input, Job, Policy, Ref, Standing};
use crate::proto::share::ShareKey;
use crate::proto::types::BlobHash;

pub(super) fn read(value: &JsValue) -> Result<Input, JsValue> {
    let input = Reader::new(value);
    Ok(match input.text("kind")?.as_str() {
        "tick" => Input::Tick,
        "online" => Input::Online,
        "nearest" => {
            let peers = peers(&input, "peers")?.into_iter().map(Candidate::new);
            Input::Nearest(Tag(input.array("tag")?), peers.collect())
        }
        "answer" => {
            let message = input.get("message").map(|_| input.bytes("message"));
            Input::Answer(
                PeerId(input.array("peer")?),
                message.transpose()?.map(Bytes::from),
            )
        }
        "records" => {
            let values = input.list("values")?;
            let values: Option<_> = values.iter().map(bytes).collect();
            let values = values.ok_or_else(|| error("values: Uint8Arrays", BAD_INPUT))?;
            Input::Records(input.bytes("key")?, values)
        }
        "put" => Input::Put(input.bytes("key")?, input.number("holders")? as usize),
        "relays" => Input::Relays(peers(&input, "peers")?),
        "stamped" => {
            let nonce = input
                .get("nonce")
                .and_then(|nonce| nonce.dyn_into::<BigInt>().ok());
            let nonce = nonce.and_then(|nonce| u64::try_from(nonce).ok());
            let nonce = nonce.ok_or_else(|| error("nonce: a bigint", BAD_INPUT))?;
            Input::Stamped(Job(DepositId(hex(&input.text("job")?)?)), nonce)
        }
        "random" => Input::Random(input.bytes("bytes")?),
        "send" => {
            let value = input.get("draft").unwrap_or(JsValue::UNDEFINED);
            Input::Send(draft(&Reader::new(&value))?, input.text("token")?)
        }
        "cancel" => Input::Cancel(message(&input)?),
        "retry" => Input::Retry(message(&input)?),
        "stored" => Input::Stored(message(&input)?),
        "read" => Input::Read(message(&input)?),
        "remove" => Input::Remove(message(&input)?),
        "contact" => Input::Contact(contact(&input)?),
        "policy" => Input::Policy(Policy {
            stamp_bits: input.number("stampBits")? as u8,
            read_receipts: input.flag("readReceipts")?,
            open: input.flag("open")?,
            relays: peers(&input, "mailboxRelays")?,
        }),
        "removeDevice" => Input::RemoveDevice(Key(hex(&input.text("key")?)?)),
        "sync" => Input::Sync(input.bytes("data")?),
        other => return Err(error(&format!("no such input: {other}"), BAD_INPUT)),
    })
}

pub(super) fn entries(value: &JsValue) -> Result<Vec<(String, Vec<u8>)>, JsValue> {
    let wrong = || error("entries: [string, Uint8Array][]", BAD_INPUT);
    let all = value.dyn_ref::<Array>().ok_or_else(wrong)?;
    let entry = |entry: JsValue| {
        let entry = entry.dyn_into::<Array>().ok()?;
        Some((entry.get(0).as_string()?, bytes(&entry.get(1))?))
    };
    let entries: Option<_> = all.iter().map(entry).collect();
    entries.ok_or_else(wrong)
}

fn draft(draft: &Reader<'_>) -> Result<Draft, JsValue> {
    let to: Result<_, _> = draft.list("to")?.iter().map(|to| id(&text(to)?)).collect();
    let body = match (draft.get("mime"), draft.get("body")) {
        (Some(_), None) => Body::Here(draft.bytes("mime")?),
        (None, Some(body)) => Body::There(enclosure(&body)?),
        _ => return Err(error("exactly one of mime and body", BAD_INPUT)),
    };
    let thread = draft.some_text("thread")?.map(|thread| hex(&thread));
    let answers = draft.some_text("inReplyTo")?.map(|answered| hex(&answered));
    Ok(Draft {
        to: to?,
        thread: thread.transpose()?.map(MessageId),
        answers: answers.transpose()?.map(Ref),
        body,
        enclosures: enclosures(draft)?,
    })
}

fn contact(input: &Reader<'_>) -> Result<Contact, JsValue> {
    let card = input.some_text("card")?.map(|card| Card::parse(&card));
    let card = card
        .transpose()
        .map_err(|why| error(&why.to_string(), why.code()))?;
    Ok(Contact {
        id: id(&input.text("id")?)?,
        petname: input.some_text("petname")?,
        standing: match input.text("state")?.as_str() {
            "accepted" => Standing::Accepted,
            "blocked" => Standing::Blocked,
            "muted" => Standing::Muted,
            "forgotten" => Standing::Unknown,
            other => return Err(error(&format!("no such state: {other}"), BAD_INPUT)),
        },
        card,
    })
}

pub(super) fn enclosures(draft: &Reader<'_>) -> Result<Vec<Enclosure>, JsValue> {
    let all = draft.list("enclosures")?;
    if all.len() > MAX_ENCLOSURES {
        return Err(super::thrown(crate::proto::mail::MailError::TooMany));
    }
    all.iter().map(enclosure).collect()
}

pub(super) fn enclosure(value: &JsValue) -> Result<Enclosure, JsValue> {
    let enclosure = Reader::new(value);
    let size = enclosure.number("size")?;
    if !(0.0..=MAX_ENCLOSURES_LEN as f64).contains(&size) {
        return Err(super::thrown(crate::proto::mail::MailError::TooMany));
    }
    Ok(Enclosure::new(
        BlobHash(hex(&enclosure.text("hash")?)?),
        ShareKey::new(enclosure.array("key")?),
        size as u64,
        &enclosure.text("name")?,
        &enclosure.text("type")?,
    ))
}

pub(super) fn id(text: &str) -> Result<Id, JsValue> {
    Id::parse(text).map_err(|why| error(&why.to_string(), BAD_INPUT))
}

fn message(input: &Reader<'_>) -> Result<Ref, JsValue> {
    Ok(Ref(hex(&input.text("message")?)?))
}

fn hex<const N: usize>(text: &str) -> Result<[u8; N], JsValue> {
    let digits: Option<Vec<u8>> = text
        .chars()
        .map(|digit| Some(digit.to_digit(16)? as u8))
        .collect();
    let bytes = digits.and_then(|digits| {
        let (pairs, rest) = digits.as_chunks::<2>();
        let bytes: Vec<u8> = pairs.iter().map(|[high, low]| high << 4 | low).collect();
        rest.is_empty().then(|| bytes.try_into().ok())?
    });
    bytes.ok_or_else(|| error(&format!("{} hex digits", 2 * N), BAD_INPUT))
}

fn peers(input: &Reader<'_>, name: &str) -> Result<Vec<PeerId>, JsValue> {
    let bytes = input.bytes(name)?;
    let (peers, rest) = bytes.as_chunks::<32>();
    match rest.is_empty() {
        true => Ok(peers.iter().copied().map(PeerId).collect()),
        false => Err(objects::error(&format!("{name}: 32 bytes each"), BAD_INPUT)),
    }
}
