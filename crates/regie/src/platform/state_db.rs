//! `state.db`: projections for pages, reports and a quick start. It may be thrown away: the journal rebuilds it.
//!
//! Each projection stands beside the position up to which it has read, in one transaction. The reports' position
//! (`rollups_position`) may be ahead of the ledger checkpoint's (`ledger_position`): on a start the ledger replays from
//! its own, and what it counts up to the reports' position is dropped.

use super::spend;
use anyhow::{Context, Result};
use regie_ledger::{Counters, RefusalKey};
use regie_model::{AdSetId, UtcHour, event::RollupKey};
use rusqlite::{Connection, OptionalExtension, params};
use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};

const SCHEMA: &str = "
PRAGMA journal_mode = WAL;
PRAGMA synchronous = NORMAL;
CREATE TABLE IF NOT EXISTS meta (key TEXT PRIMARY KEY, value);
CREATE TABLE IF NOT EXISTS changes (
  position INTEGER PRIMARY KEY, at_ms INTEGER NOT NULL, entity TEXT NOT NULL, body BLOB NOT NULL);
CREATE INDEX IF NOT EXISTS changes_by_entity ON changes (entity, position);
CREATE TABLE IF NOT EXISTS rollups (
  hour INTEGER NOT NULL, campaign INTEGER NOT NULL, ad_set INTEGER NOT NULL, ad INTEGER NOT NULL, version INTEGER NOT NULL,
  placement INTEGER NOT NULL, country TEXT NOT NULL, device INTEGER NOT NULL,
  served INTEGER NOT NULL, impressions INTEGER NOT NULL, viewable INTEGER NOT NULL, clicks INTEGER NOT NULL,
  conversions INTEGER NOT NULL, spend_nanos INTEGER NOT NULL, credited_nanos INTEGER NOT NULL, free_nanos INTEGER NOT NULL,
  PRIMARY KEY (hour, campaign, ad_set, ad, version, placement, country, device)) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS rollups_by_campaign ON rollups (campaign, hour);
CREATE TABLE IF NOT EXISTS refusals (
  hour INTEGER NOT NULL, kind TEXT NOT NULL, reason TEXT NOT NULL, placement INTEGER NOT NULL, count INTEGER NOT NULL,
  PRIMARY KEY (hour, kind, reason, placement)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS charge_blocks (block INTEGER PRIMARY KEY, body BLOB NOT NULL);
CREATE TABLE IF NOT EXISTS credits (position INTEGER PRIMARY KEY, at_ms INTEGER NOT NULL, charged INTEGER NOT NULL, nanos INTEGER NOT NULL);
CREATE TABLE IF NOT EXISTS matched (ad_set INTEGER NOT NULL, hour INTEGER NOT NULL, count INTEGER NOT NULL, PRIMARY KEY (ad_set, hour)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS histories (subject TEXT NOT NULL, position INTEGER NOT NULL, at_ms INTEGER NOT NULL, body TEXT NOT NULL, PRIMARY KEY (subject, position)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS samples (epoch INTEGER NOT NULL, sequence INTEGER NOT NULL, position INTEGER NOT NULL, PRIMARY KEY (epoch, sequence)) WITHOUT ROWID;
";

/// A refusal row: what was refused, and how often.
pub type RefusalRow = (RefusalKey, u64);

/// What one flush writes.
#[derive(Default)]
pub struct Flush {
    /// Journal position up to which everything here has read.
    pub position: u64,
    /// Booked changes: (position, time, entity, JSON of the event).
    pub changes: Vec<(u64, i64, String, Vec<u8>)>,
    /// Report deltas.
    pub rollups: Vec<((UtcHour, RollupKey), Counters)>,
    /// Refused events.
    pub refusals: Vec<RefusalRow>,
    /// Charge blocks that changed.
    pub charge_blocks: Vec<(u64, Vec<u8>)>,
    /// Decisions whose inputs were kept: (epoch, sequence, position).
    pub samples: Vec<(u32, u64, u64)>,
    /// Credits that were granted: (position, time, position of the charge, nanos).
    pub credits: Vec<(u64, i64, u64, i128)>,
    /// Places offered that matched an ad set's targeting: (ad set, hour) to how many more.
    pub matched: BTreeMap<(AdSetId, UtcHour), u64>,
    /// A checkpoint of the ledger, now and then.
    pub ledger: Option<Vec<u8>>,
    /// One of the learner's fold, of the same position.
    pub served: Option<Vec<u8>>,
}

/// The projections' file.
pub struct StateDb {
    path: PathBuf,
    connection: Connection,
}

impl StateDb {
    /// Opens or makes it.
    ///
    /// # Errors
    /// SQLite's error.
    pub fn open(path: &Path) -> Result<StateDb> {
        let connection = Connection::open(path).with_context(|| format!("cannot open {}", path.display()))?;
        connection.execute_batch(SCHEMA)?;
        connection.execute_batch(spend::SCHEMA)?;
        spend::make(&connection)?;
        Ok(StateDb { path: path.to_path_buf(), connection })
    }
    /// In memory only, for simulation.
    ///
    /// # Errors
    /// SQLite's error.
    pub fn in_memory() -> Result<StateDb> {
        let connection = Connection::open_in_memory()?;
        connection.execute_batch(SCHEMA)?;
        connection.execute_batch(spend::SCHEMA)?;
        spend::make(&connection)?;
        Ok(StateDb { path: PathBuf::new(), connection })
    }
    /// A second connection that only reads, for pages; `None` in memory.
    ///
    /// # Errors
    /// SQLite's error.
    pub fn reader(path: &Path) -> Result<Connection> {
        let flags = rusqlite::OpenFlags::SQLITE_OPEN_READ_ONLY | rusqlite::OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let connection = Connection::open_with_flags(path, flags)?;
        connection.busy_timeout(std::time::Duration::from_secs(2))?;
        Ok(connection)
    }
    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }
    /// The connection itself, for reading.
    pub fn connection(&self) -> &Connection {
        &self.connection
    }
    fn meta(&self, key: &str) -> Result<u64> {
        let sql = "SELECT value FROM meta WHERE key = ?1";
        let value: Option<i64> = self.connection.query_row(sql, [key], |r| r.get(0)).optional()?;
        Ok(value.unwrap_or(0) as u64)
    }
    /// Up to where reports and changes have read.
    ///
    /// # Errors
    /// SQLite's error.
    pub fn rollups_position(&self) -> Result<u64> {
        self.meta("rollups_position")
    }
    /// The latest ledger checkpoint.
    ///
    /// # Errors
    /// SQLite's error.
    pub fn ledger(&self) -> Result<Option<Vec<u8>>> {
        let sql = "SELECT value FROM meta WHERE key = 'ledger'";
        Ok(self.connection.query_row(sql, [], |r| r.get(0)).optional()?)
    }
    /// The checkpoint of the learner's fold.
    ///
    /// # Errors
    /// SQLite's error.
    pub fn served(&self) -> Result<Option<Vec<u8>>> {
        let sql = "SELECT value FROM meta WHERE key = 'served'";
        Ok(self.connection.query_row(sql, [], |r| r.get(0)).optional()?)
    }
    /// Every booked change behind a position, in order: (position, JSON of the event).
    ///
    /// # Errors
    /// SQLite's error, or what `each` returns.
    pub fn for_each_change(&self, after: u64, mut each: impl FnMut(u64, &[u8]) -> Result<()>) -> Result<()> {
        let sql = "SELECT position, body FROM changes WHERE position > ?1 ORDER BY position";
        let mut statement = self.connection.prepare(sql)?;
        let mut rows = statement.query([after as i64])?;
        while let Some(row) = rows.next()? {
            let body = row.get_ref(1)?.as_blob().context("a change is no blob")?;
            each(row.get::<_, i64>(0)? as u64, body)?;
        }
        Ok(())
    }
    /// One charge block.
    ///
    /// # Errors
    /// SQLite's error.
    pub fn charge_block(&self, block: u64) -> Result<Option<Vec<u8>>> {
        let sql = "SELECT body FROM charge_blocks WHERE block = ?1";
        Ok(self.connection.query_row(sql, [block as i64], |r| r.get(0)).optional()?)
    }
    /// Places offered from one hour to before another that matched an ad set's targeting; none where none were counted.
    ///
    /// # Errors
    /// SQLite's error.
    pub fn matched(&self, ad_set: AdSetId, from: UtcHour, to: UtcHour) -> Result<Option<u64>> {
        let sql = "SELECT sum(count) FROM matched WHERE ad_set = ?1 AND hour >= ?2 AND hour < ?3";
        let sum: Option<i64> =
            self.connection.prepare_cached(sql)?.query_row(params![ad_set.0, from.0, to.0], |r| r.get(0))?;
        Ok(sum.map(|count| count as u64))
    }
    /// Booked changes behind a position, in order, at most so many: (position, JSON of the event).
    ///
    /// # Errors
    /// SQLite's error.
    pub fn changes(&self, after: u64, limit: usize) -> Result<Vec<(u64, Vec<u8>)>> {
        let sql = "SELECT position, body FROM changes WHERE position > ?1 ORDER BY position LIMIT ?2";
        let mut statement = self.connection.prepare_cached(sql)?;
        let limit = i64::try_from(limit).unwrap_or(i64::MAX);
        let rows = statement
            .query_map(params![after as i64, limit], |r| Ok((r.get::<_, i64>(0)? as u64, r.get(1)?)))?;
        Ok(rows.collect::<Result<_, _>>()?)
    }
    /// Up to which position histories were kept.
    ///
    /// # Errors
    /// SQLite's error.
    pub fn histories_position(&self) -> Result<u64> {
        self.meta("histories_position")
    }
    /// Keeps lines of histories (subject, position, time, JSON) and up to which position they go.
    ///
    /// # Errors
    /// SQLite's error; then nothing was written.
    pub fn keep_histories(&mut self, lines: &[(String, u64, i64, String)], position: u64) -> Result<()> {
        let transaction = self.connection.transaction()?;
        {
            let mut put =
                transaction.prepare_cached("INSERT OR REPLACE INTO histories VALUES (?1, ?2, ?3, ?4)")?;
            for (subject, position, at_ms, body) in lines {
                put.execute(params![subject, *position as i64, at_ms, body])?;
            }
            let mut set = transaction.prepare_cached("INSERT OR REPLACE INTO meta VALUES (?1, ?2)")?;
            set.execute(params!["histories_position", position as i64])?;
        }
        Ok(transaction.commit()?)
    }
    /// What was kept of one subject: (position, time, JSON), in order.
    ///
    /// # Errors
    /// SQLite's error.
    pub fn history_of(&self, subject: &str) -> Result<Vec<(u64, i64, String)>> {
        let sql = "SELECT position, at_ms, body FROM histories WHERE subject = ?1 ORDER BY position";
        let mut statement = self.connection.prepare_cached(sql)?;
        let rows =
            statement.query_map([subject], |r| Ok((r.get::<_, i64>(0)? as u64, r.get(1)?, r.get(2)?)))?;
        Ok(rows.collect::<Result<_, _>>()?)
    }
    /// Writes everything in one transaction.
    ///
    /// # Errors
    /// SQLite's error; then nothing was written.
    pub fn flush(&mut self, flush: &Flush) -> Result<()> {
        let transaction = self.connection.transaction()?;
        {
            let mut put =
                transaction.prepare_cached("INSERT OR REPLACE INTO changes VALUES (?1, ?2, ?3, ?4)")?;
            for (position, at_ms, entity, body) in &flush.changes {
                put.execute(params![*position as i64, at_ms, entity, body])?;
            }
            let mut add = transaction.prepare_cached(
                "INSERT INTO rollups VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16)
                 ON CONFLICT DO UPDATE SET served = served + ?9, impressions = impressions + ?10, viewable = viewable + ?11,
                 clicks = clicks + ?12, conversions = conversions + ?13, spend_nanos = spend_nanos + ?14,
                 credited_nanos = credited_nanos + ?15, free_nanos = free_nanos + ?16",
            )?;
            for ((hour, key), c) in &flush.rollups {
                let country =
                    if key.country == [0, 0] { "" } else { std::str::from_utf8(&key.country).unwrap_or("") };
                add.execute(params![
                    hour.0,
                    key.campaign.0,
                    key.ad_set.0,
                    key.ad.0,
                    key.version.0,
                    key.placement.0,
                    country,
                    key.device,
                    c.served_count as i64,
                    c.impressions_count as i64,
                    c.viewable_count as i64,
                    c.clicks_count as i64,
                    c.conversions_count as i64,
                    c.gross_nanos.0 as i64,
                    c.credited_nanos.0 as i64,
                    c.free_nanos.0 as i64,
                ])?;
            }
            spend::add(&transaction, &flush.rollups)?;
            let mut add = transaction.prepare_cached(
                "INSERT INTO refusals VALUES (?1, ?2, ?3, ?4, ?5) ON CONFLICT DO UPDATE SET count = count + ?5",
            )?;
            for (key, count) in &flush.refusals {
                add.execute(params![
                    key.hour.0,
                    key.kind.word(),
                    key.reason.word(),
                    key.placement.0,
                    *count as i64
                ])?;
            }
            let mut put =
                transaction.prepare_cached("INSERT OR REPLACE INTO charge_blocks VALUES (?1, ?2)")?;
            for (block, body) in &flush.charge_blocks {
                put.execute(params![*block as i64, body])?;
            }
            let mut put = transaction.prepare_cached("INSERT OR REPLACE INTO samples VALUES (?1, ?2, ?3)")?;
            for (epoch, sequence, position) in &flush.samples {
                put.execute(params![epoch, *sequence as i64, *position as i64])?;
            }
            let mut put =
                transaction.prepare_cached("INSERT OR REPLACE INTO credits VALUES (?1, ?2, ?3, ?4)")?;
            for (position, at_ms, charged, nanos) in &flush.credits {
                put.execute(params![*position as i64, at_ms, *charged as i64, *nanos as i64])?;
            }
            let mut add = transaction.prepare_cached(
                "INSERT INTO matched VALUES (?1, ?2, ?3) ON CONFLICT DO UPDATE SET count = count + ?3",
            )?;
            for ((ad_set, hour), count) in &flush.matched {
                add.execute(params![ad_set.0, hour.0, *count as i64])?;
            }
            let mut set = transaction.prepare_cached("INSERT OR REPLACE INTO meta VALUES (?1, ?2)")?;
            set.execute(params!["rollups_position", flush.position as i64])?;
            if let Some(ledger) = &flush.ledger {
                set.execute(params!["ledger", ledger])?;
            }
            if let Some(served) = &flush.served {
                set.execute(params!["served", served])?;
            }
        }
        transaction.commit()?;
        Ok(())
    }
}
