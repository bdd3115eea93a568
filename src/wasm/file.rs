//! `WasmFile`: a blob opened for reading.

use std::rc::Rc;

use js_sys::{Promise, Uint8Array};
use wasm_bindgen::prelude::*;

use super::promise::promise_until;
use super::types::JsCallOptions;
use crate::node::PageFile;
use crate::proto::link::blob_cid;

/// Content of one blob.
#[wasm_bindgen]
#[derive(Debug)]
pub struct WasmFile(pub(super) Rc<PageFile>);

#[wasm_bindgen]
impl WasmFile {
    /// Address.
    #[wasm_bindgen(getter)]
    pub fn cid(&self) -> String {
        blob_cid(self.0.blob())
    }

    /// File name, empty if not known.
    #[wasm_bindgen(getter)]
    pub fn name(&self) -> String {
        self.0.header().name().to_owned()
    }

    /// Media type, empty if not known; the sharer's word.
    #[wasm_bindgen(getter, js_name = type)]
    pub fn media_type(&self) -> String {
        self.0.header().media_type().to_owned()
    }

    /// Content bytes.
    #[wasm_bindgen(getter)]
    pub fn size(&self) -> f64 {
        self.0.size() as f64
    }

    /// Reads at most 1 MiB from `offset`, waiting until it is verified and stored.
    #[wasm_bindgen(unchecked_return_type = "Promise<Uint8Array>")]
    pub fn read(&self, offset: f64, length: f64, options: Option<JsCallOptions>) -> Promise {
        let signal = options.and_then(|options| options.call_signal());
        let file = self.0.clone();
        promise_until(signal, async move {
            // Float to integer conversion saturates, so a nonsense offset reads nothing.
            let bytes = file.read(offset as u64, length as u64).await?;
            Ok(Uint8Array::from(bytes.as_ref()).into())
        })
    }
}
