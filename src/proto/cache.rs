//! What goes when room is needed: blobs that nobody keeps on purpose, the one that was used longest ago first.
//!
//! A blob goes whole: half of one is of no use to whoever opens it next. What is pinned or at work stays, and no more
//! goes than is needed.

use super::types::BlobHash;
use crate::proto::sorting::sort_by_key;

/// One blob as the choice sees it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Held {
    /// Its address.
    pub blob: BlobHash,
    /// Bytes of chunks that would be free without it.
    pub bytes: u64,
    /// When it was last opened, read or passed on, in milliseconds since 1970.
    pub used_at: u64,
    /// Kept on purpose.
    pub pinned: bool,
    /// Being fetched, read or sent.
    pub active: bool,
}

/// What to let go.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Plan {
    /// In this order.
    pub evict: Vec<BlobHash>,
    /// Bytes that become free.
    pub freed: u64,
    /// Bytes that are still missing after that.
    pub short: u64,
}

/// Chooses what must go for `need` bytes to become free.
pub fn plan(held: impl IntoIterator<Item = Held>, need: u64) -> Plan {
    let mut loose: Vec<_> = held
        .into_iter()
        .filter(|held| !held.pinned && !held.active && held.bytes > 0)
        .collect();
    // The address decides between equals: the same choice on every run.
    sort_by_key(&mut loose, |held| (held.used_at, held.blob));
    let mut plan = Plan::default();
    for held in loose {
        if plan.freed >= need {
            break;
        }
        plan.freed = plan.freed.saturating_add(held.bytes);
        plan.evict.push(held.blob);
    }
    plan.short = need.saturating_sub(plan.freed);
    plan
}

#[cfg(all(test, not(target_arch = "wasm32")))]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn held() -> impl Strategy<Value = Vec<Held>> {
        let one = (0u64..1_000, 0u64..20, any::<bool>(), any::<bool>());
        prop::collection::vec(one, 0..24).prop_map(|blobs| {
            let held = |(n, (bytes, used_at, pinned, active)): (usize, _)| Held {
                blob: BlobHash([n as u8; 32]),
                bytes,
                used_at,
                pinned,
                active,
            };
            blobs.into_iter().enumerate().map(held).collect()
        })
    }

    /// One at a time: whichever is oldest of what may go, until it is enough.
    fn naive(mut held: Vec<Held>, need: u64) -> Vec<BlobHash> {
        let (mut gone, mut freed) = (Vec::new(), 0);
        while freed < need {
            let loose = |held: &&Held| !held.pinned && !held.active && held.bytes > 0;
            let Some(oldest) = held
                .iter()
                .filter(loose)
                .min_by_key(|held| (held.used_at, held.blob))
                .copied()
            else {
                break;
            };
            held.retain(|other| other.blob != oldest.blob);
            freed += oldest.bytes;
            gone.push(oldest.blob);
        }
        gone
    }

    proptest! {
        #[test]
        fn chooses_as_one_would_by_hand(held in held(), need in 0u64..5_000) {
            let plan = plan(held.clone(), need);
            prop_assert_eq!(&plan.evict, &naive(held.clone(), need));
            let chosen = |blob: &BlobHash| held.iter().find(|held| held.blob == *blob).expect("one of them");
            prop_assert!(plan.evict.iter().all(|blob| !chosen(blob).pinned && !chosen(blob).active));
            let freed: u64 = plan.evict.iter().map(|blob| chosen(blob).bytes).sum();
            prop_assert_eq!(plan.freed, freed);
            prop_assert_eq!(plan.short, need.saturating_sub(freed));
            if let Some((last, _)) = plan.evict.split_last() {
                prop_assert!(freed - chosen(last).bytes < need, "one too many went");
            }
        }
    }
}
