//! `record.db`: the published versions, made readable: leaves in log order, objects, days, and the full-text index.
//!
//! A projection of the log, in a file of its own: what it holds was published, and nothing else is in it (R2, R4). Search
//! is one FTS5 query: words and filters are terms of the same index, so that a rare filter is as fast as a rare word.
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
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use super::search::expression;
pub use super::search::{Filters, Query, terms};

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
CREATE TABLE IF NOT EXISTS bulk (day INTEGER NOT NULL, form TEXT NOT NULL, last_idx INTEGER NOT NULL, rows INTEGER NOT NULL, sha256 TEXT NOT NULL, PRIMARY KEY (day, form)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS outbox (
  ad INTEGER NOT NULL, version INTEGER NOT NULL, due_ms INTEGER NOT NULL, next_ms INTEGER NOT NULL, tries INTEGER NOT NULL, sent_ms INTEGER, answer TEXT NOT NULL, PRIMARY KEY (ad, version)) WITHOUT ROWID;
";

/// The full-text index, of ads that were shown. Beginnings of words of up to eight letters have lists of their own: a beginning that thousands of words
/// share would else be merged from all of theirs, tens of milliseconds in a record of some hundred thousand ads.
const INDEX: &str = "CREATE VIRTUAL TABLE ads_fts USING fts5(
  words, filters,
  content='', contentless_delete=1, tokenize=\"unicode61 remove_diacritics 2\", prefix='1 2 3 4 5 6 7 8')";
/// Pages that one step of merging the index writes, about a megabyte.
const MERGE_PAGES: i64 = 256;

/// Makes the index; one of an earlier form is made anew from the words beside it.
fn make_index(connection: &Connection) -> Result<()> {
    let sql = "SELECT sql FROM sqlite_master WHERE name = 'ads_fts'";
    let made: Option<String> = connection.query_row(sql, [], |r| r.get(0)).optional()?;
    if made.as_deref() == Some(INDEX) {
        return Ok(());
    }
    let transaction = connection.unchecked_transaction()?;
    transaction.execute_batch("DROP TABLE IF EXISTS ads_fts")?;
    transaction.execute_batch(INDEX)?;
    transaction.execute_batch(
        "INSERT INTO ads_fts (rowid, words, filters) SELECT ad, words, filters FROM ads WHERE shown = 1 AND filters <> ''",
    )?;
    transaction.commit()?;
    Ok(())
}

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
        make_index(&connection)?;
        RecordDb::counted(connection)
    }
    fn counted(connection: Connection) -> Result<RecordDb> {
        let sql = "SELECT count(*) FROM ads WHERE shown = 1";
        let count = connection.query_row(sql, [], |r| r.get::<_, i64>(0))? as u64;
        Ok(RecordDb { connection, found: Arc::new(AtomicU64::new(count)) })
    }
    /// How many ads search finds, now and later.
    pub fn found(&self) -> Arc<AtomicU64> {
        Arc::clone(&self.found)
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
        make_index(&connection)?;
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
        }
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
    /// Deletes an object with its salt. The caller has put a tombstone into the log.
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
    /// Sets the words and filters by which an ad is found, and whether it was shown.
    ///
    /// # Errors
    /// SQLite's error.
    pub fn set_words(&self, ad: AdId, shown: bool, words: &str, filters: &Filters) -> Result<()> {
        let mut filters = filters.clone();
        if shown {
            filters.add("shown", "1");
        }
        let words = terms(words).join(" ");
        let mut before = self.connection.prepare_cached("SELECT shown FROM ads WHERE ad = ?1")?;
        let before: Option<bool> = before.query_row([ad.0], |r| r.get(0)).optional()?;
        match before {
            Some(false) if shown => drop(self.found.fetch_add(1, Ordering::Relaxed)),
            Some(true) if !shown => drop(self.found.fetch_sub(1, Ordering::Relaxed)),
            _ => {}
        }
        let mut put = self
            .connection
            .prepare_cached("UPDATE ads SET shown = ?2, words = ?3, filters = ?4 WHERE ad = ?1")?;
        let known = put.execute(params![ad.0, shown, words, filters.text()])? > 0;
        if known {
            self.connection.prepare_cached("DELETE FROM ads_fts WHERE rowid = ?1")?.execute([ad.0])?;
        }
        // Only what was shown is found: the index is written when it is, and not with every ad that is booked.
        if known && shown {
            self.put_into_index(ad, &words, &filters.text())?;
        }
        Ok(())
    }
    fn put_into_index(&self, ad: AdId, words: &str, filters: &str) -> Result<()> {
        let sql = "INSERT INTO ads_fts (rowid, words, filters) VALUES (?1, ?2, ?3)";
        self.connection.prepare_cached(sql)?.execute(params![ad.0, words, filters])?;
        Ok(())
    }
    /// Puts a shown ad into the index alone, without leaves: for measurements and tests.
    ///
    /// # Errors
    /// SQLite's error.
    pub fn insert_ad(&self, ad: AdId, words: &str, filters: &Filters) -> Result<()> {
        let sql = "INSERT INTO ads VALUES (?1, ?1, ?1, 0, '', '')";
        self.connection.prepare_cached(sql)?.execute([ad.0])?;
        self.set_words(ad, true, words, filters)
    }
    /// Marks an ad as shown: from now on search finds it.
    ///
    /// # Errors
    /// SQLite's error.
    pub fn set_shown(&self, ad: AdId) -> Result<bool> {
        let sql = "SELECT words, filters FROM ads WHERE ad = ?1 AND shown = 0";
        let mut statement = self.connection.prepare_cached(sql)?;
        let found: Option<(String, String)> =
            statement.query_row([ad.0], |r| Ok((r.get(0)?, r.get(1)?))).optional()?;
        let Some((words, filters)) = found else { return Ok(false) };
        let mut shown = Filters::default();
        shown.add("shown", "1");
        let filters = format!("{filters} {}", shown.text());
        let sql = "UPDATE ads SET shown = 1, filters = ?2 WHERE ad = ?1";
        self.connection.prepare_cached(sql)?.execute(params![ad.0, filters])?;
        // Of an earlier form of the index, which had every ad.
        self.connection.prepare_cached("DELETE FROM ads_fts WHERE rowid = ?1")?.execute([ad.0])?;
        self.put_into_index(ad, &words, &filters)?;
        self.found.fetch_add(1, Ordering::Relaxed);
        Ok(true)
    }
    /// The newest ads that a search finds, and the number before which the next answer begins.
    ///
    /// # Errors
    /// SQLite's error.
    pub fn search(&self, query: &Query) -> Result<(Vec<AdId>, Option<AdId>)> {
        let limit = query.limit.clamp(1, 10_000);
        let before = query.before.map_or(i64::MAX, |ad| i64::from(ad.0));
        let size = query.size.map_or(i64::MAX, |s| i64::try_from(s).unwrap_or(i64::MAX));
        let everything = || {
            let mut query = query.clone();
            query.filters.add("shown", "1");
            expression(&query)
        };
        let expression = expression(query).or_else(everything).unwrap_or_default();
        let sql = "SELECT rowid FROM ads_fts WHERE ads_fts MATCH ?1 AND rowid < ?2
            AND (?3 = 9223372036854775807 OR (SELECT first_idx FROM ads WHERE ad = ads_fts.rowid) < ?3)
            ORDER BY rowid DESC LIMIT ?4";
        let mut statement = self.connection.prepare_cached(sql)?;
        let rows = statement
            .query_map(params![expression, before, size, limit as i64 + 1], |r| r.get::<_, u32>(0))?;
        let mut found: Vec<AdId> = rows.map(|id| id.map(AdId)).collect::<Result<_, _>>()?;
        let more = found.len() > limit;
        found.truncate(limit);
        let next = more.then(|| found.last().copied()).flatten();
        Ok((found, next))
    }
    /// Merges a part of the index's segments into one, which searches read faster; whether there is more to merge. Each call writes
    /// about a megabyte.
    ///
    /// # Errors
    /// SQLite's error.
    pub fn merge_index(&self) -> Result<bool> {
        let before = self.connection.total_changes();
        let sql = "INSERT INTO ads_fts (ads_fts, rank) VALUES ('merge', ?1)";
        self.connection.prepare_cached(sql)?.execute([-MERGE_PAGES])?;
        // The statement itself counts as one change.
        Ok(self.connection.total_changes() - before >= 2)
    }
    /// Counts for the completeness counter: (leaves, ads, ads shown, versions of facts, day versions).
    ///
    /// # Errors
    /// SQLite's error.
    pub fn counts(&self) -> Result<[u64; 5]> {
        let one = |sql: &str| self.connection.query_row(sql, [], |r| r.get::<_, i64>(0)).map(|n| n as u64);
        Ok([
            one("SELECT count(*) FROM leaves WHERE kind <> 'log'")?,
            one("SELECT count(*) FROM ads")?,
            one("SELECT count(*) FROM ads WHERE shown = 1")?,
            one("SELECT count(*) FROM leaves WHERE kind = 'facts'")?,
            one("SELECT count(*) FROM leaves WHERE kind = 'figures'")?,
        ])
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
    /// Days with published figures: (day, rows, last leaf), the newest first.
    ///
    /// # Errors
    /// SQLite's error.
    pub fn days(&self) -> Result<Vec<(Day, u64, u64)>> {
        let sql = "SELECT day, count(DISTINCT ad), max(idx) FROM leaves WHERE day IS NOT NULL GROUP BY day ORDER BY day DESC";
        let mut statement = self.connection.prepare_cached(sql)?;
        let rows = statement.query_map([], |r| {
            Ok((Day(r.get(0)?), r.get::<_, i64>(1)? as u64, r.get::<_, i64>(2)? as u64))
        })?;
        Ok(rows.collect::<Result<_, _>>()?)
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

fn index_facts(connection: &Connection, index: u64, leaf: &Leaf) -> Result<()> {
    connection
        .prepare_cached(
            "INSERT INTO ads VALUES (?1, ?2, ?2, 0, '', '') ON CONFLICT (ad) DO UPDATE SET facts_idx = ?2",
        )?
        .execute(params![leaf.ad.0, index as i64])?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Number, words, filters.
    type Ad<'a> = (u32, &'a str, &'a [(&'a str, &'a str)]);

    fn db(ads: &[Ad<'_>]) -> RecordDb {
        let db = RecordDb::in_memory().unwrap();
        for (ad, words, filters) in ads {
            let mut all = Filters::default();
            filters.iter().for_each(|(name, value)| all.add(name, value));
            db.insert_ad(AdId(*ad), words, &all).unwrap();
        }
        db
    }
    fn found(db: &RecordDb, words: &str, filters: &[(&str, &str)]) -> Vec<u32> {
        let mut query = Query { words: words.into(), limit: 10, ..Query::default() };
        filters.iter().for_each(|(name, value)| query.filters.add(name, value));
        db.search(&query).unwrap().0.into_iter().map(|id| id.0).collect()
    }

    #[test]
    fn search_reads_every_script_and_forgives_accents() {
        let db = db(&[
            (1, "Élection municipale à Besançon, Müller", &[]),
            (2, "2027年東京都知事選挙のお知らせ", &[]),
            (3, "Δημοτικές εκλογές Αθήνα", &[]),
            (4, "Общински избори", &[]),
            (5, "انتخابات البلدية", &[]),
            (6, "การเลือกตั้งท้องถิ่น", &[]),
            (7, "서울시장 선거", &[]),
        ]);
        for (words, want) in [
            ("election", vec![1]),
            ("ÉLECT", vec![1]),
            ("muller besancon", vec![1]),
            ("εκλογεσ", vec![3]),
            ("ΑΘΗΝΑ", vec![3]),
            ("選挙", vec![2]),
            ("東京", vec![2]),
            ("京東", vec![]),
            ("挙", vec![2]),
            ("εκλογες", vec![3]),
            ("избор", vec![4]),
            ("انتخابات", vec![5]),
            ("เลือกตั้ง", vec![6]),
            ("서울시", vec![7]),
            ("submarine", vec![]),
            ("\" OR ( * NEAR", vec![]),
        ] {
            assert_eq!(found(&db, words, &[]), want, "{words}");
        }
    }
    #[test]
    fn an_index_of_an_earlier_form_is_made_anew() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("record.db");
        {
            let db = RecordDb::open(&path).unwrap();
            let mut filters = Filters::default();
            filters.add("political", "1");
            db.insert_ad(AdId(7), "harbour lantern", &filters).unwrap();
            let old = INDEX.replace("1 2 3 4 5 6 7 8", "2 3");
            db.connection().execute_batch(&format!("DROP TABLE ads_fts; {old}")).unwrap();
        }
        let db = RecordDb::open(&path).unwrap();
        assert_eq!(found(&db, "harb", &[("political", "1")]), [7]);
        drop(db);
        let db = RecordDb::open(&path).unwrap();
        assert_eq!(found(&db, "lan", &[]), [7]);
        let sql = "SELECT sql FROM sqlite_master WHERE name = 'ads_fts'";
        let made: String = db.connection().query_row(sql, [], |r| r.get(0)).unwrap();
        assert_eq!(made, INDEX, "and once only");
    }
    #[test]
    fn filters_are_terms_and_pages_have_a_cursor() {
        let filters: &[(&str, &str)] = &[("political", "1"), ("sponsor", "party_3")];
        let db = db(&[(1, "red", filters), (2, "red", &[("political", "1")]), (3, "blue red", filters)]);
        assert_eq!(found(&db, "red", &[("sponsor", "party_3")]), [3, 1]);
        assert_eq!(found(&db, "", &[("political", "1")]), [3, 2, 1]);
        assert_eq!(found(&db, "zzpoliticalx1", &[]), Vec::<u32>::new(), "a filter is no word");
        let query = Query { words: "red".into(), limit: 2, ..Query::default() };
        assert_eq!(db.search(&query).unwrap(), (vec![AdId(3), AdId(2)], Some(AdId(2))));
        let rest = Query { before: Some(AdId(2)), ..query.clone() };
        assert_eq!(db.search(&rest).unwrap(), (vec![AdId(1)], None));
        let then = Query { size: Some(2), ..query };
        assert_eq!(db.search(&then).unwrap().0, [AdId(1)], "as of an earlier size");
    }
}
