//! Whole mailers, joined through real custodians in virtual time: never online together, and on bad days.

#![cfg(not(target_arch = "wasm32"))]
#![allow(clippy::unwrap_used)]

#[path = "mail/concurrent.rs"]
mod concurrent;
#[path = "mail/devices.rs"]
mod devices;
#[path = "mail/forger.rs"]
mod forger;
#[path = "mail/people.rs"]
mod people;
#[path = "mail/renewal.rs"]
mod renewal;
#[path = "mail/world.rs"]
mod world;

use std::collections::BTreeSet;

use gyre::proto::custody::KEPT_MIN;
use gyre::proto::custody::message::Message;
use gyre::proto::custody::sign::{Signer, Subject};
use gyre::proto::identity::Id;
use gyre::proto::mail::Suite;
use gyre::proto::mail::enclosure::Enclosure;
use gyre::proto::mail::post::{Input, Stage, Standing};
use gyre::proto::share::ShareKey;
use gyre::proto::types::BlobHash;
use world::{DAY, HOUR, Habit, MINUTE, World, contact, draft};

use forger::Forger;

/// Two people who know each other: Alice wrote first, and Bob accepted.
fn acquainted(seed: u64) -> (World, usize, usize) {
    acquainted_among(World::new(seed, 12), seed)
}

fn acquainted_among(mut world: World, seed: u64) -> (World, usize, usize) {
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
    for day in 0..3 {
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
    for day in 0..3 {
        assert!(world.texts(bob).contains(&format!("to Bob {day}")));
        assert!(
            world.delivered(alice, &format!("to Bob {day}"), b),
            "day {day}"
        );
    }
    for day in 0..2 {
        assert!(world.texts(alice).contains(&format!("to Alice {day}")));
    }
    assert_eq!(world.people[alice].twice + world.people[bob].twice, 0);
}

/// Many letters, both ways, on machines that stop at any moment: each arrives, and once.
#[test]
fn a_machine_that_stops_at_any_moment_loses_nothing_and_doubles_nothing() {
    let from = std::env::var("SEED")
        .ok()
        .and_then(|seed| seed.parse().ok());
    for seed in from.map_or(100..102, |seed: u64| seed..seed + 1) {
        let (mut world, alice, bob) = acquainted(seed);
        let (a, b) = (world.id(alice), world.id(bob));
        world.people[alice].fragile = 300;
        world.people[bob].fragile = 300;
        let mut sent = Vec::new();
        for number in 0..6 {
            for (from, to, name) in [(alice, b, "Alice"), (bob, a, "Bob")] {
                let token = format!("{name} {number}");
                // The page says it again until it is told that it is safe, as it does after a restart.
                let safe = |world: &World| world.people[from].sent.contains_key(&token);
                while !safe(&world) {
                    world.write_to(from, vec![to], &token);
                    world.until(MINUTE, safe);
                }
                sent.push((from, to, token));
            }
            world.run(3 * MINUTE);
        }
        world.run(30 * MINUTE);
        world.people[alice].fragile = 0;
        world.people[bob].fragile = 0;
        let all = |world: &World| {
            sent.iter()
                .all(|(from, to, token)| world.delivered(*from, token, *to))
        };
        assert!(world.until(6 * HOUR, all), "seed {seed}");
        let texts: BTreeSet<_> = [world.texts(alice), world.texts(bob)].concat_sets();
        for (_, _, token) in &sent {
            assert!(texts.contains(token), "seed {seed}: {token}");
        }
        assert_eq!(world.people[alice].letters.len(), 6, "seed {seed}");
        assert_eq!(world.people[bob].letters.len(), 7, "seed {seed}");
        assert_eq!(
            world.people[alice].twice + world.people[bob].twice,
            0,
            "seed {seed}"
        );
        world.run(2 * HOUR);
        // What is left are the snapshots of both.
        let left = world.lying().len();
        assert!(left <= 2, "seed {seed}: {left} envelopes lie about");
    }
}

trait Concat {
    fn concat_sets(self) -> BTreeSet<String>;
}

impl Concat for [BTreeSet<String>; 2] {
    fn concat_sets(self) -> BTreeSet<String> {
        self.into_iter().flatten().collect()
    }
}

#[test]
fn what_is_no_letter_to_bob_is_refused_and_deleted() {
    let (mut world, alice, bob) = acquainted(3);
    let (a, b) = (world.id(alice), world.id(bob));
    world.go_offline(bob);
    world.write_to(alice, vec![b], "the true one");
    assert!(world.until(HOUR, |world| world.stored(alice, "the true one", b)));
    let mut forger = Forger::new(2, world.now);
    let before = world.lying();
    // Replayed: the same envelope where another week's or lane's mail lies.
    let stolen = world
        .keepers
        .iter()
        .flat_map(|keeper| keeper.store.values());
    let stolen = stolen
        .filter(|deposit| *deposit.header().terms() == forger.terms())
        .last()
        .unwrap()
        .clone();
    let replayed = forger.leave_last_week(stolen.envelope().clone());
    // Changed on its way, sealed for somebody else, sealed in a weaker way, by a device that is not Alice's.
    let mut changed = stolen.envelope().to_vec();
    changed[9000] ^= 1;
    let changed = forger.leave(changed.into());
    let envelope = forger.envelope(a, "for Carol", |to| {
        to.id = gyre::proto::identity::Id([9; 32])
    });
    let wrong = forger.leave(envelope);
    let envelope = forger.envelope(a, "weaker", |to| to.suite = Suite(0));
    let weaker = forger.leave(envelope);
    let envelope = forger.envelope(a, "not Alice", |_| {});
    let forged = forger.leave(envelope);
    for deposit in [replayed, changed, wrong, weaker, forged] {
        world.plant(deposit);
    }
    // No work, no place.
    let envelope = forger.envelope(a, "no stamp", |_| {});
    let unstamped = forger.unstamped(envelope);
    let id = unstamped.id();
    world.plant(unstamped);
    world.run(MINUTE);
    let planted: BTreeSet<_> = world.lying().difference(&before).copied().collect();
    assert_eq!(planted.len(), 5);
    assert!(!world.lying().contains(&id));
    world.come_online(bob);
    assert!(world.until(HOUR, |world| world.delivered(alice, "the true one", b)));
    world.run(3 * HOUR);
    let refused: BTreeSet<_> = world.people[bob].refused.iter().copied().collect();
    for code in [
        "MAIL_REPLAYED",
        "MAIL_DOES_NOT_OPEN",
        "MAIL_DOWNGRADED",
        "MAIL_UNKNOWN_DEVICE",
    ] {
        assert!(refused.contains(code), "{code} is not among {refused:?}");
    }
    assert_eq!(
        world.texts(bob),
        BTreeSet::from(["may I?".into(), "the true one".into()])
    );
    assert_eq!(world.people[bob].twice, 0);
    // All but the forged one, whose sender may yet name such a device, are gone.
    let left: Vec<_> = world.lying().intersection(&planted).copied().collect();
    assert_eq!(left.len(), 1, "{left:?}");
}

#[test]
fn nobody_else_deletes_and_a_full_mailbox_empties_when_its_reader_comes() {
    let (mut world, alice, bob) = acquainted(4);
    let b = world.id(bob);
    world.go_offline(bob);
    world.write_to(alice, vec![b], "before");
    assert!(world.until(HOUR, |world| world.stored(alice, "before", b)));
    let mut forger = Forger::new(2, world.now);
    let before = world.lying();
    // A contact knows the terms, and signs with what a contact has.
    let terms = forger.terms();
    let mallory = Signer::from_seed([66; 32]);
    let signers = [mallory, forger.write_key()];
    for id in &before {
        for signer in &signers {
            let signature = signer.sign(Subject::Delete, &[&terms.tag().0, &id.0]);
            world.tell_keepers(Message::Delete(terms, vec![(*id, signature)]));
        }
    }
    world.run(MINUTE);
    assert_eq!(world.lying(), before);
    // More than a mailbox holds: what was there first stays.
    for _ in 0..260 {
        let junk = forger.junk();
        world.plant(junk);
    }
    world.write_to(alice, vec![b], "after");
    world.run(HOUR);
    assert_eq!(world.stage(alice, "after", b), Some(Stage::Looking));
    assert!(before.is_subset(&world.lying()));
    world.come_online(bob);
    let both =
        |world: &World| world.delivered(alice, "before", b) && world.delivered(alice, "after", b);
    let emptied = world.until(12 * HOUR, both);
    let left = world.lying().len();
    let stages = [
        world.stage(alice, "before", b),
        world.stage(alice, "after", b),
    ];
    assert!(emptied, "{stages:?}, {left} envelopes lie about");
    assert_eq!(world.people[bob].letters.len(), 3);
}

#[test]
fn bad_custodians_and_clocks_a_day_off_lose_nothing() {
    let (mut world, alice, bob) = acquainted(5);
    let (a, b) = (world.id(alice), world.id(bob));
    let habits = [Habit::Drops, Habit::Garbage, Habit::Hides, Habit::Babbles];
    for (keeper, habit) in world.keepers.iter_mut().zip(habits) {
        keeper.habit = habit;
    }
    world.go_offline(alice);
    world.go_offline(bob);
    // Letters may be dated 36 hours ahead.
    world.people[alice].skew = -(25 * HOUR as i64);
    world.people[bob].skew = 10 * HOUR as i64;
    let mut number = 0;
    for _ in 0..3 {
        for (here, to) in [(alice, b), (bob, a)] {
            world.come_online(here);
            number += 1;
            let token = format!("number {number}");
            world.write_to(here, vec![to], &token);
            assert!(
                world.until(2 * HOUR, |world| world.stored(here, &token, to)),
                "{token}"
            );
            world.run(30 * MINUTE);
            world.go_offline(here);
            world.run(5 * HOUR);
        }
    }
    world.come_online(alice);
    world.come_online(bob);
    world.run(2 * HOUR);
    for number in 1..=6 {
        let (reader, from) = if number % 2 == 1 {
            (bob, alice)
        } else {
            (alice, bob)
        };
        let token = format!("number {number}");
        assert!(world.texts(reader).contains(&token), "{token}");
        let to = world.id(reader);
        assert!(world.delivered(from, &token, to), "{token}");
    }
    assert_eq!(world.people[alice].twice + world.people[bob].twice, 0);
}

#[test]
fn what_nobody_fetches_expires_and_can_be_sent_again() {
    let (mut world, alice, bob) = acquainted(6);
    let b = world.id(bob);
    world.go_offline(bob);
    world.write_to(alice, vec![b], "too late");
    assert!(world.until(HOUR, |world| world.stored(alice, "too late", b)));
    world.go_offline(alice);
    world.run(38 * DAY);
    world.come_online(alice);
    assert!(world.until(HOUR, |world| world.stage(alice, "too late", b)
        == Some(Stage::Expired)));
    let message = world.people[alice].sent["too late"];
    world.say(alice, Input::Retry(message));
    // The passes are of weeks that are over, so it goes as a stranger's.
    assert!(world.until(HOUR, |world| world.stored(alice, "too late", b)));
    world.come_online(bob);
    assert!(world.until(HOUR, |world| world.delivered(alice, "too late", b)));
    let letter = world.people[bob]
        .letters
        .values()
        .find(|letter| world::text(letter) == "too late");
    assert!(!letter.unwrap().request, "a contact is one on either lane");
}

#[test]
fn whoever_is_blocked_is_not_heard_and_others_get_new_passes() {
    let (mut world, alice, bob) = acquainted(9);
    let (a, b) = (world.id(alice), world.id(bob));
    let carol = world.person("Carol", 3);
    let c = world.id(carol);
    world.write_to(bob, vec![c], "hello Carol");
    assert!(world.until(HOUR, |world| !world.people[carol].letters.is_empty()));
    world.accept(carol, b);
    world.run(HOUR);
    world.say(bob, Input::Contact(contact(a, Standing::Blocked)));
    world.run(HOUR);
    world.write_to(alice, vec![b], "are you there?");
    world.write_to(carol, vec![b], "without a stamp");
    assert!(world.until(2 * HOUR, |world| {
        world.texts(bob).contains("without a stamp")
    }));
    world.run(2 * HOUR);
    assert!(!world.texts(bob).contains("are you there?"));
    assert_eq!(world.people[carol].stamps, 0);
    world.write_to(bob, vec![a], "to the blocked");
    assert_eq!(world.people[bob].failed, ["MAIL_BLOCKED"]);
    // Strangers are not heard at all where they are not wanted.
    let mut policy = world::policy();
    policy.open = false;
    world.say(carol, Input::Policy(policy));
    world.run(MINUTE);
    world.write_to(alice, vec![c], "anybody?");
    assert!(world.until(HOUR, |world| world.stage(alice, "anybody?", c)
        == Some(Stage::Refused)));
}

#[test]
fn every_custodian_may_be_replaced_before_the_reader_comes() {
    let seed = 11;
    let mut world = World::new(seed, 24);
    (12..24).for_each(|n| world.keeper_goes(n));
    let (mut world, alice, bob) = acquainted_among(world, seed);
    let (a, b) = (world.id(alice), world.id(bob));
    world.go_offline(bob);
    for number in 0..5 {
        let token = format!("number {number}");
        world.write_to(alice, vec![b], &token);
        assert!(world.until(HOUR, |world| world.stored(alice, &token, b)));
    }
    world.go_offline(alice);
    for n in 0..12 {
        world.keeper_comes(12 + n);
        world.run(20 * MINUTE);
        world.keeper_goes(n);
        world.run(20 * MINUTE);
    }
    world.come_online(bob);
    let here =
        |world: &World| (0..5).all(|number| world.texts(bob).contains(&format!("number {number}")));
    assert!(world.until(2 * HOUR, here), "{:?}", world.texts(bob));
    assert_eq!(world.people[bob].twice, 0);
    // What lay with custodians says neither what was written nor by whom.
    for secret in [&b"number"[..], &a.0, &b.0] {
        for deposit in world
            .keepers
            .iter()
            .flat_map(|keeper| keeper.store.values())
        {
            let envelope = deposit.envelope();
            assert!(envelope.windows(secret.len()).all(|bytes| bytes != secret));
        }
    }
}

/// A letter with something of three MiB attached, which the sender serves while they are online.
fn write_with_attachment(world: &mut World, from: usize, to: Vec<Id>, text: &str) -> BlobHash {
    let hash = BlobHash(*blake3::hash(text.as_bytes()).as_bytes());
    let mut letter = draft(to, text);
    let key = ShareKey::new([9; 32]);
    letter.enclosures = vec![Enclosure::new(hash, key, 3 << 20, "a file.bin", "")];
    world.people[from].shares.insert(hash);
    world.say(from, Input::Send(letter, text.to_owned()));
    hash
}

fn keeping(world: &World, hash: BlobHash) -> Vec<usize> {
    let keepers = world.keepers.iter().enumerate();
    let with = keepers.filter(|(_, keeper)| keeper.blobs.contains(&hash));
    with.map(|(n, _)| n).collect()
}

#[test]
fn attachments_outlive_the_sender_and_every_first_custodian() {
    for seed in [31, 32] {
        let (mut world, alice, bob) = acquainted_among(World::new(seed, 40), seed);
        let b = world.id(bob);
        world.go_offline(bob);
        let hash = write_with_attachment(&mut world, alice, vec![b], "a large one");
        assert!(
            world.until(HOUR, |world| world.stored(alice, "a large one", b)),
            "seed {seed}"
        );
        assert!(keeping(&world, hash).len() >= KEPT_MIN, "seed {seed}");
        world.run(10 * MINUTE);
        world.go_offline(alice);
        // One after the other, for good.
        let first: Vec<_> = (0..world.keepers.len())
            .filter(|n| !world.keepers[*n].store.is_empty())
            .collect();
        assert!(first.len() >= 5, "seed {seed}");
        for keeper in &first {
            world.keeper_goes(*keeper);
            world.run(20 * MINUTE);
        }
        let second = keeping(&world, hash);
        let second: Vec<_> = second.iter().filter(|n| !first.contains(n)).collect();
        assert!(!second.is_empty(), "seed {seed}: nobody took over");
        // He takes it before he says that he has the letter, and it goes when he has.
        world.people[bob].stores = false;
        world.come_online(bob);
        assert!(
            world.until(HOUR, |world| world.texts(bob).contains("a large one")),
            "seed {seed}"
        );
        world.run(HOUR);
        assert!(world.has_somebody(hash), "seed {seed}");
        let letters = world.people[bob].letters.values();
        let letter = letters.filter(|letter| !letter.enclosures.is_empty());
        let letter = letter.map(|letter| letter.message).next().unwrap();
        world.say(bob, Input::Stored(letter));
        assert!(
            world.until(DAY, |world| !world.has_somebody(hash)),
            "seed {seed}"
        );
    }
}

#[test]
fn a_stranger_pays_for_what_is_attached_and_what_nobody_fetches_expires() {
    let mut world = World::new(33, 12);
    let (alice, bob) = (world.person("Alice", 1), world.person("Bob", 2));
    let b = world.id(bob);
    world.run(10 * MINUTE);
    world.go_offline(bob);
    world.people[alice].fragile = 30;
    let hash = write_with_attachment(&mut world, alice, vec![b], "may I?");
    assert!(world.until(DAY, |world| world.stored(alice, "may I?", b)));
    assert!(world.people[alice].stamps >= 2, "one for each");
    assert!(keeping(&world, hash).len() >= KEPT_MIN);
    world.people[alice].fragile = 0;
    world.run(MINUTE);
    world.go_offline(alice);
    world.run(16 * DAY);
    assert!(keeping(&world, hash).is_empty());
    assert!(world.keepers.iter().all(|keeper| keeper.wants.is_empty()));
}

#[test]
fn what_nobody_serves_is_not_said_to_be_stored() {
    let (mut world, alice, bob) = acquainted(34);
    let b = world.id(bob);
    world.go_offline(bob);
    let hash = write_with_attachment(&mut world, alice, vec![b], "unsent");
    world.people[alice].shares.clear();
    world.run(6 * HOUR);
    let wishes: usize = world.keepers.iter().map(|keeper| keeper.wishes).sum();
    assert!(wishes >= KEPT_MIN);
    // The letter itself is kept, and that is what is said: none of the three that are needed has what is attached.
    let status = world.status(alice, "unsent", b).unwrap();
    assert_eq!(status.stage, Stage::Looking);
    assert_eq!(status.kept, Some((0, KEPT_MIN)), "{status:?}");
    // Once it can be had it is.
    world.people[alice].shares.insert(hash);
    world.swarm_soon();
    assert!(world.until(HOUR, |world| world.stored(alice, "unsent", b)));
    assert_eq!(world.status(alice, "unsent", b).unwrap().kept, None);
}

#[test]
fn one_attachment_for_three_is_there_for_each_and_until_the_last_has_it() {
    let (mut world, alice, bob) = acquainted_among(World::new(35, 20), 35);
    let (carol, dave) = (world.person("Carol", 3), world.person("Dave", 4));
    let a = world.id(alice);
    let [b, c, d] = [bob, carol, dave].map(|one| world.id(one));
    world.write(alice, &[carol], "may I, Carol?");
    assert!(world.until(HOUR, |world| !world.people[carol].letters.is_empty()));
    world.accept(carol, a);
    assert!(world.until(HOUR, |world| world.delivered(alice, "may I, Carol?", c)));
    world.run(10 * MINUTE);
    for one in [bob, carol, dave] {
        world.go_offline(one);
    }
    // Dave has never heard of her: he alone is paid.
    let stamps = world.people[alice].stamps;
    let hash = write_with_attachment(&mut world, alice, vec![b, c, d], "for all");
    let all = |world: &World| {
        [b, c, d]
            .iter()
            .all(|to| world.stored(alice, "for all", *to))
    };
    assert!(world.until(DAY, all));
    assert_eq!(
        world.people[alice].stamps - stamps,
        2,
        "for the letter and what is attached"
    );
    world.run(10 * MINUTE);
    world.go_offline(alice);
    for (at, one) in [dave, bob, carol].into_iter().enumerate() {
        assert!(world.has_somebody(hash), "gone before {} of 3 came", at + 1);
        world.come_online(one);
        let came = |world: &World| world.texts(one).contains("for all");
        assert!(world.until(HOUR, came), "{} of 3", at + 1);
        let mut letters = world.people[one].letters.values();
        let letter = letters
            .find(|letter| !letter.enclosures.is_empty())
            .unwrap();
        assert_eq!(letter.request, one == dave);
        assert_eq!(letter.to.len(), 3);
        world.run(HOUR);
        world.go_offline(one);
        world.run(HOUR);
    }
    // Each has said for itself that it has it.
    world.come_online(alice);
    let told = |world: &World| {
        [b, c, d]
            .iter()
            .all(|to| world.delivered(alice, "for all", *to))
    };
    assert!(world.until(DAY, told));
    assert!(world.until(2 * DAY, |world| keeping(world, hash).is_empty()));
}
