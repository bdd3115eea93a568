//! The custodian of this node: started when the person lets it, fed from the store, stopped when they do not any longer.

use bytes::Bytes;

use super::super::{Alarm, Event, EventLoop, now};
use super::blobs::kept_rows;
use super::seeking::Seeker;
use super::{Asker, Report};
use crate::net::custody::{key_of, signer_of};
use crate::node::room;
use crate::proto::custody::ENVELOPE_LEN;
use crate::proto::custody::custodian::{Custodian, Input, Output};
use crate::proto::custody::deposit::Deposit;
use crate::proto::custody::kept::{Contents, Record, of_tombstone};
use crate::proto::custody::region::{SECTOR_DEPTH, is_qualified, position, sector};
use crate::proto::types::BlobHash;
use crate::rt;
use crate::store::{Kept, RowId, Store, StoreError};

/// Of the room that the person gives, the part that others' mail may take: a quarter, and as much what is attached to it.
const PART_OF_QUOTA: u64 = 4;

impl<S: Store> EventLoop<S> {
    /// Begins or ends keeping for others, as the person's word and limits say.
    pub(in super::super) fn review_custody(&mut self) {
        let may = self.gate.may_send();
        let runs = self.custody.custodian.is_some();
        if may && !runs && !self.custody.opening_store {
            self.custody.opening_store = true;
            let store = self.store.clone();
            self.spawn(async move {
                let heads = store.kept_heads().await.unwrap_or_else(|error| {
                    rt::warning!(error = error, "what is kept for others cannot be read");
                    Vec::new()
                });
                Event::Custody(Report::Opened(heads, kept_rows(&store).await))
            });
        } else if !may && runs {
            self.custody.custodian = None;
            self.rest_kept();
            self.alarms.remove(&Alarm::Custodian);
            let accepted: Vec<_> = std::mem::take(&mut self.custody.accepted)
                .into_iter()
                .collect();
            for (_, stream) in accepted {
                self.custody.streams.remove(&stream);
            }
            for sector in self.own_sectors() {
                let behaviour = self.swarm.behaviour_mut();
                behaviour.index.get_mut().withdraw(sector);
                behaviour.peers_index.get_mut().withdraw(sector);
            }
        }
    }

    pub(super) fn on_shelf_opened(
        &mut self,
        heads: Vec<([u8; 32], Bytes)>,
        rows: Vec<(BlobHash, RowId)>,
    ) {
        self.custody.opening_store = false;
        let Some(signer) = signer_of(&self.key).filter(|_| self.gate.may_send()) else {
            return;
        };
        let mut config = self.custody.config.clone();
        (config.capacity, config.blob_bytes) = self.room_for_others();
        let seed = u64::from_le_bytes(rt::random());
        let mut custodian = Custodian::new(signer, config, seed);
        let mut contents = Contents::read(heads);
        self.forget_kept(std::mem::take(&mut contents.unknown));
        custodian.restore(contents, now(), unix());
        self.custody.custodian = Some(custodian);
        self.drain_custodian();
        self.clear_kept(rows);
        self.announce_custody();
    }

    /// The room that the person gives is another, or the browser offers another.
    pub(in super::super) fn review_room_for_others(&mut self) {
        let (capacity, blob_bytes) = self.room_for_others();
        if let Some(custodian) = &mut self.custody.custodian {
            custodian.set_room(capacity, blob_bytes);
            self.drain_custodian();
        }
    }

    /// Messages, and bytes of what is attached.
    fn room_for_others(&self) -> (usize, u64) {
        let config = &self.custody.config;
        let part = self.storage.quota / PART_OF_QUOTA;
        let messages = usize::try_from(part / ENVELOPE_LEN as u64).unwrap_or(usize::MAX);
        (messages.min(config.capacity), part.min(config.blob_bytes))
    }

    /// Tells the indexes that mail can be left here, if it can.
    pub(in super::super) fn announce_custody(&mut self) {
        if self.custody.custodian.is_none() || !self.is_joined() {
            return;
        }
        for sector in self.own_sectors() {
            let behaviour = self.swarm.behaviour_mut();
            behaviour.index.get_mut().announce(sector);
            behaviour.peers_index.get_mut().announce(sector);
        }
    }

    /// Where this node is found as a custodian: nowhere if its id does not show the work.
    fn own_sectors(&self) -> Vec<BlobHash> {
        let key = key_of(self.swarm.local_peer_id());
        let Some(key) = key.filter(|key| is_qualified(*key, self.custody.config.puzzle_bits))
        else {
            return Vec::new();
        };
        let place = position(key);
        (0..=SECTOR_DEPTH)
            .map(|depth| sector(&place, depth))
            .collect()
    }

    pub(in super::super) fn tell_custodian(&mut self, input: Input) {
        if let Some(custodian) = &mut self.custody.custodian {
            custodian.handle(input, now(), unix());
            self.drain_custodian();
        }
    }

    fn drain_custodian(&mut self) {
        while let Some(output) = self
            .custody
            .custodian
            .as_mut()
            .and_then(Custodian::poll_output)
        {
            match output {
                Output::Send(peer, message) if message.is_request() => {
                    self.ask_custodian(peer, Some(message), Asker::Custodian);
                }
                Output::Send(peer, message) => {
                    if let Some(stream) = self.custody.accepted.get(&peer) {
                        self.say(*stream, message);
                    }
                }
                Output::Store(deposit) => {
                    self.usage_stale = true;
                    let id = deposit.id();
                    let kept = self.keep(Record::of_message(&deposit));
                    self.spawn(async move { Event::Custody(Report::Stored(id, kept.await)) });
                }
                Output::StoreKeep(keep) => {
                    let id = keep.id();
                    let kept = self.keep(Record::of_keep(&keep));
                    self.spawn(async move { Event::Custody(Report::Stored(id, kept.await)) });
                }
                Output::Fetch(blob) => self.fetch_kept(blob),
                Output::Release(hash) => self.release_kept(hash),
                Output::Bury(tomb) => {
                    let kept = self.keep(Record::of_tombstone(&tomb));
                    rt::spawn(async move {
                        let _ = kept.await;
                    });
                }
                Output::Exhume(tag, id) => self.forget_kept(vec![of_tombstone(tag, id)]),
                Output::Forget(id) => self.forget_kept(vec![id.0]),
                Output::Load(id) => {
                    let store = self.store.clone();
                    self.spawn(async move {
                        let body = store.kept_body(id.0).await.ok();
                        let deposit = body.and_then(|body| Deposit::decode(&body));
                        Event::Custody(Report::Loaded(id, deposit))
                    });
                }
                Output::Lookup(tag) => self.seek(tag, Seeker::Custodian),
                Output::Drop(peer) => {
                    if let Some(stream) = self.custody.accepted.get(&peer) {
                        self.end_stream(*stream);
                    }
                }
                Output::WakeAt(at) => self.set_alarm(Alarm::Custodian, at),
            }
        }
    }

    fn keep(&self, record: Record) -> impl Future<Output = bool> + 'static {
        let (store, make_room) = (self.store.clone(), self.room_maker());
        let Record { key, head, body } = record;
        async move {
            let kept = room::put_kept(&store, Kept { key, head, body }, make_room).await;
            if let Err(error) = &kept {
                tracing::debug!(%error, "a message or tombstone is not kept");
            }
            kept.is_ok()
        }
    }

    fn forget_kept(&mut self, keys: Vec<[u8; 32]>) {
        if keys.is_empty() {
            return;
        }
        self.usage_stale = true;
        let store = self.store.clone();
        rt::spawn(async move {
            match store.remove_kept(keys).await {
                Ok(()) | Err(StoreError::NotFound) => {}
                Err(error) => tracing::debug!(%error, "a message stays"),
            }
        });
    }
}

/// Seconds since 1970.
fn unix() -> u64 {
    rt::unix_millis() / 1000
}
