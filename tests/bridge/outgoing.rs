//! Mail of the operator's people that goes out: who may hand it in, and what others find of its signature.

use std::fs;
use std::net::Ipv4Addr;
use std::path::Path;
use std::process::Stdio;

use gyre::relay::{BridgeConfig, SubmissionConfig, TlsConfig};
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, Command};

use super::kit::{Scene, run};
use super::peer::{self, compose, python, script, send};
use super::{DOMAIN, PUBLIC_KEY, SELECTOR, bridge, key, zone};

/// A certificate that nobody vouches for.
pub fn certificate(folder: &Path) -> TlsConfig {
    let made = rcgen::generate_simple_self_signed([DOMAIN.to_owned()]).unwrap();
    let (certificates, key) = (folder.join("cert.pem"), folder.join("key.pem"));
    fs::write(&certificates, made.cert.pem()).unwrap();
    fs::write(&key, made.key_pair.serialize_pem()).unwrap();
    TlsConfig::Files { certificates, key }
}

/// Restarts the scene's relay with a bridge that has a certificate, on a port of its own: the scene's nodes know the relay without.
pub async fn with_tls(scene: &mut Scene, config: BridgeConfig, tls: TlsConfig) -> u16 {
    scene.relay.stop().await;
    scene.relay.keep_mail(50_000_000);
    scene.relay.adjust(move |relay| {
        let config = BridgeConfig {
            tls: Some(tls.clone()),
            ..config.clone()
        };
        relay.bridge = Some(config);
    });
    scene.relay.restart().await;
    scene.relay.running().bridge().unwrap().0[0].port()
}

/// A server of Python's that takes everything, and the port and folder of it.
async fn sink(folder: &Path) -> Option<(Child, u16)> {
    let python = python("aiosmtpd").await?;
    let mut child = Command::new(python)
        .arg(script())
        .args(["sink", folder.to_str().unwrap()])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let port = lines.next_line().await.unwrap().unwrap();
    Some((child, port.trim().parse().unwrap()))
}

pub const PASSWORD: &str = "a password that a machine made";

/// How mail goes out of a test.
pub fn submission(folder: &Path) -> SubmissionConfig {
    let passwords = folder.join("passwords");
    fs::write(&passwords, format!("# people\nzoe:{PASSWORD}\n")).unwrap();
    SubmissionConfig {
        listen: (Ipv4Addr::LOCALHOST, 0).into(),
        passwords,
        dkim_key: key(),
        dkim_selector: SELECTOR.into(),
        smarthost: None,
        delivery_port: 25,
    }
}

/// The port at which mail is handed in.
async fn handing_in(scene: &mut Scene, config: BridgeConfig) -> u16 {
    super::with_bridge(scene, config).await;
    let (_, outside) = scene.relay.running().bridge().unwrap();
    outside.unwrap().port()
}

#[test]
fn what_goes_out_is_signed_so_that_others_find_it_good() {
    run(async |mut scene| {
        let files = tempfile::tempdir().unwrap();
        let taken = files.path().join("taken");
        fs::create_dir(&taken).unwrap();
        let (Some(python), Some((_sink, port))) = (python("email").await, sink(&taken).await)
        else {
            return;
        };
        let names = zone()
            .mx("far.example", "mx.far.example")
            .address("mx.far.example", Ipv4Addr::LOCALHOST);
        let mut config = bridge(names.serve().await);
        config.submission = Some(SubmissionConfig {
            delivery_port: port,
            ..submission(files.path())
        });
        let port = handing_in(&mut scene, config).await;
        let own = format!("zoe@{DOMAIN}");
        let login = format!("login=zoe:{PASSWORD}");
        let file = files.path().join("mail");
        compose(python, "nested", &own, "bob@far.example", &file).await;
        let mail = fs::read(&file).unwrap();
        fs::write(
            &file,
            [b"Bcc: secret@far.example\r\n".to_vec(), mail].concat(),
        )
        .unwrap();
        let send = async |from: &str, to: &str, options: &[&str]| {
            send(python, port, from, to, &file, options).await
        };
        // Who does not say who they are, or something else than they are, sends nothing.
        let said = send(&own, "bob@far.example", &[]).await;
        assert_eq!(said["mail"], 530, "{said}");
        let said = send(
            &own,
            "bob@far.example",
            &["login=zoe:wrong and long enough"],
        )
        .await;
        assert_eq!((&said["login"], &said["mail"]), (&535.into(), &530.into()));
        let said = send("bob@bridge.example", "bob@far.example", &[&login]).await;
        assert_eq!(said["mail"], 553, "{said}");
        // Two domains are two mails; who is in the network is written to there.
        let to = format!("bob@far.example,eve@far.example,zoe@fine.example,{own}");
        let said = send(&own, &to, &[&login]).await;
        assert_eq!(
            said["rcpt"],
            serde_json::json!([250, 250, 452, 550]),
            "{said}"
        );
        assert_eq!(said["data"], 250, "{said}");
        assert!(said["text"].as_str().unwrap().contains("taken"), "{said}");
        let envelope = fs::read_to_string(taken.join("1.json")).unwrap();
        let wanted = serde_json::json!([own, ["bob@far.example", "eve@far.example"]]);
        assert_eq!(
            serde_json::from_str::<serde_json::Value>(&envelope).unwrap(),
            wanted
        );
        let sent = taken.join("1.eml");
        let text = fs::read(&sent).unwrap();
        assert!(text.starts_with(b"DKIM-Signature: "));
        assert!(!String::from_utf8_lossy(&text).contains("secret@"));
        // What the next server refuses is refused here.
        let said = send(&own, "nobody@far.example", &[&login]).await;
        assert_eq!(said["data"], 550, "{said}");
        let said = send(&own, "bob@nowhere.example", &[&login]).await;
        assert_eq!(said["data"], 550, "{said}");
        if let Some(dkimpy) = peer::python("dkim").await {
            let arguments = ["verify", PUBLIC_KEY.trim(), sent.to_str().unwrap()];
            assert_eq!(peer::run(dkimpy, &arguments).await.trim(), "True");
            let changed = String::from_utf8_lossy(&text).replace("Zo", "Bo");
            fs::write(&sent, changed).unwrap();
            assert_eq!(peer::run(dkimpy, &arguments).await.trim(), "False");
        }
    });
}
