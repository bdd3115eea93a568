//! `WasmNode`: the node of this page.

use std::rc::Rc;

use js_sys::{Function, Object, Promise, Reflect, Uint8Array};
use serde::Serialize;
use serde_wasm_bindgen::Serializer;
use wasm_bindgen::prelude::*;
use web_sys::ReadableStreamDefaultReader;

use super::file::WasmFile;
use super::options::{self, NodeOptions};
use super::promise::{nothing, object, promise, promise_until};
use super::sites;
use super::source::chunks;
use super::types::{
    JsCallOptions, JsImportOptions, JsLimits, JsListener, JsNodeOptions, JsPeers, JsStats,
    JsSurroundings, JsSwarms,
};
use crate::node::{Changed, Config, Error, ImportOptions, PageNode, Result, Share, parse_address};
use crate::proto::custody::region::PUZZLE_BITS;
use crate::proto::link::{blob_cid, parse_cid};
use crate::proto::share::ShareHeader;
use crate::proto::types::BlobHash;
use crate::proto::web_source::WebSource;

/// Name of the database where the caller gives none.
const DATABASE: &str = "gyre";

/// Runs once when the module is loaded.
#[wasm_bindgen(start)]
fn load() {
    console_error_panic_hook::set_once();
}

/// A running node.
#[wasm_bindgen]
#[derive(Debug)]
pub struct WasmNode(PageNode);

impl WasmNode {
    /// The node, for a call that may outlive this handle.
    pub(super) fn node(&self) -> PageNode {
        self.0.clone()
    }
}

#[wasm_bindgen]
impl WasmNode {
    /// Opens the store and starts the node; joining goes on in the background.
    #[wasm_bindgen(unchecked_return_type = "Promise<WasmNode>")]
    pub fn start(options: JsNodeOptions) -> Promise {
        promise(async move { Ok(WasmNode(start(options).await?).into()) })
    }

    /// Our identity on the network.
    #[wasm_bindgen(getter, js_name = peerId)]
    pub fn peer_id(&self) -> String {
        self.0.peer_id().to_string()
    }

    /// Calls `listener` when something changed; the snapshots say what.
    #[wasm_bindgen(js_name = onEvent)]
    pub fn on_event(&self, listener: JsListener) {
        let listener: Function = JsValue::from(listener).unchecked_into();
        self.0.on_change(move |changed| {
            let kind = match changed {
                Changed::State => "state",
                Changed::Swarms => "swarms",
                Changed::Peers => "peers",
            };
            let event = Object::new();
            let _ = Reflect::set(&event, &"type".into(), &kind.into());
            // A listener that throws is the page's own affair.
            let _ = listener.call1(&JsValue::NULL, &event);
        });
    }

    /// Imports what `reader` yields and serves it.
    #[wasm_bindgen(js_name = importStream, unchecked_return_type = "Promise<WasmShare>")]
    pub fn import_stream(
        &self,
        reader: ReadableStreamDefaultReader,
        options: JsImportOptions,
    ) -> Promise {
        let node = self.node();
        promise_until(options.signal(), async move {
            let header = ShareHeader::cleaned(
                &options.name().unwrap_or_default(),
                &options.media_type().unwrap_or_default(),
            );
            let import = ImportOptions {
                header,
                public: options.is_public().unwrap_or(false),
            };
            let progress = reporter(&options);
            let sources = sources(options.sources())?;
            let share = node.import(chunks(reader), import, progress).await?;
            let fragment = match sources.is_empty() {
                true => share.link.fragment(),
                false => node.add_sources(share.blob, sources).await?,
            };
            Ok(shared(&share, &fragment))
        })
    }

    /// The file that has to lie beside a blob on a web server; the blob must be here whole.
    #[wasm_bindgen(js_name = webTree, unchecked_return_type = "Promise<Uint8Array>")]
    pub fn web_tree(&self, cid: String) -> Promise {
        let node = self.node();
        promise(async move {
            let tree = node.web_tree(parse(&cid)?).await?;
            Ok(Uint8Array::from(tree.as_ref()).into())
        })
    }

    /// What an export of a blob that is here whole would be: its name, its bytes, its pieces.
    #[wasm_bindgen(
        js_name = exportInfo,
        unchecked_return_type = "Promise<{ name: string; size: number; pieces: number }>"
    )]
    pub fn export_info(&self, cid: String) -> Promise {
        let node = self.node();
        promise(async move {
            let export = node.export(parse(&cid)?).await?;
            let info = Object::new();
            let _ = Reflect::set(&info, &"name".into(), &export.file_name().into());
            let size = JsValue::from_f64(export.len() as f64);
            let _ = Reflect::set(&info, &"size".into(), &size);
            let _ = Reflect::set(&info, &"pieces".into(), &export.pieces().into());
            Ok(info.into())
        })
    }

    /// One piece of an export, at most 256 KiB, checked against the blob's hash.
    #[wasm_bindgen(js_name = exportPiece, unchecked_return_type = "Promise<Uint8Array>")]
    pub fn export_piece(&self, cid: String, piece: u32) -> Promise {
        let node = self.node();
        promise(async move {
            let export = node.export(parse(&cid)?).await?;
            let bytes = export.piece(piece).await?;
            Ok(Uint8Array::from(bytes.as_ref()).into())
        })
    }

    /// Takes back what was exported; of the options, the signal and the progress count.
    #[wasm_bindgen(js_name = importExported, unchecked_return_type = "Promise<WasmShare>")]
    pub fn import_exported(
        &self,
        reader: ReadableStreamDefaultReader,
        options: JsImportOptions,
    ) -> Promise {
        let node = self.node();
        let progress = reporter(&options);
        promise_until(options.signal(), async move {
            let share = node.import_exported(chunks(reader), progress).await?;
            Ok(shared(&share, &share.link.fragment()))
        })
    }

    /// Opens a link to a file, alone or of a site; ends when name and size are known.
    #[wasm_bindgen(js_name = openLink, unchecked_return_type = "Promise<WasmFile>")]
    pub fn open_link(&self, link: String, options: Option<JsCallOptions>) -> Promise {
        let signal = options.and_then(|options| options.call_signal());
        let node = self.node();
        promise_until(signal, async move {
            let file = match link.strip_prefix("#/s/") {
                Some(link) => sites::open_file(&node, link).await?,
                None => node.open(&link).await?,
            };
            Ok(WasmFile(Rc::new(file)).into())
        })
    }

    /// Keeps a blob on purpose.
    #[wasm_bindgen(unchecked_return_type = "Promise<void>")]
    pub fn pin(&self, cid: String) -> Promise {
        let node = self.node();
        promise(async move {
            node.set_pinned(parse(&cid)?, true).await?;
            nothing()
        })
    }

    /// Lets it be evictable again.
    #[wasm_bindgen(unchecked_return_type = "Promise<void>")]
    pub fn unpin(&self, cid: String) -> Promise {
        let node = self.node();
        promise(async move {
            node.set_pinned(parse(&cid)?, false).await?;
            nothing()
        })
    }

    /// Stops fetching a blob.
    #[wasm_bindgen(unchecked_return_type = "Promise<void>")]
    pub fn pause(&self, cid: String) -> Promise {
        let node = self.node();
        promise(async move {
            node.set_paused(parse(&cid)?, true).await?;
            nothing()
        })
    }

    /// Goes on fetching a blob, also after a failure.
    #[wasm_bindgen(unchecked_return_type = "Promise<void>")]
    pub fn resume(&self, cid: String) -> Promise {
        let node = self.node();
        promise(async move {
            node.set_paused(parse(&cid)?, false).await?;
            nothing()
        })
    }

    /// Drops a blob with its chunks.
    #[wasm_bindgen(unchecked_return_type = "Promise<void>")]
    pub fn remove(&self, cid: String) -> Promise {
        let node = self.node();
        promise(async move {
            node.remove(parse(&cid)?).await?;
            nothing()
        })
    }

    /// Its peers.
    pub fn peers(&self) -> JsPeers {
        snapshot(&self.0.peers())
    }

    /// Its blobs.
    pub fn swarms(&self) -> JsSwarms {
        snapshot(&self.0.swarms())
    }

    /// Who has what of one blob, now.
    #[wasm_bindgen(unchecked_return_type = "Promise<SwarmChart>")]
    pub fn chart(&self, cid: String) -> Promise {
        let node = self.node();
        promise(async move { object(&node.chart(parse(&cid)?).await?) })
    }

    /// The node as a whole.
    pub fn stats(&self) -> JsStats {
        snapshot(&self.0.stats())
    }

    /// The person's word on uploads.
    #[wasm_bindgen(js_name = setUpload, unchecked_return_type = "Promise<void>")]
    pub fn set_upload(&self, allowed: bool) -> Promise {
        let node = self.node();
        promise(async move {
            node.set_upload(allowed).await?;
            nothing()
        })
    }

    /// The person's cap in bytes.
    #[wasm_bindgen(js_name = setQuota, unchecked_return_type = "Promise<void>")]
    pub fn set_quota(&self, bytes: f64) -> Promise {
        let node = self.node();
        promise(async move {
            node.set_quota(bytes as u64).await?;
            nothing()
        })
    }

    /// What the person allows of their connection.
    #[wasm_bindgen(js_name = setLimits, unchecked_return_type = "Promise<void>")]
    pub fn set_limits(&self, allowed: JsLimits) -> Promise {
        let node = self.node();
        promise(async move {
            node.set_limits(options::limits(&allowed)?).await?;
            nothing()
        })
    }

    /// What the platform says of the connection and the battery.
    #[wasm_bindgen(js_name = setSurroundings, unchecked_return_type = "Promise<void>")]
    pub fn set_surroundings(&self, told: JsSurroundings) -> Promise {
        let node = self.node();
        promise(async move {
            node.set_surroundings(options::surroundings(&told)?).await?;
            nothing()
        })
    }

    /// Bytes of wasm memory in use by the module: it only ever grows.
    #[wasm_bindgen(js_name = memoryBytes)]
    pub fn memory_bytes(&self) -> f64 {
        (core::arch::wasm32::memory_size::<0>() * 64 * 1024) as f64
    }

    /// Stops the node and lets go of the store.
    #[wasm_bindgen(unchecked_return_type = "Promise<void>")]
    pub fn stop(&self) -> Promise {
        let node = self.node();
        promise(async move {
            node.stop().await;
            nothing()
        })
    }
}

async fn start(options: JsNodeOptions) -> Result<PageNode> {
    let options = NodeOptions::read(&options)?;
    let relays = options.relays.iter().map(|relay| {
        parse_address(relay)
            .map_err(|error| Error::BadOptions(format!("relay address {relay}: {error}")))
    });
    let config = Config {
        relays: relays.collect::<Result<_>>()?,
        stun: options.stun,
        relay_only: options.relay_only,
        surroundings: options.surroundings,
        puzzle_bits: options.puzzle_bits.unwrap_or(PUZZLE_BITS),
        quota: options.quota,
        ..Config::default()
    };
    PageNode::start_in_page(config, options.database_name.as_deref().unwrap_or(DATABASE)).await
}

fn parse(cid: &str) -> Result<BlobHash> {
    parse_cid(cid).map_err(Error::BadLink)
}

/// Tells the page how many bytes were taken.
fn reporter(options: &JsImportOptions) -> impl FnMut(u64) + 'static {
    let on_progress = options.on_progress();
    move |done| {
        if let Some(callback) = &on_progress {
            let _ = callback.call1(&JsValue::NULL, &JsValue::from_f64(done as f64));
        }
    }
}

fn shared(share: &Share, fragment: &str) -> JsValue {
    let result = Object::new();
    let _ = Reflect::set(&result, &"cid".into(), &blob_cid(share.blob).into());
    let _ = Reflect::set(&result, &"fragment".into(), &fragment.into());
    let size = JsValue::from_f64(share.size as f64);
    let _ = Reflect::set(&result, &"size".into(), &size);
    result.into()
}

/// Addresses on web servers, as a page gives them.
fn sources(texts: Option<Vec<String>>) -> Result<Vec<WebSource>> {
    let read = |text: &String| {
        let refused = || Error::BadOptions(format!("{text} is no address of a web source"));
        WebSource::parse(text).ok_or_else(refused)
    };
    texts.unwrap_or_default().iter().map(read).collect()
}

/// Plain objects, `null` for what is not known, numbers as numbers.
pub(super) fn snapshot<T: JsCast>(value: &impl Serialize) -> T {
    let serializer = Serializer::new()
        .serialize_missing_as_null(true)
        .serialize_large_number_types_as_bigints(false);
    value
        .serialize(&serializer)
        .unwrap_or(JsValue::NULL)
        .unchecked_into()
}
