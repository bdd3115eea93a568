//! The size of the blob, handed to those that do not know it.

use bytes::Bytes;

use super::peer::{Serving, Stage};
use super::{Misconduct, Output, Swarm};
use crate::proto::message::Message;
use crate::proto::tail::Tail;
use crate::proto::types::{ChunkIndex, PeerKey, Time};

impl Swarm {
    /// Tells a peer the size, if it does not know it; the store may have to be asked first.
    pub(super) fn give_tail(&mut self, key: PeerKey, now: Time) {
        let (Some(ledger), Some(peer)) = (&self.ledger, self.peers.get_mut(&key)) else {
            return;
        };
        if !peer.sizeless || !self.upload_allowed {
            return;
        }
        let index = ledger.size.last_chunk();
        if let Some(tail) = self.tail.clone() {
            peer.sizeless = false;
            self.send(key, Message::Tail(tail));
        } else if ledger.has(index) {
            // It counts as being served, so that it is bounded like everything that is.
            peer.client.serving.push(Serving {
                index,
                len: 0,
                stage: Stage::Tail,
                begun: self.outflow.begin(now),
            });
            self.outputs.push_back(Output::Load { peer: key, index });
        }
    }

    /// Tells it to everybody who does not know it.
    pub(super) fn give_tail_to_all(&mut self) {
        let Some(tail) = self.tail.clone().filter(|_| self.upload_allowed) else {
            return;
        };
        for (key, peer) in &mut self.peers {
            if std::mem::take(&mut peer.sizeless) {
                let message = Message::Tail(tail.clone());
                self.outputs.push_back(Output::Send {
                    peer: *key,
                    message,
                });
            }
        }
    }

    /// A load for the tail is over; whether there was one.
    pub(super) fn end_tail_load(&mut self, key: PeerKey, index: ChunkIndex) -> bool {
        let Some(peer) = self.peers.get_mut(&key) else {
            return false;
        };
        let serving = &mut peer.client.serving;
        let found = peer_tail(serving, index);
        found.is_some_and(|at| {
            serving.remove(at);
            true
        })
    }

    /// Here is a chunk that was verified: the tail is cut from it if it is the last.
    pub(super) fn on_last_chunk(&mut self, index: ChunkIndex, data: &Bytes, proof: &Bytes) {
        let Some(size) = self.ledger.as_ref().map(|ledger| ledger.size) else {
            return;
        };
        let whole = size.chunk_len(index) == Some(data.len());
        if index == size.last_chunk() && self.tail.is_none() && whole {
            self.tail = Some(Tail::cut(size, data, proof));
        }
        self.give_tail_to_all();
    }

    /// A peer proves the size.
    pub(super) fn on_tail(&mut self, key: PeerKey, tail: Tail) -> Result<(), Misconduct> {
        self.on_claim(key, tail.size)?;
        if self.ledger.is_some() {
            return Ok(());
        }
        if !tail.proves(self.blob) {
            return Err(Misconduct::WrongBytes);
        }
        let size = tail.size;
        self.tail = Some(tail);
        self.prove(size);
        self.give_tail_to_all();
        Ok(())
    }
}

fn peer_tail(serving: &[Serving], index: ChunkIndex) -> Option<usize> {
    serving
        .iter()
        .position(|serving| serving.index == index && serving.stage == Stage::Tail)
}
