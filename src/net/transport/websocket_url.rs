//! From a relay's multiaddress to the URL that the browser dials.

use std::net::Ipv6Addr;

use libp2p::Multiaddr;
use libp2p::multiaddr::Protocol;

/// The URL of a websocket address, `None` for any other address. Nothing but `/p2p/<id>` may follow: a circuit address
/// begins with a relay's websocket address too, and dialling that would reach the wrong peer.
pub(crate) fn to_url(address: &Multiaddr) -> Option<String> {
    let mut parts = address.iter().peekable();
    let host = match parts.next()? {
        Protocol::Ip4(ip) => ip.to_string(),
        Protocol::Ip6(ip) => bracketed(ip),
        Protocol::Dns(name) | Protocol::Dns4(name) | Protocol::Dns6(name) => name.into_owned(),
        _ => return None,
    };
    let Protocol::Tcp(port) = parts.next()? else {
        return None;
    };
    let mut secure = false;
    let path = match parts.next()? {
        Protocol::Ws(at) => at.into_owned(),
        Protocol::Wss(at) => {
            secure = true;
            at.into_owned()
        }
        Protocol::Tls => {
            secure = true;
            if matches!(parts.peek(), Some(Protocol::Sni(_))) {
                parts.next();
            }
            let Protocol::Ws(at) = parts.next()? else {
                return None;
            };
            at.into_owned()
        }
        _ => return None,
    };
    if matches!(parts.peek(), Some(Protocol::P2p(_))) {
        parts.next();
    }
    if parts.next().is_some() {
        return None;
    }
    let scheme = if secure { "wss" } else { "ws" };
    let path = if path.starts_with('/') {
        path
    } else {
        format!("/{path}")
    };
    Some(format!("{scheme}://{host}:{port}{path}"))
}

fn bracketed(ip: Ipv6Addr) -> String {
    format!("[{ip}]")
}

#[cfg(all(test, not(target_arch = "wasm32")))]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use proptest::prelude::*;

    const RELAY: &str = "12D3KooWDpJ7As7BWAwRMfu1VU2WCqNjvq387JEYKDBj4kx6nXTN";

    fn url(address: &str) -> Option<String> {
        to_url(&address.parse().unwrap())
    }

    #[test]
    fn websocket_addresses_become_urls() {
        assert_eq!(
            url("/ip4/127.0.0.1/tcp/8080/ws").unwrap(),
            "ws://127.0.0.1:8080/"
        );
        assert_eq!(url("/ip6/::1/tcp/8080/ws").unwrap(), "ws://[::1]:8080/");
        assert_eq!(
            url(&format!("/dns4/relay.example/tcp/443/tls/ws/p2p/{RELAY}")).unwrap(),
            "wss://relay.example:443/"
        );
        assert_eq!(
            url("/dns4/relay.example/tcp/443/wss").unwrap(),
            "wss://relay.example:443/"
        );
        assert_eq!(
            url("/ip4/127.0.0.1/tcp/4002/tls/sni/relay.example/ws").unwrap(),
            "wss://127.0.0.1:4002/"
        );
        assert_eq!(
            url(&format!(
                "/dns4/relay.example/tcp/443/tls/x-parity-ws/%2Fkeeper/p2p/{RELAY}"
            ))
            .unwrap(),
            "wss://relay.example:443/keeper"
        );
    }

    #[test]
    fn other_addresses_are_left_to_other_transports() {
        for address in [
            "/ip4/127.0.0.1/tcp/8080".to_owned(),
            "/ip4/127.0.0.1/udp/8080/quic-v1".to_owned(),
            "/webrtc".to_owned(),
            format!("/ip4/127.0.0.1/tcp/8080/ws/p2p/{RELAY}/p2p-circuit"),
            format!("/ip4/127.0.0.1/tcp/8080/ws/p2p/{RELAY}/p2p-circuit/webrtc/p2p/{RELAY}"),
        ] {
            assert_eq!(url(&address), None, "{address}");
        }
    }

    proptest! {
        #[test]
        fn any_multiaddress_is_read_or_refused(bytes in proptest::collection::vec(any::<u8>(), 0..128)) {
            if let Some(url) = Multiaddr::try_from(bytes).ok().and_then(|address| to_url(&address)) {
                prop_assert!(url.starts_with("ws://") || url.starts_with("wss://"));
            }
        }
    }
}
