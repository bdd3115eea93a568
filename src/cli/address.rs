//! What a person writes to name a site.

use crate::proto::link::parse_manifest_cid;
use crate::proto::types::BlobHash;

/// Where a site is to be found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Address {
    /// One version of it, for good.
    Manifest(BlobHash),
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
        let name = name.strip_prefix("/ipfs/").unwrap_or(name);
        match parse_manifest_cid(name) {
            Ok(manifest) => Ok(Self::Manifest(manifest)),
            Err(reason) => Err(AddressError {
                text: text.chars().take(100).collect(),
                reason: reason.to_string(),
            }),
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::proto::link::{blob_cid, manifest_cid};

    #[test]
    fn a_manifest_is_named_by_its_cid() {
        let hash = BlobHash([7; 32]);
        let cid = manifest_cid(hash);
        for text in [cid.clone(), format!("/ipfs/{cid}"), format!(" {cid}\n")] {
            assert_eq!(text.parse(), Ok(Address::Manifest(hash)));
        }
        for text in ["", "hello", &cid[..40], &blob_cid(hash)] {
            assert!(text.parse::<Address>().is_err(), "{text}");
        }
    }
}
