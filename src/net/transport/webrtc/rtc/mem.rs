//! An in-process backend: peer connections that meet in a [`MemNetwork`] and whose faults are its methods.
//!
//! Two peers are joined by their descriptions, which carry the number of the peer that made them, and connect as soon
//! as both have both descriptions and one of them has a candidate of the other. Nothing happens by itself: every event
//! follows from a call of a peer, a channel or the network, in its order. A message leaves the sender's buffer when the
//! receiver takes it. Only a candidate latency, where one is set, uses a clock.

use std::{
    fmt,
    future::Future,
    pin::Pin,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    task::{Context, Poll, Waker},
    time::Duration,
};

use futures::{
    FutureExt, StreamExt,
    channel::mpsc,
    future::{self, BoxFuture},
    stream::BoxStream,
};
use futures_timer::Delay;

use self::world::{Event, Peer, SDP_PREFIX, World};
use super::{
    ChannelEvent, ConnectionState, PeerEvent, RtcChannel, RtcConfig, RtcError, RtcFactory, RtcPeer,
    SdpKind,
};

#[cfg(all(test, not(target_arch = "wasm32")))]
mod tests;
mod world;

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

    /// Every connected pair loses its path for good, as when a machine moves to another network: `Disconnected` on both sides,
    /// nothing of them is delivered. Pairs that are made from now on are not concerned.
    pub fn cut(&self) {
        self.change(|world| {
            for peer in world.peers.values_mut() {
                peer.cut = true;
            }
            world.shift(ConnectionState::Connected, ConnectionState::Disconnected);
        });
    }

    /// Every disconnected pair gets its path back, and what was held is delivered.
    pub fn recover(&self) {
        self.change(|world| world.shift(ConnectionState::Disconnected, ConnectionState::Connected));
        self.set_held(false);
    }

    /// Tells every factory that the network is another one.
    pub fn change_network(&self) {
        let mut world = self.world();
        world
            .watchers
            .retain(|watcher| watcher.unbounded_send(()).is_ok());
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

    fn create(&self, config: &RtcConfig) -> Result<MemPeer, RtcError> {
        let mut world = self.world();
        if world.unavailable {
            return Err(RtcError::Unavailable);
        }
        let id = world.next_id();
        let peer = Peer {
            relay_only: config.relay_only.is_on(),
            ..Peer::default()
        };
        world.peers.insert(id, peer);
        drop(world);
        Ok(MemPeer {
            network: self.clone(),
            id,
            candidates: None,
        })
    }

    fn network_changes(&self) -> BoxStream<'static, ()> {
        let (watcher, changes) = mpsc::unbounded();
        self.world().watchers.push(watcher);
        changes.boxed()
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
