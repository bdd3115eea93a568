//! Somebody who knows how to leave mail, and leaves what is none.

use bytes::Bytes;
use gyre::proto::custody::deposit::{Deposit, Expiry};
use gyre::proto::custody::sign::Signer;
use gyre::proto::custody::tag::{Lane, MailboxSecret, Terms, Week};
use gyre::proto::identity::Id;
use gyre::proto::keys::{RootSecret, SiteKey};
use gyre::proto::mail::ENVELOPE_LEN;
use gyre::proto::mail::Suite;
use gyre::proto::mail::kem::Entropy;
use gyre::proto::mail::message::{Body, Letter, MessageId};
use gyre::proto::mail::prekey::Prekeys;
use gyre::proto::mail::record::Recipient;

/// Knows what every contact of one person knows.
pub struct Forger {
    mailbox: MailboxSecret,
    keys: Prekeys,
    id: Id,
    now: u64,
    counter: u64,
}

impl Forger {
    /// A contact of whoever has this secret.
    pub fn new(secret: u8, now_millis: u64) -> Self {
        let root = RootSecret::new([secret; 32]);
        let now = now_millis / 1000;
        Self {
            mailbox: MailboxSecret::new(*root.mailbox_secret(0, 0)),
            keys: Prekeys::new(&root.mailbox_secret(0, 0), now),
            id: gyre::proto::identity::owner::Owner::new(&root, 0).id(),
            now,
            counter: 0,
        }
    }

    /// Those of the contacts' lane of this week.
    pub fn terms(&self) -> Terms {
        self.mailbox.pass(0, Week::of(self.now)).terms()
    }

    pub fn write_key(&self) -> Signer {
        self.mailbox.pass(0, Week::of(self.now)).signer()
    }

    /// A letter as if `from` had written it, sealed as it should be but for what `spoil` does.
    pub fn envelope(&mut self, from: Id, text: &str, spoil: impl Fn(&mut Recipient)) -> Bytes {
        self.counter += 1;
        let number = self.counter as u8;
        let week = Week::of(self.now);
        let mut to = Recipient {
            id: self.id,
            suite: Suite::X_WING,
            week,
            key: self.keys.secret(week).unwrap().public(),
        };
        spoil(&mut to);
        let letter = Letter {
            from,
            id: MessageId([number; 16]),
            thread: MessageId([number; 16]),
            sequence: 1,
            time_millis: self.now * 1000,
            body: Body::Here(text.as_bytes().to_vec()),
            enclosures: Vec::new(),
            receipts: Vec::new(),
            notes: Vec::new(),
        };
        let device = SiteKey::from_seed([99; 32]);
        let envelope = letter.seal(&device, &to, Entropy::new([number; 64]));
        envelope.unwrap().bytes().clone()
    }

    /// Leaves an envelope as a contact.
    pub fn leave(&self, envelope: Bytes) -> Deposit {
        self.leave_in(Week::of(self.now), envelope)
    }

    pub fn leave_last_week(&self, envelope: Bytes) -> Deposit {
        self.leave_in(Week(Week::of(self.now).0 - 1), envelope)
    }

    fn leave_in(&self, week: Week, envelope: Bytes) -> Deposit {
        let pass = self.mailbox.pass(0, week);
        let expiry = Expiry::from_now(Lane::Contact, self.now - 86_400 * 8);
        Deposit::by_contact(&pass, expiry, envelope)
    }

    /// Something of the right length.
    pub fn junk(&mut self) -> Deposit {
        self.counter += 1;
        let mut envelope = vec![1; ENVELOPE_LEN];
        envelope[..8].copy_from_slice(&self.counter.to_be_bytes());
        envelope[0] = 1;
        self.leave(envelope.into())
    }

    /// As a stranger who did not work for it.
    pub fn unstamped(&self, envelope: Bytes) -> Deposit {
        let terms = self.mailbox.strangers(30, Week::of(self.now)).terms;
        let expiry = Expiry::from_now(Lane::Stranger, self.now);
        Deposit::by_stranger(terms, expiry, 1, envelope)
    }
}
