//! A chain of operations that has been checked, and what follows from it.
//!
//! [`Chain::push`] is the one way in: it checks that the operation follows the last one, that its time does not run backwards,
//! that the key it shows was committed to, that it changes something, and last its signature, the one costly step.

use super::op::{Act, Keys, Op, VERSION, exactly};
use super::{
    Id, IdentityError, Key, MAX_AHEAD, MAX_CHAIN_LEN, MAX_DEVICES, MAX_OPS, MAX_SITES, OpId,
};
use crate::proto::cbor::{Reader, Writer};
use crate::proto::keys::SiteKey;
use crate::proto::ordered::{Map, Set};

/// Operations whose signatures hold, from the first on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Chain {
    ops: Vec<Op>,
    ids: Vec<OpId>,
    len: usize,
    state: State,
}

/// What follows from a chain.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct State {
    /// The keys that count now.
    pub keys: Keys,
    /// The devices that sign mail.
    pub devices: Set<Key>,
    /// The key that signs the mail record.
    pub mail: Option<Key>,
    /// The names that the identity's sites are published under.
    pub sites: Map<u32, Key>,
    /// When the last operation was made, by the word of who made it, in seconds since 1970.
    pub time: u64,
    /// Whether the identity was given up.
    pub ended: bool,
}

impl Chain {
    /// Starts a chain.
    ///
    /// # Errors
    /// `NoGenesis`, `WrongKey` or `BadSignature`.
    pub fn start(genesis: Op) -> Result<Self, IdentityError> {
        Self::begin(genesis, true)
    }

    fn begin(genesis: Op, unchecked: bool) -> Result<Self, IdentityError> {
        let Act::Genesis(keys) = *genesis.act() else {
            return Err(IdentityError::NoGenesis);
        };
        check_keys(&keys)?;
        if unchecked && !genesis.is_signed_by(&keys.key) {
            return Err(IdentityError::BadSignature);
        }
        Ok(Self {
            ids: vec![genesis.id()],
            len: HEAD_LEN + genesis.encoded_len(),
            ops: vec![genesis],
            state: State {
                keys,
                devices: Set::new(),
                mail: None,
                sites: Map::new(),
                time: 0,
                ended: false,
            },
        })
    }

    /// Reads and checks the chain of `id`. Nothing is verified before the whole is known to be well formed, and each operation
    /// costs one signature.
    ///
    /// # Errors
    /// Any [`IdentityError`] but `FromTheFuture`.
    pub fn parse(id: Id, bytes: &[u8]) -> Result<Self, IdentityError> {
        Self::read(id, bytes, &[])
    }

    /// As [`parse`](Self::parse), for the identity of a chain that is known: what both begin with is not verified again.
    ///
    /// # Errors
    /// As [`parse`](Self::parse).
    pub fn parse_after(known: &Self, bytes: &[u8]) -> Result<Self, IdentityError> {
        Self::read(known.id(), bytes, &known.ops)
    }

    /// Reads what this program stored where nobody else can write: whose it is follows from it, and it was verified before.
    ///
    /// # Errors
    /// Any [`IdentityError`] but those of signatures.
    #[cfg(feature = "mail")]
    pub(in crate::proto) fn parse_stored(bytes: &[u8]) -> Result<Self, IdentityError> {
        let ops = Self::read_ops(bytes)?;
        let verified = ops.len();
        Self::replay(ops, verified)
    }

    fn read(id: Id, bytes: &[u8], known: &[Op]) -> Result<Self, IdentityError> {
        let ops = Self::read_ops(bytes)?;
        match ops.first() {
            Some(genesis) if genesis.id().0 != id.0 => return Err(IdentityError::OtherIdentity),
            _ => {}
        }
        let pairs = ops.iter().zip(known);
        let shared = pairs.take_while(|(op, known)| op == known).count();
        Self::replay(ops, shared)
    }

    fn read_ops(bytes: &[u8]) -> Result<Vec<Op>, IdentityError> {
        if bytes.len() > MAX_CHAIN_LEN {
            return Err(IdentityError::TooLong);
        }
        let mut reader = Reader::new(bytes);
        exactly(reader.array()?, 2)?;
        match reader.uint()? {
            VERSION => {}
            other => return Err(IdentityError::Version(other)),
        }
        let count = reader.array()?;
        if count > MAX_OPS {
            return Err(IdentityError::TooLong);
        }
        let mut ops = Vec::with_capacity(count);
        for _ in 0..count {
            ops.push(Op::read(bytes, &mut reader)?);
        }
        if !reader.is_at_end() {
            return Err(IdentityError::Malformed);
        }
        match ops.is_empty() {
            true => Err(IdentityError::NoGenesis),
            false => Ok(ops),
        }
    }

    /// Adds an operation.
    ///
    /// # Errors
    /// What is wrong with it; nothing is changed then.
    pub fn push(&mut self, op: Op) -> Result<(), IdentityError> {
        self.add(op, true)
    }

    fn add(&mut self, op: Op, unchecked: bool) -> Result<(), IdentityError> {
        let len = self.len + op.encoded_len();
        if self.ops.len() >= MAX_OPS || len > MAX_CHAIN_LEN {
            return Err(IdentityError::TooLong);
        }
        if matches!(op.act(), Act::Genesis(_)) {
            return Err(IdentityError::NoGenesis);
        }
        if op.prev() != Some(self.head()) {
            return Err(IdentityError::BrokenLink);
        }
        if op.time() < self.state.time {
            return Err(IdentityError::OutOfTime);
        }
        let (state, signer) = self.state.after(&op)?;
        if unchecked && !op.is_signed_by(&signer) {
            return Err(IdentityError::BadSignature);
        }
        self.state = state;
        self.len = len;
        self.ids.push(op.id());
        self.ops.push(op);
        Ok(())
    }

    /// Signs an operation and adds it.
    ///
    /// # Errors
    /// What is wrong with it; nothing is changed then.
    pub fn sign(&mut self, time: u64, act: Act, signer: &SiteKey) -> Result<(), IdentityError> {
        self.push(Op::after(self.head(), time, act, signer))
    }

    /// The chain as it was after the operation at this place, the first being 0.
    pub fn back_to(&self, place: usize) -> Option<Self> {
        let ops = self.ops.get(..=place)?.to_vec();
        Self::replay(ops, place + 1).ok()
    }

    /// The chain of these operations, of which so many at the beginning have been verified before.
    fn replay(ops: Vec<Op>, verified: usize) -> Result<Self, IdentityError> {
        let mut ops = ops.into_iter().enumerate();
        let (_, genesis) = ops.next().ok_or(IdentityError::NoGenesis)?;
        let mut chain = Self::begin(genesis, verified == 0)?;
        ops.try_for_each(|(place, op)| chain.add(op, place >= verified))?;
        Ok(chain)
    }

    /// As it travels and is stored.
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut out = Writer(Vec::with_capacity(self.len));
        out.array(2);
        out.uint(VERSION);
        out.array(self.ops.len());
        self.ops.iter().for_each(|op| op.write(&mut out));
        out.0
    }

    /// Whose.
    pub fn id(&self) -> Id {
        Id(self.ids[0].0)
    }

    /// The last operation.
    pub fn head(&self) -> OpId {
        self.ids[self.ids.len() - 1]
    }

    /// The operations, the first first.
    pub fn ops(&self) -> &[Op] {
        &self.ops
    }

    /// Their ids.
    pub fn ids(&self) -> &[OpId] {
        &self.ids
    }

    /// What follows from them.
    pub fn state(&self) -> &State {
        &self.state
    }

    /// Whether it begins with all of `other`.
    pub fn continues(&self, other: &Self) -> bool {
        self.ids.starts_with(&other.ids)
    }

    /// Refuses what claims to be from after `now`, in seconds since 1970, by more than [`MAX_AHEAD`].
    ///
    /// # Errors
    /// `FromTheFuture`.
    pub fn check_time(&self, now: u64) -> Result<(), IdentityError> {
        match self.state.time > now.saturating_add(MAX_AHEAD) {
            true => Err(IdentityError::FromTheFuture),
            false => Ok(()),
        }
    }
}

impl State {
    /// What it is after an operation, and whose signature that needs.
    fn after(&self, op: &Op) -> Result<(Self, Key), IdentityError> {
        if self.ended {
            return Err(IdentityError::Ended);
        }
        let mut state = self.clone();
        state.time = op.time();
        let mut signer = self.keys.key;
        let changed = match *op.act() {
            Act::Genesis(_) => return Err(IdentityError::NoGenesis),
            Act::Rotate(keys) => {
                shown(&keys.key, self.keys.next)?;
                check_keys(&keys)?;
                signer = keys.key;
                state.keys = keys;
                true
            }
            Act::Recover { shown: key, keys } => {
                shown(&key, self.keys.recovery)?;
                check_keys(&keys)?;
                if keys.recovery == self.keys.recovery || keys.next == key.commitment() {
                    return Err(IdentityError::WrongKey);
                }
                signer = key;
                state.keys = keys;
                true
            }
            Act::AddDevice(key) => {
                let added = state.devices.insert(key);
                if state.devices.len() > MAX_DEVICES {
                    return Err(IdentityError::TooMany);
                }
                added
            }
            Act::RemoveDevice(key) => state.devices.remove(&key),
            Act::SetMail(key) => std::mem::replace(&mut state.mail, key) != key,
            Act::SetSite { site, key } => {
                let before = match key {
                    Some(key) => state.sites.insert(site, key),
                    None => state.sites.remove(&site),
                };
                if state.sites.len() > MAX_SITES {
                    return Err(IdentityError::TooMany);
                }
                before != key
            }
            Act::Tombstone(key) => {
                shown(&key, self.keys.next)?;
                signer = key;
                state.ended = true;
                true
            }
        };
        match changed {
            true => Ok((state, signer)),
            false => Err(IdentityError::NoChange),
        }
    }
}

fn shown(key: &Key, committed: super::Commitment) -> Result<(), IdentityError> {
    match key.commitment() == committed {
        true => Ok(()),
        false => Err(IdentityError::WrongKey),
    }
}

/// A key that commits to itself could be used by its thief at once.
fn check_keys(keys: &Keys) -> Result<(), IdentityError> {
    let current = keys.key.commitment();
    match keys.next == current || keys.recovery == current || keys.next == keys.recovery {
        true => Err(IdentityError::WrongKey),
        false => Ok(()),
    }
}

/// Bytes before the operations: the array of two, the version, and the longest head of an array of up to [`MAX_OPS`].
const HEAD_LEN: usize = 1 + 1 + 2;
