//! What the handles ask of the event loop.

use std::ops::Range;

use bytes::Bytes;
use cid::Cid;
use futures::channel::{mpsc, oneshot};
use libp2p::{Multiaddr, PeerId};

use super::custody::Hearer;
use super::error::Result;
use super::event_loop::Part;
use super::keepers::Asked;
use super::meta::BlobMeta;
use super::names::{Head, Stored};
use super::readers::ReaderId;
use super::site::Holders;
use super::snapshot::SwarmChart;
use crate::proto::address::Address;
use crate::proto::custody::{self, tag::Tag};
use crate::proto::holding::Holding;
use crate::proto::keeping::Verdict;
use crate::proto::keys::SiteKey;
use crate::proto::limits::{Limits, Surroundings};
use crate::proto::name::Name;
use crate::proto::types::{BlobHash, BlobSize, ChunkIndex};
use crate::proto::web_source::WebSource;
use crate::store::{BlobRow, RowId, StoredChunk};

/// Commands waiting for the event loop.
pub(super) const COMMAND_QUEUE: usize = 256;

/// One request; an answer goes back through its `reply`.
#[derive(Debug)]
pub(super) enum Command {
    /// Take up a row of the store: serve what is there, fetch the rest.
    Add {
        row: BlobRow,
        stored: Vec<ChunkIndex>,
        meta: BlobMeta,
        /// The site that it was opened through: there its peers are found.
        site: Option<BlobHash>,
    },
    /// Remember files of sites that are here and asleep.
    Rest(Vec<Part>),
    /// Which of these files of sites are here whole, in which row and with how many bytes.
    Held {
        blobs: Vec<BlobHash>,
        reply: oneshot::Sender<Vec<Option<(RowId, u64)>>>,
    },
    /// Keep these files of sites on purpose, or not; answers with the rows in which that is news.
    PinParts {
        blobs: Vec<BlobHash>,
        pinned: bool,
        reply: oneshot::Sender<Vec<RowId>>,
    },
    /// This much of a site is here: its peers are told.
    Hold(Holding),
    /// Drop these files of sites; answers with the rows that may go now.
    DropParts {
        blobs: Vec<BlobHash>,
        reply: oneshot::Sender<Vec<RowId>>,
    },
    /// How many other peers say that they have all of a site.
    Holders {
        manifest: BlobHash,
        reply: oneshot::Sender<Holders>,
    },
    /// The manifests of the sites that are here, and whether each is kept on purpose.
    Manifests {
        reply: oneshot::Sender<Vec<(BlobHash, bool)>>,
    },
    /// Answer when the chunk is stored, with the row and the proved size.
    Await {
        blob: BlobHash,
        chunk: ChunkIndex,
        reply: oneshot::Sender<Result<(RowId, BlobSize)>>,
    },
    /// A reader waits for these chunks, and takes `pace` bytes a second.
    Read {
        blob: BlobHash,
        reader: ReaderId,
        chunks: Range<u32>,
        pace: u64,
    },
    /// A reader is gone.
    Leave { blob: BlobHash, reader: ReaderId },
    /// Where else the blob lies.
    SetSources {
        blob: BlobHash,
        sources: Vec<WebSource>,
    },
    /// The node has learnt more about a blob.
    Describe { blob: BlobHash, meta: BlobMeta },
    /// Fetch no more of it, or go on; answers with what must be remembered of it.
    SetPaused {
        blob: BlobHash,
        paused: bool,
        reply: oneshot::Sender<Result<(RowId, BlobMeta)>>,
    },
    /// Keep it on purpose, or not.
    SetPinned {
        blob: BlobHash,
        pinned: bool,
        reply: oneshot::Sender<Result<RowId>>,
    },
    /// Forget it; answers with the row, whose chunks may go now.
    Remove {
        blob: BlobHash,
        reply: oneshot::Sender<Result<RowId>>,
    },
    /// The row and the description of a blob that is here.
    Lookup {
        blob: BlobHash,
        reply: oneshot::Sender<Option<(RowId, BlobMeta)>>,
    },
    /// The person's word on uploads.
    SetUpload(bool),
    /// The person's limits.
    SetLimits(Limits),
    /// What the page says of the machine.
    SetSurroundings(Surroundings),
    /// Free this many bytes; answers whether to try again.
    MakeRoom {
        bytes: u64,
        reply: oneshot::Sender<bool>,
    },
    /// Hand a chunk that was read back if it is what was verified; else (or if it was not there) it is fetched again.
    Check {
        blob: BlobHash,
        index: ChunkIndex,
        chunk: Option<StoredChunk>,
        reply: oneshot::Sender<Option<StoredChunk>>,
    },
    /// The row, size and description of a blob that is here whole.
    Whole {
        blob: BlobHash,
        reply: oneshot::Sender<Option<(BlobSize, BlobMeta)>>,
    },
    /// Draw who has what of a blob.
    Chart {
        blob: BlobHash,
        reply: oneshot::Sender<Result<SwarmChart>>,
    },
    /// Sign that the key's name leads there from now on; answers when that has been told.
    PublishName {
        key: Box<SiteKey>,
        cid: Cid,
        known: Option<Box<Stored>>,
        reply: oneshot::Sender<Result<Head>>,
    },
    /// Find out what a name leads to.
    ResolveName {
        name: Name,
        known: Option<Box<Stored>>,
        reply: oneshot::Sender<Result<Head>>,
    },
    /// Tell every head of a name from now on.
    WatchName {
        name: Name,
        known: Option<Box<Stored>>,
        heads: mpsc::Sender<Head>,
        reply: oneshot::Sender<Result<()>>,
    },
    /// Keep a name known, or no longer; answers with all that are.
    HoldName {
        name: Name,
        known: Option<Box<Stored>>,
        hold: bool,
        reply: oneshot::Sender<Result<Vec<Name>>>,
    },
    /// Go on asking keepers to keep something; answers with what they have said.
    AskKeepers {
        address: Address,
        at: Vec<(PeerId, Multiaddr)>,
        reply: oneshot::Sender<Vec<Verdict>>,
    },
    /// Be a keeper from now on.
    BeKeeper { asked: mpsc::Sender<Asked> },
    /// Tell a peer what comes of its wish.
    AnswerWish {
        address: Address,
        peer: PeerId,
        verdict: Verdict,
    },
    /// Who may keep what lies under a tag.
    Nearest {
        tag: Tag,
        reply: oneshot::Sender<Vec<custody::PeerId>>,
    },
    /// Ask a custodian something, or only open a stream to it.
    AskCustodian {
        peer: custody::PeerId,
        message: Option<custody::message::Message>,
    },
    /// Hears what custodians answer.
    HearCustodians(Hearer),
    /// Connected relays that keep mail.
    MailboxRelays {
        reply: oneshot::Sender<Vec<custody::PeerId>>,
    },
    /// What stands under a key in the indexes.
    GetRecord {
        key: Vec<u8>,
        reply: oneshot::Sender<Vec<Bytes>>,
    },
    /// Bring a record of one's own there, now and while this node runs.
    PutRecord {
        key: Vec<u8>,
        value: Bytes,
        reply: oneshot::Sender<Result<u32>>,
    },
    /// Other denylists are in force.
    DenylistChanged,
    /// Room was made, or taken away.
    QuotaChanged,
    /// End.
    Stop { reply: oneshot::Sender<()> },
}
