//! A blob opened for reading: waits for the chunks it needs, opens them, hands out content.

use std::cell::RefCell;
use std::ops::Range;

use bytes::{Bytes, BytesMut};

use super::Node;
use super::error::{Error, Result};
use super::event_loop::now;
use super::meta::BlobMeta;
use super::read_ahead::Places;
use super::readers::ReaderId;
use crate::proto::share::{ContentMap, Opener, ShareError, ShareHeader};
use crate::proto::types::{BlobHash, BlobSize, ChunkIndex};
use crate::store::{RowId, Store};

/// Most bytes that one read returns: bounds what crosses into the page at once.
pub const MAX_READ: u64 = 1024 * 1024;

/// Content of one blob.
pub struct File<S: Store> {
    node: Node<S>,
    blob: BlobHash,
    /// Where it was when it was opened; a blob that was removed and came back has another.
    row: RowId,
    header: ShareHeader,
    map: ContentMap,
    opener: Option<Opener>,
    /// The last chunk that was opened: readers go forward in small steps.
    last: RefCell<Option<(ChunkIndex, Bytes)>>,
    places: RefCell<Places>,
}

/// A read under way. Dropped before it ends, it takes the wishes of its reader along: nobody waits for them.
struct Reading<'a, S: Store> {
    file: &'a File<S>,
    reader: ReaderId,
    done: bool,
}

impl<S: Store> Drop for Reading<'_, S> {
    fn drop(&mut self) {
        if !self.done {
            self.file.places.borrow_mut().give_up(self.reader);
            self.file.node.leave(self.file.blob, self.reader);
        }
    }
}

impl<S: Store> Drop for File<S> {
    fn drop(&mut self) {
        for reader in self.places.borrow().readers() {
            self.node.leave(self.blob, reader);
        }
    }
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
        let reader = node.new_reader();
        node.want(blob, reader, 0..1, 0).await?;
        let located = node.wait_for(blob, ChunkIndex(0)).await;
        node.leave(blob, reader);
        let (row, size) = located?;
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
            row,
            header: meta.header(),
            map,
            opener,
            last: RefCell::new(None),
            places: RefCell::default(),
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

    /// Reads from `offset` at most `length` bytes, at most [`MAX_READ`], fewer at the end of the file. Waits until the
    /// first of them are verified and stored, and returns what is there by then; the rest, and the next few seconds of a
    /// reader that goes on from here, are fetched first.
    ///
    /// Dropping the future gives up the reading and its claim to be served first.
    ///
    /// # Errors
    /// `NotFound` if nobody has them, `Aborted` if the blob was removed or paused, `Store` if they cannot be read.
    pub async fn read(&self, offset: u64, length: u64) -> Result<Bytes> {
        let end = offset.saturating_add(length.min(MAX_READ)).min(self.size());
        let mut pieces = self.map.pieces(offset..end);
        let Some(first) = pieces.next() else {
            return Ok(Bytes::new());
        };
        let last = self.map.pieces(offset..end).last();
        let chunks = first.index.0..last.map_or(first.index.0, |last| last.index.0) + 1;
        let mut reading = self.begin(offset, chunks).await?;
        let first = self.piece(first.index, first.range).await?;
        let mut content = BytesMut::new();
        for piece in pieces {
            let Some(bytes) = self.piece_here(piece.index, piece.range).await? else {
                break;
            };
            if content.is_empty() {
                content.reserve((end - offset) as usize);
                content.extend_from_slice(&first);
            }
            content.extend_from_slice(&bytes);
        }
        let read = match content.is_empty() {
            true => first,
            false => content.freeze(),
        };
        reading.done = true;
        let next = offset + read.len() as u64;
        self.places.borrow_mut().moved(reading.reader, next, now());
        Ok(read)
    }

    /// Puts what a read waits for before everything else.
    async fn begin(&self, offset: u64, chunks: Range<u32>) -> Result<Reading<'_, S>> {
        let fresh = self.node.new_reader();
        let place = self.places.borrow_mut().enter(offset, fresh, now());
        if let Some(left) = place.left {
            self.node.leave(self.blob, left);
        }
        let reading = Reading {
            file: self,
            reader: place.reader,
            done: false,
        };
        self.node
            .want(self.blob, place.reader, chunks, place.pace)
            .await?;
        Ok(reading)
    }

    /// A piece, if it is stored already.
    async fn piece_here(&self, index: ChunkIndex, range: Range<usize>) -> Result<Option<Bytes>> {
        match self.node.chunk_here(self.blob, self.row, index).await? {
            Some(stored) => self.opened(index, stored.data, range).map(Some),
            None => Ok(None),
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
        self.opened(index, stored.data, range)
    }

    fn opened(&self, index: ChunkIndex, stored: Bytes, range: Range<usize>) -> Result<Bytes> {
        let bytes = match &self.opener {
            None => stored,
            Some(opener) => opener
                .open_chunk(index, &stored)
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
