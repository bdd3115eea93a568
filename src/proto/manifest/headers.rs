//! What a manifest says of a file beside its bytes: media type, and the few headers that a publisher may set.
//!
//! A header that a stranger chooses must not be able to do harm. `Cache-Control` is limited to directives that exist. A content
//! security policy is an *additional* one: browsers enforce every policy of a response, so it can take away and never give; what
//! could still be used to tell a third party of the reader (`report-uri`, `report-to`), or makes the site unusable in a frame or
//! on this machine (`frame-ancestors`, `upgrade-insecure-requests`), is refused. Source: <https://www.w3.org/TR/CSP3/>.

/// Longest media type in bytes, parameters included: two names of 127 characters and the slash (RFC 6838, section 4.2).
pub const MAX_MEDIA_TYPE_LEN: usize = 255;

/// Longest `Cache-Control` in bytes. Ours: all directives at once are shorter.
pub const MAX_CACHE_LEN: usize = 255;

/// Longest policy in bytes. Ours: one with a hash for each of some thirty inline scripts.
pub const MAX_CSP_LEN: usize = 2048;

/// The headers of some files of a site; at least one is there.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Headers {
    /// `Cache-Control`.
    pub cache: Option<String>,
    /// One more content security policy, or several with `, ` between them.
    pub csp: Option<String>,
}

impl Headers {
    /// Whether both are what the module says; without any it is none.
    pub fn is_valid(&self) -> bool {
        (self.cache.is_some() || self.csp.is_some())
            && self.cache.as_deref().is_none_or(is_cache_control)
            && self.csp.as_deref().is_none_or(is_policy)
    }
}

/// Whether `text` is a media type: `type/subtype`, then `; name=value` at most a few times (RFC 9110, section 8.3.1, without
/// quoted values).
pub fn is_media_type(text: &str) -> bool {
    if text.len() > MAX_MEDIA_TYPE_LEN {
        return false;
    }
    let mut parts = text.split(';');
    let essence = parts.next().and_then(|essence| essence.split_once('/'));
    essence.is_some_and(|(kind, subtype)| is_restricted_name(kind) && is_restricted_name(subtype))
        && parts.all(|parameter| {
            let parameter = parameter.strip_prefix(' ').unwrap_or(parameter);
            let pair = parameter.split_once('=');
            pair.is_some_and(|(name, value)| is_token(name) && is_token(value))
        })
}

pub(crate) fn is_cache_control(text: &str) -> bool {
    text.len() <= MAX_CACHE_LEN
        && text.split(',').all(|directive| {
            let directive = directive.trim_matches(' ');
            match directive.split_once('=') {
                Some((name, seconds)) => {
                    CACHE_SECONDS.contains(&name)
                        && !seconds.is_empty()
                        && seconds.len() <= 10
                        && seconds.bytes().all(|byte| byte.is_ascii_digit())
                }
                None => CACHE_WORDS.contains(&directive),
            }
        })
}

/// One policy, or several with commas between them, as the header has them: all of them count.
fn is_policy(text: &str) -> bool {
    text.len() <= MAX_CSP_LEN
        && text
            .split(',')
            .all(|policy| policy.split(';').all(is_directive))
}

/// Whether `text` is a directive of a policy that only takes away.
pub(crate) fn is_directive(text: &str) -> bool {
    let allowed = |byte: u8| (b' '..=b'~').contains(&byte) && byte != b',' && byte != b';';
    let name = text.trim_matches(' ').split(' ').next();
    text.bytes().all(allowed) && name.is_some_and(|name| CSP_DIRECTIVES.contains(&name))
}

/// A name as RFC 6838 restricts it.
fn is_restricted_name(text: &str) -> bool {
    let starts = text
        .bytes()
        .next()
        .is_some_and(|byte| byte.is_ascii_alphanumeric());
    let inner = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$&-^_.+".contains(&byte);
    starts && text.len() <= 127 && text.bytes().all(inner)
}

/// A token of RFC 9110, section 5.6.2.
fn is_token(text: &str) -> bool {
    let inner = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
    !text.is_empty() && text.bytes().all(inner)
}

/// Directives of RFC 9111, 5861 and 8246 with seconds.
const CACHE_SECONDS: [&str; 4] = [
    "max-age",
    "s-maxage",
    "stale-if-error",
    "stale-while-revalidate",
];

/// Those without.
const CACHE_WORDS: [&str; 9] = [
    "immutable",
    "must-revalidate",
    "must-understand",
    "no-cache",
    "no-store",
    "no-transform",
    "private",
    "proxy-revalidate",
    "public",
];

/// Directives that only take away.
const CSP_DIRECTIVES: [&str; 22] = [
    "base-uri",
    "child-src",
    "connect-src",
    "default-src",
    "font-src",
    "form-action",
    "frame-src",
    "img-src",
    "manifest-src",
    "media-src",
    "object-src",
    "require-trusted-types-for",
    "sandbox",
    "script-src",
    "script-src-attr",
    "script-src-elem",
    "style-src",
    "style-src-attr",
    "style-src-elem",
    "trusted-types",
    "webrtc",
    "worker-src",
];
