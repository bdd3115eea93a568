//! Holds the table of ARCHITECTURE.md: which ring may import which, in Rust and in TypeScript.
//!
//! It reads the sources as text: comments are cut off, then every path that starts at the crate root, and every name of a
//! crate that a ring must not know, is looked up in the table below.

#![cfg(not(target_arch = "wasm32"))]
#![allow(clippy::unwrap_used)]

use std::fs;
use std::path::{Path, PathBuf};

/// One ring: its folder under `src`, the siblings it may import, and what it must never name.
struct Ring {
    name: &'static str,
    siblings: &'static [&'static str],
    never: &'static [&'static str],
}

const RINGS: &[Ring] = &[
    Ring {
        name: "proto",
        siblings: &["proto"],
        never: &[
            "async fn",
            ".await",
            "libp2p::",
            "futures::",
            "tokio::",
            "web_sys::",
            "js_sys::",
            "wasm_bindgen::",
            "getrandom::",
            "std::time::Instant",
            "SystemTime",
            "UNIX_EPOCH",
            "std::net",
            "std::fs",
            "std::thread",
            "web_time::",
            "Instant::now",
            "thread_rng",
            "rand::rng(",
            "OsRng",
        ],
    },
    Ring {
        name: "rt",
        siblings: &["rt"],
        never: &["libp2p::"],
    },
    Ring {
        name: "store",
        siblings: &["store", "proto", "rt"],
        never: &["libp2p::"],
    },
    Ring {
        name: "net",
        siblings: &["net", "proto", "rt"],
        never: &[],
    },
    Ring {
        name: "node",
        siblings: &["node", "proto", "store", "net", "rt"],
        never: &["web_sys::", "tokio::"],
    },
    Ring {
        name: "wasm",
        siblings: &["wasm", "node", "proto", "rt"],
        never: &["tokio::"],
    },
    Ring {
        name: "wasm_mail",
        siblings: &["wasm_mail", "proto"],
        never: &["tokio::", "libp2p::", "web_sys::"],
    },
    Ring {
        name: "cli",
        siblings: &["cli", "node", "net", "store", "rt", "proto"],
        never: &["web_sys::", "wasm_bindgen::"],
    },
    Ring {
        name: "relay",
        siblings: &["relay", "node", "net", "store", "rt", "proto"],
        never: &["web_sys::", "wasm_bindgen::"],
    },
];

/// Where `www` folders may import from, by the start of the relative path after resolving.
const WWW: &[(&str, &[&str], &[&str])] = &[
    // folder, folders it may import from, packages it may import
    // What the SDK takes from a package is bundled into the file that does.
    ("www/sdk", &["www/sdk", "pkg"], &["@noble/hashes", "idb"]),
    (
        "www/app",
        &["www/app", "www/sdk", "www/site/messages"],
        &["lit", "gyre", "uplot", "qr", "@zip.js/zip.js", "dompurify"],
    ),
    ("www/sw", &["www/sw", "www/sdk/stream-messages"], &[]),
    (
        "www/site",
        &[
            "www/site",
            "www/sw",
            "www/sdk/stream-messages",
            "www/sdk/stream-response",
        ],
        &[],
    ),
];

#[test]
fn every_ring_imports_inwards_only() {
    let mut broken = Vec::new();
    let mut seen = 0;
    for ring in RINGS {
        for file in rust_files(ring.name) {
            seen += 1;
            let text = production_code(&fs::read_to_string(&file).unwrap());
            for sibling in crate_paths(&text) {
                let is_ring = RINGS.iter().any(|other| other.name == sibling);
                if is_ring && !ring.siblings.contains(&sibling.as_str()) {
                    broken.push(format!(
                        "{}: {} must not import crate::{sibling}",
                        file.display(),
                        ring.name
                    ));
                }
            }
            for word in ring.never {
                if text.contains(word) {
                    broken.push(format!(
                        "{}: {} must not know `{word}`",
                        file.display(),
                        ring.name
                    ));
                }
            }
        }
    }
    assert!(seen > RINGS.len(), "only {seen} files were found");
    assert!(broken.is_empty(), "{}", broken.join("\n"));
}

#[test]
fn the_target_is_chosen_at_mod_lines_only() {
    let mut broken = Vec::new();
    for file in RINGS.iter().flat_map(|ring| rust_files(ring.name)) {
        let text = production_code(&fs::read_to_string(&file).unwrap());
        let lines: Vec<&str> = text.lines().collect();
        for (index, line) in lines.iter().enumerate() {
            if !line.contains("target_arch") || line.trim_start().starts_with("#![") {
                continue;
            }
            // The attribute stands above a `mod`, a re-export of one, or another attribute of the same item.
            let item = lines[index + 1..]
                .iter()
                .map(|line| line.trim())
                .find(|line| !line.is_empty() && !line.starts_with("#["));
            let fine = item.is_some_and(|item| {
                [
                    "mod ",
                    "pub mod ",
                    "pub(crate) mod ",
                    "pub use ",
                    "use ",
                    "pub(crate) use ",
                    "pub(super) use ",
                ]
                .iter()
                .any(|start| item.starts_with(start))
            });
            if !fine {
                broken.push(format!(
                    "{}:{}: cfg(target_arch) away from a mod line",
                    file.display(),
                    index + 1
                ));
            }
        }
    }
    assert!(broken.is_empty(), "{}", broken.join("\n"));
}

#[test]
fn nobody_imports_the_javascript_surface() {
    for file in RINGS
        .iter()
        .filter(|ring| ring.name != "wasm")
        .flat_map(|ring| rust_files(ring.name))
    {
        let text = production_code(&fs::read_to_string(&file).unwrap());
        assert!(
            !crate_paths(&text).iter().any(|name| name == "wasm"),
            "{} imports crate::wasm",
            file.display()
        );
    }
}

#[test]
fn the_page_goes_through_the_sdk() {
    let mut broken = Vec::new();
    for (folder, inside, packages) in WWW {
        for file in files(&root().join(folder), &["ts", "tsx", "js", "mjs"]) {
            if file.to_string_lossy().ends_with(".d.ts") {
                continue;
            }
            for import in imports(&fs::read_to_string(&file).unwrap()) {
                let fine = if import.starts_with('.') {
                    let target = normalised(&file.parent().unwrap().join(&import));
                    inside.iter().any(|start| {
                        target.starts_with(root().join(start))
                            || target
                                .to_string_lossy()
                                .starts_with(&*root().join(start).to_string_lossy())
                    })
                } else {
                    packages.iter().any(|package| {
                        import == *package || import.starts_with(&format!("{package}/"))
                    })
                };
                if !fine {
                    broken.push(format!(
                        "{}: {folder} must not import '{import}'",
                        file.display()
                    ));
                }
            }
        }
    }
    assert!(broken.is_empty(), "{}", broken.join("\n"));
}

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

/// `src/<ring>.rs` and everything under `src/<ring>/` but the files that hold only tests.
fn rust_files(ring: &str) -> Vec<PathBuf> {
    let mut found = files(&root().join("src").join(ring), &["rs"]);
    found.retain(|path| {
        !path.ends_with("tests.rs")
            && !path
                .strip_prefix(root())
                .unwrap()
                .components()
                .any(|part| part.as_os_str() == "tests")
    });
    let head = root().join("src").join(format!("{ring}.rs"));
    if head.exists() {
        found.push(head);
    }
    found
}

fn files(folder: &Path, extensions: &[&str]) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let Ok(entries) = fs::read_dir(folder) else {
        return found;
    };
    for entry in entries {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(files(&path, extensions));
        } else if path
            .extension()
            .is_some_and(|extension| extensions.iter().any(|wanted| extension == *wanted))
        {
            found.push(path);
        }
    }
    found.sort();
    found
}

/// The text without comment lines and without what follows the tests' `mod` line: tests may know more than what they test.
fn production_code(text: &str) -> String {
    let mut kept = String::new();
    let mut lines = text.lines().peekable();
    while let Some(line) = lines.next() {
        if line.starts_with("#[cfg(test)]")
            && lines
                .peek()
                .is_some_and(|next| next.starts_with("mod ") && next.ends_with('{'))
        {
            break;
        }
        let code = match line.find("//") {
            // Not the two slashes of an address in a string.
            Some(at) if !line[..at].ends_with(':') => &line[..at],
            _ => line,
        };
        kept.push_str(code);
        kept.push('\n');
    }
    kept
}

/// The first segment of every path from the crate root, `crate::{a, b::c}` included.
fn crate_paths(text: &str) -> Vec<String> {
    let mut found = Vec::new();
    for (at, _) in text.match_indices("crate::") {
        let rest = &text[at + "crate::".len()..];
        if let Some(group) = rest.strip_prefix('{') {
            let mut depth = 0usize;
            let mut segment = String::new();
            let mut at_start = true;
            for letter in group.chars() {
                match letter {
                    '{' => depth += 1,
                    '}' if depth == 0 => break,
                    '}' => depth -= 1,
                    ',' if depth == 0 => at_start = true,
                    _ if depth == 0 && at_start && (letter.is_alphanumeric() || letter == '_') => {
                        segment.push(letter)
                    }
                    _ if depth == 0 && !letter.is_whitespace() => at_start = false,
                    _ => {}
                }
                if (!at_start || letter == ',') && !segment.is_empty() {
                    found.push(std::mem::take(&mut segment));
                }
            }
            if !segment.is_empty() {
                found.push(segment);
            }
        } else {
            found.push(
                rest.chars()
                    .take_while(|letter| letter.is_alphanumeric() || *letter == '_')
                    .collect(),
            );
        }
    }
    found
}

/// What a script imports: `from '…'`, `import '…'` and `import('…')`.
fn imports(text: &str) -> Vec<String> {
    let mut found = Vec::new();
    for line in text.lines() {
        let line = line.trim();
        if line.starts_with("//") || line.starts_with('*') {
            continue;
        }
        for marker in [
            "from '",
            "from \"",
            "import '",
            "import \"",
            "import('",
            "import(\"",
        ] {
            if let Some(at) = line.find(marker) {
                let quote = marker.chars().last().unwrap();
                found.push(
                    line[at + marker.len()..]
                        .split(quote)
                        .next()
                        .unwrap()
                        .to_owned(),
                );
            }
        }
    }
    found
}

/// The path without `.` and `..`.
fn normalised(path: &Path) -> PathBuf {
    let mut out = PathBuf::new();
    for part in path.components() {
        match part {
            std::path::Component::ParentDir => {
                out.pop();
            }
            std::path::Component::CurDir => {}
            other => out.push(other),
        }
    }
    out
}

#[test]
fn the_scanner_sees_what_it_must() {
    assert_eq!(
        crate_paths("use crate::proto::{A, B}; use crate::{net::X, store::{Y, Z}, rt};"),
        ["proto", "net", "store", "rt"]
    );
    assert_eq!(
        imports("import x from './a.js';\nimport './b.css';\nawait import(\"./c.js\");"),
        ["./a.js", "./b.css", "./c.js"]
    );
    assert!(!production_code("let a = 1; // crate::wasm\n").contains("wasm"));
    assert!(
        !production_code("fn a() {}\n#[cfg(test)]\nmod tests {\n    use crate::wasm;\n}\n")
            .contains("wasm")
    );
}
