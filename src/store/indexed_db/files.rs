//! The bytes of chunks in the origin private file system: one file per row, each chunk at its place.
//!
//! A value that goes through IndexedDB is copied through another process and costs ten times as much processor time as the same
//! bytes written to a file of the origin. So whole chunks lie in files where the platform has them, and IndexedDB holds
//! what counts: which chunks there are, their proofs, and all bookkeeping. A chunk is written here first and entered there after, so
//! what is entered is here. What is here and not entered is overwritten or removed with its row.
//!
//! Only a worker can do this. It is made of a blob, so that no bundler has to know of it; where a page's policy forbids that,
//! or the browser has no such files (a private window of Firefox), everything goes through IndexedDB.

use std::cell::{Cell, RefCell};
use std::rc::Rc;

use bytes::Bytes;
use futures::channel::oneshot;
use js_sys::{Array, Object, Reflect, Uint8Array};
use wasm_bindgen::closure::Closure;
use wasm_bindgen::{JsCast, JsValue};
use web_sys::{Blob, BlobPropertyBag, Event, MessageEvent, Url, Worker};

use crate::proto::ordered::Map;
use crate::proto::types::{CHUNK_SIZE, ChunkIndex};
use crate::store::{Result, RowId, StoreError, StoredChunk};

/// Chunks of fewer bytes stay in IndexedDB: a file for each small blob would cost more than it saves.
pub(super) const FILE_MIN: usize = 64 * 1024;

/// What the worker runs.
const SOURCE: &str = include_str!("files.js");

type Answer = std::result::Result<JsValue, String>;
type Waiting = Rc<RefCell<Map<u32, oneshot::Sender<Answer>>>>;

/// Buffers of a chunk each that are kept to be used again: what is under way at once, usually. New ones cost more than the
/// copying does, as the platform has to find and clear the memory.
const SPARE_MAX: usize = 16;

/// Where a chunk lies in its row's file.
#[derive(Debug, Clone, Copy)]
pub(super) struct Place {
    pub index: ChunkIndex,
    /// Bytes.
    pub len: usize,
}

impl Place {
    pub(super) fn with_proof(chunk: &StoredChunk) -> (Self, Bytes) {
        let place = Self {
            index: chunk.index,
            len: chunk.data.len(),
        };
        (place, chunk.proof.clone())
    }
}

/// The files of one store. Dropping it ends the worker, and with it the right to the files.
pub(super) struct Files {
    worker: Worker,
    waiting: Waiting,
    next: Cell<u32>,
    spare: RefCell<Vec<Uint8Array>>,
    // Freed only after `drop` has ended the worker.
    _on_message: Closure<dyn FnMut(MessageEvent)>,
    _on_error: Closure<dyn FnMut(Event)>,
}

impl Files {
    /// Opens the files of the store `name` and removes those of other rows than these. `None` where there can be none.
    pub(super) async fn open(name: &str, rows: impl Iterator<Item = RowId>) -> Option<Self> {
        let (files, url) = Self::start().ok()?;
        let known: Array = rows.map(|row| JsValue::from(file_of(row))).collect();
        let folder = String::from(js_sys::encode_uri_component(&format!("gyre-{name}")));
        let opened = files.ask("open", &folder, &known, None).await;
        // Nothing to be done about it, and it is only a few bytes.
        let _ = Url::revoke_object_url(&url);
        opened.is_ok().then_some(files)
    }

    /// Writes the data of these chunks, all of one row.
    ///
    /// # Errors
    /// `QuotaExceeded` or `Backend`; then any part of it may have been written.
    pub(super) async fn write(
        &self,
        row: RowId,
        chunks: impl Iterator<Item = &StoredChunk>,
    ) -> Result<()> {
        let (parts, moved) = (Array::new(), Array::new());
        for chunk in chunks {
            let data = match self.spare(chunk.data.len()) {
                Some(spare) => {
                    spare.copy_from(&chunk.data);
                    spare
                }
                None => Uint8Array::from(&chunk.data[..]),
            };
            moved.push(&data.buffer());
            parts.push(&object(&[("at", at(chunk.index)), ("data", data.into())]));
        }
        let back = self
            .ask("write", &file_of(row), &parts, Some(&moved))
            .await?;
        for data in back.dyn_ref::<Array>().into_iter().flat_map(Array::iter) {
            self.keep(data);
        }
        Ok(())
    }

    /// Reads chunks of one row, in the order asked for; what the file lacks reads as zeros.
    ///
    /// # Errors
    /// `Backend`.
    pub(super) async fn read(&self, row: RowId, places: &[Place]) -> Result<Vec<Bytes>> {
        let (parts, moved) = (Array::new(), Array::new());
        for place in places {
            let into = self.spare(place.len);
            if let Some(into) = &into {
                moved.push(&into.buffer());
            }
            let into = into.map_or(JsValue::UNDEFINED, JsValue::from);
            let fields = [
                ("at", at(place.index)),
                ("length", place.len.into()),
                ("into", into),
            ];
            parts.push(&object(&fields));
        }
        let read = self
            .ask("read", &file_of(row), &parts, Some(&moved))
            .await?;
        let read: &Array = read.dyn_ref().ok_or_else(|| failed("no parts"))?;
        let mut found = Vec::with_capacity(places.len());
        for (part, place) in read.iter().zip(places) {
            let data: &Uint8Array = part.dyn_ref().ok_or_else(|| failed("no bytes"))?;
            if data.length() as usize != place.len {
                return Err(failed("other bytes than asked for"));
            }
            found.push(Bytes::from(data.to_vec()));
            self.keep(part);
        }
        match found.len() == places.len() {
            true => Ok(found),
            false => Err(failed("fewer parts than asked for")),
        }
    }

    /// Removes the file of a row, if there is one.
    ///
    /// # Errors
    /// `Backend`; then it goes when the store is opened next.
    pub(super) async fn remove(&self, row: RowId) -> Result<()> {
        self.ask("remove", &file_of(row), &Array::new(), None)
            .await
            .map(drop)
    }

    /// A buffer of `len` bytes to be used again.
    fn spare(&self, len: usize) -> Option<Uint8Array> {
        match len as u64 == CHUNK_SIZE {
            true => self.spare.borrow_mut().pop(),
            false => None,
        }
    }

    fn keep(&self, buffer: JsValue) {
        let mut spare = self.spare.borrow_mut();
        let whole = |buffer: &Uint8Array| u64::from(buffer.length()) == CHUNK_SIZE;
        if let Ok(buffer) = buffer.dyn_into::<Uint8Array>()
            && whole(&buffer)
            && spare.len() < SPARE_MAX
        {
            spare.push(buffer);
        }
    }

    /// The worker, and the address of its source.
    fn start() -> std::result::Result<(Self, String), JsValue> {
        let kind = BlobPropertyBag::new();
        kind.set_type("text/javascript");
        let source = Array::of1(&SOURCE.into());
        let blob = Blob::new_with_str_sequence_and_options(&source, &kind)?;
        let url = Url::create_object_url_with_blob(&blob)?;
        let worker = Worker::new(&url).inspect_err(|_| drop(Url::revoke_object_url(&url)))?;
        let waiting = Waiting::default();

        let answered = waiting.clone();
        let on_message = Closure::new(move |event: MessageEvent| {
            let answer = event.data();
            let of = |name: &str| Reflect::get(&answer, &name.into()).unwrap_or_default();
            let id = of("id").as_f64().map(|id| id as u32);
            let waits = id.and_then(|id| answered.borrow_mut().remove(&id));
            if let Some(waits) = waits {
                // Whoever asked may be gone.
                let _ = waits.send(match of("error").as_string() {
                    Some(error) => Err(error),
                    None => Ok(of("parts")),
                });
            }
        });
        // It could not be loaded, or has a fault: nobody is going to be answered.
        let ended = waiting.clone();
        let on_error = Closure::new(move |_| ended.borrow_mut().clear());
        worker.set_onmessage(Some(on_message.as_ref().unchecked_ref()));
        worker.set_onerror(Some(on_error.as_ref().unchecked_ref()));
        let files = Self {
            worker,
            waiting,
            next: Cell::new(0),
            spare: RefCell::default(),
            _on_message: on_message,
            _on_error: on_error,
        };
        Ok((files, url))
    }

    async fn ask(
        &self,
        what: &str,
        file: &str,
        parts: &Array,
        moved: Option<&Array>,
    ) -> Result<JsValue> {
        let id = self.next.get();
        self.next.set(id.wrapping_add(1));
        let message = object(&[
            ("id", id.into()),
            ("what", what.into()),
            ("file", file.into()),
            ("parts", parts.into()),
        ]);
        let (sender, answer) = oneshot::channel();
        self.waiting.borrow_mut().insert(id, sender);
        let none = Array::new();
        let sent = self
            .worker
            .post_message_with_transfer(&message, moved.unwrap_or(&none));
        if let Err(error) = sent {
            self.waiting.borrow_mut().remove(&id);
            return Err(failed(&format!("{error:?}")));
        }
        match answer.await {
            Ok(Ok(parts)) => Ok(parts),
            Ok(Err(error)) if error == "QuotaExceededError" => Err(StoreError::QuotaExceeded),
            Ok(Err(error)) => Err(failed(&error)),
            Err(oneshot::Canceled) => Err(failed("the worker is gone")),
        }
    }
}

impl Drop for Files {
    fn drop(&mut self) {
        self.worker.set_onmessage(None);
        self.worker.set_onerror(None);
        self.worker.terminate();
    }
}

impl std::fmt::Debug for Files {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Files").finish_non_exhaustive()
    }
}

fn file_of(row: RowId) -> String {
    row.0.to_string()
}

fn at(index: ChunkIndex) -> JsValue {
    JsValue::from_f64((u64::from(index.0) * CHUNK_SIZE) as f64)
}

fn object(fields: &[(&str, JsValue)]) -> Object {
    let object = Object::new();
    for (name, value) in fields {
        // Cannot fail: a fresh object takes any property.
        let _ = Reflect::set(&object, &(*name).into(), value);
    }
    object
}

fn failed(why: &str) -> StoreError {
    StoreError::Backend(format!("files of the origin: {why}"))
}
