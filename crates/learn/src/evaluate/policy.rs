//! Target policies over a list of actions at a number of places: a table of probabilities.
//!
//! Uniform, one fixed action, Thompson sampling from beta posteriors (exact, by quadrature of the probability to be
//! ranked first, second, ... at each place), or any table. Refuses a table that does not sum to 1 at every place.

use super::EvaluateError;
use crate::infer::bayes::{Beta, ranks};

/// How far a place's probabilities may be from 1 in sum.
const SUM_TOLERANCE: f64 = 1e-6;

/// Probabilities by place and action.
#[derive(Clone, Debug, PartialEq)]
pub struct Table {
    places: Vec<Vec<f64>>,
}

impl Table {
    /// From probabilities: one list of all actions for each place.
    ///
    /// # Errors
    /// [`EvaluateError::Shape`] where lists differ in length, or one is no distribution.
    pub fn new(places: Vec<Vec<f64>>) -> Result<Table, EvaluateError> {
        let actions = places.first().map_or(0, Vec::len);
        for (place, row) in places.iter().enumerate() {
            let sum: f64 = row.iter().sum();
            let sound = row.iter().all(|p| p.is_finite() && *p >= 0.0) && (sum - 1.0).abs() <= SUM_TOLERANCE;
            if row.len() != actions || actions == 0 || !sound {
                let what = format!(
                    "the policy's probabilities at place {place} must be {actions}, and sum to 1; they sum to {sum}"
                );
                return Err(EvaluateError::Shape(what));
            }
        }
        Ok(Table { places })
    }
    /// Every action alike.
    pub fn uniform(actions_count: usize, places_count: usize) -> Table {
        Table { places: vec![vec![1.0 / actions_count as f64; actions_count]; places_count] }
    }
    /// Always the same action.
    pub fn fixed(action: usize, actions_count: usize, places_count: usize) -> Table {
        let one = |a: usize| if a == action { 1.0 } else { 0.0 };
        Table { places: vec![(0..actions_count).map(one).collect(); places_count] }
    }
    /// Thompson sampling: at place r the arm whose draw is ranked r-th (arms differ between the places of a page).
    pub fn thompson(posteriors: &[Beta], places_count: usize) -> Table {
        let by_arm = ranks(posteriors, places_count);
        Table { places: (0..places_count).map(|r| by_arm.iter().map(|row| row[r]).collect()).collect() }
    }
    /// Probabilities of all actions at a place; the last place stands for those beyond it.
    pub fn at(&self, place: usize) -> &[f64] {
        self.places.get(place).or(self.places.last()).map_or(&[], Vec::as_slice)
    }
    /// Places.
    pub fn places_count(&self) -> usize {
        self.places.len()
    }
    /// Actions.
    pub fn actions_count(&self) -> usize {
        self.places.first().map_or(0, Vec::len)
    }
}
