//! Starting a node: what the store remembers is read, the swarm is built, the event loop begins, and the stored blobs are taken up.

use std::cell::RefCell;
use std::io;
use std::rc::Rc;

use futures::channel::mpsc;
use libp2p::identity::Keypair;
use libp2p::multiaddr::Protocol;
use libp2p::{Multiaddr, PeerId};

use super::command::{COMMAND_QUEUE, Command};
use super::event_loop::{self, ADDRESSES, EventLoop, Gate, Part, Shared, Start};
use super::meta::{BlobMeta, Kind};
use super::snapshot::{JoinState, Snapshot, Stats, StorageInfo};
use super::{Config, Error, MAX_RELAYS, Node, Result, SIGHTINGS, UPLOAD, custody, identity, site};
use crate::net::addresses::{self, socket_of};
use crate::net::behaviour;
use crate::net::causes::of_transport;
use crate::net::transport::{Parts, webrtc};
use crate::proto::book::Book;
use crate::proto::custody::custodian;
use crate::proto::neighbours::SERVE_AFTER;
use crate::proto::sightings::Sightings;
use crate::proto::sorting::sort_by_key;
use crate::rt;
use crate::store::Store;

impl<S: Store> Node<S> {
    /// Starts a node on an open store; `transports` builds the platform's transport stack for its key.
    ///
    /// Ends when the loop runs; joining goes on in the background and shows in [`stats`](Self::stats).
    ///
    /// # Errors
    /// `BadOptions` for the address of a relay or peer without its identity, `Store` if the store fails.
    pub async fn start(
        config: Config,
        store: S,
        transports: impl FnOnce(&Keypair, webrtc::Config) -> io::Result<Parts>,
    ) -> Result<Self> {
        let relays = relays(&config.relays)?;
        let acquaintances = identified("peer's", &config.peers)?;
        let (key, search) = identity::of(&store, config.puzzle_bits, config.work_first).await?;
        let peer_id = key.public().to_peer_id();
        if let Some(quota) = config.quota {
            store.set_quota(quota).await?;
        }
        let (mut limits, day) = event_loop::stored_limits(&store).await?;
        limits.hide_address |= config.relay_only;
        let mut webrtc = webrtc::Config::new(peer_id);
        webrtc.rtc.ice_servers = config.stun;
        let hide_address = webrtc.rtc.relay_only.clone();
        hide_address.set(limits.hide_address);
        let parts =
            transports(&key, webrtc).map_err(|error| Error::Unsupported(error.to_string()))?;
        let mut swarm = behaviour::swarm(&key, parts, !config.announce.is_empty())
            .map_err(|error| Error::Internal(error.to_string()))?;
        for address in config.listen {
            if let Err(error) = swarm.listen_on(address.clone()) {
                let (address, cause) = (addresses::text(&address), of_transport(&error));
                return Err(Error::BadOptions(format!("{address}: {cause}")));
            }
        }
        for address in &config.announce {
            let named = socket_of(address, peer_id);
            swarm.add_external_address(named.ok_or_else(|| {
                let address = addresses::text(address);
                Error::BadOptions(format!("{address} is no address of a socket"))
            })?);
        }
        let upload_allowed = store
            .value(UPLOAD)
            .await?
            .map(|value| value.as_ref() == [1]);
        let gate = Gate::new(upload_allowed, limits, config.surroundings, day);
        let book = match store.value(ADDRESSES).await? {
            Some(stored) => Book::decode(&stored).unwrap_or_else(|error| {
                rt::warning!(error = error, "starting with an empty address book");
                Book::default()
            }),
            None => Book::default(),
        };
        let sightings = store.value(SIGHTINGS).await?;
        let sightings = sightings.and_then(|stored| Sightings::decode(&stored));
        let usage = store.usage().await?;
        let storage = StorageInfo {
            used: usage.used,
            quota: usage.quota,
        };
        let stats = Stats {
            peer_id: peer_id.to_string(),
            state: JoinState::Connecting,
            relays: Vec::new(),
            upload_allowed,
            upload_hold: gate.hold(),
            limits,
            today: gate.today(),
            up: 0,
            down: 0,
            up_rate: 0,
            down_rate: 0,
            storage,
        };
        let shared = Shared {
            snapshot: Snapshot {
                stats,
                swarms: Vec::new(),
                peers: Vec::new(),
            },
            listener: None,
            readers: 0,
            denylist: Default::default(),
            root: None,
            kept: custody::Kept::default(),
            puzzle_bits: config.puzzle_bits,
            stopped: false,
            shelf: site::shelf::Shelf::default(),
        };
        let shared = Rc::new(RefCell::new(shared));
        let (commands, queue) = mpsc::channel(COMMAND_QUEUE);
        let start = Start {
            key,
            swarm,
            store: store.clone(),
            commands: queue,
            relays,
            gate,
            hide_address,
            announces_sockets: config.announce.is_empty(),
            fetch: config.fetch,
            book,
            serve_after: config.serve_after.unwrap_or(SERVE_AFTER),
            custodian: custodian::Config {
                puzzle_bits: config.puzzle_bits,
                ..config.custodian.unwrap_or_default()
            },
            storage,
            sightings: sightings.unwrap_or_default(),
            shared: shared.clone(),
        };
        rt::spawn(EventLoop::new(start).run(acquaintances));
        let node = Self {
            commands,
            store,
            shared,
            peer_id,
        };
        let mut asleep = Vec::new();
        for row in node.store.rows().await? {
            // A record that cannot be read (from a newer version) must not keep the node from starting.
            match BlobMeta::decode(&row.meta) {
                Some(meta) if meta.kind == Kind::Part => asleep.extend(Part::of(&row, &meta)),
                // The custodian takes it up, if there is one.
                Some(meta) if meta.kind == Kind::Kept => {}
                Some(meta) => node.add(row, meta).await?,
                None => rt::warning!(
                    row = row.id.0,
                    "skipping a blob whose record cannot be read"
                ),
            }
        }
        node.take_up_denylists().await?;
        if search {
            let work = identity::search(node.store.clone(), Rc::downgrade(&node.shared));
            rt::spawn(work);
        }
        node.names().take_up().await?;
        node.tell(Command::Rest(asleep)).await?;
        Ok(node)
    }
}

/// The relays' identities and addresses.
fn relays(addresses: &[Multiaddr]) -> Result<Vec<(PeerId, Multiaddr)>> {
    let mut relays = identified("relay's", addresses)?;
    sort_by_key(&mut relays, |(peer, _)| *peer);
    relays.dedup_by_key(|(peer, _)| *peer);
    relays.truncate(MAX_RELAYS);
    Ok(relays)
}

/// Addresses with the identities at their ends; `whose` they are is for the words of the error.
fn identified(whose: &str, addresses: &[Multiaddr]) -> Result<Vec<(PeerId, Multiaddr)>> {
    let identity = |address: &Multiaddr| match address.iter().last() {
        Some(Protocol::P2p(peer)) => Ok((peer, address.clone())),
        _ => Err(Error::BadOptions(format!(
            "the {whose} address {} does not end in /p2p/<its id>",
            addresses::text(address)
        ))),
    };
    addresses.iter().map(identity).collect()
}
