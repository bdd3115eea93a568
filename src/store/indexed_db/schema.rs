//! The shape of the database, its version, and the way from every older version to this one.
//!
//! The version is the number of migrations plus one: whoever changes what is stored must write the step that brings
//! old databases along, or the version does not change. The version stands in the database twice. IndexedDB's own
//! number refuses older code; the counter `schema` tells which migrations have run, and is written in the very
//! transaction that runs them, so an interrupted migration starts over from where it was.

use futures::future::LocalBoxFuture;
use rexie::{Index, ObjectStore, Rexie, Transaction};

use super::transaction::{self, dom_exception_name, failed};
use super::{chunk, counter, row};
use crate::rt;
use crate::store::{Result, StoreError};

/// Brings the content of a database from one version to the next, within the transaction that it is given.
/// It must await nothing but requests of that transaction. An error undoes all of it.
pub type Migration = for<'tx> fn(&'tx Transaction) -> LocalBoxFuture<'tx, Result<()>>;

/// The history of the schema.
#[derive(Debug, Clone, Copy)]
pub struct Schema {
    /// Step `n` leads from version `n + 1` to `n + 2`.
    pub migrations: &'static [Migration],
}

/// The schema of this version of Gyre. Steps are only ever appended.
pub const CURRENT: Schema = Schema {
    migrations: &[for_others],
};

/// To version 2: what is kept for others. Its object stores are made as the database is opened.
fn for_others(tx: &Transaction) -> LocalBoxFuture<'_, Result<()>> {
    counter::put(tx, counter::KEPT, 0)
}

/// Object store of blob rows: `{id, hash?, size?, tree, pinned, meta, stored}`, key path `id`, unique index on `hash`.
pub const ROWS: &str = "rows";
/// Object store of chunks: key `row * 2^22 + index`, value `[data, proof]`.
pub const CHUNKS: &str = "chunks";
/// Object store of small values: key is the name, value a `Uint8Array`.
pub const VALUES: &str = "values";
/// Object store of numbers: `schema`, `next_row`, `used`, `kept`, `cap`.
pub const COUNTERS: &str = "counters";
/// Object store of what is kept for others: key is its key, value a `Uint8Array` of key, four bytes of what it counts, and head.
pub const KEPT_HEADS: &str = "kept_heads";
/// The bodies to these: key is the key, value a `Uint8Array`.
pub const KEPT_BODIES: &str = "kept_bodies";
/// The index over the hashes of rows; rows of unfinished imports are not in it.
pub const HASH_INDEX: &str = "hash";

pub(super) const STORES: [&str; 6] = [ROWS, CHUNKS, VALUES, COUNTERS, KEPT_HEADS, KEPT_BODIES];

impl Schema {
    /// The version that the last step leads to; a database without any step is version 1.
    pub fn version(&self) -> u32 {
        self.migrations.len() as u32 + 1
    }

    /// Opens the database, makes what is missing, migrates it and puts its books in order.
    pub(super) async fn open(&self, name: &str) -> Result<Rexie> {
        let rows = ObjectStore::new(ROWS)
            .key_path(row::ID)
            .add_index(Index::new(HASH_INDEX, row::HASH).unique(true));
        let mut builder = Rexie::builder(name)
            .version(self.version())
            .add_object_store(rows);
        for name in STORES.into_iter().filter(|name| *name != ROWS) {
            builder = builder.add_object_store(ObjectStore::new(name));
        }
        let opened = builder.build().await;
        let database = match opened {
            Ok(database) => database,
            Err(error) if dom_exception_name(&error).as_deref() == Some("VersionError") => {
                return Err(self.newer(name).await);
            }
            Err(error) => return Err(failed(error)),
        };
        let schema = *self;
        let prepared = transaction::write(&database, async move |tx| {
            schema.migrate(tx).await?;
            balance(tx).await
        });
        match prepared.await {
            Ok(()) => Ok(database),
            Err(error) => {
                database.close();
                Err(error)
            }
        }
    }

    async fn newer(&self, name: &str) -> StoreError {
        let found = match Rexie::builder(name).build().await {
            Ok(database) => {
                let version = database.version();
                database.close();
                version
            }
            Err(error) => Err(error),
        };
        match found {
            Ok(found) => StoreError::Newer {
                found,
                known: self.version(),
            },
            Err(error) => failed(error),
        }
    }

    async fn migrate(&self, tx: &Transaction) -> Result<()> {
        let known = self.version();
        let found = match counter::find(tx, counter::SCHEMA).await? {
            Some(found) => u32::try_from(found).unwrap_or(u32::MAX),
            None if row::all(tx).await?.is_empty() => known,
            None => {
                return Err(StoreError::Backend(
                    "the database has no schema version".into(),
                ));
            }
        };
        if found > known {
            return Err(StoreError::Newer { found, known });
        }
        for migration in &self.migrations[found.saturating_sub(1) as usize..] {
            migration(tx).await?;
        }
        counter::put(tx, counter::SCHEMA, u64::from(known)).await
    }
}

/// Removes imports that never ended and recomputes what follows from the rows.
async fn balance(tx: &Transaction) -> Result<()> {
    let mut used = counter::get(tx, counter::KEPT).await?;
    let mut next_row = counter::get(tx, counter::NEXT_ROW).await?;
    let booked = counter::get(tx, counter::USED).await?;
    let mut unfinished = 0;
    for row in row::all(tx).await? {
        next_row = next_row.max(row.id.0.saturating_add(1));
        if row.hash.is_some() {
            used += row.stored_bytes;
        } else {
            unfinished += row.stored_bytes;
            chunk::remove_all(tx, row.id).await?;
            row::remove(tx, row.id).await?;
        }
    }
    if booked != used + unfinished {
        rt::warning!(
            booked = booked,
            counted = used + unfinished,
            "the store's books were wrong"
        );
    }
    counter::put(tx, counter::NEXT_ROW, next_row).await?;
    counter::put(tx, counter::USED, used).await
}
