//! Messages, each taken to the part that it concerns, and the hello that comes before all others.

use super::{Misconduct, Swarm};
use crate::proto::availability::Holds;
use crate::proto::message::{CHOKING, Message};
use crate::proto::types::{PeerKey, Time};

impl Swarm {
    pub(super) fn on_message(
        &mut self,
        key: PeerKey,
        message: Message,
        now: Time,
    ) -> Result<(), Misconduct> {
        let Some(peer) = self.peers.get_mut(&key) else {
            return Ok(());
        };
        if !peer.greeted && !matches!(message, Message::Hello { .. }) {
            return Err(Misconduct::Malformed);
        }
        peer.client.heard = now;
        peer.client.sleeps = false;
        // Whom a message lets us ask is whoever it came from; what it makes everybody's business says so where it does.
        match message {
            Message::Bitfield { .. }
            | Message::HaveAll { .. }
            | Message::Chunk { .. }
            | Message::Suggest { .. }
            | Message::Unchoke => self.may_ask_of = Some(key),
            Message::Hello { .. } | Message::Reject { .. } | Message::Tail(_) => {
                self.may_ask = true
            }
            _ => {}
        }
        self.may_serve |= matches!(
            message,
            Message::Hello { .. }
                | Message::Request { .. }
                | Message::Cancel { .. }
                | Message::Credit { .. }
        );
        match message {
            Message::Hello {
                version,
                blob,
                size,
                credit,
            } => {
                if peer.greeted {
                    return Err(Misconduct::Malformed);
                }
                if blob != self.blob {
                    return Err(Misconduct::Impossible);
                }
                peer.greeted = true;
                peer.client.credit = u64::from(credit);
                if version < CHOKING {
                    peer.chokes = false;
                    peer.source.choked = false;
                    peer.client.choked = false;
                }
                peer.sizeless = size.is_none() && peer.chokes;
                if let Some(size) = size {
                    self.on_claim(key, size)?;
                }
                self.give_tail(key, now);
                self.suggest(key);
            }
            Message::Bitfield { size, bits } => {
                self.on_announcement(key, size, Holds::from_bitfield(bits))?
            }
            Message::HaveAll { size } => self.on_announcement(key, size, Holds::All)?,
            Message::Have { indexes } => self.on_have(key, &indexes)?,
            Message::Request { index } => self.on_request(key, index)?,
            Message::Chunk { index, proof, data } => self.on_chunk(key, index, proof, data, now)?,
            Message::Cancel { index } => self.on_cancel(key, index),
            Message::Credit { bytes } => {
                peer.client.credit = peer.client.credit.saturating_add(u64::from(bytes));
            }
            Message::Reject { index, reason } => self.on_reject(key, index, reason, now)?,
            Message::Suggest { index } => {
                let source = &mut peer.source;
                source.spreading = true;
                source.dry = false;
                while source.hints.len() >= self.config.hints_max {
                    source.hints.pop_front();
                }
                source.hints.push_back(index);
                self.reconsider(key);
            }
            Message::Choke => self.on_choked(key, now),
            Message::Unchoke => {
                peer.source.choked = false;
                peer.source.dry = false;
                // Whoever gives a slot presumes interest: it must hear if there is none.
                peer.source.interested = true;
            }
            Message::Tail(tail) => self.on_tail(key, tail)?,
            Message::Interested => self.on_interest(key, true),
            Message::NotInterested => self.on_interest(key, false),
        }
        Ok(())
    }
}
