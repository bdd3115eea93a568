//! Whole swarms in virtual time. `SEED=n` repeats a run that failed.
#![cfg(feature = "test-utils")]
#![allow(clippy::unwrap_used)]

use std::time::Duration;

use gyre::proto::sim::{Leave, Lie, PeerSpec, Report, Role, Scenario, Simulation, size_of_chunks};

/// The seed of this run: printed, and so shown when the test fails.
fn seed() -> u64 {
    let seed = std::env::var("SEED").ok().and_then(|text| text.parse().ok()).unwrap_or(20_240_607);
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
    let mut times: Vec<f64> = report.completed.iter().flatten().map(Duration::as_secs_f64).collect();
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
    let last = report.all_complete(0..201).unwrap();
    assert!(last < scenario.fluid_bound() * 3, "{last:?}");
    assert_eq!(report.bans, []);
    assert!(report.wasted_bytes < 200 * scenario.size / 20);
}
