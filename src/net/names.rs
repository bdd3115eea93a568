//! One stream of `/gyre/names/1.0.0`: bytes to messages and back. What is said on it is `proto::name::follow`.

use futures::channel::mpsc;
use futures::future::select;
use futures::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, SinkExt, StreamExt};
use libp2p::StreamProtocol;

use crate::proto::name::follow::{LinkId, MAX_FOLLOWS, Message};

/// How peers tell each other of new heads, `docs/names.md`.
pub const PROTOCOL: StreamProtocol = StreamProtocol::new("/gyre/names/1.0.0");

/// Messages waiting to be written on one stream: all that may be followed on it, and as many answers. A peer that lets more pile
/// up does not read.
pub const SEND_QUEUE: usize = 2 * MAX_FOLLOWS;

/// Runs the stream until either side ends it, or the bytes on it are no message; reports each message, and `None` at the end.
/// Dropping the sender of `outgoing` closes it in order.
pub async fn run<E: From<(LinkId, Option<Message>)>>(
    id: LinkId,
    stream: impl AsyncRead + AsyncWrite + Unpin,
    outgoing: mpsc::Receiver<Message>,
    mut events: mpsc::Sender<E>,
) {
    let (reader, writer) = stream.split();
    let reading = std::pin::pin!(read(id, reader, events.clone()));
    let writing = std::pin::pin!(write(writer, outgoing));
    select(reading, writing).await;
    let _ = events.send((id, None).into()).await;
}

async fn read<E: From<(LinkId, Option<Message>)>>(
    id: LinkId,
    mut stream: impl AsyncRead + Unpin,
    mut events: mpsc::Sender<E>,
) -> Option<()> {
    loop {
        let mut length = [0; 2];
        stream.read_exact(&mut length).await.ok()?;
        let mut body = vec![0; Message::length(length).ok()?];
        stream.read_exact(&mut body).await.ok()?;
        let message = Message::decode(&body).ok()?;
        // A full inbox makes this wait, and with it the remote.
        events.send((id, Some(message)).into()).await.ok()?;
    }
}

async fn write(
    mut stream: impl AsyncWrite + Unpin,
    mut outgoing: mpsc::Receiver<Message>,
) -> Option<()> {
    while let Some(message) = outgoing.next().await {
        stream.write_all(&message.encode()).await.ok()?;
        stream.flush().await.ok()?;
    }
    stream.close().await.ok()
}
