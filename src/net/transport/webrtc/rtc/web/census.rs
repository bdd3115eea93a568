//! How many peer connections the page has made, and how many the browser still holds.
//!
//! A closed connection lives on until the browser collects it, and Chromium refuses to make more than so many. What it
//! collects is heard of through a `FinalizationRegistry`; where there is none, a connection counts until it is dropped.

use std::sync::atomic::{AtomicUsize, Ordering};

use js_sys::{Array, Function, Reflect};
use wasm_bindgen::{JsCast, JsValue, closure::Closure};
use web_sys::RtcPeerConnection;

use super::js::property;

/// Peer connections that may exist at a time, closed ones included until the browser has collected them. Chromium refuses beyond
/// 500; the rest is left to whatever else the page does.
pub const MAX_UNCOLLECTED: usize = 400;

static CONSTRUCTED: AtomicUsize = AtomicUsize::new(0);

static COLLECTED: AtomicUsize = AtomicUsize::new(0);

/// How many peer connections this page has made. Chromium limits how many it can make in its lifetime.
pub fn constructed() -> usize {
    CONSTRUCTED.load(Ordering::Relaxed)
}

/// How many peer connections that this page has made still exist. A browser that does not tell what it has collected makes this
/// the number of those that were made and not closed.
pub fn uncollected() -> usize {
    constructed().saturating_sub(COLLECTED.load(Ordering::Relaxed))
}

/// One peer connection in the count.
pub(super) struct Counted {
    /// The browser tells when it has collected the connection.
    watched: bool,
}

impl Counted {
    pub(super) fn new(connection: &RtcPeerConnection) -> Self {
        CONSTRUCTED.fetch_add(1, Ordering::Relaxed);
        Self {
            watched: watch_collection(connection),
        }
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        if !self.watched {
            COLLECTED.fetch_add(1, Ordering::Relaxed);
        }
    }
}

thread_local! {
    /// Counts what is collected; `None` where the browser cannot.
    static REGISTRY: Option<JsValue> = registry();
}

fn registry() -> Option<JsValue> {
    let constructor: Function = property(&js_sys::global(), "FinalizationRegistry")?
        .dyn_into()
        .ok()?;
    let on_collected = Closure::<dyn FnMut(JsValue)>::new(|_| {
        COLLECTED.fetch_add(1, Ordering::Relaxed);
    });
    let registry = Reflect::construct(&constructor, &Array::of1(on_collected.as_ref())).ok()?;
    // As long as the page lives, as the registry does.
    on_collected.forget();
    Some(registry)
}

/// Has the collection of `connection` counted; false where the browser cannot.
fn watch_collection(connection: &RtcPeerConnection) -> bool {
    REGISTRY.with(|registry| {
        let Some(registry) = registry else {
            return false;
        };
        property(registry, "register")
            .and_then(|register| register.dyn_into::<Function>().ok())
            .is_some_and(|register| register.call2(registry, connection, &JsValue::TRUE).is_ok())
    })
}
