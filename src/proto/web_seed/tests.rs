#![allow(clippy::unwrap_used)]

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;

use super::*;

const CHUNKS: u32 = 64;

fn sources(count: usize) -> Vec<WebSource> {
    let address = |at| format!("https://server{at}.example/file");
    let parse = |at| WebSource::parse(&address(at)).unwrap();
    (0..count).map(parse).collect()
}

fn all() -> Vec<ChunkIndex> {
    (0..CHUNKS).map(ChunkIndex).collect()
}

fn view<'a>(unheld: &'a [ChunkIndex], rivals: &'a [u64]) -> View<'a> {
    View {
        chunks: Some(CHUNKS),
        has_some: true,
        unheld,
        next_read: None,
        held: None,
        rivals,
        linking: false,
        received: 0,
    }
}

fn at(millis: u64) -> Time {
    Time(1_000_000_000) + Duration::from_millis(millis)
}

/// One that has shown its tree and waited long enough, at this time.
fn settled(ticket: u64, view: &View, servers: usize) -> (WebSeed, u64) {
    let mut seed = WebSeed::new(sources(servers), ticket, ticket);
    assert_eq!(seed.next(view, at(0)), None, "not at once");
    let Some(Fetch::Tree { server }) = seed.next(view, at(1_100)) else {
        panic!("the tree comes first");
    };
    assert_eq!(seed.next(view, at(1_200)), None, "nothing else meanwhile");
    seed.on_tree(server, Ok(()), at(1_300));
    (seed, 10_000)
}

/// All that may be fetched at once.
fn burst(seed: &mut WebSeed, view: &View, now: Time) -> Vec<u32> {
    let fetches = std::iter::from_fn(|| seed.next(view, now));
    let indexes = fetches.take(100).map(|fetch| match fetch {
        Fetch::Chunk { index, .. } => index.0,
        Fetch::Tree { .. } => panic!("it is here"),
    });
    indexes.collect()
}

#[test]
fn visitors_who_know_each_other_divide_the_blob_without_a_word() {
    let tickets: Vec<u64> = (1..=8u64).map(|n| n * 7_919).collect();
    let mut fetched: BTreeMap<u32, u32> = BTreeMap::new();
    for ticket in &tickets {
        let rivals: Vec<u64> = tickets.iter().copied().filter(|t| t != ticket).collect();
        let mut left = all();
        let (mut seed, mut now) = settled(*ticket, &view(&left, &rivals), 1);
        loop {
            let got = burst_taking(&mut seed, &mut left, &rivals, at(now));
            if got.is_empty() {
                break;
            }
            assert!(got.len() <= PARALLEL);
            for index in got {
                seed.on_chunk(ChunkIndex(index), Ok(1), at(now));
                *fetched.entry(index).or_default() += 1;
            }
            now += 10;
        }
    }
    assert_eq!(fetched.len() as u32, CHUNKS, "every chunk");
    assert!(fetched.values().all(|times| *times == 1), "once");
}

fn burst_taking(
    seed: &mut WebSeed,
    left: &mut Vec<ChunkIndex>,
    rivals: &[u64],
    now: Time,
) -> Vec<u32> {
    let mut got = Vec::new();
    // As if enough came from peers, so that nothing is topped up.
    seed.rate.add(10_000_000, now);
    while let Some(Fetch::Chunk { index, .. }) = seed.next(&view(left, rivals), now) {
        left.retain(|other| *other != index);
        got.push(index.0);
    }
    got
}

#[test]
fn a_newcomer_only_tops_up_until_others_had_time_to_come() {
    let unheld = all();
    let mut alone = view(&unheld, &[]);
    alone.linking = true;
    let (mut seed, _) = settled(5, &alone, 1);
    assert_eq!(burst(&mut seed, &alone, at(2_000)).len(), 1, "a trickle");
    let index = *seed.flights.keys().next().unwrap();
    seed.on_chunk(index, Ok(262_144), at(2_100));
    alone.received = 524_288;
    assert_eq!(burst(&mut seed, &alone, at(2_200)), [0u32; 0]);
    // Links are being made: still.
    assert_eq!(burst(&mut seed, &alone, at(6_000)), [0u32; 0]);
    assert!(burst(&mut seed, &alone, at(19_000)).len() <= 1);
    let flights: Vec<_> = seed.flights.keys().copied().collect();
    flights
        .into_iter()
        .for_each(|index| seed.on_given_up(index));
    // Whatever they do.
    assert_eq!(burst_distinct(&mut seed, &alone, at(22_000)), PARALLEL);
}

fn burst_distinct(seed: &mut WebSeed, view: &View, now: Time) -> usize {
    let mut left = view.unheld.to_vec();
    let mut count = 0;
    while let Some(Fetch::Chunk { index, .. }) = seed.next(
        &View {
            unheld: &left,
            ..*view
        },
        now,
    ) {
        left.retain(|other| *other != index);
        count += 1;
    }
    count
}

#[test]
fn somebody_alone_waits_for_seconds_and_a_small_blob_for_nobody() {
    let unheld = all();
    let alone = view(&unheld, &[]);
    let (mut seed, _) = settled(5, &alone, 1);
    assert_eq!(burst_distinct(&mut seed, &alone, at(4_500)), PARALLEL);
    let few = [ChunkIndex(0), ChunkIndex(1), ChunkIndex(2)];
    let small = View {
        chunks: Some(3),
        has_some: false,
        linking: true,
        ..view(&few, &[])
    };
    let (mut seed, _) = settled(5, &small, 1);
    assert_eq!(burst_distinct(&mut seed, &small, at(1_400)), 3);
}

#[test]
fn what_peers_have_is_left_to_them_unless_they_bring_too_little() {
    let mut seeded = view(&[], &[]);
    seeded.held = Some(ChunkIndex(9));
    let (mut seed, now) = settled(5, &seeded, 1);
    seed.rate.add(1_000_000, at(now));
    assert_eq!(seed.next(&seeded, at(now)), None);
    let later = at(now + 60_000);
    assert_eq!(burst(&mut seed, &seeded, later), [9], "one at a time");
    seed.on_given_up(ChunkIndex(9));
    seeded.next_read = Some(ChunkIndex(3));
    assert_eq!(burst(&mut seed, &seeded, later), [3], "the reader's first");
    assert_eq!(seed.overtaken(|_| true, later), []);
    let late = later + OVERTAKEN;
    assert_eq!(seed.overtaken(|_| false, late), []);
    assert_eq!(seed.overtaken(|_| true, late), [ChunkIndex(3)]);
}

#[test]
fn chunks_of_silent_rivals_are_taken_over_one_at_a_time() {
    let rivals: Vec<u64> = (10..20).collect();
    let unheld = all();
    let others: Vec<ChunkIndex> = unheld
        .iter()
        .copied()
        .filter(|index| {
            rivals
                .iter()
                .any(|r| affinity(*index, *r) > affinity(*index, 5))
        })
        .collect();
    let watched = view(&others, &rivals);
    let (mut seed, now) = settled(5, &watched, 1);
    seed.rate.add(10_000_000, at(now));
    assert_eq!(seed.next(&watched, at(now)), None);
    seed.rate.add(10_000_000, at(now + 2_100));
    let got = burst(&mut seed, &watched, at(now + 2_100));
    assert_eq!(got.len(), 1);
    let ahead = |index| {
        rivals
            .iter()
            .filter(|r| affinity(index, **r) > affinity(index, 5))
            .count()
    };
    assert_eq!(ahead(ChunkIndex(got[0])), 1, "second in line for it");
}

#[test]
fn a_server_that_lies_or_ignores_ranges_is_not_asked_again_and_a_mirror_is() {
    for fault in [Fault::WrongBytes, Fault::NoRanges] {
        let unheld = all();
        let alone = view(&unheld, &[]);
        let (mut seed, now) = settled(5, &alone, 2);
        let Some(Fetch::Chunk { server, index }) = seed.next(&alone, at(now)) else {
            panic!("settled");
        };
        seed.on_chunk(index, Err(fault), at(now));
        assert_eq!(seed.servers().nth(server).unwrap().fault, Some(fault));
        assert!(seed.is_hopeful());
        let other = 1 - server;
        assert_eq!(
            seed.next(&alone, at(now)),
            Some(Fetch::Tree { server: other })
        );
        seed.on_tree(other, Err(fault), at(now));
        assert!(!seed.is_hopeful());
        for hours in 1..50u64 {
            assert_eq!(seed.next(&alone, at(hours * 3_600_000)), None);
        }
    }
}

#[test]
fn pauses_after_failures_grow_and_are_bounded() {
    let unheld = all();
    let alone = view(&unheld, &[]);
    let (mut seed, now) = settled(5, &alone, 1);
    let (mut now, mut requests) = (at(now), 0);
    let end = now + Duration::from_secs(3600);
    while now < end {
        if let Some(Fetch::Chunk { index, .. }) = seed.next(&alone, now) {
            seed.on_chunk(index, Err(Fault::Busy), now);
            requests += 1;
        }
        now = now + POLL;
    }
    assert!((10..=22).contains(&requests), "{requests} in an hour");
}

#[derive(Debug, Clone)]
enum Step {
    Ask,
    Wait(u64),
    Answer(usize, Option<Fault>),
    Lose(u32),
    Bring(u64),
    Rival(u64),
}

fn fault() -> impl Strategy<Value = Option<Fault>> {
    prop_oneof![
        6 => Just(None),
        1 => Just(Some(Fault::Busy)),
        1 => Just(Some(Fault::Missing)),
        1 => Just(Some(Fault::Slow)),
        1 => Just(Some(Fault::WrongBytes)),
    ]
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        4 => Just(Step::Ask),
        2 => (0u64..5_000).prop_map(Step::Wait),
        3 => (0usize..8, fault()).prop_map(|(which, fault)| Step::Answer(which, fault)),
        1 => (0..CHUNKS).prop_map(Step::Lose),
        1 => (0u64..1_000_000).prop_map(Step::Bring),
        1 => (0u64..100).prop_map(Step::Rival),
    ]
}

proptest! {
    /// Against a book of what is open at whom: bounded, nothing asked for twice at once or without being wanted, no chunk
    /// without a tree, and nothing of a server that is out or in its pause.
    #[test]
    fn asks_within_bounds_whatever_happens(
        servers in 0usize..4, seed: u64, known: bool, linking: bool, steps in prop::collection::vec(step(), 0..300),
    ) {
        let mut web = WebSeed::new(sources(servers), seed, seed);
        let (mut now, mut received) = (at(0), 0);
        let mut unheld: BTreeSet<ChunkIndex> = all().into_iter().collect();
        let mut open: Vec<Fetch> = Vec::new();
        let mut shown: BTreeSet<usize> = BTreeSet::new();
        let mut out: BTreeMap<usize, (Time, bool)> = BTreeMap::new();
        let mut rivals: Vec<u64> = Vec::new();
        for step in steps {
            match step {
                Step::Wait(millis) => now = now + Duration::from_millis(millis),
                Step::Bring(bytes) => received += bytes,
                Step::Rival(ticket) => rivals.push(ticket),
                Step::Lose(index) => { unheld.remove(&ChunkIndex(index)); }
                Step::Ask => {
                    let list: Vec<ChunkIndex> = unheld.iter().copied().collect();
                    let view = View {
                        chunks: (known || !shown.is_empty()).then_some(CHUNKS),
                        linking, received, ..view(&list, &rivals)
                    };
                    let Some(fetch) = web.next(&view, now) else { continue };
                    let server = match fetch {
                        Fetch::Chunk { server, index } => {
                            prop_assert!(unheld.remove(&index), "wanted, and not open");
                            prop_assert!(shown.contains(&server));
                            server
                        }
                        Fetch::Tree { server } => {
                            prop_assert!(!shown.contains(&server) && !open.contains(&fetch));
                            server
                        }
                    };
                    if let Some((since, forever)) = out.remove(&server) {
                        prop_assert!(!forever && now.since(since) >= PAUSE);
                    }
                    open.push(fetch);
                    let chunks = open.iter().filter(|fetch| matches!(fetch, Fetch::Chunk { .. })).count();
                    prop_assert!(chunks <= PARALLEL && open.len() <= PARALLEL + 1);
                }
                Step::Answer(which, fault) => {
                    if open.is_empty() { continue }
                    let fetch = open.remove(which % open.len());
                    let server = match fetch {
                        Fetch::Tree { server } => {
                            web.on_tree(server, fault.map_or(Ok(()), Err), now);
                            if fault.is_none() { shown.insert(server); }
                            server
                        }
                        Fetch::Chunk { server, index } => {
                            web.on_chunk(index, fault.map_or(Ok(1), Err), now);
                            if fault.is_some() { unheld.insert(index); }
                            server
                        }
                    };
                    if let Some(fault) = fault {
                        // Requests that were under way together fail together: the first begins the pause.
                        let entry = out.entry(server).or_insert((now, false));
                        entry.1 |= fault.is_final();
                    }
                }
            }
        }
        let bytes: u64 = web.servers().map(|server| server.bytes).sum();
        prop_assert!(bytes <= u64::from(CHUNKS));
    }

    /// Against sorting all tickets for each chunk: the turn is the best place in any of the queues.
    #[test]
    fn the_turn_is_the_best_place_in_line(
        ticket: u64, rivals in prop::collection::vec(any::<u64>(), 0..12), chunks in prop::collection::btree_set(0u32..500, 0..40),
    ) {
        let unheld: Vec<ChunkIndex> = chunks.into_iter().map(ChunkIndex).collect();
        let place = |index: ChunkIndex| {
            let mut line: Vec<u64> = rivals.iter().copied().filter(|r| *r != ticket).chain([ticket]).collect();
            line.sort_by_key(|who| std::cmp::Reverse(affinity(index, *who)));
            line.iter().position(|who| *who == ticket).unwrap() as u32
        };
        let turn = best_turn(&view(&unheld, &rivals), ticket);
        prop_assert_eq!(turn.map(|turn| turn.rank), unheld.iter().map(|index| place(*index)).min());
        if let Some(turn) = turn {
            prop_assert_eq!(place(turn.index), turn.rank);
        }
    }
}
