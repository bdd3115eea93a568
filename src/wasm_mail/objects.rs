//! Plain objects of JavaScript: their fields read and written, and errors with a code.

use js_sys::{Array, Reflect, Uint8Array};
use wasm_bindgen::{JsCast, JsValue};

use super::BAD_INPUT;
use crate::proto::mail::MailError;

/// An object that is being made.
pub(super) struct Object(js_sys::Object);

/// An object that came in.
pub(super) struct Reader<'a>(&'a JsValue);

impl Object {
    pub(super) fn new() -> Self {
        Self(js_sys::Object::new())
    }

    pub(super) fn with(self, name: &str, value: impl Into<JsValue>) -> Self {
        // Setting a property of a fresh plain object cannot fail.
        let _ = Reflect::set(&self.0, &name.into(), &value.into());
        self
    }

    pub(super) fn with_some(self, name: &str, value: Option<impl Into<JsValue>>) -> Self {
        match value {
            Some(value) => self.with(name, value),
            None => self,
        }
    }

    pub(super) fn value(self) -> JsValue {
        self.0.into()
    }
}

impl<'a> Reader<'a> {
    pub(super) fn new(value: &'a JsValue) -> Self {
        Self(value)
    }

    /// `None` for what is not there.
    pub(super) fn get(&self, name: &str) -> Option<JsValue> {
        let value = Reflect::get(self.0, &name.into()).ok();
        value.filter(|value| !value.is_undefined() && !value.is_null())
    }

    pub(super) fn text(&self, name: &str) -> Result<String, JsValue> {
        let value = self.get(name).and_then(|value| value.as_string());
        value.ok_or_else(|| error(&format!("{name}: a text"), BAD_INPUT))
    }

    pub(super) fn some_text(&self, name: &str) -> Result<Option<String>, JsValue> {
        self.get(name).map(text).transpose()
    }

    pub(super) fn number(&self, name: &str) -> Result<f64, JsValue> {
        let value = self.get(name).and_then(|value| value.as_f64());
        value.ok_or_else(|| error(&format!("{name}: a number"), BAD_INPUT))
    }

    pub(super) fn flag(&self, name: &str) -> Result<bool, JsValue> {
        let value = self.get(name).and_then(|value| value.as_bool());
        value.ok_or_else(|| error(&format!("{name}: true or false"), BAD_INPUT))
    }

    pub(super) fn bytes(&self, name: &str) -> Result<Vec<u8>, JsValue> {
        let value = self.get(name).unwrap_or(JsValue::UNDEFINED);
        bytes(&value).ok_or_else(|| error(&format!("{name}: a Uint8Array"), BAD_INPUT))
    }

    pub(super) fn array<const N: usize>(&self, name: &str) -> Result<[u8; N], JsValue> {
        let bytes = self.bytes(name)?;
        bytes
            .try_into()
            .map_err(|_| error(&format!("{name}: {N} bytes"), BAD_INPUT))
    }

    pub(super) fn list(&self, name: &str) -> Result<Vec<JsValue>, JsValue> {
        let value = self.get(name).unwrap_or(JsValue::UNDEFINED);
        match value.dyn_ref::<Array>() {
            Some(array) => Ok(array.to_vec()),
            None => Err(error(&format!("{name}: an array"), BAD_INPUT)),
        }
    }
}

pub(super) fn text(value: impl std::borrow::Borrow<JsValue>) -> Result<String, JsValue> {
    let text = value.borrow().as_string();
    text.ok_or_else(|| error("a text", BAD_INPUT))
}

pub(super) fn bytes(value: &JsValue) -> Option<Vec<u8>> {
    value.dyn_ref::<Uint8Array>().map(Uint8Array::to_vec)
}

/// Bytes as JavaScript has them.
pub(super) fn array(bytes: &[u8]) -> Uint8Array {
    Uint8Array::from(bytes)
}

/// An `Error` with a stable `code`.
pub(super) fn error(message: &str, code: &str) -> JsValue {
    let error = js_sys::Error::new(message);
    let _ = Reflect::set(&error, &"code".into(), &code.into());
    error.into()
}

pub(super) fn mail_error(why: &MailError) -> JsValue {
    error(&why.to_string(), why.code())
}
