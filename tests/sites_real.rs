//! Real static sites, as they ship in npm packages: published from the disk by one native node, fetched by another, and compared byte
//! for byte. `docs/sites.md` lists them. They are development dependencies, so `npm ci` comes first.

#![cfg(not(target_arch = "wasm32"))]
#![allow(clippy::unwrap_used)]

mod kit;

use std::path::{Path, PathBuf};
use std::time::Instant;

use gyre::cli;
use gyre::node::{MAX_READ, PublishOptions, Site};
use gyre::proto::manifest::diff::Diff;
use gyre::proto::site::Answer;
use gyre::relay::KeeperConfig;
use gyre::store::disk::DiskStore;

use kit::{Scene, Silent, Tree, native, read_tree, run_beside, write_tree};

/// A folder of a package.
fn package(folder: &str) -> PathBuf {
    let path = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("node_modules")
        .join(folder);
    assert!(
        path.is_dir(),
        "{} is not there: npm ci brings it",
        path.display()
    );
    path
}

/// The files of some folders of packages, each under a folder of its own.
fn tree_of(folders: &[(&str, &str)]) -> Tree {
    let mut tree = Tree::new();
    for (under, folder) in folders {
        for (path, bytes) in read_tree(&package(folder)) {
            // What npm itself puts there is no part of a site.
            if !path.starts_with("node_modules/") {
                tree.insert(format!("{under}{path}"), bytes);
            }
        }
    }
    tree
}

/// Publishes a tree and fetches it at another node, through a keeper when the publisher has gone.
fn travels(tree: Tree, options: PublishOptions, look: impl AsyncFnOnce(&Site<DiskStore>, &Tree)) {
    let keeper = KeeperConfig {
        keep: 1_000_000_000,
        ..KeeperConfig::default()
    };
    run_beside(keeper, async |scene: Scene| {
        let folder = tempfile::tempdir().unwrap();
        let source = folder.path().join("site");
        write_tree(&tree, &source);
        let publisher = native(&scene, folder.path(), "publisher", false).await;
        let began = Instant::now();
        let published = cli::publish(&publisher, &source, true, options, &mut Silent)
            .await
            .unwrap();
        assert_eq!(published.done.files, tree.len());
        println!(
            "{} files, {} bytes: published in {:?}",
            published.done.files,
            published.done.bytes,
            began.elapsed()
        );
        let again = &mut Silent;
        let again = cli::publish(
            &publisher,
            &source,
            true,
            PublishOptions {
                previous: Some(published.manifest.hash()),
                index: published.manifest.extra().index.clone(),
                fallback: published.manifest.extra().fallback.clone(),
                ..PublishOptions::default()
            },
            again,
        );
        assert!(
            !again.await.unwrap().changed,
            "the same files are the same version"
        );

        let began = Instant::now();
        let address = published.manifest.cid().parse().unwrap();
        assert!(
            cli::ask_keepers(&publisher, address, &[], &mut Silent)
                .await
                .unwrap()
        );
        cli::until_held(&publisher, &published.manifest)
            .await
            .unwrap();
        println!("the keeper had all of it after {:?}", began.elapsed());
        publisher.stop().await;

        let reader = native(&scene, folder.path(), "reader", false).await;
        let site = cli::open(&reader, &address).await.unwrap();
        assert!(Diff::between(site.manifest(), &published.manifest).is_empty());
        look(&site, &tree).await;
        let began = Instant::now();
        let copy = folder.path().join("copy");
        cli::fetch(&site, &copy, &mut Silent).await.unwrap();
        println!("fetched from it in {:?}", began.elapsed());
        let fetched = read_tree(&copy);
        assert_eq!(fetched.len(), tree.len());
        for (path, bytes) in &tree {
            assert!(fetched.get(path) == Some(bytes), "{path}");
        }
    });
}

#[test]
fn documentation_of_over_a_thousand_files() {
    let tree = tree_of(&[("vis/", "vis"), ("jquery-mobile/", "jquery-mobile")]);
    assert!(tree.len() > 1000, "{}", tree.len());
    travels(tree, PublishOptions::default(), async |site, tree| {
        let Answer::File { status: 200, entry } = site.resolve("/vis/docs/network/index.html")
        else {
            panic!("a page of the documentation");
        };
        assert!(entry.media_type.starts_with("text/html"));
        let bytes = site.read(&entry, 0, MAX_READ).await.unwrap();
        assert!(bytes == tree["vis/docs/network/index.html"]);
        // A folder leads to its index, with the slash that relative links need.
        let Answer::Redirect { location, .. } = site.resolve("/vis/docs/network") else {
            panic!("the folder");
        };
        assert_eq!(location, "/vis/docs/network/");
    });
}

#[test]
fn an_app_that_routes_by_itself() {
    let tree = tree_of(&[("", "unleash-frontend/build")]);
    let options = PublishOptions {
        fallback: Some("index.html".into()),
        ..PublishOptions::default()
    };
    travels(tree, options, async |site, tree| {
        for route in ["/projects/default/features", "/login?next=%2F", "/a/b/c/"] {
            let Answer::File { status: 200, entry } = site.resolve(route) else {
                panic!("{route}: {:?}", site.resolve(route));
            };
            assert_eq!(entry.path, "index.html");
            assert!(site.read(&entry, 0, MAX_READ).await.unwrap() == tree["index.html"]);
        }
        let missing = site.resolve("/static/nothing.js");
        assert!(matches!(missing, Answer::NotFound), "{missing:?}");
        let script = tree.keys().find(|path| path.ends_with(".js")).unwrap();
        let Answer::File { status: 200, entry } = site.resolve(&format!("/{script}")) else {
            panic!("{script}");
        };
        assert!(
            entry.media_type.starts_with("text/javascript"),
            "{}",
            entry.media_type
        );
    });
}

#[test]
fn a_page_with_a_film_that_is_read_in_parts() {
    let tree = tree_of(&[("", "vide")]);
    travels(tree, PublishOptions::default(), async |site, tree| {
        let film = "examples/video/ocean.mp4";
        let Answer::File { status: 200, entry } = site.resolve(&format!("/{film}")) else {
            panic!("the film");
        };
        assert_eq!(entry.media_type, "video/mp4");
        let whole = &tree[film];
        assert_eq!(entry.size, whole.len() as u64);
        // The end first, as players do, then the middle and the beginning; nothing else need be here.
        let file = site.open(&entry).await.unwrap();
        for from in [whole.len() - 1000, whole.len() / 2, 0] {
            let part = file.read(from as u64, 1000).await.unwrap();
            assert!(!part.is_empty() && part[..] == whole[from..from + part.len()]);
        }
        let page = site.resolve("/examples/body-bg.html");
        assert!(matches!(page, Answer::File { status: 200, .. }), "{page:?}");
    });
}

#[test]
fn paths_that_are_not_ascii() {
    let mut tree = tree_of(&[("", "hanzi-writer-data")]);
    // Some of its nine thousand.
    let mut left = 1500;
    tree.retain(|path, _| {
        left -= i32::from(!path.is_ascii());
        path.is_ascii() || left >= 0
    });
    assert!(tree.keys().filter(|path| !path.is_ascii()).count() >= 1000);
    travels(tree, PublishOptions::default(), async |site, tree| {
        for (path, bytes) in tree.iter().filter(|(path, _)| !path.is_ascii()).take(20) {
            // As a browser asks for it.
            let target: String = path.bytes().map(|byte| format!("%{byte:02X}")).collect();
            let Answer::File { status: 200, entry } = site.resolve(&format!("/{target}")) else {
                panic!("{path}");
            };
            assert_eq!(entry.path, path);
            assert!(
                site.read(&entry, 0, MAX_READ).await.unwrap() == *bytes,
                "{path}"
            );
        }
    });
}
