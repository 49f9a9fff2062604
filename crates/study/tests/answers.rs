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
