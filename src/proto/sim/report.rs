//! What came of a run.

use std::time::Duration;

use crate::proto::swarm::Misconduct;

/// What came of a run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Report {
    /// When each peer had everything durable, `None` if never; by position in the scenario.
    pub completed: Vec<Option<Duration>>,
    /// Bytes of chunk data sent by each honest peer.
    pub up_bytes: Vec<u64>,
    /// Bytes of chunk data received by each honest peer.
    pub down_bytes: Vec<u64>,
    /// Bytes of chunk data that the web server sent.
    pub web_bytes: u64,
    /// Bytes of chunk data received and not used, over all honest peers.
    pub wasted_bytes: u64,
    /// Most bytes any honest peer had asked for or not yet durable.
    pub peak_unstored: u64,
    /// Who banned whom and why; positions in the scenario.
    pub bans: Vec<(usize, usize, Misconduct)>,
    /// Virtual time at the end.
    pub ended: Duration,
    /// Events handled.
    pub events: u64,
    /// Hash over every message delivered, with its time.
    pub trace: u64,
    /// Bytes of chunk data that left all peers in each second.
    pub flow: Vec<u64>,
}

impl Report {
    /// When the last of the peers at these positions was complete; `None` if one never was.
    pub fn all_complete(&self, positions: impl IntoIterator<Item = usize>) -> Option<Duration> {
        positions
            .into_iter()
            .map(|at| self.completed[at])
            .try_fold(Duration::ZERO, |last, at| Some(last.max(at?)))
    }
}
