//! What a custodian keeps: an index of messages and tombstones, and who may fill how much of it.

use crate::proto::custody::deposit::{Expiry, Header};
use crate::proto::custody::sign::Signature;
use crate::proto::custody::tag::{Lane, Tag, Terms};
use crate::proto::custody::{MessageId, PeerId, Refusal};
use crate::proto::ordered::{Map, Set};

/// Messages of contacts under one tag: 4 MiB.
pub const MAX_CONTACT: usize = 256;

/// Messages of strangers under one tag: 512 KiB, the strongest stamps.
pub const MAX_STRANGER: usize = 32;

/// Tombstones under one tag: what was deleted there, and as much again for what comes late.
pub const MAX_TOMBS: usize = 2 * MAX_CONTACT;

/// Tombstones in all: some 4 MiB of memory.
pub const MAX_ALL_TOMBS: usize = 16 * 1024;

/// That a reader deleted a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Tombstone {
    /// Where it lay.
    pub tag: Tag,
    /// Which.
    pub id: MessageId,
    /// What the reader signed.
    pub signature: Signature,
    /// When nobody can leave it any more.
    pub until: Expiry,
}

/// A message that is kept.
#[derive(Debug)]
pub(super) struct Item {
    pub(super) header: Header,
    pub(super) strength: u8,
    pub(super) stored: bool,
    /// Who left it; unknown after a restart.
    pub(super) from: Option<PeerId>,
    /// Others that proved to hold it, since this run began.
    pub(super) partners: Vec<PeerId>,
}

/// The index.
#[derive(Debug)]
pub(super) struct Shelf {
    capacity: usize,
    items: Map<MessageId, Item>,
    boxes: Map<Tag, Set<MessageId>>,
    ends: Set<(Expiry, MessageId)>,
    /// By id and tag: a tombstone is worth nothing but under the tag whose reader signed it.
    tombs: Map<(MessageId, Tag), (Signature, Expiry)>,
    tomb_counts: Map<Tag, usize>,
    tomb_ends: Set<(Expiry, MessageId, Tag)>,
}

/// What is over.
#[derive(Debug, Default)]
pub(super) struct Over {
    pub(super) messages: Vec<MessageId>,
    pub(super) tombs: Vec<(Tag, MessageId)>,
}

impl Tombstone {
    /// The bytes: tag, id, signature, end.
    pub fn encode(&self) -> Vec<u8> {
        let until = self.until.0.to_be_bytes();
        [&self.tag.0[..], &self.id.0, &self.signature, &until].concat()
    }

    /// Reads a tombstone; `None` if these are no such bytes.
    pub fn decode(bytes: &[u8]) -> Option<Self> {
        let (tag, rest) = bytes.split_first_chunk()?;
        let (id, rest) = rest.split_first_chunk()?;
        let (signature, until) = rest.split_first_chunk()?;
        Some(Self {
            tag: Tag(*tag),
            id: MessageId(*id),
            signature: *signature,
            until: Expiry(u32::from_be_bytes(until.try_into().ok()?)),
        })
    }
}

impl Shelf {
    pub(super) fn new(capacity: usize) -> Self {
        Self {
            capacity,
            items: Map::new(),
            boxes: Map::new(),
            ends: Set::new(),
            tombs: Map::new(),
            tomb_counts: Map::new(),
            tomb_ends: Set::new(),
        }
    }

    /// Sets how many are kept in all, and takes out what is more: those that end first.
    pub(super) fn set_capacity(&mut self, capacity: usize) -> Vec<MessageId> {
        self.capacity = capacity;
        let mut gone = self.by_end();
        gone.truncate(self.len().saturating_sub(capacity));
        for id in &gone {
            self.remove(*id);
        }
        gone
    }

    /// All of them, those that end first in front.
    pub(super) fn by_end(&self) -> Vec<MessageId> {
        self.ends.iter().map(|(_, id)| *id).collect()
    }

    pub(super) fn len(&self) -> usize {
        self.items.len()
    }

    pub(super) fn get(&self, id: MessageId) -> Option<&Item> {
        self.items.get(&id)
    }

    pub(super) fn get_mut(&mut self, id: MessageId) -> Option<&mut Item> {
        self.items.get_mut(&id)
    }

    pub(super) fn items_mut(&mut self) -> impl Iterator<Item = (&MessageId, &mut Item)> {
        self.items.iter_mut()
    }

    /// What lies durably under a tag.
    pub(super) fn stored(&self, tag: Tag) -> impl Iterator<Item = MessageId> + '_ {
        let ids = self
            .boxes
            .get(&tag)
            .into_iter()
            .flat_map(Set::iter)
            .copied();
        ids.filter(|id| self.items.get(id).is_some_and(|item| item.stored))
    }

    pub(super) fn tomb(&self, id: MessageId, tag: Tag) -> Option<Signature> {
        self.tombs.get(&(id, tag)).map(|(signature, _)| *signature)
    }

    /// A tombstone of an id, under whatever tag: whoever asks can tell whether it is true.
    pub(super) fn any_tomb(&self, id: MessageId) -> Option<Signature> {
        let range = (id, Tag([0; 32]))..=(id, Tag([0xff; 32]));
        self.tombs
            .range(range)
            .next()
            .map(|(_, (signature, _))| *signature)
    }

    /// Makes room for a message that was checked and puts it in; the one that had to go for it.
    ///
    /// # Errors
    /// `MailboxFull` or `NoRoom`.
    pub(super) fn admit(
        &mut self,
        header: Header,
        from: Option<PeerId>,
    ) -> Result<Option<MessageId>, Refusal> {
        let strength = header.strength();
        let evicted = self.room_for(&header, strength, from)?;
        if let Some(id) = evicted {
            self.remove(id);
        }
        let id = header.id();
        self.boxes.entry(header.tag()).or_default().insert(id);
        self.ends.insert((header.expiry(), id));
        let item = Item {
            header,
            strength,
            stored: false,
            from,
            partners: Vec::new(),
        };
        self.items.insert(id, item);
        Ok(evicted)
    }

    /// Takes a message out.
    pub(super) fn remove(&mut self, id: MessageId) -> Option<Item> {
        let item = self.items.remove(&id)?;
        let tag = item.header.tag();
        self.ends.remove(&(item.header.expiry(), id));
        if let Some(ids) = self.boxes.get_mut(&tag) {
            ids.remove(&id);
            if ids.is_empty() {
                self.boxes.remove(&tag);
            }
        }
        Some(item)
    }

    /// Remembers that a message was deleted, with the tombstone that had to go for it; `None` if that is known or there is no room.
    pub(super) fn bury(
        &mut self,
        terms: &Terms,
        id: MessageId,
        signature: Signature,
    ) -> Option<(Tombstone, Option<(Tag, MessageId)>)> {
        let tag = terms.tag();
        let latest = Expiry(u32::try_from(terms.latest() / super::HOUR).unwrap_or(u32::MAX));
        let held = self.items.get(&id).filter(|item| item.header.tag() == tag);
        let until = held.map_or(latest, |item| item.header.expiry().min(latest));
        let tomb = Tombstone {
            tag,
            id,
            signature,
            until,
        };
        self.put_tomb(tomb).ok().map(|gone| (tomb, gone))
    }

    /// The one that had to go for it.
    ///
    /// # Errors
    /// `MailboxFull` if it is known, or there is no room.
    pub(super) fn put_tomb(
        &mut self,
        tomb: Tombstone,
    ) -> Result<Option<(Tag, MessageId)>, Refusal> {
        let Tombstone { tag, id, until, .. } = tomb;
        let count = self.tomb_counts.get(&tag).copied().unwrap_or_default();
        if count >= MAX_TOMBS || self.tombs.contains_key(&(id, tag)) {
            return Err(Refusal::MailboxFull);
        }
        let full = self.tombs.len() >= MAX_ALL_TOMBS;
        let gone = full.then(|| self.drop_first_tomb()).flatten();
        self.tombs.insert((id, tag), (tomb.signature, until));
        self.tomb_ends.insert((until, id, tag));
        *self.tomb_counts.entry(tag).or_default() += 1;
        Ok(gone)
    }

    /// Takes out what is over at `unix`, seconds since 1970.
    pub(super) fn expire(&mut self, unix: u64) -> Over {
        let mut over = Over::default();
        while let Some((_, id)) = self.ends.first().filter(|(end, _)| end.unix() <= unix) {
            let id = *id;
            self.remove(id);
            over.messages.push(id);
        }
        while self
            .tomb_ends
            .first()
            .is_some_and(|(end, ..)| end.unix() <= unix)
        {
            over.tombs.extend(self.drop_first_tomb());
        }
        over
    }

    fn drop_first_tomb(&mut self) -> Option<(Tag, MessageId)> {
        let (_, id, tag) = self.tomb_ends.pop_first()?;
        self.tombs.remove(&(id, tag));
        if let Some(count) = self.tomb_counts.get_mut(&tag) {
            *count -= 1;
            if *count == 0 {
                self.tomb_counts.remove(&tag);
            }
        }
        Some((tag, id))
    }

    fn room_for(
        &self,
        header: &Header,
        strength: u8,
        from: Option<PeerId>,
    ) -> Result<Option<MessageId>, Refusal> {
        let ids = self.boxes.get(&header.tag());
        let count = ids.map_or(0, Set::len);
        match header.terms().lane() {
            Lane::Contact if count >= MAX_CONTACT => return Err(Refusal::MailboxFull),
            Lane::Stranger if count >= MAX_STRANGER => {
                let weakest = ids
                    .into_iter()
                    .flat_map(Set::iter)
                    .filter_map(|id| Some((self.items.get(id)?.strength, *id)))
                    .min();
                return match weakest {
                    Some((least, id)) if least < strength => Ok(Some(id)),
                    _ => Err(Refusal::MailboxFull),
                };
            }
            _ => {}
        }
        if self.items.len() < self.capacity {
            return Ok(None);
        }
        self.fair_victim(from).map(Some).ok_or(Refusal::NoRoom)
    }

    /// When all is full, whoever takes the most gives way to whoever takes less: the one of its messages that ends first. What is
    /// there from before a restart stays.
    fn fair_victim(&self, from: Option<PeerId>) -> Option<MessageId> {
        let mut counts: Map<PeerId, usize> = Map::new();
        for peer in self.items.values().filter_map(|item| item.from) {
            *counts.entry(peer).or_default() += 1;
        }
        let own = from.and_then(|peer| counts.get(&peer).copied());
        let (most, count) = counts.into_iter().max_by_key(|(_, count)| *count)?;
        if count <= own.unwrap_or_default() + 1 {
            return None;
        }
        let of_most = |(_, id): &&(Expiry, MessageId)| {
            self.items
                .get(id)
                .is_some_and(|item| item.from == Some(most))
        };
        self.ends.iter().find(of_most).map(|(_, id)| *id)
    }
}
