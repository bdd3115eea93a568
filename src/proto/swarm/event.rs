//! What goes into a swarm's state machine and what comes out of it.

use bytes::Bytes;

use crate::proto::focus::Focus;
use crate::proto::message::Message;
use crate::proto::tail::Tail;
use crate::proto::types::{BlobSize, ChunkIndex, PeerKey, Time};

/// What the edges tell the state machine.
#[derive(Debug, Clone)]
pub enum Input {
    /// A stream of the swarm protocol with this peer is up for this blob. A second one replaces the first.
    Connected {
        /// The remote.
        peer: PeerKey,
    },
    /// The stream is gone, for whatever reason.
    Disconnected {
        /// The remote.
        peer: PeerKey,
    },
    /// A well-formed message arrived.
    Received {
        /// Who sent it.
        peer: PeerKey,
        /// What it says: not trusted yet.
        message: Message,
    },
    /// A `Send` of a `Chunk` message has left the node's own buffer: the next chunk for this peer may be loaded.
    Sent {
        /// The remote.
        peer: PeerKey,
        /// The chunk that was sent.
        index: ChunkIndex,
    },
    /// The store made the chunk durable.
    Stored {
        /// The chunk.
        index: ChunkIndex,
    },
    /// The store could not keep the chunk. The download pauses until `Resume`.
    StoreFailed {
        /// The chunk.
        index: ChunkIndex,
    },
    /// The store read a chunk for a peer.
    Loaded {
        /// Who wants it.
        peer: PeerKey,
        /// The chunk.
        index: ChunkIndex,
        /// Its bytes.
        data: Bytes,
        /// Its proof, as `tree` encodes it.
        proof: Bytes,
    },
    /// The store could not read the chunk. If it was durable, it is no longer served and fetched again.
    LoadFailed {
        /// Who wanted it.
        peer: PeerKey,
        /// The chunk.
        index: ChunkIndex,
    },
    /// Readers wait for these chunks: they come before all others, in this order. Replaces the former wish.
    Focus {
        /// Chunk indexes; empty for none.
        chunks: Focus,
    },
    /// The size is known from elsewhere, with its proof.
    Prove(Tail),
    /// A web server is being asked for this chunk: nobody else is meanwhile.
    Fetching {
        /// The chunk.
        index: ChunkIndex,
    },
    /// The chunk came from a web server: not trusted yet.
    Fetched {
        /// The chunk.
        index: ChunkIndex,
        /// Its bytes.
        data: Bytes,
        /// Its proof, as `tree` encodes it.
        proof: Bytes,
    },
    /// The chunk did not come from the web server, or is not waited for.
    FetchFailed {
        /// The chunk.
        index: ChunkIndex,
    },
    /// Whether this blob's chunks may be uploaded (the person's consent and caps). Not until this is said.
    AllowUpload(bool),
    /// Ask for nothing more until `Resume`; what is asked for already is cancelled.
    Pause,
    /// Go on asking.
    Resume,
    /// The deadline of the last `WakeAt` has come (harmless at any time).
    Tick,
}

/// What the edges must do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Output {
    /// Send this message to the peer, in order.
    Send {
        /// The remote.
        peer: PeerKey,
        /// What to send.
        message: Message,
    },
    /// Make this verified chunk durable, then answer `Stored` or `StoreFailed`.
    Store {
        /// The chunk.
        index: ChunkIndex,
        /// Verified bytes.
        data: Bytes,
        /// Its proof, to be served on.
        proof: Bytes,
    },
    /// Read this chunk for the peer, then answer `Loaded` or `LoadFailed`. It is verified, but its `Store` may not have been
    /// answered yet: then it is given from memory.
    Load {
        /// Who wants it.
        peer: PeerKey,
        /// The chunk.
        index: ChunkIndex,
    },
    /// The peer broke the protocol: close its stream, drop the connection and avoid it.
    Ban {
        /// The remote.
        peer: PeerKey,
        /// Why.
        reason: Misconduct,
    },
    /// There is no room or no use for the peer: close its stream, without blame.
    Close {
        /// The remote.
        peer: PeerKey,
    },
    /// What a web server sent as this chunk does not belong to the blob.
    WrongFetch {
        /// The chunk.
        index: ChunkIndex,
    },
    /// The last chunk was verified: the size is proved.
    SizeProved(BlobSize),
    /// The last missing chunk is stored now. Not given for a blob that was complete from the start.
    Complete,
    /// Come back with `Tick` at this time, unless another `WakeAt` follows.
    WakeAt(Time),
}

/// How a peer broke the protocol.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, thiserror::Error)]
#[non_exhaustive]
pub enum Misconduct {
    /// A chunk's bytes or proof do not lead to the blob's hash.
    #[error("sent bytes that do not belong to the blob")]
    WrongBytes,
    /// A chunk that was never asked for, or more often than asked for.
    #[error("sent a chunk that was not requested")]
    Unrequested,
    /// A chunk beyond the credit that was granted.
    #[error("sent more than the credit it was granted")]
    OverCredit,
    /// Claimed to have chunks and does not deliver them.
    #[error("claims chunks that it does not deliver")]
    FalseClaim,
    /// A bitfield, index or size that cannot be.
    #[error("sent an impossible bitfield, index or size")]
    Impossible,
    /// More requests than the limit allows.
    #[error("sent more requests than allowed")]
    Flood,
    /// The bytes were no message of this protocol, or came out of order.
    #[error("sent a malformed message")]
    Malformed,
}
