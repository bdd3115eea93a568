//! Mailboxes on other machines, as the person's mail uses them: who is near a tag, what is asked of whom, and what is kept here for
//! others.
//!
//! This is the network alone: what is asked, and what an answer means, is known to `proto::custody`'s depositor and collector.

use std::rc::Rc;

use bytes::Bytes;

use super::command::Command;
use super::error::{Error, Result};
use super::{Node, Store};
use crate::proto::custody::PeerId;
use crate::proto::custody::message::Message;
use crate::proto::custody::tag::Tag;
use crate::proto::records::is_key;

/// Hears answers, and `None` when a stream has ended or never came about.
pub type Listener = Rc<dyn Fn(PeerId, Option<&Message>)>;

/// What is kept for others.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Kept {
    /// Messages.
    pub envelopes: usize,
    /// Bytes that they take.
    pub bytes: u64,
    /// Attachments.
    pub blobs: usize,
    /// Bytes that these take.
    pub blob_bytes: u64,
}

/// Custody; from [`Node::custody`].
#[derive(Debug)]
pub struct Custody<'a, S: Store> {
    node: &'a Node<S>,
}

impl<S: Store> Node<S> {
    /// What has to do with mailboxes.
    pub fn custody(&self) -> Custody<'_, S> {
        Custody { node: self }
    }
}

impl<S: Store> Custody<'_, S> {
    /// Peers that may keep what lies under a tag, relays among them, nearest first: at most
    /// [`READ_WIDTH`](crate::proto::custody::READ_WIDTH). Takes up to 15 seconds.
    ///
    /// # Errors
    /// `Closed`.
    pub async fn nearest(&self, tag: Tag) -> Result<Vec<PeerId>> {
        self.node.ask(|reply| Command::Nearest { tag, reply }).await
    }

    /// Opens a stream to a peer; the listener hears its challenge, or that there is none.
    ///
    /// # Errors
    /// `Closed`.
    pub async fn open(&self, peer: PeerId) -> Result<()> {
        let message = None;
        self.node
            .tell(Command::AskCustodian { peer, message })
            .await
    }

    /// Asks a peer something, over a stream that is opened if there is none.
    ///
    /// # Errors
    /// `BadOptions` if it is no request, `Closed`.
    pub async fn send(&self, peer: PeerId, message: Message) -> Result<()> {
        if !message.is_request() {
            return Err(Error::BadOptions("this is no request".into()));
        }
        let message = Some(message);
        self.node
            .tell(Command::AskCustodian { peer, message })
            .await
    }

    /// Hears every answer from now on; replaces a former listener.
    ///
    /// # Errors
    /// `Closed`.
    pub async fn listen(
        &self,
        listener: impl Fn(PeerId, Option<&Message>) + 'static,
    ) -> Result<()> {
        let listener: Listener = Rc::new(listener);
        self.node
            .tell(Command::HearCustodians(Hearer(listener)))
            .await
    }

    /// Every different valid value that stands under a key in the indexes ([`proto::records`](crate::proto::records)); none if nobody
    /// has one or can be asked. Servers that lag are brought the best. Takes up to ten seconds.
    ///
    /// # Errors
    /// `BadOptions` for the key of anything else, `NotFound` if too many are asked for at once, `Closed`.
    pub async fn record(&self, key: &[u8]) -> Result<Vec<Bytes>> {
        if !is_key(key) {
            return Err(Error::BadOptions("no record stands under this key".into()));
        }
        let key = key.to_vec();
        let asked = self.node.ask(|reply| Command::GetRecord { key, reply });
        // The loop drops the question if there are too many.
        asked
            .await
            .map_err(|error| match self.node.commands.is_closed() {
                true => error,
                false => Error::NotFound,
            })
    }

    /// Brings a record of one's own into the indexes, now, when relays come back, and every hour while this node runs. How many
    /// servers hold it now: none if there are better ones, or nobody can be reached yet.
    ///
    /// # Errors
    /// `InvalidRecord`, `BadOptions` if there are too many, `NotFound` if too many are asked for at once, `Closed`.
    pub async fn put_record(&self, key: &[u8], value: Bytes) -> Result<u32> {
        let key = key.to_vec();
        let asked = self
            .node
            .ask(|reply| Command::PutRecord { key, value, reply });
        let put = asked
            .await
            .map_err(|error| match self.node.commands.is_closed() {
                true => error,
                false => Error::NotFound,
            });
        put?
    }

    /// Connected relays that keep mail.
    ///
    /// # Errors
    /// `Closed`.
    pub async fn relays(&self) -> Result<Vec<PeerId>> {
        self.node
            .ask(|reply| Command::MailboxRelays { reply })
            .await
    }

    /// What this node keeps for others, as of the last few hundred milliseconds.
    pub fn kept(&self) -> Kept {
        self.node.shared.borrow().kept
    }

    /// Work that the ids of custodians must show in this network, in bits.
    pub fn puzzle_bits(&self) -> u8 {
        self.node.shared.borrow().puzzle_bits
    }
}

/// A listener on its way to the loop.
pub(super) struct Hearer(pub Listener);

impl std::fmt::Debug for Hearer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Hearer")
    }
}
