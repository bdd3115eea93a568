//! `WasmNode`: the node of this page.

use std::rc::Rc;

use js_sys::{Function, Object, Reflect, Uint8Array};
use libp2p::Multiaddr;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_wasm_bindgen::Serializer;
use wasm_bindgen::prelude::*;
use web_sys::ReadableStreamDefaultReader;

use super::error::to_js;
use super::file::WasmFile;
use super::sites;
use super::source::{abortable, chunks};
use super::types::{
    JsCallOptions, JsExportInfo, JsImportOptions, JsLimits, JsListener, JsNodeOptions, JsPeers,
    JsShare, JsStats, JsSurroundings, JsSwarmChart, JsSwarms, NodeOptions,
};
use crate::node::{Changed, Config, Error, ImportOptions, PageExport, PageNode, Result, Share};
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
    super::log::start();
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
    pub async fn start(options: JsNodeOptions) -> Result<WasmNode, JsValue> {
        start(options)
            .await
            .map(Self)
            .map_err(|error| to_js(&error))
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
    #[wasm_bindgen(js_name = importStream)]
    pub async fn import_stream(
        &self,
        reader: ReadableStreamDefaultReader,
        options: JsImportOptions,
    ) -> Result<JsShare, JsValue> {
        let header = ShareHeader::cleaned(
            &options.name().unwrap_or_default(),
            &options.media_type().unwrap_or_default(),
        );
        let import = ImportOptions {
            header,
            public: options.is_public().unwrap_or(false),
        };
        let progress = reporter(&options);
        let node = self.0.clone();
        let sources = sources(options.sources())?;
        let importing = async move {
            let share = node.import(chunks(reader), import, progress).await?;
            let fragment = match sources.is_empty() {
                true => share.link.fragment(),
                false => node.add_sources(share.blob, sources).await?,
            };
            Ok((share, fragment))
        };
        let (share, fragment) = abortable(options.signal(), importing)
            .await
            .map_err(|error| to_js(&error))?;
        Ok(shared(&share, &fragment))
    }

    /// The file that has to lie beside a blob on a web server; the blob must be here whole.
    #[wasm_bindgen(js_name = webTree)]
    pub async fn web_tree(&self, cid: String) -> Result<Uint8Array, JsValue> {
        let node = self.0.clone();
        let blob = parse_cid(&cid).map_err(|error| to_js(&Error::BadLink(error)))?;
        let tree = node.web_tree(blob).await.map_err(|error| to_js(&error))?;
        Ok(Uint8Array::from(tree.as_ref()))
    }

    /// What an export of a blob that is here whole would be: its name, its bytes, its pieces.
    #[wasm_bindgen(js_name = exportInfo)]
    pub async fn export_info(&self, cid: String) -> Result<JsExportInfo, JsValue> {
        let export = self.export(&cid).await?;
        let info = Object::new();
        let _ = Reflect::set(&info, &"name".into(), &export.file_name().into());
        let size = JsValue::from_f64(export.len() as f64);
        let _ = Reflect::set(&info, &"size".into(), &size);
        let _ = Reflect::set(&info, &"pieces".into(), &export.pieces().into());
        Ok(JsValue::from(info).unchecked_into())
    }

    /// One piece of an export, at most 256 KiB, checked against the blob's hash.
    #[wasm_bindgen(js_name = exportPiece)]
    pub async fn export_piece(&self, cid: String, piece: u32) -> Result<Uint8Array, JsValue> {
        let export = self.export(&cid).await?;
        let bytes = export.piece(piece).await.map_err(|error| to_js(&error))?;
        Ok(Uint8Array::from(bytes.as_ref()))
    }

    /// Takes back what was exported; of the options, the signal and the progress count.
    #[wasm_bindgen(js_name = importExported)]
    pub async fn import_exported(
        &self,
        reader: ReadableStreamDefaultReader,
        options: JsImportOptions,
    ) -> Result<JsShare, JsValue> {
        let progress = reporter(&options);
        let node = self.0.clone();
        let importing = async move { node.import_exported(chunks(reader), progress).await };
        let share = abortable(options.signal(), importing)
            .await
            .map_err(|error| to_js(&error))?;
        Ok(shared(&share, &share.link.fragment()))
    }

    /// Opens a link to a file, alone or of a site; ends when name and size are known.
    #[wasm_bindgen(js_name = openLink)]
    pub async fn open_link(
        &self,
        link: String,
        options: Option<JsCallOptions>,
    ) -> Result<WasmFile, JsValue> {
        let signal = options.and_then(|options| options.call_signal());
        let node = self.0.clone();
        let opening = async move {
            match link.strip_prefix("#/s/") {
                Some(link) => sites::open_file(&node, link).await,
                None => node.open(&link).await,
            }
        };
        let file = abortable(signal, opening)
            .await
            .map_err(|error| to_js(&error))?;
        Ok(WasmFile(Rc::new(file)))
    }

    /// Keeps a blob on purpose.
    pub async fn pin(&self, cid: String) -> Result<(), JsValue> {
        let node = self.0.clone();
        on_blob(
            &cid,
            |blob| async move { node.set_pinned(blob, true).await },
        )
        .await
    }

    /// Lets it be evictable again.
    pub async fn unpin(&self, cid: String) -> Result<(), JsValue> {
        let node = self.0.clone();
        on_blob(
            &cid,
            |blob| async move { node.set_pinned(blob, false).await },
        )
        .await
    }

    /// Stops fetching a blob.
    pub async fn pause(&self, cid: String) -> Result<(), JsValue> {
        let node = self.0.clone();
        on_blob(
            &cid,
            |blob| async move { node.set_paused(blob, true).await },
        )
        .await
    }

    /// Goes on fetching a blob, also after a failure.
    pub async fn resume(&self, cid: String) -> Result<(), JsValue> {
        let node = self.0.clone();
        on_blob(
            &cid,
            |blob| async move { node.set_paused(blob, false).await },
        )
        .await
    }

    /// Drops a blob with its chunks.
    pub async fn remove(&self, cid: String) -> Result<(), JsValue> {
        let node = self.0.clone();
        on_blob(&cid, |blob| async move { node.remove(blob).await }).await
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
    pub async fn chart(&self, cid: String) -> Result<JsSwarmChart, JsValue> {
        let node = self.0.clone();
        let blob = parse_cid(&cid).map_err(|error| to_js(&Error::BadLink(error)))?;
        let chart = node.chart(blob).await.map_err(|error| to_js(&error))?;
        Ok(snapshot(&chart))
    }

    /// The node as a whole.
    pub fn stats(&self) -> JsStats {
        snapshot(&self.0.stats())
    }

    /// The person's word on uploads.
    #[wasm_bindgen(js_name = setUpload)]
    pub async fn set_upload(&self, allowed: bool) -> Result<(), JsValue> {
        let node = self.0.clone();
        node.set_upload(allowed)
            .await
            .map_err(|error| to_js(&error))
    }

    /// The person's cap in bytes.
    #[wasm_bindgen(js_name = setQuota)]
    pub async fn set_quota(&self, bytes: f64) -> Result<(), JsValue> {
        let node = self.0.clone();
        node.set_quota(bytes as u64)
            .await
            .map_err(|error| to_js(&error))
    }

    /// What the person allows of their connection.
    #[wasm_bindgen(js_name = setLimits)]
    pub async fn set_limits(&self, limits: JsLimits) -> Result<(), JsValue> {
        let node = self.0.clone();
        let limits = plain(limits.into())?;
        node.set_limits(limits).await.map_err(|error| to_js(&error))
    }

    /// What the platform says of the connection and the battery.
    #[wasm_bindgen(js_name = setSurroundings)]
    pub async fn set_surroundings(&self, surroundings: JsSurroundings) -> Result<(), JsValue> {
        let node = self.0.clone();
        let surroundings = plain(surroundings.into())?;
        node.set_surroundings(surroundings)
            .await
            .map_err(|error| to_js(&error))
    }

    /// Bytes of wasm memory in use by the module: it only ever grows.
    #[wasm_bindgen(js_name = memoryBytes)]
    pub fn memory_bytes(&self) -> f64 {
        (core::arch::wasm32::memory_size::<0>() * 64 * 1024) as f64
    }

    /// Stops the node and lets go of the store.
    pub async fn stop(&self) {
        let node = self.0.clone();
        node.stop().await;
    }
}

impl WasmNode {
    async fn export(&self, cid: &str) -> Result<PageExport, JsValue> {
        let node = self.0.clone();
        let blob = parse_cid(cid).map_err(|error| to_js(&Error::BadLink(error)))?;
        node.export(blob).await.map_err(|error| to_js(&error))
    }
}

async fn start(options: JsNodeOptions) -> Result<PageNode> {
    let options: NodeOptions = serde_wasm_bindgen::from_value(options.into())
        .map_err(|error| Error::BadOptions(error.to_string()))?;
    let relays = options.relays.iter().map(|relay| {
        relay
            .parse::<Multiaddr>()
            .map_err(|error| Error::BadOptions(format!("relay address {relay}: {error}")))
    });
    let config = Config {
        relays: relays.collect::<Result<_>>()?,
        stun: options.stun,
        relay_only: options.relay_only,
        surroundings: options.surroundings,
        quota: options.quota.map(|bytes| bytes as u64),
        ..Config::default()
    };
    PageNode::start_in_page(config, options.database_name.as_deref().unwrap_or(DATABASE)).await
}

async fn on_blob<F: Future<Output = Result<()>>>(
    cid: &str,
    call: impl FnOnce(BlobHash) -> F,
) -> Result<(), JsValue> {
    let blob = parse_cid(cid).map_err(|error| to_js(&Error::BadLink(error)))?;
    call(blob).await.map_err(|error| to_js(&error))
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

fn shared(share: &Share, fragment: &str) -> JsShare {
    let result = Object::new();
    let _ = Reflect::set(&result, &"cid".into(), &blob_cid(share.blob).into());
    let _ = Reflect::set(&result, &"fragment".into(), &fragment.into());
    let size = JsValue::from_f64(share.size as f64);
    let _ = Reflect::set(&result, &"size".into(), &size);
    JsValue::from(result).unchecked_into()
}

/// Addresses on web servers, as a page gives them.
fn sources(texts: Option<Vec<String>>) -> Result<Vec<WebSource>, JsValue> {
    let read = |text: &String| {
        let refused = || Error::BadOptions(format!("{text} is no address of a web source"));
        WebSource::parse(text).ok_or_else(|| to_js(&refused()))
    };
    texts.unwrap_or_default().iter().map(read).collect()
}

/// Settings as a page gives them.
pub(super) fn plain<T: DeserializeOwned>(value: JsValue) -> Result<T, JsValue> {
    serde_wasm_bindgen::from_value(value)
        .map_err(|error| to_js(&Error::BadOptions(error.to_string())))
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
