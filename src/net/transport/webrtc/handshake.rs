//! The handshake that turns a signalling stream into a connected peer connection.
//!
//! ```text
//! offerer (A, the dialer)                           answerer (B)
//! createDataChannel("init"), createOffer
//!   ── SDP_OFFER ──────────────────────────────────▶ setRemoteDescription(offer), createAnswer
//! setLocalDescription(offer)
//!   ◀───────────────────────────────── SDP_ANSWER ── then setLocalDescription(answer)
//! setRemoteDescription(answer)
//!   ◀─────────────────────── ICE_CANDIDATE (both) ──▶
//! connected, `init` open; close it                     connected
//!   ── end of stream ──────────────────────────────  end of stream ──
//! ```
//!
//! B sends no candidate before its answer and A none before its offer, because js-libp2p takes the first message for the
//! description; both accept them earlier. After the descriptions the end of the signalling stream means nothing: the
//! other side may be connected sooner. Only `failed` and `closed` end an attempt, `disconnected` does not.
//!
//! There is no Noise: the descriptions carry the DTLS fingerprints and travel on a connection that has authenticated the
//! peer, so the remote's identity is the one of that connection. A signalling stream that is not authenticated end to end
//! must never be given to these functions.

mod answerer;
mod candidate;
mod offerer;
mod session;
#[cfg(all(test, not(target_arch = "wasm32")))]
mod tests;
mod wire;

use std::{
    pin::pin,
    sync::atomic::{AtomicU8, Ordering},
    time::Duration,
};

use futures::{
    AsyncRead, AsyncWrite,
    future::{Either, select},
};
use futures_timer::Delay;

pub use self::{answerer::answer, offerer::offer};
use super::{
    error::{HandshakeError, Step},
    muxer::{INIT_LABEL, MAX_INBOUND_BACKLOG},
    rtc::RtcPeer,
};

/// A connected peer connection and what it has reported beyond its state.
#[derive(Debug)]
pub struct Established<P: RtcPeer> {
    /// The connection.
    pub peer: P,
    /// Channels that the remote opened meanwhile, in order, [`MAX_INBOUND_BACKLOG`] at most. The dialer's [`INIT_LABEL`] is
    /// among them, on the dialer closing and first; the muxer holds it until it is closed, so that its id is not used again
    /// before.
    pub channels: Vec<P::Channel>,
}

/// What a handshake needs of the signalling stream.
pub trait Signalling: AsyncRead + AsyncWrite + Send + Unpin {}

impl<S: AsyncRead + AsyncWrite + Send + Unpin> Signalling for S {}

/// How far a handshake has come, readable while it runs.
#[derive(Debug)]
pub struct Progress(AtomicU8);

impl Default for Progress {
    fn default() -> Self {
        Self(AtomicU8::new(Step::Signalling as u8))
    }
}

impl Progress {
    /// The step being worked on.
    pub fn step(&self) -> Step {
        let at = self.0.load(Ordering::Relaxed);
        [Step::Signalling, Step::Offer, Step::Answer, Step::Connect]
            .into_iter()
            .find(|step| *step as u8 == at)
            .unwrap_or(Step::Init)
    }

    pub(super) fn reach(&self, step: Step) {
        self.0.store(step as u8, Ordering::Relaxed);
    }
}

/// Runs a handshake against its deadline.
///
/// Cancel-safe in the sense that dropping it drops the handshake, and with it the peer connection.
///
/// # Errors
/// [`HandshakeError::Timeout`] with the step that `progress` had reached, or the handshake's own error.
pub async fn within<T, E: From<HandshakeError>>(
    timeout: Duration,
    progress: &Progress,
    handshake: impl Future<Output = Result<T, E>>,
) -> Result<T, E> {
    match select(pin!(handshake), Delay::new(timeout)).await {
        Either::Left((result, _)) => result,
        Either::Right(((), _)) => Err(HandshakeError::Timeout {
            step: progress.step(),
        }
        .into()),
    }
}

/// How long the end of the signalling stream may take to leave. It is a courtesy, the connection is up by then.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(1);
