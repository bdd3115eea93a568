//! Why there is no direct connection to a peer.

use std::{fmt, time::Duration};

use super::{addr::AddrError, rtc::RtcError, signal::SignalError};

/// Why an upgrade to a direct connection did not happen.
#[derive(Debug, Clone, thiserror::Error)]
#[non_exhaustive]
pub enum UpgradeError {
    /// The address is not one that this transport dials.
    #[error(transparent)]
    Addr(#[from] AddrError),
    /// No relayed connection to the peer came up; the swarm's words.
    #[error("the peer is not reachable through the relay: {0}")]
    Circuit(String),
    /// The relayed connection went away before the signalling stream was open.
    #[error("the relayed connection was lost")]
    CircuitLost,
    /// The peer does not speak the signalling protocol.
    #[error("the peer does not speak /webrtc-signaling")]
    Unsupported,
    /// As many handshakes as allowed are under way.
    #[error("too many handshakes under way")]
    Busy,
    /// The pair failed a moment ago.
    #[error("the pair failed before; next attempt in {} s", wait.as_secs())]
    BackOff {
        /// Time to the next attempt.
        wait: Duration,
    },
    /// There is a `/webrtc` listener already.
    #[error("already listening on /webrtc")]
    AlreadyListening,
    /// The paired behaviour is gone.
    #[error("the behaviour of the transport is gone")]
    BehaviourGone,
    /// The handshake failed.
    #[error(transparent)]
    Handshake(#[from] HandshakeError),
}

impl UpgradeError {
    /// Whether the two networks have no path between each other: everything else has worked.
    pub fn is_no_path(&self) -> bool {
        matches!(
            self,
            Self::Handshake(
                HandshakeError::IceFailed
                    | HandshakeError::Timeout {
                        step: Step::Connect,
                    },
            )
        )
    }

    /// Whether trying again at once would most likely fail again.
    ///
    /// On the accepting side only the network's verdict counts: whatever else goes wrong there is in the remote's hands,
    /// and it shall not be able to keep us from dialling.
    pub(crate) fn is_held_against_pair(&self, outbound: bool) -> bool {
        match self {
            reason if reason.is_no_path() => true,
            Self::Handshake(HandshakeError::Rtc {
                error: RtcError::Unavailable | RtcError::Exhausted,
                ..
            }) => false,
            Self::Circuit(_) | Self::CircuitLost | Self::Unsupported | Self::Handshake(_) => {
                outbound
            }
            Self::Addr(_)
            | Self::Busy
            | Self::BackOff { .. }
            | Self::AlreadyListening
            | Self::BehaviourGone => false,
        }
    }
}

/// Why a handshake ended without a connection.
#[derive(Debug, Clone, thiserror::Error)]
#[non_exhaustive]
pub enum HandshakeError {
    /// The time was up.
    #[error("timed out: {step}")]
    Timeout {
        /// What was being waited for.
        step: Step,
    },
    /// The remote ended the signalling stream before its session description had come: it refuses, or it is busy.
    #[error("the peer ended signalling: {step}")]
    Refused {
        /// What was being waited for.
        step: Step,
    },
    /// No pair of candidates works: there is no path between the two networks.
    #[error("no network path between the two peers")]
    IceFailed,
    /// The peer connection was closed during the handshake.
    #[error("the peer connection was closed")]
    Closed,
    /// A message out of order.
    #[error("unexpected {got}: {step}")]
    Unexpected {
        /// What came.
        got: &'static str,
        /// What was being waited for.
        step: Step,
    },
    /// The remote's bytes are not signalling messages, or our own message is too long.
    #[error(transparent)]
    Signal(#[from] SignalError),
    /// The remote sent more messages than a handshake needs.
    #[error("too many signalling messages")]
    TooManyMessages,
    /// The platform refused.
    #[error("{error}: {step}")]
    Rtc {
        /// What was being done.
        step: Step,
        /// The platform's error.
        error: RtcError,
    },
}

/// How far a handshake has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[repr(u8)]
#[non_exhaustive]
pub enum Step {
    /// The relayed connection and the signalling stream on it are being opened.
    Signalling,
    /// The offer is made and sent, or waited for.
    Offer,
    /// The answer is made and sent, or waited for.
    Answer,
    /// ICE and DTLS are under way.
    Connect,
    /// The `init` channel opens and closes.
    Init,
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Signalling => "opening the signalling stream",
            Self::Offer => "exchanging the offer",
            Self::Answer => "exchanging the answer",
            Self::Connect => "connecting",
            Self::Init => "opening the first channel",
        })
    }
}
