//! What tests of whole nodes have in common: a real relay on loopback, nodes whose WebRTC is the in-memory backend, files that
//! differ, and waiting for what must come. A test of two nodes takes five lines:
//!
//! ```ignore
//! run(async |scene| {
//!     let (first, second) = scene.pair().await;
//!     let content = content(1_000_000, 1);
//!     let share = first.share(&content).await;
//!     assert_eq!(second.fetch(&share).await, content);
//! });
//! ```

// Every test binary compiles the whole kit and uses a part of it.
#![allow(dead_code, unused_imports)]

use std::future::Future;
use std::time::Duration;

use bytes::Bytes;
use gyre::net::transport::webrtc::rtc::mem::MemNetwork;
use gyre::relay::KeeperConfig;

mod peer;
mod relay;
mod site;

pub use peer::*;
pub use relay::RelayHost;
pub use site::*;

/// Most tests take seconds; a loaded machine takes far longer. Only a broken test waits for it.
const PATIENCE: Duration = Duration::from_secs(400);

/// How long one thing is waited for: half of it all, so that what did not happen is named.
const PATIENCE_EACH: Duration = Duration::from_secs(200);

/// Time between two looks at what is waited for.
const POLL: Duration = Duration::from_millis(50);

/// One relay, and a network on which nodes that know it meet.
pub struct Scene {
    pub relay: RelayHost,
    pub network: MemNetwork,
}

/// Runs a test on a scene of its own.
pub fn run<F: Future<Output = ()>>(test: impl FnOnce(Scene) -> F) {
    run_beside(KeeperConfig::default(), test);
}

/// The same with a keeper beside the relay.
pub fn run_beside<F: Future<Output = ()>>(keeper: KeeperConfig, test: impl FnOnce(Scene) -> F) {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .unwrap();
    let local = tokio::task::LocalSet::new();
    local.block_on(&runtime, async {
        let scene = Scene {
            relay: RelayHost::keeping(keeper).await,
            network: MemNetwork::new(),
        };
        tokio::time::timeout(PATIENCE, test(scene))
            .await
            .expect("ends in time")
    });
}

impl Scene {
    /// A node that starts when awaited: by default with an empty store, at the scene's relay, allowed to send, and joined.
    pub fn node(&self) -> Newcomer {
        Newcomer::new(&self.network, &self.relay)
    }

    /// Two of them.
    pub async fn pair(&self) -> (Peer, Peer) {
        (self.node().await, self.node().await)
    }
}

/// Waits for a condition; `what` is named if it never holds.
pub async fn until(what: &str, mut ready: impl FnMut() -> bool) {
    // Counted in looks, not by the clock: a machine that stood still has not looked.
    for _ in 0..PATIENCE_EACH.as_millis() / POLL.as_millis() {
        if ready() {
            return;
        }
        tokio::time::sleep(POLL).await;
    }
    panic!("never: {what}");
}

/// Bytes that differ from seed to seed and from place to place.
pub fn content(size: usize, seed: usize) -> Bytes {
    (0..size)
        .map(|at| ((at + seed * 7_919).wrapping_mul(2_654_435_761) >> 13) as u8)
        .collect::<Vec<_>>()
        .into()
}
