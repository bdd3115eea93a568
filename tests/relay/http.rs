//! The HTTP surface, websockets that misbehave, proxies, STUN and the shutdown.

use std::fs;
use std::time::{Duration, Instant};

use gyre::relay::{ClientAddress, Error, Stun, start};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpStream, UdpSocket};

use crate::client::{Client, PATIENCE, Seen, get, raw, upgrade};
use crate::{config, relay};

#[tokio::test]
async fn the_four_resources() {
    let (relay, _data) = relay(|_| ()).await;
    let (http, id) = (relay.http_addr, relay.peer_id);
    let authority = format!("localhost:{}", http.port());
    assert_eq!(relay.url(), format!("http://{authority}/"));

    let page = get(http, &authority, "/", "").await;
    assert!(page.starts_with("HTTP/1.1 200") && page.contains("This is a Gyre relay"));
    let health = get(http, &authority, "/healthz", "").await;
    assert!(
        health.starts_with("HTTP/1.1 200") && health.ends_with("\r\n\r\nok\n"),
        "{health}"
    );
    let metrics = get(http, &authority, "/metrics", "").await;
    for name in [
        "connections_open",
        "reservations_open",
        "circuits_total",
        "provider_records",
        "stun_answered_total",
    ] {
        assert!(
            metrics.contains(&format!("\ngyre_relay_{name} ")),
            "{name} in {metrics}"
        );
    }
    assert!(metrics.trim_end().ends_with("# EOF"));
    let told = get(
        http,
        &authority,
        "/bootstrap.json",
        "Origin: https://elsewhere.example\r\n",
    )
    .await;
    assert!(
        told.to_lowercase()
            .contains("access-control-allow-origin: *")
    );
    let body: serde_json::Value =
        serde_json::from_str(told.split("\r\n\r\n").nth(1).unwrap()).unwrap();
    assert_eq!(
        body,
        serde_json::json!({
            "relays": [format!("/ip4/127.0.0.1/tcp/{}/ws/p2p/{id}", http.port())],
            "stun": [format!("stun:127.0.0.1:{}", relay.stun_addr.unwrap().port())],
            "siteHost": authority,
            "puzzleBits": 16,
        })
    );
    assert!(
        get(http, &authority, "/absent", "")
            .await
            .starts_with("HTTP/1.1 404")
    );
    relay.shutdown().await;
}

#[tokio::test]
async fn the_app_is_served_with_its_headers_and_never_to_a_site() {
    let app = tempfile::tempdir().unwrap();
    fs::write(app.path().join("index.html"), "<h1>the app</h1>").unwrap();
    fs::write(app.path().join("main.0123456789abcdef.js"), "let plain").unwrap();
    fs::write(app.path().join("main.0123456789abcdef.js.gz"), "packed gz").unwrap();
    fs::write(app.path().join("main.0123456789abcdef.js.br"), "packed br").unwrap();
    fs::write(app.path().join("node.wasm"), "\0asm").unwrap();
    let outside = app.path().parent().unwrap().join("gyre-outside-the-app");
    let directory = app.path().to_owned();
    let (relay, _data) = relay(move |config| config.app = Some(directory)).await;
    let fetch = |host: &'static str, path: &'static str, more: &'static str| async move {
        get(relay.http_addr, host, path, more).await.to_lowercase()
    };
    let index = fetch("localhost", "/", "").await;
    assert!(index.contains("the app") && index.contains("cache-control: no-cache"));
    for line in [
        "content-security-policy: default-src 'self'; script-src 'self' 'wasm-unsafe-eval'; connect-src 'self' http: https: ws: wss:;",
        "x-content-type-options: nosniff",
        "referrer-policy: no-referrer",
        "content-type: text/html",
    ] {
        assert!(index.contains(line), "{line} in {index}");
    }
    let hashed = fetch("localhost", "/main.0123456789abcdef.js", "").await;
    assert!(hashed.contains("let plain") && hashed.contains("immutable"));
    let br = fetch(
        "localhost",
        "/main.0123456789abcdef.js",
        "Accept-Encoding: gzip, br\r\n",
    )
    .await;
    assert!(
        br.contains("packed br")
            && br.contains("content-encoding: br")
            && br.contains("content-type: text/javascript")
    );
    let gz = fetch(
        "localhost",
        "/main.0123456789abcdef.js",
        "Accept-Encoding: gzip\r\n",
    )
    .await;
    assert!(gz.contains("packed gz") && gz.contains("vary: accept-encoding"));
    let wasm = fetch("localhost", "/node.wasm", "").await;
    assert!(
        wasm.contains("content-type: application/wasm") && wasm.contains("cache-control: no-cache")
    );
    for host in ["k51.localhost", "K51.localhost.:8080"] {
        for path in ["/", "/index.html", "/node.wasm", "/.gyre/loader.js"] {
            let site = get(relay.http_addr, host, path, "").await;
            assert!(
                site.starts_with("HTTP/1.1 404") && site.contains("There is no site here"),
                "{site}"
            );
        }
    }
    let (status, _socket) = upgrade(relay.http_addr, "/", "").await;
    assert_eq!(status, 101);
    let ask = "GET / HTTP/1.1\r\nHost: a.localhost\r\nConnection: close, Upgrade\r\nUpgrade: websocket\r\n\r\n";
    assert!(
        raw(relay.http_addr, ask).await.starts_with("HTTP/1.1 404"),
        "nor does a site get a websocket"
    );
    fs::write(&outside, "a secret").unwrap();
    for path in [
        "/../gyre-outside-the-app",
        "/%2e%2e/gyre-outside-the-app",
        "/..%2fgyre-outside-the-app",
        "//etc/passwd",
    ] {
        let answer = get(relay.http_addr, "localhost", path, "").await;
        assert!(
            !answer.contains("a secret") && !answer.contains("root:"),
            "{path}"
        );
    }
    fs::remove_file(&outside).unwrap();
    relay.shutdown().await;
}

#[tokio::test]
async fn an_app_directory_without_an_app_is_refused() {
    let data = tempfile::tempdir().unwrap();
    let mut config = config(data.path());
    config.app = Some(data.path().to_owned());
    assert!(matches!(start(config).await, Err(Error::App(_))));
}

#[tokio::test]
async fn a_port_in_use_is_an_error_and_nothing_runs() {
    let (relay, _data) = relay(|_| ()).await;
    let other = tempfile::tempdir().unwrap();
    let mut config = config(other.path());
    config.listen = gyre::relay::Listen::At(vec![relay.http_addr]);
    let Err(error) = start(config).await else {
        panic!("two relays on one port")
    };
    assert!(
        error.to_string().contains(&relay.http_addr.to_string()),
        "{error}"
    );
    relay.shutdown().await;
}

#[tokio::test]
async fn localhost_is_served_on_both_loopback_addresses() {
    let (relay, _data) = relay(|config| config.listen = gyre::relay::Listen::Localhost(0)).await;
    let port = relay.http_addr.port();
    let authority = format!("localhost:{port}");
    for ip in ["127.0.0.1", "::1"] {
        let to = std::net::SocketAddr::new(ip.parse().unwrap(), port);
        if TcpStream::connect(to).await.is_err() {
            assert_eq!(ip, "::1", "a machine without IPv6 has only the other");
            continue;
        }
        let told = get(to, &authority, "/bootstrap.json", "").await;
        assert!(
            told.contains(&format!("/ip4/127.0.0.1/tcp/{port}/ws/p2p/")),
            "{told}"
        );
    }
    relay.shutdown().await;
}

/// A client frame with the mask 0, which leaves the payload as it is.
fn frame(opcode: u8, payload: &[u8]) -> Vec<u8> {
    let mut frame = vec![opcode, 0x80 | 127];
    frame.extend_from_slice(&(payload.len() as u64).to_be_bytes());
    frame.extend_from_slice(&[0; 4]);
    frame.extend_from_slice(payload);
    frame
}

#[tokio::test]
async fn malformed_websockets_are_closed_and_harm_nobody() {
    let (relay, _data) = relay(|_| ()).await;
    let mut oversized = vec![0x82, 0xff];
    oversized.extend_from_slice(&(3u64 << 20).to_be_bytes());
    oversized.extend_from_slice(&[0; 64]);
    let mut endless = frame(0x02, &[0; 600 << 10]);
    endless.extend(frame(0x00, &[0; 600 << 10]));
    let hostile: [(&str, Vec<u8>); 8] = [
        ("a text message", frame(0x81, b"hello")),
        ("an unmasked frame", vec![0x82, 1, 0]),
        ("a frame that is too long", oversized),
        ("fragments that are too long together", endless),
        ("a reserved opcode", frame(0x83, b"x")),
        ("reserved bits", frame(0xf2, b"x")),
        ("a continuation of nothing", frame(0x80, b"x")),
        ("no multistream", frame(0x82, &[0xff; 1000])),
    ];
    for (what, bytes) in hostile {
        let (status, mut socket) = upgrade(relay.http_addr, "/any/path", "").await;
        assert_eq!(status, 101);
        // The relay may close before all is written.
        let _ = socket.write_all(&bytes).await;
        let mut sink = Vec::new();
        let closed =
            tokio::time::timeout(Duration::from_secs(8), socket.read_to_end(&mut sink)).await;
        assert!(closed.is_ok(), "{what} was not closed");
    }
    let mut client = Client::new();
    client.connect(relay.address()).await;
    assert!(
        get(relay.http_addr, "localhost", "/healthz", "")
            .await
            .starts_with("HTTP/1.1 200")
    );
    relay.shutdown().await;
}

#[tokio::test]
async fn requests_that_are_no_http_or_too_long_are_refused() {
    let (relay, _data) = relay(|_| ()).await;
    let long = format!(
        "GET / HTTP/1.1\r\nHost: localhost\r\nX: {}\r\n\r\n",
        "x".repeat(40_000)
    );
    for request in [
        "\x16\x03\x01 not http\r\n\r\n",
        "GET / HTTP/1.1\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\nConnection: close\r\n\r\n",
    ] {
        let mut socket = TcpStream::connect(relay.http_addr).await.unwrap();
        socket.write_all(request.as_bytes()).await.unwrap();
        let mut answer = [0; 12];
        tokio::time::timeout(PATIENCE, socket.read_exact(&mut answer))
            .await
            .unwrap()
            .unwrap();
        assert_eq!(&answer, b"HTTP/1.1 400", "{request:?}");
    }
    let mut socket = TcpStream::connect(relay.http_addr).await.unwrap();
    let _ = socket.write_all(long.as_bytes()).await;
    let mut answer = [0; 12];
    if let Ok(Ok(_)) = tokio::time::timeout(PATIENCE, socket.read_exact(&mut answer)).await {
        assert_eq!(&answer, b"HTTP/1.1 431");
    }
    let (status, _) = upgrade(relay.http_addr, "/", "Sec-WebSocket-Version: 12\r\n").await;
    assert!(status == 101 || status == 400, "{status}");
    relay.shutdown().await;
}

#[tokio::test]
async fn the_forwarded_address_counts_only_from_a_trusted_proxy() {
    let header = || "x-forwarded-for".parse().unwrap();
    let (behind, _data) = relay(|config| {
        config.limits.max_connections_per_ip = 1;
        config.client_address = ClientAddress::from_header(header(), vec![]);
    })
    .await;
    let from = |client: &str| format!("X-Forwarded-For: 203.0.113.50, {client}\r\n");
    let (first, _keep) = upgrade(behind.http_addr, "/", &from("192.0.2.1")).await;
    let (again, _) = upgrade(behind.http_addr, "/", &from("192.0.2.1")).await;
    let (other, _keep_too) = upgrade(behind.http_addr, "/", &from("192.0.2.2")).await;
    assert_eq!((first, again, other), (101, 429, 101));
    behind.shutdown().await;

    let (open, _data) = relay(|config| {
        config.limits.max_connections_per_ip = 1;
        config.client_address =
            ClientAddress::from_header(header(), vec!["10.0.0.0/8".parse().unwrap()]);
    })
    .await;
    let (first, _keep) = upgrade(open.http_addr, "/", &from("192.0.2.1")).await;
    let (other, _) = upgrade(open.http_addr, "/", &from("192.0.2.2")).await;
    assert_eq!((first, other), (101, 0), "both are the same socket address");
    open.shutdown().await;
}

#[tokio::test]
async fn stun_tells_the_address_and_port() {
    let (relay, _data) = relay(|_| ()).await;
    let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    socket.connect(relay.stun_addr.unwrap()).await.unwrap();
    socket.send(b"junk").await.unwrap();
    let request = [&[0, 1, 0, 0, 0x21, 0x12, 0xa4, 0x42][..], &[7; 12]].concat();
    socket.send(&request).await.unwrap();
    let mut answer = [0; 100];
    let length = tokio::time::timeout(PATIENCE, socket.recv(&mut answer))
        .await
        .unwrap()
        .unwrap();
    assert_eq!(
        (length, &answer[..2], &answer[8..20]),
        (32, &[1, 1][..], &[7; 12][..])
    );
    let port = u16::from_be_bytes([answer[26], answer[27]]) ^ 0x2112;
    assert_eq!(port, socket.local_addr().unwrap().port());
    assert_eq!(
        [
            answer[28] ^ 0x21,
            answer[29] ^ 0x12,
            answer[30] ^ 0xa4,
            answer[31] ^ 0x42
        ],
        [127, 0, 0, 1]
    );
    let metrics = get(relay.http_addr, "localhost", "/metrics", "").await;
    assert!(metrics.contains("stun_answered_total 1") && metrics.contains("stun_ignored_total 1"));
    relay.shutdown().await;
}

#[tokio::test]
async fn stun_can_be_off() {
    let (relay, _data) = relay(|config| config.stun = Stun::Off).await;
    assert_eq!(relay.stun_addr, None);
    assert!(
        get(relay.http_addr, "localhost", "/bootstrap.json", "")
            .await
            .contains("\"stun\":[]")
    );
    relay.shutdown().await;
}

#[tokio::test]
async fn shutdown_is_prompt_whatever_is_open() {
    let (relay, _data) = relay(|_| ()).await;
    let http = relay.http_addr;
    let mut client = Client::reserved(relay.address()).await;
    let _idle = TcpStream::connect(http).await.unwrap();
    let (_, _half_open) = upgrade(http, "/", "").await;
    let begun = Instant::now();
    relay.shutdown().await;
    assert!(
        begun.elapsed() < Duration::from_secs(5),
        "{:?}",
        begun.elapsed()
    );
    client
        .until("the end", |seen| {
            matches!(seen, Seen::Disconnected(_)).then_some(())
        })
        .await;
    assert!(
        TcpStream::connect(http).await.is_err(),
        "the port is free again"
    );
}

#[tokio::test]
async fn a_restart_keeps_the_identity() {
    let data = tempfile::tempdir().unwrap();
    let first = start(config(data.path())).await.unwrap();
    let id = first.peer_id;
    first.shutdown().await;
    let second = start(config(data.path())).await.unwrap();
    assert_eq!(second.peer_id, id);
    second.shutdown().await;
    let (stranger, _data) = relay(|_| ()).await;
    assert_ne!(stranger.peer_id, id);
}
