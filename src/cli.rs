//! The publisher's command as a library: folders out, folders in, and what an address leads to.
//!
//! A native node has no WebRTC. It keeps its blobs in a file, tells the relays what it has, and is reached by its own sockets: other
//! native nodes and keepers dial them, and so do pages where the browser lets them (on this machine, or under `wss`). What is
//! said to a person goes to an [`Report`]; the result alone is returned.

mod folder;
mod key;

use std::path::{Path, PathBuf};
use std::time::Duration;

use libp2p::Multiaddr;

pub use crate::proto::address::{Address, AddressError};
pub use key::Key;

use crate::net::transport;
use crate::node::names::{Head, LIFETIME_MILLIS};
use crate::node::snapshot::JoinState;
use crate::node::{self, Config, Fetching, Node, PublishOptions, Published, Publishing, Site};
use crate::proto::keeping::Verdict;
use crate::proto::link::{manifest_as_cid, manifest_from_cid_bytes};
use crate::proto::manifest::{Manifest, diff::Diff};
use crate::proto::name::validity::Validity;
use crate::proto::types::BlobHash;
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
    /// Peers to begin with, each ending in `/p2p/<peer id>`.
    pub peers: Vec<Multiaddr>,
    /// Where to listen.
    pub listen: Vec<Multiaddr>,
    /// Where others reach that, if it is elsewhere.
    pub announce: Vec<Multiaddr>,
    /// Work that the ids of those who keep mail must show in this network, in bits: at the first start it is done, which takes a second.
    pub puzzle_bits: u8,
    /// Files of what is not fetched and not served.
    pub denylists: Vec<PathBuf>,
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
    /// The key file cannot be used.
    #[error("{}: {reason}", path.display())]
    Key {
        /// Which.
        path: PathBuf,
        /// Why.
        reason: String,
    },
    /// What is asked for makes no sense.
    #[error("{0}")]
    Usage(String),
}

/// Result of a command.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// How often it is looked whether others have what was published.
const LOOK: Duration = Duration::from_millis(500);

/// How old a record gets before it is signed anew: a week. Ours: it holds for 90 days, so many a look may be missed.
const RENEW_AFTER_MILLIS: u64 = 7 * 24 * 60 * 60 * 1000;

/// How often it is looked whether a record must be signed anew.
const RENEWAL_LOOK: Duration = Duration::from_secs(60 * 60);

/// How long a relay may take to be joined before a person hears of it. Ours: a link takes some seconds at most.
const JOIN_PATIENCE: Duration = Duration::from_secs(10);

/// Starts a native node.
///
/// # Errors
/// `Store` if another process has the store, `File` for a denylist that is not there, `Node` if an address makes no sense.
pub async fn start(setup: Setup) -> Result<NativeNode> {
    let store = DiskStore::open(&setup.store).await?;
    let config = Config {
        relays: setup.relays,
        peers: setup.peers,
        listen: setup.listen,
        announce: setup.announce,
        puzzle_bits: setup.puzzle_bits,
        work_first: true,
        ..Config::default()
    };
    let node = Node::start(config, store, transport::sockets).await?;
    // Whoever runs this command means to serve what it publishes and keeps.
    node.set_upload(true).await?;
    let mut lists = Vec::new();
    for path in setup.denylists {
        let list = std::fs::read(&path).map_err(|error| Error::File { path, error })?;
        lists.push(list);
    }
    node.set_denylists(&lists).await?;
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
    for (line, reason) in &published.skipped_headers {
        report.say(&format!("_headers, line {line}: {reason}."));
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
        let holders = node.holders(site.hash()).await?.now;
        if holders > 0 {
            return Ok(holders);
        }
        rt::sleep(LOOK).await;
    }
}

/// The version that an address leads to now, and the head that says so if it is a name.
///
/// # Errors
/// `Node` if a name leads nowhere, or to something other than a site.
pub async fn resolve(node: &NativeNode, address: &Address) -> Result<(BlobHash, Option<Head>)> {
    match address {
        Address::Manifest(manifest) => Ok((*manifest, None)),
        Address::Name(name) => {
            let head = node.names().resolve(*name).await?;
            let manifest = head.cid.as_ref().and_then(manifest_of);
            let manifest = manifest
                .ok_or_else(|| node::Error::BadSite(format!("its name leads to {}", head.value)))?;
            Ok((manifest, Some(head)))
        }
    }
}

/// The version that a key's name led to when it was last heard of: the one that a new version follows. Nobody is asked where the key is
/// new or the name is known here.
///
/// # Errors
/// `Node` if the store fails.
pub async fn version_before(node: &NativeNode, key: &Key) -> Result<Option<BlobHash>> {
    let name = key.key.name();
    let head = match node.names().known(name).await? {
        Some(head) => Some(head),
        None if key.is_new => None,
        None => node.names().resolve(name).await.ok(),
    };
    Ok(head.and_then(|head| manifest_of(&head.cid?)))
}

/// Lets a key's name lead to a site, and goes on telling others for as long as the node runs.
///
/// # Errors
/// As [`node::names::Names::publish`].
pub async fn name(node: &NativeNode, key: &Key, site: &Manifest) -> Result<Head> {
    let head = node
        .names()
        .publish(&key.key, &manifest_as_cid(site.hash()))
        .await?;
    node.names().hold(head.name, true).await?;
    Ok(head)
}

/// Lets a version go that another has taken the place of, when room is needed: nothing else would ever let go of it.
///
/// # Errors
/// `Node` if the store fails.
pub async fn replaced(node: &NativeNode, version: BlobHash) -> Result<()> {
    match node.set_site_pinned(version, false).await {
        // It was published elsewhere.
        Err(node::Error::NotFound) => Ok(()),
        done => Ok(done?),
    }
}

/// Asks keepers to keep an address; whether one does.
///
/// # Errors
/// `Node` once the node has stopped, or if an address names no keeper.
pub async fn ask_keepers(
    node: &NativeNode,
    address: Address,
    at: &[Multiaddr],
    report: &mut impl Report,
) -> Result<bool> {
    let words = match node.ask_keepers(address, at).await {
        Ok(Verdict::Taken) => {
            report.say("A keeper takes it.");
            return Ok(true);
        }
        Ok(Verdict::Full) => "No keeper has room for it.",
        Ok(Verdict::Refused) => "Keepers do not keep this: it is on a denylist of theirs.",
        Ok(Verdict::NotFound) => "A keeper could not get it from here.",
        Err(node::Error::NotFound) => "No keeper answers.",
        Err(error) => return Err(error.into()),
    };
    report.say(words);
    Ok(false)
}

/// Keeps a name's record from ending for as long as it is not dropped: signs it anew once a week.
///
/// # Errors
/// As [`renew_if`].
pub async fn renew(node: &NativeNode, key: &Key, site: &Manifest) -> Result<()> {
    loop {
        rt::sleep(RENEWAL_LOOK).await;
        renew_if(node, key, site, LIFETIME_MILLIS - RENEW_AFTER_MILLIS).await?;
    }
}

/// Signs a name's record anew if less than `left` milliseconds are left of it. A name that leads elsewhere by now, because somebody with
/// the same key has published, is left to them, and so is one for which the key has signed two values under one number.
///
/// # Errors
/// As [`name`].
pub async fn renew_if(
    node: &NativeNode,
    key: &Key,
    site: &Manifest,
    left: u64,
) -> Result<Option<Head>> {
    let Some(head) = node.names().known(key.key.name()).await? else {
        return Ok(None);
    };
    let leads_here = head.cid.as_ref().and_then(manifest_of) == Some(site.hash());
    let due = head.valid_until.saturating_sub(rt::unix_millis()) < left;
    if !leads_here || head.fork.is_some() || !due {
        return Ok(None);
    }
    let head = name(node, key, site).await?;
    tracing::info!(until = %date(head.valid_until), "the record is signed anew");
    Ok(Some(head))
}

/// A moment in milliseconds since 1970 as a date.
pub fn date(unix_millis: u64) -> String {
    let text = Validity::from_unix_millis(unix_millis).to_string();
    text.split('T').next().unwrap_or_default().to_owned()
}

/// Opens the site that an address leads to.
///
/// # Errors
/// `Node` as [`Node::site`], or if a name leads nowhere.
pub async fn open(node: &NativeNode, address: &Address) -> Result<Site<DiskStore>> {
    let (manifest, _) = resolve(node, address).await?;
    Ok(node.site(manifest).await?)
}

fn manifest_of(cid: &cid::Cid) -> Option<BlobHash> {
    manifest_from_cid_bytes(&cid.to_bytes())
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
