//! What the mailer wants done, as JavaScript understands it.

use crate::proto::ordered::Map;

use js_sys::Array;
use wasm_bindgen::JsValue;

use super::objects::{Object, array};
use crate::proto::identity::Id;
use crate::proto::mail::enclosure::Enclosure;
use crate::proto::mail::message::Body;
use crate::proto::mail::post::{
    IdentityStage, Job, Letter, Output, ParcelView, Ref, Stage, Standing, Status, hex, safety,
};
use crate::proto::name::Name;

pub(super) fn write(output: Output) -> JsValue {
    let out = Object::new();
    match output {
        Output::Nearest(tag) => out.with("do", "nearest").with("tag", array(&tag.0)),
        Output::Open(peer) => out.with("do", "open").with("peer", array(&peer.0)),
        Output::Ask(peer, message) => out
            .with("do", "ask")
            .with("peer", array(&peer.0))
            .with("message", array(&message)),
        Output::Get(key) => out.with("do", "get").with("key", array(&key)),
        Output::Put(key, value) => out
            .with("do", "put")
            .with("key", array(&key))
            .with("value", array(&value)),
        Output::Save(key, value) => out
            .with("do", "save")
            .with("key", key)
            .with_some("value", value.as_deref().map(array)),
        Output::Wake(at) => out.with("do", "wake").with("atMs", at as f64),
        Output::Stamp {
            job,
            message,
            to,
            paid,
            prefix,
            bits,
        } => out
            .with("do", "stamp")
            .with("job", name(job))
            .with("message", hex(&message.0))
            .with("to", to.to_string())
            .with("paid", paid.0)
            .with("of", paid.1)
            .with("prefix", array(&prefix))
            .with("bits", bits),
        Output::Unstamp(job) => out.with("do", "unstamp").with("job", name(job)),
        Output::Keep(blob, size) => out
            .with("do", "keep")
            .with("blob", hex(&blob.0))
            .with("size", size as f64),
        Output::Letter(letter) => self::letter(out, &letter),
        Output::Status(status) => self::status(out.with("do", "status"), &status, true),
        Output::Sent {
            token,
            message,
            thread,
        } => out
            .with("do", "sent")
            .with("token", token)
            .with("message", hex(&message.0))
            .with("thread", hex(&thread.0)),
        Output::Failed { token, code } => out
            .with("do", "failed")
            .with("token", token)
            .with("code", code),
        Output::Contact {
            id,
            standing,
            name,
            petname,
            since,
            forked,
            ended,
        } => out
            .with("do", "contact")
            .with("id", id.to_string())
            .with("state", state(standing))
            .with_some("name", name)
            .with_some("petname", petname)
            .with("since", since as f64)
            .with("forked", forked)
            .with("ended", ended)
            .with("safety", safety(id)),
        Output::Identity {
            stage,
            devices,
            sites,
            forks,
            open,
            settled,
            lost,
            on_paper,
            name,
        } => {
            let all = Array::new();
            for device in devices {
                let device = Object::new()
                    .with("key", hex(&device.key.0))
                    .with("me", device.me)
                    .with("since", device.since as f64)
                    .with("seen", device.seen as f64);
                all.push(&device.value());
            }
            let named = Array::new();
            for (site, key) in sites {
                let site = Object::new()
                    .with("site", site)
                    .with("name", Name(key.0).to_string());
                named.push(&site.value());
            }
            let state = match stage {
                IdentityStage::None => "none",
                IdentityStage::Looking if lost => "lost",
                IdentityStage::Looking => "looking",
                IdentityStage::Ready if forks > 0 => "forked",
                IdentityStage::Ready => "ready",
                IdentityStage::Removed => "removed",
                IdentityStage::Ended => "ended",
            };
            out.with("do", "identity")
                .with("state", state)
                .with("devices", all)
                .with("sites", named)
                .with("forks", forks as f64)
                .with("open", open as f64)
                .with("settled", settled as f64)
                .with("onPaper", on_paper)
                .with("name", name)
        }
        Output::Sync(device, data) => out
            .with("do", "sync")
            .with("data", array(&data))
            .with("device", hex(&device.0)),
        Output::Gone(message) => out.with("do", "gone").with("message", hex(&message.0)),
        Output::Refused(why) => out.with("do", "refused").with("why", why),
    }
    .value()
}

/// By message, with all its recipients.
pub(super) fn outbox(parcels: impl Iterator<Item = ParcelView>) -> JsValue {
    let mut messages: Map<Ref, (Object, Array)> = Map::new();
    for parcel in parcels {
        let message = parcel.status.message;
        let entry = messages.entry(message).or_insert_with(|| {
            let object = Object::new()
                .with("message", hex(&message.0))
                .with("thread", hex(&parcel.thread.0))
                .with("timeMs", parcel.time_millis as f64);
            (object, Array::new())
        });
        let recipient = Object::new().with("id", parcel.status.to.to_string());
        entry
            .1
            .push(&status(recipient, &parcel.status, false).value());
    }
    let all: Array = messages
        .into_values()
        .map(|(object, to)| object.with("to", to).value())
        .collect();
    all.into()
}

pub(super) fn enclosure(enclosure: &Enclosure) -> JsValue {
    Object::new()
        .with("hash", hex(&enclosure.hash().0))
        .with("key", array(enclosure.key().expose()))
        .with("size", enclosure.len() as f64)
        .with("name", enclosure.name())
        .with("type", enclosure.media_type())
        .value()
}

fn letter(out: Object, letter: &Letter) -> Object {
    let to: Array = letter
        .to
        .iter()
        .map(|id: &Id| JsValue::from(id.to_string()))
        .collect();
    let enclosures: Array = letter.enclosures.iter().map(enclosure).collect();
    let out = out
        .with("do", "letter")
        .with("message", hex(&letter.message.0))
        .with("thread", hex(&letter.thread.0))
        .with("from", letter.from.to_string())
        .with("device", hex(&letter.device.0))
        .with("to", to)
        .with("timeMs", letter.time_millis as f64)
        .with("enclosures", enclosures)
        .with("request", letter.request)
        .with("own", letter.own)
        .with("muted", letter.muted)
        .with_some("origin", letter.origin.clone());
    match &letter.body {
        Body::Here(bytes) => out.with("mime", array(bytes)),
        Body::There(body) => out.with("body", enclosure(body)),
    }
}

fn status(out: Object, status: &Status, whole: bool) -> Object {
    let out = match whole {
        true => out
            .with("message", hex(&status.message.0))
            .with("to", status.to.to_string()),
        false => out,
    };
    let stage = match status.stage {
        Stage::Waiting => "waiting",
        Stage::Looking => "looking",
        Stage::Stamping => "stamping",
        Stage::Stored => "stored",
        Stage::Delivered => "delivered",
        Stage::Read => "read",
        Stage::Expired => "expired",
        Stage::Refused => "refused",
    };
    let (stage, progress) = match status.kept {
        Some((kept, wanted)) => ("uploading", Some(kept as f64 / wanted as f64)),
        None => (stage, None),
    };
    out.with("state", stage)
        .with_some("progress", progress)
        .with("peers", status.peers as f64)
        .with("relays", status.relays as f64)
        .with_some("why", status.why.clone())
}

fn state(standing: Standing) -> &'static str {
    match standing {
        Standing::Unknown => "forgotten",
        Standing::Request => "request",
        Standing::Accepted => "accepted",
        Standing::Muted => "muted",
        Standing::Blocked => "blocked",
    }
}

fn name(job: Job) -> String {
    hex(&job.0.0)
}
