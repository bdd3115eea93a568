//! A person's mail at a node: the sender's and the reader's machines, driven as the page drives them.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use bytes::Bytes;
use futures::channel::mpsc;
use futures::{FutureExt, StreamExt, select};
use gyre::node::Node;
use gyre::proto::custody::collector::{self, Collector};
use gyre::proto::custody::deposit::{Deposit, Expiry};
use gyre::proto::custody::depositor::{self, Depositor};
use gyre::proto::custody::keep::Keep;
use gyre::proto::custody::message::Message;
use gyre::proto::custody::region::Candidate;
use gyre::proto::custody::tag::{Lane, MailboxSecret, Tag, Week};
use gyre::proto::custody::{ENVELOPE_LEN, MessageId, PeerId};
use gyre::proto::types::Time;
use gyre::store::Store;

/// What a person's mail has come to.
#[derive(Debug, Default)]
pub struct Seen {
    /// Messages that came, and how often each.
    pub letters: BTreeMap<MessageId, (Deposit, usize)>,
    /// Receipts of peers and of relays for what was sent.
    pub receipts: BTreeMap<MessageId, (usize, usize)>,
    /// Peers that keep what is attached, and whether the message counts as stored.
    pub kept: BTreeMap<MessageId, (usize, bool)>,
    /// What its reader has had.
    pub delivered: Vec<MessageId>,
}

enum Event {
    Said(PeerId, Option<Message>),
    Found(Tag, Vec<PeerId>),
    Send(Deposit, Vec<PeerId>, Option<Keep>),
    Read(collector::Input),
}

/// One person's mail.
#[derive(Clone)]
pub struct Mail {
    events: mpsc::UnboundedSender<Event>,
    pub seen: Rc<RefCell<Seen>>,
}

/// Seconds since 1970.
pub fn unix() -> u64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap()
        .as_secs()
}

/// A message of a contact, which ends so many hours earlier than it could.
pub fn letter(mailbox: &MailboxSecret, envelope: Bytes, sooner: u32) -> Deposit {
    let pass = mailbox.pass(0, Week::of(unix()));
    let Expiry(end) = Expiry::from_now(Lane::Contact, unix());
    Deposit::by_contact(&pass, Expiry(end - sooner), envelope)
}

/// An envelope as it looks from outside: noise.
pub fn envelope(seed: usize) -> Bytes {
    super::kit::content(ENVELOPE_LEN, seed)
}

impl Mail {
    /// Opens at a node.
    pub async fn at<S: Store>(node: &Node<S>) -> Self {
        let (events, inbox) = mpsc::unbounded();
        let said = events.clone();
        node.custody()
            .listen(move |peer, message| {
                let _ = said.unbounded_send(Event::Said(peer, message.cloned()));
            })
            .await
            .unwrap();
        let mail = Self {
            events,
            seen: Rc::default(),
        };
        let driver = Driver {
            node: node.clone(),
            began: Instant::now(),
            depositor: Depositor::new(0, 7),
            collector: Collector::new(0),
            events: mail.events.clone(),
            seen: mail.seen.clone(),
            wakes: [None; 2],
        };
        tokio::task::spawn_local(driver.run(inbox));
        mail
    }

    /// Brings a message to its reader.
    pub fn send(&self, deposit: &Deposit, relays: &[PeerId]) {
        let send = Event::Send(deposit.clone(), relays.to_vec(), None);
        let _ = self.events.unbounded_send(send);
    }

    /// Brings a message with attachments to its reader.
    pub fn send_with(&self, deposit: &Deposit, keep: &Keep) {
        let send = Event::Send(deposit.clone(), Vec::new(), Some(keep.clone()));
        let _ = self.events.unbounded_send(send);
    }

    /// Reads a mailbox.
    pub fn read(&self, mailbox: &MailboxSecret, relays: &[PeerId]) {
        let readings = mailbox.readings(0, 22, unix());
        self.tell(collector::Input::Relays(relays.to_vec()));
        self.tell(collector::Input::Read(readings));
    }

    /// Deletes a message.
    pub fn delete(&self, deposit: &Deposit) {
        let tag = deposit.header().tag();
        self.tell(collector::Input::Delete(tag, vec![deposit.id()]));
    }

    fn tell(&self, input: collector::Input) {
        let _ = self.events.unbounded_send(Event::Read(input));
    }

    /// Receipts of peers for a message.
    pub fn receipts(&self, deposit: &Deposit) -> usize {
        let seen = self.seen.borrow();
        seen.receipts
            .get(&deposit.id())
            .map_or(0, |(peers, _)| *peers)
    }

    /// Whether a message has come, once and as it was sent.
    pub fn has(&self, deposit: &Deposit) -> bool {
        let seen = self.seen.borrow();
        let Some((letter, times)) = seen.letters.get(&deposit.id()) else {
            return false;
        };
        assert_eq!((letter.envelope(), *times), (deposit.envelope(), 1));
        true
    }
}

struct Driver<S: Store> {
    node: Node<S>,
    began: Instant,
    depositor: Depositor,
    collector: Collector,
    events: mpsc::UnboundedSender<Event>,
    seen: Rc<RefCell<Seen>>,
    wakes: [Option<Time>; 2],
}

impl<S: Store> Driver<S> {
    async fn run(mut self, mut inbox: mpsc::UnboundedReceiver<Event>) {
        loop {
            let wake = self.wakes.iter().flatten().min().copied();
            let pause = wake.map_or(Duration::from_secs(3600), |at| at.since(self.now()));
            let event = select! {
                event = inbox.next().fuse() => event,
                () = tokio::time::sleep(pause).fuse() => None,
            };
            let (now, unix) = (self.now(), unix());
            match event {
                Some(Event::Said(peer, Some(message))) => {
                    let said = depositor::Input::Received(peer, message.clone());
                    self.depositor.handle(said, now, unix);
                    let said = collector::Input::Received(peer, message);
                    self.collector.handle(said, now, unix);
                }
                Some(Event::Said(peer, None)) => {
                    let gone = depositor::Input::Unreachable(peer);
                    self.depositor.handle(gone, now, unix);
                    let gone = collector::Input::Unreachable(peer);
                    self.collector.handle(gone, now, unix);
                }
                Some(Event::Found(tag, peers)) => {
                    let peers: Vec<_> = peers.into_iter().map(Candidate::new).collect();
                    let found = depositor::Input::Found(tag, peers.clone());
                    self.depositor.handle(found, now, unix);
                    let found = collector::Input::Found(tag, peers);
                    self.collector.handle(found, now, unix);
                }
                Some(Event::Send(deposit, relays, keep)) => {
                    let send = depositor::Input::Send {
                        deposit,
                        relays,
                        keep,
                        stored: false,
                    };
                    self.depositor.handle(send, now, unix);
                }
                Some(Event::Read(input)) => self.collector.handle(input, now, unix),
                None => {
                    self.wakes = [None; 2];
                    self.depositor.handle(depositor::Input::Tick, now, unix);
                    self.collector.handle(collector::Input::Tick, now, unix);
                }
            }
            if self.drain().await.is_err() {
                return;
            }
        }
    }

    fn now(&self) -> Time {
        Time::default() + self.began.elapsed()
    }

    async fn drain(&mut self) -> gyre::node::Result<()> {
        while let Some(output) = self.depositor.poll_output() {
            use depositor::Output;
            match output {
                Output::Lookup(tag) => self.look_up(tag),
                Output::Send(peer, message) => self.node.custody().send(peer, message).await?,
                Output::Receipts {
                    id,
                    peers,
                    relays,
                    kept,
                    stored,
                } => {
                    let mut seen = self.seen.borrow_mut();
                    seen.receipts.insert(id, (peers, relays));
                    seen.kept.insert(id, (kept, stored));
                }
                Output::Delivered(id) => self.seen.borrow_mut().delivered.push(id),
                Output::Expired(_) | Output::Full(_) => {}
                Output::WakeAt(at) => self.wakes[0] = Some(at),
            }
        }
        while let Some(output) = self.collector.poll_output() {
            use collector::Output;
            match output {
                Output::Lookup(tag) => self.look_up(tag),
                Output::Open(peer) => self.node.custody().open(peer).await?,
                Output::Send(peer, message) => self.node.custody().send(peer, message).await?,
                Output::Letter(deposit) => {
                    let mut seen = self.seen.borrow_mut();
                    let letter = (deposit.clone(), 0);
                    seen.letters.entry(deposit.id()).or_insert(letter).1 += 1;
                }
                Output::Settled(_) => {}
                Output::WakeAt(at) => self.wakes[1] = Some(at),
            }
        }
        Ok(())
    }

    fn look_up(&self, tag: Tag) {
        let (node, events) = (self.node.clone(), self.events.clone());
        tokio::task::spawn_local(async move {
            if let Ok(peers) = node.custody().nearest(tag).await {
                let _ = events.unbounded_send(Event::Found(tag, peers));
            }
        });
    }
}
