//! A client of SMTP: one mail to one server, and its answer.
//!
//! TLS is used where the server offers it, whoever's certificate it is: without it the mail would go in the clear, and who
//! stands between could take the offer away as well (RFC 7435).

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use hickory_resolver::proto::rr::RData;
use mail_auth::MessageAuthenticator;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, ring, verify_tls12_signature, verify_tls13_signature};
use rustls::{ClientConfig, DigitallySignedStruct, SignatureScheme};
use rustls_pki_types::{CertificateDer, ServerName, UnixTime};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

use super::wire::{Wire, WireError, dotted};

/// Longest connection attempt, and longest wait for an answer (RFC 5321, 4.5.3.2, has up to ten minutes; somebody waits).
const CONNECTED_WITHIN: Duration = Duration::from_secs(20);
const ANSWERED_WITHIN: Duration = Duration::from_secs(120);

/// Servers of a domain that are tried.
const MAX_SERVERS: usize = 4;

/// Lines of one answer.
const MAX_LINES: usize = 100;

/// A server that takes mail.
#[derive(Debug, Clone)]
pub(super) struct Server {
    pub(super) name: String,
    pub(super) address: SocketAddr,
}

impl Server {
    fn new(name: &str, address: SocketAddr) -> Self {
        Self {
            name: name.to_owned(),
            address,
        }
    }
}

/// Why a server could not be asked: the next may be.
#[derive(Debug, thiserror::Error)]
pub(super) enum DeliveryError {
    #[error("it cannot be reached")]
    Unreachable,
    #[error("the connection broke")]
    Wire(#[from] WireError),
    #[error("what it says is no SMTP")]
    Protocol,
    #[error("it says: {0}")]
    NotNow(String),
}

/// The servers at HOST:PORT.
pub(super) async fn at(host: &str) -> Result<Vec<Server>, &'static str> {
    let name = host.rsplit_once(':').map_or(host, |(name, _)| name);
    let found = tokio::net::lookup_host(host).await;
    let found = found.map_err(|_| "451 4.4.3 The next server is not found")?;
    let found = found.take(MAX_SERVERS);
    Ok(found.map(|address| Server::new(name, address)).collect())
}

/// The servers that take mail for a domain, the preferred first (RFC 5321, 5.1).
pub(super) async fn of_domain(
    domain: &str,
    port: u16,
    dns: &MessageAuthenticator,
) -> Result<Vec<Server>, &'static str> {
    let resolver = dns.resolver();
    let mut names: Vec<(u16, String)> = Vec::new();
    match resolver.mx_lookup(format!("{domain}.")).await {
        Ok(found) => {
            for record in found.answers() {
                if let RData::MX(mx) = &record.data {
                    names.push((mx.preference, mx.exchange.to_ascii()));
                }
            }
        }
        Err(error) if error.is_no_records_found() || error.is_nx_domain() => {}
        Err(_) => return Err("451 4.4.3 Their domain cannot be looked up now"),
    }
    names.sort();
    if names.iter().any(|(_, name)| name == ".") {
        return Err("556 5.1.10 Their domain takes no mail");
    }
    if names.is_empty() {
        names.push((0, format!("{domain}.")));
    }
    let mut servers = Vec::new();
    for (_, name) in names.into_iter().take(MAX_SERVERS) {
        if let Ok(found) = resolver.lookup_ip(name.as_str()).await {
            let bare = name.trim_end_matches('.');
            let found = found.iter().take(MAX_SERVERS);
            servers.extend(found.map(|ip| Server::new(bare, SocketAddr::new(ip, port))));
        }
    }
    servers.truncate(MAX_SERVERS);
    match servers.is_empty() {
        true => Err("550 5.1.2 Their domain has no server for mail"),
        false => Ok(servers),
    }
}

/// Brings a mail to a server; what it answered, if that is an answer for the mail.
pub(super) async fn deliver(
    server: &Server,
    hello: &str,
    from: &str,
    to: &[String],
    mail: &[u8],
) -> Result<String, DeliveryError> {
    let socket = tokio::time::timeout(CONNECTED_WITHIN, TcpStream::connect(server.address)).await;
    let socket = socket.map_err(|_| DeliveryError::Unreachable)?;
    let socket = socket.map_err(|_| DeliveryError::Unreachable)?;
    let mut wire = Wire::new(socket, ANSWERED_WITHIN);
    begin(&mut wire, None).await?;
    let hello = format!("EHLO {hello}");
    let offers = begin(&mut wire, Some(&hello)).await?;
    if offers
        .iter()
        .any(|line| line.eq_ignore_ascii_case("STARTTLS"))
    {
        begin(&mut wire, Some("STARTTLS")).await?;
        let name = ServerName::try_from(server.name.clone())
            .unwrap_or_else(|_| ServerName::IpAddress(server.address.ip().into()));
        let tls = TlsConnector::from(client()?);
        wire = wire
            .upgrade(async move |socket| tls.connect(name, socket).await)
            .await
            .map_err(WireError::Io)?;
        begin(&mut wire, Some(&hello)).await?;
    }
    if let Some(refused) = asked(&mut wire, &format!("MAIL FROM:<{from}>")).await? {
        return Ok(refused);
    }
    for to in to {
        // All or none: one answer is given for all.
        if let Some(refused) = asked(&mut wire, &format!("RCPT TO:<{to}>")).await? {
            return Ok(refused);
        }
    }
    let (code, lines) = said(&mut wire, Some("DATA")).await?;
    if code != 354 {
        return answer(code, &lines);
    }
    wire.send(&dotted(mail)).await?;
    let (code, lines) = said(&mut wire, None).await?;
    // It is theirs now, whatever becomes of the farewell.
    let _ = wire.say("QUIT").await;
    answer(code, &lines)
}

/// A step without which nothing goes on.
async fn begin(wire: &mut Wire, command: Option<&str>) -> Result<Vec<String>, DeliveryError> {
    let (code, lines) = said(wire, command).await?;
    match code {
        200..300 => Ok(lines),
        _ => Err(DeliveryError::NotNow(format!("{code} {}", lines.join(" ")))),
    }
}

/// A step of the mail; what is answered if it is refused.
async fn asked(wire: &mut Wire, command: &str) -> Result<Option<String>, DeliveryError> {
    let (code, lines) = said(wire, Some(command)).await?;
    match code {
        200..300 => Ok(None),
        _ => answer(code, &lines).map(Some),
    }
}

/// An answer as it is passed on: one line.
fn answer(code: u16, lines: &[String]) -> Result<String, DeliveryError> {
    match code {
        200..300 | 400..600 => Ok(format!("{code} {}", lines.join(" "))),
        _ => Err(DeliveryError::Protocol),
    }
}

async fn said(wire: &mut Wire, command: Option<&str>) -> Result<(u16, Vec<String>), DeliveryError> {
    if let Some(command) = command {
        wire.say(command).await?;
    }
    let mut lines = Vec::new();
    while lines.len() < MAX_LINES {
        let line = wire.line().await?;
        let (code, more, text) = reply(&line).ok_or(DeliveryError::Protocol)?;
        lines.push(text);
        if !more {
            return Ok((code, lines));
        }
    }
    Err(DeliveryError::Protocol)
}

/// A line of an answer: code, whether more follow, text.
fn reply(line: &[u8]) -> Option<(u16, bool, String)> {
    let line = String::from_utf8_lossy(line);
    let (code, rest) = line.split_at_checked(3)?;
    let code = code
        .bytes()
        .all(|byte| byte.is_ascii_digit())
        .then_some(code)?;
    let more = rest.starts_with('-');
    let fine = more || rest.is_empty() || rest.starts_with(' ');
    let printable = |letter: char| match letter.is_control() {
        true => ' ',
        false => letter,
    };
    let text = rest.chars().skip(1).map(printable).collect();
    fine.then_some((code.parse().ok()?, more, text))
}

fn client() -> Result<Arc<ClientConfig>, DeliveryError> {
    let provider = Arc::new(ring::default_provider());
    let config = ClientConfig::builder_with_provider(provider.clone())
        .with_safe_default_protocol_versions()
        .map_err(|_| DeliveryError::Protocol)?
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(AnyCertificate(provider)))
        .with_no_client_auth();
    Ok(Arc::new(config))
}

/// Takes any certificate, and checks only that its key is used.
#[derive(Debug)]
struct AnyCertificate(Arc<CryptoProvider>);

impl ServerCertVerifier for AnyCertificate {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = &self.0.signature_verification_algorithms;
        verify_tls12_signature(message, certificate, signed, algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = &self.0.signature_verification_algorithms;
        verify_tls13_signature(message, certificate, signed, algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn answers_are_read() {
        assert_eq!(reply(b"250-SIZE 10"), Some((250, true, "SIZE 10".into())));
        assert_eq!(reply(b"354"), Some((354, false, String::new())));
        assert_eq!(reply(b"25 x"), None);
        assert_eq!(reply(b"250x"), None);
    }

    proptest! {
        #[test]
        fn any_answer_is_read_without_panic(line in prop::collection::vec(any::<u8>(), 0..80)) {
            let _ = reply(&line);
        }
    }
}
