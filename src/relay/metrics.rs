//! What the relay counts, in the OpenMetrics text format that Prometheus reads.

use std::sync::atomic::AtomicU64;

use prometheus_client::encoding::text::encode;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::{Registry, Unit};

/// The counters, shared by every part of the relay. None of them names a peer or an address.
#[derive(Debug)]
pub(crate) struct Metrics {
    registry: Registry,
    pub(crate) connections: Gauge,
    pub(crate) connections_total: Counter,
    pub(crate) handshakes_failed: Counter,
    pub(crate) websockets_refused: Counter,
    pub(crate) reservations: Gauge,
    pub(crate) reservations_total: Counter,
    pub(crate) reservations_denied: Counter,
    pub(crate) circuits: Gauge,
    pub(crate) circuits_total: Counter,
    pub(crate) circuits_denied: Counter,
    pub(crate) provider_records: Gauge,
    pub(crate) provider_keys: Gauge,
    pub(crate) names: Gauge,
    pub(crate) name_followers: Gauge,
    pub(crate) people: Gauge,
    pub(crate) kept_messages: Gauge,
    pub(crate) linked_relays: Gauge,
    pub(crate) keeper_sites: Gauge,
    pub(crate) keeper_bytes: Gauge,
    pub(crate) keeper_unfinished: Gauge,
    pub(crate) keeper_asked: Counter,
    pub(crate) keeper_refused: Counter,
    pub(crate) keeper_brought: Counter,
    pub(crate) keeper_let_go: Counter,
    pub(crate) keeper_denied: Counter,
    pub(crate) keeper_failures: Counter,
    pub(crate) keeper_sent: Counter<u64, AtomicU64>,
    pub(crate) received: Counter<u64, AtomicU64>,
    pub(crate) sent: Counter<u64, AtomicU64>,
    pub(crate) stun_answered: Counter,
    pub(crate) stun_ignored: Counter,
    pub(crate) stun_limited: Counter,
}

impl Metrics {
    pub(crate) fn new() -> Self {
        let mut registry = Registry::with_prefix("gyre_relay");
        let mut counter = |name: &str, help: &str| {
            let counter = Counter::default();
            registry.register(name, help, counter.clone());
            counter
        };
        let connections_total = counter("connections", "libp2p connections established");
        let handshakes_failed = counter(
            "handshakes_failed",
            "incoming connections that failed before they were up",
        );
        let websockets_refused = counter(
            "websockets_refused",
            "websockets refused because a limit was reached",
        );
        let reservations_total = counter("reservations", "Reservations given, renewals included");
        let reservations_denied = counter("reservations_denied", "Reservations denied");
        let circuits_total = counter("circuits", "Circuits opened");
        let circuits_denied = counter("circuits_denied", "Circuits denied");
        let stun_answered = counter("stun_answered", "STUN requests answered");
        let stun_ignored = counter(
            "stun_ignored",
            "Datagrams on the STUN port that were no Binding request",
        );
        let stun_limited = counter(
            "stun_limited",
            "STUN requests left unanswered because of the rate limits",
        );
        let keeper_asked = counter("keeper_asked", "Wishes that the keeper keep something");
        let keeper_refused = counter("keeper_refused", "Wishes that were not taken");
        let keeper_brought = counter("keeper_brought", "Versions of sites that came whole");
        let keeper_let_go = counter("keeper_let_go", "Addresses that made way");
        let keeper_denied = counter("keeper_denied", "Addresses let go of because of a denylist");
        let keeper_failures = counter("keeper_failures", "Attempts to bring a version that failed");
        let mut gauge = |name: &str, help: &str| {
            let gauge = Gauge::default();
            registry.register(name, help, gauge.clone());
            gauge
        };
        let connections = gauge("connections_open", "libp2p connections open");
        let reservations = gauge("reservations_open", "Peers that hold a reservation");
        let circuits = gauge("circuits_open", "Circuits open");
        let provider_records = gauge("provider_records", "Provider records held");
        let provider_keys = gauge("provider_keys", "Keys that have a provider record");
        let names = gauge("names", "Names whose record is kept");
        let people = gauge(
            "people",
            "Chains of identities and mail records in the index",
        );
        let kept_messages = gauge("kept_messages", "Sealed messages in the mailboxes");
        let name_followers = gauge("name_followers", "Follows of names on open streams");
        let linked_relays = gauge("linked_relays", "Configured relays that are connected");
        let keeper_sites = gauge(
            "keeper_sites",
            "Addresses kept, with a version that is whole",
        );
        let keeper_bytes = gauge("keeper_bytes", "Bytes of their files");
        let keeper_unfinished = gauge("keeper_unfinished", "Addresses of which none is whole yet");
        let mut bytes = |name: &str, help: &str| {
            let counter = Counter::default();
            registry.register_with_unit(name, help, Unit::Bytes, counter.clone());
            counter
        };
        let received = bytes("websocket_received", "Payload received over websockets");
        let sent = bytes("websocket_sent", "Payload sent over websockets");
        let keeper_sent = bytes(
            "keeper_sent",
            "Bytes of sites that the keeper sent to others",
        );
        Self {
            registry,
            keeper_sites,
            keeper_bytes,
            keeper_unfinished,
            keeper_asked,
            keeper_refused,
            keeper_brought,
            keeper_let_go,
            keeper_denied,
            keeper_failures,
            keeper_sent,
            connections,
            connections_total,
            handshakes_failed,
            websockets_refused,
            reservations,
            reservations_total,
            reservations_denied,
            circuits,
            circuits_total,
            circuits_denied,
            provider_records,
            provider_keys,
            names,
            name_followers,
            people,
            kept_messages,
            linked_relays,
            received,
            sent,
            stun_answered,
            stun_ignored,
            stun_limited,
        }
    }

    pub(crate) fn text(&self) -> String {
        let mut text = String::new();
        // Writing to a string cannot fail.
        let _ = encode(&mut text, &self.registry);
        text
    }
}
