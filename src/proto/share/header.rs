//! What a share says about its file: name and media type.
//!
//! Both come from a stranger and end up in a page and on a disk, so they are checked in both directions: a sharer is told
//! what is wrong with its name, a reader gets a harmless version of whatever was written.

use super::{SHARE_VERSION, ShareError};
use crate::proto::cbor::{CborError, Record, Writer};

/// Longest encoded header in bytes, its length field not counted. The longest name and type take a third of it.
pub const MAX_HEADER_LEN: usize = 4096;

/// Longest file name in bytes of UTF-8: four times what common file systems allow.
pub const MAX_NAME_LEN: usize = 1024;

/// Longest media type in bytes: type and subtype have at most 127 characters each (RFC 6838, section 4.2).
pub const MAX_TYPE_LEN: usize = 255;

/// Name and media type of a shared file; either may be empty, for *not known*.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
pub struct ShareHeader {
    name: String,
    media_type: String,
}

impl ShareHeader {
    /// Takes the name and type of a file that is about to be shared, exactly as they are.
    ///
    /// # Errors
    /// [`ShareError::BadName`] for a name of more than [`MAX_NAME_LEN`] bytes, with control characters, path separators
    /// or overrides of the writing direction, or made of dots only; [`ShareError::BadMediaType`] for a type of more than
    /// [`MAX_TYPE_LEN`] bytes or with anything but printable ASCII. [`clean_name`] and [`clean_media_type`] make both
    /// acceptable.
    pub fn new(name: &str, media_type: &str) -> Result<Self, ShareError> {
        if clean_name(name) != name {
            return Err(ShareError::BadName);
        }
        if clean_media_type(media_type) != media_type {
            return Err(ShareError::BadMediaType);
        }
        Ok(Self {
            name: name.to_owned(),
            media_type: media_type.to_owned(),
        })
    }

    /// Takes whatever a stranger wrote and makes it harmless.
    pub fn cleaned(name: &str, media_type: &str) -> Self {
        Self {
            name: clean_name(name),
            media_type: clean_media_type(media_type).to_owned(),
        }
    }

    /// The file's name: one path segment, or empty.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The file's media type as the sharer states it, or empty. Not to be trusted: a page that shows it as it says runs
    /// the stranger's scripts.
    pub fn media_type(&self) -> &str {
        &self.media_type
    }

    /// Appends the header with its length before it.
    pub(super) fn encode_to(&self, out: &mut Vec<u8>) {
        let encoded = encode(&self.name, &self.media_type);
        let len = u32::try_from(encoded.len()).expect("name and type have limits far below 4 GiB");
        out.extend_from_slice(&len.to_be_bytes());
        out.extend_from_slice(&encoded);
    }

    /// Reads what [`Self::encode_to`] wrote off the front of `plain`; the number is the bytes read.
    pub(super) fn decode_from(plain: &[u8]) -> Result<(Self, usize), ShareError> {
        let (len, rest) = plain
            .split_first_chunk::<4>()
            .ok_or(ShareError::MalformedHeader)?;
        let len = u32::from_be_bytes(*len) as usize;
        if len > MAX_HEADER_LEN {
            return Err(ShareError::MalformedHeader);
        }
        let encoded = rest.get(..len).ok_or(ShareError::MalformedHeader)?;
        let malformed = |_: CborError| ShareError::MalformedHeader;
        let record = Record::read(encoded).map_err(malformed)?;
        // Only the version, to name a newer one whatever else it holds.
        let v = record
            .field("v")
            .and_then(|mut v| v.uint())
            .map_err(malformed)?;
        if v != SHARE_VERSION {
            return Err(ShareError::UnsupportedVersion(v));
        }
        let text = |name| {
            record
                .field(name)
                .and_then(|mut field| field.text())
                .map_err(malformed)
        };
        let (name, media_type) = (text("name")?, text("type")?);
        // One header, one encoding: anything else was not written by this version.
        if encode(name, media_type) != encoded {
            return Err(ShareError::MalformedHeader);
        }
        Ok((Self::cleaned(name, media_type), 4 + len))
    }
}

/// Makes a file name harmless: one path segment of at most [`MAX_NAME_LEN`] bytes that reads as it is.
///
/// Separators become `_`. Control characters go, and so do overrides, embeddings and isolates of the writing direction,
/// which make `fdp.exe` look like `exe.pdf`. Names of dots only, which mean a directory, become empty.
pub fn clean_name(name: &str) -> String {
    let mut clean = String::with_capacity(name.len().min(MAX_NAME_LEN));
    for c in name.chars() {
        let c = match c {
            '/' | '\\' => '_',
            '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{2028}' | '\u{2029}' => continue,
            c if c.is_control() => continue,
            c => c,
        };
        if clean.len() + c.len_utf8() > MAX_NAME_LEN {
            break;
        }
        clean.push(c);
    }
    if clean.bytes().all(|byte| byte == b'.') {
        clean.clear();
    }
    clean
}

/// Returns the media type if it is printable ASCII of at most [`MAX_TYPE_LEN`] bytes, else an empty one.
pub fn clean_media_type(media_type: &str) -> &str {
    let fits = media_type.len() <= MAX_TYPE_LEN;
    if fits && media_type.bytes().all(|byte| (b' '..=b'~').contains(&byte)) {
        media_type
    } else {
        ""
    }
}

/// The header as DAG-CBOR, which orders the keys: by length, then by bytes.
fn encode(name: &str, media_type: &str) -> Vec<u8> {
    let mut out = Writer::default();
    out.map(3);
    out.text("v");
    out.uint(SHARE_VERSION);
    out.text("name");
    out.text(name);
    out.text("type");
    out.text(media_type);
    out.0
}

#[cfg(all(test, not(target_arch = "wasm32")))]
mod tests {
    #![allow(clippy::unwrap_used)]

    use proptest::prelude::*;
    use serde::Serialize;

    use super::*;

    fn encoded(header: &ShareHeader) -> Vec<u8> {
        let mut out = Vec::new();
        header.encode_to(&mut out);
        out
    }

    fn framed(fields: &[u8]) -> Vec<u8> {
        [&(fields.len() as u32).to_be_bytes(), fields].concat()
    }

    #[test]
    fn sharer_is_told_what_is_wrong() {
        for name in [
            "",
            "a.txt",
            "Bericht – Größe.pdf",
            ".hidden",
            "...a",
            "שלום.txt",
        ] {
            assert_eq!(ShareHeader::new(name, "").unwrap().name(), name);
        }
        let long = "x".repeat(MAX_NAME_LEN + 1);
        for name in [
            "a/b",
            "a\\b",
            ".",
            "..",
            "a\nb",
            "\0",
            "a\u{202e}fdp.exe",
            &long,
        ] {
            assert_eq!(
                ShareHeader::new(name, ""),
                Err(ShareError::BadName),
                "{name:?}"
            );
        }
        assert!(ShareHeader::new(&long[1..], "").is_ok());
        let long = "x".repeat(MAX_TYPE_LEN + 1);
        assert!(ShareHeader::new("", "text/plain; charset=utf-8").is_ok());
        for media_type in ["text/plain\r\nX-Evil: 1", "täxt/plain", &long] {
            assert_eq!(
                ShareHeader::new("", media_type),
                Err(ShareError::BadMediaType)
            );
        }
    }

    #[test]
    fn reader_gets_a_harmless_name() {
        assert_eq!(clean_name("../../etc/passwd"), ".._.._etc_passwd");
        assert_eq!(clean_name("..\\a\r\n\u{7f}\u{85}b"), ".._ab");
        assert_eq!(clean_name("\u{202e}txt.exe\u{2066}"), "txt.exe");
        assert_eq!(clean_name("."), "");
        assert_eq!(clean_name(".\u{1}."), "");
        // A long name is cut between characters.
        assert_eq!(clean_name(&"é".repeat(1000)).len(), MAX_NAME_LEN);
        assert_eq!(
            clean_name(&format!("a{}", "é".repeat(1000))).len(),
            MAX_NAME_LEN - 1
        );
        let evil = encode("../x\n", "a\0b");
        let (header, read) = ShareHeader::decode_from(&framed(&evil)).unwrap();
        assert_eq!(
            (header.name(), header.media_type(), read),
            (".._x", "", evil.len() + 4)
        );
    }

    #[test]
    fn newer_versions_are_named() {
        #[derive(Serialize)]
        struct Later {
            v: u64,
            name: &'static str,
            more: Vec<u8>,
        }
        let later = serde_ipld_dagcbor::to_vec(&Later {
            v: 2,
            name: "x",
            more: vec![1],
        })
        .unwrap();
        let verdict = ShareHeader::decode_from(&framed(&later));
        assert_eq!(verdict, Err(ShareError::UnsupportedVersion(2)));
        let later = serde_ipld_dagcbor::to_vec(&Later {
            v: 1,
            name: "x",
            more: vec![1],
        })
        .unwrap();
        let verdict = ShareHeader::decode_from(&framed(&later));
        assert_eq!(verdict, Err(ShareError::MalformedHeader));
    }

    #[test]
    fn other_encodings_are_refused() {
        let good = encoded(&ShareHeader::new("a", "b").unwrap());
        assert_eq!(good[4..], *b"\xa3\x61v\x01\x64name\x61a\x64type\x61b");
        for fields in [
            &b"\xa3\x64name\x61a\x64type\x61b\x61v\x01"[..],
            b"\xa3\x61v\x18\x01\x64name\x61a\x64type\x61b",
            b"\xbf\x61v\x01\x64name\x61a\x64type\x61b\xff",
            b"\xa3\x61v\x01\x64name\x61a\x64type\x61b\x00",
            b"\xa3\x61v\x01\x61v\x01\x64name\x61a\x64type\x61b",
            b"\xa2\x61v\x01\x64name\x61a",
            b"\xa3\x61v\x01\x64name\x61\xff\x64type\x61b",
            b"",
        ] {
            let verdict = ShareHeader::decode_from(&framed(fields));
            assert_eq!(verdict, Err(ShareError::MalformedHeader), "{fields:x?}");
        }
        for cut in 0..good.len() {
            let verdict = ShareHeader::decode_from(&good[..cut]);
            assert_eq!(verdict, Err(ShareError::MalformedHeader), "cut to {cut}");
        }
        let mut long = good.clone();
        long[..4].copy_from_slice(&(MAX_HEADER_LEN as u32 + 1).to_be_bytes());
        long.resize(MAX_HEADER_LEN + 100, 0);
        assert_eq!(
            ShareHeader::decode_from(&long),
            Err(ShareError::MalformedHeader)
        );
    }

    #[test]
    fn longest_header_fits_its_limit() {
        let header =
            ShareHeader::new(&"n".repeat(MAX_NAME_LEN), &"t".repeat(MAX_TYPE_LEN)).unwrap();
        assert!(encoded(&header).len() <= 4 + MAX_HEADER_LEN);
        assert_eq!(
            ShareHeader::decode_from(&encoded(&header)).unwrap().0,
            header
        );
    }

    proptest! {
        #[test]
        fn round_trip(name: String, media_type: String, after: Vec<u8>) {
            let header = ShareHeader::cleaned(&name, &media_type);
            prop_assert_eq!(&ShareHeader::new(header.name(), header.media_type()).unwrap(), &header);
            let mut plain = encoded(&header);
            let len = plain.len();
            plain.extend(after);
            prop_assert_eq!(ShareHeader::decode_from(&plain), Ok((header, len)));
        }

        #[test]
        fn any_bytes_never_panic(fields in prop::collection::vec(any::<u8>(), 0..200)) {
            let _ = ShareHeader::decode_from(&fields);
            if let Ok((header, len)) = ShareHeader::decode_from(&framed(&fields)) {
                prop_assert_eq!(len, fields.len() + 4);
                prop_assert!(ShareHeader::new(header.name(), header.media_type()).is_ok());
            }
        }

        #[test]
        fn a_damaged_header_never_panics(at: prop::sample::Index, byte: u8) {
            let mut plain = encoded(&ShareHeader::new("holiday.jpg", "image/jpeg").unwrap());
            let at = at.index(plain.len());
            plain[at] = byte;
            if let Ok((header, _)) = ShareHeader::decode_from(&plain) {
                prop_assert!(ShareHeader::new(header.name(), header.media_type()).is_ok());
            }
        }
    }
}
