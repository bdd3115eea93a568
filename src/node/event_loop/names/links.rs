//! Streams of `/gyre/names/1.0.0`: opened to those that are linked anyway while names are followed, accepted within bounds.

use std::time::Duration;

use futures::channel::mpsc;
use libp2p::PeerId;

use super::super::{Event, EventLoop, now};
use super::Stream;
use crate::net::index::providers::source_of;
use crate::net::{names, session as streams};
use crate::proto::discovery;
use crate::proto::name::follow::{Input, LinkId, Message, Output};
use crate::proto::types::Time;
use crate::rt;
use crate::store::Store;

/// Streams that we open. Ours: as many links as a node keeps standing, and its relays.
const MAX_OPENED: usize = 24;

/// Streams that others opened.
const MAX_ACCEPTED: usize = 64;

/// Streams that one peer may have open here: its old one may not have been noticed as dead.
const MAX_ACCEPTED_PER_PEER: usize = 2;

/// Pause before a stream to a peer that ended one is opened again.
const REOPEN_PAUSE: Duration = Duration::from_secs(5);

impl<S: Store> EventLoop<S> {
    /// A linked peer says whether it speaks the protocol.
    pub(in super::super) fn on_names_offer(&mut self, peer: PeerId, offers: bool) {
        if offers {
            self.names.offering.entry(peer).or_default();
            self.open_name_links();
        }
    }

    /// The last connection to a peer is gone.
    pub(in super::super) fn on_names_unlinked(&mut self, peer: &PeerId) {
        self.names.offering.remove(peer);
        if let Some(key) = self.peers.by_id(peer).map(|peer| peer.key) {
            self.tell_meetings(discovery::Input::Disconnected(key));
        }
    }

    pub(super) fn open_name_links(&mut self) {
        if self.names.followed.is_empty() {
            return;
        }
        let at = now();
        let used = |names: &super::Names, peer: &PeerId| {
            names.opening.values().any(|other| other == peer)
                || names
                    .links
                    .values()
                    .any(|link| link.opened && link.peer == *peer)
        };
        let opened = self.names.links.values().filter(|link| link.opened).count();
        let room = MAX_OPENED.saturating_sub(opened + self.names.opening.len());
        let due: Vec<_> = self
            .names
            .offering
            .iter()
            .filter(|(peer, from)| **from <= at && !used(&self.names, peer))
            .map(|(peer, _)| *peer)
            .take(room)
            .collect();
        for peer in due {
            let open = streams::OpenId(self.fresh_id());
            self.names.opening.insert(open, peer);
            self.swarm.behaviour_mut().names.get_mut().open(peer, open);
        }
    }

    /// When a stream may be opened again, if one may.
    pub(super) fn next_name_link(&self) -> Option<Time> {
        let at = now();
        let waiting = self.names.offering.values().filter(|from| **from > at);
        waiting.min().copied()
    }

    pub(in super::super) fn on_names_stream(&mut self, event: streams::Event) {
        let (peer, stream, opened) = match event {
            streams::Event::Inbound { peer, stream } => {
                let banned = self.peers.by_id(&peer).is_none_or(|peer| peer.banned);
                // Without the person's word nobody is served, and nobody learns what is read here.
                let banned = banned || !self.gate.may_send();
                let accepted = || self.names.links.values().filter(|link| !link.opened);
                let of_peer = accepted().filter(|link| link.peer == peer).count();
                if banned || of_peer >= MAX_ACCEPTED_PER_PEER || accepted().count() >= MAX_ACCEPTED
                {
                    return; // dropping the stream resets it
                }
                (peer, stream, false)
            }
            streams::Event::Opened { id, stream } => match self.names.opening.remove(&id) {
                Some(peer) => (peer, stream, true),
                None => return,
            },
            streams::Event::Failed { id } => {
                if let Some(peer) = self.names.opening.remove(&id) {
                    self.reopen_later(peer);
                }
                return;
            }
        };
        let link = LinkId(self.fresh_id());
        let (outgoing, queue) = mpsc::channel(names::SEND_QUEUE);
        let known = Stream {
            peer,
            opened,
            outgoing,
        };
        self.names.links.insert(link, known);
        rt::spawn(names::run::<_, _, Event>(
            link,
            stream,
            queue,
            self.outbox.clone(),
        ));
        self.tell_follow(Input::Up {
            link,
            source: source_of(&peer),
            opened,
        });
    }

    /// A message came, or the stream has ended.
    pub(in super::super) fn on_names_message(&mut self, link: LinkId, message: Option<Message>) {
        match message {
            Some(message) if self.names.links.contains_key(&link) => {
                self.tell_follow(Input::Received(link, message));
            }
            Some(_) => {} // a late word of a stream that was let go
            None => self.drop_name_link(link),
        }
    }

    pub(super) fn tell_follow(&mut self, input: Input) {
        let (at, unix) = (now(), rt::unix_millis());
        self.names
            .follow
            .handle(input, &mut self.names.heads, at, unix);
        while let Some(output) = self.names.follow.poll_output() {
            match output {
                Output::Send(link, message) => {
                    let full = self
                        .names
                        .links
                        .get_mut(&link)
                        .is_some_and(|link| link.outgoing.try_send(message).is_err());
                    if full {
                        self.drop_name_link(link);
                    }
                }
                Output::Took(name, taken) => {
                    tracing::debug!(%name, ?taken, "a head from a peer");
                    if let Some(followed) = self.names.followed.get_mut(&name) {
                        followed.reached = Some(now());
                    }
                    self.on_head(name);
                }
                Output::Drop(link) => self.drop_name_link(link),
            }
        }
    }

    fn drop_name_link(&mut self, id: LinkId) {
        let Some(link) = self.names.links.remove(&id) else {
            return;
        };
        // Nothing follows from the end of a stream but that it is forgotten.
        self.names
            .follow
            .handle(Input::Down(id), &mut self.names.heads, now(), 0);
        if link.opened {
            self.reopen_later(link.peer);
        }
    }

    fn reopen_later(&mut self, peer: PeerId) {
        if let Some(from) = self.names.offering.get_mut(&peer) {
            *from = now() + REOPEN_PAUSE;
            let at = *from;
            let sooner = self
                .alarms
                .get(&super::Alarm::Names)
                .is_none_or(|due| *due > at);
            if sooner {
                self.set_alarm(super::Alarm::Names, at);
            }
        }
    }
}
