//! The keys of the person whose node this is: made, locked, unlocked, written down, restored.
//!
//! The root secret rests in the store as locked copies, one for each way to unlock it; while it is unlocked it is in memory too,
//! until it is locked or the node stops.

use bytes::Bytes;
use zeroize::Zeroizing;

use super::error::{Error, Result};
use super::{Node, rt};
use crate::proto::keys::locked::{LOCKED_LEN, Lock, Locked, WrappingKey};
use crate::proto::keys::passphrase::{self, Work};
use crate::proto::keys::phrase::Words;
use crate::proto::keys::{KeyError, RootSecret, SiteKey};
use crate::store::Store;

/// Name of the stored value that holds the locked copies.
const ROOT: &str = "root";

/// Ways to unlock one secret. Ours: a passphrase and a passkey on each of a few devices.
pub const MAX_LOCKS: usize = 4;

/// What locks or unlocks.
#[derive(Debug)]
pub enum With {
    /// Nothing: whoever has the machine has the keys.
    Nothing,
    /// What argon2id made of a passphrase: here by [`With::passphrase`], or in a worker of the page.
    Passphrase {
        /// The salt and the work, as [`State::Locked`] says them or new ones.
        lock: Lock,
        /// The wrapping key.
        key: WrappingKey,
    },
    /// A wrapping key from elsewhere, such as a passkey asked with this salt.
    External {
        /// What it was asked with.
        salt: [u8; passphrase::SALT_LEN],
        /// What it answered.
        key: WrappingKey,
    },
}

impl With {
    /// A passphrase that is to lock keys. Takes argon2id's time, on this thread.
    ///
    /// # Errors
    /// None that can be met: the work is our own.
    pub fn new_passphrase(passphrase: &str) -> Result<Self> {
        let (salt, work) = (rt::random(), Work::RECOMMENDED);
        Self::passphrase(passphrase, Lock::Passphrase { salt, work })
    }

    /// A passphrase that is to open this lock. Takes argon2id's time, on this thread.
    ///
    /// # Errors
    /// `Key` if the lock is none of a passphrase, or asks for too much work.
    pub fn passphrase(passphrase: &str, lock: Lock) -> Result<Self> {
        let Lock::Passphrase { salt, work } = lock else {
            return Err(KeyError::OtherLock.into());
        };
        let key = passphrase::wrapping_key(passphrase, &salt, work)?;
        Ok(Self::Passphrase { lock, key })
    }
}

/// What there is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum State {
    /// No keys yet.
    Missing,
    /// They are there, and any of these unlocks them.
    Locked(Vec<Lock>),
    /// They can be used.
    Unlocked(Vec<Lock>),
}

/// The keys of a node; from [`Node::keys`].
#[derive(Debug)]
pub struct Keys<'a, S: Store> {
    node: &'a Node<S>,
}

impl<S: Store> Node<S> {
    /// What has to do with the person's keys.
    pub fn keys(&self) -> Keys<'_, S> {
        Keys { node: self }
    }
}

impl<S: Store> Keys<'_, S> {
    /// What there is, and how it is unlocked.
    ///
    /// # Errors
    /// `Store`, or `Key` if what is stored cannot be read.
    pub async fn state(&self) -> Result<State> {
        let slots = self.slots().await?;
        let locks: Vec<_> = slots.iter().map(Locked::lock).collect();
        if locks.is_empty() {
            return Ok(State::Missing);
        }
        Ok(match self.root().await {
            Ok(_) => State::Unlocked(locks),
            Err(_) => State::Locked(locks),
        })
    }

    /// Makes a secret, locked in no way yet.
    ///
    /// # Errors
    /// `KeysExist`, `Store`.
    pub async fn create(&self) -> Result<()> {
        self.take_up(RootSecret::new(rt::random())).await
    }

    /// Takes the secret that 24 words say; `list` is the English list of BIP-39.
    ///
    /// # Errors
    /// `Phrase`, `KeysExist` unless it is the secret that is here, `Store`.
    pub async fn restore(&self, list: &str, phrase: &str) -> Result<()> {
        self.take_up(Words::new(list)?.read(phrase)?).await
    }

    /// Takes the secret of a key file.
    ///
    /// # Errors
    /// `Key`, `KeysExist` unless it is the secret that is here, `Store`.
    pub async fn import(&self, file: &[u8], with: With) -> Result<()> {
        let locked = Locked::decode(file)?;
        let secret = unlock(&locked, &with)?;
        self.take_up(secret).await
    }

    /// A key file that this unlocks.
    ///
    /// # Errors
    /// `Locked`, `NoKeys`, `Key`, `Store`.
    pub async fn export(&self, with: With) -> Result<Bytes> {
        let secret = self.root().await?;
        Ok(seal(&secret, with)?.encode().into())
    }

    /// The secret as 24 words; `list` is the English list of BIP-39.
    ///
    /// # Errors
    /// `Locked`, `NoKeys`, `Phrase` for another list, `Store`.
    pub async fn phrase(&self, list: &str) -> Result<Zeroizing<String>> {
        Ok(Words::new(list)?.of(&self.root().await?))
    }

    /// Unlocks the keys for as long as the node runs.
    ///
    /// # Errors
    /// `NoKeys`, `Key`: `WrongKey`, or `OtherLock` if nothing is locked that way; `Store`.
    pub async fn unlock(&self, with: With) -> Result<()> {
        let slots = self.slots().await?;
        if slots.is_empty() {
            return Err(Error::NoKeys);
        }
        let mut worst = KeyError::OtherLock;
        for slot in &slots {
            match unlock(slot, &with) {
                Ok(secret) => {
                    self.node.shared.borrow_mut().root = Some(secret);
                    return Ok(());
                }
                Err(KeyError::OtherLock) => {}
                Err(error) => worst = error,
            }
        }
        Err(worst.into())
    }

    /// Forgets the unlocked secret. One that is locked in no way is unlocked again at the next use.
    pub fn lock(&self) {
        self.node.shared.borrow_mut().root = None;
    }

    /// From now on this is what unlocks the keys, and nothing else.
    ///
    /// # Errors
    /// `Locked`, `NoKeys`, `Key`, `Store`.
    pub async fn set_lock(&self, with: With) -> Result<()> {
        let secret = self.root().await?;
        self.keep(&[seal(&secret, with)?], secret).await
    }

    /// From now on this unlocks the keys too.
    ///
    /// # Errors
    /// `Locked`, `NoKeys`, `BadOptions` if there are [`MAX_LOCKS`] already or the keys are not locked at all, `Key`, `Store`.
    pub async fn add_lock(&self, with: With) -> Result<()> {
        let secret = self.root().await?;
        let mut slots = self.slots().await?;
        let new = seal(&secret, with)?;
        if slots.len() >= MAX_LOCKS {
            return Err(Error::BadOptions(
                "the keys cannot be unlocked in more ways".into(),
            ));
        }
        if slots.iter().any(|slot| slot.lock() == Lock::Open) || new.lock() == Lock::Open {
            return Err(Error::BadOptions(
                "a lock beside none would lock nothing".into(),
            ));
        }
        slots.push(new);
        self.keep(&slots, secret).await
    }

    /// The key of the person's site with this number.
    ///
    /// # Errors
    /// `Locked`, `NoKeys`, `Store`.
    pub async fn site_key(&self, number: u32) -> Result<SiteKey> {
        Ok(self.root().await?.site_key(number))
    }

    /// The secret that the person's mail follows from.
    ///
    /// # Errors
    /// `Locked`, `NoKeys`, `Store`.
    pub async fn mail_secret(&self) -> Result<Zeroizing<[u8; 32]>> {
        Ok(self.root().await?.mail_secret())
    }

    /// Removes the keys from this machine. Without the words or a key file they are lost.
    ///
    /// # Errors
    /// `Store`.
    pub async fn forget(&self) -> Result<()> {
        self.lock();
        Ok(self.node.store.set_value(ROOT, None).await?)
    }

    async fn take_up(&self, secret: RootSecret) -> Result<()> {
        let slots = self.slots().await?;
        if slots.is_empty() {
            return self.keep(&[seal(&secret, With::Nothing)?], secret).await;
        }
        match self.root().await {
            Ok(present) if present == secret => Ok(()),
            _ => Err(Error::KeysExist),
        }
    }

    async fn keep(&self, slots: &[Locked], secret: RootSecret) -> Result<()> {
        let value: Vec<u8> = slots.iter().flat_map(Locked::encode).collect();
        self.node.store.set_value(ROOT, Some(value.into())).await?;
        self.node.shared.borrow_mut().root = Some(secret);
        Ok(())
    }

    async fn slots(&self) -> Result<Vec<Locked>> {
        let value = self.node.store.value(ROOT).await?.unwrap_or_default();
        let slots = value.chunks(LOCKED_LEN).take(MAX_LOCKS);
        Ok(slots.map(Locked::decode).collect::<Result<_, _>>()?)
    }

    async fn root(&self) -> Result<RootSecret> {
        if let Some(secret) = self.node.shared.borrow().root.clone() {
            return Ok(secret);
        }
        let slots = self.slots().await?;
        let open = slots.iter().find(|slot| slot.lock() == Lock::Open);
        let Some(open) = open else {
            return Err(match slots.is_empty() {
                true => Error::NoKeys,
                false => Error::Locked,
            });
        };
        let secret = open.unlock(None)?;
        self.node.shared.borrow_mut().root = Some(secret.clone());
        Ok(secret)
    }
}

fn seal(secret: &RootSecret, with: With) -> Result<Locked> {
    let (lock, key) = match with {
        With::Nothing => (Lock::Open, None),
        With::Passphrase { lock, key } => match lock {
            Lock::Passphrase { work, .. } if work.is_reasonable() => (lock, Some(key)),
            _ => return Err(KeyError::OtherLock.into()),
        },
        With::External { salt, key } => (Lock::External { salt }, Some(key)),
    };
    Ok(Locked::seal(secret, lock, key.as_ref(), rt::random())?)
}

fn unlock(locked: &Locked, with: &With) -> Result<RootSecret, KeyError> {
    match (locked.lock(), with) {
        (Lock::Open, With::Nothing) => locked.unlock(None),
        (lock @ Lock::Passphrase { .. }, With::Passphrase { lock: told, key }) if lock == *told => {
            locked.unlock(Some(key))
        }
        (Lock::External { salt }, With::External { salt: told, key }) if salt == *told => {
            locked.unlock(Some(key))
        }
        _ => Err(KeyError::OtherLock),
    }
}
