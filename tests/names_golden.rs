//! Records as the npm package `ipns` makes them: ours are the same bytes, and ours choose as it does. Keys and words as other
//! implementations derive them.
//!
//! `tests/names/vectors.mjs` makes the vectors, `tests/names/names.test.mjs` holds them against the package as it is.

#![cfg(not(target_arch = "wasm32"))]
#![allow(clippy::unwrap_used)]

use std::cmp::Ordering;

use data_encoding::HEXLOWER;
use gyre::proto::keys::phrase::{ENGLISH, Words};
use gyre::proto::keys::{RootSecret, SiteKey};
use gyre::proto::name::Name;
use gyre::proto::name::record::{Draft, Record};
use gyre::proto::name::validity::Validity;
use serde_json::Value;

fn vectors() -> Value {
    serde_json::from_str(include_str!("names/vectors.json")).unwrap()
}

fn text<'a>(vector: &'a Value, field: &str) -> &'a str {
    vector[field].as_str().unwrap()
}

fn bytes(hex: &str) -> Vec<u8> {
    HEXLOWER.decode(hex.as_bytes()).unwrap()
}

fn key(vector: &Value) -> SiteKey {
    SiteKey::from_seed([vector["seed"].as_u64().unwrap() as u8; 32])
}

#[test]
fn records_are_the_same_bytes_as_those_of_the_package() {
    let vectors = vectors();
    let records = vectors["records"].as_array().unwrap();
    assert!(records.len() >= 12);
    for vector in records {
        let draft = Draft {
            value: text(vector, "value").to_owned(),
            sequence: text(vector, "sequence").parse().unwrap(),
            validity: Validity::parse(text(vector, "validity").as_bytes()).unwrap(),
            ttl_nanos: text(vector, "ttl").parse().unwrap(),
        };
        let ours = Record::sign(&key(vector), draft).unwrap();
        let theirs = bytes(text(vector, "record"));
        let read = Record::verify(ours.name(), &theirs).unwrap();
        assert_eq!(read, ours);
        // Those of both versions are kept as version 2 alone.
        let both = vector["both"].as_bool().unwrap();
        assert_eq!(ours.bytes()[..] == theirs[..], !both);
    }
}

#[test]
fn names_and_routing_keys_are_those_of_the_package() {
    for vector in vectors()["records"].as_array().unwrap() {
        let name = key(vector).name();
        assert_eq!(name.to_string(), text(vector, "name"));
        assert_eq!(Name::parse(text(vector, "name")), Ok(name));
        assert_eq!(Name::parse(text(vector, "peerId")), Ok(name));
        assert_eq!(name.routing_key()[..], bytes(text(vector, "routingKey")));
    }
}

#[test]
fn of_two_records_the_same_is_chosen() {
    let vectors = vectors();
    let choices = vectors["choices"].as_array().unwrap();
    assert!(choices.len() >= 4);
    let name = SiteKey::from_seed([0; 32]).name();
    for choice in choices {
        let [first, second] = [0, 1].map(|at| {
            let record = bytes(choice["records"][at].as_str().unwrap());
            Record::verify(name, &record).unwrap()
        });
        let ours = match first.rank(&second) {
            Ordering::Less => 1,
            _ => 0,
        };
        assert_eq!(choice["chosen"], ours);
    }
}

#[test]
fn keys_of_sites_are_those_that_others_derive() {
    let vectors = vectors();
    let keys = vectors["keys"].as_array().unwrap();
    assert!(keys.len() >= 4);
    for vector in keys {
        let root = RootSecret::new([vector["root"].as_u64().unwrap() as u8; 32]);
        let key = root.site_key(vector["number"].as_u64().unwrap() as u32);
        assert_eq!(key.seed()[..], bytes(text(vector, "seed")));
        assert_eq!(key.name().to_string(), text(vector, "name"));
    }
}

#[test]
fn words_are_those_that_others_write() {
    let vectors = vectors();
    let phrases = vectors["phrases"].as_array().unwrap();
    assert!(phrases.len() >= 8);
    let words = Words::new(ENGLISH).unwrap();
    for vector in phrases {
        let secret: [u8; 32] = bytes(text(vector, "secret")).try_into().unwrap();
        let secret = RootSecret::new(secret);
        assert_eq!(words.of(&secret).as_str(), text(vector, "words"));
        assert_eq!(words.read(text(vector, "words")), Ok(secret));
    }
}
