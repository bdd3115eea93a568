//! The bridge to SMTP with peers that others made: Python's own libraries, dkimpy, swaks and postfix. Without one of them the tests that need it fail, unless it is
//! named in `GYRE_LEAVE_OUT`.

#![cfg(not(target_arch = "wasm32"))]
#![allow(clippy::unwrap_used)]

#[path = "../kit/mod.rs"]
mod kit;
#[path = "../kit/others.rs"]
mod others;
#[path = "../mailer/person.rs"]
mod person;

mod dns;
mod incoming;
mod outgoing;
mod peer;
mod postfix;

use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use gyre::relay::{BridgeConfig, BridgeLimits};
use kit::{Peer, Scene};

use dns::Zone;

const DOMAIN: &str = "bridge.example";
const SELECTOR: &str = "test";

/// The private key of all who sign here.
fn key() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/bridge/dkim.pem")
}

/// What stands in the DNS of its public half.
const PUBLIC_KEY: &str = include_str!("dkim.txt");

/// The names of those who send here.
fn zone() -> Zone {
    let mut zone = Zone::default()
        // All is as it should be.
        .txt("fine.example", "v=spf1 ip4:127.0.0.1 -all")
        .txt("_dmarc.fine.example", "v=DMARC1; p=reject")
        // It never sends from here, and says no more.
        .txt("spf.example", "v=spf1 -all")
        // It sends from elsewhere, signed, and what is not its own is to be refused.
        .txt("reject.example", "v=spf1 -all")
        .txt("_dmarc.reject.example", "v=DMARC1; p=reject")
        // It watches, and refuses nothing.
        .txt("quiet.example", "v=spf1 -all")
        .txt("_dmarc.quiet.example", "v=DMARC1; p=none");
    for domain in ["fine.example", "reject.example", "quiet.example", DOMAIN] {
        let name = format!("{SELECTOR}._domainkey.{domain}");
        zone = zone.txt(&name, PUBLIC_KEY.trim());
    }
    zone
}

/// A bridge of these names.
fn bridge(dns: SocketAddr) -> BridgeConfig {
    BridgeConfig {
        domain: DOMAIN.into(),
        listen: vec![(Ipv4Addr::LOCALHOST, 0).into()],
        aliases: None,
        dns: Some(dns),
        copies: Some(1),
        patience: Duration::from_secs(100),
        limits: BridgeLimits::default(),
        tls: None,
        submission: None,
    }
}

/// Restarts the scene's relay with a bridge and room for mail; the port of the former.
async fn with_bridge(scene: &mut Scene, config: BridgeConfig) -> u16 {
    scene.relay.stop().await;
    scene.relay.keep_mail(50_000_000);
    scene
        .relay
        .adjust(move |relay| relay.bridge = Some(config.clone()));
    scene.relay.restart().await;
    let (inside, _) = scene.relay.running().bridge().unwrap();
    inside[0].port()
}

/// Nodes that keep mail.
async fn keepers(scene: &Scene, count: usize) -> Vec<Peer> {
    let mut keepers = Vec::new();
    for _ in 0..count {
        keepers.push(scene.node().with(person::quick).await);
    }
    keepers
}
