//! An envelope as it is left: under which terms, until when, and why it may be.

use std::fmt;
use std::sync::Arc;

use bytes::{BufMut, Bytes, BytesMut};

use super::sign::{SIGNATURE_LEN, Signature, Signer, Subject, signed};
use super::stamp;
use super::tag::{Gate, Lane, Pass, TERMS_LEN, Tag, Terms};
use super::{CLOCK_ERROR, ENVELOPE_LEN, HOUR, MessageId, Refusal};

/// Most bytes of a deposit.
pub const MAX_DEPOSIT: usize = TERMS_LEN + 4 + SIGNATURE_LEN + ENVELOPE_LEN;

/// When something ends, in hours since 1970.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Expiry(pub u32);

impl Expiry {
    /// The end of the longest time that a lane allows from `unix`, seconds since 1970: in whole hours, as all messages of an hour
    /// look the same then.
    pub fn from_now(lane: Lane, unix: u64) -> Self {
        Self(
            u32::try_from(unix / HOUR)
                .unwrap_or(u32::MAX)
                .saturating_add(lane.hours()),
        )
    }

    /// Seconds since 1970.
    pub fn unix(self) -> u64 {
        u64::from(self.0) * HOUR
    }
}

/// Why a message may be left.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Proof {
    /// A signature of tag, id and end by the contacts' key.
    Write(Signature),
    /// A stamp over them.
    Stamp(u64),
}

/// All but the envelope.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Header {
    terms: Terms,
    expiry: Expiry,
    proof: Proof,
    id: MessageId,
    tag: Tag,
}

/// A message to be kept.
#[derive(Clone, PartialEq, Eq)]
pub struct Deposit {
    /// Shared, as what is sent to several peers is.
    header: Arc<Header>,
    envelope: Bytes,
}

impl fmt::Debug for Deposit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Deposit").field(&self.header.id).finish()
    }
}

impl Header {
    /// Where it lies, and who may do what there.
    pub fn terms(&self) -> &Terms {
        &self.terms
    }

    /// Until when.
    pub fn expiry(&self) -> Expiry {
        self.expiry
    }

    /// Which message.
    pub fn id(&self) -> MessageId {
        self.id
    }

    /// The tag of its terms.
    pub fn tag(&self) -> Tag {
        self.tag
    }

    /// Bits of its stamp; 0 in the contacts' lane.
    pub fn strength(&self) -> u8 {
        match self.proof {
            Proof::Write(_) => 0,
            Proof::Stamp(nonce) => stamp::strength(self.tag, self.id, self.expiry, nonce),
        }
    }

    /// Seconds since 1970 at which it was sent, if its sender gave it all the time that it may have; else earlier.
    pub fn sent(&self) -> u64 {
        let hours = self.terms.lane().hours();
        u64::from(self.expiry.0.saturating_sub(hours)) * HOUR
    }

    /// Whether it may be kept at `unix`, seconds since 1970.
    ///
    /// # Errors
    /// `Expired`, `TooLong`, `WeakStamp` or `BadSignature`.
    pub fn check(&self, unix: u64) -> Result<(), Refusal> {
        let week_to_come = self.terms.week.start() > unix.saturating_add(CLOCK_ERROR);
        if self.expiry.unix() > self.terms.latest() || week_to_come {
            return Err(Refusal::TooLong);
        }
        if self.expiry.unix() <= unix {
            return Err(Refusal::Expired);
        }
        match (&self.terms.gate, &self.proof) {
            (Gate::Write(key), Proof::Write(signature)) => {
                match signed(key, Subject::Deposit, &[&self.text()], signature) {
                    true => Ok(()),
                    false => Err(Refusal::BadSignature),
                }
            }
            (Gate::Stamp(bits), Proof::Stamp(_)) if self.strength() >= *bits => Ok(()),
            _ => Err(Refusal::WeakStamp),
        }
    }

    /// The bytes, without the envelope's.
    pub fn encode(&self) -> Vec<u8> {
        let proof: &[u8] = match &self.proof {
            Proof::Write(signature) => signature,
            Proof::Stamp(nonce) => &nonce.to_be_bytes(),
        };
        [
            &self.terms.encode()[..],
            &self.expiry.0.to_be_bytes(),
            proof,
        ]
        .concat()
    }

    /// Reads what [`encode`](Self::encode) wrote of a message that was checked before; `None` if these are no such bytes.
    pub fn of_kept(id: MessageId, bytes: &[u8]) -> Option<Self> {
        let (terms, expiry, proof, rest) = parse(bytes)?;
        rest.is_empty()
            .then(|| Self::with_id(terms, expiry, proof, id))
    }

    /// Bytes of [`encode`](Self::encode).
    pub(super) fn encoded_len(&self) -> usize {
        let proof = match self.proof {
            Proof::Write(_) => SIGNATURE_LEN,
            Proof::Stamp(_) => 8,
        };
        TERMS_LEN + 4 + proof
    }

    pub(super) fn with_id(terms: Terms, expiry: Expiry, proof: Proof, id: MessageId) -> Self {
        let tag = terms.tag();
        Self {
            terms,
            expiry,
            proof,
            id,
            tag,
        }
    }

    /// Of a contact.
    pub(super) fn signed(terms: Terms, signer: &Signer, expiry: Expiry, id: MessageId) -> Self {
        let mut header = Self::with_id(terms, expiry, Proof::Write([0; SIGNATURE_LEN]), id);
        header.proof = Proof::Write(signer.sign(Subject::Deposit, &[&header.text()]));
        header
    }

    /// What a contact signs.
    fn text(&self) -> [u8; 68] {
        let mut text = [0; 68];
        text[..32].copy_from_slice(&self.tag.0);
        text[32..64].copy_from_slice(&self.id.0);
        text[64..].copy_from_slice(&self.expiry.0.to_be_bytes());
        text
    }
}

impl Deposit {
    /// A contact's message; its envelope must have [`ENVELOPE_LEN`] bytes.
    pub fn by_contact(pass: &Pass, expiry: Expiry, envelope: Bytes) -> Self {
        Self::signed(pass.terms(), &pass.signer(), expiry, envelope)
    }

    /// A stranger's message, with the number that [`stamp::Search`] found.
    pub fn by_stranger(terms: Terms, expiry: Expiry, stamp: u64, envelope: Bytes) -> Self {
        Self::new(terms, expiry, Proof::Stamp(stamp), envelope)
    }

    /// All but the envelope.
    pub fn header(&self) -> &Header {
        &self.header
    }

    /// Which message.
    pub fn id(&self) -> MessageId {
        self.header.id
    }

    /// The envelope.
    pub fn envelope(&self) -> &Bytes {
        &self.envelope
    }

    /// Bytes of its encoding.
    pub fn encoded_len(&self) -> usize {
        self.header.encoded_len() + ENVELOPE_LEN
    }

    /// Writes the bytes.
    pub fn encode_into(&self, out: &mut BytesMut) {
        out.put_slice(&self.header.encode());
        out.put_slice(&self.envelope);
    }

    /// Reads a deposit; `None` if these are no such bytes. The envelope shares them.
    pub fn decode(bytes: &Bytes) -> Option<Self> {
        let (terms, expiry, proof, rest) = parse(bytes)?;
        if rest.len() != ENVELOPE_LEN {
            return None;
        }
        let envelope = bytes.slice(bytes.len() - ENVELOPE_LEN..);
        Some(Self::new(terms, expiry, proof, envelope))
    }

    fn signed(terms: Terms, signer: &Signer, expiry: Expiry, envelope: Bytes) -> Self {
        let id = MessageId::of(terms.tag(), &envelope);
        Self {
            header: Arc::new(Header::signed(terms, signer, expiry, id)),
            envelope,
        }
    }

    fn new(terms: Terms, expiry: Expiry, proof: Proof, envelope: Bytes) -> Self {
        let id = MessageId::of(terms.tag(), &envelope);
        Self {
            header: Arc::new(Header::with_id(terms, expiry, proof, id)),
            envelope,
        }
    }
}

/// What stands in front of an envelope, and the rest.
pub(super) fn parse(bytes: &[u8]) -> Option<(Terms, Expiry, Proof, &[u8])> {
    let (terms, rest) = bytes.split_first_chunk::<TERMS_LEN>()?;
    let terms = Terms::decode(terms)?;
    let (expiry, rest) = rest.split_first_chunk::<4>()?;
    let (proof, rest) = match terms.lane() {
        Lane::Contact => {
            let (signature, rest) = rest.split_first_chunk::<SIGNATURE_LEN>()?;
            (Proof::Write(*signature), rest)
        }
        Lane::Stranger => {
            let (nonce, rest) = rest.split_first_chunk::<8>()?;
            (Proof::Stamp(u64::from_be_bytes(*nonce)), rest)
        }
    };
    Some((terms, Expiry(u32::from_be_bytes(*expiry)), proof, rest))
}
