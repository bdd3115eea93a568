#![allow(clippy::unwrap_used)]

use proptest::prelude::*;

use super::*;
use crate::proto::keys::SiteKey;
use crate::proto::name::heads::Limits;
use crate::proto::name::record::{Draft, Record};
use crate::proto::name::validity::Validity;

const NOW: Time = Time(1_000_000_000);
const UNIX: u64 = 1_000;

fn record(sequence: u64, value: &str) -> Record {
    let draft = Draft {
        value: value.into(),
        sequence,
        validity: Validity::from_unix_millis(9_000),
        ttl_nanos: 0,
    };
    Record::sign(&SiteKey::from_seed([1; 32]), draft).unwrap()
}

fn head(record: &Record) -> Message {
    Message::Head(record.name(), record.bytes().clone())
}

/// One end with its heads.
struct End {
    follow: Follow,
    heads: Heads,
}

impl End {
    fn node() -> Self {
        let heads = Heads::new(Limits::FOLLOWED);
        let follow = Follow::node();
        Self { follow, heads }
    }

    fn tell(&mut self, input: Input) -> Vec<Output> {
        self.follow.handle(input, &mut self.heads, NOW, UNIX);
        std::iter::from_fn(|| self.follow.poll_output()).collect()
    }

    fn up(&mut self, link: u64, opened: bool) -> Vec<Output> {
        self.tell(Input::Up {
            link: LinkId(link),
            source: Source(link),
            opened,
        })
    }

    fn publish(&mut self, record: &Record) -> Vec<Output> {
        self.heads.offer(record.clone(), None, NOW, UNIX).unwrap();
        self.tell(Input::Changed(record.name()))
    }
}

/// Ends with streams between some of them; messages are carried until none is left.
struct Net {
    ends: Vec<End>,
    /// Who opened it, and to whom.
    links: Vec<(usize, usize)>,
    carried: usize,
}

impl Net {
    fn new(ends: Vec<End>, links: &[(usize, usize)]) -> Self {
        let mut net = Self {
            ends,
            links: links.to_vec(),
            carried: 0,
        };
        for (id, (opener, acceptor)) in links.iter().enumerate() {
            for (end, opened) in [(*opener, true), (*acceptor, false)] {
                let outputs = net.ends[end].up(id as u64, opened);
                net.carry(end, outputs);
            }
        }
        net
    }

    fn tell(&mut self, end: usize, input: Input) {
        let outputs = self.ends[end].tell(input);
        self.carry(end, outputs);
    }

    fn publish(&mut self, end: usize, record: &Record) {
        let outputs = self.ends[end].publish(record);
        self.carry(end, outputs);
    }

    fn carry(&mut self, end: usize, outputs: Vec<Output>) {
        let mut queue: VecDeque<_> = outputs.into_iter().map(|output| (end, output)).collect();
        while let Some((end, output)) = queue.pop_front() {
            let Output::Send(link, message) = output else {
                continue;
            };
            let (opener, acceptor) = self.links[link.0 as usize];
            let to = if end == opener { acceptor } else { opener };
            // As bytes, as it would travel.
            let bytes = message.encode();
            let message = Message::decode(&bytes[2..]).unwrap();
            self.carried += 1;
            assert!(self.carried < 100_000, "messages without end");
            let outputs = self.ends[to].tell(Input::Received(link, message));
            queue.extend(outputs.into_iter().map(|output| (to, output)));
        }
    }

    fn sequence_at(&self, end: usize, name: &Name) -> Option<u64> {
        let held = self.ends[end].heads.get(name)?;
        Some(held.record.sequence())
    }
}

#[test]
fn followers_hear_now_and_then_of_every_newer_one() {
    let (first, second) = (record(1, "/ipfs/a"), record(2, "/ipfs/b"));
    let name = first.name();
    let mut holder = End::node();
    holder.tell(Input::Follow(name));
    holder.publish(&first);
    holder.up(1, false);
    let follows = Input::Received(LinkId(1), Message::Follow(name));
    assert_eq!(
        holder.tell(follows),
        [Output::Send(LinkId(1), head(&first))]
    );
    assert_eq!(
        holder.publish(&second),
        [Output::Send(LinkId(1), head(&second))]
    );
    holder.tell(Input::Received(LinkId(1), Message::Leave(name)));
    assert_eq!(holder.publish(&record(3, "/ipfs/c")), []);
    let other = Name([9; 32]);
    let asked = holder.tell(Input::Received(LinkId(1), Message::Follow(other)));
    assert_eq!(asked, [Output::Send(LinkId(1), Message::Nothing(other))]);
    holder.tell(Input::Down(LinkId(1)));
    assert_eq!(holder.follow.followers(), 0);
}

#[test]
fn one_that_lags_is_put_right_and_one_that_leads_back_is_refused() {
    let (old, new) = (record(1, "/ipfs/a"), record(2, "/ipfs/b"));
    let name = new.name();
    let mut end = End::node();
    end.tell(Input::Follow(name));
    end.publish(&new);
    end.up(1, true);
    let outputs = end.tell(Input::Received(LinkId(1), head(&old)));
    let refused = Message::Refused(name, Refusal(7));
    assert_eq!(
        outputs,
        [
            Output::Send(LinkId(1), refused),
            Output::Send(LinkId(1), head(&new))
        ]
    );
    let nothing = end.tell(Input::Received(LinkId(1), Message::Nothing(name)));
    assert_eq!(nothing, [Output::Send(LinkId(1), head(&new))]);
    assert_eq!(end.heads.get(&name).unwrap().record, new);
}

#[test]
fn whoever_forges_is_let_go() {
    let record = record(1, "/ipfs/a");
    let name = SiteKey::from_seed([2; 32]).name();
    let mut end = End::node();
    end.tell(Input::Follow(name));
    end.up(1, true);
    let forged = Message::Head(name, record.bytes().clone());
    let outputs = end.tell(Input::Received(LinkId(1), forged));
    assert_eq!(outputs.last(), Some(&Output::Drop(LinkId(1))));
    assert!(end.heads.is_empty());
    // So is one that follows where it was asked.
    let outputs = end.tell(Input::Received(LinkId(1), Message::Follow(name)));
    assert_eq!(outputs, [Output::Drop(LinkId(1))]);
}

#[test]
fn a_node_takes_only_what_it_follows_and_a_relay_any_name() {
    let record = record(1, "/ipfs/a");
    let mut node = End::node();
    node.up(1, false);
    assert_eq!(node.tell(Input::Received(LinkId(1), head(&record))), []);
    assert!(node.heads.is_empty());
    let mut relay = End {
        follow: Follow::relay(),
        heads: Heads::new(Limits::RELAY),
    };
    relay.up(1, false);
    let took = Output::Took(record.name(), Taken::New);
    assert_eq!(
        relay.tell(Input::Received(LinkId(1), head(&record))),
        [took]
    );
}

#[test]
fn follows_are_bounded() {
    let mut end = End::node();
    end.up(1, false);
    let names = (0..=MAX_FOLLOWS).map(|n| {
        let mut name = [0; 32];
        name[..8].copy_from_slice(&n.to_be_bytes());
        Name(name)
    });
    let mut last = Vec::new();
    for name in names {
        last = end.tell(Input::Received(LinkId(1), Message::Follow(name)));
    }
    assert!(matches!(
        last[..],
        [Output::Send(_, Message::Refused(_, Refusal(1)))]
    ));
    assert_eq!(end.follow.followers(), MAX_FOLLOWS);
}

proptest! {
    // Each case signs and verifies dozens of times, unoptimised.
    #![proptest_config(ProptestConfig::with_cases(24))]

    /// Whatever the links are, all who are joined by them end with the newest, in a bounded number of messages.
    #[test]
    fn the_newest_reaches_everybody(
        links in prop::collection::vec((0usize..8, 0usize..8), 0..20),
        published in prop::collection::vec((0usize..8, 1u64..6), 1..10),
    ) {
        let links: Vec<_> = (0..7).map(|end| (end + 1, end)).chain(links).filter(|(a, b)| a != b).collect();
        let mut net = Net::new((0..8).map(|_| End::node()).collect(), &links);
        let name = record(0, "/ipfs/a").name();
        for end in 0..8 {
            net.tell(end, Input::Follow(name));
        }
        let mut newest = 0;
        for (end, sequence) in published {
            // Only one key holder, who does not go back.
            if sequence > newest {
                newest = sequence;
                let before = net.carried;
                net.publish(end, &record(sequence, "/ipfs/a"));
                prop_assert!(net.carried - before <= 4 * links.len());
            }
        }
        for end in 0..8 {
            prop_assert_eq!(net.sequence_at(end, &name), Some(newest));
        }
    }

    #[test]
    fn anything_in_any_order_is_bounded(steps in prop::collection::vec((0u8..8, 0u64..4, 0u64..4), 0..80)) {
        let mut end = End::node();
        for (action, link, n) in steps {
            let id = LinkId(link);
            let name = record(0, "/ipfs/a").name();
            match action {
                0 => drop(end.up(link, n % 2 == 0)),
                1 => drop(end.tell(Input::Down(id))),
                2 => drop(end.tell(Input::Follow(name))),
                3 => drop(end.tell(Input::Leave(name))),
                4 => drop(end.tell(Input::Received(id, Message::Follow(Name([n as u8; 32]))))),
                5 => drop(end.tell(Input::Received(id, Message::Leave(Name([n as u8; 32]))))),
                6 => drop(end.tell(Input::Received(id, head(&record(n, "/ipfs/a"))))),
                _ => drop(end.tell(Input::Received(id, Message::Nothing(name)))),
            }
            let follows: usize = end.follow.links.values().map(|link| link.follows.len()).sum();
            prop_assert_eq!(follows, end.follow.followers());
        }
    }
}
