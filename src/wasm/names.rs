//! Names on the JS surface.

use cid::Cid;
use futures::StreamExt;
use js_sys::{Object, Reflect, Uint8Array};
use wasm_bindgen::prelude::*;

use super::error::to_js;
use super::node::WasmNode;
use super::source::abortable;
use super::types::{JsHead, JsWork};
use crate::node::Error;
use crate::node::names::Head;
use crate::proto::name::Name;

#[wasm_bindgen]
impl WasmNode {
    /// Signs that the person's site with this number leads to `cid` from now on, and tells it; resolves to the head.
    #[wasm_bindgen(js_name = publishName)]
    pub async fn publish_name(&self, site: u32, cid: String) -> Result<JsHead, JsValue> {
        let node = self.node();
        let publish = async move {
            let cid = Cid::try_from(cid.as_str())
                .map_err(|error| Error::BadOptions(format!("{cid} is no CID: {error}")))?;
            let key = node.keys().site_key(site).await?;
            node.names().publish(&key, &cid).await
        };
        publish.await.map(head).map_err(|error| to_js(&error))
    }

    /// What a name leads to, asked of others.
    #[wasm_bindgen(js_name = resolveName)]
    pub async fn resolve_name(
        &self,
        name: String,
        work: Option<JsWork>,
    ) -> Result<JsHead, JsValue> {
        let name = parse(&name)?;
        let node = self.node();
        let signal = work.and_then(|work| work.work_signal());
        let resolved = abortable(signal, async move { node.names().resolve(name).await }).await;
        resolved.map(head).map_err(|error| to_js(&error))
    }

    /// What a name was last known to lead to; undefined if it was never met.
    #[wasm_bindgen(js_name = knownName)]
    pub async fn known_name(&self, name: String) -> Result<Option<JsHead>, JsValue> {
        let name = parse(&name)?;
        let known = self.node().names().known(name).await;
        known
            .map(|known| known.map(head))
            .map_err(|error| to_js(&error))
    }

    /// Keeps a name known to others, also after a restart, or no longer.
    #[wasm_bindgen(js_name = holdName)]
    pub async fn hold_name(&self, name: String, hold: bool) -> Result<(), JsValue> {
        let name = parse(&name)?;
        let held = self.node().names().hold(name, hold).await;
        held.map_err(|error| to_js(&error))
    }

    /// Tells what is known and every newer head, until the signal fires; resolves when the node lets go of it.
    #[wasm_bindgen(js_name = watchName)]
    pub async fn watch_name(&self, name: String, work: JsWork) -> Result<(), JsValue> {
        let name = parse(&name)?;
        let on_head = work.on_work_progress();
        let node = self.node();
        let watching = async move {
            let mut watched = node.names().watch(name).await?;
            while let Some(next) = watched.next().await {
                if let Some(on_head) = &on_head {
                    // A listener that throws is the page's own affair.
                    let _ = on_head.call1(&JsValue::NULL, &head(next));
                }
            }
            Ok(())
        };
        abortable(work.work_signal(), watching)
            .await
            .map_err(|error| to_js(&error))
    }
}

fn parse(text: &str) -> Result<Name, JsValue> {
    Name::parse(text).map_err(|error| to_js(&error.into()))
}

fn head(head: Head) -> JsHead {
    let result = Object::new();
    let set = |name: &str, value: JsValue| {
        // Setting a property of a fresh plain object cannot fail.
        let _ = Reflect::set(&result, &name.into(), &value);
    };
    set("name", head.name.to_string().into());
    set("cid", head.cid.map(|cid| cid.to_string()).into());
    set("value", head.value.into());
    // A number up to 2^53 is exact, and nobody publishes as often.
    set("sequence", JsValue::from_f64(head.sequence as f64));
    set("validUntil", JsValue::from_f64(head.valid_until as f64));
    set("fork", head.fork.into());
    set("holders", JsValue::from_f64(head.holders as f64));
    set("record", Uint8Array::from(head.record.as_ref()).into());
    JsValue::from(result).unchecked_into()
}
