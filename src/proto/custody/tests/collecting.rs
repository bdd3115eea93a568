//! A reader, among custodians of which some lie.

use super::*;
use crate::proto::custody::MessageId;
use crate::proto::custody::collector::{Collector, GETS_AT_ONCE, Input, Output, WATCHERS};
use crate::proto::custody::message::{Message, may_delete, may_list};
use crate::proto::custody::region::Candidate;
use crate::proto::custody::tag::{Reading, Tag};

struct Reader {
    machine: Collector,
    sent: Vec<(PeerId, Message)>,
    letters: Vec<MessageId>,
    settled: usize,
    now: Time,
}

fn own() -> Reading {
    mailbox().contacts(0, Week::of(UNIX))
}

fn tag() -> Tag {
    own().terms.tag()
}

impl Reader {
    /// One who has asked the peers 20 up to `peers` and was sent their challenges.
    fn among(peers: u8) -> Self {
        let mut reader = Self {
            machine: Collector::new(0),
            sent: Vec::new(),
            letters: Vec::new(),
            settled: 0,
            now: at(0),
        };
        reader.handle(Input::Read(vec![own()]));
        reader.handle(Input::Found(
            tag(),
            (20..peers).map(|n| Candidate::new(peer(n))).collect(),
        ));
        for n in 20..peers {
            reader.receive(n, Message::Challenge([n; 16]));
        }
        reader
    }

    fn handle(&mut self, input: Input) {
        self.machine.handle(input, self.now, UNIX);
        while let Some(output) = self.machine.poll_output() {
            match output {
                Output::Send(to, message) => self.sent.push((to, message)),
                Output::Letter(deposit) => self.letters.push(deposit.id()),
                Output::Settled(_) => self.settled += 1,
                Output::WakeAt(time) => assert!(time > self.now),
                Output::Lookup(_) | Output::Open(_) => {}
            }
        }
    }

    fn receive(&mut self, from: u8, message: Message) {
        self.handle(Input::Received(peer(from), message));
    }

    fn lists(&mut self, from: u8, ids: &[MessageId]) {
        let (tag, ids) = (tag(), ids.to_vec());
        self.receive(
            from,
            Message::Listing {
                tag,
                more: false,
                ids,
            },
        );
    }

    /// What it asks for, and of whom.
    fn gets(&mut self) -> Vec<(PeerId, Vec<MessageId>)> {
        let sent = std::mem::take(&mut self.sent);
        let get = |(to, message)| match message {
            Message::Get(_, ids) => Some((to, ids)),
            _ => None,
        };
        sent.into_iter().filter_map(get).collect()
    }

    fn deletes(&mut self) -> Vec<(PeerId, MessageId)> {
        let sent = std::mem::take(&mut self.sent);
        let mut found = Vec::new();
        for (to, message) in sent {
            if let Message::Delete(terms, items) = message {
                for (id, signature) in items {
                    assert!(may_delete(&terms, id, &signature));
                    found.push((to, id));
                }
            }
        }
        found
    }

    fn wait(&mut self, seconds: u64) {
        self.now = self.now + Duration::from_secs(seconds);
        self.handle(Input::Tick);
    }
}

#[test]
fn every_custodian_is_shown_a_signature_of_its_own_and_few_are_watched() {
    let mut reader = Reader::among(32);
    let mut watched = 0;
    for (to, message) in std::mem::take(&mut reader.sent) {
        let Message::List {
            terms,
            watch,
            signature,
        } = message
        else {
            panic!("{message:?}")
        };
        let n = (20..32).find(|n| peer(*n) == to).unwrap();
        assert!(may_list(&terms, &[n; 16], to, &signature));
        assert!(!may_list(&terms, &[n; 16], peer(n + 1), &signature));
        watched += usize::from(watch);
    }
    assert_eq!(watched, WATCHERS);
}

#[test]
fn each_message_is_handed_out_once() {
    let mut reader = Reader::among(24);
    let deposit = contact(1);
    for n in 20..23 {
        reader.lists(n, &[deposit.id()]);
    }
    let gets = reader.gets();
    assert_eq!(gets, [(peer(20), vec![deposit.id()])]);
    for n in [20, 21, 20] {
        reader.receive(n, Message::Letter(deposit.clone()));
    }
    reader.lists(23, &[deposit.id()]);
    assert_eq!(reader.letters, [deposit.id()]);
    assert!(reader.gets().is_empty());
    assert_eq!(reader.settled, 1);
    // One that was known before this run is not handed out either.
    let mut reader = Reader::among(21);
    reader.handle(Input::Known(vec![deposit.id()]));
    reader.lists(20, &[deposit.id()]);
    assert!(reader.gets().is_empty());
    reader.receive(20, Message::New(tag(), contact(2).id()));
    assert_eq!(reader.gets().len(), 1);
}

#[test]
fn liars_cost_a_few_questions_and_lose_nothing() {
    let mut reader = Reader::among(24);
    let real: Vec<_> = (0..4).map(contact).collect();
    let ids: Vec<_> = real.iter().map(Deposit::id).collect();
    let fakes: Vec<_> = (0..200).map(|n| MessageId::of(tag(), &[n])).collect();
    reader.lists(20, &[&ids[..], &fakes].concat());
    reader.lists(21, &ids);
    reader.lists(22, &[]);
    reader.lists(23, &ids);
    let mut asked = 0;
    loop {
        let gets = reader.gets();
        if gets.is_empty() {
            break;
        }
        for (to, id) in gets
            .into_iter()
            .flat_map(|(to, ids)| ids.into_iter().map(move |id| (to, id)))
        {
            asked += 1;
            let deposit = real.iter().find(|deposit| deposit.id() == id);
            let answer = match (deposit, to == peer(21)) {
                (Some(deposit), true) => Message::Letter(deposit.clone()),
                // Other bytes, as a contact could have left; and nothing at all.
                (Some(_), false) => Message::Letter(contact(99)),
                (None, _) => Message::Absent(id),
            };
            let from = (20..24).find(|n| peer(*n) == to).unwrap();
            reader.receive(from, answer);
        }
    }
    reader.wait(31);
    reader.letters.sort_unstable();
    let mut expected = ids;
    expected.sort_unstable();
    assert_eq!(reader.letters, expected);
    assert!(asked <= 2 * GETS_AT_ONCE, "{asked}");
    reader.wait(100);
    assert_eq!(reader.settled, 1);
}

#[test]
fn what_nobody_was_let_in_with_is_not_taken() {
    let mut reader = Reader::among(21);
    // A custodian that makes up a message under the mailbox's terms: the id is right, the signature cannot be.
    let terms = own().terms;
    let expiry = Expiry::from_now(Lane::Contact, UNIX);
    let forged = Deposit::by_stranger(terms, expiry, 1, envelope(66));
    reader.lists(20, &[forged.id()]);
    assert_eq!(reader.gets().len(), 1);
    reader.receive(20, Message::Letter(forged));
    assert!(reader.letters.is_empty());
}

#[test]
fn deleted_everywhere_now_and_later() {
    let mut reader = Reader::among(24);
    let deposit = contact(1);
    for n in 20..22 {
        reader.lists(n, &[deposit.id()]);
    }
    reader.lists(22, &[]);
    reader.receive(20, Message::Letter(deposit.clone()));
    reader.sent.clear();
    reader.handle(Input::Delete(tag(), vec![deposit.id()]));
    // Those that hold it, and who answered and would be given it next.
    let told: Vec<_> = reader.deletes().into_iter().map(|(to, _)| to).collect();
    assert_eq!(told.len(), 3);
    assert!((20..23).all(|n| told.contains(&peer(n))));
    // One that comes back with it is told as well, once.
    for _ in 0..2 {
        reader.lists(23, &[deposit.id()]);
    }
    assert_eq!(reader.deletes(), [(peer(23), deposit.id())]);
    // Another device, or another run, signs the same.
    let mut other = Reader::among(21);
    other.handle(Input::Delete(tag(), vec![deposit.id()]));
    other.lists(20, &[deposit.id()]);
    assert_eq!(other.deletes(), [(peer(20), deposit.id())]);
    assert!(other.letters.is_empty());
}

#[test]
fn who_goes_away_is_not_waited_for() {
    let mut reader = Reader::among(23);
    let deposit = contact(1);
    for n in 20..22 {
        reader.lists(n, &[deposit.id()]);
    }
    assert_eq!(reader.gets(), [(peer(20), vec![deposit.id()])]);
    reader.handle(Input::Unreachable(peer(20)));
    assert_eq!(reader.gets(), [(peer(21), vec![deposit.id()])]);
    reader.wait(31);
    reader.receive(21, Message::Letter(deposit.clone()));
    assert!(reader.letters.is_empty(), "too late: it was given up");
    reader.handle(Input::Unreachable(peer(22)));
    assert_eq!(reader.settled, 1);
    // At the next look it is found again.
    reader.wait(601);
    reader.handle(Input::Found(tag(), vec![Candidate::new(peer(40))]));
    reader.receive(40, Message::Challenge([1; 16]));
    reader.lists(40, &[deposit.id()]);
    reader.receive(40, Message::Letter(deposit.clone()));
    assert_eq!(reader.letters, [deposit.id()]);
}

#[test]
fn whoever_could_not_be_reached_is_looked_for_again_soon() {
    use crate::proto::custody::collector::{LOOK_AGAIN, LOOK_SOON};
    let mut reader = Reader::among(22);
    let looks = |reader: &mut Reader, seconds: u64| {
        reader.now = reader.now + Duration::from_secs(seconds);
        reader.machine.handle(Input::Tick, reader.now, UNIX);
        let mut looks = 0;
        while let Some(output) = reader.machine.poll_output() {
            looks += usize::from(output == Output::Lookup(tag()));
        }
        looks
    };
    let found = || (20..22).map(|n| Candidate::new(peer(n))).collect();
    for (round, pause) in [LOOK_SOON, 2 * LOOK_SOON, LOOK_AGAIN, LOOK_AGAIN]
        .into_iter()
        .enumerate()
    {
        reader.lists(20, &[]);
        assert_eq!(reader.settled, round, "one is waited for");
        reader.handle(Input::Unreachable(peer(21)));
        assert_eq!(reader.settled, round + 1);
        assert_eq!(looks(&mut reader, pause.as_secs() - 1), 0, "{round}");
        assert_eq!(looks(&mut reader, 1), 1, "{round}");
        reader.handle(Input::Found(tag(), found()));
        reader.receive(21, Message::Challenge([21; 16]));
    }
    // Once all have answered there is no hurry.
    reader.lists(20, &[]);
    reader.lists(21, &[]);
    assert_eq!(looks(&mut reader, LOOK_AGAIN.as_secs() - 1), 0);
    assert_eq!(looks(&mut reader, 1), 1);
}
