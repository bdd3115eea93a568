//! Denylists: what a person or an operator does not want to have, in the compact format of IPFS (`.deny` files, IPIP-383).
//!
//! A list is an optional header and one rule a line. Rules name content by multihash, whatever its codec, or a name, with or
//! without a path; or a hash of that, so that the list does not lead to what it is about. Of all rules that match the last one
//! counts, later lists coming after earlier ones. Everything becomes one sorted table of [`Rule`]s, so that a look-up costs a few
//! hashes however long the lists are. What a list says is never a reason to fail: a line that is not understood is reported
//! and left out. Which calls look things up here is in `docs/denylists.md`.

use cid::Cid;
use multihash::Multihash;
use sha2::{Digest, Sha256};

use super::base::{Base, cid_from_text, cid_text};
use super::link::percent_bytes;
use super::name::Name;
use super::types::BlobHash;
use crate::proto::sorting::sort_by_key;

/// Longest header, in bytes: a longer one is read as rules (IPIP-383).
pub const MAX_HEADER: usize = 1 << 20;

/// Longest line, in bytes. Ours: the longest path that a site answers, percent-encoded, with some hints. The format allows 2 MiB.
pub const MAX_LINE: usize = 32 * 1024;

/// Longest list, in bytes. Ours: the largest that is published has some 60 MB.
pub const MAX_LIST: usize = 128 << 20;

/// Rules of all lists together: at 48 bytes each some 200 MB.
pub const MAX_RULES: usize = 4_000_000;

/// Lines of one list that are reported; more are only counted.
pub const MAX_REPORTED: usize = 100;

/// Multihash codes with which double-hashed rules are made; each costs a hash a look-up.
const SHA2_256: u64 = 0x12;
const BLAKE3: u64 = 0x1e;

/// Codecs under which a blob is looked up where a rule names no multihash but a CID.
const CODECS: [u64; 3] = [0x55, 0x71, 0x70];

/// Several lists as one table.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Denylist {
    /// Ascending by subject, then by place.
    rules: Vec<Rule>,
    /// Whether there are rules by a hash of what they are about, and of which kinds.
    hashed: Hashed,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Hashed {
    sha2: bool,
    blake3: bool,
    legacy: bool,
}

/// One rule.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Rule {
    subject: Subject,
    /// Its place among the rules of all lists.
    place: u32,
    allows: bool,
    path: Path,
}

/// What a rule is about, hashed down to 16 bytes.
type Subject = [u8; 16];

#[derive(Debug, Clone, PartialEq, Eq)]
enum Path {
    /// Only this, decoded; empty for what the subject itself names.
    Exact(Box<[u8]>),
    /// All that begin so.
    Prefix(Box<[u8]>),
}

/// Why a list is not read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum DenylistError {
    /// It is longer than [`MAX_LIST`].
    #[error("a denylist of more than {} MiB", MAX_LIST >> 20)]
    TooLong,
    /// All lists together have more rules than [`MAX_RULES`].
    #[error("denylists of more than {MAX_RULES} rules")]
    TooMany,
    /// It is not UTF-8.
    #[error("a denylist that is not UTF-8")]
    NotText,
    /// Its header says that it is of another version.
    #[error("a denylist of version {0}")]
    Version(String),
    /// Its header cannot be read.
    #[error("line {0} of the denylist's header cannot be read")]
    Header(usize),
}

/// Why a line is left out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum LineError {
    /// It is longer than [`MAX_LINE`].
    #[error("it is too long")]
    TooLong,
    /// It begins with neither `/ipfs/`, `/ipns/` nor `//`.
    #[error("it is no rule of this version of the format")]
    NotARule,
    /// What stands for a CID is none.
    #[error("its CID cannot be read")]
    BadCid,
    /// The hash of a double-hashed rule is none, or of a function that is not known here.
    #[error("its hash cannot be read")]
    BadHash,
}

/// What came of a list.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Read {
    /// Rules that were taken.
    pub rules: usize,
    /// Lines that were left out, counted from 1; the first [`MAX_REPORTED`].
    pub skipped: Vec<(usize, LineError)>,
    /// How many were left out.
    pub skipped_count: usize,
}

impl Denylist {
    /// Adds a list, whose rules come after those that are there. [`finish`](Self::finish) must follow before anything is looked up.
    ///
    /// # Errors
    /// Any [`DenylistError`]; nothing of the list has been taken then.
    pub fn add(&mut self, list: &[u8]) -> Result<Read, DenylistError> {
        if list.len() > MAX_LIST {
            return Err(DenylistError::TooLong);
        }
        let text = std::str::from_utf8(list).map_err(|_| DenylistError::NotText)?;
        let text = text.strip_prefix('\u{feff}').unwrap_or(text);
        let (header, body) = split_header(text);
        read_header(header)?;
        let header_lines =
            header.lines().count() + usize::from(!header.is_empty() || body.len() < text.len());
        let before = (self.rules.len(), self.hashed);
        let mut read = Read::default();
        for (at, line) in body.split('\n').enumerate() {
            let line = line.strip_suffix('\r').unwrap_or(line);
            let rule = match line.len() > MAX_LINE {
                true => Err(LineError::TooLong),
                false => self.read_line(line),
            };
            match rule {
                Ok(taken) => read.rules += taken,
                Err(error) => {
                    read.skipped_count += 1;
                    if read.skipped.len() < MAX_REPORTED {
                        read.skipped.push((header_lines + at + 1, error));
                    }
                }
            }
            if self.rules.len() > MAX_RULES {
                self.rules.truncate(before.0);
                self.hashed = before.1;
                return Err(DenylistError::TooMany);
            }
        }
        Ok(read)
    }

    /// Puts the rules in order.
    pub fn finish(&mut self) {
        sort_by_key(&mut self.rules, |rule| (rule.subject, rule.place));
    }

    /// Several lists at once, for callers that need no report.
    ///
    /// # Errors
    /// That of the first list that is not read.
    pub fn of<'a>(lists: impl IntoIterator<Item = &'a [u8]>) -> Result<Self, DenylistError> {
        let mut all = Self::default();
        for list in lists {
            all.add(list)?;
        }
        all.finish();
        Ok(all)
    }

    /// How many rules there are.
    pub fn len(&self) -> usize {
        self.rules.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.rules.is_empty()
    }

    /// Whether a blob is denied, be it a file or a manifest.
    pub fn denies_blob(&self, blob: BlobHash) -> bool {
        self.denies_path(blob, "")
    }

    /// Whether a path of a site is denied, or the site as a whole. The path is that of a file, without a slash before it.
    pub fn denies_path(&self, manifest: BlobHash, path: &str) -> bool {
        if self.is_empty() {
            return false;
        }
        let digest = Multihash::wrap(BLAKE3, &manifest.0).expect("32 bytes fit a multihash of 64");
        self.denies(b"/ipfs/", &digest, &CODECS, path)
    }

    /// Whether a name is denied.
    pub fn denies_name(&self, name: Name) -> bool {
        let cid = name.cid();
        !self.is_empty() && self.denies(b"/ipns/", cid.hash(), &[cid.codec()], "")
    }

    /// Whether content of any kind is denied.
    pub fn denies_cid(&self, cid: &Cid, path: &str) -> bool {
        self.denies(b"/ipfs/", cid.hash(), &[cid.codec()], path)
    }

    fn denies(&self, kind: &[u8], digest: &Multihash<64>, codecs: &[u64], path: &str) -> bool {
        let path = path.trim_matches('/').as_bytes();
        let mut last: Option<&Rule> = None;
        let mut consider = |subject: Subject, path: &[u8]| {
            let from = self.rules.partition_point(|rule| rule.subject < subject);
            let about = self.rules[from..]
                .iter()
                .take_while(|rule| rule.subject == subject);
            let matching = about.filter(|rule| rule.path.matches(path));
            last = last
                .into_iter()
                .chain(matching)
                .max_by_key(|rule| rule.place);
        };
        consider(subject(kind, &digest.to_bytes()), path);
        if self.hashed.sha2 || self.hashed.blake3 {
            let mut asked = Base::Base58.encode(&digest.to_bytes()).into_bytes();
            if !path.is_empty() {
                asked.push(b'/');
                asked.extend_from_slice(path);
            }
            if self.hashed.sha2 {
                consider(hashed(SHA2_256, &Sha256::digest(&asked)), b"");
            }
            if self.hashed.blake3 {
                consider(hashed(BLAKE3, blake3::hash(&asked).as_bytes()), b"");
            }
        }
        if self.hashed.legacy {
            for codec in codecs {
                let cid = Cid::new_v1(*codec, *digest);
                let mut asked = cid_text(&cid).into_bytes();
                asked.push(b'/');
                asked.extend_from_slice(path);
                consider(subject(LEGACY, &Sha256::digest(&asked)), b"");
            }
        }
        last.is_some_and(|rule| !rule.allows)
    }

    fn read_line(&mut self, line: &str) -> Result<usize, LineError> {
        // Hints stand behind the first space; none is known here.
        let line = line.trim_end();
        let item = line.split([' ', '\t']).next().unwrap_or_default();
        if line.is_empty() || item.starts_with('#') {
            return Ok(0);
        }
        let (allows, item) = match item.strip_prefix('!') {
            Some(item) => (true, item),
            None => (false, item),
        };
        if let Some(hash) = item.strip_prefix("//") {
            return self.read_hashed(hash, allows);
        }
        let (kind, rest): (&[u8], _) = match item.split_at_checked(6) {
            Some(("/ipfs/", rest)) => (b"/ipfs/", rest),
            Some(("/ipns/", rest)) => (b"/ipns/", rest),
            _ => return Err(LineError::NotARule),
        };
        let (named, path) = rest.split_once('/').unwrap_or((rest, ""));
        // `/ipfs/CID*` is written by nobody, but means what it says.
        let (named, path) = match named.strip_suffix('*') {
            Some(named) => (named, "*"),
            None => (named, path),
        };
        let digest = match multihash_of(named) {
            Some(digest) => digest,
            // A domain: there are none here, and a rule about one is not wrong.
            None if kind == b"/ipns/" && is_domain(named) => return Ok(0),
            None => return Err(LineError::BadCid),
        };
        let path = match path.strip_suffix('*') {
            Some(prefix) => Path::Prefix(decoded(prefix)),
            None => Path::Exact(decoded(path)),
        };
        self.take(subject(kind, &digest), allows, path);
        Ok(1)
    }

    fn read_hashed(&mut self, hash: &str, allows: bool) -> Result<usize, LineError> {
        let nothing = || Path::Exact(Box::default());
        let before = self.rules.len();
        if let Some(digest) = Base::Hex.decode(hash)
            && digest.len() == 32
        {
            self.hashed.legacy = true;
            self.take(subject(LEGACY, &digest), allows, nothing());
        }
        if let Some((code, digest)) = Base::Base58.decode(hash).and_then(|bytes| {
            let digest = Multihash::<64>::from_bytes(&bytes).ok()?;
            (digest.size() == 32).then(|| (digest.code(), digest.digest().to_vec()))
        }) {
            self.hashed.sha2 |= code == SHA2_256;
            self.hashed.blake3 |= code == BLAKE3;
            if matches!(code, SHA2_256 | BLAKE3) {
                self.take(hashed(code, &digest), allows, nothing());
            }
        }
        match self.rules.len() - before {
            0 => Err(LineError::BadHash),
            _ => Ok(1),
        }
    }

    fn take(&mut self, subject: Subject, allows: bool, path: Path) {
        self.rules.push(Rule {
            subject,
            place: self.rules.len() as u32,
            allows,
            path,
        });
    }
}

impl Path {
    fn matches(&self, path: &[u8]) -> bool {
        match self {
            Self::Exact(own) => **own == *path,
            Self::Prefix(own) => path.starts_with(own),
        }
    }
}

/// What the subjects of legacy rules begin with.
const LEGACY: &[u8] = b"legacy";

fn subject(kind: &[u8], bytes: &[u8]) -> Subject {
    let mut hasher = blake3::Hasher::new();
    hasher.update(kind);
    hasher.update(bytes);
    let mut subject = [0; 16];
    subject.copy_from_slice(&hasher.finalize().as_bytes()[..16]);
    subject
}

fn hashed(code: u64, digest: &[u8]) -> Subject {
    subject(&[b'/', b'/', code as u8], digest)
}

/// The multihash of a CID of any version, or one that stands there itself.
fn multihash_of(text: &str) -> Option<Vec<u8>> {
    if text.is_empty() || text.len() > MAX_CID {
        return None;
    }
    if let Some(cid) = cid_from_text(text) {
        return Some(cid.hash().to_bytes());
    }
    let bytes = Base::Base58.decode(text)?;
    Multihash::<64>::from_bytes(&bytes).is_ok().then_some(bytes)
}

/// Longest CID that is looked at: one of 64 bytes of hash in base2 would be longer, and nobody writes one.
const MAX_CID: usize = 256;

fn is_domain(text: &str) -> bool {
    let label = |label: &str| {
        !label.is_empty()
            && label
                .bytes()
                .all(|b| b.is_ascii_alphanumeric() || b"-_".contains(&b))
    };
    text.contains('.') && text.len() <= 253 && text.split('.').all(label)
}

/// A path of a rule without the percent signs and the slashes at its ends.
fn decoded(path: &str) -> Box<[u8]> {
    percent_bytes(path.trim_matches('/')).into()
}

/// The header, if there is one, and the rest.
fn split_header(text: &str) -> (&str, &str) {
    let mut at = 0;
    for line in text.split_inclusive('\n') {
        if at + line.len() > MAX_HEADER {
            break;
        }
        if line.trim_end() == "---" {
            return (&text[..at], &text[at + line.len()..]);
        }
        at += line.len();
    }
    ("", text)
}

/// Reads of a header what matters: its version. The rest is for people, and only looked at for being `key: value` lines.
fn read_header(header: &str) -> Result<(), DenylistError> {
    for (at, line) in header.lines().enumerate() {
        let is_inner = line.starts_with([' ', '\t', '-']);
        let line = line.trim();
        if is_inner || line.is_empty() || line.starts_with('#') {
            continue;
        }
        let (key, value) = line.split_once(':').ok_or(DenylistError::Header(at + 1))?;
        let value = value.split(" #").next().unwrap_or_default();
        let value = value.trim().trim_matches(['"', '\'']);
        if key.trim_matches(['"', '\'']) == "version" && value != "1" {
            let value = value.chars().take(20).collect();
            return Err(DenylistError::Version(value));
        }
    }
    Ok(())
}

#[cfg(all(test, not(target_arch = "wasm32")))]
mod tests;
