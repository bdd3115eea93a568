//! What a person may see of one exchange: which chunks are where, who brought them, who is served.
//!
//! Only what this node knows: its own chunks, what its neighbours say they have, and what flows between them and itself.
//! Chunks are summed up in cells, so that a chart costs the same to show however large the blob is. It is drawn when it is
//! asked for; in between only the bringer of each chunk is noted, one byte a chunk.

use std::ops::Range;
use std::time::Duration;

use super::Swarm;
use super::ledger::Ledger;
use super::peer::{Peer, PeerView};
use crate::proto::availability::Holds;
use crate::proto::types::{ChunkIndex, PeerKey, Time};

/// Cells of a chart at most. Ours: more than a person tells apart on a screen, and a bitmap of half a KiB a peer.
pub const MAX_CELLS: u32 = 512;

/// Peers in a chart at most: those that most has flowed to and from. Ours: half of what a swarm may have, and as many as a
/// ring has room for.
pub const MAX_CHARTED: usize = 64;

/// Peers remembered by name as those that brought chunks of one blob. Ours: as many as are charted.
pub const MAX_BRINGERS: usize = 64;

/// In a cell that names a peer: one that is not among those named.
pub const OTHER: u8 = 255;

/// Who has what, as of one moment. Each list of cells has [`Chart::cells`] entries; cell `i` of `n` stands for the chunks
/// from `i * chunks / n` up to, not including, `(i + 1) * chunks / n`.
///
/// A share says how much of a cell: 0 nothing, 255 all, in between part of it.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Chart {
    /// Chunks of the blob; 0 while the size is not proved, and then there are no cells.
    pub chunks: u32,
    /// Chunks that are verified here and not yet durable.
    pub unstored: u32,
    /// Chunks that are asked for.
    pub asked: u32,
    /// Share of each cell that is durable here.
    pub stored: Vec<u8>,
    /// Of whom something in the cell is asked: 1 and up for `peers`, 0 for nobody, or [`OTHER`].
    pub asked_of: Vec<u8>,
    /// Who brought most of the cell: 1 and up for `bringers`, 0 for what was here before, or [`OTHER`].
    pub brought_by: Vec<u8>,
    /// How many of our neighbours have the chunk of the cell that the fewest have; 255 stands for that many and more.
    pub copies: Vec<u8>,
    /// Who has brought chunks that are here now, and how many.
    pub bringers: Vec<(PeerKey, u32)>,
    /// The neighbours, by key.
    pub peers: Vec<Charted>,
    /// How many neighbours there are, those that are not in `peers` included.
    pub peers_total: usize,
}

/// One neighbour in a [`Chart`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Charted {
    /// What flows and how much it has.
    pub view: PeerView,
    /// How long it has been connected.
    pub connected: Duration,
    /// Whether it serves us now.
    pub serves_us: bool,
    /// Whether we want something that it has.
    pub wanted: bool,
    /// Whether we serve it now.
    pub is_served: bool,
    /// Whether it says that it wants something.
    pub wants: bool,
    /// Chunks that it was asked for and has not delivered.
    pub asked: u32,
    /// Chunks that it is being sent.
    pub serving: u32,
    /// Share of each cell that it says it has; empty where that is all or nothing, see `view`.
    pub has: Vec<u8>,
}

impl Chart {
    /// Number of cells.
    pub fn cells(&self) -> u32 {
        self.stored.len() as u32
    }
}

/// Who brought which chunk.
#[derive(Debug, Default)]
pub(super) struct Bringers {
    peers: Vec<PeerKey>,
    /// For each chunk 0, the position in `peers` from 1, or [`OTHER`]; empty until something is noted.
    of: Vec<u8>,
}

impl Bringers {
    /// Notes who brought chunk `index` of `chunks`.
    pub(super) fn note(&mut self, index: ChunkIndex, chunks: u32, peer: PeerKey) {
        if self.of.is_empty() {
            self.of = vec![0; chunks as usize];
        }
        let known = self.peers.iter().position(|known| *known == peer);
        let place = match known {
            Some(at) => at as u8 + 1,
            None if self.peers.len() < MAX_BRINGERS => {
                self.peers.push(peer);
                self.peers.len() as u8
            }
            None => OTHER,
        };
        if let Some(of) = self.of.get_mut(index.0 as usize) {
            *of = place;
        }
    }

    fn of(&self, index: u32) -> u8 {
        self.of.get(index as usize).copied().unwrap_or(0)
    }
}

impl Swarm {
    /// Draws who has what, now.
    pub fn chart(&self, now: Time) -> Chart {
        let now = self.clock.peek(now);
        let shown = self.most_active();
        let mut chart = Chart {
            peers_total: self.peers.len(),
            ..Chart::default()
        };
        let Some(ledger) = &self.ledger else {
            chart.peers = shown
                .iter()
                .map(|(key, peer)| charted(*key, peer, &[], now))
                .collect();
            return chart;
        };
        chart.chunks = ledger.size.chunk_count();
        chart.unstored = ledger.unstored.len() as u32;
        chart.asked = ledger.flights.len() as u32;
        let cells = cells(chart.chunks);
        chart.stored = cells
            .iter()
            .map(|cell| share(ledger.stored.count_in(cell.clone()), cell))
            .collect();
        self.chart_copies(ledger, &cells, &mut chart);
        chart_bringers(ledger, &cells, &mut chart);
        chart.asked_of = vec![0; cells.len()];
        for (key, peer) in &self.peers {
            let at = shown.iter().position(|(shown, _)| shown == key);
            let place = at.map_or(OTHER, |at| at as u8 + 1);
            for asked in &peer.source.asked {
                if let Some(of) = chart.asked_of.get_mut(cell_of(asked.index.0, chart.chunks)) {
                    *of = place;
                }
            }
        }
        chart.peers = shown
            .iter()
            .map(|(key, peer)| charted(*key, peer, &cells, now))
            .collect();
        chart
    }

    /// The neighbours that most has flowed to and from, by key.
    fn most_active(&self) -> Vec<(PeerKey, &Peer)> {
        let mut shown: Vec<_> = self
            .peers
            .iter()
            .map(|(key, peer)| (*key, &**peer))
            .collect();
        let moved = |peer: &Peer| peer.source.bytes.saturating_add(peer.client.bytes);
        while shown.len() > MAX_CHARTED {
            let least = (0..shown.len()).min_by_key(|at| moved(shown[*at].1));
            shown.remove(least.unwrap_or(0));
        }
        shown
    }

    fn chart_copies(&self, ledger: &Ledger, cells: &[Range<u32>], chart: &mut Chart) {
        let availability = ledger.picker.availability();
        let fewest = |cell: &Range<u32>| cell.clone().map(|index| availability.count(index)).min();
        chart.copies = cells
            .iter()
            .map(|cell| fewest(cell).unwrap_or(0).min(255) as u8)
            .collect();
    }
}

fn chart_bringers(ledger: &Ledger, cells: &[Range<u32>], chart: &mut Chart) {
    let bringers = &ledger.bringers;
    let mut brought = [0u32; 256];
    for cell in cells {
        let mut here = [0u32; 256];
        for index in cell
            .clone()
            .filter(|index| ledger.verified.contains(*index))
        {
            let of = usize::from(bringers.of(index));
            here[of] += 1;
            brought[of] += 1;
        }
        // Of equals the first, so that the colour of a cell does not flicker.
        let most = (0..=255u8).rev().max_by_key(|of| here[usize::from(*of)]);
        chart.brought_by.push(most.unwrap_or(0));
    }
    chart.bringers = bringers
        .peers
        .iter()
        .zip(&brought[1..])
        .map(|(key, chunks)| (*key, *chunks))
        .collect();
}

fn charted(key: PeerKey, peer: &Peer, cells: &[Range<u32>], now: Time) -> Charted {
    let has = match &peer.holds {
        // One that claims another size has a set of another length, until it is found out.
        Holds::Some(bits) if cells.last().is_some_and(|last| last.end == bits.len()) => cells
            .iter()
            .map(|cell| share(bits.count_in(cell.clone()), cell))
            .collect(),
        _ => Vec::new(),
    };
    Charted {
        view: peer.view(key, now),
        connected: now.since(peer.since),
        serves_us: !peer.source.choked,
        wanted: peer.source.interested,
        is_served: !peer.client.choked,
        wants: peer.client.interested,
        asked: peer.source.asked.len() as u32,
        serving: peer.client.serving.len() as u32,
        has,
    }
}

/// The chunks of each cell.
fn cells(chunks: u32) -> Vec<Range<u32>> {
    let cells = chunks.min(MAX_CELLS);
    let start = |cell: u32| (u64::from(cell) * u64::from(chunks) / u64::from(cells)) as u32;
    (0..cells)
        .map(|cell| start(cell)..start(cell + 1))
        .collect()
}

/// The cell that stands for chunk `index`.
fn cell_of(index: u32, chunks: u32) -> usize {
    let cells = u64::from(chunks.min(MAX_CELLS));
    ((u64::from(index) * cells + cells - 1) / u64::from(chunks.max(1))) as usize
}

/// `count` of a cell in 255ths, 0 and 255 only for none and all of it.
fn share(count: u32, cell: &Range<u32>) -> u8 {
    let len = cell.end - cell.start;
    match count {
        0 => 0,
        _ if count >= len => 255,
        _ => (u64::from(count) * 255 / u64::from(len)).clamp(1, 254) as u8,
    }
}

#[cfg(all(test, not(target_arch = "wasm32")))]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn cells_cover_every_chunk_once(chunks in 1u32..5000) {
            let cells = cells(chunks);
            prop_assert_eq!(cells.len() as u32, chunks.min(MAX_CELLS));
            let mut next = 0;
            for (at, cell) in cells.iter().enumerate() {
                prop_assert_eq!(cell.start, next);
                prop_assert!(cell.end > cell.start);
                next = cell.end;
                for index in cell.clone() {
                    prop_assert_eq!(cell_of(index, chunks), at, "chunk {}", index);
                }
            }
            prop_assert_eq!(next, chunks);
        }

        #[test]
        fn a_share_is_none_or_all_only_when_it_is(count in 0u32..3000, len in 1u32..3000) {
            let count = count.min(len);
            let share = share(count, &(7..7 + len));
            prop_assert_eq!(share == 0, count == 0);
            prop_assert_eq!(share == 255, count == len);
        }
    }

    #[test]
    fn the_largest_blob_has_cells_of_the_right_ends() {
        let chunks = 1 << 22;
        let cells = cells(chunks);
        assert_eq!(cells.len() as u32, MAX_CELLS);
        assert_eq!(cells.last().map(|cell| cell.end), Some(chunks));
        assert_eq!(cell_of(chunks - 1, chunks), MAX_CELLS as usize - 1);
    }

    #[test]
    fn bringers_beyond_the_bound_are_others() {
        let mut bringers = Bringers::default();
        for index in 0..100 {
            bringers.note(ChunkIndex(index), 100, PeerKey(u64::from(index)));
        }
        assert_eq!(bringers.peers.len(), MAX_BRINGERS);
        assert_eq!(
            (bringers.of(0), bringers.of(63), bringers.of(64)),
            (1, 64, OTHER)
        );
        bringers.note(ChunkIndex(64), 100, PeerKey(3));
        assert_eq!((bringers.of(64), bringers.of(1000)), (4, 0));
    }
}
