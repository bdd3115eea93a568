//! The strict subset of DAG-CBOR that manifests and signed documents use: read in one pass, without recursion and without copies.
//!
//! Only the shortest form of every number and length is read, and only definite lengths, so that one value has one encoding
//! (<https://ipld.io/specs/codecs/dag-cbor/spec/>). Every length is checked against what is left before anything is made of it.

/// Why bytes are not the one encoding of a value.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(in crate::proto) enum CborError {
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
pub(in crate::proto) struct Reader<'a> {
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

/// Appends values.
#[derive(Debug, Default)]
pub(in crate::proto) struct Writer(pub Vec<u8>);

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

/// The tag of a CID in DAG-CBOR; a zero byte goes before it.
const CID_TAG: u64 = 42;
