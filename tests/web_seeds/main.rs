//! Whole nodes and a web server over loopback HTTP; only WebRTC itself is the in-memory backend.

#![cfg(not(target_arch = "wasm32"))]
#![allow(clippy::unwrap_used)]

mod client;
#[path = "../kit/mod.rs"]
mod kit;
mod server;

use std::rc::Rc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use gyre::node::snapshot::{ServerInfo, ServerState, SwarmInfo, TransferState};
use gyre::proto::limits::Limits;
use gyre::proto::link::{Link, parse_cid};
use gyre::proto::share::{KEY_LEN, Sealer, ShareHeader, ShareKey};
use gyre::proto::tree::TreeBuilder;
use gyre::proto::types::CHUNK_SIZE;
use gyre::proto::web_source::{self, WebSource};
use gyre::proto::web_tree::WebTree;
use gyre::store::memory::MemoryStore;

use client::HttpFetch;
use kit::{Newcomer, Peer, Scene, content, run, until};
use server::{Mood, Server};

/// A node that can ask web servers.
fn visitor(scene: &Scene) -> Newcomer {
    let fetch = || Some(Rc::new(HttpFetch) as Rc<_>);
    scene.node().with(|config| config.fetch = fetch())
}

/// Puts content on a server, with its tree, and makes a link that names it. The node that makes both is gone afterwards.
async fn publish(scene: &Scene, content: &Bytes, mood: Mood) -> (Server, String) {
    let owner = scene.node().silent().early().await;
    let share = owner.share_as(content, true).await;
    let tree = owner.web_tree(share.blob).await.unwrap();
    let server = Server::start(content.clone(), tree, mood).await;
    let source = WebSource::parse(&server.address()).unwrap();
    let fragment = owner.add_sources(share.blob, vec![source]).await.unwrap();
    assert!(fragment.contains("ws=http"), "{fragment}");
    owner.stop().await;
    (server, fragment)
}

async fn read(node: &Peer, link: &str) -> Bytes {
    kit::read(&node.open(link).await.unwrap()).await
}

/// Waits until the node has nothing to do with its server any longer.
async fn dropped(node: &Peer) {
    let state = |swarm: &SwarmInfo| swarm.servers.first().map(|server| server.state);
    let first = || node.swarms().first().and_then(state);
    until("dropped", || first() == Some(ServerState::Dropped)).await;
}

fn info(node: &Peer) -> SwarmInfo {
    node.swarms().pop().unwrap()
}

fn server_info(node: &Peer) -> ServerInfo {
    info(node).servers.pop().unwrap()
}

#[test]
fn somebody_alone_gets_the_file_from_the_server_once() {
    run(async |scene| {
        let bytes = content(5_000_000, 3);
        let (server, link) = publish(&scene, &bytes, Mood::Good).await;
        let guest = visitor(&scene).await;
        assert_eq!(read(&guest, &link).await, bytes);
        assert_eq!(server.chunk_bytes(), bytes.len() as u64);
        assert!(server.all_bytes() < bytes.len() as u64 + 4096);
        until("complete", || info(&guest).state == TransferState::Complete).await;
        let seen = server_info(&guest);
        assert_eq!(seen.down, bytes.len() as u64);
        assert_eq!(seen.state, ServerState::Ready);
        assert_eq!(info(&guest).fragment.as_deref(), Some(&*link));
        assert!(guest.stats().today.down >= bytes.len() as u64);
        assert_eq!(guest.stats().up, 0, "nothing was sent");
    });
}

#[test]
fn an_encrypted_share_comes_from_a_server_that_cannot_read_it() {
    run(async |scene| {
        let bytes = content(1_500_000, 3);
        let key = ShareKey::new([7; KEY_LEN]);
        let mut sealer = Sealer::new(&key, &ShareHeader::cleaned("secret.bin", ""));
        let mut chunks = Vec::new();
        sealer.push(&bytes, &mut chunks).unwrap();
        chunks.extend(sealer.finish());
        let mut tree = TreeBuilder::new();
        chunks
            .iter()
            .for_each(|chunk| tree.push_chunk(chunk).unwrap());
        let tree = WebTree::new(tree.finish(), chunks.last().unwrap()).unwrap();
        let sealed: Bytes = chunks.concat().into();
        let server = Server::start(sealed.clone(), tree.encode(), Mood::Good).await;
        let blob = tree.tree.root();
        let mut link = Link::Share { blob, key }.fragment();
        let source = WebSource::parse(&server.address()).unwrap();
        web_source::append(&[source], &mut link);
        let guest = visitor(&scene).await;
        let file = guest.open(&link).await.unwrap();
        assert_eq!(file.header().name(), "secret.bin");
        assert_eq!(kit::read(&file).await, bytes);
        assert_eq!(server.chunk_bytes(), sealed.len() as u64);
    });
}

#[test]
fn eight_visitors_at_once_take_at_most_two_copies_from_the_server() {
    run(async |scene| {
        let bytes = content(20 << 20, 3);
        let (server, link) = publish(&scene, &bytes, Mood::Good).await;
        let mut visitors = Vec::new();
        for _ in 0..8 {
            visitors.push(visitor(&scene).await);
        }
        let reads = visitors.iter().map(|guest| read(guest, &link));
        for whole in futures::future::join_all(reads).await {
            assert!(whole == bytes);
        }
        let copies = server.all_bytes() as f64 / bytes.len() as f64;
        println!("8 visitors: the server sent {copies:.2} copies");
        assert!(copies <= 2.0, "{copies}");
    });
}

#[test]
fn a_server_that_lies_is_dropped_and_a_peer_brings_it() {
    run(async |scene| {
        let bytes = content(3_000_000, 3);
        let (server, link) = publish(&scene, &bytes, Mood::Lies).await;
        let guest = visitor(&scene).await;
        let opened = {
            let (guest, link) = (guest.clone(), link.clone());
            tokio::task::spawn_local(async move { read(&guest, &link).await })
        };
        dropped(&guest).await;
        let seen = server_info(&guest);
        assert_eq!(
            seen.detail,
            "This server has another file under this address."
        );
        assert_eq!((seen.down, info(&guest).chunks_have), (0, 0));
        let asked = server.requests();
        assert!(server.chunk_bytes() <= 4 * CHUNK_SIZE);
        let seed = scene.node().await;
        seed.share_as(&bytes, true).await;
        assert_eq!(opened.await.unwrap(), bytes);
        assert_eq!(server.requests(), asked, "never again");
    });
}

#[test]
fn a_server_that_ignores_ranges_costs_little_and_is_dropped() {
    run(async |scene| {
        let bytes = content(20_000_000, 3);
        let (server, link) = publish(&scene, &bytes, Mood::IgnoresRanges).await;
        let guest = visitor(&scene).await;
        let opening = guest.open(&link);
        let dropped = dropped(&guest);
        futures::future::select(Box::pin(opening), Box::pin(dropped)).await;
        assert_eq!(
            server_info(&guest).detail,
            "This server does not serve parts of files."
        );
        assert_eq!(server.requests(), 2, "the tree, and one part");
        assert_eq!(info(&guest).down, 0);
        // Buffers on the way may have taken in some of it.
        assert!(
            server.chunk_bytes() < 10_000_000,
            "{}",
            server.chunk_bytes()
        );
    });
}

#[test]
fn a_server_that_breaks_off_is_asked_again_after_a_pause() {
    run(async |scene| {
        let bytes = content(2_000_000, 3);
        let (server, link) = publish(&scene, &bytes, Mood::BreaksOff(2)).await;
        let guest = visitor(&scene).await;
        let mut waited = false;
        let reading = read(&guest, &link);
        let watching = async {
            loop {
                let waits = |swarm: &SwarmInfo| {
                    swarm.servers.first().map(|server| server.state) == Some(ServerState::Waiting)
                };
                waited |= guest.swarms().first().is_some_and(waits);
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        };
        let read = match futures::future::select(Box::pin(reading), Box::pin(watching)).await {
            futures::future::Either::Left((read, _)) => read,
            futures::future::Either::Right((never, _)) => never,
        };
        assert_eq!(read, bytes);
        assert!(waited, "it was left alone for a while");
        assert_eq!(server.broken(), 2);
    });
}

#[test]
fn a_server_without_a_tree_gets_one_request_and_the_reader_an_answer() {
    run(async |scene| {
        let bytes = content(2_000_000, 3);
        let (server, link) = publish(&scene, &bytes, Mood::NoTree).await;
        let guest = visitor(&scene).await;
        let error = guest.open(&link).await.unwrap_err();
        assert_eq!(error.code(), "NOT_FOUND");
        assert_eq!((server.requests(), server.chunk_bytes()), (1, 0));
        assert_eq!(
            server_info(&guest).detail,
            "This server does not offer this file."
        );
    });
}

#[test]
fn who_hides_or_pauses_asks_no_server_and_a_restart_goes_on() {
    run(async |scene| {
        let bytes = content(3_000_000, 3);
        let (server, link) = publish(&scene, &bytes, Mood::Good).await;
        let store = MemoryStore::new();
        let guest = visitor(&scene).on(&store).await;
        let hidden = Limits {
            hide_address: true,
            ..Limits::default()
        };
        guest.set_limits(hidden).await.unwrap();
        let opening = guest.open(&link);
        let waiting = tokio::time::sleep(Duration::from_secs(3));
        futures::future::select(Box::pin(opening), Box::pin(waiting)).await;
        assert_eq!(server.requests(), 0, "a server sees who asks");
        guest.set_limits(Limits::default()).await.unwrap();
        until("some of it", || info(&guest).chunks_have > 0).await;
        let blob = parse_cid(&info(&guest).cid).unwrap();
        guest.set_paused(blob, true).await.unwrap();
        let asked = server.requests();
        tokio::time::sleep(Duration::from_secs(2)).await;
        assert_eq!(server.requests(), asked, "paused");
        let had = info(&guest).chunks_have;
        guest.stop().await;

        let again = visitor(&scene).on(&store.reopen()).await;
        again.set_paused(blob, false).await.unwrap();
        until("complete", || info(&again).state == TransferState::Complete).await;
        assert!(had < info(&again).chunks_have, "there was something left");
        assert!(server.chunk_bytes() <= bytes.len() as u64 + 4 * CHUNK_SIZE);
        assert_eq!(read(&again, &info(&again).fragment.unwrap()).await, bytes);
    });
}

#[test]
fn the_cap_on_receiving_holds_for_servers_too() {
    run(async |scene| {
        let bytes = content(2 << 20, 3);
        let (_server, link) = publish(&scene, &bytes, Mood::Good).await;
        let guest = visitor(&scene).await;
        let capped = Limits {
            down_rate: Some(256 * 1024),
            ..Limits::default()
        };
        guest.set_limits(capped).await.unwrap();
        let begun = Instant::now();
        assert_eq!(read(&guest, &link).await, bytes);
        // Eight chunks, the first at once.
        assert!(
            begun.elapsed() > Duration::from_secs(6),
            "{:?}",
            begun.elapsed()
        );
    });
}
