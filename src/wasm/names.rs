//! Names on the JS surface.

use futures::StreamExt;
use js_sys::{Object, Promise, Reflect, Uint8Array};
use wasm_bindgen::prelude::*;

use super::node::WasmNode;
use super::promise::{nothing, promise, promise_until};
use super::types::JsWork;
use crate::node::Error;
use crate::node::names::Head;
use crate::proto::base::{cid_from_text, cid_text};
use crate::proto::name::Name;

#[wasm_bindgen]
impl WasmNode {
    /// Signs that the person's site with this number leads to `cid` from now on, and tells it; resolves to the head.
    #[wasm_bindgen(js_name = publishName, unchecked_return_type = "Promise<Head>")]
    pub fn publish_name(&self, site: u32, cid: String) -> Promise {
        let node = self.node();
        promise(async move {
            let cid =
                cid_from_text(&cid).ok_or_else(|| Error::BadOptions(format!("{cid} is no CID")))?;
            let key = node.keys().site_key(site).await?;
            node.names().publish(&key, &cid).await.map(head)
        })
    }

    /// What a name leads to, asked of others.
    #[wasm_bindgen(js_name = resolveName, unchecked_return_type = "Promise<Head>")]
    pub fn resolve_name(&self, name: String, work: Option<JsWork>) -> Promise {
        let node = self.node();
        let signal = work.and_then(|work| work.work_signal());
        promise_until(signal, async move {
            node.names().resolve(Name::parse(&name)?).await.map(head)
        })
    }

    /// What a name was last known to lead to; undefined if it was never met.
    #[wasm_bindgen(js_name = knownName, unchecked_return_type = "Promise<Head | undefined>")]
    pub fn known_name(&self, name: String) -> Promise {
        let node = self.node();
        promise(async move {
            let known = node.names().known(Name::parse(&name)?).await?;
            Ok(known.map_or(JsValue::UNDEFINED, head))
        })
    }

    /// Keeps a name known to others, also after a restart, or no longer.
    #[wasm_bindgen(js_name = holdName, unchecked_return_type = "Promise<void>")]
    pub fn hold_name(&self, name: String, hold: bool) -> Promise {
        let node = self.node();
        promise(async move {
            node.names().hold(Name::parse(&name)?, hold).await?;
            nothing()
        })
    }

    /// Tells what is known and every newer head, until the signal fires; resolves when the node lets go of it.
    #[wasm_bindgen(js_name = watchName, unchecked_return_type = "Promise<void>")]
    pub fn watch_name(
        &self,
        name: String,
        #[wasm_bindgen(unchecked_param_type = "Work<Head>")] work: JsWork,
    ) -> Promise {
        let node = self.node();
        let on_head = work.on_work_progress();
        promise_until(work.work_signal(), async move {
            let mut watched = node.names().watch(Name::parse(&name)?).await?;
            while let Some(next) = watched.next().await {
                if let Some(on_head) = &on_head {
                    // A listener that throws is the page's own affair.
                    let _ = on_head.call1(&JsValue::NULL, &head(next));
                }
            }
            nothing()
        })
    }
}

fn head(head: Head) -> JsValue {
    let result = Object::new();
    let set = |name: &str, value: JsValue| {
        // Setting a property of a fresh plain object cannot fail.
        let _ = Reflect::set(&result, &name.into(), &value);
    };
    set("name", head.name.to_string().into());
    set("cid", head.cid.map(|cid| cid_text(&cid)).into());
    set("value", head.value.into());
    // A number up to 2^53 is exact, and nobody publishes as often.
    set("sequence", JsValue::from_f64(head.sequence as f64));
    set("validUntil", JsValue::from_f64(head.valid_until as f64));
    set("fork", head.fork.into());
    set("holders", JsValue::from_f64(head.holders as f64));
    set("record", Uint8Array::from(head.record.as_ref()).into());
    result.into()
}
