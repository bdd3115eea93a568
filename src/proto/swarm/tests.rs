#![allow(clippy::unwrap_used)]

use std::time::Duration;

use bytes::Bytes;
use proptest::prelude::*;

use super::*;
use crate::proto::tree::{Tree, TreeBuilder};

const CHUNKS: u32 = 40;

/// A blob and one swarm of it; every input is followed by a full drain.
struct Bench {
    data: Vec<Bytes>,
    tree: Tree,
    swarm: Swarm,
    now: Time,
    log: Vec<Output>,
}

impl Bench {
    fn new(complete: bool) -> Self {
        Self::with(complete, Config::default())
    }

    fn with(complete: bool, config: Config) -> Self {
        let lengths = (0..CHUNKS).map(|at| {
            if at + 1 == CHUNKS {
                1000
            } else {
                CHUNK_SIZE as usize
            }
        });
        let data: Vec<Bytes> = lengths
            .zip(0..)
            .map(|(len, fill)| vec![fill; len].into())
            .collect();
        let mut builder = TreeBuilder::new();
        data.iter()
            .for_each(|chunk| builder.push_chunk(chunk).unwrap());
        let tree = builder.finish();
        let size = complete.then_some(tree.size());
        let stored = (0..CHUNKS).filter(|_| complete).map(ChunkIndex);
        let mut swarm = Swarm::new(config, tree.root(), size, stored, 1);
        swarm.handle(Input::AllowUpload(true), Time(0));
        Self {
            data,
            tree,
            swarm,
            now: Time(1_000_000),
            log: Vec::new(),
        }
    }

    fn input(&mut self, input: Input) -> Vec<Output> {
        self.swarm.handle(input, self.now);
        let outputs: Vec<Output> = std::iter::from_fn(|| self.swarm.poll_output()).collect();
        self.log.extend(outputs.iter().cloned());
        outputs
    }

    fn receive(&mut self, peer: u64, message: Message) -> Vec<Output> {
        self.input(Input::Received {
            peer: PeerKey(peer),
            message,
        })
    }

    fn hello(&mut self, peer: u64, size: Option<BlobSize>, credit: u32) -> Vec<Output> {
        let mut outputs = self.input(Input::Connected {
            peer: PeerKey(peer),
        });
        let hello = Message::Hello {
            version: REVISION,
            blob: self.tree.root(),
            size,
            credit,
        };
        outputs.extend(self.receive(peer, hello));
        outputs
    }

    /// A peer that says it has everything.
    fn seed(&mut self, peer: u64) -> Vec<Output> {
        let size = self.tree.size();
        self.hello(peer, Some(size), 1 << 24);
        self.receive(peer, Message::HaveAll { size })
    }

    fn chunk(&self, index: u32) -> Message {
        let at = ChunkIndex(index);
        Message::Chunk {
            index: at,
            proof: self.tree.proof(at).unwrap(),
            data: self.data[index as usize].clone(),
        }
    }

    /// A leech past the proof of the size, with one seed (peer 1).
    fn leech() -> Self {
        let mut bench = Self::new(false);
        let outputs = bench.seed(1);
        assert_eq!(requests(&outputs, 1), [CHUNKS - 1]);
        let message = bench.chunk(CHUNKS - 1);
        let outputs = bench.receive(1, message);
        assert!(outputs.contains(&Output::SizeProved(bench.tree.size())));
        bench.input(Input::Stored {
            index: ChunkIndex(CHUNKS - 1),
        });
        bench
    }

    fn asked(&self, peer: u64) -> Vec<u32> {
        self.swarm.peers[&PeerKey(peer)]
            .source
            .asked
            .iter()
            .map(|asked| asked.index.0)
            .collect()
    }
}

fn requests(outputs: &[Output], to: u64) -> Vec<u32> {
    let asked = |output: &Output| match output {
        Output::Send {
            peer,
            message: Message::Request { index },
        } if peer.0 == to => Some(index.0),
        _ => None,
    };
    outputs.iter().filter_map(asked).collect()
}

fn sent(outputs: &[Output], to: u64) -> Vec<Message> {
    let message = |output: &Output| match output {
        Output::Send { peer, message } if peer.0 == to => Some(message.clone()),
        _ => None,
    };
    outputs.iter().filter_map(message).collect()
}

fn bans(outputs: &[Output]) -> Vec<(u64, Misconduct)> {
    let ban = |output: &Output| match output {
        Output::Ban { peer, reason } => Some((peer.0, *reason)),
        _ => None,
    };
    outputs.iter().filter_map(ban).collect()
}

fn stores(outputs: &[Output]) -> Vec<u32> {
    let store = |output: &Output| match output {
        Output::Store { index, .. } => Some(index.0),
        _ => None,
    };
    outputs.iter().filter_map(store).collect()
}

#[test]
fn a_verified_chunk_is_stored_before_it_is_announced() {
    let mut bench = Bench::leech();
    bench.hello(2, None, 0);
    let index = bench.asked(1)[0];
    let message = bench.chunk(index);
    let outputs = bench.receive(1, message);
    assert_eq!(stores(&outputs), [index]);
    assert!(
        sent(&outputs, 2).is_empty(),
        "announced before it was durable"
    );
    let outputs = bench.input(Input::Stored {
        index: ChunkIndex(index),
    });
    assert_eq!(
        sent(&outputs, 2),
        [Message::Have {
            indexes: vec![ChunkIndex(index)]
        }]
    );
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
        assert_eq!(stores(&outputs), []);
        assert_eq!(bench.swarm.progress().wasted_bytes, CHUNK_SIZE);
        // It never comes back, under whatever it claims, and others are asked for the chunk.
        let outputs = bench.input(Input::Connected { peer: PeerKey(1) });
        assert_eq!(outputs, [Output::Close { peer: PeerKey(1) }]);
        bench.input(Input::Focus {
            chunks: index..index + 1,
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
        ..Config::default()
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
fn requests_stay_within_the_credit_and_credit_follows_the_store() {
    let config = Config {
        pipeline_min: 64,
        ..Config::default()
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
fn false_claims_of_the_size_are_found_out() {
    let mut bench = Bench::new(false);
    let lie = BlobSize::new(bench.tree.size().get() + CHUNK_SIZE).unwrap();
    bench.hello(1, Some(lie), 0);
    let outputs = bench.receive(1, Message::HaveAll { size: lie });
    assert_eq!(requests(&outputs, 1), [CHUNKS], "the last chunk as claimed");
    // A third claims the same as the first: it is not asked at once.
    bench.hello(3, Some(lie), 0);
    assert_eq!(
        requests(&bench.receive(3, Message::HaveAll { size: lie }), 3),
        []
    );
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
            ..Config::default()
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
fn serving_takes_turns_and_stays_within_credit_and_bounds() {
    let mut bench = Bench::with(
        true,
        Config {
            serving_per_peer: 2,
            serving_max: 3,
            ..Config::default()
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
        chunks: index.0..index.0 + 1,
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
    bench.swarm.config.pipeline_min = 64;
    all.extend(bench.input(Input::Tick));
    assert!(
        asked
            .iter()
            .all(|index| requests(&all, 2).contains(index) || bench.asked(2).len() >= 15)
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
    assert_eq!(requests(&outputs, 1), []);
    assert_eq!(bench.swarm.progress().in_flight, 0);
    bench.input(Input::Focus {
        chunks: asked[0]..asked[0] + 1,
    });
    assert_eq!(requests(&bench.input(Input::Resume), 1)[0], asked[0]);
}

#[test]
fn the_endgame_asks_twice_at_most_and_cancels_the_rest() {
    let mut bench = Bench::leech();
    bench.swarm.config.pipeline_min = 64;
    bench.input(Input::Tick);
    // Peer 1 has been asked for as much as its credit allows; let it deliver all but the last few.
    while bench
        .swarm
        .ledger
        .as_ref()
        .is_some_and(|ledger| !ledger.picker.is_empty())
    {
        let index = bench.asked(1)[0];
        let message = bench.chunk(index);
        bench.receive(1, message);
        bench.input(Input::Stored {
            index: ChunkIndex(index),
        });
    }
    let left = bench.asked(1);
    assert!(!left.is_empty());
    bench.seed(2);
    bench.seed(3);
    assert_eq!(
        bench.asked(2).len() + bench.asked(3).len(),
        0,
        "not slow yet"
    );
    bench.now = bench.now + Duration::from_secs(3);
    bench.input(Input::Tick);
    let (two, three) = (bench.asked(2), bench.asked(3));
    assert!(!two.is_empty() || !three.is_empty());
    assert!(two.iter().all(|index| !three.contains(index)));
    let index = two.first().or(three.first()).copied().unwrap();
    let message = bench.chunk(index);
    let outputs = bench.receive(if two.is_empty() { 3 } else { 2 }, message.clone());
    assert_eq!(
        sent(&outputs, 1),
        [Message::Cancel {
            index: ChunkIndex(index)
        }]
    );
    assert_eq!(
        bans(&bench.receive(1, message)),
        [],
        "a cancelled chunk may still come"
    );
    assert!(bench.swarm.progress().wasted_bytes > 0);
}

#[test]
fn peers_and_bans_are_bounded() {
    let config = Config {
        peers_max: 3,
        banned_max: 2,
        ..Config::default()
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
fn useless_peers_make_room() {
    let mut bench = Bench::with(
        true,
        Config {
            peers_max: 2,
            ..Config::default()
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
    assert_eq!(hints, 16, "four for each but the first, who was alone");
}

fn any_message(blob: BlobHash, size: BlobSize) -> impl Strategy<Value = Message> {
    let index = || (0..CHUNKS + 2).prop_map(ChunkIndex);
    let bytes = || prop::collection::vec(any::<u8>(), 0..40).prop_map(Bytes::from);
    let reason = prop_oneof![
        Just(RejectReason::NotStored),
        Just(RejectReason::NotServing)
    ];
    prop_oneof![
        1 => any::<u32>().prop_map(move |credit| Message::Hello { version: 1, blob, size: Some(size), credit }),
        1 => Just(Message::HaveAll { size }),
        1 => prop::collection::vec(0..CHUNKS, 0..20).prop_map(move |some| {
            let mut bits = Bitfield::new(CHUNKS);
            some.iter().for_each(|index| { bits.insert(*index); });
            Message::Bitfield { size, bits }
        }),
        3 => prop::collection::vec(0..CHUNKS, 1..5)
            .prop_map(|some| Message::Have { indexes: some.into_iter().map(ChunkIndex).collect() }),
        3 => index().prop_map(|index| Message::Request { index }),
        1 => (index(), bytes(), bytes()).prop_map(|(index, proof, data)| Message::Chunk { index, proof, data }),
        2 => index().prop_map(|index| Message::Cancel { index }),
        2 => any::<u32>().prop_map(|bytes| Message::Credit { bytes }),
        3 => (index(), reason).prop_map(|(index, reason)| Message::Reject { index, reason }),
        1 => index().prop_map(|index| Message::Suggest { index }),
    ]
}

/// What happens to a swarm, one step.
#[derive(Debug, Clone)]
enum Step {
    Connect(u64),
    Disconnect(u64),
    Receive(u64, Message),
    /// The oldest request to this peer is answered rightly.
    Answer(u64),
    /// The oldest store or load is done, well or badly.
    Edge(bool),
    Wait(u64),
    Local(Input),
}

fn step(blob: BlobHash, size: BlobSize) -> impl Strategy<Value = Step> {
    let peer = || 0u64..4;
    let local = prop_oneof![
        (0..CHUNKS + 2, 0..CHUNKS + 2).prop_map(|(a, b)| Input::Focus { chunks: a..b }),
        any::<bool>().prop_map(Input::AllowUpload),
        Just(Input::Pause),
        Just(Input::Resume),
        Just(Input::Tick),
    ];
    prop_oneof![
        2 => peer().prop_map(Step::Connect),
        1 => peer().prop_map(Step::Disconnect),
        8 => (peer(), any_message(blob, size)).prop_map(|(peer, message)| Step::Receive(peer, message)),
        12 => peer().prop_map(Step::Answer),
        8 => any::<bool>().prop_map(Step::Edge),
        2 => (0u64..40_000_000).prop_map(Step::Wait),
        3 => local.prop_map(Step::Local),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    /// Whatever peers and edges do, in whatever order: no panic, no bound broken, nothing stored that is not the blob's,
    /// nothing asked twice, every chunk accounted for.
    #[test]
    fn no_order_of_events_breaks_an_invariant(complete: bool, steps in {
        let bench = Bench::new(false);
        prop::collection::vec(step(bench.tree.root(), bench.tree.size()), 1..200)
    }) {
        let config = Config { peers_max: 3, unstored_max: 6 * CHUNK_SIZE, banned_max: 1, ..Config::default() };
        let mut bench = Bench::with(complete, config);
        let mut edges: VecDeque<Input> = VecDeque::new();
        for step in steps {
            let inputs = match step {
                Step::Connect(peer) => {
                    let hello = Message::Hello {
                        version: 1, blob: bench.tree.root(), size: Some(bench.tree.size()), credit: 1 << 22,
                    };
                    let all = Message::HaveAll { size: bench.tree.size() };
                    let peer = PeerKey(peer);
                    vec![
                        Input::Connected { peer },
                        Input::Received { peer, message: hello },
                        Input::Received { peer, message: all },
                    ]
                }
                Step::Disconnect(peer) => vec![Input::Disconnected { peer: PeerKey(peer) }],
                Step::Receive(peer, message) => vec![Input::Received { peer: PeerKey(peer), message }],
                Step::Answer(peer) => {
                    let asked = bench.swarm.peers.get(&PeerKey(peer)).and_then(|peer| peer.source.asked.first());
                    let index = asked.map(|asked| asked.index.0);
                    index.map(|index| Input::Received { peer: PeerKey(peer), message: bench.chunk(index) }).into_iter().collect()
                }
                Step::Edge(well) => match edges.pop_front() {
                    Some(Input::Stored { index }) if !well => vec![Input::StoreFailed { index }],
                    Some(Input::Loaded { peer, index, .. }) if !well => vec![Input::LoadFailed { peer, index }],
                    other => other.into_iter().collect(),
                },
                Step::Wait(micros) => { bench.now = bench.now + Duration::from_micros(micros); vec![Input::Tick] }
                Step::Local(input) => vec![input],
            };
            for input in inputs {
                for output in bench.input(input) {
                    match output {
                        Output::Store { index, data, .. } => {
                            prop_assert_eq!(&data, &bench.data[index.0 as usize]);
                            edges.push_back(Input::Stored { index });
                        }
                        Output::Load { peer, index } => {
                            let Message::Chunk { data, proof, .. } = bench.chunk(index.0) else { unreachable!() };
                            edges.push_back(Input::Loaded { peer, index, data, proof });
                        }
                        Output::Send { peer, message: Message::Chunk { index, .. } } => {
                            edges.push_back(Input::Sent { peer, index });
                        }
                        Output::SizeProved(size) => prop_assert_eq!(size, bench.tree.size()),
                        _ => {}
                    }
                }
                check(&bench.swarm)?;
            }
        }
    }
}

fn check(swarm: &Swarm) -> Result<(), TestCaseError> {
    prop_assert!(swarm.peers.len() <= 3 && swarm.banned.len() <= 1);
    let asked: u64 = swarm
        .peers
        .values()
        .map(|peer| peer.source.asked_bytes())
        .sum();
    let Some(ledger) = &swarm.ledger else {
        return Ok(());
    };
    prop_assert!(asked + ledger.unstored_bytes() <= swarm.config.unstored_max);
    for peer in swarm.peers.values() {
        prop_assert!(peer.source.asked_bytes() <= peer.source.granted);
        prop_assert!(peer.client.serving.len() <= swarm.config.serving_per_peer);
        prop_assert!(peer.source.forgiven.len() <= swarm.config.grace_max);
        prop_assert!(peer.source.hints.len() <= swarm.config.hints_max);
        let mut indexes: Vec<u32> = peer
            .source
            .asked
            .iter()
            .map(|asked| asked.index.0)
            .collect();
        indexes.sort_unstable();
        prop_assert!(
            indexes.windows(2).all(|pair| pair[0] != pair[1]),
            "asked twice"
        );
    }
    for index in 0..CHUNKS {
        let holders = |holds: &Holds| *holds != Holds::All && holds.contains(index);
        let partial = swarm
            .peers
            .values()
            .filter(|peer| holders(&peer.holds))
            .count();
        prop_assert_eq!(
            usize::from(ledger.picker.availability().partial(index)),
            partial
        );
        let at = ChunkIndex(index);
        let askers = swarm
            .peers
            .values()
            .filter(|peer| peer.source.asked.iter().any(|asked| asked.index == at));
        let states = [
            ledger.picker.wants(index),
            askers.count() > 0,
            ledger.has(at),
        ];
        prop_assert_eq!(
            states.iter().filter(|state| **state).count(),
            1,
            "chunk {}: {:?}",
            index,
            states
        );
    }
    Ok(())
}
