#![allow(clippy::unwrap_used)]

mod forks;

use std::time::Instant;

use data_encoding::HEXLOWER;
use ipld_core::ipld::Ipld;
use proptest::prelude::*;

use super::chain::Chain;
use super::fork::{Brought, Lineage, MAX_BRANCHES, SETTLE, Seen, Sort, choose, forks};
use super::op::{Act, Keys, Op};
use super::owner::Owner;
use super::*;
use crate::proto::keys::{RootSecret, SiteKey};

/// 2026-11-22, by the second.
const DAY0: u64 = 1_795_305_600;
const HOUR: u64 = 3600;

fn root() -> RootSecret {
    RootSecret::new([7; 32])
}

fn key(seed: u8) -> SiteKey {
    SiteKey::from_seed([seed; 32])
}

fn public(seed: u8) -> Key {
    Key::from(key(seed).name())
}

fn parse(chain: &Chain) -> Result<Chain, IdentityError> {
    Chain::parse(chain.id(), &chain.to_bytes())
}

/// One of everything but the end.
fn full() -> Chain {
    let root = root();
    let owner = Owner::new(&root, 0);
    let mut chain = owner.begin();
    let acts = [
        Act::AddDevice(Key::from(root.device_key(0, 0).name())),
        Act::SetMail(Some(Key::from(root.mail_key(0, 0).name()))),
        Act::SetSite {
            site: 0,
            key: Some(Key::from(root.site_key(0).name())),
        },
        Act::AddDevice(Key::from(root.device_key(0, 1).name())),
        Act::RemoveDevice(Key::from(root.device_key(0, 0).name())),
    ];
    for (hours, act) in acts.into_iter().enumerate() {
        owner
            .act(&mut chain, DAY0 + hours as u64 * HOUR, act)
            .unwrap();
    }
    owner.rotate(&mut chain, DAY0 + 24 * HOUR).unwrap();
    let last = chain.ops().len() - 1;
    owner.recover(&chain, last, DAY0 + 48 * HOUR).unwrap()
}

#[test]
fn words_give_the_identity_again() {
    let owner = root();
    let id = Owner::new(&owner, 0).id();
    assert_eq!(id.to_string(), GOLDEN_ID);
    assert_eq!(Id::parse(&format!("dmail:{GOLDEN_ID}")), Ok(id));
    assert_eq!(Id::parse(&GOLDEN_ID.to_uppercase()), Ok(id));
    assert_ne!(Owner::new(&owner, 1).id(), id);
    for text in ["", "dmail:", &GOLDEN_ID[1..], &format!("{GOLDEN_ID}y")] {
        assert_eq!(Id::parse(text), Err(NotAnId), "{text}");
    }
    // The last letter has one bit of the id only: other letters there are other spellings.
    let last = &format!("{}b", &GOLDEN_ID[..51]);
    assert_eq!(Id::parse(last), Err(NotAnId));
}

#[test]
fn the_bytes_are_those_of_the_document() {
    let root = root();
    let genesis = Owner::new(&root, 0).begin();
    assert_eq!(HEXLOWER.encode(&genesis.to_bytes()), GOLDEN_GENESIS);
    let chain = full();
    let bytes = chain.to_bytes();
    assert_eq!(blake3::hash(&bytes).to_hex().as_str(), GOLDEN_CHAIN);
    assert_eq!(bytes.len(), GOLDEN_LEN);
    // DAG-CBOR as others write it.
    let value: Ipld = serde_ipld_dagcbor::from_slice(&bytes).unwrap();
    assert_eq!(serde_ipld_dagcbor::to_vec(&value).unwrap(), bytes);
}

const GOLDEN_ID: &str = "c5oiwg1tps88t6h4s6p6ee3oxcrt8j7z7xa651u91jnojebw7hqy";
const GOLDEN_GENESIS: &str = concat!(
    "820181828501005820d880a8e7188287d600e90224248a2b23e6bb79e62d9c9dc501d3e8975122d3c85820fa76ca717b9f76",
    "1a17ae03a27aada8defc502ba95381e91e38fb7b75ee718dcf582025dd2ee93f904410a405ac3b3aa7fecc57f8cf4f51619c",
    "269aa640be8f7a16ae5840b1940422cce87db1448914b6935359f8db7912558ea3da5847c8f79a813d0aafbb3c45ebb4331a",
    "cbd53dcd386b2666f381086bf12af70e265eb092822c8ff70a",
);
const GOLDEN_CHAIN: &str = "a3321a1814ec2cd8847c4b95d2d8b3bdac62602820d460b85dcd732a6c8a0999";
const GOLDEN_LEN: usize = 1347;

#[test]
fn a_chain_says_what_counts() {
    let root = root();
    let chain = full();
    let read = parse(&chain).unwrap();
    assert_eq!(read, chain);
    let state = read.state();
    assert_eq!(
        state.devices.iter().copied().collect::<Vec<_>>(),
        [Key::from(root.device_key(0, 1).name())]
    );
    assert_eq!(state.mail, Some(Key::from(root.mail_key(0, 0).name())));
    assert_eq!(state.sites[&0], Key::from(root.site_key(0).name()));
    assert_eq!(state.time, DAY0 + 48 * HOUR);
    let mut ended = chain.clone();
    Owner::new(&root, 0).end(&mut ended, DAY0 * 2).unwrap();
    assert!(ended.state().ended);
    assert_eq!(parse(&ended), Ok(ended.clone()));
    let more = Act::AddDevice(public(1));
    assert_eq!(
        Owner::new(&root, 0).act(&mut ended, DAY0 * 2, more),
        Err(IdentityError::Ended)
    );
}

#[test]
fn every_refusal_has_a_code_of_its_own() {
    let all = [
        IdentityError::TooLong,
        IdentityError::Malformed,
        IdentityError::NotCanonical,
        IdentityError::Version(1),
        IdentityError::UnknownOp(1),
        IdentityError::OtherIdentity,
        IdentityError::NoGenesis,
        IdentityError::BrokenLink,
        IdentityError::OutOfTime,
        IdentityError::FromTheFuture,
        IdentityError::WrongKey,
        IdentityError::BadSignature,
        IdentityError::NoChange,
        IdentityError::TooMany,
        IdentityError::Ended,
        IdentityError::NotOurs,
    ];
    let document = include_str!("../../../docs/identity.md");
    let codes: std::collections::BTreeSet<_> = all.iter().map(IdentityError::code).collect();
    assert_eq!(codes.len(), all.len());
    for code in codes {
        assert!(document.contains(&format!("`{code}`")), "{code}");
    }
}

/// Printed, not asserted: a loaded machine takes as long as it takes.
#[test]
fn an_operation_is_checked_quickly() {
    let chain = full();
    let bytes = chain.to_bytes();
    let started = Instant::now();
    let rounds = 10;
    for _ in 0..rounds {
        Chain::parse(chain.id(), &bytes).unwrap();
    }
    let each = started.elapsed() / (rounds * chain.ops().len() as u32);
    println!("an operation was checked in {each:?}");
}

#[test]
fn what_does_not_follow_is_refused() {
    let root = root();
    let chain = full();
    let signer = root.identity_key(0, 3);
    assert_eq!(chain.state().keys.key, Key::from(signer.name()));
    let head = chain.head();
    let push = |op: Op| chain.clone().push(op).unwrap_err();
    let at = DAY0 + 100 * HOUR;
    let device = Act::AddDevice(public(1));
    assert_eq!(
        push(Op::after(chain.ids()[2], at, device, &signer)),
        IdentityError::BrokenLink
    );
    assert_eq!(
        push(Op::after(head, DAY0, device, &signer)),
        IdentityError::OutOfTime
    );
    // An old key, and a device's.
    for other in [root.identity_key(0, 1), root.device_key(0, 1), key(9)] {
        assert_eq!(
            push(Op::after(head, at, device, &other)),
            IdentityError::BadSignature
        );
    }
    let known = Act::AddDevice(Key::from(root.device_key(0, 1).name()));
    let unknown = Act::RemoveDevice(public(1));
    let set = Act::SetMail(chain.state().mail);
    let none = Act::SetSite { site: 9, key: None };
    for act in [known, unknown, set, none] {
        assert_eq!(
            push(Op::after(head, at, act, &signer)),
            IdentityError::NoChange
        );
    }
    let keys = |key: u8, next: u8, recovery: u8| Keys {
        key: public(key),
        next: public(next).commitment(),
        recovery: public(recovery).commitment(),
    };
    // Nobody committed to these.
    assert_eq!(
        push(Op::after(head, at, Act::Rotate(keys(1, 2, 3)), &key(1))),
        IdentityError::WrongKey
    );
    let recover = Act::Recover {
        shown: public(1),
        keys: keys(2, 3, 4),
    };
    assert_eq!(
        push(Op::after(head, at, recover, &key(1))),
        IdentityError::WrongKey
    );
    assert_eq!(
        push(Op::after(head, at, Act::Tombstone(public(1)), &key(1))),
        IdentityError::WrongKey
    );
    // A second beginning, and one whose keys commit to themselves.
    assert_eq!(
        push(Op::genesis(keys(1, 2, 3), &key(1))),
        IdentityError::NoGenesis
    );
    for keys in [keys(1, 1, 3), keys(1, 2, 1), keys(1, 2, 2)] {
        let own = Op::genesis(keys, &key(1));
        assert_eq!(Chain::start(own), Err(IdentityError::WrongKey));
    }
    assert_eq!(
        Chain::start(Op::genesis(keys(1, 2, 3), &key(2))),
        Err(IdentityError::BadSignature)
    );
    // A recovery that commits to the key it has just shown.
    let recovery = root.recovery_key(0, 1);
    let again = Act::Recover {
        shown: Key::from(recovery.name()),
        keys: Keys {
            recovery: chain.state().keys.recovery,
            ..keys(2, 3, 4)
        },
    };
    assert_eq!(
        push(Op::after(head, at, again, &recovery)),
        IdentityError::WrongKey
    );
    // Words of somebody else.
    let other = RootSecret::new([8; 32]);
    assert_eq!(
        Owner::new(&other, 0).rotate(&mut chain.clone(), at),
        Err(IdentityError::NotOurs)
    );
    assert_eq!(
        Chain::parse(Owner::new(&other, 0).id(), &chain.to_bytes()),
        Err(IdentityError::OtherIdentity)
    );
    assert_eq!(
        chain.check_time(chain.state().time - MAX_AHEAD - 1),
        Err(IdentityError::FromTheFuture)
    );
    assert_eq!(chain.check_time(chain.state().time - MAX_AHEAD), Ok(()));
}

#[test]
fn bounds_hold() {
    let root = root();
    let owner = Owner::new(&root, 0);
    let mut chain = owner.begin();
    for seed in 0..MAX_DEVICES as u8 {
        let act = Act::AddDevice(public(seed));
        owner.act(&mut chain, DAY0, act).unwrap();
    }
    let one_more = Act::AddDevice(public(200));
    assert_eq!(
        owner.act(&mut chain, DAY0, one_more),
        Err(IdentityError::TooMany)
    );
    let site = |site| Act::SetSite {
        site,
        key: Some(public(1)),
    };
    for number in 0..MAX_SITES as u32 {
        owner.act(&mut chain, DAY0, site(number)).unwrap();
    }
    assert_eq!(
        owner.act(&mut chain, DAY0, site(99)),
        Err(IdentityError::TooMany)
    );
    let refused = (0..MAX_OPS as u8).find_map(|seed| {
        let act = Act::SetMail(Some(public(seed)));
        owner.act(&mut chain, DAY0, act).err()
    });
    assert_eq!(refused, Some(IdentityError::TooLong));
    let bytes = chain.to_bytes();
    assert!(bytes.len() <= MAX_CHAIN_LEN && bytes.len() > MAX_CHAIN_LEN - 200);
    assert!(parse(&chain).is_ok());
    let long = [&bytes[..], &[0; 300]].concat();
    assert_eq!(Chain::parse(chain.id(), &long), Err(IdentityError::TooLong));
}

#[test]
fn versions_and_kinds_that_are_not_known_say_so() {
    let root = root();
    let chain = Owner::new(&root, 0).begin();
    let id = chain.id();
    let bytes = chain.to_bytes();
    let with = |at: usize, value: u8| {
        let mut bytes = bytes.clone();
        bytes[at] = value;
        Chain::parse(id, &bytes).unwrap_err()
    };
    assert_eq!(with(1, 2), IdentityError::Version(2));
    // [ 1, [ [ [1, 0, …
    assert_eq!(with(5, 2), IdentityError::Version(2));
    assert_eq!(with(6, 8), IdentityError::UnknownOp(8));
    let long = [&bytes[..1], &[0x18], &bytes[1..]].concat();
    assert_eq!(Chain::parse(id, &long), Err(IdentityError::NotCanonical));
    assert_eq!(
        Chain::parse(id, &[0x82, 1, 0x80]),
        Err(IdentityError::NoGenesis)
    );
    let trailing = [&bytes[..], &[0]].concat();
    assert_eq!(Chain::parse(id, &trailing), Err(IdentityError::Malformed));
}

#[test]
fn an_index_holds_chains_under_their_ids() {
    let root = root();
    let owner = Owner::new(&root, 0);
    let chain = full();
    let routing = record::routing_key(chain.id());
    assert_eq!(record::of_routing_key(&routing), Some(chain.id()));
    assert_eq!(record::of_routing_key(&routing[1..]), None);
    let now = DAY0 + 60 * HOUR;
    let bytes = chain.to_bytes();
    assert_eq!(
        record::validate(&routing, &bytes, None, now),
        Ok(chain.clone())
    );
    assert_eq!(
        record::validate(b"/ipns/x", &bytes, None, now),
        Err(IdentityError::OtherIdentity)
    );
    assert_eq!(
        record::validate(&routing, &bytes, None, DAY0),
        Err(IdentityError::FromTheFuture)
    );
    let shorter = chain.back_to(3).unwrap().to_bytes();
    let mut longer = chain.clone();
    owner.rotate(&mut longer, now).unwrap();
    let longer = longer.to_bytes();
    let values = [&b"garbage"[..], &shorter, &longer, &bytes];
    assert_eq!(record::select(&routing, &values, now), Some(2));
    assert_eq!(record::select(&routing, &values[..1], now), None);
}

/// What is done to a chain, drawn by a property.
#[derive(Debug, Clone, Copy)]
enum Step {
    Rotate,
    Recover,
    Device(u8),
    Mail(u8),
    Site(u8, u8),
}

fn step() -> impl Strategy<Value = (Step, u64)> {
    let step = prop_oneof![
        Just(Step::Rotate),
        Just(Step::Recover),
        (0u8..4).prop_map(Step::Device),
        (0u8..4).prop_map(Step::Mail),
        (0u8..3, 0u8..3).prop_map(|(site, key)| Step::Site(site, key)),
    ];
    (step, 0u64..100 * HOUR)
}

/// Goes on with a chain; steps that would change nothing are left out.
fn walk(chain: &mut Chain, steps: &[(Step, u64)]) {
    let root = root();
    let owner = Owner::new(&root, 0);
    for (step, later) in steps {
        let time = chain.state().time.max(DAY0) + later;
        let done = match *step {
            Step::Rotate => owner.rotate(chain, time),
            Step::Recover => {
                let place = chain.ops().len() - 1;
                owner
                    .recover(chain, place, time)
                    .map(|recovered| *chain = recovered)
            }
            Step::Device(seed) => {
                let key = public(seed);
                let act = match chain.state().devices.contains(&key) {
                    true => Act::RemoveDevice(key),
                    false => Act::AddDevice(key),
                };
                owner.act(chain, time, act)
            }
            Step::Mail(seed) => {
                let key = (seed > 0).then(|| public(seed));
                owner.act(chain, time, Act::SetMail(key))
            }
            Step::Site(site, seed) => {
                let key = (seed > 0).then(|| public(seed));
                let site = u32::from(site);
                owner.act(chain, time, Act::SetSite { site, key })
            }
        };
        assert!(matches!(done, Ok(()) | Err(IdentityError::NoChange)));
    }
}

fn begun() -> Chain {
    let root = root();
    Owner::new(&root, 0).begin()
}

proptest! {
    // Each case signs and verifies dozens of times, unoptimised.
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn random_chains_are_read_back(steps in prop::collection::vec(step(), 0..10)) {
        let mut chain = begun();
        walk(&mut chain, &steps);
        prop_assert_eq!(parse(&chain), Ok(chain));
    }

    #[test]
    fn what_is_known_is_not_verified_again_and_the_rest_is(
        shared in prop::collection::vec(step(), 0..4), one in prop::collection::vec(step(), 1..3), other in prop::collection::vec(step(), 1..3),
        at in any::<prop::sample::Index>(), bit in 0u8..8,
    ) {
        let mut known = begun();
        walk(&mut known, &shared);
        let mut chain = known.clone();
        walk(&mut known, &one);
        walk(&mut chain, &other);
        let bytes = chain.to_bytes();
        prop_assert_eq!(Chain::parse_after(&known, &bytes), Ok(chain.clone()));
        let routing = record::routing_key(known.id());
        prop_assert_eq!(record::validate(&routing, &bytes, Some(&known), 2 * DAY0), Ok(chain));
        let mut changed = bytes;
        let at = at.index(changed.len());
        changed[at] ^= 1 << bit;
        prop_assert!(Chain::parse_after(&known, &changed).is_err());
    }

    #[test]
    fn a_flipped_bit_is_refused(steps in prop::collection::vec(step(), 0..6), at in any::<prop::sample::Index>(), bit in 0u8..8) {
        let mut chain = begun();
        walk(&mut chain, &steps);
        let mut bytes = chain.to_bytes();
        let at = at.index(bytes.len());
        bytes[at] ^= 1 << bit;
        prop_assert!(Chain::parse(chain.id(), &bytes).is_err());
    }

    #[test]
    fn operations_left_out_moved_or_brought_in_are_refused(steps in prop::collection::vec(step(), 3..8), a in any::<prop::sample::Index>(), b in any::<prop::sample::Index>()) {
        let mut chain = begun();
        walk(&mut chain, &steps);
        prop_assume!(chain.ops().len() > 2);
        let ops = chain.ops().to_vec();
        let rebuilt = |ops: &[Op]| {
            let mut chain = Chain::start(ops[0].clone())?;
            ops[1..].iter().try_for_each(|op| chain.push(op.clone()))
        };
        prop_assert_eq!(rebuilt(&ops), Ok(()));
        // One left out, not the last.
        let mut fewer = ops.clone();
        fewer.remove(1 + a.index(ops.len() - 2));
        prop_assert_eq!(rebuilt(&fewer), Err(IdentityError::BrokenLink));
        // Two that changed places.
        let (a, b) = (1 + a.index(ops.len() - 1), 1 + b.index(ops.len() - 1));
        let mut moved = ops.clone();
        moved.swap(a, b);
        prop_assert_eq!(rebuilt(&moved).is_ok(), a == b);
        // One of another chain of the same person.
        let root = root();
        let mut other = Owner::new(&root, 1).begin();
        Owner::new(&root, 1).act(&mut other, DAY0, Act::AddDevice(public(1))).unwrap();
        let mut foreign = ops;
        foreign[a] = other.ops()[1].clone();
        prop_assert_eq!(rebuilt(&foreign), Err(IdentityError::BrokenLink));
    }

    #[test]
    fn forks_are_settled_the_same_in_any_order(
        shared in prop::collection::vec(step(), 0..3),
        branches in prop::collection::vec(prop::collection::vec(step(), 1..4), 2..=MAX_BRANCHES),
        order in Just((0..MAX_BRANCHES).collect::<Vec<_>>()).prop_shuffle(),
    ) {
        let mut trunk = begun();
        walk(&mut trunk, &shared);
        let chains: Vec<_> = branches.iter().map(|steps| {
            let mut chain = trunk.clone();
            walk(&mut chain, steps);
            chain
        }).collect();
        let now = DAY0 + 1000 * HOUR;
        let order: Vec<_> = order.into_iter().filter(|at| *at < chains.len()).collect();
        let shuffled: Vec<_> = order.iter().map(|at| chains[*at].clone()).collect();
        let chosen = choose(&chains, &Seen::default()).unwrap();
        prop_assert_eq!(choose(&shuffled, &Seen::default()).unwrap().head(), chosen.head());
        prop_assert_eq!(forks(&shuffled, chosen, &Seen::default(), now), forks(&chains, chosen, &Seen::default(), now));
        // And as they arrive, one by one.
        let mut lineage = Lineage::new(shuffled[0].clone(), now).unwrap();
        for chain in &shuffled[1..] {
            lineage.bring(chain.clone(), now).unwrap();
        }
        prop_assert_eq!(lineage.chain().head(), chosen.head());
        // What counts is never the beginning of another branch.
        prop_assert!(chains.iter().all(|chain| chain == chosen || !chain.continues(chosen)));
    }

    #[test]
    fn any_bytes_are_looked_at_without_panic(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        prop_assert!(Chain::parse(Id([3; 32]), &bytes).is_err());
        let framed = [&[0x82, 1, 0x81, 0x82][..], &bytes].concat();
        prop_assert!(Chain::parse(Id([3; 32]), &framed).is_err());
    }
}
