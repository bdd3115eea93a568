//! No backend at all: for a native node, which is reached by its sockets. No peer connection can be made, so none of the rest can be
//! called.

use std::task::{Context, Poll};

use futures::future::BoxFuture;

use super::{
    ChannelEvent, ConnectionState, PeerEvent, RtcChannel, RtcConfig, RtcError, RtcFactory, RtcPeer,
    SdpKind,
};

/// Makes nothing.
#[derive(Debug, Clone, Copy, Default)]
pub struct NoRtc;

/// A peer connection or a channel that does not exist.
#[derive(Debug)]
pub enum Never {}

impl RtcFactory for NoRtc {
    type Peer = Never;

    fn create(&self, _: &RtcConfig) -> Result<Never, RtcError> {
        Err(RtcError::Unavailable)
    }
}

impl RtcPeer for Never {
    type Channel = Never;

    fn open_channel(&mut self, _: &str) -> Result<Never, RtcError> {
        match *self {}
    }
    fn create_offer(&mut self) -> BoxFuture<'static, Result<String, RtcError>> {
        match *self {}
    }
    fn create_answer(&mut self) -> BoxFuture<'static, Result<String, RtcError>> {
        match *self {}
    }
    fn set_local(&mut self, _: SdpKind, _: String) -> BoxFuture<'static, Result<(), RtcError>> {
        match *self {}
    }
    fn set_remote(&mut self, _: SdpKind, _: String) -> BoxFuture<'static, Result<(), RtcError>> {
        match *self {}
    }
    fn add_candidate(&mut self, _: Option<String>) -> BoxFuture<'static, Result<(), RtcError>> {
        match *self {}
    }
    fn state(&self) -> ConnectionState {
        match *self {}
    }
    fn poll_event(&mut self, _: &mut Context<'_>) -> Poll<Result<PeerEvent<Never>, RtcError>> {
        match *self {}
    }
    fn close(&mut self) {
        match *self {}
    }
}

impl RtcChannel for Never {
    fn label(&self) -> &str {
        match *self {}
    }
    fn send(&mut self, _: &[u8]) -> Result<(), RtcError> {
        match *self {}
    }
    fn buffered_amount(&self) -> usize {
        match *self {}
    }
    fn set_low_threshold(&mut self, _: usize) {
        match *self {}
    }
    fn poll_event(&mut self, _: &mut Context<'_>) -> Poll<ChannelEvent> {
        match *self {}
    }
    fn close(&mut self) {
        match *self {}
    }
}
