//! The publisher's command line: flags, progress and exit codes. What they mean is decided in [`gyre::cli`].

use std::io::{IsTerminal, Write};
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use clap::{Args, Parser, Subcommand, ValueEnum};
use gyre::cli::{self, Address, Key, Report, Setup};
use gyre::node::{Fetching, PublishOptions, Publishing};
use gyre::proto::custody::region::PUZZLE_BITS;
use gyre::proto::link::blob_cid;
use gyre::proto::manifest::diff::Diff;
use gyre::proto::name::validity::Validity;
use gyre::proto::site::Answer;
use libp2p::Multiaddr;
use tracing_subscriber::EnvFilter;

/// Publishes folders as web sites that readers pass on, and fetches such sites.
#[derive(Debug, Parser)]
#[command(name = "gyre", version, max_term_width = 110)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Publish a folder; its address is the only thing on the standard output
    Publish {
        /// The folder
        dir: PathBuf,
        /// What the site is called
        #[arg(long, value_name = "TEXT", default_value = "")]
        name: String,
        /// File of the site's key, made if it is not there: the address stays the same for every version. It may hold the 24 words
        /// of a person instead
        #[arg(long, value_name = "FILE")]
        key: Option<PathBuf>,
        /// With 24 words: which of the person's sites
        #[arg(long, value_name = "NUMBER", default_value_t = 0, requires = "key")]
        site: u32,
        /// The version before, where it is not the one that the key's name leads to
        #[arg(long, value_name = "ADDRESS")]
        previous: Option<Address>,
        /// File that is shown where there is none, for pages that route by themselves
        #[arg(long, value_name = "FILE")]
        spa: Option<String>,
        /// File that stands for its folder [default: index.html]
        #[arg(long, value_name = "NAME", default_value = "")]
        index: String,
        /// Take along files and folders whose name begins with a dot
        #[arg(long)]
        hidden: bool,
        /// Say in the manifest when it was made; then the same files have another address each time
        #[arg(long)]
        dated: bool,
        /// Stay and serve: until another peer has everything, or always
        #[arg(long, value_enum, num_args = 0..=1, default_missing_value = "held", value_name = "UNTIL")]
        serve: Option<Serve>,
        /// Ask keepers to keep the site, and stay until it is held; with ADDRESS, as /…/p2p/ID, this one first
        #[arg(long, num_args = 0..=1, value_name = "ADDRESS")]
        keeper: Option<Option<Multiaddr>>,
        /// Say what came of it as one JSON object on the standard output instead of the address
        #[arg(long)]
        json: bool,
        #[command(flatten)]
        network: Network,
    },
    /// Fetch a site into a folder that is empty or not there
    Fetch {
        /// The site
        address: Address,
        /// The folder
        dir: PathBuf,
        #[command(flatten)]
        network: Network,
    },
    /// Tell what an address leads to
    Resolve {
        /// The site
        address: Address,
        /// A path in it, as a browser asks for it
        path: Option<String>,
        #[command(flatten)]
        network: Network,
    },
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Serve {
    Held,
    Always,
}

#[derive(Debug, Args)]
struct Network {
    /// Relay to find others at, as /…/ws/p2p/ID (repeat for several)
    #[arg(
        long,
        env = "GYRE_RELAYS",
        value_name = "MULTIADDR",
        value_delimiter = ','
    )]
    relay: Vec<Multiaddr>,
    /// Peer to link to at the start, as /…/ws/p2p/ID (repeat for several)
    #[arg(
        long,
        env = "GYRE_NODE_PEERS",
        value_name = "MULTIADDR",
        value_delimiter = ','
    )]
    peer: Vec<Multiaddr>,
    /// Where to listen for others, as /ip4/0.0.0.0/tcp/PORT/ws (repeat for several)
    #[arg(
        long,
        env = "GYRE_NODE_LISTEN",
        value_name = "MULTIADDR",
        value_delimiter = ','
    )]
    listen: Vec<Multiaddr>,
    /// Where others reach that, if it is elsewhere (repeat for several)
    #[arg(
        long,
        env = "GYRE_NODE_ANNOUNCE",
        value_name = "MULTIADDR",
        value_delimiter = ','
    )]
    announce: Vec<Multiaddr>,
    /// Work that the ids of those who keep mail must show in this network, in bits, as its relays say
    #[arg(long, env = "GYRE_PUZZLE_BITS", value_name = "BITS", default_value_t = PUZZLE_BITS, value_parser = clap::value_parser!(u8).range(..=32))]
    puzzle_bits: u8,
    /// Denylist (.deny, IPFS compact format) of what is neither fetched nor served (repeat for several)
    #[arg(
        long,
        env = "GYRE_DENYLISTS",
        value_name = "FILE",
        value_delimiter = ','
    )]
    denylist: Vec<PathBuf>,
    /// File that keeps what is published and fetched [default: gyre/store.redb in the user's data directory]
    #[arg(long, env = "GYRE_STORE", value_name = "FILE")]
    store: Option<PathBuf>,
}

impl Network {
    fn setup(self) -> Setup {
        Setup {
            store: self.store.unwrap_or_else(default_store),
            relays: self.relay,
            peers: self.peer,
            listen: self.listen,
            announce: self.announce,
            puzzle_bits: self.puzzle_bits,
            denylists: self.denylist,
        }
    }
}

/// How long a relay may take where it is needed before anything is done.
const JOIN_LIMIT: Duration = Duration::from_secs(60);

fn main() -> ExitCode {
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("error"));
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .init();
    let cli = Cli::parse();
    let runtime = match tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
    {
        Ok(runtime) => runtime,
        Err(error) => return fail(&error),
    };
    let local = tokio::task::LocalSet::new();
    let done = local.block_on(&runtime, async {
        tokio::select! {
            done = run(cli.command) => done,
            _ = tokio::signal::ctrl_c() => Err(cli::Error::Usage("Stopped.".into())),
        }
    });
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => fail(&error),
    }
}

async fn run(command: Command) -> cli::Result<()> {
    let mut terminal = Terminal::default();
    match command {
        Command::Publish {
            dir,
            name,
            key,
            site,
            previous,
            spa,
            index,
            hidden,
            dated,
            serve,
            keeper,
            json,
            network,
        } => {
            // Whoever asks a keeper has to stay until it has everything.
            let serve = serve.or(keeper.as_ref().map(|_| Serve::Held));
            if serve.is_some() && network.relay.is_empty() {
                let words = "Without --relay nobody can find what is served.";
                return Err(cli::Error::Usage(words.into()));
            }
            let key = key.map(|file| Key::open(&file, site)).transpose()?;
            if let Some(key) = key.as_ref().filter(|key| key.is_new) {
                terminal.line(&format!(
                    "A new key is in {}: whoever has it can publish, and without it nobody can.",
                    key.path.display()
                ));
            }
            let has_relays = !network.relay.is_empty();
            let node = cli::start(network.setup()).await?;
            if has_relays && (key.is_some() || previous.is_some()) {
                let joining = cli::join(&node, &mut terminal);
                if tokio::time::timeout(JOIN_LIMIT, joining).await.is_err() {
                    return Err(cli::Error::Usage("No relay can be reached.".into()));
                }
            }
            let previous = match (&previous, &key) {
                (Some(address), _) => Some(cli::resolve(&node, address).await?.0),
                (None, Some(key)) => cli::version_before(&node, key).await?,
                (None, None) => None,
            };
            let options = PublishOptions {
                name,
                previous,
                index,
                fallback: spa,
                dated,
                ..PublishOptions::default()
            };
            let published = cli::publish(&node, &dir, hidden, options, &mut terminal).await?;
            let done = published.done;
            terminal.line(&format!(
                "{} files, {} bytes; new: {} files, {} bytes.",
                done.files, done.bytes, done.new_files, done.new_bytes
            ));
            if let Some(previous) = previous
                && let Ok(before) = node.site(previous).await
            {
                let diff = Diff::between(before.manifest(), &published.manifest);
                terminal.line(&cli::describe(&diff));
            }
            let head = match &key {
                None => None,
                Some(key) => {
                    let head = cli::name(&node, key, &published.manifest).await?;
                    terminal.line(&format!(
                        "Version {} is {}; {} servers of the index know. The address holds until {}: publish or serve again before.",
                        head.sequence,
                        head.value,
                        head.holders,
                        cli::date(head.valid_until),
                    ));
                    if let Some(previous) = previous.filter(|_| published.changed) {
                        cli::replaced(&node, previous).await?;
                    }
                    Some(head)
                }
            };
            let address = match &head {
                None => published.manifest.cid(),
                Some(head) => head.name.to_string(),
            };
            if !json {
                println!("{address}");
            }
            let mut holders = 0;
            let mut kept = None;
            match serve {
                None => terminal.line("Stored here only: nobody else has it yet. With --serve it stays here for others to fetch."),
                Some(_) => {
                    cli::join(&node, &mut terminal).await;
                    if let Some(keeper) = keeper {
                        let at: Vec<_> = keeper.into_iter().collect();
                        let wish = address.parse()?;
                        let said = cli::ask_keepers(&node, wish, &at, &mut terminal).await?;
                        kept = Some(said);
                    }
                    terminal.line("Serving. Stay until somebody else has everything.");
                    holders = cli::until_held(&node, &published.manifest).await?;
                    terminal.line(&format!("Published: {holders} other peer has everything."));
                }
            }
            if json {
                println!(
                    "{}",
                    serde_json::json!({
                        "address": address,
                        "cid": published.manifest.cid(),
                        "name": head.as_ref().map(|head| head.name.to_string()),
                        "sequence": head.as_ref().map(|head| head.sequence),
                        "validUntil": head.as_ref().map(|head| head.valid_until),
                        "files": done.files,
                        "bytes": done.bytes,
                        "newFiles": done.new_files,
                        "newBytes": done.new_bytes,
                        "changed": published.changed,
                        "kept": kept,
                        "holders": holders,
                        "published": holders > 0,
                    })
                );
            }
            if serve == Some(Serve::Always) {
                match &key {
                    Some(key) => cli::renew(&node, key, &published.manifest).await?,
                    None => std::future::pending::<()>().await,
                }
            }
            node.stop().await;
        }
        Command::Fetch {
            address,
            dir,
            network,
        } => {
            let node = cli::start(network.setup()).await?;
            let site = cli::open(&node, &address).await?;
            cli::fetch(&site, &dir, &mut terminal).await?;
            let manifest = site.manifest();
            terminal.line(&format!(
                "{} files, {} bytes in {}.",
                manifest.len(),
                manifest.size(),
                dir.display()
            ));
            node.stop().await;
        }
        Command::Resolve {
            address,
            path,
            network,
        } => {
            let node = cli::start(network.setup()).await?;
            let (version, head) = cli::resolve(&node, &address).await?;
            let site = node.site(version).await?;
            match path {
                Some(path) => println!("{}", answer(&site.resolve(&path))),
                None => {
                    let manifest = site.manifest();
                    if let Some(head) = head {
                        let until = Validity::from_unix_millis(head.valid_until);
                        println!(
                            "address {}\nsequence {}\nvalid-until {until}",
                            head.name, head.sequence
                        );
                    }
                    println!("manifest {}", manifest.cid());
                    if !manifest.extra().name.is_empty() {
                        println!("name {}", manifest.extra().name);
                    }
                    println!("files {}\nbytes {}", manifest.len(), manifest.size());
                    if manifest.extra().time > 0 {
                        println!("time {}", manifest.extra().time);
                    }
                    if let Some(previous) = manifest.extra().previous {
                        println!("previous {}", gyre::proto::link::manifest_cid(previous));
                    }
                }
            }
            node.stop().await;
        }
    }
    Ok(())
}

fn answer(answer: &Answer<'_>) -> String {
    match answer {
        Answer::File { status, entry } => format!(
            "{status} {} {} {} {}",
            entry.path,
            entry.media_type,
            entry.size,
            blob_cid(entry.blob)
        ),
        Answer::Redirect { status, location } => format!("{status} {location}"),
        Answer::NotFound => "404".into(),
        Answer::BadRequest => "400".into(),
    }
}

/// Where things are kept unless the person says otherwise.
fn default_store() -> PathBuf {
    let set = |name| std::env::var_os(name).filter(|value| !value.is_empty());
    let data = set("XDG_DATA_HOME")
        .or_else(|| set("LOCALAPPDATA"))
        .map(PathBuf::from)
        .or_else(|| set("HOME").map(|home| PathBuf::from(home).join(".local/share")));
    data.unwrap_or_else(|| PathBuf::from("."))
        .join("gyre")
        .join("store.redb")
}

fn fail(error: &dyn std::fmt::Display) -> ExitCode {
    eprintln!("gyre: {error}");
    ExitCode::FAILURE
}

/// Progress on the standard error: one line that changes on a terminal, nothing but the end elsewhere.
#[derive(Debug, Default)]
struct Terminal {
    progress: String,
}

impl Terminal {
    fn line(&mut self, words: &str) {
        self.show(String::new());
        eprintln!("{words}");
    }

    fn show(&mut self, progress: String) {
        if progress != self.progress && std::io::stderr().is_terminal() {
            eprint!("\r\x1b[K{progress}");
            let _ = std::io::stderr().flush();
        }
        self.progress = progress;
    }
}

impl Report for Terminal {
    fn publishing(&mut self, progress: Publishing) {
        self.show(format!(
            "{} files, {} MB",
            progress.files,
            progress.bytes / 1_000_000
        ));
    }

    fn fetching(&mut self, progress: Fetching) {
        self.show(format!(
            "{} of {} files, {} of {} MB",
            progress.files,
            progress.all_files,
            progress.bytes / 1_000_000,
            progress.all_bytes / 1_000_000
        ));
    }

    fn say(&mut self, words: &str) {
        self.line(words);
    }
}
