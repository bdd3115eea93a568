//! A root secret as 24 words (BIP-39 with its English list): eleven bits a word, and eight bits of SHA-256 at the end, so that a
//! wrong or a missing word is noticed.
//!
//! Only the encoding is BIP-39's; no seed is stretched from the words, as they are the secret themselves. The list is not part of
//! the code: a page loads it when words are shown or typed, and gives it here, where it is checked against its hash.

use sha2::{Digest, Sha256};
use zeroize::Zeroizing;

use super::{RootSecret, SECRET_LEN};

/// Words of a phrase.
pub const WORDS: usize = 24;

/// The English list, one word a line; for whoever can afford to carry it.
pub const ENGLISH: &str = include_str!("english.txt");

/// Words in the list.
const LIST: usize = 2048;

/// Bits of a word.
const BITS: usize = 11;

/// BLAKE3 of [`ENGLISH`]; its SHA-256 is that of the list as it was published with BIP-39, 2f5eed53….
const ENGLISH_HASH: &str = "43afe08c75f902534cfd2a694bef11db381f4804cd3ef76cd05a8ad0d7199122";

/// Longest phrase that is looked at, in bytes: 24 words of 8 letters, and room to be untidy.
const MAX_TEXT: usize = 1024;

/// A list of words that has been checked.
#[derive(Debug)]
pub struct Words<'a>(Vec<&'a str>);

/// Why words are no secret.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PhraseError {
    /// The list is not the one that the words are from.
    #[error("this is not the English list of words")]
    WrongList,
    /// More or fewer words than there should be.
    #[error("there are {0} words, not {WORDS}")]
    Count(usize),
    /// A word that is not in the list; the first is number 1.
    #[error("word {0} is not in the list")]
    Unknown(usize),
    /// All words are in the list, but they do not belong together.
    #[error("the words do not belong together: one is wrong, or two have changed places")]
    Checksum,
}

impl<'a> Words<'a> {
    /// Takes the list as text, one word a line.
    ///
    /// # Errors
    /// `WrongList` unless it is [`ENGLISH`].
    pub fn new(text: &'a str) -> Result<Self, PhraseError> {
        if blake3::hash(text.as_bytes()).to_hex().as_str() != ENGLISH_HASH {
            return Err(PhraseError::WrongList);
        }
        Ok(Self(text.lines().collect()))
    }

    /// The secret as words, with a space between them.
    pub fn of(&self, secret: &RootSecret) -> Zeroizing<String> {
        let mut bits = Zeroizing::new([0u8; SECRET_LEN + 1]);
        bits[..SECRET_LEN].copy_from_slice(secret.expose());
        bits[SECRET_LEN] = checksum(secret.expose());
        // Room for the longest words, so that no half-written copy is left behind when it grows.
        let mut text = Zeroizing::new(String::with_capacity(WORDS * 9));
        for word in 0..WORDS {
            let index = (word * BITS..(word + 1) * BITS).fold(0, |index, bit| {
                index << 1 | usize::from(bits[bit / 8] >> (7 - bit % 8) & 1)
            });
            if word > 0 {
                text.push(' ');
            }
            text.push_str(self.0[index % LIST]);
        }
        text
    }

    /// The secret that words say; capitals and the space between do not count.
    ///
    /// # Errors
    /// `Count`, `Unknown` or `Checksum`.
    pub fn read(&self, text: &str) -> Result<RootSecret, PhraseError> {
        let text = text.get(..text.len().min(MAX_TEXT)).unwrap_or_default();
        let count = text.split_whitespace().count();
        if count != WORDS {
            return Err(PhraseError::Count(count));
        }
        let mut bits = Zeroizing::new([0u8; SECRET_LEN + 1]);
        for (at, word) in text.split_whitespace().enumerate() {
            let word = Zeroizing::new(word.to_ascii_lowercase());
            let index = self
                .0
                .binary_search(&word.as_str())
                .map_err(|_| PhraseError::Unknown(at + 1))?;
            for bit in 0..BITS {
                let to = at * BITS + bit;
                bits[to / 8] |= ((index >> (BITS - 1 - bit) & 1) as u8) << (7 - to % 8);
            }
        }
        let mut secret = Zeroizing::new([0; SECRET_LEN]);
        secret.copy_from_slice(&bits[..SECRET_LEN]);
        if checksum(&secret) != bits[SECRET_LEN] {
            return Err(PhraseError::Checksum);
        }
        Ok(RootSecret::new(*secret))
    }
}

fn checksum(secret: &[u8; SECRET_LEN]) -> u8 {
    Sha256::digest(secret)[0]
}

#[cfg(all(test, not(target_arch = "wasm32")))]
mod tests {
    #![allow(clippy::unwrap_used)]
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_list_is_the_published_one() {
        let hash = Sha256::digest(ENGLISH.as_bytes());
        assert_eq!(hash[..4], [0x2f, 0x5e, 0xed, 0x53]);
        let words = Words::new(ENGLISH).unwrap();
        assert_eq!(words.0.len(), LIST);
        assert!(words.0.is_sorted());
        assert_eq!(Words::new("abandon").unwrap_err(), PhraseError::WrongList);
    }

    /// Of the test vectors published with BIP-39.
    #[test]
    fn known_phrases() {
        let words = Words::new(ENGLISH).unwrap();
        for (byte, first, last) in [
            (0, "abandon", "art"),
            (0x7f, "legal", "title"),
            (0x80, "letter", "bless"),
            (0xff, "zoo", "vote"),
        ] {
            let text = words.of(&RootSecret::new([byte; 32]));
            let said: Vec<_> = text.split(' ').collect();
            assert_eq!((said.len(), said[0], said[23]), (24, first, last));
        }
    }

    #[test]
    fn mistakes_are_named() {
        let words = Words::new(ENGLISH).unwrap();
        let text = words.of(&RootSecret::new([9; 32]));
        let mut said: Vec<_> = text.split(' ').collect();
        assert_eq!(
            words.read(&said[1..].join(" ")),
            Err(PhraseError::Count(23))
        );
        assert_eq!(words.read(""), Err(PhraseError::Count(0)));
        let long = "abandon ".repeat(10_000);
        assert!(matches!(words.read(&long), Err(PhraseError::Count(_))));
        let right = said[4];
        said[4] = "gyre";
        assert_eq!(words.read(&said.join(" ")), Err(PhraseError::Unknown(5)));
        said[4] = right;
        let untidy = said.join("\n  ").to_uppercase();
        assert_eq!(words.read(&untidy), Ok(RootSecret::new([9; 32])));
        let all_one = vec!["zoo"; 24].join(" ");
        assert_eq!(words.read(&all_one), Err(PhraseError::Checksum));
    }

    proptest! {
        #[test]
        fn comes_back(secret in any::<[u8; 32]>()) {
            let words = Words::new(ENGLISH).unwrap();
            let secret = RootSecret::new(secret);
            prop_assert_eq!(words.read(&words.of(&secret)), Ok(secret));
        }

        #[test]
        fn any_text_is_looked_at_without_panic(text in "(\\PC{0,3} ){0,30}", list in prop::collection::vec(0usize..LIST, 24)) {
            let words = Words::new(ENGLISH).unwrap();
            let _ = words.read(&text);
            let list: Vec<_> = list.into_iter().map(|at| words.0[at]).collect();
            // One in 256 is right by chance, and then says itself.
            if let Ok(secret) = words.read(&list.join(" ")) {
                let said = words.of(&secret);
                prop_assert_eq!(said.as_str(), list.join(" "));
            }
        }
    }
}
