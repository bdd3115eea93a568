//! Identities whose keys change: who follows, who is shut out, and what is undone.

use gyre::proto::identity::chain::Chain;
use gyre::proto::identity::op::Act;
use gyre::proto::identity::owner::Owner;
use gyre::proto::identity::{Id, IdentityError, Key, record};
use gyre::proto::keys::{RootSecret, SiteKey};
use gyre::proto::mail::post::{Change, IdentityStage, Input, Stage, Standing};

use super::acquainted;
use super::world::{DAY, HOUR, MINUTE, World};

/// What is on Alice's paper, and on her second one.
const PAPER: [u8; 32] = [101; 32];
const SECOND: [u8; 32] = [102; 32];

fn renewal(shown: Option<[u8; 32]>, heir: [u8; 32], keep: Option<usize>) -> Change {
    Change::Renew {
        shown: shown.map(RootSecret::new),
        heir: RootSecret::new(heir),
        keep,
    }
}

pub fn change(world: &mut World, n: usize, change: Change) -> Result<(), IdentityError> {
    let now = world.now;
    let post = world.people[n].post.as_mut().unwrap();
    let done = post.change(change, now);
    // What follows is done with the next input.
    world.say(n, Input::Tick);
    done
}

/// The chain that the index gives for somebody.
pub fn known(world: &World, id: Id) -> Chain {
    let bytes = &world.records[&record::routing_key(id)[..]];
    Chain::parse(id, bytes).unwrap()
}

fn knows(world: &World, n: usize, text: &str) -> bool {
    world.texts(n).contains(text)
}

/// A machine with everything that Alice's had at this moment.
fn stolen(world: &mut World, alice: usize) -> usize {
    let thief = world.device("a thief", 1);
    world.people[thief].saved = world.people[alice].saved.clone();
    world.start(thief);
    thief
}

#[test]
fn mail_flows_both_ways_after_the_keys_were_changed() {
    let (mut world, alice, bob) = acquainted(21);
    let (a, b) = (world.id(alice), world.id(bob));
    let phone = world.device("Alice's telephone", 1);
    world.say(phone, Input::Recover(String::new()));
    world.run(8 * HOUR);
    assert!(!world.people[alice].on_paper);
    change(&mut world, alice, renewal(None, PAPER, None)).unwrap();
    assert!(world.people[alice].on_paper);
    world.run(8 * HOUR);
    // The secret of the machines still signs.
    assert_eq!(world.people[phone].stage, Some(IdentityStage::Ready));
    assert!(world.people[phone].on_paper);
    assert_eq!(world.people[alice].devices.len(), 2);
    // What is on its way when the keys change arrives all the same.
    world.go_offline(alice);
    world.write_to(bob, vec![a], "before the change");
    assert!(world.until(HOUR, |world| world.stored(bob, "before the change", a)));
    world.run(HOUR);
    world.come_online(alice);
    let before = known(&world, a);
    change(&mut world, alice, renewal(Some(PAPER), PAPER, None)).unwrap();
    assert!(world.until(2 * HOUR, |world| knows(world, alice, "before the change")));
    assert_ne!(known(&world, a).state().mail, before.state().mail);
    // Bob knew no better when he wrote this.
    world.write_to(bob, vec![a], "to the former mailbox");
    assert!(world.until(2 * HOUR, |world| knows(
        world,
        alice,
        "to the former mailbox"
    )));
    world.run(8 * HOUR);
    world.write_to(bob, vec![a], "to the new one");
    world.write_to(alice, vec![b], "from the new one");
    assert!(world.until(2 * HOUR, |world| knows(world, alice, "to the new one")));
    assert!(world.until(2 * HOUR, |world| knows(world, bob, "from the new one")));
    assert!(world.until(2 * HOUR, |world| world.delivered(bob, "to the new one", a)));
    let mut letters = world.people[bob].letters.values();
    assert!(letters.all(|letter| letter.from == a));
    assert!(!world.people[bob].forked.contains(&a));
    // Her other machine waits for the words on paper, and has the same mail with them.
    assert_eq!(world.people[phone].stage, Some(IdentityStage::Removed));
    let wrong = Change::Rejoin(RootSecret::new(SECOND));
    assert_eq!(
        change(&mut world, phone, wrong),
        Err(IdentityError::NotOurs)
    );
    let right = Change::Rejoin(RootSecret::new(PAPER));
    assert_eq!(change(&mut world, phone, right), Ok(()));
    assert_eq!(world.people[phone].stage, Some(IdentityStage::Ready));
    world.run(8 * HOUR);
    world.write_to(bob, vec![a], "to both");
    let both = |world: &World| knows(world, alice, "to both") && knows(world, phone, "to both");
    assert!(world.until(2 * HOUR, both));
    // An empty machine needs both: the words of the keys, and those on paper.
    world.run(HOUR);
    world.wipe(alice);
    world.people[alice].contacts.clear();
    world.say(alice, Input::Recover("Alice".into()));
    world.run(HOUR);
    assert_eq!(world.people[alice].stage, Some(IdentityStage::Removed));
    let right = Change::Rejoin(RootSecret::new(PAPER));
    assert_eq!(change(&mut world, alice, right), Ok(()));
    world.run(8 * HOUR);
    assert_eq!(
        world.people[alice].contacts.get(&b),
        Some(&Standing::Accepted)
    );
    world.write_to(alice, vec![b], "I am back");
    assert!(world.until(2 * HOUR, |world| knows(world, bob, "I am back")));
}

#[test]
fn a_machine_may_stop_in_the_middle_of_a_change() {
    for seed in 30..32 {
        let (mut world, alice, bob) = acquainted(seed);
        let a = world.id(alice);
        change(&mut world, alice, renewal(None, PAPER, None)).unwrap();
        world.run(HOUR);
        // Nothing leaves before the page stops: what was saved is all there is.
        world.people[alice].online = false;
        change(&mut world, alice, renewal(Some(PAPER), PAPER, None)).unwrap();
        world.stop(alice);
        world.run(10 * MINUTE);
        world.come_online(alice);
        world.people[alice].fragile = 60;
        world.run(HOUR);
        world.people[alice].fragile = 0;
        world.run(6 * HOUR);
        world.write_to(bob, vec![a], "still there?");
        assert!(
            world.until(DAY, |world| knows(world, alice, "still there?")),
            "seed {seed}"
        );
        assert_eq!(known(&world, a).state().devices.len(), 1, "seed {seed}");
    }
}

#[test]
fn whoever_took_the_machine_is_shut_out_by_the_paper() {
    let (mut world, alice, bob) = acquainted(22);
    let (a, b) = (world.id(alice), world.id(bob));
    change(&mut world, alice, renewal(None, PAPER, None)).unwrap();
    world.run(8 * HOUR);
    let thief = stolen(&mut world, alice);
    let honest = known(&world, a);
    // The secret of the machine is neither the next key nor the recovery key.
    let root = RootSecret::new([1; 32]);
    let owner = Owner::new(&root, 0);
    let now = world.now / 1000;
    let ours = |error| Some(error) == Some(IdentityError::NotOurs);
    assert!(ours(owner.rotate(&mut honest.clone(), now).unwrap_err()));
    assert!(ours(owner.end(&mut honest.clone(), now).unwrap_err()));
    for place in 1..honest.ops().len() {
        let taken = owner.recover(&honest, place, now);
        // Before the paper counted, it was the machine's: too long ago, or undone by what is on the paper.
        assert!(taken.is_err() || place + 1 < honest.ops().len());
    }
    // He takes the mail, and puts Alice out.
    let mut forged = honest.clone();
    let his = SiteKey::from_seed([66; 32]);
    let device = world.people[alice].post.as_ref().unwrap().device();
    for act in [
        Act::AddDevice(Key::from(his.name())),
        Act::RemoveDevice(device),
        Act::SetMail(Some(Key::from(his.name()))),
    ] {
        owner.act(&mut forged, now, act).unwrap();
    }
    world
        .records
        .insert(record::routing_key(a).to_vec(), forged.to_bytes());
    world.run(8 * HOUR);
    assert_eq!(world.people[alice].stage, Some(IdentityStage::Removed));
    assert_eq!(known(&world, a).head(), forged.head());
    world.run(2 * DAY);
    // Within the window, the paper undoes it.
    let keep = Some(honest.ops().len());
    change(&mut world, alice, renewal(Some(PAPER), SECOND, keep)).unwrap();
    assert_eq!(world.people[alice].stage, Some(IdentityStage::Ready));
    world.run(8 * HOUR);
    let after = known(&world, a);
    assert!(!after.state().devices.contains(&Key::from(his.name())));
    assert_eq!(world.people[thief].stage, Some(IdentityStage::Removed));
    world.run(DAY);
    assert!(world.people[bob].forked.contains(&a));
    world.write_to(bob, vec![a], "for you alone");
    world.write_to(alice, vec![b], "it is me");
    assert!(world.until(2 * HOUR, |world| knows(world, alice, "for you alone")));
    assert!(world.until(2 * HOUR, |world| knows(world, bob, "it is me")));
    // Nothing that was on the machine signs, and nothing opens the letter.
    assert!(!knows(&world, thief, "for you alone"));
    let refused = owner.act(&mut after.clone(), world.now / 1000, Act::SetMail(None));
    assert_eq!(refused, Err(IdentityError::NotOurs));
    let mut still = forged.clone();
    let now = world.now / 1000;
    owner
        .act(&mut still, now, Act::AddDevice(Key([7; 32])))
        .unwrap();
    let bytes = [after.to_bytes(), still.to_bytes()];
    let values: Vec<_> = bytes.iter().map(Vec::as_slice).collect();
    let key = record::routing_key(a);
    assert_eq!(record::select(&key, &values, now), Some(0));
    // The used paper is worth nothing, the second one goes on.
    let used = change(&mut world, alice, renewal(Some(PAPER), PAPER, None));
    assert_eq!(used, Err(IdentityError::NotOurs));
    assert_eq!(
        change(&mut world, alice, renewal(Some(SECOND), SECOND, None)),
        Ok(())
    );
}

/// A thief who has the next key too rotates to keys of his own.
fn thief_rotates(world: &mut World, a: Id) -> (Chain, Chain) {
    let honest = known(world, a);
    let mut taken = honest.clone();
    let paper = RootSecret::new(PAPER);
    let his = RootSecret::new([66; 32]);
    let now = world.now / 1000;
    let epoch = Owner::new(&paper, 0)
        .rotate_for(&Owner::new(&his, 0), &mut taken, now)
        .unwrap();
    let signer = paper.identity_key(0, epoch);
    for act in [
        Act::AddDevice(Key::from(his.device_key(0, 0).name())),
        Act::SetMail(Some(Key::from(his.mail_key(0, 0).name()))),
    ] {
        taken.sign(now, act, &signer).unwrap();
    }
    world
        .records
        .insert(record::routing_key(a).to_vec(), taken.to_bytes());
    (honest, taken)
}

#[test]
fn the_recovery_key_takes_an_identity_back_within_the_window() {
    let (mut world, alice, bob) = acquainted(23);
    let (a, b) = (world.id(alice), world.id(bob));
    change(&mut world, alice, renewal(None, PAPER, None)).unwrap();
    world.run(DAY);
    let (honest, taken) = thief_rotates(&mut world, a);
    world.run(2 * DAY);
    assert_eq!(world.people[alice].stage, Some(IdentityStage::Removed));
    assert_eq!(known(&world, a).head(), taken.head());
    let keep = Some(honest.ops().len());
    change(&mut world, alice, renewal(Some(PAPER), SECOND, keep)).unwrap();
    assert_eq!(world.people[alice].stage, Some(IdentityStage::Ready));
    world.run(DAY);
    let acts = world.people[alice].post.as_ref().unwrap().history();
    assert!(acts.iter().any(|step| step.act == "recover"));
    world.write_to(bob, vec![a], "are you back?");
    world.write_to(alice, vec![b], "I am");
    assert!(world.until(2 * HOUR, |world| knows(world, alice, "are you back?")));
    assert!(world.until(2 * HOUR, |world| knows(world, bob, "I am")));
    assert!(world.people[bob].forked.contains(&a));
}

#[test]
fn after_the_window_nothing_is_taken_back() {
    let (mut world, alice, _) = acquainted(24);
    let a = world.id(alice);
    change(&mut world, alice, renewal(None, PAPER, None)).unwrap();
    world.run(DAY);
    let (honest, taken) = thief_rotates(&mut world, a);
    world.run(3 * DAY + 8 * HOUR);
    let keep = Some(honest.ops().len());
    let late = change(&mut world, alice, renewal(Some(PAPER), SECOND, keep));
    assert_eq!(late, Err(IdentityError::TooLate));
    assert_eq!(world.people[alice].stage, Some(IdentityStage::Removed));
    world.run(DAY);
    assert_eq!(known(&world, a).head(), taken.head());
}

#[test]
fn nobody_writes_to_an_identity_that_has_ended() {
    for paper in [None, Some(PAPER)] {
        let (mut world, alice, bob) = acquainted(25);
        let (a, b) = (world.id(alice), world.id(bob));
        if paper.is_some() {
            change(&mut world, alice, renewal(None, PAPER, None)).unwrap();
            world.run(HOUR);
            let shown = None;
            assert_eq!(
                change(&mut world, alice, Change::End { shown }),
                Err(IdentityError::NotOurs)
            );
        }
        let shown = paper.map(RootSecret::new);
        assert_eq!(change(&mut world, alice, Change::End { shown }), Ok(()));
        assert_eq!(world.people[alice].stage, Some(IdentityStage::Ended));
        // On its way when Bob hears of it, a day later at most, though he writes nothing.
        world.write_to(bob, vec![a], "on its way");
        world.run(DAY + HOUR);
        assert_eq!(world.people[bob].ended.get(&a), Some(&true));
        assert_eq!(world.stage(bob, "on its way", a), Some(Stage::Refused));
        let lying = world.lying().len();
        world.write_to(bob, vec![a], "are you there?");
        world.run(8 * HOUR);
        assert_eq!(world.stage(bob, "are you there?", a), Some(Stage::Refused));
        assert!(world.lying().len() <= lying);
        world.write_to(alice, vec![b], "no");
        assert_eq!(world.people[alice].failed, ["MAIL_NOT_READY"]);
        // For good, also after a restart.
        world.stop(alice);
        world.start(alice);
        assert_eq!(world.people[alice].stage, Some(IdentityStage::Ended));
        let shown = paper.or(Some([1; 32]));
        let back = change(&mut world, alice, renewal(shown, SECOND, None));
        assert_eq!(back, Err(IdentityError::Ended));
    }
}
