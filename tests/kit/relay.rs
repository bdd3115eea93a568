//! A real relay that a test can stop and start again.

use std::io::Write;
use std::net::{Ipv4Addr, SocketAddr};

use gyre::relay::{self, Config, KeeperConfig, Listen, Relay, Stun};
use libp2p::Multiaddr;

/// Name of its denylist in its data directory.
const DENYLIST: &str = "test.deny";

/// A relay on loopback; one that was stopped comes back under the same address and with the same identity.
pub struct RelayHost {
    running: Option<Relay>,
    address: Multiaddr,
    socket: SocketAddr,
    data: tempfile::TempDir,
    keeper: KeeperConfig,
    mailboxes: u64,
    adjust: Option<Adjust>,
}

/// What else is set otherwise when it starts.
type Adjust = Box<dyn Fn(&mut Config)>;

impl RelayHost {
    /// One on any free port.
    pub async fn start() -> Self {
        Self::keeping(KeeperConfig::default()).await
    }

    /// The same with a keeper beside it.
    pub async fn keeping(keeper: KeeperConfig) -> Self {
        let data = tempfile::tempdir().unwrap();
        let any = (Ipv4Addr::LOCALHOST, 0).into();
        let relay = start(&data, any, keeper.clone(), 0, None).await;
        Self {
            address: relay.address().clone(),
            socket: relay.http_addr,
            running: Some(relay),
            data,
            keeper,
            mailboxes: 0,
            adjust: None,
        }
    }

    /// With something else set otherwise when it starts again.
    pub fn adjust(&mut self, adjust: impl Fn(&mut Config) + 'static) {
        self.adjust = Some(Box::new(adjust));
    }

    /// The relay while it runs.
    pub fn running(&self) -> &Relay {
        self.running.as_ref().expect("it runs")
    }

    /// Where nodes find it, with its peer id.
    pub fn address(&self) -> &Multiaddr {
        &self.address
    }

    /// The port on which it serves.
    pub fn socket(&self) -> SocketAddr {
        self.socket
    }

    /// Where the keeper beside it is found.
    pub fn keeper(&self) -> &Multiaddr {
        let running = self.running.as_ref().expect("it runs");
        running.keeper().expect("it has a keeper")
    }

    /// With another keeper when it starts again.
    pub fn keep(&mut self, keeper: KeeperConfig) {
        self.keeper = keeper;
    }

    /// With room for mail when it starts again.
    pub fn keep_mail(&mut self, bytes: u64) {
        self.mailboxes = bytes;
    }

    /// Where its files are.
    pub fn data(&self) -> &std::path::Path {
        self.data.path()
    }

    /// Adds a rule to its denylist, and has it read.
    pub fn deny(&self, rule: &str) {
        let mut list = std::fs::OpenOptions::new()
            .append(true)
            .open(self.data.path().join(DENYLIST))
            .unwrap();
        list.write_all(rule.as_bytes()).unwrap();
        self.running.as_ref().expect("it runs").reload_denylists();
    }

    /// Stops it; whoever was connected sees the connection close.
    pub async fn stop(&mut self) {
        self.running.take().expect("it runs").shutdown().await;
    }

    /// Starts it again.
    pub async fn restart(&mut self) {
        assert!(self.running.is_none(), "it runs");
        let (keeper, adjust) = (self.keeper.clone(), self.adjust.as_ref());
        let relay = start(&self.data, self.socket, keeper, self.mailboxes, adjust);
        self.running = Some(relay.await);
    }
}

async fn start(
    data: &tempfile::TempDir,
    socket: SocketAddr,
    keeper: KeeperConfig,
    mailboxes: u64,
    adjust: Option<&Adjust>,
) -> Relay {
    let list = data.path().join(DENYLIST);
    if !list.exists() {
        std::fs::write(&list, "version: 1\n---\n").unwrap();
    }
    let mut config = Config {
        listen: Listen::At(vec![socket]),
        stun: Stun::Off,
        keeper,
        denylists: vec![list],
        puzzle_bits: 0,
        mailboxes,
        ..Config::local(data.path().to_path_buf())
    };
    if let Some(adjust) = adjust {
        adjust(&mut config);
    }
    relay::start(config).await.unwrap()
}
