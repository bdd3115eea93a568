//! A wrapping key from a passphrase, by argon2id (RFC 9106).
//!
//! It takes tens of megabytes and a good part of a second on purpose. A page does the same in a worker of its own and hands over
//! the key; this is for whoever runs natively, and says what the figures are.

use argon2::{Algorithm, Argon2, Params, Version};
use zeroize::Zeroizing;

use super::KeyError;
use super::locked::WrappingKey;

/// Bytes of a salt (RFC 9106, section 4: 128 bits).
pub const SALT_LEN: usize = 16;

/// What argon2id is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Work {
    /// Memory in KiB.
    pub memory: u32,
    /// Passes over it.
    pub passes: u32,
    /// Lanes.
    pub lanes: u32,
}

impl Work {
    /// The second recommended option of RFC 9106, section 4, for where 2 GiB are too much: 64 MiB, three passes, four lanes.
    pub const RECOMMENDED: Self = Self {
        memory: 64 * 1024,
        passes: 3,
        lanes: 4,
    };

    /// The most that a file may ask for. Ours: four times the memory that we ask for, so that a file from a stranger cannot take a
    /// tab down.
    pub const MOST: Self = Self {
        memory: 256 * 1024,
        passes: 16,
        lanes: 16,
    };

    /// Whether it is something that argon2 can do and no more than [`MOST`](Self::MOST).
    pub fn is_reasonable(&self) -> bool {
        (1..=Self::MOST.lanes).contains(&self.lanes)
            && (1..=Self::MOST.passes).contains(&self.passes)
            && (8 * self.lanes..=Self::MOST.memory).contains(&self.memory)
    }
}

/// The wrapping key of a passphrase.
///
/// # Errors
/// `TooMuchWork` unless the work is reasonable.
pub fn wrapping_key(
    passphrase: &str,
    salt: &[u8; SALT_LEN],
    work: Work,
) -> Result<WrappingKey, KeyError> {
    if !work.is_reasonable() {
        return Err(KeyError::TooMuchWork);
    }
    let params = Params::new(work.memory, work.passes, work.lanes, Some(32))
        .map_err(|_| KeyError::TooMuchWork)?;
    let mut key = Zeroizing::new([0; 32]);
    Argon2::new(Algorithm::Argon2id, Version::V0x13, params)
        .hash_password_into(passphrase.as_bytes(), salt, key.as_mut())
        .map_err(|_| KeyError::TooMuchWork)?;
    Ok(WrappingKey::new(*key))
}

#[cfg(all(test, not(target_arch = "wasm32")))]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    /// So little that an unoptimised build does it at once.
    const LIGHT: Work = Work {
        memory: 64,
        passes: 1,
        lanes: 1,
    };

    #[test]
    fn passphrase_salt_and_work_all_count() {
        let key = wrapping_key("a passphrase", &[1; 16], LIGHT).unwrap();
        assert!(key == wrapping_key("a passphrase", &[1; 16], LIGHT).unwrap());
        let more = Work { passes: 2, ..LIGHT };
        for other in [
            wrapping_key("A passphrase", &[1; 16], LIGHT),
            wrapping_key("a passphrase", &[2; 16], LIGHT),
            wrapping_key("a passphrase", &[1; 16], more),
        ] {
            assert!(key != other.unwrap());
        }
    }

    /// `www/test/keys.test.ts` holds the same vector against what pages use.
    #[test]
    fn it_is_the_argon2id_of_others() {
        let work = Work {
            memory: 64,
            passes: 3,
            lanes: 4,
        };
        let hex = b"cf6de170aee24016fa3f6354e3c904de5de5e00e749b0b87719e0456f343783a";
        let key = data_encoding::HEXLOWER.decode(hex).unwrap();
        let key = WrappingKey::new(key.try_into().unwrap());
        assert!(wrapping_key("a passphräse", &[1; 16], work).unwrap() == key);
    }

    #[test]
    fn work_is_bounded() {
        assert!(Work::RECOMMENDED.is_reasonable() && Work::MOST.is_reasonable());
        for work in [
            Work {
                memory: Work::MOST.memory + 1,
                ..LIGHT
            },
            Work { passes: 0, ..LIGHT },
            Work {
                passes: 17,
                ..LIGHT
            },
            Work { lanes: 17, ..LIGHT },
            Work { lanes: 9, ..LIGHT },
            Work { lanes: 0, ..LIGHT },
        ] {
            let refused = wrapping_key("a", &[0; 16], work).err();
            assert_eq!(refused, Some(KeyError::TooMuchWork));
        }
    }
}
