//! Links: an address, and what only the person who got the link may know.
//!
//! `https://HOST/#/f/<cid>?k=<key>` opens an encrypted share, `https://HOST/#/f/<cid>?n=<name>&t=<type>` a public blob; either
//! may name web servers as well (`web_source`).
//! Everything stands in the fragment, which browsers do not send: HOST learns neither key nor name, and may be any host
//! that serves the app, so it is not part of a [`Link`].
//!
//! The CID must be spelt in the one way this module spells it (version 1, codec `raw`, BLAKE3-256, base32 in lower case):
//! two links are the same file exactly if their CIDs are the same text. Parameters that this version does not know are
//! skipped. The name and type of a public link decorate it; they are cleaned, and never a reason to refuse the file.

use std::borrow::Cow;
use std::fmt;

use cid::{Cid, Version};
use multihash::Multihash;
use zeroize::Zeroizing;

use super::base::{Base, cid_from_text, cid_text};
use super::share::{KEY_LEN, ShareHeader, ShareKey};
use super::types::BlobHash;

/// Longest link in bytes: host and CID, and the longest name, type and web sources with every byte percent-encoded, rounded
/// up.
pub const MAX_LINK_LEN: usize = 16_384;

/// Bytes of a blob's CID as text: the multibase letter and 36 bytes in base32.
pub const CID_LEN: usize = 59;

/// What a link says, apart from the host.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Link {
    /// An encrypted file; its name and type are inside.
    Share {
        /// The blob that holds the sealed file.
        blob: BlobHash,
        /// What opens it.
        key: ShareKey,
    },
    /// A blob that is the file itself.
    Public {
        /// The file's own hash.
        blob: BlobHash,
        /// Name and type, as the link states them.
        header: ShareHeader,
    },
}

/// Why a text is not a link that this version opens.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum LinkError {
    /// Neither a web address with a fragment of ours, nor such a fragment.
    #[error("this is not a link to a file")]
    NotALink,
    /// The text is longer than [`MAX_LINK_LEN`].
    #[error("this is too long to be a link")]
    TooLong,
    /// A link to something this version cannot open yet.
    #[error("this version cannot open links to {0}")]
    Unsupported(LinkKind),
    /// The CID stops before its end.
    #[error("the link is cut off: its address has {found} of {CID_LEN} characters")]
    TruncatedCid {
        /// Characters there are.
        found: usize,
    },
    /// The CID is no CID, or spelt in another way than in our links.
    #[error("the address in the link is damaged")]
    BadCid,
    /// The CID names something other than plain bytes.
    #[error("the link names data of kind {0:#x}, not a file")]
    WrongCodec(u64),
    /// The CID does not use BLAKE3 with 256 bits.
    #[error("the link uses hash function {0:#x}, not BLAKE3")]
    WrongHashFunction(u64),
    /// The key is not base64url.
    #[error("the key in the link is damaged")]
    BadKey,
    /// The key is too short or too long.
    #[error("the key in the link has {found} bytes, not {KEY_LEN}")]
    BadKeyLength {
        /// Bytes there are.
        found: usize,
    },
    /// A parameter stands there twice, so it is open which one is meant.
    #[error("the link has more than one parameter {0:?}")]
    Repeated(char),
}

/// What else links can lead to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum LinkKind {
    /// `#/s/<name>/<path>`.
    Site,
    /// `#/m/<identity>`.
    Mail,
}

impl Link {
    /// Reads a link with any host, or a fragment alone, with or without the `#`.
    ///
    /// # Errors
    /// A [`LinkError`] that can be shown to the person who followed the link.
    pub fn parse(text: &str) -> Result<Self, LinkError> {
        let text = text.trim();
        if text.len() > MAX_LINK_LEN {
            return Err(LinkError::TooLong);
        }
        let rest = fragment_of(text)?;
        let rest = match rest.split_at_checked(3) {
            Some(("/f/", rest)) => rest,
            Some(("/s/", _)) => return Err(LinkError::Unsupported(LinkKind::Site)),
            Some(("/m/", _)) => return Err(LinkError::Unsupported(LinkKind::Mail)),
            _ => return Err(LinkError::NotALink),
        };
        let (cid, query) = rest.split_once('?').unwrap_or((rest, ""));
        let blob = parse_cid(cid)?;

        let [mut key, mut name, mut media_type] = [None; 3];
        for (parameter, value) in query.split('&').filter_map(|part| part.split_once('=')) {
            let (letter, slot) = match parameter {
                "k" => ('k', &mut key),
                "n" => ('n', &mut name),
                "t" => ('t', &mut media_type),
                _ => continue,
            };
            if slot.replace(value).is_some() {
                return Err(LinkError::Repeated(letter));
            }
        }
        Ok(match key {
            Some(key) => Self::Share {
                blob,
                key: parse_key(key)?,
            },
            None => {
                let name = percent_decode(name.unwrap_or_default());
                let media_type = percent_decode(media_type.unwrap_or_default());
                Self::Public {
                    blob,
                    header: ShareHeader::cleaned(&name, &media_type),
                }
            }
        })
    }

    /// The blob that the link leads to.
    pub fn blob(&self) -> BlobHash {
        match self {
            Self::Share { blob, .. } | Self::Public { blob, .. } => *blob,
        }
    }

    /// The fragment with its `#`. That of a share holds the secret key.
    pub fn fragment(&self) -> String {
        let mut text = format!("#/f/{}", blob_cid(self.blob()));
        match self {
            Self::Share { key, .. } => {
                text.push_str("?k=");
                text.push_str(&Zeroizing::new(Base::Base64Url.encode(key.expose())));
            }
            Self::Public { header, .. } => {
                let parameters = [("n", header.name()), ("t", header.media_type())];
                let mut mark = '?';
                for (parameter, value) in parameters.into_iter().filter(|(_, v)| !v.is_empty()) {
                    text.push(mark);
                    text.push_str(parameter);
                    text.push('=');
                    percent_encode(value, &mut text);
                    mark = '&';
                }
            }
        }
        text
    }

    /// The whole link on `host`, an origin such as `https://gyre.example`, with or without a slash at its end.
    pub fn url(&self, host: &str) -> String {
        format!("{}/{}", host.trim_end_matches('/'), self.fragment())
    }
}

impl fmt::Display for LinkKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Site => "sites",
            Self::Mail => "mail addresses",
        })
    }
}

/// The CID of a blob as text: version 1, codec `raw`, BLAKE3-256, base32.
pub fn blob_cid(hash: BlobHash) -> String {
    cid_text(&cid_of(RAW, hash))
}

/// The CID of a manifest as text: version 1, codec `dag-cbor`, BLAKE3-256, base32.
pub fn manifest_cid(hash: BlobHash) -> String {
    cid_text(&cid_of(DAG_CBOR, hash))
}

/// The same as a value.
pub fn manifest_as_cid(hash: BlobHash) -> Cid {
    cid_of(DAG_CBOR, hash)
}

/// The same as bytes.
pub fn manifest_cid_bytes(hash: BlobHash) -> Vec<u8> {
    cid_of(DAG_CBOR, hash).to_bytes()
}

/// Reads what [`manifest_cid_bytes`] wrote.
pub fn manifest_from_cid_bytes(bytes: &[u8]) -> Option<BlobHash> {
    let digest = bytes.get(bytes.len().checked_sub(32)?..)?;
    let hash = BlobHash(digest.try_into().ok()?);
    (manifest_cid_bytes(hash) == bytes).then_some(hash)
}

fn cid_of(codec: u64, hash: BlobHash) -> Cid {
    let digest = Multihash::wrap(BLAKE3, &hash.0).expect("32 bytes fit into a multihash of 64");
    Cid::new_v1(codec, digest)
}

/// Reads what [`blob_cid`] wrote.
///
/// # Errors
/// [`LinkError::TruncatedCid`], [`LinkError::BadCid`], [`LinkError::WrongCodec`] or [`LinkError::WrongHashFunction`].
pub fn parse_cid(text: &str) -> Result<BlobHash, LinkError> {
    parse_cid_of(RAW, CID_PREFIX, text)
}

/// Reads what [`manifest_cid`] wrote.
///
/// # Errors
/// As for [`parse_cid`].
pub fn parse_manifest_cid(text: &str) -> Result<BlobHash, LinkError> {
    parse_cid_of(DAG_CBOR, MANIFEST_PREFIX, text)
}

fn parse_cid_of(codec: u64, prefix: &str, text: &str) -> Result<BlobHash, LinkError> {
    // CIDs of one kind are the same in their first characters, whatever the hash.
    let ours = text.starts_with(prefix) || prefix.starts_with(text);
    if ours && text.len() < CID_LEN {
        return Err(LinkError::TruncatedCid { found: text.len() });
    }
    if text.len() > MAX_FOREIGN_CID_LEN || !text.starts_with('b') || text.contains('/') {
        return Err(LinkError::BadCid);
    }
    let cid = cid_from_text(text).ok_or(LinkError::BadCid)?;
    // One CID, one spelling; this also refuses bytes after the end.
    if cid.version() != Version::V1 || cid_text(&cid) != text {
        return Err(LinkError::BadCid);
    }
    if cid.codec() != codec {
        return Err(LinkError::WrongCodec(cid.codec()));
    }
    if cid.hash().code() != BLAKE3 {
        return Err(LinkError::WrongHashFunction(cid.hash().code()));
    }
    cid.hash()
        .digest()
        .try_into()
        .map(BlobHash)
        .map_err(|_| LinkError::BadCid)
}

/// What follows the `#`.
fn fragment_of(text: &str) -> Result<&str, LinkError> {
    if let Some(fragment) = text.strip_prefix('#') {
        return Ok(fragment);
    }
    if text.starts_with('/') {
        return Ok(text);
    }
    let (address, fragment) = text.split_once('#').ok_or(LinkError::NotALink)?;
    let scheme = address
        .split_once("://")
        .map(|(scheme, _)| scheme)
        .unwrap_or_default();
    if scheme.eq_ignore_ascii_case("https") || scheme.eq_ignore_ascii_case("http") {
        Ok(fragment)
    } else {
        Err(LinkError::NotALink)
    }
}

fn parse_key(text: &str) -> Result<ShareKey, LinkError> {
    let bytes = Base::Base64Url.decode(text).ok_or(LinkError::BadKey)?;
    let bytes = Zeroizing::new(bytes);
    let key = <[u8; KEY_LEN]>::try_from(&bytes[..]);
    key.map(ShareKey::new)
        .map_err(|_| LinkError::BadKeyLength { found: bytes.len() })
}

/// Leaves only the unreserved characters of RFC 3986 as they are, so that programs that find links in a text see the end.
pub(crate) fn percent_encode(text: &str, out: &mut String) {
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            out.push(byte.into());
        } else {
            out.push('%');
            out.push_str(&Base::Hex.encode(&[byte]).to_ascii_uppercase());
        }
    }
}

/// Decodes what can be decoded; a `%` that begins no byte stays, bytes that are no UTF-8 become replacement characters.
pub(crate) fn percent_decode(text: &str) -> Cow<'_, str> {
    if !text.contains('%') {
        return text.into();
    }
    String::from_utf8_lossy(&percent_bytes(text))
        .into_owned()
        .into()
}

/// The bytes that a percent-encoded text stands for; a `%` that begins no byte stays.
pub(super) fn percent_bytes(text: &str) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let [first, after @ ..] = rest {
        rest = after;
        let mut byte = *first;
        if let (b'%', Some((&[high, low], after))) = (byte, after.split_first_chunk()) {
            let digits = (char::from(high).to_digit(16), char::from(low).to_digit(16));
            if let (Some(high), Some(low)) = digits {
                byte = (high << 4 | low) as u8;
                rest = after;
            }
        }
        bytes.push(byte);
    }
    bytes
}

/// Codec `raw` of the multicodec table.
const RAW: u64 = 0x55;

/// Codec `dag-cbor` of the multicodec table.
const DAG_CBOR: u64 = 0x71;

/// Hash function `blake3` of the multicodec table.
const BLAKE3: u64 = 0x1e;

/// The first characters of every blob's CID: the bytes 01 55 1e 20 in base32, as far as the hash has no part in them.
const CID_PREFIX: &str = "bafkr4i";

/// The same of every manifest's: 01 71 1e 20.
const MANIFEST_PREFIX: &str = "bafyr4i";

/// Characters of the longest CID worth naming an error for: 1 byte of version, codec and hash function of up to 9 bytes,
/// 1 of length, a digest of 64, the most the multihash type holds; in base32.
const MAX_FOREIGN_CID_LEN: usize = 1 + (84usize * 8).div_ceil(5);

#[cfg(all(test, not(target_arch = "wasm32")))]
mod tests;
