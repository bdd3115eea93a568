//! The transport below a connection, which knows first that the remote has closed it.

use std::cell::RefCell;

use wasm_bindgen::{JsCast, closure::Closure};
use web_sys::{Event, EventTarget, RtcPeerConnection};

use super::super::{ConnectionState, PeerEvent};
use super::js::property;
use super::{channel::WebChannel, queue::Queue};

/// Watches the DTLS transport: when the remote closes the connection, it says so at once, while the connection's own
/// state only notices that nobody answers, many seconds later.
pub(super) struct TransportWatch {
    target: RefCell<Option<EventTarget>>,
    on_change: Closure<dyn FnMut(Event)>,
}

impl TransportWatch {
    pub(super) fn new(queue: Queue<PeerEvent<WebChannel>>) -> Self {
        let on_change = Closure::new(move |event: Event| {
            let state = event.target().and_then(|target| property(&target, "state"));
            let state = state.and_then(|state| state.as_string());
            if matches!(state.as_deref(), Some("closed" | "failed")) {
                queue.push_state(ConnectionState::Failed);
            }
        });
        Self {
            target: RefCell::new(None),
            on_change,
        }
    }

    /// Finds the transport, which exists once a description is set; a browser that has none is not watched.
    pub(super) fn attach(&self, connection: &RtcPeerConnection) {
        if self.target.borrow().is_some() {
            return;
        }
        let transport = property(connection, "sctp")
            .and_then(|sctp| property(&sctp, "transport"))
            .and_then(|transport| transport.dyn_into::<EventTarget>().ok());
        if let Some(target) = transport {
            let handler = self.on_change.as_ref().unchecked_ref();
            if target
                .add_event_listener_with_callback("statechange", handler)
                .is_ok()
            {
                *self.target.borrow_mut() = Some(target);
            }
        }
    }

    pub(super) fn detach(&self) {
        if let Some(target) = self.target.borrow_mut().take() {
            let handler = self.on_change.as_ref().unchecked_ref();
            // Fails only for what is no handler.
            let _ = target.remove_event_listener_with_callback("statechange", handler);
        }
    }
}

impl Drop for TransportWatch {
    fn drop(&mut self) {
        self.detach();
    }
}
