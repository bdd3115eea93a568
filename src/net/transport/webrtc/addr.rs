//! The addresses of the `/webrtc` transport and what they say about a connection.
//!
//! A browser peer B is reached at `<relay>/p2p/R/p2p-circuit/webrtc/p2p/B`: the part up to `p2p-circuit` leads to the
//! relay, and without the `webrtc` component it is the circuit over which B takes signalling. Everything that has a
//! `webrtc` component behind `p2p-circuit` but another shape is refused here rather than declined, because the relay
//! client takes any address with `p2p-circuit` in it and would make a plain relayed connection out of it.

use libp2p::{
    Multiaddr, PeerId,
    core::{ConnectedPoint, multiaddr::Protocol},
};

/// A dialable `/webrtc` address, taken apart.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WebRtcAddr {
    /// The relayed address of the target: `<relay>/p2p/R/p2p-circuit/p2p/B`.
    pub circuit: Multiaddr,
    /// The peer at the other end, B.
    pub target: PeerId,
}

/// Why an address is not one that this transport dials.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum AddrError {
    /// There is no `webrtc` component behind a `p2p-circuit`: some other transport's address.
    #[error("not a /webrtc address")]
    NotWebRtc,
    /// Nothing says how to reach the relay, or `/p2p/<relay>` does not stand right before `p2p-circuit`.
    #[error("a /webrtc address needs a relay address with its peer id")]
    NoRelay,
    /// What follows `p2p-circuit` is not exactly `/webrtc/p2p/<target>`.
    #[error("a /webrtc address ends in /p2p-circuit/webrtc/p2p/<target>")]
    NoTarget,
    /// The target is its own relay.
    #[error("a relay cannot introduce itself")]
    SelfRelay,
}

impl WebRtcAddr {
    /// Takes `addr` apart.
    ///
    /// # Errors
    /// [`AddrError::NotWebRtc`] when another transport should try; anything else when nobody should.
    pub fn parse(addr: &Multiaddr) -> Result<Self, AddrError> {
        if !is_signalled(addr) {
            return Err(AddrError::NotWebRtc);
        }
        let parts: Vec<Protocol<'_>> = addr.iter().collect();
        let at = parts
            .iter()
            .position(|p| *p == Protocol::P2pCircuit)
            .ok_or(AddrError::NotWebRtc)?;
        let (before, after) = (&parts[..at], &parts[at + 1..]);
        let [.., _, Protocol::P2p(relay)] = before else {
            return Err(AddrError::NoRelay);
        };
        let [Protocol::WebRTC, Protocol::P2p(target)] = after else {
            return Err(AddrError::NoTarget);
        };
        if relay == target {
            return Err(AddrError::SelfRelay);
        }
        let mut circuit: Multiaddr = before.iter().cloned().collect();
        circuit.push(Protocol::P2pCircuit);
        circuit.push(Protocol::P2p(*target));
        Ok(Self {
            circuit,
            target: *target,
        })
    }
}

/// The `/webrtc` form of a circuit address: `…/p2p-circuit/p2p/B` becomes `…/p2p-circuit/webrtc/p2p/B`.
///
/// `None` when `addr` is anything but a complete circuit address.
pub fn webrtc_form(addr: &Multiaddr) -> Option<Multiaddr> {
    let parts: Vec<Protocol<'_>> = addr.iter().collect();
    let [
        relay @ ..,
        Protocol::P2p(_),
        Protocol::P2pCircuit,
        Protocol::P2p(target),
    ] = parts.as_slice()
    else {
        return None;
    };
    if relay.is_empty() || relay.contains(&Protocol::P2pCircuit) {
        return None;
    }
    let mut form: Multiaddr = parts[..parts.len() - 1].iter().cloned().collect();
    form.push(Protocol::WebRTC);
    form.push(Protocol::P2p(*target));
    Some(form)
}

/// Whether bytes sent to this address pass through a relay: its last `p2p-circuit` has no `webrtc` behind it. The last one
/// counts because the relay of a circuit may itself have been reached over a circuit.
pub fn is_relayed_addr(addr: &Multiaddr) -> bool {
    let mut relayed = false;
    for part in addr.iter() {
        match part {
            Protocol::P2pCircuit => relayed = true,
            Protocol::WebRTC => relayed = false,
            _ => {}
        }
    }
    relayed
}

/// Whether the bytes of this connection pass through a relay.
///
/// The address that tells is the dialled one, or, on the accepting side, the local one: the relay client gives accepted
/// circuits `<relay>/p2p-circuit` as local address and nothing but `/p2p/<peer>` as remote one.
pub fn is_relayed(endpoint: &ConnectedPoint) -> bool {
    is_relayed_addr(telling_addr(endpoint))
}

/// Whether this connection is one of the `/webrtc` transport, on either side.
pub fn is_webrtc(endpoint: &ConnectedPoint) -> bool {
    let addr = telling_addr(endpoint);
    match endpoint {
        ConnectedPoint::Dialer { .. } => is_signalled(addr),
        ConnectedPoint::Listener { .. } => is_listen_addr(addr),
    }
}

/// `/webrtc`, what this transport listens on.
pub fn listen_addr() -> Multiaddr {
    Multiaddr::empty().with(Protocol::WebRTC)
}

/// Whether this is exactly `/webrtc`.
pub fn is_listen_addr(addr: &Multiaddr) -> bool {
    let mut parts = addr.iter();
    parts.next() == Some(Protocol::WebRTC) && parts.next().is_none()
}

/// `/webrtc/p2p/<peer>`, the remote address of an accepted connection (as in js-libp2p).
pub fn remote_addr(peer: PeerId) -> Multiaddr {
    listen_addr().with(Protocol::P2p(peer))
}

fn telling_addr(endpoint: &ConnectedPoint) -> &Multiaddr {
    match endpoint {
        ConnectedPoint::Dialer { address, .. } => address,
        ConnectedPoint::Listener { local_addr, .. } => local_addr,
    }
}

fn is_signalled(addr: &Multiaddr) -> bool {
    addr.iter()
        .skip_while(|p| *p != Protocol::P2pCircuit)
        .any(|p| p == Protocol::WebRTC)
}

#[cfg(all(test, not(target_arch = "wasm32")))]
mod tests {
    #![allow(clippy::unwrap_used)]

    use libp2p::core::{Endpoint, transport::PortUse};
    use proptest::prelude::*;

    use super::*;

    const R: &str = "12D3KooWDpJ7As7BWAwRMfu1VU2WCqNjvq387JEYKDBj4kx6nXTN";
    const B: &str = "12D3KooWJWoaqZhDaoEFshF7Rh1bpY9ohihFhzcW6d69Lr2NASuq";

    fn addr(text: &str) -> Multiaddr {
        text.parse().unwrap()
    }

    fn dialer(text: &str) -> ConnectedPoint {
        ConnectedPoint::Dialer {
            address: addr(text),
            role_override: Endpoint::Dialer,
            port_use: PortUse::Reuse,
        }
    }

    fn listener(local: &str, remote: &str) -> ConnectedPoint {
        ConnectedPoint::Listener {
            local_addr: addr(local),
            send_back_addr: addr(remote),
        }
    }

    #[test]
    fn takes_an_address_apart() {
        let parsed = WebRtcAddr::parse(&addr(&format!(
            "/dns4/relay.example/tcp/443/tls/ws/p2p/{R}/p2p-circuit/webrtc/p2p/{B}"
        )))
        .unwrap();
        assert_eq!(parsed.target, B.parse().unwrap());
        assert_eq!(
            parsed.circuit,
            addr(&format!(
                "/dns4/relay.example/tcp/443/tls/ws/p2p/{R}/p2p-circuit/p2p/{B}"
            ))
        );
    }

    #[test]
    fn a_webrtc_direct_relay_is_still_a_relay() {
        let text = format!("/ip4/127.0.0.1/udp/1/webrtc-direct/p2p/{R}/p2p-circuit/webrtc/p2p/{B}");
        assert!(WebRtcAddr::parse(&addr(&text)).is_ok());
    }

    #[test]
    fn a_peer_is_a_relay_too() {
        let through = addr(&format!("/webrtc/p2p/{R}/p2p-circuit/webrtc/p2p/{B}"));
        let parsed = WebRtcAddr::parse(&through).unwrap();
        assert_eq!(
            parsed.circuit,
            addr(&format!("/webrtc/p2p/{R}/p2p-circuit/p2p/{B}"))
        );
        assert_eq!(webrtc_form(&parsed.circuit), Some(through));
    }

    #[test]
    fn declines_what_others_dial_and_refuses_what_nobody_may() {
        for (text, error) in [
            (
                format!("/ip4/127.0.0.1/tcp/1/p2p/{B}"),
                AddrError::NotWebRtc,
            ),
            (
                format!("/ip4/127.0.0.1/tcp/1/p2p/{R}/p2p-circuit/p2p/{B}"),
                AddrError::NotWebRtc,
            ),
            (format!("/webrtc/p2p/{B}"), AddrError::NotWebRtc),
            (
                format!("/ip4/127.0.0.1/tcp/1/p2p/{R}/p2p-circuit/webrtc"),
                AddrError::NoTarget,
            ),
            (
                format!("/ip4/127.0.0.1/tcp/1/p2p/{R}/p2p-circuit/p2p/{B}/webrtc"),
                AddrError::NoTarget,
            ),
            (
                format!("/ip4/127.0.0.1/tcp/1/p2p/{R}/p2p-circuit/webrtc/p2p/{B}/p2p/{B}"),
                AddrError::NoTarget,
            ),
            (
                format!("/ip4/127.0.0.1/tcp/1/p2p-circuit/webrtc/p2p/{B}"),
                AddrError::NoRelay,
            ),
            (
                format!("/p2p/{R}/p2p-circuit/webrtc/p2p/{B}"),
                AddrError::NoRelay,
            ),
            (
                format!("/ip4/127.0.0.1/tcp/1/p2p/{B}/p2p-circuit/webrtc/p2p/{B}"),
                AddrError::SelfRelay,
            ),
        ] {
            assert_eq!(WebRtcAddr::parse(&addr(&text)), Err(error), "{text}");
        }
    }

    #[test]
    fn only_a_circuit_without_webrtc_is_relayed() {
        let relay = format!("/ip4/127.0.0.1/tcp/1/p2p/{R}");
        assert!(is_relayed(&dialer(&format!("{relay}/p2p-circuit/p2p/{B}"))));
        assert!(is_relayed(&listener(
            &format!("{relay}/p2p-circuit"),
            &format!("/p2p/{B}")
        )));
        let up = dialer(&format!("{relay}/p2p-circuit/webrtc/p2p/{B}"));
        assert!(!is_relayed(&up) && is_webrtc(&up));
        let up = listener("/webrtc", &format!("/webrtc/p2p/{B}"));
        assert!(!is_relayed(&up) && is_webrtc(&up));
        let plain = dialer(&relay);
        assert!(!is_relayed(&plain) && !is_webrtc(&plain));
        // A circuit through a peer that was itself reached over one, on either side.
        let peer = format!("{relay}/p2p-circuit/webrtc/p2p/{B}");
        assert!(is_relayed(&listener(
            &format!("{peer}/p2p-circuit"),
            &format!("/p2p/{R}")
        )));
        assert!(is_relayed(&dialer(&format!("{peer}/p2p-circuit/p2p/{R}"))));
        assert!(is_relayed(&dialer(&format!(
            "/webrtc/p2p/{R}/p2p-circuit/p2p/{B}"
        ))));
    }

    fn parts() -> impl Strategy<Value = Vec<Protocol<'static>>> {
        prop::collection::vec(
            prop_oneof![
                Just(Protocol::Ip4([127, 0, 0, 1].into())),
                Just(Protocol::Tcp(1)),
                Just(Protocol::P2p(R.parse().unwrap())),
                Just(Protocol::P2p(B.parse().unwrap())),
                Just(Protocol::P2pCircuit),
                Just(Protocol::WebRTC),
                Just(Protocol::WebRTCDirect),
            ],
            0..9,
        )
    }

    proptest! {
        #[test]
        fn any_address_is_either_ours_or_declined_or_refused(parts in parts()) {
            let any: Multiaddr = parts.into_iter().collect();
            match WebRtcAddr::parse(&any) {
                Ok(ours) => {
                    prop_assert!(is_relayed_addr(&ours.circuit));
                    prop_assert!(!is_relayed_addr(&any));
                    prop_assert_eq!(webrtc_form(&ours.circuit), Some(any));
                }
                // Declined ones may go to the relay client: none of them may have `webrtc` behind a circuit.
                Err(AddrError::NotWebRtc) => prop_assert!(!is_signalled(&any)),
                Err(_) => prop_assert!(is_signalled(&any)),
            }
        }

        #[test]
        fn the_webrtc_form_is_dialable(parts in parts()) {
            let any: Multiaddr = parts.into_iter().collect();
            if let Some(form) = webrtc_form(&any) {
                match WebRtcAddr::parse(&form) {
                    Ok(ours) => prop_assert_eq!(ours.circuit, any),
                    Err(error) => prop_assert_eq!(error, AddrError::SelfRelay),
                }
            }
        }
    }
}
