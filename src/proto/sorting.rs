//! Sorting with one copy of the machinery for items of every kind.
//!
//! Each kind of item that `slice::sort_by` sorts brings a merge sort, a quicksort and their small cases, 4 kB of WebAssembly. Here
//! the places are sorted, which are numbers whatever the items are, and the items are then put where they belong.

use std::cmp::Ordering;

/// Sorts `items`; equal ones keep their order.
pub fn sort_by<T>(items: &mut [T], compare: impl Fn(&T, &T) -> Ordering) {
    let from = order(items.len(), &|a, b| compare(&items[a], &items[b]));
    arrange(items, from);
}

/// Sorts `items` by what `key` says of them; equal ones keep their order.
pub fn sort_by_key<T, K: Ord>(items: &mut [T], key: impl Fn(&T) -> K) {
    sort_by(items, |a, b| key(a).cmp(&key(b)));
}

/// The same, with `key` asked once for each.
pub fn sort_by_cached_key<T, K: Ord>(items: &mut [T], key: impl Fn(&T) -> K) {
    let keys: Vec<K> = items.iter().map(key).collect();
    let from = order(items.len(), &|a, b| keys[a].cmp(&keys[b]));
    arrange(items, from);
}

/// Puts items where they belong; `from` says where each comes from.
fn arrange<T>(items: &mut [T], mut from: Vec<usize>) {
    for start in 0..from.len() {
        let mut to = start;
        loop {
            let next = std::mem::replace(&mut from[to], to);
            if next == start || next == to {
                break;
            }
            items.swap(to, next);
            to = next;
        }
    }
}

/// Where each item comes from when they are sorted.
fn order(len: usize, compare: &dyn Fn(usize, usize) -> Ordering) -> Vec<usize> {
    let mut from: Vec<usize> = (0..len).collect();
    from.sort_by(|a, b| compare(*a, *b));
    from
}

#[cfg(all(test, not(target_arch = "wasm32")))]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn sorts_as_the_standard_library_does(items in proptest::collection::vec((0u8..20, any::<u16>()), 0..200)) {
            let (mut ours, mut theirs) = (items.clone(), items);
            sort_by_key(&mut ours, |item| item.0);
            theirs.sort_by_key(|item| item.0);
            prop_assert_eq!(&ours, &theirs);
            sort_by_cached_key(&mut ours, |item| item.1);
            theirs.sort_by_key(|item| item.1);
            prop_assert_eq!(ours, theirs);
        }
    }
}
