//! Which peers keep a message: those near its tag, in an order of the message's own.
//!
//! Peers and tags have positions in the key space of the indexes (SHA-256, as Kademlia of libp2p places them), so an ordinary look-up
//! finds who is near a tag. Only peers count whose id shows work (the static puzzle of Baumgart and Mies, "S/Kademlia", 2007). Of
//! the nearest [`NEIGHBOURHOOD`], each message ranks anew by a hash and takes the first: its turns go round, and nothing moves.
//! Whoever crowds around a tag is met with a wider circle: if more peers are near than elsewhere in the network, all within the usual
//! distance are ranked, and as many more keep a copy (region store, arXiv 2307.12212).

use sha2::{Digest, Sha256};

use super::stamp::leading_zeros;
use super::tag::Tag;
use super::{COPIES, MessageId, NEIGHBOURHOOD, PeerId, READ_WIDTH};
use crate::proto::sorting::{sort_by_cached_key, sort_by_key};
use crate::proto::types::BlobHash;

/// Zero bits that a peer's id must show: some 65,000 keys tried, seconds once in a tab; to own the neighbourhood of one tag
/// among a million peers takes 10^12.
pub const PUZZLE_BITS: u8 = 16;

/// Copies of a message at most, when the neighbourhood is crowded.
pub const COPIES_MAX: usize = 20;

/// Custodians of one message in one network (/24 or /48), where networks are known.
pub const PER_NETWORK: usize = 2;

/// Look-ups that the estimate of the network's density stands on.
const SAMPLES: usize = 16;

/// A peer that could keep a message, as a look-up found it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Candidate {
    /// Who.
    pub peer: PeerId,
    /// Any number that peers of the same network share; 0 if unknown.
    pub network: u32,
}

impl Candidate {
    /// One whose network is not known.
    pub fn new(peer: PeerId) -> Self {
        Self { peer, network: 0 }
    }
}

/// Whether the id of a peer shows so many bits of work.
pub fn is_qualified(peer: PeerId, bits: u8) -> bool {
    leading_zeros(&blake3::derive_key(PUZZLE_CONTEXT, &peer.0)) >= bits
}

/// Where a peer is: SHA-256 of its peer id, the key in protobuf behind the multihash "identity".
pub fn position(peer: PeerId) -> [u8; 32] {
    let mut hasher = Sha256::new();
    hasher.update([0x00, 0x24, 0x08, 0x01, 0x12, 0x20]);
    hasher.update(peer.0);
    hasher.finalize().into()
}

/// Where a tag is: SHA-256 of it.
pub fn location(tag: Tag) -> [u8; 32] {
    Sha256::digest(tag.0).into()
}

/// The distance of two positions (Maymounkov and Mazières, "Kademlia"), its first 64 bits: enough for networks of any size.
pub fn distance(a: &[u8; 32], b: &[u8; 32]) -> u64 {
    let first = |bytes: &[u8; 32]| {
        let mut word = [0; 8];
        word.copy_from_slice(&bytes[..8]);
        u64::from_be_bytes(word)
    };
    first(a) ^ first(b)
}

/// The key in the indexes of providers under which custodians announce themselves whose position begins with the same `depth` bits as
/// `place`, at most [`SECTOR_DEPTH`]: with all depths from 0 on there is always one that names some twenty, however large the network.
pub fn sector(place: &[u8; 32], depth: u32) -> BlobHash {
    let depth = depth.min(SECTOR_DEPTH);
    let first = u32::from_be_bytes([place[0], place[1], place[2], place[3]]);
    let prefix = first
        .checked_shr(u32::BITS - depth)
        .map_or(0, |prefix| prefix << (u32::BITS - depth));
    let mut material = [0; 5];
    material[0] = depth as u8;
    material[1..].copy_from_slice(&prefix.to_be_bytes());
    BlobHash(blake3::derive_key(SECTOR_CONTEXT, &material))
}

/// The place in the next sector: the same bits, but for the last of `depth`.
pub fn beside(place: &[u8; 32], depth: u32) -> [u8; 32] {
    let mut other = *place;
    let at = depth.clamp(1, SECTOR_DEPTH) - 1;
    other[(at / 8) as usize] ^= 0x80 >> (at % 8);
    other
}

/// The order in which peers take a message.
pub fn rank(id: MessageId, peers: &mut [Candidate]) {
    sort_by_cached_key(peers, |candidate| {
        let mut material = [0; 64];
        material[..32].copy_from_slice(&id.0);
        material[32..].copy_from_slice(&candidate.peer.0);
        *blake3::hash(&material).as_bytes()
    });
}

/// How densely peers lie in the key space, by the look-ups that were made: of tags of this node's own business, and of random ones, if
/// the edges make such.
#[derive(Debug, Clone, Default)]
pub struct Density {
    /// Distances of the last peer of a neighbourhood, one for a tag, the latest last.
    radii: Vec<(Tag, u64)>,
}

/// Who keeps a message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Choice {
    /// All that may, in the order of the message.
    pub order: Vec<Candidate>,
    /// How many of them should.
    pub copies: usize,
}

impl Density {
    /// Takes in what a look-up found, nearest first.
    pub fn observe(&mut self, tag: Tag, found: &[Candidate]) {
        let Some(last) = found.get(NEIGHBOURHOOD - 1) else {
            return;
        };
        self.radii.retain(|(other, _)| *other != tag);
        if self.radii.len() == SAMPLES {
            self.radii.remove(0);
        }
        let radius = distance(&location(tag), &position(last.peer));
        self.radii.push((tag, radius));
    }

    /// Chooses for a message under this tag among the qualified peers that a look-up found, nearest first.
    pub fn choose(&self, tag: Tag, id: MessageId, found: &[Candidate]) -> Choice {
        let mut near: Vec<_> = found.iter().copied().take(READ_WIDTH).collect();
        let place = location(tag);
        let far = |candidate: &Candidate| distance(&place, &position(candidate.peer));
        let usual = self.usual_radius();
        let within = match usual {
            Some(radius) => near.partition_point(|candidate| far(candidate) <= radius),
            None => NEIGHBOURHOOD,
        };
        // Look-ups differ by chance: half as many again are within the usual distance of one tag in fifty.
        let width = match within >= NEIGHBOURHOOD * 3 / 2 {
            true => within,
            false => NEIGHBOURHOOD,
        };
        near.truncate(width);
        rank(id, &mut near);
        Choice {
            order: near,
            copies: (COPIES * width / NEIGHBOURHOOD).min(COPIES_MAX),
        }
    }

    /// The median; `None` while too little is known.
    fn usual_radius(&self) -> Option<u64> {
        let mut radii: Vec<_> = self.radii.iter().map(|(_, radius)| *radius).collect();
        sort_by_key(&mut radii, |radius| *radius);
        let known = radii.len() >= SAMPLES / 4;
        radii.get(radii.len() / 2).copied().filter(|_| known)
    }
}

/// Takes the next candidate that its network does not rule out; `used` counts what was taken.
pub(super) fn next_candidate(order: &mut Vec<Candidate>, used: &[u32]) -> Option<Candidate> {
    let free = |candidate: &Candidate| {
        let same = used.iter().filter(|network| **network == candidate.network);
        candidate.network == 0 || same.count() < PER_NETWORK
    };
    let at = order.iter().position(free)?;
    Some(order.remove(at))
}

/// Deepest sector, in bits: twenty in each of 1024 are 20,000 machines online.
pub const SECTOR_DEPTH: u32 = 10;

const SECTOR_CONTEXT: &str = "gyre 2026-11-23 custodians of a sector";

const PUZZLE_CONTEXT: &str = "gyre 2026-11-22 peer id puzzle";

#[cfg(all(test, not(target_arch = "wasm32")))]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::proto::random::Random;

    fn peer(random: &mut Random) -> PeerId {
        let mut key = [0; 32];
        key.iter_mut()
            .for_each(|byte| *byte = random.below(256) as u8);
        PeerId(key)
    }

    fn nearest(tag: Tag, peers: &[PeerId]) -> Vec<Candidate> {
        let place = location(tag);
        let mut found: Vec<_> = peers.iter().map(|peer| Candidate::new(*peer)).collect();
        found.sort_by_cached_key(|candidate| distance(&place, &position(candidate.peer)));
        found.truncate(READ_WIDTH);
        found
    }

    #[test]
    fn turns_go_round_the_neighbourhood() {
        let mut random = Random::new(4);
        let peers: Vec<_> = (0..20).map(|_| Candidate::new(peer(&mut random))).collect();
        let mut taken = vec![0; 20];
        for message in 0..1000u32 {
            let mut order = peers.clone();
            rank(
                MessageId::of(Tag([0; 32]), &message.to_be_bytes()),
                &mut order,
            );
            for candidate in &order[..COPIES] {
                taken[peers.iter().position(|other| other == candidate).unwrap()] += 1;
            }
        }
        // 400 each on average, a deviation of 15.5.
        assert!(
            taken.iter().all(|count| (320..480).contains(count)),
            "{taken:?}"
        );
    }

    #[test]
    fn sectors_are_shared_by_those_whose_first_bits_are_the_same() {
        let place = [0b1011_0110; 32];
        for depth in 0..=SECTOR_DEPTH {
            let mut near = place;
            near[(depth / 8) as usize] ^= 0x80 >> (depth % 8);
            assert_eq!(sector(&place, depth), sector(&near, depth), "{depth}");
            if depth < SECTOR_DEPTH {
                assert_ne!(sector(&place, depth + 1), sector(&place, depth));
                assert_ne!(sector(&place, depth + 1), sector(&near, depth + 1));
                assert_eq!(beside(&place, depth + 1), near);
            }
        }
        assert_eq!(sector(&place, 99), sector(&place, SECTOR_DEPTH));
    }

    #[test]
    fn the_puzzle_takes_work() {
        let mut random = Random::new(5);
        let tried = (1..)
            .map(|tried| (tried, peer(&mut random)))
            .find(|(_, peer)| is_qualified(*peer, 8));
        let (tried, found) = tried.unwrap();
        println!("{tried} keys for 8 bits");
        assert!(tried > 8, "{tried}");
        assert!(is_qualified(found, 0) && !is_qualified(found, 200));
    }

    #[test]
    fn a_crowd_around_a_tag_does_not_push_the_others_out() {
        let mut random = Random::new(6);
        let honest: Vec<_> = (0..500).map(|_| peer(&mut random)).collect();
        let mut density = Density::default();
        for n in 0..20 {
            let tag = Tag([n; 32]);
            let found = nearest(tag, &honest);
            density.observe(tag, &found);
            let choice = density.choose(tag, MessageId([n; 32]), &found);
            assert!(
                choice.copies <= 14,
                "{} copies without a crowd",
                choice.copies
            );
        }
        // Twenty who are nearer than anybody else: the best of 40,000 keys.
        let tag = Tag([77; 32]);
        let place = location(tag);
        let mut crowd: Vec<_> = (0..40_000).map(|_| peer(&mut random)).collect();
        crowd.sort_by_cached_key(|peer| distance(&place, &position(*peer)));
        crowd.truncate(20);
        let all = [&crowd[..], &honest].concat();
        let found = nearest(tag, &all);
        density.observe(tag, &found);
        let choice = density.choose(tag, MessageId([77; 32]), &found);
        let keepers = &choice.order[..choice.copies];
        let others = keepers
            .iter()
            .filter(|keeper| !crowd.contains(&keeper.peer))
            .count();
        println!("{} keepers, {others} outside the crowd", choice.copies);
        assert!(
            choice.copies >= 12 && others >= 3,
            "{} {others}",
            choice.copies
        );
    }

    #[test]
    fn no_network_takes_more_than_its_part() {
        let mut random = Random::new(7);
        let mut order: Vec<_> = (0..10)
            .map(|n| Candidate {
                peer: peer(&mut random),
                network: u32::from(n < 6),
            })
            .collect();
        let mut used = Vec::new();
        while let Some(candidate) = next_candidate(&mut order, &used) {
            used.push(candidate.network);
        }
        assert_eq!(
            used.iter().filter(|network| **network == 1).count(),
            PER_NETWORK
        );
        assert_eq!(used.len(), 6);
    }
}
