//! TLS by files that change, and by ACME with what can be had without an authority.

use std::fs;
use std::path::Path;
use std::sync::Arc;

use gyre::relay::{PublicAddress, Relay, TlsConfig};
use rcgen::{CertificateParams, KeyPair};
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use rustls_acme::CertCache;
use rustls_acme::caches::DirCache;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

use crate::relay;

struct Issued {
    chain: String,
    key: String,
    der: CertificateDer<'static>,
}

fn issue(name: &str) -> Issued {
    let key = KeyPair::generate().unwrap();
    let certificate = CertificateParams::new(vec![name.to_owned()])
        .unwrap()
        .self_signed(&key)
        .unwrap();
    Issued {
        chain: certificate.pem(),
        key: key.serialize_pem(),
        der: certificate.der().clone(),
    }
}

fn write(directory: &Path, issued: &Issued) {
    fs::write(directory.join("chain.pem"), &issued.chain).unwrap();
    fs::write(directory.join("key.pem"), &issued.key).unwrap();
}

/// Sends a request over TLS, trusting `trusted` alone.
async fn ask(
    relay: &Relay,
    trusted: &CertificateDer<'static>,
    request: &str,
) -> std::io::Result<String> {
    let mut roots = RootCertStore::empty();
    roots.add(trusted.clone()).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let client = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap();
    let client = client.with_root_certificates(roots).with_no_client_auth();
    let socket = TcpStream::connect(relay.http_addr).await?;
    let name = ServerName::try_from("localhost").unwrap();
    let mut tls = TlsConnector::from(Arc::new(client))
        .connect(name, socket)
        .await?;
    tls.write_all(request.as_bytes()).await?;
    let mut answer = vec![0; 4096];
    let length = tls.read(&mut answer).await?;
    answer.truncate(length);
    Ok(String::from_utf8_lossy(&answer).into_owned())
}

const HEALTH: &str = "GET /healthz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";

#[tokio::test]
async fn certificate_files_are_used_and_read_again() {
    let files = tempfile::tempdir().unwrap();
    let (first, second) = (issue("localhost"), issue("localhost"));
    write(files.path(), &first);
    let tls = TlsConfig::Files {
        certificates: files.path().join("chain.pem"),
        key: files.path().join("key.pem"),
    };
    let (relay, _data) = relay(move |config| {
        config.tls = Some(tls);
        config.advertise = vec!["wss://relay.example.org".parse::<PublicAddress>().unwrap()];
    })
    .await;
    assert!(
        relay
            .address()
            .to_string()
            .starts_with("/dns4/relay.example.org/tcp/443/tls/ws/p2p/")
    );
    assert_eq!(relay.url(), "https://relay.example.org/");
    assert!(
        ask(&relay, &first.der, HEALTH)
            .await
            .unwrap()
            .starts_with("HTTP/1.1 200")
    );
    let websocket = "GET / HTTP/1.1\r\nHost: relay.example.org\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
        Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";
    assert!(
        ask(&relay, &first.der, websocket)
            .await
            .unwrap()
            .starts_with("HTTP/1.1 101")
    );

    fs::write(files.path().join("chain.pem"), "damaged").unwrap();
    relay.reload_certificates();
    assert!(
        ask(&relay, &first.der, HEALTH).await.is_ok(),
        "the old certificate stays in use"
    );
    write(files.path(), &second);
    relay.reload_certificates();
    assert!(ask(&relay, &second.der, HEALTH).await.is_ok());
    assert!(ask(&relay, &first.der, HEALTH).await.is_err());
    relay.shutdown().await;
}

#[tokio::test]
async fn unusable_certificate_files_stop_the_start() {
    let files = tempfile::tempdir().unwrap();
    let (one, other) = (issue("localhost"), issue("localhost"));
    write(
        files.path(),
        &Issued {
            key: other.key,
            ..one
        },
    );
    let data = tempfile::tempdir().unwrap();
    for name in ["chain.pem", "absent.pem", "key.pem"] {
        let mut config = crate::config(data.path());
        config.tls = Some(TlsConfig::Files {
            certificates: files.path().join(name),
            key: files.path().join("key.pem"),
        });
        assert!(
            matches!(
                gyre::relay::start(config).await,
                Err(gyre::relay::Error::Tls(_))
            ),
            "{name}"
        );
    }
}

#[tokio::test]
async fn acme_serves_its_cached_certificate_while_the_authority_is_away() {
    let cache = tempfile::tempdir().unwrap();
    let authority = "https://127.0.0.1:1/directory".to_owned();
    let issued = issue("localhost");
    let pem = format!("{}{}", issued.key, issued.chain);
    let domains = ["localhost".to_owned()];
    DirCache::new(cache.path())
        .store_cert(&domains, &authority, pem.as_bytes())
        .await
        .unwrap();
    let tls = TlsConfig::Acme {
        domains: domains.to_vec(),
        email: Some("keeper@relay.example.org".into()),
        cache: cache.path().to_owned(),
        directory: Some(authority),
    };
    let (relay, _data) = relay(move |config| config.tls = Some(tls)).await;
    let mut answer = ask(&relay, &issued.der, HEALTH).await;
    for _ in 0..100 {
        // The cache is read in the background.
        if answer.is_ok() {
            break;
        }
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
        answer = ask(&relay, &issued.der, HEALTH).await;
    }
    assert!(answer.unwrap().starts_with("HTTP/1.1 200"));
    relay.shutdown().await;
}
