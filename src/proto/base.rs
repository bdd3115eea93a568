//! Bytes as text: the few bases that links, names, identities and denylists are written in.
//!
//! Bases of 2ⁿ symbols are read bit by bit (RFC 4648 without padding); the bits that fill the last symbol must be zero, so bytes
//! have one spelling. Those of 36 and 58 symbols are one long number, each leading zero byte a leading first symbol (the
//! `base58` of Bitcoin and `base36` of multibase). Crates for this carry two dozen bases more, which a page would load for nothing.

use cid::Cid;

/// How bytes are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Base {
    /// Two digits a byte; written small, read in any case.
    Hex,
    /// RFC 4648, in small letters, read in any case: multibase `b`.
    Base32,
    /// z-base-32 (Zooko O'Whielacronx, *human-oriented base-32 encoding*, 2002): what is easily misread comes late.
    ZBase32,
    /// Digits and small letters, read in any case: multibase `k`.
    Base36,
    /// Bitcoin's, without what looks alike: multibase `z`.
    Base58,
    /// RFC 4648: multibase `m`.
    Base64,
    /// RFC 4648, section 5: multibase `u`.
    Base64Url,
}

/// Longest text or bytes of a base that is one long number: its time grows with the square.
pub const MAX_LONG_NUMBER: usize = 256;

impl Base {
    /// The bytes as text.
    ///
    /// Of bases that are one long number at most [`MAX_LONG_NUMBER`] bytes are written.
    pub fn encode(self, bytes: &[u8]) -> String {
        let symbols = self.symbols();
        let mut text = String::with_capacity(bytes.len() * 2);
        match self.bits() {
            Some(bits) => {
                let (mut held, mut count) = (0u32, 0);
                for byte in bytes {
                    held = held << 8 | u32::from(*byte);
                    count += 8;
                    while count >= bits {
                        count -= bits;
                        text.push(symbol(symbols, held >> count & ((1 << bits) - 1)));
                    }
                    held &= (1 << count) - 1;
                }
                if count > 0 {
                    text.push(symbol(symbols, held << (bits - count)));
                }
            }
            None => {
                let bytes = &bytes[..bytes.len().min(MAX_LONG_NUMBER)];
                let digits = convert(bytes.iter().copied(), 256, symbols.len() as u32);
                text.extend(
                    digits
                        .iter()
                        .map(|digit| symbol(symbols, u32::from(*digit))),
                );
            }
        }
        text
    }

    /// The bytes that the text stands for; `None` for what [`Self::encode`] does not write, capital letters apart where they
    /// are read.
    pub fn decode(self, text: &str) -> Option<Vec<u8>> {
        let Some(bits) = self.bits() else {
            if text.len() > MAX_LONG_NUMBER {
                return None;
            }
            let digits: Option<Vec<u8>> = text.bytes().map(|byte| self.value(byte)).collect();
            return Some(convert(
                digits?.into_iter(),
                self.symbols().len() as u32,
                256,
            ));
        };
        let mut bytes = Vec::with_capacity(text.len() * bits as usize / 8);
        let (mut held, mut count) = (0u32, 0);
        for byte in text.bytes() {
            held = held << bits | u32::from(self.value(byte)?);
            count += bits;
            if count >= 8 {
                count -= 8;
                bytes.push((held >> count) as u8);
                held &= (1 << count) - 1;
            }
        }
        // A whole symbol too many, or bits that say something where there is no byte.
        (count < bits && held == 0).then_some(bytes)
    }

    fn symbols(self) -> &'static [u8] {
        match self {
            Self::Hex => b"0123456789abcdef",
            Self::Base32 => b"abcdefghijklmnopqrstuvwxyz234567",
            Self::ZBase32 => b"ybndrfg8ejkmcpqxot1uwisza345h769",
            Self::Base36 => b"0123456789abcdefghijklmnopqrstuvwxyz",
            Self::Base58 => b"123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz",
            Self::Base64 => b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/",
            Self::Base64Url => b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_",
        }
    }

    /// Bits of a symbol, where they are whole.
    fn bits(self) -> Option<u32> {
        match self {
            Self::Hex => Some(4),
            Self::Base32 | Self::ZBase32 => Some(5),
            Self::Base64 | Self::Base64Url => Some(6),
            Self::Base36 | Self::Base58 => None,
        }
    }

    fn value(self, byte: u8) -> Option<u8> {
        let any_case = matches!(self, Self::Hex | Self::Base32 | Self::Base36);
        let byte = if any_case {
            byte.to_ascii_lowercase()
        } else {
            byte
        };
        let place = self.symbols().iter().position(|symbol| *symbol == byte)?;
        Some(place as u8)
    }
}

/// The CID as it is usually written: version 1 in base32, version 0 in base58.
pub fn cid_text(cid: &Cid) -> String {
    match cid.version() {
        cid::Version::V0 => Base::Base58.encode(&cid.to_bytes()),
        cid::Version::V1 => format!("b{}", Base::Base32.encode(&cid.to_bytes())),
    }
}

/// Reads a CID of any version in base16, 32, 36, 58 or 64, which are the multibases that CIDs are written in.
pub fn cid_from_text(text: &str) -> Option<Cid> {
    let bytes = if text.len() == 46 && text.starts_with("Qm") {
        Base::Base58.decode(text)?
    } else {
        let base = match text.chars().next()? {
            'f' | 'F' => Base::Hex,
            'b' | 'B' => Base::Base32,
            'h' => Base::ZBase32,
            'k' | 'K' => Base::Base36,
            'z' => Base::Base58,
            'm' => Base::Base64,
            'u' => Base::Base64Url,
            _ => return None,
        };
        base.decode(&text[1..])?
    };
    Cid::try_from(bytes.as_slice()).ok()
}

fn symbol(symbols: &[u8], value: u32) -> char {
    char::from(symbols[value as usize])
}

/// A long number, most significant digit first, from one base to another; leading zeros stay as many.
fn convert(digits: impl Iterator<Item = u8>, from: u32, to: u32) -> Vec<u8> {
    // Least significant first.
    let mut number: Vec<u8> = Vec::new();
    let mut zeros = 0;
    for digit in digits {
        if digit == 0 && number.is_empty() {
            zeros += 1;
            continue;
        }
        let mut carry = u32::from(digit);
        for place in &mut number {
            carry += u32::from(*place) * from;
            *place = (carry % to) as u8;
            carry /= to;
        }
        while carry > 0 {
            number.push((carry % to) as u8);
            carry /= to;
        }
    }
    number.resize(number.len() + zeros, 0);
    number.reverse();
    number
}

#[cfg(all(test, not(target_arch = "wasm32")))]
mod tests {
    #![allow(clippy::unwrap_used)]
    use cid::multibase;
    use data_encoding::{Encoding, Specification};
    use multihash::Multihash;
    use proptest::prelude::*;

    use super::*;

    /// Each base, and multibase's, whose letter is cut off.
    const PEERS: [(Base, multibase::Base); 7] = [
        (Base::Hex, multibase::Base::Base16Lower),
        (Base::Base32, multibase::Base::Base32Lower),
        (Base::ZBase32, multibase::Base::Base32Z),
        (Base::Base36, multibase::Base::Base36Lower),
        (Base::Base58, multibase::Base::Base58Btc),
        (Base::Base64, multibase::Base::Base64),
        (Base::Base64Url, multibase::Base::Base64Url),
    ];

    #[test]
    fn a_symbol_too_many_and_stray_bits_are_refused() {
        for (base, text) in [
            (Base::Hex, "0"),
            (Base::Hex, "0g"),
            (Base::Base32, "a"),
            (Base::Base32, "aaa"),
            (Base::Base32, "ab"),
            (Base::ZBase32, "YY"),
            (Base::Base58, "0"),
            (Base::Base64Url, "AB"),
            (Base::Base64Url, "AA=="),
            (Base::Base64Url, "A A"),
        ] {
            assert_eq!(base.decode(text), None, "{base:?} {text}");
        }
        let long = "1".repeat(MAX_LONG_NUMBER + 1);
        assert_eq!(Base::Base58.decode(&long), None);
        assert_eq!(Base::Base36.decode(&long), None);
    }

    proptest! {
        #[test]
        fn is_what_others_write(bytes in proptest::collection::vec(prop_oneof![Just(0), any::<u8>()], 0..100)) {
            for (base, peer) in PEERS {
                let text = base.encode(&bytes);
                prop_assert_eq!(&text, &peer.encode(&bytes), "{:?}", base);
                prop_assert_eq!(base.decode(&text), Some(bytes.clone()), "{:?}", base);
            }
        }

        #[test]
        fn reads_what_others_read(text in "[ -~ä]{0,24}|[a-f0-9A-F]{0,24}|[a-z2-7]{0,24}|[0-9A-Za-z_-]{0,24}") {
            for (base, peer) in PEERS {
                prop_assert_eq!(base.decode(&text), peer.decode(&text).ok(), "{:?} {}", base, text);
            }
        }

        #[test]
        fn z_base_32_is_the_specified_one(bytes in proptest::collection::vec(any::<u8>(), 0..40)) {
            let mut specification = Specification::new();
            specification.symbols.push_str("ybndrfg8ejkmcpqxot1uwisza345h769");
            let peer: Encoding = specification.encoding().unwrap();
            prop_assert_eq!(Base::ZBase32.encode(&bytes), peer.encode(&bytes));
        }

        #[test]
        fn cids_are_spelt_as_others_spell_them(codec in 0u64..1 << 40, digest in any::<[u8; 32]>(), old in any::<bool>()) {
            let digest = Multihash::wrap(0x12, &digest).unwrap();
            let cid = if old { Cid::new_v0(digest).unwrap() } else { Cid::new_v1(codec, digest) };
            prop_assert_eq!(cid_text(&cid), cid.to_string());
            prop_assert_eq!(cid_from_text(&cid.to_string()), Some(cid));
            if !old {
                use multibase::Base::*;
                for base in [Base16Lower, Base16Upper, Base32Lower, Base32Upper, Base32Z, Base36Lower, Base36Upper, Base58Btc, Base64, Base64Url] {
                    let text = cid.to_string_of_base(base).unwrap();
                    prop_assert_eq!(cid_from_text(&text), Some(cid), "{}", text);
                }
            }
        }

        #[test]
        fn what_is_a_cid_to_others_is_one_here(text in "[bzkfuhBKFm][a-zA-Z0-9]{0,80}|Qm[1-9A-Za-z]{44}|[ -~ä]{0,60}") {
            let theirs = Cid::try_from(text.as_str()).ok();
            // Theirs looks for `/ipfs/` anywhere, and knows bases that nobody writes.
            if theirs.is_some() && !text.contains('/') && "fFbBhkKzmuQ".contains(&text[..1]) {
                prop_assert_eq!(cid_from_text(&text), theirs);
            }
        }
    }
}
