//! The custodians of the toy network: as they ship, but for what some of them do wrong.

use super::*;

/// What a custodian does wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Habit {
    Honest,
    /// Signs and drops.
    Drops,
    /// Gives changed envelopes.
    Garbage,
    /// Keeps, and lists nothing.
    Hides,
    /// Answers with bytes that are no message.
    Babbles,
}

pub struct Keeper {
    pub custodian: Custodian,
    pub peer: PeerId,
    pub online: bool,
    pub habit: Habit,
    pub store: BTreeMap<DepositId, Deposit>,
    /// Attachments that it is to keep, and those of them that have come.
    pub wants: BTreeSet<BlobHash>,
    pub blobs: BTreeSet<BlobHash>,
    pub wishes: usize,
    pub(super) wake: u64,
}

impl World {
    pub(super) fn keep(&mut self, n: usize, input: Keeping) {
        let (time, unix) = (self.time(), self.now / 1000);
        self.keepers[n].custodian.handle(input, time, unix);
        while let Some(output) = self.keepers[n].custodian.poll_output() {
            let again = match output {
                Kept::Store(deposit) => {
                    let id = deposit.id();
                    self.puts += 1;
                    if self.keepers[n].habit != Habit::Drops {
                        self.keepers[n].store.insert(id, deposit);
                    }
                    Some(Keeping::Stored(id))
                }
                Kept::Load(id) => {
                    Some(Keeping::Loaded(id, self.keepers[n].store.get(&id).cloned()))
                }
                Kept::Forget(id) => {
                    self.keepers[n].store.remove(&id);
                    None
                }
                Kept::StoreKeep(keep) => {
                    self.keepers[n].wishes += 1;
                    Some(Keeping::Stored(keep.id()))
                }
                Kept::Fetch(blob) => {
                    self.keepers[n].wants.insert(blob.hash);
                    self.swarm_soon();
                    None
                }
                Kept::Release(hash) => {
                    self.keepers[n].wants.remove(&hash);
                    self.keepers[n].blobs.remove(&hash);
                    None
                }
                Kept::Bury(_) | Kept::Exhume(..) => None,
                Kept::Lookup(tag) => {
                    let near = self.near(tag);
                    Some(Keeping::Found(tag, near))
                }
                Kept::Drop(peer) => {
                    let me = self.keepers[n].peer;
                    self.streams.remove(&(peer, me));
                    self.ended(peer, me);
                    None
                }
                Kept::WakeAt(at) => {
                    self.keepers[n].wake = at.0.div_ceil(1000).max(self.now + 1);
                    None
                }
                Kept::Send(to, message) => {
                    self.carry(n, to, message);
                    None
                }
            };
            if let Some(again) = again {
                self.keepers[n].custodian.handle(again, time, unix);
            }
        }
    }

    /// A message of a custodian, as its habit makes it.
    pub(super) fn carry(&mut self, n: usize, to: PeerId, message: Message) {
        let me = self.keepers[n].peer;
        if message.is_request() {
            return self.request(me, to, message.encode().slice(2..));
        }
        let message = match (self.keepers[n].habit, message) {
            (Habit::Hides, Message::Listing { tag, .. }) => Message::Listing {
                tag,
                more: false,
                ids: Vec::new(),
            },
            (Habit::Hides, Message::New(..)) => return,
            (Habit::Garbage, Message::Letter(deposit)) => {
                let mut bytes = bytes::BytesMut::new();
                deposit.encode_into(&mut bytes);
                let last = bytes.len() - 1;
                bytes[last] ^= 1;
                Message::Letter(Deposit::decode(&bytes.freeze()).expect("a deposit still"))
            }
            (_, message) => message,
        };
        let mut bytes = message.encode().slice(2..);
        if self.keepers[n].habit == Habit::Babbles {
            bytes = Bytes::from_static(b"\xffnonsense");
        }
        if !self.streams.contains(&(to, me)) {
            return;
        }
        if let Some(device) = self.device_of(to) {
            let run = self.people[device].runs;
            self.later(Event::ToDevice(device, run, Input::Answer(me, Some(bytes))));
        } else if let Some(keeper) = self.keeper_of(to) {
            self.later(Event::ToKeeper(keeper, me, bytes));
        }
    }

    /// Somebody unknown leaves this with every custodian.
    pub fn plant(&mut self, deposit: Deposit) {
        self.tell_keepers(Message::Put(deposit));
    }

    /// A request of somebody unknown, each time another, to all.
    pub fn tell_keepers(&mut self, message: Message) {
        self.counter += 1;
        let mut who = [0xee; 32];
        who[..8].copy_from_slice(&self.counter.to_le_bytes());
        for n in 0..self.keepers.len() {
            self.keep(n, Keeping::Opened(PeerId(who)));
            self.keep(n, Keeping::Received(PeerId(who), message.clone()));
            self.keep(n, Keeping::Closed(PeerId(who)));
        }
    }

    /// Every blob comes to whoever wants it within a few seconds, if somebody who has it is online.
    pub(super) fn exchange(&mut self) {
        for n in 0..self.keepers.len() {
            if !self.keepers[n].online {
                continue;
            }
            let missing = self.keepers[n].wants.difference(&self.keepers[n].blobs);
            let missing: Vec<_> = missing.copied().collect();
            for hash in missing {
                if self.has_somebody(hash) {
                    self.keepers[n].blobs.insert(hash);
                    self.keep(n, Keeping::Fetched(hash, true));
                }
            }
        }
    }

    /// Whether a blob can be had now.
    pub fn has_somebody(&self, hash: BlobHash) -> bool {
        let mut keepers = self.keepers.iter().filter(|keeper| keeper.online);
        let mut people = self.people.iter().filter(|device| device.online);
        keepers.any(|keeper| keeper.blobs.contains(&hash))
            || people.any(|device| device.shares.contains(&hash))
    }

    /// Envelopes that custodians hold, each once.
    pub fn lying(&self) -> BTreeSet<DepositId> {
        let stores = self.keepers.iter().flat_map(|keeper| keeper.store.keys());
        stores.copied().collect()
    }

    pub(super) fn keeper_of(&self, peer: PeerId) -> Option<usize> {
        self.keepers.iter().position(|keeper| keeper.peer == peer)
    }
}

pub(super) fn keeper(seed: u64, n: u64) -> Keeper {
    let mut bytes = [0; 32];
    bytes[..8].copy_from_slice(&seed.to_le_bytes());
    bytes[8..16].copy_from_slice(&n.to_le_bytes());
    let signer = Signer::from_seed(bytes);
    let config = Config {
        puzzle_bits: 0,
        ..Config::default()
    };
    Keeper {
        peer: PeerId(signer.public()),
        custodian: Custodian::new(signer, config, seed ^ n),
        online: true,
        habit: Habit::Honest,
        store: BTreeMap::new(),
        wants: BTreeSet::new(),
        blobs: BTreeSet::new(),
        wishes: 0,
        wake: START,
    }
}
