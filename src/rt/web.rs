//! The page's event loop.

use std::fmt::{Display, Write};
use std::future::Future;
use std::pin::Pin;

pub(super) fn spawn(future: impl Future<Output = ()> + 'static) {
    // One kind of task for all: each would bring a kilobyte of its own along.
    let task: Pin<Box<dyn Future<Output = ()>>> = Box::pin(future);
    wasm_bindgen_futures::spawn_local(task);
}

pub(super) async fn yield_now() {
    // A resolved promise would only queue a microtask, which runs before the event loop gets its turn.
    gloo_timers::future::TimeoutFuture::new(0).await;
}

pub(super) fn lower_case(text: &str) -> String {
    js_sys::JsString::from(text).to_lower_case().into()
}

pub(super) fn normalise(text: &str) -> String {
    js_sys::JsString::from(text).normalize("NFC").into()
}

// Not by way of `tracing`: whatever libraries write there, and how their types are written, would be in what a page loads.
macro_rules! warning {
    ($($name:ident = $value:expr,)* $text:literal $(,)?) => {
        $crate::rt::web::to_console($text, &[$((stringify!($name), &$value as &dyn std::fmt::Display)),*])
    };
}

pub(crate) use warning;

pub(crate) fn to_console(text: &str, values: &[(&str, &dyn Display)]) {
    let mut line = format!("gyre: {text}");
    for (name, value) in values {
        // A Display that fails leaves its part of the line out.
        let _ = write!(line, " {name}={value}");
    }
    web_sys::console::warn_1(&line.into());
}
