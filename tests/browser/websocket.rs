//! The page's websocket: what it makes of servers that are absent, and of everything a remote may send or do.
//!
//! A page cannot be a websocket server, so the remote is a stand-in for the browser's `WebSocket` class that the tests drive.

#![allow(clippy::unwrap_used)]

use std::future::Future;
use std::io::ErrorKind;
use std::rc::Rc;
use std::time::Duration;

use futures::future::{Either, join, select};
use futures::{AsyncReadExt, AsyncWriteExt};
use futures_timer::Delay;
use gyre::net::transport::websocket::{Connection, Error, Transport};
use libp2p::core::transport::{DialOpts, PortUse, TransportError};
use libp2p::core::{Endpoint, Transport as _};
use wasm_bindgen::prelude::*;
use wasm_bindgen_test::wasm_bindgen_test;

const RECEIVE_LIMIT: u32 = 32 * 1024 * 1024;

/// Longer than any answer here takes, shorter than the transport's own limit of 15 s.
const SOON: Duration = Duration::from_secs(10);

#[wasm_bindgen]
extern "C" {
    /// The one socket that the stand-in made.
    type Remote;
    #[wasm_bindgen(method)]
    fn binary(this: &Remote, size: u32);
    #[wasm_bindgen(method)]
    fn text(this: &Remote);
    #[wasm_bindgen(method)]
    fn end(this: &Remote, clean: bool);
    #[wasm_bindgen(method, setter, js_name = "bufferedAmount")]
    fn set_buffered_amount(this: &Remote, bytes: u32);
    #[wasm_bindgen(method, setter)]
    fn set_mute(this: &Remote, mute: bool);
    #[wasm_bindgen(method, getter, js_name = "readyState")]
    fn ready_state(this: &Remote) -> u16;
    #[wasm_bindgen(method, getter)]
    fn sent(this: &Remote) -> u32;
    #[wasm_bindgen(method, getter)]
    fn handlers(this: &Remote) -> u32;
}

/// Takes the place of `WebSocket` for the next one that is opened, then gives it back.
const STAND_IN: &str = r"(() => {
  const real = globalThis.WebSocket;
  const remote = {
    readyState: 0, bufferedAmount: 0, sent: 0, mute: false, binaryType: '', url: 'ws://stand-in/',
    onopen: null, onmessage: null, onclose: null,
    send(data) { this.sent += data.byteLength; },
    close() {
      if (this.readyState >= 2) return;
      this.readyState = 2;
      if (!this.mute) setTimeout(() => this.end(true));
    },
    binary(size) { this.onmessage?.({ data: new ArrayBuffer(size) }); },
    text() { this.onmessage?.({ data: '12' }); },
    end(wasClean) {
      this.readyState = 3;
      this.onclose?.({ wasClean });
    },
    get handlers() { return [this.onopen, this.onmessage, this.onclose].filter(Boolean).length; },
  };
  globalThis.WebSocket = function () {
    globalThis.WebSocket = real;
    setTimeout(() => { remote.readyState = 1; remote.onopen?.({}); });
    return remote;
  };
  return remote;
})()";

async fn linked() -> (Connection, Rc<Remote>) {
    let remote = js_sys::eval(STAND_IN).unwrap().unchecked_into::<Remote>();
    let connection = dial("/ip4/127.0.0.1/tcp/1234/ws").await.unwrap();
    (connection, Rc::new(remote))
}

async fn dial(address: &str) -> Result<Connection, TransportError<Error>> {
    let options = DialOpts {
        role: Endpoint::Dialer,
        port_use: PortUse::New,
    };
    let dial = Transport.dial(address.parse().unwrap(), options)?;
    within(SOON, dial).await.map_err(TransportError::Other)
}

/// What comes in time; the clock is asked first, so nothing passes that was not woken.
async fn within<F: Future>(limit: Duration, what: F) -> F::Output {
    match select(Delay::new(limit), Box::pin(what)).await {
        Either::Left(_) => panic!("nothing within {limit:?}"),
        Either::Right((output, _)) => output,
    }
}

/// Lets what waits be polled, and so park, before the remote goes on.
async fn later(act: impl FnOnce()) {
    Delay::new(Duration::from_millis(30)).await;
    act();
}

/// Reads while the remote acts.
async fn read_while(connection: &mut Connection, act: impl FnOnce()) -> std::io::Result<usize> {
    let mut buffer = [0; 64];
    join(within(SOON, connection.read(&mut buffer)), later(act))
        .await
        .0
}

#[wasm_bindgen_test]
async fn a_relay_that_is_not_there_is_an_error() {
    // Nothing listens on port 4, which browsers do not forbid.
    assert!(matches!(
        dial("/ip4/127.0.0.1/tcp/4/ws").await,
        Err(TransportError::Other(Error::Unreachable(_)))
    ));
    // Port 9 they do forbid; some throw, some close.
    assert!(matches!(
        dial("/ip4/127.0.0.1/tcp/9/ws").await,
        Err(TransportError::Other(_))
    ));
}

#[wasm_bindgen_test]
async fn a_server_without_websockets_is_an_error() {
    // The server of this very page.
    let port = js_sys::eval("Number(location.port)")
        .unwrap()
        .as_f64()
        .unwrap();
    let dialled = dial(&format!("/ip4/127.0.0.1/tcp/{port}/ws")).await;
    assert!(
        matches!(dialled, Err(TransportError::Other(Error::Unreachable(_)))),
        "{dialled:?}"
    );
}

#[wasm_bindgen_test]
async fn only_websocket_addresses_are_dialled() {
    let relay = "12D3KooWDpJ7As7BWAwRMfu1VU2WCqNjvq387JEYKDBj4kx6nXTN";
    for address in [
        "/ip4/127.0.0.1/tcp/8080".to_owned(),
        "/ip4/127.0.0.1/udp/8080/quic-v1".to_owned(),
        format!("/ip4/127.0.0.1/tcp/8080/ws/p2p/{relay}/p2p-circuit"),
    ] {
        let dialled = dial(&address).await;
        assert!(
            matches!(dialled, Err(TransportError::MultiaddrNotSupported(_))),
            "{address}: {dialled:?}"
        );
    }
}

#[wasm_bindgen_test]
async fn the_end_of_the_socket_wakes_a_parked_reader() {
    let (mut connection, remote) = linked().await;
    assert_eq!(
        read_while(&mut connection, || remote.end(true))
            .await
            .unwrap(),
        0
    );
    let (mut connection, remote) = linked().await;
    let broken = read_while(&mut connection, || remote.end(false)).await;
    assert_eq!(broken.unwrap_err().kind(), ErrorKind::ConnectionReset);
}

#[wasm_bindgen_test]
async fn an_empty_message_is_not_the_end() {
    let (mut connection, remote) = linked().await;
    assert_eq!(
        read_while(&mut connection, || {
            remote.binary(0);
            remote.binary(5);
        })
        .await
        .unwrap(),
        5
    );
}

#[wasm_bindgen_test]
async fn a_text_message_breaks_the_connection() {
    let (mut connection, remote) = linked().await;
    let broken = read_while(&mut connection, || remote.text()).await;
    assert_eq!(broken.unwrap_err().kind(), ErrorKind::ConnectionReset);
    assert!(remote.ready_state() >= 2, "the socket is closed");
}

#[wasm_bindgen_test]
async fn one_message_over_the_limit_wakes_a_parked_reader() {
    let (mut connection, remote) = linked().await;
    let broken = read_while(&mut connection, || remote.binary(RECEIVE_LIMIT + 1)).await;
    assert_eq!(broken.unwrap_err().kind(), ErrorKind::ConnectionReset);
    assert!(remote.ready_state() >= 2, "the socket is closed");
}

#[wasm_bindgen_test]
async fn nothing_is_read_past_a_gap() {
    let (mut connection, remote) = linked().await;
    remote.binary(RECEIVE_LIMIT - 10);
    remote.binary(11);
    remote.binary(5);
    let mut received = Vec::new();
    let broken = within(SOON, connection.read_to_end(&mut received)).await;
    assert_eq!(broken.unwrap_err().kind(), ErrorKind::ConnectionReset);
    assert_eq!(received.len(), RECEIVE_LIMIT as usize - 10);
}

#[wasm_bindgen_test]
async fn all_up_to_the_limit_is_kept_and_read() {
    let (mut connection, remote) = linked().await;
    for _ in 0..3 {
        for _ in 0..1024 {
            remote.binary(RECEIVE_LIMIT / 1024);
        }
        let mut received = vec![1; RECEIVE_LIMIT as usize];
        within(SOON, connection.read_exact(&mut received))
            .await
            .unwrap();
        assert!(received.iter().all(|byte| *byte == 0));
    }
}

#[wasm_bindgen_test]
async fn a_flush_does_not_wait_for_the_network() {
    let (mut connection, remote) = linked().await;
    connection.write_all(b"hello").await.unwrap();
    remote.set_buffered_amount(5);
    within(Duration::from_millis(20), connection.flush())
        .await
        .unwrap();
    assert_eq!(remote.sent(), 5);
}

#[wasm_bindgen_test]
async fn a_full_socket_holds_the_writer_until_there_is_room_or_an_end() {
    let (mut connection, remote) = linked().await;
    remote.set_buffered_amount(2 * 1024 * 1024);
    let (written, ()) = join(
        within(SOON, connection.write(b"hello")),
        later(|| {
            assert_eq!(remote.sent(), 0, "sent though the socket was full");
            remote.set_buffered_amount(0);
        }),
    )
    .await;
    assert_eq!((written.unwrap(), remote.sent()), (5, 5));

    remote.set_buffered_amount(2 * 1024 * 1024);
    let (written, ()) = join(
        within(SOON, connection.write(b"hello")),
        later(|| remote.end(false)),
    )
    .await;
    assert_eq!(written.unwrap_err().kind(), ErrorKind::BrokenPipe);
}

#[wasm_bindgen_test]
async fn closing_waits_a_while_for_the_socket_and_dropping_detaches_it() {
    let (mut connection, remote) = linked().await;
    within(SOON, connection.close()).await.unwrap();
    assert_eq!(remote.ready_state(), 3);

    let (mut connection, remote) = linked().await;
    remote.set_mute(true);
    within(SOON, connection.close()).await.unwrap();
    assert_eq!(remote.ready_state(), 2, "given up without an answer");
    assert_eq!(
        connection.write(b"hello").await.unwrap_err().kind(),
        ErrorKind::BrokenPipe
    );

    let (connection, remote) = linked().await;
    assert_eq!(remote.handlers(), 3);
    drop(connection);
    assert_eq!((remote.handlers(), remote.ready_state()), (0, 2));
    // A browser may still deliver what it had queued.
    remote.binary(5);
    remote.end(false);
}
