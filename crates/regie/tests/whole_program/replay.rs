//! The replay of logged traffic ends with equality: sent once, sent again, and with the server killed half-way.

use crate::run;
use serde_json::Value;
use std::path::{Path, PathBuf};

/// A log of our own making, in the same format: 3 positions, 7 items, every 20th row clicked.
fn sample(dir: &Path) -> PathBuf {
    let mut text = String::from(
        ",timestamp,item_id,position,click,propensity_score,user_feature_0,user_feature_1,user-item_affinity_0\n",
    );
    for row in 0..400u32 {
        let (item, position, click) = (row * 5 % 7, row % 3 + 1, u32::from(row % 20 == 3));
        text += &format!(
            "{row},2026-05-04 00:00:{:02}.5+00:00,{item},{position},{click},0.14,f{},g{},0.0\n",
            row % 60,
            row % 4,
            row % 3
        );
    }
    let path = dir.join("sample.csv");
    std::fs::write(&path, text).expect("writes");
    path
}

fn replay(folder: &Path, file: &Path, more: &[&str]) -> Value {
    let file = file.to_str().expect("a path");
    let output = run::regie(folder, &[&["--json", "replay", "--open-bandit", file], more].concat());
    assert!(
        output.status.success(),
        "{}{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
    serde_json::from_slice(&output.stdout).expect("JSON")
}

#[test]
fn a_replayed_log_is_counted_exactly() {
    let dir = tempfile::tempdir().expect("a folder");
    let file = sample(dir.path());
    let folder = dir.path().join("data");
    let first = replay(&folder, &file, &["--kill-half-way"]);
    assert_eq!(
        (&first["equal"], &first["impressions"], &first["clicks"]),
        (&true.into(), &400.into(), &20.into()),
        "{first}"
    );
    // Wholly again, on the same folder, by the same tickets: nothing changes.
    let again = replay(&folder, &file, &["--send-again"]);
    assert_eq!(first, again);
}

#[test]
fn real_logs_are_counted_exactly() {
    let Some(data) = std::env::var_os("REGIE_TEST_DATA") else {
        println!("SKIP real_logs_are_counted_exactly: REGIE_TEST_DATA is unset");
        return;
    };
    for name in ["random_all", "random_men", "bts_all", "bts_men"] {
        let dir = tempfile::tempdir().expect("a folder");
        let file = Path::new(&data).join(format!("open-bandit/{name}.csv.gz"));
        let told = replay(dir.path(), &file, &["--kill-half-way", "--send-again"]);
        assert_eq!((&told["equal"], &told["impressions"]), (&true.into(), &10_000.into()), "{name}");
    }
}
