//! What one version of a site changes of another.

use std::cmp::Ordering;

use super::path::order;
use super::{Entry, Manifest};
use crate::proto::ordered::{Map, Set};

/// The difference of two manifests; paths in their order.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Diff {
    /// Files that are new.
    pub added: Vec<String>,
    /// Files with other bytes, another type or other headers.
    pub changed: Vec<String>,
    /// Files that are gone.
    pub removed: Vec<String>,
    /// Number of files that are as they were.
    pub unchanged: usize,
    /// Bytes of those.
    pub unchanged_bytes: u64,
    /// Bytes that who has the old version does not have: each blob that is in no file of it counts once.
    pub new_bytes: u64,
}

impl Diff {
    /// From `old` to `new`.
    pub fn between(old: &Manifest, new: &Manifest) -> Self {
        let mut diff = Self::default();
        let known: Set<_> = old.entries().map(|entry| entry.blob).collect();
        let fresh = new.entries().filter(|entry| !known.contains(&entry.blob));
        let fresh: Map<_, _> = fresh.map(|entry| (entry.blob, entry.size)).collect();
        diff.new_bytes = fresh.values().sum();
        let (mut before, mut after) = (old.entries().peekable(), new.entries().peekable());
        loop {
            let side = match (before.peek(), after.peek()) {
                (None, None) => return diff,
                (Some(_), None) => Ordering::Less,
                (None, Some(_)) => Ordering::Greater,
                (Some(old), Some(new)) => order(old.path, new.path),
            };
            let old = before.next_if(|_| side != Ordering::Greater);
            let new = after.next_if(|_| side != Ordering::Less);
            match (old, new) {
                (Some(old), Some(new)) if is_same(&old, &new) => {
                    diff.unchanged += 1;
                    diff.unchanged_bytes += new.size;
                }
                (Some(_), Some(new)) => diff.changed.push(new.path.to_owned()),
                (None, Some(new)) => diff.added.push(new.path.to_owned()),
                (Some(old), None) => diff.removed.push(old.path.to_owned()),
                (None, None) => return diff,
            }
        }
    }

    /// Whether the files are the same.
    pub fn is_empty(&self) -> bool {
        self.added.is_empty() && self.changed.is_empty() && self.removed.is_empty()
    }
}

fn is_same(a: &Entry<'_>, b: &Entry<'_>) -> bool {
    (a.blob, a.media_type, a.headers) == (b.blob, b.media_type, b.headers)
}
