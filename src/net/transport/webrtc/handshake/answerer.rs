//! The accepting side of the handshake.

use std::{future::poll_fn, task::Poll};

use super::{
    super::{
        config::Config,
        error::{HandshakeError, Step},
        rtc::{RtcFactory, RtcPeer, SdpKind},
        signal::Message,
    },
    Established, Progress, Signalling,
    session::{Session, name},
    wire::{Read, Wire},
};

/// Answers the offer that comes on a signalling stream; see the [module](super) for the order.
///
/// The peer connection is made when the offer has come, so that a stream without one costs nothing. Not cancel-safe:
/// dropping the future drops the attempt, which closes the peer connection.
///
/// # Errors
/// Any [`HandshakeError`] but [`HandshakeError::Timeout`], which [`within`](super::within) adds.
pub async fn answer<F: RtcFactory, S: Signalling>(
    factory: F,
    config: &Config,
    stream: S,
    progress: &Progress,
) -> Result<Established<F::Peer>, HandshakeError> {
    progress.reach(Step::Offer);
    let step = Step::Offer;
    let mut wire = Wire::new(stream);
    let mut early = Vec::new();
    let sdp = loop {
        match poll_fn(|cx| wire.poll_read(cx)).await? {
            Read::Message(Message::Offer(sdp)) => break sdp,
            Read::Message(Message::Candidate(json)) if early.len() < config.max_candidates => {
                early.push(json);
            }
            Read::Message(Message::Candidate(_)) => return Err(HandshakeError::TooManyMessages),
            Read::Message(other) => {
                return Err(HandshakeError::Unexpected {
                    got: name(&other),
                    step,
                });
            }
            Read::Ended => return Err(HandshakeError::Refused { step }),
        }
    };
    let peer = factory
        .create(&config.rtc)
        .map_err(|error| HandshakeError::Rtc { step, error })?;
    let mut session = Session::new(peer, wire, progress, config);
    let set = session.peer.set_remote(SdpKind::Offer, sdp).await;
    session.rtc(set)?;
    session.accept_candidates(early);

    progress.reach(Step::Answer);
    let sdp = session.peer.create_answer().await;
    let sdp = session.rtc(sdp)?;
    session.send(&Message::Answer(sdp.clone())).await?;
    let set = session.peer.set_local(SdpKind::Answer, sdp).await;
    session.rtc(set)?;

    progress.reach(Step::Connect);
    poll_fn(|cx| match session.drive(cx) {
        Ok(true) => Poll::Ready(Ok(())),
        Ok(false) => Poll::Pending,
        Err(error) => Poll::Ready(Err(error)),
    })
    .await?;
    Ok(session.finish().await)
}
