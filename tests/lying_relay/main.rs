//! A relay that lies in its index: whole nodes, a real relay and a lying one over loopback websockets; only WebRTC itself is the
//! in-memory backend.

#![cfg(not(target_arch = "wasm32"))]
#![allow(clippy::unwrap_used)]

use std::time::{Duration, Instant};

#[path = "../kit/mod.rs"]
mod kit;
mod liar;

use kit::{content, run};
use liar::Liar;

/// Strange sockets that a node dials at once because a record or an answer names them: 8 of `node::event_loop::dialling` and 12 of
/// `net::index`.
const STRANGE_BURST: usize = 8 + 12;

/// Time in which a node may dial one more: every 10 s and every 5 s.
const STRANGE_INTERVAL: Duration = Duration::from_millis(3_333);

/// Lies after which they have had their chance.
const LIES: usize = 3_000;

#[test]
fn thousands_of_lies_of_one_relay_cost_little_and_the_other_is_enough() {
    run(async |scene| {
        let began = Instant::now();
        let liar = Liar::start().await;
        let relays = [liar.address.clone(), scene.relay.address().clone()];
        let node = || {
            let relays = relays.to_vec();
            scene.node().with(|config| config.relays = relays)
        };
        let (seed, leech, bystander) = (node().await, node().await, node().await);
        liar.name(bystander.peer_id());
        for turn in 0.. {
            let content = content(300_000 + turn, turn);
            let share = seed.share(&content).await;
            assert_eq!(leech.fetch(&share).await, content);
            assert!(bystander.info(&share).is_none());
            if liar.told() >= LIES {
                break;
            }
        }
        assert_eq!(bystander.stats().up, 0, "it has nothing to give");
        let paced = began.elapsed().as_secs_f64() / STRANGE_INTERVAL.as_secs_f64();
        let allowed = 3 * (STRANGE_BURST + paced as usize + 1);
        println!(
            "{} lies, {} visits at a stranger's door of {allowed} allowed, {:.0} s",
            liar.told(),
            liar.victim_met(),
            began.elapsed().as_secs_f64()
        );
        assert!(liar.victim_met() <= allowed, "{}", liar.victim_met());
    });
}
