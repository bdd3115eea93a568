//! What a site answers to a request: a file, another address, or nothing.
//!
//! The rules are those that people know from static hosts. In this order: the file itself; for a folder its index; without an
//! ending `.html`; then the site's redirects; then its page for applications that route by themselves; then its page for what is
//! missing. A folder without a slash, and a page with one, lead to the address with which relative links work. Query and fragment
//! play no part, but that a redirect keeps the query. Pure: the answer depends on the manifest and the text alone.

pub mod header_rules;
pub mod redirects;

use std::fmt::Write;

use super::link::percent_bytes;
use super::manifest::media::known_media_type_of;
use super::manifest::path::{MAX_DEPTH, MAX_PATH_LEN, Normalise};
use super::manifest::{Entry, Manifest};

/// Longest request in bytes, query included: what servers take.
pub const MAX_REQUEST_LEN: usize = 8192;

/// What a request comes to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answer<'a> {
    /// Show this file, with 200 or 404.
    File {
        /// The HTTP status.
        status: u16,
        /// The file.
        entry: Entry<'a>,
    },
    /// Go elsewhere.
    Redirect {
        /// The HTTP status.
        status: u16,
        /// A path of the site that begins with one slash, or an `http(s)` address; ASCII but for what the publisher wrote
        /// otherwise.
        location: String,
    },
    /// There is nothing, and no page that says so: 404.
    NotFound,
    /// The request is no path that any site could have: 400.
    BadRequest,
}

/// A site as something that can be asked.
#[derive(Debug, Clone, Copy)]
pub struct Site<'a> {
    manifest: &'a Manifest,
    normalise: Normalise,
}

impl<'a> Site<'a> {
    /// Answers from `manifest`.
    pub fn new(manifest: &'a Manifest, normalise: Normalise) -> Self {
        Self {
            manifest,
            normalise,
        }
    }

    /// The answer to a request for `target`: an absolute path as it stands in an address, percent-encoded, with or without query
    /// and fragment.
    pub fn resolve(&self, target: &str) -> Answer<'a> {
        let Some(request) = Request::parse(target, self.normalise) else {
            return Answer::BadRequest;
        };
        self.file(&request)
            .or_else(|| self.redirect(&request))
            .unwrap_or_else(|| self.nothing(&request))
    }

    fn file(&self, request: &Request) -> Option<Answer<'a>> {
        let path = request.segments.join("/");
        let index = self.manifest.index();
        if path.is_empty() {
            return self.shown(index);
        }
        let in_folder = format!("{path}/{index}");
        let page = format!("{path}.html");
        if request.slash {
            let leads_back =
                self.manifest.get(&path).is_some() || self.manifest.get(&page).is_some();
            return self
                .shown(&in_folder)
                .or_else(|| leads_back.then(|| self.moved(request, false)));
        }
        self.shown(&path).or_else(|| self.shown(&page)).or_else(|| {
            let is_folder = self.manifest.get(&in_folder).is_some();
            is_folder.then(|| self.moved(request, true))
        })
    }

    fn shown(&self, path: &str) -> Option<Answer<'a>> {
        let entry = self.manifest.get(path)?;
        Some(Answer::File { status: 200, entry })
    }

    fn moved(&self, request: &Request, slash: bool) -> Answer<'a> {
        let mut location = String::new();
        for segment in &request.segments {
            location.push('/');
            location.push_str(&encode_segment(segment));
        }
        if slash {
            location.push('/');
        }
        Answer::Redirect {
            status: 301,
            location: request.with_query(location),
        }
    }

    fn redirect(&self, request: &Request) -> Option<Answer<'a>> {
        for rule in &self.manifest.extra().redirects {
            let Some(target) = rule.apply(&request.segments) else {
                continue;
            };
            let status = rule.status();
            if !matches!(status, 200 | 404) {
                return Some(Answer::Redirect {
                    status,
                    location: request.with_query(target),
                });
            }
            // One step only: what a rule shows is a file, never another rule.
            let shown =
                Request::parse(&target, self.normalise).and_then(|target| self.file(&target));
            if let Some(Answer::File { entry, .. }) = shown {
                return Some(Answer::File { status, entry });
            }
        }
        None
    }

    fn nothing(&self, request: &Request) -> Answer<'a> {
        let extra = self.manifest.extra();
        let page = |path: &Option<String>| self.manifest.get(path.as_deref()?);
        // A script that is missing is missing: an HTML page in its place only hides why.
        let may_be_page = request.segments.last().is_none_or(|last| {
            known_media_type_of(last).is_none_or(|known| known.starts_with("text/html"))
        });
        if let Some(entry) = page(&extra.fallback).filter(|_| may_be_page) {
            return Answer::File { status: 200, entry };
        }
        match page(&extra.missing) {
            Some(entry) => Answer::File { status: 404, entry },
            None => Answer::NotFound,
        }
    }
}

/// A request taken apart.
struct Request {
    segments: Vec<String>,
    /// A slash stands at the end.
    slash: bool,
    query: String,
}

impl Request {
    fn parse(target: &str, normalise: Normalise) -> Option<Self> {
        if target.len() > MAX_REQUEST_LEN {
            return None;
        }
        let target = target.split('#').next().unwrap_or_default();
        let (path, query) = target.split_once('?').unwrap_or((target, ""));
        let path = path.strip_prefix('/')?;
        let mut segments = Vec::new();
        let mut len = 0;
        for segment in path.split('/').filter(|segment| !segment.is_empty()) {
            let decoded = decode_segment(segment)?;
            let decoded = match decoded.is_ascii() {
                true => decoded,
                false => normalise(&decoded),
            };
            let harmless = !matches!(decoded.as_str(), "." | "..")
                && !decoded.contains(['/', '\\'])
                && !decoded.chars().any(char::is_control);
            len += decoded.len() + 1;
            if !harmless || len > MAX_PATH_LEN || segments.len() >= MAX_DEPTH {
                return None;
            }
            segments.push(decoded);
        }
        Some(Self {
            slash: segments.is_empty() || path.ends_with('/'),
            segments,
            query: query.to_owned(),
        })
    }

    /// The reader's query goes along, unless the rule has one or points at a place in a page.
    fn with_query(&self, mut location: String) -> String {
        let harmless = |byte: u8| (b'!'..=b'~').contains(&byte) && byte != b'\\';
        let harmless = self.query.bytes().all(harmless);
        if !self.query.is_empty() && harmless && !location.contains(['?', '#']) {
            location.push('?');
            location.push_str(&self.query);
        }
        location
    }
}

/// Decodes one segment; `None` if what comes out is no UTF-8. A `%` that begins no byte stays.
fn decode_segment(segment: &str) -> Option<String> {
    if !segment.contains('%') {
        return Some(segment.to_owned());
    }
    String::from_utf8(percent_bytes(segment)).ok()
}

/// Encodes one segment so that it stands for itself in an address: unreserved characters and those that every URL parser leaves
/// alone in a path stay.
fn encode_segment(segment: &str) -> String {
    let mut out = String::with_capacity(segment.len());
    for byte in segment.bytes() {
        match byte.is_ascii_alphanumeric() || b"-._~!$&'()*+,;=:@".contains(&byte) {
            true => out.push(byte.into()),
            // Into a string, which takes everything.
            false => write!(out, "%{byte:02X}").unwrap_or_default(),
        }
    }
    out
}

#[cfg(all(test, not(target_arch = "wasm32")))]
mod tests;
