//! The six published answers on the real archives, found through `REGIE_TEST_DATA`.
#![allow(clippy::unwrap_used)] // a failed test says where

use regie_study::answers;
use std::path::PathBuf;

fn data(test: &str) -> Option<PathBuf> {
    let found = std::env::var_os("REGIE_TEST_DATA").map(PathBuf::from);
    if found.is_none() {
        println!("SKIP {test}: REGIE_TEST_DATA unset");
    }
    found
}

fn right(number: u8) {
    let Some(data) = data(&format!("answer_{number}")) else { return };
    let answer = answers::answer(number, &data).unwrap();
    for check in &answer.checks {
        println!(
            "{} {}: {} / {}",
            if check.is_right() { "ok" } else { "WRONG" },
            check.what,
            check.expected,
            check.found
        );
    }
    println!("{}", answer.text.join("\n"));
    assert!(answer.is_right(), "answer {number}");
}

#[test]
fn answer_1_one_candidate_and_his_committees() {
    right(1);
}
#[test]
fn answer_2_google_as_known_when() {
    right(2);
}
#[test]
fn answer_3_restatement() {
    right(3);
}
#[test]
fn answer_4_dutch_parties() {
    right(4);
}
#[test]
fn answer_5_states_and_nation() {
    right(5);
}
#[test]
fn answer_6_grouping_quality() {
    right(6);
}

#[test]
fn answer_1_from_the_table_the_project_carries() {
    let answer = answers::sponsors(None).unwrap();
    assert!(answer.is_right(), "{:?}", answer.checks);
}

#[test]
fn real_files_of_every_platform() {
    use regie_study::import::{ImportOptions, Importer, NoProgress};
    use regie_study::rank::{Measure, Question, rank};
    use regie_study::select::Scope;
    use regie_study::{Currency, Store};
    let Some(data) = data("real_files_of_every_platform") else { return };
    let archives = data.join("archives");
    let store = Store::in_memory().unwrap();
    let options = ImportOptions { currency: Currency::parse("USD"), ..ImportOptions::default() };
    let mut importer = Importer::new(&store, options).unwrap();
    for (folder, files, rows, bad) in [
        ("snap", 2, 6_217, 0),
        ("ira-2018", 1, 3_498, 0),
        ("meta-api-samples", 3, 131, 0),
        ("google-us-2018", 9, 6_466, 0),
    ] {
        let outcome = importer.path(&archives.join(folder), &mut NoProgress).unwrap();
        assert_eq!((outcome.imported_count(), outcome.rows_count()), (files, (rows, bad)), "{folder}");
        let again = importer.path(&archives.join(folder), &mut NoProgress).unwrap();
        assert_eq!(again.imported_count(), 0, "{folder} a second time");
    }
    drop(importer);
    let of = |source: &str, currency: &str, measure: Measure| {
        let scope = Scope { platforms: vec![source.into()], ..Scope::default() };
        let currency = Currency::parse(currency);
        rank(&store, &Question { scope, currency, measure, ..Question::default() }, None)
            .unwrap()
            .total
            .published
    };
    assert_eq!(of("ira", "RUB", Measure::Spend), 5_822_554_920_000);
    assert_eq!(of("ira", "USD", Measure::Spend), 109_330_000);
    assert_eq!(of("ira", "RUB", Measure::Impressions), 40_285_461);
}
