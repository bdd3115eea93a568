//! The relay's mailboxes: it keeps sealed messages for their readers, on disk, as any custodian does, and is always there.
//!
//! Streams of `/gyre/custody/1.0.0` that others open are answered; the relay opens none, looks nobody up and copies nothing on. What it
//! keeps is opaque to it, and a quota bounds it. Off unless the operator gives it room.

use std::collections::HashMap;
use std::path::Path;

use futures::channel::mpsc;
use libp2p::identity::Keypair;

use crate::net::custody::{self as net, StreamId, key_of};
use crate::net::session;
use crate::proto::custody::MessageId;
use crate::proto::custody::PeerId;
use crate::proto::custody::custodian::{Config, Custodian, Input, Output};
use crate::proto::custody::deposit::{Deposit, MAX_DEPOSIT};
use crate::proto::custody::kept::{Contents, Record, of_tombstone};
use crate::proto::custody::message::Message;
use crate::proto::types::Time;
use crate::rt;
use crate::store::disk::DiskStore;
use crate::store::{Kept, Store, StoreError};

/// Reports of streams and of the store that wait for the loop; a full inbox makes the remotes wait.
const INBOX: usize = 256;

/// What the tasks report.
#[derive(Debug)]
pub(crate) enum Report {
    Said(StreamId, Option<Message>),
    Stored(MessageId, bool),
    Loaded(MessageId, Option<Deposit>),
}

impl From<(StreamId, Option<Message>)> for Report {
    fn from((id, message): (StreamId, Option<Message>)) -> Self {
        Self::Said(id, message)
    }
}

struct Stream {
    peer: PeerId,
    outgoing: mpsc::Sender<Message>,
}

/// The custodian, its store and its streams.
pub(crate) struct Mailboxes {
    custodian: Custodian,
    store: DiskStore,
    streams: HashMap<StreamId, Stream>,
    of_peer: HashMap<PeerId, StreamId>,
    next: u64,
    /// When the custodian wants to be told of the time.
    wake: Option<Time>,
    outbox: mpsc::Sender<Report>,
    pub(crate) inbox: mpsc::Receiver<Report>,
}

impl Mailboxes {
    /// Opens the store in `file` for at most `bytes`.
    ///
    /// # Errors
    /// As [`DiskStore::open`].
    pub(crate) async fn open(key: &Keypair, file: &Path, bytes: u64) -> Result<Self, StoreError> {
        let store = DiskStore::open(file).await?;
        store.set_quota(bytes).await?;
        let foreign = || StoreError::Backend("the relay's key is not Ed25519".into());
        let signer = net::signer_of(key).ok_or_else(foreign)?;
        let room = usize::try_from(bytes / MAX_DEPOSIT as u64).unwrap_or(usize::MAX);
        let config = Config::relay();
        let config = Config {
            capacity: room.min(config.capacity),
            ..config
        };
        let mut custodian = Custodian::new(signer, config, fastrand::u64(..));
        let mut contents = Contents::read(store.kept_heads().await?);
        store
            .remove_kept(std::mem::take(&mut contents.unknown))
            .await?;
        custodian.restore(contents, now(), unix());
        let (outbox, inbox) = mpsc::channel(INBOX);
        let mut mailboxes = Self {
            custodian,
            store,
            streams: HashMap::new(),
            of_peer: HashMap::new(),
            next: 0,
            wake: None,
            outbox,
            inbox,
        };
        mailboxes.drain();
        Ok(mailboxes)
    }

    /// Messages that are kept.
    pub(crate) fn len(&self) -> usize {
        self.custodian.len()
    }

    pub(crate) fn on_stream(&mut self, event: session::Event) {
        let session::Event::Inbound { peer, stream } = event else {
            return; // a relay opens none
        };
        let Some(peer) = key_of(&peer) else { return };
        // An older one may not have been noticed as dead.
        if let Some(old) = self.of_peer.remove(&peer) {
            self.streams.remove(&old);
        }
        self.next += 1;
        let id = StreamId(self.next);
        let (outgoing, queue) = mpsc::channel(net::SEND_QUEUE);
        self.streams.insert(id, Stream { peer, outgoing });
        self.of_peer.insert(peer, id);
        let outbox = self.outbox.clone();
        tokio::spawn(net::run::<_, _, Report>(id, stream, queue, outbox));
        self.handle(Input::Opened(peer));
    }

    pub(crate) fn on_report(&mut self, report: Report) {
        match report {
            Report::Said(id, message) => {
                let Some(stream) = self.streams.get(&id) else {
                    return; // a late word of a stream that was let go
                };
                let peer = stream.peer;
                // Whoever opened it asks.
                match message.filter(Message::is_request) {
                    Some(message) => self.handle(Input::Received(peer, message)),
                    None => self.end(id),
                }
            }
            Report::Stored(id, true) => self.handle(Input::Stored(id)),
            Report::Stored(id, false) => self.handle(Input::StoreFailed(id)),
            Report::Loaded(id, deposit) => self.handle(Input::Loaded(id, deposit)),
        }
    }

    /// Looks whether it is time for something.
    pub(crate) fn tick(&mut self) {
        if self.wake.is_some_and(|at| at <= now()) {
            self.wake = None;
            self.handle(Input::Tick);
        }
    }

    fn handle(&mut self, input: Input) {
        self.custodian.handle(input, now(), unix());
        self.drain();
    }

    fn drain(&mut self) {
        while let Some(output) = self.custodian.poll_output() {
            match output {
                Output::Send(peer, message) => self.say(peer, message),
                Output::Store(deposit) => {
                    let id = deposit.id();
                    let Record { key, head, body } = Record::of_message(&deposit);
                    let store = self.store.clone();
                    self.report(async move {
                        let stored = store.put_kept(Kept { key, head, body }).await;
                        Report::Stored(id, stored.is_ok())
                    });
                }
                Output::Bury(tomb) => {
                    let Record { key, head, body } = Record::of_tombstone(&tomb);
                    let store = self.store.clone();
                    tokio::spawn(async move {
                        if let Err(error) = store.put_kept(Kept { key, head, body }).await {
                            tracing::warn!(%error, "a tombstone is not kept");
                        }
                    });
                }
                Output::Exhume(tag, id) => self.forget(of_tombstone(tag, id)),
                Output::Forget(id) => self.forget(id.0),
                Output::Load(id) => {
                    let store = self.store.clone();
                    self.report(async move {
                        let body = store.kept_body(id.0).await.ok();
                        Report::Loaded(id, body.and_then(|body| Deposit::decode(&body)))
                    });
                }
                // It is always there, so it looks after no copies.
                Output::Lookup(_) => {}
                // It is in no swarm, and its custodian has no room for attachments.
                Output::StoreKeep(_) | Output::Fetch(_) | Output::Release(_) => {}
                Output::Drop(peer) => {
                    if let Some(stream) = self.of_peer.get(&peer) {
                        self.end(*stream);
                    }
                }
                Output::WakeAt(at) => self.wake = Some(at),
            }
        }
    }

    /// Answers; whoever does not read is let go.
    fn say(&mut self, to: PeerId, message: Message) {
        let Some(id) = self.of_peer.get(&to).copied() else {
            return;
        };
        let stream = self.streams.get_mut(&id);
        if stream.is_some_and(|stream| stream.outgoing.try_send(message).is_err()) {
            self.end(id);
        }
    }

    fn end(&mut self, id: StreamId) {
        let Some(stream) = self.streams.remove(&id) else {
            return;
        };
        if self.of_peer.get(&stream.peer) == Some(&id) {
            self.of_peer.remove(&stream.peer);
            self.handle(Input::Closed(stream.peer));
        }
    }

    fn forget(&self, key: [u8; 32]) {
        let store = self.store.clone();
        tokio::spawn(async move {
            if let Err(error) = store.remove_kept(vec![key]).await {
                tracing::warn!(%error, "what is over stays on disk");
            }
        });
    }

    fn report(&self, work: impl Future<Output = Report> + Send + 'static) {
        let mut outbox = self.outbox.clone();
        tokio::spawn(async move {
            let report = work.await;
            let _ = futures::SinkExt::send(&mut outbox, report).await;
        });
    }
}

fn now() -> Time {
    Time::default() + rt::now()
}

/// Seconds since 1970.
fn unix() -> u64 {
    rt::unix_millis() / 1000
}
