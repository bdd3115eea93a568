//! What a peer says of how much of a site it has: the word that a publisher waits for before it may leave.
//!
//! One message of fixed length on a stream of its own: the manifest, the files that are here whole, and the files that there are. It is
//! the sender's word; whoever needs more than that asks it for files. The bytes are in `docs/protocol.md`.

use bytes::{BufMut, Bytes, BytesMut};

use super::manifest::MAX_FILES;
use super::types::BlobHash;

/// Bytes of a message.
pub const MESSAGE_LEN: usize = 32 + 4 + 4;

/// One message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Holding {
    /// The version of the site.
    pub manifest: BlobHash,
    /// Files that the sender has whole.
    pub files: u32,
    /// Files that the version has.
    pub of: u32,
}

impl Holding {
    /// Whether that is all of them.
    pub fn is_whole(&self) -> bool {
        self.files == self.of
    }

    /// The bytes.
    pub fn encode(&self) -> Bytes {
        let mut out = BytesMut::with_capacity(MESSAGE_LEN);
        out.put_slice(&self.manifest.0);
        out.put_u32(self.files);
        out.put_u32(self.of);
        out.freeze()
    }

    /// Reads a message; `None` for whatever is none.
    pub fn decode(bytes: &[u8]) -> Option<Self> {
        let (manifest, rest) = bytes.split_first_chunk()?;
        let (files, rest) = rest.split_first_chunk()?;
        let of = rest.try_into().ok()?;
        let holding = Self {
            manifest: BlobHash(*manifest),
            files: u32::from_be_bytes(*files),
            of: u32::from_be_bytes(of),
        };
        let is_possible = holding.files <= holding.of && holding.of as usize <= MAX_FILES;
        is_possible.then_some(holding)
    }
}

#[cfg(all(test, not(target_arch = "wasm32")))]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_bytes_do_not_change() {
        let holding = Holding {
            manifest: BlobHash([7; 32]),
            files: 3,
            of: 258,
        };
        let mut bytes = vec![7; 32];
        bytes.extend([0, 0, 0, 3, 0, 0, 1, 2]);
        assert_eq!(holding.encode(), bytes);
        assert_eq!(Holding::decode(&bytes), Some(holding));
    }

    proptest! {
        #[test]
        fn whatever_is_read_was_written_so(bytes in prop::collection::vec(any::<u8>(), 0..50)) {
            match Holding::decode(&bytes) {
                Some(holding) => prop_assert_eq!(holding.encode(), bytes),
                None => {
                    let of = bytes.get(36..40).and_then(|of| of.try_into().ok()).map(u32::from_be_bytes);
                    let files = bytes.get(32..36).and_then(|of| of.try_into().ok()).map(u32::from_be_bytes);
                    prop_assert!(bytes.len() != MESSAGE_LEN || files > of || of > Some(MAX_FILES as u32));
                }
            }
        }
    }
}
