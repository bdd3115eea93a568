//! Peer exchange: streams that carry one message each, and our own signed record.

use std::time::Duration;

use bytes::Bytes;
use futures::future::{Either, select};
use futures::{AsyncReadExt, AsyncWriteExt};
use libp2p::{PeerId, Stream};

use super::{Alarm, Event, EventLoop, now};
use crate::net::addresses::is_own_socket;
use crate::net::{pex as records, session as streams};
use crate::proto::discovery;
use crate::proto::pex::{Input, MAX_MESSAGE, Message, Output, Verified};
use crate::rt;
use crate::store::Store;

/// Messages read at once; a stream beyond it is reset.
const MAX_READING: usize = 32;

/// Messages waiting for their stream; more are not sent.
const MAX_SENDING: usize = 128;

/// Time for one message, either way.
const TIMEOUT: Duration = Duration::from_secs(20);

impl<S: Store> EventLoop<S> {
    pub(super) fn tell_pex(&mut self, input: Input) {
        self.pex.handle(input, now());
        let outputs: Vec<_> = std::iter::from_fn(|| self.pex.poll_output()).collect();
        for output in outputs {
            match output {
                Output::Send(to, message) => {
                    let Some(peer) = self.peers.get(to) else {
                        continue;
                    };
                    if self.telling.len() >= MAX_SENDING {
                        continue;
                    }
                    let id = peer.id;
                    let open = streams::OpenId(self.fresh_id());
                    self.telling.insert(open, message.encode());
                    self.swarm.behaviour_mut().pex.get_mut().open(id, open);
                }
                Output::Found { from, blob, peers } => {
                    let teller = self.peers.get(from).map(|peer| peer.id);
                    for peer in &peers {
                        if let (Some(peer), Some(teller)) = (self.peers.get_mut(*peer), teller) {
                            peer.add_teller(teller);
                        }
                    }
                    self.tell_discovery(blob, discovery::Input::Found(peers.clone()));
                    self.on_site_peers(blob, peers);
                }
                Output::WakeAt(at) => self.set_alarm(Alarm::Pex, at),
            }
        }
    }

    /// Our addresses have changed: others are told with a new record.
    pub(super) fn sign_record(&mut self) {
        let sockets_only = !self.announces_sockets;
        let told = self.swarm.external_addresses();
        let told = told.filter(|address| !sockets_only || is_own_socket(address));
        if let Some(record) = records::sign(&self.key, told) {
            self.tell_pex(Input::Own(record));
        }
    }

    pub(super) fn on_pex_stream(&mut self, event: streams::Event) {
        match event {
            streams::Event::Inbound { peer, stream } => {
                let banned = self.peers.by_id(&peer).is_none_or(|peer| peer.banned);
                if banned || self.reading >= MAX_READING {
                    return; // dropping the stream resets it
                }
                self.reading += 1;
                self.spawn(async move {
                    let bytes = in_time(read(stream)).await.flatten();
                    Event::Pex { peer, bytes }
                });
            }
            streams::Event::Opened { id, stream } => {
                if let Some(bytes) = self.telling.remove(&id) {
                    rt::spawn(async move {
                        in_time(write(stream, bytes)).await;
                    });
                }
            }
            streams::Event::Failed { id } => drop(self.telling.remove(&id)),
        }
    }

    /// A message came, or a stream that carried none ended.
    pub(super) fn on_pex(&mut self, peer: PeerId, bytes: Option<Bytes>) {
        self.reading -= 1;
        let Some(message) = bytes.and_then(|bytes| Message::decode(&bytes).ok()) else {
            return;
        };
        let Some(from) = self.peers.by_id(&peer).map(|peer| peer.key) else {
            return;
        };
        if !self.pex.admits(message.blob, from, now()) {
            return;
        }
        let local = *self.swarm.local_peer_id();
        let mut verified = Vec::new();
        for bytes in message.records {
            let Some(record) = records::verify(&bytes).filter(|record| record.peer != local) else {
                continue;
            };
            let known = self.peers.enter(record.peer, rt::unix_millis());
            if known.is_relay || known.banned {
                continue;
            }
            let key = known.key;
            if key == from {
                self.remember_peer(&record, bytes.clone());
            }
            self.peers.add_addresses(key, record.addresses);
            verified.push(Verified {
                peer: key,
                seq: record.seq,
                bytes,
            });
        }
        self.tell_pex(Input::Received {
            from,
            blob: message.blob,
            records: verified,
            unix: rt::unix_millis() / 1000,
        });
    }
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
    let mut bounded = stream.take(MAX_MESSAGE as u64 + 1);
    bounded.read_to_end(&mut bytes).await.ok()?;
    let mut stream = bounded.into_inner();
    let _ = stream.close().await;
    Some(bytes.into())
}

async fn write(mut stream: Stream, bytes: Bytes) -> Option<()> {
    stream.write_all(&bytes).await.ok()?;
    stream.close().await.ok()
}
