//! One libp2p stream: `AsyncRead` and `AsyncWrite` over one data channel.
//!
//! A stream is shared between its owner, who reads and writes, and its driver, which the muxer polls: the driver
//! takes what the channel reports even when nobody reads, answers `Fin`, keeps the deadlines, and ends the channel after
//! the owner is gone. What is decided stands in `state`; here it meets the channel and the wakers.
//! Small writes are collected: a frame leaves when it is full, when the owner flushes or closes, and at the latest when
//! the driver is polled next. Payload waits while [`HIGH_WATER`] bytes have not left the channel.

use std::{
    fmt,
    future::Future,
    io,
    pin::Pin,
    sync::{Arc, Mutex, MutexGuard, PoisonError, atomic::Ordering},
    task::{Context, Poll, Waker},
};

use futures::{AsyncRead, AsyncWrite};
use futures_timer::Delay;
use web_time::Instant;

use self::state::{Stage, State};
use super::rtc::{ChannelEvent, RtcChannel};

mod state;

pub use self::state::StreamError;
#[cfg(all(test, not(target_arch = "wasm32")))]
pub(super) use self::state::{CAUTIOUS_FRAME, MAX_SENT_FRAME, MAX_STREAM_UNREAD};
pub(super) use self::state::{Shared, Timing};

/// `buffered_amount` in bytes from which on payload waits: half of what Chromium's SCTP buffers for a connection.
pub const HIGH_WATER: usize = 1024 * 1024;

/// `buffered_amount` in bytes at which payload goes on.
pub const LOW_WATER: usize = HIGH_WATER / 2;

/// `buffered_amount` in bytes from which on even flags wait, so that a remote that makes us answer cannot grow it.
const CONTROL_HIGH_WATER: usize = 2 * HIGH_WATER;

/// Dropped streams of one connection whose end is still being waited for; beyond it they are reset at once. Every one
/// of them holds a channel, of which Chromium has 1024 for a connection.
pub(super) const MAX_LINGERING: usize = 256;

/// A stream of a [`Muxer`](super::muxer::Muxer).
///
/// `poll_close` ends the writing half and waits for the remote to confirm, at most 10 s after the last bytes have left;
/// reading goes on. Dropping it before it is closed resets it.
pub struct Stream<C: RtcChannel> {
    link: Arc<Mutex<Link<C>>>,
}

impl<C: RtcChannel> Stream<C> {
    /// Puts a stream on `channel`; the driver must be polled until it ends.
    pub(super) fn new(mut channel: C, shared: Arc<Shared>) -> (Self, Driver<C>) {
        channel.set_low_threshold(LOW_WATER);
        let link = Arc::new(Mutex::new(Link {
            channel: Some(channel),
            open: false,
            closing: false,
            lingering: false,
            full: None,
            state: State::new(shared),
            stage: None,
            reader: None,
            writer: None,
            driver: None,
        }));
        (
            Self { link: link.clone() },
            Driver {
                link,
                deadline: None,
            },
        )
    }

    /// Why the stream failed, if it did.
    pub fn error(&self) -> Option<StreamError> {
        lock(&self.link).state.failure()
    }

    /// Runs `act` on the link and wakes whom it concerns when the lock is free again.
    fn with<T>(&self, act: impl FnOnce(&mut Link<C>, &mut Wakes) -> T) -> T {
        let mut wakes = Wakes::default();
        let mut link = lock(&self.link);
        let result = act(&mut link, &mut wakes);
        if link.state.stage() != link.stage {
            wakes.add(link.driver.take());
        }
        drop(link);
        wakes.wake();
        result
    }
}

impl<C: RtcChannel> AsyncRead for Stream<C> {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut [u8],
    ) -> Poll<io::Result<usize>> {
        self.with(|link, wakes| {
            let mut outcome = link.state.read(buf);
            if outcome.is_pending() {
                link.pump(wakes);
                outcome = link.state.read(buf);
            }
            if outcome.is_pending() {
                link.reader = Some(cx.waker().clone());
            }
            outcome
        })
    }
}

impl<C: RtcChannel> AsyncWrite for Stream<C> {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.with(|link, wakes| {
            let mut written = 0;
            loop {
                match link.state.write(&buf[written..]) {
                    Ok(taken) => written += taken,
                    Err(error) if written == 0 => return Poll::Ready(Err(error)),
                    Err(_) => break,
                }
                if written == buf.len() || !link.transmit() {
                    break;
                }
            }
            link.transmit();
            if link.state.is_unflushed() {
                wakes.add(link.driver.take());
            }
            if written == 0 && !buf.is_empty() {
                if link.state.failure().is_none() {
                    link.writer = Some(cx.waker().clone());
                    return Poll::Pending;
                }
                return Poll::Ready(link.state.write(buf));
            }
            Poll::Ready(Ok(written))
        })
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.with(|link, _| link.settle(cx, State::flush))
    }

    fn poll_close(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.with(|link, _| link.settle(cx, State::close))
    }
}

impl<C: RtcChannel> Drop for Stream<C> {
    fn drop(&mut self) {
        self.with(|link, wakes| {
            (link.reader, link.writer) = (None, None);
            link.state.release();
            let waiting = link.state.shared().lingering();
            if link.channel.is_some() && waiting.fetch_add(1, Ordering::Relaxed) >= MAX_LINGERING {
                link.state.reset(StreamError::Dropped);
            }
            link.lingering = link.channel.is_some();
            link.transmit();
            wakes.add(link.driver.take());
        });
    }
}

impl<C: RtcChannel> fmt::Debug for Stream<C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Stream")
            .field("error", &self.error())
            .finish_non_exhaustive()
    }
}

/// Keeps a stream going beside its owner; ends when the channel is closed.
pub(super) struct Driver<C: RtcChannel> {
    link: Arc<Mutex<Link<C>>>,
    deadline: Option<Deadline>,
}

struct Deadline {
    stage: Stage,
    delay: Delay,
    /// `buffered_amount` in bytes when the delay began.
    buffered: usize,
}

impl<C: RtcChannel> Driver<C> {
    /// Fails the stream because the connection is gone.
    pub(super) fn connection_lost(&self) {
        let mut wakes = Wakes::default();
        let mut link = lock(&self.link);
        link.state.on_connection_lost();
        let channel = link.drop_channel();
        wakes.add(link.reader.take());
        wakes.add(link.writer.take());
        drop(link);
        drop(channel);
        wakes.wake();
    }
}

impl<C: RtcChannel> Future for Driver<C> {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let this = &mut *self;
        let mut wakes = Wakes::default();
        let mut gone = None;
        let mut link = lock(&this.link);
        link.driver = Some(cx.waker().clone());
        // Unless somebody is about to write more, what is buffered goes now.
        let _ = link.state.flush();
        link.pump(&mut wakes);
        let outcome = loop {
            let Some(channel) = &link.channel else {
                break Poll::Ready(());
            };
            let buffered = channel.buffered_amount();
            let stage = link.state.stage();
            link.stage = stage;
            let Some(stage) = stage else {
                this.deadline = None;
                break Poll::Pending;
            };
            let timing = link.state.shared().timing;
            let patience = match stage {
                Stage::FinAck => timing.fin_ack,
                Stage::Linger => timing.linger,
                Stage::ChannelClose => timing.channel_close,
            };
            let begin = || Deadline {
                stage,
                delay: Delay::new(patience),
                buffered,
            };
            let deadline = match &mut this.deadline {
                Some(deadline) if deadline.stage == stage => deadline,
                other => other.insert(begin()),
            };
            if Pin::new(&mut deadline.delay).poll(cx).is_pending() {
                break Poll::Pending;
            }
            if (1..deadline.buffered).contains(&buffered) {
                // What was sent is still leaving, only slowly: the answer cannot be here yet.
                *deadline = begin();
                continue;
            }
            this.deadline = None;
            if stage == Stage::ChannelClose {
                gone = link.drop_channel();
            } else {
                link.state.on_deadline(stage);
                link.pump(&mut wakes);
            }
            wakes.add(link.writer.take());
        };
        drop(link);
        drop(gone);
        wakes.wake();
        outcome
    }
}

/// A stream's state and what it is connected to.
struct Link<C: RtcChannel> {
    /// Gone when it is closed.
    channel: Option<C>,
    open: bool,
    /// Whether `close` was called on the channel.
    closing: bool,
    /// Whether it counts as dropped and not ended.
    lingering: bool,
    /// Since when payload waits for the channel, and its `buffered_amount` then.
    full: Option<(Instant, usize)>,
    state: State,
    /// The stage that the driver has a deadline for.
    stage: Option<Stage>,
    reader: Option<Waker>,
    writer: Option<Waker>,
    driver: Option<Waker>,
}

impl<C: RtcChannel> Link<C> {
    /// Takes everything that the channel reports, then sends what is due. Does nothing before the driver's first poll,
    /// because the channel wakes the driver.
    fn pump(&mut self, wakes: &mut Wakes) {
        let Some(driver) = self.driver.clone() else {
            return;
        };
        let mut cx = Context::from_waker(&driver);
        while let Some(channel) = &mut self.channel
            && let Poll::Ready(event) = channel.poll_event(&mut cx)
        {
            match event {
                ChannelEvent::Open => self.open = true,
                ChannelEvent::Message(message) => self.state.on_message(message),
                ChannelEvent::BufferedAmountLow => {
                    if let Some((since, buffered)) = self.full.take() {
                        let out = buffered.saturating_sub(channel.buffered_amount());
                        self.state.shared().learn_pace(out, since.elapsed());
                    }
                }
                ChannelEvent::Closed => {
                    self.state.on_channel_closed();
                    // It has no handlers to run any more: dropping it under the lock calls nobody.
                    drop(self.drop_channel());
                }
            }
            wakes.add(self.writer.take());
        }
        self.transmit();
        if self.state.can_read() {
            wakes.add(self.reader.take());
        }
    }

    /// Sends what is due and says whether payload could be sent now.
    fn transmit(&mut self) -> bool {
        let Some(channel) = &mut self.channel else {
            return false;
        };
        let mut sent = false;
        while self.open && !self.closing {
            let buffered = channel.buffered_amount();
            if buffered >= HIGH_WATER && self.full.is_none() {
                self.full = Some((Instant::now(), buffered));
            }
            if buffered >= CONTROL_HIGH_WATER
                || !self
                    .state
                    .send_next(buffered < HIGH_WATER, |frame| channel.send(frame))
            {
                break;
            }
            sent = true;
        }
        if !self.closing && self.state.wants_close(self.open) {
            self.closing = true;
            channel.close();
        }
        sent
    }

    /// Sends and asks `ready` until nothing more can be sent.
    fn settle(
        &mut self,
        cx: &mut Context<'_>,
        ready: fn(&mut State) -> Poll<io::Result<()>>,
    ) -> Poll<io::Result<()>> {
        let mut outcome = ready(&mut self.state);
        while outcome.is_pending() && self.transmit() {
            outcome = ready(&mut self.state);
        }
        if outcome.is_pending() {
            self.writer = Some(cx.waker().clone());
        }
        outcome
    }

    fn drop_channel(&mut self) -> Option<C> {
        if std::mem::take(&mut self.lingering) {
            self.state
                .shared()
                .lingering()
                .fetch_sub(1, Ordering::Relaxed);
        }
        self.channel.take()
    }
}

/// Wakers to call when no lock is held.
#[derive(Default)]
struct Wakes {
    wakers: [Option<Waker>; 3],
}

impl Wakes {
    fn add(&mut self, waker: Option<Waker>) {
        if let Some(waker) = waker {
            match self.wakers.iter_mut().find(|slot| slot.is_none()) {
                Some(slot) => *slot = Some(waker),
                None => waker.wake(),
            }
        }
    }

    fn wake(self) {
        self.wakers.into_iter().flatten().for_each(Waker::wake);
    }
}

fn lock<C: RtcChannel>(link: &Mutex<Link<C>>) -> MutexGuard<'_, Link<C>> {
    link.lock().unwrap_or_else(PoisonError::into_inner)
}
