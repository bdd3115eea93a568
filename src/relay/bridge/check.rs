//! Whether a mail comes from where it says: SPF (RFC 7208), DKIM (RFC 6376) and DMARC (RFC 9989), by `mail-auth`.
//!
//! A mail is refused when the domain of its author says that such mail is to be refused; and, where that domain says nothing, when
//! the domain of its sender says that this machine sends nothing for it and no signature holds. All else is let in, with what
//! was found in its head.

use std::net::{IpAddr, SocketAddr};

use hickory_resolver::config::{NameServerConfig, ResolverConfig, ResolverOpts};
use mail_auth::common::headers::HeaderWriter;
use mail_auth::dmarc::Policy;
use mail_auth::dmarc::verify::DmarcParameters;
use mail_auth::spf::verify::SpfParameters;
use mail_auth::{
    AuthenticatedMessage, AuthenticationResults, DkimResult, DmarcResult, MessageAuthenticator,
    SpfResult,
};

use super::BridgeError;
use super::command::domain_of;

/// A client and what it said of itself.
#[derive(Debug, Clone)]
pub(super) struct Sender {
    pub(super) ip: IpAddr,
    pub(super) hello: String,
    /// Empty for nobody.
    pub(super) from: String,
}

/// What is done with a mail.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// Let in, with this header field.
    Fine(String),
    /// Refused for good: code and words.
    Refused(&'static str),
    /// It cannot be told now.
    NotNow(&'static str),
}

/// The resolver, and the name that stands in what it finds.
pub(super) struct Checks {
    pub(super) dns: MessageAuthenticator,
    host: String,
}

impl Checks {
    /// Asks this server for names, or those of the system.
    pub(super) fn new(host: &str, server: Option<SocketAddr>) -> Result<Self, BridgeError> {
        let failed = |error: &dyn std::fmt::Display| BridgeError::Resolver(error.to_string());
        let dns = match server {
            None => MessageAuthenticator::new_system_conf(),
            Some(address) => {
                let mut server = NameServerConfig::udp_and_tcp(address.ip());
                for connection in &mut server.connections {
                    connection.port = address.port();
                }
                let config = ResolverConfig::from_parts(None, Vec::new(), vec![server]);
                MessageAuthenticator::new(config, ResolverOpts::default())
            }
        };
        Ok(Self {
            dns: dns.map_err(|error| failed(&error))?,
            host: host.to_owned(),
        })
    }

    pub(super) async fn check(&self, sender: &Sender, mail: &[u8]) -> Verdict {
        let Some(message) = AuthenticatedMessage::parse(mail) else {
            return Verdict::Refused("550 5.6.0 This is no mail");
        };
        // One author, as DMARC needs it; more are not what a person writes.
        if message.froms().len() != 1 {
            return Verdict::Refused("550 5.7.1 Exactly one author is needed in From");
        }
        let Sender { ip, hello, from } = sender;
        let spf = match from.is_empty() {
            true => SpfParameters::verify_ehlo(*ip, hello, &self.host),
            false => SpfParameters::verify_mail_from(*ip, hello, &self.host, from),
        };
        let spf = self.dns.verify_spf(spf).await;
        let dkim = self.dns.verify_dkim(&message).await;
        let domain = match from.is_empty() {
            true => hello.clone(),
            false => domain_of(from),
        };
        let dmarc = DmarcParameters::new(&message, &dkim, &domain, &spf);
        let dmarc = self.dns.verify_dmarc(dmarc).await;
        let signed = dkim.iter().any(|one| *one.result() == DkimResult::Pass);
        let fits =
            *dmarc.dkim_result() == DmarcResult::Pass || *dmarc.spf_result() == DmarcResult::Pass;
        let unsure = matches!(dmarc.result(), DmarcResult::TempError(_))
            || spf.result() == SpfResult::TempError && !signed;
        if !fits && unsure {
            return Verdict::NotNow("451 4.7.0 The names of the sender cannot be looked up now");
        }
        if !fits && dmarc.policy() == Policy::Reject {
            return Verdict::Refused(
                "550 5.7.1 The author's domain refuses mail like this (DMARC)",
            );
        }
        let says_nothing = dmarc.dmarc_record().is_none();
        if says_nothing && spf.result() == SpfResult::Fail && !signed {
            return Verdict::Refused(
                "550 5.7.23 The sender's domain does not send from here (SPF)",
            );
        }
        let results = AuthenticationResults::new(&self.host)
            .with_dkim_results(&dkim, message.from())
            .with_dmarc_result(&dmarc);
        let results = match from.is_empty() {
            true => results.with_spf_ehlo_result(&spf, *ip, hello),
            false => results.with_spf_mailfrom_result(&spf, *ip, from, hello),
        };
        Verdict::Fine(results.to_header())
    }
}
