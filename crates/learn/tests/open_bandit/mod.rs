//! Reading the Open Bandit logs for tests.

use regie_learn::{
    evaluate::{Log, model::Shown, policy::Table},
    infer::bayes::Beta,
};
use std::{
    io::Read,
    path::{Path, PathBuf},
};

/// The folder, or why the test is skipped.
pub fn folder(test: &str) -> Option<PathBuf> {
    let found = std::env::var_os("REGIE_TEST_DATA").map(|root| PathBuf::from(root).join("open-bandit"));
    if found.is_none() {
        println!("SKIP {test}: REGIE_TEST_DATA is unset");
    }
    found
}

/// All cells of a gzipped CSV without quotes.
pub fn lines(path: &Path) -> Vec<Vec<String>> {
    let mut text = String::new();
    flate2::read::GzDecoder::new(std::fs::File::open(path).unwrap()).read_to_string(&mut text).unwrap();
    text.lines().map(|line| line.split(',').map(str::to_owned).collect()).collect()
}

/// A column by its name.
pub fn column(lines: &[Vec<String>], name: &str) -> Vec<f64> {
    let at = lines[0].iter().position(|cell| cell == name).unwrap();
    lines[1..].iter().map(|line| line[at].parse().unwrap()).collect()
}

/// The production policy's prior.
pub fn prior(folder: &Path, campaign: &str) -> Vec<Beta> {
    let text = std::fs::read_to_string(folder.join("prior_bts.yaml")).unwrap();
    let (_, own) = text.split_once(&format!("{campaign}:")).unwrap();
    let list = |name: &str| -> Vec<f64> {
        let (_, rest) = own.split_once(&format!("{name}: [")).unwrap();
        rest.split_once(']').unwrap().0.split(',').map(|n| n.trim().parse().unwrap()).collect()
    };
    list("alpha").into_iter().zip(list("beta")).map(|(a, b)| Beta { a, b }).collect()
}

/// One log.
#[derive(Default)]
pub struct Campaign {
    pub shown: Shown,
    pub logged: Vec<f64>,
    pub actions_count: usize,
}

impl Campaign {
    pub fn read(folder: &Path, policy: &str, campaign: &str) -> Campaign {
        let lines = lines(&folder.join(format!("{policy}_{campaign}.csv.gz")));
        let items = column(&lines, "item_id");
        let mut all = Campaign {
            actions_count: lines[0].iter().filter(|c| c.starts_with("user-item_affinity")).count(),
            ..Campaign::default()
        };
        let (places, clicks) = (column(&lines, "position"), column(&lines, "click"));
        for (row, logged) in column(&lines, "propensity_score").into_iter().enumerate() {
            all.push(items[row] as usize, places[row] as usize - 1, clicks[row], logged);
        }
        all
    }
    pub fn push(&mut self, action: usize, place: usize, reward: f64, logged: f64) {
        self.shown.action.push(action);
        self.shown.place.push(place);
        self.shown.reward.push(reward);
        self.logged.push(logged);
    }
    pub fn under(&self, target: &Table) -> Log {
        let shown = self.shown.action.iter().zip(&self.shown.place);
        Log {
            reward: self.shown.reward.clone(),
            logged: self.logged.clone(),
            target: shown.map(|(action, place)| target.at(*place)[*action]).collect(),
            ..Log::default()
        }
    }
}
