//! The log's head in SQLite: `log.db`. One row, replaced by compare-and-set; the last batch beside it; ids of all entries.
//!
//! Synchronous at every commit: what is decided here is durable. Unlike `state.db` it must not be thrown away, since the
//! journal does not hold it (salts are random); a folder restored without it opens a new origin.

use anyhow::{Context, Result};
use regie_record::log::{
    Hash,
    sequencer::{Batch, BatchLeaf, HeadStore, StorageError, StoredHead},
    tree::Head,
};
use rusqlite::{Connection, OptionalExtension, params};
use std::path::Path;

const SCHEMA: &str = "
PRAGMA journal_mode = WAL;
PRAGMA synchronous = FULL;
PRAGMA secure_delete = ON;
CREATE TABLE IF NOT EXISTS head (
  only INTEGER PRIMARY KEY CHECK (only = 1), origin TEXT NOT NULL, size INTEGER NOT NULL, root BLOB NOT NULL,
  note TEXT NOT NULL, position INTEGER NOT NULL);
CREATE TABLE IF NOT EXISTS batch (place INTEGER PRIMARY KEY, leaf BLOB NOT NULL);
CREATE TABLE IF NOT EXISTS unsettled (hash BLOB PRIMARY KEY, object BLOB NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS entries (
  kind TEXT NOT NULL, id TEXT NOT NULL, version INTEGER NOT NULL, place INTEGER NOT NULL,
  PRIMARY KEY (kind, id, version)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS days (
  day TEXT NOT NULL, ad_set TEXT NOT NULL, ad TEXT NOT NULL, advertiser INTEGER NOT NULL, leaf TEXT NOT NULL,
  seed BLOB NOT NULL, events TEXT NOT NULL, place INTEGER NOT NULL, PRIMARY KEY (day, ad_set, ad)) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS days_by_payer ON days (advertiser, day);
CREATE TABLE IF NOT EXISTS marks (name TEXT PRIMARY KEY, value INTEGER NOT NULL);
";

/// The store in a file.
pub struct SqliteHead {
    connection: Connection,
}

impl SqliteHead {
    /// Opens or makes it.
    ///
    /// # Errors
    /// SQLite's error.
    pub fn open(path: &Path) -> Result<SqliteHead> {
        let connection = Connection::open(path).with_context(|| format!("cannot open {}", path.display()))?;
        connection.busy_timeout(std::time::Duration::from_secs(5))?;
        connection.execute_batch(SCHEMA).with_context(|| format!("{} cannot be used", path.display()))?;
        Ok(SqliteHead { connection })
    }
    /// Takes everything away, so that a new origin can begin. The old log's files are the caller's to keep.
    ///
    /// # Errors
    /// SQLite's error.
    pub fn clear(&mut self) -> Result<()> {
        self.connection.execute_batch(
            "BEGIN IMMEDIATE; DELETE FROM head; DELETE FROM batch; DELETE FROM unsettled; DELETE FROM entries; COMMIT;",
        )?;
        Ok(())
    }
}

/// Places of an entry's versions in the log: (version, place), oldest first.
///
/// # Errors
/// SQLite's error.
pub fn places(connection: &Connection, kind: &str, id: &str) -> Result<Vec<(u32, u64)>> {
    let sql = "SELECT version, place FROM entries WHERE kind = ?1 AND id = ?2 ORDER BY version";
    let mut statement = connection.prepare_cached(sql)?;
    let rows = statement.query_map(params![kind, id], |r| Ok((r.get(0)?, r.get::<_, i64>(1)? as u64)))?;
    rows.map(|row| row.map_err(Into::into)).collect()
}

fn read_head(connection: &Connection) -> Result<Option<StoredHead>> {
    let sql = "SELECT origin, size, root, note, position FROM head";
    let read = |r: &rusqlite::Row<'_>| {
        let head = Head { size: r.get::<_, i64>(1)? as u64, root: Hash(r.get(2)?) };
        Ok(StoredHead { origin: r.get(0)?, head, note: r.get(3)?, position: r.get::<_, i64>(4)? as u64 })
    };
    Ok(connection.query_row(sql, [], read).optional()?)
}

impl SqliteHead {
    fn load_all(&mut self) -> Result<Option<(StoredHead, Batch)>> {
        let Some(head) = read_head(&self.connection)? else { return Ok(None) };
        let mut batch = Batch::default();
        let mut statement = self.connection.prepare("SELECT place, leaf FROM batch ORDER BY place")?;
        let mut rows = statement.query([])?;
        while let Some(row) = rows.next()? {
            let index = row.get::<_, i64>(0)? as u64;
            batch.leaves.push(BatchLeaf { index, name: None, leaf: row.get(1)? });
        }
        let mut statement = self.connection.prepare("SELECT hash, object FROM unsettled")?;
        let rows = statement.query_map([], |r| Ok((Hash(r.get(0)?), r.get(1)?)))?;
        batch.objects = rows.collect::<rusqlite::Result<_>>()?;
        Ok(Some((head, batch)))
    }
    fn replace(&mut self, expected: Option<&StoredHead>, next: &StoredHead, batch: &Batch) -> Result<bool> {
        let transaction =
            self.connection.transaction_with_behavior(rusqlite::TransactionBehavior::Immediate)?;
        if read_head(&transaction)?.as_ref() != expected {
            return Ok(false);
        }
        let sql = "INSERT OR REPLACE INTO head VALUES (1, ?1, ?2, ?3, ?4, ?5)";
        let (size, position) = (next.head.size as i64, next.position as i64);
        transaction.execute(sql, params![next.origin, size, next.head.root.0, next.note, position])?;
        transaction.execute("DELETE FROM batch", [])?;
        {
            let mut put = transaction.prepare_cached("INSERT INTO batch VALUES (?1, ?2)")?;
            let mut name =
                transaction.prepare_cached("INSERT OR IGNORE INTO entries VALUES (?1, ?2, ?3, ?4)")?;
            for leaf in &batch.leaves {
                put.execute(params![leaf.index as i64, leaf.leaf])?;
                if let Some((kind, id, version)) = &leaf.name {
                    name.execute(params![kind, id, version, leaf.index as i64])?;
                }
            }
            let mut put = transaction.prepare_cached("INSERT OR IGNORE INTO unsettled VALUES (?1, ?2)")?;
            for (hash, object) in &batch.objects {
                put.execute(params![hash.0, object])?;
            }
        }
        transaction.commit()?;
        Ok(true)
    }
    fn forget(&mut self, objects: &[Hash]) -> Result<()> {
        let transaction = self.connection.transaction()?;
        {
            let mut forget = transaction.prepare_cached("DELETE FROM unsettled WHERE hash = ?1")?;
            for hash in objects {
                forget.execute([hash.0])?;
            }
        }
        transaction.commit()?;
        Ok(())
    }
}

fn told(error: &anyhow::Error) -> StorageError {
    StorageError(format!("{error:#}"))
}
impl HeadStore for SqliteHead {
    fn load(&mut self) -> Result<Option<(StoredHead, Batch)>, StorageError> {
        self.load_all().map_err(|e| told(&e))
    }
    fn swap(
        &mut self,
        expected: Option<&StoredHead>,
        next: &StoredHead,
        batch: &Batch,
    ) -> Result<bool, StorageError> {
        self.replace(expected, next, batch).map_err(|e| told(&e))
    }
    fn settled(&mut self, objects: &[Hash]) -> Result<(), StorageError> {
        self.forget(objects).map_err(|e| told(&e))
    }
}

/// A connection that only reads.
///
/// # Errors
/// SQLite's error.
pub fn reader(path: &Path) -> Result<Connection> {
    super::super::state_db::StateDb::reader(path)
}

/// Opens or makes a witness's memory.
///
/// # Errors
/// SQLite's error.
pub fn witness(path: &Path) -> Result<Connection> {
    let connection = Connection::open(path).with_context(|| format!("cannot open {}", path.display()))?;
    connection.execute_batch(
        "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL;
         CREATE TABLE IF NOT EXISTS cosigned (origin TEXT PRIMARY KEY, size INTEGER NOT NULL, root BLOB NOT NULL, note TEXT NOT NULL);",
    )?;
    Ok(connection)
}
/// What a witness cosigned last of a log.
///
/// # Errors
/// SQLite's error.
pub fn cosigned(connection: &Connection, origin: &str) -> Result<Option<Head>> {
    let read = |r: &rusqlite::Row<'_>| Ok(Head { size: r.get::<_, i64>(0)? as u64, root: Hash(r.get(1)?) });
    let sql = "SELECT size, root FROM cosigned WHERE origin = ?1";
    Ok(connection.query_row(sql, [origin], read).optional()?)
}
/// Remembers what a witness cosigns.
///
/// # Errors
/// SQLite's error.
pub fn set_cosigned(connection: &Connection, origin: &str, head: Head, note: &str) -> Result<()> {
    let sql = "INSERT OR REPLACE INTO cosigned VALUES (?1, ?2, ?3, ?4)";
    connection.execute(sql, params![origin, head.size as i64, head.root.0, note])?;
    Ok(())
}
