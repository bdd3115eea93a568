//! A bridge to SMTP, off unless the operator names a domain: mail for it is sealed to its recipient at once, and left at custodians.
//!
//! It has an identity of its own, on the native node beside the relay ([`super::keeper`]), and everything runs on that node's thread. What it
//! passes on says where it came in, so that nobody takes it for the recipient's own network's word. Whoever runs the bridge sees each mail
//! as it passes, in memory; `docs/bridge.md` says what that means, and what each answer stands for.

mod check;
mod command;
mod delivery;
mod head;
mod inbound;
mod outbound;
mod recipients;
mod session;
mod wire;

use std::cell::RefCell;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures::StreamExt;
use tokio::net::TcpListener;
use tokio::sync::{Semaphore, watch};

use self::check::Checks;
use self::command::is_address;
use self::inbound::{Inbound, Standings};
use self::outbound::Outbound;
use self::recipients::Recipients;
use self::session::{Door, Session};
use self::wire::ROOM_STEP;
use super::rate::{Buckets, Rate, address_group};
use super::seats::Seats;
use super::stopped;
use super::tls::{Tls, TlsConfig, TlsError};
use crate::node::Node;
use crate::node::keys::State;
use crate::node::mail::{self, Mailer};
use crate::proto::custody::stamp::DEFAULT_BITS;
use crate::proto::mail::enclosure::MAX_ENCLOSURES_LEN;
use crate::proto::mail::post::{Input, Output, Policy, Ref};
use crate::store::disk::DiskStore;

/// Connections at once, at both doors together, and from one address.
const MAX_SESSIONS: usize = 64;
const SESSIONS_PER_ADDRESS: u32 = 8;

/// Bytes of mails that are being taken in at once: five of the longest.
const ROOM: usize = 128 << 20;

/// Bytes that the head of a mail may grow by as it is taken in.
const GROWTH: u64 = 64 << 10;

/// How a bridge runs.
#[derive(Debug, Clone)]
pub struct BridgeConfig {
    /// The domain whose mail it takes in, in small letters.
    pub domain: String,
    /// Where servers bring it.
    pub listen: Vec<SocketAddr>,
    /// A file of names for ids.
    pub aliases: Option<PathBuf>,
    /// The server that is asked for names; by default those of the system.
    pub dns: Option<SocketAddr>,
    /// Machines that must have signed that they keep a mail before it is answered for; by default the rule of all senders: five, or three and
    /// a relay.
    pub copies: Option<usize>,
    /// How long they may take.
    pub patience: Duration,
    /// How much is taken in.
    pub limits: BridgeLimits,
    /// The certificate that it shows; by default the relay's, and without either there is no STARTTLS.
    pub tls: Option<TlsConfig>,
    /// Whether people of this machine may send out.
    pub submission: Option<SubmissionConfig>,
}

/// How much a bridge takes in.
#[derive(Debug, Clone)]
pub struct BridgeLimits {
    /// Bytes of one mail.
    pub max_bytes: u64,
    /// Mails begun from one address.
    pub rate: Rate,
}

/// How mail goes out.
#[derive(Debug, Clone)]
pub struct SubmissionConfig {
    /// Where it is handed in: on loopback.
    pub listen: SocketAddr,
    /// A file of `name:password`, one on each line; who is `name` writes as `name@domain`.
    pub passwords: PathBuf,
    /// The private key that signs, as PEM.
    pub dkim_key: PathBuf,
    /// Under which name in the DNS its public key stands.
    pub dkim_selector: String,
    /// The server that takes all of it, as HOST:PORT; by default those of the recipients' domains.
    pub smarthost: Option<String>,
    /// The port of the latter.
    pub delivery_port: u16,
}

impl Default for BridgeLimits {
    fn default() -> Self {
        Self {
            max_bytes: MAX_ENCLOSURES_LEN - GROWTH,
            rate: Rate::new(60, Duration::from_secs(2)),
        }
    }
}

/// Why a bridge did not start.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BridgeError {
    /// A port could not be bound.
    #[error("the bridge cannot listen on {address}: {source}")]
    Bind {
        /// The address wanted.
        address: SocketAddr,
        /// What the system said.
        source: io::Error,
    },
    /// The domain is none.
    #[error("{0} is no domain for mail")]
    Domain(String),
    /// Submission is for this machine only.
    #[error("{0} is not on loopback: mail is handed in on this machine only")]
    NotLoopback(SocketAddr),
    /// A file cannot be used.
    #[error("{}: {reason}", path.display())]
    File {
        /// Which.
        path: PathBuf,
        /// Why.
        reason: String,
    },
    /// Its certificate cannot be used.
    #[error(transparent)]
    Tls(#[from] TlsError),
    /// Names cannot be looked up.
    #[error("names cannot be looked up: {0}")]
    Resolver(String),
    /// Its mailer did not start.
    #[error("the bridge's mailbox: {0}")]
    Mail(#[from] mail::Error),
}

/// What is bound and read before anything runs.
pub(super) struct Start {
    config: BridgeConfig,
    inside: Vec<std::net::TcpListener>,
    outside: Option<std::net::TcpListener>,
    outbound: Option<Outbound>,
    recipients: Recipients,
    tls: Option<Tls>,
    /// Where servers bring mail.
    pub(super) bound: Vec<SocketAddr>,
    /// Where people of this machine hand it in.
    pub(super) submission: Option<SocketAddr>,
}

impl Start {
    /// Binds and reads what the bridge needs.
    pub(super) fn new(
        mut config: BridgeConfig,
        relay: Option<Tls>,
        stop: watch::Receiver<bool>,
    ) -> Result<Self, BridgeError> {
        let tls = match &config.tls {
            Some(own) => Some(Tls::new(own, stop)?),
            None => relay,
        };
        config.domain = config.domain.to_ascii_lowercase();
        if !is_address(&format!("postmaster@{}", config.domain)) {
            return Err(BridgeError::Domain(config.domain));
        }
        config.limits.max_bytes = config.limits.max_bytes.min(MAX_ENCLOSURES_LEN - GROWTH);
        let recipients = Recipients::read(config.aliases.as_deref())?;
        let inside = config.listen.iter().map(|address| bind(*address));
        let inside = inside.collect::<Result<Vec<_>, _>>()?;
        let local = |listener: &std::net::TcpListener| listener.local_addr().ok();
        let bound = inside.iter().filter_map(local).collect();
        let (mut outside, mut outbound) = (None, None);
        if let Some(submission) = &config.submission {
            if !submission.listen.ip().is_loopback() {
                return Err(BridgeError::NotLoopback(submission.listen));
            }
            outbound = Some(Outbound::new(&config.domain, submission)?);
            outside = Some(bind(submission.listen)?);
        }
        let submission = outside.as_ref().and_then(local);
        Ok(Self {
            config,
            inside,
            outside,
            outbound,
            recipients,
            tls,
            bound,
            submission,
        })
    }
}

fn bind(address: SocketAddr) -> Result<std::net::TcpListener, BridgeError> {
    let bound = std::net::TcpListener::bind(address).and_then(|listener| {
        listener.set_nonblocking(true)?;
        Ok(listener)
    });
    bound.map_err(|source| BridgeError::Bind { address, source })
}

/// A running bridge.
pub(super) struct Bridge {
    domain: String,
    node: Node<DiskStore>,
    recipients: Recipients,
    inbound: Inbound,
    tls: Option<Tls>,
    limits: BridgeLimits,
    /// In steps of [`ROOM_STEP`] bytes.
    room: Arc<Semaphore>,
    sessions: Arc<Semaphore>,
    seats: Seats,
    rate: RefCell<Buckets<IpAddr>>,
}

impl Bridge {
    /// Starts a bridge on a node; it runs in tasks of this thread until it is told to stop.
    pub(super) async fn start(
        start: Start,
        node: Node<DiskStore>,
        store: DiskStore,
        stop: watch::Receiver<bool>,
    ) -> Result<(), BridgeError> {
        let config = start.config;
        let checks = Checks::new(&config.domain, config.dns)?;
        let keys = node.keys();
        if matches!(
            keys.state().await.map_err(mail::Error::from)?,
            State::Missing
        ) {
            keys.create().await.map_err(mail::Error::from)?;
        }
        let (told, mut news) = futures::channel::mpsc::unbounded();
        let standings = Rc::new(Standings::default());
        let (telling, letters) = (standings.clone(), told);
        let mailer = Mailer::open(&node, move |output| match output {
            Output::Status(status) => {
                telling.tell(status);
                if status.stage.is_final() {
                    let _ = letters.unbounded_send(News::Ended(status.message));
                }
            }
            Output::Letter(letter) => {
                let _ = letters.unbounded_send(News::Letter(letter.message));
            }
            _ => {}
        })
        .await?;
        mailer.begin(&config.domain).await?;
        // It writes, and is not written to.
        let policy = Policy {
            stamp_bits: DEFAULT_BITS,
            read_receipts: false,
            open: false,
            relays: Vec::new(),
        };
        mailer.told(Input::Policy(policy)).await?;
        tracing::info!(domain = %config.domain, card = mailer.card(), "bridge started");
        let bridge = Rc::new(Self {
            domain: config.domain.clone(),
            node,
            recipients: start.recipients,
            inbound: Inbound {
                domain: config.domain,
                checks,
                mailer: mailer.clone(),
                store,
                standings,
                copies: config.copies,
                patience: config.patience,
            },
            tls: start.tls,
            rate: RefCell::new(Buckets::new(config.limits.rate)),
            limits: config.limits,
            room: Arc::new(Semaphore::new(ROOM / ROOM_STEP)),
            sessions: Arc::new(Semaphore::new(MAX_SESSIONS)),
            seats: Seats::new(SESSIONS_PER_ADDRESS),
        });
        let hearing = bridge.clone();
        tokio::task::spawn_local(async move {
            while let Some(news) = news.next().await {
                hearing.hear(news).await;
            }
        });
        let outbound = start.outbound.map(Rc::new);
        let doors = start.inside.into_iter().map(|socket| (socket, None));
        let doors = doors.chain(start.outside.map(|socket| (socket, outbound)));
        for (listener, out) in doors {
            let address = listener.local_addr();
            let listener = TcpListener::from_std(listener).map_err(|source| BridgeError::Bind {
                address: address.unwrap_or(SocketAddr::from(([0, 0, 0, 0], 0))),
                source,
            })?;
            let accepting = bridge.clone().accept(listener, out, stop.clone());
            tokio::task::spawn_local(accepting);
        }
        Ok(())
    }

    async fn hear(&self, news: News) {
        let heard = match news {
            News::Ended(letter) => self.inbound.ended(letter).await,
            // Nobody reads here. It stays where it is, so that its writer is not told that it was delivered.
            News::Letter(letter) => {
                tracing::info!(?letter, "a letter to the bridge is left unread");
                Ok(())
            }
        };
        if let Err(error) = heard {
            tracing::warn!(%error, "the bridge's letters");
        }
    }

    async fn accept(
        self: Rc<Self>,
        listener: TcpListener,
        out: Option<Rc<Outbound>>,
        mut stop: watch::Receiver<bool>,
    ) {
        let ended = stop.clone();
        loop {
            let accepted = tokio::select! {
                accepted = listener.accept() => accepted,
                () = stopped(&mut stop) => return,
            };
            let (socket, client) = match accepted {
                Ok(accepted) => accepted,
                Err(error) => {
                    // Out of file descriptors, most likely: accepting again at once would spin.
                    tracing::warn!(%error, "accepting an SMTP connection failed");
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                    continue;
                }
            };
            let permit = self.sessions.clone().try_acquire_owned();
            let seat = self.seats.take(client.ip());
            let (Ok(permit), Some(seat)) = (permit, seat) else {
                // Whoever is turned away comes again (RFC 5321, 3.8).
                let turned_away = b"421 4.7.0 Too many connections; come again\r\n";
                let _ = socket.try_write(turned_away);
                continue;
            };
            let door = out.clone().map_or(Door::In, Door::Out);
            let session = Session::new(self.clone(), door, client);
            let mut ended = ended.clone();
            tokio::task::spawn_local(async move {
                tokio::select! {
                    () = session.run(socket) => {}
                    () = stopped(&mut ended) => {}
                }
                drop((permit, seat));
            });
        }
    }

    /// Whether one more mail may be begun from an address.
    fn allows(&self, client: IpAddr, now: Instant) -> bool {
        self.rate.borrow_mut().try_take(address_group(client), now)
    }
}

/// What the mailer says that is to be acted on.
enum News {
    Ended(Ref),
    Letter(Ref),
}

/// Wait after a failed accept.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);
