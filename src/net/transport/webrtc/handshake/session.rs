//! What both sides of a handshake do alike: trickle candidates, collect channels, watch the state, read messages.

use std::{
    collections::VecDeque,
    future::poll_fn,
    pin::pin,
    task::{Context, Poll, ready},
};

use futures::{
    FutureExt,
    future::{BoxFuture, select},
};
use futures_timer::Delay;

use super::{
    super::{
        config::Config,
        error::HandshakeError,
        rtc::{ConnectionState, PeerEvent, RtcError, RtcPeer, Switch},
        signal::Message,
    },
    CLOSE_TIMEOUT, Established, MAX_INBOUND_BACKLOG, Progress, Signalling,
    candidate::{is_end_of_candidates, shows_address},
    wire::{Read, Wire},
};

pub(super) struct Session<'a, P: RtcPeer, S> {
    pub(super) peer: P,
    wire: Wire<S>,
    progress: &'a Progress,
    max_candidates: usize,
    /// Nothing that shows an address of ours leaves.
    hide_address: Switch,
    /// It was so already when the connection was made, so the platform gathers accordingly.
    hidden: bool,
    sent: usize,
    received: usize,
    /// Candidates that wait for the remote description or for the one before them.
    waiting: VecDeque<String>,
    adding: Option<BoxFuture<'static, Result<(), RtcError>>>,
    has_remote: bool,
    /// Reading or writing has failed or ended; both mean that there is no more signalling.
    signalling_over: bool,
    channels: Vec<P::Channel>,
}

impl<'a, P: RtcPeer, S: Signalling> Session<'a, P, S> {
    pub(super) fn new(peer: P, wire: Wire<S>, progress: &'a Progress, config: &Config) -> Self {
        Self {
            peer,
            wire,
            progress,
            max_candidates: config.max_candidates,
            hide_address: config.rtc.relay_only.clone(),
            hidden: config.rtc.relay_only.is_on(),
            sent: 0,
            received: 0,
            waiting: VecDeque::new(),
            adding: None,
            has_remote: false,
            signalling_over: false,
            channels: Vec::new(),
        }
    }

    /// Names the step at which the platform failed.
    pub(super) fn rtc<T>(&self, result: Result<T, RtcError>) -> Result<T, HandshakeError> {
        result.map_err(|error| HandshakeError::Rtc {
            step: self.progress.step(),
            error,
        })
    }

    /// Writes a description and waits until it has left.
    pub(super) async fn send(&mut self, message: &Message) -> Result<(), HandshakeError> {
        self.wire.queue(message)?;
        let step = self.progress.step();
        poll_fn(|cx| self.wire.poll_flush(cx))
            .await
            .map_err(|_| HandshakeError::Refused { step })
    }

    /// The remote's description, whichever comes first; candidates before it wait.
    ///
    /// Peer events stay in the backend's queue until [`Session::drive`], so no candidate of ours overtakes a description.
    pub(super) async fn description(&mut self) -> Result<Message, HandshakeError> {
        let read = poll_fn(|cx| self.poll_description(cx)).await?;
        let step = self.progress.step();
        match read {
            Read::Message(message) => Ok(message),
            Read::Ended => Err(HandshakeError::Refused { step }),
        }
    }

    /// The remote description is set: candidates may be added, first those that came before this session was made.
    pub(super) fn accept_candidates(&mut self, early: impl IntoIterator<Item = String>) {
        for json in early {
            self.received += 1;
            if !is_end_of_candidates(&json) {
                self.waiting.push_back(json);
            }
        }
        self.has_remote = true;
    }

    /// Does everything that can be done now, after the descriptions; tells whether the connection is up.
    pub(super) fn drive(&mut self, cx: &mut Context<'_>) -> Result<bool, HandshakeError> {
        if self.hide_address.is_on() && !self.hidden {
            return Err(HandshakeError::Closed);
        }
        while let Poll::Ready(event) = self.peer.poll_event(cx) {
            match self.rtc(event)? {
                PeerEvent::Candidate(Some(json)) => self.send_candidate(json)?,
                PeerEvent::Candidate(None) => {}
                PeerEvent::State(state) => check(state)?,
                PeerEvent::Channel(channel) => self.collect(channel),
            }
        }
        if !self.signalling_over
            && let Poll::Ready(read) = self.poll_description(cx)?
        {
            match read {
                Read::Ended => self.signalling_over = true,
                Read::Message(message) => {
                    return Err(HandshakeError::Unexpected {
                        got: name(&message),
                        step: self.progress.step(),
                    });
                }
            }
        }
        self.add_candidates(cx);
        if let Poll::Ready(Err(_)) = self.wire.poll_flush(cx) {
            self.signalling_over = true;
        }
        check(self.peer.state())?;
        Ok(self.peer.state() == ConnectionState::Connected)
    }

    /// Hands a channel that is closing over with the connection. The end of it is not waited for: Firefox may take 20 s to
    /// confirm it, if it opened channels of its own at that moment.
    pub(super) fn keep(&mut self, closing: P::Channel) {
        self.channels.insert(0, closing);
    }

    /// Ends the signalling stream, if that goes quickly, and hands out the connection.
    pub(super) async fn finish(mut self) -> Established<P> {
        let close = poll_fn(|cx| self.wire.poll_close(cx));
        // Whether it worked does not matter: the connection is up, and the stream goes with its circuit.
        let _ = select(pin!(close), Delay::new(CLOSE_TIMEOUT)).await;
        Established {
            peer: self.peer,
            channels: self.channels,
        }
    }

    fn poll_description(&mut self, cx: &mut Context<'_>) -> Poll<Result<Read, HandshakeError>> {
        loop {
            let read = ready!(self.wire.poll_read(cx))?;
            match read {
                Read::Message(Message::Candidate(json)) => {
                    self.count_received()?;
                    if !is_end_of_candidates(&json) {
                        self.waiting.push_back(json);
                    }
                }
                Read::Message(Message::Other(_)) => self.count_received()?,
                read => return Poll::Ready(Ok(read)),
            }
        }
    }

    fn count_received(&mut self) -> Result<(), HandshakeError> {
        if self.received == self.max_candidates {
            return Err(HandshakeError::TooManyMessages);
        }
        self.received += 1;
        Ok(())
    }

    fn send_candidate(&mut self, json: String) -> Result<(), HandshakeError> {
        if self.signalling_over || self.sent == self.max_candidates || is_end_of_candidates(&json) {
            return Ok(());
        }
        if self.hide_address.is_on() && shows_address(&json) {
            return Ok(());
        }
        self.sent += 1;
        Ok(self.wire.queue(&Message::Candidate(json))?)
    }

    fn add_candidates(&mut self, cx: &mut Context<'_>) {
        while self.has_remote {
            if let Some(adding) = &mut self.adding {
                match adding.poll_unpin(cx) {
                    Poll::Pending => return,
                    Poll::Ready(result) => {
                        self.adding = None;
                        // One that this browser cannot use (mDNS, IPv6, a newer syntax) must not spoil the others.
                        if let Err(error) = result {
                            tracing::debug!(%error, "remote candidate not usable");
                        }
                    }
                }
            }
            let Some(json) = self.waiting.pop_front() else {
                return;
            };
            self.adding = Some(self.peer.add_candidate(Some(json)));
        }
    }

    fn collect(&mut self, channel: P::Channel) {
        // Dropping a channel closes it. The offerer's `init` is kept like any other: only the offerer may close it.
        if self.channels.len() < MAX_INBOUND_BACKLOG {
            self.channels.push(channel);
        }
    }
}

/// The name of a message in errors.
pub(super) fn name(message: &Message) -> &'static str {
    match message {
        Message::Offer(_) => "offer",
        Message::Answer(_) => "answer",
        Message::Candidate(_) => "candidate",
        Message::Other(_) => "message",
    }
}

fn check(state: ConnectionState) -> Result<(), HandshakeError> {
    match state {
        ConnectionState::Failed => Err(HandshakeError::IceFailed),
        ConnectionState::Closed => Err(HandshakeError::Closed),
        ConnectionState::New
        | ConnectionState::Connecting
        | ConnectionState::Connected
        | ConnectionState::Disconnected => Ok(()),
    }
}
