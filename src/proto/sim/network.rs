//! The virtual network: links with latency and order, uplinks and downlinks shared equally by the transfers on them.
//!
//! What every message needs of a link is kept in few bytes, apart from what only a transfer needs: a large run has hundreds of
//! thousands of links, and comes to another one with each event.

use std::collections::VecDeque;
use std::time::Duration;

use crate::proto::message::Message;
use crate::proto::ordered::Map;
use crate::proto::types::Time;

/// Messages up to so many bytes take no bandwidth: they are lost in the noise beside chunks.
const SMALL: usize = 4096;

/// All links between peers.
#[derive(Debug)]
pub(super) struct Network {
    /// Uplink and downlink of each peer in bytes per second.
    bandwidth: Vec<(u64, u64)>,
    /// Of each peer the links to others, by the other.
    links: Vec<Map<u32, LinkId>>,
    /// Both directions of a connection stand side by side.
    lines: Vec<Line>,
    /// Places in `lines` that are free, each for the two directions of a connection.
    free: Vec<LinkId>,
    /// Links on which each peer sends something large, by receiver, or receives it, by sender.
    sending: Vec<Map<u32, LinkId>>,
    receiving: Vec<Map<u32, LinkId>>,
    epoch: u32,
    versions: u64,
}

/// The place of one direction of a connection.
type LinkId = u32;

/// One direction of a connection.
#[derive(Debug)]
struct Line {
    /// Of the connection that it is a part of; 0 if it is none.
    epoch: u32,
    /// Microseconds.
    latency: u32,
    /// What is too large to be gone at once, and all behind it.
    transfer: Option<Box<Transfer>>,
}

/// A message on its way out.
#[derive(Debug)]
struct Transfer {
    /// The first is on its way out.
    queue: VecDeque<Message>,
    /// Bytes of the first that are still to be sent, as of `since`, at `rate` bytes per second.
    remaining: f64,
    rate: f64,
    since: Time,
    /// Of what was announced of it; no other has the same.
    version: u64,
}

/// One connection, in one direction: from the first to the last message on it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Way {
    pub from: u32,
    pub to: u32,
    link: LinkId,
    epoch: u32,
}

/// What happens next on a link.
#[derive(Debug)]
pub(super) enum Delivery {
    /// The transfer will be done then, unless its version changes.
    Transfer { way: Way, version: u64, done: Time },
    /// The message has left the sender and arrives after the latency.
    Gone {
        way: Way,
        latency: Duration,
        message: Message,
    },
}

impl Network {
    pub(super) fn new(bandwidth: Vec<(u64, u64)>) -> Self {
        let peers = bandwidth.len();
        Self {
            bandwidth,
            links: vec![Map::new(); peers],
            lines: Vec::new(),
            free: Vec::new(),
            sending: vec![Map::new(); peers],
            receiving: vec![Map::new(); peers],
            epoch: 0,
            versions: 0,
        }
    }

    pub(super) fn connect(&mut self, a: usize, b: usize, latency: Duration) {
        self.epoch += 1;
        let line = || Line {
            epoch: self.epoch,
            latency: latency.as_micros() as u32,
            transfer: None,
        };
        let first = match self.free.pop() {
            Some(first) => {
                self.lines[first as usize] = line();
                self.lines[first as usize + 1] = line();
                first
            }
            None => {
                self.lines.extend([line(), line()]);
                self.lines.len() as u32 - 2
            }
        };
        self.links[a].insert(b as u32, first);
        self.links[b].insert(a as u32, first + 1);
    }

    /// Whether there is a connection.
    pub(super) fn is_connected(&self, a: usize, b: usize) -> bool {
        self.links[a].contains_key(&(b as u32))
    }

    /// Whether the connection is still the one that it was.
    pub(super) fn stands(&self, way: Way) -> bool {
        self.lines[way.link as usize].epoch == way.epoch
    }

    pub(super) fn neighbours(&self, at: usize) -> Vec<usize> {
        self.links[at].keys().map(|other| *other as usize).collect()
    }

    pub(super) fn degree(&self, at: usize) -> usize {
        self.links[at].len()
    }

    /// Cuts both directions; what was not delivered is lost.
    pub(super) fn disconnect(
        &mut self,
        a: usize,
        b: usize,
        now: Time,
        deliveries: &mut Vec<Delivery>,
    ) {
        for (from, to) in [(a, b), (b, a)] {
            let Some(link) = self.links[from].remove(&(to as u32)) else {
                continue;
            };
            self.lines[link as usize].epoch = 0;
            if link.is_multiple_of(2) {
                self.free.push(link);
            }
            if self.lines[link as usize].transfer.take().is_some() {
                self.sending[from].remove(&(to as u32));
                self.receiving[to].remove(&(from as u32));
                self.share(from, to, now, deliveries);
            }
        }
    }

    /// Sends a message off, or queues it behind others.
    pub(super) fn send(
        &mut self,
        from: usize,
        to: usize,
        message: Message,
        now: Time,
        deliveries: &mut Vec<Delivery>,
    ) {
        let Some(link) = self.links[from].get(&(to as u32)).copied() else {
            return;
        };
        let line = &mut self.lines[link as usize];
        match &mut line.transfer {
            Some(transfer) => transfer.queue.push_back(message),
            None => {
                let way = Way {
                    from: from as u32,
                    to: to as u32,
                    link,
                    epoch: line.epoch,
                };
                if let Some(message) = self.pass(way, message, deliveries) {
                    let transfer = Transfer {
                        queue: VecDeque::from([message]),
                        remaining: 0.0,
                        rate: 0.0,
                        since: now,
                        version: 0,
                    };
                    self.begin(way, transfer, now, deliveries);
                }
            }
        }
    }

    /// Ends a transfer if it is still the one that was announced.
    pub(super) fn finish(
        &mut self,
        way: Way,
        version: u64,
        now: Time,
        deliveries: &mut Vec<Delivery>,
    ) {
        let line = &mut self.lines[way.link as usize];
        let latency = Duration::from_micros(line.latency.into());
        let same = |transfer: &mut Box<Transfer>| transfer.version == version;
        let here = line.epoch == way.epoch;
        let Some(mut transfer) = line.transfer.take_if(|transfer| here && same(transfer)) else {
            return;
        };
        if let Some(message) = transfer.queue.pop_front() {
            deliveries.push(Delivery::Gone {
                way,
                latency,
                message,
            });
        }
        self.sending[way.from as usize].remove(&way.to);
        self.receiving[way.to as usize].remove(&way.from);
        while let Some(message) = transfer.queue.pop_front() {
            if let Some(message) = self.pass(way, message, deliveries) {
                transfer.queue.push_front(message);
                self.begin(way, *transfer, now, deliveries);
                break;
            }
        }
        self.share(way.from as usize, way.to as usize, now, deliveries);
    }

    /// Sends off a message that is small; gives back one that is not.
    fn pass(&self, way: Way, message: Message, deliveries: &mut Vec<Delivery>) -> Option<Message> {
        if message.wire_len() > SMALL {
            return Some(message);
        }
        let latency = Duration::from_micros(self.lines[way.link as usize].latency.into());
        deliveries.push(Delivery::Gone {
            way,
            latency,
            message,
        });
        None
    }

    /// Begins to send the first message of a queue.
    fn begin(
        &mut self,
        way: Way,
        mut transfer: Transfer,
        now: Time,
        deliveries: &mut Vec<Delivery>,
    ) {
        let bytes = transfer.queue.front().map_or(0, Message::wire_len);
        (transfer.remaining, transfer.rate, transfer.since) = (bytes as f64, 0.0, now);
        self.lines[way.link as usize].transfer = Some(Box::new(transfer));
        self.sending[way.from as usize].insert(way.to, way.link);
        self.receiving[way.to as usize].insert(way.from, way.link);
        self.share(way.from as usize, way.to as usize, now, deliveries);
    }

    /// Recomputes the rates of all transfers that leave `from` or reach `to`.
    fn share(&mut self, from: usize, to: usize, now: Time, deliveries: &mut Vec<Delivery>) {
        let out = self.sending[from].iter();
        let out = out.map(|(other, link)| (from as u32, *other, *link));
        let into = self.receiving[to].iter();
        let into = into.map(|(other, link)| (*other, to as u32, *link));
        for (from, to, link) in out.chain(into) {
            let (a, b) = (from as usize, to as usize);
            let up = self.bandwidth[a].0 as f64 / self.sending[a].len() as f64;
            let down = self.bandwidth[b].1 as f64 / self.receiving[b].len() as f64;
            let rate = up.min(down).max(1.0);
            let line = &mut self.lines[link as usize];
            let epoch = line.epoch;
            let Some(transfer) = &mut line.transfer else {
                continue;
            };
            if rate == transfer.rate {
                continue;
            }
            let sent = transfer.rate * now.since(transfer.since).as_secs_f64();
            transfer.remaining = (transfer.remaining - sent).max(0.0);
            (transfer.rate, transfer.since) = (rate, now);
            self.versions += 1;
            transfer.version = self.versions;
            let done = now + Duration::from_secs_f64(transfer.remaining / rate);
            let way = Way {
                from,
                to,
                link,
                epoch,
            };
            deliveries.push(Delivery::Transfer {
                way,
                version: transfer.version,
                done,
            });
        }
    }
}
