//! Manifests: the files of one version of a site, as one deterministic DAG-CBOR block that its hash names.
//!
//! A manifest is itself a blob and travels as one. It is read once, in one pass, into a table of positions; paths and hashes stay
//! where they are in its bytes. Whatever has two encodings is refused in all but one of them: files stand in the order of
//! [`path::order`], the tables of media types and headers are sorted and hold nothing unused, defaults are left out. So the same
//! site always has the same address, and two files cannot claim one place. `docs/sites.md` has the byte table.

pub mod build;
pub mod diff;
pub mod headers;
pub mod media;
pub mod path;

use std::cmp::Ordering;
use std::fmt;

use bytes::Bytes;

use self::headers::{Headers, is_media_type};
use self::path::{Normalise, PathError, check_path, is_folder_of, order};
use super::cbor::{CborError, Reader, Writer};
use super::link::{manifest_cid, manifest_cid_bytes, manifest_from_cid_bytes};
use super::share::clean_name;
use super::site::redirects::{MAX_RULES, Rule};
use super::types::{BlobHash, MAX_BLOB_SIZE};

/// Version of the format.
pub const MANIFEST_VERSION: u64 = 1;

/// Longest manifest in bytes: [`MAX_FILES`] with a mean path of 120 bytes. Ours; one of two thirds of this is read in less than a second
/// by an unoptimised build.
pub const MAX_MANIFEST_LEN: usize = 16 * 1024 * 1024;

/// Most files of a site. Ours: the largest documentation sites have some ten thousand.
pub const MAX_FILES: usize = 100_000;

/// Most bytes that the files of a site have together: what the largest blob may have, so that sums stay sums.
pub const MAX_SITE_SIZE: u64 = MAX_BLOB_SIZE;

/// Most different media types.
pub const MAX_TYPES: usize = 1024;

/// Most different sets of headers.
pub const MAX_HEADER_SETS: usize = 256;

/// Longest name of a site in bytes: a window's title shows less.
pub const MAX_SITE_NAME_LEN: usize = 255;

/// The file that stands for its folder unless the manifest names another.
pub const DEFAULT_INDEX: &str = "index.html";

/// Seconds since 1970 that a version may claim at most: the year 36,812, which every clock can show.
pub const MAX_TIME: u64 = 1 << 40;

/// One version of a site.
#[derive(Clone)]
pub struct Manifest {
    bytes: Bytes,
    hash: BlobHash,
    rows: Vec<Row>,
    types: Vec<String>,
    headers: Vec<Headers>,
    extra: Extra,
    size: u64,
}

/// What a manifest says beside its files.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Extra {
    /// What the site is called, or empty.
    pub name: String,
    /// When this version was made, in seconds since 1970 by the publisher's clock; 0 if it does not say.
    pub time: u64,
    /// The manifest of the version before.
    pub previous: Option<BlobHash>,
    /// The file that stands for its folder; empty for [`DEFAULT_INDEX`].
    pub index: String,
    /// The file that is shown where there is none, with status 404.
    pub missing: Option<String>,
    /// The file that is shown where there is none, with status 200: the page of an application that routes by itself.
    pub fallback: Option<String>,
    /// What leads elsewhere, first match first.
    pub redirects: Vec<Rule>,
}

/// One file of a site.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Entry<'a> {
    /// Where it stands, without a slash in front.
    pub path: &'a str,
    /// Its bytes.
    pub blob: BlobHash,
    /// How many; the publisher's word until the blob has proved it.
    pub size: u64,
    /// Its media type.
    pub media_type: &'a str,
    /// Further headers.
    pub headers: Option<&'a Headers>,
}

/// Why bytes are no manifest, or files make none.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ManifestError {
    /// More than [`MAX_MANIFEST_LEN`] bytes.
    #[error("the list of files has {0} bytes, more than {MAX_MANIFEST_LEN}")]
    TooLong(u64),
    /// The bytes are no CBOR of the expected shape.
    #[error("the list of files is damaged")]
    Malformed,
    /// They stop before their end.
    #[error("the list of files is cut off")]
    Truncated,
    /// They go on after their end.
    #[error("the list of files goes on after its end")]
    Trailing,
    /// A number or a length is not in its shortest form, or a default is written out.
    #[error("the list of files is not in its one encoding")]
    NotCanonical,
    /// A version that is not known.
    #[error("the list of files has version {0}, this program knows {MANIFEST_VERSION}")]
    Version(u64),
    /// A key that is not known, stands there twice, is out of order, or is missing.
    #[error("the list of files has unexpected fields")]
    BadField,
    /// More of something than a site may have.
    #[error("the site has too many {0}")]
    TooMany(&'static str),
    /// A path that is none.
    #[error("\"{path}\" cannot be published: {reason}")]
    BadPath {
        /// The text.
        path: String,
        /// What is wrong.
        reason: PathError,
    },
    /// Two files in one place, a file where a folder is, or files out of order.
    #[error("\"{0}\" is there twice, or out of order, or both a file and a folder")]
    Collision(String),
    /// A file or the site is larger than [`MAX_SITE_SIZE`].
    #[error("the site is too large")]
    TooLarge,
    /// A media type, a header, a name, a time or a redirect that is not allowed.
    #[error("the site has a bad {0}")]
    BadValue(&'static str),
    /// A file is named that is not there.
    #[error("the site names \"{0}\", which it does not have")]
    NoSuchFile(String),
}

impl From<CborError> for ManifestError {
    fn from(error: CborError) -> Self {
        match error {
            CborError::Malformed => Self::Malformed,
            CborError::Truncated => Self::Truncated,
            CborError::NotCanonical => Self::NotCanonical,
        }
    }
}

impl ManifestError {
    /// A code that does not change between versions.
    pub fn code(&self) -> &'static str {
        match self {
            Self::TooLong(_) => "too-long",
            Self::Malformed => "malformed",
            Self::Truncated => "truncated",
            Self::Trailing => "trailing",
            Self::NotCanonical => "not-canonical",
            Self::Version(_) => "version",
            Self::BadField => "bad-field",
            Self::TooMany(_) => "too-many",
            Self::BadPath { .. } => "bad-path",
            Self::Collision(_) => "collision",
            Self::TooLarge => "too-large",
            Self::BadValue(_) => "bad-value",
            Self::NoSuchFile(_) => "no-such-file",
        }
    }
}

impl Manifest {
    /// Reads a manifest. The cost is bounded by its length, and by [`MAX_MANIFEST_LEN`].
    ///
    /// # Errors
    /// A [`ManifestError`].
    pub fn parse(bytes: Bytes, normalise: Normalise) -> Result<Self, ManifestError> {
        if bytes.len() > MAX_MANIFEST_LEN {
            return Err(ManifestError::TooLong(bytes.len() as u64));
        }
        let mut reader = Reader::new(&bytes);
        let mut parser = Parser {
            normalise,
            ..Parser::default()
        };
        let fields = reader.map()?;
        let mut last = None;
        for _ in 0..fields {
            let key = reader.text()?;
            let place = KEYS.iter().position(|known| *known == key);
            if place.is_none() || place <= last {
                return Err(ManifestError::BadField);
            }
            last = place;
            parser.field(key, &mut reader)?;
        }
        if !reader.is_at_end() {
            return Err(ManifestError::Trailing);
        }
        let Parser {
            rows,
            types,
            headers,
            extra,
            size,
            ..
        } = parser.checked()?;
        let hash = BlobHash(*blake3::hash(&bytes).as_bytes());
        let manifest = Self {
            bytes,
            hash,
            rows,
            types,
            headers,
            extra,
            size,
        };
        manifest.check_references()?;
        Ok(manifest)
    }

    /// Its bytes.
    pub fn bytes(&self) -> &Bytes {
        &self.bytes
    }

    /// Their hash.
    pub fn hash(&self) -> BlobHash {
        self.hash
    }

    /// The hash as an address: CIDv1, `dag-cbor`, BLAKE3-256, base32.
    pub fn cid(&self) -> String {
        manifest_cid(self.hash)
    }

    /// What it says beside its files.
    pub fn extra(&self) -> &Extra {
        &self.extra
    }

    /// Number of files.
    pub fn len(&self) -> usize {
        self.rows.len()
    }

    /// Whether it has no file.
    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// Bytes of all files together.
    pub fn size(&self) -> u64 {
        self.size
    }

    /// The file that stands for its folder.
    pub fn index(&self) -> &str {
        match self.extra.index.as_str() {
            "" => DEFAULT_INDEX,
            index => index,
        }
    }

    /// The file at `path`.
    pub fn get(&self, path: &str) -> Option<Entry<'_>> {
        let found = self
            .rows
            .binary_search_by(|row| order(self.path_of(row), path));
        found.ok().map(|at| self.entry_of(&self.rows[at]))
    }

    /// Whether there are files in the folder `path`, given without a slash at its end.
    pub fn has_folder(&self, path: &str) -> bool {
        let next = self
            .rows
            .partition_point(|row| order(self.path_of(row), path) != Ordering::Greater);
        self.rows
            .get(next)
            .is_some_and(|row| is_folder_of(path, self.path_of(row)))
    }

    /// All files in their order.
    pub fn entries(&self) -> impl ExactSizeIterator<Item = Entry<'_>> {
        self.rows.iter().map(|row| self.entry_of(row))
    }

    /// The file at this place in the order.
    pub fn entry(&self, at: usize) -> Option<Entry<'_>> {
        self.rows.get(at).map(|row| self.entry_of(row))
    }

    fn path_of(&self, row: &Row) -> &str {
        let range = row.path as usize..row.path as usize + usize::from(row.path_len);
        std::str::from_utf8(&self.bytes[range]).expect("it was read as text from this place")
    }

    fn entry_of(&self, row: &Row) -> Entry<'_> {
        let hash = self.bytes[row.hash as usize..].first_chunk();
        Entry {
            path: self.path_of(row),
            blob: BlobHash(*hash.expect("32 bytes were read from this place")),
            size: row.size,
            media_type: &self.types[usize::from(row.media)],
            headers: row.headers.map(|at| &self.headers[usize::from(at)]),
        }
    }

    fn check_references(&self) -> Result<(), ManifestError> {
        let pages = [&self.extra.missing, &self.extra.fallback];
        match pages
            .into_iter()
            .flatten()
            .find(|path| self.get(path).is_none())
        {
            Some(path) => Err(ManifestError::NoSuchFile(path.clone())),
            None => Ok(()),
        }
    }
}

impl fmt::Debug for Manifest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "Manifest({}, {} files, {} bytes)",
            self.cid(),
            self.len(),
            self.size
        )
    }
}

impl PartialEq for Manifest {
    fn eq(&self, other: &Self) -> bool {
        self.hash == other.hash
    }
}

impl Eq for Manifest {}

/// Where one file stands in the bytes.
#[derive(Debug, Clone, Copy)]
struct Row {
    path: u32,
    hash: u32,
    size: u64,
    path_len: u16,
    media: u16,
    headers: Option<u16>,
}

/// The fields as they come.
struct Parser {
    normalise: Normalise,
    version: bool,
    files: bool,
    rows: Vec<Row>,
    types: Vec<String>,
    headers: Vec<Headers>,
    extra: Extra,
    size: u64,
}

impl Default for Parser {
    fn default() -> Self {
        Self {
            normalise: str::to_owned,
            version: false,
            files: false,
            rows: Vec::new(),
            types: Vec::new(),
            headers: Vec::new(),
            extra: Extra::default(),
            size: 0,
        }
    }
}

impl Parser {
    fn field(&mut self, key: &str, reader: &mut Reader<'_>) -> Result<(), ManifestError> {
        let extra = &mut self.extra;
        match key {
            "v" => {
                self.version = true;
                match reader.uint()? {
                    MANIFEST_VERSION => {}
                    other => return Err(ManifestError::Version(other)),
                }
            }
            "spa" => extra.fallback = Some(reader.text()?.to_owned()),
            "name" => extra.name = given(reader.text()?, is_site_name, "name")?,
            "prev" => {
                let cid = manifest_from_cid_bytes(reader.link()?);
                extra.previous = Some(cid.ok_or(ManifestError::BadValue("link"))?);
            }
            "time" => match reader.uint()? {
                0 => return Err(ManifestError::NotCanonical),
                time if time > MAX_TIME => return Err(ManifestError::BadValue("time")),
                time => extra.time = time,
            },
            "files" => self.files(reader)?,
            "index" => extra.index = given(reader.text()?, is_index, "index")?,
            "types" => {
                for _ in 0..bounded(reader.array()?, MAX_TYPES, "media types")? {
                    let media_type = given(reader.text()?, is_media_type, "media type")?;
                    push_ascending(&mut self.types, media_type)?;
                }
            }
            "headers" => {
                for _ in 0..listed(reader.array()?, MAX_HEADER_SETS, "headers")? {
                    let headers = read_headers(reader)?;
                    push_ascending(&mut self.headers, headers)?;
                }
            }
            "missing" => extra.missing = Some(reader.text()?.to_owned()),
            "redirects" => {
                for _ in 0..listed(reader.array()?, MAX_RULES, "redirects")? {
                    extra.redirects.push(read_rule(reader)?);
                }
            }
            _ => return Err(ManifestError::BadField),
        }
        Ok(())
    }

    fn files(&mut self, reader: &mut Reader<'_>) -> Result<(), ManifestError> {
        self.files = true;
        let count = bounded(reader.array()?, MAX_FILES, "files")?;
        self.rows.reserve_exact(count);
        let mut last: Option<&str> = None;
        for _ in 0..count {
            let fields = reader.array()?;
            if fields != 4 && fields != 5 {
                return Err(ManifestError::Malformed);
            }
            let path = reader.text()?;
            let path_at = reader.at() - path.len();
            check_path(path, self.normalise).map_err(|reason| bad_path(path, reason))?;
            if let Some(last) = last
                && (order(last, path) != Ordering::Less || is_folder_of(last, path))
            {
                return Err(ManifestError::Collision(path.to_owned()));
            }
            last = Some(path);
            let size = reader.uint()?;
            self.size = self.size.saturating_add(size);
            if self.size > MAX_SITE_SIZE {
                return Err(ManifestError::TooLarge);
            }
            if reader.bytes()?.len() != 32 {
                return Err(ManifestError::Malformed);
            }
            let hash_at = reader.at() - 32;
            let media = reader.uint()?;
            let headers = match fields {
                5 => Some(reader.uint()?),
                _ => None,
            };
            let index = |at: u64| u16::try_from(at).map_err(|_| ManifestError::Malformed);
            self.rows.push(Row {
                path: path_at as u32,
                hash: hash_at as u32,
                size,
                path_len: path.len() as u16,
                media: index(media)?,
                headers: headers.map(index).transpose()?,
            });
        }
        Ok(())
    }

    /// What can be said only when all has been read.
    fn checked(self) -> Result<Self, ManifestError> {
        if !self.version || !self.files {
            return Err(ManifestError::BadField);
        }
        let used = |count: usize, at: &mut dyn Iterator<Item = u16>| {
            let mut used = vec![false; count];
            for at in at {
                *used.get_mut(usize::from(at))? = true;
            }
            Some(used.iter().all(|used| *used))
        };
        let types = used(self.types.len(), &mut self.rows.iter().map(|row| row.media));
        let headers = used(
            self.headers.len(),
            &mut self.rows.iter().filter_map(|row| row.headers),
        );
        match (types, headers) {
            (Some(true), Some(true)) => Ok(self),
            (Some(_), Some(_)) => Err(ManifestError::NotCanonical),
            _ => Err(ManifestError::Malformed),
        }
    }
}

/// Writes the fields in their order.
fn encode(
    extra: &Extra,
    types: &[String],
    headers: &[Headers],
    count: usize,
    files: impl FnOnce(&mut Writer),
) -> Vec<u8> {
    let mut out = Writer::default();
    let given = [
        extra.fallback.is_some(),
        !extra.name.is_empty(),
        extra.previous.is_some(),
        extra.time > 0,
        !extra.index.is_empty(),
        !headers.is_empty(),
        extra.missing.is_some(),
        !extra.redirects.is_empty(),
    ];
    out.map(3 + given.into_iter().filter(|given| *given).count());
    out.text("v");
    out.uint(MANIFEST_VERSION);
    if let Some(fallback) = &extra.fallback {
        out.text("spa");
        out.text(fallback);
    }
    if !extra.name.is_empty() {
        out.text("name");
        out.text(&extra.name);
    }
    if let Some(previous) = extra.previous {
        out.text("prev");
        out.link(&manifest_cid_bytes(previous));
    }
    if extra.time > 0 {
        out.text("time");
        out.uint(extra.time);
    }
    out.text("files");
    out.array(count);
    files(&mut out);
    if !extra.index.is_empty() {
        out.text("index");
        out.text(&extra.index);
    }
    out.text("types");
    out.array(types.len());
    types.iter().for_each(|media_type| out.text(media_type));
    if !headers.is_empty() {
        out.text("headers");
        out.array(headers.len());
        headers
            .iter()
            .for_each(|headers| write_headers(&mut out, headers));
    }
    if let Some(missing) = &extra.missing {
        out.text("missing");
        out.text(missing);
    }
    if !extra.redirects.is_empty() {
        out.text("redirects");
        out.array(extra.redirects.len());
        for rule in &extra.redirects {
            out.array(3);
            out.text(rule.from());
            out.text(rule.to());
            out.uint(rule.status().into());
        }
    }
    out.0
}

fn write_headers(out: &mut Writer, headers: &Headers) {
    let given = [("csp", &headers.csp), ("cache", &headers.cache)];
    let given: Vec<_> = given
        .into_iter()
        .filter_map(|(key, value)| Some((key, value.as_ref()?)))
        .collect();
    out.map(given.len());
    for (key, value) in given {
        out.text(key);
        out.text(value);
    }
}

fn read_headers(reader: &mut Reader<'_>) -> Result<Headers, ManifestError> {
    let mut headers = Headers::default();
    for _ in 0..reader.map()? {
        let key = reader.text()?;
        let slot = match key {
            "csp" if headers.cache.is_none() => &mut headers.csp,
            "cache" => &mut headers.cache,
            _ => return Err(ManifestError::BadField),
        };
        if slot.replace(reader.text()?.to_owned()).is_some() {
            return Err(ManifestError::BadField);
        }
    }
    match headers.is_valid() {
        true => Ok(headers),
        false => Err(ManifestError::BadValue("header")),
    }
}

fn read_rule(reader: &mut Reader<'_>) -> Result<Rule, ManifestError> {
    if reader.array()? != 3 {
        return Err(ManifestError::Malformed);
    }
    let (from, to) = (reader.text()?, reader.text()?);
    let status = u16::try_from(reader.uint()?).unwrap_or_default();
    Rule::new(from, to, status).map_err(|_| ManifestError::BadValue("redirect"))
}

fn push_ascending<T: Ord>(list: &mut Vec<T>, item: T) -> Result<(), ManifestError> {
    if list.last().is_some_and(|last| *last >= item) {
        return Err(ManifestError::NotCanonical);
    }
    list.push(item);
    Ok(())
}

fn bounded(count: usize, most: usize, what: &'static str) -> Result<usize, ManifestError> {
    match count <= most {
        true => Ok(count),
        false => Err(ManifestError::TooMany(what)),
    }
}

/// As [`bounded`], for a list that is left out where it is empty.
fn listed(count: usize, most: usize, what: &'static str) -> Result<usize, ManifestError> {
    match count {
        0 => Err(ManifestError::NotCanonical),
        _ => bounded(count, most, what),
    }
}

fn given(
    text: &str,
    is_valid: impl Fn(&str) -> bool,
    what: &'static str,
) -> Result<String, ManifestError> {
    match is_valid(text) {
        true => Ok(text.to_owned()),
        false => Err(ManifestError::BadValue(what)),
    }
}

fn is_site_name(name: &str) -> bool {
    !name.is_empty() && name.len() <= MAX_SITE_NAME_LEN && clean_name(name) == name
}

/// Another file than the default.
fn is_index(index: &str) -> bool {
    index != DEFAULT_INDEX && !index.contains('/') && check_path(index, str::to_owned).is_ok()
}

fn bad_path(path: &str, reason: PathError) -> ManifestError {
    let path = path.chars().filter(|c| !c.is_control()).take(128).collect();
    ManifestError::BadPath { path, reason }
}

/// The fields in the order of DAG-CBOR: by length, then by bytes.
const KEYS: [&str; 11] = [
    "v",
    "spa",
    "name",
    "prev",
    "time",
    "files",
    "index",
    "types",
    "headers",
    "missing",
    "redirects",
];

#[cfg(all(test, not(target_arch = "wasm32")))]
pub(crate) mod tests;
