//! The libp2p transport: dials `/webrtc` addresses and listens on `/webrtc`.
//!
//! A transport cannot open a stream on a connection, so it asks its paired [`Behaviour`](super::behaviour::Behaviour)
//! for a signalling stream on a relayed connection to the target, and gets the remote's signalling streams from it.
//! It must stand before the relay client's transport, which takes every address with `p2p-circuit` in it.

use std::{
    collections::VecDeque,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, Waker},
};

use futures::{
    FutureExt, SinkExt, StreamExt,
    channel::{mpsc, oneshot},
    future::BoxFuture,
};
use libp2p::{
    Multiaddr, PeerId,
    core::transport::{self, DialOpts, ListenerId, TransportError, TransportEvent},
    swarm::Stream,
};

use super::{
    addr::{self, AddrError, WebRtcAddr},
    config::Config,
    error::UpgradeError,
    handler::Reply,
    handshake::{self, Progress, within},
    muxer::{Health, Muxer},
    rtc::RtcFactory,
};

/// How an attempt ended; dropped without a word when it was given up.
pub(super) type Done = oneshot::Sender<Result<(), UpgradeError>>;

/// A dial asks the behaviour for a signalling stream.
#[derive(Debug)]
pub(super) struct OpenRequest {
    pub(super) addr: WebRtcAddr,
    pub(super) reply: Reply,
    pub(super) done: oneshot::Receiver<Result<(), UpgradeError>>,
}

/// The behaviour hands over a signalling stream that the remote opened.
#[derive(Debug)]
pub(super) struct Inbound {
    pub(super) peer: PeerId,
    pub(super) stream: Stream,
    pub(super) done: Done,
}

/// The `/webrtc` transport; made by [`new`](super::new) together with its behaviour.
#[derive(Debug)]
pub struct Transport<F> {
    factory: F,
    config: Arc<Config>,
    to_behaviour: mpsc::Sender<OpenRequest>,
    from_behaviour: mpsc::Receiver<Inbound>,
    reports: mpsc::Sender<(PeerId, bool)>,
    listener: Option<ListenerId>,
    events: VecDeque<Announcement>,
    waker: Option<Waker>,
}

#[derive(Debug)]
enum Announcement {
    Listening(ListenerId),
    Closed(ListenerId),
}

impl<F: RtcFactory> Transport<F> {
    pub(super) fn new(
        config: Arc<Config>,
        factory: F,
        to_behaviour: mpsc::Sender<OpenRequest>,
        from_behaviour: mpsc::Receiver<Inbound>,
        reports: mpsc::Sender<(PeerId, bool)>,
    ) -> Self {
        Self {
            factory,
            config,
            to_behaviour,
            from_behaviour,
            reports,
            listener: None,
            events: VecDeque::new(),
            waker: None,
        }
    }

    fn announce(&mut self, announcement: Announcement) {
        self.events.push_back(announcement);
        if let Some(waker) = self.waker.take() {
            waker.wake();
        }
    }

    fn answer(
        &self,
        inbound: Inbound,
    ) -> BoxFuture<'static, Result<<Self as transport::Transport>::Output, UpgradeError>> {
        let (factory, config) = (self.factory.clone(), Arc::clone(&self.config));
        let reports = self.reports.clone();
        async move {
            let Inbound { peer, stream, done } = inbound;
            let progress = Progress::default();
            let result = within(config.handshake_timeout, &progress, async {
                Ok(handshake::answer(factory, &config, stream, &progress).await?)
            })
            .await;
            tell(done, &result);
            let up = result?;
            let muxer = Muxer::with_channels(up.peer, up.channels);
            Ok((peer, muxer.reporting(Health { peer, reports })))
        }
        .boxed()
    }
}

impl<F: RtcFactory> transport::Transport for Transport<F> {
    type Output = (PeerId, Muxer<F::Peer>);
    type Error = UpgradeError;
    type ListenerUpgrade = BoxFuture<'static, Result<Self::Output, Self::Error>>;
    type Dial = BoxFuture<'static, Result<Self::Output, Self::Error>>;

    fn listen_on(
        &mut self,
        id: ListenerId,
        addr: Multiaddr,
    ) -> Result<(), TransportError<Self::Error>> {
        if !addr::is_listen_addr(&addr) {
            return Err(TransportError::MultiaddrNotSupported(addr));
        }
        if self.listener.is_some() {
            return Err(TransportError::Other(UpgradeError::AlreadyListening));
        }
        self.listener = Some(id);
        self.announce(Announcement::Listening(id));
        Ok(())
    }

    fn remove_listener(&mut self, id: ListenerId) -> bool {
        if self.listener != Some(id) {
            return false;
        }
        self.listener = None;
        self.announce(Announcement::Closed(id));
        true
    }

    fn dial(
        &mut self,
        addr: Multiaddr,
        opts: DialOpts,
    ) -> Result<Self::Dial, TransportError<Self::Error>> {
        let target = match WebRtcAddr::parse(&addr) {
            // Hole punching asks the dialer to act as the listener; here ICE does the punching.
            Ok(_) if opts.role.is_listener() => {
                return Err(TransportError::MultiaddrNotSupported(addr));
            }
            Ok(target) => target,
            Err(AddrError::NotWebRtc) => return Err(TransportError::MultiaddrNotSupported(addr)),
            Err(error) => return Err(TransportError::Other(error.into())),
        };
        let (factory, config) = (self.factory.clone(), Arc::clone(&self.config));
        let mut to_behaviour = self.to_behaviour.clone();
        let reports = self.reports.clone();
        Ok(async move {
            let peer = target.target;
            let (done, on_done) = oneshot::channel();
            let progress = Progress::default();
            let result = within(config.handshake_timeout, &progress, async {
                let (reply, stream) = oneshot::channel();
                to_behaviour
                    .send(OpenRequest {
                        addr: target,
                        reply,
                        done: on_done,
                    })
                    .await
                    .map_err(|_| UpgradeError::BehaviourGone)?;
                // The reply is dropped with the handler of a connection that is lost.
                let stream = stream.await.map_err(|_| UpgradeError::CircuitLost)??;
                Ok::<_, UpgradeError>(handshake::offer(factory, &config, stream, &progress).await?)
            })
            .await;
            tell(done, &result);
            let up = result?;
            let muxer = Muxer::with_channels(up.peer, up.channels);
            Ok((peer, muxer.reporting(Health { peer, reports })))
        }
        .boxed())
    }

    fn poll(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<TransportEvent<Self::ListenerUpgrade, Self::Error>> {
        let this = self.get_mut();
        if let Some(event) = this.events.pop_front() {
            return Poll::Ready(match event {
                Announcement::Listening(listener_id) => TransportEvent::NewAddress {
                    listener_id,
                    listen_addr: addr::listen_addr(),
                },
                Announcement::Closed(listener_id) => TransportEvent::ListenerClosed {
                    listener_id,
                    reason: Ok(()),
                },
            });
        }
        while let Poll::Ready(Some(inbound)) = this.from_behaviour.poll_next_unpin(cx) {
            // Without a listener the stream is dropped, which refuses it.
            if let Some(listener_id) = this.listener {
                let send_back_addr = addr::remote_addr(inbound.peer);
                return Poll::Ready(TransportEvent::Incoming {
                    listener_id,
                    upgrade: this.answer(inbound),
                    local_addr: addr::listen_addr(),
                    send_back_addr,
                });
            }
        }
        this.waker = Some(cx.waker().clone());
        Poll::Pending
    }
}

/// Reports the outcome; a behaviour that is gone does not want to know.
fn tell<T>(done: Done, result: &Result<T, UpgradeError>) {
    let _ = done.send(result.as_ref().map(|_| ()).map_err(Clone::clone));
}
