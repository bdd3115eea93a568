//! Peer exchange inside a swarm: peers of a blob tell each other who else they have a session with for it.
//!
//! Only records that a peer signed itself and gave to us are passed on, and only while our session with it stands, so that who left is
//! soon forgotten everywhere (BEP 11 lists connected peers only, for the same reason). A pair gets one message when its session begins
//! and, when something changed, another after [`INTERVAL`]. What comes is bounded in size, in records and in rate; whatever a
//! record says is a hint that costs a bounded number of dials (`proto::discovery`). The bytes are in `docs/discovery.md`.

use std::collections::VecDeque;
use std::time::Duration;

use bytes::{Buf, BufMut, Bytes, BytesMut};

use super::budget::Budget;
use super::types::{BlobHash, PeerKey, Time};
use crate::proto::ordered::Map;

/// Records in one message, the sender's own included. Ours: more than a peer wants sessions.
pub const MAX_RECORDS: usize = 16;

/// Longest record in bytes: a key, a signature and nine addresses of 100 to 250 bytes.
pub const MAX_RECORD: usize = 1536;

/// Longest message in bytes.
pub const MAX_MESSAGE: usize = HEADER + MAX_RECORDS * (2 + MAX_RECORD);

/// Least time between two messages to a peer about a blob (BEP 11: at most one in a minute).
pub const INTERVAL: Duration = Duration::from_secs(60);

/// Messages that a peer may send at once; then one in each half [`INTERVAL`], so that no honest peer is ever late.
pub const BURST: u32 = 3;

/// Seconds after which a record counts as stale.
pub const MAX_AGE: u64 = 2 * 60 * 60;

/// Seconds that a record may come from the future: the error of two clocks.
pub const MAX_AHEAD: u64 = 10 * 60;

/// The blob and the number of records.
const HEADER: usize = 32 + 1;

/// One message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Message {
    /// What the peers have in common.
    pub blob: BlobHash,
    /// Signed records; the sender's own, if there, is the first.
    pub records: Vec<Bytes>,
}

/// Bytes that are no message.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum MessageError {
    /// More bytes or records than a message may have.
    #[error("more than a message may hold")]
    TooLong,
    /// It ends in the middle, or goes on after its end.
    #[error("a message that does not end where it says")]
    Malformed,
}

impl Message {
    /// The bytes; records beyond the bounds are left out.
    pub fn encode(&self) -> Bytes {
        let records = || {
            self.records
                .iter()
                .filter(|record| record.len() <= MAX_RECORD)
                .take(MAX_RECORDS)
        };
        let mut out = BytesMut::new();
        out.put_slice(&self.blob.0);
        out.put_u8(records().count() as u8);
        for record in records() {
            out.put_u16(record.len() as u16);
            out.put_slice(record);
        }
        out.freeze()
    }

    /// Reads a whole message.
    ///
    /// # Errors
    /// Any [`MessageError`].
    pub fn decode(bytes: &Bytes) -> Result<Self, MessageError> {
        if bytes.len() > MAX_MESSAGE {
            return Err(MessageError::TooLong);
        }
        let mut rest = bytes.clone();
        let mut blob = [0; 32];
        rest.try_copy_to_slice(&mut blob)
            .map_err(|_| MessageError::Malformed)?;
        let count = usize::from(rest.try_get_u8().map_err(|_| MessageError::Malformed)?);
        if count > MAX_RECORDS {
            return Err(MessageError::TooLong);
        }
        let mut records = Vec::with_capacity(count);
        for _ in 0..count {
            let length = usize::from(rest.try_get_u16().map_err(|_| MessageError::Malformed)?);
            if length > MAX_RECORD {
                return Err(MessageError::TooLong);
            }
            if length > rest.len() {
                return Err(MessageError::Malformed);
            }
            records.push(rest.split_to(length));
        }
        if !rest.is_empty() {
            return Err(MessageError::Malformed);
        }
        Ok(Self {
            blob: BlobHash(blob),
            records,
        })
    }
}

/// A record whose signature holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verified {
    /// Who signed it.
    pub peer: PeerKey,
    /// When, in seconds since 1970 by the signer's clock.
    pub seq: u64,
    /// As it came.
    pub bytes: Bytes,
}

/// What the edges tell it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Input {
    /// A session for this blob with this peer is up.
    Joined(BlobHash, PeerKey),
    /// It is gone.
    Left(BlobHash, PeerKey),
    /// Our own record is new.
    Own(Bytes),
    /// A message came, for which [`Pex::admits`] said yes. `unix` is our clock in seconds since 1970.
    Received {
        /// Who sent it.
        from: PeerKey,
        /// About what.
        blob: BlobHash,
        /// The records in it whose signatures hold.
        records: Vec<Verified>,
        /// Seconds since 1970.
        unix: u64,
    },
    /// The deadline of the last `WakeAt` has come (harmless at any time).
    Tick,
}

/// What the edges must do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Output {
    /// Send this to the peer.
    Send(PeerKey, Message),
    /// `from` has sessions with these for the blob.
    Found {
        /// Who says so.
        from: PeerKey,
        /// About what.
        blob: BlobHash,
        /// Whom.
        peers: Vec<PeerKey>,
    },
    /// Come back with `Tick` at this time, unless another `WakeAt` follows.
    WakeAt(Time),
}

#[derive(Debug)]
struct Pair {
    sent_at: Option<Time>,
    /// What was sent: whose record, of when; our own under `None`.
    sent: Map<Option<PeerKey>, u64>,
    budget: Budget,
}

/// The exchange of one node, over all of its blobs; as large as its sessions.
#[derive(Debug, Default)]
pub struct Pex {
    pairs: Map<(BlobHash, PeerKey), Pair>,
    /// What peers with a session said of themselves.
    records: Map<PeerKey, (u64, Bytes)>,
    own: Option<(u64, Bytes)>,
    out: VecDeque<Output>,
}

impl Pex {
    /// The next thing to do; drain it after every [`handle`](Self::handle).
    pub fn poll_output(&mut self) -> Option<Output> {
        self.out.pop_front()
    }

    /// Whether a message of this peer about this blob is to be looked at: asked before its signatures cost anything.
    pub fn admits(&mut self, blob: BlobHash, from: PeerKey, now: Time) -> bool {
        self.pairs
            .get_mut(&(blob, from))
            .is_some_and(|pair| pair.budget.try_take(now))
    }

    /// Takes in what happened.
    pub fn handle(&mut self, input: Input, now: Time) {
        match input {
            Input::Joined(blob, peer) => {
                self.pairs.entry((blob, peer)).or_insert_with(|| Pair {
                    sent_at: None,
                    sent: Map::new(),
                    budget: Budget::new(BURST, INTERVAL / 2),
                });
            }
            Input::Left(blob, peer) => {
                self.pairs.remove(&(blob, peer));
                if self.pairs.keys().all(|(_, other)| *other != peer) {
                    self.records.remove(&peer);
                }
            }
            Input::Own(bytes) => {
                let count = self.own.as_ref().map_or(0, |(count, _)| count + 1);
                self.own = Some((count, bytes));
            }
            Input::Received {
                from,
                blob,
                records,
                unix,
            } => self.take(from, blob, records, unix),
            Input::Tick => {}
        }
        self.send_due(now);
    }

    fn take(&mut self, from: PeerKey, blob: BlobHash, records: Vec<Verified>, unix: u64) {
        if !self.pairs.contains_key(&(blob, from)) {
            return;
        }
        let fresh = |record: &Verified| {
            record.seq.saturating_add(MAX_AGE) >= unix
                && record.seq <= unix.saturating_add(MAX_AHEAD)
        };
        let mut peers = Vec::new();
        for record in records.into_iter().take(MAX_RECORDS).filter(fresh) {
            if record.peer != from {
                peers.push(record.peer);
                continue;
            }
            let newer = self
                .records
                .get(&from)
                .is_none_or(|(seq, _)| *seq < record.seq);
            if newer {
                self.records.insert(from, (record.seq, record.bytes));
            }
        }
        if !peers.is_empty() {
            self.out.push_back(Output::Found { from, blob, peers });
        }
    }

    fn send_due(&mut self, now: Time) {
        let mut due = Vec::new();
        let mut wake: Option<Time> = None;
        for ((blob, to), pair) in &self.pairs {
            let fresh = self.fresh_for(*blob, *to, pair);
            if fresh.is_empty() {
                continue;
            }
            match pair.sent_at.map(|at| at + INTERVAL) {
                Some(next) if next > now => wake = Some(wake.map_or(next, |at| at.min(next))),
                _ => due.push((*blob, *to, fresh)),
            }
        }
        for (blob, to, fresh) in due {
            let Some(pair) = self.pairs.get_mut(&(blob, to)) else {
                continue;
            };
            pair.sent_at = Some(now);
            let mut records = Vec::with_capacity(fresh.len());
            for (whose, seq, bytes) in fresh {
                pair.sent.insert(whose, seq);
                records.push(bytes);
            }
            // Those that left need not be remembered.
            let records_of = &self.records;
            pair.sent
                .retain(|whose, _| whose.is_none_or(|peer| records_of.contains_key(&peer)));
            let next = now + INTERVAL;
            wake = Some(wake.map_or(next, |at| at.min(next)));
            self.out
                .push_back(Output::Send(to, Message { blob, records }));
        }
        self.out.extend(wake.map(Output::WakeAt));
    }

    /// What the peer has not been told, our own record first.
    fn fresh_for(
        &self,
        blob: BlobHash,
        to: PeerKey,
        pair: &Pair,
    ) -> Vec<(Option<PeerKey>, u64, Bytes)> {
        let own = self
            .own
            .iter()
            .map(|(count, bytes)| (None, *count, bytes.clone()));
        let others = self
            .pairs
            .range((blob, PeerKey(0))..=(blob, PeerKey(u64::MAX)))
            .filter(|((_, peer), _)| *peer != to)
            .filter_map(|((_, peer), _)| {
                let (seq, bytes) = self.records.get(peer)?;
                Some((Some(*peer), *seq, bytes.clone()))
            });
        own.chain(others)
            .filter(|(whose, seq, _)| pair.sent.get(whose).is_none_or(|sent| sent < seq))
            .take(MAX_RECORDS)
            .collect()
    }
}

#[cfg(all(test, not(target_arch = "wasm32")))]
mod tests {
    #![allow(clippy::unwrap_used)]
    use proptest::prelude::*;

    use super::*;

    const BLOB: BlobHash = BlobHash([1; 32]);
    const UNIX: u64 = 1_800_000_000;

    fn at(seconds: u64) -> Time {
        Time::default() + Duration::from_secs(seconds)
    }

    fn record(peer: u64, seq: u64) -> Verified {
        Verified {
            peer: PeerKey(peer),
            seq,
            bytes: Bytes::from(format!("{peer} at {seq}")),
        }
    }

    fn drain(pex: &mut Pex) -> Vec<Output> {
        std::iter::from_fn(|| pex.poll_output())
            .filter(|out| !matches!(out, Output::WakeAt(_)))
            .collect()
    }

    fn receive(pex: &mut Pex, from: u64, records: Vec<Verified>, now: Time) {
        let from = PeerKey(from);
        let input = Input::Received {
            from,
            blob: BLOB,
            records,
            unix: UNIX,
        };
        pex.handle(input, now);
    }

    /// A node with sessions with the peers 1 to `count`, of whom each has told of itself.
    fn among(count: u64) -> Pex {
        let mut pex = Pex::default();
        pex.handle(Input::Own(Bytes::from_static(b"us")), at(0));
        for peer in 1..=count {
            pex.handle(Input::Joined(BLOB, PeerKey(peer)), at(0));
            receive(&mut pex, peer, vec![record(peer, UNIX)], at(0));
        }
        pex
    }

    #[test]
    fn a_session_begins_with_who_we_are_and_whom_we_know() {
        let mut pex = among(2);
        drain(&mut pex);
        pex.handle(Input::Joined(BLOB, PeerKey(3)), at(1));
        let [Output::Send(PeerKey(3), message)] = &drain(&mut pex)[..] else {
            panic!("one message to the new one")
        };
        let (one, two) = (record(1, UNIX).bytes, record(2, UNIX).bytes);
        assert_eq!(message.records, [Bytes::from_static(b"us"), one, two]);
    }

    #[test]
    fn changes_are_told_once_and_not_more_often_than_the_interval() {
        let mut pex = among(1);
        drain(&mut pex);
        for peer in 2..=5 {
            pex.handle(Input::Joined(BLOB, PeerKey(peer)), at(peer));
            receive(&mut pex, peer, vec![record(peer, UNIX)], at(peer));
        }
        let to_first = |outputs: &[Output]| {
            let of_first = |out: &&Output| matches!(out, Output::Send(PeerKey(1), _));
            outputs.iter().filter(of_first).count()
        };
        assert_eq!(to_first(&drain(&mut pex)), 0);
        pex.handle(Input::Tick, at(61));
        let told = drain(&mut pex);
        assert_eq!(to_first(&told), 1);
        assert!(told.iter().any(
            |out| matches!(out, Output::Send(PeerKey(1), message) if message.records.len() == 4)
        ));
        pex.handle(Input::Tick, at(200));
        assert_eq!(to_first(&drain(&mut pex)), 0);
        pex.handle(Input::Tick, at(1000));
        assert_eq!(drain(&mut pex), []);
    }

    #[test]
    fn only_what_peers_say_of_themselves_is_passed_on_and_only_while_they_are_there() {
        let mut pex = among(1);
        receive(&mut pex, 1, vec![record(9, UNIX)], at(1));
        let found = drain(&mut pex);
        assert!(found.contains(&Output::Found {
            from: PeerKey(1),
            blob: BLOB,
            peers: vec![PeerKey(9)],
        }));
        pex.handle(Input::Joined(BLOB, PeerKey(2)), at(2));
        let told = drain(&mut pex);
        assert!(matches!(&told[..], [Output::Send(_, message)] if message.records.len() == 2));
        pex.handle(Input::Left(BLOB, PeerKey(1)), at(3));
        pex.handle(Input::Joined(BLOB, PeerKey(3)), at(3));
        let told = drain(&mut pex);
        assert!(matches!(&told[..], [Output::Send(_, message)] if message.records.len() == 1));
    }

    #[test]
    fn stale_records_records_of_the_future_and_strangers_count_for_nothing() {
        let mut pex = among(1);
        drain(&mut pex);
        let records = vec![
            record(7, UNIX - MAX_AGE - 1),
            record(8, UNIX + MAX_AHEAD + 1),
            record(6, u64::MAX),
        ];
        receive(&mut pex, 1, records, at(1));
        receive(&mut pex, 5, vec![record(5, UNIX), record(6, UNIX)], at(1));
        assert_eq!(drain(&mut pex), []);
    }

    #[test]
    fn who_talks_too_much_is_not_listened_to() {
        let mut pex = among(1);
        let admitted = |pex: &mut Pex, time| {
            (0..10)
                .filter(|_| pex.admits(BLOB, PeerKey(1), time))
                .count()
        };
        assert_eq!(admitted(&mut pex, at(0)), BURST as usize);
        assert_eq!(admitted(&mut pex, at(29)), 0);
        assert_eq!(admitted(&mut pex, at(30)), 1);
        assert!(!pex.admits(BLOB, PeerKey(2), at(0)), "no session");
    }

    #[test]
    fn golden_bytes() {
        let message = Message {
            blob: BLOB,
            records: vec![Bytes::from_static(b"ab"), Bytes::new()],
        };
        let mut expected = vec![1; 32];
        expected.extend([2, 0, 2, b'a', b'b', 0, 0]);
        assert_eq!(message.encode(), expected);
        assert_eq!(Message::decode(&expected.into()), Ok(message));
    }

    proptest! {
        #[test]
        fn what_is_encoded_is_decoded(
            blob: [u8; 32],
            records in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..200), 0..MAX_RECORDS),
        ) {
            let records = records.into_iter().map(Bytes::from).collect();
            let message = Message { blob: BlobHash(blob), records };
            prop_assert_eq!(Message::decode(&message.encode()), Ok(message));
        }

        #[test]
        fn garbage_never_panics_and_what_decodes_encodes_again(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
            let bytes = Bytes::from(bytes);
            if let Ok(message) = Message::decode(&bytes) {
                prop_assert_eq!(message.encode(), bytes);
            }
        }

        #[test]
        fn truncation_is_malformed(keep in 0usize..100, size in 1usize..100) {
            let message = Message { blob: BLOB, records: vec![vec![7; size].into()] };
            let whole = message.encode();
            let keep = keep.min(whole.len() - 1);
            prop_assert_eq!(Message::decode(&whole.slice(..keep)), Err(MessageError::Malformed));
        }

        #[test]
        fn it_stays_as_small_as_its_sessions(
            steps in prop::collection::vec((0u8..5, 0u64..6, 0u64..12, 0u64..40), 0..200),
        ) {
            let mut pex = Pex::default();
            let mut now = at(0);
            for (action, peer, other, pause) in steps {
                now = now + Duration::from_secs(pause);
                match action {
                    0 => pex.handle(Input::Joined(BLOB, PeerKey(peer)), now),
                    1 => pex.handle(Input::Left(BLOB, PeerKey(peer)), now),
                    2 => pex.handle(Input::Own(Bytes::from(vec![other as u8])), now),
                    3 => receive(&mut pex, peer, vec![record(peer, UNIX + other), record(other, UNIX)], now),
                    _ => pex.handle(Input::Tick, now),
                }
                prop_assert!(pex.records.len() <= pex.pairs.len());
                prop_assert!(pex.pairs.values().all(|pair| pair.sent.len() <= pex.records.len() + MAX_RECORDS + 1));
                for out in std::iter::from_fn(|| pex.poll_output()) {
                    match out {
                        Output::Send(_, message) => prop_assert!(message.records.len() <= MAX_RECORDS),
                        Output::WakeAt(time) => prop_assert!(time > now),
                        Output::Found { .. } => {}
                    }
                }
            }
        }
    }
}
