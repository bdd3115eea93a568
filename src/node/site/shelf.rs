//! The lists of files that were read last: each request to a site needs its list, and reading one with a thousand files anew would
//! take longer than the answer.

use std::rc::Rc;

use crate::proto::manifest::{MAX_MANIFEST_LEN, Manifest};
use crate::proto::types::BlobHash;

/// Lists that are kept. Ours: the sites that a person has open, with a few versions of each.
const MAX_KEPT: usize = 32;

/// Bytes of them together: one of the longest, or many of the usual.
const MAX_KEPT_BYTES: usize = MAX_MANIFEST_LEN;

/// Lists of files, the one used last at the end.
#[derive(Debug, Default)]
pub(in crate::node) struct Shelf {
    kept: Vec<Rc<Manifest>>,
}

impl Shelf {
    /// The list with this hash, if it is kept.
    pub fn get(&mut self, hash: BlobHash) -> Option<Rc<Manifest>> {
        let at = self.kept.iter().position(|kept| kept.hash() == hash)?;
        let found = self.kept.remove(at);
        self.kept.push(found.clone());
        Some(found)
    }

    /// Keeps a list; those used longest ago make room, this one stays.
    pub fn put(&mut self, manifest: Rc<Manifest>) {
        self.drop(manifest.hash());
        self.kept.push(manifest);
        let bytes = |kept: &[Rc<Manifest>]| -> usize {
            kept.iter().map(|manifest| manifest.bytes().len()).sum()
        };
        while self.kept.len() > MAX_KEPT
            || bytes(&self.kept) > MAX_KEPT_BYTES && self.kept.len() > 1
        {
            self.kept.remove(0);
        }
    }

    /// Keeps it no longer.
    pub fn drop(&mut self, hash: BlobHash) {
        self.kept.retain(|kept| kept.hash() != hash);
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::proto::manifest::Extra;
    use crate::proto::manifest::build::Builder;

    fn manifest(name: usize, path_len: usize) -> Rc<Manifest> {
        let mut builder = Builder::new(str::to_owned);
        let path = "a".repeat(path_len);
        builder
            .add(&path, BlobHash([1; 32]), 1, "text/plain", None)
            .unwrap();
        let extra = Extra {
            name: format!("site {name}"),
            ..Extra::default()
        };
        Rc::new(builder.finish(&extra).unwrap())
    }

    #[test]
    fn what_was_used_longest_ago_makes_room() {
        let mut shelf = Shelf::default();
        let lists: Vec<_> = (0..=MAX_KEPT).map(|name| manifest(name, 10)).collect();
        for list in &lists[..MAX_KEPT] {
            shelf.put(list.clone());
        }
        assert_eq!(shelf.get(lists[0].hash()), Some(lists[0].clone()));
        shelf.put(lists[MAX_KEPT].clone());
        assert_eq!(shelf.get(lists[1].hash()), None);
        assert!(shelf.get(lists[0].hash()).is_some());
        shelf.put(lists[0].clone());
        assert_eq!(shelf.kept.len(), MAX_KEPT);
        shelf.drop(lists[0].hash());
        assert_eq!(shelf.get(lists[0].hash()), None);
    }
}
