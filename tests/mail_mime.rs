//! Mail of others' making, and how others read ours: a corpus of what is found in real mailboxes, and Python's `email` package.

#![cfg(not(target_arch = "wasm32"))]
#![allow(clippy::unwrap_used)]

use std::path::PathBuf;
use std::process::Command;

use gyre::proto::mail::mime::mbox::{MboxReader, entry};
use gyre::proto::mail::mime::{Draft, Part, Person, attachment, build, parse};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

fn corpus() -> Vec<(String, Vec<u8>)> {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/mail/corpus");
    let mut files: Vec<_> = std::fs::read_dir(folder)
        .unwrap()
        .map(|file| file.unwrap().path())
        .collect();
    files.sort();
    let name = |path: &PathBuf| path.file_stem().unwrap().to_str().unwrap().to_owned();
    files
        .iter()
        .map(|path| (name(path), std::fs::read(path).unwrap()))
        .collect()
}

fn mail(name: &str) -> Vec<u8> {
    let found = corpus().into_iter().find(|(other, _)| other == name);
    found.unwrap().1
}

#[test]
fn the_corpus_comes_through_a_file_of_many_byte_for_byte() {
    let mails = corpus();
    assert_eq!(mails.len(), 6);
    let file: Vec<u8> = mails
        .iter()
        .flat_map(|(_, mail)| entry(mail, "me@example.org", 1_795_651_200))
        .collect();
    let mut reader = MboxReader::default();
    let mut read: Vec<_> = file
        .chunks(1000)
        .flat_map(|bytes| reader.push(bytes))
        .collect();
    read.extend(reader.finish());
    for ((name, mail), read) in mails.iter().zip(&read) {
        assert!(mail == read, "{name} was changed");
    }
    assert_eq!(read.len(), mails.len());
}

#[test]
fn nested_parts_are_found() {
    let raw = mail("nested");
    let mail = parse(&raw);
    assert_eq!(mail.subject, "Nested – parts");
    assert!(
        mail.text.contains("Grüße aus dem Inneren."),
        "{:?}",
        mail.text
    );
    assert!(
        mail.html
            .unwrap()
            .contains("Grüße aus dem <b>Inneren</b>. <img src=\"cid:pixel@example.org\">")
    );
    let pixel = mail
        .attachments
        .iter()
        .find(|part| part.name == "pixel.png")
        .unwrap();
    assert_eq!(
        (pixel.media_type.as_str(), pixel.content_id.as_deref()),
        ("image/png", Some("pixel@example.org"))
    );
    assert!(
        attachment(&raw, pixel.index)
            .unwrap()
            .starts_with(b"\x89PNG")
    );
    let inner = mail
        .attachments
        .iter()
        .find(|part| part.media_type == "message/rfc822")
        .unwrap();
    let inner = parse(&attachment(&raw, inner.index).unwrap());
    assert_eq!(inner.subject, "inner");
    assert_eq!(inner.attachments[0].name, "a b.pdf");
}

#[test]
fn charsets_of_one_byte_are_read() {
    let mail = parse(&mail("charsets"));
    assert_eq!(
        (mail.from[0].name.as_str(), mail.to[0].name.as_str()),
        ("Jörg", "Zoë")
    );
    assert_eq!(mail.to[1].name, "Иван");
    assert!(
        mail.subject.starts_with("10 €") && mail.subject.ends_with("łódź"),
        "{}",
        mail.subject
    );
    assert_eq!(mail.text.trim_end(), "„Naïve café“ costs 5 €");
}

#[test]
fn signed_huge_and_broken_mail_is_shown() {
    let raw = mail("smime");
    let signed = parse(&raw);
    assert!(signed.text.contains("Do not touch a byte of this."));
    assert_eq!(signed.attachments.last().unwrap().name, "smime.p7s");
    let huge = parse(&mail("headers"));
    assert_eq!(
        (huge.subject.as_str(), huge.references.len()),
        ("huge headers", 150)
    );
    // No more than can be shown.
    assert_eq!(huge.to.len(), 256);
    assert_eq!(huge.text.trim_end(), "short body");
    let broken = parse(&mail("broken"));
    assert!(broken.text.contains("a line = with"), "{:?}", broken.text);
    assert_eq!(broken.date_millis, None);
    assert_eq!(broken.attachments.last().unwrap().name, "naïve.bin");
    let old = parse(&mail("plain"));
    assert_eq!(old.date_millis, Some(854_982_672_000));
    assert!(old.text.contains("From the beginning.\n>From a quotation."));
}

#[test]
fn python_reads_what_is_written_here_as_it_was_meant() {
    let works = Command::new("python3")
        .args(["-c", "import email.policy"])
        .status();
    if !works.is_ok_and(|status| status.success()) {
        println!("python3 is not there: what others read of our mail was not compared");
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let drafts = drafts();
    let mut paths = Vec::new();
    for (number, draft) in drafts.iter().enumerate() {
        let path = folder.path().join(format!("{number}.eml"));
        std::fs::write(&path, build(draft)).unwrap();
        paths.push(path);
    }
    let script = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/mail/interop.py");
    let output = Command::new("python3")
        .arg(script)
        .args(&paths)
        .output()
        .unwrap();
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    let lines = String::from_utf8(output.stdout).unwrap();
    let found: Vec<Value> = lines
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    assert_eq!(found.len(), drafts.len());
    for (draft, mut found) in drafts.iter().zip(found) {
        for body in ["text", "html"] {
            if let Some(text) = found[body].as_str() {
                found[body] = json!(text.replace("\r\n", "\n").trim_end());
            }
        }
        assert_eq!(found, meant(draft));
    }
}

fn person(name: &str, address: &str) -> Person {
    Person {
        name: name.into(),
        address: address.into(),
    }
}

fn drafts() -> Vec<Draft> {
    let plain = Draft {
        from: person("Ann", "ann@example.org"),
        to: vec![person("", "bob@example.org")],
        subject: "Hello".into(),
        text: "Hello Bob\n\nFrom here on.\n.\n".into(),
        message_id: "1@example.org".into(),
        date_millis: 1_795_651_200_000,
        ..Draft::default()
    };
    let rich = Draft {
        from: person("Zoë, of Łódź", "zoe@example.org"),
        to: vec![
            person("Иван", "ivan@example.org"),
            person("\"quoted\" (name)", "q@example.org"),
        ],
        cc: vec![person("日本", "jp@example.org")],
        subject:
            "Grüße — ein sehr langer Betreff, der über mehrere Zeilen geht, weil er es kann 🎉🎉🎉"
                .into(),
        text: format!("Ein {} Wort.\nÄÖÜ = 3D\n", "sehr ".repeat(60)),
        html: Some("<p title=\"a=b\">Grüße</p>".into()),
        in_reply_to: Some("0@example.org".into()),
        references: (0..30)
            .map(|number| format!("{number}.reference@example.org"))
            .collect(),
        parts: vec![
            Part {
                name: "naïve — plan.bin".into(),
                media_type: "application/x-plan".into(),
                content: (0..5000u32).map(|number| (number * 7) as u8).collect(),
            },
            Part {
                name: "empty.dat".into(),
                media_type: String::new(),
                content: Vec::new(),
            },
        ],
        ..plain.clone()
    };
    vec![plain, rich]
}

/// What Python is to find.
fn meant(draft: &Draft) -> Value {
    let people = |people: &[Person]| -> Vec<Value> {
        let pair = |person: &Person| json!([person.name, person.address]);
        people.iter().map(pair).collect()
    };
    let parts: Vec<_> = draft
        .parts
        .iter()
        .map(|part| {
            let kind = match part.media_type.is_empty() {
                true => "application/octet-stream",
                false => &part.media_type,
            };
            let hash: String = Sha256::digest(&part.content)
                .iter()
                .map(|byte| format!("{byte:02x}"))
                .collect();
            json!([part.name, kind, hash])
        })
        .collect();
    json!({
        "subject": draft.subject,
        "from": people(std::slice::from_ref(&draft.from)),
        "to": people(&draft.to),
        "cc": people(&draft.cc),
        "date": draft.date_millis / 1000,
        "messageId": draft.message_id,
        "inReplyTo": draft.in_reply_to.clone().unwrap_or_default(),
        "references": draft.references,
        "text": draft.text.trim_end(),
        "html": draft.html,
        "attachments": parts,
        "defects": [],
    })
}
