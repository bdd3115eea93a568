//! The messages of `/gyre/custody/1.0.0` and their bytes: `docs/custody.md` has the table.
//!
//! Who opened a stream asks on it, who accepted it answers and begins with a challenge. A reader's signature holds for that
//! challenge and that custodian, so nobody can show it elsewhere or later, and no clock is compared.

use bytes::{BufMut, Bytes, BytesMut};

use super::deposit::{Deposit, Expiry, MAX_DEPOSIT};
use super::keep::Keep;
use super::sign::{SIGNATURE_LEN, Signature, Signer, Subject, signed};
use super::tag::{TERMS_LEN, Tag, Terms};
use super::{MessageId, PeerId, Refusal};

/// Longest message in bytes, without the two of its length: a tag and the longest deposit.
pub const MAX_MESSAGE: usize = 1 + MAX_DEPOSIT;

/// Messages named in one `Listing`, `Get`, `Delete` or `Deleted`. Ours: a full mailbox is four listings.
pub const MAX_IDS: usize = 64;

/// Bytes of a challenge, and of a proof that an envelope is held.
pub const NONCE_LEN: usize = 16;

/// A number that is used once.
pub type Nonce = [u8; NONCE_LEN];

/// One message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Message {
    /// Answer, the first: sign this.
    Challenge(Nonce),
    /// Keep this.
    Put(Deposit),
    /// Answer: it is stored until then; signed by the custodian's own key.
    Receipt(MessageId, Expiry, Signature),
    /// Answer: this was not done.
    Refused(MessageId, Refusal),
    /// Which messages lie here? From now on the asker may get them, and if `watch`, is told of new ones.
    List {
        /// Where.
        terms: Terms,
        /// Tell of what comes later.
        watch: bool,
        /// See [`sign_list`].
        signature: Signature,
    },
    /// Answer: these, and more listings follow or not.
    Listing {
        /// Where.
        tag: Tag,
        /// Whether another listing follows.
        more: bool,
        /// Which.
        ids: Vec<MessageId>,
    },
    /// Send me these.
    Get(Tag, Vec<MessageId>),
    /// Answer: one of them.
    Letter(Deposit),
    /// Answer: it is not here.
    Absent(MessageId),
    /// Delete these and refuse them from now on; each is signed by the reader's key.
    Delete(Terms, Vec<(MessageId, Signature)>),
    /// Answer: they are gone.
    Deleted(Vec<MessageId>),
    /// Do you hold this? Show it over this nonce.
    Probe(MessageId, Nonce),
    /// Answer: yes, see [`possession`].
    Held(MessageId, Nonce),
    /// Answer: its reader deleted it, and here is what the reader signed.
    Buried(MessageId, Signature),
    /// A message has come that the asker watches for.
    New(Tag, MessageId),
    /// Keep these blobs with a message that lies here. A receipt with the id of the wish says that all of them do.
    Keep(Keep),
}

/// Bytes that are no message.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum MessageError {
    /// Longer than the longest, or empty.
    #[error("a message of {0} bytes")]
    Length(usize),
    /// A kind that this version does not know.
    #[error("a message with tag {0}")]
    Tag(u8),
    /// The fields of this kind are others.
    #[error("a message with tag {0} and wrong fields")]
    Malformed(u8),
}

/// What an asker signs: the custodian's challenge, the custodian, and the tag.
pub fn sign_list(signer: &Signer, nonce: &Nonce, custodian: PeerId, tag: Tag) -> Signature {
    signer.sign(Subject::List, &[nonce, &custodian.0, &tag.0])
}

/// Whether the reader of these terms asked this custodian under this challenge.
pub fn may_list(terms: &Terms, nonce: &Nonce, custodian: PeerId, signature: &Signature) -> bool {
    let parts: [&[u8]; 3] = [nonce, &custodian.0, &terms.tag().0];
    signed(&terms.fetch, Subject::List, &parts, signature)
}

/// What a reader signs to have a message deleted everywhere: the same bytes on each of its devices.
pub fn sign_delete(signer: &Signer, tag: Tag, id: MessageId) -> Signature {
    signer.sign(Subject::Delete, &[&tag.0, &id.0])
}

/// Whether the reader of these terms deleted the message.
pub fn may_delete(terms: &Terms, id: MessageId, signature: &Signature) -> bool {
    let parts: [&[u8]; 2] = [&terms.tag().0, &id.0];
    signed(&terms.fetch, Subject::Delete, &parts, signature)
}

/// The custodian's receipt: it holds the message until then.
pub fn sign_receipt(signer: &Signer, id: MessageId, expiry: Expiry) -> Signature {
    signer.sign(Subject::Receipt, &[&id.0, &expiry.0.to_be_bytes()])
}

/// Whether this custodian gave this receipt.
pub fn is_receipt(custodian: PeerId, id: MessageId, expiry: Expiry, signature: &Signature) -> bool {
    let parts: [&[u8]; 2] = [&id.0, &expiry.0.to_be_bytes()];
    signed(&custodian.0, Subject::Receipt, &parts, signature)
}

/// What only a holder of the whole envelope can answer to a probe, whoever asks whom: so nobody counts as a copy who dropped it.
pub fn possession(custodian: PeerId, nonce: &Nonce, envelope: &[u8]) -> Nonce {
    let mut hasher = blake3::Hasher::new_derive_key(POSSESSION_CONTEXT);
    hasher.update(&custodian.0).update(nonce).update(envelope);
    let mut out = [0; NONCE_LEN];
    out.copy_from_slice(&hasher.finalize().as_bytes()[..NONCE_LEN]);
    out
}

impl Message {
    /// Whether whoever opened a stream sends it, and not whoever accepted it.
    pub fn is_request(&self) -> bool {
        matches!(
            self,
            Self::Put(_)
                | Self::List { .. }
                | Self::Get(..)
                | Self::Delete(..)
                | Self::Probe(..)
                | Self::Keep(_)
        )
    }

    /// Bytes of the encoding, those of the length before it included.
    pub fn wire_len(&self) -> usize {
        const ID: usize = 32;
        3 + match self {
            Self::Challenge(_) => NONCE_LEN,
            Self::Put(deposit) | Self::Letter(deposit) => deposit.encoded_len(),
            Self::Receipt(..) => ID + 4 + SIGNATURE_LEN,
            Self::Refused(..) => ID + 1,
            Self::List { .. } => TERMS_LEN + 1 + SIGNATURE_LEN,
            Self::Listing { ids, .. } => 32 + 1 + ids.len().min(MAX_IDS) * ID,
            Self::Get(_, ids) => 32 + ids.len().min(MAX_IDS) * ID,
            Self::Absent(_) => ID,
            Self::Delete(_, items) => TERMS_LEN + items.len().min(MAX_IDS) * (ID + SIGNATURE_LEN),
            Self::Deleted(ids) => ids.len().min(MAX_IDS) * ID,
            Self::Probe(..) | Self::Held(..) => ID + NONCE_LEN,
            Self::Buried(..) => ID + SIGNATURE_LEN,
            Self::New(..) => 32 + ID,
            Self::Keep(keep) => keep.encoded_len(),
        }
    }

    /// The bytes, those of the length before them included; ids beyond [`MAX_IDS`] are left out.
    pub fn encode(&self) -> Bytes {
        let length = self.wire_len();
        let mut out = BytesMut::with_capacity(length);
        out.put_u16((length - 2) as u16);
        out.put_u8(self.tag());
        let put_ids = |out: &mut BytesMut, ids: &[MessageId]| {
            ids.iter().take(MAX_IDS).for_each(|id| out.put_slice(&id.0));
        };
        match self {
            Self::Challenge(nonce) => out.put_slice(nonce),
            Self::Put(deposit) | Self::Letter(deposit) => deposit.encode_into(&mut out),
            Self::Receipt(id, expiry, signature) => {
                out.put_slice(&id.0);
                out.put_u32(expiry.0);
                out.put_slice(signature);
            }
            Self::Refused(id, refusal) => {
                out.put_slice(&id.0);
                out.put_u8(*refusal as u8);
            }
            Self::List {
                terms,
                watch,
                signature,
            } => {
                out.put_slice(&terms.encode());
                out.put_u8(u8::from(*watch));
                out.put_slice(signature);
            }
            Self::Listing { tag, more, ids } => {
                out.put_slice(&tag.0);
                out.put_u8(u8::from(*more));
                put_ids(&mut out, ids);
            }
            Self::Get(tag, ids) => {
                out.put_slice(&tag.0);
                put_ids(&mut out, ids);
            }
            Self::Absent(id) => out.put_slice(&id.0),
            Self::Delete(terms, items) => {
                out.put_slice(&terms.encode());
                for (id, signature) in items.iter().take(MAX_IDS) {
                    out.put_slice(&id.0);
                    out.put_slice(signature);
                }
            }
            Self::Deleted(ids) => put_ids(&mut out, ids),
            Self::Probe(id, nonce) | Self::Held(id, nonce) => {
                out.put_slice(&id.0);
                out.put_slice(nonce);
            }
            Self::Buried(id, signature) => {
                out.put_slice(&id.0);
                out.put_slice(signature);
            }
            Self::New(tag, id) => {
                out.put_slice(&tag.0);
                out.put_slice(&id.0);
            }
            Self::Keep(keep) => out.put_slice(&keep.encode()),
        }
        out.freeze()
    }

    /// How many bytes follow two that say it.
    ///
    /// # Errors
    /// `Length` if no message has as many.
    pub fn length(bytes: [u8; 2]) -> Result<usize, MessageError> {
        let length = usize::from(u16::from_be_bytes(bytes));
        match length {
            1..=MAX_MESSAGE => Ok(length),
            _ => Err(MessageError::Length(length)),
        }
    }

    /// Reads a message, without the bytes of its length.
    ///
    /// # Errors
    /// Any [`MessageError`].
    pub fn decode(bytes: &Bytes) -> Result<Self, MessageError> {
        let tag = *bytes.first().ok_or(MessageError::Length(0))?;
        if bytes.len() > MAX_MESSAGE {
            return Err(MessageError::Length(bytes.len()));
        }
        if !(CHALLENGE..=KEEP).contains(&tag) {
            return Err(MessageError::Tag(tag));
        }
        let fields = Fields(bytes.slice(1..));
        fields.read(tag).ok_or(MessageError::Malformed(tag))
    }

    fn tag(&self) -> u8 {
        match self {
            Self::Challenge(_) => CHALLENGE,
            Self::Put(_) => PUT,
            Self::Receipt(..) => RECEIPT,
            Self::Refused(..) => REFUSED,
            Self::List { .. } => LIST,
            Self::Listing { .. } => LISTING,
            Self::Get(..) => GET,
            Self::Letter(_) => LETTER,
            Self::Absent(_) => ABSENT,
            Self::Delete(..) => DELETE,
            Self::Deleted(_) => DELETED,
            Self::Probe(..) => PROBE,
            Self::Held(..) => HELD,
            Self::Buried(..) => BURIED,
            Self::New(..) => NEW,
            Self::Keep(_) => KEEP,
        }
    }
}

/// Reads fields from the front.
struct Fields(Bytes);

impl Fields {
    fn read(mut self, tag: u8) -> Option<Message> {
        let message = match tag {
            CHALLENGE => Message::Challenge(self.array()?),
            PUT => Message::Put(self.deposit()?),
            RECEIPT => Message::Receipt(
                self.id()?,
                Expiry(u32::from_be_bytes(self.array()?)),
                self.array()?,
            ),
            REFUSED => {
                let id = self.id()?;
                let [code] = self.array()?;
                Message::Refused(id, Refusal::from_code(code))
            }
            LIST => Message::List {
                terms: self.terms()?,
                watch: self.flag()?,
                signature: self.array()?,
            },
            LISTING => Message::Listing {
                tag: Tag(self.array()?),
                more: self.flag()?,
                ids: self.ids()?,
            },
            GET => Message::Get(Tag(self.array()?), self.ids()?),
            LETTER => Message::Letter(self.deposit()?),
            ABSENT => Message::Absent(self.id()?),
            DELETE => {
                let terms = self.terms()?;
                let mut items = Vec::new();
                while !self.0.is_empty() && items.len() < MAX_IDS {
                    items.push((self.id()?, self.array()?));
                }
                Message::Delete(terms, items)
            }
            DELETED => Message::Deleted(self.ids()?),
            PROBE => Message::Probe(self.id()?, self.array()?),
            HELD => Message::Held(self.id()?, self.array()?),
            BURIED => Message::Buried(self.id()?, self.array()?),
            NEW => Message::New(Tag(self.array()?), self.id()?),
            KEEP => Message::Keep(Keep::decode(&std::mem::take(&mut self.0))?),
            _ => return None,
        };
        self.0.is_empty().then_some(message)
    }

    fn array<const N: usize>(&mut self) -> Option<[u8; N]> {
        let array = *self.0.first_chunk::<N>()?;
        let _ = self.0.split_to(N);
        Some(array)
    }

    fn id(&mut self) -> Option<MessageId> {
        self.array().map(MessageId)
    }

    fn ids(&mut self) -> Option<Vec<MessageId>> {
        let mut ids = Vec::new();
        while !self.0.is_empty() && ids.len() < MAX_IDS {
            ids.push(self.id()?);
        }
        Some(ids)
    }

    fn flag(&mut self) -> Option<bool> {
        match self.array()? {
            [0] => Some(false),
            [1] => Some(true),
            _ => None,
        }
    }

    fn terms(&mut self) -> Option<Terms> {
        Terms::decode(&self.array()?)
    }

    fn deposit(&mut self) -> Option<Deposit> {
        Deposit::decode(&std::mem::take(&mut self.0))
    }
}

const CHALLENGE: u8 = 1;
const PUT: u8 = 2;
const RECEIPT: u8 = 3;
const REFUSED: u8 = 4;
const LIST: u8 = 5;
const LISTING: u8 = 6;
const GET: u8 = 7;
const LETTER: u8 = 8;
const ABSENT: u8 = 9;
const DELETE: u8 = 10;
const DELETED: u8 = 11;
const PROBE: u8 = 12;
const HELD: u8 = 13;
const BURIED: u8 = 14;
const NEW: u8 = 15;
const KEEP: u8 = 16;

const POSSESSION_CONTEXT: &str = "gyre 2026-11-22 mailbox possession";
