//! The relay's command line: flags, environment, logs and signals. What they mean is decided in [`gyre::relay`].

use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;
use std::str::FromStr;
use std::time::Duration;

use axum::http::HeaderName;
use clap::{Args, Parser, ValueEnum};
use gyre::proto::address::Address;
use gyre::proto::custody::region::PUZZLE_BITS;
use gyre::relay::{
    self, ByteRate, ClientAddress, Config, KeeperConfig, Limits, Listen, PublicAddress, Rate,
    Relay, Stun, TlsConfig,
};
use ipnet::IpNet;
use libp2p::Multiaddr;
use tracing_subscriber::EnvFilter;

/// Introduces browsers to each other, and serves the Gyre app.
///
/// Without any flag it runs for this machine on http://localhost:8080/. Every flag can be set in the environment as well.
#[derive(Debug, Parser)]
#[command(name = "gyre-relay", version, max_term_width = 110)]
struct Cli {
    /// Where to listen for HTTP and websockets: localhost:PORT, or ADDRESS:PORT (repeat for several)
    #[arg(
        long,
        env = "GYRE_LISTEN",
        value_name = "ADDRESS:PORT",
        default_value = "localhost:8080",
        value_delimiter = ','
    )]
    listen: Vec<ListenArg>,
    /// Public address: HOST for wss on port 443, wss://HOST:PORT, ws://HOST:PORT, or a multiaddr (repeat for several)
    #[arg(
        long,
        env = "GYRE_ADVERTISE",
        value_name = "ADDRESS",
        value_delimiter = ','
    )]
    advertise: Vec<PublicAddress>,
    /// Another relay to share the index with, as /…/ws/p2p/ID (repeat for several)
    #[arg(
        long,
        env = "GYRE_PEERS",
        value_name = "MULTIADDR",
        value_delimiter = ','
    )]
    peer: Vec<Multiaddr>,
    /// Directory of the built app to serve at /
    #[arg(long, env = "GYRE_APP", value_name = "DIR")]
    app: Option<PathBuf>,
    /// Directory of the relay's key [default: gyre-relay in the user's data directory, else ./gyre-data]
    #[arg(long, env = "GYRE_DATA", value_name = "DIR")]
    data: Option<PathBuf>,
    /// Where to answer STUN: off, auto (port 3478), or ADDRESS:PORT (repeat for several)
    #[arg(
        long,
        env = "GYRE_STUN",
        value_name = "ADDRESS:PORT",
        default_value = "auto",
        value_delimiter = ','
    )]
    stun: Vec<StunArg>,
    /// STUN URL to tell browsers instead of this relay's own, as stun:HOST:PORT (repeat for several)
    #[arg(
        long,
        env = "GYRE_STUN_URLS",
        value_name = "URL",
        value_delimiter = ','
    )]
    stun_url: Vec<String>,
    /// Header from which a proxy's clients are told apart, for example X-Forwarded-For
    #[arg(long, env = "GYRE_CLIENT_ADDRESS_HEADER", value_name = "NAME")]
    client_address_header: Option<HeaderName>,
    /// Proxies whose header is believed, as ADDRESS or NETWORK/BITS (repeat for several) [default: loopback]
    #[arg(long, env = "GYRE_TRUSTED_PROXIES", value_name = "NETWORK", value_parser = network, value_delimiter = ',',
          requires = "client_address_header")]
    trusted_proxy: Vec<IpNet>,
    /// How to write the log; RUST_LOG sets what is in it
    #[arg(long, env = "GYRE_LOG_FORMAT", value_name = "FORMAT", value_enum, default_value_t = LogFormat::Text)]
    log_format: LogFormat,
    /// Denylist (.deny, IPFS compact format) of what is neither introduced nor kept; read again when it changes, and on SIGHUP
    /// (repeat for several)
    #[arg(
        long,
        env = "GYRE_DENYLISTS",
        value_name = "FILE",
        value_delimiter = ','
    )]
    denylist: Vec<PathBuf>,
    #[command(flatten)]
    tls: TlsArgs,
    #[command(flatten)]
    keeper: KeeperArgs,
    #[cfg(feature = "bridge")]
    #[command(flatten)]
    bridge: BridgeArgs,
    /// Work that the ids of those who keep mail must show in this network, in bits; 0 for a private one
    #[arg(long, env = "GYRE_PUZZLE_BITS", value_name = "BITS", default_value_t = PUZZLE_BITS, value_parser = clap::value_parser!(u8).range(..=32))]
    puzzle_bits: u8,
    #[command(flatten)]
    limits: LimitArgs,
}

#[derive(Debug, Args)]
#[command(next_help_heading = "TLS")]
struct TlsArgs {
    /// Certificate chain as PEM; read again when it changes, and on SIGHUP
    #[arg(long, env = "GYRE_TLS_CERT", value_name = "FILE", requires = "tls_key")]
    tls_cert: Option<PathBuf>,
    /// Private key as PEM
    #[arg(long, env = "GYRE_TLS_KEY", value_name = "FILE", requires = "tls_cert")]
    tls_key: Option<PathBuf>,
    /// Name to get a certificate for by ACME; needs port 443 open to the Internet (repeat for several)
    #[arg(
        long,
        env = "GYRE_ACME_DOMAINS",
        value_name = "NAME",
        value_delimiter = ',',
        conflicts_with = "tls_cert"
    )]
    acme_domain: Vec<String>,
    /// Contact address for the certificate authority
    #[arg(
        long,
        env = "GYRE_ACME_EMAIL",
        value_name = "EMAIL",
        requires = "acme_domain"
    )]
    acme_email: Option<String>,
    /// Directory for account and certificates [default: acme in the data directory]
    #[arg(
        long,
        env = "GYRE_ACME_CACHE",
        value_name = "DIR",
        requires = "acme_domain"
    )]
    acme_cache: Option<PathBuf>,
    /// Directory URL of the authority [default: Let's Encrypt]
    #[arg(
        long,
        env = "GYRE_ACME_DIRECTORY",
        value_name = "URL",
        requires = "acme_domain"
    )]
    acme_directory: Option<String>,
}

#[derive(Debug, Args)]
#[command(next_help_heading = "Keeping sites and mail")]
struct KeeperArgs {
    /// Keep this site on disk, follow it and serve it: its name, a version's CID, or a link (repeat for several)
    #[arg(long, env = "GYRE_PIN", value_name = "ADDRESS", value_delimiter = ',')]
    pin: Vec<Address>,
    /// Keep what is asked of it as well, up to SIZE (as 500MB or 10GB); what was least recently asked for makes way
    #[arg(long, env = "GYRE_KEEP", value_name = "SIZE")]
    keep: Option<Size>,
    /// Keep sealed mail for its readers, up to SIZE (as 500MB or 10GB), in mailboxes.redb in the data directory
    #[arg(long, env = "GYRE_MAILBOXES", value_name = "SIZE")]
    mailboxes: Option<Size>,
    /// File that holds the sites [default: keeper.redb in the data directory]
    #[arg(long, env = "GYRE_KEEPER_STORE", value_name = "FILE")]
    keeper_store: Option<PathBuf>,
}

#[cfg(feature = "bridge")]
#[derive(Debug, Args)]
#[command(next_help_heading = "Bridge to SMTP")]
struct BridgeArgs {
    /// Take in mail for this domain and seal it to its recipients: ID@DOMAIN, or ALIAS@DOMAIN
    #[arg(
        long,
        env = "GYRE_SMTP_DOMAIN",
        value_name = "DOMAIN",
        requires = "smtp_listen"
    )]
    smtp_domain: Option<String>,
    /// Where servers bring it (repeat for several)
    #[arg(
        long,
        env = "GYRE_SMTP_LISTEN",
        value_name = "ADDRESS:PORT",
        value_delimiter = ',',
        requires = "smtp_domain"
    )]
    smtp_listen: Vec<SocketAddr>,
    /// File of aliases, each line a name and an id or card
    #[arg(
        long,
        env = "GYRE_SMTP_ALIASES",
        value_name = "FILE",
        requires = "smtp_domain"
    )]
    smtp_aliases: Option<PathBuf>,
    /// Machines that must keep a mail before it is answered for [default: five, or three and a relay]
    #[arg(long, env = "GYRE_SMTP_COPIES", value_name = "N", requires = "smtp_domain", value_parser = clap::value_parser!(u8).range(1..=8))]
    smtp_copies: Option<u8>,
    /// Seconds in which they must; else the sender is asked to come again
    #[arg(long, env = "GYRE_SMTP_PATIENCE", value_name = "SECONDS", default_value_t = 120, value_parser = clap::value_parser!(u64).range(1..=300))]
    smtp_patience: u64,
    /// Longest mail, as 500kB or 10MB [default: 26148864]
    #[arg(
        long,
        env = "GYRE_SMTP_MAX_SIZE",
        value_name = "SIZE",
        requires = "smtp_domain"
    )]
    smtp_max_size: Option<Size>,
    /// Mails from one address: N at once, then one each SECONDS [default: 60/2]
    #[arg(
        long,
        env = "GYRE_SMTP_RATE",
        value_name = "N/SECONDS",
        requires = "smtp_domain"
    )]
    smtp_rate: Option<Rate>,
    /// DNS server that is asked for SPF, DKIM, DMARC and MX [default: the system's]
    #[arg(
        long,
        env = "GYRE_SMTP_DNS",
        value_name = "ADDRESS:PORT",
        requires = "smtp_domain"
    )]
    smtp_dns: Option<SocketAddr>,
    /// Certificate chain for STARTTLS, as PEM [default: the relay's]
    #[arg(
        long,
        env = "GYRE_SMTP_TLS_CERT",
        value_name = "FILE",
        requires = "smtp_tls_key"
    )]
    smtp_tls_cert: Option<PathBuf>,
    /// Its private key as PEM
    #[arg(
        long,
        env = "GYRE_SMTP_TLS_KEY",
        value_name = "FILE",
        requires = "smtp_tls_cert"
    )]
    smtp_tls_key: Option<PathBuf>,
    /// Where people of this machine hand in mail that goes out, on loopback
    #[arg(long, env = "GYRE_SMTP_SUBMISSION", value_name = "ADDRESS:PORT", requires_all = ["smtp_domain", "smtp_passwords", "smtp_dkim_key"])]
    smtp_submission: Option<SocketAddr>,
    /// File of who may, each line NAME:PASSWORD; they write as NAME@DOMAIN
    #[arg(
        long,
        env = "GYRE_SMTP_PASSWORDS",
        value_name = "FILE",
        requires = "smtp_submission"
    )]
    smtp_passwords: Option<PathBuf>,
    /// Private key that signs it (DKIM): RSA or Ed25519, as PEM
    #[arg(
        long,
        env = "GYRE_SMTP_DKIM_KEY",
        value_name = "FILE",
        requires = "smtp_submission"
    )]
    smtp_dkim_key: Option<PathBuf>,
    /// Its selector: the public key stands at SELECTOR._domainkey.DOMAIN
    #[arg(
        long,
        env = "GYRE_SMTP_DKIM_SELECTOR",
        value_name = "NAME",
        default_value = "gyre"
    )]
    smtp_dkim_selector: String,
    /// Server that takes what goes out [default: those of the recipients' domains]
    #[arg(
        long,
        env = "GYRE_SMTP_SMARTHOST",
        value_name = "HOST:PORT",
        requires = "smtp_submission"
    )]
    smtp_smarthost: Option<String>,
}

#[derive(Debug, Args)]
#[command(next_help_heading = "Limits")]
struct LimitArgs {
    /// Websockets open in all [default: 24000]
    #[arg(long, env = "GYRE_MAX_CONNECTIONS", value_name = "N")]
    max_connections: Option<u32>,
    /// Sockets open from one address, an IPv6 /64 being one [default: 1024]
    #[arg(long, env = "GYRE_MAX_CONNECTIONS_PER_IP", value_name = "N")]
    max_connections_per_ip: Option<u32>,
    /// Reservations in all; keep it well above the peak, because at the limit renewals are refused too [default: 20000]
    #[arg(long, env = "GYRE_MAX_RESERVATIONS", value_name = "N")]
    max_reservations: Option<usize>,
    /// Reservations of one peer [default: 2]
    #[arg(long, env = "GYRE_MAX_RESERVATIONS_PER_PEER", value_name = "N")]
    max_reservations_per_peer: Option<usize>,
    /// Seconds a reservation lasts [default: 3600]
    #[arg(long, env = "GYRE_RESERVATION_SECONDS", value_name = "SECONDS", value_parser = clap::value_parser!(u32).range(60..))]
    reservation_seconds: Option<u32>,
    /// Circuits open in all [default: 4096]
    #[arg(long, env = "GYRE_MAX_CIRCUITS", value_name = "N")]
    max_circuits: Option<usize>,
    /// Circuits one peer may have opened at a time [default: 32]
    #[arg(long, env = "GYRE_MAX_CIRCUITS_PER_PEER", value_name = "N")]
    max_circuits_per_peer: Option<usize>,
    /// Seconds a circuit may last [default: 60]
    #[arg(long, env = "GYRE_CIRCUIT_SECONDS", value_name = "SECONDS", value_parser = clap::value_parser!(u32).range(1..))]
    circuit_seconds: Option<u32>,
    /// Bytes a circuit may carry, both ways together [default: 2097152]
    #[arg(long, env = "GYRE_CIRCUIT_BYTES", value_name = "BYTES", value_parser = clap::value_parser!(u64).range(1024..))]
    circuit_bytes: Option<u64>,
    /// Bytes that one address may send through its websockets at once [default: 33554432]
    #[arg(long, env = "GYRE_BYTES_PER_IP", value_name = "BYTES")]
    bytes_per_ip: Option<u64>,
    /// Bytes a second that one address may send after that [default: 131072]
    #[arg(long, env = "GYRE_BYTES_PER_IP_PER_SECOND", value_name = "BYTES", value_parser = clap::value_parser!(u64).range(1024..))]
    bytes_per_ip_per_second: Option<u64>,
    /// Reservations, and circuits, from one address: N at once, then one each SECONDS [default: 600/1]
    #[arg(long, env = "GYRE_RATE_PER_IP", value_name = "N/SECONDS")]
    rate_per_ip: Option<Rate>,
    /// Reservations, and circuits, by one peer: N at once, then one each SECONDS [default: 240/2]
    #[arg(long, env = "GYRE_RATE_PER_PEER", value_name = "N/SECONDS")]
    rate_per_peer: Option<Rate>,
    /// Provider records held in all [default: 1000000]
    #[arg(long, env = "GYRE_MAX_PROVIDER_RECORDS", value_name = "N")]
    max_provider_records: Option<usize>,
    /// Seconds a provider record lasts [default: 7200]
    #[arg(long, env = "GYRE_PROVIDER_SECONDS", value_name = "SECONDS", value_parser = clap::value_parser!(u32).range(60..))]
    provider_seconds: Option<u32>,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum LogFormat {
    /// Lines for people
    Text,
    /// One JSON object a line
    Json,
}

/// Bytes, as people write them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Size(u64);

impl FromStr for Size {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        const WRONG: &str = "expected a number of bytes with or without kB, MB, GB or TB";
        let digits = text.trim_end_matches(|c: char| c.is_ascii_alphabetic());
        let factor = match text[digits.len()..].to_ascii_uppercase().as_str() {
            "" | "B" => 1,
            "K" | "KB" => 1_000,
            "M" | "MB" => 1_000_000,
            "G" | "GB" => 1_000_000_000,
            "T" | "TB" => 1_000_000_000_000,
            _ => return Err(WRONG),
        };
        let number: u64 = digits.trim().parse().map_err(|_| WRONG)?;
        number.checked_mul(factor).map(Self).ok_or(WRONG)
    }
}

#[derive(Debug, Clone, Copy)]
enum ListenArg {
    Localhost(u16),
    At(SocketAddr),
}

impl FromStr for ListenArg {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text.strip_prefix("localhost:") {
            Some(port) => port.parse().map(Self::Localhost).map_err(|_| "not a port"),
            None => text
                .parse()
                .map(Self::At)
                .map_err(|_| "expected localhost:PORT or ADDRESS:PORT"),
        }
    }
}

#[derive(Debug, Clone, Copy)]
enum StunArg {
    Off,
    Auto,
    At(SocketAddr),
}

impl FromStr for StunArg {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "off" => Ok(Self::Off),
            "auto" => Ok(Self::Auto),
            _ => text
                .parse()
                .map(Self::At)
                .map_err(|_| "expected off, auto or ADDRESS:PORT"),
        }
    }
}

#[tokio::main]
async fn main() -> ExitCode {
    let cli = Cli::parse();
    start_log(cli.log_format);
    let signals = match Signals::new() {
        Ok(signals) => signals,
        Err(error) => return fail(&format!("cannot listen for signals: {error}")),
    };
    let config = match config(cli) {
        Ok(config) => config,
        Err(reason) => return fail(reason),
    };
    let data = config.data.clone();
    let mut relay = match relay::start(config).await {
        Ok(relay) => relay,
        Err(error) => return fail(&error.to_string()),
    };
    tracing::info!(peer_id = %relay.peer_id, address = %relay.address(), stun = ?relay.stun_addr, data = %data.display(), "relay started");
    println!("Gyre is at {}", relay.url());
    let in_order = signals.wait(&mut relay).await;
    relay.shutdown().await;
    if in_order {
        ExitCode::SUCCESS
    } else {
        fail("a part of the relay failed")
    }
}

/// Kademlia warns that it knows no peers, which is how a relay on its own is meant to be.
const DEFAULT_LOG: &str = "info,libp2p_kad=error";

fn fail(reason: &str) -> ExitCode {
    eprintln!("gyre-relay: {reason}");
    ExitCode::FAILURE
}

fn start_log(format: LogFormat) {
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new(DEFAULT_LOG));
    let log = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr);
    match format {
        LogFormat::Text => log.init(),
        LogFormat::Json => log.json().init(),
    }
}

fn config(cli: Cli) -> Result<Config, &'static str> {
    let data = cli.data.unwrap_or_else(default_data);
    Ok(Config {
        listen: listen(&cli.listen)?,
        advertise: cli.advertise,
        peers: cli.peer,
        stun: stun(&cli.stun)?,
        stun_urls: cli.stun_url,
        app: cli.app,
        client_address: cli
            .client_address_header
            .map_or_else(ClientAddress::direct, |header| {
                ClientAddress::from_header(header, cli.trusted_proxy)
            }),
        tls: tls(cli.tls, &data),
        limits: limits(&cli.limits),
        keeper: KeeperConfig {
            pins: cli.keeper.pin,
            keep: cli.keeper.keep.map_or(0, |size| size.0),
            store: cli.keeper.keeper_store,
        },
        mailboxes: cli.keeper.mailboxes.map_or(0, |size| size.0),
        puzzle_bits: cli.puzzle_bits,
        denylists: cli.denylist,
        #[cfg(feature = "bridge")]
        bridge: bridge(cli.bridge),
        data,
    })
}

#[cfg(feature = "bridge")]
fn bridge(args: BridgeArgs) -> Option<relay::BridgeConfig> {
    let given = (
        args.smtp_submission,
        args.smtp_passwords,
        args.smtp_dkim_key,
    );
    let submission = match given {
        (Some(listen), Some(passwords), Some(dkim_key)) => Some(relay::SubmissionConfig {
            listen,
            passwords,
            dkim_key,
            dkim_selector: args.smtp_dkim_selector,
            smarthost: args.smtp_smarthost,
            delivery_port: SMTP_PORT,
        }),
        _ => None,
    };
    let limits = relay::BridgeLimits::default();
    Some(relay::BridgeConfig {
        domain: args.smtp_domain?,
        listen: args.smtp_listen,
        aliases: args.smtp_aliases,
        dns: args.smtp_dns,
        copies: args.smtp_copies.map(usize::from),
        patience: Duration::from_secs(args.smtp_patience),
        limits: relay::BridgeLimits {
            max_bytes: args.smtp_max_size.map_or(limits.max_bytes, |size| size.0),
            rate: args.smtp_rate.unwrap_or(limits.rate),
        },
        tls: args
            .smtp_tls_cert
            .zip(args.smtp_tls_key)
            .map(|(certificates, key)| TlsConfig::Files { certificates, key }),
        submission,
    })
}

/// Where servers take mail (RFC 5321, 4.5.4.2).
#[cfg(feature = "bridge")]
const SMTP_PORT: u16 = 25;

fn listen(wanted: &[ListenArg]) -> Result<Listen, &'static str> {
    if let [ListenArg::Localhost(port)] = wanted {
        return Ok(Listen::Localhost(*port));
    }
    let addresses = wanted.iter().map(|one| match one {
        ListenArg::At(address) => Ok(*address),
        ListenArg::Localhost(_) => {
            Err("--listen localhost:PORT stands alone; name 127.0.0.1 and [::1] beside others")
        }
    });
    addresses.collect::<Result<_, _>>().map(Listen::At)
}

fn stun(wanted: &[StunArg]) -> Result<Stun, &'static str> {
    match wanted {
        [StunArg::Off] => Ok(Stun::Off),
        [StunArg::Auto] => Ok(Stun::Auto(relay::DEFAULT_STUN_PORT)),
        _ => {
            let addresses = wanted.iter().map(|one| match one {
                StunArg::At(address) => Ok(*address),
                StunArg::Off | StunArg::Auto => Err("--stun off and --stun auto stand alone"),
            });
            addresses.collect::<Result<_, _>>().map(Stun::At)
        }
    }
}

fn tls(args: TlsArgs, data: &std::path::Path) -> Option<TlsConfig> {
    if let (Some(certificates), Some(key)) = (args.tls_cert, args.tls_key) {
        return Some(TlsConfig::Files { certificates, key });
    }
    (!args.acme_domain.is_empty()).then(|| TlsConfig::Acme {
        domains: args.acme_domain,
        email: args.acme_email,
        cache: args.acme_cache.unwrap_or_else(|| data.join("acme")),
        directory: args.acme_directory,
    })
}

fn limits(args: &LimitArgs) -> Limits {
    let default = Limits::default();
    let seconds =
        |given: Option<u32>, default| given.map_or(default, |s| Duration::from_secs(s.into()));
    Limits {
        max_connections: args.max_connections.unwrap_or(default.max_connections),
        max_connections_per_ip: args
            .max_connections_per_ip
            .unwrap_or(default.max_connections_per_ip),
        max_reservations: args.max_reservations.unwrap_or(default.max_reservations),
        max_reservations_per_peer: args
            .max_reservations_per_peer
            .unwrap_or(default.max_reservations_per_peer),
        reservation_duration: seconds(args.reservation_seconds, default.reservation_duration),
        max_circuits: args.max_circuits.unwrap_or(default.max_circuits),
        max_circuits_per_peer: args
            .max_circuits_per_peer
            .unwrap_or(default.max_circuits_per_peer),
        circuit_duration: seconds(args.circuit_seconds, default.circuit_duration),
        circuit_bytes: args.circuit_bytes.unwrap_or(default.circuit_bytes),
        bytes_per_ip: ByteRate {
            burst: args.bytes_per_ip.unwrap_or(default.bytes_per_ip.burst),
            per_second: args
                .bytes_per_ip_per_second
                .unwrap_or(default.bytes_per_ip.per_second),
        },
        rate_per_ip: args.rate_per_ip.unwrap_or(default.rate_per_ip),
        rate_per_peer: args.rate_per_peer.unwrap_or(default.rate_per_peer),
        max_provider_records: args
            .max_provider_records
            .unwrap_or(default.max_provider_records),
        provider_ttl: seconds(args.provider_seconds, default.provider_ttl),
    }
}

fn network(text: &str) -> Result<IpNet, String> {
    let network = text
        .parse::<IpNet>()
        .or_else(|_| text.parse::<std::net::IpAddr>().map(IpNet::from));
    network.map_err(|_| "expected an address or NETWORK/BITS".to_owned())
}

fn default_data() -> PathBuf {
    let variable = |name: &str| {
        std::env::var_os(name)
            .filter(|value| !value.is_empty())
            .map(PathBuf::from)
    };
    let base = if cfg!(windows) {
        variable("APPDATA")
    } else if cfg!(target_os = "macos") {
        variable("HOME").map(|home| home.join("Library/Application Support"))
    } else {
        variable("XDG_DATA_HOME").or_else(|| variable("HOME").map(|home| home.join(".local/share")))
    };
    base.map_or_else(
        || PathBuf::from("gyre-data"),
        |base| base.join("gyre-relay"),
    )
}

/// The signals that end the relay or make it read its certificates again.
struct Signals {
    #[cfg(unix)]
    terminate: tokio::signal::unix::Signal,
    #[cfg(unix)]
    interrupt: tokio::signal::unix::Signal,
    #[cfg(unix)]
    hang_up: tokio::signal::unix::Signal,
}

impl Signals {
    #[cfg(unix)]
    fn new() -> std::io::Result<Self> {
        use tokio::signal::unix::{SignalKind, signal};
        Ok(Self {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
            hang_up: signal(SignalKind::hangup())?,
        })
    }

    #[cfg(not(unix))]
    fn new() -> std::io::Result<Self> {
        Ok(Self {})
    }

    /// Waits for the end; false when the relay failed by itself.
    #[cfg(unix)]
    async fn wait(mut self, relay: &mut Relay) -> bool {
        loop {
            tokio::select! {
                _ = self.terminate.recv() => return true,
                _ = self.interrupt.recv() => return true,
                _ = self.hang_up.recv() => {
                    relay.reload_certificates();
                    relay.reload_denylists();
                }
                () = relay.failed() => return false,
            }
        }
    }

    /// Waits for the end; false when the relay failed by itself.
    #[cfg(not(unix))]
    async fn wait(self, relay: &mut Relay) -> bool {
        tokio::select! {
            ended = tokio::signal::ctrl_c() => ended.is_ok(),
            () = relay.failed() => false,
        }
    }
}
