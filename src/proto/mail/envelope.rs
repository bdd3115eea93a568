//! The envelope: what custodians see, one size and nothing to tell two senders by.
//!
//! Seven bytes say how it is sealed and to the key of which week; then come the encapsulated key and the ciphertext, whose
//! plaintext is padded with zeros. Version, suite, week and recipient are bound into the key schedule, so none of them can be
//! changed; they stand inside, signed, once more.

use bytes::Bytes;

use super::kem::{ENCAPSULATED_LEN, Entropy, TAG_LEN};
use super::message::{Letter, Unverified};
use super::prekey::Prekeys;
use super::record::Recipient;
use super::{ENVELOPE_LEN, MailError, Suite, VERSION, Week};
use crate::proto::identity::Id;
use crate::proto::keys::SiteKey;

/// Bytes of the signed message that an envelope holds at most.
pub const MAX_MESSAGE_LEN: usize = ENVELOPE_LEN - HEAD_LEN - ENCAPSULATED_LEN - TAG_LEN - 2;

/// A sealed letter.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Envelope {
    bytes: Bytes,
    suite: Suite,
    week: Week,
}

impl Letter {
    /// Signs it with a device of its sender and seals it to a recipient.
    ///
    /// # Errors
    /// `TooLong` if it does not fit: the body goes into the swarm then; `TooMany` or `Malformed` if it is what no message may be.
    pub fn seal(
        &self,
        device: &SiteKey,
        to: &Recipient,
        entropy: Entropy,
    ) -> Result<Envelope, MailError> {
        let message = self.signed(device, to.id, to.suite, to.week)?;
        if message.len() > MAX_MESSAGE_LEN {
            return Err(MailError::TooLong);
        }
        let mut plain = Vec::with_capacity(MAX_MESSAGE_LEN + 2);
        plain.extend_from_slice(&(message.len() as u16).to_be_bytes());
        plain.extend_from_slice(&message);
        plain.resize(MAX_MESSAGE_LEN + 2, 0);
        let head = head(to.suite, to.week);
        let (encapsulated, sealed) = to.key.seal(&info(&head, to.id), &head, &plain, entropy);
        let bytes = [&head[..], &encapsulated, &sealed].concat();
        debug_assert_eq!(bytes.len(), ENVELOPE_LEN);
        Ok(Envelope {
            bytes: bytes.into(),
            suite: to.suite,
            week: to.week,
        })
    }
}

impl Envelope {
    /// Reads what stands outside.
    ///
    /// # Errors
    /// `WrongLength` or `Version`.
    pub fn parse(bytes: Bytes) -> Result<Self, MailError> {
        if bytes.len() != ENVELOPE_LEN {
            return Err(MailError::WrongLength);
        }
        let [version, s0, s1, w0, w1, w2, w3] = *bytes
            .first_chunk::<HEAD_LEN>()
            .ok_or(MailError::WrongLength)?;
        if u64::from(version) != VERSION {
            return Err(MailError::Version(version.into()));
        }
        Ok(Self {
            suite: Suite(u16::from_be_bytes([s0, s1])),
            week: Week(u32::from_be_bytes([w0, w1, w2, w3])),
            bytes,
        })
    }

    /// Its [`ENVELOPE_LEN`] bytes.
    pub fn bytes(&self) -> &Bytes {
        &self.bytes
    }

    /// The week of the key that opens it.
    pub fn week(&self) -> Week {
        self.week
    }

    /// Opens it as `us`. `weakest` is the weakest suite that we have ever published a key for.
    ///
    /// # Errors
    /// `Downgraded`, `UnknownSuite`, `KeyDeleted`, `NoSuchKey`, `DoesNotOpen`, `WrongRecipient`, `Malformed`, `NotCanonical`, `Version` or
    /// `TooMany`.
    pub fn open(&self, us: Id, keys: &Prekeys, weakest: Suite) -> Result<Unverified, MailError> {
        self.suite.check(weakest)?;
        let secret = keys.secret(self.week)?;
        let (head, rest) = self.bytes.split_at(HEAD_LEN);
        let (encapsulated, sealed) = rest.split_at(ENCAPSULATED_LEN);
        let plain = secret.open(&info(head, us), head, encapsulated, sealed)?;
        let (length, rest) = plain.split_first_chunk().ok_or(MailError::Malformed)?;
        let length = usize::from(u16::from_be_bytes(*length));
        let (message, padding) = rest.split_at_checked(length).ok_or(MailError::Malformed)?;
        if padding.iter().any(|byte| *byte != 0) {
            return Err(MailError::NotCanonical);
        }
        let unverified = Unverified::read(message)?;
        if unverified.to() != us {
            return Err(MailError::WrongRecipient);
        }
        match unverified.sealed_as() == (self.suite, self.week) {
            true => Ok(unverified),
            false => Err(MailError::Downgraded),
        }
    }
}

fn head(suite: Suite, week: Week) -> [u8; HEAD_LEN] {
    let [s0, s1] = suite.0.to_be_bytes();
    let [w0, w1, w2, w3] = week.0.to_be_bytes();
    [VERSION as u8, s0, s1, w0, w1, w2, w3]
}

/// What HPKE calls info: never the same for another purpose, version, suite, week or recipient.
fn info(head: &[u8], to: Id) -> Vec<u8> {
    [&b"gyre mail envelope:"[..], head, &to.0].concat()
}

/// Bytes before the encapsulated key: version, suite and week.
const HEAD_LEN: usize = 1 + 2 + 4;
