//! The right to a database: a Web Lock of this origin, held for as long as the store is open.
//!
//! The platform frees it when the tab closes or dies, so no lock outlives its owner and none has to be broken.

use futures::channel::oneshot;
use futures::future::{Either, select};
use js_sys::{Function, Object, Promise, Reflect};
use wasm_bindgen::closure::Closure;
use wasm_bindgen::{JsCast, JsValue};
use wasm_bindgen_futures::JsFuture;

use super::navigator;
use crate::store::{Result, StoreError};

/// A lock that this page holds. Dropping it gives it up; the next owner can have it a moment later.
#[derive(Debug)]
pub(super) struct WebLock {
    /// Settles the promise that the platform waits for while we hold the lock.
    give_up: Function,
    /// Settles once the lock is free again.
    request: Promise,
}

impl WebLock {
    /// Takes the lock if nobody has it.
    ///
    /// # Errors
    /// `Busy` if somebody has it, `Backend` where there are no Web Locks.
    pub(super) async fn acquire(name: &str) -> Result<Self> {
        let locks = navigator("locks").ok_or_else(|| {
            StoreError::Backend("no Web Locks here: the page needs https or localhost".into())
        })?;
        let request: Function = Reflect::get(&locks, &"request".into())
            .and_then(|f| f.dyn_into())
            .map_err(backend)?;
        let options = Object::new();
        Reflect::set(&options, &"ifAvailable".into(), &true.into()).map_err(backend)?;

        let mut give_up = None;
        let held = Promise::new(&mut |resolve, _| give_up = Some(resolve));
        let give_up = give_up.expect("a promise calls its executor at once");
        let (sender, answer) = oneshot::channel();
        let on_answer = Closure::once(move |lock: JsValue| -> JsValue {
            let granted = !lock.is_null();
            // If the caller is gone, the guard below has settled `held` and the lock is free at once.
            let _ = sender.send(granted);
            if granted {
                held.into()
            } else {
                JsValue::UNDEFINED
            }
        });
        let request: Promise = request
            .call3(
                &locks,
                &name.into(),
                &options,
                on_answer.as_ref().unchecked_ref(),
            )
            .and_then(|promise| promise.dyn_into())
            .map_err(backend)?;
        let lock = Self {
            give_up,
            request: request.clone(),
        };
        match select(answer, JsFuture::from(request)).await {
            Either::Left((Ok(true), _)) => Ok(lock),
            Either::Left(_) | Either::Right((Ok(_), _)) => Err(StoreError::Busy),
            Either::Right((Err(error), _)) => Err(backend(error)),
        }
    }

    /// Gives the lock up and waits until the next owner can have it.
    pub(super) async fn release(self) {
        let request = self.request.clone();
        drop(self);
        // It settles either way; that it ended in an error would change nothing.
        JsFuture::from(request).await.ok();
    }
}

impl Drop for WebLock {
    fn drop(&mut self) {
        // A resolving function never throws.
        self.give_up.call0(&JsValue::UNDEFINED).ok();
    }
}

fn backend(error: JsValue) -> StoreError {
    StoreError::Backend(format!("Web Locks: {error:?}"))
}
