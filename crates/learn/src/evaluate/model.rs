//! The reward model of the direct and doubly robust estimators: rates by action and place, shrunk and cross-fitted.
//!
//! Each rate is (successes + strength x parent) / (shown + strength): the action at this place, shrunk to the action over
//! all places, shrunk to the place, shrunk to all. A row's prediction comes from the folds that it is not in, so that no row
//! predicts itself (Chernozhukov et al. 2018, 3). Simple on purpose: DR is right if either the model or the propensities are,
//! and here propensities are exact. Refuses to extrapolate beyond actions in the list.

use super::policy::Table;

/// Folds of the cross-fitting.
pub const FOLDS_COUNT: usize = 3;
/// Rows that a parent's rate is worth.
const STRENGTH: f64 = 200.0;

/// What was shown where, and what came of it; one value a row.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Shown {
    /// Number of the action.
    pub action: Vec<usize>,
    /// Number of the place.
    pub place: Vec<usize>,
    /// The reward.
    pub reward: Vec<f64>,
}

/// Rewards and rows.
#[derive(Clone, Copy, Default)]
struct Cell {
    sum: f64,
    count: f64,
}
impl Cell {
    fn add(&mut self, reward: f64) {
        self.sum += reward;
        self.count += 1.0;
    }
    fn shrunk(self, parent: f64) -> f64 {
        (self.sum + STRENGTH * parent) / (self.count + STRENGTH)
    }
}

/// Fits the model and returns the two columns of [`super::Log`]: each row's prediction for what was shown, and its mean
/// under `target`.
pub fn cross_fit(shown: &Shown, target: &Table) -> (Vec<f64>, Vec<f64>) {
    let (actions, rows) = (target.actions_count(), shown.reward.len());
    let places = shown.place.iter().max().map_or(1, |p| p + 1);
    let (mut predicted, mut expected) = (vec![0.0; rows], vec![0.0; rows]);
    for fold in 0..FOLDS_COUNT {
        let rates = fit(shown, actions, places, |row| row % FOLDS_COUNT != fold);
        let means: Vec<f64> = (0..places)
            .map(|place| {
                target.at(place).iter().enumerate().map(|(a, p)| p * rates[place * actions + a]).sum()
            })
            .collect();
        for row in (fold..rows).step_by(FOLDS_COUNT) {
            let place = shown.place[row];
            predicted[row] = rates[place * actions + shown.action[row]];
            expected[row] = means[place];
        }
    }
    (predicted, expected)
}

fn fit(shown: &Shown, actions: usize, places: usize, kept: impl Fn(usize) -> bool) -> Vec<f64> {
    let mut all = Cell::default();
    let mut by_place = vec![Cell::default(); places];
    let mut by_action = vec![Cell::default(); actions];
    let mut cells = vec![Cell::default(); places * actions];
    for row in (0..shown.reward.len()).filter(|row| kept(*row)) {
        let (action, place, reward) = (shown.action[row], shown.place[row], shown.reward[row]);
        all.add(reward);
        by_place[place].add(reward);
        by_action[action].add(reward);
        cells[place * actions + action].add(reward);
    }
    let mean = if all.count > 0.0 { all.sum / all.count } else { 0.0 };
    let mut rates = vec![0.0; places * actions];
    for place in 0..places {
        let here = by_place[place].shrunk(mean);
        for action in 0..actions {
            // The action's own level, moved by how this place differs from all.
            let general = by_action[action].shrunk(mean) + here - mean;
            rates[place * actions + action] = cells[place * actions + action].shrunk(general);
        }
    }
    rates
}
