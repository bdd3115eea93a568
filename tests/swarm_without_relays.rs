//! Nodes that lose their relays: what has formed goes on finding, linking and fetching.
//!
//! Whole nodes and real relays over loopback websockets; only WebRTC itself is the in-memory backend.

#![cfg(not(target_arch = "wasm32"))]
#![allow(clippy::unwrap_used)]

use std::time::Duration;

use gyre::node::snapshot::{JoinState, RelayState};
use gyre::node::{File, Share};
use gyre::store::memory::MemoryStore;

mod kit;

use kit::{Newcomer, Peer, RelayHost, Scene, content, read, run, until};

/// Nodes become servers of the peers' index sooner than in life.
const SERVE_AFTER: Duration = Duration::from_millis(500);

/// A node at these relays, handed out before it has joined.
fn node_at(scene: &Scene, relays: &[&RelayHost]) -> Newcomer {
    let soon = |config: &mut gyre::node::Config| config.serve_after = Some(SERVE_AFTER);
    scene.node().at(relays).with(soon).early()
}

/// Opens a share as a person does who tries again when told that nobody was found.
async fn open(node: &Peer, share: &Share) -> File<MemoryStore> {
    loop {
        match node.open(&share.link.fragment()).await {
            Ok(file) => return file,
            Err(error) => assert!(["NOT_FOUND", "NO_RELAY"].contains(&error.code()), "{error}"),
        }
    }
}

#[test]
fn two_that_share_no_relay_are_introduced_by_their_peers() {
    run(async |mut scene| {
        let mut other = RelayHost::start().await;
        let first = node_at(&scene, &[&scene.relay]).await;
        let second = node_at(&scene, &[&other]).await;
        let both = [&scene.relay, &other];
        let common = [node_at(&scene, &both).await, node_at(&scene, &both).await];
        until("everybody has the two in common as neighbours", || {
            common
                .iter()
                .all(|peer| peer.is_linked(&first) && peer.is_linked(&second))
        })
        .await;
        scene.relay.stop().await;
        other.stop().await;
        until("told so", || {
            [&first, &second]
                .iter()
                .all(|node| node.stats().state == JoinState::Peers)
        })
        .await;

        // Those in common may have introduced them already; if not, they do so now.
        let content = content(1_000_000, 1);
        let share = first.share(&content).await;
        let file = open(&second, &share).await;
        assert_eq!(read(&file).await, content);
        until("seen as linked", || first.is_linked(&second)).await;
    });
}

#[test]
fn a_relay_that_is_remembered_or_heard_of_stands_in_for_those_that_are_gone() {
    run(async |mut scene| {
        let other = RelayHost::start().await;
        let store = MemoryStore::new();
        let first = node_at(&scene, &[&scene.relay, &other]).on(&store).await;
        let heard_store = MemoryStore::new();
        let second = node_at(&scene, &[&scene.relay]).on(&heard_store).await;
        until("both relays hold a reservation", || {
            first
                .stats()
                .relays
                .iter()
                .all(|relay| relay.state == RelayState::Reserved)
        })
        .await;
        // A session, in which the first tells the second where it can be met: at the other relay too.
        let content = content(300_000, 3);
        let share = first.share(&content).await;
        let file = open(&second, &share).await;
        assert_eq!(read(&file).await, content);
        tokio::time::sleep(Duration::from_secs(2)).await;
        first.stop().await;
        second.stop().await;
        scene.relay.stop().await;

        let again = node_at(&scene, &[&scene.relay]).on(&store.reopen()).await;
        let heard = node_at(&scene, &[&scene.relay])
            .on(&heard_store.reopen())
            .await;
        for (name, node) in [("remembered", again), ("heard of", heard)] {
            until(name, || node.stats().state == JoinState::Joined).await;
            let reserved = |state| state == RelayState::Reserved;
            let relays = node.stats().relays;
            assert_eq!(relays.len(), 2);
            assert!(
                relays
                    .iter()
                    .any(|relay| reserved(relay.state)
                        && relay.address == other.address().to_string())
            );
        }
    });
}

#[test]
fn twenty_nodes_go_on_without_any_relay() {
    run(async |mut scene| {
        let mut nodes = Vec::new();
        for _ in 0..20 {
            nodes.push(node_at(&scene, &[&scene.relay]).await);
        }
        until("everybody has neighbours", || {
            nodes.iter().all(|node| node.links() >= 2)
        })
        .await;
        scene.relay.stop().await;
        until("everybody says so", || {
            nodes
                .iter()
                .all(|node| node.stats().state == JoinState::Peers)
        })
        .await;

        // New blobs, at nodes of which the others knew nothing but that they are there.
        for round in 0..5 {
            let content = content(600_000, round);
            let share = nodes[round * 4].share(&content).await;
            for reader in [round * 4 + 1, (round * 7 + 10) % 20, (round * 3 + 19) % 20] {
                let file = open(&nodes[reader], &share).await;
                assert_eq!(read(&file).await, content, "round {round}, node {reader}");
            }
        }

        // The first seed leaves, and so do others: what it shared is still found.
        let content = content(600_000, 77);
        let share = nodes[0].share(&content).await;
        for reader in [5, 11] {
            let file = open(&nodes[reader], &share).await;
            assert_eq!(read(&file).await, content);
        }
        for gone in [0, 1, 2, 3] {
            nodes[gone].stop().await;
        }
        let file = open(&nodes[16], &share).await;
        assert_eq!(read(&file).await, content);
    });
}
