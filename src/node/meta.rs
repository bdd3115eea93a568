//! What the node remembers of a blob beside its chunks: name, key, when it was added. Opaque to the store.

use serde::{Deserialize, Serialize};

use crate::proto::link::Link;
use crate::proto::share::{ShareHeader, ShareKey};
use crate::proto::types::BlobHash;
use crate::proto::web_source::{self, WebSource};

/// Version of this record; `docs/storage.md` has the table.
const VERSION: u8 = 1;

/// Largest record that is read back, in bytes: names and types are far shorter.
const MAX_LEN: usize = 8 * 1024;

/// One blob's description. Stays on this machine: it holds the key.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct BlobMeta {
    version: u8,
    /// File name, once known.
    pub name: Option<String>,
    /// Media type, once known.
    pub media_type: Option<String>,
    /// Key of an encrypted share; `None` for a public blob.
    pub key: Option<[u8; 32]>,
    /// Content bytes, once known: less than the blob's size where it is encrypted.
    pub content_size: Option<u64>,
    /// The person stopped fetching it.
    pub paused: bool,
    /// Milliseconds since 1970.
    pub added_at: u64,
    /// When it was last opened, read or passed on, milliseconds since 1970; older records do not have it.
    #[serde(default)]
    pub last_used: Option<u64>,
    /// Whether it belongs to a site; older records do not have it.
    #[serde(default)]
    pub kind: Kind,
    /// Addresses on web servers; older records do not have them.
    #[serde(default)]
    sources: Vec<String>,
}

/// What a blob is to the person.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub enum Kind {
    /// A file of its own.
    #[default]
    File,
    /// The manifest of a site.
    Manifest,
    /// A file of a site: neither announced nor listed, and awake only while it is of use.
    Part,
}

impl std::fmt::Debug for BlobMeta {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self {
            name,
            content_size,
            key,
            ..
        } = self;
        f.debug_struct("BlobMeta")
            .field("name", name)
            .field("content_size", content_size)
            .field("encrypted", &key.is_some())
            .finish_non_exhaustive()
    }
}

impl BlobMeta {
    /// A blob of which only the link is known.
    pub fn new(key: Option<&ShareKey>, header: &ShareHeader, added_at: u64) -> Self {
        let key = key.map(|key| *key.expose());
        let mut meta = Self {
            version: VERSION,
            name: None,
            media_type: None,
            key,
            content_size: None,
            paused: false,
            added_at,
            last_used: None,
            kind: Kind::File,
            sources: Vec::new(),
        };
        meta.set_header(header);
        meta
    }

    /// A file of a site, of which the manifest says the size.
    pub fn part(size: u64, added_at: u64) -> Self {
        Self {
            content_size: Some(size),
            kind: Kind::Part,
            ..Self::new(None, &ShareHeader::default(), added_at)
        }
    }

    /// The manifest of a site.
    pub fn manifest(added_at: u64) -> Self {
        Self {
            kind: Kind::Manifest,
            ..Self::new(None, &ShareHeader::default(), added_at)
        }
    }

    /// As the store keeps it.
    pub fn encode(&self) -> bytes::Bytes {
        serde_ipld_dagcbor::to_vec(self)
            .expect("plain fields always encode")
            .into()
    }

    /// Reads what the store kept; `None` if it is not ours or from a newer version.
    pub fn decode(bytes: &[u8]) -> Option<Self> {
        if bytes.len() > MAX_LEN {
            return None;
        }
        serde_ipld_dagcbor::from_slice::<Self>(bytes)
            .ok()
            .filter(|meta| meta.version == VERSION)
    }

    /// The key, if it is an encrypted share.
    pub fn share_key(&self) -> Option<ShareKey> {
        self.key.map(ShareKey::new)
    }

    /// Name and type, empty where they are not known.
    pub fn header(&self) -> ShareHeader {
        ShareHeader::cleaned(
            self.name.as_deref().unwrap_or_default(),
            self.media_type.as_deref().unwrap_or_default(),
        )
    }

    /// Takes over what a header says, as far as it says something.
    pub fn set_header(&mut self, header: &ShareHeader) {
        let known = |text: &str| (!text.is_empty()).then(|| text.to_owned());
        self.name = known(header.name()).or(self.name.take());
        self.media_type = known(header.media_type()).or(self.media_type.take());
    }

    /// Where else it lies.
    pub fn sources(&self) -> Vec<WebSource> {
        let read = self
            .sources
            .iter()
            .filter_map(|text| WebSource::parse(text));
        web_source::merged(read)
    }

    /// Remembers where else it lies.
    pub fn set_sources(&mut self, sources: &[WebSource]) {
        self.sources = sources.iter().map(WebSource::to_string).collect();
    }

    /// Adds sources to those that are known, as far as there is room.
    pub fn add_sources(&mut self, more: Vec<WebSource>) {
        let all = web_source::merged(self.sources().into_iter().chain(more));
        self.set_sources(&all);
    }

    /// The fragment of that link, with its sources.
    pub fn fragment(&self, blob: BlobHash) -> String {
        let mut fragment = self.link(blob).fragment();
        web_source::append(&self.sources(), &mut fragment);
        fragment
    }

    /// The link under which others can open it.
    pub fn link(&self, blob: BlobHash) -> Link {
        match self.share_key() {
            Some(key) => Link::Share { blob, key },
            None => Link::Public {
                blob,
                header: self.header(),
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn comes_back_as_it_was() {
        let mut meta = BlobMeta::new(
            Some(&ShareKey::new([3; 32])),
            &ShareHeader::cleaned("a.txt", ""),
            17,
        );
        meta.content_size = Some(5);
        assert_eq!(BlobMeta::decode(&meta.encode()), Some(meta));
    }

    #[test]
    fn foreign_and_newer_records_are_refused() {
        let mut meta = BlobMeta::new(None, &ShareHeader::default(), 0);
        meta.version = 2;
        assert_eq!(BlobMeta::decode(&meta.encode()), None);
        assert_eq!(BlobMeta::decode(b"junk"), None);
        assert_eq!(BlobMeta::decode(&[0; MAX_LEN + 1]), None);
    }

    #[test]
    fn debug_does_not_show_the_key() {
        let meta = BlobMeta::new(Some(&ShareKey::new([0xab; 32])), &ShareHeader::default(), 0);
        assert!(!format!("{meta:?}").contains("171"));
    }
}
