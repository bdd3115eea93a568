//! A real relay that a test can stop and start again.

use std::net::{Ipv4Addr, SocketAddr};

use gyre::relay::{self, Config, Listen, Relay, Stun};
use libp2p::Multiaddr;

/// A relay on loopback; one that was stopped comes back under the same address and with the same identity.
pub struct RelayHost {
    running: Option<Relay>,
    address: Multiaddr,
    socket: SocketAddr,
    data: tempfile::TempDir,
}

impl RelayHost {
    /// One on any free port.
    pub async fn start() -> Self {
        let data = tempfile::tempdir().unwrap();
        let relay = start(&data, (Ipv4Addr::LOCALHOST, 0).into()).await;
        Self {
            address: relay.address().clone(),
            socket: relay.http_addr,
            running: Some(relay),
            data,
        }
    }

    /// Where nodes find it, with its peer id.
    pub fn address(&self) -> &Multiaddr {
        &self.address
    }

    /// Stops it; whoever was connected sees the connection close.
    pub async fn stop(&mut self) {
        self.running.take().expect("it runs").shutdown().await;
    }

    /// Starts it again.
    pub async fn restart(&mut self) {
        assert!(self.running.is_none(), "it runs");
        self.running = Some(start(&self.data, self.socket).await);
    }
}

async fn start(data: &tempfile::TempDir, socket: SocketAddr) -> Relay {
    let config = Config {
        listen: Listen::At(vec![socket]),
        stun: Stun::Off,
        ..Config::local(data.path().to_path_buf())
    };
    relay::start(config).await.unwrap()
}
