//! The bytes of an IPNS record: a protobuf `IpnsEntry` around a DAG-CBOR document.
//!
//! Written by hand and not with general codecs: two small fixed shapes, of which only one spelling is accepted, in a few hundred
//! bytes of code. The protobuf may have fields that this version does not know, which nobody signed: they are skipped and
//! not kept. In the document keys ascend by length and then by bytes and integers are as short as they can be, as DAG-CBOR wants
//! it; so no key stands twice. Extension keys may hold anything, to a bounded depth.

use super::record::RecordError;

/// The fields of the protobuf, those of version 1 included.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Entry<'a> {
    pub value: Option<&'a [u8]>,
    pub signature_v1: Option<&'a [u8]>,
    pub validity_type: Option<u64>,
    pub validity: Option<&'a [u8]>,
    pub sequence: Option<u64>,
    pub ttl: Option<u64>,
    pub public_key: Option<&'a [u8]>,
    pub signature: Option<&'a [u8]>,
    pub data: Option<&'a [u8]>,
}

/// What the document says, as far as IPNS defines it.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Document<'a> {
    pub value: &'a [u8],
    pub validity: &'a [u8],
    pub validity_type: u64,
    pub sequence: u64,
    pub ttl: u64,
}

impl<'a> Entry<'a> {
    pub fn read(bytes: &'a [u8]) -> Result<Self, RecordError> {
        let mut entry = Self::default();
        let mut rest = bytes;
        while !rest.is_empty() {
            let tag = varint(&mut rest)?;
            let (field, wire) = (tag >> 3, tag & 7);
            let (number, bytes) = match wire {
                0 => (varint(&mut rest)?, &[][..]),
                1 => (0, take(&mut rest, 8)?),
                2 => {
                    let length = varint(&mut rest)?;
                    let length = usize::try_from(length).map_err(|_| CUT_OFF)?;
                    (0, take(&mut rest, length)?)
                }
                5 => (0, take(&mut rest, 4)?),
                _ => return Err(RecordError::Malformed("a field of unknown form")),
            };
            let twice = match (field, wire) {
                (1, 2) => entry.value.replace(bytes).is_some(),
                (2, 2) => entry.signature_v1.replace(bytes).is_some(),
                (3, 0) => entry.validity_type.replace(number).is_some(),
                (4, 2) => entry.validity.replace(bytes).is_some(),
                (5, 0) => entry.sequence.replace(number).is_some(),
                (6, 0) => entry.ttl.replace(number).is_some(),
                (7, 2) => entry.public_key.replace(bytes).is_some(),
                (8, 2) => entry.signature.replace(bytes).is_some(),
                (9, 2) => entry.data.replace(bytes).is_some(),
                (0..=9, _) => return Err(RecordError::Malformed("a field of the wrong form")),
                _ => false,
            };
            if twice {
                return Err(RecordError::Malformed("a field that stands twice"));
            }
        }
        Ok(entry)
    }

    /// The bytes of a record of version 2 alone: signature and document, nothing else.
    pub fn write(signature: &[u8], data: &[u8]) -> Vec<u8> {
        let mut out = Vec::with_capacity(data.len() + signature.len() + 8);
        for (field, bytes) in [(8u8, signature), (9, data)] {
            out.push(field << 3 | 2);
            let mut length = bytes.len();
            while length >= 0x80 {
                out.push(length as u8 | 0x80);
                length >>= 7;
            }
            out.push(length as u8);
            out.extend_from_slice(bytes);
        }
        out
    }
}

impl<'a> Document<'a> {
    pub fn read(bytes: &'a [u8]) -> Result<Self, RecordError> {
        let mut rest = bytes;
        let (major, entries) = head(&mut rest)?;
        if major != MAP {
            return Err(RecordError::Malformed("a document that is no map"));
        }
        let (mut value, mut validity) = (None, None);
        let (mut validity_type, mut sequence, mut ttl) = (None, None, None);
        let mut last: Option<&[u8]> = None;
        // Each entry takes at least two bytes, so a count that lies ends at the end of the bytes.
        for _ in 0..entries {
            let key = string(&mut rest, TEXT)?;
            let ascends = |last: &[u8]| (last.len(), last) < (key.len(), key);
            if !last.is_none_or(ascends) {
                return Err(RecordError::Malformed("keys out of order"));
            }
            last = Some(key);
            match key {
                b"Value" => value = Some(string(&mut rest, BYTES)?),
                b"Validity" => validity = Some(string(&mut rest, BYTES)?),
                b"ValidityType" => validity_type = Some(unsigned(&mut rest)?),
                b"Sequence" => sequence = Some(unsigned(&mut rest)?),
                b"TTL" => ttl = Some(unsigned(&mut rest)?),
                _ => skip(&mut rest, MAX_DEPTH)?,
            }
        }
        if !rest.is_empty() {
            return Err(RecordError::Malformed("bytes after the document"));
        }
        let missing = RecordError::Malformed("a document without what it must say");
        Ok(Self {
            value: value.ok_or(missing)?,
            validity: validity.ok_or(missing)?,
            validity_type: validity_type.ok_or(missing)?,
            sequence: sequence.ok_or(missing)?,
            // A hint that some leave out.
            ttl: ttl.unwrap_or_default(),
        })
    }

    pub fn write(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(96 + self.value.len() + self.validity.len());
        let key = |out: &mut Vec<u8>, key: &str| {
            put_head(out, TEXT, key.len() as u64);
            out.extend_from_slice(key.as_bytes());
        };
        put_head(&mut out, MAP, 5);
        key(&mut out, "TTL");
        put_head(&mut out, UNSIGNED, self.ttl);
        key(&mut out, "Value");
        put_head(&mut out, BYTES, self.value.len() as u64);
        out.extend_from_slice(self.value);
        key(&mut out, "Sequence");
        put_head(&mut out, UNSIGNED, self.sequence);
        key(&mut out, "Validity");
        put_head(&mut out, BYTES, self.validity.len() as u64);
        out.extend_from_slice(self.validity);
        key(&mut out, "ValidityType");
        put_head(&mut out, UNSIGNED, self.validity_type);
        out
    }
}

fn take<'a>(rest: &mut &'a [u8], length: usize) -> Result<&'a [u8], RecordError> {
    let (here, after) = rest.split_at_checked(length).ok_or(CUT_OFF)?;
    *rest = after;
    Ok(here)
}

fn varint(rest: &mut &[u8]) -> Result<u64, RecordError> {
    let mut number = 0u64;
    for shift in (0..64).step_by(7) {
        let byte = take(rest, 1)?[0];
        // The tenth byte has room for one bit.
        if shift == 63 && byte > 1 {
            break;
        }
        number |= u64::from(byte & 0x7f) << shift;
        if byte < 0x80 {
            return Ok(number);
        }
    }
    Err(RecordError::Malformed("a number that is too long"))
}

/// The major type and the argument of a CBOR item.
fn head(rest: &mut &[u8]) -> Result<(u8, u64), RecordError> {
    let byte = take(rest, 1)?[0];
    let (major, short) = (byte >> 5, byte & 31);
    let width = match short {
        0..24 => return Ok((major, u64::from(short))),
        24..28 => 1usize << (short - 24),
        _ => return Err(RecordError::Malformed("an item without a length")),
    };
    let argument = take(rest, width)?
        .iter()
        .fold(0, |sum, byte| sum << 8 | u64::from(*byte));
    let least = match width {
        1 => 24,
        _ => 1 << (width * 4),
    };
    // The argument of a simple value (floats are one) is no number to be shortened.
    if argument < least && major != SIMPLE {
        return Err(RecordError::Malformed("a number longer than it must be"));
    }
    Ok((major, argument))
}

fn put_head(out: &mut Vec<u8>, major: u8, argument: u64) {
    let bytes = argument.to_be_bytes();
    let (short, width) = match argument {
        0..24 => (argument as u8, 0),
        24..=0xff => (24, 1),
        0x100..=0xffff => (25, 2),
        0x1_0000..=0xffff_ffff => (26, 4),
        _ => (27, 8),
    };
    out.push(major << 5 | short);
    out.extend_from_slice(&bytes[8 - width..]);
}

fn string<'a>(rest: &mut &'a [u8], kind: u8) -> Result<&'a [u8], RecordError> {
    let (major, length) = head(rest)?;
    if major != kind {
        return Err(RecordError::Malformed("a value of the wrong kind"));
    }
    take(rest, usize::try_from(length).map_err(|_| CUT_OFF)?)
}

fn unsigned(rest: &mut &[u8]) -> Result<u64, RecordError> {
    match head(rest)? {
        (UNSIGNED, number) => Ok(number),
        _ => Err(RecordError::Malformed("a value of the wrong kind")),
    }
}

/// Passes over an item of any kind.
fn skip(rest: &mut &[u8], depth: u8) -> Result<(), RecordError> {
    let deeper = depth
        .checked_sub(1)
        .ok_or(RecordError::Malformed("nested too deeply"))?;
    let (major, argument) = head(rest)?;
    let items = match major {
        BYTES | TEXT => {
            take(rest, usize::try_from(argument).map_err(|_| CUT_OFF)?)?;
            0
        }
        ARRAY => argument,
        MAP => argument.saturating_mul(2),
        TAG => 1,
        _ => 0,
    };
    // Each item takes a byte, so a count that lies ends at the end of the bytes.
    for _ in 0..items {
        skip(rest, deeper)?;
    }
    Ok(())
}

const UNSIGNED: u8 = 0;
const BYTES: u8 = 2;
const TEXT: u8 = 3;
const ARRAY: u8 = 4;
const MAP: u8 = 5;
const TAG: u8 = 6;
const SIMPLE: u8 = 7;

/// Levels inside an extension key. Ours: nobody nests more, and each is a call.
const MAX_DEPTH: u8 = 16;

const CUT_OFF: RecordError = RecordError::Malformed("cut off");

#[cfg(all(test, not(target_arch = "wasm32")))]
mod tests {
    #![allow(clippy::unwrap_used)]
    use proptest::prelude::*;

    use super::*;

    fn document() -> Vec<u8> {
        let document = Document {
            value: b"/ipfs/x",
            validity: b"2033-05-18T03:33:20.000000000Z",
            validity_type: 0,
            sequence: 1 << 40,
            ttl: 300_000_000_000,
        };
        document.write()
    }

    #[test]
    fn extension_keys_are_passed_over() {
        // One entry more, and its key stands where it belongs: `_x`, the shortest.
        let plain = document();
        for item in [
            &b"\x82\x01\xa1\x61a\xf6"[..],
            b"\xd8\x2a\x41\x00",
            b"\xfb\0\0\0\0\0\0\0\0",
        ] {
            let more = [&[0xa6][..], b"\x62_x", item, &plain[1..]].concat();
            assert_eq!(Document::read(&more), Document::read(&plain));
        }
        let deep = [&[0xa6][..], b"\x62_x", &[0x81; 40], &[0], &plain[1..]].concat();
        assert!(Document::read(&deep).is_err());
        let bomb = [
            &[0xa6][..],
            b"\x62_x",
            b"\x9b\xff\xff\xff\xff\xff\xff\xff\xff",
        ]
        .concat();
        assert_eq!(Document::read(&bomb), Err(CUT_OFF));
    }

    #[test]
    fn only_one_spelling() {
        let plain = document();
        let at = plain
            .windows(4)
            .position(|four| four == b"\x63TTL")
            .unwrap();
        // The same key twice, a longer number, a map without a length, bytes after the end.
        let ttl = &plain[at..at + 13];
        let twice = [&[0xa6][..], ttl, &plain[1..]].concat();
        let longer = [&plain[..1], b"\x63TTL\x18\x05", &plain[at + 13..]].concat();
        let endless = [&[0xbf][..], &plain[1..], &[0xff]].concat();
        let after = [&plain[..], &[0]].concat();
        for bytes in [twice, longer, endless, after] {
            assert!(matches!(
                Document::read(&bytes),
                Err(RecordError::Malformed(_))
            ));
        }
    }

    #[test]
    fn fields_are_once_and_of_their_form() {
        let entry = Entry::write(&[1; 64], &[2; 200]);
        let read = Entry::read(&entry).unwrap();
        assert_eq!(read.signature, Some(&[1; 64][..]));
        assert_eq!(read.data, Some(&[2; 200][..]));
        assert!(Entry::read(&[&entry[..], &entry[..]].concat()).is_err());
        // An unknown field is passed over, a known one as a number where bytes belong is not.
        let unknown = [&entry[..], b"\x52\x01a\x58\x01"].concat();
        assert_eq!(Entry::read(&unknown), Ok(read));
        assert!(Entry::read(b"\x48\x01").is_err());
        let endless = [0xff; 11];
        assert!(Entry::read(&endless).is_err());
    }

    proptest! {
        #[test]
        fn documents_come_back(value in prop::collection::vec(any::<u8>(), 0..300), sequence in any::<u64>(), ttl in any::<u64>(), kind in any::<u64>()) {
            let document = Document { value: &value, validity: b"soon", validity_type: kind, sequence, ttl };
            let bytes = document.write();
            prop_assert_eq!(Document::read(&bytes), Ok(document));
        }

        #[test]
        fn any_bytes_are_looked_at_without_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            let _ = Entry::read(&bytes);
            // What is accepted has one spelling, but for extension keys and a missing hint.
            if let Ok(document) = Document::read(&bytes) {
                prop_assert!(document.write().len() <= bytes.len() + 14);
            }
        }

        #[test]
        fn a_changed_byte_is_looked_at_without_panic(at in any::<prop::sample::Index>(), xor in 1u8..) {
            let mut bytes = document();
            let at = at.index(bytes.len());
            bytes[at] ^= xor;
            let _ = Document::read(&bytes);
        }
    }
}
