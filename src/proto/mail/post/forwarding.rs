//! Mail from outside, passed on to one recipient each: sealed as any letter, and then forgotten but for the sealed parcel.
//!
//! Who passes on answers to somebody outside whether the mail is safe, and is not to keep what it says. So it is never saved before it is
//! sealed; what cannot be sealed leaves nothing; and what expires is over.

use super::notes::{MAX_ORIGIN_LEN, is_origin};
use super::outbox::{Kind, Outgoing, Parcel, Stage};
use super::types::{Forwarded, Output, Ref};
use super::{MESSAGE, Post, Standing};
use crate::proto::mail::MailError;
use crate::proto::mail::message::{Body, MessageId};

/// Bytes that the note of where a mail came in takes beside its text.
const NOTE_HEAD: usize = 8;

impl Post {
    /// Bytes of a mail that can be passed on in an envelope; a longer one goes as [`Body::There`].
    pub fn room_to_forward(&self) -> usize {
        self.room(1, &[]).saturating_sub(MAX_ORIGIN_LEN + NOTE_HEAD)
    }

    pub(super) fn forward(&mut self, mail: Forwarded, token: String) {
        let id = MessageId(self.vault.id(MESSAGE, token.as_bytes()));
        let message = Ref::of(self.id, id);
        let failed = |outgoing: &Outgoing| {
            let mut parcels = outgoing.parcels.iter();
            parcels.all(|parcel| matches!(parcel.stage, Stage::Expired | Stage::Refused))
        };
        if self.outbox.get(&id).is_some_and(failed) {
            self.forget_outgoing(id);
        }
        let thread = match self.outbox.get(&id) {
            Some(known) => Ok(known.thread),
            None => self.take_forwarded(id, mail),
        };
        let to = self
            .outbox
            .get(&id)
            .and_then(|outgoing| outgoing.parcels.first())
            .map(|parcel| parcel.to);
        self.say_taken(token, message, thread);
        // How far it has come, which may be all the way.
        if let Some(to) = to {
            self.tell(id, to);
        }
    }

    fn take_forwarded(&mut self, id: MessageId, mail: Forwarded) -> Result<MessageId, MailError> {
        if !self.is_ready() {
            return Err(MailError::NotReady);
        }
        if self.is_me(mail.to) {
            return Err(MailError::UnknownRecipient);
        }
        if !is_origin(&mail.origin) {
            return Err(MailError::Malformed);
        }
        let standing = self.people.get(&mail.to).map(|person| person.standing);
        if standing == Some(Standing::Blocked) {
            return Err(MailError::Blocked);
        }
        let thread = mail.thread.unwrap_or(id);
        let kept = match &mail.body {
            Body::There(enclosure) => Some((enclosure.hash(), enclosure.sealed_len().get())),
            Body::Here(_) => None,
        };
        let outgoing = Outgoing {
            kind: Kind::Mail,
            thread,
            sequence: self.next_sequence(),
            time_millis: self.now,
            body: Some(mail.body),
            enclosures: Vec::new(),
            receipts: Vec::new(),
            number: 0,
            part: None,
            origin: Some(mail.origin),
            parcels: vec![Parcel::new(mail.to, false)],
        };
        self.check_fits(id, &outgoing)?;
        self.make_room_for(1)?;
        if let Some((blob, size)) = kept {
            self.out.push_back(Output::Keep(blob, size));
        }
        self.add_outgoing(id, outgoing);
        self.befriend(mail.to);
        Ok(thread)
    }
}
