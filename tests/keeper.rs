//! A keeper beside a relay: it holds what nobody else holds any more.

#![cfg(not(target_arch = "wasm32"))]
#![allow(clippy::unwrap_used)]

mod kit;

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use bytes::Bytes;
use gyre::cli;
use gyre::node::{Error, PublishOptions};
use gyre::proto::address::Address;
use gyre::proto::keeping::Verdict;
use gyre::proto::keys::SiteKey;
use gyre::proto::link::manifest_as_cid;
use gyre::relay::KeeperConfig;

use kit::{Scene, Tree, assert_same, content, native, publish, run, run_beside};

fn site(files: usize, seed: usize) -> Tree {
    let mut tree = Tree::new();
    for n in 0..files {
        let size = if n % 40 == 7 { 600_000 } else { 500 + n * 13 };
        tree.insert(format!("seiten/ü{n}.html"), content(size, seed + n));
    }
    tree.insert("index.html".into(), content(900, seed + 900));
    tree
}

/// A figure among the relay's metrics.
fn metric(relay: SocketAddr, name: &str) -> u64 {
    let mut socket = TcpStream::connect(relay).unwrap();
    socket
        .set_read_timeout(Some(Duration::from_secs(100)))
        .unwrap();
    let request = "GET /metrics HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";
    socket.write_all(request.as_bytes()).unwrap();
    let mut text = String::new();
    socket.read_to_string(&mut text).unwrap();
    let line = format!("gyre_relay_{name} ");
    let found = text.lines().find_map(|one| one.strip_prefix(&line));
    found
        .unwrap_or_else(|| panic!("no {name} in {text}"))
        .parse()
        .unwrap()
}

async fn until_metric(scene: &Scene, name: &'static str, value: u64) {
    let relay = scene.relay.socket();
    let look = move || metric(relay, name);
    for _ in 0..2000 {
        if tokio::task::spawn_blocking(look).await.unwrap() == value {
            return;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    panic!("{name} is never {value}");
}

#[test]
fn a_pinned_name_is_followed_and_served_when_its_publisher_is_gone() {
    let key = SiteKey::from_seed([11; 32]);
    let name = key.name();
    let keeper = KeeperConfig {
        pins: vec![Address::Name(name)],
        ..KeeperConfig::default()
    };
    run_beside(keeper, async |mut scene: Scene| {
        let folder = tempfile::tempdir().unwrap();
        // The publisher does not listen: it is the keeper that is dialled, and both that find each other.
        let publisher = native(&scene, folder.path(), "publisher", false).await;
        let first = site(60, 1);
        let one = publish(&publisher, &first, PublishOptions::default()).await;
        publisher
            .names()
            .publish(&key, &manifest_as_cid(one.manifest.hash()))
            .await
            .unwrap();
        let verdict = publisher
            .ask_keepers(Address::Name(name), &[])
            .await
            .unwrap();
        assert_eq!(verdict, Verdict::Taken);
        cli::until_held(&publisher, &one.manifest).await.unwrap();
        until_metric(&scene, "keeper_sites", 1).await;
        publisher.stop().await;

        // A page with no other to ask.
        let reader = scene.node().apart().await;
        let head = reader.names().resolve(name).await.unwrap();
        assert_eq!(head.cid, Some(manifest_as_cid(one.manifest.hash())));
        let read = reader.site(one.manifest.hash()).await.unwrap();
        read.fetch(|_| {}).await.unwrap();
        assert_same(&read, &first).await;
        reader.stop().await;

        // A new version comes, and the publisher goes as soon as the keeper has it.
        let mut second = first.clone();
        second.insert("neu.html".into(), content(3000, 77));
        second.remove("seiten/ü1.html");
        let publisher = native(&scene, folder.path(), "publisher", false).await;
        let options = PublishOptions {
            previous: Some(one.manifest.hash()),
            ..PublishOptions::default()
        };
        let two = publish(&publisher, &second, options).await;
        publisher
            .names()
            .publish(&key, &manifest_as_cid(two.manifest.hash()))
            .await
            .unwrap();
        let verdict = publisher
            .ask_keepers(Address::Name(name), &[])
            .await
            .unwrap();
        assert_eq!(verdict, Verdict::Taken);
        cli::until_held(&publisher, &two.manifest).await.unwrap();
        until_metric(&scene, "keeper_brought_total", 2).await;
        publisher.stop().await;

        // After a restart all of it is there, the head too: it is nowhere else.
        scene.relay.stop().await;
        scene.relay.restart().await;
        until_metric(&scene, "keeper_sites", 1).await;
        let reader = scene.node().apart().await;
        let head = reader.names().resolve(name).await.unwrap();
        assert_eq!(head.cid, Some(manifest_as_cid(two.manifest.hash())));
        let read = reader.site(two.manifest.hash()).await.unwrap();
        read.fetch(|_| {}).await.unwrap();
        assert_same(&read, &second).await;
        until_metric(&scene, "keeper_unfinished", 0).await;
        // The version before was let go of.
        let gone = scene.node().apart().await;
        let missing = gone.site(one.manifest.hash()).await;
        assert!(matches!(missing, Err(Error::NotFound)), "{missing:?}");
    });
}

#[test]
fn what_is_asked_for_is_kept_while_there_is_room() {
    let keeper = KeeperConfig {
        keep: 3_000_000,
        ..KeeperConfig::default()
    };
    run_beside(keeper, async |scene: Scene| {
        let folder = tempfile::tempdir().unwrap();
        let publisher = native(&scene, folder.path(), "publisher", false).await;
        let mut trees = Vec::new();
        let mut manifests = Vec::new();
        for n in 0..4 {
            let mut tree = Tree::new();
            tree.insert("index.html".into(), content(1_200_000, n));
            manifests.push(
                publish(&publisher, &tree, PublishOptions::default())
                    .await
                    .manifest,
            );
            trees.push(tree);
        }
        let ask = |n: usize| {
            let address = Address::Manifest(manifests[n].hash());
            let publisher = publisher.clone();
            let keeper = scene.relay.keeper().clone();
            async move { publisher.ask_keepers(address, &[keeper]).await.unwrap() }
        };
        for (n, manifest) in manifests.iter().enumerate().take(2) {
            assert_eq!(ask(n).await, Verdict::Taken);
            cli::until_held(&publisher, manifest).await.unwrap();
        }
        until_metric(&scene, "keeper_sites", 2).await;
        // The first is asked for again, so that the second is the one to go.
        let reader = scene.node().await;
        let read = reader.site(manifests[0].hash()).await.unwrap();
        read.fetch(|_| {}).await.unwrap();
        tokio::time::sleep(Duration::from_millis(50)).await;
        assert_eq!(ask(0).await, Verdict::Taken);
        assert_eq!(ask(2).await, Verdict::Taken);
        cli::until_held(&publisher, &manifests[2]).await.unwrap();
        until_metric(&scene, "keeper_let_go_total", 1).await;
        until_metric(&scene, "keeper_sites", 2).await;

        let mut huge = Tree::new();
        huge.insert("index.html".into(), Bytes::from(vec![7; 3_000_000]));
        let huge = publish(&publisher, &huge, PublishOptions::default()).await;
        let address = Address::Manifest(huge.manifest.hash());
        let verdict = publisher.ask_keepers(address, &[]).await.unwrap();
        assert_eq!(verdict, Verdict::Full);
        publisher.stop().await;
        reader.stop().await;

        let reader = scene.node().apart().await;
        for n in [0, 2] {
            let read = reader.site(manifests[n].hash()).await.unwrap();
            read.fetch(|_| {}).await.unwrap();
            assert_same(&read, &trees[n]).await;
        }
        let gone = reader.site(manifests[1].hash()).await;
        assert!(matches!(gone, Err(Error::NotFound)), "{gone:?}");
        assert!(metric(scene.relay.socket(), "keeper_sent_bytes_total") >= 2_400_000);
    });
}

#[test]
fn without_a_keeper_nobody_answers() {
    run(async |scene: Scene| {
        let publisher = scene.node().await;
        let published = publish(&publisher, &site(3, 5), PublishOptions::default()).await;
        let address = Address::Manifest(published.manifest.hash());
        let asked = publisher.ask_keepers(address, &[]).await;
        assert!(matches!(asked, Err(Error::NotFound)), "{asked:?}");
    });
}

#[test]
fn what_is_denied_is_neither_kept_nor_introduced_nor_opened() {
    let keeper = KeeperConfig {
        keep: 10_000_000,
        ..KeeperConfig::default()
    };
    run_beside(keeper, async |scene: Scene| {
        let folder = tempfile::tempdir().unwrap();
        let publisher = native(&scene, folder.path(), "publisher", false).await;
        let good = publish(&publisher, &site(3, 1), PublishOptions::default()).await;
        let bad = publish(&publisher, &site(4, 9), PublishOptions::default()).await;
        let ask = async |manifest: &gyre::proto::manifest::Manifest| {
            let address = Address::Manifest(manifest.hash());
            publisher.ask_keepers(address, &[]).await.unwrap()
        };
        assert_eq!(ask(&bad.manifest).await, Verdict::Taken);
        cli::until_held(&publisher, &bad.manifest).await.unwrap();
        until_metric(&scene, "keeper_sites", 1).await;

        // The operator adds a rule; what is kept goes, and nothing leads there any more.
        let rule = format!("/ipfs/{}/*\n", bad.manifest.cid());
        scene.relay.deny(&rule);
        until_metric(&scene, "keeper_denied_total", 1).await;
        until_metric(&scene, "keeper_sites", 0).await;
        assert_eq!(ask(&good.manifest).await, Verdict::Taken);
        cli::until_held(&publisher, &good.manifest).await.unwrap();
        let reader = scene.node().apart().await;
        let found = reader.site(bad.manifest.hash()).await;
        assert!(matches!(found, Err(Error::NotFound)), "{found:?}");

        // And what a person denies is not opened, here or served from here.
        let rules = format!("/ipfs/{}/seiten/*", good.manifest.cid());
        reader.set_denylists(&[rules]).await.unwrap();
        let open = reader.site(good.manifest.hash()).await.unwrap();
        let entry = open.manifest().get("index.html").unwrap();
        assert_eq!(open.read(&entry, 0, 10).await.unwrap().len(), 10);
        let entry = open.manifest().get("seiten/ü0.html").unwrap();
        let denied = open.read(&entry, 0, 10).await;
        assert!(matches!(denied, Err(Error::Denied)), "{denied:?}");
        assert_eq!(denied.unwrap_err().code(), "DENIED");
        publisher.set_denylists(&[rule]).await.unwrap();
        let own = publisher.site(bad.manifest.hash()).await;
        assert!(matches!(own, Err(Error::Denied)), "{own:?}");
        let bad_list = publisher.set_denylists(&["version: 7\n---\n"]).await;
        assert!(matches!(bad_list, Err(Error::BadOptions(_))));
    });
}
