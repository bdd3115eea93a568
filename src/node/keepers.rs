//! Keepers, as callers of the node see them: asking one to keep a site, and being one.

use std::time::Duration;

use futures::channel::mpsc;
use libp2p::multiaddr::Protocol;
use libp2p::{Multiaddr, PeerId};

use super::command::Command;
use super::error::{Error, Result};
use super::{Node, rt};
use crate::net::addresses;
use crate::proto::address::Address;
use crate::proto::keeping::Verdict;
use crate::proto::types::BlobHash;
use crate::store::Store;

/// Longest wait for a keeper's word. Ours: it finds its way to the asker, and reads the list of files first.
pub const PATIENCE: Duration = Duration::from_secs(45);

/// Once a keeper has said no, how long others may take to say yes.
const OTHERS: Duration = Duration::from_secs(10);

/// Pause between two looks at what keepers said.
const LOOK: Duration = Duration::from_millis(250);

/// What may wait for the keeper; more is dropped, and asked again by whoever wants it.
const QUEUE: usize = 64;

/// What reaches a node that is a keeper.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Asked {
    /// A peer wants this to be kept, and is owed an answer.
    Keep(Address, PeerId),
    /// A peer reads this version.
    Read(BlobHash),
}

impl<S: Store> Node<S> {
    /// Asks keepers to keep what an address leads to: those named by `at`, each ending in `/p2p/<id>`, and those that the indexes
    /// name. Ends when one has taken it, or with the best that was said when ten seconds have passed.
    ///
    /// # Errors
    /// `NotFound` if no keeper answered, `BadOptions` for an address without a name.
    pub async fn ask_keepers(&self, address: Address, at: &[Multiaddr]) -> Result<Verdict> {
        let named = |address: &Multiaddr| match address.iter().last() {
            Some(Protocol::P2p(peer)) => Ok((peer, address.clone())),
            _ => Err(Error::BadOptions(format!(
                "the keeper's address {} does not end in /p2p/<id>",
                addresses::text(address)
            ))),
        };
        let mut at = at.iter().map(named).collect::<Result<Vec<_>>>()?;
        let began = rt::now();
        loop {
            let at = std::mem::take(&mut at);
            let said = self.ask(|reply| Command::AskKeepers { address, at, reply });
            // The better answer is the lesser.
            let best = said.await?.into_iter().min();
            let waited = rt::now().saturating_sub(began);
            match best {
                Some(Verdict::Taken) => return Ok(Verdict::Taken),
                Some(verdict) if waited >= OTHERS => return Ok(verdict),
                None if waited >= PATIENCE => return Err(Error::NotFound),
                _ => rt::sleep(LOOK).await,
            }
        }
    }

    /// Is a keeper from now on: others find it as one, and what they ask is handed over. [`answer`](Self::answer) owes them a word.
    ///
    /// # Errors
    /// `Closed` once stopped.
    pub async fn be_keeper(&self) -> Result<mpsc::Receiver<Asked>> {
        let (asked, queue) = mpsc::channel(QUEUE);
        self.tell(Command::BeKeeper { asked }).await?;
        Ok(queue)
    }

    /// Answers a peer that asked for something to be kept.
    ///
    /// # Errors
    /// `Closed` once stopped.
    pub async fn answer(&self, address: Address, peer: PeerId, verdict: Verdict) -> Result<()> {
        self.tell(Command::AnswerWish {
            address,
            peer,
            verdict,
        })
        .await
    }
}
