//! What can go wrong for whoever uses a node, each with a stable code.

use crate::proto::keys::KeyError;
use crate::proto::keys::phrase::PhraseError;
use crate::proto::link::LinkError;
use crate::proto::manifest::ManifestError;
use crate::proto::name::NameError;
use crate::proto::name::record::RecordError;
use crate::store::StoreError;

/// Why a call to the node failed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The link cannot be read.
    #[error("this link is not one that Gyre can open: {0}")]
    BadLink(#[from] LinkError),
    /// The key in the link does not open the file.
    #[error("the key in this link does not open the file")]
    WrongKey,
    /// What the address leads to is no site, or one that breaks its own word.
    #[error("this site cannot be opened: {0}")]
    BadSite(String),
    /// Nobody who holds the blob could be reached in time.
    #[error("nobody who holds this is reachable right now")]
    NotFound,
    /// No relay is reachable, so nobody can be found.
    #[error("no relay is reachable")]
    NoRelay,
    /// The store could not do it.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The caller gave up, or removed the blob.
    #[error("cancelled")]
    Aborted,
    /// The node has been stopped.
    #[error("the node has stopped")]
    Closed,
    /// An option makes no sense.
    #[error("{0}")]
    BadOptions(String),
    /// The source that was to be shared could not be read.
    #[error("the source could not be read: {0}")]
    Source(String),
    /// This platform lacks something the node cannot do without.
    #[error("{0}")]
    Unsupported(String),
    /// The text is no name.
    #[error(transparent)]
    BadName(#[from] NameError),
    /// A record of a name is not taken.
    #[error(transparent)]
    Record(#[from] RecordError),
    /// What was to be brought into the indexes is no record, or not a valid one.
    #[error("this record is not valid")]
    InvalidRecord,
    /// A person's key cannot be had from what is there.
    #[error(transparent)]
    Key(#[from] KeyError),
    /// Words that are no secret.
    #[error(transparent)]
    Phrase(#[from] PhraseError),
    /// The person's keys are locked.
    #[error("your keys are locked")]
    Locked,
    /// There are no keys on this machine.
    #[error("there are no keys here yet")]
    NoKeys,
    /// There are keys on this machine already.
    #[error("there are other keys here already")]
    KeysExist,
    /// It is on a denylist.
    #[error("this is on a denylist that is in force here")]
    Denied,
    /// Our own mistake.
    #[error("internal error: {0}")]
    Internal(String),
}

impl From<ManifestError> for Error {
    fn from(error: ManifestError) -> Self {
        Self::BadSite(format!("{error} ({})", error.code()))
    }
}

/// Result of a node call.
pub type Result<T, E = Error> = std::result::Result<T, E>;

impl Error {
    /// A code that does not change between versions; `docs/sdk.md` lists them.
    pub fn code(&self) -> &'static str {
        match self {
            Self::BadLink(_) => "BAD_LINK",
            Self::WrongKey => "WRONG_KEY",
            Self::BadSite(_) => "BAD_SITE",
            Self::NotFound => "NOT_FOUND",
            Self::NoRelay => "NO_RELAY",
            Self::Store(StoreError::QuotaExceeded) => "QUOTA_EXCEEDED",
            Self::Store(StoreError::Busy) => "STORE_BUSY",
            Self::Store(StoreError::Newer { .. }) => "STORE_NEWER",
            Self::Store(_) => "STORE_FAILED",
            Self::Aborted => "ABORTED",
            Self::Closed => "CLOSED",
            Self::BadOptions(_) | Self::Source(_) => "BAD_OPTIONS",
            Self::Unsupported(_) => "UNSUPPORTED",
            Self::BadName(_) => "BAD_NAME",
            Self::Record(error) => error.code(),
            Self::InvalidRecord => "INVALID_RECORD",
            Self::Key(KeyError::WrongKey | KeyError::OtherLock) => "WRONG_PASSPHRASE",
            Self::Key(_) => "BAD_KEY_FILE",
            Self::Phrase(_) => "BAD_PHRASE",
            Self::Locked => "LOCKED",
            Self::NoKeys => "NO_KEYS",
            Self::KeysExist => "KEYS_EXIST",
            Self::Denied => "DENIED",
            Self::Internal(_) => "INTERNAL",
        }
    }
}
