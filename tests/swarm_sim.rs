//! Whole swarms in virtual time. `SEED=n` repeats a run that failed.
#![cfg(feature = "test-utils")]
#![allow(clippy::unwrap_used)]

use std::time::Duration;

use gyre::proto::sim::{
    Leave, Lie, PeerSpec, Report, Role, Scenario, Simulation, WebServer, size_of_chunks,
};
use gyre::proto::types::CHUNK_SIZE;

/// The seed of this run: printed, and so shown when the test fails.
fn seed() -> u64 {
    let seed = std::env::var("SEED")
        .ok()
        .and_then(|text| text.parse().ok())
        .unwrap_or(20_240_607);
    println!("SEED={seed}");
    seed
}

const MIB: u64 = 1 << 20;

fn swarm(leeches: usize, chunks: u64) -> Scenario {
    let mut peers = vec![PeerSpec::new(Role::Seed, 2 * MIB, 8 * MIB)];
    peers.extend((0..leeches).map(|_| PeerSpec::new(Role::Leech, MIB, 8 * MIB)));
    Scenario::new(seed(), size_of_chunks(chunks), peers)
}

fn show(name: &str, scenario: &Scenario, report: &Report) {
    let bound = scenario.fluid_bound().as_secs_f64();
    let mut times: Vec<f64> = report
        .completed
        .iter()
        .flatten()
        .map(Duration::as_secs_f64)
        .collect();
    times.sort_by(f64::total_cmp);
    println!(
        "{name}: bound {bound:.1} s, median {:.1} s, last {:.1} s ({:.2} x), wasted {:.2} %, seed sent {:.2} copies, peak unstored {} KiB, {} bans, {} events",
        times[times.len() / 2],
        times[times.len() - 1],
        times[times.len() - 1] / bound,
        100.0 * report.wasted_bytes as f64 / (scenario.size * times.len() as u64) as f64,
        report.up_bytes[0] as f64 / scenario.size as f64,
        report.peak_unstored / 1024,
        report.bans.len(),
        report.events,
    );
}

#[test]
fn two_hundred_peers_finish_near_the_fluid_bound() {
    let scenario = swarm(200, 48);
    let report = Simulation::new(scenario.clone()).run();
    show("200 peers", &scenario, &report);
    // The blob is small: half of the excess is the time until every peer has something to give, about log N chunks. The
    // large runs are in examples/swarm.rs.
    let last = report.all_complete(0..201).unwrap();
    assert!(last < scenario.fluid_bound() * 2, "{last:?}");
    assert_eq!(report.bans, []);
    assert!(report.wasted_bytes < 200 * scenario.size / 50);
    assert!(report.up_bytes[0] < 4 * scenario.size);
    assert!(report.peak_unstored <= scenario.config.unstored_max);
}

#[test]
fn a_seed_may_leave_after_little_more_than_one_copy() {
    let mut scenario = swarm(60, 64);
    scenario.peers[0].leave = Leave::AfterUpload(scenario.size * 13 / 10);
    let report = Simulation::new(scenario.clone()).run();
    show("seed leaves", &scenario, &report);
    assert!(report.up_bytes[0] < scenario.size * 14 / 10);
    assert!(report.all_complete(1..61).is_some());
    assert_eq!(report.bans, []);
}

#[test]
fn peers_come_and_go() {
    let mut scenario = swarm(80, 32);
    for (at, peer) in scenario.peers.iter_mut().enumerate().skip(1) {
        peer.join = Duration::from_millis(200 * (at as u64 % 40));
        if at.is_multiple_of(3) {
            peer.leave = Leave::At(peer.join + Duration::from_millis(500 + 131 * at as u64));
        }
    }
    let report = Simulation::new(scenario.clone()).run();
    show("come and go", &scenario, &report);
    assert!(
        report
            .all_complete((1..81usize).filter(|at| !at.is_multiple_of(3)))
            .is_some()
    );
    assert_eq!(report.bans, []);
}

#[test]
fn a_fifth_of_liars_cannot_stop_the_others() {
    let mut scenario = swarm(80, 32);
    let liars: Vec<usize> = (1..81usize).filter(|at| at.is_multiple_of(5)).collect();
    for (turn, at) in liars.iter().enumerate() {
        scenario.peers[*at].role = Role::Liar(Lie::ALL[turn % Lie::ALL.len()]);
    }
    let report = Simulation::new(scenario.clone()).run();
    show("liars", &scenario, &report);
    let honest = (1..81).filter(|at| !liars.contains(at));
    assert!(report.all_complete(honest).unwrap() < Duration::from_secs(120));
    assert!(
        report
            .bans
            .iter()
            .all(|(_, banned, _)| liars.contains(banned)),
        "{:?}",
        report.bans
    );
    let caught = |lie| {
        let at = |banned: usize| scenario.peers[banned].role == Role::Liar(lie);
        report.bans.iter().any(|(_, banned, _)| at(*banned))
    };
    for lie in [
        Lie::WrongBytes,
        Lie::WrongProof,
        Lie::WrongSize,
        Lie::Unrequested,
        Lie::Flood,
        Lie::Impossible,
    ] {
        assert!(caught(lie), "{lie:?} was not caught");
    }
    assert!(report.peak_unstored <= scenario.config.unstored_max);
}

#[test]
fn a_lone_leech_among_liars_gets_the_blob_from_the_one_honest_seed() {
    for lie in Lie::ALL {
        let mut scenario = swarm(1, 8);
        scenario
            .peers
            .extend((0..5).map(|_| PeerSpec::new(Role::Liar(lie), 4 * MIB, 4 * MIB)));
        scenario.limit = Duration::from_secs(600);
        let report = Simulation::new(scenario.clone()).run();
        let done = report
            .all_complete(0..2)
            .unwrap_or_else(|| panic!("{lie:?}: {report:?}"));
        println!("{lie:?}: {done:?}, {} bans", report.bans.len());
        assert!(report.bans.iter().all(|(_, banned, _)| *banned >= 2));
        assert!(done < Duration::from_secs(60), "{lie:?}: {done:?}");
    }
}

#[test]
fn the_same_seed_is_the_same_run() {
    let mut scenario = swarm(40, 24);
    scenario.peers[7].role = Role::Liar(Lie::WrongBytes);
    scenario.peers[9].leave = Leave::At(Duration::from_secs(2));
    let first = Simulation::new(scenario.clone()).run();
    assert_eq!(first, Simulation::new(scenario.clone()).run());
    scenario.seed ^= 1;
    assert_ne!(first.trace, Simulation::new(scenario).run().trace);
}

#[test]
fn a_slow_and_failing_store_bounds_memory_and_loses_nothing() {
    let mut scenario = swarm(4, 256);
    for peer in &mut scenario.peers {
        (peer.up, peer.down) = (50 * MIB, 100 * MIB);
    }
    for peer in &mut scenario.peers[1..] {
        peer.write_delay = Duration::from_secs(2);
        peer.write_fails_every = 50;
    }
    let report = Simulation::new(scenario.clone()).run();
    show("slow store", &scenario, &report);
    assert!(report.all_complete(1..5).is_some());
    // Chunks that are called off when a write fails may arrive late, and the rest of the pipeline is asked for anew.
    assert!(
        report.peak_unstored <= scenario.config.unstored_max,
        "{}",
        report.peak_unstored
    );
}

#[test]
fn one_pair_fills_a_fast_and_long_path() {
    let mut scenario = swarm(1, 400);
    scenario.peers[0].up = 20 * MIB;
    scenario.peers[1].down = 20 * MIB;
    scenario.latency = (Duration::from_millis(75), Duration::from_millis(75));
    let report = Simulation::new(scenario.clone()).run();
    show("one pair", &scenario, &report);
    let last = report.all_complete(0..2).unwrap();
    assert!(
        last < scenario.fluid_bound() * 5 / 4 + Duration::from_secs(1),
        "{last:?}"
    );
    assert_eq!(report.wasted_bytes, 0);
}

#[test]
fn the_smallest_blobs() {
    for size in [0, 1, 262_144, 262_145] {
        let mut scenario = swarm(5, 1);
        scenario.size = size;
        let report = Simulation::new(scenario.clone()).run();
        assert!(
            report.all_complete(0..6).is_some(),
            "{size} bytes: {report:?}"
        );
        assert_eq!(report.bans, []);
    }
}

#[test]
fn a_blob_outlives_a_seed_that_leaves_early_if_the_rest_comes_back() {
    for percent in [30, 60, 99] {
        let mut scenario = swarm(20, 48);
        scenario.peers[0].leave = Leave::AfterUpload(scenario.size * percent / 100);
        let mut second = scenario.peers[0].clone();
        (second.leave, second.join) = (Leave::Never, Duration::from_secs(60));
        scenario.peers.push(second);
        let report = Simulation::new(scenario.clone()).run();
        let copies = report.up_bytes[21] as f64 / scenario.size as f64;
        println!("left at {percent} %: the second seed sent {copies:.2} copies");
        assert!(report.all_complete(1..21).is_some(), "{percent} %");
        assert_eq!(report.bans, []);
        // What the first has sent is out, once and everywhere: the second sends the rest, and a part of what is passed on.
        assert!(copies < 1.6 - percent as f64 / 100.0, "{copies}");
    }
}

#[test]
fn half_the_peers_lie_about_what_they_have() {
    let mut scenario = swarm(40, 24);
    let lies = [Lie::Silent, Lie::Refuses, Lie::WrongBytes];
    for at in (1..41usize).filter(|at| at.is_multiple_of(2)) {
        scenario.peers[at].role = Role::Liar(lies[at / 2 % lies.len()]);
    }
    let report = Simulation::new(scenario.clone()).run();
    show("half lie", &scenario, &report);
    let honest = (1..41usize).filter(|at| !at.is_multiple_of(2));
    assert!(report.all_complete(honest).unwrap() < Duration::from_secs(300));
    let fair = |at: usize| at > 0 && at.is_multiple_of(2);
    assert!(report.bans.iter().all(|(_, banned, _)| fair(*banned)));
}

#[test]
fn corrupt_chunks_at_full_speed_cost_each_peer_little() {
    let mut scenario = swarm(10, 48);
    let liars = (0..10).map(|_| PeerSpec::new(Role::Liar(Lie::WrongBytes), 100 * MIB, MIB));
    scenario.peers.extend(liars);
    let report = Simulation::new(scenario.clone()).run();
    show("corrupt", &scenario, &report);
    assert!(report.all_complete(0..11).unwrap() < Duration::from_secs(120));
    assert!(report.bans.iter().all(|(_, banned, _)| *banned > 10));
    // A liar is caught at its first chunk: what was in its pipeline is all that anybody loses by it.
    assert!(report.wasted_bytes < 10 * 10 * 2 * CHUNK_SIZE + 10 * scenario.size / 50);
}

#[test]
fn clocks_that_are_set_hurt_nobody() {
    let plain = swarm(12, 48);
    let usual = Simulation::new(plain.clone()).run();
    let usual = usual.all_complete(0..13).unwrap();
    for seconds in [3600, -3600] {
        let mut scenario = plain.clone();
        for peer in scenario.peers.iter_mut().step_by(2) {
            peer.clock_set = Some((Duration::from_secs(3), seconds));
        }
        let report = Simulation::new(scenario).run();
        let last = report.all_complete(0..13).unwrap();
        println!("set by {seconds} s: {last:?}, usually {usual:?}");
        assert_eq!(report.bans, []);
        assert!(last < usual * 3 / 2 + Duration::from_secs(5));
    }
}

#[test]
fn a_frozen_page_wakes_and_finishes_and_nobody_waited_for_it() {
    let mut scenario = swarm(12, 48);
    let woken = Duration::from_secs(303);
    scenario.peers[5].frozen = Some((Duration::from_secs(3), woken));
    let report = Simulation::new(scenario).run();
    let others = (0..13).filter(|at| *at != 5);
    let last = report.all_complete(others).unwrap();
    let late = report.completed[5].unwrap();
    println!("the others by {last:?}, the frozen one at {late:?}");
    assert!(last < Duration::from_secs(90));
    assert!(late >= woken && late < woken + Duration::from_secs(90));
    assert_eq!(report.bans, [], "sleep is no misconduct");
}

#[test]
fn what_a_lone_seed_gave_a_frozen_page_to_pass_on_is_given_to_others() {
    // So few that nobody waits for a slot and none is ever taken away.
    for leeches in 2..4 {
        for frozen in [1_000, 3_000, 5_000] {
            let mut scenario = swarm(leeches, 48);
            scenario.peers[1].frozen =
                Some((Duration::from_millis(frozen), Duration::from_secs(600)));
            let report = Simulation::new(scenario).run();
            let last = report.all_complete((0..=leeches).filter(|at| *at != 1));
            println!("{leeches} leeches, frozen at {frozen} ms: the others by {last:?}");
            assert!(last.unwrap() < Duration::from_secs(120));
            assert!(report.completed[1].is_some());
            assert_eq!(report.bans, []);
        }
    }
}

/// Every fourth peer uploads nothing.
fn rides(at: usize) -> bool {
    at > 0 && at.is_multiple_of(4)
}

fn mean(values: impl Iterator<Item = f64>) -> f64 {
    let values: Vec<f64> = values.collect();
    values.iter().sum::<f64>() / values.len() as f64
}

fn riding(peers: usize) -> Scenario {
    let mut scenario = swarm(peers, 96);
    scenario.marked = true;
    scenario.neighbours = 16;
    for at in (0..=peers).filter(|at| rides(*at)) {
        scenario.peers[at].uploads = false;
    }
    scenario
}

#[test]
fn who_gives_nothing_gets_less_while_others_want_it_and_still_finishes() {
    let mut scenario = riding(40);
    let report = Simulation::new(scenario.clone()).run();
    show("free riders", &scenario, &report);
    assert!(report.all_complete(0..41).is_some());
    assert_eq!(report.bans, []);
    let fair = |at: &usize| !rides(*at);
    let first = (1..41).filter(fair).filter_map(|at| report.completed[at]);
    // From then on there are seeds with nobody else to serve: until then everybody wants what there is.
    scenario.limit = first.min().unwrap() * 9 / 10;
    let contended = Simulation::new(scenario.clone()).run();
    let got = |at: usize| contended.down_bytes[at] as f64;
    let (given, taken) = (
        mean((1..41).filter(fair).map(got)),
        mean((1..41).filter(|at| rides(*at)).map(got)),
    );
    println!(
        "after {:?} a rider has {:.1} MB, another {:.1} MB ({:.2} x)",
        scenario.limit,
        taken / 1e6,
        given / 1e6,
        given / taken
    );
    assert!(given > taken * 1.5);
    assert!(taken > 0.0, "nobody starves");
}

#[test]
fn where_everybody_leaves_when_done_who_gives_nothing_takes_far_longer() {
    let mut scenario = riding(160);
    for (at, peer) in scenario.peers.iter_mut().enumerate().skip(1) {
        peer.join = Duration::from_millis(800) * at as u32;
        peer.leave = Leave::WhenDone;
    }
    let report = Simulation::new(scenario.clone()).run();
    // The first find an empty house.
    let took = |at: usize| (report.completed[at].unwrap() - scenario.peers[at].join).as_secs_f64();
    let fair: Vec<f64> = (40..161).filter(|at| !rides(*at)).map(took).collect();
    let slowest = fair.iter().copied().fold(0.0, f64::max);
    let fair = mean(fair.into_iter());
    let riders = mean((40..161).filter(|at| rides(*at)).map(took));
    println!("riders {riders:.1} s, the others {fair:.1} s, the slowest of them {slowest:.1} s");
    assert!(riders > fair * 1.5);
    assert!(slowest < fair * 4.0, "no peer starves another");
    assert_eq!(report.bans, []);
}

#[test]
fn with_mixed_links_and_a_third_leaving_each_minute_who_stays_finishes() {
    let mut scenario = swarm(100, 96);
    scenario.marked = true;
    for (at, peer) in scenario.peers.iter_mut().enumerate().skip(1) {
        let up = [MIB / 4, MIB, 4 * MIB][at % 3];
        (peer.up, peer.down) = (up, 8 * up);
        // Three in ten go within each minute.
        if at % 10 < 3 {
            peer.leave = Leave::At(Duration::from_millis(600 * at as u64));
        }
    }
    let report = Simulation::new(scenario.clone()).run();
    show("mixed, leaving", &scenario, &report);
    assert!(
        report
            .all_complete((1..101).filter(|at| at % 10 >= 3))
            .is_some()
    );
    assert_eq!(report.bans, []);
}

/// Visitors of a page whose server has the blob, all at once; nobody else has it.
fn visitors(count: usize, chunks: u64, link_after: Duration) -> Scenario {
    let leech = PeerSpec::new(Role::Leech, 2 * MIB, 8 * MIB);
    let mut scenario = Scenario::new(seed(), size_of_chunks(chunks), vec![leech; count]);
    scenario.web = Some(WebServer {
        up: 8 * MIB,
        latency: Duration::from_millis(60),
        lies: false,
        fails_every: 0,
    });
    scenario.link_after = link_after;
    scenario
}

fn copies(scenario: &Scenario, report: &Report) -> f64 {
    report.web_bytes as f64 / scenario.size as f64
}

#[test]
fn eight_visitors_at_once_take_little_more_than_one_copy_from_the_server() {
    for seconds in [0, 2, 8] {
        let scenario = visitors(8, 80, Duration::from_secs(seconds));
        let report = Simulation::new(scenario.clone()).run();
        let name = format!("8 visitors, links after {seconds} s");
        show(&name, &scenario, &report);
        let sent = copies(&scenario, &report);
        println!("{name}: the server sent {sent:.2} copies");
        assert!(report.all_complete(0..8).is_some());
        assert!(sent <= 2.0, "{sent}");
    }
}

#[test]
fn one_visitor_gets_it_all_from_the_server_and_a_hundred_little_more() {
    let alone = visitors(1, 80, Duration::ZERO);
    let report = Simulation::new(alone.clone()).run();
    println!("alone: {:?}", report.completed);
    assert!(report.all_complete(0..1).is_some());
    assert_eq!(copies(&alone, &report), 1.0);
    let many = visitors(100, 200, Duration::from_secs(2));
    let report = Simulation::new(many.clone()).run();
    show("100 visitors", &many, &report);
    let sent = copies(&many, &report);
    println!("100 visitors: the server sent {sent:.2} copies");
    assert!(report.all_complete(0..100).is_some());
    assert!(sent < 20.0, "{sent}: a fifth of what they would have taken");
}

#[test]
fn a_seed_that_serves_well_leaves_the_server_in_peace() {
    let mut scenario = visitors(6, 80, Duration::ZERO);
    scenario.peers.push(PeerSpec::new(Role::Seed, 4 * MIB, MIB));
    let report = Simulation::new(scenario.clone()).run();
    show("visitors and a seed", &scenario, &report);
    assert!(report.all_complete(0..6).is_some());
    let sent = copies(&scenario, &report);
    println!("with a seed: the server sent {sent:.2} copies");
    assert!(sent < 0.5, "{sent}");
}

#[test]
fn a_server_that_fails_now_and_then_is_asked_again_and_one_that_lies_is_not() {
    let mut scenario = visitors(4, 40, Duration::from_secs(1));
    let fails = |server| WebServer {
        fails_every: 5,
        ..server
    };
    scenario.web = scenario.web.map(fails);
    let report = Simulation::new(scenario.clone()).run();
    show("a failing server", &scenario, &report);
    assert!(report.all_complete(0..4).is_some());

    let mut scenario = visitors(4, 40, Duration::from_secs(1));
    scenario.web = scenario.web.map(|server| WebServer {
        lies: true,
        ..server
    });
    scenario.peers.push(PeerSpec {
        join: Duration::from_secs(30),
        ..PeerSpec::new(Role::Seed, 2 * MIB, MIB)
    });
    let report = Simulation::new(scenario.clone()).run();
    println!("a lying server: {} bytes", report.web_bytes);
    assert!(report.all_complete(0..4).is_some(), "from the late seed");
    assert!(report.web_bytes <= 4 * 4 * CHUNK_SIZE, "one burst each");
    assert_eq!(report.bans, [], "no peer is blamed for it");
}
