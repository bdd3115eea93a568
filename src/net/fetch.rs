//! Parts of files from HTTP servers: a trait, and the page's own `fetch` behind it.
//!
//! A server is a stranger. What it answers is held against what was asked while it arrives, so that none can make us take
//! in more than that: [`Body`] does this for every backend.

#[cfg(target_arch = "wasm32")]
pub mod web;

use std::fmt::Debug;
use std::ops::Range;

use bytes::Bytes;
use futures::future::LocalBoxFuture;

use crate::proto::web_seed::Fault;

/// What is asked of a server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Request {
    /// An `http` or `https` address.
    pub address: String,
    /// Which bytes; `None` for all of them, at most `most`.
    pub range: Option<Range<u64>>,
    /// Bytes that are taken in at most.
    pub most: usize,
}

/// Something that makes HTTP requests: without cookies or other credentials, without a referrer, past any cache of its own,
/// following redirects. Dropping the future gives the request up.
pub trait Fetch: Debug {
    /// Asks for a file or a part of it, and ends with exactly what was asked for.
    fn get(&self, request: Request) -> LocalBoxFuture<'static, Result<Bytes, Fault>>;
}

impl Request {
    /// The value of the `Range` header, if there is one.
    pub fn range_header(&self) -> Option<String> {
        let range = self.range.as_ref().filter(|range| !range.is_empty())?;
        Some(format!("bytes={}-{}", range.start, range.end - 1))
    }
}

/// An answer as it comes in.
#[derive(Debug)]
pub struct Body {
    bytes: Vec<u8>,
    /// How many bytes it must have.
    exact: Option<usize>,
    most: usize,
}

impl Body {
    /// The head of the answer is here, with the length that it announces, if any.
    ///
    /// # Errors
    /// What the status, or the length, says: then nothing of the body need be read.
    pub fn begin(request: &Request, status: u16, length: Option<u64>) -> Result<Self, Fault> {
        let exact = request.range.as_ref().map(|range| range.end - range.start);
        match (status, &request.range) {
            (206, Some(_)) | (200, None) => {}
            // A server that knows no ranges will do for a file that is asked for whole.
            (200, Some(range))
                if range.start == 0 && length.is_none_or(|len| Some(len) == exact) => {}
            (200 | 206, _) => return Err(Fault::NoRanges),
            (416, _) => return Err(Fault::WrongBytes),
            (408 | 425 | 429 | 500..=599, _) => return Err(Fault::Busy),
            _ => return Err(Fault::Missing),
        }
        let body = Self {
            bytes: Vec::new(),
            exact: exact.map(|len| usize::try_from(len).unwrap_or(usize::MAX)),
            most: request.most,
        };
        match length.is_some_and(|length| length > body.limit() as u64) {
            true => Err(body.too_long()),
            false => Ok(body),
        }
    }

    /// Takes in the next piece.
    ///
    /// # Errors
    /// If it is more than was asked for.
    pub fn push(&mut self, piece: &[u8]) -> Result<(), Fault> {
        if self.bytes.len() + piece.len() > self.limit() {
            return Err(self.too_long());
        }
        self.bytes.extend_from_slice(piece);
        Ok(())
    }

    /// The answer has ended.
    ///
    /// # Errors
    /// If it ended too early.
    pub fn end(self) -> Result<Bytes, Fault> {
        match self.exact.is_none_or(|exact| exact == self.bytes.len()) {
            true => Ok(self.bytes.into()),
            false => Err(Fault::Broken),
        }
    }

    fn limit(&self) -> usize {
        self.exact.unwrap_or(self.most).min(self.most)
    }

    fn too_long(&self) -> Fault {
        match self.exact {
            Some(_) => Fault::NoRanges,
            None => Fault::WrongBytes,
        }
    }
}

#[cfg(all(test, not(target_arch = "wasm32")))]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn request(range: Option<Range<u64>>, most: usize) -> Request {
        Request {
            address: String::new(),
            range,
            most,
        }
    }

    fn fault(request: &Request, status: u16, length: Option<u64>) -> Option<Fault> {
        Body::begin(request, status, length).err()
    }

    #[test]
    fn the_head_decides_what_it_can() {
        let part = request(Some(100..200), 100);
        assert_eq!(part.range_header().as_deref(), Some("bytes=100-199"));
        assert_eq!(fault(&part, 206, Some(100)), None);
        assert_eq!(fault(&part, 206, None), None);
        assert_eq!(fault(&part, 206, Some(101)), Some(Fault::NoRanges));
        assert_eq!(fault(&part, 200, Some(100)), Some(Fault::NoRanges));
        assert_eq!(fault(&part, 404, None), Some(Fault::Missing));
        assert_eq!(fault(&part, 304, None), Some(Fault::Missing));
        assert_eq!(fault(&part, 416, None), Some(Fault::WrongBytes));
        assert_eq!(fault(&part, 429, None), Some(Fault::Busy));
        assert_eq!(fault(&part, 503, None), Some(Fault::Busy));
        let whole = request(Some(0..100), 100);
        assert_eq!(fault(&whole, 200, Some(100)), None);
        assert_eq!(fault(&whole, 200, Some(1_000_000)), Some(Fault::NoRanges));
        let tree = request(None, 100);
        assert_eq!(tree.range_header(), None);
        assert_eq!(fault(&tree, 200, Some(100)), None);
        assert_eq!(fault(&tree, 206, Some(100)), Some(Fault::NoRanges));
        assert_eq!(fault(&tree, 200, Some(101)), Some(Fault::WrongBytes));
    }

    proptest! {
        /// Whatever a server sends, no more than was asked for is kept, and only that counts as an answer.
        #[test]
        fn no_more_is_taken_in_than_was_asked_for(
            start in 0u64..3, len in 0u64..50, ranged: bool, status in prop_oneof![Just(200u16), Just(206u16), any::<u16>()],
            length in prop::option::of(0u64..100), pieces in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..30), 0..8),
        ) {
            let request = request(ranged.then(|| start..start + len), len as usize);
            let Ok(mut body) = Body::begin(&request, status, length) else { return Ok(()) };
            let all = pieces.concat();
            let taken = pieces.iter().try_for_each(|piece| body.push(piece));
            prop_assert!(body.bytes.len() as u64 <= len);
            prop_assert_eq!(taken.is_ok(), all.len() as u64 <= len);
            if taken.is_ok() {
                let answer = body.end();
                prop_assert_eq!(answer.is_ok(), !ranged || all.len() as u64 == len);
                prop_assert!(answer.map_or(true, |bytes| bytes == all));
            }
        }
    }
}
