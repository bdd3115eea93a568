//! What is attached to the messages here: which blobs are to be kept, which are here whole, who waits for a receipt.
//!
//! The blobs themselves lie in the node's store and come from its swarms; here is only counted who may have how many. A wish hangs on
//! its message and goes with it, and a blob goes with the last wish that names it. Whoever is known to hold a message is told to keep
//! its blobs too, so that these are copied on as the message is.

use std::time::Duration;

use super::{Custodian, Output, Shelf};
use crate::proto::custody::keep::{Blob, Keep, MAX_BYTES};
use crate::proto::custody::message::{Message, is_receipt, sign_receipt};
use crate::proto::custody::placement::about;
use crate::proto::custody::tag::Lane;
use crate::proto::custody::{HOUR, MessageId, PeerId, Refusal};
use crate::proto::ordered::Map;
use crate::proto::types::{BlobHash, Time};

/// Blobs that are kept: each is announced in the indexes and awake.
pub const MAX_KEPT: usize = 256;

/// Bytes for one tag in the contacts' lane: those of two messages with as much as there may be, or of many with less.
pub const MAX_CONTACT_BYTES: u64 = 2 * MAX_BYTES;

/// The same in the strangers' lane.
pub const MAX_STRANGER_BYTES: u64 = MAX_BYTES;

/// Of all bytes the part that one peer may ask for: a quarter.
const PART_OF_PEER: u64 = 4;

/// Time in which all blobs of a wish must have come: whoever sends comes back within a day, and asks again.
const COMES_WITHIN: Duration = Duration::from_secs(24 * HOUR);

/// Peers that are told when all is here, and that are known to keep it too: as many as keep a message at most.
const MAX_PEERS: usize = crate::proto::custody::region::COPIES_MAX;

#[derive(Debug)]
struct Wish {
    keep: Keep,
    /// Who wished it; unknown after a restart.
    from: Option<PeerId>,
    /// Whether the wish itself is durable.
    stored: bool,
    since: Time,
    waiting: Vec<PeerId>,
    /// Others that signed that they keep it.
    partners: Vec<PeerId>,
    /// Others that hold the message and do not keep it.
    without: Vec<PeerId>,
}

#[derive(Debug, Clone, Copy)]
struct Known {
    size: u32,
    whole: bool,
}

/// All wishes, by their messages.
#[derive(Debug, Default)]
pub(super) struct Blobs {
    wishes: Map<MessageId, Wish>,
    /// By the ids of the wishes.
    messages: Map<MessageId, MessageId>,
    known: Map<BlobHash, Known>,
}

impl Blobs {
    /// How many are here whole, and their bytes.
    pub(super) fn kept(&self) -> (usize, u64) {
        let whole = self.known.values().filter(|known| known.whole);
        whole.fold((0, 0), |(count, bytes), known| {
            (count + 1, bytes + u64::from(known.size))
        })
    }

    /// The bytes of all that is kept, or on its way.
    pub(super) fn held(&self) -> u64 {
        self.known.values().map(|known| u64::from(known.size)).sum()
    }

    /// Of which message this is the wish.
    pub(super) fn message_of(&self, id: MessageId) -> Option<MessageId> {
        self.messages.get(&id).copied()
    }

    /// How many of those that hold a message count as copies of all of it, as far as is known.
    pub(super) fn copies(&self, message: MessageId, holders: &[PeerId]) -> usize {
        match self.wishes.get(&message) {
            None => holders.len(),
            Some(wish) => {
                let with = holders.iter().filter(|peer| !wish.without.contains(peer));
                with.count()
            }
        }
    }

    /// Whether one of those that hold a message signed for what is attached, if anything is.
    pub(super) fn is_shared(&self, message: MessageId, holders: &[PeerId]) -> bool {
        self.wishes.get(&message).is_none_or(|wish| {
            let mut holders = holders.iter();
            holders.any(|peer| wish.partners.contains(peer))
        })
    }

    fn is_whole(&self, wish: &Wish) -> bool {
        let here = |blob: &Blob| self.known.get(&blob.hash).is_some_and(|known| known.whole);
        wish.stored && wish.keep.blobs().iter().all(here)
    }

    fn bytes_of(&self, of: impl Fn(&Wish) -> bool) -> u64 {
        let wishes = self.wishes.values().filter(|wish| of(wish));
        wishes.map(|wish| wish.keep.bytes()).sum()
    }

    /// Puts a wish in that was checked.
    ///
    /// # Errors
    /// `MailboxFull`, `TooFast`, `NoRoom`, or `NotStored` if one of its blobs is known with another length.
    fn admit(&mut self, wish: Wish, capacity: u64) -> Result<(), Refusal> {
        let (bytes, tag) = (wish.keep.bytes(), wish.keep.header().tag());
        let of_lane = match wish.keep.header().terms().lane() {
            Lane::Contact => MAX_CONTACT_BYTES,
            Lane::Stranger => MAX_STRANGER_BYTES,
        };
        let twice = self.wishes.contains_key(&wish.keep.message());
        if twice || bytes + self.bytes_of(|other| other.keep.header().tag() == tag) > of_lane {
            return Err(Refusal::MailboxFull);
        }
        let of_peer = (capacity / PART_OF_PEER).max(MAX_BYTES);
        let from = wish.from;
        if from.is_some() && bytes + self.bytes_of(|other| other.from == from) > of_peer {
            return Err(Refusal::TooFast);
        }
        let (mut fresh, mut count) = (0, 0);
        for blob in wish.keep.blobs() {
            match self.known.get(&blob.hash) {
                Some(known) if known.size != blob.size => return Err(Refusal::NotStored),
                Some(_) => {}
                None => (fresh, count) = (fresh + u64::from(blob.size), count + 1),
            }
        }
        if self.held() + fresh > capacity || self.known.len() + count > MAX_KEPT {
            return Err(Refusal::NoRoom);
        }
        for blob in wish.keep.blobs() {
            let (size, whole) = (blob.size, false);
            self.known
                .entry(blob.hash)
                .or_insert_with(|| Known { size, whole });
        }
        self.messages.insert(wish.keep.id(), wish.keep.message());
        self.wishes.insert(wish.keep.message(), wish);
        Ok(())
    }

    /// Takes the wish of a message out, with the blobs that no other names.
    fn remove(&mut self, message: MessageId) -> Option<(Wish, Vec<BlobHash>)> {
        let wish = self.wishes.remove(&message)?;
        self.messages.remove(&wish.keep.id());
        let named = |hash: &BlobHash| {
            let mut wishes = self.wishes.values();
            wishes.any(|wish| wish.keep.blobs().iter().any(|blob| blob.hash == *hash))
        };
        let hashes = wish.keep.blobs().iter().map(|blob| blob.hash);
        let gone: Vec<_> = hashes.filter(|hash| !named(hash)).collect();
        for hash in &gone {
            self.known.remove(hash);
        }
        Some((wish, gone))
    }
}

/// Whether the message of a wish lies here, under the same terms and as long.
fn hangs_on(shelf: &Shelf, keep: &Keep) -> bool {
    let (item, wish) = (shelf.get(keep.message()), keep.header());
    item.is_some_and(|item| {
        let header = &item.header;
        item.stored && header.terms() == wish.terms() && header.expiry() == wish.expiry()
    })
}

impl Custodian {
    /// Blobs that are kept whole, and their bytes.
    pub fn blobs(&self) -> (usize, u64) {
        self.blobs.kept()
    }

    /// Takes back a wish of before.
    pub(super) fn restore_keep(&mut self, keep: Keep, now: Time) {
        let (id, fetch) = (keep.id(), keep.blobs().to_vec());
        let hangs = hangs_on(&self.shelf, &keep);
        let wish = Wish {
            keep,
            from: None,
            stored: true,
            since: now,
            waiting: Vec::new(),
            partners: Vec::new(),
            without: Vec::new(),
        };
        match hangs && self.blobs.admit(wish, self.config.blob_bytes).is_ok() {
            true => self.out.extend(fetch.into_iter().map(Output::Fetch)),
            false => self.out.push_back(Output::Forget(id)),
        }
    }

    pub(super) fn keep(&mut self, from: PeerId, keep: Keep, now: Time, unix: u64) {
        let (id, message) = (keep.id(), keep.message());
        if !self.clients.may_ask(from, now) {
            return self.refuse(from, id, Refusal::TooFast);
        }
        if let Some(signature) = self.shelf.tomb(message, keep.header().tag()) {
            return self.send(from, Message::Buried(message, signature));
        }
        if self.blobs.messages.contains_key(&id) {
            if let Some(wish) = self.blobs.wishes.get_mut(&message)
                && !wish.waiting.contains(&from)
                && wish.waiting.len() < MAX_PEERS
            {
                wish.waiting.push(from);
            }
            return self.tell_whole(message);
        }
        if !hangs_on(&self.shelf, &keep) {
            return self.send(from, Message::Absent(id));
        }
        let wish = Wish {
            keep: keep.clone(),
            from: Some(from),
            stored: false,
            since: now,
            waiting: vec![from],
            partners: Vec::new(),
            without: Vec::new(),
        };
        let checked = keep.header().check(unix);
        match checked.and_then(|()| self.blobs.admit(wish, self.config.blob_bytes)) {
            Ok(()) => self.out.push_back(Output::StoreKeep(keep)),
            Err(refusal) => self.refuse(from, id, refusal),
        }
    }

    /// A wish is durable: its blobs are fetched. False if this is no wish.
    pub(super) fn keep_stored(&mut self, id: MessageId) -> bool {
        let Some(message) = self.blobs.message_of(id) else {
            return false;
        };
        if let Some(wish) = self.blobs.wishes.get_mut(&message) {
            wish.stored = true;
            let blobs = wish.keep.blobs().iter().copied();
            self.out.extend(blobs.map(Output::Fetch));
        }
        self.tell_whole(message);
        true
    }

    /// A blob is here whole, or will not be: it has another length, is not wanted by the person, or does not fit.
    pub(super) fn fetched(&mut self, hash: BlobHash, whole: bool) {
        let Some(known) = self.blobs.known.get_mut(&hash) else {
            return;
        };
        known.whole = whole;
        let wishes = self.blobs.wishes.iter();
        let naming: Vec<_> = wishes
            .filter(|(_, wish)| wish.keep.blobs().iter().any(|blob| blob.hash == hash))
            .map(|(message, _)| *message)
            .collect();
        for message in naming {
            match whole {
                true => self.tell_whole(message),
                false => self.let_go(message),
            }
        }
    }

    /// Signs for a wish to all who wait, if all of its blobs are here.
    fn tell_whole(&mut self, message: MessageId) {
        let wish = self.blobs.wishes.get(&message);
        if !wish.is_some_and(|wish| self.blobs.is_whole(wish)) {
            return;
        }
        let Some(wish) = self.blobs.wishes.get_mut(&message) else {
            return;
        };
        let waiting = std::mem::take(&mut wish.waiting);
        let (id, expiry) = (wish.keep.id(), wish.keep.header().expiry());
        for peer in waiting {
            let signature = sign_receipt(&self.signer, id, expiry);
            self.send(peer, Message::Receipt(id, expiry, signature));
        }
    }

    /// The blobs of a message are kept no longer.
    pub(super) fn let_go(&mut self, message: MessageId) {
        let Some((wish, gone)) = self.blobs.remove(message) else {
            return;
        };
        let id = wish.keep.id();
        self.out.push_back(Output::Forget(id));
        self.out.extend(gone.into_iter().map(Output::Release));
        for peer in wish.waiting {
            self.refuse(peer, id, Refusal::NotStored);
        }
    }

    /// Lets go of what did not come in time.
    pub(super) fn sweep_blobs(&mut self, now: Time) {
        let late = |wish: &Wish| now.since(wish.since) >= COMES_WITHIN;
        let wishes = self.blobs.wishes.iter();
        let late: Vec<_> = wishes
            .filter(|(_, wish)| late(wish) && !self.blobs.is_whole(wish))
            .map(|(message, _)| *message)
            .collect();
        late.into_iter().for_each(|message| self.let_go(message));
    }

    /// These hold a message: they are to keep its blobs too.
    pub(super) fn hand_on(&mut self, message: MessageId, holders: &[PeerId]) {
        let Some(wish) = self.blobs.wishes.get(&message) else {
            return;
        };
        let keep = wish.keep.clone();
        let new = holders.iter().filter(|peer| !wish.partners.contains(peer));
        let new: Vec<_> = new.copied().collect();
        for peer in new {
            self.send(peer, Message::Keep(keep.clone()));
        }
    }

    /// A peer says whether it keeps the blobs of a message. False if this is about something else.
    pub(super) fn kept_by(&mut self, from: PeerId, answer: &Message) -> bool {
        let Some(id) = about(answer) else {
            return false;
        };
        let Some(message) = self.blobs.message_of(id) else {
            return false;
        };
        let Some(wish) = self.blobs.wishes.get_mut(&message) else {
            return true;
        };
        wish.partners.retain(|peer| *peer != from);
        wish.without.retain(|peer| *peer != from);
        let signed = match answer {
            Message::Receipt(_, expiry, signature) => is_receipt(from, id, *expiry, signature),
            _ => false,
        };
        let list = match signed {
            true => &mut wish.partners,
            false => &mut wish.without,
        };
        if list.len() >= MAX_PEERS {
            list.remove(0);
        }
        list.push(from);
        true
    }
}
