#![allow(clippy::unwrap_used)]

use proptest::prelude::*;

use super::*;

const KEY: &str = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8";

fn hash() -> BlobHash {
    BlobHash(*blake3::hash(b"gyre").as_bytes())
}

fn share() -> Link {
    Link::Share {
        blob: hash(),
        key: ShareKey::new(std::array::from_fn(|at| at as u8)),
    }
}

fn public(name: &str, media_type: &str) -> Link {
    Link::Public {
        blob: hash(),
        header: ShareHeader::new(name, media_type).unwrap(),
    }
}

fn cid_of(codec: u64, code: u64, digest: &[u8]) -> String {
    Cid::new_v1(codec, Multihash::wrap(code, digest).unwrap()).to_string()
}

#[test]
fn links_read_as_written() {
    let cid = blob_cid(hash());
    assert_eq!(cid.len(), CID_LEN);
    assert!(cid.starts_with(CID_PREFIX));
    let fragment = format!("#/f/{cid}?k={KEY}");
    assert_eq!(share().fragment(), fragment);
    let url = format!("https://gyre.example/{fragment}");
    assert_eq!(share().url("https://gyre.example"), url);
    assert_eq!(share().url("https://gyre.example/"), url);
    let local = format!("http://localhost:8080/?x=1{fragment}");
    for text in [
        &url,
        &local,
        &fragment,
        &fragment[1..],
        &format!("  {url}\n"),
    ] {
        assert_eq!(Link::parse(text), Ok(share()), "{text}");
    }
}

#[test]
fn public_links_carry_name_and_type() {
    let cid = blob_cid(hash());
    let link = public("Größe 100%.txt", "text/plain");
    let fragment = format!("#/f/{cid}?n=Gr%C3%B6%C3%9Fe%20100%25.txt&t=text%2Fplain");
    assert_eq!(link.fragment(), fragment);
    assert_eq!(Link::parse(&fragment), Ok(link));
    assert_eq!(public("", "").fragment(), format!("#/f/{cid}"));
    assert_eq!(public("", "a/b").fragment(), format!("#/f/{cid}?t=a%2Fb"));
    // Whatever a stranger writes there, the file can be opened.
    for (query, name) in [
        ("?n=..%2F..%2Fa%0a", ".._.._a"),
        ("?n=50%", "50%"),
        ("?n=%zz%2", "%zz%2"),
        ("?n=%ff", "\u{fffd}"),
        ("?n=a+b", "a+b"),
        ("?n", ""),
        ("?later=1&n=x&&=&more", "x"),
        ("?", ""),
    ] {
        let link = Link::parse(&format!("#/f/{cid}{query}"));
        assert_eq!(link, Ok(public(name, "")), "{query}");
    }
}

#[test]
fn every_refusal_has_its_name() {
    let cid = blob_cid(hash());
    let with = |rest: &str| Link::parse(&format!("https://h/#/f/{rest}"));
    for text in [
        "",
        "hello",
        "https://gyre.example/",
        "https://h/#",
        "https://h/#/x/a",
        "#/f",
        "/",
    ] {
        assert_eq!(Link::parse(text), Err(LinkError::NotALink), "{text}");
    }
    assert_eq!(
        Link::parse(&format!("ftp://h/#/f/{cid}")),
        Err(LinkError::NotALink)
    );
    assert_eq!(
        Link::parse(&format!("javascript:x#/f/{cid}")),
        Err(LinkError::NotALink)
    );
    assert_eq!(
        Link::parse(&"x".repeat(MAX_LINK_LEN + 1)),
        Err(LinkError::TooLong)
    );
    let verdict = Link::parse("https://h/#/s/k51abc/index.html");
    assert_eq!(verdict, Err(LinkError::Unsupported(LinkKind::Site)));
    assert_eq!(
        Link::parse("#/m/abc"),
        Err(LinkError::Unsupported(LinkKind::Mail))
    );

    for cut in 0..CID_LEN {
        assert_eq!(
            with(&cid[..cut]),
            Err(LinkError::TruncatedCid { found: cut })
        );
    }
    for cid in [
        format!("{cid}a"),
        format!("{cid}/x"),
        cid.to_uppercase(),
        "x".repeat(59),
    ] {
        assert_eq!(with(&cid), Err(LinkError::BadCid), "{cid}");
    }
    let verdict = with("QmYwAPJzv5CZsnA625s3Xf2nemtYgPpHdWEz79ojWnPbdG");
    assert_eq!(verdict, Err(LinkError::BadCid));
    assert_eq!(
        with(&cid_of(0x71, BLAKE3, &hash().0)),
        Err(LinkError::WrongCodec(0x71))
    );
    assert_eq!(
        with(&cid_of(RAW, 0x12, &hash().0)),
        Err(LinkError::WrongHashFunction(0x12))
    );
    assert_eq!(with(&cid_of(RAW, BLAKE3, &[1; 31])), Err(LinkError::BadCid));
    assert_eq!(with(&cid_of(RAW, BLAKE3, &[1; 64])), Err(LinkError::BadCid));
    let longest = cid_of(u64::MAX >> 1, u64::MAX >> 1, &[1; 64]);
    assert_eq!(longest.len(), MAX_FOREIGN_CID_LEN);
    assert_eq!(with(&longest), Err(LinkError::WrongCodec(u64::MAX >> 1)));

    for (key, error) in [
        ("", LinkError::BadKeyLength { found: 0 }),
        ("AAAA", LinkError::BadKeyLength { found: 3 }),
        (&format!("{KEY}A"), LinkError::BadKeyLength { found: 33 }),
        (&format!("{KEY}="), LinkError::BadKey),
        (&KEY[1..], LinkError::BadKey),
        (&KEY.replace('w', "+"), LinkError::BadKey),
    ] {
        assert_eq!(with(&format!("{cid}?k={key}")), Err(error), "{key}");
    }
    assert_eq!(
        with(&format!("{cid}?k={KEY}&k={KEY}")),
        Err(LinkError::Repeated('k'))
    );
    assert_eq!(
        with(&format!("{cid}?n=a&n=b")),
        Err(LinkError::Repeated('n'))
    );
}

#[test]
fn keys_are_not_printed() {
    let printed = format!("{:?}", share());
    assert!(
        !printed.contains(KEY) && !printed.contains("0, 1, 2"),
        "{printed}"
    );
}

proptest! {
    #[test]
    fn share_round_trip(blob: [u8; 32], key: [u8; 32]) {
        let link = Link::Share { blob: BlobHash(blob), key: ShareKey::new(key) };
        prop_assert_eq!(Link::parse(&link.fragment()), Ok(link.clone()));
        prop_assert_eq!(Link::parse(&link.url("http://a.example")), Ok(link));
        prop_assert_eq!(parse_cid(&blob_cid(BlobHash(blob))), Ok(BlobHash(blob)));
    }

    #[test]
    fn public_round_trip(blob: [u8; 32], name: String, media_type: String) {
        let header = ShareHeader::cleaned(&name, &media_type);
        let link = Link::Public { blob: BlobHash(blob), header };
        let url = link.url("https://a.example");
        prop_assert!(url.len() <= MAX_LINK_LEN);
        prop_assert!(url.bytes().all(|byte| byte.is_ascii_graphic()));
        prop_assert_eq!(Link::parse(&url), Ok(link));
    }

    #[test]
    fn any_text_never_panics(text: String) {
        let _ = Link::parse(&text);
        let _ = Link::parse(&format!("#/f/{text}"));
        let _ = parse_cid(&text);
    }

    #[test]
    fn any_base32_is_no_other_blob(text in "b[a-z2-7]{0,140}") {
        if let Ok(hash) = parse_cid(&text) {
            prop_assert_eq!(blob_cid(hash), text);
        }
    }

    #[test]
    fn any_parameters_leave_a_harmless_name(query in "[knt&=%a-f0-9./\\PC]{0,60}") {
        let cid = blob_cid(hash());
        if let Ok(Link::Public { blob, header }) = Link::parse(&format!("#/f/{cid}?{query}")) {
            prop_assert_eq!(blob, hash());
            prop_assert!(ShareHeader::new(header.name(), header.media_type()).is_ok());
        }
    }

    #[test]
    fn one_changed_character_is_never_the_same_blob(at in 0..CID_LEN, c in "[a-z2-7]") {
        let mut cid = blob_cid(hash());
        prop_assume!(cid[at..=at] != c);
        cid.replace_range(at..=at, &c);
        prop_assert_ne!(parse_cid(&cid), Ok(hash()));
    }
}
