//! A custodian, against honest and dishonest askers.

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;
use crate::proto::custody::custodian::{
    Config, Custodian, Input, MAX_CLIENTS, MAX_CONTACT, MAX_STRANGER, MAX_TAGS, Output, Tombstone,
};
use crate::proto::custody::keep::Keep;
use crate::proto::custody::kept::Contents;
use crate::proto::custody::message::{
    Message, Nonce, is_receipt, may_delete, possession, sign_delete, sign_list,
};
use crate::proto::custody::region::Candidate;
use crate::proto::custody::tag::{Reading, Tag};
use crate::proto::custody::{MessageId, Refusal};
use crate::proto::types::BlobHash;

/// A custodian and its disk.
pub(super) struct Keeper {
    pub(super) machine: Custodian,
    pub(super) kept: BTreeMap<MessageId, Deposit>,
    pub(super) keeps: BTreeMap<MessageId, Keep>,
    tombs: Vec<Tombstone>,
    pub(super) sent: Vec<(PeerId, Message)>,
    pub(super) lookups: Vec<Tag>,
    /// What it fetches for others.
    pub(super) fetches: BTreeMap<BlobHash, u32>,
    pub(super) now: Time,
    unix: u64,
}

impl Keeper {
    pub(super) fn new(config: Config) -> Self {
        let config = Config {
            puzzle_bits: 0,
            ..config
        };
        Self {
            machine: Custodian::new(node(1), config, 1),
            kept: BTreeMap::new(),
            keeps: BTreeMap::new(),
            tombs: Vec::new(),
            sent: Vec::new(),
            lookups: Vec::new(),
            fetches: BTreeMap::new(),
            now: at(0),
            unix: UNIX,
        }
    }

    pub(super) fn handle(&mut self, input: Input) {
        self.machine.handle(input, self.now, self.unix);
        while let Some(output) = self.machine.poll_output() {
            let answer = match output {
                Output::Send(peer, message) => {
                    self.sent.push((peer, message));
                    continue;
                }
                Output::Store(deposit) => {
                    let id = deposit.id();
                    self.kept.insert(id, deposit);
                    Input::Stored(id)
                }
                Output::Load(id) => Input::Loaded(id, self.kept.get(&id).cloned()),
                Output::Bury(tomb) => {
                    self.tombs.push(tomb);
                    continue;
                }
                Output::Exhume(tag, id) => {
                    self.tombs.retain(|tomb| (tomb.tag, tomb.id) != (tag, id));
                    continue;
                }
                Output::Forget(id) => {
                    self.kept.remove(&id);
                    self.keeps.remove(&id);
                    continue;
                }
                Output::StoreKeep(keep) => {
                    let id = keep.id();
                    self.keeps.insert(id, keep);
                    Input::Stored(id)
                }
                Output::Fetch(blob) => {
                    self.fetches.insert(blob.hash, blob.size);
                    continue;
                }
                Output::Release(hash) => {
                    assert!(self.fetches.remove(&hash).is_some(), "released twice");
                    continue;
                }
                Output::Lookup(tag) => {
                    self.lookups.push(tag);
                    continue;
                }
                Output::Drop(peer) => {
                    self.sent.push((peer, Message::Deleted(Vec::new())));
                    continue;
                }
                Output::WakeAt(_) => continue,
            };
            self.machine.handle(answer, self.now, self.unix);
        }
    }

    pub(super) fn ask(&mut self, from: u8, message: Message) -> Vec<Message> {
        self.sent.clear();
        self.handle(Input::Received(peer(from), message));
        let sent = std::mem::take(&mut self.sent);
        let to_asker = |(to, message)| (to == peer(from)).then_some(message);
        sent.into_iter().filter_map(to_asker).collect()
    }

    pub(super) fn open(&mut self, from: u8) -> Nonce {
        self.sent.clear();
        self.handle(Input::Opened(peer(from)));
        match self.sent.pop() {
            Some((_, Message::Challenge(nonce))) => nonce,
            other => panic!("{other:?}"),
        }
    }

    pub(super) fn wait(&mut self, seconds: u64) {
        self.now = self.now + Duration::from_secs(seconds);
        self.unix += seconds;
        self.handle(Input::Tick);
    }

    pub(super) fn restart(&mut self) {
        self.machine = Custodian::new(node(1), Config::default(), 2);
        let headers = self
            .kept
            .values()
            .map(|deposit| *deposit.header())
            .collect();
        self.fetches.clear();
        let contents = Contents {
            headers,
            tombs: self.tombs.clone(),
            keeps: self.keeps.values().cloned().collect(),
            unknown: Vec::new(),
        };
        self.machine.restore(contents, self.now, self.unix);
        self.handle(Input::Tick);
    }
}

pub(super) fn contacts() -> Reading {
    mailbox().contacts(0, Week::of(UNIX))
}

fn list(reading: &Reading, nonce: &Nonce, custodian: u8) -> Message {
    Message::List {
        terms: reading.terms,
        watch: true,
        signature: sign_list(&reading.signer, nonce, peer(custodian), reading.terms.tag()),
    }
}

pub(super) fn keeper_with(messages: u32) -> Keeper {
    let mut keeper = Keeper::new(Config::default());
    keeper.open(2);
    for n in 0..messages {
        let answer = keeper.ask(2, Message::Put(contact(n)));
        assert!(matches!(answer[..], [Message::Receipt(..)]), "{answer:?}");
        keeper.wait(1);
    }
    keeper
}

#[test]
fn what_is_stored_is_signed_for_listed_and_given_to_its_reader() {
    let mut keeper = keeper_with(3);
    let deposit = contact(0);
    let again = keeper.ask(2, Message::Put(deposit.clone()));
    let [Message::Receipt(id, expiry, signature)] = &again[..] else {
        panic!("{again:?}")
    };
    assert!(is_receipt(peer(1), *id, *expiry, signature));
    assert!(!is_receipt(peer(3), *id, *expiry, signature));
    assert_eq!((*id, *expiry), (deposit.id(), deposit.header().expiry()));
    let nonce = keeper.open(9);
    let listed = keeper.ask(9, list(&contacts(), &nonce, 1));
    let [Message::Listing { ids, more, tag }] = &listed[..] else {
        panic!("{listed:?}")
    };
    assert_eq!((ids.len(), *more, *tag), (3, false, deposit.header().tag()));
    let got = keeper.ask(
        9,
        Message::Get(*tag, vec![deposit.id(), MessageId([5; 32])]),
    );
    assert_eq!(got.len(), 2);
    assert!(got.contains(&Message::Letter(deposit)));
    assert!(got.contains(&Message::Absent(MessageId([5; 32]))));
    // What comes now is told of.
    keeper.sent.clear();
    keeper.handle(Input::Received(peer(2), Message::Put(contact(8))));
    assert!(
        keeper
            .sent
            .contains(&(peer(9), Message::New(*tag, contact(8).id())))
    );
}

#[test]
fn nobody_else_lists_gets_or_deletes() {
    let mut keeper = keeper_with(1);
    let (id, tag) = (contact(0).id(), contact(0).header().tag());
    let refused = |about, refusal| vec![Message::Refused(about, refusal)];
    let about = MessageId(tag.0);
    let mut other = Keeper::new(Config::default());
    let (nonce, foreign) = (keeper.open(9), other.open(9));
    let own = contacts();
    // Signed for another custodian, for another challenge, by another key: each is as good as nothing.
    for message in [list(&own, &nonce, 3), list(&own, &foreign, 1)] {
        if nonce == foreign {
            continue;
        }
        assert_eq!(
            keeper.ask(9, message),
            refused(about, Refusal::BadSignature)
        );
    }
    assert_eq!(
        keeper.ask(9, list(&own, &nonce, 3)),
        refused(about, Refusal::BadSignature)
    );
    let thief = Reading {
        terms: own.terms,
        signer: node(9),
    };
    assert_eq!(
        keeper.ask(9, list(&thief, &nonce, 1)),
        refused(about, Refusal::BadSignature)
    );
    assert_eq!(
        keeper.ask(9, Message::Get(tag, vec![id])),
        refused(id, Refusal::NotShown)
    );
    // A contact, who has the write key, and a stranger.
    let write = mailbox().pass(0, Week::of(UNIX)).signer();
    for signer in [write, node(9)] {
        let delete = Message::Delete(own.terms, vec![(id, sign_delete(&signer, tag, id))]);
        assert_eq!(keeper.ask(9, delete), refused(id, Refusal::BadSignature));
    }
    // Under terms of one's own one deletes nothing of others.
    let mine = MailboxSecret::new([66; 32]).contacts(0, Week::of(UNIX));
    let signature = sign_delete(&mine.signer, mine.terms.tag(), id);
    keeper.ask(9, Message::Delete(mine.terms, vec![(id, signature)]));
    assert!(keeper.kept.contains_key(&id));
    let probed = keeper.ask(9, Message::Probe(id, [1; 16]));
    assert_eq!(
        probed,
        [Message::Held(
            id,
            possession(peer(1), &[1; 16], &envelope(0))
        )]
    );
    // A stream that ended took what was shown with it, and its challenge.
    assert!(matches!(
        keeper.ask(9, list(&own, &nonce, 1))[..],
        [Message::Listing { .. }]
    ));
    keeper.handle(Input::Closed(peer(9)));
    keeper.open(9);
    assert_eq!(
        keeper.ask(9, list(&own, &nonce, 1)),
        refused(about, Refusal::BadSignature)
    );
    assert_eq!(
        keeper.ask(9, Message::Get(tag, vec![id])),
        refused(id, Refusal::NotShown)
    );
}

#[test]
fn what_was_deleted_does_not_come_back() {
    let mut keeper = keeper_with(2);
    let own = contacts();
    let (id, tag) = (contact(0).id(), own.terms.tag());
    let signature = sign_delete(&own.signer, tag, id);
    let delete = Message::Delete(own.terms, vec![(id, signature)]);
    keeper.open(9);
    // Two devices at once: the same bytes, the same answer.
    keeper.open(10);
    assert_eq!(keeper.ask(9, delete.clone()), [Message::Deleted(vec![id])]);
    assert_eq!(keeper.ask(10, delete), [Message::Deleted(vec![id])]);
    assert_eq!((keeper.kept.len(), keeper.tombs.len()), (1, 1));
    for _ in 0..2 {
        let buried = [Message::Buried(id, signature)];
        assert_eq!(keeper.ask(2, Message::Put(contact(0))), buried);
        assert_eq!(keeper.ask(2, Message::Probe(id, [1; 16])), buried);
        assert!(may_delete(&own.terms, id, &signature));
        keeper.restart();
        keeper.open(2);
    }
    // A replay after all is over is refused as well.
    keeper.wait(30 * 24 * HOUR + HOUR);
    let late = keeper.ask(2, Message::Put(contact(0)));
    assert_eq!(late, [Message::Refused(id, Refusal::Expired)]);
    assert!(keeper.kept.is_empty());
}

#[test]
fn mailboxes_senders_and_the_store_are_bounded() {
    let mut keeper = Keeper::new(Config::default());
    keeper.open(2);
    // Ten at once, one a second, and a few hundred a day.
    let refusal = |answer: Vec<Message>| match answer[..] {
        [Message::Refused(_, refusal)] => Some(refusal),
        _ => None,
    };
    let mut refusals = Vec::new();
    for n in 0..12 {
        refusals.push(refusal(keeper.ask(2, Message::Put(contact(n)))));
    }
    assert_eq!(
        refusals
            .iter()
            .filter(|refusal| **refusal == Some(Refusal::TooFast))
            .count(),
        2
    );
    keeper.handle(Input::Closed(peer(2)));
    keeper.open(2);
    assert_eq!(
        refusal(keeper.ask(2, Message::Put(contact(50)))),
        Some(Refusal::TooFast)
    );
    let mut from = 3;
    for n in 10..MAX_CONTACT as u32 + 1 {
        if n % 10 == 0 {
            from += 1;
            keeper.open(from);
        }
        let refused = refusal(keeper.ask(from, Message::Put(contact(n))));
        let full = n as usize >= MAX_CONTACT;
        assert_eq!(refused, full.then_some(Refusal::MailboxFull), "{n}");
    }
    // Strangers have fewer places, and the strongest stamps get them.
    for n in 0..MAX_STRANGER as u32 {
        if n % 10 == 0 {
            from += 1;
            keeper.open(from);
        }
        assert_eq!(
            refusal(keeper.ask(from, Message::Put(stranger(n, 4)))),
            None
        );
    }
    keeper.open(200);
    let strengths = (0..MAX_STRANGER as u32).map(|n| stranger(n, 4).header().strength());
    let weakest = strengths.min().unwrap();
    assert_eq!(
        refusal(keeper.ask(200, Message::Put(stranger(900, weakest + 6)))),
        None
    );
    let strangers = keeper
        .kept
        .values()
        .filter(|kept| kept.header().strength() > 0);
    assert_eq!(strangers.count(), MAX_STRANGER);
    assert!(keeper.kept.contains_key(&stranger(900, weakest + 6).id()));
}

#[test]
fn whoever_takes_most_gives_way_when_all_is_full() {
    let mut keeper = Keeper::new(Config {
        capacity: 10,
        ..Config::default()
    });
    keeper.open(2);
    for n in 0..10 {
        keeper.ask(2, Message::Put(contact(n)));
    }
    for (from, n) in [(3, 100), (3, 101), (4, 102), (5, 103), (3, 104)] {
        keeper.open(from);
        let answer = keeper.ask(from, Message::Put(contact(n)));
        assert!(matches!(answer[..], [Message::Receipt(..)]), "{answer:?}");
        assert_eq!((keeper.kept.len(), keeper.machine.len()), (10, 10));
    }
    // Who has as many as any gets no more.
    keeper.wait(20);
    let answer = keeper.ask(2, Message::Put(contact(105)));
    assert_eq!(
        answer,
        [Message::Refused(contact(105).id(), Refusal::NoRoom)]
    );
}

#[test]
fn a_store_that_lost_or_spoilt_a_message_says_so() {
    let mut keeper = keeper_with(2);
    keeper.kept.remove(&contact(0).id());
    keeper.kept.insert(contact(1).id(), contact(7));
    for n in 0..2 {
        let id = contact(n).id();
        assert_eq!(
            keeper.ask(2, Message::Probe(id, [1; 16])),
            [Message::Absent(id)]
        );
    }
    assert!(keeper.machine.is_empty());
}

#[test]
fn streams_and_what_they_read_are_bounded() {
    let mut keeper = Keeper::new(Config::default());
    let nonce = keeper.open(1);
    let secret = MailboxSecret::marked([1; 32]);
    let week = Week::of(UNIX);
    for generation in 0..=MAX_TAGS as u32 {
        let answer = keeper.ask(1, list(&secret.contacts(generation, week), &nonce, 1));
        let listed = matches!(answer[..], [Message::Listing { .. }]);
        assert_eq!(listed, generation < MAX_TAGS as u32);
    }
    for n in 0..=MAX_CLIENTS as u32 {
        let mut other = [0; 32];
        other[..4].copy_from_slice(&n.to_be_bytes());
        keeper.sent.clear();
        keeper.handle(Input::Opened(PeerId(other)));
    }
    assert!(!matches!(keeper.sent[..], [(_, Message::Challenge(_))]));
}

#[test]
fn a_lone_copy_is_copied_on_and_one_that_is_not_is_left() {
    for another in [true, false] {
        let mut keeper = keeper_with(1);
        let deposit = contact(0);
        let (id, tag) = (deposit.id(), deposit.header().tag());
        keeper.wait(3600);
        assert_eq!(keeper.lookups, [tag]);
        let found = (20..30).map(|n| Candidate::new(peer(n))).collect();
        keeper.sent.clear();
        keeper.handle(Input::Found(tag, found));
        let mut probed = 0;
        let mut put = 0;
        while let Some((to, message)) = keeper.sent.pop() {
            let answer = match message {
                Message::Probe(_, nonce) => {
                    probed += 1;
                    // Who only claims to hold it does not count.
                    match (probed, another) {
                        (1, _) => Message::Held(id, [9; 16]),
                        (3, true) => Message::Held(id, possession(to, &nonce, &envelope(0))),
                        _ => Message::Absent(id),
                    }
                }
                Message::Put(copy) => {
                    assert_eq!(copy, deposit);
                    put += 1;
                    let signer = (20..30)
                        .map(node)
                        .find(|node| node.public() == to.0)
                        .unwrap();
                    let expiry = deposit.header().expiry();
                    let signature =
                        crate::proto::custody::message::sign_receipt(&signer, id, expiry);
                    Message::Receipt(id, expiry, signature)
                }
                other => panic!("{other:?}"),
            };
            keeper.handle(Input::Received(to, answer));
        }
        assert_eq!(put, usize::from(!another), "{probed} probed");
        assert!(if another { probed <= 4 } else { probed == 10 }, "{probed}");
    }
}

#[test]
fn a_copy_learns_from_its_neighbours_that_it_is_deleted() {
    let mut keeper = keeper_with(1);
    let own = contacts();
    let (id, tag) = (contact(0).id(), own.terms.tag());
    keeper.wait(3600);
    keeper.sent.clear();
    keeper.handle(Input::Found(
        tag,
        vec![Candidate::new(peer(20)), Candidate::new(peer(21))],
    ));
    // A forged tombstone is a lie.
    let forged = Message::Buried(id, sign_delete(&node(20), tag, id));
    keeper.handle(Input::Received(keeper.sent[0].0, forged));
    assert_eq!(keeper.kept.len(), 1);
    let real = Message::Buried(id, sign_delete(&own.signer, tag, id));
    keeper.handle(Input::Received(keeper.sent[1].0, real));
    assert_eq!((keeper.kept.len(), keeper.tombs.len()), (0, 1));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]
    #[test]
    fn whatever_comes_the_bounds_hold(steps in prop::collection::vec((0u8..8, 0u8..12, 0u32..40), 1..120)) {
        let mut keeper = Keeper::new(Config { capacity: 6, ..Config::default() });
        let own = mailbox().strangers(4, Week::of(UNIX));
        let mut nonces = BTreeMap::new();
        for (kind, from, n) in steps {
            let id = stranger(n, 4).id();
            match kind {
                0 => { nonces.insert(from, keeper.open(from)); }
                1 => keeper.handle(Input::Closed(peer(from))),
                2 => { keeper.ask(from, Message::Put(stranger(n, 4))); }
                3 => { keeper.ask(from, Message::Get(own.terms.tag(), vec![id])); }
                4 => {
                    let nonce = nonces.get(&from).copied().unwrap_or_default();
                    keeper.ask(from, list(&own, &nonce, 1));
                }
                5 => {
                    let signature = sign_delete(&own.signer, own.terms.tag(), id);
                    keeper.ask(from, Message::Delete(own.terms, vec![(id, signature)]));
                }
                6 => keeper.handle(Input::Loaded(id, None)),
                _ => keeper.wait(u64::from(n) * 3600),
            }
            prop_assert!(keeper.machine.len() <= 6);
            let index: Vec<_> = keeper.kept.keys().copied().collect();
            prop_assert!(index.len() == keeper.machine.len(), "{index:?} {}", keeper.machine.len());
        }
    }
}
