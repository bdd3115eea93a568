//! Thieves, and what undoes them.

use super::*;

/// A thief with the current key adds his device and takes the mail; the next key undoes it.
#[test]
fn a_rotation_overrules_a_thief_of_the_current_key() {
    let root = root();
    let owner = Owner::new(&root, 0);
    let chain = full();
    let mut thief = chain.clone();
    let now = DAY0 + 60 * HOUR;
    owner
        .act(&mut thief, now, Act::AddDevice(public(66)))
        .unwrap();
    owner
        .act(&mut thief, now, Act::SetMail(Some(public(66))))
        .unwrap();
    let mut own = chain.clone();
    owner.rotate(&mut own, now + 70 * HOUR).unwrap();
    let seen = Seen::default();
    assert_eq!(
        choose(&[thief.clone(), own.clone()], &seen).unwrap().head(),
        own.head()
    );
    let late = {
        let mut own = chain.clone();
        owner.rotate(&mut own, now + WINDOW + 1).unwrap();
        own
    };
    assert_eq!(
        choose(&[thief.clone(), late], &seen).unwrap().head(),
        thief.head()
    );
    let mut lineage = Lineage::new(thief.clone(), now + HOUR).unwrap();
    let now = now + 70 * HOUR;
    assert_eq!(
        lineage.bring(own.clone(), now),
        Ok(Brought::Forked { counts: true })
    );
    let forks = lineage.forks(now);
    assert_eq!(forks.len(), 1);
    assert_eq!(forks[0].after, chain.head());
    assert_eq!(forks[0].sort, Sort::Contradiction);
    assert_eq!(lineage.bring(thief, now), Ok(Brought::Same));
    owner.act(&mut own, now, Act::AddDevice(public(5))).unwrap();
    assert_eq!(lineage.bring(own.clone(), now), Ok(Brought::Longer));
    assert_eq!(lineage.chain(), &own);
}

/// A thief with the next key, who rotates; the recovery key undoes it, for as long as the window is open.
#[test]
fn a_recovery_overrules_a_rotation_within_the_window() {
    let root = root();
    let owner = Owner::new(&root, 0);
    let chain = full();
    let stolen = DAY0 + 100 * HOUR;
    let mut thief = chain.clone();
    owner.rotate(&mut thief, stolen).unwrap();
    let place = chain.ops().len() - 1;

    let mut lineage = Lineage::new(thief.clone(), stolen).unwrap();
    let recovered = owner.recover(&thief, place, stolen + 50 * HOUR).unwrap();
    // Nothing that the thief has: neither the key that he used nor the one after it.
    let keys = recovered.state().keys;
    assert!(keys.key != thief.state().keys.key && keys.next != thief.state().keys.next);
    assert_ne!(keys.key.commitment(), thief.state().keys.next);
    assert_eq!(
        lineage.bring(recovered.clone(), stolen + 50 * HOUR),
        Ok(Brought::Forked { counts: true })
    );
    // The thief goes on, and claims to have been there long before.
    let mut backdated = chain.clone();
    owner.rotate(&mut backdated, chain.state().time).unwrap();
    assert_eq!(
        lineage.bring(backdated, stolen + 60 * HOUR),
        Ok(Brought::Forked { counts: false })
    );
    assert_eq!(lineage.chain().head(), recovered.head());

    // Somebody who finds an old recovery key, and claims what he has to.
    let mut lineage = Lineage::new(thief.clone(), stolen).unwrap();
    let much_later = stolen + 1000 * HOUR;
    let late = owner.recover(&thief, place, much_later).unwrap();
    assert_eq!(late.state().time, stolen + WINDOW);
    assert_eq!(
        lineage.bring(late, much_later),
        Ok(Brought::Forked { counts: false })
    );
    // And one who does not claim it.
    let mut honest = chain.clone();
    let recovery = root.recovery_key(0, 1);
    let keys = Keys {
        key: public(1),
        next: public(2).commitment(),
        recovery: public(3).commitment(),
    };
    let act = Act::Recover {
        shown: Key::from(recovery.name()),
        keys,
    };
    honest.sign(stolen + WINDOW + 1, act, &recovery).unwrap();
    assert_eq!(
        choose(&[honest, thief.clone()], &Seen::default())
            .unwrap()
            .head(),
        thief.head()
    );
}

/// The key that is current today is stolen, and used to rewrite the rotation that made it current.
#[test]
fn what_is_settled_is_not_rewritten() {
    let root = root();
    let owner = Owner::new(&root, 0);
    let before = full();
    let mut chain = before.clone();
    owner.rotate(&mut chain, DAY0 + 100 * HOUR).unwrap();
    let current = root.identity_key(0, 4);
    assert_eq!(chain.state().keys.key, Key::from(current.name()));
    let mut lineage = Lineage::new(chain.clone(), DAY0 + 100 * HOUR).unwrap();
    let mut rewritten = before.clone();
    let keys = Keys {
        key: Key::from(current.name()),
        next: public(1).commitment(),
        recovery: public(2).commitment(),
    };
    rewritten
        .sign(before.state().time, Act::Rotate(keys), &current)
        .unwrap();
    let now = DAY0 + 200 * HOUR;
    assert_eq!(
        lineage.bring(rewritten, now),
        Ok(Brought::Forked { counts: false })
    );
    assert_eq!(lineage.chain(), &chain);
}

#[test]
fn branches_are_bounded_and_the_one_that_counts_stays() {
    let root = root();
    let owner = Owner::new(&root, 0);
    let chain = full();
    let mut own = chain.clone();
    owner.rotate(&mut own, DAY0 + 60 * HOUR).unwrap();
    let mut lineage = Lineage::new(own.clone(), DAY0 + 60 * HOUR).unwrap();
    for seed in 0..3 * MAX_BRANCHES as u8 {
        let mut other = chain.clone();
        owner
            .act(&mut other, DAY0 + 60 * HOUR, Act::AddDevice(public(seed)))
            .unwrap();
        lineage.bring(other, DAY0 + 61 * HOUR).unwrap();
    }
    assert_eq!(lineage.branches().len(), MAX_BRANCHES);
    assert_eq!(lineage.chain(), &own);
    assert_eq!(
        lineage.seen().iter().count(),
        chain.ops().len() + MAX_BRANCHES
    );
    let other = RootSecret::new([8; 32]);
    let other = Owner::new(&other, 0).begin();
    assert_eq!(
        lineage.bring(other, DAY0 + 61 * HOUR),
        Err(IdentityError::OtherIdentity)
    );
}

/// Two machines of one person sign at once; the one whose operation does not count signs again.
#[test]
fn machines_that_sign_at_once_are_no_contradiction_once_both_count() {
    let root = root();
    let owner = Owner::new(&root, 0);
    let trunk = full();
    let now = trunk.state().time + HOUR;
    let site = |site, key: Option<u8>| Act::SetSite {
        site,
        key: key.map(public),
    };
    let with = |chain: &Chain, acts: &[Act]| {
        let mut chain = chain.clone();
        for act in acts {
            owner.act(&mut chain, now, *act).unwrap();
        }
        chain
    };
    let sorts = |ours: &Chain, theirs: &Chain, at: u64| -> Vec<Sort> {
        let mut seen = Seen::default();
        theirs.ids().iter().for_each(|op| seen.note(*op, now));
        let forks = forks(std::slice::from_ref(theirs), ours, &seen, at);
        forks.into_iter().map(|fork| fork.sort).collect()
    };
    let first = with(&trunk, &[site(1, Some(21))]);
    // A site named, one withdrawn, a machine that comes and one that goes.
    let acts = [
        site(2, Some(22)),
        site(0, None),
        Act::AddDevice(public(23)),
        Act::RemoveDevice(*trunk.state().devices.iter().next().unwrap()),
    ];
    let second = with(&trunk, &acts);
    assert_eq!(sorts(&first, &second, now + SETTLE), [Sort::Open]);
    let late = now + SETTLE + 1;
    assert_eq!(sorts(&first, &second, late), [Sort::Contradiction]);
    let again = with(&first, &acts);
    assert_eq!(sorts(&again, &second, late), [Sort::Settled]);
    // As long as one is missing it is not.
    for n in 0..acts.len() {
        let mut some = acts.to_vec();
        some.remove(n);
        let some = with(&first, &some);
        assert_eq!(sorts(&some, &second, late), [Sort::Contradiction]);
    }
    // What was taken back on the side that does not count is not missing.
    let nothing = with(&trunk, &[site(2, Some(22)), site(2, None)]);
    assert_eq!(sorts(&first, &nothing, late), [Sort::Settled]);
    // What was signed again in the next epoch counts as well.
    let mut renewed = trunk.clone();
    owner.rotate(&mut renewed, now).unwrap();
    assert_eq!(sorts(&renewed, &second, now), [Sort::Contradiction]);
    let renewed = with(&renewed, &acts);
    assert_eq!(sorts(&renewed, &second, late), [Sort::Settled]);
    // A mailbox that is moved is a thief's, on whichever side, and whatever is done after it.
    let taken = with(&trunk, &[Act::SetMail(Some(public(66)))]);
    assert_eq!(sorts(&first, &taken, now), [Sort::Contradiction]);
    assert_eq!(sorts(&taken, &first, now), [Sort::Contradiction]);
    let back = with(
        &taken,
        &[Act::SetMail(trunk.state().mail), site(1, Some(21))],
    );
    assert_eq!(sorts(&back, &first, now), [Sort::Contradiction]);
    // So is what the next key signs on the side that does not count.
    let mut thief = trunk.clone();
    owner.rotate(&mut thief, now).unwrap();
    assert_eq!(sorts(&first, &thief, now), [Sort::Contradiction]);
}
