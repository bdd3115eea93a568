//! A relay and browser-like peers, each a swarm on its own task.

use std::{
    fmt::Debug,
    sync::atomic::{AtomicU64, Ordering},
    time::Duration,
};

use futures::StreamExt;
use gyre::net::{
    direct_only::DirectOnly,
    transport::webrtc::{self, rtc::mem::MemNetwork},
};
use libp2p::{
    Multiaddr, PeerId, Swarm, Transport,
    core::{
        ConnectedPoint,
        muxing::StreamMuxerBox,
        transport::{Boxed, MemoryTransport, choice::OrTransport},
        upgrade::Version,
    },
    identity::Keypair,
    multiaddr::Protocol,
    noise, ping, relay,
    swarm::{self, ConnectionId, NetworkBehaviour, SwarmEvent},
    yamux,
};
use tokio::{sync::mpsc, task::JoinHandle};

/// Longer than anything takes on a busy machine; only a broken test waits for it.
const PATIENCE: Duration = Duration::from_secs(60);

/// A browser's behaviours as the real node composes them: what is not signalling stays off circuits.
#[derive(NetworkBehaviour)]
pub struct Browser {
    pub webrtc: webrtc::Behaviour,
    pub relay: relay::client::Behaviour,
    pub ping: DirectOnly<ping::Behaviour>,
}

type Act<B> = Box<dyn FnOnce(&mut Swarm<B>) + Send>;

/// A running swarm.
pub struct Node<B: NetworkBehaviour> {
    pub id: PeerId,
    acts: mpsc::UnboundedSender<Act<B>>,
    events: mpsc::UnboundedReceiver<SwarmEvent<B::ToSwarm>>,
    task: JoinHandle<()>,
}

impl<B: NetworkBehaviour<ToSwarm: Debug> + Send> Node<B> {
    fn run(mut swarm: Swarm<B>) -> Self {
        let id = *swarm.local_peer_id();
        let (acts, mut to_do) = mpsc::unbounded_channel::<Act<B>>();
        let (seen, events) = mpsc::unbounded_channel();
        let task = tokio::spawn(async move {
            loop {
                tokio::select! {
                    event = swarm.select_next_some() => drop(seen.send(event)),
                    act = to_do.recv() => match act {
                        Some(act) => act(&mut swarm),
                        None => return,
                    },
                }
            }
        });
        Self {
            id,
            acts,
            events,
            task,
        }
    }

    /// Does something with the swarm and gives back the result.
    pub async fn with<T: Send + 'static>(
        &self,
        act: impl FnOnce(&mut Swarm<B>) -> T + Send + 'static,
    ) -> T {
        let (done, result) = tokio::sync::oneshot::channel();
        let act: Act<B> = Box::new(move |swarm| drop(done.send(act(swarm))));
        assert!(self.acts.send(act).is_ok(), "the swarm is running");
        result.await.unwrap()
    }

    pub async fn dial(&self, addr: Multiaddr) {
        self.with(move |swarm| swarm.dial(addr).unwrap()).await;
    }

    /// The first event from now on that `pick` wants; those before it are lost.
    pub async fn wait<T>(
        &mut self,
        what: &str,
        mut pick: impl FnMut(&SwarmEvent<B::ToSwarm>) -> Option<T>,
    ) -> T {
        let mut seen = Vec::new();
        let found = tokio::time::timeout(PATIENCE, async {
            loop {
                let event = self.events.recv().await.unwrap();
                if let Some(found) = pick(&event) {
                    return found;
                }
                seen.push(format!("{event:?}"));
            }
        });
        match found.await {
            Ok(found) => found,
            Err(_) => panic!("{what} did not happen, but {seen:#?}"),
        }
    }

    /// The first `count` closed connections that `pick` wants.
    pub async fn wait_closed(&mut self, what: &str, pick: impl Fn(&ConnectedPoint) -> bool) {
        self.wait(what, |event| match event {
            SwarmEvent::ConnectionClosed { endpoint, .. } => pick(endpoint).then_some(()),
            _ => None,
        })
        .await;
    }

    /// Ends the swarm at once, as a crash does.
    pub async fn kill(self) {
        self.task.abort();
        let _ = self.task.await;
    }
}

impl Node<Browser> {
    /// The outcome of the next attempt.
    pub async fn outcome(&mut self) -> webrtc::Event {
        self.wait("an outcome", |event| match event {
            SwarmEvent::Behaviour(BrowserEvent::Webrtc(
                event @ (webrtc::Event::Upgraded { .. } | webrtc::Event::Failed { .. }),
            )) => Some(event.clone()),
            _ => None,
        })
        .await
    }

    /// Waits for a direct connection to `peer`.
    pub async fn upgraded(&mut self, peer: PeerId, outbound: bool) {
        self.wait("an upgrade", |event| match event {
            SwarmEvent::Behaviour(BrowserEvent::Webrtc(webrtc::Event::Upgraded {
                peer: with,
                outbound: out,
            })) => (*with == peer && *out == outbound).then_some(()),
            _ => None,
        })
        .await;
    }

    /// Waits for a successful ping from now on, and says over which connection.
    pub async fn pinged(&mut self, peer: PeerId) -> ConnectionId {
        // What was answered before this call is no news.
        while self.events.try_recv().is_ok() {}
        self.wait("a ping", |event| match event {
            SwarmEvent::Behaviour(BrowserEvent::Ping(ping))
                if ping.peer == peer && ping.result.is_ok() =>
            {
                Some(ping.connection)
            }
            _ => None,
        })
        .await
    }

    /// Takes a reservation; gives the `/webrtc` address that others dial.
    pub async fn reserve(&mut self, relay: &Multiaddr) -> Multiaddr {
        let listen = relay.clone().with(Protocol::P2pCircuit);
        self.with(move |swarm| swarm.listen_on(listen).unwrap())
            .await;
        let me = self.id;
        let addr = self
            .wait("the /webrtc address", |event| match event {
                SwarmEvent::ExternalAddrConfirmed { address } => {
                    webrtc::addr::WebRtcAddr::parse(address)
                        .is_ok()
                        .then(|| address.clone())
                }
                _ => None,
            })
            .await;
        let expected = relay
            .clone()
            .with(Protocol::P2pCircuit)
            .with(Protocol::WebRTC)
            .with(Protocol::P2p(me));
        assert_eq!(addr, expected);
        addr
    }
}

/// Starts a relay; gives its address with its peer id.
pub async fn relay() -> (Node<relay::Behaviour>, Multiaddr) {
    let keypair = Keypair::generate_ed25519();
    let id = keypair.public().to_peer_id();
    let config = relay::Config {
        max_reservations: 1_000,
        max_circuits: 1_000,
        max_circuits_per_peer: 1_000,
        reservation_rate_limiters: Vec::new(),
        circuit_src_rate_limiters: Vec::new(),
        ..Default::default()
    };
    let mut behaviour = relay::Behaviour::new(id, config);
    behaviour.set_status(Some(relay::Status::Enable));
    let transport = upgraded(MemoryTransport::default(), &keypair);
    let mut swarm = Swarm::new(transport, behaviour, id, swarm_config());
    let addr = memory_addr();
    swarm.listen_on(addr.clone()).unwrap();
    swarm.add_external_address(addr.clone());
    (Node::run(swarm), addr.with(Protocol::P2p(id)))
}

/// Starts a browser in `network`, listening on `/webrtc`, with settings changed by `set`.
pub async fn browser(network: &MemNetwork, set: impl FnOnce(&mut webrtc::Config)) -> Node<Browser> {
    let keypair = Keypair::generate_ed25519();
    let id = keypair.public().to_peer_id();
    let mut config = webrtc::Config::new(id);
    config.circuit_linger = Duration::from_millis(200);
    config.glare_delay = Duration::from_millis(300);
    set(&mut config);
    let (webrtc_transport, webrtc) = webrtc::new(config, network.clone());
    let (relay_transport, relay) = relay::client::new(id);
    let direct = webrtc_transport
        .map(|(peer, muxer), _| (peer, StreamMuxerBox::new(muxer)))
        .boxed();
    let rest = or(
        upgraded(relay_transport, &keypair),
        upgraded(MemoryTransport::default(), &keypair),
    );
    let behaviour = Browser {
        webrtc,
        relay,
        ping: DirectOnly::new(ping::Behaviour::new(
            ping::Config::new().with_interval(Duration::from_millis(50)),
        )),
    };
    let mut swarm = Swarm::new(or(direct, rest), behaviour, id, swarm_config());
    swarm.listen_on(webrtc::addr::listen_addr()).unwrap();
    Node::run(swarm)
}

/// Starts a peer that can be reached and can dial through relays, with a behaviour of the test's.
pub fn raw<B>(behaviour: impl FnOnce(relay::client::Behaviour) -> B) -> Node<B>
where
    B: NetworkBehaviour<ToSwarm: Debug> + Send,
{
    let keypair = Keypair::generate_ed25519();
    let id = keypair.public().to_peer_id();
    let (relay_transport, relay) = relay::client::new(id);
    let transport = or(
        upgraded(relay_transport, &keypair),
        upgraded(MemoryTransport::default(), &keypair),
    );
    Node::run(Swarm::new(transport, behaviour(relay), id, swarm_config()))
}

fn swarm_config() -> swarm::Config {
    swarm::Config::with_tokio_executor().with_idle_connection_timeout(PATIENCE * 2)
}

fn upgraded<T>(transport: T, keypair: &Keypair) -> Boxed<(PeerId, StreamMuxerBox)>
where
    T: Transport + Send + Unpin + 'static,
    T::Output: futures::AsyncRead + futures::AsyncWrite + Send + Unpin + 'static,
    T::Error: Send + Sync + 'static,
    T::Dial: Send + 'static,
    T::ListenerUpgrade: Send + 'static,
{
    transport
        .upgrade(Version::V1)
        .authenticate(noise::Config::new(keypair).unwrap())
        .multiplex(yamux::Config::default())
        .boxed()
}

fn or(
    first: Boxed<(PeerId, StreamMuxerBox)>,
    second: Boxed<(PeerId, StreamMuxerBox)>,
) -> Boxed<(PeerId, StreamMuxerBox)> {
    OrTransport::new(first, second)
        .map(|either, _| either.into_inner())
        .boxed()
}

/// A memory address that nobody else in the process has.
pub fn memory_addr() -> Multiaddr {
    // Memory ports are one name space for the process.
    static NEXT: AtomicU64 = AtomicU64::new(0x6779_7265_0000);
    let port = NEXT.fetch_add(1, Ordering::Relaxed);
    Multiaddr::empty().with(Protocol::Memory(port))
}
