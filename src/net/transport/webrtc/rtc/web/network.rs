//! News that the page is on the network again.

use futures::{
    StreamExt,
    channel::mpsc,
    stream::{self, BoxStream},
};
use send_wrapper::SendWrapper;
use wasm_bindgen::{JsCast, JsValue, closure::Closure};
use web_sys::{Event, EventTarget};

/// An item each time that the browser says so; never one where it cannot be heard.
pub(super) fn changes() -> BoxStream<'static, ()> {
    // One that nobody has taken yet stands for all.
    let (mut sender, changes) = mpsc::channel(1);
    let on_online = Closure::<dyn FnMut(Event)>::new(move |_| {
        let _ = sender.try_send(());
    });
    let listening = Listening {
        target: js_sys::global().unchecked_into(),
        on_online,
    };
    if listening.start().is_err() {
        return stream::pending().boxed();
    }
    let listening = SendWrapper::new(listening);
    changes
        .map(move |()| {
            let _ = &listening;
        })
        .boxed()
}

/// Hears when the browser says that it is online; `navigator.connection` would also tell of every new estimate of a rate.
struct Listening {
    target: EventTarget,
    on_online: Closure<dyn FnMut(Event)>,
}

impl Listening {
    fn start(&self) -> Result<(), JsValue> {
        let handler = self.on_online.as_ref().unchecked_ref();
        self.target
            .add_event_listener_with_callback("online", handler)
    }
}

impl Drop for Listening {
    fn drop(&mut self) {
        let handler = self.on_online.as_ref().unchecked_ref();
        // Fails only for what is no handler.
        let _ = self
            .target
            .remove_event_listener_with_callback("online", handler);
    }
}
