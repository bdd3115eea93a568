//! The provider index: who says they hold which blob.
//!
//! It is the record store of a Kademlia server, a relay's or a node's, and holds what a node announces itself. Records carry no signature and are only hints: whoever follows one
//! verifies what it gets. So the index keeps little and bounds everything: a record ends after its time to live, a key keeps
//! its latest [`MAX_PROVIDERS_PER_KEY`] announcements, a provider has a quota, and the whole has a ceiling. Addresses are kept
//! once for each provider, the latest announced, because a tab that reloads has new ones for everything it holds. An answer is a
//! random sample, which spreads the load over a swarm, within what fits one Kademlia message. Of values it stores the records of
//! names and of people alone, each verified and never an older one over a newer (`proto::name::heads`, `proto::records`); any other
//! namespace is refused.
//!
//! A node that serves the peers' index adds itself as the way to those providers that it introduces: whoever asks it has a
//! link to it.

use std::borrow::Cow;
use std::cell::RefCell;
use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use libp2p::kad::store::{Error, RecordStore, Result};
use libp2p::kad::{ProviderRecord, Record, RecordKey};
use libp2p::{Multiaddr, PeerId};
use web_time::Instant;

use super::BLAKE3_256;
use crate::net::addresses::{MAX_ADDRESS_BYTES, Route};
use crate::proto::denylist::Denylist;
use crate::proto::name::Name;
use crate::proto::name::heads::{self, Heads, Source};
use crate::proto::name::record::RecordError;
use crate::proto::random::Random;
use crate::proto::records::{self, Records};
use crate::proto::types::{BlobHash, Time};
use crate::rt;

/// How much an index keeps.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// Announcements in all.
    pub max_records: usize,
    /// Keys that one provider may announce.
    pub max_keys_per_provider: usize,
    /// Keys that we announce ourselves.
    pub max_own: usize,
    /// Records of names.
    pub heads: heads::Limits,
    /// Records of people.
    pub people: records::Limits,
}

/// The provider records of one relay or node, in memory only.
#[derive(Debug)]
pub struct ProviderIndex {
    local: PeerId,
    limits: Limits,
    keys: HashMap<RecordKey, Vec<Announcement>>,
    providers: HashMap<PeerId, Provider>,
    records: usize,
    own: HashSet<RecordKey>,
    introduced: HashSet<PeerId>,
    denylist: Arc<Denylist>,
    heads: Heads,
    people: Records,
    /// Who brings what is put next.
    source: Source,
    /// Names whose head is another since this was last asked for.
    changed: Vec<Name>,
    /// Which of many are named; `providers` of the trait takes `&self`.
    random: RefCell<Random>,
}

#[derive(Debug, Clone, Copy)]
struct Announcement {
    provider: PeerId,
    expires: Instant,
}

#[derive(Debug)]
struct Provider {
    records: usize,
    addresses: Vec<Multiaddr>,
}

impl ProviderIndex {
    /// An empty index of the node `local`; `seed` decides which of many providers are named.
    pub fn new(local: PeerId, limits: Limits, seed: u64) -> Self {
        Self {
            local,
            limits,
            keys: HashMap::new(),
            providers: HashMap::new(),
            records: 0,
            own: HashSet::new(),
            introduced: HashSet::new(),
            denylist: Arc::default(),
            heads: Heads::new(limits.heads),
            people: Records::new(limits.people),
            source: source_of(&local),
            changed: Vec::new(),
            random: RefCell::new(Random::new(seed)),
        }
    }

    /// Neither keeps nor tells what is on these lists from now on.
    pub fn set_denylist(&mut self, denylist: Arc<Denylist>) {
        let held = self.heads.iter().map(|held| held.record.name());
        let denied: Vec<_> = held.filter(|name| denylist.denies_name(*name)).collect();
        denied.iter().for_each(|name| self.heads.forget(name));
        self.denylist = denylist;
    }

    /// What is not kept and not told.
    pub fn denylist(&self) -> Arc<Denylist> {
        self.denylist.clone()
    }

    fn denies(&self, key: &RecordKey) -> bool {
        let blob = key.as_ref().strip_prefix(&BLAKE3_256[..]);
        let blob = blob.and_then(|hash| hash.try_into().ok()).map(BlobHash);
        blob.is_some_and(|blob| self.denylist.denies_blob(blob))
    }

    /// Whether others can be sent to `provider` through us; as many as there are reservations.
    pub fn set_introduced(&mut self, provider: PeerId, introduced: bool) {
        match introduced {
            true => self.introduced.insert(provider),
            false => self.introduced.remove(&provider),
        };
    }

    /// Where `provider` said it is, and the way through us if there is one.
    pub fn addresses(&self, provider: &PeerId) -> Vec<Multiaddr> {
        let through_us = self
            .introduced
            .contains(provider)
            .then(|| Route::Peer(self.local).to(*provider));
        let told = self.providers.get(provider).map(|known| &known.addresses);
        through_us
            .into_iter()
            .chain(told.into_iter().flatten().cloned())
            .take(MAX_ADDRESSES)
            .collect()
    }

    /// The records of names that are kept here.
    pub fn heads(&mut self) -> &mut Heads {
        &mut self.heads
    }

    /// Who is speaking: kad does not say it of a record that it hands over.
    pub fn set_source(&mut self, peer: &PeerId) {
        self.source = source_of(peer);
    }

    /// Names whose head is another since the last call.
    pub fn take_changed(&mut self) -> Vec<Name> {
        std::mem::take(&mut self.changed)
    }

    /// Records of people that are kept here.
    pub fn people(&self) -> usize {
        self.people.len()
    }

    /// Provider records held, the expired ones that no sweep has met included.
    pub fn records(&self) -> usize {
        self.records
    }

    /// Keys that have a provider record.
    pub fn keys(&self) -> usize {
        self.keys.len()
    }

    /// Drops what has expired. Visits every record.
    pub fn sweep(&mut self, now: Instant) {
        let mut gone = Vec::new();
        self.keys.retain(|_, announcements| {
            announcements.retain(|one| {
                let keep = one.expires > now;
                if !keep {
                    gone.push(one.provider);
                }
                keep
            });
            !announcements.is_empty()
        });
        for provider in gone {
            self.forget_one(&provider);
        }
        self.heads.sweep(clock(), rt::unix_millis());
        self.people.sweep(clock(), rt::unix_millis() / 1000);
    }

    fn forget_one(&mut self, provider: &PeerId) {
        self.records -= 1;
        if let Some(entry) = self.providers.get_mut(provider) {
            entry.records -= 1;
            if entry.records == 0 {
                self.providers.remove(provider);
            }
        }
    }

    fn sample(&self, key: &RecordKey, now: Instant) -> Vec<ProviderRecord> {
        let mut room = MAX_ANSWER_BYTES;
        let mut answer = Vec::new();
        if self.own.contains(key) {
            // Without addresses: kad puts in those of the moment.
            answer.push(ProviderRecord::new(key.clone(), self.local, Vec::new()));
        }
        let announcements = self.keys.get(key).map_or(&[][..], Vec::as_slice);
        let mut alive: Vec<_> = announcements
            .iter()
            .filter(|one| one.expires > now)
            .collect();
        self.random.borrow_mut().shuffle(&mut alive);
        for one in alive.into_iter().take(MAX_PROVIDERS_PER_ANSWER) {
            let addresses = self.addresses(&one.provider);
            let bytes = PROVIDER_OVERHEAD
                + addresses
                    .iter()
                    .map(|a| a.len() + ADDRESS_OVERHEAD)
                    .sum::<usize>();
            if bytes > room {
                break;
            }
            room -= bytes;
            answer.push(ProviderRecord {
                key: key.clone(),
                provider: one.provider,
                expires: Some(one.expires),
                addresses,
            });
        }
        answer
    }
}

impl RecordStore for ProviderIndex {
    type RecordsIter<'a> = std::iter::Empty<Cow<'a, Record>>;
    type ProvidedIter<'a> = std::vec::IntoIter<Cow<'a, ProviderRecord>>;

    fn get(&self, key: &RecordKey) -> Option<Cow<'_, Record>> {
        let Some(name) = Name::of_routing_key(key.as_ref()) else {
            let value = self.people.get(key.as_ref(), rt::unix_millis() / 1000)?;
            return Some(Cow::Owned(Record::new(key.clone(), value.to_vec())));
        };
        if self.denylist.denies_name(name) {
            return None;
        }
        let record = self.heads.valid(&name, rt::unix_millis())?;
        Some(Cow::Owned(Record::new(
            key.clone(),
            record.bytes().to_vec(),
        )))
    }

    fn put(&mut self, record: Record) -> Result<()> {
        let Some(name) = Name::of_routing_key(record.key.as_ref()) else {
            let (key, value) = (record.key.as_ref(), &record.value);
            let unix = rt::unix_millis() / 1000;
            let taken = self.people.bring(key, value, self.source, clock(), unix);
            return match taken {
                Ok(_) => Ok(()),
                Err(error) => {
                    tracing::debug!(%error, "record refused");
                    Err(Error::MaxRecords)
                }
            };
        };
        if self.denylist.denies_name(name) {
            return Err(Error::MaxRecords);
        }
        let taken = self
            .heads
            .bring(name, &record.value, self.source, clock(), rt::unix_millis());
        match taken {
            Ok(taken) => {
                if taken.changed() && !self.changed.contains(&name) {
                    self.changed.push(name);
                }
                Ok(())
            }
            Err(error) => {
                tracing::debug!(code = error.code(), %name, "record refused");
                Err(match error {
                    RecordError::TooLarge => Error::ValueTooLarge,
                    _ => Error::MaxRecords,
                })
            }
        }
    }

    fn remove(&mut self, _: &RecordKey) {}

    fn records(&self) -> Self::RecordsIter<'_> {
        std::iter::empty()
    }

    fn add_provider(&mut self, record: ProviderRecord) -> Result<()> {
        let ProviderRecord {
            key,
            provider,
            expires,
            addresses,
        } = record;
        if key.as_ref().len() > MAX_KEY_BYTES {
            return Err(Error::ValueTooLarge);
        }
        if self.denies(&key) {
            return Err(Error::MaxRecords);
        }
        if provider == self.local {
            if self.own.len() >= self.limits.max_own && !self.own.contains(&key) {
                return Err(Error::MaxProvidedKeys);
            }
            self.own.insert(key);
            return Ok(());
        }
        let expires = expires.unwrap_or_else(|| Instant::now() + DEFAULT_TTL);
        let mut addresses: Vec<Multiaddr> = addresses
            .into_iter()
            .filter(|address| address.len() <= MAX_ADDRESS_BYTES)
            .collect();
        addresses.truncate(MAX_ADDRESSES);
        addresses.shrink_to_fit();
        if let Some(known) = self.providers.get_mut(&provider)
            && !addresses.is_empty()
        {
            known.addresses.clone_from(&addresses);
        }
        if let Some(announcements) = self.keys.get_mut(&key) {
            // The latest announcement stands last, so the first is the one to lose.
            if let Some(at) = announcements
                .iter()
                .position(|one| one.provider == provider)
            {
                announcements.remove(at);
                announcements.push(Announcement { provider, expires });
                return Ok(());
            }
        }
        if self
            .providers
            .get(&provider)
            .is_some_and(|known| known.records >= self.limits.max_keys_per_provider)
        {
            return Err(Error::MaxProvidedKeys);
        }
        let crowded = self
            .keys
            .get(&key)
            .is_some_and(|announcements| announcements.len() >= MAX_PROVIDERS_PER_KEY);
        if !crowded && self.records >= self.limits.max_records {
            return Err(Error::MaxProvidedKeys);
        }
        // Most keys have one provider, and a growing vector would begin with room for four.
        let announcements = self
            .keys
            .entry(key)
            .or_insert_with(|| Vec::with_capacity(1));
        let displaced = crowded.then(|| announcements.remove(0));
        announcements.push(Announcement { provider, expires });
        self.records += 1;
        self.providers
            .entry(provider)
            .or_insert(Provider {
                records: 0,
                addresses,
            })
            .records += 1;
        if let Some(displaced) = displaced {
            self.forget_one(&displaced.provider);
        }
        Ok(())
    }

    fn providers(&self, key: &RecordKey) -> Vec<ProviderRecord> {
        match self.denies(key) {
            true => Vec::new(),
            false => self.sample(key, Instant::now()),
        }
    }

    fn provided(&self) -> Self::ProvidedIter<'_> {
        let own =
            |key: &RecordKey| Cow::Owned(ProviderRecord::new(key.clone(), self.local, Vec::new()));
        self.own.iter().map(own).collect::<Vec<_>>().into_iter()
    }

    fn remove_provider(&mut self, key: &RecordKey, provider: &PeerId) {
        if *provider == self.local {
            self.own.remove(key);
            return;
        }
        let Some(announcements) = self.keys.get_mut(key) else {
            return;
        };
        let Some(at) = announcements
            .iter()
            .position(|one| one.provider == *provider)
        else {
            return;
        };
        announcements.remove(at);
        if announcements.is_empty() {
            self.keys.remove(key);
        }
        self.forget_one(provider);
    }
}

/// The number under which a peer's records are counted.
pub fn source_of(peer: &PeerId) -> Source {
    let hash = blake3::hash(&peer.to_bytes());
    Source(u64::from_le_bytes(
        hash.as_bytes()[..8].try_into().expect("8 of 32 bytes"),
    ))
}

fn clock() -> Time {
    Time::default() + rt::now()
}

/// How long a provider record lasts; a tab announces again well within it, and a closed tab is forgotten after it.
pub const DEFAULT_TTL: Duration = Duration::from_secs(2 * 60 * 60);
/// Longest key in bytes: a SHA-512 multihash has 66, and a CID of it 68.
const MAX_KEY_BYTES: usize = 80;
/// Announcements kept for one key: many times one answer, so that samples differ, and few enough to scan.
const MAX_PROVIDERS_PER_KEY: usize = 256;
/// Addresses kept for one provider: one for each of a few relays.
const MAX_ADDRESSES: usize = 4;
/// Providers in one answer: Kademlia's k.
const MAX_PROVIDERS_PER_ANSWER: usize = 20;
/// Room for providers in one answer in bytes; a Kademlia message has at most 16 KiB, and closer relays stand there too.
const MAX_ANSWER_BYTES: usize = 12 * 1024;
/// Bytes around one provider in a message: the peer id and the protobuf fields.
const PROVIDER_OVERHEAD: usize = 64;
/// Bytes around one address in a message.
const ADDRESS_OVERHEAD: usize = 4;

#[cfg(all(test, not(target_arch = "wasm32")))]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use proptest::prelude::*;

    const MAX_KEYS_PER_PROVIDER: usize = 1_000;

    fn index(max_records: usize) -> ProviderIndex {
        let limits = Limits {
            max_records,
            max_keys_per_provider: MAX_KEYS_PER_PROVIDER,
            max_own: 2,
            heads: heads::Limits::NODE,
            people: records::Limits::NODE,
        };
        ProviderIndex::new(PeerId::random(), limits, 7)
    }

    #[test]
    fn what_we_hold_is_ours_and_bounded() {
        let mut index = index(10);
        let local = index.local;
        let later = Instant::now() + DEFAULT_TTL;
        for key in [b"a", b"b"] {
            index.add_provider(record(key, local, later)).unwrap();
            index.add_provider(record(key, local, later)).unwrap();
        }
        assert!(index.add_provider(record(b"c", local, later)).is_err());
        assert_eq!((index.provided().count(), index.records()), (2, 0));
        assert_eq!(index.providers(&RecordKey::new(b"a"))[0].provider, local);
        index.remove_provider(&RecordKey::new(b"a"), &local);
        assert!(index.providers(&RecordKey::new(b"a")).is_empty());
    }

    #[test]
    fn those_that_we_introduce_are_reached_through_us() {
        let mut index = index(10);
        let peer = PeerId::random();
        let later = Instant::now() + DEFAULT_TTL;
        index.add_provider(record(b"key", peer, later)).unwrap();
        index.set_introduced(peer, true);
        let through_us = Route::Peer(index.local).to(peer);
        let key = RecordKey::new(b"key");
        assert_eq!(index.providers(&key)[0].addresses[0], through_us);
        index.set_introduced(peer, false);
        assert!(!index.providers(&key)[0].addresses.contains(&through_us));
    }

    fn record(key: &[u8], provider: PeerId, expires: Instant) -> ProviderRecord {
        let addresses = vec!["/dns4/relay.example/tcp/443/tls/ws".parse().unwrap()];
        ProviderRecord {
            key: RecordKey::new(&key),
            provider,
            expires: Some(expires),
            addresses,
        }
    }

    fn counts_agree(index: &ProviderIndex) -> bool {
        let records = index.keys.values().map(Vec::len).sum::<usize>();
        let quotas = index.providers.values().map(|p| p.records).sum::<usize>();
        records == index.records
            && quotas == index.records
            && index.keys.values().all(|k| !k.is_empty())
    }

    #[test]
    fn latest_announcement_wins() {
        let mut index = index(1_000);
        let later = Instant::now() + DEFAULT_TTL;
        let (key, peer) = (RecordKey::new(b"key"), PeerId::random());
        index.add_provider(record(b"key", peer, later)).unwrap();
        let moved = "/ip4/192.0.2.1/tcp/1/ws".parse::<Multiaddr>().unwrap();
        let again = ProviderRecord {
            addresses: vec![moved.clone()],
            ..record(b"other", peer, later)
        };
        index.add_provider(again).unwrap();
        assert_eq!(index.providers(&key)[0].addresses, [moved]);
        assert_eq!((index.records(), index.keys()), (2, 2));
        index.remove_provider(&key, &peer);
        assert!(index.providers(&key).is_empty() && counts_agree(&index));
    }

    #[test]
    fn records_expire() {
        let mut index = index(1_000);
        let now = Instant::now();
        index
            .add_provider(record(
                b"key",
                PeerId::random(),
                now + Duration::from_secs(1),
            ))
            .unwrap();
        index
            .add_provider(record(
                b"key",
                PeerId::random(),
                now + Duration::from_secs(9),
            ))
            .unwrap();
        assert_eq!(
            index
                .sample(&RecordKey::new(b"key"), now + Duration::from_secs(5))
                .len(),
            1
        );
        index.sweep(now + Duration::from_secs(5));
        assert_eq!(index.records(), 1);
        index.sweep(now + Duration::from_secs(10));
        assert_eq!(
            (index.records(), index.keys(), index.providers.len()),
            (0, 0, 0)
        );
    }

    #[test]
    fn everything_is_bounded() {
        let mut index = index(MAX_KEYS_PER_PROVIDER + MAX_PROVIDERS_PER_KEY);
        let later = Instant::now() + DEFAULT_TTL;
        let peer = PeerId::random();
        for n in 0..MAX_KEYS_PER_PROVIDER {
            index
                .add_provider(record(&n.to_be_bytes(), peer, later))
                .unwrap();
        }
        assert!(index.add_provider(record(b"more", peer, later)).is_err());
        assert!(
            index
                .add_provider(record(&[0; MAX_KEY_BYTES + 1], PeerId::random(), later))
                .is_err()
        );
        for _ in 0..MAX_PROVIDERS_PER_KEY + 5 {
            index
                .add_provider(record(b"popular", PeerId::random(), later))
                .unwrap();
        }
        assert_eq!(
            index.keys[&RecordKey::new(b"popular")].len(),
            MAX_PROVIDERS_PER_KEY
        );
        assert!(
            index
                .add_provider(record(b"one too many", PeerId::random(), later))
                .is_err()
        );
        assert_eq!(
            index.records(),
            MAX_KEYS_PER_PROVIDER + MAX_PROVIDERS_PER_KEY
        );
        assert!(counts_agree(&index));
    }

    #[test]
    fn an_answer_fits_one_message() {
        let mut index = index(1_000);
        let later = Instant::now() + DEFAULT_TTL;
        let name = "a".repeat(60);
        let long: Multiaddr = format!("/dns4/{name}.{name}.{name}.example/tcp/443/tls/ws")
            .parse()
            .unwrap();
        for _ in 0..50 {
            let addresses = vec![long.clone(); 9];
            index
                .add_provider(ProviderRecord {
                    addresses,
                    ..record(b"key", PeerId::random(), later)
                })
                .unwrap();
        }
        let answer = index.providers(&RecordKey::new(b"key"));
        let bytes: usize = answer
            .iter()
            .flat_map(|r| &r.addresses)
            .map(Multiaddr::len)
            .sum();
        assert!(!answer.is_empty() && bytes < MAX_ANSWER_BYTES);
        assert!(answer.iter().all(|r| r.addresses.len() == MAX_ADDRESSES));
    }

    #[test]
    fn only_records_of_names_are_stored_and_none_over_a_newer() {
        use crate::proto::keys::SiteKey;
        use crate::proto::name::record::{Draft, Record as Head};
        use crate::proto::name::validity::Validity;

        let mut index = index(10);
        let key = SiteKey::from_seed([1; 32]);
        let put = |index: &mut ProviderIndex, name: &[u8], sequence: u64| {
            let draft = Draft {
                value: "/ipfs/bafkqaaa".into(),
                sequence,
                validity: Validity::from_unix_millis(rt::unix_millis() + 60_000),
                ttl_nanos: 0,
            };
            let head = Head::sign(&key, draft).unwrap();
            index.put(Record::new(name.to_vec(), head.bytes().to_vec()))
        };
        let name = key.name();
        let here = name.routing_key();
        assert!(put(&mut index, &here, 2).is_ok());
        assert!(put(&mut index, &here, 1).is_err(), "older");
        let other = SiteKey::from_seed([2; 32]).name().routing_key();
        assert!(put(&mut index, &other, 3).is_err(), "signed by another");
        assert!(put(&mut index, b"/pk/anything", 3).is_err(), "no name");
        let kept = index.get(&RecordKey::from(here.to_vec())).unwrap();
        let kept = Head::verify(name, &kept.value).unwrap();
        assert_eq!(kept.sequence(), 2);
        assert_eq!(index.take_changed(), [name]);
        assert!(index.take_changed().is_empty());
    }

    proptest! {
        #[test]
        fn counts_agree_after_anything(steps in proptest::collection::vec((0u8..4, 0u8..6, 0usize..5, 1u64..20), 0..200)) {
            let peers: Vec<PeerId> = (0..5).map(|_| PeerId::random()).collect();
            let start = Instant::now();
            let mut index = index(12);
            for (action, key, peer, seconds) in steps {
                let at = start + Duration::from_secs(seconds);
                match action {
                    0 | 1 => drop(index.add_provider(record(&[key], peers[peer], at))),
                    2 => index.remove_provider(&RecordKey::new(&[key]), &peers[peer]),
                    _ => index.sweep(at),
                }
                prop_assert!(counts_agree(&index) && index.records() <= 12);
            }
        }
    }
}
