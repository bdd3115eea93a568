//! Options as a page gives them: plain objects, read field by field.
//!
//! A reader made by serde would bring its errors along, and with them how fractions are written: 15 kB to load.

use js_sys::{Array, Reflect};
use wasm_bindgen::JsValue;

use crate::node::{Error, Result};
use crate::proto::limits::{Limits, MAX_LIMIT, Surroundings};

/// `WasmNodeOptions`.
#[derive(Debug)]
pub(super) struct NodeOptions {
    pub relays: Vec<String>,
    pub stun: Vec<String>,
    pub database_name: Option<String>,
    pub quota: Option<u64>,
    pub relay_only: bool,
    pub surroundings: Surroundings,
    pub puzzle_bits: Option<u8>,
}

impl NodeOptions {
    /// # Errors
    /// `BadOptions` if a field is of another kind.
    pub fn read(options: &JsValue) -> Result<Self> {
        let bits = whole(options, "puzzleBits", u8::MAX.into())?;
        Ok(Self {
            relays: texts(options, "relays")?,
            stun: texts(options, "stun")?,
            database_name: text(options, "databaseName")?,
            quota: number(options, "quota")?.map(|bytes| bytes as u64),
            relay_only: flag(options, "relayOnly")?,
            surroundings: match field(options, "surroundings")? {
                Some(told) => surroundings(&told)?,
                None => Surroundings::default(),
            },
            puzzle_bits: bits.map(|bits| bits as u8),
        })
    }
}

/// What the person allows; what is left out is as a guest would do.
///
/// # Errors
/// `BadOptions` if a field is of another kind.
pub(super) fn limits(options: &JsValue) -> Result<Limits> {
    Ok(Limits {
        up_rate: whole(options, "upRate", MAX_LIMIT)?,
        down_rate: whole(options, "downRate", MAX_LIMIT)?,
        up_per_day: whole(options, "upPerDay", MAX_LIMIT)?,
        send_on_metered: flag(options, "sendOnMetered")?,
        pause_on_battery: flag(options, "pauseOnBattery")?,
        hide_address: flag(options, "hideAddress")?,
    })
}

/// What the platform says of the machine.
///
/// # Errors
/// `BadOptions` if a field is of another kind.
pub(super) fn surroundings(options: &JsValue) -> Result<Surroundings> {
    Ok(Surroundings {
        metered: flag(options, "metered")?,
        on_battery: flag(options, "onBattery")?,
    })
}

/// A field, unless it is missing or `null`.
fn field(options: &JsValue, name: &str) -> Result<Option<JsValue>> {
    let value = Reflect::get(options, &name.into())
        .map_err(|_| Error::BadOptions("options are an object".into()))?;
    Ok((!value.is_null() && !value.is_undefined()).then_some(value))
}

fn flag(options: &JsValue, name: &str) -> Result<bool> {
    match field(options, name)? {
        Some(value) => value.as_bool().ok_or_else(|| bad(name, "true or false")),
        None => Ok(false),
    }
}

/// A whole number up to `most`.
fn whole(options: &JsValue, name: &str, most: u64) -> Result<Option<u64>> {
    let fits = |number: f64| number.fract() == 0.0 && (0.0..=most as f64).contains(&number);
    match number(options, name)? {
        Some(number) if fits(number) => Ok(Some(number as u64)),
        Some(_) => Err(bad(name, "a whole number")),
        None => Ok(None),
    }
}

fn number(options: &JsValue, name: &str) -> Result<Option<f64>> {
    match field(options, name)? {
        Some(value) => Ok(Some(value.as_f64().ok_or_else(|| bad(name, "a number"))?)),
        None => Ok(None),
    }
}

fn text(options: &JsValue, name: &str) -> Result<Option<String>> {
    match field(options, name)? {
        Some(value) => Ok(Some(value.as_string().ok_or_else(|| bad(name, "a text"))?)),
        None => Ok(None),
    }
}

fn texts(options: &JsValue, name: &str) -> Result<Vec<String>> {
    let Some(value) = field(options, name)? else {
        return Ok(Vec::new());
    };
    if !Array::is_array(&value) {
        return Err(bad(name, "a list of texts"));
    }
    let text = |item: JsValue| item.as_string().ok_or_else(|| bad(name, "a list of texts"));
    Array::from(&value).iter().map(text).collect()
}

fn bad(name: &str, wanted: &str) -> Error {
    Error::BadOptions(format!("{name} is {wanted}"))
}
