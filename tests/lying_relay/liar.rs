//! A relay that introduces as any other does and lies in its index: it keeps nothing that it is told, and whoever asks it hears of
//! holders and servers that there are not, each time others.

use std::borrow::Cow;
use std::iter::{Empty, empty};
use std::net::Ipv4Addr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures::StreamExt;
use gyre::net::addresses::Route;
use gyre::net::index;
use libp2p::core::Transport;
use libp2p::core::upgrade::Version;
use libp2p::identity::Keypair;
use libp2p::kad::store::{RecordStore, Result};
use libp2p::kad::{self, ProviderRecord, Record, RecordKey};
use libp2p::multiaddr::Protocol;
use libp2p::swarm::{NetworkBehaviour, SwarmEvent};
use libp2p::{
    Multiaddr, PeerId, Swarm, connection_limits, identify, noise, ping, relay, tcp, websocket,
    yamux,
};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

/// Lies in one answer: as many as fit the 16 KiB of a Kademlia message.
const LIES_PER_ANSWER: usize = 64;

/// Servers of the index that it names and that are none.
const FALSE_SERVERS: usize = 200;

/// One that runs until it is dropped.
pub struct Liar {
    pub address: Multiaddr,
    tale: Arc<Tale>,
    victim_met: Arc<AtomicUsize>,
    tasks: Vec<JoinHandle<()>>,
}

/// What it says.
#[derive(Debug, Default)]
struct Tale {
    told: AtomicUsize,
    /// Nodes that are there, named as holders of everything.
    named: Mutex<Vec<(PeerId, Vec<Multiaddr>)>>,
}

impl Liar {
    pub async fn start() -> Self {
        let tale = Arc::new(Tale::default());
        // Somebody who has nothing to do with any of it, and at whose door everybody is sent.
        let victim = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let door = socket(victim.local_addr().unwrap().port());
        let victim_met = Arc::new(AtomicUsize::new(0));
        let met = victim_met.clone();
        let visits = tokio::task::spawn_local(async move {
            while let Ok((visitor, _)) = victim.accept().await {
                met.fetch_add(1, Ordering::Relaxed);
                drop(visitor);
            }
        });

        let mut swarm = build(tale.clone(), door);
        swarm.listen_on(socket(0)).unwrap();
        let own = loop {
            if let SwarmEvent::NewListenAddr { address, .. } = swarm.select_next_some().await {
                break address;
            }
        };
        swarm.add_external_address(own.clone());
        let address = own.with(Protocol::P2p(*swarm.local_peer_id()));
        swarm.behaviour_mut().index.store_mut().own = address.clone();
        let serves = tokio::task::spawn_local(async move {
            loop {
                swarm.select_next_some().await;
            }
        });
        Self {
            address,
            tale,
            victim_met,
            tasks: vec![visits, serves],
        }
    }

    /// From now on it names this node as a holder of whatever it is asked for, reached through itself.
    pub fn name(&self, id: PeerId) {
        let way = Route::Relay(id, self.address.clone()).to(id);
        self.tale.named.lock().unwrap().push((id, vec![way]));
    }

    /// How many lies it has told.
    pub fn told(&self) -> usize {
        self.tale.told.load(Ordering::Relaxed)
    }

    /// How many connections its victim has taken.
    pub fn victim_met(&self) -> usize {
        self.victim_met.load(Ordering::Relaxed)
    }
}

impl Drop for Liar {
    fn drop(&mut self) {
        self.tasks.iter().for_each(JoinHandle::abort);
    }
}

#[derive(NetworkBehaviour)]
struct Behaviour {
    limits: connection_limits::Behaviour,
    relay: relay::Behaviour,
    identify: identify::Behaviour,
    ping: ping::Behaviour,
    index: kad::Behaviour<Lies>,
}

fn build(tale: Arc<Tale>, door: Multiaddr) -> Swarm<Behaviour> {
    let key = Keypair::generate_ed25519();
    let local = key.public().to_peer_id();
    let transport = websocket::Config::new(tcp::tokio::Transport::default())
        .upgrade(Version::V1)
        .authenticate(noise::Config::new(&key).unwrap())
        .multiplex(yamux::Config::default())
        .boxed();
    let mut hop = relay::Behaviour::new(local, relay::Config::default());
    hop.set_status(Some(relay::Status::Enable));
    let lies = Lies {
        tale,
        own: Multiaddr::empty(),
        door: door.clone(),
    };
    let mut config = kad::Config::new(index::PROTOCOL);
    config.set_kbucket_inserts(kad::BucketInserts::Manual);
    let mut index = kad::Behaviour::with_config(local, lies, config);
    index.set_mode(Some(kad::Mode::Server));
    for _ in 0..FALSE_SERVERS {
        index.add_address(&PeerId::random(), door.clone());
    }
    // It dials nobody itself, whatever its own routing table says: who visits the victim was sent there.
    let none = connection_limits::ConnectionLimits::default().with_max_pending_outgoing(Some(0));
    let behaviour = Behaviour {
        limits: connection_limits::Behaviour::new(none),
        relay: hop,
        identify: identify::Behaviour::new(identify::Config::new(
            "/gyre/1.0.0".to_owned(),
            key.public(),
        )),
        ping: ping::Behaviour::default(),
        index,
    };
    let config = libp2p::swarm::Config::with_tokio_executor()
        .with_idle_connection_timeout(Duration::from_secs(60));
    Swarm::new(transport, behaviour, local, config)
}

/// The store of its index.
struct Lies {
    tale: Arc<Tale>,
    own: Multiaddr,
    /// Where its victim listens.
    door: Multiaddr,
}

impl Lies {
    /// Somebody who is not there, and where: behind this relay, behind one that is none, or at somebody else's own door.
    fn lie(&self, key: &RecordKey, turn: usize) -> ProviderRecord {
        let (provider, stranger) = (PeerId::random(), PeerId::random());
        let strange = self.door.clone().with(Protocol::P2p(stranger));
        let address = match turn % 3 {
            0 => Route::Relay(provider, self.own.clone()).to(provider),
            1 => Route::Relay(stranger, strange).to(provider),
            _ => self.door.clone().with(Protocol::P2p(provider)),
        };
        record(key, provider, vec![address])
    }
}

impl RecordStore for Lies {
    type RecordsIter<'a> = Empty<Cow<'a, Record>>;
    type ProvidedIter<'a> = Empty<Cow<'a, ProviderRecord>>;

    fn get(&self, _: &RecordKey) -> Option<Cow<'_, Record>> {
        None
    }

    fn put(&mut self, _: Record) -> Result<()> {
        Ok(())
    }

    fn remove(&mut self, _: &RecordKey) {}

    fn records(&self) -> Self::RecordsIter<'_> {
        empty()
    }

    fn add_provider(&mut self, _: ProviderRecord) -> Result<()> {
        Ok(())
    }

    fn providers(&self, key: &RecordKey) -> Vec<ProviderRecord> {
        self.tale.told.fetch_add(LIES_PER_ANSWER, Ordering::Relaxed);
        let named = self.tale.named.lock().unwrap();
        let named = named
            .iter()
            .map(|(id, ways)| record(key, *id, ways.clone()));
        named
            .chain((0..LIES_PER_ANSWER).map(|turn| self.lie(key, turn)))
            .collect()
    }

    fn provided(&self) -> Self::ProvidedIter<'_> {
        empty()
    }

    fn remove_provider(&mut self, _: &RecordKey, _: &PeerId) {}
}

fn record(key: &RecordKey, provider: PeerId, addresses: Vec<Multiaddr>) -> ProviderRecord {
    ProviderRecord {
        key: key.clone(),
        provider,
        expires: None,
        addresses,
    }
}

/// Where a websocket listens on loopback.
fn socket(port: u16) -> Multiaddr {
    format!("/ip4/127.0.0.1/tcp/{port}/ws").parse().unwrap()
}
