//! Rust errors as JS `Error` objects with a stable `code` and their `cause` chain.

use std::error::Error as StdError;

use js_sys::{Error as JsError, Reflect};
use wasm_bindgen::{JsCast, JsValue};

use crate::node::Error;

/// The `Error` object that a rejected promise carries.
pub(super) fn to_js(error: &Error) -> JsValue {
    let js = with_cause(error);
    // Setting a property of a fresh plain object cannot fail.
    let _ = Reflect::set(&js, &"code".into(), &error.code().into());
    js
}

fn with_cause(error: &dyn StdError) -> JsValue {
    let js = JsError::new(&error.to_string());
    if let Some(cause) = error.source() {
        let _ = Reflect::set(&js, &"cause".into(), &with_cause(cause));
    }
    js.into()
}

/// The words of whatever a page threw.
pub(super) fn describe(thrown: &JsValue) -> String {
    match thrown.dyn_ref::<JsError>() {
        Some(error) => String::from(error.message()),
        None => format!("{thrown:?}"),
    }
}
