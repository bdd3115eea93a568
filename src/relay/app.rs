//! The app as static files, and the headers every answer carries.
//!
//! File names with a content hash never change, so they are cached for good; everything else is asked for again each time.
//! Files packed beforehand (`.br`, `.gz`) are sent as they are to whoever takes them.

use std::path::Path;

use axum::body::Body;
use axum::http::header::{
    CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, HeaderName, REFERRER_POLICY, VARY,
    X_CONTENT_TYPE_OPTIONS,
};
use axum::http::{HeaderMap, HeaderValue, Request, StatusCode};
use axum::response::{IntoResponse, Response};
use tower::ServiceExt;
use tower_http::services::ServeDir;

use super::addresses::{Host, PublicAddress};

/// What stands at `/`.
#[derive(Debug, Clone)]
pub(crate) enum App {
    /// The files of a built app.
    Files(ServeDir),
    /// A page that says what this server is.
    BuiltIn,
}

impl App {
    pub(crate) fn new(directory: Option<&Path>) -> Self {
        directory.map_or(Self::BuiltIn, |directory| {
            Self::Files(
                ServeDir::new(directory)
                    .precompressed_br()
                    .precompressed_gzip(),
            )
        })
    }

    pub(crate) async fn serve(&self, request: Request<Body>) -> Response {
        let path = request.uri().path().to_owned();
        let mut response = match self {
            Self::Files(files) => match files.clone().oneshot(request).await {
                Ok(response) => response.map(Body::new),
                Err(never) => match never {},
            },
            Self::BuiltIn if path == "/" => {
                ([(CONTENT_TYPE, "text/html; charset=utf-8")], BUILT_IN_PAGE).into_response()
            }
            Self::BuiltIn => StatusCode::NOT_FOUND.into_response(),
        };
        let found = response.status().is_success() || response.status() == StatusCode::NOT_MODIFIED;
        let caching = if found && has_content_hash(&path) {
            FOREVER
        } else {
            ASK_AGAIN
        };
        response
            .headers_mut()
            .insert(CACHE_CONTROL, HeaderValue::from_static(caching));
        response
            .headers_mut()
            .append(VARY, HeaderValue::from_static("accept-encoding"));
        response
    }
}

/// The content security policy; sites stand under `localhost` and under each public address.
pub(crate) fn policy(advertised: &[PublicAddress]) -> HeaderValue {
    // A frame shows a fetched document, from an address that the page's service worker answers or as a `blob:`, and starts
    // the saving of a large file.
    let mut sites = String::from("'self' blob: http://*.localhost:*");
    for address in advertised
        .iter()
        .filter(|address| matches!(address.host, Host::Name(_)))
    {
        let scheme = if address.tls { "https" } else { "http" };
        sites.push_str(&format!(" {scheme}://*.{}", address.authority()));
    }
    let policy = format!("{POLICY}; frame-src {sites}");
    // A host name holds letters, digits, dots, hyphens and underscores only.
    HeaderValue::from_str(&policy).unwrap_or(HeaderValue::from_static(POLICY))
}

/// Adds what every answer carries, whatever it is.
pub(crate) fn secure(headers: &mut HeaderMap, policy: &HeaderValue) {
    let fixed: [(HeaderName, &str); 4] = [
        (X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (REFERRER_POLICY, "no-referrer"),
        (
            HeaderName::from_static("cross-origin-opener-policy"),
            "same-origin",
        ),
        (HeaderName::from_static("x-frame-options"), "DENY"),
    ];
    for (name, value) in fixed {
        headers.insert(name, HeaderValue::from_static(value));
    }
    headers.insert(CONTENT_SECURITY_POLICY, policy.clone());
}

/// True for `name.0123abcd.js` and the like: a part between dots or after a dash of eight or more hexadecimal digits.
fn has_content_hash(path: &str) -> bool {
    let file = path.rsplit('/').next().unwrap_or(path);
    let Some((stem, _extension)) = file.rsplit_once('.') else {
        return false;
    };
    stem.split(['.', '-'])
        .any(|part| part.len() >= 8 && part.bytes().all(|b| b.is_ascii_hexdigit()))
}

const FOREVER: &str = "public, max-age=31536000, immutable";
const ASK_AGAIN: &str = "no-cache";

/// The app loads nothing from elsewhere, runs WebAssembly and a worker of its own making, opens websockets to relays anywhere, shows media it got from peers,
/// and frames sites, each on an origin of its own. It is framed by nobody.
const POLICY: &str = "default-src 'self'; script-src 'self' 'wasm-unsafe-eval'; connect-src 'self' http: https: ws: wss:; \
    img-src 'self' blob: data:; media-src 'self' blob:; style-src 'self' 'unsafe-inline'; worker-src 'self' blob:; \
    frame-ancestors 'none'; object-src 'none'; base-uri 'none'; form-action 'none'";

const BUILT_IN_PAGE: &str = "<!doctype html>
<html lang=\"en\">
<meta charset=\"utf-8\">
<meta name=\"viewport\" content=\"width=device-width\">
<title>Gyre relay</title>
<h1>This is a Gyre relay</h1>
<p>It introduces browsers to each other and stores none of their files. No app is installed on it: build the app and start the
relay with <code>gyre-relay --app DIR</code>, where DIR holds its <code>index.html</code>.</p>
<p>An app that runs elsewhere finds this relay through <a href=\"/bootstrap.json\">/bootstrap.json</a>.</p>
</html>
";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sites_of_public_addresses_may_be_framed() {
        let addresses =
            ["relay.example.org", "ws://192.0.2.1:80"].map(|text| text.parse().expect("valid"));
        let policy = policy(&addresses);
        let text = policy.to_str().expect("ASCII");
        assert!(
            text.ends_with(
                "; frame-src 'self' blob: http://*.localhost:* https://*.relay.example.org"
            ),
            "{text}"
        );
    }

    #[test]
    fn only_hashed_names_are_kept_for_good() {
        for path in [
            "/main.0a1b2c3d4e5f.js",
            "/assets/node-0123456789abcdef.wasm",
            "/a.deadbeef.css",
        ] {
            assert!(has_content_hash(path), "{path}");
        }
        for path in [
            "/",
            "/index.html",
            "/sw.js",
            "/main.js",
            "/gyre_bg.wasm",
            "/0123456789abcdef",
            "/deadbeef/x.js",
        ] {
            assert!(!has_content_hash(path), "{path}");
        }
    }
}
