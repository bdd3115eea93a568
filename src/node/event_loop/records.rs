//! Records of people in the indexes: asked for, brought, and brought again while their author is online.
//!
//! One round serves both: both indexes are asked what stands under the key, the best of it and of our own is taken, and servers that
//! lag or have nothing are given it. So whoever reads a record helps to keep it there, if the person lets them.

use std::time::Duration;

use bytes::Bytes;
use futures::channel::oneshot;
use libp2p::PeerId;

use super::{Alarm, EventLoop, now};
use crate::net::index::{Answer, Scope};
use crate::node::error::{Error, Result};
use crate::proto::ordered::{Map, Set};
use crate::proto::records::{is_valid, select};
use crate::proto::types::Time;
use crate::rt;
use crate::store::Store;

/// Records of our own: chains and mail records of a few identities.
const MAX_OWN: usize = 16;

/// Rounds at once: as many people as are written to at a time, and more.
const MAX_ROUNDS: usize = 64;

/// Different values that are handed out of one round: forks of an identity are two, as a rule.
const MAX_VALUES: usize = 8;

/// How often our own are brought again. Ours: holders forget what nobody brings for two days, and relays at a restart.
const AGAIN: Duration = Duration::from_secs(60 * 60);

/// Pause before our own are brought again where nobody took them.
const SOON: Duration = Duration::from_secs(30);

/// Everything about records.
#[derive(Debug, Default)]
pub(super) struct Records {
    rounds: Map<Vec<u8>, Round>,
    own: Map<Vec<u8>, Own>,
}

#[derive(Debug)]
struct Own {
    value: Bytes,
    due: Time,
}

#[derive(Debug, Default)]
struct Round {
    /// Who wants the values.
    gets: Vec<oneshot::Sender<Vec<Bytes>>>,
    /// Who wants to know how many hold it.
    puts: Vec<oneshot::Sender<Result<u32>>>,
    reads: u8,
    writes: u8,
    values: Vec<Bytes>,
    /// Who has which of them, or nothing.
    told: Vec<(Scope, PeerId, Option<Bytes>)>,
    holders: Set<PeerId>,
}

impl<S: Store> EventLoop<S> {
    pub(super) fn get_record(&mut self, key: Vec<u8>, reply: oneshot::Sender<Vec<Bytes>>) {
        if let Some(round) = self.round(key) {
            round.gets.push(reply);
        }
    }

    pub(super) fn put_record(
        &mut self,
        key: Vec<u8>,
        value: Bytes,
        reply: oneshot::Sender<Result<u32>>,
    ) {
        let fresh = !self.records.own.contains_key(&key);
        if !is_valid(&key, &value, rt::unix_millis() / 1000) {
            return drop(reply.send(Err(Error::InvalidRecord)));
        }
        if fresh && self.records.own.len() >= MAX_OWN {
            let full = Error::BadOptions("too many records of one's own".into());
            return drop(reply.send(Err(full)));
        }
        let due = now() + AGAIN;
        self.records.own.insert(key.clone(), Own { value, due });
        if let Some(round) = self.round(key) {
            round.puts.push(reply);
        }
        self.look_after_records();
    }

    /// A relay or peers are there (again), and may have forgotten.
    pub(super) fn records_rejoined(&mut self) {
        for own in self.records.own.values_mut() {
            own.due = now();
        }
        self.look_after_records();
    }

    /// Brings what is due.
    pub(super) fn look_after_records(&mut self) {
        let at = now();
        let due = self.records.own.iter().filter(|(_, own)| own.due <= at);
        let due: Vec<_> = due.map(|(key, _)| key.clone()).collect();
        for key in due {
            if let Some(own) = self.records.own.get_mut(&key) {
                own.due = at + AGAIN;
            }
            self.round(key);
        }
        if let Some(next) = self.records.own.values().map(|own| own.due).min() {
            self.set_alarm(Alarm::Records, next);
        }
    }

    /// The round of a key, begun if there is none.
    fn round(&mut self, key: Vec<u8>) -> Option<&mut Round> {
        if !self.records.rounds.contains_key(&key) {
            if self.records.rounds.len() >= MAX_ROUNDS {
                return None;
            }
            let behaviour = self.swarm.behaviour_mut();
            behaviour.index.get_mut().get(&key);
            behaviour.peers_index.get_mut().get(&key);
            let round = Round {
                reads: 2,
                ..Round::default()
            };
            self.records.rounds.insert(key.clone(), round);
        }
        self.records.rounds.get_mut(&key)
    }

    pub(super) fn on_record_found(
        &mut self,
        scope: Scope,
        key: Vec<u8>,
        answers: Vec<Answer>,
        lacking: Vec<PeerId>,
    ) {
        let Some(round) = self.records.rounds.get_mut(&key) else {
            return;
        };
        let unix = rt::unix_millis() / 1000;
        for answer in answers {
            let bytes = Bytes::from(answer.bytes);
            let known = round.values.contains(&bytes);
            let room = round.values.len() < MAX_VALUES;
            let valid = known || (room && is_valid(&key, &bytes, unix));
            if valid && !known {
                round.values.push(bytes.clone());
            }
            if let Some(peer) = answer.peer {
                round.told.push((scope, peer, valid.then_some(bytes)));
            }
        }
        let lacking = lacking.into_iter().map(|peer| (scope, peer, None));
        round.told.extend(lacking);
        round.reads = round.reads.saturating_sub(1);
        if round.reads == 0 {
            self.spread_record(&key, unix);
        }
    }

    /// All that are close have said what they have: those that lag are given the best.
    fn spread_record(&mut self, key: &[u8], unix: u64) {
        let local = *self.swarm.local_peer_id();
        let may_write = self.gate.may_send() || self.records.own.contains_key(key);
        let Some(round) = self.records.rounds.get_mut(key) else {
            return;
        };
        if let Some(own) = self.records.own.get(key)
            && !round.values.contains(&own.value)
        {
            round.values.push(own.value.clone());
        }
        let values: Vec<_> = round.values.iter().map(|value| &value[..]).collect();
        let best = select(key, &values, unix).map(|place| round.values[place].clone());
        let mut behind = [(Scope::Relays, Vec::new()), (Scope::Peers, Vec::new())];
        for (scope, peer, told) in std::mem::take(&mut round.told) {
            if told.is_some() && told == best {
                round.holders.insert(peer);
            } else if peer != local {
                let of_scope = behind.iter_mut().find(|(other, _)| *other == scope);
                of_scope
                    .into_iter()
                    .for_each(|(_, behind)| behind.push(peer));
            }
        }
        if let Some(best) = best.filter(|_| may_write) {
            for (scope, behind) in behind {
                if behind.is_empty() {
                    continue;
                }
                if let Some(round) = self.records.rounds.get_mut(key) {
                    round.writes += 1;
                }
                self.index_of(scope).put(key, &best, behind);
            }
        }
        self.record_settled(key);
    }

    pub(super) fn on_record_put(&mut self, key: Vec<u8>, took: Vec<PeerId>) {
        if let Some(round) = self.records.rounds.get_mut(&key) {
            round.writes = round.writes.saturating_sub(1);
            round.holders.extend(took);
            self.record_settled(&key);
        }
    }

    fn record_settled(&mut self, key: &[u8]) {
        let Some(round) = self.records.rounds.get_mut(key) else {
            return;
        };
        // Whoever reads does not wait for others to be told.
        for get in round.gets.drain(..) {
            let _ = get.send(round.values.clone());
        }
        if round.writes > 0 {
            return;
        }
        let holders = round.holders.len();
        for put in round.puts.drain(..) {
            let _ = put.send(Ok(u32::try_from(holders).unwrap_or(u32::MAX)));
        }
        self.records.rounds.remove(key);
        if holders == 0
            && let Some(own) = self.records.own.get_mut(key)
        {
            own.due = own.due.min(now() + SOON);
            self.look_after_records();
        }
    }
}
