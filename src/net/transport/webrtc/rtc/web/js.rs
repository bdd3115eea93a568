//! Properties and errors of JavaScript values.

use js_sys::Reflect;
use wasm_bindgen::{JsCast, JsValue};

use super::super::RtcError;

/// A property that is there.
pub(super) fn property(object: &JsValue, name: &str) -> Option<JsValue> {
    let value = Reflect::get(object, &name.into()).ok()?;
    (!value.is_null() && !value.is_undefined()).then_some(value)
}

/// What the browser threw, in words.
pub(super) fn platform(error: JsValue) -> RtcError {
    let words = match error.dyn_ref::<js_sys::Error>() {
        Some(error) => format!("{}: {}", error.name(), error.message()),
        None => match (property(&error, "name"), property(&error, "message")) {
            (Some(name), Some(message)) => format!(
                "{}: {}",
                name.as_string().unwrap_or_default(),
                message.as_string().unwrap_or_default()
            ),
            _ => format!("{error:?}"),
        },
    };
    RtcError::Platform(words)
}
