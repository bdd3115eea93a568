//! The mail of the person whose node this is: [`Post`] over the node's custody streams, records and store.
//!
//! What `www/sdk/mail` does in a page, natively and without a mailbox: letters and what becomes of them are handed to a listener. All
//! that follows of one input is one turn: what is to be kept is durable before anything of it leaves or is told. It ends
//! with the node.

mod driver;
mod enclosures;

use std::cell::Cell;
use std::rc::Rc;

use futures::channel::{mpsc, oneshot};

use self::driver::{Driver, Said};
use super::Node;
use crate::proto::identity::Id;
use crate::proto::mail::MailError;
use crate::proto::mail::message::MessageId;
use crate::proto::mail::post::{Draft, Forwarded, Input, Output, Post, Ref};
use crate::rt;
use crate::store::StoreError;
use crate::store::shelf::Shelf;

/// Names of saved values begin with it.
const PREFIX: &str = "mail/";

/// Why a call to the mailer failed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The node's word.
    #[error(transparent)]
    Node(#[from] super::Error),
    /// The mail's word.
    #[error(transparent)]
    Mail(#[from] MailError),
    /// A message was not taken: a code of [`MailError`].
    #[error("the message was not taken: {0}")]
    Refused(&'static str),
    /// The mailer has ended: with its node, or because its state could not be kept.
    #[error("the mailer has ended")]
    Ended,
}

impl From<StoreError> for Error {
    fn from(error: StoreError) -> Self {
        Self::Node(error.into())
    }
}

/// Result of a call.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Hears what is no work of the driver's: letters, what became of messages, contacts, the identity.
type Listener = Rc<dyn Fn(&Output)>;

/// The mail of one person at a node; clones are the same.
#[derive(Clone)]
pub struct Mailer<S: Shelf> {
    node: Node<S>,
    said: mpsc::UnboundedSender<Said>,
    id: Id,
    card: String,
    room: usize,
    ready: Rc<Cell<bool>>,
}

impl<S: Shelf> std::fmt::Debug for Mailer<S> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Mailer")
            .field("id", &self.id)
            .finish_non_exhaustive()
    }
}

impl<S: Shelf> Mailer<S> {
    /// Opens the mail of the person whose keys the node has, with what was saved before. `listener` hears what is for them, once it is
    /// durable; a letter comes again in each run until [`Input::Stored`] is said.
    ///
    /// # Errors
    /// `Node` if there are no keys or they are locked, `Mail` if what was saved is somebody else's.
    pub async fn open(node: &Node<S>, listener: impl Fn(&Output) + 'static) -> Result<Self> {
        let secret = node.keys().mail_secret().await?;
        let saved = node.store.values(PREFIX).await?;
        let entries = saved.into_iter().map(|(name, value)| {
            let name = name.trim_start_matches(PREFIX).to_owned();
            (name, value.to_vec())
        });
        let puzzle_bits = node.custody().puzzle_bits();
        let post = Post::new(
            *secret,
            entries.collect(),
            rt::random(),
            puzzle_bits,
            rt::unix_millis(),
        )?;
        let (said, inbox) = mpsc::unbounded();
        let answers = said.clone();
        node.custody()
            .listen(move |peer, message| {
                // Without the two bytes of its length.
                let message = message.map(|message| message.encode().slice(2..));
                let _ = answers.unbounded_send(Said::Input(Input::Answer(peer, message)));
            })
            .await?;
        let mailer = Self {
            node: node.clone(),
            said: said.clone(),
            id: post.id(),
            card: post.card(),
            room: post.room_to_forward(),
            ready: Rc::new(Cell::new(post.is_ready())),
        };
        let listener: Listener = Rc::new(listener);
        let driver = Driver::new(
            post,
            node.clone(),
            said.clone(),
            listener,
            mailer.ready.clone(),
        );
        rt::spawn(driver.run(inbox));
        Ok(mailer)
    }

    /// Who the person is.
    pub fn id(&self) -> Id {
        self.id
    }

    /// A link to write to them.
    pub fn card(&self) -> &str {
        &self.card
    }

    /// Whether mail is sent and read.
    pub fn is_ready(&self) -> bool {
        self.ready.get()
    }

    /// Bytes of a mail that are passed on in an envelope; a longer one is [shared](Self::enclose) first.
    pub fn room_to_forward(&self) -> usize {
        self.room
    }

    /// Begins a new identity of this name, unless there is one.
    ///
    /// # Errors
    /// `Ended`.
    pub async fn begin(&self, name: &str) -> Result<()> {
        self.told(Input::Begin(name.to_owned())).await
    }

    /// Tells the mailer something, and waits until what follows of it is durable.
    ///
    /// # Errors
    /// `Ended`.
    pub async fn told(&self, input: Input) -> Result<()> {
        let (kept, durable) = oneshot::channel();
        self.say(Said::Then(input, kept))?;
        durable.await.map_err(|_| Error::Ended)
    }

    /// Sends a message. The same token is the same message, however often it is sent; it ends when the message is safe in the outbox.
    ///
    /// # Errors
    /// `Refused`, `Ended`.
    pub async fn send(&self, draft: Draft, token: String) -> Result<(Ref, MessageId)> {
        let input = Input::Send(draft, token.clone());
        self.taken(input, token).await
    }

    /// Passes a mail from outside on; ends when it was taken, which is before it is sealed.
    ///
    /// # Errors
    /// `Refused`, `Ended`.
    pub async fn forward(&self, mail: Forwarded, token: String) -> Result<(Ref, MessageId)> {
        let input = Input::Forward(mail, token.clone());
        self.taken(input, token).await
    }

    async fn taken(&self, input: Input, token: String) -> Result<(Ref, MessageId)> {
        let (reply, answer) = oneshot::channel();
        self.say(Said::Taken(input, token, reply))?;
        let taken = answer.await.map_err(|_| Error::Ended)?;
        taken.map_err(Error::Refused)
    }

    fn say(&self, said: Said) -> Result<()> {
        self.said.unbounded_send(said).map_err(|_| Error::Ended)
    }
}
