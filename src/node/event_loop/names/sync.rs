//! The records of names in the indexes: what servers have is read, the best is taken, and those that lag or have nothing are given it.

use libp2p::PeerId;

use super::super::{EventLoop, now};
use super::{HOLD_INTERVAL, RESOLVE_PAUSE, WATCH_INTERVAL};
use crate::net::index::{self, Answer, Scope};
use crate::node::error::Error;
use crate::proto::name::Name;
use crate::proto::name::follow::Input;
use crate::proto::name::record::Record;
use crate::rt;
use crate::store::Store;

impl<S: Store> EventLoop<S> {
    /// Asks both indexes about a name.
    pub(super) fn sync_name(&mut self, name: Name) {
        let Some(followed) = self.names.followed.get_mut(&name) else {
            return;
        };
        followed.reads = 2;
        followed.again = false;
        let behaviour = self.swarm.behaviour_mut();
        behaviour.index.get_mut().read(name);
        behaviour.peers_index.get_mut().read(name);
    }

    /// What the servers of one index have.
    pub(in super::super) fn on_names_read(
        &mut self,
        scope: Scope,
        name: Name,
        answers: Vec<Answer>,
        lacking: Vec<PeerId>,
    ) {
        if !self.names.followed.contains_key(&name) {
            return;
        }
        let reached = !lacking.is_empty() || answers.iter().any(|answer| answer.peer.is_some());
        let verified: Vec<_> = answers
            .into_iter()
            .filter_map(|answer| {
                let record = Record::verify(name, &answer.bytes)
                    .inspect_err(
                        |error| tracing::debug!(code = error.code(), %name, "a server's record"),
                    )
                    .ok()?;
                Some((answer.peer, record))
            })
            .collect();
        for (_, record) in &verified {
            self.take_name_record(record.clone());
        }
        let best = self.names.heads.valid(&name, rt::unix_millis()).cloned();
        let mut behind = lacking;
        let signed_here = self
            .names
            .followed
            .get(&name)
            .is_some_and(|one| !one.confirming.is_empty());
        if let Some(best) = &best {
            let (same, other): (Vec<_>, Vec<_>) =
                verified.iter().partition(|(_, record)| record == best);
            behind.extend(other.iter().filter_map(|(peer, _)| *peer));
            if let Some(followed) = self.names.followed.get_mut(&name) {
                followed
                    .holders
                    .extend(same.iter().filter_map(|(peer, _)| *peer));
            }
        }
        let local = *self.swarm.local_peer_id();
        behind.retain(|peer| *peer != local);
        let may_write = self.gate.may_send() || signed_here;
        if let Some(best) = best.filter(|_| may_write && !behind.is_empty()) {
            if let Some(followed) = self.names.followed.get_mut(&name) {
                followed.writes += 1;
            }
            self.index_of(scope).write(&best, behind);
        }
        if let Some(followed) = self.names.followed.get_mut(&name) {
            followed.reads = followed.reads.saturating_sub(1);
            if reached {
                followed.reached = Some(now());
            }
            if followed.reads == 0 {
                self.sign_pending(name);
                self.answer_resolvers(name);
            }
        }
        self.name_settled(name);
    }

    /// Who took what was given.
    pub(in super::super) fn on_names_wrote(&mut self, name: Name, took: Vec<PeerId>) {
        if let Some(followed) = self.names.followed.get_mut(&name) {
            followed.writes = followed.writes.saturating_sub(1);
            if !followed.again {
                followed.holders.extend(took);
            }
            self.name_settled(name);
        }
    }

    /// Somebody put a newer record into the part of the index that we serve.
    pub(in super::super) fn on_names_heard(&mut self, scope: Scope, name: Name) {
        if self.names.followed.contains_key(&name)
            && let Some(record) = self.index_of(scope).kept(&name)
        {
            self.take_name_record(record);
        }
    }

    /// Takes a verified record of a name that is followed, and passes it on if it is news.
    fn take_name_record(&mut self, record: Record) {
        let name = record.name();
        let taken = self
            .names
            .heads
            .offer(record, None, now(), rt::unix_millis());
        match taken {
            Ok(taken) if taken.changed() => {
                self.tell_follow(Input::Changed(name));
                self.on_head(name);
            }
            Ok(crate::proto::name::heads::Taken::Fork { .. }) => self.on_head(name),
            Ok(_) => {}
            Err(error) => tracing::debug!(code = error.code(), %name, "a server lags"),
        }
    }

    /// Something about a name has ended; once all has, those who wait for it are told and the next time is set.
    fn name_settled(&mut self, name: Name) {
        let head = self.names.head(&name);
        let soon = self.names.around(RESOLVE_PAUSE);
        let watch = self.names.around(WATCH_INTERVAL);
        let hold = self.names.around(HOLD_INTERVAL);
        let Some(followed) = self.names.followed.get_mut(&name) else {
            return;
        };
        if followed.is_busy() {
            return;
        }
        let pause = match () {
            () if followed.again => std::time::Duration::ZERO,
            () if followed.deadline(true).is_some() => soon,
            () if !followed.watchers.is_empty() => watch,
            () => hold,
        };
        followed.due = now() + pause;
        if !followed.again {
            for reply in std::mem::take(&mut followed.confirming) {
                let gone = || Error::Internal("a head that was just signed".into());
                let _ = reply.send(head.clone().ok_or_else(gone));
            }
        }
        self.look_after_names();
    }

    pub(in super::super) fn index_of(&mut self, scope: Scope) -> &mut index::Behaviour {
        let behaviour = self.swarm.behaviour_mut();
        match scope {
            Scope::Relays => behaviour.index.get_mut(),
            Scope::Peers => behaviour.peers_index.get_mut(),
        }
    }
}
