//! The codec of `/webrtc-signaling/0.0.1`: `uvarint length || protobuf`, byte-exact with js-libp2p.
//!
//! The decoder is incremental and holds at most one message; it allocates what has arrived, never what a length claims.
//! Spec: <https://github.com/libp2p/specs/blob/master/webrtc/webrtc.md#signaling-protocol>.
//!
//! ```text
//! message Message {                    // proto3 with presence
//!   enum Type { SDP_OFFER = 0; SDP_ANSWER = 1; ICE_CANDIDATE = 2; }
//!   optional Type type = 1;            // always written, zero included
//!   optional string data = 2;          // raw SDP, or the JSON of an RTCIceCandidateInit
//! }
//! ```

use bytes::{Buf, BufMut, BytesMut};
use libp2p::StreamProtocol;

/// The protocol name of the signalling stream.
pub const PROTOCOL: StreamProtocol = StreamProtocol::new("/webrtc-signaling/0.0.1");

/// One signalling message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Message {
    /// The dialer's session description, SDP as it is.
    Offer(String),
    /// The session description that answers it.
    Answer(String),
    /// An ICE candidate as JSON; empty or `null` says that there are no more.
    Candidate(String),
    /// A type that this version does not know; to be skipped, and to be counted.
    Other(u64),
}

/// A signalling stream that does not follow the protocol.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SignalError {
    /// A length beyond [`MAX_MESSAGE`] bytes.
    #[error("signalling message longer than {MAX_MESSAGE} bytes")]
    TooLong,
    /// Not a protobuf message.
    #[error("malformed signalling message")]
    Malformed,
    /// The type is missing.
    #[error("signalling message without a type")]
    NoType,
    /// The data is not UTF-8.
    #[error("signalling message that is not UTF-8")]
    NotUtf8,
}

impl Message {
    /// Appends the message with its length prefix to `out`.
    ///
    /// # Errors
    /// [`SignalError::TooLong`] when it would be longer than [`MAX_MESSAGE`] bytes; `out` is unchanged then.
    pub fn encode(&self, out: &mut BytesMut) -> Result<(), SignalError> {
        let (kind, data) = match self {
            Self::Offer(sdp) => (OFFER, sdp.as_str()),
            Self::Answer(sdp) => (ANSWER, sdp.as_str()),
            Self::Candidate(json) => (CANDIDATE, json.as_str()),
            Self::Other(kind) => (*kind, ""),
        };
        let body = 1 + varint_len(kind) + 1 + varint_len(data.len() as u64) + data.len();
        if body > MAX_MESSAGE {
            return Err(SignalError::TooLong);
        }
        put_varint(out, body as u64);
        out.put_u8(TAG_TYPE);
        put_varint(out, kind);
        out.put_u8(TAG_DATA);
        put_varint(out, data.len() as u64);
        out.put_slice(data.as_bytes());
        Ok(())
    }

    fn decode(mut body: &[u8]) -> Result<Self, SignalError> {
        let mut kind = None;
        let mut data: &[u8] = &[];
        while body.has_remaining() {
            let key = take_varint(&mut body)?;
            match (key >> 3, key & 7) {
                (0, _) => return Err(SignalError::Malformed),
                (1, WIRE_VARINT) => kind = Some(take_varint(&mut body)?),
                (2, WIRE_BYTES) => {
                    let len = take_varint(&mut body)?;
                    data = take_bytes(&mut body, len)?;
                }
                (_, WIRE_VARINT) => {
                    take_varint(&mut body)?;
                }
                (_, WIRE_64) => {
                    take_bytes(&mut body, 8)?;
                }
                (_, WIRE_BYTES) => {
                    let len = take_varint(&mut body)?;
                    take_bytes(&mut body, len)?;
                }
                (_, WIRE_32) => {
                    take_bytes(&mut body, 4)?;
                }
                _ => return Err(SignalError::Malformed),
            }
        }
        let data = || {
            std::str::from_utf8(data)
                .map(str::to_owned)
                .map_err(|_| SignalError::NotUtf8)
        };
        Ok(match kind.ok_or(SignalError::NoType)? {
            OFFER => Self::Offer(data()?),
            ANSWER => Self::Answer(data()?),
            CANDIDATE => Self::Candidate(data()?),
            other => Self::Other(other),
        })
    }
}

/// Cuts a byte stream into messages.
#[derive(Debug, Default)]
pub struct Decoder {
    buffer: BytesMut,
}

impl Decoder {
    /// Adds bytes that arrived. Drain [`Decoder::next_message`] before the next call, so that no more than one
    /// incomplete message and one read are held.
    pub fn push(&mut self, bytes: &[u8]) {
        self.buffer.extend_from_slice(bytes);
    }

    /// The next whole message, or `None` when more bytes are needed.
    ///
    /// # Errors
    /// Any [`SignalError`]; the stream is of no use afterwards.
    pub fn next_message(&mut self) -> Result<Option<Message>, SignalError> {
        let mut length = 0usize;
        let mut prefix = 0;
        loop {
            let Some(byte) = self.buffer.get(prefix) else {
                return Ok(None);
            };
            length |= usize::from(byte & 0x7f) << (7 * prefix);
            prefix += 1;
            if byte & 0x80 == 0 {
                break;
            }
            if prefix == MAX_PREFIX {
                return Err(SignalError::TooLong);
            }
        }
        if length > MAX_MESSAGE {
            return Err(SignalError::TooLong);
        }
        if self.buffer.len() < prefix + length {
            return Ok(None);
        }
        self.buffer.advance(prefix);
        let body = self.buffer.split_to(length);
        Message::decode(&body).map(Some)
    }
}

fn varint_len(value: u64) -> usize {
    (64 - (value | 1).leading_zeros() as usize).div_ceil(7)
}

fn put_varint(out: &mut BytesMut, mut value: u64) {
    while value >= 0x80 {
        out.put_u8((value & 0x7f) as u8 | 0x80);
        value >>= 7;
    }
    out.put_u8(value as u8);
}

fn take_varint(body: &mut &[u8]) -> Result<u64, SignalError> {
    let mut value = 0u64;
    // A protobuf varint has at most ten bytes; bits beyond the 64th are dropped, as protobuf decoders do.
    for shift in (0..70).step_by(7) {
        let (&byte, rest) = body.split_first().ok_or(SignalError::Malformed)?;
        *body = rest;
        value |= u64::from(byte & 0x7f) << shift;
        if byte & 0x80 == 0 {
            return Ok(value);
        }
    }
    Err(SignalError::Malformed)
}

fn take_bytes<'a>(body: &mut &'a [u8], len: u64) -> Result<&'a [u8], SignalError> {
    let len = usize::try_from(len).map_err(|_| SignalError::Malformed)?;
    let (taken, rest) = body.split_at_checked(len).ok_or(SignalError::Malformed)?;
    *body = rest;
    Ok(taken)
}

/// The longest message without its prefix, bytes. Browser SDP for one data channel has 0.5 to 2 KiB, a candidate 0.2;
/// js-libp2p's bound on a length-prefixed message is 4 MiB, which a relayed stranger shall not make us hold.
pub const MAX_MESSAGE: usize = 64 * 1024;

/// Bytes of a length prefix that can say `MAX_MESSAGE`.
const MAX_PREFIX: usize = 3;

const OFFER: u64 = 0;
const ANSWER: u64 = 1;
const CANDIDATE: u64 = 2;

const TAG_TYPE: u8 = 0x08;
const TAG_DATA: u8 = 0x12;

const WIRE_VARINT: u64 = 0;
const WIRE_64: u64 = 1;
const WIRE_BYTES: u64 = 2;
const WIRE_32: u64 = 5;

#[cfg(all(test, not(target_arch = "wasm32")))]
mod tests {
    #![allow(clippy::unwrap_used)]

    use proptest::prelude::*;

    use super::*;

    fn encoded(message: &Message) -> BytesMut {
        let mut out = BytesMut::new();
        message.encode(&mut out).unwrap();
        out
    }

    fn decoded(bytes: &[u8]) -> Result<Option<Message>, SignalError> {
        let mut decoder = Decoder::default();
        decoder.push(bytes);
        decoder.next_message()
    }

    #[test]
    fn golden_bytes() {
        let offer = Message::Offer("v=0".into());
        let bytes = [0x07, 0x08, 0x00, 0x12, 0x03, 0x76, 0x3d, 0x30];
        assert_eq!(encoded(&offer)[..], bytes);
        assert_eq!(decoded(&bytes).unwrap(), Some(offer));
        assert_eq!(
            encoded(&Message::Answer("v=0".into()))[..],
            [0x07, 0x08, 0x01, 0x12, 0x03, 0x76, 0x3d, 0x30]
        );
        assert_eq!(
            encoded(&Message::Candidate(String::new()))[..],
            [0x04, 0x08, 0x02, 0x12, 0x00]
        );
    }

    #[test]
    fn absent_data_is_empty_and_unknown_fields_are_skipped() {
        assert_eq!(
            decoded(&[2, 0x08, 0x02]).unwrap(),
            Some(Message::Candidate(String::new()))
        );
        // A varint, a 64-bit, a bytes and a 32-bit field that nobody knows, then the type.
        let mut body = vec![0x18, 0x96, 0x01, 0x21];
        body.extend([0; 8]);
        body.extend([0x2a, 0x02, 0xff, 0xff, 0x35, 0, 0, 0, 0, 0x08, 0x01]);
        body.insert(0, body.len() as u8);
        assert_eq!(
            decoded(&body).unwrap(),
            Some(Message::Answer(String::new()))
        );
        assert_eq!(decoded(&[2, 0x08, 0x03]).unwrap(), Some(Message::Other(3)));
    }

    #[test]
    fn refuses_what_is_not_a_message() {
        for (bytes, error) in [
            (&[0x00][..], SignalError::NoType),
            (&[2, 0x12, 0x00], SignalError::NoType),
            (&[1, 0x08], SignalError::Malformed),
            (&[2, 0x00, 0x00], SignalError::Malformed),
            (&[2, 0x0b, 0x0c], SignalError::Malformed),
            (&[3, 0x12, 0x7f, 0x00], SignalError::Malformed),
            (&[5, 0x08, 0x00, 0x12, 0x01, 0xff], SignalError::NotUtf8),
            // 64 KiB and one, before a byte of it has come.
            (&[0x81, 0x80, 0x04], SignalError::TooLong),
            (&[0x80, 0x80, 0x80, 0x01], SignalError::TooLong),
            (&[0xff; 12], SignalError::TooLong),
        ] {
            assert_eq!(decoded(bytes), Err(error), "{bytes:02x?}");
        }
    }

    #[test]
    fn the_longest_message_fits_and_no_longer_one() {
        // Type (2), tag (1), length (3).
        let fits = "x".repeat(MAX_MESSAGE - 6);
        let bytes = encoded(&Message::Offer(fits.clone()));
        assert_eq!(decoded(&bytes).unwrap(), Some(Message::Offer(fits.clone())));
        let mut out = BytesMut::new();
        let error = Message::Offer(fits + "x").encode(&mut out);
        assert_eq!(error, Err(SignalError::TooLong));
        assert!(out.is_empty());
    }

    fn message() -> impl Strategy<Value = Message> {
        prop_oneof![
            ".{0,300}".prop_map(Message::Offer),
            ".{0,300}".prop_map(Message::Answer),
            ".{0,300}".prop_map(Message::Candidate),
            (3u64..).prop_map(Message::Other),
        ]
    }

    proptest! {
        #[test]
        fn any_split_gives_the_same_messages(
            messages in prop::collection::vec(message(), 1..6),
            cuts in prop::collection::vec(1usize..200, 1..20),
        ) {
            let mut bytes = BytesMut::new();
            for message in &messages {
                message.encode(&mut bytes).unwrap();
            }
            let mut decoder = Decoder::default();
            let mut out = Vec::new();
            let mut rest = &bytes[..];
            for cut in cuts.iter().cycle() {
                let (piece, tail) = rest.split_at((*cut).min(rest.len()));
                decoder.push(piece);
                while let Some(message) = decoder.next_message().unwrap() {
                    out.push(message);
                }
                rest = tail;
                if rest.is_empty() {
                    break;
                }
            }
            prop_assert_eq!(out, messages);
            prop_assert!(decoder.buffer.is_empty());
        }

        #[test]
        fn truncation_waits_and_never_errs(message in message(), keep in 0.0f64..1.0) {
            let bytes = encoded(&message);
            let keep = (bytes.len() as f64 * keep) as usize;
            prop_assert_eq!(decoded(&bytes[..keep]), Ok(None));
        }

        #[test]
        fn garbage_never_panics_and_what_decodes_encodes_again(
            bytes in prop::collection::vec(any::<u8>(), 0..400),
        ) {
            let mut decoder = Decoder::default();
            decoder.push(&bytes);
            while let Ok(Some(message)) = decoder.next_message() {
                let again = decoded(&encoded(&message)).unwrap().unwrap();
                prop_assert_eq!(again, message);
            }
        }

        #[test]
        fn a_flipped_byte_is_an_error_or_a_message_or_a_wait(
            message in message(),
            at: prop::sample::Index,
            xor in 1u8..,
        ) {
            let mut bytes = encoded(&message);
            let at = at.index(bytes.len());
            bytes[at] ^= xor;
            // A waiting decoder holds what it was given and nothing more.
            let mut decoder = Decoder::default();
            decoder.push(&bytes);
            if decoder.next_message() == Ok(None) {
                prop_assert_eq!(decoder.buffer.len(), bytes.len());
            }
        }
    }
}
