//! Every number of the exchange that may be tuned, with its unit and where it comes from.
//!
//! What others can make grow is bounded here as well. Formats (lengths on the wire) are not tunable and stand in
//! `message`.

use std::time::Duration;

use super::types::CHUNK_SIZE;

/// The tunables of one [`Swarm`](super::swarm::Swarm).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Config {
    /// Peers connected for one blob at once. Default 128: a page holds at most some hundred `RTCPeerConnection`s, shared
    /// by all blobs; BitTorrent clients use 50 to 200.
    pub peers_max: usize,
    /// Peers remembered as banned, the oldest forgotten first. Default 1024, 8 KiB of keys.
    pub banned_max: usize,
    /// Time a peer without a `Hello` keeps its place when others want it. Default 30 s: ten round trips over a bad relay.
    pub greeting_max: Duration,
    /// Times a peer may announce its whole set in one connection. Default 16: once after the handshake, once for each
    /// change of upload consent. Each may cost 512 KiB of parsing.
    pub announcements_max: u32,

    /// Requests kept outstanding to a peer at least. Default 1: among many peers a request that waits in a queue binds a
    /// chunk that another could have sent by then; where one is not enough, the measured rate asks for more.
    pub pipeline_min: usize,
    /// Requests kept outstanding to a peer at most. Default 64 (16 MiB): fills 100 MiB/s at 160 ms.
    pub pipeline_max: usize,
    /// Time that outstanding requests cover beyond the latency. Default 100 ms: two busy pages, each of which may be late by a
    /// few frames; without it the faster side of a fast link runs dry.
    pub pipeline_slack: Duration,
    /// Bytes of chunk data a peer may send before it is granted more. Default 4 MiB: the top of the 1 to 4 MiB that a
    /// browser needs since it gives no receive back-pressure; the pipeline raises it where rate x latency asks for it.
    pub credit_initial: u32,
    /// Bytes by which credit is topped up at least. Default 1 MiB: one small message for every four chunks.
    pub credit_step: u32,
    /// Bytes asked for, or verified and not yet durable, over all peers. Default 32 MiB: with a slow store the page's
    /// memory stays under the 64 MiB that the node may use.
    pub unstored_max: u64,
    /// Time without an answer after which requests are given to others, at least. Default 10 s: a quarter of a chunk a
    /// second still counts as alive once the rate is known.
    pub stall_min: Duration,
    /// A request has stalled after this many times its expected duration. Default 4 (RFC 6298 waits about as many
    /// deviations).
    pub stall_factor: u32,
    /// Bytes per second below which a peer is not waited for longer. Default 16 KiB/s: a chunk in 16 s.
    pub slowest_rate: u64,
    /// Bytes per second assumed of a peer that has not delivered a whole chunk yet. Default 128 KiB/s, a slow
    /// uplink: the first wait is 16 s for two chunks.
    pub assumed_rate: u64,
    /// Stalls in a row after which a peer's claims count as false. Default 3; each wait is twice the one before.
    pub strikes_max: u32,
    /// Refusals in a row of chunks that the peer claimed. Default 64, a full pipeline: one failing disk is no lie, a
    /// second pipeline of refusals is useless either way.
    pub rejects_max: u32,
    /// Time after a cancel or stall in which the chunk may still arrive. Default 120 s: an upload queue of 4 MiB at
    /// 64 KiB/s takes 64 s, doubled.
    pub grace: Duration,
    /// Cancelled requests remembered for a peer. Default 256: four pipelines.
    pub grace_max: usize,
    /// Chunks that may be asked for twice at the end of a transfer, whatever the blob's size. Default 2; a large blob may
    /// have one in [`duplicates_share`](Self::duplicates_share) of its chunks.
    pub duplicates_min: u32,
    /// One chunk in so many may be asked for twice at the end. Default 64, 1.6 %.
    pub duplicates_share: u32,
    /// Time from a request to its answer that is assumed of a peer while none has answered. Default 500 ms.
    pub assumed_delay: Duration,
    /// Size claims under test at once. Default 4: with this many different ones most are lies, and lies end in bans.
    pub probes_max: usize,
    /// Age of a size probe after which another may be sent beside it. Default 3 s.
    pub probe_hedge: Duration,
    /// Hints ("ask me for this one") kept of a peer. Default 16.
    pub hints_max: usize,

    /// Requests a peer may have queued here. Default 128: twice what an honest peer has outstanding.
    pub queue_max: usize,
    /// Requests refused to a peer since the last chunk it was sent. Default 1024: a full pipeline for each announcement.
    pub refusals_max: u32,
    /// Chunks loading or sending to one peer. Default 8 (2 MiB): covers the store's latency, and is what control
    /// messages may have to wait behind.
    pub serving_per_peer: usize,
    /// Chunks loading or sending to all peers at least. Default 2: one on its way, one behind it.
    pub serving_min: usize,
    /// Chunks loading or sending to all peers at most. Default 16 (4 MiB): bounds memory.
    pub serving_max: usize,
    /// Time that chunks under way cover beyond the latency. Default 150 ms: a page whose main thread or store is busy
    /// answers so much later, and half of what is under way is read while the other half is sent.
    pub serving_slack: Duration,
    /// Regular slots: peers that are served at once for what they give. Default 2 (BEP 3 has
    /// 4): a chunk is passed on sooner the fewer share the uplink; measured in docs/protocol.md.
    pub slots: usize,
    /// Regular slots at most: one is added whenever a holder takes far longer for a chunk than the uplink needs, and taken
    /// back at a rechoke. Default 16, as many as chunks may be under way.
    pub slots_max: usize,
    /// Time between two slots that are added. Default 250 ms: a round trip, in which the last one shows what it asks for.
    pub slot_gap: Duration,
    /// A peer gives its part if it gave us one in so many of the bytes that the best one gave. Default 16: links differ, what is
    /// split among several differs as well, and with 4 a third of those that gave were taken for free-riders; measured in
    /// docs/protocol.md.
    pub gives_share: u64,
    /// At each rechoke what a peer gave loses one part in so many. Default 8, half of it in a minute: with few slots two peers
    /// that give their part are often not served by each other for as long.
    pub gives_memory: u64,
    /// While somebody asks who gives, one chunk in so many goes to whoever's turn it is. Default 8: newcomers start, and who
    /// only takes gets an eighth of an uplink that others need.
    pub generous_every: u32,
    /// Time between looks at who deserves a slot. Default 10 s (BEP 3).
    pub rechoke: Duration,
    /// Time for which the optimistic slot is held. Default 30 s (BEP 3): enough to show what one has to give.
    pub rotate: Duration,
    /// Time between two `Have` messages to a peer that lacks the chunk. Default 20 ms: a frame; a fast transfer tells of
    /// several chunks at once.
    pub have_gap: Duration,
    /// Time for which a `Have` waits that the peer does not need, because it has the chunk. Default 1 s.
    pub have_idle: Duration,
    /// Hints outstanding to a peer while this is the only seed. Default 2: an honest peer's starting pipeline; with more,
    /// a peer would sit on chunks that another could have passed on by then.
    pub hints_per_peer: usize,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            peers_max: 128,
            banned_max: 1024,
            greeting_max: Duration::from_secs(30),
            announcements_max: 16,
            pipeline_min: 1,
            pipeline_max: 64,
            pipeline_slack: Duration::from_millis(100),
            credit_initial: 16 * CHUNK_SIZE as u32,
            credit_step: 4 * CHUNK_SIZE as u32,
            unstored_max: 128 * CHUNK_SIZE,
            stall_min: Duration::from_secs(10),
            stall_factor: 4,
            slowest_rate: 16 * 1024,
            assumed_rate: 128 * 1024,
            strikes_max: 3,
            rejects_max: 64,
            grace: Duration::from_secs(120),
            grace_max: 256,
            duplicates_min: 2,
            duplicates_share: 64,
            assumed_delay: Duration::from_millis(500),
            probes_max: 4,
            probe_hedge: Duration::from_secs(3),
            hints_max: 16,
            queue_max: 128,
            refusals_max: 1024,
            serving_per_peer: 8,
            serving_min: 2,
            serving_max: 16,
            serving_slack: Duration::from_millis(150),
            slots: 2,
            slots_max: 16,
            gives_share: 16,
            gives_memory: 8,
            generous_every: 8,
            slot_gap: Duration::from_millis(250),
            rechoke: Duration::from_secs(10),
            rotate: Duration::from_secs(30),
            have_gap: Duration::from_millis(20),
            have_idle: Duration::from_secs(1),
            hints_per_peer: 2,
        }
    }
}
