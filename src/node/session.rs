//! One stream of the swarm protocol: bytes to messages and back, in a task of its own.

use std::io;

use bytes::BytesMut;
use futures::channel::mpsc;
use futures::future::{Either, select};
use futures::{AsyncReadExt, AsyncWriteExt, SinkExt, StreamExt};
use libp2p::Stream;

use crate::proto::message::{Decoder, Message};
use crate::proto::types::ChunkIndex;
use crate::rt;

/// Messages waiting to be written on one stream. The protocol keeps fewer chunks than this in the air; a peer that lets
/// small messages pile up so far does not read.
pub(super) const SEND_QUEUE: usize = 512;

/// Bytes asked of the stream at once: the largest frame of our own transport.
const READ_SIZE: usize = 64 * 1024;

/// Time for the first message of a stream that the remote opened.
const HELLO_TIMEOUT: std::time::Duration = std::time::Duration::from_secs(15);

/// One stream, for as long as it lives.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) struct SessionId(pub u64);

/// What a session's task reports.
#[derive(Debug)]
pub(super) enum SessionEvent {
    /// A well-formed message.
    Received(Message),
    /// A chunk has been handed to the transport, this many bytes of it payload.
    Sent(ChunkIndex, usize),
    /// The bytes were no message; nothing follows.
    Malformed,
    /// The stream has ended; nothing follows.
    Closed,
}

/// The read half with what has been read ahead.
#[derive(Debug)]
pub(super) struct Reader {
    stream: futures::io::ReadHalf<Stream>,
    decoder: Decoder,
    buffer: BytesMut,
}

/// Why there is no next message.
enum End {
    Malformed,
    Closed,
}

impl Reader {
    async fn next(&mut self) -> Result<Message, End> {
        loop {
            match self.decoder.next() {
                Ok(Some(message)) => return Ok(message),
                Ok(None) => {}
                Err(error) => {
                    tracing::debug!(%error, "malformed message");
                    return Err(End::Malformed);
                }
            }
            self.buffer.resize(READ_SIZE, 0);
            match self.stream.read(&mut self.buffer).await {
                Ok(0) | Err(_) => return Err(End::Closed),
                Ok(count) => self.decoder.push(&self.buffer[..count]),
            }
        }
    }
}

/// A stream with both halves apart.
#[derive(Debug)]
pub(super) struct Halves {
    reader: Reader,
    writer: futures::io::WriteHalf<Stream>,
}

/// Splits a fresh stream.
pub(super) fn split(stream: Stream) -> Halves {
    let (reader, writer) = stream.split();
    Halves {
        reader: Reader {
            stream: reader,
            decoder: Decoder::new(),
            buffer: BytesMut::new(),
        },
        writer,
    }
}

/// Reads the first message of a stream that the remote opened: it says which blob it is about.
pub(super) async fn first_message(halves: &mut Halves) -> Option<Message> {
    let first = std::pin::pin!(halves.reader.next());
    match select(first, std::pin::pin!(rt::sleep(HELLO_TIMEOUT))).await {
        Either::Left((Ok(message), _)) => Some(message),
        _ => None,
    }
}

/// Runs the stream until either side ends it. Dropping the sender of `outgoing` closes it in order.
pub(super) async fn run<E: From<(SessionId, SessionEvent)> + 'static>(
    id: SessionId,
    halves: Halves,
    outgoing: mpsc::Receiver<Message>,
    mut events: mpsc::Sender<E>,
) {
    let Halves { mut reader, writer } = halves;
    let sender = events.clone();
    let mut read_events = events.clone();
    let reading = std::pin::pin!(async move {
        loop {
            let (event, last) = match reader.next().await {
                Ok(message) => (SessionEvent::Received(message), false),
                Err(End::Malformed) => (SessionEvent::Malformed, true),
                Err(End::Closed) => return,
            };
            // A full inbox makes this wait, and with it the remote: that is the back-pressure.
            if read_events.send((id, event).into()).await.is_err() || last {
                return;
            }
        }
    });
    let writing = std::pin::pin!(write(id, writer, outgoing, sender));
    select(reading, writing).await;
    let _ = events.send((id, SessionEvent::Closed).into()).await;
}

async fn write<E: From<(SessionId, SessionEvent)>>(
    id: SessionId,
    mut stream: futures::io::WriteHalf<Stream>,
    mut outgoing: mpsc::Receiver<Message>,
    mut events: mpsc::Sender<E>,
) -> io::Result<()> {
    while let Some(message) = outgoing.next().await {
        let (head, data) = message.encode_parts();
        stream.write_all(&head).await?;
        stream.write_all(&data).await?;
        if let Message::Chunk { index, data, .. } = &message {
            let sent = SessionEvent::Sent(*index, data.len());
            events
                .send((id, sent).into())
                .await
                .map_err(io::Error::other)?;
        }
        stream.flush().await?;
    }
    stream.close().await
}
