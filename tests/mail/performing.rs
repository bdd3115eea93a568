//! What mailers want done, done as pages do it: saved, asked of the network, shown.

use gyre::proto::custody::stamp::Search;
use gyre::proto::identity::record as identities;
use gyre::proto::mail::post::{Input, Output, Post};
use gyre::proto::mail::record as mail_records;

use super::{Event, World};

impl World {
    /// Does what a mailer wants, in order, unless its page stops.
    pub(super) fn drain(&mut self, n: usize) {
        loop {
            let device = &mut self.people[n];
            let Some(output) = device.post.as_mut().and_then(Post::poll_output) else {
                return;
            };
            if device.fragile > 0 && self.random.below(device.fragile) == 0 {
                let again = self.now + 5000 + u64::from(self.random.below(40_000));
                self.stop(n);
                self.people[n].restart = Some(again);
                return;
            }
            self.perform(n, output);
        }
    }

    fn perform(&mut self, n: usize, output: Output) {
        let online = self.people[n].online;
        let run = self.people[n].runs;
        let peer = self.people[n].peer;
        let device = &mut self.people[n];
        match output {
            Output::Save(name, Some(value)) => {
                device.saved.insert(name, value);
            }
            Output::Save(name, None) => {
                device.saved.remove(&name);
            }
            Output::Wake(at) => device.wake = Some(at),
            Output::Nearest(tag) => {
                let near = if online { self.near(tag) } else { Vec::new() };
                self.later(Event::ToDevice(n, run, Input::Nearest(tag, near)));
            }
            Output::Open(to) => {
                self.open(peer, to);
            }
            Output::Ask(to, bytes) => self.request(peer, to, bytes),
            Output::Get(key) => {
                device.looked_up.push((key.clone(), self.now));
                let found = self.records.get(&key).filter(|_| online);
                let values = found.cloned().into_iter().collect();
                self.later(Event::ToDevice(n, run, Input::Records(key, values)));
            }
            Output::Put(key, value) => {
                let holders = if online && self.put(&key, value) {
                    20
                } else {
                    0
                };
                self.later(Event::ToDevice(n, run, Input::Put(key, holders)));
            }
            Output::Stamp {
                job, prefix, bits, ..
            } => {
                device.stamps += 1;
                let mut search = Search::of_prefix(prefix, bits);
                let nonce = std::iter::repeat_with(|| search.step(256)).flatten().next();
                let nonce = nonce.expect("a stamp is found");
                self.later(Event::ToDevice(n, run, Input::Stamped(job, nonce)));
            }
            Output::Letter(letter) => {
                let message = letter.message;
                if device.acknowledged.contains(&message) {
                    device.twice += 1;
                }
                device.letters.insert(message, *letter);
                if device.stores {
                    // Acknowledged once the mailer has saved that it was told, which it does before anything else.
                    self.say(n, Input::Stored(message));
                    if self.people[n].post.is_some() {
                        self.people[n].acknowledged.insert(message);
                    }
                }
            }
            Output::Status(status) => {
                device.statuses.insert((status.message, status.to), status);
            }
            Output::Sent { token, message, .. } => {
                let before = device.sent.insert(token, message);
                assert!(before.is_none_or(|before| before == message));
            }
            Output::Failed { code, .. } => device.failed.push(code),
            Output::Contact {
                id,
                standing,
                name,
                forked,
                ended,
                ..
            } => {
                device.ended.insert(id, ended);
                device.contacts.insert(id, standing);
                device.names.insert(id, name);
                if forked {
                    device.forked.insert(id);
                }
            }
            Output::Identity {
                stage,
                devices,
                on_paper,
                forks,
                open,
                settled,
                ..
            } => {
                device.on_paper = on_paper;
                device.stage = Some(stage);
                device.forks = forks;
                (device.open, device.settled) = (open, settled);
                device.devices = devices.iter().map(|device| device.key).collect();
            }
            Output::Sync(_, data) => device.synced.push(data),
            Output::Gone(message) => {
                device.letters.remove(&message);
                device.gone.insert(message);
            }
            Output::Refused(code) => device.refused.push(code),
            Output::Unstamp(_) | Output::Keep(..) => {}
        }
    }

    fn put(&mut self, key: &[u8], value: Vec<u8>) -> bool {
        let now = self.now / 1000;
        let before = self.records.get(key).cloned();
        let values: Vec<&[u8]> = before
            .iter()
            .map(Vec::as_slice)
            .chain([&value[..]])
            .collect();
        let best = match identities::of_routing_key(key) {
            Some(_) => identities::select(key, &values, now),
            None => mail_records::select(key, &values, now),
        };
        let Some(best) = best else { return false };
        self.records.insert(key.to_vec(), values[best].to_vec());
        true
    }
}
