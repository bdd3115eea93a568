//! Two machines of one person that sign at the same moment: nothing of what they did is lost, and nobody is warned of a thief.

use std::collections::BTreeSet;

use gyre::proto::identity::Key;
use gyre::proto::identity::op::Act;
use gyre::proto::identity::record::routing_key;
use gyre::proto::mail::post::{Change, IdentityStage, Input};

use super::acquainted;
use super::renewal::{change, known};
use super::world::{DAY, HOUR, World};

fn site(site: u32, key: u8) -> Change {
    let key = (key > 0).then_some(Key([key; 32]));
    Change::Site { site, key }
}

/// Alice with two machines, whom Bob knows.
fn with_two_machines(seed: u64) -> (World, usize, usize, usize) {
    let (mut world, alice, bob) = acquainted(seed);
    let phone = world.device("Alice's telephone", 1);
    world.say(phone, Input::Recover(String::new()));
    world.run(8 * HOUR);
    assert_eq!(world.people[phone].stage, Some(IdentityStage::Ready));
    (world, alice, phone, bob)
}

/// What the index says of somebody's sites.
fn sites(world: &World, n: usize) -> Vec<(u32, u8)> {
    let chain = known(world, world.id(n));
    let sites = chain.state().sites.iter();
    sites.map(|(site, key)| (*site, key.0[0])).collect()
}

#[test]
fn a_site_that_was_named_at_the_same_moment_on_another_machine_is_named_all_the_same() {
    for seed in 60..62 {
        let (mut world, alice, phone, bob) = with_two_machines(seed);
        let a = world.id(alice);
        change(&mut world, alice, site(0, 10)).unwrap();
        change(&mut world, phone, site(1, 20)).unwrap();
        world.run(DAY);
        assert_eq!(sites(&world, alice), [(0, 10), (1, 20)], "seed {seed}");
        // One that is withdrawn, while the other machine moves another.
        change(&mut world, alice, site(0, 0)).unwrap();
        change(&mut world, phone, site(1, 21)).unwrap();
        world.run(DAY);
        assert_eq!(sites(&world, alice), [(1, 21)], "seed {seed}");
        // It stays so, also after both were loaded anew.
        let head = known(&world, a).head();
        world.restart(alice);
        world.restart(phone);
        world.run(2 * DAY);
        assert_eq!(known(&world, a).head(), head, "signed again and again");
        for machine in [alice, phone] {
            assert_eq!(world.people[machine].forks, 0, "seed {seed}");
        }
        assert!(!world.people[bob].forked.contains(&a), "seed {seed}");
    }
}

#[test]
fn what_did_not_count_is_signed_again_by_a_machine_that_was_off_in_between() {
    let (mut world, alice, phone, _) = with_two_machines(65);
    let a = world.id(alice);
    // Later by its own word, so that it does not count.
    world.people[phone].skew = 60_000;
    world.restart(phone);
    change(&mut world, alice, site(0, 10)).unwrap();
    let before = known(&world, a);
    change(&mut world, phone, site(1, 20)).unwrap();
    // Nobody was told of it.
    world.go_offline(phone);
    world
        .records
        .insert(routing_key(a).to_vec(), before.to_bytes());
    world.run(2 * DAY);
    assert_eq!(sites(&world, alice), [(0, 10)]);
    world.come_online(phone);
    world.run(DAY);
    assert_eq!(sites(&world, alice), [(0, 10), (1, 20)]);
}

#[test]
fn a_machine_that_was_removed_at_the_same_moment_as_something_else_was_done_is_removed() {
    for seed in 66..68 {
        let (mut world, alice, phone, _) = with_two_machines(seed);
        let lost = world.device("one that gets lost", 1);
        world.say(lost, Input::Recover(String::new()));
        world.run(8 * HOUR);
        assert_eq!(world.people[alice].devices.len(), 3);
        let others: BTreeSet<Key> = world.people[phone].devices.iter().copied().collect();
        world.go_offline(lost);
        let chain = known(&world, world.id(alice));
        let added = chain.ops().iter().rev().find_map(|op| match op.act() {
            Act::AddDevice(key) => Some(*key),
            _ => None,
        });
        let added = added.unwrap();
        assert!(others.contains(&added));
        world.say(alice, Input::RemoveDevice(added));
        change(&mut world, phone, site(1, 20)).unwrap();
        world.run(DAY);
        let chain = known(&world, world.id(alice));
        assert!(!chain.state().devices.contains(&added), "seed {seed}");
        assert_eq!(sites(&world, alice), [(1, 20)], "seed {seed}");
        assert_eq!(world.people[alice].forks, 0, "seed {seed}");
    }
}

#[test]
fn a_branch_that_does_not_count_yet_is_no_alarm_for_a_day_and_none_once_its_machine_signed_again() {
    let (mut world, alice, phone, bob) = with_two_machines(71);
    let a = world.id(alice);
    let key = routing_key(a).to_vec();
    // Later by its own word: of equals the earlier counts.
    world.people[phone].skew = 60_000;
    world.restart(phone);
    let trunk = known(&world, a);
    change(&mut world, alice, site(0, 10)).unwrap();
    let first = known(&world, a);
    world.records.insert(key.clone(), trunk.to_bytes());
    change(&mut world, phone, site(1, 20)).unwrap();
    let second = known(&world, a);
    assert!(!second.continues(&first));
    // Everybody is shown both, before the machine whose operation does not count hears of it.
    world.go_offline(phone);
    for whom in [alice, bob] {
        let both = vec![first.to_bytes(), second.to_bytes()];
        world.say(whom, Input::Records(key.clone(), both));
    }
    let machine = &world.people[alice];
    assert_eq!((machine.forks, machine.open, machine.settled), (0, 1, 0));
    assert!(!world.people[bob].forked.contains(&a));
    world.run(20 * HOUR);
    assert_eq!(world.people[alice].forks, 0);
    // A machine that is off for longer cannot be told from a thief.
    world.run(20 * HOUR);
    assert_eq!(sites(&world, alice), [(0, 10)]);
    assert_eq!(world.people[alice].forks, 1);
    world.come_online(phone);
    world.run(DAY);
    assert_eq!(sites(&world, alice), [(0, 10), (1, 20)]);
    for machine in [alice, phone] {
        let machine = &world.people[machine];
        assert_eq!((machine.forks, machine.open, machine.settled), (0, 0, 1));
    }
}
