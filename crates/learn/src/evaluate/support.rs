//! Support: how much of the target policy lies where the logging policy could not go.
//!
//! IPS is silent about actions that the logging policy never draws: it counts them as earning nothing. So the share of the
//! target's mass outside is reported, and above [`OUTSIDE_SHARE_MAX`] there is no estimate. Refuses to guess a support:
//! it is the logging policy's where that is known, else what the log shows, and the report says which.

use super::{EvaluateError, estimators::Weights};

/// The most of a target policy's mass that may lie outside the logging policy's support.
pub const OUTSIDE_SHARE_MAX: f64 = 0.01;

/// How the logging policy's support is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Known {
    /// From the logging policy's own probabilities.
    Declared,
    /// From what was shown: an action never shown counts as outside, though it may have been possible.
    Observed,
}

/// The share of a target policy's mass outside the logging policy's support.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Support {
    /// The share, 0 to 1.
    pub outside_share: f64,
    /// How it is known.
    pub known: Known,
}

impl Support {
    /// Over cells (a context or place, with its share of the log), the target's probabilities of each action, and whether
    /// the logging policy could draw it.
    pub fn of<'a>(
        cells: impl Iterator<Item = (f64, &'a [f64], &'a dyn Fn(usize) -> bool)>,
        known: Known,
    ) -> Support {
        let (mut outside, mut whole) = (0.0, 0.0);
        for (share, target, possible) in cells {
            for (action, probability) in target.iter().enumerate() {
                whole += share * probability;
                if !possible(action) {
                    outside += share * probability;
                }
            }
        }
        Support { outside_share: if whole > 0.0 { outside / whole } else { 0.0 }, known }
    }
    /// From weights alone, where the log does not say what else was possible: the mean weight is the share of the target
    /// inside, so that what 1 exceeds it by, less two standard errors, surely lies outside.
    pub fn of_weights(weights: &Weights, rows: usize) -> Support {
        let rows = rows as f64;
        let spread = weights.mean * (rows / weights.effective_count.max(1.0) - 1.0).max(0.0).sqrt();
        let outside_share = (1.0 - weights.mean - 2.0 * spread / rows.sqrt()).clamp(0.0, 1.0);
        Support { outside_share, known: Known::Observed }
    }
    /// Refuses what lies too far outside.
    ///
    /// # Errors
    /// [`EvaluateError::OutsideSupport`].
    pub fn check(&self) -> Result<(), EvaluateError> {
        let outside_share = self.outside_share;
        if outside_share > OUTSIDE_SHARE_MAX {
            return Err(EvaluateError::OutsideSupport { outside_share });
        }
        Ok(())
    }
}
