//! What can be set from outside, with where each default comes from.

use std::time::Duration;

use libp2p::PeerId;

use super::rtc::RtcConfig;

/// Settings of the `/webrtc` transport and its behaviour.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Config {
    /// Who we are; decides which of two crossing connections is kept.
    pub local_peer_id: PeerId,
    /// Given to every peer connection.
    pub rtc: RtcConfig,
    /// From the dial, or from the remote's signalling stream, to a usable connection; the circuit included. ICE checks
    /// of browsers give up after 15 to 30 s, and the relay ends a circuit after 60 s.
    pub handshake_timeout: Duration,
    /// ICE candidates taken from the remote and sent to it in one handshake, each. A host with several interfaces and
    /// four STUN servers makes about 20.
    pub max_candidates: usize,
    /// Inbound handshakes at a time, over all peers; per peer it is one. A relay lets strangers through, and each
    /// handshake costs a peer connection, of which a page has a few hundred.
    pub max_inbound: usize,
    /// Inbound handshakes begun in any minute, over all peers. Chromium also limits how many peer connections a page makes
    /// in its life, so strangers shall not be able to spend them; a page links to 30 to 50 peers.
    pub inbound_per_minute: usize,
    /// Outbound handshakes at a time, over all peers.
    pub max_outbound: usize,
    /// How long a relayed connection may be up without signalling before it is closed.
    pub circuit_idle: Duration,
    /// How long a relayed connection is kept after the upgrade, so that the slower side finishes its handshake too.
    pub circuit_linger: Duration,
    /// How long both of two crossing connections are kept before one is closed: the streams that were opened on it
    /// meanwhile shall come to an end.
    pub glare_delay: Duration,
    /// Wait after the first failure of a pair; doubles with each further one.
    pub backoff_base: Duration,
    /// The longest wait after a failure.
    pub backoff_cap: Duration,
}

impl Config {
    /// The defaults for `local_peer_id`.
    pub fn new(local_peer_id: PeerId) -> Self {
        Self {
            local_peer_id,
            rtc: RtcConfig::default(),
            handshake_timeout: Duration::from_secs(20),
            max_candidates: 64,
            max_inbound: 16,
            inbound_per_minute: 60,
            max_outbound: 16,
            circuit_idle: Duration::from_secs(30),
            circuit_linger: Duration::from_secs(2),
            glare_delay: Duration::from_secs(5),
            backoff_base: Duration::from_secs(5),
            backoff_cap: Duration::from_secs(5 * 60),
        }
    }
}
