//! Readers of a site whose publisher and relays are gone.

use std::time::Duration;

use gyre::cli;
use gyre::node::Error;

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
