#![allow(clippy::unwrap_used)]
use proptest::prelude::*;

use super::*;
use crate::proto::link::{blob_cid, manifest_cid};

fn list(text: &str) -> Denylist {
    Denylist::of([text.as_bytes()]).unwrap()
}

fn denies(list: &Denylist, path: &str) -> bool {
    let (cid, path) = path.split_once('/').unwrap_or((path, ""));
    list.denies_cid(&Cid::try_from(cid).unwrap(), path)
}

/// The rules by which implementations of the format are tested (the format's page names the file they are in).
const RULES: &str = "version: 1
name: \"Testing denylist\"
author: \"@somebody\"
hints:
  gateway_status: 410
---
# a comment
/ipfs/bafybeihvvulpp4evxj7x7armbqcyg6uezzuig6jp3lktpbovlqfkuqeuoq
/ipfs/QmdWFA9FL52hx3j9EJZPQP1ZUH8Ygi5tLCX2cRDs6knSf8/*

/ipfs/Qmah2YDTfrox4watLCr3YgKyBwvjq8FJZEFdWY6WtJ3Xt2/test* status:410
/ipfs/QmTuvSQbEDR3sarFAN9kAeXBpiBCyYYNxdxciazBba11eC/test/*
/ipfs/QmUboz9UsQBDeS6Tug1U8jgoFkgYxyYood9NDyVURAY9pK/blocked*
!/ipfs/QmUboz9UsQBDeS6Tug1U8jgoFkgYxyYood9NDyVURAY9pK/blockednot
!/ipfs/QmUboz9UsQBDeS6Tug1U8jgoFkgYxyYood9NDyVURAY9pK/blocked/not
!/ipfs/QmUboz9UsQBDeS6Tug1U8jgoFkgYxyYood9NDyVURAY9pK/blocked/exceptions*
/ipns/domain.example
/ipns/domain2.example/path
/ipns/k51qzi5uqu5dhmzyv3zac033i7rl9hkgczxyl81lwoukda2htteop7d3x0y1mf
//d9d295bde21f422d471a90f2a37ec53049fdf3e5fa3ee2e8f20e10003da429e7
//3f8b9febd851873b3774b937cce126910699ceac56e72e64b866f8e258d09572
//QmX9dhRcQcKUw3Ws8485T5a9dtjrSCQaUAHnG4iK9i4ceM
//gW813G35CnLsy7gRYYHuf63hrz71U1xoLFDVeV7actx6oX
";

#[test]
fn the_rules_of_the_format_mean_what_they_say() {
    let mut all = Denylist::default();
    let read = all.add(RULES.as_bytes()).unwrap();
    all.finish();
    assert_eq!((read.rules, read.skipped.len()), (13, 0), "{read:?}");
    for denied in [
        "bafybeihvvulpp4evxj7x7armbqcyg6uezzuig6jp3lktpbovlqfkuqeuoq",
        "bafkreihvvulpp4evxj7x7armbqcyg6uezzuig6jp3lktpbovlqfkuqeuoq",
        "QmesfgDQ3q6prBy2Kg2gKbW4MAGuWiRP2DVuGA5MZSERLo",
        "QmdWFA9FL52hx3j9EJZPQP1ZUH8Ygi5tLCX2cRDs6knSf8",
        "QmdWFA9FL52hx3j9EJZPQP1ZUH8Ygi5tLCX2cRDs6knSf8/a/b",
        "Qmah2YDTfrox4watLCr3YgKyBwvjq8FJZEFdWY6WtJ3Xt2/test",
        "Qmah2YDTfrox4watLCr3YgKyBwvjq8FJZEFdWY6WtJ3Xt2/test1/x",
        "QmTuvSQbEDR3sarFAN9kAeXBpiBCyYYNxdxciazBba11eC/test",
        "QmTuvSQbEDR3sarFAN9kAeXBpiBCyYYNxdxciazBba11eC/test/one",
        "QmUboz9UsQBDeS6Tug1U8jgoFkgYxyYood9NDyVURAY9pK/blocked",
        "QmUboz9UsQBDeS6Tug1U8jgoFkgYxyYood9NDyVURAY9pK/blocked2",
        "QmUboz9UsQBDeS6Tug1U8jgoFkgYxyYood9NDyVURAY9pK/blocked/other",
        "bafybeiefwqslmf6zyyrxodaxx4vwqircuxpza5ri45ws3y5a62ypxti42e",
        "bafybeiefwqslmf6zyyrxodaxx4vwqircuxpza5ri45ws3y5a62ypxti42e/path",
        "bafybeidjwik6im54nrpfg7osdvmx7zojl5oaxqel5cmsz46iuelwf5acja",
        "QmVTF1yEejXd9iMgoRTFDxBv7HAz9kuZcQNBzHrceuK9HR",
        "bafyb4ieqht3b2rssdmc7sjv2cy2gfdilxkfh7623nvndziyqnawkmo266a/path",
        "f01701e20903cf61d46521b05f926ba1634628d0bba8a7ffb5b6d5a3ca310682ca63b5ef0/path",
    ] {
        assert!(denies(&all, denied), "{denied}");
    }
    for allowed in [
        "bafybeihvvulpp4evxj7x7armbqcyg6uezzuig6jp3lktpbovlqfkuqeuoq/path",
        "Qmah2YDTfrox4watLCr3YgKyBwvjq8FJZEFdWY6WtJ3Xt2",
        "Qmah2YDTfrox4watLCr3YgKyBwvjq8FJZEFdWY6WtJ3Xt2/tes",
        "QmUboz9UsQBDeS6Tug1U8jgoFkgYxyYood9NDyVURAY9pK/blockednot",
        "QmUboz9UsQBDeS6Tug1U8jgoFkgYxyYood9NDyVURAY9pK/blocked/not",
        "QmUboz9UsQBDeS6Tug1U8jgoFkgYxyYood9NDyVURAY9pK/blocked/exceptions1/a",
        // By CID alone, of which this is another.
        "bafkreiefwqslmf6zyyrxodaxx4vwqircuxpza5ri45ws3y5a62ypxti42e",
        "bafybeiefwqslmf6zyyrxodaxx4vwqircuxpza5ri45ws3y5a62ypxti42e/other",
        "bafyb4ieqht3b2rssdmc7sjv2cy2gfdilxkfh7623nvndziyqnawkmo266a/path2",
        "bafyb4ieqht3b2rssdmc7sjv2cy2gfdilxkfh7623nvndziyqnawkmo266a",
    ] {
        assert!(!denies(&all, allowed), "{allowed}");
    }
    for name in [
        "k51qzi5uqu5dhmzyv3zac033i7rl9hkgczxyl81lwoukda2htteop7d3x0y1mf",
        "bafzaajaiaejcaotjfs57kieazxny5japcmy5p2pgv2cic77tu6ogghttvurnrufx",
        "12D3KooWDkNqEJNmreF3NYYFK1ws7Ra2fuW6cHBTu567SPV3LdYA",
    ] {
        assert!(all.denies_name(Name::parse(name).unwrap()), "{name}");
    }
    assert!(!all.denies_name(Name([3; 32])));
}

#[test]
fn our_own_addresses_are_denied_in_every_form() {
    let blob = BlobHash([7; 32]);
    let name = Name([8; 32]);
    let digest = Multihash::<64>::wrap(BLAKE3, &blob.0).unwrap().to_bytes();
    let twice =
        Multihash::<64>::wrap(SHA2_256, &Sha256::digest(Base::Base58.encode(&digest))).unwrap();
    let legacy = Sha256::digest(format!("{}/", manifest_cid(blob)));
    for rule in [
        format!("/ipfs/{}", blob_cid(blob)),
        format!("/ipfs/{}", manifest_cid(blob)),
        format!("/ipfs/{}", Base::Base58.encode(&digest)),
        format!("/ipfs/{}/*", manifest_cid(blob)),
        format!("//{}", Base::Base58.encode(&twice.to_bytes())),
        format!("//{}", data_encoding::HEXLOWER.encode(&legacy)),
    ] {
        let all = list(&rule);
        assert!(all.denies_blob(blob), "{rule}");
        assert!(!all.denies_blob(BlobHash([9; 32])), "{rule}");
        assert!(!list(&format!("{rule}\n!{rule}")).denies_blob(blob));
    }
    let all = list(&format!("/ipns/{name}"));
    assert!(all.denies_name(name) && !all.denies_blob(BlobHash(name.0)));
    let all = list(&format!("/ipfs/{}/b%C3%BC/%2A", manifest_cid(blob)));
    assert!(all.denies_path(blob, "bü/*") && !all.denies_path(blob, "bü/x"));
    assert!(!all.denies_blob(blob));
}

#[test]
fn later_lists_override_earlier_ones() {
    let cid = manifest_cid(BlobHash([1; 32]));
    let (deny, allow) = (format!("/ipfs/{cid}/*"), format!("!/ipfs/{cid}/good*"));
    let all = Denylist::of([deny.as_bytes(), allow.as_bytes()]).unwrap();
    assert!(all.denies_path(BlobHash([1; 32]), "bad"));
    assert!(!all.denies_path(BlobHash([1; 32]), "good/page.html"));
    let all = Denylist::of([allow.as_bytes(), deny.as_bytes()]).unwrap();
    assert!(all.denies_path(BlobHash([1; 32]), "good/page.html"));
}

#[test]
fn what_is_not_understood_is_reported_with_its_line() {
    let text = format!(
        "version: 1\n---\n/ipfs/hello\r\n\n//xyz\nblock this\n/ipfs/{}\r\n{}\n",
        blob_cid(BlobHash([1; 32])),
        "a".repeat(MAX_LINE + 1),
    );
    let mut all = Denylist::default();
    let read = all.add(text.as_bytes()).unwrap();
    all.finish();
    assert_eq!(read.rules, 1);
    assert_eq!(
        read.skipped,
        [
            (3, LineError::BadCid),
            (5, LineError::BadHash),
            (6, LineError::NotARule),
            (8, LineError::TooLong)
        ]
    );
    assert!(all.denies_blob(BlobHash([1; 32])));
    let refused = |text: &str| Denylist::of([text.as_bytes()]).unwrap_err();
    assert_eq!(
        refused("version: 2\n---\n"),
        DenylistError::Version("2".into())
    );
    assert_eq!(refused("name: a\nhello\n---\n"), DenylistError::Header(2));
    assert_eq!(Denylist::of([&[0xff][..]]), Err(DenylistError::NotText));
    // A header without an end is rules that are not understood.
    let read = Denylist::default().add(b"version: 1\n").unwrap();
    assert_eq!(read.skipped, [(1, LineError::NotARule)]);
}

proptest! {
    #[test]
    fn any_text_is_read_line_by_line(
        lines in prop::collection::vec("(!|)(/ipfs/|/ipns/|//|#|)[a-zA-Z0-9.*/% ]{0,60}|.{0,30}", 0..20),
    ) {
        let text = lines.join("\n");
        let mut all = Denylist::default();
        if let Ok(read) = all.add(text.as_bytes()) {
            all.finish();
            prop_assert!(read.rules + read.skipped_count <= text.split('\n').count());
            prop_assert!(all.len() >= read.rules);
            prop_assert!(!all.denies_blob(BlobHash([42; 32])));
        }
    }

    #[test]
    fn any_bytes_are_read_or_refused(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        let mut all = Denylist::default();
        if all.add(&bytes).is_ok() {
            all.finish();
            let _ = all.denies_path(BlobHash([1; 32]), "a");
        }
    }

    #[test]
    fn the_last_rule_that_matches_counts(steps in prop::collection::vec((any::<bool>(), "[ab]{0,3}", any::<bool>()), 0..20), path in "[ab]{0,4}") {
        let cid = manifest_cid(BlobHash([5; 32]));
        let mut text = String::new();
        let mut expected = false;
        for (allows, own, prefix) in steps {
            let star = if prefix { "*" } else { "" };
            let sign = if allows { "!" } else { "" };
            text.push_str(&format!("{sign}/ipfs/{cid}/{own}{star}\n"));
            if own == path || (prefix && path.starts_with(&own)) {
                expected = !allows;
            }
        }
        prop_assert_eq!(list(&text).denies_path(BlobHash([5; 32]), &path), expected, "{}", text);
    }
}
