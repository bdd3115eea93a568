//! `RTCDataChannel`.

use std::{
    cell::Cell,
    fmt,
    rc::Rc,
    sync::atomic::{AtomicUsize, Ordering},
    task::{Context, Poll},
};

use bytes::Bytes;
use js_sys::{ArrayBuffer, Uint8Array};
use send_wrapper::SendWrapper;
use wasm_bindgen::{JsCast, closure::Closure};
use web_sys::{Event, MessageEvent, RtcDataChannel, RtcDataChannelState, RtcDataChannelType};

use super::super::{ChannelEvent, RtcChannel, RtcError};
use super::js::platform;
use super::queue::Queue;

/// Bytes of messages of one connection that wait to be polled; a channel that gets more is closed. What the muxer lets
/// stay unread, because it takes everything over as soon as it runs.
pub const MAX_QUEUED_BYTES: usize = 16 * 1024 * 1024;

/// What a message in a queue costs besides its bytes.
const MESSAGE_COST: usize = 96;

static CHANNELS: AtomicUsize = AtomicUsize::new(0);

/// How many data channels this page holds now: none may outlive its stream.
pub fn open_channels() -> usize {
    CHANNELS.load(Ordering::Relaxed)
}

/// An `RTCDataChannel`.
pub struct WebChannel(SendWrapper<Channel>);

impl WebChannel {
    pub(super) fn new(channel: RtcDataChannel, budget: Rc<Cell<usize>>) -> Self {
        CHANNELS.fetch_add(1, Ordering::Relaxed);
        Self(SendWrapper::new(Channel::new(channel, budget)))
    }
}

impl RtcChannel for WebChannel {
    fn label(&self) -> &str {
        &self.0.label
    }

    fn send(&mut self, message: &[u8]) -> Result<(), RtcError> {
        // Handed over as a view of wasm memory, which the browser copies before it returns: this memory is not shared
        // between threads, where it would be refused.
        self.0.channel.send_with_u8_array(message).map_err(platform)
    }

    fn buffered_amount(&self) -> usize {
        self.0.channel.buffered_amount() as usize
    }

    fn set_low_threshold(&mut self, bytes: usize) {
        let bytes = u32::try_from(bytes).unwrap_or(u32::MAX);
        self.0.channel.set_buffered_amount_low_threshold(bytes);
    }

    fn poll_event(&mut self, cx: &mut Context<'_>) -> Poll<ChannelEvent> {
        self.0.queue.poll(cx).map(|event| {
            if let ChannelEvent::Message(message) = &event {
                self.0
                    .budget
                    .set(self.0.budget.get() - message.len() - MESSAGE_COST);
            }
            event
        })
    }

    fn close(&mut self) {
        self.0.channel.close();
    }
}

impl fmt::Debug for WebChannel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("WebChannel")
            .field(&self.0.channel.ready_state())
            .finish()
    }
}

struct Channel {
    channel: RtcDataChannel,
    label: String,
    queue: Queue<ChannelEvent>,
    budget: Rc<Cell<usize>>,
    // Freed only after `drop` has unset the handlers.
    _on_event: Closure<dyn FnMut(Event)>,
    _on_message: Closure<dyn FnMut(MessageEvent)>,
}

impl Channel {
    fn new(channel: RtcDataChannel, budget: Rc<Cell<usize>>) -> Self {
        channel.set_binary_type(RtcDataChannelType::Arraybuffer);
        let queue = Queue::default();

        let events = queue.clone();
        // The remote's channels may be open from the start, with or without an event that says so.
        let opened = Cell::new(channel.ready_state() == RtcDataChannelState::Open);
        if opened.get() {
            queue.push(ChannelEvent::Open);
        }
        let on_event = Closure::new(move |event: Event| match event.type_().as_str() {
            "open" if !opened.replace(true) => events.push(ChannelEvent::Open),
            "bufferedamountlow" => events.push(ChannelEvent::BufferedAmountLow),
            "close" => events.push(ChannelEvent::Closed),
            _ => {}
        });

        let events = queue.clone();
        let counted = budget.clone();
        let source = channel.clone();
        let refused = Cell::new(false);
        let on_message = Closure::new(move |event: MessageEvent| {
            if refused.get() {
                return;
            }
            let total = event.data().dyn_into::<ArrayBuffer>().ok().map(|buffer| {
                let cost = buffer.byte_length() as usize + MESSAGE_COST;
                (buffer, counted.get().saturating_add(cost))
            });
            match total {
                Some((buffer, total)) if total <= MAX_QUEUED_BYTES => {
                    counted.set(total);
                    let message = Bytes::from(Uint8Array::new(&buffer).to_vec());
                    events.push(ChannelEvent::Message(message));
                }
                // Text, or more than fits: whatever follows would have a gap before it.
                _ => {
                    refused.set(true);
                    source.close();
                }
            }
        });

        let handler = Some(on_event.as_ref().unchecked_ref());
        channel.set_onopen(handler);
        channel.set_onbufferedamountlow(handler);
        channel.set_onclose(handler);
        channel.set_onmessage(Some(on_message.as_ref().unchecked_ref()));
        let label = channel.label();
        Self {
            channel,
            label,
            queue,
            budget,
            _on_event: on_event,
            _on_message: on_message,
        }
    }
}

impl Drop for Channel {
    fn drop(&mut self) {
        CHANNELS.fetch_sub(1, Ordering::Relaxed);
        self.channel.set_onopen(None);
        self.channel.set_onbufferedamountlow(None);
        self.channel.set_onclose(None);
        self.channel.set_onmessage(None);
        if self.channel.ready_state() != RtcDataChannelState::Closed {
            self.channel.close();
        }
        for event in self.queue.clear() {
            if let ChannelEvent::Message(message) = event {
                self.budget
                    .set(self.budget.get() - message.len() - MESSAGE_COST);
            }
        }
    }
}
