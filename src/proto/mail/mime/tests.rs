#![allow(clippy::unwrap_used)]

use proptest::prelude::*;

use super::mbox::{MboxReader, entry};
use super::*;

fn draft() -> Draft {
    let person = |name: &str, address: &str| Person {
        name: name.into(),
        address: address.into(),
    };
    Draft {
        from: person("Zoë Müller", "zoe@example.org"),
        to: vec![
            person("", "bob@example.org"),
            person("Ann, of Kyōto", "ann@example.org"),
        ],
        subject:
            "Grüße — ein Betreff, der viel länger ist als eine Zeile, und noch ein wenig länger 🎉"
                .into(),
        text: "Hallo!\n\nFrom here on.\n.\n".into(),
        html: Some("<p>Hallo!</p>".into()),
        message_id: "1@example.org".into(),
        in_reply_to: Some("0@example.org".into()),
        references: vec!["a@example.org".into(), "0@example.org".into()],
        date_millis: 1_795_651_200_000,
        parts: vec![Part {
            name: "naïve plan.bin".into(),
            media_type: "application/x-plan".into(),
            content: (0..=255).collect(),
        }],
        ..Draft::default()
    }
}

#[test]
fn what_is_written_is_read_again() {
    let draft = draft();
    let bytes = build(&draft);
    let mail = parse(&bytes);
    assert_eq!(
        (&mail.subject, &mail.from[0], &mail.to),
        (&draft.subject, &draft.from, &draft.to)
    );
    assert_eq!(mail.text.replace("\r\n", "\n"), draft.text);
    assert_eq!(mail.html, draft.html);
    assert_eq!(mail.date_millis, Some(draft.date_millis));
    assert_eq!(mail.message_id.as_deref(), Some("1@example.org"));
    assert_eq!(
        (mail.in_reply_to, mail.references),
        (vec!["0@example.org".to_owned()], draft.references)
    );
    let attached = &mail.attachments[0];
    assert_eq!(
        (
            attached.name.as_str(),
            attached.media_type.as_str(),
            attached.size
        ),
        ("naïve plan.bin", "application/x-plan", 256)
    );
    assert_eq!(
        attachment(&bytes, attached.index).unwrap(),
        draft.parts[0].content
    );
    assert_eq!(attachment(&bytes, 9), Err(MailError::Malformed));
    // No header can be brought in by a subject or a name.
    let sly = Draft {
        subject: "x\r\nBcc: all@example.org".into(),
        from: Person {
            name: "a\nTo: b".into(),
            address: "a@example.org\r\nX: y".into(),
        },
        ..Draft::default()
    };
    let text = String::from_utf8(build(&sly)).unwrap();
    assert!(
        text.lines()
            .all(|line| !line.starts_with("Bcc:") && !line.starts_with("X:")),
        "{text}"
    );
}

#[test]
fn what_is_no_mail_is_shown_as_text() {
    let mail = parse(b"\xff\xfe\x00 no mail");
    assert!(mail.from.is_empty() && mail.attachments.is_empty());
    assert_eq!(parse(b""), Mail::default());
}

#[test]
fn a_file_of_mails_is_taken_apart_as_it_was_put_together() {
    let mails: [&[u8]; 4] = [
        b"Subject: a\n\nFrom the start\n>From\n>From me\n>>From\n\n\n",
        b"Subject: b\r\n\r\ntext\r\n",
        b"Subject: c\n\n",
        b"From: d@example.org\n\n>>From x\n",
    ];
    let file: Vec<u8> = mails
        .iter()
        .flat_map(|mail| entry(mail, "a@example.org", 1_795_651_200))
        .collect();
    assert!(file.starts_with(b"From a@example.org Thu Nov 26 00:00:00 2026\n"));
    for step in [1, 7, file.len()] {
        let mut reader = MboxReader::default();
        let mut read: Vec<_> = file
            .chunks(step)
            .flat_map(|bytes| reader.push(bytes))
            .collect();
        read.extend(reader.finish());
        assert_eq!(read, mails, "by {step}");
        assert_eq!(reader.skipped(), 0);
    }
    assert!(
        entry(b"x", "two words", 951_782_400)
            .starts_with(b"From MAILER-DAEMON Tue Feb 29 00:00:00 2000\n")
    );
    assert!(entry(b"x", "a@b", 0).starts_with(b"From a@b Thu Jan  1 00:00:00 1970\nx\n\n"));
}

proptest! {
    #[test]
    fn any_bytes_are_read_without_panic(bytes in prop::collection::vec(any::<u8>(), 0..400), mail in "(From |>|\\PC|\r?\n){0,80}") {
        let _ = parse(&bytes);
        let _ = attachment(&bytes, 0);
        let read = parse(mail.as_bytes());
        for part in read.attachments {
            prop_assert_eq!(attachment(mail.as_bytes(), part.index).unwrap().len(), part.size);
        }
        let ended = [mail.as_bytes(), b"\n"].concat();
        let mut reader = MboxReader::default();
        let mut found = reader.push(&entry(&ended, "a@b", 1));
        found.extend(reader.finish());
        prop_assert_eq!(found, vec![ended]);
    }

    #[test]
    fn any_charset_is_read_without_panic(
        field in "(=\\?|\\?=|\\?[bqBQ]\\?|big5|x|\\*[0-9]?\\*?=|''|%[0-9A-F]{2}|[;\" \\\\=_?*']|\r\n |[a-z]){0,40}",
        text in prop::collection::vec(any::<u8>(), 0..60),
    ) {
        let tables = |_: &str, bytes: &[u8]| Some(String::from_utf8_lossy(bytes).into_owned());
        for encoding in ["base64", "quoted-printable", "8bit"] {
            let head = format!("Subject: {field}\r\nFrom: {field} <a@b>\r\nContent-Disposition: attachment; {field}\r\nContent-Transfer-Encoding: {encoding}\r\nContent-Type: text/plain; charset=big5; {field}\r\n\r\n");
            let bytes = [head.as_bytes(), &text].concat();
            let mail = parse_with(&bytes, &tables);
            for part in mail.attachments {
                prop_assert_eq!(attachment_with(&bytes, part.index, &tables).unwrap().len(), part.size);
            }
        }
    }

    #[test]
    fn any_text_arrives(subject in "\\PC{0,100}", text in "(\\PC|\n){0,200}", name in "\\PC{0,40}") {
        let draft = Draft { subject, text, from: Person { name, address: "a@example.org".into() }, message_id: "1@x".into(), ..Draft::default() };
        let mail = parse(&build(&draft));
        let read = mail.text.replace("\r\n", "\n");
        prop_assert_eq!(read.trim_end(), draft.text.trim_end());
        prop_assert_eq!(mail.subject.split_whitespace().collect::<Vec<_>>(), draft.subject.split_whitespace().collect::<Vec<_>>());
    }
}
