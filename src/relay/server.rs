//! The accept loops: TCP, then TLS where it is on, then HTTP/1.1 with upgrades.
//!
//! Every socket holds a seat of its address and one of all connections until its HTTP is over; an upgraded one then counts as a
//! websocket. Slow handshakes and slow headers are cut off.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::Request;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, mpsc, watch};
use tokio::task::JoinSet;
use tower::ServiceExt;

use super::client_address::ClientAddress;
use super::http::{Ends, SocketSeat};
use super::seats::Seats;
use super::stopped;
use super::tls::Tls;

/// What all accept loops share.
#[derive(Clone)]
pub(crate) struct Server {
    pub(crate) router: Router,
    pub(crate) tls: Option<Tls>,
    pub(crate) client_address: ClientAddress,
    pub(crate) seats: Seats,
    pub(crate) sockets: Arc<Semaphore>,
    /// Told the local address of each socket, so that an address behind `0.0.0.0` becomes known.
    pub(crate) local_seen: mpsc::Sender<SocketAddr>,
    pub(crate) stop: watch::Receiver<bool>,
}

/// HTTP sockets served at once; the rest wait in the system's queue. A page needs up to six for a second.
pub(crate) const MAX_SOCKETS: usize = 4_096;

impl Server {
    /// Accepts until told to stop, then gives open requests [`GRACE`] to end.
    pub(crate) async fn run(self, listener: TcpListener) {
        let mut stop = self.stop.clone();
        let mut open = JoinSet::new();
        loop {
            let next = async {
                let permit = self.sockets.clone().acquire_owned().await;
                listener
                    .accept()
                    .await
                    .map(|(socket, peer)| (permit, socket, peer))
            };
            let accepted = tokio::select! {
                accepted = next => accepted,
                () = stopped(&mut stop) => break,
                Some(_) = open.join_next(), if !open.is_empty() => continue,
            };
            let (permit, socket, peer) = match accepted {
                Ok(accepted) => accepted,
                Err(error) => {
                    // Out of file descriptors, most likely: accepting again at once would spin.
                    tracing::warn!(%error, "accepting a connection failed");
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                    continue;
                }
            };
            let server = self.clone();
            open.spawn(async move {
                server.serve(socket, peer).await;
                drop(permit);
            });
        }
        drop(listener);
        let _ =
            tokio::time::timeout(GRACE, async { while open.join_next().await.is_some() {} }).await;
    }

    async fn serve(self, socket: TcpStream, peer: SocketAddr) {
        let seat = if self.client_address.is_proxy(peer.ip()) {
            Some(self.seats.uncounted())
        } else {
            self.seats.take(peer.ip())
        };
        let (Some(seat), Ok(local)) = (seat, socket.local_addr()) else {
            return;
        };
        let _ = socket.set_nodelay(true);
        let _ = self.local_seen.try_send(local);
        let seat = SocketSeat::new(seat);
        let ends = Ends {
            local,
            peer,
            tls: self.tls.is_some(),
        };
        match &self.tls {
            None => self.http(socket, ends, seat).await,
            Some(tls) => match tokio::time::timeout(HANDSHAKE_TIMEOUT, tls.accept(socket)).await {
                Ok(Ok(Some(stream))) => self.http(stream, ends, seat).await,
                Ok(Ok(None)) => {}
                Ok(Err(error)) => tracing::debug!(%error, "TLS handshake failed"),
                Err(_) => tracing::debug!("TLS handshake took too long"),
            },
        }
    }

    async fn http<S>(&self, stream: S, ends: Ends, seat: SocketSeat)
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let service = service_fn(|request: hyper::Request<Incoming>| {
            let mut request: Request = request.map(axum::body::Body::new);
            request.extensions_mut().insert(ends);
            request.extensions_mut().insert(seat.clone());
            self.router.clone().oneshot(request)
        });
        let connection = http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(HEADER_TIMEOUT)
            .max_headers(MAX_HEADERS)
            .max_buf_size(MAX_HEAD_BYTES)
            .serve_connection(TokioIo::new(stream), service)
            .with_upgrades();
        let mut connection = std::pin::pin!(connection);
        let mut stop = self.stop.clone();
        let ended = tokio::select! {
            ended = connection.as_mut() => ended,
            () = stopped(&mut stop) => {
                connection.as_mut().graceful_shutdown();
                connection.await
            }
        };
        if let Err(error) = ended {
            tracing::debug!(%error, "an HTTP connection ended early");
        }
    }
}

/// Time for open requests to end at a shutdown.
const GRACE: Duration = Duration::from_secs(3);
/// Wait after a failed accept.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);
/// Time for a TLS handshake.
const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(10);
/// Time for a request's head, and for the next request on a kept connection.
const HEADER_TIMEOUT: Duration = Duration::from_secs(20);
/// Header lines in a request; browsers send about twenty.
const MAX_HEADERS: usize = 64;
/// Bytes in a request's head.
const MAX_HEAD_BYTES: usize = 16 << 10;
