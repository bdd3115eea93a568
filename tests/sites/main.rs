//! Sites between whole nodes: published from files, fetched through the swarm, told apart version by version.

#![cfg(not(target_arch = "wasm32"))]
#![allow(clippy::unwrap_used)]

#[path = "../kit/mod.rs"]
mod kit;
mod native;
mod owner;
mod readers;

use std::collections::BTreeMap;
use std::time::Instant;

use bytes::Bytes;
use gyre::node::{Fetching, PublishOptions, Published, Publishing};
use gyre::proto::manifest::diff::Diff;
use gyre::proto::site::Answer;
use gyre::proto::types::BlobHash;
use gyre::store::Store;
use gyre::store::memory::MemoryStore;

use kit::{Peer, Scene, Tree, assert_same, content, file, publish, run, until};

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
        let rows = store.rows().await.unwrap();
        let pinned = rows.iter().filter(|row| row.pinned).count();
        assert_eq!(pinned, 0, "of what came to nothing nothing is kept");
        let node = scene.node().on(&store).await;
        let published = publish(&node, &tree, PublishOptions::default()).await;
        let rows = store.rows().await.unwrap();
        assert!(rows.iter().all(|row| row.pinned));
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
fn nothing_of_a_publication_makes_way_while_it_lasts_and_all_of_it_when_it_was_given_up() {
    run(|scene: Scene| async move {
        let store = MemoryStore::new();
        let node = scene.node().on(&store).await;
        let old: Tree = [("old.bin".to_owned(), content(1_000_000, 1))].into();
        let old = publish(&node, &old, PublishOptions::default()).await;
        node.set_site_pinned(old.manifest.hash(), false)
            .await
            .unwrap();
        // Both do not fit, so the old one goes, and none of the new one.
        node.set_quota(bytes_stored(&store).await + 200_000)
            .await
            .unwrap();
        let tree: Tree = (0..9)
            .map(|n| (format!("{n}.bin"), content(100_000, 50 + n)))
            .collect();
        let new = publish(&node, &tree, PublishOptions::default()).await;
        let site = node.site(new.manifest.hash()).await.unwrap();
        assert_same(&site, &tree).await;
        let gone = node.site_here(old.manifest.hash()).await.unwrap();
        let gone = match gone {
            Some(site) => !site.progress().await.unwrap().is_whole(),
            None => true,
        };
        assert!(gone);

        // What does not fit at all is given up, and makes way.
        let huge: Tree = (0..9)
            .map(|n| (format!("{n}.bin"), content(600_000, 70 + n)))
            .collect();
        let files: Vec<_> = huge.iter().map(|(path, bytes)| file(path, bytes)).collect();
        let files = futures::stream::iter(files);
        let failed = node.publish(files, PublishOptions::default(), |_| {}).await;
        assert_eq!(failed.unwrap_err().code(), "QUOTA_EXCEEDED");
        let tree: Tree = [("again.bin".to_owned(), content(250_000, 90))].into();
        let again = publish(&node, &tree, PublishOptions::default()).await;
        let site = node.site(again.manifest.hash()).await.unwrap();
        assert_same(&site, &tree).await;
    });
}

#[test]
fn header_rules_hold_for_the_files_of_a_site() {
    run(|scene: Scene| async move {
        let node = scene.node().await;
        let rules = "/*\n  Content-Security-Policy: script-src 'self'\n  X-Powered-By: us\n/assets/*\n  Cache-Control: max-age=60\n";
        let tree: Tree = [
            ("index.html", content(100, 1)),
            ("assets/a.css", content(100, 2)),
            ("_headers", Bytes::from_static(rules.as_bytes())),
        ]
        .map(|(path, bytes)| (path.to_owned(), bytes))
        .into();
        let published = publish(&node, &tree, PublishOptions::default()).await;
        let skipped: Vec<_> = published.skipped_headers.iter().map(|one| one.0).collect();
        assert_eq!(skipped, [3]);
        let of = |path: &str| {
            let entry = published.manifest.get(path).unwrap();
            let headers = entry.headers.cloned().unwrap_or_default();
            (headers.cache, headers.csp)
        };
        let policy = Some("script-src 'self'".to_owned());
        assert_eq!(of("index.html"), (None, policy.clone()));
        assert_eq!(of("assets/a.css"), (Some("max-age=60".into()), policy));
        // Published again, with what it was served with, it is the same.
        let again: Vec<_> = tree
            .iter()
            .map(|(path, bytes)| {
                let entry = published.manifest.get(path).unwrap();
                file(path, bytes).map(|file| gyre::node::SiteFile {
                    headers: entry.headers.cloned(),
                    ..file
                })
            })
            .collect();
        let options = PublishOptions {
            previous: Some(published.manifest.hash()),
            ..PublishOptions::default()
        };
        let again = node
            .publish(futures::stream::iter(again), options, |_| {})
            .await
            .unwrap();
        assert!(!again.changed);
    });
}

#[test]
fn who_had_a_site_is_remembered_and_so_are_a_persons_denylists() {
    run(|scene: Scene| async move {
        let store = MemoryStore::new();
        let publisher = scene.node().on(&store).await;
        let tree: Tree = thousand().into_iter().take(5).collect();
        let id = publish(&publisher, &tree, PublishOptions::default())
            .await
            .manifest
            .hash();
        let reader = scene.node().await;
        let site = reader.site(id).await.unwrap();
        site.fetch(|_| {}).await.unwrap();
        while publisher.holders(id).await.unwrap().now == 0 {
            tokio::time::sleep(std::time::Duration::from_millis(50)).await;
        }
        while store.value("sightings").await.unwrap().is_none() {
            tokio::time::sleep(std::time::Duration::from_millis(50)).await;
        }
        let rule = format!("/ipfs/{}\n/nonsense\n", gyre::proto::link::manifest_cid(id));
        let lists = publisher
            .set_own_denylist("mine", Some("/ipns/x\n".into()))
            .await
            .unwrap();
        assert_eq!((lists.len(), lists[0].read.rules), (1, 0));
        let lists = publisher
            .set_own_denylist("other", Some(rule.clone().into()))
            .await
            .unwrap();
        assert_eq!((lists[1].read.rules, lists[1].read.skipped_count), (1, 1));
        let bad = publisher
            .set_own_denylist("bad", Some("version: 9\n---\n".into()))
            .await;
        assert_eq!(bad.unwrap_err().code(), "BAD_OPTIONS");
        publisher.stop().await;
        reader.stop().await;

        let publisher = scene.node().on(&store.reopen()).await;
        let holders = publisher.holders(id).await.unwrap();
        assert_eq!((holders.now, holders.hour, holders.day), (0, 1, 1));
        let denied = publisher.site(id).await;
        assert!(matches!(denied, Err(gyre::node::Error::Denied)));
        let names: Vec<_> = publisher.own_denylists().await.unwrap();
        let names: Vec<_> = names.iter().map(|list| list.name.as_str()).collect();
        assert_eq!(names, ["mine", "other"]);
        let left = publisher.set_own_denylist("other", None).await.unwrap();
        assert_eq!(left.len(), 1);
        assert!(publisher.site(id).await.is_ok());
    });
}

#[test]
fn a_file_of_several_chunks_is_denied_by_path_or_by_its_bytes_and_the_site_is_not() {
    run(|scene: Scene| async move {
        let large =
            |seed: u8| -> Vec<u8> { (0..700_000u32).map(|at| (at >> 3) as u8 ^ seed).collect() };
        let files = [
            ("index.html", b"start".to_vec()),
            ("large/hash.bin", large(1)),
            ("large/other.bin", large(2)),
            ("large/path.bin", large(3)),
        ];
        let tree: Tree = files
            .map(|(path, bytes)| (path.to_owned(), bytes.into()))
            .into();
        let publisher = scene.node().await;
        let manifest = publish(&publisher, &tree, PublishOptions::default())
            .await
            .manifest;
        let by_hash = manifest.get("large/hash.bin").unwrap().blob;
        let whole_file = format!("/ipfs/{}\n", gyre::proto::link::blob_cid(by_hash));
        let path = format!("/ipfs/{}/large/path.bin\n", manifest.cid());

        let reader = scene.node().await;
        reader
            .set_denylists(&[format!("{whole_file}{path}")])
            .await
            .unwrap();
        let site = reader.site(manifest.hash()).await.unwrap();
        for path in ["large/hash.bin", "large/path.bin"] {
            let entry = site.manifest().get(path).unwrap();
            let opened = site.open(&entry).await.map(|_| ());
            assert!(matches!(opened, Err(gyre::node::Error::Denied)), "{path}");
            let middle = site.read(&entry, 300_000, 10).await;
            assert!(matches!(middle, Err(gyre::node::Error::Denied)), "{path}");
        }
        let other = site.manifest().get("large/other.bin").unwrap();
        let bytes = site.read(&other, 300_000, 10).await.unwrap();
        assert_eq!(bytes, tree["large/other.bin"][300_000..300_010]);
        let all = site.fetch(|_| {}).await;
        assert!(matches!(all, Err(gyre::node::Error::Denied)));

        // Who has it neither publishes it again nor serves it.
        publisher.set_denylists(&[whole_file]).await.unwrap();
        let sources: Vec<_> = tree.iter().map(|(path, bytes)| file(path, bytes)).collect();
        let again = publisher.publish(
            futures::stream::iter(sources),
            PublishOptions::default(),
            |_| {},
        );
        let again = again.await;
        assert!(matches!(again, Err(gyre::node::Error::Denied)));
        reader.set_denylists(&[] as &[&str]).await.unwrap();
        let entry = site.manifest().get("large/hash.bin").unwrap();
        let nobody = site.read(&entry, 0, 10).await;
        assert!(nobody.is_err(), "{nobody:?}");
        let entry = site.manifest().get("large/path.bin").unwrap();
        assert_eq!(site.read(&entry, 699_990, 20).await.unwrap().len(), 10);
    });
}

#[test]
fn a_site_that_is_removed_takes_along_what_no_other_has() {
    run(|scene: Scene| async move {
        let store = MemoryStore::new();
        let node = scene.node().on(&store).await;
        let shared = content(3000, 1);
        let tree = |path: &str, seed| -> Tree {
            [("a.html", &shared), (path, &content(400_000, seed))]
                .map(|(path, bytes)| (path.to_owned(), bytes.clone()))
                .into()
        };
        let options = PublishOptions::default;
        let one = publish(&node, &tree("b.html", 2), options()).await.manifest;
        let two = publish(&node, &tree("c.html", 3), options()).await.manifest;
        // Read, so that its list of files is at hand and one of its files is awake.
        let site = node.site(one.hash()).await.unwrap();
        site.open(&one.get("b.html").unwrap()).await.unwrap();
        node.remove_site(one.hash()).await.unwrap();
        assert_eq!(node.sites().await.unwrap(), [(two.hash(), true)]);
        assert!(node.site_here(one.hash()).await.unwrap().is_none());
        let left: Vec<_> = store.rows().await.unwrap();
        let mut left: Vec<_> = left.iter().filter_map(|row| row.hash).collect();
        let mut kept: Vec<_> = two.entries().map(|entry| entry.blob).collect();
        kept.push(two.hash());
        left.sort_unstable();
        kept.sort_unstable();
        assert_eq!(left, kept);
        let again = node.remove_site(one.hash()).await;
        assert!(matches!(again, Err(gyre::node::Error::NotFound)));
        let site = node.site_here(two.hash()).await.unwrap().unwrap();
        assert!(site.progress().await.unwrap().is_whole());
        node.remove_site(two.hash()).await.unwrap();
        assert_eq!(store.rows().await.unwrap(), []);
    });
}
