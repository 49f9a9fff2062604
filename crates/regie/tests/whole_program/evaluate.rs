//! `regie evaluate` as people run it, on a log of our own making whose truth is known.

use crate::run::REGIE;
use std::{path::Path, process::Command};

fn regie(folder: &Path, args: &[&str]) -> (bool, String) {
    let out = Command::new(REGIE).args(args).current_dir(folder).output().unwrap();
    let text = [out.stdout, out.stderr].map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).concat();
    (out.status.success(), text)
}

/// Three items at two positions in the Open Bandit layout; item 2 earns a click every fifth time, the others every tenth.
/// `rare` is how often in a thousand the log shows item 2.
fn log(folder: &Path, name: &str, rare: u32) {
    let mut text = String::from(
        ",timestamp,item_id,position,click,propensity_score,user-item_affinity_0,user-item_affinity_1,user-item_affinity_2\n",
    );
    let mut shown = [0u32; 3];
    for row in 0..6_000u32 {
        // A fixed order that has every item in its share.
        let draw = (row.wrapping_mul(7_919)) % 1_000;
        let rest = (1_000 - rare) / 2;
        let (item, share) = match draw {
            d if d < rest => (0usize, rest),
            d if d < 2 * rest => (1, rest),
            _ => (2, 1_000 - 2 * rest),
        };
        shown[item] += 1;
        let click = u32::from(shown[item].is_multiple_of([10, 10, 5][item]));
        let propensity = f64::from(share) / 1_000.0;
        text += &format!("{row},2030-01-01,{item},{},{click},{propensity},0,0,0\n", row % 2 + 1);
    }
    std::fs::write(folder.join(name), text).unwrap();
}

#[test]
fn a_policy_is_evaluated_in_plain_words_and_in_json() {
    let folder = tempfile::tempdir().unwrap();
    log(folder.path(), "log.csv", 200);
    let fixed = ["evaluate", "log.csv", "--policy", "version:2", "--resamples", "200"];
    let (good, words) = regie(folder.path(), &fixed);
    assert!(good && words.contains("would have earned") && words.contains("more than the"), "{words}");
    let (good, json) = regie(folder.path(), &[&fixed[..], &["--json"]].concat());
    let json: serde_json::Value = serde_json::from_str(&json).unwrap();
    let value = json["estimate"].as_f64().unwrap();
    assert!(good && (value - 0.2).abs() < 0.02, "{value}");
    for estimator in json["estimators"].as_array().unwrap() {
        let value = estimator["value"].as_f64().unwrap();
        assert!((value - 0.2).abs() < 0.05, "{estimator}");
    }
    let (_, logged) = regie(folder.path(), &["evaluate", "log.csv", "--policy", "logged", "--json"]);
    let logged: serde_json::Value = serde_json::from_str(&logged).unwrap();
    assert!((logged["estimate"].as_f64().unwrap() - logged["earned"].as_f64().unwrap()).abs() < 1e-12);
}

#[test]
fn a_collapsed_log_gets_a_warning_and_no_number() {
    let folder = tempfile::tempdir().unwrap();
    log(folder.path(), "log.csv", 4);
    let (good, words) =
        regie(folder.path(), &["evaluate", "log.csv", "--policy", "version:2", "--resamples", "100"]);
    assert!(good && words.contains("Warning:") && words.contains("would have earned between"), "{words}");
    let args = ["evaluate", "log.csv", "--policy", "version:2", "--resamples", "100", "--json"];
    let json: serde_json::Value = serde_json::from_str(&regie(folder.path(), &args).1).unwrap();
    assert!(json["estimate"].is_null() && json["interval"][0].is_number());
}

#[test]
fn what_cannot_be_evaluated_is_refused_with_a_reason() {
    let folder = tempfile::tempdir().unwrap();
    log(folder.path(), "log.csv", 200);
    std::fs::write(folder.path().join("table.csv"), "action,probability\n0,0.5\n1,0.4\n").unwrap();
    std::fs::write(folder.path().join("other.csv"), "a,b\n1,2\n").unwrap();
    let rows: String = (0..500).map(|row| format!("{},1.0,0.9\n", row % 2)).collect();
    std::fs::write(folder.path().join("outside.csv"), format!("reward,pscore,pi_e\n{rows}")).unwrap();
    for (args, said) in [
        (vec!["log.csv", "--policy", "table:table.csv"], "sum to 1"),
        (vec!["log.csv", "--policy", "best"], "known forms"),
        (vec!["log.csv", "--policy", "learned:log.csv"], "the same rows"),
        (vec!["other.csv"], "no log that can be evaluated"),
        (vec!["outside.csv"], "was never possible in this log"),
        (vec!["nothing.csv"], "cannot open"),
    ] {
        let (good, words) = regie(folder.path(), &[&["evaluate"], &args[..]].concat());
        assert!(!good && words.contains(said), "{args:?}: {words}");
    }
}
