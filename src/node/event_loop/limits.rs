//! The person's limits, applied where bytes are about to move: before a chunk is read for a peer, and before one is asked
//! of a peer.
//!
//! The swarm machines do not know of caps. What they want to serve or to ask waits here, in the order in which they
//! wanted it, until rate and day allow it; where nothing may be sent at all they are told so, and refuse by themselves.

use std::collections::VecDeque;
use std::time::Duration;

use super::{Alarm, Event, EventLoop, now};
use crate::node::snapshot::Today;
use crate::node::{LIMITS, TRAFFIC};
use crate::proto::fair::Fair;
use crate::proto::limits::{Admission, DayLedger, Hold, Limits, Pacer, Surroundings};
use crate::proto::message::Message;
use crate::proto::neighbours;
use crate::proto::ordered::Map;
use crate::proto::swarm::Input;
use crate::proto::types::{BlobHash, CHUNK_SIZE, ChunkIndex, PeerKey};
use crate::rt;
use crate::store::Store;

/// What a capped download may have outstanding, as time at the cap: longer waits would look like stalled peers, which are
/// given 10 s at least.
const WINDOW: Duration = Duration::from_secs(4);

/// Outstanding bytes of one capped download at least: one chunk on the way and one behind it.
const LEAST_WINDOW: u64 = 2 * CHUNK_SIZE;

/// One chunk for, or from, one peer.
type Piece = (BlobHash, PeerKey, ChunkIndex);

/// A chunk that may go: being read, or being sent.
#[derive(Debug)]
struct UnderWay {
    bytes: u64,
    sending: bool,
}

/// What stands between the swarm machines and the wire.
#[derive(Debug)]
pub(in crate::node) struct Gate {
    pub consent: Option<bool>,
    pub limits: Limits,
    pub surroundings: Surroundings,
    pub day: DayLedger,
    /// What the swarms were told last.
    may_send: bool,
    up: Pacer,
    pub down: Pacer,
    /// Chunks to be read; a swarm has at most `serving_max` of them.
    to_serve: VecDeque<Piece>,
    /// Which blob's turn it is while they have to wait.
    turns: Fair<BlobHash>,
    under_way: Map<Piece, UnderWay>,
    /// The queue is being worked off.
    serving: bool,
    /// Chunks to be asked for; a swarm has at most its window of them.
    to_ask: VecDeque<Piece>,
}

impl Gate {
    pub fn new(
        consent: Option<bool>,
        limits: Limits,
        surroundings: Surroundings,
        day: DayLedger,
    ) -> Self {
        let may_send = limits.hold(consent, surroundings, day.up()).is_none();
        let (mut up, mut down) = (Pacer::default(), Pacer::default());
        up.set_rate(limits.up_rate, now());
        down.set_rate(limits.down_rate, now());
        Self {
            consent,
            limits,
            surroundings,
            day,
            may_send,
            up,
            down,
            to_serve: VecDeque::new(),
            turns: Fair::new(),
            under_way: Map::new(),
            serving: false,
            to_ask: VecDeque::new(),
        }
    }

    /// Whether chunks may be sent at all.
    pub fn may_send(&self) -> bool {
        self.may_send
    }

    /// Why not.
    pub fn hold(&self) -> Option<Hold> {
        self.limits
            .hold(self.consent, self.surroundings, self.day.up())
    }

    pub fn today(&self) -> Today {
        Today {
            up: self.day.up(),
            down: self.day.down(),
        }
    }

    /// Whether a chunk of the blob is being read or sent.
    pub fn is_serving(&self, blob: BlobHash) -> bool {
        self.under_way.keys().any(|(of, _, _)| *of == blob)
    }

    /// A chunk has been handed to its stream.
    pub fn on_sending(&mut self, blob: BlobHash, peer: PeerKey, index: ChunkIndex) {
        if let Some(piece) = self.under_way.get_mut(&(blob, peer, index)) {
            piece.sending = true;
        }
    }

    /// It has left.
    pub fn on_sent(&mut self, blob: BlobHash, peer: PeerKey, index: ChunkIndex, bytes: u64) {
        match self.under_way.remove(&(blob, peer, index)) {
            Some(piece) => self.day.sent(piece.bytes),
            None => self.day.sent(bytes),
        }
    }

    /// The stream is gone: what had begun to go counts as sent, the rest does not.
    pub fn forget(&mut self, blob: BlobHash, peer: PeerKey) {
        let (day, up) = (&mut self.day, &mut self.up);
        self.under_way.retain(|(of, to, _), piece| {
            let stays = (*of, *to) != (blob, peer);
            match (stays, piece.sending) {
                (true, _) => {}
                (false, true) => day.sent(piece.bytes),
                (false, false) => {
                    day.dropped(piece.bytes);
                    up.refund(piece.bytes);
                }
            }
            stays
        });
        let others = |(of, to, _): &Piece| (*of, *to) != (blob, peer);
        self.to_serve.retain(others);
        self.to_ask.retain(others);
    }

    /// The oldest wish of the blob whose turn it is, and its place in the queue.
    fn next_to_serve(&self) -> Option<(usize, Piece)> {
        let blob = self.turns.next(self.to_serve.iter().map(|piece| piece.0))?;
        let mut pieces = self.to_serve.iter().copied().enumerate();
        pieces.find(|(_, piece)| piece.0 == blob)
    }

    /// The blob is gone.
    pub fn forget_blob(&mut self, blob: BlobHash) {
        self.turns.remove(&blob);
    }

    /// A chunk that was read was not sent after all.
    fn give_back(&mut self, piece: Piece) {
        let kept = |way: &UnderWay| way.sending;
        if self.under_way.get(&piece).is_some_and(kept) {
            return;
        }
        if let Some(way) = self.under_way.remove(&piece) {
            self.day.dropped(way.bytes);
            self.up.refund(way.bytes);
        }
    }
}

impl<S: Store> EventLoop<S> {
    pub(super) fn set_consent(&mut self, allowed: bool) {
        self.gate.consent = Some(allowed);
        self.review_uploads();
    }

    pub(super) fn set_limits(&mut self, limits: Limits) {
        let hides_now = limits.hide_address && !self.gate.limits.hide_address;
        self.gate.limits = limits;
        self.gate.up.set_rate(limits.up_rate, now());
        self.gate.down.set_rate(limits.down_rate, now());
        self.hide_address.set(limits.hide_address);
        if hides_now {
            self.close_direct();
        }
        self.bound_windows();
        self.review_uploads();
        self.ask_when_due();
    }

    pub(super) fn set_surroundings(&mut self, surroundings: Surroundings) {
        self.gate.surroundings = surroundings;
        self.review_uploads();
    }

    /// Looked at a few times a second: a new day, and whether the record of this one is worth writing.
    pub(super) fn look_at_day(&mut self) {
        self.gate.day.turn(rt::unix_millis());
        self.review_uploads();
        self.record_day();
    }

    /// Tells the swarms if the answer to "may anything be sent?" has changed.
    pub(super) fn review_uploads(&mut self) {
        let may_send = self.gate.hold().is_none();
        if may_send == self.gate.may_send {
            return self.serve_when_due();
        }
        self.gate.may_send = may_send;
        self.urgent = true;
        let blobs: Vec<_> = self.transfers.keys().copied().collect();
        for blob in blobs {
            self.tell_swarm(blob, Input::AllowUpload(may_send));
            if may_send {
                self.announce_if_due(blob);
            } else if let Some(transfer) = self.transfers.get_mut(&blob) {
                transfer.announced = false;
                self.withdraw(blob);
            }
        }
        self.tell_neighbours(neighbours::Input::Allow(may_send));
        self.review_custody();
        self.serve_when_due();
    }

    /// A swarm wants to serve a chunk.
    pub(super) fn want_to_serve(&mut self, blob: BlobHash, peer: PeerKey, index: ChunkIndex) {
        self.gate.to_serve.push_back((blob, peer, index));
        self.serve_when_due();
    }

    /// Reads the next chunks for peers, as far as rate and day allow.
    pub(super) fn serve_when_due(&mut self) {
        // A chunk that is served from memory may bring the next wish: that one is for the loop that runs already.
        if std::mem::replace(&mut self.gate.serving, true) {
            return;
        }
        self.serve_what_is_due();
        self.gate.serving = false;
    }

    fn serve_what_is_due(&mut self) {
        while let Some((at, piece @ (blob, peer, index))) = self.gate.next_to_serve() {
            if self.gate.may_send {
                let ready_at = self.gate.up.ready_at();
                if ready_at > now() {
                    return self.set_alarm(Alarm::Serve, ready_at);
                }
                let bytes = self.chunk_len(blob, index);
                match self.gate.day.admit(bytes, self.gate.limits.up_per_day) {
                    Admission::Yes => {}
                    // Goes on when the record is durable.
                    Admission::Later => return self.record_day(),
                    // What is under way may use up the day, or come back.
                    Admission::No => return,
                }
                self.gate.give_back(piece);
                self.gate.up.spend(bytes, now());
                self.gate.turns.spend(blob, bytes);
                let sending = false;
                self.gate
                    .under_way
                    .insert(piece, UnderWay { bytes, sending });
            }
            self.gate.to_serve.remove(at);
            // Where sending is off the swarm refuses what it gets; it has to get it to let go of it.
            self.load_chunk(blob, peer, index);
        }
    }

    /// A chunk was read and the swarm has seen it: if it is not being sent, its allowance is free again.
    pub(super) fn settle_load(&mut self, blob: BlobHash, peer: PeerKey, index: ChunkIndex) {
        self.gate.give_back((blob, peer, index));
        self.serve_when_due();
    }

    /// Sends what a swarm says, requests and cancels only as the cap on receiving allows.
    pub(super) fn send_when_due(&mut self, blob: BlobHash, peer: PeerKey, message: Message) {
        match &message {
            Message::Request { index } if self.gate.down.rate().is_some() => {
                self.gate.to_ask.push_back((blob, peer, *index));
                return self.ask_when_due();
            }
            Message::Cancel { index } => {
                let before = self.gate.to_ask.len();
                self.gate
                    .to_ask
                    .retain(|piece| *piece != (blob, peer, *index));
                if self.gate.to_ask.len() < before {
                    return; // It was never asked for.
                }
            }
            Message::Chunk { index, .. } => self.gate.on_sending(blob, peer, *index),
            _ => {}
        }
        self.send(blob, peer, message);
    }

    /// Asks for the next chunks, as far as the rate allows.
    pub(super) fn ask_when_due(&mut self) {
        while let Some((blob, peer, index)) = self.gate.to_ask.front().copied() {
            let ready_at = self.gate.down.ready_at();
            if ready_at > now() {
                return self.set_alarm(Alarm::Ask, ready_at);
            }
            let bytes = self.chunk_len(blob, index);
            self.gate.down.spend(bytes, now());
            self.gate.to_ask.pop_front();
            self.send(blob, peer, Message::Request { index });
        }
    }

    /// Keeps what is outstanding under a cap on receiving so short that it does not look like a stall.
    pub(super) fn bound_windows(&mut self) {
        let fetching = self
            .transfers
            .values()
            .filter(|transfer| transfer.wants_peers())
            .count();
        let window = self.gate.limits.down_rate.map(|rate| {
            (rate.saturating_mul(WINDOW.as_secs()) / fetching.max(1) as u64).max(LEAST_WINDOW)
        });
        for transfer in self.transfers.values_mut() {
            transfer.swarm.bound_unstored(window);
        }
    }

    /// The record of the day is durable, or could not be written.
    pub(super) fn on_recorded(&mut self, durable: bool) {
        self.gate.day.recorded(durable);
        self.serve_when_due();
    }

    fn record_day(&mut self) {
        let Some(record) = self.gate.day.to_record(self.gate.limits.up_per_day) else {
            return;
        };
        let store = self.store.clone();
        self.spawn(async move {
            let written = store.set_value(TRAFFIC, Some(record)).await;
            if let Err(error) = &written {
                rt::warning!(error = error, "the day's amount could not be stored");
            }
            Event::Recorded(written.is_ok())
        });
    }

    /// Writes what must not be lost, before the store is let go.
    pub(super) async fn close_books(&mut self) {
        // What had begun to go when the streams ended may well have arrived.
        for way in self.gate.under_way.values().filter(|way| way.sending) {
            self.gate.day.sent(way.bytes);
        }
        let day = self.gate.day.last_record();
        let mut writes = vec![self.store.set_value(TRAFFIC, Some(day)).await];
        for transfer in self.transfers.values() {
            if transfer.use_unwritten() {
                let meta = transfer.meta.encode();
                writes.push(self.store.set_meta(transfer.row, meta).await);
            }
        }
        for error in writes.into_iter().filter_map(Result::err) {
            tracing::debug!(%error, "not written at the end");
        }
    }

    /// Direct links show our address: whoever asks for privacy does not want them any longer.
    fn close_direct(&mut self) {
        let direct: Vec<_> = self
            .peers
            .iter_mut()
            .filter(|peer| peer.is_linked() && !peer.is_relay)
            .map(|peer| peer.id)
            .collect();
        for peer in direct {
            let _ = self.swarm.disconnect_peer_id(peer);
        }
    }

    fn chunk_len(&self, blob: BlobHash, index: ChunkIndex) -> u64 {
        let size = self
            .transfers
            .get(&blob)
            .and_then(|transfer| transfer.swarm.progress().size);
        size.and_then(|size| size.chunk_len(index))
            .map_or(CHUNK_SIZE, |len| len as u64)
    }
}

/// Reads the person's limits, or the defaults where there are none that can be read.
pub(in crate::node) async fn stored<S: Store>(
    store: &S,
) -> Result<(Limits, DayLedger), crate::store::StoreError> {
    let limits = store.value(LIMITS).await?;
    let day = store.value(TRAFFIC).await?;
    let limits = limits.and_then(|bytes| Limits::decode(&bytes));
    Ok((
        limits.unwrap_or_default(),
        DayLedger::open(day.as_deref(), rt::unix_millis()),
    ))
}
