//! Mailboxes on other people's machines: who keeps a sealed envelope until its reader comes, and for how long.
//!
//! An envelope is an opaque block of 16 KiB. It is left under a [`tag`] that changes every week, at peers near that tag which each
//! message ranks anew ([`region`]). Whoever keeps it ([`custodian`]) signs a receipt, holds it until it expires or its reader
//! deletes it, and sees to it that another copy is online meanwhile. Whoever sent it ([`depositor`]) keeps it too, and whoever reads
//! it ([`collector`]) proves with the tag's own key that it may. What comes of strangers pays with a [`stamp`] and waits in a
//! bounded queue ([`requests`]). Nothing here can read an envelope. The bytes, the limits and what is not protected are in
//! `docs/custody.md`; the numbers were chosen in the simulator (`sim`, feature test-utils).

use std::fmt;
use std::time::Duration;

pub mod collector;
pub mod custodian;
pub mod deposit;
pub mod depositor;
pub mod keep;
pub mod kept;
pub mod message;
mod placement;
pub mod region;
pub mod requests;
pub mod sign;
#[cfg(feature = "test-utils")]
pub mod sim;
pub mod stamp;
pub mod tag;
#[cfg(all(test, feature = "test-utils", not(target_arch = "wasm32")))]
mod tests;

/// Bytes of an envelope, always (SimpleX pads to as much: 16,048 bytes).
pub const ENVELOPE_LEN: usize = 16 * 1024;

/// Peers that each message is left at. Oxen's swarms have 5 to 10; eight hold in the simulator at 5 % mean online time.
pub const COPIES: usize = 8;

/// Receipts without which a message does not count as stored, unless a relay's is among them.
pub const RECEIPTS_MIN: usize = 5;

/// Receipts of peers that are enough beside one of a relay.
pub const RECEIPTS_BESIDE_RELAY: usize = 3;

/// Peers that must have signed that they keep a message's blobs before it counts as stored: as many as are enough beside a relay. More
/// would keep senders online for long, who bring up to 25 MiB through one uplink; all that hold the envelope are asked, and bring it to each other.
pub const KEPT_MIN: usize = RECEIPTS_BESIDE_RELAY;

/// Whether so many receipts of peers and of relays are enough to call a letter stored.
pub fn is_enough(peers: usize, relays: usize) -> bool {
    peers >= RECEIPTS_MIN || relays > 0 && peers >= RECEIPTS_BESIDE_RELAY
}

/// Relays that a reader may name beside the peers of the neighbourhood.
pub const RELAYS_MAX: usize = 2;

/// Nearest qualified peers among which a message's custodians are (Kademlia's k).
pub const NEIGHBOURHOOD: usize = 20;

/// Nearest peers that a reader asks: who was among the nearest 20 when a message came may be behind others who came later.
pub const READ_WIDTH: usize = 40;

/// Hours for which contacts' messages are kept.
pub const CONTACT_HOURS: u32 = 30 * 24;

/// Hours for which strangers' messages are kept: readers who never come are most of what a custodian holds.
pub const STRANGER_HOURS: u32 = 14 * 24;

/// Seconds by which the clock of a page may be wrong without mail being refused: a day, and two hours of daylight saving and haste.
pub const CLOCK_ERROR: u64 = 26 * HOUR;

/// Time after which a request without an answer counts as failed: a link through a relay takes up to ten seconds to come up.
pub const ANSWER_WITHIN: Duration = Duration::from_secs(30);

/// Seconds in an hour.
pub const HOUR: u64 = 60 * 60;

/// The hash of an envelope and of the tag that it is left under, by which it is known to all who hold it.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct MessageId(pub [u8; 32]);

impl MessageId {
    /// BLAKE3's derived key of the tag and the envelope: the same envelope elsewhere is another message, so nobody can take its place.
    pub fn of(tag: tag::Tag, envelope: &[u8]) -> Self {
        let mut hasher = blake3::Hasher::new_derive_key(ID_CONTEXT);
        hasher.update(&tag.0).update(envelope);
        Self(*hasher.finalize().as_bytes())
    }
}

/// A node, by the Ed25519 public key that its peer id holds.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PeerId(pub [u8; 32]);

impl fmt::Debug for MessageId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        short("MessageId", &self.0, f)
    }
}

impl fmt::Debug for PeerId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        short("PeerId", &self.0, f)
    }
}

/// Enough of an id to tell it from others in a log.
fn short(name: &str, bytes: &[u8; 32], f: &mut fmt::Formatter<'_>) -> fmt::Result {
    write!(f, "{name}(")?;
    bytes[..4]
        .iter()
        .try_for_each(|byte| write!(f, "{byte:02x}"))?;
    f.write_str(")")
}

/// Why something was not taken or not given, as it is told to the other end. Codes are never given another meaning.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
#[repr(u8)]
pub enum Refusal {
    /// The signature is not by the key of the tag.
    #[error("the key of this mailbox did not sign this")]
    BadSignature = 1,
    /// Less work than the reader asks of strangers.
    #[error("the stamp is weaker than this mailbox asks")]
    WeakStamp = 2,
    /// Its time is over.
    #[error("it has expired")]
    Expired = 3,
    /// Its time ends later than any does, or its week has not come.
    #[error("it would be kept for longer than anything is")]
    TooLong = 4,
    /// The tag's share of this store is used up.
    #[error("this mailbox is full here")]
    MailboxFull = 5,
    /// The sender's share of this store, or of this minute, is used up.
    #[error("too much from this peer now")]
    TooFast = 6,
    /// All that is given to others is used up.
    #[error("no room here")]
    NoRoom = 7,
    /// It was not shown on this stream that the mailbox is the asker's.
    #[error("ask for the list first")]
    NotShown = 8,
    /// The store failed.
    #[error("it could not be stored")]
    NotStored = 9,
    /// A code of a later version.
    #[error("refused")]
    Other = 255,
}

impl Refusal {
    /// The reason of a code.
    pub fn from_code(code: u8) -> Self {
        const ALL: [Refusal; 9] = [
            Refusal::BadSignature,
            Refusal::WeakStamp,
            Refusal::Expired,
            Refusal::TooLong,
            Refusal::MailboxFull,
            Refusal::TooFast,
            Refusal::NoRoom,
            Refusal::NotShown,
            Refusal::NotStored,
        ];
        ALL.into_iter()
            .find(|refusal| *refusal as u8 == code)
            .unwrap_or(Self::Other)
    }
}

const ID_CONTEXT: &str = "gyre 2026-11-22 mailbox message";
