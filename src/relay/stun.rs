//! A STUN responder (RFC 8489): tells a browser the address and port its datagrams come from.
//!
//! Only the Binding request is answered, with XOR-MAPPED-ADDRESS alone and a FINGERPRINT when the request had one, so that the
//! answer stays as small as the protocol allows: 32 bytes for IPv4 to a request of 20, which is 60 to 48 with the headers of IP
//! and UDP. Whatever is not a well-formed Binding request gets no answer at all. An address that asks too often, and everybody
//! together above a ceiling, are not answered either, so the responder is of no use for flooding somebody else.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::net::UdpSocket;
use tokio::sync::watch;

use super::metrics::Metrics;
use super::rate::{Buckets, Rate, address_group};
use super::stopped;

/// Answers on `socket` until `stop` says so.
pub(crate) async fn serve(
    socket: UdpSocket,
    metrics: Arc<Metrics>,
    mut stop: watch::Receiver<bool>,
) {
    let mut gate = Gate::new();
    let mut datagram = [0u8; MAX_REQUEST];
    loop {
        let received = tokio::select! {
            received = socket.recv_from(&mut datagram) => received,
            () = stopped(&mut stop) => return,
        };
        let (length, from) = match received {
            Ok(received) => received,
            // An ICMP error of an earlier answer surfaces here; anything else must not become a busy loop.
            Err(error) => {
                tracing::debug!(%error, "receiving a STUN datagram failed");
                tokio::time::sleep(Duration::from_millis(10)).await;
                continue;
            }
        };
        let from = SocketAddr::new(from.ip().to_canonical(), from.port());
        match answer(&datagram[..length], from) {
            None => {
                metrics.stun_ignored.inc();
            }
            Some(_) if from.port() == 0 || !gate.admit(from.ip(), Instant::now()) => {
                metrics.stun_limited.inc();
            }
            Some(answer) => {
                metrics.stun_answered.inc();
                if let Err(error) = send(&socket, &answer, from).await {
                    tracing::debug!(%error, "sending a STUN answer failed");
                }
            }
        }
    }
}

/// Builds the answer to one datagram; `None` for everything that is not a Binding request.
pub fn answer(datagram: &[u8], from: SocketAddr) -> Option<Vec<u8>> {
    let request = Request::parse(datagram)?;
    let mut answer = Vec::with_capacity(MAX_ANSWER);
    answer.extend_from_slice(&BINDING_SUCCESS.to_be_bytes());
    answer.extend_from_slice(&[0, 0]);
    answer.extend_from_slice(&MAGIC_COOKIE.to_be_bytes());
    answer.extend_from_slice(&request.transaction);
    write_xor_mapped_address(&mut answer, from, &request.transaction);
    if request.fingerprint {
        let with_fingerprint = answer.len() - HEADER + FINGERPRINT_BYTES;
        set_length(&mut answer, with_fingerprint);
        let checksum = crc32(&answer) ^ FINGERPRINT_XOR;
        answer.extend_from_slice(&FINGERPRINT.to_be_bytes());
        answer.extend_from_slice(&4u16.to_be_bytes());
        answer.extend_from_slice(&checksum.to_be_bytes());
    }
    let length = answer.len() - HEADER;
    set_length(&mut answer, length);
    Some(answer)
}

struct Request {
    transaction: [u8; 12],
    fingerprint: bool,
}

impl Request {
    fn parse(datagram: &[u8]) -> Option<Self> {
        if datagram.len() > MAX_REQUEST || u16_at(datagram, 0)? != BINDING_REQUEST {
            return None;
        }
        let length = usize::from(u16_at(datagram, 2)?);
        if datagram.get(4..8)? != MAGIC_COOKIE.to_be_bytes()
            || length % 4 != 0
            || datagram.len() != HEADER + length
        {
            return None;
        }
        let transaction = datagram.get(8..HEADER)?.try_into().ok()?;
        let mut fingerprint = false;
        let mut at = HEADER;
        while at < datagram.len() {
            // FINGERPRINT is the last attribute (section 14.7), so nothing may follow it.
            if fingerprint {
                return None;
            }
            let kind = u16_at(datagram, at)?;
            // An attribute that must be understood asks for something we do not do; an error would be larger than silence.
            if kind < FIRST_OPTIONAL {
                return None;
            }
            let value_length = usize::from(u16_at(datagram, at + 2)?);
            let value = datagram.get(at + 4..at + 4 + value_length)?;
            if kind == FINGERPRINT {
                let checksum = (crc32(&datagram[..at]) ^ FINGERPRINT_XOR).to_be_bytes();
                if value != checksum {
                    return None;
                }
                fingerprint = true;
            }
            at += 4 + value_length.next_multiple_of(4);
        }
        (at == datagram.len()).then_some(Self {
            transaction,
            fingerprint,
        })
    }
}

struct Gate {
    each: Buckets<IpAddr>,
    all: Buckets<()>,
}

impl Gate {
    fn new() -> Self {
        Self {
            each: Buckets::new(Rate::new(BURST, INTERVAL)),
            all: Buckets::new(Rate::new(ALL_BURST, ALL_INTERVAL)),
        }
    }

    fn admit(&mut self, ip: IpAddr, now: Instant) -> bool {
        self.each.try_take(address_group(ip), now) && self.all.try_take((), now)
    }
}

async fn send(socket: &UdpSocket, answer: &[u8], to: SocketAddr) -> io::Result<()> {
    // A dual-stack socket sends to IPv4 only in its mapped form.
    let to = match (socket.local_addr()?, to) {
        (SocketAddr::V6(_), SocketAddr::V4(v4)) => {
            SocketAddr::new(v4.ip().to_ipv6_mapped().into(), v4.port())
        }
        _ => to,
    };
    socket.send_to(answer, to).await.map(drop)
}

fn write_xor_mapped_address(answer: &mut Vec<u8>, from: SocketAddr, transaction: &[u8; 12]) {
    let mut mask = [0u8; 16];
    mask[..4].copy_from_slice(&MAGIC_COOKIE.to_be_bytes());
    mask[4..].copy_from_slice(transaction);
    let (family, ip) = match from.ip() {
        IpAddr::V4(ip) => (1u8, ip.octets().to_vec()),
        IpAddr::V6(ip) => (2u8, ip.octets().to_vec()),
    };
    answer.extend_from_slice(&XOR_MAPPED_ADDRESS.to_be_bytes());
    answer.extend_from_slice(&(if family == 1 { 8u16 } else { 20 }).to_be_bytes());
    answer.extend_from_slice(&[0, family]);
    answer.extend_from_slice(&(from.port() ^ u16::from_be_bytes([mask[0], mask[1]])).to_be_bytes());
    answer.extend(ip.iter().zip(mask).map(|(byte, mask)| byte ^ mask));
}

fn set_length(message: &mut [u8], length: usize) {
    // An answer has at most MAX_ANSWER bytes.
    message[2..4].copy_from_slice(&(length as u16).to_be_bytes());
}

fn u16_at(bytes: &[u8], at: usize) -> Option<u16> {
    Some(u16::from_be_bytes(bytes.get(at..at + 2)?.try_into().ok()?))
}

/// CRC-32 as in ITU-T V.42, bit by bit: requests have tens of bytes.
fn crc32(bytes: &[u8]) -> u32 {
    !bytes.iter().fold(u32::MAX, |crc, byte| {
        (0..8).fold(crc ^ u32::from(*byte), |crc, _| {
            if crc & 1 == 1 {
                (crc >> 1) ^ 0xedb8_8320
            } else {
                crc >> 1
            }
        })
    })
}

const HEADER: usize = 20;
const MAGIC_COOKIE: u32 = 0x2112_a442;
const BINDING_REQUEST: u16 = 0x0001;
const BINDING_SUCCESS: u16 = 0x0101;
const XOR_MAPPED_ADDRESS: u16 = 0x0020;
/// Attributes from here on may be ignored (section 14).
const FIRST_OPTIONAL: u16 = 0x8000;
const FINGERPRINT: u16 = 0x8028;
const FINGERPRINT_XOR: u32 = 0x5354_554e;
const FINGERPRINT_BYTES: usize = 8;
/// Longest request read, in bytes: RFC 8489 section 6.1 keeps messages under the path's MTU, 548 bytes for IPv4 unknown.
const MAX_REQUEST: usize = 548;
/// Longest answer in bytes: header, an IPv6 address and a fingerprint.
const MAX_ANSWER: usize = HEADER + 24 + FINGERPRINT_BYTES;
/// Answers at once to one address: a page asks for each of its peer connections, and one address may be a whole school.
const BURST: u32 = 400;
/// Then one each so often for that address.
const INTERVAL: Duration = Duration::from_millis(50);
/// Answers at once to everybody: at 60 bytes on the wire a ceiling of 5 Mbit/s.
const ALL_BURST: u32 = 10_000;
/// Then one each so often for everybody.
const ALL_INTERVAL: Duration = Duration::from_micros(100);

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use proptest::prelude::*;

    /// The sample request of RFC 5769 section 2.1 has credentials; this is its transaction in a bare request.
    const TRANSACTION: [u8; 12] = [
        0xb7, 0xe7, 0xa7, 0x01, 0xbc, 0x34, 0xd6, 0x86, 0xfa, 0x87, 0xdf, 0xae,
    ];

    fn request() -> Vec<u8> {
        let mut bytes = vec![0, 1, 0, 0, 0x21, 0x12, 0xa4, 0x42];
        bytes.extend_from_slice(&TRANSACTION);
        bytes
    }

    fn with_fingerprint() -> Vec<u8> {
        let mut bytes = request();
        bytes[3] = 8;
        let checksum = crc32(&bytes) ^ FINGERPRINT_XOR;
        bytes.extend_from_slice(&[0x80, 0x28, 0, 4]);
        bytes.extend_from_slice(&checksum.to_be_bytes());
        bytes
    }

    /// The mapped addresses of RFC 5769 sections 2.2 and 2.3, which use the same transaction.
    #[test]
    fn addresses_of_rfc_5769() {
        let v4 = answer(&request(), "192.0.2.1:32853".parse().unwrap()).unwrap();
        assert_eq!(v4.len(), 32);
        assert_eq!(v4[..4], [1, 1, 0, 12]);
        assert_eq!(
            v4[20..],
            [0x00, 0x20, 0, 8, 0, 1, 0xa1, 0x47, 0xe1, 0x12, 0xa6, 0x43]
        );
        let v6 = answer(
            &request(),
            "[2001:db8:1234:5678:11:2233:4455:6677]:32853"
                .parse()
                .unwrap(),
        )
        .unwrap();
        assert_eq!(v6.len(), 44);
        assert_eq!(
            v6[20..],
            [
                0x00, 0x20, 0, 0x14, 0, 2, 0xa1, 0x47, 0x01, 0x13, 0xa9, 0xfa, 0xa5, 0xd3, 0xf1,
                0x79, 0xbc, 0x25, 0xf4, 0xb5, 0xbe, 0xd2, 0xb9, 0xd9
            ]
        );
    }

    #[test]
    fn fingerprint_is_checked_and_answered() {
        let from = "192.0.2.1:1".parse().unwrap();
        let good = answer(&with_fingerprint(), from).unwrap();
        assert_eq!(good.len(), 40);
        let checksum = crc32(&good[..32]) ^ FINGERPRINT_XOR;
        assert_eq!(good[36..], checksum.to_be_bytes());
        let mut bad = with_fingerprint();
        bad[27] ^= 1;
        assert_eq!(answer(&bad, from), None);
    }

    #[test]
    fn crc_of_the_check_string() {
        assert_eq!(crc32(b"123456789"), 0xcbf4_3926);
    }

    #[test]
    fn others_get_nothing() {
        let from = "192.0.2.1:1".parse().unwrap();
        for (at, value) in [(0, 0x40), (1, 0x11), (1, 0x02), (3, 4), (4, 0)] {
            let mut bytes = request();
            bytes[at] = value;
            assert_eq!(answer(&bytes, from), None, "byte {at}");
        }
        let own = answer(&request(), from).unwrap();
        assert_eq!(
            answer(&own, from),
            None,
            "two responders must not talk to each other"
        );
    }

    #[test]
    fn the_gate_closes() {
        let mut gate = Gate::new();
        let now = Instant::now();
        let ip = "192.0.2.1".parse().unwrap();
        assert_eq!(
            (0..BURST + 50).filter(|_| gate.admit(ip, now)).count(),
            BURST as usize
        );
        let everybody = (0..20_000u32)
            .filter(|n| gate.admit(std::net::Ipv4Addr::from(*n << 8).into(), now))
            .count();
        assert_eq!(everybody as u32, ALL_BURST - BURST);
    }

    proptest! {
        #[test]
        fn garbage_is_answered_only_when_well_formed(mut bytes in proptest::collection::vec(any::<u8>(), 0..600), head in any::<bool>()) {
            if head && bytes.len() >= 8 {
                bytes[..2].copy_from_slice(&[0, 1]);
                bytes[4..8].copy_from_slice(&MAGIC_COOKIE.to_be_bytes());
                let length = (bytes.len().saturating_sub(HEADER) / 4 * 4) as u16;
                bytes[2..4].copy_from_slice(&length.to_be_bytes());
                bytes.truncate(HEADER + usize::from(length));
            }
            if let Some(answer) = answer(&bytes, "[2001:db8::1]:9".parse().unwrap()) {
                prop_assert!(answer.len() <= MAX_ANSWER);
                prop_assert_eq!(&answer[8..20], &bytes[8..20]);
            }
        }

        #[test]
        fn one_flipped_bit_in_a_fingerprinted_request_is_refused(bit in 0usize..28 * 8) {
            let mut bytes = with_fingerprint();
            bytes[bit / 8] ^= 1 << (bit % 8);
            // The attribute's own type may become an unknown optional one, which a server ignores, unless it becomes one
            // that must be understood.
            let ignored = (20..22).contains(&(bit / 8)) && bit != 20 * 8 + 7;
            prop_assert_eq!(answer(&bytes, "192.0.2.1:9".parse().unwrap()).is_some(), ignored);
        }
    }
}
