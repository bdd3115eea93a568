//! The publisher's command as a library: folders out, folders in, and what an address leads to.
//!
//! A native node has no WebRTC. It keeps its blobs in a file, tells the relays what it has, and is reached by its own sockets: other
//! native nodes and keepers dial them, and so do pages where the browser lets them (on this machine, or under `wss`). What is
//! said to a person goes to an [`Report`]; the result alone is returned.

mod address;
mod folder;

use std::path::{Path, PathBuf};
use std::time::Duration;

use libp2p::Multiaddr;

pub use address::{Address, AddressError};

use crate::net::transport;
use crate::node::snapshot::JoinState;
use crate::node::{self, Config, Fetching, Node, PublishOptions, Published, Publishing, Site};
use crate::proto::manifest::{Manifest, diff::Diff};
use crate::rt;
use crate::store::StoreError;
use crate::store::disk::DiskStore;

/// A native node.
pub type NativeNode = Node<DiskStore>;

/// Where a native node keeps its things and whom it knows.
#[derive(Debug, Clone, Default)]
pub struct Setup {
    /// The file of its store.
    pub store: PathBuf,
    /// Relays, each ending in `/p2p/<relay id>`.
    pub relays: Vec<Multiaddr>,
    /// Where to listen.
    pub listen: Vec<Multiaddr>,
    /// Where others reach that, if it is elsewhere.
    pub announce: Vec<Multiaddr>,
}

/// Hears how far the work has come.
pub trait Report {
    /// Files are being read.
    fn publishing(&mut self, progress: Publishing);
    /// Files are being fetched.
    fn fetching(&mut self, progress: Fetching);
    /// Something a person should know.
    fn say(&mut self, words: &str);
}

/// Why a command failed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The node's word.
    #[error(transparent)]
    Node(#[from] node::Error),
    /// The store cannot be opened.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The address cannot be read.
    #[error(transparent)]
    Address(#[from] AddressError),
    /// A file or a folder cannot be read or written.
    #[error("{}: {error}", path.display())]
    File {
        /// Which.
        path: PathBuf,
        /// Why.
        error: std::io::Error,
    },
    /// What is asked for makes no sense.
    #[error("{0}")]
    Usage(String),
}

/// Result of a command.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// How often it is looked whether others have what was published.
const LOOK: Duration = Duration::from_millis(500);

/// How long a relay may take to be joined before a person hears of it. Ours: a link takes some seconds at most.
const JOIN_PATIENCE: Duration = Duration::from_secs(10);

/// Starts a native node.
///
/// # Errors
/// `Store` if another process has the store, `Node` if an address makes no sense.
pub async fn start(setup: Setup) -> Result<NativeNode> {
    let store = DiskStore::open(&setup.store).await?;
    let config = Config {
        relays: setup.relays,
        listen: setup.listen,
        announce: setup.announce,
        ..Config::default()
    };
    let node = Node::start(config, store, transport::sockets).await?;
    // Whoever runs this command means to serve what it publishes and keeps.
    node.set_upload(true).await?;
    Ok(node)
}

/// Waits until others can find the node; says so if that takes long.
pub async fn join(node: &NativeNode, report: &mut impl Report) {
    let began = rt::now();
    let mut said = false;
    while !matches!(node.stats().state, JoinState::Joined | JoinState::Peers) {
        if !said && rt::now().saturating_sub(began) > JOIN_PATIENCE {
            said = true;
            report.say("No relay has answered yet; still trying.");
        }
        rt::sleep(Duration::from_millis(50)).await;
    }
}

/// Publishes a folder.
///
/// # Errors
/// `File` if something in it cannot be read, `Node` as [`Node::publish`].
pub async fn publish(
    node: &NativeNode,
    folder: &Path,
    hidden: bool,
    options: PublishOptions,
    report: &mut impl Report,
) -> Result<Published> {
    let files = folder::list(folder, hidden)?;
    if files.skipped > 0 {
        report.say(&format!(
            "{} hidden files and folders are left out; --hidden takes them along.",
            files.skipped
        ));
    }
    let published = node
        .publish(files.stream(), options, |progress| {
            report.publishing(progress)
        })
        .await?;
    for (line, reason) in &published.skipped_redirects {
        report.say(&format!("_redirects, line {line} is left out: {reason}."));
    }
    for path in &published.same_but_for_case {
        report.say(&format!(
            "\"{path}\" is there in upper and lower case: it cannot be unpacked on every disk."
        ));
    }
    Ok(published)
}

/// Serves until another peer has said that it has all of a site; gives how many there are.
///
/// # Errors
/// `Node` once the node has stopped.
pub async fn until_held(node: &NativeNode, site: &Manifest) -> Result<usize> {
    loop {
        let holders = node.holders(site.hash()).await?;
        if holders > 0 {
            return Ok(holders);
        }
        rt::sleep(LOOK).await;
    }
}

/// Opens the site that an address leads to.
///
/// # Errors
/// `Node` as [`Node::site`].
pub async fn open(node: &NativeNode, address: &Address) -> Result<Site<DiskStore>> {
    let Address::Manifest(manifest) = address;
    Ok(node.site(*manifest).await?)
}

/// Fetches a site into a folder that is empty or not there.
///
/// # Errors
/// `Usage` if the folder holds something, `Node`, `File`.
pub async fn fetch(site: &Site<DiskStore>, folder: &Path, report: &mut impl Report) -> Result<()> {
    folder::make_empty(folder)?;
    site.fetch(|progress| report.fetching(progress)).await?;
    folder::unpack(site, folder).await
}

/// What a version changes of another, in a person's words.
pub fn describe(diff: &Diff) -> String {
    match diff.is_empty() {
        true => "Nothing has changed.".into(),
        false => format!(
            "{} files added, {} changed, {} removed, {} as they were; {} new bytes.",
            diff.added.len(),
            diff.changed.len(),
            diff.removed.len(),
            diff.unchanged,
            diff.new_bytes
        ),
    }
}
