//! Sites between whole nodes: published from files, fetched through the swarm, told apart version by version.

#![cfg(not(target_arch = "wasm32"))]
#![allow(clippy::unwrap_used)]

mod kit;

use std::collections::BTreeMap;
use std::time::Instant;

use bytes::{Bytes, BytesMut};
use futures::StreamExt;
use gyre::node::{Fetching, PublishOptions, Published, Publishing, Site, SiteFile};
use gyre::proto::manifest::diff::Diff;
use gyre::proto::site::Answer;
use gyre::proto::types::BlobHash;
use gyre::store::Store;
use gyre::store::memory::MemoryStore;

use kit::{Peer, Scene, content, run, until};

type Tree = BTreeMap<String, Bytes>;

fn file(path: &str, bytes: &Bytes) -> Result<SiteFile<'static>, String> {
    Ok(SiteFile {
        path: path.to_owned(),
        media_type: None,
        headers: None,
        content: kit::pieces(bytes).boxed_local(),
    })
}

async fn publish(node: &Peer, tree: &Tree, options: PublishOptions) -> Published {
    let files: Vec<_> = tree.iter().map(|(path, bytes)| file(path, bytes)).collect();
    node.publish(futures::stream::iter(files), options, |_| {})
        .await
        .unwrap()
}

/// A thousand pages and assets in folders, most of them small, some of several chunks, some alike, one empty.
fn thousand() -> Tree {
    let mut tree = Tree::new();
    for n in 0..1000 {
        let size = match n % 100 {
            0 => 700_000 + n,
            1 => 0,
            2 => 262_144,
            _ => 300 + (n * 37) % 5_000,
        };
        let ending = ["html", "css", "js", "png"][n % 4];
        let path = format!("docs/{}/kapitel-ü/{n:04}.{ending}", n / 50);
        tree.insert(path, content(size, n % 970));
    }
    tree.insert("index.html".into(), content(2000, 5000));
    tree.insert("404.html".into(), content(500, 5001));
    tree.insert(
        "_redirects".into(),
        Bytes::from_static(b"/old/* /docs/:splat 302\nbroken\n"),
    );
    tree
}

async fn whole(site: &Site<MemoryStore>, path: &str) -> Bytes {
    let entry = site.manifest().get(path).unwrap();
    let mut bytes = BytesMut::new();
    let mut pieces = std::pin::pin!(site.stream(&entry));
    while let Some(piece) = pieces.next().await {
        bytes.extend_from_slice(&piece.unwrap());
    }
    bytes.freeze()
}

async fn assert_same(site: &Site<MemoryStore>, tree: &Tree) {
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

async fn bytes_stored(store: &MemoryStore) -> u64 {
    store.usage().await.unwrap().used
}

#[test]
fn a_site_of_a_thousand_files_is_fetched_byte_for_byte() {
    run(|scene: Scene| async move {
        let publisher = scene.node().await;
        let tree = thousand();
        let began = Instant::now();
        let published = publish(&publisher, &tree, PublishOptions::default()).await;
        println!(
            "published {} files, {} bytes in {:?}",
            published.done.files,
            published.done.bytes,
            began.elapsed()
        );
        assert_eq!(published.done.files, tree.len());
        assert_eq!(published.skipped_redirects.len(), 1);
        assert!(
            publisher.swarms().is_empty(),
            "the files of a site are not listed one by one"
        );

        let reader = scene.node().await;
        let began = Instant::now();
        let site = reader.site(published.manifest.hash()).await.unwrap();
        println!("opened in {:?}", began.elapsed());
        assert_eq!(*site.manifest(), published.manifest);
        let Answer::File { status: 200, entry } = site.resolve("/") else {
            panic!("no index")
        };
        let began = Instant::now();
        assert_eq!(
            site.read(&entry, 0, 1 << 20).await.unwrap(),
            tree["index.html"]
        );
        println!("first file in {:?}", began.elapsed());

        // A page of thirty files: read together, over the one link.
        let page: Vec<_> = site
            .manifest()
            .entries()
            .filter(|e| e.size < 10_000)
            .skip(100)
            .take(30)
            .collect();
        let began = Instant::now();
        let read =
            futures::future::join_all(page.iter().map(|entry| site.read(entry, 0, 1 << 20))).await;
        println!("thirty files in {:?}", began.elapsed());
        for (entry, bytes) in page.iter().zip(read) {
            assert!(bytes.unwrap() == tree[entry.path], "{}", entry.path);
        }
        let again = Instant::now();
        for entry in &page {
            assert_eq!(
                site.read(entry, 0, 1 << 20).await.unwrap(),
                tree[entry.path]
            );
        }
        println!("the same again in {:?}", again.elapsed());

        let began = Instant::now();
        let mut last = Fetching::default();
        site.fetch(|progress| last = progress).await.unwrap();
        println!("all of it in {:?}", began.elapsed());
        assert!(last.is_whole());
        assert_eq!((last.files, last.bytes), (tree.len(), published.done.bytes));
        assert_same(&site, &tree).await;
        let links = |node: &Peer| {
            node.peers()
                .iter()
                .filter(|peer| peer.via == gyre::node::snapshot::Via::Direct)
                .count()
        };
        assert_eq!(links(&reader), 1);

        // The publisher leaves; whoever read it serves it on.
        publisher.stop().await;
        let third = scene.node().await;
        let site = third.site(published.manifest.hash()).await.unwrap();
        site.fetch(|_| {}).await.unwrap();
        assert_same(&site, &tree).await;
    });
}

#[test]
fn a_new_version_stores_and_sends_only_what_is_new() {
    run(|scene: Scene| async move {
        let store = MemoryStore::new();
        let publisher = scene.node().on(&store).await;
        let reader_store = MemoryStore::new();
        let reader = scene.node().on(&reader_store).await;
        let mut tree = thousand();
        let first = publish(&publisher, &tree, PublishOptions::default()).await;
        assert!(
            first.done.new_files < tree.len(),
            "equal files are kept once"
        );
        reader
            .site(first.manifest.hash())
            .await
            .unwrap()
            .fetch(|_| {})
            .await
            .unwrap();

        let unique: BTreeMap<_, _> = first.manifest.entries().map(|e| (e.blob, e.size)).collect();
        let all = unique.values().sum::<u64>() + first.manifest.bytes().len() as u64;
        until("all counted", || reader.stats().down >= all).await;
        let options = PublishOptions {
            previous: Some(first.manifest.hash()),
            ..PublishOptions::default()
        };
        let before = bytes_stored(&store).await;
        let same = publish(&publisher, &tree, options.clone()).await;
        assert!(!same.changed);
        assert_eq!(same.manifest, first.manifest);
        assert_eq!(bytes_stored(&store).await, before);

        let changed = content(4321, 77_777);
        tree.insert("index.html".into(), changed.clone());
        let second = publish(&publisher, &tree, options).await;
        assert!(second.changed);
        assert_eq!((second.done.new_files, second.done.new_bytes), (1, 4321));
        let manifest_bytes = second.manifest.bytes().len() as u64;
        assert_eq!(bytes_stored(&store).await, before + 4321 + manifest_bytes);
        assert_eq!(
            second.manifest.extra().previous,
            Some(first.manifest.hash())
        );
        let diff = Diff::between(&first.manifest, &second.manifest);
        assert_eq!(
            (diff.changed.as_slice(), diff.new_bytes),
            (&["index.html".to_owned()][..], 4321)
        );

        let down = reader.stats().down;
        let site = reader.site(second.manifest.hash()).await.unwrap();
        site.fetch(|_| {}).await.unwrap();
        let expected = down + 4321 + manifest_bytes;
        until("counted", || reader.stats().down >= expected).await;
        assert_eq!(reader.stats().down, expected);
        assert_same(&site, &tree).await;
        // The old version is still there, and so can be gone back to.
        assert!(
            publisher
                .site(first.manifest.hash())
                .await
                .unwrap()
                .progress()
                .await
                .unwrap()
                .is_whole()
        );
    });
}

#[test]
fn publishing_that_was_given_up_goes_on_where_it_was() {
    run(|scene: Scene| async move {
        let store = MemoryStore::new();
        let node = scene.node().on(&store).await;
        let tree = thousand();
        let files = || {
            futures::stream::iter(
                tree.iter()
                    .map(|(path, bytes)| file(path, bytes))
                    .collect::<Vec<_>>(),
            )
        };
        // Given up in the middle of it: the future is dropped.
        let (stop, stopped) = futures::channel::oneshot::channel();
        let mut stop = Some(stop);
        let cancelled = node.publish(
            files(),
            PublishOptions::default(),
            |progress: Publishing| {
                if progress.files == 600
                    && let Some(stop) = stop.take()
                {
                    let _ = stop.send(());
                }
            },
        );
        let slow = async {
            stopped.await.unwrap();
        };
        // The progress of the 600th file is heard before the future goes on to the next.
        tokio::select! {
            biased;
            () = slow => {}
            _ = cancelled => {}
        }
        let kept = bytes_stored(&store).await;
        assert!(kept > 0);
        node.stop().await;

        let store = store.reopen();
        let node = scene.node().on(&store).await;
        let published = publish(&node, &tree, PublishOptions::default()).await;
        let unique: BTreeMap<BlobHash, u64> = published
            .manifest
            .entries()
            .map(|e| (e.blob, e.size))
            .collect();
        assert_eq!(published.done.files, tree.len());
        assert!(
            published.done.new_files < unique.len(),
            "{:?}",
            published.done
        );
        let all: u64 = unique.values().sum();
        let manifest = published.manifest.bytes().len() as u64;
        assert_eq!(bytes_stored(&store).await, all + manifest);
        let site = node.site(published.manifest.hash()).await.unwrap();
        assert_same(&site, &tree).await;
    });
}

#[test]
fn fetching_that_was_given_up_goes_on_where_it_was() {
    run(|scene: Scene| async move {
        let publisher = scene.node().await;
        let tree = thousand();
        let published = publish(&publisher, &tree, PublishOptions::default()).await;
        let store = MemoryStore::new();
        let reader = scene.node().on(&store).await;
        let site = reader.site(published.manifest.hash()).await.unwrap();
        let mut seen = 0;
        let (stop, stopped) = futures::channel::oneshot::channel();
        let mut stop = Some(stop);
        let fetch = site.fetch(|progress| {
            seen = progress.files;
            if progress.files >= 300
                && let Some(stop) = stop.take()
            {
                let _ = stop.send(());
            }
        });
        tokio::select! {
            biased;
            _ = stopped => {}
            _ = fetch => {}
        }
        drop(site);
        reader.stop().await;

        let reader = scene.node().on(&store.reopen()).await;
        let site = reader.site(published.manifest.hash()).await.unwrap();
        let before = site.progress().await.unwrap();
        assert!(before.files >= 290 && !before.is_whole(), "{before:?}");
        site.fetch(|_| {}).await.unwrap();
        assert!(
            reader.stats().down < published.done.bytes,
            "what was here came again"
        );
        assert_same(&site, &tree).await;
    });
}

#[test]
fn what_is_no_manifest_is_refused_and_not_kept() {
    run(|scene: Scene| async move {
        let publisher = scene.node().await;
        let reader = scene.node().await;
        let share = publisher.share_as(&content(5000, 1), true).await;
        let error = reader.site(share.blob).await.unwrap_err();
        assert_eq!(error.code(), "BAD_SITE");
        assert!(reader.sites().await.unwrap().is_empty());
        let code = |result: Result<Published, gyre::node::Error>| result.unwrap_err().code();
        let bytes = content(10, 1);
        for path in ["../evil", "/etc/passwd", "a//b", ".gyre/sw.js", "a\\b"] {
            let files = futures::stream::iter([file(path, &bytes)]);
            assert_eq!(
                code(
                    publisher
                        .publish(files, PublishOptions::default(), |_| {})
                        .await
                ),
                "BAD_SITE",
                "{path}"
            );
        }
        let none = futures::stream::iter([]);
        assert_eq!(
            code(
                publisher
                    .publish(none, PublishOptions::default(), |_| {})
                    .await
            ),
            "BAD_OPTIONS"
        );
        let twice = futures::stream::iter([file("ü", &bytes), file("u\u{308}", &bytes)]);
        assert_eq!(
            code(
                publisher
                    .publish(twice, PublishOptions::default(), |_| {})
                    .await
            ),
            "BAD_SITE"
        );
        let broken = futures::stream::iter([Err("gone".to_owned())]);
        assert_eq!(
            code(
                publisher
                    .publish(broken, PublishOptions::default(), |_| {})
                    .await
            ),
            "BAD_OPTIONS"
        );
    });
}

#[test]
fn a_manifest_that_lies_about_a_size_is_found_out() {
    run(|scene: Scene| async move {
        use gyre::proto::manifest::Extra;
        use gyre::proto::manifest::build::Builder;
        let publisher = scene.node().await;
        let bytes = content(5000, 9);
        let share = publisher.share_as(&bytes, true).await;
        let mut builder = Builder::new(gyre::rt::normalise);
        builder.add("a.bin", share.blob, 4999, "a/b", None).unwrap();
        let lie = builder.finish(&Extra::default()).unwrap();
        let manifest = publisher.share_as(lie.bytes(), true).await;
        assert_eq!(manifest.blob, lie.hash());
        let reader = scene.node().await;
        let site = reader.site(lie.hash()).await.unwrap();
        let entry = site.manifest().get("a.bin").unwrap();
        let read = site.open(&entry).await.map(drop);
        assert_eq!(read.unwrap_err().code(), "BAD_SITE");
        assert_eq!(site.fetch(|_| {}).await.unwrap_err().code(), "BAD_SITE");
    });
}

#[test]
fn pins_keep_what_a_site_needs_and_no_more() {
    run(|scene: Scene| async move {
        let store = MemoryStore::new();
        let node = scene.node().on(&store).await;
        let shared = content(3000, 1);
        let one: Tree = [("a.html", &shared), ("b.html", &content(4000, 2))]
            .map(|(p, b)| (p.to_owned(), b.clone()))
            .into();
        let two: Tree = [("a.html", &shared), ("c.html", &content(5000, 3))]
            .map(|(p, b)| (p.to_owned(), b.clone()))
            .into();
        let one = publish(&node, &one, PublishOptions::default())
            .await
            .manifest
            .hash();
        let two = publish(&node, &two, PublishOptions::default())
            .await
            .manifest
            .hash();
        node.set_site_pinned(one, false).await.unwrap();
        let pinned = store
            .rows()
            .await
            .unwrap()
            .into_iter()
            .filter(|row| row.pinned)
            .count();
        assert_eq!(pinned, 3, "the manifest and both files of the second");
        // Room is needed: what is loose goes, whether asleep or not.
        let used = bytes_stored(&store).await;
        node.set_quota(used - 100).await.unwrap();
        until("made room", || node.stats().storage.used < used).await;
        assert!(
            node.site(two)
                .await
                .unwrap()
                .progress()
                .await
                .unwrap()
                .is_whole()
        );
    });
}

#[test]
fn readers_keep_a_site_up_without_its_publisher_and_without_relays() {
    run(|mut scene: Scene| async move {
        let soon = |config: &mut gyre::node::Config| {
            config.serve_after = Some(std::time::Duration::from_millis(500));
        };
        let publisher = scene.node().with(soon).await;
        let tree: Tree = thousand().into_iter().take(120).collect();
        let published = publish(&publisher, &tree, PublishOptions::default()).await;
        let id = published.manifest.hash();
        let mut readers = Vec::new();
        for _ in 0..3 {
            let reader = scene.node().with(soon).await;
            let site = reader.site(id).await.unwrap();
            site.fetch(|_| {}).await.unwrap();
            readers.push(reader);
        }
        let mut held = 0;
        while held < 3 {
            tokio::time::sleep(std::time::Duration::from_millis(50)).await;
            held = publisher.holders(id).await.unwrap();
        }
        // A fourth who knows one of the readers, and has nothing of the site.
        let fourth = scene.node().with(soon).await;
        until("linked to a reader", || {
            readers.iter().any(|reader| fourth.is_linked(reader))
        })
        .await;
        publisher.stop().await;
        scene.relay.stop().await;
        // As a person does who tries again when told that nobody was found.
        let site = loop {
            match fourth.site(id).await {
                Ok(site) => break site,
                Err(error) => {
                    assert!(["NOT_FOUND", "NO_RELAY"].contains(&error.code()), "{error}")
                }
            }
        };
        while let Err(error) = site.fetch(|_| {}).await {
            assert!(["NOT_FOUND", "NO_RELAY"].contains(&error.code()), "{error}");
        }
        assert_same(&site, &tree).await;
    });
}

/// Native nodes: no WebRTC, a store on disk, sockets of their own.
mod native {
    use std::fs;
    use std::io::{BufRead, BufReader, Read};
    use std::path::{Path, PathBuf};
    use std::process::{Command, Stdio};

    use gyre::cli::{self, NativeNode, Report, Setup};
    use gyre::node::snapshot::Via;

    use super::*;

    struct Silent;

    impl Report for Silent {
        fn publishing(&mut self, _: Publishing) {}
        fn fetching(&mut self, _: Fetching) {}
        fn say(&mut self, _: &str) {}
    }

    fn setup(scene: &Scene, folder: &Path, name: &str, listens: bool) -> Setup {
        Setup {
            store: folder.join(name).join("store.redb"),
            relays: vec![scene.relay.address().clone()],
            listen: listens
                .then(|| "/ip4/127.0.0.1/tcp/0/ws".parse().unwrap())
                .into_iter()
                .collect(),
            announce: Vec::new(),
        }
    }

    async fn native(scene: &Scene, folder: &Path, name: &str, listens: bool) -> NativeNode {
        let node = cli::start(setup(scene, folder, name, listens))
            .await
            .unwrap();
        cli::join(&node, &mut Silent).await;
        node
    }

    fn write(tree: &Tree, folder: &Path) {
        for (path, bytes) in tree {
            let path = folder.join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, bytes).unwrap();
        }
    }

    fn read(folder: &Path) -> Tree {
        let mut tree = Tree::new();
        let mut open = vec![folder.to_owned()];
        while let Some(at) = open.pop() {
            for entry in fs::read_dir(at).unwrap() {
                let path = entry.unwrap().path();
                if path.is_dir() {
                    open.push(path);
                } else {
                    let name = path
                        .strip_prefix(folder)
                        .unwrap()
                        .to_str()
                        .unwrap()
                        .to_owned();
                    tree.insert(name, fs::read(&path).unwrap().into());
                }
            }
        }
        tree
    }

    #[test]
    fn sites_pass_between_native_nodes_and_to_pages_by_socket() {
        run(|scene: Scene| async move {
            let folder = tempfile::tempdir().unwrap();
            let tree = thousand();
            let source = folder.path().join("site");
            write(&tree, &source);
            let publisher = native(&scene, folder.path(), "publisher", true).await;
            let began = Instant::now();
            let options = PublishOptions::default();
            let published = cli::publish(&publisher, &source, false, options, &mut Silent)
                .await
                .unwrap();
            println!("published from and to disk in {:?}", began.elapsed());
            assert_eq!(
                publisher.holders(published.manifest.hash()).await.unwrap(),
                0
            );

            let reader = native(&scene, folder.path(), "reader", false).await;
            let address = published.manifest.cid().parse().unwrap();
            let site = cli::open(&reader, &address).await.unwrap();
            let copy = folder.path().join("copy");
            let began = Instant::now();
            cli::fetch(&site, &copy, &mut Silent).await.unwrap();
            println!(
                "fetched by socket, from and to disk, in {:?}",
                began.elapsed()
            );
            assert!(read(&copy) == tree);
            assert_eq!(
                cli::until_held(&publisher, &published.manifest)
                    .await
                    .unwrap(),
                1
            );
            let refused = cli::fetch(&site, &copy, &mut Silent).await;
            assert!(
                matches!(refused, Err(cli::Error::Usage(_))),
                "into a folder that is not empty"
            );

            // A page has no socket to listen on, but can dial one.
            let page = scene.node().await;
            let site = page.site(published.manifest.hash()).await.unwrap();
            site.fetch(|_| {}).await.unwrap();
            assert_same(&site, &tree).await;
            let by_socket = |node: &Peer| {
                node.peers()
                    .iter()
                    .any(|peer| peer.via == Via::Websocket && peer.down > 0)
            };
            assert!(by_socket(&page));
            let id = published.manifest.hash();
            for _ in 0..600 {
                if publisher.holders(id).await.unwrap() == 2 {
                    break;
                }
                tokio::time::sleep(std::time::Duration::from_millis(50)).await;
            }
            assert_eq!(publisher.holders(id).await.unwrap(), 2);

            // After a restart everything is there.
            publisher.stop().await;
            let again = native(&scene, folder.path(), "publisher", true).await;
            let site = again.site(id).await.unwrap();
            assert!(site.progress().await.unwrap().is_whole());
            let options = PublishOptions {
                previous: Some(id),
                ..PublishOptions::default()
            };
            let same = cli::publish(&again, &source, false, options, &mut Silent)
                .await
                .unwrap();
            assert!(!same.changed);
            assert_eq!(same.done.new_files, 0);
        });
    }

    fn gyre(scene: &Scene, store: PathBuf) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_gyre"));
        command
            .env("GYRE_RELAYS", scene.relay.address().to_string())
            .env("GYRE_STORE", store)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        command
    }

    async fn output(mut command: Command) -> std::process::Output {
        let done = tokio::task::spawn_blocking(move || command.output().unwrap());
        done.await.unwrap()
    }

    #[test]
    fn a_key_keeps_the_address_from_version_to_version() {
        run(|scene: Scene| async move {
            let folder = tempfile::tempdir().unwrap();
            let mut tree: Tree = thousand().into_iter().take(30).collect();
            let source = folder.path().join("site");
            write(&tree, &source);
            let publish = |serves: bool| {
                let mut command = gyre(&scene, folder.path().join("a.redb"));
                command.arg("publish").arg(&source).arg("--key");
                command.arg(folder.path().join("site.key"));
                if serves {
                    command.args(["--listen", "/ip4/127.0.0.1/tcp/0/ws", "--serve"]);
                }
                command
            };
            let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
            let first = output(publish(false)).await;
            let words = text(first.stderr);
            assert!(first.status.success(), "{words}");
            assert!(
                words.contains("A new key") && words.contains("Version 0"),
                "{words}"
            );
            let name = text(first.stdout).trim().to_owned();
            assert!(name.starts_with("k51"), "{name}");

            tree.insert("new.html".into(), content(100, 4));
            write(&tree, &source);
            let mut serving = publish(true).spawn().unwrap();
            let stdout = serving.stdout.take().unwrap();
            let said = tokio::task::spawn_blocking(move || {
                BufReader::new(stdout).lines().next().unwrap().unwrap()
            });
            // Said when the new version is what the name leads to.
            assert_eq!(said.await.unwrap(), name);
            let copy = folder.path().join("copy");
            let mut fetch = gyre(&scene, folder.path().join("b.redb"));
            fetch.args(["fetch", &name]).arg(&copy);
            let fetched = output(fetch).await;
            assert!(fetched.status.success(), "{}", text(fetched.stderr));
            assert!(read(&copy) == tree);
            let ended = tokio::task::spawn_blocking(move || {
                let mut words = String::new();
                let stderr = serving.stderr.as_mut().unwrap();
                stderr.read_to_string(&mut words).unwrap();
                (serving.wait().unwrap(), words)
            });
            let (status, words) = ended.await.unwrap();
            assert!(status.success(), "{words}");
            assert!(
                words.contains("Version 1") && words.contains("1 files added"),
                "{words}"
            );
            assert!(words.contains("1 other peer has everything"), "{words}");
        });
    }

    #[test]
    fn the_command_publishes_serves_fetches_and_resolves() {
        run(|scene: Scene| async move {
            let folder = tempfile::tempdir().unwrap();
            let mut tree = thousand();
            tree.retain(|path, _| !path.starts_with("docs/1"));
            let source = folder.path().join("site");
            write(&tree, &source);
            fs::write(source.join(".hidden"), "no").unwrap();
            let mut publisher = gyre(&scene, folder.path().join("a.redb"))
                .arg("publish")
                .arg(&source)
                .args([
                    "--name",
                    "A site",
                    "--listen",
                    "/ip4/127.0.0.1/tcp/0/ws",
                    "--serve",
                ])
                .spawn()
                .unwrap();
            let stdout = publisher.stdout.take().unwrap();
            let address = tokio::task::spawn_blocking(move || {
                BufReader::new(stdout).lines().next().unwrap().unwrap()
            })
            .await
            .unwrap();

            let store = folder.path().join("b.redb");
            let copy = folder.path().join("copy");
            let mut fetch = gyre(&scene, store.clone());
            fetch.args(["fetch", &address]).arg(&copy);
            let fetched = tokio::task::spawn_blocking(move || fetch.output().unwrap())
                .await
                .unwrap();
            assert!(
                fetched.status.success(),
                "{}",
                String::from_utf8_lossy(&fetched.stderr)
            );
            assert!(read(&copy) == tree);

            let ended = tokio::task::spawn_blocking(move || {
                let mut words = String::new();
                publisher
                    .stderr
                    .take()
                    .unwrap()
                    .read_to_string(&mut words)
                    .unwrap();
                (publisher.wait().unwrap(), words)
            });
            let (status, words) = ended.await.unwrap();
            assert!(status.success(), "{words}");
            assert!(words.contains("1 other peer has everything"), "{words}");
            assert!(words.contains("1 hidden files"), "{words}");

            // What was fetched is here: no network is needed to look at it.
            let resolve = |path: &'static str| {
                let mut resolve = gyre(&scene, store.clone());
                resolve
                    .env_remove("GYRE_RELAYS")
                    .args(["resolve", &address]);
                if !path.is_empty() {
                    resolve.arg(path);
                }
                async {
                    let done = tokio::task::spawn_blocking(move || resolve.output().unwrap())
                        .await
                        .unwrap();
                    String::from_utf8(done.stdout).unwrap()
                }
            };
            let about = resolve("").await;
            assert!(
                about.contains(&format!(
                    "manifest {address}\nname A site\nfiles {}\n",
                    tree.len()
                )),
                "{about}"
            );
            assert!(resolve("/").await.starts_with("200 index.html text/html"));
            assert_eq!(resolve("/old/x").await, "302 /docs/x\n");
            assert!(resolve("/nowhere").await.starts_with("404 404.html"));

            let bad = gyre(&scene, store.clone())
                .args(["fetch", "hello", "x"])
                .output()
                .unwrap();
            assert!(!bad.status.success());
        });
    }
}
