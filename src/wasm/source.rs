//! Page things as Rust things: readable streams as streams, abort signals as the end of a future.

use bytes::Bytes;
use futures::channel::oneshot;
use futures::future::{Either, select};
use futures::{Stream, stream};
use js_sys::{Reflect, Uint8Array};
use wasm_bindgen::prelude::*;
use wasm_bindgen_futures::JsFuture;
use web_sys::{AbortSignal, ReadableStreamDefaultReader};

use super::error::describe;
use crate::node::{Error, Result};

/// The chunks of a `ReadableStreamDefaultReader<Uint8Array>`; cancels the reader when dropped before the end.
pub(super) fn chunks(
    reader: ReadableStreamDefaultReader,
) -> impl Stream<Item = Result<Bytes, String>> {
    stream::unfold(Some(Cancel(reader)), |reader| async move {
        let reader = reader?;
        match next(&reader.0).await {
            Ok(Some(bytes)) => Some((Ok(bytes), Some(reader))),
            Ok(None) => {
                drop(reader);
                None
            }
            Err(error) => Some((Err(error), None)),
        }
    })
}

/// A reader that is cancelled when it is dropped.
pub(super) struct Cancel(pub ReadableStreamDefaultReader);

impl Drop for Cancel {
    fn drop(&mut self) {
        let _ = self.0.cancel();
    }
}

async fn next(reader: &ReadableStreamDefaultReader) -> Result<Option<Bytes>, String> {
    let Some(value) = next_value(reader).await? else {
        return Ok(None);
    };
    match value.dyn_into::<Uint8Array>() {
        Ok(array) => Ok(Some(array.to_vec().into())),
        Err(_) => Err("the stream holds something other than Uint8Array".into()),
    }
}

/// What a reader yields next, `None` at its end.
pub(super) async fn next_value(
    reader: &ReadableStreamDefaultReader,
) -> Result<Option<JsValue>, String> {
    let read = JsFuture::from(reader.read())
        .await
        .map_err(|error| describe(&error))?;
    let field = |name: &str| Reflect::get(&read, &name.into()).map_err(|error| describe(&error));
    match field("done")?.is_truthy() {
        true => Ok(None),
        false => field("value").map(Some),
    }
}

/// Runs `future`, and drops it when `signal` fires.
pub(super) async fn abortable<T>(
    signal: Option<AbortSignal>,
    future: impl Future<Output = Result<T>>,
) -> Result<T> {
    let Some(signal) = signal else {
        return future.await;
    };
    if signal.aborted() {
        return Err(Error::Aborted);
    }
    let (abort, aborted) = oneshot::channel();
    let listener = Closure::once(move || {
        let _ = abort.send(());
    });
    let _ = signal.add_event_listener_with_callback("abort", listener.as_ref().unchecked_ref());
    let result = match select(std::pin::pin!(future), aborted).await {
        Either::Left((result, _)) => result,
        Either::Right(_) => Err(Error::Aborted),
    };
    let _ = signal.remove_event_listener_with_callback("abort", listener.as_ref().unchecked_ref());
    result
}
