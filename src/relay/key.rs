//! The relay's identity: an Ed25519 key that lives in the data directory.
//!
//! Everybody's addresses name the relay by this key, so it must survive restarts. It is written to a temporary file of mode
//! 0600, synced and renamed: after a crash there is either no key or a whole one. A file that cannot be read as a key stops the
//! start instead of being replaced.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use libp2p::identity::Keypair;

use crate::net::custody::key_of;
use crate::proto::custody::region::is_qualified;

/// Why the relay has no identity.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum KeyError {
    /// The key file or its directory could not be read or written.
    #[error("cannot use the key file {path}: {source}")]
    Io {
        /// The file or directory.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The file is there but is not an Ed25519 key; it is left as it is.
    #[error("{path} is not a relay key; move it away to get a new identity")]
    NotAKey {
        /// The file.
        path: PathBuf,
    },
}

/// Reads the key in `directory`, or makes both. One that is made shows so many bits of work, which takes a second for 16; one that is
/// there stays as it is, as everybody's addresses name it.
///
/// # Errors
/// [`KeyError::Io`] when the directory or file cannot be used, [`KeyError::NotAKey`] when the file holds something else.
pub fn load_or_create(directory: &Path, work: u8) -> Result<Keypair, KeyError> {
    let path = directory.join(KEY_FILE);
    let io_error = |source| KeyError::Io {
        path: path.clone(),
        source,
    };
    let not_a_key = || KeyError::NotAKey { path: path.clone() };
    match fs::metadata(&path) {
        Ok(meta) if meta.len() > MAX_KEY_BYTES => Err(not_a_key()),
        Ok(_) => {
            let bytes = fs::read(&path).map_err(io_error)?;
            Keypair::from_protobuf_encoding(&bytes).map_err(|_| not_a_key())
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            let shows_work = |key: &Keypair| {
                let key = key_of(&key.public().to_peer_id());
                key.is_some_and(|key| is_qualified(key, work))
            };
            let mut key = Keypair::generate_ed25519();
            while !shows_work(&key) {
                key = Keypair::generate_ed25519();
            }
            let bytes = key.to_protobuf_encoding().map_err(|_| not_a_key())?;
            fs::create_dir_all(directory).map_err(io_error)?;
            write_private(directory, &path, &bytes).map_err(io_error)?;
            Ok(key)
        }
        Err(error) => Err(io_error(error)),
    }
}

fn write_private(directory: &Path, path: &Path, bytes: &[u8]) -> io::Result<()> {
    let temporary = directory.join(format!("{KEY_FILE}.{}.tmp", std::process::id()));
    let mut options = OpenOptions::new();
    options.write(true).create(true).truncate(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let written = options.open(&temporary).and_then(|mut file| {
        file.write_all(bytes)?;
        file.sync_all()
    });
    let renamed = written.and_then(|()| fs::rename(&temporary, path));
    if renamed.is_err() {
        let _ = fs::remove_file(&temporary);
    }
    renamed?;
    #[cfg(unix)]
    File::open(directory)?.sync_all()?;
    Ok(())
}

/// The key in libp2p's protobuf encoding.
const KEY_FILE: &str = "relay.key";
/// An encoded Ed25519 key has 68 bytes; anything far longer is some other file.
const MAX_KEY_BYTES: u64 = 1024;

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn a_key_shows_the_work_that_is_asked_for() {
        let home = tempfile::tempdir().unwrap();
        let key = load_or_create(home.path(), 6).unwrap();
        let name = key_of(&key.public().to_peer_id()).unwrap();
        assert!(is_qualified(name, 6));
        // One that is there stays.
        let again = load_or_create(home.path(), 250).unwrap();
        assert_eq!(again.public(), key.public());
    }

    #[test]
    fn is_made_once_and_kept() {
        let home = tempfile::tempdir().unwrap();
        let data = home.path().join("a/b");
        let first = load_or_create(&data, 0).unwrap();
        let second = load_or_create(&data, 0).unwrap();
        assert_eq!(first.public().to_peer_id(), second.public().to_peer_id());
        assert_eq!(
            fs::read_dir(&data).unwrap().count(),
            1,
            "no temporary file stays"
        );
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt;
            let mode = fs::metadata(data.join(KEY_FILE))
                .unwrap()
                .permissions()
                .mode();
            assert_eq!(mode & 0o777, 0o600);
        }
    }

    #[test]
    fn a_damaged_file_is_refused_and_kept() {
        let home = tempfile::tempdir().unwrap();
        let path = home.path().join(KEY_FILE);
        for bytes in [&b""[..], b"not a key", &[0u8; 5000]] {
            fs::write(&path, bytes).unwrap();
            assert!(matches!(
                load_or_create(home.path(), 0),
                Err(KeyError::NotAKey { .. })
            ));
            assert_eq!(fs::read(&path).unwrap(), bytes);
        }
    }
}
