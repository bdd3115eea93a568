//! Identities: who somebody is, for as long as their keys change.
//!
//! An identity is a chain of signed operations, each naming the one before it ([`op`], [`chain`]); its [`Id`] is the BLAKE3 hash of the
//! first. Whoever has the bytes can check them, without a network. The next key is committed to by its hash before it is ever
//! used, so whoever steals the current key cannot take the identity; a recovery key, committed to in the same way, overrules what
//! a thief of both did, within [`WINDOW`]. Where two operations follow one, [`fork`] says which counts. [`record`] is how a chain
//! stands in an index, [`owner`] how a person makes one from their secret. The bytes are in `docs/identity.md`.
//!
//! The shape is that of did:plc (operations, recovery within 72 hours) with the pre-rotation of KERI, without the server of
//! the one and the witnesses of the other.

pub mod card;
pub mod chain;
pub mod fork;
pub mod op;
pub mod owner;
pub mod petnames;
pub mod record;
pub mod site;

#[cfg(all(test, not(target_arch = "wasm32")))]
mod tests;

use std::fmt;
use std::str::FromStr;

use super::base::Base;
use super::cbor::CborError;
use super::name::Name;

/// How long after an operation it can still be overruled, in seconds: the 72 hours of did:plc (specification 0.1, "Key Rotation &
/// Account Recovery").
pub const WINDOW: u64 = 72 * 3600;

/// How far ahead of our clock an operation, a message or a record may be dated, in seconds: a clock that is a day off is still heard.
pub const MAX_AHEAD: u64 = 36 * 3600;

/// Longest chain in bytes: with the key it fits the 16 KiB that a Kademlia message may have.
pub const MAX_CHAIN_LEN: usize = 12 * 1024;

/// Most operations of a chain: as many of the shortest, of 143 bytes, as [`MAX_CHAIN_LEN`] holds. A yearly rotation and three changes
/// of devices a year last for nearly two decades.
pub const MAX_OPS: usize = 85;

/// Most devices at a time. Ours.
pub const MAX_DEVICES: usize = 16;

/// Most sites that publish under an identity at a time. Ours.
pub const MAX_SITES: usize = 32;

/// Seconds since 1970 that an operation may claim at most, as for versions of sites.
pub const MAX_TIME: u64 = 1 << 40;

/// Who: the hash of a chain's first operation.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Id(pub [u8; 32]);

/// One operation: the hash of what it says, without its signature.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct OpId(pub [u8; 32]);

/// An ed25519 public key.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Key(pub [u8; 32]);

/// The hash of a key that will be used later.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Commitment(pub [u8; 32]);

/// Why bytes are no chain, or an operation does not continue one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum IdentityError {
    /// More than [`MAX_CHAIN_LEN`] bytes, or more than [`MAX_OPS`] operations.
    #[error("an identity of more than {MAX_OPS} operations or {MAX_CHAIN_LEN} bytes")]
    TooLong,
    /// Not the bytes of a chain.
    #[error("not an identity")]
    Malformed,
    /// The bytes of a chain, but not in their one encoding.
    #[error("an identity in another than its one encoding")]
    NotCanonical,
    /// A version that is not known.
    #[error("an identity of version {0}, which this program does not know")]
    Version(u64),
    /// An operation that is not known: nobody can say what follows from it.
    #[error("an identity with an operation of unknown kind {0}")]
    UnknownOp(u64),
    /// The chain of somebody else.
    #[error("the identity of somebody else")]
    OtherIdentity,
    /// No first operation, or one in the middle.
    #[error("an identity without a beginning")]
    NoGenesis,
    /// It does not follow the operation before it.
    #[error("an operation that does not follow the one before it")]
    BrokenLink,
    /// It claims an earlier time than the operation before it, or one beyond [`MAX_TIME`].
    #[error("an operation out of time")]
    OutOfTime,
    /// It claims a time further ahead than [`MAX_AHEAD`].
    #[error("an operation that claims to come from the future")]
    FromTheFuture,
    /// The key that it shows is not the one that was committed to, or is committed to once more.
    #[error("a key that was not committed to")]
    WrongKey,
    /// The key that has to sign did not.
    #[error("an operation whose signature does not hold")]
    BadSignature,
    /// It changes nothing: a device that is there already, one that is not, a key that is set already.
    #[error("an operation that changes nothing")]
    NoChange,
    /// More than [`MAX_DEVICES`] devices or [`MAX_SITES`] sites.
    #[error("an identity with too many devices or sites")]
    TooMany,
    /// The identity was given up.
    #[error("this identity was given up")]
    Ended,
    /// These are not the keys of this identity.
    #[error("these words do not hold the keys of this identity")]
    NotOurs,
    /// What it would overrule counts for good: the window is over, or something stronger stands there.
    #[error("this cannot be overruled any more")]
    TooLate,
}

impl IdentityError {
    /// A code that does not change between versions; `docs/identity.md` lists them.
    pub fn code(&self) -> &'static str {
        match self {
            Self::TooLong => "IDENTITY_TOO_LONG",
            Self::Malformed => "IDENTITY_MALFORMED",
            Self::NotCanonical => "IDENTITY_NOT_CANONICAL",
            Self::Version(_) => "IDENTITY_VERSION",
            Self::UnknownOp(_) => "IDENTITY_UNKNOWN_OPERATION",
            Self::OtherIdentity => "IDENTITY_OTHER",
            Self::NoGenesis => "IDENTITY_NO_GENESIS",
            Self::BrokenLink => "IDENTITY_BROKEN_LINK",
            Self::OutOfTime => "IDENTITY_OUT_OF_TIME",
            Self::FromTheFuture => "IDENTITY_FROM_THE_FUTURE",
            Self::WrongKey => "IDENTITY_WRONG_KEY",
            Self::BadSignature => "IDENTITY_BAD_SIGNATURE",
            Self::NoChange => "IDENTITY_NO_CHANGE",
            Self::TooMany => "IDENTITY_TOO_MANY",
            Self::Ended => "IDENTITY_ENDED",
            Self::NotOurs => "IDENTITY_NOT_OURS",
            Self::TooLate => "IDENTITY_TOO_LATE",
        }
    }
}

impl From<CborError> for IdentityError {
    fn from(error: CborError) -> Self {
        match error {
            CborError::Malformed | CborError::Truncated => Self::Malformed,
            CborError::NotCanonical => Self::NotCanonical,
        }
    }
}

/// A text that is no id.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("this is not an identity: it has 52 letters and digits")]
pub struct NotAnId;

impl Id {
    /// Reads an id, with or without `dmail:` before it, in small or capital letters.
    ///
    /// # Errors
    /// [`NotAnId`].
    pub fn parse(text: &str) -> Result<Self, NotAnId> {
        let text = text.trim();
        let text = text.strip_prefix(SCHEME).unwrap_or(text);
        if text.len() != TEXT_LEN || !text.is_ascii() {
            return Err(NotAnId);
        }
        let bytes = Base::ZBase32
            .decode(&text.to_ascii_lowercase())
            .ok_or(NotAnId)?;
        bytes.try_into().map(Self).map_err(|_| NotAnId)
    }
}

impl fmt::Display for Id {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&Base::ZBase32.encode(&self.0))
    }
}

impl fmt::Debug for Id {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Id({self})")
    }
}

impl FromStr for Id {
    type Err = NotAnId;

    fn from_str(text: &str) -> Result<Self, NotAnId> {
        Self::parse(text)
    }
}

impl Key {
    /// Whether this key made this signature of these bytes; strict, as for names.
    pub fn signed(&self, message: &[u8], signature: &[u8; 64]) -> bool {
        Name(self.0).signed(message, signature)
    }

    /// What commits to it.
    pub fn commitment(&self) -> Commitment {
        Commitment(blake3::derive_key(COMMITMENT_CONTEXT, &self.0))
    }
}

impl From<Name> for Key {
    fn from(name: Name) -> Self {
        Self(name.0)
    }
}

macro_rules! debug_as_hex {
    ($($name:ident),*) => {$(
        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(concat!(stringify!($name), "("))?;
                self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))?;
                f.write_str(")")
            }
        }
    )*};
}
debug_as_hex!(OpId, Key, Commitment);

/// What an address of mail begins with.
pub const SCHEME: &str = "dmail:";

/// Letters of an id: 256 bits of five each.
const TEXT_LEN: usize = 52;

/// What BLAKE3's key derivation is told it is for: never used for anything else.
const COMMITMENT_CONTEXT: &str = "gyre 2026-11-22 identity key commitment";
