//! The dialer's side of the handshake.

use std::{
    future::poll_fn,
    task::{Context, Poll, ready},
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
    let mut init = session.rtc(init)?;
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
    let open = poll_fn(|cx| match session.drive(cx) {
        Ok(_) => poll_used(&mut init, cx).map(Ok),
        Err(error) => Poll::Ready(Err(error)),
    })
    .await?;
    if open {
        init.close();
        session.keep(init);
    }
    Ok(session.finish().await)
}

/// Waits until the first channel has done its work: answers whether it is still open, or was closed by the remote.
fn poll_used<C: RtcChannel>(init: &mut C, cx: &mut Context<'_>) -> Poll<bool> {
    loop {
        match ready!(init.poll_event(cx)) {
            ChannelEvent::Open => return Poll::Ready(true),
            ChannelEvent::Closed => return Poll::Ready(false),
            // Nothing is sent on it; a remote that does so is not heard.
            ChannelEvent::Message(_) | ChannelEvent::BufferedAmountLow => {}
        }
    }
}
