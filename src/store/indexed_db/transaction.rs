//! One transaction from begin to commit, and what the platform's errors mean.

use std::error::Error;

use futures::FutureExt;
use futures::future::LocalBoxFuture;
use rexie::{Rexie, Transaction, TransactionMode};

use super::schema::{COUNTERS, STORES};
use crate::store::{Result, StoreError};

/// Runs `body` in a read-only transaction over `stores`.
pub(super) async fn read<T>(
    database: &Rexie,
    stores: &[&str],
    body: impl AsyncFnOnce(&Transaction) -> Result<T>,
) -> Result<T> {
    let tx = database
        .transaction(stores, TransactionMode::ReadOnly)
        .map_err(failed)?;
    body(&tx).await
}

/// Runs `body` in a readwrite transaction over all stores: committed if it succeeds, undone if it fails.
pub(super) async fn write<T>(
    database: &Rexie,
    body: impl AsyncFnOnce(&Transaction) -> Result<T>,
) -> Result<T> {
    let tx = database
        .transaction(&STORES, TransactionMode::ReadWrite)
        .map_err(failed)?;
    match body(&tx).await {
        Ok(value) => match tx.commit().await {
            Ok(()) => Ok(value),
            Err(rexie::Error::TransactioncommitFailed) => Err(refused(database).await),
            Err(error) => Err(failed(error)),
        },
        Err(error) => {
            // Fails only if the platform has aborted it already, for the reason that we are about to return.
            tx.abort().await.ok();
            Err(error)
        }
    }
}

/// A part of what is done in a transaction, on the heap: who awaits it would else have all of its states in its own, once for
/// every caller.
pub(super) type Step<'a, T> = LocalBoxFuture<'a, Result<T>>;

pub(super) fn step<'a, T>(work: impl Future<Output = Result<T>> + 'a) -> Step<'a, T> {
    work.boxed_local()
}

/// An object store within a transaction that covers it.
pub(super) fn store(tx: &Transaction, name: &str) -> Result<rexie::Store> {
    tx.store(name).map_err(failed)
}

/// The error of a single request.
pub(super) fn failed(error: rexie::Error) -> StoreError {
    if dom_exception_name(&error).is_some_and(|name| name == "QuotaExceededError") {
        return StoreError::QuotaExceeded;
    }
    match error.source() {
        Some(source) => StoreError::Backend(source.to_string()),
        None => StoreError::Backend(error.to_string()),
    }
}

/// The name of the `DOMException` behind an error, if that is what it is.
pub(super) fn dom_exception_name(error: &rexie::Error) -> Option<String> {
    match error {
        rexie::Error::IdbError(idb::Error::DomException(exception)) => Some(exception.name()),
        _ => None,
    }
}

/// Why the platform took back a transaction whose every request had succeeded.
///
/// Chromium checks the quota at the commit, and rexie does not pass on the reason of an abort. What is left at that
/// point is a lack of room or a failing disk; after the latter the connection is closed under us and cannot be read.
async fn refused(database: &Rexie) -> StoreError {
    let alive = read(database, &[COUNTERS], async |tx| {
        store(tx, COUNTERS)?.count(None).await.map_err(failed)
    });
    match alive.await {
        Ok(_) => StoreError::QuotaExceeded,
        Err(error) => error,
    }
}
