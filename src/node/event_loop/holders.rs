//! Who has all of a site: what we tell the peers of a site of what we have, and what they tell us; and what keepers are asked on the
//! same streams.

use std::time::Duration;

use bytes::Bytes;
use futures::future::{Either, select};
use futures::{AsyncReadExt, AsyncWriteExt};
use libp2p::{PeerId, Stream};

use super::{Event, EventLoop, now};
use crate::net::session as streams;
use crate::node::SIGHTINGS;
use crate::node::site::Holders;
use crate::proto::holding::{Holding, MESSAGE_LEN};
use crate::proto::keeping;
use crate::proto::sightings::{DAY, HOUR};
use crate::proto::types::{BlobHash, PeerKey, Time};
use crate::rt;
use crate::store::Store;

/// Messages read at once; a stream beyond it is reset.
const MAX_READING: usize = 32;

/// Messages waiting for their stream; more are not sent.
pub(super) const MAX_SENDING: usize = 64;

/// How long a peer counts as there that is not linked any more. Ours: links of idle peers are closed after a few minutes, and made
/// again when something is wanted.
const JUST_NOW: Duration = Duration::from_secs(10 * 60);

/// Least time between two records of who was seen. Ours: what is lost with a tab is a minute of an hour.
const RECORD_EVERY: Duration = Duration::from_secs(60);

/// Time for one message, either way.
const TIMEOUT: Duration = Duration::from_secs(20);

impl<S: Store> EventLoop<S> {
    /// We have this much of a site now: its peers are told.
    pub(super) fn hold(&mut self, holding: Holding) {
        let told = self.sites.set_own(holding);
        for peer in told {
            self.tell_holding(holding.manifest, peer);
        }
    }

    /// Tells a peer of a site, if there is something to be told and a link.
    pub(super) fn tell_holding(&mut self, manifest: BlobHash, peer: PeerKey) {
        let Some(own) = self.sites.own(&manifest) else {
            return;
        };
        let Some(peer) = self.peers.get(peer).filter(|peer| peer.is_linked()) else {
            return;
        };
        let id = peer.id;
        self.send_about_sites(id, own.encode());
    }

    pub(super) fn on_holding_stream(&mut self, event: streams::Event) {
        match event {
            streams::Event::Inbound { peer, stream } => {
                let banned = self.peers.by_id(&peer).is_none_or(|peer| peer.banned);
                if banned || self.hearing >= MAX_READING {
                    return; // dropping the stream resets it
                }
                self.hearing += 1;
                self.spawn(async move {
                    let bytes = in_time(read(stream)).await.flatten();
                    Event::Holding { peer, bytes }
                });
            }
            streams::Event::Opened { id, stream } => {
                if let Some(bytes) = self.holdings.remove(&id) {
                    rt::spawn(async move {
                        in_time(write(stream, bytes)).await;
                    });
                }
            }
            streams::Event::Failed { id } => drop(self.holdings.remove(&id)),
        }
    }

    /// A message came, or a stream that carried none ended.
    pub(super) fn on_holding(&mut self, peer: PeerId, bytes: Option<Bytes>) {
        self.hearing -= 1;
        let id = peer;
        let Some(peer) = self.peers.by_id(&id).map(|peer| peer.key) else {
            return;
        };
        let bytes = bytes.unwrap_or_default();
        if let Some(address) = keeping::decode_wish(&bytes) {
            return self.on_wish(address, id);
        }
        if let Some((address, verdict)) = keeping::decode_verdict(&bytes) {
            return self.on_verdict(address, verdict, peer);
        }
        let Some(holding) = Holding::decode(&bytes) else {
            return;
        };
        if self.is_manifest(holding.manifest) {
            self.on_site_peers(holding.manifest, vec![peer]);
            let whole = self.sites.heard(holding, peer);
            let (site, peer) = (holding.manifest, tail_of(&id));
            match whole {
                true => self.saw(site, peer),
                false => self.sites.sightings.forget(&site, peer),
            }
        }
    }

    /// How many other peers have said that they have all of a site, and when.
    pub(super) fn holders(&mut self, manifest: BlobHash) -> Holders {
        let at = now();
        let mut holders = Holders::default();
        let whole: Vec<_> = self.sites.whole(&manifest).collect();
        for (key, said) in whole {
            let Some(peer) = self.peers.get(key) else {
                continue;
            };
            let (linked, tail) = (peer.is_linked(), tail_of(&peer.id));
            if linked {
                // As long as it is there it still says so.
                self.saw(manifest, tail);
            }
            if linked || at.since(said) < JUST_NOW {
                holders.now += 1;
                holders.keepers += usize::from(self.keepers.is_one(key));
            }
        }
        let unix = rt::unix_millis() / 1000;
        let within = |span| self.sites.sightings.count(&manifest, unix, span);
        // Who is there now is counted whatever is remembered.
        holders.hour = within(HOUR).max(holders.now);
        holders.day = within(DAY).max(holders.now);
        holders
    }

    fn saw(&mut self, site: BlobHash, peer: u64) {
        let unix = rt::unix_millis() / 1000;
        self.sites.sightings.note(site, peer, unix);
        self.sites.recorded.1 = true;
    }

    /// Remembers now and then who was seen.
    pub(super) fn record_sightings(&mut self) {
        let at = now();
        let (last, changed) = self.sites.recorded;
        if !changed || (last != Time::default() && at.since(last) < RECORD_EVERY) {
            return;
        }
        self.sites.recorded = (at, false);
        let bytes = self.sites.sightings.encode(rt::unix_millis() / 1000);
        let store = self.store.clone();
        rt::spawn(async move {
            if let Err(error) = store.set_value(SIGHTINGS, Some(bytes)).await {
                tracing::debug!(%error, "who has sites is not remembered");
            }
        });
    }
}

/// What a peer is counted by.
fn tail_of(peer: &PeerId) -> u64 {
    let bytes = peer.to_bytes();
    let tail = bytes.last_chunk();
    u64::from_be_bytes(tail.copied().unwrap_or_default())
}

async fn in_time<T>(work: impl Future<Output = T>) -> Option<T> {
    let work = std::pin::pin!(work);
    match select(work, std::pin::pin!(rt::sleep(TIMEOUT))).await {
        Either::Left((done, _)) => Some(done),
        Either::Right(_) => None,
    }
}

async fn read(stream: Stream) -> Option<Bytes> {
    let mut bytes = Vec::new();
    // One byte more than there may be, so that what is too long does not look whole.
    let mut bounded = stream.take(MESSAGE_LEN as u64 + 1);
    bounded.read_to_end(&mut bytes).await.ok()?;
    let mut stream = bounded.into_inner();
    let _ = stream.close().await;
    Some(bytes.into())
}

async fn write(mut stream: Stream, bytes: Bytes) -> Option<()> {
    stream.write_all(&bytes).await.ok()?;
    stream.close().await.ok()
}
