//! Streams of `/gyre/names/1.0.0`. What is said on them is `proto::name::follow`.

use bytes::Bytes;
use libp2p::StreamProtocol;

use super::framed::Words;
use crate::proto::name::follow::{MAX_FOLLOWS, Message};

pub use super::framed::run;

/// How peers tell each other of new heads, `docs/names.md`.
pub const PROTOCOL: StreamProtocol = StreamProtocol::new("/gyre/names/1.0.0");

/// Messages waiting to be written on one stream: all that may be followed on it, and as many answers. A peer that lets more pile
/// up does not read.
pub const SEND_QUEUE: usize = 2 * MAX_FOLLOWS;

impl Words for Message {
    fn length(bytes: [u8; 2]) -> Option<usize> {
        Self::length(bytes).ok()
    }

    fn decode(bytes: Bytes) -> Option<Self> {
        Self::decode(&bytes).ok()
    }

    fn encode(&self) -> Bytes {
        self.encode()
    }
}
