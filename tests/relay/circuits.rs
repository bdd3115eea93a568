//! Reservations, circuits, limits, and the index that several relays share.

use std::time::{Duration, Instant};

use futures::{AsyncReadExt, AsyncWriteExt};
use gyre::relay::{ByteRate, Rate, Relay};
use libp2p::Multiaddr;
use libp2p::multiaddr::Protocol;

use crate::client::{Client, ECHO, PATIENCE, Seen, get};
use crate::relay;

fn through(relay: &Relay, to: &Client) -> Multiaddr {
    relay
        .address()
        .clone()
        .with(Protocol::P2pCircuit)
        .with(Protocol::P2p(to.peer_id))
}

async fn metric(relay: &Relay, name: &str) -> i64 {
    let text = get(relay.http_addr, "localhost", "/metrics", "").await;
    let line = text.lines().find_map(|line| {
        line.strip_prefix("gyre_relay_")?
            .strip_prefix(name)?
            .strip_prefix(' ')
    });
    line.unwrap_or_else(|| panic!("no {name} in {text}"))
        .trim()
        .parse()
        .unwrap()
}

async fn until_metric(relay: &Relay, name: &str, wanted: i64) {
    let reached = async {
        while metric(relay, name).await != wanted {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    tokio::time::timeout(PATIENCE, reached)
        .await
        .unwrap_or_else(|_| panic!("{name} never became {wanted}"));
}

async fn echo(from: &mut Client, to: &Client, bytes: usize) -> std::io::Result<Vec<u8>> {
    let sent: Vec<u8> = (0..bytes).map(|n| n as u8).collect();
    let stream = from
        .streams
        .open_stream(to.peer_id, ECHO)
        .await
        .map_err(std::io::Error::other)?;
    let (mut read, mut write) = stream.split();
    let writing = async {
        write.write_all(&sent).await?;
        write.close().await
    };
    let mut back = Vec::new();
    let both = async { futures::try_join!(writing, read.read_to_end(&mut back)) };
    tokio::time::timeout(PATIENCE, both)
        .await
        .map_err(std::io::Error::other)??;
    if back == sent {
        Ok(back)
    } else {
        Err(std::io::ErrorKind::UnexpectedEof.into())
    }
}

#[tokio::test]
async fn a_client_learns_who_the_relay_is_and_its_own_address() {
    let (relay, _data) = relay(|_| ()).await;
    let mut client = Client::new();
    client.connect(relay.address()).await;
    let info = client
        .until("identify", |seen| {
            if let Seen::Identified(info) = seen {
                Some(info)
            } else {
                None
            }
        })
        .await;
    assert_eq!(info.protocol_version, gyre::relay::PROTOCOL_VERSION);
    assert!(info.agent_version.starts_with("gyre-relay/"));
    for protocol in [
        "/gyre/kad/1.0.0",
        "/libp2p/circuit/relay/0.2.0/hop",
        "/ipfs/ping/1.0.0",
    ] {
        assert!(
            info.protocols
                .iter()
                .any(|known| known.as_ref() == protocol),
            "{protocol}"
        );
    }
    assert_eq!(
        info.observed_addr.iter().next(),
        Some(Protocol::Ip4([127, 0, 0, 1].into()))
    );
    assert!(
        info.observed_addr
            .iter()
            .any(|part| matches!(part, Protocol::Ws(_)))
    );
    assert_eq!(metric(&relay, "connections_open").await, 1);
    drop(client);
    until_metric(&relay, "connections_open", 0).await;
    relay.shutdown().await;
}

#[tokio::test]
async fn two_clients_echo_through_a_circuit() {
    let (relay, _data) = relay(|_| ()).await;
    let listener = Client::reserved(relay.address()).await;
    let mut dialer = Client::new();
    dialer.connect(&through(&relay, &listener)).await;
    let back = echo(&mut dialer, &listener, 20_000).await.unwrap();
    assert_eq!(back.len(), 20_000);
    assert_eq!(metric(&relay, "reservations_open").await, 1);
    assert_eq!(metric(&relay, "circuits_open").await, 1);
    assert_eq!(metric(&relay, "circuits_total").await, 1);
    drop(dialer);
    until_metric(&relay, "circuits_open", 0).await;
    drop(listener);
    until_metric(&relay, "reservations_open", 0).await;
    relay.shutdown().await;
}

#[tokio::test]
async fn a_circuit_carries_no_more_than_its_bytes() {
    let (relay, _data) = relay(|config| config.limits.circuit_bytes = 64 << 10).await;
    let listener = Client::reserved(relay.address()).await;
    let mut dialer = Client::new();
    dialer.connect(&through(&relay, &listener)).await;
    assert_eq!(
        echo(&mut dialer, &listener, 8 << 10).await.unwrap().len(),
        8 << 10
    );
    assert!(echo(&mut dialer, &listener, 200 << 10).await.is_err());
    until_metric(&relay, "circuits_open", 0).await;
    relay.shutdown().await;
}

#[tokio::test]
async fn an_address_is_read_at_its_rate_after_its_burst() {
    let (relay, _data) = relay(|config| {
        config.limits.bytes_per_ip = ByteRate {
            burst: 100 << 10,
            per_second: 100 << 10,
        };
    })
    .await;
    let listener = Client::reserved(relay.address()).await;
    let mut dialer = Client::new();
    dialer.connect(&through(&relay, &listener)).await;
    let began = Instant::now();
    // There and back, both from one address: 400 KiB, of which 300 come at the rate; one message may be ahead of it.
    let back = echo(&mut dialer, &listener, 200 << 10).await.unwrap();
    assert_eq!(back.len(), 200 << 10, "nothing is refused");
    let took = began.elapsed();
    assert!(took >= Duration::from_secs(2), "took {took:?}");
    relay.shutdown().await;
}

#[tokio::test]
async fn a_circuit_ends_after_its_time() {
    let (relay, _data) =
        relay(|config| config.limits.circuit_duration = Duration::from_secs(1)).await;
    let listener = Client::reserved(relay.address()).await;
    let mut dialer = Client::new();
    dialer.connect(&through(&relay, &listener)).await;
    let gone =
        |seen| matches!(seen, Seen::Disconnected(peer) if peer == listener.peer_id).then_some(());
    dialer.until("the end of the circuit", gone).await;
    relay.shutdown().await;
}

#[tokio::test]
async fn one_peer_has_no_more_circuits_than_allowed() {
    let (relay, _data) = relay(|config| config.limits.max_circuits_per_peer = 2).await;
    let mut dialer = Client::new();
    let mut listeners = Vec::new();
    for _ in 0..3 {
        listeners.push(Client::reserved(relay.address()).await);
    }
    dialer.connect(&through(&relay, &listeners[0])).await;
    dialer.connect(&through(&relay, &listeners[1])).await;
    dialer.dial(through(&relay, &listeners[2]));
    let refused = |seen| {
        if let Seen::Refused(error) = seen {
            Some(error)
        } else {
            None
        }
    };
    let error = dialer.until("a refusal", refused).await;
    assert!(error.contains("ResourceLimitExceeded"), "{error}");
    assert_eq!(metric(&relay, "circuits_denied_total").await, 1);
    relay.shutdown().await;
}

#[tokio::test]
async fn reservations_end_at_the_limit() {
    let (relay, _data) = relay(|config| config.limits.max_reservations = 1).await;
    let _first = Client::reserved(relay.address()).await;
    let mut second = Client::new();
    second.listen(relay.address());
    second
        .until("a refusal", |seen| {
            matches!(seen, Seen::ListenerEnded).then_some(())
        })
        .await;
    assert_eq!(metric(&relay, "reservations_denied_total").await, 1);
    relay.shutdown().await;
}

#[tokio::test]
async fn one_address_asks_no_faster_than_allowed() {
    let (relay, _data) =
        relay(|config| config.limits.rate_per_ip = Rate::new(2, Duration::from_secs(600))).await;
    let _first = Client::reserved(relay.address()).await;
    let _second = Client::reserved(relay.address()).await;
    let mut third = Client::new();
    third.listen(relay.address());
    third
        .until("a refusal", |seen| {
            matches!(seen, Seen::ListenerEnded).then_some(())
        })
        .await;
    relay.shutdown().await;
}

#[tokio::test]
async fn a_circuit_to_nobody_is_refused() {
    let (relay, _data) = relay(|_| ()).await;
    let (mut dialer, absent) = (Client::new(), Client::new());
    dialer.dial(through(&relay, &absent));
    let error = dialer
        .until("a refusal", |seen| {
            if let Seen::Refused(error) = seen {
                Some(error)
            } else {
                None
            }
        })
        .await;
    assert!(error.contains("NoReservation"), "{error}");
    relay.shutdown().await;
}

#[tokio::test]
async fn what_is_announced_at_one_relay_is_found_through_another() {
    let (one, _one) = relay(|_| ()).await;
    let (two, _two) = relay(|config| config.peers = vec![one.address().clone()]).await;
    one.link(two.address()).await.unwrap();
    until_metric(&one, "linked_relays", 1).await;
    until_metric(&two, "linked_relays", 1).await;
    let told = get(one.http_addr, "localhost", "/bootstrap.json", "").await;
    assert!(told.contains(&two.address().to_string()), "{told}");

    let mut holder = Client::reserved(one.address()).await;
    holder.connect(one.address()).await;
    holder.announce(b"blob", through(&one, &holder));
    assert!(
        holder
            .until("the announcement", |seen| {
                if let Seen::Announced(ok) = seen {
                    Some(ok)
                } else {
                    None
                }
            })
            .await
    );

    let mut seeker = Client::new();
    seeker.connect(two.address()).await;
    assert_eq!(seeker.find(b"blob").await, [holder.peer_id]);
    assert!(seeker.find(b"another").await.is_empty());
    let mut routed = seeker.closest().await;
    routed.sort();
    let mut relays = vec![one.peer_id, two.peer_id];
    relays.sort();
    assert_eq!(routed, relays, "only relays are in the routing tables");
    one.shutdown().await;
    two.shutdown().await;
}

#[tokio::test]
async fn a_link_comes_back_after_a_restart() {
    let (one, one_data) = relay(|_| ()).await;
    let (address, port) = (one.address().clone(), one.http_addr);
    let (two, _two) = relay(|config| config.peers = vec![address]).await;
    until_metric(&two, "linked_relays", 1).await;
    one.shutdown().await;
    until_metric(&two, "linked_relays", 0).await;
    let again = gyre::relay::Config {
        listen: gyre::relay::Listen::At(vec![port]),
        ..crate::config(one_data.path())
    };
    let one = gyre::relay::start(again).await.unwrap();
    until_metric(&two, "linked_relays", 1).await;
    one.shutdown().await;
    two.shutdown().await;
}

#[tokio::test]
async fn a_linked_relay_must_be_named_with_its_id() {
    let (relay, _data) = relay(|_| ()).await;
    let bare: Multiaddr = "/ip4/127.0.0.1/tcp/1/ws".parse().unwrap();
    assert!(
        matches!(relay.link(&bare).await, Err(gyre::relay::Error::PeerAddress(address)) if address == bare)
    );
    relay.shutdown().await;
}
