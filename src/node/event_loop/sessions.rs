//! Streams of the swarm protocol: opened for a blob, accepted from others, one for each blob and peer.

use futures::channel::mpsc;
use libp2p::{PeerId, Stream};

use super::{Event, EventLoop, Session, now};
use crate::net::session as streams;
use crate::node::session::{self, Halves, SEND_QUEUE, SessionEvent, SessionId};
use crate::proto::discovery;
use crate::proto::message::Message;
use crate::proto::neighbours;
use crate::proto::pex;
use crate::proto::swarm::{Input, Misconduct};
use crate::proto::types::{BlobHash, PeerKey};
use crate::rt;
use crate::store::Store;

/// Streams open at once. Ours: some dozens of blobs with a dozen peers each.
const MAX_SESSIONS: usize = 512;

/// Inbound streams whose first message has not come yet.
const MAX_ACCEPTING: usize = 64;

impl<S: Store> EventLoop<S> {
    pub(super) fn open_session(&mut self, blob: BlobHash, peer: PeerKey) {
        if self.pairs.contains_key(&(blob, peer))
            || self.opening.values().any(|pair| *pair == (blob, peer))
        {
            return;
        }
        let Some(id) = self.peers.get(peer).map(|peer| peer.id) else {
            return;
        };
        let open = streams::OpenId(self.fresh_id());
        self.opening.insert(open, (blob, peer));
        self.swarm.behaviour_mut().session.get_mut().open(id, open);
    }

    pub(super) fn on_stream(&mut self, event: streams::Event) {
        match event {
            streams::Event::Inbound { peer, stream } => self.accept(peer, stream),
            streams::Event::Opened { id, stream } => {
                if let Some((blob, peer)) = self.opening.remove(&id) {
                    if self.pairs.contains_key(&(blob, peer)) {
                        return; // the remote was faster; both sides keep that one
                    }
                    self.start_session(blob, peer, session::split(stream), true);
                }
            }
            streams::Event::Failed { id } => {
                if let Some((blob, peer)) = self.opening.remove(&id)
                    && !self.pairs.contains_key(&(blob, peer))
                {
                    self.tell_discovery(blob, discovery::Input::Failed(peer));
                }
            }
        }
    }

    fn accept(&mut self, peer: PeerId, stream: Stream) {
        let banned = self.peers.enter(peer, rt::unix_millis()).banned;
        if banned || self.accepting >= MAX_ACCEPTING || self.sessions.len() >= MAX_SESSIONS {
            return; // dropping the stream resets it
        }
        self.accepting += 1;
        self.spawn(async move {
            let mut halves = session::split(stream);
            let hello = session::first_message(&mut halves).await;
            Event::Accepted {
                peer,
                halves,
                hello,
            }
        });
    }

    pub(super) fn on_accepted(&mut self, peer: PeerId, halves: Halves, hello: Option<Message>) {
        self.accepting -= 1;
        let Some(Message::Hello { blob, .. }) = hello else {
            return;
        };
        if self.is_denied(blob) {
            return; // dropping the stream resets it
        }
        if !self.transfers.contains_key(&blob) {
            return self.wake_for(blob, peer, halves, hello);
        }
        if self.is_manifest(blob) {
            self.on_reader(blob);
        }
        let key = self.peers.enter(peer, rt::unix_millis()).key;
        // Both opened a stream at the same time: the one that the lower peer id opened survives, on both sides.
        let ours_wins = self.swarm.local_peer_id().to_bytes() < peer.to_bytes();
        if let Some(id) = self.pairs.get(&(blob, key)).copied() {
            let present_is_ours = self
                .sessions
                .get(&id)
                .is_some_and(|session| session.outbound);
            if present_is_ours && ours_wins {
                return;
            }
            self.end_session(id);
        }
        let id = self.start_session(blob, key, halves, false);
        if let Some(hello) = hello {
            self.on_session(id, SessionEvent::Received(hello));
        }
    }

    fn start_session(
        &mut self,
        blob: BlobHash,
        peer: PeerKey,
        halves: Halves,
        outbound: bool,
    ) -> SessionId {
        let id = SessionId(self.fresh_id());
        let (outgoing, queue) = mpsc::channel(SEND_QUEUE);
        self.sessions.insert(
            id,
            Session {
                peer,
                blob,
                outbound,
                answered: false,
                outgoing,
            },
        );
        self.pairs.insert((blob, peer), id);
        self.count_sessions(peer);
        rt::spawn(session::run(id, halves, queue, self.outbox.clone()));
        self.urgent = true;
        if let Some(transfer) = self.transfers.get_mut(&blob) {
            transfer.stirred = now();
        }
        self.tell_swarm(blob, Input::Connected { peer });
        id
    }

    pub(super) fn on_session(&mut self, id: SessionId, event: SessionEvent) {
        // A late word of a session that was replaced counts for nothing.
        let Some(session) = self.sessions.get_mut(&id) else {
            return;
        };
        let (blob, peer) = (session.blob, session.peer);
        match event {
            SessionEvent::Received(message) => {
                let first = !std::mem::replace(&mut session.answered, true);
                if first {
                    if let Some(transfer) = self.transfers.get_mut(&blob) {
                        transfer.found();
                    }
                    self.tell_discovery(blob, discovery::Input::Connected(peer));
                    self.on_site_session(blob, peer);
                    // The peers of a site tell each other of themselves once, not for every file.
                    if !self.is_part(blob) {
                        self.tell_pex(pex::Input::Joined(blob, peer));
                    }
                }
                if let Message::Chunk { data, .. } = &message {
                    self.count_down(blob, peer, data.len() as u64);
                }
                self.tell_swarm(blob, Input::Received { peer, message });
            }
            SessionEvent::Sent(index, bytes) => {
                self.count_up(blob, peer, bytes as u64);
                self.gate.on_sent(blob, peer, index, bytes as u64);
                self.tell_swarm(blob, Input::Sent { peer, index });
                self.end_reading(blob);
                self.review_uploads();
            }
            SessionEvent::Malformed => self.ban(blob, peer, Misconduct::Malformed),
            SessionEvent::Closed => self.end_session(id),
        }
    }

    /// Queues a message; a peer that lets hundreds pile up is not reading, and is let go.
    pub(super) fn send(&mut self, blob: BlobHash, peer: PeerKey, message: Message) {
        let Some(id) = self.pairs.get(&(blob, peer)).copied() else {
            return;
        };
        let full = self
            .sessions
            .get_mut(&id)
            .is_some_and(|session| session.outgoing.try_send(message).is_err());
        if full {
            self.end_session(id);
        }
    }

    /// What was read for peers that ask for nothing more is let go of.
    fn end_reading(&mut self, blob: BlobHash) {
        if let Some(transfer) = self.transfers.get_mut(&blob)
            && !transfer.swarm.is_asked()
        {
            transfer.reading.forget();
        }
    }

    pub(super) fn end_session(&mut self, id: SessionId) {
        let Some(session) = self.sessions.remove(&id) else {
            return;
        };
        self.pairs.remove(&(session.blob, session.peer));
        self.count_sessions(session.peer);
        self.gate.forget(session.blob, session.peer);
        if !self.is_part(session.blob) {
            self.tell_pex(pex::Input::Left(session.blob, session.peer));
        }
        self.urgent = true;
        self.tell_swarm(session.blob, Input::Disconnected { peer: session.peer });
        self.end_reading(session.blob);
        let gone = match session.answered {
            true => discovery::Input::Disconnected(session.peer),
            false => discovery::Input::Failed(session.peer),
        };
        self.tell_discovery(session.blob, gone);
    }

    /// Ends the session with this peer, if there is one.
    pub(super) fn close(&mut self, blob: BlobHash, peer: PeerKey) {
        if let Some(id) = self.pairs.get(&(blob, peer)).copied() {
            self.end_session(id);
        }
    }

    pub(super) fn end_sessions_of(&mut self, blob: BlobHash) {
        let ids: Vec<_> = self
            .sessions
            .iter()
            .filter(|(_, session)| session.blob == blob)
            .map(|(id, _)| *id)
            .collect();
        ids.into_iter().for_each(|id| self.end_session(id));
    }

    /// A peer that lies is dropped and avoided, for every blob.
    pub(super) fn ban(&mut self, blob: BlobHash, peer: PeerKey, reason: Misconduct) {
        let Some(known) = self.peers.get_mut(peer) else {
            return;
        };
        rt::warning!(peer = known.id, reason = reason, "peer banned");
        known.banned = true;
        known.complain(
            format!("Dropped and avoided: it {reason}."),
            rt::unix_millis(),
        );
        let id = known.id;
        let ids: Vec<_> = self
            .sessions
            .iter()
            .filter(|(_, session)| session.peer == peer)
            .map(|(id, _)| *id)
            .collect();
        ids.into_iter().for_each(|id| self.end_session(id));
        let blobs: Vec<_> = self.transfers.keys().copied().chain([blob]).collect();
        for blob in blobs {
            self.tell_discovery(blob, discovery::Input::Banned(peer));
        }
        self.tell_neighbours(neighbours::Input::Banned(peer));
        let _ = self.swarm.disconnect_peer_id(id);
        self.urgent = true;
    }

    pub(super) fn count_sessions(&mut self, peer: PeerKey) {
        let sessions = self.sessions.values().filter(|known| known.peer == peer);
        let name = self.peers.get(peer).map(|peer| peer.id);
        let mail = name.map_or(0, |name| self.custody.streams_with(&name));
        self.links.pool.sessions(peer, sessions.count() + mail);
    }

    fn count_down(&mut self, blob: BlobHash, peer: PeerKey, bytes: u64) {
        self.links.pool.moved(peer, bytes, now());
        self.down.add(bytes);
        self.gate.day.received(bytes);
        if let Some(transfer) = self.transfers.get_mut(&blob) {
            transfer.down.add(bytes);
            transfer.stirred = now();
        }
        if let Some(peer) = self.peers.get_mut(peer) {
            peer.down.add(bytes);
        }
    }

    fn count_up(&mut self, blob: BlobHash, peer: PeerKey, bytes: u64) {
        self.links.pool.moved(peer, bytes, now());
        self.up.add(bytes);
        if let Some(transfer) = self.transfers.get_mut(&blob) {
            transfer.up.add(bytes);
            transfer.stirred = now();
            transfer.used();
        }
        if let Some(peer) = self.peers.get_mut(peer) {
            peer.up.add(bytes);
        }
    }
}
