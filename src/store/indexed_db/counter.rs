//! The numbers beside the rows: schema version, next row, bytes used, those of others, the person's cap.

use rexie::Transaction;
use wasm_bindgen::JsValue;

use super::malformed;
use super::schema::COUNTERS;
use super::transaction::{Step, failed, step, store};
use crate::store::Result;

/// The version up to which migrations have run.
pub(super) const SCHEMA: &str = "schema";
/// The id of the next row.
pub(super) const NEXT_ROW: &str = "next_row";
/// Bytes of chunk data under all rows, and of what is kept for others.
pub(super) const USED: &str = "used";
/// Bytes of what is kept for others alone.
pub(super) const KEPT: &str = "kept";
/// The person's cap in bytes; without a record there is none.
pub(super) const CAP: &str = "cap";

/// Numbers are stored as JavaScript numbers, exact up to this one (2^53 - 1).
const MAX_NUMBER: u64 = (1 << 53) - 1;

/// Reads a counter, 0 if it was never written.
pub(super) async fn get(tx: &Transaction, name: &str) -> Result<u64> {
    Ok(find(tx, name).await?.unwrap_or(0))
}

/// Reads the person's cap in bytes.
pub(super) async fn cap(tx: &Transaction) -> Result<u64> {
    Ok(find(tx, CAP).await?.unwrap_or(u64::MAX))
}

pub(super) fn find<'a>(tx: &'a Transaction, name: &'a str) -> Step<'a, Option<u64>> {
    step(async move {
        let value = store(tx, COUNTERS)?
            .get(name.into())
            .await
            .map_err(failed)?;
        value
            .map(|value| to_number(&value).ok_or_else(|| malformed("counter")))
            .transpose()
    })
}

pub(super) fn put<'a>(tx: &'a Transaction, name: &'a str, value: u64) -> Step<'a, ()> {
    step(async move {
        let value = from_number(value);
        store(tx, COUNTERS)?
            .put(&value, Some(&name.into()))
            .await
            .map(drop)
            .map_err(failed)
    })
}

/// As a JavaScript number; what is larger than it can hold exactly is cut to the largest.
pub(super) fn from_number(value: u64) -> JsValue {
    JsValue::from_f64(value.min(MAX_NUMBER) as f64)
}

pub(super) fn to_number(value: &JsValue) -> Option<u64> {
    let number = value.as_f64()?;
    let exact = number.fract() == 0.0 && (0.0..=MAX_NUMBER as f64).contains(&number);
    exact.then_some(number as u64)
}
