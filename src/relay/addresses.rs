//! The addresses a relay tells others: how they are written on the command line and how they become multiaddrs.
//!
//! A browser can dial `/ws` and `/tls/ws` only, so those are the only forms here.

use std::net::{IpAddr, SocketAddr};
use std::str::FromStr;

use libp2p::Multiaddr;
use libp2p::multiaddr::Protocol;

use crate::net::addresses::KEEPER_PATH;

/// A name or an address, as in a URL.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Host {
    /// A DNS name in lower case, without the final dot.
    Name(String),
    /// An IP address.
    Ip(IpAddr),
}

impl Host {
    /// Reads the host part of a URL or `Host` header; IPv6 with or without brackets.
    pub fn parse(text: &str) -> Option<Self> {
        let bare = text
            .strip_prefix('[')
            .and_then(|t| t.strip_suffix(']'))
            .unwrap_or(text);
        if let Ok(ip) = bare.parse::<IpAddr>() {
            return Some(Self::Ip(ip.to_canonical()));
        }
        let name = text.strip_suffix('.').unwrap_or(text).to_ascii_lowercase();
        let label = |label: &str| {
            (1..=63).contains(&label.len())
                && label
                    .bytes()
                    .all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_')
        };
        (name.len() <= MAX_NAME && name.split('.').all(label)).then_some(Self::Name(name))
    }

    /// True for `localhost` and loopback addresses.
    pub fn is_loopback(&self) -> bool {
        match self {
            Self::Name(name) => name == "localhost",
            Self::Ip(ip) => ip.is_loopback(),
        }
    }
}

/// Writes the host as in a URL: IPv6 in brackets.
impl std::fmt::Display for Host {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Name(name) => f.write_str(name),
            Self::Ip(IpAddr::V4(ip)) => write!(f, "{ip}"),
            Self::Ip(IpAddr::V6(ip)) => write!(f, "[{ip}]"),
        }
    }
}

/// Splits `host`, `host:port`, `[v6]` or `[v6]:port`.
pub fn split_authority(text: &str) -> Option<(Host, Option<u16>)> {
    let after_bracket = text.rfind(']').map_or(0, |end| end + 1);
    match text[after_bracket..].rfind(':') {
        Some(colon) => {
            let (host, port) = text.split_at(after_bracket + colon);
            Some((Host::parse(host)?, Some(port[1..].parse().ok()?)))
        }
        None => Some((Host::parse(text)?, None)),
    }
}

/// A public address of this relay.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PublicAddress {
    /// Name or address that visitors use.
    pub host: Host,
    /// TCP port that visitors use.
    pub port: u16,
    /// Whether visitors speak TLS, here or at a proxy in front.
    pub tls: bool,
}

impl PublicAddress {
    /// The multiaddr, without the peer id.
    pub fn multiaddr(&self) -> Multiaddr {
        let host = match &self.host {
            Host::Name(name) => Protocol::Dns4(name.clone().into()),
            Host::Ip(IpAddr::V4(ip)) => Protocol::Ip4(*ip),
            Host::Ip(IpAddr::V6(ip)) => Protocol::Ip6(*ip),
        };
        let address = Multiaddr::empty().with(host).with(Protocol::Tcp(self.port));
        let address = if self.tls {
            address.with(Protocol::Tls)
        } else {
            address
        };
        address.with(Protocol::Ws("/".into()))
    }

    /// The multiaddr of the keeper behind the same port, without its peer id.
    pub fn keeper_multiaddr(&self) -> Multiaddr {
        let mut address = self.multiaddr();
        address.pop();
        address.with(Protocol::Ws(KEEPER_PATH.into()))
    }

    /// `host`, with the port unless it is the scheme's own.
    pub fn authority(&self) -> String {
        let default = if self.tls { 443 } else { 80 };
        if self.port == default {
            self.host.to_string()
        } else {
            format!("{}:{}", self.host, self.port)
        }
    }

    /// The web address of the app.
    pub fn url(&self) -> String {
        format!(
            "{}://{}/",
            if self.tls { "https" } else { "http" },
            self.authority()
        )
    }

    fn from_multiaddr(address: &Multiaddr) -> Option<Self> {
        let mut parts = address.iter();
        let host = match parts.next()? {
            Protocol::Ip4(ip) => Host::Ip(ip.into()),
            Protocol::Ip6(ip) => Host::Ip(ip.into()),
            Protocol::Dns(name) | Protocol::Dns4(name) | Protocol::Dns6(name) => {
                Host::parse(&name)?
            }
            _ => return None,
        };
        let Protocol::Tcp(port) = parts.next()? else {
            return None;
        };
        let tls = match parts.next()? {
            Protocol::Ws(_) => false,
            Protocol::Wss(_) => true,
            Protocol::Tls => matches!(parts.next()?, Protocol::Ws(_)).then_some(true)?,
            _ => return None,
        };
        match parts.next() {
            None => {}
            Some(Protocol::P2p(_)) if parts.next().is_none() => {}
            Some(_) => return None,
        }
        Some(Self { host, port, tls })
    }
}

/// Reads `host`, `host:port`, `ws://…`, `wss://…`, `http://…`, `https://…` or a multiaddr ending in `/ws` or `/tls/ws`.
///
/// A bare `host` means TLS on port 443, and so does `host:443`; any other bare `host:port` means plain websocket.
impl FromStr for PublicAddress {
    type Err = PublicAddressSyntax;

    fn from_str(text: &str) -> Result<Self, PublicAddressSyntax> {
        let parsed = if text.starts_with('/') {
            text.parse()
                .ok()
                .and_then(|address| Self::from_multiaddr(&address))
        } else {
            let (tls, rest) = match text.split_once("://") {
                Some(("ws" | "http", rest)) => (Some(false), rest),
                Some(("wss" | "https", rest)) => (Some(true), rest),
                Some(_) => return Err(PublicAddressSyntax),
                None => (None, text),
            };
            split_authority(rest.strip_suffix('/').unwrap_or(rest)).map(|(host, port)| {
                let tls = tls.unwrap_or(matches!(port, None | Some(443)));
                Self {
                    host,
                    port: port.unwrap_or(if tls { 443 } else { 80 }),
                    tls,
                }
            })
        };
        parsed
            .filter(|address| address.port != 0)
            .ok_or(PublicAddressSyntax)
    }
}

/// An address was written in none of the known forms.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "an address is written host, host:port, wss://host, ws://host:port, or as a multiaddr ending in /ws or /tls/ws"
)]
pub struct PublicAddressSyntax;

/// The multiaddr of one end of a websocket.
pub(crate) fn socket_multiaddr(address: SocketAddr) -> Multiaddr {
    PublicAddress {
        host: Host::Ip(address.ip().to_canonical()),
        port: address.port(),
        tls: false,
    }
    .multiaddr()
}

/// True when a browser can dial it: a websocket, and no circuit.
pub(crate) fn is_websocket(address: &Multiaddr) -> bool {
    let circuit = address
        .iter()
        .any(|part| matches!(part, Protocol::P2pCircuit));
    !circuit
        && address
            .iter()
            .any(|part| matches!(part, Protocol::Ws(_) | Protocol::Wss(_)))
}

/// Longest DNS name in bytes (RFC 1035, section 2.3.4, without the root's dot).
const MAX_NAME: usize = 253;

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn every_form() {
        for (text, multiaddr, authority) in [
            (
                "relay.example.org",
                "/dns4/relay.example.org/tcp/443/tls/ws",
                "relay.example.org",
            ),
            (
                "relay.example.org:443",
                "/dns4/relay.example.org/tcp/443/tls/ws",
                "relay.example.org",
            ),
            (
                "Relay.Example.org.:8080",
                "/dns4/relay.example.org/tcp/8080/ws",
                "relay.example.org:8080",
            ),
            (
                "wss://relay.example.org:8443/",
                "/dns4/relay.example.org/tcp/8443/tls/ws",
                "relay.example.org:8443",
            ),
            ("ws://192.0.2.1", "/ip4/192.0.2.1/tcp/80/ws", "192.0.2.1"),
            (
                "[2001:db8::1]:8080",
                "/ip6/2001:db8::1/tcp/8080/ws",
                "[2001:db8::1]:8080",
            ),
            (
                "/dns4/a.example/tcp/443/tls/ws",
                "/dns4/a.example/tcp/443/tls/ws",
                "a.example",
            ),
            (
                "/dns/a.example/tcp/443/wss",
                "/dns4/a.example/tcp/443/tls/ws",
                "a.example",
            ),
        ] {
            let address: PublicAddress = text.parse().unwrap();
            assert_eq!(address.multiaddr().to_string(), multiaddr, "{text}");
            assert_eq!(address.authority(), authority, "{text}");
        }
        for bad in [
            "",
            "a b",
            "ftp://a",
            "a:0",
            "a:99999",
            "/ip4/1.2.3.4/tcp/1",
            "/ip4/1.2.3.4/udp/1/ws",
            "a/b",
            "..",
            "[::1",
        ] {
            assert!(bad.parse::<PublicAddress>().is_err(), "{bad}");
        }
    }

    #[test]
    fn authorities() {
        assert_eq!(
            split_authority("[::1]:8080"),
            Some((Host::Ip("::1".parse().unwrap()), Some(8080)))
        );
        assert_eq!(
            split_authority("[::1]"),
            Some((Host::Ip("::1".parse().unwrap()), None))
        );
        assert_eq!(
            split_authority("A.localhost:1"),
            Some((Host::Name("a.localhost".into()), Some(1)))
        );
        assert_eq!(split_authority("a:b"), None);
    }

    proptest! {
        #[test]
        fn any_text_is_read_or_refused(text in "\\PC{0,60}") {
            if let Some((host, _)) = split_authority(&text) {
                prop_assert_eq!(Host::parse(&host.to_string()), Some(host));
            }
            let _ = text.parse::<PublicAddress>();
        }
    }
}
