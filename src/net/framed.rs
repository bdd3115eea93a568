//! One stream on which messages stand behind two bytes of their length: bytes to messages and back.

use bytes::Bytes;
use futures::channel::mpsc;
use futures::future::select;
use futures::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, SinkExt, StreamExt};

/// The messages of a protocol.
pub trait Words: Sized {
    /// How many bytes follow two that say it; `None` if no message has as many.
    fn length(bytes: [u8; 2]) -> Option<usize>;

    /// Reads a message, without the bytes of its length; `None` if these are no such bytes.
    fn decode(bytes: Bytes) -> Option<Self>;

    /// The bytes, those of the length before them included.
    fn encode(&self) -> Bytes;
}

/// Runs the stream until either side ends it, or the bytes on it are no message; reports each message, and `None` at the end.
/// Dropping the sender of `outgoing` closes it in order.
pub async fn run<I: Copy, M: Words, E: From<(I, Option<M>)>>(
    id: I,
    stream: impl AsyncRead + AsyncWrite + Unpin,
    outgoing: mpsc::Receiver<M>,
    mut events: mpsc::Sender<E>,
) {
    let (reader, writer) = stream.split();
    let reading = std::pin::pin!(read(id, reader, events.clone()));
    let writing = std::pin::pin!(write(writer, outgoing));
    select(reading, writing).await;
    let _ = events.send((id, None).into()).await;
}

async fn read<I: Copy, M: Words, E: From<(I, Option<M>)>>(
    id: I,
    mut stream: impl AsyncRead + Unpin,
    mut events: mpsc::Sender<E>,
) -> Option<()> {
    loop {
        let mut length = [0; 2];
        stream.read_exact(&mut length).await.ok()?;
        let mut body = vec![0; M::length(length)?];
        stream.read_exact(&mut body).await.ok()?;
        let message = M::decode(body.into())?;
        // A full inbox makes this wait, and with it the remote.
        events.send((id, Some(message)).into()).await.ok()?;
    }
}

async fn write<M: Words>(
    mut stream: impl AsyncWrite + Unpin,
    mut outgoing: mpsc::Receiver<M>,
) -> Option<()> {
    while let Some(message) = outgoing.next().await {
        stream.write_all(&message.encode()).await.ok()?;
        stream.flush().await.ok()?;
    }
    stream.close().await.ok()
}
