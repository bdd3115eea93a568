//! Mail: one message to one person as a sealed block of one size, with nothing of the sender outside.
//!
//! A [`letter`](message::Letter) is signed by a device of its sender and sealed to a weekly key of its recipient: an
//! [`Envelope`](envelope::Envelope) of [`ENVELOPE_LEN`] bytes, whatever it says. What does not fit goes into the swarm as padded, encrypted
//! [enclosures](enclosure), once for any number of recipients, with their keys inside each envelope. The keys of a week ([`prekey`]) are
//! deleted after it, so that who takes a machine cannot read what came before; the current one stands in the signed
//! [`record`]. Whoever opens an envelope holds an [`Unverified`](message::Unverified), which the sender's identity turns into
//! a message, and which [`seen`] lets in once. The bytes are in `docs/mail.md`.
//!
//! Sealed sender as in NIP-59 (message, signature, sealed wrap); HPKE (RFC 9180) in base mode with X-Wing (draft-connolly-cfrg-xwing-kem-10),
//! HKDF-SHA256 and ChaCha20-Poly1305. Sealing and opening are a cargo feature of
//! their own, as no page but the one for mail needs them; that records are signed, every holder checks.

#[cfg(feature = "mail")]
pub mod enclosure;
#[cfg(feature = "mail")]
pub mod envelope;
#[cfg(feature = "mail")]
pub mod kem;
#[cfg(feature = "mail")]
pub mod message;
#[cfg(feature = "mail")]
pub mod mime;
#[cfg(feature = "mail")]
pub mod post;
#[cfg(feature = "mail")]
pub mod prekey;
pub mod record;
#[cfg(feature = "mail")]
pub mod seen;

#[cfg(all(test, feature = "mail", not(target_arch = "wasm32")))]
mod tests;

use super::cbor::{CborError, Reader};
use super::share::ShareError;

pub use super::custody::ENVELOPE_LEN;
pub use super::custody::tag::Week;
pub use super::identity::MAX_AHEAD;

/// How a letter is sealed. A higher number is a stronger way.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Suite(pub u16);

impl Suite {
    /// HPKE base mode: KEM 0x647a (X-Wing), KDF 0x0001 (HKDF-SHA256), AEAD 0x0003 (ChaCha20-Poly1305).
    pub const X_WING: Self = Self(1);

    /// Refuses a suite below the weakest that is still accepted, and those that this version does not know.
    ///
    /// # Errors
    /// `Downgraded` or `UnknownSuite`.
    pub fn check(self, weakest: Self) -> Result<(), MailError> {
        if self < weakest {
            return Err(MailError::Downgraded);
        }
        match self {
            Self::X_WING => Ok(()),
            Self(other) => Err(MailError::UnknownSuite(other)),
        }
    }
}

/// Why a letter cannot be sealed, or bytes are not taken for one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum MailError {
    /// Not [`ENVELOPE_LEN`] bytes: cut off, or something else.
    #[error("an envelope of another length than {ENVELOPE_LEN} bytes")]
    WrongLength,
    /// An envelope, a message or a record of a version that is not known.
    #[error("mail of version {0}, which this program does not know")]
    Version(u64),
    /// Sealed in a way that is not known.
    #[error("mail sealed in way {0}, which this program does not know")]
    UnknownSuite(u16),
    /// Sealed in a weaker way than the weakest that is accepted.
    #[error("mail sealed in a weaker way than agreed")]
    Downgraded,
    /// The key of its week was deleted, as it came too late.
    #[error("the key for this mail was deleted")]
    KeyDeleted,
    /// It names a week for which there never was a key.
    #[error("there is no key for this mail")]
    NoSuchKey,
    /// No key of ours opens it: it is for somebody else, or was changed on its way.
    #[error("this mail is not for us, or was changed")]
    DoesNotOpen,
    /// It opens, and says that it is for somebody else: whoever got it passed it on.
    #[error("this mail was written to somebody else")]
    WrongRecipient,
    /// What is inside is no message, or a record is none.
    #[error("not a message")]
    Malformed,
    /// A message or a record in another than its one encoding.
    #[error("a message in another than its one encoding")]
    NotCanonical,
    /// Its sender has no such device: the device was removed, or never theirs.
    #[error("this mail comes from a device that its sender does not have")]
    UnknownDevice,
    /// The device did not sign it, or a record's key did not.
    #[error("a forged signature")]
    Forged,
    /// Another identity than the one that was asked for.
    #[error("the identity of somebody else")]
    OtherIdentity,
    /// It was there before.
    #[error("this mail was there before")]
    Replayed,
    /// It is older than what is remembered of former mail, or a record has ended.
    #[error("this mail is too old")]
    Expired,
    /// It is dated further ahead than [`MAX_AHEAD`].
    #[error("this mail claims to come from the future")]
    FromTheFuture,
    /// No room to remember more mail of this sender, or of all.
    #[error("too much mail to remember")]
    Full,
    /// More than an envelope holds: the body goes into the swarm then.
    #[error("this letter does not fit into an envelope")]
    TooLong,
    /// More enclosures, receipts or bytes than a message may have.
    #[error("too many attachments, or too large ones")]
    TooMany,
    /// An enclosure does not open, in whole or in order.
    #[error("an attachment is damaged: {0}")]
    BrokenEnclosure(ShareError),
    /// An enclosure ends before its end.
    #[error("an attachment is cut off")]
    EnclosureCutOff,
    /// There is no identity here yet, or this device was removed from it.
    #[error("there is no mailbox here")]
    NotReady,
    /// Nobody was found under this identity, or they have no mailbox now.
    #[error("the recipient was not found yet")]
    UnknownRecipient,
    /// The recipient takes no mail of strangers.
    #[error("the recipient takes no mail of strangers")]
    Closed,
    /// The sender has blocked the recipient.
    #[error("the recipient is blocked")]
    Blocked,
    /// The recipient has given their identity up.
    #[error("the recipient has given this identity up")]
    Ended,
    /// Its sender stopped it.
    #[error("stopped before it arrived")]
    Cancelled,
    /// No room for more mail that is under way.
    #[error("too much mail is under way")]
    OutboxFull,
    /// What was saved does not open, or is no saved mail.
    #[error("the saved mail of somebody else, or damaged")]
    StateDamaged,
}

impl MailError {
    /// A code that does not change between versions; `docs/mail.md` lists them.
    pub fn code(&self) -> &'static str {
        match self {
            Self::WrongLength => "MAIL_WRONG_LENGTH",
            Self::Version(_) => "MAIL_VERSION",
            Self::UnknownSuite(_) => "MAIL_UNKNOWN_SUITE",
            Self::Downgraded => "MAIL_DOWNGRADED",
            Self::KeyDeleted => "MAIL_KEY_DELETED",
            Self::NoSuchKey => "MAIL_NO_SUCH_KEY",
            Self::DoesNotOpen => "MAIL_DOES_NOT_OPEN",
            Self::WrongRecipient => "MAIL_WRONG_RECIPIENT",
            Self::Malformed => "MAIL_MALFORMED",
            Self::NotCanonical => "MAIL_NOT_CANONICAL",
            Self::UnknownDevice => "MAIL_UNKNOWN_DEVICE",
            Self::Forged => "MAIL_FORGED",
            Self::OtherIdentity => "MAIL_OTHER_IDENTITY",
            Self::Replayed => "MAIL_REPLAYED",
            Self::Expired => "MAIL_EXPIRED",
            Self::FromTheFuture => "MAIL_FROM_THE_FUTURE",
            Self::Full => "MAIL_FULL",
            Self::TooLong => "MAIL_TOO_LONG",
            Self::TooMany => "MAIL_TOO_MANY",
            Self::BrokenEnclosure(_) => "MAIL_BROKEN_ENCLOSURE",
            Self::EnclosureCutOff => "MAIL_ENCLOSURE_CUT_OFF",
            Self::NotReady => "MAIL_NOT_READY",
            Self::UnknownRecipient => "MAIL_UNKNOWN_RECIPIENT",
            Self::Closed => "MAIL_CLOSED",
            Self::Blocked => "MAIL_BLOCKED",
            Self::Ended => "MAIL_ENDED",
            Self::Cancelled => "MAIL_CANCELLED",
            Self::OutboxFull => "MAIL_OUTBOX_FULL",
            Self::StateDamaged => "MAIL_STATE_DAMAGED",
        }
    }
}

impl From<CborError> for MailError {
    fn from(error: CborError) -> Self {
        match error {
            CborError::Malformed | CborError::Truncated => Self::Malformed,
            CborError::NotCanonical => Self::NotCanonical,
        }
    }
}

fn read_week(reader: &mut Reader<'_>) -> Result<Week, MailError> {
    let week = u32::try_from(reader.uint()?).map_err(|_| MailError::Malformed)?;
    Ok(Week(week))
}

fn exactly(count: usize, expected: usize) -> Result<(), MailError> {
    match count == expected {
        true => Ok(()),
        false => Err(MailError::Malformed),
    }
}

/// Version of envelopes, messages and records.
const VERSION: u64 = 1;
