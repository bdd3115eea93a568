//! What a node shows of itself: plain values, taken a few times a second.

use serde::{Serialize, Serializer};

use crate::proto::limits::{Hold, Limits};

/// State of one blob's transfer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum TransferState {
    /// Incomplete, and no peer is connected.
    Finding,
    /// Incomplete, with peers.
    Fetching,
    /// Told to stop, by the person or by a full store.
    Paused,
    /// All there.
    Complete,
    /// Incomplete, and something must be done first: see the error.
    Failed,
}

/// A code and a sentence.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Problem {
    /// One of the stable codes.
    pub code: &'static str,
    /// What to tell a person.
    pub message: String,
}

/// One blob that this node holds or fetches.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct SwarmInfo {
    /// Address.
    pub cid: String,
    /// The link's fragment, with the key where there is one.
    pub fragment: Option<String>,
    /// File name, once known.
    pub name: Option<String>,
    /// Media type, once known.
    #[serde(rename = "type")]
    pub media_type: Option<String>,
    /// Content bytes, once proved.
    pub size: Option<u64>,
    /// Content bytes verified and stored.
    pub have: u64,
    /// What it is doing.
    pub state: TransferState,
    /// Why it is not.
    pub error: Option<Problem>,
    /// Kept on purpose.
    pub pinned: bool,
    /// Stored as it is, not encrypted.
    pub public: bool,
    /// Chunk bytes sent since the node started.
    pub up: u64,
    /// Chunk bytes received since the node started, from peers and servers.
    pub down: u64,
    /// Bytes a second now.
    pub up_rate: u64,
    /// Bytes a second now.
    pub down_rate: u64,
    /// Bytes received more than once or in vain.
    pub wasted: u64,
    /// Peers with a session.
    pub peers: usize,
    /// Of these, the ones that hold all of it.
    pub sources: usize,
    /// Web servers that may be asked for it.
    pub servers: Vec<ServerInfo>,
    /// Milliseconds since 1970.
    pub added_at: u64,
    /// Chunks in all; 0 until the size is known.
    pub chunks: u32,
    /// Chunks stored.
    pub chunks_have: u32,
}

/// How a web server does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum ServerState {
    /// It may be asked.
    Ready,
    /// It is being asked.
    Busy,
    /// It failed, and is asked again later.
    Waiting,
    /// It sent wrong bytes or serves no parts, and is not asked again.
    Dropped,
}

/// One web server that may be asked for a blob.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ServerInfo {
    /// Host, and port where there is one.
    pub host: String,
    /// Chunk bytes received from it since the node started.
    pub down: u64,
    /// How it does.
    pub state: ServerState,
    /// A plain sentence when something is wrong, else empty.
    pub detail: String,
}

/// How a peer is connected.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Via {
    /// Browser to browser over WebRTC.
    Direct,
    /// Through a relay only.
    Relayed,
    /// A relay's websocket.
    Websocket,
    /// Being connected.
    Connecting,
    /// No link came up.
    Failed,
}

/// What a peer is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// Another page.
    Browser,
    /// A relay.
    Relay,
}

/// One peer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct PeerInfo {
    /// Its identity.
    pub peer_id: String,
    /// What it is.
    pub role: Role,
    /// How it is connected.
    pub via: Via,
    /// Its name and version as it says.
    pub agent: String,
    /// Last measured round trip, milliseconds.
    pub rtt: Option<u32>,
    /// Chunk bytes sent to it.
    pub up: u64,
    /// Chunk bytes received from it.
    pub down: u64,
    /// Bytes a second now.
    pub up_rate: u64,
    /// Bytes a second now.
    pub down_rate: u64,
    /// Connected (or first tried) at, milliseconds since 1970.
    pub since: u64,
    /// A plain sentence when something is wrong, else empty.
    pub detail: String,
}

/// A byte for each cell of a [`SwarmChart`]; a `Uint8Array` in the page.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Cells(pub Vec<u8>);

impl Serialize for Cells {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_bytes(&self.0)
    }
}

/// Who has what of one blob, drawn when it is asked for: see [`Chart`](crate::proto::swarm::chart::Chart), which bounds it.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct SwarmChart {
    /// Address.
    pub cid: String,
    /// Chunks in all; 0 until the size is known, and then there are no cells.
    pub chunks: u32,
    /// Chunks durable here.
    pub chunks_have: u32,
    /// Chunks verified and not yet durable.
    pub unstored: u32,
    /// Chunks asked for.
    pub asked: u32,
    /// Share of each cell that is durable here, 0 to 255.
    pub stored: Cells,
    /// Of whom something in the cell is asked: 1 and up for `peers`, 0 nobody, 255 one that is not there.
    pub asked_of: Cells,
    /// Who brought most of the cell: 1 and up for `bringers`, 0 for what was here before, 255 one that is not there.
    pub brought_by: Cells,
    /// How many neighbours have the chunk of the cell that the fewest have, 255 at most.
    pub copies: Cells,
    /// Who brought what is here.
    pub bringers: Vec<Bringer>,
    /// The neighbours.
    pub peers: Vec<ChartPeer>,
    /// How many there are, those not in `peers` included.
    pub peers_total: usize,
}

/// One that brought chunks of a blob; it may have left.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Bringer {
    /// Its identity; `None` once it is forgotten.
    pub peer_id: Option<String>,
    /// Chunks of it that are here.
    pub chunks: u32,
}

/// One neighbour in a [`SwarmChart`].
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ChartPeer {
    /// Its identity.
    pub peer_id: String,
    /// How it is connected.
    pub via: Via,
    /// Last measured round trip, milliseconds.
    pub rtt: Option<u32>,
    /// How long it has been in this swarm with us, milliseconds.
    pub connected: u64,
    /// Chunks that it says it has.
    pub chunks: u32,
    /// Whether it says that it has all of them.
    pub has_all: bool,
    /// Share of each cell that it says it has; empty where that is all or nothing.
    pub has: Cells,
    /// Chunk bytes of this blob sent to it in this session.
    pub up: u64,
    /// Chunk bytes of this blob received from it in this session.
    pub down: u64,
    /// Bytes a second now.
    pub up_rate: u64,
    /// Bytes a second now.
    pub down_rate: u64,
    /// It serves us now.
    pub serves_us: bool,
    /// It has something that we want.
    pub wanted: bool,
    /// We serve it now.
    pub is_served: bool,
    /// It says that it wants something.
    pub wants: bool,
    /// Chunks asked of it.
    pub asked: u32,
    /// Chunks being sent to it.
    pub serving: u32,
    /// It let requests stall and has not delivered since.
    pub stalled: bool,
}

/// State of the node as a whole.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum JoinState {
    /// No relay is reserved yet.
    Connecting,
    /// Reachable through at least one relay.
    Joined,
    /// No relay answers; reachable through linked peers.
    Peers,
    /// Every relay has failed and no peer introduces us; trying again.
    Offline,
}

/// State of one relay's link.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum RelayState {
    /// Being dialled.
    Connecting,
    /// Connected, not reserved.
    Connected,
    /// Others can reach us through it.
    Reserved,
    /// Waiting after a failure.
    Failed,
}

/// One relay.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct RelayInfo {
    /// Its address.
    pub address: String,
    /// How far the link is.
    pub state: RelayState,
    /// A plain sentence when something is wrong, else empty.
    pub detail: String,
}

/// Bytes stored and allowed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
pub struct StorageInfo {
    /// Bytes of chunks stored.
    pub used: u64,
    /// Bytes allowed.
    pub quota: u64,
}

/// Chunk bytes of one day.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
pub struct Today {
    /// Sent. After a crash under a cap on the day it may be a little more than was.
    pub up: u64,
    /// Received.
    pub down: u64,
}

/// The node as a whole.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Stats {
    /// Our identity on the network.
    pub peer_id: String,
    /// Whether others can find us.
    pub state: JoinState,
    /// Each relay.
    pub relays: Vec<RelayInfo>,
    /// The person's word on uploads; `None` until asked.
    pub upload_allowed: Option<bool>,
    /// Why nothing is sent now; `None` while sending is on.
    pub upload_hold: Option<Hold>,
    /// What the person has set.
    pub limits: Limits,
    /// Chunk bytes since midnight (UTC), reloads included.
    pub today: Today,
    /// Chunk bytes sent since the start.
    pub up: u64,
    /// Chunk bytes received since the start.
    pub down: u64,
    /// Bytes a second now.
    pub up_rate: u64,
    /// Bytes a second now.
    pub down_rate: u64,
    /// Bytes stored and allowed.
    pub storage: StorageInfo,
}

/// All three, as published by the node.
#[derive(Debug, Clone, PartialEq)]
pub struct Snapshot {
    /// The node.
    pub stats: Stats,
    /// Its blobs, oldest first.
    pub swarms: Vec<SwarmInfo>,
    /// Its peers.
    pub peers: Vec<PeerInfo>,
}
