//! Names, as callers of the node see them: publish, resolve, watch, hold.

use bytes::{Buf, BufMut, Bytes, BytesMut};
use cid::Cid;
use futures::Stream;
use futures::channel::mpsc;

use super::command::Command;
use super::error::Result;
use super::{Node, rt};
use crate::proto::keys::SiteKey;
use crate::proto::name::Name;
use crate::proto::name::heads::MAX_FOLLOWED;
use crate::proto::name::record::{MAX_RECORD, Record};
use crate::store::Store;

/// How long a record holds that is published without a word on it: 90 days. Ours: a reader who was away for a season finds the
/// site, and a publisher who comes by once in a while renews it.
pub const LIFETIME_MILLIS: u64 = 90 * 24 * 60 * 60 * 1000;

/// How long a reader may do without asking again: five minutes (IPNS record specification, "TTL").
pub const TTL_NANOS: u64 = 5 * 60 * 1_000_000_000;

/// Heads that may wait for whoever watches a name; a watcher that lets more pile up is let go.
pub(super) const WATCH_QUEUE: usize = 16;

/// What the names start with in the store: one value each.
const STORED: &str = "name/";

/// Name of the stored value that lists the names that are held.
pub(super) const HELD: &str = "names";

/// Version of a stored name; `docs/names.md` has the table.
const VERSION: u8 = 1;

/// What a name leads to, as far as is known here.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Head {
    /// The name.
    pub name: Name,
    /// The CID it leads to, if it leads to one.
    pub cid: Option<Cid>,
    /// What it leads to, as it was signed.
    pub value: String,
    /// The record's number: a newer record has a higher one.
    pub sequence: u64,
    /// Until when the record holds, in milliseconds since 1970.
    pub valid_until: u64,
    /// What else the same key signed under the same number: two machines publish with one key, or it was stolen.
    pub fork: Option<String>,
    /// Servers of the indexes that had this record when they were last asked, or took it.
    pub holders: usize,
    /// The signed record.
    pub record: Bytes,
}

impl Head {
    pub(super) fn new(record: &Record, fork: Option<&Record>, holders: usize) -> Self {
        Self {
            name: record.name(),
            cid: record.cid(),
            value: record.value().to_owned(),
            sequence: record.sequence(),
            valid_until: record.validity().unix_millis(),
            fork: fork.map(|other| other.value().to_owned()),
            holders,
            record: record.bytes().clone(),
        }
    }

    /// Whether the record's end has passed.
    pub fn is_over(&self) -> bool {
        self.valid_until < rt::unix_millis()
    }
}

/// The names of a node; from [`Node::names`].
#[derive(Debug)]
pub struct Names<'a, S: Store> {
    node: &'a Node<S>,
}

/// What the store has of a name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Stored {
    pub record: Record,
    pub fork: Option<Record>,
}

impl<S: Store> Node<S> {
    /// What has to do with names.
    pub fn names(&self) -> Names<'_, S> {
        Names { node: self }
    }
}

impl<S: Store> Names<'_, S> {
    /// Signs that the key's name leads to `cid` from now on, and tells those who follow it and the indexes. Ends when these have
    /// answered; [`Head::holders`] says how many have the record. With none it is told as soon as somebody can be reached.
    ///
    /// Before the first publication in a run the indexes are asked for the latest number, so that a key that was restored
    /// from its words goes on where it was.
    ///
    /// # Errors
    /// `Closed`, `Internal`, or `Record` if the node follows as many names as it can.
    pub async fn publish(&self, key: &SiteKey, cid: &Cid) -> Result<Head> {
        let known = self.stored(key.name()).await?;
        let (key, cid) = (Box::new(key.clone()), *cid);
        let asked = self.node.ask(|reply| Command::PublishName {
            key,
            cid,
            known,
            reply,
        });
        asked.await?
    }

    /// Finds out what a name leads to: asks the indexes and the linked peers, and takes the best of all that they and the store
    /// have.
    ///
    /// # Errors
    /// `Denied`, `NotFound` or `NoRelay` after a bounded wait.
    pub async fn resolve(&self, name: Name) -> Result<Head> {
        self.node.check_name(name)?;
        let known = self.stored(name).await?;
        let asked = self
            .node
            .ask(|reply| Command::ResolveName { name, known, reply });
        asked.await?
    }

    /// Follows a name until the stream is dropped: what is known now, if anything, and every newer head as it comes. Ends when the
    /// node stops, or when whoever watches lets 16 heads pile up.
    ///
    /// # Errors
    /// `Denied`, `Closed`, or `Record` if the node follows as many names as it can.
    pub async fn watch(&self, name: Name) -> Result<impl Stream<Item = Head> + use<S>> {
        self.node.check_name(name)?;
        let known = self.stored(name).await?;
        let (heads, watched) = mpsc::channel(WATCH_QUEUE);
        let asked = self.node.ask(|reply| Command::WatchName {
            name,
            known,
            heads,
            reply,
        });
        asked.await??;
        Ok(watched)
    }

    /// Keeps a name known to others (publishes its record again, tells who asks) for as long as the node runs and after a restart,
    /// or no longer.
    ///
    /// # Errors
    /// `Closed`, `Store`, or `Record` if the node follows as many names as it can.
    pub async fn hold(&self, name: Name, hold: bool) -> Result<()> {
        let known = self.stored(name).await?;
        let asked = self.node.ask(|reply| Command::HoldName {
            name,
            known,
            hold,
            reply,
        });
        let held = asked.await??;
        let list: Vec<u8> = held.iter().flat_map(|name| name.0).collect();
        Ok(self.node.store.set_value(HELD, Some(list.into())).await?)
    }

    /// What was last known of a name, without asking anybody.
    ///
    /// # Errors
    /// `Store`.
    pub async fn known(&self, name: Name) -> Result<Option<Head>> {
        let stored = self.stored(name).await?;
        Ok(stored.map(|stored| Head::new(&stored.record, stored.fork.as_ref(), 0)))
    }

    /// Takes up what was held when the node last ran.
    pub(super) async fn take_up(&self) -> Result<()> {
        let list = self.node.store.value(HELD).await?.unwrap_or_default();
        let names = list.chunks_exact(32).take(MAX_FOLLOWED);
        for name in names.filter_map(|name| name.try_into().ok()).map(Name) {
            let known = self.stored(name).await?;
            let asked = self.node.ask(|reply| Command::HoldName {
                name,
                known,
                hold: true,
                reply,
            });
            asked.await??;
        }
        Ok(())
    }

    async fn stored(&self, name: Name) -> Result<Option<Box<Stored>>> {
        let value = self.node.store.value(&stored_as(name)).await?;
        Ok(value.and_then(|bytes| Stored::decode(name, &bytes).map(Box::new)))
    }
}

/// The name of the value in the store.
pub(super) fn stored_as(name: Name) -> String {
    format!("{STORED}{name}")
}

impl Stored {
    pub fn encode(&self) -> Bytes {
        let mut out = BytesMut::new();
        out.put_u8(VERSION);
        let fork = self.fork.as_ref().map(|other| other.bytes());
        for record in [Some(self.record.bytes()), fork] {
            let record = record.map_or(&[][..], |record| record);
            out.put_u16(record.len() as u16);
            out.put_slice(record);
        }
        out.freeze()
    }

    pub fn decode(name: Name, mut bytes: &[u8]) -> Option<Self> {
        if bytes.try_get_u8().ok()? != VERSION {
            return None;
        }
        let mut records = [None, None];
        for record in &mut records {
            let length = usize::from(bytes.try_get_u16().ok()?);
            if length > MAX_RECORD {
                return None;
            }
            let (here, rest) = bytes.split_at_checked(length)?;
            bytes = rest;
            if length > 0 {
                *record = Some(Record::verify(name, here).ok()?);
            }
        }
        let [record, fork] = records;
        record
            .filter(|_| bytes.is_empty())
            .map(|record| Self { record, fork })
    }
}

#[cfg(all(test, not(target_arch = "wasm32")))]
mod tests {
    #![allow(clippy::unwrap_used)]
    use proptest::prelude::*;

    use super::*;
    use crate::proto::name::record::Draft;
    use crate::proto::name::validity::Validity;

    fn record(value: &str) -> Record {
        let draft = Draft {
            value: value.into(),
            sequence: 3,
            validity: Validity::from_unix_millis(77),
            ttl_nanos: 0,
        };
        Record::sign(&SiteKey::from_seed([5; 32]), draft).unwrap()
    }

    #[test]
    fn comes_back_with_and_without_a_fork() {
        let record = record("/ipfs/a");
        let name = record.name();
        for fork in [None, Some(self::record("/ipfs/b"))] {
            let record = record.clone();
            let stored = Stored { record, fork };
            let bytes = stored.encode();
            assert_eq!(Stored::decode(name, &bytes), Some(stored));
            assert_eq!(Stored::decode(Name([1; 32]), &bytes), None);
            assert_eq!(Stored::decode(name, &bytes[..bytes.len() - 1]), None);
            let mut newer = bytes.to_vec();
            newer[0] = VERSION + 1;
            assert_eq!(Stored::decode(name, &newer), None);
        }
    }

    proptest! {
        #[test]
        fn any_bytes_are_looked_at_without_panic(bytes in prop::collection::vec(any::<u8>(), 0..100)) {
            prop_assert_eq!(Stored::decode(Name([1; 32]), &bytes), None);
        }
    }
}
