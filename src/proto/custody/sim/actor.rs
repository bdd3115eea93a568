//! One simulated machine: what survives its page, and the state machines that do not.

use bytes::Bytes;

use super::churn::Habit;
use super::{Lie, UNIX};
use crate::proto::custody::collector::Collector;
use crate::proto::custody::custodian::{Config, Custodian, Tombstone};
use crate::proto::custody::deposit::{Deposit, Expiry};
use crate::proto::custody::depositor::Depositor;
use crate::proto::custody::kept::Contents;
use crate::proto::custody::message::Message;
use crate::proto::custody::region::position;
use crate::proto::custody::sign::Signer;
use crate::proto::custody::{ENVELOPE_LEN, MessageId, PeerId};
use crate::proto::ordered::{Map, Set};
use crate::proto::types::Time;

/// Which state machine of a machine.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Role {
    Custodian,
    Depositor,
    Collector,
}

#[derive(Debug)]
pub(super) struct Actor {
    pub(super) id: PeerId,
    pub(super) signer: Signer,
    pub(super) place: [u8; 32],
    pub(super) habit: Option<Habit>,
    pub(super) online: bool,
    /// Counts its sessions: what was meant for an earlier one is lost.
    pub(super) session: u64,
    /// Seconds by which its clock is wrong.
    pub(super) skew: i64,
    pub(super) lie: Option<Lie>,
    pub(super) relay: bool,
    /// What its store loses everything at.
    pub(super) wiped: Time,
    // What is on its disk.
    pub(super) kept: Map<MessageId, Deposit>,
    pub(super) tombs: Vec<Tombstone>,
    // What is in its page.
    pub(super) custodian: Option<Custodian>,
    pub(super) depositor: Option<Depositor>,
    pub(super) collector: Option<Collector>,
    pub(super) wakes: Map<Role, Time>,
    /// Streams that it opened, and when they are up; and those that it accepted.
    pub(super) opened: Map<usize, Time>,
    pub(super) accepted: Set<usize>,
}

impl Actor {
    pub(super) fn new(signer: Signer) -> Self {
        let id = PeerId(signer.public());
        Self {
            id,
            signer,
            place: position(id),
            habit: None,
            online: false,
            session: 0,
            skew: 0,
            lie: None,
            relay: false,
            wiped: Time(u64::MAX),
            kept: Map::new(),
            tombs: Vec::new(),
            custodian: None,
            depositor: None,
            collector: None,
            wakes: Map::new(),
            opened: Map::new(),
            accepted: Set::new(),
        }
    }

    /// Its own clock, in seconds since 1970.
    pub(super) fn unix(&self, now: Time) -> u64 {
        (UNIX + now.0 / 1_000_000).saturating_add_signed(self.skew)
    }

    /// A page that was opened anew: what the store holds is all that it knows.
    pub(super) fn restart(&mut self, config: &Config, now: Time, seed: u64) {
        let unix = self.unix(now);
        let mut custodian = Custodian::new(self.signer.clone(), config.clone(), seed);
        let headers = self
            .kept
            .values()
            .map(|deposit| *deposit.header())
            .collect();
        let contents = Contents {
            headers,
            tombs: self.tombs.clone(),
            ..Contents::default()
        };
        custodian.restore(contents, now, unix);
        self.custodian = Some(custodian);
    }

    pub(super) fn close(&mut self) {
        self.online = false;
        self.session += 1;
        self.custodian = None;
        self.depositor = None;
        self.collector = None;
        self.wakes.clear();
    }

    /// Stores a message, or says so.
    pub(super) fn store(&mut self, deposit: Deposit) {
        if self.lie != Some(Lie::Drops) {
            self.kept.insert(deposit.id(), deposit);
        }
    }

    /// What is really sent.
    pub(super) fn spoken(&self, message: Message) -> Option<Message> {
        match (self.lie, message) {
            (Some(Lie::Garbage), Message::Letter(deposit)) => {
                let garbage = Bytes::from(vec![0xa5; ENVELOPE_LEN]);
                let expiry = Expiry(deposit.header().expiry().0 - 1);
                let terms = *deposit.header().terms();
                Some(Message::Letter(Deposit::by_stranger(
                    terms, expiry, 0, garbage,
                )))
            }
            (Some(Lie::Hides), Message::Listing { tag, .. }) => Some(Message::Listing {
                tag,
                more: false,
                ids: Vec::new(),
            }),
            (Some(Lie::Hides), Message::New(..)) => None,
            (Some(Lie::Drops), Message::Absent(id)) => Some(Message::Held(id, Default::default())),
            (_, message) => Some(message),
        }
    }
}
