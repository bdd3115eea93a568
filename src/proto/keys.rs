//! Keys of a person: one secret, from which the key of every site of theirs follows.
//!
//! [`RootSecret`] is 32 random bytes that a person can write down as 24 words ([`phrase`]). [`RootSecret::site_key`] derives the key
//! of a site by its number, so that whoever has the words has the sites; the keys of their identities, devices and mail follow in
//! the same way. At rest the secret is sealed ([`locked`]) under a
//! wrapping key that a passphrase gives ([`passphrase`]), or that somebody else supplies (a passkey), or under none. The
//! bytes and test vectors are in `docs/keys.md`.

pub mod locked;
pub mod passphrase;
pub mod phrase;

use ed25519_dalek::{Signature, Signer, SigningKey, VerifyingKey};
use zeroize::{Zeroize, ZeroizeOnDrop, Zeroizing};

use super::name::Name;

/// Bytes of a root secret.
pub const SECRET_LEN: usize = 32;

/// What BLAKE3's key derivation is told it is for (BLAKE3 specification, section 2.3): never used for anything else.
const SITE_CONTEXT: &str = "gyre 2026-11-22 site publishing key";

const IDENTITY_CONTEXT: &str = "gyre 2026-11-22 identity key";
const RECOVERY_CONTEXT: &str = "gyre 2026-11-22 identity recovery key";
const DEVICE_CONTEXT: &str = "gyre 2026-11-22 identity device key";
const MAIL_CONTEXT: &str = "gyre 2026-11-22 mail record key";
const MAIL_ACCOUNT_CONTEXT: &str = "gyre 2026-11-23 mail account";
const MAILBOX_CONTEXT: &str = "gyre 2026-11-22 mailbox secret";

/// The one secret of a person. Wiped when it is dropped.
#[derive(Clone, PartialEq, Eq, Zeroize, ZeroizeOnDrop)]
pub struct RootSecret([u8; SECRET_LEN]);

/// The secret half of a name, and of every other ed25519 key of a person. Wiped when it is dropped.
#[derive(Clone)]
pub struct SiteKey(SigningKey);

/// Why a secret cannot be had from what is there.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum KeyError {
    /// Not the bytes of a locked secret.
    #[error("this is no key file")]
    NotAKeyFile,
    /// Written by a newer version.
    #[error("this key file has version {0}, which this version of Gyre does not know")]
    Newer(u8),
    /// Its passphrase would take more memory or time than any we would choose.
    #[error("this key file asks for more work than is reasonable")]
    TooMuchWork,
    /// It is locked in another way.
    #[error("this key is not locked that way")]
    OtherLock,
    /// The passphrase or the wrapping key is not the one, or the bytes are damaged.
    #[error("this does not unlock the key")]
    WrongKey,
}

impl RootSecret {
    /// Takes 32 bytes from a cryptographic generator.
    pub fn new(bytes: [u8; SECRET_LEN]) -> Self {
        Self(bytes)
    }

    /// The bytes, for sealing and for words.
    pub fn expose(&self) -> &[u8; SECRET_LEN] {
        &self.0
    }

    /// The key of the site with this number: its seed is BLAKE3's key derivation, under a context of its own, of the secret and the
    /// number as four bytes, the lowest first.
    pub fn site_key(&self, number: u32) -> SiteKey {
        let mut material = Zeroizing::new([0; SECRET_LEN + 4]);
        material[..SECRET_LEN].copy_from_slice(&self.0);
        material[SECRET_LEN..].copy_from_slice(&number.to_le_bytes());
        let seed = Zeroizing::new(blake3::derive_key(SITE_CONTEXT, material.as_ref()));
        SiteKey::from_seed(*seed)
    }

    /// The signing key of identity number `identity` in this epoch: each rotation begins the next.
    pub fn identity_key(&self, identity: u32, epoch: u32) -> SiteKey {
        SiteKey::from_seed(*self.derived(IDENTITY_CONTEXT, identity, epoch))
    }

    /// The recovery key of an identity, after this many recoveries.
    pub fn recovery_key(&self, identity: u32, recoveries: u32) -> SiteKey {
        SiteKey::from_seed(*self.derived(RECOVERY_CONTEXT, identity, recoveries))
    }

    /// The key of a device of an identity, the devices being counted from 0 and no number used twice.
    pub fn device_key(&self, identity: u32, device: u32) -> SiteKey {
        SiteKey::from_seed(*self.derived(DEVICE_CONTEXT, identity, device))
    }

    /// The key that signs the mail record of an identity; `turn` counts how often it was changed.
    pub fn mail_key(&self, identity: u32, turn: u32) -> SiteKey {
        SiteKey::from_seed(*self.derived(MAIL_CONTEXT, identity, turn))
    }

    /// The secret that everything of an identity's mailbox follows from: its weekly keys and its tags.
    pub fn mailbox_secret(&self, identity: u32, turn: u32) -> Zeroizing<[u8; 32]> {
        self.derived(MAILBOX_CONTEXT, identity, turn)
    }

    /// The secret that the mail module of a page is given, from which everything of the person's mail follows.
    pub fn mail_secret(&self) -> Zeroizing<[u8; 32]> {
        Zeroizing::new(blake3::derive_key(MAIL_ACCOUNT_CONTEXT, &self.0))
    }

    fn derived(&self, context: &str, identity: u32, number: u32) -> Zeroizing<[u8; 32]> {
        let mut material = Zeroizing::new([0; SECRET_LEN + 8]);
        material[..SECRET_LEN].copy_from_slice(&self.0);
        material[SECRET_LEN..][..4].copy_from_slice(&identity.to_le_bytes());
        material[SECRET_LEN + 4..].copy_from_slice(&number.to_le_bytes());
        Zeroizing::new(blake3::derive_key(context, material.as_ref()))
    }
}

impl std::fmt::Debug for RootSecret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("RootSecret")
    }
}

impl SiteKey {
    /// The key of a seed, as RFC 8032 calls its 32 secret bytes.
    pub fn from_seed(seed: [u8; 32]) -> Self {
        Self(SigningKey::from_bytes(&Zeroizing::new(seed)))
    }

    /// The secret bytes, for a key file of one site.
    pub fn seed(&self) -> Zeroizing<[u8; 32]> {
        Zeroizing::new(self.0.to_bytes())
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

#[cfg(all(test, not(target_arch = "wasm32")))]
mod tests {
    use super::*;

    #[test]
    fn keys_of_sites_follow_from_the_secret() {
        let root = RootSecret::new([7; 32]);
        let names: Vec<_> = [0, 1, u32::MAX]
            .map(|number| root.site_key(number).name().to_string())
            .into();
        assert_eq!(names, VECTORS);
        assert_eq!(root.site_key(1).name(), root.clone().site_key(1).name());
        assert_ne!(
            RootSecret::new([8; 32]).site_key(0).name(),
            root.site_key(0).name()
        );
    }

    /// In `docs/keys.md`.
    const VECTORS: [&str; 3] = [
        "k51qzi5uqu5dlsm4k5jyxx7djjc35v2vgc50emgce8qu6l94qu3mu0rm1sgmof",
        "k51qzi5uqu5dijmf288jzxgmxy9l8nxgzgwli427az32fs3r799ur9narndlvp",
        "k51qzi5uqu5dk6q9fniv2mrh0zgavy89dzoy90tgxdat93lnyk2blps0zymess",
    ];

    #[test]
    fn a_weak_key_signs_nothing() {
        // The neutral element: under it a signature of one message holds for all.
        let mut weak = [0; 32];
        weak[0] = 1;
        let mut signature = [0; 64];
        signature[0] = 1;
        assert!(!Name(weak).signed(b"anything", &signature));
    }

    #[test]
    fn debug_shows_no_secret() {
        let root = RootSecret::new([0xab; 32]);
        assert!(!format!("{root:?} {:?}", root.site_key(0)).contains("171"));
    }
}
