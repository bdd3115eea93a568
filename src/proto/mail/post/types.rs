//! What the edges tell the mailer, and what they must do for it.

use bytes::Bytes;

use super::identity::Stage as IdentityStage;
use super::outbox::Stage;
use super::people::Standing;
use super::renewal::Change;
use crate::proto::custody::region::Candidate;
use crate::proto::custody::tag::Tag;
use crate::proto::custody::{MessageId as DepositId, PeerId};
use crate::proto::identity::card::Card;
use crate::proto::identity::{Id, Key};
use crate::proto::mail::enclosure::Enclosure;
use crate::proto::mail::message::{Body, MessageId};
use crate::proto::types::BlobHash;

/// A message as the page knows it: the hash of its sender and its id, so that nobody's message can take the place of another's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Ref(pub [u8; 16]);

impl Ref {
    /// That of a message.
    pub fn of(from: Id, message: MessageId) -> Self {
        let mut hasher = blake3::Hasher::new_derive_key(CONTEXT);
        hasher.update(&from.0).update(&message.0);
        let mut out = [0; 16];
        out.copy_from_slice(&hasher.finalize().as_bytes()[..16]);
        Self(out)
    }
}

const CONTEXT: &str = "gyre 2026-11-23 mail reference";

/// A search for a stamp: by what it is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Job(pub DepositId);

/// What the person writes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Draft {
    /// To whom; at most [`MAX_RECIPIENTS`](super::notes::MAX_RECIPIENTS).
    pub to: Vec<Id>,
    /// The conversation that it continues; none for a new one.
    pub thread: Option<MessageId>,
    /// The message that it answers.
    pub answers: Option<Ref>,
    /// The text.
    pub body: Body,
    /// What is attached.
    pub enclosures: Vec<Enclosure>,
}

/// A mail from outside, which is passed on to one recipient: whoever passes it on does not say that they wrote it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Forwarded {
    /// To whom.
    pub to: Id,
    /// Where it came in: a domain of at most [`MAX_ORIGIN_LEN`](super::notes::MAX_ORIGIN_LEN) bytes.
    pub origin: String,
    /// The conversation; none for one of its own.
    pub thread: Option<MessageId>,
    /// The mail as it came.
    pub body: Body,
}

/// What a person decides about strangers and receipts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Policy {
    /// The stamp that strangers pay, in bits.
    pub stamp_bits: u8,
    /// Whether senders are told when their mail was read.
    pub read_receipts: bool,
    /// Whether strangers may write.
    pub open: bool,
    /// Relays that keep mail; none for those that are connected.
    pub relays: Vec<PeerId>,
}

/// What the person says of somebody.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Contact {
    /// Of whom.
    pub id: Id,
    /// What they are called here; `None` leaves it.
    pub petname: Option<String>,
    /// What they are.
    pub standing: Standing,
    /// What they handed over.
    pub card: Option<Card>,
}

/// What the edges tell it.
#[derive(Debug, Clone)]
pub enum Input {
    /// Begin a new identity, of this name.
    Begin(String),
    /// Look for the identity of this secret, and add this device to it.
    Recover(String),
    /// The time of the last `Wake` has come (harmless at any time).
    Tick,
    /// There is a network again.
    Online,
    /// More randomness.
    Random(Vec<u8>),
    /// The peers nearest to a tag, nearest first.
    Nearest(Tag, Vec<Candidate>),
    /// An answer of a peer, without the bytes of its length; `None` when the stream has ended or none came about.
    Answer(PeerId, Option<Bytes>),
    /// The different values under a key of the index; none if nothing was found.
    Records(Vec<u8>, Vec<Vec<u8>>),
    /// So many peers hold what was put under a key.
    Put(Vec<u8>, usize),
    /// Relays that offer mailboxes.
    Relays(Vec<PeerId>),
    /// A stamp was found.
    Stamped(Job, u64),
    /// Bring this to its recipients. The same token is the same message, however often it is said.
    Send(Draft, String),
    /// Pass a mail from outside on. It is forgotten as soon as it is sealed, so it is not tried anew once it has expired; `Cancel` before
    /// then leaves nothing of it. The same token is the same message.
    Forward(Forwarded, String),
    /// Stop what has not arrived yet.
    Cancel(Ref),
    /// Send again what expired or was refused.
    Retry(Ref),
    /// A letter is durable on this machine.
    Stored(Ref),
    /// The person read it.
    Read(Ref),
    /// The person deletes it for good.
    Remove(Ref),
    /// The person says who somebody is to them.
    Contact(Contact),
    /// The person decides about strangers and receipts.
    Policy(Policy),
    /// A device of the person's is lost or sold.
    RemoveDevice(Key),
    /// The person changes the keys of their identity, takes it back or gives it up.
    Change(Change),
    /// What the other devices are to know: all of it.
    Sync(Vec<u8>),
}

/// A letter that arrived.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Letter {
    /// Which.
    pub message: Ref,
    /// The conversation.
    pub thread: MessageId,
    /// Who wrote it, as their identity proves.
    pub from: Id,
    /// The device that signed it.
    pub device: Key,
    /// To whom, by the word of who wrote it.
    pub to: Vec<Id>,
    /// When, in milliseconds since 1970, by the clock of who wrote it.
    pub time_millis: u64,
    /// The text.
    pub body: Body,
    /// What is attached.
    pub enclosures: Vec<Enclosure>,
    /// Whether it comes of somebody unknown, and waits for the person.
    pub request: bool,
    /// Whether another device of the person's sent it.
    pub own: bool,
    /// Whether the person is not to be told of it.
    pub muted: bool,
    /// Where it came in from outside, by the word of who passed it on. Then nothing else proves who wrote it.
    pub origin: Option<String>,
}

/// What became of a message for one recipient.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Status {
    /// Which message.
    pub message: Ref,
    /// Which recipient.
    pub to: Id,
    /// What.
    pub stage: Stage,
    /// Peers that signed that they hold it.
    pub peers: usize,
    /// Relays that did.
    pub relays: usize,
    /// While enough of them hold the letter, and not enough yet what is attached: how many signed for that, and how many are to.
    pub kept: Option<(usize, usize)>,
    /// Why it waits or was refused: a stable code.
    pub why: Option<String>,
}

/// A device of the person's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DeviceView {
    /// Its key.
    pub key: Key,
    /// Whether it is this one.
    pub me: bool,
    /// When it was added, in milliseconds since 1970.
    pub since: u64,
    /// When it was last heard of; 0 for never.
    pub seen: u64,
}

/// What the edges must do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Output {
    /// Find the peers nearest to a tag.
    Nearest(Tag),
    /// Open a stream of ours to a peer; its challenge comes by itself.
    Open(PeerId),
    /// Send a request on it.
    Ask(PeerId, Bytes),
    /// Find what stands under a key of the index.
    Get(Vec<u8>),
    /// Put a value there.
    Put(Vec<u8>, Vec<u8>),
    /// Keep a value, or no longer. Before anything that comes after it.
    Save(String, Option<Vec<u8>>),
    /// Come back with `Tick` at this time in milliseconds since 1970, unless another `Wake` follows.
    Wake(u64),
    /// Search for a stamp.
    Stamp {
        /// Name it when it is found.
        job: Job,
        /// Which message it is for.
        message: Ref,
        /// Which recipient asks for it.
        to: Id,
        /// Stamps that this recipient was paid before it, and in all.
        paid: (u8, u8),
        /// What is hashed before the number.
        prefix: [u8; 32],
        /// Its strength.
        bits: u8,
    },
    /// A stamp that is not needed any more.
    Unstamp(Job),
    /// Custodians are to keep this blob, of so many bytes.
    Keep(BlobHash, u64),
    /// A letter, until `Stored` is said.
    Letter(Box<Letter>),
    /// What became of a message.
    Status(Status),
    /// A message is safe in the outbox.
    Sent {
        /// Whose token it was.
        token: String,
        /// Which message.
        message: Ref,
        /// Its conversation.
        thread: MessageId,
    },
    /// A message was not taken.
    Failed {
        /// Whose token it was.
        token: String,
        /// Why: a stable code.
        code: &'static str,
    },
    /// Who somebody is.
    Contact {
        /// Who.
        id: Id,
        /// What they are to the person.
        standing: Standing,
        /// What they call themselves.
        name: Option<String>,
        /// What the person calls them.
        petname: Option<String>,
        /// Since when, in milliseconds since 1970.
        since: u64,
        /// Whether their identity contradicts itself.
        forked: bool,
        /// Whether they have given it up.
        ended: bool,
    },
    /// How it stands with the person's identity.
    Identity {
        /// How.
        stage: IdentityStage,
        /// Its devices.
        devices: Vec<DeviceView>,
        /// The sites that it names, by number, and the names that they have now.
        sites: Vec<(u32, Key)>,
        /// Contradictions in it.
        forks: usize,
        /// Forks of its own machines, as far as can be seen, of which one side waits to be signed again.
        open: usize,
        /// Those of which nothing is lost.
        settled: usize,
        /// While it is looked for: whether nothing was found so far.
        lost: bool,
        /// Whether the next key and the recovery key are on paper alone.
        on_paper: bool,
        /// What the person calls themselves.
        name: String,
    },
    /// What another device is to tell this one.
    Sync(Key, Vec<u8>),
    /// The person removed it on another device.
    Gone(Ref),
    /// Something that came was not let in: a stable code.
    Refused(&'static str),
}
