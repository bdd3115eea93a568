//! One blob as one file: how it leaves this browser for a disk, and comes back.
//!
//! A mark, the length of the header, the header, then the blob's bytes as they are stored and sent: an encrypted share
//! stays encrypted. Nothing else is needed to check it, because the header names the BLAKE3 hash that the bytes must
//! have. The header holds the link, and so the key: who has the file can read it, as who has the link. `docs/storage.md`
//! has the table.

use bytes::{BufMut, Bytes, BytesMut};

use super::cbor::{CborError, Record, Writer};
use super::link::{Link, LinkError};
use super::types::BlobSize;

/// First bytes of every container: not text, and nothing that another format begins with.
pub const MARK: [u8; 8] = *b"\x89GYRE\r\n\x01";

/// Bytes before the header: the mark and a little-endian length.
const PREFIX: usize = MARK.len() + 4;

/// Longest header in bytes: a link holds a name of at most 255 bytes, escaped.
const MAX_HEADER: usize = 4 * 1024;

/// What a container says of its blob.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Container {
    /// Opens it; names the hash that the bytes must have.
    pub link: Link,
    /// Bytes that follow the header.
    pub size: BlobSize,
}

/// Why it is no container.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ContainerError {
    /// It does not begin as one.
    #[error("this is not a file that Gyre exported")]
    NotOne,
    /// The header is too long, or not what it should be.
    #[error("the exported file is damaged at its beginning")]
    Header,
    /// The link in it cannot be read.
    #[error("the link in the exported file: {0}")]
    Link(#[from] LinkError),
}

impl Container {
    /// What stands before the blob's bytes.
    pub fn encode(&self) -> Bytes {
        let mut header = Writer::default();
        header.map(2);
        header.text("link");
        header.text(&self.link.fragment());
        header.text("size");
        header.uint(self.size.get());
        let header = header.0;
        let mut out = BytesMut::with_capacity(PREFIX + header.len());
        out.put_slice(&MARK);
        out.put_u32_le(header.len() as u32);
        out.put_slice(&header);
        out.freeze()
    }

    /// Reads the beginning of a container from what has come so far, and takes it off; `None` asks for more bytes.
    ///
    /// # Errors
    /// [`ContainerError`] as soon as it is clear that this is none; `bytes` is then left as it is.
    pub fn decode(bytes: &mut BytesMut) -> Result<Option<Self>, ContainerError> {
        let seen = bytes.len().min(MARK.len());
        if bytes[..seen] != MARK[..seen] {
            return Err(ContainerError::NotOne);
        }
        let Some(length) = bytes.get(MARK.len()..).and_then(<[u8]>::first_chunk) else {
            return Ok(None);
        };
        let length = u32::from_le_bytes(*length) as usize;
        if length > MAX_HEADER {
            return Err(ContainerError::Header);
        }
        let Some(header) = bytes.get(PREFIX..PREFIX + length) else {
            return Ok(None);
        };
        let damaged = |_: CborError| ContainerError::Header;
        let header = Record::read(header).map_err(damaged)?;
        let link = header.field("link").and_then(|mut link| link.text());
        let size = header.field("size").and_then(|mut size| size.uint());
        let container = Self {
            link: Link::parse(link.map_err(damaged)?)?,
            size: BlobSize::new(size.map_err(damaged)?).ok_or(ContainerError::Header)?,
        };
        let _ = bytes.split_to(PREFIX + length);
        Ok(Some(container))
    }
}

#[cfg(all(test, not(target_arch = "wasm32")))]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::proto::share::{ShareHeader, ShareKey};
    use crate::proto::types::{BlobHash, MAX_BLOB_SIZE};

    fn container() -> impl Strategy<Value = Container> {
        let key = prop::option::of(any::<[u8; 32]>());
        (any::<[u8; 32]>(), key, 0..=MAX_BLOB_SIZE, ".{0,80}").prop_map(
            |(hash, key, size, name)| {
                let blob = BlobHash(hash);
                let link = match key {
                    Some(key) => Link::Share {
                        blob,
                        key: ShareKey::new(key),
                    },
                    None => Link::Public {
                        blob,
                        header: ShareHeader::cleaned(&name, "text/plain"),
                    },
                };
                let size = BlobSize::new(size).expect("within the bound");
                Container { link, size }
            },
        )
    }

    proptest! {
        #[test]
        fn comes_back_however_it_is_cut(container in container(), rest in prop::collection::vec(any::<u8>(), 0..100), cut in any::<prop::sample::Index>()) {
            let whole = [&container.encode()[..], &rest].concat();
            let (first, second) = whole.split_at(cut.index(whole.len()));
            let mut bytes = BytesMut::from(first);
            let read = match Container::decode(&mut bytes).expect("a good beginning") {
                Some(read) => { bytes.extend_from_slice(second); read }
                None => {
                    bytes.extend_from_slice(second);
                    Container::decode(&mut bytes).expect("good").expect("whole")
                }
            };
            prop_assert_eq!(read, container);
            prop_assert_eq!(&bytes[..], &rest[..]);
        }

        #[test]
        fn damage_is_an_error_or_a_container_like_any_other(container in container(), at in any::<prop::sample::Index>(), flip in 1u8..) {
            let mut bytes = BytesMut::from(&container.encode()[..]);
            let at = at.index(bytes.len());
            bytes[at] ^= flip;
            if let Ok(Some(read)) = Container::decode(&mut bytes) {
                // Another link, or the same one spelt otherwise: what counts is the hash that it names.
                let mut again = BytesMut::from(&read.encode()[..]);
                prop_assert_eq!(Container::decode(&mut again).expect("good"), Some(read));
            }
        }

        #[test]
        fn any_bytes_are_read_or_refused(bytes in prop::collection::vec(any::<u8>(), 0..200), marked: bool) {
            let mut input = BytesMut::new();
            if marked {
                input.extend_from_slice(&MARK);
            }
            input.extend_from_slice(&bytes);
            let before = input.clone();
            if !matches!(Container::decode(&mut input), Ok(Some(_))) {
                prop_assert_eq!(input, before);
            }
        }
    }

    /// The bytes of `docs/storage.md`.
    #[test]
    fn golden() {
        let container = Container {
            link: Link::Share {
                blob: BlobHash([1; 32]),
                key: ShareKey::new([2; 32]),
            },
            size: BlobSize::new(300_000).expect("small"),
        };
        let bytes = container.encode();
        assert_eq!(&bytes[..8], b"\x89GYRE\r\n\x01");
        assert_eq!(bytes[8..12], ((bytes.len() - 12) as u32).to_le_bytes());
        let link = container.link.fragment();
        let mut expected = vec![0xa2, 0x64];
        expected.extend_from_slice(b"link");
        expected.extend_from_slice(&[0x78, link.len() as u8]);
        expected.extend_from_slice(link.as_bytes());
        expected.push(0x64);
        expected.extend_from_slice(b"size");
        expected.extend_from_slice(&[0x1a, 0x00, 0x04, 0x93, 0xe0]);
        assert_eq!(&bytes[12..], &expected[..]);
    }
}
