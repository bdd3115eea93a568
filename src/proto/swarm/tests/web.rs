//! Chunks that a web server brings.

use super::*;
use crate::proto::tail::Tail;

fn tail(bench: &Bench) -> Tail {
    let (size, last) = (bench.tree.size(), bench.tree.size().last_chunk());
    let proof = bench.tree.proof(last).unwrap();
    Tail::cut(size, &bench.data[last.0 as usize], &proof)
}

fn fetched(bench: &mut Bench, index: u32, right: bool) -> Vec<Output> {
    let (at, mut data) = (ChunkIndex(index), bench.data[index as usize].clone());
    if !right {
        data = vec![250; data.len()].into();
    }
    let proof = bench.tree.proof(at).unwrap();
    bench.input(Input::Fetched {
        index: at,
        data,
        proof,
    })
}

/// A leech that knows the size from a web server.
fn alone() -> Bench {
    let mut bench = Bench::new(false);
    let mut wrong = tail(&bench);
    wrong.leaf = vec![9; wrong.leaf.len()].into();
    assert_eq!(bench.input(Input::Prove(wrong)), []);
    assert_eq!(bench.swarm.unheld().count(), 0);
    let proved = Input::Prove(tail(&bench));
    let outputs = bench.input(proved.clone());
    assert!(outputs.contains(&Output::SizeProved(bench.tree.size())));
    assert_eq!(bench.input(proved), [], "once");
    assert_eq!(bench.swarm.unheld().count(), CHUNKS as usize);
    bench
}

#[test]
fn a_whole_blob_comes_from_a_server_and_is_told_of() {
    let mut bench = alone();
    let (size, peer) = (bench.tree.size(), PeerKey(3));
    bench.hello(3, Some(size), 1 << 24);
    assert_eq!(bench.swarm.incomplete_peers().collect::<Vec<_>>(), [peer]);
    for index in 0..CHUNKS {
        let at = ChunkIndex(index);
        bench.input(Input::Fetching { index: at });
        assert!(bench.swarm.unheld().all(|other| other != at));
        let outputs = fetched(&mut bench, index, true);
        assert_eq!(stores(&outputs), [index]);
        bench.now = bench.now + Duration::from_secs(2);
        let mut told = outputs;
        told.extend(bench.input(Input::Tick));
        let have = |message: &Message| matches!(message, Message::Have { indexes } if indexes.contains(&at));
        assert!(sent(&told, 3).iter().any(have), "{index}");
        bench.input(Input::Stored { index: at });
    }
    assert!(bench.swarm.is_complete());
    let progress = bench.swarm.progress();
    assert_eq!((progress.web_bytes, progress.down_bytes), (size.get(), 0));
    assert_eq!(progress.wasted_bytes, 0);
}

#[test]
fn what_a_server_is_asked_for_no_peer_is_asked_for_until_it_fails() {
    let mut bench = alone();
    bench.input(Input::Pause);
    bench.seed(1);
    assert!(bench.swarm.is_held(ChunkIndex(5)));
    assert_eq!(bench.swarm.unheld().count(), 0);
    for index in 0..CHUNKS - 1 {
        bench.input(Input::Fetching {
            index: ChunkIndex(index),
        });
    }
    bench.input(Input::Resume);
    assert_eq!(bench.asked(1), [CHUNKS - 1]);
    let outputs = fetched(&mut bench, 4, false);
    let wrong = Output::WrongFetch {
        index: ChunkIndex(4),
    };
    assert!(outputs.contains(&wrong));
    assert_eq!(requests(&outputs, 1), [4], "now the peer is asked");
    assert_eq!(bans(&outputs), [], "and nobody blamed");
    bench.input(Input::FetchFailed {
        index: ChunkIndex(7),
    });
    assert!(bench.swarm.rarest() == Some(ChunkIndex(7)) || bench.asked(1).contains(&7));
    assert_eq!(
        fetched(&mut bench, 7, true),
        [],
        "it is waited for no longer"
    );
    assert_eq!(bench.swarm.progress().wasted_bytes, CHUNK_SIZE);
}

#[test]
fn an_initial_seed_that_hands_chunks_out_has_them_all() {
    let mut bench = alone();
    let size = bench.tree.size();
    bench.hello(1, Some(size), 1 << 24);
    bench.receive(
        1,
        Message::Suggest {
            index: ChunkIndex(3),
        },
    );
    assert_eq!(bench.swarm.unheld().count(), 0);
    assert!(bench.swarm.rarest().is_some());
}

#[test]
fn a_reader_names_the_first_chunk_it_waits_for() {
    let mut bench = alone();
    assert_eq!(bench.swarm.next_read(), None);
    bench.input(Input::Focus {
        chunks: (8..12).into(),
    });
    assert_eq!(bench.swarm.next_read(), Some(ChunkIndex(8)));
    bench.input(Input::Fetching {
        index: ChunkIndex(8),
    });
    assert_eq!(bench.swarm.next_read(), Some(ChunkIndex(9)));
}
