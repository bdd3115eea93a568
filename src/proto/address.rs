//! What a person writes to name a site.

use std::fmt;

use super::link::{manifest_cid, parse_manifest_cid};
use super::name::Name;
use super::types::BlobHash;

/// Where a site is to be found.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Address {
    /// One version of it, for good.
    Manifest(BlobHash),
    /// Whatever the holder of its key last signed.
    Name(Name),
}

/// Why a text names no site.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("\"{text}\" is not the address of a site: {reason}")]
pub struct AddressError {
    text: String,
    reason: String,
}

impl std::str::FromStr for Address {
    type Err = AddressError;

    fn from_str(text: &str) -> Result<Self, AddressError> {
        let name = text.trim();
        // Of a link what stands behind `#/s/`, up to the path in the site.
        let name = match name.split_once("#/s/") {
            Some((_, rest)) => rest.split(['/', '?']).next().unwrap_or_default(),
            None => name,
        };
        let cid = name.strip_prefix("/ipfs/").unwrap_or(name);
        if let Ok(manifest) = parse_manifest_cid(cid) {
            return Ok(Self::Manifest(manifest));
        }
        let name = name.strip_prefix("/ipns/").unwrap_or(name);
        Name::parse(name).map(Self::Name).map_err(|reason| {
            let reason = reason.to_string();
            AddressError {
                text: text.chars().take(100).collect(),
                reason,
            }
        })
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Manifest(manifest) => f.write_str(&manifest_cid(*manifest)),
            Self::Name(name) => name.fmt(f),
        }
    }
}

#[cfg(all(test, not(target_arch = "wasm32")))]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::proto::link::blob_cid;

    #[test]
    fn versions_and_names_are_told_apart() {
        let hash = BlobHash([7; 32]);
        let cid = manifest_cid(hash);
        for text in [cid.clone(), format!("/ipfs/{cid}"), format!(" {cid}\n")] {
            assert_eq!(text.parse(), Ok(Address::Manifest(hash)));
        }
        let name = crate::proto::keys::SiteKey::from_seed([9; 32]).name();
        for text in [
            name.to_string(),
            format!("/ipns/{name}"),
            format!("http://localhost:8080/#/s/{name}/a/b?c"),
        ] {
            assert_eq!(text.parse(), Ok(Address::Name(name)), "{text}");
        }
        for address in [Address::Manifest(hash), Address::Name(name)] {
            assert_eq!(address.to_string().parse(), Ok(address));
        }
        for text in ["", "hello", &cid[..40], &blob_cid(hash)] {
            assert!(text.parse::<Address>().is_err(), "{text}");
        }
    }
}
