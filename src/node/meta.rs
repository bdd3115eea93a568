//! What the node remembers of a blob beside its chunks: name, key, when it was added. Opaque to the store.

use crate::proto::cbor::{CborError, Reader, Record, Writer};
use crate::proto::link::Link;
use crate::proto::share::{ShareHeader, ShareKey};
use crate::proto::types::BlobHash;
use crate::proto::web_source::{self, WebSource};

/// Version of this record; `docs/storage.md` has the table.
const VERSION: u64 = 1;

/// Largest record that is read back, in bytes: names and types are far shorter.
const MAX_LEN: usize = 8 * 1024;

/// One blob's description. Stays on this machine: it holds the key.
#[derive(Clone, PartialEq, Eq)]
pub struct BlobMeta {
    version: u64,
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
    pub last_used: Option<u64>,
    /// Whether it belongs to a site; older records do not have it.
    pub kind: Kind,
    /// Addresses on web servers; older records do not have them.
    sources: Vec<String>,
}

/// What a blob is to the person.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Kind {
    /// A file of its own.
    #[default]
    File,
    /// The manifest of a site.
    Manifest,
    /// A file of a site: neither announced nor listed, and awake only while it is of use.
    Part,
    /// Attached to mail that is kept for others: announced and not listed.
    Kept,
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

    /// What is attached to mail that is kept for others.
    pub fn kept(added_at: u64) -> Self {
        Self {
            kind: Kind::Kept,
            ..Self::new(None, &ShareHeader::default(), added_at)
        }
    }

    /// As the store keeps it.
    pub fn encode(&self) -> bytes::Bytes {
        let mut out = Writer::default();
        out.map(10);
        out.text("key");
        match &self.key {
            Some(key) => {
                out.array(key.len());
                key.iter().for_each(|byte| out.uint(u64::from(*byte)));
            }
            None => out.null(),
        }
        out.text("kind");
        out.text(self.kind.name());
        out.text("name");
        out.optional_text(self.name.as_deref());
        out.text("paused");
        out.bool(self.paused);
        out.text("sources");
        out.array(self.sources.len());
        self.sources.iter().for_each(|source| out.text(source));
        out.text("version");
        out.uint(self.version);
        out.text("added_at");
        out.uint(self.added_at);
        out.text("last_used");
        out.optional_uint(self.last_used);
        out.text("media_type");
        out.optional_text(self.media_type.as_deref());
        out.text("content_size");
        out.optional_uint(self.content_size);
        out.0.into()
    }

    /// Reads what the store kept; `None` if it is not ours or from a newer version.
    pub fn decode(bytes: &[u8]) -> Option<Self> {
        if bytes.len() > MAX_LEN {
            return None;
        }
        Self::read(bytes)
            .ok()
            .filter(|meta| meta.version == VERSION)
    }

    fn read(bytes: &[u8]) -> Result<Self, CborError> {
        let record = Record::read(bytes)?;
        let text = |name| -> Result<Option<String>, CborError> {
            let text = record.optional(name).map(|mut field| field.text());
            Ok(text.transpose()?.map(str::to_owned))
        };
        let number = |name| {
            record
                .optional(name)
                .map(|mut field| field.uint())
                .transpose()
        };
        Ok(Self {
            version: record.field("version")?.uint()?,
            name: text("name")?,
            media_type: text("media_type")?,
            key: record.optional("key").map(read_key).transpose()?,
            content_size: number("content_size")?,
            paused: record.field("paused")?.bool()?,
            added_at: record.field("added_at")?.uint()?,
            last_used: number("last_used")?,
            kind: match text("kind")? {
                Some(name) => Kind::of_name(&name).ok_or(CborError::Malformed)?,
                None => Kind::default(),
            },
            sources: record
                .optional("sources")
                .map_or(Ok(Vec::new()), read_texts)?,
        })
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

impl Kind {
    fn name(self) -> &'static str {
        match self {
            Self::File => "File",
            Self::Manifest => "Manifest",
            Self::Part => "Part",
            Self::Kept => "Kept",
        }
    }

    /// Whether it is here for something else than for itself: once the person opens or shares it, it is a file.
    pub fn is_incidental(self) -> bool {
        matches!(self, Self::Part | Self::Kept)
    }

    fn of_name(name: &str) -> Option<Self> {
        let kinds = [Self::File, Self::Manifest, Self::Part, Self::Kept];
        kinds.into_iter().find(|kind| kind.name() == name)
    }
}

/// A key stands there as 32 numbers.
fn read_key(mut field: Reader<'_>) -> Result<[u8; 32], CborError> {
    let mut key = [0; 32];
    if field.array()? != key.len() {
        return Err(CborError::Malformed);
    }
    for byte in &mut key {
        *byte = u8::try_from(field.uint()?).map_err(|_| CborError::Malformed)?;
    }
    Ok(key)
}

fn read_texts(mut field: Reader<'_>) -> Result<Vec<String>, CborError> {
    (0..field.array()?)
        .map(|_| field.text().map(str::to_owned))
        .collect()
}

#[cfg(all(test, not(target_arch = "wasm32")))]
mod tests {
    #![allow(clippy::unwrap_used)]
    use proptest::prelude::*;
    use serde::Serialize;

    use super::*;

    /// The record as a general codec knows it.
    #[derive(Serialize)]
    struct Whole<'a> {
        version: u64,
        name: &'a Option<String>,
        media_type: &'a Option<String>,
        key: &'a Option<[u8; 32]>,
        content_size: Option<u64>,
        paused: bool,
        added_at: u64,
        last_used: Option<u64>,
        kind: &'a str,
        sources: &'a [String],
    }

    fn meta() -> impl Strategy<Value = BlobMeta> {
        let text = || prop::option::of(".{0,40}");
        let number = || prop::option::of(any::<u64>());
        let kind = prop::sample::select(vec![Kind::File, Kind::Manifest, Kind::Part, Kind::Kept]);
        (
            (
                text(),
                text(),
                prop::option::of(any::<[u8; 32]>()),
                number(),
            ),
            (
                any::<bool>(),
                any::<u64>(),
                number(),
                kind,
                prop::collection::vec(".{0,40}", 0..4),
            ),
        )
            .prop_map(
                |(
                    (name, media_type, key, content_size),
                    (paused, added_at, last_used, kind, sources),
                )| BlobMeta {
                    version: VERSION,
                    name,
                    media_type,
                    key,
                    content_size,
                    paused,
                    added_at,
                    last_used,
                    kind,
                    sources,
                },
            )
    }

    proptest! {
        #[test]
        fn has_the_bytes_that_a_general_codec_writes(meta in meta()) {
            let BlobMeta { version, name, media_type, key, content_size, paused, added_at, last_used, kind, sources } = &meta;
            let kind = match kind {
                Kind::File => "File",
                Kind::Manifest => "Manifest",
                Kind::Part => "Part",
                Kind::Kept => "Kept",
            };
            let whole = Whole {
                version: *version, name, media_type, key, content_size: *content_size, paused: *paused, added_at: *added_at,
                last_used: *last_used, kind, sources,
            };
            let bytes = meta.encode();
            prop_assert_eq!(serde_ipld_dagcbor::to_vec(&whole).unwrap(), bytes.to_vec());
            prop_assert_eq!(BlobMeta::decode(&bytes), Some(meta));
        }

        #[test]
        fn broken_records_are_read_or_refused(meta in meta(), at in any::<prop::sample::Index>(), flip in 1u8..) {
            let mut bytes = meta.encode().to_vec();
            let at = at.index(bytes.len());
            prop_assert_eq!(BlobMeta::decode(&bytes[..at]), None);
            bytes[at] ^= flip;
            let read = BlobMeta::decode(&bytes);
            prop_assert!(read.is_none_or(|read| read.version == VERSION));
        }
    }

    #[test]
    fn records_of_the_first_versions_are_read() {
        #[derive(Serialize)]
        struct First {
            version: u8,
            name: Option<&'static str>,
            media_type: Option<&'static str>,
            key: Option<[u8; 32]>,
            content_size: Option<u64>,
            paused: bool,
            added_at: u64,
        }
        let first = First {
            version: 1,
            name: Some("a"),
            media_type: None,
            key: Some([200; 32]),
            content_size: Some(70_000),
            paused: true,
            added_at: 9,
        };
        let read = BlobMeta::decode(&serde_ipld_dagcbor::to_vec(&first).unwrap()).unwrap();
        assert_eq!(
            (read.name.as_deref(), read.key, read.content_size),
            (Some("a"), Some([200; 32]), Some(70_000))
        );
        assert_eq!(
            (read.last_used, read.kind, read.paused, read.added_at),
            (None, Kind::File, true, 9)
        );
    }

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
