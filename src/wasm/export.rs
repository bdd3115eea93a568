//! `WasmExport`: a blob on its way into a file.

use std::rc::Rc;

use js_sys::Uint8Array;
use wasm_bindgen::prelude::*;

use super::error::to_js;
use crate::node::PageExport;

/// One blob as one file, piece by piece.
#[wasm_bindgen]
#[derive(Debug)]
pub struct WasmExport(pub(super) Rc<PageExport>);

#[wasm_bindgen]
impl WasmExport {
    /// What the file may be called.
    #[wasm_bindgen(getter, js_name = fileName)]
    pub fn file_name(&self) -> String {
        self.0.file_name()
    }

    /// Bytes of the whole file.
    #[wasm_bindgen(getter)]
    pub fn size(&self) -> f64 {
        self.0.len() as f64
    }

    /// How many pieces there are.
    #[wasm_bindgen(getter)]
    pub fn pieces(&self) -> u32 {
        self.0.pieces()
    }

    /// One piece, at most 256 KiB, checked against the blob's hash.
    pub async fn piece(&self, index: u32) -> Result<Uint8Array, JsValue> {
        let export = self.0.clone();
        let bytes = export.piece(index).await;
        bytes
            .map(|bytes| Uint8Array::from(bytes.as_ref()))
            .map_err(|error| to_js(&error))
    }
}
