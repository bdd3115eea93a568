//! A sender, among custodians of which some lie.

use super::*;
use crate::proto::custody::depositor::{Depositor, Input, MAX_LETTERS, Output};
use crate::proto::custody::message::{Message, possession, sign_delete, sign_receipt};
use crate::proto::custody::region::Candidate;
use crate::proto::custody::{COPIES, KEPT_MIN, RECEIPTS_BESIDE_RELAY, RECEIPTS_MIN, Refusal};

struct Sender {
    machine: Depositor,
    sent: Vec<(PeerId, Message)>,
    told: Vec<Output>,
    lookups: usize,
    now: Time,
    unix: u64,
}

impl Sender {
    fn new() -> Self {
        Self {
            machine: Depositor::new(0, 1),
            sent: Vec::new(),
            told: Vec::new(),
            lookups: 0,
            now: at(0),
            unix: UNIX,
        }
    }

    fn sending(relays: Vec<PeerId>) -> Self {
        let mut sender = Self::new();
        let deposit = contact(1);
        sender.handle(Input::Send {
            deposit,
            relays,
            keep: None,
            stored: false,
        });
        sender
    }

    fn handle(&mut self, input: Input) {
        self.machine.handle(input, self.now, self.unix);
        while let Some(output) = self.machine.poll_output() {
            match output {
                Output::Send(to, message) => self.sent.push((to, message)),
                Output::Lookup(_) => self.lookups += 1,
                Output::WakeAt(_) => {}
                other => self.told.push(other),
            }
        }
    }

    fn found(&mut self, peers: std::ops::Range<u8>) {
        let found = peers.map(|n| Candidate::new(peer(n))).collect();
        self.handle(Input::Found(contact(1).header().tag(), found));
    }

    /// Lets each peer that was asked answer, until nobody is.
    fn answer(&mut self, with: impl Fn(u8, &Message) -> Option<Message>) -> usize {
        let mut puts = 0;
        while let Some((to, message)) = self.sent.pop() {
            puts += usize::from(matches!(message, Message::Put(_)));
            let n = (0..=255).find(|n| peer(*n) == to).unwrap();
            if let Some(answer) = with(n, &message) {
                self.handle(Input::Received(to, answer));
            }
        }
        puts
    }

    fn wait(&mut self, seconds: u64) {
        self.now = self.now + Duration::from_secs(seconds);
        self.unix += seconds;
        self.handle(Input::Tick);
    }

    fn stored(&self) -> Option<(usize, usize, bool)> {
        self.told.iter().rev().find_map(|told| match told {
            Output::Receipts {
                peers,
                relays,
                stored,
                ..
            } => Some((*peers, *relays, *stored)),
            _ => None,
        })
    }
}

fn receipt(n: u8) -> Message {
    let deposit = contact(1);
    let expiry = deposit.header().expiry();
    Message::Receipt(
        deposit.id(),
        expiry,
        sign_receipt(&node(n), deposit.id(), expiry),
    )
}

fn honest(n: u8, message: &Message) -> Option<Message> {
    match message {
        Message::Put(_) => Some(receipt(n)),
        Message::Probe(id, nonce) => {
            let proof = possession(peer(n), nonce, contact(1).envelope());
            Some(Message::Held(*id, proof))
        }
        _ => None,
    }
}

#[test]
fn eight_are_given_it_and_five_must_sign() {
    let mut sender = Sender::sending(Vec::new());
    sender.found(20..40);
    let mut given = 0;
    let mut stored_at = None;
    while let Some((to, message)) = sender.sent.pop() {
        given += 1;
        let n = (20..40).find(|n| peer(*n) == to).unwrap();
        sender.handle(Input::Received(to, honest(n, &message).unwrap()));
        if sender.stored().is_some_and(|(_, _, stored)| stored) {
            stored_at.get_or_insert(given);
        }
    }
    assert_eq!((given, stored_at), (COPIES, Some(RECEIPTS_MIN)));
}

#[test]
fn forged_receipts_and_refusals_count_for_nothing() {
    let mut sender = Sender::sending(Vec::new());
    sender.found(20..40);
    let puts = sender.answer(|n, message| match n % 3 {
        0 => honest(n, message),
        // The receipt of another.
        1 => Some(receipt(n - 1)),
        _ => Some(Message::Refused(contact(1).id(), Refusal::NoRoom)),
    });
    assert_eq!(puts, 20);
    let (peers, _, stored) = sender.stored().unwrap();
    assert_eq!((peers, stored), (7, true));
}

#[test]
fn a_relay_and_three_are_enough_and_too_few_are_tried_again() {
    let relay = peer(200);
    let mut sender = Sender::sending(vec![relay, peer(201), peer(202)]);
    assert_eq!(sender.sent.len(), 2, "no more than two relays");
    sender.found(20..22);
    sender.answer(|n, message| (n != 201).then(|| honest(n, message)).flatten());
    assert_eq!(sender.stored(), Some((2, 1, false)));
    let before = sender.lookups;
    sender.wait(30);
    assert_eq!(sender.lookups, before + 1);
    sender.found(20..24);
    let puts = sender.answer(honest);
    // Two more, and the relay that had not answered.
    assert_eq!(puts, 3);
    assert_eq!(sender.stored(), Some((4, 2, true)));
    assert_eq!(RECEIPTS_BESIDE_RELAY, 3);
}

#[test]
fn who_signed_and_dropped_it_is_replaced() {
    let mut sender = Sender::sending(Vec::new());
    sender.found(20..40);
    let keepers = std::cell::RefCell::new(Vec::new());
    sender.answer(|n, message| {
        keepers.borrow_mut().push(n);
        honest(n, message)
    });
    // Four of the eight keep it; asked two minutes later, the others lie in every way.
    let keepers = keepers.into_inner();
    sender.wait(120);
    sender.found(20..40);
    let puts = sender.answer(
        |n, message| match (keepers.iter().position(|k| *k == n), message) {
            (Some(at), Message::Probe(id, _)) if at >= 4 => Some(match at {
                4 => Message::Held(*id, [0; 16]),
                5 => Message::Buried(*id, sign_delete(&node(n), contact(1).header().tag(), *id)),
                _ => Message::Absent(*id),
            }),
            _ => honest(n, message),
        },
    );
    assert_eq!(puts, 1, "one more makes five that proved it");
}

#[test]
fn it_is_looked_after_until_its_reader_deleted_it() {
    let mut sender = Sender::sending(Vec::new());
    sender.found(20..40);
    sender.answer(honest);
    sender.wait(120);
    sender.found(20..40);
    assert_eq!(sender.answer(honest), 0);
    // Later none of them is online: two others are given it.
    sender.wait(1800);
    sender.found(50..70);
    let puts = sender.answer(|n, message| match message {
        Message::Probe(id, _) => Some(Message::Absent(*id)),
        message => honest(n, message),
    });
    assert_eq!(puts, 2);
    // And then one shows what the reader signed; a forged one before it is nothing.
    let reading = mailbox().contacts(0, Week::of(UNIX));
    let (tag, id) = (reading.terms.tag(), contact(1).id());
    for (signer, delivered) in [(node(50), false), (reading.signer.clone(), true)] {
        sender.wait(1800);
        sender.found(50..51);
        let buried = Message::Buried(id, sign_delete(&signer, tag, id));
        sender.answer(|_, _| Some(buried.clone()));
        assert_eq!(sender.told.contains(&Output::Delivered(id)), delivered);
    }
    assert!(sender.machine.is_empty());
}

#[test]
fn it_ends_and_does_not_grow() {
    let mut sender = Sender::sending(Vec::new());
    sender.wait(31 * 24 * HOUR);
    assert!(sender.told.contains(&Output::Expired(contact(1).id())));
    assert!(sender.machine.is_empty());
    let pass = MailboxSecret::marked([1; 32]).pass(0, Week::of(UNIX));
    for n in 0..=MAX_LETTERS as u32 {
        let expiry = Expiry::from_now(Lane::Contact, sender.unix);
        let deposit = Deposit::by_contact(&pass, expiry, envelope(n));
        sender.handle(Input::Send {
            deposit,
            relays: Vec::new(),
            keep: None,
            stored: true,
        });
    }
    assert_eq!(sender.machine.len(), MAX_LETTERS);
    assert!(matches!(sender.told.last(), Some(Output::Full(_))));
    sender.handle(Input::Done(contact(1).id()));
}

fn with_attachment() -> (Sender, Keep) {
    let mut sender = Sender::new();
    let wish = keep(1, &[blob(1, 1 << 20)]);
    sender.handle(Input::Send {
        deposit: contact(1),
        relays: Vec::new(),
        keep: Some(wish.clone()),
        stored: false,
    });
    (sender, wish)
}

fn kept(n: u8, wish: &Keep) -> Message {
    let expiry = wish.header().expiry();
    Message::Receipt(wish.id(), expiry, sign_receipt(&node(n), wish.id(), expiry))
}

fn kept_by(sender: &Sender) -> Option<(usize, bool)> {
    sender.told.iter().rev().find_map(|told| match told {
        Output::Receipts { kept, stored, .. } => Some((*kept, *stored)),
        _ => None,
    })
}

#[test]
fn a_message_is_stored_when_three_keep_what_is_attached() {
    let (mut sender, wish) = with_attachment();
    sender.found(20..40);
    let asked = std::cell::RefCell::new(Vec::new());
    sender.answer(|n, message| match message {
        Message::Keep(asked_for) => {
            assert_eq!(*asked_for, wish);
            asked.borrow_mut().push(n);
            // Signed by nobody who was asked, and a refusal: neither counts.
            match asked.borrow().len() {
                1 => Some(kept(n - 1, &wish)),
                2 => Some(Message::Refused(wish.id(), Refusal::NoRoom)),
                _ => None,
            }
        }
        message => honest(n, message),
    });
    let asked = asked.into_inner();
    assert_eq!(
        asked.len(),
        COPIES,
        "all who signed for the message are asked"
    );
    assert_eq!(sender.stored(), Some((COPIES, 0, false)));
    // The others fetch it, which takes its time; who was not asked counts for nothing.
    sender.handle(Input::Received(peer(60), kept(60, &wish)));
    for (count, n) in asked[2..5].iter().enumerate() {
        assert_eq!(kept_by(&sender).map_or(0, |(kept, _)| kept), count);
        sender.handle(Input::Received(peer(*n), kept(*n, &wish)));
    }
    assert_eq!(kept_by(&sender), Some((KEPT_MIN, true)));
}

#[test]
fn who_has_no_room_is_made_up_for_and_who_went_away_is_asked_again() {
    let (mut sender, wish) = with_attachment();
    sender.found(20..40);
    let first = std::cell::RefCell::new(Vec::new());
    // Two of the first eight have it in the end; one of them is away for now.
    sender.answer(|n, message| match message {
        Message::Keep(_) => {
            first.borrow_mut().push(n);
            match first.borrow().len() {
                1 => Some(kept(n, &wish)),
                2 => None,
                _ => Some(Message::Refused(wish.id(), Refusal::NoRoom)),
            }
        }
        message => honest(n, message),
    });
    let first = first.into_inner();
    assert_eq!(kept_by(&sender).map(|(_, stored)| stored), Some(false));
    sender.handle(Input::Unreachable(peer(first[1])));
    sender.wait(30);
    sender.found(20..40);
    let mut puts = 0;
    let others = std::cell::RefCell::new(0);
    puts += sender.answer(|n, message| match message {
        Message::Keep(_) if n == first[0] => panic!("it has signed"),
        Message::Keep(_) if n == first[1] => Some(kept(n, &wish)),
        Message::Keep(_) if first.contains(&n) => {
            Some(Message::Refused(wish.id(), Refusal::NoRoom))
        }
        Message::Keep(_) => {
            *others.borrow_mut() += 1;
            Some(kept(n, &wish))
        }
        message => honest(n, message),
    });
    assert_eq!((puts, others.into_inner()), (6, 6), "six had no room");
    assert_eq!(kept_by(&sender), Some((8, true)));
}

#[test]
fn whom_custodians_have_no_time_for_waits_no_longer_each_time() {
    let refusing = |why| {
        let mut sender = Sender::sending(Vec::new());
        let mut waits = Vec::new();
        for round in 1..4 {
            sender.found(20..26);
            sender.answer(|_, message| match message {
                Message::Put(deposit) => Some(Message::Refused(deposit.id(), why)),
                _ => None,
            });
            let began = sender.now;
            while sender.lookups == round {
                sender.wait(1);
            }
            waits.push(sender.now.since(began).as_secs());
        }
        waits
    };
    assert_eq!(refusing(Refusal::TooFast), [30, 30, 30]);
    assert_eq!(refusing(Refusal::NoRoom), [30, 60, 120]);
}
