//! Mail between people who are hardly ever online together, simulated: how much of it is there when its reader comes.
//!
//! `cargo run --release --no-default-features --features test-utils --example custody [-- words of the rows to run]`; `SEED=n` sets the
//! seed, `MESSAGES=n` the messages of each row.

use std::time::Instant;

use gyre::proto::custody::sim::{Lie, Scenario, Simulation};

fn main() {
    let number = |name: &str, usual: u64| {
        let text = std::env::var(name).ok();
        text.and_then(|text| text.parse().ok()).unwrap_or(usual)
    };
    let (seed, messages) = (number("SEED", 1), number("MESSAGES", 500) as usize);
    let words: Vec<_> = std::env::args().skip(1).collect();
    println!("SEED={seed}, {messages} messages a row");
    let mut rows = Vec::new();
    for (online, session) in [(0.02, 18.0), (0.05, 24.0), (0.1, 30.0)] {
        let base = Scenario {
            messages,
            ..Scenario::new(seed, online, session)
        };
        let percent = online * 100.0;
        rows.push((format!("{percent} % no relay"), base.clone()));
        let alone = Scenario {
            senders_return: false,
            ..base.clone()
        };
        rows.push((format!("{percent} % no relay, senders gone"), alone));
        let relay = Scenario {
            relays: 1,
            ..base.clone()
        };
        rows.push((format!("{percent} % one relay"), relay));
        let away = Scenario {
            absence: 96.0,
            life: 14.0,
            ..base.clone()
        };
        rows.push((
            format!("{percent} % no relay, 4 days away, life 14 d"),
            away,
        ));
        let mut none = base.clone();
        none.config.online = 1;
        none.senders_return = false;
        rows.push((format!("{percent} % no upkeep, senders gone"), none));
    }
    let base = Scenario {
        messages,
        ..Scenario::new(seed, 0.05, 24.0)
    };
    for lie in [Lie::Drops, Lie::Garbage, Lie::Hides] {
        let liars = Scenario {
            liars: (0.2, lie),
            ..base.clone()
        };
        rows.push((format!("5 % no relay, a fifth {lie:?}"), liars));
    }
    let clocks = Scenario {
        wrong_clocks: 0.3,
        ..base.clone()
    };
    rows.push(("5 % no relay, a third of clocks wrong".to_owned(), clocks));
    let replaced = Scenario {
        replace_all: true,
        ..base
    };
    rows.push(("5 % no relay, all custodians replaced".to_owned(), replaced));
    for (name, scenario) in rows {
        if !words.iter().all(|word| name.contains(word.as_str())) {
            continue;
        }
        let began = Instant::now();
        let report = Simulation::new(scenario).run();
        println!(
            "{name}: {} | {:.0} s",
            report.line(),
            began.elapsed().as_secs_f64()
        );
    }
}
