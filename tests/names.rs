//! Names over real relays and whole nodes on loopback websockets; only WebRTC itself is the in-memory backend.

#![cfg(not(target_arch = "wasm32"))]
#![allow(clippy::unwrap_used)]

use std::future::Future;
use std::time::{Duration, Instant};

use cid::Cid;
use futures::{AsyncReadExt, AsyncWriteExt, Stream, StreamExt};
use gyre::net::behaviour::{self, Behaviour, BehaviourEvent};
use gyre::net::transport::webrtc::{self, rtc::mem::MemNetwork};
use gyre::net::{index, session, transport};
use gyre::node::names::Head;
use gyre::node::snapshot::{RelayState, Via};
use gyre::node::{Config, Node};
use gyre::proto::keys::SiteKey;
use gyre::proto::name::Name;
use gyre::proto::name::follow::{Message, Refusal};
use gyre::proto::name::record::{Draft, Record};
use gyre::proto::name::validity::Validity;
use gyre::relay::{self, Listen, Relay, Stun};
use gyre::rt;
use gyre::store::memory::MemoryStore;
use libp2p::identity::Keypair;
use libp2p::multiaddr::Protocol;
use libp2p::swarm::SwarmEvent;
use libp2p::{Multiaddr, PeerId, Swarm};
use multihash::Multihash;

/// Most of this takes some seconds; a loaded machine takes longer.
const PATIENCE: Duration = Duration::from_secs(300);

fn run<F: Future<Output = ()>>(test: F) {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .unwrap();
    let local = tokio::task::LocalSet::new();
    local.block_on(&runtime, async {
        tokio::time::timeout(PATIENCE, test)
            .await
            .expect("ends in time")
    });
}

async fn relay_at(data: &tempfile::TempDir, address: &str) -> Relay {
    let config = relay::Config {
        listen: Listen::At(vec![address.parse().unwrap()]),
        stun: Stun::Off,
        ..relay::Config::local(data.path().to_path_buf())
    };
    relay::start(config).await.unwrap()
}

async fn a_relay() -> (Relay, tempfile::TempDir) {
    let data = tempfile::tempdir().unwrap();
    (relay_at(&data, "127.0.0.1:0").await, data)
}

/// Where it listens, for one that takes its place.
fn socket_of(relay: &Relay) -> String {
    let mut parts = relay.address().iter();
    match (parts.next(), parts.next()) {
        (Some(Protocol::Ip4(ip)), Some(Protocol::Tcp(port))) => format!("{ip}:{port}"),
        other => panic!("{other:?}"),
    }
}

async fn node_at(relays: &[&Relay], network: &MemNetwork, store: MemoryStore) -> Node<MemoryStore> {
    let config = Config {
        relays: relays.iter().map(|relay| relay.address().clone()).collect(),
        serve_after: Some(Duration::from_millis(500)),
        ..Config::default()
    };
    let network = network.clone();
    let node = Node::start(config, store, move |key, webrtc| {
        transport::build(key, webrtc, network)
    })
    .await
    .unwrap();
    node.set_upload(true).await.unwrap();
    node
}

async fn until(what: &str, mut ready: impl FnMut() -> bool) {
    for _ in 0..4000 {
        if ready() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    panic!("never: {what}");
}

async fn joined(nodes: &[&Node<MemoryStore>]) {
    until("all relays hold a reservation for all nodes", || {
        nodes.iter().all(|node| {
            let relays = node.stats().relays;
            !relays.is_empty()
                && relays
                    .iter()
                    .all(|relay| relay.state == RelayState::Reserved)
        })
    })
    .await;
}

fn links(node: &Node<MemoryStore>) -> usize {
    let peers = node.peers();
    peers.iter().filter(|peer| peer.via == Via::Direct).count()
}

fn cid(n: u8) -> Cid {
    Cid::new_v1(0x71, Multihash::wrap(0x1e, &[n; 32]).unwrap())
}

fn key(n: u8) -> SiteKey {
    SiteKey::from_seed([n; 32])
}

/// What a key holder could sign at any time.
fn record(seed: u8, sequence: u64, leads_to: u8) -> Record {
    let validity = Validity::from_unix_millis(rt::unix_millis() + 86_400_000);
    Record::sign(&key(seed), Draft::to(&cid(leads_to), sequence, validity, 0)).unwrap()
}

/// Resolves as a person does who tries again when told that nobody was found.
async fn resolve(node: &Node<MemoryStore>, name: Name) -> Head {
    loop {
        match node.names().resolve(name).await {
            Ok(head) => return head,
            Err(error) => assert!(["NOT_FOUND", "NO_RELAY"].contains(&error.code()), "{error}"),
        }
    }
}

async fn heard(watched: &mut (impl Stream<Item = Head> + Unpin), sequence: u64) -> Head {
    loop {
        let head = watched.next().await.expect("the node runs");
        assert!(head.sequence <= sequence, "{} came", head.sequence);
        if head.sequence == sequence {
            return head;
        }
    }
}

/// Somebody who speaks the protocols, but as they please.
struct Stranger {
    swarm: Swarm<Behaviour>,
    relay: PeerId,
}

impl Stranger {
    async fn at(relay: &Relay) -> Self {
        let key = Keypair::generate_ed25519();
        let config = webrtc::Config::new(key.public().to_peer_id());
        let parts = transport::build(&key, config, MemNetwork::new()).unwrap();
        let mut swarm = behaviour::swarm(&key, parts).unwrap();
        let address: Multiaddr = relay.address().clone();
        let Some(Protocol::P2p(id)) = address.iter().last() else {
            panic!("a relay's address names it");
        };
        swarm
            .behaviour_mut()
            .index
            .get_mut()
            .add_relay(id, address.clone());
        swarm.dial(address).unwrap();
        while !matches!(swarm.next().await, Some(SwarmEvent::ConnectionEstablished { peer_id, .. }) if peer_id == id)
        {
        }
        Self { swarm, relay: id }
    }

    /// Puts a record into the relay's index; whether it was taken.
    async fn put(&mut self, record: &Record) -> bool {
        let index = self.swarm.behaviour_mut().index.get_mut();
        index.write(record, vec![self.relay]);
        loop {
            let Some(SwarmEvent::Behaviour(BehaviourEvent::Index(events))) =
                self.swarm.next().await
            else {
                continue;
            };
            for event in events {
                if let index::Event::Wrote { took, .. } = event {
                    return !took.is_empty();
                }
            }
        }
    }

    /// What the relay's index has for a name.
    async fn get(&mut self, name: Name) -> Option<Record> {
        self.swarm.behaviour_mut().index.get_mut().read(name);
        loop {
            let Some(SwarmEvent::Behaviour(BehaviourEvent::Index(events))) =
                self.swarm.next().await
            else {
                continue;
            };
            for event in events {
                if let index::Event::Read { answers, .. } = event {
                    return answers
                        .iter()
                        .find_map(|answer| Record::verify(name, &answer.bytes).ok());
                }
            }
        }
    }

    /// Says this on a stream of the names' protocol, and reads one answer.
    async fn say(&mut self, message: Message) -> Message {
        let names = self.swarm.behaviour_mut().names.get_mut();
        names.open(self.relay, session::OpenId(1));
        let mut stream = loop {
            match self.swarm.next().await {
                Some(SwarmEvent::Behaviour(BehaviourEvent::Names(session::Event::Opened {
                    stream,
                    ..
                }))) => break stream,
                Some(SwarmEvent::Behaviour(BehaviourEvent::Names(event))) => {
                    panic!("no stream: {event:?}")
                }
                _ => {}
            }
        };
        let talk = async move {
            stream.write_all(&message.encode()).await.unwrap();
            stream.flush().await.unwrap();
            let mut length = [0; 2];
            stream.read_exact(&mut length).await.unwrap();
            let mut body = vec![0; Message::length(length).unwrap()];
            stream.read_exact(&mut body).await.unwrap();
            Message::decode(&body).unwrap()
        };
        tokio::pin!(talk);
        loop {
            tokio::select! {
                answer = &mut talk => return answer,
                _ = self.swarm.next() => {}
            }
        }
    }
}

#[test]
fn what_one_publishes_another_resolves_and_sees_change() {
    run(async {
        let (relay, _data) = a_relay().await;
        let network = MemNetwork::new();
        let publisher = node_at(&[&relay], &network, MemoryStore::new()).await;
        let reader = node_at(&[&relay], &network, MemoryStore::new()).await;
        joined(&[&publisher, &reader]).await;
        let name = key(1).name();
        let none = reader.names().resolve(name).await.unwrap_err();
        assert_eq!(none.code(), "NOT_FOUND");
        let first = publisher.names().publish(&key(1), &cid(1)).await.unwrap();
        assert_eq!((first.sequence, first.holders), (0, 1));
        let head = resolve(&reader, name).await;
        assert_eq!((head.cid, head.sequence), (Some(cid(1)), 0));
        assert_eq!(head.record, first.record);

        let mut watched = reader.names().watch(name).await.unwrap();
        heard(&mut watched, 0).await;
        let again = publisher.names().publish(&key(1), &cid(1)).await.unwrap();
        assert_eq!(again.sequence, 0, "the same again is a renewal");
        publisher.names().publish(&key(1), &cid(2)).await.unwrap();
        let head = heard(&mut watched, 1).await;
        assert_eq!((head.cid, head.fork), (Some(cid(2)), None));
        assert_eq!(
            reader.names().known(name).await.unwrap().unwrap().sequence,
            1
        );

        // Somebody who has the key only, on a machine of their own, goes on where it was.
        let restored = node_at(&[&relay], &network, MemoryStore::new()).await;
        joined(&[&restored]).await;
        let third = restored.names().publish(&key(1), &cid(3)).await.unwrap();
        assert_eq!(third.sequence, 2);
        assert_eq!(heard(&mut watched, 2).await.cid, Some(cid(3)));
    });
}

#[test]
fn twenty_readers_see_a_new_version() {
    run(async {
        let (relay, _data) = a_relay().await;
        let network = MemNetwork::new();
        let publisher = node_at(&[&relay], &network, MemoryStore::new()).await;
        let name = key(2).name();
        publisher.names().publish(&key(2), &cid(0)).await.unwrap();
        let mut readers = Vec::new();
        for _ in 0..20 {
            let reader = node_at(&[&relay], &network, MemoryStore::new()).await;
            let mut watched = reader.names().watch(name).await.unwrap();
            heard(&mut watched, 0).await;
            readers.push((reader, watched));
        }
        let mut passed = Vec::new();
        for version in 1..=5u8 {
            let began = Instant::now();
            let seen = readers.iter_mut().map(|(_, watched)| async move {
                heard(watched, u64::from(version)).await;
                began.elapsed()
            });
            let names = publisher.names();
            let cid = cid(version);
            let signer = key(2);
            let (published, seen) = futures::join!(
                names.publish(&signer, &cid),
                futures::future::join_all(seen)
            );
            assert_eq!(published.unwrap().sequence, u64::from(version));
            passed.extend(seen);
        }
        passed.sort();
        let at = |percent: usize| passed[(passed.len() - 1) * percent / 100];
        println!(
            "from publication to {} open readers: median {:?}, 95th percentile {:?}, last {:?}",
            readers.len(),
            at(50),
            at(95),
            at(100)
        );
        assert_eq!(passed.len(), 100);
    });
}

#[test]
fn a_relay_refuses_what_is_forged_stale_over_or_of_another_kind() {
    run(async {
        let (relay, _data) = a_relay().await;
        let mut stranger = Stranger::at(&relay).await;
        let name = key(3).name();
        assert!(stranger.put(&record(3, 5, 1)).await);
        assert!(!stranger.put(&record(3, 4, 2)).await, "stale");
        let over = Draft::to(&cid(1), 6, Validity::from_unix_millis(1_000), 0);
        assert!(!stranger.put(&Record::sign(&key(3), over).unwrap()).await);
        assert_eq!(stranger.get(name).await.unwrap().sequence(), 5);

        // On a stream the answer says why.
        let bytes = record(3, 9, 1).bytes().clone();
        let forged = Message::Head(key(4).name(), bytes);
        let said = stranger.say(forged).await;
        assert_eq!(said, Message::Refused(key(4).name(), Refusal(5)));
        let stale = Message::Head(name, record(3, 4, 2).bytes().clone());
        let said = stranger.say(stale).await;
        assert_eq!(said, Message::Refused(name, Refusal(7)));
        assert_eq!(stranger.get(key(4).name()).await, None);
        let follow = stranger.say(Message::Follow(name)).await;
        let Message::Head(_, held) = follow else {
            panic!("{follow:?}");
        };
        assert_eq!(Record::verify(name, &held).unwrap().sequence(), 5);
    });
}

#[test]
fn a_reader_is_not_led_back_and_puts_those_right_that_lag() {
    run(async {
        let (relay, data) = a_relay().await;
        let address = socket_of(&relay);
        let network = MemNetwork::new();
        let store = MemoryStore::new();
        let name = key(5).name();
        let reader = node_at(&[&relay], &network, store.clone()).await;
        joined(&[&reader]).await;
        assert!(Stranger::at(&relay).await.put(&record(5, 7, 1)).await);
        assert_eq!(resolve(&reader, name).await.sequence, 7);
        reader.stop().await;
        relay.shutdown().await;

        // The relay has forgotten, and somebody brings it an old record; the reader has been away, but not forgotten.
        let relay = relay_at(&data, &address).await;
        let mut stranger = Stranger::at(&relay).await;
        assert!(stranger.put(&record(5, 6, 2)).await);
        let reader = node_at(&[&relay], &network, store.reopen()).await;
        joined(&[&reader]).await;
        let head = resolve(&reader, name).await;
        assert_eq!((head.sequence, head.cid), (7, Some(cid(1))));
        let mut held = 0;
        while held < 7 {
            held = stranger.get(name).await.unwrap().sequence();
        }
        assert_eq!(held, 7);
    });
}

#[test]
fn a_fork_is_reported_and_all_choose_the_same() {
    run(async {
        let (one, _data_one) = a_relay().await;
        let (other, _data_other) = a_relay().await;
        let name = key(6).name();
        assert!(Stranger::at(&one).await.put(&record(6, 3, 1)).await);
        assert!(Stranger::at(&other).await.put(&record(6, 3, 2)).await);
        let mut seen = Vec::new();
        for relays in [[&one, &other], [&other, &one]] {
            let reader = node_at(&relays, &MemNetwork::new(), MemoryStore::new()).await;
            joined(&[&reader]).await;
            let mut watched = reader.names().watch(name).await.unwrap();
            if seen.is_empty() {
                // One relay may be put right with what the other said before its own word is heard, but it is heard.
                while watched.next().await.unwrap().fork.is_none() {}
            }
            seen.push(resolve(&reader, name).await);
        }
        // The first has put the relays right; whoever comes later sees one record.
        assert_eq!(seen[0].cid, seen[1].cid);
        assert_ne!(seen[0].fork, Some(seen[0].value.clone()));
        assert_eq!(seen[1].fork, None);
    });
}

#[test]
fn a_holder_publishes_again_what_relays_forget() {
    run(async {
        let (relay, data) = a_relay().await;
        let address = socket_of(&relay);
        let network = MemNetwork::new();
        let name = key(7).name();
        let store = MemoryStore::new();
        let publisher = node_at(&[&relay], &network, MemoryStore::new()).await;
        let holder = node_at(&[&relay], &network, store.clone()).await;
        joined(&[&publisher, &holder]).await;
        publisher.names().publish(&key(7), &cid(9)).await.unwrap();
        holder.names().hold(name, true).await.unwrap();
        resolve(&holder, name).await;
        publisher.stop().await;
        relay.shutdown().await;
        until("the relay is missed", || {
            holder
                .stats()
                .relays
                .iter()
                .all(|relay| relay.state != RelayState::Reserved)
        })
        .await;

        let relay = relay_at(&data, &address).await;
        joined(&[&holder]).await;
        let newcomer = node_at(&[&relay], &MemNetwork::new(), MemoryStore::new()).await;
        assert_eq!(resolve(&newcomer, name).await.cid, Some(cid(9)));
        // What is held is held after a restart.
        holder.stop().await;
        relay.shutdown().await;
        let relay = relay_at(&data, &address).await;
        let _holder = node_at(&[&relay], &network, store.reopen()).await;
        let newcomer = node_at(&[&relay], &MemNetwork::new(), MemoryStore::new()).await;
        assert_eq!(resolve(&newcomer, name).await.cid, Some(cid(9)));
    });
}

#[test]
fn without_relays_those_who_are_linked_tell_each_other() {
    run(async {
        let (relay, _data) = a_relay().await;
        let network = MemNetwork::new();
        let name = key(8).name();
        let publisher = node_at(&[&relay], &network, MemoryStore::new()).await;
        let readers = [
            node_at(&[&relay], &network, MemoryStore::new()).await,
            node_at(&[&relay], &network, MemoryStore::new()).await,
        ];
        publisher.names().publish(&key(8), &cid(1)).await.unwrap();
        publisher.names().hold(name, true).await.unwrap();
        let mut watched = Vec::new();
        for reader in &readers {
            watched.push(reader.names().watch(name).await.unwrap());
        }
        for watched in &mut watched {
            heard(watched, 0).await;
        }
        until("they are linked", || {
            links(&publisher) == 2 && readers.iter().all(|reader| links(reader) >= 1)
        })
        .await;
        relay.shutdown().await;
        until("the relay is missed", || {
            publisher
                .stats()
                .relays
                .iter()
                .all(|relay| relay.state != RelayState::Reserved)
        })
        .await;
        publisher.names().publish(&key(8), &cid(2)).await.unwrap();
        for watched in &mut watched {
            assert_eq!(heard(watched, 1).await.cid, Some(cid(2)));
        }
    });
}
