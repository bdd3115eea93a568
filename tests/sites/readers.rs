//! Readers of a site whose publisher and relays are gone.

use std::time::Duration;

use gyre::cli;
use gyre::node::Error;
use gyre::proto::address::Address;
use gyre::proto::keys::SiteKey;
use gyre::proto::link::manifest_as_cid;
use libp2p::Multiaddr;

use super::kit::{Silent, native, read_tree};
use super::*;

#[test]
fn readers_keep_a_site_up_without_its_publisher_and_without_relays() {
    // When some have been there for a while, and keep an index of their own; and before that.
    for after in [Some(Duration::from_millis(500)), None] {
        readers_keep_a_site_up(after);
    }
}

fn readers_keep_a_site_up(after: Option<Duration>) {
    run(|mut scene: Scene| async move {
        let soon = |config: &mut gyre::node::Config| config.serve_after = after;
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
            tokio::time::sleep(Duration::from_millis(50)).await;
            held = publisher.holders(id).await.unwrap().now;
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

#[test]
fn who_has_one_readers_address_opens_the_site_by_its_name_when_all_others_are_gone() {
    run(|mut scene: Scene| async move {
        let folder = tempfile::tempdir().unwrap();
        let tree: Tree = thousand().into_iter().take(120).collect();
        let key = SiteKey::from_seed([77; 32]);
        let publisher = native(&scene, folder.path(), "publisher", true).await;
        let published = publish(&publisher, &tree, PublishOptions::default()).await;
        let id = published.manifest.hash();
        let names = publisher.names();
        names.publish(&key, &manifest_as_cid(id)).await.unwrap();
        names.hold(key.name(), true).await.unwrap();

        let mut readers = Vec::new();
        for n in 0..3 {
            let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
            let port = free.local_addr().unwrap().port();
            drop(free);
            let listen: Multiaddr = format!("/ip4/127.0.0.1/tcp/{port}/ws").parse().unwrap();
            let setup = cli::Setup {
                store: folder.path().join(format!("reader {n}.redb")),
                relays: vec![scene.relay.address().clone()],
                listen: vec![listen.clone()],
                ..cli::Setup::default()
            };
            let reader = cli::start(setup).await.unwrap();
            cli::join(&reader, &mut Silent).await;
            // Open as a page has it: followed by its name, and read.
            let followed = reader.names().watch(key.name()).await.unwrap();
            let address = Address::Name(key.name());
            let site = cli::open(&reader, &address).await.unwrap();
            site.fetch(|_| {}).await.unwrap();
            readers.push((reader, listen, followed));
        }
        while publisher.holders(id).await.unwrap().now < 3 {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        publisher.stop().await;
        scene.relay.stop().await;

        // Nothing is known to it but where one of them listens, and who that is.
        let (reader, listen, _) = &readers[1];
        let at = format!("{listen}/p2p/{}", reader.stats().peer_id);
        let setup = cli::Setup {
            store: folder.path().join("fourth.redb"),
            peers: vec![at.parse().unwrap()],
            ..cli::Setup::default()
        };
        let fourth = cli::start(setup).await.unwrap();
        let tries_again = |error: &cli::Error| {
            let cli::Error::Node(error) = error else {
                panic!("{error}");
            };
            assert!(["NOT_FOUND", "NO_RELAY"].contains(&error.code()), "{error}");
        };
        let site = loop {
            match cli::open(&fourth, &Address::Name(key.name())).await {
                Ok(site) => break site,
                Err(error) => tries_again(&error),
            }
        };
        assert_eq!(site.manifest().hash(), id);
        let copy = folder.path().join("copy");
        while let Err(error) = site.fetch(|_| {}).await {
            tries_again(&error.into());
        }
        cli::fetch(&site, &copy, &mut Silent).await.unwrap();
        assert!(read_tree(&copy) == tree);
        assert!(fourth.stats().relays.is_empty());
    });
}

#[test]
fn a_peer_to_begin_with_needs_an_identity() {
    run(|scene: Scene| async move {
        let folder = tempfile::tempdir().unwrap();
        let setup = cli::Setup {
            store: folder.path().join("store.redb"),
            relays: vec![scene.relay.address().clone()],
            peers: vec!["/ip4/127.0.0.1/tcp/1/ws".parse().unwrap()],
            ..cli::Setup::default()
        };
        let refused = cli::start(setup).await;
        assert!(matches!(
            refused,
            Err(cli::Error::Node(Error::BadOptions(_)))
        ));
    });
}
