//! `RTCPeerConnection`.

use std::{
    cell::Cell,
    fmt,
    future::Future,
    rc::Rc,
    task::{Context, Poll},
};

use futures::{FutureExt, future::BoxFuture};
use js_sys::{Function, JSON, Promise, Reflect};
use send_wrapper::SendWrapper;
use wasm_bindgen::{JsCast, JsValue, closure::Closure};
use wasm_bindgen_futures::JsFuture;
use web_sys::{
    Event, RtcDataChannel, RtcDataChannelEvent, RtcIceCandidateInit, RtcPeerConnection,
    RtcPeerConnectionIceEvent, RtcPeerConnectionState, RtcSdpType, RtcSessionDescriptionInit,
};

use super::super::{ConnectionState, PeerEvent, RtcError, RtcPeer, SdpKind};
use super::census::Counted;
use super::channel::WebChannel;
use super::js::{platform, property};
use super::queue::Queue;
use super::transport_watch::TransportWatch;

/// An `RTCPeerConnection`.
pub struct WebPeer(SendWrapper<Connection>);

impl WebPeer {
    pub(super) fn new(connection: RtcPeerConnection) -> Self {
        Self(SendWrapper::new(Connection::new(connection)))
    }
}

impl RtcPeer for WebPeer {
    type Channel = WebChannel;

    fn open_channel(&mut self, label: &str) -> Result<WebChannel, RtcError> {
        // The generated binding does not catch, and this throws when the connection is closed or full.
        let connection: &JsValue = self.0.connection.as_ref();
        let create = Reflect::get(connection, &"createDataChannel".into())
            .and_then(|method| method.dyn_into::<Function>())
            .map_err(platform)?;
        let channel = create
            .call1(connection, &label.into())
            .and_then(|channel| channel.dyn_into::<RtcDataChannel>())
            .map_err(platform)?;
        Ok(WebChannel::new(channel, self.0.budget.clone()))
    }

    fn create_offer(&mut self) -> BoxFuture<'static, Result<String, RtcError>> {
        description(self.0.connection.create_offer())
    }

    fn create_answer(&mut self) -> BoxFuture<'static, Result<String, RtcError>> {
        description(self.0.connection.create_answer())
    }

    fn set_local(
        &mut self,
        kind: SdpKind,
        sdp: String,
    ) -> BoxFuture<'static, Result<(), RtcError>> {
        let init = sdp_init(kind, &sdp);
        self.0
            .described(self.0.connection.set_local_description(&init))
    }

    fn set_remote(
        &mut self,
        kind: SdpKind,
        sdp: String,
    ) -> BoxFuture<'static, Result<(), RtcError>> {
        let init = sdp_init(kind, &sdp);
        self.0
            .described(self.0.connection.set_remote_description(&init))
    }

    fn add_candidate(
        &mut self,
        candidate: Option<String>,
    ) -> BoxFuture<'static, Result<(), RtcError>> {
        let parsed = candidate
            .map(|json| JSON::parse(&json).map(JsCast::unchecked_into::<RtcIceCandidateInit>))
            .transpose();
        let connection = self.0.connection.clone();
        promised(async move {
            let candidate = parsed.map_err(platform)?;
            let added =
                connection.add_ice_candidate_with_opt_rtc_ice_candidate_init(candidate.as_ref());
            JsFuture::from(added).await.map(drop).map_err(platform)
        })
    }

    fn state(&self) -> ConnectionState {
        connection_state(&self.0.connection)
    }

    fn poll_event(
        &mut self,
        cx: &mut Context<'_>,
    ) -> Poll<Result<PeerEvent<WebChannel>, RtcError>> {
        self.0.queue.poll(cx).map(Ok)
    }

    fn close(&mut self) {
        self.0.connection.close();
    }
}

impl fmt::Debug for WebPeer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("WebPeer").field(&self.state()).finish()
    }
}

struct Connection {
    connection: RtcPeerConnection,
    queue: Queue<PeerEvent<WebChannel>>,
    /// Bytes of messages that wait in the queues of the channels.
    budget: Rc<Cell<usize>>,
    watch: Rc<TransportWatch>,
    _counted: Counted,
    // Freed only after `drop` has unset the handlers.
    _on_candidate: Closure<dyn FnMut(RtcPeerConnectionIceEvent)>,
    _on_state: Closure<dyn FnMut(Event)>,
    _on_channel: Closure<dyn FnMut(RtcDataChannelEvent)>,
}

impl Connection {
    fn new(connection: RtcPeerConnection) -> Self {
        let counted = Counted::new(&connection);
        let queue = Queue::default();
        let budget = Rc::new(Cell::new(0));

        let events = queue.clone();
        let on_candidate = Closure::new(move |event: RtcPeerConnectionIceEvent| {
            let candidate = match event.candidate() {
                // The end of one generation of candidates; the end of gathering follows as `null`.
                Some(candidate) if candidate.candidate().is_empty() => return,
                Some(candidate) => match JSON::stringify(&candidate) {
                    Ok(json) => Some(String::from(json)),
                    Err(_) => return,
                },
                None => None,
            };
            events.push_bounded(PeerEvent::Candidate(candidate));
        });
        connection.set_onicecandidate(Some(on_candidate.as_ref().unchecked_ref()));

        let events = queue.clone();
        let source = connection.clone();
        let on_state = Closure::new(move |_: Event| {
            events.push_state(connection_state(&source));
        });
        connection.set_onconnectionstatechange(Some(on_state.as_ref().unchecked_ref()));

        let events = queue.clone();
        let shared_budget = budget.clone();
        let on_channel = Closure::new(move |event: RtcDataChannelEvent| {
            let channel = WebChannel::new(event.channel(), shared_budget.clone());
            // A channel that is too many is dropped here, and thereby closed.
            events.push_bounded(PeerEvent::Channel(channel));
        });
        connection.set_ondatachannel(Some(on_channel.as_ref().unchecked_ref()));

        let watch = Rc::new(TransportWatch::new(queue.clone()));
        Self {
            connection,
            queue,
            budget,
            watch,
            _counted: counted,
            _on_candidate: on_candidate,
            _on_state: on_state,
            _on_channel: on_channel,
        }
    }

    /// Waits for a description to be set; the transport may exist from then on.
    fn described(&self, set: Promise) -> BoxFuture<'static, Result<(), RtcError>> {
        let connection = self.connection.clone();
        let watch = self.watch.clone();
        promised(async move {
            JsFuture::from(set).await.map_err(platform)?;
            watch.attach(&connection);
            Ok(())
        })
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        self.connection.set_onicecandidate(None);
        self.connection.set_onconnectionstatechange(None);
        self.connection.set_ondatachannel(None);
        self.watch.detach();
        self.connection.close();
        // Channels in the queue hold handlers of their own.
        self.queue.clear();
    }
}

fn connection_state(connection: &RtcPeerConnection) -> ConnectionState {
    match connection.connection_state() {
        RtcPeerConnectionState::Connecting => ConnectionState::Connecting,
        RtcPeerConnectionState::Connected => ConnectionState::Connected,
        RtcPeerConnectionState::Disconnected => ConnectionState::Disconnected,
        RtcPeerConnectionState::Failed => ConnectionState::Failed,
        RtcPeerConnectionState::Closed => ConnectionState::Closed,
        // "new", and whatever a later version of the standard adds.
        _ => ConnectionState::New,
    }
}

fn sdp_init(kind: SdpKind, sdp: &str) -> RtcSessionDescriptionInit {
    let init = RtcSessionDescriptionInit::new(match kind {
        SdpKind::Offer => RtcSdpType::Offer,
        SdpKind::Answer => RtcSdpType::Answer,
    });
    init.set_sdp(sdp);
    init
}

fn description(promise: Promise) -> BoxFuture<'static, Result<String, RtcError>> {
    promised(async move {
        let description = JsFuture::from(promise).await.map_err(platform)?;
        property(&description, "sdp")
            .and_then(|sdp| sdp.as_string())
            .ok_or_else(|| RtcError::Platform("a description without SDP".into()))
    })
}

fn promised<T>(
    future: impl Future<Output = Result<T, RtcError>> + 'static,
) -> BoxFuture<'static, Result<T, RtcError>> {
    SendWrapper::new(future).boxed()
}
