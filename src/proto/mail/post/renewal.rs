//! What changes the keys of the person's own identity: a new epoch, taking it back from a thief, a machine that comes after, the end.
//!
//! At first all keys follow from the secret of this machine, so whoever takes that has them all. From the first [renewal](Change::Renew) on the
//! next key and the recovery key follow from another secret, which is on paper alone: the machine then keeps the keys of the current
//! epoch ([`Turn`]), and what was under way to the mailbox before it is read on for a while ([`Former`]).

use zeroize::Zeroizing;

use super::record::READ_ON;
use super::{IdentityStage, Output, Post};
use crate::proto::custody::tag::MailboxSecret;
use crate::proto::identity::chain::Chain;
use crate::proto::identity::op::Act;
use crate::proto::identity::owner::{self, Owner};
use crate::proto::identity::{IdentityError, Key, OpId, WINDOW};
use crate::proto::keys::{RootSecret, SiteKey};
use crate::proto::mail::prekey::Prekeys;
use crate::proto::mail::record;

/// What the person does to their identity.
#[derive(Debug, Clone)]
pub enum Change {
    /// Begins a new epoch. Where the key comes from a secret on paper, mailbox and mail key are new too, and every other machine is
    /// left out until it [rejoins](Self::Rejoin).
    Renew {
        /// The secret that was committed to; `None` if it is that of this machine.
        shown: Option<RootSecret>,
        /// The secret from which the next key and the recovery key follow from then on.
        heir: RootSecret,
        /// How many of the operations of the chain stay: what a thief has done after them is overruled.
        keep: Option<usize>,
    },
    /// Brings a machine back with the secret from which the current keys follow.
    Rejoin(RootSecret),
    /// Publishes one of the person's sites under this key from now on, or under none.
    Site {
        /// Which of the identity's sites.
        site: u32,
        /// The name that it has now.
        key: Option<Key>,
    },
    /// Gives the identity up, for good.
    End {
        /// The secret that was committed to; `None` if it is that of this machine.
        shown: Option<RootSecret>,
    },
}

/// The keys of an epoch that follows from a secret which is not on this machine.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct Turn {
    pub(super) identity: Zeroizing<[u8; 32]>,
    pub(super) mail: Zeroizing<[u8; 32]>,
    pub(super) mailbox: Zeroizing<[u8; 32]>,
}

/// The mailbox of the epoch before: letters to it are read until nobody can know of it any more.
pub(super) struct Former {
    pub(super) mailbox: Zeroizing<[u8; 32]>,
    pub(super) keys: Prekeys,
    pub(super) generation: u32,
    pub(super) bits: u8,
    /// In seconds since 1970.
    pub(super) until: u64,
}

/// What the person had this machine sign: a site, or a machine that goes. It is signed again if it does not count; what else a machine signs
/// follows from what it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Decided {
    pub(super) op: OpId,
    pub(super) act: Act,
}

/// An operation of one's own chain, to be shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Step {
    /// What it does.
    pub act: &'static str,
    /// When, in seconds since 1970, by the word of who signed it; 0 for the first.
    pub time: u64,
}

impl Turn {
    fn of(secret: &RootSecret, epoch: u32) -> Self {
        Self {
            identity: secret.identity_key(0, epoch).seed(),
            mail: secret.mail_key(0, epoch).seed(),
            mailbox: secret.mailbox_secret(0, epoch),
        }
    }
}

impl Decided {
    /// Whether the later of two takes the place of the earlier.
    fn is_of_the_same(&self, act: &Act) -> bool {
        match (&self.act, act) {
            (Act::SetSite { site, .. }, Act::SetSite { site: other, .. }) => site == other,
            (ours, other) => ours == other,
        }
    }
}

impl Former {
    pub(super) fn secret(&self) -> MailboxSecret {
        MailboxSecret::new(*self.mailbox)
    }
}

impl Post {
    /// Does what the person decides about their identity, at `now` in milliseconds since 1970.
    ///
    /// # Errors
    /// `NotOurs` if the secret is not the one that was committed to, `TooLate` if what it would overrule counts, or what is wrong with
    /// the operation. Nothing is changed then.
    pub fn change(&mut self, change: Change, now: u64) -> Result<(), IdentityError> {
        self.now = self.now.max(now);
        let done = self.changed(change);
        self.pump();
        done
    }

    pub(super) fn changed(&mut self, change: Change) -> Result<(), IdentityError> {
        match change {
            Change::Renew { shown, heir, keep } => self.renew(shown.as_ref(), &heir, keep),
            Change::Rejoin(secret) => self.rejoin(&secret),
            Change::Site { site, key } => self.set_site(site, key),
            Change::End { shown } => self.end(shown.as_ref()),
        }
    }

    /// The operations of one's own chain, the first first.
    pub fn history(&self) -> Vec<Step> {
        let ops = self.me.chain().map(Chain::ops).unwrap_or_default();
        let step = |op: &crate::proto::identity::op::Op| Step {
            act: match op.act() {
                Act::Genesis(_) => "begin",
                Act::Rotate(_) => "rotate",
                Act::Recover { .. } => "recover",
                Act::AddDevice(_) => "add",
                Act::RemoveDevice(_) => "remove",
                Act::SetMail(_) => "mail",
                Act::SetSite { .. } => "site",
                Act::Tombstone(_) => "end",
            },
            time: op.time(),
        };
        ops.iter().map(step).collect()
    }

    /// Whether the next key follows from a secret that this machine does not have.
    pub(super) fn is_on_paper(&self) -> bool {
        let on_paper = |chain| !Owner::new(&self.root, 0).is_next(chain);
        self.me.turn.is_some() || self.me.chain().is_some_and(on_paper)
    }

    /// The key that signs for the chain now.
    ///
    /// # Errors
    /// `NotOurs` if this machine does not have it.
    pub(super) fn signer(&self, chain: &Chain) -> Result<SiteKey, IdentityError> {
        let key = match &self.me.turn {
            Some(turn) => SiteKey::from_seed(*turn.identity),
            None => return Ok(Owner::new(&self.root, 0).current(chain)?.1),
        };
        match Key::from(key.name()) == chain.state().keys.key {
            true => Ok(key),
            false => Err(IdentityError::NotOurs),
        }
    }

    /// The key that signs the mail record.
    pub(super) fn mail_key(&self) -> SiteKey {
        match &self.me.turn {
            Some(turn) => SiteKey::from_seed(*turn.mail),
            None => self.root.mail_key(0, 0),
        }
    }

    pub(super) fn mailbox_secret(&self) -> Zeroizing<[u8; 32]> {
        match &self.me.turn {
            Some(turn) => turn.mailbox.clone(),
            None => self.root.mailbox_secret(0, 0),
        }
    }

    fn renew(
        &mut self,
        shown: Option<&RootSecret>,
        heir: &RootSecret,
        keep: Option<usize>,
    ) -> Result<(), IdentityError> {
        let now = self.unix();
        let chain = self.me.chain().ok_or(IdentityError::NoGenesis)?.clone();
        let shown = shown.filter(|shown| **shown != self.root);
        let secret = shown.unwrap_or(&self.root).clone();
        let (owner, heir) = (Owner::new(&secret, 0), Owner::new(heir, 0));
        let all = chain.ops().len();
        let place = keep.unwrap_or(all).clamp(1, all) - 1;
        let mut renewed = chain.back_to(place).ok_or(IdentityError::BrokenLink)?;
        // What the next key signed gives way to nothing but the recovery key.
        let strong = chain
            .ops()
            .get(place + 1)
            .is_some_and(|victim| victim.rank() > 0);
        let epoch = match strong {
            true => {
                let (recovered, epoch) = owner.recover_for(&heir, &chain, place, now)?;
                renewed = recovered;
                epoch
            }
            false => {
                let time = owner::latest(&chain, place, now).max(renewed.state().time);
                owner.rotate_for(&heir, &mut renewed, time)?
            }
        };
        let by_machine = shown.is_none() && self.me.turn.is_none();
        let turn = (!by_machine).then(|| Turn::of(&secret, epoch));
        let mail = match &turn {
            Some(turn) => SiteKey::from_seed(*turn.mail),
            None => self.mail_key(),
        };
        let signer = secret.identity_key(0, epoch);
        let seed = self.seed_for(&renewed);
        let mine = Key::from(SiteKey::from_seed(*seed).name());
        let time = renewed.state().time;
        if turn.is_some() {
            // They share the former mailbox with whoever stole it.
            for other in renewed.state().devices.clone() {
                if other != mine {
                    renewed.sign(time, Act::RemoveDevice(other), &signer)?;
                }
            }
        }
        if !renewed.state().devices.contains(&mine) {
            renewed.sign(time, Act::AddDevice(mine), &signer)?;
        }
        let mail = Some(Key::from(mail.name()));
        if renewed.state().mail != mail {
            renewed.sign(time, Act::SetMail(mail), &signer)?;
        }
        self.bring_if_it_counts(renewed)?;
        // What was undone with the rest is not wanted back.
        let kept = self.me.chain().map(Chain::ids).unwrap_or_default().to_vec();
        self.me.decided.retain(|decided| kept.contains(&decided.op));
        self.me.device = seed;
        if let Some(turn) = turn {
            self.take_turn(turn);
        }
        self.become_ready();
        self.give_all_passes();
        self.snapshot_soon();
        Ok(())
    }

    fn rejoin(&mut self, secret: &RootSecret) -> Result<(), IdentityError> {
        let chain = self.me.chain().ok_or(IdentityError::NoGenesis)?.clone();
        let (epoch, _) = Owner::new(secret, 0).current(&chain)?;
        if chain.state().ended {
            return Err(IdentityError::Ended);
        }
        self.me.device = self.seed_for(&chain);
        if *secret != self.root {
            self.take_turn(Turn::of(secret, epoch));
        }
        self.become_ready();
        Ok(())
    }

    fn set_site(&mut self, site: u32, key: Option<Key>) -> Result<(), IdentityError> {
        let mut chain = self.me.chain().ok_or(IdentityError::NoGenesis)?.clone();
        if chain.state().sites.get(&site).copied() == key {
            return Ok(());
        }
        let act = Act::SetSite { site, key };
        self.sign(&mut chain, act)?;
        self.bring_if_it_counts(chain.clone())?;
        self.decide(&chain, act);
        self.save_me();
        self.tell_identity();
        self.put_chain();
        Ok(())
    }

    /// Signs with the key that counts now.
    pub(super) fn sign(&self, chain: &mut Chain, act: Act) -> Result<(), IdentityError> {
        let signer = self.signer(chain)?;
        chain.sign(self.unix().max(chain.state().time), act, &signer)
    }

    /// Remembers that the person wanted the last operation of a chain.
    pub(super) fn decide(&mut self, chain: &Chain, act: Act) {
        let op = chain.head();
        let decided = &mut self.me.decided;
        decided.retain(|decided| !decided.is_of_the_same(&act));
        decided.push(Decided { op, act });
    }

    /// Signs again what the person decided here and what does not count: another of their machines signed at the same moment.
    pub(super) fn sign_again(&mut self, chain: &mut Chain) {
        let decided = std::mem::take(&mut self.me.decided);
        for Decided { op, act } in decided {
            let place = chain.ids().iter().position(|id| *id == op);
            if let Some(signed) = place.and_then(|place| chain.ops().get(place)) {
                // Nothing of its rank overrules it any more.
                if self.unix().saturating_sub(signed.time()) <= WINDOW {
                    self.me.decided.push(Decided { op, act });
                }
                continue;
            }
            match self.sign(chain, act) {
                Ok(()) => self.decide(chain, act),
                Err(IdentityError::NoChange) => {}
                Err(error) => self.out.push_back(Output::Refused(error.code())),
            }
        }
    }

    fn end(&mut self, shown: Option<&RootSecret>) -> Result<(), IdentityError> {
        let mut chain = self.me.chain().ok_or(IdentityError::NoGenesis)?.clone();
        let owner = Owner::new(shown.unwrap_or(&self.root), 0);
        let time = self.unix().max(chain.state().time);
        owner.end(&mut chain, time)?;
        self.bring_if_it_counts(chain)?;
        self.review_identity();
        Ok(())
    }

    fn bring_if_it_counts(&mut self, chain: Chain) -> Result<(), IdentityError> {
        let Some(mut lineage) = self.me.lineage.clone() else {
            return Err(IdentityError::NoGenesis);
        };
        let head = chain.head();
        lineage.bring(chain, self.unix())?;
        if lineage.chain().head() != head {
            return Err(IdentityError::TooLate);
        }
        self.me.lineage = Some(lineage);
        Ok(())
    }

    /// The seed of this device's key: another one if the chain has removed it, as no key comes back.
    fn seed_for(&mut self, chain: &Chain) -> Zeroizing<[u8; 32]> {
        let mine = Key::from(self.me.key().name());
        let removed = chain
            .ops()
            .iter()
            .any(|op| *op.act() == Act::RemoveDevice(mine));
        match removed {
            true => Zeroizing::new(self.draw.bytes()),
            false => self.me.device.clone(),
        }
    }

    /// Moves to the mailbox of another epoch.
    fn take_turn(&mut self, turn: Turn) {
        if self.me.turn.as_ref() == Some(&turn) {
            return;
        }
        let until = self.unix() + READ_ON;
        let bits = self.me.prices[0].0;
        let keys = Prekeys::new(&turn.mailbox, self.unix());
        self.me.former = Some(Former {
            mailbox: self.mailbox_secret(),
            keys: std::mem::replace(&mut self.me.keys, keys),
            generation: self.me.generations[0].0,
            bits,
            until,
        });
        if let Some(former) = self.me.record.take() {
            self.puts.remove(&record::routing_key(former.key())[..]);
        }
        self.mailbox = MailboxSecret::new(*turn.mailbox);
        self.me.turn = Some(turn);
        self.me.offered.clear();
        self.me.generations = vec![(0, u64::MAX)];
        self.me.prices = vec![(bits, u64::MAX)];
        self.offer = None;
        self.reading = None;
    }

    /// Whether nothing can be signed here any more: the device was removed, or the keys were changed elsewhere.
    pub(super) fn is_left_out(&self, chain: &Chain) -> bool {
        let mine = Key::from(self.me.key().name());
        let removed = chain
            .ops()
            .iter()
            .any(|op| *op.act() == Act::RemoveDevice(mine));
        removed || self.signer(chain).is_err()
    }

    /// How it stands with the identity of this chain, of which this machine has been one.
    pub(super) fn stage_of(&self, chain: &Chain) -> IdentityStage {
        match (chain.state().ended, self.is_left_out(chain)) {
            (true, _) => IdentityStage::Ended,
            (false, true) => IdentityStage::Removed,
            (false, false) => IdentityStage::Ready,
        }
    }
}
