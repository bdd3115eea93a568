//! The nodes' way to HTTP servers: hyper over loopback.

use axum::body::Body as Stream;
use bytes::Bytes;
use futures::future::LocalBoxFuture;
use futures::{FutureExt, StreamExt};
use gyre::net::fetch::{Body, Fetch, Request};
use gyre::proto::web_seed::Fault;
use hyper::header::{CONTENT_LENGTH, HOST, RANGE};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;

/// A connection for each request.
#[derive(Debug)]
pub struct HttpFetch;

impl Fetch for HttpFetch {
    fn get(&self, request: Request) -> LocalBoxFuture<'static, Result<Bytes, Fault>> {
        get(request).boxed_local()
    }
}

async fn get(request: Request) -> Result<Bytes, Fault> {
    let rest = request.address.strip_prefix("http://").unwrap();
    let (host, path) = rest.split_once('/').unwrap();
    let socket = TcpStream::connect(host)
        .await
        .map_err(|_| Fault::Unreachable)?;
    let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(socket))
        .await
        .map_err(|_| Fault::Unreachable)?;
    let connection = tokio::spawn(connection);
    let mut head = hyper::Request::get(format!("/{path}")).header(HOST, host);
    if let Some(range) = request.range_header() {
        head = head.header(RANGE, range);
    }
    let answer = sender
        .send_request(head.body(Stream::empty()).unwrap())
        .await;
    let answer = answer.map_err(|_| Fault::Unreachable)?;
    let length = answer.headers().get(CONTENT_LENGTH);
    let length = length.and_then(|length| length.to_str().ok()?.parse().ok());
    let begun = Body::begin(&request, answer.status().as_u16(), length);
    let mut pieces = Stream::new(answer.into_body()).into_data_stream();
    let mut body = begun.inspect_err(|_| connection.abort())?;
    while let Some(piece) = pieces.next().await {
        body.push(&piece.map_err(|_| Fault::Broken)?)?;
    }
    body.end()
}
