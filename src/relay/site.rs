//! What the relay answers on a site's own host: a loader, and never anything of the app.
//!
//! A site is shown by the app in a frame of the site's own origin (docs/browsing.md). All that this origin gets from here is the
//! few files that let the app answer for it; its pages come from the swarm. The files are those beside the app, so that both
//! ends are of one version.

use std::path::Path;

use axum::body::Body;
use axum::http::header::{ACCEPT, ALLOW, CONTENT_SECURITY_POLICY, HeaderName, VARY};
use axum::http::{HeaderMap, HeaderValue, Method, Request, StatusCode, Uri};
use axum::response::{IntoResponse, Response};
use tower::ServiceExt;
use tower_http::services::ServeDir;

/// The loader's files.
#[derive(Debug, Clone)]
pub(crate) struct Loader(Option<ServeDir>);

impl Loader {
    /// Takes the files from the app's folder.
    pub(crate) fn new(app: Option<&Path>) -> Self {
        Self(app.map(|folder| {
            ServeDir::new(folder.join(FOLDER))
                .append_index_html_on_directories(false)
                .precompressed_br()
                .precompressed_gzip()
        }))
    }

    /// Answers a request for the site called `label`, which the app at the origin `app` may show.
    pub(crate) async fn answer(&self, label: &str, app: &str, request: Request<Body>) -> Response {
        let (mut response, policy) = match &self.0 {
            Some(files) if is_address(label) => self::answer(files, request).await,
            _ => (
                (StatusCode::NOT_FOUND, NO_SITE_LOADER).into_response(),
                Policy::Nothing,
            ),
        };
        let headers = response.headers_mut();
        for (name, value) in FIXED {
            headers.insert(
                HeaderName::from_static(name),
                HeaderValue::from_static(value),
            );
        }
        // The origin is made of a scheme, a host that was read, and a port.
        if let Ok(value) = HeaderValue::from_str(&policy.text(app)) {
            headers.insert(CONTENT_SECURITY_POLICY, value);
        }
        // A frame of this origin without it would lend the site's code a way to connect past its own policy.
        let reach = format!("(response-origin \"{app}\"); webrtc=block");
        if let Ok(value) = HeaderValue::from_str(&reach) {
            headers.insert(CONNECTION_ALLOWLIST, value);
        }
        response
    }
}

/// Whom a document may connect to, in browsers that know it; also by what no content security policy reaches.
const CONNECTION_ALLOWLIST: HeaderName = HeaderName::from_static("connection-allowlist");

/// What a page or script of the loader may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Policy {
    /// A frame of the app, with a script.
    Frame,
    /// The page that leads to the app.
    Open,
    /// No page.
    Nothing,
}

impl Policy {
    fn text(self, app: &str) -> String {
        const BASE: &str = "default-src 'none'; base-uri 'none'; form-action 'none'";
        match self {
            // In a frame of the site itself it would not be the app's.
            Self::Frame => {
                format!("{BASE}; script-src 'self'; worker-src 'self'; frame-ancestors {app}")
            }
            Self::Open => format!(
                "{BASE}; script-src 'self'; style-src 'unsafe-inline'; frame-ancestors 'self' {app}"
            ),
            Self::Nothing => format!("{BASE}; frame-ancestors 'none'"),
        }
    }
}

async fn answer(files: &ServeDir, request: Request<Body>) -> (Response, Policy) {
    if !matches!(*request.method(), Method::GET | Method::HEAD) {
        let refusal = (StatusCode::METHOD_NOT_ALLOWED, [(ALLOW, "GET, HEAD")]);
        return (refusal.into_response(), Policy::Nothing);
    }
    let path = request.uri().path();
    let (file, policy) = match path {
        "/.gyre/bridge" => ("/bridge.html", Policy::Frame),
        "/.gyre/watch" => ("/watch.html", Policy::Frame),
        "/.gyre/sw.js" => ("/sw.js", Policy::Nothing),
        "/.gyre/bridge.js" => ("/bridge.js", Policy::Nothing),
        "/.gyre/watch.js" => ("/watch.js", Policy::Nothing),
        "/.gyre/open.js" => ("/open.js", Policy::Nothing),
        _ if wants_page(request.headers()) => ("/open.html", Policy::Open),
        _ => return (StatusCode::NOT_FOUND.into_response(), Policy::Nothing),
    };
    // Nothing but the loader's own worker may ever answer for a site.
    if request.headers().contains_key("service-worker") && file != "/sw.js" {
        return (StatusCode::FORBIDDEN.into_response(), Policy::Nothing);
    }
    let (mut parts, body) = request.into_parts();
    parts.uri = Uri::from_static(file);
    let mut response = match files
        .clone()
        .oneshot(Request::from_parts(parts, body))
        .await
    {
        Ok(response) => response.map(Body::new).into_response(),
        Err(never) => match never {},
    };
    response
        .headers_mut()
        .append(VARY, HeaderValue::from_static("accept-encoding"));
    if file == "/sw.js" {
        response.headers_mut().insert(
            HeaderName::from_static("service-worker-allowed"),
            HeaderValue::from_static("/"),
        );
    }
    (response, policy)
}

/// True for a request whose answer is shown to a person.
fn wants_page(headers: &HeaderMap) -> bool {
    let value = |name: HeaderName| headers.get(name).and_then(|value| value.to_str().ok());
    match value(HeaderName::from_static("sec-fetch-mode")) {
        Some(mode) => mode == "navigate",
        None => value(ACCEPT).is_some_and(|accepted| accepted.contains("text/html")),
    }
}

/// True for what can be a site's address: a name (base36) or the CID of a version (base32), which fit into one label.
pub(crate) fn is_address(label: &str) -> bool {
    (MIN_ADDRESS..=MAX_ADDRESS).contains(&label.len())
        && label.starts_with(['k', 'b'])
        && label
            .bytes()
            .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit())
}

/// Where the loader's files are in the app's folder.
const FOLDER: &str = "site";
/// Characters of the shortest address: a CID of 36 bytes has 59 in base32, 56 in base36.
const MIN_ADDRESS: usize = 50;
/// Characters of a label (RFC 1035).
const MAX_ADDRESS: usize = 63;

const NO_SITE_LOADER: &str = "There is no site here, or no site loader on this relay.\n";

/// What every answer carries.
const FIXED: [(&str, &str); 8] = [
    ("cache-control", "no-cache"),
    ("x-content-type-options", "nosniff"),
    ("referrer-policy", "no-referrer"),
    ("cross-origin-opener-policy", "same-origin"),
    ("cross-origin-resource-policy", "same-origin"),
    ("origin-agent-cluster", "?1"),
    ("x-dns-prefetch-control", "off"),
    (
        "permissions-policy",
        "camera=(), display-capture=(), geolocation=(), hid=(), local-fonts=(), microphone=(), midi=(), payment=(), \
         publickey-credentials-get=(), serial=(), storage-access=(), usb=()",
    ),
];

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    const NAME: &str = "k51qzi5uqu5dlvj2baxnqndepeb86cbk3ng7n3i46uzyxzyqj2xjonzllnv0v8";
    const APP: &str = "http://localhost:8080";

    fn loader() -> (tempfile::TempDir, Loader) {
        let folder = tempfile::tempdir().unwrap();
        std::fs::create_dir(folder.path().join(FOLDER)).unwrap();
        for file in [
            "bridge.html",
            "bridge.js",
            "watch.html",
            "watch.js",
            "open.html",
            "open.js",
            "sw.js",
        ] {
            std::fs::write(folder.path().join(FOLDER).join(file), file).unwrap();
        }
        std::fs::write(folder.path().join("index.html"), "the app").unwrap();
        let loader = Loader::new(Some(folder.path()));
        (folder, loader)
    }

    async fn ask(
        loader: &Loader,
        path: &str,
        headers: &[(&str, &str)],
    ) -> (StatusCode, HeaderMap, String) {
        let mut request = Request::builder().uri(path);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let response = loader
            .answer(NAME, APP, request.body(Body::empty()).unwrap())
            .await;
        let (parts, body) = response.into_parts();
        let body = axum::body::to_bytes(body, 1 << 20).await.unwrap();
        (
            parts.status,
            parts.headers,
            String::from_utf8(body.to_vec()).unwrap(),
        )
    }

    #[tokio::test]
    async fn the_frames_of_the_loader_are_shown_by_the_app_alone() {
        let (_folder, loader) = loader();
        for (path, file) in [
            ("/.gyre/bridge", "bridge.html"),
            ("/.gyre/watch", "watch.html"),
        ] {
            let (status, headers, body) = ask(&loader, path, &[]).await;
            assert_eq!((status, body.as_str()), (StatusCode::OK, file));
            let policy = headers["content-security-policy"].to_str().unwrap();
            assert!(
                policy.ends_with("frame-ancestors http://localhost:8080"),
                "{policy}"
            );
            assert!(policy.starts_with("default-src 'none'"), "{policy}");
            assert_eq!(headers["origin-agent-cluster"], "?1");
            assert_eq!(
                headers["connection-allowlist"],
                "(response-origin \"http://localhost:8080\"); webrtc=block"
            );
            assert_eq!(headers["content-type"], "text/html");
            assert!(!headers.contains_key("x-frame-options"));
        }
    }

    #[tokio::test]
    async fn one_worker_may_have_the_whole_site_and_no_other_script_may_be_one() {
        let (_folder, loader) = loader();
        let script = [
            ("service-worker", "script"),
            ("sec-fetch-mode", "same-origin"),
        ];
        let (status, headers, _) = ask(&loader, "/.gyre/sw.js", &script).await;
        assert_eq!(status, StatusCode::OK);
        assert_eq!(headers["service-worker-allowed"], "/");
        assert_eq!(headers["cache-control"], "no-cache");
        for path in [
            "/evil.js",
            "/.gyre/evil.js",
            "/.gyre/bridge.js",
            "/.gyre/open.js",
        ] {
            let (status, headers, body) = ask(&loader, path, &script).await;
            assert!(status.is_client_error(), "{path}: {status}");
            assert!(!headers.contains_key("service-worker-allowed") && body.is_empty());
        }
        let navigation = [("service-worker", "script"), ("accept", "text/html")];
        assert_eq!(
            ask(&loader, "/page", &navigation).await.0,
            StatusCode::FORBIDDEN
        );
    }

    #[tokio::test]
    async fn any_other_page_leads_to_the_app_and_the_rest_is_not_here() {
        let (_folder, loader) = loader();
        for path in [
            "/",
            "/index.html",
            "/a/b?c",
            "/.gyre/x",
            "/bootstrap.json",
            "/../index.html",
        ] {
            let (status, headers, body) =
                ask(&loader, path, &[("sec-fetch-mode", "navigate")]).await;
            assert_eq!((status, body.as_str()), (StatusCode::OK, "open.html"));
            let policy = headers["content-security-policy"].to_str().unwrap();
            assert!(
                policy.ends_with("frame-ancestors 'self' http://localhost:8080"),
                "{policy}"
            );
            let (status, headers, body) = ask(
                &loader,
                path,
                &[("sec-fetch-mode", "cors"), ("accept", "text/html")],
            )
            .await;
            assert_eq!((status, body.as_str()), (StatusCode::NOT_FOUND, ""));
            assert!(
                headers["content-security-policy"]
                    .to_str()
                    .unwrap()
                    .ends_with("'none'")
            );
        }
        assert_eq!(
            ask(&loader, "/", &[("accept", "text/html,*/*")]).await.2,
            "open.html"
        );
    }

    #[tokio::test]
    async fn what_is_no_address_has_no_loader() {
        let (_folder, loader) = loader();
        let with_none = Loader::new(None);
        for (loader, label) in [
            (&loader, "www"),
            (&loader, "a.b"),
            (&loader, ""),
            (&with_none, NAME),
        ] {
            let request = Request::builder()
                .uri("/.gyre/bridge")
                .body(Body::empty())
                .unwrap();
            let response = loader.answer(label, APP, request).await;
            assert_eq!(response.status(), StatusCode::NOT_FOUND, "{label}");
        }
        assert!(is_address(NAME));
        assert!(is_address(
            "bafyr4ievkv7t373ore4yoxjeytbgk26ifmhc5lcnobzec55so5e34mvdqe"
        ));
        assert!(!is_address(&NAME.to_uppercase()) && !is_address(&NAME.replace('v', "-")));
    }
}
