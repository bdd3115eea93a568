//! Contact cards: an identity as a link or a QR code, with what it takes to reach it the first time.
//!
//! `dmail:<id>`, and behind it, if there is more to say, `?c=` and the rest in base64url. Whoever knows only ids reads the id.

use super::op::exactly;
use super::{Id, IdentityError, SCHEME};
use crate::proto::base::Base;
use crate::proto::cbor::{Reader, Writer};
use crate::proto::share::clean_name;

/// Longest card in letters: a QR code of the largest size with the least correction holds 2,953.
pub const MAX_CARD_LEN: usize = 2048;

/// Longest name in bytes that a card proposes. Ours.
pub const MAX_NAME_LEN: usize = 64;

/// Most places where the identity can be asked for. Ours: three relays and one of the owner's own.
pub const MAX_HINTS: usize = 4;

/// Longest address of such a place, in bytes. Ours: a relay's with its peer id has about 120.
pub const MAX_HINT_LEN: usize = 256;

/// What one person hands to another.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Card {
    /// Who.
    pub id: Id,
    /// What they call themselves: a proposal, and nobody's word for it but theirs. May be empty.
    pub name: String,
    /// Addresses of relays at which they can be asked for.
    pub hints: Vec<String>,
    /// What admits to the lane of contacts, for a card that is for one person.
    pub admission: Option<[u8; 32]>,
}

impl Card {
    /// As a link.
    ///
    /// # Errors
    /// `TooMany` or `TooLong` if it says more than a card may, `Malformed` for a name that shows otherwise than it is.
    pub fn to_link(&self) -> Result<String, IdentityError> {
        self.check()?;
        let mut link = format!("{SCHEME}{}", self.id);
        if self.name.is_empty() && self.hints.is_empty() && self.admission.is_none() {
            return Ok(link);
        }
        let mut out = Writer::default();
        out.array(4);
        out.uint(VERSION);
        out.text(&self.name);
        out.array(self.hints.len());
        self.hints.iter().for_each(|hint| out.text(hint));
        out.bytes(self.admission.as_ref().map_or(&[][..], |secret| secret));
        link.push_str(QUERY);
        link.push_str(&Base::Base64Url.encode(&out.0));
        Ok(link)
    }

    /// Reads a link, or an id alone.
    ///
    /// # Errors
    /// `TooLong`, `TooMany`, `Malformed`, `NotCanonical` or `Version`.
    pub fn parse(text: &str) -> Result<Self, IdentityError> {
        let text = text.trim();
        if text.len() > MAX_CARD_LEN {
            return Err(IdentityError::TooLong);
        }
        let (id, rest) = match text.split_once(QUERY) {
            Some((id, rest)) => (id, Some(rest)),
            None => (text, None),
        };
        let mut card = Self {
            id: Id::parse(id).map_err(|_| IdentityError::Malformed)?,
            name: String::new(),
            hints: Vec::new(),
            admission: None,
        };
        let Some(rest) = rest else { return Ok(card) };
        let bytes = Base::Base64Url
            .decode(rest)
            .ok_or(IdentityError::Malformed)?;
        let mut reader = Reader::new(&bytes);
        let fields = reader.array()?;
        match reader.uint()? {
            VERSION => exactly(fields, 4)?,
            other => return Err(IdentityError::Version(other)),
        }
        card.name = reader.text()?.to_owned();
        let count = reader.array()?;
        if count > MAX_HINTS {
            return Err(IdentityError::TooMany);
        }
        for _ in 0..count {
            card.hints.push(reader.text()?.to_owned());
        }
        card.admission = match reader.bytes()? {
            [] => None,
            secret => Some(secret.try_into().map_err(|_| IdentityError::Malformed)?),
        };
        if !reader.is_at_end() {
            return Err(IdentityError::Malformed);
        }
        card.check()?;
        Ok(card)
    }

    fn check(&self) -> Result<(), IdentityError> {
        if self.hints.len() > MAX_HINTS {
            return Err(IdentityError::TooMany);
        }
        if self.name.len() > MAX_NAME_LEN || self.hints.iter().any(|hint| hint.len() > MAX_HINT_LEN)
        {
            return Err(IdentityError::TooLong);
        }
        match clean_name(&self.name) == self.name {
            true => Ok(()),
            false => Err(IdentityError::Malformed),
        }
    }
}

const QUERY: &str = "?c=";
const VERSION: u64 = 1;

#[cfg(all(test, not(target_arch = "wasm32")))]
mod tests {
    #![allow(clippy::unwrap_used)]
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_card_is_a_link() {
        let mut card = Card {
            id: Id([7; 32]),
            name: String::new(),
            hints: Vec::new(),
            admission: None,
        };
        let plain = card.to_link().unwrap();
        assert_eq!(plain, format!("dmail:{}", Id([7; 32])));
        assert_eq!(Card::parse(&plain), Ok(card.clone()));
        card.name = "Zoë".into();
        card.hints = vec!["/dns4/relay.example/tcp/443/wss".into()];
        card.admission = Some([9; 32]);
        let link = card.to_link().unwrap();
        assert!(link.len() < 220, "{link}");
        assert_eq!(Card::parse(&link), Ok(card.clone()));
        card.name = "a\u{202e}b".into();
        assert_eq!(card.to_link(), Err(IdentityError::Malformed));
        card.name = "a".repeat(65);
        assert_eq!(card.to_link(), Err(IdentityError::TooLong));
        card.hints = vec![String::new(); 5];
        assert_eq!(card.to_link(), Err(IdentityError::TooMany));
    }

    proptest! {
        #[test]
        fn any_text_is_looked_at_without_panic(text in ".{0,80}", bytes in prop::collection::vec(any::<u8>(), 0..80)) {
            let _ = Card::parse(&text);
            let link = format!("{}?c={}", Id([7; 32]), Base::Base64Url.encode(&bytes));
            if let Ok(card) = Card::parse(&link) {
                prop_assert_eq!(Card::parse(&card.to_link().unwrap()), Ok(card));
            }
        }
    }
}
