//! The page's backend: `RTCPeerConnection` and `RTCDataChannel` through web-sys.
//!
//! Every handler is installed when its object is made and only pushes into a bounded queue; the queue is polled. A waker
//! is called when the queue is no longer borrowed. Handlers are unset before their closures are freed, because an event
//! that is already queued by the browser would call into freed memory. JavaScript handles live on one thread, which is
//! the only one a page gives to wasm; `SendWrapper` asserts it.

use std::{
    cell::{Cell, RefCell},
    collections::VecDeque,
    fmt,
    future::Future,
    rc::Rc,
    sync::atomic::{AtomicUsize, Ordering},
    task::{Context, Poll, Waker},
};

use bytes::Bytes;
use futures::{
    FutureExt, StreamExt,
    channel::mpsc,
    future::BoxFuture,
    stream::{self, BoxStream},
};
use js_sys::{Array, ArrayBuffer, Function, JSON, Promise, Reflect, Uint8Array};
use send_wrapper::SendWrapper;
use wasm_bindgen::{JsCast, JsValue, closure::Closure};
use wasm_bindgen_futures::JsFuture;
use web_sys::{
    Event, EventTarget, MessageEvent, RtcConfiguration, RtcDataChannel, RtcDataChannelEvent,
    RtcDataChannelState, RtcDataChannelType, RtcIceCandidateInit, RtcIceServer,
    RtcIceTransportPolicy, RtcPeerConnection, RtcPeerConnectionIceEvent, RtcPeerConnectionState,
    RtcSdpType, RtcSessionDescriptionInit,
};

use super::{
    ChannelEvent, ConnectionState, PeerEvent, RtcChannel, RtcConfig, RtcError, RtcFactory, RtcPeer,
    SdpKind,
};

/// Candidates and channels of one connection that wait to be polled: as many channels as the muxer lets wait.
pub const MAX_PEER_QUEUE: usize = 256;

/// Bytes of messages of one connection that wait to be polled; a channel that gets more is closed. What the muxer lets
/// stay unread, because it takes everything over as soon as it runs.
pub const MAX_QUEUED_BYTES: usize = 16 * 1024 * 1024;

/// What a message in a queue costs besides its bytes.
const MESSAGE_COST: usize = 96;

static CONSTRUCTED: AtomicUsize = AtomicUsize::new(0);

/// How many peer connections this page has made. Chromium limits how many it can make in its lifetime.
pub fn constructed() -> usize {
    CONSTRUCTED.load(Ordering::Relaxed)
}

/// Peer connections that may exist at a time, closed ones included until the browser has collected them. Chromium refuses beyond
/// 500; the rest is left to whatever else the page does.
pub const MAX_UNCOLLECTED: usize = 400;

static COLLECTED: AtomicUsize = AtomicUsize::new(0);

/// How many peer connections that this page has made still exist. A browser that does not tell what it has collected makes this
/// the number of those that were made and not closed.
pub fn uncollected() -> usize {
    constructed().saturating_sub(COLLECTED.load(Ordering::Relaxed))
}

thread_local! {
    /// Counts what is collected; `None` where the browser cannot.
    static REGISTRY: Option<JsValue> = registry();
}

fn registry() -> Option<JsValue> {
    let constructor: Function = property(&js_sys::global(), "FinalizationRegistry")?
        .dyn_into()
        .ok()?;
    let on_collected = Closure::<dyn FnMut(JsValue)>::new(|_| {
        COLLECTED.fetch_add(1, Ordering::Relaxed);
    });
    let registry = Reflect::construct(&constructor, &Array::of1(on_collected.as_ref())).ok()?;
    // As long as the page lives, as the registry does.
    on_collected.forget();
    Some(registry)
}

/// Has the collection of `connection` counted; false where the browser cannot.
fn watch_collection(connection: &RtcPeerConnection) -> bool {
    REGISTRY.with(|registry| {
        let Some(registry) = registry else {
            return false;
        };
        property(registry, "register")
            .and_then(|register| register.dyn_into::<Function>().ok())
            .is_some_and(|register| register.call2(registry, connection, &JsValue::TRUE).is_ok())
    })
}

static CHANNELS: AtomicUsize = AtomicUsize::new(0);

/// How many data channels this page holds now: none may outlive its stream.
pub fn open_channels() -> usize {
    CHANNELS.load(Ordering::Relaxed)
}

/// Makes peer connections of the page.
#[derive(Debug, Clone, Copy, Default)]
pub struct WebFactory;

impl RtcFactory for WebFactory {
    type Peer = WebPeer;

    fn create(&self, config: &RtcConfig) -> Result<WebPeer, RtcError> {
        let available = Reflect::get(&js_sys::global(), &"RTCPeerConnection".into())
            .is_ok_and(|constructor| constructor.is_function());
        if !available {
            return Err(RtcError::Unavailable);
        }
        if uncollected() >= MAX_UNCOLLECTED {
            return Err(RtcError::Exhausted);
        }
        let connection =
            RtcPeerConnection::new_with_configuration(&configuration(config)).map_err(platform)?;
        CONSTRUCTED.fetch_add(1, Ordering::Relaxed);
        let watched = watch_collection(&connection);
        Ok(WebPeer(SendWrapper::new(Connection::new(
            connection, watched,
        ))))
    }

    fn network_changes(&self) -> BoxStream<'static, ()> {
        // One that nobody has taken yet stands for all.
        let (mut sender, changes) = mpsc::channel(1);
        let on_online = Closure::<dyn FnMut(Event)>::new(move |_| {
            let _ = sender.try_send(());
        });
        let listening = Listening {
            target: js_sys::global().unchecked_into(),
            on_online,
        };
        if listening.start().is_err() {
            return stream::pending().boxed();
        }
        let listening = SendWrapper::new(listening);
        changes
            .map(move |()| {
                let _ = &listening;
            })
            .boxed()
    }
}

/// Hears when the browser says that it is online; `navigator.connection` would also tell of every new estimate of a rate.
struct Listening {
    target: EventTarget,
    on_online: Closure<dyn FnMut(Event)>,
}

impl Listening {
    fn start(&self) -> Result<(), JsValue> {
        let handler = self.on_online.as_ref().unchecked_ref();
        self.target
            .add_event_listener_with_callback("online", handler)
    }
}

impl Drop for Listening {
    fn drop(&mut self) {
        let handler = self.on_online.as_ref().unchecked_ref();
        // Fails only for what is no handler.
        let _ = self
            .target
            .remove_event_listener_with_callback("online", handler);
    }
}

/// An `RTCPeerConnection`.
pub struct WebPeer(SendWrapper<Connection>);

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
        let connection = self.0.connection.clone();
        let done = self
            .0
            .connection
            .set_local_description(&sdp_init(kind, &sdp));
        let watch = self.0.watch.clone();
        promised(async move {
            JsFuture::from(done).await.map_err(platform)?;
            watch.attach(&connection);
            Ok(())
        })
    }

    fn set_remote(
        &mut self,
        kind: SdpKind,
        sdp: String,
    ) -> BoxFuture<'static, Result<(), RtcError>> {
        let connection = self.0.connection.clone();
        let done = self
            .0
            .connection
            .set_remote_description(&sdp_init(kind, &sdp));
        let watch = self.0.watch.clone();
        promised(async move {
            JsFuture::from(done).await.map_err(platform)?;
            watch.attach(&connection);
            Ok(())
        })
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
    /// The browser tells when it has collected the connection.
    watched: bool,
    // Freed only after `drop` has unset the handlers.
    _on_candidate: Closure<dyn FnMut(RtcPeerConnectionIceEvent)>,
    _on_state: Closure<dyn FnMut(Event)>,
    _on_channel: Closure<dyn FnMut(RtcDataChannelEvent)>,
}

impl Connection {
    fn new(connection: RtcPeerConnection, watched: bool) -> Self {
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
            watched,
            _on_candidate: on_candidate,
            _on_state: on_state,
            _on_channel: on_channel,
        }
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        self.connection.set_onicecandidate(None);
        self.connection.set_onconnectionstatechange(None);
        self.connection.set_ondatachannel(None);
        self.watch.detach();
        self.connection.close();
        if !self.watched {
            COLLECTED.fetch_add(1, Ordering::Relaxed);
        }
        // Channels in the queue hold handlers of their own.
        self.queue.clear();
    }
}

/// Watches the DTLS transport: when the remote closes the connection, it says so at once, while the connection's own
/// state only notices that nobody answers, many seconds later.
struct TransportWatch {
    target: RefCell<Option<EventTarget>>,
    on_change: Closure<dyn FnMut(Event)>,
}

impl TransportWatch {
    fn new(queue: Queue<PeerEvent<WebChannel>>) -> Self {
        let on_change = Closure::new(move |event: Event| {
            let state = event.target().and_then(|target| property(&target, "state"));
            let state = state.and_then(|state| state.as_string());
            if matches!(state.as_deref(), Some("closed" | "failed")) {
                queue.push_state(ConnectionState::Failed);
            }
        });
        Self {
            target: RefCell::new(None),
            on_change,
        }
    }

    /// Finds the transport, which exists once a description is set; a browser that has none is not watched.
    fn attach(&self, connection: &RtcPeerConnection) {
        if self.target.borrow().is_some() {
            return;
        }
        let transport = property(connection, "sctp")
            .and_then(|sctp| property(&sctp, "transport"))
            .and_then(|transport| transport.dyn_into::<EventTarget>().ok());
        if let Some(target) = transport {
            let handler = self.on_change.as_ref().unchecked_ref();
            if target
                .add_event_listener_with_callback("statechange", handler)
                .is_ok()
            {
                *self.target.borrow_mut() = Some(target);
            }
        }
    }

    fn detach(&self) {
        if let Some(target) = self.target.borrow_mut().take() {
            let handler = self.on_change.as_ref().unchecked_ref();
            // Fails only for what is no handler.
            let _ = target.remove_event_listener_with_callback("statechange", handler);
        }
    }
}

impl Drop for TransportWatch {
    fn drop(&mut self) {
        self.detach();
    }
}

/// An `RTCDataChannel`.
pub struct WebChannel(SendWrapper<Channel>);

impl WebChannel {
    fn new(channel: RtcDataChannel, budget: Rc<Cell<usize>>) -> Self {
        CHANNELS.fetch_add(1, Ordering::Relaxed);
        Self(SendWrapper::new(Channel::new(channel, budget)))
    }
}

impl RtcChannel for WebChannel {
    fn label(&self) -> &str {
        &self.0.label
    }

    fn send(&mut self, message: &[u8]) -> Result<(), RtcError> {
        // A copy on the JavaScript heap: a view of wasm memory would be refused where that memory is shared.
        let copy = Uint8Array::from(message);
        self.0
            .channel
            .send_with_array_buffer_view(&copy)
            .map_err(platform)
    }

    fn buffered_amount(&self) -> usize {
        self.0.channel.buffered_amount() as usize
    }

    fn set_low_threshold(&mut self, bytes: usize) {
        let bytes = u32::try_from(bytes).unwrap_or(u32::MAX);
        self.0.channel.set_buffered_amount_low_threshold(bytes);
    }

    fn poll_event(&mut self, cx: &mut Context<'_>) -> Poll<ChannelEvent> {
        self.0.queue.poll(cx).map(|event| {
            if let ChannelEvent::Message(message) = &event {
                self.0
                    .budget
                    .set(self.0.budget.get() - message.len() - MESSAGE_COST);
            }
            event
        })
    }

    fn close(&mut self) {
        self.0.channel.close();
    }
}

impl fmt::Debug for WebChannel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("WebChannel")
            .field(&self.0.channel.ready_state())
            .finish()
    }
}

struct Channel {
    channel: RtcDataChannel,
    label: String,
    queue: Queue<ChannelEvent>,
    budget: Rc<Cell<usize>>,
    // Freed only after `drop` has unset the handlers.
    _on_event: Closure<dyn FnMut(Event)>,
    _on_message: Closure<dyn FnMut(MessageEvent)>,
}

impl Channel {
    fn new(channel: RtcDataChannel, budget: Rc<Cell<usize>>) -> Self {
        channel.set_binary_type(RtcDataChannelType::Arraybuffer);
        let queue = Queue::default();

        let events = queue.clone();
        // The remote's channels may be open from the start, with or without an event that says so.
        let opened = Cell::new(channel.ready_state() == RtcDataChannelState::Open);
        if opened.get() {
            queue.push(ChannelEvent::Open);
        }
        let on_event = Closure::new(move |event: Event| match event.type_().as_str() {
            "open" if !opened.replace(true) => events.push(ChannelEvent::Open),
            "bufferedamountlow" => events.push(ChannelEvent::BufferedAmountLow),
            "close" => events.push(ChannelEvent::Closed),
            _ => {}
        });

        let events = queue.clone();
        let counted = budget.clone();
        let source = channel.clone();
        let refused = Cell::new(false);
        let on_message = Closure::new(move |event: MessageEvent| {
            if refused.get() {
                return;
            }
            let total = event.data().dyn_into::<ArrayBuffer>().ok().map(|buffer| {
                let cost = buffer.byte_length() as usize + MESSAGE_COST;
                (buffer, counted.get().saturating_add(cost))
            });
            match total {
                Some((buffer, total)) if total <= MAX_QUEUED_BYTES => {
                    counted.set(total);
                    let message = Bytes::from(Uint8Array::new(&buffer).to_vec());
                    events.push(ChannelEvent::Message(message));
                }
                // Text, or more than fits: whatever follows would have a gap before it.
                _ => {
                    refused.set(true);
                    source.close();
                }
            }
        });

        let handler = Some(on_event.as_ref().unchecked_ref());
        channel.set_onopen(handler);
        channel.set_onbufferedamountlow(handler);
        channel.set_onclose(handler);
        channel.set_onmessage(Some(on_message.as_ref().unchecked_ref()));
        let label = channel.label();
        Self {
            channel,
            label,
            queue,
            budget,
            _on_event: on_event,
            _on_message: on_message,
        }
    }
}

impl Drop for Channel {
    fn drop(&mut self) {
        CHANNELS.fetch_sub(1, Ordering::Relaxed);
        self.channel.set_onopen(None);
        self.channel.set_onbufferedamountlow(None);
        self.channel.set_onclose(None);
        self.channel.set_onmessage(None);
        if self.channel.ready_state() != RtcDataChannelState::Closed {
            self.channel.close();
        }
        for event in self.queue.clear() {
            if let ChannelEvent::Message(message) = event {
                self.budget
                    .set(self.budget.get() - message.len() - MESSAGE_COST);
            }
        }
    }
}

/// Events between a handler and the task that polls.
struct Queue<E>(Rc<RefCell<(VecDeque<E>, Option<Waker>)>>);

impl<E> Queue<E> {
    fn push(&self, event: E) {
        let waker = {
            let mut queue = self.0.borrow_mut();
            queue.0.push_back(event);
            queue.1.take()
        };
        waker.into_iter().for_each(Waker::wake);
    }

    fn poll(&self, cx: &mut Context<'_>) -> Poll<E> {
        let mut queue = self.0.borrow_mut();
        if let Some(event) = queue.0.pop_front() {
            return Poll::Ready(event);
        }
        if !queue
            .1
            .as_ref()
            .is_some_and(|waker| waker.will_wake(cx.waker()))
        {
            queue.1 = Some(cx.waker().clone());
        }
        Poll::Pending
    }

    fn clear(&self) -> VecDeque<E> {
        std::mem::take(&mut *self.0.borrow_mut()).0
    }
}

impl Queue<PeerEvent<WebChannel>> {
    /// Pushes a candidate or a channel, or drops it when too many wait.
    fn push_bounded(&self, event: PeerEvent<WebChannel>) {
        if self.0.borrow().0.len() < MAX_PEER_QUEUE {
            self.push(event);
        } else {
            tracing::debug!("too many events of a peer connection wait, dropping one");
        }
    }

    /// Pushes a state in place of one that nobody has seen, unless that one is terminal.
    fn push_state(&self, state: ConnectionState) {
        let mut seen_terminal = false;
        self.0.borrow_mut().0.retain(|event| match event {
            PeerEvent::State(waiting) => {
                seen_terminal |= waiting.is_terminal();
                waiting.is_terminal()
            }
            _ => true,
        });
        if !seen_terminal {
            self.push(PeerEvent::State(state));
        }
    }
}

impl<E> Clone for Queue<E> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

impl<E> Default for Queue<E> {
    fn default() -> Self {
        Self(Rc::new(RefCell::new((VecDeque::new(), None))))
    }
}

fn configuration(config: &RtcConfig) -> RtcConfiguration {
    let servers = Array::new();
    for url in &config.ice_servers {
        let server = RtcIceServer::new();
        server.set_urls(&url.as_str().into());
        servers.push(&server);
    }
    let configuration = RtcConfiguration::new();
    configuration.set_ice_servers(&servers);
    if config.relay_only.is_on() {
        configuration.set_ice_transport_policy(RtcIceTransportPolicy::Relay);
    }
    configuration
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

fn property(object: &JsValue, name: &str) -> Option<JsValue> {
    let value = Reflect::get(object, &name.into()).ok()?;
    (!value.is_null() && !value.is_undefined()).then_some(value)
}

fn platform(error: JsValue) -> RtcError {
    let words = match error.dyn_ref::<js_sys::Error>() {
        Some(error) => format!("{}: {}", error.name(), error.message()),
        None => match (property(&error, "name"), property(&error, "message")) {
            (Some(name), Some(message)) => format!(
                "{}: {}",
                name.as_string().unwrap_or_default(),
                message.as_string().unwrap_or_default()
            ),
            _ => format!("{error:?}"),
        },
    };
    RtcError::Platform(words)
}
