//! Mail of the operator's people on its way out: who may hand it in, signed (DKIM), and delivered while they wait.
//!
//! Nothing is queued: what the next server answers is what is answered here, so that nothing is kept, and nobody is told of a delivery that
//! then fails. Who writes it asks again, as mail programs do.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use mail_auth::MessageAuthenticator;
use mail_auth::common::crypto::{DkimKey, Ed25519Key, RsaKey};
use mail_auth::common::headers::HeaderWriter;
use mail_auth::dkim::{DkimSigner, Done};
use rustls_pki_types::PrivateKeyDer;
use rustls_pki_types::pem::PemObject;
use tokio::sync::Semaphore;
use zeroize::Zeroizing;

use super::command::{domain_of, is_address};
use super::delivery::{self, Server};
use super::{BridgeError, SubmissionConfig, head};
use crate::rt;

/// Recipients of one mail (RFC 5321, 4.5.3.1.8, asks for a hundred).
const MAX_RECIPIENTS: usize = 100;

/// People who may hand mail in.
const MAX_USERS: usize = 1000;

/// Pause after a wrong password, one at a time for all.
const PAUSE: Duration = Duration::from_secs(1);

/// What is signed, if it is there; those that a forger could add are named twice, so that they cannot be added (RFC 6376, 5.4.2).
const SIGNED: &[&str] = &[
    "From",
    "From",
    "Sender",
    "Reply-To",
    "To",
    "To",
    "Cc",
    "Cc",
    "Subject",
    "Subject",
    "Date",
    "Date",
    "Message-ID",
    "Message-ID",
    "In-Reply-To",
    "References",
    "MIME-Version",
    "Content-Type",
    "Content-Type",
    "Content-Transfer-Encoding",
];

/// A mail that goes out.
pub(super) struct Outgoing {
    pub(super) from: String,
    pub(super) to: Vec<String>,
    pub(super) mail: Zeroizing<Vec<u8>>,
}

pub(super) struct Outbound {
    domain: String,
    /// By name, the hash of the password.
    users: BTreeMap<String, blake3::Hash>,
    wrong: Semaphore,
    signer: DkimSigner<DkimKey, Done>,
    smarthost: Option<String>,
    port: u16,
}

impl Outbound {
    pub(super) fn new(domain: &str, config: &SubmissionConfig) -> Result<Self, BridgeError> {
        let users = text_of(&config.passwords)?;
        let users = passwords(&users).map_err(|line| BridgeError::File {
            path: config.passwords.clone(),
            reason: format!("line {line} is no \"name:password\""),
        })?;
        let key = text_of(&config.dkim_key)?;
        let key = dkim_key(&key).ok_or_else(|| BridgeError::File {
            path: config.dkim_key.clone(),
            reason: "no private key of RSA or Ed25519 in PEM".into(),
        })?;
        Ok(Self {
            domain: domain.to_owned(),
            users,
            wrong: Semaphore::new(1),
            signer: DkimSigner::from_key(key)
                .domain(domain)
                .selector(&config.dkim_selector)
                .headers(SIGNED.iter().copied()),
            smarthost: config.smarthost.clone(),
            port: config.delivery_port,
        })
    }

    /// The name of somebody who knows their password.
    pub(super) async fn admits(&self, user: &str, password: &[u8]) -> Option<String> {
        let user = user.to_ascii_lowercase();
        let suffix = format!("@{}", self.domain);
        let user = user.strip_suffix(&suffix).unwrap_or(&user);
        let hash = blake3::hash(password);
        // Hashes are compared in the same time wherever they differ.
        let fine = self.users.get(user).is_some_and(|known| *known == hash);
        if fine {
            return Some(user.to_owned());
        }
        let _one = self.wrong.acquire().await;
        tokio::time::sleep(PAUSE).await;
        None
    }

    /// Whether one more recipient goes with those that are named.
    pub(super) fn takes(&self, named: &[String], to: &str) -> Result<(), &'static str> {
        if named.len() >= MAX_RECIPIENTS {
            return Err("452 4.5.3 Too many recipients");
        }
        let elsewhere = |one: &String| domain_of(one) != domain_of(to);
        if self.smarthost.is_none() && named.first().is_some_and(elsewhere) {
            // One delivery, one answer.
            return Err("452 4.5.3 One domain at a time");
        }
        Ok(())
    }

    /// Signs and delivers a mail; the answer.
    pub(super) async fn send(&self, outgoing: Outgoing, dns: &MessageAuthenticator) -> String {
        let Outgoing { from, to, mail } = outgoing;
        let author = head::author(&mail);
        if author.as_deref() != Some(&from.to_ascii_lowercase()) {
            return "550 5.7.1 From is not your address".into();
        }
        let mail = self.completed(&mail);
        let signature = match self.signer.sign(&mail) {
            Ok(signature) => unfolded_end(signature.to_header()),
            Err(error) => {
                tracing::warn!(%error, "a mail could not be signed");
                return "451 4.3.0 It could not be signed".into();
            }
        };
        let mut signed = Zeroizing::new(Vec::with_capacity(signature.len() + mail.len()));
        signed.extend(signature.as_bytes());
        signed.extend_from_slice(&mail);
        drop(mail);
        let domain = to.first().map(|to| domain_of(to)).unwrap_or_default();
        let servers = match &self.smarthost {
            Some(host) => delivery::at(host).await,
            None => delivery::of_domain(&domain, self.port, dns).await,
        };
        match servers {
            Ok(servers) => self.try_each(&servers, &from, &to, &signed).await,
            Err(answer) => answer.to_owned(),
        }
    }

    async fn try_each(&self, servers: &[Server], from: &str, to: &[String], mail: &[u8]) -> String {
        let mut last = "451 4.4.1 No server of theirs can be reached".to_owned();
        for server in servers {
            match delivery::deliver(server, &self.domain, from, to, mail).await {
                Ok(answer) => return answer,
                Err(error) => {
                    tracing::debug!(%error, server = %server.address, "not delivered there");
                    last = format!("451 4.4.1 {error}");
                }
            }
        }
        last
    }

    /// Without Bcc, and with a date and an id if it has none (RFC 6409, 8).
    fn completed(&self, mail: &[u8]) -> Zeroizing<Vec<u8>> {
        let fields = head::fields(mail);
        let len: usize = fields.iter().map(|field| field.len()).sum();
        let has = |name: &str| fields.iter().any(|field| head::is(field, name));
        let mut out = Zeroizing::new(Vec::with_capacity(mail.len() + 256));
        if !has("Date") {
            let seconds = i64::try_from(rt::unix_millis() / 1000).unwrap_or_default();
            let date = mail_parser::DateTime::from_timestamp(seconds).to_rfc822();
            out.extend(format!("Date: {date}\r\n").as_bytes());
        }
        if !has("Message-ID") {
            let id = data_encoding::HEXLOWER.encode(&rt::random::<16>());
            out.extend(format!("Message-ID: <{id}@{}>\r\n", self.domain).as_bytes());
        }
        let kept = fields.iter().filter(|field| !head::is(field, "Bcc"));
        kept.for_each(|field| out.extend_from_slice(field));
        out.extend_from_slice(&mail[len..]);
        out
    }
}

/// With the last semicolon on the line of the signature before it: some take the fold between for a part of what was signed.
fn unfolded_end(header: String) -> String {
    match header.strip_suffix("\r\n\t;\r\n") {
        Some(start) => format!("{start};\r\n"),
        None => header,
    }
}

fn text_of(path: &Path) -> Result<Zeroizing<String>, BridgeError> {
    let text = std::fs::read_to_string(path).map_err(|error| BridgeError::File {
        path: path.to_owned(),
        reason: error.to_string(),
    })?;
    Ok(Zeroizing::new(text))
}

/// The number of a line that cannot be read, or all.
fn passwords(text: &str) -> Result<BTreeMap<String, blake3::Hash>, usize> {
    let mut users = BTreeMap::new();
    for (line, number) in text.lines().zip(1..) {
        if line.trim().is_empty() || line.starts_with('#') {
            continue;
        }
        let (user, password) = line.split_once(':').ok_or(number)?;
        let user = user.trim().to_ascii_lowercase();
        let fine = is_address(&format!("{user}@a")) && password.len() >= MIN_PASSWORD;
        if !fine || users.len() >= MAX_USERS {
            return Err(number);
        }
        users.insert(user, blake3::hash(password.as_bytes()));
    }
    Ok(users)
}

/// Shortest password in bytes. They are made by machines: it is tried once a second.
const MIN_PASSWORD: usize = 12;

fn dkim_key(pem: &str) -> Option<DkimKey> {
    let key = PrivateKeyDer::from_pem_slice(pem.as_bytes()).ok()?;
    if let PrivateKeyDer::Pkcs8(der) = &key
        && let Ok(ed25519) = Ed25519Key::from_pkcs8_maybe_unchecked_der(der.secret_pkcs8_der())
    {
        return Some(ed25519.into());
    }
    RsaKey::from_key_der(key).ok().map(DkimKey::from)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn people_are_read_from_their_file() {
        let read = passwords("# who\nZoe:a long password\n\nbob:with:colons and more\n").unwrap();
        assert_eq!(read["zoe"], blake3::hash(b"a long password"));
        assert_eq!(read["bob"], blake3::hash(b"with:colons and more"));
        assert_eq!(passwords("zoe"), Err(1));
        assert_eq!(passwords("\nzoe:short"), Err(2));
        assert_eq!(passwords("z e:a long password"), Err(1));
    }

    proptest! {
        #[test]
        fn any_file_is_read_without_panic(text in "(\\PC|\n|:){0,200}") {
            let _ = passwords(&text);
            let _ = dkim_key(&text);
        }
    }
}
