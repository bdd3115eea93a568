//! A signalling stream as messages: reads one at a time, queues what is to be written.

use std::{
    io,
    pin::Pin,
    task::{Context, Poll, ready},
};

use bytes::{Buf, BytesMut};

use super::{
    super::signal::{Decoder, Message, SignalError},
    Signalling,
};

/// What reading gave.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Read {
    Message(Message),
    /// The stream has ended, properly or not.
    Ended,
}

#[derive(Debug)]
pub(super) struct Wire<S> {
    stream: S,
    decoder: Decoder,
    outgoing: BytesMut,
    ended: bool,
    dirty: bool,
}

impl<S: Signalling> Wire<S> {
    pub(super) fn new(stream: S) -> Self {
        Self {
            stream,
            decoder: Decoder::default(),
            outgoing: BytesMut::new(),
            ended: false,
            dirty: false,
        }
    }

    /// Queues a message; bounded by what the caller queues, which is one description and a bounded number of candidates.
    pub(super) fn queue(&mut self, message: &Message) -> Result<(), SignalError> {
        message.encode(&mut self.outgoing)
    }

    pub(super) fn poll_read(&mut self, cx: &mut Context<'_>) -> Poll<Result<Read, SignalError>> {
        loop {
            if let Some(message) = self.decoder.next_message()? {
                return Poll::Ready(Ok(Read::Message(message)));
            }
            if self.ended {
                return Poll::Ready(Ok(Read::Ended));
            }
            let mut chunk = [0; READ_CHUNK];
            match ready!(Pin::new(&mut self.stream).poll_read(cx, &mut chunk)) {
                Ok(0) | Err(_) => self.ended = true,
                Ok(n) => self.decoder.push(&chunk[..n]),
            }
        }
    }

    pub(super) fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        while !self.outgoing.is_empty() {
            let n = ready!(Pin::new(&mut self.stream).poll_write(cx, &self.outgoing))?;
            if n == 0 {
                return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
            }
            self.outgoing.advance(n);
            self.dirty = true;
        }
        if self.dirty {
            ready!(Pin::new(&mut self.stream).poll_flush(cx))?;
            self.dirty = false;
        }
        Poll::Ready(Ok(()))
    }

    pub(super) fn poll_close(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(self.poll_flush(cx))?;
        Pin::new(&mut self.stream).poll_close(cx)
    }
}

/// Bytes read at once: a typical description in one or two reads.
const READ_CHUNK: usize = 2048;
