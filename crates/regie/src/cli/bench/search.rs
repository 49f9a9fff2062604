//! `regie bench --record-search COUNT`: search in a record of so many ads, each figure beside its bar.
//!
//! Fills a `record.db` with invented ads (names, texts in four scripts, filters), then asks what people ask: rare and common
//! words, beginnings, several words, narrowed searches, later pages. One thread, a warm cache after a first round.

use super::{Bar, Row};
use crate::publication::db::{Filters, Query, RecordDb};
use anyhow::Result;
use regie_model::AdId;
use std::time::Instant;

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
    let filled_s = start.elapsed().as_secs_f64();
    let mut times: Vec<(f64, String)> = Vec::new();
    let mut found = 0;
    for round in 0..2 {
        for (what, query) in queries(count) {
            let start = Instant::now();
            let (ids, _) = db.search(&query)?;
            let ms = start.elapsed().as_secs_f64() * 1e3;
            found += ids.len();
            if round > 0 {
                times.push((ms, what));
            }
        }
    }
    anyhow::ensure!(found > 0, "no search found anything");
    times.sort_by(|a, b| a.0.total_cmp(&b.0));
    let at = |share: usize| times[(times.len() - 1) * share / 100].0;
    let slowest = times.last().map_or(String::new(), |(_, what)| what.clone());
    let note =
        format!("{count} ads, {} searches; slowest: {slowest}; filled in {filled_s:.0} s", times.len());
    let row = |what: &str, figure: f64, note: String| Row {
        what: what.into(),
        figure,
        unit: "ms",
        bar: Some(Bar::AtMost(BAR_MS)),
        note,
    };
    Ok(vec![
        row("search, median", at(50), note),
        row("search, 95th percentile", at(95), String::new()),
        row("search, slowest", at(100), String::new()),
    ])
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
        let mut filters = Filters::default();
        filters.add("sponsor", &format!("party_{}", dice.roll(5_000)));
        filters.add("political", if dice.roll(10) == 0 { "1" } else { "0" });
        filters.add("country", ["FR", "DE", "IT", "ES"][dice.roll(4) as usize]);
        filters.add("month", &format!("2026-{:02}", 1 + dice.roll(12)));
        db.insert_ad(AdId(ad), &words, &filters)?;
        if ad % 10_000 == 0 {
            step(u64::from(ad));
        }
    }
    db.connection().execute_batch("COMMIT")?;
    Ok(())
}

fn queries(count: u32) -> Vec<(String, Query)> {
    let mut dice = Dice(11);
    let mut all = Vec::new();
    let mut ask = |what: String, words: String, filters: &[(&str, String)], before: Option<u32>| {
        let mut query = Query { words, limit: 50, before: before.map(AdId), ..Query::default() };
        filters.iter().for_each(|(name, value)| query.filters.add(name, value));
        all.push((what, query));
    };
    for _ in 0..40 {
        let stem = STEMS[dice.roll(24) as usize];
        let other = STEMS[dice.roll(24) as usize];
        let number = dice.roll(2_000);
        ask(format!("the word {stem}{number}"), format!("{stem}{number}"), &[], None);
        ask(format!("words that begin with {stem}"), stem.into(), &[], None);
        ask(format!("{stem} and {other}"), format!("{stem} {other}"), &[], None);
        ask(
            format!("{stem} of one sponsor"),
            stem.into(),
            &[("sponsor", format!("party_{}", dice.roll(5_000)))],
            None,
        );
        ask(
            format!("{stem}, political, of one country and month"),
            stem.into(),
            &[("political", "1".into()), ("country", "FR".into()), ("month", "2026-05".into())],
            None,
        );
        ask(
            "all political ads, a later page".into(),
            String::new(),
            &[("political", "1".into())],
            Some(count / 2),
        );
        ask("the first letter of a word".into(), stem.chars().take(1).collect(), &[], None);
        ask("a word that is nowhere".into(), "submarine".into(), &[], None);
    }
    all
}
