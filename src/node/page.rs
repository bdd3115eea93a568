//! A node with a page's own edges: IndexedDB and the browser's transports.

use std::rc::Rc;

use super::{Config, Export, File, Node, Result, Site};
use crate::net::fetch::web::PageFetch;
use crate::net::transport;
use crate::store::Store;
use crate::store::indexed_db::IndexedDbStore;

/// The node of a page.
pub type PageNode = Node<IndexedDbStore>;

/// A file read through it.
pub type PageFile = File<IndexedDbStore>;

/// A blob exported from it.
pub type PageExport = Export<IndexedDbStore>;

/// A site opened through it.
pub type PageSite = Site<IndexedDbStore>;

impl PageNode {
    /// Opens the database and starts the node on it.
    ///
    /// # Errors
    /// `Store(Busy)` if another tab of this origin has the database; else as [`Node::start`].
    pub async fn start_in_page(config: Config, database: &str) -> Result<Self> {
        let store = IndexedDbStore::open(database).await?;
        let config = Config {
            fetch: Some(Rc::new(PageFetch)),
            ..config
        };
        let node = Self::start(config, store.clone(), transport::build).await;
        if node.is_err() {
            // The lock must not outlive a failed start.
            store.close().await;
        }
        node
    }
}
