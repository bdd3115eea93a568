//! Custody in the loop: the streams of `/gyre/custody/1.0.0`, what this node keeps for others, and what its person asks of others.
//!
//! Nothing is kept or given for others without the person's word: the custodian ([`keeping`]) runs only while this node may send, and
//! streams of others are refused otherwise. Our own asking stream to a peer is one, whoever uses it: the custodian that looks
//! after copies, and the person's mail outside of this loop, each of which hears what comes on it. Peers are linked for it a few at
//! a time, as the budget of links allows. Who is near a tag is found by [`seeking`].

mod blobs;
mod keeping;
mod seeking;

use std::time::Duration;

use futures::channel::mpsc;
use libp2p::{PeerId, Stream};

use super::{Alarm, Event, EventLoop, now};
use crate::net::custody::{self as net, StreamId, key_of, name_of};
use crate::net::session as streams;
use crate::node::custody::{Kept, Listener};
use crate::proto::custody::custodian::{Config, Custodian, Input};
use crate::proto::custody::deposit::{Deposit, MAX_DEPOSIT};
use crate::proto::custody::message::{Message, Nonce};
use crate::proto::custody::{self, MessageId};
use crate::proto::ordered::{Map, Set};
use crate::proto::types::{BlobHash, ChunkIndex, PeerKey, Time};
use crate::rt;
use crate::store::{BlobRow, RowId, Store};

pub(super) use seeking::Seeker;
use seeking::Seeking;

/// Streams that we hold open: as many as links. The one that was used longest ago makes room.
const MAX_ASKED: usize = crate::proto::pool::MAX_LINKS;

/// Peers that are asked or being linked for it at once; more are told that nothing came of it. Ours: a look through two mailboxes and the
/// checks of a custodian.
const MAX_WANTED: usize = 256;

/// Messages for one peer that wait for its stream: what is asked of it at once.
const MAX_WAITING: usize = net::SEND_QUEUE;

/// Time in which a stream must come up: a link through a relay takes up to ten seconds, and may have to wait for room first.
const REACH_WITHIN: Duration = Duration::from_secs(25);

/// Pause between two looks whether there is room for a link that is wanted.
const ROOM_PAUSE: Duration = Duration::from_millis(300);

/// How long a peer that could not be reached is left out of look-ups: as long as a look-up holds.
const LEFT_OUT: Duration = custody::custodian::LOOKUP_FRESH;

/// Peers that are remembered as not to be reached.
const MAX_LEFT_OUT: usize = 512;

/// Everything about custody.
pub(super) struct Custody {
    config: Config,
    custodian: Option<Custodian>,
    /// What is kept is being read from the store.
    opening_store: bool,
    streams: Map<StreamId, Known>,
    /// Streams of others, one for each.
    accepted: Map<custody::PeerId, StreamId>,
    asked: Map<custody::PeerId, Asked>,
    /// Attachments that are kept for others, and their lengths.
    blobs: Map<BlobHash, u32>,
    opening: Map<streams::OpenId, custody::PeerId>,
    /// Linked peers that speak the protocol.
    offering: Set<PeerId>,
    left_out: Map<custody::PeerId, Time>,
    seeking: Seeking,
    listener: Option<Listener>,
}

/// One stream.
struct Known {
    key: custody::PeerId,
    peer: PeerId,
    opened: bool,
    outgoing: mpsc::Sender<Message>,
}

/// A peer that we ask.
struct Asked {
    state: State,
    waiting: Vec<Message>,
    /// When the stream was wanted, then when it was last used.
    at: Time,
    /// What the peer wants to have signed.
    challenge: Option<Nonce>,
    /// Who hears what it says.
    heard: Heard,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    /// There is no link yet.
    Linking,
    /// A stream is being opened.
    Opening,
    Up(StreamId),
}

/// Who asks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Asker {
    /// The custodian of this node.
    Custodian,
    /// The person's mail.
    Person,
}

#[derive(Default, Clone, Copy)]
struct Heard {
    custodian: bool,
    person: bool,
}

/// What the tasks of custody report.
#[derive(Debug)]
pub(in crate::node) enum Report {
    /// A message came on a stream; `None` when it has ended.
    Said(StreamId, Option<Message>),
    /// What the store holds: heads, and the rows of what is attached.
    Opened(Vec<([u8; 32], bytes::Bytes)>, Vec<(BlobHash, RowId)>),
    /// A message is durable, or is not.
    Stored(MessageId, bool),
    /// A message was read, if it is there.
    Loaded(MessageId, Option<Deposit>),
    /// The row of an attachment, if it could be had, and which chunks are there.
    Row(BlobHash, Option<(BlobRow, Vec<ChunkIndex>)>),
}

impl From<(StreamId, Option<Message>)> for Event {
    fn from((id, message): (StreamId, Option<Message>)) -> Self {
        Self::Custody(Report::Said(id, message))
    }
}

impl Custody {
    pub fn new(config: Config) -> Self {
        Self {
            config,
            custodian: None,
            opening_store: false,
            streams: Map::new(),
            accepted: Map::new(),
            asked: Map::new(),
            blobs: Map::new(),
            opening: Map::new(),
            offering: Set::new(),
            left_out: Map::new(),
            seeking: Seeking::default(),
            listener: None,
        }
    }

    /// Streams to and from a peer.
    pub fn streams_with(&self, peer: &PeerId) -> usize {
        let with = |known: &&Known| known.peer == *peer;
        self.streams.values().filter(with).count()
    }

    /// What the person's mail hears.
    fn tell_person(&self, peer: custody::PeerId, message: Option<&Message>) {
        if let Some(listener) = &self.listener {
            listener(peer, message);
        }
    }
}

impl<S: Store> EventLoop<S> {
    pub(super) fn on_custody(&mut self, report: Report) {
        match report {
            Report::Said(id, message) => self.on_said(id, message),
            Report::Opened(heads, rows) => self.on_shelf_opened(heads, rows),
            Report::Stored(id, true) => self.tell_custodian(Input::Stored(id)),
            Report::Stored(id, false) => self.tell_custodian(Input::StoreFailed(id)),
            Report::Loaded(id, deposit) => self.tell_custodian(Input::Loaded(id, deposit)),
            Report::Row(hash, row) => self.on_kept_row(hash, row),
        }
    }

    pub(super) fn set_custody_listener(&mut self, listener: Listener) {
        self.custody.listener = Some(listener);
    }

    /// A linked peer says whether it speaks the protocol.
    pub(super) fn on_custody_offer(&mut self, peer: PeerId, offers: bool) {
        match offers {
            true => self.custody.offering.insert(peer),
            false => self.custody.offering.remove(&peer),
        };
    }

    /// The last connection to a peer is gone.
    pub(super) fn on_custody_unlinked(&mut self, peer: &PeerId) {
        self.custody.offering.remove(peer);
    }

    /// Connected relays that keep mail.
    pub(super) fn mailbox_relays(&self) -> Vec<custody::PeerId> {
        let relays = self.relays.iter().map(|relay| relay.peer);
        let offering = relays.filter(|relay| self.custody.offering.contains(relay));
        offering.filter_map(|relay| key_of(&relay)).collect()
    }

    /// Asks a peer something, or only opens a stream to it.
    pub(super) fn ask_custodian(
        &mut self,
        key: custody::PeerId,
        message: Option<Message>,
        asker: Asker,
    ) {
        let fresh = !self.custody.asked.contains_key(&key);
        if fresh {
            self.make_room_to_ask();
        }
        let heard = Heard {
            custodian: asker == Asker::Custodian,
            person: asker == Asker::Person,
        };
        if fresh && self.custody.asked.len() >= MAX_WANTED {
            return self.not_heard(key, heard);
        }
        let asked = self.custody.asked.entry(key).or_insert_with(|| Asked {
            state: State::Linking,
            waiting: Vec::new(),
            at: now(),
            challenge: None,
            heard: Heard::default(),
        });
        asked.heard.custodian |= heard.custodian;
        asked.heard.person |= heard.person;
        if let State::Up(stream) = asked.state {
            asked.at = now();
            let challenge = asked.challenge;
            return match (message, challenge) {
                (Some(message), _) => self.say(stream, message),
                // Whoever opens waits for it, and it is said once.
                (None, Some(nonce)) => {
                    self.custody
                        .tell_person(key, Some(&Message::Challenge(nonce)));
                }
                (None, None) => {}
            };
        }
        asked.waiting.extend(message);
        if asked.waiting.len() > MAX_WAITING {
            return self.not_reached(key);
        }
        if fresh {
            self.reach(key);
        }
    }

    /// The stream to the peer that was used longest ago ends, if there are too many.
    fn make_room_to_ask(&mut self) {
        if self.custody.asked.len() < MAX_ASKED {
            return;
        }
        let up = self.custody.asked.values().filter_map(|asked| {
            let State::Up(stream) = asked.state else {
                return None;
            };
            Some((asked.at, stream.0))
        });
        if let Some((_, stream)) = up.min() {
            self.end_stream(StreamId(stream));
        }
    }

    /// Goes one step towards a stream to a peer.
    fn reach(&mut self, key: custody::PeerId) {
        let Some(asked) = self.custody.asked.get_mut(&key) else {
            return;
        };
        if asked.state != State::Linking {
            return;
        }
        let too_late = now().since(asked.at) >= REACH_WITHIN;
        let name = name_of(key).filter(|name| name != self.swarm.local_peer_id());
        let Some(name) = name.filter(|_| !too_late) else {
            return self.not_reached(key);
        };
        if self
            .swarm
            .behaviour_mut()
            .custody
            .get_mut()
            .is_connected(&name)
        {
            asked.state = State::Opening;
            let open = streams::OpenId(self.fresh_id());
            self.custody.opening.insert(open, key);
            self.swarm
                .behaviour_mut()
                .custody
                .get_mut()
                .open(name, open);
            return;
        }
        let peer = self.peers.enter(name, rt::unix_millis());
        let (dialled, banned, dialling) = (peer.key, peer.banned, peer.dialling);
        if banned {
            return self.not_reached(key);
        }
        if !dialling {
            self.dial_if_there_is_room(dialled);
        }
        self.look_at_custody_within(ROOM_PAUSE);
    }

    /// Nothing came of the link or the stream that was wanted.
    fn not_reached(&mut self, key: custody::PeerId) {
        let Some(asked) = self.custody.asked.remove(&key) else {
            return;
        };
        if self.custody.left_out.len() >= MAX_LEFT_OUT {
            let first = self.custody.left_out.iter().min_by_key(|(_, at)| **at);
            if let Some(first) = first.map(|(key, _)| *key) {
                self.custody.left_out.remove(&first);
            }
        }
        self.custody.left_out.insert(key, now());
        self.not_heard(key, asked.heard);
    }

    /// Tells those that asked a peer that nothing more comes of it.
    fn not_heard(&mut self, key: custody::PeerId, heard: Heard) {
        if heard.person {
            self.custody.tell_person(key, None);
        }
        if heard.custodian {
            self.tell_custodian(Input::Unreachable(key));
        }
    }

    /// A connection to a peer is up: whoever waits for it may go on.
    pub(super) fn on_custody_linked(&mut self, peer: &PeerId) {
        if let Some(key) = key_of(peer) {
            self.reach(key);
        }
    }

    /// No link to a peer came up.
    pub(super) fn on_custody_given_up(&mut self, peer: PeerKey) {
        let name = self.peers.get(peer).map(|peer| peer.id);
        let Some(key) = name.as_ref().and_then(key_of) else {
            return;
        };
        let waits = |asked: &Asked| asked.state == State::Linking;
        if self.custody.asked.get(&key).is_some_and(waits) {
            self.not_reached(key);
        }
    }

    /// Looks after links that are wanted and look-ups that take too long.
    pub(super) fn look_at_custody(&mut self) {
        let linking = self.custody.asked.iter();
        let linking: Vec<_> = linking
            .filter(|(_, asked)| asked.state == State::Linking)
            .map(|(key, _)| *key)
            .collect();
        for key in linking {
            self.reach(key);
        }
        self.end_late_searches();
    }

    fn look_at_custody_within(&mut self, pause: Duration) {
        let at = now() + pause;
        let due = self.alarms.get(&Alarm::Custody);
        if due.is_none_or(|due| *due > at) {
            self.set_alarm(Alarm::Custody, at);
        }
    }

    pub(super) fn on_custody_stream(&mut self, event: streams::Event) {
        match event {
            streams::Event::Inbound { peer, stream } => self.accept_client(peer, stream),
            streams::Event::Opened { id, stream } => {
                let Some(key) = self.custody.opening.remove(&id) else {
                    return;
                };
                let Some(peer) = name_of(key) else { return };
                let id = self.begin_stream(key, peer, stream, true);
                let Some(asked) = self.custody.asked.get_mut(&key) else {
                    return self.end_stream(id);
                };
                asked.state = State::Up(id);
                asked.at = now();
                self.custody.left_out.remove(&key);
                for message in std::mem::take(&mut asked.waiting) {
                    self.say(id, message);
                }
            }
            streams::Event::Failed { id } => {
                if let Some(key) = self.custody.opening.remove(&id) {
                    self.not_reached(key);
                }
            }
        }
    }

    fn accept_client(&mut self, peer: PeerId, stream: Stream) {
        let banned = self.peers.by_id(&peer).is_none_or(|peer| peer.banned);
        // Without the person's word nothing is kept or given for others.
        let keeps = self.custody.custodian.is_some() && self.gate.may_send();
        let Some(key) = key_of(&peer).filter(|_| keeps && !banned) else {
            return; // dropping the stream resets it
        };
        // An older one may not have been noticed as dead.
        if let Some(old) = self.custody.accepted.remove(&key) {
            self.custody.streams.remove(&old);
        }
        let id = self.begin_stream(key, peer, stream, false);
        self.custody.accepted.insert(key, id);
        self.tell_custodian(Input::Opened(key));
    }

    fn begin_stream(
        &mut self,
        key: custody::PeerId,
        peer: PeerId,
        stream: Stream,
        opened: bool,
    ) -> StreamId {
        let id = StreamId(self.fresh_id());
        let (outgoing, queue) = mpsc::channel(net::SEND_QUEUE);
        let known = Known {
            key,
            peer,
            opened,
            outgoing,
        };
        self.custody.streams.insert(id, known);
        let outbox = self.outbox.clone();
        rt::spawn(net::run::<_, _, Event>(id, stream, queue, outbox));
        self.count_sessions_with(&peer);
        id
    }

    /// A message came, or the stream has ended.
    fn on_said(&mut self, id: StreamId, message: Option<Message>) {
        let Some(known) = self.custody.streams.get(&id) else {
            return; // a late word of a stream that was let go
        };
        let (key, peer, opened) = (known.key, known.peer, known.opened);
        // Who opened a stream asks on it, who accepted it answers.
        let Some(message) = message.filter(|message| message.is_request() != opened) else {
            return self.end_stream(id);
        };
        self.count_custody(&peer, &message, false);
        if !opened {
            return self.tell_custodian(Input::Received(key, message));
        }
        let Some(asked) = self.custody.asked.get_mut(&key) else {
            return;
        };
        if let Message::Challenge(nonce) = &message {
            asked.challenge = Some(*nonce);
        }
        let heard = asked.heard;
        if heard.person {
            self.custody.tell_person(key, Some(&message));
        }
        if heard.custodian {
            self.tell_custodian(Input::Received(key, message));
        }
    }

    /// Sends on a stream; one whose other end does not read is ended.
    fn say(&mut self, id: StreamId, message: Message) {
        let Some(known) = self.custody.streams.get_mut(&id) else {
            return;
        };
        let peer = known.peer;
        match known.outgoing.try_send(message.clone()) {
            Ok(()) => self.count_custody(&peer, &message, true),
            Err(_) => self.end_stream(id),
        }
    }

    fn end_stream(&mut self, id: StreamId) {
        let Some(known) = self.custody.streams.remove(&id) else {
            return;
        };
        self.count_sessions_with(&known.peer);
        if !known.opened {
            if self.custody.accepted.get(&known.key) == Some(&id) {
                self.custody.accepted.remove(&known.key);
                self.tell_custodian(Input::Closed(known.key));
            }
            return;
        }
        let asked = self.custody.asked.get(&known.key);
        let Some(asked) = asked.filter(|asked| asked.state == State::Up(id)) else {
            return;
        };
        let (heard, refused) = (asked.heard, asked.challenge.is_none());
        if refused {
            // It keeps nothing for others now.
            return self.not_reached(known.key);
        }
        self.custody.asked.remove(&known.key);
        self.not_heard(known.key, heard);
    }

    fn count_sessions_with(&mut self, peer: &PeerId) {
        if let Some(key) = self.peers.by_id(peer).map(|peer| peer.key) {
            self.count_sessions(key);
        }
    }

    fn count_custody(&mut self, peer: &PeerId, message: &Message, up: bool) {
        let bytes = message.wire_len() as u64;
        let Some(peer) = self.peers.by_id(peer) else {
            return;
        };
        let (meter, total) = match up {
            true => (&mut peer.up, &mut self.up),
            false => (&mut peer.down, &mut self.down),
        };
        meter.add(bytes);
        total.add(bytes);
        match up {
            true => self.gate.day.sent(bytes),
            false => self.gate.day.received(bytes),
        }
        let key = peer.key;
        self.links.pool.moved(key, bytes, now());
    }

    /// What this node keeps for others.
    pub(super) fn kept_for_others(&self) -> Kept {
        let custodian = self.custody.custodian.as_ref();
        let envelopes = custodian.map_or(0, Custodian::len);
        let (blobs, blob_bytes) = custodian.map_or((0, 0), Custodian::blobs);
        Kept {
            envelopes,
            bytes: (envelopes * MAX_DEPOSIT) as u64,
            blobs,
            blob_bytes,
        }
    }
}
