//! Debian's postfix, with a configuration and folders of its own: it brings mail to the bridge, tries again when it is asked to, and takes what goes out.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use gyre::proto::mail::message::Body;
use gyre::relay::SubmissionConfig;
use tokio::process::Command;

use super::kit::{run, until};
use super::outgoing::{PASSWORD, submission};
use super::peer::{self, compose, is_there, python, send};
use super::person::Person;
use super::{DOMAIN, PUBLIC_KEY, bridge, keepers, with_bridge, zone};

/// A running postfix; stopped when dropped.
struct Postfix {
    folder: tempfile::TempDir,
    port: u16,
}

impl Postfix {
    /// Starts one that brings the bridge's mail to this port, and takes everybody's at far.example; none where it cannot run.
    async fn start(bridge: u16) -> Option<Self> {
        if !is_there("postfix").await {
            return None;
        }
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path();
        let open = |path: &Path| {
            fs::set_permissions(path, fs::Permissions::from_mode(0o755)).unwrap();
        };
        open(root);
        for name in ["etc", "spool", "data", "mail"] {
            fs::create_dir(root.join(name)).unwrap();
            open(&root.join(name));
        }
        let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let port = free.local_addr().unwrap().port();
        drop(free);
        let at = root.display();
        let main = format!(
            "compatibility_level = 3.6\nqueue_directory = {at}/spool\ndata_directory = {at}/data\ncommand_directory = /usr/sbin\n\
             daemon_directory = /usr/lib/postfix/sbin\nmail_owner = postfix\nsetgid_group = postdrop\ninet_interfaces = 127.0.0.1\n\
             inet_protocols = ipv4\nmyhostname = postfix.example\nmydestination =\nlocal_recipient_maps =\nmynetworks = 127.0.0.0/8\nalias_maps =\n\
             maillog_file = {at}/log\nmaillog_file_prefixes = {at}\nsmtp_dns_support_level = disabled\nsmtp_host_lookup = native\n\
             transport_maps = inline:{{{{{DOMAIN} = smtp:[127.0.0.1]:{bridge}}}}}\n\
             queue_run_delay = 1s\nminimal_backoff_time = 1s\nmaximal_backoff_time = 2s\n\
             virtual_mailbox_domains = far.example\nvirtual_mailbox_base = {at}/mail\nvirtual_mailbox_maps = static:all/\n\
             virtual_uid_maps = static:65534\nvirtual_gid_maps = static:65534\nvirtual_minimum_uid = 1\n"
        );
        // As Debian's, without chroot: name, kind, private, unprivileged, wake-up, processes, program.
        let services = format!(
            "127.0.0.1:{port} inet n - n - - smtpd\n\
             pickup unix n - n 60 1 pickup\ncleanup unix n - n - 0 cleanup\nqmgr unix n - n 1 1 qmgr\nrewrite unix - - n - - trivial-rewrite\n\
             bounce unix - - n - 0 bounce\ndefer unix - - n - 0 bounce\nsmtp unix - - n - - smtp\nvirtual unix - n n - - virtual\n\
             error unix - - n - - error\nretry unix - - n - - error\nanvil unix - - n - 1 anvil\nproxymap unix - - n - - proxymap\n\
             scache unix - - n - 1 scache\npostlog unix-dgram n - n - 1 postlogd\n"
        );
        fs::write(root.join("etc/main.cf"), main).unwrap();
        fs::write(root.join("etc/master.cf"), services).unwrap();
        fs::set_permissions(root.join("mail"), fs::Permissions::from_mode(0o777)).unwrap();
        let chown = Command::new("chown")
            .arg("postfix")
            .arg(root.join("data"))
            .status();
        let owned = chown.await.is_ok_and(|status| status.success());
        let etc = root.join("etc");
        let started = Command::new("postfix")
            .args(["-c", etc.to_str().unwrap(), "start"])
            .output()
            .await
            .unwrap();
        if !owned || !started.status.success() {
            let why = String::from_utf8_lossy(&started.stderr).into_owned();
            println!("postfix does not start here: {why}");
            crate::others::left_out("postfix");
            return None;
        }
        Some(Self { folder, port })
    }

    fn log(&self) -> String {
        fs::read_to_string(self.folder.path().join("log")).unwrap_or_default()
    }
}

impl Drop for Postfix {
    fn drop(&mut self) {
        let etc = self.folder.path().join("etc");
        let stopped = std::process::Command::new("postfix")
            .args(["-c", etc.to_str().unwrap(), "stop"])
            .output();
        assert!(stopped.is_ok(), "{stopped:?}");
    }
}

#[test]
fn postfix_brings_mail_until_it_is_taken_and_takes_what_goes_out() {
    run(async |mut scene| {
        let Some(python) = python("email").await else {
            return;
        };
        let files = tempfile::tempdir().unwrap();
        // Postfix and the bridge name each other, so the one that goes out goes to a port that is found first.
        let mut config = bridge(zone().serve().await);
        let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        config.listen = vec![free.local_addr().unwrap()];
        drop(free);
        let Some(postfix) = Postfix::start(config.listen[0].port()).await else {
            return;
        };
        config.submission = Some(SubmissionConfig {
            smarthost: Some(format!("127.0.0.1:{}", postfix.port)),
            ..submission(files.path())
        });
        let bob = Person::new("Bob");
        bob.comes(&scene).await.leaves().await;
        with_bridge(&mut scene, config).await;
        let (_, outside) = scene.relay.running().bridge().unwrap();
        let outside = outside.unwrap().port();
        let _keepers = keepers(&scene, 2).await;

        // Bob is not found yet: postfix keeps the mail, and comes again.
        let to = format!("{}@{DOMAIN}", bob.id());
        let file = files.path().join("mail");
        compose(python, "nested", "zoe@fine.example", &to, &file).await;
        let said = send(python, postfix.port, "zoe@fine.example", &to, &file, &[]).await;
        assert_eq!(said["data"], 250, "{said}");
        until("it was asked to come again", || {
            postfix.log().contains("450 4.1.1")
        })
        .await;
        let there = bob.comes(&scene).await;
        until("it is there", || !there.letters().is_empty()).await;
        until("postfix knows", || postfix.log().contains("status=sent")).await;
        assert_eq!(there.letters().len(), 1, "{}", postfix.log());
        let letter = there.letters().remove(0);
        let text = match &letter.body {
            Body::Here(bytes) => bytes.clone(),
            Body::There(enclosure) => there.mail.open_enclosure(enclosure).await.unwrap(),
        };
        let text = String::from_utf8_lossy(&text);
        assert!(text.contains("by postfix.example (Postfix)"), "{text}");
        assert!(
            text.contains(&format!("by {DOMAIN} with ESMTP id")),
            "{text}"
        );
        there.leaves().await;

        // And the other way.
        let own = format!("zoe@{DOMAIN}");
        compose(python, "nested", &own, "bob@far.example", &file).await;
        let login = format!("login=zoe:{PASSWORD}");
        let said = send(python, outside, &own, "bob@far.example", &file, &[&login]).await;
        assert_eq!(said["data"], 250, "{said}");
        assert!(
            said["text"].as_str().unwrap().contains("queued as"),
            "{said}"
        );
        let new = postfix.folder.path().join("mail/all/new");
        let mut taken = None;
        until("it lies there", || {
            let entries = fs::read_dir(&new).into_iter().flatten();
            taken = entries.map(|entry| entry.unwrap().path()).next();
            taken.is_some()
        })
        .await;
        if let Some(dkimpy) = peer::python("dkim").await {
            let taken = taken.unwrap();
            let arguments = ["verify", PUBLIC_KEY.trim(), taken.to_str().unwrap()];
            let found = peer::run(dkimpy, &arguments).await;
            assert_eq!(found.trim(), "True");
        }
    });
}
