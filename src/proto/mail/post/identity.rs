//! The person's own identity: begun, found again, kept in the index, and what follows from what other devices did to it.

use zeroize::Zeroizing;

use super::{DeviceView, Output, Post};
use crate::proto::custody::collector::Input as Collecting;
use crate::proto::custody::stamp::DEFAULT_BITS;
use crate::proto::identity::card::MAX_NAME_LEN;
use crate::proto::identity::chain::Chain;
use crate::proto::identity::fork::{Brought, Lineage, Sort};
use crate::proto::identity::op::Act;
use crate::proto::identity::owner::Owner;
use crate::proto::identity::{Id, IdentityError, Key, MAX_DEVICES, OpId, record as index};
use crate::proto::keys::SiteKey;
use crate::proto::mail::prekey::Prekeys;
use crate::proto::mail::record::MailRecord;
use crate::proto::share::clean_name;

use super::renewal::{Decided, Former, Turn};
use super::types::Policy;

/// Milliseconds after which one's own chain is looked up again: another device may have changed it.
const LOOK_OWN: u64 = 6 * 60 * 60 * 1000;

/// How it stands with the identity.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stage {
    /// There is none on this machine.
    None,
    /// It is being looked for.
    Looking,
    /// It is there, and this device is one of its devices.
    Ready,
    /// This device was removed, or the keys were changed elsewhere.
    Removed,
    /// The identity was given up.
    Ended,
}

/// One's own identity, and all that is not about a message or another person.
pub(super) struct Me {
    pub(super) stage: Stage,
    pub(super) name: String,
    /// The seed of this device's key.
    pub(super) device: Zeroizing<[u8; 32]>,
    pub(super) lineage: Option<Lineage>,
    pub(super) keys: Prekeys,
    pub(super) policy: Policy,
    /// Passes of which generation are given, and which earlier ones are read until when, in seconds since 1970: the current one first.
    pub(super) generations: Vec<(u32, u64)>,
    /// The same for prices of the strangers' lane.
    pub(super) prices: Vec<(u8, u64)>,
    pub(super) record: Option<MailRecord>,
    /// What the last record that this device signed said for custody.
    pub(super) offered: Vec<u8>,
    /// The last operation of the chain that others hold.
    pub(super) held: Option<OpId>,
    /// Whether nothing was found so far.
    pub(super) lost: bool,
    /// The keys of this epoch, if they follow from another secret than that of this machine.
    pub(super) turn: Option<Turn>,
    /// The mailbox before this one.
    pub(super) former: Option<Former>,
    /// What the person had this machine sign that may yet not count. All of it is in the chain, so it is as bounded as that.
    pub(super) decided: Vec<Decided>,
}

impl Me {
    pub(super) fn new(mailbox: &[u8; 32], device: [u8; 32], now: u64) -> Self {
        Self {
            stage: Stage::None,
            name: String::new(),
            device: Zeroizing::new(device),
            lineage: None,
            keys: Prekeys::new(mailbox, now / 1000),
            policy: Policy {
                stamp_bits: DEFAULT_BITS,
                read_receipts: false,
                open: true,
                relays: Vec::new(),
            },
            generations: vec![(0, u64::MAX)],
            prices: vec![(DEFAULT_BITS, u64::MAX)],
            record: None,
            offered: Vec::new(),
            held: None,
            lost: false,
            turn: None,
            former: None,
            decided: Vec::new(),
        }
    }

    pub(super) fn key(&self) -> SiteKey {
        SiteKey::from_seed(*self.device)
    }

    pub(super) fn chain(&self) -> Option<&Chain> {
        self.lineage.as_ref().map(Lineage::chain)
    }
}

impl Post {
    pub(super) fn begin(&mut self, name: &str) {
        if !matches!(self.me.stage, Stage::None | Stage::Looking) {
            return;
        }
        self.rename(name);
        let mut chain = Owner::new(&self.root, 0).begin();
        if self.join(&mut chain).is_ok()
            && let Ok(lineage) = Lineage::new(chain, self.unix())
        {
            self.me.lineage = Some(lineage);
            self.become_ready();
        }
    }

    pub(super) fn recover(&mut self, name: &str) {
        if self.me.stage != Stage::None {
            return;
        }
        self.rename(name);
        self.me.stage = Stage::Looking;
        self.save_me();
        self.tell_identity();
        self.look_own();
    }

    /// Which devices it has, the keys of the others.
    pub(super) fn device_keys(&self) -> Vec<Key> {
        let chain = self.me.chain();
        let devices = chain.map(|chain| chain.state().devices.clone());
        devices.unwrap_or_default().into_iter().collect()
    }

    /// When a device was added, in milliseconds since 1970.
    pub(super) fn added(&self, device: Key) -> u64 {
        let ops = self.me.chain().map(Chain::ops).unwrap_or_default();
        let added = ops
            .iter()
            .rev()
            .find(|op| *op.act() == Act::AddDevice(device));
        added.map_or(0, |op| op.time().saturating_mul(1000))
    }

    pub(super) fn remove_device(&mut self, key: Key) {
        let Some(mut chain) = self.me.chain().cloned() else {
            return;
        };
        match self.sign(&mut chain, Act::RemoveDevice(key)) {
            Ok(()) => {
                self.decide(&chain, Act::RemoveDevice(key));
                self.bring(chain);
            }
            Err(error) => self.out.push_back(Output::Refused(error.code())),
        }
        self.review_identity();
        self.settle();
    }

    pub(super) fn look_own(&mut self) {
        if matches!(self.me.stage, Stage::None) {
            return;
        }
        let age = if self.me.stage == Stage::Looking {
            0
        } else {
            LOOK_OWN
        };
        self.look(&index::routing_key(self.id), age);
        if self.is_ready() {
            self.look_own_record(LOOK_OWN);
        }
    }

    /// An answer about one's own chain.
    pub(super) fn own_chains(&mut self, key: &[u8], values: &[Vec<u8>]) {
        let now = self.unix();
        let mut good = false;
        for value in values {
            let known = self.me.chain().cloned();
            let chain = match index::validate(key, value, known.as_ref(), now) {
                Ok(chain) => chain,
                Err(error) => {
                    self.out.push_back(Output::Refused(error.code()));
                    continue;
                }
            };
            good = true;
            self.bring(chain);
        }
        self.looked(key, good);
        match (good, self.me.stage) {
            (true, Stage::Looking) => {
                self.me.lost = false;
                self.become_ready();
            }
            (false, Stage::Looking) => {
                self.me.lost = true;
                self.tell_identity();
            }
            _ => self.review_identity(),
        }
        // What time alone has made a contradiction was none when it was told last.
        let forks = self.me.lineage.as_ref().map(|lineage| lineage.forks(now));
        if forks.is_some_and(|forks| forks.iter().any(|fork| fork.sort != Sort::Settled)) {
            self.tell_identity();
        }
    }

    /// Sees to it that this device is one of the chain's that counts, unless it was removed.
    pub(super) fn review_identity(&mut self) {
        let Some(chain) = self.me.chain() else { return };
        if matches!(self.me.stage, Stage::None | Stage::Looking) {
            return;
        }
        let stage = self.stage_of(chain);
        if self.me.stage != stage {
            self.me.stage = stage;
            self.save_me();
            self.tell_identity();
            self.reading = None;
            match stage {
                // What left it out was overruled.
                Stage::Ready => self.read_mailboxes(),
                _ => self.collect(Collecting::Read(Vec::new())),
            }
        }
        if stage == Stage::Ended {
            self.put_chain();
        }
        if stage != Stage::Ready {
            return;
        }
        let Some(chain) = self.me.chain() else { return };
        // Two devices that sign at the same time fork harmlessly: whose operation does not count signs again.
        let mut chain = chain.clone();
        let before = chain.head();
        if let Err(error) = self.join(&mut chain) {
            self.out.push_back(Output::Refused(error.code()));
        }
        self.sign_again(&mut chain);
        if chain.head() != before {
            self.bring(chain);
        }
        self.put_chain();
    }

    /// Adds this device, and names the mail key, where that is not so already.
    fn join(&self, chain: &mut Chain) -> Result<(), IdentityError> {
        let signer = self.signer(chain)?;
        let device = Key::from(self.me.key().name());
        let mail = Some(Key::from(self.mail_key().name()));
        let time = self.unix().max(chain.state().time);
        if !chain.state().devices.contains(&device) {
            if chain.state().devices.len() >= MAX_DEVICES
                && let Some(oldest) = self.longest_silent(chain)
            {
                chain.sign(time, Act::RemoveDevice(oldest), &signer)?;
            }
            chain.sign(time, Act::AddDevice(device), &signer)?;
        }
        match chain.state().mail == mail {
            true => Ok(()),
            false => chain.sign(time, Act::SetMail(mail), &signer),
        }
    }

    /// The device to make room for another: the one that was added first of those that are silent for longest.
    fn longest_silent(&self, chain: &Chain) -> Option<Key> {
        let place = |key: &Key| {
            let mut ops = chain.ops().iter();
            ops.position(|op| *op.act() == Act::AddDevice(*key))
        };
        let seen = |key: &Key| self.devices.get(key).map_or(0, |device| device.seen);
        let devices = chain.state().devices.iter();
        devices.min_by_key(|key| (seen(key), place(key))).copied()
    }

    pub(super) fn become_ready(&mut self) {
        self.me.stage = Stage::Ready;
        self.review_identity();
        self.save_me();
        self.tell_identity();
        self.read_mailboxes();
        self.review();
    }

    fn bring(&mut self, chain: Chain) {
        let now = self.unix();
        let brought = match &mut self.me.lineage {
            None => match Lineage::new(chain, now) {
                Ok(lineage) => {
                    self.me.lineage = Some(lineage);
                    Ok(Brought::Longer)
                }
                Err(error) => Err(error),
            },
            Some(lineage) => lineage.bring(chain, now),
        };
        match brought {
            Ok(Brought::Same) => {}
            Ok(_) => {
                self.save_me();
                if self.me.stage != Stage::Looking {
                    self.put_chain();
                    self.tell_identity();
                }
            }
            Err(error) => self.out.push_back(Output::Refused(error.code())),
        }
    }

    pub(super) fn put_chain(&mut self) {
        let Some(chain) = self.me.chain() else { return };
        let key = index::routing_key(self.id);
        let value = chain.to_bytes();
        let same = self.puts.get(&key[..]).is_some_and(|put| put.is(&value));
        if !same {
            self.put(&key, value);
        }
    }

    /// Something of ours is held by others.
    pub(super) fn published(&mut self, key: &[u8]) {
        if index::of_routing_key(key) == Some(self.id) {
            let head = self.me.chain().map(Chain::head);
            if self.me.held != head {
                self.me.held = head;
                self.save_me();
            }
        } else {
            self.record_published(key);
        }
    }

    pub(super) fn tell_identity(&mut self) {
        let mine = Key::from(self.me.key().name());
        let view = |key: Key| DeviceView {
            key,
            me: key == mine,
            since: self.added(key),
            seen: match key == mine {
                true => self.now,
                false => self.devices.get(&key).map_or(0, |device| device.seen),
            },
        };
        let devices = self.device_keys().into_iter().map(view).collect();
        let forks = self.me.lineage.as_ref();
        let forks = forks.map(|lineage| lineage.forks(self.unix()));
        let forks = forks.unwrap_or_default();
        let sites = self.me.chain().map(|chain| chain.state().sites.iter());
        let sites = sites.into_iter().flatten();
        let sites = sites.map(|(site, key)| (*site, *key)).collect();
        let number = |sort| forks.iter().filter(|fork| fork.sort == sort).count();
        self.out.push_back(Output::Identity {
            stage: self.me.stage,
            devices,
            sites,
            forks: number(Sort::Contradiction),
            open: number(Sort::Open),
            settled: number(Sort::Settled),
            lost: self.me.lost,
            on_paper: self.is_on_paper(),
            name: self.me.name.clone(),
        });
    }

    fn rename(&mut self, name: &str) {
        self.me.name = proper_name(name);
    }

    pub(super) fn is_me(&self, id: Id) -> bool {
        id == self.id
    }
}

/// What of a name can be shown and told.
pub(super) fn proper_name(name: &str) -> String {
    let mut name = clean_name(name.trim());
    let end = (0..=MAX_NAME_LEN.min(name.len()))
        .rev()
        .find(|end| name.is_char_boundary(*end));
    name.truncate(end.unwrap_or_default());
    name
}
