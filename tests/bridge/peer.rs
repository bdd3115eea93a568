//! Programs of others.

use std::path::{Path, PathBuf};
use std::process::Stdio;

use serde_json::Value;
use tokio::process::Command;

use crate::others::left_out;

/// Debian's Python has Debian's libraries; another may stand before it in the path.
const PYTHONS: &[&str] = &["/usr/bin/python3", "python3"];

/// A Python that has a library, or none where that may be left out.
pub async fn python(library: &str) -> Option<&'static str> {
    for python in PYTHONS {
        let import = format!("import {library}");
        let tried = Command::new(python).args(["-c", &import]).output().await;
        if tried.is_ok_and(|output| output.status.success()) {
            return Some(python);
        }
    }
    left_out(library);
    None
}

/// Whether a program is there, where it may be left out.
pub async fn is_there(program: &str) -> bool {
    let tried = Command::new("sh")
        .args(["-c", &format!("command -v {program}")])
        .output();
    let there = tried.await.is_ok_and(|output| output.status.success());
    if !there {
        left_out(program);
    }
    there
}

pub fn script() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/bridge/peer.py")
}

/// What the script prints.
pub async fn run(python: &str, arguments: &[&str]) -> String {
    let output = Command::new(python)
        .arg(script())
        .args(arguments)
        .stderr(Stdio::inherit())
        .output()
        .await
        .unwrap();
    assert!(output.status.success(), "{arguments:?}");
    String::from_utf8(output.stdout).unwrap()
}

/// Sends a file, and says what was answered to each step.
pub async fn send(
    python: &str,
    port: u16,
    from: &str,
    to: &str,
    file: &Path,
    options: &[&str],
) -> Value {
    let port = port.to_string();
    let mut arguments = vec!["send", &port, from, to, file.to_str().unwrap()];
    arguments.extend(options);
    serde_json::from_str(&run(python, &arguments).await).unwrap()
}

/// Writes a mail of some kind.
pub async fn compose(python: &str, kind: &str, from: &str, to: &str, file: &Path) {
    run(python, &["compose", kind, from, to, file.to_str().unwrap()]).await;
}
