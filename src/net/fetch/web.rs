//! The page's `fetch`.

use bytes::Bytes;
use futures::FutureExt;
use futures::future::LocalBoxFuture;
use js_sys::{Reflect, Uint8Array};
use wasm_bindgen::{JsCast, JsValue};
use wasm_bindgen_futures::JsFuture;
use web_sys::{
    AbortController, Headers, ReadableStreamDefaultReader, ReferrerPolicy, RequestCache,
    RequestCredentials, RequestInit, Response, Window,
};

use super::{Body, Fetch, Request};
use crate::proto::web_seed::Fault;

/// `fetch` of this page or worker.
#[derive(Debug)]
pub struct PageFetch;

impl Fetch for PageFetch {
    fn get(&self, request: Request) -> LocalBoxFuture<'static, Result<Bytes, Fault>> {
        get(request).boxed_local()
    }
}

/// Ends the request, the body included, unless it has ended.
struct Abort(AbortController);

impl Drop for Abort {
    fn drop(&mut self) {
        self.0.abort();
    }
}

async fn get(request: Request) -> Result<Bytes, Fault> {
    let abort = Abort(AbortController::new().map_err(unreachable)?);
    let response = JsFuture::from(send(&request, &abort.0).map_err(unreachable)?)
        .await
        .map_err(unreachable)?;
    let response: Response = response.unchecked_into();
    let length = response.headers().get("content-length").ok().flatten();
    let length = length.and_then(|length| length.parse().ok());
    // A body that was compressed for the way is longer than announced.
    let encoded = response.headers().has("content-encoding").unwrap_or(true);
    let length = length.filter(|_| !encoded);
    let mut body = Body::begin(&request, response.status(), length)?;
    let Some(stream) = response.body() else {
        return body.end();
    };
    let reader: ReadableStreamDefaultReader = stream.get_reader().unchecked_into();
    loop {
        let read = JsFuture::from(reader.read()).await.map_err(broken)?;
        let done = Reflect::get(&read, &"done".into()).map_err(broken)?;
        if done.is_truthy() {
            return body.end();
        }
        let piece = Reflect::get(&read, &"value".into()).map_err(broken)?;
        body.push(&piece.unchecked_into::<Uint8Array>().to_vec())?;
    }
}

fn send(request: &Request, abort: &AbortController) -> Result<js_sys::Promise, JsValue> {
    let init = RequestInit::new();
    init.set_credentials(RequestCredentials::Omit);
    init.set_referrer_policy(ReferrerPolicy::NoReferrer);
    // What is kept is kept in the store.
    init.set_cache(RequestCache::NoStore);
    init.set_signal(Some(&abort.signal()));
    if let Some(range) = request.range_header() {
        let headers = Headers::new()?;
        headers.set("range", &range)?;
        init.set_headers(&headers);
    }
    // A worker has no window, but the same function.
    let scope: Window = js_sys::global().unchecked_into();
    Ok(scope.fetch_with_str_and_init(&request.address, &init))
}

fn unreachable(_: JsValue) -> Fault {
    Fault::Unreachable
}

fn broken(_: JsValue) -> Fault {
    Fault::Broken
}
