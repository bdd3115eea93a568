//! Folders of a disk: read for publishing, written when a site is fetched.

use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use bytes::{Bytes, BytesMut};
use futures::{Stream, StreamExt, stream};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::{Error, Result};
use crate::node::{Site, SiteFile};
use crate::proto::manifest::MAX_FILES;
use crate::proto::manifest::path::MAX_DEPTH;
use crate::store::Store;

/// Bytes read at once.
const PIECE: usize = 256 * 1024;

/// A hidden folder that sites are meant to have (RFC 8615).
const WELL_KNOWN: &str = ".well-known";

/// The files of a folder, in order.
#[derive(Debug, Default)]
pub(super) struct Files {
    /// Where each is, and its path in the site.
    files: Vec<(PathBuf, String)>,
    /// Hidden files and folders that were left out.
    pub skipped: usize,
}

/// Lists a folder with all below it. Links to files are followed, links to folders are not: they may lead in a circle.
pub(super) fn list(root: &Path, hidden: bool) -> Result<Files> {
    let mut found = Files::default();
    let mut open = vec![(root.to_owned(), String::new(), 0)];
    while let Some((folder, prefix, depth)) = open.pop() {
        let failed = |error| failed(&folder, error);
        for entry in fs::read_dir(&folder).map_err(failed)? {
            let entry = entry.map_err(failed)?;
            let path = entry.path();
            let name = entry.file_name();
            let Some(name) = name.to_str() else {
                return Err(Error::Usage(format!(
                    "{}: the name is not UTF-8",
                    path.display()
                )));
            };
            if name.starts_with('.') && name != WELL_KNOWN && !hidden {
                found.skipped += 1;
                continue;
            }
            let inside = format!("{prefix}{name}");
            let kind = entry.file_type().map_err(failed)?;
            let is_file = kind.is_file() || (kind.is_symlink() && path.is_file());
            if kind.is_dir() && depth < MAX_DEPTH {
                open.push((path, format!("{inside}/"), depth + 1));
            } else if is_file {
                found.files.push((path, inside));
                if found.files.len() > MAX_FILES {
                    return Err(Error::Usage(format!(
                        "{}: more than {MAX_FILES} files",
                        root.display()
                    )));
                }
            }
        }
    }
    found.files.sort_unstable_by(|a, b| a.1.cmp(&b.1));
    Ok(found)
}

impl Files {
    /// The files as a publication takes them, each opened when its turn comes.
    pub fn stream(&self) -> impl Stream<Item = std::result::Result<SiteFile<'_>, String>> {
        stream::iter(&self.files).map(|(path, inside)| {
            Ok(SiteFile {
                path: inside.clone(),
                media_type: None,
                headers: None,
                content: content(path).boxed_local(),
            })
        })
    }
}

fn content(path: &Path) -> impl Stream<Item = std::result::Result<Bytes, String>> + '_ {
    stream::try_unfold(None, move |file| async move {
        let words = |error: std::io::Error| format!("{}: {error}", path.display());
        let mut file = match file {
            Some(file) => file,
            None => tokio::fs::File::open(path).await.map_err(words)?,
        };
        let mut piece = BytesMut::with_capacity(PIECE);
        let read = file.read_buf(&mut piece).await.map_err(words)?;
        Ok((read > 0).then(|| (piece.freeze(), Some(file))))
    })
}

/// Makes sure that a folder is there and holds nothing: what is fetched goes nowhere else than where it says.
pub(super) fn make_empty(folder: &Path) -> Result<()> {
    fs::create_dir_all(folder).map_err(|error| failed(folder, error))?;
    let mut inside = fs::read_dir(folder).map_err(|error| failed(folder, error))?;
    match inside.next() {
        None => Ok(()),
        Some(_) => Err(Error::Usage(format!("{} is not empty", folder.display()))),
    }
}

/// Writes all files of a site that is here whole.
pub(super) async fn unpack<S: Store>(site: &Site<S>, folder: &Path) -> Result<()> {
    for entry in site.manifest().entries() {
        // The manifest allows no path that leads out of the folder.
        let path = folder.join(entry.path);
        let failed = |error: std::io::Error| {
            let error = match error.kind() {
                ErrorKind::AlreadyExists => std::io::Error::new(
                    ErrorKind::AlreadyExists,
                    "is there already: this disk does not tell some names apart",
                ),
                _ => error,
            };
            failed(&path, error)
        };
        if let Some(parent) = path.parent() {
            fs::create_dir_all(parent).map_err(failed)?;
        }
        let file = tokio::fs::File::create_new(&path).await;
        let mut file = file.map_err(failed)?;
        let mut pieces = std::pin::pin!(site.stream(&entry));
        while let Some(piece) = pieces.next().await {
            file.write_all(&piece?).await.map_err(failed)?;
        }
        file.flush().await.map_err(failed)?;
    }
    Ok(())
}

fn failed(path: &Path, error: std::io::Error) -> Error {
    Error::File {
        path: path.to_owned(),
        error,
    }
}
