//! Blobs: commands about them, and what their swarm and discovery machines ask for.

use super::{Alarm, EventLoop, custody, now, sites};
use crate::node::command::Command;
use crate::node::error::Error;
use crate::node::meta::{BlobMeta, Kind};
use crate::node::transfer::Transfer;
use crate::proto::config::Config;
use crate::proto::discovery::{self, Discovery, TARGET_SESSIONS};
use crate::proto::swarm::{self, Swarm};
use crate::proto::tree::Tree;
use crate::proto::types::{BlobHash, ChunkIndex};
use crate::rt;
use crate::store::{BlobRow, RowId, Store, StoredChunk};

impl<S: Store> EventLoop<S> {
    pub(super) fn on_command(&mut self, command: Command) {
        // What is only looked at changes nothing that others must be told.
        self.urgent |= !matches!(command, Command::Chart { .. });
        match command {
            Command::Add {
                row,
                stored,
                meta,
                site,
            } => {
                let listed = meta.kind == Kind::File;
                self.add(row, &stored, meta, site);
                if listed {
                    // Whoever asked for it shall find it in the next snapshot they take.
                    self.publish_now();
                }
            }
            Command::Rest(parts) => self.rest(parts),
            Command::Held { blobs, reply } => drop(reply.send(self.held_parts(&blobs))),
            Command::PinParts {
                blobs,
                pinned,
                reply,
            } => drop(reply.send(self.pin_parts(&blobs, pinned))),
            Command::Reserve { blobs, taken } => self.sites.reserve(blobs, taken),
            Command::Hold(holding) => self.hold(holding),
            Command::Holders { manifest, reply } => drop(reply.send(self.holders(manifest))),
            Command::DropParts { blobs, reply } => drop(reply.send(self.drop_parts(&blobs))),
            Command::Manifests { reply } => drop(reply.send(self.manifests())),
            Command::Await { blob, chunk, reply } => match self.transfers.get_mut(&blob) {
                Some(transfer) => {
                    transfer.touch();
                    transfer.wait_for(chunk, reply)
                }
                None => drop(reply.send(Err(Error::Aborted))),
            },
            Command::Read {
                blob,
                reader,
                chunks,
                pace,
            } => {
                if let Some(transfer) = self.transfers.get_mut(&blob) {
                    transfer.readers.want(reader, chunks, pace);
                    self.focus(blob);
                }
            }
            Command::Leave { blob, reader } => {
                let transfer = self.transfers.get_mut(&blob);
                if transfer.is_some_and(|transfer| transfer.readers.leave(reader)) {
                    self.focus(blob);
                }
            }
            Command::SetSources { blob, sources } => self.set_sources(blob, sources),
            Command::Describe { blob, meta } => {
                if let Some(transfer) = self.transfers.get_mut(&blob) {
                    transfer.describe(meta);
                }
            }
            Command::SetPaused {
                blob,
                paused,
                reply,
            } => {
                let result = self.set_paused(blob, paused);
                let _ = reply.send(result);
            }
            Command::SetPinned {
                blob,
                pinned,
                reply,
            } => {
                let row = self.transfers.get_mut(&blob).map(|transfer| {
                    transfer.pinned = pinned;
                    transfer.row
                });
                let _ = reply.send(row.ok_or(Error::NotFound));
            }
            Command::Remove { blob, reply } => {
                let row = self.remove(blob);
                self.kept_is_lost(blob);
                let _ = reply.send(row.ok_or(Error::NotFound));
            }
            Command::Lookup { blob, reply } => {
                let known = self
                    .transfers
                    .get(&blob)
                    .map(|transfer| (transfer.row, transfer.meta.clone()));
                let _ = reply.send(known);
            }
            Command::SetUpload(allowed) => self.set_consent(allowed),
            Command::SetLimits(limits) => self.set_limits(limits),
            Command::SetSurroundings(surroundings) => self.set_surroundings(surroundings),
            Command::QuotaChanged => self.on_quota_changed(),
            Command::MakeRoom { bytes, reply } => self.make_room(bytes, reply),
            Command::Check {
                blob,
                index,
                chunk,
                reply,
            } => self.check(blob, index, chunk, reply),
            Command::Whole { blob, reply } => {
                let whole = self
                    .transfers
                    .get(&blob)
                    .and_then(|transfer| transfer.whole());
                let _ = reply.send(whole);
            }
            Command::Chart { blob, reply } => {
                let _ = reply.send(self.chart(blob).ok_or(Error::NotFound));
            }
            Command::PublishName {
                key,
                cid,
                known,
                reply,
            } => self.publish_name(key, cid, known, reply),
            Command::ResolveName { name, known, reply } => self.resolve_name(name, known, reply),
            Command::WatchName {
                name,
                known,
                heads,
                reply,
            } => drop(reply.send(self.watch_name(name, known, heads))),
            Command::HoldName {
                name,
                known,
                hold,
                reply,
            } => drop(reply.send(self.hold_name(name, known, hold))),
            Command::DenylistChanged => self.on_denylist(),
            Command::AskKeepers { address, at, reply } => {
                let _ = reply.send(self.ask_keepers(address, at));
            }
            Command::Nearest { tag, reply } => self.seek(tag, custody::Seeker::Person(reply)),
            Command::AskCustodian { peer, message } => {
                self.ask_custodian(peer, message, custody::Asker::Person)
            }
            Command::HearCustodians(hearer) => self.set_custody_listener(hearer.0),
            Command::GetRecord { key, reply } => self.get_record(key, reply),
            Command::PutRecord { key, value, reply } => self.put_record(key, value, reply),
            Command::MailboxRelays { reply } => drop(reply.send(self.mailbox_relays())),
            Command::BeKeeper { asked } => self.be_keeper(asked),
            Command::AnswerWish {
                address,
                peer,
                verdict,
            } => self.answer_wish(address, peer, verdict),
            Command::Stop { .. } => {} // taken by `run`
        }
    }

    /// Tells the swarm what the readers want.
    fn focus(&mut self, blob: BlobHash) {
        let Some(transfer) = self.transfers.get(&blob) else {
            return;
        };
        let chunks = transfer.readers.order(transfer.down.rate());
        let chunks = chunks.into_iter().collect();
        self.tell_swarm(blob, swarm::Input::Focus { chunks });
    }

    pub(super) fn add(
        &mut self,
        row: BlobRow,
        stored: &[ChunkIndex],
        meta: BlobMeta,
        site: Option<BlobHash>,
    ) {
        let Some(blob) = row.hash else { return };
        if self.transfers.contains_key(&blob) {
            self.open_through(blob, site);
            return;
        }
        self.sites.wake(&blob);
        let seed = u64::from_le_bytes(rt::random());
        let tree = row
            .size
            .filter(|_| !row.tree.is_empty())
            .and_then(|size| Tree::decode(blob, size, &row.tree).ok());
        let machine = Swarm::new(
            Config::default(),
            blob,
            row.size,
            stored.iter().copied(),
            seed,
        );
        let target = match meta.kind {
            Kind::Part => sites::sessions_for(meta.content_size.unwrap_or_default()),
            Kind::File | Kind::Manifest | Kind::Kept => TARGET_SESSIONS,
        };
        let mut transfer = Transfer::new(
            blob,
            row.id,
            meta,
            row.pinned,
            machine,
            Discovery::with_target(seed, target),
        );
        transfer.site = site;
        transfer.tree = tree;
        let paused = transfer.meta.paused;
        self.transfers.insert(blob, Box::new(transfer));
        self.usage_stale = true;
        self.tell_swarm(blob, swarm::Input::AllowUpload(self.gate.may_send()));
        if paused {
            self.tell_swarm(blob, swarm::Input::Pause);
        }
        self.bound_windows();
        self.set_wanted(blob);
        self.announce_if_due(blob);
        let sources = self.transfers.get(&blob).map(|t| t.meta.sources());
        self.set_sources(blob, sources.unwrap_or_default());
    }

    pub(super) fn remove(&mut self, blob: BlobHash) -> Option<RowId> {
        if let Some(part) = self.sites.wake(&blob) {
            self.usage_stale = true;
            return Some(part.row);
        }
        let mut transfer = self.let_go(blob)?;
        transfer.fail(|| Error::Aborted);
        self.withdraw(blob);
        self.sites.forget(&blob);
        self.usage_stale = true;
        Some(transfer.row)
    }

    /// Ends everything that goes on about a blob.
    pub(super) fn let_go(&mut self, blob: BlobHash) -> Option<Transfer> {
        self.end_sessions_of(blob);
        let transfer = self.transfers.remove(&blob)?;
        self.alarms.remove(&Alarm::Swarm(blob));
        self.alarms.remove(&Alarm::Discovery(blob));
        self.alarms.remove(&Alarm::Write(blob));
        self.alarms.remove(&Alarm::Web(blob));
        self.gate.forget_blob(blob);
        for peer in self.peers.iter_mut() {
            peer.awaited_by.remove(&blob);
        }
        Some(*transfer)
    }

    fn set_paused(&mut self, blob: BlobHash, paused: bool) -> Result<(RowId, BlobMeta), Error> {
        let transfer = self.transfers.get_mut(&blob).ok_or(Error::NotFound)?;
        transfer.meta.paused = paused;
        let remember = (transfer.row, transfer.meta.clone());
        transfer.error = None;
        if paused {
            transfer.fail(|| Error::Aborted);
        } else {
            // A person who says "try again" means now, not when the back-off of a failed pair ends.
            let webrtc = &mut self.swarm.behaviour_mut().webrtc;
            self.peers
                .iter_mut()
                .for_each(|peer| webrtc.forget_failures(&peer.id));
        }
        self.tell_swarm(
            blob,
            if paused {
                swarm::Input::Pause
            } else {
                swarm::Input::Resume
            },
        );
        self.set_wanted(blob);
        self.look_at_web(blob);
        Ok(remember)
    }

    pub(super) fn withdraw(&mut self, blob: BlobHash) {
        let behaviour = self.swarm.behaviour_mut();
        behaviour.index.get_mut().withdraw(blob);
        behaviour.peers_index.get_mut().withdraw(blob);
    }

    /// Tells discovery whether peers are wanted.
    pub(super) fn set_wanted(&mut self, blob: BlobHash) {
        let Some(transfer) = self.transfers.get(&blob) else {
            return;
        };
        let stuck = transfer
            .error
            .as_ref()
            .is_some_and(|problem| problem.code != Error::NotFound.code());
        let wanted = transfer.wants_peers() && !stuck;
        self.tell_discovery(blob, discovery::Input::Want(wanted));
    }

    /// Announces a blob of which something is held, once others may have it and can reach us.
    pub(super) fn announce_if_due(&mut self, blob: BlobHash) {
        let joined = self.is_joined();
        let Some(transfer) = self.transfers.get_mut(&blob) else {
            return;
        };
        // A site is announced by its manifest; a hundred thousand files would be too much for any index.
        let holds = transfer.swarm.progress().stored > 0 && !transfer.is_part();
        let may = holds && !transfer.announced && !transfer.has_problem(Error::Denied.code());
        if joined && may && self.gate.may_send() {
            let behaviour = self.swarm.behaviour_mut();
            transfer.announced = behaviour.index.get_mut().announce(blob);
            behaviour.peers_index.get_mut().announce(blob);
        }
    }

    pub(super) fn tell_swarm(&mut self, blob: BlobHash, input: swarm::Input) {
        let Some(transfer) = self.transfers.get_mut(&blob) else {
            return;
        };
        transfer.swarm.handle(input, now());
        // Drained whole before anything is done: acting on an output may bring the next input.
        let outputs: Vec<_> = std::iter::from_fn(|| transfer.swarm.poll_output()).collect();
        for output in outputs {
            match output {
                swarm::Output::Send { peer, message } => self.send_when_due(blob, peer, message),
                swarm::Output::Store { index, data, proof } => {
                    self.store_chunk(blob, StoredChunk { index, data, proof })
                }
                swarm::Output::Load { peer, index } => self.want_to_serve(blob, peer, index),
                swarm::Output::Ban { peer, reason } => self.ban(blob, peer, reason),
                swarm::Output::Close { peer } => self.close(blob, peer),
                swarm::Output::WrongFetch { index } => self.on_wrong_fetch(blob, index),
                swarm::Output::SizeProved(size) => self.on_size(blob, size),
                swarm::Output::Complete => self.on_complete(blob),
                swarm::Output::WakeAt(at) => self.set_alarm(Alarm::Swarm(blob), at),
            }
        }
    }

    fn on_size(&mut self, blob: BlobHash, size: crate::proto::types::BlobSize) {
        let Some(transfer) = self.transfers.get_mut(&blob) else {
            return;
        };
        transfer.error = None;
        let (store, row) = (self.store.clone(), transfer.row);
        rt::spawn(async move {
            // Only a resume needs it; if it is lost, the last chunk proves the size again.
            if let Err(error) = store.set_size(row, size).await {
                rt::warning!(error = error, "the size could not be stored");
            }
        });
        if let Some(transfer) = self.transfers.get_mut(&blob) {
            transfer.answer();
        }
        self.look_at_kept(blob);
    }

    fn on_complete(&mut self, blob: BlobHash) {
        if let Some(transfer) = self.transfers.get_mut(&blob) {
            transfer.error = None;
            transfer.answer();
        }
        self.bound_windows();
        self.set_wanted(blob);
        self.finish_part(blob);
        self.look_at_kept(blob);
        self.urgent = true;
    }

    pub(super) fn tell_discovery(&mut self, blob: BlobHash, input: discovery::Input) {
        let Some(transfer) = self.transfers.get_mut(&blob) else {
            return self.tell_meeting(blob, input);
        };
        transfer.discovery.handle(input, now());
        let outputs: Vec<_> = std::iter::from_fn(|| transfer.discovery.poll_output()).collect();
        for output in outputs {
            match output {
                discovery::Output::Lookup => self.look_up_for(blob),
                discovery::Output::Connect(peer) => self.connect(blob, peer),
                discovery::Output::Nobody => self.on_nobody(blob),
                discovery::Output::WakeAt(at) => self.set_alarm(Alarm::Discovery(blob), at),
            }
        }
    }

    pub(super) fn on_nobody(&mut self, blob: BlobHash) {
        let joined = self.is_joined();
        let Some(transfer) = self.transfers.get_mut(&blob) else {
            return;
        };
        // A server may still bring it.
        let hides = self.gate.limits.hide_address;
        let web = transfer.web.as_mut();
        if let Some(web) = web.filter(|web| !hides && web.seed.is_hopeful()) {
            web.nobody = true;
            return;
        }
        let error = || {
            if joined {
                Error::NotFound
            } else {
                Error::NoRelay
            }
        };
        transfer.set_problem(&error());
        transfer.fail(error);
        self.urgent = true;
    }

    /// A session with `peer` is wanted: over the link that is there, or over a new one.
    fn connect(&mut self, blob: BlobHash, peer: crate::proto::types::PeerKey) {
        let Some(known) = self.peers.get_mut(peer) else {
            return;
        };
        if known.is_linked() {
            return self.open_session(blob, peer);
        }
        known.awaited_by.insert(blob);
        if !known.dialling {
            self.dial(peer);
        }
    }
}
