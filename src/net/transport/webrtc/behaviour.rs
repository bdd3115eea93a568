//! The libp2p behaviour: gets signalling streams for the transport's dials and hands over those that remotes open.
//!
//! For a dial it reuses a relayed connection to the target or dials exactly the circuit address at hand, whatever other
//! connections there are, and opens the stream on that very connection. It admits a bounded number of handshakes, holds
//! failed pairs back, closes relayed connections that have done their work, and keeps one of two crossing connections.
//!
//! While the relay client has a reservation it announces the `/webrtc` form of the circuit address as an external address.

use std::{
    collections::VecDeque,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use futures::{
    FutureExt, StreamExt,
    channel::{mpsc, oneshot},
    future::BoxFuture,
    stream::{BoxStream, FuturesUnordered},
};
use futures_timer::Delay;
use libp2p::{
    Multiaddr, PeerId,
    core::{ConnectedPoint, Endpoint, multiaddr::Protocol, transport::PortUse},
    swarm::{
        CloseConnection, ConnectionDenied, ConnectionId, DialError, DialFailure, FromSwarm,
        NetworkBehaviour, NotifyHandler, Stream, THandler, THandlerInEvent, THandlerOutEvent,
        ToSwarm,
        dial_opts::{DialOpts, PeerCondition},
    },
};
use web_time::Instant;

use crate::net::causes;
use crate::proto::ordered::{Map, Set};
use crate::rt;

use super::{
    addr::{self, WebRtcAddr},
    backoff::Backoff,
    config::Config,
    error::UpgradeError,
    handler::{Handler, Open, Opened, Reply},
    links::Links,
    transport::{Inbound, OpenRequest},
};

/// What became of an attempt to connect directly.
#[derive(Debug, Clone)]
pub enum Event {
    /// A direct connection is up.
    Upgraded {
        /// The peer at the other end.
        peer: PeerId,
        /// Whether we dialled.
        outbound: bool,
    },
    /// A remote has begun an attempt.
    Offered {
        /// The peer at the other end.
        peer: PeerId,
    },
    /// The path of a direct connection is lost; it may come back, and ends if it does not soon.
    Shaky {
        /// The peer at the other end.
        peer: PeerId,
    },
    /// The path is back.
    Steady {
        /// The peer at the other end.
        peer: PeerId,
    },
    /// The machine has (again) a network, which may be another one. Failures of pairs are forgotten.
    NetworkChanged,
    /// An attempt failed; [`Behaviour::next_attempt`] says when the pair may be tried again.
    Failed {
        /// The peer at the other end.
        peer: PeerId,
        /// Whether we dialled.
        outbound: bool,
        /// Why, fit to be shown.
        reason: UpgradeError,
    },
}

/// The behaviour of the `/webrtc` transport; made by [`new`](super::new) together with it.
pub struct Behaviour {
    config: Arc<Config>,
    from_transport: mpsc::Receiver<OpenRequest>,
    to_transport: mpsc::Sender<Inbound>,
    health: mpsc::Receiver<(PeerId, bool)>,
    changes: BoxStream<'static, ()>,
    attempts: Map<AttemptId, Attempt>,
    /// When the inbound attempts of the last minute began.
    arrivals: VecDeque<Instant>,
    outcomes: FuturesUnordered<BoxFuture<'static, (AttemptId, Outcome)>>,
    next_id: AttemptId,
    /// Circuits that we are dialling; as many as attempts at most.
    dials: Set<ConnectionId>,
    links: Links,
    backoff: Backoff,
    queue: VecDeque<ToSwarm<Event, Open>>,
    timer: Option<(Instant, Delay)>,
}

type AttemptId = u64;

/// `None` when the attempt was given up.
type Outcome = Option<Result<(), UpgradeError>>;

#[derive(Debug)]
struct Attempt {
    peer: PeerId,
    outbound: bool,
    /// The connection that the signalling stream is on, or will be once it is up.
    circuit: ConnectionId,
    /// Who waits for the circuit.
    reply: Option<Reply>,
}

impl Behaviour {
    pub(super) fn new(
        config: Arc<Config>,
        from_transport: mpsc::Receiver<OpenRequest>,
        to_transport: mpsc::Sender<Inbound>,
        health: mpsc::Receiver<(PeerId, bool)>,
        changes: BoxStream<'static, ()>,
    ) -> Self {
        Self {
            from_transport,
            to_transport,
            health,
            changes,
            attempts: Map::new(),
            arrivals: VecDeque::new(),
            outcomes: FuturesUnordered::new(),
            next_id: 0,
            dials: Set::new(),
            links: Links::new(
                config.local_peer_id,
                config.circuit_idle,
                config.circuit_linger,
                config.glare_delay,
                config.handshake_timeout,
            ),
            backoff: Backoff::new(config.backoff_base, config.backoff_cap),
            queue: VecDeque::new(),
            timer: None,
            config,
        }
    }

    /// When a pair that failed may be dialled again; `None` when it may be now. Dials before are refused.
    pub fn next_attempt(&self, peer: &PeerId) -> Option<Instant> {
        self.backoff.next(peer, Instant::now())
    }

    /// Lets a pair that failed be dialled again at once, because the user asks or the network has changed.
    pub fn forget_failures(&mut self, peer: &PeerId) {
        self.backoff.clear(peer);
    }

    /// Leaves circuits to this peer alone while there is no direct connection, because they carry more than signalling. The
    /// caller bounds how many peers it says this of.
    pub fn spare_circuits(&mut self, peer: PeerId, spared: bool) {
        self.links.spare(peer, spared);
    }

    /// Handshakes that are under way.
    pub fn handshakes(&self) -> usize {
        self.attempts.len()
    }

    /// Whether a direct connection to the peer is up.
    pub fn is_direct(&self, peer: &PeerId) -> bool {
        self.links.is_direct(peer)
    }

    fn count(&self, outbound: bool) -> usize {
        let same = |attempt: &&Attempt| attempt.outbound == outbound;
        self.attempts.values().filter(same).count()
    }

    fn is_trying(&self, peer: &PeerId, outbound: bool) -> bool {
        self.attempts
            .values()
            .any(|a| a.peer == *peer && a.outbound == outbound)
    }

    fn on_request(&mut self, request: OpenRequest) {
        let OpenRequest { addr, reply, done } = request;
        let WebRtcAddr { circuit, target } = addr;
        if reply.is_canceled() {
            return;
        }
        let now = Instant::now();
        let refusal = match self.backoff.next(&target, now) {
            Some(next) => Some(UpgradeError::BackOff { wait: next - now }),
            None if self.count(true) >= self.config.max_outbound => Some(UpgradeError::Busy),
            None => None,
        };
        if let Some(refusal) = refusal {
            let _ = reply.send(Err(refusal));
            return;
        }
        let (circuit, reply) = match self.links.circuit_to(&target) {
            Some(id) => {
                self.open(target, id, reply);
                (id, None)
            }
            None => {
                // A connection to the peer must not stop us, and neither must the dial that this is part of.
                let opts = DialOpts::peer_id(target)
                    .condition(PeerCondition::Always)
                    .addresses(vec![circuit])
                    .build();
                let id = opts.connection_id();
                self.dials.insert(id);
                self.queue.push_back(ToSwarm::Dial { opts });
                (id, Some(reply))
            }
        };
        self.begin(
            Attempt {
                peer: target,
                outbound: true,
                circuit,
                reply,
            },
            done,
        );
    }

    fn on_inbound(&mut self, peer: PeerId, circuit: ConnectionId, stream: Stream) {
        let now = Instant::now();
        while self.arrivals.front().is_some_and(|at| now - *at >= MINUTE) {
            self.arrivals.pop_front();
        }
        if self.count(false) >= self.config.max_inbound
            || self.arrivals.len() >= self.config.inbound_per_minute
            || self.is_trying(&peer, false)
        {
            tracing::debug!(%peer, "inbound handshake refused: limit reached");
            return;
        }
        let (done, on_done) = oneshot::channel();
        // The queue has room for as many as are admitted.
        if let Err(error) = self.to_transport.try_send(Inbound { peer, stream, done }) {
            tracing::debug!(%peer, %error, "inbound handshake refused");
            return;
        }
        self.arrivals.push_back(now);
        self.queue
            .push_back(ToSwarm::GenerateEvent(Event::Offered { peer }));
        self.begin(
            Attempt {
                peer,
                outbound: false,
                circuit,
                reply: None,
            },
            on_done,
        );
    }

    fn begin(&mut self, attempt: Attempt, done: oneshot::Receiver<Result<(), UpgradeError>>) {
        let id = self.next_id;
        self.next_id += 1;
        if attempt.reply.is_none() {
            self.links.hold(attempt.circuit);
        }
        if self.is_trying(&attempt.peer, !attempt.outbound) {
            self.links.crossed(attempt.peer, Instant::now());
        }
        self.attempts.insert(id, attempt);
        self.outcomes.push(done.map(move |r| (id, r.ok())).boxed());
    }

    fn open(&mut self, peer_id: PeerId, circuit: ConnectionId, reply: Reply) {
        self.queue.push_back(ToSwarm::NotifyHandler {
            peer_id,
            handler: NotifyHandler::One(circuit),
            event: Open(reply),
        });
    }

    fn on_outcome(&mut self, id: AttemptId, outcome: Outcome) {
        let Some(attempt) = self.attempts.remove(&id) else {
            return;
        };
        let now = Instant::now();
        let Attempt { peer, outbound, .. } = attempt;
        if attempt.reply.is_none() {
            self.links.release(attempt.circuit, now);
        }
        match outcome {
            // Given up: mostly because another address of the same dial was faster.
            Some(Ok(())) | None => {}
            // Another address of the same dial may still succeed.
            Some(Err(_)) if self.is_trying(&peer, outbound) => {}
            Some(Err(reason)) => {
                self.links.uncrossed(&peer);
                if !self.links.is_direct(&peer) && reason.is_held_against_pair(outbound) {
                    self.backoff.fail(peer, now, jitter());
                }
                tracing::debug!(%peer, outbound, %reason, "no direct connection");
                self.queue.push_back(ToSwarm::GenerateEvent(Event::Failed {
                    peer,
                    outbound,
                    reason,
                }));
            }
        }
    }

    fn on_established(&mut self, peer: PeerId, id: ConnectionId, endpoint: &ConnectedPoint) {
        let now = Instant::now();
        if addr::is_relayed(endpoint) {
            let foreign = endpoint.is_dialer() && !self.dials.remove(&id);
            let waiting: Vec<Reply> = self.waiting_for(id).collect();
            self.links.circuit_up(id, peer, foreign, now);
            for reply in waiting {
                self.links.hold(id);
                self.open(peer, id, reply);
            }
        } else if addr::is_webrtc(endpoint) {
            self.backoff.clear(&peer);
            let outbound = endpoint.is_dialer();
            self.links.direct_up(id, peer, outbound, now);
            self.queue
                .push_back(ToSwarm::GenerateEvent(Event::Upgraded { peer, outbound }));
        }
    }

    fn on_dial_failure(&mut self, id: ConnectionId, error: &DialError) {
        if !self.dials.remove(&id) {
            return;
        }
        let mut reason = None;
        for reply in self.waiting_for(id) {
            let reason =
                reason.get_or_insert_with(|| UpgradeError::Circuit(causes::of_dial(error)));
            let _ = reply.send(Err(reason.clone()));
        }
    }

    fn waiting_for(&mut self, id: ConnectionId) -> impl Iterator<Item = Reply> {
        self.attempts
            .values_mut()
            .filter(move |attempt| attempt.circuit == id)
            .filter_map(|attempt| attempt.reply.take())
    }

    /// The `/webrtc` form of one of our own circuit addresses.
    fn own_form(&self, addr: &Multiaddr) -> Option<Multiaddr> {
        let own = Protocol::P2p(self.config.local_peer_id);
        addr::webrtc_form(addr).filter(|form| form.iter().last() == Some(own))
    }

    fn poll_links(&mut self, cx: &mut Context<'_>) -> Poll<(PeerId, ConnectionId)> {
        loop {
            if let Some(expired) = self.links.expired(Instant::now()) {
                return Poll::Ready(expired);
            }
            let Some(deadline) = self.links.deadline() else {
                self.timer = None;
                return Poll::Pending;
            };
            let timer = match &mut self.timer {
                Some((at, timer)) if *at == deadline => timer,
                _ => {
                    let wait = deadline.saturating_duration_since(Instant::now());
                    &mut self.timer.insert((deadline, Delay::new(wait))).1
                }
            };
            if timer.poll_unpin(cx).is_pending() {
                return Poll::Pending;
            }
            self.timer = None;
        }
    }
}

impl NetworkBehaviour for Behaviour {
    type ConnectionHandler = Handler;
    type ToSwarm = Event;

    fn handle_established_inbound_connection(
        &mut self,
        _: ConnectionId,
        _: PeerId,
        _: &Multiaddr,
        _: &Multiaddr,
    ) -> Result<THandler<Self>, ConnectionDenied> {
        Ok(Handler::default())
    }

    fn handle_established_outbound_connection(
        &mut self,
        _: ConnectionId,
        _: PeerId,
        _: &Multiaddr,
        _: Endpoint,
        _: PortUse,
    ) -> Result<THandler<Self>, ConnectionDenied> {
        Ok(Handler::default())
    }

    fn on_swarm_event(&mut self, event: FromSwarm) {
        match event {
            FromSwarm::ConnectionEstablished(up) => {
                self.on_established(up.peer_id, up.connection_id, up.endpoint);
            }
            FromSwarm::ConnectionClosed(down) => self.links.down(down.connection_id),
            FromSwarm::DialFailure(DialFailure {
                connection_id,
                error,
                ..
            }) => self.on_dial_failure(connection_id, error),
            FromSwarm::ExternalAddrConfirmed(confirmed) => {
                if let Some(form) = self.own_form(confirmed.addr) {
                    self.queue.push_back(ToSwarm::ExternalAddrConfirmed(form));
                }
            }
            FromSwarm::ExternalAddrExpired(expired) => {
                if let Some(form) = self.own_form(expired.addr) {
                    self.queue.push_back(ToSwarm::ExternalAddrExpired(form));
                }
            }
            _ => {}
        }
    }

    fn on_connection_handler_event(
        &mut self,
        peer: PeerId,
        connection: ConnectionId,
        Opened(stream): THandlerOutEvent<Self>,
    ) {
        self.on_inbound(peer, connection, stream);
    }

    fn poll(
        &mut self,
        cx: &mut Context<'_>,
    ) -> Poll<ToSwarm<Self::ToSwarm, THandlerInEvent<Self>>> {
        loop {
            if let Some(action) = self.queue.pop_front() {
                return Poll::Ready(action);
            }
            if let Poll::Ready(Some((id, outcome))) = self.outcomes.poll_next_unpin(cx) {
                self.on_outcome(id, outcome);
                continue;
            }
            if let Poll::Ready(Some(request)) = self.from_transport.poll_next_unpin(cx) {
                self.on_request(request);
                continue;
            }
            if let Poll::Ready(Some((peer, shaky))) = self.health.poll_next_unpin(cx) {
                self.links.shaky(&peer, shaky);
                let event = if shaky {
                    Event::Shaky { peer }
                } else {
                    Event::Steady { peer }
                };
                self.queue.push_back(ToSwarm::GenerateEvent(event));
                continue;
            }
            if let Poll::Ready(Some(())) = self.changes.poll_next_unpin(cx) {
                self.backoff.clear_all();
                self.queue
                    .push_back(ToSwarm::GenerateEvent(Event::NetworkChanged));
                continue;
            }
            return match self.poll_links(cx) {
                Poll::Ready((peer_id, id)) => Poll::Ready(ToSwarm::CloseConnection {
                    peer_id,
                    connection: CloseConnection::One(id),
                }),
                Poll::Pending => Poll::Pending,
            };
        }
    }
}

impl std::fmt::Debug for Behaviour {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Behaviour")
            .field("config", &self.config)
            .field("attempts", &self.attempts)
            .field("links", &self.links)
            .field("backoff", &self.backoff)
            .finish_non_exhaustive()
    }
}

/// From 0 to 1.
fn jitter() -> f64 {
    f64::from(u32::from_le_bytes(rt::random())) / f64::from(u32::MAX)
}

const MINUTE: Duration = Duration::from_secs(60);
