//! A blob opened for reading: waits for the chunks it needs, opens them, hands out content.

use std::cell::RefCell;
use std::ops::Range;

use bytes::{Bytes, BytesMut};

use super::Node;
use super::error::{Error, Result};
use super::meta::BlobMeta;
use crate::proto::share::{ContentMap, Opener, ShareError, ShareHeader};
use crate::proto::types::{BlobHash, BlobSize, ChunkIndex};
use crate::store::{RowId, Store};

/// Most bytes that one read returns: bounds what crosses into the page at once.
pub const MAX_READ: u64 = 1024 * 1024;

/// Chunks that a reader asks for ahead of where it stands.
const READ_AHEAD: u32 = 16;

/// Content of one blob.
pub struct File<S: Store> {
    node: Node<S>,
    blob: BlobHash,
    header: ShareHeader,
    map: ContentMap,
    opener: Option<Opener>,
    /// The last chunk that was opened: readers go forward in small steps.
    last: RefCell<Option<(ChunkIndex, Bytes)>>,
}

impl<S: Store> std::fmt::Debug for File<S> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("File")
            .field("blob", &self.blob)
            .finish_non_exhaustive()
    }
}

impl<S: Store> File<S> {
    /// Waits for what says the name and the size, then opens the blob.
    pub(super) async fn open(node: Node<S>, blob: BlobHash, mut meta: BlobMeta) -> Result<Self> {
        // The name stands in the first chunk: a person waits for it, so it comes before the rarest.
        node.focus(blob, 0..1).await?;
        let (row, size) = node.wait_for(blob, ChunkIndex(0)).await?;
        let (map, opener) = match meta.share_key() {
            None => (ContentMap::public(size), None),
            Some(key) => {
                let opener = Opener::new(&key, size);
                let first = node.checked_chunk(blob, ChunkIndex(0)).await?;
                let plain = opener
                    .open_chunk(ChunkIndex(0), &first.data)
                    .map_err(open_error)?;
                let (header, header_len) = Opener::header(&plain).map_err(open_error)?;
                meta.set_header(&header);
                (
                    ContentMap::sealed(size, header_len).map_err(open_error)?,
                    Some(opener),
                )
            }
        };
        if meta.content_size != Some(map.content_size()) || opener.is_some() {
            meta.content_size = Some(map.content_size());
            node.describe(blob, row, &meta).await?;
        }
        Ok(Self {
            node,
            blob,
            header: meta.header(),
            map,
            opener,
            last: RefCell::new(None),
        })
    }

    /// Address of the blob.
    pub fn blob(&self) -> BlobHash {
        self.blob
    }

    /// Name and media type; either may be empty.
    pub fn header(&self) -> &ShareHeader {
        &self.header
    }

    /// Content bytes.
    pub fn size(&self) -> u64 {
        self.map.content_size()
    }

    /// Reads from `offset` at most `length` bytes, at most [`MAX_READ`], fewer at the end of the file. Waits until they
    /// are verified and stored; the chunks they lie in, and the next few, are fetched first.
    ///
    /// # Errors
    /// `NotFound` if nobody has them, `Aborted` if the blob was removed or paused, `Store` if they cannot be read.
    pub async fn read(&self, offset: u64, length: u64) -> Result<Bytes> {
        let end = offset.saturating_add(length.min(MAX_READ)).min(self.size());
        let mut pieces = self.map.pieces(offset..end);
        let Some(mut piece) = pieces.next() else {
            return Ok(Bytes::new());
        };
        let from = piece.index.0;
        self.node
            .focus(self.blob, from..from.saturating_add(READ_AHEAD))
            .await?;
        let first = self.piece(piece.index, piece.range).await?;
        let Some(second) = pieces.next() else {
            return Ok(first);
        };
        let mut content = BytesMut::with_capacity((end - offset) as usize);
        content.extend_from_slice(&first);
        piece = second;
        loop {
            content.extend_from_slice(&self.piece(piece.index, piece.range).await?);
            match pieces.next() {
                Some(next) => piece = next,
                None => return Ok(content.freeze()),
            }
        }
    }

    async fn piece(&self, index: ChunkIndex, range: Range<usize>) -> Result<Bytes> {
        if let Some((_, bytes)) = self
            .last
            .borrow()
            .as_ref()
            .filter(|(last, _)| *last == index)
        {
            return slice(bytes, range);
        }
        let stored = self.node.checked_chunk(self.blob, index).await?;
        let bytes = match &self.opener {
            None => stored.data,
            Some(opener) => opener
                .open_chunk(index, &stored.data)
                .map_err(open_error)?
                .into(),
        };
        *self.last.borrow_mut() = Some((index, bytes.clone()));
        slice(&bytes, range)
    }
}

fn slice(bytes: &Bytes, range: Range<usize>) -> Result<Bytes> {
    match range.end <= bytes.len() {
        true => Ok(bytes.slice(range)),
        false => Err(Error::Internal(
            "a stored chunk is shorter than its proof allows".into(),
        )),
    }
}

fn open_error(error: ShareError) -> Error {
    match error {
        // The chunk was verified against the link's hash, so only the key can be wrong.
        ShareError::WrongKey => Error::WrongKey,
        other => Error::Internal(format!("the shared file is not well formed: {other}")),
    }
}

/// The proved size of a blob and the row that holds it.
pub(super) type Located = (RowId, BlobSize);
