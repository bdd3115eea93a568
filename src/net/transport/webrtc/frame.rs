//! Framing of libp2p streams on a data channel: `uvarint length || protobuf Message`.
//!
//! The decoder treats the messages of a channel as one byte stream: a message may hold several frames or a part of one.
//! It never holds more than one incomplete frame, and refuses a frame by its length prefix, before the body is there.
//! Fields and flags that are not known are skipped. Field 3 is an extension: a sender announces in its first frame on a
//! channel how large the frames are that it accepts; who does not know it skips it.
//! Spec: <https://github.com/libp2p/specs/blob/master/webrtc/README.md#multiplexing>.

use bytes::{Buf, BufMut, Bytes, BytesMut};

/// Largest frame that every implementation accepts, in bytes with the length prefix: 16 KiB by the spec.
pub const INTEROP_FRAME: usize = 16 * 1024;

/// Largest frame that this implementation accepts and announces, in bytes with the length prefix: 256 KiB, the largest
/// data channel message that Chromium's SCTP takes.
pub const MAX_FRAME: usize = 256 * 1024;

/// Bytes that a header can need: length prefix (3), flag (2), announcement (6), tag and length of the payload (4).
pub const HEADER_ROOM: usize = 15;

/// What a frame says about its stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Flag {
    /// The sender will send no more payload.
    Fin,
    /// The sender will read no more payload.
    StopSending,
    /// The sender gives up both directions.
    ResetStream,
    /// The sender has seen `Fin`.
    FinAck,
}

impl Flag {
    fn to_wire(self) -> u64 {
        match self {
            Self::Fin => 0,
            Self::StopSending => 1,
            Self::ResetStream => 2,
            Self::FinAck => 3,
        }
    }

    fn from_wire(value: u64) -> Option<Self> {
        match value {
            0 => Some(Self::Fin),
            1 => Some(Self::StopSending),
            2 => Some(Self::ResetStream),
            3 => Some(Self::FinAck),
            _ => None,
        }
    }
}

/// One decoded frame.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Frame {
    /// The flag, when there is one that is known.
    pub flag: Option<Flag>,
    /// Largest frame that the sender accepts, in bytes with the length prefix.
    pub max_frame: Option<u32>,
    /// The payload; a frame without one says nothing about the end of the stream.
    pub message: Option<Bytes>,
}

impl Frame {
    /// Encodes the frame with its length prefix.
    pub fn encode(&self) -> Vec<u8> {
        let mut out = FrameBuf::default();
        let payload = self.message.as_deref();
        out.push(payload.unwrap_or_default(), usize::MAX);
        out.encode(self.flag, self.max_frame, payload.is_some())
            .to_vec()
    }
}

/// Bytes that are not frames. The stream has lost its framing; all that can be done is to reset it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum FrameError {
    /// A frame announces more bytes than are accepted.
    #[error("frame of {size} bytes, at most {limit} are accepted")]
    TooLarge {
        /// Announced size in bytes with the length prefix.
        size: u64,
        /// The limit in bytes.
        limit: usize,
    },
    /// The bytes are no protobuf message.
    #[error("malformed frame: {0}")]
    Malformed(&'static str),
}

/// Collects the payload of one frame behind room for its header, so that the frame is sent from one buffer.
#[derive(Debug, Default)]
pub struct FrameBuf {
    /// Empty, or `HEADER_ROOM` bytes followed by the payload.
    bytes: Vec<u8>,
}

impl FrameBuf {
    /// Bytes of payload collected so far.
    pub fn len(&self) -> usize {
        self.bytes.len().saturating_sub(HEADER_ROOM)
    }

    /// Whether no payload has been collected.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Appends payload until the frame has `frame_limit` bytes at most, and returns how many bytes it took.
    pub fn push(&mut self, payload: &[u8], frame_limit: usize) -> usize {
        let room = frame_limit
            .saturating_sub(HEADER_ROOM)
            .saturating_sub(self.len());
        let taken = room.min(payload.len());
        if taken > 0 {
            if self.bytes.is_empty() {
                self.bytes.reserve(HEADER_ROOM + taken);
                self.bytes.resize(HEADER_ROOM, 0);
            }
            self.bytes.extend_from_slice(&payload[..taken]);
        }
        taken
    }

    /// Writes the header in front of the payload and returns the frame; the payload stays until [`clear`](Self::clear).
    pub fn frame(&mut self, flag: Option<Flag>, max_frame: Option<u32>) -> &[u8] {
        let has_payload = !self.is_empty();
        self.encode(flag, max_frame, has_payload)
    }

    fn encode(&mut self, flag: Option<Flag>, max_frame: Option<u32>, payload: bool) -> &[u8] {
        if self.bytes.is_empty() {
            self.bytes.resize(HEADER_ROOM, 0);
        }
        let mut fields = Header::default();
        if let Some(flag) = flag {
            fields.varint(TAG_FLAG);
            fields.varint(flag.to_wire());
        }
        if let Some(max_frame) = max_frame {
            fields.varint(TAG_MAX_FRAME);
            fields.varint(u64::from(max_frame));
        }
        if payload {
            fields.varint(TAG_MESSAGE);
            fields.varint(self.len() as u64);
        }
        let mut prefix = Header::default();
        prefix.varint((fields.len + self.len()) as u64);
        let start = HEADER_ROOM - prefix.len - fields.len;
        self.bytes[start..start + prefix.len].copy_from_slice(prefix.as_slice());
        self.bytes[start + prefix.len..HEADER_ROOM].copy_from_slice(fields.as_slice());
        &self.bytes[start..]
    }

    /// Forgets the payload and keeps the memory for the next frame.
    pub fn clear(&mut self) {
        self.bytes.clear();
    }

    /// Gives the memory back; for a stream that goes idle.
    pub fn release(&mut self) {
        self.bytes = Vec::new();
    }
}

/// Incremental decoder of one channel's byte stream.
#[derive(Debug)]
pub struct Decoder {
    limit: usize,
    partial: BytesMut,
}

impl Default for Decoder {
    fn default() -> Self {
        Self::new(MAX_FRAME)
    }
}

impl Decoder {
    /// Makes a decoder that accepts frames of `limit` bytes at most, length prefix included.
    pub fn new(limit: usize) -> Self {
        Self {
            limit,
            partial: BytesMut::new(),
        }
    }

    /// Bytes held of a frame that is not complete.
    pub fn buffered(&self) -> usize {
        self.partial.len()
    }

    /// Takes one message of the channel; exhaust the iterator. An error is final for the stream.
    pub fn feed(&mut self, message: Bytes) -> Frames<'_> {
        Frames {
            decoder: self,
            backing: message.len(),
            input: message,
        }
    }

    fn next(&mut self, input: &mut Bytes) -> Result<Option<Bytes>, FrameError> {
        if input.is_empty() && self.partial.is_empty() {
            return Ok(None);
        }
        if self.partial.is_empty() {
            if let Some((prefix, total)) = self.frame_size(input)?
                && input.len() >= total
            {
                let mut frame = input.split_to(total);
                frame.advance(prefix);
                return Ok(Some(frame));
            }
            self.partial.extend_from_slice(input);
            input.clear();
            return Ok(None);
        }
        let (prefix, total) = loop {
            match self.frame_size(&self.partial)? {
                Some(size) => break size,
                None if input.is_empty() => return Ok(None),
                None => self.partial.put_u8(input.get_u8()),
            }
        };
        let missing = (total - self.partial.len()).min(input.len());
        self.partial.extend_from_slice(&input.split_to(missing));
        if self.partial.len() < total {
            return Ok(None);
        }
        let mut frame = std::mem::take(&mut self.partial).freeze();
        frame.advance(prefix);
        Ok(Some(frame))
    }

    /// Length of the prefix and of the whole frame, when the prefix is complete.
    fn frame_size(&self, bytes: &[u8]) -> Result<Option<(usize, usize)>, FrameError> {
        let mut rest = bytes;
        let Some(body) = read_varint(&mut rest)? else {
            return match bytes.len() {
                0..MAX_PREFIX => Ok(None),
                _ => Err(FrameError::Malformed("length prefix too long")),
            };
        };
        let prefix = bytes.len() - rest.len();
        if prefix > MAX_PREFIX {
            return Err(FrameError::Malformed("length prefix too long"));
        }
        let size = body.saturating_add(prefix as u64);
        match usize::try_from(size) {
            Ok(total) if total <= self.limit => Ok(Some((prefix, total))),
            _ => Err(FrameError::TooLarge {
                size,
                limit: self.limit,
            }),
        }
    }
}

/// The frames that one message completes.
#[derive(Debug)]
pub struct Frames<'a> {
    decoder: &'a mut Decoder,
    input: Bytes,
    backing: usize,
}

impl Iterator for Frames<'_> {
    type Item = Result<Frame, FrameError>;

    fn next(&mut self) -> Option<Self::Item> {
        match self.decoder.next(&mut self.input) {
            Ok(None) => None,
            Ok(Some(body)) => {
                // A slice keeps its whole allocation alive: a small payload must not pin a large one.
                let backing = self.backing.max(body.len());
                Some(decode_body(body).map(|mut frame| {
                    if let Some(payload) = &mut frame.message
                        && payload.len() * 2 < backing
                    {
                        *payload = Bytes::copy_from_slice(payload);
                    }
                    frame
                }))
            }
            Err(error) => {
                self.input.clear();
                self.decoder.partial = BytesMut::new();
                Some(Err(error))
            }
        }
    }
}

fn decode_body(mut body: Bytes) -> Result<Frame, FrameError> {
    let mut frame = Frame::default();
    while body.has_remaining() {
        let tag = take_varint(&mut body)?;
        match tag {
            0..8 => return Err(FrameError::Malformed("field number 0")),
            TAG_FLAG => frame.flag = Flag::from_wire(take_varint(&mut body)?),
            TAG_MESSAGE => frame.message = Some(take_bytes(&mut body)?),
            TAG_MAX_FRAME => {
                frame.max_frame = Some(u32::try_from(take_varint(&mut body)?).unwrap_or(u32::MAX));
            }
            _ => skip(&mut body, tag & 7)?,
        }
    }
    Ok(frame)
}

fn skip(body: &mut Bytes, wire_type: u64) -> Result<(), FrameError> {
    let fixed = match wire_type {
        0 => return take_varint(body).map(drop),
        1 => 8,
        2 => return take_bytes(body).map(drop),
        5 => 4,
        _ => return Err(FrameError::Malformed("unknown wire type")),
    };
    if body.len() < fixed {
        return Err(FrameError::Malformed("truncated field"));
    }
    body.advance(fixed);
    Ok(())
}

fn take_bytes(body: &mut Bytes) -> Result<Bytes, FrameError> {
    match usize::try_from(take_varint(body)?) {
        Ok(length) if length <= body.len() => Ok(body.split_to(length)),
        _ => Err(FrameError::Malformed("truncated field")),
    }
}

fn take_varint(body: &mut Bytes) -> Result<u64, FrameError> {
    let mut rest: &[u8] = body;
    let value = read_varint(&mut rest)?.ok_or(FrameError::Malformed("truncated varint"))?;
    let used = body.len() - rest.len();
    body.advance(used);
    Ok(value)
}

/// Reads a varint off the front; `None` when `bytes` ends within it.
fn read_varint(bytes: &mut &[u8]) -> Result<Option<u64>, FrameError> {
    let mut value = 0u64;
    for (index, &byte) in bytes.iter().enumerate().take(MAX_VARINT) {
        if index == MAX_VARINT - 1 && byte > 1 {
            return Err(FrameError::Malformed("varint exceeds 64 bits"));
        }
        value |= u64::from(byte & 0x7f) << (7 * index);
        if byte & 0x80 == 0 {
            *bytes = &bytes[index + 1..];
            return Ok(Some(value));
        }
    }
    Ok(None)
}

/// A few bytes of header under construction.
#[derive(Default)]
struct Header {
    bytes: [u8; HEADER_ROOM],
    len: usize,
}

impl Header {
    fn varint(&mut self, mut value: u64) {
        while value >= 0x80 {
            self.byte(value as u8 | 0x80);
            value >>= 7;
        }
        self.byte(value as u8);
    }

    fn byte(&mut self, byte: u8) {
        self.bytes[self.len] = byte;
        self.len += 1;
    }

    fn as_slice(&self) -> &[u8] {
        &self.bytes[..self.len]
    }
}

/// Field 1, varint.
const TAG_FLAG: u64 = 0x08;
/// Field 2, length-delimited.
const TAG_MESSAGE: u64 = 0x12;
/// Field 3, varint.
const TAG_MAX_FRAME: u64 = 0x18;
/// Bytes of a 64-bit varint.
const MAX_VARINT: usize = 10;
/// Bytes of a length prefix, padded encodings included: those of a 32-bit varint.
const MAX_PREFIX: usize = 5;

#[cfg(all(test, not(target_arch = "wasm32")))]
mod tests {
    #![allow(clippy::unwrap_used)]

    use proptest::prelude::*;

    use super::*;

    fn decode_all(decoder: &mut Decoder, bytes: &[u8]) -> Result<Vec<Frame>, FrameError> {
        decoder.feed(Bytes::copy_from_slice(bytes)).collect()
    }

    fn flag(flag: Flag) -> Frame {
        Frame {
            flag: Some(flag),
            ..Frame::default()
        }
    }

    #[test]
    fn golden_bytes() {
        assert_eq!(flag(Flag::Fin).encode(), [2, 0x08, 0]);
        assert_eq!(flag(Flag::StopSending).encode(), [2, 0x08, 1]);
        assert_eq!(flag(Flag::ResetStream).encode(), [2, 0x08, 2]);
        assert_eq!(flag(Flag::FinAck).encode(), [2, 0x08, 3]);
        assert_eq!(Frame::default().encode(), [0]);
        let hello = Frame {
            message: Some(Bytes::from_static(b"hello")),
            ..Frame::default()
        };
        assert_eq!(hello.encode(), *b"\x07\x12\x05hello");
        let first = Frame {
            flag: Some(Flag::Fin),
            max_frame: Some(MAX_FRAME as u32),
            message: Some(Bytes::from_static(b"x")),
        };
        assert_eq!(first.encode(), *b"\x09\x08\x00\x18\x80\x80\x10\x12\x01x");
    }

    #[test]
    fn unknown_fields_and_flags_are_skipped() {
        let bytes = [
            22, 0x08, 9, // flag 9
            0x20, 0x96, 0x01, // field 4, varint
            0x29, 1, 2, 3, 4, 5, 6, 7, 8, // field 5, fixed64
            0x32, 1, 0xff, // field 6, bytes
            0x3d, 1, 2, 3, 4, // field 7, fixed32
            2, 0x08, 3,
        ];
        let frames = decode_all(&mut Decoder::default(), &bytes).unwrap();
        assert_eq!(frames, [Frame::default(), flag(Flag::FinAck)]);
    }

    #[test]
    fn malformed_frames_are_errors() {
        let malformed: [&[u8]; 8] = [
            &[1, 0x00],                                                     // field 0
            &[1, 0x08],                                                     // flag without value
            &[2, 0x12, 0x01], // payload longer than the frame
            &[1, 0x0b],       // group
            &[3, 0x29, 1, 2], // truncated fixed64
            &[12, 0x20, 255, 255, 255, 255, 255, 255, 255, 255, 255, 2, 0], // 65 bits
            &[0x80, 0x80, 0x80, 0x80, 0x80], // prefix without end
            &[0x80, 0x80, 0x80, 0x80, 0x80, 0x00], // prefix of six bytes
        ];
        for bytes in malformed {
            let result = decode_all(&mut Decoder::default(), bytes);
            assert!(
                matches!(result, Err(FrameError::Malformed(_))),
                "{bytes:?}: {result:?}"
            );
        }
    }

    #[test]
    fn the_limit_counts_the_prefix_and_acts_before_the_body() {
        let mut decoder = Decoder::new(INTEROP_FRAME);
        let mut fits = FrameBuf::default();
        assert_eq!(
            fits.push(&[7; INTEROP_FRAME], INTEROP_FRAME),
            INTEROP_FRAME - HEADER_ROOM
        );
        assert!(fits.frame(Some(Flag::Fin), Some(u32::MAX)).len() <= INTEROP_FRAME);
        let exact = [&[0xfe, 0x7f, 0x12, 0xfb, 0x7f][..], &[1; INTEROP_FRAME - 5]].concat();
        assert_eq!(decode_all(&mut decoder, &exact).unwrap().len(), 1);
        // One more byte in the body than fits behind its two-byte prefix.
        assert_eq!(
            decode_all(&mut decoder, &[0xff, 0x7f]),
            Err(FrameError::TooLarge {
                size: 16385,
                limit: INTEROP_FRAME
            })
        );
        assert_eq!(decoder.buffered(), 0);
    }

    #[test]
    fn a_whole_frame_is_not_copied_and_a_small_one_does_not_pin_its_message() {
        let large = Bytes::from(
            Frame {
                message: Some(vec![3; 4096].into()),
                ..Frame::default()
            }
            .encode(),
        );
        let range = large.as_ptr_range();
        let frame = Decoder::default()
            .feed(large.clone())
            .next()
            .unwrap()
            .unwrap();
        assert!(range.contains(&frame.message.unwrap().as_ptr()));

        let small = Frame {
            message: Some(Bytes::from_static(b"x")),
            ..Frame::default()
        }
        .encode();
        let message = Bytes::from([&small[..], &large].concat());
        let range = message.as_ptr_range();
        let frame = Decoder::default()
            .feed(message.clone())
            .next()
            .unwrap()
            .unwrap();
        assert!(!range.contains(&frame.message.unwrap().as_ptr()));
    }

    fn any_frame() -> impl Strategy<Value = Frame> {
        let flag = prop_oneof![
            Just(None),
            Just(Some(Flag::Fin)),
            Just(Some(Flag::StopSending)),
            Just(Some(Flag::ResetStream)),
            Just(Some(Flag::FinAck)),
        ];
        let message = proptest::option::of(proptest::collection::vec(any::<u8>(), 0..600));
        (flag, any::<Option<u32>>(), message).prop_map(|(flag, max_frame, message)| Frame {
            flag,
            max_frame,
            message: message.map(Bytes::from),
        })
    }

    proptest! {
        #[test]
        fn round_trip_however_the_bytes_are_split(
            frames in proptest::collection::vec(any_frame(), 0..12),
            cuts in proptest::collection::vec(any::<prop::sample::Index>(), 0..40),
        ) {
            let bytes = frames.iter().flat_map(Frame::encode).collect::<Vec<_>>();
            let mut cuts = cuts.iter().map(|cut| cut.index(bytes.len() + 1)).collect::<Vec<_>>();
            cuts.extend([0, bytes.len()]);
            cuts.sort_unstable();
            let mut decoder = Decoder::default();
            let mut decoded = Vec::new();
            for cut in cuts.windows(2) {
                decoded.extend(decode_all(&mut decoder, &bytes[cut[0]..cut[1]]).unwrap());
            }
            prop_assert_eq!(decoded, frames);
            prop_assert_eq!(decoder.buffered(), 0);
        }

        #[test]
        fn garbage_neither_panics_nor_grows_the_buffer(
            messages in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 0..300), 0..20),
            limit in 0usize..200,
        ) {
            let mut decoder = Decoder::new(limit);
            for message in messages {
                let outcome = decode_all(&mut decoder, &message);
                prop_assert!(decoder.buffered() <= limit.max(MAX_PREFIX));
                if outcome.is_err() {
                    break;
                }
            }
        }
    }
}
