//! What a custodian refuses, said to it directly.

use std::cell::RefCell;
use std::rc::Rc;
use std::time::Duration;

use gyre::net::custody::key_of;
use gyre::proto::custody::deposit::{Deposit, Expiry};
use gyre::proto::custody::message::{Message, Nonce, sign_delete, sign_list};
use gyre::proto::custody::tag::{Lane, MailboxSecret, Pass, Week};
use gyre::proto::custody::{ENVELOPE_LEN, HOUR, MessageId, PeerId, Refusal};

use super::kit::{Peer, Scene, run, until};
use super::mail::{envelope, letter, unix};
use super::{keepers, kept, node};

/// Somebody who says what they like to one custodian.
struct Client {
    node: Peer,
    custodian: PeerId,
    heard: Rc<RefCell<Vec<Option<Message>>>>,
    read: RefCell<usize>,
}

impl Client {
    async fn of(scene: &Scene, custodian: &Peer) -> Self {
        // Without consent it keeps nothing itself, so it hears only what it asked for.
        let node = node(scene).silent().await;
        let heard = Rc::<RefCell<Vec<_>>>::default();
        let said = heard.clone();
        let listener = move |_, message: Option<&Message>| said.borrow_mut().push(message.cloned());
        node.custody().listen(listener).await.unwrap();
        let custodian = key_of(&custodian.peer_id()).unwrap();
        Self {
            node,
            custodian,
            heard,
            read: RefCell::new(0),
        }
    }

    /// The next thing that the custodian says.
    async fn next(&self) -> Option<Message> {
        let at = *self.read.borrow();
        until("an answer", || self.heard.borrow().len() > at).await;
        *self.read.borrow_mut() += 1;
        self.heard.borrow()[at].clone()
    }

    async fn challenge(&self) -> Nonce {
        self.node.custody().open(self.custodian).await.unwrap();
        match self.next().await {
            Some(Message::Challenge(nonce)) => nonce,
            other => panic!("{other:?}"),
        }
    }

    async fn ask(&self, message: Message) -> Message {
        let custody = self.node.custody();
        custody.send(self.custodian, message).await.unwrap();
        self.next().await.expect("an answer")
    }

    async fn is_refused(&self, message: Message, id: MessageId, why: Refusal) {
        assert_eq!(self.ask(message).await, Message::Refused(id, why));
    }
}

#[test]
fn what_is_forged_late_weak_or_too_much_is_refused() {
    run(async |scene| {
        let [custodian] = keepers(&scene).await;
        let client = Client::of(&scene, &custodian).await;
        let nonce = client.challenge().await;
        let mailbox = MailboxSecret::new([1; 32]);
        let week = Week::of(unix());
        let good = letter(&mailbox, envelope(1), 0);

        // Signed by somebody without the pass: the bytes of the pass but for its secret.
        let mut pass = *mailbox.pass(0, week).encode();
        pass[36] ^= 1;
        let forger = Pass::decode(&pass).signer();
        let terms = *good.header().terms();
        let mut bytes = bytes::BytesMut::new();
        good.encode_into(&mut bytes);
        let signature = forger.sign(gyre::proto::custody::sign::Subject::Deposit, &[&[0; 68]]);
        bytes[73..137].copy_from_slice(&signature);
        let forged = Deposit::decode(&bytes.freeze()).unwrap();
        let id = forged.id();
        client
            .is_refused(Message::Put(forged), id, Refusal::BadSignature)
            .await;

        let late = letter(&mailbox, envelope(2), 31 * 24);
        let id = late.id();
        client
            .is_refused(Message::Put(late), id, Refusal::Expired)
            .await;
        let Expiry(end) = Expiry::from_now(Lane::Contact, unix());
        let to_come = Expiry(end + 14 * 24);
        let long = Deposit::by_contact(&mailbox.pass(0, week), to_come, envelope(3));
        let id = long.id();
        client
            .is_refused(Message::Put(long), id, Refusal::TooLong)
            .await;
        let strangers = mailbox.strangers(30, week).terms;
        let end = Expiry::from_now(Lane::Stranger, unix());
        let weak = Deposit::by_stranger(strangers, end, 7, envelope(4));
        let id = weak.id();
        client
            .is_refused(Message::Put(weak), id, Refusal::WeakStamp)
            .await;
        assert_eq!(kept(&custodian), 0);

        let id = good.id();
        let receipt = client.ask(Message::Put(good.clone())).await;
        assert!(matches!(receipt, Message::Receipt(of, ..) if of == id));
        let tag = terms.tag();
        let reader = mailbox.contacts(0, week).signer;
        let other = MailboxSecret::new([2; 32]).contacts(0, week).signer;

        // Whoever cannot sign for the tag gets nothing of it, and deletes nothing.
        client
            .is_refused(Message::Get(tag, vec![id]), id, Refusal::NotShown)
            .await;
        let list = |signature| Message::List {
            terms,
            watch: false,
            signature,
        };
        let about = MessageId(tag.0);
        let foreign = sign_list(&other, &nonce, client.custodian, tag);
        client
            .is_refused(list(foreign), about, Refusal::BadSignature)
            .await;
        let replayed = sign_list(&reader, &[9; 16], client.custodian, tag);
        client
            .is_refused(list(replayed), about, Refusal::BadSignature)
            .await;
        let foreign = sign_delete(&other, tag, id);
        let delete = |signature| Message::Delete(terms, vec![(id, signature)]);
        client
            .is_refused(delete(foreign), id, Refusal::BadSignature)
            .await;

        // Its reader does both.
        let own = sign_list(&reader, &nonce, client.custodian, tag);
        let listing = client.ask(list(own)).await;
        let expected = Message::Listing {
            tag,
            more: false,
            ids: vec![id],
        };
        assert_eq!(listing, expected);
        let letter = client.ask(Message::Get(tag, vec![id])).await;
        assert_eq!(letter, Message::Letter(good.clone()));
        let own = sign_delete(&reader, tag, id);
        assert_eq!(client.ask(delete(own)).await, Message::Deleted(vec![id]));
        assert_eq!(
            client.ask(Message::Put(good)).await,
            Message::Buried(id, own)
        );
    });
}

#[test]
fn nobody_leaves_more_than_their_part() {
    run(async |scene| {
        let [custodian] = keepers(&scene).await;
        let client = Client::of(&scene, &custodian).await;
        client.challenge().await;
        let mailbox = MailboxSecret::new([3; 32]);
        let mut refused = 0;
        for n in 0..40 {
            let sent = letter(&mailbox, envelope(n), 0);
            match client.ask(Message::Put(sent)).await {
                Message::Receipt(..) => {}
                Message::Refused(_, Refusal::TooFast) => refused += 1,
                other => panic!("{other:?}"),
            }
        }
        assert!(refused > 0, "ten at once and one a second");
    });
}

#[test]
fn there_is_room_for_a_part_of_what_the_person_gives() {
    run(async |scene| {
        // A quarter of it is for mail: three messages.
        let quota = 4 * 3 * (ENVELOPE_LEN as u64 + 1024);
        let small = |config: &mut gyre::node::Config| config.quota = Some(quota);
        let custodian = node(&scene).with(small).await;
        let client = Client::of(&scene, &custodian).await;
        client.challenge().await;
        let mailbox = MailboxSecret::new([4; 32]);
        let mut answers = Vec::new();
        for n in 0..5 {
            let sent = letter(&mailbox, envelope(n), 0);
            answers.push(client.ask(Message::Put(sent)).await);
        }
        let taken = answers
            .iter()
            .filter(|answer| matches!(answer, Message::Receipt(..)));
        assert_eq!(taken.count(), 3, "{answers:?}");
        let full = |answer: &Message| matches!(answer, Message::Refused(_, Refusal::NoRoom));
        assert!(answers[3..].iter().all(full), "{answers:?}");
        // Of more room a part counts as soon as the person gives it.
        custodian.set_quota(2 * quota).await.unwrap();
        loop {
            let sent = letter(&mailbox, envelope(9), 0);
            match client.ask(Message::Put(sent)).await {
                Message::Receipt(..) => break,
                Message::Refused(_, Refusal::NoRoom | Refusal::TooFast) => {
                    tokio::time::sleep(Duration::from_millis(300)).await;
                }
                other => panic!("{other:?}"),
            }
        }
    });
}

#[test]
fn who_asks_on_the_wrong_end_or_says_nonsense_is_let_go() {
    run(async |scene| {
        let [custodian] = keepers(&scene).await;
        let client = Client::of(&scene, &custodian).await;
        client.challenge().await;
        let custody = client.node.custody();
        let answer = Message::Absent(MessageId([1; 32]));
        let told = custody.send(client.custodian, answer).await;
        assert_eq!(told.unwrap_err().code(), "BAD_OPTIONS");
        // A message that expired long before it could be sent is still one, and answered.
        let hours = u32::try_from(unix() / HOUR).unwrap();
        let old = Deposit::by_contact(
            &MailboxSecret::new([5; 32]).pass(0, Week(1)),
            Expiry(hours),
            envelope(1),
        );
        let id = old.id();
        client
            .is_refused(Message::Put(old), id, Refusal::TooLong)
            .await;
    });
}
