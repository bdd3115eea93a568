//! Mail from outside: sealed, left, fetched later, and the same as it was; or refused.

use std::fs;
use std::path::Path;
use std::time::Duration;

use gyre::proto::mail::message::Body;
use gyre::proto::mail::post::{Letter, Policy};
use gyre::relay::Rate;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::kit::{run, until};
use super::peer::{self, compose, is_there, python, send};
use super::person::{Person, There};
use super::{DOMAIN, bridge, keepers, key, with_bridge, zone};

const MARKER: &[u8] = b"nobody-may-find-this-on-a-disk";

/// All files below a folder that have these bytes in them.
fn files_with(folder: &Path, needle: &[u8]) -> Vec<String> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(files_with(&path, needle));
        } else {
            let bytes = fs::read(&path).unwrap();
            if bytes.windows(needle.len()).any(|window| window == needle) {
                found.push(path.display().to_string());
            }
        }
    }
    found
}

/// The mail of a letter, wherever its text is.
async fn text_of(there: &There, letter: &Letter) -> Vec<u8> {
    match &letter.body {
        Body::Here(bytes) => bytes.clone(),
        Body::There(enclosure) => there.mail.open_enclosure(enclosure).await.unwrap(),
    }
}

/// Somebody who can be found, and is not there.
async fn known(scene: &super::Scene, name: &'static str) -> Person {
    let person = Person::new(name);
    let there = person.comes(scene).await;
    there.can_be_found().await;
    there.leaves().await;
    person
}

#[test]
fn mail_from_outside_waits_sealed_for_its_reader_and_comes_out_the_same() {
    run(async |mut scene| {
        let Some(python) = python("email").await else {
            return;
        };
        let files = tempfile::tempdir().unwrap();
        let bob = Person::new("Bob");
        bob.comes(&scene).await.leaves().await;
        let aliases = files.path().join("aliases");
        fs::write(&aliases, format!("bob {}\n", bob.id())).unwrap();
        let mut config = bridge(zone().serve().await);
        config.aliases = Some(aliases);
        let port = with_bridge(&mut scene, config).await;
        let _keepers = keepers(&scene, 3).await;
        let there = bob.comes(&scene).await;
        there.can_be_found().await;
        there.leaves().await;

        let by_id = format!("{}@{DOMAIN}", bob.id());
        let kinds = [
            ("short", by_id.as_str()),
            ("nested", "bob+list@bridge.example"),
            ("long", "Bob@bridge.example"),
        ];
        for (kind, to) in kinds {
            let file = files.path().join(kind);
            compose(python, kind, "zoe@fine.example", to, &file).await;
            // Twice, as a server does that heard no answer.
            for _ in 0..2 {
                let said = send(python, port, "zoe@fine.example", to, &file, &["size"]).await;
                assert_eq!(said["data"], 250, "{said}");
            }
        }
        // Nothing of it is on the disk: neither its text nor who wrote it.
        let data = scene.relay.data();
        for needle in [
            MARKER,
            b"zoe@fine.example",
            b"Der Regen",
            b"what was said before",
        ] {
            assert_eq!(files_with(data, needle), Vec::<String>::new());
        }

        let there = bob.comes(&scene).await;
        until("all are there", || there.letters().len() >= 3).await;
        tokio::time::sleep(Duration::from_secs(2)).await;
        let letters = there.letters();
        assert_eq!(letters.len(), 3, "none of them twice");
        let mut enclosed = 0;
        for letter in &letters {
            assert_eq!(letter.origin.as_deref(), Some(DOMAIN));
            enclosed += usize::from(matches!(letter.body, Body::There(_)));
            let received = files.path().join("received");
            let text = text_of(&there, letter).await;
            fs::write(&received, &text).unwrap();
            let subject = kinds.iter().find(|(kind, _)| {
                let id = format!("<{kind}.20261123@fine.example>");
                text.windows(id.len()).any(|window| window == id.as_bytes())
            });
            let sent = files.path().join(subject.unwrap().0);
            let arguments = [
                "compare",
                sent.to_str().unwrap(),
                received.to_str().unwrap(),
            ];
            let added = peer::run(python, &arguments).await;
            assert!(
                added.contains("spf=pass") && added.contains("dmarc=pass"),
                "{added}"
            );
            assert!(added.contains("client.example ([127.0.0.1])"), "{added}");
            there.keeps(letter).await;
        }
        assert_eq!(enclosed, 1);
        there.leaves().await;
    });
}

#[test]
fn what_is_not_what_it_says_is_refused_or_marked() {
    run(async |mut scene| {
        let Some(python) = python("email").await else {
            return;
        };
        let files = tempfile::tempdir().unwrap();
        let port = with_bridge(&mut scene, bridge(zone().serve().await)).await;
        let bob = known(&scene, "Bob").await;
        let to = format!("{}@{DOMAIN}", bob.id());
        let file = files.path().join("mail");
        let answer = async |from: &str, file: &Path| {
            let said = send(python, port, from, &to, file, &[]).await;
            (
                said["data"].as_u64().unwrap(),
                said["text"].as_str().unwrap().to_owned(),
            )
        };
        // The sender's domain sends nothing from here.
        compose(python, "short", "zoe@spf.example", &to, &file).await;
        let (code, text) = answer("zoe@spf.example", &file).await;
        assert!(code == 550 && text.starts_with("5.7.23"), "{code} {text}");
        // Nor does the author's, who wants it refused, whoever brings it.
        compose(python, "short", "zoe@reject.example", &to, &file).await;
        for from in ["zoe@reject.example", "mallory@fine.example", ""] {
            let (code, text) = answer(from, &file).await;
            assert!(code == 550 && text.contains("DMARC"), "{code} {text}");
        }
        let mut marked = Vec::new();
        if let Some(dkimpy) = super::peer::python("dkim").await {
            // Signed, it is theirs, from wherever it comes.
            let signed = files.path().join("signed");
            let [file, signed_file] = [&file, &signed].map(|path| path.to_str().unwrap());
            let key = key();
            let key = key.to_str().unwrap();
            let arguments = [
                "sign",
                key,
                super::SELECTOR,
                "reject.example",
                file,
                signed_file,
            ];
            peer::run(dkimpy, &arguments).await;
            let (code, text) = answer("zoe@reject.example", &signed).await;
            assert_eq!(code, 250, "{text}");
            marked.push("dkim=pass");
            // Changed on its way, it is not.
            let changed = fs::read_to_string(&signed).unwrap().replace("dry", "wet");
            fs::write(&signed, changed).unwrap();
            let (code, text) = answer("zoe@reject.example", &signed).await;
            assert!(code == 550 && text.contains("DMARC"), "{code} {text}");
        }
        // Who only watches has it let in, and marked. What somebody else says in our name goes.
        compose(python, "short", "zoe@quiet.example", &to, &file).await;
        let lie = format!("Authentication-Results: {DOMAIN}; dmarc=pass (a lie)\r\n");
        let mail = [lie.into_bytes(), fs::read(&file).unwrap()].concat();
        fs::write(&file, mail).unwrap();
        let (code, text) = answer("zoe@quiet.example", &file).await;
        assert_eq!(code, 250, "{text}");
        marked.push("dmarc=fail");

        let there = bob.comes(&scene).await;
        until("they are there", || there.letters().len() == marked.len()).await;
        for mark in marked {
            let letters = there.letters();
            let found = letters.iter().any(|letter| {
                let Body::Here(bytes) = &letter.body else {
                    return false;
                };
                let text = String::from_utf8_lossy(bytes);
                assert!(!text.contains("a lie"), "{text}");
                text.contains(mark)
            });
            assert!(found, "{mark}");
        }
        there.leaves().await;
    });
}

/// Says lines as they are, and gives all that is answered.
async fn talk(port: u16, said: &str) -> String {
    let mut socket = TcpStream::connect(("127.0.0.1", port)).await.unwrap();
    socket.write_all(said.as_bytes()).await.unwrap();
    let mut answers = String::new();
    let read = socket.read_to_string(&mut answers);
    // A client that says too much may be cut off while it still speaks.
    let _ = tokio::time::timeout(Duration::from_secs(60), read).await;
    answers
}

/// The last codes of a conversation.
fn codes(answers: &str) -> Vec<&str> {
    let last = |line: &&str| line.as_bytes().get(3) == Some(&b' ');
    answers
        .lines()
        .filter(last)
        .map(|line| &line[..3])
        .collect()
}

#[test]
fn who_asks_too_much_or_for_nobody_is_told_so() {
    run(async |mut scene| {
        let Some(python) = python("email").await else {
            return;
        };
        let files = tempfile::tempdir().unwrap();
        let mut config = bridge(zone().serve().await);
        config.limits.max_bytes = 100_000;
        config.limits.rate = Rate::new(12, Duration::from_secs(3600));
        // More machines than there are.
        config.copies = Some(8);
        config.patience = Duration::from_secs(4);
        let port = with_bridge(&mut scene, config).await;
        let bob = known(&scene, "Bob").await;
        let to = format!("{}@{DOMAIN}", bob.id());
        let file = files.path().join("mail");
        compose(python, "short", "zoe@fine.example", &to, &file).await;
        let from = "zoe@fine.example";
        // Nobody, an id under which nobody is found now, somewhere else, and two at a time.
        let nobody = format!(
            "nobody@{DOMAIN},{}@{DOMAIN},bob@elsewhere.example",
            "y".repeat(52)
        );
        let said = send(python, port, from, &nobody, &file, &[]).await;
        assert_eq!(said["rcpt"], serde_json::json!([550, 450, 550]), "{said}");
        let said = send(python, port, from, &format!("{to},{to}"), &file, &[]).await;
        assert_eq!(said["rcpt"], serde_json::json!([250, 452]), "{said}");
        // Too few machines keep it.
        assert_eq!(said["data"], 451, "{said}");
        // Too long: said beforehand, and found out.
        let long = files.path().join("long");
        compose(python, "long", from, &to, &long).await;
        let said = send(python, port, from, &to, &long, &["size"]).await;
        assert_eq!(said["mail"], 552, "{said}");
        let said = send(python, port, from, &to, &long, &[]).await;
        assert_eq!(said["data"], 552, "{said}");
        // Where one mail ends for some and not for others.
        let begin = format!("EHLO a.example\r\nMAIL FROM:<{from}>\r\nRCPT TO:<{to}>\r\nDATA\r\n");
        let smuggled = format!(
            "{begin}From: <{from}>\r\n\r\na\n.\r\nMAIL FROM:<b@fine.example>\r\n.\r\nQUIT\r\n"
        );
        let answers = talk(port, &smuggled).await;
        assert_eq!(
            codes(&answers),
            ["220", "250", "250", "250", "354", "550", "221"],
            "{answers}"
        );
        let answers = talk(port, &format!("NOOP {}\r\n", "x".repeat(4000))).await;
        assert_eq!(codes(&answers), ["220", "500"]);
        let answers = talk(port, &"NONSENSE\r\n".repeat(40)).await;
        assert_eq!(answers.matches("500 5.5.1").count(), 11, "{answers}");
        assert!(answers.contains("421 4.7.0 Too many mistakes"), "{answers}");
        let answers = talk(
            port,
            "DATA\r\nMAIL FROM:<a@b>\r\nSTARTTLS\r\nAUTH PLAIN\r\nVRFY bob\r\nQUIT\r\n",
        )
        .await;
        assert_eq!(
            codes(&answers),
            ["220", "503", "503", "502", "502", "252", "221"]
        );
        // Connections that say nothing take the seats of their own address only as long as there are any.
        let mut silent = Vec::new();
        for _ in 0..8 {
            silent.push(TcpStream::connect(("127.0.0.1", port)).await.unwrap());
        }
        let mut answers = talk(port, "").await;
        if !answers.starts_with("421") {
            // The last of them may have been accepted after this one.
            answers = talk(port, "").await;
        }
        assert!(
            answers.starts_with("421 4.7.0 Too many connections"),
            "{answers}"
        );
        drop(silent);
        // And at last the mails of one address are too many.
        let many = "EHLO a.example\r\n".to_owned()
            + &"MAIL FROM:<a@b>\r\nRSET\r\n".repeat(13)
            + "QUIT\r\n";
        let mut answers = String::new();
        for _ in 0..100 {
            answers = talk(port, &many).await;
            if answers.starts_with("220") {
                break;
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        assert!(answers.contains("450 4.7.1 Too many mails"), "{answers}");
    });
}

#[test]
fn who_takes_no_mail_of_strangers_gets_none_of_the_bridge() {
    run(async |mut scene| {
        let Some(python) = python("email").await else {
            return;
        };
        let files = tempfile::tempdir().unwrap();
        let port = with_bridge(&mut scene, bridge(zone().serve().await)).await;
        let bob = Person::new("Bob");
        let there = bob.comes(&scene).await;
        let policy = Policy {
            stamp_bits: 6,
            read_receipts: false,
            open: false,
            relays: Vec::new(),
        };
        there.decides(policy).await;
        there.can_be_found().await;
        there.is_closed().await;
        let to = format!("{}@{DOMAIN}", bob.id());
        let file = files.path().join("mail");
        compose(python, "short", "zoe@fine.example", &to, &file).await;
        let said = send(python, port, "zoe@fine.example", &to, &file, &[]).await;
        assert_eq!(said["data"], 550, "{said}");
        assert!(
            said["text"].as_str().unwrap().starts_with("5.7.1"),
            "{said}"
        );
        there.leaves().await;
    });
}

#[test]
fn swaks_hands_mail_in_over_tls() {
    run(async |mut scene| {
        if !is_there("swaks").await {
            return;
        }
        let files = tempfile::tempdir().unwrap();
        let tls = super::outgoing::certificate(files.path());
        let port = super::outgoing::with_tls(&mut scene, bridge(zone().serve().await), tls).await;
        let bob = known(&scene, "Bob").await;
        let output = tokio::process::Command::new("swaks")
            .args(["--server", "127.0.0.1", "--port", &port.to_string()])
            .args([
                "--tls",
                "--helo",
                "client.example",
                "--from",
                "zoe@fine.example",
            ])
            .args(["--to", &format!("{}@{DOMAIN}", bob.id())])
            .args(["--body", "Swaks was here.", "--h-Subject", "over TLS"])
            .output()
            .await
            .unwrap();
        let said = String::from_utf8_lossy(&output.stdout);
        assert!(output.status.success(), "{said}");
        assert!(
            said.contains("TLS started") && said.contains("~> ."),
            "{said}"
        );
        let there = bob.comes(&scene).await;
        until("it is there", || !there.letters().is_empty()).await;
        let Body::Here(bytes) = &there.letters()[0].body else {
            panic!("it is short");
        };
        let text = String::from_utf8_lossy(bytes).into_owned();
        assert!(
            text.contains("with ESMTPS id") && text.contains("Swaks was here."),
            "{text}"
        );
        there.leaves().await;
    });
}
