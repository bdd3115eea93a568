//! The state of one stream, without its channel: what arrives goes in, what is to be sent and what the reader gets
//! comes out.
//!
//! Each direction ends on its own. Ours ends with `Fin` and is closed when `FinAck` is here; theirs ends with their
//! `Fin`, and each one is answered. When both have ended, or either side has reset the stream, the channel is to be
//! closed. Payload is counted per stream and per connection from the moment it arrives, incomplete frames and the cost
//! of keeping a piece included, because a browser gives a receiver no way to slow the sender down.

use std::{
    collections::VecDeque,
    io,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    task::Poll,
    time::Duration,
};

use bytes::{Buf, Bytes};

use super::super::frame::{
    Decoder, Flag, Frame, FrameBuf, FrameError, HEADER_ROOM, INTEROP_FRAME, MAX_FRAME,
};

/// Largest frame that is sent to a remote that accepts it over a link that is fast enough, in bytes with the length prefix.
/// 100 MB in messages of 256 KiB took browsers 5 to 10 % less processor time than in messages of 64 KiB.
pub(in super::super) const MAX_SENT_FRAME: usize = MAX_FRAME;
/// The same while nobody knows how fast a link is, and over a slow one.
pub(in super::super) const CAUTIOUS_FRAME: usize = 64 * 1024;
/// How long one frame may hold up the other streams of a link: 64 KiB at 1 MiB/s.
const FRAME_TIME: Duration = Duration::from_millis(64);
/// Unread bytes of one stream, beyond which it is reset: twice what js-libp2p sends before it looks at its own buffer.
pub(in super::super) const MAX_STREAM_UNREAD: usize = 4 * 1024 * 1024;
/// Unread bytes of one connection, beyond which the stream that receives more is reset.
pub(in super::super) const MAX_CONNECTION_UNREAD: usize = 16 * 1024 * 1024;
/// What an unread piece of payload costs besides its bytes: its handle and its allocation.
const PIECE_COST: usize = 96;
/// An idle stream keeps no more than this much memory for the next frame, in bytes.
const IDLE_BUFFER: usize = 4 * 1024;

/// How long the stages of an end may take.
#[derive(Debug, Clone, Copy)]
pub(in super::super) struct Timing {
    /// From our `Fin`, or the last progress of what is sent before it, to the remote's `FinAck`; js-libp2p waits as
    /// long.
    pub(in super::super) fin_ack: Duration,
    /// From the drop of a stream, or the last progress of what it sends, to the end of both directions.
    pub(in super::super) linger: Duration,
    /// From closing the channel to its `Closed`.
    pub(in super::super) channel_close: Duration,
    /// From `Disconnected` to giving the connection up.
    pub(in super::super) disconnected: Duration,
}

impl Default for Timing {
    fn default() -> Self {
        Self {
            fin_ack: Duration::from_secs(10),
            linger: Duration::from_secs(10),
            channel_close: Duration::from_secs(10),
            disconnected: Duration::from_secs(15),
        }
    }
}

/// What the streams of one connection share.
#[derive(Debug)]
pub(in super::super) struct Shared {
    pub(in super::super) timing: Timing,
    unread: AtomicUsize,
    lingering: AtomicUsize,
    /// What the remote accepts.
    accepted: AtomicUsize,
    /// What goes out in `FRAME_TIME`.
    paced: AtomicUsize,
}

impl Shared {
    pub(in super::super) fn new(timing: Timing) -> Self {
        Self {
            timing,
            unread: AtomicUsize::new(0),
            lingering: AtomicUsize::new(0),
            accepted: AtomicUsize::new(INTEROP_FRAME),
            paced: AtomicUsize::new(CAUTIOUS_FRAME),
        }
    }

    /// Unread bytes of all streams.
    pub(in super::super) fn unread(&self) -> usize {
        self.unread.load(Ordering::Relaxed)
    }

    /// Dropped streams whose channel is not closed yet.
    pub(in super::super) fn lingering(&self) -> &AtomicUsize {
        &self.lingering
    }

    /// Largest frame to send, in bytes with the length prefix.
    pub(in super::super) fn frame_limit(&self) -> usize {
        let [accepted, paced] =
            [&self.accepted, &self.paced].map(|one| one.load(Ordering::Relaxed));
        accepted.min(paced)
    }

    fn learn_frame_limit(&self, announced: u32) {
        let accepted = usize::try_from(announced).unwrap_or(MAX_SENT_FRAME);
        let limit = accepted.clamp(INTEROP_FRAME, MAX_SENT_FRAME);
        // It is a property of the remote; a smaller one could not hold for a frame that is already begun.
        self.accepted.fetch_max(limit, Ordering::Relaxed);
    }

    /// So many bytes of one stream went out in so much time.
    pub(super) fn learn_pace(&self, bytes: usize, took: Duration) {
        let within = bytes as u128 * FRAME_TIME.as_micros() / took.as_micros().max(1);
        let limit = usize::try_from(within).unwrap_or(MAX_SENT_FRAME);
        let limit = limit.clamp(CAUTIOUS_FRAME, MAX_SENT_FRAME);
        self.paced.store(limit, Ordering::Relaxed);
    }
}

/// Why a stream ended other than by `Fin` and `FinAck` in both directions.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum StreamError {
    /// The remote reset the stream.
    #[error("the remote reset the stream")]
    Reset,
    /// The remote will read no more.
    #[error("the remote reads no more")]
    Stopped,
    /// More arrived than is kept unread; the stream was reset.
    #[error("more than {0} bytes unread")]
    Overflow(usize),
    /// What arrived are no frames; the stream was reset.
    #[error(transparent)]
    Frame(#[from] FrameError),
    /// The channel closed before the stream had ended.
    #[error("the data channel closed before the stream had ended")]
    ChannelClosed,
    /// The connection is gone.
    #[error("the connection is gone")]
    ConnectionLost,
    /// The stream was written to after it was closed.
    #[error("the stream is closed")]
    Closed,
    /// The stream was dropped; nobody sees this.
    #[error("the stream was dropped")]
    Dropped,
}

/// What is being waited for with a deadline.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Stage {
    /// The answer to our `Fin`.
    FinAck,
    /// The end of both directions of a dropped stream.
    Linger,
    /// `Closed` of a channel that we closed.
    ChannelClose,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum ReadHalf {
    Open,
    /// Nobody reads any more: payload is thrown away until `Fin`.
    Stopped,
    /// The remote's `Fin` is here.
    Finished,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum WriteHalf {
    Open,
    /// `Fin` follows what is buffered.
    Closing,
    /// `Fin` is sent.
    FinSent,
    /// `FinAck` is here, or will not come.
    Closed,
}

/// See the module.
#[derive(Debug)]
pub(super) struct State {
    read: ReadHalf,
    write: WriteHalf,
    /// The remote sent `StopSending`.
    write_refused: bool,
    failure: Option<StreamError>,
    dropped: bool,
    send_reset: bool,
    send_stop: bool,
    send_fin_ack: bool,
    /// Whether the frame size that we accept has been announced on this channel.
    announced: bool,
    flush: bool,
    out: FrameBuf,
    /// Never holds payload: the frame of a flag.
    control: FrameBuf,
    decoder: Decoder,
    unread: VecDeque<Bytes>,
    /// What `unread` costs, in bytes.
    queued: usize,
    /// What this stream has added to the count of the connection: `queued` and the incomplete frame.
    charged: usize,
    shared: Arc<Shared>,
}

impl State {
    pub(super) fn new(shared: Arc<Shared>) -> Self {
        Self {
            read: ReadHalf::Open,
            write: WriteHalf::Open,
            write_refused: false,
            failure: None,
            dropped: false,
            send_reset: false,
            send_stop: false,
            send_fin_ack: false,
            announced: false,
            flush: false,
            out: FrameBuf::default(),
            control: FrameBuf::default(),
            decoder: Decoder::default(),
            unread: VecDeque::new(),
            queued: 0,
            charged: 0,
            shared,
        }
    }

    // --- what arrives ---

    /// Takes one message of the channel.
    pub(super) fn on_message(&mut self, message: Bytes) {
        if self.failure.is_some() {
            return;
        }
        let mut decoder = std::mem::take(&mut self.decoder);
        for frame in decoder.feed(message) {
            match frame {
                Ok(frame) => self.on_frame(frame),
                Err(error) => self.reset(error.into()),
            }
            if self.failure.is_some() {
                return;
            }
        }
        self.decoder = decoder;
        self.recount();
    }

    fn on_frame(&mut self, frame: Frame) {
        if let Some(announced) = frame.max_frame {
            self.shared.learn_frame_limit(announced);
        }
        if let Some(payload) = frame.message
            && !payload.is_empty()
            && self.read == ReadHalf::Open
        {
            self.queued += payload.len() + PIECE_COST;
            self.unread.push_back(payload);
            // Counted piece by piece: one message can hold very many.
            self.recount();
            if self.failure.is_some() {
                return;
            }
        }
        match frame.flag {
            Some(Flag::Fin) => {
                self.read = ReadHalf::Finished;
                self.send_stop = false;
                self.send_fin_ack = true;
            }
            Some(Flag::FinAck) if self.write == WriteHalf::FinSent => {
                self.write = WriteHalf::Closed;
            }
            Some(Flag::StopSending) => {
                self.write_refused = true;
                self.out.release();
            }
            Some(Flag::ResetStream) => self.fail(StreamError::Reset),
            Some(Flag::FinAck) | None => {}
        }
    }

    /// The channel is closed: nothing arrives and nothing can be sent.
    pub(super) fn on_channel_closed(&mut self) {
        if self.failure.is_some() {
            return;
        }
        // Who ends in both directions and forgets to confirm has still ended.
        if self.write == WriteHalf::FinSent && self.read == ReadHalf::Finished {
            self.write = WriteHalf::Closed;
        }
        if !self.is_done() {
            self.fail(StreamError::ChannelClosed);
        }
    }

    /// The connection is gone. What has arrived can still be read.
    pub(super) fn on_connection_lost(&mut self) {
        if !self.is_done() {
            self.fail(StreamError::ConnectionLost);
        }
    }

    /// The deadline of `stage` has passed.
    pub(super) fn on_deadline(&mut self, stage: Stage) {
        match stage {
            Stage::FinAck if self.write == WriteHalf::FinSent => self.write = WriteHalf::Closed,
            Stage::Linger => self.reset(StreamError::Dropped),
            Stage::FinAck | Stage::ChannelClose => {}
        }
    }

    // --- what the owner does ---

    /// Copies unread payload; `Ok(0)` is the end of the stream, for ever.
    pub(super) fn read(&mut self, buf: &mut [u8]) -> Poll<io::Result<usize>> {
        let mut copied = 0;
        while copied < buf.len()
            && let Some(piece) = self.unread.front_mut()
        {
            let length = piece.len().min(buf.len() - copied);
            piece.copy_to_slice(&mut buf[copied..copied + length]);
            copied += length;
            self.queued -= length;
            if piece.is_empty() {
                self.unread.pop_front();
                self.queued -= PIECE_COST;
            }
        }
        self.recount();
        match self.failure {
            _ if copied > 0 || buf.is_empty() => Poll::Ready(Ok(copied)),
            _ if self.read == ReadHalf::Finished => Poll::Ready(Ok(0)),
            Some(error) => Poll::Ready(Err(io::Error::new(io::ErrorKind::ConnectionReset, error))),
            None => Poll::Pending,
        }
    }

    /// Whether [`read`](Self::read) would return something.
    pub(super) fn can_read(&self) -> bool {
        !self.unread.is_empty() || self.read != ReadHalf::Open || self.failure.is_some()
    }

    /// Buffers payload and returns how much it took; 0 when a frame is full and has to leave first.
    pub(super) fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        self.check_writable()?;
        Ok(self.out.push(buf, self.shared.frame_limit()))
    }

    /// Asks for what is buffered to be sent; ready when it has been handed over.
    pub(super) fn flush(&mut self) -> Poll<io::Result<()>> {
        if let Some(error) = self.failure
            && self.write != WriteHalf::Closed
        {
            return Poll::Ready(Err(write_error(error)));
        }
        self.flush = !self.out.is_empty();
        if self.flush {
            Poll::Pending
        } else {
            Poll::Ready(Ok(()))
        }
    }

    /// Asks for the end of our direction; ready when the remote has seen it, or will not.
    pub(super) fn close(&mut self) -> Poll<io::Result<()>> {
        match self.write {
            WriteHalf::Closed => return Poll::Ready(Ok(())),
            WriteHalf::Open => self.write = WriteHalf::Closing,
            WriteHalf::Closing | WriteHalf::FinSent => {}
        }
        match self.failure {
            Some(error) => Poll::Ready(Err(write_error(error))),
            None => Poll::Pending,
        }
    }

    /// The owner is gone: ends what it left open, and resets what it left unfinished.
    pub(super) fn release(&mut self) {
        self.dropped = true;
        self.forget_unread();
        if self.failure.is_some() {
            return;
        }
        if self.write == WriteHalf::Open {
            self.reset(StreamError::Dropped);
        } else if self.read == ReadHalf::Open {
            self.read = ReadHalf::Stopped;
            self.send_stop = true;
        }
    }

    /// Ends the stream at once, with a reset.
    pub(super) fn reset(&mut self, reason: StreamError) {
        if self.failure.is_none() && !self.is_done() {
            self.fail(reason);
            self.send_reset = true;
        }
    }

    // --- what follows from it ---

    /// Hands the next frame to `send`, if one is due, and says whether it did. With `room` payload may go, without it
    /// only control frames.
    pub(super) fn send_next<E>(
        &mut self,
        room: bool,
        send: impl FnOnce(&[u8]) -> Result<(), E>,
    ) -> bool {
        let Some(next) = self.next(room) else {
            return false;
        };
        let max_frame = (!self.announced).then_some(MAX_FRAME as u32);
        self.announced = true;
        let sent = match next {
            Next::Payload => send(self.out.frame(None, max_frame)),
            Next::Control(flag) => send(self.control.frame(Some(flag), max_frame)),
        };
        if sent.is_err() {
            self.send_reset = false;
            self.on_channel_closed();
            return false;
        }
        match next {
            Next::Control(Flag::ResetStream) => self.send_reset = false,
            Next::Control(Flag::FinAck) => self.send_fin_ack = false,
            Next::Control(Flag::StopSending) => self.send_stop = false,
            Next::Control(Flag::Fin) => self.write = WriteHalf::FinSent,
            Next::Payload => {
                self.flush = false;
                // A full frame is followed by more; what was flushed may be the last for long.
                if self.is_full() || self.out.len() <= IDLE_BUFFER {
                    self.out.clear();
                } else {
                    self.out.release();
                }
            }
        }
        true
    }

    fn next(&self, room: bool) -> Option<Next> {
        if self.failure.is_some() {
            return self.send_reset.then_some(Next::Control(Flag::ResetStream));
        }
        if self.send_fin_ack {
            return Some(Next::Control(Flag::FinAck));
        }
        if self.send_stop {
            return Some(Next::Control(Flag::StopSending));
        }
        let closing = self.write == WriteHalf::Closing;
        if self.out.is_empty() {
            return closing.then_some(Next::Control(Flag::Fin));
        }
        (room && (closing || self.flush || self.is_full())).then_some(Next::Payload)
    }

    /// Whether the channel is to be closed; what a channel that never opened owes the remote does not hold it up.
    pub(super) fn wants_close(&self, open: bool) -> bool {
        let owes_reset = self.send_reset && open;
        let done = self.is_done() && !self.send_fin_ack;
        done || (self.failure.is_some() && !owes_reset)
    }

    /// What is being waited for with a deadline.
    pub(super) fn stage(&self) -> Option<Stage> {
        if self.failure.is_some() || self.is_done() {
            Some(Stage::ChannelClose)
        } else if self.dropped {
            Some(Stage::Linger)
        } else {
            (self.write == WriteHalf::FinSent).then_some(Stage::FinAck)
        }
    }

    /// Why the stream failed.
    pub(super) fn failure(&self) -> Option<StreamError> {
        self.failure
    }

    /// Whether anything is buffered that nobody has asked to send.
    pub(super) fn is_unflushed(&self) -> bool {
        !self.out.is_empty() && !self.flush
    }

    pub(super) fn shared(&self) -> &Arc<Shared> {
        &self.shared
    }

    fn is_done(&self) -> bool {
        self.read == ReadHalf::Finished && self.write == WriteHalf::Closed
    }

    fn is_full(&self) -> bool {
        self.out.len() + HEADER_ROOM >= self.shared.frame_limit()
    }

    fn check_writable(&self) -> io::Result<()> {
        match self.failure {
            Some(error) => Err(write_error(error)),
            None if self.write_refused => Err(write_error(StreamError::Stopped)),
            None if self.write != WriteHalf::Open => Err(write_error(StreamError::Closed)),
            None => Ok(()),
        }
    }

    fn fail(&mut self, reason: StreamError) {
        if self.failure.is_some() {
            return;
        }
        self.failure = Some(reason);
        self.send_stop = false;
        self.send_fin_ack = false;
        self.out.release();
        self.decoder = Decoder::default();
        // What arrived before a reset was said before it: who answers and lets go (a relay, an index) resets without a word.
        if !matches!(
            reason,
            StreamError::Reset | StreamError::ChannelClosed | StreamError::ConnectionLost
        ) {
            if !self.unread.is_empty() {
                // What is thrown away was not read: the reader must not take the rest for a complete stream.
                self.read = ReadHalf::Open;
            }
            self.forget_unread();
        }
        self.recount();
    }

    fn forget_unread(&mut self) {
        self.unread = VecDeque::new();
        self.queued = 0;
        self.recount();
    }

    /// Brings the count of the connection up to date and resets the stream that grows beyond a limit.
    fn recount(&mut self) {
        let before = std::mem::replace(&mut self.charged, self.queued + self.decoder.buffered());
        if self.charged <= before {
            self.shared
                .unread
                .fetch_sub(before - self.charged, Ordering::Relaxed);
            return;
        }
        let grown = self.charged - before;
        let total = self.shared.unread.fetch_add(grown, Ordering::Relaxed) + grown;
        if self.charged > MAX_STREAM_UNREAD {
            self.reset(StreamError::Overflow(MAX_STREAM_UNREAD));
        } else if total > MAX_CONNECTION_UNREAD {
            self.reset(StreamError::Overflow(MAX_CONNECTION_UNREAD));
        }
    }
}

impl Drop for State {
    fn drop(&mut self) {
        self.shared
            .unread
            .fetch_sub(self.charged, Ordering::Relaxed);
    }
}

#[derive(Debug, Clone, Copy)]
enum Next {
    Control(Flag),
    Payload,
}

fn write_error(error: StreamError) -> io::Error {
    let kind = match error {
        StreamError::Reset => io::ErrorKind::ConnectionReset,
        _ => io::ErrorKind::BrokenPipe,
    };
    io::Error::new(kind, error)
}
