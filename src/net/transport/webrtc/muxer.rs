//! A WebRTC connection as a libp2p stream muxer: one data channel for each stream.
//!
//! The muxer is polled with the connection. It takes in the channels that the remote opens, drives every stream until
//! its channel is closed (also after its owner is gone), and watches the connection: `Failed` and `Closed` end it at
//! once, `Disconnected` when it lasts. With it every stream ends, and whoever waits for one is woken.

use std::{
    collections::VecDeque,
    fmt,
    future::Future,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, Waker},
};

use futures::channel::mpsc;
use futures::stream::{FuturesUnordered, StreamExt};
use futures_timer::Delay;
use libp2p::PeerId;
use libp2p::core::muxing::{StreamMuxer, StreamMuxerEvent};

use super::{
    rtc::{ChannelEvent, ConnectionState, PeerEvent, RtcChannel, RtcError, RtcPeer},
    stream::{Driver, Shared, Stream, Timing},
};

/// Label of the channel that only makes the dialer's offer have a data section; it is never a stream.
pub const INIT_LABEL: &str = "init";

/// Streams that the remote has opened and nobody has taken yet; a channel beyond it is closed.
pub const MAX_INBOUND_BACKLOG: usize = 256;

/// Channels of one connection that the remote may have open, taken or not; as many as Chromium lets it open (half of
/// the 1024 SCTP streams, by parity).
pub const MAX_INBOUND_CHANNELS: usize = 512;

/// Channels of one connection that we open at once; further ones wait. Below the 512 at which Chromium throws, because
/// an identifier is free only some time after its channel has closed.
pub const MAX_OUTBOUND_CHANNELS: usize = 480;

/// Where a connection reports that its path is lost (`true`) or back.
#[derive(Debug, Clone)]
pub(super) struct Health {
    pub(super) peer: PeerId,
    pub(super) reports: mpsc::Sender<(PeerId, bool)>,
}

/// Why a connection ended.
#[derive(Debug, Clone, thiserror::Error)]
#[non_exhaustive]
pub enum MuxerError {
    /// No path to the remote works any more, or the remote closed the connection.
    #[error("the connection failed")]
    Failed,
    /// The path was lost and did not come back in time.
    #[error("the connection was lost and did not recover")]
    Lost,
    /// The connection was closed on this side.
    #[error("the connection is closed")]
    Closed,
    /// The platform refused.
    #[error(transparent)]
    Rtc(#[from] RtcError),
}

/// Muxes streams over the data channels of one peer connection; closes it when dropped.
pub struct Muxer<P: RtcPeer> {
    peer: P,
    shared: Arc<Shared>,
    drivers: FuturesUnordered<Tracked<P::Channel>>,
    inbound: VecDeque<Stream<P::Channel>>,
    open_inbound: usize,
    open_outbound: usize,
    /// The dialer's `init`, held until it is closed. By the answerer, because js-libp2p fails the dial if it sees it closed
    /// before it has seen it open; by the dialer, which has closed it, because its id must not be used again before.
    init: Option<P::Channel>,
    /// The state that the platform gave before anybody polled has been looked at.
    checked: bool,
    disconnected: Option<Delay>,
    failure: Option<MuxerError>,
    health: Option<Health>,
    inbound_waker: Option<Waker>,
    outbound_waker: Option<Waker>,
}

impl<P: RtcPeer> Muxer<P> {
    /// Muxes a connection whose handshake is done.
    pub fn new(peer: P) -> Self {
        Self::with_channels(peer, Vec::new())
    }

    /// Muxes a connection on which the remote opened channels while the handshake was still going on.
    pub fn with_channels(peer: P, early: Vec<P::Channel>) -> Self {
        Self::with_timing(peer, early, Timing::default())
    }

    fn with_timing(peer: P, early: Vec<P::Channel>, timing: Timing) -> Self {
        let mut muxer = Self {
            peer,
            shared: Arc::new(Shared::new(timing)),
            drivers: FuturesUnordered::new(),
            inbound: VecDeque::new(),
            open_inbound: 0,
            open_outbound: 0,
            init: None,
            checked: false,
            disconnected: None,
            failure: None,
            health: None,
            inbound_waker: None,
            outbound_waker: None,
        };
        early.into_iter().for_each(|channel| muxer.accept(channel));
        muxer
    }

    /// Reports from now on when the path is lost and when it is back.
    pub(super) fn reporting(mut self, health: Health) -> Self {
        self.health = Some(health);
        self
    }

    /// Bytes that have arrived on all streams and are not read, what it costs to keep them included.
    pub fn unread(&self) -> usize {
        self.shared.unread()
    }

    /// Channels that are not closed yet, those of dropped streams included.
    pub fn open_channels(&self) -> usize {
        self.drivers.len()
    }

    fn accept(&mut self, mut channel: P::Channel) {
        if channel.label() == INIT_LABEL && self.init.is_none() {
            self.init = Some(channel);
            return;
        }
        let full =
            self.inbound.len() >= MAX_INBOUND_BACKLOG || self.open_inbound >= MAX_INBOUND_CHANNELS;
        if full || channel.label() == INIT_LABEL {
            tracing::debug!("one channel from the remote too many, closing it");
            channel.close();
            return;
        }
        let (stream, driver) = Stream::new(channel, self.shared.clone());
        self.open_inbound += 1;
        self.drivers.push(Tracked {
            driver,
            side: Side::Inbound,
        });
        self.inbound.push_back(stream);
        if let Some(waker) = self.inbound_waker.take() {
            waker.wake();
        }
    }

    /// Takes what the connection reports and lets every stream go on.
    fn advance(&mut self, cx: &mut Context<'_>) -> Result<(), MuxerError> {
        if !self.checked {
            self.checked = true;
            self.on_state(self.peer.state());
        }
        while self.failure.is_none() {
            match self.peer.poll_event(cx) {
                Poll::Ready(Ok(PeerEvent::Channel(channel))) => self.accept(channel),
                Poll::Ready(Ok(PeerEvent::State(state))) => self.on_state(state),
                // Candidates that come after the handshake have no way to the remote.
                Poll::Ready(Ok(PeerEvent::Candidate(_))) => {}
                Poll::Ready(Err(error)) => self.fail(error.into()),
                Poll::Pending => break,
            }
        }
        while let Some(init) = &mut self.init
            && let Poll::Ready(event) = init.poll_event(cx)
        {
            if event == ChannelEvent::Closed {
                self.init = None;
            }
        }
        if let Some(delay) = &mut self.disconnected
            && Pin::new(delay).poll(cx).is_ready()
        {
            self.fail(MuxerError::Lost);
        }
        self.drive(cx);
        self.failure.clone().map_or(Ok(()), Err)
    }

    fn drive(&mut self, cx: &mut Context<'_>) {
        while let Poll::Ready(Some(side)) = self.drivers.poll_next_unpin(cx) {
            match side {
                Side::Inbound => self.open_inbound -= 1,
                Side::Outbound => {
                    self.open_outbound -= 1;
                    if let Some(waker) = self.outbound_waker.take() {
                        waker.wake();
                    }
                }
            }
        }
    }

    fn on_state(&mut self, state: ConnectionState) {
        match state {
            ConnectionState::Failed => self.fail(MuxerError::Failed),
            ConnectionState::Closed => self.fail(MuxerError::Closed),
            ConnectionState::Disconnected => {
                let patience = self.shared.timing.disconnected;
                if self.disconnected.is_none() {
                    self.disconnected = Some(Delay::new(patience));
                    self.report(true);
                }
            }
            ConnectionState::Connected => {
                if self.disconnected.take().is_some() {
                    self.report(false);
                }
            }
            ConnectionState::New | ConnectionState::Connecting => {}
        }
    }

    fn report(&mut self, shaky: bool) {
        if let Some(Health { peer, reports }) = &mut self.health {
            // Full only if the behaviour has not run for long; what follows a lost path is the end, which it learns anyway.
            let _ = reports.try_send((*peer, shaky));
        }
    }

    fn fail(&mut self, error: MuxerError) {
        if self.failure.is_some() {
            return;
        }
        tracing::debug!(%error, "connection ended");
        self.failure = Some(error);
        self.disconnected = None;
        self.drivers
            .iter()
            .for_each(|tracked| tracked.driver.connection_lost());
        self.inbound.clear();
        self.peer.close();
        self.inbound_waker.take().into_iter().for_each(Waker::wake);
        self.outbound_waker.take().into_iter().for_each(Waker::wake);
    }
}

impl<P: RtcPeer> StreamMuxer for Muxer<P> {
    type Substream = Stream<P::Channel>;
    type Error = MuxerError;

    fn poll_inbound(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Result<Self::Substream, Self::Error>> {
        self.advance(cx)?;
        if let Some(stream) = self.inbound.pop_front() {
            return Poll::Ready(Ok(stream));
        }
        self.inbound_waker = Some(cx.waker().clone());
        Poll::Pending
    }

    fn poll_outbound(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Result<Self::Substream, Self::Error>> {
        self.advance(cx)?;
        if self.open_outbound >= MAX_OUTBOUND_CHANNELS {
            self.outbound_waker = Some(cx.waker().clone());
            return Poll::Pending;
        }
        let channel = self.peer.open_channel("")?;
        let (stream, driver) = Stream::new(channel, self.shared.clone());
        self.open_outbound += 1;
        self.drivers.push(Tracked {
            driver,
            side: Side::Outbound,
        });
        self.drive(cx);
        Poll::Ready(Ok(stream))
    }

    fn poll(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Result<StreamMuxerEvent, Self::Error>> {
        self.advance(cx)?;
        Poll::Pending
    }

    fn poll_close(
        mut self: Pin<&mut Self>,
        _cx: &mut Context<'_>,
    ) -> Poll<Result<(), Self::Error>> {
        self.fail(MuxerError::Closed);
        Poll::Ready(Ok(()))
    }
}

impl<P: RtcPeer> Drop for Muxer<P> {
    fn drop(&mut self) {
        self.fail(MuxerError::Closed);
    }
}

impl<P: RtcPeer> fmt::Debug for Muxer<P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Muxer")
            .field("open_inbound", &self.open_inbound)
            .field("open_outbound", &self.open_outbound)
            .field("backlog", &self.inbound.len())
            .field("unread", &self.unread())
            .field("failure", &self.failure)
            .finish_non_exhaustive()
    }
}

#[derive(Debug, Clone, Copy)]
enum Side {
    Inbound,
    Outbound,
}

/// A driver that remembers who opened its channel.
struct Tracked<C: RtcChannel> {
    driver: Driver<C>,
    side: Side,
}

impl<C: RtcChannel> Future for Tracked<C> {
    type Output = Side;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Side> {
        let side = self.side;
        Pin::new(&mut self.driver).poll(cx).map(|()| side)
    }
}

#[cfg(all(test, not(target_arch = "wasm32")))]
mod tests;
