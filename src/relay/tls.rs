//! TLS in front of the HTTP server: certificate files that are read again when they change, or certificates by ACME.
//!
//! Only HTTP/1.1 is offered, because that is what websockets are upgraded from. New certificate files that cannot be used are
//! reported and the old ones stay in use.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::{Duration, SystemTime};

use futures::StreamExt;
use rustls::ServerConfig;
use rustls::crypto::ring;
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use rustls_acme::caches::DirCache;
use rustls_acme::{AcmeConfig, is_tls_alpn_challenge};
use rustls_pki_types::pem::{self, PemObject};
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;
use tokio::sync::watch;
use tokio_rustls::LazyConfigAcceptor;
use tokio_rustls::server::TlsStream;

use super::stopped;

/// Where certificates come from.
#[derive(Debug, Clone)]
pub enum TlsConfig {
    /// PEM files.
    Files {
        /// The certificate chain.
        certificates: PathBuf,
        /// Its private key.
        key: PathBuf,
    },
    /// A certificate authority that speaks ACME (RFC 8555), proven by TLS-ALPN-01 on the TLS port itself.
    Acme {
        /// Names to get a certificate for.
        domains: Vec<String>,
        /// Contact address given to the authority.
        email: Option<String>,
        /// Directory that keeps account and certificates.
        cache: PathBuf,
        /// The authority's directory; `None` is Let's Encrypt.
        directory: Option<String>,
    },
}

/// Why TLS could not be set up.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TlsError {
    /// A PEM file could not be read.
    #[error("cannot read {path}: {source}")]
    Pem {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        source: pem::Error,
    },
    /// The certificate chain is empty.
    #[error("{0} holds no certificate")]
    NoCertificate(PathBuf),
    /// Key and certificate cannot be used together, or at all.
    #[error("certificate and key cannot be used: {0}")]
    Rustls(#[from] rustls::Error),
}

/// Turns sockets into TLS streams.
#[derive(Debug, Clone)]
pub(crate) struct Tls {
    serve: Arc<ServerConfig>,
    challenge: Option<Arc<ServerConfig>>,
    files: Option<Arc<Reloading>>,
}

impl Tls {
    pub(crate) fn new(config: &TlsConfig, stop: watch::Receiver<bool>) -> Result<Self, TlsError> {
        match config {
            TlsConfig::Files { certificates, key } => {
                let files = Arc::new(Reloading::new(certificates, key)?);
                let serve = server_config(files.clone())?;
                tokio::spawn(watch_files(files.clone(), stop));
                Ok(Self {
                    serve,
                    challenge: None,
                    files: Some(files),
                })
            }
            TlsConfig::Acme {
                domains,
                email,
                cache,
                directory,
            } => {
                let acme = AcmeConfig::new(domains)
                    .contact(email.iter().map(|email| format!("mailto:{email}")))
                    .cache(DirCache::new(cache.clone()));
                let acme = match directory {
                    Some(url) => acme.directory(url),
                    None => acme.directory_lets_encrypt(true),
                };
                let mut state = acme.state();
                let challenge = state.challenge_rustls_config();
                let serve = server_config(state.resolver())?;
                tokio::spawn(async move {
                    let mut stop = stop;
                    loop {
                        let event = tokio::select! {
                            event = state.next() => event,
                            () = stopped(&mut stop) => return,
                        };
                        match event {
                            Some(Ok(event)) => tracing::info!(?event, "ACME"),
                            Some(Err(error)) => tracing::warn!(%error, "ACME"),
                            None => return,
                        }
                    }
                });
                Ok(Self {
                    serve,
                    challenge: Some(challenge),
                    files: None,
                })
            }
        }
    }

    /// Does the handshake; `None` when the peer was the authority checking that we hold the name.
    pub(crate) async fn accept(
        &self,
        socket: TcpStream,
    ) -> io::Result<Option<TlsStream<TcpStream>>> {
        let start = LazyConfigAcceptor::new(rustls::server::Acceptor::default(), socket).await?;
        if let Some(challenge) = &self.challenge
            && is_tls_alpn_challenge(&start.client_hello())
        {
            start
                .into_stream(challenge.clone())
                .await?
                .shutdown()
                .await?;
            return Ok(None);
        }
        start.into_stream(self.serve.clone()).await.map(Some)
    }

    /// Reads certificate files again, if there are any.
    pub(crate) fn reload(&self) {
        if let Some(files) = &self.files {
            files.reload();
        }
    }
}

fn server_config(resolver: Arc<dyn ResolvesServerCert>) -> Result<Arc<ServerConfig>, TlsError> {
    let mut config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()?
        .with_no_client_auth()
        .with_cert_resolver(resolver);
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(Arc::new(config))
}

async fn watch_files(files: Arc<Reloading>, mut stop: watch::Receiver<bool>) {
    let mut seen = files.modified();
    loop {
        tokio::select! {
            () = tokio::time::sleep(CHECK_INTERVAL) => {}
            () = stopped(&mut stop) => return,
        }
        let modified = files.modified();
        if modified != seen {
            seen = modified;
            files.reload();
        }
    }
}

struct Reloading {
    certificates: PathBuf,
    key: PathBuf,
    current: RwLock<Arc<CertifiedKey>>,
}

impl Reloading {
    fn new(certificates: &Path, key: &Path) -> Result<Self, TlsError> {
        let current = RwLock::new(Arc::new(load(certificates, key)?));
        Ok(Self {
            certificates: certificates.to_owned(),
            key: key.to_owned(),
            current,
        })
    }

    fn reload(&self) {
        match load(&self.certificates, &self.key) {
            Ok(new) => {
                *self.current.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(new);
                tracing::info!("certificate files read again");
            }
            Err(error) => {
                tracing::warn!(%error, "the new certificate files cannot be used, the old ones stay")
            }
        }
    }

    fn modified(&self) -> [Option<SystemTime>; 2] {
        [&self.certificates, &self.key].map(|path| {
            std::fs::metadata(path)
                .and_then(|meta| meta.modified())
                .ok()
        })
    }
}

impl ResolvesServerCert for Reloading {
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(
            self.current
                .read()
                .unwrap_or_else(PoisonError::into_inner)
                .clone(),
        )
    }
}

/// Shows the paths and never the key.
impl fmt::Debug for Reloading {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Reloading")
            .field("certificates", &self.certificates)
            .field("key", &self.key)
            .finish()
    }
}

fn load(certificates: &Path, key: &Path) -> Result<CertifiedKey, TlsError> {
    let unreadable = |path: &Path| {
        let path = path.to_owned();
        move |source| TlsError::Pem { path, source }
    };
    let chain: Vec<CertificateDer<'static>> = CertificateDer::pem_file_iter(certificates)
        .and_then(Iterator::collect)
        .map_err(unreadable(certificates))?;
    if chain.is_empty() {
        return Err(TlsError::NoCertificate(certificates.to_owned()));
    }
    let key = PrivateKeyDer::from_pem_file(key).map_err(unreadable(key))?;
    Ok(CertifiedKey::from_der(
        chain,
        key,
        &ring::default_provider(),
    )?)
}

/// How often certificate files are looked at; they are renewed weeks before they end.
const CHECK_INTERVAL: Duration = Duration::from_secs(60);
