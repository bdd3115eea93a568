//! Keys of a person: one secret, from which the key of every site of theirs follows.
//!
//! [`SiteKey`] signs what a name leads to.

use ed25519_dalek::{Signature, Signer, SigningKey, VerifyingKey};

use super::name::Name;

/// The secret half of a name. Wiped when it is dropped.
#[derive(Clone)]
pub struct SiteKey(SigningKey);

impl SiteKey {
    /// The key of a seed, as RFC 8032 calls its 32 secret bytes.
    pub fn from_seed(seed: [u8; 32]) -> Self {
        Self(SigningKey::from_bytes(&seed))
    }

    /// The name that it signs for.
    pub fn name(&self) -> Name {
        Name(self.0.verifying_key().to_bytes())
    }

    /// Signs these bytes.
    pub fn sign(&self, message: &[u8]) -> [u8; 64] {
        self.0.sign(message).to_bytes()
    }
}

impl std::fmt::Debug for SiteKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("SiteKey").field(&self.name()).finish()
    }
}

impl Name {
    /// Whether the key of this name made this signature of these bytes. Strict: keys and signatures with more than one
    /// spelling are refused, as under some such keys anybody can sign.
    pub fn signed(&self, message: &[u8], signature: &[u8]) -> bool {
        let (Ok(key), Ok(signature)) = (
            VerifyingKey::from_bytes(&self.0),
            Signature::from_slice(signature),
        ) else {
            return false;
        };
        key.verify_strict(message, &signature).is_ok()
    }
}
