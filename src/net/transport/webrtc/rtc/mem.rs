//! An in-process backend: peer connections that meet in a [`MemNetwork`] and whose faults are its methods.
//!
//! Two peers are joined by their descriptions, which carry the number of the peer that made them, and connect as soon
//! as both have both descriptions and one of them has a candidate of the other. Nothing happens by itself: every event
//! follows from a call of a peer, a channel or the network, in its order. A message leaves the sender's buffer when the
//! receiver takes it. Only a candidate latency, where one is set, uses a clock.

use std::{
    collections::{BTreeMap, VecDeque},
    fmt,
    future::Future,
    pin::Pin,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    task::{Context, Poll, Waker},
    time::Duration,
};

use bytes::Bytes;
use futures::{
    FutureExt,
    future::{self, BoxFuture},
};
use futures_timer::Delay;

use super::{
    ChannelEvent, ConnectionState, PeerEvent, RtcChannel, RtcConfig, RtcError, RtcFactory, RtcPeer,
    SdpKind,
};

/// The network that connects the peers it makes, and the switchboard of their faults.
#[derive(Clone, Default)]
pub struct MemNetwork {
    world: Arc<Mutex<World>>,
}

impl MemNetwork {
    /// Makes a network without faults.
    pub fn new() -> Self {
        Self::default()
    }

    /// Makes two peers that are connected already.
    ///
    /// # Panics
    /// When the network refuses peers or connections.
    pub fn connected_pair(&self) -> (MemPeer, MemPeer) {
        let config = RtcConfig::default();
        let make = || self.create(&config).expect("the network accepts peers");
        let (offerer, answerer) = (make(), make());
        {
            let mut world = self.world();
            let (a, b) = (offerer.id, answerer.id);
            for (id, remote) in [(a, b), (b, a)] {
                let peer = world.peer(id);
                (peer.remote, peer.local_set, peer.got_candidate) = (Some(remote), true, true);
                peer.state = ConnectionState::Connecting;
            }
            world.try_connect(a);
            for id in [a, b] {
                let peer = world.peer(id);
                assert_eq!(
                    peer.state,
                    ConnectionState::Connected,
                    "the network connects"
                );
                peer.events.clear();
            }
        }
        (offerer, answerer)
    }

    /// Makes `create` fail as in a worker.
    pub fn set_unavailable(&self, unavailable: bool) {
        self.world().unavailable = unavailable;
    }

    /// Lets no new pair connect: they stay `Connecting`.
    pub fn set_unreachable(&self, unreachable: bool) {
        let ids = {
            let mut world = self.world();
            world.unreachable = unreachable;
            world.peers.keys().copied().collect::<Vec<_>>()
        };
        if !unreachable {
            self.change(|world| ids.into_iter().for_each(|id| world.try_connect(id)));
        }
    }

    /// Delays local candidates by `latency` after `set_local`.
    pub fn set_candidate_latency(&self, latency: Duration) {
        self.world().candidate_latency = Some(latency);
    }

    /// Holds back the `Connected` of the side that answered, while its channels and messages arrive; what was held
    /// follows when it is set to `false`.
    pub fn set_early_channels(&self, early: bool) {
        self.change(|world| {
            world.early_channels = early;
            if !early {
                for id in world.peers.keys().copied().collect::<Vec<_>>() {
                    if std::mem::take(&mut world.peer(id).connected_held) {
                        world.set_state(id, ConnectionState::Connected);
                    }
                }
            }
        });
    }

    /// Stops delivery: what is sent stays in the sender's buffer; what is held follows when it is set to `false`.
    pub fn set_held(&self, held: bool) {
        self.change(|world| {
            world.held = held;
            world.wake_all();
        });
    }

    /// Lets no peer have more than `limit` open channels.
    pub fn set_channel_limit(&self, limit: usize) {
        self.world().channel_limit = Some(limit);
    }

    /// Every connected pair loses its path: `Disconnected` on both sides, nothing is delivered.
    pub fn disconnect(&self) {
        self.set_held(true);
        self.change(|world| world.shift(ConnectionState::Connected, ConnectionState::Disconnected));
    }

    /// Every disconnected pair gets its path back, and what was held is delivered.
    pub fn recover(&self) {
        self.change(|world| world.shift(ConnectionState::Disconnected, ConnectionState::Connected));
        self.set_held(false);
    }

    /// Every pair fails for good.
    pub fn fail(&self) {
        self.change(|world| {
            for id in world.peers.keys().copied().collect::<Vec<_>>() {
                if !world.peer(id).state.is_terminal() {
                    world.set_state(id, ConnectionState::Failed);
                    world.close_channels(id);
                }
            }
        });
    }

    /// Channel ends that are neither closed nor dropped, of all peers.
    pub fn open_channels(&self) -> usize {
        self.world()
            .ends
            .values()
            .filter(|end| end.held && !end.closed)
            .count()
    }

    /// Peers that are neither closed nor dropped.
    pub fn open_peers(&self) -> usize {
        let world = self.world();
        world
            .peers
            .values()
            .filter(|peer| peer.state != ConnectionState::Closed)
            .count()
    }

    /// Messages and bytes sent so far, of all channels.
    pub fn sent(&self) -> (usize, usize) {
        self.world().sent
    }

    fn world(&self) -> MutexGuard<'_, World> {
        self.world.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Changes the world, then calls the wakers with the lock free.
    fn change<T>(&self, act: impl FnOnce(&mut World) -> T) -> T {
        let mut world = self.world();
        let result = act(&mut world);
        let wakers = std::mem::take(&mut world.wakers);
        drop(world);
        wakers.into_iter().for_each(Waker::wake);
        result
    }
}

impl RtcFactory for MemNetwork {
    type Peer = MemPeer;

    fn create(&self, _: &RtcConfig) -> Result<MemPeer, RtcError> {
        let mut world = self.world();
        if world.unavailable {
            return Err(RtcError::Unavailable);
        }
        let id = world.next_id();
        world.peers.insert(id, Peer::default());
        drop(world);
        Ok(MemPeer {
            network: self.clone(),
            id,
            candidates: None,
        })
    }
}

impl fmt::Debug for MemNetwork {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MemNetwork")
            .field("open_channels", &self.open_channels())
            .finish()
    }
}

/// One end of a connection in a [`MemNetwork`].
#[derive(Debug)]
pub struct MemPeer {
    network: MemNetwork,
    id: u64,
    /// Fires when local candidates appear.
    candidates: Option<Delay>,
}

impl RtcPeer for MemPeer {
    type Channel = MemChannel;

    fn open_channel(&mut self, label: &str) -> Result<MemChannel, RtcError> {
        let id = self
            .network
            .change(|world| world.open_channel(self.id, label))?;
        Ok(MemChannel {
            network: self.network.clone(),
            id,
            label: label.to_owned(),
        })
    }

    fn create_offer(&mut self) -> BoxFuture<'static, Result<String, RtcError>> {
        future::ready(Ok(format!("{SDP_PREFIX}offer:{}", self.id))).boxed()
    }

    fn create_answer(&mut self) -> BoxFuture<'static, Result<String, RtcError>> {
        let result = match self.network.world().peer(self.id).remote {
            Some(_) => Ok(format!("{SDP_PREFIX}answer:{}", self.id)),
            None => Err(RtcError::Platform("there is no offer to answer".into())),
        };
        future::ready(result).boxed()
    }

    fn set_local(&mut self, _: SdpKind, _: String) -> BoxFuture<'static, Result<(), RtcError>> {
        let result = self.network.change(|world| world.set_local(self.id));
        if let Ok(Some(latency)) = result {
            self.candidates = Some(Delay::new(latency));
        }
        future::ready(result.map(drop)).boxed()
    }

    fn set_remote(
        &mut self,
        kind: SdpKind,
        sdp: String,
    ) -> BoxFuture<'static, Result<(), RtcError>> {
        future::ready(
            self.network
                .change(|world| world.set_remote(self.id, kind, &sdp)),
        )
        .boxed()
    }

    fn add_candidate(
        &mut self,
        candidate: Option<String>,
    ) -> BoxFuture<'static, Result<(), RtcError>> {
        let result = self
            .network
            .change(|world| world.add_candidate(self.id, candidate));
        future::ready(result).boxed()
    }

    fn state(&self) -> ConnectionState {
        let mut world = self.network.world();
        let peer = world.peer(self.id);
        if peer.connected_held {
            ConnectionState::Connecting
        } else {
            peer.state
        }
    }

    fn poll_event(
        &mut self,
        cx: &mut Context<'_>,
    ) -> Poll<Result<PeerEvent<MemChannel>, RtcError>> {
        if let Some(delay) = &mut self.candidates
            && Pin::new(delay).poll(cx).is_ready()
        {
            self.candidates = None;
            self.network.change(|world| world.gather(self.id));
        }
        let mut world = self.network.world();
        let peer = world.peer(self.id);
        let Some(event) = peer.events.pop_front() else {
            peer.waker = Some(cx.waker().clone());
            return Poll::Pending;
        };
        Poll::Ready(Ok(match event {
            Event::Candidate(candidate) => PeerEvent::Candidate(candidate),
            Event::State(state) => PeerEvent::State(state),
            Event::Channel { id, label } => {
                drop(world);
                PeerEvent::Channel(MemChannel {
                    network: self.network.clone(),
                    id,
                    label,
                })
            }
        }))
    }

    fn close(&mut self) {
        self.network.change(|world| world.close_peer(self.id));
    }
}

impl Drop for MemPeer {
    fn drop(&mut self) {
        self.network.change(|world| {
            world.close_peer(self.id);
            for event in std::mem::take(&mut world.peer(self.id).events) {
                if let Event::Channel { id, .. } = event {
                    world.let_go(id);
                }
            }
        });
    }
}

/// One end of a channel in a [`MemNetwork`].
#[derive(Debug)]
pub struct MemChannel {
    network: MemNetwork,
    id: u64,
    label: String,
}

impl MemChannel {
    /// Closes both ends now; what was sent and not taken is lost.
    pub fn abort(&mut self) {
        self.network.change(|world| {
            world.abort_channel(self.id);
            world.end(self.id).inbox.clear();
            world.end(self.id ^ 1).inbox.clear();
        });
    }
}

impl RtcChannel for MemChannel {
    fn label(&self) -> &str {
        &self.label
    }

    fn send(&mut self, message: &[u8]) -> Result<(), RtcError> {
        self.network.change(|world| world.send(self.id, message))
    }

    fn buffered_amount(&self) -> usize {
        self.network.world().end(self.id).buffered
    }

    fn set_low_threshold(&mut self, bytes: usize) {
        self.network.world().end(self.id).low_threshold = bytes;
    }

    fn poll_event(&mut self, cx: &mut Context<'_>) -> Poll<ChannelEvent> {
        self.network.change(|world| world.poll_channel(self.id, cx))
    }

    fn close(&mut self) {
        self.network.change(|world| world.close_channel(self.id));
    }
}

impl Drop for MemChannel {
    fn drop(&mut self) {
        self.network.change(|world| {
            world.close_channel(self.id);
            world.let_go(self.id);
        });
    }
}

#[derive(Default)]
struct World {
    ids: u64,
    peers: BTreeMap<u64, Peer>,
    ends: BTreeMap<u64, End>,
    wakers: Vec<Waker>,
    sent: (usize, usize),
    unavailable: bool,
    unreachable: bool,
    early_channels: bool,
    held: bool,
    candidate_latency: Option<Duration>,
    channel_limit: Option<usize>,
}

struct Peer {
    state: ConnectionState,
    remote: Option<u64>,
    local_set: bool,
    answers: bool,
    got_candidate: bool,
    /// Connected, but not told so yet.
    connected_held: bool,
    events: VecDeque<Event>,
    waker: Option<Waker>,
}

impl Default for Peer {
    fn default() -> Self {
        Self {
            state: ConnectionState::New,
            remote: None,
            local_set: false,
            answers: false,
            got_candidate: false,
            connected_held: false,
            events: VecDeque::new(),
            waker: None,
        }
    }
}

enum Event {
    Candidate(Option<String>),
    State(ConnectionState),
    Channel { id: u64, label: String },
}

/// One end of a channel; its twin has the number with the lowest bit flipped.
struct End {
    peer: u64,
    label: String,
    /// `Open` is due or was given.
    open: bool,
    open_due: bool,
    low_due: bool,
    closed_due: bool,
    /// No more is sent from here.
    closing: bool,
    closed: bool,
    /// Somebody has the handle.
    held: bool,
    /// Messages on their way to this end.
    inbox: VecDeque<Bytes>,
    /// Bytes on their way from this end.
    buffered: usize,
    low_threshold: usize,
    waker: Option<Waker>,
}

impl World {
    fn next_id(&mut self) -> u64 {
        self.ids += 2;
        self.ids
    }

    fn peer(&mut self, id: u64) -> &mut Peer {
        self.peers.entry(id).or_default()
    }

    fn end(&mut self, id: u64) -> &mut End {
        self.ends
            .get_mut(&id)
            .expect("an end stays while its handle or its twin's does")
    }

    fn post(&mut self, id: u64, event: Event) {
        let peer = self.peer(id);
        peer.events.push_back(event);
        let waker = peer.waker.take();
        self.wakers.extend(waker);
    }

    fn wake_end(&mut self, id: u64) {
        let waker = self.end(id).waker.take();
        self.wakers.extend(waker);
    }

    fn wake_all(&mut self) {
        for id in self.ends.keys().copied().collect::<Vec<_>>() {
            self.wake_end(id);
        }
    }

    fn set_state(&mut self, id: u64, state: ConnectionState) {
        self.peer(id).state = state;
        self.post(id, Event::State(state));
    }

    fn shift(&mut self, from: ConnectionState, to: ConnectionState) {
        for id in self.peers.keys().copied().collect::<Vec<_>>() {
            if self.peer(id).state == from {
                self.set_state(id, to);
            }
        }
    }

    fn gather(&mut self, id: u64) {
        let candidate = format!("{{\"candidate\":\"{CANDIDATE_PREFIX}{id}\",\"sdpMid\":\"0\"}}");
        self.post(id, Event::Candidate(Some(candidate)));
        self.post(id, Event::Candidate(None));
    }

    /// Returns after how long the candidates appear, when it is not at once.
    fn set_local(&mut self, id: u64) -> Result<Option<Duration>, RtcError> {
        let peer = self.peer(id);
        if peer.state.is_terminal() {
            return Err(RtcError::Closed);
        }
        peer.local_set = true;
        self.set_state(id, ConnectionState::Connecting);
        self.try_connect(id);
        if self.candidate_latency.is_none() {
            self.gather(id);
        }
        Ok(self.candidate_latency)
    }

    fn set_remote(&mut self, id: u64, kind: SdpKind, sdp: &str) -> Result<(), RtcError> {
        let name = match kind {
            SdpKind::Offer => "offer:",
            SdpKind::Answer => "answer:",
        };
        let remote = sdp
            .strip_prefix(SDP_PREFIX)
            .and_then(|rest| rest.strip_prefix(name))
            .and_then(|id| id.parse().ok())
            .filter(|remote| self.peers.contains_key(remote))
            .ok_or_else(|| RtcError::Platform("not a description of this network".into()))?;
        let peer = self.peer(id);
        peer.remote = Some(remote);
        peer.answers = kind == SdpKind::Offer;
        self.try_connect(id);
        Ok(())
    }

    fn add_candidate(&mut self, id: u64, candidate: Option<String>) -> Result<(), RtcError> {
        let remote = self
            .peer(id)
            .remote
            .ok_or_else(|| RtcError::Platform("a candidate before the description".into()))?;
        if let Some(candidate) = candidate {
            if !candidate.contains(&format!("\"{CANDIDATE_PREFIX}{remote}\"")) {
                return Err(RtcError::Platform("not a candidate of the remote".into()));
            }
            self.peer(id).got_candidate = true;
            self.try_connect(id);
        }
        Ok(())
    }

    fn try_connect(&mut self, id: u64) {
        let Some(remote) = self.peer(id).remote else {
            return;
        };
        let joined = self.peer(remote).remote == Some(id);
        let ready = |peer: &Peer| peer.local_set && peer.state == ConnectionState::Connecting;
        let both = ready(self.peer(id)) && ready(self.peer(remote));
        let path = self.peer(id).got_candidate || self.peer(remote).got_candidate;
        if !joined || !both || !path || self.unreachable {
            return;
        }
        for id in [id, remote] {
            if self.early_channels && self.peer(id).answers {
                let peer = self.peer(id);
                (peer.state, peer.connected_held) = (ConnectionState::Connected, true);
            } else {
                self.set_state(id, ConnectionState::Connected);
            }
        }
        // Channels that were opened before there was a connection.
        let waiting = self
            .ends
            .iter()
            .filter(|(_, end)| end.held && !end.open && !end.closed);
        let waiting = waiting.map(|(&id, end)| (id, end.peer)).collect::<Vec<_>>();
        for (end, peer) in waiting {
            if peer == id || peer == remote {
                self.connect_channel(end);
            }
        }
    }

    fn open_channel(&mut self, peer: u64, label: &str) -> Result<u64, RtcError> {
        if self.peer(peer).state.is_terminal() {
            return Err(RtcError::Closed);
        }
        let open = self
            .ends
            .values()
            .filter(|end| end.peer == peer && end.held && !end.closed);
        if self
            .channel_limit
            .is_some_and(|limit| open.count() >= limit)
        {
            return Err(RtcError::Platform(
                "OperationError: no identifier is free".into(),
            ));
        }
        let id = self.next_id();
        for (id, peer, held) in [(id, peer, true), (id ^ 1, 0, false)] {
            let end = End {
                peer,
                label: label.to_owned(),
                open: false,
                open_due: false,
                low_due: false,
                closed_due: false,
                closing: false,
                closed: false,
                held,
                inbox: VecDeque::new(),
                buffered: 0,
                low_threshold: 0,
                waker: None,
            };
            self.ends.insert(id, end);
        }
        let state = self.peer(peer).state;
        if matches!(
            state,
            ConnectionState::Connected | ConnectionState::Disconnected
        ) {
            self.connect_channel(id);
        }
        Ok(id)
    }

    fn connect_channel(&mut self, id: u64) {
        let peer = self.end(id).peer;
        let Some(remote) = self.peer(peer).remote else {
            return;
        };
        let label = self.end(id).label.clone();
        let twin = self.end(id ^ 1);
        (twin.peer, twin.held) = (remote, true);
        for id in [id, id ^ 1] {
            let end = self.end(id);
            (end.open, end.open_due) = (true, true);
            self.wake_end(id);
        }
        self.post(remote, Event::Channel { id: id ^ 1, label });
    }

    fn send(&mut self, id: u64, message: &[u8]) -> Result<(), RtcError> {
        let end = self.end(id);
        if !end.open || end.closing || end.closed {
            return Err(RtcError::Closed);
        }
        if end.buffered + message.len() > MAX_BUFFERED {
            return Err(RtcError::Overflow("send buffer"));
        }
        end.buffered += message.len();
        self.end(id ^ 1)
            .inbox
            .push_back(Bytes::copy_from_slice(message));
        self.sent = (self.sent.0 + 1, self.sent.1 + message.len());
        self.wake_end(id ^ 1);
        Ok(())
    }

    fn poll_channel(&mut self, id: u64, cx: &mut Context<'_>) -> Poll<ChannelEvent> {
        let held = self.held;
        let end = self.end(id);
        if std::mem::take(&mut end.open_due) {
            return Poll::Ready(ChannelEvent::Open);
        }
        if std::mem::take(&mut end.low_due) {
            return Poll::Ready(ChannelEvent::BufferedAmountLow);
        }
        if !held && let Some(message) = end.inbox.pop_front() {
            self.delivered(id ^ 1, message.len());
            return Poll::Ready(ChannelEvent::Message(message));
        }
        if std::mem::take(&mut end.closed_due) {
            return Poll::Ready(ChannelEvent::Closed);
        }
        end.waker = Some(cx.waker().clone());
        Poll::Pending
    }

    /// `bytes` have left the end `id`.
    fn delivered(&mut self, id: u64, bytes: usize) {
        let end = self.end(id);
        let before = end.buffered;
        end.buffered = end.buffered.saturating_sub(bytes);
        end.low_due |= before > end.low_threshold && end.buffered <= end.low_threshold;
        self.wake_end(id);
        self.finish_close(id);
    }

    fn close_channel(&mut self, id: u64) {
        self.end(id).closing = true;
        self.finish_close(id);
    }

    /// A closing end is closed, and its twin with it, when all that it sent is delivered.
    fn finish_close(&mut self, id: u64) {
        let end = self.end(id);
        if !end.closing || end.closed || (end.buffered > 0 && end.open) {
            return;
        }
        self.abort_channel(id);
    }

    fn abort_channel(&mut self, id: u64) {
        for id in [id, id ^ 1] {
            let end = self.end(id);
            if !end.closed {
                (end.closing, end.closed, end.closed_due, end.buffered) = (true, true, true, 0);
                self.wake_end(id);
            }
        }
    }

    fn close_channels(&mut self, peer: u64) {
        let ends = self.ends.iter().filter(|(_, end)| end.peer == peer);
        for id in ends.map(|(&id, _)| id).collect::<Vec<_>>() {
            self.abort_channel(id);
        }
    }

    /// The handle of `id` is gone; forgets the channel when that of its twin is, too.
    fn let_go(&mut self, id: u64) {
        self.end(id).held = false;
        let kept = |end: &End| end.held;
        if !self.ends.get(&id).is_some_and(kept) && !self.ends.get(&(id ^ 1)).is_some_and(kept) {
            self.ends.remove(&id);
            self.ends.remove(&(id ^ 1));
        }
    }

    fn close_peer(&mut self, id: u64) {
        if self.peer(id).state == ConnectionState::Closed {
            return;
        }
        let remote = self.peer(id).remote;
        self.close_channels(id);
        self.peer(id).state = ConnectionState::Closed;
        if let Some(remote) = remote
            && self.peer(remote).remote == Some(id)
            && !self.peer(remote).state.is_terminal()
            && self.peer(remote).state != ConnectionState::Connecting
        {
            self.set_state(remote, ConnectionState::Failed);
        }
    }
}

/// What a description of this network starts with.
const SDP_PREFIX: &str = "v=0 mem:";
/// What a candidate of this network starts with.
const CANDIDATE_PREFIX: &str = "mem:";
/// Bytes that a channel takes before `send` fails: what Chromium takes.
const MAX_BUFFERED: usize = 16 * 1024 * 1024;

#[cfg(all(test, not(target_arch = "wasm32")))]
mod tests {
    #![allow(clippy::unwrap_used)]

    use futures::{executor::block_on, task::noop_waker};

    use super::*;

    fn events(peer: &mut MemPeer) -> Vec<PeerEvent<MemChannel>> {
        let waker = noop_waker();
        let mut cx = Context::from_waker(&waker);
        std::iter::from_fn(|| match peer.poll_event(&mut cx) {
            Poll::Ready(event) => Some(event.unwrap()),
            Poll::Pending => None,
        })
        .collect()
    }

    fn channel_events(channel: &mut MemChannel) -> Vec<ChannelEvent> {
        let waker = noop_waker();
        let mut cx = Context::from_waker(&waker);
        std::iter::from_fn(|| match channel.poll_event(&mut cx) {
            Poll::Ready(event) => Some(event),
            Poll::Pending => None,
        })
        .collect()
    }

    /// Exchanges descriptions; returns the candidate of the answerer.
    fn exchange(a: &mut MemPeer, b: &mut MemPeer) -> String {
        block_on(async {
            let offer = a.create_offer().await.unwrap();
            a.set_local(SdpKind::Offer, offer.clone()).await.unwrap();
            b.set_remote(SdpKind::Offer, offer).await.unwrap();
            let answer = b.create_answer().await.unwrap();
            b.set_local(SdpKind::Answer, answer.clone()).await.unwrap();
            a.set_remote(SdpKind::Answer, answer).await.unwrap();
        });
        let candidates = events(b).into_iter().filter_map(|event| match event {
            PeerEvent::Candidate(candidate) => candidate,
            PeerEvent::State(_) | PeerEvent::Channel(_) => None,
        });
        candidates.last().unwrap()
    }

    fn create(network: &MemNetwork) -> MemPeer {
        network.create(&RtcConfig::default()).unwrap()
    }

    #[test]
    fn descriptions_and_one_candidate_connect() {
        let network = MemNetwork::new();
        let (mut a, mut b) = (create(&network), create(&network));
        let mut init = a.open_channel("init").unwrap();
        let candidate = exchange(&mut a, &mut b);
        assert_eq!(a.state(), ConnectionState::Connecting);
        block_on(a.add_candidate(Some(candidate))).unwrap();
        assert_eq!(a.state(), ConnectionState::Connected);
        assert_eq!(channel_events(&mut init), [ChannelEvent::Open]);
        let events = events(&mut b);
        let [
            PeerEvent::State(ConnectionState::Connected),
            PeerEvent::Channel(remote),
        ] = &events[..]
        else {
            panic!("{events:?}");
        };
        assert_eq!(remote.label(), "init");
    }

    #[test]
    fn nonsense_is_refused() {
        let network = MemNetwork::new();
        let (mut a, mut b) = (create(&network), create(&network));
        assert!(block_on(a.create_answer()).is_err());
        assert!(block_on(a.set_remote(SdpKind::Offer, "v=0".into())).is_err());
        assert!(
            block_on(a.add_candidate(None)).is_err(),
            "before the description"
        );
        exchange(&mut a, &mut b);
        assert!(block_on(a.add_candidate(Some("{}".into()))).is_err());
        a.close();
        assert!(matches!(a.open_channel(""), Err(RtcError::Closed)));
        network.set_unavailable(true);
        assert!(matches!(
            network.create(&RtcConfig::default()),
            Err(RtcError::Unavailable)
        ));
    }

    #[test]
    fn an_unreachable_pair_connects_when_there_is_a_path() {
        let network = MemNetwork::new();
        network.set_unreachable(true);
        let (mut a, mut b) = (create(&network), create(&network));
        let candidate = exchange(&mut a, &mut b);
        block_on(a.add_candidate(Some(candidate))).unwrap();
        assert_eq!(b.state(), ConnectionState::Connecting);
        network.set_unreachable(false);
        assert_eq!(b.state(), ConnectionState::Connected);
    }

    #[test]
    fn candidates_take_their_time() {
        let network = MemNetwork::new();
        network.set_candidate_latency(Duration::from_millis(20));
        let mut peer = create(&network);
        block_on(peer.set_local(SdpKind::Offer, String::new())).unwrap();
        let state = events(&mut peer);
        assert!(
            matches!(state[..], [PeerEvent::State(ConnectionState::Connecting)]),
            "{state:?}"
        );
        let event = block_on(future::poll_fn(|cx| peer.poll_event(cx))).unwrap();
        assert!(matches!(event, PeerEvent::Candidate(Some(_))), "{event:?}");
    }

    #[test]
    fn channels_and_messages_may_come_before_connected() {
        let network = MemNetwork::new();
        network.set_early_channels(true);
        let (mut a, mut b) = (create(&network), create(&network));
        let candidate = exchange(&mut a, &mut b);
        block_on(a.add_candidate(Some(candidate))).unwrap();
        let mut channel = a.open_channel("").unwrap();
        channel.send(b"early").unwrap();
        assert_eq!(b.state(), ConnectionState::Connecting);
        let mut arrived = events(&mut b);
        let Some(PeerEvent::Channel(early)) = arrived.first_mut() else {
            panic!("{arrived:?}")
        };
        let message = ChannelEvent::Message(Bytes::from_static(b"early"));
        assert_eq!(channel_events(early), [ChannelEvent::Open, message]);
        network.set_early_channels(false);
        assert_eq!(b.state(), ConnectionState::Connected);
    }

    #[test]
    fn a_closed_channel_delivers_what_was_sent() {
        let network = MemNetwork::new();
        let (mut a, mut b) = network.connected_pair();
        let mut channel = a.open_channel("").unwrap();
        channel.set_low_threshold(0);
        channel.send(b"last").unwrap();
        channel.close();
        assert!(matches!(channel.send(b"more"), Err(RtcError::Closed)));
        assert_eq!(channel_events(&mut channel), [ChannelEvent::Open]);
        let mut arrived = events(&mut b);
        let Some(PeerEvent::Channel(remote)) = arrived.first_mut() else {
            panic!("{arrived:?}")
        };
        let message = ChannelEvent::Message(Bytes::from_static(b"last"));
        assert_eq!(
            channel_events(remote),
            [ChannelEvent::Open, message, ChannelEvent::Closed]
        );
        let rest = [ChannelEvent::BufferedAmountLow, ChannelEvent::Closed];
        assert_eq!(channel_events(&mut channel), rest);
        assert_eq!(network.open_channels(), 0);
    }
}
