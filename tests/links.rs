//! What becomes of pairs of nodes whose networks have no path, lose it, or have it again: whole nodes and a real relay over loopback
//! websockets; only WebRTC itself is the in-memory backend.

#![cfg(not(target_arch = "wasm32"))]
#![allow(clippy::unwrap_used)]

use std::time::Duration;

use gyre::node::snapshot::Via;

mod kit;

use kit::{Newcomer, Scene, content, read, run, until};

/// How long an attempt may take here: the in-memory backend connects at once or never.
const ATTEMPT: Duration = Duration::from_secs(3);

/// A node whose attempts come to an end soon.
fn node(scene: &Scene) -> Newcomer {
    let soon =
        |webrtc: &mut gyre::net::transport::webrtc::Config| webrtc.handshake_timeout = ATTEMPT;
    scene.node().links(soon)
}

#[test]
fn a_pair_without_a_path_goes_through_the_relay_and_says_so_until_there_is_one() {
    run(async |scene| {
        // From the start, or they would have linked as neighbours.
        scene.network.set_unreachable(true);
        let (seed, leech) = (node(&scene).await, node(&scene).await);
        let content = content(700_000, 0);
        let file = leech.file(&seed.share(&content).await).await;
        assert_eq!(read(&file).await, content);
        until("the figures", || {
            leech
                .seen(&seed)
                .is_some_and(|peer| peer.down >= content.len() as u64)
        })
        .await;
        let peer = leech.seen(&seed).unwrap();
        assert_eq!(peer.via, Via::Relayed);
        assert!(peer.detail.contains("through the relay"), "{}", peer.detail);
        assert_eq!(scene.network.sent(), (0, 0), "nothing went directly");

        // A path appears: when the pair may be tried again a file goes directly, and nothing is left of the other way.
        scene.network.set_unreachable(false);
        let direct = || {
            leech
                .seen(&seed)
                .is_some_and(|peer| peer.via == Via::Direct && peer.detail.is_empty())
        };
        for from in 1.. {
            let more = content.slice(from..);
            let file = leech.file(&seed.share(&more).await).await;
            assert_eq!(read(&file).await, more);
            if direct() {
                break;
            }
            tokio::time::sleep(ATTEMPT).await;
        }
        assert!(scene.network.sent().1 > 0);
    });
}

#[test]
fn a_transfer_goes_on_over_a_new_link_when_the_path_of_the_old_one_is_lost() {
    run(async |scene| {
        // With time for an attempt: one that is given up would leave the rest to the relay.
        let (seed, leech) = scene.pair().await;
        let content = content(6_000_000, 0);
        let file = leech.file(&seed.share(&content).await).await;
        until("direct", || {
            leech
                .seen(&seed)
                .is_some_and(|peer| peer.via == Via::Direct)
        })
        .await;
        scene.network.cut();
        let began = std::time::Instant::now();
        assert_eq!(read(&file).await, content);
        // Sooner than the old connection was given up, which takes 15 s; slow machines get no verdict.
        println!("went on and ended after {:?}", began.elapsed());
        until("direct again", || {
            leech
                .seen(&seed)
                .is_some_and(|peer| peer.via == Via::Direct)
        })
        .await;
        until("the old link's end", || scene.network.open_peers() == 2).await;
    });
}
