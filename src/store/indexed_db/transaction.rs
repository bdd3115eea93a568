//! One transaction from begin to commit, and what the platform's errors mean.

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
    let tx = begin(database, stores, TransactionMode::ReadOnly)?;
    body(&tx).await
}

/// Runs `body` in a readwrite transaction over all stores: committed if it succeeds, undone if it fails.
pub(super) async fn write<T>(
    database: &Rexie,
    body: impl AsyncFnOnce(&Transaction) -> Result<T>,
) -> Result<T> {
    let tx = begin(database, &STORES, TransactionMode::ReadWrite)?;
    match body(&tx).await {
        Ok(value) => commit(database, tx).await.map(|()| value),
        Err(error) => {
            abort(tx).await;
            Err(error)
        }
    }
}

fn commit(database: &Rexie, tx: Transaction) -> Step<'_, ()> {
    step(async move {
        match tx.commit().await {
            Ok(()) => Ok(()),
            Err(rexie::Error::TransactioncommitFailed) => Err(refused(database).await),
            Err(error) => Err(failed(error)),
        }
    })
}

fn abort(tx: Transaction) -> LocalBoxFuture<'static, ()> {
    // Fails only if the platform has aborted it already, for the reason that its writer is about to be told.
    async move { drop(tx.abort().await) }.boxed_local()
}

fn begin(database: &Rexie, stores: &[&str], mode: TransactionMode) -> Result<Transaction> {
    database.transaction(stores, mode).map_err(failed)
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
    StoreError::Backend(match error {
        rexie::Error::IdbError(cause) => cause.to_string(),
        error => error.to_string(),
    })
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
