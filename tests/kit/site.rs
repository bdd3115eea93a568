//! Sites of tests: trees of files, published, compared, on a disk and off it.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use bytes::{Bytes, BytesMut};
use futures::StreamExt;
use gyre::cli::{self, NativeNode, Report, Setup};
use gyre::node::{Fetching, Node, PublishOptions, Published, Publishing, Site, SiteFile};
use gyre::store::Store;

use super::{Scene, pieces};

/// Files by path.
pub type Tree = BTreeMap<String, Bytes>;

/// Publishes a tree.
pub async fn publish<S: Store>(node: &Node<S>, tree: &Tree, options: PublishOptions) -> Published {
    let files: Vec<_> = tree.iter().map(|(path, bytes)| file(path, bytes)).collect();
    node.publish(futures::stream::iter(files), options, |_| {})
        .await
        .unwrap()
}

/// A file as a publication takes it.
pub fn file(path: &str, bytes: &Bytes) -> Result<SiteFile<'static>, String> {
    Ok(SiteFile {
        path: path.to_owned(),
        media_type: None,
        headers: None,
        content: pieces(bytes).boxed_local(),
    })
}

/// All of a file of a site.
pub async fn whole<S: Store>(site: &Site<S>, path: &str) -> Bytes {
    let entry = site.manifest().get(path).unwrap();
    let mut bytes = BytesMut::new();
    let mut pieces = std::pin::pin!(site.stream(&entry));
    while let Some(piece) = pieces.next().await {
        bytes.extend_from_slice(&piece.unwrap());
    }
    bytes.freeze()
}

/// Every file of a site is that of the tree, and there are no others.
pub async fn assert_same<S: Store>(site: &Site<S>, tree: &Tree) {
    let paths: Vec<_> = site
        .manifest()
        .entries()
        .map(|e| e.path.to_owned())
        .collect();
    assert_eq!(paths.len(), tree.len());
    for path in paths {
        assert!(whole(site, &path).await == tree[&path], "{path}");
    }
}

/// Writes a tree into a folder.
pub fn write_tree(tree: &Tree, folder: &Path) {
    for (path, bytes) in tree {
        let path = folder.join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, bytes).unwrap();
    }
}

/// Reads a folder.
pub fn read_tree(folder: &Path) -> Tree {
    let mut tree = Tree::new();
    let mut open = vec![folder.to_owned()];
    while let Some(at) = open.pop() {
        for entry in fs::read_dir(at).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                open.push(path);
            } else {
                let name = path.strip_prefix(folder).unwrap().to_str().unwrap();
                tree.insert(name.to_owned(), fs::read(&path).unwrap().into());
            }
        }
    }
    tree
}

/// Nobody is told how far it has come.
pub struct Silent;

impl Report for Silent {
    fn publishing(&mut self, _: Publishing) {}
    fn fetching(&mut self, _: Fetching) {}
    fn say(&mut self, _: &str) {}
}

/// A native node at the scene's relay, with its store in a folder.
pub async fn native(scene: &Scene, folder: &Path, name: &str, listens: bool) -> NativeNode {
    let setup = Setup {
        store: folder.join(name).join("store.redb"),
        relays: vec![scene.relay.address().clone()],
        listen: listens
            .then(|| "/ip4/127.0.0.1/tcp/0/ws".parse().unwrap())
            .into_iter()
            .collect(),
        ..Setup::default()
    };
    let node = cli::start(setup).await.unwrap();
    cli::join(&node, &mut Silent).await;
    node
}
