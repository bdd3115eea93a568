//! The one async loop: takes what the network, the store, the handles and the clock bring, feeds the state machines, and
//! does what they ask for. It decides nothing that `proto` could decide.

mod book;
mod custody;
mod denying;
mod dialling;
mod holders;
mod integrity;
mod keepers;
mod limits;
mod links;
mod names;
mod neighbours;
mod network;
mod pex;
mod publish;
mod records;
mod relays;
mod room;
mod sessions;
mod sites;
mod storage;
mod transfers;
mod web;

use std::cell::RefCell;
use std::rc::Rc;
use std::time::Duration;

use bytes::Bytes;
use futures::channel::{mpsc, oneshot};
use futures::{FutureExt, StreamExt, select};
use futures_timer::Delay;
use libp2p::core::transport::ListenerId;
use libp2p::identity::Keypair;
use libp2p::{Multiaddr, PeerId, Swarm};

use super::command::Command;
use super::meta::Kind;
use super::meter::Meter;
use super::peers::Peers;
use super::session::{Halves, SessionEvent, SessionId};
use super::snapshot::{Snapshot, StorageInfo};
use super::transfer::Transfer;
use crate::net::behaviour::Behaviour;
use crate::net::fetch::Fetch;
use crate::net::session::OpenId;
use crate::net::transport::webrtc::rtc::Switch;
use crate::proto::book::Book;
use crate::proto::budget::Budget;
use crate::proto::custody::custodian;
use crate::proto::message::Message;
use crate::proto::name::follow;
use crate::proto::neighbours::Neighbours;
use crate::proto::ordered::{Map, Set};
use crate::proto::pex::Pex;
use crate::proto::sightings::Sightings;
use crate::proto::sorting::sort_by;
use crate::proto::types::{BlobHash, ChunkIndex, PeerKey, Time};
use crate::proto::uplink::Uplink;
use crate::proto::web_seed::{self, Fault};
use crate::rt;
use crate::store::{BlobRow, RowId, Store, StoreError, StoredChunk, Usage};

use integrity::Finder;
use room::Eviction;

pub(super) use book::ADDRESSES;
pub(super) use limits::{Gate, stored as stored_limits};
pub use publish::Changed;
pub(super) use publish::Shared;
pub(super) use sites::Part;

/// Events of sessions and of the store waiting for the loop; a full inbox makes the sessions wait, and so the remotes.
pub(super) const INBOX: usize = 64;

/// How often rates are taken and the snapshot is published.
const PUBLISH_INTERVAL: Duration = Duration::from_millis(400);

/// Later than anything.
const NEVER: Time = Time(u64::MAX);

/// What the loop's own tasks report back.
#[derive(Debug)]
pub(super) enum Event {
    Session(SessionId, SessionEvent),
    /// A stream that a remote opened has said what it is about.
    Accepted {
        peer: PeerId,
        halves: Halves,
        hello: Option<Message>,
    },
    /// A file of a site that a remote asks for was read, if it is still there.
    Woken {
        row: Option<(BlobRow, Vec<ChunkIndex>)>,
        peer: PeerId,
        halves: Halves,
        hello: Option<Message>,
    },
    Wrote {
        blob: BlobHash,
        row: RowId,
        chunks: Vec<ChunkIndex>,
        result: Result<(), StoreError>,
    },
    Loaded {
        blob: BlobHash,
        /// What came of each chunk.
        loads: Vec<(ChunkIndex, Result<StoredChunk, StoreError>)>,
    },
    Usage(Usage),
    /// A write needs this many bytes; answers whether to try again.
    NeedRoom {
        bytes: u64,
        reply: oneshot::Sender<bool>,
    },
    /// What was chosen to go has gone.
    Evicted,
    /// A damaged chunk is out of the store.
    Dropped {
        blob: BlobHash,
        index: ChunkIndex,
        finder: Finder,
    },
    /// What came from a web server, or why it did not.
    Fetched {
        blob: BlobHash,
        row: RowId,
        fetch: web_seed::Fetch,
        result: Result<Bytes, Fault>,
    },
    /// The record of the day was written, or not.
    Recorded(bool),
    /// What a peer said of a site, if it did.
    Holding {
        peer: PeerId,
        bytes: Option<Bytes>,
    },
    /// What a peer said of others, if it did.
    Pex {
        peer: PeerId,
        bytes: Option<Bytes>,
    },
    /// Of custody.
    Custody(custody::Report),
    /// What came on a stream about names; `None` when it has ended.
    Names(follow::LinkId, Option<follow::Message>),
}

impl From<(SessionId, SessionEvent)> for Event {
    fn from((id, event): (SessionId, SessionEvent)) -> Self {
        Self::Session(id, event)
    }
}

impl From<(follow::LinkId, Option<follow::Message>)> for Event {
    fn from((link, message): (follow::LinkId, Option<follow::Message>)) -> Self {
        Self::Names(link, message)
    }
}

/// Who asked to be woken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
enum Alarm {
    Swarm(BlobHash),
    Discovery(BlobHash),
    Write(BlobHash),
    Web(BlobHash),
    Uplink(usize),
    Serve,
    Ask,
    Neighbours,
    Pex,
    Book,
    Names,
    /// The links and look-ups of custody.
    Custody,
    /// What the custodian has to do.
    Custodian,
    Records,
}

/// One open stream.
#[derive(Debug)]
struct Session {
    peer: PeerKey,
    blob: BlobHash,
    /// We opened it: decides which of two survives.
    outbound: bool,
    /// The remote has answered.
    answered: bool,
    outgoing: mpsc::Sender<Message>,
}

/// One configured relay.
#[derive(Debug)]
struct Relay {
    peer: PeerId,
    address: Multiaddr,
    uplink: Uplink,
    listener: Option<ListenerId>,
    detail: String,
}

/// Everything the loop owns.
pub(super) struct EventLoop<S: Store> {
    swarm: Swarm<Behaviour>,
    store: S,
    commands: mpsc::Receiver<Command>,
    inbox: mpsc::Receiver<Event>,
    outbox: mpsc::Sender<Event>,
    transfers: Map<BlobHash, Box<Transfer>>,
    peers: Peers,
    links: links::Links,
    relays: Vec<Relay>,
    /// Relays that are tried when all of `relays` fail.
    spare_relays: Vec<(PeerId, Multiaddr)>,
    book: Book,
    neighbours: Neighbours,
    /// Signs what we say of ourselves.
    key: Keypair,
    pex: Pex,
    /// Messages of peer exchange that wait for their stream.
    telling: Map<OpenId, Bytes>,
    reading: usize,
    names: names::Names,
    /// What we have of sites, waiting for the stream that tells it.
    holdings: Map<OpenId, Bytes>,
    hearing: usize,
    keepers: keepers::Keepers,
    custody: custody::Custody,
    records: records::Records,
    /// What is reserved, or asked for, at peers.
    reservations: Map<PeerId, ListenerId>,
    /// Linked servers of the peers' index, and how many there were when everything was announced to them.
    servers: Set<PeerId>,
    announced_to: usize,
    /// Dials to relays that are not ours.
    strange_dials: Budget,
    sessions: Map<SessionId, Session>,
    pairs: Map<(BlobHash, PeerKey), SessionId>,
    opening: Map<OpenId, (BlobHash, PeerKey)>,
    next_id: u64,
    alarms: Map<Alarm, Time>,
    gate: Gate,
    eviction: Eviction,
    sites: sites::Sites,
    hide_address: Switch,
    /// Tell others where we listen, as nobody has said it.
    announces_sockets: bool,
    /// Makes requests to web servers, where that can be done.
    fetch: Option<Rc<dyn Fetch>>,
    accepting: usize,
    up: Meter,
    down: Meter,
    storage: StorageInfo,
    usage_stale: bool,
    usage_at: Time,
    published_at: Time,
    urgent: bool,
    shared: Rc<RefCell<Shared>>,
}

/// What the loop starts with.
pub(super) struct Start<S: Store> {
    pub key: Keypair,
    pub swarm: Swarm<Behaviour>,
    pub store: S,
    pub commands: mpsc::Receiver<Command>,
    pub relays: Vec<(PeerId, Multiaddr)>,
    pub gate: Gate,
    pub hide_address: Switch,
    pub announces_sockets: bool,
    pub fetch: Option<Rc<dyn Fetch>>,
    pub serve_after: Duration,
    pub custodian: custodian::Config,
    pub book: Book,
    pub storage: StorageInfo,
    pub sightings: Sightings,
    pub shared: Rc<RefCell<Shared>>,
}

/// The clock as the protocol reads it.
pub(super) fn now() -> Time {
    Time::default() + rt::now()
}

impl<S: Store> EventLoop<S> {
    pub fn new(start: Start<S>) -> Self {
        let (outbox, inbox) = mpsc::channel(INBOX);
        let relays = start
            .relays
            .into_iter()
            .map(|(peer, address)| {
                let uplink = Uplink::new(u64::from_le_bytes(rt::random()));
                Relay {
                    peer,
                    address,
                    uplink,
                    listener: None,
                    detail: String::new(),
                }
            })
            .collect();
        Self {
            swarm: start.swarm,
            store: start.store,
            commands: start.commands,
            inbox,
            outbox,
            transfers: Map::new(),
            peers: Peers::default(),
            links: links::Links::default(),
            relays,
            neighbours: Neighbours::new(u64::from_le_bytes(rt::random()), start.serve_after),
            spare_relays: Vec::new(),
            book: start.book,
            key: start.key,
            pex: Pex::default(),
            telling: Map::new(),
            reading: 0,
            names: names::Names::new(),
            holdings: Map::new(),
            hearing: 0,
            keepers: keepers::Keepers::default(),
            custody: custody::Custody::new(start.custodian),
            records: records::Records::default(),
            reservations: Map::new(),
            servers: Set::new(),
            announced_to: 0,
            strange_dials: dialling::strange_dials(),
            sessions: Map::new(),
            pairs: Map::new(),
            opening: Map::new(),
            next_id: 0,
            alarms: Map::new(),
            gate: start.gate,
            eviction: Eviction::default(),
            sites: sites::Sites::new(start.sightings),
            hide_address: start.hide_address,
            announces_sockets: start.announces_sockets,
            fetch: start.fetch,
            accepting: 0,
            up: Meter::default(),
            down: Meter::default(),
            storage: start.storage,
            usage_stale: true,
            usage_at: Time::default(),
            published_at: Time::default(),
            urgent: true,
            shared: start.shared,
        }
    }

    /// Runs until `Stop`, or until every handle is gone.
    pub async fn run(mut self, acquaintances: Vec<(PeerId, Multiaddr)>) {
        self.start_relays();
        self.start_neighbours();
        self.review_custody();
        self.read_book(acquaintances);
        let mut publish = Delay::new(PUBLISH_INTERVAL).fuse();
        let mut alarm = Delay::new(PUBLISH_INTERVAL).fuse();
        let mut rings_at = NEVER;
        loop {
            let next = self.next_alarm();
            if next < rings_at {
                // A later deadline leaves the timer as it is: ringing early is harmless, and timers are not free.
                rings_at = next;
                alarm = Delay::new(next.since(now())).fuse();
            }
            select! {
                event = self.swarm.select_next_some() => self.on_network(event),
                event = self.inbox.select_next_some() => self.on_event(event),
                command = self.commands.next() => match command {
                    Some(Command::Stop { reply }) => return self.stop(Some(reply)).await,
                    Some(command) => self.on_command(command),
                    None => return self.stop(None).await,
                },
                () = alarm => rings_at = NEVER,
                () = publish => {
                    publish = Delay::new(PUBLISH_INTERVAL).fuse();
                    self.mend_links();
                    self.urgent = true;
                    self.look_at_day();
                    self.rest_idle_parts();
                    self.record_use();
                    self.record_sightings();
                }
            }
            self.ring_alarms();
            if self.urgent {
                self.publish();
            }
        }
    }

    async fn stop(mut self, reply: Option<oneshot::Sender<()>>) {
        for transfer in self.transfers.values_mut() {
            transfer.fail(|| super::error::Error::Closed);
        }
        self.shared.borrow_mut().stopped = true;
        // Sessions end when their senders go; the swarm closes its connections when it is dropped.
        self.sessions.clear();
        self.close_books().await;
        if self.alarms.contains_key(&Alarm::Book) {
            let _ = self
                .store
                .set_value(ADDRESSES, Some(self.book.encode()))
                .await;
        }
        self.store.close().await;
        drop(self.swarm);
        if let Some(reply) = reply {
            let _ = reply.send(());
        }
    }

    fn on_event(&mut self, event: Event) {
        match event {
            Event::Session(id, event) => self.on_session(id, event),
            Event::Accepted {
                peer,
                halves,
                hello,
            } => self.on_accepted(peer, halves, hello),
            Event::Woken {
                row,
                peer,
                halves,
                hello,
            } => self.on_woken(row, peer, halves, hello),
            Event::Wrote {
                blob,
                row,
                chunks,
                result,
            } => self.on_wrote(blob, row, chunks, result),
            Event::Loaded { blob, loads } => {
                for (index, result) in loads {
                    self.on_read(blob, index, result);
                }
            }
            Event::Pex { peer, bytes } => self.on_pex(peer, bytes),
            Event::Custody(report) => self.on_custody(report),
            Event::Names(link, message) => self.on_names_message(link, message),
            Event::Holding { peer, bytes } => self.on_holding(peer, bytes),
            Event::Usage(usage) => {
                let before = self.storage.quota;
                self.storage = StorageInfo {
                    used: usage.used,
                    quota: usage.quota,
                };
                if before != usage.quota {
                    self.review_room_for_others();
                }
                self.shrink_to(usage);
            }
            Event::NeedRoom { bytes, reply } => self.make_room(bytes, reply),
            Event::Evicted => self.on_evicted(),
            Event::Dropped {
                blob,
                index,
                finder,
            } => self.on_dropped(blob, index, finder),
            Event::Fetched {
                blob,
                row,
                fetch,
                result,
            } => self.on_fetched(blob, row, fetch, result),
            Event::Recorded(durable) => self.on_recorded(durable),
        }
    }

    fn fresh_id(&mut self) -> u64 {
        self.next_id += 1;
        self.next_id
    }

    fn set_alarm(&mut self, alarm: Alarm, at: Time) {
        self.alarms.insert(alarm, at);
    }

    fn next_alarm(&self) -> Time {
        self.alarms.values().min().copied().unwrap_or(NEVER)
    }

    fn ring_alarms(&mut self) {
        let now = now();
        let due: Vec<_> = self
            .alarms
            .iter()
            .filter(|(_, at)| **at <= now)
            .map(|(alarm, _)| *alarm)
            .collect();
        for alarm in due {
            self.alarms.remove(&alarm);
            match alarm {
                Alarm::Swarm(blob) => self.tell_swarm(blob, crate::proto::swarm::Input::Tick),
                Alarm::Discovery(blob) => {
                    self.tell_discovery(blob, crate::proto::discovery::Input::Tick)
                }
                Alarm::Write(blob) => self.write_some(blob),
                Alarm::Web(blob) => self.look_at_web(blob),
                Alarm::Serve => self.serve_when_due(),
                Alarm::Ask => self.ask_when_due(),
                Alarm::Book => self.write_book(),
                Alarm::Names => self.look_after_names(),
                Alarm::Custody => self.look_at_custody(),
                Alarm::Records => self.look_after_records(),
                Alarm::Custodian => self.tell_custodian(custodian::Input::Tick),
                Alarm::Pex => self.tell_pex(crate::proto::pex::Input::Tick),
                Alarm::Neighbours => self.tell_neighbours(crate::proto::neighbours::Input::Tick),
                Alarm::Uplink(relay) => self.tell_uplink(relay, crate::proto::uplink::Input::Tick),
            }
        }
    }

    /// Runs a task whose result comes back as an event.
    fn spawn(&self, task: impl Future<Output = Event> + 'static) {
        let mut outbox = self.outbox.clone();
        rt::spawn(async move {
            let event = task.await;
            let _ = futures::SinkExt::send(&mut outbox, event).await;
        });
    }

    fn snapshot_of(&self, stats: super::snapshot::Stats) -> Snapshot {
        let now = now();
        let mut swarms: Vec<_> = self
            .transfers
            .values()
            .filter(|transfer| transfer.meta.kind == Kind::File)
            .map(|transfer| transfer.info(now))
            .collect();
        sort_by(&mut swarms, |a, b| {
            (a.added_at, &a.cid).cmp(&(b.added_at, &b.cid))
        });
        Snapshot {
            stats,
            swarms,
            peers: self.peers.infos(rt::unix_millis()),
        }
    }
}
