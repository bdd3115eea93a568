//! How peers tell each other of new heads: `/gyre/names/1.0.0`.
//!
//! Whoever opens a stream follows names on it; whoever accepted it answers with what it holds and tells every newer record at
//! once. The opener may send records too: that is how a holder puts right one that lags, and how a publisher's record
//! reaches those whom it follows itself. A record is verified before it is passed on, and passed on only if it is new, so that
//! it crosses each link about once. The bytes are in `docs/names.md`.

mod message;

use std::collections::VecDeque;

use bytes::Bytes;

use super::Name;
use super::heads::{Heads, MAX_FOLLOWED, Source, Taken};
use super::record::RecordError;
use crate::proto::ordered::{Map, Set};
use crate::proto::types::Time;

pub use message::{MAX_MESSAGE, Message, MessageError, Refusal};

/// Names that may be followed on one stream. Ours: four streams carry all that a node follows.
pub const MAX_FOLLOWS: usize = 256;

/// Follows kept over all streams that others opened. Ours: at some 100 bytes each, 6 MiB on the busiest relay.
pub const MAX_FOLLOWERS: usize = 64 * 1024;

/// One stream, for as long as it lives; never used again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LinkId(pub u64);

/// What the edges tell it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Input {
    /// A stream is up: we opened it, or the remote, who is this source.
    Up {
        /// The stream.
        link: LinkId,
        /// Who is at its other end.
        source: Source,
        /// Whether we opened it.
        opened: bool,
    },
    /// It has ended.
    Down(LinkId),
    /// A message came on it.
    Received(LinkId, Message),
    /// Follow a name from now on.
    Follow(Name),
    /// No longer.
    Leave(Name),
    /// The head of this name is another than before, by something else than a message.
    Changed(Name),
}

/// What the edges must do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Output {
    /// Send this.
    Send(LinkId, Message),
    /// The head of this name is another than before, or is contradicted, by a message.
    Took(Name, Taken),
    /// End the stream: its other end sends what no honest one does.
    Drop(LinkId),
}

#[derive(Debug)]
struct Link {
    source: Source,
    opened: bool,
    /// What the remote follows here.
    follows: Set<Name>,
}

/// Who follows what, on all streams of one node or relay.
#[derive(Debug)]
pub struct Follow {
    /// Takes the records of any name (a relay), or of those that are followed only (a node).
    any: bool,
    links: Map<LinkId, Link>,
    followers: usize,
    ours: Set<Name>,
    out: VecDeque<Output>,
}

impl Follow {
    /// A node that takes what it follows.
    pub fn node() -> Self {
        Self::new(false)
    }

    /// A relay, which takes any name's record within the bounds of its heads.
    pub fn relay() -> Self {
        Self::new(true)
    }

    fn new(any: bool) -> Self {
        Self {
            any,
            links: Map::new(),
            followers: 0,
            ours: Set::new(),
            out: VecDeque::new(),
        }
    }

    /// The next thing to do; drain it after every [`handle`](Self::handle).
    pub fn poll_output(&mut self) -> Option<Output> {
        self.out.pop_front()
    }

    /// Names that are followed here.
    pub fn names(&self) -> impl Iterator<Item = &Name> {
        self.ours.iter()
    }

    /// Follows of others.
    pub fn followers(&self) -> usize {
        self.followers
    }

    /// Takes in what happened. `unix_millis` is the clock by which records expire.
    pub fn handle(&mut self, input: Input, heads: &mut Heads, now: Time, unix_millis: u64) {
        match input {
            Input::Up {
                link,
                source,
                opened,
            } => {
                let new = Link {
                    source,
                    opened,
                    follows: Set::new(),
                };
                if let Some(old) = self.links.insert(link, new) {
                    self.followers -= old.follows.len();
                }
                if opened {
                    let names: Vec<_> = self.ours.iter().take(MAX_FOLLOWS).copied().collect();
                    for name in names {
                        self.send(link, Message::Follow(name));
                    }
                }
            }
            Input::Down(link) => {
                if let Some(gone) = self.links.remove(&link) {
                    self.followers -= gone.follows.len();
                }
            }
            Input::Follow(name) => {
                if self.ours.len() < MAX_FOLLOWED && self.ours.insert(name) {
                    self.tell_opened(Message::Follow(name));
                }
            }
            Input::Leave(name) => {
                if self.ours.remove(&name) {
                    self.tell_opened(Message::Leave(name));
                }
            }
            Input::Changed(name) => self.spread(name, None, heads, unix_millis),
            Input::Received(link, message) => self.receive(link, message, heads, now, unix_millis),
        }
    }

    fn receive(
        &mut self,
        id: LinkId,
        message: Message,
        heads: &mut Heads,
        now: Time,
        unix_millis: u64,
    ) {
        let Some(link) = self.links.get_mut(&id) else {
            return;
        };
        match message {
            // Only whoever opened a stream follows on it.
            Message::Follow(_) | Message::Leave(_) if link.opened => {
                self.out.push_back(Output::Drop(id));
            }
            Message::Follow(name) => {
                let known = link.follows.contains(&name);
                let full = link.follows.len() >= MAX_FOLLOWS || self.followers >= MAX_FOLLOWERS;
                if !known && full {
                    let code = RecordError::Full.into();
                    return self.send(id, Message::Refused(name, code));
                }
                self.followers += usize::from(link.follows.insert(name));
                let answer = match heads.valid(&name, unix_millis) {
                    Some(record) => Message::Head(name, record.bytes().clone()),
                    None => Message::Nothing(name),
                };
                self.send(id, answer);
            }
            Message::Leave(name) => {
                self.followers -= usize::from(link.follows.remove(&name));
            }
            Message::Nothing(name) => {
                let ours = heads.valid(&name, unix_millis);
                let record = ours.map(|record| record.bytes().clone());
                if let Some(record) = record.filter(|_| self.ours.contains(&name)) {
                    self.send(id, Message::Head(name, record));
                }
            }
            Message::Head(name, bytes) => {
                let source = link.source;
                self.take(id, name, bytes, source, heads, now, unix_millis)
            }
            // What is refused there is known here by the answers that come with it.
            Message::Refused(..) => {}
        }
    }

    #[allow(clippy::too_many_arguments)]
    fn take(
        &mut self,
        id: LinkId,
        name: Name,
        bytes: Bytes,
        source: Source,
        heads: &mut Heads,
        now: Time,
        unix_millis: u64,
    ) {
        if !self.any && !self.ours.contains(&name) {
            return; // left a moment ago, or never asked for
        }
        let taken = heads.bring(name, &bytes, source, now, unix_millis);
        match taken {
            Ok(taken) => {
                if taken.changed() {
                    self.spread(name, Some(id), heads, unix_millis);
                }
                if taken != Taken::Same {
                    self.out.push_back(Output::Took(name, taken));
                }
            }
            Err(error) => {
                self.send(id, Message::Refused(name, error.into()));
                if matches!(
                    error,
                    RecordError::BadSignature | RecordError::Malformed(_) | RecordError::WrongName
                ) {
                    return self.out.push_back(Output::Drop(id));
                }
            }
        }
        // One that lags is put right; what it sent has passed the budget, so this does not run away.
        let ours = heads.valid(&name, unix_millis);
        let behind = match taken {
            Err(RecordError::Stale { .. } | RecordError::Expired) => true,
            Ok(Taken::Same | Taken::Fork { counts: false }) => {
                ours.is_some_and(|ours| *ours.bytes() != bytes)
            }
            _ => false,
        };
        if let Some(ours) = ours.filter(|_| behind) {
            let message = Message::Head(name, ours.bytes().clone());
            self.send(id, message);
        }
    }

    /// Tells a new head to all who follow it here, and to those whom we follow.
    fn spread(&mut self, name: Name, from: Option<LinkId>, heads: &Heads, unix_millis: u64) {
        let Some(record) = heads.valid(&name, unix_millis) else {
            return;
        };
        let ours = self.ours.contains(&name);
        // Two streams may lead to the same peer, one opened by each.
        let from = from.and_then(|from| self.links.get(&from));
        let mut told: Set<Source> = from.map(|link| link.source).into_iter().collect();
        for (id, link) in &self.links {
            let concerned = link.follows.contains(&name) || (link.opened && ours);
            if concerned && told.insert(link.source) {
                let message = Message::Head(name, record.bytes().clone());
                self.out.push_back(Output::Send(*id, message));
            }
        }
    }

    fn tell_opened(&mut self, message: Message) {
        let opened: Vec<_> = self
            .links
            .iter()
            .filter(|(_, link)| link.opened)
            .map(|(id, _)| *id)
            .collect();
        for link in opened {
            self.send(link, message.clone());
        }
    }

    fn send(&mut self, link: LinkId, message: Message) {
        self.out.push_back(Output::Send(link, message));
    }
}

#[cfg(all(test, not(target_arch = "wasm32")))]
mod tests;
