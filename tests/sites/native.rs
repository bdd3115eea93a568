//! Native nodes: no WebRTC, a store on disk, sockets of their own.

use std::fs;
use std::io::{BufRead, BufReader, Read};
use std::path::PathBuf;
use std::process::{Command, Stdio};

use gyre::cli;
use gyre::node::snapshot::Via;
use gyre::proto::name::validity::Validity;
use gyre::relay::KeeperConfig;
use gyre::rt;

use super::kit::{Silent, native, read_tree, run_beside, write_tree};
use super::*;

#[test]
fn sites_pass_between_native_nodes_and_to_pages_by_socket() {
    run(|scene: Scene| async move {
        let folder = tempfile::tempdir().unwrap();
        let tree = thousand();
        let source = folder.path().join("site");
        write_tree(&tree, &source);
        let publisher = native(&scene, folder.path(), "publisher", true).await;
        let began = Instant::now();
        let options = PublishOptions::default();
        let published = cli::publish(&publisher, &source, false, options, &mut Silent)
            .await
            .unwrap();
        println!("published from and to disk in {:?}", began.elapsed());
        assert_eq!(
            publisher
                .holders(published.manifest.hash())
                .await
                .unwrap()
                .day,
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
        assert!(read_tree(&copy) == tree);
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
            if publisher.holders(id).await.unwrap().now == 2 {
                break;
            }
            tokio::time::sleep(std::time::Duration::from_millis(50)).await;
        }
        assert_eq!(publisher.holders(id).await.unwrap().day, 2);

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
        write_tree(&tree, &source);
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
        write_tree(&tree, &source);
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
        assert!(read_tree(&copy) == tree);
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
fn the_command_resolves_a_name_and_opens_nothing_that_a_denylist_has() {
    run(|scene: Scene| async move {
        let folder = tempfile::tempdir().unwrap();
        let tree: Tree = thousand().into_iter().take(20).collect();
        let publisher = native(&scene, folder.path(), "publisher", true).await;
        let key = cli::Key::open(&folder.path().join("site.key"), 0).unwrap();
        let mut versions = Vec::new();
        for count in [20, 19] {
            let tree: Tree = tree.clone().into_iter().take(count).collect();
            let site = publish(&publisher, &tree, PublishOptions::default()).await;
            let head = cli::name(&publisher, &key, &site.manifest).await.unwrap();
            versions.push((site.manifest.cid(), head));
        }
        let name = versions[0].1.name.to_string();
        let store = || folder.path().join("reader.redb");
        let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
        let resolve = |more: &[&str]| {
            let mut command = gyre(&scene, store());
            command.args(["resolve", &name]).args(more);
            command
        };
        let said = output(resolve(&[])).await;
        assert!(said.status.success(), "{}", text(&said.stderr));
        let (cid, head) = &versions[1];
        let until = Validity::from_unix_millis(head.valid_until);
        let wanted =
            format!("address {name}\nsequence 1\nvalid-until {until}\nmanifest {cid}\nfiles 19\n");
        assert!(
            text(&said.stdout).starts_with(&wanted),
            "{}",
            text(&said.stdout)
        );
        assert!(until.to_string().ends_with('Z'));

        // Two lists: one has the name, one the version that it leads to.
        let lists = [format!("/ipns/{name}"), format!("/ipfs/{cid}")].map(|rule| {
            let path = folder.path().join(format!("{}.deny", rule.len()));
            fs::write(&path, format!("version: 1\n---\n{rule}\n")).unwrap();
            path.to_str().unwrap().to_owned()
        });
        let [of_name, of_version] = &lists;
        let refused = |output: std::process::Output| {
            let words = text(&output.stderr);
            assert!(
                !output.status.success() && output.stdout.is_empty(),
                "{words}"
            );
            assert!(words.contains("denylist"), "{words}");
        };
        refused(output(resolve(&["--denylist", of_name])).await);
        refused(output(resolve(&["--denylist", of_version])).await);
        let copy = folder.path().join("copy");
        let mut fetch = gyre(&scene, store());
        fetch.args(["fetch", cid]).arg(&copy);
        fetch.args(["--denylist", of_name, "--denylist", of_version]);
        refused(output(fetch).await);
        assert!(!copy.exists());
        // A list of something else is in nobody's way; one that is not there is not passed over.
        let (first, _) = &versions[0];
        let mut other = gyre(&scene, store());
        other.args(["resolve", first, "--denylist", of_version]);
        assert!(output(other).await.status.success());
        let lost = output(resolve(&["--denylist", "/nowhere.deny"])).await;
        assert!(!lost.status.success() && text(&lost.stderr).contains("/nowhere.deny"));
        publisher.stop().await;
    });
}

#[test]
fn the_command_says_as_json_what_came_of_it_and_whether_a_keeper_took_it() {
    let keeper = KeeperConfig {
        keep: 10_000_000,
        ..KeeperConfig::default()
    };
    run_beside(keeper, |scene: Scene| async move {
        let folder = tempfile::tempdir().unwrap();
        let mut tree: Tree = thousand().into_iter().take(20).collect();
        let source = folder.path().join("site");
        let store = folder.path().join("a.redb");
        let publish = |tree: &Tree, more: &[&str]| {
            write_tree(tree, &source);
            let mut command = gyre(&scene, store.clone());
            command.arg("publish").arg(&source).arg("--json").args(more);
            command.arg("--key").arg(folder.path().join("site.key"));
            command
        };
        let said = |output: std::process::Output| -> serde_json::Value {
            let words = String::from_utf8_lossy(&output.stderr).into_owned();
            assert!(output.status.success(), "{words}");
            serde_json::from_slice(&output.stdout).unwrap()
        };
        let at = scene.relay.keeper().to_string();
        let first = said(output(publish(&tree, &["--keeper", &at])).await);
        assert_eq!(first["kept"], true);
        assert_eq!(first["published"], true);
        assert_eq!(first["holders"], 1);
        assert_eq!(first["sequence"], 0);
        assert_eq!(first["files"], 20);
        assert_eq!(first["newFiles"], 20);
        assert_eq!(first["changed"], true);
        assert_eq!(first["address"], first["name"]);
        let now = rt::unix_millis();
        let days = (first["validUntil"].as_u64().unwrap() - now) / (24 * 60 * 60 * 1000);
        assert!((89..=90).contains(&days), "{days} days");

        tree.insert("new.html".into(), content(100, 4));
        let second = said(output(publish(&tree, &[])).await);
        assert_eq!(second["name"], first["name"]);
        assert_ne!(second["cid"], first["cid"]);
        assert_eq!(second["sequence"], 1);
        assert_eq!(second["newFiles"], 1);
        assert_eq!(second["newBytes"], 100);
        assert_eq!(second["kept"], serde_json::Value::Null);
        assert_eq!(second["published"], false);

        // The version before is let go of when room is needed.
        let setup = cli::Setup {
            store: store.clone(),
            ..cli::Setup::default()
        };
        let node = cli::start(setup).await.unwrap();
        let pinned = |cid: &serde_json::Value| {
            let version: cli::Address = cid.as_str().unwrap().parse().unwrap();
            let node = node.clone();
            async move {
                let sites = node.sites().await.unwrap();
                let found = sites
                    .iter()
                    .find(|(id, _)| cli::Address::Manifest(*id) == version);
                found.unwrap().1
            }
        };
        assert!(!pinned(&first["cid"]).await);
        assert!(pinned(&second["cid"]).await);
        node.stop().await;
    });
}

#[test]
fn a_record_is_signed_anew_under_the_same_number() {
    run(|scene: Scene| async move {
        let folder = tempfile::tempdir().unwrap();
        let key = cli::Key::open(&folder.path().join("site.key"), 0).unwrap();
        let publisher = native(&scene, folder.path(), "publisher", false).await;
        let tree: Tree = thousand().into_iter().take(3).collect();
        let site = publish(&publisher, &tree, PublishOptions::default()).await;
        let first = cli::name(&publisher, &key, &site.manifest).await.unwrap();
        let day = 24 * 60 * 60 * 1000;
        // It has 90 days left: not due with a week gone, due with none.
        let early = cli::renew_if(&publisher, &key, &site.manifest, 83 * day).await;
        assert_eq!(early.unwrap(), None);
        let renewed = cli::renew_if(&publisher, &key, &site.manifest, 90 * day).await;
        let renewed = renewed.unwrap().unwrap();
        assert_eq!(renewed.sequence, first.sequence);
        assert_eq!(renewed.value, first.value);
        assert!(renewed.valid_until > first.valid_until);
        assert_ne!(renewed.record, first.record);

        // Who held the record has the newer one, and passes it on when the publisher is gone.
        let holder = scene.node().await;
        let head = holder.names().resolve(first.name).await.unwrap();
        assert_eq!(head.valid_until, renewed.valid_until);
        holder.names().hold(first.name, true).await.unwrap();
        publisher.stop().await;
        let late = scene.node().await;
        let head = late.names().resolve(first.name).await.unwrap();
        assert_eq!(head.record, renewed.record);

        // Another version is another's to renew.
        let other: Tree = thousand().into_iter().take(4).collect();
        let publisher = native(&scene, folder.path(), "publisher", false).await;
        let other = publish(&publisher, &other, PublishOptions::default()).await;
        let left = cli::renew_if(&publisher, &key, &other.manifest, 91 * day).await;
        assert_eq!(left.unwrap(), None);
        publisher.stop().await;
    });
}

#[test]
fn the_command_publishes_serves_fetches_and_resolves() {
    run(|scene: Scene| async move {
        let folder = tempfile::tempdir().unwrap();
        let mut tree = thousand();
        tree.retain(|path, _| !path.starts_with("docs/1"));
        let source = folder.path().join("site");
        write_tree(&tree, &source);
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
        assert!(read_tree(&copy) == tree);

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
