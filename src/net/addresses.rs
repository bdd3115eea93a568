//! The shapes of addresses that nodes tell each other.
//!
//! A node is reachable through relays, `<relay>/p2p/R/p2p-circuit/webrtc/p2p/B`, and through peers that introduce it,
//! `/webrtc/p2p/P/p2p-circuit/webrtc/p2p/B`.

use libp2p::multiaddr::Protocol;
use libp2p::{Multiaddr, PeerId};
use multihash::Multihash;

use super::transport::webrtc::addr::{WebRtcAddr, remote_addr};
use crate::proto::base::Base;
use crate::proto::link::{percent_decode, percent_encode};

/// Longest address that is taken from others, in bytes: `/dns4/…/tcp/443/tls/ws/p2p/…/p2p-circuit/webrtc/p2p/…` with a name of 100
/// letters has about 210.
pub const MAX_ADDRESS_BYTES: usize = 256;

/// Path at which a relay's port leads to the keeper beside it: `…/ws` with this path is the keeper's own socket, any other the relay's.
pub const KEEPER_PATH: &str = "/keeper";

/// Reads an address that a person or a page wrote: what nodes and relays are reached by, and nothing of the two dozen other
/// protocols and bases whose tables `Multiaddr`'s own reader brings along.
///
/// # Errors
/// [`NotAnAddress`].
pub fn parse(text: &str) -> Result<Multiaddr, NotAnAddress> {
    let mut parts = text.split('/');
    if parts.next() != Some("") {
        return Err(NotAnAddress);
    }
    let mut address = Multiaddr::empty();
    while let Some(name) = parts.next() {
        let part = match name {
            "tls" => Protocol::Tls,
            "ws" => Protocol::Ws("/".into()),
            "wss" => Protocol::Wss("/".into()),
            "quic-v1" => Protocol::QuicV1,
            "webtransport" => Protocol::WebTransport,
            "webrtc" => Protocol::WebRTC,
            "webrtc-direct" => Protocol::WebRTCDirect,
            "p2p-circuit" => Protocol::P2pCircuit,
            _ => with_value(name, parts.next().ok_or(NotAnAddress)?)?,
        };
        address.push(part);
    }
    Ok(address)
}

fn with_value<'a>(name: &str, value: &'a str) -> Result<Protocol<'a>, NotAnAddress> {
    Ok(match name {
        "ip4" => Protocol::Ip4(value.parse().map_err(|_| NotAnAddress)?),
        "ip6" => Protocol::Ip6(value.parse().map_err(|_| NotAnAddress)?),
        "dns" => Protocol::Dns(value.into()),
        "dns4" => Protocol::Dns4(value.into()),
        "dns6" => Protocol::Dns6(value.into()),
        "dnsaddr" => Protocol::Dnsaddr(value.into()),
        "tcp" => Protocol::Tcp(value.parse().map_err(|_| NotAnAddress)?),
        "udp" => Protocol::Udp(value.parse().map_err(|_| NotAnAddress)?),
        "x-parity-ws" => Protocol::Ws(percent_decode(value)),
        "x-parity-wss" => Protocol::Wss(percent_decode(value)),
        "p2p" | "ipfs" => {
            let bytes = Base::Base58.decode(value).ok_or(NotAnAddress)?;
            Protocol::P2p(PeerId::from_bytes(&bytes).map_err(|_| NotAnAddress)?)
        }
        "certhash" => {
            let text = value.strip_prefix('u').ok_or(NotAnAddress)?;
            let bytes = Base::Base64Url.decode(text).ok_or(NotAnAddress)?;
            Protocol::Certhash(Multihash::from_bytes(&bytes).map_err(|_| NotAnAddress)?)
        }
        _ => return Err(NotAnAddress),
    })
}

/// The address as people and pages read it, and as [`parse`] does; of the protocols that it does not know the names alone.
pub fn text(address: &Multiaddr) -> String {
    let mut text = String::new();
    for part in address {
        text.push('/');
        text.push_str(part.tag());
        let value = match part {
            Protocol::Ip4(ip) => ip.to_string(),
            Protocol::Ip6(ip) => ip.to_string(),
            Protocol::Dns(name)
            | Protocol::Dns4(name)
            | Protocol::Dns6(name)
            | Protocol::Dnsaddr(name) => name.into_owned(),
            Protocol::Tcp(port) | Protocol::Udp(port) => port.to_string(),
            Protocol::Ws(path) | Protocol::Wss(path) if path != "/" => {
                let mut encoded = String::new();
                percent_encode(&path, &mut encoded);
                encoded
            }
            Protocol::P2p(peer) => peer.to_string(),
            Protocol::Certhash(hash) => format!("u{}", Base::Base64Url.encode(&hash.to_bytes())),
            _ => continue,
        };
        text.push('/');
        text.push_str(&value);
    }
    text
}

/// A text that is no address of a relay or a node.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not an address such as /dns4/relay.example/tcp/443/tls/ws/p2p/<id>")]
pub struct NotAnAddress;

/// The way to a node: who introduces, and where that one is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Route {
    /// Through a relay: `<address>/p2p/<relay>`.
    Relay(PeerId, Multiaddr),
    /// Through a peer, of use to those that have a link to it.
    Peer(PeerId),
}

impl Route {
    /// Reads the way to `target` off an address; `None` for any other address, and for one that is too long.
    pub fn read(address: &Multiaddr, target: PeerId) -> Option<Self> {
        if address.len() > MAX_ADDRESS_BYTES {
            return None;
        }
        let parsed = WebRtcAddr::parse(address).ok()?;
        if parsed.target != target {
            return None;
        }
        let before: Vec<Protocol<'_>> = address
            .iter()
            .take_while(|part| *part != Protocol::P2pCircuit)
            .collect();
        match before.as_slice() {
            [Protocol::WebRTC, Protocol::P2p(peer)] => Some(Self::Peer(*peer)),
            // A browser reaches relays by websocket only, and a chain of introductions is nobody's address.
            [socket @ .., Protocol::P2p(relay)]
                if !socket.is_empty() && !socket.contains(&Protocol::WebRTC) =>
            {
                Some(Self::Relay(*relay, before.iter().cloned().collect()))
            }
            _ => None,
        }
    }

    /// The address of `target` on this way.
    pub fn to(&self, target: PeerId) -> Multiaddr {
        let before = match self {
            Self::Relay(_, address) => address.clone(),
            Self::Peer(peer) => remote_addr(*peer),
        };
        before
            .with(Protocol::P2pCircuit)
            .with(Protocol::WebRTC)
            .with(Protocol::P2p(target))
    }

    /// Who introduces.
    pub fn through(&self) -> PeerId {
        match self {
            Self::Relay(peer, _) | Self::Peer(peer) => *peer,
        }
    }
}

/// Where a reservation at a linked peer is asked for.
pub fn listen_at(peer: PeerId) -> Multiaddr {
    remote_addr(peer).with(Protocol::P2pCircuit)
}

/// Whether this is an address of the `/webrtc` transport behind a relay or a peer.
pub fn is_dialable(address: &Multiaddr) -> bool {
    WebRtcAddr::parse(address).is_ok()
}

/// Whether this is an address of the `/webrtc` transport behind a relay.
pub fn is_behind_relay(address: &Multiaddr) -> bool {
    is_dialable(address) && address.iter().next() != Some(Protocol::WebRTC)
}

/// The way to `target` by a socket of its own, if this is one: `<host>/tcp/<port>` with `/ws`, `/tls/ws` or neither, and its name, which
/// is put there where it is missing. Native nodes have such, pages do not. A websocket's path is `/` or [`KEEPER_PATH`]: what
/// others say must not make a browser ask for anything else of a stranger's server.
pub fn socket_of(address: &Multiaddr, target: PeerId) -> Option<Multiaddr> {
    if address.len() > MAX_ADDRESS_BYTES {
        return None;
    }
    let mut parts: Vec<_> = address.iter().collect();
    if let Some(Protocol::P2p(peer)) = parts.last() {
        if *peer != target {
            return None;
        }
        parts.pop();
    }
    let [host, Protocol::Tcp(port), upgrades @ ..] = parts.as_slice() else {
        return None;
    };
    let is_host = match host {
        Protocol::Ip4(ip) => !ip.is_unspecified() && !ip.is_multicast(),
        Protocol::Ip6(ip) => !ip.is_unspecified() && !ip.is_multicast(),
        Protocol::Dns(_) | Protocol::Dns4(_) | Protocol::Dns6(_) => true,
        _ => false,
    };
    let is_socket = match upgrades {
        [] => true,
        [Protocol::Ws(path) | Protocol::Wss(path)] | [Protocol::Tls, Protocol::Ws(path)] => {
            path == "/" || path == KEEPER_PATH
        }
        _ => false,
    };
    if *port == 0 || !is_host || !is_socket {
        return None;
    }
    let socket = parts.into_iter().chain([Protocol::P2p(target)]);
    Some(socket.collect()).filter(|socket: &Multiaddr| socket.len() <= MAX_ADDRESS_BYTES)
}

/// Whether this is an address that a node tells others: behind a relay, a peer, or a socket of its own with its name.
pub fn is_told(address: &Multiaddr) -> bool {
    is_dialable(address) || is_own_socket(address)
}

/// Whether this is a socket with the name of its owner.
pub fn is_own_socket(address: &Multiaddr) -> bool {
    match address.iter().last() {
        Some(Protocol::P2p(owner)) => socket_of(address, owner).is_some(),
        _ => false,
    }
}

#[cfg(all(test, not(target_arch = "wasm32")))]
mod tests {
    #![allow(clippy::unwrap_used)]
    use proptest::prelude::*;

    use super::*;

    fn relay() -> Multiaddr {
        "/dns4/relay.example/tcp/443/tls/ws/p2p/12D3KooWDpJ7As7BWAwRMfu1VU2WCqNjvq387JEYKDBj4kx6nXTN"
            .parse()
            .unwrap()
    }

    proptest! {
        #[test]
        fn texts_are_read_as_libp2p_reads_them(
            parts in proptest::collection::vec(prop_oneof![
                "/(ip4/127\\.0\\.0\\.[0-9]{1,3}|ip6/::[0-9a-f]{1,5}|dns4?/[a-z.-]{0,8}|dnsaddr/[a-z]{0,3}|(tcp|udp)/-?[0-9]{1,5})",
                "/(tls|wss?|webrtc(-direct)?|p2p-circuit|quic-v1|webtransport|x-parity-wss?/%2F[a-zä%2]{0,5})",
                Just("/p2p/12D3KooWDpJ7As7BWAwRMfu1VU2WCqNjvq387JEYKDBj4kx6nXTN".to_owned()),
                Just("/certhash/uEiDDq4_xNyDorZBH3TlGazyJdOWSwvo4PUo5YHFMrvDE8g".to_owned()),
                "/p2p/[1-9A-Za-z]{0,52}|/certhash/u[A-Za-z0-9_-]{0,10}|[ -~]{0,6}",
            ], 0..5)
        ) {
            let text = parts.concat();
            // What only libp2p reads are protocols that no node of ours has.
            if let Ok(address) = parse(&text) {
                prop_assert_eq!(Ok(address.clone()), text.parse::<Multiaddr>().map_err(|_| ()), "{}", text);
                let written = super::text(&address);
                prop_assert_eq!(parse(&written), Ok(address.clone()));
                // More of a path is encoded than need be.
                prop_assert!(text.contains("x-parity") || written == address.to_string(), "{}", written);
            } else if let Ok(address) = text.parse::<Multiaddr>() {
                prop_assert!(!is_told(&address) && !text.contains("x-parity"), "{}", text);
            }
        }
    }

    #[test]
    fn addresses_that_people_write_are_read() {
        for text in [
            "/dns4/relay.example/tcp/443/tls/ws/p2p/12D3KooWDpJ7As7BWAwRMfu1VU2WCqNjvq387JEYKDBj4kx6nXTN",
            "/ip6/::1/tcp/8080/ws/p2p/12D3KooWDpJ7As7BWAwRMfu1VU2WCqNjvq387JEYKDBj4kx6nXTN/p2p-circuit",
            "/ip4/127.0.0.1/tcp/8080/x-parity-ws/%2Fkeeper",
            "/ip4/1.2.3.4/udp/4001/webrtc-direct/certhash/uEiDDq4_xNyDorZBH3TlGazyJdOWSwvo4PUo5YHFMrvDE8g",
        ] {
            assert_eq!(super::text(&parse(text).unwrap()), text);
        }
        let strange: Multiaddr = "/ip4/1.2.3.4/sctp/5/sni/a.example/tls".parse().unwrap();
        assert_eq!(super::text(&strange), "/ip4/1.2.3.4/sctp/sni/tls");
        for text in [
            "dns4/a",
            "/dns4",
            "/tcp/65536",
            "/p2p/x",
            "/onion/a",
            "/",
            "//",
        ] {
            assert_eq!(parse(text), Err(NotAnAddress), "{text}");
        }
    }

    #[test]
    fn routes_are_read_as_they_are_written() {
        let (introducer, target) = (PeerId::random(), PeerId::random());
        let Some(Protocol::P2p(relay_id)) = relay().iter().last() else {
            panic!("a relay without a name")
        };
        for route in [Route::Peer(introducer), Route::Relay(relay_id, relay())] {
            let address = route.to(target);
            assert!(is_dialable(&address));
            assert_eq!(Route::read(&address, target), Some(route));
            assert_eq!(Route::read(&address, introducer), None, "of somebody else");
        }
        assert!(is_behind_relay(&Route::Relay(relay_id, relay()).to(target)));
        assert!(!is_behind_relay(&Route::Peer(introducer).to(target)));
    }

    #[test]
    fn other_addresses_are_no_routes() {
        let target = PeerId::random();
        let through = Route::Peer(PeerId::random()).to(target);
        let chained = relay()
            .with(Protocol::P2pCircuit)
            .with(Protocol::WebRTC)
            .with(Protocol::P2p(PeerId::random()))
            .with(Protocol::P2pCircuit)
            .with(Protocol::WebRTC)
            .with(Protocol::P2p(target));
        let plain = relay()
            .with(Protocol::P2pCircuit)
            .with(Protocol::P2p(target));
        let long: Multiaddr = format!("/dns4/{}/tcp/1/ws", "a".repeat(250))
            .parse()
            .unwrap();
        let long = Route::Relay(target, long.with(Protocol::P2p(PeerId::random()))).to(target);
        for address in [relay(), chained, plain, long, Multiaddr::empty()] {
            assert_eq!(Route::read(&address, target), None, "{address}");
        }
        assert!(Route::read(&through, target).is_some());
    }

    #[test]
    fn sockets_are_read_with_and_without_their_name() {
        let (owner, other) = (PeerId::random(), PeerId::random());
        for socket in [
            "/ip4/203.0.113.1/tcp/4001",
            "/ip4/127.0.0.1/tcp/1/ws",
            "/ip6/::1/tcp/1/ws",
            "/dns4/a.example/tcp/443/tls/ws",
            "/dns/a.example/tcp/443/wss",
            "/ip4/127.0.0.1/tcp/8080/x-parity-ws/%2Fkeeper",
            "/dns4/a.example/tcp/443/tls/x-parity-ws/%2Fkeeper",
        ] {
            let bare: Multiaddr = socket.parse().unwrap();
            let named = bare.clone().with(Protocol::P2p(owner));
            assert_eq!(socket_of(&bare, owner), Some(named.clone()));
            assert_eq!(socket_of(&named, owner), Some(named.clone()));
            assert_eq!(socket_of(&named, other), None);
            assert!(is_told(&named) && !is_told(&bare) && !is_dialable(&named));
        }
        for other in [
            "/ip4/0.0.0.0/tcp/1/ws".to_owned(),
            "/ip4/1.2.3.4/tcp/0/ws".to_owned(),
            "/ip4/1.2.3.4/udp/1/quic-v1".to_owned(),
            "/ip4/1.2.3.4/tcp/1/ws/ws".to_owned(),
            "/ip4/1.2.3.4/tcp/1/x-parity-ws/%2Fadmin".to_owned(),
            format!("/ip4/1.2.3.4/tcp/1/ws/p2p/{other}/p2p-circuit"),
            format!("/dns4/{}/tcp/1/ws", "a".repeat(250)),
        ] {
            assert_eq!(socket_of(&other.parse().unwrap(), owner), None, "{other}");
        }
        let through = Route::Relay(other, relay()).to(owner);
        assert_eq!(socket_of(&through, owner), None);
    }

    fn part() -> impl Strategy<Value = Protocol<'static>> {
        let names: Vec<PeerId> = (0..3u8)
            .map(|n| {
                let mut seed = [n; 32];
                libp2p::identity::Keypair::ed25519_from_bytes(&mut seed)
                    .unwrap()
                    .public()
                    .to_peer_id()
            })
            .collect();
        prop_oneof![
            Just(Protocol::Ip4([127, 0, 0, 1].into())),
            Just(Protocol::Tcp(1)),
            prop::sample::select(names).prop_map(Protocol::P2p),
            Just(Protocol::P2pCircuit),
            Just(Protocol::WebRTC),
        ]
    }

    proptest! {
        #[test]
        fn whatever_is_read_leads_back_to_the_same_address(parts in prop::collection::vec(part(), 0..8)) {
            let address: Multiaddr = parts.into_iter().collect();
            if let Some(Protocol::P2p(target)) = address.iter().last()
                && let Some(route) = Route::read(&address, target)
            {
                prop_assert_eq!(route.to(target), address.clone());
                prop_assert!(is_dialable(&address));
            }
        }
    }
}
