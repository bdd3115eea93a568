//! Several devices of one person.

use super::*;
use gyre::proto::identity::Key;
use gyre::proto::identity::owner::Owner;
use gyre::proto::identity::record::routing_key;
use gyre::proto::keys::RootSecret;
use gyre::proto::mail::post::IdentityStage;

/// Another device of Bob's, which begins with his words.
fn telephone(world: &mut World) -> usize {
    let phone = world.device("Bob's telephone", 2);
    world.say(phone, Input::Recover(String::new()));
    let ready = |world: &World| world.people[phone].stage == Some(IdentityStage::Ready);
    assert!(world.until(HOUR, ready));
    phone
}

fn key_of(world: &World, n: usize) -> Key {
    world.people[n].post.as_ref().unwrap().device()
}

/// When a device looked its own identity up.
fn looked_up_itself(world: &World, n: usize) -> Vec<u64> {
    let key = routing_key(world.id(n));
    let all = world.people[n].looked_up.iter();
    all.filter(|(other, _)| *other == key)
        .map(|(_, at)| *at)
        .collect()
}

#[test]
fn a_new_device_is_believed_as_soon_as_it_speaks() {
    let (mut world, _, bob) = acquainted(13);
    // So that Bob has just looked, and need not look again for hours.
    world.restart(bob);
    world.run(MINUTE);
    let looks = looked_up_itself(&world, bob).len();
    let phone = telephone(&mut world);
    let known = key_of(&world, phone);
    assert!(world.until(2 * MINUTE, |world| {
        world.people[bob].devices.contains(&known)
    }));
    assert_eq!(looked_up_itself(&world, bob).len(), looks + 1);
    world.say(phone, Input::Sync(b"read".to_vec()));
    // A device leaves a snapshot every two minutes at most.
    assert!(world.until(4 * MINUTE, |world| {
        world.people[bob].synced == [b"read".to_vec()]
    }));
    world.say(bob, Input::Sync(b"starred".to_vec()));
    assert!(world.until(4 * MINUTE, |world| {
        world.people[phone].synced.last() == Some(&b"starred".to_vec())
    }));
    assert!(world.people[bob].refused.is_empty());
}

#[test]
fn what_a_new_device_said_before_it_could_be_looked_up_is_not_lost() {
    let (mut world, _, bob) = acquainted(14);
    let key = routing_key(world.id(bob)).to_vec();
    let before = world.records[&key].clone();
    let phone = telephone(&mut world);
    world.run(1_000);
    let after = world.records.insert(key.clone(), before.clone()).unwrap();
    assert_ne!(before, after, "the index has not heard of it");
    world.say(phone, Input::Sync(b"said once".to_vec()));
    world.run(10 * MINUTE);
    assert_eq!(world.people[bob].devices.len(), 1);
    assert!(world.people[bob].synced.is_empty());
    world.go_offline(phone);
    world.records.insert(key, after);
    assert!(world.until(15 * MINUTE, |world| {
        world.people[bob].synced == [b"said once".to_vec()]
    }));
    assert_eq!(world.people[bob].devices.len(), 2);
}

#[test]
fn nobody_has_an_identity_looked_up_more_than_once_a_minute() {
    let (mut world, alice, bob) = acquainted(15);
    let b = world.id(bob);
    let began = world.now;
    let mut forger = Forger::new(2, world.now);
    // A contact who claims to be a device of Bob's, every five seconds.
    for _ in 0..200 {
        let envelope = forger.envelope(b, "it is you", |_| {});
        let deposit = forger.leave(envelope);
        world.plant(deposit);
        world.run(5_000);
    }
    let looks = looked_up_itself(&world, bob);
    let looks: Vec<_> = looks.into_iter().filter(|at| *at >= began).collect();
    assert!(looks.len() > 10, "{looks:?}");
    for pair in looks.windows(2) {
        assert!(pair[1] - pair[0] >= MINUTE, "{looks:?}");
    }
    assert_eq!(world.people[bob].devices.len(), 1);
    assert_eq!(world.people[bob].letters.len(), 1);
    // Nothing of Alice's suffers from it.
    world.write_to(alice, vec![b], "it is me");
    assert!(world.until(HOUR, |world| world.texts(bob).contains("it is me")));
}

#[test]
fn a_device_that_comes_while_the_other_is_away_and_back_lose_nothing() {
    let (mut world, alice, bob) = acquainted(16);
    let b = world.id(bob);
    world.say(bob, Input::Sync(b"of Bob's".to_vec()));
    world.run(10 * MINUTE);
    world.go_offline(bob);
    world.write_to(alice, vec![b], "meanwhile");
    assert!(world.until(HOUR, |world| world.stored(alice, "meanwhile", b)));
    let phone = telephone(&mut world);
    assert!(world.until(HOUR, |world| world.texts(phone).contains("meanwhile")));
    assert!(world.until(HOUR, |world| {
        world.people[phone].synced == [b"of Bob's".to_vec()]
    }));
    let letter = |world: &World, text: &str| {
        let mut letters = world.people[phone].letters.values();
        letters
            .find(|letter| world::text(letter) == text)
            .unwrap()
            .message
    };
    world.write_to(alice, vec![b], "unwanted");
    assert!(world.until(HOUR, |world| world.texts(phone).contains("unwanted")));
    world.say(phone, Input::Sync(b"of the telephone's".to_vec()));
    world.run(10 * MINUTE);
    world.go_offline(phone);
    // One machine has it, and another that counts does not.
    let lying = world.lying();
    world.come_online(bob);
    assert!(world.until(5 * MINUTE, |world| {
        let texts = world.texts(bob);
        texts.contains("meanwhile") && texts.contains("unwanted")
    }));
    assert!(world.until(5 * MINUTE, |world| {
        world.people[bob].synced == [b"of the telephone's".to_vec()]
    }));
    let both = ["meanwhile", "unwanted"].map(|text| letter(&world, text));
    // Both have it, as far as Bob's own machine has heard: it lies nowhere any more.
    world.run(10 * MINUTE);
    assert!(world.lying().len() < lying.len());
    world.say(bob, Input::Remove(both[1]));
    world.run(5 * MINUTE);
    world.go_offline(bob);
    world.come_online(phone);
    assert!(world.until(5 * MINUTE, |world| {
        world.people[phone].gone.contains(&both[1])
    }));
    assert_eq!(world.texts(phone), BTreeSet::from(["meanwhile".into()]));
}

#[test]
fn two_devices_have_the_same_mail_and_delete_at_once() {
    let (mut world, alice, bob) = acquainted(7);
    let (a, b) = (world.id(alice), world.id(bob));
    let phone = world.device("Bob's telephone", 2);
    world.say(phone, Input::Recover(String::new()));
    let ready = |world: &World| world.people[phone].stage == Some(IdentityStage::Ready);
    assert!(world.until(HOUR, ready));
    // The other device hears of it, and the contacts come over.
    world.run(8 * HOUR);
    assert_eq!(world.people[bob].devices.len(), 2);
    assert_eq!(
        world.people[phone].contacts.get(&a),
        Some(&Standing::Accepted)
    );
    for number in 0..3 {
        world.write_to(alice, vec![b], &format!("to both {number}"));
    }
    let here = |world: &World, n: usize| {
        (0..3).all(|number| world.texts(n).contains(&format!("to both {number}")))
    };
    assert!(world.until(2 * HOUR, |world| here(world, bob) && here(world, phone)));
    // What one sends, the other sees.
    world.write_to(phone, vec![a], "from the telephone");
    let seen = |world: &World| {
        let own = world.people[bob]
            .letters
            .values()
            .find(|letter| world::text(letter) == "from the telephone");
        own.is_some_and(|own| own.own && own.to == [a])
    };
    assert!(world.until(2 * HOUR, seen));
    assert!(world.until(2 * HOUR, |world| {
        world.texts(alice).contains("from the telephone")
    }));
    // Removed on both in the same moment, and on one alone.
    let letter = |world: &World, text: &str| {
        let mut letters = world.people[bob].letters.values();
        letters
            .find(|letter| world::text(letter) == text)
            .unwrap()
            .message
    };
    let (first, second) = (letter(&world, "to both 0"), letter(&world, "to both 1"));
    world.say(bob, Input::Remove(first));
    world.say(phone, Input::Remove(first));
    world.say(bob, Input::Remove(second));
    assert!(world.until(2 * HOUR, |world| world.people[phone].gone.contains(&second)));
    world.run(3 * HOUR);
    assert!(!world.texts(phone).contains("to both 1"));
    for n in [alice, bob, phone] {
        assert_eq!(world.people[n].twice, 0);
    }
    // Every active device has everything: a note and a snapshot of each device are left, and Alice's snapshot.
    let left = world.lying().len();
    assert!(left <= 5, "{left} envelopes lie about");
    // A device that is removed reads nothing more, and nobody waits for it.
    let key = world.people[phone].post.as_ref().unwrap().device();
    world.say(bob, Input::RemoveDevice(key));
    world.run(8 * HOUR);
    assert_eq!(world.people[phone].stage, Some(IdentityStage::Removed));
    world.write_to(alice, vec![b], "for one");
    assert!(world.until(2 * HOUR, |world| world.delivered(alice, "for one", b)));
    assert!(!world.texts(phone).contains("for one"));
}

#[test]
fn the_words_bring_everything_back_that_still_lies_somewhere() {
    let (mut world, alice, bob) = acquainted(8);
    let (a, b) = (world.id(alice), world.id(bob));
    world.say(bob, Input::Sync(b"what the page knows".to_vec()));
    world.run(2 * HOUR);
    world.go_offline(bob);
    world.write_to(alice, vec![b], "meanwhile");
    assert!(world.until(HOUR, |world| world.stored(alice, "meanwhile", b)));
    world.go_offline(alice);
    world.run(3 * DAY);
    world.people[bob].online = true;
    world.wipe(bob);
    world.people[bob].contacts.clear();
    world.say(bob, Input::Recover("Bob".into()));
    assert!(world.until(2 * HOUR, |world| world.texts(bob).contains("meanwhile")));
    world.run(HOUR);
    assert_eq!(
        world.people[bob].contacts.get(&a),
        Some(&Standing::Accepted)
    );
    assert_eq!(world.people[bob].synced, [b"what the page knows".to_vec()]);
    assert_eq!(world.people[bob].devices.len(), 2);
    // Written as to a contact, and taken for one's, though the passes are lost.
    world.write_to(bob, vec![a], "I am back");
    world.come_online(alice);
    assert!(world.until(2 * HOUR, |world| world.texts(alice).contains("I am back")));
    let mut letters = world.people[alice].letters.values();
    assert!(!letters.any(|letter| letter.request));
    // Words of nobody find nothing, and go on looking.
    let nobody = world.device("nobody", 77);
    world.say(nobody, Input::Recover(String::new()));
    world.run(HOUR);
    assert_eq!(world.people[nobody].stage, Some(IdentityStage::Looking));
}

#[test]
fn what_changed_just_before_a_page_ended_is_told_in_its_next_run() {
    let (mut world, alice, bob) = acquainted(12);
    let a = world.id(alice);
    world.run(HOUR);
    world.say(bob, Input::Contact(contact(a, Standing::Muted)));
    world.run(5_000);
    world.stop(bob);
    world.run(HOUR);
    // There for four minutes only.
    world.start(bob);
    world.run(4 * MINUTE);
    world.wipe(bob);
    world.people[bob].contacts.clear();
    world.say(bob, Input::Recover("Bob".into()));
    let muted = Some(&Standing::Muted);
    assert!(
        world.until(2 * HOUR, |world| world.people[bob].contacts.get(&a)
            == muted)
    );
}

#[test]
fn two_devices_that_sign_at_the_same_time_agree() {
    let (mut world, _, bob) = acquainted(10);
    let phone = world.device("Bob's telephone", 2);
    let tablet = world.device("Bob's tablet", 2);
    for n in [phone, tablet] {
        world.say(n, Input::Recover(String::new()));
    }
    world.run(DAY);
    let devices: Vec<_> = [bob, phone, tablet]
        .iter()
        .map(|n| world.people[*n].devices.clone())
        .collect();
    assert_eq!(devices[0].len(), 3);
    assert!(devices.iter().all(|other| *other == devices[0]));
    assert_eq!(Owner::new(&RootSecret::new([2; 32]), 0).id(), world.id(bob));
}
