//! Requests that are taken back: from a peer that stalls or serves us no longer, or of all peers when asking pauses.
//!
//! What was asked for is asked of others; the answer may still come late and is forgiven then (`Source::forgive`).

use super::peer::Asked;
use super::{Misconduct, Output, Swarm};
use crate::proto::message::Message;
use crate::proto::types::{CHUNK_SIZE, ChunkIndex, PeerKey, Time};

impl Swarm {
    pub(super) fn pause(&mut self, now: Time) {
        self.paused = true;
        let keys: Vec<PeerKey> = self.peers.keys().copied().collect();
        for key in keys {
            self.withdraw(key, now);
        }
        self.lose_interest();
    }

    pub(super) fn resume(&mut self) {
        self.paused = false;
        let keys: Vec<PeerKey> = self.peers.keys().copied().collect();
        for key in keys {
            self.reconsider(key);
        }
    }

    /// A peer serves us no longer: what it was asked for is asked of others.
    pub(super) fn on_choked(&mut self, key: PeerKey, now: Time) {
        let Some(peer) = self.peers.get_mut(&key) else {
            return;
        };
        if !peer.chokes {
            return;
        }
        peer.source.choked = true;
        for asked in std::mem::take(&mut peer.source.asked) {
            if let Some(peer) = self.peers.get_mut(&key) {
                peer.source.forgive(asked.index, &self.config, now);
            }
            self.release(asked.index);
        }
        self.reconsider(key);
    }

    /// Requests that have stalled are withdrawn, and a peer that only ever stalls is done with.
    pub(super) fn on_tick(&mut self, now: Time) {
        let stalled: Vec<PeerKey> = self
            .peers
            .iter()
            .filter(|(_, peer)| {
                peer.source
                    .stalls_at(&self.config)
                    .is_some_and(|at| at <= now)
            })
            .map(|(key, _)| *key)
            .collect();
        for key in stalled {
            self.withdraw(key, now);
            let Some(peer) = self.peers.get_mut(&key) else {
                continue;
            };
            peer.source.strikes += 1;
            if peer.source.strikes < self.config.strikes_max {
                continue;
            }
            // Who has delivered is no liar: its page sleeps, or its network is gone. It may come back.
            if peer.source.bytes >= CHUNK_SIZE {
                self.forget(key);
                self.outputs.push_back(Output::Close { peer: key });
            } else {
                self.ban(key, Misconduct::FalseClaim);
            }
        }
    }

    /// Takes back every request to a peer.
    fn withdraw(&mut self, key: PeerKey, now: Time) {
        let Some(peer) = self.peers.get_mut(&key) else {
            return;
        };
        for Asked { index, .. } in std::mem::take(&mut peer.source.asked) {
            if let Some(peer) = self.peers.get_mut(&key) {
                peer.source.forgive(index, &self.config, now);
            }
            self.send(key, Message::Cancel { index });
            self.release(index);
        }
    }

    /// Takes one request back from a peer.
    pub(super) fn call_off(&mut self, key: PeerKey, index: ChunkIndex, now: Time) {
        let Some(peer) = self.peers.get_mut(&key) else {
            return;
        };
        if peer.source.answered(index).is_some() {
            peer.source.forgive(index, &self.config, now);
            self.send(key, Message::Cancel { index });
            self.release(index);
        }
    }
}
