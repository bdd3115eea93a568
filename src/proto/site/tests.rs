#![allow(clippy::unwrap_used)]

use proptest::prelude::*;

use super::redirects::{Rule, RuleError, Rules};
use super::*;
use crate::proto::manifest::build::Builder;
use crate::proto::manifest::tests::normalise;
use crate::proto::manifest::{Extra, media};
use crate::proto::types::BlobHash;

fn manifest(paths: &[&str], extra: Extra) -> Manifest {
    let mut builder = Builder::new(normalise);
    for path in paths {
        builder
            .add(path, BlobHash([1; 32]), 1, media::media_type_of(path), None)
            .unwrap();
    }
    builder.finish(&extra).unwrap()
}

/// `200 a.html`, `301 /b/`, `404` or `400`.
fn ask(manifest: &Manifest, target: &str) -> String {
    match Site::new(manifest, normalise).resolve(target) {
        Answer::File { status, entry } => format!("{status} {}", entry.path),
        Answer::Redirect { status, location } => format!("{status} {location}"),
        Answer::NotFound => "404".into(),
        Answer::BadRequest => "400".into(),
    }
}

#[test]
fn files_folders_and_clean_addresses() {
    let site = manifest(
        &[
            "index.html",
            "about.html",
            "blog/index.html",
            "blog/first.html",
            "both.html",
            "both/index.html",
            "a b/ü.txt",
            "raw",
            "only/x.css",
            "50%.txt",
        ],
        Extra::default(),
    );
    for (target, answer) in [
        ("/", "200 index.html"),
        ("/index.html", "200 index.html"),
        ("/?q=1#x", "200 index.html"),
        ("/about", "200 about.html"),
        ("/about.html", "200 about.html"),
        ("/about/", "301 /about"),
        ("/blog", "301 /blog/"),
        ("/blog?page=2#top", "301 /blog/?page=2"),
        ("/blog/", "200 blog/index.html"),
        ("/blog/first", "200 blog/first.html"),
        ("//blog///first", "200 blog/first.html"),
        ("/both", "200 both.html"),
        ("/both/", "200 both/index.html"),
        ("/a%20b/%C3%BC.txt", "200 a b/ü.txt"),
        ("/a b/u\u{308}.txt", "200 a b/ü.txt"),
        ("/a%20b/%C3%BC.txt/", "301 /a%20b/%C3%BC.txt"),
        ("/50%.txt", "200 50%.txt"),
        ("/50%25.txt", "200 50%.txt"),
        ("/raw/", "301 /raw"),
        ("/RAW", "404"),
        ("/only", "404"),
        ("/only/", "404"),
        ("/blog/../raw", "400"),
        ("/blog/%2e%2E/raw", "400"),
        ("/blog%2Ffirst", "400"),
        ("/a%5cb", "400"),
        ("/a%00", "400"),
        ("/%ff", "400"),
        ("raw", "400"),
        ("", "400"),
    ] {
        assert_eq!(ask(&site, target), answer, "{target}");
    }
    assert_eq!(ask(&site, &format!("/{}", "a".repeat(9000))), "400");
    assert_eq!(ask(&site, &"/a".repeat(65)), "400");
}

#[test]
fn fallbacks_answer_where_nothing_else_does() {
    let files = ["404.html", "app.html", "app.js", "x/app.html"];
    let missing = Extra {
        missing: Some("404.html".into()),
        ..Extra::default()
    };
    let site = manifest(&files, missing.clone());
    assert_eq!(ask(&site, "/"), "404 404.html");
    assert_eq!(ask(&site, "/x/y"), "404 404.html");
    let app = Extra {
        fallback: Some("app.html".into()),
        index: "app.html".into(),
        ..missing
    };
    let site = manifest(&files, app);
    assert_eq!(ask(&site, "/"), "200 app.html");
    assert_eq!(ask(&site, "/users/7"), "200 app.html");
    assert_eq!(ask(&site, "/x/"), "200 x/app.html");
    assert_eq!(ask(&site, "/page.html"), "200 app.html");
    assert_eq!(ask(&site, "/v1.2"), "200 app.html");
    assert_eq!(ask(&site, "/gone.js"), "404 404.html");
    assert_eq!(ask(&site, "/app.js"), "200 app.js");
}

#[test]
fn redirects_are_read_as_static_hosts_write_them() {
    let text = "\u{feff}# comment\n\n/old /new\n/home  /   302 # why\n/blog/:year/:slug/* /b/:slug/:year/:splat 308\n\
        /docs/* https://example.org/:splat?from=site 301!\n/app/* /index.html 200\n/gone /sorry.html 404\n/* /:splat 307\n";
    let read = Rules::parse(text);
    assert_eq!(read.skipped, []);
    let rules = read.rules.clone();
    let site = manifest(
        &["index.html", "sorry.html", "app/real.css"],
        Extra {
            redirects: rules,
            ..Extra::default()
        },
    );
    for (target, answer) in [
        ("/old", "301 /new"),
        ("/old/", "301 /new"),
        ("/old?a=b", "301 /new?a=b"),
        ("/home", "302 /"),
        ("/blog/2024/a%20b", "308 /b/a%20b/2024/"),
        ("/blog/2024/x/y/z", "308 /b/x/2024/y/z"),
        ("/docs/a/b?c=d", "301 https://example.org/a/b?from=site"),
        ("/docs", "301 https://example.org/?from=site"),
        ("/app/real.css", "200 app/real.css"),
        ("/app/users/1", "200 index.html"),
        ("/gone", "404 sorry.html"),
        ("/x/%3Cb%3E", "307 /x/%3Cb%3E"),
        ("/%2525", "307 /%2525"),
        ("//evil.example/", "307 /evil.example"),
    ] {
        assert_eq!(ask(&site, target), answer, "{target}");
    }
    let again = manifest(
        &["index.html"],
        Extra {
            redirects: read.rules,
            ..Extra::default()
        },
    );
    assert_eq!(again.extra().redirects.len(), 7);
}

#[test]
fn bad_rules_are_named_and_skipped() {
    let text = "nowhere /a\n/a\n/a /b 500\n/a/*/b /c\n/a //evil.example\n/a javascript:alert(1)\n/a /b 301 Country=de\n\
        /a id=:id /b/:id 301\n/a /b/:x\n/a https://:x.example/ 302\n/a https://example.org/ 200\n/a /b role=x\n/good /b\n/a https://e.example:x/ 301\n";
    let read = Rules::parse(text);
    assert_eq!(read.rules, [Rule::new("/good", "/b", 301).unwrap()]);
    let reasons: Vec<_> = read.skipped.into_iter().collect();
    assert_eq!(
        reasons,
        [
            (1, RuleError::From),
            (2, RuleError::To),
            (3, RuleError::Status),
            (4, RuleError::From),
            (5, RuleError::To),
            (6, RuleError::To),
            (7, RuleError::Conditions),
            (8, RuleError::Conditions),
            (9, RuleError::Placeholder),
            (10, RuleError::To),
            (11, RuleError::To),
            (12, RuleError::Conditions),
            (14, RuleError::To),
        ]
    );
    let many = "/a /b\n".repeat(redirects::MAX_RULES + 1);
    assert_eq!(Rules::parse(&many).skipped, [(1001, RuleError::TooMany)]);
    assert_eq!(
        Rules::parse(&"#".repeat(70_000)).skipped,
        [(1, RuleError::TooMany)]
    );
}

#[test]
fn rules_that_lead_to_each_other_end() {
    let rules = vec![
        Rule::new("/a", "/b", 200).unwrap(),
        Rule::new("/b", "/a", 200).unwrap(),
    ];
    let site = manifest(
        &["x"],
        Extra {
            redirects: rules,
            ..Extra::default()
        },
    );
    assert_eq!(ask(&site, "/a"), "404");
}

proptest! {
    #[test]
    fn no_request_leads_out_of_the_site(target in "/[a-c/.%2eE5\\\\:@?#é*-]{0,40}", rules in prop::collection::vec(("/[a-c:*/]{0,12}", "/[a-c:/]{0,6}(:splat)?", 0..6usize), 0..4)) {
        let rules: Vec<_> = rules.iter().filter_map(|(from, to, status)| Rule::new(from, to, [200, 301, 302, 307, 308, 404][*status]).ok()).collect();
        let site = manifest(&["index.html", "a/index.html", "b.html", "é"], Extra { redirects: rules, ..Extra::default() });
        if let Answer::Redirect { location, .. } = Site::new(&site, normalise).resolve(&target) {
            prop_assert!(location.starts_with('/') && !location.starts_with("//") && !location.contains('\\'), "{}", location);
        }
    }

    #[test]
    fn whatever_rules_say_they_are_read_and_come_back(text in "[a-z/:* \n#0-9]{0,200}") {
        for rule in Rules::parse(&text).rules {
            prop_assert_eq!(Rule::new(rule.from(), rule.to(), rule.status()), Ok(rule));
        }
    }
}
