//! What readers wait for comes from whoever brings it first.

use super::*;

const MIB: u64 = 1024 * 1024;

/// A leech with two seeds that have shown their pace: peer 1 brings 4 MiB a second, peer 2 `slow` bytes.
fn fast_and_slow(slow: u64) -> Bench {
    let mut bench = Bench::leech();
    bench.seed(2);
    bench.input(Input::Pause);
    for (key, pace) in [(1, 4 * MIB), (2, slow)] {
        let source = &mut bench.swarm.peers.get_mut(&PeerKey(key)).unwrap().source;
        source.pace = pace;
        source.bytes = 10 * MIB;
        assert!(source.asked.is_empty());
    }
    bench
}

fn focus(bench: &mut Bench, chunks: std::ops::Range<u32>) {
    bench.input(Input::Focus {
        chunks: chunks.into(),
    });
}

#[test]
fn a_slow_peer_is_not_asked_for_what_a_reader_waits_for() {
    let mut bench = fast_and_slow(64 * 1024);
    focus(&mut bench, 10..14);
    bench.input(Input::Resume);
    let (fast, slow) = (bench.asked(1), bench.asked(2));
    assert_eq!(fast[..2], [10, 11]);
    assert!(!slow.is_empty(), "it goes on with the rest of the blob");
    while !bench.asked(1).is_empty() && !bench.swarm.ledger.as_ref().unwrap().has(ChunkIndex(13)) {
        let index = bench.asked(1)[0];
        let message = bench.chunk(index);
        bench.now = bench.now + Duration::from_millis(60);
        bench.receive(1, message);
        bench.input(Input::Stored {
            index: ChunkIndex(index),
        });
    }
    let ledger = bench.swarm.ledger.as_ref().unwrap();
    assert!(
        (10..14).all(|index| ledger.has(ChunkIndex(index))),
        "all came from the fast peer, although the slow one has delivered nothing"
    );
}

#[test]
fn equals_take_what_is_waited_for_in_order() {
    let mut bench = fast_and_slow(4 * MIB);
    focus(&mut bench, 10..30);
    bench.input(Input::Resume);
    let mut asked = bench.asked(1);
    asked.extend(bench.asked(2));
    asked.sort_unstable();
    assert_eq!(asked, (10..10 + asked.len() as u32).collect::<Vec<_>>());
}

#[test]
fn a_chunk_that_only_a_slow_peer_has_is_asked_of_it() {
    let mut bench = fast_and_slow(64 * 1024);
    let mut bits = Bitfield::full(CHUNKS);
    bits.remove(10);
    bench.swarm.set_holds(PeerKey(1), Holds::Some(bits));
    focus(&mut bench, 10..11);
    bench.input(Input::Resume);
    assert_eq!(bench.asked(2)[0], 10);
}

#[test]
fn a_jump_to_a_chunk_that_a_slow_peer_was_asked_for_asks_a_fast_one_too() {
    let mut bench = fast_and_slow(16 * 1024);
    bench.input(Input::Resume);
    let index = bench.asked(2)[0];
    // Room at the fast peer.
    let other = bench.asked(1)[0];
    focus(&mut bench, index..index + 1);
    let message = bench.chunk(other);
    bench.now = bench.now + Duration::from_millis(60);
    let outputs = bench.receive(1, message);
    assert_eq!(requests(&outputs, 1).first(), Some(&index));
    // The answer that comes first is taken, the other request cancelled.
    let message = bench.chunk(index);
    let outputs = bench.receive(1, message);
    assert_eq!(stores(&outputs), [index]);
    assert!(sent(&outputs, 2).contains(&Message::Cancel {
        index: ChunkIndex(index)
    }));
}

#[test]
fn equals_are_not_asked_twice() {
    let mut bench = fast_and_slow(4 * MIB);
    bench.input(Input::Resume);
    let index = bench.asked(2)[0];
    let other = bench.asked(1)[0];
    focus(&mut bench, index..index + 1);
    let message = bench.chunk(other);
    assert!(!requests(&bench.receive(1, message), 1).contains(&index));
}
