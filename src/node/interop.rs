//! A bare peer for the tests against js-libp2p: our transports and the protocols of `tests/interop`, nothing else.

use std::cell::RefCell;
use std::collections::HashMap;
use std::rc::Rc;
use std::time::Duration;

use futures::channel::{mpsc, oneshot};
use futures::{AsyncReadExt, AsyncWriteExt, StreamExt, select};
use libp2p::identity::Keypair;
use libp2p::multiaddr::Protocol;
use libp2p::swarm::dial_opts::{DialOpts, PeerCondition};
use libp2p::swarm::{NetworkBehaviour, SwarmEvent};
use libp2p::{Multiaddr, PeerId, Stream, StreamProtocol, Swarm, identify, ping, relay};

use crate::net::direct_only::DirectOnly;
use crate::net::transport::{self, swarm_config, webrtc};
use crate::rt;

const ECHO: StreamProtocol = StreamProtocol::new("/echo/1.0.0");
const SINK: StreamProtocol = StreamProtocol::new("/gyre-interop/sink/1.0.0");
const SLOW_SINK: StreamProtocol = StreamProtocol::new("/gyre-interop/slow-sink/1.0.0");

/// Bytes after which the slow sink rests.
const REST_AFTER: usize = 64 * 1024;

/// How long the slow sink rests.
const REST: Duration = Duration::from_millis(20);

#[derive(NetworkBehaviour)]
struct Behaviour {
    webrtc: webrtc::Behaviour,
    relay: relay::client::Behaviour,
    identify: identify::Behaviour,
    ping: DirectOnly<ping::Behaviour>,
    streams: DirectOnly<libp2p_stream::Behaviour>,
}

#[derive(Debug, Default)]
struct Seen {
    direct: HashMap<PeerId, usize>,
    relayed: HashMap<PeerId, usize>,
    rtt: HashMap<PeerId, Duration>,
    listening: Option<Multiaddr>,
    dial_error: Option<String>,
}

/// A running bare peer.
#[derive(Clone)]
pub struct Interop {
    peer_id: PeerId,
    control: libp2p_stream::Control,
    dials: mpsc::Sender<(PeerId, Multiaddr)>,
    seen: Rc<RefCell<Seen>>,
    stop: Rc<RefCell<Option<oneshot::Sender<()>>>>,
}

impl std::fmt::Debug for Interop {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Interop")
            .field("peer_id", &self.peer_id)
            .finish_non_exhaustive()
    }
}

impl Interop {
    /// Joins through one relay.
    ///
    /// # Errors
    /// What went wrong, in words: this is a test.
    pub async fn start(relay: Multiaddr) -> Result<Self, String> {
        let mut seed: [u8; 32] = rt::random();
        let key = Keypair::ed25519_from_bytes(&mut seed).map_err(text)?;
        let peer_id = key.public().to_peer_id();
        let parts = transport::build(&key, webrtc::Config::new(peer_id)).map_err(text)?;
        let identify = identify::Config::new("/gyre-interop/1.0.0".into(), key.public())
            .with_hide_listen_addrs(true);
        let behaviour = Behaviour {
            webrtc: parts.webrtc,
            relay: parts.relay,
            identify: identify::Behaviour::new(identify),
            ping: DirectOnly::new(ping::Behaviour::new(
                ping::Config::new().with_interval(Duration::from_millis(200)),
            )),
            streams: DirectOnly::new(libp2p_stream::Behaviour::new()),
        };
        let mut control = behaviour.streams.get_ref().new_control();
        let config = swarm_config().with_idle_connection_timeout(Duration::from_secs(120));
        let mut swarm = Swarm::new(parts.transport, behaviour, peer_id, config);
        swarm
            .listen_on("/webrtc".parse().map_err(text)?)
            .map_err(text)?;
        swarm
            .listen_on(relay.with(Protocol::P2pCircuit))
            .map_err(text)?;

        serve(control.accept(ECHO).map_err(text)?, |stream| async move {
            echo_back(stream).await
        });
        serve(control.accept(SINK).map_err(text)?, |stream| async move {
            sink(stream, false).await
        });
        serve(
            control.accept(SLOW_SINK).map_err(text)?,
            |stream| async move { sink(stream, true).await },
        );

        let seen = Rc::new(RefCell::new(Seen::default()));
        let (dials, wanted) = mpsc::channel(16);
        let (stop, stopped) = oneshot::channel();
        rt::spawn(drive(swarm, wanted, stopped, seen.clone()));
        Ok(Self {
            peer_id,
            control,
            dials,
            seen,
            stop: Rc::new(RefCell::new(Some(stop))),
        })
    }

    /// Our identity.
    pub fn peer_id(&self) -> PeerId {
        self.peer_id
    }

    /// Waits for the address that others dial.
    ///
    /// # Errors
    /// If there is none within 20 s.
    pub async fn listen_address(&self) -> Result<Multiaddr, String> {
        self.until(|seen| seen.listening.clone()).await
    }

    /// Dials and waits for the direct connection.
    ///
    /// # Errors
    /// The dial error, or that none came up within 20 s.
    pub async fn dial(&self, address: Multiaddr) -> Result<PeerId, String> {
        let Some(Protocol::P2p(peer)) = address.iter().last() else {
            return Err("the address names no peer".into());
        };
        self.seen.borrow_mut().dial_error = None;
        self.dials.clone().try_send((peer, address)).map_err(text)?;
        self.until(|seen| match &seen.dial_error {
            Some(error) => Some(Err(error.clone())),
            None => seen.direct.contains_key(&peer).then_some(Ok(peer)),
        })
        .await?
    }

    /// Direct and relayed connections to a peer now.
    pub fn connections(&self, peer: PeerId) -> (usize, usize) {
        let seen = self.seen.borrow();
        let count = |map: &HashMap<PeerId, usize>| map.get(&peer).copied().unwrap_or_default();
        (count(&seen.direct), count(&seen.relayed))
    }

    /// A fresh round trip, in milliseconds.
    ///
    /// # Errors
    /// If there is none within 20 s.
    pub async fn ping(&self, peer: PeerId) -> Result<f64, String> {
        self.seen.borrow_mut().rtt.remove(&peer);
        let rtt = self.until(|seen| seen.rtt.get(&peer).copied()).await?;
        Ok(rtt.as_secs_f64() * 1000.0)
    }

    /// Sends random bytes through the echo and compares.
    ///
    /// # Errors
    /// If the stream fails.
    pub async fn echo(&self, peer: PeerId, size: usize) -> Result<bool, String> {
        let stream = self
            .control
            .clone()
            .open_stream(peer, ECHO)
            .await
            .map_err(text)?;
        let sent = bytes(size);
        let (mut reader, mut writer) = stream.split();
        let mut back = Vec::with_capacity(size);
        let writing = async {
            writer.write_all(&sent).await?;
            writer.close().await
        };
        let reading = reader.read_to_end(&mut back);
        futures::future::try_join(writing, reading)
            .await
            .map_err(text)?;
        Ok(back == sent)
    }

    /// Writes, closes our half, then reads the answer of a sink.
    ///
    /// # Errors
    /// If the stream fails.
    pub async fn into_sink(&self, peer: PeerId, size: usize, slow: bool) -> Result<bool, String> {
        let protocol = if slow { SLOW_SINK } else { SINK };
        let mut stream = self
            .control
            .clone()
            .open_stream(peer, protocol)
            .await
            .map_err(text)?;
        let sent = bytes(size);
        stream.write_all(&sent).await.map_err(text)?;
        stream.close().await.map_err(text)?;
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).await.map_err(text)?;
        Ok(answer == verdict(sent.len() as u64, sum(0, &sent)))
    }

    /// Data channels open in this page now.
    pub fn streams(&self) -> usize {
        webrtc::rtc::web::open_channels()
    }

    /// Ends.
    pub fn stop(&self) {
        self.stop.borrow_mut().take();
    }

    async fn until<T>(&self, ready: impl Fn(&Seen) -> Option<T>) -> Result<T, String> {
        for _ in 0..400 {
            if let Some(value) = ready(&self.seen.borrow()) {
                return Ok(value);
            }
            rt::sleep(Duration::from_millis(50)).await;
        }
        Err("nothing within 20 s".into())
    }
}

async fn drive(
    mut swarm: Swarm<Behaviour>,
    mut wanted: mpsc::Receiver<(PeerId, Multiaddr)>,
    mut stopped: oneshot::Receiver<()>,
    seen: Rc<RefCell<Seen>>,
) {
    loop {
        select! {
            _ = stopped => return,
            dial = wanted.select_next_some() => {
                let (peer, address) = dial;
                let opts = DialOpts::peer_id(peer).addresses(vec![address]).condition(PeerCondition::Always).build();
                if let Err(error) = swarm.dial(opts) {
                    seen.borrow_mut().dial_error = Some(error.to_string());
                }
            }
            event = swarm.select_next_some() => note(&mut seen.borrow_mut(), event),
        }
    }
}

fn note(seen: &mut Seen, event: SwarmEvent<BehaviourEvent>) {
    match event {
        SwarmEvent::ConnectionEstablished {
            peer_id, endpoint, ..
        } => {
            let map = if webrtc::is_relayed(&endpoint) {
                &mut seen.relayed
            } else {
                &mut seen.direct
            };
            *map.entry(peer_id).or_default() += 1;
        }
        SwarmEvent::ConnectionClosed {
            peer_id, endpoint, ..
        } => {
            let map = if webrtc::is_relayed(&endpoint) {
                &mut seen.relayed
            } else {
                &mut seen.direct
            };
            if let Some(count) = map.get_mut(&peer_id) {
                *count -= 1;
            }
            map.retain(|_, count| *count > 0);
        }
        SwarmEvent::ExternalAddrConfirmed { address }
            if address.iter().any(|part| part == Protocol::WebRTC) =>
        {
            seen.listening = Some(address);
        }
        SwarmEvent::OutgoingConnectionError { error, .. } => {
            seen.dial_error = Some(error.to_string())
        }
        SwarmEvent::Behaviour(BehaviourEvent::Ping(ping::Event {
            peer,
            result: Ok(rtt),
            ..
        })) => {
            seen.rtt.insert(peer, rtt);
        }
        _ => {}
    }
}

fn serve<F>(mut incoming: libp2p_stream::IncomingStreams, answer: impl Fn(Stream) -> F + 'static)
where
    F: Future<Output = std::io::Result<()>> + 'static,
{
    rt::spawn(async move {
        while let Some((_, stream)) = incoming.next().await {
            let answering = answer(stream);
            rt::spawn(async move {
                if let Err(error) = answering.await {
                    rt::warning!(error = error, "interop stream");
                }
            });
        }
    });
}

async fn echo_back(stream: Stream) -> std::io::Result<()> {
    let (reader, mut writer) = stream.split();
    futures::io::copy(reader, &mut writer).await?;
    writer.close().await
}

async fn sink(mut stream: Stream, slow: bool) -> std::io::Result<()> {
    let mut buffer = vec![0; REST_AFTER];
    let (mut count, mut running, mut since_rest) = (0, 0, 0);
    loop {
        let read = stream.read(&mut buffer).await?;
        if read == 0 {
            break;
        }
        count += read as u64;
        running = sum(running, &buffer[..read]);
        since_rest += read;
        if slow && since_rest >= REST_AFTER {
            since_rest = 0;
            rt::sleep(REST).await;
        }
    }
    stream.write_all(&verdict(count, running)).await?;
    stream.close().await
}

fn sum(start: u32, bytes: &[u8]) -> u32 {
    bytes.iter().fold(start, |sum, byte| {
        sum.wrapping_mul(31).wrapping_add(u32::from(*byte))
    })
}

fn verdict(count: u64, sum: u32) -> Vec<u8> {
    [&count.to_be_bytes()[..], &sum.to_be_bytes()[..]].concat()
}

fn bytes(size: usize) -> Vec<u8> {
    let start: [u8; 1024] = rt::random();
    start.iter().copied().cycle().take(size).collect()
}

fn text(error: impl std::fmt::Display) -> String {
    error.to_string()
}
