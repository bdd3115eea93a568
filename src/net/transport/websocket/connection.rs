//! One browser `WebSocket` as a byte stream.

use std::cell::RefCell;
use std::io;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use bytes::{Buf, BytesMut};
use futures::future::{Either, poll_fn, select};
use futures::{AsyncRead, AsyncWrite, FutureExt};
use futures_timer::Delay;
use js_sys::{ArrayBuffer, Uint8Array};
use send_wrapper::SendWrapper;
use wasm_bindgen::prelude::*;
use web_sys::{BinaryType, CloseEvent, MessageEvent, WebSocket};

use super::Error;

/// Time for the TCP, TLS and HTTP handshakes together. Ours: a relay that needs longer is not worth waiting for.
const OPEN_TIMEOUT: Duration = Duration::from_secs(15);

/// Bytes received and not yet read, at most. Ours: a keeper sends chunks of up to 32 files at a time, each stream has a window of at
/// least 256 KiB, and a page that is busy for a moment reads nothing; four times that.
const RECEIVE_LIMIT: usize = 32 * 1024 * 1024;

/// Largest allocation that is kept while nothing is unread. Ours: four messages of Noise at their largest.
const KEPT_CAPACITY: usize = 256 * 1024;

/// Bytes handed to the browser and not yet sent, at most, before writers wait.
const SEND_LIMIT: u32 = 1024 * 1024;

/// How often a waiting writer looks again: browsers have no event for a websocket's send buffer.
const SEND_RETRY: Duration = Duration::from_millis(20);

/// How long a close waits for the remote's answer. Ours: what was written is sent all the same, and browsers themselves wait
/// up to a minute for a remote that has gone silent.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(2);

/// Largest single message that is sent.
const MAX_MESSAGE: usize = 64 * 1024;

/// An open websocket.
pub struct Connection {
    inner: SendWrapper<Inner>,
    retry: Option<Delay>,
    /// Set by the first close.
    closing: Option<Delay>,
}

impl std::fmt::Debug for Connection {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Connection")
            .field("url", &self.inner.socket.url())
            .finish_non_exhaustive()
    }
}

struct Inner {
    socket: WebSocket,
    shared: Rc<RefCell<Shared>>,
    // Kept alive for as long as the socket may call them.
    _on_open: Closure<dyn FnMut()>,
    _on_message: Closure<dyn FnMut(MessageEvent)>,
    _on_close: Closure<dyn FnMut(CloseEvent)>,
}

impl Drop for Inner {
    fn drop(&mut self) {
        // First detach, then free the closures: the browser may still have an event queued.
        self.socket.set_onopen(None);
        self.socket.set_onmessage(None);
        self.socket.set_onclose(None);
        if matches!(
            self.socket.ready_state(),
            WebSocket::CONNECTING | WebSocket::OPEN
        ) {
            let _ = self.socket.close();
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Opening,
    Open,
    /// The remote or we closed it in order.
    Closed,
    /// It broke, or the remote overflowed us.
    Failed(&'static str),
}

struct Shared {
    state: State,
    // One buffer instead of a queue of messages: the remote chooses how small those are, and each would cost its own
    // allocation beyond what is counted.
    received: BytesMut,
    reader: Option<Waker>,
    writer: Option<Waker>,
}

impl Shared {
    fn end(&mut self, state: State) -> [Option<Waker>; 2] {
        if matches!(self.state, State::Opening | State::Open) {
            self.state = state;
        }
        [self.reader.take(), self.writer.take()]
    }
}

fn wake(wakers: [Option<Waker>; 2]) {
    wakers.into_iter().flatten().for_each(Waker::wake);
}

impl Connection {
    /// Opens `url`; ends when the socket is open, refused, or after 15 s.
    pub(super) async fn open(url: String) -> Result<Self, Error> {
        let socket = WebSocket::new(&url).map_err(|reason| Error::Refused {
            url: url.clone(),
            reason: format!("{reason:?}"),
        })?;
        socket.set_binary_type(BinaryType::Arraybuffer);
        let shared = Rc::new(RefCell::new(Shared {
            state: State::Opening,
            received: BytesMut::new(),
            reader: None,
            writer: None,
        }));

        let on_open = Closure::<dyn FnMut()>::new({
            let shared = shared.clone();
            move || {
                let wakers = {
                    let mut shared = shared.borrow_mut();
                    shared.state = State::Open;
                    [shared.reader.take(), shared.writer.take()]
                };
                wake(wakers);
            }
        });
        let on_message = Closure::<dyn FnMut(MessageEvent)>::new({
            let shared = shared.clone();
            let socket = socket.clone();
            move |event: MessageEvent| {
                let (wakers, failed) = {
                    let mut shared = shared.borrow_mut();
                    let wakers = on_message(&mut shared, &event.data());
                    (wakers, matches!(shared.state, State::Failed(_)))
                };
                if failed {
                    // What follows would only be received to be thrown away.
                    let _ = socket.close();
                }
                wake(wakers);
            }
        });
        let on_close = Closure::<dyn FnMut(CloseEvent)>::new({
            let shared = shared.clone();
            move |event: CloseEvent| {
                let state = if event.was_clean() {
                    State::Closed
                } else {
                    State::Failed("the websocket broke")
                };
                let wakers = shared.borrow_mut().end(state);
                wake(wakers);
            }
        });
        socket.set_onopen(Some(on_open.as_ref().unchecked_ref()));
        socket.set_onmessage(Some(on_message.as_ref().unchecked_ref()));
        socket.set_onclose(Some(on_close.as_ref().unchecked_ref()));

        let inner = Inner {
            socket,
            shared,
            _on_open: on_open,
            _on_message: on_message,
            _on_close: on_close,
        };
        let opened = poll_fn(|cx| {
            let mut shared = inner.shared.borrow_mut();
            match shared.state {
                State::Opening => {
                    shared.reader = Some(cx.waker().clone());
                    Poll::Pending
                }
                State::Open => Poll::Ready(true),
                State::Closed | State::Failed(_) => Poll::Ready(false),
            }
        });
        match select(opened, Delay::new(OPEN_TIMEOUT)).await {
            Either::Left((true, _)) => {}
            Either::Left((false, _)) => return Err(Error::Unreachable(url)),
            Either::Right(_) => return Err(Error::TimedOut(url)),
        }
        Ok(Self {
            inner: SendWrapper::new(inner),
            retry: None,
            closing: None,
        })
    }
}

fn on_message(shared: &mut Shared, data: &JsValue) -> [Option<Waker>; 2] {
    // After a failure bytes are missing, and nothing that comes later may be read as if it followed.
    if shared.state != State::Open {
        return [None, None];
    }
    let Some(buffer) = data.dyn_ref::<ArrayBuffer>() else {
        return shared.end(State::Failed("the remote sent a text message"));
    };
    let bytes = Uint8Array::new(buffer);
    let before = shared.received.len();
    let Some(after) = before
        .checked_add(bytes.length() as usize)
        .filter(|after| *after <= RECEIVE_LIMIT)
    else {
        return shared.end(State::Failed("the remote sent more than is being read"));
    };
    // An empty message is legal and carries nothing; a reader must not take it for the end.
    if after == before {
        return [None, None];
    }
    shared.received.resize(after, 0);
    bytes.copy_to(&mut shared.received[before..]);
    [shared.reader.take(), None]
}

impl AsyncRead for Connection {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut [u8],
    ) -> Poll<io::Result<usize>> {
        let mut shared = self.inner.shared.borrow_mut();
        if !shared.received.is_empty() {
            let count = shared.received.len().min(buffer.len());
            shared.received.copy_to_slice(&mut buffer[..count]);
            if shared.received.is_empty() && shared.received.capacity() > KEPT_CAPACITY {
                shared.received = BytesMut::new();
            }
            return Poll::Ready(Ok(count));
        }
        match shared.state {
            State::Opening | State::Open => {
                shared.reader = Some(cx.waker().clone());
                Poll::Pending
            }
            State::Closed => Poll::Ready(Ok(0)),
            State::Failed(why) => {
                Poll::Ready(Err(io::Error::new(io::ErrorKind::ConnectionReset, why)))
            }
        }
    }
}

impl AsyncWrite for Connection {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &[u8],
    ) -> Poll<io::Result<usize>> {
        // A browser drops without a word what is sent on a socket that is closing.
        if self.closing.is_some() || self.inner.shared.borrow().state != State::Open {
            return Poll::Ready(Err(io::ErrorKind::BrokenPipe.into()));
        }
        while self.inner.socket.buffered_amount() > SEND_LIMIT {
            // A close must wake this writer as well as the timer.
            self.inner.shared.borrow_mut().writer = Some(cx.waker().clone());
            let retry = self.retry.get_or_insert_with(|| Delay::new(SEND_RETRY));
            if retry.poll_unpin(cx).is_pending() {
                return Poll::Pending;
            }
            self.retry = None;
        }
        let count = buffer.len().min(MAX_MESSAGE);
        // A copy on the JS heap: a view of wasm memory would be detached if that memory grew.
        let message = Uint8Array::from(&buffer[..count]);
        self.inner
            .socket
            .send_with_array_buffer(&message.buffer())
            .map_err(|error| io::Error::new(io::ErrorKind::BrokenPipe, format!("{error:?}")))?;
        Poll::Ready(Ok(count))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        // What was written is in the browser's hands; waiting for it to leave would only add latency.
        match self.inner.shared.borrow().state {
            State::Failed(why) => Poll::Ready(Err(io::Error::new(io::ErrorKind::BrokenPipe, why))),
            _ => Poll::Ready(Ok(())),
        }
    }

    fn poll_close(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let Self { inner, closing, .. } = self.get_mut();
        {
            let mut shared = inner.shared.borrow_mut();
            if matches!(shared.state, State::Closed | State::Failed(_)) {
                return Poll::Ready(Ok(()));
            }
            shared.writer = Some(cx.waker().clone());
        }
        let deadline = closing.get_or_insert_with(|| {
            let _ = inner.socket.close();
            Delay::new(CLOSE_TIMEOUT)
        });
        deadline.poll_unpin(cx).map(Ok)
    }
}
