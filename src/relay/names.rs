//! The relay's part in names: it keeps records that it has verified, and tells those who follow a name of newer ones at once.
//!
//! The records are those of its index, so that one put there in any way reaches every follower.

use std::collections::HashMap;

use futures::channel::mpsc;
use libp2p::PeerId;

use crate::net::index::providers::source_of;
use crate::net::names;
use crate::net::session;
use crate::proto::denylist::Denylist;
use crate::proto::name::Name;
use crate::proto::name::follow::{Follow, Input, LinkId, Message, Output};
use crate::proto::name::heads::Heads;
use crate::proto::types::Time;
use crate::rt;

/// A message that came on a stream; `None` when it has ended.
pub(crate) type Said = (LinkId, Option<Message>);

/// Messages of all streams that wait for the loop; a full inbox makes the remotes wait.
const INBOX: usize = 1024;

/// Streams that one peer may have open: its old one may not have been noticed as dead.
const MAX_STREAMS_PER_PEER: usize = 2;

/// Streams at once. Ours: as many as a large relay has connections.
const MAX_STREAMS: usize = 20_000;

/// The streams and who follows what on them.
pub(crate) struct Names {
    follow: Follow,
    links: HashMap<LinkId, (PeerId, mpsc::Sender<Message>)>,
    of_peer: HashMap<PeerId, usize>,
    next: u64,
    outbox: mpsc::Sender<Said>,
    pub(crate) inbox: mpsc::Receiver<Said>,
}

impl Names {
    pub(crate) fn new() -> Self {
        let (outbox, inbox) = mpsc::channel(INBOX);
        Self {
            follow: Follow::relay(),
            links: HashMap::new(),
            of_peer: HashMap::new(),
            next: 0,
            outbox,
            inbox,
        }
    }

    /// Follows of others.
    pub(crate) fn followers(&self) -> usize {
        self.follow.followers()
    }

    pub(crate) fn on_stream(&mut self, event: session::Event, heads: &mut Heads) {
        let session::Event::Inbound { peer, stream } = event else {
            return; // a relay opens none
        };
        let of_peer = self.of_peer.get(&peer).copied().unwrap_or_default();
        if of_peer >= MAX_STREAMS_PER_PEER || self.links.len() >= MAX_STREAMS {
            return; // dropping the stream resets it
        }
        self.next += 1;
        let link = LinkId(self.next);
        let (outgoing, queue) = mpsc::channel(names::SEND_QUEUE);
        self.links.insert(link, (peer, outgoing));
        self.of_peer.insert(peer, of_peer + 1);
        tokio::spawn(names::run(link, stream, queue, self.outbox.clone()));
        let source = source_of(&peer);
        let up = Input::Up {
            link,
            source,
            opened: false,
        };
        self.handle(up, heads);
    }

    pub(crate) fn on_said(
        &mut self,
        (link, message): Said,
        heads: &mut Heads,
        denylist: &Denylist,
    ) {
        match message {
            // As if nobody knew it.
            Some(message) if denylist.denies_name(message.name()) => {}
            Some(message) if self.links.contains_key(&link) => {
                self.handle(Input::Received(link, message), heads)
            }
            Some(_) => {} // a late word of a stream that was let go
            None => self.drop_link(link, heads),
        }
    }

    /// The index has taken a record of this name.
    pub(crate) fn on_changed(&mut self, name: Name, heads: &mut Heads) {
        self.handle(Input::Changed(name), heads);
    }

    fn handle(&mut self, input: Input, heads: &mut Heads) {
        self.follow
            .handle(input, heads, Time::default() + rt::now(), rt::unix_millis());
        while let Some(output) = self.follow.poll_output() {
            match output {
                Output::Send(link, message) => {
                    let full = self
                        .links
                        .get_mut(&link)
                        .is_some_and(|(_, outgoing)| outgoing.try_send(message).is_err());
                    if full {
                        self.drop_link(link, heads);
                    }
                }
                Output::Took(..) => {}
                Output::Drop(link) => self.drop_link(link, heads),
            }
        }
    }

    fn drop_link(&mut self, link: LinkId, heads: &mut Heads) {
        let Some((peer, _)) = self.links.remove(&link) else {
            return;
        };
        if let Some(count) = self.of_peer.get_mut(&peer) {
            *count -= 1;
            if *count == 0 {
                self.of_peer.remove(&peer);
            }
        }
        // Nothing follows from it but that the stream is forgotten.
        let now = Time::default() + rt::now();
        self.follow.handle(Input::Down(link), heads, now, 0);
    }
}
