//! The relay from outside: real sockets on loopback, native libp2p clients, raw HTTP and datagrams.
#![allow(clippy::unwrap_used)]

#[path = "relay/circuits.rs"]
mod circuits;
#[path = "relay/client.rs"]
mod client;
#[path = "relay/http.rs"]
mod http;
#[path = "relay/process.rs"]
mod process;
#[path = "relay/tls.rs"]
mod tls;

use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;

use gyre::relay::{Config, Listen, Relay, Stun, start};

/// Any free port on loopback.
pub(crate) fn loopback() -> SocketAddr {
    (Ipv4Addr::LOCALHOST, 0).into()
}

/// A relay on free ports of loopback.
pub(crate) fn config(data: &Path) -> Config {
    Config {
        listen: Listen::At(vec![loopback()]),
        stun: Stun::At(vec![loopback()]),
        ..Config::local(data.to_owned())
    }
}

/// Starts a relay after `adjust` has changed its configuration; the directory must outlive it.
pub(crate) async fn relay(adjust: impl FnOnce(&mut Config)) -> (Relay, tempfile::TempDir) {
    let data = tempfile::tempdir().unwrap();
    let mut config = config(data.path());
    adjust(&mut config);
    (start(config).await.unwrap(), data)
}
