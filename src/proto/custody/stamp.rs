//! What a stranger pays: work that is quick to check, over this message for this mailbox.
//!
//! A stamp is a number whose hash with the message begins with zeros (Back, "Hashcash", 2002). Its strength orders the
//! strangers' queue and lets in only what costs the sender as much as the reader asked. It does not stop whoever rents
//! hardware: a processor for graphics is about a thousand times faster than a page (docs/custody.md).

use super::MessageId;
use super::deposit::Expiry;
use super::tag::Tag;

/// The strength that is asked unless the reader says otherwise, in bits: 1.3 s in a page at 3.3 million hashes a second.
pub const DEFAULT_BITS: u8 = 22;

/// The search for a stamp, in steps, so that a worker can show progress and stop.
#[derive(Debug, Clone)]
pub struct Search {
    prefix: [u8; 32],
    bits: u8,
    next: u64,
}

impl Search {
    /// Nothing tried yet.
    pub fn new(tag: Tag, id: MessageId, expiry: Expiry, bits: u8) -> Self {
        Self::of_prefix(prefix(tag, id, expiry), bits)
    }

    /// The same for a [`prefix`] that was made elsewhere.
    pub fn of_prefix(prefix: [u8; 32], bits: u8) -> Self {
        Self {
            prefix,
            bits,
            next: 0,
        }
    }

    /// Tries so many more numbers; the first that is strong enough.
    pub fn step(&mut self, tries: u32) -> Option<u64> {
        let from = self.next;
        self.next += u64::from(tries);
        (from..self.next).find(|nonce| zeros(&self.prefix, *nonce) >= self.bits)
    }

    /// Numbers that were tried; 2 to the power of the bits are needed on average.
    pub fn tried(&self) -> u64 {
        self.next
    }
}

/// The strength in bits of a stamp. Two hashes, whatever it claims.
pub fn strength(tag: Tag, id: MessageId, expiry: Expiry, nonce: u64) -> u8 {
    zeros(&prefix(tag, id, expiry), nonce)
}

/// What is hashed before the number: all that a stamp holds for.
pub fn prefix(tag: Tag, id: MessageId, expiry: Expiry) -> [u8; 32] {
    let mut hasher = blake3::Hasher::new_derive_key(CONTEXT);
    hasher.update(&tag.0);
    hasher.update(&id.0);
    hasher.update(&expiry.0.to_be_bytes());
    *hasher.finalize().as_bytes()
}

fn zeros(prefix: &[u8; 32], nonce: u64) -> u8 {
    let mut block = [0; 40];
    block[..32].copy_from_slice(prefix);
    block[32..].copy_from_slice(&nonce.to_be_bytes());
    leading_zeros(blake3::hash(&block).as_bytes())
}

/// Zero bits at the start of a hash.
pub(super) fn leading_zeros(hash: &[u8; 32]) -> u8 {
    let mut count = 0;
    for byte in hash {
        count += byte.leading_zeros() as u8;
        if *byte != 0 || count >= 248 {
            break;
        }
    }
    count
}

const CONTEXT: &str = "gyre 2026-11-22 mailbox stamp";

#[cfg(all(test, not(target_arch = "wasm32")))]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn what_is_found_is_strong_enough_and_for_this_message_only() {
        let (tag, id, expiry) = (Tag([1; 32]), MessageId([2; 32]), Expiry(500_000));
        let mut search = Search::new(tag, id, expiry, 12);
        let nonce = std::iter::repeat_with(|| search.step(64))
            .flatten()
            .next()
            .unwrap();
        assert!(search.tried() > nonce && search.tried() <= nonce + 64);
        assert!(strength(tag, id, expiry, nonce) >= 12);
        let elsewhere = [
            strength(Tag([3; 32]), id, expiry, nonce),
            strength(tag, MessageId([3; 32]), expiry, nonce),
            strength(tag, id, Expiry(500_001), nonce),
        ];
        assert!(elsewhere.iter().all(|bits| *bits < 12), "{elsewhere:?}");
    }

    #[test]
    fn zeros_are_counted() {
        let mut hash = [0; 32];
        assert_eq!(leading_zeros(&hash), 248);
        hash[2] = 0x10;
        assert_eq!(leading_zeros(&hash), 19);
        hash[0] = 0x80;
        assert_eq!(leading_zeros(&hash), 0);
    }
}
