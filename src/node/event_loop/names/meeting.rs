//! Where those who hold or read what is under a name find each other: a key in the provider indexes, the same for all versions.

use super::super::{Alarm, EventLoop, now};
use crate::proto::discovery::{Input, Output};
use crate::proto::name::Name;
use crate::proto::types::{BlobHash, PeerKey};
use crate::store::Store;

/// Peers of a name that are linked for its sake. Ours: each passes a new head on to as many, so that a thousand readers are
/// five steps apart.
pub(super) const TARGET: usize = 4;

impl<S: Store> EventLoop<S> {
    /// Whether this is the meeting point of a name that is followed.
    pub(in super::super) fn is_meeting(&self, blob: &BlobHash) -> bool {
        self.names.meeting.contains_key(blob)
    }

    /// Goes to the meeting point of a name that is watched or held, or stays away.
    pub(super) fn meet_or_leave(&mut self, name: Name) {
        let Some(followed) = self.names.followed.get(&name) else {
            return;
        };
        let stays = followed.held || !followed.watchers.is_empty();
        let blob = name.meeting_point();
        let known = self.names.meeting.insert(blob, name).is_some();
        if stays && self.gate.may_send() && self.is_joined() {
            let behaviour = self.swarm.behaviour_mut();
            behaviour.index.get_mut().announce(blob);
            behaviour.peers_index.get_mut().announce(blob);
        }
        let input = if known {
            Input::NetworkUp
        } else {
            Input::Want(true)
        };
        self.tell_meeting(blob, input);
    }

    pub(super) fn leave_meeting(&mut self, name: Name) {
        let blob = name.meeting_point();
        self.names.meeting.remove(&blob);
        self.alarms.remove(&Alarm::Discovery(blob));
        let behaviour = self.swarm.behaviour_mut();
        behaviour.index.get_mut().withdraw(blob);
        behaviour.peers_index.get_mut().withdraw(blob);
        for peer in self.peers.iter_mut() {
            peer.awaited_by.remove(&blob);
        }
    }

    /// A direct link is up to a peer that was to be met.
    pub(in super::super) fn on_met(&mut self, blob: BlobHash, peer: PeerKey) {
        self.tell_meeting(blob, Input::Connected(peer));
    }

    pub(in super::super) fn tell_meeting(&mut self, blob: BlobHash, input: Input) {
        let Some(name) = self.names.meeting.get(&blob) else {
            return;
        };
        let Some(followed) = self.names.followed.get_mut(name) else {
            return;
        };
        followed.discovery.handle(input, now());
        let outputs: Vec<_> = std::iter::from_fn(|| followed.discovery.poll_output()).collect();
        for output in outputs {
            match output {
                Output::Lookup => self.look_up(blob),
                Output::Connect(peer) => self.meet(blob, peer),
                Output::Nobody => {}
                Output::WakeAt(at) => self.set_alarm(Alarm::Discovery(blob), at),
            }
        }
    }

    pub(super) fn tell_meetings(&mut self, input: Input) {
        let blobs: Vec<_> = self.names.meeting.keys().copied().collect();
        for blob in blobs {
            self.tell_meeting(blob, input.clone());
        }
    }

    fn meet(&mut self, blob: BlobHash, key: PeerKey) {
        let Some(peer) = self.peers.get_mut(key) else {
            return;
        };
        if peer.is_direct() {
            return self.on_met(blob, key);
        }
        peer.awaited_by.insert(blob);
        if !peer.dialling {
            self.dial(key);
        }
    }
}
