//! Errors of the study room, sorted by who must act: the reader's question, the file, the store.
//!
//! Refuses to panic on any input: whatever a file holds, it becomes a row kept aside or one of these.

use crate::day::Day;

/// Everything that can go wrong, each with what to do next.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A file could not be read or written.
    #[error("{path}: {source}")]
    File {
        /// What was opened.
        path: String,
        /// The system's answer.
        source: std::io::Error,
    },
    /// Reading or writing a stream that has no name of its own.
    #[error(transparent)]
    Io(#[from] std::io::Error),
    /// The store's database refused.
    #[error("the study store: {0}")]
    Store(#[from] rusqlite::Error),
    /// The store was written by a newer program, or is no study store.
    #[error("{0} is not a study store of this version; open another file with --store")]
    NotAStore(String),
    /// No importer knows this file.
    #[error(
        "{file}: {reason}. Known layouts: `study layouts`; any other CSV needs a mapping file: `--mapping FILE`"
    )]
    Unrecognised {
        /// File or member of an archive.
        file: String,
        /// What was looked for and not found.
        reason: String,
    },
    /// A fact about the file is needed and cannot be read from it.
    #[error("{file}: {what} is not stated in its name or contents; say it with {option}")]
    Unstated {
        /// File or member of an archive.
        file: String,
        /// What is missing.
        what: &'static str,
        /// The option that states it.
        option: &'static str,
    },
    /// A mapping or grouping file is wrong.
    #[error("{file}, line {line}: {reason}")]
    Definition {
        /// The file.
        file: String,
        /// Counted from 1; 0 when it concerns the whole file.
        line: u64,
        /// What is wrong and what is expected.
        reason: String,
    },
    /// The question cannot be answered as it was put.
    #[error("{0}")]
    Question(String),
    /// Windows that overlap would be summed.
    #[error(
        "refused: these reports cover overlapping days and would count money twice:\n  {first}\n  {second}\nChoose one family with --window (here: {families}), or narrow --from and --to"
    )]
    Overlap {
        /// One of the two.
        first: String,
        /// The other.
        second: String,
        /// Names of the window families present.
        families: String,
    },
    /// Nothing in the store fits.
    #[error("nothing in the store fits this question{as_of}: {hint}")]
    Nothing {
        /// ` as known on D`, or empty.
        as_of: String,
        /// What is there.
        hint: String,
    },
    /// A limit of this program was reached.
    #[error("{what}: more than {limit}; {hint}")]
    Limit {
        /// What was counted.
        what: &'static str,
        /// The limit.
        limit: u64,
        /// What to do.
        hint: &'static str,
    },
    /// A figure left the range of the arithmetic; nothing was added silently.
    #[error("a sum left the range of 128-bit integers")]
    Range,
    /// The archive file's container is damaged.
    #[error("{file}: {reason}")]
    Damaged {
        /// File or member.
        file: String,
        /// What the reader found.
        reason: String,
    },
    /// Parquet could not be written.
    #[error("parquet: {0}")]
    Parquet(#[from] parquet::errors::ParquetError),
    /// JSON could not be written.
    #[error("json: {0}")]
    Json(#[from] serde_json::Error),
}

impl Error {
    /// Names the file of an IO error.
    pub fn file(path: impl std::fmt::Display, source: std::io::Error) -> Error {
        Error::File { path: path.to_string(), source }
    }
    /// An empty answer, with what the store does hold.
    pub fn nothing(known_on: Option<Day>, hint: impl Into<String>) -> Error {
        let as_of = known_on.map(|d| format!(" as known on {d}")).unwrap_or_default();
        Error::Nothing { as_of, hint: hint.into() }
    }
}

/// Result of this room.
pub type Result<T> = std::result::Result<T, Error>;
