//! A person with a native mailer, who comes and goes.

#![allow(dead_code, reason = "no test uses all of it")]

use std::cell::{OnceCell, RefCell};
use std::collections::BTreeMap;
use std::rc::Rc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use gyre::node::Config;
use gyre::node::mail::Mailer;
use gyre::proto::custody::custodian;
use gyre::proto::identity::{Id, record as identities};
use gyre::proto::mail::enclosure::Enclosure;
use gyre::proto::mail::message::{Body, MessageId};
use gyre::proto::mail::post::offer::Offer;
use gyre::proto::mail::post::{Draft, Input, Letter, Output, Policy, Ref, Stage};
use gyre::proto::mail::record;
use gyre::store::memory::MemoryStore;
use gyre::store::shelf::Shelf;

use super::kit::{Peer, Scene, until};

/// What is kept is looked after sooner than in life.
pub fn quick(config: &mut Config) {
    config.serve_after = Some(Duration::from_millis(500));
    config.custodian = Some(custodian::Config {
        look_fresh: Duration::from_secs(4),
        settle: Duration::from_secs(1),
        ..custodian::Config::default()
    });
}

pub fn draft(to: Id, text: &str) -> Draft {
    Draft {
        to: vec![to],
        thread: None,
        answers: None,
        body: Body::Here(text.as_bytes().to_vec()),
        enclosures: Vec::new(),
    }
}

/// Somebody, and the disk of their machine.
pub struct Person {
    name: &'static str,
    store: RefCell<MemoryStore>,
    id: OnceCell<Id>,
}

/// Somebody while they are there.
pub struct There {
    pub mail: Mailer<MemoryStore>,
    node: Peer,
    letters: Rc<RefCell<Vec<Letter>>>,
    stages: Rc<RefCell<BTreeMap<Ref, Stage>>>,
}

impl Person {
    pub fn new(name: &'static str) -> Self {
        Self {
            name,
            store: RefCell::new(MemoryStore::new()),
            id: OnceCell::new(),
        }
    }

    pub fn id(&self) -> Id {
        *self.id.get().expect("they were there")
    }

    pub async fn comes(&self, scene: &Scene) -> There {
        let store = self.store.borrow().reopen();
        self.store.replace(store.clone());
        let node = scene.node().with(quick).on(&store).await;
        if self.id.get().is_none() {
            node.keys().create().await.unwrap();
        }
        let letters: Rc<RefCell<Vec<Letter>>> = Rc::default();
        let stages: Rc<RefCell<BTreeMap<Ref, Stage>>> = Rc::default();
        let (heard, told) = (letters.clone(), stages.clone());
        let mail = Mailer::open(&node, move |output| match output {
            Output::Letter(letter) => heard.borrow_mut().push((**letter).clone()),
            Output::Status(status) => {
                told.borrow_mut().insert(status.message, status.stage);
            }
            _ => {}
        });
        let mail = mail.await.unwrap();
        if self.id.get().is_none() {
            mail.begin(self.name).await.unwrap();
            let policy = Policy {
                stamp_bits: 6,
                read_receipts: false,
                open: true,
                relays: Vec::new(),
            };
            mail.told(Input::Policy(policy)).await.unwrap();
        }
        self.id.get_or_init(|| mail.id());
        until("ready", || mail.is_ready()).await;
        There {
            mail,
            node,
            letters,
            stages,
        }
    }

    /// Messages in what was saved that still have a text of so many bytes.
    pub async fn outgoing_with_text(&self, len: usize) -> usize {
        let store = self.store.borrow().clone();
        // They are sealed, but not padded.
        let outgoing = store.values("mail/o/").await.unwrap();
        outgoing
            .iter()
            .filter(|(_, value)| value.len() >= len)
            .count()
    }
}

impl There {
    /// Waits until their identity and what mail is sealed to can be had by everybody.
    pub async fn can_be_found(&self) {
        self.is_known_for(|_| true).await;
    }

    /// Waits until everybody can know that strangers may not write.
    pub async fn is_closed(&self) {
        self.is_known_for(|offer| !offer.open).await;
    }

    async fn is_known_for(&self, so: impl Fn(&Offer) -> bool) {
        let key = identities::routing_key(self.mail.id());
        let custody = self.node.custody();
        for _ in 0..600 {
            let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
            let now = now.as_secs();
            let chains = custody.record(&key).await.unwrap();
            let mut chains = chains
                .iter()
                .filter_map(|value| identities::validate(&key, value, None, now).ok());
            if let Some(mail) = chains.find_map(|chain| chain.state().mail) {
                let key = record::routing_key(mail);
                let records = custody.record(&key).await.unwrap();
                let mut offers = records.iter().map(|value| {
                    let record = record::validate(&key, value, now).unwrap();
                    Offer::parse(&record.says().custody).unwrap()
                });
                if offers.any(|offer| so(&offer)) {
                    return;
                }
            }
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
        panic!("never known");
    }

    pub async fn write(&self, to: Id, text: &str, token: &str) -> (Ref, MessageId) {
        let sent = self.mail.send(draft(to, text), token.to_owned());
        sent.await.unwrap()
    }

    pub async fn becomes(&self, message: Ref, stage: Stage) {
        until("it comes so far", || {
            let stages = self.stages.borrow();
            stages.get(&message).is_some_and(|now| *now >= stage)
        })
        .await;
        assert!(self.stages.borrow()[&message] <= Stage::Read);
    }

    /// All letters that came in this run.
    pub fn letters(&self) -> Vec<Letter> {
        self.letters.borrow().clone()
    }

    /// Decides about strangers.
    pub async fn decides(&self, policy: Policy) {
        self.mail.told(Input::Policy(policy)).await.unwrap();
    }

    /// Waits for a letter of this text.
    pub async fn gets(&self, text: &str) -> Letter {
        let body = Body::Here(text.as_bytes().to_vec());
        let find = || {
            let letters = self.letters.borrow();
            letters.iter().find(|letter| letter.body == body).cloned()
        };
        until("the letter is there", || find().is_some()).await;
        find().unwrap()
    }

    /// A letter whose text is in the swarm, if one came.
    pub fn enclosed(&self) -> Option<(Letter, Enclosure)> {
        self.letters
            .borrow()
            .iter()
            .find_map(|letter| match &letter.body {
                Body::There(enclosure) => Some((letter.clone(), enclosure.clone())),
                Body::Here(_) => None,
            })
    }

    /// Says that a letter is durable.
    pub async fn keeps(&self, letter: &Letter) {
        self.mail.told(Input::Stored(letter.message)).await.unwrap();
    }

    pub async fn leaves(self) {
        self.node.stop().await;
    }
}
