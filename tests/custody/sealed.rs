//! What custodians hold says nothing of who wrote, or what: their stores and the memory of a relay are searched for it.

use std::io::{BufRead, BufReader, Read, Seek, SeekFrom};
use std::net::TcpStream;
use std::process::{Child, Command, Stdio};

use bytes::Bytes;
use gyre::net::custody::name_of;
use gyre::proto::custody::PeerId;
use gyre::proto::custody::tag::MailboxSecret;
use gyre::proto::identity::chain::Chain;
use gyre::proto::identity::op::Act;
use gyre::proto::identity::owner::Owner;
use gyre::proto::identity::{Id, Key};
use gyre::proto::keys::RootSecret;
use gyre::proto::mail::Suite;
use gyre::proto::mail::kem::Entropy;
use gyre::proto::mail::message::{Body, Letter, MessageId};
use gyre::proto::mail::prekey::Prekeys;
use gyre::proto::mail::record::Recipient;
use gyre::store::memory::MemoryStore;
use libp2p::Multiaddr;

use super::kit::{Scene, run, until};
use super::mail::{Mail, letter, unix};
use super::{comes_for, leave_at, node};

const PLAINTEXT: &[u8] =
    b"Subject: Nobody in between reads this\r\n\r\nmeet me where the two old rivers part\r\n";

struct Person {
    root: RootSecret,
    chain: Chain,
}

impl Person {
    fn new(seed: u8) -> Self {
        let root = RootSecret::new([seed; 32]);
        let owner = Owner::new(&root, 0);
        let mut chain = owner.begin();
        let device = Act::AddDevice(Key::from(root.device_key(0, 0).name()));
        owner.act(&mut chain, unix() - 60, device).unwrap();
        Self { root, chain }
    }

    fn id(&self) -> Id {
        self.chain.id()
    }
}

/// A real letter, sealed, and everything that must not be found.
fn sealed(mailbox: &MailboxSecret) -> (gyre::proto::custody::deposit::Deposit, Vec<Vec<u8>>) {
    let (alice, bob) = (Person::new(101), Person::new(102));
    let letter_to_bob = Letter {
        from: alice.id(),
        id: MessageId([0xd3; 16]),
        thread: MessageId([0xd4; 16]),
        sequence: 1,
        time_millis: unix() * 1000,
        body: Body::Here(PLAINTEXT.to_vec()),
        enclosures: Vec::new(),
        receipts: Vec::new(),
        notes: Vec::new(),
    };
    let week = gyre::proto::mail::Week::of(unix());
    let keys = Prekeys::new(&bob.root.mailbox_secret(0, 0), unix());
    let to = Recipient {
        id: bob.id(),
        suite: Suite::X_WING,
        week,
        key: keys.secret(week).unwrap().public(),
    };
    let device = alice.root.device_key(0, 0);
    let envelope = letter_to_bob
        .seal(&device, &to, Entropy::new([5; 64]))
        .unwrap();
    let bytes = Bytes::copy_from_slice(envelope.bytes());
    let secrets = vec![
        PLAINTEXT[..40].to_vec(),
        PLAINTEXT[42..].to_vec(),
        alice.id().0.to_vec(),
        device.name().0.to_vec(),
        bob.id().0.to_vec(),
        vec![0xd3; 16],
    ];
    (letter(mailbox, bytes, 0), secrets)
}

fn find(hay: &[u8], needle: &[u8]) -> bool {
    hay.windows(needle.len()).any(|window| window == needle)
}

fn assert_says_nothing(place: &str, bytes: &[u8], secrets: &[Vec<u8>]) {
    for (number, secret) in secrets.iter().enumerate() {
        assert!(!find(bytes, secret), "{place} holds secret {number}");
    }
}

#[test]
fn a_store_says_nothing_of_sender_and_content() {
    run(async |scene| {
        let store = MemoryStore::new();
        let _keeper = node(&scene).on(&store).await;
        let mailbox = MailboxSecret::new([0x61; 32]);
        let (sent, secrets) = sealed(&mailbox);
        leave_at(&scene, &sent, &[], 1).await;
        let kept = store.all_kept();
        assert_eq!(kept.len(), 1);
        let whole: Vec<u8> = kept
            .iter()
            .flat_map(|one| [&one.key[..], &one.head, &one.body].concat())
            .collect();
        assert!(find(&whole, &sent.envelope()[..64]), "the search works");
        assert_says_nothing("a store", &whole, &secrets);
    });
}

/// The relay as its operators run it, in a process of its own.
struct RelayProcess {
    child: Child,
    address: Multiaddr,
    key: PeerId,
}

impl RelayProcess {
    fn start(data: &std::path::Path) -> Self {
        let mut child = Command::new(env!("CARGO_BIN_EXE_gyre-relay"))
            .args([
                "--listen",
                "127.0.0.1:0",
                "--stun",
                "off",
                "--puzzle-bits",
                "0",
            ])
            .args(["--mailboxes", "10MB", "--data"])
            .arg(data)
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut line = String::new();
        let out = child.stdout.take().unwrap();
        BufReader::new(out).read_line(&mut line).unwrap();
        let authority = line
            .trim()
            .rsplit("//")
            .next()
            .unwrap()
            .trim_end_matches('/');
        let port: u16 = authority.rsplit(':').next().unwrap().parse().unwrap();
        let mut socket = TcpStream::connect(("127.0.0.1", port)).unwrap();
        let request = format!(
            "GET /bootstrap.json HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nConnection: close\r\n\r\n"
        );
        std::io::Write::write_all(&mut socket, request.as_bytes()).unwrap();
        let mut answer = String::new();
        socket.read_to_string(&mut answer).unwrap();
        let json = answer.split("\r\n\r\n").nth(1).unwrap();
        let told: serde_json::Value = serde_json::from_str(json).unwrap();
        assert_eq!(told["puzzleBits"], 0);
        let address: Multiaddr = told["relays"][0].as_str().unwrap().parse().unwrap();
        let Some(libp2p::multiaddr::Protocol::P2p(peer)) = address.iter().last() else {
            panic!("{address} names no relay");
        };
        let key = gyre::net::custody::key_of(&peer).unwrap();
        assert_eq!(name_of(key), Some(peer));
        Self {
            child,
            address,
            key,
        }
    }

    /// Everything that the process may write to, as it is now.
    #[cfg(target_os = "linux")]
    fn memory(&self) -> Vec<u8> {
        let of = |name: &str| format!("/proc/{}/{name}", self.child.id());
        let maps = std::fs::read_to_string(of("maps")).unwrap();
        let mut memory = std::fs::File::open(of("mem")).unwrap();
        let mut all = Vec::new();
        for line in maps.lines() {
            let mut fields = line.split(' ');
            let (range, rights) = (fields.next().unwrap(), fields.next().unwrap());
            if !rights.starts_with("rw") {
                continue;
            }
            let (from, to) = range.split_once('-').unwrap();
            let at = |text| u64::from_str_radix(text, 16).unwrap();
            let mut part = vec![0; (at(to) - at(from)) as usize];
            memory.seek(SeekFrom::Start(at(from))).unwrap();
            // A guard page or one that went meanwhile.
            if memory.read_exact(&mut part).is_ok() {
                all.extend(part);
            }
        }
        all
    }
}

impl Drop for RelayProcess {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[cfg(target_os = "linux")]
#[test]
fn the_memory_and_the_disk_of_a_relay_say_nothing_of_sender_and_content() {
    run(async |scene: Scene| {
        let data = tempfile::tempdir().unwrap();
        let relay = RelayProcess::start(data.path());
        let at_relay =
            |config: &mut gyre::node::Config| config.relays = vec![relay.address.clone()];
        let mailbox = MailboxSecret::new([0x62; 32]);
        let (sent, secrets) = sealed(&mailbox);
        let sender = node(&scene).with(at_relay).await;
        let mail = Mail::at(&*sender).await;
        mail.send(&sent, &[relay.key]);
        let relayed = || mail.seen.borrow().receipts.get(&sent.id()).copied();
        until("the relay has signed", || {
            relayed().is_some_and(|(_, relays)| relays == 1)
        })
        .await;
        let memory = relay.memory();
        assert!(memory.len() > 1_000_000);
        assert!(find(&memory, &sent.id().0), "the search works");
        assert_says_nothing("a relay's memory", &memory, &secrets);
        sender.stop().await;

        let reader = node(&scene).with(at_relay).await;
        let read = Mail::at(&*reader).await;
        read.read(&mailbox, &[relay.key]);
        until("it is there", || read.has(&sent)).await;
        assert_says_nothing("a relay's memory", &relay.memory(), &secrets);
        reader.stop().await;
        drop(relay);
        let disk = std::fs::read(data.path().join("mailboxes.redb")).unwrap();
        assert!(find(&disk, &sent.envelope()[..64]), "the search works");
        assert_says_nothing("a relay's disk", &disk, &secrets);
    });
}

#[test]
fn what_comes_out_opens_for_its_reader_alone() {
    run(async |scene| {
        let _keeper = node(&scene).await;
        let mailbox = MailboxSecret::new([0x63; 32]);
        let (sent, _) = sealed(&mailbox);
        leave_at(&scene, &sent, &[], 1).await;
        let read = comes_for(&scene, &mailbox, &[], &sent).await;
        let seen = read.seen.borrow();
        let bytes = seen.letters[&sent.id()].0.envelope().clone();
        let envelope = gyre::proto::mail::envelope::Envelope::parse(bytes).unwrap();
        let (alice, bob) = (Person::new(101), Person::new(102));
        let keys = |person: &Person| Prekeys::new(&person.root.mailbox_secret(0, 0), unix());
        let opened = envelope.open(bob.id(), &keys(&bob), Suite::X_WING).unwrap();
        let message = opened.verify(&alice.chain).unwrap();
        assert_eq!(message.letter().body, Body::Here(PLAINTEXT.to_vec()));
        let other = envelope.open(alice.id(), &keys(&alice), Suite::X_WING);
        assert!(other.is_err());
    });
}
