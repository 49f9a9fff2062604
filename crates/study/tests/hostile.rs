//! Files that mean harm: truncated, flipped, huge, interrupted. Never a panic, never a silent loss.
#![allow(clippy::unwrap_used)] // a failed test says where

use proptest::prelude::*;
use regie_study::import::{ImportOptions, Importer, NoProgress, PartOutcome, Progress};
use regie_study::rank::{Question, rank};
use regie_study::store::SnapshotId;
use regie_study::{Day, Store};
use std::path::{Path, PathBuf};

fn fixtures() -> Vec<(String, Vec<u8>)> {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures");
    let mut list: Vec<_> = std::fs::read_dir(folder)
        .unwrap()
        .map(|e| e.unwrap().path())
        .filter(|p| p.extension().is_some_and(|e| e != "toml"))
        .collect();
    list.sort();
    list.into_iter()
        .map(|p| (p.file_name().unwrap().to_string_lossy().into_owned(), std::fs::read(&p).unwrap()))
        .collect()
}

fn options() -> ImportOptions {
    ImportOptions {
        known_on: Day::parse("2024-07-01"),
        currency: regie_study::Currency::parse("EUR"),
        ..ImportOptions::default()
    }
}

/// Imports and asks; whatever happens is an answer or an error.
fn try_all(name: &str, bytes: &[u8]) {
    let store = Store::in_memory().unwrap();
    if let Ok(PartOutcome::Imported { snapshot, .. }) =
        Importer::new(&store, options()).unwrap().bytes(name, bytes)
    {
        let _ = store.bad_rows(snapshot, 100);
        let _ = rank(&store, &Question::default(), None);
    }
}

#[test]
fn truncated_at_every_byte() {
    for (name, bytes) in fixtures() {
        let step = (bytes.len() / 120).max(1);
        for end in (0..bytes.len()).step_by(step) {
            try_all(&name, &bytes[..end]);
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]
    #[test]
    fn flipped_bits(which in 0usize..8, at in any::<prop::sample::Index>(), bit in 0u8..8, again in any::<prop::sample::Index>()) {
        let all = fixtures();
        let (name, mut bytes) = all[which % all.len()].clone();
        let len = bytes.len();
        bytes[at.index(len)] ^= 1 << bit;
        bytes[again.index(len)] = b'"';
        try_all(&name, &bytes);
    }
    #[test]
    fn any_bytes(bytes in proptest::collection::vec(any::<u8>(), 0..400)) {
        try_all("x_2024-05-01_XX_yesterday.csv", &bytes);
        let header = b"Page ID,Page name,Disclaimer,Amount spent (EUR),Number of ads in Library\n";
        try_all("x_2024-05-01_XX_yesterday.csv", &[&header[..], &bytes].concat());
        try_all("x.json", &[b"{\"data\":[{\"id\":\"1\",\"page_id\":\"2\",", &bytes[..]].concat());
    }
}

#[test]
fn every_line_is_a_fact_or_kept_aside() {
    let mut text = String::from("Page ID,Page name,Disclaimer,Amount spent (EUR),Number of ads in Library\n");
    for row in 0..2_000 {
        match row % 10 {
            3 => text.push_str("1,too,few\n"),
            5 => text.push_str(&format!("{row},Name,Payer,minus 5,1\n")),
            7 => text.push_str(&format!("{row},\"open quote,Payer,5,1\n")),
            _ => text.push_str(&format!("{row},Name {row},Payer,{row},1\n")),
        }
    }
    let store = Store::in_memory().unwrap();
    let PartOutcome::Imported { rows_count, bad_rows_count, snapshot, .. } = Importer::new(&store, options())
        .unwrap()
        .bytes("r_2024-05-01_XX_yesterday.csv", text.as_bytes())
        .unwrap()
    else {
        panic!("not imported")
    };
    // A quotation mark that is never closed takes at most its own line with it.
    assert_eq!(rows_count + bad_rows_count, 2_000);
    assert_eq!(rows_count, 1_400);
    assert_eq!(store.bad_rows(snapshot, 10_000).unwrap().len() as u64, bad_rows_count);
}

#[test]
fn a_huge_field_costs_one_row() {
    let mut bytes =
        b"Page ID,Page name,Disclaimer,Amount spent (EUR),Number of ads in Library\n1,A,A,5,1\n2,".to_vec();
    bytes.extend(std::iter::repeat_n(b'x', 3 << 20));
    bytes.extend(b",B,6,1\n3,C,C,7,1\n");
    let store = Store::in_memory().unwrap();
    Importer::new(&store, options()).unwrap().bytes("r_2024-05-01_XX_yesterday.csv", &bytes).unwrap();
    assert_eq!(rank(&store, &Question::default(), None).unwrap().candidates_count, 2);
    assert!(!store.bad_rows(SnapshotId(1), 10).unwrap().is_empty());
}

#[test]
fn damaged_archives_are_errors() {
    let folder = tempfile::tempdir().unwrap();
    for (name, bytes) in [
        ("a.zip", &b"PK\x03\x04 broken"[..]),
        ("a.csv.gz", &b"\x1f\x8b\x08\x00 broken"[..]),
        ("a.db", &b"SQLite format 3\0 broken"[..]),
        ("empty.csv", b""),
    ] {
        let path = folder.path().join(name);
        std::fs::write(&path, bytes).unwrap();
        let store = Store::in_memory().unwrap();
        let error = Importer::new(&store, options()).unwrap().path(&path, &mut NoProgress).unwrap_err();
        assert!(error.to_string().contains(name.trim_end_matches(".gz")), "{error}");
    }
}

/// Stops after some checkpoints.
struct Stop(u32);
impl Progress for Stop {
    fn at(&mut self, _bytes: u64, _rows: u64) -> bool {
        self.0 = self.0.saturating_sub(1);
        self.0 > 0
    }
}

fn big(path: &Path, rows: u64) {
    let mut text = String::from("Page ID,Page name,Disclaimer,Amount spent (EUR),Number of ads in Library\n");
    for row in 0..rows {
        text.push_str(&format!(
            "{},Page {},Payer {},{},1\n",
            row % 5_000,
            row % 5_000,
            row % 70,
            row % 1_000 + 101
        ));
    }
    std::fs::write(path, text).unwrap();
}

#[test]
fn an_interrupted_import_goes_on_and_counts_once() {
    let folder = tempfile::tempdir().unwrap();
    let csv = folder.path().join("FacebookAdLibraryReport_2024-05-01_XX_yesterday_advertisers.csv");
    big(&csv, 650_000);
    let db = folder.path().join("s.db");
    let store = Store::open(&db).unwrap();
    let error = Importer::new(&store, options()).unwrap().path(&csv, &mut Stop(9)).unwrap_err().to_string();
    assert!(error.contains("goes on"), "{error}");
    // An unfinished snapshot is in no answer.
    assert!(rank(&store, &Question::default(), None).is_err());
    drop(store);
    let store = Store::open(&db).unwrap();
    let outcome = Importer::new(&store, options()).unwrap().path(&csv, &mut NoProgress).unwrap();
    let PartOutcome::Imported { rows_count, resumed_at_line, .. } = &outcome.parts[0] else {
        panic!("{outcome:?}")
    };
    assert_eq!(*rows_count, 650_000);
    assert!(resumed_at_line.is_some_and(|l| l > 400_000), "{resumed_at_line:?}");
    let whole = Store::in_memory().unwrap();
    Importer::new(&whole, options()).unwrap().path(&csv, &mut NoProgress).unwrap();
    let (a, b) = (
        rank(&store, &Question::default(), None).unwrap(),
        rank(&whole, &Question::default(), None).unwrap(),
    );
    assert_eq!(a.total.published, b.total.published);
    assert_eq!(a.ranked[0].published, b.ranked[0].published);
}

/// Stops an import at its first commit.
struct StopsAtOnce;
impl Progress for StopsAtOnce {
    fn at(&mut self, _bytes: u64, _rows: u64) -> bool {
        false
    }
}

/// Interrupted at every commit and gone on with until it is whole; gives how often.
fn import_in_pieces(store: &Store, path: &Path) -> usize {
    for pieces in 1..100 {
        let mut importer = Importer::new(store, options()).unwrap();
        match importer.path(path, &mut StopsAtOnce) {
            Ok(_) => return pieces,
            Err(error) => assert!(error.to_string().contains("goes on where"), "{error}"),
        }
    }
    panic!("it never ended");
}

fn figures(store: &Store) -> (u64, u64, Vec<(String, i128, u64)>) {
    let ranking = rank(store, &Question { top: 1_000, ..Question::default() }, None).unwrap();
    let list = store.snapshots().unwrap();
    let rows = list.iter().map(|s| s.rows_count).sum();
    let bad = list.iter().map(|s| s.bad_rows_count).sum();
    (rows, bad, ranking.ranked.iter().map(|r| (r.label.name.clone(), r.published, r.rows_count)).collect())
}

#[test]
fn json_goes_on_where_it_was_interrupted() {
    let folder = tempfile::tempdir().unwrap();
    let ad = |n: u32| {
        let share = if n % 4_000 == 7 {
            r#","delivery_by_region":[{"percentage":"1","region":"North"}]"#
        } else {
            ""
        };
        let spend = if n == 11_111 { "x".into() } else { n.to_string() };
        format!(
            r#"{{"id":"{n}","page_id":"{}","page_name":"P{}","ad_delivery_start_time":"2024-05-01","currency":"EUR","spend":{{"lower_bound":"{spend}"}}{share}}}"#,
            n % 9,
            n % 9
        )
    };
    let list: Vec<String> = (0..22_000).map(ad).collect();
    for (name, text) in
        [("lines.jsonl", list.join("\n")), ("array.json", format!("\u{feff}[\n{}\n]\n", list.join(",\n")))]
    {
        let path = folder.path().join(name);
        std::fs::write(&path, text).unwrap();
        let whole = Store::in_memory().unwrap();
        Importer::new(&whole, options()).unwrap().path(&path, &mut NoProgress).unwrap();
        let pieces = Store::in_memory().unwrap();
        // Twice in the ads, and again in the pass over their shares by region.
        assert!(import_in_pieces(&pieces, &path) >= 5, "{name}");
        assert_eq!(figures(&pieces), figures(&whole), "{name}");
        assert_eq!(figures(&whole).0, 21_999 + 6);
    }
}

#[test]
fn a_database_goes_on_where_it_was_interrupted() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("ads.db");
    let db = rusqlite::Connection::open(&path).unwrap();
    db.execute_batch(
        "CREATE TABLE ads(id INTEGER PRIMARY KEY, clicks INT, impressions INT, spend_amount TEXT, spend_currency TEXT, created TEXT, ended TEXT);
         WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 2500)
         INSERT INTO ads SELECT i, 1, i, CASE WHEN i = 1500 THEN 'much' ELSE i END, 'RUB', '2016-05-01', '2016-05-03' FROM n;",
    )
    .unwrap();
    drop(db);
    let whole = Store::in_memory().unwrap();
    Importer::new(&whole, options()).unwrap().path(&path, &mut NoProgress).unwrap();
    let pieces = Store::in_memory().unwrap();
    assert_eq!(import_in_pieces(&pieces, &path), 3);
    assert_eq!(figures(&pieces), figures(&whole));
    assert_eq!((figures(&whole).0, figures(&whole).1), (2_499, 1));
}
