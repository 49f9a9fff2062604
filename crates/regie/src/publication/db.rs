//! `record.db`: the published versions, made readable: leaves in log order, objects, days, and the full-text index.
//!
//! A projection of the log, in a file of its own: what it holds was published, and nothing else is in it (R2, R4). The index over it
//! is [`super::index`].
//! Refuses to change or delete a leaf (R3); an object goes only with a tombstone.

use anyhow::{Context, Result};
use regie_model::{AdId, Day, UtcMs};
use regie_record::{
    Facts,
    commit::{Object, Sha256Hash},
    known::Version,
    leaf::{Kind, Leaf, Sheet},
};
use rusqlite::{Connection, OptionalExtension, params};
use std::{
    path::Path,
    sync::{Arc, atomic::AtomicU64},
};

pub use super::index::Found;
pub use super::search::{BRIEFLY, Filters, Query, terms};

const SCHEMA: &str = "
PRAGMA journal_mode = WAL;
PRAGMA synchronous = NORMAL;
PRAGMA cache_size = -32768;
CREATE TABLE IF NOT EXISTS meta (key TEXT PRIMARY KEY, value);
CREATE TABLE IF NOT EXISTS leaves (
  idx INTEGER PRIMARY KEY, kind TEXT NOT NULL, ad INTEGER NOT NULL, day INTEGER, version INTEGER NOT NULL, at_ms INTEGER NOT NULL, bytes BLOB NOT NULL);
CREATE INDEX IF NOT EXISTS leaves_by_ad ON leaves (ad, kind, day, version);
CREATE INDEX IF NOT EXISTS leaves_by_day ON leaves (day, ad) WHERE day IS NOT NULL;
CREATE INDEX IF NOT EXISTS leaves_by_time ON leaves (at_ms);
CREATE TABLE IF NOT EXISTS objects (hash BLOB PRIMARY KEY, bytes BLOB NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS ads (
  ad INTEGER PRIMARY KEY, first_idx INTEGER NOT NULL, facts_idx INTEGER NOT NULL, shown INTEGER NOT NULL, words TEXT NOT NULL, filters TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS moves (
  position INTEGER PRIMARY KEY, ad INTEGER NOT NULL, from_day INTEGER NOT NULL, to_day INTEGER NOT NULL, nanos INTEGER NOT NULL, reason TEXT NOT NULL);
CREATE INDEX IF NOT EXISTS moves_by_ad ON moves (ad);
";

/// The file, with one connection that writes.
pub struct RecordDb {
    connection: Connection,
    /// Ads that search finds, counted as they enter the index.
    found: Arc<AtomicU64>,
}

impl RecordDb {
    /// Opens or makes the file.
    ///
    /// # Errors
    /// SQLite's error.
    pub fn open(path: &Path) -> Result<RecordDb> {
        let connection = Connection::open(path).with_context(|| format!("cannot open {}", path.display()))?;
        connection.busy_timeout(std::time::Duration::from_secs(5))?;
        connection.execute_batch(SCHEMA)?;
        connection.execute_batch(super::register::SCHEMA)?;
        connection.execute_batch(super::groupings::SCHEMA)?;
        connection.execute_batch(super::index::SCHEMA)?;
        connection.execute_batch(super::sending::SCHEMA)?;
        connection.execute_batch(super::closed::SCHEMA)?;
        RecordDb::counted(connection)
    }
    fn counted(connection: Connection) -> Result<RecordDb> {
        let sql = "SELECT count(*) FROM ads WHERE shown = 1";
        let count = connection.query_row(sql, [], |r| r.get::<_, i64>(0))? as u64;
        let db = RecordDb { connection, found: Arc::new(AtomicU64::new(count)) };
        super::index::make(&db)?;
        db.count_once()?;
        super::closed::note_all_once(&db)?;
        super::sending::note_all_once(&db)?;
        Ok(db)
    }
    /// How many ads search finds, now and later.
    pub fn found(&self) -> &Arc<AtomicU64> {
        &self.found
    }
    /// A further connection, which only reads: it waits for nobody who writes.
    ///
    /// # Errors
    /// SQLite's error.
    pub fn reader(path: &Path) -> Result<RecordDb> {
        use rusqlite::OpenFlags;
        let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let connection = Connection::open_with_flags(path, flags)
            .with_context(|| format!("cannot open {}", path.display()))?;
        connection.busy_timeout(std::time::Duration::from_secs(5))?;
        Ok(RecordDb { connection, found: Arc::default() })
    }
    /// In memory only.
    ///
    /// # Errors
    /// SQLite's error.
    pub fn in_memory() -> Result<RecordDb> {
        let connection = Connection::open_in_memory()?;
        connection.execute_batch(SCHEMA)?;
        connection.execute_batch(super::register::SCHEMA)?;
        connection.execute_batch(super::groupings::SCHEMA)?;
        connection.execute_batch(super::index::SCHEMA)?;
        connection.execute_batch(super::sending::SCHEMA)?;
        connection.execute_batch(super::closed::SCHEMA)?;
        RecordDb::counted(connection)
    }
    /// The connection, for reading.
    pub fn connection(&self) -> &Connection {
        &self.connection
    }
    /// Copies the file, consistently, to a path that does not exist.
    ///
    /// # Errors
    /// SQLite's error.
    pub fn backup_to(&self, path: &Path) -> Result<()> {
        self.connection.execute("VACUUM INTO ?1", [path.to_string_lossy()])?;
        Ok(())
    }
    /// How many leaves are here: the index of the next one.
    ///
    /// # Errors
    /// SQLite's error.
    pub fn size(&self) -> Result<u64> {
        let last: Option<i64> = self.connection.query_row("SELECT max(idx) FROM leaves", [], |r| r.get(0))?;
        Ok(last.map_or(0, |i| i as u64 + 1))
    }
    /// A number kept beside the projection.
    ///
    /// # Errors
    /// SQLite's error.
    pub fn mark(&self, key: &str) -> Result<u64> {
        let found =
            self.connection.query_row("SELECT value FROM meta WHERE key = ?1", [key], |r| r.get::<_, i64>(0));
        Ok(found.optional()?.unwrap_or(0) as u64)
    }
    /// Sets such a number.
    ///
    /// # Errors
    /// SQLite's error.
    pub fn set_mark(&self, key: &str, value: u64) -> Result<()> {
        self.connection.execute("INSERT OR REPLACE INTO meta VALUES (?1, ?2)", params![key, value as i64])?;
        Ok(())
    }
    /// Takes in leaves that are in the log, in its order, in one transaction with `mark`.
    ///
    /// # Errors
    /// SQLite's error; an index that does not follow; then nothing was taken in.
    pub fn ingest(&mut self, first: u64, sheets: &[Sheet], mark: Option<(&str, u64)>) -> Result<()> {
        let size = self.size()?;
        // The log has leaves of its own between those about ads.
        anyhow::ensure!(first >= size, "record.db has read {size} leaves; leaf {first} does not follow");
        let transaction = self.connection.transaction()?;
        for (offset, sheet) in sheets.iter().enumerate() {
            let index = first + offset as u64;
            {
                let mut put = transaction.prepare_cached("INSERT OR IGNORE INTO objects VALUES (?1, ?2)")?;
                for Object { hash, bytes } in &sheet.objects {
                    put.execute(params![hash.0, bytes])?;
                }
            }
            let leaf = &sheet.leaf;
            let day = leaf.figures.as_ref().map(|f| f.day.0);
            transaction.prepare_cached("INSERT INTO leaves VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)")?.execute(
                params![
                    index as i64,
                    kind_word(leaf.kind),
                    leaf.ad.0,
                    day,
                    leaf.version,
                    leaf.at.0,
                    sheet.bytes
                ],
            )?;
            if leaf.kind == Kind::Facts {
                index_facts(&transaction, index, leaf)?;
            }
            super::closed::note(&transaction, index, leaf)?;
            super::sending::note(&transaction, leaf.ad)?;
        }
        count(&transaction, sheets)?;
        if let Some((key, value)) = mark {
            transaction.execute("INSERT OR REPLACE INTO meta VALUES (?1, ?2)", params![key, value as i64])?;
        }
        transaction.commit()?;
        Ok(())
    }
    /// Notes that a leaf of the log is none about an ad.
    ///
    /// # Errors
    /// SQLite's error.
    pub fn pass(&self, index: u64) -> Result<()> {
        let sql = "INSERT OR IGNORE INTO leaves VALUES (?1, 'log', 0, NULL, 1, 0, x'')";
        self.connection.execute(sql, [index as i64])?;
        Ok(())
    }
    /// The latest leaf of an ad's facts, or of one of its days.
    ///
    /// # Errors
    /// SQLite's error; a leaf that cannot be read.
    pub fn latest(&self, ad: AdId, kind: Kind, day: Option<Day>) -> Result<Option<Leaf>> {
        let sql = "SELECT bytes FROM leaves WHERE ad = ?1 AND kind = ?2 AND day IS ?3 ORDER BY version DESC LIMIT 1";
        let mut statement = self.connection.prepare_cached(sql)?;
        let found: Option<Vec<u8>> =
            statement.query_row(params![ad.0, kind_word(kind), day.map(|d| d.0)], |r| r.get(0)).optional()?;
        Ok(found.map(|bytes| Leaf::parse(&bytes)).transpose()?)
    }
    /// The bytes of one leaf.
    ///
    /// # Errors
    /// SQLite's error.
    pub fn leaf_bytes(&self, index: u64) -> Result<Option<Vec<u8>>> {
        let found =
            self.connection
                .query_row("SELECT bytes FROM leaves WHERE idx = ?1", [index as i64], |r| r.get(0));
        Ok(found.optional()?)
    }
    /// An object, salt included. `None`: withheld.
    pub fn object(&self, hash: &Sha256Hash) -> Option<Vec<u8>> {
        let mut statement =
            self.connection.prepare_cached("SELECT bytes FROM objects WHERE hash = ?1").ok()?;
        statement.query_row([hash.0], |r| r.get(0)).optional().ok().flatten()
    }
    /// Deletes an object of an ad with its salt. The caller has put a tombstone into the log.
    ///
    /// # Errors
    /// SQLite's error.
    pub fn withhold_of(&self, ad: AdId, hash: &Sha256Hash) -> Result<bool> {
        let gone = self.withhold(hash)?;
        self.forget_files_of(ad)?;
        Ok(gone)
    }
    /// Deletes an object of no ad with its salt, in the same way.
    ///
    /// # Errors
    /// SQLite's error.
    pub fn withhold(&self, hash: &Sha256Hash) -> Result<bool> {
        self.connection.execute_batch("PRAGMA secure_delete = ON")?;
        Ok(self.connection.execute("DELETE FROM objects WHERE hash = ?1", [hash.0])? > 0)
    }
    /// Every version of an ad, in log order, up to a size.
    ///
    /// # Errors
    /// SQLite's error; a leaf that cannot be read.
    pub fn versions(&self, ad: AdId, size: Option<u64>) -> Result<Vec<Version>> {
        let mut statement = self
            .connection
            .prepare_cached("SELECT idx, bytes FROM leaves WHERE ad = ?1 AND idx < ?2 ORDER BY idx")?;
        let limit = size.map_or(i64::MAX, |s| i64::try_from(s).unwrap_or(i64::MAX));
        let rows = statement
            .query_map(params![ad.0, limit], |r| Ok((r.get::<_, i64>(0)? as u64, r.get::<_, Vec<u8>>(1)?)))?;
        let mut versions = Vec::new();
        for row in rows {
            let (index, bytes) = row?;
            versions.push(Version::read(index, Leaf::parse(&bytes)?, &|hash| self.object(hash)));
        }
        Ok(versions)
    }
    /// The facts of an ad as last published.
    ///
    /// # Errors
    /// SQLite's error.
    pub fn facts(&self, ad: AdId) -> Result<Option<Facts>> {
        let Some(leaf) = self.latest(ad, Kind::Facts, None)? else { return Ok(None) };
        Ok(Facts::read(&leaf, &|hash| self.object(hash)).ok())
    }
    /// The facts of an ad as last published before a leaf.
    ///
    /// # Errors
    /// SQLite's error; a leaf that cannot be read.
    pub fn facts_before(&self, ad: AdId, index: u64) -> Result<Option<Facts>> {
        let sql = "SELECT bytes FROM leaves WHERE ad = ?1 AND kind = 'facts' AND day IS NULL AND idx < ?2 ORDER BY version DESC LIMIT 1";
        let mut statement = self.connection.prepare_cached(sql)?;
        let bytes: Option<Vec<u8>> =
            statement.query_row(params![ad.0, index as i64], |r| r.get(0)).optional()?;
        let Some(leaf) = bytes.map(|bytes| Leaf::parse(&bytes)).transpose()? else { return Ok(None) };
        Ok(Facts::read(&leaf, &|hash| self.object(hash)).ok())
    }
    /// Counts for the completeness counter, kept as leaves are taken in: (leaves, ads, versions of facts, day versions).
    ///
    /// # Errors
    /// SQLite's error.
    pub fn counts(&self) -> Result<[u64; 4]> {
        let ads = self.places_count()? as u64;
        Ok([self.mark("count_leaves")?, ads, self.mark("count_facts")?, self.mark("count_figures")?])
    }
    /// Counts what a file of an earlier form holds, which kept no counts.
    fn count_once(&self) -> Result<()> {
        if self.mark("counted")? == 1 {
            return Ok(());
        }
        let transaction = self.connection.unchecked_transaction()?;
        for (key, which) in [
            ("count_leaves", "kind <> 'log'"),
            ("count_facts", "kind = 'facts'"),
            ("count_figures", "kind = 'figures'"),
        ] {
            let sql = format!("SELECT count(*) FROM leaves WHERE {which}");
            let count: i64 = self.connection.query_row(&sql, [], |r| r.get(0))?;
            self.set_mark(key, count as u64)?;
        }
        self.set_mark("counted", 1)?;
        Ok(transaction.commit()?)
    }
    /// Ads whose facts are in the record.
    ///
    /// # Errors
    /// SQLite's error.
    pub fn ads_with_facts(&self) -> Result<std::collections::HashSet<AdId>> {
        let mut statement = self.connection.prepare_cached("SELECT ad FROM ads")?;
        let rows = statement.query_map([], |r| r.get::<_, u32>(0))?;
        Ok(rows.map(|ad| ad.map(AdId)).collect::<Result<_, _>>()?)
    }
    /// The last leaf at or before a moment: the size of the record as it was known then.
    ///
    /// # Errors
    /// SQLite's error.
    pub fn size_at(&self, at: UtcMs) -> Result<u64> {
        let sql = "SELECT coalesce(max(idx) + 1, 0) FROM leaves WHERE at_ms <= ?1 AND kind <> 'log'";
        Ok(self.connection.query_row(sql, [at.0], |r| r.get::<_, i64>(0))? as u64)
    }
    /// When the last of the first `size` leaves was made.
    ///
    /// # Errors
    /// SQLite's error.
    pub fn time_of(&self, size: u64) -> Result<UtcMs> {
        let sql = "SELECT at_ms FROM leaves WHERE idx < ?1 AND kind <> 'log' ORDER BY idx DESC LIMIT 1";
        Ok(UtcMs(self.connection.query_row(sql, [size as i64], |r| r.get(0)).optional()?.unwrap_or(0)))
    }
    /// Ads with a new version between two sizes, in order of their number.
    ///
    /// # Errors
    /// SQLite's error.
    pub fn changed_between(&self, from: u64, to: u64, after: u32, limit: usize) -> Result<Vec<AdId>> {
        let sql = "SELECT DISTINCT ad FROM leaves WHERE idx >= ?1 AND idx < ?2 AND ad > ?3 AND kind <> 'log' ORDER BY ad LIMIT ?4";
        let mut statement = self.connection.prepare_cached(sql)?;
        let rows = statement
            .query_map(params![from as i64, to as i64, after, limit as i64], |r| r.get::<_, u32>(0))?;
        Ok(rows.map(|id| id.map(AdId)).collect::<Result<_, _>>()?)
    }
    /// The latest figures of every ad on a day, by ad.
    ///
    /// # Errors
    /// SQLite's error; a leaf that cannot be read.
    pub fn day(&self, day: Day) -> Result<Vec<(u64, Leaf)>> {
        let sql = "SELECT idx, bytes FROM leaves l WHERE day = ?1 AND version =
            (SELECT max(version) FROM leaves m WHERE m.ad = l.ad AND m.kind = 'figures' AND m.day = ?1) ORDER BY ad";
        let mut statement = self.connection.prepare_cached(sql)?;
        let rows =
            statement.query_map([day.0], |r| Ok((r.get::<_, i64>(0)? as u64, r.get::<_, Vec<u8>>(1)?)))?;
        let mut found = Vec::new();
        for row in rows {
            let (index, bytes) = row?;
            found.push((index, Leaf::parse(&bytes)?));
        }
        Ok(found)
    }
}

fn kind_word(kind: Kind) -> &'static str {
    match kind {
        Kind::Facts => "facts",
        Kind::Figures => "figures",
        Kind::Decision => "decision",
    }
}

/// Adds to the counts what is taken in.
fn count(connection: &Connection, sheets: &[Sheet]) -> Result<()> {
    let of = |kind: Kind| sheets.iter().filter(|s| s.leaf.kind == kind).count();
    let sql = "INSERT INTO meta VALUES (?1, ?2) ON CONFLICT (key) DO UPDATE SET value = value + ?2";
    let mut add = connection.prepare_cached(sql)?;
    for (key, more) in [
        ("count_leaves", sheets.len()),
        ("count_facts", of(Kind::Facts)),
        ("count_figures", of(Kind::Figures)),
    ] {
        add.execute(params![key, more as i64])?;
    }
    Ok(())
}

fn index_facts(connection: &Connection, index: u64, leaf: &Leaf) -> Result<()> {
    super::index::place_new(connection, leaf.ad, index as i64)?;
    connection
        .prepare_cached(
            "INSERT INTO ads VALUES (?1, ?2, ?2, 0, '', '') ON CONFLICT (ad) DO UPDATE SET facts_idx = ?2",
        )?
        .execute(params![leaf.ad.0, index as i64])?;
    Ok(())
}
