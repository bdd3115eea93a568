//! A native libp2p client as a browser would be one, and a raw HTTP client that can misbehave.

use std::net::SocketAddr;
use std::time::Duration;

use futures::StreamExt;
use libp2p::core::Transport;
use libp2p::core::upgrade::Version;
use libp2p::identity::Keypair;
use libp2p::multiaddr::Protocol;
use libp2p::swarm::{NetworkBehaviour, SwarmEvent};
use libp2p::{
    Multiaddr, PeerId, StreamProtocol, Swarm, dns, identify, kad, noise, ping, relay, tcp, yamux,
};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::mpsc;

pub(crate) const ECHO: StreamProtocol = StreamProtocol::new("/test/echo");
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);

#[derive(NetworkBehaviour)]
struct Behaviour {
    relay: relay::client::Behaviour,
    identify: identify::Behaviour,
    ping: ping::Behaviour,
    index: kad::Behaviour<kad::store::MemoryStore>,
    stream: libp2p_stream::Behaviour,
}

enum Command {
    Dial(Multiaddr),
    Listen(Multiaddr),
    Announce(Vec<u8>, Multiaddr),
    Find(Vec<u8>),
    Closest,
}

/// What a client saw.
#[derive(Debug)]
pub(crate) enum Seen {
    Connected(PeerId),
    Disconnected(PeerId),
    Refused(String),
    Reserved,
    ListenerEnded,
    Identified(Box<identify::Info>),
    Announced(bool),
    Providers(Vec<PeerId>),
    Closest(Vec<PeerId>),
}

/// A running client.
pub(crate) struct Client {
    pub(crate) peer_id: PeerId,
    pub(crate) streams: libp2p_stream::Control,
    commands: mpsc::UnboundedSender<Command>,
    seen: mpsc::UnboundedReceiver<Seen>,
    task: tokio::task::JoinHandle<()>,
}

impl Drop for Client {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Client {
    pub(crate) fn new() -> Self {
        let key = Keypair::generate_ed25519();
        let peer_id = key.public().to_peer_id();
        let (circuit, relay) = relay::client::new(peer_id);
        let tcp = tcp::tokio::Transport::new(tcp::Config::default());
        let websocket = libp2p::websocket::Config::new(dns::tokio::Transport::system(tcp).unwrap());
        let transport = circuit
            .or_transport(websocket)
            .upgrade(Version::V1)
            .authenticate(noise::Config::new(&key).unwrap())
            .multiplex(yamux::Config::default())
            .boxed();
        let mut index_config = kad::Config::new(gyre::relay::INDEX_PROTOCOL);
        index_config.set_periodic_bootstrap_interval(None);
        let mut index = kad::Behaviour::with_config(
            peer_id,
            kad::store::MemoryStore::new(peer_id),
            index_config,
        );
        index.set_mode(Some(kad::Mode::Client));
        let stream = libp2p_stream::Behaviour::new();
        let streams = stream.new_control();
        let identify = identify::Config::new("/test/1".into(), key.public());
        let behaviour = Behaviour {
            relay,
            identify: identify::Behaviour::new(identify),
            ping: ping::Behaviour::default(),
            index,
            stream,
        };
        let swarm = Swarm::new(
            transport,
            behaviour,
            peer_id,
            libp2p::swarm::Config::with_tokio_executor()
                .with_idle_connection_timeout(Duration::from_secs(60)),
        );
        let (commands, wishes) = mpsc::unbounded_channel();
        let (tell, seen) = mpsc::unbounded_channel();
        let task = tokio::spawn(run(swarm, wishes, tell));
        Self {
            peer_id,
            streams,
            commands,
            seen,
            task,
        }
    }

    /// A client that has a reservation and echoes what it is sent.
    pub(crate) async fn reserved(relay: &Multiaddr) -> Self {
        let mut client = Self::new();
        client.serve_echo();
        client.listen(relay);
        client
            .until("a reservation", |seen| {
                matches!(seen, Seen::Reserved).then_some(())
            })
            .await;
        client
    }

    pub(crate) fn dial(&self, address: Multiaddr) {
        self.commands.send(Command::Dial(address)).unwrap();
    }

    /// Asks `relay` for a reservation.
    pub(crate) fn listen(&self, relay: &Multiaddr) {
        self.commands
            .send(Command::Listen(relay.clone().with(Protocol::P2pCircuit)))
            .unwrap();
    }

    pub(crate) fn announce(&self, key: &[u8], address: Multiaddr) {
        self.commands
            .send(Command::Announce(key.to_vec(), address))
            .unwrap();
    }

    pub(crate) async fn find(&mut self, key: &[u8]) -> Vec<PeerId> {
        self.commands.send(Command::Find(key.to_vec())).unwrap();
        let found = |seen| {
            if let Seen::Providers(found) = seen {
                Some(found)
            } else {
                None
            }
        };
        self.until("providers", found).await
    }

    pub(crate) async fn closest(&mut self) -> Vec<PeerId> {
        self.commands.send(Command::Closest).unwrap();
        let found = |seen| {
            if let Seen::Closest(found) = seen {
                Some(found)
            } else {
                None
            }
        };
        self.until("the closest peers", found).await
    }

    pub(crate) async fn connect(&mut self, address: &Multiaddr) {
        let Some(Protocol::P2p(peer)) = address.iter().last() else {
            panic!("no peer id in {address}")
        };
        self.dial(address.clone());
        self.until("a connection", |seen| match seen {
            Seen::Connected(connected) => (connected == peer).then_some(()),
            Seen::Refused(error) => panic!("refused: {error}"),
            _ => None,
        })
        .await;
    }

    pub(crate) async fn until<T>(
        &mut self,
        what: &str,
        mut pick: impl FnMut(Seen) -> Option<T>,
    ) -> T {
        let search = async {
            loop {
                if let Some(found) = pick(self.seen.recv().await.expect("the client runs")) {
                    return found;
                }
            }
        };
        tokio::time::timeout(PATIENCE, search)
            .await
            .unwrap_or_else(|_| panic!("waited in vain for {what}"))
    }

    fn serve_echo(&mut self) {
        let mut incoming = self.streams.accept(ECHO).unwrap();
        tokio::spawn(async move {
            while let Some((_, stream)) = incoming.next().await {
                tokio::spawn(async move {
                    let (mut read, mut write) = futures::AsyncReadExt::split(stream);
                    let _ = futures::io::copy(&mut read, &mut write).await;
                    let _ = futures::AsyncWriteExt::close(&mut write).await;
                });
            }
        });
    }
}

async fn run(
    mut swarm: Swarm<Behaviour>,
    mut wishes: mpsc::UnboundedReceiver<Command>,
    tell: mpsc::UnboundedSender<Seen>,
) {
    loop {
        let seen = tokio::select! {
            command = wishes.recv() => match command {
                None => return,
                Some(command) => obey(&mut swarm, command),
            },
            event = swarm.select_next_some() => interpret(event),
        };
        if let Some(seen) = seen {
            let _ = tell.send(seen);
        }
    }
}

fn obey(swarm: &mut Swarm<Behaviour>, command: Command) -> Option<Seen> {
    match command {
        Command::Dial(address) => {
            if let (Some(Protocol::P2p(peer)), false) = (
                address.iter().last(),
                address.iter().any(|part| part == Protocol::P2pCircuit),
            ) {
                swarm
                    .behaviour_mut()
                    .index
                    .add_address(&peer, address.clone());
            }
            swarm
                .dial(address)
                .err()
                .map(|error| Seen::Refused(error.to_string()))
        }
        Command::Listen(address) => {
            swarm.listen_on(address).unwrap();
            None
        }
        Command::Announce(key, address) => {
            swarm.add_external_address(address);
            swarm
                .behaviour_mut()
                .index
                .start_providing(kad::RecordKey::new(&key))
                .unwrap();
            None
        }
        Command::Find(key) => {
            swarm
                .behaviour_mut()
                .index
                .get_providers(kad::RecordKey::new(&key));
            None
        }
        Command::Closest => {
            swarm
                .behaviour_mut()
                .index
                .get_closest_peers(PeerId::random());
            None
        }
    }
}

fn interpret(event: SwarmEvent<BehaviourEvent>) -> Option<Seen> {
    use kad::QueryResult;
    match event {
        SwarmEvent::ConnectionEstablished { peer_id, .. } => Some(Seen::Connected(peer_id)),
        SwarmEvent::ConnectionClosed {
            peer_id,
            num_established: 0,
            ..
        } => Some(Seen::Disconnected(peer_id)),
        SwarmEvent::OutgoingConnectionError { error, .. } => {
            Some(Seen::Refused(format!("{error:?}")))
        }
        SwarmEvent::ListenerClosed { .. } => Some(Seen::ListenerEnded),
        SwarmEvent::Behaviour(BehaviourEvent::Relay(
            relay::client::Event::ReservationReqAccepted { .. },
        )) => Some(Seen::Reserved),
        SwarmEvent::Behaviour(BehaviourEvent::Identify(identify::Event::Received {
            info, ..
        })) => Some(Seen::Identified(Box::new(info))),
        SwarmEvent::Behaviour(BehaviourEvent::Index(kad::Event::OutboundQueryProgressed {
            result,
            ..
        })) => match result {
            QueryResult::StartProviding(result) => Some(Seen::Announced(result.is_ok())),
            QueryResult::GetProviders(Ok(kad::GetProvidersOk::FoundProviders {
                providers,
                ..
            })) => Some(Seen::Providers(providers.into_iter().collect())),
            QueryResult::GetProviders(_) => Some(Seen::Providers(Vec::new())),
            QueryResult::GetClosestPeers(Ok(ok)) => Some(Seen::Closest(
                ok.peers.into_iter().map(|peer| peer.peer_id).collect(),
            )),
            _ => None,
        },
        _ => None,
    }
}

/// Sends one request as it stands and returns the answer's head and body.
pub(crate) async fn raw(to: SocketAddr, request: &str) -> String {
    let mut socket = TcpStream::connect(to).await.unwrap();
    socket.write_all(request.as_bytes()).await.unwrap();
    let mut answer = Vec::new();
    tokio::time::timeout(PATIENCE, socket.read_to_end(&mut answer))
        .await
        .unwrap()
        .unwrap();
    String::from_utf8_lossy(&answer).into_owned()
}

/// Asks for `path` on `host`, with further header lines that each end in CRLF.
pub(crate) async fn get(to: SocketAddr, host: &str, path: &str, more: &str) -> String {
    raw(
        to,
        &format!("GET {path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n{more}\r\n"),
    )
    .await
}

/// Asks for a websocket; the status, and the socket to go on with.
pub(crate) async fn upgrade(to: SocketAddr, path: &str, more: &str) -> (u16, TcpStream) {
    let mut socket = TcpStream::connect(to).await.unwrap();
    let request = format!(
        "GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
         Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n{more}\r\n"
    );
    socket.write_all(request.as_bytes()).await.unwrap();
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        let mut byte = [0];
        if tokio::time::timeout(PATIENCE, socket.read(&mut byte))
            .await
            .unwrap()
            .unwrap_or(0)
            == 0
        {
            break;
        }
        head.push(byte[0]);
    }
    let head = String::from_utf8(head).unwrap();
    (
        head.split(' ')
            .nth(1)
            .and_then(|status| status.parse().ok())
            .unwrap_or(0),
        socket,
    )
}
