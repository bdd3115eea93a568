//! Where the data of chunks goes to and comes from: files of the origin for the larger ones, records for the rest.

use std::rc::Rc;

use futures::future::{join_all, join4};
use rexie::Transaction;

use super::chunk::Found;
use super::files::{Files, Place};
use super::schema::{CHUNKS, COUNTERS, ROWS};
use super::{Connection, chunk, counter, data_len, row, transaction};
use crate::proto::ordered::{Map, Set};
use crate::proto::types::ChunkIndex;
use crate::store::{BlobRow, Result, RowId, StoreError, StoredChunk};

impl Connection {
    pub(super) async fn files(&self) -> Option<Rc<Files>> {
        let mut files = self.files.lock().await;
        if files.is_none() {
            let rows = transaction::read(self.database(), &[ROWS], async |tx| row::all(tx).await);
            *files = Some(match rows.await {
                Ok(rows) => {
                    let rows = rows.iter().map(|row| row.id);
                    Files::open(&self.name, rows).await.map(Rc::new)
                }
                Err(_) => None,
            });
        }
        files.clone().flatten()
    }

    /// Puts the data of those chunks of a batch into the row's file that belong there and are missing, if they may be written at
    /// all. Answers which are there.
    pub(super) async fn write_files(
        &self,
        id: RowId,
        batch: &Map<ChunkIndex, StoredChunk>,
        offered: u64,
    ) -> Result<Set<ChunkIndex>> {
        let large = batch.values().filter(|chunk| chunk::is_for_file(chunk));
        let large: Map<_, _> = large.map(|chunk| (chunk.index, chunk.clone())).collect();
        if large.is_empty() {
            return Ok(Set::new());
        }
        let Some(files) = self.files().await else {
            return Ok(Set::new());
        };
        let missing = match self.room.get().checked_sub(data_len(large.values())) {
            // Written again, the same bytes do no harm, and asking costs as much as writing.
            Some(left) => {
                self.room.set(left);
                large.into_values().collect()
            }
            None => {
                let stores = &[ROWS, CHUNKS, COUNTERS];
                let asked = transaction::read(self.database(), stores, async |tx| {
                    Ok(room_for(tx, id, large, offered).await?.missing)
                });
                asked.await?
            }
        };
        match files.write(id, missing.iter()).await {
            Ok(()) => Ok(missing.iter().map(|chunk| chunk.index).collect()),
            Err(StoreError::QuotaExceeded) => Err(StoreError::QuotaExceeded),
            // The database takes it as well.
            Err(_) => Ok(Set::new()),
        }
    }

    pub(super) async fn read_chunks(
        &self,
        id: RowId,
        indexes: Vec<ChunkIndex>,
    ) -> Result<Vec<Result<StoredChunk>>> {
        let known = |index: &ChunkIndex| self.known.get(id, *index);
        let mut records: Vec<_> = indexes.iter().map(known).collect();
        let unknown: Vec<ChunkIndex> = indexes
            .iter()
            .zip(&records)
            .filter_map(|(index, known)| known.is_none().then_some(*index))
            .collect();
        let mut found = match unknown.is_empty() {
            true => Vec::new(),
            false => {
                transaction::read(self.database(), &[CHUNKS], async |tx| {
                    let reads = unknown.iter().map(|index| chunk::get(tx, id, *index));
                    Ok(join_all(reads).await)
                })
                .await?
            }
        }
        .into_iter();
        let records: Vec<Result<Found>> = records
            .drain(..)
            .map(|known| match known {
                Some((place, proof)) => Ok(Found::InFile(place, proof)),
                None => {
                    let found = found.next().unwrap_or(Err(StoreError::NotFound))?;
                    if let Found::InFile(place, proof) = &found {
                        self.known.note(id, *place, proof.clone());
                    }
                    Ok(found)
                }
            })
            .collect();
        let in_file = |record: &Result<Found>| match record {
            Ok(Found::InFile(place, _)) => Some(*place),
            _ => None,
        };
        let places: Vec<_> = records.iter().filter_map(in_file).collect();
        let data = match places.is_empty() {
            true => Vec::new(),
            false => match self.files().await {
                Some(files) => files.read(id, &places).await?,
                None => return Err(StoreError::Backend("no files of the origin here".into())),
            },
        };
        let mut data = data.into_iter();
        let chunks = records.into_iter().map(|record| match record? {
            Found::Here(chunk) => Ok(chunk),
            Found::InFile(Place { index, .. }, proof) => {
                let data = data.next().ok_or(StoreError::NotFound)?;
                Ok(StoredChunk { index, data, proof })
            }
        });
        Ok(chunks.collect())
    }
}

/// What a batch comes to.
pub(super) struct Room {
    /// The row as it will be with it.
    pub(super) row: BlobRow,
    /// Those that are not there yet.
    pub(super) missing: Vec<StoredChunk>,
    /// Bytes that all rows will have.
    pub(super) used: u64,
    /// Bytes that may be written after it.
    pub(super) left: u64,
}

/// Looks which of `batch` are missing, and whether they fit.
///
/// # Errors
/// `QuotaExceeded` if they do not fit.
pub(super) async fn room_for(
    tx: &Transaction,
    id: RowId,
    batch: Map<ChunkIndex, StoredChunk>,
    offered: u64,
) -> Result<Room> {
    let (row, used, cap, missing) = join4(
        row::get(tx, id),
        counter::get(tx, counter::USED),
        counter::cap(tx),
        chunk::missing(tx, id, batch),
    )
    .await;
    let (mut row, used, cap, missing) = (row?, used?, cap?, missing?);
    let added = data_len(missing.iter());
    let used = used.saturating_add(added);
    let limit = cap.min(offered);
    if added > 0 && used > limit {
        return Err(StoreError::QuotaExceeded);
    }
    row.stored_bytes += added;
    Ok(Room {
        row,
        missing,
        used,
        left: limit.saturating_sub(used),
    })
}
