//! The web servers of one blob: what is known of them, and what is being fetched.

use futures::future::AbortHandle;
use libp2p::PeerId;

use super::snapshot::{ServerInfo, ServerState};
use crate::proto::ordered::Map;
use crate::proto::tree::Tree;
use crate::proto::types::ChunkIndex;
use crate::proto::web_seed::WebSeed;
use crate::proto::web_source::WebSource;

/// Fetches end when it is dropped.
#[derive(Debug)]
pub(super) struct Web {
    pub seed: WebSeed,
    /// Proves the chunks; let go when all of them are here.
    pub tree: Option<Tree>,
    pub chunks: Map<ChunkIndex, AbortHandle>,
    /// The fetch of the tree that is under way.
    pub tree_fetch: Option<AbortHandle>,
    /// Discovery has found nobody, which matters once no server works.
    pub nobody: bool,
}

impl Web {
    pub fn new(sources: Vec<WebSource>, id: &PeerId, seed: u64) -> Self {
        Self {
            seed: WebSeed::new(sources, ticket(id), seed),
            tree: None,
            chunks: Map::new(),
            tree_fetch: None,
            nobody: false,
        }
    }

    /// Ends every fetch; tells of which chunks.
    pub fn give_up(&mut self) -> Vec<ChunkIndex> {
        if let Some(fetch) = self.tree_fetch.take() {
            fetch.abort();
        }
        self.chunks.values().for_each(AbortHandle::abort);
        self.seed.stop();
        std::mem::take(&mut self.chunks).into_keys().collect()
    }

    /// Whether something is being fetched.
    pub fn is_busy(&self) -> bool {
        !self.chunks.is_empty() || self.tree_fetch.is_some()
    }

    /// What a person sees of the servers.
    pub fn infos(&self) -> Vec<ServerInfo> {
        let servers = self.seed.servers().map(|server| ServerInfo {
            host: server.source.host().to_owned(),
            down: server.bytes,
            state: match server.fault {
                _ if server.busy => ServerState::Busy,
                None => ServerState::Ready,
                Some(fault) if fault.is_final() => ServerState::Dropped,
                Some(_) => ServerState::Waiting,
            },
            detail: match server.fault {
                Some(fault) => format!("This server {fault}."),
                None => String::new(),
            },
        });
        servers.collect()
    }
}

impl Drop for Web {
    fn drop(&mut self) {
        self.give_up();
    }
}

/// The number by which a peer and its rivals divide the chunks: the end of its identity, which is the end of a key or of
/// a hash.
pub(super) fn ticket(id: &PeerId) -> u64 {
    let bytes = id.to_bytes();
    let end = bytes.last_chunk::<8>().copied().unwrap_or_default();
    u64::from_le_bytes(end)
}
