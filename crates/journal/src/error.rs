//! What can go wrong, sorted by who must act. Refuses to hide a cause, and to say "full" or
//! "corrupt" when it is not. Law L1: a failure to commit is told apart from a refused argument.

use crate::Position;
use std::path::PathBuf;
use std::sync::Arc;

/// A limit of the journal that an argument went over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Limit {
    /// Bytes in one record, [`crate::RECORD_BYTES_MAX`].
    RecordBytes,
    /// Bytes in one batch's frame, [`crate::BATCH_BYTES_MAX`].
    BatchBytes,
    /// Records in one batch, [`crate::BATCH_RECORDS_MAX`].
    BatchRecords,
    /// A batch holds at least one record.
    BatchEmpty,
}

impl std::fmt::Display for Limit {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Limit::RecordBytes => "bytes in a record",
            Limit::BatchBytes => "bytes in a batch",
            Limit::BatchRecords => "records in a batch",
            Limit::BatchEmpty => "records in a batch (at least one)",
        })
    }
}

/// Why a journal operation failed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum JournalError {
    /// The caller's argument; nothing was written and the journal goes on.
    #[error("journal limit: {value} {limit}, at most {max}")]
    Limit {
        /// Which limit.
        limit: Limit,
        /// What was asked for.
        value: usize,
        /// The limit's number.
        max: usize,
    },
    /// An earlier commit, fsync or seal failed. Stop, open again, and so recover.
    #[error("journal stopped after a failure: {cause}; close it and open it again to recover")]
    Stopped {
        /// The first failure.
        cause: Arc<str>,
    },
    /// The disk is full; like every failed commit it stops the journal.
    #[error("disk full while {doing}")]
    DiskFull {
        /// What the journal was doing.
        doing: String,
        /// The cause below.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// Another process, or another part of this one, has the folder open for writing.
    #[error("journal folder {} is in use by another process", dir.display())]
    Locked {
        /// The folder.
        dir: PathBuf,
    },
    /// There is no journal in the folder, and none was to be created.
    #[error("no journal in {}", dir.display())]
    Missing {
        /// The folder.
        dir: PathBuf,
    },
    /// What is stored is not what was written.
    #[error("journal segment {segment:08} is damaged{}: {what}", batch_text(*.batch))]
    Corrupt {
        /// The segment's number, which is its file name.
        segment: u32,
        /// The first position of the damaged batch, if it is known.
        batch: Option<Position>,
        /// What is wrong.
        what: String,
    },
    /// The segment was written by a newer version.
    #[error("journal segment {segment:08} has format {found}; this version reads {supported}")]
    Format {
        /// The segment's number.
        segment: u32,
        /// The format found.
        found: i64,
        /// The newest format that this version reads.
        supported: i64,
    },
    /// The records asked for were retired.
    #[error("records after {after} are gone; the oldest kept is {oldest}")]
    Gone {
        /// The position asked for.
        after: Position,
        /// The oldest record kept.
        oldest: Position,
    },
    /// SQLite reported an error.
    #[error("while {doing}: {source}")]
    Sqlite {
        /// What the journal was doing.
        doing: String,
        /// SQLite's error.
        #[source]
        source: rusqlite::Error,
    },
    /// The operating system reported an error.
    #[error("while {doing}: {source}")]
    Io {
        /// What the journal was doing.
        doing: String,
        /// The system's error.
        #[source]
        source: std::io::Error,
    },
}

fn batch_text(batch: Option<Position>) -> String {
    batch.map_or_else(String::new, |p| format!(" at the batch of record {p}"))
}

impl JournalError {
    pub(crate) fn corrupt(segment: u32, batch: Option<Position>, what: impl Into<String>) -> JournalError {
        JournalError::Corrupt { segment, batch, what: what.into() }
    }

    /// Sorts an error of SQLite: full, damaged, or anything else.
    pub(crate) fn sqlite(segment: u32, doing: &str, source: rusqlite::Error) -> JournalError {
        use rusqlite::ErrorCode;
        let doing = format!("{doing} (segment {segment:08})");
        match source.sqlite_error_code() {
            Some(ErrorCode::DiskFull) => JournalError::DiskFull { doing, source: Box::new(source) },
            Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase) => {
                JournalError::Corrupt { segment, batch: None, what: format!("while {doing}: {source}") }
            }
            _ => JournalError::Sqlite { doing, source },
        }
    }

    pub(crate) fn io(doing: impl Into<String>, source: std::io::Error) -> JournalError {
        let doing = doing.into();
        if source.kind() == std::io::ErrorKind::StorageFull {
            return JournalError::DiskFull { doing, source: Box::new(source) };
        }
        JournalError::Io { doing, source }
    }

    /// The caller's fault, with the journal intact and usable.
    #[must_use]
    pub fn is_refusal(&self) -> bool {
        matches!(self, JournalError::Limit { .. })
    }
}
