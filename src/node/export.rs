//! A blob as one file, out and in: see `proto::container` for the format.

use bytes::{Bytes, BytesMut};
use futures::{Stream, StreamExt, stream};

use super::Node;
use super::error::{Error, Result};
use super::import::{Intake, Taken};
use super::meta::BlobMeta;
use crate::proto::container::{Container, ContainerError};
use crate::proto::link::Link;
use crate::proto::share::{ContentMap, Opener, ShareHeader};
use crate::proto::types::{BlobHash, BlobSize, CHUNK_SIZE, ChunkIndex};
use crate::rt;
use crate::store::Store;

/// A blob on its way out.
pub struct Export<S: Store> {
    node: Node<S>,
    blob: BlobHash,
    name: String,
    head: Bytes,
    size: BlobSize,
}

impl<S: Store> std::fmt::Debug for Export<S> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Export")
            .field("blob", &self.blob)
            .finish_non_exhaustive()
    }
}

impl<S: Store> Export<S> {
    /// What the file may be called: the name of what is in it, and `.gyre`.
    pub fn file_name(&self) -> String {
        format!("{}.gyre", self.name)
    }

    /// Bytes of the whole file.
    pub fn len(&self) -> u64 {
        self.head.len() as u64 + self.size.get()
    }

    /// Never: the header is always there.
    pub fn is_empty(&self) -> bool {
        false
    }

    /// Pieces of the file: 0 is the header, then one for each chunk.
    pub fn pieces(&self) -> u32 {
        self.size.chunk_count() + 1
    }

    /// One piece; each chunk is checked against the blob's hash before it is handed out.
    ///
    /// # Errors
    /// `NotFound` past the end or if the blob has gone, `Store` if the chunk cannot be read.
    pub async fn piece(&self, piece: u32) -> Result<Bytes> {
        match piece.checked_sub(1) {
            None => Ok(self.head.clone()),
            Some(index) if index < self.size.chunk_count() => {
                let chunk = self.node.checked_chunk(self.blob, ChunkIndex(index));
                Ok(chunk.await?.data)
            }
            Some(_) => Err(Error::NotFound),
        }
    }

    /// All pieces in order.
    pub fn stream(&self) -> impl Stream<Item = Result<Bytes>> + '_ {
        stream::iter(0..self.pieces()).then(move |piece| self.piece(piece))
    }
}

/// Opens a blob for export.
pub(super) async fn export<S: Store>(node: &Node<S>, blob: BlobHash) -> Result<Export<S>> {
    let (size, meta) = node.whole(blob).await?.ok_or(Error::NotFound)?;
    let link = meta.link(blob);
    let cid = crate::proto::link::blob_cid(blob);
    Ok(Export {
        node: node.clone(),
        blob,
        name: meta.name.unwrap_or(cid),
        head: Container { link, size }.encode(),
        size,
    })
}

/// Takes a container in: checks its bytes against the hash it names, and keeps them only if they have it.
///
/// # Errors
/// `BadLink` or `BadOptions` if it is no container or its bytes are not what it says, `WrongKey` if the key in it does not
/// open them, `Source`, `Store`; nothing of the blob remains then.
pub(super) async fn import<S: Store>(
    store: &S,
    source: impl Stream<Item = Result<Bytes, String>>,
    mut progress: impl FnMut(u64),
    make_room: impl AsyncFn(u64) -> bool,
) -> Result<Taken> {
    let mut source = std::pin::pin!(source.fuse());
    let mut pending = BytesMut::new();
    let mut taken = 0;
    let container = loop {
        if let Some(container) = Container::decode(&mut pending).map_err(container_error)? {
            break container;
        }
        match source.next().await {
            Some(piece) => {
                let piece = piece.map_err(Error::Source)?;
                taken += piece.len() as u64;
                pending.extend_from_slice(&piece);
            }
            None => return Err(container_error(ContainerError::NotOne)),
        }
    };
    let Container { link, size } = container;
    let mut intake = Intake::begin(store, &make_room).await?;
    let mut left = size.get();
    loop {
        while pending.len() as u64 >= CHUNK_SIZE.min(left) && left > 0 {
            let chunk = pending.split_to(CHUNK_SIZE.min(left) as usize).freeze();
            left -= chunk.len() as u64;
            intake.push(chunk).await?;
        }
        progress(taken);
        match source.next().await {
            Some(piece) => {
                let piece = piece.map_err(Error::Source)?;
                taken += piece.len() as u64;
                pending.extend_from_slice(&piece);
                if left == 0 {
                    return Err(damaged());
                }
            }
            None => break,
        }
    }
    if left > 0 || !pending.is_empty() {
        return Err(damaged());
    }
    if size.get() == 0 {
        intake.push(Bytes::new()).await?;
    }
    let (key, header) = match &link {
        Link::Share { key, .. } => (Some(key), ShareHeader::default()),
        Link::Public { header, .. } => (None, header.clone()),
    };
    let mut meta = BlobMeta::new(key, &header, rt::unix_millis());
    meta.content_size = Some(size.get());
    if let Some(key) = key {
        let opener = Opener::new(key, size);
        let first = opener
            .open_chunk(ChunkIndex(0), intake.first())
            .map_err(|_| Error::WrongKey)?;
        let (header, header_len) = Opener::header(&first).map_err(|_| damaged())?;
        let map = ContentMap::sealed(size, header_len).map_err(|_| damaged())?;
        meta.set_header(&header);
        meta.content_size = Some(map.content_size());
    }
    intake.finish(Some(link.blob()), meta).await
}

fn container_error(error: ContainerError) -> Error {
    match error {
        ContainerError::Link(error) => Error::BadLink(error),
        other => Error::BadOptions(other.to_string()),
    }
}

/// What is said of bytes that are not those that were exported.
pub(super) fn damaged() -> Error {
    Error::BadOptions(
        "the exported file is damaged: its bytes are not those that were exported".into(),
    )
}
