//! Denylists of a node: what is on them is neither resolved nor fetched, kept or served.

use std::sync::Arc;

use super::Node;
use super::command::Command;
use super::error::{Error, Result};
use crate::proto::denylist::{Denylist, DenylistError, Read};
use crate::proto::name::Name;
use crate::proto::types::BlobHash;
use crate::store::Store;

impl<S: Store> Node<S> {
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
