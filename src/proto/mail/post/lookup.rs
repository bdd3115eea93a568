//! Looking up and putting what stands in the index: not too often, not too much at once, and again after a while if it failed.

use super::{Output, Post};

/// Keys that are remembered as looked up; above it the oldest go.
pub const MAX_LOOKS: usize = 1024;

/// Milliseconds after which a look-up counts as failed: a link through a relay takes up to ten seconds, and a look-up several.
const ANSWER_WITHIN: u64 = 60_000;

/// First pause after a failure, in milliseconds; each is twice the one before.
const RETRY: u64 = 30_000;

/// Longest pause after failures, in milliseconds.
const RETRY_MOST: u64 = 60 * 60 * 1000;

/// Milliseconds after which what was put is put again while this runs: holders come and go.
pub const PUT_AGAIN: u64 = 12 * 60 * 60 * 1000;

/// A key that was looked up.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Look {
    /// When an answer came that was good.
    good: Option<u64>,
    /// When it was asked, if no answer came yet.
    asked: Option<u64>,
    failures: u32,
    /// Not before.
    next: u64,
}

/// A value that is to stand under a key.
#[derive(Debug, Clone)]
pub(super) struct Put {
    value: Vec<u8>,
    next: u64,
    failures: u32,
}

impl Post {
    /// Asks for a key unless a good answer is younger than `age` milliseconds. Whether what is known now is what can be known: an answer is
    /// there, or none will come soon.
    pub(super) fn look(&mut self, key: &[u8], age: u64) -> bool {
        let now = self.now;
        if self.looks.len() >= MAX_LOOKS && !self.looks.contains_key(key) {
            let oldest = self
                .looks
                .iter()
                .min_by_key(|(_, look)| look.next.max(look.good.unwrap_or(0)));
            if let Some(oldest) = oldest.map(|(key, _)| key.clone()) {
                self.looks.remove(&oldest);
            }
        }
        let look = self.looks.entry(key.to_vec()).or_default();
        if look.good.is_some_and(|at| at + age > now) {
            return true;
        }
        if let Some(asked) = look.asked {
            if asked + ANSWER_WITHIN > now {
                return false;
            }
            look.fail(now);
        }
        if look.next > now {
            return true;
        }
        look.asked = Some(now);
        self.out.push_back(Output::Get(key.to_vec()));
        false
    }

    /// Notes that an answer came, and whether it was worth anything.
    pub(super) fn looked(&mut self, key: &[u8], good: bool) {
        let now = self.now;
        if let Some(look) = self.looks.get_mut(key) {
            match good {
                true => {
                    *look = Look {
                        good: Some(now),
                        ..Look::default()
                    };
                }
                false => look.fail(now),
            }
        }
    }

    /// Looks a key up anew for something that has waited `since` then, if the last answer is older than `pause` milliseconds; as nothing else
    /// came of the answers so far, each time after twice as long. Says when it will be time, if it is not.
    pub(super) fn look_anew(&mut self, key: &[u8], pause: u64, since: u64) -> Option<u64> {
        let now = self.now;
        let look = self.looks.get_mut(key)?;
        let good = look.good?;
        let at = good + pause.max(good.saturating_sub(since));
        if at > now {
            return Some(at);
        }
        look.good = None;
        self.look(key, pause);
        None
    }

    /// When somebody waits for the next try of a look-up.
    pub(super) fn lookups_due(&self) -> Option<u64> {
        let looks = self.looks.values().filter_map(|look| match look.asked {
            Some(asked) => Some(asked + ANSWER_WITHIN),
            None => (look.failures > 0).then_some(look.next),
        });
        let now = self.now;
        // One that nobody asks for again stays in the past.
        let looks = looks.filter(|at| *at > now);
        looks.chain(self.puts.values().map(|put| put.next)).min()
    }

    pub(super) fn online(&mut self) {
        let now = self.now;
        for look in self.looks.values_mut() {
            look.next = now;
            look.failures = 0;
        }
        for put in self.puts.values_mut().filter(|put| put.failures > 0) {
            put.next = now;
            put.failures = 0;
        }
    }

    /// Puts a value under a key, now and from time to time.
    pub(super) fn put(&mut self, key: &[u8], value: Vec<u8>) {
        let put = Put {
            value,
            next: self.now,
            failures: 0,
        };
        self.puts.insert(key.to_vec(), put);
    }

    pub(super) fn put_due(&mut self) {
        let now = self.now;
        for (key, put) in self.puts.iter_mut().filter(|(_, put)| put.next <= now) {
            put.next = now + ANSWER_WITHIN;
            self.out
                .push_back(Output::Put(key.clone(), put.value.clone()));
        }
    }

    pub(super) fn was_put(&mut self, key: &[u8], holders: usize) {
        let now = self.now;
        let Some(put) = self.puts.get_mut(key) else {
            return;
        };
        match holders {
            0 => {
                put.next = now + pause(put.failures);
                put.failures += 1;
            }
            _ => {
                put.failures = 0;
                put.next = now + PUT_AGAIN;
                self.published(key);
            }
        }
    }
}

impl Put {
    pub(super) fn is(&self, value: &[u8]) -> bool {
        self.value == value
    }
}

impl Look {
    fn fail(&mut self, now: u64) {
        self.asked = None;
        self.next = now + pause(self.failures);
        self.failures += 1;
    }
}

fn pause(failures: u32) -> u64 {
    (RETRY << failures.min(16)).min(RETRY_MOST)
}
