//! Flash crowds in the simulator, large: how near to the fluid bound the last peer is done.
//!
//! `cargo run --profile simulation --no-default-features --features test-utils --example swarm [-- --json] [peers ...]`
//! takes the numbers of peers, 1000 and 10000 if none are given; `SEED=n` sets the seed. The last column is the time that the run took;
//! with `--json` each line also has the number of events and a hash over all messages, which tells whether two runs are the same.

use std::time::{Duration, Instant};

use gyre::proto::sim::{PeerSpec, Report, Role, Scenario, Simulation, size_of_chunks};

/// Uplink of every peer, the seed included: 8 Mbit/s, a household's.
const UP: u64 = 1 << 20;
/// Downlink of every peer.
const DOWN: u64 = 8 * UP;
/// Chunks of the blob: 64 MiB.
const CHUNKS: u64 = 256;
/// Links of each peer: a page can hold 40, shared by its swarms.
const LINKS: usize = 16;

fn main() {
    let (mut json, mut counts) = (false, Vec::new());
    for argument in std::env::args().skip(1) {
        match argument.parse::<usize>() {
            Ok(count) => counts.push(count),
            Err(_) => json |= argument == "--json",
        }
    }
    if counts.is_empty() {
        counts = vec![1000, 10_000];
    }
    let seed = std::env::var("SEED")
        .ok()
        .and_then(|text| text.parse().ok());
    let seed: u64 = seed.unwrap_or(1);
    if !json {
        println!("peers  seed  bound s  median s  last s  x bound  seed's copies  wasted %  run s");
    }
    for count in counts {
        let scenario = flash_crowd(seed, count);
        let began = Instant::now();
        let report = Simulation::new(scenario.clone()).run();
        show(&scenario, &report, began.elapsed(), json);
    }
}

fn flash_crowd(seed: u64, leeches: usize) -> Scenario {
    let mut peers = vec![PeerSpec::new(Role::Seed, UP, DOWN)];
    peers.extend((0..leeches).map(|_| PeerSpec::new(Role::Leech, UP, DOWN)));
    let mut scenario = Scenario::new(seed, size_of_chunks(CHUNKS), peers);
    scenario.neighbours = LINKS;
    scenario.marked = true;
    scenario
}

fn show(scenario: &Scenario, report: &Report, took: Duration, json: bool) {
    let leeches = scenario.peers.len() - 1;
    let mut times: Vec<f64> = report.completed[1..]
        .iter()
        .map(|done| done.map_or(f64::INFINITY, |done| done.as_secs_f64()))
        .collect();
    times.sort_by(f64::total_cmp);
    let bound = scenario.fluid_bound().as_secs_f64();
    let (median, last) = (times[leeches / 2], times[leeches - 1]);
    let copies = report.up_bytes[0] as f64 / scenario.size as f64;
    let wasted = 100.0 * report.wasted_bytes as f64 / (scenario.size as f64 * leeches as f64);
    let (events, trace) = (report.events, report.trace);
    let (seed, ratio, took) = (scenario.seed, last / bound, took.as_secs_f64());
    if json {
        println!(
            "{{\"peers\":{leeches},\"seed\":{seed},\"bound\":{bound:.2},\"median\":{median:.2},\"last\":{last:.2},\"ratio\":{ratio:.3},\"copies\":{copies:.3},\"wastedPercent\":{wasted:.3},\"events\":{events},\"trace\":\"{trace:016x}\",\"seconds\":{took:.1}}}"
        );
    } else {
        println!(
            "{leeches:5}  {seed:4}  {bound:7.1}  {median:8.1}  {last:6.1}  {ratio:7.2}  {copies:13.2}  {wasted:8.2}  {took:5.0}"
        );
    }
}
