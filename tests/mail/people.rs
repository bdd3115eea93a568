//! What people allow each other, and what is known of those who cannot be trusted.

use super::*;
use gyre::proto::identity::Key;
use gyre::proto::identity::chain::Chain;
use gyre::proto::identity::op::Act;
use gyre::proto::identity::owner::Owner;
use gyre::proto::identity::record::routing_key;
use gyre::proto::keys::RootSecret;
use gyre::proto::mail::post::{Policy, Ref};

fn letter(world: &World, n: usize, text: &str) -> Ref {
    let mut letters = world.people[n].letters.values();
    let letter = letters.find(|letter| world::text(letter) == text);
    letter.unwrap().message
}

/// A letter of Alice's that Bob has, and she knows it.
fn arrives(world: &mut World, alice: usize, bob: usize, text: &str) -> Ref {
    let to = world.id(bob);
    world.write_to(alice, vec![to], text);
    assert!(world.until(HOUR, |world| {
        world.delivered(alice, text, to) && world.texts(bob).contains(text)
    }));
    world.run(5 * MINUTE);
    letter(world, bob, text)
}

#[test]
fn a_sender_is_told_what_was_read_where_the_reader_allows_it() {
    let (mut world, alice, bob) = acquainted(20);
    let b = world.id(bob);
    let first = arrives(&mut world, alice, bob, "tell me");
    assert_eq!(world.stage(alice, "tell me", b), Some(Stage::Delivered));
    world.say(bob, Input::Read(first));
    // Said once, however often it is opened, and also by a machine that stops meanwhile.
    world.restart(bob);
    world.say(bob, Input::Read(first));
    assert!(world.until(10 * MINUTE, |world| {
        world.stage(alice, "tell me", b) == Some(Stage::Read)
    }));
    let quiet = Policy {
        read_receipts: false,
        ..world::policy()
    };
    world.say(bob, Input::Policy(quiet));
    let second = arrives(&mut world, alice, bob, "and now?");
    let (lying, puts) = (world.lying(), world.puts);
    world.say(bob, Input::Read(second));
    world.run(2 * HOUR);
    assert_eq!(world.stage(alice, "and now?", b), Some(Stage::Delivered));
    assert_eq!(world.puts, puts, "something was left for somebody");
    assert!(world.lying().is_subset(&lying));
    // Nor later, when it is allowed again.
    world.say(bob, Input::Policy(world::policy()));
    world.run(2 * HOUR);
    assert_eq!(world.stage(alice, "and now?", b), Some(Stage::Delivered));
}

#[test]
fn a_stranger_is_not_told_that_somebody_read_what_they_wrote() {
    let mut world = World::new(21, 12);
    let (alice, bob) = (world.person("Alice", 1), world.person("Bob", 2));
    let (a, b) = (world.id(alice), world.id(bob));
    world.write(alice, &[bob], "are you there?");
    assert!(world.until(HOUR, |world| !world.people[bob].letters.is_empty()));
    world.run(HOUR);
    let puts = world.puts;
    let message = letter(&world, bob, "are you there?");
    world.say(bob, Input::Read(message));
    world.run(2 * HOUR);
    assert_eq!(world.people[bob].contacts[&a], Standing::Request);
    assert_ne!(world.stage(alice, "are you there?", b), Some(Stage::Read));
    assert_eq!(world.puts, puts, "something was left for somebody");
}

#[test]
fn mail_of_the_muted_comes_and_says_so() {
    let (mut world, alice, bob) = acquainted(22);
    let a = world.id(alice);
    let of = |world: &World, text: &str| {
        let message = letter(world, bob, text);
        world.people[bob].letters[&message].clone()
    };
    arrives(&mut world, alice, bob, "loud");
    assert!(!of(&world, "loud").muted);
    world.say(bob, Input::Contact(contact(a, Standing::Muted)));
    arrives(&mut world, alice, bob, "quiet");
    let quiet = of(&world, "quiet");
    assert!(quiet.muted && !quiet.request);
    world.accept(bob, a);
    arrives(&mut world, alice, bob, "loud again");
    assert!(!of(&world, "loud again").muted);
}

/// A chain as its owner's, but for its last operation, which somebody else has signed with the keys of then.
fn forked(secret: u8, chain: &[u8], id: Id) -> Vec<u8> {
    let root = RootSecret::new([secret; 32]);
    let chain = Chain::parse(id, chain).unwrap();
    let mut other = chain.back_to(chain.ops().len() - 2).unwrap();
    let thief = Key([7; 32]);
    let time = chain.state().time + 1;
    let owner = Owner::new(&root, 0);
    owner.act(&mut other, time, Act::AddDevice(thief)).unwrap();
    other.to_bytes()
}

#[test]
fn an_identity_that_contradicts_itself_is_shown_to_others_and_to_its_owner() {
    let (mut world, alice, bob) = acquainted(23);
    let a = world.id(alice);
    let key = routing_key(a).to_vec();
    let fork = forked(1, &world.records[&key], a);
    // Holders that were shown the other one give it to whoever asks now.
    world.records.insert(key, fork);
    assert!(!world.people[bob].forked.contains(&a));
    assert_eq!(world.people[alice].forks, 0);
    world.run(7 * HOUR);
    world.write_to(bob, vec![a], "is it you?");
    // One of her machines could have signed it, and would sign it again within a day.
    assert!(world.until(2 * HOUR, |world| world.people[alice].open == 1));
    assert!(!world.people[bob].forked.contains(&a));
    assert_eq!(world.people[alice].forks, 0);
    let alarm =
        |world: &World| world.people[bob].forked.contains(&a) && world.people[alice].forks == 1;
    assert!(world.until(3 * DAY, alarm));
    assert_eq!(world.people[alice].open, 0);
    // What counts is what came first, so the two still write to each other.
    assert!(world.until(HOUR, |world| world.texts(alice).contains("is it you?")));
    // It is known in the next run, too.
    world.people[alice].forks = 0;
    world.restart(alice);
    assert_eq!(world.people[alice].forks, 1);
}

#[test]
fn a_sender_whose_clock_is_a_day_ahead_is_read_and_answered() {
    // Six days and some hours into a week: by Alice's clock it is the next.
    let (mut world, alice, bob) = acquainted(24);
    let (a, b) = (world.id(alice), world.id(bob));
    world.run(6 * DAY + 6 * HOUR);
    world.people[alice].skew = DAY as i64;
    world.restart(alice);
    for day in 0..3 {
        let (asks, answers) = (format!("question {day}"), format!("answer {day}"));
        world.write_to(alice, vec![b], &asks);
        assert!(
            world.until(HOUR, |world| world.delivered(alice, &asks, b)),
            "day {day}"
        );
        world.write_to(bob, vec![a], &answers);
        assert!(
            world.until(HOUR, |world| world.delivered(bob, &answers, a)),
            "day {day}"
        );
        world.run(DAY);
    }
    assert_eq!((world.texts(bob).len(), world.texts(alice).len()), (4, 3));
    // Somebody who begins with such a clock is found, and heard as anybody is.
    let carol = world.device("Carol", 3);
    world.people[carol].skew = DAY as i64;
    world.say(carol, Input::Begin("Carol".to_owned()));
    world.say(carol, Input::Policy(world::policy()));
    world.write_to(carol, vec![b], "good morning");
    assert!(world.until(3 * HOUR, |world| {
        world.texts(bob).contains("good morning")
    }));
    for n in [alice, bob, carol] {
        assert_eq!(world.people[n].twice, 0);
    }
}
