//! The full-text index over ads that were shown, in `record.db`, and the search over it.
//!
//! One FTS5 query finds words and filters alike. Ads stand in the index by their **place**: the order in which they were first
//! published, without gaps, so that "newest first", a cursor and "as of a size of the log" are all one bound on the place. The block of
//! its place is a term of each ad: FTS5 looks for a first match beyond any bound on the row, but not beyond a term's last row. Refuses to
//! search longer than it is told: it goes through the blocks, newest first, and says where to go on.

use super::db::RecordDb;
use super::search::{Query, expression, in_pieces, terms};
use anyhow::Result;
use regie_model::AdId;
use rusqlite::{Connection, OptionalExtension, params};
use std::{sync::atomic::Ordering, time::Instant};

use super::search::Filters;

/// Tables beside the index. A row of `places` is never deleted and none is left out.
pub(super) const SCHEMA: &str = "
CREATE TABLE IF NOT EXISTS places (place INTEGER PRIMARY KEY, ad INTEGER NOT NULL, first_idx INTEGER NOT NULL);
CREATE UNIQUE INDEX IF NOT EXISTS places_by_ad ON places (ad);
";
/// The index, of ads that were shown. Beginnings of words of up to eight letters have lists of their own: a beginning that thousands
/// of words share would else be merged from all of theirs, tens of milliseconds in a record of some hundred thousand ads. Longer words
/// stand in pieces of eight, so that no beginning is without a list ([`in_pieces`]).
pub(super) const INDEX: &str = "CREATE VIRTUAL TABLE ads_fts USING fts5(
  words, filters,
  content='', contentless_delete=1, tokenize=\"unicode61 remove_diacritics 2\", prefix='1 2 3 4 5 6 7 8')";
/// Which form the index has; 2: by place, with its block, long words in pieces.
const FORM: u64 = 2;
/// Pages that one step of merging the index writes, about a megabyte.
const MERGE_PAGES: i64 = 256;
/// Places of a block: 2 to this power.
const BLOCK_BITS: u32 = 16;
/// Answers of one search at most.
const ANSWERS_MAX: usize = 10_000;

/// What a search found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Found {
    /// The ads, those published last first.
    pub ads: Vec<AdId>,
    /// The ad before which the next answer begins. Where fewer were found than asked for, the time was over: older ads were not
    /// looked at yet.
    pub next: Option<AdId>,
}

/// Makes the index; one of an earlier form is made anew from the words beside it.
pub(super) fn make(db: &RecordDb) -> Result<()> {
    let connection = db.connection();
    let sql = "SELECT sql FROM sqlite_master WHERE name = 'ads_fts'";
    let made: Option<String> = connection.query_row(sql, [], |r| r.get(0)).optional()?;
    if made.as_deref() == Some(INDEX) && db.mark("index_form")? == FORM {
        return Ok(());
    }
    let transaction = connection.unchecked_transaction()?;
    transaction.execute_batch("DROP TABLE IF EXISTS ads_fts")?;
    transaction.execute_batch(INDEX)?;
    transaction.execute_batch(
        "DELETE FROM places;
         INSERT INTO places (ad, first_idx) SELECT ad, first_idx FROM ads ORDER BY first_idx, ad",
    )?;
    {
        let sql = "SELECT place, words, filters FROM places JOIN ads USING (ad) WHERE shown = 1 AND filters <> '' ORDER BY place";
        let mut statement = transaction.prepare(sql)?;
        let mut rows = statement.query([])?;
        while let Some(row) = rows.next()? {
            put(connection, row.get(0)?, &row.get::<_, String>(1)?, &row.get::<_, String>(2)?)?;
        }
    }
    db.set_mark("index_form", FORM)?;
    transaction.commit()?;
    Ok(())
}
fn put(connection: &Connection, place: i64, words: &str, filters: &str) -> Result<()> {
    let sql = "INSERT INTO ads_fts (rowid, words, filters) VALUES (?1, ?2, ?3)";
    let filters = format!("{filters} {}", block_filter(block_of(place)).text());
    connection.prepare_cached(sql)?.execute(params![place, in_pieces(words), filters])?;
    Ok(())
}
/// The block of a place, from 0.
fn block_of(place: i64) -> i64 {
    (place - 1) >> BLOCK_BITS
}
fn block_filter(block: i64) -> Filters {
    let mut filter = Filters::default();
    filter.add("block", &block.to_string());
    filter
}
/// Gives an ad its place when its first facts are taken in, in the order of the log.
pub(super) fn place_new(connection: &Connection, ad: AdId, first_index: i64) -> Result<()> {
    let sql = "INSERT OR IGNORE INTO places (ad, first_idx) VALUES (?1, ?2)";
    connection.prepare_cached(sql)?.execute(params![ad.0, first_index])?;
    Ok(())
}

impl RecordDb {
    fn place_of(&self, ad: AdId) -> Result<Option<i64>> {
        let mut statement = self.connection().prepare_cached("SELECT place FROM places WHERE ad = ?1")?;
        Ok(statement.query_row([ad.0], |r| r.get(0)).optional()?)
    }
    /// How many ads have a place: the last place of all.
    pub(super) fn places_count(&self) -> Result<i64> {
        let sql = "SELECT coalesce(max(place), 0) FROM places";
        Ok(self.connection().prepare_cached(sql)?.query_row([], |r| r.get(0))?)
    }
    /// How many ads the record had at a size of the log: places are in its order.
    fn places_at(&self, size: u64) -> Result<i64> {
        let size = i64::try_from(size).unwrap_or(i64::MAX);
        let mut first_index =
            self.connection().prepare_cached("SELECT first_idx FROM places WHERE place = ?1")?;
        let (mut known, mut unknown) = (0, self.places_count()? + 1);
        while known + 1 < unknown {
            let middle = known + (unknown - known) / 2;
            let index: i64 = first_index.query_row([middle], |r| r.get(0))?;
            if index < size {
                known = middle;
            } else {
                unknown = middle;
            }
        }
        Ok(known)
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
        let mut before = self.connection().prepare_cached("SELECT shown FROM ads WHERE ad = ?1")?;
        let before: Option<bool> = before.query_row([ad.0], |r| r.get(0)).optional()?;
        match before {
            Some(false) if shown => drop(self.found().fetch_add(1, Ordering::Relaxed)),
            Some(true) if !shown => drop(self.found().fetch_sub(1, Ordering::Relaxed)),
            _ => {}
        }
        let sql = "UPDATE ads SET shown = ?2, words = ?3, filters = ?4 WHERE ad = ?1";
        self.connection().prepare_cached(sql)?.execute(params![ad.0, shown, words, filters.text()])?;
        let Some(place) = self.place_of(ad)? else { return Ok(()) };
        // Only what was shown is found: the index is written when it is, and not with every ad that is booked.
        if before == Some(true) {
            self.connection().prepare_cached("DELETE FROM ads_fts WHERE rowid = ?1")?.execute([place])?;
        }
        if shown {
            put(self.connection(), place, &words, &filters.text())?;
            super::sending::note(self.connection(), ad)?;
        }
        Ok(())
    }
    /// Puts a shown ad into the index alone, without leaves: for measurements and tests.
    ///
    /// # Errors
    /// SQLite's error.
    pub fn insert_ad(&self, ad: AdId, words: &str, filters: &Filters) -> Result<()> {
        let sql = "INSERT INTO ads VALUES (?1, ?1, ?1, 0, '', '')";
        self.connection().prepare_cached(sql)?.execute([ad.0])?;
        place_new(self.connection(), ad, i64::from(ad.0))?;
        self.set_words(ad, true, words, filters)
    }
    /// Marks an ad as shown: from now on search finds it.
    ///
    /// # Errors
    /// SQLite's error.
    pub fn set_shown(&self, ad: AdId) -> Result<bool> {
        let sql = "SELECT words, filters FROM ads WHERE ad = ?1 AND shown = 0";
        let mut statement = self.connection().prepare_cached(sql)?;
        let found: Option<(String, String)> =
            statement.query_row([ad.0], |r| Ok((r.get(0)?, r.get(1)?))).optional()?;
        let (Some((words, filters)), Some(place)) = (found, self.place_of(ad)?) else { return Ok(false) };
        let mut shown = Filters::default();
        shown.add("shown", "1");
        let filters = format!("{filters} {}", shown.text());
        let sql = "UPDATE ads SET shown = 1, filters = ?2 WHERE ad = ?1";
        self.connection().prepare_cached(sql)?.execute(params![ad.0, filters])?;
        put(self.connection(), place, &words, &filters)?;
        super::sending::note(self.connection(), ad)?;
        self.found().fetch_add(1, Ordering::Relaxed);
        Ok(true)
    }
    /// The ads that a search finds, those published last first, and where the next answer begins. After `query.until` no further
    /// block of places is begun; at least one is.
    ///
    /// # Errors
    /// SQLite's error.
    pub fn search(&self, query: &Query) -> Result<Found> {
        let limit = query.limit.clamp(1, ANSWERS_MAX);
        let mut end = match query.size {
            Some(size) => self.places_at(size)?,
            None => self.places_count()?,
        };
        if let Some(before) = query.before {
            // What has no place was never published: nothing stands before it.
            end = end.min(self.place_of(before)?.map_or(0, |place| place - 1));
        }
        let mut query = query.clone();
        if expression(&query).is_none() {
            query.filters.add("shown", "1");
        }
        let mut found = Found::default();
        while end > 0 {
            let mut of_block = query.clone();
            of_block.any.push(block_filter(block_of(end)));
            let expression = expression(&of_block).unwrap_or_default();
            self.search_block(&expression, end, limit + 1 - found.ads.len(), &mut found.ads)?;
            if found.ads.len() > limit {
                found.ads.truncate(limit);
                found.next = found.ads.last().copied();
                return Ok(found);
            }
            // The last place of the block before.
            end = block_of(end) << BLOCK_BITS;
            if end > 0 && query.until.is_some_and(|until| Instant::now() >= until) {
                found.next = self.ad_at(end + 1)?;
                return Ok(found);
            }
        }
        Ok(found)
    }
    fn search_block(&self, expression: &str, end: i64, limit: usize, into: &mut Vec<AdId>) -> Result<()> {
        let sql = "SELECT (SELECT ad FROM places WHERE place = ads_fts.rowid) FROM ads_fts
            WHERE ads_fts MATCH ?1 AND rowid <= ?2 ORDER BY rowid DESC LIMIT ?3";
        let mut statement = self.connection().prepare_cached(sql)?;
        let mut rows = statement.query(params![expression, end, limit as i64])?;
        while let Some(row) = rows.next()? {
            into.push(AdId(row.get(0)?));
        }
        Ok(())
    }
    fn ad_at(&self, place: i64) -> Result<Option<AdId>> {
        let mut statement = self.connection().prepare_cached("SELECT ad FROM places WHERE place = ?1")?;
        Ok(statement.query_row([place], |r| r.get(0)).optional()?.map(AdId))
    }
    /// Merges a part of the index's segments into one, which searches read faster; whether there is more to merge. Each call writes
    /// about a megabyte.
    ///
    /// # Errors
    /// SQLite's error.
    pub fn merge_index(&self) -> Result<bool> {
        let before = self.connection().total_changes();
        let sql = "INSERT INTO ads_fts (ads_fts, rank) VALUES ('merge', ?1)";
        self.connection().prepare_cached(sql)?.execute([-MERGE_PAGES])?;
        // The statement itself counts as one change.
        Ok(self.connection().total_changes() - before >= 2)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::publication::db::RecordDb;

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
        db.search(&query).unwrap().ads.into_iter().map(|id| id.0).collect()
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
        let answer = |ads: &[u32], next: Option<u32>| Found {
            ads: ads.iter().copied().map(AdId).collect(),
            next: next.map(AdId),
        };
        assert_eq!(db.search(&query).unwrap(), answer(&[3, 2], Some(2)));
        let rest = Query { before: Some(AdId(2)), ..query.clone() };
        assert_eq!(db.search(&rest).unwrap(), answer(&[1], None));
        let then = Query { size: Some(2), ..query };
        assert_eq!(db.search(&then).unwrap().ads, [AdId(1)], "as of an earlier size");
    }
    #[test]
    fn a_long_word_is_found_by_any_beginning_of_it_and_by_no_other() {
        let db =
            db(&[(1, "Bundestagswahlkampf in Vorpommern-Greifswald", &[]), (2, "Bundestagspräsidium", &[])]);
        let word = "bundestagswahlkampf";
        for letters in 1..=word.len() {
            let want: &[u32] = if letters > "bundestags".len() { &[1] } else { &[2, 1] };
            assert_eq!(found(&db, &word[..letters], &[]), want, "{}", &word[..letters]);
        }
        for (words, want) in [
            ("vorpommern-greifswald", &[1][..]),
            ("vorpommern-greifsw", &[1]),
            ("vorpommern-swald", &[]),
            ("gswahlk", &[]),
            ("\u{e000}gswahlk", &[]),
            ("ampf", &[]),
            ("bundesta", &[2, 1]),
            ("bundestagswahlkampfe", &[]),
            ("BUNDESTAGSPRASIDIUM", &[2]),
        ] {
            assert_eq!(found(&db, words, &[]), want, "{words}");
        }
    }
    #[test]
    fn the_order_is_that_of_the_log_and_not_of_the_numbers() {
        let db = RecordDb::in_memory().unwrap();
        // Ad 9 was published first, then 2, then 5.
        for (ad, index) in [(9, 10), (2, 20), (5, 31)] {
            db.connection()
                .execute("INSERT INTO ads VALUES (?1, ?2, ?2, 0, '', '')", params![ad, index])
                .unwrap();
            place_new(db.connection(), AdId(ad), index).unwrap();
            db.set_words(AdId(ad), true, "red", &Filters::default()).unwrap();
        }
        let ask = |size: Option<u64>, before: Option<u32>| {
            let query =
                Query { words: "red".into(), limit: 10, size, before: before.map(AdId), ..Query::default() };
            db.search(&query).unwrap().ads.into_iter().map(|ad| ad.0).collect::<Vec<_>>()
        };
        assert_eq!(ask(None, None), [5, 2, 9]);
        assert_eq!(ask(None, Some(2)), [9]);
        for (size, want) in
            [(10, &[][..]), (11, &[9]), (20, &[9]), (21, &[2, 9]), (31, &[2, 9]), (32, &[5, 2, 9])]
        {
            assert_eq!(ask(Some(size), None), want, "as of {size}");
        }
        assert_eq!(ask(Some(21), Some(2)), [9]);
        assert_eq!(ask(None, Some(777)), [0u32; 0], "before an ad that was never published there is nothing");
    }
    #[test]
    fn a_search_that_runs_out_of_time_says_where_to_go_on_and_loses_nothing() {
        let db = RecordDb::in_memory().unwrap();
        db.connection().execute_batch("BEGIN").unwrap();
        let last = (2 << BLOCK_BITS) + 5;
        for ad in 1..=last {
            db.insert_ad(AdId(ad), if ad % 30_000 == 1 { "rare" } else { "common" }, &Filters::default())
                .unwrap();
        }
        db.connection().execute_batch("COMMIT").unwrap();
        let whole = Query { words: "rare".into(), limit: 50, ..Query::default() };
        let everything = db.search(&whole).unwrap();
        assert_eq!(
            (everything.ads.len(), everything.next),
            (5, None),
            "without a limit of time it goes to the end"
        );
        let mut query = Query { until: Some(Instant::now()), ..whole };
        let (mut ads, mut answers) = (Vec::new(), 0);
        loop {
            let answer = db.search(&query).unwrap();
            ads.extend(answer.ads);
            answers += 1;
            match answer.next {
                Some(next) => query.before = Some(next),
                None => break,
            }
        }
        assert_eq!(ads, everything.ads);
        assert_eq!(answers, 3, "one block an answer, since the time was over from the start");
    }
}
