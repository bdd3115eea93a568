#![allow(clippy::unwrap_used)]
//! The machines one by one, against peers that are scripted.

mod blobs;
mod collecting;
mod depositing;
mod keeping;
mod wire;

use std::time::Duration;

use bytes::Bytes;

use super::deposit::{Deposit, Expiry};
use super::keep::{Blob, Keep};
use super::sign::Signer;
use super::stamp::Search;
use super::tag::{Lane, MailboxSecret, Week};
use super::{ENVELOPE_LEN, HOUR, PeerId};
use crate::proto::types::{BlobHash, Time};

const UNIX: u64 = 1_800_000_000;

fn at(seconds: u64) -> Time {
    Time::default() + Duration::from_secs(1000 + seconds)
}

fn node(n: u8) -> Signer {
    Signer::from_seed([n; 32])
}

fn peer(n: u8) -> PeerId {
    PeerId(node(n).public())
}

/// Keys that are quick; those of nodes are real.
fn mailbox() -> MailboxSecret {
    MailboxSecret::marked([7; 32])
}

fn envelope(n: u32) -> Bytes {
    let mut bytes = vec![0; ENVELOPE_LEN];
    bytes[..4].copy_from_slice(&n.to_be_bytes());
    bytes.into()
}

fn contact(n: u32) -> Deposit {
    let pass = mailbox().pass(0, Week::of(UNIX));
    let expiry = Expiry::from_now(Lane::Contact, UNIX);
    Deposit::by_contact(&pass, expiry, envelope(n))
}

fn stranger(n: u32, bits: u8) -> Deposit {
    let terms = mailbox().strangers(4, Week::of(UNIX)).terms;
    let expiry = Expiry::from_now(Lane::Stranger, UNIX);
    let unstamped = Deposit::by_stranger(terms, expiry, 0, envelope(n));
    let mut search = Search::new(terms.tag(), unstamped.id(), expiry, bits);
    let stamp = std::iter::repeat_with(|| search.step(256)).flatten().next();
    Deposit::by_stranger(terms, expiry, stamp.unwrap(), envelope(n))
}

/// So many bytes, known by a number.
fn blob(n: u8, size: u64) -> Blob {
    let (hash, size) = (BlobHash([n; 32]), u32::try_from(size).unwrap());
    Blob { hash, size }
}

/// The wish that these be kept with a contact's message.
fn keep(n: u32, blobs: &[Blob]) -> Keep {
    let deposit = contact(n);
    let pass = mailbox().pass(0, Week::of(UNIX));
    let expiry = deposit.header().expiry();
    Keep::by_contact(&pass, expiry, deposit.id(), blobs.to_vec()).unwrap()
}

/// A time in hours from now, as seconds since 1970.
fn in_hours(hours: i64) -> u64 {
    UNIX.saturating_add_signed(hours * HOUR as i64)
}
