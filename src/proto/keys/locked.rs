//! A root secret at rest: 110 bytes that say how it is locked, and the sealed secret.
//!
//! The same bytes are a slot in the store and an exported key file. Everything that stands before the sealed secret is
//! authenticated with it. What is locked in no way is sealed under a key that everybody knows: then the seal only
//! notices damage. `docs/keys.md` has the table.

use chacha20poly1305::aead::{Aead, KeyInit, Payload};
use chacha20poly1305::{XChaCha20Poly1305, XNonce};
use zeroize::{Zeroize, ZeroizeOnDrop, Zeroizing};

use super::passphrase::{SALT_LEN, Work};
use super::{KeyError, RootSecret, SECRET_LEN};

/// Bytes of a locked secret.
pub const LOCKED_LEN: usize = HEADER + SECRET_LEN + 16;

/// Bytes of a nonce.
pub const NONCE_LEN: usize = 24;

const MAGIC: &[u8; 8] = b"gyre-key";
const VERSION: u8 = 1;
const HEADER: usize = 8 + 1 + 1 + 3 * 4 + SALT_LEN + NONCE_LEN;

/// What a secret is sealed under that is locked in no way: known to everybody.
const OPEN_CONTEXT: &str = "gyre 2026-11-22 key without a lock";

/// What seals a secret. Wiped when it is dropped.
#[derive(Clone, PartialEq, Eq, Zeroize, ZeroizeOnDrop)]
pub struct WrappingKey([u8; 32]);

impl WrappingKey {
    /// Takes 32 secret bytes: of argon2id, or of a passkey's PRF.
    pub fn new(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    fn open() -> Self {
        Self(blake3::derive_key(OPEN_CONTEXT, &[]))
    }
}

impl std::fmt::Debug for WrappingKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("WrappingKey")
    }
}

/// How a secret is locked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Lock {
    /// In no way.
    Open,
    /// By a passphrase, from which argon2id makes the wrapping key.
    Passphrase {
        /// What stands beside the passphrase.
        salt: [u8; SALT_LEN],
        /// How hard it is.
        work: Work,
    },
    /// By a wrapping key from elsewhere, such as a passkey.
    External {
        /// What whoever gives the key is asked with.
        salt: [u8; SALT_LEN],
    },
}

/// A sealed secret.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Locked {
    lock: Lock,
    nonce: [u8; NONCE_LEN],
    sealed: Vec<u8>,
}

impl Locked {
    /// Seals a secret; `key` is not looked at for [`Lock::Open`]. `nonce` is fresh from a cryptographic generator.
    pub fn seal(
        secret: &RootSecret,
        lock: Lock,
        key: Option<&WrappingKey>,
        nonce: [u8; NONCE_LEN],
    ) -> Result<Self, KeyError> {
        let key = wrapping(lock, key)?;
        let payload = Payload {
            msg: secret.expose(),
            aad: &header(lock, &nonce),
        };
        let sealed = cipher(&key)
            .encrypt(XNonce::from_slice(&nonce), payload)
            .map_err(|_| KeyError::WrongKey)?;
        Ok(Self {
            lock,
            nonce,
            sealed,
        })
    }

    /// How it is locked.
    pub fn lock(&self) -> Lock {
        self.lock
    }

    /// Takes the secret out.
    ///
    /// # Errors
    /// `OtherLock` without a key where one is needed, `WrongKey`.
    pub fn unlock(&self, key: Option<&WrappingKey>) -> Result<RootSecret, KeyError> {
        let key = wrapping(self.lock, key)?;
        let payload = Payload {
            msg: &self.sealed,
            aad: &header(self.lock, &self.nonce),
        };
        let opened = cipher(&key)
            .decrypt(XNonce::from_slice(&self.nonce), payload)
            .map(Zeroizing::new)
            .map_err(|_| KeyError::WrongKey)?;
        let secret = Zeroizing::new(
            <[u8; SECRET_LEN]>::try_from(opened.as_slice()).map_err(|_| KeyError::NotAKeyFile)?,
        );
        Ok(RootSecret::new(*secret))
    }

    /// As it is stored and exported.
    pub fn encode(&self) -> Vec<u8> {
        [&header(self.lock, &self.nonce)[..], &self.sealed].concat()
    }

    /// Reads it.
    ///
    /// # Errors
    /// `NotAKeyFile`, `Newer`, or `TooMuchWork`.
    pub fn decode(bytes: &[u8]) -> Result<Self, KeyError> {
        let rest = bytes.strip_prefix(MAGIC).ok_or(KeyError::NotAKeyFile)?;
        match rest.first() {
            Some(&VERSION) => {}
            Some(0) | None => return Err(KeyError::NotAKeyFile),
            Some(&newer) => return Err(KeyError::Newer(newer)),
        }
        if bytes.len() != LOCKED_LEN {
            return Err(KeyError::NotAKeyFile);
        }
        let (kind, rest) = (rest[1], &rest[2..]);
        let number = |at: usize| {
            let bytes = [rest[at], rest[at + 1], rest[at + 2], rest[at + 3]];
            u32::from_be_bytes(bytes)
        };
        let work = Work {
            memory: number(0),
            passes: number(4),
            lanes: number(8),
        };
        let (salt, rest) = rest[12..]
            .split_first_chunk::<SALT_LEN>()
            .ok_or(KeyError::NotAKeyFile)?;
        let (nonce, sealed) = rest
            .split_first_chunk::<NONCE_LEN>()
            .ok_or(KeyError::NotAKeyFile)?;
        let salt = *salt;
        let lock = match kind {
            OPEN => Lock::Open,
            PASSPHRASE if !work.is_reasonable() => return Err(KeyError::TooMuchWork),
            PASSPHRASE => Lock::Passphrase { salt, work },
            EXTERNAL => Lock::External { salt },
            _ => return Err(KeyError::NotAKeyFile),
        };
        let locked = Self {
            lock,
            nonce: *nonce,
            sealed: sealed.to_vec(),
        };
        // Fields that a lock does not use are zero: one secret, one spelling.
        match locked.encode() == bytes {
            true => Ok(locked),
            false => Err(KeyError::NotAKeyFile),
        }
    }
}

fn wrapping(lock: Lock, key: Option<&WrappingKey>) -> Result<WrappingKey, KeyError> {
    match lock {
        Lock::Open => Ok(WrappingKey::open()),
        _ => key.cloned().ok_or(KeyError::OtherLock),
    }
}

fn cipher(key: &WrappingKey) -> XChaCha20Poly1305 {
    XChaCha20Poly1305::new(&key.0.into())
}

fn header(lock: Lock, nonce: &[u8; NONCE_LEN]) -> [u8; HEADER] {
    let nothing = Work {
        memory: 0,
        passes: 0,
        lanes: 0,
    };
    let (kind, work, salt) = match lock {
        Lock::Open => (OPEN, nothing, [0; SALT_LEN]),
        Lock::Passphrase { salt, work } => (PASSPHRASE, work, salt),
        Lock::External { salt } => (EXTERNAL, nothing, salt),
    };
    let mut out = [0; HEADER];
    let mut rest = &mut out[..];
    for part in [
        &MAGIC[..],
        &[VERSION, kind],
        &work.memory.to_be_bytes(),
        &work.passes.to_be_bytes(),
        &work.lanes.to_be_bytes(),
        &salt,
        nonce,
    ] {
        let (here, after) = rest.split_at_mut(part.len());
        here.copy_from_slice(part);
        rest = after;
    }
    out
}

const OPEN: u8 = 0;
const PASSPHRASE: u8 = 1;
const EXTERNAL: u8 = 2;

#[cfg(all(test, not(target_arch = "wasm32")))]
mod tests {
    #![allow(clippy::unwrap_used)]
    use proptest::prelude::*;

    use super::*;

    fn locks() -> [(Lock, Option<WrappingKey>); 3] {
        let salt = [3; SALT_LEN];
        let work = Work::RECOMMENDED;
        let key = Some(WrappingKey::new([5; 32]));
        [
            (Lock::Open, None),
            (Lock::Passphrase { salt, work }, key.clone()),
            (Lock::External { salt }, key),
        ]
    }

    #[test]
    fn only_its_key_unlocks_it() {
        let secret = RootSecret::new([7; 32]);
        for (lock, key) in locks() {
            let locked = Locked::seal(&secret, lock, key.as_ref(), [9; NONCE_LEN]).unwrap();
            let read = Locked::decode(&locked.encode()).unwrap();
            assert_eq!(read, locked);
            assert_eq!(read.lock(), lock);
            assert_eq!(read.unlock(key.as_ref()), Ok(secret.clone()));
            if key.is_some() {
                let other = WrappingKey::new([6; 32]);
                assert_eq!(read.unlock(Some(&other)), Err(KeyError::WrongKey));
                assert_eq!(read.unlock(None), Err(KeyError::OtherLock));
            }
        }
    }

    #[test]
    fn the_bytes_are_as_documented() {
        let (lock, key) = locks()[1].clone();
        let secret = RootSecret::new([7; 32]);
        let bytes = Locked::seal(&secret, lock, key.as_ref(), [9; NONCE_LEN])
            .unwrap()
            .encode();
        assert_eq!(bytes.len(), 110);
        assert_eq!(bytes[..10], *b"gyre-key\x01\x01");
        assert_eq!(bytes[10..22], [0, 1, 0, 0, 0, 0, 0, 3, 0, 0, 0, 4]);
        assert_eq!(bytes[22..38], [3; 16]);
        assert_eq!(bytes[38..62], [9; 24]);
        let hash = blake3::hash(&bytes).to_hex();
        assert_eq!(hash[..16], *GOLDEN);
    }

    /// The first half of the BLAKE3 of the file above.
    const GOLDEN: &str = "d4e8579b2e74f856";

    #[test]
    fn newer_versions_and_hard_work_are_refused() {
        let (lock, key) = locks()[1].clone();
        let secret = RootSecret::new([7; 32]);
        let bytes = Locked::seal(&secret, lock, key.as_ref(), [9; NONCE_LEN])
            .unwrap()
            .encode();
        let mut newer = bytes.clone();
        newer[8] = 2;
        assert_eq!(Locked::decode(&newer), Err(KeyError::Newer(2)));
        let mut hard = bytes.clone();
        hard[10] = 1;
        assert_eq!(Locked::decode(&hard), Err(KeyError::TooMuchWork));
        let mut other = bytes;
        other[9] = 7;
        assert_eq!(Locked::decode(&other), Err(KeyError::NotAKeyFile));
    }

    proptest! {
        #[test]
        fn a_changed_bit_unlocks_nothing(which in 0usize..3, at in any::<prop::sample::Index>(), bit in 0u8..8) {
            let (lock, key) = locks()[which].clone();
            let secret = RootSecret::new([7; 32]);
            let mut bytes = Locked::seal(&secret, lock, key.as_ref(), [9; NONCE_LEN]).unwrap().encode();
            let at = at.index(bytes.len());
            bytes[at] ^= 1 << bit;
            if let Ok(locked) = Locked::decode(&bytes) {
                prop_assert!(locked.unlock(key.as_ref()).is_err());
            }
        }

        #[test]
        fn any_bytes_are_looked_at_without_panic(bytes in prop::collection::vec(any::<u8>(), 0..130), magic in any::<bool>()) {
            let bytes = if magic { [&b"gyre-key\x01"[..], &bytes].concat() } else { bytes };
            if let Ok(locked) = Locked::decode(&bytes) {
                prop_assert_eq!(locked.encode(), bytes);
            }
        }
    }
}
