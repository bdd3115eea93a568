//! Attachments at a custodian: which it takes, for how long, and who is told.

use super::keeping::{Keeper, contacts, keeper_with};
use super::*;
use crate::proto::custody::custodian::{Config, Input, MAX_CONTACT_BYTES, MAX_KEPT};
use crate::proto::custody::keep::{MAX_BLOBS, MAX_BYTES};
use crate::proto::custody::message::{Message, is_receipt, possession, sign_delete, sign_receipt};
use crate::proto::custody::region::Candidate;
use crate::proto::custody::{MessageId, Refusal};

const MIB: u64 = 1 << 20;

fn signed_for(answers: &[Message], keep: &Keep) -> bool {
    let [Message::Receipt(id, expiry, signature)] = answers else {
        return false;
    };
    (*id, *expiry) == (keep.id(), keep.header().expiry())
        && is_receipt(peer(1), *id, *expiry, signature)
}

fn fetched(keeper: &mut Keeper, n: u8, whole: bool) -> Vec<Message> {
    keeper.sent.clear();
    keeper.handle(Input::Fetched(BlobHash([n; 32]), whole));
    let sent = std::mem::take(&mut keeper.sent);
    sent.into_iter().map(|(_, message)| message).collect()
}

#[test]
fn what_is_attached_is_signed_for_when_all_of_it_is_here() {
    let mut keeper = keeper_with(1);
    let wish = keep(0, &[blob(2, 3 * MIB), blob(1, 64 * 1024)]);
    assert_eq!(keeper.ask(2, Message::Keep(wish.clone())), []);
    assert_eq!(keeper.fetches.len(), 2);
    assert_eq!(fetched(&mut keeper, 2, true), []);
    assert_eq!(keeper.machine.blobs(), (1, 3 * MIB));
    assert_eq!(keeper.ask(2, Message::Keep(wish.clone())), []);
    assert!(signed_for(&fetched(&mut keeper, 1, true), &wish));
    // Told once, and again to whoever asks.
    assert_eq!(fetched(&mut keeper, 1, true), []);
    assert!(signed_for(
        &keeper.ask(2, Message::Keep(wish.clone())),
        &wish
    ));
    keeper.open(3);
    assert!(signed_for(
        &keeper.ask(3, Message::Keep(wish.clone())),
        &wish
    ));
    // After a restart what is here is looked at anew before it is signed for.
    keeper.restart();
    keeper.open(3);
    assert_eq!(keeper.fetches.len(), 2);
    assert_eq!(keeper.ask(3, Message::Keep(wish.clone())), []);
    fetched(&mut keeper, 2, true);
    assert!(signed_for(&fetched(&mut keeper, 1, true), &wish));
}

#[test]
fn it_goes_with_its_message_but_for_what_others_name() {
    let mut keeper = keeper_with(2);
    let (first, second) = (
        keep(0, &[blob(1, MIB), blob(2, MIB)]),
        keep(1, &[blob(2, MIB), blob(3, MIB)]),
    );
    for (wish, nth) in [(&first, 1), (&second, 3)] {
        keeper.ask(2, Message::Keep(wish.clone()));
        fetched(&mut keeper, nth, true);
    }
    fetched(&mut keeper, 2, true);
    assert_eq!(keeper.machine.blobs(), (3, 3 * MIB));
    let own = contacts();
    let id = contact(0).id();
    let signature = sign_delete(&own.signer, own.terms.tag(), id);
    keeper.open(9);
    keeper.ask(9, Message::Delete(own.terms, vec![(id, signature)]));
    assert_eq!(keeper.keeps.len(), 1);
    let left: Vec<_> = keeper.fetches.keys().copied().collect();
    assert_eq!(left, [BlobHash([2; 32]), BlobHash([3; 32])]);
    // Whoever asks for it again is shown why.
    let again = keeper.ask(2, Message::Keep(first));
    assert_eq!(again, [Message::Buried(id, signature)]);
    // The other ends with its message.
    keeper.wait(31 * 24 * HOUR);
    assert!(keeper.kept.is_empty() && keeper.keeps.is_empty());
    assert!(keeper.fetches.is_empty());
    assert_eq!(keeper.machine.blobs(), (0, 0));
}

#[test]
fn a_wish_needs_its_message_and_the_right_to_leave_it() {
    let mut keeper = keeper_with(1);
    let good = keep(0, &[blob(1, MIB)]);
    let refused = |wish: &Keep, why| vec![Message::Refused(wish.id(), why)];
    // Of a message that is not here.
    let other = keep(7, &[blob(1, MIB)]);
    let answer = keeper.ask(2, Message::Keep(other.clone()));
    assert_eq!(answer, [Message::Absent(other.id())]);
    // Signed by somebody else, signed for another blob, and for longer than the message lasts.
    let bytes = good.encode();
    let forge = |at: usize| {
        let mut bytes = bytes.clone();
        bytes[at] ^= 1;
        Keep::decode(&bytes).unwrap()
    };
    let (signature, hash, end) = (80, bytes.len() - 10, 72);
    for at in [signature, hash] {
        let forged = forge(at);
        let answer = keeper.ask(2, Message::Keep(forged.clone()));
        assert_eq!(answer, refused(&forged, Refusal::BadSignature), "byte {at}");
    }
    let longer = forge(end);
    assert_eq!(
        keeper.ask(2, Message::Keep(longer.clone())),
        [Message::Absent(longer.id())]
    );
    // A stranger pays for each: the stamp of the message is none for what is attached.
    let message = stranger(5, 4);
    keeper.ask(2, Message::Put(message.clone()));
    let (terms, expiry) = (*message.header().terms(), message.header().expiry());
    let paid = |stamp| {
        let blobs = vec![blob(4, MIB)];
        Keep::by_stranger(terms, expiry, stamp, message.id(), blobs).unwrap()
    };
    let weak = (0..).map(paid).find(|wish| wish.header().strength() < 4);
    let weak = weak.unwrap();
    let answer = keeper.ask(2, Message::Keep(weak.clone()));
    assert_eq!(answer, refused(&weak, Refusal::WeakStamp));
    assert!(keeper.fetches.is_empty());
    let mut search = Search::of_prefix(weak.prefix(), 4);
    let stamp = std::iter::repeat_with(|| search.step(256)).flatten().next();
    assert_eq!(keeper.ask(2, Message::Keep(paid(stamp.unwrap()))), []);
    // One wish for each message.
    keeper.ask(2, Message::Keep(good));
    let second = keep(0, &[blob(3, MIB)]);
    let answer = keeper.ask(2, Message::Keep(second.clone()));
    assert_eq!(answer, refused(&second, Refusal::MailboxFull));
    assert_eq!(keeper.fetches.len(), 2);
}

#[test]
fn what_is_over_a_quota_is_refused() {
    let with = |blob_bytes| {
        let mut keeper = Keeper::new(Config {
            blob_bytes,
            ..Config::default()
        });
        keeper.open(2);
        keeper.open(3);
        for n in 0..20 {
            keeper.ask(2, Message::Put(contact(n)));
            keeper.wait(1);
        }
        keeper
    };
    let refused = |answers: Vec<Message>, why| {
        assert!(
            matches!(answers[..], [Message::Refused(_, code)] if code == why),
            "{answers:?} {why}"
        );
    };
    let large = |n: u8| Message::Keep(keep(n.into(), &[blob(n, MAX_BYTES)]));
    // One mailbox.
    let mut keeper = with(1 << 40);
    assert_eq!(MAX_CONTACT_BYTES, 2 * MAX_BYTES);
    assert_eq!(keeper.ask(2, large(0)), []);
    assert_eq!(keeper.ask(2, large(1)), []);
    refused(keeper.ask(2, large(2)), Refusal::MailboxFull);
    // One peer; another may.
    let mut keeper = with(4 * MAX_BYTES);
    assert_eq!(keeper.ask(2, large(0)), []);
    let small = Message::Keep(keep(1, &[blob(1, 1)]));
    refused(keeper.ask(2, small.clone()), Refusal::TooFast);
    assert_eq!(keeper.ask(3, small), []);
    // All of it, and a relay that has none.
    let mut keeper = with(MAX_BYTES);
    assert_eq!(keeper.ask(2, large(0)), []);
    refused(keeper.ask(3, large(1)), Refusal::NoRoom);
    refused(with(0).ask(2, large(0)), Refusal::NoRoom);
    // More room counts at once; with less, what ends first goes.
    let mut keeper = with(MAX_BYTES);
    assert_eq!(keeper.ask(2, large(0)), []);
    keeper.machine.set_room(100, 2 * MAX_BYTES);
    assert_eq!(keeper.ask(3, large(1)), []);
    for n in [0, 1] {
        assert_eq!(fetched(&mut keeper, n, true).len(), 1);
    }
    let mut holds_in = |messages, bytes| {
        keeper.machine.set_room(messages, bytes);
        keeper.handle(Input::Tick);
        (keeper.machine.len(), keeper.machine.blobs())
    };
    assert_eq!(holds_in(100, 2 * MAX_BYTES), (20, (2, 2 * MAX_BYTES)));
    assert_eq!(holds_in(100, MAX_BYTES), (20, (1, MAX_BYTES)));
    assert_eq!(holds_in(100, MAX_BYTES - 1), (20, (0, 0)));
    assert_eq!(holds_in(10, MAX_BYTES), (10, (0, 0)));
    // And their number.
    let mut keeper = with(1 << 40);
    let mut wishes = 0;
    let answer = loop {
        let blobs: Vec<_> = (0..MAX_BLOBS as u8)
            .map(|n| {
                let mut blob = blob(n, 1);
                blob.hash.0[0] = wishes;
                blob
            })
            .collect();
        let answer = keeper.ask(2, Message::Keep(keep(wishes.into(), &blobs)));
        if !answer.is_empty() {
            break answer;
        }
        wishes += 1;
    };
    refused(answer, Refusal::NoRoom);
    assert_eq!(usize::from(wishes), MAX_KEPT / MAX_BLOBS);
}

#[test]
fn what_cannot_be_had_is_given_up() {
    let mut keeper = keeper_with(2);
    let (bad, good) = (
        keep(0, &[blob(1, MIB), blob(2, MIB)]),
        keep(1, &[blob(2, MIB)]),
    );
    for wish in [&bad, &good] {
        keeper.ask(2, Message::Keep(wish.clone()));
    }
    // It is longer than was said, or does not fit: whoever waits is told, and the rest goes too.
    let told = fetched(&mut keeper, 1, false);
    assert_eq!(told, [Message::Refused(bad.id(), Refusal::NotStored)]);
    assert_eq!(keeper.fetches.len(), 1);
    // Nor can anybody say of what is known that it is longer.
    let lie = keep(0, &[blob(2, 2 * MIB)]);
    let answer = keeper.ask(2, Message::Keep(lie.clone()));
    assert_eq!(answer, [Message::Refused(lie.id(), Refusal::NotStored)]);
    // What did not come within a day makes room.
    keeper.wait(23 * HOUR);
    assert_eq!(keeper.fetches.len(), 1);
    keeper.wait(HOUR + 600);
    assert!(keeper.fetches.is_empty() && keeper.keeps.is_empty());
    assert_eq!(keeper.kept.len(), 2, "the messages stay");
}

#[test]
fn whoever_is_found_to_hold_the_message_is_told_to_keep_what_is_attached() {
    let mut keeper = keeper_with(1);
    let wish = keep(0, &[blob(1, MIB)]);
    keeper.ask(2, Message::Keep(wish.clone()));
    let (id, expiry) = (contact(0).id(), contact(0).header().expiry());
    let mut told = Vec::new();
    for hour in 1..=6 {
        keeper.sent.clear();
        keeper.lookups.clear();
        keeper.wait(3600);
        if keeper.lookups.is_empty() {
            continue;
        }
        let found = (20..30).map(|n| Candidate::new(peer(n))).collect();
        keeper.handle(Input::Found(contact(0).header().tag(), found));
        while !keeper.sent.is_empty() {
            let (to, message) = keeper.sent.remove(0);
            let signer = (20..30).map(node).find(|node| node.public() == to.0);
            let signer = signer.unwrap();
            let answer = match message {
                Message::Probe(_, nonce) => Message::Held(id, possession(to, &nonce, &envelope(0))),
                Message::Keep(handed) => {
                    assert_eq!(handed, wish);
                    told.push((hour, to));
                    // The first answer is somebody else's.
                    let signer = if told.len() == 1 { node(40) } else { signer };
                    let signature = sign_receipt(&signer, wish.id(), expiry);
                    Message::Receipt(wish.id(), expiry, signature)
                }
                other => panic!("{other:?}"),
            };
            keeper.handle(Input::Received(to, answer));
        }
    }
    // Who does not keep it is no copy: another is looked for, and each is asked until it has signed.
    let first = told[0].1;
    let times = told.iter().filter(|(_, to)| *to == first).count();
    assert_eq!((told[0].0, times), (1, 2), "{told:?}");
    assert!(told[1..].iter().any(|(_, to)| *to != first), "{told:?}");
    assert_eq!(told.len(), 3, "{told:?}");
}

#[test]
fn a_wish_is_read_as_it_was_written() {
    let wish = keep(0, &[blob(2, MIB), blob(1, MIB), blob(2, MIB)]);
    assert_eq!(wish.blobs(), [blob(1, MIB), blob(2, MIB)]);
    assert_eq!(wish.bytes(), 2 * MIB);
    assert_eq!(Keep::decode(&wish.encode()), Some(wish.clone()));
    assert_ne!(wish.id(), keep(0, &[blob(1, MIB)]).id());
    // None, too many, too large, empty, in another order, and one with two lengths.
    let pass = mailbox().pass(0, Week::of(UNIX));
    let expiry = contact(0).header().expiry();
    let make = |blobs: Vec<Blob>| Keep::by_contact(&pass, expiry, MessageId([1; 32]), blobs);
    let many = |count: usize| (0..count as u8).map(|n| blob(n, 1)).collect::<Vec<_>>();
    assert!(make(many(MAX_BLOBS)).is_some());
    for blobs in [
        Vec::new(),
        many(MAX_BLOBS + 1),
        vec![blob(1, MAX_BYTES + 1)],
        vec![blob(1, 0)],
    ] {
        assert_eq!(make(blobs), None);
    }
    let mut bytes = wish.encode();
    let at = bytes.len() - 2 * 36;
    let (front, back) = bytes[at..].split_at_mut(36);
    front.swap_with_slice(back);
    assert_eq!(Keep::decode(&bytes), None);
    let mut twice = wish.encode();
    let first = twice[at..at + 36].to_vec();
    twice[at + 36..].copy_from_slice(&first);
    twice[at + 71] = 1;
    assert_eq!(Keep::decode(&twice), None);
}
