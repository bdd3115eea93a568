//! Calls as promises, all of one kind: an `async` method of the JS surface would bring two kilobytes of glue along, each.

use futures::FutureExt;
use futures::future::LocalBoxFuture;
use js_sys::Promise;
use serde::Serialize;
use wasm_bindgen::JsValue;
use wasm_bindgen_futures::future_to_promise;
use web_sys::AbortSignal;

use super::error::to_js;
use super::node::snapshot;
use super::source::abortable;
use crate::node::Result;

/// The promise of what a call comes to.
pub(super) fn promise(work: impl Future<Output = Result<JsValue>> + 'static) -> Promise {
    begin(None, work.boxed_local())
}

/// The same, given up when `signal` fires.
pub(super) fn promise_until(
    signal: Option<AbortSignal>,
    work: impl Future<Output = Result<JsValue>> + 'static,
) -> Promise {
    begin(signal, work.boxed_local())
}

/// What a call without a result comes to.
pub(super) fn nothing() -> Result<JsValue> {
    Ok(JsValue::UNDEFINED)
}

/// A plain object as what a call comes to.
pub(super) fn object(value: &impl Serialize) -> Result<JsValue> {
    Ok(snapshot(value))
}

fn begin(signal: Option<AbortSignal>, work: LocalBoxFuture<'static, Result<JsValue>>) -> Promise {
    future_to_promise(async move { abortable(signal, work).await.map_err(|error| to_js(&error)) })
}
