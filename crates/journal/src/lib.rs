//! The journal: append, read from a position, seal, recover, verify, back up.
//!
//! Everything that happens is a record in one journal, and everything else is a fold over it.
//! This crate keeps records; it refuses to know what one means, and knows no clock, no network
//! and no async runtime.
//!
//! Laws it holds:
//! - **L1**: recovery yields a prefix of what was appended, at least up to the last
//!   acknowledgement. After any failed commit or fsync the journal is [`JournalError::Stopped`];
//!   it never retries.
//! - **B4**: what was acknowledged survives `kill -9` and power loss: an append returns after
//!   the device has confirmed a flush.
//! - Positions have no gaps, append times never go backwards, and every batch is chained to all
//!   batches before it by a BLAKE3 hash.

mod backup;
mod chain;
mod commit;
mod committer;
mod disk;
mod error;
mod frame;
mod reader;
mod segment;
#[cfg(feature = "simdisk")]
pub mod simdisk;
mod sqlite;
mod verify;

#[cfg(feature = "mutations")]
pub mod mutation;
#[cfg(not(feature = "mutations"))]
mod mutation;

pub use backup::{BackupReport, backup};
pub use chain::ChainHash;
pub use commit::{CommitError, CommitQueue, QueueFull, QueueLimits};
pub use committer::{CommitCounters, Committer, CommitterHandle, CommitterOptions};
pub use disk::{Disk, DiskEntry, RealDisk};
pub use error::{JournalError, Limit};
pub use frame::{Batch, FrameError, RecordRef, decode_frame, encode_frame};
pub use reader::JournalReader;
pub use segment::SegmentInfo;
pub use sqlite::{Options, SqliteJournal};
pub use verify::{VerifyReport, verify, verify_on};

/// The largest record, in bytes: 1 MiB.
pub const RECORD_BYTES_MAX: usize = 1 << 20;
/// The largest batch, in bytes of its frame: 16 MiB.
pub const BATCH_BYTES_MAX: usize = 16 << 20;
/// The largest batch, in records: 65,536.
pub const BATCH_RECORDS_MAX: usize = 1 << 16;
/// The most payload that one [`Journal::read`] returns, in bytes: 64 MiB (and one batch).
pub const READ_BYTES_MAX: usize = 64 << 20;

/// The number of a record, counted from 1 without gaps. `Position(0)` is before the first.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Position(pub u64);

impl Position {
    /// Before the first record.
    pub const START: Position = Position(0);

    /// The position after this one.
    #[must_use]
    pub fn next(self) -> Position {
        Position(self.0 + 1)
    }
}

impl std::fmt::Display for Position {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.fmt(f)
    }
}

/// One record as it was appended, with the place and the time that the journal gave it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    /// Its number, from 1.
    pub position: Position,
    /// When its batch was appended: milliseconds since 1970-01-01 UTC, never decreasing.
    pub at_ms: i64,
    /// The bytes that were appended, at most [`RECORD_BYTES_MAX`].
    pub payload: Vec<u8>,
}

/// Where and when a batch of records was appended; durable when one holds it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Appended {
    /// The first record's position.
    pub first: Position,
    /// The last record's position (inclusive).
    pub last: Position,
    /// The append time, milliseconds since 1970-01-01 UTC: the given time, or the previous
    /// batch's if the clock went backwards.
    pub at_ms: i64,
}

impl Appended {
    /// How many records it covers.
    #[must_use]
    pub fn record_count(&self) -> u64 {
        self.last.0 + 1 - self.first.0
    }
}

/// An append-only sequence of opaque records. One writer; see [`JournalReader`] for others who read.
pub trait Journal: Send {
    /// Appends the payloads, in order, as one batch; they are durable when this returns `Ok`.
    /// The batch's time is the larger of `now_ms` and [`Journal::last_at_ms`].
    ///
    /// # Errors
    /// [`JournalError::Limit`] (nothing was written, the journal goes on) for an empty batch, a
    /// record above [`RECORD_BYTES_MAX`] or a batch above [`BATCH_BYTES_MAX`] or
    /// [`BATCH_RECORDS_MAX`]. Any other error means that the batch may or may not be durable, and
    /// every later append returns [`JournalError::Stopped`]: drop the journal and open it again.
    fn append(&mut self, now_ms: i64, payloads: &[Vec<u8>]) -> Result<Appended, JournalError>;

    /// The last durable record, or [`Position::START`] when there is none.
    fn head(&self) -> Position;

    /// The chain hash up to the head: two journals with the same one hold the same records.
    fn head_chain(&self) -> ChainHash;

    /// The last batch's append time in milliseconds since 1970-01-01 UTC; `i64::MIN` when empty.
    fn last_at_ms(&self) -> i64;

    /// Reads records after a position, in order: at most `max_records`, and at most about
    /// [`READ_BYTES_MAX`] bytes, but at least one when there is one. Empty at the head.
    ///
    /// # Errors
    /// [`JournalError::Gone`] when the records were retired; [`JournalError::Corrupt`] when a
    /// checksum fails, never a wrong record.
    fn read(&self, after: Position, max_records: usize) -> Result<Vec<Record>, JournalError>;

    /// Closes the active segment and opens the next. `None`: the active one is empty.
    ///
    /// # Errors
    /// As [`Journal::append`]: any failure stops the journal.
    fn seal(&mut self) -> Result<Option<SegmentInfo>, JournalError>;

    /// All segments, oldest first; the last one is active, the others are sealed.
    fn segments(&self) -> Vec<SegmentInfo>;
}
