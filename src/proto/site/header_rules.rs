//! Header rules in the form that static hosts share: a path on a line of its own, then `Name: value` on lines that are indented.
//!
//! A path may have one splat (`*`, anything, also slashes and nothing) and before it placeholders (`:name`, what of a segment
//! stands there). A rule counts for a file under each address at which the site shows it: its path, without `index.html`, and without
//! `.html`. Taken are `Cache-Control`, where the last rule that matches counts, and `Content-Security-Policy`, of which a reader's
//! browser enforces all. What else a file of rules says is reported and left out: what a stranger chooses must not loosen
//! anything.

use super::decode_segment;
use crate::proto::manifest::headers::{Headers, MAX_CSP_LEN, is_cache_control, is_directive};

/// Most rules of a site. Ours: each file looks at all of them when it is published.
pub const MAX_HEADER_RULES: usize = 1000;

/// Longest file of rules in bytes: as for redirects.
pub const MAX_HEADERS_LEN: usize = 64 * 1024;

/// Longest path of a rule in bytes: as for redirects.
const MAX_PATTERN_LEN: usize = 2048;

/// Most lines that are reported. Ours: nobody reads more.
const MAX_SKIPPED: usize = 1000;

/// Why a line, or a part of one, does not count.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum HeaderRuleError {
    /// The line is neither a path nor a header.
    #[error("it is neither a path nor a header with its value")]
    Line,
    /// A header without a path that was understood before it.
    #[error("there is no path before it")]
    NoPath,
    /// A path with more than one `*`, or with a placeholder behind it.
    #[error("a path may have one *, and placeholders only before it")]
    Path,
    /// A header that no site may set.
    #[error("only Cache-Control and Content-Security-Policy are taken")]
    Header,
    /// A value that is none for `Cache-Control`.
    #[error("it is no value for Cache-Control")]
    Cache,
    /// Directives of a policy that could do something other than take away.
    #[error("directives that report, or change how the site is framed, are left out")]
    Directive,
    /// A policy that is too long, alone or with others for the same file.
    #[error("the policies for one file are too long")]
    TooLong,
    /// More than [`MAX_HEADER_RULES`], or a file of more than [`MAX_HEADERS_LEN`] bytes.
    #[error("there are too many rules")]
    TooMany,
}

/// What was read of a file of rules.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct HeaderRules {
    rules: Vec<Rule>,
    /// Lines, counted from 1, that do not count or not wholly, and why; at most a thousand.
    pub skipped: Vec<(usize, HeaderRuleError)>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Rule {
    pattern: Pattern,
    line: usize,
    headers: Headers,
}

/// A path: what begins it, in turns text and placeholders, and what ends it behind a splat.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Pattern {
    start: Vec<Piece>,
    end: Option<String>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Piece {
    Text(String),
    Placeholder,
}

impl HeaderRules {
    /// Reads a file of rules.
    pub fn parse(text: &str) -> Self {
        let mut read = Self::default();
        if text.len() > MAX_HEADERS_LEN {
            read.skip(1, HeaderRuleError::TooMany);
            return read;
        }
        // Headers of a path that was not understood belong to none.
        let mut open = false;
        for (at, line) in text.trim_start_matches('\u{feff}').lines().enumerate() {
            let (at, words) = (at + 1, line.trim());
            if words.is_empty() || words.starts_with('#') {
                continue;
            }
            let indented = line.starts_with([' ', '\t']);
            let result = match indented {
                false => read.begin(at, words),
                true if open => read.header(at, words),
                true => Err(HeaderRuleError::NoPath),
            };
            if !indented {
                open = result.is_ok();
            }
            if let Err(error) = result {
                read.skip(at, error);
            }
        }
        read
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.rules.is_empty()
    }

    /// What a file gets that has `own` without rules: `own` says how it may be cached if it says anything, and all policies count.
    /// A policy that does not fit beside the others is left out, and its line is added to [`skipped`](Self::skipped).
    pub fn apply(&mut self, path: &str, index: &str, own: Option<Headers>) -> Option<Headers> {
        let own = own.unwrap_or_default();
        let mut cache = None;
        let mut csp = own.csp;
        let mut too_long = Vec::new();
        let addresses = addresses(path, index);
        for rule in &self.rules {
            if !addresses
                .iter()
                .any(|address| rule.pattern.matches(address))
            {
                continue;
            }
            cache = rule.headers.cache.clone().or(cache);
            for policy in rule.headers.csp.iter().flat_map(|csp| csp.split(", ")) {
                match &mut csp {
                    None => csp = Some(policy.to_owned()),
                    Some(have) if have.split(", ").any(|one| one == policy) => {}
                    Some(have) if have.len() + 2 + policy.len() <= MAX_CSP_LEN => {
                        have.push_str(", ");
                        have.push_str(policy);
                    }
                    Some(_) => too_long.push(rule.line),
                }
            }
        }
        for line in too_long {
            self.skip(line, HeaderRuleError::TooLong);
        }
        let headers = Headers {
            cache: own.cache.or(cache),
            csp,
        };
        (headers != Headers::default()).then_some(headers)
    }

    fn begin(&mut self, line: usize, path: &str) -> Result<(), HeaderRuleError> {
        let pattern = Pattern::parse(path)?;
        if self.rules.len() >= MAX_HEADER_RULES {
            return Err(HeaderRuleError::TooMany);
        }
        self.rules.push(Rule {
            pattern,
            line,
            headers: Headers::default(),
        });
        Ok(())
    }

    fn header(&mut self, line: usize, text: &str) -> Result<(), HeaderRuleError> {
        let (name, value) = text.split_once(':').ok_or(HeaderRuleError::Line)?;
        let (name, value) = (name.trim(), value.trim());
        let rule = self.rules.last_mut().ok_or(HeaderRuleError::NoPath)?;
        if name.eq_ignore_ascii_case("Cache-Control") {
            let value = value.to_ascii_lowercase();
            if !is_cache_control(&value) {
                return Err(HeaderRuleError::Cache);
            }
            rule.headers.cache = Some(value);
            return Ok(());
        }
        if !name.eq_ignore_ascii_case("Content-Security-Policy") {
            return Err(HeaderRuleError::Header);
        }
        // A comma separates policies, as it does in the header.
        let (policies, whole) = tightening(value);
        let mut csp = rule.headers.csp.take().unwrap_or_default();
        let mut fits = true;
        for policy in policies {
            let more = policy.len() + if csp.is_empty() { 0 } else { 2 };
            if csp.len() + more > MAX_CSP_LEN {
                fits = false;
                break;
            }
            if !csp.is_empty() {
                csp.push_str(", ");
            }
            csp.push_str(&policy);
        }
        rule.headers.csp = Some(csp).filter(|csp| !csp.is_empty());
        rule.line = line;
        match (fits, whole) {
            (false, _) => Err(HeaderRuleError::TooLong),
            (true, false) => Err(HeaderRuleError::Directive),
            (true, true) => Ok(()),
        }
    }

    fn skip(&mut self, line: usize, error: HeaderRuleError) {
        let said = self.skipped.contains(&(line, error));
        if !said && self.skipped.len() < MAX_SKIPPED {
            self.skipped.push((line, error));
        }
    }
}

impl Pattern {
    fn parse(path: &str) -> Result<Self, HeaderRuleError> {
        let plain = path.bytes().all(|byte| byte > b' ' && byte != 0x7f);
        if !path.starts_with('/') {
            return Err(HeaderRuleError::Line);
        }
        if !plain || path.len() > MAX_PATTERN_LEN {
            return Err(HeaderRuleError::Path);
        }
        let (start, end) = match path.split_once('*') {
            Some((start, end)) => (start, Some(end)),
            None => (path, None),
        };
        if end.is_some_and(|end| end.contains('*') || end.contains("/:")) {
            return Err(HeaderRuleError::Path);
        }
        let decoded = |text: &str| decode_segment(text).ok_or(HeaderRuleError::Path);
        let mut pieces = Vec::new();
        let mut text = String::new();
        for (n, segment) in start.split('/').enumerate() {
            if n > 0 {
                text.push('/');
            }
            match segment.strip_prefix(':') {
                Some(name) if name.starts_with(|c: char| c.is_ascii_alphabetic()) => {
                    pieces.push(Piece::Text(std::mem::take(&mut text)));
                    pieces.push(Piece::Placeholder);
                }
                _ => text.push_str(&decoded(segment)?),
            }
        }
        pieces.push(Piece::Text(text));
        Ok(Self {
            start: pieces,
            end: end.map(decoded).transpose()?,
        })
    }

    fn matches(&self, address: &str) -> bool {
        let mut rest = address;
        for piece in &self.start {
            rest = match piece {
                Piece::Text(text) => match rest.strip_prefix(text.as_str()) {
                    Some(rest) => rest,
                    None => return false,
                },
                Piece::Placeholder => match rest.split_at(rest.find('/').unwrap_or(rest.len())) {
                    ("", _) => return false,
                    (_, rest) => rest,
                },
            };
        }
        match &self.end {
            Some(end) => rest.ends_with(end.as_str()),
            None => rest.is_empty(),
        }
    }
}

/// Where a file is shown.
fn addresses(path: &str, index: &str) -> Vec<String> {
    let mut addresses = vec![format!("/{path}")];
    let (folder, name) = match path.rsplit_once('/') {
        Some((folder, name)) => (format!("/{folder}/"), name),
        None => ("/".into(), path),
    };
    if name == index {
        addresses.push(folder);
    } else if let Some(bare) = path.strip_suffix(".html") {
        addresses.push(format!("/{bare}"));
    }
    addresses
}

/// The policies of a header without the directives that may do something other than take away, and whether that is all of it.
fn tightening(value: &str) -> (Vec<String>, bool) {
    let (mut policies, mut whole) = (Vec::new(), true);
    for policy in value.split(',') {
        let mut kept = Vec::new();
        for directive in policy.split(';').map(str::trim) {
            match is_directive(directive) {
                true => kept.push(directive),
                false => whole &= directive.is_empty(),
            }
        }
        if !kept.is_empty() {
            policies.push(kept.join("; "));
        }
    }
    (policies, whole)
}

#[cfg(all(test, not(target_arch = "wasm32")))]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn cache(text: &str) -> Headers {
        Headers {
            cache: Some(text.into()),
            csp: None,
        }
    }

    #[test]
    fn the_common_form_is_read_and_the_rest_is_said() {
        let mut rules = HeaderRules::parse(
            "# all\n/*\n  Content-Security-Policy: script-src 'self'; report-uri /x; img-src *\n  X-Frame-Options: DENY\n\
             /assets/*\n\tcache-control: Public, max-age=31536000, immutable\n\n/*.pdf\n  Cache-Control: no-cache\n\
             nonsense\n  Cache-Control: no-store\n/a*b*\n  Cache-Control: forever\n/bad\n  Cache-Control: forever\n  what\n",
        );
        assert_eq!(
            rules.skipped,
            [
                (3, HeaderRuleError::Directive),
                (4, HeaderRuleError::Header),
                (10, HeaderRuleError::Line),
                (11, HeaderRuleError::NoPath),
                (12, HeaderRuleError::Path),
                (13, HeaderRuleError::NoPath),
                (15, HeaderRuleError::Cache),
                (16, HeaderRuleError::Line),
            ]
        );
        let policy = "script-src 'self'; img-src *";
        let of = |rules: &mut HeaderRules, path: &str| {
            let headers = rules.apply(path, "index.html", None);
            headers.map(|headers| (headers.cache, headers.csp))
        };
        assert_eq!(of(&mut rules, "a.html"), Some((None, Some(policy.into()))));
        let assets = Some("public, max-age=31536000, immutable".into());
        assert_eq!(
            of(&mut rules, "assets/x/y.js"),
            Some((assets, Some(policy.into())))
        );
        // The last one counts.
        assert_eq!(
            of(&mut rules, "assets/x.pdf"),
            Some((Some("no-cache".into()), Some(policy.into())))
        );
    }

    #[test]
    fn a_file_has_the_rules_of_every_address() {
        let mut rules = HeaderRules::parse(
            "/\n  Cache-Control: no-cache\n/ueber\n  Cache-Control: no-store\n/b/:jahr/\n  Cache-Control: private\n/s%C3%BC%C3%9F/*\n  Cache-Control: public\n",
        );
        assert_eq!(rules.skipped, []);
        let mut of = |path: &str| rules.apply(path, "index.html", None);
        assert_eq!(of("index.html"), Some(cache("no-cache")));
        assert_eq!(of("ueber.html"), Some(cache("no-store")));
        assert_eq!(of("b/2024/index.html"), Some(cache("private")));
        assert_eq!(of("b/2024/05/index.html"), None);
        assert_eq!(of("b/index.html"), None);
        assert_eq!(of("süß/brei.txt"), Some(cache("public")));
        assert_eq!(of("other.txt"), None);
    }

    #[test]
    fn all_policies_count_and_what_a_file_says_of_itself_stays() {
        let mut rules = HeaderRules::parse(
            "/*\n  Content-Security-Policy: script-src 'none'\n  Cache-Control: no-cache\n/b*\n  Content-Security-Policy: img-src 'none', font-src 'none'\n",
        );
        let own = Headers {
            cache: Some("no-store".into()),
            csp: Some("img-src 'none'".into()),
        };
        let got = rules
            .apply("b.txt", "index.html", Some(own))
            .unwrap_or_default();
        assert_eq!(got.cache.as_deref(), Some("no-store"));
        let all = "img-src 'none', script-src 'none', font-src 'none'";
        assert_eq!(got.csp.as_deref(), Some(all));
        assert!(got.is_valid());
        // What came of it once comes of it again.
        let again = rules.apply("b.txt", "index.html", Some(got.clone()));
        assert_eq!(again, Some(got));

        let long = format!("img-src {}", "a ".repeat(MAX_CSP_LEN / 2 - 10));
        let mut rules = HeaderRules::parse(&format!(
            "/*\n  Content-Security-Policy: {long}\n/b\n  Content-Security-Policy: script-src 'none'\n"
        ));
        let got = rules.apply("b", "index.html", None).unwrap_or_default();
        assert_eq!(got.csp.as_deref(), Some(long.trim()));
        assert_eq!(rules.skipped, [(4, HeaderRuleError::TooLong)]);
    }

    #[test]
    fn too_much_is_too_much() {
        let many = "/a\n  Cache-Control: no-cache\n".repeat(MAX_HEADER_RULES + 1);
        let read = HeaderRules::parse(&many);
        assert_eq!(read.rules.len(), MAX_HEADER_RULES);
        assert_eq!(read.skipped[0].1, HeaderRuleError::TooMany);
        let read = HeaderRules::parse(&"#".repeat(MAX_HEADERS_LEN + 1));
        assert_eq!(read.skipped, [(1, HeaderRuleError::TooMany)]);
    }

    proptest! {
        #[test]
        fn whatever_is_read_makes_valid_headers(
            text in "([ /]{0,3}(Cache-Control|Content-Security-Policy|/|:a|x)?[:*]? ?(no-cache|img-src|sandbox|report-uri|;|,|\\*)*\n?){0,12}",
            any in any::<String>(),
            path in "[a-z]{1,3}(/[a-z*:]{1,3}){0,3}",
        ) {
            for text in [text, any] {
                let mut rules = HeaderRules::parse(&text);
                if let Some(headers) = rules.apply(&path, "index.html", None) {
                    prop_assert!(headers.is_valid(), "{:?}", headers);
                }
            }
        }
    }
}
