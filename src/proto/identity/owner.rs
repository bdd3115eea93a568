//! A person's own identities, made from their one secret.
//!
//! The first operation holds nothing but keys that follow from the secret, so 24 words on an empty machine give the id again, under
//! which the rest of the chain is found. Which of the keys counts now is found by trying them in turn.

use super::chain::Chain;
use super::op::{Act, Keys, Op};
use super::{Commitment, Id, IdentityError, Key, MAX_OPS, WINDOW};
use crate::proto::keys::{RootSecret, SiteKey};

/// An identity of the person who has this secret.
#[derive(Debug, Clone, Copy)]
pub struct Owner<'a> {
    root: &'a RootSecret,
    number: u32,
}

impl<'a> Owner<'a> {
    /// Identity number `number`; most people have one, number 0.
    pub fn new(root: &'a RootSecret, number: u32) -> Self {
        Self { root, number }
    }

    /// The chain as it begins. The same every time.
    pub fn begin(&self) -> Chain {
        let keys = self.keys(0, self.commitment_to_recovery(0));
        Chain::start(Op::genesis(keys, &self.key(0)))
            .expect("three different keys, the first of which signs")
    }

    /// Who it is.
    pub fn id(&self) -> Id {
        self.begin().id()
    }

    /// Adds an operation that the current key signs.
    ///
    /// # Errors
    /// `NotOurs` if another's key counts now; otherwise what is wrong with the operation.
    pub fn act(&self, chain: &mut Chain, time: u64, act: Act) -> Result<(), IdentityError> {
        let epoch = self.epoch(&chain.state().keys.key)?;
        chain.sign(time, act, &self.key(epoch))
    }

    /// Begins the next epoch.
    ///
    /// # Errors
    /// `NotOurs` if another's key counts now; otherwise what is wrong with the operation.
    pub fn rotate(&self, chain: &mut Chain, time: u64) -> Result<(), IdentityError> {
        let epoch = self.epoch(&chain.state().keys.key)? + 1;
        let keys = self.keys(epoch, chain.state().keys.recovery);
        chain.sign(time, Act::Rotate(keys), &self.key(epoch))
    }

    /// Gives the identity up.
    ///
    /// # Errors
    /// `NotOurs` if another's key counts now; otherwise what is wrong with the operation.
    pub fn end(&self, chain: &mut Chain, time: u64) -> Result<(), IdentityError> {
        let key = self.key(self.epoch(&chain.state().keys.key)? + 1);
        chain.sign(time, Act::Tombstone(Key::from(key.name())), &key)
    }

    /// Overrules what follows the operation at `place` in `chain`, at `now`. It claims the latest time at which it may overrule the
    /// next one. The keys are ones that no operation of the chain has shown or used.
    ///
    /// # Errors
    /// `NotOurs` if the recovery key that counts there is another's; otherwise what is wrong with the operation.
    pub fn recover(&self, chain: &Chain, place: usize, now: u64) -> Result<Chain, IdentityError> {
        let mut kept = chain.back_to(place).ok_or(IdentityError::BrokenLink)?;
        let committed = kept.state().keys.recovery;
        let turn = (0..TRIED)
            .find(|turn| self.commitment_to_recovery(*turn) == committed)
            .ok_or(IdentityError::NotOurs)?;
        let used = chain.ops().iter().filter_map(|op| match op.act() {
            Act::Genesis(keys) | Act::Rotate(keys) | Act::Recover { keys, .. } => {
                self.epoch(&keys.key).ok()
            }
            _ => None,
        });
        // The key after the last one used is committed to already, and may be what was stolen.
        let epoch = used.max().map_or(0, |last| last + 2);
        let latest = chain
            .ops()
            .get(place + 1)
            .map_or(now, |victim| now.min(victim.time() + WINDOW));
        let recovery = self.root.recovery_key(self.number, turn);
        let act = Act::Recover {
            shown: Key::from(recovery.name()),
            keys: self.keys(epoch, self.commitment_to_recovery(turn + 1)),
        };
        kept.sign(latest.max(kept.state().time), act, &recovery)?;
        Ok(kept)
    }

    fn keys(&self, epoch: u32, recovery: Commitment) -> Keys {
        Keys {
            key: Key::from(self.key(epoch).name()),
            next: Key::from(self.key(epoch + 1).name()).commitment(),
            recovery,
        }
    }

    fn key(&self, epoch: u32) -> SiteKey {
        self.root.identity_key(self.number, epoch)
    }

    fn commitment_to_recovery(&self, turn: u32) -> Commitment {
        Key::from(self.root.recovery_key(self.number, turn).name()).commitment()
    }

    fn epoch(&self, key: &Key) -> Result<u32, IdentityError> {
        (0..TRIED)
            .find(|epoch| Key::from(self.key(*epoch).name()) == *key)
            .ok_or(IdentityError::NotOurs)
    }
}

/// Keys that are tried: a recovery skips one, so no chain gets further.
const TRIED: u32 = 2 * MAX_OPS as u32;
