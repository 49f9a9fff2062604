//! Closed days in `record.db`: which there are, and the hashes of their bulk files.
//!
//! Kept as figures are taken in, so that nobody goes through all leaves for the list of days. Refuses to keep a file's hash once something
//! that the file says was withheld.

use super::db::RecordDb;
use anyhow::Result;
use regie_model::{AdId, Day};
use regie_record::{
    commit::Sha256Hash,
    leaf::{Kind, Leaf},
};
use rusqlite::{Connection, OptionalExtension, params};

/// Tables, in `record.db`.
pub(super) const SCHEMA: &str = "
CREATE TABLE IF NOT EXISTS closed_days (day INTEGER PRIMARY KEY, ads INTEGER NOT NULL, last_idx INTEGER NOT NULL);
CREATE TABLE IF NOT EXISTS bulk_files (day INTEGER NOT NULL, form TEXT NOT NULL, last_idx INTEGER NOT NULL, sha256 TEXT NOT NULL,
  PRIMARY KEY (day, form)) WITHOUT ROWID;
DROP TABLE IF EXISTS bulk;
";

/// A closed day.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ClosedDay {
    /// The day.
    pub day: Day,
    /// Ads with figures.
    pub ads_count: u64,
    /// The last leaf about it.
    pub last_index: u64,
}

/// Notes the figures of a leaf.
pub(super) fn note(connection: &Connection, index: u64, leaf: &Leaf) -> Result<()> {
    let (Some(figures), Kind::Figures) = (&leaf.figures, leaf.kind) else { return Ok(()) };
    let sql = "INSERT INTO closed_days VALUES (?1, ?2, ?3) ON CONFLICT (day) DO UPDATE SET ads = ads + ?2, last_idx = ?3";
    let first = i64::from(leaf.version == 1);
    connection.prepare_cached(sql)?.execute(params![figures.day.0, first, index as i64])?;
    Ok(())
}
/// Notes all figures of a file that kept no notes.
pub(super) fn note_all_once(db: &RecordDb) -> Result<()> {
    if db.mark("closed_days")? == 0 {
        db.connection().execute_batch(
            "DELETE FROM closed_days;
             INSERT INTO closed_days SELECT day, count(DISTINCT ad), max(idx) FROM leaves WHERE day IS NOT NULL GROUP BY day",
        )?;
        db.set_mark("closed_days", 1)?;
    }
    Ok(())
}

impl RecordDb {
    /// Days with published figures, the newest first.
    ///
    /// # Errors
    /// SQLite's error.
    pub fn days(&self) -> Result<Vec<ClosedDay>> {
        let sql = "SELECT day, ads, last_idx FROM closed_days ORDER BY day DESC";
        let mut statement = self.connection().prepare_cached(sql)?;
        let rows = statement.query_map([], closed)?;
        Ok(rows.collect::<Result<_, _>>()?)
    }
    /// One of them.
    ///
    /// # Errors
    /// SQLite's error.
    pub fn closed_day(&self, day: Day) -> Result<Option<ClosedDay>> {
        let mut statement =
            self.connection().prepare_cached("SELECT day, ads, last_idx FROM closed_days WHERE day = ?1")?;
        Ok(statement.query_row([day.0], closed).optional()?)
    }
    /// The hash of a day's file that was made of the leaves up to `last_index`, if it still holds.
    ///
    /// # Errors
    /// SQLite's error.
    pub fn file_hash(&self, of: &ClosedDay, form: &str) -> Result<Option<String>> {
        let sql = "SELECT sha256 FROM bulk_files WHERE day = ?1 AND form = ?2 AND last_idx = ?3";
        let mut statement = self.connection().prepare_cached(sql)?;
        Ok(statement.query_row(params![of.day.0, form, of.last_index as i64], |r| r.get(0)).optional()?)
    }
    /// Keeps it; `withheld`: how often something had been withheld when the file was made. Where that is no longer so, nothing is kept.
    ///
    /// # Errors
    /// SQLite's error.
    pub fn keep_file_hash(&self, of: &ClosedDay, form: &str, hash: &Sha256Hash, withheld: u64) -> Result<()> {
        if self.withheld_count()? == withheld {
            let sql = "INSERT OR REPLACE INTO bulk_files VALUES (?1, ?2, ?3, ?4)";
            let values = params![of.day.0, form, of.last_index as i64, hash.to_string()];
            self.connection().prepare_cached(sql)?.execute(values)?;
        }
        Ok(())
    }
    /// How often an object was deleted under a tombstone.
    ///
    /// # Errors
    /// SQLite's error.
    pub fn withheld_count(&self) -> Result<u64> {
        self.mark("withheld")
    }
    /// Something of an ad was withheld: what says it is another file now.
    pub(super) fn forget_files_of(&self, ad: AdId) -> Result<()> {
        let sql =
            "DELETE FROM bulk_files WHERE day IN (SELECT day FROM leaves WHERE ad = ?1 AND day IS NOT NULL)";
        self.connection().prepare_cached(sql)?.execute([ad.0])?;
        self.set_mark("withheld", self.withheld_count()? + 1)
    }
}
fn closed(row: &rusqlite::Row<'_>) -> rusqlite::Result<ClosedDay> {
    let [ads_count, last_index] = [row.get::<_, i64>(1)? as u64, row.get::<_, i64>(2)? as u64];
    Ok(ClosedDay { day: Day(row.get(0)?), ads_count, last_index })
}
