//! The budget of links: which may be made, and which is closed for another.
//!
//! A page keeps a bounded number of links. One is made if there is room, or if a link that nobody misses can be closed for it: first
//! those that carry no session, the longest idle first; then those whose sessions moved nothing lately, then the slowest; never
//! one on which something moves at a useful rate, and never a young one. Browsers also bound how many connections a page may make, so those made are
//! paced: as many at once as a busy page needs, then one in a while.

use std::time::Duration;

use super::types::{PeerKey, Time};
use crate::proto::ordered::{Map, Set};

/// Links at a time. Ours: browsers get slow beyond some dozens of peer connections, and a swarm needs no more (BitTorrent
/// clients keep 30 to 50).
pub const MAX_LINKS: usize = 40;

/// Links being made at a time. Ours: each is a circuit and an ICE run with some 20 candidates.
pub const MAX_DIALLING: usize = 8;

/// Bytes are counted in spans of this length; the running and the one before it tell what a link is worth. Ours: a chunk over a
/// slow link takes as long.
pub const SPAN: Duration = Duration::from_secs(10);

/// A link that moved this many bytes in these two spans is in use. Ours: one group of 16 KiB every few seconds; a link that does
/// less is not missed.
pub const USEFUL: u64 = 64 * 1024;

/// How long a link is left alone after it came up: until a session was opened and its first chunk has come. Ours.
pub const YOUNG: Duration = Duration::from_secs(20);

/// Links that may be made at once before they are paced. Ours: three times a full set, below the 500 peer connections that
/// Chromium lets exist, closed ones included until they are collected.
pub const BURST: u32 = 120;

/// Time after which one more may be made. Ours.
pub const INTERVAL: Duration = Duration::from_secs(2);

/// What is to be done about a link that is wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// Make it.
    Go,
    /// Close the link to this peer and make it.
    Instead(PeerKey),
    /// Not now: too many are being made, were made lately, or are in use.
    Wait,
}

/// The links and the dials.
#[derive(Debug, Default)]
pub struct Pool {
    links: Map<PeerKey, Link>,
    dialling: Set<PeerKey>,
    /// When the allowance of links to be made is whole again.
    whole_at: Time,
}

#[derive(Debug, Clone, Copy)]
struct Link {
    since: Time,
    /// When bytes last moved, or when it came up.
    moved: Time,
    sessions: usize,
    span: u64,
    bytes: u64,
    bytes_before: u64,
}

impl Link {
    fn recent(&self, now: Time) -> u64 {
        match span(now).saturating_sub(self.span) {
            0 => self.bytes.saturating_add(self.bytes_before),
            1 => self.bytes,
            _ => 0,
        }
    }

    fn is_fixed(&self, now: Time) -> bool {
        now < self.since + YOUNG || (self.sessions > 0 && self.recent(now) >= USEFUL)
    }
}

fn span(now: Time) -> u64 {
    now.since(Time::default()).as_secs() / SPAN.as_secs()
}

impl Pool {
    /// Asks for a link to `peer`. Unless it must wait, the dial counts until [`up`](Self::up) or
    /// [`dial_ended`](Self::dial_ended). A peer that has a link may be dialled to replace it.
    pub fn may_dial(&mut self, peer: PeerKey, now: Time) -> Verdict {
        if self.dialling.contains(&peer) {
            return Verdict::Go;
        }
        let made = self.whole_at.max(now) + INTERVAL;
        if self.dialling.len() >= MAX_DIALLING || made.since(now) > INTERVAL * BURST {
            return Verdict::Wait;
        }
        let fresh = self
            .dialling
            .iter()
            .filter(|peer| !self.links.contains_key(peer))
            .count();
        let verdict = if self.links.contains_key(&peer) || self.links.len() + fresh < MAX_LINKS {
            Verdict::Go
        } else {
            match self.least(now) {
                Some(victim) => Verdict::Instead(victim),
                None => return Verdict::Wait,
            }
        };
        if let Verdict::Instead(victim) = verdict {
            self.links.remove(&victim);
        }
        self.whole_at = made;
        self.dialling.insert(peer);
        verdict
    }

    /// The dial came to nothing.
    pub fn dial_ended(&mut self, peer: PeerKey) {
        self.dialling.remove(&peer);
    }

    /// A link is up, whoever made it. Gives the peer whose link is to be closed, which may be this one.
    pub fn up(&mut self, peer: PeerKey, now: Time) -> Option<PeerKey> {
        self.dialling.remove(&peer);
        let fresh = Link {
            since: now,
            moved: now,
            sessions: 0,
            span: span(now),
            bytes: 0,
            bytes_before: 0,
        };
        if self.links.contains_key(&peer) {
            return None;
        }
        let full = self.links.len() >= MAX_LINKS;
        let victim = full.then(|| self.least(now).unwrap_or(peer));
        if let Some(victim) = victim {
            self.links.remove(&victim);
        }
        if victim != Some(peer) {
            self.links.insert(peer, fresh);
        }
        victim
    }

    /// The last link to `peer` is gone.
    pub fn down(&mut self, peer: PeerKey) {
        self.links.remove(&peer);
    }

    /// `peer` has this many sessions now.
    pub fn sessions(&mut self, peer: PeerKey, sessions: usize) {
        if let Some(link) = self.links.get_mut(&peer) {
            link.sessions = sessions;
        }
    }

    /// Bytes of content moved, either way.
    pub fn moved(&mut self, peer: PeerKey, bytes: u64, now: Time) {
        let Some(link) = self.links.get_mut(&peer) else {
            return;
        };
        link.moved = now;
        let span = span(now);
        if span > link.span {
            link.bytes_before = if span == link.span + 1 { link.bytes } else { 0 };
            (link.span, link.bytes) = (span, 0);
        }
        link.bytes = link.bytes.saturating_add(bytes);
    }

    /// Links that count.
    pub fn links(&self) -> usize {
        self.links.len()
    }

    /// The link that is missed least, if any may be closed.
    fn least(&self, now: Time) -> Option<PeerKey> {
        self.links
            .iter()
            .filter(|(_, link)| !link.is_fixed(now))
            .min_by_key(|(peer, link)| {
                let worth = if link.sessions > 0 {
                    link.recent(now)
                } else {
                    0
                };
                (link.sessions > 0, worth, link.moved, **peer)
            })
            .map(|(peer, _)| *peer)
    }
}

#[cfg(all(test, not(target_arch = "wasm32")))]
mod tests;
