//! A websocket as the byte stream that libp2p wants: binary messages in and out, message borders without meaning.
//!
//! Back-pressure goes both ways: a message is read from the socket only when the one before it has been consumed, and written
//! only when the socket took the one before. After a message that goes beyond what its address may send, the next is read later.
//! What a peer can make us hold is one message of at most [`MAX_MESSAGE_BYTES`].

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Instant;

use axum::body::Bytes;
use axum::extract::ws::{Message, WebSocket, WebSocketUpgrade};
use futures::io::{AsyncRead, AsyncWrite};
use futures::{Sink, Stream};

use tokio::time::{Sleep, sleep};

use super::allowance::Share;
use super::metrics::Metrics;
use super::seats::Seat;

/// One side of an accepted websocket.
#[derive(Debug)]
pub(crate) struct WsStream {
    socket: WebSocket,
    unread: Bytes,
    closed: bool,
    metrics: Arc<Metrics>,
    allowance: Share,
    /// Nothing is read before it ends.
    pause: Option<Pin<Box<Sleep>>>,
    /// Counts against its address as long as the socket lives.
    _seat: Seat,
}

impl WsStream {
    pub(crate) fn new(
        socket: WebSocket,
        metrics: Arc<Metrics>,
        allowance: Share,
        seat: Seat,
    ) -> Self {
        Self {
            socket,
            unread: Bytes::new(),
            closed: false,
            metrics,
            allowance,
            pause: None,
            _seat: seat,
        }
    }

    /// Sets the sizes that this adapter relies on.
    pub(crate) fn configure(upgrade: WebSocketUpgrade) -> WebSocketUpgrade {
        upgrade
            .max_message_size(MAX_MESSAGE_BYTES)
            .max_frame_size(MAX_MESSAGE_BYTES)
            .read_buffer_size(READ_BUFFER_BYTES)
            .write_buffer_size(WRITE_BUFFER_BYTES)
            .max_write_buffer_size(MAX_WRITE_BUFFER_BYTES)
    }
}

impl AsyncRead for WsStream {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut [u8],
    ) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        while this.unread.is_empty() {
            if this.closed {
                return Poll::Ready(Ok(0));
            }
            if let Some(pause) = &mut this.pause {
                ready!(pause.as_mut().poll(cx));
                this.pause = None;
            }
            match ready!(Pin::new(&mut this.socket).poll_next(cx)) {
                Some(Ok(Message::Binary(bytes))) => {
                    this.metrics.received.inc_by(bytes.len() as u64);
                    let wait = this.allowance.spend(bytes.len(), Instant::now());
                    this.pause = wait.map(|wait| Box::pin(sleep(wait)));
                    this.unread = bytes;
                }
                Some(Ok(Message::Ping(_) | Message::Pong(_))) => {}
                Some(Ok(Message::Text(_))) => {
                    this.closed = true;
                    return Poll::Ready(Err(io::Error::new(
                        io::ErrorKind::InvalidData,
                        "a text message",
                    )));
                }
                Some(Ok(Message::Close(_))) | None => this.closed = true,
                Some(Err(error)) => {
                    this.closed = true;
                    return Poll::Ready(Err(io::Error::other(error)));
                }
            }
        }
        let count = buffer.len().min(this.unread.len());
        buffer[..count].copy_from_slice(&this.unread.split_to(count));
        Poll::Ready(Ok(count))
    }
}

impl AsyncWrite for WsStream {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        ready!(Pin::new(&mut this.socket).poll_ready(cx)).map_err(io::Error::other)?;
        let chunk = &bytes[..bytes.len().min(MAX_WRITE_BYTES)];
        let message = Message::Binary(Bytes::copy_from_slice(chunk));
        Pin::new(&mut this.socket)
            .start_send(message)
            .map_err(io::Error::other)?;
        this.metrics.sent.inc_by(chunk.len() as u64);
        Poll::Ready(Ok(chunk.len()))
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().socket)
            .poll_flush(cx)
            .map_err(io::Error::other)
    }

    fn poll_close(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().socket)
            .poll_close(cx)
            .map_err(io::Error::other)
    }
}

/// Longest message accepted, in bytes: a Noise frame has at most 64 KiB and writers may join several; the browsers' own end of
/// libp2p's websockets stops at 1 MiB.
const MAX_MESSAGE_BYTES: usize = 1 << 20;
/// Longest message written, in bytes: one Noise frame.
const MAX_WRITE_BYTES: usize = 64 << 10;
/// Bytes read from the socket at once; it is allocated for every connection, and most are idle.
const READ_BUFFER_BYTES: usize = 8 << 10;
/// Bytes collected before the socket is written to.
const WRITE_BUFFER_BYTES: usize = 16 << 10;
/// Bytes that may wait to be written: the buffer, one message, and the answers to pings.
const MAX_WRITE_BUFFER_BYTES: usize = 256 << 10;
