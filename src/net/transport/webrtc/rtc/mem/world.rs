//! What the peers of a network share: who knows whom, what is on its way, what is due to whom.

use std::{
    collections::{BTreeMap, VecDeque},
    task::{Context, Poll, Waker},
    time::Duration,
};

use bytes::Bytes;
use futures::channel::mpsc;

use super::super::{ChannelEvent, ConnectionState, RtcError, SdpKind};

#[derive(Default)]
pub(super) struct World {
    pub(super) ids: u64,
    pub(super) peers: BTreeMap<u64, Peer>,
    pub(super) ends: BTreeMap<u64, End>,
    pub(super) wakers: Vec<Waker>,
    pub(super) sent: (usize, usize),
    pub(super) unavailable: bool,
    pub(super) unreachable: bool,
    pub(super) early_channels: bool,
    pub(super) held: bool,
    pub(super) candidate_latency: Option<Duration>,
    pub(super) channel_limit: Option<usize>,
    pub(super) watchers: Vec<mpsc::UnboundedSender<()>>,
}

pub(super) struct Peer {
    pub(super) state: ConnectionState,
    pub(super) remote: Option<u64>,
    pub(super) local_set: bool,
    pub(super) answers: bool,
    pub(super) got_candidate: bool,
    /// Its path is gone for good.
    pub(super) cut: bool,
    /// Neither side finds a way to it: there is no TURN server in this network.
    pub(super) relay_only: bool,
    /// Connected, but not told so yet.
    pub(super) connected_held: bool,
    pub(super) events: VecDeque<Event>,
    pub(super) waker: Option<Waker>,
}

impl Default for Peer {
    fn default() -> Self {
        Self {
            state: ConnectionState::New,
            remote: None,
            local_set: false,
            answers: false,
            got_candidate: false,
            cut: false,
            relay_only: false,
            connected_held: false,
            events: VecDeque::new(),
            waker: None,
        }
    }
}

pub(super) enum Event {
    Candidate(Option<String>),
    State(ConnectionState),
    Channel { id: u64, label: String },
}

/// One end of a channel; its twin has the number with the lowest bit flipped.
pub(super) struct End {
    pub(super) peer: u64,
    pub(super) label: String,
    /// `Open` is due or was given.
    pub(super) open: bool,
    pub(super) open_due: bool,
    pub(super) low_due: bool,
    pub(super) closed_due: bool,
    /// No more is sent from here.
    pub(super) closing: bool,
    pub(super) closed: bool,
    /// Somebody has the handle.
    pub(super) held: bool,
    /// Messages on their way to this end.
    pub(super) inbox: VecDeque<Bytes>,
    /// Bytes on their way from this end.
    pub(super) buffered: usize,
    pub(super) low_threshold: usize,
    pub(super) waker: Option<Waker>,
}

impl World {
    pub(super) fn next_id(&mut self) -> u64 {
        self.ids += 2;
        self.ids
    }

    pub(super) fn peer(&mut self, id: u64) -> &mut Peer {
        self.peers.entry(id).or_default()
    }

    pub(super) fn end(&mut self, id: u64) -> &mut End {
        self.ends
            .get_mut(&id)
            .expect("an end stays while its handle or its twin's does")
    }

    pub(super) fn post(&mut self, id: u64, event: Event) {
        let peer = self.peer(id);
        peer.events.push_back(event);
        let waker = peer.waker.take();
        self.wakers.extend(waker);
    }

    pub(super) fn wake_end(&mut self, id: u64) {
        let waker = self.end(id).waker.take();
        self.wakers.extend(waker);
    }

    pub(super) fn wake_all(&mut self) {
        for id in self.ends.keys().copied().collect::<Vec<_>>() {
            self.wake_end(id);
        }
    }

    pub(super) fn set_state(&mut self, id: u64, state: ConnectionState) {
        self.peer(id).state = state;
        self.post(id, Event::State(state));
    }

    pub(super) fn shift(&mut self, from: ConnectionState, to: ConnectionState) {
        for id in self.peers.keys().copied().collect::<Vec<_>>() {
            if self.peer(id).state == from {
                self.set_state(id, to);
            }
        }
    }

    pub(super) fn gather(&mut self, id: u64) {
        let candidate = format!("{{\"candidate\":\"{CANDIDATE_PREFIX}{id}\",\"sdpMid\":\"0\"}}");
        self.post(id, Event::Candidate(Some(candidate)));
        self.post(id, Event::Candidate(None));
    }

    /// Returns after how long the candidates appear, when it is not at once.
    pub(super) fn set_local(&mut self, id: u64) -> Result<Option<Duration>, RtcError> {
        let peer = self.peer(id);
        if peer.state.is_terminal() {
            return Err(RtcError::Closed);
        }
        peer.local_set = true;
        self.set_state(id, ConnectionState::Connecting);
        self.try_connect(id);
        if self.candidate_latency.is_none() {
            self.gather(id);
        }
        Ok(self.candidate_latency)
    }

    pub(super) fn set_remote(&mut self, id: u64, kind: SdpKind, sdp: &str) -> Result<(), RtcError> {
        let name = match kind {
            SdpKind::Offer => "offer:",
            SdpKind::Answer => "answer:",
        };
        let remote = sdp
            .strip_prefix(SDP_PREFIX)
            .and_then(|rest| rest.strip_prefix(name))
            .and_then(|id| id.parse().ok())
            .filter(|remote| self.peers.contains_key(remote))
            .ok_or_else(|| RtcError::Platform("not a description of this network".into()))?;
        let peer = self.peer(id);
        peer.remote = Some(remote);
        peer.answers = kind == SdpKind::Offer;
        self.try_connect(id);
        Ok(())
    }

    pub(super) fn add_candidate(
        &mut self,
        id: u64,
        candidate: Option<String>,
    ) -> Result<(), RtcError> {
        let remote = self
            .peer(id)
            .remote
            .ok_or_else(|| RtcError::Platform("a candidate before the description".into()))?;
        if let Some(candidate) = candidate {
            if !candidate.contains(&format!("\"{CANDIDATE_PREFIX}{remote}\"")) {
                return Err(RtcError::Platform("not a candidate of the remote".into()));
            }
            self.peer(id).got_candidate = true;
            self.try_connect(id);
        }
        Ok(())
    }

    pub(super) fn try_connect(&mut self, id: u64) {
        let Some(remote) = self.peer(id).remote else {
            return;
        };
        let joined = self.peer(remote).remote == Some(id);
        let ready = |peer: &Peer| peer.local_set && peer.state == ConnectionState::Connecting;
        let both = ready(self.peer(id)) && ready(self.peer(remote));
        let path = self.peer(id).got_candidate || self.peer(remote).got_candidate;
        let hidden = self.peer(id).relay_only || self.peer(remote).relay_only;
        if !joined || !both || !path || hidden || self.unreachable {
            return;
        }
        for id in [id, remote] {
            if self.early_channels && self.peer(id).answers {
                let peer = self.peer(id);
                (peer.state, peer.connected_held) = (ConnectionState::Connected, true);
            } else {
                self.set_state(id, ConnectionState::Connected);
            }
        }
        // Channels that were opened before there was a connection.
        let waiting = self
            .ends
            .iter()
            .filter(|(_, end)| end.held && !end.open && !end.closed);
        let waiting = waiting.map(|(&id, end)| (id, end.peer)).collect::<Vec<_>>();
        for (end, peer) in waiting {
            if peer == id || peer == remote {
                self.connect_channel(end);
            }
        }
    }

    pub(super) fn open_channel(&mut self, peer: u64, label: &str) -> Result<u64, RtcError> {
        if self.peer(peer).state.is_terminal() {
            return Err(RtcError::Closed);
        }
        let open = self
            .ends
            .values()
            .filter(|end| end.peer == peer && end.held && !end.closed);
        if self
            .channel_limit
            .is_some_and(|limit| open.count() >= limit)
        {
            return Err(RtcError::Platform(
                "OperationError: no identifier is free".into(),
            ));
        }
        let id = self.next_id();
        for (id, peer, held) in [(id, peer, true), (id ^ 1, 0, false)] {
            let end = End {
                peer,
                label: label.to_owned(),
                open: false,
                open_due: false,
                low_due: false,
                closed_due: false,
                closing: false,
                closed: false,
                held,
                inbox: VecDeque::new(),
                buffered: 0,
                low_threshold: 0,
                waker: None,
            };
            self.ends.insert(id, end);
        }
        let state = self.peer(peer).state;
        if matches!(
            state,
            ConnectionState::Connected | ConnectionState::Disconnected
        ) {
            self.connect_channel(id);
        }
        Ok(id)
    }

    pub(super) fn connect_channel(&mut self, id: u64) {
        let peer = self.end(id).peer;
        let Some(remote) = self.peer(peer).remote else {
            return;
        };
        let label = self.end(id).label.clone();
        let twin = self.end(id ^ 1);
        (twin.peer, twin.held) = (remote, true);
        for id in [id, id ^ 1] {
            let end = self.end(id);
            (end.open, end.open_due) = (true, true);
            self.wake_end(id);
        }
        self.post(remote, Event::Channel { id: id ^ 1, label });
    }

    pub(super) fn send(&mut self, id: u64, message: &[u8]) -> Result<(), RtcError> {
        let end = self.end(id);
        if !end.open || end.closing || end.closed {
            return Err(RtcError::Closed);
        }
        if end.buffered + message.len() > MAX_BUFFERED {
            return Err(RtcError::Overflow("send buffer"));
        }
        end.buffered += message.len();
        self.end(id ^ 1)
            .inbox
            .push_back(Bytes::copy_from_slice(message));
        self.sent = (self.sent.0 + 1, self.sent.1 + message.len());
        self.wake_end(id ^ 1);
        Ok(())
    }

    pub(super) fn poll_channel(&mut self, id: u64, cx: &mut Context<'_>) -> Poll<ChannelEvent> {
        let held = self.held;
        let peer = self.end(id).peer;
        let held = held || self.peer(peer).cut;
        let end = self.end(id);
        if std::mem::take(&mut end.open_due) {
            return Poll::Ready(ChannelEvent::Open);
        }
        if std::mem::take(&mut end.low_due) {
            return Poll::Ready(ChannelEvent::BufferedAmountLow);
        }
        if !held && let Some(message) = end.inbox.pop_front() {
            self.delivered(id ^ 1, message.len());
            return Poll::Ready(ChannelEvent::Message(message));
        }
        if std::mem::take(&mut end.closed_due) {
            return Poll::Ready(ChannelEvent::Closed);
        }
        end.waker = Some(cx.waker().clone());
        Poll::Pending
    }

    /// `bytes` have left the end `id`.
    pub(super) fn delivered(&mut self, id: u64, bytes: usize) {
        let end = self.end(id);
        let before = end.buffered;
        end.buffered = end.buffered.saturating_sub(bytes);
        end.low_due |= before > end.low_threshold && end.buffered <= end.low_threshold;
        self.wake_end(id);
        self.finish_close(id);
    }

    pub(super) fn close_channel(&mut self, id: u64) {
        self.end(id).closing = true;
        self.finish_close(id);
    }

    /// A closing end is closed, and its twin with it, when all that it sent is delivered.
    pub(super) fn finish_close(&mut self, id: u64) {
        let end = self.end(id);
        if !end.closing || end.closed || (end.buffered > 0 && end.open) {
            return;
        }
        self.abort_channel(id);
    }

    pub(super) fn abort_channel(&mut self, id: u64) {
        for id in [id, id ^ 1] {
            let end = self.end(id);
            if !end.closed {
                (end.closing, end.closed, end.closed_due, end.buffered) = (true, true, true, 0);
                self.wake_end(id);
            }
        }
    }

    pub(super) fn close_channels(&mut self, peer: u64) {
        let ends = self.ends.iter().filter(|(_, end)| end.peer == peer);
        for id in ends.map(|(&id, _)| id).collect::<Vec<_>>() {
            self.abort_channel(id);
        }
    }

    /// The handle of `id` is gone; forgets the channel when that of its twin is, too.
    pub(super) fn let_go(&mut self, id: u64) {
        self.end(id).held = false;
        let kept = |end: &End| end.held;
        if !self.ends.get(&id).is_some_and(kept) && !self.ends.get(&(id ^ 1)).is_some_and(kept) {
            self.ends.remove(&id);
            self.ends.remove(&(id ^ 1));
        }
    }

    pub(super) fn close_peer(&mut self, id: u64) {
        if self.peer(id).state == ConnectionState::Closed {
            return;
        }
        let remote = self.peer(id).remote;
        self.close_channels(id);
        self.peer(id).state = ConnectionState::Closed;
        if let Some(remote) = remote
            && self.peer(remote).remote == Some(id)
            && !self.peer(remote).state.is_terminal()
            && self.peer(remote).state != ConnectionState::Connecting
        {
            self.set_state(remote, ConnectionState::Failed);
        }
    }
}

/// What a description of this network starts with.
pub(super) const SDP_PREFIX: &str = "v=0 mem:";
/// What a candidate of this network starts with.
const CANDIDATE_PREFIX: &str = "mem:";
/// Bytes that a channel takes before `send` fails: what Chromium takes.
const MAX_BUFFERED: usize = 16 * 1024 * 1024;
