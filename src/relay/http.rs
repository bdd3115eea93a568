//! What the relay answers over HTTP.
//!
//! Every request passes one gate. First the host: a site's host never gets anything but the site's answer, so that no site
//! shares an origin with the app that holds the keys. Then the upgrade: a websocket on any path is handed to libp2p. The rest
//! are the four resources and the app.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError, RwLock};

use axum::Router;
use axum::body::Body;
use axum::extract::ws::WebSocketUpgrade;
use axum::extract::{FromRequestParts, Request, State};
use axum::http::header::{ACCESS_CONTROL_ALLOW_ORIGIN, CACHE_CONTROL, CONTENT_TYPE, HOST, UPGRADE};
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderValue, StatusCode};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use libp2p::multiaddr::Protocol;
use libp2p::{Multiaddr, PeerId};
use serde_json::json;
use tokio::sync::mpsc;

use super::addresses::{Host, PublicAddress, socket_multiaddr, split_authority};
use super::allowance::Allowance;
use super::app::{self, App};
use super::client_address::ClientAddress;
use super::metrics::Metrics;
use super::seats::{Seat, Seats};
use super::site::Loader;
use super::ws_listener::Accepted;
use super::ws_stream::WsStream;
use crate::net::addresses::KEEPER_PATH;

/// What the answers are made from.
#[derive(Debug)]
pub(crate) struct Surface {
    pub(crate) peer_id: PeerId,
    /// Public addresses; without any, each visitor is told the address it used.
    pub(crate) advertised: Vec<PublicAddress>,
    /// STUN URLs set by the operator.
    pub(crate) stun_urls: Vec<String>,
    /// Port of the own STUN responder.
    pub(crate) stun_port: Option<u16>,
    /// Whether the HTTP server listens on an IPv4 address, which is then what `localhost` stands for.
    pub(crate) ipv4: bool,
    /// Addresses of the relays that are connected.
    pub(crate) linked: Arc<RwLock<Vec<Multiaddr>>>,
    pub(crate) client_address: ClientAddress,
    pub(crate) seats: Seats,
    pub(crate) allowance: Arc<Allowance>,
    pub(crate) websockets: mpsc::Sender<Accepted>,
    /// Where those for the keeper go, if there is one, and what one address may send to it.
    pub(crate) keeper: Option<(mpsc::Sender<Accepted>, Arc<Allowance>)>,
    pub(crate) metrics: Arc<Metrics>,
    /// Work that the ids of custodians must show in this network, in bits.
    pub(crate) puzzle_bits: u8,
    pub(crate) app: App,
    /// What sites' hosts get.
    pub(crate) loader: Loader,
    /// The content security policy.
    pub(crate) policy: HeaderValue,
}

/// Both ends of the socket a request came through.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Ends {
    pub(crate) local: SocketAddr,
    pub(crate) peer: SocketAddr,
    pub(crate) tls: bool,
}

/// The seat of the socket a request came through; a websocket takes it over.
#[derive(Debug, Clone)]
pub(crate) struct SocketSeat(Arc<Mutex<Option<Seat>>>);

impl SocketSeat {
    pub(crate) fn new(seat: Seat) -> Self {
        Self(Arc::new(Mutex::new(Some(seat))))
    }

    fn take(&self) -> Option<Seat> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}

/// Builds the router; the server puts [`Ends`] and [`SocketSeat`] into each request.
pub(crate) fn router(surface: Arc<Surface>) -> Router {
    Router::new()
        .route("/bootstrap.json", get(bootstrap))
        .route(
            "/healthz",
            get(|| async { ([(CACHE_CONTROL, "no-store")], "ok\n") }),
        )
        .route("/metrics", get(metrics))
        .fallback(app)
        .layer(middleware::from_fn_with_state(surface.clone(), gate))
        .with_state(surface)
}

async fn gate(State(surface): State<Arc<Surface>>, request: Request, next: Next) -> Response {
    let host = requested_host(&request);
    if let Some(site) = host.as_ref().and_then(|host| surface.site(host, &request)) {
        return surface.loader.answer(&site.label, &site.app, request).await;
    }
    let mut response = match host {
        None => (StatusCode::BAD_REQUEST, "The request names no host.\n").into_response(),
        Some(_) if is_websocket_upgrade(request.headers()) => {
            let (parts, _) = request.into_parts();
            return surface.upgrade(parts).await;
        }
        Some(_) => next.run(request).await,
    };
    app::secure(response.headers_mut(), &surface.policy);
    response
}

async fn bootstrap(State(surface): State<Arc<Surface>>, request: Request) -> Response {
    let body = surface.bootstrap(&request).to_string();
    let headers = [
        (CONTENT_TYPE, "application/json"),
        (CACHE_CONTROL, "no-store"),
        (ACCESS_CONTROL_ALLOW_ORIGIN, "*"),
    ];
    (headers, body).into_response()
}

async fn metrics(State(surface): State<Arc<Surface>>) -> Response {
    let headers = [
        (
            CONTENT_TYPE,
            "application/openmetrics-text; version=1.0.0; charset=utf-8",
        ),
        (CACHE_CONTROL, "no-store"),
    ];
    (headers, surface.metrics.text()).into_response()
}

async fn app(State(surface): State<Arc<Surface>>, request: Request<Body>) -> Response {
    surface.app.serve(request).await
}

impl Surface {
    /// The site that a request's host stands for, and the app that may show it: the host without its first label.
    fn site(&self, (host, port): &(Host, Option<u16>), request: &Request) -> Option<Site> {
        let Host::Name(name) = host else { return None };
        if self.named(name).is_some() {
            return None;
        }
        let tls = request.extensions().get::<Ends>().is_some_and(|e| e.tls);
        let advertised = self
            .advertised
            .iter()
            .filter_map(|address| match &address.host {
                Host::Name(own) => Some((own.as_str(), address.tls)),
                Host::Ip(_) => None,
            });
        let (label, parent, tls) = advertised
            .chain([("localhost", tls)])
            .filter_map(|(parent, tls)| {
                let label = name.strip_suffix(parent)?.strip_suffix('.')?;
                Some((label, parent, tls))
            })
            .min_by_key(|(label, ..)| label.len())?;
        let scheme = if tls { "https" } else { "http" };
        let port = port.map_or(String::new(), |port| format!(":{port}"));
        Some(Site {
            label: label.to_owned(),
            app: format!("{scheme}://{parent}{port}"),
        })
    }

    /// The public address with this name.
    fn named(&self, name: &str) -> Option<&PublicAddress> {
        self.advertised
            .iter()
            .find(|address| matches!(&address.host, Host::Name(own) if own == name))
    }

    async fn upgrade(&self, mut parts: Parts) -> Response {
        let Some(ends) = parts.extensions.get::<Ends>().copied() else {
            return StatusCode::INTERNAL_SERVER_ERROR.into_response();
        };
        let client = self.client_address.resolve(ends.peer, &parts.headers);
        let upgrade = match WebSocketUpgrade::from_request_parts(&mut parts, &()).await {
            Ok(upgrade) => upgrade,
            Err(rejection) => return rejection.into_response(),
        };
        let seat = if self.client_address.is_proxy(ends.peer.ip()) {
            self.seats.take(client.ip())
        } else {
            parts
                .extensions
                .get::<SocketSeat>()
                .and_then(SocketSeat::take)
        };
        let Some(seat) = seat else {
            self.metrics.websockets_refused.inc();
            return (
                StatusCode::TOO_MANY_REQUESTS,
                "Too many connections from your address.\n",
            )
                .into_response();
        };
        let (queue, allowance) = match &self.keeper {
            Some((queue, allowance)) if parts.uri.path() == KEEPER_PATH => (queue, allowance),
            _ => (&self.websockets, &self.allowance),
        };
        let Ok(place) = queue.clone().try_reserve_owned() else {
            self.metrics.websockets_refused.inc();
            return (StatusCode::SERVICE_UNAVAILABLE, "The relay is busy.\n").into_response();
        };
        let metrics = self.metrics.clone();
        let allowance = allowance.share(client.ip());
        WsStream::configure(upgrade).on_upgrade(move |socket| async move {
            place.send(Accepted {
                stream: WsStream::new(socket, metrics, allowance, seat),
                local: socket_multiaddr(ends.local),
                remote: socket_multiaddr(client),
            });
        })
    }

    fn bootstrap(&self, request: &Request) -> serde_json::Value {
        let used = self.address_used(request);
        let own = if self.advertised.is_empty() {
            std::slice::from_ref(&used)
        } else {
            &self.advertised[..]
        };
        let public = own.first().unwrap_or(&used);
        let mut relays: Vec<String> = own
            .iter()
            .map(|address| {
                address
                    .multiaddr()
                    .with(Protocol::P2p(self.peer_id))
                    .to_string()
            })
            .collect();
        let linked = self.linked.read().unwrap_or_else(PoisonError::into_inner);
        relays.extend(linked.iter().map(Multiaddr::to_string));
        let mut stun = self.stun_urls.clone();
        if stun.is_empty() {
            stun.extend(
                self.stun_port
                    .map(|port| format!("stun:{}:{port}", public.host)),
            );
        }
        // Sites stand under public names, and under `localhost`, which is what has them on one machine. Names under an IP
        // address do not exist, and of other names nobody has said that what is under them leads here.
        let site_host = match requested_host(request) {
            Some((host, port)) if host.is_loopback() => Some(port.map_or_else(
                || "localhost".to_owned(),
                |port| format!("localhost:{port}"),
            )),
            Some((Host::Name(name), _)) => self.named(&name).map(PublicAddress::authority),
            _ => None,
        }
        .or_else(|| {
            let named = |address: &&PublicAddress| matches!(address.host, Host::Name(_));
            self.advertised
                .iter()
                .find(named)
                .map(PublicAddress::authority)
        });
        json!({ "relays": relays, "stun": stun, "siteHost": site_host, "puzzleBits": self.puzzle_bits })
    }

    /// The address under which this visitor reached us, from its own `Host` header; it is told to nobody else.
    fn address_used(&self, request: &Request) -> PublicAddress {
        let ends = request.extensions().get::<Ends>();
        let tls = ends.is_some_and(|ends| ends.tls);
        let default = if tls { 443 } else { 80 };
        match requested_host(request) {
            Some((host, port)) => {
                let host = match host {
                    Host::Name(name) if name == "localhost" => Host::Ip(if self.ipv4 {
                        [127, 0, 0, 1].into()
                    } else {
                        std::net::Ipv6Addr::LOCALHOST.into()
                    }),
                    Host::Ip(ip) if ip.is_loopback() && self.ipv4 => {
                        Host::Ip([127, 0, 0, 1].into())
                    }
                    other => other,
                };
                PublicAddress {
                    host,
                    port: port.unwrap_or(default),
                    tls,
                }
            }
            None => {
                let local = ends.map_or(SocketAddr::from(([127, 0, 0, 1], default)), |ends| {
                    ends.local
                });
                PublicAddress {
                    host: Host::Ip(local.ip().to_canonical()),
                    port: local.port(),
                    tls,
                }
            }
        }
    }
}

/// A site's host.
#[derive(Debug)]
struct Site {
    /// What stands before the parent's name.
    label: String,
    /// The origin of the app.
    app: String,
}

/// The host a request is for: from an absolute target, else from the one `Host` header.
fn requested_host<B>(request: &axum::http::Request<B>) -> Option<(Host, Option<u16>)> {
    if let Some(authority) = request.uri().authority() {
        return split_authority(authority.as_str());
    }
    let mut hosts = request.headers().get_all(HOST).iter();
    let host = hosts.next()?.to_str().ok()?;
    if hosts.next().is_some() {
        return None;
    }
    split_authority(host)
}

fn is_websocket_upgrade(headers: &HeaderMap) -> bool {
    let value = headers.get(UPGRADE).and_then(|value| value.to_str().ok());
    value.is_some_and(|value| value.eq_ignore_ascii_case("websocket"))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::super::ws_listener;
    use super::*;

    fn surface(advertised: &[&str]) -> (Arc<Surface>, ws_listener::WsListener) {
        let (websockets, listener) = ws_listener::channel();
        let surface = Surface {
            peer_id: PeerId::random(),
            advertised: advertised
                .iter()
                .map(|text| text.parse().unwrap())
                .collect(),
            stun_urls: Vec::new(),
            stun_port: Some(3478),
            ipv4: true,
            linked: Arc::default(),
            client_address: ClientAddress::direct(),
            seats: Seats::new(4),
            allowance: Allowance::new(super::super::Limits::default().bytes_per_ip),
            websockets,
            keeper: None,
            metrics: Arc::new(Metrics::new()),
            puzzle_bits: 16,
            app: App::BuiltIn,
            loader: Loader::new(None),
            policy: app::policy(&[]),
        };
        (Arc::new(surface), listener)
    }

    async fn get_from(
        surface: &Arc<Surface>,
        host: &str,
        path: &str,
    ) -> (StatusCode, HeaderMap, String) {
        use tower::ServiceExt;
        let request = Request::builder()
            .uri(path)
            .header(HOST, host)
            .body(Body::empty())
            .unwrap();
        let response = router(surface.clone()).oneshot(request).await.unwrap();
        let (parts, body) = response.into_parts();
        let body = axum::body::to_bytes(body, 1 << 20).await.unwrap();
        (
            parts.status,
            parts.headers,
            String::from_utf8(body.to_vec()).unwrap(),
        )
    }

    #[tokio::test]
    async fn a_site_host_never_gets_the_app() {
        let (surface, _listener) = surface(&["relay.example.org", "www.relay.example.org"]);
        for host in [
            "k51abc.localhost:8080",
            "K51ABC.LOCALHOST",
            "a.b.localhost.:1",
            "k51abc.relay.example.org",
            "x.www.relay.example.org:443",
        ] {
            for path in [
                "/",
                "/index.html",
                "/bootstrap.json",
                "/metrics",
                "/.gyre/x",
            ] {
                let (status, headers, body) = get_from(&surface, host, path).await;
                assert!(
                    status == StatusCode::NOT_FOUND && body.starts_with("There is no site here"),
                    "{host}{path}"
                );
                assert!(headers.contains_key("content-security-policy"));
            }
        }
        for host in [
            "localhost:8080",
            "127.0.0.1",
            "[::1]:9",
            "relay.example.org",
            "www.relay.example.org",
            "other.org",
        ] {
            let (status, _, body) = get_from(&surface, host, "/").await;
            assert!(
                status == StatusCode::OK && body.contains("Gyre relay"),
                "{host}"
            );
        }
        for host in ["", "a b", "xlocalhost:foo"] {
            assert_eq!(
                get_from(&surface, host, "/").await.0,
                StatusCode::BAD_REQUEST,
                "{host}"
            );
        }
    }

    #[tokio::test]
    async fn an_absolute_target_cannot_hide_a_site_host() {
        let (surface, _listener) = surface(&[]);
        let (status, _, _) = get_from(&surface, "localhost", "http://site.localhost:8080/").await;
        assert_eq!(status, StatusCode::NOT_FOUND);
    }

    #[test]
    fn a_site_is_shown_by_the_app_above_it() {
        let (surface, _listener) = surface(&["relay.example.org", "www.relay.example.org"]);
        let request = Request::builder().body(Body::empty()).unwrap();
        for (host, label, app) in [
            ("k51.localhost:8080", "k51", "http://localhost:8080"),
            ("k51.relay.example.org", "k51", "https://relay.example.org"),
            (
                "k51.www.relay.example.org:99",
                "k51",
                "https://www.relay.example.org:99",
            ),
            ("a.b.localhost", "a.b", "http://localhost"),
        ] {
            let site = surface
                .site(&split_authority(host).unwrap(), &request)
                .unwrap();
            assert_eq!((site.label.as_str(), site.app.as_str()), (label, app));
        }
        for host in ["localhost", "relay.example.org", "xlocalhost", "127.0.0.1"] {
            assert!(
                surface
                    .site(&split_authority(host).unwrap(), &request)
                    .is_none(),
                "{host}"
            );
        }
    }

    async fn bootstrap_of(surface: &Arc<Surface>, host: &str) -> serde_json::Value {
        let (status, headers, body) = get_from(surface, host, "/bootstrap.json").await;
        assert_eq!(status, StatusCode::OK);
        assert_eq!(headers["access-control-allow-origin"], "*");
        serde_json::from_str(&body).unwrap()
    }

    #[tokio::test]
    async fn without_public_address_a_visitor_is_told_the_one_it_used() {
        let (surface, _listener) = surface(&[]);
        let id = surface.peer_id;
        for (host, address, stun, site) in [
            (
                "localhost:8080",
                "/ip4/127.0.0.1/tcp/8080/ws",
                "stun:127.0.0.1:3478",
                Some("localhost:8080"),
            ),
            (
                "[::1]:8080",
                "/ip4/127.0.0.1/tcp/8080/ws",
                "stun:127.0.0.1:3478",
                Some("localhost:8080"),
            ),
            (
                "192.0.2.1:99",
                "/ip4/192.0.2.1/tcp/99/ws",
                "stun:192.0.2.1:3478",
                None,
            ),
            (
                "box.lan",
                "/dns4/box.lan/tcp/80/ws",
                "stun:box.lan:3478",
                None,
            ),
        ] {
            assert_eq!(
                bootstrap_of(&surface, host).await,
                json!({ "relays": [format!("{address}/p2p/{id}")], "stun": [stun], "siteHost": site, "puzzleBits": 16 }),
            );
        }
    }

    #[tokio::test]
    async fn public_addresses_and_linked_relays_are_told() {
        let (surface, _listener) = surface(&["relay.example.org"]);
        surface
            .linked
            .write()
            .unwrap()
            .push("/dns4/two.example/tcp/443/tls/ws".parse().unwrap());
        let id = surface.peer_id;
        assert_eq!(
            bootstrap_of(&surface, "anything").await,
            json!({
                "relays": [format!("/dns4/relay.example.org/tcp/443/tls/ws/p2p/{id}"), "/dns4/two.example/tcp/443/tls/ws"],
                "stun": ["stun:relay.example.org:3478"],
                "siteHost": "relay.example.org",
                "puzzleBits": 16,
            }),
        );
    }
}
