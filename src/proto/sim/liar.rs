//! Peers that are out to harm: each breaks one promise of the protocol and keeps the others.

use bytes::Bytes;

use super::content::Content;
use crate::proto::message::{Message, REVISION, RejectReason};
use crate::proto::swarm::Input;
use crate::proto::types::{BlobSize, CHUNK_SIZE, ChunkIndex};

/// Which promise a liar breaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Lie {
    /// Serves chunks with one bit flipped.
    WrongBytes,
    /// Serves right chunks with a wrong proof.
    WrongProof,
    /// Claims everything and never answers.
    Silent,
    /// Claims everything and refuses every request, again and again.
    Refuses,
    /// Claims another size, and serves noise.
    WrongSize,
    /// Sends chunks that nobody asked for.
    Unrequested,
    /// Asks for more than anyone may.
    Flood,
    /// Claims chunks past the end.
    Impossible,
}

impl Lie {
    /// All of them, in turn.
    pub const ALL: [Lie; 8] = [
        Lie::WrongBytes,
        Lie::WrongProof,
        Lie::Silent,
        Lie::Refuses,
        Lie::WrongSize,
        Lie::Unrequested,
        Lie::Flood,
        Lie::Impossible,
    ];

    /// What it sends to a peer that does this.
    pub(super) fn answer(self, input: &Input, content: &Content) -> Vec<Message> {
        match input {
            Input::Connected { .. } => self.opening(content),
            Input::Received {
                message: Message::Request { index },
                ..
            } => self.serve(*index, content),
            _ => Vec::new(),
        }
    }

    fn size(self, content: &Content) -> BlobSize {
        match self {
            Lie::WrongSize => {
                BlobSize::new(content.size.get() + 3 * CHUNK_SIZE + 1).unwrap_or(content.size)
            }
            _ => content.size,
        }
    }

    fn opening(self, content: &Content) -> Vec<Message> {
        let size = self.size(content);
        let hello = Message::Hello {
            version: REVISION,
            blob: content.hash,
            size: Some(size),
            credit: u32::MAX,
        };
        let mut messages = vec![hello, Message::HaveAll { size }, Message::Unchoke];
        match self {
            Lie::Unrequested => messages.push(Message::Chunk {
                index: ChunkIndex(0),
                proof: content.proof(ChunkIndex(0)),
                data: content.data(ChunkIndex(0)),
            }),
            Lie::Flood => messages.extend((0..2000).map(|at| Message::Request {
                index: ChunkIndex(at % content.size.chunk_count()),
            })),
            Lie::Impossible => {
                messages.push(Message::Have {
                    indexes: vec![ChunkIndex(content.size.chunk_count())],
                });
            }
            _ => {}
        }
        messages
    }

    fn serve(self, index: ChunkIndex, content: &Content) -> Vec<Message> {
        let known = content.size.chunk_len(index).is_some();
        let data = if known {
            content.data(index)
        } else {
            Bytes::new()
        };
        let proof = if known {
            content.proof(index)
        } else {
            Bytes::new()
        };
        match self {
            Lie::WrongBytes => {
                let mut data = data.to_vec();
                if let Some(byte) = data.first_mut() {
                    *byte ^= 1;
                }
                vec![Message::Chunk {
                    index,
                    proof,
                    data: data.into(),
                }]
            }
            Lie::WrongProof => {
                let mut proof = proof.to_vec();
                match proof.last_mut() {
                    Some(byte) => *byte ^= 1,
                    None => proof.extend_from_slice(&[0; 32]),
                }
                vec![Message::Chunk {
                    index,
                    proof: proof.into(),
                    data,
                }]
            }
            Lie::WrongSize => {
                let len = self.size(content).chunk_len(index).unwrap_or(0);
                vec![Message::Chunk {
                    index,
                    proof,
                    data: vec![0; len].into(),
                }]
            }
            Lie::Refuses => {
                let again = Message::Have {
                    indexes: vec![index],
                };
                vec![
                    Message::Reject {
                        index,
                        reason: RejectReason::NotStored,
                    },
                    again,
                ]
            }
            _ => Vec::new(),
        }
    }
}
