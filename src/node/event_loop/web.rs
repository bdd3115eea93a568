//! Web servers: makes the requests that `proto::web_seed` decides on, and hands over what they bring.

use std::time::Duration;

use bytes::Bytes;
use futures::future::{Either, select};
use futures::{FutureExt, future};

use super::{Alarm, Event, EventLoop, now};
use crate::net::fetch::Request;
use crate::node::web::{Web, ticket};
use crate::proto::swarm::Input;
use crate::proto::types::{BlobHash, ChunkIndex};
use crate::proto::web_seed::{Fault, Fetch, POLL, View};
use crate::proto::web_source::WebSource;
use crate::proto::web_tree::{MAX_WEB_TREE, WebTree};
use crate::rt;
use crate::store::{RowId, Store};

/// Time that one request may take. Ours: a chunk at 8 KiB/s; whoever is slower holds a place that others could have.
const REQUEST_MAX: Duration = Duration::from_secs(30);

impl<S: Store> EventLoop<S> {
    /// The sources of a blob, as a link or a caller names them; replaces what was known.
    pub(super) fn set_sources(&mut self, blob: BlobHash, sources: Vec<WebSource>) {
        let id = *self.swarm.local_peer_id();
        let Some(transfer) = self.transfers.get_mut(&blob) else {
            return;
        };
        transfer.meta.set_sources(&sources);
        if self.fetch.is_none() || transfer.swarm.is_complete() {
            return;
        }
        let known = transfer.web.as_ref().map(|web| &web.seed);
        let known = known.is_some_and(|seed| {
            let named = seed.servers().map(|server| server.source);
            named.eq(sources.iter())
        });
        if !known {
            self.stop_web(blob);
            let web = Web::new(sources, &id, u64::from_le_bytes(rt::random()));
            if let Some(transfer) = self.transfers.get_mut(&blob) {
                transfer.web = Some(web).filter(|web| web.seed.servers().next().is_some());
            }
        }
        self.look_at_web(blob);
    }

    /// Fetches what is due from web servers, and sees to it that they are looked at again.
    pub(super) fn look_at_web(&mut self, blob: BlobHash) {
        let (Some(transfer), Some(_)) = (self.transfers.get_mut(&blob), &self.fetch) else {
            return;
        };
        let Some(web) = &mut transfer.web else { return };
        if transfer.swarm.is_complete() {
            web.tree = None;
            web.seed.forget_trees();
            return;
        }
        self.set_alarm(Alarm::Web(blob), now() + POLL);
        let Some(transfer) = self.transfers.get(&blob) else {
            return;
        };
        // A server sees who asks: whoever hides from peers whom others chose hides from servers whom others chose.
        let hides = self.gate.limits.hide_address;
        if hides || transfer.meta.paused || transfer.swarm.progress().paused {
            return self.stop_web(blob);
        }
        self.give_up_overtaken(blob);
        while self.gate.down.ready_at() <= now() {
            let Some(fetch) = self.next_fetch(blob) else {
                break;
            };
            self.start_fetch(blob, fetch);
        }
        let web = self.transfers.get_mut(&blob).and_then(|t| t.web.as_mut());
        if let Some(web) = web.filter(|web| web.nobody && !web.seed.is_hopeful()) {
            web.nobody = false;
            self.on_nobody(blob);
        }
    }

    /// Ends what is being fetched from web servers.
    pub(super) fn stop_web(&mut self, blob: BlobHash) {
        let web = self.transfers.get_mut(&blob).and_then(|t| t.web.as_mut());
        for index in web.map(Web::give_up).unwrap_or_default() {
            self.tell_swarm(blob, Input::FetchFailed { index });
        }
    }

    /// What was fetched, or why it was not.
    pub(super) fn on_fetched(
        &mut self,
        blob: BlobHash,
        row: RowId,
        fetch: Fetch,
        result: Result<Bytes, Fault>,
    ) {
        let Some(transfer) = self.transfers.get_mut(&blob) else {
            return;
        };
        let Some(web) = transfer.web.as_mut().filter(|_| transfer.row == row) else {
            return;
        };
        self.urgent = true;
        match fetch {
            Fetch::Tree { server } => {
                if web.tree_fetch.take().is_none() {
                    return; // Given up.
                }
                let tree = result.and_then(|file| {
                    let tree = WebTree::decode(blob, &file);
                    tree.ok_or(Fault::WrongBytes)
                });
                web.seed.on_tree(
                    server,
                    tree.as_ref().map(drop).map_err(|fault| *fault),
                    now(),
                );
                match tree {
                    Ok(WebTree { tree, tail }) => {
                        web.tree = Some(tree);
                        self.tell_swarm(blob, Input::Prove(tail));
                    }
                    Err(fault) => warn(web.seed.source(server), fault),
                }
            }
            Fetch::Chunk { server, index } => {
                if web.chunks.remove(&index).is_none() {
                    return; // Given up.
                }
                let proof = web.tree.as_ref().and_then(|tree| tree.proof(index));
                match result {
                    Ok(data) => {
                        let len = data.len() as u64;
                        transfer.down.add(len);
                        self.down.add(len);
                        self.gate.day.received(len);
                        let proof = proof.unwrap_or_default();
                        self.tell_swarm(blob, Input::Fetched { index, data, proof });
                        if let Some(transfer) = self.transfers.get_mut(&blob)
                            && let Some(web) = &mut transfer.web
                        {
                            // Changes nothing if it was wrong: then that has been said.
                            web.seed.on_chunk(index, Ok(len), now());
                            transfer.found();
                        }
                    }
                    Err(fault) => {
                        warn(web.seed.source(server), fault);
                        web.seed.on_chunk(index, Err(fault), now());
                        self.tell_swarm(blob, Input::FetchFailed { index });
                    }
                }
            }
        }
        self.look_at_web(blob);
    }

    /// A chunk from a server is not the blob's.
    pub(super) fn on_wrong_fetch(&mut self, blob: BlobHash, index: ChunkIndex) {
        let transfer = self.transfers.get_mut(&blob);
        if let Some(web) = transfer.and_then(|transfer| transfer.web.as_mut()) {
            rt::warning!(
                index = index,
                "a web server sent wrong bytes: it is not asked again"
            );
            web.seed.on_chunk(index, Err(Fault::WrongBytes), now());
        }
        self.urgent = true;
    }

    fn give_up_overtaken(&mut self, blob: BlobHash) {
        let Some(transfer) = self.transfers.get_mut(&blob) else {
            return;
        };
        let Some(web) = &mut transfer.web else { return };
        let held = |index| transfer.swarm.is_held(index);
        let overtaken = web.seed.overtaken(held, now());
        for index in &overtaken {
            web.seed.on_given_up(*index);
            if let Some(fetch) = web.chunks.remove(index) {
                fetch.abort();
            }
        }
        for index in overtaken {
            self.tell_swarm(blob, Input::FetchFailed { index });
        }
    }

    fn next_fetch(&mut self, blob: BlobHash) -> Option<Fetch> {
        let joining = !self.is_joined() && self.relays.iter().any(|r| r.uplink.failures() < 2);
        let transfer = self.transfers.get_mut(&blob)?;
        let (web, swarm) = (transfer.web.as_mut()?, &transfer.swarm);
        if !swarm.has_room_for_web() {
            return None;
        }
        let progress = swarm.progress();
        let unheld: Vec<ChunkIndex> = swarm.unheld().collect();
        let tickets = swarm.incomplete_peers().filter_map(|key| {
            let peer = self.peers.get(key)?;
            Some(ticket(&peer.id))
        });
        let rivals: Vec<u64> = tickets.collect();
        let view = View {
            chunks: progress.size.map(|size| size.chunk_count()),
            has_some: progress.stored > 0,
            unheld: &unheld,
            next_read: swarm.next_read(),
            held: swarm.rarest(),
            rivals: &rivals,
            linking: joining || transfer.discovery.is_busy(),
            received: progress.down_bytes + progress.web_bytes,
        };
        web.seed.next(&view, now())
    }

    fn start_fetch(&mut self, blob: BlobHash, fetch: Fetch) {
        let (Some(transfer), Some(fetcher)) = (self.transfers.get_mut(&blob), &self.fetch) else {
            return;
        };
        let Some(web) = &mut transfer.web else { return };
        let (handle, registration) = future::AbortHandle::new_pair();
        let size = transfer.swarm.progress().size;
        let request = match fetch {
            Fetch::Tree { server } => {
                web.tree_fetch = Some(handle);
                web.seed.source(server).map(|source| Request {
                    address: source.tree_address(),
                    range: None,
                    most: MAX_WEB_TREE,
                })
            }
            Fetch::Chunk { server, index } => {
                web.chunks.insert(index, handle);
                let len = size.and_then(|size| size.chunk_len(index)).unwrap_or(0);
                web.seed.source(server).map(|source| Request {
                    address: source.address().to_owned(),
                    range: Some(index.offset()..index.offset() + len as u64),
                    most: len,
                })
            }
        };
        let Some(request) = request else { return };
        if request.range.is_some() {
            self.gate.down.spend(request.most as u64, now());
        }
        let (row, answer) = (transfer.row, fetcher.get(request));
        let answer = async move {
            match select(answer, rt::sleep(REQUEST_MAX).boxed_local()).await {
                Either::Left((answer, _)) => answer,
                Either::Right(_) => Err(Fault::Slow),
            }
        };
        let answer = future::Abortable::new(answer, registration);
        let mut outbox = self.outbox.clone();
        rt::spawn(async move {
            if let Ok(result) = answer.await {
                let event = Event::Fetched {
                    blob,
                    row,
                    fetch,
                    result,
                };
                let _ = futures::SinkExt::send(&mut outbox, event).await;
            }
        });
        if let Fetch::Chunk { index, .. } = fetch {
            self.tell_swarm(blob, Input::Fetching { index });
        }
    }
}

fn warn(source: Option<&WebSource>, fault: Fault) {
    if let Some(source) = source {
        rt::warning!(
            host = source.host(),
            fault = fault,
            "a web server did not deliver"
        );
    }
}
