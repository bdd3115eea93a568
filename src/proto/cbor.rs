//! The strict subset of DAG-CBOR that manifests, signed documents and stored records use: read in one pass, without recursion and
//! without copies.
//!
//! Only the shortest form of every number and length is read, and only definite lengths, so that one value has one encoding
//! (<https://ipld.io/specs/codecs/dag-cbor/spec/>). Every length is checked against what is left before anything is made of it.

/// Why bytes are not the one encoding of a value.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum CborError {
    /// Another value than the one expected.
    #[error("not the expected value")]
    Malformed,
    /// They stop before their end.
    #[error("cut off")]
    Truncated,
    /// A number or a length is not in its shortest form, or a length is left open.
    #[error("not in its one encoding")]
    NotCanonical,
}

/// Reads values off the front of a byte string.
#[derive(Debug)]
pub(crate) struct Reader<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Reader<'a> {
    pub fn new(bytes: &'a [u8]) -> Self {
        Self { bytes, at: 0 }
    }

    /// Bytes read so far.
    pub fn at(&self) -> usize {
        self.at
    }

    pub fn is_at_end(&self) -> bool {
        self.at == self.bytes.len()
    }

    pub fn uint(&mut self) -> Result<u64, CborError> {
        self.of(UINT)
    }

    /// The length of an array, which its items follow. Each takes at least one byte.
    pub fn array(&mut self) -> Result<usize, CborError> {
        self.counted(ARRAY, 1)
    }

    /// The number of pairs in a map, which follow.
    pub fn map(&mut self) -> Result<usize, CborError> {
        self.counted(MAP, 2)
    }

    pub fn bytes(&mut self) -> Result<&'a [u8], CborError> {
        let len = self.counted(BYTES, 1)?;
        self.take(len)
    }

    pub fn text(&mut self) -> Result<&'a str, CborError> {
        let len = self.counted(TEXT, 1)?;
        std::str::from_utf8(self.take(len)?).map_err(|_| CborError::Malformed)
    }

    /// Exactly `N` bytes.
    pub fn fixed_bytes<const N: usize>(&mut self) -> Result<[u8; N], CborError> {
        self.bytes()?.try_into().map_err(|_| CborError::Malformed)
    }

    /// The bytes of a CID.
    pub fn link(&mut self) -> Result<&'a [u8], CborError> {
        if self.of(TAG)? != CID_TAG {
            return Err(CborError::Malformed);
        }
        match self.bytes()?.split_first() {
            Some((0, cid)) => Ok(cid),
            _ => Err(CborError::Malformed),
        }
    }

    pub fn bool(&mut self) -> Result<bool, CborError> {
        match self.fixed()? {
            [FALSE] => Ok(false),
            [TRUE] => Ok(true),
            _ => Err(CborError::Malformed),
        }
    }

    /// Goes past one value of any kind; its bytes.
    pub fn skip(&mut self) -> Result<&'a [u8], CborError> {
        let from = self.at;
        // No more than half the square of the bytes: every count is checked against what is left.
        let mut values = 1u64;
        while values > 0 {
            values -= 1;
            let first = *self.bytes.get(self.at).ok_or(CborError::Truncated)?;
            match first >> 5 {
                BYTES => drop(self.bytes()?),
                TEXT => drop(self.text()?),
                ARRAY => values += self.array()? as u64,
                MAP => values += 2 * self.map()? as u64,
                TAG => drop(self.link()?),
                SIMPLE => match first {
                    FALSE | TRUE | NULL => drop(self.take(1)?),
                    FLOAT => drop(self.take(9)?),
                    _ => return Err(CborError::Malformed),
                },
                number => drop(self.of(number)?),
            }
        }
        Ok(&self.bytes[from..self.at])
    }

    fn counted(&mut self, major: u8, least: usize) -> Result<usize, CborError> {
        let count = self.of(major)?;
        let left = (self.bytes.len() - self.at) / least;
        usize::try_from(count)
            .ok()
            .filter(|count| *count <= left)
            .ok_or(CborError::Truncated)
    }

    fn of(&mut self, major: u8) -> Result<u64, CborError> {
        let [first] = self.fixed()?;
        if first >> 5 != major {
            return Err(CborError::Malformed);
        }
        let (value, least) = match first & 31 {
            small @ 0..=23 => (u64::from(small), 0),
            24 => (u64::from(u8::from_be_bytes(self.fixed()?)), 24),
            25 => (u64::from(u16::from_be_bytes(self.fixed()?)), 1 << 8),
            26 => (u64::from(u32::from_be_bytes(self.fixed()?)), 1 << 16),
            27 => (u64::from_be_bytes(self.fixed()?), 1 << 32),
            _ => return Err(CborError::NotCanonical),
        };
        match value < least {
            true => Err(CborError::NotCanonical),
            false => Ok(value),
        }
    }

    fn fixed<const N: usize>(&mut self) -> Result<[u8; N], CborError> {
        let rest = &self.bytes[self.at..];
        let found = rest.first_chunk().ok_or(CborError::Truncated)?;
        self.at += N;
        Ok(*found)
    }

    fn take(&mut self, len: usize) -> Result<&'a [u8], CborError> {
        let rest = &self.bytes[self.at..];
        let taken = rest.get(..len).ok_or(CborError::Truncated)?;
        self.at += len;
        Ok(taken)
    }
}

/// A map from texts to values of any kind, of which the known ones are asked for.
#[derive(Debug)]
pub(crate) struct Record<'a>(Vec<(&'a str, &'a [u8])>);

impl<'a> Record<'a> {
    /// Reads a map that is all there is; its keys ascend by length and then by bytes, so none stands twice.
    pub fn read(bytes: &'a [u8]) -> Result<Self, CborError> {
        let mut reader = Reader::new(bytes);
        let record = Self::read_from(&mut reader)?;
        if !reader.is_at_end() {
            return Err(CborError::Malformed);
        }
        Ok(record)
    }

    /// Reads a map in front of other values.
    pub fn read_from(reader: &mut Reader<'a>) -> Result<Self, CborError> {
        let mut fields: Vec<(&str, &[u8])> = Vec::new();
        for _ in 0..reader.map()? {
            let key = reader.text()?;
            let ascends = |last: &(&str, _)| (last.0.len(), last.0) < (key.len(), key);
            if !fields.last().is_none_or(ascends) {
                return Err(CborError::NotCanonical);
            }
            fields.push((key, reader.skip()?));
        }
        Ok(Self(fields))
    }

    /// The value of a field that must be there.
    pub fn field(&self, name: &str) -> Result<Reader<'a>, CborError> {
        let found = self.0.iter().find(|(key, _)| *key == name);
        found.map_or(Err(CborError::Malformed), |(_, value)| {
            Ok(Reader::new(value))
        })
    }

    /// The value of a field that may be missing or nothing.
    pub fn optional(&self, name: &str) -> Option<Reader<'a>> {
        self.field(name)
            .ok()
            .filter(|reader| reader.bytes != [NULL])
    }
}

/// Appends values.
#[derive(Debug, Default)]
pub(crate) struct Writer(pub Vec<u8>);

impl Writer {
    pub fn uint(&mut self, value: u64) {
        self.head(UINT, value);
    }

    pub fn array(&mut self, count: usize) {
        self.head(ARRAY, count as u64);
    }

    pub fn map(&mut self, count: usize) {
        self.head(MAP, count as u64);
    }

    pub fn bytes(&mut self, bytes: &[u8]) {
        self.head(BYTES, bytes.len() as u64);
        self.0.extend_from_slice(bytes);
    }

    pub fn text(&mut self, text: &str) {
        self.head(TEXT, text.len() as u64);
        self.0.extend_from_slice(text.as_bytes());
    }

    pub fn link(&mut self, cid: &[u8]) {
        self.head(TAG, CID_TAG);
        self.head(BYTES, cid.len() as u64 + 1);
        self.0.push(0);
        self.0.extend_from_slice(cid);
    }

    pub fn bool(&mut self, value: bool) {
        self.0.push(if value { TRUE } else { FALSE });
    }

    pub fn null(&mut self) {
        self.0.push(NULL);
    }

    /// The number, or nothing.
    pub fn optional_uint(&mut self, value: Option<u64>) {
        match value {
            Some(value) => self.uint(value),
            None => self.null(),
        }
    }

    /// The text, or nothing.
    #[cfg(feature = "node")]
    pub fn optional_text(&mut self, value: Option<&str>) {
        match value {
            Some(text) => self.text(text),
            None => self.null(),
        }
    }

    fn head(&mut self, major: u8, value: u64) {
        let major = major << 5;
        match value {
            0..=23 => self.0.push(major | value as u8),
            24..=0xff => self.0.extend([major | 24, value as u8]),
            0x100..=0xffff => {
                self.0.push(major | 25);
                self.0.extend((value as u16).to_be_bytes());
            }
            0x1_0000..=0xffff_ffff => {
                self.0.push(major | 26);
                self.0.extend((value as u32).to_be_bytes());
            }
            _ => {
                self.0.push(major | 27);
                self.0.extend(value.to_be_bytes());
            }
        }
    }
}

/// The major types of RFC 8949 that occur.
const UINT: u8 = 0;
const BYTES: u8 = 2;
const TEXT: u8 = 3;
const ARRAY: u8 = 4;
const MAP: u8 = 5;
const TAG: u8 = 6;
const SIMPLE: u8 = 7;

/// Values of one byte, and the first of a number of 64 bits with a fraction, the only length that DAG-CBOR has.
const FALSE: u8 = 0xf4;
const TRUE: u8 = 0xf5;
const NULL: u8 = 0xf6;
const FLOAT: u8 = 0xfb;

/// The tag of a CID in DAG-CBOR; a zero byte goes before it.
const CID_TAG: u64 = 42;

#[cfg(all(test, not(target_arch = "wasm32")))]
mod tests {
    use ipld_core::ipld::Ipld;
    use proptest::prelude::*;

    use super::*;

    fn value() -> impl Strategy<Value = Ipld> {
        let leaf = prop_oneof![
            Just(Ipld::Null),
            any::<bool>().prop_map(Ipld::Bool),
            any::<i64>().prop_map(|number| Ipld::Integer(number.into())),
            (-1e9..1e9).prop_map(Ipld::Float),
            prop::collection::vec(any::<u8>(), 0..300).prop_map(Ipld::Bytes),
            ".{0,30}".prop_map(Ipld::String),
            any::<[u8; 32]>().prop_map(|hash| Ipld::Link(crate::proto::link::manifest_as_cid(
                crate::proto::types::BlobHash(hash)
            ))),
        ];
        leaf.prop_recursive(4, 40, 6, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..6).prop_map(Ipld::List),
                prop::collection::btree_map(".{0,6}", inner, 0..6).prop_map(Ipld::Map),
            ]
        })
    }

    proptest! {
        #[test]
        fn any_value_is_passed_over(value in value(), after in any::<u8>()) {
            let mut bytes = serde_ipld_dagcbor::to_vec(&value).map_err(|_| TestCaseError::reject("no DAG-CBOR"))?;
            let len = bytes.len();
            bytes.push(after);
            let mut reader = Reader::new(&bytes);
            prop_assert_eq!(reader.skip().map(<[u8]>::len), Ok(len));
            for cut in 0..len.min(40) {
                prop_assert_eq!(Reader::new(&bytes[..cut]).skip(), Err(CborError::Truncated));
            }
        }

        #[test]
        fn a_record_has_the_fields_of_a_map(fields in prop::collection::btree_map("[a-z]{0,4}", value(), 0..8)) {
            let bytes = serde_ipld_dagcbor::to_vec(&Ipld::Map(fields.clone())).map_err(|_| TestCaseError::reject("no DAG-CBOR"))?;
            let record = Record::read(&bytes).map_err(|error| TestCaseError::fail(error.to_string()))?;
            prop_assert_eq!(record.0.len(), fields.len());
            for (name, value) in &fields {
                let bytes = serde_ipld_dagcbor::to_vec(value).map_err(|_| TestCaseError::reject("no DAG-CBOR"))?;
                prop_assert_eq!(record.field(name).map(|reader| reader.bytes.to_vec()), Ok(bytes));
                prop_assert_eq!(record.optional(name).is_none(), *value == Ipld::Null);
            }
            prop_assert!(record.field("absent").is_err() && record.optional("absent").is_none());
        }

        #[test]
        fn anything_is_read_or_refused(bytes in prop::collection::vec(any::<u8>(), 0..64)) {
            let skipped = Reader::new(&bytes).skip().map(<[u8]>::len);
            prop_assert!(skipped.is_ok_and(|len| len <= bytes.len()) || skipped.is_err());
            if let Ok(record) = Record::read(&bytes) {
                prop_assert!(record.0.len() * 2 < bytes.len());
            }
        }
    }

    #[test]
    fn keys_out_of_order_and_bytes_behind_are_refused() {
        for bytes in [
            &b"\xa2\x61b\x00\x61a\x00"[..],
            b"\xa2\x61a\x00\x61a\x00",
            b"\xa1\x61a\x00\x00",
            b"\xa1\x00\x00",
            b"\x80",
            b"\xa1\x61a\xf7",
            b"\xa1\x61a\xf9\x00\x00",
        ] {
            assert!(Record::read(bytes).is_err(), "{bytes:x?}");
        }
    }
}
