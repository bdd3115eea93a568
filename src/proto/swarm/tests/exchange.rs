//! Fetching, serving, credit and the people's wishes, between peers that behave.

use super::*;

#[test]
fn a_chunk_is_told_of_and_served_once_it_is_verified() {
    let mut bench = Bench::leech();
    bench.hello(2, None, 0);
    let index = bench.asked(1)[0];
    let message = bench.chunk(index);
    let outputs = bench.receive(1, message);
    assert_eq!(stores(&outputs), [index]);
    let index = ChunkIndex(index);
    let have = Message::Have {
        indexes: vec![index],
    };
    assert_eq!(sent(&outputs, 2), [have]);
    bench.receive(2, Message::Credit { bytes: 1 << 20 });
    let outputs = bench.receive(2, Message::Request { index });
    let load = Output::Load {
        peer: PeerKey(2),
        index,
    };
    assert!(outputs.contains(&load), "served before it is durable");
    assert_eq!(
        bench.swarm.progress().stored,
        1,
        "progress is what is durable"
    );
    // A store that does not have it yet has not lost it.
    bench.input(Input::LoadFailed {
        peer: PeerKey(2),
        index,
    });
    assert!(bench.swarm.ledger.as_ref().unwrap().has(index));
    bench.input(Input::Stored { index });
    assert_eq!(bench.swarm.progress().stored, 2);
}

#[test]
fn a_whole_blob_completes_once() {
    let mut bench = Bench::leech();
    while let Some(index) = bench.asked(1).first().copied() {
        let message = bench.chunk(index);
        bench.receive(1, message);
        bench.now = bench.now + Duration::from_millis(5);
        bench.input(Input::Stored {
            index: ChunkIndex(index),
        });
    }
    assert!(bench.swarm.is_complete());
    assert_eq!(
        bench
            .log
            .iter()
            .filter(|output| **output == Output::Complete)
            .count(),
        1
    );
    let progress = bench.swarm.progress();
    assert_eq!(progress.stored_bytes, bench.tree.size().get());
    assert_eq!(
        (progress.down_bytes, progress.wasted_bytes),
        (bench.tree.size().get(), 0)
    );
}

#[test]
fn requests_stay_within_the_credit_and_credit_follows_the_store() {
    let config = Config {
        pipeline_min: 64,
        ..exact()
    };
    let mut bench = Bench::with(false, config);
    bench.seed(1);
    let last = bench.chunk(CHUNKS - 1);
    bench.receive(1, last);
    let window = bench.swarm.peers[&PeerKey(1)].source.granted;
    assert!(bench.asked(1).len() as u64 * CHUNK_SIZE <= window);
    let mut granted = 0;
    let mut credit = |outputs: Vec<Output>| {
        granted += sent(&outputs, 1)
            .iter()
            .map(|message| {
                if let Message::Credit { bytes } = message {
                    u64::from(*bytes)
                } else {
                    0
                }
            })
            .sum::<u64>();
        granted
    };
    // Nothing is durable: however much arrives, the window does not move.
    let asked = bench.asked(1);
    for index in &asked[..8] {
        let message = bench.chunk(*index);
        assert_eq!(credit(bench.receive(1, message)), 0);
    }
    for index in &asked[..8] {
        credit(bench.input(Input::Stored {
            index: ChunkIndex(*index),
        }));
    }
    assert!(credit(Vec::new()) >= 4 * CHUNK_SIZE);
}

#[test]
fn serving_takes_turns_and_stays_within_credit_and_bounds() {
    let mut bench = Bench::with(
        true,
        Config {
            serving_per_peer: 2,
            serving_min: 3,
            serving_max: 3,
            ..exact()
        },
    );
    for peer in [1, 2] {
        bench.hello(peer, None, CHUNK_SIZE as u32 * 4);
    }
    let mut loads = Vec::new();
    let mut note = |outputs: Vec<Output>| {
        loads.extend(outputs.into_iter().filter_map(|output| match output {
            Output::Load { peer, index } => Some((peer.0, index)),
            _ => None,
        }));
        loads.clone()
    };
    for at in 0..10 {
        for peer in [1, 2] {
            note(bench.receive(
                peer,
                Message::Request {
                    index: ChunkIndex(at),
                },
            ));
        }
    }
    let begun = note(Vec::new());
    assert_eq!(begun.len(), 3);
    let mut served = 0;
    while served < note(Vec::new()).len() {
        let (peer, index) = note(Vec::new())[served];
        served += 1;
        let Message::Chunk { proof, data, .. } = bench.chunk(index.0) else {
            unreachable!()
        };
        let outputs = bench.input(Input::Loaded {
            peer: PeerKey(peer),
            index,
            data,
            proof,
        });
        assert_eq!(sent(&outputs, peer), [bench.chunk(index.0)]);
        note(bench.input(Input::Sent {
            peer: PeerKey(peer),
            index,
        }));
    }
    let all = note(Vec::new());
    assert_eq!(all.len(), 8, "four chunks of credit each: {all:?}");
    assert_eq!(all.iter().filter(|(peer, _)| *peer == 1).count(), 4);
    let more = note(bench.receive(
        1,
        Message::Credit {
            bytes: CHUNK_SIZE as u32,
        },
    ));
    assert_eq!(more.len(), 9);
    let view = bench.swarm.peers(bench.now).next().unwrap();
    assert_eq!(view.up_bytes, 4 * CHUNK_SIZE);
}

#[test]
fn nothing_is_served_without_consent() {
    let mut bench = Bench::new(true);
    bench.input(Input::AllowUpload(false));
    let size = bench.tree.size();
    let outputs = bench.hello(1, None, 1 << 24);
    assert!(
        sent(&outputs, 1)
            .iter()
            .all(|message| matches!(message, Message::Hello { .. }))
    );
    let index = ChunkIndex(3);
    let refusal = Message::Reject {
        index,
        reason: RejectReason::NotServing,
    };
    assert_eq!(
        sent(&bench.receive(1, Message::Request { index }), 1),
        std::slice::from_ref(&refusal)
    );
    // Given, it is announced; withdrawn, what was begun is refused.
    assert_eq!(
        sent(&bench.input(Input::AllowUpload(true)), 1),
        [Message::HaveAll { size }]
    );
    bench.receive(1, Message::Request { index });
    let outputs = bench.input(Input::AllowUpload(false));
    assert_eq!(
        sent(&outputs, 1),
        [Message::Bitfield {
            size,
            bits: Bitfield::new(CHUNKS)
        }]
    );
    let Message::Chunk { proof, data, .. } = bench.chunk(3) else {
        unreachable!()
    };
    let outputs = bench.input(Input::Loaded {
        peer: PeerKey(1),
        index,
        data,
        proof,
    });
    assert_eq!(sent(&outputs, 1), [refusal]);
}

#[test]
fn a_chunk_that_cannot_be_read_is_refused_and_fetched_again() {
    let mut bench = Bench::new(true);
    bench.hello(1, None, 1 << 24);
    let index = ChunkIndex(5);
    bench.receive(1, Message::Request { index });
    let outputs = bench.input(Input::LoadFailed {
        peer: PeerKey(1),
        index,
    });
    let refusal = Message::Reject {
        index,
        reason: RejectReason::NotStored,
    };
    assert_eq!(sent(&outputs, 1), std::slice::from_ref(&refusal));
    assert!(!bench.swarm.is_complete());
    assert_eq!(
        sent(&bench.receive(1, Message::Request { index }), 1),
        [refusal]
    );
    assert_eq!(requests(&bench.seed(2), 2), [5]);
}

#[test]
fn cancelled_requests_are_not_served() {
    let mut bench = Bench::new(true);
    bench.hello(1, None, 1 << 24);
    let index = ChunkIndex(5);
    bench.receive(1, Message::Request { index });
    bench.receive(1, Message::Cancel { index });
    let Message::Chunk { proof, data, .. } = bench.chunk(5) else {
        unreachable!()
    };
    assert_eq!(
        sent(
            &bench.input(Input::Loaded {
                peer: PeerKey(1),
                index,
                data,
                proof
            }),
            1
        ),
        []
    );
    assert_eq!(
        bench.swarm.peers[&PeerKey(1)].client.credit,
        1 << 24,
        "its credit is whole again"
    );
}

#[test]
fn refused_chunks_are_asked_elsewhere() {
    let mut bench = Bench::leech();
    bench.seed(2);
    let index = ChunkIndex(bench.asked(1)[0]);
    bench.input(Input::Focus {
        chunks: (index.0..index.0 + 1).into(),
    });
    let reject = Message::Reject {
        index,
        reason: RejectReason::NotStored,
    };
    let outputs = bench.receive(1, reject);
    assert!(
        !requests(&outputs, 1).contains(&index.0),
        "asked the same peer again"
    );
    let peer2 = bench.asked(2)[0];
    let message = bench.chunk(peer2);
    assert_eq!(requests(&bench.receive(2, message), 2), [index.0]);
    let outputs = bench.receive(
        1,
        Message::Reject {
            index: ChunkIndex(0),
            reason: RejectReason::NotServing,
        },
    );
    assert_eq!(
        bans(&outputs),
        [],
        "an answer that crosses a cancel is harmless"
    );
}

#[test]
fn a_late_chunk_redeems_a_snubbed_peer() {
    let mut bench = Bench::leech();
    let late = bench.asked(1)[0];
    bench.now = bench.now + Duration::from_secs(60);
    bench.input(Input::Tick);
    let message = bench.chunk(late);
    let outputs = bench.receive(1, message);
    assert_eq!(stores(&outputs), [late]);
    assert!(!bench.swarm.peers(bench.now).next().unwrap().snubbed);
}

#[test]
fn a_failing_store_pauses_until_resumed() {
    let mut bench = Bench::leech();
    let asked = bench.asked(1);
    let message = bench.chunk(asked[0]);
    bench.receive(1, message);
    let outputs = bench.input(Input::StoreFailed {
        index: ChunkIndex(asked[0]),
    });
    assert!(bench.swarm.progress().paused);
    assert!(requests(&outputs, 1).is_empty());
    assert_eq!(bench.swarm.progress().in_flight, 0);
    bench.input(Input::Focus {
        chunks: (asked[0]..asked[0] + 1).into(),
    });
    assert_eq!(requests(&bench.input(Input::Resume), 1)[0], asked[0]);
}

#[test]
fn at_the_end_requests_change_hands_and_few_are_doubled() {
    let mut bench = Bench::leech();
    std::sync::Arc::make_mut(&mut bench.swarm.config).pipeline_min = 64;
    bench.input(Input::Tick);
    // Peer 1 has been asked for as much as its credit allows; let it deliver all but the last few.
    let unasked = |bench: &Bench| bench.swarm.ledger.as_ref().unwrap().picker.len();
    while unasked(&bench) > 0 {
        let index = bench.asked(1)[0];
        let message = bench.chunk(index);
        bench.now = bench.now + Duration::from_millis(1);
        bench.receive(1, message);
        bench.input(Input::Stored {
            index: ChunkIndex(index),
        });
    }
    let left = bench.asked(1);
    assert!(left.len() > 4, "{left:?}");
    bench.seed(2);
    assert!(bench.asked(2).is_empty(), "peer 1 is as quick as ever");
    // Peer 1 falls silent: what it has not begun is taken back, from the end, and the rest is doubled sparingly.
    bench.now = bench.now + Duration::from_secs(5);
    let outputs = bench.input(Input::Tick);
    let (taken, doubled): (Vec<u32>, Vec<u32>) = bench
        .asked(2)
        .into_iter()
        .partition(|index| !bench.asked(1).contains(index));
    assert!(!taken.is_empty());
    assert_eq!(bench.asked(2).first(), left.last(), "the last one first");
    for index in &taken {
        let cancel = Message::Cancel {
            index: ChunkIndex(*index),
        };
        assert!(sent(&outputs, 1).contains(&cancel));
    }
    assert!(doubled.len() <= bench.swarm.config.duplicates_min as usize);
    for index in bench.asked(2) {
        let message = bench.chunk(index);
        bench.receive(2, message.clone());
        assert_eq!(
            bans(&bench.receive(1, message)),
            [],
            "a cancelled chunk may still come"
        );
    }
}

#[test]
fn useless_peers_make_room() {
    let mut bench = Bench::with(
        true,
        Config {
            peers_max: 2,
            ..exact()
        },
    );
    bench.seed(1);
    bench.input(Input::Connected { peer: PeerKey(2) });
    let outputs = bench.hello(3, None, 0);
    assert!(
        outputs.contains(&Output::Close { peer: PeerKey(1) }),
        "both have everything"
    );
    assert_eq!(
        bench.input(Input::Connected { peer: PeerKey(4) }),
        [Output::Close { peer: PeerKey(4) }]
    );
    bench.now = bench.now + Duration::from_secs(30);
    let outputs = bench.input(Input::Connected { peer: PeerKey(4) });
    assert_eq!(
        outputs[0],
        Output::Close { peer: PeerKey(2) },
        "never said hello"
    );
    assert!(bench.swarm.peers.contains_key(&PeerKey(4)));
}

#[test]
fn a_second_connection_replaces_the_first() {
    let mut bench = Bench::leech();
    let asked = bench.asked(1);
    bench.seed(1);
    assert_eq!(bench.swarm.peers.len(), 1);
    assert_eq!(bench.asked(1).len(), asked.len());
    bench.input(Input::Disconnected { peer: PeerKey(1) });
    assert_eq!(bench.swarm.progress().in_flight, 0);
    assert_eq!(requests(&bench.seed(2), 2).len(), 2);
}

#[test]
fn a_lone_seed_suggests_different_chunks_to_different_leeches() {
    let mut bench = Bench::new(true);
    let mut seen = std::collections::BTreeSet::new();
    let mut hints = 0;
    for peer in 1..=5 {
        for message in sent(&bench.hello(peer, None, 0), peer) {
            if let Message::Suggest { index } = message {
                hints += 1;
                assert!(seen.insert(index), "suggested twice");
            }
        }
    }
    assert_eq!(hints, 8, "two for each but the first, who was alone");
}
