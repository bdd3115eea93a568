//! Petnames: what a person calls others, on their own machine, and how each name came about.
//!
//! One name leads to one identity and is never taken by another: what differs only in capitals is the same name. One identity may
//! have several names. Nothing here is anybody's word but the person's own, so it is neither signed nor told.

use super::card::MAX_NAME_LEN;
use super::op::exactly;
use super::{Id, IdentityError};
use crate::proto::cbor::{Reader, Writer};
use crate::proto::ordered::Map;
use crate::proto::share::clean_name;

/// Names at most. Ours: ten times what large address books hold.
pub const MAX_PETNAMES: usize = 10_000;

/// How a name came about, which is shown wherever the name is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Bound {
    /// From a card that was handed over in person: a QR code.
    Met,
    /// From a link that came some other way.
    Link,
    /// Somebody else introduced them.
    Introduced(Id),
}

/// Whom a name leads to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Contact {
    /// Who.
    pub id: Id,
    /// Since how.
    pub bound: Bound,
}

/// The names that a person has given.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Petnames {
    /// By the name in small letters, with the name as it was written.
    names: Map<String, (String, Contact)>,
}

impl Petnames {
    /// Gives a name. Giving it again to the same identity changes how it is written and bound.
    ///
    /// # Errors
    /// `Malformed` for an empty name or one that shows otherwise than it is, `TooLong`, `OtherIdentity` if somebody else has it, `TooMany`.
    pub fn give(&mut self, name: &str, contact: Contact) -> Result<(), IdentityError> {
        let name = name.trim();
        if name.len() > MAX_NAME_LEN {
            return Err(IdentityError::TooLong);
        }
        if name.is_empty() || clean_name(name) != name {
            return Err(IdentityError::Malformed);
        }
        let key = name.to_lowercase();
        match self.names.get(&key) {
            Some((_, known)) if known.id != contact.id => return Err(IdentityError::OtherIdentity),
            None if self.names.len() >= MAX_PETNAMES => return Err(IdentityError::TooMany),
            _ => self.names.insert(key, (name.to_owned(), contact)),
        };
        Ok(())
    }

    /// Takes a name back.
    pub fn take(&mut self, name: &str) -> Option<Contact> {
        let (_, contact) = self.names.remove(&name.trim().to_lowercase())?;
        Some(contact)
    }

    /// Whom a name leads to.
    pub fn get(&self, name: &str) -> Option<Contact> {
        let (_, contact) = self.names.get(&name.trim().to_lowercase())?;
        Some(*contact)
    }

    /// The names of an identity, as they were written.
    pub fn names_of(&self, id: Id) -> impl Iterator<Item = &str> {
        self.iter()
            .filter(move |(_, contact)| contact.id == id)
            .map(|(name, _)| name)
    }

    /// All of them, in the order of their small letters.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &Contact)> {
        self.names
            .values()
            .map(|(name, contact)| (name.as_str(), contact))
    }

    /// As a machine stores them, and a backup holds them.
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut out = Writer::default();
        out.array(2);
        out.uint(VERSION);
        out.array(self.names.len());
        for (name, contact) in self.iter() {
            let (how, by) = match contact.bound {
                Bound::Met => (MET, None),
                Bound::Link => (LINK, None),
                Bound::Introduced(by) => (INTRODUCED, Some(by)),
            };
            out.array(4);
            out.text(name);
            out.bytes(&contact.id.0);
            out.uint(how);
            out.bytes(by.as_ref().map_or(&[][..], |by| &by.0));
        }
        out.0
    }

    /// Reads what was stored.
    ///
    /// # Errors
    /// Any of [`give`](Self::give), `NotCanonical` or `Version`.
    pub fn parse(bytes: &[u8]) -> Result<Self, IdentityError> {
        let mut reader = Reader::new(bytes);
        let fields = reader.array()?;
        match reader.uint()? {
            VERSION => exactly(fields, 2)?,
            other => return Err(IdentityError::Version(other)),
        }
        let mut petnames = Self::default();
        for _ in 0..reader.array()? {
            exactly(reader.array()?, 4)?;
            let name = reader.text()?;
            let id = Id(reader.fixed_bytes()?);
            let bound = match (reader.uint()?, reader.bytes()?) {
                (MET, []) => Bound::Met,
                (LINK, []) => Bound::Link,
                (INTRODUCED, by) => {
                    Bound::Introduced(Id(by.try_into().map_err(|_| IdentityError::Malformed)?))
                }
                _ => return Err(IdentityError::Malformed),
            };
            petnames.give(name, Contact { id, bound })?;
        }
        match reader.is_at_end() {
            true => Ok(petnames),
            false => Err(IdentityError::Malformed),
        }
    }
}

const VERSION: u64 = 1;
const MET: u64 = 1;
const LINK: u64 = 2;
const INTRODUCED: u64 = 3;

#[cfg(all(test, not(target_arch = "wasm32")))]
mod tests {
    #![allow(clippy::unwrap_used)]
    use proptest::prelude::*;

    use super::*;

    fn contact(seed: u8) -> Contact {
        Contact {
            id: Id([seed; 32]),
            bound: match seed % 3 {
                0 => Bound::Met,
                1 => Bound::Link,
                _ => Bound::Introduced(Id([9; 32])),
            },
        }
    }

    #[test]
    fn a_name_is_never_taken_by_another() {
        let mut names = Petnames::default();
        names.give(" Zoë ", contact(1)).unwrap();
        assert_eq!(names.get("zoË"), Some(contact(1)));
        assert_eq!(
            names.give("ZOË", contact(2)),
            Err(IdentityError::OtherIdentity)
        );
        names.give("ZOË", contact(1)).unwrap();
        names.give("sister", contact(1)).unwrap();
        assert_eq!(
            names.names_of(Id([1; 32])).collect::<Vec<_>>(),
            ["sister", "ZOË"]
        );
        assert_eq!(names.take("zoë"), Some(contact(1)));
        assert_eq!(names.get("zoë"), None);
        names.give("zoë", contact(2)).unwrap();
        for name in ["", "  ", "a\u{202e}b", "a/b"] {
            assert_eq!(
                names.give(name, contact(1)),
                Err(IdentityError::Malformed),
                "{name:?}"
            );
        }
        assert_eq!(
            names.give(&"a".repeat(65), contact(1)),
            Err(IdentityError::TooLong)
        );
    }

    #[test]
    fn names_are_bounded() {
        let mut names = Petnames::default();
        for number in 0..MAX_PETNAMES {
            names.give(&number.to_string(), contact(1)).unwrap();
        }
        assert_eq!(
            names.give("one more", contact(1)),
            Err(IdentityError::TooMany)
        );
        assert_eq!(Petnames::parse(&names.to_bytes()), Ok(names));
    }

    proptest! {
        #[test]
        fn what_is_stored_is_read_back(given in prop::collection::vec(("[a-zA-Zä ]{1,6}", 0u8..4), 0..12)) {
            let mut names = Petnames::default();
            for (name, seed) in given {
                let _ = names.give(&name, contact(seed));
            }
            prop_assert_eq!(Petnames::parse(&names.to_bytes()), Ok(names));
        }

        #[test]
        fn any_bytes_are_looked_at_without_panic(bytes in prop::collection::vec(any::<u8>(), 0..120)) {
            let _ = Petnames::parse(&bytes);
        }
    }
}
