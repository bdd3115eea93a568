//! Mailboxes on other machines, as the person's mail uses them: who is near a tag, what is asked of whom, and what is kept here for
//! others.
//!
//! This is the network alone: what is asked, and what an answer means, is known to `proto::custody`'s depositor and collector.

use std::rc::Rc;

use futures::channel::oneshot;

use super::command::Command;
use super::error::{Error, Result};
use super::{Node, Store};
use crate::proto::custody::PeerId;
use crate::proto::custody::custodian::Custodian;
use crate::proto::custody::message::Message;
use crate::proto::custody::tag::Tag;

/// Hears answers, and `None` when a stream has ended or never came about.
pub type Listener = Rc<dyn Fn(PeerId, Option<&Message>)>;

/// What is kept for others.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Kept {
    /// Messages.
    pub envelopes: usize,
}

impl Kept {
    pub(super) fn of(custodian: &Custodian) -> Self {
        Self {
            envelopes: custodian.len(),
        }
    }
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

    /// Connected relays that keep mail.
    ///
    /// # Errors
    /// `Closed`.
    pub async fn relays(&self) -> Result<Vec<PeerId>> {
        self.node
            .ask(|reply| Command::MailboxRelays { reply })
            .await
    }

    /// What this node keeps for others.
    ///
    /// # Errors
    /// `Closed`.
    pub async fn kept(&self) -> Result<Kept> {
        let asked = |reply: oneshot::Sender<Kept>| Command::KeptForOthers { reply };
        self.node.ask(asked).await
    }
}

/// A listener on its way to the loop.
pub(super) struct Hearer(pub Listener);

impl std::fmt::Debug for Hearer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Hearer")
    }
}
