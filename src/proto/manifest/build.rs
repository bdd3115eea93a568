//! Making a manifest out of files in any order.

use bytes::Bytes;

use super::headers::{Headers, is_media_type};
use super::path::{Normalise, normal_path, order};
use super::{
    Extra, MAX_FILES, MAX_HEADER_SETS, MAX_TYPES, Manifest, ManifestError, bad_path, encode,
};
use crate::proto::sorting::sort_by;
use crate::proto::types::BlobHash;

/// Files on their way into a manifest.
#[derive(Debug)]
pub struct Builder {
    normalise: Normalise,
    files: Vec<File>,
}

#[derive(Debug)]
struct File {
    path: String,
    size: u64,
    blob: BlobHash,
    media_type: String,
    headers: Option<Headers>,
}

impl Builder {
    /// No file yet.
    pub fn new(normalise: Normalise) -> Self {
        Self {
            normalise,
            files: Vec::new(),
        }
    }

    /// The path that a file of this name gets, if it may be published: to be asked before its bytes are read.
    ///
    /// # Errors
    /// `BadPath`.
    pub fn path(&self, name: &str) -> Result<String, ManifestError> {
        normal_path(name, self.normalise).map_err(|reason| bad_path(name, reason))
    }

    /// Adds a file.
    ///
    /// # Errors
    /// `BadPath`, `BadValue` for its type or headers, `TooMany`.
    pub fn add(
        &mut self,
        name: &str,
        blob: BlobHash,
        size: u64,
        media_type: &str,
        headers: Option<Headers>,
    ) -> Result<(), ManifestError> {
        if self.files.len() >= MAX_FILES {
            return Err(ManifestError::TooMany("files"));
        }
        let path = self.path(name)?;
        if !is_media_type(media_type) {
            return Err(ManifestError::BadValue("media type"));
        }
        if headers.as_ref().is_some_and(|headers| !headers.is_valid()) {
            return Err(ManifestError::BadValue("header"));
        }
        self.files.push(File {
            path,
            size,
            blob,
            media_type: media_type.to_owned(),
            headers,
        });
        Ok(())
    }

    /// Sets the headers of every file to what `rule` makes of its path and those that it has.
    ///
    /// # Errors
    /// `BadValue` for headers that no site may have.
    pub fn set_headers(
        &mut self,
        mut rule: impl FnMut(&str, Option<Headers>) -> Option<Headers>,
    ) -> Result<(), ManifestError> {
        for file in &mut self.files {
            file.headers = rule(&file.path, file.headers.take());
            if !file.headers.as_ref().is_none_or(Headers::is_valid) {
                return Err(ManifestError::BadValue("header"));
            }
        }
        Ok(())
    }

    /// Files that there are.
    pub fn len(&self) -> usize {
        self.files.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.files.is_empty()
    }

    /// Paths that are the same on disks that do not tell upper and lower case apart, one of each group. They can be published, and
    /// not be unpacked there. `lower_case` is the platform's, whose tables a page need not load.
    pub fn same_but_for_case(&self, lower_case: fn(&str) -> String) -> Vec<String> {
        let paths = self.files.iter();
        let mut paths: Vec<_> = paths
            .map(|file| (lower_case(&file.path), &file.path))
            .collect();
        sort_by(&mut paths, |a, b| a.0.cmp(&b.0));
        let groups = paths.chunk_by(|a, b| a.0 == b.0);
        let several = groups.filter(|group| group.len() > 1);
        several.map(|group| group[0].1.clone()).collect()
    }

    /// The manifest.
    ///
    /// # Errors
    /// Any that [`Manifest::parse`] has: above all `Collision`, and `NoSuchFile` for a page that is not among the files.
    pub fn finish(mut self, extra: &Extra) -> Result<Manifest, ManifestError> {
        sort_by(&mut self.files, |a, b| order(&a.path, &b.path));
        let (mut types, mut headers) = (Vec::new(), Vec::new());
        for file in &self.files {
            note(&mut types, &file.media_type);
            if let Some(own) = &file.headers {
                note(&mut headers, own);
            }
            if types.len() > MAX_TYPES {
                return Err(ManifestError::TooMany("media types"));
            }
            if headers.len() > MAX_HEADER_SETS {
                return Err(ManifestError::TooMany("headers"));
            }
        }
        let count = self.files.len();
        let bytes = encode(extra, &types, &headers, count, |out| {
            for file in &self.files {
                out.array(4 + usize::from(file.headers.is_some()));
                out.text(&file.path);
                out.uint(file.size);
                out.bytes(&file.blob.0);
                let place = types.binary_search(&file.media_type);
                out.uint(place.expect("every type was put there") as u64);
                if let Some(own) = &file.headers {
                    let place = headers.binary_search(own);
                    out.uint(place.expect("all headers were put there") as u64);
                }
            }
        });
        Manifest::parse(Bytes::from(bytes), self.normalise)
    }
}

/// Puts a value into a table that is in order, once.
fn note<T: Ord + Clone>(table: &mut Vec<T>, value: &T) {
    if let Err(place) = table.binary_search(value) {
        table.insert(place, value.clone());
    }
}
