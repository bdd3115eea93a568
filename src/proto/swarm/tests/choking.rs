//! Slots, interest and the proof of the size, between peers that know of them.

use super::*;

impl Bench {
    /// A peer that chokes and is choked.
    fn modern(&mut self, peer: u64, size: Option<BlobSize>) -> Vec<Output> {
        let key = PeerKey(peer);
        let mut outputs = self.input(Input::Connected { peer: key });
        let hello = Message::Hello {
            version: REVISION,
            blob: self.tree.root(),
            size,
            credit: 1 << 24,
        };
        outputs.extend(self.receive(peer, hello));
        outputs
    }
}

fn unchoked(outputs: &[Output]) -> Vec<u64> {
    let key = |output: &Output| match output {
        Output::Send {
            peer,
            message: Message::Unchoke,
        } => Some(peer.0),
        _ => None,
    };
    outputs.iter().filter_map(key).collect()
}

/// Chunks that were suggested to a peer.
fn hints(outputs: &[Output], to: u64) -> Vec<ChunkIndex> {
    let hint = |message| match message {
        Message::Suggest { index } => Some(index),
        _ => None,
    };
    sent(outputs, to).into_iter().filter_map(hint).collect()
}

#[test]
fn slots_go_round_and_the_choked_are_not_served() {
    let mut bench = Bench::new(true);
    let size = bench.tree.size();
    let mut slots = Vec::new();
    for peer in 1..=6 {
        bench.modern(peer, Some(size));
        slots.extend(unchoked(&bench.receive(peer, Message::Interested)));
    }
    assert_eq!(slots, [1, 2, 3], "two and the optimistic one");
    let index = ChunkIndex(4);
    let load = |peer| Output::Load {
        peer: PeerKey(peer),
        index,
    };
    assert!(
        bench
            .receive(1, Message::Request { index })
            .contains(&load(1))
    );
    let outputs = bench.receive(4, Message::Request { index });
    assert_eq!(sent(&outputs, 4), [], "dropped without a word");
    assert!(!outputs.contains(&load(4)));
    // Who wants nothing makes room at once.
    let outputs = bench.receive(2, Message::NotInterested);
    assert_eq!(sent(&outputs, 2), [Message::Choke]);
    assert_eq!(unchoked(&outputs).len(), 1);
    // In a minute everybody has had a turn.
    for _ in 0..60 {
        bench.now = bench.now + Duration::from_secs(1);
        bench.input(Input::Tick);
    }
    let all = unchoked(&bench.log);
    assert!(
        [1, 3, 4, 5, 6].iter().all(|peer| all.contains(peer)),
        "{all:?}"
    );
}

#[test]
fn what_a_peer_chokes_is_asked_elsewhere_and_may_still_come() {
    let mut bench = Bench::new(false);
    let size = bench.tree.size();
    bench.modern(1, Some(size));
    let outputs = bench.receive(1, Message::HaveAll { size });
    assert_eq!(sent(&outputs, 1), [Message::Interested]);
    assert!(requests(&outputs, 1).is_empty(), "not while choked");
    assert_eq!(
        requests(&bench.receive(1, Message::Unchoke), 1),
        [CHUNKS - 1]
    );
    let last = bench.chunk(CHUNKS - 1);
    bench.receive(1, last);
    let asked = bench.asked(1);
    assert!(!asked.is_empty());
    bench.receive(1, Message::Choke);
    assert!(bench.asked(1).is_empty());
    bench.input(Input::Focus {
        chunks: (asked[0]..asked[0] + 1).into(),
    });
    assert_eq!(requests(&bench.seed(2), 2)[0], asked[0]);
    let message = bench.chunk(asked[0]);
    let outputs = bench.receive(1, message);
    assert_eq!(bans(&outputs), [], "it crossed the choke");
    assert_eq!(stores(&outputs), [asked[0]]);
}

#[test]
fn a_slot_that_is_of_no_use_is_given_back() {
    let mut bench = Bench::leech();
    let size = bench.tree.size();
    bench.modern(2, Some(size));
    let outputs = bench.receive(2, Message::Unchoke);
    assert_eq!(
        sent(&outputs, 2),
        [Message::NotInterested],
        "it has nothing"
    );
    let index = ChunkIndex(0);
    let wanted = bench.swarm.ledger.as_ref().unwrap().picker.wants(0);
    let outputs = bench.receive(
        2,
        Message::Have {
            indexes: vec![index],
        },
    );
    assert_eq!(requests(&outputs, 2).len(), usize::from(wanted));
}

#[test]
fn the_size_is_proved_by_the_tail_and_passed_on() {
    let mut seed = Bench::new(true);
    let last = seed.tree.size().last_chunk();
    let outputs = seed.modern(1, None);
    let load = Output::Load {
        peer: PeerKey(1),
        index: last,
    };
    assert!(outputs.contains(&load), "cut from the last chunk");
    let Message::Chunk { data, proof, .. } = seed.chunk(last.0) else {
        unreachable!()
    };
    let outputs = seed.input(Input::Loaded {
        peer: PeerKey(1),
        index: last,
        data,
        proof,
    });
    let [Message::Tail(tail)] = &sent(&outputs, 1)[..] else {
        panic!("{outputs:?}")
    };
    let mut bench = Bench::new(false);
    bench.modern(1, Some(tail.size));
    bench.modern(2, None);
    let outputs = bench.receive(1, Message::Tail(tail.clone()));
    assert!(outputs.contains(&Output::SizeProved(tail.size)));
    assert!(sent(&outputs, 2).contains(&Message::Tail(tail.clone())));
    let mut wrong = tail.clone();
    wrong.size = BlobSize::new(tail.size.get() - 1).unwrap();
    let mut bench = Bench::new(false);
    bench.modern(1, None);
    let outputs = bench.receive(1, Message::Tail(wrong));
    assert_eq!(bans(&outputs), [(1, Misconduct::WrongBytes)]);
}

#[test]
fn a_last_chunk_asked_for_when_the_size_is_proved_is_not_asked_for_again() {
    let mut bench = Bench::new(false);
    let size = bench.tree.size();
    assert_eq!(requests(&bench.seed(1), 1), [CHUNKS - 1]);
    let tail = bench.tail();
    bench.modern(2, Some(size));
    bench.receive(2, Message::HaveAll { size });
    bench.receive(2, Message::Unchoke);
    let outputs = bench.receive(2, Message::Tail(tail));
    assert!(outputs.contains(&Output::SizeProved(size)));
    let wanted = |bench: &Bench| {
        let ledger = bench.swarm.ledger.as_ref().unwrap();
        ledger.picker.wants(CHUNKS - 1)
    };
    assert!(bench.asked(1).contains(&(CHUNKS - 1)));
    assert!(!wanted(&bench) && !bench.asked(2).contains(&(CHUNKS - 1)));
    // If it does not come, it is wanted again.
    bench.input(Input::Disconnected { peer: PeerKey(1) });
    assert!(wanted(&bench) || bench.asked(2).contains(&(CHUNKS - 1)));
}

#[test]
fn a_hint_that_a_bound_forbids_to_follow_is_followed_later() {
    let mut bench = Bench::leech();
    bench.input(Input::Disconnected { peer: PeerKey(1) });
    let size = bench.tree.size();
    bench.modern(2, Some(size));
    bench.receive(2, Message::HaveAll { size });
    bench.swarm.bound_unstored(Some(CHUNK_SIZE));
    for index in [3, 5, 7].map(ChunkIndex) {
        bench.receive(2, Message::Suggest { index });
    }
    bench.receive(2, Message::Unchoke);
    for index in [3, 5, 7] {
        assert_eq!(bench.asked(2), [index], "one at a time, none left out");
        let message = bench.chunk(index);
        bench.receive(2, message);
        bench.input(Input::Stored {
            index: ChunkIndex(index),
        });
    }
}

#[test]
fn what_was_hinted_to_one_that_wants_nothing_is_hinted_anew() {
    let mut bench = Bench::new(true);
    let size = bench.tree.size();
    bench.modern(1, Some(size));
    bench.modern(2, Some(size));
    let mut given = hints(&bench.receive(1, Message::Interested), 1);
    let other = bench.receive(2, Message::Interested);
    given.extend(hints(&other, 2));
    assert!(!given.is_empty());
    // One of them loses interest again and again, and asks for nothing; the other takes all that it is told.
    let mut asked = Vec::new();
    for _ in 0..10 * CHUNKS {
        bench.receive(1, Message::NotInterested);
        bench.receive(1, Message::Interested);
        let told = hints(&bench.log, 2);
        if let Some(index) = told.into_iter().find(|index| !asked.contains(index)) {
            asked.push(index);
            bench.receive(2, Message::Request { index });
            bench.receive(2, Message::Cancel { index });
        }
    }
    let told: std::collections::BTreeSet<ChunkIndex> = hints(&bench.log, 1)
        .into_iter()
        .chain(hints(&bench.log, 2))
        .collect();
    assert_eq!(told.len(), CHUNKS as usize, "nothing is lost between them");
}

#[test]
fn one_that_is_left_alone_with_a_seed_that_gave_hints_may_ask_for_anything() {
    let mut bench = Bench::new(true);
    let size = bench.tree.size();
    for peer in [1, 2] {
        bench.modern(peer, Some(size));
        bench.receive(peer, Message::Interested);
    }
    let hinted = |message: &Message| matches!(message, Message::Suggest { .. });
    assert!(sent(&bench.log, 2).iter().any(hinted));
    // The first was sent a chunk that nobody else has, and leaves with it.
    let first = sent(&bench.log, 1).into_iter().find(hinted);
    let Some(Message::Suggest { index }) = first else {
        panic!("no hint");
    };
    bench.receive(1, Message::Request { index });
    bench.log.clear();
    bench.input(Input::Disconnected { peer: PeerKey(1) });
    assert!(sent(&bench.log, 2).contains(&Message::HaveAll { size }));
    bench.log.clear();
    bench.receive(2, Message::Request { index });
    assert!(!sent(&bench.log, 2).iter().any(hinted), "alone");
    // With a third it is given hints again, as often as it may be told of the end of them.
    for third in 3..40 {
        bench.modern(third, Some(size));
        bench.receive(third, Message::Interested);
        bench.input(Input::Disconnected {
            peer: PeerKey(third),
        });
    }
    let all = sent(&bench.log, 2);
    let last = all.iter().rposition(hinted);
    let told = all
        .iter()
        .rposition(|message| *message == Message::HaveAll { size });
    assert!(last.is_some() && last < told, "{last:?} {told:?}");
}

#[test]
fn what_is_stuck_on_its_way_to_a_frozen_page_is_given_to_another() {
    let mut bench = Bench::new(true);
    let size = bench.tree.size();
    for peer in [1, 2] {
        bench.modern(peer, Some(size));
        bench.receive(peer, Message::Interested);
    }
    // Both ask for all that they are told of, until everything was given to one of them.
    let mut begun = Vec::new();
    while begun.len() < CHUNKS as usize {
        for peer in [1, 2] {
            let told = hints(&bench.log, peer);
            if let Some(index) = told.into_iter().find(|at| !begun.contains(at)) {
                begun.push(index);
                bench.receive(peer, Message::Request { index });
            }
        }
    }
    // The first is frozen then: nothing more that is sent to it goes.
    let first = hints(&bench.log, 1);
    let frozen = bench.log.len();
    assert!(!bench.swarm.peers[&PeerKey(1)].client.queue.is_empty());
    // The other asks for all that it may ask for, and gets it.
    let (mut asked, mut seen, mut got) = (Vec::new(), 0, Vec::new());
    for _ in 0..200 {
        bench.now = bench.now + Duration::from_secs(1);
        bench.input(Input::Tick);
        let told = sent(&bench.log[frozen..], 2).contains(&Message::HaveAll { size });
        let next = match told {
            true => (0..CHUNKS).map(ChunkIndex).find(|at| !asked.contains(at)),
            false => hints(&bench.log, 2)
                .into_iter()
                .find(|at| !asked.contains(at)),
        };
        if let Some(index) = next {
            asked.push(index);
            bench.receive(2, Message::Request { index });
        }
        while let Some(output) = bench.log.get(seen).cloned() {
            seen += 1;
            if let Output::Load { peer, index } = output
                && peer == PeerKey(2)
            {
                let (data, proof) = (bench.data[index.0 as usize].clone(), Bytes::new());
                bench.input(Input::Loaded {
                    peer,
                    index,
                    data,
                    proof,
                });
                bench.input(Input::Sent { peer, index });
                got.push(index);
            }
        }
    }
    got.sort();
    got.dedup();
    assert_eq!(got.len(), CHUNKS as usize, "{got:?} besides {first:?}");
}
