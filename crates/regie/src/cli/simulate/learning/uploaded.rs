//! Rows of uploaded versions: a list of a thousand, with and without structure. Regret beside Thompson sampling that shares nothing.

use super::{jobs::Key, table::mean};
use anyhow::Result;
use regie_learn::uploaded::{Settings, Shares, Uploaded};
use regie_sim::campaign::{
    Captured, EvenList, ListCampaign, ListPolicy, UPLOADED_COUNT, UnsharedThompson, UploadedFamily,
    UploadedTruth,
};
use serde_json::json;

/// Requests of a run.
pub const REQUESTS_COUNT: usize = 1_000_000;
/// Requests between two tables.
const BATCH: usize = 10_000;
/// Policies, the product's first.
pub const POLICIES: [&str; 3] = ["regie", "unshared thompson", "uniform"];

/// A row.
#[derive(Clone, Copy, Debug)]
pub struct Row {
    /// Its name on the command line.
    pub row: &'static str,
    family: UploadedFamily,
    versions_change: bool,
    /// Regret over unshared Thompson sampling's, at most; none where there is nothing to lose.
    bar: Option<f64>,
}

/// All.
pub const ROWS: [Row; 5] = [
    Row {
        row: "uploaded-structured",
        family: UploadedFamily::Structured,
        versions_change: false,
        bar: Some(1.0),
    },
    Row {
        row: "uploaded-unstructured",
        family: UploadedFamily::Unstructured,
        versions_change: false,
        bar: Some(1.02),
    },
    Row { row: "uploaded-null", family: UploadedFamily::Null, versions_change: false, bar: None },
    Row {
        row: "uploaded-structured-assets",
        family: UploadedFamily::Structured,
        versions_change: true,
        bar: Some(1.0),
    },
    Row {
        row: "uploaded-unstructured-assets",
        family: UploadedFamily::Unstructured,
        versions_change: true,
        bar: Some(1.02),
    },
];

/// The product's learner of lists.
struct Learned {
    learner: Uploaded,
    table: Shares,
    requests_count: usize,
    seed: u64,
}
impl ListPolicy for Learned {
    fn choose(&mut self, bits: u64) -> u32 {
        self.table.draw(bits).map_or(0, |(version, _)| version)
    }
    fn learn(&mut self, version: u32, success: bool) {
        self.learner.observe(version, 1.0, if success { 1.0 } else { 0.0 });
    }
    fn pause(&mut self, seed: u64) {
        self.requests_count += 1;
        if self.requests_count.is_multiple_of(BATCH) {
            self.table = self.learner.allocate(seed);
        }
    }
    fn roster(&mut self, available: &[bool]) {
        (0u32..).zip(available).for_each(|(at, open)| self.learner.set_active(at, *open));
        self.table = self.learner.allocate(self.seed ^ self.requests_count as u64);
    }
}

/// Runs one policy of a row on one seed.
///
/// # Errors
/// None of its own.
pub fn one((row, policy): &(Row, usize), seed: u64) -> Result<Captured> {
    let campaign = ListCampaign {
        family: row.family,
        seed,
        requests_count: REQUESTS_COUNT,
        versions_change: row.versions_change,
    };
    let mut policy: Box<dyn ListPolicy> = match policy {
        0 => {
            let truth = UploadedTruth::draw(row.family, seed);
            let learner = Uploaded::new(&truth.groups, Settings::default());
            let table = learner.allocate(seed);
            Box::new(Learned { learner, table, requests_count: 0, seed })
        }
        1 => Box::new(UnsharedThompson::new(UPLOADED_COUNT, seed)),
        _ => Box::new(EvenList::default()),
    };
    Ok(campaign.run(policy.as_mut()))
}

/// The jobs of a row.
pub fn jobs(row: &Row, seeds: &[u64]) -> Vec<(Key, (Row, usize))> {
    let key = |policy: usize, seed: &u64| Key {
        row: row.row.to_owned(),
        policy: POLICIES[policy].to_owned(),
        seed: *seed,
        requests_count: REQUESTS_COUNT,
    };
    (0..POLICIES.len())
        .flat_map(|policy| seeds.iter().map(move |seed| (key(policy, seed), (*row, policy))))
        .collect()
}

/// Successes that a run gave away.
fn regret(captured: &Captured) -> f64 {
    captured.parts.iter().map(|part| part[2] - part[0]).sum()
}

/// Prints a row; false where its bar is missed.
pub fn print(in_json: bool, row: &Row, runs: &[Vec<&Captured>]) -> bool {
    let seeds_count = runs.first().map_or(0, Vec::len);
    let regrets: Vec<Vec<f64>> = runs.iter().map(|own| own.iter().map(|c| regret(c)).collect()).collect();
    // Seed by seed: how much of unshared Thompson's regret is left.
    let ratios: Vec<f64> =
        regrets[0].iter().zip(&regrets[1]).map(|(own, other)| own / other.max(1e-9)).collect();
    let (ratio, width) = mean(&ratios);
    let over = regrets[0].iter().sum::<f64>() / regrets[1].iter().sum::<f64>().max(1e-9);
    let held = row.bar.is_none_or(|bar| over <= bar);
    if in_json {
        for (policy, regrets) in POLICIES.iter().zip(&regrets) {
            println!(
                "{}",
                json!({ "row": row.row, "policy": policy, "regret": mean(regrets), "seeds": regrets })
            );
        }
        println!(
            "{}",
            json!({ "row": row.row, "regret_over_unshared": over, "mean_ratio": [ratio, width], "held": held })
        );
        return held;
    }
    println!(
        "\n{} ({UPLOADED_COUNT} versions in 20 groups, {REQUESTS_COUNT} requests, {seeds_count} seeds)",
        row.row
    );
    println!("{:<20} {:>22} {:>16} {:>16}", "policy", "regret, successes", "whole run %", "last tenth %");
    for ((policy, regrets), own) in POLICIES.iter().zip(&regrets).zip(runs) {
        let share = |of: fn(&Captured) -> Option<f64>| {
            let values: Vec<f64> = own.iter().filter_map(|c| of(c).map(|share| 100.0 * share)).collect();
            if values.is_empty() { "-".to_owned() } else { show(mean(&values)) }
        };
        println!(
            "{policy:<20} {:>22} {:>16} {:>16}",
            show(mean(regrets)),
            share(Captured::whole),
            share(Captured::last_tenth)
        );
    }
    if let Some(bar) = row.bar {
        let word = if held { "held" } else { "MISSED" };
        println!(
            "regret over unshared Thompson's: {over:.3}; seed by seed {ratio:.3} ± {width:.3} (bar: {bar:.2}): {word}"
        );
    }
    held
}

fn show((mean, width): (f64, f64)) -> String {
    format!("{mean:.1} ± {width:.1}")
}
