//! Mail from outside on its way in: checked, sealed to its recipient, left at custodians, and answered for when enough of them have signed.
//!
//! The text lives in memory from the first byte to the answer, and nowhere else: what is stored is sealed. After an answer of 250 the bridge
//! still has the sealed letter, and brings it again until its recipient has it. An answer of 451 leaves nothing but, once it was
//! sealed, that letter: the sender's server tries again, and the same mail is the same letter.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::time::Duration;

use tokio::sync::Notify;
use zeroize::Zeroizing;

use super::check::{Checks, Sender, Verdict};
use super::head;
use crate::node::mail::{Error, Mailer};
use crate::proto::identity::Id;
use crate::proto::mail::enclosure::Enclosure;
use crate::proto::mail::message::{Body, MessageId};
use crate::proto::mail::post::{Forwarded, Input, MAX_OUTGOING, Ref, Stage, Status, hex};
use crate::rt;
use crate::store::disk::DiskStore;
use crate::store::shelf::Shelf;

/// Longest look at names, in which a mail can make many be asked for.
const CHECKED_WITHIN: Duration = Duration::from_secs(30);

/// Names of the stored values that say which blob belongs to which letter.
const BLOBS: &str = "bridge/blob/";

/// How letters stand, by the mailer's word.
#[derive(Default)]
pub(super) struct Standings {
    latest: RefCell<BTreeMap<Ref, Status>>,
    changed: Notify,
}

impl Standings {
    pub(super) fn tell(&self, status: &Status) {
        let mut latest = self.latest.borrow_mut();
        if latest.len() >= MAX_OUTGOING {
            latest.pop_first();
        }
        latest.insert(status.message, status.clone());
        drop(latest);
        self.changed.notify_waiters();
    }

    /// Waits until a letter stands so that something can be answered.
    async fn until<T>(&self, letter: Ref, answer: impl Fn(&Status) -> Option<T>) -> T {
        loop {
            let changed = self.changed.notified();
            let now = self.latest.borrow().get(&letter).and_then(&answer);
            match now {
                Some(now) => return now,
                None => changed.await,
            }
        }
    }
}

/// What takes mail in.
pub(super) struct Inbound {
    pub(super) domain: String,
    pub(super) checks: Checks,
    pub(super) mailer: Mailer<DiskStore>,
    pub(super) store: DiskStore,
    pub(super) standings: std::rc::Rc<Standings>,
    /// Machines that must have signed; `None` for the rule of all senders.
    pub(super) copies: Option<usize>,
    pub(super) patience: Duration,
}

impl Inbound {
    /// Takes a mail for one recipient; the answer.
    pub(super) async fn take(
        &self,
        sender: &Sender,
        to: Id,
        tls: bool,
        mail: Zeroizing<Vec<u8>>,
    ) -> String {
        if head::times_received(&mail) > head::MAX_RECEIVED {
            return "554 5.4.6 This mail goes round in circles".into();
        }
        let checked = self.checks.check(sender, &mail);
        let verdict = tokio::time::timeout(CHECKED_WITHIN, checked).await;
        let results = match verdict {
            Ok(Verdict::Fine(results)) => results,
            Ok(Verdict::Refused(answer) | Verdict::NotNow(answer)) => return answer.into(),
            Err(_) => return "451 4.7.0 The names of the sender take too long to look up".into(),
        };
        let token = token(sender, to, &mail);
        let thread = head::root(&mail).map(|root| thread(to, &root));
        let received = self.received(sender, tls, &token);
        let mut text = Zeroizing::new(Vec::with_capacity(mail.len() + 2048));
        text.extend(format!("Return-Path: <{}>\r\n", sender.from).as_bytes());
        text.extend(results.as_bytes());
        text.extend(received.as_bytes());
        for piece in head::without_results_of(&mail, &self.domain) {
            text.extend_from_slice(piece);
        }
        drop(mail);
        match self.leave(to, thread, text, token).await {
            Ok(answer) => answer,
            Err(error) => {
                tracing::warn!(%error, "a mail could not be taken in");
                "451 4.3.0 It cannot be taken in now".into()
            }
        }
    }

    /// Leaves a letter at custodians; the answer.
    async fn leave(
        &self,
        to: Id,
        thread: Option<MessageId>,
        mut text: Zeroizing<Vec<u8>>,
        token: String,
    ) -> Result<String, Error> {
        let mut blob = None;
        let body = match text.len() <= self.mailer.room_to_forward() {
            true => Body::Here(std::mem::take(&mut *text)),
            false => {
                let enclosure = self.mailer.enclose(&text, "", "message/rfc822").await?;
                blob = Some(enclosure.clone());
                Body::There(enclosure)
            }
        };
        drop(text);
        let mail = Forwarded {
            to,
            origin: self.domain.clone(),
            thread,
            body,
        };
        let letter = match self.mailer.forward(mail, token).await {
            Ok((letter, _)) => letter,
            Err(error) => {
                self.let_go(blob.as_ref()).await;
                return match error {
                    Error::Refused(code) => Ok(refusal(code)),
                    other => Err(other),
                };
            }
        };
        if let Some(enclosure) = &blob
            && !self.remember(letter, enclosure).await?
        {
            // It was there before, sealed under another key.
            self.let_go(blob.as_ref()).await;
            blob = None;
        }
        let answered = self.standings.until(letter, |status| self.answer(status));
        let answer = match tokio::time::timeout(self.patience, answered).await {
            Ok(answer) => answer,
            Err(_) => {
                let seen = self.standings.latest.borrow().get(&letter).cloned();
                let sealed = seen
                    .as_ref()
                    .is_some_and(|status| status.stage >= Stage::Looking);
                tracing::info!(
                    signed = seen
                        .as_ref()
                        .map_or(0, |status| status.peers + status.relays),
                    sealed,
                    "too few machines keep a mail yet: its sender is asked to come again"
                );
                if !sealed {
                    self.mailer.told(Input::Cancel(letter)).await?;
                    self.forget(letter).await?;
                    self.let_go(blob.as_ref()).await;
                }
                "451 4.4.5 Too few machines keep it yet; come again".into()
            }
        };
        let last = self.standings.latest.borrow_mut().remove(&letter);
        if last.is_some_and(|status| status.stage.is_final()) {
            self.ended(letter).await?;
        }
        Ok(answer)
    }

    /// What can be answered for a letter that stands so, if anything.
    fn answer(&self, status: &Status) -> Option<String> {
        let enough = match self.copies {
            Some(copies) => {
                status.stage >= Stage::Looking && status.peers + status.relays >= copies
            }
            None => status.stage == Stage::Stored,
        };
        match status.stage {
            Stage::Refused => Some(refusal(status.why.as_deref().unwrap_or_default())),
            Stage::Expired => Some("451 4.4.7 Nobody fetched it; come again".into()),
            Stage::Delivered | Stage::Read => Some(accepted(status)),
            _ if enough => Some(accepted(status)),
            _ => None,
        }
    }

    /// A letter has come to its end: what was shared of it is not needed any more.
    pub(super) async fn ended(&self, letter: Ref) -> Result<(), Error> {
        let name = format!("{BLOBS}{}", hex(&letter.0));
        let known = self.store.values(&name).await?.pop();
        if let Some((_, hash)) = known
            && let Ok(hash) = <[u8; 32]>::try_from(&hash[..])
        {
            self.mailer.drop_blob(hash).await?;
            self.forget(letter).await?;
        }
        Ok(())
    }

    /// Remembers which blob belongs to a letter; `false` if another does.
    async fn remember(&self, letter: Ref, enclosure: &Enclosure) -> Result<bool, Error> {
        let name = format!("{BLOBS}{}", hex(&letter.0));
        if !self.store.values(&name).await?.is_empty() {
            return Ok(false);
        }
        let hash = enclosure.hash().0.to_vec();
        self.store
            .set_values(vec![(name, Some(hash.into()))])
            .await?;
        Ok(true)
    }

    async fn forget(&self, letter: Ref) -> Result<(), Error> {
        let name = format!("{BLOBS}{}", hex(&letter.0));
        Ok(self.store.set_values(vec![(name, None)]).await?)
    }

    async fn let_go(&self, blob: Option<&Enclosure>) {
        if let Some(enclosure) = blob
            && let Err(error) = self.mailer.drop_blob(enclosure.hash().0).await
        {
            tracing::warn!(%error, "a sealed mail that was not taken in stays on disk");
        }
    }

    fn received(&self, sender: &Sender, tls: bool, token: &str) -> String {
        let Sender { ip, hello, .. } = sender;
        let with = if tls { "ESMTPS" } else { "ESMTP" };
        let seconds = i64::try_from(rt::unix_millis() / 1000).unwrap_or_default();
        let date = mail_parser::DateTime::from_timestamp(seconds).to_rfc822();
        let (domain, id) = (&self.domain, &token[..16]);
        format!(
            "Received: from {hello} ([{}])\r\n\tby {domain} with {with} id {id};\r\n\t{date}\r\n",
            literal(*ip)
        )
    }
}

/// An address as RFC 5321 writes it in brackets.
fn literal(ip: std::net::IpAddr) -> String {
    match ip.to_canonical() {
        std::net::IpAddr::V4(v4) => v4.to_string(),
        std::net::IpAddr::V6(v6) => format!("IPv6:{v6}"),
    }
}

fn accepted(status: &Status) -> String {
    let signed = status.peers + status.relays;
    format!("250 2.0.0 Sealed, and kept by {signed} machines")
}

/// What a code of the mailer's is in SMTP.
fn refusal(code: &str) -> String {
    let answer = match code {
        "MAIL_CLOSED" => "550 5.7.1 The recipient takes no mail of strangers",
        "MAIL_BLOCKED" => "550 5.7.1 The recipient takes no mail of this server",
        "MAIL_TOO_LONG" | "MAIL_TOO_MANY" => "552 5.3.4 It is too long",
        "MAIL_OTHER_IDENTITY" => "550 5.1.6 The recipient has moved away",
        "MAIL_OUTBOX_FULL" => "452 4.3.1 Too much mail waits for its recipients",
        "MAIL_NOT_READY" => "451 4.3.2 The bridge is not ready yet",
        _ => "451 4.3.0 It cannot be taken in now",
    };
    answer.to_owned()
}

/// The same mail of the same sender to the same recipient is the same letter.
fn token(sender: &Sender, to: Id, mail: &[u8]) -> String {
    let mut hasher = blake3::Hasher::new_derive_key("gyre 2026-11-23 bridge mail");
    hasher.update(&to.0);
    hasher.update(&(sender.from.len() as u64).to_be_bytes());
    hasher.update(sender.from.as_bytes()).update(mail);
    hasher.finalize().to_hex().to_string()
}

/// The conversation of a recipient that began with this mail.
fn thread(to: Id, root: &str) -> MessageId {
    let mut hasher = blake3::Hasher::new_derive_key("gyre 2026-11-23 bridge conversation");
    hasher.update(&to.0).update(root.as_bytes());
    let mut id = [0; 16];
    id.copy_from_slice(&hasher.finalize().as_bytes()[..16]);
    MessageId(id)
}
