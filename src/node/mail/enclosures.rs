//! What is too long for an envelope: sealed into a blob that anybody can keep, and opened again.

use bytes::Bytes;

use super::{Error, Mailer, Result};
use crate::node::{ImportOptions, MAX_READ};
use crate::proto::link::Link;
use crate::proto::mail::MailError;
use crate::proto::mail::enclosure::{Enclosure, EnclosureSealer};
use crate::proto::share::{ShareHeader, ShareKey};
use crate::proto::types::{BlobHash, CHUNK_SIZE, ChunkIndex};
use crate::rt;
use crate::store::shelf::Shelf;

/// What such a blob is called, and its media type; its real name is in the letter. As in `www/sdk/mail/blobs.ts`.
const NAME: &str = "mail";
const MEDIA_TYPE: &str = "application/vnd.gyre.mail";

impl<S: Shelf> Mailer<S> {
    /// Seals content and shares it; ends when the blob is stored here, kept on purpose. Nothing unsealed is stored.
    ///
    /// # Errors
    /// `Mail` if it is too long, `Node` if there is no room.
    pub async fn enclose(&self, content: &[u8], name: &str, media_type: &str) -> Result<Enclosure> {
        let key = ShareKey::new(rt::random());
        let mut chunks = Vec::new();
        let mut sealer = EnclosureSealer::new(key, content.len() as u64)?;
        sealer.push(content, &mut chunks)?;
        let enclosure = sealer.finish(name, media_type, &mut chunks)?;
        let options = ImportOptions {
            header: ShareHeader::cleaned(NAME, MEDIA_TYPE),
            public: true,
        };
        let chunks = futures::stream::iter(chunks.into_iter().map(Ok));
        let share = self.node.import(chunks, options, |_| {}).await?;
        match share.blob == enclosure.hash() {
            true => Ok(enclosure),
            false => Err(Error::Mail(MailError::EnclosureCutOff)),
        }
    }

    /// Fetches an enclosure and opens it.
    ///
    /// # Errors
    /// `Node` if nobody who has it can be reached, `Mail` if it is damaged.
    pub async fn open_enclosure(&self, enclosure: &Enclosure) -> Result<Vec<u8>> {
        let link = Link::Public {
            blob: enclosure.hash(),
            header: ShareHeader::cleaned(NAME, MEDIA_TYPE),
        };
        let file = self.node.open(&link.fragment()).await?;
        if file.size() != enclosure.sealed_len().get() {
            return Err(Error::Mail(MailError::EnclosureCutOff));
        }
        let opener = enclosure.opener();
        let mut content = Vec::new();
        for index in 0..opener.chunks() {
            let start = u64::from(index) * CHUNK_SIZE;
            let end = file.size().min(start + CHUNK_SIZE);
            let mut sealed = Vec::new();
            while start + (sealed.len() as u64) < end {
                let at = start + sealed.len() as u64;
                let piece: Bytes = file.read(at, (end - at).min(MAX_READ)).await?;
                if piece.is_empty() {
                    return Err(Error::Mail(MailError::EnclosureCutOff));
                }
                sealed.extend_from_slice(&piece);
            }
            content.extend(opener.open_chunk(ChunkIndex(index), &sealed)?);
        }
        Ok(content)
    }

    /// Lets go of the blob of an enclosure that was shared here, if it is still here.
    ///
    /// # Errors
    /// `Node`.
    pub async fn drop_blob(&self, hash: [u8; 32]) -> Result<()> {
        match self.node.remove(BlobHash(hash)).await {
            Ok(()) | Err(crate::node::Error::NotFound) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }
}
