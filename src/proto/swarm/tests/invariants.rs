//! Arbitrary orders of events.

use std::collections::BTreeSet;

use proptest::prelude::*;
use proptest::strategy::ValueTree;
use proptest::test_runner::TestRunner;

use super::*;
use crate::proto::message::Decoder;

/// Any message about a blob with this tail, most of them possible at some moment of an exchange.
fn any_message(blob: BlobHash, tail: Tail) -> impl Strategy<Value = Message> {
    let size = tail.size;
    let index = || (0..CHUNKS + 2).prop_map(ChunkIndex);
    let bytes = || prop::collection::vec(any::<u8>(), 0..40).prop_map(Bytes::from);
    let reason = prop_oneof![
        Just(RejectReason::NotStored),
        Just(RejectReason::NotServing)
    ];
    let hello =
        (1..=REVISION, any::<bool>(), any::<u32>()).prop_map(move |(version, knows, credit)| {
            Message::Hello {
                version,
                blob,
                size: knows.then_some(size),
                credit,
            }
        });
    let bitfield = prop::collection::vec(0..CHUNKS, 0..20).prop_map(move |some| {
        let mut bits = Bitfield::new(CHUNKS);
        some.iter().for_each(|index| {
            bits.insert(*index);
        });
        Message::Bitfield { size, bits }
    });
    let tails = prop_oneof![
        3 => Just(tail.clone()),
        1 => bytes().prop_map(move |leaf| Tail { leaf, ..tail.clone() }),
    ];
    prop_oneof![
        1 => hello,
        1 => Just(Message::HaveAll { size }),
        1 => bitfield,
        3 => prop::collection::vec(0..CHUNKS, 1..5)
            .prop_map(|some| Message::Have { indexes: some.into_iter().map(ChunkIndex).collect() }),
        3 => index().prop_map(|index| Message::Request { index }),
        1 => (index(), bytes(), bytes()).prop_map(|(index, proof, data)| Message::Chunk { index, proof, data }),
        2 => index().prop_map(|index| Message::Cancel { index }),
        2 => any::<u32>().prop_map(|bytes| Message::Credit { bytes }),
        3 => (index(), reason).prop_map(|(index, reason)| Message::Reject { index, reason }),
        1 => index().prop_map(|index| Message::Suggest { index }),
        2 => Just(Message::Choke),
        3 => Just(Message::Unchoke),
        3 => Just(Message::Interested),
        1 => Just(Message::NotInterested),
        1 => tails.prop_map(Message::Tail),
    ]
}

#[test]
fn no_message_is_left_out() {
    let tail = Bench::new(true).tail();
    let messages = prop::collection::vec(any_message(BlobHash([1; 32]), tail), 2000);
    let mut runner = TestRunner::deterministic();
    let made = messages.new_tree(&mut runner).unwrap().current();
    let made: BTreeSet<u8> = made.iter().map(Message::tag).collect();
    // A tag that nobody knows is skipped; every other one gives a message, or an error without its fields.
    let known = |tag: &u8| {
        let mut decoder = Decoder::new();
        decoder.push(&[0, 0, 0, 1, *tag]);
        decoder.next() != Ok(None)
    };
    assert_eq!(made, (0..=u8::MAX).filter(known).collect());
}

/// What happens to a swarm, one step.
#[derive(Debug, Clone)]
enum Step {
    /// A peer of this revision comes, that knows the size and has everything, or neither.
    Connect(u64, u16, bool),
    Disconnect(u64),
    Receive(u64, Message),
    /// The oldest request to this peer is answered rightly.
    Answer(u64),
    /// The oldest request that was taken back from this peer is answered all the same.
    Late(u64),
    /// The oldest store or load is done, well or badly.
    Edge(bool),
    /// A web server is asked for the rarest chunk, if there is room.
    Fetch,
    /// The first of what it was asked for comes, wrong bytes come, or nothing does.
    Fetched(Option<bool>),
    Wait(u64),
    Local(Input),
}

fn step(blob: BlobHash, tail: Tail) -> impl Strategy<Value = Step> {
    let peer = || 0u64..4;
    let local = prop_oneof![
        (0..CHUNKS + 2, 0..CHUNKS + 2).prop_map(|(a, b)| Input::Focus {
            chunks: (a..b).into()
        }),
        any::<bool>().prop_map(Input::AllowUpload),
        Just(Input::Pause),
        Just(Input::Resume),
        Just(Input::Tick),
    ];
    prop_oneof![
        2 => (peer(), 1..=REVISION, any::<bool>())
            .prop_map(|(peer, version, has_all)| Step::Connect(peer, version, has_all)),
        1 => peer().prop_map(Step::Disconnect),
        8 => (peer(), any_message(blob, tail)).prop_map(|(peer, message)| Step::Receive(peer, message)),
        12 => peer().prop_map(Step::Answer),
        4 => peer().prop_map(Step::Late),
        8 => any::<bool>().prop_map(Step::Edge),
        3 => Just(Step::Fetch),
        3 => prop_oneof![3 => Just(Some(true)), 1 => Just(Some(false)), 1 => Just(None)].prop_map(Step::Fetched),
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
        prop::collection::vec(step(bench.tree.root(), bench.tail()), 1..200)
    }) {
        let config = Config { peers_max: 3, unstored_max: 6 * CHUNK_SIZE, banned_max: 1, ..exact() };
        let mut bench = Bench::with(complete, config);
        let mut edges: VecDeque<Input> = VecDeque::new();
        for step in steps {
            let inputs = match step {
                Step::Connect(peer, version, has_all) => {
                    let size = bench.tree.size();
                    let hello = Message::Hello {
                        version, blob: bench.tree.root(), size: has_all.then_some(size), credit: 1 << 22,
                    };
                    let peer = PeerKey(peer);
                    let mut inputs = vec![Input::Connected { peer }, Input::Received { peer, message: hello }];
                    if has_all {
                        inputs.push(Input::Received { peer, message: Message::HaveAll { size } });
                    }
                    inputs
                }
                Step::Disconnect(peer) => vec![Input::Disconnected { peer: PeerKey(peer) }],
                Step::Receive(peer, message) => vec![Input::Received { peer: PeerKey(peer), message }],
                Step::Answer(peer) => {
                    let asked = bench.swarm.peers.get(&PeerKey(peer)).and_then(|peer| peer.source.asked.first());
                    let index = asked.map(|asked| asked.index.0);
                    index.map(|index| Input::Received { peer: PeerKey(peer), message: bench.chunk(index) }).into_iter().collect()
                }
                Step::Late(peer) => {
                    let source = bench.swarm.peers.get(&PeerKey(peer)).map(|peer| &peer.source);
                    let index = source.and_then(|source| source.forgiven.front()).map(|(index, _)| index.0);
                    index.map(|index| Input::Received { peer: PeerKey(peer), message: bench.chunk(index) }).into_iter().collect()
                }
                Step::Edge(well) => match edges.pop_front() {
                    Some(Input::Stored { index }) if !well => vec![Input::StoreFailed { index }],
                    Some(Input::Loaded { peer, index, .. }) if !well => vec![Input::LoadFailed { peer, index }],
                    other => other.into_iter().collect(),
                },
                Step::Fetch => {
                    let room = bench.swarm.has_room_for_web();
                    let index = bench.swarm.rarest().filter(|_| room);
                    index.map(|index| Input::Fetching { index }).into_iter().collect()
                }
                Step::Fetched(what) => {
                    let index = bench.swarm.web.keys().next().copied();
                    index.map(|index| {
                        let Message::Chunk { data, proof, .. } = bench.chunk(index.0) else { unreachable!() };
                        match what {
                            Some(true) => Input::Fetched { index, data, proof },
                            Some(false) => Input::Fetched { index, data: vec![250; data.len()].into(), proof },
                            None => Input::FetchFailed { index },
                        }
                    }).into_iter().collect()
                }
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
    let served = |peer: &Peer| peer.chokes && !peer.client.choked;
    prop_assert!(
        swarm.peers.values().filter(|peer| served(peer)).count() <= swarm.config.slots_max
    );
    let asked: u64 = swarm
        .peers
        .values()
        .map(|peer| peer.source.asked_bytes())
        .sum();
    let Some(ledger) = &swarm.ledger else {
        return Ok(());
    };
    let web: u64 = swarm.web.values().sum();
    prop_assert!(asked + web + ledger.unstored_bytes() <= swarm.config.unstored_max);
    for peer in swarm.peers.values() {
        prop_assert!(peer.source.asked_bytes() <= peer.source.granted);
        prop_assert!(peer.client.serving.len() <= swarm.config.serving_per_peer);
        prop_assert!(peer.source.forgiven.len() <= swarm.config.grace_max);
        prop_assert!(peer.source.hints.len() <= swarm.config.hints_max);
        prop_assert!(!peer.source.choked || peer.source.asked.is_empty());
        prop_assert!(!peer.client.choked || peer.client.queue.is_empty());
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
            askers.count() > 0 || swarm.web.contains_key(&at) && !ledger.has(at),
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
