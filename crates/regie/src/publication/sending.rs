//! Which political ads have something new for the repository of Regulation (EU) 2024/900, Art. 13: noted as leaves are taken in and as ads
//! are first shown, so that nobody looks through all leaves for them.

use super::db::RecordDb;
use anyhow::Result;
use regie_model::{AdId, UtcMs};
use rusqlite::{Connection, params};

/// Tables, in `record.db`: ads with something new, and the queue of versions.
pub(super) const SCHEMA: &str = "
CREATE TABLE IF NOT EXISTS to_send (ad INTEGER PRIMARY KEY);
CREATE TABLE IF NOT EXISTS outbox (
  ad INTEGER NOT NULL, version INTEGER NOT NULL, due_ms INTEGER NOT NULL, next_ms INTEGER NOT NULL, tries INTEGER NOT NULL, sent_ms INTEGER, answer TEXT NOT NULL, PRIMARY KEY (ad, version)) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS outbox_waiting ON outbox (next_ms) WHERE sent_ms IS NULL;
";
/// Ads that are queued in one round.
const ROUND_MAX: usize = 1_000;
/// A political ad that was shown; what it is found by says so.
const IS_SENT: &str = "shown = 1 AND instr(filters, 'zzpoliticalx1') > 0";

/// Notes that there is something new of an ad, if it is political and was shown.
pub(super) fn note(connection: &Connection, ad: AdId) -> Result<()> {
    let sql = format!("INSERT OR IGNORE INTO to_send SELECT ad FROM ads WHERE ad = ?1 AND {IS_SENT}");
    connection.prepare_cached(&sql)?.execute([ad.0])?;
    Ok(())
}
/// Notes every such ad of a file that kept no notes.
pub(super) fn note_all_once(db: &RecordDb) -> Result<()> {
    if db.mark("to_send")? == 0 {
        let sql = format!("INSERT OR IGNORE INTO to_send SELECT ad FROM ads WHERE {IS_SENT}");
        db.connection().execute(&sql, [])?;
        db.set_mark("to_send", 1)?;
    }
    Ok(())
}

/// Queues the newest version of every ad with something new; an older one that was never sent gives way to it. Returns how many ads were
/// looked at: fewer than there are when there are very many.
///
/// # Errors
/// SQLite's error; then nothing was queued.
pub fn queue(db: &RecordDb, now_ms: i64, due_after_ms: i64) -> Result<usize> {
    let connection = db.connection();
    let ads: Vec<u32> = {
        let mut statement = connection.prepare_cached("SELECT ad FROM to_send ORDER BY ad LIMIT ?1")?;
        let rows = statement.query_map([ROUND_MAX as i64], |r| r.get(0))?;
        rows.collect::<Result<_, _>>()?
    };
    let transaction = connection.unchecked_transaction()?;
    for ad in &ads {
        let sql = "SELECT count(*), coalesce(min(at_ms), 0) FROM leaves WHERE ad = ?1";
        let (version, first): (u32, i64) =
            transaction.prepare_cached(sql)?.query_row([ad], |r| Ok((r.get(0)?, r.get(1)?)))?;
        let sql = "SELECT count(*) FROM outbox WHERE ad = ?1 AND version >= ?2";
        let known: i64 = transaction.prepare_cached(sql)?.query_row(params![ad, version], |r| r.get(0))?;
        if known == 0 {
            transaction
                .prepare_cached("DELETE FROM outbox WHERE ad = ?1 AND sent_ms IS NULL")?
                .execute([ad])?;
            let due = first + due_after_ms;
            let due = if version == 1 { due } else { due.max(now_ms) };
            let sql = "INSERT INTO outbox VALUES (?1, ?2, ?3, ?4, 0, NULL, '')";
            transaction.prepare_cached(sql)?.execute(params![ad, version, due, now_ms])?;
        }
        transaction.prepare_cached("DELETE FROM to_send WHERE ad = ?1")?.execute([ad])?;
    }
    transaction.commit()?;
    Ok(ads.len())
}

/// A version that waits to be sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Upload {
    /// The ad.
    pub ad: AdId,
    /// Its version: how many leaves it has.
    pub version: u32,
    /// By when it is to be there.
    pub due_at: UtcMs,
    /// When it is tried next.
    pub next_at: UtcMs,
    /// How often it was tried.
    pub tries_count: u32,
    /// What was answered last, or what the upload lacks; empty before the first try.
    pub answer: String,
}
/// Uploads that wait, those due first.
///
/// # Errors
/// SQLite's error.
pub fn waiting(db: &RecordDb, limit: usize) -> Result<Vec<Upload>> {
    let sql = "SELECT ad, version, due_ms, next_ms, tries, answer FROM outbox WHERE sent_ms IS NULL ORDER BY due_ms, ad LIMIT ?1";
    let mut statement = db.connection().prepare_cached(sql)?;
    let rows = statement.query_map([limit as i64], |r| {
        Ok(Upload {
            ad: AdId(r.get(0)?),
            version: r.get(1)?,
            due_at: UtcMs(r.get(2)?),
            next_at: UtcMs(r.get(3)?),
            tries_count: r.get(4)?,
            answer: r.get(5)?,
        })
    })?;
    Ok(rows.collect::<Result<_, _>>()?)
}
/// How the uploads stand.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Taken by the repository.
    pub sent: u64,
    /// To be sent.
    pub waiting: u64,
    /// Of these, past their time.
    pub overdue: u64,
}
/// Counts them.
///
/// # Errors
/// SQLite's error.
pub fn counts(db: &RecordDb, now: UtcMs) -> Result<Counts> {
    let sql =
        "SELECT count(sent_ms), sum(sent_ms IS NULL), sum(sent_ms IS NULL AND due_ms <= ?1) FROM outbox";
    let read = |r: &rusqlite::Row<'_>| {
        let [waiting, overdue] = [r.get::<_, Option<i64>>(1)?, r.get(2)?].map(|n| n.unwrap_or(0) as u64);
        Ok(Counts { sent: r.get::<_, i64>(0)? as u64, waiting, overdue })
    };
    Ok(db.connection().query_row(sql, [now.0], read)?)
}
