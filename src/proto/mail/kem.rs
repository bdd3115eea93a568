//! Sealing bytes to a public key: HPKE in base mode, the one file that knows the crate.
//!
//! Every letter has its own encapsulation, so the key seals one plaintext and the nonce never repeats. Randomness comes from the
//! caller, for this one letter.

use std::convert::Infallible;
use std::fmt;

use hpke::aead::ChaCha20Poly1305;
use hpke::kdf::HkdfSha256;
use hpke::kem::XWing;
use hpke::rand_core::{TryCryptoRng, TryRng};
use hpke::{Deserializable, Kem, OpModeR, OpModeS, Serializable};
use zeroize::{Zeroize, ZeroizeOnDrop};

use super::MailError;

/// Bytes of a public key (draft-connolly-cfrg-xwing-kem-10, section 5.4).
pub const PUBLIC_LEN: usize = 1216;

/// Bytes of an encapsulated key.
pub const ENCAPSULATED_LEN: usize = 1120;

/// Bytes that sealing adds beside the encapsulated key: the Poly1305 tag.
pub const TAG_LEN: usize = 16;

/// A public key, to which anybody can seal.
#[derive(Clone, PartialEq, Eq)]
pub struct PublicKey(<XWing as Kem>::PublicKey);

/// The secret half. Wiped when it is dropped.
#[derive(Clone, Zeroize, ZeroizeOnDrop)]
pub struct SecretKey([u8; 32]);

/// Randomness for one letter. It cannot be used twice.
#[derive(Zeroize, ZeroizeOnDrop)]
pub struct Entropy {
    bytes: [u8; ENTROPY_LEN],
    used: usize,
}

/// Bytes of [`Entropy`]: what X-Wing draws for one encapsulation.
pub const ENTROPY_LEN: usize = 64;

impl PublicKey {
    /// Reads one.
    ///
    /// # Errors
    /// `Malformed`.
    pub fn parse(bytes: &[u8]) -> Result<Self, MailError> {
        <XWing as Kem>::PublicKey::from_bytes(bytes)
            .map(Self)
            .map_err(|_| MailError::Malformed)
    }

    /// Its [`PUBLIC_LEN`] bytes.
    pub fn to_bytes(&self) -> Vec<u8> {
        self.0.to_bytes().to_vec()
    }

    /// Seals `plain`; `info` and `aad` must be the same to open it. Gives the encapsulated key and the ciphertext.
    pub(super) fn seal(
        &self,
        info: &[u8],
        aad: &[u8],
        plain: &[u8],
        mut entropy: Entropy,
    ) -> (Vec<u8>, Vec<u8>) {
        let (encapsulated, sealed) = hpke::single_shot_seal_with_rng::<
            ChaCha20Poly1305,
            HkdfSha256,
            XWing,
        >(
            &OpModeS::Base, &self.0, info, plain, aad, &mut entropy
        )
        .expect("X-Wing encapsulates to every key that was read, and a letter is short");
        (encapsulated.to_bytes().to_vec(), sealed)
    }
}

impl fmt::Debug for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PublicKey({})", blake3::hash(&self.to_bytes()).to_hex())
    }
}

impl SecretKey {
    /// Takes 32 secret bytes.
    pub fn new(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// What others seal to.
    pub fn public(&self) -> PublicKey {
        PublicKey(XWing::sk_to_pk(&self.key()))
    }

    /// Opens what was sealed to it.
    ///
    /// # Errors
    /// `DoesNotOpen`.
    pub(super) fn open(
        &self,
        info: &[u8],
        aad: &[u8],
        encapsulated: &[u8],
        sealed: &[u8],
    ) -> Result<Vec<u8>, MailError> {
        let encapsulated = <XWing as Kem>::EncappedKey::from_bytes(encapsulated)
            .map_err(|_| MailError::DoesNotOpen)?;
        hpke::single_shot_open::<ChaCha20Poly1305, HkdfSha256, XWing>(
            &OpModeR::Base,
            &self.key(),
            &encapsulated,
            info,
            sealed,
            aad,
        )
        .map_err(|_| MailError::DoesNotOpen)
    }

    fn key(&self) -> <XWing as Kem>::PrivateKey {
        <XWing as Kem>::PrivateKey::from_bytes(&self.0).expect("any 32 bytes are a secret key")
    }
}

impl fmt::Debug for SecretKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SecretKey")
    }
}

impl Entropy {
    /// Takes 64 bytes, fresh from a cryptographic generator.
    pub fn new(bytes: [u8; ENTROPY_LEN]) -> Self {
        Self { bytes, used: 0 }
    }
}

impl fmt::Debug for Entropy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Entropy")
    }
}

impl TryRng for Entropy {
    type Error = Infallible;

    fn try_next_u32(&mut self) -> Result<u32, Infallible> {
        let mut bytes = [0; 4];
        self.try_fill_bytes(&mut bytes)?;
        Ok(u32::from_le_bytes(bytes))
    }

    fn try_next_u64(&mut self) -> Result<u64, Infallible> {
        let mut bytes = [0; 8];
        self.try_fill_bytes(&mut bytes)?;
        Ok(u64::from_le_bytes(bytes))
    }

    fn try_fill_bytes(&mut self, out: &mut [u8]) -> Result<(), Infallible> {
        let rest = self.bytes.get(self.used..self.used + out.len());
        out.copy_from_slice(rest.expect("X-Wing draws 64 bytes for one encapsulation"));
        self.used += out.len();
        Ok(())
    }
}

impl TryCryptoRng for Entropy {}
