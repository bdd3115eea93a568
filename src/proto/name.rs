//! Names: addresses that stay while what they lead to changes.
//!
//! A name is an ed25519 public key, in the form that IPNS gives it: a CIDv1 of codec `libp2p-key` whose multihash holds the key
//! itself, as text in base36 (`k51…`, 62 letters and digits: a label of a host name). What the name leads to is a signed
//! [`record`]; of two records [`record::Record::rank`] decides, and [`heads`] remembers the best, so that nobody can lead a
//! node back. [`follow`] is how peers tell each other of new ones. The bytes are in `docs/names.md`.

pub mod follow;
pub mod heads;
pub mod record;
pub mod validity;

mod entry;

use std::fmt;
use std::str::FromStr;

use cid::Cid;
use multihash::Multihash;

use super::base::{Base, cid_from_text};

/// Bytes of a routing key: [`NAMESPACE`] and a multihash that holds the key.
pub const ROUTING_KEY_LEN: usize = NAMESPACE.len() + 2 + KEY_MESSAGE.len() + 32;

/// What the routing key of a record begins with (IPNS record specification, "Routing Record").
pub const NAMESPACE: &[u8] = b"/ipns/";

/// Longest text that is looked at: a CID of a name in base16 has 81 letters.
const MAX_TEXT: usize = 128;

/// Multicodec of a libp2p public key.
const LIBP2P_KEY: u64 = 0x72;

/// Multihash code of "the digest is the data".
const IDENTITY: u64 = 0;

/// What stands before the 32 bytes of an ed25519 key in libp2p's protobuf of a public key: type 1, then 32 bytes.
const KEY_MESSAGE: [u8; 4] = [0x08, 0x01, 0x12, 0x20];

/// A name: the public key that signs its records.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Name(pub [u8; 32]);

/// A text that is no name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum NameError {
    /// Neither a CID nor a peer id.
    #[error("this is not a name")]
    NotAName,
    /// A CID of something else than a key.
    #[error("this address names data of kind {0:#x}, not a key")]
    WrongCodec(u64),
    /// A key of a kind that this version does not verify.
    #[error("this name is not an ed25519 key")]
    WrongKey,
}

impl Name {
    /// Reads a name in any base that CIDs are written in, with or without `/ipns/` or `ipns://` before it, or as a peer id (`12D3…`).
    ///
    /// # Errors
    /// Any [`NameError`].
    pub fn parse(text: &str) -> Result<Self, NameError> {
        let text = text.trim();
        let text = text
            .strip_prefix("/ipns/")
            .or_else(|| text.strip_prefix("ipns://"))
            .unwrap_or(text);
        let text = text.strip_suffix('/').unwrap_or(text);
        if text.len() > MAX_TEXT || !text.is_ascii() {
            return Err(NameError::NotAName);
        }
        if text.starts_with("12D3") {
            let multihash = Base::Base58.decode(text).ok_or(NameError::NotAName)?;
            return Self::of_multihash(&multihash).ok_or(NameError::NotAName);
        }
        let cid = cid_from_text(text).ok_or(NameError::NotAName)?;
        if cid.codec() != LIBP2P_KEY {
            return Err(NameError::WrongCodec(cid.codec()));
        }
        Self::of_multihash(&cid.hash().to_bytes()).ok_or(NameError::WrongKey)
    }

    /// The key under which the record stands in an index: `/ipns/` and the multihash.
    pub fn routing_key(&self) -> [u8; ROUTING_KEY_LEN] {
        let mut key = [0; ROUTING_KEY_LEN];
        let mut rest = &mut key[..];
        for part in [
            NAMESPACE,
            &[IDENTITY as u8, (KEY_MESSAGE.len() + 32) as u8],
            &KEY_MESSAGE,
            &self.0,
        ] {
            let (here, after) = rest.split_at_mut(part.len());
            here.copy_from_slice(part);
            rest = after;
        }
        key
    }

    /// The name of a routing key; `None` for keys of other namespaces and of other kinds of key.
    pub fn of_routing_key(key: &[u8]) -> Option<Self> {
        Self::of_multihash(key.strip_prefix(NAMESPACE)?)
    }

    /// The CID whose text is the name.
    pub fn cid(&self) -> Cid {
        let message = [&KEY_MESSAGE[..], &self.0[..]].concat();
        let multihash =
            Multihash::wrap(IDENTITY, &message).expect("36 bytes fit a multihash of up to 64");
        Cid::new_v1(LIBP2P_KEY, multihash)
    }

    /// Where those who hold or read what is under the name find each other in the provider indexes: a hash, so that it is
    /// nobody's blob.
    pub fn meeting_point(&self) -> super::types::BlobHash {
        super::types::BlobHash(blake3::derive_key(
            "gyre 2026 meeting point of a name",
            &self.0,
        ))
    }

    fn of_multihash(bytes: &[u8]) -> Option<Self> {
        let message = bytes.strip_prefix(&[IDENTITY as u8, (KEY_MESSAGE.len() + 32) as u8])?;
        Some(Self(message.strip_prefix(&KEY_MESSAGE)?.try_into().ok()?))
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "k{}", Base::Base36.encode(&self.cid().to_bytes()))
    }
}

impl fmt::Debug for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Name({self})")
    }
}

impl FromStr for Name {
    type Err = NameError;

    fn from_str(text: &str) -> Result<Self, NameError> {
        Self::parse(text)
    }
}

#[cfg(all(test, not(target_arch = "wasm32")))]
mod tests {
    #![allow(clippy::unwrap_used)]
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_name_is_a_label_of_a_host_name() {
        let text = Name([255; 32]).to_string();
        assert_eq!(text.len(), 62);
        assert!(text.starts_with("k51"));
        assert!(Name([0; 32]).to_string().len() <= 63);
    }

    #[test]
    fn other_spellings_are_the_same_name() {
        let name = Name([7; 32]);
        let base32 = name.cid().to_string();
        let peer_id = Base::Base58.encode(&name.cid().hash().to_bytes());
        for text in [
            name.to_string(),
            format!("/ipns/{name}"),
            format!("ipns://{name}/"),
            format!(" {base32} "),
            peer_id,
        ] {
            assert_eq!(Name::parse(&text), Ok(name), "{text}");
        }
    }

    #[test]
    fn what_is_no_name_says_why() {
        for text in ["", "k", "k51", "12D3KooW", "https://example.org", "ä"] {
            assert_eq!(Name::parse(text), Err(NameError::NotAName), "{text}");
        }
        let file = "bafkr4ihkr4ld3m4gqkjf4reryxsy2s5tkbxprqkow6fin2iiyvreuzzab4";
        assert_eq!(Name::parse(file), Err(NameError::WrongCodec(0x55)));
        // An RSA key, by its hash.
        let rsa = Cid::new_v1(LIBP2P_KEY, Multihash::wrap(0x12, &[1; 32]).unwrap());
        assert_eq!(Name::parse(&rsa.to_string()), Err(NameError::WrongKey));
    }

    proptest! {
        #[test]
        fn comes_back_from_text_and_from_the_index(key in any::<[u8; 32]>()) {
            let name = Name(key);
            prop_assert_eq!(Name::parse(&name.to_string()), Ok(name));
            prop_assert_eq!(Name::of_routing_key(&name.routing_key()), Some(name));
        }

        #[test]
        fn any_text_and_any_key_are_looked_at_without_panic(text in ".{0,140}", key in prop::collection::vec(any::<u8>(), 0..60)) {
            let _ = Name::parse(&text);
            prop_assert!(Name::of_routing_key(&key).is_none_or(|name| name.routing_key()[..] == key));
        }
    }
}
