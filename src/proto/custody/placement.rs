//! Bringing one message to so many peers: who is asked, who holds it, who is next.
//!
//! Both a sender and a custodian that looks after a copy use it. One who wants to know how many copies are online first probes
//! the head of the order, since that is where copies were put; each must prove that it holds the whole envelope. What is missing
//! then goes to those that answered, in order.

use super::deposit::{Deposit, Expiry};
use super::message::{Message, Nonce, is_receipt, may_delete, possession};
use super::region::{Candidate, next_candidate};
use super::sign::Signature;
use super::{ANSWER_WITHIN, MessageId, PeerId};
use crate::proto::random::Random;
use crate::proto::types::Time;

/// Probes under way at once: most often the first or second answers yes.
const PROBES_AT_ONCE: usize = 2;

/// One message on its way.
#[derive(Debug)]
pub(super) struct Placement {
    deposit: Deposit,
    goal: usize,
    probes_left: usize,
    order: Vec<Candidate>,
    /// Answered that they lack it.
    lacking: Vec<Candidate>,
    asked: Vec<Asked>,
    holds: Vec<PeerId>,
    /// Of those that hold it or were sent it.
    networks: Vec<u32>,
}

#[derive(Debug)]
struct Asked {
    candidate: Candidate,
    /// Of a probe.
    nonce: Option<Nonce>,
    until: Time,
}

/// What an answer says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Answer {
    /// Nothing that matters here.
    Nothing,
    /// The peer stored it, and signed that.
    Receipt(Expiry),
    /// The reader deleted it.
    Buried(Signature),
}

impl Placement {
    /// `goal` peers of `order` are to hold it; so many of the first are probed before anything is sent.
    pub(super) fn new(deposit: Deposit, goal: usize, order: Vec<Candidate>, probes: usize) -> Self {
        Self {
            deposit,
            goal,
            probes_left: probes,
            order,
            lacking: Vec::new(),
            asked: Vec::new(),
            holds: Vec::new(),
            networks: Vec::new(),
        }
    }

    pub(super) fn deposit(&self) -> &Deposit {
        &self.deposit
    }

    /// Those that hold it.
    pub(super) fn holds(&self) -> &[PeerId] {
        &self.holds
    }

    /// Whether there is nothing more to do: enough hold it, or nobody is left to ask.
    pub(super) fn is_over(&self) -> bool {
        let nobody = self.order.is_empty() && self.lacking.is_empty() && self.asked.is_empty();
        self.holds.len() >= self.goal || nobody
    }

    /// When to look again, if nothing comes.
    pub(super) fn deadline(&self) -> Option<Time> {
        self.asked.iter().map(|asked| asked.until).min()
    }

    /// Takes in an answer about this message; call [`advance`](Self::advance) after it.
    pub(super) fn answer(&mut self, from: PeerId, message: &Message) -> Answer {
        let Some(at) = self
            .asked
            .iter()
            .position(|asked| asked.candidate.peer == from)
        else {
            return Answer::Nothing;
        };
        let id = self.deposit.id();
        if about(message) != Some(id) {
            return Answer::Nothing;
        }
        let asked = self.asked.remove(at);
        match (message, asked.nonce) {
            (Message::Receipt(_, expiry, signature), None)
                if is_receipt(from, id, *expiry, signature) =>
            {
                self.holds.push(from);
                return Answer::Receipt(*expiry);
            }
            (Message::Held(_, proof), Some(nonce))
                if *proof == possession(from, &nonce, self.deposit.envelope()) =>
            {
                self.holds.push(from);
                self.networks.push(asked.candidate.network);
            }
            (Message::Absent(_), Some(_)) => self.lacking.push(asked.candidate),
            (Message::Buried(_, signature), _)
                if may_delete(self.deposit.header().terms(), id, signature) =>
            {
                return Answer::Buried(*signature);
            }
            // A lie or a refusal: this peer is not counted on.
            _ => {}
        }
        Answer::Nothing
    }

    /// The peer cannot be reached.
    pub(super) fn unreachable(&mut self, peer: PeerId) {
        let other = |candidate: &Candidate| candidate.peer != peer;
        self.asked.retain(|asked| other(&asked.candidate));
        self.lacking.retain(other);
        self.order.retain(other);
        self.holds.retain(|holder| *holder != peer);
    }

    /// Says what to send now.
    pub(super) fn advance(
        &mut self,
        now: Time,
        random: &mut Random,
        out: &mut Vec<(PeerId, Message)>,
    ) {
        self.asked.retain(|asked| asked.until > now);
        while self.holds.len() < self.goal {
            let probing = self.asked.iter().filter(|asked| asked.nonce.is_some());
            let probing = probing.count();
            if self.probes_left > 0 && !self.order.is_empty() {
                if probing >= PROBES_AT_ONCE {
                    return;
                }
                self.probes_left -= 1;
                let candidate = self.order.remove(0);
                let nonce = nonce(random);
                self.ask(candidate, Some(nonce), now);
                out.push((candidate.peer, Message::Probe(self.deposit.id(), nonce)));
                continue;
            }
            if probing > 0 || self.holds.len() + self.asked.len() >= self.goal {
                return;
            }
            let next = next_candidate(&mut self.lacking, &self.networks)
                .or_else(|| next_candidate(&mut self.order, &self.networks));
            let Some(candidate) = next else {
                // Those that are left are of networks that have their part.
                self.lacking.clear();
                self.order.clear();
                return;
            };
            self.networks.push(candidate.network);
            self.ask(candidate, None, now);
            out.push((candidate.peer, Message::Put(self.deposit.clone())));
        }
    }

    fn ask(&mut self, candidate: Candidate, nonce: Option<Nonce>, now: Time) {
        self.asked.push(Asked {
            candidate,
            nonce,
            until: now + ANSWER_WITHIN,
        });
    }
}

/// Draws a number to be used once.
pub(super) fn nonce(random: &mut Random) -> Nonce {
    let mut nonce = Nonce::default();
    nonce[..8].copy_from_slice(&random.bits().to_be_bytes());
    nonce[8..].copy_from_slice(&random.bits().to_be_bytes());
    nonce
}

/// Which message an answer to `Put` or `Probe` is about.
pub(super) fn about(message: &Message) -> Option<MessageId> {
    match message {
        Message::Receipt(id, ..)
        | Message::Refused(id, _)
        | Message::Absent(id)
        | Message::Held(id, _)
        | Message::Buried(id, _) => Some(*id),
        _ => None,
    }
}
