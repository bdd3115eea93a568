//! What ends a peer, and what does not.

use super::*;

#[test]
fn wrong_bytes_and_wrong_proof_ban_and_the_chunk_is_asked_elsewhere() {
    for spoil_proof in [false, true] {
        let mut bench = Bench::leech();
        let index = bench.asked(1)[0];
        let Message::Chunk {
            index: at,
            proof,
            data,
        } = bench.chunk(index)
        else {
            unreachable!()
        };
        let flip = |bytes: Bytes| {
            let mut bytes = bytes.to_vec();
            bytes[7] ^= 1;
            Bytes::from(bytes)
        };
        let message = match spoil_proof {
            true => Message::Chunk {
                index: at,
                proof: flip(proof),
                data,
            },
            false => Message::Chunk {
                index: at,
                proof,
                data: flip(data),
            },
        };
        let outputs = bench.receive(1, message);
        assert_eq!(bans(&outputs), [(1, Misconduct::WrongBytes)]);
        assert!(stores(&outputs).is_empty());
        assert_eq!(bench.swarm.progress().wasted_bytes, CHUNK_SIZE);
        // It never comes back, under whatever it claims, and others are asked for the chunk.
        let outputs = bench.input(Input::Connected { peer: PeerKey(1) });
        assert_eq!(outputs, [Output::Close { peer: PeerKey(1) }]);
        bench.input(Input::Focus {
            chunks: (index..index + 1).into(),
        });
        assert_eq!(requests(&bench.seed(2), 2)[0], index);
    }
}

#[test]
fn chunks_of_the_wrong_length_ban() {
    for len in [0, 1, CHUNK_SIZE as usize - 1] {
        let mut bench = Bench::leech();
        let index = ChunkIndex(bench.asked(1)[0]);
        let proof = bench.tree.proof(index).unwrap();
        let data = bench.data[index.0 as usize].slice(..len);
        let outputs = bench.receive(1, Message::Chunk { index, proof, data });
        assert_eq!(bans(&outputs), [(1, Misconduct::WrongBytes)]);
    }
}

#[test]
fn an_unrequested_chunk_bans_and_a_cancelled_one_does_not() {
    let mut bench = Bench::leech();
    let asked = bench.asked(1);
    let other = (0..CHUNKS).find(|index| !asked.contains(index)).unwrap();
    bench.input(Input::Pause);
    assert!(bench.asked(1).is_empty());
    let message = bench.chunk(asked[0]);
    let outputs = bench.receive(1, message.clone());
    assert_eq!((bans(&outputs), stores(&outputs)), (vec![], vec![asked[0]]));
    // The same again is once too often.
    assert_eq!(
        bans(&bench.receive(1, message)),
        [(1, Misconduct::Unrequested)]
    );

    let mut bench = Bench::leech();
    let message = bench.chunk(other);
    assert_eq!(
        bans(&bench.receive(1, message)),
        [(1, Misconduct::Unrequested)]
    );
}

#[test]
fn more_than_the_credit_bans() {
    let config = Config {
        credit_initial: CHUNK_SIZE as u32,
        ..exact()
    };
    let mut bench = Bench::with(false, config);
    bench.seed(1);
    let last = bench.chunk(CHUNKS - 1);
    bench.receive(1, last);
    let asked = bench.asked(1);
    assert_eq!(
        asked.len(),
        0,
        "nothing may be asked for that could not be sent"
    );
    bench
        .swarm
        .peers
        .get_mut(&PeerKey(1))
        .unwrap()
        .source
        .granted = 10;
    let message = bench.chunk(0);
    assert_eq!(
        bans(&bench.receive(1, message)),
        [(1, Misconduct::OverCredit)]
    );
}

#[test]
fn false_claims_of_the_size_are_found_out() {
    let mut bench = Bench::new(false);
    let lie = BlobSize::new(bench.tree.size().get() + CHUNK_SIZE).unwrap();
    bench.hello(1, Some(lie), 0);
    let outputs = bench.receive(1, Message::HaveAll { size: lie });
    assert_eq!(requests(&outputs, 1), [CHUNKS], "the last chunk as claimed");
    // A third claims the same as the first: it is not asked at once.
    bench.hello(3, Some(lie), 0);
    assert!(requests(&bench.receive(3, Message::HaveAll { size: lie }), 3).is_empty());
    let outputs = bench.seed(2);
    assert_eq!(requests(&outputs, 2), [CHUNKS - 1]);
    // The liar's own chunk does not verify.
    let fake = Message::Chunk {
        index: ChunkIndex(CHUNKS),
        proof: vec![0; 192].into(),
        data: vec![0; 1000].into(),
    };
    assert_eq!(bans(&bench.receive(1, fake)), [(1, Misconduct::WrongBytes)]);
    // The proof of the size convicts the other one.
    let last = bench.chunk(CHUNKS - 1);
    let outputs = bench.receive(2, last);
    assert_eq!(bans(&outputs), [(3, Misconduct::Impossible)]);
    // From now on a false claim is refused at once.
    assert_eq!(
        bans(&bench.hello(4, Some(lie), 0)),
        [(4, Misconduct::Impossible)]
    );
}

#[test]
fn a_claim_that_changes_bans() {
    let mut bench = Bench::new(false);
    let size = bench.tree.size();
    bench.hello(1, Some(size), 0);
    let other = BlobSize::new(5).unwrap();
    assert_eq!(
        bans(&bench.receive(1, Message::HaveAll { size: other })),
        [(1, Misconduct::Impossible)]
    );
}

#[test]
fn impossible_indexes_ban() {
    let mut bench = Bench::leech();
    let outputs = bench.receive(
        1,
        Message::Have {
            indexes: vec![ChunkIndex(0), ChunkIndex(CHUNKS)],
        },
    );
    assert_eq!(bans(&outputs), [(1, Misconduct::Impossible)]);
    bench.hello(2, None, 0);
    let outputs = bench.receive(
        2,
        Message::Have {
            indexes: vec![ChunkIndex(0)],
        },
    );
    assert_eq!(
        bans(&outputs),
        [(2, Misconduct::Impossible)],
        "a Have without a size"
    );
    bench.hello(3, None, 0);
    let outputs = bench.receive(
        3,
        Message::Request {
            index: ChunkIndex(CHUNKS),
        },
    );
    assert_eq!(bans(&outputs), [(3, Misconduct::Impossible)]);
}

#[test]
fn the_handshake_comes_first_and_once() {
    let mut bench = Bench::new(true);
    bench.input(Input::Connected { peer: PeerKey(1) });
    let outputs = bench.receive(1, Message::Credit { bytes: 1 });
    assert_eq!(bans(&outputs), [(1, Misconduct::Malformed)]);
    bench.hello(2, None, 0);
    let hello = Message::Hello {
        version: 1,
        blob: bench.tree.root(),
        size: None,
        credit: 0,
    };
    assert_eq!(bans(&bench.receive(2, hello)), [(2, Misconduct::Malformed)]);
    bench.input(Input::Connected { peer: PeerKey(3) });
    let hello = Message::Hello {
        version: 1,
        blob: BlobHash([0; 32]),
        size: None,
        credit: 0,
    };
    assert_eq!(
        bans(&bench.receive(3, hello)),
        [(3, Misconduct::Impossible)]
    );
}

#[test]
fn a_flood_of_requests_or_announcements_bans() {
    let mut bench = Bench::with(
        true,
        Config {
            queue_max: 30,
            ..exact()
        },
    );
    bench.hello(1, None, 0);
    let outputs: Vec<Output> = (0..CHUNKS)
        .flat_map(|at| {
            bench.receive(
                1,
                Message::Request {
                    index: ChunkIndex(at),
                },
            )
        })
        .collect();
    assert_eq!(bans(&outputs), [(1, Misconduct::Flood)]);

    let mut bench = Bench::leech();
    let size = bench.tree.size();
    let outputs: Vec<Output> = (0..20)
        .flat_map(|_| bench.receive(1, Message::HaveAll { size }))
        .collect();
    assert_eq!(bans(&outputs), [(1, Misconduct::Flood)]);

    let mut bench = Bench::leech();
    let outputs: Vec<Output> = (0..1100)
        .flat_map(|_| {
            bench.receive(
                1,
                Message::Request {
                    index: ChunkIndex(0),
                },
            )
        })
        .collect();
    assert_eq!(
        bans(&outputs),
        [(1, Misconduct::Flood)],
        "refusals are bounded too"
    );
}

#[test]
fn a_peer_that_refuses_what_it_claims_is_done_with() {
    let mut bench = Bench::leech();
    let mut outputs = Vec::new();
    for _ in 0..200 {
        let Some(peer) = bench.swarm.peers.get(&PeerKey(1)) else {
            break;
        };
        let index = peer.source.asked[0].index;
        outputs = bench.receive(
            1,
            Message::Reject {
                index,
                reason: RejectReason::NotStored,
            },
        );
        if bans(&outputs).is_empty() {
            bench.receive(
                1,
                Message::Have {
                    indexes: vec![index],
                },
            );
        }
    }
    assert_eq!(bans(&outputs), [(1, Misconduct::FalseClaim)]);
}

#[test]
fn a_silent_peer_is_snubbed_then_banned_and_others_are_asked() {
    let mut bench = Bench::leech();
    let asked = bench.asked(1);
    let mut banned = Vec::new();
    let mut ticks = 0;
    while banned.is_empty() {
        let wake = bench.log.iter().rev().find_map(|output| match output {
            Output::WakeAt(at) => Some(*at),
            _ => None,
        });
        bench.now = wake.unwrap().max(bench.now + Duration::from_millis(1));
        let outputs = bench.input(Input::Tick);
        banned = bans(&outputs);
        if sent(&outputs, 1).contains(&Message::Cancel {
            index: ChunkIndex(asked[0]),
        }) && ticks == 0
        {
            ticks += 1;
            assert!(bench.swarm.peers(bench.now).next().unwrap().snubbed);
            assert_eq!(
                bench.asked(1).len(),
                1,
                "one request tells whether it is back"
            );
        }
    }
    assert_eq!(banned, [(1, Misconduct::FalseClaim)]);
    assert!(
        bench.now > Time(40_000_000) && bench.now < Time(200_000_000),
        "{:?}",
        bench.now
    );
    let mut all = bench.seed(2);
    std::sync::Arc::make_mut(&mut bench.swarm.config).pipeline_min = 64;
    all.extend(bench.input(Input::Tick));
    assert!(
        asked
            .iter()
            .all(|index| requests(&all, 2).contains(index) || bench.asked(2).len() >= 15)
    );
}

#[test]
fn peers_and_bans_are_bounded() {
    let config = Config {
        peers_max: 3,
        banned_max: 2,
        ..exact()
    };
    let mut bench = Bench::with(true, config);
    for peer in 1..=3 {
        bench.hello(peer, None, 0);
    }
    assert_eq!(
        bench.input(Input::Connected { peer: PeerKey(4) }),
        [Output::Close { peer: PeerKey(4) }]
    );
    for peer in 1..=3 {
        bench.receive(
            peer,
            Message::Request {
                index: ChunkIndex(CHUNKS),
            },
        );
    }
    assert_eq!(bench.swarm.banned, [PeerKey(2), PeerKey(3)]);
}

#[test]
fn late_chunks_never_add_up_beyond_the_memory_bound() {
    let bound = 3 * CHUNK_SIZE;
    let config = Config {
        unstored_max: bound,
        ..exact()
    };
    let mut bench = Bench::with(false, config);
    bench.seed(1);
    let last = bench.chunk(CHUNKS - 1);
    bench.receive(1, last);
    bench.input(Input::Stored {
        index: ChunkIndex(CHUNKS - 1),
    });
    // Peer 1 is called off and holds back; the chunks are asked of others, whose chunks wait for the store.
    let held = bench.asked(1);
    bench.input(Input::Pause);
    std::sync::Arc::make_mut(&mut bench.swarm.config).pipeline_min = 3;
    bench.input(Input::Focus {
        chunks: (20..30).into(),
    });
    bench.input(Input::Resume);
    let stored: Vec<u32> = held
        .iter()
        .flat_map(|index| {
            let message = bench.chunk(*index);
            stores(&bench.receive(1, message))
        })
        .collect();
    assert_eq!(held.len(), 2);
    assert!(stored.is_empty(), "there was no room for what came late");
    assert_eq!(bench.swarm.progress().wasted_bytes, 2 * CHUNK_SIZE);
    assert!(
        bench.swarm.peers.contains_key(&PeerKey(1)),
        "being late is no misconduct"
    );
}
