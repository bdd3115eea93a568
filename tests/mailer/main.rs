//! The native mailer at whole nodes: two people who are never there at the same time.

#![cfg(not(target_arch = "wasm32"))]
#![allow(clippy::unwrap_used)]

#[path = "../kit/mod.rs"]
mod kit;
mod person;

use gyre::node::mail::Error;
use gyre::proto::mail::message::Body;
use gyre::proto::mail::post::{Draft, Forwarded, Stage};

use kit::{Peer, Scene, run, until};
use person::{Person, draft};

/// A relay that keeps mail, and nodes that do.
async fn keepers(scene: &mut Scene) -> Vec<Peer> {
    scene.relay.stop().await;
    scene.relay.keep_mail(50_000_000);
    scene.relay.restart().await;
    let mut keepers = Vec::new();
    for _ in 0..4 {
        keepers.push(scene.node().with(person::quick).await);
    }
    keepers
}

#[test]
fn two_native_mailers_that_are_never_there_together_write_to_each_other() {
    run(async |mut scene| {
        let _keepers = keepers(&mut scene).await;
        let bob = Person::new("Bob");
        let there = bob.comes(&scene).await;
        there.can_be_found().await;
        there.leaves().await;

        let alice = Person::new("Alice");
        let here = alice.comes(&scene).await;
        here.can_be_found().await;
        let (sent, _) = here.write(bob.id(), "It is raining.", "first").await;
        // Said twice, it is the same message.
        let again = draft(bob.id(), "It is raining.");
        let again = here.mail.send(again, "first".into()).await.unwrap();
        assert_eq!(again.0, sent);
        here.becomes(sent, Stage::Stored).await;
        here.leaves().await;

        let there = bob.comes(&scene).await;
        let letter = there.gets("It is raining.").await;
        assert_eq!((letter.from, letter.request), (alice.id(), true));
        assert_eq!(letter.origin, None);
        there.keeps(&letter).await;
        let reply = Draft {
            thread: Some(letter.thread),
            answers: Some(letter.message),
            ..draft(alice.id(), "Not here.")
        };
        let (reply, _) = there.mail.send(reply, "reply".into()).await.unwrap();
        there.becomes(reply, Stage::Stored).await;
        there.leaves().await;

        let here = alice.comes(&scene).await;
        let letter = here.gets("Not here.").await;
        assert_eq!((letter.from, letter.request), (bob.id(), false));
        here.keeps(&letter).await;
        here.leaves().await;
    });
}

#[test]
fn what_is_passed_on_says_where_it_came_in_and_leaves_nothing_behind() {
    run(async |mut scene| {
        let _keepers = keepers(&mut scene).await;
        let (bridge, bob) = (Person::new("Bridge"), Person::new("Bob"));
        let there = bob.comes(&scene).await;
        there.can_be_found().await;
        there.leaves().await;
        let here = bridge.comes(&scene).await;
        here.can_be_found().await;
        let forwarded = |body: Body| Forwarded {
            to: bob.id(),
            origin: "mail.example".into(),
            thread: None,
            body,
        };
        let text = format!("Subject: short\r\n\r\n{}\r\n", "Short. ".repeat(700));
        let short = forwarded(Body::Here(text.clone().into_bytes()));
        let (short, _) = here.mail.forward(short, "short".into()).await.unwrap();
        // Too long for an envelope: sealed into a blob, which is with those who read it.
        let long = kit::content(300_000, 3);
        let enclosure = here.mail.enclose(&long, "", "message/rfc822").await;
        let enclosure = enclosure.unwrap();
        let body = forwarded(Body::There(enclosure));
        let (long_one, _) = here.mail.forward(body, "long".into()).await.unwrap();
        here.becomes(short, Stage::Stored).await;
        here.becomes(long_one, Stage::Stored).await;
        // A text that does not fit is refused, and nothing of it stays.
        let body = forwarded(Body::Here(vec![b'x'; here.mail.room_to_forward() + 600]));
        let refused = here.mail.forward(body, "refused".into()).await;
        assert!(matches!(refused, Err(Error::Refused("MAIL_TOO_LONG"))));
        assert_eq!(bridge.outgoing_with_text(text.len()).await, 0);

        let there = bob.comes(&scene).await;
        let letter = there.gets(&text).await;
        assert_eq!(letter.origin.as_deref(), Some("mail.example"));
        assert_eq!(letter.to, [bob.id()]);
        there.keeps(&letter).await;
        let mut found = None;
        until("the long one is there", || {
            found = there.enclosed();
            found.is_some()
        })
        .await;
        let (letter, enclosure) = found.unwrap();
        let opened = there.mail.open_enclosure(&enclosure).await.unwrap();
        assert!(opened == long);
        there.keeps(&letter).await;
        // The same again is known, also after a restart.
        here.leaves().await;
        let here = bridge.comes(&scene).await;
        let again = forwarded(Body::Here(b"another text".to_vec()));
        let (again, _) = here.mail.forward(again, "short".into()).await.unwrap();
        assert_eq!(again, short);
        assert_eq!(bridge.outgoing_with_text(text.len()).await, 0);
        here.leaves().await;
        there.leaves().await;
    });
}
