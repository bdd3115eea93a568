//! Streams of `/gyre/custody/1.0.0`, and the names that custody has for nodes. What is said is `proto::custody`.

use bytes::Bytes;
use libp2p::identity::{Keypair, PublicKey, ed25519};
use libp2p::{PeerId, StreamProtocol};

use super::framed::Words;
use crate::proto::custody;
use crate::proto::custody::message::{MAX_IDS, Message};
use crate::proto::custody::sign::Signer;

pub use super::framed::run;

/// How mail is left, kept and fetched, `docs/custody.md`.
pub const PROTOCOL: StreamProtocol = StreamProtocol::new("/gyre/custody/1.0.0");

/// Messages waiting to be written on one stream: what two full requests bring, of 16 KiB each at most. A peer that lets more pile up
/// does not read.
pub const SEND_QUEUE: usize = 2 * MAX_IDS + 32;

/// One stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct StreamId(pub u64);

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

/// The key in the name of a node; `None` if it is of another kind than Ed25519, which no node has.
pub fn key_of(peer: &PeerId) -> Option<custody::PeerId> {
    let name = peer.to_bytes();
    let key = name.strip_prefix(&ED25519_NAME[..])?;
    Some(custody::PeerId(key.try_into().ok()?))
}

/// The name of a node; `None` if these are no key.
pub fn name_of(key: custody::PeerId) -> Option<PeerId> {
    let key = ed25519::PublicKey::try_from_bytes(&key.0).ok()?;
    Some(PublicKey::from(key).to_peer_id())
}

/// What signs for a node; `None` for a key that is not Ed25519.
pub fn signer_of(key: &Keypair) -> Option<Signer> {
    let key = key.clone().try_into_ed25519().ok()?;
    let secret = key.secret();
    Some(Signer::from_seed(secret.as_ref().try_into().ok()?))
}

/// In front of the key in a peer id: the multihash "identity" of 36 bytes, and the protobuf of an Ed25519 key.
const ED25519_NAME: [u8; 6] = [0x00, 0x24, 0x08, 0x01, 0x12, 0x20];

#[cfg(all(test, not(target_arch = "wasm32")))]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn names_and_keys_lead_to_each_other() {
        let key = Keypair::generate_ed25519();
        let name = key.public().to_peer_id();
        let found = key_of(&name).unwrap();
        assert_eq!(name_of(found), Some(name));
        assert_eq!(signer_of(&key).unwrap().public(), found.0);
        assert_eq!(key_of(&PeerId::random()), None);
    }
}
