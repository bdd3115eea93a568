//! A person's own identities, made from their one secret.
//!
//! The first operation holds nothing but keys that follow from the secret, so 24 words on an empty machine give the id again, under
//! which the rest of the chain is found. Which of the keys counts now is found by trying them in turn.
//!
//! The next key and the recovery key may follow from another secret, that of an heir: words that are on paper alone, so that no
//! machine can be robbed of them, or the secret of whoever is given the identity.

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

    /// Begins the next epoch; the key after it follows from the same secret.
    ///
    /// # Errors
    /// `NotOurs` if another committed to the next key; otherwise what is wrong with the operation.
    pub fn rotate(&self, chain: &mut Chain, time: u64) -> Result<(), IdentityError> {
        self.rotate_for(self, chain, time).map(|_| ())
    }

    /// Begins the next epoch, whose key was committed to and is this secret's; the key after it and the recovery key are the heir's, who
    /// may be this owner. Returns the epoch of this secret that counts now.
    ///
    /// # Errors
    /// `NotOurs` if another committed to the next key; otherwise what is wrong with the operation.
    pub fn rotate_for(
        &self,
        heir: &Self,
        chain: &mut Chain,
        time: u64,
    ) -> Result<u32, IdentityError> {
        let epoch = self.committed(chain)?;
        let recovery = match heir.recovery_turn(&chain.state().keys.recovery) {
            // An heir who has it already keeps it: it shows itself only once.
            Some(_) => chain.state().keys.recovery,
            None => heir.commitment_to_recovery(heir.free_recovery(chain)),
        };
        let keys = self.keys_for(heir, chain, epoch, recovery);
        chain.sign(time, Act::Rotate(keys), &self.key(epoch))?;
        Ok(epoch)
    }

    /// Gives the identity up.
    ///
    /// # Errors
    /// `NotOurs` if another committed to the next key; otherwise what is wrong with the operation.
    pub fn end(&self, chain: &mut Chain, time: u64) -> Result<(), IdentityError> {
        let key = self.key(self.committed(chain)?);
        chain.sign(time, Act::Tombstone(Key::from(key.name())), &key)
    }

    /// Overrules what follows the operation at `place` in `chain`, at `now`. It claims the latest time at which it may overrule the
    /// next one. The keys are ones that no operation of the chain has shown or used.
    ///
    /// # Errors
    /// `NotOurs` if the recovery key that counts there is another's; otherwise what is wrong with the operation.
    pub fn recover(&self, chain: &Chain, place: usize, now: u64) -> Result<Chain, IdentityError> {
        self.recover_for(self, chain, place, now)
            .map(|(chain, _)| chain)
    }

    /// As [`recover`](Self::recover); the next key and the recovery key after it are the heir's. Returns also the epoch of this secret
    /// that counts now.
    ///
    /// # Errors
    /// As [`recover`](Self::recover).
    pub fn recover_for(
        &self,
        heir: &Self,
        chain: &Chain,
        place: usize,
        now: u64,
    ) -> Result<(Chain, u32), IdentityError> {
        let mut kept = chain.back_to(place).ok_or(IdentityError::BrokenLink)?;
        let committed = kept.state().keys.recovery;
        let turn = self
            .recovery_turn(&committed)
            .ok_or(IdentityError::NotOurs)?;
        // What is committed to already may be what was stolen.
        let epoch = self.free_epoch(chain);
        let latest = latest(chain, place, now);
        let recovery = self.root.recovery_key(self.number, turn);
        let after = heir.commitment_to_recovery(heir.free_recovery(chain));
        let act = Act::Recover {
            shown: Key::from(recovery.name()),
            keys: self.keys_for(heir, chain, epoch, after),
        };
        kept.sign(latest.max(kept.state().time), act, &recovery)?;
        Ok((kept, epoch))
    }

    /// The key that signs for `chain` now.
    ///
    /// # Errors
    /// `NotOurs` if another's key counts.
    pub fn current(&self, chain: &Chain) -> Result<(u32, SiteKey), IdentityError> {
        let epoch = self.epoch(&chain.state().keys.key)?;
        Ok((epoch, self.key(epoch)))
    }

    /// Whether the next key of `chain`, whose current key is this secret's, is so too.
    pub fn is_next(&self, chain: &Chain) -> bool {
        let epoch = self.epoch(&chain.state().keys.key);
        epoch.is_ok_and(|epoch| self.commitment(epoch + 1) == chain.state().keys.next)
    }

    fn keys(&self, epoch: u32, recovery: Commitment) -> Keys {
        Keys {
            key: Key::from(self.key(epoch).name()),
            next: self.commitment(epoch + 1),
            recovery,
        }
    }

    fn keys_for(&self, heir: &Self, chain: &Chain, epoch: u32, recovery: Commitment) -> Keys {
        // A key that counts from now on is taken, though no operation shows it yet.
        let next = match heir.root == self.root && heir.number == self.number {
            true => heir.free_epoch(chain).max(epoch + 1),
            false => heir.free_epoch(chain),
        };
        Keys {
            key: Key::from(self.key(epoch).name()),
            next: heir.commitment(next),
            recovery,
        }
    }

    fn key(&self, epoch: u32) -> SiteKey {
        self.root.identity_key(self.number, epoch)
    }

    fn commitment(&self, epoch: u32) -> Commitment {
        Key::from(self.key(epoch).name()).commitment()
    }

    fn commitment_to_recovery(&self, turn: u32) -> Commitment {
        Key::from(self.root.recovery_key(self.number, turn).name()).commitment()
    }

    fn epoch(&self, key: &Key) -> Result<u32, IdentityError> {
        (0..TRIED)
            .find(|epoch| Key::from(self.key(*epoch).name()) == *key)
            .ok_or(IdentityError::NotOurs)
    }

    /// The epoch that was committed to.
    fn committed(&self, chain: &Chain) -> Result<u32, IdentityError> {
        let next = chain.state().keys.next;
        // That after the current one, but for what comes of another secret.
        let current = self.epoch(&chain.state().keys.key);
        let likely = current.map_or(0, |epoch| epoch + 1);
        std::iter::once(likely)
            .chain(0..TRIED)
            .find(|epoch| self.commitment(*epoch) == next)
            .ok_or(IdentityError::NotOurs)
    }

    fn recovery_turn(&self, committed: &Commitment) -> Option<u32> {
        (0..TRIED).find(|turn| self.commitment_to_recovery(*turn) == *committed)
    }

    /// The first epoch that no operation of the chain has used or committed to.
    fn free_epoch(&self, chain: &Chain) -> u32 {
        free(|epoch| {
            let key = Key::from(self.key(epoch).name());
            let commitment = key.commitment();
            keys_of(chain).any(|keys| keys.key == key || keys.next == commitment)
        })
    }

    fn free_recovery(&self, chain: &Chain) -> u32 {
        free(|turn| {
            let commitment = self.commitment_to_recovery(turn);
            keys_of(chain).any(|keys| keys.recovery == commitment)
        })
    }
}

/// The latest time that an operation after the one at `place` may claim to overrule the one that stands there, at `now`.
pub fn latest(chain: &Chain, place: usize, now: u64) -> u64 {
    let victim = chain.ops().get(place + 1);
    victim.map_or(now, |victim| now.min(victim.time() + WINDOW))
}

fn keys_of(chain: &Chain) -> impl Iterator<Item = &Keys> {
    chain.ops().iter().filter_map(|op| match op.act() {
        Act::Genesis(keys) | Act::Rotate(keys) | Act::Recover { keys, .. } => Some(keys),
        _ => None,
    })
}

/// The number after the last one that was used. They are used in turn, but for those that a recovery skips.
fn free(used: impl Fn(u32) -> bool) -> u32 {
    let mut free = 0;
    let mut number = 0;
    while number <= free + SKIPPED && number < TRIED {
        if used(number) {
            free = number + 1;
        }
        number += 1;
    }
    free
}

/// Numbers that may be unused between two that were: a recovery skips one at a time, and a branch that was overruled may have more.
const SKIPPED: u32 = 4;

/// Keys that are tried: a recovery skips one, so no chain gets further.
const TRIED: u32 = 2 * MAX_OPS as u32;
