//! The virtual network: links with latency and order, uplinks and downlinks shared equally by the transfers on them.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::Duration;

use crate::proto::message::Message;
use crate::proto::types::Time;

/// Messages up to so many bytes take no bandwidth: they are lost in the noise beside chunks.
const SMALL: usize = 4096;

/// All links between peers.
#[derive(Debug)]
pub(super) struct Network {
    /// Uplink and downlink of each peer in bytes per second.
    bandwidth: Vec<(u64, u64)>,
    /// By sender and receiver.
    links: Vec<BTreeMap<usize, Link>>,
    /// Peers that each peer sends something large to, or receives it from.
    sending: Vec<BTreeSet<usize>>,
    receiving: Vec<BTreeSet<usize>>,
    epoch: u64,
}

/// One direction of a connection.
#[derive(Debug)]
struct Link {
    latency: Duration,
    epoch: u64,
    /// The first is on its way out.
    queue: VecDeque<Message>,
    /// Bytes of the first that are still to be sent, as of `since`, at `rate` bytes per second.
    remaining: f64,
    rate: f64,
    since: Time,
    version: u64,
}

/// What happens next on a link.
#[derive(Debug)]
pub(super) enum Delivery {
    /// The transfer will be done then, unless its version changes.
    Transfer {
        from: usize,
        to: usize,
        version: u64,
        done: Time,
    },
    /// The message has left the sender and arrives after the latency.
    Gone {
        from: usize,
        to: usize,
        epoch: u64,
        latency: Duration,
        message: Message,
    },
}

impl Network {
    pub(super) fn new(bandwidth: Vec<(u64, u64)>) -> Self {
        let peers = bandwidth.len();
        Self {
            bandwidth,
            links: (0..peers).map(|_| BTreeMap::new()).collect(),
            sending: vec![BTreeSet::new(); peers],
            receiving: vec![BTreeSet::new(); peers],
            epoch: 0,
        }
    }

    pub(super) fn connect(&mut self, a: usize, b: usize, latency: Duration) {
        self.epoch += 1;
        for (from, to) in [(a, b), (b, a)] {
            let link = Link {
                latency,
                epoch: self.epoch,
                queue: VecDeque::new(),
                remaining: 0.0,
                rate: 0.0,
                since: Time(0),
                version: 0,
            };
            self.links[from].insert(to, link);
        }
    }

    /// The number of the connection, if there is one.
    pub(super) fn epoch(&self, a: usize, b: usize) -> Option<u64> {
        self.links[a].get(&b).map(|link| link.epoch)
    }

    pub(super) fn neighbours(&self, at: usize) -> Vec<usize> {
        self.links[at].keys().copied().collect()
    }

    pub(super) fn degree(&self, at: usize) -> usize {
        self.links[at].len()
    }

    /// Cuts both directions; what was not delivered is lost.
    pub(super) fn disconnect(&mut self, a: usize, b: usize, now: Time) -> Vec<Delivery> {
        let mut deliveries = Vec::new();
        for (from, to) in [(a, b), (b, a)] {
            self.links[from].remove(&to);
            if self.sending[from].remove(&to) {
                self.receiving[to].remove(&from);
                self.share(from, to, now, &mut deliveries);
            }
        }
        deliveries
    }

    /// Queues a message.
    pub(super) fn send(
        &mut self,
        from: usize,
        to: usize,
        message: Message,
        now: Time,
    ) -> Vec<Delivery> {
        let mut deliveries = Vec::new();
        if let Some(link) = self.links[from].get_mut(&to) {
            link.queue.push_back(message);
            if link.queue.len() == 1 {
                self.start(from, to, now, &mut deliveries);
            }
        }
        deliveries
    }

    /// Ends a transfer if it is still the one that was announced.
    pub(super) fn finish(
        &mut self,
        from: usize,
        to: usize,
        version: u64,
        now: Time,
    ) -> Vec<Delivery> {
        let mut deliveries = Vec::new();
        let Some(link) = self.links[from].get_mut(&to) else {
            return deliveries;
        };
        if link.version != version || !self.sending[from].contains(&to) {
            return deliveries;
        }
        link.version += 1;
        if let Some(message) = link.queue.pop_front() {
            let (epoch, latency) = (link.epoch, link.latency);
            deliveries.push(Delivery::Gone {
                from,
                to,
                epoch,
                latency,
                message,
            });
        }
        self.sending[from].remove(&to);
        self.receiving[to].remove(&from);
        self.start(from, to, now, &mut deliveries);
        self.share(from, to, now, &mut deliveries);
        deliveries
    }

    /// Sends off what is small at the head of a queue, and begins the first transfer that is not.
    fn start(&mut self, from: usize, to: usize, now: Time, deliveries: &mut Vec<Delivery>) {
        let Some(link) = self.links[from].get_mut(&to) else {
            return;
        };
        while let Some(message) = link.queue.pop_front() {
            let bytes = message.wire_len();
            if bytes > SMALL {
                link.queue.push_front(message);
                (link.remaining, link.rate, link.since) = (bytes as f64, 0.0, now);
                self.sending[from].insert(to);
                self.receiving[to].insert(from);
                self.share(from, to, now, deliveries);
                return;
            }
            let (epoch, latency) = (link.epoch, link.latency);
            deliveries.push(Delivery::Gone {
                from,
                to,
                epoch,
                latency,
                message,
            });
        }
    }

    /// Recomputes the rates of all transfers that leave `from` or reach `to`.
    fn share(&mut self, from: usize, to: usize, now: Time, deliveries: &mut Vec<Delivery>) {
        let out = self.sending[from].iter().map(|other| (from, *other));
        let into = self.receiving[to].iter().map(|other| (*other, to));
        let touched: Vec<(usize, usize)> = out.chain(into).collect();
        for (a, b) in touched {
            let up = self.bandwidth[a].0 as f64 / self.sending[a].len() as f64;
            let down = self.bandwidth[b].1 as f64 / self.receiving[b].len() as f64;
            let rate = up.min(down).max(1.0);
            let Some(link) = self.links[a].get_mut(&b) else {
                continue;
            };
            if rate == link.rate {
                continue;
            }
            link.remaining =
                (link.remaining - link.rate * now.since(link.since).as_secs_f64()).max(0.0);
            (link.rate, link.since) = (rate, now);
            link.version += 1;
            let done = now + Duration::from_secs_f64(link.remaining / rate);
            deliveries.push(Delivery::Transfer {
                from: a,
                to: b,
                version: link.version,
                done,
            });
        }
    }
}
