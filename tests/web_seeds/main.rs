//! Whole nodes and a web server over loopback HTTP; only WebRTC itself is the in-memory backend.

#![cfg(not(target_arch = "wasm32"))]
#![allow(clippy::unwrap_used)]

mod client;
mod server;

use std::future::Future;
use std::rc::Rc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use gyre::net::transport;
use gyre::net::transport::webrtc::rtc::mem::MemNetwork;
use gyre::node::snapshot::{JoinState, ServerInfo, ServerState, SwarmInfo, TransferState};
use gyre::node::{Config, ImportOptions, Node};
use gyre::proto::limits::Limits;
use gyre::proto::link::parse_cid;
use gyre::proto::share::ShareHeader;
use gyre::proto::types::CHUNK_SIZE;
use gyre::proto::web_source::WebSource;
use gyre::relay::{self, Listen, Relay, Stun};
use gyre::store::memory::MemoryStore;

use client::HttpFetch;
use server::{Mood, Server};

/// Some seconds each; a loaded machine takes longer.
const PATIENCE: Duration = Duration::from_secs(240);

fn run<F: Future<Output = ()>>(test: F) {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .unwrap();
    tokio::task::LocalSet::new().block_on(&runtime, async {
        tokio::time::timeout(PATIENCE, test)
            .await
            .expect("ends in time")
    });
}

async fn until(what: &str, mut ready: impl FnMut() -> bool) {
    while !ready() {
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    println!("{what}");
}

/// A relay, and the network of the nodes.
struct World {
    relay: Relay,
    network: MemNetwork,
    _data: tempfile::TempDir,
}

impl World {
    async fn new() -> Self {
        let data = tempfile::tempdir().unwrap();
        let config = relay::Config {
            listen: Listen::At(vec!["127.0.0.1:0".parse().unwrap()]),
            stun: Stun::Off,
            ..relay::Config::local(data.path().to_path_buf())
        };
        Self {
            relay: relay::start(config).await.unwrap(),
            network: MemNetwork::new(),
            _data: data,
        }
    }

    async fn node_on(&self, store: MemoryStore) -> Node<MemoryStore> {
        let config = Config {
            relays: vec![self.relay.address().clone()],
            fetch: Some(Rc::new(HttpFetch)),
            ..Config::default()
        };
        let network = self.network.clone();
        let node = Node::start(config, store, move |key, webrtc| {
            transport::build(key, webrtc, network)
        });
        node.await.unwrap()
    }

    async fn node(&self) -> Node<MemoryStore> {
        let node = self.node_on(MemoryStore::new()).await;
        node.set_upload(true).await.unwrap();
        until("joined", || node.stats().state == JoinState::Joined).await;
        node
    }
}

fn content(size: usize) -> Bytes {
    let byte = |at: usize| (at.wrapping_mul(2_654_435_761) >> 13) as u8;
    (0..size).map(byte).collect::<Vec<_>>().into()
}

/// Puts content on a server, with its tree, and makes a link that names it. The node that makes both is gone afterwards.
async fn publish(world: &World, content: &Bytes, mood: Mood, public: bool) -> (Server, String) {
    let owner = world.node_on(MemoryStore::new()).await;
    let options = ImportOptions {
        header: ShareHeader::cleaned("film.bin", "application/x-test"),
        public,
    };
    let pieces: Vec<_> = content
        .chunks(100_000)
        .map(Bytes::copy_from_slice)
        .collect();
    let source = futures::stream::iter(pieces.into_iter().map(Ok));
    let share = owner.import(source, options, |_| {}).await.unwrap();
    let tree = owner.web_tree(share.blob).await.unwrap();
    let server = Server::start(content.clone(), tree, mood).await;
    let source = WebSource::parse(&server.address()).unwrap();
    let fragment = owner.add_sources(share.blob, vec![source]).await.unwrap();
    assert!(fragment.contains("ws=http"), "{fragment}");
    owner.stop().await;
    (server, fragment)
}

async fn read(node: &Node<MemoryStore>, link: &str) -> Bytes {
    let file = node.open(link).await.unwrap();
    let mut whole = Vec::new();
    while (whole.len() as u64) < file.size() {
        whole.extend_from_slice(&file.read(whole.len() as u64, 1 << 20).await.unwrap());
    }
    whole.into()
}

fn info(node: &Node<MemoryStore>) -> SwarmInfo {
    node.swarms().pop().unwrap()
}

fn server_info(node: &Node<MemoryStore>) -> ServerInfo {
    info(node).servers.pop().unwrap()
}

#[test]
fn somebody_alone_gets_the_file_from_the_server_once() {
    run(async {
        let world = World::new().await;
        let content = content(5_000_000);
        let (server, link) = publish(&world, &content, Mood::Good, true).await;
        let visitor = world.node().await;
        assert_eq!(read(&visitor, &link).await, content);
        assert_eq!(server.chunk_bytes(), content.len() as u64);
        assert!(server.all_bytes() < content.len() as u64 + 4096);
        until("complete", || {
            info(&visitor).state == TransferState::Complete
        })
        .await;
        let seen = server_info(&visitor);
        assert_eq!(seen.down, content.len() as u64);
        assert_eq!(seen.state, ServerState::Ready);
        assert_eq!(info(&visitor).fragment.as_deref(), Some(&*link));
        assert!(visitor.stats().today.down >= content.len() as u64);
        assert_eq!(visitor.stats().up, 0, "nothing was sent");
    });
}

#[test]
fn eight_visitors_at_once_take_at_most_two_copies_from_the_server() {
    run(async {
        let world = World::new().await;
        let content = content(20 << 20);
        let (server, link) = publish(&world, &content, Mood::Good, true).await;
        let mut visitors = Vec::new();
        for _ in 0..8 {
            visitors.push(world.node().await);
        }
        let reads = visitors.iter().map(|visitor| read(visitor, &link));
        for whole in futures::future::join_all(reads).await {
            assert!(whole == content);
        }
        let copies = server.all_bytes() as f64 / content.len() as f64;
        println!("8 visitors: the server sent {copies:.2} copies");
        assert!(copies <= 2.0, "{copies}");
    });
}

#[test]
fn a_server_that_lies_is_dropped_and_a_peer_brings_it() {
    run(async {
        let world = World::new().await;
        let content = content(3_000_000);
        let (server, link) = publish(&world, &content, Mood::Lies, true).await;
        let visitor = world.node().await;
        let opened = {
            let (visitor, link) = (visitor.clone(), link.clone());
            tokio::task::spawn_local(async move { read(&visitor, &link).await })
        };
        until("dropped", || {
            visitor.swarms().first().is_some_and(|swarm| {
                swarm.servers.first().map(|server| server.state) == Some(ServerState::Dropped)
            })
        })
        .await;
        let seen = server_info(&visitor);
        assert_eq!(
            seen.detail,
            "This server has another file under this address."
        );
        assert_eq!((seen.down, info(&visitor).chunks_have), (0, 0));
        let asked = server.requests();
        assert!(server.chunk_bytes() <= 4 * CHUNK_SIZE);
        let seed = world.node().await;
        let header = ShareHeader::cleaned("film.bin", "");
        let source = futures::stream::iter([Ok(content.clone())]);
        let options = ImportOptions {
            header,
            public: true,
        };
        seed.import(source, options, |_| {}).await.unwrap();
        assert_eq!(opened.await.unwrap(), content);
        assert_eq!(server.requests(), asked, "never again");
    });
}

#[test]
fn a_server_that_ignores_ranges_costs_little_and_is_dropped() {
    run(async {
        let world = World::new().await;
        let content = content(20_000_000);
        let (server, link) = publish(&world, &content, Mood::IgnoresRanges, true).await;
        let visitor = world.node().await;
        let opening = visitor.open(&link);
        let dropped = until("dropped", || {
            visitor.swarms().first().is_some_and(|swarm| {
                swarm.servers.first().map(|server| server.state) == Some(ServerState::Dropped)
            })
        });
        futures::future::select(Box::pin(opening), Box::pin(dropped)).await;
        assert_eq!(
            server_info(&visitor).detail,
            "This server does not serve parts of files."
        );
        assert_eq!(server.requests(), 2, "the tree, and one part");
        assert_eq!(info(&visitor).down, 0);
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
    run(async {
        let world = World::new().await;
        let content = content(2_000_000);
        let (server, link) = publish(&world, &content, Mood::BreaksOff(2), true).await;
        let visitor = world.node().await;
        let mut waited = false;
        let reading = read(&visitor, &link);
        let watching = async {
            loop {
                let waits = |swarm: &SwarmInfo| {
                    swarm.servers.first().map(|server| server.state) == Some(ServerState::Waiting)
                };
                waited |= visitor.swarms().first().is_some_and(waits);
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        };
        let read = match futures::future::select(Box::pin(reading), Box::pin(watching)).await {
            futures::future::Either::Left((read, _)) => read,
            futures::future::Either::Right((never, _)) => never,
        };
        assert_eq!(read, content);
        assert!(waited, "it was left alone for a while");
        assert_eq!(server.broken(), 2);
    });
}

#[test]
fn a_server_without_a_tree_gets_one_request_and_the_reader_an_answer() {
    run(async {
        let world = World::new().await;
        let content = content(2_000_000);
        let (server, link) = publish(&world, &content, Mood::NoTree, true).await;
        let visitor = world.node().await;
        let error = visitor.open(&link).await.unwrap_err();
        assert_eq!(error.code(), "NOT_FOUND");
        assert_eq!((server.requests(), server.chunk_bytes()), (1, 0));
        assert_eq!(
            server_info(&visitor).detail,
            "This server does not offer this file."
        );
    });
}

#[test]
fn who_hides_or_pauses_asks_no_server_and_a_restart_goes_on() {
    run(async {
        let world = World::new().await;
        let content = content(3_000_000);
        let (server, link) = publish(&world, &content, Mood::Good, true).await;
        let store = MemoryStore::new();
        let visitor = world.node_on(store.clone()).await;
        let hidden = Limits {
            hide_address: true,
            ..Limits::default()
        };
        visitor.set_limits(hidden).await.unwrap();
        let opening = visitor.open(&link);
        let waiting = tokio::time::sleep(Duration::from_secs(3));
        futures::future::select(Box::pin(opening), Box::pin(waiting)).await;
        assert_eq!(server.requests(), 0, "a server sees who asks");
        visitor.set_limits(Limits::default()).await.unwrap();
        until("some of it", || info(&visitor).chunks_have > 0).await;
        let blob = parse_cid(&info(&visitor).cid).unwrap();
        visitor.set_paused(blob, true).await.unwrap();
        let asked = server.requests();
        tokio::time::sleep(Duration::from_secs(2)).await;
        assert_eq!(server.requests(), asked, "paused");
        let had = info(&visitor).chunks_have;
        visitor.stop().await;

        let again = world.node_on(store.reopen()).await;
        again.set_paused(blob, false).await.unwrap();
        until("complete", || info(&again).state == TransferState::Complete).await;
        assert!(had < info(&again).chunks_have, "there was something left");
        assert!(server.chunk_bytes() <= content.len() as u64 + 4 * CHUNK_SIZE);
        assert_eq!(read(&again, &info(&again).fragment.unwrap()).await, content);
    });
}

#[test]
fn the_cap_on_receiving_holds_for_servers_too() {
    run(async {
        let world = World::new().await;
        let content = content(2 << 20);
        let (_server, link) = publish(&world, &content, Mood::Good, true).await;
        let visitor = world.node().await;
        let capped = Limits {
            down_rate: Some(256 * 1024),
            ..Limits::default()
        };
        visitor.set_limits(capped).await.unwrap();
        let begun = Instant::now();
        assert_eq!(read(&visitor, &link).await, content);
        // Eight chunks, the first at once.
        assert!(
            begun.elapsed() > Duration::from_secs(6),
            "{:?}",
            begun.elapsed()
        );
    });
}
