//! What peers answer to requests: which chunk is believed, and what it does to the one that sent it.
//!
//! A chunk counts as wasted until it proves useful. One that comes late, from a peer that the request was taken back
//! from, is believed as well if there is memory for it; one that was never asked for is misconduct.

use bytes::Bytes;

use super::ledger::Unstored;
use super::{Misconduct, Output, Swarm};
use crate::proto::availability::Holds;
use crate::proto::message::{Message, RejectReason};
use crate::proto::tree;
use crate::proto::types::{BlobSize, CHUNK_SIZE, ChunkIndex, PeerKey, Time};

impl Swarm {
    pub(super) fn on_chunk(
        &mut self,
        key: PeerKey,
        index: ChunkIndex,
        proof: Bytes,
        data: Bytes,
        now: Time,
    ) -> Result<(), Misconduct> {
        let Some(peer) = self.peers.get_mut(&key) else {
            return Ok(());
        };
        let source = &mut peer.source;
        let len = data.len() as u64;
        self.down += len;
        // Until it proves useful.
        self.wasted += len;
        source.granted = source
            .granted
            .checked_sub(len)
            .ok_or(Misconduct::OverCredit)?;
        source.bytes += len;
        source.recent += len;
        source.rate.add(len, now);
        let asked = source.answered(index);
        if let Some(asked) = &asked {
            source.measure(asked, now);
        } else if !source.use_forgiveness(index, now) {
            return Err(Misconduct::Unrequested);
        }
        source.last_arrival = now;
        source.pace = source.rate.per_second(now).max(1);
        let size = self
            .ledger
            .as_ref()
            .map(|ledger| ledger.size)
            .or(peer.claim);
        let had = self.ledger.as_ref().is_some_and(|l| l.has(index));
        // A late chunk has no place reserved: peers that hold back must not add up beyond the memory bound.
        let no_place = asked.is_none() && self.pending_bytes() + len > self.config.unstored_max;
        let believed = match size {
            _ if had || no_place => None,
            None => None,
            Some(size) => {
                let verified = (self.verify)(self.blob, size, index, &data, &proof);
                Some(verified.map(|()| size).map_err(|_| Misconduct::WrongBytes))
            }
        };
        if let Some(Ok(size)) = believed {
            self.wasted -= len;
            self.accept(key, size, index, proof, data, now);
        } else if asked.is_some() {
            self.release(index);
        }
        self.top_up(key);
        believed.map_or(Ok(()), |verified| verified.map(drop))
    }

    /// Takes in a chunk that belongs to the blob.
    pub(super) fn accept(
        &mut self,
        key: PeerKey,
        size: BlobSize,
        index: ChunkIndex,
        proof: Bytes,
        data: Bytes,
        now: Time,
    ) {
        if self.ledger.is_none() {
            // Before the size is proved only last chunks are asked for, and a last chunk proves its size.
            if !tree::proves_size(size, index) {
                return;
            }
            self.prove(size);
        }
        let Some(ledger) = &mut self.ledger else {
            return;
        };
        let len = data.len() as u64;
        ledger.picker.take(index.0);
        ledger.flights.remove(&index);
        ledger.unstored.insert(index, Unstored { from: key, len });
        ledger.verified.insert(index.0);
        ledger.bringers.note(index, size.chunk_count(), key);
        let complete = ledger.verified.is_full();
        for (other, peer) in &mut self.peers {
            if *other == key {
                peer.source.unstored += len;
                peer.source.strikes = 0;
                peer.source.rejects = 0;
            } else if peer.source.answered(index).is_some() {
                peer.source.forgive(index, &self.config, now);
                self.outputs.push_back(Output::Send {
                    peer: *other,
                    message: Message::Cancel { index },
                });
            }
        }
        self.on_last_chunk(index, &data, &proof);
        self.outputs.push_back(Output::Store { index, data, proof });
        self.tell(index, now);
        if complete {
            self.lose_interest();
        }
    }

    pub(super) fn on_reject(
        &mut self,
        key: PeerKey,
        index: ChunkIndex,
        reason: RejectReason,
        now: Time,
    ) -> Result<(), Misconduct> {
        let Some(peer) = self.peers.get_mut(&key) else {
            return Ok(());
        };
        if peer.source.answered(index).is_none() {
            peer.source.use_forgiveness(index, now);
            return Ok(());
        }
        peer.source.rejects += 1;
        let too_many = peer.source.rejects > self.config.rejects_max;
        match reason {
            RejectReason::NotStored => self.lose(key, index),
            RejectReason::NotServing => self.set_holds(key, Holds::Nothing),
        }
        self.release(index);
        if too_many {
            Err(Misconduct::FalseClaim)
        } else {
            Ok(())
        }
    }

    /// Grants a peer what its window has room for, in steps.
    pub(super) fn top_up(&mut self, key: PeerKey) {
        let Some(peer) = self.peers.get_mut(&key) else {
            return;
        };
        let source = &mut peer.source;
        // One chunk of the pipeline may be on its way when the next is asked for.
        let wish = (source.depth(&self.config) as u64 + 1) * CHUNK_SIZE;
        let window = wish.max(u64::from(self.config.credit_initial));
        let room = window.saturating_sub(source.granted + source.unstored);
        if room >= u64::from(self.config.credit_step) {
            source.granted += room;
            let bytes = u32::try_from(room).unwrap_or(u32::MAX);
            self.send(key, Message::Credit { bytes });
        }
    }
}
