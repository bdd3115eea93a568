//! Whose address a connection really comes from.
//!
//! Rate limits count by client address. Without a proxy that is the socket's peer. Behind one, every socket comes from the
//! proxy, so the operator names the header the proxy fills; it is believed only on sockets that come from a trusted proxy, and
//! only as far as trusted proxies wrote it: the list is read from its right end, past further trusted proxies, to the first
//! address that is not one. What a client put there itself stands further left and is never looked at.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use axum::http::{HeaderMap, HeaderName};
use ipnet::IpNet;

/// Which header to believe, and from whom.
#[derive(Debug, Clone)]
pub struct ClientAddress {
    header: Option<HeaderName>,
    trusted: Vec<IpNet>,
}

impl ClientAddress {
    /// Takes the peer's address as it is: no proxy.
    pub fn direct() -> Self {
        Self {
            header: None,
            trusted: Vec::new(),
        }
    }

    /// Believes `header` from `trusted` proxies, or from loopback when the list is empty.
    pub fn from_header(header: HeaderName, trusted: Vec<IpNet>) -> Self {
        let trusted = if trusted.is_empty() {
            loopback()
        } else {
            trusted
        };
        Self {
            header: Some(header),
            trusted,
        }
    }

    /// True when sockets from `ip` speak for others.
    pub fn is_proxy(&self, ip: IpAddr) -> bool {
        let ip = ip.to_canonical();
        self.header.is_some() && self.trusted.iter().any(|net| net.contains(&ip))
    }

    /// The client's address; port 0 when only the proxy knows the port.
    ///
    /// A trusted proxy that sends no header, or one that cannot be read, is taken to speak for itself.
    pub fn resolve(&self, peer: SocketAddr, headers: &HeaderMap) -> SocketAddr {
        let peer = SocketAddr::new(peer.ip().to_canonical(), peer.port());
        let Some(header) = self.header.as_ref().filter(|_| self.is_proxy(peer.ip())) else {
            return peer;
        };
        let values: Vec<&str> = headers
            .get_all(header)
            .iter()
            .filter_map(|value| value.to_str().ok())
            .collect();
        for entry in values.iter().rev().flat_map(|value| value.rsplit(',')) {
            match parse_entry(entry) {
                Some(address) if self.is_proxy(address.ip()) => continue,
                Some(address) => return address,
                None => return peer,
            }
        }
        peer
    }
}

/// Reads `192.0.2.1`, `192.0.2.1:99`, `2001:db8::1` or `[2001:db8::1]:99`.
fn parse_entry(entry: &str) -> Option<SocketAddr> {
    let entry = entry.trim();
    let address = entry
        .parse::<SocketAddr>()
        .or_else(|_| {
            let bare = entry
                .strip_prefix('[')
                .and_then(|e| e.strip_suffix(']'))
                .unwrap_or(entry);
            bare.parse::<IpAddr>().map(|ip| SocketAddr::new(ip, 0))
        })
        .ok()?;
    Some(SocketAddr::new(address.ip().to_canonical(), address.port()))
}

fn loopback() -> Vec<IpNet> {
    let v4 = IpNet::new(IpAddr::V4(Ipv4Addr::new(127, 0, 0, 0)), 8);
    let v6 = IpNet::new(IpAddr::V6(Ipv6Addr::LOCALHOST), 128);
    [v4, v6].into_iter().flatten().collect()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use proptest::prelude::*;

    const HEADER: &str = "x-forwarded-for";

    fn headers(values: &[&str]) -> HeaderMap {
        let mut map = HeaderMap::new();
        for value in values {
            map.append(HEADER, value.parse().unwrap());
        }
        map
    }

    fn resolve(rule: &ClientAddress, peer: &str, values: &[&str]) -> String {
        rule.resolve(peer.parse().unwrap(), &headers(values))
            .to_string()
    }

    #[test]
    fn no_header_is_believed_without_configuration() {
        let rule = ClientAddress::direct();
        assert_eq!(resolve(&rule, "127.0.0.1:5", &["192.0.2.7"]), "127.0.0.1:5");
    }

    #[test]
    fn only_trusted_proxies_are_believed() {
        let rule = ClientAddress::from_header(HEADER.parse().unwrap(), vec![]);
        assert_eq!(resolve(&rule, "127.0.0.1:5", &["192.0.2.7"]), "192.0.2.7:0");
        assert_eq!(
            resolve(&rule, "[::ffff:127.0.0.1]:5", &["192.0.2.7:81"]),
            "192.0.2.7:81"
        );
        assert_eq!(
            resolve(&rule, "198.51.100.1:5", &["192.0.2.7"]),
            "198.51.100.1:5"
        );
        assert_eq!(
            resolve(&rule, "[::1]:5", &["[2001:db8::1]:443"]),
            "[2001:db8::1]:443"
        );
    }

    #[test]
    fn what_the_client_wrote_itself_is_ignored() {
        let rule = ClientAddress::from_header(
            HEADER.parse().unwrap(),
            vec![
                "127.0.0.1/32".parse().unwrap(),
                "10.0.0.0/8".parse().unwrap(),
            ],
        );
        assert_eq!(
            resolve(&rule, "127.0.0.1:5", &["203.0.113.9, 192.0.2.7"]),
            "192.0.2.7:0"
        );
        assert_eq!(
            resolve(
                &rule,
                "127.0.0.1:5",
                &["203.0.113.9", "192.0.2.7, 10.1.1.1"]
            ),
            "192.0.2.7:0"
        );
        assert_eq!(
            resolve(&rule, "127.0.0.1:5", &["192.0.2.7, garbage"]),
            "127.0.0.1:5"
        );
        assert_eq!(resolve(&rule, "127.0.0.1:5", &[]), "127.0.0.1:5");
    }

    proptest! {
        #[test]
        fn any_header_gives_an_address(value in "[ -~]{0,80}") {
            let rule = ClientAddress::from_header(HEADER.parse().unwrap(), vec![]);
            let peer: SocketAddr = "127.0.0.1:5".parse().unwrap();
            let mut map = HeaderMap::new();
            map.insert(HEADER, value.parse().unwrap());
            let found = rule.resolve(peer, &map);
            prop_assert!(found == peer || !found.ip().is_loopback());
        }
    }
}
