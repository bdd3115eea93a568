//! Signatures of custody: Ed25519 (RFC 8032), each kind under words of its own so that none passes for another.
//!
//! With the feature test-utils there are marked keys besides, for long simulations: their signatures are plain hashes that anybody
//! can make. A marked key is told by its first bytes, which no Ed25519 key of a build with the feature will ever have by chance.

use crate::proto::keys::SiteKey;
use crate::proto::name::Name;

/// Bytes of a signature.
pub const SIGNATURE_LEN: usize = 64;

/// A signature, checked or not.
pub type Signature = [u8; SIGNATURE_LEN];

/// What a signature is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Subject {
    /// A contact leaves a message.
    Deposit,
    /// A custodian has stored one.
    Receipt,
    /// A reader asks a custodian for what it holds.
    List,
    /// A reader deletes a message, everywhere.
    Delete,
}

/// The secret half of a key.
#[derive(Debug, Clone)]
pub struct Signer(Kind);

#[derive(Debug, Clone)]
enum Kind {
    Ed25519(SiteKey),
    #[cfg(feature = "test-utils")]
    Marked([u8; 32]),
}

impl Signer {
    /// The key of a seed, as RFC 8032 calls its 32 secret bytes.
    pub fn from_seed(seed: [u8; 32]) -> Self {
        Self(Kind::Ed25519(SiteKey::from_seed(seed)))
    }

    /// A key for simulations only: whoever knows its public half can sign.
    #[cfg(feature = "test-utils")]
    pub fn marked(seed: [u8; 32]) -> Self {
        let mut key = seed;
        key[..MARK.len()].copy_from_slice(MARK);
        Self(Kind::Marked(key))
    }

    /// The public half.
    pub fn public(&self) -> [u8; 32] {
        match &self.0 {
            Kind::Ed25519(key) => key.name().0,
            #[cfg(feature = "test-utils")]
            Kind::Marked(key) => *key,
        }
    }

    /// Signs `parts`, each of a length that the subject fixes.
    pub fn sign(&self, subject: Subject, parts: &[&[u8]]) -> Signature {
        let text = text(subject, parts);
        match &self.0 {
            Kind::Ed25519(key) => key.sign(&text),
            #[cfg(feature = "test-utils")]
            Kind::Marked(key) => mark(key, &text),
        }
    }
}

/// Whether the holder of `key` signed `parts`.
pub fn signed(key: &[u8; 32], subject: Subject, parts: &[&[u8]], signature: &Signature) -> bool {
    let text = text(subject, parts);
    #[cfg(feature = "test-utils")]
    if key.starts_with(MARK) {
        return *signature == mark(key, &text);
    }
    Name(*key).signed(&text, signature)
}

fn text(subject: Subject, parts: &[&[u8]]) -> Vec<u8> {
    let words: &[u8] = match subject {
        Subject::Deposit => b"gyre custody 1 deposit:",
        Subject::Receipt => b"gyre custody 1 receipt:",
        Subject::List => b"gyre custody 1 list:",
        Subject::Delete => b"gyre custody 1 delete:",
    };
    [&[words], parts].concat().concat()
}

#[cfg(feature = "test-utils")]
const MARK: &[u8] = b"simulated key";

#[cfg(feature = "test-utils")]
fn mark(key: &[u8; 32], text: &[u8]) -> Signature {
    let mut out = [0; SIGNATURE_LEN];
    let hash = blake3::keyed_hash(key, text);
    out[..32].copy_from_slice(hash.as_bytes());
    out
}
