//! Sites on the JS surface. Every call names a version by its manifest's CID; the node keeps the lists of files that were read last.

use std::cell::RefCell;
use std::rc::Rc;

use bytes::Bytes;
use futures::{Stream, StreamExt, stream};
use js_sys::{Function, Object, Promise, Reflect, Uint8Array};
use serde::Serialize;
use wasm_bindgen::prelude::*;
use web_sys::ReadableStreamDefaultReader;

use super::node::{WasmNode, snapshot};
use super::promise::{nothing, object, promise, promise_until};
use super::source::{Cancel, next_value};
use super::types::{JsKeepWork, JsPublishOptions, JsWork};
use crate::node::{
    Error, Fetching, PageNode, PageSite, PublishOptions, Published, Publishing, Result, SiteFile,
    SiteOwner,
};
use crate::proto::address::{Address, AddressError};
use crate::proto::identity::site::Standing;
use crate::proto::keeping::Verdict;
use crate::proto::link::{manifest_cid, parse_manifest_cid};
use crate::proto::manifest::Entry;
use crate::proto::manifest::diff::Diff;
use crate::proto::manifest::headers::Headers;
use crate::proto::name::Name;
use crate::proto::site::Answer;
use crate::proto::types::BlobHash;

/// Files that one call lists, and paths in each list of a change: what a page can show.
const MAX_LISTED: usize = 1000;

#[derive(Serialize)]
struct OwnerInfo {
    id: String,
    site: u32,
    state: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    name: Option<String>,
}

fn owner_info(owner: SiteOwner) -> OwnerInfo {
    let (state, name) = match owner.standing {
        Standing::Here => ("here", None),
        Standing::Moved(name) => ("moved", Some(name.to_string())),
        Standing::Withdrawn => ("withdrawn", None),
        Standing::Unknown => ("unknown", None),
    };
    OwnerInfo {
        id: owner.claim.id.to_string(),
        site: owner.claim.site,
        state,
        name,
    }
}

#[wasm_bindgen]
impl WasmNode {
    /// Keeps the files that `reader` yields as one version of a site, and says what it changes; signs nothing.
    #[wasm_bindgen(js_name = publishSite, unchecked_return_type = "Promise<SiteChange>")]
    pub fn publish_site(
        &self,
        reader: ReadableStreamDefaultReader,
        options: JsPublishOptions,
    ) -> Promise {
        let node = self.node();
        promise_until(options.publish_signal(), async move {
            object(&publish(&node, reader, &options).await?)
        })
    }

    /// Opens a site, waiting for its list of files, and says what it is and how much of it is here.
    #[wasm_bindgen(js_name = siteInfo, unchecked_return_type = "Promise<SiteInfo>")]
    pub fn site_info(&self, cid: String, work: Option<JsWork>) -> Promise {
        let node = self.node();
        let signal = work.and_then(|work| work.work_signal());
        promise_until(signal, async move { object(&info(&node, &cid).await?) })
    }

    /// Files of a site in order of their paths.
    #[wasm_bindgen(js_name = siteFiles, unchecked_return_type = "Promise<SiteFileInfo[]>")]
    pub fn site_files(&self, cid: String, offset: u32, limit: u32) -> Promise {
        let node = self.node();
        promise(async move {
            let site = node.site(parse(&cid)?).await?;
            let limit = MAX_LISTED.min(limit as usize);
            let entries = site.manifest().entries().skip(offset as usize).take(limit);
            let files: Vec<_> = entries.map(|entry| file_info(&entry)).collect();
            object(&files)
        })
    }

    /// Whose the site under a name is; undefined if it does not say so.
    #[wasm_bindgen(js_name = siteOwner, unchecked_return_type = "Promise<SiteOwner | undefined>")]
    pub fn site_owner(&self, cid: String, name: String, work: Option<JsWork>) -> Promise {
        let node = self.node();
        let signal = work.and_then(|work| work.work_signal());
        promise_until(signal, async move {
            let site = node.site(parse(&cid)?).await?;
            match node.site_owner(&site, Name::parse(&name)?).await? {
                Some(owner) => object(&owner_info(owner)),
                None => Ok(JsValue::UNDEFINED),
            }
        })
    }

    /// What a site answers to a request.
    #[wasm_bindgen(js_name = siteAnswer, unchecked_return_type = "Promise<SiteAnswer>")]
    pub fn site_answer(&self, cid: String, target: String) -> Promise {
        let node = self.node();
        promise(async move {
            let site = node.site(parse(&cid)?).await?;
            object(&answer(site.resolve(&target)))
        })
    }

    /// Reads at most 1 MiB of a file from `offset`, waiting until it is verified and stored.
    #[wasm_bindgen(js_name = siteRead, unchecked_return_type = "Promise<Uint8Array>")]
    pub fn site_read(
        &self,
        cid: String,
        path: String,
        offset: f64,
        length: f64,
        work: Option<JsWork>,
    ) -> Promise {
        let node = self.node();
        let signal = work.and_then(|work| work.work_signal());
        promise_until(signal, async move {
            let site = node.site(parse(&cid)?).await?;
            let entry = entry(&site, &path)?;
            // Float to integer conversion saturates, so a nonsense offset reads nothing.
            let bytes = site.read(&entry, offset as u64, length as u64).await?;
            Ok(Uint8Array::from(bytes.as_ref()).into())
        })
    }

    /// Fetches all of a site.
    #[wasm_bindgen(js_name = siteFetch, unchecked_return_type = "Promise<void>")]
    pub fn site_fetch(&self, cid: String, work: Option<JsKeepWork>) -> Promise {
        let node = self.node();
        let work = work.map(|work| JsValue::from(work).unchecked_into::<JsWork>());
        let signal = work.as_ref().and_then(JsWork::work_signal);
        let on_progress = work.as_ref().and_then(JsWork::on_work_progress);
        promise_until(signal, async move {
            let site = node.site(parse(&cid)?).await?;
            let progress = |done: Fetching| {
                let done = KeepProgress {
                    files: done.files,
                    bytes: done.bytes,
                    all_files: done.all_files,
                    all_bytes: done.all_bytes,
                };
                call(on_progress.as_ref(), &done);
            };
            site.fetch(progress).await?;
            nothing()
        })
    }

    /// Keeps a site on purpose.
    #[wasm_bindgen(js_name = pinSite, unchecked_return_type = "Promise<void>")]
    pub fn pin_site(&self, cid: String) -> Promise {
        self.set_site_pinned(cid, true)
    }

    /// Lets it be evictable again.
    #[wasm_bindgen(js_name = unpinSite, unchecked_return_type = "Promise<void>")]
    pub fn unpin_site(&self, cid: String) -> Promise {
        self.set_site_pinned(cid, false)
    }

    /// Drops a site, and the files that no other site here has.
    #[wasm_bindgen(js_name = removeSite, unchecked_return_type = "Promise<void>")]
    pub fn remove_site(&self, cid: String) -> Promise {
        let node = self.node();
        promise(async move {
            node.remove_site(parse(&cid)?).await?;
            nothing()
        })
    }

    /// Asks keepers to keep what an address leads to; resolves to the best that one of them says.
    #[wasm_bindgen(js_name = askKeepers, unchecked_return_type = "Promise<KeeperWord>")]
    pub fn ask_keepers(&self, address: String, work: Option<JsWork>) -> Promise {
        let node = self.node();
        let signal = work.and_then(|work| work.work_signal());
        promise_until(signal, async move {
            let address: Address = address
                .parse()
                .map_err(|error: AddressError| Error::BadOptions(error.to_string()))?;
            let word = match node.ask_keepers(address, &[]).await? {
                Verdict::Taken => "taken",
                Verdict::Full => "full",
                Verdict::Refused => "refused",
                Verdict::NotFound => "unreached",
            };
            Ok(word.into())
        })
    }

    /// The sites whose lists of files are here.
    #[wasm_bindgen(unchecked_return_type = "Promise<HeldSite[]>")]
    pub fn sites(&self) -> Promise {
        let node = self.node();
        promise(async move {
            let mut held = Vec::new();
            for (manifest, pinned) in node.sites().await? {
                if let Some(site) = node.site_here(manifest).await? {
                    let manifest = site.manifest();
                    held.push(HeldSite {
                        cid: manifest.cid(),
                        pinned,
                        title: manifest.extra().name.clone(),
                        bytes: manifest.size(),
                        files: manifest.len(),
                    });
                }
            }
            object(&held)
        })
    }
}

impl WasmNode {
    fn set_site_pinned(&self, cid: String, pinned: bool) -> Promise {
        let node = self.node();
        promise(async move {
            node.set_site_pinned(parse(&cid)?, pinned).await?;
            nothing()
        })
    }
}

/// A file of a site as `#/s/<cid>/<path>` names it, the path percent-encoded.
pub(super) async fn open_file(node: &PageNode, link: &str) -> Result<crate::node::PageFile> {
    let (cid, path) = link
        .split_once('/')
        .ok_or_else(|| Error::BadOptions("a link to a file of a site has a path".into()))?;
    let site = node.site(parse(cid)?).await?;
    let path = js_sys::decode_uri_component(path)
        .map_err(|_| Error::BadOptions("the path of a file is no text".into()))?;
    let path = String::from(path);
    site.open(&entry(&site, &path)?).await
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct PublishProgress {
    files: usize,
    bytes: u64,
    new_files: usize,
    new_bytes: u64,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct KeepProgress {
    files: usize,
    bytes: u64,
    all_files: usize,
    all_bytes: u64,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct SiteChange {
    cid: String,
    previous: Option<String>,
    added: Vec<String>,
    changed: Vec<String>,
    removed: Vec<String>,
    added_count: usize,
    changed_count: usize,
    removed_count: usize,
    new_bytes: u64,
    files: usize,
    bytes: u64,
    same_but_for_case: Vec<String>,
    skipped_redirects: Vec<SkippedLine>,
    skipped_headers: Vec<SkippedLine>,
}

/// A line of a file of rules that does not count.
#[derive(Serialize)]
pub(super) struct SkippedLine {
    line: usize,
    reason: String,
}

impl SkippedLine {
    pub fn all(lines: &[(usize, impl std::fmt::Display)]) -> Vec<Self> {
        let told = lines.iter().take(MAX_LISTED).map(|(line, reason)| Self {
            line: *line,
            reason: reason.to_string(),
        });
        told.collect()
    }
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct SiteInfo {
    cid: String,
    title: String,
    files: usize,
    bytes: u64,
    previous: Option<String>,
    time: Option<u64>,
    index: String,
    fallback: Option<String>,
    pinned: bool,
    here: Here,
    holders: usize,
    keepers: usize,
    seen_hour: usize,
    seen_day: usize,
}

#[derive(Serialize)]
struct Here {
    files: usize,
    bytes: u64,
}

#[derive(Serialize)]
struct FileInfo {
    path: String,
    size: u64,
    r#type: String,
    hash: String,
}

#[derive(Serialize)]
struct HeldSite {
    cid: String,
    pinned: bool,
    title: String,
    bytes: u64,
    files: usize,
}

#[derive(Serialize, Default)]
struct SiteAnswer {
    kind: &'static str,
    status: u16,
    path: Option<String>,
    size: u64,
    r#type: String,
    etag: Option<String>,
    location: Option<String>,
    cache: Option<String>,
    csp: Option<String>,
}

async fn publish(
    node: &PageNode,
    reader: ReadableStreamDefaultReader,
    options: &JsPublishOptions,
) -> Result<SiteChange> {
    let on_progress = options.on_publish_progress();
    let previous = options.previous().as_deref().map(parse).transpose()?;
    let options = PublishOptions {
        name: options.title().unwrap_or_default(),
        previous,
        index: options.index().unwrap_or_default(),
        missing: options.missing(),
        fallback: options.fallback(),
        dated: true,
    };
    // What changes cannot be said without the list of before; without it everything counts as new.
    let before = match previous {
        Some(previous) => node.site(previous).await.ok(),
        None => None,
    };
    let progress = |done: Publishing| {
        let done = PublishProgress {
            files: done.files,
            bytes: done.bytes,
            new_files: done.new_files,
            new_bytes: done.new_bytes,
        };
        call(on_progress.as_ref(), &done);
    };
    let published = node.publish(files(reader), options, progress).await?;
    Ok(change(&published, previous, before.as_ref()))
}

async fn info(node: &PageNode, cid: &str) -> Result<SiteInfo> {
    let id = parse(cid)?;
    let site = node.site(id).await?;
    let here = site.progress().await?;
    let holders = node.holders(id).await?;
    let sites = node.sites().await?;
    let manifest = site.manifest();
    let extra = manifest.extra();
    Ok(SiteInfo {
        cid: manifest.cid(),
        title: extra.name.clone(),
        files: manifest.len(),
        bytes: manifest.size(),
        previous: extra.previous.map(manifest_cid),
        time: (extra.time > 0).then_some(extra.time * 1000),
        index: manifest.index().to_owned(),
        fallback: extra.fallback.clone(),
        pinned: sites.contains(&(id, true)),
        here: Here {
            files: here.files,
            bytes: here.bytes,
        },
        holders: holders.now,
        keepers: holders.keepers,
        seen_hour: holders.hour,
        seen_day: holders.day,
    })
}

fn change(
    published: &Published,
    previous: Option<BlobHash>,
    before: Option<&PageSite>,
) -> SiteChange {
    let manifest = &published.manifest;
    let diff = match before {
        Some(before) => Diff::between(before.manifest(), manifest),
        None => Diff {
            added: manifest
                .entries()
                .map(|entry| entry.path.to_owned())
                .collect(),
            new_bytes: manifest.size(),
            ..Diff::default()
        },
    };
    SiteChange {
        cid: manifest.cid(),
        previous: previous.map(manifest_cid),
        added_count: diff.added.len(),
        changed_count: diff.changed.len(),
        removed_count: diff.removed.len(),
        added: listed(diff.added),
        changed: listed(diff.changed),
        removed: listed(diff.removed),
        new_bytes: diff.new_bytes,
        files: manifest.len(),
        bytes: manifest.size(),
        same_but_for_case: listed(published.same_but_for_case.clone()),
        skipped_redirects: SkippedLine::all(&published.skipped_redirects),
        skipped_headers: SkippedLine::all(&published.skipped_headers),
    }
}

fn listed(mut paths: Vec<String>) -> Vec<String> {
    paths.truncate(MAX_LISTED);
    paths
}

fn file_info(entry: &Entry<'_>) -> FileInfo {
    FileInfo {
        path: entry.path.to_owned(),
        size: entry.size,
        r#type: entry.media_type.to_owned(),
        hash: entry.blob.to_string(),
    }
}

fn answer(answer: Answer<'_>) -> SiteAnswer {
    let missing = |status| SiteAnswer {
        kind: "missing",
        status,
        ..SiteAnswer::default()
    };
    match answer {
        Answer::File { status, entry } => {
            let header = |text: fn(&Headers) -> &Option<String>| {
                entry.headers.and_then(|headers| text(headers).clone())
            };
            SiteAnswer {
                kind: "file",
                status,
                path: Some(entry.path.to_owned()),
                size: entry.size,
                r#type: entry.media_type.to_owned(),
                etag: Some(format!("\"{}\"", entry.blob)),
                location: None,
                cache: header(|headers| &headers.cache),
                csp: header(|headers| &headers.csp),
            }
        }
        Answer::Redirect { status, location } => SiteAnswer {
            kind: "redirect",
            status,
            location: Some(location),
            ..SiteAnswer::default()
        },
        Answer::NotFound => missing(404),
        Answer::BadRequest => missing(400),
    }
}

/// The files of a reader whose values are `SitePiece`s: an object begins a file, bytes go on with it.
fn files(
    reader: ReadableStreamDefaultReader,
) -> impl Stream<Item = Result<SiteFile<'static>, String>> {
    let pieces = Rc::new(Pieces {
        reader: Cancel(reader),
        start: RefCell::new(None),
    });
    stream::unfold(Some(pieces), |pieces| async move {
        let pieces = pieces?;
        match pieces.next_file().await {
            Ok(Some(start)) => {
                let content = pieces.clone().content(start.bytes);
                let headers = Headers {
                    cache: start.cache,
                    csp: start.csp,
                };
                let file = SiteFile {
                    path: start.path,
                    media_type: start.media_type,
                    headers: Some(headers).filter(|headers| *headers != Headers::default()),
                    content,
                };
                Some((Ok(file), Some(pieces)))
            }
            Ok(None) => None,
            Err(error) => Some((Err(error), None)),
        }
    })
}

struct Pieces {
    reader: Cancel,
    /// The start of the next file, met while the one before was read.
    start: RefCell<Option<Start>>,
}

struct Start {
    path: String,
    media_type: Option<String>,
    cache: Option<String>,
    csp: Option<String>,
    bytes: Bytes,
}

enum Piece {
    Start(Start),
    Bytes(Bytes),
}

impl Pieces {
    async fn next_file(&self) -> Result<Option<Start>, String> {
        loop {
            if let Some(start) = self.start.take() {
                return Ok(Some(start));
            }
            match self.next().await? {
                Some(Piece::Start(start)) => return Ok(Some(start)),
                // The rest of a file that nobody read to its end.
                Some(Piece::Bytes(_)) => {}
                None => return Ok(None),
            }
        }
    }

    fn content(
        self: Rc<Self>,
        first: Bytes,
    ) -> stream::LocalBoxStream<'static, Result<Bytes, String>> {
        let rest = stream::unfold(Some(self), |pieces| async move {
            let pieces = pieces?;
            match pieces.next().await {
                Ok(Some(Piece::Bytes(bytes))) => Some((Ok(bytes), Some(pieces))),
                Ok(Some(Piece::Start(start))) => {
                    pieces.start.replace(Some(start));
                    None
                }
                Ok(None) => None,
                Err(error) => Some((Err(error), None)),
            }
        });
        stream::iter([Ok(first)]).chain(rest).boxed_local()
    }

    async fn next(&self) -> Result<Option<Piece>, String> {
        let Some(value) = next_value(&self.reader.0).await? else {
            return Ok(None);
        };
        if let Some(bytes) = value.dyn_ref::<Uint8Array>() {
            return Ok(Some(Piece::Bytes(bytes.to_vec().into())));
        }
        let field = |name: &str| Reflect::get(&value, &name.into()).unwrap_or(JsValue::UNDEFINED);
        let bytes = field("bytes").dyn_into::<Uint8Array>();
        let (Some(path), Ok(bytes)) = (field("path").as_string(), bytes) else {
            return Err("the stream holds something other than files".into());
        };
        Ok(Some(Piece::Start(Start {
            path,
            media_type: field("type").as_string(),
            cache: field("cache").as_string(),
            csp: field("csp").as_string(),
            bytes: bytes.to_vec().into(),
        })))
    }
}

fn entry<'a>(site: &'a PageSite, path: &str) -> Result<Entry<'a>> {
    let found = site.manifest().get(path);
    found.ok_or_else(|| Error::BadOptions("the site has no such file".into()))
}

fn parse(cid: &str) -> Result<BlobHash> {
    parse_manifest_cid(cid).map_err(Error::BadLink)
}

fn call(listener: Option<&Function>, value: &impl Serialize) {
    if let Some(listener) = listener {
        // A listener that throws is the page's own affair.
        let _ = listener.call1(&JsValue::NULL, &snapshot::<Object>(value));
    }
}
