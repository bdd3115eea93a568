//! Carries between the mailer, which has no network and no store, and the node.

use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;
use std::time::Duration;

use bytes::Bytes;
use futures::channel::{mpsc, oneshot};
use futures::{FutureExt, StreamExt, select};

use super::{Listener, PREFIX};
use crate::node::Node;
use crate::node::snapshot::JoinState;
use crate::proto::custody::PeerId;
use crate::proto::custody::message::Message;
use crate::proto::custody::region::Candidate;
use crate::proto::custody::stamp::Search;
use crate::proto::mail::message::MessageId;
use crate::proto::mail::post::{Input, Job, Output, Post, Ref};
use crate::rt;
use crate::store::shelf::Shelf;

/// How often it is looked which relays there are and whether there is a network. Ours: a page hears of both as they change.
const LOOK: Duration = Duration::from_secs(2);

/// Numbers tried for a stamp before others have their turn: some milliseconds.
const TRIES: u32 = 8192;

/// The longest that it sleeps: an hour, after which it looks again.
const LONGEST: Duration = Duration::from_secs(60 * 60);

/// Whether a message was taken: which and its conversation, or a code.
type Taken = oneshot::Sender<Result<(Ref, MessageId), &'static str>>;

/// What the driver is told. What others make it be told answers what it asked them, which the mailer bounds.
pub(super) enum Said {
    Input(Input),
    /// And who waits until it is durable.
    Then(Input, oneshot::Sender<()>),
    /// A message of this token, and who waits whether it is taken.
    Taken(Input, String, Taken),
}

pub(super) struct Driver<S: Shelf> {
    post: Post,
    node: Node<S>,
    said: mpsc::UnboundedSender<Said>,
    listener: Listener,
    ready: Rc<Cell<bool>>,
    /// When the mailer wants to be told of the time, in milliseconds since 1970.
    wake: Option<u64>,
    waiting: BTreeMap<String, Vec<Taken>>,
    /// Stamps that are searched for.
    searches: Rc<RefCell<BTreeSet<Job>>>,
    relays: Vec<PeerId>,
    online: bool,
}

impl<S: Shelf> Driver<S> {
    pub(super) fn new(
        post: Post,
        node: Node<S>,
        said: mpsc::UnboundedSender<Said>,
        listener: Listener,
        ready: Rc<Cell<bool>>,
    ) -> Self {
        Self {
            post,
            node,
            said,
            listener,
            ready,
            wake: None,
            waiting: BTreeMap::new(),
            searches: Rc::default(),
            relays: Vec::new(),
            online: false,
        }
    }

    pub(super) async fn run(mut self, mut inbox: mpsc::UnboundedReceiver<Said>) {
        let mut look = rt::now();
        loop {
            if !self.turn().await {
                break;
            }
            if look <= rt::now() {
                look = rt::now() + LOOK;
                if !self.look().await {
                    break;
                }
                continue;
            }
            let mut wait = look.saturating_sub(rt::now());
            if let Some(wake) = self.wake {
                wait = wait.min(Duration::from_millis(
                    wake.saturating_sub(rt::unix_millis()),
                ));
            }
            let sleep = rt::sleep(wait.min(LONGEST)).fuse();
            futures::pin_mut!(sleep);
            let said = select! {
                said = inbox.next() => said,
                () = sleep => None,
            };
            match said {
                Some(Said::Input(input)) => self.handle(input),
                Some(Said::Then(input, kept)) => {
                    self.handle(input);
                    if !self.turn().await {
                        break;
                    }
                    let _ = kept.send(());
                }
                Some(Said::Taken(input, token, taken)) => {
                    self.waiting.entry(token).or_default().push(taken);
                    self.handle(input);
                }
                None => {}
            }
            if self.wake.is_some_and(|wake| wake <= rt::unix_millis()) {
                self.wake = None;
                self.handle(Input::Tick);
            }
        }
        self.searches.borrow_mut().clear();
    }

    fn handle(&mut self, input: Input) {
        self.post.handle(input, rt::unix_millis());
    }

    /// Does all that the mailer wants, what is to be kept first; `false` if that failed: the mailer is ahead of what is durable then.
    async fn turn(&mut self) -> bool {
        let (mut outputs, mut values) = (Vec::new(), Vec::new());
        while let Some(output) = self.post.poll_output() {
            match output {
                Output::Save(name, value) => {
                    values.push((format!("{PREFIX}{name}"), value.map(Bytes::from)));
                }
                other => outputs.push(other),
            }
        }
        if !values.is_empty()
            && let Err(error) = self.node.store.set_values(values).await
        {
            tracing::error!(%error, "mail cannot be kept: its mailer ends");
            return false;
        }
        self.ready.set(self.post.is_ready());
        for output in outputs {
            if !self.act(output).await {
                return false;
            }
        }
        true
    }

    /// Looks whether there is a network, and which relays keep mail; `false` once the node has stopped.
    async fn look(&mut self) -> bool {
        let Ok(relays) = self.node.custody().relays().await else {
            return false;
        };
        if relays != self.relays {
            self.relays.clone_from(&relays);
            self.handle(Input::Relays(relays));
        }
        let state = self.node.stats().state;
        let online = matches!(state, JoinState::Joined | JoinState::Peers);
        if online && !self.online {
            self.handle(Input::Online);
        }
        self.online = online;
        true
    }

    async fn act(&mut self, output: Output) -> bool {
        match output {
            Output::Nearest(tag) => {
                let node = self.node.clone();
                self.answer(async move {
                    let peers = node.custody().nearest(tag).await.unwrap_or_default();
                    Input::Nearest(tag, peers.into_iter().map(Candidate::new).collect())
                });
            }
            Output::Open(peer) => return self.node.custody().open(peer).await.is_ok(),
            Output::Ask(peer, bytes) => return self.ask(peer, &bytes).await,
            Output::Get(key) => {
                let node = self.node.clone();
                self.answer(async move {
                    let found = node.custody().record(&key).await.unwrap_or_default();
                    Input::Records(key, found.iter().map(|value| value.to_vec()).collect())
                });
            }
            Output::Put(key, value) => {
                let node = self.node.clone();
                self.answer(async move {
                    let put = node.custody().put_record(&key, value.into()).await;
                    let holders = put.map_or(0, |holders| holders as usize);
                    Input::Put(key, holders)
                });
            }
            Output::Wake(at) => self.wake = Some(at),
            Output::Stamp {
                job, prefix, bits, ..
            } => self.search(job, prefix, bits),
            Output::Unstamp(job) => {
                self.searches.borrow_mut().remove(&job);
            }
            Output::Sent {
                token,
                message,
                thread,
            } => self.taken(&token, Ok((message, thread))),
            Output::Failed { token, code } => self.taken(&token, Err(code)),
            Output::Save(..) => {}
            other => (self.listener)(&other),
        }
        true
    }

    async fn ask(&self, peer: PeerId, bytes: &Bytes) -> bool {
        let custody = self.node.custody();
        match Message::decode(bytes) {
            Ok(message) => custody.send(peer, message).await.is_ok(),
            Err(_) => {
                let _ = self
                    .said
                    .unbounded_send(Said::Input(Input::Answer(peer, None)));
                true
            }
        }
    }

    fn taken(&mut self, token: &str, what: Result<(Ref, MessageId), &'static str>) {
        for waiting in self.waiting.remove(token).unwrap_or_default() {
            let _ = waiting.send(what);
        }
    }

    fn answer(&self, work: impl Future<Output = Input> + 'static) {
        let said = self.said.clone();
        rt::spawn(async move {
            let _ = said.unbounded_send(Said::Input(work.await));
        });
    }

    fn search(&self, job: Job, prefix: [u8; 32], bits: u8) {
        if !self.searches.borrow_mut().insert(job) {
            return;
        }
        let (said, searches) = (self.said.clone(), self.searches.clone());
        rt::spawn(async move {
            let mut search = Search::of_prefix(prefix, bits);
            while searches.borrow().contains(&job) {
                if let Some(nonce) = search.step(TRIES) {
                    searches.borrow_mut().remove(&job);
                    let _ = said.unbounded_send(Said::Input(Input::Stamped(job, nonce)));
                    return;
                }
                rt::yield_now().await;
            }
        });
    }
}
