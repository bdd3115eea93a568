//! The keys of the weeks and the records that publish them.

use super::*;

#[test]
fn keys_are_deleted_on_schedule() {
    let mut bob = Person::new(2);
    let first = Week::of(NOW);
    assert_eq!(bob.keys.oldest(), Week(first.0 - RESTORED_WEEKS));
    for weeks in 0..10 {
        let now = NOW + weeks * WEEK;
        let (week, _) = bob.keys.due(now).unwrap();
        assert_eq!(week, Week(first.0 + weeks as u32));
        bob.keys.published(week, now);
        assert_eq!(bob.keys.due(now + DAY), None);
        bob.keys.sweep(now);
        // That of a week lives until 37 days after its successor.
        let oldest = (0..10)
            .find(|week| NOW + (week + 1) * WEEK + KEPT_AFTER > now)
            .unwrap() as u32;
        if oldest > 0 {
            assert_eq!(bob.keys.oldest(), Week(first.0 + oldest));
            let deleted = bob.keys.secret(Week(first.0 + oldest - 1));
            assert_eq!(deleted.unwrap_err(), MailError::KeyDeleted);
        }
        assert!(bob.keys.secret(Week(first.0 + oldest)).is_ok());
    }
    // Who is away deletes nothing.
    let oldest = bob.keys.oldest();
    let mut away = bob.keys.clone();
    away.sweep(NOW + 10 * WEEK + KEPT_AFTER);
    let last = Week(first.0 + 9);
    assert_eq!(away.oldest(), last);
    assert!(away.oldest() > oldest);
    away.sweep(NOW + 1000 * WEEK);
    assert_eq!(away.oldest(), last);
    // What is stored is what was there, and the words give all of it again.
    let stored = Prekeys::parse(&bob.keys.to_bytes()).unwrap();
    assert_eq!(stored, bob.keys);
    let restored = Prekeys::new(&bob.root.mailbox_secret(0, 0), NOW + 10 * WEEK);
    for week in restored.oldest().0.max(oldest.0)..first.0 + 10 {
        let [here, there] = [&restored, &stored].map(|keys| keys.secret(Week(week)).unwrap());
        assert_eq!(here.public(), there.public());
    }
    assert_eq!(
        stored.secret(Week(first.0 + 1000)).unwrap_err(),
        MailError::NoSuchKey
    );
}

#[test]
fn a_year_of_publishing_without_sweeping_stays_bounded() {
    let mut keys = Person::new(2).keys;
    for weeks in 0..100 {
        let now = NOW + weeks * WEEK;
        let (week, _) = keys.due(now).unwrap();
        keys.published(week, now);
        // What another device says late, or twice, changes nothing.
        keys.published(Week(week.0 - 1), now);
        keys.published(week, now + 1);
    }
    let stored = Prekeys::parse(&keys.to_bytes()).unwrap();
    assert_eq!(stored, keys);
    assert!(keys.oldest() > Week::of(NOW));
}

#[test]
fn records_are_checked_and_the_latest_counts() {
    let mut bob = Person::new(2);
    let key = Key::from(bob.root.mail_key(0, 0).name());
    let routing = record::routing_key(key);
    assert_eq!(record::of_routing_key(&routing), Some(key));
    let old = bob.record(NOW);
    let new = bob.record(NOW + WEEK);
    assert_eq!(old.bytes().len(), 1343);
    let now = NOW + WEEK;
    assert_eq!(
        record::validate(&routing, new.bytes(), now),
        Ok(new.clone())
    );
    let values = [&b"garbage"[..], old.bytes(), new.bytes(), old.bytes()];
    assert_eq!(record::select(&routing, &values, now), Some(2));
    assert_eq!(record::select(&routing, &values, NOW + 61 * DAY), Some(2));
    assert_eq!(record::select(&routing, &values, NOW + 68 * DAY), None);
    assert_eq!(
        new.check_time(NOW + WEEK + MAX_VALIDITY + 1),
        Err(MailError::Expired)
    );
    assert_eq!(new.check_time(NOW), Err(MailError::FromTheFuture));
    assert_eq!(new.check_time(NOW + WEEK - DAY), Ok(()));
    let other = Key([1; 32]);
    assert_eq!(
        record::validate(&record::routing_key(other), new.bytes(), now),
        Err(MailError::Forged)
    );
    assert_eq!(
        record::validate(b"/ipns/", new.bytes(), now),
        Err(MailError::OtherIdentity)
    );
    let signer = bob.root.mail_key(0, 0);
    let sign = |change: &dyn Fn(&mut Draft)| {
        let mut says = new.says().clone();
        change(&mut says);
        MailRecord::sign(&signer, says).map(|_| ())
    };
    assert_eq!(sign(&|_| ()), Ok(()));
    assert_eq!(sign(&|s| s.until += 1), Err(MailError::Malformed));
    assert_eq!(sign(&|s| s.until = 0), Err(MailError::Malformed));
    assert_eq!(sign(&|s| s.keys.clear()), Err(MailError::Malformed));
    assert_eq!(
        sign(&|s| s.keys.push(s.keys[0].clone())),
        Err(MailError::Malformed)
    );
    assert_eq!(
        sign(&|s| s.custody = vec![0; 2049]),
        Err(MailError::TooMany)
    );
    // A key that is none shows when somebody seals to it, and to nobody else.
    let mut says = new.says().clone();
    says.keys[0].key = vec![0xff; 1216];
    let broken = MailRecord::sign(&signer, says).unwrap();
    let refused = broken.recipient(&bob.chain, Suite::X_WING);
    assert_eq!(refused.unwrap_err(), MailError::Malformed);
}
