//! Keepers: what they are asked to keep, and what they keep of it within a size.
//!
//! Whoever wants a site to stay up sends its address to a keeper, and hears what came of it; each is one message on a stream of
//! `/gyre/site/1.0.0`, told from the others there by its length (`docs/protocol.md`). Keepers are found under
//! [`meeting_point`]. A keeper keeps all that it was asked for while there is room, and then lets go of what was least recently
//! asked for, by its publisher or by a reader; what its operator named stays.

use bytes::{Buf, BufMut, Bytes, BytesMut};

use super::address::Address;
use super::name::Name;
use super::types::BlobHash;
use crate::proto::ordered::Map;

/// Bytes of a message that asks.
pub const WISH_LEN: usize = 1 + 32;

/// Bytes of the answer.
pub const VERDICT_LEN: usize = WISH_LEN + 1;

/// Addresses on one shelf. Ours: a keeper with more disk than that many sites need is better run as several.
pub const MAX_KEPT: usize = 4096;

/// The key under which keepers are found in the indexes: `b3sum` of the text, so that it is nobody's blob.
pub fn meeting_point() -> BlobHash {
    BlobHash(*blake3::hash(b"gyre keepers 1").as_bytes())
}

/// What a keeper says to a wish.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Verdict {
    /// It keeps this from now on.
    Taken,
    /// There is no room for it.
    Full,
    /// It does not keep this: its operator has said so.
    Refused,
    /// It could not get it.
    NotFound,
}

impl Verdict {
    const ALL: [Self; 4] = [Self::Taken, Self::Full, Self::Refused, Self::NotFound];

    fn code(self) -> u8 {
        self as u8
    }
}

/// Writes a wish.
pub fn encode_wish(address: &Address) -> Bytes {
    let mut out = BytesMut::with_capacity(WISH_LEN);
    put_address(&mut out, address);
    out.freeze()
}

/// Reads a wish; `None` for whatever is none.
pub fn decode_wish(bytes: &[u8]) -> Option<Address> {
    let bytes: &[u8; WISH_LEN] = bytes.try_into().ok()?;
    take_address(&mut &bytes[..])
}

/// Writes an answer.
pub fn encode_verdict(address: &Address, verdict: Verdict) -> Bytes {
    let mut out = BytesMut::with_capacity(VERDICT_LEN);
    put_address(&mut out, address);
    out.put_u8(verdict.code());
    out.freeze()
}

/// Reads an answer; `None` for whatever is none.
pub fn decode_verdict(bytes: &[u8]) -> Option<(Address, Verdict)> {
    let bytes: &[u8; VERDICT_LEN] = bytes.try_into().ok()?;
    let mut rest = &bytes[..];
    let address = take_address(&mut rest)?;
    let code = rest.get_u8();
    let verdict = Verdict::ALL
        .into_iter()
        .find(|verdict| verdict.code() == code)?;
    Some((address, verdict))
}

fn put_address(out: &mut BytesMut, address: &Address) {
    match address {
        Address::Manifest(manifest) => {
            out.put_u8(1);
            out.put_slice(&manifest.0);
        }
        Address::Name(name) => {
            out.put_u8(2);
            out.put_slice(&name.0);
        }
    }
}

fn take_address(bytes: &mut &[u8]) -> Option<Address> {
    let tag = bytes.try_get_u8().ok()?;
    let (key, rest) = bytes.split_first_chunk::<32>()?;
    *bytes = rest;
    match tag {
        1 => Some(Address::Manifest(BlobHash(*key))),
        2 => Some(Address::Name(Name(*key))),
        _ => None,
    }
}

/// One address that is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Kept {
    /// The version that is here whole; `None` before the first is.
    pub version: Option<BlobHash>,
    /// Bytes of its files.
    pub bytes: u64,
    /// When it was last asked for, milliseconds since 1970.
    pub asked_at: u64,
    /// Named by the operator: it is not counted, and stays.
    pub pinned: bool,
}

/// What a keeper keeps.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Shelf {
    size: u64,
    kept: Map<Address, Kept>,
}

/// Version of a stored shelf.
const VERSION: u8 = 1;

/// Bytes of one entry of a stored shelf: address, flags, version, bytes, time.
const ENTRY_LEN: usize = WISH_LEN + 1 + 32 + 8 + 8;

impl Shelf {
    /// An empty one with room for `size` bytes of what others ask for.
    pub fn new(size: u64) -> Self {
        Self {
            size,
            kept: Map::new(),
        }
    }

    /// What is kept under an address.
    pub fn get(&self, address: &Address) -> Option<&Kept> {
        self.kept.get(address)
    }

    /// All of it.
    pub fn iter(&self) -> impl Iterator<Item = (&Address, &Kept)> {
        self.kept.iter()
    }

    /// Bytes that count against the size.
    pub fn used(&self) -> u64 {
        let counted = self.kept.values().filter(|kept| !kept.pinned);
        counted.map(|kept| kept.bytes).sum()
    }

    /// Whether `bytes` could be kept for somebody if all else made way.
    pub fn could_hold(&self, bytes: u64) -> bool {
        bytes <= self.size && self.size > 0
    }

    /// The operator names an address, or no longer does: then it stays while there is room. Answers with what makes way.
    pub fn pin(&mut self, address: Address, pinned: bool, at: u64) -> Vec<(Address, Kept)> {
        let kept = self.kept.entry(address).or_insert(Kept {
            version: None,
            bytes: 0,
            asked_at: at,
            pinned,
        });
        kept.pinned = pinned;
        self.make_room(None)
    }

    /// An address will be brought; answers with what makes way for it.
    ///
    /// # Errors
    /// If it does not fit: nothing has changed then.
    pub fn expect(
        &mut self,
        address: Address,
        bytes: u64,
        at: u64,
    ) -> Result<Vec<(Address, Kept)>, NoRoom> {
        if !self.could_hold(bytes) {
            return Err(NoRoom);
        }
        self.kept.entry(address).or_insert(Kept {
            version: None,
            bytes,
            asked_at: at,
            pinned: false,
        });
        Ok(self.make_room(Some(address)))
    }

    /// A version of an address is here whole; answers with what makes way for it.
    ///
    /// # Errors
    /// If it does not fit: nothing has changed then.
    pub fn put(
        &mut self,
        address: Address,
        version: BlobHash,
        bytes: u64,
        at: u64,
    ) -> Result<Vec<(Address, Kept)>, NoRoom> {
        let known = self.kept.get(&address);
        let pinned = known.is_some_and(|known| known.pinned);
        if !pinned && !self.could_hold(bytes) {
            return Err(NoRoom);
        }
        let kept = Kept {
            version: Some(version),
            bytes,
            asked_at: known.map_or(at, |known| known.asked_at.max(at)),
            pinned,
        };
        self.kept.insert(address, kept);
        Ok(self.make_room(Some(address)))
    }

    /// Somebody asks for an address that is kept; false if it is not.
    pub fn touch(&mut self, address: &Address, at: u64) -> bool {
        match self.kept.get_mut(address) {
            Some(kept) => {
                kept.asked_at = kept.asked_at.max(at);
                true
            }
            None => false,
        }
    }

    /// Somebody reads a version that is kept, under whatever address.
    pub fn touch_version(&mut self, version: BlobHash, at: u64) {
        for kept in self.kept.values_mut() {
            if kept.version == Some(version) {
                kept.asked_at = kept.asked_at.max(at);
            }
        }
    }

    /// Lets go of an address.
    pub fn remove(&mut self, address: &Address) -> Option<Kept> {
        self.kept.remove(address)
    }

    /// Whether a version is kept under some address.
    pub fn keeps(&self, version: BlobHash) -> bool {
        self.kept.values().any(|kept| kept.version == Some(version))
    }

    fn make_room(&mut self, spare: Option<Address>) -> Vec<(Address, Kept)> {
        let mut gone = Vec::new();
        while self.used() > self.size || self.kept.len() > MAX_KEPT {
            let may_go = self
                .kept
                .iter()
                .filter(|(address, kept)| !kept.pinned && Some(**address) != spare);
            let oldest = may_go.min_by_key(|(_, kept)| kept.asked_at);
            let Some((address, kept)) = oldest.map(|(address, kept)| (*address, *kept)) else {
                break;
            };
            self.kept.remove(&address);
            gone.push((address, kept));
        }
        gone
    }

    /// The bytes to be stored.
    pub fn encode(&self) -> Bytes {
        let mut out = BytesMut::with_capacity(1 + self.kept.len() * ENTRY_LEN);
        out.put_u8(VERSION);
        for (address, kept) in &self.kept {
            put_address(&mut out, address);
            out.put_u8(u8::from(kept.pinned) | u8::from(kept.version.is_some()) << 1);
            out.put_slice(&kept.version.map_or([0; 32], |version| version.0));
            out.put_u64(kept.bytes);
            out.put_u64(kept.asked_at);
        }
        out.freeze()
    }

    /// Reads what was stored; `None` for whatever is no shelf. The size is what it is now; [`pin`](Self::pin) or
    /// [`put`](Self::put) lets go of what is over it.
    pub fn decode(size: u64, mut bytes: &[u8]) -> Option<Self> {
        if bytes.try_get_u8().ok()? != VERSION || !bytes.len().is_multiple_of(ENTRY_LEN) {
            return None;
        }
        let mut shelf = Self::new(size);
        while !bytes.is_empty() {
            let address = take_address(&mut bytes)?;
            let flags = bytes.try_get_u8().ok()?;
            let (version, rest) = bytes.split_first_chunk::<32>()?;
            bytes = rest;
            let kept = Kept {
                version: (flags & 2 != 0).then_some(BlobHash(*version)),
                bytes: bytes
                    .try_get_u64()
                    .ok()?
                    .min(super::manifest::MAX_SITE_SIZE),
                asked_at: bytes.try_get_u64().ok()?,
                pinned: flags & 1 != 0,
            };
            if flags > 3 || shelf.kept.len() >= MAX_KEPT {
                return None;
            }
            shelf.kept.insert(address, kept);
        }
        Some(shelf)
    }
}

/// There is no room, whatever made way.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("there is no room for it")]
pub struct NoRoom;

#[cfg(all(test, not(target_arch = "wasm32")))]
mod tests {
    #![allow(clippy::unwrap_used)]
    use proptest::prelude::*;

    use super::*;

    fn site(n: u8) -> Address {
        Address::Manifest(BlobHash([n; 32]))
    }

    fn version(n: u8) -> BlobHash {
        BlobHash([n; 32])
    }

    #[test]
    fn the_bytes_of_the_messages_do_not_change() {
        let name = Address::Name(Name([7; 32]));
        let mut bytes = vec![2];
        bytes.extend([7; 32]);
        assert_eq!(encode_wish(&name), bytes);
        assert_eq!(decode_wish(&bytes), Some(name));
        bytes.push(1);
        assert_eq!(encode_verdict(&name, Verdict::Full), bytes);
        assert_eq!(decode_verdict(&bytes), Some((name, Verdict::Full)));
        assert_eq!(encode_wish(&site(3))[..2], [1, 3]);
    }

    #[test]
    fn what_was_least_recently_asked_for_makes_way() {
        let mut shelf = Shelf::new(100);
        assert_eq!(shelf.put(site(1), version(1), 40, 10), Ok(vec![]));
        assert_eq!(shelf.put(site(2), version(2), 40, 20), Ok(vec![]));
        assert!(shelf.touch(&site(1), 30));
        let gone = shelf.put(site(3), version(3), 40, 40).unwrap();
        assert_eq!(
            gone.iter().map(|(one, _)| *one).collect::<Vec<_>>(),
            [site(2)]
        );
        shelf.touch_version(version(1), 50);
        let gone = shelf.put(site(4), version(4), 60, 60).unwrap();
        assert_eq!(
            gone.iter().map(|(one, _)| *one).collect::<Vec<_>>(),
            [site(3)]
        );
        assert_eq!(shelf.put(site(5), version(5), 101, 70), Err(NoRoom));
        assert_eq!(shelf.used(), 100);
        assert!(shelf.keeps(version(1)) && !shelf.keeps(version(5)));
    }

    #[test]
    fn what_is_on_its_way_has_its_place() {
        let mut shelf = Shelf::new(100);
        assert_eq!(shelf.expect(site(1), 60, 1), Ok(vec![]));
        assert_eq!(shelf.get(&site(1)).unwrap().version, None);
        assert_eq!(shelf.expect(site(2), 60, 2).unwrap()[0].0, site(1));
        assert_eq!(shelf.expect(site(3), 101, 3), Err(NoRoom));
        assert_eq!(shelf.put(site(2), version(2), 61, 4), Ok(vec![]));
        assert_eq!(shelf.expect(site(2), 5, 5), Ok(vec![]));
        assert_eq!(shelf.used(), 61);
    }

    #[test]
    fn what_the_operator_named_stays_and_does_not_count() {
        let mut shelf = Shelf::new(50);
        assert!(shelf.pin(site(1), true, 1).is_empty());
        assert_eq!(shelf.put(site(1), version(1), 1000, 1), Ok(vec![]));
        assert_eq!(shelf.put(site(2), version(2), 50, 2), Ok(vec![]));
        assert_eq!(shelf.used(), 50);
        // Named no longer, it is too large to stay.
        let gone = shelf.pin(site(1), false, 3);
        assert_eq!(gone.len(), 1);
        assert_eq!(gone[0].0, site(1));
        let mut none = Shelf::new(0);
        assert_eq!(none.put(site(1), version(1), 0, 1), Err(NoRoom));
    }

    proptest! {
        #[test]
        fn the_size_holds_and_the_shelf_comes_back(
            size in 0u64..200,
            steps in prop::collection::vec((0u8..12, 0u64..120, any::<bool>()), 0..60),
        ) {
            let mut shelf = Shelf::new(size);
            for (at, (which, bytes, pins)) in steps.into_iter().enumerate() {
                let before: Vec<_> = shelf.iter().map(|(address, kept)| (*address, *kept)).collect();
                let gone = match pins && which < 3 {
                    true => shelf.pin(site(which), bytes % 2 == 0, at as u64),
                    false => shelf.put(site(which), version(which), bytes, at as u64).unwrap_or_default(),
                };
                prop_assert!(shelf.used() <= size);
                let stay = shelf.iter().filter(|(address, kept)| !kept.pinned && **address != site(which));
                let oldest = stay.map(|(_, kept)| kept.asked_at).min().unwrap_or(u64::MAX);
                for (address, kept) in gone {
                    prop_assert!(kept.asked_at <= oldest || address == site(which));
                    prop_assert!(address == site(which) || before.contains(&(address, kept)));
                }
                let again = Shelf::decode(size, &shelf.encode());
                prop_assert_eq!(again.as_ref(), Some(&shelf));
            }
        }

        #[test]
        fn any_bytes_are_read_or_refused(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            if let Some(shelf) = Shelf::decode(9, &bytes) {
                prop_assert!(shelf.encode().len() <= bytes.len());
            }
            if let Some(address) = decode_wish(&bytes) {
                prop_assert_eq!(&encode_wish(&address)[..], &bytes[..]);
            }
            if let Some((address, verdict)) = decode_verdict(&bytes) {
                prop_assert_eq!(&encode_verdict(&address, verdict)[..], &bytes[..]);
            }
        }
    }
}
