//! Names over real relays and whole nodes on loopback websockets; only WebRTC itself is the in-memory backend.

#![cfg(not(target_arch = "wasm32"))]
#![allow(clippy::unwrap_used)]

use std::time::{Duration, Instant};

use cid::Cid;
use futures::{AsyncReadExt, AsyncWriteExt, Stream, StreamExt};
use gyre::net::behaviour::{self, Behaviour, BehaviourEvent};
use gyre::net::transport::webrtc::{self, rtc::mem::MemNetwork};
use gyre::net::{index, session, transport};
use gyre::node::names::Head;
use gyre::node::snapshot::{JoinState, RelayState};
use gyre::proto::keys::SiteKey;
use gyre::proto::name::Name;
use gyre::proto::name::follow::{Message, Refusal};
use gyre::proto::name::record::{Draft, MAX_RECORD, Record};
use gyre::proto::name::validity::Validity;
use gyre::rt;
use gyre::store::memory::MemoryStore;
use libp2p::identity::Keypair;
use libp2p::multiaddr::Protocol;
use libp2p::swarm::SwarmEvent;
use libp2p::{PeerId, Swarm};
use multihash::Multihash;

mod kit;

use kit::{Newcomer, Peer, RelayHost, Scene, run, until};

/// A node that becomes a server of the peers' index sooner than in life.
fn node(scene: &Scene) -> Newcomer {
    let soon = |config: &mut gyre::node::Config| {
        config.serve_after = Some(Duration::from_millis(500));
    };
    scene.node().with(soon)
}

/// One that has no neighbours: what it knows it has from the relays.
fn loner(scene: &Scene) -> Newcomer {
    scene.node().apart()
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
async fn resolve(node: &Peer, name: Name) -> Head {
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
    async fn at(relay: &RelayHost) -> Self {
        let key = Keypair::generate_ed25519();
        let config = webrtc::Config::new(key.public().to_peer_id());
        let parts = transport::build(&key, config, MemNetwork::new()).unwrap();
        let mut swarm = behaviour::swarm(&key, parts, false).unwrap();
        let address = relay.address().clone();
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
        self.put_bytes(record.name(), record.bytes()).await
    }

    /// The same with any bytes.
    async fn put_bytes(&mut self, name: Name, bytes: &[u8]) -> bool {
        let index = self.swarm.behaviour_mut().index.get_mut();
        index.put(&name.routing_key(), bytes, vec![self.relay]);
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
        let said = self.say_bytes(&message.encode()).await;
        said.expect("the relay answers")
    }

    /// The same with any bytes; nothing if the stream is closed instead.
    async fn say_bytes(&mut self, bytes: &[u8]) -> Option<Message> {
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
            stream.write_all(bytes).await.ok()?;
            stream.flush().await.ok()?;
            let mut length = [0; 2];
            stream.read_exact(&mut length).await.ok()?;
            let mut body = vec![0; Message::length(length).unwrap()];
            stream.read_exact(&mut body).await.unwrap();
            Some(Message::decode(&body).unwrap())
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
    run(async |scene| {
        let publisher = node(&scene).await;
        let reader = node(&scene).await;
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
        let restored = node(&scene).await;
        let third = restored.names().publish(&key(1), &cid(3)).await.unwrap();
        assert_eq!(third.sequence, 2);
        assert_eq!(heard(&mut watched, 2).await.cid, Some(cid(3)));
    });
}

#[test]
fn twenty_readers_see_a_new_version() {
    run(async |scene| {
        let publisher = node(&scene).await;
        let name = key(2).name();
        publisher.names().publish(&key(2), &cid(0)).await.unwrap();
        let mut readers = Vec::new();
        for _ in 0..20 {
            let reader = node(&scene).await;
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
    run(async |scene| {
        let mut stranger = Stranger::at(&scene.relay).await;
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

/// A record with `padding` more bytes in a key of its document that nobody reads, signed as it stands.
fn padded(seed: u8, sequence: u64, padding: usize) -> Vec<u8> {
    let plain = record(seed, sequence, 1);
    // The signature (field 8) has 64 bytes; what follows it is field 9, with a length of two bytes.
    let document = &plain.bytes()[2 + 64 + 3..];
    assert_eq!(document[0], 0xa5, "a map of five keys");
    let mut longer = vec![0xa6];
    longer.extend_from_slice(&document[1..]);
    // The longest key stands last.
    longer.push(0x6d);
    longer.extend_from_slice(b"nobodyReadsIt");
    longer.push(0x59);
    longer.extend_from_slice(&u16::try_from(padding).unwrap().to_be_bytes());
    longer.resize(longer.len() + padding, 7);
    let signature = key(seed).sign(&[b"ipns-signature:", longer.as_slice()].concat());
    let mut out = vec![0x42, 64];
    out.extend_from_slice(&signature);
    let length = longer.len();
    out.extend_from_slice(&[0x4a, length as u8 | 0x80, (length >> 7) as u8]);
    out.extend_from_slice(&longer);
    out
}

#[test]
fn a_record_over_ten_kibibytes_is_refused_however_well_it_is_signed() {
    run(async |scene| {
        let mut stranger = Stranger::at(&scene.relay).await;
        let name = key(9).name();
        // Just within the bound, and one byte beyond it.
        let spare = MAX_RECORD - padded(9, 1, 1_000).len() + 1_000;
        let (within, beyond) = (padded(9, 1, spare), padded(9, 2, spare + 1));
        assert_eq!((within.len(), beyond.len()), (MAX_RECORD, MAX_RECORD + 1));
        assert!(stranger.put_bytes(name, &within).await);
        assert!(!stranger.put_bytes(name, &beyond).await);
        assert_eq!(stranger.get(name).await.unwrap().sequence(), 1);

        // By the protocol of the names the stream ends: no message is as long.
        let mut message = ((1 + 32 + beyond.len()) as u16).to_be_bytes().to_vec();
        message.push(3);
        message.extend_from_slice(&name.0);
        message.extend_from_slice(&beyond);
        assert_eq!(stranger.say_bytes(&message).await, None);
        assert_eq!(stranger.get(name).await.unwrap().sequence(), 1);
        let reader = node(&scene).await;
        assert_eq!(resolve(&reader, name).await.sequence, 1);
    });
}

#[test]
fn what_either_of_two_denylists_has_is_not_found_kept_or_told_by_a_relay() {
    run(async |mut scene| {
        let other = scene.relay.data().join("other.deny");
        std::fs::write(&other, "version: 1\n---\n").unwrap();
        let lists = other.clone();
        scene
            .relay
            .adjust(move |config| config.denylists.push(lists.clone()));
        scene.relay.stop().await;
        scene.relay.restart().await;
        let mut stranger = Stranger::at(&scene.relay).await;
        let [one, two, free] = [20, 21, 22].map(|seed| key(seed).name());
        for seed in 20..=22 {
            assert!(stranger.put(&record(seed, 1, 1)).await);
        }
        std::fs::write(&other, format!("version: 1\n---\n/ipns/{two}\n")).unwrap();
        scene.relay.deny(&format!("/ipns/{one}\n"));
        for denied in [one, two] {
            while stranger.get(denied).await.is_some() {}
        }
        assert_eq!(stranger.get(free).await.unwrap().sequence(), 1);
        for (seed, taken) in [(20, false), (21, false), (22, true)] {
            assert_eq!(stranger.put(&record(seed, 2, 2)).await, taken, "{seed}");
        }
        let reader = loner(&scene).await;
        for denied in [one, two] {
            let none = reader.names().resolve(denied).await.unwrap_err();
            assert_eq!(none.code(), "NOT_FOUND");
        }
        assert_eq!(resolve(&reader, free).await.sequence, 2);
        // Whoever follows hears nothing of it; another name on the same relay is told of.
        let mut watched = reader.names().watch(free).await.unwrap();
        heard(&mut watched, 2).await;
        let head = Message::Head(two, record(21, 3, 3).bytes().clone());
        let follows = [Message::Follow(two), head, Message::Follow(free)];
        let said = follows
            .iter()
            .flat_map(|one| one.encode())
            .collect::<Vec<_>>();
        let Some(Message::Head(told, _)) = stranger.say_bytes(&said).await else {
            panic!("the relay says nothing of {free}");
        };
        assert_eq!(told, free);

        // Taken off the list, it is a name like any other.
        std::fs::write(&other, "version: 1\n---\n").unwrap();
        scene.relay.deny("# read again\n");
        while !stranger.put(&record(21, 4, 4)).await {}
        assert_eq!(resolve(&reader, two).await.sequence, 4);
    });
}

#[test]
fn a_reader_is_not_led_back_and_puts_those_right_that_lag() {
    run(async |mut scene| {
        let store = MemoryStore::new();
        let name = key(5).name();
        let reader = node(&scene).on(&store).await;
        assert!(Stranger::at(&scene.relay).await.put(&record(5, 7, 1)).await);
        assert_eq!(resolve(&reader, name).await.sequence, 7);
        reader.stop().await;
        scene.relay.stop().await;

        // The relay has forgotten, and somebody brings it an old record; the reader has been away, but not forgotten.
        scene.relay.restart().await;
        let mut stranger = Stranger::at(&scene.relay).await;
        assert!(stranger.put(&record(5, 6, 2)).await);
        let reader = node(&scene).on(&store.reopen()).await;
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
    run(async |scene| {
        let one = &scene.relay;
        let other = &RelayHost::start().await;
        let name = key(6).name();
        assert!(Stranger::at(one).await.put(&record(6, 3, 1)).await);
        assert!(Stranger::at(other).await.put(&record(6, 3, 2)).await);
        let mut seen = Vec::new();
        let mut readers = Vec::new();
        for relays in [[one, other], [other, one]] {
            let reader = loner(&scene).at(&relays).await;
            until("both relays hold a reservation", || {
                let relays = reader.stats().relays;
                relays
                    .iter()
                    .all(|relay| relay.state == RelayState::Reserved)
            })
            .await;
            let mut watched = reader.names().watch(name).await.unwrap();
            if seen.is_empty() {
                // One relay may be put right with what the other said before its own word is heard, but it is heard.
                while watched.next().await.unwrap().fork.is_none() {}
            }
            seen.push(resolve(&reader, name).await);
            readers.push(reader);
        }
        // The first has put the relays right; whoever comes later sees one record.
        assert_eq!(seen[0].cid, seen[1].cid);
        assert_ne!(seen[0].fork, Some(seen[0].value.clone()));
        assert_eq!(seen[1].fork, None);
        // The next number settles it, also for the value that counts already.
        let (signer, cid) = (key(6), seen[0].cid.unwrap());
        let settled = readers[0].names().publish(&signer, &cid).await.unwrap();
        assert_eq!((settled.sequence, settled.fork), (4, None));
    });
}

#[test]
fn a_holder_publishes_again_what_relays_forget() {
    run(async |mut scene| {
        let name = key(7).name();
        let store = MemoryStore::new();
        let publisher = node(&scene).await;
        let holder = node(&scene).on(&store).await;
        publisher.names().publish(&key(7), &cid(9)).await.unwrap();
        holder.names().hold(name, true).await.unwrap();
        resolve(&holder, name).await;
        publisher.stop().await;
        scene.relay.stop().await;
        until("the relay is missed", || {
            holder.stats().state != JoinState::Joined
        })
        .await;

        scene.relay.restart().await;
        let newcomer = loner(&scene).await;
        assert_eq!(resolve(&newcomer, name).await.cid, Some(cid(9)));
        // What is held is held after a restart.
        holder.stop().await;
        scene.relay.stop().await;
        scene.relay.restart().await;
        let _holder = node(&scene).on(&store.reopen()).await;
        let newcomer = loner(&scene).await;
        assert_eq!(resolve(&newcomer, name).await.cid, Some(cid(9)));
    });
}

#[test]
fn without_relays_those_who_are_linked_tell_each_other() {
    run(async |mut scene| {
        let name = key(8).name();
        let publisher = node(&scene).await;
        let readers = [node(&scene).await, node(&scene).await];
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
            publisher.links() == 2 && readers.iter().all(|reader| reader.links() >= 1)
        })
        .await;
        scene.relay.stop().await;
        until("the relay is missed", || {
            publisher.stats().state != JoinState::Joined
        })
        .await;
        publisher.names().publish(&key(8), &cid(2)).await.unwrap();
        for watched in &mut watched {
            assert_eq!(heard(watched, 1).await.cid, Some(cid(2)));
        }
    });
}
