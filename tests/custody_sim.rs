//! Mail between people who are hardly ever online together, in virtual time, with the code that ships. `SEED=n` repeats a run
//! that failed; `examples/custody.rs` has the long runs.
#![cfg(feature = "test-utils")]
#![allow(clippy::unwrap_used)]

use gyre::proto::custody::sim::{Lie, Report, Scenario, Simulation};

/// The seed of this run: printed, and so shown when the test fails.
fn seed() -> u64 {
    let seed = std::env::var("SEED")
        .ok()
        .and_then(|text| text.parse().ok())
        .unwrap_or(20_261_122);
    println!("SEED={seed}");
    seed
}

/// A smaller population than in the long runs, as dense where it matters: a lookup finds all there is near a tag.
fn scenario(online: f64, session: f64, messages: usize) -> Scenario {
    Scenario {
        nodes: (100.0 / online) as usize,
        messages,
        ..Scenario::new(seed(), online, session)
    }
}

fn run(name: &str, scenario: Scenario) -> Report {
    let report = Simulation::new(scenario).run();
    println!("{name}: {}", report.line());
    assert_eq!(report.stored, report.messages, "each is signed for");
    assert_eq!(report.came, report.messages);
    assert_eq!(report.wrong, 0);
    assert!(report.confirmed <= report.read);
    report
}

/// Whether at least `share` of the messages were counted, allowing for three deviations of so few.
fn about(count: usize, report: &Report, share: f64) -> bool {
    let expected = share * report.came as f64;
    count as f64 + 3.0 * (expected * (1.0 - share)).sqrt() >= expected
}

#[test]
fn five_in_a_hundred_online_and_no_relay() {
    let report = run("5 %, no relay", scenario(0.05, 24.0, 80));
    assert!(
        (0.03..0.08).contains(&report.online()),
        "{}",
        report.online()
    );
    assert!(about(report.first, &report, 0.95));
    assert!(about(report.day, &report, 0.995));
    assert!(report.copies() < 40.0, "{}", report.copies());
    // Most senders see that their mail was read.
    assert!(report.confirmed * 2 > report.read, "{}", report.confirmed);
}

#[test]
fn two_in_a_hundred_online_and_one_relay() {
    let mut scenario = scenario(0.02, 18.0, 60);
    scenario.relays = 1;
    let report = run("2 %, one relay", scenario);
    assert!(about(report.first, &report, 0.98));
    assert!(about(report.day, &report, 0.999));
}

#[test]
fn all_first_custodians_are_gone_when_the_reader_comes() {
    let mut scenario = scenario(0.05, 24.0, 40);
    (scenario.replace_all, scenario.senders_return) = (true, false);
    let report = run("all replaced", scenario);
    assert!(
        report.replaced >= 5 * report.messages,
        "{}",
        report.replaced
    );
    assert!(about(report.first, &report, 0.85));
    assert!(about(report.three_days, &report, 0.98));
}

#[test]
fn a_fifth_of_the_custodians_lie() {
    for lie in [Lie::Drops, Lie::Garbage, Lie::Hides] {
        let mut scenario = scenario(0.05, 24.0, 30);
        scenario.liars = (0.2, lie);
        let report = run(&format!("a fifth {lie:?}"), scenario);
        assert!(about(report.first, &report, 0.85), "{lie:?}");
        assert!(about(report.three_days, &report, 0.99), "{lie:?}");
    }
}

#[test]
fn clocks_that_are_a_day_wrong_cost_nothing() {
    let mut scenario = scenario(0.05, 24.0, 40);
    scenario.wrong_clocks = 0.4;
    let report = run("wrong clocks", scenario);
    assert!(about(report.first, &report, 0.95));
    assert!(about(report.day, &report, 0.995));
}

#[test]
fn two_devices_read_and_delete_at_once() {
    let mut scenario = scenario(0.05, 24.0, 30);
    scenario.two_devices = true;
    let report = run("two devices", scenario);
    assert!(about(report.first, &report, 0.95));
}

#[test]
fn real_keys_give_the_same_run_as_marked_ones() {
    // Keys decide who is near whom, so the runs differ in chance only; each by itself repeats.
    let mut scenario = scenario(0.1, 30.0, 2);
    (scenario.nodes, scenario.absence, scenario.real_keys) = (300, 2.0, true);
    scenario.senders_return = false;
    let report = run("real keys", scenario);
    assert!(report.three_days >= 1, "{report:?}");
}

#[test]
fn the_same_seed_gives_the_same_run() {
    let scenario = scenario(0.05, 24.0, 6);
    let first = Simulation::new(scenario.clone()).run();
    assert_eq!(first, Simulation::new(scenario).run());
}
