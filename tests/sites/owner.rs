//! Sites that hang from an identity: whose they are, and where they have gone when their key was changed.

use gyre::node::{Node, SiteOwner};
use gyre::proto::identity::chain::Chain;
use gyre::proto::identity::op::Act;
use gyre::proto::identity::owner::Owner;
use gyre::proto::identity::record;
use gyre::proto::identity::site::{Claim, PATH, Standing};
use gyre::proto::keys::{RootSecret, SiteKey};
use gyre::proto::link::{manifest_cid, parse_manifest_cid};
use gyre::proto::name::Name;
use gyre::rt;

use super::*;

const NUMBER: u32 = 7;

/// Publishes a tree under a name.
async fn lead<S: Store>(node: &Node<S>, key: &SiteKey, tree: &Tree) -> Name {
    let published = publish(node, tree, PublishOptions::default()).await;
    let cid = cid::Cid::try_from(manifest_cid(published.manifest.hash())).unwrap();
    node.names().publish(key, &cid).await.unwrap();
    key.name()
}

/// What a reader who follows a name finds out of its owner.
async fn owner_at(reader: &Peer, name: Name) -> Option<SiteOwner> {
    let head = loop {
        match reader.names().resolve(name).await {
            Ok(head) => break head,
            Err(error) => assert!(["NOT_FOUND", "NO_RELAY"].contains(&error.code()), "{error}"),
        }
    };
    let manifest = parse_manifest_cid(&head.cid.unwrap().to_string()).unwrap();
    let site = reader.site(manifest).await.unwrap();
    reader.site_owner(&site, name).await.unwrap()
}

/// Waits until a reader finds this.
async fn until_owner(reader: &Peer, name: Name, wanted: Standing) {
    while owner_at(reader, name).await.map(|owner| owner.standing) != Some(wanted) {
        tokio::time::sleep(std::time::Duration::from_millis(100)).await;
    }
}

fn set(chain: &mut Chain, by: &RootSecret, name: Name) {
    let key = Some(name.into());
    let act = Act::SetSite { site: NUMBER, key };
    let now = rt::unix_millis() / 1000;
    Owner::new(by, 0).act(chain, now, act).unwrap();
}

async fn tell(node: &Peer, chain: &Chain) -> Result<u32, gyre::node::Error> {
    let key = record::routing_key(chain.id());
    node.custody()
        .put_record(&key, chain.to_bytes().into())
        .await
}

#[test]
fn readers_follow_an_owner_who_changes_the_key_of_a_site() {
    run(|scene: Scene| async move {
        let (publisher, reader) = (scene.node().await, scene.node().await);
        let root = RootSecret::new([41; 32]);
        let mut chain = Owner::new(&root, 0).begin();
        let claim = Claim {
            id: chain.id(),
            site: NUMBER,
        };
        let (old, new) = (root.site_key(0), root.site_key(1));
        let mut tree: Tree = thousand().into_iter().take(3).collect();
        let plain = lead(&publisher, &root.site_key(5), &tree).await;
        assert_eq!(owner_at(&reader, plain).await, None);
        tree.insert(PATH.into(), claim.to_text().into_bytes().into());
        let name = lead(&publisher, &old, &tree).await;
        // It says so, and nobody vouches for it yet.
        let standing = Standing::Unknown;
        assert_eq!(
            owner_at(&reader, name).await,
            Some(SiteOwner { claim, standing })
        );
        set(&mut chain, &root, name);
        tell(&publisher, &chain).await.unwrap();
        until_owner(&reader, name, Standing::Here).await;
        // The key is changed: the old address leads on to the new one, where the same site is.
        tree.insert("news.html".into(), content(3000, 77));
        let moved = lead(&publisher, &new, &tree).await;
        set(&mut chain, &root, moved);
        tell(&publisher, &chain).await.unwrap();
        until_owner(&reader, name, Standing::Moved(moved)).await;
        until_owner(&reader, moved, Standing::Here).await;
    });
}

#[test]
fn a_forged_chain_moves_nobody() {
    run(|scene: Scene| async move {
        let (publisher, reader) = (scene.node().await, scene.node().await);
        let root = RootSecret::new([42; 32]);
        let mut chain = Owner::new(&root, 0).begin();
        let claim = Claim {
            id: chain.id(),
            site: NUMBER,
        };
        let mut tree: Tree = thousand().into_iter().take(3).collect();
        tree.insert(PATH.into(), claim.to_text().into_bytes().into());
        let name = lead(&publisher, &root.site_key(0), &tree).await;
        set(&mut chain, &root, name);
        tell(&publisher, &chain).await.unwrap();
        until_owner(&reader, name, Standing::Here).await;
        // Somebody signs with keys that this identity never had.
        let thief = RootSecret::new([66; 32]);
        let lure = lead(&publisher, &thief.site_key(0), &tree).await;
        let key = Some(lure.into());
        let now = rt::unix_millis() / 1000;
        let forged = gyre::proto::identity::op::Op::after(
            chain.head(),
            now,
            Act::SetSite { site: NUMBER, key },
            &thief.identity_key(0, 0),
        );
        let wrong = chain.clone().push(forged);
        assert!(wrong.is_err());
        let mut bytes = chain.to_bytes();
        let at = bytes.len() - 10;
        bytes[at] ^= 1;
        let place = record::routing_key(chain.id());
        let told = publisher.custody().put_record(&place, bytes.into()).await;
        assert_eq!(told.unwrap_err().code(), "INVALID_RECORD");
        // A chain of his own says that the site is his; the site does not.
        let mut his = Owner::new(&thief, 0).begin();
        set(&mut his, &thief, name);
        set(&mut his, &thief, lure);
        tell(&publisher, &his).await.unwrap();
        tokio::time::sleep(std::time::Duration::from_secs(2)).await;
        let here = owner_at(&reader, name).await.unwrap();
        assert_eq!(here.standing, Standing::Here);
        // His copy claims to be the same site, and is not.
        let copy = owner_at(&reader, lure).await.unwrap();
        assert_eq!(
            copy,
            SiteOwner {
                claim,
                standing: Standing::Unknown
            }
        );
    });
}
