//! What is attached to mail that is kept here: blobs that are fetched, pinned and served as all others, and listed nowhere.
//!
//! Their rows say [`Kind::Kept`] and are awake only while the custodian asks for them, so nothing is fetched or served for others
//! without the person's word. What the person has or opens is theirs, and stays when the custodian lets go.

use super::super::{Event, EventLoop};
use super::Report;
use crate::node::meta::{BlobMeta, Kind};
use crate::proto::custody::custodian::Input;
use crate::proto::custody::keep::Blob;
use crate::proto::types::{BlobHash, BlobSize, ChunkIndex};
use crate::rt;
use crate::store::{BlobRow, RowId, Store};

/// What a store holds for others beside messages.
pub(super) async fn kept_rows<S: Store>(store: &S) -> Vec<(BlobHash, RowId)> {
    let kept =
        |row: &BlobRow| BlobMeta::decode(&row.meta).is_some_and(|meta| meta.kind == Kind::Kept);
    let rows = store.rows().await.unwrap_or_default().into_iter();
    rows.filter(kept)
        .filter_map(|row| Some((row.hash?, row.id)))
        .collect()
}

impl<S: Store> EventLoop<S> {
    /// Fetches a blob for others, or takes up what is here of it.
    pub(super) fn fetch_kept(&mut self, wanted: Blob) {
        let hash = wanted.hash;
        self.custody.blobs.insert(hash, wanted.size);
        if self.is_denied(hash) {
            return self.kept_is_lost(hash);
        }
        match self.transfers.get(&hash) {
            Some(transfer) if transfer.is_part() => return self.kept_is_lost(hash),
            Some(_) => return self.look_at_kept(hash),
            None => {}
        }
        let (store, meta) = (self.store.clone(), BlobMeta::kept(rt::unix_millis()));
        self.spawn(async move {
            let found = match store.create(hash, meta.encode()).await {
                Ok(row) => store
                    .stored_chunks(row.id)
                    .await
                    .map(|chunks| (row, chunks)),
                Err(error) => Err(error),
            };
            Event::Custody(Report::Row(hash, found.ok()))
        });
    }

    /// A row for what is kept for others is there, or could not be had.
    pub(super) fn on_kept_row(&mut self, hash: BlobHash, row: Option<(BlobRow, Vec<ChunkIndex>)>) {
        let wanted = self.custody.blobs.contains_key(&hash);
        let Some((row, stored)) = row else {
            return self.tell_custodian(Input::Fetched(hash, false));
        };
        let Some(meta) = BlobMeta::decode(&row.meta) else {
            return self.tell_custodian(Input::Fetched(hash, false));
        };
        if !wanted {
            if meta.kind == Kind::Kept && !self.transfers.contains_key(&hash) {
                self.remove_rows(vec![row.id]);
            }
            return;
        }
        // A site's files are not announced, and go and stay with their site.
        if meta.kind == Kind::Part {
            return self.kept_is_lost(hash);
        }
        self.add(row, &stored, meta, None);
        self.look_at_kept(hash);
    }

    /// Whether what is kept for others is whole by now, or turns out to be something else.
    pub(in super::super) fn look_at_kept(&mut self, hash: BlobHash) {
        let Some(size) = self.custody.blobs.get(&hash).copied() else {
            return;
        };
        let Some(transfer) = self.transfers.get(&hash) else {
            return;
        };
        let proved = transfer.swarm.progress().size.map(BlobSize::get);
        if proved.is_some_and(|proved| proved != u64::from(size)) {
            self.tell_custodian(Input::Fetched(hash, false));
        } else if transfer.swarm.is_complete() {
            self.tell_custodian(Input::Fetched(hash, true));
        }
    }

    /// It is gone, or does not fit.
    pub(in super::super) fn kept_is_lost(&mut self, hash: BlobHash) {
        if self.custody.blobs.contains_key(&hash) {
            self.tell_custodian(Input::Fetched(hash, false));
        }
    }

    /// Whether a blob is kept for others.
    pub(in super::super) fn is_kept(&self, hash: &BlobHash) -> bool {
        self.custody.blobs.contains_key(hash)
    }

    /// Nobody's mail needs it any more.
    pub(super) fn release_kept(&mut self, hash: BlobHash) {
        self.custody.blobs.remove(&hash);
        let transfer = self.transfers.get(&hash);
        if transfer.is_some_and(|transfer| transfer.meta.kind == Kind::Kept) {
            let row = self.remove(hash);
            self.remove_rows(row.into_iter().collect());
        }
    }

    /// Puts to sleep all that is kept for others.
    pub(super) fn rest_kept(&mut self) {
        for hash in std::mem::take(&mut self.custody.blobs).into_keys() {
            let transfer = self.transfers.get(&hash);
            if transfer.is_some_and(|transfer| transfer.meta.kind == Kind::Kept) {
                self.let_go(hash);
                self.withdraw(hash);
            }
        }
    }

    /// Removes of what was kept before all that belongs to mail that is here no more.
    pub(super) fn clear_kept(&mut self, before: Vec<(BlobHash, RowId)>) {
        let orphan = |(hash, _): &(BlobHash, RowId)| !self.custody.blobs.contains_key(hash);
        let rows = before.into_iter().filter(orphan).map(|(_, row)| row);
        self.remove_rows(rows.collect());
    }

    fn remove_rows(&self, rows: Vec<RowId>) {
        let store = self.store.clone();
        rt::spawn(async move {
            for row in rows {
                if let Err(error) = store.remove(row).await {
                    tracing::debug!(%error, "what was kept for others stays until the next start");
                }
            }
        });
    }
}
