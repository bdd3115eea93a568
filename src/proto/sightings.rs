//! Who was seen to have all of a site, and when: what its health is told from, also after a restart.
//!
//! Peers are remembered by eight bytes of their names: they are only counted. Bounded by sites and by peers of each; what was
//! seen longest ago makes room. Older than a day counts for nothing. The bytes are in `docs/storage.md`.

use bytes::{Buf, BufMut, Bytes, BytesMut};

use super::types::BlobHash;
use crate::proto::ordered::Map;

/// Sites of which something is remembered. Ours: more than a person follows.
pub const MAX_SITES: usize = 64;

/// Peers that are remembered of one site. Ours: a site that so many have is in no danger.
pub const MAX_PEERS: usize = 64;

/// Seconds in an hour.
pub const HOUR: u64 = 60 * 60;

/// Seconds in a day; what is older is forgotten.
pub const DAY: u64 = 24 * HOUR;

/// Version of the bytes.
const VERSION: u8 = 1;

/// What was seen; peers by eight bytes, times in seconds since 1970.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Sightings {
    sites: Map<BlobHash, Map<u64, u64>>,
}

impl Sightings {
    /// A peer has all of a site now.
    pub fn note(&mut self, site: BlobHash, peer: u64, now: u64) {
        if !self.sites.contains_key(&site) && self.sites.len() >= MAX_SITES {
            let last = |peers: &Map<u64, u64>| peers.values().max().copied();
            let oldest = self.sites.iter().min_by_key(|(_, peers)| last(peers));
            if let Some(oldest) = oldest.map(|(site, _)| *site) {
                self.sites.remove(&oldest);
            }
        }
        let peers = self.sites.entry(site).or_default();
        if !peers.contains_key(&peer) && peers.len() >= MAX_PEERS {
            let oldest = peers.iter().min_by_key(|(_, seen)| **seen);
            if let Some(oldest) = oldest.map(|(peer, _)| *peer) {
                peers.remove(&oldest);
            }
        }
        peers.insert(peer, now);
    }

    /// A peer does not have all of it any more.
    pub fn forget(&mut self, site: &BlobHash, peer: u64) {
        if let Some(peers) = self.sites.get_mut(site) {
            peers.remove(&peer);
        }
    }

    /// How many peers had all of a site within these seconds.
    pub fn count(&self, site: &BlobHash, now: u64, within: u64) -> usize {
        let peers = self.sites.get(site).into_iter().flatten();
        peers
            .filter(|(_, seen)| seen.saturating_add(within) > now)
            .count()
    }

    /// The bytes, without what is over.
    pub fn encode(&self, now: u64) -> Bytes {
        let mut out = BytesMut::new();
        out.put_u8(VERSION);
        for (site, peers) in &self.sites {
            let fresh = |seen: u64| seen.saturating_add(DAY) > now;
            let count = peers.values().filter(|seen| fresh(**seen)).count();
            if count == 0 {
                continue;
            }
            out.put_slice(&site.0);
            // At most MAX_PEERS.
            out.put_u8(count as u8);
            for (peer, seen) in peers.iter().filter(|(_, seen)| fresh(**seen)) {
                out.put_u64(*peer);
                out.put_u64(*seen);
            }
        }
        out.freeze()
    }

    /// Reads them; `None` for what is of no version that is known, or broken off.
    pub fn decode(mut bytes: &[u8]) -> Option<Self> {
        if bytes.try_get_u8().ok()? != VERSION {
            return None;
        }
        let mut read = Self::default();
        while let Some((site, rest)) = bytes.split_first_chunk() {
            bytes = rest;
            let peers = bytes.try_get_u8().ok()?;
            for _ in 0..peers {
                let peer = bytes.try_get_u64().ok()?;
                let seen = bytes.try_get_u64().ok()?;
                read.note(BlobHash(*site), peer, seen);
            }
        }
        bytes.is_empty().then_some(read)
    }
}

#[cfg(all(test, not(target_arch = "wasm32")))]
mod tests {
    #![allow(clippy::unwrap_used)]
    use proptest::prelude::*;

    use super::*;

    const SITE: BlobHash = BlobHash([7; 32]);

    #[test]
    fn counts_whom_it_saw_and_remembers_them_for_a_day() {
        let mut seen = Sightings::default();
        seen.note(SITE, 1, 1000);
        seen.note(SITE, 2, 1000 + HOUR);
        seen.note(SITE, 1, 1010);
        let now = 1000 + HOUR + 5;
        assert_eq!(seen.count(&SITE, now, DAY), 2);
        assert_eq!(seen.count(&SITE, now + 10, HOUR), 1);
        assert_eq!(seen.count(&BlobHash([8; 32]), now, DAY), 0);
        assert_eq!(Sightings::decode(&seen.encode(now)), Some(seen.clone()));
        let later = Sightings::decode(&seen.encode(1000 + DAY + 20)).unwrap();
        assert_eq!(later.count(&SITE, 1000 + DAY + 20, DAY), 1);
        seen.forget(&SITE, 2);
        assert_eq!(seen.count(&SITE, now, DAY), 1);
    }

    #[test]
    fn the_bytes_do_not_change() {
        let mut seen = Sightings::default();
        seen.note(SITE, 0x0102, 0x0304);
        let mut bytes = vec![1];
        bytes.extend([7; 32]);
        bytes.extend([1, 0, 0, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 0, 0, 3, 4]);
        assert_eq!(seen.encode(0x0305), bytes);
    }

    #[test]
    fn is_bounded() {
        let mut seen = Sightings::default();
        for n in 0..200u64 {
            seen.note(BlobHash([n as u8; 32]), 1, n);
            seen.note(SITE, n, n);
        }
        assert!(seen.sites.len() <= MAX_SITES);
        assert_eq!(seen.count(&SITE, 200, DAY), MAX_PEERS);
    }

    proptest! {
        #[test]
        fn any_bytes_are_looked_at_without_panic(mut bytes in prop::collection::vec(any::<u8>(), 0..200), version in any::<bool>()) {
            if version && let Some(first) = bytes.first_mut() {
                *first = VERSION;
            }
            if let Some(seen) = Sightings::decode(&bytes) {
                prop_assert_eq!(Sightings::decode(&seen.encode(0)), Some(seen));
            }
        }
    }
}
