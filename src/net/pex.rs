//! Signed peer records as peers exchange them: libp2p's, in the envelope of its RFC 0002 and RFC 0003.
//!
//! A record says where its signer can be met. What is read of a record of others is bounded and of the known shapes only; a record
//! without any such address is still a name that its teller can introduce.

use bytes::Bytes;
use libp2p::core::{PeerRecord, SignedEnvelope};
use libp2p::identity::Keypair;
use libp2p::swarm::StreamProtocol;
use libp2p::{Multiaddr, PeerId};

use super::addresses::{Route, is_behind_relay, is_dialable, is_own_socket, socket_of};
use crate::proto::pex::MAX_RECORD;

/// The exchange; one message on a stream, see `docs/discovery.md`.
pub const PROTOCOL: StreamProtocol = StreamProtocol::new("/gyre/pex/1.0.0");

/// Addresses behind relays in our own record.
const MAX_RELAYS: usize = 3;

/// Addresses behind peers in our own record.
const MAX_PEERS: usize = 4;

/// Sockets of our own in our own record.
const MAX_SOCKETS: usize = 2;

/// Addresses taken of a record of others.
const MAX_TAKEN: usize = MAX_SOCKETS + MAX_RELAYS + MAX_PEERS;

/// A record whose signature holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Record {
    /// Who signed it.
    pub peer: PeerId,
    /// Seconds since 1970 by the signer's clock.
    pub seq: u64,
    /// Where it can be met.
    pub addresses: Vec<Multiaddr>,
}

/// Signs a record of some of our external addresses; `None` while there is none.
pub fn sign<'a>(key: &Keypair, external: impl Iterator<Item = &'a Multiaddr>) -> Option<Bytes> {
    let (sockets, introduced): (Vec<_>, Vec<_>) = external.cloned().partition(is_own_socket);
    let (behind_relays, behind_peers): (Vec<_>, Vec<_>) = introduced
        .into_iter()
        .filter(is_dialable)
        .partition(is_behind_relay);
    let addresses: Vec<_> = sockets
        .into_iter()
        .take(MAX_SOCKETS)
        .chain(behind_relays.into_iter().take(MAX_RELAYS))
        .chain(behind_peers.into_iter().take(MAX_PEERS))
        .collect();
    if addresses.is_empty() {
        return None;
    }
    let record = PeerRecord::new_interop(key, addresses).ok()?;
    let bytes = record.into_signed_envelope().into_protobuf_encoding();
    (bytes.len() <= MAX_RECORD).then(|| bytes.into())
}

/// Reads a record and checks its signature; `None` for whatever is not one.
pub fn verify(bytes: &[u8]) -> Option<Record> {
    if bytes.len() > MAX_RECORD {
        return None;
    }
    let envelope = SignedEnvelope::from_protobuf_encoding(bytes).ok()?;
    let record = PeerRecord::from_signed_envelope_interop(envelope).ok()?;
    let peer = record.peer_id();
    let addresses = record
        .addresses()
        .iter()
        .filter(|address| {
            Route::read(address, peer).is_some() || socket_of(address, peer).is_some()
        })
        .take(MAX_TAKEN)
        .cloned()
        .collect();
    Some(Record {
        peer,
        seq: record.seq(),
        addresses,
    })
}

#[cfg(all(test, not(target_arch = "wasm32")))]
mod tests {
    #![allow(clippy::unwrap_used)]
    use proptest::prelude::*;

    use super::*;

    fn signed() -> (Keypair, Vec<Multiaddr>, Bytes) {
        let key = Keypair::generate_ed25519();
        let local = key.public().to_peer_id();
        let relay = PeerId::random();
        let address: Multiaddr = format!("/dns4/relay.example/tcp/443/tls/ws/p2p/{relay}")
            .parse()
            .unwrap();
        let addresses = vec![
            Route::Relay(relay, address).to(local),
            Route::Peer(PeerId::random()).to(local),
        ];
        let bytes = sign(&key, addresses.iter()).unwrap();
        (key, addresses, bytes)
    }

    #[test]
    fn a_record_says_who_signed_it_and_where_that_one_is() {
        let (key, addresses, bytes) = signed();
        let record = verify(&bytes).unwrap();
        assert_eq!(record.peer, key.public().to_peer_id());
        assert_eq!(record.addresses, addresses);
    }

    #[test]
    fn the_fullest_record_fits() {
        let key = Keypair::generate_ed25519();
        let local = key.public().to_peer_id();
        let name = "a".repeat(60);
        let all: Vec<_> = (0..20)
            .flat_map(|_| {
                let relay = PeerId::random();
                let address: Multiaddr =
                    format!("/dns4/{name}.relay.example/tcp/443/tls/ws/p2p/{relay}")
                        .parse()
                        .unwrap();
                [Route::Relay(relay, address), Route::Peer(PeerId::random())]
            })
            .map(|route| route.to(local))
            .collect();
        let record = verify(&sign(&key, all.iter()).unwrap()).unwrap();
        assert_eq!(record.addresses.len(), MAX_TAKEN);
        assert_eq!(sign(&key, std::iter::empty()), None);
    }

    #[test]
    fn addresses_of_somebody_else_are_not_taken() {
        let key = Keypair::generate_ed25519();
        let of_another = Route::Peer(PeerId::random()).to(PeerId::random());
        let plain: Multiaddr = "/ip4/192.0.2.1/tcp/80/ws".parse().unwrap();
        let record = PeerRecord::new_interop(&key, vec![of_another, plain]).unwrap();
        let bytes = record.into_signed_envelope().into_protobuf_encoding();
        assert_eq!(verify(&bytes).unwrap().addresses, []);
    }

    proptest! {
        #[test]
        fn a_flipped_byte_is_no_record_of_the_signer(at: prop::sample::Index, xor in 1u8..) {
            let (_, _, bytes) = signed();
            let mut bytes = bytes.to_vec();
            let before = verify(&bytes).unwrap();
            let at = at.index(bytes.len());
            bytes[at] ^= xor;
            // Protobuf may have bytes that mean nothing; what still verifies says the same.
            if let Some(record) = verify(&bytes) {
                prop_assert_eq!(record, before);
            }
        }

        #[test]
        fn garbage_never_panics(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
            prop_assert_eq!(verify(&bytes), None);
        }
    }
}
