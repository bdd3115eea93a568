//! What a machine keeps of its mail: sealed values under names that say nothing, and the randomness that letters are sealed with.
//!
//! The key follows from the mail secret, so the store is worth nothing without it. A name is a letter for the kind and a keyed hash, and is
//! authenticated with the value, so that no value passes for another.

use chacha20poly1305::aead::{Aead, KeyInit, Payload};
use chacha20poly1305::{XChaCha20Poly1305, XNonce};
use zeroize::Zeroizing;

/// Seals what is stored.
pub(super) struct Vault {
    key: Zeroizing<[u8; 32]>,
    names: Zeroizing<[u8; 32]>,
}

/// Random bytes from a seed: each draw turns the state, so that nobody learns earlier ones from it.
pub(super) struct Draw(Zeroizing<[u8; 32]>);

impl Vault {
    pub(super) fn new(secret: &[u8; 32]) -> Self {
        Self {
            key: Zeroizing::new(blake3::derive_key(KEY_CONTEXT, secret)),
            names: Zeroizing::new(blake3::derive_key(NAME_CONTEXT, secret)),
        }
    }

    /// The name of a value of this kind, about `subject`.
    pub(super) fn name(&self, kind: char, subject: &[&[u8]]) -> String {
        format!("{kind}/{}", hex(&self.id(kind, &subject.concat())))
    }

    /// An id that follows from a text of somebody's choice, for those only who have the secret.
    pub(super) fn id(&self, kind: char, text: &[u8]) -> [u8; 16] {
        let mut id = [0; 16];
        let mut hasher = blake3::Hasher::new_keyed(&self.names);
        hasher.update(&[kind as u8]).update(text);
        id.copy_from_slice(&hasher.finalize().as_bytes()[..16]);
        id
    }

    pub(super) fn seal(&self, name: &str, plain: &[u8], draw: &mut Draw) -> Vec<u8> {
        let nonce: [u8; NONCE_LEN] = draw.bytes();
        let payload = Payload {
            msg: plain,
            aad: name.as_bytes(),
        };
        let sealed = self
            .cipher()
            .encrypt(&XNonce::from(nonce), payload)
            .expect("a value is short");
        [&[VERSION][..], &nonce, &sealed].concat()
    }

    /// `None` for what was sealed by another secret or under another name, or is damaged.
    pub(super) fn open(&self, name: &str, sealed: &[u8]) -> Option<Zeroizing<Vec<u8>>> {
        let rest = sealed.strip_prefix(&[VERSION])?;
        let (nonce, rest) = rest.split_first_chunk::<NONCE_LEN>()?;
        let payload = Payload {
            msg: rest,
            aad: name.as_bytes(),
        };
        let plain = self.cipher().decrypt(&XNonce::from(*nonce), payload);
        plain.ok().map(Zeroizing::new)
    }

    fn cipher(&self) -> XChaCha20Poly1305 {
        XChaCha20Poly1305::new(self.key.as_slice().into())
    }
}

impl Draw {
    pub(super) fn new(seed: &[u8; 32]) -> Self {
        Self(Zeroizing::new(blake3::derive_key(DRAW_CONTEXT, seed)))
    }

    /// Adds what nobody else knows.
    pub(super) fn mix(&mut self, bytes: &[u8]) {
        *self.0 = *blake3::keyed_hash(&self.0, bytes).as_bytes();
    }

    pub(super) fn bytes<const N: usize>(&mut self) -> [u8; N] {
        let mut reader = blake3::Hasher::new_keyed(&self.0).finalize_xof();
        let mut out = [0; N];
        reader.fill(self.0.as_mut());
        reader.fill(&mut out);
        out
    }
}

/// Digits of bytes, two for each.
pub fn hex(bytes: &[u8]) -> String {
    let digit = |half: u8| char::from(b"0123456789abcdef"[usize::from(half)]);
    let digits = bytes.iter().flat_map(|byte| [byte >> 4, byte & 15]);
    digits.map(digit).collect()
}

const VERSION: u8 = 1;

/// Bytes of a nonce of XChaCha20-Poly1305: drawn at random, they do not repeat.
const NONCE_LEN: usize = 24;

/// What BLAKE3's key derivation is told it is for (BLAKE3 specification, section 2.3).
const KEY_CONTEXT: &str = "gyre 2026-11-23 mail state key";
const NAME_CONTEXT: &str = "gyre 2026-11-23 mail state names";
const DRAW_CONTEXT: &str = "gyre 2026-11-23 mail randomness";

#[cfg(all(test, not(target_arch = "wasm32")))]
mod tests {
    use super::*;

    #[test]
    fn a_value_opens_under_its_name_and_secret_only() {
        let vault = Vault::new(&[1; 32]);
        let mut draw = Draw::new(&[2; 32]);
        let name = vault.name('c', &[b"subject"]);
        let sealed = vault.seal(&name, b"value", &mut draw);
        assert_eq!(
            vault.open(&name, &sealed).as_deref(),
            Some(&b"value".to_vec())
        );
        assert_ne!(sealed, vault.seal(&name, b"value", &mut draw));
        let other = vault.name('o', &[b"subject"]);
        assert!(vault.open(&other, &sealed).is_none());
        assert!(Vault::new(&[2; 32]).open(&name, &sealed).is_none());
        for at in 0..sealed.len() {
            let mut damaged = sealed.clone();
            damaged[at] ^= 1;
            assert!(vault.open(&name, &damaged).is_none(), "byte {at}");
        }
        assert!(vault.open(&name, &sealed[..10]).is_none());
    }

    #[test]
    fn draws_differ_and_follow_from_the_seed() {
        let (mut a, mut b) = (Draw::new(&[1; 32]), Draw::new(&[1; 32]));
        let first: [u8; 64] = a.bytes();
        assert_eq!(first, b.bytes::<64>());
        assert_ne!(first, a.bytes::<64>());
        b.mix(b"more");
        assert_ne!(a.bytes::<32>(), b.bytes::<32>());
    }
}
