//! Redirect rules in the form that static hosts share: one `from to [status]` a line.
//!
//! `from` is a path in which a segment may be a placeholder (`:name`, any one segment) and the last one a splat (`*`, all that
//! follows, also nothing); `to` is a path of the site or an `http` address, and may use `:name` and `:splat`. Status 200 shows
//! another file in place, 404 shows one with that status, the others send the reader elsewhere; without one it is 301. A `#`
//! begins a comment. Rules count only where the site has no file, and the first that matches counts
//! (<https://specs.ipfs.tech/http-gateways/web-redirects-file/>). Conditions on query, country or role are not known: a
//! line with one is reported and skipped.

use super::{decode_segment, encode_segment};

/// Most rules of a site. Ours: each request that no file answers looks at all of them.
pub const MAX_RULES: usize = 1000;

/// Longest file of rules in bytes, as gateways have it.
pub const MAX_REDIRECTS_LEN: usize = 64 * 1024;

/// Longest `from` or `to` in bytes. Ours: longer than any path that a manifest may have, percent-encoded once.
pub const MAX_RULE_LEN: usize = 2048;

/// Most segments of `from`, as paths have.
const MAX_SEGMENTS: usize = 64;

/// Longest address that a rule makes in bytes: what servers take.
const MAX_TARGET_LEN: usize = 8192;

/// One rule.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rule {
    from: String,
    to: String,
    status: u16,
}

/// Why a text is no rule.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RuleError {
    /// `from` is no path, or `*` stands elsewhere than at its end.
    #[error("the first part must be a path, with * only at its end")]
    From,
    /// `to` is neither a path nor an address, or goes elsewhere with a status that stays here.
    #[error("the second part must be a path, or an http address for a redirect")]
    To,
    /// `to` names a placeholder that `from` does not have.
    #[error("the second part names a placeholder that the first does not have")]
    Placeholder,
    /// A status that no rule may have.
    #[error("the status must be 200, 301, 302, 307, 308 or 404")]
    Status,
    /// Conditions, or anything else behind the status.
    #[error("conditions are not supported")]
    Conditions,
    /// Longer than [`MAX_RULE_LEN`].
    #[error("it is too long")]
    TooLong,
    /// More than [`MAX_RULES`], or a file of more than [`MAX_REDIRECTS_LEN`] bytes.
    #[error("there are too many rules")]
    TooMany,
}

/// What was read of a file of rules.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Rules {
    /// The rules, in their order.
    pub rules: Vec<Rule>,
    /// Lines, counted from 1, that are not among them, and why.
    pub skipped: Vec<(usize, RuleError)>,
}

impl Rules {
    /// Reads a file of rules.
    pub fn parse(text: &str) -> Self {
        let mut read = Self::default();
        if text.len() > MAX_REDIRECTS_LEN {
            read.skipped.push((1, RuleError::TooMany));
            return read;
        }
        for (at, line) in text.trim_start_matches('\u{feff}').lines().enumerate() {
            let mut words = line
                .split_whitespace()
                .take_while(|word| !word.starts_with('#'));
            let Some(from) = words.next() else {
                continue;
            };
            let rule = match (words.next(), words.next(), words.next()) {
                (None, ..) => Err(RuleError::To),
                (Some(to), None, _) => Rule::new(from, to, 301),
                (Some(to), Some(status), None) => {
                    let status = status.strip_suffix('!').unwrap_or(status);
                    match status.parse() {
                        Ok(status) => Rule::new(from, to, status),
                        Err(_) if to.contains('=') || status.contains('=') => {
                            Err(RuleError::Conditions)
                        }
                        Err(_) => Err(RuleError::Status),
                    }
                }
                _ => Err(RuleError::Conditions),
            };
            match rule {
                Ok(_) if read.rules.len() >= MAX_RULES => {
                    read.skipped.push((at + 1, RuleError::TooMany));
                    return read;
                }
                Ok(rule) => read.rules.push(rule),
                Err(error) => read.skipped.push((at + 1, error)),
            }
        }
        read
    }
}

impl Rule {
    /// Checks a rule.
    ///
    /// # Errors
    /// Any [`RuleError`] but `TooMany`.
    pub fn new(from: &str, to: &str, status: u16) -> Result<Self, RuleError> {
        if from.len() > MAX_RULE_LEN || to.len() > MAX_RULE_LEN {
            return Err(RuleError::TooLong);
        }
        if !STATUSES.contains(&status) {
            return Err(RuleError::Status);
        }
        let plain = |text: &str| {
            text.bytes()
                .all(|byte| byte > b' ' && byte != 0x7f && byte != b'\\')
        };
        let path = from.strip_prefix('/').ok_or(RuleError::From)?;
        let splat = path
            .find('*')
            .is_none_or(|at| at + 1 == path.len() && (at == 0 || path.as_bytes()[at - 1] == b'/'));
        if !plain(from)
            || !splat
            || from.contains(['?', '#'])
            || segments(path).count() > MAX_SEGMENTS
        {
            return Err(RuleError::From);
        }
        let stays = matches!(status, 200 | 404);
        let local = to.starts_with('/') && !to.starts_with("//");
        let host = ["https://", "http://"]
            .iter()
            .find_map(|scheme| to.strip_prefix(scheme));
        // A host made of what the reader asked for would be anybody's to choose.
        let away = host.is_some_and(|rest| {
            let host = rest.split(['/', '?', '#']).next().unwrap_or_default();
            let named = |c: char| c.is_ascii_alphanumeric() || "-.".contains(c);
            let (host, port) = host.split_once(':').unwrap_or((host, "0"));
            !host.is_empty() && host.chars().all(named) && port.parse::<u16>().is_ok()
        });
        if !plain(to) || !(local || (away && !stays)) {
            return Err(RuleError::To);
        }
        let rule = Self {
            from: from.to_owned(),
            to: to.to_owned(),
            status,
        };
        let known = |name: &str| match name {
            "splat" => from.ends_with('*'),
            name => segments(path).any(|segment| segment.strip_prefix(':') == Some(name)),
        };
        let all_known = rule.placeholders().all(known);
        all_known.then_some(rule).ok_or(RuleError::Placeholder)
    }

    /// What it matches.
    pub fn from(&self) -> &str {
        &self.from
    }

    /// Where it leads.
    pub fn to(&self) -> &str {
        &self.to
    }

    /// With which status.
    pub fn status(&self) -> u16 {
        self.status
    }

    /// Where it leads a reader who asks for these segments; `None` if it does not match. What stands for placeholders is
    /// percent-encoded; all else is as it is in the rule.
    pub(super) fn apply(&self, asked: &[String]) -> Option<String> {
        let mut names: Vec<(&str, String)> = Vec::new();
        let mut rest = asked;
        for pattern in segments(&self.from) {
            if pattern == "*" {
                let encoded: Vec<_> = rest.iter().map(|segment| encode_segment(segment)).collect();
                names.push(("splat", encoded.join("/")));
                rest = &[];
                break;
            }
            let (first, after) = rest.split_first()?;
            match pattern.strip_prefix(':') {
                Some(name) => names.push((name, encode_segment(first))),
                None if decode_segment(pattern).as_deref() == Some(first.as_str()) => {}
                None => return None,
            }
            rest = after;
        }
        if !rest.is_empty() {
            return None;
        }
        let mut target = String::new();
        let mut left = self.to.as_str();
        while let Some(at) = placeholder_at(left) {
            let (before, name) = left.split_at(at);
            let end = name[1..]
                .find(|c| !is_name(c))
                .map_or(name.len(), |end| end + 1);
            target.push_str(before);
            let value = names.iter().find(|(known, _)| *known == &name[1..end]);
            target.push_str(value.map(|(_, value)| value.as_str())?);
            if target.len() > MAX_TARGET_LEN {
                return None;
            }
            left = &name[end..];
        }
        target.push_str(left);
        // With a splat of nothing, `/a/:splat` or `/:splat` may begin with what means another host.
        let local = self.to.starts_with('/') && target.starts_with("//");
        (!local).then_some(target)
    }

    fn placeholders(&self) -> impl Iterator<Item = &str> {
        let mut left = self.to.as_str();
        std::iter::from_fn(move || {
            let name = &left[placeholder_at(left)? + 1..];
            let end = name.find(|c| !is_name(c)).unwrap_or(name.len());
            left = &name[end..];
            Some(&name[..end])
        })
    }
}

/// Where a placeholder begins: a colon behind a slash (so not that of a scheme or a port) and before a letter.
fn placeholder_at(text: &str) -> Option<usize> {
    let bytes = text.as_bytes();
    text.match_indices("/:").map(|(at, _)| at + 1).find(|at| {
        bytes
            .get(at + 1)
            .is_some_and(|byte| byte.is_ascii_alphabetic())
    })
}

fn is_name(c: char) -> bool {
    c.is_ascii_alphanumeric() || c == '_'
}

fn segments(path: &str) -> impl Iterator<Item = &str> {
    path.split('/').filter(|segment| !segment.is_empty())
}

/// What a rule may answer.
const STATUSES: [u16; 6] = [200, 301, 302, 307, 308, 404];
