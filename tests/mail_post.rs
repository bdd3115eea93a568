//! Whole mailers, joined through real custodians in virtual time: never online together, and on bad days.

#![cfg(not(target_arch = "wasm32"))]
#![allow(clippy::unwrap_used)]

#[path = "mail/world.rs"]
mod world;

use gyre::proto::mail::post::{Input, Stage, Standing};
use world::{DAY, HOUR, MINUTE, World};

/// Two people who know each other: Alice wrote first, and Bob accepted.
fn acquainted(seed: u64) -> (World, usize, usize) {
    let mut world = World::new(seed, 12);
    let (alice, bob) = (world.person("Alice", 1), world.person("Bob", 2));
    world.write(alice, &[bob], "may I?");
    let whom = world.id(alice);
    assert!(
        world.until(HOUR, |world| !world.people[bob].letters.is_empty()),
        "seed {seed}"
    );
    world.accept(bob, whom);
    let to = world.id(bob);
    assert!(
        world.until(HOUR, |world| world.delivered(alice, "may I?", to)),
        "seed {seed}"
    );
    world.run(5 * MINUTE);
    (world, alice, bob)
}

#[test]
fn a_stranger_asks_and_becomes_a_contact() {
    let mut world = World::new(1, 12);
    let (alice, bob) = (world.person("Alice", 1), world.person("Bob", 2));
    let (a, b) = (world.id(alice), world.id(bob));
    world.write(alice, &[bob], "may I?");
    assert!(world.until(HOUR, |world| !world.people[bob].letters.is_empty()));
    let letter = world.people[bob].letters.values().next().unwrap().clone();
    assert!(letter.request && letter.from == a && letter.to == [b]);
    assert_eq!(world.people[alice].stamps, 1);
    assert_eq!(world.people[bob].contacts[&a], Standing::Request);
    assert_eq!(world.people[bob].names[&a].as_deref(), Some("Alice"));
    world.accept(bob, a);
    assert!(world.until(HOUR, |world| world.delivered(alice, "may I?", b)));
    world.run(5 * MINUTE);
    assert_eq!(world.people[alice].names[&b].as_deref(), Some("Bob"));
    // From now on without stamps, both ways.
    world.write(bob, &[alice], "yes");
    world.write(alice, &[bob], "thanks");
    let both =
        |world: &World| world.delivered(bob, "yes", a) && world.delivered(alice, "thanks", b);
    assert!(world.until(HOUR, both));
    let letters = &world.people[bob].letters;
    assert!(letters.values().any(|letter| !letter.request));
    assert_eq!(
        (world.people[alice].stamps, world.people[bob].stamps),
        (1, 0)
    );
}

#[test]
fn people_who_are_never_online_together_write_to_each_other() {
    let (mut world, alice, bob) = acquainted(2);
    let (a, b) = (world.id(alice), world.id(bob));
    world.go_offline(bob);
    for day in 0..6 {
        let token = format!("to Bob {day}");
        world.write_to(alice, vec![b], &token);
        assert!(
            world.until(HOUR, |world| world.stored(alice, &token, b)),
            "day {day}"
        );
        world.go_offline(alice);
        world.run(8 * HOUR);
        world.come_online(bob);
        let token = format!("to Alice {day}");
        world.write_to(bob, vec![a], &token);
        assert!(
            world.until(HOUR, |world| world.stored(bob, &token, a)),
            "day {day}"
        );
        world.run(10 * MINUTE);
        world.go_offline(bob);
        world.run(14 * HOUR);
        world.come_online(alice);
        world.run(10 * MINUTE);
    }
    for day in 0..6 {
        assert!(world.texts(bob).contains(&format!("to Bob {day}")));
        assert!(
            world.delivered(alice, &format!("to Bob {day}"), b),
            "day {day}"
        );
    }
    for day in 0..5 {
        assert!(world.texts(alice).contains(&format!("to Alice {day}")));
    }
    assert_eq!(world.people[alice].twice + world.people[bob].twice, 0);
    let _ = DAY;
    let _ = (Stage::Stored, Input::Tick);
}
