//! What the chart of an exchange shows, and that it is bounded.

use super::super::chart::{MAX_CELLS, MAX_CHARTED, OTHER};
use super::*;

#[test]
fn a_chart_tells_what_is_asked_verified_stored_and_of_whom() {
    let mut bench = Bench::leech();
    let asked = bench.asked(1);
    let chart = bench.swarm.chart(bench.now);
    assert_eq!((chart.chunks, chart.cells()), (CHUNKS, CHUNKS));
    assert_eq!(chart.asked as usize, asked.len());
    for cell in 0..CHUNKS {
        let at = cell as usize;
        assert_eq!(chart.asked_of[at], u8::from(asked.contains(&cell)));
        assert_eq!(chart.stored[at], if cell + 1 == CHUNKS { 255 } else { 0 });
        assert_eq!(chart.copies[at], 1);
    }
    assert_eq!(chart.bringers, [(PeerKey(1), 1)]);
    assert_eq!(chart.brought_by[CHUNKS as usize - 1], 1);

    let index = asked[0];
    let message = bench.chunk(index);
    bench.receive(1, message);
    let chart = bench.swarm.chart(bench.now);
    assert_eq!((chart.unstored, chart.stored[index as usize]), (1, 0));
    assert_eq!(chart.brought_by[index as usize], 1);
    bench.input(Input::Stored {
        index: ChunkIndex(index),
    });
    let chart = bench.swarm.chart(bench.now);
    assert_eq!((chart.unstored, chart.stored[index as usize]), (0, 255));
    assert_eq!(chart.bringers, [(PeerKey(1), 2)]);
}

#[test]
fn a_chart_tells_what_the_neighbours_have_and_want() {
    let mut bench = Bench::new(true);
    let size = bench.tree.size();
    bench.hello(2, Some(size), 1 << 20);
    let mut bits = Bitfield::new(CHUNKS);
    bits.insert(3);
    bench.receive(2, Message::Bitfield { size, bits });
    bench.receive(2, Message::Interested);
    bench.seed(3);
    let chart = bench.swarm.chart(bench.now);
    assert_eq!(chart.peers_total, 2);
    let [leech, seed] = &chart.peers[..] else {
        panic!("{:?}", chart.peers)
    };
    assert_eq!((leech.view.peer, leech.view.chunks), (PeerKey(2), 1));
    assert!(leech.wants && !leech.wanted);
    assert_eq!(leech.has.iter().filter(|share| **share == 255).count(), 1);
    assert_eq!(leech.has[3], 255);
    assert!(seed.view.has_all && seed.has.is_empty());
    assert_eq!((chart.copies[3], chart.copies[4]), (2, 1));
    assert!(
        chart.bringers.is_empty(),
        "what was here before was brought by nobody"
    );
}

#[test]
fn a_chart_is_bounded_and_shows_those_that_give() {
    let mut bench = Bench::with(
        false,
        Config {
            peers_max: 128,
            ..exact()
        },
    );
    for peer in 1..=100 {
        bench.seed(peer);
    }
    let giver = (1..=100)
        .rev()
        .find(|peer| !bench.asked(*peer).is_empty())
        .unwrap();
    let message = bench.chunk(CHUNKS - 1);
    bench.receive(giver, message);
    let chart = bench.swarm.chart(bench.now);
    assert_eq!(chart.peers.len(), MAX_CHARTED);
    assert_eq!(chart.peers_total, 100);
    assert!(
        chart
            .peers
            .iter()
            .any(|charted| charted.view.peer == PeerKey(giver))
    );
    let hidden = (1..=100).filter(|key| {
        chart
            .peers
            .iter()
            .all(|charted| charted.view.peer != PeerKey(*key))
    });
    let asked_of_hidden: usize = hidden.map(|peer| bench.asked(peer).len()).sum();
    let others = chart.asked_of.iter().filter(|of| **of == OTHER).count();
    assert_eq!(others, asked_of_hidden);
}

#[test]
fn a_blob_of_many_chunks_has_few_cells() {
    let size = BlobSize::new(10_000 * CHUNK_SIZE).unwrap();
    let stored = (0..5_000).map(ChunkIndex);
    let mut swarm = Swarm::new(exact(), BlobHash([0; 32]), Some(size), stored, 1);
    swarm.handle(Input::Connected { peer: PeerKey(1) }, Time(0));
    let chart = swarm.chart(Time(0));
    let lists = [
        &chart.stored,
        &chart.asked_of,
        &chart.brought_by,
        &chart.copies,
    ];
    assert!(lists.iter().all(|list| list.len() == MAX_CELLS as usize));
    let whole = chart.stored.iter().filter(|share| **share == 255).count();
    assert_eq!(whole, MAX_CELLS as usize / 2);
}

#[test]
fn a_chart_before_the_size_is_known_names_the_peers() {
    let mut bench = Bench::new(false);
    bench.hello(1, None, 0);
    let chart = bench.swarm.chart(bench.now);
    assert_eq!((chart.chunks, chart.cells(), chart.peers.len()), (0, 0, 1));
}
