//! The file of a site's key: what a publisher or a build machine keeps, and nobody else may read.
//!
//! One line, `gyre site key 1 ` and the 32 bytes of the key in base64url; or the 24 words of a person, from which the key of each of
//! their sites follows.

use std::fs;
use std::io::{ErrorKind, Write};
use std::path::{Path, PathBuf};

use data_encoding::BASE64URL_NOPAD;
use zeroize::Zeroizing;

use super::{Error, Result};
use crate::proto::keys::SiteKey;
use crate::proto::keys::phrase::{ENGLISH, Words};
use crate::rt;

/// What the line of a key starts with.
const START: &str = "gyre site key 1 ";

/// Longest file that is read in bytes: 24 words have some 200.
const MAX_LEN: u64 = 4096;

/// A site's key and where it is kept.
#[derive(Debug)]
pub struct Key {
    /// The file.
    pub path: PathBuf,
    /// It was made just now.
    pub is_new: bool,
    pub(super) key: SiteKey,
}

impl Key {
    /// Reads a key, or makes one where there is no file. `site` is which of a person's sites it is, where the file has their words.
    ///
    /// # Errors
    /// `Key` if the file holds something else, `File` if it cannot be read or made.
    pub fn open(path: &Path, site: u32) -> Result<Self> {
        let failed = |error| Error::File {
            path: path.to_owned(),
            error,
        };
        let (key, is_new) = match fs::metadata(path) {
            Ok(about) if about.len() > MAX_LEN => return Err(wrong(path, "this is no key file")),
            Ok(_) => {
                let text = Zeroizing::new(fs::read_to_string(path).map_err(failed)?);
                (read(path, text.trim(), site)?, false)
            }
            Err(error) if error.kind() == ErrorKind::NotFound => {
                let key = SiteKey::from_seed(rt::random());
                let seed = Zeroizing::new(BASE64URL_NOPAD.encode(&key.seed()[..]));
                let line = Zeroizing::new(format!("{START}{}\n", seed.as_str()));
                let mut file = private(path).map_err(failed)?;
                file.write_all(line.as_bytes()).map_err(failed)?;
                file.sync_all().map_err(failed)?;
                (key, true)
            }
            Err(error) => return Err(failed(error)),
        };
        Ok(Self {
            path: path.to_owned(),
            is_new,
            key,
        })
    }
}

fn read(path: &Path, text: &str, site: u32) -> Result<SiteKey> {
    if let Some(seed) = text.strip_prefix(START) {
        let seed = BASE64URL_NOPAD.decode(seed.as_bytes()).map(Zeroizing::new);
        let seed = seed.ok().and_then(|seed| seed.as_slice().try_into().ok());
        let seed = seed.ok_or_else(|| wrong(path, "the key is damaged"))?;
        return Ok(SiteKey::from_seed(seed));
    }
    let words = Words::new(ENGLISH).map_err(|error| wrong(path, &error.to_string()))?;
    let root = words
        .read(text)
        .map_err(|_| wrong(path, "neither a key nor 24 words"))?;
    Ok(root.site_key(site))
}

/// Makes a file that only its owner may read.
fn private(path: &Path) -> std::io::Result<fs::File> {
    let mut options = fs::OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(path)
}

fn wrong(path: &Path, reason: &str) -> Error {
    Error::Key {
        path: path.to_owned(),
        reason: reason.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn a_key_is_made_once_and_read_again() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("site.key");
        let made = Key::open(&path, 0).unwrap();
        let read = Key::open(&path, 0).unwrap();
        assert!(made.is_new && !read.is_new);
        assert_eq!(made.key.name(), read.key.name());
        assert!(!format!("{made:?}").contains(&BASE64URL_NOPAD.encode(&made.key.seed()[..])));
    }

    #[test]
    fn words_give_one_key_for_each_site_and_junk_gives_none() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("words");
        let root = crate::proto::keys::RootSecret::new([3; 32]);
        let words = Words::new(ENGLISH).unwrap();
        fs::write(&path, words.of(&root).as_str()).unwrap();
        for site in [0, 7] {
            let key = Key::open(&path, site).unwrap();
            assert_eq!(key.key.name(), root.site_key(site).name());
        }
        for junk in ["", "hello", "gyre site key 1 AAAA", &"x".repeat(5000)] {
            fs::write(&path, junk).unwrap();
            assert!(
                matches!(Key::open(&path, 0), Err(Error::Key { .. })),
                "{junk}"
            );
        }
    }
}
