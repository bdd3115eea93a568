//! Enclosures sealed and opened chunk by chunk.

use js_sys::{Array, Uint8Array};
use wasm_bindgen::prelude::*;

use super::objects::{Object, array, error};
use super::{BAD_INPUT, inputs, outputs, thrown};
use crate::proto::mail::enclosure::{self, Enclosure};
use crate::proto::share::ShareKey;
use crate::proto::types::ChunkIndex;

#[wasm_bindgen]
extern "C" {
    /// `MailEnclosure`
    #[wasm_bindgen(typescript_type = "MailEnclosure")]
    pub type MailEnclosure;
    /// `Uint8Array[]`
    #[wasm_bindgen(typescript_type = "Uint8Array[]")]
    pub type Chunks;
    /// `MailSealed`
    #[wasm_bindgen(typescript_type = "MailSealed")]
    pub type MailSealed;
}

/// Seals an enclosure as its bytes come.
#[wasm_bindgen]
#[derive(Debug)]
pub struct EnclosureSealer(Option<enclosure::EnclosureSealer>);

/// Opens the chunks of an enclosure, in any order.
#[wasm_bindgen]
#[derive(Debug)]
pub struct EnclosureOpener {
    enclosure: Enclosure,
    opener: enclosure::EnclosureOpener,
}

#[wasm_bindgen]
impl EnclosureSealer {
    /// Starts an enclosure of exactly `size` bytes, under a key that never sealed another.
    #[wasm_bindgen(constructor)]
    pub fn new(key: &[u8], size: f64) -> Result<EnclosureSealer, JsValue> {
        let key = key
            .try_into()
            .map_err(|_| error("32 bytes of key", BAD_INPUT))?;
        let sealer = enclosure::EnclosureSealer::new(ShareKey::new(key), size as u64);
        sealer.map(|sealer| Self(Some(sealer))).map_err(thrown)
    }

    /// Adds the next bytes; the chunks that are ready.
    pub fn push(&mut self, plain: &[u8]) -> Result<Chunks, JsValue> {
        let mut out = Vec::new();
        let sealer = self.0.as_mut().ok_or_else(used_up)?;
        sealer.push(plain, &mut out).map_err(thrown)?;
        Ok(chunks(&out).unchecked_into())
    }

    /// Ends the enclosure.
    pub fn finish(&mut self, name: &str, media_type: &str) -> Result<MailSealed, JsValue> {
        let mut out = Vec::new();
        let sealer = self.0.take().ok_or_else(used_up)?;
        let enclosure = sealer.finish(name, media_type, &mut out).map_err(thrown)?;
        let sealed = Object::new()
            .with("chunks", chunks(&out))
            .with("enclosure", outputs::enclosure(&enclosure))
            .with("sealedSize", enclosure.sealed_len().get() as f64);
        Ok(sealed.value().unchecked_into())
    }
}

#[wasm_bindgen]
impl EnclosureOpener {
    /// Opens an enclosure.
    #[wasm_bindgen(constructor)]
    pub fn new(enclosure: MailEnclosure) -> Result<EnclosureOpener, JsValue> {
        let enclosure = inputs::enclosure(&enclosure)?;
        let opener = enclosure.opener();
        Ok(Self { enclosure, opener })
    }

    /// Chunks of the blob.
    #[wasm_bindgen(getter)]
    pub fn chunks(&self) -> u32 {
        self.opener.chunks()
    }

    /// Bytes of the blob.
    #[wasm_bindgen(getter, js_name = sealedSize)]
    pub fn sealed_size(&self) -> f64 {
        self.enclosure.sealed_len().get() as f64
    }

    /// The content of one chunk.
    pub fn open(&self, index: u32, sealed: &[u8]) -> Result<Uint8Array, JsValue> {
        let plain = self.opener.open_chunk(ChunkIndex(index), sealed);
        plain.map(|plain| array(&plain)).map_err(thrown)
    }
}

fn chunks(out: &[bytes::Bytes]) -> JsValue {
    let all: Array = out
        .iter()
        .map(|chunk| JsValue::from(array(chunk)))
        .collect();
    all.into()
}

fn used_up() -> JsValue {
    error("this enclosure was finished", BAD_INPUT)
}
