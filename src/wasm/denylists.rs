//! Denylists on the JS surface: those that the person has added.

use js_sys::{Promise, Uint8Array};
use serde::Serialize;
use wasm_bindgen::prelude::*;

use super::node::WasmNode;
use super::promise::{object, promise};
use super::sites::SkippedLine;
use crate::node::Result;
use crate::node::denylists::OwnList;

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct DenylistInfo {
    name: String,
    bytes: usize,
    rules: usize,
    skipped: Vec<SkippedLine>,
    skipped_count: usize,
}

#[wasm_bindgen]
impl WasmNode {
    /// The lists that the person has added, and what came of each.
    #[wasm_bindgen(unchecked_return_type = "Promise<DenylistInfo[]>")]
    pub fn denylists(&self) -> Promise {
        let node = self.node();
        promise(async move { told(node.own_denylists().await?) })
    }

    /// The text of one of them; undefined if there is none of that name.
    #[wasm_bindgen(js_name = denylistText, unchecked_return_type = "Promise<Uint8Array | undefined>")]
    pub fn denylist_text(&self, name: String) -> Promise {
        let node = self.node();
        promise(async move {
            let lists = node.own_denylists().await?;
            let found = lists.into_iter().find(|list| list.name == name);
            Ok(found.map_or(JsValue::UNDEFINED, |list| {
                Uint8Array::from(list.text.as_ref()).into()
            }))
        })
    }

    /// Adds or replaces a list, or removes it; resolves to what there is then.
    #[wasm_bindgen(js_name = setDenylist, unchecked_return_type = "Promise<DenylistInfo[]>")]
    pub fn set_denylist(&self, name: String, text: Option<Uint8Array>) -> Promise {
        let node = self.node();
        promise(async move {
            let text = text.map(|text| text.to_vec().into());
            told(node.set_own_denylist(&name, text).await?)
        })
    }
}

fn told(lists: Vec<OwnList>) -> Result<JsValue> {
    let lists: Vec<_> = lists
        .into_iter()
        .map(|list| DenylistInfo {
            bytes: list.text.len(),
            rules: list.read.rules,
            skipped: SkippedLine::all(&list.read.skipped),
            skipped_count: list.read.skipped_count,
            name: list.name,
        })
        .collect();
    object(&lists)
}
