//! The program itself: its flags, its one line, its signals and its exit codes.

use std::io::{BufRead, BufReader, Read};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

fn relay(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_gyre-relay"));
    command
        .args(arguments)
        .env_remove("RUST_LOG")
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    command
}

/// A started program; killed when the test ends early.
struct Running(Child, String);

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn start(data: &Path, more: &[&str]) -> Running {
    let data = data.to_str().unwrap();
    let arguments = [
        "--listen",
        "localhost:0",
        "--stun",
        "127.0.0.1:0",
        "--data",
        data,
    ];
    let mut child = relay(&[&arguments, more].concat()).spawn().unwrap();
    let mut line = String::new();
    BufReader::new(child.stdout.take().unwrap())
        .read_line(&mut line)
        .unwrap();
    Running(child, line)
}

fn peer_id(running: &mut Running) -> String {
    let mut log = BufReader::new(running.0.stderr.take().unwrap()).lines();
    let line = log
        .find(|line| line.as_ref().unwrap().contains("relay started"))
        .unwrap()
        .unwrap();
    let line: serde_json::Value = serde_json::from_str(&line).unwrap();
    line["fields"]["peer_id"].as_str().unwrap().to_owned()
}

#[cfg(unix)]
#[test]
fn it_says_where_it_is_and_stops_in_order() {
    let data = tempfile::tempdir().unwrap();
    let mut ids = Vec::new();
    for signal in ["-TERM", "-INT"] {
        let mut running = start(data.path(), &["--log-format", "json"]);
        let port = running
            .1
            .trim_end()
            .strip_prefix("Gyre is at http://localhost:")
            .unwrap();
        let port: u16 = port.strip_suffix('/').unwrap().parse().unwrap();
        assert!(std::net::TcpStream::connect(("127.0.0.1", port)).is_ok());
        ids.push(peer_id(&mut running));
        let begun = Instant::now();
        Command::new("kill")
            .args([signal, &running.0.id().to_string()])
            .status()
            .unwrap();
        assert_eq!(running.0.wait().unwrap().code(), Some(0));
        assert!(begun.elapsed() < Duration::from_secs(5));
    }
    assert_eq!(ids[0], ids[1], "a restart keeps the identity");
}

#[test]
fn help_names_every_flag() {
    let output = relay(&["--help"]).output().unwrap();
    let help = String::from_utf8(output.stdout).unwrap();
    for flag in [
        "--listen",
        "--advertise",
        "--peer",
        "--app",
        "--data",
        "--stun",
        "--tls-cert",
        "--acme-domain",
        "--max-circuits",
    ] {
        assert!(help.contains(flag), "{flag}");
    }
    assert!(output.status.success());
}

#[test]
fn documented_flags_are_the_real_ones() {
    let help = String::from_utf8(relay(&["--help"]).output().unwrap().stdout).unwrap();
    let mut docs = include_str!("../../docs/relay.md").to_owned();
    if cfg!(feature = "bridge") {
        docs += include_str!("../../docs/bridge.md");
    }
    let table: String = docs
        .lines()
        .filter_map(|line| line.strip_prefix("| `--"))
        .map(|row| format!("--{} ", row.split('|').next().unwrap()))
        .collect();
    let flags = |text: &str| -> std::collections::BTreeSet<String> {
        text.split(|c: char| !(c.is_ascii_lowercase() || c == '-'))
            // One that ends with a dash stands for those of another page.
            .filter(|word| word.starts_with("--") && word.len() > 3 && !word.ends_with('-'))
            .map(str::to_owned)
            .collect()
    };
    let (mut real, documented) = (flags(&help), flags(&table));
    real.retain(|flag| flag != "--help" && flag != "--version");
    assert_eq!(real, documented);
}

#[test]
fn mistakes_are_one_clear_sentence() {
    let data = tempfile::tempdir().unwrap();
    let directory = data.path().to_str().unwrap();
    for (arguments, expected) in [
        (
            &["--listen", "nowhere"][..],
            "expected localhost:PORT or ADDRESS:PORT",
        ),
        (
            &["--trusted-proxy", "10.0.0.0/8"],
            "--client-address-header",
        ),
        (&["--tls-cert", "x.pem"], "--tls-key"),
        (&["--listen", "localhost:1,127.0.0.1:2"], "stands alone"),
        (&["--rate-per-ip", "many"], "BURST/SECONDS"),
        (
            &[
                "--listen",
                "127.0.0.1:0",
                "--data",
                directory,
                "--app",
                directory,
            ],
            "holds no index.html",
        ),
        (
            &[
                "--listen",
                "127.0.0.1:0",
                "--data",
                directory,
                "--peer",
                "/ip4/127.0.0.1/tcp/1/ws",
            ],
            "does not end in /p2p/",
        ),
    ] {
        let mut child = relay(arguments).spawn().unwrap();
        let status = child.wait().unwrap();
        let mut said = String::new();
        child
            .stderr
            .take()
            .unwrap()
            .read_to_string(&mut said)
            .unwrap();
        assert!(
            !status.success() && said.contains(expected),
            "{arguments:?}: {said}"
        );
        assert!(!said.contains("panicked"), "{said}");
    }
}
