//! `regie bench --record-search COUNT`: search in a record of so many ads, each figure beside its bar.
//!
//! Fills a `record.db` with invented ads (names, texts in four scripts, filters), then asks what people ask: rare and common
//! words, beginnings, several words, words that are never together, narrowed searches, later pages, the record as of an earlier size.
//! Each search has the time that a page gives it. One thread, a warm cache after a first round.

use super::{Bar, Row};
use crate::publication::db::{BRIEFLY, Filters, Query, RecordDb};
use anyhow::Result;
use regie_model::AdId;
use std::{collections::BTreeMap, time::Instant};

/// A search answers within so many milliseconds.
const BAR_MS: f64 = 50.0;
/// Words that the invented ads are made of.
const STEMS: [&str; 24] = [
    "harbour",
    "bicycle",
    "lantern",
    "orchard",
    "velvet",
    "granite",
    "meadow",
    "copper",
    "saffron",
    "thistle",
    "anchor",
    "ribbon",
    "élection",
    "liberté",
    "Straße",
    "Müller",
    "преса",
    "избори",
    "εκλογές",
    "選挙",
    "東京都",
    "新聞",
    "انتخابات",
    "จังหวัด",
];

/// Repeatable numbers.
struct Dice(u64);
impl Dice {
    fn roll(&mut self, below: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % below
    }
}

/// Measures; `step` hears how many ads are in.
///
/// # Errors
/// SQLite's error.
pub fn measure(count: u32, step: &mut dyn FnMut(u64)) -> Result<Vec<Row>> {
    let folder = tempfile_folder()?;
    let db = RecordDb::open(&folder.0.join("record.db"))?;
    let start = Instant::now();
    fill(&db, count, step)?;
    // As the server does when it has nothing else to do.
    while db.merge_index()? {}
    db.connection().execute_batch("PRAGMA wal_checkpoint(TRUNCATE)")?;
    let filled_s = start.elapsed().as_secs_f64();
    let mut by_kind: BTreeMap<&str, Kind> = BTreeMap::new();
    let mut found = 0;
    for round in 0..2 {
        for (kind, what, mut query) in queries(count) {
            let start = Instant::now();
            // As a page asks.
            query.until = Some(start + BRIEFLY);
            let answer = db.search(&query)?;
            let ms = start.elapsed().as_secs_f64() * 1e3;
            found += answer.ads.len();
            if round > 0 {
                let of = by_kind.entry(kind).or_default();
                of.times.push((ms, what));
                of.cut += usize::from(answer.next.is_some() && answer.ads.len() < query.limit);
            }
        }
    }
    anyhow::ensure!(found > 0, "no search found anything");
    let mut rows = Vec::new();
    let mut all = Kind::default();
    for (kind, mut of) in by_kind {
        rows.push(of.row(&format!("{kind}, slowest"), 100));
        all.cut += of.cut;
        all.times.append(&mut of.times);
    }
    let asked = all.times.len();
    let mut median = all.row("all searches, median", 50);
    median.note = format!("{count} ads, {asked} searches; filled in {filled_s:.0} s");
    rows.extend([
        median,
        all.row("all searches, 95th percentile", 95),
        all.row("all searches, slowest", 100),
    ]);
    Ok(rows)
}

/// Searches of one kind.
#[derive(Default)]
struct Kind {
    times: Vec<(f64, String)>,
    /// Answers that ended early and say where to go on.
    cut: usize,
}
impl Kind {
    fn row(&mut self, what: &str, share: usize) -> Row {
        self.times.sort_by(|a, b| a.0.total_cmp(&b.0));
        let at = |share: usize| &self.times[(self.times.len() - 1) * share / 100];
        let (ms, which) = at(share);
        let note = format!(
            "{which}; median {:.1} ms; {} of {} answers ended early",
            at(50).0,
            self.cut,
            self.times.len()
        );
        Row { what: what.into(), figure: *ms, unit: "ms", bar: Some(Bar::AtMost(BAR_MS)), note }
    }
}

/// A folder that goes with the measurement.
struct Folder(std::path::PathBuf);
impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}
fn tempfile_folder() -> Result<Folder> {
    let path = std::env::temp_dir().join(format!("regie-bench-search-{}", std::process::id()));
    std::fs::create_dir_all(&path)?;
    Ok(Folder(path))
}

fn fill(db: &RecordDb, count: u32, step: &mut dyn FnMut(u64)) -> Result<()> {
    let mut dice = Dice(7);
    db.connection().execute_batch("BEGIN")?;
    for ad in 1..=count {
        let mut words = format!("ad_{ad} Sponsor {} Limited ", dice.roll(5_000));
        for _ in 0..12 {
            words.push_str(&format!("{}{} ", STEMS[dice.roll(24) as usize], dice.roll(2_000)));
        }
        words.push_str(STEMS[dice.roll(24) as usize]);
        words.push_str(if ad % 2 == 0 { " evenly" } else { " oddly" });
        words.push_str(" Shown to everybody https://shop.example/");
        let mut filters = Filters::default();
        filters.add("sponsor", &format!("party_{}", dice.roll(5_000)));
        filters.add("political", if dice.roll(10) == 0 { "1" } else { "0" });
        filters.add("country", ["FR", "DE", "IT", "ES"][dice.roll(4) as usize]);
        filters.add("month", &format!("2026-{:02}", 1 + dice.roll(12)));
        db.insert_ad(AdId(ad), &words, &filters)?;
        if ad % 10_000 == 0 {
            db.connection().execute_batch("COMMIT; BEGIN")?;
            step(u64::from(ad));
        }
    }
    db.connection().execute_batch("COMMIT")?;
    Ok(())
}

fn queries(count: u32) -> Vec<(&'static str, String, Query)> {
    let mut dice = Dice(11);
    let mut all = Vec::new();
    let mut ask = |kind, words: &str, filters: &[(&str, String)], before: Option<u32>, size: Option<u64>| {
        let mut query =
            Query { words: words.into(), limit: 50, before: before.map(AdId), size, ..Query::default() };
        filters.iter().for_each(|(name, value)| query.filters.add(name, value));
        all.push((kind, format!("\u{201c}{words}\u{201d}"), query));
    };
    for _ in 0..40 {
        let (stem, other) = (STEMS[dice.roll(24) as usize], STEMS[dice.roll(24) as usize]);
        let letters = |count: usize| stem.chars().take(count).collect::<String>();
        let number = dice.roll(2_000);
        let party = format!("party_{}", dice.roll(5_000));
        let narrow = [("political", "1".into()), ("country", "FR".into()), ("month", "2026-05".into())];
        ask("one word", &format!("{stem}{number}"), &[], None, None);
        ask("a beginning that thousands of words share", stem, &[], None, None);
        ask("one letter", &letters(1), &[], None, None);
        ask("two letters", &letters(2), &[], None, None);
        ask("a long word of every ad", "everybody", &[], None, None);
        ask("two beginnings", &format!("{stem} {other}"), &[], None, None);
        ask("three beginnings, one rare", &format!("{stem} {other} {stem}{number}"), &[], None, None);
        ask("a beginning, of one sponsor", stem, &[("sponsor", party.clone())], None, None);
        ask("a beginning, political, of one country and month", stem, &narrow, None, None);
        ask("filters alone, a later page", "", &[("political", "1".into())], Some(count / 2), None);
        ask("filters alone, three", "", &narrow, None, None);
        ask("filters alone, one sponsor", "", &[("sponsor", party)], None, None);
        ask("a word that is nowhere", "submarine", &[], None, None);
        ask("common words that are never together", "evenly oddly", &[], None, None);
        ask("three such words", &format!("evenly oddly {stem}"), &[], None, None);
        for (kind, share) in [("as of a tenth of the log", 10), ("as of half of the log", 2)] {
            let size = Some(u64::from(count / share));
            ask(kind, stem, &[], None, size);
            ask(kind, &format!("{stem}{number}"), &[], None, size);
            ask(kind, "", &[("political", "1".into())], None, size);
        }
    }
    all
}
