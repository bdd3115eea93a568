//! Paths of a site's files: which are allowed, and how they are ordered.
//!
//! A path is what stands behind the slash of an address, decoded: segments joined by `/`, in Unicode normalisation form C, case
//! kept. What could mean something else on somebody's disk or in somebody's address bar is refused rather than repaired.

use std::cmp::Ordering;

/// Longest path in bytes of UTF-8: what Windows and macOS open at most, roughly (Linux: 4,096).
pub const MAX_PATH_LEN: usize = 1024;

/// Longest segment in bytes: what common file systems allow.
pub const MAX_SEGMENT_LEN: usize = 255;

/// Most segments of a path. Ours: real sites have less than 20.
pub const MAX_DEPTH: usize = 64;

/// The first segment that a site's origin keeps for itself.
pub const RESERVED: &str = ".gyre";

/// Brings a text into Unicode normalisation form C. The edges supply it: pages have it built in, and it is too big to ship.
pub type Normalise = fn(&str) -> String;

/// Why a text is no path of a site.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PathError {
    /// No byte at all.
    #[error("it is empty")]
    Empty,
    /// More than [`MAX_PATH_LEN`] bytes, or a segment of more than [`MAX_SEGMENT_LEN`].
    #[error("it is too long")]
    TooLong,
    /// More than [`MAX_DEPTH`] segments.
    #[error("it has too many folders")]
    TooDeep,
    /// It begins with a slash.
    #[error("it is absolute")]
    Absolute,
    /// A segment is empty, `.` or `..`.
    #[error("it has an empty, \".\" or \"..\" segment")]
    BadSegment,
    /// A control character, a backslash, a line separator, or an override of the writing direction.
    #[error("it has a character that paths may not have")]
    BadCharacter,
    /// It is not in normalisation form C.
    #[error("it is not in Unicode normalisation form C")]
    NotNormalised,
    /// It begins with [`RESERVED`].
    #[error("\"{RESERVED}\" is reserved")]
    Reserved,
}

/// Checks a path.
///
/// # Errors
/// Any [`PathError`].
pub fn check_path(path: &str, normalise: Normalise) -> Result<(), PathError> {
    if path.is_empty() {
        return Err(PathError::Empty);
    }
    if path.len() > MAX_PATH_LEN {
        return Err(PathError::TooLong);
    }
    if path.starts_with('/') {
        return Err(PathError::Absolute);
    }
    if !path.chars().all(is_allowed) {
        return Err(PathError::BadCharacter);
    }
    for (depth, segment) in path.split('/').enumerate() {
        match segment {
            "" | "." | ".." => return Err(PathError::BadSegment),
            _ if depth == 0 && segment.eq_ignore_ascii_case(RESERVED) => {
                return Err(PathError::Reserved);
            }
            _ if depth >= MAX_DEPTH => return Err(PathError::TooDeep),
            _ if segment.len() > MAX_SEGMENT_LEN => return Err(PathError::TooLong),
            _ => {}
        }
    }
    match path.is_ascii() || normalise(path) == path {
        true => Ok(()),
        false => Err(PathError::NotNormalised),
    }
}

/// The path that a file is published under: `name` in normalisation form C.
///
/// # Errors
/// Any [`PathError`] but `NotNormalised`.
pub fn normal_path(name: &str, normalise: Normalise) -> Result<String, PathError> {
    // Looked at first: what is too long need not be normalised.
    if name.len() > 4 * MAX_PATH_LEN {
        return Err(PathError::TooLong);
    }
    let path = match name.is_ascii() {
        true => name.to_owned(),
        false => normalise(name),
    };
    check_path(&path, normalise)?;
    Ok(path)
}

/// The order of paths in a manifest: byte by byte, a slash before everything else, so that a folder's files follow each other
/// and a file stands right before the files of a folder of the same name.
pub fn order(a: &str, b: &str) -> Ordering {
    let rank = |byte: u8| if byte == b'/' { 0 } else { byte };
    a.bytes().map(rank).cmp(b.bytes().map(rank))
}

/// Whether `file` would have to be a folder for `other` to exist.
pub(super) fn is_folder_of(file: &str, other: &str) -> bool {
    other
        .strip_prefix(file)
        .is_some_and(|rest| rest.starts_with('/'))
}

fn is_allowed(c: char) -> bool {
    !c.is_control()
        && !matches!(
            c,
            '\\' | '\u{2028}' | '\u{2029}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}'
        )
}
