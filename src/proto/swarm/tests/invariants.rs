//! Arbitrary orders of events.

use proptest::prelude::*;

use super::*;

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

fn step(blob: BlobHash, size: BlobSize) -> impl Strategy<Value = Step> {
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
        2 => peer().prop_map(Step::Connect),
        1 => peer().prop_map(Step::Disconnect),
        8 => (peer(), any_message(blob, size)).prop_map(|(peer, message)| Step::Receive(peer, message)),
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
        prop::collection::vec(step(bench.tree.root(), bench.tree.size()), 1..200)
    }) {
        let config = Config { peers_max: 3, unstored_max: 6 * CHUNK_SIZE, banned_max: 1, ..exact() };
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
