//! Web sources: addresses of HTTP servers that hold a blob, as a link names them (`ws=`, as in magnet links and BEP 19).
//!
//! A source is the address of the blob's bytes and, at the same address with [`TREE_SUFFIX`] after the path, of its tree
//! (`web_tree`). Sources decorate a link: what cannot be one is skipped, and never a reason to refuse the file. Nothing a
//! server sends is believed, so any address may stand there; whoever wrote the link decides whom the readers ask.

use std::fmt;

use super::link::{percent_decode, percent_encode};

/// Sources of one blob at most. Ours: a server and a few mirrors.
pub const MAX_SOURCES: usize = 4;

/// Characters of one source at most. Ours: with every one of them percent-encoded, four still fit a link.
pub const MAX_SOURCE_LEN: usize = 512;

/// What stands after the path of a source where its tree lies.
pub const TREE_SUFFIX: &str = ".b3tree";

/// The address of a blob on an HTTP server.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct WebSource(String);

impl WebSource {
    /// Reads an absolute `http` or `https` address without user, password and fragment; `None` if it is none, or too long.
    pub fn parse(text: &str) -> Option<Self> {
        let rest = text
            .strip_prefix("https://")
            .or_else(|| text.strip_prefix("http://"))?;
        let authority = rest.split(['/', '?']).next().unwrap_or_default();
        let host = authority.split(':').next().unwrap_or_default();
        // A backslash ends the host for browsers and not for others.
        let plain = |byte: u8| byte.is_ascii_graphic() && !b"\\#\"<>^`{|}".contains(&byte);
        let fits = text.len() <= MAX_SOURCE_LEN && text.bytes().all(plain);
        (fits && !host.is_empty() && !authority.contains('@')).then(|| Self(text.to_owned()))
    }

    /// The address of the bytes.
    pub fn address(&self) -> &str {
        &self.0
    }

    /// The address of the tree.
    pub fn tree_address(&self) -> String {
        let (path, query) = self.0.split_at(self.0.find('?').unwrap_or(self.0.len()));
        format!("{path}{TREE_SUFFIX}{query}")
    }

    /// Host and port, for people.
    pub fn host(&self) -> &str {
        let rest = self.0.split_once("://").map_or("", |(_, rest)| rest);
        rest.split(['/', '?']).next().unwrap_or_default()
    }
}

impl fmt::Display for WebSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The sources that a link names, in its order, each once, at most [`MAX_SOURCES`].
pub fn of_link(link: &str) -> Vec<WebSource> {
    let query = link.split_once('#').map_or(link, |(_, fragment)| fragment);
    let query = query.split_once('?').map_or("", |(_, query)| query);
    let mut sources = Vec::new();
    let named = query.split('&').filter_map(|part| part.split_once('='));
    for (_, value) in named.filter(|(parameter, _)| *parameter == PARAMETER) {
        sources.extend(WebSource::parse(&percent_decode(value)));
    }
    merged(sources)
}

/// The first [`MAX_SOURCES`], each once.
pub fn merged(sources: impl IntoIterator<Item = WebSource>) -> Vec<WebSource> {
    let mut kept: Vec<WebSource> = Vec::new();
    for source in sources {
        if kept.len() < MAX_SOURCES && !kept.contains(&source) {
            kept.push(source);
        }
    }
    kept
}

/// Writes the sources after a link's other parameters.
pub fn append(sources: &[WebSource], fragment: &mut String) {
    for source in sources {
        fragment.push(if fragment.contains('?') { '&' } else { '?' });
        fragment.push_str(PARAMETER);
        fragment.push('=');
        percent_encode(source.address(), fragment);
    }
}

const PARAMETER: &str = "ws";

#[cfg(all(test, not(target_arch = "wasm32")))]
mod tests {
    #![allow(clippy::unwrap_used)]
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn what_is_a_source_and_what_is_not() {
        for good in [
            "https://example.org/film.mp4",
            "http://localhost:8081/a?b=c&d",
            "https://[::1]:80/x",
            "https://a",
        ] {
            assert_eq!(WebSource::parse(good).unwrap().address(), good);
        }
        for bad in [
            "",
            "film.mp4",
            "//example.org/a",
            "ftp://example.org/a",
            "javascript:alert(1)",
            "HTTPS://example.org/a",
            "https:///a",
            "https://:80/a",
            "https://me@example.org/a",
            "https://me:secret@example.org/a",
            "https://example.org/a#b",
            "https://example.org\\@other.org/",
            "https://example.org/a b",
            "https://example.org/\u{e4}",
            "data:text/plain,a",
        ] {
            assert_eq!(WebSource::parse(bad), None, "{bad}");
        }
        let long = format!("https://a/{}", "b".repeat(MAX_SOURCE_LEN));
        assert_eq!(WebSource::parse(&long), None);
    }

    #[test]
    fn the_tree_lies_beside_the_file() {
        let tree = |text| WebSource::parse(text).unwrap().tree_address();
        assert_eq!(tree("https://a.b/c.mp4"), "https://a.b/c.mp4.b3tree");
        assert_eq!(
            tree("https://a.b/c.mp4?key=1/2"),
            "https://a.b/c.mp4.b3tree?key=1/2"
        );
        assert_eq!(
            WebSource::parse("https://a.b:8/c?d").unwrap().host(),
            "a.b:8"
        );
    }

    #[test]
    fn a_link_names_a_few_and_what_is_none_is_skipped() {
        let link = "https://h/#/f/bafy?k=x&ws=https%3A%2F%2Fa%2Fb%3Fc%26d&ws=nonsense&ws=http://e/f&ws=http://e/f&n=y";
        let sources = of_link(link);
        let texts: Vec<_> = sources.iter().map(WebSource::address).collect();
        assert_eq!(texts, ["https://a/b?c&d", "http://e/f"]);
        let many: String = (0..20).map(|n| format!("&ws=https://a/{n}")).collect();
        assert_eq!(of_link(&format!("#/f/b?k=1{many}")).len(), MAX_SOURCES);
        assert_eq!(of_link("#/f/b"), []);
    }

    proptest! {
        /// Whatever stands there, what is read is short and web, and comes back from the link it is written into.
        #[test]
        fn foreign_links_are_read_safely(text in ".{0,200}", tail in "[ -~]{0,60}") {
            let link = format!("#/f/b?ws={text}&ws=https://{tail}");
            let sources = of_link(&link);
            prop_assert!(sources.len() <= MAX_SOURCES);
            for source in &sources {
                prop_assert!(source.address().starts_with("http://") || source.address().starts_with("https://"));
                prop_assert!(!source.host().is_empty() && !source.host().contains('@'));
                prop_assert!(source.tree_address().contains(TREE_SUFFIX));
            }
            let mut again = "#/f/b".to_owned();
            append(&sources, &mut again);
            prop_assert_eq!(of_link(&again), sources);
        }
    }
}
