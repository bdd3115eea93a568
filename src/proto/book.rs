//! The address book: relays that once held a reservation for us, and what peers we had sessions with signed of themselves.
//!
//! It is for the start of a node whose relays are silent, so it holds little, the latest seen, and everything in it is a hint. It is
//! kept as one small value; the bytes are in `docs/discovery.md`.

use bytes::{Buf, BufMut, Bytes, BytesMut};

use super::pex::MAX_RECORD;

/// Relays kept. Ours: twice what a node links to at once.
pub const MAX_RELAYS: usize = 16;

/// Peers kept. Ours: a few of them are there again the next day.
pub const MAX_PEERS: usize = 64;

/// Longest relay address in bytes.
pub const MAX_ADDRESS: usize = 256;

/// Seconds after which what was not seen again is forgotten: 30 days.
pub const MAX_AGE: u64 = 30 * 24 * 60 * 60;

/// First byte of the encoding.
const VERSION: u8 = 1;

#[derive(Debug, Clone, PartialEq, Eq)]
struct Entry {
    name: Bytes,
    value: Bytes,
    /// Seconds since 1970.
    seen: u64,
}

/// Bytes that are no book, or one of another version.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not an address book that this version reads")]
pub struct BookError;

/// The book. Names and values are opaque here.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Book {
    relays: Vec<Entry>,
    peers: Vec<Entry>,
}

impl Book {
    /// A relay held a reservation for us; `name` is its identity. Says whether the book is different now but for the time.
    pub fn saw_relay(&mut self, name: Bytes, address: Bytes, unix: u64) -> bool {
        address.len() <= MAX_ADDRESS && note(&mut self.relays, MAX_RELAYS, name, address, unix)
    }

    /// A peer with a session gave us this record of itself. Says whether the book is different now but for the time.
    pub fn saw_peer(&mut self, name: Bytes, record: Bytes, unix: u64) -> bool {
        record.len() <= MAX_RECORD && note(&mut self.peers, MAX_PEERS, name, record, unix)
    }

    /// Relay addresses, the latest seen first.
    pub fn relays(&self) -> impl Iterator<Item = &Bytes> {
        self.relays.iter().map(|entry| &entry.value)
    }

    /// Records of peers, the latest seen first.
    pub fn peers(&self) -> impl Iterator<Item = &Bytes> {
        self.peers.iter().map(|entry| &entry.value)
    }

    /// Forgets what has not been seen for long.
    pub fn forget_old(&mut self, unix: u64) {
        for list in [&mut self.relays, &mut self.peers] {
            list.retain(|entry| entry.seen.saturating_add(MAX_AGE) >= unix);
        }
    }

    /// The bytes to be stored.
    pub fn encode(&self) -> Bytes {
        let mut out = BytesMut::new();
        out.put_u8(VERSION);
        for list in [&self.relays, &self.peers] {
            out.put_u8(list.len() as u8);
            for entry in list {
                out.put_u64(entry.seen);
                for part in [&entry.name, &entry.value] {
                    out.put_u16(part.len() as u16);
                    out.put_slice(part);
                }
            }
        }
        out.freeze()
    }

    /// Reads what was stored.
    ///
    /// # Errors
    /// [`BookError`] for anything that `encode` does not write.
    pub fn decode(bytes: &Bytes) -> Result<Self, BookError> {
        let mut rest = bytes.clone();
        if rest.try_get_u8() != Ok(VERSION) {
            return Err(BookError);
        }
        let book = Self {
            relays: list(&mut rest, MAX_RELAYS, MAX_ADDRESS)?,
            peers: list(&mut rest, MAX_PEERS, MAX_RECORD)?,
        };
        rest.is_empty().then_some(book).ok_or(BookError)
    }
}

fn note(list: &mut Vec<Entry>, max: usize, name: Bytes, value: Bytes, seen: u64) -> bool {
    if name.len() > MAX_NAME {
        return false;
    }
    let known = list.iter().position(|entry| entry.name == name);
    let same = known.is_some_and(|at| list[at].value == value);
    if let Some(at) = known {
        list.remove(at);
    }
    list.insert(0, Entry { name, value, seen });
    list.truncate(max);
    !same
}

fn list(rest: &mut Bytes, max: usize, longest: usize) -> Result<Vec<Entry>, BookError> {
    let count = usize::from(rest.try_get_u8().map_err(|_| BookError)?);
    if count > max {
        return Err(BookError);
    }
    let mut entries = Vec::with_capacity(count);
    for _ in 0..count {
        let seen = rest.try_get_u64().map_err(|_| BookError)?;
        let name = part(rest, MAX_NAME)?;
        let value = part(rest, longest)?;
        entries.push(Entry { name, value, seen });
    }
    Ok(entries)
}

fn part(rest: &mut Bytes, longest: usize) -> Result<Bytes, BookError> {
    let length = usize::from(rest.try_get_u16().map_err(|_| BookError)?);
    if length > longest || length > rest.len() {
        return Err(BookError);
    }
    Ok(rest.split_to(length))
}

/// Longest identity in bytes; that of an Ed25519 key has 38.
const MAX_NAME: usize = 64;

#[cfg(all(test, not(target_arch = "wasm32")))]
mod tests {
    #![allow(clippy::unwrap_used)]
    use proptest::prelude::*;

    use super::*;

    fn bytes(text: &str) -> Bytes {
        Bytes::copy_from_slice(text.as_bytes())
    }

    #[test]
    fn the_latest_seen_come_first_and_the_others_make_room() {
        let mut book = Book::default();
        for n in 0..MAX_PEERS + 10 {
            assert!(book.saw_peer(bytes(&n.to_string()), bytes("record"), n as u64));
        }
        assert_eq!(book.peers.len(), MAX_PEERS);
        assert!(!book.saw_peer(bytes("20"), bytes("record"), 100));
        assert!(book.saw_peer(bytes("30"), bytes("another record"), 101));
        assert_eq!(book.peers().next(), Some(&bytes("another record")));
        assert_eq!(book.peers[1].name, bytes("20"));
        book.forget_old(101 + MAX_AGE);
        assert_eq!(book.peers.len(), 1);
    }

    #[test]
    fn what_is_too_long_is_not_kept() {
        let mut book = Book::default();
        let long = Bytes::from(vec![0; MAX_RECORD + 1]);
        assert!(!book.saw_peer(bytes("a"), long.clone(), 1));
        assert!(!book.saw_relay(bytes("a"), long.clone(), 1));
        assert!(!book.saw_relay(long, bytes("a"), 1));
        assert_eq!(book, Book::default());
    }

    #[test]
    fn golden_bytes() {
        let mut book = Book::default();
        book.saw_relay(bytes("R"), bytes("/r"), 5);
        let expected = [
            1, 1, 0, 0, 0, 0, 0, 0, 0, 5, 0, 1, b'R', 0, 2, b'/', b'r', 0,
        ];
        assert_eq!(book.encode()[..], expected);
        assert_eq!(Book::decode(&book.encode()), Ok(book));
        assert_eq!(
            Book::decode(&Bytes::from_static(&[2, 0, 0])),
            Err(BookError)
        );
    }

    proptest! {
        #[test]
        fn what_is_encoded_is_decoded(steps in prop::collection::vec((any::<bool>(), 0u8..90, 0usize..300, any::<u64>()), 0..200)) {
            let mut book = Book::default();
            for (relay, name, length, seen) in steps {
                let (name, value) = (Bytes::from(vec![name]), Bytes::from(vec![7; length]));
                if relay { book.saw_relay(name, value, seen) } else { book.saw_peer(name, value, seen) };
            }
            prop_assert_eq!(Book::decode(&book.encode()), Ok(book));
        }

        #[test]
        fn garbage_never_panics(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            let bytes = Bytes::from(bytes);
            if let Ok(book) = Book::decode(&bytes) {
                prop_assert_eq!(book.encode(), bytes);
            }
        }
    }
}
