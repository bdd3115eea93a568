//! Mail of others' making, and how others read ours: a corpus of what is found in real mailboxes, and Python's `email` package.

#![cfg(not(target_arch = "wasm32"))]
#![allow(clippy::unwrap_used)]

use std::path::PathBuf;
use std::process::Command;

use gyre::proto::mail::mime::mbox::{MboxReader, entry};
use gyre::proto::mail::mime::{
    Draft, Mail, Part, Person, attachment, attachment_with, build, parse, parse_with,
};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

#[path = "kit/others.rs"]
mod others;

use others::left_out;

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
    assert_eq!(mails.len(), 22);
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

/// What is in the mails of many charsets, by the word of who wrote them.
fn charsets() -> Vec<(String, Value)> {
    let file = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/mail/charsets.json");
    let all: Value = serde_json::from_slice(&std::fs::read(file).unwrap()).unwrap();
    let all = all.as_object().unwrap().iter();
    all.map(|(name, said)| (name.clone(), said.clone()))
        .collect()
}

fn is_as_meant(name: &str, mail: &Mail, said: &Value) {
    let to = said.get("to").map_or("", |to| to.as_str().unwrap());
    let text = mail.text.replace("\r\n", "\n");
    assert_eq!(mail.from[0].name, said["from"], "{name}");
    assert_eq!(mail.to[0].name, to, "{name}");
    assert_eq!(mail.subject, said["subject"], "{name}");
    assert_eq!(text.trim_end(), said["text"], "{name}");
    let names: Vec<_> = mail.attachments.iter().map(|part| &part.name).collect();
    let attached = said["attachments"].as_array().unwrap().iter();
    let meant: Vec<_> = attached
        .map(|attachment| attachment[0].as_str().unwrap())
        .collect();
    assert_eq!(names, meant, "{name}");
}

/// Tables as a browser has them: those that the parser has natively.
fn tables(label: &str, bytes: &[u8]) -> Option<String> {
    let head = format!("Content-Type: text/plain; charset={label}\r\n\r\n");
    Some(parse(&[head.as_bytes(), bytes].concat()).text)
}

#[test]
fn charsets_of_all_kinds_are_read_with_the_tables_of_others() {
    let asked = std::cell::RefCell::new(Vec::new());
    let told = |label: &str, bytes: &[u8]| {
        asked.borrow_mut().push(label.to_owned());
        tables(label, bytes)
    };
    for (name, said) in charsets() {
        let raw = mail(&name);
        asked.borrow_mut().clear();
        is_as_meant(&name, &parse_with(&raw, &told), &said);
        // The sender, the subject and the text; nothing was left to the parser.
        assert!(asked.borrow().len() >= 3, "{name}: {:?}", asked.borrow());
        for (index, attached) in (0..).zip(said["attachments"].as_array().unwrap()) {
            if let Some(text) = attached[1].as_str() {
                let content = attachment_with(&raw, index, &told).unwrap();
                assert_eq!(content, text.as_bytes(), "{name}");
            }
        }
    }
    // Without tables what is there is shown as well as it can be, and nothing fails.
    for (name, _) in charsets() {
        assert_eq!(parse_with(&mail(&name), &|_, _| None).to.len(), 1);
    }
}

#[test]
fn python_and_the_native_parser_read_charsets_alike() {
    let mails = charsets();
    for (name, said) in &mails {
        // Of letters that are split between two parts of a parameter each part is read alone.
        if name != "shift-jis" {
            is_as_meant(name, &parse(&mail(name)), said);
        }
    }
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/mail/corpus");
    let paths = mails
        .iter()
        .map(|(name, _)| folder.join(format!("{name}.eml")));
    let Some(told) = python(paths.collect()) else {
        return;
    };
    for ((name, said), told) in mails.iter().zip(told) {
        assert_eq!(told["subject"], said["subject"], "{name}");
        assert_eq!(told["from"][0][0], said["from"], "{name}");
        let text = told["text"].as_str().unwrap();
        assert_eq!(text.trim_end(), said["text"], "{name}");
        if name == "shift-jis" {
            // Neither does Python join the parts of a parameter before it reads them.
            continue;
        }
        let names = told["attachments"].as_array().unwrap().iter();
        let names: Vec<_> = names.map(|attachment| &attachment[0]).collect();
        let meant = said["attachments"].as_array().unwrap().iter();
        let meant: Vec<_> = meant.map(|attachment| &attachment[0]).collect();
        assert_eq!(names, meant, "{name}");
    }
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

/// What Python's `email` package finds in files; `None` where there is no Python, and none is needed.
fn python(paths: Vec<PathBuf>) -> Option<Vec<Value>> {
    let works = Command::new("python3")
        .args(["-c", "import email.policy"])
        .status();
    if !works.is_ok_and(|status| status.success()) {
        left_out("email");
        return None;
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
    assert_eq!(found.len(), paths.len());
    Some(found)
}

#[test]
fn python_reads_what_is_written_here_as_it_was_meant() {
    let folder = tempfile::tempdir().unwrap();
    let drafts = drafts();
    let mut paths = Vec::new();
    for (number, draft) in drafts.iter().enumerate() {
        let path = folder.path().join(format!("{number}.eml"));
        std::fs::write(&path, build(draft)).unwrap();
        paths.push(path);
    }
    let Some(found) = python(paths) else {
        return;
    };
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
    let each = |name: &str, media_type: &str, content: &[u8]| Part {
        name: name.into(),
        media_type: media_type.into(),
        content: content.to_vec(),
    };
    // Lines that look like something else, and more than a line may have.
    let lines = Draft {
        subject: "From here: =?utf-8?q?not_encoded?= and =3D, at some length".into(),
        text: format!(
            "From the first column\n..\n-- \n> quoted\n=20 =3D\n{}\n \ntrailing  \n--=_\nend",
            "x".repeat(1200)
        ),
        message_id: "2@example.org".into(),
        ..plain.clone()
    };
    let scripts = Draft {
        from: person("محمد", "m@example.org"),
        to: (0..40)
            .map(|at| person(&format!("사람 {at}, ünd co"), &format!("p{at}@example.org")))
            .collect(),
        subject: "שלום 你好 \u{1F469}\u{200D}\u{1F680} e\u{301}".into(),
        text: "ไทย עברית हिन्दी\nالعربية\n\u{1F600}".into(),
        html: Some("<p dir=\"rtl\">שלום</p>\n<pre>=3D</pre>".into()),
        message_id: "3@example.org".into(),
        ..plain.clone()
    };
    let files = Draft {
        subject: "Files".into(),
        text: "See what is attached.".into(),
        message_id: "4@example.org".into(),
        parts: vec![
            each(
                "a b;c=\"d\".txt",
                "text/plain",
                "Grüße\nvon hier\n".as_bytes(),
            ),
            each(
                "日本語の長い名前".repeat(8).as_str(),
                "application/pdf",
                b"%PDF-1.4\r\n\x00\xff",
            ),
            each(
                "crlf.bin",
                "application/octet-stream",
                b"\r\n.\r\n\n\r\0From \n",
            ),
            each("page.html", "text/html", b"<p>not the body</p>"),
        ],
        ..plain.clone()
    };
    let empty = Draft {
        subject: String::new(),
        text: String::new(),
        message_id: "5@example.org".into(),
        date_millis: 0,
        ..plain.clone()
    };
    vec![plain, rich, lines, scripts, files, empty]
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
