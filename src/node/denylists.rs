//! Denylists of a node: what is on them is neither resolved nor fetched, kept or served.

use std::sync::Arc;

use bytes::{Buf, BufMut, Bytes, BytesMut};

use super::Node;
use super::command::Command;
use super::error::{Error, Result};
use crate::proto::denylist::{Denylist, DenylistError, Read};
use crate::proto::name::Name;
use crate::proto::types::BlobHash;
use crate::rt;
use crate::store::Store;

/// Name of the stored value that holds the lists that a person has added.
const STORED: &str = "denylists";

/// Version of the stored value; `docs/denylists.md` has the table.
const VERSION: u8 = 1;

/// Lists that a person may add. Ours: more than anybody looks through.
pub const MAX_OWN_LISTS: usize = 16;

/// Bytes of all of them. Ours: they are read into a page's memory at every start; some hundred thousand rules.
pub const MAX_OWN_BYTES: usize = 8 * 1024 * 1024;

/// Longest name of such a list in bytes. Ours: an address on the web.
pub const MAX_OWN_NAME: usize = 512;

/// A list that a person has added, and what came of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OwnList {
    /// What the person calls it.
    pub name: String,
    /// Its bytes.
    pub text: Bytes,
    /// What came of it.
    pub read: Read,
}

impl<S: Store> Node<S> {
    /// The lists that the person has added, in their order.
    ///
    /// # Errors
    /// `Store`.
    pub async fn own_denylists(&self) -> Result<Vec<OwnList>> {
        let stored = self.store.value(STORED).await?.unwrap_or_default();
        let lists = decode(stored).unwrap_or_default();
        let own = lists.into_iter().map(|(name, text)| {
            let read = Denylist::default().add(&text).unwrap_or_default();
            OwnList { name, text, read }
        });
        Ok(own.collect())
    }

    /// Adds a list of the person's, in the place of the one of that name if there is one, or removes it. Remembered: holds
    /// at once and after every start. Answers with what there is then.
    ///
    /// # Errors
    /// `BadOptions` if it cannot be read, or is too much; then nothing changes. `Store`.
    pub async fn set_own_denylist(&self, name: &str, list: Option<Bytes>) -> Result<Vec<OwnList>> {
        if name.is_empty() || name.len() > MAX_OWN_NAME {
            return Err(Error::BadOptions("a denylist needs a name".into()));
        }
        let stored = self.store.value(STORED).await?.unwrap_or_default();
        let mut lists = decode(stored).unwrap_or_default();
        let place = lists.iter().position(|(known, _)| known == name);
        match (place, list) {
            (Some(place), Some(text)) => lists[place].1 = text,
            (Some(place), None) => drop(lists.remove(place)),
            (None, Some(text)) => lists.push((name.to_owned(), text)),
            (None, None) => {}
        }
        let bytes: usize = lists.iter().map(|(_, text)| text.len()).sum();
        if lists.len() > MAX_OWN_LISTS || bytes > MAX_OWN_BYTES {
            return Err(Error::BadOptions(format!(
                "more than {MAX_OWN_LISTS} denylists, or {} MiB",
                MAX_OWN_BYTES >> 20
            )));
        }
        let texts: Vec<_> = lists.iter().map(|(_, text)| text.clone()).collect();
        let read = self.set_denylists(&texts).await?;
        let value = Some(encode(&lists)).filter(|_| !lists.is_empty());
        self.store.set_value(STORED, value).await?;
        let own = lists.into_iter().zip(read);
        Ok(own
            .map(|((name, text), read)| OwnList { name, text, read })
            .collect())
    }

    /// Takes up what the person has added in earlier runs.
    pub(super) async fn take_up_denylists(&self) -> Result<()> {
        let Some(stored) = self.store.value(STORED).await? else {
            return Ok(());
        };
        let mut denylist = Denylist::default();
        for (name, text) in decode(stored).unwrap_or_default() {
            if let Err(error) = denylist.add(&text) {
                rt::warning!(error = error, name = name, "a denylist is not in force");
            }
        }
        denylist.finish();
        self.set_denylist(Arc::new(denylist)).await
    }

    /// Takes these lists instead of those that held until now, later ones over earlier ones. What is denied is no longer fetched,
    /// announced or served; what of it is here stays until it is removed. They are not remembered: whoever starts the node
    /// gives them each time. Answers with what came of each list.
    ///
    /// # Errors
    /// `BadOptions` if one cannot be read; then nothing changes.
    pub async fn set_denylists(&self, lists: &[impl AsRef<[u8]>]) -> Result<Vec<Read>> {
        let mut denylist = Denylist::default();
        let read: Result<Vec<_>, DenylistError> = lists
            .iter()
            .map(|list| denylist.add(list.as_ref()))
            .collect();
        let read = read.map_err(|error| Error::BadOptions(error.to_string()))?;
        denylist.finish();
        self.set_denylist(Arc::new(denylist)).await?;
        Ok(read)
    }

    /// The same with lists that have been read.
    ///
    /// # Errors
    /// `Closed` once stopped.
    pub async fn set_denylist(&self, denylist: Arc<Denylist>) -> Result<()> {
        self.shared.borrow_mut().denylist = denylist;
        self.tell(Command::DenylistChanged).await
    }

    /// The lists in force.
    pub fn denylist(&self) -> Arc<Denylist> {
        self.shared.borrow().denylist.clone()
    }

    pub(super) fn check_blob(&self, blob: BlobHash) -> Result<()> {
        match self.shared.borrow().denylist.denies_blob(blob) {
            true => Err(Error::Denied),
            false => Ok(()),
        }
    }

    pub(super) fn check_name(&self, name: Name) -> Result<()> {
        match self.shared.borrow().denylist.denies_name(name) {
            true => Err(Error::Denied),
            false => Ok(()),
        }
    }
}

fn encode(lists: &[(String, Bytes)]) -> Bytes {
    let mut out = BytesMut::new();
    out.put_u8(VERSION);
    for (name, text) in lists {
        // Both are bounded.
        out.put_u16(name.len() as u16);
        out.put_slice(name.as_bytes());
        out.put_u32(text.len() as u32);
        out.put_slice(text);
    }
    out.freeze()
}

fn decode(mut bytes: Bytes) -> Option<Vec<(String, Bytes)>> {
    if bytes.try_get_u8().ok()? != VERSION {
        return None;
    }
    let take =
        |bytes: &mut Bytes, length: usize| (length <= bytes.len()).then(|| bytes.split_to(length));
    let mut lists = Vec::new();
    while bytes.has_remaining() && lists.len() < MAX_OWN_LISTS {
        let length = bytes.try_get_u16().ok()?;
        let name = take(&mut bytes, length.into())?;
        let length = bytes.try_get_u32().ok()?;
        let text = take(&mut bytes, length.try_into().ok()?)?;
        lists.push((String::from_utf8(name.into()).ok()?, text));
    }
    Some(lists)
}

#[cfg(all(test, not(target_arch = "wasm32")))]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn lists_come_back(lists in prop::collection::vec((".{1,9}", prop::collection::vec(any::<u8>(), 0..40)), 0..5)) {
            let lists: Vec<(String, Bytes)> = lists.into_iter().map(|(name, text)| (name, text.into())).collect();
            let bytes = encode(&lists);
            prop_assert_eq!(decode(bytes.clone()), Some(lists));
            let cut = bytes.slice(..bytes.len() - 1);
            prop_assert!(decode(cut).is_none_or(|read| read.len() < 5));
        }

        #[test]
        fn any_bytes_are_looked_at_without_panic(bytes in prop::collection::vec(any::<u8>(), 0..60)) {
            let mut versioned = vec![VERSION];
            versioned.extend(&bytes);
            for bytes in [bytes, versioned] {
                if let Some(lists) = decode(bytes.into()) {
                    prop_assert!(lists.len() <= MAX_OWN_LISTS);
                }
            }
        }
    }
}
