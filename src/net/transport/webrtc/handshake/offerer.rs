//! The dialer's side of the handshake.

use std::{
    future::poll_fn,
    task::{Context, Poll},
};

use super::{
    super::{
        config::Config,
        error::{HandshakeError, Step},
        rtc::{ChannelEvent, RtcChannel, RtcFactory, RtcPeer, SdpKind},
        signal::Message,
    },
    Established, INIT_LABEL, Progress, Signalling,
    session::{Session, name},
    wire::Wire,
};

/// Makes the offer on a fresh signalling stream and sees the handshake through; see the [module](super) for the order.
///
/// The stream must already be open: the peer connection is made first thing here, and browsers limit how many of them a
/// page may ever make. Not cancel-safe: dropping the future drops the attempt, which closes the peer connection.
///
/// # Errors
/// Any [`HandshakeError`] but [`HandshakeError::Timeout`], which [`within`](super::within) adds.
pub async fn offer<F: RtcFactory, S: Signalling>(
    factory: F,
    config: &Config,
    stream: S,
    progress: &Progress,
) -> Result<Established<F::Peer>, HandshakeError> {
    progress.reach(Step::Offer);
    let step = Step::Offer;
    let peer = factory
        .create(&config.rtc)
        .map_err(|error| HandshakeError::Rtc { step, error })?;
    let mut session = Session::new(peer, Wire::new(stream), progress, config);

    let init = session.peer.open_channel(INIT_LABEL);
    let mut init = Init::Opening(session.rtc(init)?);
    let sdp = session.peer.create_offer().await;
    let sdp = session.rtc(sdp)?;
    session.send(&Message::Offer(sdp.clone())).await?;
    let set = session.peer.set_local(SdpKind::Offer, sdp).await;
    session.rtc(set)?;

    progress.reach(Step::Answer);
    let sdp = match session.description().await? {
        Message::Answer(sdp) => sdp,
        other => {
            return Err(HandshakeError::Unexpected {
                got: name(&other),
                step: Step::Answer,
            });
        }
    };
    let set = session.peer.set_remote(SdpKind::Answer, sdp).await;
    session.rtc(set)?;
    session.accept_candidates([]);

    progress.reach(Step::Connect);
    poll_fn(|cx| match session.drive(cx) {
        Ok(true) => Poll::Ready(Ok(())),
        Ok(false) => Poll::Pending,
        Err(error) => Poll::Ready(Err(error)),
    })
    .await?;

    progress.reach(Step::Init);
    poll_fn(|cx| match session.drive(cx) {
        Ok(_) => init.poll_closed(cx).map(Ok),
        Err(error) => Poll::Ready(Err(error)),
    })
    .await?;
    Ok(session.finish().await)
}

/// The first channel: once open it has done its work, and its id is free again only when its close event has come.
enum Init<C> {
    Opening(C),
    Closing(C),
    Closed,
}

impl<C: RtcChannel> Init<C> {
    fn poll_closed(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        loop {
            let (Self::Opening(channel) | Self::Closing(channel)) = self else {
                return Poll::Ready(());
            };
            match channel.poll_event(cx) {
                Poll::Pending => return Poll::Pending,
                Poll::Ready(ChannelEvent::Closed) => *self = Self::Closed,
                Poll::Ready(ChannelEvent::Open) => {
                    channel.close();
                    if let Self::Opening(channel) = std::mem::replace(self, Self::Closed) {
                        *self = Self::Closing(channel);
                    }
                }
                // Nothing is sent on it; a remote that does so is not heard.
                Poll::Ready(ChannelEvent::Message(_) | ChannelEvent::BufferedAmountLow) => {}
            }
        }
    }
}
