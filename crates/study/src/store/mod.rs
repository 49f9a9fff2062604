//! The bitemporal store: every fact with its source, the day it was known, and the days it is about.
//!
//! One SQLite file. Facts lie in chunks of packed columns, so that ten million of them are a few hundred
//! blobs; snapshots, words and rows kept aside are ordinary tables. Nothing is ever overwritten: a later
//! snapshot is a new one beside the earlier. Refuses files of another version.

pub mod columns;
mod read;
mod snapshot;
mod write;

pub use read::{Chunk, OwnedSubject, Scan, StoredSubject};
pub use snapshot::{BadRow, Coverage, Dataset, KnownBasis, Snapshot, SnapshotId, Window};
pub(crate) use snapshot::{Begun, Resume};
pub(crate) use write::KeyMap;
pub use write::{Fact, Interner, Writer};

use crate::error::{Error, Result};
use rusqlite::{Connection, OptionalExtension};
use std::path::Path;

const SCHEMA_VERSION: i64 = 1;
const APPLICATION_ID: i64 = 0x5354_5544; // "STUD"

const SCHEMA: &str = "
CREATE TABLE snapshot(
  id INTEGER PRIMARY KEY, identity BLOB NOT NULL UNIQUE, platform TEXT NOT NULL, layout TEXT NOT NULL,
  dataset TEXT NOT NULL, country TEXT NOT NULL, place TEXT NOT NULL, window TEXT NOT NULL,
  window_from INTEGER NOT NULL, window_to INTEGER NOT NULL, known_on INTEGER NOT NULL, known_basis TEXT NOT NULL,
  rule TEXT NOT NULL, coverage TEXT NOT NULL, cite TEXT NOT NULL, file TEXT NOT NULL, content_hash TEXT NOT NULL,
  parallel INTEGER NOT NULL, rows INTEGER NOT NULL, bad_rows INTEGER NOT NULL, is_done INTEGER NOT NULL,
  offset INTEGER NOT NULL, line INTEGER NOT NULL, notes TEXT NOT NULL);
CREATE TABLE word(id INTEGER PRIMARY KEY, text TEXT NOT NULL UNIQUE);
CREATE TABLE subject_block(first INTEGER PRIMARY KEY, count INTEGER NOT NULL, keys BLOB NOT NULL, texts BLOB NOT NULL);
CREATE TABLE chunk(id INTEGER PRIMARY KEY, snapshot INTEGER NOT NULL REFERENCES snapshot(id), rows INTEGER NOT NULL);
CREATE INDEX chunk_by_snapshot ON chunk(snapshot);
CREATE TABLE packed(id INTEGER PRIMARY KEY, data BLOB NOT NULL);
CREATE TABLE bad_row(snapshot INTEGER NOT NULL REFERENCES snapshot(id), line INTEGER NOT NULL, reason TEXT NOT NULL, raw TEXT NOT NULL);
CREATE INDEX bad_row_by_snapshot ON bad_row(snapshot);
INSERT INTO word(id, text) VALUES (0, '');
";

/// An open study store.
pub struct Store {
    pub(crate) db: Connection,
}

impl Store {
    /// Opens a store, making it when the file does not exist.
    pub fn open(path: &Path) -> Result<Store> {
        let db = Connection::open(path)?;
        Store::prepare(db, &path.display().to_string())
    }
    /// A store in memory, gone with the value.
    pub fn in_memory() -> Result<Store> {
        Store::prepare(Connection::open_in_memory()?, "memory")
    }
    fn prepare(db: Connection, name: &str) -> Result<Store> {
        let tables: i64 = db
            .query_row("SELECT count(*) FROM sqlite_schema", [], |r| r.get(0))
            .map_err(|_| Error::NotAStore(name.into()))?;
        if tables == 0 {
            db.execute_batch("PRAGMA page_size=32768")?;
        }
        let id: i64 = db.query_row("PRAGMA application_id", [], |r| r.get(0))?;
        let version: i64 = db.query_row("PRAGMA user_version", [], |r| r.get(0))?;
        if tables > 0 && (id != APPLICATION_ID || version != SCHEMA_VERSION) {
            return Err(Error::NotAStore(name.into()));
        }
        db.execute_batch(
            "PRAGMA journal_mode=WAL; PRAGMA synchronous=NORMAL; PRAGMA cache_size=-32768; PRAGMA busy_timeout=5000;
             PRAGMA foreign_keys=ON;",
        )?;
        if tables == 0 {
            let setup = format!(
                "BEGIN IMMEDIATE; PRAGMA application_id={APPLICATION_ID}; PRAGMA user_version={SCHEMA_VERSION}; {SCHEMA} COMMIT;"
            );
            db.execute_batch(&setup)?;
        }
        Ok(Store { db })
    }
    /// Writes a consistent copy to a file that does not exist, also while others use the store.
    ///
    /// # Errors
    /// Those of the database.
    pub fn copy_to(&self, path: &Path) -> Result<()> {
        self.db.execute("VACUUM INTO ?1", [path.display().to_string()])?;
        Ok(())
    }
    /// The number of a word, storing it when new.
    pub(crate) fn word_id(&self, text: &str) -> Result<i64> {
        let found = self
            .db
            .prepare_cached("SELECT id FROM word WHERE text = ?1")?
            .query_row([text], |r| r.get::<_, i64>(0))
            .optional()?;
        if let Some(id) = found {
            return Ok(id);
        }
        self.db.prepare_cached("INSERT INTO word(text) VALUES (?1)")?.execute([text])?;
        Ok(self.db.last_insert_rowid())
    }
    /// All words by number.
    pub fn words(&self) -> Result<Vec<String>> {
        let mut query = self.db.prepare("SELECT id, text FROM word ORDER BY id")?;
        let mut rows = query.query([])?;
        let mut words = Vec::new();
        while let Some(row) = rows.next()? {
            let (id, text): (i64, String) = (row.get(0)?, row.get(1)?);
            let id = usize::try_from(id).unwrap_or(0);
            if id > WORDS_MAX {
                return Err(Error::Limit {
                    what: "distinct regions, elections and currencies",
                    limit: WORDS_MAX as u64,
                    hint: "check the mapping: a column of free text may be taken for a region",
                });
            }
            words.resize(words.len().max(id + 1), String::new());
            words[id] = text;
        }
        Ok(words)
    }
}

/// Most distinct words (regions, elections, currencies) a store may hold.
pub const WORDS_MAX: usize = 4_000_000;
