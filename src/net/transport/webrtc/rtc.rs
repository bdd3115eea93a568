//! The part of WebRTC that the transport needs, as a trait of messages: one file per backend.
//!
//! A backend turns platform callbacks into events that are polled, so that everything above it (handshake, muxer,
//! framing) is the same code in the page and in a native test. Backends buffer events in bounded queues from the moment
//! an object exists: `datachannel` and `message` may fire before anybody polls.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};

use bytes::Bytes;
use futures::{
    StreamExt,
    future::BoxFuture,
    stream::{self, BoxStream},
};

#[cfg(any(test, feature = "test-utils"))]
pub mod mem;
#[cfg(not(target_arch = "wasm32"))]
pub mod none;
#[cfg(target_arch = "wasm32")]
pub mod web;

/// What a peer connection needs to know when it is made.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RtcConfig {
    /// STUN server URLs (`stun:host:port`); none on a loopback or LAN test.
    pub ice_servers: Vec<String>,
    /// Gather no host or reflexive candidates (`iceTransportPolicy: "relay"`).
    pub relay_only: Switch,
}

/// A setting that changes while the node runs; clones share it.
#[derive(Debug, Clone, Default)]
pub struct Switch(Arc<AtomicBool>);

impl Switch {
    /// Whether it is on.
    pub fn is_on(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }

    /// Turns it on or off, for every peer connection that is made from now on.
    pub fn set(&self, on: bool) {
        self.0.store(on, Ordering::Relaxed);
    }
}

impl PartialEq for Switch {
    fn eq(&self, other: &Self) -> bool {
        self.is_on() == other.is_on()
    }
}

impl Eq for Switch {}

/// The platform refused or failed.
#[derive(Debug, Clone, thiserror::Error)]
#[non_exhaustive]
pub enum RtcError {
    /// This environment has no `RTCPeerConnection` (a worker, or a browser that switched it off).
    #[error("WebRTC is not available here")]
    Unavailable,
    /// The connection or channel is closed.
    #[error("closed")]
    Closed,
    /// The platform allows no further connection for now.
    #[error("too many connections were made lately")]
    Exhausted,
    /// A queue of the backend was full; its bound is named.
    #[error("{0} overflowed")]
    Overflow(&'static str),
    /// The platform's own words.
    #[error("{0}")]
    Platform(String),
}

/// `RTCPeerConnectionState`, <https://www.w3.org/TR/webrtc/#rtcpeerconnectionstate-enum>.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ConnectionState {
    /// Nothing has happened yet.
    New,
    /// ICE or DTLS is under way.
    Connecting,
    /// ICE and DTLS are up.
    Connected,
    /// Connectivity is lost for now; it may come back.
    Disconnected,
    /// Terminal: no candidate pair works.
    Failed,
    /// Terminal: closed on this side.
    Closed,
}

impl ConnectionState {
    /// Only `Failed` and `Closed` end a connection; `Disconnected` may recover (js-libp2p#3406).
    pub fn is_terminal(self) -> bool {
        matches!(self, Self::Failed | Self::Closed)
    }
}

/// Something a peer connection reports.
#[derive(Debug)]
pub enum PeerEvent<C> {
    /// A local ICE candidate as JSON, what `JSON.stringify(candidate.toJSON())` gives; `None` when gathering has ended.
    Candidate(Option<String>),
    /// The connection state changed.
    State(ConnectionState),
    /// The remote opened a data channel.
    Channel(C),
}

/// Something a data channel reports, in the order in which the platform did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ChannelEvent {
    /// The channel can send.
    Open,
    /// A binary message arrived.
    Message(Bytes),
    /// `buffered_amount` fell to the low threshold.
    BufferedAmountLow,
    /// The channel is closed; nothing follows.
    Closed,
}

/// Makes peer connections.
pub trait RtcFactory: Clone + Send + Unpin + 'static {
    /// The connections it makes.
    type Peer: RtcPeer;

    /// Makes a peer connection; its handlers, `ondatachannel` included, are installed before this returns.
    fn create(&self, config: &RtcConfig) -> Result<Self::Peer, RtcError>;

    /// An item whenever the machine has (again) a network, which may be another one. Never ends.
    fn network_changes(&self) -> BoxStream<'static, ()> {
        stream::pending().boxed()
    }
}

/// One `RTCPeerConnection`. Dropping it detaches every handler and closes it.
pub trait RtcPeer: Send + Unpin + 'static {
    /// Its data channels.
    type Channel: RtcChannel;

    /// Opens an ordinary in-band data channel (ordered, reliable, not negotiated).
    fn open_channel(&mut self, label: &str) -> Result<Self::Channel, RtcError>;
    /// Makes an SDP offer, without setting it.
    fn create_offer(&mut self) -> BoxFuture<'static, Result<String, RtcError>>;
    /// Makes an SDP answer to the remote offer, without setting it.
    fn create_answer(&mut self) -> BoxFuture<'static, Result<String, RtcError>>;
    /// Sets the local description; candidates start to flow.
    fn set_local(&mut self, kind: SdpKind, sdp: String)
    -> BoxFuture<'static, Result<(), RtcError>>;
    /// Sets the remote description.
    fn set_remote(
        &mut self,
        kind: SdpKind,
        sdp: String,
    ) -> BoxFuture<'static, Result<(), RtcError>>;
    /// Adds a remote candidate, JSON of an `RTCIceCandidateInit`; `None` is the end of candidates.
    fn add_candidate(
        &mut self,
        candidate: Option<String>,
    ) -> BoxFuture<'static, Result<(), RtcError>>;
    /// The state now, for the check right after the first poll.
    fn state(&self) -> ConnectionState;
    /// The next event; registers the waker when there is none.
    fn poll_event(
        &mut self,
        cx: &mut Context<'_>,
    ) -> Poll<Result<PeerEvent<Self::Channel>, RtcError>>;
    /// Closes the connection and with it every channel.
    fn close(&mut self);
}

/// Offer or answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SdpKind {
    /// `RTCSdpType` "offer".
    Offer,
    /// `RTCSdpType` "answer".
    Answer,
}

/// One `RTCDataChannel`. Dropping it detaches every handler, then closes it if it still is open.
pub trait RtcChannel: Send + Unpin + 'static {
    /// The label; `init` marks the handshake's own channel, every stream has the empty label.
    fn label(&self) -> &str;
    /// Sends one message.
    fn send(&mut self, message: &[u8]) -> Result<(), RtcError>;
    /// Bytes handed to `send` that have not left yet.
    fn buffered_amount(&self) -> usize;
    /// Asks for `BufferedAmountLow` when `buffered_amount` falls to `bytes`.
    fn set_low_threshold(&mut self, bytes: usize);
    /// The next event; registers the waker when there is none.
    fn poll_event(&mut self, cx: &mut Context<'_>) -> Poll<ChannelEvent>;
    /// Closes the channel gracefully: what was sent is still delivered; `Closed` follows.
    fn close(&mut self);
}
