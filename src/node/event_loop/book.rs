//! The address book: read at the start, written now and then, and where further relays come from.

use std::time::Duration;

use libp2p::multiaddr::Protocol;
use libp2p::{Multiaddr, PeerId};

use super::{Alarm, EventLoop, Relay, now};
use crate::net::addresses::Route;
use crate::net::pex::{self, Record};
use crate::node::config::MAX_RELAYS;
use crate::proto::neighbours;
use crate::proto::uplink::{Input, State, Uplink};
use crate::rt;
use crate::store::Store;

/// Name of the stored value.
pub(in crate::node) const ADDRESSES: &str = "addresses";

/// Least time between two writes of the book.
const WRITE_INTERVAL: Duration = Duration::from_secs(30);

/// Relays known by name that wait for the others to fail; the latest heard of survive.
const MAX_SPARE: usize = 16;

impl<S: Store> EventLoop<S> {
    /// Takes up what the book says: relays to try when ours are silent, peers to look for. Those that the person has named come first.
    pub(super) fn read_book(&mut self, acquaintances: Vec<(PeerId, Multiaddr)>) {
        let unix = rt::unix_millis() / 1000;
        self.book.forget_old(unix);
        let records: Vec<Record> = self
            .book
            .peers()
            .filter_map(|bytes| pex::verify(bytes))
            .collect();
        let relays: Vec<Multiaddr> = self
            .book
            .relays()
            .filter_map(|bytes| Multiaddr::try_from(bytes.to_vec()).ok())
            .collect();
        let mut found = Vec::new();
        for (peer, address) in acquaintances {
            let key = self.peers.enter(peer, rt::unix_millis()).key;
            self.peers.add_addresses(key, vec![address]);
            found.push(key);
        }
        for record in records {
            self.learn_relays(&record);
            let key = self.peers.enter(record.peer, rt::unix_millis()).key;
            self.peers.add_addresses(key, record.addresses);
            found.push(key);
        }
        for address in relays {
            if let Some(Protocol::P2p(relay)) = address.iter().last() {
                self.add_spare(relay, address);
            }
        }
        self.tell_neighbours(neighbours::Input::Found(found));
    }

    /// A relay granted a reservation.
    pub(super) fn remember_relay(&mut self, index: usize) {
        let relay = &self.relays[index];
        let (name, address) = (relay.peer.to_bytes().into(), relay.address.to_vec().into());
        let changed = self.book.saw_relay(name, address, rt::unix_millis() / 1000);
        self.book_changed(changed);
    }

    /// A peer with a session signed this of itself.
    pub(super) fn remember_peer(&mut self, record: &Record, bytes: bytes::Bytes) {
        self.learn_relays(record);
        let name = record.peer.to_bytes().into();
        let changed = self.book.saw_peer(name, bytes, rt::unix_millis() / 1000);
        self.book_changed(changed);
    }

    fn book_changed(&mut self, changed: bool) {
        if changed && !self.alarms.contains_key(&Alarm::Book) {
            self.set_alarm(Alarm::Book, now() + WRITE_INTERVAL);
        }
    }

    pub(super) fn write_book(&mut self) {
        let (store, book) = (self.store.clone(), self.book.encode());
        rt::spawn(async move {
            // It is a convenience: without it the next start knows the configured relays only.
            if let Err(error) = store.set_value(ADDRESSES, Some(book)).await {
                rt::warning!(error = error, "the address book could not be stored");
            }
        });
    }

    fn learn_relays(&mut self, record: &Record) {
        for address in &record.addresses {
            if let Some(Route::Relay(relay, address)) = Route::read(address, record.peer) {
                self.add_spare(relay, address);
            }
        }
    }

    fn add_spare(&mut self, relay: PeerId, address: Multiaddr) {
        if self.relay_of(&relay).is_some() {
            return;
        }
        self.spare_relays.retain(|(known, _)| *known != relay);
        self.spare_relays.insert(0, (relay, address));
        self.spare_relays.truncate(MAX_SPARE);
    }

    /// Takes one more relay when every one that we have is failing.
    pub(super) fn take_spare(&mut self) {
        let all_fail = self
            .relays
            .iter()
            .all(|relay| relay.uplink.failures() > 0 && relay.uplink.state() != State::Reserved);
        if !all_fail || self.relays.len() >= MAX_RELAYS || self.spare_relays.is_empty() {
            return;
        }
        let (peer, address) = self.spare_relays.remove(0);
        tracing::info!(%address, "trying a relay that was heard of");
        self.peers.enter(peer, rt::unix_millis()).is_relay = true;
        self.swarm
            .behaviour_mut()
            .index
            .get_mut()
            .add_relay(peer, address.clone());
        self.relays.push(Relay {
            peer,
            address,
            uplink: Uplink::new(u64::from_le_bytes(rt::random())),
            listener: None,
            detail: String::new(),
        });
        self.tell_uplink(self.relays.len() - 1, Input::Tick);
    }
}
