//! Who asks a custodian: what each was shown to read, and how much each may ask.

use std::time::Duration;

use crate::proto::budget::Budget;
use crate::proto::custody::PeerId;
use crate::proto::custody::message::Nonce;
use crate::proto::custody::tag::Tag;
use crate::proto::ordered::Map;
use crate::proto::types::Time;

/// Streams that others hold open here: a page links to about 40 peers, a relay serves more than it.
pub const MAX_CLIENTS: usize = 256;

/// Peers whose budgets are remembered, so that coming back gives nobody more.
pub const MAX_REMEMBERED: usize = 1024;

/// Tags that a client may read on one stream: both lanes of seven weeks, twice.
pub const MAX_TAGS: usize = 32;

/// One peer.
#[derive(Debug)]
pub(super) struct Client {
    /// The challenge of its stream, while there is one.
    pub(super) nonce: Option<Nonce>,
    /// Tags that it showed to be its own.
    pub(super) reads: Vec<Tag>,
    /// Those of which it is told.
    pub(super) watches: Vec<Tag>,
    /// Envelopes in a moment: ten, and one a second.
    pub(super) puts: Budget,
    /// Envelopes in a day: 256, and one in five minutes, 8 MiB a day in the end.
    pub(super) puts_of_day: Budget,
    /// Requests and envelopes asked for: 256 and twenty a second; a full mailbox at once.
    pub(super) asks: Budget,
}

/// All that are remembered.
#[derive(Debug, Default)]
pub(super) struct Clients(Map<PeerId, Client>);

impl Clients {
    /// A stream has come; false if there are too many.
    pub(super) fn open(&mut self, peer: PeerId, nonce: Nonce) -> bool {
        let open = self.0.values().filter(|client| client.nonce.is_some());
        if open.count() >= MAX_CLIENTS {
            return false;
        }
        if self.0.len() >= MAX_REMEMBERED && !self.0.contains_key(&peer) {
            let closed = self.0.iter().find(|(_, client)| client.nonce.is_none());
            if let Some(closed) = closed.map(|(peer, _)| *peer) {
                self.0.remove(&closed);
            }
        }
        let client = self.0.entry(peer).or_insert_with(|| Client {
            nonce: None,
            reads: Vec::new(),
            watches: Vec::new(),
            puts: Budget::new(10, Duration::from_secs(1)),
            puts_of_day: Budget::new(256, Duration::from_secs(5 * 60)),
            asks: Budget::new(256, Duration::from_millis(50)),
        });
        client.nonce = Some(nonce);
        client.reads.clear();
        client.watches.clear();
        true
    }

    /// Its stream has ended.
    pub(super) fn close(&mut self, peer: PeerId) {
        if let Some(client) = self.0.get_mut(&peer) {
            client.nonce = None;
            client.reads.clear();
            client.watches.clear();
        }
    }

    /// A peer with a stream.
    pub(super) fn get_mut(&mut self, peer: PeerId) -> Option<&mut Client> {
        self.0
            .get_mut(&peer)
            .filter(|client| client.nonce.is_some())
    }

    /// Whoever watches a tag.
    pub(super) fn watchers(&self, tag: Tag) -> Vec<PeerId> {
        let watching = |client: &Client| client.nonce.is_some() && client.watches.contains(&tag);
        let all = self.0.iter().filter(|(_, client)| watching(client));
        all.map(|(peer, _)| *peer).collect()
    }

    /// Takes one from a peer's budgets of envelopes, if both have one.
    pub(super) fn may_put(&mut self, peer: PeerId, now: Time) -> bool {
        self.get_mut(peer)
            .is_some_and(|client| client.puts.try_take(now) && client.puts_of_day.try_take(now))
    }

    /// Takes one from a peer's budget of requests, if it has one.
    pub(super) fn may_ask(&mut self, peer: PeerId, now: Time) -> bool {
        self.get_mut(peer)
            .is_some_and(|client| client.asks.try_take(now))
    }
}
