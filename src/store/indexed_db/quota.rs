//! What the platform offers this origin, as far as it says so.
//!
//! The figure is a hint for display and for refusing early. Chromium may report more than it grants, and any platform
//! may run out of disk: what counts is whether the commit succeeds.

use std::cell::Cell;

use js_sys::{Function, Promise, Reflect};
use wasm_bindgen::{JsCast, JsValue};
use wasm_bindgen_futures::JsFuture;

use super::counter::to_number;
use super::navigator;

/// Bytes written before the platform is asked again; asking costs under 1 ms, a batch of 2 MiB some 20 ms.
const ASK_EVERY: u64 = 64 * 1024 * 1024;

/// The last answer of `navigator.storage.estimate()`.
#[derive(Debug)]
pub(super) struct PlatformQuota {
    /// Bytes of chunk data the store may hold by that answer.
    offered: Cell<u64>,
    /// Bytes that may be written before the answer is too old.
    fresh_for: Cell<u64>,
}

impl Default for PlatformQuota {
    /// No answer yet.
    fn default() -> Self {
        Self {
            offered: Cell::new(u64::MAX),
            fresh_for: Cell::new(0),
        }
    }
}

impl PlatformQuota {
    /// Whether to ask again before another `incoming` bytes are written.
    pub(super) fn is_stale(&self, incoming: u64) -> bool {
        match self.fresh_for.get().checked_sub(incoming) {
            Some(rest) => {
                self.fresh_for.set(rest);
                false
            }
            None => true,
        }
    }

    /// Asks the platform, for a store that holds `used` bytes now.
    pub(super) async fn refresh(&self, used: u64) {
        // A platform that gives no figure still refuses what does not fit.
        let spare = spare().await.unwrap_or(u64::MAX);
        self.offered.set(used.saturating_add(spare));
        self.fresh_for.set(ASK_EVERY);
    }

    pub(super) fn offered(&self) -> u64 {
        self.offered.get()
    }
}

/// Bytes that this origin may still store.
async fn spare() -> Option<u64> {
    let storage = navigator("storage")?;
    let estimate: Function = Reflect::get(&storage, &"estimate".into())
        .ok()?
        .dyn_into()
        .ok()?;
    let promise: Promise = estimate.call0(&storage).ok()?.dyn_into().ok()?;
    let answer: JsValue = JsFuture::from(promise).await.ok()?;
    let quota = to_number(&Reflect::get(&answer, &"quota".into()).ok()?)?;
    let usage = to_number(&Reflect::get(&answer, &"usage".into()).ok()?)?;
    Some(quota.saturating_sub(usage))
}
